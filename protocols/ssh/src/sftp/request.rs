//! What a client asks for: each packet of it, read to its end.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::ssh::{FileAttributes, FileManner, FileVerb};

use super::{
    extension::Extension,
    path,
    wire::{Malformed, Reader, Writer, kind},
};

/// A request of the client.
#[derive(Debug)]
pub(super) struct Request {
    /// Its number for it.
    pub(super) id: u32,
    pub(super) asked: Asked,
}

#[derive(Debug)]
pub(super) enum Asked {
    /// Something with what was opened before, which was asked about then.
    Open(Bytes, OnOpen),
    /// What the server's limits are.
    Limits,
    /// Attributes of what was opened.
    SetAttributes { handle: Bytes, attributes: FileAttributes },
    /// What is in one open file goes into another.
    Copy { from: Bytes, to: Bytes },
    /// Something with a path, or two.
    Wanted(Wanted),
    /// Which path something is.
    Question(Question),
    /// It can not be asked about, and this is why.
    Refused(Refused),
}

/// What is done with something that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnOpen {
    Close,
    Read { offset: u64 },
    Stat,
    List,
    Sync,
    StatFileSystem,
}

/// Why nobody is asked about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// No extension that has a meaning here, or flags or attributes that have none.
    Unknown,
    /// A path that is none.
    Path,
    /// An empty path.
    Empty,
}

/// An operation that its paths are looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) verb: FileVerb,
    pub(super) manner: FileManner,
    pub(super) attributes: FileAttributes,
    pub(super) path: Arc<str>,
    /// Does it follow a link at the path's end?
    pub(super) follows_links: bool,
    pub(super) other: Option<Arc<str>>,
    /// For an open: is it read, is it written?
    pub(super) opens: Option<Opens>,
    kind: u8,
    extension: Option<Extension>,
    /// What follows the paths.
    tail: Bytes,
}

/// What an open yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    File { readable: bool, writable: bool },
    Directory,
}

/// A question whose answer is a path.
#[derive(Debug)]
pub(super) struct Question {
    /// What it is about; of a home directory a user.
    pub(super) text: Arc<str>,
    extension: Option<Extension>,
}

impl Request {
    pub(super) fn read(kind: u8, whole: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(whole);
        let id = reader.u32()?;
        let asked = match kind {
            kind::CLOSE => Asked::Open(reader.handle()?, OnOpen::Close),
            kind::READ => {
                let (handle, offset) = (reader.handle()?, reader.u64()?);
                reader.u32()?;
                Asked::Open(handle, OnOpen::Read { offset })
            }
            kind::FSTAT => Asked::Open(reader.handle()?, OnOpen::Stat),
            kind::READDIR => Asked::Open(reader.handle()?, OnOpen::List),
            kind::FSETSTAT => {
                let handle = reader.handle()?;
                match attributes(&mut reader)? {
                    Some(attributes) => Asked::SetAttributes { handle, attributes },
                    None => Asked::Refused(Refused::Unknown),
                }
            }
            kind::REALPATH => question(reader.string()?, None),
            kind::EXTENDED => extended(&mut reader)?,
            _ => wanted(kind, &mut reader)?,
        };
        reader.end()?;
        Ok(Self { id, asked })
    }
}

fn question(text: &[u8], extension: Option<Extension>) -> Asked {
    match path::read(text) {
        Some(text) => Asked::Question(Question { text, extension }),
        None => Asked::Refused(Refused::Path),
    }
}

