//! A35: what the server keeps about values, and about what others do with them.

use gatewright_e2e::policies;

use super::super::{Attack, Sides, Who, part, print, shows};

const STATISTICS: &[Attack] = &[
    shows(&["select histogram_bounds from pg_stats where tablename = 'people' and attname = 'ssn'"]),
    shows(&["select * from pg_stats"]),
    shows(&["select s::text from pg_stats s", "select to_jsonb(s) from pg_stats s"]),
    shows(&["select most_common_vals from pg_stats where tablename = 'common'"]),
    shows(&["select stavalues1 from pg_statistic"]),
    shows(&["select * from pg_statistic"]),
    shows(&["select u from pg_statistic s, unnest(s.stavalues1::text::text[]) u"]),
    shows(&["select pg_mcv_list_items(stxdmcv) from pg_statistic_ext_data"]),
    shows(&["select most_common_vals from pg_stats_ext"]),
    shows(&["select * from pg_stats_ext_exprs"]),
    shows(&["copy pg_statistic to stdout", "copy (select * from pg_stats) to stdout"]),
    shows(&[
        "create temp table t as select histogram_bounds::text from pg_stats where attname = 'ssn'",
        "table t",
    ]),
    shows(&["select query_to_xml('select histogram_bounds from pg_stats', true, false, '')"]),
    shows(&[
        "select histogram_bounds::text::int from pg_stats where tablename = 'people' and attname = 'ssn'",
    ]),
    shows(&[
        "select 1 from pg_stats where tablename = 'people' and attname = 'ssn' and histogram_bounds::text::int = 1",
    ]),
];

/// A plan says by its counters, and by what an index or a constant is, what values there are.
const PLANS: &[Attack] = &[
    part(&["explain analyze select name from people where ssn like '536%'"], "removed by filter: 3"),
    part(
        &["explain (analyze, format json) select name from people where ssn like '536%'"],
        "rows removed by filter\": 3",
    ),
    part(
        &["explain analyze select from people p, generate_series(1, ascii(p.ssn)) where id = 1"],
        "rows=53",
    ),
    part(&["explain analyze select name from people p where p::text like '%536%'"], "removed by filter: 3"),
    part(&["explain analyze select name from lab.by_view where s like '536%'"], "removed by filter: 3"),
    part(
        &["prepare q as select name from people where ssn like '536%'", "explain analyze execute q"],
        "removed by filter: 3",
    ),
    part(
        &["explain analyze create temp table t as select name from people where ssn like '536%'"],
        "removed by filter: 3",
    ),
    part(&["explain analyze delete from people where ssn like '000%'"], "removed by filter: 4"),
    part(
        &[
            "begin",
            "explain analyze declare c cursor for select name from people where ssn like '536%'",
            "commit",
        ],
        "removed by filter: 3",
    ),
    shows(&["explain verbose select lab.ssn_once()"]),
    shows(&["explain select id from people where name = lab.ssn_once()"]),
    shows(&["explain (verbose, costs off) select o.id from orders o where o.item = lab.ssn_once()"]),
    shows(&["prepare q as select id from orders where item = lab.ssn_once()", "explain execute q"]),
];

/// What other sessions do, or did, stands where everybody can read it.
const OTHERS: &[Attack] = &[
    shows(&["select query from pg_stat_activity"]),
    shows(&["select a from pg_stat_activity a"]),
    shows(&["select * from pg_stat_activity"]),
    shows(&["select (pg_stat_get_activity(null)).query"]),
    shows(&["select pg_stat_get_backend_activity(i) from pg_stat_get_backend_idset() i"]),
    shows(&["select query from pg_stat_statements"]),
    shows(&["select * from pg_stat_statements"]),
    shows(&["select query from pg_stat_statements(true)"]),
    shows(&["copy (select query from pg_stat_statements) to stdout"]),
    shows(&["create temp table t as select query from pg_stat_activity", "table t"]),
];

