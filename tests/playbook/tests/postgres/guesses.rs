//! Rows that are chosen by a masked column: each choice is a guess at its values (threats A28).

use gatewright_model::mask::MaskPlan;
use gatewright_playbook::messages::*;

use super::masks::{PEOPLE, masking, plan};

/// The usual masks, with so many conditions an hour.
fn limited(most: u32) -> MaskPlan {
    let mut plan = plan();
    plan.columns.iter_mut().for_each(|mask| mask.conditions = Some(most));
    plan
}

#[test]
fn a028_where_no_guess_is_allowed_none_reaches_the_target() {
    for statement in [
        "select id from people where ssn like '1%'",
        "select id from people order by ssn",
        "select ssn from people order by 1",
        "select count(*) from people group by ssn",
        "select distinct ssn from people",
        "select 1 from people, generate_series(1, length(ssn))",
        "select id from people natural join orders",
        "select id from people_view where whatever = '1'",
        "delete from people where ssn = '1'",
        "select id from (select id, ssn as x from people) q where x > '5'",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(limited(0));
        let transcript = play.transcript().to_string();
        assert!(transcript.ends_with("error mask.condition\n"), "{statement}:\n{transcript}");
        assert!(play.transcript().target_bytes().is_empty(), "{statement}:\n{transcript}");
    }
    for statement in [
        "select ssn from people where id = 3",
        "select id from people where name = 'Ada' order by name",
        "select id from orders where ssn = 3",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(limited(0));
        assert!(!play.transcript().target_bytes().is_empty(), "{statement}");
    }
}

#[test]
fn a028_a_guess_is_refused_when_it_is_prepared_where_none_is_allowed() {
    let mut play = masking();
    play.client([parse("s", "select id from people where ssn = $1"), sync()].concat());
    play.permit_masked(limited(0));
    assert!(play.transcript().to_string().contains("error mask.condition"), "{}", play.transcript());
    assert!(play.transcript().target_bytes().is_empty());
}

/// A statement that is prepared once is a guess each time that it runs.
#[test]
fn a028_guesses_have_an_end() {
    let mut play = masking();
    play.client([parse("s", "select id from people where ssn = $1"), sync()].concat());
    play.permit_masked(limited(2));
    play.target([message(b'1', b""), ready(b'I')].concat());
    for guess in 0..3 {
        play.client([bind("", "s", &["123"]), execute(""), sync()].concat());
        play.permit_masked(limited(2));
        let transcript = play.transcript().to_string();
        if guess == 2 {
            assert!(transcript.contains("error mask.condition"), "{transcript}");
            break;
        }
        assert!(!transcript.contains("error"), "{transcript}");
        play.target(
            [message(b'2', b""), row_description(&[("id", PEOPLE, 1)]), complete("SELECT 0"), ready(b'I')]
                .concat(),
        );
    }
}

/// A cursor chooses anew each time that it is gone through, by what has been set meanwhile: whoever may guess a number of times asks without one.
#[test]
fn a028_a_cursor_that_chooses_by_a_masked_column_is_refused() {
    let chooses =
        "declare c scroll cursor for select id from people where ssn = current_setting('my.guess', true)";
    for most in [0, 1, 1_000] {
        let mut play = masking();
        play.client(query(chooses));
        play.permit_masked(limited(most));
        let transcript = play.transcript().to_string();
        assert!(transcript.ends_with("error mask.condition\n"), "{transcript}");
    }
    let mut play = masking();
    play.client(query("declare c cursor for select ssn from people where id = 3"));
    play.permit_masked(limited(0));
    assert!(!play.transcript().target_bytes().is_empty(), "{}", play.transcript());
}
