//! A driver's own programme, run against the server and through the gateway: both have to give the same.
//!
//! A programme (`drivers/DRIVER/`) writes a line `== what it tries` for each thing, and below it what came of it,
//! errors included. What differs has to stand in `drivers/differences.tsv` with its reason, from which
//! `cargo xtask drivers` writes docs/drivers.md: a difference that is not written down fails the test, and so does
//! one that is and does not show any more.

use std::{
    fmt::Write as _,
    io::Read,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use gatewright_testbed::{Error, Mint, Psql, Result, repository};

use crate::Scene;

/// How long a programme may run. They take seconds: a driver that waits for an answer that does not come is to fail.
const PATIENCE: Duration = Duration::from_secs(100);

/// The directory of the programmes of a driver.
pub fn directory(driver: &str) -> PathBuf {
    repository().join("tests/e2e/drivers").join(driver)
}

/// Runs a programme against the server and through the gateway, and compares. `known` are things that were tried,
/// and a part of what has to have come of them at the server: two failures that are equal prove nothing.
///
/// # Errors
/// With everything that differs and is not written down, or is written down and does not differ.
pub fn compare(
    scene: &Scene,
    driver: &str,
    run: impl Fn(&Psql) -> Result<String>,
    known: &[(&str, &str)],
) -> Result<()> {
    let postgres = &scene.postgres;
    // Since PostgreSQL 15 nobody but its owner may create anything there.
    postgres.sql("postgres", &format!("grant create on schema public to {}", postgres.account()))?;
    let authority = postgres.certificates().authority();
    let direct = Psql::new(postgres.port(), &authority, postgres.account(), postgres.password());
    let direct = run(&direct)?;
    let through = run(&scene.gateway.psql(&Mint::default())?)?;
    let wrong = judge(&sections(&direct), &sections(&through), &differences(driver)?, known);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!("{driver} can tell the gateway from the server\n{wrong}")))
}

/// How long building one may take: some of them build the driver as well.
const BUILDING: Duration = Duration::from_secs(900);

/// Builds a programme.
///
/// # Errors
/// With what its compiler says.
pub fn build(command: &mut Command) -> Result<()> {
    let output = within(BUILDING, command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)))
        .remedy("run `cargo xtask setup`"))
}

/// What a programme writes on a connection.
///
/// # Errors
/// Where it can not be run. That it fails is a part of what it writes.
pub fn run(mut command: Command, connection: &Psql) -> Result<String> {
    // Go's drivers know no address beside the name.
    let environment = connection.environment().into_iter().filter(|(name, _)| *name != "PGHOSTADDR");
    command.envs(environment).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    let output = within(PATIENCE, &mut command)?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        // How it ended is a part of what is compared.
        let said = String::from_utf8_lossy(&output.stderr);
        let _ = write!(text, "\n== the end\n{}\n{said}\n", output.status);
    }
    Ok(text)
}

fn within(patience: Duration, command: &mut Command) -> Result<Output> {
    let what = format!("{command:?}");
    let failed = |error: std::io::Error| Error::new(format!("running {what}: {error}"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let start = Instant::now();
    while child.try_wait().map_err(failed)?.is_none() && start.elapsed() < patience {
        thread::sleep(Duration::from_millis(20));
    }
    // One that has ended is not there to be killed any more.
    let _ = child.kill();
    let status = child.wait().map_err(failed)?;
    Ok(Output { status, stdout: out.join().unwrap_or_default(), stderr: err.join().unwrap_or_default() })
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// What was tried, and what came of it.
type Section<'a> = (&'a str, &'a str);

/// Cuts a programme's output. What stands before the first thing that is tried has no name.
fn sections(output: &str) -> Vec<Section<'_>> {
    let marked = output.split("\n== ").enumerate();
    marked
        .map(|(index, part)| {
            let part = if index == 0 { part.strip_prefix("== ").unwrap_or(part) } else { part };
            part.split_once('\n').map_or((part, ""), |(label, body)| (label, body.trim_end()))
        })
        .collect()
}

/// A difference that is written down.
struct Difference {
    label: String,
    seen: String,
}

fn differences(driver: &str) -> Result<Vec<Difference>> {
    let path = repository().join("tests/e2e/drivers/differences.tsv");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::new(format!("reading {}: {error}", path.display())))?;
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [own, label, seen, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(Error::new(format!("not `driver, what is tried, what it sees, why`: {line}")));
        };
        if seen.is_empty() || reason.is_empty() {
            return Err(Error::new(format!("a difference has to say what is seen, and why: {line}")));
        }
        if own == driver {
            found.push(Difference { label: label.to_owned(), seen: seen.to_owned() });
        }
    }
    Ok(found)
}

