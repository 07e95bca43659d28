//! A whole exchange that is recorded: what it asks for, in its order.

use expect_test::{Expect, expect};
use gatewright_http::{
    exchange::{Exchange, Limits, Seed, Shared},
    headers::TokenHeader,
    inject::{Injection, forwarded_for},
    request::Scheme,
    route::{Route, Routes},
    unit::{Body, Unit},
};
use gatewright_model::{
    id::{EventIds, SessionId},
    permit::Permit,
    principal::{Principal, PrincipalKind},
    session::{Account, Input, Output, Rejection, Session},
};

use super::*;
use crate::dialect::{ActAs, Kubernetes};

const FIRST: EventId = EventId::FIRST;

struct Stage {
    exchange: Exchange,
    now: Instant,
    in_order: Vec<String>,
}

/// An exchange up to its decision.
fn ask(line: &str, headers: &[(&str, &str)]) -> Stage {
    let key = MaskKey::new([7; 32]);
    let route = Route::new(Arc::from("all"), "*", "/", Injection::default()).unwrap();
    let shared = Shared::new(
        Box::new(Kubernetes::new(ActAs::Account, key)),
        Routes::new(vec![route]).unwrap(),
        TokenHeader::Authorization,
        [],
        Limits::default(),
    );
    let seed = Seed {
        session: SessionId::from_random([7; 16]),
        events: Arc::new(EventIds::default()),
        client: forwarded_for("192.0.2.9:4711".parse().unwrap()),
        scheme: Scheme::Https,
    };
    let exchange = Exchange::new(Arc::new(shared), seed);
    let mut stage = Stage { exchange, now: Instant::now(), in_order: Vec::new() };
    let (method, uri) = line.split_once(' ').unwrap();
    let request = http::Request::builder().method(method).uri(uri).header("host", "k8s.example");
    let request = request.header("authorization", "Bearer tok");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    stage.tell(Input::Data { side: Side::Downstream, unit: Unit::Request(Box::new(parts), Body::None) });
    stage.tell(Input::Authenticated(Arc::new(Principal {
        subject: "alice".into(),
        issuer: "test".into(),
        kind: PrincipalKind::Human,
        groups: Vec::new(),
        actors: Vec::new(),
        claims: Vec::new(),
        credential: "t1".into(),
        issued_at: None,
        expires_at: None,
    })));
    assert_eq!(stage.in_order.pop().as_deref(), Some("decide"), "{:?}", stage.in_order);
    stage.in_order.clear();
    stage
}

const WEBSOCKET: &[(&str, &str)] = &[
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "v5.channel.k8s.io"),
];

fn exec() -> Stage {
    ask(&format!("GET {EXEC}&command=-phunter2"), WEBSOCKET)
}

impl Stage {
    fn tell(&mut self, input: Input<Unit>) -> &mut Self {
        let told = self.exchange.handle_input(self.now, input);
        while let Some(output) = self.exchange.poll_output() {
            let line = match output {
                Output::Send { side: Side::Downstream, unit } => format!("to client {unit:?}"),
                Output::Send { side: Side::Upstream, unit } => format!("to target {unit:?}"),
                Output::Record(frame) => format!("record {frame:?}"),
                Output::Finished { outcome, .. } => {
                    format!("finished {} {:?}", outcome.result.as_str(), outcome.code)
                }
                Output::Connect(_) => "connect".to_owned(),
                Output::Decide(_) => "decide".to_owned(),
                Output::Close { side: Side::Downstream } => "close client".to_owned(),
                Output::Close { side: Side::Upstream } => "close target".to_owned(),
                Output::Wake(_) | Output::Target(_) | Output::Authenticate(_) => continue,
                other => panic!("{other:?}"),
            };
            self.in_order.push(line);
        }
        if let Err(error) = told {
            self.in_order.push(format!("error {}", error.code));
        }
        self
    }

    fn permit(&mut self, recorded: bool) -> &mut Self {
        self.tell(Input::Permitted(Permit::mint(FIRST, None).recorded(recorded)))
    }

    fn connected(&mut self) -> &mut Self {
        let account = Account { name: "gateway".into(), password: None, require_tls: false };
        self.tell(Input::Connected(account))
    }

