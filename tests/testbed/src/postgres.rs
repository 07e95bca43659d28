//! A PostgreSQL server that is there for one test: TLS on, SCRAM-SHA-256, loopback, its own directory.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    artefact::target_directory,
    certificates::{Certificates, Pair},
    error::{Error, Result, about, output_of},
    port::free_port,
    stage::{Service, Stage},
    user::User,
};

/// Name and password of the account that the gateway uses at the server.
const ACCOUNT: (&str, &str) = ("app", "app-secret-that-no-client-sees");

/// How clients on 127.0.0.1 prove who they are. Without TLS they are refused, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// With a password, by SCRAM-SHA-256.
    Scram,
    /// With a password, by SCRAM-SHA-256, with TLS or without: for measuring what TLS costs.
    ScramPlain,
    /// With a certificate whose common name is the account, and with nothing else.
    Certificate,
    /// With a password, by SCRAM-SHA-256, and with a certificate whose common name is the account.
    CertificateAndScram,
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    service: Service,
    port: u16,
    socket: PathBuf,
    programs: PathBuf,
    certificates: Certificates,
    pair: Pair,
}

impl Postgres {
    /// Starts a server whose clients use SCRAM.
    ///
    /// # Errors
    /// Where PostgreSQL or openssl is not installed, or the server does not start.
    pub fn start(stage: &Stage) -> Result<Self> {
        Self::start_with(stage, Clients::Scram, &[])
    }

    /// Starts a server with more settings, each like `max_connections=500`.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_with(stage: &Stage, clients: Clients, settings: &[&str]) -> Result<Self> {
        let programs = postgres_programs()?;
        let user = User::unprivileged()?;
        let certificates = Certificates::new(stage, "postgres-tls")?;
        let home = stage.private_directory("postgres")?;
        user.own(&home)?;
        let data = home.join("data");
        initialise(user, &programs, &home, &data)?;
        let pair = certificates.server("server")?;
        let files = ServerFiles::install(user, &home, &pair, &certificates, clients)?;

        // Whoever else takes the port first makes the server end at once: then another port is tried.
        let mut attempts = 0;
        loop {
            attempts += 1;
            let port = free_port()?;
            let mut command = user.command(programs.join("postgres"));
            command.arg("-D").arg(&data).current_dir(&home);
            for setting in
                files.settings(port, &home).into_iter().chain(settings.iter().map(|s| (*s).to_owned()))
            {
                command.arg("-c").arg(setting);
            }
            let mut service = stage.spawn("postgres", &mut command)?;
            let ready = service.wait_until(Duration::from_secs(30), || is_ready(&programs, &home, port));
            match ready {
                Ok(()) => {
                    let this = Self { service, port, socket: home, programs, certificates, pair };
                    this.sql(
                        "postgres",
                        &format!("create role {} login password '{}'", ACCOUNT.0, ACCOUNT.1),
                    )?;
                    return Ok(this);
                }
                Err(_) if attempts < 5 && service.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs SQL as the superuser, through the server's own socket: not through anything that is tested.
    ///
    /// # Errors
    /// With the server's message.
    pub fn sql(&self, database: &str, text: &str) -> Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        psql.arg("-h").arg(&self.socket).args(["-p", &self.port.to_string(), "-c", text]);
        output_of("psql", psql.output()).map(|text| text.trim_end().to_owned())
    }

    /// Its version, as `15`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn version(&self) -> Result<u32> {
        let answer = self.sql("postgres", "show server_version")?;
        version(&answer).ok_or_else(|| Error::new(format!("the server is of version `{answer}`")))
    }

    /// Its port on 127.0.0.1, which its certificate calls `localhost` as well.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its socket on this machine, where nobody is asked for a password.
    pub fn socket(&self) -> PathBuf {
        self.socket.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// The directory of PostgreSQL's programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The authority of its certificate.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Name of the account that the gateway uses: no superuser, owner of nothing.
    pub fn account(&self) -> &'static str {
        ACCOUNT.0
    }

