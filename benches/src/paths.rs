//! The three ways to the server: direct, through PgBouncer, through the gateway.

use gatewright_testbed::{
    Clients, Gateway, Mint, Postgres, Psql, Result, Setup, Stage, gateway_program, modules_directory,
};

use crate::pgbouncer::{PgBouncer, Pooling};

/// A server and the proxies in front of it.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) gateway: Gateway,
    /// A second gateway, whose policy masks two columns of `bulk`.
    pub(crate) masking: Gateway,
    pub(crate) pgbouncer: PgBouncer,
    pub(crate) postgres: Postgres,
    tls: bool,
}

/// One way to the server.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) name: &'static str,
    pub(crate) connection: Psql,
    /// The process between client and server, if there is one.
    pub(crate) proxy: Option<u32>,
}

impl Paths {
    /// Starts everything.
    pub(crate) fn open(tls: bool) -> Result<Self> {
        let stage = Stage::new("bench")?;
        let postgres = Postgres::start_with(&stage, Clients::ScramPlain, &[MOST_CONNECTIONS])?;
        crate::pgbench::fill(&postgres)?;
        crate::bulk::fill(&postgres)?;
        let pgbouncer = PgBouncer::start(&stage, &postgres, Pooling::Session, tls)?;
        let modules = modules_directory(&["statement_rules.wasm", "mask_columns.wasm"])?;
        let gateway = |name: &str, document: &str| {
            let document = document.replace("MODULES", &modules.display().to_string());
            let setup = Setup::new(&stage, name, &gateway_program()?)?.in_front_of(&postgres)?;
            // As PgBouncer: one thread that serves.
            let setup = setup.process(&["workers = 1"]);
            let setup = setup.policy("bench", &document)?;
            if tls { setup } else { setup.without_tls() }.start()
        };
        Ok(Self {
            gateway: gateway("gateway", ONE_POLICY)?,
            masking: gateway("masking", MASKS)?,
            pgbouncer,
            postgres,
            tls,
        })
    }

    /// The gateways end in good order: one that counts what runs in it writes that down then.
    pub(crate) fn end(self) -> Result<()> {
        self.gateway.end()?;
        self.masking.end()
    }

    /// The three, in the order of their turns.
    pub(crate) fn each(&self) -> Result<Vec<Path>> {
        let authority = self.postgres.certificates().authority();
        let (account, password) = (self.postgres.account(), self.postgres.password());
        let direct = Psql::new(self.postgres.port(), &authority, account, password);
        let pgbouncer = Psql::new(self.pgbouncer.port(), &authority, account, password);
        let mut paths = vec![
            Path { name: "direct", connection: direct, proxy: None },
            Path { name: "PgBouncer", connection: pgbouncer, proxy: Some(self.pgbouncer.pid()) },
            through("gateway", &self.gateway)?,
        ];
        if !self.tls {
            for path in &mut paths {
                path.connection = path.connection.clone().without_tls();
            }
        }
        Ok(paths)
    }

    /// The gateway that masks.
    pub(crate) fn masking(&self) -> Result<Path> {
        let path = through("gateway, two columns masked", &self.masking)?;
        let connection = if self.tls { path.connection } else { path.connection.without_tls() };
        Ok(Path { connection, ..path })
    }
}

fn through(name: &'static str, gateway: &Gateway) -> Result<Path> {
    let connection = gateway.psql(&Mint { ttl: "10h", ..Mint::default() })?;
    Ok(Path { name, connection, proxy: Some(gateway.pid()) })
}

/// PgBouncer keeps the server's side of sessions that have ended; the gateway's come on top of them.
const MOST_CONNECTIONS: &str = "max_connections=1000";

/// One policy, with its usual rules.
pub(crate) const ONE_POLICY: &str = r#"name = "bench"
module = "MODULES/statement_rules.wasm"
[settings]
require_where = ["update", "delete"]
"#;

pub(crate) const MASKS: &str = r#"name = "bench"
module = "MODULES/mask_columns.wasm"
[settings]
columns = [
    { relation = "public.bulk", column = "email", method = "redact" },
    { relation = "public.bulk", column = "card", method = { partial = 4 } },
]
"#;
