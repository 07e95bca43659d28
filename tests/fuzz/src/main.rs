//! Mutated input for everything that reads a peer's bytes: `cargo xtask fuzz`.
//!
//! A plain program on the stable compiler: seeds, mutations, and properties that have to hold for any input.
//! It does not see which branches an input took, as a coverage-guided fuzzer does; in return it runs
//! everywhere, in every change's checks, and the same seed gives the same inputs again. An input that broke a
//! property is written to `target/fuzz`; once mended, it belongs into `tests/fuzz/corpus`, which is played
//! first in every run.

// A program for a terminal talks to its terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod codings;
mod http;
mod kubernetes;
mod masks;
mod mutate;
mod postgres;
mod sftp;
mod sql;
mod ssh;
mod streams;

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use mutate::{Mutator, Shape};

/// Something that reads a peer's bytes.
struct Target {
    name: &'static str,
    /// Well-formed inputs to start from.
    seeds: fn() -> Vec<Vec<u8>>,
    /// Words that its inputs are made of.
    words: &'static [&'static [u8]],
    /// What may stand between them.
    shape: Shape,
    /// Panics where a property does not hold.
    check: fn(&[u8]),
}

const TARGETS: &[Target] = &[
    codings::TARGET,
    http::TARGET,
    kubernetes::TARGET,
    ssh::TARGET,
    sftp::TARGET,
    masks::TARGET,
    postgres::TARGET,
    sql::TARGET,
    streams::TARGET,
];

/// The longest input that is made, in bytes.
const LONGEST: usize = 4096;

/// The shortest input that others are made from, in bytes.
const WORTH_KEEPING: usize = 16;

fn main() -> ExitCode {
    let Some(plan) = Plan::from_arguments(std::env::args().skip(1)) else {
        eprintln!("usage: gatewright-fuzz [--seconds N] [--seed N] [--target NAME] [--input FILE]");
        return ExitCode::from(2);
    };
    // A broken property is reported once, with its input; not by the panic's own message as well.
    panic::set_hook(Box::new(|_| {}));
    let targets =
        TARGETS.iter().filter(|target| plan.target.as_ref().is_none_or(|name| target.name == name));
    let mut broken = false;
    for target in targets {
        broken |= !match &plan.input {
            Some(path) => fs::read(path).is_ok_and(|input| holds(target, &input)),
            None => run(target, &plan),
        };
    }
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[derive(Debug, PartialEq, Eq)]
struct Plan {
    seconds: u64,
    seed: u64,
    target: Option<String>,
    input: Option<PathBuf>,
}

impl Plan {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut plan = Self { seconds: 5, seed: 1, target: None, input: None };
        while let Some(flag) = arguments.next() {
            let value = arguments.next()?;
            match flag.as_str() {
                "--seconds" => plan.seconds = value.parse().ok()?,
                "--seed" => plan.seed = value.parse().ok()?,
                "--target" => plan.target = Some(value),
                "--input" => plan.input = Some(value.into()),
                _ => return None,
            }
        }
        let known = |name: &String| TARGETS.iter().any(|target| target.name == name);
        plan.target.as_ref().is_none_or(known).then_some(plan)
    }
}

/// Plays the corpus, then makes inputs until the time is over. False where one broke a property.
fn run(target: &Target, plan: &Plan) -> bool {
    let mut pool = (target.seeds)();
    pool.extend(corpus(target.name));
    for input in &pool {
        if !holds(target, input) {
            return false;
        }
    }
    let mut mutator = Mutator::new(plan.seed, target.words, target.shape, LONGEST);
    let (start, limit) = (Instant::now(), Duration::from_secs(plan.seconds));
    let mut count = 0_u64;
    while start.elapsed() < limit {
        let input = mutator.next(&pool);
        if !holds(target, &input) {
            return false;
        }
        // A pool that drifts away from well-formed input reaches states that one mutation does not. What a
        // mutation has cut short is not worth keeping.
        if count.is_multiple_of(64) && pool.len() < 512 && input.len() >= WORTH_KEEPING {
            pool.push(input);
        }
        count += 1;
    }
    println!(
        "  {}: {count} inputs from seed {} in {} s, every property held",
        target.name, plan.seed, plan.seconds
    );
    true
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read(file.path()).ok()).collect()
}

/// Checks one input; where it breaks a property, says so and keeps it.
fn holds(target: &Target, input: &[u8]) -> bool {
    let Err(problem) = panic::catch_unwind(AssertUnwindSafe(|| (target.check)(input))) else { return true };
    let said = problem.downcast_ref::<String>().cloned();
    let said = said.or_else(|| problem.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let path = keep(target.name, input);
    eprintln!("{}: {}", target.name, said.unwrap_or_else(|| "a property does not hold".to_owned()));
    eprintln!(
        "the input is in {0}; play it again with `cargo run -p gatewright-fuzz -- --target {1} --input {0}`",
        path.display(),
        target.name
    );
    false
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().nth(2).unwrap_or(Path::new("target")).join("fuzz");
    let number = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = target.join(format!("{name}-{number:016x}"));
    let written = fs::create_dir_all(&target).and_then(|()| fs::write(&path, input));
    if let Err(error) = written {
        eprintln!("the input could not be kept: {error}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_corpus_hold() {
        for target in TARGETS {
            for input in (target.seeds)().into_iter().chain(corpus(target.name)) {
                (target.check)(&input);
            }
        }
    }

    #[test]
    fn arguments_are_checked() {
        let plan = |words: &[&str]| Plan::from_arguments(words.iter().map(|word| (*word).to_owned()));
        assert_eq!(plan(&["--seconds", "9", "--target", "sql"]).unwrap().seconds, 9);
        assert_eq!(plan(&["--target", "nothing"]), None);
        assert_eq!(plan(&["--seconds"]), None);
    }
}
