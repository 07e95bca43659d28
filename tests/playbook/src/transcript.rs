//! What a session asked for, as text that a person can read and a test can compare.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use gatewright_model::{
    session::{ConnectRequest, Output, Side},
    sql::{Analysis, Grade},
};

/// What was said and done on a stage, line by line.
///
/// Bytes for one side are joined until something else happens, so that the transcript does not depend on
/// how they were cut.
#[derive(Debug, Default)]
pub struct Transcript {
    lines: String,
    client: Vec<u8>,
    target: Vec<u8>,
    /// Lines that wait until the bytes before them are complete.
    later: Vec<String>,
}

impl Transcript {
    /// Someone begins to send.
    pub fn heading(&mut self, who: &str, bytes: &[u8]) {
        self.flush();
        let _ = writeln!(self.lines, "{who}: {}", messages::render(bytes, who == "client"));
    }

    /// Something else begins.
    pub fn note(&mut self, what: &str) {
        self.flush();
        let _ = writeln!(self.lines, "{what}");
    }

    /// The session ended with an error.
    pub fn error(&mut self, code: &str) {
        self.later.push(format!("  error {code}"));
    }

    /// A decision is asked for.
    pub fn decide(&mut self, kind: &str, analysis: &Analysis, parameters: usize) {
        let Analysis { text, grade, .. } = analysis;
        let with = if parameters == 0 { String::new() } else { format!(" with {parameters} parameters") };
        let grade = if *grade == Grade::Verified { String::new() } else { format!(", {}", grade.as_str()) };
        self.later.push(format!("  decide {kind} `{text}`{with}{grade}"));
    }

