"""Queries whose values PostgreSQL and we must agree on, as text. One a line; ``--`` begins a comment."""

from __future__ import annotations

SETUP = """
CREATE TABLE t (id integer PRIMARY KEY, a integer, b bigint, c numeric(10,2), d double precision, s text,
 f boolean, ts timestamp, dt date);
INSERT INTO t VALUES (1, 7, 10, 1.50, 0.5, 'alpha', true, '2024-01-31 10:20:30', '2024-01-31'),
 (2, -7, 20, 2.25, 1.5, 'Beta', false, '2023-12-01 00:00:01', '2023-12-01'),
 (3, NULL, 30, NULL, NULL, NULL, NULL, NULL, NULL),
 (4, 2, -40, 100.00, -2.5, 'a b,c', true, '2024-02-29 23:59:59', '2024-02-29');
CREATE TABLE u (id integer, t_id integer, j json, arr integer[]);
INSERT INTO u VALUES (1, 1, '{"a":{"b":[5,6]},"s":"x","n":null}', ARRAY[1,2,3]),
 (2, 1, '[1,"two",null]', ARRAY[]::integer[]), (3, 2, NULL, NULL);
"""

EXPRESSIONS = r"""
5/2
-7/2
7/-2
5.0/2 = 2.5
5/2.0 = 2.5
5 % 3
-5 % 3
2^3
2^0.5 > 1.41
1+2*3
10/3*3
1e3
1.5 + 1
7::bigint/2
7::smallint/2::smallint
mod(7,-2)
div(7,2)
abs(-5)
ceil(1.2)
ceiling(-1.2)
floor(-1.5)
round(2.5)
round(-2.5)
round(1.005,2)
round(1234.567,-2)
trunc(2.567,2)
trunc(-2.5)
sign(-3)
sqrt(16)
cbrt(27)::int
power(2,10)
ln(1)
exp(0)
log(100)
log(2,8)
gcd(12,18)
lcm(4,6)
factorial(5)
degrees(pi())
width_bucket(5.35,0.024,10.06,5)
greatest(1,NULL,3)
least(2,1)
2.5::int
3.5::int
-2.5::int
2.5::numeric::int
'12'::int
' 12 '::int
'1.5'::numeric(4,1)
'abc'::varchar(2)
'abcdef'::varchar
'a'::char(1)
true::int
1::boolean
't'::boolean
'yes'::boolean
'on'::boolean
'off'::boolean
true::text
false::text
123::text
1.50::text
'2024-01-31'::date
'2024-01-31 10:00'::timestamp
date '2024-01-31' + 1
date '2024-03-01' - date '2024-02-01'
date '2024-01-31' + interval '1 month'
timestamp '2024-01-31 10:00' + interval '1 day 2 hours'
timestamp '2024-01-31 10:00' - timestamp '2024-01-30'
interval '1 day' * 2
interval '1 day' / 2
extract(year from date '2024-01-31')
extract(dow from date '2024-01-28')
extract(isodow from date '2024-01-28')
extract(doy from date '2024-02-01')
extract(week from date '2024-01-31')
extract(quarter from date '2024-05-31')
extract(epoch from timestamp '2024-01-01')
extract(second from timestamp '2024-01-01 00:00:01.5')
extract(hour from timestamp '2024-01-01 07:00:01')
date_part('month', date '2024-01-31')
date_part('epoch', interval '1 day')
date_trunc('month', timestamp '2024-01-31 10:00')
date_trunc('hour', timestamp '2024-01-31 10:20')
date_trunc('week', timestamp '2024-01-31 10:20')
date_trunc('day', timestamp '2024-01-31 10:20') = timestamp '2024-01-31'
age(timestamp '2024-03-01', timestamp '2024-01-31')
make_date(2024,1,31)
make_timestamp(2024,1,31,1,2,3.5)
make_interval(days => 3)
to_char(timestamp '2024-01-31 14:05:06', 'YYYY-MM-DD HH24:MI:SS')
to_char(timestamp '2024-01-31 14:05:06', 'DD Mon YYYY')
to_char(timestamp '2024-01-31 14:05:06', 'HH12:MI AM')
to_char(timestamp '2024-01-31 14:05:06.123', 'MS')
to_char(date '2024-01-05', 'FMDD.FMMM.YYYY')
to_char(date '2024-01-05', 'YYYY"W"IW')
to_char(1234.5, 'FM999,999.00')
to_char(1234.5, '999,999.00')
to_char(0.5, 'FM0.00')
to_char(0.5, 'FM9.00')
to_char(-5, 'FM000')
to_char(5, '000')
to_char(1234567, 'FM9,999,999')
to_date('31.01.2024', 'DD.MM.YYYY')
to_date('20240131', 'YYYYMMDD')
to_number('1,234.5', '9,999.9')
to_timestamp(0) = timestamptz '1970-01-01 00:00:00+00'
timestamp '2024-01-31 10:00' at time zone 'UTC' = timestamptz '2024-01-31 10:00+00'
timestamptz '2024-01-31 10:00+00' at time zone 'Europe/Berlin'
isfinite(date '2024-01-01')
date_bin('15 minutes', timestamp '2024-01-31 10:20', timestamp '2000-01-01')
'a' || 'b'
'a' || NULL
1 || 'a'
'a' || 1
'a' || 1.5
'x' || true
length('häß')
char_length('abc')
octet_length('häß')
bit_length('ab')
upper('abc')
lower('AB')
initcap('hello woRLD-x')
left('abc',2)
left('abc',-1)
right('abc',2)
right('abc',-1)
substring('abcdef' from 2 for 3)
substring('abcdef', 0, 3)
substr('abcdef', 3)
substr('abcdef', -2, 5)
substring('foobar' from 'o(.)b')
substring('foobar' from 'o.b')
substring('foobar' from 'zzz')
position('c' in 'abc')
strpos('abc','z')
overlay('abcdef' placing 'XX' from 2)
overlay('abcdef' placing 'XX' from 2 for 3)
trim('  a ')
trim(both 'x' from 'xax')
trim(leading 'x' from 'xax')
trim(trailing 'x' from 'xax')
btrim('xyax','xy')
ltrim('  a')
rtrim('a  ')
lpad('a',3)
lpad('a',3,'x')
lpad('abc',2)
rpad('a',3,'xy')
repeat('ab',3)
reverse('abc')
replace('abcabc','b','x')
translate('abc','ab','x')
split_part('a,b,c',',',2)
split_part('a,b,c',',',-1)
split_part('a,b,c',',',9)
concat('a',NULL,1,true)
concat_ws(',','a',NULL,'b')
ascii('a')
chr(65)
md5('abc')
to_hex(255)
encode('abc'::bytea,'hex')
encode('abc'::bytea,'base64')
decode('616263','hex')
'\x6162'::bytea
quote_ident('A b')
quote_ident('abc')
quote_ident('select')
quote_literal('it''s')
quote_nullable(NULL)
format('%s is %I and %L%%', 'a', 'B c', 'd''e')
starts_with('abc','ab')
regexp_replace('aAa','a','x')
regexp_replace('aAa','a','x','g')
regexp_replace('aAa','a','x','gi')
regexp_replace('abc','(b)','<\1>')
regexp_match('foobar','o(.)b')
regexp_match('foobar','ob')
regexp_split_to_array('a b c',' ')
'abc' ~ 'B'
'abc' ~* 'B'
'abc' !~ 'b'
'abc' !~* 'B'
'abc' like 'a%'
'abc' like 'a\%'
'a%' like 'a\%'
'abc' not like '_b_'
'ABC' ilike 'a%'
'abc' similar to 'a%'
'abc' similar to '(a|x)(b|c)_'
'a.c' similar to 'a.c'
'abc' similar to 'a.c'
E'a\tb'
E'it''s'
$$it's$$
ARRAY[1,2,3]
ARRAY[1,NULL]
'{1,2,3}'::int[]
'{"a b",NULL,c}'::text[]
'{}'::int[]
array_length(ARRAY[1,2],1)
array_length('{}'::int[],1)
array_upper(ARRAY[1,2],1)
array_lower(ARRAY[1,2],1)
cardinality(ARRAY[1,2])
cardinality('{}'::int[])
(ARRAY[1,2,3])[2]
(ARRAY[1,2,3])[9]
(ARRAY[1,2,3])[1:2]
array_to_string(ARRAY[1,NULL,3],',')
array_to_string(ARRAY[1,NULL,3],',','*')
string_to_array('a,b,c',',')
string_to_array('a,,c',',','')
string_to_array('',',')
array_append(ARRAY[1],2)
array_prepend(0,ARRAY[1])
array_cat(ARRAY[1],ARRAY[2])
ARRAY[1] || ARRAY[2]
array_position(ARRAY['a','b'],'b')
array_position(ARRAY['a','b'],'z')
array_remove(ARRAY[1,2,1],1)
array_replace(ARRAY[1,2,1],1,9)
array_positions(ARRAY[1,2,1],1)
ARRAY[1,2] @> ARRAY[1]
ARRAY[1] <@ ARRAY[1,2]
ARRAY[1,2] && ARRAY[2,3]
1 = ANY(ARRAY[1,2])
3 = ANY('{1,2}'::int[])
3 = ANY('{1,2,3}')
1 <> ALL(ARRAY[2,3])
1 = ALL(ARRAY[1,1])
NOT (5 = ANY(NULL::int[]))
5 = ANY(NULL::int[]) IS NULL
5 <> ALL(NULL::int[])
NOT (5 = ANY(ARRAY[1,NULL]))
5 = ANY('{}'::int[])
'12:00+02'::timetz::text
timetz '9:05-03:30' = timetz '9:05:00-03:30'
'12:00:00.5 +2'::timetz::text
time with time zone '12:00Z' = '12:00:00+00'
'12:00 +0530'::time
2 IN (1,2)
2 NOT IN (1,3)
NULL IN (1,2)
5 BETWEEN 1 AND 10
5 BETWEEN SYMMETRIC 10 AND 1
1 IS DISTINCT FROM NULL
NULL IS NOT DISTINCT FROM NULL
(1,2) = (1,2)
(1,2) < (1,3)
NULL::int IS NULL
NOT true
true AND NULL
false AND NULL
true OR NULL
(1=1) IS TRUE
(NULL::boolean) IS UNKNOWN
CASE WHEN 1=1 THEN 'x' ELSE 'y' END
CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END
coalesce(NULL,2)
nullif(1,1)
num_nulls(1,NULL,NULL)
'{"a":{"b":1}}'::json -> 'a' -> 'b'
'{"a":{"b":1}}'::json -> 'a' ->> 'b'
'{"a":"x"}'::json ->> 'a'
'{"a":null}'::json ->> 'a'
'{"a":1}'::json -> 'z'
'[1,2,3]'::json -> 1
'[1,2,3]'::json ->> -1
'[1,2,3]'::json -> 9
'{"a.b":5}'::json ->> 'a.b'
'{"$x":5}'::json ->> '$x'
'{"a/b":5}'::json ->> 'a/b'
'{"a":{"b":[5,6]}}'::json #> '{a,b,1}'
'{"a":{"b":[5,6]}}'::json #>> '{a,b,0}'
json_extract_path_text('{"a":{"b":1}}','a','b')
'{"a":1,"b":2}'::jsonb @> '{"a":1}'::jsonb
'{"a":1}'::jsonb ? 'a'
'{"a":1}'::jsonb ? 'b'
'{"a":1,"b":2}'::jsonb ?| array['x','b']
'{"a":1,"b":2}'::jsonb ?& array['a','b']
json_typeof('[1]'::json)
jsonb_typeof('"x"'::jsonb)
jsonb_typeof('1.5'::jsonb)
json_array_length('[1,2]'::json)
current_date = now()::date
now() - interval '1 day' < now()
current_timestamp = now()
'now'::timestamp is not null
pg_catalog.lower('ABC')
'a' operator(pg_catalog.=) 'a'
'a' collate "C" < 'b'
1::int4 + 1::int8
12345678901234567890::numeric
0.1::numeric + 0.2::numeric
0.1::float8 + 0.2::float8
1::float8/3
'NaN'::float8
'Infinity'::float8
1.0::float8
10000000000::float8
-0.5::float4
2147483647::bigint + 1
exists(select 1)
exists(select 1 where false)
(select 5)
array(select generate_series(1,3))
row(1,'a') = row(1,'a')
'2024-01-31'::date > '2024-01-30'
'10:30'::time
time '10:30' + interval '1 hour'
'a1b2c3d4-e5f6-7890-abcd-ef1234567890'::uuid
interval '2 months 3 days'
interval '90 minutes'
'1 day'::interval
bit_and(7)
7 & 3
4 | 1
7 # 2
~1
1 << 4
16 >> 2
|/ 16.0
initcap(lower(trim(substr('  HELLO world', 1, 8))))
length(lpad(initcap('abc'), length('abcdef')))
'5'::text::int::numeric(4,1)
coalesce('{"a":{"b":[1,2]}}'::json -> 'a' -> 'b' ->> 1, 'none')
((8/3)/2)::int * (7/2)
upper(left(split_part('ab,cd', ',', 2), 1)) || lower(right('XYZ', 2))
array_to_string(string_to_array('a b', ' '), length('ab')::text)
(select max(x.n) from (select count(*) as n from (select 1) q) x)
(select x.count from (select count(*) from (select 1) q) x)
to_char(date_trunc('month', '2024-05-17'::timestamp), 'YYYY-MM')
sqrt(ln(exp(16)))::int
"""

