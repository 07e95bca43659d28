//! Definitions that change while a statement waits: the answer is masked by what is shown, and not by what was asked.

use std::time::Duration;

use gatewright_playbook::{Play, Stage, messages::*};

use super::{
    errand::{asks, carry_out_at, greeting, to_client, to_target},
    masks::{PEOPLE, plan, without_notice},
};

const V: u32 = 16_700;
const SECRET: &str = "123-45-6789";

/// The catalog, with a view `v` over that relation.
fn catalog_where_v_reads(relation: u32) -> Vec<u8> {
    let v = V.to_string();
    [
        row_description(&[("a", 0, 0)]),
        super::masks::catalog_rows(),
        data_row(&[&v, "public", "v", "1", "y"]),
        data_row(&[&v, "", "", "0", &relation.to_string()]),
        data_row(&[&v, "", "", "-3", ""]),
        complete("SELECT 9"),
        ready(b'I'),
    ]
    .concat()
}

const ORDERS: u32 = 16_500;

#[expect(clippy::expect_used, reason = "without an errand there is nothing to test")]
fn reads(play: &mut Play, relation: u32) {
    let errand = play.take_errands().pop().expect("an errand is sent");
    carry_out_at(play.now(), errand, &[greeting(), catalog_where_v_reads(relation)], usize::MAX);
    play.returned();
}

/// A session for which columns are masked, that knows that `v` shows orders; and another one, for which none are.
fn two() -> (Play, Play) {
    let stage = Stage::default();
    let (mut reader, definer) = (Play::relay(&stage, usize::MAX), Play::relay(&stage, usize::MAX));
    reader.keep_errands();
    asks(&mut reader, "select id from orders");
    reads(&mut reader, ORDERS);
    reader.target([row_description(&[("id", ORDERS, 1)]), complete("SELECT 0"), ready(b'I')].concat());
    reader.later(Duration::from_millis(1));
    (reader, definer)
}

/// The view shows people from now on, as soon as the target has come to it.
fn redefines(definer: &mut Play) {
    definer.client(query("create or replace view v as select ssn as y from people"));
    definer.permit();
}

fn rows(relation: u32) -> Vec<u8> {
    [row_description(&[("y", relation, 1)]), data_row(&[SECRET]), complete("SELECT 1"), ready(b'I')]
        .concat()
}

/// Whether the target has said that the change is there, or only done it.
#[test]
fn a025_a_view_that_is_redefined_while_it_is_waited_for_is_masked_as_it_is_by_then() {
    for (text, relation) in
        [("select y from v", V), ("select upper(y) from v", 0), ("select y from v; select 1", V)]
    {
        for is_known in [true, false] {
            let (mut reader, mut definer) = two();
            asks(&mut reader, text);
            redefines(&mut definer);
            if is_known {
                definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
            }
            reader.target(rows(relation));
            assert_eq!(to_client(&reader), "", "{text}: nothing before it is known what it is");
            reads(&mut reader, PEOPLE);
            assert_eq!(
                without_notice(&reader),
                "T D(null) C(SELECT 1) Z(I)",
                "{text}, {}",
                reader.transcript()
            );
        }
    }
}

#[test]
fn a025_the_same_in_a_batch() {
    let (mut reader, mut definer) = two();
    reader.client([parse("", "select y from v"), bind("", "", &[]), execute(""), sync()].concat());
    reader.permit_masked(plan());
    reader.permit_masked(plan());
    redefines(&mut definer);
    reader.target([message(b'1', b""), message(b'2', b"")].concat());
    reader.target(rows(V));
    assert_eq!(to_client(&reader), "");
    reads(&mut reader, PEOPLE);
    assert_eq!(without_notice(&reader), "D(null) C(SELECT 1) Z(I)", "{}", reader.transcript());
}

