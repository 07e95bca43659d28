//! pgbench: the same short SELECT over and over.

use std::process::{Child, Command, Stdio};

use gatewright_testbed::{Error, Postgres, Psql, Result};

/// How pgbench sends its statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Simple,
    Prepared,
}

impl Protocol {
    pub(crate) const ALL: [Self; 2] = [Self::Simple, Self::Prepared];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Prepared => "prepared",
        }
    }
}

/// What one run did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) transactions: f64,
    pub(crate) tps: f64,
}

/// Makes pgbench's tables, readable by the account.
pub(crate) fn fill(postgres: &Postgres) -> Result<()> {
    let rows = "create table pgbench_accounts as select n as aid, 1 as bid, 0 as abalance, \
                repeat(' ', 84) as filler from generate_series(1, 100000) as n";
    postgres.sql("postgres", rows)?;
    postgres.sql("postgres", "alter table pgbench_accounts add primary key (aid)")?;
    postgres.sql("postgres", "create table pgbench_branches as select 1 as bid, 0 as bbalance")?;
    postgres.sql("postgres", "grant select on pgbench_accounts, pgbench_branches to app")?;
    postgres.sql("postgres", "vacuum analyze").map(drop)
}

/// Runs select-only for some seconds, from so many clients at one time.
pub(crate) fn select_only(
    connection: &Psql,
    protocol: Protocol,
    clients: u32,
    seconds: u32,
) -> Result<Run> {
    let mut pgbench = Command::new("pgbench");
    pgbench.args(["-n", "-S", "-M", protocol.name(), "-j", "1"]);
    pgbench.args(["-c", &clients.to_string(), "-T", &seconds.to_string()]).envs(connection.environment());
    let output = pgbench.output().map_err(|error| Error::new(format!("running pgbench: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |label: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(label))?;
        line.trim().split([' ', '/']).next()?.parse::<f64>().ok()
    };
    let run = number("number of transactions actually processed:").zip(number("tps ="));
    match run {
        Some((transactions, tps)) if output.status.success() => Ok(Run { transactions, tps }),
        _ => Err(Error::new(format!("pgbench failed: {text}{}", String::from_utf8_lossy(&output.stderr)))),
    }
}

/// Opens sessions that do nothing, until the child is killed.
pub(crate) fn idle_sessions(connection: &Psql, count: u32) -> Result<Child> {
    let mut pgbench = Command::new("pgbench");
    pgbench
        .args(["-n", "-f", "/dev/stdin", "-t", "1", "-c", &count.to_string()])
        .envs(connection.environment());
    pgbench.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = pgbench.spawn().map_err(|error| Error::new(format!("running pgbench: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        use std::io::Write;
        stdin.write_all(b"select 1;\n\\sleep 600 s\n").map_err(|error| Error::new(error.to_string()))?;
    }
    Ok(child)
}
