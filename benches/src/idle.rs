//! What a session costs that does nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use gatewright_testbed::Result;

use crate::{
    paths::{Path, Paths},
    pgbench, process,
};

/// Sessions that are opened.
const SESSIONS: u32 = 200;

/// Memory of each proxy for each idle session.
pub(crate) fn measure(paths: &Paths) -> Result<()> {
    println!(
        "Memory for each of {SESSIONS} sessions that ran one statement and have been idle for twelve seconds:\n"
    );
    println!("| path | KiB a session |\n| --- | ---: |");
    for path in paths.each()? {
        let Some(pid) = path.proxy else { continue };
        let before = process::resident(pid);
        let mut sessions = pgbench::idle_sessions(&path.connection, SESSIONS)?;
        wait_until_open(paths, &path)?;
        let after = process::resident(pid);
        let _ = sessions.kill();
        let _ = sessions.wait();
        println!("| {} | {:.1} |", path.name, (after - before) / f64::from(SESSIONS));
    }
    println!();
    Ok(())
}

/// All sessions have run their statement when the server has that many that idle after it.
fn wait_until_open(paths: &Paths, path: &Path) -> Result<()> {
    let start = Instant::now();
    let question = "select count(*) from pg_stat_activity where usename = 'app' and query = 'select 1;' and state = 'idle'";
    loop {
        let open = paths.postgres.sql("postgres", question)?;
        if open.parse::<u32>().is_ok_and(|open| open >= SESSIONS) {
            // By then the sessions are idle, and what they do not need is given back.
            thread::sleep(Duration::from_secs(12));
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(60) {
            println!("(only {open} of {SESSIONS} sessions through {} were open after a minute)", path.name);
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