/// What a COPY sends is not described: the session ends before any of it.
#[test]
fn a025_the_same_in_a_copy() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, "copy (select y from v) to stdout");
    redefines(&mut definer);
    let begins = message(b'H', &[0, 0, 1, 0, 0]);
    reader.target([begins, message(b'd', SECRET.as_bytes()), message(b'c', b"")].concat());
    assert_eq!(to_client(&reader), "");
    reads(&mut reader, PEOPLE);
    let transcript = reader.transcript().to_string();
    assert!(transcript.contains("mask.copy") && !to_client(&reader).contains(SECRET), "{transcript}");
}

/// Its answer was made, and waited in a buffer, before the definition changed: it is masked by what was asked too.
#[test]
fn a029_an_answer_that_was_made_before_a_change_is_masked_as_it_was_then() {
    for changes in [1, 2] {
        let (mut reader, mut definer) = two();
        // Since the catalog was read, `v` has come to show people.
        redefines(&mut definer);
        definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
        asks(&mut reader, "select y from v");
        reads(&mut reader, PEOPLE);
        for _ in 0..changes {
            definer.client(query("create or replace view v as select id::text as y from orders"));
            definer.permit();
            definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
        }
        reader.target(rows(V));
        assert_eq!(to_client(&reader), "", "nothing before it is known what it is");
        reads(&mut reader, ORDERS);
        assert_eq!(without_notice(&reader), "T D(null) C(SELECT 1) Z(I)", "{}", reader.transcript());
    }
}

/// For the target it is the column that was assigned to, whatever was put there.
#[test]
fn a029_what_a_change_returns_is_withheld_where_it_would_be_refused_by_now() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, "update orders set id = n.y from v n where orders.id = 1 returning orders.id");
    redefines(&mut definer);
    definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
    let described = row_description(&[("id", ORDERS, 1)]);
    reader.target([described, data_row(&[SECRET]), complete("UPDATE 1"), ready(b'I')].concat());
    reads(&mut reader, PEOPLE);
    assert_eq!(without_notice(&reader), "T D(null) C(UPDATE 1) Z(I)", "{}", reader.transcript());
}

/// The masked column has another number by now, and the one that it had is none that the catalog has.
#[test]
fn a029_a_column_that_is_gone_is_not_taken_for_one_that_is_open() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, "select ssn, name from people");
    definer
        .client(query("alter table people drop column ssn; alter table people rename column fresh to ssn"));
    definer.permit();
    definer.target([complete("ALTER TABLE"), complete("ALTER TABLE"), ready(b'I')].concat());
    let described = row_description(&[("ssn", PEOPLE, 3), ("name", PEOPLE, 2)]);
    reader.target([described, data_row(&[SECRET, "Ada"]), complete("SELECT 1"), ready(b'I')].concat());
    let errand = reader.take_errands().pop().unwrap();
    let columns = ["id", "name", "ssn"].iter().zip(["1", "2", "4"]);
    let columns = columns.map(|(name, number)| data_row(&["16400", "public", "people", number, name]));
    let catalog = [
        row_description(&[("a", 0, 0)]),
        columns.collect::<Vec<_>>().concat(),
        complete("SELECT 3"),
        ready(b'I'),
    ];
    carry_out_at(reader.now(), errand, &[greeting(), catalog.concat()], usize::MAX);
    reader.returned();
    assert_eq!(without_notice(&reader), "T D(null,Ada) C(SELECT 1) Z(I)", "{}", reader.transcript());
}

