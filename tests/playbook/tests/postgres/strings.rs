//! A session in which strings may be read in another way than ours.

use expect_test::expect;
use gatewright_playbook::{Play, Stage, check, messages::*};

use super::masks::{masking, plan};

#[test]
fn a013_a_switch_of_how_strings_are_read_is_opaque_and_so_is_all_that_follows() {
    check(
        |play| {
            play.log_in();
            play.client(
                [query("set standard_conforming_strings = off"), query("select '\\'; drop table t --'")]
                    .concat(),
            );
            play.permit();
            play.target(
                [complete("SET"), parameter_status("standard_conforming_strings", "off"), ready(b'I')]
                    .concat(),
            );
            play.permit();
            play.target([complete("SELECT 1"), ready(b'I')].concat());
            // Nobody knows what it is from now on: a rollback may bring it back.
            play.client(query("set standard_conforming_strings = on"));
            play.permit();
            play.target(
                [complete("SET"), parameter_status("standard_conforming_strings", "on"), ready(b'I')]
                    .concat(),
            );
            play.client([query("select 1"), parse("", "select 2"), sync()].concat());
            play.deny();
            play.deny();
        },
        expect![[r#"
            client: Q(set standard_conforming_strings = off) Q(select \'\\\'; drop table t --\')
              decide sql.query `set standard_conforming_strings = off`, opaque
            permit
              to target: Q(set standard_conforming_strings = off)
            target: C(SET) S(standard_conforming_strings off) Z(I)
              to client: C(SET) S(standard_conforming_strings off) Z(I)
              finished 1: ok
              decide sql.query `select '\'; drop table t --'`, opaque
            permit
              to target: Q(select \'\\\'; drop table t --\')
            target: C(SELECT 1) Z(I)
              to client: C(SELECT 1) Z(I)
              finished 2: ok, 1 rows
            client: Q(set standard_conforming_strings = on)
              decide sql.query `set standard_conforming_strings = on`, opaque
            permit
              to target: Q(set standard_conforming_strings = on)
            target: C(SET) S(standard_conforming_strings on) Z(I)
              to client: C(SET) S(standard_conforming_strings on) Z(I)
              finished 3: ok
            client: Q(select 1) P(select 2) S
              decide sql.query `select 1`, opaque
            deny
              to client: E(42501 blocked by policy: not here) Z(I)
              decide sql.parse `select 2`, opaque
            deny
              to client: E(42501 blocked by policy: not here) Z(I)
        "#]],
    );
}

#[test]
fn a013_within_a_batch_a_switch_counts_before_the_target_tells() {
    check(
        |play| {
            play.log_in();
            let switch = [
                parse("", "select set_config('standard_conforming_strings', 'off', true)"),
                bind("", "", &[]),
                execute(""),
            ];
            play.client(
                [&switch.concat()[..], &parse("", "select '\\'; drop table t --'"), &sync()].concat(),
            );
            play.permit();
            play.permit();
            play.deny();
        },
        expect![[r#"
            client: P(select set_config(\'standard_conforming_strings\', \'off\', ) B() E() P(select \'\\\'; drop table t --\') S
              decide sql.parse `select set_config('standard_conforming_strings', 'off', true)`, opaque
            permit
              to target: P(select set_config(\'standard_conforming_strings\', \'off\', ) B()
              decide sql.execute `select set_config('standard_conforming_strings', 'off', true)`, opaque
            permit
              to target: E()
              decide sql.parse `select '\'; drop table t --'`, opaque
            deny
              to target: P(gatewright.refused gatewright refused a statement here) S
        "#]],
    );
}

#[test]
fn a013_with_other_strings_another_encoding_still_ends_the_session() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("set standard_conforming_strings = off"));
    play.permit();
    play.target(
        [complete("SET"), parameter_status("standard_conforming_strings", "off"), ready(b'I')].concat(),
    );
    play.client(query("set client_encoding to 'SJIS'"));
    play.permit();
    play.target([parameter_status("client_encoding", "SJIS"), ready(b'I')].concat());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("error sql.mode_change"), "{transcript}");
}

#[test]
fn a013_how_strings_are_read_is_not_switched_where_anything_is_masked() {
    let mut play = masking();
    play.client(query("set standard_conforming_strings = off"));
    play.permit_masked(plan());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("sql.mode_change"), "{transcript}");
    play.client(query("select id from orders"));
    play.deny();
    let transcript = play.transcript().to_string();
    assert!(
        transcript.contains("`select id from orders`\n"),
        "the session goes on, and is read: {transcript}"
    );
}

#[test]
fn a013_masks_that_come_later_find_every_text_opaque() {
    let mut play = masking();
    play.client(query("set standard_conforming_strings = off"));
    play.permit();
    play.target(
        [complete("SET"), parameter_status("standard_conforming_strings", "off"), ready(b'I')].concat(),
    );
    play.client(query("select ssn from people"));
    play.permit_masked(plan());
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("E(42501 the statement was not understood"), "{transcript}");
}
