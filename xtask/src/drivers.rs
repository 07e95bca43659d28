//! `docs/drivers.md`: each driver of PostgreSQL, what its programme tries, and where it can tell the gateway from the
//! server.
//!
//! The rows are in `tests/e2e/drivers/drivers.tsv`, what is tried stands in the programmes themselves, and what differs
//! in `differences.tsv`, each line of which is held by the driver's test.

use std::fs;

use gatewright_testbed::{Error, Result, repository};

const FOLDER: &str = "tests/e2e/drivers";
const PAGE: &str = "docs/drivers.md";

/// Writes the page, or checks that it is up to date.
///
/// # Errors
/// Where a row can not be read, or the page that is there is not the one that would be written.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let path = repository().join(PAGE);
    match arguments {
        [] => {
            fs::write(&path, page()?)
                .map_err(|error| Error::new(format!("writing {}: {error}", path.display())))?;
            println!("  wrote {PAGE}");
            Ok(())
        }
        [flag] if flag == "--check" => check(),
        _ => Err(Error::new("`cargo xtask drivers` takes --check or nothing")),
    }
}

/// Checks that the page is up to date.
///
/// # Errors
/// As [`run`].
pub(crate) fn check() -> Result<()> {
    if fs::read_to_string(repository().join(PAGE)).unwrap_or_default() == page()? {
        return Ok(());
    }
    Err(Error::new(format!("{PAGE} is not what the programmes say")).remedy("run `cargo xtask drivers`"))
}

struct Driver<'a> {
    id: &'a str,
    name: &'a str,
    pinned: &'a str,
    programmes: &'a str,
    known_for: &'a str,
}

struct Difference<'a> {
    driver: &'a str,
    label: &'a str,
    seen: &'a str,
    reason: &'a str,
}

fn page() -> Result<String> {
    let (drivers, differences) = (read("drivers.tsv")?, read("differences.tsv")?);
    let drivers = lines(&drivers).map(driver).collect::<Result<Vec<_>>>()?;
    let differences = lines(&differences).map(difference).collect::<Result<Vec<_>>>()?;
    if let Some(stray) =
        differences.iter().find(|one| !drivers.iter().any(|driver| driver.id == one.driver))
    {
        return Err(Error::new(format!("a difference is of `{}`, which is no driver", stray.driver)));
    }
    let mut page = HEAD.to_owned();
    let mut tried_by = Vec::new();
    for driver in &drivers {
        let tried = tried(driver)?;
        let own: Vec<&Difference<'_>> = differences.iter().filter(|one| one.driver == driver.id).collect();
        let result = match own.len() {
            0 => format!("all {} equal", tried.len()),
            count => format!("{} of {} equal", tried.len().saturating_sub(count), tried.len()),
        };
        page.push_str(&format!(
            "| [{}](#{}) | {} | {} | {result} |\n",
            driver.name,
            anchor(driver.name),
            version(driver.pinned)?,
            driver.known_for
        ));
        tried_by.push((driver, tried, own));
    }
    for (driver, tried, own) in tried_by {
        page.push_str(&format!("\n## {}\n\nTried: {}.\n", driver.name, tried.join("; ")));
        if own.is_empty() {
            page.push_str("\nNothing differs.\n");
            continue;
        }
        page.push_str("\n| What differs | Seen through the gateway | Why |\n| --- | --- | --- |\n");
        for one in own {
            page.push_str(&format!("| {} | {} | {} |\n", one.label, one.seen, one.reason));
        }
    }
    Ok(page)
}

/// What a programme tries, in its own order and words.
fn tried(driver: &Driver<'_>) -> Result<Vec<String>> {
    let mut tried = Vec::new();
    for programme in driver.programmes.split(' ') {
        tried.extend(read(programme)?.lines().filter_map(label));
    }
    if tried.is_empty() {
        return Err(Error::new(format!("{} tries nothing that could be read", driver.programmes)));
    }
    Ok(tried)
}

/// `@check("x")`, `await check('x', ...`, `echo '== x'` and their like give `x`.
fn label(line: &str) -> Option<String> {
    let openings = [("check(", ""), ("check_async(", ""), ("echo ", "== ")];
    openings.iter().find_map(|(call, mark)| {
        let (_, rest) = line.split_once(call)?;
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let rest = rest.strip_prefix(quote)?.strip_prefix(mark)?;
        let (label, _) = rest.split_once(quote)?;
        // psql reads one backslash where two are written.
        Some(label.replace("\\\\", "\\"))
    })
}

