//! The gateway in front of HTTP services of a test's own making, and clients that send exactly what they are told to.

use std::io::{self, Read, Write};

use gatewright_testbed::{
    Error, Gateway, Mint, Result, Setup, Stage, free_port, gateway_program, modules_directory,
};

use crate::{evidence::Evidence, wire::Client};

/// A gateway with an HTTP listener and no database.
#[derive(Debug)]
pub struct Front {
    /// The gateway.
    pub gateway: Gateway,
    /// Where all of it lives.
    pub stage: Stage,
    port: u16,
    token: String,
}

/// What an HTTP listener is to be like.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Lines of the listener, before its routes.
    pub listener: String,
    /// Lines of every target.
    pub target: String,
    /// Rules of `http-rules`, as TOML. Empty: everything is allowed.
    pub rules: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The head, with its status line, without the empty line at its end.
    pub head: String,
    /// The body, without its chunks.
    pub body: String,
    /// Did it end as its head said?
    pub whole: bool,
}

const ALLOW: &str = r#"
[[settings.rules]]
name = "all"
methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
paths = ["/**"]
decision = "allow"
"#;

impl Front {
    /// A gateway in front of a server on this port, with everything allowed.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn of(port: u16) -> Result<Self> {
        Self::shaped(&[("api", port)], &Shape::default())
    }

    /// A gateway in front of servers on these ports. Each gets what is below `/NAME`; one alone gets everything. The
    /// credential that each gets is `secret-of-NAME`.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn shaped(targets: &[(&str, u16)], shape: &Shape) -> Result<Self> {
        Self::with_tls(targets, shape, "tls = { mode = \"off\" }")
    }

    /// The same, in front of servers that are reached with these settings of TLS.
    ///
    /// # Errors
    /// As [`Front::shaped`].
    pub fn with_tls(targets: &[(&str, u16)], shape: &Shape, tls: &str) -> Result<Self> {
        Self::prepared(targets, shape, tls, |setup| setup)
    }

    /// The same, of a gateway that is prepared further.
    ///
    /// # Errors
    /// As [`Front::shaped`].
    pub fn prepared(
        targets: &[(&str, u16)],
        shape: &Shape,
        tls: &str,
        prepare: impl FnOnce(Setup) -> Setup,
    ) -> Result<Self> {
        let stage = Stage::new("http")?;
        let port = free_port()?;
        let mut setup = Setup::new(&stage, "gateway", &gateway_program()?)?.target(&[
            "address = \"127.0.0.1:1\"",
            "account = \"app\"",
            "tls = { mode = \"off\" }",
        ]);
        let mut text = String::new();
        for (name, port) in targets {
            let secret = setup.file(&format!("{name}.secret"), &format!("secret-of-{name}\n"))?;
            text.push_str(&format!(
                "[[target]]\nname = \"{name}\"\nprotocol = \"http\"\naddress = \"127.0.0.1:{port}\"\naccount = \
                 \"gateway\"\npassword = {{ file = \"{secret}\" }}\n{tls}\n{}\n",
                shape.target
            ));
        }
        text.push_str(&format!(
            "[[listener]]\nname = \"api\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:{port}\"\ntls = {{ certificate = \
             \"tls/server.pem\", key = \"tls/server.key\" }}\n{}\n",
            shape.listener
        ));
        match targets {
            [(only, _)] => text.push_str(&format!("target = \"{only}\"\n")),
            _ => {
                for (name, _) in targets {
                    text.push_str(&format!(
                        "[[listener.route]]\nname = \"{name}\"\npath = \"/{name}\"\ntarget = \"{name}\"\n"
                    ));
                }
            }
        }
        let rules = if shape.rules.is_empty() { ALLOW } else { &shape.rules };
        let modules = modules_directory(&["http_rules.wasm"])?;
        let document = format!(
            "name = \"api\"\nmodule = \"{}/http_rules.wasm\"\n[match]\nprotocols = [\"http\"]\n{rules}",
            modules.display()
        );
        setup = setup.more(&text).policy("api", &document)?;
        let gateway = prepare(setup).start()?;
        let token = gateway.token(&Mint::person("alice", &["analysts"]))?;
        Ok(Self { gateway, stage, port, token })
    }

    /// The port of its HTTP listener, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A good token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The lines of a head that every good request has.
    pub fn head(&self) -> String {
        format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", self.token)
    }

    /// A connection of HTTP/1.1, over TLS.
    ///
    /// # Errors
    /// Where the handshake fails.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(self.port)?.start_tls(&self.gateway.authority(), &[b"http/1.1"])
    }

    /// Sends these bytes on a connection of their own, and gives the first answer.
    ///
    /// # Errors
    /// Where there is none.
    pub fn ask(&self, bytes: &str) -> Result<Reply> {
        let mut client = self.connect()?;
        client.send(bytes.as_bytes())?;
        reply(&mut client, false)
    }

    /// What the gateway has recorded so far.
    ///
    /// # Errors
    /// Where its own command can not read it.
    pub fn evidence(&self) -> Result<Evidence> {
        Evidence::read(&self.gateway)
    }
}

