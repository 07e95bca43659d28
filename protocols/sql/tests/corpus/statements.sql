-- Every kind of statement that PostgreSQL's grammar knows, at least once: one on each line.
-- They are for reading, not for running.

select * from people
select * from only secret
table people
select 1; select 2
select * from hr.people p, public."Orders" o join x.y using (id)
values (1, (select max(id) from people))
select * from a union all table b except (select * from c)
select * from db.hr.people
with people as (select * from people) select * from people
with recursive people as (select * from people) select * from people
with a as (select 1) select * from b where id in (with b as (select 1) select * from b)
select * from (with a as (select 1) select * from a) x, a
with a as (select * from b), b as (select 1) select * from a, b
with recursive a as (select * from b), b as (select 1) select * from a, b
with a as (select 1) select * from public.a
with t as (select 1) insert into t select * from t
with t as (select 1) delete from t using t as u where t.a = u.a
with t as (select 1) update t set a = 1 from t as u where true
with t as (select 1) merge into t using t as s on t.a = s.a when matched then delete
insert into people (id, ssn) values (1, $1) returning id
insert into people select * from staging
insert into people values (1) on conflict (id) do update set ssn = (select max(ssn) from secret) where people.id in (select id from other)
insert into people values (1) on conflict do nothing
update people set name = $1 where id = $2
update only people p set (a, b) = (select x, y from other) from third t where p.id = t.id returning *
update people set a = 1
delete from people
delete from people where id = 1 returning *
delete from people using orders o where o.id = people.id
delete from people where current of c
merge into people p using (select * from news) n on p.id = n.id when matched and n.gone then delete when matched then update set a = n.a when not matched then insert (id) values (n.id) returning p.*
truncate a, only hr.b restart identity cascade
with x as (delete from a where id = 1 returning *) delete from b
with x as (delete from a) delete from b where id = 1
delete from a where true
delete from a where 1 = 1
update a set b = 1 where current_date > $1
delete from a where exists (select 1 from b)
delete from a where id = id
delete from a where f()
create table a (id int primary key, b int references hr.b (id), like c including all) inherits (d)
create table a partition of b for values in (1)
create temp table t as select * from people
create table t as table people
create table t as execute q
select * into t from people
create unlogged table t (a int default nextval('s'), check (a in (1)))
create view v as select * from people
create or replace recursive view v (n) as select n from v
create materialized view m as select * from people
refresh materialized view concurrently m
create unique index concurrently i on people (lower(ssn)) where active
create rule r as on insert to people do also delete from log
create rule r as on select to v do instead select * from w
create trigger t after insert on people for each row when (new.id > 1) execute function audit()
create constraint trigger t after insert on people from other for each row execute function audit()
create policy p on people using (owner = current_user and id in (select id from granted))
alter policy p on people using (true)
create sequence s owned by people.id
create statistics st on a, b from people
create publication p for table people where (id > 1), hr.b
create publication p for all tables
alter publication p add table people
create publication p for tables in schema hr
create schema s create table t (a int) create view v as select * from people
create foreign table f (a int) server s
comment on column people.ssn is 'secret'
comment on table hr.people is null
security label on table people is 'x'
create type t as (a int)
create type e as enum ('a')
create domain d as int check (value > 1)
create function f(people.ssn%type) returns int language sql as 'select 1'
alter table hr.people add column a int, drop column b, add constraint c foreign key (a) references other
alter table only people rename ssn to x
alter table people rename to y
alter table a attach partition b for values from (1) to (2)
alter table a detach partition b
alter table a inherit b
alter table a set schema s
alter table a owner to bob
alter view v alter column a set default 1
alter materialized view m rename to n
alter index i rename to j
alter sequence s restart
alter table a rename constraint c to d
alter trigger t on people rename to u
alter table a disable trigger all
alter table all in tablespace a set tablespace b
alter table people enable row level security
alter type t add value 'x'
alter foreign table f add a int
alter view v rename column a to b
drop table a, hr.b, "C" cascade
drop view v
drop materialized view m
drop index hr.i
drop sequence s
drop foreign table f
drop trigger t on hr.people
drop rule r on people
drop policy p on people
drop function f(int)
drop schema s cascade
drop type t
drop owned by bob
drop extension e
drop database d
grant select (ssn), update on people, hr.b to bob
grant select on all tables in schema hr to bob
grant execute on function f(int) to bob
revoke all on people from public
grant admin to bob
revoke admin from bob
alter default privileges in schema s grant select on tables to bob
vacuum full people (a), b
vacuum
analyze people
cluster people using i
reindex table people
reindex index i
reindex database d
lock table people, b in access exclusive mode
checkpoint
copy people to stdout
copy people (id, ssn) from stdin
copy (select ssn from people) to stdout
copy people to '/tmp/x'
copy people from program 'curl x'
copy (delete from people returning *) to stdout
prepare p as delete from people
prepare p (int) as select * from people where id = $1
declare c cursor for select * from people
explain select * from people
explain analyze delete from people
explain (analyze false) delete from people
explain (analyze, analyze off) delete from people
explain (analyze 0, verbose) delete from people where f()
explain create table t as select * from people
explain execute p
execute p(1)
create function f() returns int begin atomic select id from people; end
create function f() returns int return (select max(id) from people)
select (select max(a) from t1), array(select a from t2), exists (select 1 from t3), 1 in (select a from t4), (1, 2) = any (select a, b from t5)
select case when a in (select 1 from t1) then (select 2 from t2) else (select 3 from t3) end from t0 order by (select 1 from t4) limit (select 1 from t5) offset (select 1 from t6)
select count(*) filter (where a in (select 1 from t1)) over (partition by (select 1 from t2) order by (select 1 from t3)) from t0 group by grouping sets ((a), (select 1 from t4)) having (select true from t5) window w as (order by (select 1 from t6))
select distinct on ((select 1 from t1)) 1 from t2
select * from rows from (f((select 1 from t1)), g()) as x, lateral (select * from t2) y, xmltable('/a' passing (select d from t3) columns b int path 'b' default (select 1 from t4)) z
select * from json_table((select j from t1), '$' columns (a int path '$.a')) jt, t2 tablesample bernoulli ((select 1 from t3))
select xmlelement(name x, (select a from t1)), json_object('a' : (select a from t2)), json_array(select a from t3), coalesce((select 1 from t4), greatest((select 1 from t5), 2)), (row(1, (select 1 from t6))).f1, a[(select 1 from t7)], (select b from t8)::text collate "C", nullif(1, (select 1 from t9)), a between (select 1 from t10) and (select 1 from t11), not (select true from t12), (select null from t13) is null, json_value('{}', '$' passing (select 1 from t14) as x default (select 1 from t15) on empty), json_arrayagg((select 1 from t16) order by (select 1 from t17)), xmlserialize(content (select x from t18) as text), f(a => (select 1 from t19))
select 1; delete from people
select 1; commit; update people set a = 1; begin
begin read only; select 1; rollback; drop table people
;;; select 1 ;; ;
set standard_conforming_strings = off
set "STANDARD_conforming_strings" to off
set local standard_conforming_strings = 0
reset standard_conforming_strings
set standard_conforming_strings to default
select set_config('standard_conforming_strings', 'off', false)
select pg_catalog.set_config('Standard_Conforming_Strings', $1, false)
set names 'SJIS'
set client_encoding to 'GBK'
set client_encoding = utf8
set standard_conforming_strings = on
select set_config('client_encoding', 'UTF8', false)
update pg_settings set setting = 'off' where name = 'standard_conforming_strings'
with x as (delete from people returning *) select * from x
with x as (insert into a select 1) select 1
with x as (update a set b = 1 returning b) table x
with x as (merge into a using b on true when matched then delete returning *) select 1
select * from (with y as (select 1) select * from y) z
select * from people for update
select * from people for no key update of people skip locked
select 1 where exists (select 1 from people for key share)
explain analyze insert into a values (1)
explain (analyze on) update a set b = 1
create view v as with x as (delete from people returning *) select * from x
copy (update a set b = 1 returning *) to stdout
insert into a values (1) returning (select 1)
with recursive c as (select 1) select * from c union all select * from c for share
select our_own()
select * from our_own() f
select 1 from a where our_own(b)
select * from rows from (generate_series(1, 2), our_own())
select public.lower(a) from b
select nextval('s'), currval('s'), setval('s', 1)
select pg_advisory_lock(1)
call p(1)
select lower(a), count(*), now(), coalesce(a, b), current_user, random() from b group by a
create index i on a (our_own(b))
alter table a add check (our_own(b))
select * from a tablesample our_own(1)
update a set b = our_own() where id = 1
select a from b order by our_own(a)
insert into a values (our_own())
select lo_unlink(1), lo_get(1)
select txid_current(), pg_sleep(1)
select pg_catalog.lower(a) collate "C" from b
select 'a'::regclass, a::our_type from b
do $$ begin execute 'drop table people'; end $$
call p()
execute q(1)
select query_to_xml('select 1', true, true, '')
select * from dblink('c', 'select 1') as t(a int)
select table_to_xml(U&'\0070eople'::regclass, true, true, '')
explain execute q
explain analyze execute q
create function f() returns void language plpgsql as 'begin end'
create procedure p() language sql begin atomic delete from people; end
select ts_stat('select 1')
prepare q as select query_to_xml('x', true, true, '')
refresh materialized view m
select * from crosstab('select 1') as t(a int)
import foreign schema a from server s into b
set role admin
set local role none
SET ROLE TO admin
set "role" = admin
set "ROLE" to default
reset role
set session authorization 'bob'
set session authorization default
reset session authorization
set session_authorization = bob
select set_config('role', 'admin', false)
select SET_CONFIG('Ro' || 'le', 'admin', false)
select set_config(setting_name => 'role', new_value => 'x', is_local => true)
insert into a select set_config('role', 'admin', false)
explain select set_config($1, $2, true)
select 1 where pg_catalog.set_config('session_authorization', 'x', false) is null
update pg_settings set setting = 'admin' where name = 'role'
update pg_catalog.pg_settings set setting = 'x'
set search_path to a, b
select set_config('search_path', 'a', false)
alter role bob set role = admin
alter role all in database d set search_path = x
alter database d set role to admin
alter user bob password 'x' superuser
create role bob login
reset all
discard all
discard temp
create function f() returns int language sql set role = admin as 'select 1'
set transaction isolation level serializable
set session characteristics as transaction read write
set time zone 'UTC'
show role
prepare p as select set_config('role', $1, false)
do $$ begin set role admin; end $$
copy people to program 'x'
copy people from '/etc/passwd'
copy (select 1) to '/tmp/x'
select pg_read_file('/etc/passwd')
select * from pg_ls_dir('.') d
select lo_import('/etc/passwd'), lo_export(1, '/x')
alter system set a = 'b'
alter system reset all
load 'x'
create extension dblink
alter extension e update
create subscription s connection 'host=x' publication p
alter subscription s disable
drop subscription s
create server s foreign data wrapper w
create foreign data wrapper w
create user mapping for bob server s options (password 'x')
alter server s options (set host 'x')
create tablespace t location '/x'
create database d
select pg_terminate_backend(1), pg_reload_conf()
select * from dblink('host=x', 'select 1') as t(a int)
create language plpython3u
create access method m type table handler h
notify c, 'x'
select pg_notify('c', ssn) from people
listen c
unlisten *
drop tablespace t
begin
start transaction read only
commit and chain
end
rollback
abort
savepoint a
rollback to a
release a
prepare transaction 'x'
commit prepared 'x'
rollback prepared 'x'
fetch all from c
move 1 in c
close c
close all
deallocate p
deallocate all
set constraints all deferred
show search_path
select ssn from people
select ssn as x, id from people
select p.ssn from people p
select people.ssn from people
select hr.people.ssn from hr.people
select p.*, 1 from people p
select a from (select ssn as a from people) q
select * from (select * from people) q
select q.ssn from (select * from people) q
select x from (select ssn from people) q(x)
with c as (select ssn from people) select * from c
with c(a, b) as (select id, ssn from people) select b from c
with c(a) as (select * from people) select a from c
select p.b from people as p(a, b)
insert into people values (1) returning ssn
update people set a = 1 returning *
delete from people returning people.ssn
merge into people p using n on true when matched then delete returning p.ssn
select b.* from people a join people b using (id)
select ssn from people a join other b on true
select * from people cross join (select 1 as one) q
with c as (delete from people returning ssn) select * from c
select x from lateral (select p.ssn as x from people p) q
update people set a = 1 returning old.ssn, new.ssn
select substr(ssn, 1, 3) from people
select ssn || '' from people
select ssn::varchar from people
select md5(p.ssn) from people p
select encode(ssn::bytea, 'base64') from people
select ascii(substr(ssn, i, 1)) from people, generate_series(1, 11) i
select max(ssn), count(*), count(ssn) from people
select array_agg(ssn order by id), string_agg(name, ssn) from people
select case when ssn like '1%' then 1 end from people
select rank() over (partition by ssn), rank() over w, 1 from people window w as (order by ssn)
select (select ssn from people limit 1)
select array(select ssn from people)
select exists (select 1 from people where ssn = $1)
select 1 from people where ssn = $1
select upper(a) from (select ssn as a from people) q
select upper(q.a) from (select ssn as a from people) q
with c(a, b) as (select id, ssn from people) select lower(b), lower(a) from c
with c(a) as (select *  from people) select lower(a) from c
select lower(b) from people as p(a, b)
select (ssn) from people
select ssn collate "C" from people
select array[ssn], row(ssn), (row(ssn)).f1, coalesce(ssn, name), greatest(1, ssn), nullif(ssn, name) from people
select json_object('a' : ssn), xmlelement(name x, ssn), json_array(ssn), json_arrayagg(ssn) from people
select 1 + 1, now(), current_user, $1
select ssn is null, ssn in ('a'), ssn between 'a' and 'b' from people
values (1, (select ssn from people))
select x from (values ((select ssn from people)), ('a')) v(x)
select column1 from (values ((select ssn from people))) v
select ssn = 'x' or id = 1 from people
select sum(length(ssn)) filter (where name = 'x') from people
select count(*) filter (where ssn like '1%') from people
select p from people p
select people from people
select row_to_json(p) from people p
select to_jsonb(p) ->> 'ssn' from people p
select p::text from people p
select (p).ssn from people p
select (p).* from people p
select p.row_to_json from people p
select (p).to_jsonb from people p
select p.hstore from people p
select row(p.*) from people p
select count(p) from people p
select array_agg(p) from people p
select q from (select ssn from people) q
with c as (select * from people) select c from c
select json_agg(q) from (select * from people) q
select x from (select p as x from people p) q
insert into people values (1) returning people
select max(p) from people p
select concat(p) from people p
select (select p from people p)
select p is null, p = p from people p
select old from (select 1) x, people old
select f()
select our_own(id) from people
select query_to_xml('select ssn from people', true, true, '')
select * from our_own()
select g from generate_series(1, 3) g
select * from generate_series(1, 3) g
select x from our_own() as x
select g.a from json_to_recordset($1) as g(a int)
select unnest(array[ssn]) from people
select * from unnest(array(select ssn from people)) u
select u from people, unnest(array[ssn]) u
select lo_get(1)
select nextval('s')
select ssn from people union all select ssn from people
select 1 union select 2
select * from (select ssn from people except select name from people) q
select x from (select ssn as x from people union all select 1) q
with recursive c as (select ssn from people union all select ssn from c) select * from c
select ssn from (select md5(ssn) as ssn from people) q
select x from people p, (select md5(ssn) as x from people) q
with people as (select 1 as ssn) select ssn from people
with people as (select 1 as ssn) select ssn from public.people
select p.x from other p, lateral (select p.ssn as x) q
select q.x from people p, lateral (select (select q.ssn) as x from (select p.ssn) q) q
select (select p.ssn from other p) from people p
select (select upper(ssn)) from people
select * from people natural full join others
select id from people full join others using (id)
select upper(id) from people full join others using (id)
select j.ssn from (people a join others b on true) as j
select j from (people a join others b on true) as j
select j.* from (people a full join others b using (ssn)) as j
select u.id from people join others using (id) as u
select * from xmltable('/a' passing (select x from people) columns b int) z
select jt.a from people, json_table(ssn, '$' columns (a int path '$')) jt
select ssn from people p where exists (select p.ssn from others p)
select nobody.ssn from people
insert into people values (1)
declare c cursor for select ssn from people
fetch c
explain select ssn from people
execute p
show all
prepare p as select ssn from people
create table t as select ssn from people
select a, p.b, q.c, x.y from people p, (select md5(ssn) as c from people) q where d = 1 group by e having f > 1 order by g
select * from people p join others using (id)
insert into people (a, b) select c, d from others on conflict (e) do update set f = excluded.g where people.h
update people p set a = b from others where c returning d
merge into people p using others o on p.a = o.b when matched then update set c = o.d when not matched then insert (e) values (o.f)
create index i on people (a, lower(b)) where c
create trigger t after insert on people for each row when (new.a > old.b) execute function f()
copy people (a, b) to stdout
grant select (a) on people to bob
select count(*) from people
create aggregate a (int) (sfunc = int4pl, stype = int, initcond = '0')
create operator === (leftarg = int, rightarg = int, function = int4eq)
create operator class c for type int using btree as operator 1 <, function 1 btint4cmp(int, int)
create operator family f using btree
alter operator family f using btree add operator 1 < (int, int)
alter operator === (int, int) set (restrict = eqsel)
create cast (text as int) with function f(text) as assignment
create cast (text as int) without function
create conversion c for 'UTF8' to 'LATIN1' from f
create transform for int language sql (from sql with function f(internal), to sql with function g(internal))
create collation c (provider = icu, locale = 'und')
alter collation c refresh version
create text search configuration c (copy = english)
create text search dictionary d (template = simple)
create text search parser p (start = f, gettoken = g, end = h, lextypes = i)
create text search template t (lexize = f)
alter text search configuration c add mapping for word with simple
alter text search dictionary d (stopwords = 'x')
create event trigger e on ddl_command_start when tag in ('DROP TABLE') execute function f()
alter event trigger e disable
create type r as range (subtype = float8)
create type s
create type b (input = f, output = g)
alter type t add attribute a int
alter type t set (receive = f)
alter domain d add check (value > 0)
alter domain d drop constraint c
alter function f(int) volatile
alter function f(int) set search_path = x
alter procedure p() security definer
alter function f(int) depends on extension e
alter index i no depends on extension e
alter function f(int) owner to bob
alter schema s rename to t
alter schema s owner to bob
alter database d rename to e
alter database d connection limit 1
alter database d refresh collation version
alter role bob rename to alice
alter group g add user bob
alter statistics s set statistics 10
alter tablespace t set (seq_page_cost = 1)
alter publication p set (publish = 'insert')
alter extension e add table t
alter foreign data wrapper w options (set a 'b')
alter server s version '2'
alter user mapping for bob server s options (set a 'b')
alter large object 1 owner to bob
alter language l owner to bob
alter aggregate a(int) rename to b
alter policy p on t rename to q
alter rule r on t rename to s
alter view v owner to bob
alter materialized view m set schema s
alter sequence s owner to bob
alter table t alter column a type text using a::text
alter table t replica identity full
drop aggregate a(int)
drop operator === (int, int)
drop operator class c using btree
drop operator family f using btree
drop cast (text as int)
drop conversion c
drop transform for int language sql
drop collation c
drop text search configuration c
drop text search dictionary d
drop text search parser p
drop text search template t
drop event trigger e
drop domain d
drop procedure p()
drop routine r()
drop language l
drop access method m
drop role bob
drop server s
drop foreign data wrapper w
drop user mapping for bob server s
drop publication p
drop statistics s
drop table if exists t
reassign owned by bob to alice
discard plans
discard sequences
comment on function f(int) is 'x'
comment on large object 1 is 'x'
comment on role bob is 'x'
comment on database d is 'x'
comment on trigger t on people is 'x'
comment on constraint c on people is 'x'
comment on constraint c on domain d is 'x'
comment on operator + (int, int) is 'x'
comment on type t is 'x'
comment on cast (text as int) is 'x'
comment on index hr.i is 'x'
comment on view v is null
security label for x on column a.b is 'c'
grant usage on schema s to bob
grant select on sequence s to bob
grant select on large object 1 to bob
grant connect on database d to bob
grant usage on type t to bob
grant set on parameter work_mem to bob
grant usage on foreign server s to bob
create recursive view hr.v (n) as select 1
create table t (a int, period int, exclude using gist (a with =) where (a > 1))
create table t (a int generated always as identity (start 5), b text storage plain compression pglz collate "C")
create table t partition of p (check (a > 1)) for values from (1) to (maxvalue)
create table t (a int) partition by range (lower(b), c collate "C")
create table t of ty (primary key (a))
create table t (like people) using heap with (fillfactor = 10) on commit drop tablespace x
create table t as select 1 with no data
create index on only t using gin (a gin_trgm_ops, (b || c) desc nulls last) include (d) with (fastupdate = off)
create sequence if not exists s increment 2 minvalue 1 cache 5 cycle owned by none
create or replace function f(a int default 1, out b text, variadic c int[]) returns setof record language sql stable strict cost 5 rows 10 support g set a = b as $$ select 1 $$
create procedure p(inout a int) language plpgsql as 'begin end'
create function f() returns trigger as 'lib', 'sym' language c
create function f() returns table (a int, b text) language sql begin atomic insert into t values (1); select 1, 'x'; end
insert into t default values
insert into t (a, b[1], c.d) overriding system value values (default, 1, 2)
with n as (values (1)) insert into t select * from n on conflict on constraint c do update set a = default returning *
update t set (a, b) = row(1, 2), c[1] = 2, d.e = 3 where current of k
delete from only t as x using u where x.a = u.a
merge into t using u on t.a = u.a when not matched by source then delete when not matched by target and u.b then insert default values when matched then do nothing
select distinct on (a) b, c from t where a like 'x%' escape '!' and b ilike 'y' or c similar to 'z' and d is distinct from e order by f using > nulls first limit all offset 1 rows
select a from t order by a fetch first 3 rows with ties
select count(*) over (partition by a order by b range between unbounded preceding and 1 following exclude ties), lag(a) over w from t window w as (partition by c rows 1 preceding)
select percentile_cont(0.5) within group (order by a), string_agg(distinct b, ',' order by b) filter (where c) from t group by rollup (a, b), cube (c), ()
select * from t1 natural left join t2 right join t3 using (a) as j full join t4 on true cross join lateral (select 1) q
select * from generate_series(1, 3) with ordinality as g(a, b), rows from (f(1) as (x int), g(2)) with ordinality
select extract(year from d), overlay(a placing b from 1 for 2), position(a in b), substring(a from 1 for 2), trim(both 'x' from a), normalize(a, nfc), a at time zone 'UTC', a at local, cast(a as int), (a, b) overlaps (c, d), a is normalized, a is document from t
select current_date, current_time(3), localtime, localtimestamp, current_role, user, session_user, system_user, current_catalog, current_schema
select grouping(a, b), array[[1, 2], [3, 4]], a[1:2], a[:], (b).c.d, row(1, 2), (1, 2) = (3, 4), not a, a isnull, b notnull, c is unknown, -d, @ e, f operator(pg_catalog.+) g from t
select xmlconcat(a, b), xmlelement(name n, xmlattributes(a as b), c), xmlforest(a, b as c), xmlparse(document d), xmlpi(name x, 'y'), xmlroot(e, version '1.0', standalone yes), xmlserialize(document f as text indent), xmlexists('/a' passing g) from t
select json_object('a' value 1 absent on null with unique keys returning jsonb), json_array(1, 2 null on null), json_objectagg(a : b), json_arrayagg(c order by d), json('{}' with unique keys), json_scalar(1), json_serialize('{}'), a is json object with unique keys from t
select json_exists(a, '$.x' passing 1 as y true on error), json_value(a, '$' returning int default 0 on empty error on error), json_query(a, '$' with wrapper omit quotes null on empty) from t
select * from json_table(j, '$[*]' as r columns (id for ordinality, a int path '$.a' default 1 on empty, b jsonb path '$.b' with wrapper keep quotes, c int exists path '$.c', nested path '$.d[*]' as n columns (e int path '$'))) jt
select * from xmltable(xmlnamespaces('http://x' as x), '/r' passing d columns a int path '@a' not null, b text default 'y', c for ordinality)
select * from t tablesample system (10) repeatable (5)
with recursive c(a, b) as (select 1, 2 union all select a + 1, b from c) search depth first by a set s cycle a set m to true default false using p select * from c
with a as materialized (select 1), b as not materialized (select 2) table a union distinct table b intersect all table a except table b
select * from t for update of t nowait for share of u skip locked
values (1, default), (2, 3)
(select 1) union (select 2 order by 1 limit 1)
explain (analyze, buffers, format json, costs off, wal, settings, summary, serialize text, memory, generic_plan) select 1
explain verbose insert into t select 1
prepare p (int, text) as values ($1, $2)
declare c scroll cursor with hold for select 1
fetch backward 2 from c
fetch absolute -1 from c
move forward all in c
copy t (a, b) from stdin with (format csv, header match, force_null (a), on_error ignore) where a > 1
copy t to stdout (format binary)
copy (values (1)) to stdout
begin isolation level serializable read only deferrable
begin work
start transaction
commit work and no chain
rollback work to savepoint a
release savepoint a
set transaction snapshot '1'
set a.b = 1, 'c', d
set local a to default
set xml option document
set x from current
reset a.b
show time zone
lock only t in share row exclusive mode nowait
vacuum (full, analyze, parallel 2) t
analyze verbose t (a, b)
cluster
cluster verbose
reindex (verbose, concurrently) schema s
reindex system d
create schema authorization bob
create schema if not exists s
create role r with superuser createdb in role a role b admin c connection limit 1
create group g
create publication p for table only t (a, b) where (a > 1) with (publish = 'insert')
alter publication p drop table t
alter subscription s refresh publication
alter subscription s set (slot_name = none)
alter default privileges for role r revoke execute on functions from public
import foreign schema s limit to (a, b) from server x into y options (z '1')
create foreign table f partition of p for values in (1) server s options (a 'b')
create trusted language l handler h inline i validator v
create or replace trigger t instead of insert or update of a, b or delete on v referencing old table as o new table as n for each statement execute procedure f('x')
create rule r as on update to t where old.a <> new.a do instead (insert into log values (new.a); notify c)
create statistics if not exists s (ndistinct, mcv) on a, (b + 1) from t
create policy p on t as restrictive for update to bob, public using (a = 1) with check (b = 2)
call s.p(1, a => 2, variadic array[3])
do language plpgsql $$ begin end $$
comment on table t is E'x'