/// Says what is wrong, in the programme's own order.
fn judge(
    direct: &[Section<'_>],
    through: &[Section<'_>],
    differences: &[Difference],
    known: &[(&str, &str)],
) -> String {
    let mut wrong = String::new();
    let labels = |sections: &[Section<'_>]| sections.iter().map(|section| section.0.to_owned()).collect();
    let (tried, reached): (Vec<String>, Vec<String>) = (labels(direct), labels(through));
    if tried != reached {
        let _ = writeln!(wrong, "not the same was tried:\n  server:  {tried:?}\n  gateway: {reached:?}");
    }
    for (label, value) in direct {
        let Some((_, own)) = through.iter().find(|section| section.0 == *label) else { continue };
        let written: Vec<&Difference> = differences.iter().filter(|one| one.label == *label).collect();
        match (value == own, written.is_empty()) {
            (true, false) => {
                let _ = writeln!(wrong, "{label}: it is written down as different, and is the same");
            }
            (false, true) => {
                let _ = writeln!(wrong, "{label}:\n  server:  {value}\n  gateway: {own}");
            }
            (true, true) => {}
            (false, false) => {
                for one in written.iter().filter(|one| !own.contains(&one.seen)) {
                    let _ =
                        writeln!(wrong, "{label}: not as written down ({})\n  gateway: {own}", one.seen);
                }
            }
        }
    }
    for one in differences.iter().filter(|one| !tried.contains(&one.label)) {
        let _ = writeln!(wrong, "{}: it is written down as different, and not tried", one.label);
    }
    for (label, part) in known {
        match direct.iter().find(|section| section.0 == *label) {
            Some((_, value)) if value.contains(part) => {}
            found => {
                let _ = writeln!(wrong, "{label}: at the server it is not {part}: {found:?}");
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(label: &str, seen: &str) -> Difference {
        Difference { label: label.to_owned(), seen: seen.to_owned() }
    }

    #[test]
    fn an_output_is_cut_by_what_was_tried() {
        assert_eq!(sections("== a\n1\n2\n== b\n\n"), [("a", "1\n2"), ("b", "")]);
    }

    #[test]
    fn what_differs_has_to_be_written_down_and_what_is_written_down_has_to_differ() {
        let direct = [("a", "1"), ("b", "2")];
        let through = [("a", "1"), ("b", "refused 42501")];
        assert_eq!(judge(&direct, &direct, &[], &[("a", "1")]), "");
        assert_eq!(judge(&direct, &through, &[difference("b", "42501")], &[]), "");
        assert_ne!(judge(&direct, &through, &[], &[]), "", "not written down");
        assert_ne!(judge(&direct, &through, &[difference("b", "0A000")], &[]), "", "another one");
        assert_ne!(judge(&direct, &direct, &[difference("b", "2")], &[]), "", "gone");
        assert_ne!(judge(&direct, &direct, &[difference("c", "2")], &[]), "", "not tried");
        assert_ne!(judge(&direct, &direct, &[], &[("a", "2")]), "", "two equal failures");
        assert_ne!(judge(&direct, &through[..1], &[], &[]), "", "it ended early");
    }
}