fn extended(reader: &mut Reader<'_>) -> Result<Asked, Malformed> {
    let name = reader.string()?;
    let Some(extension) = Extension::by_name(name) else {
        // What it says is read by nobody.
        reader.skip();
        return Ok(Asked::Refused(Refused::Unknown));
    };
    Ok(match extension {
        Extension::FStatVfs => Asked::Open(reader.handle()?, OnOpen::StatFileSystem),
        Extension::FSync => Asked::Open(reader.handle()?, OnOpen::Sync),
        Extension::Limits => Asked::Limits,
        Extension::ExpandPath | Extension::HomeDirectory => question(reader.string()?, Some(extension)),
        Extension::CopyData => {
            let from = reader.handle()?;
            reader.u64()?;
            reader.u64()?;
            let to = reader.handle()?;
            reader.u64()?;
            Asked::Copy { from, to }
        }
        Extension::PosixRename => Parts::new(FileVerb::Rename)
            .manner(FileManner { replaces: true, ..FileManner::default() })
            .extension(extension)
            .two(reader)?,
        Extension::HardLink => Parts::new(FileVerb::HardLink).extension(extension).two(reader)?,
        Extension::StatVfs => {
            Parts::new(FileVerb::StatFileSystem).follows().extension(extension).one(reader)?
        }
        Extension::LSetStat => Parts::new(FileVerb::SetStat)
            .manner(FileManner { of_link: true, ..FileManner::default() })
            .extension(extension)
            .with_attributes(reader)?,
    })
}

fn wanted(kind: u8, reader: &mut Reader<'_>) -> Result<Asked, Malformed> {
    let parts = |verb| Parts { kind, ..Parts::new(verb) };
    match kind {
        kind::OPEN => open(parts(FileVerb::Read).follows(), reader),
        kind::OPENDIR => {
            Parts { opens: Some(Opens::Directory), ..parts(FileVerb::List).follows() }.one(reader)
        }
        kind::STAT => parts(FileVerb::Stat).follows().one(reader),
        kind::LSTAT => {
            parts(FileVerb::Stat).manner(FileManner { of_link: true, ..FileManner::default() }).one(reader)
        }
        kind::SETSTAT => parts(FileVerb::SetStat).follows().with_attributes(reader),
        kind::REMOVE => parts(FileVerb::Remove).one(reader),
        kind::MKDIR => parts(FileVerb::MakeDirectory).with_attributes(reader),
        kind::RMDIR => parts(FileVerb::RemoveDirectory).one(reader),
        kind::RENAME => parts(FileVerb::Rename).two(reader),
        kind::READLINK => parts(FileVerb::ReadLink).one(reader),
        kind::SYMLINK => {
            // OpenSSH's order, which is not the draft's: first what the link leads to (its file PROTOCOL, section 4.1).
            let (leads_to, path) = (reader.string()?, reader.string()?);
            Ok(parts(FileVerb::SymbolicLink).of(path, Some(leads_to), Bytes::new()))
        }
        _ => Err(Malformed),
    }
}

/// Flags of an open (section 6.3).
mod flag {
    pub(super) const READ: u32 = 0x01;
    pub(super) const WRITE: u32 = 0x02;
    pub(super) const APPEND: u32 = 0x04;
    pub(super) const CREATE: u32 = 0x08;
    pub(super) const TRUNCATE: u32 = 0x10;
    pub(super) const EXCLUSIVE: u32 = 0x20;
    pub(super) const ALL: u32 = READ | WRITE | APPEND | CREATE | TRUNCATE | EXCLUSIVE;
}

fn open(mut parts: Parts, reader: &mut Reader<'_>) -> Result<Asked, Malformed> {
    let path = reader.string()?;
    let tail = reader.tail();
    let flags = reader.u32()?;
    let Some(attributes) = attributes(reader)? else { return Ok(Asked::Refused(Refused::Unknown)) };
    let has = |flag| flags & flag != 0;
    let (readable, writable) = (has(flag::READ), has(flag::WRITE));
    if flags & !flag::ALL != 0 || !(readable || writable) {
        return Ok(Asked::Refused(Refused::Unknown));
    }
    // A server makes and empties files also for those who only want to read them.
    let changes = flags & !flag::READ != 0;
    parts.verb = match (readable, changes) {
        (true, false) => FileVerb::Read,
        (true, true) => FileVerb::ReadWrite,
        (false, _) => FileVerb::Write,
    };
    parts.manner = FileManner {
        creates: has(flag::CREATE),
        replaces: has(flag::TRUNCATE),
        appends: has(flag::APPEND),
        exclusive: has(flag::EXCLUSIVE),
        of_link: false,
    };
    parts.attributes = attributes;
    parts.opens = Some(Opens::File { readable, writable });
    Ok(parts.of(path, None, tail))
}

