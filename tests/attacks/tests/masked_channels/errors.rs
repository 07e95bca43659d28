//! A31: what the server says where something fails, and beside rows.

use super::super::{Attack, Sides, part, shows};

/// Each reads a text as something else, and quotes what it can not read.
const READ_AS: &[Attack] = &[
    shows(&["select ssn::int from people"]),
    shows(&["select ssn::numeric from people"]),
    shows(&["select ssn::float8 from people"]),
    shows(&["select ssn::boolean from people"]),
    shows(&["select ssn::date from people"]),
    shows(&["select ssn::timestamptz from people"]),
    shows(&["select ssn::interval from people"]),
    shows(&["select ssn::uuid from people"]),
    shows(&["select ssn::inet from people"]),
    shows(&["select ssn::macaddr from people"]),
    shows(&["select ssn::money from people"]),
    shows(&["select ssn::point from people"]),
    shows(&["select ssn::int[] from people"]),
    shows(&["select ssn::int4range from people"]),
    shows(&["select ssn::record from people", "select ssn::people from people"]),
    shows(&["select ssn::regclass from people"]),
    shows(&["select ssn::regproc from people"]),
    shows(&["select ssn::regtype from people"]),
    shows(&["select ssn::regrole from people"]),
    shows(&["select ssn::regnamespace from people"]),
    shows(&["select ssn::regconfig from people"]),
    shows(&["select ssn::pg_lsn from people"]),
    shows(&["select ssn::tid from people"]),
    shows(&["select ssn::xid8::text, ssn::int from people"]),
    part(&["select ssn::json from people"], "536-"),
    part(&["select ssn::jsonb from people"], "536-"),
    part(&["select ssn::xml from people", "select xmlparse(document ssn) from people"], "536-22"),
    part(&["select ssn::bit(11) from people where id = 1"], "\"5\""),
    part(&["select decode(ssn, 'hex') from people"], "\"-\""),
    shows(&["select left(ssn, 12)::int from people"]),
    shows(&["select (p).ssn::int from people p"]),
    shows(&["select sum(ssn::int) from people"]),
    shows(&["select array_agg(ssn)::int[] from people where id = 1"]),
    part(&["select p::text::int from people p"], "536-22-8726,London"),
    part(&["select to_jsonb(p)::text::int from people p"], "536-22-8726"),
    shows(&["select s::int from lab.by_view"]),
    part(&["select reverse(ssn)::int from people"], "6278-22-635"),
    part(
        &[
            "select encode(ssn::bytea, 'hex')::numeric from people where id = 1",
            "select ('x' || encode(ssn::bytea, 'hex'))::int from people where id = 1",
        ],
        "x3533362d32322d38373236",
    ),
];

/// Each is given the value as the name of something, which is not there.
const NAMED: &[Attack] = &[
    shows(&["select current_setting(ssn) from people"]),
    shows(&["select set_config('timezone', ssn, false) from people"]),
    shows(&["select set_config('work_mem', ssn, false) from people"]),
    shows(&["select set_config('role', ssn, false) from people"]),
    shows(&["select nextval(ssn) from people"]),
    shows(&["select has_table_privilege(ssn, 'select') from people"]),
    shows(&["select has_table_privilege('people', ssn) from people"]),
    shows(&["select has_column_privilege('people', ssn, 'select') from people"]),
    shows(&["select pg_get_serial_sequence('people', ssn) from people"]),
    shows(&["select pg_get_serial_sequence(quote_ident(ssn), 'id') from people"]),
    shows(&["select convert_from('x', ssn) from people"]),
    shows(&["select convert('x', 'UTF8', ssn) from people"]),
    shows(&["select encode('x', ssn) from people"]),
    shows(&["select decode('', ssn) from people"]),
    shows(&["select date_part(ssn, now()) from people"]),
    shows(&["select date_trunc(ssn, now()) from people"]),
    shows(&["select now() at time zone ssn from people"]),
    shows(&[
        "select to_date(ssn, 'YYYY Mon') from people",
        "select to_date('x' || ssn, 'MonDD') from people where id = 1",
    ]),
    shows(&["select to_tsvector(ssn::regconfig, 'x') from people"]),
    shows(&["select query_to_xml('\"' || ssn || '\"', true, false, '') from people"]),
    shows(&["select query_to_xml('select \"' || ssn || '\"', true, false, '') from people"]),
    shows(&["select lo_import(ssn) from people"]),
    shows(&["select pg_read_file(ssn) from people where id = 1"]),
    shows(&["select pg_ls_dir(ssn) from people where id = 1"]),
    shows(&["select pg_stat_file(ssn) from people where id = 1"]),
    shows(&["select dblink_connect_u(ssn) from people"]),
    shows(&["begin", "alter table people alter ssn type int using ssn::int", "rollback"]),
    shows(&[
        "select pg_notify(repeat(ssn, 10), 'x') from people where id = 1",
        "select regexp_replace('a', '(' || ssn, '') from people",
        "select ssn::int from people",
    ]),
    shows(&["select makeaclitem('app'::regrole, 'app'::regrole, ssn, false) from people"]),
    shows(&["select pg_get_object_address('table', array[ssn], '{}') from people"]),
    shows(&["select pg_input_error(ssn) from people", "select format('%s', ssn)::int from people"]),
    shows(&[
        "select xpath(ssn, '<a/>') from people",
        "select json_populate_record(null::orders, json_build_object('id', ssn)) from people",
    ]),
    part(&["select jsonb_path_query('{}', ssn::jsonpath) from people"], "-8212"),
    shows(&["do $$ begin execute (select format('select %I', ssn) from people where id = 1); end $$"]),
    shows(&["do $$ begin execute (select format('set role %I', ssn) from people where id = 1); end $$"]),
];

