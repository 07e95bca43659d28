//! What is wrong with the form of a request: told in its place, in the words of a server where it has some. No policy is asked.

use std::str;

use bytes::Bytes;

use super::{
    Limits,
    objection::{is_own_name, own_name},
};
use crate::reply::Report;

/// Is one of the first `count` texts of a message in another encoding than UTF-8? A server says so of the first.
///
/// Nothing of it is read, so nothing of it could be judged; and no server runs it, because the session's encoding is UTF-8.
pub(super) fn bad_encoding(body: &[u8], count: usize) -> Option<Bytes> {
    let mut texts = body.split(|byte| *byte == 0).take(count);
    let wrong = texts.find_map(|text| text.get(str::from_utf8(text).err()?.valid_up_to()..))?;
    // As many as the first one promises (`report_invalid_encoding` of the server's `mb/mbutils.c`).
    let length = match wrong.first()? {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let bytes: String = wrong.iter().take(length).map(|byte| format!(" 0x{byte:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\":{bytes}");
    Some(Report { severity: "ERROR", sqlstate: "22021", message: &message, detail: "", hint: "" }.encode())
}

/// The longest name that a target tells from all others, in bytes: it cuts longer ones (`NAMEDATALEN` of
/// PostgreSQL's `pg_config_manual.h`, less one).
const LONGEST_NAME: usize = 63;

/// Why a statement or portal can not go by this name.
pub(super) fn bad_name(name: &str) -> Option<Bytes> {
    if name.len() > LONGEST_NAME {
        return Some(name_too_long());
    }
    is_own_name(name).then(|| own_name().encode())
}

fn name_too_long() -> Bytes {
    Report {
        severity: "ERROR",
        sqlstate: "42622",
        message: "the name of a statement or portal is longer than 63 bytes",
        detail: "code: pg.name_too_long",
        hint: "use a shorter name",
    }
    .encode()
}

pub(super) fn lexer_unsure() -> Bytes {
    Report {
        severity: "ERROR",
        sqlstate: "0A000",
        message: "code that can not be seen has run in this batch, and may have changed how text is read",
        detail: "code: pg.lexer_unsure",
        hint: "send Sync before a statement that has a backslash or is not in ASCII",
    }
    .encode()
}

pub(super) fn missing(sqlstate: &'static str, what: &str, name: &str) -> Bytes {
    let message = match (what, name) {
        ("prepared statement", "") => format!("unnamed {what} does not exist"),
        _ => format!("{what} \"{name}\" does not exist"),
    };
    Report { severity: "ERROR", sqlstate, message: &message, detail: "", hint: "" }.encode()
}

pub(super) fn too_many(what: &str) -> Bytes {
    let message = format!("too many {what} in one session");
    Report {
        severity: "ERROR",
        sqlstate: "54000",
        message: &message,
        detail: "code: pg.limit",
        hint: "close some",
    }
    .encode()
}

pub(super) fn too_large(limits: &Limits) -> Bytes {
    let message = format!(
        "the prepared statements and bound values of this session take more than {} bytes",
        limits.kept
    );
    Report {
        severity: "ERROR",
        sqlstate: "53200",
        message: &message,
        detail: "code: pg.limit",
        hint: "close some, or end the transaction whose portals they are, and send it again",
    }
    .encode()
}
