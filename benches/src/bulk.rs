//! A result of 100 MB.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use gatewright_testbed::{Error, Postgres, Psql, Result};

use crate::{Plan, paths::Paths, process::Cpu};

/// Rows of the table; each is about a kilobyte.
const ROWS: u32 = 100_000;

/// Makes the table.
pub(crate) fn fill(postgres: &Postgres) -> Result<()> {
    let rows = format!(
        "create table bulk as select n as id, 'user' || n || '@example.com' as email, \
         lpad((4111111111111111 + n)::text, 16, '0') as card, repeat(md5(n::text), 30) as note \
         from generate_series(1, {ROWS}) as n"
    );
    postgres.sql("postgres", &rows)?;
    postgres.sql("postgres", "grant select on bulk to app; analyze bulk").map(drop)
}

/// The whole table through every path, in turns.
pub(crate) fn measure(paths: &Paths, plan: Plan) -> Result<()> {
    let mut each = paths.each()?;
    each.push(paths.masking()?);
    println!("A result of 100 MB ({ROWS} rows), the best of {} turns:\n", plan.rounds);
    println!("| path | seconds | CPU of the proxy |\n| --- | ---: | ---: |");
    let mut best: Vec<(f64, f64)> = vec![(f64::INFINITY, f64::INFINITY); each.len()];
    for _ in 0..plan.rounds {
        for (path, best) in each.iter().zip(&mut best) {
            let cpu = || path.proxy.map(Cpu::of).unwrap_or_default();
            let (before, start) = (cpu(), Instant::now());
            read(&path.connection)?;
            let taken = (start.elapsed().as_secs_f64(), (cpu() - before).total() / 1e6);
            *best = (best.0.min(taken.0), best.1.min(taken.1));
        }
    }
    for (path, (seconds, cpu)) in each.iter().zip(best) {
        let cpu = if path.proxy.is_some() { format!("{cpu:.2} s") } else { String::new() };
        println!("| {} | {seconds:.2} | {cpu} |", path.name);
    }
    println!();
    Ok(())
}

fn read(connection: &Psql) -> Result<()> {
    let mut psql = Command::new("psql");
    psql.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-o",
        "/dev/null",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        "select * from bulk",
    ]);
    let output = psql.envs(connection.environment()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::new(format!("running psql: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("psql: {}", String::from_utf8_lossy(&output.stderr))))
}
