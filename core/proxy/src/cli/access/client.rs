//! One request to the admin listener.

use std::{path::Path, sync::Arc, time::Duration};

use gatewright_model::secret::Secret;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::super::Failure;
use crate::tls::{ALPN_HTTP, ClientFiles, ClientTls, system_roots};

/// Where the admin listener is, and how it is reached.
pub(super) struct Client {
    authority: String,
    host: String,
    port: u16,
    tls: Option<Arc<ClientTls>>,
}

impl Client {
    /// For `http://HOST:PORT` on this machine, or `https://HOST[:PORT]` anywhere.
    pub(super) fn new(admin: &str, ca: Option<&Path>) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new(
                format_args!("`{admin}` is not the URL of an admin listener"),
                "write it like `http://127.0.0.1:9901` or `https://gateway.example:9901`",
            )
        };
        let uri: Uri = admin.parse().map_err(|_| wrong())?;
        let (scheme, authority) = (uri.scheme_str(), uri.authority().ok_or_else(wrong)?);
        if !matches!(uri.path(), "" | "/") || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (tls, port) = match scheme {
            Some("https") => (Some(client_tls(ca)?), 443),
            Some("http") if is_this_machine(&host) => (None, 80),
            Some("http") => {
                return Err(Failure::new(
                    format_args!("your token would travel to `{host}` in plain text"),
                    "use https, or reach the listener through a tunnel to 127.0.0.1",
                ));
            }
            _ => return Err(wrong()),
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { authority: authority.to_string(), host, port, tls })
    }

    /// Sends a request and returns the JSON of its answer.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        token: &Secret,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let call = self.call_unbounded(method, path, token, body);
        tokio::time::timeout(TIMEOUT, call).await.map_err(|_| self.unreachable("it does not answer"))?
    }

    async fn call_unbounded(
        &self,
        method: &str,
        path: &str,
        token: &Secret,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut authorization = header::HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| {
                Failure::new("the token is not one", "a token is one line of letters, digits and `.-_`")
            })?;
        authorization.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
            .map_err(|error| self.unreachable(error))?;
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await;
        let socket = socket.map_err(|error| self.unreachable(error))?;
        match &self.tls {
            None => self.exchange(socket, request).await,
            Some(tls) => {
                let name =
                    ServerName::try_from(self.host.clone()).map_err(|error| self.unreachable(error))?;
                let stream = TlsConnector::from(tls.config()).connect(name, socket).await;
                self.exchange(stream.map_err(|error| self.unreachable(error))?, request).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<Value, Failure> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.unreachable(error))?;
        let driver = tokio::spawn(connection);
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| self.unreachable(error))?;
            let status = response.status();
            let page = Limited::new(response.into_body(), LARGEST).collect().await;
            let page = page.map_err(|error| self.unreachable(error))?.to_bytes();
            let page: Value = serde_json::from_slice(&page)
                .map_err(|_| self.unreachable("what answers there is not an admin listener"))?;
            if status.is_success() { Ok(page) } else { Err(refused(&page)) }
        };
        let answer = answer.await;
        driver.abort();
        answer
    }

    fn unreachable(&self, error: impl std::fmt::Display) -> Failure {
        Failure::new(
            format_args!("can not talk to the admin listener at {}: {error}", self.authority),
            "is the gateway running? name its `[admin] listen` address with `--admin URL`",
        )
    }
}

/// What a problem document (RFC 9457) says.
fn refused(problem: &Value) -> Failure {
    let text = |name| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let title = if text("title").is_empty() { "the request was refused" } else { text("title") };
    Failure::new(
        format_args!("{title} ({})", text("code")),
        super::super::terminal::visible(text("remedy")),
    )
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn client_tls(ca: Option<&Path>) -> Result<Arc<ClientTls>, Failure> {
    let ca = match ca {
        Some(ca) => ca.to_owned(),
        None => {
            system_roots().map_err(|error| Failure::new(error, "name the authorities with `--ca FILE`"))?
        }
    };
    let files = ClientFiles { ca, identity: None };
    let tls = ClientTls::load(files, ALPN_HTTP, std::time::SystemTime::now());
    Ok(Arc::new(tls.map_err(|error| Failure::new(&error, error.remedy()))?))
}

/// From connecting to the whole answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer: the text of a statement has up to 1 MiB, and JSON escapes make it longer.
const LARGEST: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_in_plain_text_on_this_machine_only() {
        assert!(Client::new("http://127.0.0.1:9901", None).is_ok());
        assert!(Client::new("http://[::1]:9901/", None).is_ok());
        let refused = Client::new("http://gateway.example:9901", None).err().unwrap();
        assert!(refused.message.contains("plain text"), "{refused}");
        for wrong in ["", "127.0.0.1:9901", "ftp://127.0.0.1", "http://a@127.0.0.1:1", "http://127.0.0.1/x"]
        {
            assert!(Client::new(wrong, None).is_err(), "{wrong}");
        }
    }
}
