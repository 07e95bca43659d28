//! What the gateway costs beside peers that only pass on, and beside nothing: `cargo xtask bench`.
//!
//! Everything is measured in one go and in turns, because a machine is not the same from one minute to the
//! next. CPU is what the kernel charged to the proxy's process, not what a clock saw. Nothing is asserted:
//! a number without its machine is no promise, so the machine is printed with it.

// A program for a terminal talks to its terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bulk;
mod crowd;
mod curl;
mod http;
mod idle;
mod kubernetes;
mod large;
mod machine;
mod paths;
mod pgbench;
mod pgbouncer;
mod process;
mod soak;
mod ssh;
mod transactions;
mod turns;

use std::process::ExitCode;

use gatewright_testbed::{Error, Result};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Seconds of each run.
    seconds: u32,
    /// How often each path has its turn.
    rounds: u32,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `NAME [SECONDS [ROUNDS]]`, `large [GIGABYTES]`, `crowd [SESSIONS [SECONDS]]` or `soak [MINUTES]`.
fn run(arguments: &[String]) -> Result<()> {
    let number = |position: usize, default: u32| match arguments.get(position) {
        None => Ok(default),
        Some(word) => word.parse().map_err(|_| Error::new(format!("`{word}` is not a number"))),
    };
    println!("{}", machine::describe());
    match arguments.first().map(String::as_str) {
        Some("large") => return large::measure(number(1, 10)?),
        Some("crowd") => return crowd::measure(number(1, 10_000)?, number(2, 60)?),
        Some("soak") => return soak::run(number(1, 10)?),
        _ => {}
    }
    let plan = Plan { seconds: number(1, 6)?, rounds: number(2, 4)? };
    let measure = match arguments.first().map(String::as_str) {
        Some("postgres") => postgres,
        Some("http") => http::measure,
        Some("kubernetes") => kubernetes::measure,
        Some("ssh") => ssh::measure,
        _ => {
            return Err(Error::new("say what to measure")
                .remedy("postgres, large, crowd, soak, http, kubernetes or ssh"));
        }
    };
    measure(plan)
}

fn postgres(plan: Plan) -> Result<()> {
    for tls in [false, true] {
        println!("\n## {}\n", if tls { "TLS on every connection" } else { "Without TLS" });
        let paths = paths::Paths::open(tls)?;
        transactions::measure(&paths, plan)?;
        idle::measure(&paths)?;
        bulk::measure(&paths, plan)?;
        paths.end()?;
    }
    Ok(())
}
