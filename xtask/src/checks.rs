//! `cargo xtask test`: everything that CI runs, in the order in which it fails soonest.
//!
//! Each step is a row of [`STEPS`]. A step may use what the ones before it built; with `--only` it builds what
//! it needs itself, because it asks cargo and not the step before.

use std::time::{Duration, Instant};

use gatewright_testbed::{Error, Result, target_directory};

use crate::{
    drivers, modules, oracle,
    paint::{Style, paint},
    reference,
    run::{cargo, exists, program, quietly, step, step_keeping},
    setup, threats,
};

struct Step {
    name: &'static str,
    what: &'static str,
    /// What to do when it fails.
    remedy: &'static str,
    run: fn(&mut Notes) -> Result<()>,
}

/// Folders of policy documents: each is one set.
const POLICIES: [&str; 4] =
    ["policies/", "policies/examples/http/", "policies/examples/kubernetes/", "policies/examples/ssh/"];

/// What is to be said again at the end, where it can be seen.
#[derive(Debug, Default)]
struct Notes {
    lines: Vec<String>,
}

const STEPS: &[Step] = &[
    Step {
        name: "setup",
        what: "what is missing on this machine",
        remedy: "install by hand what the message names, then run `cargo xtask setup`",
        run: |_| setup::run(setup::Purpose::Test),
    },
    Step {
        name: "fmt",
        what: "formatting",
        remedy: "run `cargo fmt --all`, for the modules with `--manifest-path plugins/Cargo.toml`",
        run: format,
    },
    Step {
        name: "tidy",
        what: "rules about the repository",
        remedy: "the failing test says which rule and where; tests/tidy says why",
        run: |_| step(&mut cargo(&["test", "--quiet", "--package", "gatewright-tidy"])),
    },
    Step {
        name: "clippy",
        what: "lints of host and modules",
        remedy: "mend what clippy says; an exception needs `#[expect(..., reason = ...)]`",
        run: lint,
    },
    Step {
        name: "deny",
        what: "licences, sources, banned crates, advisories",
        remedy: "deny.toml says why each rule is there",
        run: deny,
    },
    Step {
        name: "modules",
        what: "SDK and policy modules: native tests, generated bindings, then wasm",
        remedy: "run `cargo test --manifest-path plugins/Cargo.toml --workspace`",
        run: |_| {
            modules::test()?;
            modules::build()
        },
    },
    Step {
        name: "nextest",
        what: "unit, playbook, attack and end-to-end tests",
        remedy: "run one again with `cargo nextest run --workspace TEST_NAME`",
        run: tests,
    },
    Step {
        name: "doc",
        what: "documentation without warnings",
        remedy: "run `cargo xtask test --only doc`",
        run: |_| {
            step(
                cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
                    .env("RUSTDOCFLAGS", DOC_FLAGS),
            )
        },
    },
    Step {
        name: "policies",
        what: "every policy document with its cases",
        remedy: "run `cargo run -- policy check` on the folder",
        run: |_| POLICIES.iter().try_for_each(|folder| check_policies(folder)),
    },
    Step {
        name: "fuzz",
        what: "mutated input, the same each time, some seconds for each target",
        remedy: "the input is kept: the message says how to play it again",
        run: |_| step(program(target_directory().join("debug/gatewright-fuzz")).args(["--seconds", "10"])),
    },
    Step {
        name: "reference",
        what: "docs/configuration.md and docs/cli.md are what the program says",
        remedy: "run `cargo xtask reference`",
        run: |_| reference::run(&["--check".to_owned()]),
    },
    Step {
        name: "drivers",
        what: "docs/drivers.md is what the drivers' programmes say",
        remedy: "run `cargo xtask drivers`, and read what changed",
        run: |_| drivers::check(),
    },
    Step {
        name: "threats",
        what: "docs/threats.md is what the tests say",
        remedy: "run `cargo xtask threats`, and read what changed",
        run: |_| threats::check(),
    },
];

