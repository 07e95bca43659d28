//! What reached this server: lines of JSON in a file, written before anything is answered.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{Error, frames::Frame};

/// The file, if there is one.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Option<Mutex<File>>,
    requests: AtomicU64,
}

impl Journal {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let file = path.map(File::create).transpose()?.map(Mutex::new);
        Ok(Self { file, requests: AtomicU64::new(1) })
    }

    /// Notes a head, and gives the request's number.
    pub(crate) fn head(&self, head: &http::request::Parts) -> Result<u64, Error> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let headers: Vec<[String; 2]> = head
            .headers
            .iter()
            .map(|(name, value)| {
                [name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into()]
            })
            .collect();
        self.write(|| {
            json!({
                "request": number, "event": "head", "method": head.method.as_str(),
                "target": head.uri.to_string(), "headers": headers,
            })
        })?;
        Ok(number)
    }

    /// Notes a request's body.
    pub(crate) fn body(&self, request: u64, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.write(|| json!({ "request": request, "event": "body", "data": BASE64_STANDARD.encode(bytes) }))
    }

    /// Notes what a client said after a 101.
    pub(crate) fn frame(&self, request: u64, frame: &Frame) -> Result<(), Error> {
        self.write(|| {
            json!({
                "request": request, "event": "frame", "kind": frame.kind, "stream": frame.stream,
                "last": frame.last, "data": BASE64_STANDARD.encode(&frame.data),
            })
        })
    }

    fn write(&self, line: impl FnOnce() -> Value) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let line = format!("{}\n", line());
        Ok(file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())?)
    }
}
