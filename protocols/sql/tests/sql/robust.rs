//! No text may crash the gateway: long, deep, broken, random. All on the stack of an I/O thread or less.

use std::thread;

use gatewright_model::sql::Grade;
use gatewright_sql::{Analyser, AnalyserLimits};
use proptest::prelude::*;

use crate::{corpus, render::analyse};

/// What a worker of tokio has, and the main thread's eighth.
const IO_STACK: usize = 2 * 1024 * 1024;

type Shape = fn(usize) -> String;

/// Shapes that make a deep tree of a flat text, `n` times deep.
const SHAPES: &[(&str, Shape)] = &[
    ("plus", |n| format!("select 1{}", "+1".repeat(n))),
    ("or", |n| format!("select 1 from t where a{}", " or a".repeat(n))),
    ("and", |n| format!("select 1 from t where a{}", " and a".repeat(n))),
    ("parentheses", |n| format!("select {}1{}", "(".repeat(n), ")".repeat(n))),
    ("union", |n| format!("select 1{}", " union all select 1".repeat(n))),
    ("cast", |n| format!("select a{}", "::text".repeat(n))),
    ("not", |n| format!("select {} true", "not ".repeat(n))),
    ("minus", |n| format!("select {} 1", "- ".repeat(n))),
    ("subscript", |n| format!("select a{}", "[1]".repeat(n))),
    ("field", |n| format!("select (a){}", ".b".repeat(n))),
    ("join", |n| format!("select 1 from t{}", " join t using (a)".repeat(n))),
    ("cross join", |n| format!("select 1 from t{}", " cross join t".repeat(n))),
    ("subselect", |n| format!("select {}1{}", "(select ".repeat(n), ")".repeat(n))),
    ("from subselect", |n| format!("{}select 1{}", "select * from (".repeat(n), ") q".repeat(n))),
    ("case", |n| format!("select {}1{}", "case when true then ".repeat(n), " end".repeat(n))),
    ("function", |n| format!("select {}1{}", "abs(".repeat(n), ")".repeat(n))),
    ("array", |n| format!("select {}1{}", "array[".repeat(n), "]".repeat(n))),
    ("concatenation", |n| format!("select a{}", "||a".repeat(n))),
    ("collate", |n| format!("select a{}", " collate \"C\"".repeat(n))),
    ("in", |n| format!("select 1 in (1{})", ",1".repeat(n))),
    ("values", |n| format!("values (1){}", ",(1)".repeat(n))),
    ("with", |n| format!("{}select 1{}", "with a as (".repeat(n), ") select 1".repeat(n))),
    ("explain", |n| format!("{} select 1", "explain ".repeat(n))),
    ("statements", |n| "select 1;".repeat(n)),
    ("is null", |n| format!("select a{}", " is null".repeat(n))),
    ("at time zone", |n| format!("select a{}", " at time zone b".repeat(n))),
    ("comments", |n| format!("select 1 {}{}", "/* ".repeat(n), "*/".repeat(n))),
    ("create schema", |n| format!("create schema a{}", " create table t (a int)".repeat(n))),
    ("names", |n| format!("select a{}", ".a".repeat(n))),
    ("between", |n| format!("select a{}", " between 1 and 2".repeat(n))),
    ("escape", |n| format!("select a{}", " like a escape 'b'".repeat(n))),
    ("quantified", |n| format!("select {}1{}", "1 = any (select ".repeat(n), ")".repeat(n))),
];

#[test]
fn deep_and_long_texts_do_not_overflow_the_stack_of_an_io_thread() {
    let depths = [10, 40, 45, 48, 50, 60, 95, 99, 100, 500, 660, 999, 1_000, 2_500, 10_000, 40_000];
    for (name, shape) in SHAPES {
        let run = move || {
            let analyser = Analyser::new(AnalyserLimits::default());
            for depth in depths {
                let text = shape(depth);
                let analysis = analyser.analyse(&text);
                assert_eq!(*analysis.text, *text, "{name} {depth}");
            }
        };
        thread::Builder::new().stack_size(IO_STACK).spawn(run).unwrap().join().unwrap();
    }
}

