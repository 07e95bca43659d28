//! SFTP version 3, as it runs once the subsystem was permitted and started: each operation on a path is an event of its own.
//!
//! ```text
//! client                                  relay                                       target
//!   OPEN srv/x  ----------------------->  held, and what comes behind it
//!                                         REALPATH srv/x  ------------------------->
//!                                              <-----------------------------------  /users/app/srv/x
//!                                         asked about: file read /users/app/srv/x
//!                                         OPEN /users/app/srv/x  ------- permit ---->
//!   READ, WRITE, ... on the handle  --------------------------------------------->
//! ```
//!
//! - What is judged is what is used: the path that the target itself made of the client's, and that is what it is sent. Of what acts
//!   on a name and not on what a link leads to (a removal, a new name), the directory is resolved and the name kept. Between both the tree can change,
//!   by whoever else may change it: a policy that must not be got around gives nobody a directory to put links in. What a person was asked about
//!   is resolved again before it is done, and not done where it leads elsewhere.
//! - What a path is, and whether it is there, is nothing that a client learns without a permit: where the target can not resolve it, the
//!   event is about what it would be without links, and the target's refusal is passed on after the permit only.
//! - What is done with a handle needs no verdict, and its content is not waited for. The handle stays what it was opened as:
//!   what was opened for reading is not written.
//! - Packets that are not read to their end, or that nobody asked for, end the channel; extensions that have no meaning here are not announced,
//!   and refused.

mod asking;
mod extension;
mod files;
mod path;
mod reply;
mod request;
mod wire;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use gatewright_model::{
    id::EventId,
    session::{Outcome, ProtocolError, Side},
    ssh::FileOperation,
};

use self::{
    asking::{Asking, refused},
    extension::Extension,
    files::{Files, OpenFile, ended},
    reply::{Reply, Said, refusal, status},
    request::{Asked, OnOpen, Opens, Refused, Request},
    wire::{Inlet, Malformed, Piece, Reader, VERSION, Writer, behind, kind},
};

pub use self::path::canonical;

/// The subsystem that speaks it.
pub const SUBSYSTEM: &str = "sftp";

/// The relay between a client and a target.
#[derive(Debug)]
pub struct Sftp {
    stage: Stage,
    from_client: Inlet,
    from_target: Inlet,
    /// The directory that relative paths begin in.
    home: Arc<str>,
    /// What the client was told that there is.
    announced: Vec<Extension>,
    /// What the target has not answered, by its number.
    pending: HashMap<u32, Pending>,
    files: Files,
    /// The operation that is dealt with. What comes behind it waits.
    asking: Option<Asking>,
    /// Where the content goes that the client is sending. None: nowhere.
    writing: Option<EventId>,
    /// Where the content comes from that the target is sending.
    reading: Option<EventId>,
    does: VecDeque<Does>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Does {
    /// Ask about this; [`Sftp::asked`] is told the event.
    Ask(FileOperation),
    /// Send this.
    Send(Side, Bytes),
    /// An event is over.
    Finish(EventId, Outcome),
}

/// How far the beginning has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client has not said its version.
    New,
    /// The target has not.
    Greeting,
    /// The target has not said where relative paths begin.
    Settling,
    Ready,
}

/// What the target has to answer.
#[derive(Debug)]
enum Pending {
    /// A question of the gateway's own.
    Own,
    /// Something that was not asked about.
    Plain(Expected),
    /// Something that is over with its answer.
    Once(EventId, Expected),
    Opening {
        event: EventId,
        path: Arc<str>,
        opens: Opens,
    },
    Close(EventId),
    Read {
        file: EventId,
        offset: u64,
    },
    Write {
        file: EventId,
        bytes: u64,
    },
}

/// What an answer may be, beside a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Status,
    Attributes,
    Names,
    Extended,
}

/// Requests that a target has not answered, at most; more are read when it has. Clients that are told of no limit send a whole file's at once.
const MOST_PENDING: usize = 1024;

impl Sftp {
    /// A relay before its first byte.
    pub fn new() -> Self {
        Self {
            stage: Stage::New,
            from_client: Inlet::of_client(),
            from_target: Inlet::of_target(),
            home: Arc::from("/"),
            announced: Vec::new(),
            pending: HashMap::new(),
            files: Files::default(),
            asking: None,
            writing: None,
            reading: None,
            does: VecDeque::new(),
        }
    }

