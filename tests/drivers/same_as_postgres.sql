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
-- regular expressions
SELECT 'é' ~ '\w', 'é' ~ '^[[:alpha:]]+$', 'É' ~ '[[:upper:]]', 'é b' ~ 'é\W', 'a' ~ 'a\Z', 'É' ~* 'é', '-' ~ '[^\w.]'
SELECT E'a\nb' ~ 'a.b', E'a\nb' ~ '^b', E'a\nb' ~ 'a$', 'a]b' ~ '[]]', 'a.b' ~ 'a\.b', 'a:b' ~ '[:x]'
SELECT regexp_replace('Häß 12', '\w+', 'X', 'g'), regexp_replace('Häß 12', '[[:alpha:]]+', 'X'), regexp_replace('Häß', '\W', '-', 'g')
SELECT regexp_replace(E'a\nb', '^', '>', 'gn'), regexp_replace(E'a\nb', 'a.b', 'X'), regexp_replace('aAa', 'A', 'x', 'gi')
SELECT regexp_match('abc', '(a)(x)?'), regexp_match('abc', '(x)?(a)'), regexp_match('foo', 'f(o*)(x*)'), regexp_match('ab', '(x)')
SELECT (regexp_match('2024-01', '(\d+)-(\d+)(-\d+)?'))[3] IS NULL, regexp_match('abc', 'B', 'i'), regexp_match(E'a\nb', 'a.b')
SELECT id, regexp_match(s, '(a)|(H)'), substring(s from '\w+'), regexp_split_to_array(s, '\W+') FROM odd ORDER BY id
SELECT regexp_matches('foobarbequebazilbarfbonk', '(b[^b]+)(b[^b]+)', 'g')
SELECT regexp_matches('abc', '(b)'), regexp_matches('abc', 'c')
SELECT regexp_matches('abc', 'x')
SELECT m[1] FROM regexp_matches('a1b2', '([a-z])', 'g') AS m
SELECT * FROM regexp_matches('a1b2', '[a-z]', 'g')
SELECT o.id, m[1] FROM odd o, regexp_matches(o.s, '[a-z]', 'g') m ORDER BY 1, 2
SELECT 'a+c' SIMILAR TO 'a\+c', 'a%c' SIMILAR TO 'a\%c', 'axc' SIMILAR TO 'a\%c', 'a[b' SIMILAR TO 'a\[b', 'a%' SIMILAR TO 'a[%]'
SELECT 'ab' SIMILAR TO '(a|b)*', 'xab' SIMILAR TO 'x(a|ab)', 'abc' SIMILAR TO 'a|abc', 'a^b' SIMILAR TO 'a^b', E'a\nb' SIMILAR TO 'a_b'
-- rows
SELECT id, (i, b) = (1, 1), (i, b) <> (1, 1), (i, b) < (1, 2), (i, b) >= (0, 0), row(i, b) = row(1, 1) FROM odd ORDER BY id
SELECT id, (i, s) IS NULL, (i, s) IS NOT NULL, NOT (i, f) IS NULL, row(NULL, NULL) IS NULL FROM odd ORDER BY id
SELECT id FROM odd WHERE NOT ((i, s) = (1, 'abc')) ORDER BY id
SELECT id FROM odd WHERE (i, s) NOT IN ((1, 'abc'), (2, 'x')) ORDER BY id
SELECT id, (i, b) IN ((1, 1), (2, 2)) FROM odd ORDER BY id
SELECT (DATE '2001-02-16', DATE '2001-12-21') OVERLAPS (DATE '2001-10-30', DATE '2002-10-30')
SELECT (DATE '2001-02-16', INTERVAL '100 days') OVERLAPS (DATE '2001-10-30', DATE '2002-10-30')
SELECT id, (dt, dt + 5) OVERLAPS (date '2024-02-01', date '2024-01-10'), (ts, NULL::timestamp) OVERLAPS (ts, interval '1 day') FROM odd ORDER BY id
-- subscripts
SELECT id, ia[-1], ia[0], ia[i], ia[id - 2], ia[-id], (ARRAY[1, 2])[-1] FROM odd ORDER BY id
SELECT id, ia[2:3], ia[-1:2], ia[id - 3:id - 1], ia[:-1], ia[0:], ia[2:1] FROM odd ORDER BY id
-- numbers
SELECT sign(-3) / 2, sign(2.5), div(7, 2) / 2, div(9, 4.0), to_hex(-1), to_hex(i), to_hex(b), to_hex(255) FROM odd WHERE id < 3 ORDER BY id
SELECT to_char(1.005, 'FM0.00'), to_char(0.125, 'FM0.00'), to_char(2.675::float8, 'FM0.00'), to_char(n, 'FM999999990.0') FROM odd WHERE id < 3 ORDER BY id
SELECT '1.5'::int
SELECT '0x10'::bigint
SELECT '1e400'::float8
-- json
SELECT '["a"]'::jsonb ? 'a', '"a"'::jsonb ? 'a', '["a"]'::jsonb ?| ARRAY['a', 'b'], '["a", "b"]'::jsonb ?& ARRAY['a', 'b'], '[1]'::jsonb ? '1'
SELECT json_object('{a,1,b,2}'), json_object(ARRAY['a', 'b'], ARRAY['1', NULL]), jsonb_object('{a,b}', '{1,2}'), jsonb_strip_nulls('{"a": null}')
SELECT '{"a": {"b": 1, "c": 2}}'::jsonb #- '{a,b}', '{"a": [1, 2]}'::jsonb #- '{a,-1}', jb #- '{b,0}' FROM odd WHERE id = 1
-- sorted
SELECT array_agg(DISTINCT f), array_agg(DISTINCT s), string_agg(DISTINCT s, ','), json_agg(DISTINCT i), jsonb_agg(DISTINCT s) FROM odd
SELECT array_agg(DISTINCT i ORDER BY i DESC), array_agg(DISTINCT i) FILTER (WHERE id > 1), count(DISTINCT s) FROM odd
-- texts and times
SELECT initcap('élan vital ÄÖ x1y'), initcap(s) FROM odd WHERE id < 4 ORDER BY id
SELECT id, ts::timestamp(0), tz::timestamptz(0), '2024-01-05 10:00:00.567'::timestamp(2) FROM odd ORDER BY id
SELECT id, date_trunc('century', ts), date_trunc('millennium', tz), date_trunc('day', tz, 'America/New_York') FROM odd ORDER BY id
SELECT id, justify_days(iv), justify_hours(iv), justify_interval(iv), justify_interval(interval '1 mon -1 hour') FROM odd ORDER BY id
SELECT id, num_nulls(i, s, d), num_nonnulls(i, s, d), num_nonnulls(VARIADIC ARRAY[1, NULL]), array_dims(ia), array_ndims(ia) FROM odd ORDER BY id
SELECT array_length(ARRAY[[1, 2, 3], [4, 5, 6]], 2), array_dims(ARRAY[[1, 2, 3], [4, 5, 6]]), array_length(ARRAY[[1]], 3)
-- formats
SELECT id, to_char(ts, 'D'), to_char(ts, 'WW'), to_char(ts, 'YYYY-"Q"Q'), to_char(ts, 'DDD SSSS J CC W Y') FROM odd ORDER BY id
SELECT id, to_char(ts, 'Month|Day|DY|MON|month|FMDay, DD MONTH|FMMonth'), to_char(ts, 'hh12 am'), to_char(tz, 'HH24:MIOF TZH TZ') FROM odd ORDER BY id
SELECT to_char(1234567.891, 'FM9,999,999.99'), to_char(1234.5, 'FM9,999.99'), to_char(0, 'FM99.99'), to_char(-0.5, 'FM9.99')
SELECT to_char(12.3, 'FM90.0099'), to_char(1234, 'FM9,999.99'), to_char(0.5, 'FM9.99'), to_char(12, 'FM999')
SELECT to_char(99999, '999'), to_char(-99999, '999'), to_char(1234567, '9,999'), to_char(123.4, '99.9'), to_char(1000, 'FM000'), to_char(999.99, '999.9')
SELECT to_char(interval '15h 2m 12s', 'HH24:MI:SS'), to_char(interval '100 hours', 'HH24:MI'), to_char(interval '3 days 15h', 'DD HH24')
SELECT to_char(ts - timestamp '2024-01-01', 'DD HH24:MI:SS'), to_char(iv, 'HH24 "h"'), tz::time, (ts - '1 day'::interval)::time FROM odd WHERE id = 1
SELECT to_date('5 January 2024', 'DD Month YYYY'), to_date('JAN 5 2024', 'MON DD YYYY'), to_date('2024-1-5', 'YYYY-MM-DD')
-- windows and errors of functions
SELECT id, row_number() OVER (PARTITION BY sqrt(abs(i)), encode(by, 'hex') ORDER BY id), sum(i) OVER (PARTITION BY ln(id)) FROM odd ORDER BY id
SELECT count(*) OVER (PARTITION BY substring(s, 1, id)) FROM odd
SELECT sqrt(-1)
SELECT ln(0)
SELECT log(0)
SELECT power(-1, 0.5)
SELECT power(0, -1)
SELECT substring('abc', 1, -1)
SELECT encode('a'::bytea, 'zip')
SELECT log(2.0, 8.0), log(100), log10(1000), power(2, 3), power(2.0, 0.5), power(0, 0), sqrt(16), encode(by, 'hex') || 1.0::float8 FROM odd WHERE id = 1
SELECT '1'::jsonb - 'a'
-- equal json
SELECT '{"a": 1, "b": 2}'::jsonb = '{"b":2,"a":1}'::jsonb, '[1, 2]'::jsonb <> '[1,2]', '1.50'::jsonb = '1.5', '[1,2]'::jsonb = '[2,1]'
SELECT id FROM odd WHERE jb = '{"b":[1,2,{"c":"x"}],"a":1}' OR jb -> 'b' = '[1, 2]' OR jb = '[ ]' ORDER BY id
SELECT a.id, b.id FROM odd a JOIN odd b ON a.jb = b.jb ORDER BY 1, 2
-- records, jsonb_set, paths
SELECT * from json_to_record('{"a":1,"b":"x"}') as x(a int, b text)
SELECT * from jsonb_to_record('{"a":1,"b":[1,2],"c":{"d":1}}') as x(a int, b int[], c jsonb, d text)
SELECT * from json_to_recordset('[{"a":1,"b":"x"},{"a":2}]') as x(a int, b text)
SELECT x.a + 1, b from jsonb_to_recordset('[{"a":1,"b":"2024-01-01"},{"a":2}]') as x(a int, b date) where a > 1
SELECT o.id, x.a FROM odd o, jsonb_to_record(o.jb) as x(a int) where id in (1,6) ORDER BY 1
SELECT o.id, x.c FROM odd o cross join lateral jsonb_to_recordset(case when jsonb_typeof(o.jb->'b') = 'array' then jsonb_build_array(o.jb->'b'->2) end) as x(c text) ORDER BY 1
SELECT o.id, x.c FROM odd o left join lateral jsonb_to_recordset(jsonb_build_array(o.jb)) as x(c varchar(2), a numeric(10,2)) on true where o.id=1 ORDER BY 1
SELECT jsonb_set('{"a":1}', '{b}', '2'), jsonb_set('{"a":{"b":1}}', '{a,b}', '"x"'), jsonb_set('{"a":1}', '{b}', '2', false), jsonb_set('{"a":[1,2]}', '{a,0}', '9'), jsonb_set('{"a":[1,2]}', '{a,-1}', '9'), jsonb_set('{"1":2}', '{1}', '3'), jsonb_set('{"a":1}', '{z,y}', '5')
SELECT jsonb_set(jb, '{a}', '5'), jsonb_set(jb, array['b','0'], to_jsonb(id)), jsonb_set(jb, '{q}', null) FROM odd where id=1
SELECT jb #- '{b,2,c}', '{"1":2,"a":3}'::jsonb #- '{1}', '{"a":[1,2]}'::jsonb #- '{a,-1}' FROM odd where id=1
SELECT jsonb_path_query('{"a":[1,2,3]}', '$.a[*]')
SELECT * from jsonb_path_query('{"a":[1,2,3]}', '$.a[*]') as x
SELECT jsonb_path_query_first('{"a":[1,2,3]}', '$.a[0]'), jsonb_path_query_array('{"a":[1,2,3]}', '$.a[*]'), jsonb_path_query_first('{"a":1}', '$.b')
SELECT jsonb_path_exists('{"a":[1,2,3]}', '$.a[*] ? (@ > 2)'), jsonb_path_exists('{"a":[1,2,3]}', '$.a[*] ? (@ > 3)'), '{"a":[1,2,3]}'::jsonb @? '$.a[*]', '{"a":[]}'::jsonb @? '$.a[*]', '{"a":1}'::jsonb @? '$.b'
SELECT jsonb_path_query_array('{"a":[1,2,3]}', '$.a[*] ? (@ >= 2)'), jsonb_path_query_array('{"a":[1,2,3]}', '$.a ? (@ >= 2)')
SELECT jsonb_path_query_array('[{"b":1,"c":"x"},{"b":2,"c":"y"},{"d":1}]', '$[*] ? (@.c == "y")'), jsonb_path_query_array('[{"b":1,"c":"x"},{"b":2,"c":"y"},{"d":1}]', '$[*] ? (@.b != 1)'), jsonb_path_query_array('[1,"a",null,true]', '$[*] ? (@ == null)'), jsonb_path_query_array('[1,"a",null,true]', '$[*] ? (@ != null)'), jsonb_path_query_array('[1,"a",null,true]', '$[*] ? (@ == true)'), jsonb_path_query_array('[1,"a",null,true]', '$[*] ? (@ > "A")'), jsonb_path_query_array('{"x":{"p":1,"q":[2]}}', '$.x.*')
SELECT jsonb_path_query_array(jb, '$.b[*]'), jsonb_path_exists(jb, '$.a'), jb @? '$.b[*] ? (@ == 2)', jsonb_path_query_first(jb, '$.b[2].c') FROM odd ORDER BY id
SELECT o.id, p FROM odd o, jsonb_path_query(o.jb, '$.b[*]') p ORDER BY 1, 2
SELECT jsonb_path_query_array('[1,2]', '$'), jsonb_path_query_array('5', '$[0]'), jsonb_path_query_array('5', '$[*]'), jsonb_path_query_array('[[1,2],[3]]', '$[*][0]'), jsonb_path_query_array('{"a b":1}', '$."a b"'), jsonb_path_query_array('[[1,2]]','$ ? (@ == 1)')
-- arrays beside texts, replacements, large numbers, other spellings of dates, sums of intervals
SELECT ia @> array[1], ia <@ array[1,2,3,4,5], ia && array[1,9], ia @> '{}', '{1}' <@ ia, ta @> '{a}', ia && '{1,9}', '{a}' && ta, jb @> '{}' FROM odd ORDER BY id
SELECT ia @> '{x}' FROM odd
SELECT regexp_replace('abc', 'b', '<\&>'), regexp_replace('abc', 'b', '[\0]'), regexp_replace('abc', 'b', 'x\\y'), regexp_replace('abc', '(b)', '\1\1'), regexp_replace('abc', 'b', 'q\w')
SELECT 1234567890123456789012345678901234567890, 12345678901234567890
SELECT pg_typeof(null), pg_typeof(1.5), pg_typeof(array[1.5]), pg_typeof(extract(year from dt)) FROM odd where id=1
SELECT 'Jan 5, 2024'::date, '5 January 2024'::date, '01/02/2024'::date, '20240105'::date, '05-Jan-2024'::date, '20240105 10:00'::timestamp, '1/5/2024 10:00:01'::timestamp, date '12-Mar-2020', 'March 1 2024'::date
SELECT '2024-01-05 10:00:00 +02'::timestamptz, '2024-01-05T10:00:00 -05:30'::timestamptz
SELECT 'Foo 5, 2024'::date
SELECT '13/02/2024'::date
SELECT sum(iv), sum(iv) filter (where id > 2), sum(i), sum(n), sum(si), sum(d) FROM odd where id not in (2,3,6,7)
SELECT f, sum(iv), sum(ts - timestamp '2024-01-01') FROM odd group by f ORDER BY 1
SELECT id, sum(i) over (order by id), sum(si) over () FROM odd where id > 3 ORDER BY id
SELECT id FROM odd WHERE ta @> '{a}' ORDER BY id
SELECT id FROM odd WHERE '{1}' <@ ia ORDER BY id
SELECT id FROM odd WHERE ia && '{1,9}' ORDER BY id
SELECT tz::time FROM odd WHERE id = 1
-- texts that are no integers
SELECT split_part('1.5,2', ',', 1)::int FROM odd
SELECT cast(jb->'d'->>'e' AS int) FROM odd WHERE id = 3
SELECT split_part('15,2', ',', 1)::int, (jb->>'a')::int, cast(' 7 '::text AS bigint), i::text::smallint FROM odd WHERE id = 1
SELECT i::text::int, count(*) FROM odd GROUP BY i::text::int ORDER BY 1
-- a query called like the table it reads
WITH odd AS (SELECT * FROM odd) SELECT row_to_json(odd)->'id', to_json(odd)->>'i' FROM odd WHERE id = 1
WITH odd(id, u) AS (SELECT id, i FROM odd) SELECT concat(u), row_to_json(odd)->'u' FROM odd WHERE id = 1
SELECT row_to_json(z)->'id' FROM (WITH odd AS (SELECT * FROM odd) SELECT * FROM odd) z WHERE id = 1
-- subscripts, whatever they are made of
SELECT ia[2::int], ia[1+1], ia[(2)], ia[length(s)], ia[id], ia[id::bigint], ia[coalesce(id,1)], ia[array_length(ia,1)], ia[array_upper(ia,1)] FROM odd ORDER BY id
SELECT ia[id*1], ia[cardinality(ia)], ia[case when true then 2 end], ia[-(-2)], ia[abs(2)], ia[floor(2.5)::int], ia[(select 2)], ia[id%3], ia[id-1], ia[id + -1], ia[2::int - 1], ia[5/2], ia[id/2], ia[0], ia[-1], ia[-1::int], ia[4] FROM odd ORDER BY id
SELECT ia[count(*)], ia[max(id)], ia[min(id)::int + 1], ia[sum(id)] FROM odd GROUP BY ia, id ORDER BY id
SELECT (ARRAY[5,6,7])[2::int], (ARRAY[5,6,7])[id], (ARRAY[5,6,7])[id::int - 1], (ARRAY['a','b'])[extract(day from dt)::int % 2 + 1], (string_to_array('a,b,c', ','))[2::int] FROM odd ORDER BY id
SELECT ia[1:2], ia[2::int:3], ia[:2], ia[2:], ia[id:id+1], ia[1:2::int], ia[2:1], ia[0:2], ia[-1:2] FROM odd ORDER BY id
SELECT indkey[0], indkey[0::int], indkey[1] FROM pg_index WHERE indrelid = 'odd'::regclass
SELECT conkey[1], conkey[1::int], array_length(conkey, 1) FROM pg_constraint WHERE conrelid = 'odd'::regclass
SELECT (regexp_match(s, '(.)(.)'))[2::int], (regexp_match(s, '(.)(.)'))[1 + 1] FROM odd ORDER BY id
SELECT jb['b'][1], jb['b'][1::int], jb['b'][id], jb['a'], jb['b'][2]['c'] FROM odd ORDER BY id
-- ordered sets
SELECT rank(1) WITHIN GROUP (ORDER BY i), dense_rank(1) WITHIN GROUP (ORDER BY i), percent_rank(1) WITHIN GROUP (ORDER BY i), cume_dist(1) WITHIN GROUP (ORDER BY i) FROM odd
SELECT rank(1) WITHIN GROUP (ORDER BY i DESC), dense_rank(1) WITHIN GROUP (ORDER BY i DESC), percent_rank(1) WITHIN GROUP (ORDER BY i DESC), cume_dist(1) WITHIN GROUP (ORDER BY i DESC NULLS LAST) FROM odd
SELECT rank('b') WITHIN GROUP (ORDER BY s) FILTER (WHERE id < 3), dense_rank(NULL) WITHIN GROUP (ORDER BY i), rank(NULL) WITHIN GROUP (ORDER BY i NULLS FIRST), cume_dist(NULL) WITHIN GROUP (ORDER BY i) FROM odd
SELECT rank(1) WITHIN GROUP (ORDER BY i), dense_rank(1) WITHIN GROUP (ORDER BY i), percent_rank(1) WITHIN GROUP (ORDER BY i), cume_dist(1) WITHIN GROUP (ORDER BY i) FROM odd WHERE false
SELECT f, rank(5) WITHIN GROUP (ORDER BY i) + 1 AS r FROM odd GROUP BY f ORDER BY 1
SELECT percentile_cont(0.5::float8) WITHIN GROUP (ORDER BY d), percentile_disc(0.25::float8) WITHIN GROUP (ORDER BY s DESC), percentile_cont(ARRAY[0.25, 0.5]) WITHIN GROUP (ORDER BY i), percentile_disc(ARRAY[0.25, 0.5]::float8[]) WITHIN GROUP (ORDER BY i) FROM odd
SELECT percentile_cont(0.5::float8) WITHIN GROUP (ORDER BY d) FILTER (WHERE id > 1), mode() WITHIN GROUP (ORDER BY f) FROM odd
-- before our era
SELECT '0044-03-15 BC'::date::text, (DATE '0044-03-15 AD')::text, '0044-03-15 10:00:00 BC'::timestamp::text, '0044-03-15T10:00:00.5 bc'::timestamp::text, '0044-03-15 10:00:00+02 BC'::timestamptz::text, '0044-03-15 10:00 UTC BC'::timestamptz::text
SELECT 'on ' || DATE '0044-03-15 BC', 'at ' || timestamp '0044-03-15 10:00 BC' || '.', ARRAY[DATE '0001-01-01 BC', DATE '0001-01-01', 'infinity'::date, NULL]::text
SELECT to_json(x), to_json(ARRAY[x]), array_to_json(ARRAY[x, NULL]), json_build_object('a', x, 'b', ARRAY[x]), to_jsonb(ARRAY[x]) FROM (SELECT DATE '0044-03-15 BC' AS x) q
SELECT to_json(x), to_json(ARRAY[x]), array_to_json(ARRAY[x]), row_to_json(q), json_agg(x) OVER () FROM (SELECT timestamp '0044-03-15 10:20:30.5 BC' AS x, DATE '0001-12-31 BC' AS y, ARRAY[DATE '-infinity'] AS z) q
SELECT to_json(x), to_json(ARRAY[x]), array_to_json(ARRAY[x]), json_build_array(x, 1) FROM (SELECT timestamptz '0044-03-15 10:20:30+00 BC' AS x) q
SELECT make_date(-44, 3, 15)::text, make_timestamp(-44, 3, 15, 1, 2, 3.5)::text, make_timestamptz(-44, 3, 15, 1, 2, 3, 'UTC')::text, make_date(2024, 2, id) FROM odd ORDER BY id
SELECT make_date(0, 1, 1)
SELECT make_timestamp(0, 1, 1, 0, 0, 0)
SELECT count(*) FROM odd WHERE dt > '0044-03-15 BC' AND ts > '0044-03-15 10:00:00 BC' AND tz > '0044-03-15 10:00:00+00 BC'
SELECT date '0044-03-15 BC' < date '0043-03-15 BC', date '0001-01-01' - date '0001-12-31 BC'
-- the other columns of a key that is grouped by
SELECT o.id, o.s, count(*), sum(o.i) FROM odd o GROUP BY o.id ORDER BY o.id
SELECT o.*, count(p.id) FROM odd o LEFT JOIN odd p ON p.id > o.id GROUP BY o.id ORDER BY o.id
SELECT p.s, p.id, count(*) FROM odd o LEFT JOIN odd p ON p.id > o.id GROUP BY p.id ORDER BY p.id
SELECT o.s, p.s, count(*) FROM odd o JOIN odd p ON p.id >= o.id GROUP BY o.id, p.id ORDER BY o.id, p.id
SELECT o.s, p.s, count(*) FROM odd o JOIN odd p ON p.id >= o.id GROUP BY o.id ORDER BY o.id
SELECT s, count(*) FROM odd GROUP BY i
SELECT id, s FROM odd GROUP BY 1 ORDER BY 1
SELECT *, count(*) OVER () FROM odd GROUP BY id ORDER BY id
SELECT o.id, (SELECT count(*) FROM odd q WHERE q.i > o.i), o.s FROM odd o GROUP BY o.id ORDER BY o.id
SELECT x.id, x.s FROM (SELECT * FROM odd) x GROUP BY x.id
WITH odd AS (SELECT id, s FROM odd) SELECT id, s FROM odd GROUP BY id
SELECT id, s FROM odd GROUP BY ROLLUP (id)
SELECT t.s, t.c FROM (SELECT o.id, o.s, count(*) AS c FROM odd o GROUP BY o.id) t ORDER BY 1
SELECT CASE WHEN o.f THEN o.s ELSE o.id::text END, max(o.n) FROM odd o GROUP BY o.id ORDER BY 1
-- names of CASE, functions in FROM, names that are put together
SELECT CASE WHEN true THEN 1 ELSE id END, CASE WHEN true THEN 1 ELSE id::text::int END, CASE WHEN true THEN '1' ELSE upper(s) END, CASE WHEN true THEN 1 ELSE 2::int END, CASE WHEN true THEN 1 ELSE coalesce(id, 1) END, CASE WHEN true THEN 1 ELSE CASE WHEN true THEN 1 ELSE id END END, CASE WHEN true THEN 1 ELSE (SELECT 5 AS q) END, CASE WHEN true THEN 1 ELSE id + 1 END, CASE WHEN true THEN 1 ELSE sum(id) END, CASE WHEN true THEN 1 END FROM odd GROUP BY id, s
SELECT ('int' || '4')::regtype, ('pg_catalog.' || 'text')::regtype, ('od' || 'd')::regclass
SELECT x.a FROM current_setting('timezone') AS x(a)
-- arrays side by side, any of several keys
SELECT * FROM unnest(ARRAY['a','b'], ARRAY[1,2,3])
SELECT * FROM unnest('{a,b}'::text[], '{1,2}'::int[]) ORDER BY 1
SELECT * FROM unnest('{a,b}'::text[], '{1,2}'::int[]) AS t(x, y) ORDER BY y DESC
SELECT t.* FROM unnest(ia, ta) AS t, odd ORDER BY 1
SELECT o.id, t.* FROM odd o, unnest(o.ia, o.ta) AS t(x, y) ORDER BY 1, 2
SELECT * FROM unnest('{a,b}'::text[], '{1,2}'::int[]) WITH ORDINALITY ORDER BY 3
SELECT * FROM unnest('{a,b}'::text[], '{1,2}'::int[]) WITH ORDINALITY AS t(x, y, z) ORDER BY z DESC
SELECT * FROM unnest('{a,b}'::text[]) WITH ORDINALITY AS t(x, z) ORDER BY z DESC
SELECT jb ?| ARRAY['a', 'z'], jb ?& ARRAY['a','b'], jb ?| '{a,z}', jb ?| '{a,z}'::text[] FROM odd WHERE id = 1
SELECT jsonb_agg(i ORDER BY id), json_agg(i ORDER BY id DESC), jsonb_agg(i ORDER BY id) FILTER (WHERE i > 0) FROM odd
SELECT jsonb_agg(s), jsonb_agg(DISTINCT s), jsonb_agg(n ORDER BY n), jsonb_object_agg(id, s) FROM odd
SELECT jsonb_agg(o.i ORDER BY o.id ASC) AS j FROM odd o
-- moments: eras in texts, rows of VALUES and parts of a UNION; zones that are abbreviations and offsets
SELECT x::text FROM (VALUES (timestamp '2024-01-01'), ('0044-03-15 10:00:00 BC')) v(x)
SELECT x::text FROM (VALUES ('0044-03-15 10:00:00 BC'), (timestamp '2024-01-01')) v(x)
SELECT x::text FROM (VALUES (date '2024-01-01'), ('0044-03-15 BC')) v(x)
SELECT timestamp '2024-01-01' AS x UNION ALL SELECT '0044-03-15 10:00:00 BC'
SELECT x::timestamp::text, x::timestamptz::text FROM (VALUES ('0044-03-15 10:00:00 BC'::text), ('2024-01-05 10:00 AD'), (NULL)) v(x)
SELECT x::date::text FROM (VALUES ('0044-03-15 BC'::text)) v(x)
SELECT '2020-07-15 10:00:00 BST'::timestamptz, '2020-07-15 10:00:00 CET'::timestamptz, '2020-07-15 10:00:00 IST'::timestamptz, '2020-07-15 10:00:00 PST'::timestamptz, '2020-07-15 10:00 PM'::timestamp, '2020-07-15 12:30:00 AM'::timestamptz, '2020-07-15T10:00:00 ACST'::timestamptz, '2020-03-15 10:00:00 Europe/Berlin'::timestamp, '2020-03-15 10:00:00 CET'::timestamp
SELECT '2020-03-15 10:00:00 Europe/Nowhere'::timestamptz
SELECT '2020-03-15 10:00:00 Europe/Nowhere'::timestamp
SELECT tz AT TIME ZONE 'BST', ts AT TIME ZONE 'bst', dt AT TIME ZONE 'NPT', dt AT TIME ZONE 'UTC', tz AT TIME ZONE 'ACST', ts AT TIME ZONE 'ACST', timezone('PST', tz), timezone('CET', ts), tz AT TIME ZONE 'Europe/Berlin', dt AT TIME ZONE 'Europe/Berlin' FROM odd ORDER BY id
SELECT tz AT TIME ZONE '+02:00', tz AT TIME ZONE '-05:30', ts AT TIME ZONE '+02:00', tz AT TIME ZONE 'UTC+3', tz AT TIME ZONE '+2', tz AT TIME ZONE INTERVAL '2 hours', ts AT TIME ZONE INTERVAL '-90 minutes' FROM odd ORDER BY id
SELECT max(tz) AT TIME ZONE 'ACST', max(ts) AT TIME ZONE '+02:30', min(ts) AT TIME ZONE INTERVAL '1 hour' FROM odd
SELECT tz AT TIME ZONE 'nowhere' FROM odd
SELECT id FROM odd WHERE ts = '2024-01-31 10:20:30 UTC' OR tz = '2024-01-31 10:20:30 CET'
SELECT x::timestamp FROM (VALUES ('2020-07-15 10:00:00 Europe/Berlin'::text), ('infinity'), ('epoch'), (NULL), ('2024-01-05 10:00')) v(x)
SELECT * FROM (VALUES ('2', 'b'), (1, 'a')) v(x, y) ORDER BY 1
SELECT * FROM (VALUES ('x'), (1)) v(x) ORDER BY 1
SELECT '2' AS a UNION SELECT 1 UNION ALL SELECT NULL ORDER BY 1
SELECT id, ts, n FROM odd UNION ALL SELECT '9', '2024-01-01', '1.5' ORDER BY 1
-- members of jsonb from the end, parts of texts, small numbers, times
SELECT jb['b'][-1], jb['b'][0], jb['b'][-3], jb['b'][-1]['c'] FROM odd ORDER BY id
SELECT split_part('abc', '', 1), split_part('abc', '', 2), split_part('abc', '', -1), split_part('', '', 1), split_part('a,b', ',', -1), split_part(s, '', 1), split_part(s, '', 2), split_part(s, 'b', id) FROM odd ORDER BY id
SELECT split_part('abc', ',', 0)
SELECT si * 20000, si + 32767, si - 32767, 20000 * si, si * -20000, si % 7 FROM odd ORDER BY id
SELECT si * si, si * 3000000000 FROM odd ORDER BY id
SELECT t - t, time '10:00' - time '08:30', t - interval '1 hour', t + interval '25 hours' FROM odd ORDER BY id
CREATE TABLE never (a text(5))
CREATE TABLE never (a boolean(1))
CREATE TABLE never (a tinyint(1))
ANALYZE odd (no_such_column)
ANALYZE odd (id, s)
-- several patterns, ties, sums of intervals over windows, bytes, insertions, repeated keys, bits, texts beside numbers
SELECT s ILIKE ANY ('{A%}'), s NOT ILIKE ALL ('{A%,%}'), s LIKE ANY (ARRAY['a%','b']), s NOT LIKE ALL (ARRAY['a%','x']), s NOT LIKE ANY (ARRAY['a%','x']), NOT s LIKE ANY (ARRAY['a%','x']) FROM odd ORDER BY id
SELECT s ~ ANY (ARRAY['a','^b']), s ~* ANY ('{A,Q}'), s ~ ALL (ARRAY['a','c']), NOT (s ~ ANY (ARRAY['a', '\d'])) FROM odd ORDER BY id
SELECT count(*), sum(v) FROM (SELECT id % 2 AS v FROM odd ORDER BY v DESC FETCH FIRST 1 ROW WITH TIES) x
SELECT count(*), sum(v) FROM (SELECT id, id % 2 AS v FROM odd ORDER BY 2, s IS NULL FETCH FIRST ROW WITH TIES) x
SELECT f, count(*) FROM odd GROUP BY f ORDER BY count(*) DESC FETCH FIRST 1 ROWS WITH TIES
SELECT id, sum(iv) OVER (ORDER BY id), sum(iv) OVER (PARTITION BY f) FROM odd ORDER BY id
SELECT id, sum(iv) FILTER (WHERE id > 1) OVER (ORDER BY id ROWS 1 PRECEDING), sum(iv) OVER w FROM odd WINDOW w AS (ORDER BY id DESC) ORDER BY id
SELECT get_byte('\x0102ff'::bytea, 2), set_byte('\x0102'::bytea, 0, 255), set_byte('\x0102'::bytea, 1, 0), get_byte(by, 0) FROM odd WHERE id = 1
SELECT get_byte('\x01'::bytea, 5)
SELECT jsonb_insert('{"a":[1,2]}', '{a,1}', '9'), jsonb_insert('{"a":[1,2]}', '{a,1}', '9', true), jsonb_insert('{"a":1}', '{b}', '2'), jsonb_insert('{"a":[1,2]}', '{a,-1}', '9'), jsonb_insert('{"a":[1,2]}', '{a,5}', '9'), jsonb_insert('[1,2]', '{0}', '"x"'), jsonb_insert('[1,2]', '{-1}', '"x"', true), jsonb_insert('{"a":1}', '{b,c}', '2')
SELECT jsonb_insert('{"a":1}', '{a}', '2')
SELECT jsonb_insert(jb, '{b,0}', '0'), jsonb_insert(jb, '{zz}', to_jsonb(id)) FROM odd WHERE id = 1
SELECT '{"a":1,"a":2}'::jsonb -> 'a', '{"a":1,"a":2}'::jsonb #>> '{a}', '{"a":1,"a":2}'::jsonb @> '{"a":2}', '{"a":{"b":1,"b":2.50},"a":{"b":1,"b":2}}'::jsonb
SELECT B'101'::text, (B'101' & B'110')::text, X'1F'::text, B'101'::int, length(B'101'), B'101' = B'101', (~B'101')::text, X'FF'::int, x'ff'::bigint, pg_typeof(B'101')
SELECT '1' + 1, '1' * 2, 3 - '1', '1.5' + 1.0, 7 / '2', '7' % 4
SELECT '1.5' + 1
-- rows as text
SELECT row(1, 'a b')::text, row(1, NULL, 'x,y', 'a"b', '', 'c\d', '(')::text, row(true, 1.5, '{1,2}'::int[], date '2024-01-01', 1 = 2)::text
SELECT odd::text FROM odd WHERE id = 4
SELECT odd::text FROM odd ORDER BY id
SELECT o::text, o.id::text FROM odd o WHERE id = 2
SELECT s::text, id::text FROM odd s2 ORDER BY id
SELECT row(id, s)::text FROM odd ORDER BY id
SELECT row(1)::text, row()::text
