//! Very many sessions that do nothing: memory, the next one's wait, and whether timers run in the meantime.
//!
//! No server has ten thousand backends here, so PgBouncer stands behind the gateway, in transaction mode: each session of the gateway
//! has its own connection to its target.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use gatewright_testbed::{
    Clients, Error, Gateway, Mint, Postgres, Psql, Result, Setup, Stage, gateway_program, modules_directory,
};

use crate::{
    paths::ONE_POLICY,
    pgbench,
    pgbouncer::{PgBouncer, Pooling},
    process,
};

/// `sessions`, without TLS and over it, that are idle for `seconds`.
pub(crate) fn measure(sessions: u32, seconds: u32) -> Result<()> {
    let sessions = afford(sessions)?;
    println!(
        "\n{sessions} sessions that ran one statement and are idle, behind them PgBouncer in transaction mode:\n"
    );
    println!(
        "| | KiB a session | seconds until all were open | a new session's first answer, in ms | CPU over {seconds} idle s, in ms |"
    );
    println!("| --- | ---: | ---: | ---: | ---: |");
    for tls in [false, true] {
        let stage = Stage::new("crowd")?;
        let postgres = Postgres::start_with(&stage, Clients::ScramPlain, &[])?;
        pgbench::fill(&postgres)?;
        let pgbouncer = PgBouncer::start(&stage, &postgres, Pooling::Transaction(sessions + 100), tls)?;
        let gateway = gateway(&stage, &postgres, &pgbouncer, sessions, tls)?;
        let connection = gateway.psql(&Mint { ttl: "10h", ..Mint::default() })?;
        let connection = if tls { connection } else { connection.without_tls() };
        let empty = first_answer(&connection)?;
        let (before, start) = (process::resident(gateway.pid()), Instant::now());
        let crowd = Crowd(pgbench::idle_sessions(&connection, sessions)?);
        let opened = wait_until_open(&gateway, sessions)?;
        let taken = start.elapsed().as_secs_f64();
        // By then what an idle session does not need is given back.
        thread::sleep(Duration::from_secs(12));
        let each = (process::resident(gateway.pid()) - before) / opened;
        let cpu = process::Cpu::of(gateway.pid());
        thread::sleep(Duration::from_secs(seconds.into()));
        let idle = (process::Cpu::of(gateway.pid()) - cpu).total() / 1000.0;
        let crowded = first_answer(&connection)?;
        drop(crowd);
        println!(
            "| {}, {opened} open | {each:.1} | {taken:.1} | {crowded:.1} ({empty:.1} where nobody is there) | {idle:.0} |",
            if tls { "TLS" } else { "in the clear" },
        );
        gateway.end()?;
    }
    Ok(())
}

/// So many sessions can be opened: each takes two file descriptors of the gateway. This process's limits, which its children
/// inherit, are raised where that is allowed.
fn afford(sessions: u32) -> Result<u32> {
    const OTHERS: u32 = 400;
    let needed = 2 * sessions + OTHERS;
    let output = Command::new("sh").args(["-c", "ulimit -H -n"]).output();
    let output = output.map_err(|error| Error::new(format!("asking for the limit: {error}")))?;
    // Where it is no number, there is none.
    let hard = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(u32::MAX);
    let pid = std::process::id().to_string();
    let set = |limit: u32| {
        let limit = format!("--nofile={limit}:{limit}");
        let status = Command::new("prlimit").args(["--pid", &pid, &limit]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if set(needed.max(hard.min(MOST_DESCRIPTORS))) {
        return Ok(sessions);
    }
    set(hard);
    let fits = sessions.min(hard.saturating_sub(OTHERS) / 2);
    if fits < sessions {
        println!("(file descriptors for {fits} sessions only: the hard limit is {hard})");
    }
    Ok(fits)
}

/// More than this no kernel gives by default (`fs.nr_open`).
const MOST_DESCRIPTORS: u32 = 1 << 20;

fn gateway(
    stage: &Stage,
    postgres: &Postgres,
    bouncer: &PgBouncer,
    sessions: u32,
    tls: bool,
) -> Result<Gateway> {
    let modules = modules_directory(&["statement_rules.wasm"])?;
    let document = ONE_POLICY.replace("MODULES", &modules.display().to_string());
    let setup =
        Setup::new(stage, "gateway", &gateway_program()?)?.in_front_of(postgres)?.at_port(bouncer.port());
    let setup =
        setup.listener(&[&format!("max_connections = {}", sessions + 100), "login_timeout = \"10m\""]);
    let setup = setup.policy("bench", &document)?;
    if tls { setup } else { setup.without_tls() }.start()
}

/// Those that were open in the end.
fn wait_until_open(gateway: &Gateway, sessions: u32) -> Result<f64> {
    let start = Instant::now();
    let (mut last, mut grew) = (0.0, Instant::now());
    loop {
        let open = gateway.metric("gatewright_sessions_open{listener=\"postgres\"}")?;
        if open >= f64::from(sessions) {
            return Ok(open);
        }
        if open > last {
            (last, grew) = (open, Instant::now());
        }
        if grew.elapsed() > Duration::from_secs(30) {
            println!("(only {open} of {sessions} were open after {:.0} s)", start.elapsed().as_secs_f64());
            return Ok(open.max(1.0));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The median of a few, in milliseconds: psql starts, connects, asks.
fn first_answer(connection: &Psql) -> Result<f64> {
    let mut taken = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        connection.run("select 1;")?;
        taken.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken.get(taken.len() / 2).copied().unwrap_or_default())
}

/// The process that has the sessions open.
struct Crowd(Child);

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
