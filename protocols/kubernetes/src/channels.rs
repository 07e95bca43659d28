//! What travels in a stream, whatever carries it: standard input, output and errors, the terminal's size, the way it ended, ports.
//!
//! WebSocket numbers its channels, SPDY names its streams; here both are a [`Channel`]. [`Channels`] holds what is true of
//! all of them: who may send on which (threats A62), what is hidden, and that one recorder sees what passed.
//!
//! Detectors hide what they find in output. That keeps card numbers off screens and out of recordings; it is no
//! boundary against somebody who runs commands, because a command can write everything in another way.

use std::{collections::HashSet, fmt, sync::Arc, time::Instant};

use gatewright_http::{refusal::Refusal, websocket::Rate};
use gatewright_masking::{Finds, MaskKey, StreamMasker, TextMasker};
use gatewright_model::{
    kubernetes::{Stream, StreamKind},
    mask::{DetectorMask, MaskPlan},
    recording::Frame,
    session::Side,
};
use http::StatusCode;

use crate::{passed::Passed, violation::Violation};

/// Changes of a terminal's size that a client may send within a second.
pub const MOST_RESIZES: u32 = 50;

/// The longest change of a terminal's size, in bytes: `{"Width":65535,"Height":65535}` and a line's end are 31.
pub(crate) const LONGEST_RESIZE: usize = 256;

/// A part of a stream with a meaning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// What the process reads.
    Stdin,
    /// What it writes.
    Stdout,
    /// What it writes as errors. With a terminal there is none.
    Stderr,
    /// How it ended: a `Status`.
    Error,
    /// The size of the client's terminal.
    Resize,
    /// A connection to a port.
    Port {
        /// The port.
        port: u16,
        /// Which connection of this stream.
        connection: u32,
    },
    /// Why a connection to a port failed.
    PortError {
        /// The port.
        port: u16,
        /// Which connection of this stream.
        connection: u32,
    },
    /// Lines of a log.
    Log,
}

impl Channel {
    /// Who sends on it. None: both.
    pub const fn sender(self) -> Option<Side> {
        match self {
            Self::Stdin | Self::Resize => Some(Side::Downstream),
            Self::Stdout | Self::Stderr | Self::Error | Self::PortError { .. } | Self::Log => {
                Some(Side::Upstream)
            }
            Self::Port { .. } => None,
        }
    }

    /// Is it text that detectors search?
    const fn is_output(self) -> bool {
        matches!(self, Self::Stdout | Self::Stderr | Self::Log)
    }
}

/// What is true of all channels of a stream.
#[derive(Debug)]
pub struct Channels {
    kind: StreamKind,
    stdin: bool,
    tty: bool,
    masks: Option<Masks>,
    closed: HashSet<(Side, Channel)>,
    resizes: Rate,
    recording: Option<Passed>,
}

struct Masks {
    masker: Arc<TextMasker>,
    rules: Vec<DetectorMask>,
    /// Output that is being searched.
    open: Vec<(Channel, StreamMasker)>,
    finds: Finds,
}

impl Channels {
    /// For a stream that was permitted with these masks, and is to be recorded or not.
    ///
    /// # Errors
    ///
    /// 403 `mask.unsupported`: the plan hides what a stream does not have, or hides something in bytes that mean nothing here.
    pub fn new(
        stream: &Stream,
        masks: Option<&MaskPlan>,
        key: &MaskKey,
        recorded: bool,
    ) -> Result<Self, Refusal> {
        let Stream { kind, stdin, tty, .. } = *stream;
        let masks = match masks.filter(|plan| !plan.is_empty()) {
            None => None,
            Some(plan) if is_text(kind) => Some(Masks::new(plan, key)?),
            Some(_) => return Err(NOT_TEXT),
        };
        let recording = recorded.then(Passed::default);
        Ok(Self { kind, stdin, tty, masks, closed: HashSet::new(), resizes: Rate::default(), recording })
    }

    /// For a log, which has one channel.
    ///
    /// # Errors
    ///
    /// As [`Channels::new`].
    pub fn of_log(masks: Option<&MaskPlan>, key: &MaskKey) -> Result<Self, Refusal> {
        let masks = masks.filter(|plan| !plan.is_empty()).map(|plan| Masks::new(plan, key)).transpose()?;
        let kind = StreamKind::Attach;
        let (closed, resizes) = (HashSet::new(), Rate::default());
        Ok(Self { kind, stdin: false, tty: false, masks, closed, resizes, recording: None })
    }

    /// What kind of a stream it is.
    pub const fn kind(&self) -> StreamKind {
        self.kind
    }

    /// May a client open this channel?
    ///
    /// # Errors
    ///
    /// The request that was judged did not ask for it.
    pub fn open(&self, channel: Channel) -> Result<(), Violation> {
        match channel {
            Channel::Stdin if !self.stdin => Err(stream("there is standard input that was not asked for")),
            Channel::Resize if !self.tty => Err(stream("there is no terminal that could change its size")),
            _ => Ok(()),
        }
    }

    /// Bytes of a channel came from a side: what of them passes is put behind `out`.
    ///
    /// # Errors
    ///
    /// The side may not send there, or not so much.
    pub fn data(
        &mut self,
        now: Instant,
        from: Side,
        channel: Channel,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        if channel.sender().is_some_and(|sender| sender != from) {
            return Err(stream("data came on a channel of the other side"));
        }
        if self.closed.contains(&(from, channel)) {
            return Err(stream("data came on a channel that its sender had closed"));
        }
        self.open(channel)?;
        if channel == Channel::Resize {
            if bytes.len() > LONGEST_RESIZE {
                return Err(stream("a change of the terminal's size is longer than one can be"));
            }
            if self.resizes.exceeds(MOST_RESIZES, now) {
                return Err(stream("the terminal changes its size more often than one can"));
            }
        }
        let start = out.len();
        match &mut self.masks {
            Some(masks) => masks.push(channel, bytes, out),
            None => out.extend_from_slice(bytes),
        }
        self.record(channel, out.get(start..).unwrap_or_default())
    }

