//! Before the permit: a body that is judged with its request is read whole.
//!
//! By then it is known who sends it, and how much of it there may be. What is read is what is judged, shown to a reviewer
//! and sent: a body that two programs could read in two ways is refused, and so is one that is larger than what
//! is read. None is ever judged as if it were not there (threats A59, A70, A80).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use gatewright_model::{
    json::Document,
    principal::Principal,
    session::{Output, ProtocolError, Side},
};
use http::{HeaderValue, StatusCode};

use super::{Exchange, OUT_OF_ORDER, Phase};
use crate::{problem::Problem, refusal::Refusal, request::Judged, unit::Unit};

/// A request whose body is being read.
#[derive(Debug)]
pub(super) struct Gathering {
    judged: Judged,
    principal: Arc<Principal>,
    body: BytesMut,
    /// What it takes of what all bodies of a listener may take.
    room: Room,
    /// By when it has to be there.
    until: Instant,
}

/// Bytes that are held for one body, out of those of all bodies that are held. They are counted when they are there: what is only
/// announced keeps nobody out.
#[derive(Debug)]
pub(super) struct Room {
    held: Arc<Held>,
    subject: Arc<str>,
    bytes: usize,
}

/// What all bodies take that are held, and those of each principal.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<(usize, HashMap<Arc<str>, usize>)>);

impl Room {
    fn new(held: &Arc<Held>, subject: &Arc<str>) -> Self {
        Self { held: Arc::clone(held), subject: Arc::clone(subject), bytes: 0 }
    }

    /// Takes so much more, of `most` for all. `false`: so much is not there, or is not for one principal: a quarter of all is.
    fn grow(&mut self, more: usize, most: usize) -> bool {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *held;
        let own = each.get(&self.subject).copied().unwrap_or_default();
        if *all + more > most || own + more > most / SHARE {
            return false;
        }
        *all += more;
        each.insert(Arc::clone(&self.subject), own + more);
        self.bytes += more;
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *held;
        *all -= self.bytes;
        let own = each.get_mut(&self.subject).map(|own| {
            *own -= self.bytes;
            *own
        });
        if own == Some(0) {
            each.remove(&self.subject);
        }
    }
}

/// One principal may hold this part of what all may.
const SHARE: usize = 4;

impl Gathering {
    /// Bytes of the body so far.
    pub(super) fn held(&self) -> usize {
        self.body.len()
    }
}

impl Exchange {
    pub(super) fn begin_to_gather(
        &mut self,
        judged: Judged,
        principal: Arc<Principal>,
        now: Instant,
    ) -> Result<(), ProtocolError> {
        let limit = self.shared.limits.inspected;
        let announced = judged.length.unwrap_or_default();
        if announced > limit as u64 {
            self.answer(Problem::from(TOO_LARGE_TO_JUDGE));
            return Err(TOO_LARGE_TO_JUDGE.into_error(Side::Downstream));
        }
        let room = Room::new(&self.shared.held, &principal.subject);
        let body = BytesMut::new();
        let until = now + self.shared.limits.silence;
        self.outputs.push_back(Output::Wake(until));
        self.phase = Phase::Gathering(Box::new(Gathering { judged, principal, body, room, until }));
        Ok(())
    }

    /// Takes in a part of it.
    pub(super) fn gather(
        &mut self,
        mut gathering: Box<Gathering>,
        unit: Unit,
    ) -> Result<(), ProtocolError> {
        match unit {
            Unit::Data(data) if gathering.body.len() + data.len() > self.shared.limits.inspected => {
                return self.fail(TOO_LARGE_TO_JUDGE, Side::Downstream);
            }
            Unit::Data(data) if !gathering.room.grow(data.len(), self.shared.limits.held) => {
                return self.fail(NO_ROOM, Side::Downstream);
            }
            Unit::Data(data) => gathering.body.extend_from_slice(&data),
            // Nothing in them was judged.
            Unit::Trailers(_) => {}
            Unit::End => return self.gathered(*gathering),
            Unit::Request(..) | Unit::Response(..) => return self.fail(OUT_OF_ORDER, Side::Downstream),
        }
        self.phase = Phase::Gathering(gathering);
        Ok(())
    }

    fn gathered(&mut self, gathering: Gathering) -> Result<(), ProtocolError> {
        let Gathering { mut judged, principal, body, room, .. } = gathering;
        self.room = Some(room);
        if judged.length.is_some_and(|length| length != body.len() as u64) {
            return self.fail(SHORT, Side::Downstream);
        }
        match self.read_body(&judged, body.freeze()) {
            Ok((bytes, json)) => {
                judged.read(bytes, json);
                self.judge(judged, principal);
                Ok(())
            }
            // It is the client's mistake, and its connection is as good as before.
            Err(refusal) => {
                self.answer(refusal.into());
                Ok(())
            }
        }
    }

    pub(super) fn gather_slowly(&mut self, gathering: Box<Gathering>, now: Instant) {
        let until = gathering.until;
        if now >= until {
            let detail = "the rest of the request did not come in time";
            return self.answer(Problem::new(StatusCode::REQUEST_TIMEOUT, "net.slow", detail));
        }
        self.outputs.push_back(Output::Wake(until));
        self.phase = Phase::Gathering(gathering);
    }

    /// What the body says.
    fn read_body(&self, judged: &Judged, bytes: Bytes) -> Result<(Bytes, Option<Arc<Document>>), Refusal> {
        if bytes.is_empty() || !self.shared.dialect.is_json(&judged.request, &bytes) {
            return Ok((bytes, None));
        }
        // Another charset is another text: a target that goes by it reads something else.
        if !is_utf8(judged.request.header("content-type").unwrap_or_default()) {
            return Err(Refusal {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                code: "http.charset",
                detail: "JSON is UTF-8, and the request names another charset",
            });
        }
        let identity = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
        if judged.content_encoding().is_some_and(|coding| !identity(coding)) {
            return Err(Refusal {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                code: "http.encoding",
                detail: "the body has a content coding, and could not be judged",
            });
        }
        match Document::read(bytes.clone()) {
            Ok(document) => Ok((bytes, Some(Arc::new(document)))),
            Err(ambiguous) => Err(Refusal::bad("json.ambiguous", ambiguous.reason.as_str())),
        }
    }
}

/// Does a media type say UTF-8, or nothing, about its charset?
fn is_utf8(content_type: &str) -> bool {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.all(|(_, charset)| {
        let charset = charset.trim().trim_matches('"');
        charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
    })
}

const NO_ROOM: Refusal = Refusal {
    status: StatusCode::SERVICE_UNAVAILABLE,
    code: "gateway.busy",
    detail: "too many bodies are being read at once",
};

const TOO_LARGE_TO_JUDGE: Refusal = Refusal {
    status: StatusCode::PAYLOAD_TOO_LARGE,
    code: "http.body_limit",
    detail: "the body is larger than what the gateway reads to judge it",
};

const SHORT: Refusal = Refusal::bad("http.framing", "the body is not as long as was announced");
