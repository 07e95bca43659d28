//! A text that nobody here can read is refused, and the target is asked whether it is SQL at all.

use expect_test::expect;
use gatewright_model::session::Side;
use gatewright_playbook::{
    Play, Stage, check,
    messages::{self, *},
};

use super::masks::{masking, plan};

/// What the gateway puts before the text that it asks about.
const BEFORE: usize = "/* refused by gatewright */select;select;".len();

/// What the target's grammar says of a text that stands behind that.
fn syntax_error(word: &str, place: usize) -> Vec<u8> {
    let place = BEFORE + place;
    let fields = format!(
        "SERROR\0VERROR\0C42601\0Msyntax error at or near \"{word}\"\0P{place}\0Fscan.l\0L1188\0Rscanner_yyerror\0\0"
    );
    message(b'E', fields.as_bytes())
}

/// What a target says of a text in which its grammar finds nothing wrong.
fn too_many() -> Vec<u8> {
    let fields = "SERROR\0VERROR\0C42601\0Mcannot insert multiple commands into a prepared statement\0\
                  Fpostgres.c\0L1396\0Rexec_parse_message\0\0";
    message(b'E', fields.as_bytes())
}

#[test]
fn a011_a_text_that_only_the_target_reads_is_not_run() {
    check(
        |play| {
            play.log_in();
            play.client(query("select 1; vanish people"));
            play.deny_unread();
            play.target([too_many(), ready(b'I')].concat());
            play.client([parse("s", "vanish people"), bind("", "s", &[]), execute(""), sync()].concat());
            play.deny_unread();
            play.target([too_many(), ready(b'I')].concat());
            // Nothing stands under the name.
            play.client([bind("", "s", &[]), execute(""), sync()].concat());
        },
        expect![[r#"
            client: Q(select 1; vanish people)
              decide sql.query `select 1; vanish people`, opaque
            deny what was not read
              to target: P(/* refused by gatewright */select;select;select 1; vanish pe) S
            target: E(42601 cannot insert multiple commands into a prepared statement) Z(I)
              to client: E(42501 blocked by policy: not here) Z(I)
            client: P(s vanish people) B(s) E() S
              decide sql.parse `vanish people`, opaque
            deny what was not read
              to target: P(gatewright.refused /* refused by gatewright */select;select;) S
            target: E(42601 cannot insert multiple commands into a prepared statement) Z(I)
              to client: E(42501 blocked by policy: not here) Z(I)
            client: B(s) E() S
              to client: E(26000 prepared statement \"s\" does not exist) Z(I)
        "#]],
    );
}

#[test]
fn a011_a_target_that_takes_the_text_in_is_left() {
    for name in ["", "s"] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client([parse(name, "vanish people"), bind("", name, &[]), execute(""), sync()].concat());
        play.deny_unread();
        play.target(message(b'1', b""));
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("error upstream.protocol\n"), "{transcript}");
        assert!(!messages::render(play.sent(), true).contains("E("), "{transcript}");
    }
}

#[test]
fn a_typo_is_told_by_the_server_and_where_it_is() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("selec 1"));
    play.deny_unread();
    play.target([syntax_error("selec", 1), ready(b'I')].concat());
    let fields = "SERROR\0VERROR\0C42601\0Msyntax error at or near \"selec\"\0P1\0Fscan.l\0L1188\0Rscanner_yyerror\0\0";
    let expected = [message(b'E', fields.as_bytes()), ready(b'I')].concat();
    assert_eq!(play.transcript().client_bytes(), expected);
}

