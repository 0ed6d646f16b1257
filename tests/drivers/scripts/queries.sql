=== functions that the catalog has as well
create table t (id int primary key, name text, tags text[]);;
insert into t values (1, 'a b', array['x', 'y', 'x']), (2, 'it''s', null), (3, null, '{}'), (4, 'select', array['x', null]);;
--run
select id, quote_ident(name), quote_literal(name), quote_nullable(name) from t order by id;;
select id, array_remove(tags, 'x'), array_remove(tags, null) from t order by id;;
select quote_ident(relname), relname || quote_literal(relname) from pg_class where relname = 't';;
select format('%I is %L', name, name) from t where id < 3 order by id;;
update t set tags = array_remove(tags, 'y'), name = quote_literal(name) where quote_nullable(name) <> 'NULL';;
create view v as select id, quote_ident(name) as q, array_remove(tags, 'x') as r from t;;
select * from v order by id;;

=== members of json as arguments
create table t (id int primary key, j jsonb);;
insert into t values (1, '{"a": {"b": [1, "two", null]}, "n": null}'), (2, '{"a": 5}'), (3, null), (4, '[{"k": "x", "v": 1.5}, {"k": "y"}]');;
--run
select id, jsonb_typeof(j), jsonb_typeof(j -> 'a'), jsonb_typeof(j -> 'n'), jsonb_array_length(j -> 'a' -> 'b') from t where id < 4 order by id;;
select id, coalesce(j -> 'a' -> 'b' ->> 1, 'none'), concat(j -> 'a' -> 'b' ->> 0, '!'), j ?| array['z', 'a'], j ?& array['a', 'n'] from t order by id;;
select id, e from t, jsonb_array_elements(j -> 'a' -> 'b') as e where id = 1;;
select e ->> 'k', (e ->> 'v')::numeric from t, jsonb_array_elements(j) as e where id = 4;;
select id, (select sum((e ->> 'v')::numeric) from jsonb_array_elements(j) as e) from t where id = 4;;
select value ->> 'k' from t, jsonb_array_elements(j) where id = 4;;
select e.value ->> 'k' from t, jsonb_array_elements(j) as e where id = 4;;
delete from t where jsonb_typeof(j -> 'a') = 'number';;

=== aggregates of BI tools
create table t (id int primary key, kind text, qty int, big bigint, d double precision);;
insert into t select g, case g % 3 when 0 then 'a' when 1 then 'b' end, g % 7, g * 10, g / 4.0 from (select g::int as g from generate_series(1, 40) as g) as s;;
--run
select string_agg(distinct kind, ',' order by kind), string_agg(distinct kind, '/' order by kind desc) from t;;
select kind, json_agg(id order by id desc), jsonb_agg(qty order by id) filter (where qty > 3) from t group by kind order by kind;;
select json_agg(kind order by id) filter (where id > 100), json_agg(id) filter (where id = 3) from t;;
select json_object_agg(id, kind order by id desc) filter (where id < 4), jsonb_object_agg(id, qty) filter (where id < 3) from t;;
select id, json_agg(id) filter (where qty > 1) over (order by id rows 1 preceding) from t order by id;;
select json_agg(json_build_object('id', id, 'k', kind) order by id) from t where id < 4;;
select kind, count(*) * 100 / sum(count(*)) over () from t group by kind order by kind;;
select kind, sum(qty) * 100 / sum(sum(qty)) over (), sum(d) / sum(sum(d)) over () from t group by kind order by kind;;
select kind, sum(count(*) + 1) over (order by kind) / 2, sum(max(qty)) over () / 4 from t group by kind order by kind;;
select sum(distinct qty) / 4, sum(distinct big) / 7, sum(distinct qty) filter (where id < 5) / 4, sum(distinct d) from t;;
select kind, sum(abs(sum(qty) - 3)) over () / 7, sum(case when count(*) > 13 then count(*) end) over () / 4 from t group by kind order by kind;;
select sum(n) / 7 from (select sum(big) as n from t group by kind) as s;;

=== patterns and intervals
create table t (id int primary key, name text, day date);;
insert into t values (1, 'Ann 12', '2024-01-31'), (2, 'bob 7', '2023-02-15'), (3, null, null), (4, '%_', '2024-12-01');;
--run
select id, regexp_match(name, '(\w+) (\d+)'), (regexp_match(name, '([a-z]+) ([(]|\d)'))[2], regexp_match(name, 'ANN', 'i'), regexp_match(name, '(?:\w+) (\d)') from t order by id;;
select id, name like any (array['A%', '%7']), name ilike all ('{%b%,b__%}'), name not like all (array['A%', 'b%']) from t order by id;;
select id from t where name like any (array['a%', '\%\_']) order by id;;
select id, (date_trunc('month', day) + interval '1 month - 1 day')::date, day + '1 year - 2 months'::interval from t order by id;;
select id, count(*) over (order by day range between '400 days' preceding and '1 month' following) from t where day is not null order by id;;
update t set day = (date_trunc('month', day) + interval '1 month - 1 day')::date where name ilike any (array['a%', 'B%']);;

