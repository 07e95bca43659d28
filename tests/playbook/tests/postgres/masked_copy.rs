//! COPY of relations with masked columns.

use expect_test::expect;
use gatewright_model::mask::{Detector, DetectorMask, MaskMethod, MaskPlan};
use gatewright_playbook::{
    Play, check,
    messages::{self, *},
};

use super::masks::{PEOPLE, catalog, masking, plan, refused};

/// What the target says to the gateway's question about a COPY that came in a batch.
fn answer(columns: &[(&str, u32, i16)]) -> Vec<u8> {
    [
        message(b'3', b""),
        message(b'1', b""),
        message(b't', &[0, 0]),
        row_description(columns),
        message(b'3', b""),
    ]
    .concat()
}

/// The same for one that came as a Query.
fn prepared(columns: &[(&str, u32, i16)]) -> Vec<u8> {
    let own = [message(b'3', b""), message(b'3', b""), message(b'1', b""), message(b'2', b"")].concat();
    [own, answer(columns)].concat()
}

fn copy_out(binary: bool, columns: u8) -> Vec<u8> {
    let format = u8::from(binary);
    let mut body = vec![format, 0, columns];
    body.extend((0..columns).flat_map(|_| [0, format]));
    message(b'H', &body)
}

fn over(rows: usize) -> Vec<u8> {
    [
        message(b'c', b""),
        complete(&format!("COPY {rows}")),
        message(b'3', b""),
        message(b'3', b""),
        ready(b'I'),
    ]
    .concat()
}

fn asked(statement: &str) -> Play {
    let mut play = masking();
    play.client(query(statement));
    play.permit_masked(plan());
    play
}

/// What the client sees of `data` under `statement`.
fn copied(statement: &str, columns: &[(&str, u32, i16)], data: &[&[u8]]) -> String {
    let mut play = asked(statement);
    let binary = statement.contains("binary");
    play.target(prepared(columns));
    let parts: Vec<u8> = data.iter().flat_map(|part| message(b'd', part)).collect();
    play.target([copy_out(binary, columns.len() as u8), parts, over(1)].concat());
    super::masks::without_notice(&play)
}