    /// Its recording has begun, and the target has switched.
    fn switched(&mut self) -> &mut Self {
        self.permit(true).connected().tell(Input::Recording(FIRST)).answer(101, WEBSOCKET)
    }

    fn answer(&mut self, status: u16, headers: &[(&str, &str)]) -> &mut Self {
        let response = http::Response::builder().status(status);
        let wanted = ["upgrade", "connection", "sec-websocket-protocol", "content-length"];
        let headers = headers.iter().filter(|(name, _)| wanted.contains(name));
        let response = headers.fold(response, |response, (name, value)| response.header(*name, *value));
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let body = if status == 101 { Body::Switched } else { Body::Follows };
        let unit = Unit::Response(Box::new(parts), body);
        self.tell(Input::Data { side: Side::Upstream, unit })
    }

    fn frame(&mut self, side: Side, message: &[u8]) -> &mut Self {
        let mut frame = BytesMut::new();
        let key = (side == Side::Downstream).then_some(KEY);
        websocket::encode(Opcode::Binary, true, message, key, &mut frame);
        self.tell(Input::Data { side, unit: Unit::Data(frame.freeze()) })
    }

    fn failed(&mut self) -> &mut Self {
        self.terminated("record.failed")
    }

    fn terminated(&mut self, code: &'static str) -> &mut Self {
        self.tell(Input::Terminate(Rejection { code, message: "no".into(), remedy: "".into() }))
    }

    #[track_caller]
    fn check(&mut self, expected: Expect) -> &mut Self {
        let lines: String = self.in_order.drain(..).map(|line| format!("{line}\n")).collect();
        expected.assert_eq(&lines);
        self
    }
}