/// What changes are written down as, before or after they are in the table.
const WRITTEN: &[Attack] = &[
    shows(&[
        "select data from pg_logical_slot_peek_changes(('of_' || current_database())::name, null, null)",
    ]),
    part(
        &[
            "select encode(data, 'hex') from pg_logical_slot_peek_binary_changes(('of_' || current_database())::name, null, null)",
        ],
        "3533362d32322d38373236",
    ),
    part(&["select get_raw_page('people', 0)::text"], "3533362d32322d38373236"),
    part(&["select t_data from heap_page_items(get_raw_page('people', 0))"], "3533362d32322d38373236"),
    part(
        &["select t_attrs from heap_page_item_attrs(get_raw_page('people', 0), 'people')"],
        "3533362d32322d38373236",
    ),
    part(&["select data from bt_page_items('people_ssn_idx', 1)"], "35 33 36 2d 32 32 2d 38 37 32 36"),
    part(&["select pg_read_binary_file(pg_relation_filepath('people'))"], "3533362d32322d38373236"),
    shows(&[
        "select * from dblink('host=' || current_setting('unix_socket_directories') || ' port=' || current_setting('port') || ' dbname=' || current_database(), 'select ssn from people') as t (s text)",
    ]),
    shows(&[
        "select dblink_connect('l', 'host=' || current_setting('unix_socket_directories') || ' port=' || current_setting('port') || ' dbname=' || current_database())",
        "select dblink_open('l', 'c', 'table people')",
        "select * from dblink_fetch('l', 'c', 1) as t (a bigint, b text, c text, d text, e text, f text)",
    ]),
    shows(&[
        "select dblink_exec('host=' || current_setting('unix_socket_directories') || ' port=' || current_setting('port') || ' dbname=' || current_database(), 'do $$ begin raise exception $q$%$q$, (select max(ssn) from people where id = 1); end $$')",
    ]),
    shows(&["select * from xpath_table('id', 'x', 'lab.papers', '/a', 'true') as t (id int, s text)"]),
    shows(&["select * from pg_logical_slot_get_changes(('of_' || current_database())::name, null, 1)"]),
];

const OWN: &str = "
create index people_ssn_idx on people (ssn); create view lab.by_view as select *, ssn as s from people;
create table lab.common () inherits (people);
insert into lab.common select n + 100, name, email, card, ssn, city from only people, generate_series(1, 20) n where id = 1;
create function lab.ssn_once() returns text language sql immutable as 'select max(ssn) from public.people where id = 1';
create statistics lab.alike (mcv) on ssn, city from lab.common; create statistics lab.computed on (ssn || '') from people;
analyze lab.common; analyze people";

#[test]
fn a035_no_statistics_show_values() {
    let reading = "grant select on pg_statistic, pg_statistic_ext_data to app";
    Sides::prepare(reading, OWN).hide(STATISTICS);
}

#[test]
fn a035_no_plan_tells_of_values() {
    Sides::prepare("", OWN).hide(PLANS);
}

/// With `auto_explain`, each statement's plan is a notice.
#[test]
fn a035_no_plan_that_the_server_tells_unasked_says_anything() {
    let settings = [
        "shared_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_level=notice",
        "auto_explain.log_analyze=on",
        "auto_explain.log_verbose=on",
        "auto_explain.log_nested_statements=on",
    ];
    Sides::with(&policies::masks().unwrap(), &settings, "", OWN).hide(&[
        part(&["select name from people where ssn like '536%'"], "removed by filter: 3"),
        part(&["select name from lab.by_view where s like '536%'"], "removed by filter: 3"),
        part(&["select id from orders where item = lab.ssn_once()"], "536-22-8726"),
        part(&["select id from people where name = (select lab.ssn_once())"], "536-22-8726"),
        part(
            &[
                "begin",
                "declare c cursor for select name from people where ssn like '536%'",
                "fetch all from c",
                "commit",
            ],
            "removed by filter: 3",
        ),
        part(&["update people set city = city where ssn like '000%'"], "removed by filter: 4"),
        part(&["copy (select name from people where ssn like '536%') to stdout"], "removed by filter: 3"),
    ]);
}

/// The others are there for as long as these look.
#[test]
fn a035_what_others_have_sent_is_not_shown() {
    let settings = ["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_utility=on"];
    let statements = "create extension pg_stat_statements; grant pg_read_all_stats to app";
    let sides = Sides::with(&policies::masks().unwrap(), &settings, statements, "select 1");
    let mut other = sides.session(Who::Exempt);
    // Of constants pg_stat_statements keeps nothing, and since version 18 not of these either; of a comment it does.
    for text in ["select /* 536-22-8726 */ 1", "set lab.known = '536-22-8726'"] {
        let said = other.query(text).unwrap();
        assert!(!said.iter().any(|message| message.tag == 'E'), "{}", print(&said));
    }
    sides.hide(OTHERS);
}

#[test]
fn a035_nothing_that_is_written_about_a_value_shows_it() {
    let before = "alter role app superuser; create extension pageinspect; create extension dblink; create extension xml2";
    let papers = format!(
        "{OWN}; create table lab.paper () inherits (people); insert into lab.paper select id + 200, name, email, card, ssn, city from only people; \
         create view lab.papers as select id, '<a>' || ssn || '</a>' as x from people"
    );
    let sides = Sides::with(&policies::masks().unwrap(), &["wal_level=logical"], before, &papers);
    for database in ["shown", "postgres"] {
        for statement in [
            format!("select pg_create_logical_replication_slot('of_{database}', 'test_decoding')"),
            "update people set city = city".to_owned(),
            "checkpoint".to_owned(),
        ] {
            sides.scene.postgres.sql(database, &statement).unwrap();
        }
    }
    sides.hide(WRITTEN);
}
