//! The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02): cut from what a side sends, read and written. The one place where bytes
//! are sliced.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Types of packets (section 3).
pub(super) mod kind {
    pub(in crate::sftp) const INIT: u8 = 1;
    pub(in crate::sftp) const VERSION: u8 = 2;
    pub(in crate::sftp) const OPEN: u8 = 3;
    pub(in crate::sftp) const CLOSE: u8 = 4;
    pub(in crate::sftp) const READ: u8 = 5;
    pub(in crate::sftp) const WRITE: u8 = 6;
    pub(in crate::sftp) const LSTAT: u8 = 7;
    pub(in crate::sftp) const FSTAT: u8 = 8;
    pub(in crate::sftp) const SETSTAT: u8 = 9;
    pub(in crate::sftp) const FSETSTAT: u8 = 10;
    pub(in crate::sftp) const OPENDIR: u8 = 11;
    pub(in crate::sftp) const READDIR: u8 = 12;
    pub(in crate::sftp) const REMOVE: u8 = 13;
    pub(in crate::sftp) const MKDIR: u8 = 14;
    pub(in crate::sftp) const RMDIR: u8 = 15;
    pub(in crate::sftp) const REALPATH: u8 = 16;
    pub(in crate::sftp) const STAT: u8 = 17;
    pub(in crate::sftp) const RENAME: u8 = 18;
    pub(in crate::sftp) const READLINK: u8 = 19;
    pub(in crate::sftp) const SYMLINK: u8 = 20;
    pub(in crate::sftp) const STATUS: u8 = 101;
    pub(in crate::sftp) const HANDLE: u8 = 102;
    pub(in crate::sftp) const DATA: u8 = 103;
    pub(in crate::sftp) const NAME: u8 = 104;
    pub(in crate::sftp) const ATTRS: u8 = 105;
    pub(in crate::sftp) const EXTENDED: u8 = 200;
    pub(in crate::sftp) const EXTENDED_REPLY: u8 = 201;
}

/// The version that is spoken.
pub(super) const VERSION: u32 = 3;

/// The largest packet without its length, in bytes: OpenSSH's `SFTP_MAX_MSG_LENGTH`.
const LARGEST_PACKET: usize = 256 << 10;

/// The longest handle, in bytes (section 6.2).
pub(super) const LONGEST_HANDLE: usize = 256;

/// A packet is not what its type says, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What a side sends, until it is looked at.
#[derive(Debug)]
pub(super) struct Inlet {
    held: BytesMut,
    /// Bytes of a content that are still to come.
    content: usize,
    /// The type of packets whose content is not waited for.
    streamed: u8,
}

/// The next thing of what a side has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole packet, as it was sent.
    Packet { kind: u8, whole: Bytes },
    /// A packet with content, of which no more than the first `head` bytes were waited for.
    Begin { bytes: Bytes, head: usize },
    /// More of that content.
    Content(Bytes),
}

impl Inlet {
    pub(super) fn of_client() -> Self {
        Self { held: BytesMut::new(), content: 0, streamed: kind::WRITE }
    }

    pub(super) fn of_target() -> Self {
        Self { held: BytesMut::new(), content: 0, streamed: kind::DATA }
    }

    pub(super) fn push(&mut self, data: Bytes) {
        if self.held.is_empty() {
            // Without a copy, where nobody else has it.
            self.held = BytesMut::from(data);
        } else {
            self.held.extend_from_slice(&data);
        }
    }

    /// None: it has to send more.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Malformed> {
        if self.content > 0 {
            let size = self.content.min(self.held.len());
            self.content -= size;
            return Ok((size > 0).then(|| Piece::Content(self.held.split_to(size).freeze())));
        }
        let (Some(length), Some(kind)) = (self.held.first_chunk(), self.held.get(4).copied()) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if !(1..=LARGEST_PACKET).contains(&length) {
            return Err(Malformed);
        }
        let whole = 4 + length;
        if kind == self.streamed {
            let Some((head, content)) = self.head()? else {
                return if self.held.len() < whole { Ok(None) } else { Err(Malformed) };
            };
            if head.checked_add(content) != Some(whole) {
                return Err(Malformed);
            }
            let there = whole.min(self.held.len());
            self.content = whole - there;
            return Ok(Some(Piece::Begin { bytes: self.held.split_to(there).freeze(), head }));
        }
        if self.held.len() < whole {
            return Ok(None);
        }
        Ok(Some(Piece::Packet { kind, whole: self.held.split_to(whole).freeze() }))
    }

    /// How long the part of a packet before its content is, and how long the content. None: it is not there yet.
    fn head(&self) -> Result<Option<(usize, usize)>, Malformed> {
        // Length, type, id.
        let mut at = 9;
        if self.streamed == kind::WRITE {
            let Some(handle) = self.number(at) else { return Ok(None) };
            if handle > LONGEST_HANDLE {
                return Err(Malformed);
            }
            // The handle with its length, and the offset.
            at += 4 + handle + 8;
        }
        Ok(self.number(at).map(|content| (at + 4, content)))
    }

    fn number(&self, at: usize) -> Option<usize> {
        let bytes = self.held.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes) as usize)
    }
}

