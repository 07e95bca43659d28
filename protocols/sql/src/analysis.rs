//! One text, read and graded.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use gatewright_model::sql::{Analysis, Grade};
use pg_query::protobuf::{ParseResult, ScanToken, Token};

use crate::{
    AnalyserLimits, copies,
    functions::Harmless,
    normalise, second_reader,
    shape::Shape,
    walk::{self, Reading},
};

/// What a text means; and its shape, where that means the same for every text that has it.
pub(crate) fn analyse(
    text: &str,
    shape: Option<Shape>,
    limits: &AnalyserLimits,
    harmless: &Harmless,
) -> (Analysis, Option<Shape>) {
    let text = Arc::from(text);
    read(&text, shape, limits, harmless).unwrap_or_else(|reason| (unread(text, reason), None))
}

/// Of a text that can not be read.
pub(crate) fn unread(text: Arc<str>, reason: Reason) -> Analysis {
    Analysis {
        normalised: Arc::from(format!("(unreadable, {} bytes)", text.len())),
        text,
        fingerprint: Arc::from(""),
        grade: Grade::Opaque,
        grade_reason: Some(reason.into()),
        statements: Arc::default(),
    }
}

/// Bytes of memory that the reading of one text may take: so much, and so many times its length. Each column
/// of an answer knows all columns that it is made of, so a few kilobytes could otherwise mean gigabytes.
const MAX_FOOTPRINT: usize = 2 << 20;
const GROWTH: usize = 64;

/// Why a text can not be read. For people; nothing of the text is in it.
pub(crate) type Reason = &'static str;

const NOT_SCANNED: Reason = "PostgreSQL's scanner does not read it";
const NOT_PARSED: Reason = "PostgreSQL's grammar does not read it";

/// Is the text no SQL to PostgreSQL's own scanner and grammar, as far as the gateway has them? Not so of what is too large to be read, or is read
/// and not understood.
pub fn is_syntax_error(analysis: &Analysis) -> bool {
    analysis.statements.is_empty()
        && analysis
            .grade_reason
            .as_deref()
            .is_some_and(|reason| [NOT_SCANNED, NOT_PARSED].contains(&reason))
}

fn read(
    text: &Arc<str>,
    shape: Option<Shape>,
    limits: &AnalyserLimits,
    harmless: &Harmless,
) -> Result<(Analysis, Option<Shape>), Reason> {
    if text.len() > limits.max_text {
        return Err("the text is longer than the gateway reads");
    }
    if text.contains('\0') {
        return Err("the text holds a NUL, which PostgreSQL does not accept");
    }
    if scans_in_circles(text) {
        return Err("it has longer runs of operators or nested comments than the gateway reads");
    }
    if is_blank(text) {
        let analysis = Analysis {
            text: Arc::clone(text),
            normalised: Arc::from(""),
            fingerprint: normalise::fingerprint(std::iter::empty()),
            grade: Grade::Verified,
            grade_reason: None,
            statements: Arc::default(),
        };
        return Ok((analysis, None));
    }
    let tokens = scan(text)?;
    if tokens.len() > MAX_TOKENS {
        return Err("the text holds more words and signs than the gateway reads");
    }
    if tokens.iter().any(|token| is_cut_elsewhere(text, token)) {
        return Err(
            "it has a name of more than 63 bytes with characters that other encodings write in fewer",
        );
    }
    let tree = parse(text)?;
    if tree.stmts.len() > limits.max_statements {
        return Err("the text holds more statements than the gateway reads");
    }
    let mut readings = Vec::with_capacity(tree.stmts.len());
    let mut footprint = 0;
    for raw in &tree.stmts {
        let node = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()).ok_or("a statement is empty")?;
        let mut reading = walk::statement(node, harmless);
        reading.statement.copies = copies::copies(raw, &tokens, text).map(Arc::new);
        footprint += reading.statement.footprint();
        if footprint > MAX_FOOTPRINT + GROWTH * text.len() {
            return Err("what it means takes more room than the gateway has for it");
        }
        readings.push(reading);
    }
    let normalised = normalise::normalise(text, &tokens).ok_or("its tokens do not add up")?;
    let (grade, reason) = grade(text, &tokens, &readings);
    let shape = shape.filter(|shape| shape.is_all_that_counts(text, grade, &readings));
    let analysis = Analysis {
        text: Arc::clone(text),
        fingerprint: if grade == Grade::Opaque { Arc::from("") } else { normalised.fingerprint },
        normalised: normalised.text,
        grade,
        grade_reason: reason.map(Arc::from),
        statements: readings.into_iter().map(|reading| reading.statement).collect(),
    };
    Ok((analysis, shape))
}

