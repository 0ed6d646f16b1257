=== odd names
create table "Select" ("from" int primary key, "a""b" text, "ünï ☃" text default 'd', "x y" int);;
create schema "My Schema";;
create table "My Schema"."T" ("ID" serial primary key, "Ref" int references "Select" on delete cascade on update cascade);;
create view "v""w" as select * from "Select";;
create index "i x" on "Select" ("a""b");;
insert into "Select" values (1,'q','s',2),(2,null,null,3);;
insert into "My Schema"."T" ("Ref") values (1),(2);;
--run
select * from "v""w" order by "from";;
update "Select" set "a""b" = 'z' where "from" = 1 returning *;;
update "Select" set "from" = 10 where "from" = 1;;
select * from "My Schema"."T" order by "ID";;
delete from "Select" where "from" = 10;;
select * from "My Schema"."T" order by "ID";;
insert into "Select" ("from","x y") values (2, 9) on conflict ("from") do update set "x y" = excluded."x y" returning "x y";;
alter table "Select" rename column "x y" to "order";;
alter table "Select" add column "group" int default 4 check ("group" > 0);;
alter table "Select" rename column "a""b" to "c""d";;
select * from "v""w" order by "from";;
alter table "Select" rename to "table";;
select * from "table" order by "from";;
alter table "My Schema"."T" rename to "таблица";;
insert into "My Schema"."таблица" ("Ref") values (77);;
insert into "My Schema"."таблица" ("Ref") values (2) returning *;;
create table aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg (x int);;
insert into aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg values (1);;
create table "T" (a int);;
insert into "T" values (1);;
merge into "table" as t using (values (2, 5)) as s(i, n) on s.i = t."from" when matched then update set "order" = s.n;;
select * from "table" order by "from";;
truncate "table" cascade;;
comment on column "table"."order" is 'it''s';;
drop view "v""w";;
alter table "table" drop column "c""d";;
drop schema "My Schema" cascade;;
select * from "table";;
=== case
create table t (a int primary key);;
create table "T" (a int primary key, b text);;
insert into t values (1);;
insert into "T" values (5,'x');;
--run
select * from t;;
select * from "T";;
update "T" set b = 'y';;
insert into t values (2);;
delete from t where a = 1;;
select * from t order by a;;
select * from "T" order by a;;
drop table t;;
select * from "T" order by a;;
create index i on "T" (b);;
create schema s;;
-- here: 0A000
create schema "S";;
create table s.x (i int);;
insert into s.x values (1);;
select * from s.x;;
create sequence q;;
create sequence "Q" start 50;;
select nextval('q');;
select nextval('"Q"');;
select * from s.x;;
-- here: 42939
create table _bough_old_5 (a int);;
-- here: 42939
alter table "T" rename to _bough_t;;
-- here: 42939
alter table "T" rename b to _bough_ver;;
-- here: 42939
alter table "T" add column _bough_ver int;;
