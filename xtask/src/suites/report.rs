//! What came of it: for a terminal, and for `docs/suites.md`.

use std::fs;

use gatewright_testbed::{Error, Result, repository};

use super::{Known, Outcome, Outcomes, Ran, SUITES, Suite};

const PAGE: &str = "docs/suites.md";

/// How the suites that were run went.
pub(super) struct Report {
    /// The server's version.
    server: String,
    compared: Vec<Compared>,
}

/// How the two ways of a suite compare.
struct Compared {
    suite: &'static Suite,
    version: String,
    tests: usize,
    skipped: usize,
    direct: usize,
    through: usize,
    /// Fail without the gateway: they say nothing about it.
    broken: Vec<String>,
    /// Pass without the gateway, and not through it.
    differ: Vec<String>,
}

impl Report {
    /// Of no suite yet, with this version of the server.
    pub(super) fn new(server: String) -> Self {
        Self { server, compared: Vec::new() }
    }

    /// Compares the two ways of a suite.
    ///
    /// # Errors
    /// Where they did not run the same tests.
    pub(super) fn add(&mut self, suite: &'static Suite, ran: &Ran) -> Result<()> {
        let Ran { version, direct, through } = ran;
        let only_one = |a: &Outcomes, b: &Outcomes| a.keys().find(|name| !b.contains_key(*name)).cloned();
        if let Some(name) = only_one(direct, through).or_else(|| only_one(through, direct)) {
            let what = format!("the runs of {} are not of the same tests: `{name}` is in one", suite.title);
            return Err(Error::new(what).remedy("read target/suites/results"));
        }
        let count = |outcomes: &Outcomes, wanted| outcomes.values().filter(|one| **one == wanted).count();
        let named = |wanted: &dyn Fn(&str, Outcome) -> bool| {
            direct.iter().filter(|(name, one)| wanted(name, **one)).map(|(name, _)| name.clone()).collect()
        };
        self.compared.push(Compared {
            suite,
            version: version.clone(),
            tests: direct.len(),
            skipped: count(direct, Outcome::Skip),
            direct: count(direct, Outcome::Pass),
            through: count(through, Outcome::Pass),
            broken: named(&|_, one| one == Outcome::Fail),
            differ: named(&|name, one| {
                one == Outcome::Pass && through.get(name).is_some_and(|through| *through != Outcome::Pass)
            }),
        });
        Ok(())
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = format!("PostgreSQL {}\n", self.server);
        for one in &self.compared {
            text.push_str(&format!("{} {}, {} tests\n", one.suite.title, one.version, one.tests));
            text.push_str(&format!("  {:>6} pass without the gateway\n", one.direct));
            text.push_str(&format!("  {:>6} pass through it\n", one.through));
            text.push_str(&format!("  {:>6} are skipped\n", one.skipped));
            for name in &one.differ {
                text.push_str(&format!(
                    "    differs  {name}  {}\n",
                    one.suite.why(name).unwrap_or("not known")
                ));
            }
            for name in &one.broken {
                text.push_str(&format!("    fails without the gateway  {name}\n"));
            }
        }
        text
    }

    /// Writes the page of the documentation. Of a suite that was not run, it says what it said.
    ///
    /// # Errors
    /// Where it can not be written.
    pub(super) fn write_page(&self) -> Result<()> {
        let path = repository().join(PAGE);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, self.page(&before)).map_err(|error| Error::new(format!("writing {PAGE}: {error}")))
    }

    fn page(&self, before: &str) -> String {
        let mut page = HEAD.to_owned();
        for suite in &SUITES {
            let opening = format!("| {} |", suite.title);
            let ran = self
                .compared
                .iter()
                .find(|one| one.suite.title == suite.title)
                .map(|one| one.row(&self.server));
            let row =
                ran.or_else(|| Some(before.lines().find(|line| line.starts_with(&opening))?.to_owned()));
            page.extend(row.map(|row| row + "\n"));
        }
        for suite in SUITES.iter().filter(|suite| !suite.known.is_empty()) {
            page.push_str(&format!("\n## {}\n\n| Test that differs | Why |\n| --- | --- |\n", suite.title));
            for Known { test, why } in suite.known {
                page.push_str(&format!("| `{test}` | {why} |\n"));
            }
        }
        page
    }

    /// Is everything as it is known to be?
    ///
    /// # Errors
    /// Where a test differs for no known reason, or one does not differ any more that was known to.
    pub(super) fn verdict(&self) -> Result<()> {
        for Compared { suite, differ, .. } in &self.compared {
            let unknown: Vec<&str> =
                differ.iter().map(String::as_str).filter(|name| suite.why(name).is_none()).collect();
            if !unknown.is_empty() {
                let what = format!(
                    "of {}, these pass without the gateway and not through it, and nobody has said why: {}",
                    suite.title,
                    unknown.join(", ")
                );
                return Err(Error::new(what).remedy(
                    "read output.log of both ways in target/suites/results; a test can fail by chance, so run it again",
                ));
            }
            let is_over = |known: &&Known| !differ.iter().any(|name| name == known.test);
            if let Some(Known { test, .. }) = suite.known.iter().find(is_over) {
                return Err(Error::new(format!("`{test}` of {} does not differ any more", suite.title))
                    .remedy("take it out of xtask/src/suites"));
            }
        }
        Ok(())
    }
}

