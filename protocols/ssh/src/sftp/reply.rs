//! What a target answers, read to its end, and what the gateway answers in its place.

use bytes::Bytes;
use gatewright_model::ssh::FileAttributes;

use super::wire::{Malformed, Reader, Writer, kind};

/// Codes of a status (section 7).
pub(super) mod status {
    pub(in crate::sftp) const OK: u32 = 0;
    pub(in crate::sftp) const EOF: u32 = 1;
    pub(in crate::sftp) const NO_SUCH_FILE: u32 = 2;
    pub(in crate::sftp) const PERMISSION_DENIED: u32 = 3;
    pub(in crate::sftp) const FAILURE: u32 = 4;
    pub(in crate::sftp) const OP_UNSUPPORTED: u32 = 8;

    /// The word that records use. None: it is well.
    pub(in crate::sftp) const fn word(code: u32) -> Option<&'static str> {
        Some(match code {
            OK => return None,
            EOF => "sftp.eof",
            NO_SUCH_FILE => "sftp.no_such_file",
            PERMISSION_DENIED => "sftp.permission_denied",
            5 => "sftp.bad_message",
            6 => "sftp.no_connection",
            7 => "sftp.connection_lost",
            OP_UNSUPPORTED => "sftp.op_unsupported",
            _ => "sftp.failure",
        })
    }
}

/// An answer of the target, but for contents.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) id: u32,
    pub(super) said: Said,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Status(u32),
    Handle(Bytes),
    /// The first name, and how many there are.
    Names(Bytes, u32),
    Attributes,
    Extended,
}

impl Reply {
    pub(super) fn read(kind: u8, whole: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(whole);
        let id = reader.u32()?;
        let said = match kind {
            kind::STATUS => {
                let code = reader.u32()?;
                // Servers of older versions say no more.
                if !reader.is_at_the_end() {
                    reader.string()?;
                    reader.string()?;
                }
                Said::Status(code)
            }
            kind::HANDLE => Said::Handle(reader.handle()?),
            kind::NAME => names(&mut reader)?,
            kind::ATTRS => {
                attributes(&mut reader)?;
                Said::Attributes
            }
            // Of the extensions that have a meaning here, all that are answered so are answered with numbers.
            kind::EXTENDED_REPLY => return Ok(Self { id, said: Said::Extended }),
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(Self { id, said })
    }
}

fn names(reader: &mut Reader<'_>) -> Result<Said, Malformed> {
    let count = reader.u32()?;
    let mut first = None;
    for _ in 0..count {
        let name = reader.string()?;
        reader.string()?;
        attributes(reader)?;
        first.get_or_insert(name);
    }
    Ok(Said::Names(Bytes::copy_from_slice(first.unwrap_or_default()), count))
}

/// Attributes (section 5), and whether there are more than these.
pub(super) fn attributes(reader: &mut Reader<'_>) -> Result<(FileAttributes, bool), Malformed> {
    const SIZE: u32 = 1;
    const OWNER: u32 = 2;
    const PERMISSIONS: u32 = 4;
    const TIMES: u32 = 8;
    const EXTENDED: u32 = 1 << 31;
    let flags = reader.u32()?;
    if flags & !(SIZE | OWNER | PERMISSIONS | TIMES | EXTENDED) != 0 {
        return Err(Malformed);
    }
    let mut attributes = FileAttributes::default();
    if flags & SIZE != 0 {
        attributes.size = Some(reader.u64()?);
    }
    if flags & OWNER != 0 {
        attributes.owner = Some((reader.u32()?, reader.u32()?));
    }
    if flags & PERMISSIONS != 0 {
        attributes.permissions = Some(reader.u32()?);
    }
    if flags & TIMES != 0 {
        attributes.times = Some((reader.u32()?, reader.u32()?));
    }
    if flags & EXTENDED != 0 {
        for _ in 0..reader.u32()? {
            reader.string()?;
            reader.string()?;
        }
    }
    Ok((attributes, flags & EXTENDED != 0))
}

/// A status of the gateway's own.
pub(super) fn refusal(id: u32, code: u32, text: &str) -> Bytes {
    Writer::new(kind::STATUS, id).u32(code).string(text).string("en").finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end() {
        let names = |count, tail: &[u8]| {
            Writer::new(kind::NAME, 7).u32(count).string("/a").string("long").u32(0).raw(tail).finish()
        };
        let one = Reply { id: 7, said: Said::Names(Bytes::from_static(b"/a"), 1) };
        assert_eq!(Reply::read(kind::NAME, &names(1, b"")), Ok(one));
        assert_eq!(Reply::read(kind::NAME, &names(1, b"x")), Err(Malformed));
        assert_eq!(Reply::read(kind::NAME, &names(2, b"")), Err(Malformed));
        assert_eq!(Reply::read(kind::NAME, &names(u32::MAX, b"")), Err(Malformed));
        let short = Writer::new(kind::STATUS, 7).u32(2).finish();
        assert_eq!(Reply::read(kind::STATUS, &short), Ok(Reply { id: 7, said: Said::Status(2) }));
        let unknown = Writer::new(kind::ATTRS, 7).u32(0x10).u32(0).finish();
        assert_eq!(Reply::read(kind::ATTRS, &unknown), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..60)) {
            let whole = Bytes::from([&[0, 0, 0, 0, kind][..], &body].concat());
            let _ = Reply::read(kind, &whole);
            let _ = super::super::request::Request::read(kind, &whole);
        }
    }
}
