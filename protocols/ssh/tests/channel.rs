//! Schedules of one channel, played without a socket.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{fmt::Write as _, sync::Arc, time::Instant};

use bytes::Bytes;
use expect_test::{Expect, expect};
use gatewright_masking::MaskKey;
use gatewright_model::{
    decision::{Block, Escalation},
    event::Facet,
    id::{ApprovalId, EventId, EventIds, SessionId},
    mask::{Detector, DetectorMask, MaskMethod, MaskPlan},
    permit::{Denial, Permit},
    principal::{Principal, PrincipalKind},
    secret::Secret,
    session::{Account, Credential, Input, Output, Rejection, Session, Side},
    ssh::{ChannelRights, SshEvent},
};
use gatewright_ssh::{
    channel::{Channel, Seed},
    message::{Message, Open, Request, Size},
};

struct Play {
    channel: Channel,
    transcript: String,
    judged: Option<(EventId, SshEvent)>,
}

impl Play {
    fn new() -> Self {
        let seed = Seed {
            session: SessionId::from_random([7; 16]),
            events: Arc::new(EventIds::default()),
            credential: Credential::Bearer(Secret::new("tok")),
            rights: ChannelRights::ALL,
            account: Arc::from("deploy"),
            mask_key: MaskKey::new([7; 32]),
            target: None,
        };
        Self { channel: Channel::new(seed), transcript: String::new(), judged: None }
    }

    /// A session channel that was accepted.
    fn open() -> Self {
        let mut play = Self::new();
        play.client(Message::Open(Open::Session)).tell(Input::Authenticated(principal())).permit();
        play.transcript.clear();
        play
    }

    /// The same, and this runs.
    fn running(command: &str) -> Self {
        let mut play = Self::open();
        play.client(exec(command)).permit().connected().target(Message::Success);
        play.transcript.clear();
        play
    }

    fn tell(&mut self, input: Input<Message>) -> &mut Self {
        let told = self.channel.handle_input(Instant::now(), input);
        while let Some(output) = self.channel.poll_output() {
            let line = match output {
                Output::Authenticate(_) => "authenticate".to_owned(),
                Output::Decide(event) => {
                    let Facet::Ssh(ssh) = event.facet else { panic!("only SSH here") };
                    let line = format!("decide {}: {}", event.id, ssh.summary());
                    self.judged = Some((event.id, ssh));
                    line
                }
                Output::Connect(request) => format!("connect {request:?}"),
                Output::Send { side, unit } => format!("to {}: {}", side_name(side), shown(&unit)),
                Output::Finished { event, outcome } => {
                    let code = outcome.code.map(|code| format!(" {code}")).unwrap_or_default();
                    format!("finished {event}: {}{code}", outcome.result.as_str())
                }
                Output::Close { side } => format!("close {}", side_name(side)),
                Output::Wake(_) => "wake".to_owned(),
                other => format!("{other:?}"),
            };
            writeln!(self.transcript, "{line}").unwrap();
        }
        if let Err(error) = told {
            writeln!(self.transcript, "error: {}", error.code).unwrap();
        }
        self
    }

    fn client(&mut self, unit: Message) -> &mut Self {
        self.tell(Input::Data { side: Side::Downstream, unit })
    }

    fn target(&mut self, unit: Message) -> &mut Self {
        self.tell(Input::Data { side: Side::Upstream, unit })
    }

    fn permit(&mut self) -> &mut Self {
        let id = self.judged.as_ref().unwrap().0;
        self.tell(Input::Permitted(Permit::mint(id, None)))
    }

    fn withdrawn(&mut self) -> &mut Self {
        let event = self.judged.as_ref().unwrap().0;
        let block = Block {
            code: Denial::WITHDRAWN.into(),
            rule: "ssh/tunnels".into(),
            reason: "the request was withdrawn".into(),
            remedy: "".into(),
        };
        let approval = Some(ApprovalId::from_random([1; 10]));
        self.tell(Input::Denied(Denial { event, block, approval }))
    }

    fn deny(&mut self) -> &mut Self {
        let event = self.judged.as_ref().unwrap().0;
        let block = Block {
            code: "ssh.denied".into(),
            rule: "ssh/no".into(),
            reason: "not \u{202e}here".into(),
            remedy: "ask".into(),
        };
        self.tell(Input::Denied(Denial { event, block, approval: None }))
    }