/// What is known of an operation before its paths are read.
struct Parts {
    verb: FileVerb,
    manner: FileManner,
    attributes: FileAttributes,
    follows: bool,
    opens: Option<Opens>,
    kind: u8,
    extension: Option<Extension>,
}

impl Parts {
    fn new(verb: FileVerb) -> Self {
        Self {
            verb,
            manner: FileManner::default(),
            attributes: FileAttributes::default(),
            follows: false,
            opens: None,
            kind: kind::EXTENDED,
            extension: None,
        }
    }

    const fn follows(self) -> Self {
        Self { follows: true, ..self }
    }

    const fn manner(self, manner: FileManner) -> Self {
        Self { manner, ..self }
    }

    const fn extension(self, extension: Extension) -> Self {
        Self { extension: Some(extension), ..self }
    }

    fn one(self, reader: &mut Reader<'_>) -> Result<Asked, Malformed> {
        let path = reader.string()?;
        Ok(self.of(path, None, Bytes::new()))
    }

    fn two(self, reader: &mut Reader<'_>) -> Result<Asked, Malformed> {
        let (path, other) = (reader.string()?, reader.string()?);
        Ok(self.of(path, Some(other), Bytes::new()))
    }

    fn with_attributes(mut self, reader: &mut Reader<'_>) -> Result<Asked, Malformed> {
        let path = reader.string()?;
        let tail = reader.tail();
        let Some(attributes) = attributes(reader)? else { return Ok(Asked::Refused(Refused::Unknown)) };
        self.attributes = attributes;
        // A file that gets another length loses what is behind it.
        self.manner.replaces |= attributes.size.is_some();
        Ok(self.of(path, None, tail))
    }

    fn of(self, path: &[u8], other: Option<&[u8]>, tail: Bytes) -> Asked {
        let Self { verb, manner, attributes, follows, opens, kind, extension } = self;
        if path.is_empty() || other.is_some_and(<[u8]>::is_empty) {
            return Asked::Refused(Refused::Empty);
        }
        let (Some(path), Some(other)) =
            (path::read(path), other.map_or(Some(None), |other| path::read(other).map(Some)))
        else {
            return Asked::Refused(Refused::Path);
        };
        Asked::Wanted(Wanted {
            verb,
            manner,
            attributes,
            path,
            follows_links: follows,
            other,
            opens,
            kind,
            extension,
            tail,
        })
    }
}

impl Wanted {
    /// The request with these paths. Of a symbolic link, what it leads to is a text, and stays what it was.
    pub(super) fn written(&self, id: u32, path: &str, other: Option<&str>) -> Bytes {
        let mut packet = Writer::new(self.kind, id);
        if let Some(extension) = self.extension {
            packet = packet.string(extension.name());
        }
        let packet = match (&self.other, other) {
            (Some(leads_to), _) if self.verb == FileVerb::SymbolicLink => {
                packet.string(&**leads_to).string(path)
            }
            (_, Some(other)) => packet.string(path).string(other),
            _ => packet.string(path),
        };
        packet.raw(&self.tail).finish()
    }

    /// The extension that it is a request of.
    pub(super) const fn extension(&self) -> Option<Extension> {
        self.extension
    }
}

impl Question {
    pub(super) fn written(&self, id: u32) -> Bytes {
        match self.extension {
            Some(extension) => Writer::new(kind::EXTENDED, id).string(extension.name()).string(&*self.text),
            None => Writer::new(kind::REALPATH, id).string(&*self.text),
        }
        .finish()
    }

    /// The extension that it is a request of.
    pub(super) const fn extension(&self) -> Option<Extension> {
        self.extension
    }
}

/// Asks which path this one is.
pub(super) fn real_path(path: &str, id: u32) -> Bytes {
    Writer::new(kind::REALPATH, id).string(path).finish()
}

/// Attributes that are to be set (section 5). None: there are some that have no meaning here.
fn attributes(reader: &mut Reader<'_>) -> Result<Option<FileAttributes>, Malformed> {
    let (attributes, others) = super::reply::attributes(reader)?;
    Ok((!others).then_some(attributes))
}
