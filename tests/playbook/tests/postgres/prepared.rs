//! SQL's PREPARE and EXECUTE, and the names that they share with Parse.

use expect_test::expect;
use gatewright_playbook::{Play, Stage, check, messages::*};

const UNSEEN: &str = r#"execute {"write", "dynamic"}"#;
const DELETE: &str = r#"delete {"read", "write"}"#;
const PREPARE_DELETE: &str = "prepare q (int) as delete from people where id = $1";

fn start() -> Play {
    Play::relay(&Stage::default(), usize::MAX)
}

/// Sends `text`, which is permitted and succeeds.
fn run(play: &mut Play, text: &str) {
    play.client(query(text));
    play.permit();
    play.target([complete("X"), ready(b'I')].concat());
}

/// The same in a batch.
fn run_in_batch(play: &mut Play, text: &str) {
    play.client([parse("", text), bind("", "", &[]), execute(""), sync()].concat());
    play.permit();
    play.permit();
    play.target([message(b'1', b""), message(b'2', b""), complete("X"), ready(b'I')].concat());
}

/// What the statements of `text` are taken for. It stays held.
fn judged(play: &mut Play, text: &str) -> Vec<String> {
    play.client(query(text));
    play.judged().into_iter().map(str::to_owned).collect()
}

#[test]
fn a018_execute_is_judged_by_what_was_prepared() {
    check(
        |play| {
            play.log_in();
            run(play, PREPARE_DELETE);
            play.client(query("execute q(7)"));
            assert_eq!(play.judged(), [DELETE]);
            play.deny();
        },
        expect![[r#"
            client: Q(prepare q (int) as delete from people where id = $1)
              decide sql.query `prepare q (int) as delete from people where id = $1`
            permit
              to target: Q(prepare q (int) as delete from people where id = $1)
            target: C(X) Z(I)
              to client: C(X) Z(I)
              finished 1: ok
            client: Q(execute q(7))
              decide sql.query `execute q(7)
            -- EXECUTE runs what was prepared by:
            prepare q (int) as delete from people where id = $1`
            deny
              to client: E(42501 blocked by policy: not here) Z(I)
        "#]],
    );
}

#[test]
fn a018_execute_is_judged_so_in_every_phase() {
    let mut play = start();
    run_in_batch(&mut play, PREPARE_DELETE);
    play.client([parse("s", "execute q(7)"), bind("", "s", &[]), execute(""), sync()].concat());
    assert_eq!(play.judged(), [DELETE], "at Parse");
    play.permit();
    assert_eq!(play.judged(), [DELETE], "at Execute");
    play.permit();
    play.target([message(b'1', b""), message(b'2', b""), complete("DELETE 1"), ready(b'I')].concat());
}

#[test]
fn a018_a_parsed_statement_runs_its_execute_as_the_name_is_now() {
    let mut play = start();
    run(&mut play, "prepare q as select 1");
    play.client([parse("s", "execute q"), sync()].concat());
    assert_eq!(play.judged(), ["select {}"]);
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
    play.client([bind("p", "s", &[]), message(b'H', b"")].concat());
    play.target(message(b'2', b""));
    play.client([parse("", "deallocate q"), bind("", "", &[]), execute("")].concat());
    play.permit();
    play.permit();
    play.client(execute("p"));
    assert_eq!(play.judged(), [UNSEEN]);
}

#[test]
fn a018_a_name_is_believed_when_the_target_has_accepted_it() {
    // It was not.
    let mut play = start();
    play.client(query(PREPARE_DELETE));
    play.permit();
    play.target([error("42P05", "already exists"), ready(b'I')].concat());
    assert_eq!(judged(&mut play, "execute q(7)"), [UNSEEN]);
    // What failed later in the text may have been after it.
    let mut play = start();
    play.client(query("prepare q as select 1; select 1/0"));
    play.permit();
    play.target([complete("PREPARE"), error("22012", "division by zero"), ready(b'I')].concat());
    assert_eq!(judged(&mut play, "execute q"), [UNSEEN]);
    // A batch that failed.
    let mut play = start();
    play.client([parse("", "prepare q as select 1"), bind("", "", &[]), execute(""), sync()].concat());
    play.permit();
    play.permit();
    play.target([message(b'1', b""), message(b'2', b""), error("42P05", "exists"), ready(b'I')].concat());
    assert_eq!(judged(&mut play, "execute q"), [UNSEEN]);
    // Only parsed, and not run.
    let mut play = start();
    play.client([parse("", "prepare q as select 1"), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
    assert_eq!(judged(&mut play, "execute q"), [UNSEEN]);
}

#[test]
fn a018_a_name_is_dropped_by_whatever_could_give_it_another_meaning() {
    for text in [
        "deallocate q",
        "deallocate prepare q",
        "deallocate all",
        "discard all",
        "do $$ begin execute 'deallocate q'; execute 'prepare q as truncate orders'; end $$",
        "call p()",
        "select our_own()",
        "select 1 =+= 2",
        "select 'x'::public.evil",
        "select query_to_xml('deallocate q', true, true, '')",
        "execute other",
    ] {
        let mut play = start();
        run(&mut play, "prepare q as select 1");
        assert_eq!(judged(&mut play, "execute q"), ["select {}"]);
        play.permit();
        play.target([row_description(&[("a", 0, 0)]), complete("SELECT 1"), ready(b'I')].concat());
        run(&mut play, text);
        assert_eq!(judged(&mut play, "execute q"), [UNSEEN], "{text}");
    }
    let mut play = start();
    run(&mut play, "prepare q as select 1");
    play.client([close('S', "q"), sync()].concat());
    play.target([message(b'3', b""), ready(b'I')].concat());
    assert_eq!(judged(&mut play, "execute q"), [UNSEEN], "Close");
}

#[test]
fn a018_a_name_that_changes_behind_its_prepare_in_one_batch_is_not_believed() {
    let mut play = start();
    play.client(
        [
            parse("", "prepare q as select 1"),
            bind("", "", &[]),
            execute(""),
            close('S', "q"),
            parse("q", "truncate orders"),
            sync(),
        ]
        .concat(),
    );
    for _ in 0..3 {
        play.permit();
    }
    play.target(
        [
            message(b'1', b""),
            message(b'2', b""),
            complete("PREPARE"),
            message(b'3', b""),
            message(b'1', b""),
            ready(b'I'),
        ]
        .concat(),
    );
    assert_eq!(judged(&mut play, "execute q"), [r#"truncate {"write"}"#]);
}

#[test]
fn a018_within_one_text_statements_are_followed_in_order() {
    for (text, last) in [
        ("prepare q as delete from people; execute q", r#"delete {"write"}"#),
        ("select 1/0; prepare q as delete from people; execute q", r#"delete {"write"}"#),
        ("prepare q as delete from people; deallocate q; execute q", UNSEEN),
        ("prepare q as delete from people; deallocate all; execute q", UNSEEN),
        ("prepare q as select 1; select our_own(); execute q", UNSEEN),
        ("prepare q as select 1; do $$ begin end $$; execute q", UNSEEN),
        ("prepare q as select 1; explain analyze execute q; execute q", UNSEEN),
        ("deallocate known; execute known", UNSEEN),
        ("deallocate all; execute known", UNSEEN),
        ("select our_own(); execute known", UNSEEN),
        ("execute unknown; execute known", UNSEEN),
        ("execute known; execute known", "select {}"),
        ("deallocate known; prepare known as delete from people; execute known", r#"delete {"write"}"#),
    ] {
        let mut play = start();
        run(&mut play, "prepare known as select 1");
        let judged = judged(&mut play, text);
        assert_eq!(judged.last().map(String::as_str), Some(last), "{text}");
    }
}

#[test]
fn a018_what_execute_itself_does_is_not_lost() {
    for (text, expected) in [
        ("execute q(our_own())", r#"select {"write"}"#),
        ("execute q(nextval('s'))", r#"select {"write"}"#),
        ("execute q(pg_read_file('x'))", r#"select {"host_access"}"#),
        (
            "execute q(set_config('role', 'admin', false))",
            r#"execute+set_role {"write", "session", "dynamic"}"#,
        ),
        ("execute q((select 1 from people))", r#"execute {"read", "write", "dynamic"}"#),
        ("explain analyze execute q(1)", r#"explain {"write", "dynamic"}"#),
        ("create table t as execute q(1)", r#"create_table_as {"write", "ddl", "dynamic"}"#),
    ] {
        let mut play = start();
        run(&mut play, "prepare q (text) as select $1");
        assert_eq!(judged(&mut play, text), [expected], "{text}");
    }
    let mut play = start();
    run(&mut play, "prepare q as select set_config('role', 'admin', false)");
    assert_eq!(judged(&mut play, "execute q"), [r#"set_role+select {"session"}"#]);
}

#[test]
fn a018_sql_runs_what_parse_prepared_and_is_judged_by_it() {
    let mut play = start();
    play.client([parse("q", "drop table people"), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
    assert_eq!(judged(&mut play, "execute q"), [r#"drop_table {"ddl"}"#]);
    play.deny();
    // A second meaning that is not accepted yet.
    play.client([parse("q", "select 1"), message(b'H', b"")].concat());
    play.permit();
    play.client([parse("", "execute q")].concat());
    assert_eq!(play.judged(), [UNSEEN]);
}

/// What Parse prepared can prepare in its turn.
#[test]
fn a018_a_prepare_that_execute_runs_gives_a_name_too() {
    let mut play = start();
    for (name, text) in [("make", "prepare q as delete from people"), ("free", "deallocate q")] {
        play.client([parse(name, text), sync()].concat());
        play.permit();
        play.target([message(b'1', b""), ready(b'I')].concat());
    }
    assert_eq!(judged(&mut play, "execute make; execute q")[1], r#"delete {"write"}"#);
    play.deny();
    assert_eq!(judged(&mut play, "execute make; execute free; execute q")[2], UNSEEN);
    play.deny();
    run(&mut play, "execute make");
    assert_eq!(judged(&mut play, "execute q"), [r#"delete {"write"}"#]);
}

#[test]
fn a018_a_name_that_is_prepared_anew_runs_under_no_old_meaning() {
    // `set_role` is what this PREPARE is to a rule; it gives a name all the same.
    let mut play = start();
    play.client([parse("q", "select 1"), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
    run(&mut play, "deallocate q");
    run(&mut play, "prepare q as select set_config('role', 'admin', false)");
    play.client([bind("", "q", &[]), execute(""), sync()].concat());
    assert!(play.transcript().to_string().contains("E(26000 "), "{}", play.transcript());
}

#[test]
fn a030_the_rest_of_an_execute_can_not_be_asked_for() {
    let mut play = start();
    run(&mut play, "prepare q as select ssn from people");
    play.client([parse("", "execute q"), bind("p", "", &[]), execute("p"), message(b'H', b"")].concat());
    play.permit();
    play.permit();
    play.target([message(b'1', b""), message(b'2', b""), data_row(&["1"]), message(b's', b"")].concat());
    play.client([execute("p"), sync()].concat());
    play.permit();
    play.target([error("42601", "syntax error"), ready(b'I')].concat());
    assert!(play.transcript().to_string().contains("pg.portal_by_name"), "{}", play.transcript());
}
