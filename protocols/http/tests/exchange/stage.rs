//! Exchanges on stage: what a client, a target and the policies say, and what the exchange asks for, as text.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use gatewright_http::{
    dialect::Http,
    exchange::{Exchange, Limits, Seed, Shared},
    headers::TokenHeader,
    inject::{Injection, TargetCredential, forwarded_for},
    request::Scheme,
    route::{Route, Routes},
    unit::{Body, Unit},
    websocket::{self, Opcode},
};
use gatewright_masking::MaskKey;
use gatewright_model::{
    decision::{Block, Escalation},
    event::{Event, Facet},
    http::HttpEvent,
    id::{ApprovalId, EventId, EventIds, SessionId},
    mask::MaskPlan,
    permit::{Denial, Permit},
    principal::{Principal, PrincipalKind},
    secret::Secret,
    session::{
        Account, ConnectRequest, Credential, Input, Output, ProtocolError, Rejection, Session, Side,
    },
};
use http::{HeaderName, HeaderValue, Version};

/// One exchange and what was seen of it.
pub(crate) struct Play {
    exchange: Exchange,
    now: Instant,
    /// The event that was judged last.
    pub(crate) judged: Option<Event>,
    /// Parts that went to the target, as text.
    pub(crate) sent: Vec<String>,
    transcript: String,
    /// What the exchange ended with.
    pub(crate) error: Option<ProtocolError>,
    /// The target that the exchange goes to.
    pub(crate) target: Option<Arc<str>>,
}

/// What the tests' listener has: tokens in `Authorization`, one route for everything and one for an API.
pub(crate) fn shared(limits: Limits) -> Arc<Shared> {
    shared_with(TokenHeader::Authorization, limits)
}

pub(crate) fn shared_with(token: TokenHeader, limits: Limits) -> Arc<Shared> {
    let api = Injection {
        credential: TargetCredential::Bearer,
        host: Some(HeaderValue::from_static("internal.example")),
        headers: vec![(HeaderName::from_static("x-tenant"), HeaderValue::from_static("blue"))],
        forwarded: true,
    };
    let routes = vec![
        Route::new(Arc::from("api"), "api.example", "/v1/{kind}", api).unwrap().to(Arc::from("internal")),
        Route::new(Arc::from("rest"), "*", "/open", Injection::default()).unwrap(),
    ];
    let reserved = [HeaderName::from_static("x-badge")];
    Arc::new(Shared::new(
        Box::new(Http::new(MaskKey::new([7; 32]))),
        Routes::new(routes).unwrap(),
        token,
        reserved,
        limits,
    ))
}

pub(crate) fn play() -> Play {
    Play::new(shared(Limits::default()))
}

/// The same, where every body that is no JSON is larger than what is read to be judged.
pub(crate) fn streams() -> Play {
    Play::new(shared(Limits { inspected: 0, ..Limits::default() }))
}