/// Runs all steps, or those that the arguments choose.
///
/// # Errors
/// The first step that fails, with what to do.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let steps = choose(arguments)?;
    if steps.is_empty() {
        for step in STEPS {
            println!("  {:<10} {}", step.name, step.what);
        }
        return Ok(());
    }
    let start = Instant::now();
    let mut notes = Notes::default();
    let mut done: Vec<(&str, Duration)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let title = format!("[{}/{}] {}: {}", index + 1, steps.len(), step.name, step.what);
        println!("{}", paint(Style::Bold, &title));
        let begun = Instant::now();
        let result = (step.run)(&mut notes);
        let took = begun.elapsed();
        if let Err(error) = result {
            println!("{} {} after {}", paint(Style::Red, "failed:"), step.name, seconds(took));
            report(&done, &notes);
            let again = format!("{}; then `cargo xtask test --from {}`", step.remedy, step.name);
            let advice = error.advice().map_or(again.clone(), |own| format!("{own}; {again}"));
            return Err(Error::new(error.what()).remedy(advice));
        }
        println!("{} {} in {}\n", paint(Style::Green, "ok:"), step.name, seconds(took));
        done.push((step.name, took));
    }
    report(&done, &notes);
    println!("{} in {}", paint(Style::Green, "everything passed"), seconds(start.elapsed()));
    Ok(())
}

/// None chosen means: list them.
fn choose(arguments: &[String]) -> Result<Vec<&'static Step>> {
    let position = |name: &str| {
        STEPS.iter().position(|step| step.name == name).ok_or_else(|| {
            Error::new(format!("there is no step `{name}`")).remedy("run `cargo xtask test --list`")
        })
    };
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let range = match words.as_slice() {
        [] => 0..STEPS.len(),
        ["--list"] => 0..0,
        ["--only", name] => position(name)?..position(name)? + 1,
        ["--from", name] => position(name)?..STEPS.len(),
        _ => {
            return Err(Error::new(format!("`cargo xtask test` does not know {}", words.join(" ")))
                .remedy("use --list, --only STEP or --from STEP"));
        }
    };
    Ok(STEPS.get(range).unwrap_or_default().iter().collect())
}

fn report(done: &[(&str, Duration)], notes: &Notes) {
    for (name, took) in done {
        println!("  {:<10} {:>8}", name, seconds(*took));
    }
    for line in &notes.lines {
        println!("{line}");
    }
}

fn format(_: &mut Notes) -> Result<()> {
    step(&mut cargo(&["fmt", "--all", "--check"]))?;
    step(&mut cargo(&["fmt", "--all", "--check", "--manifest-path", modules::MANIFEST]))?;
    step(&mut cargo(&["fmt", "--all", "--check", "--manifest-path", modules::SDK_MANIFEST]))
}

fn lint(_: &mut Notes) -> Result<()> {
    step(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    modules::lint()
}

/// Licences, bans and sources need no network. Advisories need a fresh database: where it can not be fetched,
/// that is said and not a failure, unless `GATEWRIGHT_ADVISORIES=required`.
fn deny(notes: &mut Notes) -> Result<()> {
    for manifest in ["Cargo.toml", modules::MANIFEST, modules::SDK_MANIFEST] {
        let deny = ["deny", "--manifest-path", manifest, "--workspace", "--config", "deny.toml"];
        step(cargo(&deny).args(["check", "bans", "licenses", "sources"]))?;
    }
    if quietly(&mut cargo(&["deny", "fetch", "db"])) {
        return step(&mut cargo(&["deny", "--workspace", "check", "--disable-fetch", "advisories"]));
    }
    if std::env::var_os("GATEWRIGHT_ADVISORIES").is_some_and(|value| value == "required") {
        return Err(
            Error::new("the advisory database can not be fetched").remedy("github.com has to be reachable")
        );
    }
    notes.lines.push("not checked: advisories, because their database can not be fetched here".to_owned());
    Ok(())
}

/// Builds every program first (the end-to-end tests run the gateway's own), then runs every test.
fn tests(notes: &mut Notes) -> Result<()> {
    step(&mut cargo(&["build", "--workspace"]))?;
    if oracle::fetch().is_err() {
        let missing = "not compared: PostgreSQL's own tests, because the source of pg_parse can not be had";
        notes.lines.push(missing.to_owned());
    }
    if !exists("cargo-nextest") && !quietly(program("cargo").args(["nextest", "--version"])) {
        return step(&mut cargo(&["test", "--workspace"]));
    }
    let mut closing = false;
    let nextest = ["nextest", "run", "--workspace", "--no-fail-fast"];
    let result = step_keeping(&mut cargo(&nextest), |line| {
        closing |= line.trim_start().starts_with("Summary [");
        if closing {
            notes.lines.push(line.to_owned());
        }
    });
    result?;
    // nextest does not run the examples in the documentation.
    step(&mut cargo(&["test", "--quiet", "--workspace", "--doc"]))
}

fn check_policies(folder: &str) -> Result<()> {
    step(program(target_directory().join("debug/gatewright")).args(["policy", "check", folder]))
}

/// The documentation is for people who read the code: private items are in it, and may be linked to.
const DOC_FLAGS: &str = "-D warnings -A rustdoc::private-intra-doc-links";

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