    /// The account's password.
    pub fn password(&self) -> &'static str {
        ACCOUNT.1
    }

    /// The server's own certificate and key.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Stops the server at once: every connection breaks.
    pub fn kill(&mut self) {
        self.service.kill();
        self.release_shared_memory();
    }

    /// Removes the segment of System V memory that keeps two servers off one directory. A server that ends
    /// by `SIGKILL` leaves it behind, no other server ever takes it over, and a machine has 4,096 of them.
    fn release_shared_memory(&self) {
        let Ok(file) = fs::read_to_string(self.socket.join("data/postmaster.pid")) else {
            return;
        };
        // Its seventh line: key and number of the segment.
        if let Some(number) = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            let _ = Command::new("ipcrm").args(["-m", number]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The certificate, key and rules, as files of the server's user.
struct ServerFiles {
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
    rules: PathBuf,
}

impl ServerFiles {
    fn install(
        user: User,
        home: &Path,
        pair: &Pair,
        certificates: &Certificates,
        clients: Clients,
    ) -> Result<Self> {
        let this = Self {
            certificate: home.join("server.pem"),
            key: home.join("server.key"),
            authority: home.join("ca.pem"),
            rules: home.join("pg_hba.conf"),
        };
        about(fs::copy(&pair.certificate, &this.certificate), "copying", &pair.certificate)?;
        about(fs::copy(&pair.key, &this.key), "copying", &pair.key)?;
        about(fs::copy(certificates.authority(), &this.authority), "copying", &this.authority)?;
        let (connection, method) = match clients {
            Clients::Scram => ("hostssl", "scram-sha-256"),
            Clients::ScramPlain => ("host", "scram-sha-256"),
            Clients::Certificate => ("hostssl", "cert"),
            Clients::CertificateAndScram => ("hostssl", "scram-sha-256 clientcert=verify-full"),
        };
        // The socket lies in a directory that only the server's user and root can enter.
        let rules = format!("local all all trust\n{connection} all all 127.0.0.1/32 {method}\n");
        about(fs::write(&this.rules, rules), "writing", &this.rules)?;
        for file in [&this.certificate, &this.key, &this.authority, &this.rules] {
            user.own(file)?;
        }
        Ok(this)
    }

    fn settings(&self, port: u16, home: &Path) -> Vec<String> {
        vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            format!("unix_socket_directories={}", home.display()),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", self.certificate.display()),
            format!("ssl_key_file={}", self.key.display()),
            format!("ssl_ca_file={}", self.authority.display()),
            format!("hba_file={}", self.rules.display()),
            "password_encryption=scram-sha-256".to_owned(),
            // Nothing here has to survive a crash of the machine.
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "log_min_messages=warning".to_owned(),
        ]
    }
}

/// The programs of the newest PostgreSQL of this machine, or of the one that `GATEWRIGHT_POSTGRES` (a bin directory) names.
///
/// # Errors
/// Where there is none.
pub fn postgres_programs() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("GATEWRIGHT_POSTGRES") {
        return Ok(named.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/postgres").exists())
        .max_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()))
        .map(|path| path.join("bin"))
        .ok_or_else(|| Error::new("there is no PostgreSQL server").remedy("run `cargo xtask setup`"))
}

/// Is this client program (`psql`, `pg_dump`) of an older version than the server?
///
/// # Errors
/// Where it can not be run, or the server does not answer.
pub fn is_older(client: &str, postgres: &Postgres) -> Result<bool> {
    let client = output_of(client, Command::new(client).arg("--version").output())?;
    Ok(version(&client) < Some(postgres.version()?))
}

/// The first number of a version.
fn version(text: &str) -> Option<u32> {
    text.split([' ', '.']).find_map(|part| part.parse().ok())
}

/// Makes a data directory. `initdb` takes a second, a copy of what it made takes a tenth: the first one to
/// need it keeps a copy in the target directory.
fn initialise(user: User, programs: &Path, home: &Path, data: &Path) -> Result<()> {
    let version = output_of("postgres", Command::new(programs.join("postgres")).arg("--version").output())?;
    let version: String = version.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let owner = about(fs::metadata(home), "reading", home)?.uid();
    let template = target_directory().join("testbed").join(format!("postgres-{version}-{owner}"));
    if template.exists() {
        return copy(&template, data);
    }
    let mut initdb = user.command(programs.join("initdb"));
    initdb.arg("-D").arg(data).args(["-U", "postgres", "--auth=trust", "--no-sync"]);
    initdb.args(["--encoding=UTF8", "--locale=C.UTF-8"]).current_dir(home);
    output_of("initdb", initdb.output())?;

    // Others may be doing the same: whoever renames first has made the template.
    let partial = template.with_extension(std::process::id().to_string());
    let parent = target_directory().join("testbed");
    about(fs::create_dir_all(&parent), "creating", &parent)?;
    copy(data, &partial)?;
    if fs::rename(&partial, &template).is_err() {
        about(fs::remove_dir_all(&partial), "removing", &partial)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    output_of("cp", Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).output()).map(drop)
}

fn is_ready(programs: &Path, socket: &Path, port: u16) -> bool {
    let mut command = Command::new(programs.join("pg_isready"));
    command.arg("-q").arg("-h").arg(socket).args(["-p", &port.to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
