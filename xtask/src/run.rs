//! Running other programs, and saying so first.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use gatewright_testbed::{Error, Result, repository, target_directory};

use crate::paint::{Style, paint};

/// Where `cargo install` puts the tools of this repository.
pub(crate) fn tools() -> std::path::PathBuf {
    target_directory().join("tools")
}

/// A program, run at the root of the repository.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(repository());
    // What cargo tells the program that it runs is not meant for the cargo that this program runs.
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|key| {
            key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_") || key == "LD_LIBRARY_PATH"
        }) {
            command.env_remove(key);
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [tools().join("bin")].into_iter().chain(std::env::split_paths(&path));
    if let Ok(joined) = std::env::join_paths(paths) {
        command.env("PATH", joined);
    }
    command
}

/// Cargo, with the target directory that xtask itself was built in.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program("cargo");
    command.args(arguments).env("CARGO_TARGET_DIR", target_directory());
    command
}

/// Is there a program of this name?
pub(crate) fn exists(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into);
    [tools().join("bin")]
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(system)
        .any(|directory| directory.join(name).is_file())
}

/// Shows a command, runs it, and fails where it fails.
pub(crate) fn step(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().map_err(|error| cannot(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!("`{}` failed ({status})", shown(command))))
    }
}

/// As [`step`], and keeps the lines of its standard error that `keep` wants, which are shown all the same.
pub(crate) fn step_keeping(command: &mut Command, mut keep: impl FnMut(&str)) -> Result<()> {
    announce(command);
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| cannot(command, &error))?;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n').map_while(std::result::Result::ok) {
            let line = String::from_utf8_lossy(&line);
            eprintln!("{line}");
            keep(&line);
        }
    }
    let status = child.wait().map_err(|error| cannot(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!("`{}` failed ({status})", shown(command))))
    }
}

/// Runs a command quietly: did it end well?
pub(crate) fn quietly(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs a command quietly for its output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::new(format!("`{}` failed ({})", shown(command), output.status)))
}

fn announce(command: &Command) {
    println!("{}", paint(Style::Dim, &format!("  $ {}", shown(command))));
}

fn cannot(command: &Command, error: &std::io::Error) -> Error {
    Error::new(format!("can not run `{}`: {error}", shown(command))).remedy("run `cargo xtask setup`")
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut text = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
