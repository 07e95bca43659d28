//! Server-sent events (WHATWG HTML section 9.2): each event is masked as a whole.
//!
//! The `data` lines of an event are joined with line feeds, as its reader joins them, and masked: as JSON if they look
//! like JSON, otherwise as text. All other lines (`id`, `event`, comments) are searched one by one. An event in which
//! nothing is hidden passes byte for byte; of one that changes, the data is written anew where its first line stood.
//!
//! Data looks like JSON when it begins with `{`, `[` or `"`. Such data must be JSON, where the plan has paths: what a
//! lenient reader might take for an object is not passed as text. Where a path selects whole documents (`$`), all data must be
//! JSON. The one exception is `[DONE]`, with which streams of
//! language models end.
//!
//! **Not found**: what is split over several events. Each event is complete in itself.

use std::sync::Arc;

use super::{
    json::JsonMasker,
    limit, malformed,
    rules::{Rules, Tally},
    text::Utf8,
};
use crate::refusal::Refusal;

/// Masks a stream of events.
#[derive(Debug)]
pub(super) struct EventStreamMasker {
    rules: Arc<Rules>,
    tally: Tally,
    utf8: Utf8,
    /// The event that is not over yet, as it came.
    event: Vec<u8>,
    /// Where its last line begins.
    line: usize,
    /// The last byte was a carriage return: a line feed behind it belongs to the same end of a line.
    returned: bool,
}

impl EventStreamMasker {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self {
            tally: Tally::new(Arc::clone(&rules)),
            rules,
            utf8: Utf8::default(),
            event: Vec::new(),
            line: 0,
            returned: false,
        }
    }

    pub(super) fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.utf8.check(piece)?;
        if memchr::memchr(0, piece).is_some() {
            return Err(malformed("the text contains a zero character"));
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', piece) {
            let (line, rest) = piece.split_at(end + 1);
            piece = rest;
            self.take(line)?;
            let feed = line.ends_with(b"\n");
            if feed && self.returned && line.len() == 1 {
                // The second half of the end of the line before.
                self.returned = false;
                self.line = self.event.len();
                // What was before it may have left already.
                if self.event == b"\n" {
                    out.push(b'\n');
                    self.event.clear();
                    self.line = 0;
                }
                continue;
            }
            self.returned = !feed;
            let blank = self.event.len() - self.line == 1;
            self.line = self.event.len();
            if blank {
                self.dispatch(out)?;
            }
        }
        if !piece.is_empty() {
            self.returned = false;
            self.take(piece)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.utf8.finish()?;
        // A reader drops an event without its end, and whoever looks at the bytes does not.
        self.dispatch(out)
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.event.len() + bytes.len() > MAX_EVENT {
            return Err(limit("an event is longer than 1 MiB"));
        }
        self.event.extend_from_slice(bytes);
        Ok(())
    }

    /// Passes on the event that is held.
    fn dispatch(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let event = std::mem::take(&mut self.event);
        self.line = 0;
        let lines: Vec<Line<'_>> = lines(&event).collect();
        let data: Vec<&[u8]> = lines.iter().filter_map(|line| line.data).collect();
        let masked = self.data(&data.join(&b'\n'))?;
        let mut written = false;
        for line in lines {
            match (line.data, &masked) {
                (Some(_), None) => out.extend_from_slice(line.whole),
                (Some(_), Some(masked)) => {
                    if !std::mem::replace(&mut written, true) {
                        write_data(masked, line.end(), out);
                    }
                }
                (None, _) if !self.rules.paths.is_empty() && line.text.contains(&b'{') => {
                    return Err(super::unsupported(
                        "a policy hides values of JSON, and a line of an event has some",
                    ));
                }
                (None, _) => match self.search(line.text) {
                    None => out.extend_from_slice(line.whole),
                    Some(masked) => {
                        out.extend_from_slice(&masked);
                        out.extend_from_slice(line.end());
                    }
                },
            }
        }
        self.event = event;
        self.event.clear();
        Ok(())
    }

    /// What stands for the data of an event. `None`: it stays as it is.
    fn data(&mut self, data: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let paths = &self.rules.paths;
        let looks = matches!(data.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'));
        if (looks || paths.select_root()) && !matches!(data.trim_ascii(), b"" | b"[DONE]") {
            let mut json = JsonMasker::new(Arc::clone(&self.rules));
            let mut masked = Vec::with_capacity(data.len());
            match json.push(data, &mut masked).and_then(|()| json.finish(&mut masked)) {
                Ok(()) => {
                    self.tally.add_all(json.tally());
                    return Ok((masked != data).then_some(masked));
                }
                Err(refusal) if !paths.is_empty() => return Err(refusal),
                Err(_) => {}
            }
        }
        // What is no JSON may still hold some, behind a word of its own: a path can not be followed into that.
        if !paths.is_empty()
            && data.iter().any(|byte| matches!(byte, b'{' | b'['))
            && data.trim_ascii() != b"[DONE]"
        {
            return Err(super::unsupported(
                "a policy hides values of JSON, and an event has some that is not all of its data",
            ));
        }
        Ok(self.search(data))
    }

    fn search(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let masked = self.rules.detectors.as_ref()?.mask(text)?;
        self.tally.found(&masked.finds);
        Some(masked.text)
    }
}

/// A line with its end.
struct Line<'e> {
    whole: &'e [u8],
    /// Without its end.
    text: &'e [u8],
    /// The value of a `data` field.
    data: Option<&'e [u8]>,
}

impl<'e> Line<'e> {
    fn end(&self) -> &'e [u8] {
        match self.whole.get(self.text.len()..) {
            Some([]) | None => b"\n",
            Some(end) => end,
        }
    }
}

fn lines(mut event: &[u8]) -> impl Iterator<Item = Line<'_>> {
    std::iter::from_fn(move || {
        if event.is_empty() {
            return None;
        }
        let length = memchr::memchr2(b'\n', b'\r', event).unwrap_or(event.len());
        let end = match event.get(length..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([]) | None => 0,
            Some(_) => 1,
        };
        let (whole, rest) = event.split_at(length + end);
        event = rest;
        let text = whole.get(..length)?;
        // The first line may begin with a byte order mark, which readers drop.
        let field = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let data = match field.strip_prefix(b"data") {
            Some([b':', b' ', data @ ..] | [b':', data @ ..]) => Some(data),
            Some([]) => Some(&[][..]),
            _ => None,
        };
        Some(Line { whole, text, data })
    })
}

fn write_data(data: &[u8], end: &[u8], out: &mut Vec<u8>) {
    for line in data.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.extend_from_slice(end);
    }
}

/// Bytes of one event.
const MAX_EVENT: usize = 1 << 20;