QUERIES = r"""
SELECT a FROM t ORDER BY a
SELECT a FROM t ORDER BY a DESC
SELECT a FROM t ORDER BY a DESC NULLS LAST
SELECT a, b FROM t ORDER BY b DESC, a
SELECT count(*), count(a), sum(a), sum(b), min(a), max(b) FROM t
SELECT sum(c), avg(a)::numeric(10,4), avg(d) FROM t
SELECT sum(a)/count(a) FROM t
SELECT sum(a)/2 FROM t
SELECT sum(a) FILTER (WHERE a > 0), count(*) FILTER (WHERE f) FROM t
SELECT sum(DISTINCT a) FROM t
SELECT string_agg(s, ',' ORDER BY s) FROM t WHERE id < 3
SELECT string_agg(s, ',' ORDER BY id DESC) FROM t
SELECT array_agg(id ORDER BY id DESC) FROM t
SELECT array_agg(a ORDER BY a) FROM t
SELECT bool_and(f), bool_or(f), every(f) FROM t
SELECT stddev(d)::numeric(10,6), variance(d)::numeric(10,6), stddev_pop(d)::numeric(10,6) FROM t
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY b) FROM t
SELECT percentile_cont(0.3) WITHIN GROUP (ORDER BY c), percentile_cont(0.3) WITHIN GROUP (ORDER BY c DESC) FROM t
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a::numeric(5,0)) FROM t WHERE id < 3
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY c) FROM t WHERE id < 3
SELECT percentile_cont(ARRAY[0.25,0.6]) WITHIN GROUP (ORDER BY c) FILTER (WHERE id <> 2) FROM t
SELECT id, 1 = ANY(arr), 1 <> ALL(arr), NOT 1 = ANY(arr) FROM u ORDER BY id
SELECT id FROM u WHERE NOT (1 = ANY(arr)) ORDER BY id
SELECT id FROM u WHERE 1 <> ALL(arr) OR id = 3 AND 9 > ALL(arr) ORDER BY id
SELECT u.id FROM u JOIN t ON t.id <> ALL(u.arr) AND NOT t.id = ANY(arr) ORDER BY 1
SELECT mode() WITHIN GROUP (ORDER BY f) FROM t
SELECT f, count(*) FROM t GROUP BY f ORDER BY f
SELECT f, count(*) FROM t GROUP BY 1 HAVING count(*) > 1 ORDER BY 2
SELECT f, id, sum(b) FROM t GROUP BY GROUPING SETS ((f),(id),()) ORDER BY 1,2,3
SELECT f, sum(b), grouping(f) FROM t GROUP BY ROLLUP(f) ORDER BY 1,3
SELECT id, row_number() OVER (ORDER BY b DESC), rank() OVER (ORDER BY f) FROM t ORDER BY id
SELECT id, sum(b) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t ORDER BY id
SELECT lag(a) OVER w, lead(a, 1, 0) OVER w, first_value(a) OVER w FROM t WINDOW w AS (ORDER BY id)
SELECT id, sum(a) OVER (PARTITION BY f ORDER BY id) FROM t ORDER BY id
SELECT DISTINCT f FROM t ORDER BY f
SELECT DISTINCT ON (f) f, id FROM t ORDER BY f, id DESC
SELECT t.id, u.id FROM t LEFT JOIN u ON u.t_id = t.id ORDER BY 1, 2
SELECT t.id, u.id FROM t JOIN u USING (id) ORDER BY 1
SELECT t.id, x.n FROM t, LATERAL (SELECT count(*) AS n FROM u WHERE u.t_id = t.id) x ORDER BY 1
SELECT * FROM generate_series(1, 5)
SELECT * FROM generate_series(1, 10, 3) AS g
SELECT g FROM generate_series(5, 1, -2) g
SELECT g.n FROM generate_series(1, 3) AS g(n)
SELECT generate_series(1, 3)
SELECT generate_series(1, 3) AS n
SELECT g::date FROM generate_series(timestamp '2024-01-30', timestamp '2024-02-02', interval '1 day') AS g
SELECT g::date FROM generate_series('2024-01-30'::date, '2024-02-02'::date, '1 day') AS g
SELECT unnest(ARRAY[1,2,3])
SELECT * FROM unnest(ARRAY['a','b']) AS x
SELECT * FROM unnest(ARRAY['a','b']) WITH ORDINALITY AS x(v, n)
SELECT u.id, x FROM u, unnest(u.arr) AS x ORDER BY 1, 2
SELECT * FROM (VALUES (1,'a'),(2,'b')) AS v(n, s) ORDER BY n
SELECT column1, column2 FROM (VALUES (1,'a'),(2,'b')) AS v
VALUES (1,'a'),(2,'b')
VALUES (2),(1) ORDER BY 1
WITH x AS (SELECT 1 AS n) SELECT n + 1 FROM x
WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n * 2 FROM r WHERE n < 50) SELECT n FROM r ORDER BY n
WITH x AS MATERIALIZED (SELECT id FROM t) SELECT count(*) FROM x
WITH x AS NOT MATERIALIZED (SELECT id FROM t) SELECT count(*) FROM x
SELECT id FROM t UNION SELECT id FROM u ORDER BY 1
SELECT id FROM t EXCEPT SELECT id FROM u ORDER BY 1
SELECT id FROM t INTERSECT SELECT id FROM u ORDER BY 1
SELECT id FROM t UNION ALL SELECT id FROM u ORDER BY 1 LIMIT 3
SELECT id FROM t ORDER BY id LIMIT 2 OFFSET 1
SELECT id FROM t ORDER BY id OFFSET 2 ROWS FETCH FIRST 1 ROWS ONLY
SELECT id FROM t ORDER BY id FETCH NEXT 2 ROWS ONLY
SELECT id FROM t ORDER BY id LIMIT ALL
SELECT id FROM t WHERE s LIKE 'a%' ORDER BY id FOR UPDATE
SELECT id FROM t WHERE id = ANY(ARRAY[1,2]) ORDER BY id
SELECT id FROM t WHERE id = ANY('{1,3}') ORDER BY id
SELECT id FROM t WHERE id IN (SELECT t_id FROM u) ORDER BY id
SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id) ORDER BY id
SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id) ORDER BY id
SELECT id FROM t WHERE (a, b) = (7, 10)
SELECT id FROM t WHERE a IS NULL
SELECT id FROM t WHERE s ~ '^[a-z]' ORDER BY id
SELECT id FROM t WHERE c / 2 > 1 ORDER BY id
SELECT id, a / 2, b / 4, b % 7 FROM t ORDER BY id
SELECT id, c::int, d::int FROM t ORDER BY id
SELECT id, round(c), round(c, 1) FROM t ORDER BY id
SELECT id, extract(month FROM ts), date_trunc('month', ts) FROM t ORDER BY id
SELECT id, to_char(ts, 'YYYY-MM') FROM t ORDER BY id
SELECT id, ts + interval '1 month', dt + 1 FROM t ORDER BY id
SELECT id, ts::date, ts::time FROM t ORDER BY id
SELECT dt - lag(dt) OVER (ORDER BY id) FROM t WHERE dt IS NOT NULL ORDER BY id
SELECT id, j -> 'a' ->> 'b', j ->> 's', j #>> '{a,b,0}' FROM u ORDER BY id
SELECT id, arr[1], array_length(arr, 1), cardinality(arr) FROM u ORDER BY id
SELECT json_array_elements('[1,2]'::json)::text
SELECT value FROM json_array_elements_text('["a","b"]'::json)
SELECT e.v FROM json_array_elements_text('["a","b"]'::json) AS e(v)
SELECT regexp_split_to_table('a,b', ',')
SELECT s, split_part(s, ',', 1), upper(s), length(s) FROM t ORDER BY id
SELECT coalesce(s, 'none') || '-' || id FROM t ORDER BY id
SELECT CASE WHEN a > 0 THEN 'pos' WHEN a < 0 THEN 'neg' END FROM t ORDER BY id
SELECT max(s), min(s) FROM t WHERE id IN (1, 4)
SELECT "id" AS "Id", ID FROM T ORDER BY 1 LIMIT 1
SELECT count(*) FROM t TABLESAMPLE BERNOULLI (100)
SELECT count(*) FROM t a CROSS JOIN u b
SELECT x.id FROM (SELECT * FROM t) AS x ORDER BY x.id
SELECT (SELECT max(id) FROM u WHERE u.t_id = t.id) FROM t ORDER BY t.id
SELECT array(SELECT id FROM t ORDER BY id)
SELECT avg(a) > 0, sum(d) FROM t
SELECT t FROM (SELECT 1 AS t) AS q
SELECT null AS n, '' AS e
SELECT id::text FROM t GROUP BY id ORDER BY 1
SELECT a::text, a + 1 FROM t WHERE a > 0 ORDER BY 2
SELECT a::text, sum(b) FROM t GROUP BY a ORDER BY 2
SELECT date_trunc('month', ts)::date, count(*) FROM t WHERE ts IS NOT NULL GROUP BY 1 ORDER BY 1
SELECT date_trunc('year', ts), count(*) FROM t GROUP BY date_trunc('year', ts) ORDER BY 1
SELECT max(a) + 1, max(a) FROM t HAVING count(*) > 1
SELECT a % 2, count(*) FROM t GROUP BY a % 2 ORDER BY a % 2
SELECT upper(s) FROM t GROUP BY s ORDER BY s
SELECT DISTINCT upper(left(s, 1)) FROM t ORDER BY upper(left(s, 1))
SELECT count(*) FROM t HAVING sum(a) > 100
SELECT id, sum(a) FROM t GROUP BY id ORDER BY sum(a) DESC, id
SELECT x.a, sum(x.b) AS s FROM t AS x GROUP BY x.a ORDER BY s
SELECT id FROM t ORDER BY a / 2 DESC, id
SELECT coalesce(sum(a), 0) FROM t WHERE false
SELECT id, sum(a) OVER (PARTITION BY f), sum(b) FILTER (WHERE b > 0) OVER (ORDER BY id) FROM t ORDER BY id
SELECT length(max(s)), octet_length(min(s)), date_trunc('month', max(ts)) FROM t
SELECT length(lag(s) OVER (ORDER BY id)) FROM t ORDER BY id
SELECT length(string_agg(s, ',')) FROM t
SELECT sum(length(s)), sum(array_length(arr, 1)) FROM t JOIN u ON u.t_id = t.id
SELECT extract(year FROM max(ts)) FROM t
SELECT s, sum(a) FROM t GROUP BY s HAVING sum(a) > 0 ORDER BY sum(a)
SELECT sum(sum(a)) OVER (ORDER BY f) FROM t GROUP BY f ORDER BY 1
SELECT true, false
SELECT corr(b, d)::numeric(10,6), regr_slope(b, d)::numeric(10,6) FROM t
"""


def lines(text: str) -> list[str]:
    """The lines of a corpus."""
    return [line for line in text.strip().splitlines() if line and not line.startswith("--")]


def queries() -> list[str]:
    """All of it, as statements."""
    return [f"SELECT {line}" for line in lines(EXPRESSIONS)] + lines(QUERIES)
