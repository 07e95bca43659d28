//! `docs/configuration.md` and `docs/cli.md`: what the program says about itself, where people look for it.

use std::{fs, path::Path};

use gatewright_testbed::{Error, Result, repository, target_directory};

use crate::run;

/// Writes both pages, or checks that they are up to date.
///
/// # Errors
/// Where the program can not be run, or a page is not what it says.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let pages = [("docs/configuration.md", settings()?), ("docs/cli.md", commands()?)];
    match arguments {
        [] => pages.iter().try_for_each(|(page, text)| {
            println!("  wrote {page}");
            let written = fs::write(repository().join(page), text);
            written.map_err(|error| Error::new(format!("writing {page}: {error}")))
        }),
        [flag] if flag == "--check" => pages.iter().try_for_each(|(page, text)| {
            if fs::read_to_string(repository().join(page)).unwrap_or_default() == *text {
                return Ok(());
            }
            Err(Error::new(format!("{page} is not what the program says"))
                .remedy("run `cargo xtask reference`"))
        }),
        _ => Err(Error::new("`cargo xtask reference` takes --check or nothing")),
    }
}

fn settings() -> Result<String> {
    Ok(gatewright(&["config", "reference"])? + "\n")
}

fn commands() -> Result<String> {
    let mut page = String::from(
        "# Commands of `gatewright`\n\nWritten by `cargo xtask reference` from what `--help` prints.\n",
    );
    help(&[], &mut page)?;
    Ok(page)
}

/// The help of a command, and of every command below it.
fn help(command: &[&str], page: &mut String) -> Result<()> {
    let text = gatewright(&[command, &["--help"]].concat())?;
    let name = [&["gatewright"], command].concat().join(" ");
    page.push_str(&format!("\n## `{name}`\n\n```text\n{text}\n```\n"));
    let below = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in below.take_while(|line| !line.trim().is_empty()) {
        if let Some(name) = line.split_whitespace().next() {
            help(&[command, &[name]].concat(), page)?;
        }
    }
    Ok(())
}

fn gatewright(arguments: &[&str]) -> Result<String> {
    let program = target_directory().join("debug/gatewright");
    if !Path::new(&program).exists() {
        return Err(
            Error::new("the gateway's program is not built").remedy("run `cargo build --workspace`")
        );
    }
    // The width of a page, wherever it is made; and no variable of this shell in the defaults that it prints.
    let mut command = run::program(program);
    command.args(arguments).env("COLUMNS", "100").env("NO_COLOR", "1");
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("GATEWRIGHT_")) {
            command.env_remove(variable);
        }
    }
    run::output(&mut command)
}
