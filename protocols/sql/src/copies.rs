//! What a COPY sends to the client, and in which form.
//!
//! Whoever rewrites its rows must cut them as the server has written them, so every option counts: with one that
//! is not modelled here, or one that leaves it open what a value is, the form is not known.

use std::sync::Arc;

use gatewright_model::sql::{CopyForm, CopyOut, CopySource};
use pg_query::{
    NodeEnum,
    protobuf::{CopyStmt, DefElem, RawStmt, ScanToken, Token},
};

/// What the statement sends. None where it is no COPY to the client, or not in a form that is known.
pub(crate) fn copies(raw: &RawStmt, tokens: &[ScanToken], text: &str) -> Option<CopyOut> {
    let Some(NodeEnum::CopyStmt(copy)) = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else {
        return None;
    };
    let CopyStmt { relation, query, attlist, is_from, is_program, filename, options, where_clause } =
        &**copy;
    if *is_from || *is_program || !filename.is_empty() || where_clause.is_some() {
        return None;
    }
    let source = match (relation, query) {
        (Some(relation), None) => CopySource::Table {
            schema: (!relation.schemaname.is_empty()).then(|| Arc::from(relation.schemaname.as_str())),
            name: Arc::from(relation.relname.as_str()),
            columns: attlist
                .iter()
                .map(|column| match &column.node {
                    Some(NodeEnum::String(name)) => Some(Arc::from(name.sval.as_str())),
                    _ => None,
                })
                .collect::<Option<_>>()?,
        },
        (None, Some(_)) => CopySource::Query(Arc::from(inner(raw, tokens, text)?)),
        _ => return None,
    };
    Some(CopyOut { source, form: form(options)? })
}

/// The query between its parentheses, as it was sent.
fn inner<'t>(raw: &RawStmt, tokens: &[ScanToken], text: &'t str) -> Option<&'t str> {
    let is_word = |token: &&ScanToken| {
        !matches!(Token::try_from(token.token), Ok(Token::SqlComment | Token::CComment))
    };
    let mut own = tokens.iter().filter(|token| token.start >= raw.stmt_location).filter(is_word);
    let is = |token: &ScanToken, kind: Token| Token::try_from(token.token) == Ok(kind);
    // COPY, and an optional word that the grammar takes with a table only.
    own.next().filter(|token| is(token, Token::Copy))?;
    let open = own.next().filter(|token| is(token, Token::Ascii40))?;
    let mut depth = 1_usize;
    let close = own.find(|token| {
        if is(token, Token::Ascii40) {
            depth += 1;
        } else if is(token, Token::Ascii41) {
            depth = depth.saturating_sub(1);
        }
        depth == 0
    })?;
    text.get(usize::try_from(open.end).ok()?..usize::try_from(close.start).ok()?)
}

#[derive(Default)]
struct Options {
    format: Option<String>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<u8>,
    escape: Option<u8>,
}

/// Reads the options. The server refuses one that is given twice; here the form is not known then.
fn form(options: &[pg_query::protobuf::Node]) -> Option<CopyForm> {
    let mut read = Options::default();
    for option in options {
        let Some(NodeEnum::DefElem(option)) = &option.node else { return None };
        if !option.defnamespace.is_empty() {
            return None;
        }
        let is_first = match option.defname.as_str() {
            "format" => read.format.replace(word(option)?.to_owned()).is_none(),
            "delimiter" => read.delimiter.replace(sign(option)?).is_none(),
            "null" => read.null.replace(word(option)?.to_owned()).is_none(),
            "header" => read.header.replace(switch(option)?).is_none(),
            "quote" => read.quote.replace(sign(option)?).is_none(),
            "escape" => read.escape.replace(sign(option)?).is_none(),
            // Whoever reads quotes reads them wherever they are.
            "force_quote" => true,
            // What the client is held to anyway.
            "encoding" => matches!(word(option)?.to_ascii_lowercase().as_str(), "utf8" | "utf-8"),
            _ => false,
        };
        if !is_first {
            return None;
        }
    }
    let Options { format, delimiter, null, header, quote, escape } = read;
    let header = header.unwrap_or(false);
    match format.as_deref().unwrap_or("text") {
        "text" => {
            let delimiter = delimiter.unwrap_or(b'\t');
            // A value may look like any other word for null: then nobody can tell which it is.
            let plain = null.is_none_or(|null| null == "\\N") && quote.is_none() && escape.is_none();
            (plain && !b"\\\n\rN".contains(&delimiter)).then_some(CopyForm::Text { delimiter, header })
        }
        "csv" => {
            let (delimiter, quote) = (delimiter.unwrap_or(b','), quote.unwrap_or(b'"'));
            let (escape, null) = (escape.unwrap_or(quote), null.unwrap_or_default());
            let ends_line = |sign: u8| matches!(sign, b'\n' | b'\r');
            let clear = delimiter != quote
                && delimiter != escape
                && ![delimiter, quote, escape].into_iter().any(ends_line)
                && !null.bytes().any(|byte| byte == delimiter || byte == quote || ends_line(byte));
            clear.then(|| CopyForm::Csv { delimiter, quote, escape, null: Arc::from(null), header })
        }
        "binary"
            if delimiter.is_none() && null.is_none() && quote.is_none() && escape.is_none() && !header =>
        {
            Some(CopyForm::Binary)
        }
        _ => None,
    }
}

fn word(option: &DefElem) -> Option<&str> {
    match option.arg.as_ref()?.node.as_ref()? {
        NodeEnum::String(word) => Some(&word.sval),
        _ => None,
    }
}

/// One byte, in ASCII.
fn sign(option: &DefElem) -> Option<u8> {
    match word(option)?.as_bytes() {
        [sign] if sign.is_ascii() => Some(*sign),
        _ => None,
    }
}

fn switch(option: &DefElem) -> Option<bool> {
    let Some(arg) = &option.arg else { return Some(true) };
    match arg.node.as_ref()? {
        NodeEnum::Boolean(value) => Some(value.boolval),
        NodeEnum::Integer(value) if matches!(value.ival, 0 | 1) => Some(value.ival == 1),
        NodeEnum::String(word) => match word.sval.to_ascii_lowercase().as_str() {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
