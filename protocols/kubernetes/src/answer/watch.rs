//! Documents one after another: the events of a watch, or one object alone.

use std::{borrow::Cow, sync::Arc};

use bytes::BytesMut;
use gatewright_http::{filter::Filter, refusal::Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    malformed,
    object::{Objects, put_name},
    split::{Piece, Splitter},
};

/// Shows documents.
#[derive(Debug)]
pub(super) struct WatchFilter {
    objects: Objects,
    splitter: Splitter,
    /// Each document is an event. If not, there is one document, and it is an object.
    has_events: bool,
    /// What was made of the last piece.
    made: Vec<u8>,
}

/// `metav1.WatchEvent`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl WatchFilter {
    pub(super) const fn new(objects: Objects) -> Self {
        Self { objects, splitter: Splitter::new(&[]), has_events: true, made: Vec::new() }
    }

    /// For one object.
    pub(super) fn of_one(objects: Objects) -> Self {
        Self { has_events: false, ..Self::new(objects) }
    }
}

/// Puts an event behind `out`, or nothing.
fn show(event: &[u8], objects: &mut Objects, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let event: Event<'_> =
        serde_json::from_slice(event).map_err(|_| malformed("an event of a watch can not be read"))?;
    let before = out.len();
    out.push(b'{');
    put_name("type", out);
    out.extend_from_slice(serde_json::Value::from(&*event.kind).to_string().as_bytes());
    out.push(b',');
    put_name("object", out);
    let object = event.object.get().as_bytes();
    let is_shown = match &*event.kind {
        // Neither is about an object that there is.
        "BOOKMARK" | "ERROR" => objects.show_bookmark(object, out).map(|()| true)?,
        "ADDED" | "MODIFIED" | "DELETED" => objects.show(object, out)?,
        _ => return Err(malformed("an event of a watch is of no known type")),
    };
    if is_shown {
        out.extend_from_slice(b"}\n");
    } else {
        out.truncate(before);
    }
    Ok(())
}

impl Filter for WatchFilter {
    fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Refusal> {
        let Self { objects, splitter, has_events, made } = self;
        splitter.push(piece, &mut |piece| {
            let Piece::Document(document) = piece else { return Ok(()) };
            if *has_events {
                return show(document, objects, made);
            }
            if !objects.show(document, made)? {
                return Err(malformed("the answer is about an object that a policy does not show"));
            }
            made.push(b'\n');
            Ok(())
        })?;
        out.extend_from_slice(made);
        made.clear();
        Ok(())
    }

    fn finish(&mut self, _out: &mut BytesMut) -> Result<(), Refusal> {
        let is_whole = self.has_events || self.splitter.documents() == 1;
        if self.splitter.is_outside() && is_whole {
            Ok(())
        } else {
            Err(malformed("the target's answer is not whole"))
        }
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        self.objects.masked()
    }
}