    /// A side sends no more on a channel: what was held back is put behind `out`.
    ///
    /// # Errors
    ///
    /// It had said so before, or the channel is not its own.
    pub fn close(&mut self, from: Side, channel: Channel, out: &mut Vec<u8>) -> Result<(), Violation> {
        if !self.closed.insert((from, channel)) {
            return Err(stream("a channel was closed twice"));
        }
        if channel.sender() == Some(from) {
            self.flush(channel, out);
        }
        Ok(())
    }

    /// Puts what was held back of a channel behind `out`: nothing that follows belongs to it.
    pub fn flush(&mut self, channel: Channel, out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(masks) = &mut self.masks {
            masks.finish(channel, out);
        }
        if let Some(passed) = &mut self.recording {
            passed.show(out.get(start..).unwrap_or_default());
        }
    }

    /// What a recording has of all that passed since this was asked last.
    pub fn recorded(&mut self) -> Vec<Frame> {
        self.recording.as_mut().map(|passed| std::mem::take(&mut passed.frames)).unwrap_or_default()
    }

    /// Channels of which something may be held back.
    pub fn held(&self) -> Vec<Channel> {
        self.masks.iter().flat_map(|masks| masks.open.iter().map(|(channel, _)| *channel)).collect()
    }

    /// How many values were hidden until now, by rule.
    pub fn masked(&self) -> Vec<(Arc<str>, u64)> {
        let Some(masks) = &self.masks else { return Vec::new() };
        let counted =
            masks.rules.iter().map(|mask| (Arc::clone(&mask.rule), masks.finds.of(mask.detector)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn record(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), Violation> {
        let Some(passed) = &mut self.recording else { return Ok(()) };
        match channel {
            Channel::Stdout | Channel::Stderr => passed.show(bytes),
            Channel::Stdin if !bytes.is_empty() => passed.frames.push(Frame::Typed(bytes.len())),
            Channel::Resize => return passed.resize(bytes),
            // How it ended is in the log; nothing else is of a process.
            _ => {}
        }
        Ok(())
    }
}

impl Masks {
    fn new(plan: &MaskPlan, key: &MaskKey) -> Result<Self, Refusal> {
        if !plan.columns.is_empty() || !plan.json.is_empty() || !plan.objects.is_empty() {
            return Err(NOT_JSON);
        }
        let detectors = plan.detectors.iter().map(|mask| (mask.detector, mask.method));
        Ok(Self {
            masker: Arc::new(TextMasker::new(detectors, key)),
            rules: plan.detectors.clone(),
            open: Vec::new(),
            finds: Finds::default(),
        })
    }

    fn push(&mut self, channel: Channel, bytes: &[u8], out: &mut Vec<u8>) {
        if channel.is_output() {
            let at = self.open.iter().position(|(own, _)| *own == channel).unwrap_or_else(|| {
                self.open.push((channel, StreamMasker::new(Arc::clone(&self.masker))));
                self.open.len() - 1
            });
            if let Some((_, masker)) = self.open.get_mut(at) {
                masker.push(bytes, out);
            }
        } else if channel == Channel::Error
            && let Some(masked) = self.masker.mask(bytes)
        {
            // A `Status` is one message.
            self.finds.add(masked.finds);
            out.extend_from_slice(&masked.text);
        } else {
            out.extend_from_slice(bytes);
        }
    }

    fn finish(&mut self, channel: Channel, out: &mut Vec<u8>) {
        if let Some(at) = self.open.iter().position(|(own, _)| *own == channel) {
            let (_, masker) = self.open.swap_remove(at);
            self.finds.add(masker.finish(out));
        }
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Is what it carries text, or at least searched as if it were?
const fn is_text(kind: StreamKind) -> bool {
    matches!(kind, StreamKind::Exec | StreamKind::Attach)
}

pub(crate) const fn stream(detail: &'static str) -> Violation {
    Violation { code: "k8s.stream", detail }
}

const NOT_TEXT: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "mask.unsupported",
    detail: "a policy hides something in a connection whose bytes the gateway does not understand",
};

const NOT_JSON: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "mask.unsupported",
    detail: "a policy hides columns, values of JSON or objects, and a stream has none",
};

/// How a process ended, as the error channel tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Its exit status. 0 is success.
    Code(i32),
    /// It could not be run, or nobody knows.
    Failed,
}

/// Reads what came on the error channel: `Status` since the fourth version of the protocol; before it, text about a failure, or nothing.
pub fn exit(error: &[u8]) -> Exit {
    if error.is_empty() {
        return Exit::Code(0);
    }
    let Ok(status) = serde_json::from_slice::<serde_json::Value>(error) else { return Exit::Failed };
    if status.get("status").and_then(|text| text.as_str()) == Some("Success") {
        return Exit::Code(0);
    }
    let causes = status.pointer("/details/causes").and_then(|causes| causes.as_array());
    let code = causes
        .into_iter()
        .flatten()
        .find(|cause| cause.get("reason").is_some_and(|reason| reason == "ExitCode"));
    let code = code.and_then(|cause| cause.get("message")?.as_str()?.parse().ok());
    code.map_or(Exit::Failed, Exit::Code)
}
