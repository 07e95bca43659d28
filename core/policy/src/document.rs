//! Policy documents: which module, with which settings, where, in which mode; and the cases that prove it.
//!
//! The reference, with every key:
//!
//! ```toml
//! name = "no-bare-delete"              # in records and messages; unique in the folder
//! module = "statement_rules.wasm"      # relative to this file
//! sha256 = "9f86d0…"                   # optional: the only bytes that will do
//! mode = "protect"                     # or "restrict": its allow lets nothing through by itself; or "monitor": changes nothing
//! allow_grades = ["disputed"]          # grades that this policy takes upon itself to judge, see below
//! isolation = "session"                # until it is idle; or "event": a fresh instance for each evaluation (20 to 30 us)
//!
//! [match]                              # every list that is given must fit; `*` fits anything; `gatewright check` compares names
//! listeners = ["*"]
//! targets = ["crm-*"]
//! protocols = ["postgres"]
//! databases = ["crm", "crm_*"]         # of PostgreSQL; a session that is in none does not fit
//! groups = ["analysts"]                # the principal is in any of these
//! principal_kinds = ["agent", "service"]
//!
//! [settings]                           # the module's own: `gatewright policy inspect` prints its schema
//!
//! [[case]]                             # run when the folder is loaded; one that fails refuses the folder
//! name = "delete without where is blocked"
//! sql = "delete from people"
//! parameters = ["7"]                   # optional: the statement is prepared and run with these
//! # or, in place of these two:
//! # http = { method = "DELETE", url = "https://api.example/people/7?x=1", headers = { accept = "application/json" }, body_length = 0 }
//! principal = { subject = "alice", groups = ["analysts"], kind = "human", actors = [] }
//! target = "crm-1"                     # optional, as are listener, account and database
//! expect = "block"                     # allow | block | mask | escalate | no_match
//! rule = "where-required"              # optional
//! ```
//!
//! Statements whose grade is `disputed` or `opaque` are blocked before any policy is asked. A policy in mode
//! `protect` whose document lists the grade in `allow_grades` lifts that block where it matches: it says
//! "I judge these too", and its module gets to see them, as does every other policy that matches.

mod case;
mod fields;
mod parse;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use gatewright_model::{decision::Mode, event::SessionContext, principal::PrincipalKind, sql::Grade};

pub(crate) use parse::parse;

/// One document, read and checked as far as a document alone can be.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) file: PathBuf,
    pub(crate) name: String,
    /// The path of the module's file.
    pub(crate) module: PathBuf,
    /// The line that names it.
    pub(crate) module_line: usize,
    pub(crate) pin: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) allow_grades: Vec<Grade>,
    pub(crate) isolation: Isolation,
    pub(crate) matching: Matching,
    /// As JSON, for the module.
    pub(crate) settings: String,
    pub(crate) settings_line: Option<usize>,
    /// Groups that the settings call `reviewers`.
    pub(crate) reviewers: BTreeSet<Arc<str>>,
    pub(crate) cases: Vec<Case>,
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// It serves one session, for as long as that is not idle.
    Session,
    /// It serves one event.
    Event,
}

/// The attribute of a session that says which database it is in.
pub(crate) const DATABASE: &str = "database";

/// Which sessions a policy is for. None: all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    pub(crate) listeners: Option<Vec<Glob>>,
    pub(crate) targets: Option<Vec<Glob>>,
    pub(crate) protocols: Option<Vec<Glob>>,
    pub(crate) databases: Option<Vec<Glob>>,
    pub(crate) groups: Option<Vec<Glob>>,
    pub(crate) principal_kinds: Option<Vec<PrincipalKind>>,
}

impl Matching {
    pub(crate) fn fits(&self, session: &SessionContext) -> bool {
        let named = |globs: &Option<Vec<Glob>>, name: &str| {
            globs.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.fits(name)))
        };
        let principal = &session.principal;
        let grouped = self.groups.as_ref().is_none_or(|globs| {
            globs.iter().any(|glob| principal.groups.iter().any(|group| glob.fits(group)))
        });
        named(&self.listeners, &session.listener)
            && named(&self.targets, &session.target)
            && named(&self.protocols, session.protocol)
            // Where there is no database, a policy for some is not meant.
            && self.databases.as_ref().is_none_or(|globs| {
                session.attribute(DATABASE).is_some_and(|database| globs.iter().any(|glob| glob.fits(database)))
            })
            && self.principal_kinds.as_ref().is_none_or(|kinds| kinds.contains(&principal.kind))
            && grouped
    }
}