/// Row A50: whatever passes is recorded before it does, and nothing starts before its recording has.
#[test]
fn a050_all_that_passes_is_recorded_before_it_does() {
    let mut stage = exec();
    stage.permit(true).connected().check(expect![[r#"
        connect
        record Start { event: EventId(1), title: "sh", terminal: None, size: Size { columns: 80, rows: 24 } }
    "#]]);
    // Of a recording of something else, nothing is sent.
    stage.tell(Input::Recording(FIRST.next())).check(expect![[r#""#]]);
    stage.tell(Input::Recording(FIRST)).check(expect![[r#"
        to target Request(GET, Switches)
    "#]]);
    stage.answer(101, WEBSOCKET);
    stage.frame(Side::Downstream, b"\x04{\"Width\":100,\"Height\":30}");
    stage.frame(Side::Downstream, b"\x00hunter2\n");
    stage.frame(Side::Upstream, b"\x01out").frame(Side::Upstream, b"\x02err");
    stage.frame(Side::Upstream, b"\x03{\"status\":\"Success\"}").check(expect![[r#"
        to client Response(101, Switched)
        record Resize(Size { columns: 100, rows: 30 })
        to target Data(32)
        record Typed(8)
        to target Data(15)
        record Output(3)
        to client Data(6)
        record Output(3)
        to client Data(6)
        to client Data(23)
    "#]]);
    stage.tell(Input::Data { side: Side::Upstream, unit: Unit::End });
    stage.tell(Input::Data { side: Side::Downstream, unit: Unit::End }).check(expect![[r#"
        to client End
        to target End
        finished ok None
        record End
        close target
        close client
    "#]]);
}

#[test]
fn nothing_is_recorded_that_no_policy_asks_for() {
    let mut stage = exec();
    stage.permit(false).connected().answer(101, WEBSOCKET);
    stage.frame(Side::Downstream, b"\x00x").frame(Side::Upstream, b"\x01out");
    stage.tell(Input::Closed { side: Side::Downstream });
    assert!(!stage.in_order.iter().any(|line| line.starts_with("record")), "{:?}", stage.in_order);
}

/// Row A50: what can not be recorded reaches nobody, and its client is told.
#[test]
fn a050_what_can_not_be_recorded_does_not_run() {
    let mut stage = exec();
    stage.permit(true).connected();
    stage.in_order.clear();
    stage.failed().check(expect![[r#"
        finished refused Some("record.failed")
        to client Response(503, Follows)
        to client Data(351)
        to client End
        close target
        close client
    "#]]);
    stage.tell(Input::Recording(FIRST)).check(expect![[r#""#]]);
}

/// Row A50: a stream ends whose recording does. What is typed behind that reaches nobody.
#[test]
fn a050_a_stream_ends_with_its_recording() {
    let mut stage = exec();
    stage.switched();
    stage.in_order.clear();
    stage.failed().check(expect![[r#"
        to client Data(333)
        finished unknown None
        record End
        close target
        close client
    "#]]);
    stage.frame(Side::Downstream, b"\x00rm -rf /\n").check(expect![[r#""#]]);
}

/// Whoever ends a stream, for whatever reason: its client is told, and its target hears nothing more.
#[test]
fn a_client_is_told_why_its_stream_was_ended() {
    for code in ["auth.revoked", "auth.jwt_expired", "gateway.terminated"] {
        let mut stage = exec();
        stage.permit(false).connected().answer(101, WEBSOCKET);
        stage.in_order.clear();
        stage.terminated(code);
        assert!(stage.in_order[0].starts_with("to client Data"), "{code}: {:?}", stage.in_order);
        assert!(!stage.in_order.iter().any(|line| line.starts_with("to target")), "{code}");
    }
}

/// Row A53: what shows nothing is not sent where a recording of it is wanted.
#[test]
fn a053_what_has_no_recording_is_refused_where_one_is_wanted() {
    for (line, headers) in [
        (format!("GET {FORWARD}?ports=80"), WEBSOCKET),
        ("GET /api/v1/namespaces/demo/pods/web/log?follow=1".to_owned(), WEBSOCKET),
        ("GET /api/v1/namespaces/demo/secrets".to_owned(), &[]),
        (format!("GET {EXEC}"), &[]),
    ] {
        let mut stage = ask(&line, headers);
        stage.permit(true);
        assert_eq!(stage.in_order[0], "finished refused Some(\"record.unsupported\")", "{line}");
        assert!(!stage.in_order.iter().any(|line| line == "connect" || line.starts_with("to target")));
    }
}

/// Row A51: an answer in place of the stream has no recording. That there is none it may say.
#[test]
fn a051_an_answer_in_place_of_what_is_recorded_is_not_shown() {
    let mut stage = exec();
    stage.permit(true).connected().tell(Input::Recording(FIRST));
    stage.in_order.clear();
    stage.answer(200, &[("content-length", "5")]).check(expect![[r#"
        finished unknown Some("upstream.upgrade")
        to client Response(502, Follows)
        to client Data(564)
        to client End
        record End
        close target
        close client
        error upstream.upgrade
    "#]]);
    let mut stage = exec();
    stage.permit(true).connected().tell(Input::Recording(FIRST));
    stage.in_order.clear();
    stage.answer(404, &[("content-length", "0")]);
    stage.tell(Input::Data { side: Side::Upstream, unit: Unit::End }).check(expect![[r#"
        to client Response(404, Follows)
        to client End
        finished error Some("404")
        record End
        close target
        close client
    "#]]);
}

/// What has passed by then is in no recording.
#[test]
fn a050_a_stream_ends_that_is_to_be_recorded_from_now_on() {
    for (was, wanted, goes_on) in [(false, true, false), (true, false, true), (true, true, true)] {
        let mut stage = exec();
        stage.permit(was).connected();
        if was {
            stage.tell(Input::Recording(FIRST));
        }
        stage.answer(101, WEBSOCKET).tell(Input::PoliciesChanged);
        assert_eq!(stage.in_order.pop().as_deref(), Some("decide"));
        stage.in_order.clear();
        stage.tell(Input::Permitted(Permit::mint(FIRST.next(), None).recorded(wanted)));
        stage.frame(Side::Upstream, b"\x01more");
        let shown = stage.in_order.iter().any(|line| line.starts_with("to client"));
        assert_eq!(shown, goes_on, "{:?}", stage.in_order);
        let recorded = stage.in_order.iter().any(|line| line == "record Output(4)");
        assert_eq!(recorded, was && goes_on, "{:?}", stage.in_order);
    }
}
