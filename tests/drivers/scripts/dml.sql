=== insert forms
create table t (id int primary key, v text default 'd', n int);;
create table s (id int, v text);;
insert into s values (10,'x'),(11,'y'),(12,null);;
insert into t values (1,'a',1),(2,'b',2),(3,'c',3);;
--run
insert into t values (4,'q',4);;
insert into t default values;;
insert into t (id) values (5);;
insert into t (n,id) values (6,6) returning *;;
insert into t select id, v from s returning id, v, n;;
insert into t select id, v from s;;
insert into t values (1,'dup',0);;
insert into t values (7,'p',7),(7,'q',7);;
insert into t values (20,'x',1),(2,'dup',0);;
insert into t (id,v) values (21, default) returning v;;
insert into t select * from t where id > 100;;
insert into t select id+100, v, n from t returning id;;
insert into t (id, nosuch) values (1,1);;
insert into t (id) values (1,2);;
insert into t (id, v) values (1);;
insert into t values ('x');;
insert into nosuch values (1);;
insert into t (id) values (null);;
with x as (select 300 as id) insert into t (id) select id from x returning id;;
insert into t (id,id) values (400,401);;
select count(*) from t;;
=== upserts
create table t (id int primary key, v text, n int default 0, constraint tv unique (v));;
insert into t values (1,'a',1),(2,'b',2),(3,'c',3);;
--run
insert into t values (1,'z',9) on conflict do nothing;;
insert into t values (1,'z',9) on conflict (id) do nothing returning *;;
insert into t values (1,'a2',9),(4,'d',4) on conflict (id) do update set v = excluded.v, n = t.n + excluded.n returning *;;
insert into t values (9,'b',9) on conflict (v) do update set n = t.n + 100 returning id, n;;
insert into t values (9,'b',9) on conflict on constraint tv do update set n = t.n + 100 returning id, n;;
insert into t values (9,'b',9) on conflict (id) do update set n = 5;;
insert into t values (2,'q',9) on conflict (id) do update set id = 50 where t.n > 1000;;
insert into t values (2,'q',9) on conflict (id) do update set id = 50 returning *;;
insert into t values (50,'q',9),(50,'r',9) on conflict (id) do update set n = 1;;
insert into t values (60,'q6',9),(60,'r6',9) on conflict (id) do nothing;;
insert into t values (60,'q6',9) on conflict (n) do nothing;;
insert into t select id, v||'!', n from t on conflict (id) do update set v = excluded.v;;
insert into t values (null,'x',1) on conflict do nothing;;
select * from t order by id;;
=== updates
create table t (id int primary key, v text, n int);;
create table s (id int, k int);;
insert into t values (1,'a',1),(2,'b',2),(3,'c',3),(4,null,null);;
insert into s values (1,10),(2,20),(2,21);;
--run
update t set n = n + 1 where id = 1;;
update t set n = n + 1;;
update t set v = 'x' where v is null returning *;;
update t set n = s.k from s where s.id = t.id and s.id = 1 returning t.id, t.n;;
-- here: 0A000
update t set n = s.k from s where s.id = t.id and s.id = 1 returning t.id, s.k;;
update t as a set n = a.n * 2 from t b where b.id = a.id + 1;;
update t set (v, n) = ('pair', 7) where id = 3;;
update t set id = id + 100 where id <= 2;;
update t set id = 101 where id = 102;;
update t set v = default where id = 3;;
update t set n = (select max(n) from t) where id = 3 returning n;;
update t set n = (select count(*) from s where s.id = t.id);;
update t set nosuch = 1;;
update t set n = 'x';;
update t set id = null where id = 3;;
update only t set n = 0 where id = 3;;
with x as (select 3 as id) update t set n = 99 from x where x.id = t.id returning t.*;;
update t set n = n where false;;
update t set n = 5 where id in (select id from t where n > 0) and v is not null;;
select * from t order by id;;
=== deletes
create table t (id int primary key, v text, n int);;
create table s (id int, k int);;
insert into t select g, 'v'||g, g%5 from generate_series(1,50) g;;
insert into s values (1,10),(2,20),(2,21);;
--run
delete from t where id = 1 returning *;;
delete from t using s where s.id = t.id;;
delete from t using s as q where q.id + 5 = t.id returning t.id;;
delete from t where n = 3;;
delete from t where id in (select id from t order by id desc limit 3) returning id;;
delete from t where random() < -1;;
with d as (select 30 as id) delete from t using d where d.id = t.id returning t.id;;
delete from t where not exists (select 1 from s);;
delete from t;;
insert into t values (1,'again',1);;
delete from only t;;
select count(*) from t;;
truncate t;;
insert into t values (1,'again',1);;
truncate table t, s restart identity;;
select count(*) from s;;
truncate nosuch;;
=== merge
create table t (id int primary key, v text, n int);;
create table s (id int, v text, n int);;
insert into t values (1,'a',1),(2,'b',2),(3,'c',3);;
insert into s values (2,'B',20),(3,null,30),(4,'D',40);;
--run
merge into t using s on s.id = t.id when matched then update set v = s.v, n = t.n + s.n when not matched then insert values (s.id, s.v, s.n);;
merge into t using (select 4 as id) x on x.id = t.id when matched then delete;;
merge into t as a using s as b on a.id = b.id when matched and b.v is null then delete when matched then do nothing when not matched then insert (id, n) values (b.id, b.n);;
merge into t using s on true when matched then update set n = 1;;
merge into t using s on s.id = t.id when matched then update set id = 1;;
select * from t order by id;;
=== data modifying ctes
create table t (id int primary key, v text);;
insert into t values (1,'a'),(2,'b');;
--run
-- here: 0A000
with d as (delete from t where id = 1 returning *) select * from d;;
select * from t order by id;;
=== copy
create table t (id int primary key, v text, n int default 5);;
insert into t values (1,'a',1);;
--run
copy t from stdin
2	b	2
3	\N	3;;
copy t (id, v) from stdin with (format csv)
4,"q,q"
5,;;
copy t from stdin
6	b	2
1	dup	3;;
copy t from stdin
7	b;;
select * from t order by id;;
=== transactions
create table t (id int primary key, v text);;
insert into t values (1,'a'),(2,'b');;
--run
begin;;
insert into t values (3,'c');;
update t set v = 'z' where id = 1;;
delete from t where id = 2;;
select * from t order by id;;
rollback;;
select * from t order by id;;
begin;;
insert into t values (3,'c');;
update t set v = v||'2';;
delete from t where id = 3;;
insert into t values (3,'c2');;
update t set id = 5 where id = 3;;
commit;;
select * from t order by id;;
begin;;
insert into t values (3,'c');;
insert into t values (3,'c');;
select 1;;
commit;;
select * from t order by id;;
begin;;
truncate t;;
insert into t values (3,'c');;
rollback;;
begin; truncate t;;
insert into t values (3,'c');;
commit;;
select * from t order by id;;
=== keys across layers
create table t (a int, b text, c int, primary key (a,b), unique (c));;
insert into t values (1,'x',10),(1,'y',11),(2,'x',12),(3,'z',null),(4,'z',null);;
--run
insert into t values (1,'x',99);;
insert into t values (9,'x',10);;
update t set c = 10 where a = 2;;
update t set b = 'y' where a = 1 and b = 'x';;
update t set a = 1, b = 'q' where a = 2;;
insert into t values (2,'x',12);;
delete from t where a = 1 and b = 'x';;
insert into t values (1,'x',10);;
update t set c = null where a = 1;;
insert into t values (8,'n',null),(9,'n',null);;
insert into t values (8,'m',12);;
update t set a = a where a = 1;;
update t set c = 13 - coalesce(c,0) where a = 3;;
select * from t order by a,b;;
=== keyless
create table t (a int, b text);;
insert into t values (1,'x'),(1,'x'),(2,null),(null,null);;
--run
update t set b = 'u' where a = 1;;
insert into t values (1,'u');;
delete from t where a = 2;;
delete from t where a is null returning *;;
insert into t select * from t;;
update t set a = 7 where b = 'u' returning a;;
=== generated and defaults
create table t (id int generated always as identity primary key, a int, b int generated always as (a * 2) stored, c int default 4, d text default 'x' || 'y');;
insert into t (a) values (1),(2);;
--run
insert into t (a) values (3) returning id, a, b, d;;
update t set a = 10 where id = 1 returning b;;
insert into t (b) values (3);;
update t set b = 3;;
update t set c = null, d = default where id = 2 returning d;;
alter table t drop column c;;
select * from t order by id;;
delete from t where b > 100;;
=== serial
create table t (id serial primary key, big bigserial, v text);;
insert into t (v) values ('a'),('b');;
--run
insert into t (v) values ('c') returning id, big;;
select currval('t_id_seq');;
select nextval('t_id_seq');;
select setval('t_id_seq', 50);;
insert into t (v) values ('d') returning id;;
begin; insert into t (v) values ('e'); rollback;;
insert into t (v) values ('f') returning id;;
select pg_get_serial_sequence('t','id');;
truncate t restart identity;;
insert into t (v) values ('g') returning id;;
drop sequence t_id_seq;;
