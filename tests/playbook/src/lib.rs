//! Playbooks: scripted sessions without a network.
//!
//! A [`Play`] feeds a session what a client, a target and the policies would send, and writes down what
//! the session asks for. [`check`] performs the same script with the bytes cut at every size of piece and
//! wants the same transcript each time, so that no script passes by a lucky split.

#![expect(clippy::expect_used, reason = "a script that does what can not be done is a broken test")]

pub mod transcript;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use expect_test::Expect;
use gatewright_masking::MaskKey;
use gatewright_model::{
    decision::{Block, Escalation},
    event::Facet,
    id::{ApprovalId, EventId},
    mask::MaskPlan,
    permit::{Denial, Permit},
    principal::{Principal, PrincipalKind},
    secret::Secret,
    session::{Account, Errand, Input, Output, Rejection, Session, Side, TlsInfo},
};
use gatewright_postgres::{
    cancel::CancelKeys,
    catalog::Catalogs,
    guesses::Guesses,
    session::{DownstreamTls, Limits, PostgresSession, Seed, Shared},
};
use gatewright_sql::{Analyser, AnalyserLimits};

pub use transcript::messages;

/// A session on stage.
pub struct Play {
    session: PostgresSession,
    piece: usize,
    held: Option<EventId>,
    decided: String,
    judged: Vec<String>,
    permitted: Vec<String>,
    sent: Vec<u8>,
    heard: Vec<u8>,
    /// What the session asked for beside itself. None: errands come to nothing, at once.
    errands: Option<Vec<Errand<Bytes>>>,
    now: Instant,
    transcript: transcript::Transcript,
}

/// What a session is made with.
#[derive(Debug, Clone)]
pub struct Stage {
    /// TLS towards the client.
    pub tls: DownstreamTls,
    /// Bounds.
    pub limits: Limits,
    /// Cancel keys, shared between plays that share a listener.
    pub cancel_keys: CancelKeys,
    /// Catalogs, shared like them.
    pub catalogs: Catalogs,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            tls: DownstreamTls::Off,
            limits: Limits::default(),
            cancel_keys: CancelKeys::default(),
            catalogs: Catalogs::default(),
        }
    }
}

/// What the cancel key is made of that every play's client gets.
pub const SEED: Seed = Seed {
    process: 0x0a0b_0c0d,
    secret: [
        0x12, 0x34, 0x56, 0x78, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
        24, 25, 26, 27, 28, 29, 30, 31,
    ],
};

/// Performs `script` once whole and once for each small size of piece; all transcripts must be equal.
///
/// # Panics
///
/// The transcripts differ.
pub fn check(script: impl Fn(&mut Play), expected: Expect) {
    check_on(&Stage::default(), script, expected);
}

/// [`check`] with another stage.
///
/// # Panics
///
/// The transcripts differ.
pub fn check_on(stage: &Stage, script: impl Fn(&mut Play), expected: Expect) {
    let perform = |piece| {
        let own =
            Stage { cancel_keys: CancelKeys::default(), catalogs: Catalogs::default(), ..stage.clone() };
        let mut play = Play::new(&own, piece);
        script(&mut play);
        play.transcript.to_string()
    };
    let whole = perform(usize::MAX);
    expected.assert_eq(&whole);
    for piece in [1, 2, 3, 5, 7, 64] {
        let pieces = perform(piece);
        assert!(pieces == whole, "in pieces of {piece}:\n{pieces}\nwhole:\n{whole}");
    }
}

impl Play {
    /// A session on `stage` whose peers send at most `piece` bytes at a time.
    pub fn new(stage: &Stage, piece: usize) -> Self {
        let now = Instant::now();
        let shared = Arc::new(Shared {
            analyser: Arc::new(Analyser::new(AnalyserLimits::default())),
            cancel_keys: stage.cancel_keys.clone(),
            catalogs: stage.catalogs.clone(),
            guesses: Guesses::default(),
            mask_key: MaskKey::new([7; 32]),
            tls: stage.tls,
            limits: stage.limits,
        });
        let session = PostgresSession::new(shared, SEED, now);
        let mut play = Self {
            session,
            piece,
            held: None,
            decided: String::new(),
            judged: Vec::new(),
            permitted: Vec::new(),
            sent: Vec::new(),
            heard: Vec::new(),
            errands: None,
            now,
            transcript: transcript::Transcript::default(),
        };
        play.collect();
        play
    }

