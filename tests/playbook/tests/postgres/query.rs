//! The simple protocol.

use expect_test::expect;
use gatewright_model::session::Side;
use gatewright_playbook::{Play, Stage, check, messages::*};

#[test]
fn a_permitted_query_goes_through_byte_by_byte() {
    check(
        |play| {
            play.log_in();
            play.client(query("select 1"));
            play.permit();
            play.target(
                [row_description(&[("a", 0, 0)]), data_row(&["1"]), complete("SELECT 1"), ready(b'I')]
                    .concat(),
            );
        },
        expect![[r#"
            client: Q(select 1)
              decide sql.query `select 1`
            permit
              to target: Q(select 1)
            target: T D(1) C(SELECT 1) Z(I)
              to client: T D(1) C(SELECT 1) Z(I)
              finished 1: ok, 1 rows
        "#]],
    );
}

#[test]
fn a011_a_refused_query_reaches_nobody() {
    check(
        |play| {
            play.log_in();
            play.client(query("select 1; delete from people"));
            play.deny();
            play.client(query("select 2"));
        },
        expect![[r#"
            client: Q(select 1; delete from people)
              decide sql.query `select 1; delete from people`
            deny
              to client: E(42501 blocked by policy: not here) Z(I)
            client: Q(select 2)
              decide sql.query `select 2`
        "#]],
    );
}

#[test]
fn a_refusal_inside_a_transaction_fails_the_transaction() {
    check(
        |play| {
            play.log_in();
            play.client(query("begin"));
            play.permit();
            play.target([complete("BEGIN"), ready(b'T')].concat());
            play.client(query("delete from people"));
            play.deny();
            play.target([error("42601", "syntax error at or near \"gatewright\""), ready(b'E')].concat());
            play.client(query("select 1"));
            play.permit();
            play.target([error("25P02", "current transaction is aborted"), ready(b'E')].concat());
            play.client(query("rollback"));
            play.permit();
            play.target([complete("ROLLBACK"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(begin)
              decide sql.query `begin`
            permit
              to target: Q(begin)
            target: C(BEGIN) Z(T)
              to client: C(BEGIN) Z(T)
              finished 1: ok
            client: Q(delete from people)
              decide sql.query `delete from people`
            deny
              to target: Q(gatewright refused a statement here)
            target: E(42601 syntax error at or near \"gatewright\") Z(E)
              to client: E(42501 blocked by policy: not here) Z(E)
            client: Q(select 1)
              decide sql.query `select 1`
            permit
              to target: Q(select 1)
            target: E(25P02 current transaction is aborted) Z(E)
              to client: E(25P02 current transaction is aborted) Z(E)
              finished 3: error 25P02
            client: Q(rollback)
              decide sql.query `rollback`
            permit
              to target: Q(rollback)
            target: C(ROLLBACK) Z(I)
              to client: C(ROLLBACK) Z(I)
              finished 4: ok
        "#]],
    );
}

#[test]
fn a023_pipelined_queries_are_answered_in_order() {
    check(
        |play| {
            play.log_in();
            play.client([query("select 1"), query("delete from people"), query("select 3")].concat());
            play.permit();
            play.deny();
            play.permit();
            play.target([complete("SELECT 1"), ready(b'I')].concat());
            play.target([error("42601", "syntax error"), ready(b'I')].concat());
            play.target([complete("SELECT 1"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(select 1) Q(delete from people) Q(select 3)
              decide sql.query `select 1`
            permit
              to target: Q(select 1)
              decide sql.query `delete from people`
            deny
              to target: Q(gatewright refused a statement here)
              decide sql.query `select 3`
            permit
              to target: Q(select 3)
            target: C(SELECT 1) Z(I)
              to client: C(SELECT 1) Z(I)
              finished 1: ok, 1 rows
            target: E(42601 syntax error) Z(I)
              to client: E(42501 blocked by policy: not here) Z(I)
            target: C(SELECT 1) Z(I)
              to client: C(SELECT 1) Z(I)
              finished 3: ok, 1 rows
        "#]],
    );
}

#[test]
fn a_held_query_tells_the_client_and_waits() {
    check(
        |play| {
            play.log_in();
            play.client([query("drop table people"), query("select 1")].concat());
            play.hold();
            play.permit();
            play.target([complete("DROP TABLE"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(drop table people) Q(select 1)
              decide sql.query `drop table people`
            hold
              to client: N(00000 held for approval as request 0000000000000000: a person must look)
            permit
              to target: Q(drop table people)
              decide sql.query `select 1`
            target: C(DROP TABLE) Z(I)
              to client: C(DROP TABLE) Z(I)
              finished 1: ok
        "#]],
    );
}

#[test]
fn a_client_that_leaves_while_its_query_is_held_sends_nothing() {
    check(
        |play| {
            play.log_in();
            play.client(query("drop table people"));
            play.hold();
            play.leaves(Side::Downstream);
        },
        expect![[r#"
            client: Q(drop table people)
              decide sql.query `drop table people`
            hold
              to client: N(00000 held for approval as request 0000000000000000: a person must look)
            client leaves
              to target: X
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a013_a_switch_of_the_lexer_is_refused_even_where_a_policy_allows_it() {
    for text in [
        "set client_encoding to 'SJIS'",
        "set names 'SJIS'",
        "select set_config('client_encoding', 'SJIS', false)",
        "set client_encoding to default",
    ] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(query(text));
        play.permit();
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("sql.mode_change"), "{text}:\n{transcript}");
        assert!(play.transcript().target_bytes().is_empty(), "{text}:\n{transcript}");
    }
}

#[test]
fn a013_a_switch_that_the_target_reports_ends_the_session() {
    check(
        |play| {
            play.log_in();
            play.client(query("select set_it()"));
            play.permit();
            play.target([parameter_status("standard_conforming_strings", "off"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(select set_it())
              decide sql.query `select set_it()`
            permit
              to target: Q(select set_it())
            target: S(standard_conforming_strings off) Z(I)
              to target: X
              to client: E(08006 the connection to the target failed)
              error sql.mode_change
              finished 1: unknown
              close Upstream
              connect out of band
        "#]],
    );
}

#[test]
fn a013_what_follows_a_change_of_the_session_waits_for_it() {
    check(
        |play| {
            play.log_in();
            play.client([query("set search_path = a"), query("select 1")].concat());
            play.permit();
            play.target([complete("SET"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(set search_path = a) Q(select 1)
              decide sql.query `set search_path = a`
            permit
              to target: Q(set search_path = a)
            target: C(SET) Z(I)
              to client: C(SET) Z(I)
              finished 1: ok
              decide sql.query `select 1`
        "#]],
    );
}

#[test]
fn a019_a_function_call_is_refused_as_a_server_that_lacks_it_would() {
    check(
        |play| {
            play.log_in();
            play.client(message(b'F', &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
        },
        expect![[r#"
            client: F
              to client: E(0A000 function calls by number are not supported through the gateway) Z(I)
        "#]],
    );
}

#[test]
fn unknown_messages_end_the_session() {
    for tag in [b'R', b'Z', b'T', b'p', b'x', b'0', 0xff] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(message(tag, b"x"));
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("error pg.unknown_message"), "{tag}:\n{transcript}");
    }
}

#[test]
fn a010_answers_to_nothing_end_the_session() {
    for bytes in [
        data_row(&["x"]),
        complete("SELECT 1"),
        ready(b'I'),
        message(b'V', &[0; 4]),
        message(b'W', &[0; 3]),
    ] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.target(bytes);
        assert!(play.transcript().to_string().contains("error upstream.protocol"), "{}", play.transcript());
    }
}

#[test]
fn f001_a_target_that_dies_leaves_an_unknown_outcome() {
    check(
        |play| {
            play.log_in();
            play.client(query("update people set name = 'x' where id = 1"));
            play.permit();
            play.leaves(Side::Upstream);
        },
        expect![[r#"
            client: Q(update people set name = \'x\' where id = 1)
              decide sql.query `update people set name = 'x' where id = 1`
            permit
              to target: Q(update people set name = \'x\' where id = 1)
            target leaves
              to client: E(08006 the connection to the target failed)
              error upstream.closed
              finished 1: unknown
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn f029_draining_waits_for_the_end_of_a_transaction() {
    check(
        |play| {
            play.log_in();
            play.client(query("begin"));
            play.permit();
            play.drain();
            play.target([complete("BEGIN"), ready(b'T')].concat());
            play.client(query("commit"));
            play.permit();
            play.target([complete("COMMIT"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(begin)
              decide sql.query `begin`
            permit
              to target: Q(begin)
            drain
            target: C(BEGIN) Z(T)
              to client: C(BEGIN) Z(T)
              finished 1: ok
            client: Q(commit)
              decide sql.query `commit`
            permit
              to target: Q(commit)
            target: C(COMMIT) Z(I)
              to target: X
              to client: C(COMMIT) Z(I) E(57P01 the gateway is shutting down)
              finished 2: ok
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn an_outcome_names_rows_and_errors() {
    check(
        |play| {
            play.log_in();
            play.client(query("update people set name = 'x' where id = 1; select 1/0"));
            play.permit();
            play.target([complete("UPDATE 3"), error("22012", "division by zero"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(update people set name = \'x\' where id = 1; select 1/0)
              decide sql.query `update people set name = 'x' where id = 1; select 1/0`
            permit
              to target: Q(update people set name = \'x\' where id = 1; select 1/0)
            target: C(UPDATE 3) E(22012 division by zero) Z(I)
              to client: C(UPDATE 3) E(22012 division by zero) Z(I)
              finished 1: error 22012, 3 rows
        "#]],
    );
}

#[test]
fn an_answer_larger_than_every_buffer_passes_in_pieces() {
    let mut play = Play::relay(&Stage::default(), 1 << 16);
    play.client(query("select blob from t"));
    play.permit();
    let large = "x".repeat(3 << 20);
    let answer =
        [row_description(&[("a", 5, 1)]), data_row(&[&large]), complete("SELECT 1"), ready(b'I')].concat();
    play.target(&answer);
    assert_eq!(play.transcript().client_bytes(), &answer[..]);
}
