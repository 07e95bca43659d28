//! Masks of columns that are not there any more.

use std::time::Duration;

use gatewright_model::mask::MaskPlan;
use gatewright_playbook::{Play, Stage, messages::*};

use super::masks::{PEOPLE, masking, plan};

/// A policy that names a column by what it was called before.
fn stale() -> MaskPlan {
    let mut stale = plan();
    stale.columns.iter_mut().for_each(|mask| mask.column = "social".into());
    stale
}

#[test]
fn a025_what_reaches_a_relation_whose_masked_column_is_gone_is_refused() {
    for statement in [
        "select social from people",
        "select name from public.people",
        "select count(*) from people",
        "select id from orders where exists (select 1 from people)",
        "with x as (select * from people) select 1",
        "select whatever from people_view",
        "insert into people (id) values (1)",
        "update people set name = 'x' where id = 1",
        "copy people to stdout",
        "explain select 1 from people",
        "declare c cursor for select * from people",
        "select 1; select name from people",
        // It may be a view over anything.
        "select id from unheard_of",
        // It may reach anything.
        "select our_own(1)",
        "select our_own(id) from orders",
        "do $$ begin end $$",
        "call our_own()",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(stale());
        let transcript = play.transcript().to_string();
        assert!(transcript.ends_with("error mask.stale\n"), "{statement}:\n{transcript}");
        assert!(play.transcript().target_bytes().is_empty(), "{statement}:\n{transcript}");
    }
}

#[test]
fn a_column_that_is_gone_is_in_the_way_of_nothing_else() {
    for statement in [
        "select 1",
        "select current_user, now()",
        "select id from orders",
        "select count(*) from public.orders where id = 7",
        "insert into orders (id) values (1)",
        "create table fresh (id int)",
        "begin",
        "set work_mem = '4MB'",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(stale());
        let sent = play.transcript().target_bytes();
        assert!(sent == query(statement), "{statement}:\n{}", play.transcript());
    }
}

#[test]
fn a025_a_cursor_that_is_older_than_the_change_shows_nothing_of_the_relation() {
    let mut play = masking();
    play.client(query("fetch all from c"));
    play.permit_masked(stale());
    let columns = [("social", PEOPLE, 3), ("name", PEOPLE, 2), ("length", 0, 0), ("id", 16_500, 1)];
    let rows = ["123-45-6789", "ann", "11", "7"];
    play.target([row_description(&columns), data_row(&rows), complete("FETCH 1"), ready(b'I')].concat());
    let client = super::masks::without_notice(&play);
    assert_eq!(client, "T D(null,null,null,7) C(FETCH 1) Z(I)");
}

/// A table that somebody has renamed is as stale as a column: what was under its name is under another one now.
#[test]
fn a025_what_reaches_a_relation_that_was_renamed_is_refused() {
    let stage = Stage::default();
    let mut play = Play::relay(&stage, usize::MAX);
    let reads = |play: &mut Play, name: &str, statement: &str| {
        play.client(query(statement));
        play.permit_masked(plan());
        let rows = [
            data_row(&["16400", "public", name, "1", "id"]),
            data_row(&["16400", "public", name, "3", "ssn"]),
        ];
        let rows = [row_description(&[("a", 0, 0)]), rows.concat(), complete("SELECT 2"), ready(b'I')];
        play.target(rows.concat());
    };
    reads(&mut play, "people", "select id from people");
    play.target([row_description(&[("id", PEOPLE, 1)]), complete("SELECT 0"), ready(b'I')].concat());
    play.later(Duration::from_secs(60));
    reads(&mut play, "folk", "select ssn from folk");
    let transcript = play.transcript().to_string();
    assert!(transcript.ends_with("error mask.stale\n"), "{transcript}");
}
