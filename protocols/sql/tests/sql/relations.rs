//! Every relation, wherever it is named (A14, and the gaps that other readers were found to have).

use expect_test::expect;

use crate::render::check;

#[test]
fn plain_queries() {
    check(r#"select * from people"#, expect!["select [read] people:r"]);
    check(r#"select * from only secret"#, expect!["select [read] secret:r"]);
    check(r#"table people"#, expect!["select [read] people:r"]);
    check(
        r#"select 1; select 2"#,
        expect![[r#"
        select []
        select []"#]],
    );
    check(r#""#, expect![""]);
    check(r#"-- nothing"#, expect![""]);
    check(
        r#"select * from hr.people p, public."Orders" o join x.y using (id)"#,
        expect!["select [read] hr.people:r public.Orders:r x.y:r"],
    );
    check(r#"values (1, (select max(id) from people))"#, expect!["select [read] people:r max()=harmless"]);
    check(
        r#"select * from a union all table b except (select * from c)"#,
        expect!["select [read] a:r b:r c:r"],
    );
    check(r#"select * from db.hr.people"#, expect!["select [read] hr.people:r"]);
}

#[test]
fn ctes_hide_tables_only_in_their_scope() {
    check(
        r#"with people as (select * from people) select * from people"#,
        expect!["select [read] people:r"],
    );
    check(r#"with recursive people as (select * from people) select * from people"#, expect!["select []"]);
    check(
        r#"with a as (select 1) select * from b where id in (with b as (select 1) select * from b)"#,
        expect!["select [read] b:r"],
    );
    check(r#"select * from (with a as (select 1) select * from a) x, a"#, expect!["select [read] a:r"]);
    check(
        r#"with a as (select * from b), b as (select 1) select * from a, b"#,
        expect!["select [read] b:r"],
    );
    check(
        r#"with recursive a as (select * from b), b as (select 1) select * from a, b"#,
        expect!["select []"],
    );
    check(r#"with a as (select 1) select * from public.a"#, expect!["select [read] public.a:r"]);
    check(r#"with t as (select 1) insert into t select * from t"#, expect!["insert [write] t:w"]);
    check(
        r#"with t as (select 1) delete from t using t as u where t.a = u.a"#,
        expect!["delete [read write] t:w t:r where"],
    );
    check(
        r#"with t as (select 1) update t set a = 1 from t as u where true"#,
        expect!["update [read write] t:w t:r no-where"],
    );
    check(
        r#"with t as (select 1) merge into t using t as s on t.a = s.a when matched then delete"#,
        expect!["merge [read write] t:w t:r where"],
    );
}

#[test]
fn changes_of_rows() {
    check(
        r#"insert into people (id, ssn) values (1, $1) returning id"#,
        expect!["insert [read write] people:w people:r"],
    );
    check(r#"insert into people select * from staging"#, expect!["insert [read write] people:w staging:r"]);
    check(
        r#"insert into people values (1) on conflict (id) do update set ssn = (select max(ssn) from secret) where people.id in (select id from other)"#,
        expect!["insert [read write] people:w people:r secret:r other:r max()=harmless"],
    );
    check(r#"insert into people values (1) on conflict do nothing"#, expect!["insert [write] people:w"]);
    check(
        r#"update people set name = $1 where id = $2"#,
        expect!["update [read write] people:w people:r where"],
    );
    check(
        r#"update only people p set (a, b) = (select x, y from other) from third t where p.id = t.id returning *"#,
        expect!["update [read write] people:w third:r other:r people:r where"],
    );
    check(r#"update people set a = 1"#, expect!["update [write] people:w no-where"]);
    check(r#"delete from people"#, expect!["delete [write] people:w no-where"]);
    check(
        r#"delete from people where id = 1 returning *"#,
        expect!["delete [read write] people:w people:r where"],
    );
    check(
        r#"delete from people using orders o where o.id = people.id"#,
        expect!["delete [read write] people:w orders:r people:r where"],
    );
    check(
        r#"delete from people where current of c"#,
        expect!["delete [read write] people:w people:r where"],
    );
    check(
        r#"merge into people p using (select * from news) n on p.id = n.id when matched and n.gone then delete when matched then update set a = n.a when not matched then insert (id) values (n.id) returning p.*"#,
        expect!["merge [read write] people:w people:r news:r where"],
    );
    check(r#"truncate a, only hr.b restart identity cascade"#, expect!["truncate [write] a:w hr.b:w"]);
}

#[test]
fn has_where_counts_all_and_only_what_filters() {
    check(
        r#"with x as (delete from a where id = 1 returning *) delete from b"#,
        expect!["delete [read write] a:w a:r b:w no-where"],
    );
    check(
        r#"with x as (delete from a) delete from b where id = 1"#,
        expect!["delete [read write] a:w b:w b:r no-where"],
    );
    check(r#"delete from a where true"#, expect!["delete [read write] a:w a:r no-where"]);
    check(r#"delete from a where 1 = 1"#, expect!["delete [read write] a:w a:r no-where"]);
    check(r#"update a set b = 1 where current_date > $1"#, expect!["update [read write] a:w a:r no-where"]);
    check(
        r#"delete from a where exists (select 1 from b)"#,
        expect!["delete [read write] a:w b:r a:r no-where"],
    );
    check(r#"delete from a where id = id"#, expect!["delete [read write] a:w a:r no-where"]);
    check(r#"delete from a where f()"#, expect!["delete [read write] a:w a:r f()=unknown no-where"]);
}

#[test]
fn definitions() {
    check(
        r#"create table a (id int primary key, b int references hr.b (id), like c including all) inherits (d)"#,
        expect!["create_table [read ddl] a:d d:d hr.b:r c:r"],
    );
    check(r#"create table a partition of b for values in (1)"#, expect!["create_table [ddl] a:d b:d"]);
    check(
        r#"create temp table t as select * from people"#,
        expect!["create_table_as [read write ddl] t:d t:w people:r"],
    );
    check(
        r#"create table t as table people"#,
        expect!["create_table_as [read write ddl] t:d t:w people:r"],
    );
    check(r#"create table t as execute q"#, expect!["create_table_as [write ddl dynamic] t:d t:w"]);
    check(r#"select * into t from people"#, expect!["select_into [read write ddl] t:d t:w people:r"]);
    check(
        r#"create unlogged table t (a int default nextval('s'), check (a in (1)))"#,
        expect!["create_table [write ddl] t:d nextval()=changing"],
    );
    check(r#"create view v as select * from people"#, expect!["create_view [read ddl] v:d people:r"]);
    check(r#"create or replace recursive view v (n) as select n from v"#, expect!["create_view [ddl] v:d"]);
    check(
        r#"create materialized view m as select * from people"#,
        expect!["create_materialized_view [read write ddl] m:d m:w people:r"],
    );
    check(
        r#"refresh materialized view concurrently m"#,
        expect!["refresh_materialized_view [write dynamic] m:w"],
    );
    check(
        r#"create unique index concurrently i on people (lower(ssn)) where active"#,
        expect!["create_index [ddl] people:d lower()=harmless"],
    );
    check(
        r#"create rule r as on insert to people do also delete from log"#,
        expect!["create_rule [write ddl] people:d log:w no-where"],
    );
    check(
        r#"create rule r as on select to v do instead select * from w"#,
        expect!["create_rule [read ddl] v:d w:r"],
    );
    check(
        r#"create trigger t after insert on people for each row when (new.id > 1) execute function audit()"#,
        expect!["create_trigger [write ddl] people:d audit()=unknown"],
    );
    check(
        r#"create constraint trigger t after insert on people from other for each row execute function audit()"#,
        expect!["create_trigger [write ddl] people:d other:d audit()=unknown"],
    );
    check(
        r#"create policy p on people using (owner = current_user and id in (select id from granted))"#,
        expect!["create_policy [read ddl] people:d granted:r"],
    );
    check(r#"alter policy p on people using (true)"#, expect!["alter_policy [ddl] people:d"]);
    check(r#"create sequence s owned by people.id"#, expect!["create_sequence [ddl] s:d people:d"]);
    check(r#"create statistics st on a, b from people"#, expect!["create_statistics [ddl] people:d"]);
    check(
        r#"create publication p for table people where (id > 1), hr.b"#,
        expect!["create_publication [read ddl] people:r people:d hr.b:r hr.b:d"],
    );
    check(r#"create publication p for all tables"#, expect!["create_publication [ddl]"]);
    check(
        r#"alter publication p add table people"#,
        expect!["alter_publication [read ddl] people:r people:d"],
    );
    check(r#"create publication p for tables in schema hr"#, expect!["create_publication [ddl]"]);
    check(
        r#"create schema s create table t (a int) create view v as select * from people"#,
        expect!["create_schema [read ddl] t:d v:d people:r"],
    );
    check(
        r#"create foreign table f (a int) server s"#,
        expect!["create_foreign_table [ddl host_access] f:d"],
    );
    check(r#"comment on column people.ssn is 'secret'"#, expect!["comment [ddl] people:d"]);
    check(r#"comment on table hr.people is null"#, expect!["comment [ddl] hr.people:d"]);
    check(r#"security label on table people is 'x'"#, expect!["security_label [ddl] people:d"]);
    check(r#"create type t as (a int)"#, expect!["create_type [ddl]"]);
    check(r#"create type e as enum ('a')"#, expect!["create_type [ddl]"]);
    check(r#"create domain d as int check (value > 1)"#, expect!["create_domain [ddl]"]);
    check(
        r#"create function f(people.ssn%type) returns int language sql as 'select 1'"#,
        expect!["create_function [read ddl dynamic] people:r"],
    );
}

#[test]
fn changes_of_definitions() {
    check(
        r#"alter table hr.people add column a int, drop column b, add constraint c foreign key (a) references other"#,
        expect!["alter_table [read ddl] hr.people:d other:r"],
    );
    check(r#"alter table only people rename ssn to x"#, expect!["alter_table [ddl] people:d"]);
    check(r#"alter table people rename to y"#, expect!["alter_table [ddl] people:d y:d"]);
    check(
        r#"alter table a attach partition b for values from (1) to (2)"#,
        expect!["alter_table [ddl] a:d b:d"],
    );
    check(r#"alter table a detach partition b"#, expect!["alter_table [ddl] a:d b:d"]);
    check(r#"alter table a inherit b"#, expect!["alter_table [ddl] a:d b:d"]);
    check(r#"alter table a set schema s"#, expect!["alter_table [ddl] a:d"]);
    check(r#"alter table a owner to bob"#, expect!["alter_table [ddl] a:d"]);
    check(r#"alter view v alter column a set default 1"#, expect!["alter_view [ddl] v:d"]);
    check(r#"alter materialized view m rename to n"#, expect!["alter_materialized_view [ddl] m:d n:d"]);
    check(r#"alter index i rename to j"#, expect!["alter_index [ddl] i:d j:d"]);
    check(r#"alter sequence s restart"#, expect!["alter_sequence [ddl] s:d"]);
    check(r#"alter table a rename constraint c to d"#, expect!["alter_table [ddl] a:d"]);
    check(r#"alter trigger t on people rename to u"#, expect!["alter_trigger [ddl] people:d"]);
    check(r#"alter table a disable trigger all"#, expect!["alter_table [ddl] a:d"]);
    check(r#"alter table all in tablespace a set tablespace b"#, expect!["alter_table [ddl host_access]"]);
    check(r#"alter table people enable row level security"#, expect!["alter_table [ddl] people:d"]);
    check(r#"alter type t add value 'x'"#, expect!["alter_type [ddl]"]);
    check(r#"alter foreign table f add a int"#, expect!["alter_foreign_table [ddl] f:d"]);
    check(r#"alter view v rename column a to b"#, expect!["alter_view [ddl] v:d"]);
    check(r#"drop table a, hr.b, "C" cascade"#, expect!["drop_table [ddl] a:d hr.b:d C:d"]);
    check(r#"drop view v"#, expect!["drop_view [ddl] v:d"]);
    check(r#"drop materialized view m"#, expect!["drop_materialized_view [ddl] m:d"]);
    check(r#"drop index hr.i"#, expect!["drop_index [ddl] hr.i:d"]);
    check(r#"drop sequence s"#, expect!["drop_sequence [ddl] s:d"]);
    check(r#"drop foreign table f"#, expect!["drop_foreign_table [ddl] f:d"]);
    check(r#"drop trigger t on hr.people"#, expect!["drop_trigger [ddl] hr.people:d"]);
    check(r#"drop rule r on people"#, expect!["drop_rule [ddl] people:d"]);
    check(r#"drop policy p on people"#, expect!["drop_policy [ddl] people:d"]);
    check(r#"drop function f(int)"#, expect!["drop_function [ddl]"]);
    check(r#"drop schema s cascade"#, expect!["drop_schema [ddl]"]);
    check(r#"drop type t"#, expect!["drop_type [ddl]"]);
    check(r#"drop owned by bob"#, expect!["drop_owned [write ddl]"]);
    check(r#"drop extension e"#, expect!["drop_extension [ddl]"]);
    check(r#"drop database d"#, expect!["drop_database [ddl host_access]"]);
}

#[test]
fn rights_and_upkeep() {
    check(r#"grant select (ssn), update on people, hr.b to bob"#, expect!["grant [ddl] people:d hr.b:d"]);
    check(r#"grant select on all tables in schema hr to bob"#, expect!["grant [ddl]"]);
    check(r#"grant execute on function f(int) to bob"#, expect!["grant [ddl]"]);
    check(r#"revoke all on people from public"#, expect!["revoke [ddl] people:d"]);
    check(r#"grant admin to bob"#, expect!["grant_role [ddl]"]);
    check(r#"revoke admin from bob"#, expect!["revoke_role [ddl]"]);
    check(
        r#"alter default privileges in schema s grant select on tables to bob"#,
        expect!["alter_default_privileges [ddl]"],
    );
    check(r#"vacuum full people (a), b"#, expect!["vacuum [read write] people:w b:w"]);
    check(r#"vacuum"#, expect!["vacuum [read write]"]);
    check(r#"analyze people"#, expect!["analyze [read write] people:r"]);
    check(r#"cluster people using i"#, expect!["cluster [write ddl] people:d"]);
    check(r#"reindex table people"#, expect!["reindex [write ddl] people:d"]);
    check(r#"reindex index i"#, expect!["reindex [write ddl] i:d"]);
    check(r#"reindex database d"#, expect!["reindex [write ddl]"]);
    check(r#"lock table people, b in access exclusive mode"#, expect!["lock_table [write] people:w b:w"]);
    check(r#"checkpoint"#, expect!["checkpoint [host_access]"]);
}

#[test]
fn copies() {
    check(r#"copy people to stdout"#, expect!["copy_to [read] people:r"]);
    check(r#"copy people (id, ssn) from stdin"#, expect!["copy_from [write] people:w"]);
    check(r#"copy (select ssn from people) to stdout"#, expect!["copy_to [read] people:r"]);
    check(r#"copy people to '/tmp/x'"#, expect!["copy_to [read host_access] people:r"]);
    check(r#"copy people from program 'curl x'"#, expect!["copy_from [write host_access] people:w"]);
    check(
        r#"copy (delete from people returning *) to stdout"#,
        expect!["copy_to [read write] people:w people:r no-where"],
    );
}

#[test]
fn wrapped() {
    check(r#"prepare p as delete from people"#, expect!["prepare [write session] people:w no-where"]);
    check(
        r#"prepare p (int) as select * from people where id = $1"#,
        expect!["prepare [read session] people:r"],
    );
    check(
        r#"declare c cursor for select * from people"#,
        expect!["declare_cursor [read session] people:r"],
    );
    check(r#"explain select * from people"#, expect!["explain [read] people:r"]);
    check(r#"explain analyze delete from people"#, expect!["explain [write] people:w no-where"]);
    check(r#"explain (analyze false) delete from people"#, expect!["explain [read] people:r"]);
    check(
        r#"explain (analyze, analyze off) delete from people"#,
        expect!["explain [write] people:w no-where"],
    );
    check(
        r#"explain (analyze 0, verbose) delete from people where f()"#,
        expect!["explain [read write] people:r f()=unknown"],
    );
    check(r#"explain create table t as select * from people"#, expect!["explain [read] t:r people:r"]);
    check(r#"explain execute p"#, expect!["explain [dynamic]"]);
    check(r#"execute p(1)"#, expect!["execute [write dynamic]"]);
    check(
        r#"create function f() returns int begin atomic select id from people; end"#,
        expect!["create_function [read ddl dynamic] people:r"],
    );
    check(
        r#"create function f() returns int return (select max(id) from people)"#,
        expect!["create_function [read ddl dynamic] people:r max()=harmless"],
    );
}

#[test]
fn everywhere_in_expressions() {
    check(
        r#"select (select max(a) from t1), array(select a from t2), exists (select 1 from t3), 1 in (select a from t4), (1, 2) = any (select a, b from t5)"#,
        expect!["select [read] t1:r t2:r t3:r t4:r t5:r max()=harmless"],
    );
    check(
        r#"select case when a in (select 1 from t1) then (select 2 from t2) else (select 3 from t3) end from t0 order by (select 1 from t4) limit (select 1 from t5) offset (select 1 from t6)"#,
        expect!["select [read] t0:r t1:r t2:r t3:r t4:r t6:r t5:r"],
    );
    check(
        r#"select count(*) filter (where a in (select 1 from t1)) over (partition by (select 1 from t2) order by (select 1 from t3)) from t0 group by grouping sets ((a), (select 1 from t4)) having (select true from t5) window w as (order by (select 1 from t6))"#,
        expect!["select [read] t0:r t6:r t1:r t2:r t3:r t4:r t5:r count()=harmless"],
    );
    check(r#"select distinct on ((select 1 from t1)) 1 from t2"#, expect!["select [read] t2:r t1:r"]);
    check(
        r#"select * from rows from (f((select 1 from t1)), g()) as x, lateral (select * from t2) y, xmltable('/a' passing (select d from t3) columns b int path 'b' default (select 1 from t4)) z"#,
        expect!["select [read write] t1:r t2:r t3:r t4:r f()=unknown g()=unknown"],
    );
    check(
        r#"select * from json_table((select j from t1), '$' columns (a int path '$.a')) jt, t2 tablesample bernoulli ((select 1 from t3))"#,
        expect!["select [read] t1:r t3:r t2:r bernoulli()=harmless"],
    );
    check(
        r#"select xmlelement(name x, (select a from t1)), json_object('a' : (select a from t2)), json_array(select a from t3), coalesce((select 1 from t4), greatest((select 1 from t5), 2)), (row(1, (select 1 from t6))).f1, a[(select 1 from t7)], (select b from t8)::text collate "C", nullif(1, (select 1 from t9)), a between (select 1 from t10) and (select 1 from t11), not (select true from t12), (select null from t13) is null, json_value('{}', '$' passing (select 1 from t14) as x default (select 1 from t15) on empty), json_arrayagg((select 1 from t16) order by (select 1 from t17)), xmlserialize(content (select x from t18) as text), f(a => (select 1 from t19))"#,
        expect![
            "select [read write] t1:r t2:r t3:r t4:r t5:r t6:r t7:r t8:r t9:r t10:r t11:r t12:r t13:r t14:r t15:r t17:r t16:r t18:r t19:r f()=unknown"
        ],
    );
    check(
        r#"with recursive c as (select 1 union all select 2 from c, (select 1 from t1) x) cycle a set m to (1) default (0) using p select * from c for update of c"#,
        expect!["opaque: PostgreSQL's grammar does not read it"],
    );
}

/// Names that stand in options and lists: PostgreSQL's own tests had statements in which they were missed.
#[test]
fn a014_relations_that_are_named_in_options() {
    check(r#"alter sequence s owned by hr.people.id"#, expect!["alter_sequence [ddl] s:d hr.people:d"]);
    check(r#"create sequence s owned by none"#, expect!["create_sequence [ddl] s:d"]);
    check(
        r#"create table t (id int generated always as identity (sequence name hr.s start 5))"#,
        expect!["create_table [ddl] t:d hr.s:d"],
    );
    check(
        r#"alter extension e add table hr.people"#,
        expect!["alter_extension [ddl host_access dynamic] hr.people:d"],
    );
    check(
        r#"alter extension e drop function people(int)"#,
        expect!["alter_extension [ddl host_access dynamic]"],
    );
    check(
        r#"import foreign schema s limit to (people) from server f into hr"#,
        expect!["import_foreign_schema [ddl host_access dynamic] hr.people:d"],
    );
    check(
        r#"import foreign schema s except (people) from server f into hr"#,
        expect!["import_foreign_schema [ddl host_access dynamic]"],
    );
}