/// Reads a packet from front to back.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Of a whole packet, or of the head of one: behind its length and its type.
    pub(super) fn new(whole: &'a Bytes) -> Self {
        Self { whole, rest: whole.get(5..).unwrap_or_default() }
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*taken))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*taken))
    }

    /// A string, which is bytes.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let size = self.u32()? as usize;
        self.take(size)
    }

    pub(super) fn handle(&mut self) -> Result<Bytes, Malformed> {
        let handle = self.string()?;
        if handle.len() > LONGEST_HANDLE { Err(Malformed) } else { Ok(self.whole.slice_ref(handle)) }
    }

    /// What is left, as it was sent; it is read on with this reader.
    pub(super) fn tail(&self) -> Bytes {
        self.whole.slice_ref(self.rest)
    }

    /// Leaves the rest unread.
    pub(super) const fn skip(&mut self) {
        self.rest = &[];
    }

    pub(super) const fn is_at_the_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// There is nothing more: whoever reads on might find something else in it.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.is_at_the_end() { Ok(()) } else { Err(Malformed) }
    }
}

/// Writes a packet.
#[derive(Debug)]
pub(super) struct Writer(BytesMut);

impl Writer {
    pub(super) fn new(kind: u8, id: u32) -> Self {
        let mut packet = BytesMut::with_capacity(64);
        packet.put_u32(0);
        packet.put_u8(kind);
        packet.put_u32(id);
        Self(packet)
    }

    pub(super) fn u32(mut self, number: u32) -> Self {
        self.0.put_u32(number);
        self
    }

    pub(super) fn string(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.0.put_u32(text.len() as u32);
        self.0.put_slice(text);
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.put_slice(bytes);
        self
    }

    pub(super) fn finish(mut self) -> Bytes {
        let length = self.0.len().saturating_sub(4) as u32;
        if let Some(field) = self.0.first_chunk_mut() {
            *field = length.to_be_bytes();
        }
        self.0.freeze()
    }
}

/// The content of a packet behind its head.
pub(super) fn behind(bytes: &Bytes, head: usize) -> Bytes {
    if head >= bytes.len() { Bytes::new() } else { bytes.slice(head..) }
}

/// The same packet with another id.
pub(super) fn with_id(packet: &Bytes, id: u32) -> Bytes {
    let mut packet = BytesMut::from(&**packet);
    if let Some(field) = packet.get_mut(5..9) {
        field.copy_from_slice(&id.to_be_bytes());
    }
    packet.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = (body.len() as u32 + 1).to_be_bytes().to_vec();
        packet.push(kind);
        packet.extend_from_slice(body);
        packet
    }

    fn write(content: &[u8]) -> Vec<u8> {
        let writer = Writer::new(kind::WRITE, 7).string("h").raw(&[0; 8]).string(content);
        writer.finish().to_vec()
    }

    /// What was cut, put together again: kinds of packets, and contents without seams.
    fn cut(inlet: &mut Inlet, pieces: &[&[u8]]) -> Result<Vec<(u8, Vec<u8>)>, Malformed> {
        let mut all = Vec::new();
        for piece in pieces {
            inlet.push(Bytes::copy_from_slice(piece));
            while let Some(piece) = inlet.next()? {
                match piece {
                    Piece::Packet { kind, whole } => all.push((kind, whole.to_vec())),
                    Piece::Begin { bytes, .. } => all.push((0, bytes.to_vec())),
                    Piece::Content(bytes) => all.last_mut().unwrap().1.extend_from_slice(&bytes),
                }
            }
        }
        Ok(all)
    }

    #[test]
    fn packets_are_the_same_however_they_come() {
        let stream =
            [packet(kind::STAT, b"abc"), write(b"hello"), write(b""), packet(kind::REMOVE, b"")].concat();
        let whole = cut(&mut Inlet::of_client(), &[&stream]).unwrap();
        assert_eq!(
            whole.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
            [kind::STAT, 0, 0, kind::REMOVE]
        );
        assert_eq!(whole[1].1, write(b"hello"));
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(cut(&mut Inlet::of_client(), &bytes).unwrap(), whole);
        for at in 0..stream.len() {
            let (left, right) = stream.split_at(at);
            assert_eq!(cut(&mut Inlet::of_client(), &[left, right]).unwrap(), whole);
        }
    }

    #[test]
    fn a_content_is_passed_on_before_it_is_there() {
        let mut inlet = Inlet::of_client();
        let packet = write(&[9; 1000]);
        inlet.push(Bytes::copy_from_slice(&packet[..40]));
        assert_eq!(
            inlet.next(),
            Ok(Some(Piece::Begin { bytes: Bytes::copy_from_slice(&packet[..40]), head: 26 }))
        );
        assert_eq!(inlet.next(), Ok(None));
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        for stream in [
            vec![0, 0, 0, 0, 1],
            vec![0, 4, 0, 1, 1],
            vec![0xff, 0xff, 0xff, 0xff, 1],
            // A content that is longer, or shorter, than its packet.
            Writer::new(kind::WRITE, 7).string("h").raw(&[0; 8]).u32(9).raw(b"x").finish().to_vec(),
            Writer::new(kind::WRITE, 7).string("h").raw(&[0; 8]).u32(0).raw(b"x").finish().to_vec(),
            Writer::new(kind::WRITE, 7).string("h").finish().to_vec(),
            Writer::new(kind::WRITE, 7).string([0; 257]).raw(&[0; 8]).u32(0).finish().to_vec(),
            Writer::new(kind::WRITE, 7).u32(u32::MAX).finish().to_vec(),
        ] {
            assert_eq!(cut(&mut Inlet::of_client(), &[&stream]), Err(Malformed), "{stream:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_without_a_panic_and_alike(stream in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..80) {
            let whole = cut(&mut Inlet::of_client(), &[&stream]);
            let (left, right) = stream.split_at(at.min(stream.len()));
            prop_assert_eq!(cut(&mut Inlet::of_client(), &[left, right]), whole);
        }
    }
}
