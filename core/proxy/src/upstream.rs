//! Connections to targets, and the credentials that the gateway holds for them.

use std::{io, sync::Arc};

use gatewright_model::session::{Account, TlsInfo};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    config::{Target, TargetTls},
    descriptors,
    transport::Connection,
    wire::ssh::HostKeyMismatch,
};

/// Opens a connection to a target. The name is looked up each time.
///
/// # Errors
///
/// Nobody answers within the target's `connect_timeout`.
pub async fn connect(target: &Target) -> io::Result<Connection> {
    let address = (&*target.address.host, target.address.port);
    let socket = timeout(target.connect_timeout, TcpStream::connect(address))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if descriptors::is_kept(&socket) {
        return Err(io::Error::other("too many open files: the last ones are kept for the gateway itself"));
    }
    Connection::new(socket)
}

/// Does the TLS handshake that the target's configuration asks for.
///
/// # Errors
///
/// The handshake fails, or the target is not who it should be.
pub async fn secure(connection: Connection, target: &Target) -> io::Result<(Connection, TlsInfo)> {
    match &target.tls {
        TargetTls::Verify { client, server_name } => {
            connection.connect_tls(client.config(), server_name.clone()).await
        }
        TargetTls::Off => Err(io::Error::other("TLS is off for this target")),
    }
}

/// What a session proves itself with at the target.
pub fn account(target: &Target) -> Account {
    Account {
        name: Arc::clone(&target.account),
        password: target.password.clone(),
        require_tls: matches!(target.tls, TargetTls::Verify { .. }),
    }
}

/// The stable code of a failed connection.
pub fn failure_code(error: &io::Error) -> &'static str {
    if error.get_ref().is_some_and(|inner| inner.is::<HostKeyMismatch>()) {
        return "upstream.hostkey";
    }
    match error.kind() {
        io::ErrorKind::TimedOut => "upstream.timeout",
        io::ErrorKind::ConnectionRefused => "upstream.refused",
        io::ErrorKind::PermissionDenied => "upstream.credential",
        _ => "upstream.unreachable",
    }
}
