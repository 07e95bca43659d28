//! Two real drivers: psycopg 3 in its own Python, and tokio-postgres here.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    process::Command,
    sync::Arc,
    task::{Context, Poll},
};

use gatewright_testbed::{Error, Gateway, Mint, Psql, Result, repository};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Client, Config, Socket,
    config::SslMode,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::tls;

/// Runs a Python script that uses psycopg, with the connection in libpq's environment, and gives its output.
///
/// # Errors
/// Where the script fails, with what it said, or psycopg is not installed.
pub fn psycopg(connection: &Psql, script: &str) -> Result<String> {
    let python = python()?;
    let output = Command::new(&python)
        .args(["-c", script])
        .envs(connection.environment())
        .output()
        .map_err(|error| Error::new(format!("running {}: {error}", python.display())))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::new(format!("the script failed: {}", String::from_utf8_lossy(&output.stderr))))
}

/// The Python that has the packages of `requirements.txt`.
///
/// # Errors
/// Where it is not installed.
pub fn python() -> Result<PathBuf> {
    let python = repository().join(".venv/bin/python");
    if python.exists() {
        return Ok(python);
    }
    Err(Error::new(".venv with the tests' Python packages is not there").remedy("run `cargo xtask setup`"))
}

/// A session of tokio-postgres through the gateway. The task that drives it ends with the client.
///
/// # Errors
/// Where the gateway refuses.
pub async fn tokio_postgres(gateway: &Gateway, mint: &Mint<'_>) -> Result<Client> {
    let (config, tls) = tokio_postgres_at(&gateway.psql(mint)?)?;
    let (client, connection) =
        config.connect(tls).await.map_err(|error| Error::new(format!("tokio-postgres: {error:?}")))?;
    tokio::spawn(connection);
    Ok(client)
}

/// What tokio-postgres is to be told to connect as libpq would.
///
/// # Errors
/// Where the connection is not one, or the authority can not be read.
pub fn tokio_postgres_at(connection: &Psql) -> Result<(Config, MakeTls)> {
    let environment = connection.environment();
    let value = |name: &str| {
        let found = environment.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        found.ok_or_else(|| Error::new(format!("the connection has no {name}")))
    };
    let port = value("PGPORT")?.parse().map_err(|error| Error::new(format!("PGPORT: {error}")))?;
    let mut config = Config::new();
    config.host("localhost").hostaddr(std::net::Ipv4Addr::LOCALHOST.into()).port(port);
    config.user(value("PGUSER")?).dbname(value("PGDATABASE")?).password(value("PGPASSWORD")?);
    config.ssl_mode(SslMode::Require);
    Ok((config, MakeTls(tls::client(Path::new(value("PGSSLROOTCERT")?), &[])?)))
}

/// rustls for tokio-postgres.
#[derive(Debug, Clone)]
pub struct MakeTls(Arc<ClientConfig>);

impl MakeTlsConnect<Socket> for MakeTls {
    type Stream = Stream;
    type TlsConnect = Self;
    type Error = std::io::Error;

    fn make_tls_connect(&mut self, _: &str) -> std::io::Result<Self> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for MakeTls {
    type Stream = Stream;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Stream>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let name = tls::localhost().map_err(std::io::Error::other)?;
            TlsConnector::from(self.0).connect(name, stream).await.map(Stream)
        })
    }
}

/// A TLS stream as tokio-postgres wants it.
#[derive(Debug)]
pub struct Stream(TlsStream<Socket>);

impl tokio_postgres::tls::TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
