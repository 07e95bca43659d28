//! A PostgreSQL client that sends exactly what it is told to, and repairs nothing.
//!
//! The functions that build messages make well-formed ones; whoever wants another shape sends bytes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use gatewright_testbed::{Error, Postgres, Result};
use rustls::{ClientConnection, StreamOwned};

use crate::tls;

/// How long to wait for an answer before a test gives up. A connection that the gateway keeps open and silent
/// is not one that it closed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Version 3.0 of the protocol.
pub const PROTOCOL_3_0: u32 = 0x0003_0000;

/// The request for TLS, whole.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The request for GSSAPI encryption, whole.
pub const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// A connection to the gateway.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// What was received and not yet taken.
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Socket(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub tag: char,
    /// What follows its length.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to a port of 127.0.0.1 and sends nothing.
    ///
    /// # Errors
    /// Where nobody listens there.
    pub fn connect(port: u16) -> Result<Self> {
        let stream = io(TcpStream::connect((Ipv4Addr::LOCALHOST, port)))?;
        io(stream.set_read_timeout(Some(PATIENCE)))?;
        io(stream.set_nodelay(true))?;
        Ok(Self { stream: Stream::Plain(stream), buffer: Vec::new() })
    }

    /// A session at the server itself, as its account and ready for a query: what the gateway's is compared with.
    ///
    /// # Errors
    /// Where the server refuses.
    pub fn at_server(postgres: &Postgres) -> Result<Self> {
        let mut client = Self::connect_socket(postgres)?;
        client.send(&startup(&[("user", postgres.account()), ("database", "postgres")]))?;
        client.until_ready()?;
        Ok(client)
    }

    /// Connects to the server's own socket, where nobody is asked for a password, and sends nothing.
    ///
    /// # Errors
    /// Where it does not listen.
    pub fn connect_socket(postgres: &Postgres) -> Result<Self> {
        let stream = io(UnixStream::connect(postgres.socket()))?;
        io(stream.set_read_timeout(Some(PATIENCE)))?;
        Ok(Self { stream: Stream::Socket(stream), buffer: Vec::new() })
    }

    /// Connects, asks for TLS and does the handshake.
    ///
    /// # Errors
    /// Where the gateway does not agree.
    pub fn connect_tls(port: u16, authority: &Path) -> Result<Self> {
        let mut client = Self::connect(port)?;
        client.send(&SSL_REQUEST)?;
        let answer = client.bytes(1)?;
        if answer != b"S" {
            return Err(Error::new(format!("the answer to SSLRequest was {answer:?}")));
        }
        client.start_tls(authority, &[])
    }

    /// Does the TLS handshake, with what the server sends afterwards on top of it.
    ///
    /// # Errors
    /// Where the handshake fails.
    pub fn start_tls(self, authority: &Path, alpn: &[&[u8]]) -> Result<Self> {
        let Stream::Plain(mut stream) = self.stream else { return Err(Error::new("TLS is there already")) };
        let connection = ClientConnection::new(tls::client(authority, alpn)?, tls::localhost()?);
        let mut connection = connection.map_err(|error| Error::new(format!("starting TLS: {error}")))?;
        while connection.is_handshaking() {
            io(connection.complete_io(&mut stream))?;
        }
        Ok(Self { stream: Stream::Tls(Box::new(StreamOwned::new(connection, stream))), buffer: Vec::new() })
    }

    /// A session that is ready for a query: TLS, startup as `app`, the token as the password.
    ///
    /// # Errors
    /// Where the gateway refuses, with its message.
    pub fn session(port: u16, authority: &Path, token: &str) -> Result<Self> {
        let mut client = Self::connect_tls(port, authority)?;
        client.send(&startup(&[("user", "app"), ("database", "postgres")]))?;
        client.expect('R')?;
        client.send(&password(token))?;
        let answers = client.until_ready()?;
        match answers.iter().find(|message| message.tag == 'E') {
            None => Ok(client),
            Some(error) => Err(Error::new(format!("refused: {}", error.error().unwrap_or_default()))),
        }
    }

    /// Sends bytes in one write.
    ///
    /// # Errors
    /// Where the connection is closed.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        io(match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Stream::Socket(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        })
    }

    /// Says that nothing more will be sent, and goes on reading.
    ///
    /// # Errors
    /// Where the connection is closed.
    pub fn end(&mut self) -> Result<()> {
        io(match &mut self.stream {
            Stream::Plain(stream) => stream.shutdown(Shutdown::Write),
            Stream::Socket(stream) => stream.shutdown(Shutdown::Write),
            Stream::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush().and_then(|()| stream.sock.shutdown(Shutdown::Write))
            }
        })
    }

    /// Sends bytes one by one, each in a write of its own.
    ///
    /// # Errors
    /// Where the connection is closed.
    pub fn send_slowly(&mut self, bytes: &[u8]) -> Result<()> {
        bytes.iter().try_for_each(|byte| self.send(&[*byte]))
    }

    /// The next bytes as they come.
    ///
    /// # Errors
    /// Where the connection is closed before, or nothing comes.
    pub fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill()? {
                let have = self.buffer.len();
                return Err(Error::new(format!("the connection was closed after {have} of {count} bytes")));
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// The next message. None where the connection is closed.
    ///
    /// # Errors
    /// Where nothing comes, or it is closed inside of a message.
    pub fn message(&mut self) -> Result<Option<Message>> {
        if self.buffer.is_empty() && !self.fill()? {
            return Ok(None);
        }
        let head = self.bytes(5)?;
        let [tag, length @ ..] = head.as_slice() else { return Err(Error::new("no head")) };
        let length = length.iter().fold(0_usize, |all, byte| all << 8 | usize::from(*byte));
        let body = self.bytes(length.saturating_sub(4))?;
        Ok(Some(Message { tag: char::from(*tag), body }))
    }

    /// The next message, which has to be of this type.
    ///
    /// # Errors
    /// Where it is another, or the connection is closed.
    pub fn expect(&mut self, tag: char) -> Result<Message> {
        match self.message()? {
            Some(message) if message.tag == tag => Ok(message),
            Some(message) => {
                let said = message.error().unwrap_or_default();
                Err(Error::new(format!("`{}` came where `{tag}` was expected {said}", message.tag)))
            }
            None => Err(Error::new(format!("the connection was closed where `{tag}` was expected"))),
        }
    }

    /// Every message up to and with ReadyForQuery, or up to the end of the connection.
    ///
    /// # Errors
    /// Where nothing comes.
    pub fn until_ready(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.message()? {
            let ready = message.tag == 'Z';
            messages.push(message);
            if ready {
                break;
            }
        }
        Ok(messages)
    }

    /// Every message up to ReadyForQuery or a request for a password, or up to the end of the connection.
    ///
    /// # Errors
    /// Where nothing comes.
    pub fn until_ready_or_password(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.message()? {
            let over = matches!(message.tag, 'Z' | 'R');
            messages.push(message);
            if over {
                break;
            }
        }
        Ok(messages)
    }

    /// Sends a simple query and gives the answer.
    ///
    /// # Errors
    /// Where nothing comes.
    pub fn query(&mut self, text: &str) -> Result<Vec<Message>> {
        self.send(&query(text))?;
        self.until_ready()
    }

    /// Everything up to the end of the connection, which has to come.
    ///
    /// # Errors
    /// Where the connection stays open.
    pub fn until_closed(&mut self) -> Result<Vec<u8>> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads what is there. False where the connection is closed: in good order, or by a reset.
    fn fill(&mut self) -> Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut chunk),
            Stream::Socket(stream) => stream.read(&mut chunk),
            Stream::Tls(stream) => stream.read(&mut chunk),
        };
        match read {
            Ok(0) => Ok(false),
            Ok(length) => {
                self.buffer.extend(chunk.iter().take(length));
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(false)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Error::new(format!("nothing came for {PATIENCE:?}, and the connection is open")))
            }
            Err(error) => Err(Error::new(format!("reading: {error}"))),
        }
    }
}