    fn connected(&mut self) -> &mut Self {
        let account = Account { name: Arc::from("deploy"), password: None, require_tls: false };
        self.tell(Input::Connected(account))
    }

    fn wants(&self) -> (bool, bool) {
        (self.channel.wants_input(Side::Downstream), self.channel.wants_input(Side::Upstream))
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

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Downstream => "client",
        Side::Upstream => "target",
    }
}

fn shown(message: &Message) -> String {
    match message {
        Message::ExtendedData(1, data) => format!("stderr {:?}", String::from_utf8_lossy(data)),
        other => format!("{other:?}"),
    }
}

fn request(request: Request) -> Message {
    Message::Request { request, want_reply: true }
}

fn exec(command: &str) -> Message {
    request(Request::Exec(Bytes::copy_from_slice(command.as_bytes())))
}

fn pty() -> Message {
    request(Request::Pty { terminal: "xterm".into(), size: Size::default(), modes: Arc::default() })
}

fn env(name: &str, value: &str) -> Message {
    request(Request::Env { name: name.into(), value: value.into() })
}

fn check(play: &Play, expected: Expect) {
    expected.assert_eq(&play.transcript);
}

#[test]
fn a_command_from_its_channel_to_its_end() {
    let mut play = Play::new();
    play.client(Message::Open(Open::Session)).tell(Input::Authenticated(principal())).permit();
    play.client(exec("uptime -p")).permit().connected().target(Message::Success);
    play.client(Message::Data(Bytes::from_static(b"in"))).client(Message::Eof);
    play.target(Message::Data(Bytes::from_static(b"out")))
        .target(Message::ExitStatus(0))
        .target(Message::Eof);
    play.tell(Input::Closed { side: Side::Upstream });
    check(
        &play,
        expect![[r#"
        authenticate
        decide 1: session
        finished 1: ok
        to client: Accepted
        decide 2: exec uptime and 1 more words
        connect Session { account: Some("deploy"), attributes: [] }
        to target: Request("exec", true)
        to client: Success
        to target: Data(2)
        to target: Eof
        to client: Data(3)
        to client: ExitStatus(0)
        to client: Eof
        finished 2: ok
        close target
        close client
    "#]],
    );
}

#[test]
fn a_channel_that_is_refused_is_not_opened() {
    let mut play = Play::new();
    play.client(Message::Open(Open::Session)).tell(Input::Authenticated(principal())).deny();
    check(
        &play,
        expect![[r#"
        authenticate
        decide 1: session
        to client: Refused
        close target
        close client
    "#]],
    );
}

#[test]
fn a_command_that_is_refused_has_ended_and_a_variable_has_failed() {
    let mut play = Play::open();
    play.client(env("LANG", "C")).deny();
    play.client(exec("rm -rf /")).deny();
    check(
        &play,
        expect![[r#"
        decide 2: env LANG
        to client: Failure
        decide 3: exec rm and 2 more words
        to client: Success
        to client: stderr "gatewright: blocked by ssh/no: not \\u{202e}here; ask [ssh.denied 07070707070707070707070707070707/3]\r\n"
        to client: ExitStatus(126)
        to client: Eof
        close target
        close client
    "#]],
    );
}

/// A43: what runs, runs with what was agreed on before, and a reviewer sees it.
#[test]
fn a043_a_command_is_judged_with_its_terminal_and_its_variables() {
    let mut play = Play::open();
    play.client(pty()).permit().connected().target(Message::Success);
    play.client(env("A", "1")).permit().target(Message::Success);
    // The server did not take this one, so it is none.
    play.client(env("B", "2")).permit().target(Message::Failure);
    play.client(exec("id"));
    let (_, judged) = play.judged.as_ref().unwrap();
    assert_eq!(judged.full_text(), "exec\nid\nwith a terminal: xterm\nwith A=\"1\"");
    check(
        &play,
        expect![[r#"
        decide 2: pty xterm
        connect Session { account: Some("deploy"), attributes: [] }
        to target: Request("pty-req", true)
        to client: Success
        finished 2: ok
        decide 3: env A
        to target: Request("env", true)
        to client: Success
        finished 3: ok
        decide 4: env B
        to target: Request("env", true)
        to client: Failure
        finished 4: error ssh.request_failed
        decide 5: exec id
    "#]],
    );
}

/// A43: a channel runs one thing.
#[test]
fn a043_nothing_is_started_twice_on_a_channel() {
    let mut play = Play::running("sleep 1");
    let subsystem = request(Request::Subsystem("sftp".into()));
    for again in [exec("id"), request(Request::Shell), subsystem, pty(), env("A", "1")] {
        play.client(again);
    }
    assert_eq!(play.transcript, "to client: Failure\n".repeat(5));
}

#[test]
fn what_is_sent_behind_a_request_waits_until_it_is_decided() {
    let mut play = Play::open();
    assert_eq!(play.wants(), (true, false));
    play.client(exec("id"));
    assert_eq!(play.wants(), (false, false));
    play.permit();
    assert_eq!(play.wants(), (false, false));
    play.connected();
    assert_eq!(play.wants(), (false, true));
    play.target(Message::Success);
    assert_eq!(play.wants(), (true, true));
}

/// A permit is for one event, and used up.
#[test]
fn a_permit_of_another_event_permits_nothing() {
    let mut play = Play::open();
    play.client(exec("id"));
    let id = play.judged.as_ref().unwrap().0;
    play.transcript.clear();
    play.tell(Input::Permitted(Permit::mint(EventId::FIRST, None)));
    assert_eq!(play.transcript, "");
    play.tell(Input::Permitted(Permit::mint(id, None)));
    assert!(play.transcript.starts_with("connect"));
    play.transcript.clear();
    play.tell(Input::Permitted(Permit::mint(id, None)));
    assert_eq!(play.transcript, "");
}

#[test]
fn f025_a_client_that_leaves_takes_what_it_asked_for_along() {
    let mut waiting = Play::open();
    waiting.client(exec("id")).tell(Input::Closed { side: Side::Downstream });
    assert!(!waiting.transcript.contains("finished"), "{}", waiting.transcript);
    let mut permitted = Play::open();
    permitted.client(exec("id")).permit().tell(Input::Closed { side: Side::Downstream });
    assert!(permitted.transcript.contains("finished 2: refused net.client_closed"));
    let mut running = Play::running("id");
    running.tell(Input::Closed { side: Side::Downstream });
    assert_eq!(
        running.transcript,
        "to target: Request(\"signal\", false)\nfinished 2: unknown\nwake\nclose client\n"
    );
    for mut play in [waiting, permitted] {
        play.transcript.clear();
        play.connected().permit().target(Message::Success);
        assert_eq!(play.transcript, "", "nothing of it runs any more");
    }
}

/// What was sent to the target runs, or is about to, though it has not answered yet.
#[test]
fn f003_a_program_whose_start_is_not_confirmed_is_ended_too() {
    let mut play = Play::open();
    play.client(exec("sleep 9")).permit().connected().tell(Input::Closed { side: Side::Downstream });
    assert!(
        play.transcript.ends_with(
            "to target: Request(\"exec\", true)\nfinished 2: unknown\nto target: Request(\"signal\", false)\n\
             wake\nclose client\n"
        ),
        "{}",
        play.transcript
    );
}

/// A signal that comes while a program is being started reaches nobody: it is sent until the target says that it has ended.
#[test]
fn f003_a_program_is_told_to_end_until_it_has_ended() {
    let signal = "to target: Request(\"signal\", false)\n";
    let mut play = Play::running("sleep 9");
    play.tell(Input::Closed { side: Side::Downstream });
    play.transcript.clear();
    play.target(Message::Data(Bytes::from_static(b"x"))).tell(Input::Timeout);
    assert_eq!(play.transcript, format!("{signal}wake\n"));
    assert_eq!(play.wants(), (false, true));
    play.transcript.clear();
    play.target(Message::ExitSignal { signal: "HUP".into(), core_dumped: false, message: "".into() });
    assert_eq!(play.transcript, "close target\n");
    // One that will not is left in the end.
    let mut play = Play::running("nohup sleep 9");
    play.tell(Input::Closed { side: Side::Downstream });
    play.transcript.clear();
    for _ in 0..9 {
        play.tell(Input::Timeout);
    }
    assert_eq!(play.transcript.matches(signal).count(), 4);
    assert!(play.transcript.ends_with("close target\n"), "{}", play.transcript);
}

#[test]
fn a044_a_destination_that_two_resolvers_read_in_two_ways_is_none() {
    for (host, port) in
        [("127.0.0.1 .web", 443), ("127.0.0.1\0.web", 443), ("", 1), ("h", 0), ("h", 443 + 65536)]
    {
        let open = Open::DirectTcpip { host: host.into(), port, originator: ("127.0.0.1".into(), 1) };
        let mut play = Play::new();
        play.client(Message::Open(open)).tell(Input::Authenticated(principal()));
        assert!(play.judged.is_none() && play.transcript.contains("to client: Refused"), "{host:?}");
    }
}

/// A client that knows that nothing more comes closes the channel, and would not hear how it ended.
#[test]
fn f001_the_end_of_the_output_is_told_with_the_status() {
    let mut play = Play::running("id");
    play.target(Message::Eof);
    assert_eq!(play.transcript, "");
    play.target(Message::ExitStatus(3)).tell(Input::Closed { side: Side::Upstream });
    let told =
        "to client: ExitStatus(3)\nto client: Eof\nfinished 2: error exit.3\nclose target\nclose client\n";
    assert_eq!(play.transcript, told);
    let mut silent = Play::running("id");
    silent.target(Message::Eof).tell(Input::Closed { side: Side::Upstream });
    assert!(
        silent.transcript.starts_with("to client: Eof\nfinished 2: unknown\n"),
        "{}",
        silent.transcript
    );
}

#[test]
fn f001_a_target_that_dies_leaves_no_good_end() {
    let mut play = Play::running("id");
    play.target(Message::Data(Bytes::from_static(b"half"))).tell(Input::Closed { side: Side::Upstream });
    assert_eq!(play.transcript, "to client: Data(4)\nfinished 2: unknown\nclose target\nclose client\n");
    let mut asked = Play::open();
    asked.client(exec("id")).permit().connected().tell(Input::Closed { side: Side::Upstream });
    assert!(asked.transcript.contains("finished 2: unknown\nto client: Failure\n"), "{}", asked.transcript);
}

#[test]
fn a_session_that_is_ended_says_why() {
    let rejection = Rejection { code: "auth.revoked", message: "it was revoked".into(), remedy: "".into() };
    let mut play = Play::running("id");
    play.tell(Input::Terminate(rejection));
    check(
        &play,
        expect![[r#"
            to client: stderr "gatewright: it was revoked [auth.revoked]\r\n"
            to target: Request("signal", false)
            finished 2: unknown
            wake
            close client
        "#]],
    );
}

/// A42: a tunnel is a channel, and its target is connected after the verdict.
#[test]
fn a042_a_tunnel_is_asked_about_before_anybody_is_connected() {
    let mut play = tunnel("10.0.0.7");
    play.permit().connected();
    play.client(Message::Data(Bytes::from_static(b"x"))).target(Message::Data(Bytes::from_static(b"yz")));
    check(
        &play,
        expect![[r#"
        authenticate
        decide 1: direct-tcpip 10.0.0.7:5432
        connect Session { account: Some("deploy"), attributes: [] }
        to client: Accepted
        to target: Data(1)
        to client: Data(2)
    "#]],
    );
}

fn tunnel(host: &str) -> Play {
    let open = Open::DirectTcpip { host: host.into(), port: 5432, originator: ("127.0.0.1".into(), 1) };
    let mut play = Play::new();
    play.client(Message::Open(open)).tell(Input::Authenticated(principal()));
    play
}

fn found<const N: usize>(addresses: [&str; N]) -> Input<Message> {
    Input::Found(addresses.iter().map(|text| text.parse().unwrap()).collect())
}

/// A44: nobody looks up what no policy permits, and what is found is asked about before anybody is connected.
#[test]
fn a044_where_a_name_leads_is_asked_about_as_well() {
    let mut play = tunnel("db");
    play.permit().tell(found(["10.0.0.7", "fd12::7"])).permit().connected();
    check(
        &play,
        expect![[r#"
        authenticate
        decide 1: direct-tcpip db:5432
        LookUp { host: "db" }
        decide 2: direct-tcpip db:5432 at 10.0.0.7, fd12::7
        finished 1: ok
        connect Session { account: Some("deploy"), attributes: [] }
        to client: Accepted
    "#]],
    );
    let mut refused = tunnel("db");
    refused.permit().tell(found(["10.0.0.7"])).deny();
    check(
        &refused,
        expect![[r#"
        authenticate
        decide 1: direct-tcpip db:5432
        LookUp { host: "db" }
        decide 2: direct-tcpip db:5432 at 10.0.0.7
        finished 1: refused net.dest_denied
        to client: Refused
        close target
        close client
    "#]],
    );
    let mut first = tunnel("db");
    first.deny();
    assert!(!first.transcript.contains("LookUp"), "{}", first.transcript);
    // A permit for the name alone is none for what it leads to.
    let mut again = tunnel("db");
    let by_name = again.judged.as_ref().unwrap().0;
    again.permit().tell(found(["10.0.0.7"])).tell(Input::Permitted(Permit::mint(by_name, None)));
    again.tell(found(["10.0.0.8"]));
    assert!(!again.transcript.contains("connect"), "{}", again.transcript);
}

#[test]
fn a044_a_name_that_leads_nowhere_or_back_is_refused() {
    for (addresses, code) in [
        (found([]), "net.name_unknown"),
        (found(["127.0.0.1"]), "net.dest_denied"),
        (found(["10.0.0.7", "169.254.169.254"]), "net.dest_denied"),
    ] {
        let mut play = tunnel("db");
        play.permit().tell(addresses);
        let ending = format!("finished 1: refused {code}\nto client: Refused");
        assert!(play.transcript.contains(&ending), "{}", play.transcript);
        assert!(play.transcript.ends_with("close client\n") && !play.transcript.contains("connect"));
    }
    let mut left = tunnel("db");
    left.permit().tell(Input::Closed { side: Side::Downstream });
    assert!(left.transcript.contains("finished 1: refused net.client_closed\n"), "{}", left.transcript);
}

/// Whoever approved of a name is not asked the same once more, but somebody else is, or for another reason.
#[test]
fn a044_a_reviewer_of_a_name_is_asked_once_and_for_one_thing() {
    let held = |play: &mut Play, reason: &str| {
        let event = play.judged.as_ref().unwrap().0;
        let escalation = Escalation::new("ssh/tunnels", reason).into();
        let approval = ApprovalId::from_random([1; 10]);
        play.tell(Input::Held { event, approval, escalation });
    };
    let mut play = tunnel("db");
    held(&mut play, "look");
    play.permit().tell(found(["10.0.0.7"]));
    held(&mut play, "look");
    play.withdrawn().connected();
    check(
        &play,
        expect![[r#"
        authenticate
        decide 1: direct-tcpip db:5432
        LookUp { host: "db" }
        decide 2: direct-tcpip db:5432 at 10.0.0.7
        Withdraw(ApprovalId(040g2081040g2081))
        connect Session { account: Some("deploy"), attributes: [] }
        to client: Accepted
    "#]],
    );
    // Any other answer is a refusal: it could not be recorded, somebody said no first.
    let mut refused = tunnel("db");
    held(&mut refused, "look");
    refused.permit().tell(found(["10.0.0.7"]));
    held(&mut refused, "look");
    refused.deny();
    assert!(
        refused.transcript.contains("Withdraw") && !refused.transcript.contains("connect"),
        "{}",
        refused.transcript
    );
    let mut other = tunnel("db");
    held(&mut other, "look");
    other.permit().tell(found(["10.0.0.7"]));
    held(&mut other, "look at the address");
    other.deny();
    assert!(
        !other.transcript.contains("Withdraw") && !other.transcript.contains("connect"),
        "{}",
        other.transcript
    );
}

#[test]
fn messages_that_come_where_there_are_none_end_the_channel() {
    for message in [exec("id"), Message::Data(Bytes::new()), Message::Eof] {
        let mut play = Play::new();
        play.client(message);
        assert!(play.transcript.ends_with("error: ssh.state\n"), "{}", play.transcript);
    }
    let mut play = Play::open();
    play.client(Message::Success);
    assert!(play.transcript.ends_with("error: ssh.state\n"), "{}", play.transcript);
    let mut not_utf8 = Play::open();
    not_utf8.client(request(Request::Exec(Bytes::from_static(b"a \xff"))));
    assert!(not_utf8.transcript.contains("ssh.command_encoding"), "{}", not_utf8.transcript);
    assert_eq!(not_utf8.judged.unwrap().0, EventId::FIRST);
}

/// A packet of SFTP: its type, a number, and a text.
fn sftp(kind: u8, number: u32, text: &str) -> Message {
    let mut packet = vec![kind];
    packet.extend(number.to_be_bytes());
    if !text.is_empty() {
        packet.extend((text.len() as u32).to_be_bytes());
        packet.extend(text.as_bytes());
    }
    Message::Data(Bytes::from([&(packet.len() as u32).to_be_bytes()[..], &packet].concat()))
}

/// The answer to a question about a path.
fn name(id: u32, path: &str) -> Message {
    let Message::Data(first) = sftp(104, id, "") else { panic!("it is data") };
    let mut packet = first.to_vec();
    for field in
        [&1u32.to_be_bytes()[..], &(path.len() as u32).to_be_bytes(), path.as_bytes(), &[0; 4], &[0; 4]]
    {
        packet.extend(field);
    }
    let length = packet.len() as u32 - 4;
    packet[..4].copy_from_slice(&length.to_be_bytes());
    Message::Data(Bytes::from(packet))
}

/// `sftp`, past its beginning.
fn files() -> Play {
    let mut play = Play::open();
    play.client(request(Request::Subsystem("sftp".into()))).permit().connected().target(Message::Success);
    play.client(sftp(1, 3, "")).target(sftp(2, 3, "")).target(name(u32::MAX, "/users/app"));
    play.transcript.clear();
    play
}

/// A43, A46: that a subsystem may run does not permit what it does.
#[test]
fn a046_each_operation_of_sftp_has_its_own_verdict() {
    let mut play = files();
    // A removal, asked about after its directory was.
    play.client(sftp(13, 7, "/srv/x")).target(name(u32::MAX, "/srv"));
    assert_eq!(play.wants(), (false, true));
    play.deny();
    assert_eq!(play.wants(), (true, true));
    play.client(sftp(13, 8, "/srv/y")).target(name(u32::MAX, "/srv")).permit();
    play.target(Message::Data(Bytes::from_static(&[0, 0, 0, 9, 101, 0, 0, 0, 8, 0, 0, 0, 0])));
    check(
        &play,
        expect![[r#"
        to target: Data(17)
        decide 3: file remove /srv/x
        to client: stderr "gatewright: blocked by ssh/no: not \\u{202e}here; ask [ssh.denied 07070707070707070707070707070707/3]\r\n"
        to client: Data(123)
        to target: Data(17)
        decide 4: file remove /srv/y
        to target: Data(19)
        finished 4: ok
        to client: Data(13)
    "#]],
    );
}

/// What it says before it was permitted and has started is heard by nobody.
#[test]
fn a046_nothing_gets_around_the_relay() {
    let mut early = Play::open();
    early.client(request(Request::Subsystem("sftp".into()))).permit().connected();
    early.target(sftp(2, 3, ""));
    assert!(early.transcript.ends_with("error: ssh.state\n"), "{}", early.transcript);
    let mut play = files();
    play.client(Message::ExtendedData(1, Bytes::from_static(b"x")));
    assert_eq!(play.transcript, "");
    play.client(Message::Data(Bytes::from_static(b"GET / HTTP/1.1\r\n")));
    assert!(play.transcript.contains("[sftp.protocol]"), "{}", play.transcript);
    assert!(play.transcript.contains("close client") && !play.transcript.contains("to target: Data"));
}

#[test]
fn files_are_over_before_what_opened_them() {
    let mut play = files();
    let mut open = vec![0, 0, 0, 0, 3, 0, 0, 0, 7];
    for field in [&2u32.to_be_bytes()[..], b"/x", &1u32.to_be_bytes(), &[0; 4]] {
        open.extend(field);
    }
    open[3] = open.len() as u8 - 4;
    play.client(Message::Data(Bytes::from(open))).target(name(u32::MAX, "/x")).permit();
    play.target(sftp(102, 7, "h")).tell(Input::Closed { side: Side::Downstream });
    check(
        &play,
        expect![[r#"
            to target: Data(15)
            decide 3: file read /x
            to target: Data(23)
            to client: Data(14)
            to target: Request("signal", false)
            finished 3: unknown
            finished 2: unknown
            wake
            close client
        "#]],
    );
    let mut masked = files();
    masked.client(sftp(11, 7, "/srv")).target(name(u32::MAX, "/srv"));
    let mask =
        DetectorMask { detector: Detector::CardNumber, method: MaskMethod::Redact, rule: "p/r".into() };
    let masks = MaskPlan { detectors: vec![mask], ..MaskPlan::default() };
    let id = masked.judged.as_ref().unwrap().0;
    masked.transcript.clear();
    masked.tell(Input::Permitted(Permit::mint(id, Some(Arc::new(masks)))));
    assert!(masked.transcript.contains("refused mask.unsupported"), "{}", masked.transcript);
    assert!(!masked.transcript.contains("to target"), "{}", masked.transcript);
}