    /// Anything else that the session asked for.
    pub fn output(&mut self, output: Output<Bytes>) {
        match output {
            Output::Send { side: Side::Downstream, unit } => self.client.extend_from_slice(&unit),
            Output::Send { side: Side::Upstream, unit } => self.target.extend_from_slice(&unit),
            Output::Authenticate(_) => self.later.push("  authenticate".to_owned()),
            Output::Connect(ConnectRequest::OutOfBand) => {
                self.later.push("  connect out of band".to_owned())
            }
            Output::Connect(ConnectRequest::Session { account, attributes }) => {
                let attributes: Vec<_> =
                    attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let account = account.as_deref().unwrap_or("-");
                self.later.push(format!("  connect as {account} {}", attributes.join(" ")));
            }
            Output::Finished { event, outcome } => {
                let mut line = format!("  finished {event}: {}", outcome.result.as_str());
                if let Some(code) = outcome.code {
                    let _ = write!(line, " {code}");
                }
                if let Some(rows) = outcome.rows {
                    let _ = write!(line, ", {rows} rows");
                }
                for (rule, count) in outcome.masked {
                    let _ = write!(line, ", {count} masked by {rule}");
                }
                // Where it has ended well, the rows tell as much.
                if let Some(read) = outcome.read.filter(|_| outcome.result.as_str() != "ok") {
                    let _ = write!(line, ", {} bytes", read.bytes);
                }
                self.later.push(line);
            }
            Output::Errand(_) => self.later.push("  errand".to_owned()),
            Output::LookUp { host } => self.later.push(format!("  look up {host}")),
            Output::Withdraw(approval) => self.later.push(format!("  withdraw {approval}")),
            Output::Record(frame) => self.later.push(format!("  record {frame:?}")),
            Output::Park(approval) => self.later.push(format!("  park {approval}")),
            Output::StartTls { side } => self.later.push(format!("  start tls {side:?}")),
            Output::Close { side } => self.later.push(format!("  close {side:?}")),
            Output::Wake(_) => {}
            Output::Target(name) => self.later.push(format!("  target {name}")),
            Output::Decide(_) => self.later.push("  decide".to_owned()),
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes for the client since the last thing that was done.
    pub fn client_bytes(&self) -> &[u8] {
        &self.client
    }

    /// Bytes for the target since the last thing that was done.
    pub fn target_bytes(&self) -> &[u8] {
        &self.target
    }

    fn flush(&mut self) {
        let pending = self.pending();
        self.lines.push_str(&pending);
        self.client.clear();
        self.target.clear();
        self.later.clear();
    }

    fn pending(&self) -> String {
        let mut text = String::new();
        if !self.target.is_empty() {
            let _ = writeln!(text, "  to target: {}", messages::render(&self.target, true));
        }
        if !self.client.is_empty() {
            let _ = writeln!(text, "  to client: {}", messages::render(&self.client, false));
        }
        for line in &self.later {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines)?;
        f.write_str(&self.pending())
    }
}

/// Messages to send, and messages as text.
pub mod messages {
    use std::fmt::Write as _;

    /// A message with a tag.
    pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// StartupMessage for protocol 3.0.
    pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut body = 0x0003_0000u32.to_be_bytes().to_vec();
        for (name, value) in parameters {
            body.extend(format!("{name}\0{value}\0").into_bytes());
        }
        body.push(0);
        packet(&body)
    }

    /// A packet without a tag.
    pub fn packet(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend(body);
        bytes
    }

    /// SSLRequest.
    pub fn tls_request() -> Vec<u8> {
        packet(&0x04d2_162fu32.to_be_bytes())
    }

    /// PasswordMessage.
    pub fn password(token: &str) -> Vec<u8> {
        message(b'p', format!("{token}\0").as_bytes())
    }

    /// Query.
    pub fn query(text: &str) -> Vec<u8> {
        message(b'Q', format!("{text}\0").as_bytes())
    }

    /// Parse without parameter types.
    pub fn parse(name: &str, text: &str) -> Vec<u8> {
        message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
    }

    /// Bind of text parameters, text results.
    pub fn bind(portal: &str, statement: &str, parameters: &[&str]) -> Vec<u8> {
        let mut body = format!("{portal}\0{statement}\0\0\0").into_bytes();
        body.extend((parameters.len() as u16).to_be_bytes());
        for parameter in parameters {
            body.extend((parameter.len() as u32).to_be_bytes());
            body.extend(parameter.as_bytes());
        }
        body.extend([0, 0]);
        message(b'B', &body)
    }

    /// Describe of a portal (`P`) or statement (`S`).
    pub fn describe(kind: char, name: &str) -> Vec<u8> {
        message(b'D', format!("{kind}{name}\0").as_bytes())
    }

    /// Execute of a portal, all rows.
    pub fn execute(portal: &str) -> Vec<u8> {
        message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
    }

    /// Close of a portal (`P`) or statement (`S`).
    pub fn close(kind: char, name: &str) -> Vec<u8> {
        message(b'C', format!("{kind}{name}\0").as_bytes())
    }

    /// Sync.
    pub fn sync() -> Vec<u8> {
        message(b'S', b"")
    }

    /// AuthenticationOk.
    pub fn authentication_ok() -> Vec<u8> {
        message(b'R', &[0; 4])
    }

    /// BackendKeyData.
    pub fn key_data(process: u32, key: &[u8]) -> Vec<u8> {
        message(b'K', &[&process.to_be_bytes()[..], key].concat())
    }

    /// ReadyForQuery.
    pub fn ready(state: u8) -> Vec<u8> {
        message(b'Z', &[state])
    }

    /// CommandComplete.
    pub fn complete(tag: &str) -> Vec<u8> {
        message(b'C', format!("{tag}\0").as_bytes())
    }

    /// ErrorResponse.
    pub fn error(sqlstate: &str, text: &str) -> Vec<u8> {
        message(b'E', format!("SERROR\0VERROR\0C{sqlstate}\0M{text}\0\0").as_bytes())
    }

    /// ParameterStatus.
    pub fn parameter_status(name: &str, value: &str) -> Vec<u8> {
        message(b'S', format!("{name}\0{value}\0").as_bytes())
    }

    /// RowDescription of text columns: name, relation oid, attribute number.
    pub fn row_description(columns: &[(&str, u32, i16)]) -> Vec<u8> {
        let mut body = (columns.len() as u16).to_be_bytes().to_vec();
        for (name, relation, attribute) in columns {
            body.extend(format!("{name}\0").as_bytes());
            body.extend(relation.to_be_bytes());
            body.extend(attribute.to_be_bytes());
            body.extend(25u32.to_be_bytes());
            body.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        }
        message(b'T', &body)
    }

    /// DataRow.
    pub fn data_row(values: &[&str]) -> Vec<u8> {
        let mut body = (values.len() as u16).to_be_bytes().to_vec();
        for value in values {
            body.extend((value.len() as u32).to_be_bytes());
            body.extend(value.as_bytes());
        }
        message(b'D', &body)
    }

    /// Bytes as message letters with what matters of their bodies. Bytes that are no messages are shown
    /// as they are.
    pub fn render(bytes: &[u8], from_client: bool) -> String {
        let mut text = String::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            if !text.is_empty() {
                text.push(' ');
            }
            let header =
                rest.split_first().and_then(|(tag, after)| Some((*tag, after.first_chunk::<4>()?)));
            let framed = header.filter(|(tag, _)| tag.is_ascii_alphanumeric()).and_then(|(tag, length)| {
                let size = u32::from_be_bytes(*length) as usize;
                Some((tag, rest.get(5..size.checked_add(1)?)?, size + 1))
            });
            match framed {
                Some((tag, body, size)) => {
                    one(&mut text, tag, body, from_client);
                    rest = rest.get(size..).unwrap_or_default();
                }
                None => {
                    let _ = write!(text, "bytes({})", rest.escape_ascii());
                    return text;
                }
            }
        }
        text
    }

    fn one(text: &mut String, tag: u8, body: &[u8], from_client: bool) {
        text.push(char::from(tag));
        let words = || {
            body.split(|byte| *byte == 0)
                .filter(|word| !word.is_empty())
                .map(|word| word.escape_ascii().to_string())
                .collect::<Vec<_>>()
        };
        match (tag, from_client) {
            (b'Z', false) => {
                let _ = write!(text, "({})", body.escape_ascii());
            }
            (b'E' | b'N', false) => {
                let field = |code: char| words().into_iter().find(|word| word.starts_with(code));
                let get = |code| field(code).map(|word| word.get(1..).unwrap_or_default().to_owned());
                let _ = write!(text, "({} {})", get('C').unwrap_or_default(), get('M').unwrap_or_default());
            }
            (b'Q' | b'P' | b'B' | b'E' | b'D' | b'C', true) | (b'C' | b'S' | b'd', false) => {
                let text_of = words().join(" ");
                let short: String = text_of.chars().take(60).collect();
                let _ = write!(text, "({short})");
            }
            (b'D', false) => {
                let mut values = Vec::new();
                let mut rest = body.get(2..).unwrap_or_default();
                while let Some((length, after)) = rest.split_first_chunk::<4>() {
                    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                        values.push("null".to_owned());
                        rest = after;
                        continue;
                    };
                    let Some((value, after)) = after.split_at_checked(length) else { break };
                    values.push(value.escape_ascii().to_string());
                    rest = after;
                }
                let _ = write!(text, "({})", values.join(","));
            }
            _ => {}
        }
    }
}