fn driver(line: &str) -> Result<Driver<'_>> {
    match line.split('\t').collect::<Vec<_>>()[..] {
        [id, name, pinned, programmes, known_for] => Ok(Driver { id, name, pinned, programmes, known_for }),
        _ => Err(Error::new(format!("drivers.tsv has a line that is not a driver: {line}"))),
    }
}

fn difference(line: &str) -> Result<Difference<'_>> {
    match line.split('\t').collect::<Vec<_>>()[..] {
        [driver, label, seen, reason] => Ok(Difference { driver, label, seen, reason }),
        _ => Err(Error::new(format!("differences.tsv has a line that is not a difference: {line}"))),
    }
}

/// The version of a driver, from where it is pinned.
///
/// # Errors
/// Where nothing is pinned there.
pub(crate) fn version(pinned: &str) -> Result<String> {
    let unknown = || Error::new(format!("drivers.tsv pins a driver where none is: {pinned}"));
    let (place, package) = pinned.split_once(' ').ok_or_else(unknown)?;
    let found = match place {
        "python" => after(&read("../requirements.txt")?, &format!("{package}=="), '\n'),
        "npm" => after(&read("node/package.json")?, &format!("\"{package}\": \""), '"'),
        "cargo" => {
            after(&read("../../../Cargo.lock")?, &format!("name = \"{package}\"\nversion = \""), '"')
        }
        // With a lock file of its own.
        "cargo-lock" => after(
            &read(&format!("{package}/Cargo.lock"))?,
            &format!("name = \"{package}\"\nversion = \""),
            '"',
        ),
        "debian" => Some(format!("the distribution's `{package}`")),
        _ => None,
    };
    found.ok_or_else(unknown)
}

fn after(text: &str, opening: &str, end: char) -> Option<String> {
    let (_, rest) = text.split_once(opening)?;
    rest.split(end).next().map(|version| version.trim().to_owned())
}

fn anchor(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

fn read(file: &str) -> Result<String> {
    let path = repository().join(FOLDER).join(file);
    fs::read_to_string(&path).map_err(|error| Error::new(format!("reading {}: {error}", path.display())))
}

const HEAD: &str = "# Drivers of PostgreSQL

Written by `cargo xtask drivers` from `tests/e2e/drivers`: each driver has a programme of what it is known for. The tests
of `tests/e2e/tests/conformance.rs` run it twice, against the real server and through the gateway with a policy that
allows everything, and compare what it wrote: values, descriptions of columns, counts, errors with all their fields,
notices, notifications. A test fails when something differs that is not written down here, and when something that is
written down here does not differ any more. CI runs all of them on every change.

Through the gateway a client may be newer than the server: direct TLS (`sslnegotiation=direct`) and protocol 3.2 with its
long cancel keys work with any version of it, and are tested with libpq 18 (`tests/e2e/tests/startup.rs`).

The tests that SQLAlchemy and tokio-postgres have of themselves run both ways as well, every night: [suites.md](suites.md).

| Driver | Version | What it is known for | Result |
| --- | --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_is_read_from_every_language() {
        let read = |line: &str| label(line);
        assert_eq!(read("@check(\"savepoints\")").as_deref(), Some("savepoints"));
        assert_eq!(read("@check_async(\"it's\")").as_deref(), Some("it's"));
        assert_eq!(read("  await check('a pool', async () => {").as_deref(), Some("a pool"));
        assert_eq!(read("\tcheck(\"a batch\", func() {").as_deref(), Some("a batch"));
        assert_eq!(read("\\echo '== \\\\watch'").as_deref(), Some("\\watch"));
        assert_eq!(read("echo '== sslmode=allow'").as_deref(), Some("sslmode=allow"));
        assert_eq!(read("\\echo :answer"), None);
        assert_eq!(read("price numeric check (price >= 0)"), None);
    }

    #[test]
    fn a_version_is_that_of_its_pin() {
        let text = "x==1\npsycopg[binary]==3.3.9\nasyncpg==0.32.0\n";
        assert_eq!(after(text, "psycopg[binary]==", '\n').as_deref(), Some("3.3.9"));
        assert_eq!(after(text, "nothing==", '\n'), None);
        assert_eq!(anchor("lib/pq"), "libpq");
        assert_eq!(anchor("psycopg 3"), "psycopg-3");
    }
}
