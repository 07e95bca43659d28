//! What a module says about itself, checked.

use gatewright_model::{http::HttpEvent, kubernetes::KubernetesEvent, sql::SqlPhase, ssh::SshEvent};

/// The event kinds that this gateway has: those of requests, which may be asked for together.
const REQUESTS: [&str; 6] = [
    SqlPhase::Query.as_str(),
    SqlPhase::Parse.as_str(),
    SqlPhase::Execute.as_str(),
    HttpEvent::KIND,
    KubernetesEvent::KIND,
    SshEvent::KIND,
];

/// Those of answers, which have to be named.
const ANSWERS: [&str; 2] = [HttpEvent::ANSWER_KIND, KubernetesEvent::ANSWER_KIND];

/// A module's own description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Event kinds that it wants: whole kinds, or `protocol.*`.
    pub kinds: Vec<String>,
    /// What its answers depend on, beyond session, statement and settings.
    pub inputs: Inputs,
    /// The JSON schema of its settings; empty if it has none.
    pub settings_schema: String,
}

/// What answers may depend on, beyond session, statement and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inputs {
    /// The values bound to a statement.
    pub parameters: bool,
    /// What is in the body of a request.
    pub body: bool,
    /// The time.
    pub clock: bool,
}

impl Inputs {
    /// May an answer be given again to the same statement of the same session? Statements have no body.
    pub const fn allow_reuse(self) -> bool {
        !self.parameters && !self.clock
    }

    /// Each input with the word that manifests use.
    pub const fn each(self) -> [(&'static str, bool); 3] {
        [("parameters", self.parameters), ("body", self.body), ("clock", self.clock)]
    }
}

impl Manifest {
    /// Does the module want events of this kind?
    pub fn wants(&self, kind: &str) -> bool {
        self.kinds.iter().any(|wanted| covers(wanted, kind))
    }
}

fn covers(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        // Of answers a module may know nothing that was built before there were any.
        Some(protocol) => protocol.ends_with('.') && kind.starts_with(protocol) && !ANSWERS.contains(&kind),
        None => kind == wanted,
    }
}

/// A manifest as the module made it.
#[derive(Debug, Default)]
pub(crate) struct ManifestDraft {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) inputs: Inputs,
    pub(crate) settings_schema: String,
}

impl ManifestDraft {
    /// Checks it.
    pub(crate) fn finish(self) -> Result<Manifest, String> {
        let Self { name, version, kinds, inputs, settings_schema } = self;
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            return Err("its name is not 1 to 64 lower-case letters, digits and `-`".to_owned());
        }
        if version.is_empty() || version.len() > 64 || !version.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err("its version is not 1 to 64 printable characters".to_owned());
        }
        if kinds.is_empty() {
            return Err("it asks for no kind of event".to_owned());
        }
        let known = || REQUESTS.iter().chain(&ANSWERS).copied();
        if kinds.iter().any(|wanted| !known().any(|kind| covers(wanted, kind))) {
            return Err(format!(
                "it asks for a kind of event that this gateway does not have (it has {})",
                known().collect::<Vec<_>>().join(", ")
            ));
        }
        if !settings_schema.is_empty()
            && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&settings_schema).is_err()
        {
            return Err("its settings schema is not a JSON object".to_owned());
        }
        Ok(Manifest { name, version, kinds, inputs, settings_schema })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_whole_or_by_protocol() {
        assert!(covers("sql.*", "sql.query"));
        assert!(covers("sql.query", "sql.query"));
        assert!(!covers("sql.query", "sql.query2"));
        assert!(!covers("*", "sql.query"), "a module asks for what it knows");
        assert!(!covers("s*", "sql.query"));
        assert!(!covers("http.*", "http.response"), "an answer is asked for by its name");
        assert!(covers("http.response", "http.response"));
    }

    #[test]
    fn every_kind_that_a_manifest_may_name_is_one_that_an_event_has() {
        let manifest = |kind: &str| ManifestDraft {
            name: "m".to_owned(),
            version: "1".to_owned(),
            kinds: vec![kind.to_owned()],
            ..ManifestDraft::default()
        };
        for kind in ["sql.*", "http.*", "http.request", "http.response", "kubernetes.*", "ssh.*"] {
            assert!(manifest(kind).finish().is_ok(), "{kind}");
        }
        for kind in ["http", "http.", "http.answer", "https.*", "ssh.exec", "*"] {
            assert!(manifest(kind).finish().is_err(), "{kind}");
        }
    }
}