/// Between two changes it may have shown anything. Within one transaction nobody else sees what is between.
#[test]
fn a029_what_was_true_between_two_changes_is_believed_by_nobody() {
    for (change, shown) in [
        (&["alter view v rename to w; alter view w rename to v"][..], "1"),
        (&["begin", "alter view v rename to w", "alter view w rename to v", "commit"], "1"),
        (
            &[
                "begin",
                "alter view v rename to w",
                "create index on orders (id)",
                "alter view w rename to v",
                "commit",
            ],
            "1",
        ),
        (&["alter view v rename to w", "alter view w rename to v"], "null"),
        (&["alter view v rename to w; commit; alter view w rename to v"], "null"),
        (
            &[
                "begin",
                "alter view v rename to w",
                "commit and chain",
                "alter view w rename to v",
                "commit",
            ],
            "null",
        ),
        (&["do $$ begin execute 'alter view v rename to w'; commit; end $$"], "null"),
    ] {
        let (mut reader, mut definer) = two();
        asks(&mut reader, "select y from v");
        let mut is_open = false;
        for text in change {
            definer.client(query(text));
            definer.permit();
            is_open = (is_open || *text == "begin") && *text != "commit";
            definer.target([complete("DONE"), ready(if is_open { b'T' } else { b'I' })].concat());
        }
        let described = row_description(&[("y", V, 1)]);
        reader.target([described, data_row(&["1"]), complete("SELECT 1"), ready(b'I')].concat());
        reads(&mut reader, ORDERS);
        let told = format!("T D({shown}) C(SELECT 1) Z(I)");
        assert_eq!(without_notice(&reader), told, "{change:?}: {}", reader.transcript());
    }
}

/// Whatever changes, what is shown of a table is what it was, and nothing is lost.
#[test]
fn an_answer_that_waited_is_whole() {
    for piece in [usize::MAX, 1, 7] {
        let stage = Stage::default();
        let (mut reader, mut definer) = (Play::relay(&stage, piece), Play::relay(&stage, piece));
        reader.keep_errands();
        asks(&mut reader, "select id from orders, v; select ssn from people");
        reads(&mut reader, ORDERS);
        redefines(&mut definer);
        definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
        reader.target([row_description(&[("id", ORDERS, 1)]), data_row(&["1"])].concat());
        reader.target(complete("SELECT 1"));
        reader.target([row_description(&[("ssn", PEOPLE, 3)]), data_row(&[SECRET])].concat());
        reader.target([complete("SELECT 1"), ready(b'I')].concat());
        reads(&mut reader, PEOPLE);
        let told = "T D(1) C(SELECT 1) T D(*******6789) C(SELECT 1) Z(I)";
        assert_eq!(to_client(&reader), told, "{}", reader.transcript());
        assert!(
            reader.take_errands().is_empty(),
            "the second statement rests on what was read for the first"
        );
    }
}

/// It came to depend on a view by the first change, which the catalog of before does not know; and the second one is of that view.
#[test]
fn a029_a_change_counts_that_is_behind_another_one() {
    for (second, shown) in [
        ("create or replace view w as select id::text as y from orders", "null"),
        ("create or replace view other as select id::text as y from orders", "1"),
    ] {
        let (mut reader, mut definer) = two();
        asks(&mut reader, "select y from v");
        for text in ["create or replace view v as select y from w", second] {
            definer.client(query(text));
            definer.permit();
            definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
        }
        reader.target(
            [row_description(&[("y", V, 1)]), data_row(&["1"]), complete("SELECT 1"), ready(b'I')].concat(),
        );
        let errand = reader.take_errands().pop().unwrap();
        let view = |oid: &str, name: &str, reads: &str| {
            [
                data_row(&[oid, "public", name, "1", "y"]),
                data_row(&[oid, "", "", "0", reads]),
                data_row(&[oid, "", "", "-3", ""]),
            ]
            .concat()
        };
        let catalog = [
            row_description(&[("a", 0, 0)]),
            super::masks::catalog_rows(),
            view("16700", "v", "16800"),
            view("16800", "w", "16500"),
            complete("SELECT 12"),
            ready(b'I'),
        ];
        carry_out_at(reader.now(), errand, &[greeting(), catalog.concat()], usize::MAX);
        reader.returned();
        let told = format!("T D({shown}) C(SELECT 1) Z(I)");
        assert_eq!(without_notice(&reader), told, "{second}: {}", reader.transcript());
    }
}

