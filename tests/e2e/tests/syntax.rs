//! A typo through the gateway is the typo that it is at the server: each message of an answer is the same.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_e2e::{
    Scene, comparison, evidence, policies,
    wire::{self, Client, bind, describe, execute, flush, parse, query, sync},
};

/// Two sessions, at the server and through the gateway.
fn both(scene: &Scene) -> [Client; 2] {
    comparison::both(scene).unwrap()
}

fn answers(client: &mut Client, bytes: &[u8], times: usize) -> Vec<wire::Message> {
    comparison::answers(client, bytes, times).unwrap()
}

fn same(scene: &Scene, bytes: &[u8], times: usize, expected: &[&str]) {
    let [direct, through] = both(scene).map(|mut client| answers(&mut client, bytes, times));
    assert_eq!(through, direct, "{}", bytes.escape_ascii());
    assert_eq!(wire::states(&direct), expected, "{}", bytes.escape_ascii());
}

#[test]
fn every_typo_has_the_words_of_the_server_and_its_place() {
    let scene = Scene::open().unwrap();
    for (text, place) in [
        ("selec 1", "1"),
        ("select 1; selec 2; select 3", "11"),
        ("select 'é', '😀', \"ñ\" frm t where", "26"),
        ("/* ünïcödé */\n\n  selec 1", "18"),
        ("select (1", "10"),
        ("select (1\n", "11"),
        ("select (1 -- and on", "20"),
        ("insert into t values (1,", "25"),
        ("select 'never ends", "8"),
        ("select \"never ends", "8"),
        ("select $tag$ never ends $tagg$", "8"),
        ("select 1 /* never ends /* nor */", "10"),
        ("select E'\\u00zz'", "10"),
        ("select U&'\\zzzz'", "11"),
        ("select U&'a' uescape 'ab'", "22"),
        ("select b'2", "8"),
        ("select \"\"", "8"),
        ("select 1 limit 1 limit 2", "18"),
        ("create table t (a int not null null default deferrable initially)", "45"),
        (";;; ; selec", "7"),
        ("\\d people", "1"),
        ("select 1 \\gset", "10"),
    ] {
        let bytes = query(text);
        let [direct, through] = both(&scene).map(|mut client| answers(&mut client, &bytes, 1));
        assert_eq!(through, direct, "{text}");
        let error = direct.iter().find(|message| message.tag == 'E').unwrap();
        assert_eq!(error.field('P').unwrap(), place, "{text}");
        let state = if text.contains("\\u00zz") { "22025" } else { "42601" };
        assert_eq!(error.field('C').unwrap(), state, "{text}");
    }
}

#[test]
fn a_typo_leaves_each_transaction_as_the_server_does() {
    let scene = Scene::open().unwrap();
    let all = |texts: &[&str]| texts.iter().flat_map(|text| query(text)).collect::<Vec<_>>();
    let (fails, failed) = ("42601", "25P02");
    let texts = ["begin", "selec 1", "select 1", "updat 2", "rollback", "select 3"];
    same(&scene, &all(&texts), 6, &[fails, failed, fails]);
    let texts = ["begin", "savepoint s", "selec 1", "rollback to s", "select 2", "commit"];
    same(&scene, &all(&texts), 6, &[fails]);
    same(&scene, &all(&["selec 1", "select 2", "selec 3", "selec 4", "select 5"]), 5, &[fails; 3]);
    // Nothing of a text is done that has a typo at its end.
    let texts = ["create temp table t (a int); insert into t values (1); selec", "select * from t"];
    same(&scene, &all(&texts), 2, &[fails, "42P01"]);
}