    /// A session that is past login: the client may ask, the target is ready.
    pub fn relay(stage: &Stage, piece: usize) -> Self {
        let mut play = Self::new(stage, piece);
        play.log_in();
        play.transcript.clear();
        play.sent.clear();
        play.heard.clear();
        play
    }

    /// Takes a fresh session to its first ReadyForQuery.
    pub fn log_in(&mut self) {
        self.client(messages::startup(&[("user", "app"), ("database", "demo")]));
        self.client(messages::password("token"));
        self.authenticated();
        self.connected(None, false);
        self.target(
            [messages::authentication_ok(), messages::key_data(99, &[1, 2, 3, 4]), messages::ready(b'I')]
                .concat(),
        );
        self.transcript.clear();
    }

    /// The client sends bytes.
    pub fn client(&mut self, bytes: impl AsRef<[u8]>) {
        self.transcript.heading("client", bytes.as_ref());
        self.data(Side::Downstream, bytes.as_ref());
    }

    /// The target sends bytes.
    pub fn target(&mut self, bytes: impl AsRef<[u8]>) {
        self.transcript.heading("target", bytes.as_ref());
        self.data(Side::Upstream, bytes.as_ref());
    }

    /// The held event is permitted.
    pub fn permit(&mut self) {
        self.permit_masked(MaskPlan::default());
    }

    /// The held event is permitted, with masks.
    pub fn permit_masked(&mut self, plan: MaskPlan) {
        self.transcript.note("permit");
        let event = self.held.take().expect("something is held");
        let masks = (!plan.is_empty()).then(|| Arc::new(plan));
        self.permitted.push(self.decided.clone());
        self.input(Input::Permitted(Permit::mint(event, masks)));
    }

    /// The held event is refused.
    pub fn deny(&mut self) {
        self.transcript.note("deny");
        self.denied("sql.denied");
    }

    /// The held event is refused because it was not understood, and no policy takes that upon itself.
    pub fn deny_unread(&mut self) {
        self.transcript.note("deny what was not read");
        self.denied(Block::UNPARSED);
    }

    fn denied(&mut self, code: &str) {
        let event = self.held.take().expect("something is held");
        let block = Block {
            code: code.into(),
            rule: "policy/rule".into(),
            reason: "not here".into(),
            remedy: "ask".into(),
        };
        self.input(Input::Denied(Denial { event, block, approval: None }));
    }

    /// The held event's request for approval was withdrawn, as a cancel request asked.
    pub fn withdrawn(&mut self) {
        self.transcript.note("withdrawn");
        let event = self.held.take().expect("something is held");
        let block = Block {
            code: "approval.withdrawn".into(),
            rule: "policy/rule".into(),
            reason: "the request was withdrawn".into(),
            remedy: "".into(),
        };
        let approval = Some(ApprovalId::from_random([0; 10]));
        self.input(Input::Denied(Denial { event, block, approval }));
    }

    /// The session must end now.
    pub fn terminated(&mut self) {
        self.transcript.note("terminated");
        self.input(Input::Terminate(Rejection {
            code: "auth.expired",
            message: "the credential has expired".into(),
            remedy: "connect again".into(),
        }));
    }

    /// The held event waits for a reviewer.
    pub fn hold(&mut self) {
        self.transcript.note("hold");
        let event = self.held.expect("something is held");
        let approval = ApprovalId::from_random([0; 10]);
        self.input(Input::Held {
            event,
            approval,
            escalation: Escalation::new("rule", "a person must look").into(),
        });
    }