impl Play {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        // The second exchange of a connection.
        let events = Arc::new(EventIds::default());
        events.draw();
        let seed = Seed {
            session: SessionId::from_random([7; 16]),
            events,
            client: forwarded_for("192.0.2.9:4711".parse().unwrap()),
            scheme: Scheme::Https,
        };
        Self {
            exchange: Exchange::new(shared, seed),
            now: Instant::now(),
            judged: None,
            sent: Vec::new(),
            transcript: String::new(),
            error: None,
            target: None,
        }
    }

    /// A head: a request line, then headers.
    pub(crate) fn client(&mut self, head: &str, body: Body) -> &mut Self {
        let unit = Unit::Request(Box::new(request(head)), body);
        self.note(&format!("client: {}", head.lines().next().unwrap_or_default()));
        self.tell(Input::Data { side: Side::Downstream, unit })
    }

    /// A good request for `/v1/items`, up to its decision.
    pub(crate) fn ask(&mut self, line: &str, headers: &str, body: Body) -> &mut Self {
        let head = format!("{line} HTTP/1.1\nhost: api.example\nauthorization: Bearer tok\n{headers}");
        self.client(&head, body).authenticated()
    }

    /// The same, up to where it was forwarded.
    pub(crate) fn forwarded(&mut self, line: &str, headers: &str, body: Body) -> &mut Self {
        self.ask(line, headers, body).permit().connected()
    }

    pub(crate) fn client_unit(&mut self, unit: Unit) -> &mut Self {
        self.note(&format!("client: {}", show(&unit)));
        self.tell(Input::Data { side: Side::Downstream, unit })
    }

    pub(crate) fn target_unit(&mut self, unit: Unit) -> &mut Self {
        self.note(&format!("target: {}", show(&unit)));
        self.tell(Input::Data { side: Side::Upstream, unit })
    }

    pub(crate) fn data(&mut self, side: Side, text: &'static str) -> &mut Self {
        let unit = Unit::Data(Bytes::from_static(text.as_bytes()));
        match side {
            Side::Downstream => self.client_unit(unit),
            Side::Upstream => self.target_unit(unit),
        }
    }

    /// A whole WebSocket frame of text.
    pub(crate) fn frame(&mut self, side: Side, text: &str) -> &mut Self {
        let mut frame = BytesMut::new();
        let key = (side == Side::Downstream).then_some([0; 4]);
        websocket::encode(Opcode::Text, true, text.as_bytes(), key, &mut frame);
        let unit = Unit::Data(frame.freeze());
        match side {
            Side::Downstream => self.client_unit(unit),
            Side::Upstream => self.target_unit(unit),
        }
    }

    /// A head: `200`, then headers.
    pub(crate) fn target(&mut self, head: &str, body: Body) -> &mut Self {
        self.target_unit(Unit::Response(Box::new(response(head)), body))
    }

    pub(crate) fn authenticated(&mut self) -> &mut Self {
        self.authenticated_as("alice")
    }

    pub(crate) fn authenticated_as(&mut self, subject: &str) -> &mut Self {
        let principal = Principal {
            subject: Arc::from(subject),
            issuer: Arc::from("test"),
            kind: PrincipalKind::Human,
            groups: Vec::new(),
            actors: Vec::new(),
            claims: Vec::new(),
            credential: Arc::from("t1"),
            issued_at: None,
            expires_at: None,
        };
        self.tell(Input::Authenticated(Arc::new(principal)))
    }

    pub(crate) fn permit(&mut self) -> &mut Self {
        self.permit_with(None)
    }

    pub(crate) fn permit_with(&mut self, masks: Option<Arc<MaskPlan>>) -> &mut Self {
        self.note("permitted");
        self.tell(Input::Permitted(Permit::mint(EventId::FIRST.next(), masks)))
    }

    pub(crate) fn deny(&mut self, approval: Option<ApprovalId>) -> &mut Self {
        self.deny_with(EventId::FIRST.next(), approval)
    }

    pub(crate) fn deny_event(&mut self, event: EventId) -> &mut Self {
        self.deny_with(event, None)
    }

    fn deny_with(&mut self, event: EventId, approval: Option<ApprovalId>) -> &mut Self {
        self.note("denied");
        let block = Block {
            code: Arc::from("http.denied"),
            rule: Arc::from("readers/method"),
            reason: Arc::from("only GET is allowed"),
            remedy: Arc::from("ask the owner"),
        };
        self.tell(Input::Denied(Denial { event, block, approval }))
    }

    pub(crate) fn held(&mut self) -> &mut Self {
        self.note("held");
        let (event, approval) = (EventId::FIRST.next(), ApprovalId::from_random([1; 10]));
        self.tell(Input::Held {
            event,
            approval,
            escalation: Escalation::new("rule", "a person must look").into(),
        })
    }

    pub(crate) fn rejected(&mut self) -> &mut Self {
        self.note("rejected");
        self.tell(Input::Rejected(rejection("auth.jwt_expired")))
    }

    pub(crate) fn terminated(&mut self, code: &'static str) -> &mut Self {
        self.note("terminated");
        self.tell(Input::Terminate(rejection(code)))
    }

    pub(crate) fn connected(&mut self) -> &mut Self {
        self.connected_with(Some("s3cret"))
    }

    pub(crate) fn connected_with(&mut self, password: Option<&str>) -> &mut Self {
        self.note("connected");
        let password = password.map(Secret::new);
        self.tell(Input::Connected(Account { name: Arc::from("app"), password, require_tls: true }))
    }

    pub(crate) fn unreachable(&mut self) -> &mut Self {
        self.note("unreachable");
        self.tell(Input::Unreachable)
    }

    pub(crate) fn closed(&mut self, side: Side) -> &mut Self {
        self.note(&format!("{} is gone", name(side)));
        self.tell(Input::Closed { side })
    }

    pub(crate) fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.note(&format!("{} s later", time.as_secs()));
        self.tell(Input::Timeout)
    }

    pub(crate) fn wants(&self) -> (bool, bool) {
        (self.exchange.wants_input(Side::Downstream), self.exchange.wants_input(Side::Upstream))
    }

    pub(crate) fn is_judged_again(&self) -> bool {
        self.exchange.is_judged_again()
    }

    /// The request of the event that was judged.
    pub(crate) fn http(&self) -> &HttpEvent {
        match &self.judged.as_ref().unwrap().facet {
            Facet::Http(http) => http,
            _ => panic!("only HTTP here"),
        }
    }

    /// The code of a refusal before any event; None where there was an event or none is due.
    pub(crate) fn code(&self) -> Option<&'static str> {
        self.error.as_ref().map(|error| error.code)
    }

    pub(crate) fn transcript(&self) -> &str {
        &self.transcript
    }

    pub(crate) fn tell(&mut self, input: Input<Unit>) -> &mut Self {
        let told = self.exchange.handle_input(self.now, input);
        while let Some(output) = self.exchange.poll_output() {
            self.output(output);
        }
        if let Err(error) = told {
            self.note(&format!("  error of the {}: {}", name(error.fault), error.code));
            self.error = Some(error);
        }
        self
    }

    fn output(&mut self, output: Output<Unit>) {
        let line = match output {
            Output::Send { side, unit } => {
                let shown = show(&unit);
                if side == Side::Upstream {
                    self.sent.push(shown.clone());
                }
                format!("  to {}: {shown}", name(side))
            }
            Output::Authenticate(Credential::Bearer(token)) => format!("  authenticate {}", token.expose()),
            Output::Connect(ConnectRequest::Session { account: None, attributes }) => {
                format!("  connect {attributes:?}")
            }
            Output::Connect(other) => format!("  connect {other:?}"),
            Output::Finished { event, outcome } => {
                let code = outcome.code.map(|code| format!(" {code}")).unwrap_or_default();
                let hidden = outcome.masked.iter().map(|(rule, count)| format!(" {rule}={count}"));
                let hidden: String = hidden.collect();
                format!("  finished {event}: {}{code}{hidden}", outcome.result.as_str())
            }
            Output::Close { side } => format!("  close {}", name(side)),
            Output::Wake(_) => return,
            Output::Target(name) => {
                self.target = Some(name);
                return;
            }
            Output::Decide(event) => {
                let line = format!("  decide {}: {}", event.kind(), event.summary());
                self.judged = Some(event);
                line
            }
            Output::Withdraw(_) => "  withdraw".to_owned(),
            Output::Park(_) => "  park".to_owned(),
            Output::Record(frame) => format!("  record {frame:?}"),
            Output::StartTls { .. }
            | Output::LookUp { .. }
            | Output::Errand(_)
            | Output::Authenticate(Credential::Connection) => {
                panic!("nothing asks for this")
            }
        };
        self.note(&line);
    }

    fn note(&mut self, line: &str) {
        let _ = writeln!(self.transcript, "{line}");
    }
}