impl Compared {
    fn row(&self, server: &str) -> String {
        format!(
            "| {} | {} | {server} | {} | {} | {} | {} |",
            self.suite.title, self.version, self.tests, self.skipped, self.direct, self.through
        )
    }
}

impl Suite {
    fn why(&self, test: &str) -> Option<&'static str> {
        self.known.iter().find(|known| known.test == test).map(|known| known.why)
    }
}

const HEAD: &str = "# The drivers' own tests through the gateway

Written by `cargo xtask suites`. The tests are those that the drivers' developers have written for them, as their packages bring them, and each is run
once against a server that is thrown away and once through the gateway in front of such a server, with a policy that allows everything. Both ways are
compared test by test: the command fails where a test passes without the gateway and not through it, and is not named here.

tokio-postgres speaks without TLS, SQLAlchemy over TLS, by psycopg 3. Before they run, tokio-postgres' tests get the port and a password. One of
SQLAlchemy's is changed: it composes addresses by replacing single letters, in a password that stands there already as well, and a token has all letters.

| Tests of | Version | PostgreSQL | All | Skipped | Pass without the gateway | Pass through it |
| --- | --- | --- | --- | --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &Suite = &SUITES[0];

    fn compared(outcomes: &[(&str, Outcome, Outcome)]) -> Result<Report> {
        let of = |way: fn(&(&str, Outcome, Outcome)) -> Outcome| {
            outcomes.iter().map(|one| (one.0.to_owned(), way(one))).collect()
        };
        let ran = Ran { version: "0.7".to_owned(), direct: of(|one| one.1), through: of(|one| one.2) };
        let mut report = Report::new("15.18".to_owned());
        report.add(SUITE, &ran).map(|()| report)
    }

    fn known() -> Vec<(&'static str, Outcome, Outcome)> {
        SUITE.known.iter().map(|known| (known.test, Outcome::Pass, Outcome::Fail)).collect()
    }

    #[test]
    fn what_is_known_to_differ_may_and_has_to() {
        let mut outcomes = known();
        outcomes.push(("good", Outcome::Pass, Outcome::Pass));
        outcomes.push(("broken", Outcome::Fail, Outcome::Fail));
        outcomes.push(("not here", Outcome::Skip, Outcome::Skip));
        assert!(compared(&outcomes).unwrap().verdict().is_ok());
        outcomes[0].2 = Outcome::Pass;
        let error = compared(&outcomes).unwrap().verdict().unwrap_err();
        assert!(error.what().ends_with("does not differ any more"), "{error}");
    }

    #[test]
    fn what_is_not_known_to_differ_may_not() {
        for through in [Outcome::Fail, Outcome::Skip] {
            let mut outcomes = known();
            outcomes.push(("new", Outcome::Pass, through));
            let error = compared(&outcomes).unwrap().verdict().unwrap_err();
            assert!(error.what().ends_with("nobody has said why: new"), "{error}");
        }
    }

    #[test]
    fn the_runs_are_of_the_same_tests() {
        let direct = [("a".to_owned(), Outcome::Pass)].into();
        let ran = Ran { version: String::new(), direct, through: Outcomes::new() };
        assert!(Report::new(String::new()).add(SUITE, &ran).is_err());
    }

    #[test]
    fn of_what_was_not_run_the_page_says_what_it_said() {
        let before = format!("# x\n| {} | 2.0 | 14.1 | 1 | 0 | 1 | 1 |\n", SUITES[1].title);
        let page = compared(&[("good", Outcome::Pass, Outcome::Pass)]).unwrap().page(&before);
        assert!(page.contains("| tokio-postgres | 0.7 | 15.18 | 1 | 0 | 1 | 1 |\n"), "{page}");
        assert!(
            page.contains(&format!("| {} | 2.0 | 14.1 | 1 | 0 | 1 | 1 |\n", SUITES[1].title)),
            "{page}"
        );
        assert!(!page.contains(SUITES[2].title), "{page}");
    }
}