impl Message {
    /// A field of an ErrorResponse or NoticeResponse by its code: `C` for the SQLSTATE, `M`, `D`, `H`.
    pub fn field(&self, code: char) -> Option<String> {
        if !matches!(self.tag, 'E' | 'N') {
            return None;
        }
        self.body.split(|byte| *byte == 0).find_map(|field| {
            let (first, text) = field.split_first()?;
            (char::from(*first) == code).then(|| String::from_utf8_lossy(text).into_owned())
        })
    }

    /// SQLSTATE and message of an error, in one line.
    pub fn error(&self) -> Option<String> {
        Some(format!("{} {}", self.field('C')?, self.field('M')?))
    }

    /// The values of a DataRow as text.
    pub fn row(&self) -> Vec<Option<String>> {
        let mut rest = self.body.get(2..).unwrap_or_default();
        let mut values = Vec::new();
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*head);
            match usize::try_from(length) {
                Ok(length) => {
                    let (value, next) = tail.split_at_checked(length).unwrap_or((tail, &[]));
                    values.push(Some(String::from_utf8_lossy(value).into_owned()));
                    rest = next;
                }
                Err(_) => {
                    values.push(None);
                    rest = tail;
                }
            }
        }
        values
    }
}

/// The types of messages as one word: `TDCZ`.
pub fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| message.tag).collect()
}