    /// Takes in what a side has sent.
    ///
    /// # Errors
    ///
    /// It is not SFTP, or nothing that was asked for: the channel can not go on.
    pub fn hear(&mut self, side: Side, data: Bytes) -> Result<(), ProtocolError> {
        match side {
            Side::Downstream => self.from_client.push(data),
            Side::Upstream => {
                self.from_target.push(data);
                while let Some(piece) = self.from_target.next().map_err(|error| error.of(side))? {
                    self.hear_target(piece)?;
                }
            }
        }
        self.go_on()
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Does> {
        self.does.pop_front()
    }

    /// May more of the client's be handed in?
    pub fn wants_client(&self) -> bool {
        let is_settled = !matches!(self.stage, Stage::Greeting | Stage::Settling);
        is_settled && self.asking.is_none() && self.pending.len() < MOST_PENDING
    }

    /// Nothing of it goes on: what was begun, and what is known of it.
    pub fn give_up(&mut self) -> Vec<(EventId, Outcome)> {
        let mut all = self.files.give_up();
        all.extend(self.pending.drain().filter_map(|(_, pending)| match pending {
            Pending::Once(event, _) | Pending::Opening { event, .. } => Some((event, Outcome::default())),
            _ => None,
        }));
        all.extend(self.withdraw().map(|event| (event, refused("sftp.not_sent"))));
        all.sort_unstable_by_key(|(event, _)| *event);
        all
    }

    /// Looks at what the client has sent, as far as nothing has to wait.
    fn go_on(&mut self) -> Result<(), ProtocolError> {
        let malformed = |error: Malformed| error.of(Side::Downstream);
        while self.wants_client() {
            let Some(piece) = self.from_client.next().map_err(malformed)? else { break };
            match (self.stage, piece) {
                (Stage::New, Piece::Packet { kind: kind::INIT, whole }) => self.begin(&whole)?,
                (Stage::Ready, Piece::Packet { kind, whole }) => {
                    let request = Request::read(kind, &whole).map_err(malformed)?;
                    self.request(request, whole)?;
                }
                (Stage::Ready, Piece::Begin { bytes, head }) => self.write(bytes, head)?,
                (Stage::Ready, Piece::Content(content)) => self.pass_content(content),
                _ => return Err(broken(Side::Downstream, "a packet came where there is none")),
            }
        }
        Ok(())
    }

    /// The client begins. What it may offer beside its version is not passed on.
    fn begin(&mut self, whole: &Bytes) -> Result<(), ProtocolError> {
        let mut reader = Reader::new(whole);
        let version = reader.u32().map_err(|error| error.of(Side::Downstream))?;
        if version < VERSION {
            return Err(broken(Side::Downstream, "the version of SFTP is older than 3"));
        }
        self.stage = Stage::Greeting;
        // It has no number: the version is in its place.
        self.send(Side::Upstream, Writer::new(kind::INIT, VERSION).finish());
        Ok(())
    }

    /// The target begins.
    fn greet(&mut self, whole: &Bytes) -> Result<(), ProtocolError> {
        let mut reader = Reader::new(whole);
        let mut read = || -> Result<_, Malformed> {
            let version = reader.u32()?;
            let mut known = Vec::new();
            while !reader.is_at_the_end() {
                let (name, version) = (reader.string()?, reader.string()?);
                let own = Extension::by_name(name).filter(|own| own.version().as_bytes() == version);
                known.extend(own);
            }
            Ok((version, known))
        };
        let (version, known) = read().map_err(|error| error.of(Side::Upstream))?;
        if version != VERSION {
            return Err(broken(Side::Upstream, "the target does not speak version 3 of SFTP"));
        }
        let mut packet = Writer::new(kind::VERSION, VERSION);
        for extension in &known {
            packet = packet.string(extension.name()).string(extension.version());
        }
        self.send(Side::Downstream, packet.finish());
        self.announced = known;
        self.stage = Stage::Settling;
        let own = self.own_id(None);
        self.pending.insert(own, Pending::Own);
        self.send(Side::Upstream, request::real_path(".", own));
        Ok(())
    }

    /// A number that no request has.
    fn own_id(&self, besides: Option<u32>) -> u32 {
        let is_free = |id: &u32| !self.pending.contains_key(id) && besides != Some(*id);
        (0..=u32::MAX).rev().find(is_free).unwrap_or_default()
    }

    fn has(&self, extension: Option<Extension>) -> bool {
        extension.is_none_or(|extension| self.announced.contains(&extension))
    }

    fn check_id(&self, id: u32) -> Result<(), ProtocolError> {
        if self.pending.contains_key(&id) {
            return Err(broken(Side::Downstream, "a request has the number of one that is not answered"));
        }
        Ok(())
    }

    fn request(&mut self, request: Request, whole: Bytes) -> Result<(), ProtocolError> {
        let Request { id, asked } = request;
        self.check_id(id)?;
        match asked {
            Asked::Open(handle, on) => self.use_open(id, &handle, on, whole),
            Asked::Limits if self.has(Some(Extension::Limits)) => {
                self.pass(id, Pending::Plain(Expected::Extended), whole);
            }
            Asked::Limits => self.refuse_as(id, Refused::Unknown),
            Asked::SetAttributes { handle, attributes } => {
                self.ask_to_set(id, &handle, attributes, whole);
            }
            Asked::Copy { from, to } => self.ask_to_copy(id, &from, &to, whole),
            Asked::Wanted(wanted) => {
                if !self.has(wanted.extension()) {
                    self.refuse_as(id, Refused::Unknown);
                } else if wanted.opens.is_some() && !self.files.have_room() {
                    self.refuse(id, status::FAILURE, "too many files are open [sftp.limit]");
                } else {
                    self.look_up(id, wanted);
                }
            }
            Asked::Question(question) if self.has(question.extension()) => self.question(id, question),
            Asked::Question(_) => self.refuse_as(id, Refused::Unknown),
            Asked::Refused(why) => self.refuse_as(id, why),
        }
        Ok(())
    }

    /// Something is done with what was opened.
    fn use_open(&mut self, id: u32, handle: &Bytes, on: OnOpen, whole: Bytes) {
        let Some(file) = self.files.find(handle) else { return self.refuse_handle(id) };
        let event = file.event;
        let (pending, may) = match on {
            OnOpen::Close => (Pending::Close(event), true),
            OnOpen::Read { offset } => (Pending::Read { file: event, offset }, file.is_readable()),
            OnOpen::Stat => (Pending::Plain(Expected::Attributes), true),
            OnOpen::List => (Pending::Plain(Expected::Names), file.opens == Opens::Directory),
            OnOpen::Sync if !self.has(Some(Extension::FSync)) => {
                return self.refuse_as(id, Refused::Unknown);
            }
            OnOpen::Sync => (Pending::Plain(Expected::Status), true),
            OnOpen::StatFileSystem if !self.has(Some(Extension::FStatVfs)) => {
                return self.refuse_as(id, Refused::Unknown);
            }
            OnOpen::StatFileSystem => (Pending::Plain(Expected::Extended), true),
        };
        if !may {
            return self.refuse(id, status::PERMISSION_DENIED, "it was not opened for that [sftp.handle]");
        }
        if on == OnOpen::Close {
            self.files.forget(handle);
        }
        self.pass(id, pending, whole);
    }

    /// A WRITE begins, whose content may still come.
    fn write(&mut self, bytes: Bytes, head: usize) -> Result<(), ProtocolError> {
        let mut reader = Reader::new(&bytes);
        let mut read = || -> Result<_, Malformed> {
            Ok((reader.u32()?, reader.handle()?, reader.u64()?, reader.u32()?))
        };
        let (id, handle, offset, size) = read().map_err(|error| error.of(Side::Downstream))?;
        self.check_id(id)?;
        self.writing = None;
        let Some(event) = self.files.find(&handle).map(|file| file.event) else {
            self.refuse_handle(id);
            return Ok(());
        };
        let Some(file) = self.files.get(event).filter(|file| file.is_writable()) else {
            self.refuse(id, status::PERMISSION_DENIED, "it was not opened for that [sftp.handle]");
            return Ok(());
        };
        file.written.begin(offset);
        file.written.pass(&behind(&bytes, head));
        self.writing = Some(event);
        self.pass(id, Pending::Write { file: event, bytes: size.into() }, bytes);
        Ok(())
    }

    fn pass_content(&mut self, content: Bytes) {
        let Some(event) = self.writing else { return };
        // It may be closed by now, and the target deals with that.
        if let Some(file) = self.files.get(event) {
            file.written.pass(&content);
        }
        self.send(Side::Upstream, content);
    }

    /// Sends something on as it came.
    fn pass(&mut self, id: u32, pending: Pending, whole: Bytes) {
        self.pending.insert(id, pending);
        self.send(Side::Upstream, whole);
    }

    fn hear_target(&mut self, piece: Piece) -> Result<(), ProtocolError> {
        let malformed = |error: Malformed| error.of(Side::Upstream);
        match (self.stage, piece) {
            (Stage::Greeting, Piece::Packet { kind: kind::VERSION, whole }) => self.greet(&whole),
            (Stage::Settling | Stage::Ready, Piece::Packet { kind, whole }) => {
                let reply = Reply::read(kind, &whole).map_err(malformed)?;
                self.reply(reply, whole)
            }
            (Stage::Ready, Piece::Begin { bytes, head }) => {
                let id = Reader::new(&bytes).u32().map_err(malformed)?;
                let Some(Pending::Read { file, offset }) = self.pending.remove(&id) else {
                    return Err(unasked());
                };
                self.reading = Some(file);
                if let Some(file) = self.files.get(file) {
                    file.read.begin(offset);
                }
                self.count_read(&behind(&bytes, head));
                self.send(Side::Downstream, bytes);
                Ok(())
            }
            (Stage::Ready, Piece::Content(content)) => {
                self.count_read(&content);
                self.send(Side::Downstream, content);
                Ok(())
            }
            _ => Err(unasked()),
        }
    }

    fn count_read(&mut self, content: &[u8]) {
        if let Some(file) = self.reading.and_then(|event| self.files.get(event)) {
            file.read.pass(content);
            file.read.take(content.len() as u64);
        }
    }

    fn reply(&mut self, reply: Reply, whole: Bytes) -> Result<(), ProtocolError> {
        let Reply { id, said } = reply;
        let pending = self.pending.remove(&id).ok_or_else(unasked)?;
        match (pending, said) {
            (Pending::Own, said) => return self.answered(said, &whole),
            (Pending::Once(event, _), Said::Status(code)) => self.finish(event, ended(code)),
            (Pending::Plain(_), Said::Status(_)) => {}
            (Pending::Once(event, expected), said) if expected.is(&said) => {
                self.finish(event, ended(status::OK));
            }
            (Pending::Plain(expected), said) if expected.is(&said) => {}
            (Pending::Opening { event, path, opens }, Said::Handle(handle)) => {
                if !self.files.open(handle, OpenFile::new(event, path, opens)) {
                    return Err(broken(Side::Upstream, "a handle was given out twice"));
                }
            }
            (Pending::Opening { event, .. }, Said::Status(code)) if code != status::OK => {
                self.finish(event, ended(code));
            }
            (Pending::Close(event), Said::Status(code)) => {
                if let Some(outcome) = self.files.close(event, code) {
                    self.finish(event, outcome);
                }
            }
            (Pending::Read { file, .. }, Said::Status(code)) => {
                if let Some(file) = self.files.get(file).filter(|_| code != status::EOF) {
                    file.note(code);
                }
            }
            (Pending::Write { file, bytes }, Said::Status(code)) => {
                if let Some(file) = self.files.get(file) {
                    file.note(code);
                    if code == status::OK {
                        file.written.take(bytes);
                    } else {
                        file.written.spoil();
                    }
                }
            }
            _ => return Err(unasked()),
        }
        self.send(Side::Downstream, whole);
        Ok(())
    }

    fn refuse_handle(&mut self, id: u32) {
        self.refuse(id, status::FAILURE, "there is no such handle [sftp.handle]");
    }

    fn refuse_as(&mut self, id: u32, why: Refused) {
        let (code, text) = match why {
            Refused::Unknown => {
                (status::OP_UNSUPPORTED, "the gateway does not know what that does [sftp.unknown]")
            }
            Refused::Path => (
                status::FAILURE,
                "a path is UTF-8 without NUL and backslashes, of 4096 bytes at most [sftp.path]",
            ),
            Refused::Empty => (status::NO_SUCH_FILE, "a path is empty [sftp.path]"),
        };
        self.refuse(id, code, text);
    }

    /// The client gets an answer that is not the target's.
    fn refuse(&mut self, id: u32, code: u32, text: &str) {
        self.send(Side::Downstream, refusal(id, code, &format!("gatewright: {text}")));
    }

    fn finish(&mut self, event: EventId, outcome: Outcome) {
        self.does.push_back(Does::Finish(event, outcome));
    }

    /// Short packets that go the same way go together, as the peers themselves send them.
    fn send(&mut self, side: Side, bytes: Bytes) {
        const SHORT: usize = 4096;
        if let Some(Does::Send(last, before)) = self.does.back_mut()
            && *last == side
            && before.len() + bytes.len() <= SHORT
        {
            let mut both = bytes::BytesMut::from(std::mem::take(before));
            both.extend_from_slice(&bytes);
            *before = both.freeze();
            return;
        }
        self.does.push_back(Does::Send(side, bytes));
    }
}

impl Default for Sftp {
    fn default() -> Self {
        Self::new()
    }
}

impl Expected {
    const fn is(self, said: &Said) -> bool {
        matches!(
            (self, said),
            (Self::Attributes, Said::Attributes)
                | (Self::Names, Said::Names(..))
                | (Self::Extended, Said::Extended)
        )
    }
}

impl Malformed {
    fn of(self, fault: Side) -> ProtocolError {
        broken(fault, "a packet of SFTP is not what its type says, or too large")
    }
}

fn unasked() -> ProtocolError {
    broken(Side::Upstream, "an answer came that answers nothing")
}

fn broken(fault: Side, detail: &str) -> ProtocolError {
    let code = match fault {
        Side::Downstream => "sftp.protocol",
        Side::Upstream => "upstream.protocol",
    };
    ProtocolError { fault, code, detail: Arc::from(detail) }
}