/// Half of an I/O thread's stack is enough for the longest text that is read twice: the other half is
/// whatever was called before.
#[test]
fn the_second_reader_leaves_room_on_the_stack() {
    for (name, shape) in SHAPES {
        let run = move || {
            // Each shape has at most this many repetitions in 2,000 tokens.
            for depth in [1_999, 1_990, 999, 990, 664, 499, 390] {
                let analysis = analyse(&shape(depth));
                assert_eq!(
                    analysis.statements.is_empty(),
                    analysis.grade == Grade::Opaque,
                    "{name} {depth}"
                );
            }
        };
        thread::Builder::new().stack_size(IO_STACK / 2).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn texts_that_can_not_be_read_are_opaque() {
    let long = format!("select '{}'", "x".repeat(1024 * 1024));
    let deep = format!("select {}1{}", "abs(".repeat(200), ")".repeat(200));
    for (text, why) in [
        ("selec 1", "PostgreSQL's grammar does not read it"),
        ("select 'open", "PostgreSQL's scanner does not read it"),
        ("select 1 /* open", "PostgreSQL's scanner does not read it"),
        ("select 1; selec 2", "PostgreSQL's grammar does not read it"),
        ("select \0 1", "the text holds a NUL, which PostgreSQL does not accept"),
        (&long, "the text is longer than the gateway reads"),
        (&deep, "it is nested more deeply than the gateway reads"),
    ] {
        let analysis = analyse(text);
        assert_eq!(analysis.grade, Grade::Opaque, "{why}");
        assert_eq!(analysis.grade_reason.as_deref(), Some(why));
        assert_eq!(*analysis.normalised, format!("(unreadable, {} bytes)", text.len()));
        assert_eq!(&*analysis.fingerprint, "");
        assert!(analysis.statements.is_empty());
        assert!(!analysis.effects().read);
    }
}

#[test]
fn a_text_of_too_many_statements_is_opaque() {
    let analyser = Analyser::new(AnalyserLimits { max_statements: 3, ..AnalyserLimits::default() });
    assert_eq!(analyser.analyse("select 1; select 2; select 3;").grade, Grade::Verified);
    assert_eq!(analyser.analyse("select 1; select 2; select 3; select 4").grade, Grade::Opaque);
}

#[test]
fn a_text_without_a_statement_is_verified() {
    for text in ["", " ", "\n\t \r\x0b\x0c", "-- nothing", "/* /* nothing */ */", ";", " ;; -- x\n;"] {
        let analysis = analyse(text);
        assert_eq!((analysis.grade, analysis.statements.len()), (Grade::Verified, 0), "{text:?}");
        assert!(
            analysis.normalised.chars().all(|character| character == ';' || character == ' '),
            "{text:?}"
        );
    }
}

#[test]
fn a_long_text_says_that_it_was_read_once() {
    let analysis = analyse(&format!("values (1){}", ",(1)".repeat(1_000)));
    assert_eq!(analysis.grade, Grade::Verified);
    assert_eq!(analysis.grade_reason.as_deref(), Some("the text is too long for the second reader"));
}

#[test]
fn many_threads_get_the_same_answer() {
    let analyser = Analyser::new(AnalyserLimits { cache_entries: 8, ..AnalyserLimits::default() });
    let texts = corpus::statements();
    let expected: Vec<_> = texts.iter().map(|text| analyse(text)).collect();
    thread::scope(|scope| {
        for offset in 0..4 {
            let (analyser, texts, expected) = (&analyser, &texts, &expected);
            scope.spawn(move || {
                for at in 0..texts.len() {
                    let at = (at * 7 + offset * 31) % texts.len();
                    assert_eq!(*analyser.analyse(&texts[at]), expected[at]);
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_gets_an_answer_and_always_the_same(text in "\\PC{0,80}") {
        prop_assert_eq!(analyse(&text), analyse(&text));
    }

    #[test]
    fn pieces_of_sql_get_an_answer(pieces in prop::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        prop_assert_eq!(analyse(&text), analyse(&text));
    }

    #[test]
    fn a_changed_statement_gets_an_answer(
        at in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        piece in piece(),
    ) {
        let statements = corpus::statements();
        let statement: Vec<char> = at.get(&statements).chars().collect();
        let (from, to) = (from.index(statement.len() + 1), to.index(statement.len() + 1));
        let before: String = statement[..from.min(to)].iter().collect();
        let after: String = statement[from.max(to)..].iter().collect();
        let text = format!("{before}{piece}{after}");
        prop_assert_eq!(analyse(&text), analyse(&text));
    }
}

/// What SQL is made of, and what its lexer trips over.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        " select ",
        " from ",
        " where ",
        " insert into ",
        " delete ",
        " update ",
        " set ",
        " with ",
        " as ",
        "(",
        ")",
        ",",
        ";",
        "'",
        "''",
        "\"",
        "$$",
        "$a$",
        "E'",
        "U&'",
        "U&\"",
        " uescape ",
        "x'",
        "b'",
        "\\",
        "--",
        "\n",
        "\r",
        "/*",
        "*/",
        "::",
        ":=",
        "=>",
        ".",
        "*",
        "$1",
        "1",
        "1e5",
        "0x1f",
        "1_000",
        "people",
        " p ",
        "ssn",
        " union all ",
        " join ",
        " on ",
        " using ",
        " lateral ",
        " values ",
        " returning ",
        " case ",
        " when ",
        " then ",
        " end ",
        " create ",
        " table ",
        " drop ",
        " alter ",
        " grant ",
        " copy ",
        " to ",
        "\u{1f600}",
        "\u{0}",
        "é",
        " is null",
        " order by ",
        " group by ",
        " limit ",
        "[1]",
        " recursive ",
        " merge into ",
        " explain ",
        " analyze ",
        "only ",
    ]);
    words.prop_map(str::to_owned)
}

/// PostgreSQL's scanner needs seconds to minutes for these: they do not reach it.
#[test]
fn texts_that_make_the_scanner_go_in_circles_are_opaque() {
    let why = Some("it has longer runs of operators or nested comments than the gateway reads");
    for text in [
        format!("{}{}", "/*".repeat(40_000), "*/".repeat(40_000)),
        format!("/*{}", "/*".repeat(500_000)),
        format!("select 1 {} 1", "+".repeat(30_000)),
        format!("select {} 1", "-+".repeat(400_000)),
        format!("select {} 1", "+ ++".repeat(5_000) + &"+".repeat(5_000)),
    ] {
        assert_eq!(analyse(&text).grade_reason.as_deref(), why);
    }
    for text in [
        format!("select '{}'", "-".repeat(500_000)),
        format!("select '{}'", "+----".repeat(500)),
        format!("select 1 {}", "-- +--+--+ /* x */\n".repeat(10_000)),
        format!("select 1 /{}/", "*".repeat(10_000)),
    ] {
        assert_eq!(analyse(&text).grade, Grade::Verified, "{}", &text[..40]);
    }
}

/// Columns that double at each level, and names times names: neither may cost more than a moment.
#[test]
fn texts_that_multiply_are_opaque_and_cheap() {
    let doubling = (0..20)
        .fold("select a, b from t".to_owned(), |query, _| format!("select q.*, q.* from ({query}) q"));
    let doubled_by_name = (0..20).fold("select a from t".to_owned(), |query, _| {
        format!("with q as ({query}) select *, a as b from q, q as r")
    });
    let names = format!("select {} from {}", vec!["a"; 20_000].join(","), vec!["t"; 20_000].join(","));
    let functions = format!("select a from {}", vec!["f()"; 20_000].join(","));
    let ctes: Vec<String> = (0..5_000).map(|number| format!("c{number} as (select a from c0)")).collect();
    let wide = format!(
        "with w as (select {}) {}",
        vec!["1 as a"; 1_600].join(","),
        vec!["table w"; 40].join(" union all ")
    );
    for (text, grade) in [
        (doubling, Grade::Opaque),
        (doubled_by_name, Grade::Opaque),
        (names, Grade::Opaque),
        (functions, Grade::Verified),
        (format!("with {} select 1", ctes.join(",")), Grade::Opaque),
        (wide, Grade::Verified),
        (format!("select {}", vec!["1"; 1_665].join(",")), Grade::Opaque),
        (format!("select {}", vec!["1"; 1_664].join(",")), Grade::Verified),
    ] {
        let analysis = analyse(&text);
        assert_eq!(analysis.grade, grade, "{}: {:?}", &text[..40], analysis.grade_reason);
        let outputs =
            analysis.statements.iter().filter_map(|statement| statement.outputs.as_ref()).map(Vec::len);
        assert!(outputs.sum::<usize>() <= 1_664, "{}", &text[..40]);
    }
}

/// Each column of an answer knows what it is made of: a short text must not come to mean gigabytes.
#[test]
fn f017_what_a_text_means_is_bounded() {
    let columns = (0..100).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
    let statement = format!(
        "with q as (select concat({columns}) as x from t) select {} from q",
        vec!["x"; 1_600].join(",")
    );
    let one = analyse(&statement);
    let many = analyse(&vec![statement.as_str(); 60].join(";"));
    for analysis in [one, many] {
        assert!(analysis.footprint() < (4 << 20) + 80 * analysis.text.len(), "{}", analysis.footprint());
        assert_eq!(analysis.grade, Grade::Opaque);
    }
    let wide = format!("select {} from t", vec![format!("concat({columns})"); 100].join(","));
    assert_eq!(analyse(&wide).grade, Grade::Verified, "what people write is read");
}