#[test]
fn a_typo_fails_a_batch_as_at_the_server() {
    let scene = Scene::open().unwrap();
    let run = |name: &str, text: &str| {
        [parse(name, text), bind("", name, &[]), describe('P', ""), execute("", 0)].concat()
    };
    let fails = "42601";
    same(&scene, &[run("", "selec 1"), sync()].concat(), 1, &[fails]);
    same(
        &scene,
        &[run("", "select 1"), run("", "selec 2"), run("", "select 3"), sync()].concat(),
        1,
        &[fails],
    );
    // Pipelined batches: each is by itself.
    let batches = [run("", "select 1"), sync(), run("", "selec 2"), sync(), run("", "select 3"), sync()];
    same(&scene, &batches.concat(), 3, &[fails]);
    // In a transaction, and in one that has failed.
    let batches = [
        query("begin"),
        run("", "selec 1"),
        sync(),
        run("", "selec 2"),
        sync(),
        run("", "select 3"),
        sync(),
        query("rollback"),
    ];
    same(&scene, &batches.concat(), 5, &[fails, fails, "25P02"]);
    // With more than one statement the typo is what is wrong.
    same(&scene, &[parse("", "select 1; selec 2"), sync()].concat(), 1, &[fails]);
}

#[test]
fn names_stand_for_what_they_stand_for_at_the_server_after_a_typo() {
    let scene = Scene::open().unwrap();
    let use_it = |name: &str| [bind("", name, &[]), execute("", 0), sync()].concat();
    // A typo takes the unnamed statement along, by Parse and by Query; a named one stays.
    let by_parse = [parse("", "select 1"), sync(), parse("", "selec 2"), sync(), use_it("")].concat();
    same(&scene, &by_parse, 3, &["42601", "26000"]);
    let by_query = [parse("", "select 1"), sync(), query("selec 2"), use_it("")].concat();
    same(&scene, &by_query, 3, &["42601", "26000"]);
    let named = [parse("s", "select 1"), sync(), parse("s", "selec 2"), sync(), use_it("s")].concat();
    same(&scene, &named, 3, &["42601"]);
    let other = [parse("", "select 1"), sync(), parse("s", "selec 2"), sync(), use_it("")].concat();
    same(&scene, &other, 3, &["42601"]);
    let unknown = [parse("s", "selec 2"), sync(), parse("s", "select 2"), sync(), use_it("s")].concat();
    same(&scene, &unknown, 3, &["42601"]);
}

#[test]
fn the_error_of_a_typo_comes_before_a_flush_or_a_sync() {
    let scene = Scene::open().unwrap();
    let [direct, through] = both(&scene).map(|mut client| {
        client.send(&[parse("", "selec 1"), flush()].concat()).unwrap();
        let error = client.message().unwrap().unwrap();
        let rest = answers(&mut client, &[bind("", "", &[]), sync()].concat(), 1);
        (error, rest)
    });
    assert_eq!(through, direct);
    assert_eq!(direct.0.field('C').unwrap(), "42601");
}

#[test]
fn a011_what_only_the_server_reads_is_refused_and_does_nothing() {
    let scene = Scene::recorded(&[("allow", &policies::allow().unwrap())]).unwrap();
    scene.postgres.sql("postgres", "grant all on people to app").unwrap();
    let [mut direct, mut through] = both(&scene);
    // `system_user` became a reserved word with PostgreSQL 16, whose grammar the gateway has: an older server reads this.
    let probe = direct.query("select 1 from people system_user").unwrap();
    let newer = if wire::states(&probe).is_empty() { "42501" } else { "42601" };
    let only_there = "delete from people system_user";
    // The gateway reads no more statements than this, and does not ask about more.
    let many = format!("{}; delete from people", ["select 1"; 1_000].join(";"));
    let broken = "delete from people; delet from people";
    let mut asked = 0;
    for (text, state) in [(only_there, newer), (&many, "42501"), (broken, "42601")] {
        let batch = [parse("", text), bind("", "", &[]), execute("", 0), sync()].concat();
        let named = [parse("s", text), sync(), bind("", "s", &[]), execute("", 0), sync()].concat();
        for (bytes, times, states) in
            [(query(text), 1, vec![state]), (batch, 1, vec![state]), (named, 2, vec![state, "26000"])]
        {
            let answer = answers(&mut through, &bytes, times);
            assert_eq!(wire::states(&answer), states, "{text}");
            assert_eq!(wire::tags(&answer), "EZ".repeat(times), "{text}");
            asked += usize::from(text.len() < 100);
        }
    }
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from people").unwrap(), "4");
    // At the server they stand behind what keeps them from being analysed, and nowhere else.
    let bytes = String::from_utf8_lossy(&scene.recorder.as_ref().unwrap().bytes()).into_owned();
    assert_eq!(bytes.matches("select;select;delete from people").count(), asked);
    assert_eq!(bytes.matches("delete from people").count(), asked);
    // The record says what it said before: refused, because nobody here could read it.
    let records = scene.evidence().unwrap();
    let decisions = records.of("decision");
    let unread = decisions.iter().filter(|decision| evidence::text(decision, "code") == "sql.unparsed");
    assert_eq!(unread.count(), 9, "{}", records.text());
}

