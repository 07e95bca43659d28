//! A list or a table that streams past: one object of it is held at a time.

use std::sync::Arc;

use bytes::BytesMut;
use gatewright_http::{filter::Filter, refusal::Refusal};

use super::{
    malformed,
    object::Objects,
    split::{Piece, Splitter, text},
};

/// Shows the objects of a list.
#[derive(Debug)]
pub(super) struct ListFilter {
    objects: Objects,
    splitter: Splitter,
    writer: Writer,
    /// What was made of the last piece.
    made: Vec<u8>,
}

/// Where in what is written a comma is needed.
#[derive(Debug, Default)]
struct Writer {
    members: u64,
    elements: u64,
    is_table: bool,
    /// A `Status` may stand in its place.
    may_be_status: bool,
}

impl ListFilter {
    pub(super) fn new(objects: Objects) -> Self {
        Self {
            objects,
            splitter: Splitter::new(&["items", "rows"]),
            writer: Writer::default(),
            made: Vec::new(),
        }
    }

    /// For the answer to the deletion of all of them: they, or a `Status`.
    pub(super) fn of_deleted(objects: Objects) -> Self {
        let writer = Writer { may_be_status: true, ..Writer::default() };
        Self { writer, ..Self::new(objects) }
    }
}

impl Writer {
    fn piece(&mut self, piece: Piece<'_>, objects: &mut Objects, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match piece {
            Piece::Begin => {
                self.members = 0;
                out.push(b'{');
            }
            Piece::Member(name, value) => {
                let own = text(name)?;
                check(&own, value, self.may_be_status)?;
                self.name(name, out);
                match &*own {
                    "metadata" => objects.show_list_metadata(value, out)?,
                    _ => out.extend_from_slice(value),
                }
            }
            Piece::List(name) => {
                self.is_table = text(name)? == "rows";
                self.elements = 0;
                self.name(name, out);
                out.push(b'[');
            }
            Piece::Element(element) => {
                let before = out.len();
                if self.elements > 0 {
                    out.push(b',');
                }
                let is_shown = if self.is_table {
                    objects.show_row(element, out)?
                } else {
                    objects.show(element, out)?
                };
                if is_shown {
                    self.elements += 1;
                } else {
                    out.truncate(before);
                }
            }
            Piece::ListEnd => out.push(b']'),
            Piece::End | Piece::Document(_) => out.extend_from_slice(b"}\n"),
        }
        Ok(())
    }

    fn name(&mut self, name: &[u8], out: &mut Vec<u8>) {
        if self.members > 0 {
            out.push(b',');
        }
        self.members += 1;
        out.extend_from_slice(name);
        out.push(b':');
    }
}

/// What a list has besides objects, or what a `Status` is made of. What else there is would pass without being looked at.
fn check(name: &str, value: &[u8], may_be_status: bool) -> Result<(), Refusal> {
    let is_known = match name {
        "kind" | "apiVersion" | "metadata" | "columnDefinitions" => true,
        "status" | "message" | "reason" | "details" | "code" => may_be_status,
        // An empty list of some writers.
        "items" | "rows" => value == b"null",
        _ => false,
    };
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok();
    if is_known && is_json { Ok(()) } else { Err(malformed("a list has a member that is not known")) }
}

impl Filter for ListFilter {
    fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Refusal> {
        let Self { objects, splitter, writer, made } = self;
        splitter.push(piece, &mut |piece| writer.piece(piece, objects, made))?;
        out.extend_from_slice(made);
        made.clear();
        Ok(())
    }

    fn finish(&mut self, _out: &mut BytesMut) -> Result<(), Refusal> {
        if self.splitter.is_outside() && self.splitter.documents() == 1 {
            Ok(())
        } else {
            Err(malformed("a list is not whole"))
        }
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        self.objects.masked()
    }
}
