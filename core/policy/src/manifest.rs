//! What a module says about itself, checked.

use gatewright_model::{http::HttpEvent, sql::SqlPhase};

/// The event kinds that this gateway has.
const KINDS: [&str; 4] =
    [SqlPhase::Query.as_str(), SqlPhase::Parse.as_str(), SqlPhase::Execute.as_str(), HttpEvent::KIND];

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
    /// The time.
    pub clock: bool,
}

impl Inputs {
    /// May an answer be given again to the same statement of the same session?
    pub const fn allow_reuse(self) -> bool {
        !self.parameters && !self.clock
    }

    /// Each input with the word that manifests use.
    pub const fn each(self) -> [(&'static str, bool); 2] {
        [("parameters", self.parameters), ("clock", self.clock)]
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
        Some(protocol) => protocol.ends_with('.') && kind.starts_with(protocol),
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
        if kinds.iter().any(|wanted| !KINDS.iter().any(|kind| covers(wanted, kind))) {
            return Err(format!(
                "it asks for a kind of event that this gateway does not have (it has {})",
                KINDS.join(", ")
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
    }

    #[test]
    fn every_kind_that_a_manifest_may_name_is_one_that_an_event_has() {
        let manifest = |kind: &str| ManifestDraft {
            name: "m".to_owned(),
            version: "1".to_owned(),
            kinds: vec![kind.to_owned()],
            ..ManifestDraft::default()
        };
        for kind in ["sql.*", "http.*", "http.request"] {
            assert!(manifest(kind).finish().is_ok(), "{kind}");
        }
        for kind in ["http", "http.", "http.response", "https.*", "ssh.*", "*"] {
            assert!(manifest(kind).finish().is_err(), "{kind}");
        }
    }
}