fn grade(text: &str, tokens: &[ScanToken], readings: &[Reading]) -> (Grade, Option<Reason>) {
    if let Some(doubt) = readings.iter().find_map(|reading| reading.doubt) {
        return (Grade::Opaque, Some(doubt));
    }
    if tokens.len() > second_reader::MAX_TOKENS {
        return (Grade::Verified, Some("the text is too long for the second reader"));
    }
    match second_reader::objection(text, readings) {
        Some(objection) => (Grade::Disputed, Some(objection)),
        None => (Grade::Verified, None),
    }
}

/// Tokens of one text at most: the tree takes some kilobytes for each.
const MAX_TOKENS: usize = 300_000;

/// Is it a name that the server may cut in another place than the parser here, after 63 bytes of UTF-8? In the encoding of its database it may be
/// shorter, and two names that are one here may be two there.
fn is_cut_elsewhere(text: &str, token: &ScanToken) -> bool {
    const LONGEST: usize = 63;
    let place = usize::try_from(token.start).ok().zip(usize::try_from(token.end).ok());
    let name = place.and_then(|(start, end)| text.get(start..end)).unwrap_or_default();
    match Token::try_from(token.token) {
        Ok(Token::Ident) => name.len() > LONGEST && !name.is_ascii(),
        // `U&"\00e9"` says in ASCII what is none.
        Ok(Token::Uident) => name.len() > LONGEST,
        _ => false,
    }
}

/// Would PostgreSQL's scanner take time that grows with the square of the text?
///
/// At each `/*` within a comment, and at each `+`, it looks at the whole run of operator characters that
/// follows and then goes back: `/*/*/*..` of 160 kB costs it many seconds, and so does `+++..` of 30 kB.
/// Such runs are no SQL that anybody writes, and in strings they are short.
fn scans_in_circles(text: &str) -> bool {
    // About a tenth of a second.
    const MAX_STEPS: usize = 1 << 24;
    let is_operator = |byte: &u8| b"~!@#^&|`?+-*/%<>=".contains(byte);
    let steps = text.as_bytes().split(|byte| !is_operator(byte)).map(|run| {
        let pluses = run.iter().filter(|byte| **byte == b'+').count();
        let comments = run.windows(2).filter(|pair| pair == b"/*").count();
        run.len().saturating_mul(pluses + comments)
    });
    steps.fold(0_usize, usize::saturating_add) > MAX_STEPS
}

/// Is there nothing but what PostgreSQL's scanner takes for white space?
///
/// For a text without tokens `pg_query::scan_tokens` makes a slice from a null pointer.
fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
}

/// The tokens, as PostgreSQL's own scanner cuts them.
fn scan(text: &str) -> Result<Vec<ScanToken>, Reason> {
    catch_unwind(AssertUnwindSafe(|| pg_query::scan_tokens(text)))
        .map_err(|_| "the scanner failed")?
        .map_err(|_| NOT_SCANNED)
}

/// The tree, as PostgreSQL's own grammar makes it.
fn parse(text: &str) -> Result<ParseResult, Reason> {
    // `pg_query` also summarises the tree, in code that panics on shapes it does not expect.
    let parsed = catch_unwind(AssertUnwindSafe(|| pg_query::parse(text, 0)));
    match parsed.map_err(|_| "the parser failed")? {
        Ok(result) => Ok(result.protobuf),
        Err(pg_query::Error::Decode(_)) => Err("it is nested more deeply than the gateway reads"),
        Err(_) => Err(NOT_PARSED),
    }
}
