//! The operation that is dealt with: which paths it is about, what is asked, and what becomes of it.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::{
    id::EventId,
    session::{Outcome, OutcomeResult, ProtocolError, Side},
    ssh::{FileAttributes, FileManner, FileOperation, FileVerb},
};

use super::{
    Does, Expected, Pending, Sftp, Stage, broken,
    extension::Extension,
    files::ended,
    path,
    reply::{Said, refusal, status},
    request::{self, Question, Refused, Wanted},
    unasked,
    wire::with_id,
};

/// An operation of which it is not decided yet.
#[derive(Debug)]
pub(super) struct Asking {
    /// The client's number for it.
    id: u32,
    what: What,
    /// None: it is not asked about yet.
    event: Option<EventId>,
    leave: Leave,
}

/// What was said of it.
#[derive(Debug, PartialEq, Eq)]
enum Leave {
    /// Nothing yet.
    Open,
    /// A person looks at it, and that takes a while.
    Held,
    /// The person has permitted it with these paths, which are looked for again: what is there may be somebody else's by now.
    Given { path: Arc<str>, other: Option<Arc<str>> },
}

impl Asking {
    const fn new(id: u32, what: What) -> Self {
        Self { id, what, event: None, leave: Leave::Open }
    }
}

#[derive(Debug)]
enum What {
    Wanted {
        wanted: Wanted,
        /// As the target has resolved them.
        path: Option<Arc<str>>,
        other: Option<Arc<str>>,
        /// What the target has said in place of that.
        failed: Option<Failed>,
    },
    Question {
        question: Question,
        /// The answer, that the client gets if it may.
        answer: Option<(u32, Bytes)>,
    },
    /// Something with files that are open, as the client has sent it, and what becomes of the content of one.
    OnOpen { whole: Bytes, file: EventId, change: Change },
}

/// What becomes of the content of an open file.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    Length(u64),
    Anything,
}

/// A path that the target could not resolve.
#[derive(Debug)]
struct Failed {
    code: u32,
    /// Its answer.
    status: Bytes,
}

impl Sftp {
    /// Looks for the paths of an operation.
    pub(super) fn look_up(&mut self, id: u32, wanted: Wanted) {
        let what = What::Wanted { wanted, path: None, other: None, failed: None };
        self.asking = Some(Asking::new(id, what));
        self.resolve();
    }

    /// Asks the target which path something is.
    pub(super) fn question(&mut self, id: u32, question: Question) {
        let own = self.own_id(Some(id));
        let packet = question.written(own);
        self.asking = Some(Asking::new(id, What::Question { question, answer: None }));
        self.pass(own, Pending::Own, packet);
    }

    pub(super) fn ask_to_set(&mut self, id: u32, handle: &Bytes, attributes: FileAttributes, whole: Bytes) {
        let Some(file) = self.files.find(handle) else { return self.refuse_handle(id) };
        let manner = FileManner { replaces: attributes.size.is_some(), ..FileManner::default() };
        let change = attributes.size.map_or(Change::Nothing, Change::Length);
        let operation = FileOperation {
            manner,
            attributes,
            ..FileOperation::new(FileVerb::SetStat, Arc::clone(&file.path))
        };
        let what = What::OnOpen { whole, file: file.event, change };
        self.asking = Some(Asking::new(id, what));
        self.does.push_back(Does::Ask(operation));
    }

    pub(super) fn ask_to_copy(&mut self, id: u32, from: &Bytes, to: &Bytes, whole: Bytes) {
        if !self.has(Some(Extension::CopyData)) {
            return self.refuse_as(id, Refused::Unknown);
        }
        let (Some(from), Some(to)) = (self.files.find(from), self.files.find(to)) else {
            return self.refuse_handle(id);
        };
        if !from.is_readable() || !to.is_writable() {
            return self.refuse(id, status::PERMISSION_DENIED, "it was not opened for that [sftp.handle]");
        }
        let operation = FileOperation {
            other_path: Some(Arc::clone(&to.path)),
            ..FileOperation::new(FileVerb::Copy, Arc::clone(&from.path))
        };
        let what = What::OnOpen { whole, file: to.event, change: Change::Anything };
        self.asking = Some(Asking::new(id, what));
        self.does.push_back(Does::Ask(operation));
    }

    /// Asks the target about the next path that is not known, or asks about the operation when all are.
    fn resolve(&mut self) {
        let Some(Asking { id, what: What::Wanted { wanted, path, other, failed }, .. }) = &self.asking
        else {
            return;
        };
        let id = *id;
        let next = match &wanted.other {
            _ if failed.is_some() => None,
            _ if path.is_none() => Some(Place::of(&wanted.path, wanted.follows(), &self.home)),
            // Of a symbolic link it is a text, which may lead anywhere or nowhere.
            Some(text) if other.is_none() && wanted.verb != FileVerb::SymbolicLink => {
                Some(Place::of(text, false, &self.home))
            }
            _ => None,
        };
        match next {
            Some(place) => {
                let own = self.own_id(Some(id));
                let packet = request::real_path(place.directory, own);
                self.pass(own, Pending::Own, packet);
            }
            None if matches!(self.asking, Some(Asking { leave: Leave::Given { .. }, .. })) => {
                self.compare()
            }
            None => self.ask(),
        }
    }

