//! Masked answers.

use expect_test::expect;
use gatewright_model::mask::{ColumnMask, Detector, DetectorMask, MaskMethod, MaskPlan};
use gatewright_playbook::{
    Play, Stage, check,
    messages::{self, *},
};

/// The oid of `people` in the catalog that these targets show.
pub(super) const PEOPLE: u32 = 16_400;

pub(super) fn plan() -> MaskPlan {
    MaskPlan {
        columns: vec![ColumnMask {
            schema: "public".into(),
            relation: "people".into(),
            column: "ssn".into(),
            method: MaskMethod::Partial { keep: 4 },
            conditions: None,
            rule: "mask-people/ssn".into(),
        }],
        ..MaskPlan::default()
    }
}

pub(super) fn catalog_rows() -> Vec<u8> {
    [
        data_row(&["16400", "public", "people", "1", "id"]),
        data_row(&["16400", "public", "people", "2", "name"]),
        data_row(&["16400", "public", "people", "3", "ssn"]),
        data_row(&["16500", "public", "orders", "1", "id"]),
        data_row(&["16600", "public", "people_view", "1", "whatever"]),
        data_row(&["16600", "", "", "0", "16400"]),
    ]
    .concat()
}

pub(super) fn catalog() -> Vec<u8> {
    [row_description(&[("a", 0, 0)]), catalog_rows(), complete("SELECT 6"), ready(b'I')].concat()
}

/// A session whose policies mask `people.ssn` and that has read the catalog.
pub(super) fn masking() -> Play {
    masking_beside(&[])
}

/// The same, where the catalog has more rows.
pub(super) fn masking_beside(more: &[Vec<u8>]) -> Play {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("select id from orders"));
    play.permit_masked(plan());
    let rows = [catalog_rows(), more.concat()].concat();
    play.target([row_description(&[("a", 0, 0)]), rows, complete("SELECT 6"), ready(b'I')].concat());
    play.target(
        [row_description(&[("id", 16_500, 1)]), data_row(&["1"]), complete("SELECT 1"), ready(b'I')]
            .concat(),
    );
    play
}

/// What a client is told once, where values were withheld.
const NOTICE: &str = "N(00000 values that could be masked ones are null in this answer) ";

/// What the client sees, but for that.
pub(super) fn without_notice(play: &Play) -> String {
    messages::render(play.transcript().client_bytes(), false).replace(NOTICE, "")
}

/// What the client sees of `rows` under `statement`.
fn answer(statement: &str, columns: &[(&str, u32, i16)], rows: &[&str]) -> String {
    let mut play = masking();
    play.client(query(statement));
    play.permit_masked(plan());
    play.target([row_description(columns), data_row(rows), complete("SELECT 1"), ready(b'I')].concat());
    without_notice(&play)
}

/// Is the statement refused with this code, and nothing sent?
pub(super) fn refused(statement: &str, code: &str) {
    let mut play = masking();
    play.client(query(statement));
    play.permit_masked(plan());
    let transcript = play.transcript().to_string();
    assert!(transcript.ends_with(&format!("error {code}\n")), "{statement}:\n{transcript}");
    assert!(play.transcript().target_bytes().is_empty(), "{statement}:\n{transcript}");
}

