//! The names in policies' `[match]`, compared with the configuration's: a misspelt one would match nothing, and nobody
//! would know.
//!
//! `check` refuses what is surely wrong. A gateway that serves loads it and says so, in its log and in its status: a
//! folder of policies may be shared by gateways with other listeners, and to refuse it would keep out its other changes
//! too, a narrower rule among them. See "Decisions, and why" in `ARCHITECTURE.md`.

use gatewright_policy::{LoadProblem, MatchList, MatchName};

use crate::config::{Names, PROTOCOLS, Severity, nearest};

/// A name that matches nothing there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// An error: the name is wrong, here at least. A warning: it may be meant for another gateway.
    pub severity: Severity,
    /// Where and what it is.
    pub problem: LoadProblem,
}

/// Those that match nothing of what is configured, in their order.
pub fn unmatched<'m>(matched: impl Iterator<Item = MatchName<'m>>, configured: &Names) -> Vec<Unmatched> {
    matched.filter_map(|name| compare(&name, configured)).collect()
}

fn compare(name: &MatchName<'_>, configured: &Names) -> Option<Unmatched> {
    let (what, mut there): (_, Vec<&str>) = match name.list() {
        MatchList::Listeners => ("listener", configured.listeners.iter().map(|name| &**name).collect()),
        MatchList::Targets => ("target", configured.targets.iter().map(|name| &**name).collect()),
        MatchList::Protocols => ("protocol", configured.protocols.clone()),
    };
    if there.iter().any(|there| name.fits(there)) {
        return None;
    }
    let text = name.text();
    let (severity, message, remedy) = match name.list() {
        _ if name.is_pattern() => (
            Severity::Warning,
            format!("[match]: no {what} fits `{text}`, so the policy judges nothing by it"),
            "correct it, or leave it if it is for another gateway with this folder".to_owned(),
        ),
        MatchList::Protocols if PROTOCOLS.contains(&text) => (
            Severity::Warning,
            format!("[match]: no listener speaks `{text}`, so the policy judges nothing by it"),
            "add such a listener, or leave it if it is for another gateway with this folder".to_owned(),
        ),
        MatchList::Protocols => {
            there = PROTOCOLS.to_vec();
            (Severity::Error, format!("[match]: there is no protocol `{text}`"), meant(text, &there))
        }
        MatchList::Listeners | MatchList::Targets => {
            let remedy = format!(
                "{} (one of another gateway with this folder is written as a pattern, like `{text}*`)",
                meant(text, &there)
            );
            (Severity::Error, format!("[match]: there is no {what} `{text}`"), remedy)
        }
    };
    let (file, line) = (name.file().to_owned(), Some(name.line()));
    Some(Unmatched { severity, problem: LoadProblem { file, line, message, remedy, brief: None } })
}

fn meant(text: &str, there: &[&str]) -> String {
    match nearest(text, there.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("use one of `{}`", there.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use gatewright_policy::{Host, Limits, PolicySet};

    use super::*;
    use crate::case_reader::ProtocolCaseReader;

    /// What is said of this `[match]`, in a gateway with one target, listener and protocol.
    #[track_caller]
    fn check(matching: &str, expected: Expect) {
        let folder = tempfile::tempdir().unwrap();
        let document = format!("name = \"p\"\nmodule = \"p.wasm\"\n[match]\n{matching}\n");
        std::fs::write(folder.path().join("p.toml"), document).unwrap();
        let host = Host::new(Limits::default()).unwrap();
        let examined = PolicySet::examine(folder.path(), &host, &ProtocolCaseReader::default());
        let names = Names {
            listeners: vec!["databases".into()],
            targets: vec!["crm-main".into(), "shop".into()],
            protocols: vec!["postgres"],
        };
        let said = unmatched(examined.match_names(), &names).into_iter().map(|unmatched| {
            let LoadProblem { line, message, remedy, .. } = unmatched.problem;
            format!("{:?} {}: {message}; {remedy}\n", unmatched.severity, line.unwrap_or_default())
        });
        expected.assert_eq(&said.collect::<String>());
    }

    #[test]
    fn what_is_there_is_not_spoken_of() {
        check("", expect![""]);
        check(
            "listeners = [\"databases\"]\ntargets = [\"crm-*\", \"shop\"]\nprotocols = [\"*\"]",
            expect![""],
        );
        // Who a principal is, no configuration says.
        check("groups = [\"analists\"]\nprincipal_kinds = [\"agent\"]", expect![""]);
    }

    #[test]
    fn a_name_that_nothing_has_is_an_error_with_what_may_be_meant() {
        check(
            "targets = [\"shop\", \"crm_main\"]",
            expect![[r#"
                Error 4: [match]: there is no target `crm_main`; did you mean `crm-main`? (one of another gateway with this folder is written as a pattern, like `crm_main*`)
            "#]],
        );
        check(
            "targets = [\n  \"Shop\",\n  \"billing\",\n]",
            expect![[r#"
                Error 5: [match]: there is no target `Shop`; did you mean `shop`? (one of another gateway with this folder is written as a pattern, like `Shop*`)
                Error 6: [match]: there is no target `billing`; use one of `crm-main`, `shop` (one of another gateway with this folder is written as a pattern, like `billing*`)
            "#]],
        );
        check(
            "listeners = [\"database\"]",
            expect![[r#"
                Error 4: [match]: there is no listener `database`; did you mean `databases`? (one of another gateway with this folder is written as a pattern, like `database*`)
            "#]],
        );
        check(
            "protocols = [\"postgresql\"]",
            expect![[r#"
            Error 4: [match]: there is no protocol `postgresql`; did you mean `postgres`?
        "#]],
        );
    }

    #[test]
    fn what_may_be_another_gateways_is_a_warning() {
        check(
            "targets = [\"cmr-*\"]",
            expect![[r#"
            Warning 4: [match]: no target fits `cmr-*`, so the policy judges nothing by it; correct it, or leave it if it is for another gateway with this folder
        "#]],
        );
        check(
            "protocols = [\"kubernetes\"]",
            expect![[r#"
            Warning 4: [match]: no listener speaks `kubernetes`, so the policy judges nothing by it; add such a listener, or leave it if it is for another gateway with this folder
        "#]],
        );
    }
}