#[test]
fn a033_a_copy_is_asked_about_before_it_runs_and_masked() {
    check(
        |play| {
            play.log_in();
            play.client(query("copy people (id, ssn) to stdout"));
            play.permit_masked(plan());
            play.target(catalog());
            play.target(prepared(&[("id", PEOPLE, 1), ("ssn", PEOPLE, 3)]));
            play.target(
                [
                    copy_out(false, 2),
                    message(b'd', b"1\t123-45-6789\n"),
                    message(b'd', b"2\t\\N\n"),
                    over(2),
                ]
                .concat(),
            );
        },
        expect![[r#"
            client: Q(copy people (id, ssn) to stdout)
              decide sql.query `copy people (id, ssn) to stdout`
            permit
              to target: Q(/* gatewright: catalog */ with telling as (select pg_catalog)
            target: T D(16400,public,people,1,id) D(16400,public,people,2,name) D(16400,public,people,3,ssn) D(16500,public,orders,1,id) D(16600,public,people_view,1,whatever) D(16600,,,0,16400) C(SELECT 6) Z(I)
              to target: C(Pgatewright.copy) C(Sgatewright.copy) P(gatewright.copy copy people (id, ssn) to stdout) B(gatewright.copy gatewright.copy) C(Sgatewright.question) P(gatewright.question select \"id\", \"ssn\" from only \"peopl) D(Sgatewright.question) C(Sgatewright.question) E(gatewright.copy) C(Pgatewright.copy) C(Sgatewright.copy) S
            target: 3 3 1 2 3 1 t T 3
            target: H d(1\t123-45-6789\n) d(2\t\\N\n) c C(COPY 2) 3 3 Z(I)
              to client: H d(1\t*******6789\n) d(2\t\\N\n) c C(COPY 2) Z(I)
              finished 1: ok, 2 rows, 1 masked by mask-people/ssn
        "#]],
    );
}

#[test]
fn a033_an_execute_of_a_copy_is_masked_too() {
    let mut play = masking();
    play.client([parse("s", "copy (select ssn from people) to stdout"), sync()].concat());
    play.permit_masked(plan());
    play.target([message(b'1', b""), ready(b'I')].concat());
    for _ in 0..2 {
        play.client([bind("", "s", &[]), execute(""), sync()].concat());
        play.permit_masked(plan());
        assert_eq!(
            messages::render(play.transcript().target_bytes(), true),
            "C(Sgatewright.question) P(gatewright.question select ssn from people) D(Sgatewright.question) C(Sgatewright.question) E() S"
        );
        play.target(
            [
                message(b'2', b""),
                answer(&[("ssn", PEOPLE, 3)]),
                copy_out(false, 1),
                message(b'd', b"123-45-6789\n"),
                message(b'c', b""),
                complete("COPY 1"),
                ready(b'I'),
            ]
            .concat(),
        );
        assert_eq!(
            messages::render(play.transcript().client_bytes(), false),
            "2 H d(*******6789\\n) c C(COPY 1) Z(I)"
        );
    }
}

#[test]
fn a033_the_question_is_the_query_of_the_copy() {
    for (statement, question) in [
        ("copy people to stdout", "select \"id\", \"name\", \"ssn\" from only \"people\""),
        (
            "copy public.people to stdout",
            "select \"id\", \"name\", \"ssn\" from only \"public\".\"people\"",
        ),
        ("copy people (ssn, \"I\"\"d\") to stdout", "select \"ssn\", \"I\"\"d\" from only \"people\""),
        ("copy (select ssn from people) to stdout", "select ssn from people"),
        (
            "copy/*(*/(select(ssn)from people where name=')')to stdout",
            "select(ssn)from people where name=')'",
        ),
        ("copy ( (select ssn from people) -- )\n) to stdout;", " (select ssn from people) -- )\n"),
        ("copy(table people)to stdout(format csv,header)", "table people"),
        ("copy binary people to stdout", "select \"id\", \"name\", \"ssn\" from only \"people\""),
    ] {
        let sent = asked(statement).transcript().target_bytes().to_vec();
        let whole = format!("gatewright.question\0{question}\0");
        let is_asked = sent.windows(whole.len()).any(|bytes| bytes == whole.as_bytes());
        assert!(is_asked, "{statement}: {}", messages::render(&sent, true));
    }
}

#[test]
fn a033_copy_in_every_format_is_masked() {
    let columns = [("id", PEOPLE, 1), ("ssn", PEOPLE, 3)];
    let text = copied("copy people (id, ssn) to stdout", &columns, &[b"1\t123-45", b"-6789\n2\tx\n"]);
    assert_eq!(text, "H d(1\\t*******6789\\n2\\t*\\n) c C(COPY 1) Z(I)");
    let csv = copied(
        "copy people (id, ssn) to stdout with (format csv, header, delimiter ';', force_quote *, null 'nil')",
        &columns,
        &[b"id;ssn\n", b"\"1\";\"123\n6789\"\n", b"\"2\";nil\n"],
    );
    assert_eq!(csv, "H d(id;ssn\\n) d(\\\"1\\\";\\\"****6789\\\"\\n) d(\\\"2\\\";nil\\n) c C(COPY 1) Z(I)");
    let header = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x01i\0\0\0\x05";
    let binary = copied(
        "copy people (id, ssn) to stdout (format binary)",
        &columns,
        &[header, b"12345", b"\xff\xff"],
    );
    assert!(binary.contains("*2345") && !binary.contains("12345"), "{binary}");
}

#[test]
fn a033_what_the_target_does_not_place_is_withheld_in_a_copy() {
    let shown = |statement: &str, columns: &[(&str, u32, i16)], expected: &str| {
        let answer = copied(statement, columns, &[b"123\n"]);
        assert_eq!(answer, format!("H d({expected}\\n) c C(COPY 1) Z(I)"), "{statement}");
    };
    shown("copy (select whatever from people_view) to stdout", &[("x", 16_600, 1)], "\\\\N");
    shown("copy (select ssn from people) to stdout", &[("ssn", 0, 0)], "\\\\N");
    shown("copy (select ssn from people union all select 'x') to stdout", &[("ssn", 0, 0)], "***");
    shown(
        "copy (select whatever from people_view union all select 'x') to stdout",
        &[("x", 0, 0)],
        "\\\\N",
    );
    shown("copy (select upper(name) from people) to stdout", &[("upper", 0, 0)], "123");
    shown("copy (select name from people) to stdout", &[("name", PEOPLE, 2)], "123");
}

#[test]
fn a033_a_copy_that_can_not_be_cut_is_refused() {
    for statement in [
        "copy people to stdout (null '123-45-6789')",
        "copy people to stdout with null as ''",
        "copy people to stdout (encoding 'latin1')",
        "copy people to stdout (format csv, null '\"')",
        "copy people to stdout (format csv, escape ',')",
        "copy people to stdout (format csv, format text)",
        "copy people to stdout (something 'new')",
        "copy people to stdout (header match)",
        "copy people to '/tmp/x'",
        "copy people to program 'cat'",
        "copy (select ssn from people) to program 'cat'",
        "copy people_view to stdout",
        "copy unheard_of to stdout",
        "select 1; copy people to stdout",
        "copy people to stdout; copy people to stdout",
    ] {
        refused(statement, "mask.copy");
    }
    for statement in [
        "copy (select substr(ssn, 1, 3) from people) to stdout",
        "copy (select p from people p) to stdout",
        "copy (select max(ssn) from people) to stdout",
        "copy (insert into orders (note) select ssn from people returning 1) to stdout",
        "copy (select substr(ssn, 1) from people union all select 'x') to stdout",
    ] {
        refused(statement, "mask.lineage_unknown");
    }
    refused("copy (select f(ssn) from people) to stdout", "mask.hidden_code");
}

/// Whatever the target sends that does not fit what it has said before: nothing of it is passed on.
#[test]
fn a033_copy_data_that_nobody_has_described_ends_the_session() {
    let secret = message(b'd', b"123-45-6789\n");
    let columns = [("ssn", PEOPLE, 3)];
    let no_rows = [message(b'3', b""), message(b'3', b""), message(b'1', b""), message(b'2', b"")].concat();
    let no_rows = [no_rows, message(b'3', b""), message(b'1', b""), message(b't', &[0, 0])].concat();
    let no_rows = [no_rows, message(b'n', b""), message(b'3', b"")].concat();
    for (what, answers) in [
        ("two columns", [prepared(&columns), copy_out(false, 2)]),
        ("another format", [prepared(&columns), copy_out(true, 1)]),
        ("no description", [no_rows, copy_out(false, 1)]),
        ("no announcement", [prepared(&columns), Vec::new()]),
        ("a row of two", [prepared(&columns), [copy_out(false, 1), message(b'd', b"1\t2\n")].concat()]),
        ("no form", [prepared(&columns), [copy_out(false, 1), message(b'd', b"\\y\n")].concat()]),
    ] {
        let mut play = asked("copy people (ssn) to stdout");
        play.target([answers.concat(), secret.clone()].concat());
        let seen = messages::render(play.transcript().client_bytes(), false);
        assert!(!seen.contains("6789") && seen.contains("E(08006"), "{what}: {seen}");
    }
    let mut play = asked("copy people (ssn) to stdout");
    play.target([prepared(&columns), copy_out(false, 1), message(b'd', b"123-45-6789"), over(1)].concat());
    let seen = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(seen, "H E(08006 the connection to the target failed)", "it ends within a row");
}

/// A name that code which can not be seen has freed may stand for the COPY of anything.
#[test]
fn a033_a_copy_behind_a_name_that_is_not_known_ends_the_session() {
    for statement in ["execute unknown", "call p()", "select f()"] {
        let mut play = asked(statement);
        play.target([copy_out(false, 1), message(b'd', b"123-45-6789\n")].concat());
        let seen = messages::render(play.transcript().client_bytes(), false);
        assert!(!seen.contains("6789") && seen.contains("E("), "{statement}: {seen}");
    }
    let mut play = masking();
    play.client([parse("s", "copy people (ssn) to stdout"), sync()].concat());
    play.permit_masked(plan());
    play.target([message(b'1', b""), ready(b'I')].concat());
    play.client(query("execute s"));
    play.permit_masked(plan());
    let transcript = play.transcript().to_string();
    assert!(transcript.ends_with("error mask.copy\n"), "its text is not what runs:\n{transcript}");
}

#[test]
fn a033_a_copy_of_what_was_prepared_before_hidden_code_ran_is_refused() {
    let mut play = masking();
    play.client([parse("s", "copy people (ssn) to stdout"), sync()].concat());
    play.permit_masked(plan());
    play.target([message(b'1', b""), ready(b'I')].concat());
    play.client(query("select f()"));
    play.permit_masked(plan());
    play.target([row_description(&[("f", 0, 0)]), complete("SELECT 0"), ready(b'I')].concat());
    play.client([bind("", "s", &[]), execute(""), sync()].concat());
    play.permit_masked(plan());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("error pg.name_unsure"), "{transcript}");
}

/// The question is read again by the target, which may read strings in another way once code has run in the batch.
#[test]
fn a013_a_question_that_could_be_read_in_another_way_is_not_asked() {
    for (copy, asks) in [
        ("copy (select ssn from people where name = '\\') to stdout", false),
        ("copy (select ssn from people where name = 'é') to stdout", false),
        ("copy (select ssn from people where name = 'x') to stdout", true),
    ] {
        let mut play = masking();
        let first = [parse("", copy), bind("", "", &[]), parse("f", "select f()"), bind("f", "f", &[])];
        play.client([&first.concat()[..], &execute("f")].concat());
        for _ in 0..3 {
            play.permit_masked(plan());
        }
        play.client([execute(""), sync()].concat());
        play.permit_masked(plan());
        let transcript = play.transcript().to_string();
        assert_eq!(transcript.contains("gatewright.question"), asks, "{copy}: {transcript}");
        assert_eq!(transcript.contains("error pg.lexer_unsure"), !asks, "{copy}: {transcript}");
    }
}

#[test]
fn an_error_of_the_question_is_that_of_the_copy() {
    check(
        |play| {
            play.log_in();
            play.client(query("copy (select ssn from people, nothing) to stdout"));
            play.permit_masked(plan());
            play.target(catalog());
            play.target(
                [message(b'3', b""), message(b'3', b""), message(b'1', b""), message(b'2', b"")].concat(),
            );
            play.target([message(b'3', b""), error("42P01", "no such relation"), ready(b'I')].concat());
            play.client(query("select 1"));
            play.permit();
        },
        expect![[r#"
            client: Q(copy (select ssn from people, nothing) to stdout)
              decide sql.query `copy (select ssn from people, nothing) to stdout`
            permit
              to target: Q(/* gatewright: catalog */ with telling as (select pg_catalog)
            target: T D(16400,public,people,1,id) D(16400,public,people,2,name) D(16400,public,people,3,ssn) D(16500,public,orders,1,id) D(16600,public,people_view,1,whatever) D(16600,,,0,16400) C(SELECT 6) Z(I)
              to target: C(Pgatewright.copy) C(Sgatewright.copy) P(gatewright.copy copy (select ssn from people, nothing) to st) B(gatewright.copy gatewright.copy) C(Sgatewright.question) P(gatewright.question select ssn from people, nothing) D(Sgatewright.question) C(Sgatewright.question) E(gatewright.copy) C(Pgatewright.copy) C(Sgatewright.copy) S
            target: 3 3 1 2
            target: 3 E(42P01 no such relation) Z(I)
              to client: E(42P01 a relation does not exist (SQLSTATE 42P01)) Z(I)
              finished 1: error 42P01
            client: Q(select 1)
              decide sql.query `select 1`
            permit
              to target: Q(select 1)
        "#]],
    );
}

#[test]
fn an_error_of_the_copy_leaves_the_session_usable() {
    let mut play = asked("copy people (ssn) to stdout");
    play.target(prepared(&[("ssn", PEOPLE, 3)]));
    play.target(
        [copy_out(false, 1), message(b'd', b"12345\n"), error("57014", "12345"), ready(b'I')].concat(),
    );
    let seen = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(seen, "H d(*2345\\n) E(57014 the statement was cancelled (SQLSTATE 57014)) Z(I)");
    play.client(query("select 1"));
    play.permit();
    assert_eq!(messages::render(play.transcript().target_bytes(), true), "Q(select 1)");
}

#[test]
fn a033_a_copy_that_reaches_nothing_masked_is_left_alone() {
    let mut play = asked("copy orders to stdout");
    assert_eq!(messages::render(play.transcript().target_bytes(), true), "Q(copy orders to stdout)");
    play.target(
        [copy_out(false, 1), message(b'd', b"1\n"), message(b'c', b""), complete("COPY 1"), ready(b'I')]
            .concat(),
    );
    assert_eq!(messages::render(play.transcript().client_bytes(), false), "H d(1\\n) c C(COPY 1) Z(I)");
}

#[test]
fn a033_detectors_search_what_a_copy_shows_of_other_columns() {
    let plan = MaskPlan {
        detectors: vec![DetectorMask {
            detector: Detector::Email,
            method: MaskMethod::Redact,
            rule: "no-mail".into(),
        }],
        ..plan()
    };
    let mut play = masking();
    play.client(query("copy people (name, ssn) to stdout"));
    play.permit_masked(plan);
    play.target(prepared(&[("name", PEOPLE, 2), ("ssn", PEOPLE, 3)]));
    play.target([copy_out(false, 2), message(b'd', b"a@example.org\t12345\n"), over(1)].concat());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("d([redacted]\\t*2345\\n)"), "{transcript}");
    assert!(
        transcript.contains("1 masked by no-mail") && transcript.contains("mask-people/ssn"),
        "{transcript}"
    );
}