    /// The paths of what a person has permitted are known again: it is done where they are the same.
    fn compare(&mut self) {
        let Some(Asking { id, what, event: Some(event), leave: Leave::Given { path, other } }) =
            self.asking.take()
        else {
            return;
        };
        match what {
            What::Wanted { wanted, path: Some(now), other: other_now, failed: None }
                if now == path && other_now == other =>
            {
                self.carry_out(id, event, &wanted, path, other);
            }
            _ => {
                self.finish(event, refused("sftp.changed"));
                let text = "what was approved leads elsewhere now: try again [sftp.changed]";
                self.refuse(id, status::FAILURE, text);
            }
        }
    }

    /// Its paths can not be known.
    fn drop_asking(&mut self) {
        if let Some(event) = self.withdraw() {
            self.finish(event, refused("sftp.changed"));
        }
    }

    /// Sends an operation with the paths that were judged.
    fn carry_out(
        &mut self,
        id: u32,
        event: EventId,
        wanted: &Wanted,
        path: Arc<str>,
        other: Option<Arc<str>>,
    ) {
        let packet = wanted.written(id, &path, other.as_deref());
        let pending = match wanted.opens {
            Some(opens) => Pending::Opening { event, path, opens },
            None => Pending::Once(event, expected(wanted.verb)),
        };
        self.pass(id, pending, packet);
    }

    /// The target has answered a question of the gateway's.
    pub(super) fn answered(&mut self, said: Said, whole: &Bytes) -> Result<(), ProtocolError> {
        let answer = match said {
            Said::Status(code) if code != status::OK => Err(code),
            Said::Names(name, 1) => Ok(path::canonical(&name)),
            _ => return Err(unasked()),
        };
        if self.stage == Stage::Settling {
            let Ok(Some(home)) = answer else {
                return Err(broken(Side::Upstream, "the target does not say where relative paths begin"));
            };
            self.home = home;
            self.stage = Stage::Ready;
            return Ok(());
        }
        let Some(Asking { id, what, .. }) = &mut self.asking else { return Err(unasked()) };
        let id = *id;
        if matches!(answer, Ok(None)) {
            self.drop_asking();
            self.refuse(id, status::FAILURE, "the target does not say which path that is [sftp.path]");
            return Ok(());
        }
        match what {
            What::Question { answer: kept, .. } => {
                *kept = Some((answer.err().unwrap_or(status::OK), with_id(whole, id)));
                self.ask();
            }
            What::Wanted { wanted, path, other, failed } => {
                match answer {
                    Err(code) => *failed = Some(Failed { code, status: with_id(whole, id) }),
                    Ok(found) => {
                        let (text, follows, slot) = match &wanted.other {
                            Some(text) if path.is_some() => (text, false, other),
                            _ => (&wanted.path, wanted.follows(), path),
                        };
                        let place = Place::of(text, follows, &self.home);
                        let found = found.and_then(|found| match place.name {
                            Some(name) => path::join(&found, name),
                            None => Some(found),
                        });
                        if found.is_none() {
                            self.drop_asking();
                            self.refuse_as(id, Refused::Path);
                            return Ok(());
                        }
                        *slot = found;
                    }
                }
                self.resolve();
            }
            What::OnOpen { .. } => return Err(unasked()),
        }
        Ok(())
    }

    /// All that can be known of it is known.
    fn ask(&mut self) {
        let operation = match &self.asking {
            Some(Asking { what: What::Wanted { wanted, path, other, .. }, .. }) => {
                let known = |known: &Option<Arc<str>>, text: &str| {
                    known.clone().unwrap_or_else(|| Arc::from(path::lexical(&self.home, text)))
                };
                let path = known(path, &wanted.path);
                let other_path = wanted.other.as_ref().map(|text| {
                    if wanted.verb == FileVerb::SymbolicLink {
                        let directory = path::split(&path).map_or("/", |(directory, _)| directory);
                        return Arc::from(path::lexical(directory, text));
                    }
                    known(other, text)
                });
                let Wanted { verb, manner, attributes, .. } = *wanted;
                FileOperation { verb, path, other_path, manner, attributes }
            }
            Some(Asking { what: What::Question { question, answer }, .. }) => {
                let found = answer.as_ref().filter(|(code, _)| *code == status::OK);
                let found = found.and_then(|(_, whole)| first_name(whole));
                let path = found.unwrap_or_else(|| Arc::from(path::lexical(&self.home, &question.text)));
                FileOperation::new(FileVerb::RealPath, path)
            }
            _ => return,
        };
        self.does.push_back(Does::Ask(operation));
    }