/// What the value is cast for is not shown: so these run, and fail at the server.
const CHOSEN: &[Attack] = &[
    shows(&["select 1 from people where ssn::int = 1"]),
    shows(&["select 1 from people order by ssn::int"]),
    shows(&["select count(*) from people group by ssn::int"]),
    shows(&["select count(*) from people where id = 1 having max(ssn)::int = 1"]),
    shows(&["select 1 from people p join orders o on o.id = p.ssn::int"]),
    shows(&["select 1 from orders o where o.id = (select ssn::int from people where id = 1)"]),
    shows(&["select 1 from orders limit (select ssn::int from people where id = 1)"]),
    shows(&["select 1 from lab.by_view where s::int = 1"]),
    shows(&["select 1 from people p where (p).ssn::int = 1"]),
    shows(&["select distinct on (ssn::int) id from people"]),
    shows(&["select id, row_number() over (order by ssn::int) from people"]),
    shows(&["with q as (select id, ssn as s from people) select id from q where s::int > 0"]),
    shows(&["select 1 where exists (select from people where ssn::date = 'today')"]),
    shows(&["update people set city = city where ssn::int = 1"]),
    shows(&["delete from orders using people where ssn::int = orders.id"]),
    shows(&["insert into scratch select 'x' from people where ssn::int = 1"]),
    shows(&["merge into orders o using people p on o.id = p.ssn::int when matched then delete"]),
    shows(&["create temp table t as select id from people where ssn::int = 1"]),
    shows(&["copy (select id from people where ssn::int = 1) to stdout"]),
    shows(&[
        "begin",
        "declare c cursor for select id from people where ssn::int = 1",
        "fetch 1 from c",
        "commit",
    ]),
    shows(&[
        "begin",
        "declare c cursor for select id from people where ssn::int = 1",
        "move 1 in c",
        "commit",
    ]),
    shows(&["begin", "declare c cursor with hold for select id from people where ssn::int = 1", "commit"]),
    shows(&["prepare q as select id from people where ssn::int = 1", "execute q"]),
    shows(&["select id from people where current_setting(ssn) = 'x'"]),
    shows(&["select id from people where has_table_privilege(ssn, 'select')"]),
    shows(&["explain analyze select id from people where ssn::int = 1"]),
    shows(&["refresh materialized view lab.numbers"]),
    shows(&["select lab.strict_number(ssn) from people"]),
    shows(&["select id from people where lab.strict_number(ssn) = 1"]),
];

/// Constraints quote the row that breaks them, and the one that was there.
const BROKEN: &[Attack] = &[
    shows(&["update people set city = 'bad' where id = 1"]),
    shows(&["update people set city = null where id = 1"]),
    shows(&["update lab.londoners set city = 'Bath' where id = 1"]),
    shows(&["insert into people select 9, name, email, card, ssn, 'bad' from people where id = 1"]),
    shows(&[
        "insert into people values (1, 'n', 'e', 'c', 's', 'c') on conflict (id) do update set city = 'bad'",
    ]),
    shows(&[
        "merge into people p using (values (1)) v (i) on p.id = v.i when matched then update set city = 'bad'",
    ]),
    shows(&["with u as (update people set city = 'bad' where id = 1 returning id) select 1"]),
    shows(&["insert into people select 9, name, email, card, ssn, city from people where id = 1"]),
    shows(&["update people set ssn = q.ssn from people q where q.id = 1 and people.id = 2"]),
    shows(&["insert into people values (9, 'n', 'Near', 'c', 'x', 'London')"]),
    shows(&["begin", "delete from orders", "delete from people where id = 1", "rollback"]),
    shows(&[
        "begin",
        "set constraints all deferred",
        "insert into lab.late select ssn from people where id = 1",
        "commit",
    ]),
    shows(&["update people set city = 'trigger' where id = 1"]),
    shows(&["begin", "alter table people add check (ssn::int > 0)", "rollback"]),
    shows(&["begin", "create index on people ((ssn::int))", "rollback"]),
    shows(&[
        "begin",
        "create unique index on people ((right(ssn, 0) || ssn))",
        "insert into people select 9, 'n', 'e', 'c', ssn, 'x' from people where id = 1",
        "rollback",
    ]),
    shows(&[
        "alter table lab.badges add foreign key (ssn) references orders (item)",
        "begin",
        "delete from orders",
        "delete from people where id = 1",
        "rollback",
    ]),
];

