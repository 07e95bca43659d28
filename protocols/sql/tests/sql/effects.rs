//! What statements do, in every spelling (A11, A13-A17, A20, A21).

use expect_test::expect;

use crate::render::check;

#[test]
fn a011_each_statement_of_a_text_is_judged() {
    check(
        r#"select 1; delete from people"#,
        expect![[r#"
        select []
        delete [write] people:w no-where"#]],
    );
    check(
        r#"select 1; commit; update people set a = 1; begin"#,
        expect![[r#"
        select []
        commit [transaction]
        update [write] people:w no-where
        begin [transaction]"#]],
    );
    check(
        r#"begin read only; select 1; rollback; drop table people"#,
        expect![[r#"
        begin [transaction]
        select []
        rollback [transaction]
        drop_table [ddl] people:d"#]],
    );
    check(r#";;; select 1 ;; ;"#, expect!["select []"]);
}

#[test]
fn a013_a_change_of_the_lexer_has_its_own_kind() {
    check(
        r#"set standard_conforming_strings = off"#,
        expect![[r#"
        opaque: it changes how the strings in all that follows are read
        set_lexing [session]"#]],
    );
    check(
        r#"set "STANDARD_conforming_strings" to off"#,
        expect![[r#"
        opaque: it changes how the strings in all that follows are read
        set_lexing [session]"#]],
    );
    check(
        r#"set local standard_conforming_strings = 0"#,
        expect![[r#"
        opaque: it changes how the strings in all that follows are read
        set_lexing [session]"#]],
    );
    check(
        r#"reset standard_conforming_strings"#,
        expect![[r#"
        opaque: it changes how the strings in all that follows are read
        set_lexing [session]"#]],
    );
    check(
        r#"set standard_conforming_strings to default"#,
        expect![[r#"
        opaque: it changes how the strings in all that follows are read
        set_lexing [session]"#]],
    );
    check(
        r#"select set_config('standard_conforming_strings', 'off', false)"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            set_lexing+select [session] set_config()=changing"#]],
    );
    check(
        r#"select pg_catalog.set_config('Standard_Conforming_Strings', $1, false)"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            set_lexing+select [session] pg_catalog.set_config()=changing"#]],
    );
    check(r#"set names 'SJIS'"#, expect!["set_lexing [session]"]);
    check(r#"set client_encoding to 'GBK'"#, expect!["set_lexing [session]"]);
    check(r#"set client_encoding = utf8"#, expect!["set [session]"]);
    check(r#"set standard_conforming_strings = on"#, expect!["set [session]"]);
    check(
        r#"select set_config('client_encoding', 'UTF8', false)"#,
        expect!["select [session] set_config()=changing"],
    );
    check(
        r#"update pg_settings set setting = 'off' where name = 'standard_conforming_strings'"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            update+set_role+set_lexing [read write session] pg_settings:w pg_settings:r where"#]],
    );
}

#[test]
fn a015_a_write_inside_a_read() {
    check(
        r#"with x as (delete from people returning *) select * from x"#,
        expect!["select [read write] people:w people:r no-where"],
    );
    check(r#"with x as (insert into a select 1) select 1"#, expect!["select [write] a:w"]);
    check(
        r#"with x as (update a set b = 1 returning b) table x"#,
        expect!["select [read write] a:w a:r no-where"],
    );
    check(
        r#"with x as (merge into a using b on true when matched then delete returning *) select 1"#,
        expect!["select [read write] a:w a:r b:r no-where"],
    );
    check(r#"select * from (with y as (select 1) select * from y) z"#, expect!["select []"]);
    check(r#"select * from people for update"#, expect!["select [read write] people:r"]);
    check(
        r#"select * from people for no key update of people skip locked"#,
        expect!["select [read write] people:r"],
    );
    check(
        r#"select 1 where exists (select 1 from people for key share)"#,
        expect!["select [read write] people:r"],
    );
    check(r#"select * into t from people"#, expect!["select_into [read write ddl] t:d t:w people:r"]);
    check(r#"explain analyze insert into a values (1)"#, expect!["explain [write] a:w"]);
    check(r#"explain (analyze on) update a set b = 1"#, expect!["explain [write] a:w no-where"]);
    check(
        r#"create view v as with x as (delete from people returning *) select * from x"#,
        expect!["create_view [read write ddl] v:d people:w people:r no-where"],
    );
    check(
        r#"copy (update a set b = 1 returning *) to stdout"#,
        expect!["copy_to [read write] a:w a:r no-where"],
    );
    check(r#"insert into a values (1) returning (select 1)"#, expect!["insert [read write] a:w a:r"]);
    check(
        r#"with recursive c as (select 1) select * from c union all select * from c for share"#,
        expect!["select [write]"],
    );
}

#[test]
fn a016_effects_inside_functions() {
    check(r#"select our_own()"#, expect!["select [write] our_own()=unknown"]);
    check(r#"select * from our_own() f"#, expect!["select [write] our_own()=unknown"]);
    check(r#"select 1 from a where our_own(b)"#, expect!["select [read write] a:r our_own()=unknown"]);
    check(
        r#"select * from rows from (generate_series(1, 2), our_own())"#,
        expect!["select [write] generate_series()=harmless our_own()=unknown"],
    );
    check(r#"select public.lower(a) from b"#, expect!["select [read write] b:r public.lower()=unknown"]);
    check(
        r#"select nextval('s'), currval('s'), setval('s', 1)"#,
        expect!["select [write] nextval()=changing currval()=harmless setval()=changing"],
    );
    check(r#"select pg_advisory_lock(1)"#, expect!["select [write] pg_advisory_lock()=changing"]);
    check(r#"call p(1)"#, expect!["call [write dynamic] p()=unknown"]);
    check(
        r#"select lower(a), count(*), now(), coalesce(a, b), current_user, random() from b group by a"#,
        expect!["select [read] b:r lower()=harmless count()=harmless now()=harmless random()=harmless"],
    );
    check(r#"create index i on a (our_own(b))"#, expect!["create_index [write ddl] a:d our_own()=unknown"]);
    check(
        r#"alter table a add check (our_own(b))"#,
        expect!["alter_table [write ddl] a:d our_own()=unknown"],
    );
    check(
        r#"select * from a tablesample our_own(1)"#,
        expect!["select [read write] a:r our_own()=unknown"],
    );
    check(
        r#"update a set b = our_own() where id = 1"#,
        expect!["update [read write] a:w a:r our_own()=unknown where"],
    );
    check(r#"select a from b order by our_own(a)"#, expect!["select [read write] b:r our_own()=unknown"]);
    check(r#"insert into a values (our_own())"#, expect!["insert [write] a:w our_own()=unknown"]);
    check(
        r#"select lo_unlink(1), lo_get(1)"#,
        expect!["select [write] lo_unlink()=changing lo_get()=changing"],
    );
    check(
        r#"select txid_current(), pg_sleep(1)"#,
        expect!["select [] txid_current()=harmless pg_sleep()=harmless"],
    );
    check(
        r#"select pg_catalog.lower(a) collate "C" from b"#,
        expect!["select [read] b:r pg_catalog.lower()=harmless"],
    );
    check(
        r#"select 'a'::regclass, a::our_type from b"#,
        expect!["select [read write] b:r our_type()=unknown"],
    );
}

#[test]
fn a017_dynamic_sql() {
    check(r#"do $$ begin execute 'drop table people'; end $$"#, expect!["do [write dynamic]"]);
    check(r#"call p()"#, expect!["call [write dynamic] p()=unknown"]);
    check(r#"execute q(1)"#, expect!["execute [write dynamic]"]);
    check(
        r#"select query_to_xml('select 1', true, true, '')"#,
        expect!["select [write dynamic] query_to_xml()=dynamic"],
    );
    check(
        r#"select * from dblink('c', 'select 1') as t(a int)"#,
        expect!["select [write host_access dynamic] dblink()=dynamic"],
    );
    check(
        r#"select table_to_xml(U&'\0070eople'::regclass, true, true, '')"#,
        expect!["select [write dynamic] table_to_xml()=dynamic"],
    );
    check(r#"explain execute q"#, expect!["explain [dynamic]"]);
    check(r#"explain analyze execute q"#, expect!["explain [write dynamic]"]);
    check(r#"create table t as execute q"#, expect!["create_table_as [write ddl dynamic] t:d t:w"]);
    check(
        r#"create function f() returns void language plpgsql as 'begin end'"#,
        expect!["create_function [ddl dynamic]"],
    );
    check(
        r#"create procedure p() language sql begin atomic delete from people; end"#,
        expect!["create_procedure [write ddl dynamic] people:w no-where"],
    );
    check(r#"select ts_stat('select 1')"#, expect!["select [write dynamic] ts_stat()=dynamic"]);
    check(
        r#"prepare q as select query_to_xml('x', true, true, '')"#,
        expect!["prepare [write session dynamic] query_to_xml()=dynamic"],
    );
    check(r#"refresh materialized view m"#, expect!["refresh_materialized_view [write dynamic] m:w"]);
    check(
        r#"select * from crosstab('select 1') as t(a int)"#,
        expect!["select [write dynamic] crosstab()=dynamic"],
    );
    check(r#"declare c cursor for execute q"#, expect!["opaque: PostgreSQL's grammar does not read it"]);
    check(
        r#"import foreign schema a from server s into b"#,
        expect!["import_foreign_schema [ddl host_access dynamic]"],
    );
}

#[test]
fn a020_role_and_path_in_every_spelling() {
    check(r#"set role admin"#, expect!["set_role [session]"]);
    check(r#"set local role none"#, expect!["set_role [session]"]);
    check(r#"SET ROLE TO admin"#, expect!["set_role [session]"]);
    check(r#"set "role" = admin"#, expect!["set_role [session]"]);
    check(r#"set "ROLE" to default"#, expect!["set_role [session]"]);
    check(r#"reset role"#, expect!["set_role [session]"]);
    check(r#"set session authorization 'bob'"#, expect!["set_session_authorization [session]"]);
    check(r#"set session authorization default"#, expect!["set_session_authorization [session]"]);
    check(r#"reset session authorization"#, expect!["set_session_authorization [session]"]);
    check(r#"set session_authorization = bob"#, expect!["set_session_authorization [session]"]);
    check(
        r#"select set_config('role', 'admin', false)"#,
        expect!["set_role+select [session] set_config()=changing"],
    );
    check(
        r#"select SET_CONFIG('Ro' || 'le', 'admin', false)"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            set_lexing+set_role+select [session] set_config()=changing"#]],
    );
    check(
        r#"select set_config(setting_name => 'role', new_value => 'x', is_local => true)"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            set_lexing+set_role+select [session] set_config()=changing"#]],
    );
    check(
        r#"insert into a select set_config('role', 'admin', false)"#,
        expect!["insert+set_role [write session] a:w set_config()=changing"],
    );
    check(
        r#"explain select set_config($1, $2, true)"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            explain+set_role+set_lexing [session] set_config()=changing"#]],
    );
    check(
        r#"select 1 where pg_catalog.set_config('session_authorization', 'x', false) is null"#,
        expect!["set_session_authorization+select [session] pg_catalog.set_config()=changing"],
    );
    check(
        r#"update pg_settings set setting = 'admin' where name = 'role'"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            update+set_role+set_lexing [read write session] pg_settings:w pg_settings:r where"#]],
    );
    check(
        r#"update pg_catalog.pg_settings set setting = 'x'"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            update+set_role+set_lexing [write session] pg_catalog.pg_settings:w no-where"#]],
    );
    check(r#"set search_path to a, b"#, expect!["set_search_path [session]"]);
    check(
        r#"select set_config('search_path', 'a', false)"#,
        expect!["set_search_path+select [session] set_config()=changing"],
    );
    check(r#"set schema 'evil'"#, expect!["set_search_path [session]"]);
    check(r#"reset search_path"#, expect!["set_search_path [session]"]);
    check(r#"set row_security = off"#, expect!["set_row_security [session]"]);
    check(r#"set local "Row_Security" to off"#, expect!["set_row_security [session]"]);
    check(r#"reset row_security"#, expect!["set_row_security [session]"]);
    check(
        r#"select set_config('row_' || 'security', 'off', false), set_config('ROW_SECURITY', 'off', true)"#,
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            set_lexing+set_role+set_row_security+select [session] set_config()=changing"#]],
    );
    check(r#"alter role bob set role = admin"#, expect!["alter_role_set [ddl]"]);
    check(r#"alter role all in database d set search_path = x"#, expect!["alter_role_set [ddl]"]);
    check(r#"alter database d set role to admin"#, expect!["alter_database_set [ddl]"]);
    check(r#"alter user bob password 'x' superuser"#, expect!["alter_role [ddl]"]);
    check(r#"create role bob login"#, expect!["create_role [ddl]"]);
    check(r#"reset all"#, expect!["reset_all [session]"]);
    check(r#"discard all"#, expect!["discard_all [session]"]);
    check(r#"discard temp"#, expect!["discard_temp [session]"]);
    check(
        r#"create function f() returns int language sql set role = admin as 'select 1'"#,
        expect!["create_function [ddl session dynamic]"],
    );
    check(
        r#"set transaction isolation level serializable"#,
        expect!["set_transaction [session transaction]"],
    );
    check(
        r#"set session characteristics as transaction read write"#,
        expect!["set_transaction [session transaction]"],
    );
    check(r#"set time zone 'UTC'"#, expect!["set [session]"]);
    check(r#"show role"#, expect!["show []"]);
    check(
        r#"prepare p as select set_config('role', $1, false)"#,
        expect!["prepare+set_role [session] set_config()=changing"],
    );
    check(r#"do $$ begin set role admin; end $$"#, expect!["do [write dynamic]"]);
}

#[test]
fn a021_files_programs_network() {
    check(r#"copy people to program 'x'"#, expect!["copy_to [read host_access] people:r"]);
    check(r#"copy people from '/etc/passwd'"#, expect!["copy_from [write host_access] people:w"]);
    check(r#"copy (select 1) to '/tmp/x'"#, expect!["copy_to [host_access]"]);
    check(r#"select pg_read_file('/etc/passwd')"#, expect!["select [host_access] pg_read_file()=host"]);
    check(r#"select * from pg_ls_dir('.') d"#, expect!["select [host_access] pg_ls_dir()=host"]);
    check(
        r#"select lo_import('/etc/passwd'), lo_export(1, '/x')"#,
        expect!["select [write host_access] lo_import()=host lo_export()=host"],
    );
    check(r#"alter system set a = 'b'"#, expect!["alter_system [ddl host_access]"]);
    check(r#"alter system reset all"#, expect!["alter_system [ddl host_access]"]);
    check(r#"load 'x'"#, expect!["load [session host_access]"]);
    check(r#"create extension dblink"#, expect!["create_extension [ddl host_access dynamic]"]);
    check(r#"alter extension e update"#, expect!["alter_extension [ddl host_access dynamic]"]);
    check(
        r#"create subscription s connection 'host=x' publication p"#,
        expect!["create_subscription [ddl host_access dynamic]"],
    );
    check(r#"alter subscription s disable"#, expect!["alter_subscription [ddl host_access dynamic]"]);
    check(r#"drop subscription s"#, expect!["drop_subscription [ddl host_access dynamic]"]);
    check(r#"create server s foreign data wrapper w"#, expect!["create_server [ddl host_access dynamic]"]);
    check(
        r#"create foreign data wrapper w"#,
        expect!["create_foreign_data_wrapper [ddl host_access dynamic]"],
    );
    check(
        r#"create user mapping for bob server s options (password 'x')"#,
        expect!["create_user_mapping [ddl host_access dynamic]"],
    );
    check(r#"alter server s options (set host 'x')"#, expect!["alter_server [ddl host_access dynamic]"]);
    check(
        r#"create foreign table f (a int) server s"#,
        expect!["create_foreign_table [ddl host_access] f:d"],
    );
    check(r#"create tablespace t location '/x'"#, expect!["create_tablespace [ddl host_access]"]);
    check(r#"create database d"#, expect!["create_database [ddl host_access]"]);
    check(r#"drop database d"#, expect!["drop_database [ddl host_access]"]);
    check(
        r#"select pg_terminate_backend(1), pg_reload_conf()"#,
        expect!["select [write host_access] pg_terminate_backend()=host pg_reload_conf()=host"],
    );
    check(
        r#"select * from dblink('host=x', 'select 1') as t(a int)"#,
        expect!["select [write host_access dynamic] dblink()=dynamic"],
    );
    check(r#"create language plpython3u"#, expect!["create_extension [ddl host_access dynamic]"]);
    check(
        r#"create access method m type table handler h"#,
        expect!["create_access_method [write ddl host_access] h()=unknown"],
    );
    check(r#"notify c, 'x'"#, expect!["notify [write]"]);
    check(
        r#"select pg_notify('c', ssn) from people"#,
        expect!["select [read write] people:r pg_notify()=changing"],
    );
    check(r#"listen c"#, expect!["listen [session]"]);
    check(r#"unlisten *"#, expect!["unlisten [session]"]);
    check(r#"drop tablespace t"#, expect!["drop_tablespace [ddl host_access]"]);
}

#[test]
fn the_session() {
    check(r#"begin"#, expect!["begin [transaction]"]);
    check(r#"start transaction read only"#, expect!["start_transaction [transaction]"]);
    check(r#"commit and chain"#, expect!["commit [transaction]"]);
    check(r#"end"#, expect!["commit [transaction]"]);
    check(r#"rollback"#, expect!["rollback [transaction]"]);
    check(r#"abort"#, expect!["rollback [transaction]"]);
    check(r#"savepoint a"#, expect!["savepoint [transaction]"]);
    check(r#"rollback to a"#, expect!["rollback_to_savepoint [transaction]"]);
    check(r#"release a"#, expect!["release [transaction]"]);
    check(r#"prepare transaction 'x'"#, expect!["prepare_transaction [write transaction]"]);
    check(r#"commit prepared 'x'"#, expect!["commit_prepared [write transaction]"]);
    check(r#"rollback prepared 'x'"#, expect!["rollback_prepared [write transaction]"]);
    check(r#"fetch all from c"#, expect!["fetch [read session]"]);
    check(r#"move 1 in c"#, expect!["move [read session]"]);
    check(r#"close c"#, expect!["close_cursor [session]"]);
    check(r#"close all"#, expect!["close_cursor_all [session]"]);
    check(r#"deallocate p"#, expect!["deallocate [session]"]);
    check(r#"deallocate all"#, expect!["deallocate_all [session]"]);
    check(r#"set constraints all deferred"#, expect!["set_constraints [session transaction]"]);
    check(r#"show search_path"#, expect!["show []"]);
}

#[test]
fn a016_functions_behind_operators() {
    check(r#"select a =+= b from t"#, expect!["select [read write] t:r =+=()=unknown"]);
    check(r#"select a operator(public.+) b from t"#, expect!["select [read write] t:r public.+()=unknown"]);
    check(
        r#"select =+= a, a operator(pg_catalog.=+=) b from t"#,
        expect!["select [read write] t:r =+=()=unknown pg_catalog.=+=()=unknown"],
    );
    check(
        r#"select 1 where 1 operator(public.=) any (select 2)"#,
        expect!["select [write] public.=()=unknown"],
    );
    check(r#"select 1 where 1 === all (array[1])"#, expect!["select [write] ===()=unknown"]);
    check(
        r#"select a from t order by a using operator(public.<)"#,
        expect!["select [read write] t:r public.<()=unknown"],
    );
    check(r#"explain select a =+= b"#, expect!["explain [write] =+=()=unknown"]);
    check(
        r#"select a + b, -a, @ a, a operator(pg_catalog.+) b, a <> b, a != b, a is distinct from b, nullif(a, b),
           a in (1, 2), a like b, a not ilike b, a similar to b, a between 1 and 2, a not between symmetric 1 and 2,
           (a, b) < (1, 2), a -> 'b' ->> 'c', a @> b, a ~* b, a = any (b), a || b from t order by a using <"#,
        expect!["select [read] t:r pg_catalog.similar_to_escape()=harmless"],
    );
    check(
        r#"create table t (a box, exclude using gist (a with public.&&))"#,
        expect!["create_table [write ddl] t:d public.&&()=unknown"],
    );
}

#[test]
fn a016_functions_behind_casts() {
    check(r#"select a::evil from t"#, expect!["select [read write] t:r evil()=unknown"]);
    check(
        r#"select a::public.text, cast(a as evil[]), evil 'x' from t"#,
        expect!["select [read write] t:r public.text()=unknown evil()=unknown"],
    );
    check(
        r#"select * from json_to_recordset('[]') as t(a evil)"#,
        expect!["select [write] json_to_recordset()=harmless evil()=unknown"],
    );
    check(
        r#"select * from rows from (json_to_record('{}') as (a evil)) as t"#,
        expect!["select [write] json_to_record()=harmless evil()=unknown"],
    );
    check(
        r#"select * from xmltable('a' passing b columns c evil path 'c', d int path 'd')"#,
        expect!["select [write] evil()=unknown"],
    );
    check(
        r#"select * from json_table(j, '$' columns (a evil path '$'))"#,
        expect!["select [write] evil()=unknown"],
    );
    check(
        r#"select json_value(j, '$' returning evil) from t"#,
        expect!["select [read write] t:r evil()=unknown"],
    );
    check(r#"alter table t alter a type evil"#, expect!["alter_table [write ddl] t:d evil()=unknown"]);
    check(r#"prepare q (evil) as select 1"#, expect!["prepare [write session] evil()=unknown"]);
    check(
        r#"select a::int, a::varchar(3), a::text[], a::_int4, cast(a as timestamp with time zone), '1'::"char",
           interval '1 day', a::pg_catalog.int4, a::information_schema.sql_identifier, 't'::regclass,
           a::double precision, a::jsonb, a::bit(3), a::name from t"#,
        expect!["select [read] t:r"],
    );
    check(r#"create table t (a our_type)"#, expect!["create_table [ddl] t:d"]);
}

#[test]
fn a016_definitions_name_the_functions_that_they_bind() {
    for text in [
        "create operator public.=+= (leftarg = int, rightarg = int, function = public.evil)",
        "create operator =+= (rightarg = int, procedure = evil, restrict = evil_sel, join = evil_join)",
        "create operator =+= (rightarg = int, \"Procedure\" = 'evil')",
        "alter operator =+= (int, int) set (restrict = evil_sel, join = none)",
        "create cast (text as int) with function public.evil(text) as implicit",
        "create aggregate a (int) (sfunc = evil, stype = int, finalfunc = evil_end, combinefunc = pg_read_file)",
        "create aggregate a (basetype = int, sfunc1 = evil, stype1 = int)",
        "create type t (input = evil_in, output = evil_out, receive = evil_recv, typmod_in = evil_mod)",
        "alter type t set (receive = evil_recv, send = none)",
        "create type r as range (subtype = int, canonical = evil, subtype_diff = evil_diff)",
        "create operator class c for type int using btree as operator 1 =+=, function 1 evil(int, int)",
        "alter operator family f using btree add function 1 evil(int, int)",
        "create transform for int language l (from sql with function evil(internal), to sql with function evil_to(internal))",
        "create text search parser p (start = evil_s, gettoken = evil_t, end = evil_e, lextypes = evil_l)",
        "create text search template p (init = evil_i, lexize = evil_l)",
        "create trigger g before insert on t for each row execute function evil()",
        "create event trigger g on ddl_command_start execute function evil()",
        "create domain d as int check (evil(value))",
        "create default conversion c for 'LATIN1' to 'UTF8' from evil",
    ] {
        let analysis = crate::render::analyse(text);
        let [statement] = &analysis.statements[..] else { panic!("{text}: {:?}", analysis.grade_reason) };
        assert!(statement.effects.ddl, "{text}");
        let expected = text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("evil") || *word == "pg_read_file");
        for name in expected {
            assert!(
                statement.functions.iter().any(|function| &*function.name == name),
                "{text}: {name} is not among {:?}",
                statement.functions
            );
        }
    }
}

/// What does not choose among the rows of the table is no WHERE.
#[test]
fn a015_a_condition_that_lets_every_row_through_is_none() {
    let has_where = |text: &str| {
        let analysis = crate::render::analyse(text);
        assert_eq!(analysis.statements.len(), 1, "{text}: {:?}", analysis.grade_reason);
        analysis.statements[0].has_where
    };
    for text in [
        "delete from people",
        "delete from people where true",
        "delete from people where 1 = 1",
        "delete from people where 1 = 1 and not false",
        "delete from people where id = id",
        "delete from people p where p.id >= p.id",
        "delete from people where people.id = id",
        "delete from people where id = id::bigint",
        "delete from people p using orders o where p.id::text = id",
        "delete from people where id = 7 or true",
        "delete from people where id = 7 or 1 = 1 or name = 'x'",
        "delete from people where not (id = 7 and false)",
        "delete from people where $1",
        "delete from people where now() > '2000-01-01'",
        "delete from people where exists (select 1 from orders o where o.id = 7)",
        "delete from people where exists (select 1 from people where id = 7)",
        "delete from people p where exists (select 1 from people q where q.id = 7)",
        "delete from people p using people q where q.id = 7",
        "delete from people p using (select * from people) s where s.id = 7",
        "update people set name = 'x' from orders o where o.id = 7",
        "with x as (select * from people where id = 7) delete from people where (select count(id) from x) = 1",
        "merge into people using (select 1) s on true when matched then delete",
        "merge into people using (select 1) s on 1 = 1 when matched then update set name = 'x'",
        "merge into people p using (select * from people) s on s.id = 7 when matched then delete",
        "merge into people p using n on p.id = n.id or true when matched then delete",
        "merge into people p using n on true when matched and n.gone then delete",
        "merge into people p using n on p.id = n.id when matched then do nothing \
         when not matched by source then delete",
        "merge into people p using n on true when matched and p.id = 7 then update set name = 'x' \
         when matched then delete",
    ] {
        assert_eq!(has_where(text), Some(false), "{text}");
    }
    for text in [
        "delete from people where id = 7",
        "delete from people where people.id = 7 and true",
        "delete from people where 1 = 1 and id = 7",
        "delete from people where id = 7 or name = 'x'",
        "delete from people where not (id = 7)",
        "delete from people where not (id = 7 or false)",
        "delete from people where id in (select person from orders)",
        "delete from people where id = $1",
        "delete from people where gone",
        "delete from people p where exists (select 1 from orders o where o.person = p.id)",
        "delete from people where exists (select 1 from orders where person = people.id)",
        "delete from people using orders o where o.person = people.id",
        "delete from people where current of c",
        "update people set name = n.name from names n where n.person = id",
        "merge into people p using n on p.id = n.id when matched then delete",
        "merge into people p using n on true when matched and p.id = 7 then delete",
        "merge into people p using n on false when not matched by source and p.gone then delete",
    ] {
        assert_eq!(has_where(text), Some(true), "{text}");
    }
    for text in [
        "merge into people p using n on true when not matched then insert values (1)",
        "merge into people p using n on true when matched then do nothing",
        "insert into people select * from people",
    ] {
        assert_eq!(has_where(text), None, "{text}");
    }
}

#[test]
fn a018_what_is_prepared_is_known_by_its_name() {
    use gatewright_model::sql::Prepared;
    let prepared = |text: &str| crate::render::analyse(text).statements[0].prepared.clone();
    let Some(Prepared::Prepare { name, body }) =
        prepared("prepare \"Q\" (int) as delete from people where id = $1 returning name")
    else {
        panic!()
    };
    assert_eq!((&*name, body.kind, body.has_where), ("Q", "delete", Some(true)));
    assert!(body.effects.write && !body.effects.session && !body.effects.dynamic);
    assert_eq!(body.outputs.as_ref().map(Vec::len), Some(1));
    let Some(Prepared::Execute { name, arguments }) = prepared("execute q(our_own(), nextval('s'))") else {
        panic!()
    };
    assert!(&*name == "q" && arguments.write && !arguments.dynamic);
    for (text, name) in [
        ("deallocate q", Some("q")),
        ("deallocate prepare q", Some("q")),
        ("deallocate all", None),
        ("discard all", None),
    ] {
        let name = name.map(Into::into);
        assert_eq!(prepared(text), Some(Prepared::Deallocate { name }), "{text}");
    }
    for text in ["discard plans", "explain analyze execute q", "create table t as execute q", "select 1"] {
        assert_eq!(prepared(text), None, "{text}");
    }
}