    /// The token was good.
    pub fn authenticated(&mut self) {
        self.transcript.note("authenticated");
        self.input(Input::Authenticated(Arc::new(Principal {
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
    }

    /// The upstream connection is open.
    pub fn connected(&mut self, password: Option<&str>, require_tls: bool) {
        self.transcript.note("connected");
        let password = password.map(Secret::new);
        self.input(Input::Connected(Account { name: "app".into(), password, require_tls }));
    }

    /// TLS is up on a side.
    pub fn secured(&mut self, side: Side, alpn: Option<&[u8]>) {
        self.transcript.note("secured");
        let tls = TlsInfo { alpn: alpn.map(Arc::from), server_end_point: None };
        self.input(Input::Secured { side, tls });
    }

    /// The peer on a side leaves.
    pub fn leaves(&mut self, side: Side) {
        self.transcript.note(match side {
            Side::Downstream => "client leaves",
            Side::Upstream => "target leaves",
        });
        self.input(Input::Closed { side });
    }

    /// The gateway wants to stop.
    pub fn drain(&mut self) {
        self.transcript.note("drain");
        self.input(Input::Drain);
    }

    /// The token was not good.
    pub fn rejected(&mut self) {
        self.transcript.note("rejected");
        self.input(Input::Rejected(Rejection {
            code: "auth.jwt_expired",
            message: "the token expired".into(),
            remedy: "mint a new one".into(),
        }));
    }

    /// The instant that was asked for has come.
    pub fn timeout(&mut self) {
        self.transcript.note("timeout");
        self.input(Input::Timeout);
    }

    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// So much time passes.
    pub fn later(&mut self, by: Duration) {
        self.now += by;
    }

    /// Each statement of the last event that was decided: its kind and its effects.
    pub fn judged(&self) -> Vec<&str> {
        self.judged.iter().map(String::as_str).collect()
    }

    /// Every text that was permitted, in order.
    pub fn permitted(&self) -> &[String] {
        &self.permitted
    }

    /// Every byte that was sent to the target: all of them, or since [`Play::relay`].
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// Every byte that was sent to the client: all of them, or since [`Play::relay`].
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Whether an event waits for its decision.
    pub const fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// What was written down.
    pub const fn transcript(&self) -> &transcript::Transcript {
        &self.transcript
    }

    /// From now on errands are kept, until somebody says that they are over.
    pub fn keep_errands(&mut self) {
        self.errands = Some(Vec::new());
    }

    /// The errands that are kept, for somebody who carries them out.
    pub fn take_errands(&mut self) -> Vec<Errand<Bytes>> {
        self.errands.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The errand is over.
    pub fn returned(&mut self) {
        self.transcript.note("returned");
        self.input(Input::Returned);
    }

    fn data(&mut self, side: Side, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece.min(bytes.len().max(1))) {
            self.input(Input::Data { side, unit: Bytes::copy_from_slice(piece) });
        }
    }

    fn input(&mut self, input: Input<Bytes>) {
        if let Err(error) = self.session.handle_input(self.now, input) {
            self.transcript.error(error.code);
        }
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Decide(event) = &output {
                let Facet::Sql(sql) = &event.facet else { unreachable!("the session asks about SQL") };
                self.held = Some(event.id);
                self.decided = sql.analysis.text.to_string();
                let statements = sql.analysis.statements.iter();
                self.judged = statements
                    .map(|statement| {
                        let kinds: Vec<_> = statement.kinds().collect();
                        format!("{} {:?}", kinds.join("+"), statement.effects)
                    })
                    .collect();
                self.transcript.decide(event.kind(), &sql.analysis, sql.parameters.len());
                continue;
            }
            if let Output::Errand(errand) = output {
                match &mut self.errands {
                    Some(kept) => kept.push(errand),
                    None => self.input(Input::Returned),
                }
                continue;
            }
            if let Output::Send { side: Side::Upstream, unit } = &output {
                self.sent.extend_from_slice(unit);
            }
            if let Output::Send { side: Side::Downstream, unit } = &output {
                self.heard.extend_from_slice(unit);
            }
            self.transcript.output(output);
        }
    }
}