#[test]
fn what_is_refused_for_another_reason_is_not_asked_about() {
    check(
        |play| {
            play.log_in();
            // By a rule.
            play.client(query("selec 1"));
            play.deny();
            // Read, and not understood.
            play.client(query("set standard_conforming_strings = off"));
            play.deny_unread();
        },
        expect![[r#"
            client: Q(selec 1)
              decide sql.query `selec 1`, opaque
            deny
              to client: E(42501 blocked by policy: not here) Z(I)
            client: Q(set standard_conforming_strings = off)
              decide sql.query `set standard_conforming_strings = off`, opaque
            deny what was not read
              to client: E(42501 blocked by policy: not here) Z(I)
        "#]],
    );
    // Too much to be read.
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([parse("", &"select 1;".repeat(1_001)), sync()].concat());
    play.deny_unread();
    assert!(play.sent().is_empty());
}

#[test]
fn a023_a_typo_is_answered_in_its_place_and_what_follows_goes_on() {
    check(
        |play| {
            play.log_in();
            play.client([query("select 1"), query("selec 2"), query("select 3")].concat());
            play.permit();
            play.deny_unread();
            play.permit();
            play.target(
                [complete("SELECT 1"), ready(b'I'), syntax_error("selec", 1), ready(b'I')].concat(),
            );
            play.target([complete("SELECT 1"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(select 1) Q(selec 2) Q(select 3)
              decide sql.query `select 1`
            permit
              to target: Q(select 1)
              decide sql.query `selec 2`, opaque
            deny what was not read
              to target: P(/* refused by gatewright */select;select;selec 2) S
              decide sql.query `select 3`
            permit
              to target: Q(select 3)
            target: C(SELECT 1) Z(I) E(42601 syntax error at or near \"selec\") Z(I)
              to client: C(SELECT 1) Z(I) E(42601 syntax error at or near \"selec\") Z(I)
              finished 1: ok, 1 rows
            target: C(SELECT 1) Z(I)
              to client: C(SELECT 1) Z(I)
              finished 3: ok, 1 rows
        "#]],
    );
}

#[test]
fn a_typo_fails_its_transaction_and_is_a_typo_in_one_that_has_failed() {
    check(
        |play| {
            play.log_in();
            play.client(query("begin"));
            play.permit();
            play.target([complete("BEGIN"), ready(b'T')].concat());
            for word in ["selec", "updat"] {
                play.client(query(&format!("{word} 1")));
                play.deny_unread();
                play.target([syntax_error(word, 1), ready(b'E')].concat());
            }
            play.client(query("rollback"));
        },
        expect![[r#"
            client: Q(begin)
              decide sql.query `begin`
            permit
              to target: Q(begin)
            target: C(BEGIN) Z(T)
              to client: C(BEGIN) Z(T)
              finished 1: ok
            client: Q(selec 1)
              decide sql.query `selec 1`, opaque
            deny what was not read
              to target: P(/* refused by gatewright */select;select;selec 1) S
            target: E(42601 syntax error at or near \"selec\") Z(E)
              to client: E(42601 syntax error at or near \"selec\") Z(E)
            client: Q(updat 1)
              decide sql.query `updat 1`, opaque
            deny what was not read
              to target: P(/* refused by gatewright */select;select;updat 1) S
            target: E(42601 syntax error at or near \"updat\") Z(E)
              to client: E(42601 syntax error at or near \"updat\") Z(E)
            client: Q(rollback)
              decide sql.query `rollback`
        "#]],
    );
}

#[test]
fn a023_a_typo_in_a_batch_fails_it_there_and_the_rest_is_skipped() {
    check(
        |play| {
            play.log_in();
            play.client([parse("", "insert into t values (1)"), bind("", "", &[]), execute("")].concat());
            play.permit();
            play.permit();
            play.client(
                [parse("", "selec 1"), bind("", "", &[]), execute(""), message(b'H', b"")].concat(),
            );
            play.deny_unread();
            play.target([message(b'1', b""), message(b'2', b""), complete("INSERT 0 1")].concat());
            play.target(syntax_error("selec", 1));
            play.client([parse("", "select 2"), sync(), query("select 3")].concat());
            play.target(ready(b'I'));
        },
        expect![[r#"
            client: P(insert into t values (1)) B() E()
              decide sql.parse `insert into t values (1)`
            permit
              to target: P(insert into t values (1)) B()
              decide sql.execute `insert into t values (1)`
            permit
              to target: E()
            client: P(selec 1) B() E() H
              decide sql.parse `selec 1`, opaque
            deny what was not read
              to target: P(/* refused by gatewright */select;select;selec 1)
            target: 1 2 C(INSERT 0 1)
              to client: 1 2 C(INSERT 0 1)
              finished 1: ok
              finished 2: ok, 1 rows
            target: E(42601 syntax error at or near \"selec\")
              to client: E(42601 syntax error at or near \"selec\")
            client: P(select 2) S Q(select 3)
              to target: S
              decide sql.query `select 3`
            target: Z(I)
              to client: Z(I)
        "#]],
    );
}

#[test]
fn a023_what_the_target_skips_is_not_answered_by_a_question() {
    check(
        |play| {
            play.log_in();
            play.client(
                [parse("", "select nope"), parse("", "selec 1"), sync(), query("select 3")].concat(),
            );
            play.permit();
            play.deny_unread();
            play.permit();
            play.target([error("42703", "column does not exist"), ready(b'I')].concat());
            play.target([complete("SELECT 1"), ready(b'I')].concat());
        },
        expect![[r#"
            client: P(select nope) P(selec 1) S Q(select 3)
              decide sql.parse `select nope`
            permit
              to target: P(select nope)
              decide sql.parse `selec 1`, opaque
            deny what was not read
              to target: P(/* refused by gatewright */select;select;selec 1) S
              decide sql.query `select 3`
            permit
              to target: Q(select 3)
            target: E(42703 column does not exist) Z(I)
              to client: E(42703 column does not exist) Z(I)
              finished 1: error 42703
            target: C(SELECT 1) Z(I)
              to client: C(SELECT 1) Z(I)
              finished 3: ok, 1 rows
        "#]],
    );
}

#[test]
fn a023_a_query_in_the_middle_of_a_batch_ends_no_batch_by_its_question() {
    // A target that has failed before would go on behind the Sync of a question.
    check(
        |play| {
            play.log_in();
            play.client([parse("", "insert into t values (1)"), query("selec 1")].concat());
            play.permit();
            play.deny_unread();
            play.client([parse("", "insert into t values (2)"), sync()].concat());
            play.permit();
            play.target([error("42P01", "relation does not exist"), ready(b'I')].concat());
        },
        expect![[r#"
            client: P(insert into t values (1)) Q(selec 1)
              decide sql.parse `insert into t values (1)`
            permit
              to target: P(insert into t values (1))
              decide sql.query `selec 1`, opaque
            deny what was not read
              to target: Q(gatewright refused a statement here)
            client: P(insert into t values (2)) S
              decide sql.parse `insert into t values (2)`
            permit
              to target: P(insert into t values (2)) S
            target: E(42P01 relation does not exist) Z(I)
              to client: E(42P01 relation does not exist) Z(I)
              finished 3: error skipped
              finished 1: error 42P01
        "#]],
    );
}

#[test]
fn a_name_keeps_what_it_stood_for_when_a_typo_was_to_replace_it() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([parse("s", "select 1"), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
    play.client([parse("s", "selec 2"), sync()].concat());
    play.deny_unread();
    play.target([syntax_error("selec", 1), ready(b'I')].concat());
    play.client([bind("", "s", &[]), execute(""), sync()].concat());
    let transcript = play.transcript().to_string();
    assert!(transcript.ends_with("decide sql.execute `select 1`\n"), "{transcript}");
}

#[test]
fn a031_words_about_what_is_masked_do_not_come_by_a_question() {
    let mut play = masking();
    for (text, tag) in [("begin", "BEGIN"), ("update people set name = 'x' where id = 1", "UPDATE 1")] {
        play.client(query(text));
        play.permit_masked(plan());
        play.target([complete(tag), ready(b'T')].concat());
    }
    // What the grammar says quotes the text that was sent; what else may be said is not told.
    play.client(query("selec 'mine'"));
    play.deny_unread();
    play.target([syntax_error("selec", 1), ready(b'E')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(client, "E(42601 syntax error at or near \\\"selec\\\") Z(E)");
    play.client(query("selec 'mine'"));
    play.deny_unread();
    play.target([error("22P02", "about 123-45-6789"), ready(b'E')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(client, "E(42501 blocked by policy: not here) Z(E)");
}

#[test]
fn a031_a_notice_during_a_question_has_no_words_where_masked_values_were_reached() {
    let mut play = masking();
    for (text, tag) in [("begin", "BEGIN"), ("update people set name = 'x' where id = 1", "UPDATE 1")] {
        play.client(query(text));
        play.permit_masked(plan());
        play.target([complete(tag), ready(b'T')].concat());
    }
    play.client(query("selec 1"));
    play.deny_unread();
    play.target(message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mabout 123-45-6789\0\0"));
    let client = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(client, "N(00000 a notice (SQLSTATE 00000))");
}

#[test]
fn a_mask_that_can_not_be_kept_is_a_typo_where_the_text_is_one() {
    let mut play = masking();
    play.client(query("selec ssn from people"));
    play.permit_masked(plan());
    play.target([syntax_error("selec", 1), ready(b'I')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(client, "E(42601 syntax error at or near \\\"selec\\\") Z(I)");
    // And is refused where the target reads it.
    play.client(query("vanish people"));
    play.permit_masked(plan());
    play.target([too_many(), ready(b'I')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert!(client.starts_with("E(42501 the statement was not understood"), "{client}");
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("error mask.lineage_unknown"), "{transcript}");
    assert!(!transcript.contains("Q(vanish people)\n  to target"), "{transcript}");
}

#[test]
fn where_text_may_be_read_in_another_way_nothing_is_asked() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([parse("", "select my_function()"), bind("", "", &[]), execute("")].concat());
    play.permit();
    play.permit();
    play.client([parse("", "selec 1"), sync()].concat());
    play.deny_unread();
    let target = messages::render(play.transcript().target_bytes(), true);
    assert_eq!(target, "P(gatewright.refused gatewright refused a statement here) S");
}

#[test]
fn a_session_ends_with_its_question_unanswered() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("selec 1"));
    play.deny_unread();
    play.target(message(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"));
    assert_eq!(
        messages::render(play.transcript().client_bytes(), false),
        "E(57P01 terminating connection)"
    );
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("selec 1"));
    play.deny_unread();
    play.leaves(Side::Upstream);
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("error upstream.closed"), "{transcript}");
}

#[test]
fn a_typo_is_one_where_a_failed_transaction_keeps_the_catalog_from_being_read() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    for (text, answer) in [
        ("begin", [complete("BEGIN"), ready(b'T')].concat()),
        ("select nope", [error("42703", "column does not exist"), ready(b'E')].concat()),
    ] {
        play.client(query(text));
        play.permit();
        play.target(answer);
    }
    play.client(query("selec ssn from people"));
    play.permit_masked(plan());
    play.target([error("25P02", "current transaction is aborted"), ready(b'E')].concat());
    let target = messages::render(play.transcript().target_bytes(), true);
    assert_eq!(target, "P(/* refused by gatewright */select;select;selec ssn from peop) S");
    play.target([syntax_error("selec", 1), ready(b'E')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(client, "E(42601 syntax error at or near \\\"selec\\\") Z(E)");
}
