//! PgBouncer as Debian packages it: beside the gateway in session mode, one server connection for each client, like the gateway;
//! behind it in transaction mode, where the gateway has more sessions than a server could.

use std::{fs, time::Duration};

use gatewright_testbed::{Error, Postgres, Result, Service, Stage, User, free_port};

/// A running PgBouncer.
#[derive(Debug)]
pub(crate) struct PgBouncer {
    service: Service,
    port: u16,
}

/// How clients share connections to the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pooling {
    Session,
    /// For so many clients.
    Transaction(u32),
}

impl Pooling {
    fn settings(self) -> String {
        match self {
            Self::Session => {
                "pool_mode = session\nmax_client_conn = 1000\ndefault_pool_size = 390".to_owned()
            }
            Self::Transaction(clients) => format!(
                "pool_mode = transaction\nmax_client_conn = {clients}\ndefault_pool_size = 20\nlisten_backlog = 1024"
            ),
        }
    }
}

impl PgBouncer {
    pub(crate) fn start(stage: &Stage, postgres: &Postgres, pooling: Pooling, tls: bool) -> Result<Self> {
        let user = User::unprivileged()?;
        let home = stage.private_directory("pgbouncer")?;
        user.own(&home)?;
        let write = |name: &str, content: &[u8]| {
            let path = home.join(name);
            let written = fs::write(&path, content);
            written.map_err(|error| Error::new(format!("writing {}: {error}", path.display())))?;
            user.own(&path)?;
            Ok::<_, Error>(path)
        };
        let copy = |name: &str, from: &std::path::Path| {
            let content = fs::read(from);
            write(
                name,
                &content.map_err(|error| Error::new(format!("reading {}: {error}", from.display())))?,
            )
        };
        let authority = copy("ca.pem", &postgres.certificates().authority())?;
        let certificate = copy("server.pem", &postgres.pair().certificate)?;
        let key = copy("server.key", &postgres.pair().key)?;
        let users = write(
            "users.txt",
            format!("\"{}\" \"{}\"\n", postgres.account(), postgres.password()).as_bytes(),
        )?;

        let port = free_port()?;
        let protection = if tls {
            format!(
                "client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\n\
                 server_tls_sslmode = verify-full\nserver_tls_ca_file = {}\n",
                certificate.display(),
                key.display(),
                authority.display()
            )
        } else {
            "client_tls_sslmode = disable\nserver_tls_sslmode = disable\n".to_owned()
        };
        let settings = format!(
            "[databases]\n* = host=localhost port={server}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\n\
             {pooling}\n\
             ignore_startup_parameters = extra_float_digits\n{protection}",
            server = postgres.port(),
            users = users.display(),
            pooling = pooling.settings(),
        );
        let settings = write("pgbouncer.ini", settings.as_bytes())?;
        let mut command = user.command("/usr/sbin/pgbouncer");
        let mut service = stage.spawn("pgbouncer", command.arg("-q").arg(settings))?;
        service.wait_until(Duration::from_secs(10), || {
            std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        Ok(Self { service, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }
}
