//! Fetches what [`Verifier`] asks for: discovery documents and key sets of OpenID providers, over HTTPS.
//!
//! The provider's server is verified against the authorities that its configuration names. A redirect is
//! an answer that is not wanted: it could lead anywhere (CVE-2026-49478). Size and time are bounded.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gatewright_identity::{FETCH_TIMEOUT, Fetch, FetchError, Fetched, MAX_DOCUMENT, Verifier};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

use crate::tls::ClientTls;

/// How each issuer with discovery is reached, by its name.
pub type IssuerClients = BTreeMap<Arc<str>, Arc<ClientTls>>;

/// Keeps the keys of all issuers fresh, for as long as it is polled.
pub async fn run(verifier: Arc<Verifier>, clients: IssuerClients) {
    if clients.is_empty() {
        return;
    }
    let mut running = JoinSet::new();
    loop {
        while let Some(fetch) = verifier.poll_fetch(SystemTime::now()) {
            let client = clients.get(&fetch.issuer).cloned();
            running.spawn(fetch_for(verifier.clone(), fetch, client));
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            Some(_ended) = running.join_next() => {}
        }
    }
}

async fn fetch_for(verifier: Arc<Verifier>, fetch: Fetch, client: Option<Arc<ClientTls>>) {
    let document = match &client {
        Some(client) => get(&fetch.url, client, OWN_TIMEOUT).await,
        None => Err(FetchError::Unreachable),
    };
    let document = document.as_ref().map(|document| &**document).map_err(|error| *error);
    let (issuer, url) = (&*fetch.issuer, &*fetch.url);
    match verifier.handle_fetched(issuer, document, SystemTime::now()) {
        Ok(Fetched::Discovered) => tracing::debug!(issuer, url, "discovery document read"),
        Ok(Fetched::Refreshed { keys }) => tracing::info!(issuer, keys, "keys of the issuer refreshed"),
        Err(error) => tracing::warn!(issuer, url, %error, "keys of the issuer not refreshed"),
    }
}

/// GETs a document over HTTPS.
///
/// # Errors
///
/// Any answer but a complete one with status 200 in time.
async fn get(url: &str, client: &ClientTls, timeout: Duration) -> Result<Bytes, FetchError> {
    tokio::time::timeout(timeout, get_unbounded(url, client)).await.map_err(|_| FetchError::TimedOut)?
}

async fn get_unbounded(url: &str, client: &ClientTls) -> Result<Bytes, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::Unreachable)?;
    let authority = uri.authority().ok_or(FetchError::Unreachable)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(443);
    let name = ServerName::try_from(host.clone()).map_err(|_| FetchError::Unreachable)?;
    let socket = TcpStream::connect((host.as_str(), port)).await.map_err(|_| FetchError::Unreachable)?;
    let connector = TlsConnector::from(client.config());
    let stream = connector.connect(name, socket).await.map_err(|error| {
        tracing::debug!(url, %error, "TLS with the issuer failed");
        FetchError::Unreachable
    })?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| FetchError::Unreachable)?;
    let request = Request::get(uri.path())
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("gatewright/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Unreachable)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|_| FetchError::Unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_DOCUMENT).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                FetchError::TooLong
            } else {
                FetchError::Unreachable
            }
        })
    };
    // The connection makes progress only while it is polled, and may end before or after the answer.
    tokio::pin!(answer, connection);
    tokio::select! {
        document = &mut answer => document,
        _ = &mut connection => answer.await,
    }
}

/// How often the verifier is asked for what it wants.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Shorter than the time after which the verifier counts a fetch as lost, so that it hears of each.
const OWN_TIMEOUT: Duration = FETCH_TIMEOUT.saturating_sub(Duration::from_secs(5));

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::{
        dev_certificates::{CertificateRequest, write_certificates},
        tls::{ALPN_HTTP, ClientFiles, KeyPairFiles, ServerTls},
    };

    /// Serves one connection with these bytes; None: it says nothing.
    async fn fetched(answer: Option<String>, timeout: Duration) -> Result<Bytes, FetchError> {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let written = write_certificates(folder.path(), &CertificateRequest::localhost(now)).unwrap();
        let files = KeyPairFiles { certificate: written.server.0, key: written.server.1 };
        let server = ServerTls::load(files, &[ALPN_HTTP], now).unwrap();
        let files = ClientFiles { ca: written.ca, identity: None };
        let client = ClientTls::load(files, ALPN_HTTP, now).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/keys", listener.local_addr().unwrap().port());
        let serving = tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = TlsAcceptor::from(server.config()).accept(socket).await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /keys HTTP/1.1\r\n"));
            match answer {
                Some(answer) => {
                    // The client may have hung up in the middle.
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
                None => std::future::pending().await,
            }
        });
        let result = get(&url, &client, timeout).await;
        serving.abort();
        result
    }

    const LONG: Duration = Duration::from_secs(3600);

    fn answer(status: &str, body: &str) -> Option<String> {
        Some(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    #[tokio::test]
    async fn a_document_is_fetched() {
        assert_eq!(fetched(answer("200 OK", "{}"), LONG).await.unwrap(), "{}");
    }

    #[tokio::test]
    async fn f013_a_redirect_is_not_followed() {
        let redirect = "HTTP/1.1 302 Found\r\nlocation: https://localhost/\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(fetched(Some(redirect.into()), LONG).await, Err(FetchError::Status(302)));
    }

    #[tokio::test]
    async fn f013_size_and_time_are_bounded() {
        let large = "x".repeat(MAX_DOCUMENT + 1);
        assert_eq!(fetched(answer("200 OK", &large), LONG).await, Err(FetchError::TooLong));
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
        assert_eq!(fetched(Some(cut.into()), LONG).await, Err(FetchError::Unreachable));
        assert_eq!(fetched(None, Duration::from_millis(200)).await, Err(FetchError::TimedOut));
    }

    #[tokio::test]
    async fn f013_nobody_answers() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let written = write_certificates(folder.path(), &CertificateRequest::localhost(now)).unwrap();
        let files = ClientFiles { ca: written.ca, identity: None };
        let client = ClientTls::load(files, ALPN_HTTP, now).unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let result = get(&format!("https://localhost:{}/", closed.port()), &client, LONG).await;
        assert_eq!(result, Err(FetchError::Unreachable));
    }
}