/// A text of many answers, before each of which something changes, keeps no catalog for each of them.
#[test]
fn a029_an_answer_is_masked_by_a_bounded_number_of_catalogs() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, &["select y from v"; 7].join("; "));
    for value in ["1", "1", "1", "1", "null", "null", "null"] {
        definer.client(query("alter view v set (security_barrier)"));
        definer.permit();
        definer.target([complete("ALTER VIEW"), ready(b'I')].concat());
        reader.target([row_description(&[("y", V, 1)]), data_row(&["1"])].concat());
        reads(&mut reader, ORDERS);
        let told = to_client(&reader);
        assert_eq!(told, format!("T D({value})"), "{}", reader.transcript());
        reader.target(complete("SELECT 1"));
        reader.later(Duration::from_millis(1));
    }
}

/// The same in batches, whose transactions end where nobody says so.
#[test]
fn a029_a_batch_may_be_two_transactions() {
    let run = |text: &str| [parse("", text), bind("", "", &[]), execute("")].concat();
    let (first, second) = ("alter view v rename to w", "alter view w rename to v");
    let done = || [message(b'1', b""), message(b'2', b""), complete("DONE")].concat();
    for (sent, shown) in [
        (vec![run(first), run(second), sync()], "1"),
        (vec![run(first), sync(), run(second), sync()], "null"),
        (vec![run(first), run("call lab.commits()"), run(second), sync()], "null"),
        (vec![run("commit prepared 'a'"), run(second), sync()], "null"),
        (vec![run(first), run("vacuum orders"), run(second), sync()], "null"),
    ] {
        let (mut reader, mut definer) = two();
        asks(&mut reader, "select y from v");
        let count = sent.len();
        for (at, messages) in sent.into_iter().enumerate() {
            let is_sync = messages == sync();
            definer.client(messages);
            if is_sync {
                definer.target(ready(b'I'));
            } else {
                definer.permit();
                definer.permit();
                definer.target(done());
            }
            assert!(at < count);
        }
        let described = row_description(&[("y", V, 1)]);
        reader.target([described, data_row(&["1"]), complete("SELECT 1"), ready(b'I')].concat());
        reads(&mut reader, ORDERS);
        let told = format!("T D({shown}) C(SELECT 1) Z(I)");
        assert_eq!(without_notice(&reader), told, "{}", definer.transcript());
    }
    // What follows is sent before the target has said that the first one is over, and is told to nobody by itself.
    let (mut reader, mut definer) = two();
    asks(&mut reader, "select y from v");
    definer.client([run(first), sync(), parse("", "select 1")].concat());
    (0..3).for_each(|_| definer.permit());
    definer.target([done(), ready(b'I'), message(b'1', b"")].concat());
    definer.client([run(second), sync()].concat());
    (0..2).for_each(|_| definer.permit());
    definer.target([done(), ready(b'I')].concat());
    let described = row_description(&[("y", V, 1)]);
    reader.target([described, data_row(&["1"]), complete("SELECT 1"), ready(b'I')].concat());
    reads(&mut reader, ORDERS);
    assert_eq!(without_notice(&reader), "T D(null) C(SELECT 1) Z(I)", "{}", definer.transcript());
}

/// A COPY that was asked about is looked at again when its data begins.
#[test]
fn a025_a_copy_that_was_asked_about_is_looked_at_again() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, "copy (select orders.id, people.id from orders, people) to stdout");
    reader
        .target([message(b'3', b""), message(b'3', b""), message(b'1', b""), message(b'2', b"")].concat());
    reader.target([message(b'3', b""), message(b'1', b""), message(b't', &[0, 0])].concat());
    reader.target(row_description(&[("id", ORDERS, 1), ("id", PEOPLE, 1)]));
    reader.target(message(b'3', b""));
    definer.client(query("alter table people inherit orders"));
    definer.permit();
    reader.target([message(b'H', &[0, 0, 2, 0, 0, 0, 0]), message(b'd', b"123-45-6789\t1\n")].concat());
    assert_eq!(to_client(&reader), "", "{}", reader.transcript());
    for _ in 0..2 {
        assert_eq!(reader.take_errands().len(), 1, "{}", reader.transcript());
        reader.returned();
    }
    assert_eq!(to_client(&reader), "H d(\\\\N\\t\\\\N\\n)", "{}", reader.transcript());
}

