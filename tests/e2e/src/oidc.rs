//! An OpenID provider of a test's own making: keys and signatures made by openssl, documents served over HTTPS.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatewright_testbed::{Certificates, Error, Result, Stage};
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::tls;

/// An RSA key of 2048 bits, with its name in key sets.
#[derive(Debug, Clone)]
pub struct Key {
    private: PathBuf,
    /// Its `kid`.
    pub id: String,
}

impl Key {
    /// Makes a key.
    ///
    /// # Errors
    /// Where openssl is missing or fails.
    pub fn new(stage: &Stage, id: &str) -> Result<Self> {
        let private = stage.private_directory("oidc")?.join(format!("{id}.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"]);
        run(openssl.arg(&private), &[])?;
        Ok(Self { private, id: id.to_owned() })
    }

    /// Its public half as a JSON Web Key.
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn jwk(&self) -> Result<Value> {
        let mut openssl = Command::new("openssl");
        let said = run(openssl.args(["rsa", "-noout", "-modulus", "-in"]).arg(&self.private), &[])?;
        let said = String::from_utf8_lossy(&said);
        let digits = said.trim().strip_prefix("Modulus=").unwrap_or_default();
        let modulus: Vec<u8> = (0..digits.len() / 2)
            .filter_map(|n| u8::from_str_radix(digits.get(2 * n..2 * n + 2)?, 16).ok())
            .collect();
        Ok(
            json!({ "kty": "RSA", "n": encode(&modulus), "e": "AQAB", "kid": self.id, "use": "sig", "alg": "RS256" }),
        )
    }

    /// A token with these claims, signed with RS256 under this key's name.
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn token(&self, claims: &Value) -> Result<String> {
        self.token_as(&self.id, claims)
    }

    /// The same under another key's name.
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn token_as(&self, id: &str, claims: &Value) -> Result<String> {
        let signed = unsigned("RS256", id, claims);
        let mut openssl = Command::new("openssl");
        let signature =
            run(openssl.args(["dgst", "-sha256", "-sign"]).arg(&self.private), signed.as_bytes())?;
        Ok(format!("{signed}.{}", encode(&signature)))
    }

    /// A token that is signed by HMAC, with the public key for a secret: what a verifier takes for good that
    /// believes the token about its algorithm (CVE-2015-9235).
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn token_by_hmac(&self, claims: &Value) -> Result<String> {
        let mut openssl = Command::new("openssl");
        let public = run(openssl.args(["pkey", "-pubout", "-in"]).arg(&self.private), &[])?;
        let secret: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
        let signed = unsigned("HS256", &self.id, claims);
        let mut openssl = Command::new("openssl");
        openssl.args([
            "dgst",
            "-sha256",
            "-binary",
            "-mac",
            "HMAC",
            "-macopt",
            &format!("hexkey:{secret}"),
        ]);
        let signature = run(&mut openssl, signed.as_bytes())?;
        Ok(format!("{signed}.{}", encode(&signature)))
    }
}

/// A token that says that it needs no signature.
pub fn token_without_signature(claims: &Value) -> String {
    let header = encode(json!({ "alg": "none" }).to_string().as_bytes());
    format!("{header}.{}.", encode(claims.to_string().as_bytes()))
}

/// The claims of a good token: an agent of the group `analysts`, for which `helper` acts.
pub fn claims(issuer: &str, subject: &str) -> Value {
    let now = now();
    json!({
        "iss": issuer, "sub": subject, "aud": ["somewhere-else", "gatewright"], "iat": now, "exp": now + 600,
        "groups": ["analysts", "night-shift"], "principal_kind": "agent", "act": { "sub": "helper" },
    })
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A key set.
///
/// # Errors
/// Where openssl fails.
pub fn key_set(keys: &[&Key]) -> Result<String> {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect::<Result<_>>()?;
    Ok(json!({ "keys": keys }).to_string())
}

/// A claim of a token, whoever signed it.
pub fn claim(token: &str, name: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get(name)?.as_str().map(str::to_owned)
}

fn unsigned(algorithm: &str, id: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": id }).to_string();
    format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn run(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let problem = |error: std::io::Error| Error::new(format!("running openssl: {error}"));
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(problem)?;
    // Far less than a pipe holds, so nobody waits for anybody.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).map_err(problem)?;
    }
    let output = child.wait_with_output().map_err(problem)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::new(format!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// A server of discovery documents and key sets on a port of `localhost`.
#[derive(Debug)]
pub struct Provider {
    authority: PathBuf,
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What it answers, by path. A provider that is down has no answer for anything, not even for TLS.
    documents: Option<BTreeMap<String, String>>,
    asked: Vec<String>,
}

impl Provider {
    /// A provider that is down.
    ///
    /// # Errors
    /// Where no certificate can be made, or no port is free.
    pub fn new(stage: &Stage) -> Result<Self> {
        let certificates = Certificates::new(stage, "provider")?;
        let config = tls::server(&certificates.server("server")?)?;
        let problem = |error: std::io::Error| Error::new(format!("listening on 127.0.0.1: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(problem)?;
        let port = listener.local_addr().map_err(problem)?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&shared).documents.is_none() {
                    continue;
                }
                if let Ok(connection) = ServerConnection::new(Arc::clone(&config)) {
                    // A client that leaves in the middle is none to worry about.
                    let _ = answer(StreamOwned::new(connection, stream), &shared);
                }
            }
        });
        Ok(Self { authority: certificates.authority(), port, state })
    }

    /// The name of the issuer.
    pub fn issuer(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The authority of its certificate.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// It is up, and has these keys.
    ///
    /// # Errors
    /// Where openssl fails.
    pub fn serve(&self, keys: &[&Key]) -> Result<()> {
        let issuer = self.issuer();
        let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string();
        let documents = [
            ("/.well-known/openid-configuration".to_owned(), discovery),
            ("/keys".to_owned(), key_set(keys)?),
        ];
        lock(&self.state).documents = Some(documents.into());
        Ok(())
    }

    /// It is down.
    pub fn fall(&self) {
        lock(&self.state).documents = None;
    }

    /// How often its keys were asked for.
    pub fn asked_for_keys(&self) -> usize {
        lock(&self.state).asked.iter().filter(|path| *path == "/keys").count()
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    stream.sock.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = Vec::new();
    let mut byte = [0; 1];
    while !request.ends_with(b"\r\n\r\n") && request.len() < 16_384 {
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let document = {
        let mut state = lock(state);
        state.asked.push(path.clone());
        state.documents.as_ref().and_then(|documents| documents.get(&path).cloned())
    };
    let (status, body) = match document {
        Some(document) => ("200 OK", document),
        None => ("404 Not Found", String::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Writes a key set where a gateway reads it.
///
/// # Errors
/// Where openssl fails or the file can not be written.
pub fn key_file(stage: &Stage, keys: &[&Key]) -> Result<PathBuf> {
    let path = stage.private_directory("oidc")?.join("jwks.json");
    fs::write(&path, key_set(keys)?)
        .map_err(|error| Error::new(format!("writing {}: {error}", path.display())))?;
    Ok(path)
}