impl Document {
    /// The names of things that are configured, in the order of the document. Groups and kinds are of principals: who
    /// they are, only their tokens know. Which databases there are, only the targets know.
    pub(crate) fn match_names(&self) -> impl Iterator<Item = MatchName<'_>> {
        let Matching { listeners, targets, protocols, databases: _, groups: _, principal_kinds: _ } =
            &self.matching;
        let lists = [
            (MatchList::Listeners, listeners),
            (MatchList::Targets, targets),
            (MatchList::Protocols, protocols),
        ];
        let names = lists.into_iter().flat_map(|(list, globs)| {
            globs.iter().flatten().map(move |glob| MatchName { file: &self.file, list, glob })
        });
        let mut names: Vec<_> = names.collect();
        names.sort_by_key(MatchName::line);
        names.into_iter()
    }
}

/// A name of a `[match]`. A document knows no configuration: whoever has one compares them.
#[derive(Debug, Clone, Copy)]
pub struct MatchName<'a> {
    file: &'a Path,
    list: MatchList,
    glob: &'a Glob,
}

/// The lists of a `[match]` whose names are those of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchList {
    /// `listeners`
    Listeners,
    /// `targets`
    Targets,
    /// `protocols`
    Protocols,
}

impl MatchName<'_> {
    /// The document.
    pub fn file(&self) -> &Path {
        self.file
    }

    /// Its line in the document, from 1.
    pub fn line(&self) -> usize {
        self.glob.line
    }

    /// The list that it is in.
    pub fn list(&self) -> MatchList {
        self.list
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.glob.text
    }

    /// Does it stand for several names, whichever there are?
    pub fn is_pattern(&self) -> bool {
        self.glob.text.contains('*')
    }

    /// Does `name` match it?
    pub fn fits(&self, name: &str) -> bool {
        self.glob.fits(name)
    }
}

/// A name in which `*` stands for any number of letters.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    pub(crate) text: String,
    /// Where it stands in the document.
    pub(crate) line: usize,
}

impl Glob {
    pub(crate) fn fits(&self, name: &str) -> bool {
        let mut parts = self.text.split('*');
        let Some(mut rest) = parts.next().and_then(|start| name.strip_prefix(start)) else { return false };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }

    /// A name that fits, for cases that do not say one.
    pub(crate) fn example(&self) -> String {
        self.text.replace('*', "")
    }
}

/// One case of a document.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) request: crate::cases::CaseRequest,
    pub(crate) subject: String,
    pub(crate) groups: Vec<String>,
    pub(crate) kind: PrincipalKind,
    pub(crate) actors: Vec<String>,
    pub(crate) listener: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) account: Option<String>,
    /// The database that the session is in.
    pub(crate) database: Option<String>,
    pub(crate) expect: Expect,
    pub(crate) rule: Option<String>,
}

/// What a case expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Forwarded.
    Allow,
    /// Refused, by the policy or because of the grade.
    Block,
    /// Forwarded with something hidden.
    Mask,
    /// Held for reviewers.
    Escalate,
    /// The policy is not asked at all.
    NoMatch,
}

impl Expect {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Block, Self::Mask, Self::Escalate, Self::NoMatch];

    /// The word that documents use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Mask => "mask",
            Self::Escalate => "escalate",
            Self::NoMatch => "no_match",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_whole_names() {
        let fits = |glob: &str, name: &str| Glob { text: glob.to_owned(), line: 1 }.fits(name);
        assert!(fits("*", "") && fits("*", "crm"));
        assert!(fits("crm-*", "crm-1") && !fits("crm-*", "crm"));
        assert!(fits("*-prod", "crm-prod") && !fits("*-prod", "crm-prod-2"));
        assert!(fits("a*b*c", "a-b-b-c") && !fits("a*b*c", "acb"));
        assert!(fits("crm", "crm") && !fits("crm", "crm2") && !fits("crm", ""));
        assert!(!fits("ab*ba", "aba"), "the beginning and the end do not share letters");
    }

    #[test]
    fn an_example_fits_its_glob() {
        for glob in ["*", "crm-*", "a*b*c", "crm"] {
            let glob = Glob { text: glob.to_owned(), line: 1 };
            assert!(glob.fits(&glob.example()));
        }
    }
}