    /// It is asked about, as this event.
    pub fn asked(&mut self, event: EventId) {
        if let Some(asking) = &mut self.asking {
            asking.event = Some(event);
        }
    }

    /// Is it this event that is asked about?
    pub fn asks(&self, event: EventId) -> bool {
        let is_open = |asking: &&Asking| !matches!(asking.leave, Leave::Given { .. });
        self.asking.as_ref().filter(is_open).is_some_and(|asking| asking.event == Some(event))
    }

    /// A person is asked about it.
    pub fn held(&mut self) {
        if let Some(asking) = &mut self.asking {
            asking.leave = Leave::Held;
        }
    }

    /// Nothing is done with it any more. The event of one that was permitted.
    pub(super) fn withdraw(&mut self) -> Option<EventId> {
        let asking = self.asking.take()?;
        asking.event.filter(|_| matches!(asking.leave, Leave::Given { .. }))
    }

    /// The operation that is asked about may be done.
    ///
    /// # Errors
    ///
    /// As [`Sftp::hear`]: what waited behind it is looked at.
    pub fn permitted(&mut self) -> Result<(), ProtocolError> {
        let Some(Asking { id, what, event: Some(event), leave }) = self.asking.take() else {
            return Ok(());
        };
        match what {
            What::Wanted { wanted, path: Some(path), other, failed: None } if leave == Leave::Held => {
                let what = What::Wanted { wanted, path: None, other: None, failed: None };
                let leave = Leave::Given { path, other };
                self.asking = Some(Asking { id, what, event: Some(event), leave });
                self.resolve();
            }
            What::Wanted { failed: Some(Failed { code, status }), .. } => {
                self.send(Side::Downstream, status);
                self.finish(event, ended(code));
            }
            What::Wanted { wanted, path: Some(path), other, .. } => {
                self.carry_out(id, event, &wanted, path, other);
            }
            What::Question { answer: Some((code, answer)), .. } => {
                self.send(Side::Downstream, answer);
                self.finish(event, ended(code));
            }
            What::OnOpen { whole, file, change } => {
                match (self.files.get(file), change) {
                    (Some(file), Change::Length(size)) => file.written.cut(size),
                    (Some(file), Change::Anything) => file.written.spoil(),
                    _ => {}
                }
                self.pass(id, Pending::Once(event, Expected::Status), whole);
            }
            // It was not asked about before that.
            What::Wanted { .. } | What::Question { .. } => {}
        }
        self.go_on()
    }

    /// It may not, and this is what the client is told.
    ///
    /// # Errors
    ///
    /// As [`Sftp::hear`]: what waited behind it is looked at.
    pub fn denied(&mut self, text: &str) -> Result<(), ProtocolError> {
        if let Some(asking) = self.asking.take() {
            self.send(Side::Downstream, refusal(asking.id, status::PERMISSION_DENIED, text));
        }
        self.go_on()
    }

    /// It was permitted, and can not be done as it is permitted.
    ///
    /// # Errors
    ///
    /// As [`Sftp::hear`]: what waited behind it is looked at.
    pub fn withheld(&mut self, code: &str, text: &str) -> Result<(), ProtocolError> {
        if let Some(event) = self.asking.as_ref().and_then(|asking| asking.event) {
            self.finish(event, refused(code));
        }
        self.denied(text)
    }
}

/// What became of something that was permitted, and of which nothing was sent.
pub(super) fn refused(code: &str) -> Outcome {
    Outcome { result: OutcomeResult::Refused, code: Some(Arc::from(code)), ..Outcome::default() }
}

/// What the target is asked about a path, and what is kept of it.
struct Place<'a> {
    directory: &'a str,
    name: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// `home`: where a name without a directory is, as the target has said it.
    fn of(path: &'a str, follows: bool, home: &'a str) -> Self {
        match path::split(path).filter(|_| !follows) {
            Some((".", name)) => Self { directory: home, name: Some(name) },
            Some((directory, name)) => Self { directory, name: Some(name) },
            None => Self { directory: path, name: None },
        }
    }
}

impl Wanted {
    /// Is it about what a link leads to? A link with a slash behind it is what it leads to.
    fn follows(&self) -> bool {
        self.follows_links || (self.verb == FileVerb::Stat && self.path.ends_with('/'))
    }
}

const fn expected(verb: FileVerb) -> Expected {
    match verb {
        FileVerb::Stat => Expected::Attributes,
        FileVerb::ReadLink => Expected::Names,
        FileVerb::StatFileSystem => Expected::Extended,
        _ => Expected::Status,
    }
}

fn first_name(whole: &Bytes) -> Option<Arc<str>> {
    match super::Reply::read(super::kind::NAME, whole).ok()?.said {
        Said::Names(name, _) => path::canonical(&name),
        _ => None,
    }
}
