//! Every command that people and CI run. `cargo xtask` lists them.
//!
//! One program and no shell scripts, so that what a person runs and what CI runs can not drift apart.

// A program for a terminal talks to its terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod checks;
mod demo;
mod drivers;
mod modules;
mod oracle;
mod paint;
mod reference;
mod regress;
mod release;
mod run;
mod setup;
mod suites;
mod threats;
mod versions;

use std::process::ExitCode;

use gatewright_testbed::{Error, Result, repository, target_directory};

/// A command of xtask.
struct Command {
    name: &'static str,
    arguments: &'static str,
    what: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        arguments: "",
        what: "install what is missing to build and test",
        run: setup_everything,
    },
    Command {
        name: "demo",
        arguments: "[--stay]",
        what: "show everything once, with real servers and clients; --stay keeps it running to try",
        run: demo::run,
    },
    Command {
        name: "test",
        arguments: "[--list] [--only STEP] [--from STEP]",
        what: "everything that CI runs",
        run: checks::run,
    },
    Command {
        name: "bench",
        arguments: "postgres|large|crowd|http|kubernetes|ssh [..]",
        what: "what the gateway costs beside proxies that only pass on (release build: minutes)",
        run: bench,
    },
    Command {
        name: "soak",
        arguments: "[--minutes M]",
        what: "connections of every kind for a long time: fails where memory, file descriptors or threads grow",
        run: soak,
    },
    Command {
        name: "release",
        arguments: "",
        what: "build the program as it is to be run, with what benchmarks have shown of it (half an hour)",
        run: release::run,
    },
    Command {
        name: "fuzz",
        arguments: "[--seconds N] [--seed N] [--target NAME]",
        what: "mutated input for everything that reads a peer's bytes",
        run: fuzz,
    },
    Command {
        name: "oracle",
        arguments: "",
        what: "the SQL analyser against PostgreSQL's own tests and a real server, all of it (minutes)",
        run: oracle::run,
    },
    Command {
        name: "kube-assets",
        arguments: "",
        what: "build a real API server from Debian's source, and print its folder for KUBEBUILDER_ASSETS",
        run: kube_assets,
    },
    Command {
        name: "regress",
        arguments: "[--json]",
        what: "PostgreSQL's own regression suite, without the gateway and through it (minutes)",
        run: regress::run,
    },
    Command {
        name: "suites",
        arguments: "[--all] [tokio-postgres] [sqlalchemy]",
        what: "the drivers' own tests, without the gateway and through it (five minutes; --all: fifteen)",
        run: suites::run,
    },
    Command { name: "modules", arguments: "", what: "build the policy modules", run: |_| modules::build() },
    Command {
        name: "bindings",
        arguments: "[--check]",
        what: "write the SDK's bindings from the contract in plugin-sdk/wit",
        run: |arguments| modules::bindings(&arguments.iter().map(String::as_str).collect::<Vec<_>>()),
    },
    Command {
        name: "reference",
        arguments: "[--check]",
        what: "write docs/configuration.md and docs/cli.md from what the program says",
        run: reference::run,
    },
    Command {
        name: "drivers",
        arguments: "[--check]",
        what: "write docs/drivers.md: which driver sees what through the gateway",
        run: drivers::run,
    },
    Command {
        name: "threats",
        arguments: "[--check|--results]",
        what: "write docs/threats.md: which threat is held by which test",
        run: threats::run,
    },
    Command {
        name: "versions",
        arguments: "[14] [15] [16] [17] [18]",
        what: "the tests that talk to PostgreSQL, with each version of it (ten minutes for each)",
        run: versions::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let result =
        match COMMANDS.iter().find(|command| command.name == name) {
            Some(command) => (command.run)(rest),
            None => Err(Error::new(format!("there is no command `{name}`"))
                .remedy("run `cargo xtask` for the list")),
        };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            paint::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn setup_everything(_: &[String]) -> Result<()> {
    setup::run(setup::Purpose::Test)
}

fn bench(arguments: &[String]) -> Result<()> {
    let known = ["postgres", "large", "crowd", "http", "kubernetes", "ssh"];
    if !arguments.first().is_some_and(|name| known.contains(&name.as_str())) {
        return Err(Error::new("say what to measure")
            .remedy("run `cargo xtask bench postgres`, `large`, `crowd`, `http`, `kubernetes` or `ssh`"));
    }
    measure(arguments)
}

fn soak(arguments: &[String]) -> Result<()> {
    let minutes = match arguments {
        [] => "10",
        [flag, minutes] if flag == "--minutes" => minutes,
        _ => return Err(Error::new("say for how long").remedy("run `cargo xtask soak --minutes 10`")),
    };
    measure(&["soak".to_owned(), minutes.to_owned()])
}

/// Builds what is measured as it is to be run, and measures it.
fn measure(arguments: &[String]) -> Result<()> {
    setup::run(setup::Purpose::Bench)?;
    modules::build()?;
    let packages = ["gatewright", "gatewright-apiserver", "gatewright-benches"];
    let packages = packages.iter().flat_map(|name| ["--package", name]);
    run::step(run::cargo(&["build", "--release"]).args(packages))?;
    run::step(run::program(target_directory().join("release/gatewright-benches")).args(arguments))
}

fn fuzz(arguments: &[String]) -> Result<()> {
    run::step(&mut run::cargo(&["build", "--workspace"]))?;
    run::step(run::program(target_directory().join("debug/gatewright-fuzz")).args(arguments))
}

/// Prints the folder and nothing else, for `$(...)`: what goes on is on standard error.
fn kube_assets(_: &[String]) -> Result<()> {
    let folder = target_directory().join("kube-assets");
    let script = repository().join("tools/kube-assets.sh");
    println!("{}", run::output(run::program(script).arg(folder))?);
    Ok(())
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask COMMAND\n\n");
    for command in COMMANDS {
        let call = format!("{} {}", command.name, command.arguments);
        text.push_str(&format!("  {call:<42} {}\n", command.what));
    }
    text
}
