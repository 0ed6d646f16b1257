-- Functions of Postgres as DuckDB macros. Installed once in schema MACRO_SCHEMA by the engine; the rules call
-- them by that qualified name. Arguments with a type choose the overload; a definition without types takes the rest.
-- Statements end with a semicolon at the end of a line. Where error() would make an expression volatile, which no window can be
-- parted by, its text is cast to a number instead: proxy.sql.errors knows these texts.

-- aggregates: the type of sum() follows Postgres; what lies between two numerics is a double, not one of their digits
CREATE OR REPLACE MACRO bough_fn.continuous(x DATE) AS x, (x TIMESTAMP) AS x, (x TIMESTAMPTZ) AS x, (x TIME) AS x, (x) AS x::DOUBLE;
CREATE OR REPLACE MACRO bough_fn.sum(x INTERVAL) AS to_months(sum(date_part('year', x) * 12 + date_part('month', x))::INTEGER) + to_days(sum(date_part('day', x))::INTEGER) + to_microseconds(sum((date_part('hour', x) * 3600 + date_part('minute', x) * 60) * 1000000 + date_part('microseconds', x))::BIGINT), (x SMALLINT) AS sum(x)::BIGINT, (x INTEGER) AS sum(x)::BIGINT, (x BIGINT) AS sum(x)::DECIMAL(38,0), (x) AS sum(x);
CREATE OR REPLACE MACRO bough_fn.sum_distinct(x SMALLINT) AS sum(DISTINCT x)::BIGINT, (x INTEGER) AS sum(DISTINCT x)::BIGINT, (x BIGINT) AS sum(DISTINCT x)::DECIMAL(38,0), (x) AS sum(DISTINCT x);

