//! What a program writes, as far as it is shown: schedules of one channel with masks.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gatewright_model::{
    json_path::JsonPath,
    mask::{Detector, DetectorMask, JsonMask, MaskMethod, MaskPlan},
    session::{Input, Session as _, Side},
};
use gatewright_ssh::message::{Message, Request, Size};
use proptest::prelude::*;

use crate::play::Play;

fn masks() -> MaskPlan {
    let mask = |detector, method, rule: &str| DetectorMask { detector, method, rule: rule.into() };
    MaskPlan {
        detectors: vec![
            mask(Detector::CardNumber, MaskMethod::Partial { keep: 4 }, "ssh/cards"),
            mask(Detector::Ssn, MaskMethod::Redact, "ssh/ssns"),
        ],
        ..MaskPlan::default()
    }
}

fn exec() -> Request {
    Request::Exec(Bytes::from_static(b"cat cards"))
}

#[test]
fn both_streams_are_searched_apart_and_what_was_hidden_is_counted() {
    let mut play = Play::running(exec(), &masks());
    play.out("a 4111 1111").err("b 4111").out(" 1111 1111\n").err("-1111-1111-1111\n123-45-6789\n");
    play.target(Message::ExitStatus(0)).target(Message::Eof).tell(Input::Closed { side: Side::Upstream });
    assert_eq!(
        play.shown(),
        "a <b >***************1111\n<***************1111\n[redacted]\n>[ExitStatus(0)][Eof]"
    );
    let masked: Vec<_> = play.finished[0].masked.iter().map(|(rule, count)| (&**rule, *count)).collect();
    assert_eq!(masked, [("ssh/cards", 2), ("ssh/ssns", 1)]);
}

#[test]
fn what_is_held_comes_before_the_status_and_the_end() {
    let signal = Message::ExitSignal { signal: "TERM".into(), core_dumped: false, message: "".into() };
    for end in [Message::ExitStatus(1), signal] {
        let mut play = Play::running(exec(), &masks());
        play.out("4111 1111").err("99").target(end.clone()).target(Message::Eof);
        assert_eq!(play.shown(), format!("4111 1111<99>[{end:?}][Eof]"));
        // Nothing is held that it would have to wait for.
        let mut play = Play::running(exec(), &masks());
        play.out("done\n").target(end.clone());
        assert_eq!(play.shown(), format!("done\n[{end:?}]"));
        let mut play = Play::running(exec(), &masks());
        play.out("4111 1111").target(end.clone()).woken();
        assert_eq!(play.shown(), format!("4111 1111[{end:?}]"));
    }
    let mut play = Play::running(exec(), &masks());
    play.out("4111 1111").tell(Input::Closed { side: Side::Upstream });
    assert_eq!(play.shown(), "4111 1111");
}

/// OpenSSH says how a program ended when it has ended, and sends what is left of its output behind that.
#[test]
fn a073_what_comes_behind_the_status_is_searched_together_with_what_came_before() {
    let mut play = Play::running(exec(), &masks());
    play.out("4111 1111").target(Message::ExitStatus(0)).out(" 1111 1111\n").target(Message::Eof);
    assert_eq!(play.shown(), "***************1111\n[ExitStatus(0)][Eof]");
}

#[test]
fn a_prompt_is_shown_when_nothing_follows_and_is_not_forgotten() {
    let mut play = Play::at_a_terminal(&masks());
    play.out("$ ");
    assert_eq!((play.shown().as_str(), play.wake), ("$ ", None));
    play.out("code 4111");
    assert_eq!(play.shown(), "code ");
    assert_eq!(play.wake, Some(play.now + Duration::from_millis(30)));
    play.woken();
    assert_eq!(play.shown(), "4111");
    play.out(" 1111 1111 1111\r\n");
    assert_eq!(play.shown(), "***************\r\n");
}

/// What grows all the time is shown, too, and what a slow client does not take changes nothing.
#[test]
fn what_is_held_is_held_for_a_bounded_time() {
    let mut play = Play::running(exec(), &masks());
    let start = play.now;
    let mut shown = String::new();
    while shown.is_empty() {
        play.now += Duration::from_millis(90);
        if play.wake.is_some_and(|wake| wake <= play.now) {
            play.tell(Input::Timeout);
        } else {
            play.out("1");
        }
        shown = play.shown();
        assert!(play.now - start < Duration::from_secs(2));
    }
    assert!(play.channel.wakes_in_silence());
}

/// What comes in bulk and stops in the middle goes on: the target's machine was busy, or the network.
#[test]
fn a073_the_end_of_a_large_piece_waits_longer() {
    let mut play = Play::running(exec(), &masks());
    let large = "x".repeat(5_000) + " 4111";
    play.out(&large);
    assert_eq!(play.wake, Some(play.now + Duration::from_secs(2)));
    play.now += Duration::from_secs(1);
    play.tell(Input::Timeout).out(" 1111 1111 1111\n");
    assert!(play.shown().ends_with(" ***************1111\n"));
}

