//! A channel that is played without a socket, and what it says.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use gatewright_masking::MaskKey;
use gatewright_model::{
    id::{EventId, EventIds, SessionId},
    mask::MaskPlan,
    permit::Permit,
    principal::{Principal, PrincipalKind},
    secret::Secret,
    session::{Account, Credential, Input, Outcome, Output, Session as _, Side},
    ssh::ChannelRights,
};
use gatewright_ssh::{
    channel::{Channel, Seed},
    message::{Message, Open, Request, STDERR, Size},
};

/// A channel, and all that it has said.
pub(crate) struct Play {
    pub(crate) channel: Channel,
    pub(crate) now: Instant,
    pub(crate) judged: Option<EventId>,
    pub(crate) wake: Option<Instant>,
    pub(crate) to_client: Vec<Message>,
    pub(crate) to_target: usize,
    pub(crate) finished: Vec<Outcome>,
    /// What is to be recorded and sent, in its order.
    pub(crate) in_order: Vec<String>,
}

impl Play {
    /// A session channel that was accepted.
    pub(crate) fn open() -> Self {
        let seed = Seed {
            session: SessionId::from_random([7; 16]),
            events: Arc::new(EventIds::default()),
            credential: Credential::Bearer(Secret::new("tok")),
            rights: ChannelRights::ALL,
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
            in_order: Vec::new(),
        };
        play.client(Message::Open(Open::Session)).tell(Input::Authenticated(principal())).permit(None);
        play
    }

    /// The same, and this runs with these masks.
    pub(crate) fn running(request: Request, masks: &MaskPlan) -> Self {
        let mut play = Self::open();
        play.ask(request).permit(Some(masks)).connected().target(Message::Success);
        play.to_client.clear();
        play.finished.clear();
        play
    }

    /// At a terminal.
    pub(crate) fn at_a_terminal(masks: &MaskPlan) -> Self {
        let mut play = Self::open();
        play.ask(Request::Pty { terminal: "xterm".into(), size: Size::default(), modes: Arc::default() });
        play.permit(None).connected().target(Message::Success);
        play.ask(Request::Shell).permit(Some(masks)).target(Message::Success);
        play.to_client.clear();
        play.finished.clear();
        play
    }

    pub(crate) fn tell(&mut self, input: Input<Message>) -> &mut Self {
        self.channel.handle_input(self.now, input).unwrap();
        while let Some(output) = self.channel.poll_output() {
            match &output {
                Output::Record(frame) => self.in_order.push(format!("record {frame:?}")),
                Output::Send { side: Side::Upstream, unit } => {
                    self.in_order.push(format!("to target {unit:?}"));
                }
                Output::Send { unit, .. } => self.in_order.push(format!("to client {unit:?}")),
                Output::Withdraw(_) => self.in_order.push("withdraw".to_owned()),
                Output::Finished { outcome, .. } => {
                    self.in_order.push(format!("finished {} {:?}", outcome.result.as_str(), outcome.code));
                }
                _ => {}
            }
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

    pub(crate) fn client(&mut self, unit: Message) -> &mut Self {
        self.tell(Input::Data { side: Side::Downstream, unit })
    }

    pub(crate) fn ask(&mut self, request: Request) -> &mut Self {
        self.client(Message::Request { request, want_reply: true })
    }

    pub(crate) fn target(&mut self, unit: Message) -> &mut Self {
        self.tell(Input::Data { side: Side::Upstream, unit })
    }

    pub(crate) fn out(&mut self, text: &str) -> &mut Self {
        self.target(Message::Data(Bytes::copy_from_slice(text.as_bytes())))
    }

    pub(crate) fn err(&mut self, text: &str) -> &mut Self {
        self.target(Message::ExtendedData(STDERR, Bytes::copy_from_slice(text.as_bytes())))
    }

    pub(crate) fn permit(&mut self, masks: Option<&MaskPlan>) -> &mut Self {
        let masks = masks.map(|masks| Arc::new(masks.clone()));
        self.tell(Input::Permitted(Permit::mint(self.judged.unwrap(), masks)))
    }

    /// It may go on while it is recorded.
    pub(crate) fn permit_recorded(&mut self, masks: Option<&MaskPlan>) -> &mut Self {
        let masks = masks.map(|masks| Arc::new(masks.clone()));
        self.tell(Input::Permitted(Permit::mint(self.judged.unwrap(), masks).recorded(true)))
    }

    /// The recording has begun of what was asked for last.
    pub(crate) fn begun(&mut self) -> &mut Self {
        self.tell(Input::Recording(self.judged.unwrap()))
    }

    pub(crate) fn connected(&mut self) -> &mut Self {
        let account = Account { name: Arc::from("deploy"), password: None, require_tls: false };
        self.tell(Input::Connected(account))
    }

    /// The instant comes that was asked for.
    pub(crate) fn woken(&mut self) -> &mut Self {
        self.now = self.wake.take().unwrap();
        self.tell(Input::Timeout)
    }

    /// What the client was sent since this was asked last.
    pub(crate) fn shown(&mut self) -> String {
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
