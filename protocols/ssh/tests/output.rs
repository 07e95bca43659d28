//! What a program writes, as far as it is shown: schedules of one channel with masks.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gatewright_masking::MaskKey;
use gatewright_model::{
    id::{EventId, EventIds, SessionId},
    json_path::JsonPath,
    mask::{Detector, DetectorMask, JsonMask, MaskMethod, MaskPlan},
    permit::Permit,
    principal::{Principal, PrincipalKind},
    secret::Secret,
    session::{Account, Input, Outcome, Output, Session, Side},
};
use gatewright_ssh::{
    channel::{Channel, Seed},
    message::{Message, Open, Request, STDERR, Size},
};
use proptest::prelude::*;

/// A channel, and all that it has said.
struct Play {
    channel: Channel,
    now: Instant,
    judged: Option<EventId>,
    wake: Option<Instant>,
    to_client: Vec<Message>,
    to_target: usize,
    finished: Vec<Outcome>,
}

impl Play {
    /// A session channel that was accepted.
    fn open() -> Self {
        let seed = Seed {
            session: SessionId::from_random([7; 16]),
            events: Arc::new(EventIds::default()),
            token: Secret::new("tok"),
            account: Arc::from("deploy"),
            mask_key: MaskKey::new([7; 32]),
            target: None,
        };
        let mut play = Self {
            channel: Channel::new(seed),
            now: Instant::now(),
            judged: None,
            wake: None,
            to_client: Vec::new(),
            to_target: 0,
            finished: Vec::new(),
        };
        play.client(Message::Open(Open::Session)).tell(Input::Authenticated(principal())).permit(None);
        play
    }

    /// The same, and this runs with these masks.
    fn running(request: Request, masks: &MaskPlan) -> Self {
        let mut play = Self::open();
        play.ask(request).permit(Some(masks)).connected().target(Message::Success);
        play.to_client.clear();
        play.finished.clear();
        play
    }

    /// At a terminal.
    fn at_a_terminal(masks: &MaskPlan) -> Self {
        let mut play = Self::open();
        play.ask(Request::Pty { terminal: "xterm".into(), size: Size::default(), modes: Arc::default() });
        play.permit(None).connected().target(Message::Success);
        play.ask(Request::Shell).permit(Some(masks)).target(Message::Success);
        play.to_client.clear();
        play.finished.clear();
        play
    }

    fn tell(&mut self, input: Input<Message>) -> &mut Self {
        self.channel.handle_input(self.now, input).unwrap();
        while let Some(output) = self.channel.poll_output() {
            match output {
                Output::Decide(event) => self.judged = Some(event.id),
                Output::Send { side: Side::Downstream, unit } => self.to_client.push(unit),
                Output::Send { .. } => self.to_target += 1,
                Output::Finished { outcome, .. } => self.finished.push(outcome),
                Output::Wake(at) => self.wake = Some(at),
                _ => {}
            }
        }
        self
    }

    fn client(&mut self, unit: Message) -> &mut Self {
        self.tell(Input::Data { side: Side::Downstream, unit })
    }

    fn ask(&mut self, request: Request) -> &mut Self {
        self.client(Message::Request { request, want_reply: true })
    }

    fn target(&mut self, unit: Message) -> &mut Self {
        self.tell(Input::Data { side: Side::Upstream, unit })
    }

    fn out(&mut self, text: &str) -> &mut Self {
        self.target(Message::Data(Bytes::copy_from_slice(text.as_bytes())))
    }

    fn err(&mut self, text: &str) -> &mut Self {
        self.target(Message::ExtendedData(STDERR, Bytes::copy_from_slice(text.as_bytes())))
    }

    fn permit(&mut self, masks: Option<&MaskPlan>) -> &mut Self {
        let masks = masks.map(|masks| Arc::new(masks.clone()));
        self.tell(Input::Permitted(Permit::mint(self.judged.unwrap(), masks)))
    }

    fn connected(&mut self) -> &mut Self {
        let account = Account { name: Arc::from("deploy"), password: None, require_tls: false };
        self.tell(Input::Connected(account))
    }

    /// The instant comes that was asked for.
    fn woken(&mut self) -> &mut Self {
        self.now = self.wake.take().expect("nobody asked to be woken");
        self.tell(Input::Timeout)
    }

    /// What the client was sent since this was asked last.
    fn shown(&mut self) -> String {
        let text = |data: &Bytes| String::from_utf8_lossy(data).into_owned();
        let shown = self.to_client.drain(..).map(|message| match &message {
            Message::Data(data) => text(data),
            Message::ExtendedData(STDERR, data) => format!("<{}>", text(data)),
            other => format!("[{other:?}]"),
        });
        shown.collect()
    }
}

fn principal() -> Arc<Principal> {
    Arc::new(Principal {
        subject: "alice".into(),
        issuer: "test".into(),
        kind: PrincipalKind::Human,
        groups: Vec::new(),
        actors: Vec::new(),
        claims: Vec::new(),
        credential: "t1".into(),
        issued_at: None,
        expires_at: None,
    })
}

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
    for end in [
        Message::ExitStatus(1),
        Message::Eof,
        Message::ExitSignal { signal: "TERM".into(), core_dumped: false, message: "".into() },
    ] {
        let mut play = Play::running(exec(), &masks());
        play.out("4111 1111").err("99").target(end.clone());
        assert_eq!(play.shown(), format!("4111 1111<99>[{end:?}]"));
        // Some write after they have said how they ended.
        play.out(" 1111 1111\n");
        assert_eq!(play.shown(), "**********\n");
    }
    let mut play = Play::running(exec(), &masks());
    play.out("4111 1111").tell(Input::Closed { side: Side::Upstream });
    assert_eq!(play.shown(), "4111 1111");
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
            "one **********\x1b[31m****\x1b[0m*1111, two [redacted]\r\n\x1b]0;****************\x07three\r\n[Eof]"
        );
    }
}