/// What is under way at another session, and is nothing to this answer, does not hold it up, however long it takes.
#[test]
fn an_answer_does_not_wait_for_nothing() {
    for (text, waits) in [
        ("select 1", false),
        ("create index on orders (id)", false),
        ("drop index if exists nope", false),
        ("create temp table x as select id from v", false),
        ("create table if not exists x (id int)", false),
        ("create or replace view other as select y from v", false),
        ("alter table invoices add note text", false),
        ("alter sequence numbers restart", false),
        ("alter role app set search_path = x", false),
        ("revoke all on v from public", false),
        ("grant select on v to public", false),
        ("truncate orders", false),
        ("prepare transaction 'x'", false),
        ("create or replace view v as select 1 as y", true),
        ("alter view v rename to w", true),
        ("alter table w rename to v", true),
        ("alter table orders rename to invoices", true),
        ("alter table people inherit orders", true),
        ("create table x () inherits (orders)", true),
        ("create table x partition of orders for values in (1)", true),
        ("create rule \"_RETURN\" as on select to orders do instead select 1 as id", true),
        ("drop view v", true),
        ("drop schema app cascade", true),
        ("alter schema app rename to public", true),
        ("alter table app.v set schema public", true),
        ("create function f() returns int language sql as 'select 1'", true),
        ("do $$ begin execute 'create or replace view v as select ssn as y from people'; end $$", true),
        ("commit prepared 'x'", true),
        ("explain analyze create table v as select 1", true),
    ] {
        let (mut reader, mut definer) = two();
        asks(&mut reader, "select y from v");
        definer.client(query(text));
        definer.permit();
        reader.target(rows(V));
        assert_eq!(!reader.take_errands().is_empty(), waits, "{text}: {}", reader.transcript());
        assert_eq!(to_client(&reader).is_empty(), waits, "{text}: {}", reader.transcript());
    }
}

/// One's own is known: whatever is sent behind a statement is done behind it.
#[test]
fn an_answer_does_not_wait_for_what_its_own_session_does_behind_it() {
    let (mut reader, _) = two();
    reader.client([parse("", "select count(*) from orders"), bind("", "", &[]), execute("")].concat());
    reader.permit_masked(plan());
    reader.permit_masked(plan());
    reader.client(
        [parse("", "create temp table orders (id int)"), bind("", "", &[]), execute(""), sync()].concat(),
    );
    reader.permit_masked(plan());
    reader.permit_masked(plan());
    reader.target([message(b'1', b""), message(b'2', b"")].concat());
    reader.target([row_description(&[("count", 0, 0)]), data_row(&["7"]), complete("SELECT 1")].concat());
    assert_eq!(to_client(&reader), "D(7) C(SELECT 1)", "{}", reader.transcript());
}

/// An account may have only so many connections: then nothing is believed but what is masked.
#[test]
fn a025_where_definitions_can_not_be_read_again_nothing_is_believed() {
    for (text, change, columns, shown) in [
        (
            "select y from v",
            "create or replace view v as select ssn as y from people",
            vec![("y", V, 1)],
            "null",
        ),
        (
            "select upper(y) from v",
            "create or replace view v as select ssn as y from people",
            vec![("y", 0, 0)],
            "null",
        ),
        ("select id from orders", "alter table people inherit orders", vec![("id", ORDERS, 1)], "null"),
        (
            "select ssn from people",
            "alter table people add note text",
            vec![("ssn", PEOPLE, 3)],
            "*******6789",
        ),
    ] {
        let (mut reader, mut definer) = two();
        asks(&mut reader, text);
        definer.client(query(change));
        definer.permit();
        reader.target(
            [row_description(&columns), data_row(&[SECRET]), complete("SELECT 1"), ready(b'I')].concat(),
        );
        for _ in 0..2 {
            assert_eq!(to_client(&reader), "", "{text}");
            assert_eq!(reader.take_errands().len(), 1);
            reader.returned();
        }
        let told = format!("T D({shown}) C(SELECT 1) Z(I)");
        assert_eq!(without_notice(&reader), told, "{text}: {}", reader.transcript());
    }
}

