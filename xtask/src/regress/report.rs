//! What came of it: for a terminal, for a program, and for `docs/regress.md`.

use std::fs;

use gatewright_testbed::{Error, Result, repository};

use super::suite::{Outcomes, Ran};

/// A way through the gateway.
pub(super) struct Way {
    /// What it is called in the page.
    name: &'static str,
    /// What it is called for a program.
    key: &'static str,
    known: &'static [Known],
}

/// A script that is known to differ.
struct Known {
    script: &'static str,
    /// `by design: ...` where the gateway is meant to refuse what the script does, and `open: ...` where it should not.
    why: &'static str,
    /// From this version of the server on, it does not.
    before: Option<u32>,
}

impl Way {
    fn known(&self, name: &str) -> Option<&'static str> {
        self.known.iter().find(|known| known.script == name).map(|known| known.why)
    }

    fn reason_of(&self, name: &str) -> &'static str {
        self.known(name).unwrap_or("not known")
    }
}

/// With a policy that allows what nobody can read, too.
pub(super) const OPENED: &Way =
    &Way { name: "through the gateway, which allows everything", key: "gateway", known: &[] };

/// With a policy that allows what can be read.
pub(super) const CLOSED: &Way = &Way {
    name: "through the gateway, which refuses what it can not read",
    key: "closed",
    known: &[
        Known {
            script: "create_table",
            why: "by design: before version 16 a server reads `PARTITION BY MAGIC`, and finds out later that there is no such strategy. What the gateway can \
                  not read and the server can is refused as that",
            before: Some(16),
        },
        Known { script: "plpgsql", why: STRINGS, before: None },
        Known { script: "strings", why: STRINGS, before: None },
    ],
};

const STRINGS: &str = "by design: it turns `standard_conforming_strings` off, and what follows could not be read as the server reads it";

const PAGE: &str = "docs/regress.md";

/// How the runs compare.
pub(super) struct Report {
    version: String,
    scripts: usize,
    direct: usize,
    through: Vec<Through>,
    /// Wrong without the gateway: they say nothing about it.
    broken: Vec<String>,
}

/// What came of one way through the gateway.
struct Through {
    way: &'static Way,
    good: usize,
    /// Right without the gateway, and not through it.
    differ: Vec<String>,
    /// What the gateway decided, and how often.
    decisions: Vec<(String, u64)>,
}

impl Report {
    /// Compares the runs.
    ///
    /// # Errors
    /// Where they did not run the same scripts.
    pub(super) fn new(
        version: &str,
        direct: &Outcomes,
        ways: impl IntoIterator<Item = (&'static Way, Ran)>,
    ) -> Result<Self> {
        let good = |outcomes: &Outcomes| outcomes.values().filter(|good| **good).count();
        let compare = |(way, ran): (&'static Way, Ran)| {
            let through = &ran.outcomes;
            if !direct.keys().eq(through.keys()) {
                return Err(Error::new("the runs are not of the same scripts"));
            }
            let differs =
                |name: &&String| direct.get(*name) == Some(&true) && through.get(*name) == Some(&false);
            let differ = direct.keys().filter(differs).cloned().collect();
            Ok(Through { way, good: good(through), differ, decisions: ran.decisions })
        };
        let broken = direct.iter().filter(|(_, good)| !**good).map(|(name, _)| name.clone());
        Ok(Self {
            version: version.to_owned(),
            scripts: direct.len(),
            direct: good(direct),
            through: ways.into_iter().map(compare).collect::<Result<_>>()?,
            broken: broken.collect(),
        })
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = format!("PostgreSQL {}, {} scripts\n", self.version, self.scripts);
        text.push_str(&format!("  {:>3} as they should be without the gateway\n", self.direct));
        for through in &self.through {
            text.push_str(&format!("  {:>3} {}\n", through.good, through.way.name));
            for (decision, count) in &through.decisions {
                text.push_str(&format!("      {count} requests: {decision}\n"));
            }
            for name in &through.differ {
                text.push_str(&format!("      differs  {name:<20} {}\n", through.way.reason_of(name)));
            }
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
        let through = self.through.iter().map(|through| {
            let decisions =
                through.decisions.iter().map(|(decision, count)| format!("\"{decision}\":{count}"));
            format!(
                r#""{}":{{"good":{},"differ":[{}],"decisions":{{{}}}}}"#,
                through.way.key,
                through.good,
                list(&through.differ),
                decisions.collect::<Vec<_>>().join(",")
            )
        });
        format!(
            r#"{{"version":"{}","scripts":{},"direct":{},{},"broken":[{}]}}"#,
            self.version,
            self.scripts,
            self.direct,
            through.collect::<Vec<_>>().join(","),
            list(&self.broken)
        )
    }

    /// Writes the page of the documentation.
    ///
    /// # Errors
    /// Where it can not be written.
    pub(super) fn write_page(&self) -> Result<()> {
        let mut page = HEAD.to_owned();
        page.push_str(&format!(
            "| PostgreSQL {} | Scripts as they should be |\n| --- | --- |\n| without the gateway | {} of {} |\n",
            self.version, self.direct, self.scripts
        ));
        for through in &self.through {
            page.push_str(&format!("| {} | {} of {} |\n", through.way.name, through.good, self.scripts));
        }
        for through in self.through.iter().filter(|through| !through.differ.is_empty()) {
            page.push_str(&format!(
                "\n| Script that differs {} | Why |\n| --- | --- |\n",
                through.way.name
            ));
            for name in &through.differ {
                page.push_str(&format!("| `{name}` | {} |\n", through.way.reason_of(name)));
            }
        }
        fs::write(repository().join(PAGE), page)
            .map_err(|error| Error::new(format!("writing {PAGE}: {error}")))
    }

    fn major(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }

    /// Is everything as it is known to be?
    ///
    /// # Errors
    /// Where a script differs for no known reason, or one does not differ any more that was known to.
    pub(super) fn verdict(&self) -> Result<()> {
        for Through { way, differ, .. } in &self.through {
            let unknown: Vec<&str> =
                differ.iter().map(String::as_str).filter(|name| way.known(name).is_none()).collect();
            if !unknown.is_empty() {
                let what = format!("differ {}, and nobody has said why: {}", way.name, unknown.join(", "));
                return Err(Error::new(what).remedy(format!(
                    "read target/regress/{}/regression.diffs; scripts that run beside each other can \
                     differ by chance, so run it again",
                    way.key
                )));
            }
            let is_over = |known: &&Known| {
                let expected =
                    known.before.is_none_or(|before| self.major().is_some_and(|own| own < before));
                expected && !differ.iter().any(|differs| differs == known.script)
            };
            if let Some(Known { script, .. }) = way.known.iter().find(is_over) {
                return Err(Error::new(format!("`{script}` does not differ any more {}", way.name))
                    .remedy("take it out of xtask/src/regress/report.rs"));
            }
        }
        Ok(())
    }
}

const HEAD: &str = "# PostgreSQL's own regression suite through the gateway

Written by `cargo xtask regress`. The suite comes from the source package of the server that is installed, in exactly its version. Each script
prints what the server answers to some hundred statements, errors and notices too, and is compared with what PostgreSQL's developers expect. The
gateway acts as the superuser of a server that is thrown away, with one policy: once it allows everything, what is opaque too, and once only what the
gateway can read, as by default. A typo is refused then, and the client sees the server's own error all the same.

";
