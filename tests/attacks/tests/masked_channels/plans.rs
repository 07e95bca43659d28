//! A29: what was prepared once is run a thousand times, and nobody asks what its answer is. Every now and then somebody changes what it is of.

use gatewright_e2e::wire::{self, Client, Message};

use super::super::{CAROL, MALLORY, SECRET, Sent, Sides, contains, print, say};

/// What is prepared, and what changes it, in turn and again and again.
struct Change {
    /// What there is beside the sample data.
    defined: &'static str,
    prepared: &'static str,
    rounds: &'static [&'static [&'static str]],
}

/// As many as the row says.
const EXECUTES: usize = 1_000;

/// How many of them follow each change.
const AT_ONCE: usize = 25;

/// The masked column gets another number with each round: who looks for the old one finds nothing.
const NUMBER: Change =
    Change { defined: "", prepared: "select ssn, city from people where id = 1", rounds: &[MIGRATION] };

/// One change, as a migration makes it: the column is called as before, and has another number.
pub(super) const MIGRATION: &[&str] = &[
    "begin",
    "alter table people add column fresh text",
    "update people set fresh = ssn",
    "alter table people drop column ssn",
    "alter table people rename column fresh to ssn",
    "commit",
];

/// A column that is open takes the place behind the one that is masked, and the other way round.
const PLACES: Change = Change {
    defined: "",
    prepared: "select city, ssn from people where id = 1",
    rounds: &[&[
        "begin",
        "alter table people add column first text, add column second text",
        "update people set first = city, second = ssn",
        "alter table people drop column city, drop column ssn",
        "alter table people rename column first to city",
        "alter table people rename column second to ssn",
        "commit",
        "alter table people alter column ssn type varchar(20)",
        "alter table people alter column ssn type text",
    ]],
};

/// Another table, with other numbers, under the same name.
const TABLE: Change = Change {
    defined: "",
    prepared: "select ssn, city from people where id = 1",
    rounds: &[&[
        "begin",
        "create table public.other (city text, ssn text, card text, email text, name text, id bigint)",
        "insert into public.other select city, ssn, card, email, name, id from people",
        "drop table people cascade",
        "alter table public.other rename to people",
        "commit",
    ]],
};

/// A view that shows the masked column and another one in turn, under one name.
const VIEW: Change = Change {
    defined: "create view lab.notes as select id, city as note from people",
    prepared: "select note from lab.notes where id = 1",
    rounds: &[
        &["create or replace view lab.notes as select id, ssn as note from people"],
        &["create or replace view lab.notes as select id, city as note from people"],
    ],
};

/// A star is read anew with each change, and the server refuses to run it where its columns are others by now.
const STAR: Change = Change {
    defined: "",
    prepared: "select * from people where id = 1",
    rounds: &[&[
        "begin",
        "alter table people add column moved text",
        "update people set moved = ssn",
        "alter table people drop column ssn",
        "alter table people rename column moved to ssn",
        "commit",
    ]],
};

#[test]
fn a029_a_column_that_gets_another_number_stays_masked_in_what_is_prepared() {
    hides(&NUMBER);
}

#[test]
fn a029_columns_that_change_places_stay_masked_in_what_is_prepared() {
    hides(&PLACES);
}

#[test]
fn a029_a_table_that_is_made_anew_stays_masked_in_what_is_prepared() {
    hides(&TABLE);
}

#[test]
fn a029_a_view_that_shows_another_column_is_masked_in_what_is_prepared() {
    hides(&VIEW);
}

#[test]
fn a029_a_star_that_stands_for_other_columns_stays_masked_in_what_is_prepared() {
    hides(&STAR);
}

/// Who is masked gets rows before, between and after the changes, and the secret is in no message. Before that, somebody for whom nothing is masked
/// does the same, and finds it.
fn hides(change: &Change) {
    let sides = Sides::prepare("", change.defined);
    for (mint, masked) in [(&CAROL, false), (&MALLORY, true)] {
        let mut client = sides.session_in(mint, "postgres");
        let mut other = sides.session_in(&CAROL, "postgres");
        client
            .send(&[wire::parse("s", change.prepared), wire::describe('S', "s"), wire::sync()].concat())
            .unwrap();
        assert_eq!(wire::tags(&client.until_ready().unwrap()), "1tTZ");
        let before = executes(&mut client, change.prepared);
        let mut between = Vec::new();
        for round in change.rounds.iter().cycle().take(EXECUTES / AT_ONCE) {
            for statement in *round {
                let told = say(&mut other, Sent::Query, statement);
                assert!(wire::states(&told).is_empty(), "{statement}: {}", print(&told));
            }
            between.extend(executes(&mut client, change.prepared));
        }
        let after = executes(&mut client, change.prepared);
        for (when, told) in [("before", &before), ("between the changes", &between), ("after", &after)] {
            assert!(
                rows(told) > 0,
                "no row came {when}: {}",
                print(&told[told.len().saturating_sub(20)..])
            );
            if masked {
                assert_eq!(sides.leak(told, None), None, "{when}");
            }
        }
        let shown = between.iter().any(|message| contains(message, SECRET));
        assert!(masked || shown, "somebody for whom nothing is masked finds it");
    }
}

fn rows(told: &[Message]) -> usize {
    told.iter().filter(|message| message.tag == 'D').count()
}

/// Binds and runs what is prepared as `s`, in either format, and asks for no description. Where the server does not run it any more, because its
/// columns are others, it is prepared anew as a driver would.
fn executes(client: &mut Client, prepared: &str) -> Vec<Message> {
    let mut bytes = Vec::new();
    for number in 0..AT_ONCE {
        let format = u8::from(number % 2 == 1);
        bytes
            .extend([wire::bind_format("", "s", &[], format), wire::execute("", 0), wire::sync()].concat());
    }
    client.send(&bytes).unwrap();
    let mut told = Vec::new();
    for _ in 0..AT_ONCE {
        told.extend(client.until_ready().unwrap());
    }
    assert_eq!(told.iter().filter(|message| message.tag == 'Z').count(), AT_ONCE, "{}", print(&told));
    if !wire::states(&told).is_empty() {
        client.send(&[wire::close('S', "s"), wire::sync()].concat()).unwrap();
        told.extend(client.until_ready().unwrap());
        client.send(&[wire::parse("s", prepared), wire::sync()].concat()).unwrap();
        told.extend(client.until_ready().unwrap());
    }
    told
}
