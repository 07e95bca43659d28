//! What the gateway costs beside OpenSSH's own hop (`ssh -J`): `cargo xtask bench ssh`.
//!
//! A hop carries a connection whose contents it can not see: client and target encrypt once, and the hop once more. The gateway is both ends
//! of two connections, and reads what passes.

mod ways;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use gatewright_testbed::{Error, Result, Stage};

use self::ways::{Way, Ways};
use crate::{
    Plan, process,
    turns::{self, Turn},
};

/// Megabytes of the file that is transferred.
const MEGABYTES: usize = 1_000;

/// Sessions that are opened in one turn, one after the other.
const SESSIONS: u32 = 10;

/// Sessions that are open and do nothing.
const IDLE: u32 = 500;

/// A file by `cat` and by `sftp`, sessions that are opened, and sessions that are idle.
pub(crate) fn measure(plan: Plan) -> Result<()> {
    let stage = Stage::new("bench-ssh")?;
    let ways = Ways::open(&stage)?;
    let file = ways.home().join("file");
    fill(&file)?;
    let each = ways.each()?;
    let names: Vec<_> = each.iter().map(|way| (way.name, way.proxy)).collect();
    let way = |index: usize| each.get(index).ok_or_else(|| Error::new("there is no such way"));

    println!("\n{MEGABYTES} MB of text by `ssh HOST cat FILE`:\n");
    let sums = turns::take(&names, plan.rounds, |index, _| {
        let way: &Way = way(index)?;
        timed(way.ssh(&[&format!("cat {}", file.display())]), MEGABYTES as f64)
    })?;
    turns::print(&sums, "MB a second", "MB");

    println!("{MEGABYTES} MB to the host, by `ssh HOST 'cat > /dev/null'`:\n");
    let sums = turns::take(&names, plan.rounds, |index, _| {
        let mut command = way(index)?.ssh(&["cat > /dev/null"]);
        let input =
            fs::File::open(&file).map_err(|error| Error::new(format!("reading the file: {error}")))?;
        command.stdin(input);
        timed(command, MEGABYTES as f64)
    })?;
    turns::print(&sums, "MB a second", "MB");

    println!("The same file from the host by `sftp`, each part an event or a part of one:\n");
    // What a detector would change has another length: a mask on a file is refused.
    let without: Vec<_> = names.iter().copied().filter(|(name, _)| !name.contains("detectors")).collect();
    let sums = turns::take(&without, plan.rounds, |index, _| {
        timed(way(index)?.sftp(&format!("get {} /dev/null", file.display()), &stage)?, MEGABYTES as f64)
    })?;
    turns::print(&sums, "MB a second", "MB");

    println!("Sessions: connected, proved, one command run, and closed, one after the other:\n");
    let sums = turns::take(&names, plan.rounds, |index, warming| {
        let start = Instant::now();
        let count = if warming { 1 } else { SESSIONS };
        for _ in 0..count {
            timed(way(index)?.ssh(&["true"]), 1.0)?;
        }
        let done = f64::from(count);
        Ok(Turn { done, rate: done / start.elapsed().as_secs_f64() })
    })?;
    turns::print(&sums, "sessions a second", "session");
    idle(&each)?;
    ways.end()
}

/// Memory of the gateway for each session that is open and idle.
fn idle(each: &[Way]) -> Result<()> {
    println!("Memory for each of {IDLE} connections on which a command runs and says nothing:\n");
    println!("| path | KiB a session |\n| --- | ---: |");
    for way in each.iter().filter(|way| way.name == "gateway") {
        let Some(pid) = way.proxy else { continue };
        let before = process::resident(pid);
        let mut clients = Clients(Vec::new());
        for _ in 0..IDLE {
            let mut command = way.ssh(&["echo in; sleep 1000"]);
            let client = command.stdout(Stdio::piped()).spawn();
            let mut client = client.map_err(|error| Error::new(format!("running ssh: {error}")))?;
            // It is open when the command has said something.
            let mut said = [0; 3];
            if let Some(out) = &mut client.stdout {
                std::io::Read::read_exact(out, &mut said)
                    .map_err(|error| Error::new(format!("a session was not opened: {error}")))?;
            }
            clients.0.push(client);
        }
        thread::sleep(Duration::from_secs(12));
        let after = process::resident(pid);
        println!("| {} | {:.1} |", way.name, (after - before) / f64::from(IDLE));
    }
    println!();
    Ok(())
}

struct Clients(Vec<Child>);

impl Drop for Clients {
    fn drop(&mut self) {
        for client in &mut self.0 {
            let _ = client.kill();
            let _ = client.wait();
        }
    }
}

fn timed(mut command: std::process::Command, megabytes: f64) -> Result<Turn> {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status();
    let status = status.map_err(|error| Error::new(format!("running ssh: {error}")))?;
    if !status.success() {
        return Err(Error::new(format!("ssh ended with {status}")));
    }
    Ok(Turn { done: megabytes, rate: megabytes / start.elapsed().as_secs_f64() })
}

/// Lines as logs have them, with numbers that are no card's.
fn fill(file: &Path) -> Result<()> {
    let failed = |error| Error::new(format!("writing {}: {error}", file.display()));
    let mut block = Vec::new();
    for number in 0_u32..10_000 {
        let line = format!(
            "2026-11-29T12:{:02}:{:02}.{:06}Z INFO request id={:08x} path=/v1/items/{} status=200 took={}us\n",
            number / 60 % 60,
            number % 60,
            number.wrapping_mul(7_919) % 1_000_000,
            number.wrapping_mul(2_654_435_761),
            number,
            number % 977
        );
        block.extend_from_slice(line.as_bytes());
    }
    let mut out = fs::File::create(file).map_err(failed)?;
    let mut left = MEGABYTES * 1_000_000;
    while left > 0 {
        let size = left.min(block.len());
        out.write_all(block.get(..size).unwrap_or_default()).map_err(failed)?;
        left -= size;
    }
    Ok(())
}