/// A text in another encoding is never sent, because whoever had changed the target's idea of it would have it read: it is told as the server tells it.
#[test]
fn a013_text_that_is_no_utf_8_is_refused_in_its_place_and_the_session_goes_on() {
    let scene = Scene::open().unwrap();
    let raw = |text: &[u8]| {
        let length = (text.len() + 5) as u32;
        [b"Q", length.to_be_bytes().as_slice(), text, b"\0"].concat()
    };
    let prepare = |name: &[u8], text: &[u8]| {
        let length = (name.len() + text.len() + 8) as u32;
        [b"P", length.to_be_bytes().as_slice(), name, b"\0", text, b"\0\0\0"].concat()
    };
    // A batch with a message of this kind and body, and a query behind it.
    let named = |tag: u8, body: &[u8]| {
        let message = [&[tag], (body.len() as u32 + 4).to_be_bytes().as_slice(), body].concat();
        ([parse("", "select 1"), message, sync(), query("select 2")].concat(), 2, vec!["22021"])
    };
    for (bytes, times, states) in [
        (raw(b"select 'caf\xe9'"), 1, vec!["22021"]),
        (raw(b"select '\xf0\x9f'"), 1, vec!["22021"]),
        (raw(b"select '\xed\xa0\x80'"), 1, vec!["22021"]),
        (raw(b"\xff"), 1, vec!["22021"]),
        (
            [query("begin"), raw(b"\xc3"), query("select 1"), query("rollback"), query("select 2")]
                .concat(),
            5,
            vec!["22021", "25P02"],
        ),
        (
            [prepare(b"", b"select '\xe9'"), query("select 1"), sync(), query("select 2")].concat(),
            2,
            vec!["22021"],
        ),
        (
            [parse("", "select 1"), prepare(b"\x80", b"select 2"), sync(), query("select 2")].concat(),
            2,
            vec!["22021"],
        ),
        named(b'B', b"\xe9\0\0\0\0\0\0\0\0"),
        named(b'B', b"\0caf\xe9\0\0\0\0\0\0\0"),
        named(b'D', b"S\xe9\0"),
        named(b'D', b"Pcaf\xe9\0"),
        named(b'E', b"\xf0\x9f\0\0\0\0\0"),
        named(b'C', b"S\xe9\0"),
        named(b'C', b"P\xe9\0"),
    ] {
        let [direct, through] = both(&scene).map(|mut client| answers(&mut client, &bytes, times));
        let words = |answer: &[wire::Message]| {
            let field = |message: &wire::Message, name| message.field(name).unwrap_or_default();
            let errors = answer.iter().filter(|message| message.tag == 'E');
            errors.map(|error| field(error, 'M')).collect::<Vec<_>>()
        };
        assert_eq!(wire::states(&direct), states, "{}", bytes.escape_ascii());
        assert_eq!(words(&through), words(&direct), "{}", bytes.escape_ascii());
        assert_eq!(wire::states(&through), states, "{}", bytes.escape_ascii());
        assert_eq!(wire::tags(&through), wire::tags(&direct), "{}", bytes.escape_ascii());
    }
}