-- numbers
CREATE OR REPLACE MACRO bough_fn.trunc_to(x, n) AS CASE WHEN n >= 0 THEN trunc(x, n::INTEGER) ELSE trunc(x / power(10, -n)) * power(10, -n) END;
CREATE OR REPLACE MACRO bough_fn.width_bucket(x, low, high, n) AS CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1 ELSE floor((x - low)::DOUBLE / (high - low)::DOUBLE * n)::INTEGER + 1 END;
CREATE OR REPLACE MACRO bough_fn.div(a, b) AS trunc(a // b)::DECIMAL(38,0);
CREATE OR REPLACE MACRO bough_fn.sign(x) AS sign(x)::DOUBLE;
CREATE OR REPLACE MACRO bough_fn.to_hex(x INTEGER) AS right(lower(to_hex(x)), 8), (x SMALLINT) AS right(lower(to_hex(x)), 8), (x) AS lower(to_hex(x));

CREATE OR REPLACE MACRO bough_fn.ln(x) AS CASE WHEN x = 0 THEN CAST('cannot take logarithm of zero' AS INTEGER) WHEN x < 0 THEN CAST('cannot take logarithm of a negative number' AS INTEGER) ELSE ln(x) END;
CREATE OR REPLACE MACRO bough_fn.log(x) AS CASE WHEN x = 0 THEN CAST('cannot take logarithm of zero' AS INTEGER) WHEN x < 0 THEN CAST('cannot take logarithm of a negative number' AS INTEGER) ELSE log10(x) END, (b, x) AS CASE WHEN x = 0 OR b = 0 THEN CAST('cannot take logarithm of zero' AS INTEGER) WHEN x < 0 OR b < 0 THEN CAST('cannot take logarithm of a negative number' AS INTEGER) ELSE log(b, x) END;
CREATE OR REPLACE MACRO bough_fn.power(x, y) AS CASE WHEN x < 0 AND y <> trunc(y) THEN CAST('a negative number raised to a non-integer power' AS INTEGER) WHEN x = 0 AND y < 0 THEN CAST('zero raised to a negative power is undefined' AS INTEGER) ELSE power(x, y) END;
CREATE OR REPLACE MACRO bough_fn.sqrt(x) AS CASE WHEN x < 0 THEN CAST('cannot take square root of a negative number' AS INTEGER) ELSE sqrt(x) END;

-- strings
CREATE OR REPLACE MACRO bough_fn.initcap(s) AS array_to_string(list_transform(regexp_extract_all(s, '[\pL\pN]+|[^\pL\pN]+'), lambda w: upper(w[1]) || lower(w[2:])), '');
CREATE OR REPLACE MACRO bough_fn.substring(s, start) AS substring(s, greatest(start, 1)), (s, start, n) AS CASE WHEN n < 0 THEN CAST(CAST('negative substring length not allowed' AS INTEGER) AS VARCHAR) ELSE substring(s, greatest(start, 1), greatest(least(start, 1) + n - 1, 0)) END;
CREATE OR REPLACE MACRO bough_fn.substring_of(s, start, n) AS substring(s, greatest(start, 1), greatest(least(start, 1) + n - 1, 0));
CREATE OR REPLACE MACRO bough_fn.substring_match(s, p) AS CASE WHEN NOT regexp_matches(s, p) THEN NULL WHEN regexp_matches(p, '(^|[^\\])\([^?]') THEN regexp_extract(s, p, 1) ELSE regexp_extract(s, p) END;
CREATE OR REPLACE MACRO bough_fn.split_part(s, d, n) AS CASE WHEN n = 0 THEN CAST(CAST('field position must not be zero' AS INTEGER) AS VARCHAR) WHEN d = '' THEN CASE WHEN s IS NULL OR n IN (1, -1) THEN s ELSE '' END ELSE split_part(s, d, n) END;
CREATE OR REPLACE MACRO bough_fn.overlay(s, r, start) AS left(s, start - 1) || r || substring(s, start + length(r)), (s, r, start, n) AS left(s, start - 1) || r || substring(s, start + n);
CREATE OR REPLACE MACRO bough_fn.lpad(s, n) AS CASE WHEN n < length(s) THEN left(s, greatest(n, 0)) ELSE lpad(s, n::INTEGER, ' ') END, (s, n, f) AS CASE WHEN n < length(s) THEN left(s, greatest(n, 0)) WHEN f = '' THEN s ELSE lpad(s, n::INTEGER, f) END;
CREATE OR REPLACE MACRO bough_fn.rpad(s, n) AS CASE WHEN n < length(s) THEN left(s, greatest(n, 0)) ELSE rpad(s, n::INTEGER, ' ') END, (s, n, f) AS CASE WHEN n < length(s) THEN left(s, greatest(n, 0)) WHEN f = '' THEN s ELSE rpad(s, n::INTEGER, f) END;
CREATE OR REPLACE MACRO bough_fn.quote_ident(s) AS CASE WHEN regexp_full_match(s, '[a-z_][a-z0-9_$]*') AND s NOT IN ('all','analyse','analyze','and','any','array','as','asc','both','case','cast','check','collate','column','constraint','create','current_date','current_role','current_time','current_timestamp','current_user','default','deferrable','desc','distinct','do','else','end','except','false','fetch','for','foreign','from','grant','group','having','in','initially','intersect','into','lateral','leading','limit','localtime','localtimestamp','not','null','offset','on','only','or','order','placing','primary','references','returning','select','session_user','some','symmetric','table','then','to','trailing','true','union','unique','user','using','variadic','when','where','window','with') THEN s ELSE '"' || replace(s, '"', '""') || '"' END;
CREATE OR REPLACE MACRO bough_fn.quote_literal(s) AS CASE WHEN contains(s::VARCHAR, '\') THEN 'E''' || replace(replace(s::VARCHAR, '\', '\\'), '''', '''''') || '''' ELSE '''' || replace(s::VARCHAR, '''', '''''') || '''' END;
CREATE OR REPLACE MACRO bough_fn.quote_nullable(s) AS coalesce(bough_fn.quote_literal(s), 'NULL');
CREATE OR REPLACE MACRO bough_fn.regexp_replace(s, p, r) AS regexp_replace(s, p, r), (s, p, r, f) AS regexp_replace(s, p, r, f);
CREATE OR REPLACE MACRO bough_fn.regexp_match(s, p) AS CASE WHEN NOT regexp_matches(s, p) THEN NULL WHEN regexp_matches(p, '(^|[^\\])\([^?]') THEN regexp_extract_all(s, p, 1)[1:1] ELSE [regexp_extract(s, p)] END;
CREATE OR REPLACE MACRO bough_fn.blanks_null(a) AS list_transform(a, lambda x: nullif(x, ''));
CREATE OR REPLACE MACRO bough_fn.one_row(a) AS CASE WHEN a IS NULL THEN [] ELSE [a] END;
CREATE OR REPLACE MACRO bough_fn.rows_of(a) AS list_transform(a, lambda x: [x]), (a, b) AS list_transform(list_zip(a, b), lambda x: [x[1], x[2]]), (a, b, c) AS list_transform(list_zip(a, b, c), lambda x: [x[1], x[2], x[3]]), (a, b, c, d) AS list_transform(list_zip(a, b, c, d), lambda x: [x[1], x[2], x[3], x[4]]);
CREATE OR REPLACE MACRO bough_fn.regexp_count(s, p) AS length(regexp_extract_all(s, p));
CREATE OR REPLACE MACRO bough_fn.similar_pattern(p) AS replace(replace(regexp_replace(p, '([.^$\\])', '\\\1', 'g'), '%', '.*'), '_', '.');
CREATE OR REPLACE MACRO bough_fn.similar_to(s, p) AS regexp_full_match(s, bough_fn.similar_pattern(p), 's');
CREATE OR REPLACE MACRO bough_fn.encode(b, f) AS CASE lower(f) WHEN 'hex' THEN lower(hex(b::BLOB)) WHEN 'base64' THEN to_base64(b::BLOB) WHEN 'escape' THEN b::BLOB::VARCHAR ELSE CAST(CAST('unrecognized encoding: "' || f || '"' AS INTEGER) AS VARCHAR) END;
CREATE OR REPLACE MACRO bough_fn.decode(s, f) AS CASE lower(f) WHEN 'hex' THEN unhex(s) WHEN 'base64' THEN from_base64(s) WHEN 'escape' THEN encode(s) ELSE CAST(CAST(CAST('unrecognized encoding: "' || f || '"' AS INTEGER) AS VARCHAR) AS BLOB) END;
CREATE OR REPLACE MACRO bough_fn.byte_place(b, n) AS CASE WHEN n < 0 OR n >= octet_length(b::BLOB) THEN CAST('index ' || n || ' out of valid range, 0..' || octet_length(b::BLOB) - 1 AS INTEGER) ELSE n END;
CREATE OR REPLACE MACRO bough_fn.get_byte(b, n) AS ('0x' || substring(hex(b::BLOB), bough_fn.byte_place(b, n) * 2 + 1, 2))::INTEGER;
CREATE OR REPLACE MACRO bough_fn.set_byte(b, n, v) AS unhex(left(hex(b::BLOB), bough_fn.byte_place(b, n) * 2) || printf('%02X', v & 255) || substring(hex(b::BLOB), n * 2 + 3));
CREATE OR REPLACE MACRO bough_fn.length(s VARCHAR) AS length(s)::INTEGER, (s BLOB) AS octet_length(s)::INTEGER, (s) AS length(s)::INTEGER;
CREATE OR REPLACE MACRO bough_fn.octet_length(s BLOB) AS octet_length(s)::INTEGER, (s) AS strlen(s::VARCHAR)::INTEGER;
CREATE OR REPLACE MACRO bough_fn.md5(s) AS md5(s);
CREATE OR REPLACE MACRO bough_fn.sha256(s) AS unhex(sha256(s));
CREATE OR REPLACE MACRO bough_fn.strpos(s, x) AS strpos(s, x)::INTEGER;
CREATE OR REPLACE MACRO bough_fn.whole_text(s, t) AS CASE WHEN contains(s, '.') OR contains(s, 'e') OR contains(s, 'E') THEN 'invalid input syntax for type ' || t || ': "' || s || '"' ELSE s END;
CREATE OR REPLACE MACRO bough_fn.bool_text(b) AS CASE WHEN b THEN 'true' WHEN NOT b THEN 'false' END;

-- arrays
CREATE OR REPLACE MACRO bough_fn.array_length(a, d) AS CASE WHEN d = 1 AND len(a) > 0 THEN len(a)::INTEGER WHEN d = 2 AND typeof(a) LIKE '%[][]' AND len(a) > 0 THEN json_array_length(to_json(a[1]))::INTEGER END;
CREATE OR REPLACE MACRO bough_fn.array_ndims(a) AS CASE WHEN len(a) > 0 THEN ((length(typeof(a)) - length(replace(typeof(a), '[]', ''))) // 2)::INTEGER END;
CREATE OR REPLACE MACRO bough_fn.array_dims(a) AS CASE WHEN len(a) > 0 THEN '[1:' || len(a) || ']' || CASE WHEN typeof(a) LIKE '%[][]' THEN '[1:' || json_array_length(to_json(a[1])) || ']' ELSE '' END END;
CREATE OR REPLACE MACRO bough_fn.cardinality(a) AS len(a)::INTEGER;
CREATE OR REPLACE MACRO bough_fn.array_lower(a, d) AS CASE WHEN d = 1 AND len(a) > 0 THEN 1 END;
CREATE OR REPLACE MACRO bough_fn.array_to_string(a, s) AS array_to_string(list_filter(list_transform(a, lambda x: x::VARCHAR), lambda x: x IS NOT NULL), s), (a, s, n) AS array_to_string(list_transform(a, lambda x: coalesce(x::VARCHAR, n)), s);
CREATE OR REPLACE MACRO bough_fn.string_to_array(s, d) AS CASE WHEN s = '' THEN []::VARCHAR[] WHEN d = '' THEN [s] WHEN d IS NULL THEN string_split(s, '') ELSE string_split(s, d) END;
CREATE OR REPLACE MACRO bough_fn.string_to_array_null(s, d, n) AS list_transform(bough_fn.string_to_array(s, d), lambda x: nullif(x, n));
CREATE OR REPLACE MACRO bough_fn.array_remove(a, x) AS list_filter(a, lambda y: y IS DISTINCT FROM x);
CREATE OR REPLACE MACRO bough_fn.array_replace(a, x, z) AS list_transform(a, lambda y: CASE WHEN y IS NOT DISTINCT FROM x THEN z ELSE y END);
CREATE OR REPLACE MACRO bough_fn.array_positions(a, x) AS list_filter(list_transform(a, lambda y, i: CASE WHEN y IS NOT DISTINCT FROM x THEN i END), lambda i: i IS NOT NULL);

CREATE OR REPLACE MACRO bough_fn.list_join(a, b) AS CASE WHEN a IS NULL THEN b WHEN b IS NULL THEN a ELSE list_concat(a, b) END;
CREATE OR REPLACE MACRO bough_fn.field_text(t) AS CASE WHEN t IS NULL THEN '' WHEN t = '' OR regexp_matches(t, '[\s,()"\\]') THEN '"' || replace(replace(t, '\', '\\'), '"', '""') || '"' ELSE t END;
CREATE OR REPLACE MACRO bough_fn.truths(a) AS list_transform(a, lambda x: CASE WHEN x THEN 't' WHEN NOT x THEN 'f' END);

-- json
CREATE OR REPLACE MACRO bough_fn.path_keys(p) AS list_transform(p, lambda x: replace(replace(x, '~', '~0'), '/', '~1'));
CREATE OR REPLACE MACRO bough_fn.path(p VARCHAR) AS CASE WHEN trim(p, '{} ') = '' THEN '$' ELSE '/' || array_to_string(bough_fn.path_keys(list_transform(string_split(trim(p, '{}'), ','), lambda y: trim(y, ' "'))), '/') END, (p) AS '/' || array_to_string(bough_fn.path_keys(p), '/');
CREATE OR REPLACE MACRO bough_fn.key(k) AS '/' || replace(replace(k, '~', '~0'), '/', '~1');
CREATE OR REPLACE MACRO bough_fn.json_text(j) AS CASE WHEN json_type(j) = 'NULL' THEN NULL ELSE j ->> '$' END;
CREATE OR REPLACE MACRO bough_fn.json_key(j, k) AS CASE WHEN json_type(j::JSON) = 'OBJECT' THEN json_extract(j::JSON, bough_fn.key(k)) END;
CREATE OR REPLACE MACRO bough_fn.json_key_text(j, k) AS bough_fn.json_text(bough_fn.json_key(j, k));
CREATE OR REPLACE MACRO bough_fn.json_at(j, k) AS CASE WHEN json_type(j::JSON) = 'ARRAY' THEN json_extract(j::JSON, k) END;
CREATE OR REPLACE MACRO bough_fn.json_at_text(j, k) AS bough_fn.json_text(bough_fn.json_at(j, k));
CREATE OR REPLACE MACRO bough_fn.json_any(j, k) AS json_extract(j::JSON, k);
CREATE OR REPLACE MACRO bough_fn.json_any_text(j, k) AS bough_fn.json_text(json_extract(j::JSON, k));
CREATE OR REPLACE MACRO bough_fn.json_path(j, p) AS json_extract(j::JSON, bough_fn.path(p));
CREATE OR REPLACE MACRO bough_fn.json_path_text(j, p) AS bough_fn.json_text(json_extract(j::JSON, bough_fn.path(p)));
CREATE OR REPLACE MACRO bough_fn.contains(a JSON, b JSON) AS json_contains(a, b), (a, b) AS a @> b;
CREATE OR REPLACE MACRO bough_fn.json_has(j, k) AS CASE json_type(j::JSON) WHEN 'OBJECT' THEN json_exists(j::JSON, '/' || replace(replace(k, '~', '~0'), '/', '~1')) WHEN 'ARRAY' THEN list_contains(json_extract(j::JSON, '$[*]'), to_json(k)) WHEN 'VARCHAR' THEN bough_fn.json_text(j::JSON) = k ELSE CASE WHEN j IS NOT NULL THEN false END END;
CREATE OR REPLACE MACRO bough_fn.json_has_any(j, ks) AS CASE WHEN j IS NOT NULL THEN len(list_filter(ks, lambda k: bough_fn.json_has(j, k))) > 0 END;
CREATE OR REPLACE MACRO bough_fn.json_has_all(j, ks) AS CASE WHEN j IS NOT NULL THEN len(list_filter(ks, lambda k: NOT bough_fn.json_has(j, k))) = 0 END;
CREATE OR REPLACE MACRO bough_fn.json_typeof(j) AS CASE json_type(j::JSON) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE CASE WHEN j IS NOT NULL THEN 'number' END END;
CREATE OR REPLACE MACRO bough_fn.json_array_length(j) AS json_array_length(j::JSON)::INTEGER;
CREATE OR REPLACE MACRO bough_fn.json_elements(j) AS json_extract(j::JSON, '$[*]');
CREATE OR REPLACE MACRO bough_fn.json_elements_text(j) AS list_transform(json_extract(j::JSON, '$[*]'), lambda x: bough_fn.json_text(x));
CREATE OR REPLACE MACRO bough_fn.json_object_keys(j) AS json_keys(j::JSON);
CREATE OR REPLACE MACRO bough_fn.json_members(j) AS list_transform(json_keys(j::JSON), lambda k: json_extract(j::JSON, bough_fn.key(k)));
CREATE OR REPLACE MACRO bough_fn.json_members_text(j) AS list_transform(json_keys(j::JSON), lambda k: bough_fn.json_text(json_extract(j::JSON, bough_fn.key(k))));
CREATE OR REPLACE MACRO bough_fn.json_list(j) AS CASE WHEN json_type(j) = 'ARRAY' THEN json_extract(j, '$[*]') ELSE [j] END;
CREATE OR REPLACE MACRO bough_fn.json_pairs(j, ks) AS list_transform(ks, lambda k: to_json(k) || ':' || json_extract(j, bough_fn.key(k)));
CREATE OR REPLACE MACRO bough_fn.json_concat_of(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN json_type(a) = 'OBJECT' AND json_type(b) = 'OBJECT' THEN ('{' || array_to_string(list_concat(bough_fn.json_pairs(a, list_filter(json_keys(a), lambda k: NOT json_exists(b, bough_fn.key(k)))), bough_fn.json_pairs(b, json_keys(b))), ',') || '}')::JSON ELSE to_json(list_concat(bough_fn.json_list(a), bough_fn.json_list(b))) END;
CREATE OR REPLACE MACRO bough_fn.json_concat(a, b) AS bough_fn.json_concat_of(a::JSON, b::JSON);
CREATE OR REPLACE MACRO bough_fn.json_minus(j, k VARCHAR) AS CASE WHEN json_type(j::JSON) = 'ARRAY' THEN to_json(list_filter(json_extract(j::JSON, '$[*]'), lambda x: NOT (json_type(x) = 'VARCHAR' AND bough_fn.json_text(x) = k))) WHEN json_type(j::JSON) <> 'OBJECT' THEN error('cannot delete from scalar') ELSE json_remove(j::JSON, bough_fn.key(k)) END, (j, k VARCHAR[]) AS CASE WHEN json_type(j::JSON) = 'ARRAY' THEN to_json(list_filter(json_extract(j::JSON, '$[*]'), lambda x: NOT (json_type(x) = 'VARCHAR' AND list_contains(k, bough_fn.json_text(x))))) WHEN j IS NOT NULL AND k IS NOT NULL THEN ('{' || array_to_string(bough_fn.json_pairs(j::JSON, list_filter(json_keys(j::JSON), lambda x: NOT list_contains(k, x))), ',') || '}')::JSON END, (j, k) AS CASE WHEN json_type(j::JSON) = 'OBJECT' THEN error('cannot delete from object using integer index') ELSE json_remove(j::JSON, CASE WHEN k < 0 THEN '$[#' || k || ']' ELSE '$[' || k || ']' END) END;
CREATE OR REPLACE MACRO bough_fn.json_place(p) AS CASE WHEN len(list_filter(p, lambda x: regexp_full_match(x, '-[0-9]+'))) = 0 THEN bough_fn.path(p) ELSE '$' || array_to_string(list_transform(p, lambda x: CASE WHEN regexp_full_match(x, '-[0-9]+') THEN '[#' || x || ']' WHEN regexp_full_match(x, '[0-9]+') THEN '[' || x || ']' ELSE '."' || x || '"' END), '') END;
CREATE OR REPLACE MACRO bough_fn.json_minus_path(j, p) AS CASE WHEN len(p) = 0 THEN j::JSON WHEN j IS NOT NULL AND p IS NOT NULL THEN json_remove(j::JSON, bough_fn.json_place(p)) END;
CREATE OR REPLACE MACRO bough_fn.json_put(j, p, v, c) AS CASE WHEN j IS NULL OR p IS NULL OR v IS NULL OR c IS NULL THEN NULL WHEN len(p) = 0 OR (len(p) > 1 AND NOT json_exists(j::JSON, bough_fn.json_place(p[:-2]))) THEN j::JSON WHEN c THEN json_set(j::JSON, bough_fn.json_place(p), v::JSON) ELSE json_replace(j::JSON, bough_fn.json_place(p), v::JSON) END;
CREATE OR REPLACE MACRO bough_fn.json_list_with(a, i, v) AS to_json(list_concat(list_concat(list_slice(a::JSON[], 1, i), [v]), list_slice(a::JSON[], i + 1, len(a))));
CREATE OR REPLACE MACRO bough_fn.json_gap(n, i, later) AS least(greatest(CASE WHEN i < 0 THEN n + i ELSE i END + CASE WHEN later THEN 1 ELSE 0 END, 0), n);
CREATE OR REPLACE MACRO bough_fn.json_insert_at(j, p, v, later, parent) AS CASE json_type(parent) WHEN 'OBJECT' THEN CASE WHEN json_exists(j, bough_fn.json_place(p)) THEN error('cannot replace existing key') ELSE json_set(j, bough_fn.json_place(p), v) END WHEN 'ARRAY' THEN CASE WHEN len(p) = 1 THEN bough_fn.json_list_with(json_extract(j, '$[*]'), bough_fn.json_gap(json_array_length(j)::INTEGER, p[-1]::INTEGER, later), v) ELSE json_replace(j, bough_fn.json_place(p[:-2]), bough_fn.json_list_with(json_extract(parent, '$[*]'), bough_fn.json_gap(json_array_length(parent)::INTEGER, p[-1]::INTEGER, later), v)) END ELSE j END;
CREATE OR REPLACE MACRO bough_fn.json_insert(j, p, v, later) AS CASE WHEN j IS NULL OR p IS NULL OR v IS NULL OR later IS NULL THEN NULL WHEN len(p) = 0 THEN j::JSON ELSE bough_fn.json_insert_at(j::JSON, p, v::JSON, later, CASE WHEN len(p) = 1 THEN j::JSON ELSE json_extract(j::JSON, bough_fn.json_place(p[:-2])) END) END;
CREATE OR REPLACE MACRO bough_fn.json_member(k, v) AS to_json(k) || ':' || coalesce(to_json(v), 'null');
CREATE OR REPLACE MACRO bough_fn.json_of_texts(a) AS ('{' || array_to_string(list_transform(range(1, len(a) + 1, 2), lambda i: bough_fn.json_member(a[i], a[i + 1])), ',') || '}')::JSON, (a, b) AS ('{' || array_to_string(list_transform(range(1, len(a) + 1), lambda i: bough_fn.json_member(a[i], b[i])), ',') || '}')::JSON;
CREATE OR REPLACE MACRO bough_fn.unwrapped(j) AS CASE json_type(j) WHEN 'ARRAY' THEN json_extract(j, '$[*]') ELSE [j] END;
CREATE OR REPLACE MACRO bough_fn.path_elements(l) AS flatten(list_transform(l, lambda x: bough_fn.unwrapped(x)));
CREATE OR REPLACE MACRO bough_fn.path_key(l, k) AS list_filter(list_transform(bough_fn.path_elements(l), lambda x: bough_fn.json_key(x, k)), lambda x: x IS NOT NULL);
CREATE OR REPLACE MACRO bough_fn.path_members(l) AS flatten(list_transform(bough_fn.path_elements(l), lambda x: CASE json_type(x) WHEN 'OBJECT' THEN json_extract(x, '$.*') ELSE [] END));
CREATE OR REPLACE MACRO bough_fn.path_at(l, n) AS list_filter(list_transform(l, lambda x: bough_fn.unwrapped(x)[n + 1]), lambda x: x IS NOT NULL);
CREATE OR REPLACE MACRO bough_fn.path_start(j) AS CASE WHEN j IS NOT NULL THEN [j::JSON] END;
CREATE OR REPLACE MACRO bough_fn.path_kind(j) AS CASE WHEN json_type(j) IN ('BIGINT', 'UBIGINT', 'DOUBLE', 'HUGEINT') THEN 'n' ELSE json_type(j) END;
CREATE OR REPLACE MACRO bough_fn.path_compared(a, op, b) AS CASE WHEN a IS NULL THEN false WHEN bough_fn.path_kind(a) <> bough_fn.path_kind(b) THEN op = '!=' AND 'NULL' IN (json_type(a), json_type(b)) WHEN op = '==' THEN CASE bough_fn.path_kind(a) WHEN 'n' THEN (a ->> '$')::DOUBLE = (b ->> '$')::DOUBLE ELSE (a ->> '$') IS NOT DISTINCT FROM (b ->> '$') END WHEN op = '!=' THEN CASE bough_fn.path_kind(a) WHEN 'n' THEN (a ->> '$')::DOUBLE <> (b ->> '$')::DOUBLE ELSE (a ->> '$') IS DISTINCT FROM (b ->> '$') END WHEN bough_fn.path_kind(a) = 'n' THEN CASE op WHEN '<' THEN (a ->> '$')::DOUBLE < (b ->> '$')::DOUBLE WHEN '<=' THEN (a ->> '$')::DOUBLE <= (b ->> '$')::DOUBLE WHEN '>' THEN (a ->> '$')::DOUBLE > (b ->> '$')::DOUBLE ELSE (a ->> '$')::DOUBLE >= (b ->> '$')::DOUBLE END ELSE CASE op WHEN '<' THEN (a ->> '$') < (b ->> '$') WHEN '<=' THEN (a ->> '$') <= (b ->> '$') WHEN '>' THEN (a ->> '$') > (b ->> '$') ELSE (a ->> '$') >= (b ->> '$') END END;
CREATE OR REPLACE MACRO bough_fn.path_any(l, op, v) AS len(list_filter(bough_fn.path_elements(l), lambda y: coalesce(bough_fn.path_compared(y, op, v), false))) > 0;
CREATE OR REPLACE MACRO bough_fn.path_where(l, op, v) AS list_filter(bough_fn.path_elements(l), lambda x: bough_fn.path_any([x], op, v)), (l, k, op, v) AS list_filter(bough_fn.path_elements(l), lambda x: bough_fn.path_any(bough_fn.path_key([x], k), op, v));
CREATE OR REPLACE MACRO bough_fn.json_same(j) AS json_normalize(j::JSON);
-- the era stands behind all of it
CREATE OR REPLACE MACRO bough_fn.with_era(x, t) AS CASE WHEN x < '0001-01-01' AND isfinite(x) THEN replace(t, ' (BC)', '') || ' BC' ELSE t END;
CREATE OR REPLACE MACRO bough_fn.with_t(x, t) AS CASE WHEN x < '0001-01-01' AND isfinite(x) THEN replace(replace(t, ' (BC)', ''), ' ', 'T') || ' BC' ELSE replace(t, ' ', 'T') END;
CREATE OR REPLACE MACRO bough_fn.date_json(x) AS bough_fn.with_era(x, x::VARCHAR);
CREATE OR REPLACE MACRO bough_fn.moment_json(x) AS bough_fn.with_t(x, x::VARCHAR);
CREATE OR REPLACE MACRO bough_fn.zoned_json(x) AS bough_fn.with_t(x, regexp_replace(x::VARCHAR, '([+-][0-9][0-9])$', '\1:00'));
CREATE OR REPLACE MACRO bough_fn.dates_json(a) AS list_transform(a, lambda x: bough_fn.date_json(x));
CREATE OR REPLACE MACRO bough_fn.moments_json(a) AS list_transform(a, lambda x: bough_fn.moment_json(x));
CREATE OR REPLACE MACRO bough_fn.zoneds_json(a) AS list_transform(a, lambda x: bough_fn.zoned_json(x));

-- dates
CREATE OR REPLACE MACRO bough_fn.interval_over(i, n) AS "/"(i, n);
CREATE OR REPLACE MACRO bough_fn.date_trunc(f, x DATE) AS date_trunc(f, x)::TIMESTAMPTZ, (f, x) AS date_trunc(f, x);
-- what a zone that is an offset makes of it; the era of a text stands behind the date to the engine, which passes over zones
CREATE OR REPLACE MACRO bough_fn.at_offset(i, x) AS timezone('UTC', x) + i * CASE typeof(x) WHEN 'TIMESTAMP' THEN -1 ELSE 1 END;
CREATE OR REPLACE MACRO bough_fn.moment_text(s) AS CASE WHEN regexp_matches(s, '(?i)(bc|ad)\s*$') THEN regexp_replace(s, '(?i)^\s*(\d{4,6}-\d\d?-\d\d?)[tT]?(.*?)\s*(bc|ad)\s*$', CASE WHEN regexp_matches(s, '(?i)bc\s*$') THEN '\1 (BC) \2' ELSE '\1 \2' END) WHEN regexp_matches(s, '[A-Za-z]{2,}\s*$') AND s::TIMESTAMPTZ IS NULL THEN NULL ELSE s END;
CREATE OR REPLACE MACRO bough_fn.part(f, x) AS CASE lower(f) WHEN 'epoch' THEN epoch(x)::DOUBLE WHEN 'second' THEN date_part('microseconds', x) / 1e6 WHEN 'seconds' THEN date_part('microseconds', x) / 1e6 WHEN 'millisecond' THEN date_part('microseconds', x) / 1e3 WHEN 'milliseconds' THEN date_part('microseconds', x) / 1e3 ELSE date_part(f, x)::DOUBLE END;
CREATE OR REPLACE MACRO bough_fn.time_minus(a, b) AS to_microseconds(epoch_us(a) - epoch_us(b));
CREATE OR REPLACE MACRO bough_fn.date_bin(i, x, origin) AS time_bucket(i, x, origin);
-- there is no year 0: -1 is 1 BC, which the engine counts as 0
CREATE OR REPLACE MACRO bough_fn.era_year(y) AS CASE WHEN y > 0 THEN y WHEN y < 0 THEN y + 1 WHEN y = 0 THEN error('date field value out of range: 0')::INTEGER END;
CREATE OR REPLACE MACRO bough_fn.make_date(y, m, d) AS make_date(bough_fn.era_year(y), m, d);
CREATE OR REPLACE MACRO bough_fn.make_timestamp(y, m, d, h, mi, s) AS make_timestamp(bough_fn.era_year(y), m, d, h, mi, s);
CREATE OR REPLACE MACRO bough_fn.make_interval(years := 0, months := 0, weeks := 0, days := 0, hours := 0, mins := 0, secs := 0) AS to_months(years * 12 + months) + to_days(weeks * 7 + days) + to_hours(hours) + to_minutes(mins) + to_microseconds((secs * 1000000)::BIGINT);
-- the first century began with the year 1
CREATE OR REPLACE MACRO bough_fn.date_trunc_years(f, x) AS date_trunc(f, x - INTERVAL 1 YEAR) + INTERVAL 1 YEAR;
CREATE OR REPLACE MACRO bough_fn.months_in(i) AS date_part('year', i) * 12 + date_part('month', i);
CREATE OR REPLACE MACRO bough_fn.days_in(i) AS date_part('day', i);
CREATE OR REPLACE MACRO bough_fn.micros_in(i) AS (date_part('hour', i) * 3600 + date_part('minute', i) * 60) * 1000000 + date_part('microseconds', i);
CREATE OR REPLACE MACRO bough_fn.interval_of(m, d, t) AS to_months(m::INTEGER) + to_days(d::INTEGER) + to_microseconds(t::BIGINT);
CREATE OR REPLACE MACRO bough_fn.hours_signed(m, d, t) AS CASE WHEN d > 0 AND t < 0 THEN bough_fn.interval_of(m, d - 1, t + 86400000000) WHEN d < 0 AND t > 0 THEN bough_fn.interval_of(m, d + 1, t - 86400000000) ELSE bough_fn.interval_of(m, d, t) END;
CREATE OR REPLACE MACRO bough_fn.days_signed(m, d, t) AS CASE WHEN m > 0 AND (d < 0 OR (d = 0 AND t < 0)) THEN bough_fn.hours_signed(m - 1, d + 30, t) WHEN m < 0 AND (d > 0 OR (d = 0 AND t > 0)) THEN bough_fn.hours_signed(m + 1, d - 30, t) ELSE bough_fn.hours_signed(m, d, t) END;
CREATE OR REPLACE MACRO bough_fn.months_signed(m, d, t) AS CASE WHEN m > 0 AND d < 0 THEN bough_fn.interval_of(m - 1, d + 30, t) WHEN m < 0 AND d > 0 THEN bough_fn.interval_of(m + 1, d - 30, t) ELSE bough_fn.interval_of(m, d, t) END;
CREATE OR REPLACE MACRO bough_fn.justify_days(i) AS bough_fn.months_signed(bough_fn.months_in(i) + date_part('day', i) // 30, date_part('day', i) % 30, bough_fn.micros_in(i));
CREATE OR REPLACE MACRO bough_fn.justify_hours(i) AS bough_fn.hours_signed(bough_fn.months_in(i), date_part('day', i) + bough_fn.micros_in(i) // 86400000000, bough_fn.micros_in(i) % 86400000000);
CREATE OR REPLACE MACRO bough_fn.days_and_time(i) AS date_part('day', i) + bough_fn.micros_in(i) // 86400000000;
CREATE OR REPLACE MACRO bough_fn.justify_interval(i) AS bough_fn.days_signed(bough_fn.months_in(i) + bough_fn.days_and_time(i) // 30, bough_fn.days_and_time(i) % 30, bough_fn.micros_in(i) % 86400000000);
CREATE OR REPLACE MACRO bough_fn.period_end(s, e INTERVAL) AS s + e, (s, e) AS e;
CREATE OR REPLACE MACRO bough_fn.later_of(s, e) AS CASE WHEN s IS NOT NULL AND e IS NOT NULL THEN greatest(s, e) END;
CREATE OR REPLACE MACRO bough_fn.overlapping(a, b, c, d) AS CASE WHEN a > c THEN CASE WHEN d IS NULL THEN NULL WHEN a < d THEN true WHEN b IS NOT NULL THEN false END WHEN a < c THEN CASE WHEN b IS NULL THEN NULL WHEN c < b THEN true WHEN d IS NOT NULL THEN false END WHEN a = c AND b IS NOT NULL AND d IS NOT NULL THEN true END;
CREATE OR REPLACE MACRO bough_fn.overlaps(a, b, c, d) AS bough_fn.overlapping(least(a, bough_fn.period_end(a, b)), bough_fn.later_of(a, bough_fn.period_end(a, b)), least(c, bough_fn.period_end(c, d)), bough_fn.later_of(c, bough_fn.period_end(c, d)));
CREATE OR REPLACE MACRO bough_fn.places(x, n) AS CASE WHEN isfinite(x) THEN time_bucket(to_microseconds(power(10, 6 - n)::BIGINT), x + to_microseconds((power(10, 6 - n) / 2)::BIGINT - CASE WHEN x < TIMESTAMP '2000-01-01' THEN 1 ELSE 0 END)) ELSE x END;
CREATE OR REPLACE MACRO bough_fn.month_number(x) AS extract(month FROM x);

-- conditions
CREATE OR REPLACE MACRO bough_fn.num_nulls(a) AS len(list_filter(a, lambda x: x IS NULL))::INTEGER;
CREATE OR REPLACE MACRO bough_fn.num_nonnulls(a) AS len(list_filter(a, lambda x: x IS NOT NULL))::INTEGER;
CREATE OR REPLACE MACRO bough_fn.to_bool(s) AS CASE WHEN lower(trim(s)) IN ('on', 'yes', 'y', 't', 'tr', 'tru', 'true', '1') THEN true WHEN lower(trim(s)) IN ('off', 'no', 'n', 'f', 'fa', 'fal', 'fals', 'false', '0') THEN false ELSE s::BOOLEAN END;

-- numbers as text: to_char(number, 'FM999,990.00') with the pattern already read
CREATE OR REPLACE MACRO bough_fn.pad_to(s, n, c) AS lpad(s, greatest(n, length(s))::INTEGER, c);
CREATE OR REPLACE MACRO bough_fn.number_fraction(x, decimals) AS CASE WHEN decimals > 0 THEN right(printf('%.*f', decimals, CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN abs(x)::DOUBLE ELSE round(abs(x), decimals)::DOUBLE END), decimals + 1) ELSE '' END;
CREATE OR REPLACE MACRO bough_fn.number_whole(x, decimals, grouped, zeros) AS CASE WHEN zeros = 0 AND decimals > 0 AND round(abs(x), decimals) < 1 THEN '' WHEN grouped THEN format('{:,}', trunc(round(abs(x), decimals))::BIGINT) ELSE bough_fn.pad_to(trunc(round(abs(x), decimals))::HUGEINT::VARCHAR, zeros, '0') END;
CREATE OR REPLACE MACRO bough_fn.number_text(x, decimals, grouped, width, zeros) AS CASE WHEN x IS NULL THEN NULL ELSE bough_fn.pad_to(CASE WHEN x < 0 THEN '-' ELSE '' END || bough_fn.number_whole(x, decimals, grouped, zeros) || bough_fn.number_fraction(x, decimals), width, ' ') END;
-- what has more digits than the pattern is shown as ###; trailing nines of a fraction show no zeros
CREATE OR REPLACE MACRO bough_fn.number_shown(x, decimals, grouped, width, zeros, digits, hashes) AS CASE WHEN digits > 0 AND round(abs(x), decimals) >= power(10, digits) THEN bough_fn.pad_to(CASE WHEN x < 0 THEN '-' ELSE '' END || hashes, width, ' ') ELSE bough_fn.number_text(x, decimals, grouped, width, zeros) END;
CREATE OR REPLACE MACRO bough_fn.number_bare(t) AS CASE WHEN t IN ('.', '-.') THEN replace(t, '.', '0.') ELSE t END;
CREATE OR REPLACE MACRO bough_fn.number_trimmed(t, p) AS bough_fn.number_bare(regexp_replace(t, p, ''));
CREATE OR REPLACE MACRO bough_fn.two_digits(n) AS CASE WHEN n < 0 THEN '-' ELSE '' END || CASE WHEN abs(n) < 10 THEN '0' ELSE '' END || abs(n);
