//! Asking the server what is wrong with a text that is refused, so that a typo gets the server's own words and their place in it.
//!
//! The text is sent in a Parse, behind two statements that are nothing. A server reads all of a text before it looks at what it means,
//! and then takes one statement only: so it tells either what its grammar says, or that there are too many. Whatever the text says, none of
//! it is analysed, planned or run; no catalog is read and no lock is taken for it; and the Parse fails, so that nothing is left under its name, and a
//! transaction, if there is one, has failed as by any other error.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    backend::tag,
    reader::{Malformed, Reader},
    reply,
};

/// What stands before the text. It says what it is, for whoever reads the server's log.
const BEFORE: &str = "/* refused by gatewright */select;select;";

/// The files of PostgreSQL that make errors while a text is read and not looked into yet (field `F`).
const FILES: [&[u8]; 4] = [b"scan.l", b"gram.y", b"parser.c", b"mbutils.c"];

/// The Parse that asks about `text`, under `name`.
pub fn ask(name: &str, text: &str) -> Bytes {
    reply::parse(name, &[BEFORE, text].concat())
}

/// The error as the server would have given it for the text alone; none if it says nothing about the text.
///
/// Such an error quotes what was sent and nothing else.
///
/// # Errors
///
/// The body is not that of an ErrorResponse.
pub fn answer(body: &[u8]) -> Result<Option<Bytes>, Malformed> {
    let mut reader = Reader::new(body);
    let mut fields = BytesMut::with_capacity(body.len());
    let mut is_about_text = false;
    loop {
        let code = reader.u8()?;
        fields.put_u8(code);
        if code == 0 {
            break;
        }
        let value = reader.string()?;
        match code {
            b'P' => {
                let Some(place) = place_in_text(value) else { return Ok(None) };
                fields.put_slice(place.to_string().as_bytes());
            }
            _ => fields.put_slice(value),
        }
        fields.put_u8(0);
        is_about_text |= code == b'F' && FILES.contains(&value);
    }
    reader.finish()?;
    Ok(is_about_text.then(|| reply::message(tag::ERROR_RESPONSE, |body| body.put_slice(&fields))))
}

/// A place in characters, counted from one, without what stood before the text.
fn place_in_text(place: &[u8]) -> Option<usize> {
    let place: usize = std::str::from_utf8(place).ok()?.parse().ok()?;
    place.checked_sub(BEFORE.len()).filter(|place| *place > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fields: &[&str]) -> Option<String> {
        let body = [fields.join("\0").as_bytes(), b"\0\0"].concat();
        let told = answer(&body).unwrap()?;
        Some(String::from_utf8_lossy(&told[5..]).replace('\0', "|"))
    }

    #[test]
    fn a_server_reads_the_text_alone_and_takes_none_of_it() {
        let asked = ask("", "selec 1");
        assert_eq!(asked.last_chunk(), Some(b"select;select;selec 1\0\0\0"));
        // Each of its characters is one byte, and is counted as one.
        assert!(BEFORE.is_ascii());
    }

    #[test]
    fn a_place_is_counted_in_the_text() {
        let place = format!("P{}", BEFORE.len() + 1);
        let error = ["SERROR", "VERROR", "C42601", "Msyntax error at or near \"selec\"", &place, "Fscan.l"];
        let expected = "SERROR|VERROR|C42601|Msyntax error at or near \"selec\"|P1|Fscan.l||";
        assert_eq!(told(&error).as_deref(), Some(expected));
        // No server puts one before the text, or says where by something else.
        for place in ["P1", "P0", "P-1", "P", "Pend"] {
            assert_eq!(told(&["SERROR", "VERROR", "C42601", "Msyntax error", place, "Fscan.l"]), None);
        }
    }

    #[test]
    fn what_is_not_about_the_text_is_not_told() {
        let commands = "Mcannot insert multiple commands into a prepared statement";
        assert_eq!(told(&["SERROR", "VERROR", "C42601", commands, "Fpostgres.c"]), None);
        let column = ["SERROR", "VERROR", "C42703", "Mcolumn \"ssn\" does not exist", "P99"];
        assert_eq!(told(&[&column[..], &["Fparse_relation.c"]].concat()), None);
        assert_eq!(told(&column), None);
        assert!(answer(b"SERROR\0C42601\0").is_err());
        assert!(answer(b"SERROR\0Fscan.l\0\0x").is_err());
    }
}