/// What describes nothing can still speak of it: in its error, in a setting, and when its transaction ends.
#[test]
fn a031_what_is_said_beside_rows_is_hidden_where_a_view_is_another_one_by_now() {
    let said = || error("22P02", "invalid input syntax: \"123-45-6789\"");
    for (answer, shown) in [
        (
            [said(), ready(b'I')].concat(),
            "E(22P02 a value has not the form of its type (SQLSTATE 22P02)) Z(I)",
        ),
        (
            [parameter_status("application_name", SECRET), complete("DELETE 1"), ready(b'I')].concat(),
            "C(DELETE 1) Z(I)",
        ),
        (
            [message(b'N', b"SNOTICE\0C00000\0M123-45-6789\0\0"), complete("DELETE 1"), ready(b'I')]
                .concat(),
            "N(00000 a notice (SQLSTATE 00000)) C(DELETE 1) Z(I)",
        ),
    ] {
        let (mut reader, mut definer) = two();
        asks(&mut reader, "delete from orders where id in (select y::int from v)");
        redefines(&mut definer);
        reader.target(answer);
        assert_eq!(to_client(&reader), shown, "{}", reader.transcript());
    }
    let (mut reader, mut definer) = two();
    asks(&mut reader, "begin");
    reader.target([complete("BEGIN"), ready(b'T')].concat());
    asks(&mut reader, "insert into orders select y::int from v");
    redefines(&mut definer);
    reader.target([complete("INSERT 0 1"), ready(b'T')].concat());
    asks(&mut reader, "commit");
    reader.target([error("23505", "Key (id)=(123-45-6789) already exists."), ready(b'I')].concat());
    assert!(!to_client(&reader).contains(SECRET), "{}", reader.transcript());
}

/// An EXECUTE, and a COPY that was asked about, plan when they run: whatever was told of their columns before may be another table's by then.
#[test]
fn a025_what_is_described_before_it_is_planned_is_looked_at_again() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, "prepare p as select id from orders");
    reader.target([complete("PREPARE"), ready(b'I')].concat());
    reader.client([parse("", "execute p"), bind("", "", &[]), execute(""), sync()].concat());
    reader.permit_masked(plan());
    reader.permit_masked(plan());
    reader.target([message(b'1', b""), message(b'2', b""), row_description(&[("id", ORDERS, 1)])].concat());
    definer.client(query("alter table people inherit orders"));
    definer.permit();
    reader.target([data_row(&[SECRET]), complete("SELECT 1"), ready(b'I')].concat());
    for _ in 0..2 {
        assert_eq!(reader.take_errands().len(), 1, "{}", reader.transcript());
        reader.returned();
    }
    assert_eq!(without_notice(&reader), "D(null) C(SELECT 1) Z(I)", "{}", reader.transcript());
}

/// Whatever a reading found that began before the answer did, it may be what was there before.
#[test]
fn a025_an_errand_that_began_before_the_answer_is_not_believed() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, "select y from v");
    redefines(&mut definer);
    reader.later(Duration::from_millis(500));
    reader.target(rows(V));
    // It was shared with somebody who has sent it before.
    let errand = reader.take_errands().pop().unwrap();
    let before = reader.now().checked_sub(Duration::from_millis(100)).unwrap();
    carry_out_at(before, errand, &[greeting(), catalog_where_v_reads(ORDERS)], usize::MAX);
    reader.returned();
    assert_eq!(to_client(&reader), "", "{}", reader.transcript());
    assert_eq!(reader.take_errands().len(), 1);
}