/// Code that somebody has made says what it likes, in each field that an error or notice has. Who is masked may call it.
const SAID: &[Attack] = &[
    shows(&["do $$ begin raise notice '%', (select ssn from people where id = 1); end $$"]),
    shows(&["do $$ begin raise warning '%', (select ssn from people where id = 1); end $$"]),
    shows(&["do $$ begin raise info '%', (select ssn from people where id = 1); end $$"]),
    shows(&["do $$ begin raise exception '%', (select ssn from people where id = 1); end $$"]),
    shows(&[
        "do $$ declare s text; begin select ssn into s from people where id = 1; raise exception using message = 'x', column = s; end $$",
    ]),
    shows(&["call lab.says(1)"]),
    shows(&["select lab.notes(1)"]),
    shows(&["select id from people where lab.notes(id::int) = 0"]),
    shows(&["select lab.fails('message')"]),
    shows(&["select lab.fails('detail')"]),
    shows(&["select lab.fails('hint')"]),
    shows(&["select lab.fails('column')"]),
    shows(&["select lab.fails('constraint')"]),
    shows(&["select lab.fails('datatype')"]),
    shows(&["select lab.fails('table')"]),
    shows(&["select lab.fails('schema')"]),
    part(&["select lab.fails('code')"], "53622"),
    part(&["select lab.fails('code of a warning')"], "53622"),
    shows(&["select lab.fails('context')"]),
    shows(&["select lab.fails('internal')"]),
];

const CODE: &str = "
create function lab.ssn_of(int) returns text language sql as 'select ssn from public.people where id = $1';
create procedure lab.says(int) language plpgsql as $$ begin raise notice '%', lab.ssn_of($1); end $$;
create function lab.notes(int) returns int language plpgsql as $$ begin raise notice '%', lab.ssn_of($1); return 0; end $$;
create function lab.fails(text) returns int language plpgsql as $$
declare s text := lab.ssn_of(1);
begin
    case $1
        when 'message' then raise exception using message = s;
        when 'detail' then raise exception using message = 'x', detail = s;
        when 'hint' then raise exception using message = 'x', hint = s;
        when 'column' then raise exception using message = 'x', column = s;
        when 'constraint' then raise exception using message = 'x', constraint = s;
        when 'datatype' then raise exception using message = 'x', datatype = s;
        when 'table' then raise exception using message = 'x', table = s;
        when 'schema' then raise exception using message = 'x', schema = s;
        when 'code' then raise exception using message = 'x', errcode = left(replace(s, '-', ''), 5);
        when 'code of a warning' then raise warning using message = 'x', errcode = left(replace(s, '-', ''), 5);
        when 'context' then execute format('do $d$ begin perform 1 / 0; end $d$ -- %s', s); execute format('select 1 / 0 /* %s */', s);
        when 'internal' then execute format('select nothing.%I from nothing', s);
    end case;
    return 0;
end $$";

const CONSTRAINTS: &str = "
create unique index on people (ssn);
alter table people add check (city <> 'bad');
alter table people add exclude using gist (city with =, ssn with <>);
create view lab.londoners as select * from people where city = 'London' with check option;
create table lab.badges (ssn text references people (ssn)); insert into lab.badges select ssn from people;
create table lab.late (ssn text unique deferrable initially deferred); insert into lab.late select ssn from people;
create function lab.complains() returns trigger language plpgsql as $$ begin if new.city = 'trigger' then raise exception '%', new; end if; return new; end $$;
create trigger t before update on people for each row execute function lab.complains()";

#[test]
fn a031_no_error_quotes_what_a_value_was_read_as() {
    Sides::prepare("", "create view lab.by_view as select id, ssn as s from people").hide(READ_AS);
}

#[test]
fn a031_no_error_quotes_a_value_that_was_a_name() {
    Sides::prepare(
        "create extension dblink; grant pg_read_server_files to app; grant execute on function lo_import(text), dblink_connect_u(text) to app; \
         grant execute on function pg_read_file(text), pg_ls_dir(text), pg_stat_file(text) to app",
        "select 1",
    )
    .hide(NAMED);
}

#[test]
fn a031_no_error_quotes_a_value_that_rows_were_chosen_by() {
    Sides::prepare(
        "",
        "create view lab.by_view as select id, ssn as s from people; \
         create materialized view lab.numbers as select ssn::int as n from people with no data; \
         create function lab.strict_number(text) returns int language sql as 'select $1::int'",
    )
    .hide(CHOSEN);
}

#[test]
fn a031_no_constraint_quotes_the_row() {
    Sides::prepare("create extension btree_gist", CONSTRAINTS).hide(BROKEN);
}

#[test]
fn a031_nobodys_code_says_the_value() {
    Sides::prepare("", CODE).hide(SAID);
}
