//! The extended protocol: batches, names, refusals in the middle.

use expect_test::expect;
use gatewright_playbook::{Play, Stage, check, messages::*};

fn prepared(name: &str, text: &str) -> Vec<u8> {
    [parse(name, text), bind("", name, &["7"]), describe('P', ""), execute(""), sync()].concat()
}

#[test]
fn a_statement_is_judged_at_parse_and_again_at_execute() {
    check(
        |play| {
            play.log_in();
            play.client(prepared("", "select name from people where id = $1"));
            play.permit();
            play.permit();
            play.target(
                [
                    message(b'1', b""),
                    message(b'2', b""),
                    row_description(&[("name", 5, 2)]),
                    data_row(&["ann"]),
                    complete("SELECT 1"),
                    ready(b'I'),
                ]
                .concat(),
            );
        },
        expect![[r#"
            client: P(select name from people where id = $1) B(\x01 \x017) D(P) E() S
              decide sql.parse `select name from people where id = $1`
            permit
              to target: P(select name from people where id = $1) B(\x01 \x017) D(P)
              decide sql.execute `select name from people where id = $1` with 1 parameters
            permit
              to target: E() S
            target: 1 2 T D(ann) C(SELECT 1) Z(I)
              to client: 1 2 T D(ann) C(SELECT 1) Z(I)
              finished 1: ok
              finished 2: ok, 1 rows
        "#]],
    );
}

#[test]
fn a018_a_prepared_statement_is_judged_again_when_it_runs() {
    check(
        |play| {
            play.log_in();
            play.client([parse("s", "select 1"), sync()].concat());
            play.permit();
            play.target([message(b'1', b""), ready(b'I')].concat());
            play.client([bind("", "s", &[]), execute(""), sync()].concat());
            play.deny();
            play.target([message(b'2', b""), error("42601", "syntax error"), ready(b'I')].concat());
        },
        expect![[r#"
            client: P(s select 1) S
              decide sql.parse `select 1`
            permit
              to target: P(s select 1) S
            target: 1 Z(I)
              to client: 1 Z(I)
              finished 1: ok
            client: B(s) E() S
              to target: B(s)
              decide sql.execute `select 1`
            deny
              to target: P(gatewright.refused gatewright refused a statement here) S
            target: 2 E(42601 syntax error) Z(I)
              to client: 2 E(42501 blocked by policy: not here) Z(I)
        "#]],
    );
}

#[test]
fn a023_a_refusal_at_the_start_of_a_batch_is_answered_by_the_gateway() {
    check(
        |play| {
            play.log_in();
            play.client(prepared("", "delete from people"));
            play.deny();
        },
        expect![[r#"
            client: P(delete from people) B(\x01 \x017) D(P) E() S
              decide sql.parse `delete from people`
            deny
              to client: E(42501 blocked by policy: not here) Z(I)
        "#]],
    );
}

#[test]
fn a023_a_refusal_in_the_middle_of_a_batch_fails_it_there() {
    check(
        |play| {
            play.log_in();
            play.client(
                [
                    parse("", "insert into t values (1)"),
                    bind("", "", &[]),
                    execute(""),
                    parse("", "delete from people"),
                    bind("", "", &[]),
                    execute(""),
                    sync(),
                    parse("", "select 1"),
                    sync(),
                ]
                .concat(),
            );
            play.permit();
            play.permit();
            play.deny();
            play.permit();
            play.target(
                [
                    message(b'1', b""),
                    message(b'2', b""),
                    complete("INSERT 0 1"),
                    error("42601", "syntax error"),
                    ready(b'I'),
                    message(b'1', b""),
                    ready(b'I'),
                ]
                .concat(),
            );
        },
        expect![[r#"
            client: P(insert into t values (1)) B() E() P(delete from people) B() E() S P(select 1) S
              decide sql.parse `insert into t values (1)`
            permit
              to target: P(insert into t values (1)) B()
              decide sql.execute `insert into t values (1)`
            permit
              to target: E()
              decide sql.parse `delete from people`
            deny
              to target: P(gatewright.refused gatewright refused a statement here) S
              decide sql.parse `select 1`
            permit
              to target: P(select 1) S
            target: 1 2 C(INSERT 0 1) E(42601 syntax error) Z(I) 1 Z(I)
              to client: 1 2 C(INSERT 0 1) E(42501 blocked by policy: not here) Z(I) 1 Z(I)
              finished 1: ok
              finished 2: ok, 1 rows
              finished 4: ok
        "#]],
    );
}

#[test]
fn an_error_of_the_target_skips_the_rest_of_the_batch_for_both() {
    check(
        |play| {
            play.log_in();
            play.client([parse("", "select nothing"), bind("", "", &[]), execute("")].concat());
            play.permit();
            play.target(error("42703", "column does not exist"));
            play.permit();
            play.client([parse("", "select 2"), sync()].concat());
            play.target(ready(b'I'));
        },
        expect![[r#"
            client: P(select nothing) B() E()
              decide sql.parse `select nothing`
            permit
              to target: P(select nothing) B()
              decide sql.execute `select nothing`
            target: E(42703 column does not exist)
              to client: E(42703 column does not exist)
              finished 1: error 42703
            permit
              finished 2: error skipped
            client: P(select 2) S
              to target: S
            target: Z(I)
              to client: Z(I)
        "#]],
    );
}

#[test]
fn a_name_that_the_target_did_not_take_keeps_its_old_meaning() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([parse("s", "delete from people where id = 1"), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
    play.client([parse("s", "select 1"), sync()].concat());
    play.permit();
    play.target([error("42P05", "prepared statement \"s\" already exists"), ready(b'I')].concat());
    play.client([bind("", "s", &[]), execute(""), sync()].concat());
    let transcript = play.transcript().to_string();
    assert!(transcript.ends_with("decide sql.execute `delete from people where id = 1`\n"), "{transcript}");
}

#[test]
fn a018_a_name_that_sql_prepared_can_not_be_run_as_ours() {
    check(
        |play| {
            play.log_in();
            play.client([bind("", "made_by_sql", &[]), execute(""), sync()].concat());
            play.client([execute("cursor_of_sql"), sync()].concat());
        },
        expect![[r#"
            client: B(made_by_sql) E() S
              to client: E(26000 prepared statement \"made_by_sql\" does not exist) Z(I)
            client: E(cursor_of_sql) S
              to client: E(34000 portal \"cursor_of_sql\" does not exist) Z(I)
        "#]],
    );
}

#[test]
fn a018_sql_that_prepares_makes_known_names_unknown() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([parse("s", "select 1"), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
    for (text, tag) in [("deallocate s", "DEALLOCATE"), ("prepare s as delete from people", "PREPARE")] {
        play.client(query(text));
        play.permit();
        play.target([complete(tag), ready(b'I')].concat());
    }
    play.client([bind("", "s", &[]), execute(""), sync()].concat());
    assert!(play.transcript().to_string().contains("E(26000 "), "{}", play.transcript());
    assert!(!play.holds());
}

#[test]
fn a_portal_is_run_in_parts() {
    check(
        |play| {
            play.log_in();
            play.client(
                [parse("", "select id from people"), bind("p", "", &[]), execute("p"), message(b'H', b"")]
                    .concat(),
            );
            play.permit();
            play.permit();
            play.target(
                [message(b'1', b""), message(b'2', b""), data_row(&["1"]), message(b's', b"")].concat(),
            );
            play.client([execute("p"), close('P', "p"), sync()].concat());
            play.permit();
            play.target([data_row(&["2"]), complete("SELECT 1"), message(b'3', b""), ready(b'I')].concat());
        },
        expect![[r#"
            client: P(select id from people) B(p) E(p) H
              decide sql.parse `select id from people`
            permit
              to target: P(select id from people) B(p)
              decide sql.execute `select id from people`
            permit
              to target: E(p) H
            target: 1 2 D(1) s
              to client: 1 2 D(1) s
              finished 1: ok
              finished 2: ok
            client: E(p) C(Pp) S
              decide sql.execute `select id from people`
            permit
              to target: E(p) C(Pp) S
            target: D(2) C(SELECT 1) 3 Z(I)
              to client: D(2) C(SELECT 1) 3 Z(I)
              finished 3: ok, 1 rows
        "#]],
    );
}

#[test]
fn malformed_messages_end_the_session() {
    for bytes in [
        message(b'P', b"s\0select 1\0"),
        message(b'B', b"\0\0"),
        message(b'E', b"\0"),
        message(b'D', b"X\0"),
        message(b'C', b"S"),
        message(b'S', b"x"),
        message(b'H', b"x"),
        message(b'Q', b"select 1"),
    ] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(&bytes);
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("error pg.malformed"), "{}:\n{transcript}", bytes.escape_ascii());
        assert!(transcript.contains("E(08P01 "), "{transcript}");
    }
}

#[test]
fn a018_a_name_that_is_taken_can_not_be_run_under_another_text() {
    check(
        |play| {
            play.log_in();
            play.client([parse("p", "truncate orders"), sync()].concat());
            play.permit();
            play.target([message(b'1', b""), ready(b'I')].concat());
            // In one write: a harmless text for the same name, which the target will refuse, and a batch
            // that runs the name.
            play.client([parse("p", "select 1"), sync(), bind("", "p", &[]), execute(""), sync()].concat());
            play.permit();
            play.target([error("42P05", "already exists"), ready(b'I')].concat());
        },
        expect![[r#"
            client: P(p truncate orders) S
              decide sql.parse `truncate orders`
            permit
              to target: P(p truncate orders) S
            target: 1 Z(I)
              to client: 1 Z(I)
              finished 1: ok
            client: P(p select 1) S B(p) E() S
              decide sql.parse `select 1`
            permit
              to target: P(p select 1) S
            target: E(42P05 already exists) Z(I)
              to target: B(p)
              to client: E(42P05 already exists) Z(I)
              finished 2: error 42P05
              decide sql.execute `truncate orders`
        "#]],
    );
}

#[test]
fn a018_names_that_the_target_would_cut_are_refused() {
    let long = "z".repeat(64);
    for bytes in [
        parse(&long, "select 1"),
        bind(&long, "", &[]),
        bind("", &long, &[]),
        execute(&long),
        describe('S', &long),
        describe('P', &long),
        close('S', &long),
        close('P', &long),
    ] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client([bytes, sync()].concat());
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("E(42622 "), "{transcript}");
        assert!(play.sent().is_empty(), "{transcript}");
    }
}

#[test]
fn a_query_that_the_target_skips_has_an_outcome() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([parse("", "select nope"), query("select 1")].concat());
    play.permit();
    play.permit();
    play.target(error("42703", "no such column"));
    assert!(play.transcript().to_string().contains("finished 2: error skipped"), "{}", play.transcript());
}