#[test]
fn a_terminal_sees_as_many_columns_as_the_program_wrote() {
    let mut play = Play::at_a_terminal(&masks());
    play.out("|\x1b[1m123-45-6789\x1b[0m|\r\n");
    assert_eq!(play.shown(), "|\x1b[1m[redacted]*\x1b[0m|\r\n");
    let mut play = Play::running(exec(), &masks());
    play.out("|\x1b[1m123-45-6789\x1b[0m|\r\n");
    assert_eq!(play.shown(), "|\x1b[1m[redacted]\x1b[0m|\r\n");
}

/// A program may write before the target has said that it runs.
#[test]
fn a073_nothing_is_shown_before_its_masks_are_there() {
    let mut play = Play::open();
    play.ask(exec()).permit(Some(&masks())).connected();
    play.to_client.clear();
    play.out("4111111111111111\n").target(Message::Success);
    assert_eq!(play.shown(), "************1111\n[Success]");
}

#[test]
fn streams_that_a_program_does_not_have_are_not_shown() {
    let mut play = Play::running(exec(), &masks());
    play.target(Message::ExtendedData(7, Bytes::from_static(b"4111111111111111\n")));
    assert_eq!(play.shown(), "");
}

/// What can not be hidden is not run.
#[test]
fn what_has_no_output_to_hide_something_in_is_refused() {
    let path =
        JsonMask { path: JsonPath::parse("$.a").unwrap(), method: MaskMethod::Redact, rule: "r".into() };
    let json = MaskPlan { json: vec![path], ..masks() };
    let pty = Request::Pty { terminal: "xterm".into(), size: Size::default(), modes: Arc::default() };
    let env = Request::Env { name: "A".into(), value: "1".into() };
    for (request, masks) in [
        (exec(), &json),
        (Request::Shell, &json),
        (Request::Subsystem("sftp".into()), &masks()),
        (pty, &masks()),
        (env, &masks()),
    ] {
        let mut play = Play::open();
        play.finished.clear();
        play.ask(request).permit(Some(masks));
        assert_eq!(play.finished[0].code.as_deref(), Some("mask.unsupported"));
        assert_eq!(play.to_target, 0);
    }
    let mut netconf = Play::running(Request::Subsystem("netconf".into()), &masks());
    netconf.out("4111111111111111\n");
    assert_eq!(netconf.shown(), "************1111\n");
}

/// What one program was to have hidden says nothing about the next one: the first did not start.
#[test]
fn masks_are_those_of_what_runs() {
    let mut play = Play::open();
    play.ask(exec()).permit(Some(&masks())).connected().target(Message::Failure);
    play.ask(exec()).permit(None).target(Message::Success);
    play.to_client.clear();
    play.out("4111111111111111\n");
    assert_eq!(play.shown(), "4111111111111111\n");
    // And what was asked for meanwhile takes none of them away.
    let mut play = Play::running(exec(), &masks());
    play.ask(Request::Signal("TERM".into())).permit(None);
    play.to_client.clear();
    play.out("4111111111111111\n");
    assert_eq!(play.shown(), "************1111\n");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However the target cuts it, and with no time between.
    #[test]
    fn a073_cuts_change_nothing(cuts in prop::collection::vec(0usize..90, 0..20)) {
        let text = "one 4111 1111 \x1b[31m1111\x1b[0m 1111, two 123-45-6789\r\n\x1b]0;4111111111111111\x07three\r\n";
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % text.len()).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut play = Play::running(exec(), &masks());
        for pair in cuts.windows(2) {
            play.out(text.get(pair[0]..pair[1]).unwrap());
        }
        play.target(Message::Eof);
        prop_assert_eq!(
            play.shown(),
            "one **********\x1b[31m****\x1b[0m*1111, two [redacted]\r\n\x1b]0;****************\x07three\r\n"
        );
    }
}

/// What a target calls a signal, and says of it, is searched by nobody: it is not passed on.
#[test]
fn a073_the_end_of_a_program_has_no_words_of_the_targets() {
    let mut play = Play::running(exec(), &masks());
    let (signal, message) = ("4111111111111111".into(), "card 4111 1111 1111 1111".into());
    play.target(Message::ExitSignal { signal, core_dumped: false, message });
    let passed = play.to_client.iter().find_map(|message| match message {
        Message::ExitSignal { signal, message, .. } => Some((signal.to_string(), message.to_string())),
        _ => None,
    });
    assert_eq!(passed, Some(("KILL".to_owned(), String::new())));
}