/// A change past the gateway is found by age, as for statements that do not wait.
#[test]
fn a025_an_answer_that_comes_late_rests_on_what_is_read_then() {
    let (mut reader, _) = two();
    asks(&mut reader, "select y from v");
    reader.later(Duration::from_secs(60));
    reader.target(rows(V));
    assert_eq!(to_client(&reader), "");
    // It can not be read again: as good as it was before.
    for _ in 0..2 {
        reader.take_errands();
        reader.returned();
    }
    assert_eq!(to_client(&reader), "T D(123-45-6789) C(SELECT 1) Z(I)", "{}", reader.transcript());
}

#[test]
fn an_answer_that_comes_late_rests_on_what_others_have_read() {
    let stage = Stage::default();
    let mut reader = Play::relay(&stage, usize::MAX);
    reader.keep_errands();
    asks(&mut reader, "select y from v");
    reads(&mut reader, ORDERS);
    let mut other = Play::relay(&stage, usize::MAX);
    other.later(Duration::from_secs(60));
    asks(&mut other, "select y from v");
    // It reads on its own connection.
    other.target(catalog_where_v_reads(PEOPLE));
    reader.later(Duration::from_secs(61));
    reader.target(rows(V));
    assert!(reader.take_errands().is_empty());
    assert_eq!(without_notice(&reader), "T D(null) C(SELECT 1) Z(I)", "{}", reader.transcript());
}

/// A request that waits for the catalog, and an answer that does.
#[test]
fn a_request_behind_an_answer_that_waits_goes_on_after_it() {
    let (mut reader, mut definer) = two();
    reader.client([parse("", "select y from v"), bind("", "", &[]), execute("")].concat());
    reader.permit_masked(plan());
    reader.permit_masked(plan());
    redefines(&mut definer);
    definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
    reader.client([parse("s", "select y from v limit 3"), message(b'H', b"")].concat());
    reader.permit_masked(plan());
    reader.target([message(b'1', b""), message(b'2', b"")].concat());
    reader.target([row_description(&[("y", V, 1)]), data_row(&[SECRET]), complete("SELECT 1")].concat());
    for _ in 0..2 {
        if let Some(errand) = reader.take_errands().pop() {
            carry_out_at(reader.now(), errand, &[greeting(), catalog_where_v_reads(PEOPLE)], usize::MAX);
            reader.returned();
        }
    }
    let heard = gatewright_playbook::messages::render(reader.heard(), false);
    assert!(!heard.contains(SECRET) && heard.contains("D(null)"), "{heard}");
    assert!(to_target(&reader).contains("P(s select y from v limit 3)"), "{}", reader.transcript());
}

/// A cursor that outlives its transaction outlives the query of its view too.
#[test]
fn a025_a_held_cursor_shows_nothing_of_a_view() {
    let (mut reader, mut definer) = two();
    asks(&mut reader, "declare c cursor with hold for select y from v");
    reader.target([complete("DECLARE CURSOR"), ready(b'I')].concat());
    redefines(&mut definer);
    definer.target([complete("CREATE VIEW"), ready(b'I')].concat());
    asks(&mut reader, "fetch 1 from c");
    reads(&mut reader, ORDERS);
    reader.target(rows(V));
    assert_eq!(without_notice(&reader), "T D(null) C(SELECT 1) Z(I)", "{}", reader.transcript());
    let shows = |reader: &mut Play, shown: &str| {
        asks(reader, "fetch 1 from d");
        if let Some(errand) = reader.take_errands().pop() {
            carry_out_at(reader.now(), errand, &[greeting(), catalog_where_v_reads(ORDERS)], usize::MAX);
            reader.returned();
        }
        reader.target(rows(ORDERS));
        let told = format!("T D({shown}) C(SELECT 1) Z(I)");
        assert_eq!(without_notice(reader), told, "{}", reader.transcript());
    };
    shows(&mut reader, "123-45-6789");
    // And its table's children.
    definer.client(query("alter table people no inherit orders"));
    definer.permit();
    definer.target([complete("ALTER TABLE"), ready(b'I')].concat());
    shows(&mut reader, "null");
}
