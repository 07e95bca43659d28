//! Reads a recording: lines of JSON, in the format that the README beside them describes.

#![expect(clippy::indexing_slicing, reason = "JSON that has no such field gives null")]

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;

use crate::{Error, asked::Asked};

/// A request, what was answered, and what was said after a 101.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) asked: Asked,
    /// Nothing, where the server closed the connection instead.
    pub(crate) answer: Option<Recorded>,
    /// What followed a 101, in order.
    pub(crate) said: Vec<Said>,
    /// After a 101: did the server end the connection?
    pub(crate) ended_by_server: bool,
}

/// A recorded answer.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) status: u16,
    /// With lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    /// Was the body there to its end, or did somebody leave before?
    pub(crate) complete: bool,
}

/// A recorded body.
#[derive(Debug)]
pub(crate) enum Body {
    /// All at once.
    Whole(Bytes),
    /// In pieces, each with the milliseconds at which it came.
    Pieces(Vec<(Bytes, u64)>),
}

/// Bytes of an upgraded connection. Where they are cut means nothing.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) by_client: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Reads a file of recorded exchanges, in the order of their requests.
pub(crate) fn read(path: &Path) -> Result<Vec<Exchange>, Error> {
    let text = fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    let mut exchanges: Vec<Exchange> = Vec::new();
    // For each exchange, its connection and whether it waits for an answer.
    let mut waiting: Vec<(u64, bool)> = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        let connection = line["conn"].as_u64().unwrap_or_default();
        let bytes = BASE64_STANDARD.decode(line["body_b64"].as_str().unwrap_or_default())?;
        let head = line["head"].as_str().unwrap_or_default();
        match line["dir"].as_str() {
            Some("request") => {
                exchanges.push(request(head)?);
                waiting.push((connection, true));
            }
            Some("response") => {
                let recorded = response(head, bytes, &line)?;
                let oldest = waiting.iter().position(|(own, waits)| *own == connection && *waits);
                let Some(oldest) = oldest else { return Err("an answer to no request".into()) };
                if recorded.status == 100 {
                    continue;
                }
                if let (Some(exchange), Some(waiting)) =
                    (exchanges.get_mut(oldest), waiting.get_mut(oldest))
                {
                    exchange.answer = Some(recorded);
                    waiting.1 = false;
                }
            }
            _ => {
                let last = waiting.iter().rposition(|(own, _)| *own == connection);
                if let Some(exchange) = last.and_then(|last| exchanges.get_mut(last)) {
                    let by_client = line["dir"] == "up";
                    exchange.said.push(Said { by_client, bytes });
                    exchange.ended_by_server = line["closed_by"] == "server";
                }
            }
        }
    }
    Ok(exchanges)
}

fn request(head: &str) -> Result<Exchange, Error> {
    let (line, headers) = parts(head);
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(format!("`{line}` is no request line").into());
    };
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(Exchange {
        asked: Asked::new(method, target, &headers),
        answer: None,
        said: Vec::new(),
        ended_by_server: false,
    })
}

fn response(head: &str, bytes: Vec<u8>, line: &Value) -> Result<Recorded, Error> {
    let (first, headers) = parts(head);
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| format!("`{first}` is no status line"))?;
    let bytes = Bytes::from(bytes);
    let body = match line["chunks"].as_array() {
        None => Body::Whole(bytes),
        Some(chunks) => {
            let mut rest = bytes;
            let mut pieces = Vec::new();
            for chunk in chunks {
                let length = chunk[0].as_u64().and_then(|length| usize::try_from(length).ok());
                let length =
                    length.filter(|length| *length <= rest.len()).ok_or("a chunk without bytes")?;
                pieces.push((rest.split_to(length), chunk[1].as_u64().unwrap_or_default()));
            }
            Body::Pieces(pieces)
        }
    };
    Ok(Recorded { status, headers, body, complete: line["complete"] == true })
}

/// The first line of a head, and its headers with lower-case names.
fn parts(head: &str) -> (&str, Vec<(String, String)>) {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    (first, headers.collect())
}

impl Recorded {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The media type without its parameters.
    pub(crate) fn media(&self) -> &str {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The first bytes of the body.
    pub(crate) fn beginning(&self) -> &[u8] {
        match &self.body {
            Body::Whole(bytes) => bytes,
            Body::Pieces(pieces) => pieces.first().map_or(&[], |(bytes, _)| bytes),
        }
    }
}