/// The SQLSTATEs of the errors among messages.
pub fn states(messages: &[Message]) -> Vec<String> {
    messages.iter().filter(|message| message.tag == 'E').filter_map(|message| message.field('C')).collect()
}

/// A message with its type and length.
pub fn message(tag: char, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(tag).unwrap_or(b'?')];
    bytes.extend(length(body.len() + 4));
    bytes.extend(body);
    bytes
}

/// A message whose length says something else.
pub fn message_of_length(tag: char, claimed: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(tag).unwrap_or(b'?')];
    bytes.extend(claimed.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// StartupMessage of version 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup_version(PROTOCOL_3_0, parameters)
}

/// StartupMessage of any version.
pub fn startup_version(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(text(name));
        body.extend(text(value));
    }
    body.push(0);
    let mut bytes = length(body.len() + 4).to_vec();
    bytes.extend(body);
    bytes
}

/// PasswordMessage.
pub fn password(secret: &str) -> Vec<u8> {
    message('p', &text(secret))
}

/// CancelRequest with a key of four bytes.
pub fn cancel(process: u32, key: u32) -> Vec<u8> {
    let mut bytes = length(16).to_vec();
    bytes.extend(80_877_102_u32.to_be_bytes());
    bytes.extend(process.to_be_bytes());
    bytes.extend(key.to_be_bytes());
    bytes
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    message('Q', &text(sql))
}

/// Parse, without types.
pub fn parse(statement: &str, sql: &str) -> Vec<u8> {
    message('P', &[text(statement), text(sql), vec![0, 0]].concat())
}

/// Bind with values in text format, and answers in text format.
pub fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    bind_format(portal, statement, values, 0)
}

/// Bind with values in text format, and answers in a format of your choice.
pub fn bind_format(portal: &str, statement: &str, values: &[&str], format: u8) -> Vec<u8> {
    let mut body = [text(portal), text(statement), vec![0, 0]].concat();
    body.extend(u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
    for value in values {
        body.extend(length(value.len()));
        body.extend(value.as_bytes());
    }
    body.extend([0, 1, 0, format]);
    message('B', &body)
}

/// Describe of a statement (`S`) or portal (`P`).
pub fn describe(kind: char, name: &str) -> Vec<u8> {
    message('D', &[vec![u8::try_from(kind).unwrap_or(b'?')], text(name)].concat())
}

/// Execute, with the most rows to send, or 0 for all.
pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    message('E', &[text(portal), rows.to_be_bytes().to_vec()].concat())
}

/// Close of a statement (`S`) or portal (`P`).
pub fn close(kind: char, name: &str) -> Vec<u8> {
    message('C', &[vec![u8::try_from(kind).unwrap_or(b'?')], text(name)].concat())
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message('S', &[])
}

/// Flush.
pub fn flush() -> Vec<u8> {
    message('H', &[])
}

/// Terminate.
pub fn terminate() -> Vec<u8> {
    message('X', &[])
}

/// FunctionCall of a function without arguments.
pub fn function_call(oid: u32) -> Vec<u8> {
    message('F', &[oid.to_be_bytes().to_vec(), vec![0, 0, 0, 0, 0, 0]].concat())
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn io<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| Error::new(format!("the connection failed: {error}")))
}