/// Reads an answer. `head_only`: it is one to HEAD.
///
/// # Errors
/// Where the connection ends before its head does.
pub fn reply(client: &mut Client, head_only: bool) -> Result<Reply> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.extend(client.bytes(1)?);
    }
    let head = String::from_utf8_lossy(&bytes).trim_end().to_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Error::new(format!("no status in {head:?}")))?;
    let (mut body, mut whole) = (Vec::new(), true);
    let empty = head_only || matches!(status, 101 | 204 | 304);
    if let Some(length) = field(&head, "content-length").filter(|_| !empty) {
        whole = take(client, length.parse().unwrap_or(0), &mut body);
    } else if field(&head, "transfer-encoding").is_some() && !empty {
        whole = chunks(client, &mut body);
    }
    Ok(Reply { status, head, body: String::from_utf8_lossy(&body).into_owned(), whole })
}

/// Does it get everything?
fn take(client: &mut Client, count: usize, body: &mut Vec<u8>) -> bool {
    for _ in 0..count {
        let Ok(byte) = client.bytes(1) else { return false };
        body.extend(byte);
    }
    true
}

fn chunks(client: &mut Client, body: &mut Vec<u8>) -> bool {
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let Ok(byte) = client.bytes(1) else { return false };
            line.extend(byte);
        }
        let Ok(size) = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16) else {
            return false;
        };
        if !take(client, size, body) || client.bytes(2).is_err() {
            return false;
        }
        if size == 0 {
            return true;
        }
    }
}

/// The value of a header in a head. None where it is not there.
pub fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Reads the head of a request, as a server. None where the connection ends before one begins.
///
/// # Errors
/// Where it ends inside of one.
pub fn request(peer: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if peer.read(&mut byte)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        head.extend(byte);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// Reads the body of a request whose head says how long it is.
///
/// # Errors
/// Where the connection ends inside of it.
pub fn body(peer: &mut impl Read, head: &str) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = field(head, "content-length") {
        peer.take(length.parse().unwrap_or(0)).read_to_end(&mut body)?;
    } else if field(head, "transfer-encoding").is_some() {
        while !body.ends_with(b"0\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte)?;
            body.extend(byte);
        }
    }
    Ok(body)
}

/// Answers every request of a connection with 200 and these words.
///
/// # Errors
/// Where the connection breaks.
pub fn serve(peer: &mut (impl Read + Write), words: &str) -> io::Result<()> {
    while let Some(head) = request(peer)? {
        body(peer, &head)?;
        let length = words.len();
        let sent = if head.starts_with("HEAD ") { "" } else { words };
        write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{sent}")?;
        peer.flush()?;
    }
    Ok(())
}
