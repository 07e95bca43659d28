//! What the tests are run against: a server that is thrown away, itself or behind the gateway.

use std::{fs, path::Path, path::PathBuf};

use gatewright_testbed::{
    Clients, Gateway, Mint, Postgres, Result, Setup, Stage, gateway_program, modules_directory,
    postgres_programs,
};

use super::about;
use crate::{regress::EVERYTHING, run};

/// How the tests reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Without anything in between.
    Direct,
    /// Through the gateway.
    Gateway,
}

impl Way {
    /// As a folder is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gateway => "gateway",
        }
    }

    /// For a terminal.
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Direct => "without the gateway",
            Self::Gateway => "through the gateway",
        }
    }
}

/// What tests ask of a server.
pub(super) struct Wanted<'a> {
    /// Like `max_prepared_transactions=2`.
    pub(super) settings: &'a [&'a str],
    /// Whom the tests act as, at the server itself and by way of the gateway.
    pub(super) account: &'a str,
    /// Do their connections use TLS?
    pub(super) tls: bool,
    /// Puts into it what has to be there.
    pub(super) prepare: fn(&Postgres) -> Result<()>,
}

/// A running one.
pub(super) struct Server {
    pub(super) port: u16,
    /// The account's password, or a token.
    pub(super) password: String,
    /// That of the certificate at the port.
    pub(super) authority: PathBuf,
    postgres: Postgres,
    gateway: Option<Gateway>,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// Where it does not start, or can not be prepared.
    pub(super) fn start(stage: &Stage, way: Way, wanted: &Wanted<'_>) -> Result<Self> {
        let clients = if wanted.tls { Clients::Scram } else { Clients::ScramPlain };
        let postgres = Postgres::start_with(stage, clients, wanted.settings)?;
        let password = postgres.password().to_owned();
        postgres.sql("postgres", &format!("alter role {} password '{password}'", wanted.account))?;
        (wanted.prepare)(&postgres)?;
        if way == Way::Direct {
            let authority = postgres.certificates().authority();
            return Ok(Self { port: postgres.port(), password, authority, postgres, gateway: None });
        }
        let module = modules_directory(&["statement_rules.wasm"])?.join("statement_rules.wasm");
        let policy = format!("name = \"everything\"\nmodule = \"{}\"\n{EVERYTHING}", module.display());
        let mut setup = Setup::new(stage, "gateway", &gateway_program()?)?
            .in_front_of(&postgres)?
            .account(wanted.account)
            .policy("everything", &policy)?;
        if !wanted.tls {
            setup = setup.without_tls();
        }
        let gateway = setup.start()?;
        let mint = Mint { subject: "suite", groups: &[], kind: "service", ttl: "4h", ..Mint::default() };
        Ok(Self {
            port: gateway.port(),
            password: gateway.token(&mint)?,
            authority: gateway.authority(),
            postgres,
            gateway: Some(gateway),
        })
    }

    /// Ends it, and keeps what it logged in a folder.
    ///
    /// # Errors
    /// Where the gateway does not end in good order, or the folder can not be written to.
    pub(super) fn end(self, folder: &Path) -> Result<()> {
        let keep = |name: &str, log: String| {
            let path = folder.join(name);
            fs::write(&path, log).map_err(|error| about(&path, &error))
        };
        keep("server.log", self.postgres.log())?;
        let Some(gateway) = self.gateway else { return Ok(()) };
        keep("gateway.log", gateway.log())?;
        gateway.end()
    }
}

/// That of the server which is installed, like `15.18`.
///
/// # Errors
/// Where there is none.
pub(super) fn version() -> Result<String> {
    let says = run::output(run::program(postgres_programs()?.join("postgres")).arg("--version"))?;
    let version = says.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(version.unwrap_or_default().to_owned())
}
