-- One query a line, for test_same_as_postgres.py.
-- intervals
SELECT interval '2 hours ago', interval '1 day -00:00:01', interval '1 year 02:03', interval '-1 days +02:03:00'
SELECT interval '1 mons', interval '3 msec', interval '1h30m', interval 'P1Y2M3DT4H5M6S', interval '1 day - 2 hours'
SELECT interval '1-2', '1 2:03:04'::interval, interval '1-2' year to month, interval '1 2:03' day to minute
SELECT interval '90' day, interval '1.5' hour, interval '1 year 2 mons -3 days +04:05:06.7', interval '1 week 2 days'
SELECT id, iv > '2 hours ago', iv = '1 day 02:03:04', ts + '1 day -00:00:01' FROM odd ORDER BY id
SELECT '1 fortnight'::interval
SELECT id, iv / 2, iv / 0.5, iv / id, (ts - timestamp '2024-01-01') / 3, interval '1 day' / 3 FROM odd ORDER BY id
SELECT iv / 0 FROM odd WHERE id = 1
-- jsonb
SELECT id, jb || '{"z": 1}', '[7]' || jb, jb || jb, jb || jsonb_build_object('x', ts) FROM odd ORDER BY id
SELECT jb->'b' || '[7]', coalesce(jb, '{}') || '"q"', (jb || '{"a": 2}') ->> 'a', jb::text || 'x' FROM odd WHERE id = 2
SELECT jb - 'a', jb - 'a' - 'b', (jb - 'a') ? 'a', jb - ARRAY['a', 'b'] FROM odd WHERE id IN (1, 3) ORDER BY id
SELECT '["a", "b", "c"]'::jsonb - 0, '["a", "b"]'::jsonb - 'a', '["a", "b", "c"]'::jsonb - -1, '[1, "a"]'::jsonb - '{a}'::text[]
SELECT '{"a": 1}'::jsonb - 0
SELECT id, to_jsonb(ts), to_jsonb(tz), to_json(iv), to_jsonb(by), to_jsonb(dt) FROM odd ORDER BY id
SELECT jsonb_build_object('t', ts, 'z', tz, 'd', dt), json_build_array(ts, 1, iv) FROM odd ORDER BY id
SELECT json_agg(ts), json_agg(tz ORDER BY id DESC), json_object_agg(id, ts), to_jsonb(array_agg(ts ORDER BY id)) FROM odd
SELECT row_to_json(o), to_jsonb(o) FROM (SELECT id, ts, tz, s FROM odd) o ORDER BY id
SELECT json_agg(o ORDER BY id), jsonb_agg(o) FILTER (WHERE id = 1) FROM (SELECT id, ts AS at, iv FROM odd) o
WITH x AS (SELECT id, tz FROM odd) SELECT to_jsonb(x) - 'id' FROM x ORDER BY id
-- arrays
SELECT id, ia || ia, ia || NULL, ia || NULL::int[], NULL || ia, array_cat(ia, NULL), array_cat(NULL, ia) FROM odd ORDER BY id
SELECT id, ia || 4, 4 || ia, ia || i, i || ia, ia || NULL::int, ia || '{8,9}', ARRAY[1] || 2 FROM odd ORDER BY id
SELECT id, ta || 'x'::text, s || ta, ta || ARRAY['q'], string_to_array(s, ',') || 'z'::text FROM odd ORDER BY id
SELECT ta || 'x' FROM odd
SELECT array_agg(id ORDER BY id) || 5, ARRAY(SELECT id FROM odd ORDER BY id) || 9 FROM odd
WITH RECURSIVE t(n, p) AS (SELECT 1, ARRAY[1] UNION ALL SELECT n + 1, p || (n + 1) FROM t WHERE n < 4) SELECT n, p FROM t ORDER BY 1
-- sums of sums, dates
SELECT id, sum(min(i)) OVER () / 3, sum(max(b)) OVER (ORDER BY id) / 4, sum(min(si)) OVER () / 2 FROM odd GROUP BY id ORDER BY id
SELECT date_trunc('month', max(dt)), date_trunc('year', min(dt) FILTER (WHERE id > 1)), date_trunc('day', max(ts)) FROM odd
SELECT date_trunc('month', max(dt) OVER ()) FROM odd WHERE id = 1
SELECT g, g::date FROM generate_series(date '2024-01-01', '2024-01-03', interval '1 day') g ORDER BY 1
SELECT generate_series(date '2024-01-01', date '2024-01-03', '1 day')
SELECT round(d), round(d + 0.5), round(0.5::float8), round(2.5), round(n), round(n, 1) FROM odd WHERE id < 3 ORDER BY id
-- texts
SELECT id, concat(f, '-', ia, '-', iv, by), concat_ws(',', s, f, ia, id = 1), format('%s %s', f, ta) FROM odd ORDER BY id
SELECT array_to_string(array_agg(f ORDER BY id), ',', '?'), array_to_string(ARRAY[true, false], ','), concat(true, 1 > 2) FROM odd
