//! What came of it: for a terminal, for a program, and for `docs/regress.md`.

use std::fs;

use gatewright_testbed::{Error, Result, repository};

use super::suite::{Outcomes, Ran};

/// The scripts that are known to differ, and why: `by design: ...` where the gateway is meant to refuse what the
/// script does, whatever a policy says, and `open: ...` where it should not.
const KNOWN: &[(&str, &str)] = &[];

const PAGE: &str = "docs/regress.md";

/// How both runs compare.
pub(super) struct Report {
    version: String,
    scripts: usize,
    direct: usize,
    through: usize,
    /// Right without the gateway, and not through it.
    differ: Vec<String>,
    /// Wrong without the gateway: they say nothing about it.
    broken: Vec<String>,
    /// What the gateway decided, and how often.
    decisions: Vec<(String, u64)>,
}

impl Report {
    /// Compares two runs.
    ///
    /// # Errors
    /// Where they did not run the same scripts.
    pub(super) fn new(version: &str, direct: &Outcomes, ran: &Ran) -> Result<Self> {
        let through = &ran.outcomes;
        if !direct.keys().eq(through.keys()) {
            return Err(Error::new("the two runs are not of the same scripts"));
        }
        let good = |outcomes: &Outcomes| outcomes.values().filter(|good| **good).count();
        let broken = direct.iter().filter(|(_, good)| !**good).map(|(name, _)| name.clone());
        let differs =
            |name: &&String| direct.get(*name) == Some(&true) && through.get(*name) == Some(&false);
        Ok(Self {
            version: version.to_owned(),
            scripts: direct.len(),
            direct: good(direct),
            through: good(through),
            differ: direct.keys().filter(differs).cloned().collect(),
            broken: broken.collect(),
            decisions: ran.decisions.clone(),
        })
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = format!("PostgreSQL {}, {} scripts\n", self.version, self.scripts);
        text.push_str(&format!("  without the gateway  {:>3} as they should be\n", self.direct));
        text.push_str(&format!("  through the gateway  {:>3}\n", self.through));
        for (decision, count) in &self.decisions {
            text.push_str(&format!("  {count} requests: {decision}\n"));
        }
        for name in &self.differ {
            text.push_str(&format!("  differs  {name:<20} {}\n", reason_of(name)));
        }
        for name in &self.broken {
            text.push_str(&format!("  wrong without the gateway  {name}\n"));
        }
        text
    }

    /// For a program. Names of scripts are file names without anything to escape.
    pub(super) fn json(&self) -> String {
        let list =
            |names: &[String]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
        let decisions = self.decisions.iter().map(|(decision, count)| format!("\"{decision}\":{count}"));
        format!(
            r#"{{"version":"{}","scripts":{},"direct":{},"gateway":{},"differ":[{}],"broken":[{}],"decisions":{{{}}}}}"#,
            self.version,
            self.scripts,
            self.direct,
            self.through,
            list(&self.differ),
            list(&self.broken),
            decisions.collect::<Vec<_>>().join(",")
        )
    }

    /// Writes the page of the documentation.
    ///
    /// # Errors
    /// Where it can not be written.
    pub(super) fn write_page(&self) -> Result<()> {
        let mut page = HEAD.to_owned();
        page.push_str(&format!(
            "| PostgreSQL {} | Scripts as they should be |\n| --- | --- |\n| without the gateway | {} of {} |\n\
             | through the gateway | {} of {} |\n",
            self.version, self.direct, self.scripts, self.through, self.scripts
        ));
        if !self.differ.is_empty() {
            page.push_str("\n| Script that differs | Why |\n| --- | --- |\n");
        }
        for name in &self.differ {
            page.push_str(&format!("| `{name}` | {} |\n", reason_of(name)));
        }
        fs::write(repository().join(PAGE), page)
            .map_err(|error| Error::new(format!("writing {PAGE}: {error}")))
    }

    /// Is everything as it is known to be?
    ///
    /// # Errors
    /// Where a script differs for no known reason, or one does not differ any more that was known to.
    pub(super) fn verdict(&self) -> Result<()> {
        let unknown: Vec<&str> =
            self.differ.iter().map(String::as_str).filter(|name| known(name).is_none()).collect();
        if !unknown.is_empty() {
            let what =
                format!("differ through the gateway, and nobody has said why: {}", unknown.join(", "));
            return Err(Error::new(what).remedy(
                "read target/regress/gateway/regression.diffs; scripts that run beside each other can \
                 differ by chance, so run it again",
            ));
        }
        match KNOWN.iter().find(|(name, _)| !self.differ.iter().any(|differs| differs == name)) {
            None => Ok(()),
            Some((name, _)) => Err(Error::new(format!("`{name}` does not differ any more"))
                .remedy("take it out of xtask/src/regress/report.rs")),
        }
    }
}

fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}

fn reason_of(name: &str) -> &'static str {
    known(name).unwrap_or("not known")
}

const HEAD: &str = "# PostgreSQL's own regression suite through the gateway

Written by `cargo xtask regress`. The suite comes from the source package of the server that is installed, in exactly its version. Each script
prints what the server answers to some hundred statements, errors and notices too, and is compared with what PostgreSQL's developers expect. The
gateway acts as the superuser of a server that is thrown away, with one policy that allows everything, what is opaque too: texts that PostgreSQL
itself can not read, which are in many scripts, calls of functions by their number (`largeobject`), and strings that are read as they were before
PostgreSQL 9.1 (`strings`, `plpgsql`). By default all of these are refused, and the client sees the gateway's error in place of the server's.

";