#[test]
fn the_catalog_is_read_before_the_first_masked_answer_and_stays_hidden() {
    check(
        |play| {
            play.log_in();
            play.client(query("select ssn from people"));
            play.permit_masked(plan());
            play.target(catalog());
            play.target(
                [
                    row_description(&[("ssn", PEOPLE, 3)]),
                    data_row(&["123-45-6789"]),
                    complete("SELECT 1"),
                    ready(b'I'),
                ]
                .concat(),
            );
        },
        expect![[r#"
            client: Q(select ssn from people)
              decide sql.query `select ssn from people`
            permit
              to target: Q(/* gatewright: catalog */ with telling as (select pg_catalog)
            target: T D(16400,public,people,1,id) D(16400,public,people,2,name) D(16400,public,people,3,ssn) D(16500,public,orders,1,id) D(16600,public,people_view,1,whatever) D(16600,,,0,16400) C(SELECT 6) Z(I)
              to target: Q(select ssn from people)
            target: T D(123-45-6789) C(SELECT 1) Z(I)
              to client: T D(*******6789) C(SELECT 1) Z(I)
              finished 1: ok, 1 rows, 1 masked by mask-people/ssn
        "#]],
    );
}

#[test]
fn a025_an_alias_does_not_unmask() {
    assert_eq!(
        answer("select ssn as harmless from people", &[("harmless", PEOPLE, 3)], &["123-45-6789"]),
        "T D(*******6789) C(SELECT 1) Z(I)"
    );
}

#[test]
fn a026_expressions_over_masked_columns_are_refused() {
    for statement in [
        "select substr(ssn, 1, 3) from people",
        "select ssn || '' from people",
        "select ssn::varchar from people",
        "select md5(ssn) from people",
        "select max(ssn) from people",
        "select array_agg(ssn) from people",
        "select row_to_json(p) from people p",
        "select p from people p",
        "select to_jsonb(p) ->> 'ssn' from people p",
        "select case when true then ssn end from people",
        "select (select ssn from people limit 1)",
        "with x as (select substr(ssn, 1, 3) as y from people) select y from x",
        "select y from (select reverse(ssn) as y from people) x",
        "select lag(ssn) over () from people",
        "update people set name = name returning substr(ssn, 1, 3)",
    ] {
        refused(statement, "mask.lineage_unknown");
    }
}

#[test]
fn a026_expressions_over_other_columns_are_not() {
    assert_eq!(
        answer(
            "select count(*), upper(name) from people group by name",
            &[("count", 0, 0), ("upper", 0, 0)],
            &["2", "ANN"]
        ),
        "T D(2,ANN) C(SELECT 1) Z(I)"
    );
}

#[test]
fn a025_columns_of_a_view_over_a_masked_table_are_withheld() {
    assert_eq!(
        answer("select whatever from people_view", &[("whatever", 16_600, 1)], &["123-45-6789"]),
        "T D(null) C(SELECT 1) Z(I)"
    );
    refused("select substr(whatever, 1, 3) from people_view", "mask.lineage_unknown");
}

#[test]
fn a026_an_origin_that_the_text_did_not_announce_is_withheld() {
    assert_eq!(
        answer("select ssn from people", &[("ssn", 0, 0)], &["123-45-6789"]),
        "T D(null) C(SELECT 1) Z(I)"
    );
    assert_eq!(
        answer("fetch all from some_cursor", &[("x", 0, 0), ("ssn", PEOPLE, 3)], &["123", "123-45-6789"]),
        "T D(null,*******6789) C(SELECT 1) Z(I)"
    );
}

#[test]
fn a027_masked_columns_can_not_be_copied_elsewhere() {
    for statement in [
        "create table copied as select ssn from people",
        "create temp table copied as select * from people",
        "select ssn into copied from people",
        "insert into orders (note) select ssn from people",
        "create view v as select ssn as a from people",
        "create table copied as select p from people p",
        "insert into orders (note) select p::text from people p",
        "update people set name = ssn where id = 1",
        "update people p set name = p::text where id = 1",
        "update people set name = 'x' where ssn = '1'",
        "update orders set note = p::text from people p where p.id = orders.id",
        "with moved as (insert into orders (note) select ssn from people returning 1) select 1",
        "select id from people where pg_notify('channel', ssn) is null",
        "select id from people p where pg_notify('channel', p::text) is null",
    ] {
        refused(statement, "mask.sink_denied");
    }
}

#[test]
fn a027_a_masked_relation_is_not_defined_anew_by_those_for_whom_it_is_masked() {
    for statement in [
        "alter table people rename to p2",
        "alter table people rename column ssn to x",
        "alter table people set schema other",
        "alter table people inherit orders",
        "alter table people add column g text generated always as (ssn || '') stored",
        "alter table people alter column name type text using ssn",
        "create rule r as on update to people do also insert into orders (note) values (old.ssn)",
        "alter table people rename column ssn to x; select x || '' from people",
        "select id from people where set_config('my.x', ssn, false) is not null",
    ] {
        refused(statement, "mask.sink_denied");
    }
}

#[test]
fn a035_statistics_hold_values_and_are_refused() {
    for statement in [
        "select most_common_vals from pg_stats",
        "select * from pg_catalog.pg_stats_ext",
        "select stavalues1 from pg_statistic",
    ] {
        refused(statement, "mask.statistics");
    }
}

/// psql's `\d` asks which statistics there are.
#[test]
fn a035_what_statistics_are_about_is_no_value() {
    let mut play = masking();
    play.client(query("select stxname from pg_catalog.pg_statistic_ext"));
    play.permit_masked(plan());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("to target: Q(select stxname"), "{transcript}");
}

#[test]
fn a026_columns_are_trusted_by_their_place_and_not_by_their_number() {
    // `p.f` may be a function of the whole row: the server reports no origin for it, and the cast of a
    // plain column keeps its own.
    assert_eq!(
        answer(
            "select p.f, name::text from people p",
            &[("f", 0, 0), ("name", PEOPLE, 2)],
            &["123", "ann"]
        ),
        "T D(null,ann) C(SELECT 1) Z(I)"
    );
}

#[test]
fn a027_what_carries_nothing_away_is_not_in_the_way() {
    for statement in [
        "update people set name = 'x' where id = 1",
        "delete from people where id = 1",
        "insert into people (id, name) values (1, 'x')",
        "insert into orders (id) values (1)",
        "update orders set id = 2 where id = 1",
        "select id, name from people order by name",
        "create table fresh (id int)",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(plan());
        let sent = play.transcript().target_bytes();
        assert!(sent == query(statement), "{statement}:\n{}", play.transcript());
    }
}

#[test]
fn a035_plans_of_a_masked_table_are_refused() {
    refused("explain analyze select 1 from people where ssn like '1%'", "mask.statistics");
}

#[test]
fn a029_an_execute_without_describe_is_described_by_the_gateway() {
    let mut play = masking();
    play.client([parse("s", "select ssn from people"), sync()].concat());
    play.permit_masked(plan());
    play.target([message(b'1', b""), ready(b'I')].concat());
    for _ in 0..3 {
        play.client([bind("", "s", &[]), execute(""), sync()].concat());
        play.permit_masked(plan());
        assert_eq!(messages::render(play.transcript().target_bytes(), true), "D(P) E() S");
        play.target(
            [
                message(b'2', b""),
                row_description(&[("ssn", PEOPLE, 3)]),
                data_row(&["123-45-6789"]),
                complete("SELECT 1"),
                ready(b'I'),
            ]
            .concat(),
        );
        assert_eq!(
            messages::render(play.transcript().client_bytes(), false),
            "2 D(*******6789) C(SELECT 1) Z(I)"
        );
    }
}

#[test]
fn a030_each_portal_is_masked_by_its_own_description() {
    let mut play = masking();
    play.client(
        [
            parse("a", "select id from people"),
            parse("b", "select ssn from people"),
            bind("pa", "a", &[]),
            bind("pb", "b", &[]),
        ]
        .concat(),
    );
    play.permit_masked(plan());
    play.permit_masked(plan());
    play.client([execute("pa"), execute("pb"), sync()].concat());
    play.permit_masked(plan());
    play.permit_masked(plan());
    play.target([message(b'1', b""), message(b'1', b""), message(b'2', b""), message(b'2', b"")].concat());
    play.target([row_description(&[("id", PEOPLE, 1)]), data_row(&["1"]), complete("SELECT 1")].concat());
    play.target(
        [
            row_description(&[("ssn", PEOPLE, 3)]),
            data_row(&["123-45-6789"]),
            complete("SELECT 1"),
            ready(b'I'),
        ]
        .concat(),
    );
    assert_eq!(
        messages::render(play.transcript().client_bytes(), false),
        "D(*******6789) C(SELECT 1) Z(I)"
    );
}

#[test]
fn the_catalog_is_read_inside_a_batch_without_ending_it() {
    check(
        |play| {
            play.log_in();
            play.client(
                [parse("", "insert into orders values (1)"), bind("", "", &[]), execute("")].concat(),
            );
            play.permit();
            play.permit();
            play.client([parse("", "select ssn from people"), sync()].concat());
            play.permit_masked(plan());
            play.target([message(b'1', b""), message(b'2', b""), complete("INSERT 0 1")].concat());
            play.target(
                [
                    message(b'1', b""),
                    message(b'2', b""),
                    catalog_rows(),
                    complete("SELECT 6"),
                    message(b'3', b""),
                    message(b'3', b""),
                ]
                .concat(),
            );
            play.target([message(b'1', b""), ready(b'I')].concat());
        },
        expect![[r#"
            client: P(insert into orders values (1)) B() E()
              decide sql.parse `insert into orders values (1)`
            permit
              to target: P(insert into orders values (1)) B()
              decide sql.execute `insert into orders values (1)`
            permit
              to target: E()
            client: P(select ssn from people) S
              decide sql.parse `select ssn from people`
            permit
              to target: P(gatewright.catalog /* gatewright: catalog */ with telling as) B(gatewright.catalog gatewright.catalog) E(gatewright.catalog) C(Pgatewright.catalog) C(Sgatewright.catalog) H
            target: 1 2 C(INSERT 0 1)
              to client: 1 2 C(INSERT 0 1)
              finished 1: ok
              finished 2: ok, 1 rows
            target: 1 2 D(16400,public,people,1,id) D(16400,public,people,2,name) D(16400,public,people,3,ssn) D(16500,public,orders,1,id) D(16600,public,people_view,1,whatever) D(16600,,,0,16400) C(SELECT 6) 3 3
              to target: P(select ssn from people) S
            target: 1 Z(I)
              to client: 1 Z(I)
              finished 3: ok
        "#]],
    );
}

#[test]
fn a_failed_transaction_can_be_ended_though_no_catalog_can_be_read_in_it() {
    check(
        |play| {
            play.log_in();
            play.client(query("begin; select nothing"));
            play.permit();
            play.target([complete("BEGIN"), error("42703", "no such column"), ready(b'E')].concat());
            play.client(query("select ssn from people"));
            play.permit_masked(plan());
            play.client(query("rollback"));
            play.permit_masked(plan());
        },
        expect![[r#"
            client: Q(begin; select nothing)
              decide sql.query `begin; select nothing`
            permit
              to target: Q(begin; select nothing)
            target: C(BEGIN) E(42703 no such column) Z(E)
              to client: C(BEGIN) E(42703 no such column) Z(E)
              finished 1: error 42703
            client: Q(select ssn from people)
              decide sql.query `select ssn from people`
            permit
              to client: E(25P02 current transaction is aborted, commands ignored until end of transaction block) Z(E)
              finished 2: error pg.failed_transaction
            client: Q(rollback)
              decide sql.query `rollback`
            permit
              to target: Q(rollback)
        "#]],
    );
}

#[test]
fn a026_a_text_that_was_not_understood_goes_nowhere_near_masked_columns() {
    let mut play = masking();
    play.client(query("selec ssn from people"));
    play.permit_masked(plan());
    let transcript = play.transcript().to_string();
    assert!(transcript.ends_with("error mask.lineage_unknown\n"), "{transcript}");
    // Behind two statements in one Parse it is read by nothing but the target's grammar.
    let target = messages::render(play.transcript().target_bytes(), true);
    assert_eq!(target, "P(/* refused by gatewright */select;select;selec ssn from peop) S");
}

#[test]
fn detectors_search_rows_and_copied_text() {
    let plan = || MaskPlan {
        detectors: vec![DetectorMask {
            detector: Detector::CardNumber,
            method: MaskMethod::Redact,
            rule: "cards".into(),
        }],
        ..MaskPlan::default()
    };
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("select note from orders"));
    play.permit_masked(plan());
    play.target(
        [
            row_description(&[("note", 16_500, 2)]),
            data_row(&["card 4111111111111111"]),
            complete("SELECT 1"),
            ready(b'I'),
        ]
        .concat(),
    );
    assert_eq!(
        messages::render(play.transcript().client_bytes(), false),
        "T D(card [redacted]) C(SELECT 1) Z(I)"
    );
    assert!(play.transcript().to_string().contains("1 masked by cards"), "{}", play.transcript());
    play.client(query("copy orders to stdout"));
    play.permit_masked(plan());
    play.target(
        [message(b'H', &[0, 0, 1, 0, 0]), message(b'd', b"1\t4111111111111111\n"), message(b'c', b"")]
            .concat(),
    );
    assert_eq!(messages::render(play.transcript().client_bytes(), false), "H d(1\\t[redacted]\\n) c");
}

/// Prepares `body` as `q`, with masks.
fn prepared(body: &str) -> Play {
    let mut play = masking();
    play.client(query(&format!("prepare q as {body}")));
    play.permit_masked(plan());
    play.target([complete("PREPARE"), ready(b'I')].concat());
    play.client(query("execute q"));
    play.permit_masked(plan());
    play
}

#[test]
fn a025_what_sql_prepared_is_masked_when_it_runs() {
    let mut play = prepared("select ssn as harmless, 1 as one from people");
    let columns = row_description(&[("harmless", PEOPLE, 3), ("one", 0, 0)]);
    play.target([columns, data_row(&["123-45-6789", "1"]), complete("SELECT 1"), ready(b'I')].concat());
    let seen = messages::render(play.transcript().client_bytes(), false);
    assert!(seen.ends_with("T D(*******6789,1) C(SELECT 1) Z(I)"), "{seen}");
}

#[test]
fn a026_what_sql_prepared_can_not_compute_from_masked_columns() {
    let play = prepared("select reverse(ssn) from people");
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("mask.lineage_unknown"), "{transcript}");
    assert!(!transcript.contains("to target: Q(execute q)"), "{transcript}");
}

/// What a name stands for is not known after that: columns without an origin are withheld.
#[test]
fn a026_what_execute_can_not_be_seen_to_run_shows_nothing_computed() {
    let mut play = prepared("select 1");
    play.target(
        [row_description(&[("one", 0, 0)]), data_row(&["1"]), complete("SELECT 1"), ready(b'I')].concat(),
    );
    play.client(query("deallocate q; select our_own()"));
    play.permit_masked(plan());
    play.target([complete("DEALLOCATE"), complete("SELECT 0"), ready(b'I')].concat());
    play.client(query("execute q"));
    play.permit_masked(plan());
    let columns = row_description(&[("reverse", 0, 0), ("ssn", PEOPLE, 3)]);
    play.target(
        [columns, data_row(&["9876-54-321", "123-45-6789"]), complete("SELECT 1"), ready(b'I')].concat(),
    );
    let seen = without_notice(&play);
    assert!(seen.ends_with("T D(null,*******6789) C(SELECT 1) Z(I)"), "{seen}");
}

/// The target gives all rows of FETCH at the first Execute, and describes the rest by what the name of the
/// cursor stands for then.
#[test]
fn a030_the_rest_of_a_fetch_can_not_be_asked_for_under_masks() {
    let mut play = masking();
    play.client(
        [parse("", "fetch all from c"), bind("p", "", &[]), execute("p"), message(b'H', b"")].concat(),
    );
    play.permit_masked(plan());
    play.permit_masked(plan());
    let columns = row_description(&[("ssn", PEOPLE, 3)]);
    let row = data_row(&["123-45-6789"]);
    play.target([message(b'1', b""), message(b'2', b""), columns, row, message(b's', b"")].concat());
    play.client([execute("p"), sync()].concat());
    play.permit_masked(plan());
    play.target([error("42601", "syntax error"), ready(b'I')].concat());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("pg.portal_by_name"), "{transcript}");
}

/// A function may have prepared something else under the name; an answer that is computed would not tell.
#[test]
fn a026_what_was_prepared_before_unseen_code_ran_is_prepared_again() {
    let mut play = masking();
    play.client([parse("s", "select upper(name) from orders"), sync()].concat());
    play.permit_masked(plan());
    play.target([message(b'1', b""), ready(b'I')].concat());
    play.client(query("select swap()"));
    play.permit_masked(plan());
    play.target(
        [row_description(&[("swap", 0, 0)]), data_row(&[""]), complete("SELECT 1"), ready(b'I')].concat(),
    );
    play.client([bind("", "s", &[]), execute(""), sync()].concat());
    play.permit_masked(plan());
    let sent = String::from_utf8_lossy(play.sent()).into_owned();
    assert!(sent.contains("gatewright refused a statement here"), "{}", play.transcript());
    // Whoever prepares it again may run it.
    play.target([message(b'2', b""), error("42601", "syntax error"), ready(b'I')].concat());
    assert!(play.transcript().to_string().contains("E(26000 "), "{}", play.transcript());
    play.client([parse("s2", "select upper(name) from orders"), bind("", "s2", &[]), execute("")].concat());
    play.permit_masked(plan());
    play.permit_masked(plan());
    assert!(play.transcript().to_string().ends_with("to target: D(P) E()\n"), "{}", play.transcript());
}

#[test]
fn a027_a_masked_schema_keeps_its_name() {
    refused("alter schema public rename to hidden", "mask.sink_denied");
}

#[test]
fn a030_explain_of_what_can_not_be_seen_is_refused() {
    refused("explain analyze execute unknown_name", "mask.statistics");
}

/// Whoever sees nulls where values were is told why, before the end of that answer, once.
#[test]
fn values_that_are_withheld_are_spoken_of_once() {
    let mut play = masking();
    let rows =
        [row_description(&[("whatever", 16_600, 1)]), data_row(&["1"]), complete("SELECT 1"), ready(b'I')];
    play.client(query("select whatever from people_view"));
    play.permit_masked(plan());
    play.target(rows.concat());
    let first = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(first, format!("T D(null) {NOTICE}C(SELECT 1) Z(I)"));
    play.client(
        [parse("", "select whatever from people_view"), bind("", "", &[]), execute(""), sync()].concat(),
    );
    play.permit_masked(plan());
    play.target(message(b'1', b""));
    play.permit_masked(plan());
    play.target([&message(b'2', b"")[..], &rows.concat()].concat());
    assert!(!play.transcript().to_string().ends_with(NOTICE), "{}", play.transcript());
    assert_eq!(
        play.transcript().to_string().matches("could be masked").count(),
        1,
        "{}",
        play.transcript()
    );
}

/// What ORMs and pg_dump do to a masked table, where nothing masked is named.
#[test]
fn a027_what_names_no_masked_column_of_a_masked_table_may_be_written() {
    for statement in [
        "insert into people (id, name) values (5, 'x') returning id",
        "insert into people (id, name) select id, name from people returning id, name",
        "insert into people (id, ssn) values (5, '1') returning id, ssn",
        "insert into people values (5, 'x', '1') returning *",
        "update people set ssn = '1' where id = 5 returning people.*, name",
        "delete from people where id = 5 returning *",
        "insert into people (id, ssn) values (5, '1') on conflict (id) do update set ssn = '1' returning id",
        "update people set ssn = '1', name = name || 'x' where id = 5",
        "update people p set (ssn, name) = ('1', 'x') from orders where orders.id = p.id returning p.ssn",
        "merge into people using orders on people.id = orders.id when matched then update set ssn = '1'",
        "lock table people in access share mode",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(plan());
        let sent = messages::render(play.transcript().target_bytes(), true);
        assert!(
            ["Q(insert", "Q(lock", "Q(update", "Q(merge", "Q(delete"]
                .iter()
                .any(|start| sent.starts_with(start)),
            "{statement}: {}",
            play.transcript()
        );
    }
    for statement in [
        "insert into people (id, name) select id, ssn from people",
        "insert into people select * from people returning id",
        "insert into people (name) select people::text from people returning id",
        "insert into people (name) select p::text from people p returning id",
        "insert into people (name) values ('x') returning upper(ssn)",
        "insert into people (name) values ((select max(ssn) from people)) returning id",
        "insert into orders (id) select 1 from people returning id",
        "update people set ssn = '1', name = ssn where id = 5",
        "update people p set name = p.ssn, ssn = '1' where id = 5",
        "update people p set (name, ssn) = (select q.ssn, '1' from people q where q.id = p.id)",
        "update people set ssn = '1' where ssn = '2'",
        "update people set ssn = '1' returning ssn || ''",
        "update people set ssn = '1' returning people",
        "update people set name = ssn returning name",
        "with x as (update people set name = 'x' returning id, ssn) update people set name = x.ssn from x where x.id = people.id",
        "with x as (update people set name = 'x' returning id, ssn) insert into people (id, name) select * from x returning id",
        "with x(i, n) as (delete from people returning id, ssn) insert into people (id, name) select i, n from x",
        "update people_view set whatever = '1'",
        "insert into people (id, ssn) values (5, '1') on conflict (id) do update set name = people.ssn",
        "insert into people (id, ssn) values (5, '1') on conflict (id) do update set name = excluded.ssn",
        "merge into people p using (values (1, '1')) v(id, n) on p.ssn = v.n when matched then update set ssn = v.n",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(plan());
        assert!(play.transcript().target_bytes().is_empty(), "{statement}: {}", play.transcript());
    }
}