=== functions in FROM
create table t (id int primary key, j jsonb, name text, d date);;
insert into t values (1, '{"i": [{"k": 1}, {"k": 2}]}', 'a b', '2024-01-01'), (2, '{"i": []}', 'c', '2024-02-01'), (3, null, null, null);;
--run
select id, x ->> 'k' from t cross join lateral jsonb_array_elements(j -> 'i') as x order by id, 2;;
select id, x ->> 'k' from t left join lateral jsonb_array_elements(j -> 'i') as x on true order by id, 2;;
select id, x ->> 'k', n from t, lateral jsonb_array_elements(j -> 'i') with ordinality as e (x, n) order by id, n;;
select id, value ->> 'k', ordinality from t, jsonb_array_elements(j -> 'i') with ordinality order by id, 3;;
select id, w from t cross join lateral regexp_split_to_table(name, ' ') as w order by id, w;;
select string_to_table from string_to_table('a,b', ',') order by 1;;
select d + g, g / 2, pg_typeof(g)::text from t, generate_series(1, 3) as g where id < 3 order by 1;;
select date '2024-01-01' + generate_series(0, 2);;
select d::date + s.n, s.n from generate_series(timestamp '2024-01-01', timestamp '2024-01-02', interval '1 day') as d, generate_series(-1, 1) as s (n) order by 1, 2;;
select * from generate_series(3, 1, -1) order by generate_series;;
insert into t (id, d) select g, date '2024-03-01' + g from generate_series(10, 12) as g;;
select g from generate_series(2147483646, 2147483649) as g order by g;;
create view v as select date '2024-01-01' + g as day, e ->> 'k' as k from generate_series(0, 1) as g, t cross join lateral jsonb_array_elements(j -> 'i') as e;;
select * from v order by day, k;;

=== members and joins of json objects
create table t (id int primary key, j jsonb, name text);;
insert into t values (1, '{"a": {"x": 1}, "b/c": "t", "n": null}', 'p'), (2, '{}', 'q'), (3, null, 'r'), (4, '[1, {"k": 2}]', 's');;
--run
select id, key, value from t, jsonb_each(j) where id < 4 order by id, key;;
select id, e.key, e.value ->> 'x' from t left join lateral jsonb_each(j) as e on true where id < 4 order by id, 2;;
select k, v from jsonb_each_text('{"a": 5, "b": null, "c": "d"}') as e (k, v) order by k;;
select id, k from t, jsonb_object_keys(j) as k where id < 4 order by id, k;;
select id, jsonb_object_keys(j) from t where id < 4 order by id, 2;;
select id from t where id < 4 and 'n' in (select jsonb_object_keys(j));;
select key, count(*) from t, jsonb_each_text(j) where id < 4 group by key order by key;;
select id, j || '{"a": {"y": 2}, "z": [1]}'::jsonb from t order by id;;
select id, j || jsonb_build_object('id', id, 'name', name) from t where id < 4 order by id;;
select id, '{"a": 0, "q": 1}'::jsonb || j || '[5]'::jsonb from t order by id;;
select id, name || '{"a":1}', coalesce(j, '{}') || '{"c": 1}'::jsonb, name || (j ->> 'b/c') from t order by id;;
update t set j = coalesce(j, '{}'::jsonb) || '{"new": true}'::jsonb where id < 4;;
update t set j = j || to_jsonb(name) where id = 4 returning j;;

=== session functions beside queries in WITH and FROM
create table t (id int primary key, name text);;
insert into t values (1, 'ab c'), (2, 'ab d'), (3, 'x y');;
--run
with a as (select id, name from t) select id, name, current_schema() is null from a order by id;;
with a as (select id from t) select a.id, current_database() is null from a join a as b on a.id = b.id order by 1;;
with a as (select id, quote_ident(name) as q from t), b as (select id, q from a) select a.id, b.q from a left join b on a.q = b.q order by 1;;
select x.id, current_user is null from (select id from (select id from t) as y) as x order by 1;;
with recursive r as (select id, name from t where id = 1 union all select t.id, r.name from t join r on t.id = r.id + 1) select id, name, current_user is null from r order by id;;
with c as (select relname, oid from pg_class) select count(*) from c join c as d using (oid) where d.relname = 't';;
select id, count(*) over (partition by substring(name from 1 for 2)), row_number() over (partition by substr(name, 1, 1) order by id) from t order by id;;
