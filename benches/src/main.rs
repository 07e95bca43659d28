//! What the gateway costs beside PgBouncer and beside nothing: `cargo xtask bench postgres`.
//!
//! Everything is measured in one go and in turns, because a machine is not the same from one minute to the
//! next. CPU is what the kernel charged to the proxy's process, not what a clock saw. Nothing is asserted:
//! a number without its machine is no promise, so the machine is printed with it.

// A program for a terminal talks to its terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bulk;
mod idle;
mod machine;
mod paths;
mod pgbench;
mod pgbouncer;
mod process;
mod transactions;

use std::process::ExitCode;

use gatewright_testbed::{Error, Result};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Seconds of each pgbench run.
    seconds: u32,
    /// How often each path has its turn.
    rounds: u32,
}

fn main() -> ExitCode {
    match plan().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `SECONDS ROUNDS`, both optional.
fn plan() -> Result<Plan> {
    let number = |position: usize, default: u32| match std::env::args().nth(position) {
        None => Ok(default),
        Some(word) => word.parse().map_err(|_| Error::new(format!("`{word}` is not a number"))),
    };
    Ok(Plan { seconds: number(1, 6)?, rounds: number(2, 4)? })
}

fn run(plan: Plan) -> Result<()> {
    println!("{}", machine::describe());
    for tls in [false, true] {
        println!("\n## {}\n", if tls { "TLS on every connection" } else { "Without TLS" });
        let paths = paths::Paths::open(tls)?;
        transactions::measure(&paths, plan)?;
        idle::measure(&paths)?;
        bulk::measure(&paths, plan)?;
    }
    Ok(())
}