fn rejection(code: &'static str) -> Rejection {
    Rejection { code, message: Arc::from("not any more"), remedy: Arc::from("come again") }
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Downstream => "client",
        Side::Upstream => "target",
    }
}

fn show(unit: &Unit) -> String {
    let headers = |headers: &http::HeaderMap| {
        headers
            .iter()
            .map(|(name, value)| format!("; {name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect::<String>()
    };
    let follows = |body: &Body| match body {
        Body::None => "",
        Body::Follows => " ...",
        Body::Switches => " (switches)",
        Body::Switched => " (switched)",
    };
    match unit {
        Unit::Request(parts, body) => {
            format!("{} {}{}{}", parts.method, parts.uri, headers(&parts.headers), follows(body))
        }
        Unit::Response(parts, body) => {
            format!("{}{}{}", parts.status.as_u16(), headers(&parts.headers), follows(body))
        }
        Unit::Data(data) => match std::str::from_utf8(data) {
            Ok(text) => format!("data `{text}`"),
            Err(_) => format!("data `{}`", data.escape_ascii()),
        },
        Unit::Trailers(trailers) => format!("trailers{}", headers(trailers)),
        Unit::End => "end".to_owned(),
    }
}

/// `GET /path HTTP/1.1`, then a header on each line. What the `http` crate does not take, a test can not send.
pub(crate) fn try_request(head: &str) -> Option<http::request::Parts> {
    let mut lines = head.lines();
    let line = lines.next()?;
    let (method, rest) = line.split_once(' ')?;
    let (uri, version) = rest.rsplit_once(' ')?;
    let version = match version {
        "HTTP/1.0" => Version::HTTP_10,
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/2" => Version::HTTP_2,
        _ => return None,
    };
    let mut request = http::Request::builder().method(method).uri(uri).version(version);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fn request(head: &str) -> http::request::Parts {
    try_request(head).unwrap()
}

fn response(head: &str) -> http::response::Parts {
    let mut lines = head.lines();
    let mut response = http::Response::builder().status(lines.next().unwrap());
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        response = response.header(name, value);
    }
    response.body(()).unwrap().into_parts().0
}
