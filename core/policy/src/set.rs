//! An immutable set of policies: compiled, checked, and identified by a digest.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use gatewright_model::{
    decision::{Mode, SetVersion},
    digest::Digest,
};
use sha2::{Digest as _, Sha256};

use crate::{
    block_on::block_on,
    cases::{self, CaseReader},
    contract::CONTRACT_VERSION,
    document::{Document, Isolation, MatchName},
    host::Host,
    instance::{Instance, StartError},
    module::Module,
    problem::LoadProblem,
    sources::{Source, Sources},
};

/// An immutable set of policies, compiled and checked.
#[derive(Debug)]
pub struct PolicySet {
    version: SetVersion,
    /// By name: what a set answers does not depend on the names of files.
    policies: Vec<Arc<Policy>>,
}

/// One policy: a module bound to settings, a match and a mode.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) document: Arc<Document>,
    pub(crate) name: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) module: Arc<Module>,
    /// Of the document's text.
    digest: Digest,
}

impl Policy {
    /// The same policy, counting: a case is about what it says, not about whether that counts.
    pub(crate) fn counting(&self) -> Self {
        Self { mode: Mode::Protect, ..self.clone() }
    }

    /// Its name: the document's.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Does its answer count?
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Its module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The document that made it.
    pub fn file(&self) -> &Path {
        &self.document.file
    }

    /// How many cases its document carries.
    pub fn case_count(&self) -> usize {
        self.document.cases.len()
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.document.isolation
    }
}

impl PolicySet {
    /// Reads, compiles and checks every document (`*.toml`) of a folder, and runs their cases. Takes about a
    /// millisecond for each kilobyte of a new module: not for a thread that serves sessions. A folder without
    /// documents is a set that blocks everything.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn load(folder: &Path, host: &Host, reader: &dyn CaseReader) -> Result<Self, Vec<LoadProblem>> {
        Self::from_sources(&Sources::folder(folder, host.limits().module), host, reader)
    }

    /// Does what [`load`](Self::load) does, and keeps what the documents say beside what is wrong with them.
    pub fn examine(folder: &Path, host: &Host, reader: &dyn CaseReader) -> Examined {
        let sources = Sources::folder(folder, host.limits().module);
        let set = Self::from_sources(&sources, host, reader);
        Examined { set, documents: sources.documents.into_iter().map(|source| source.document).collect() }
    }

    pub(crate) fn from_sources(
        sources: &Sources,
        host: &Host,
        reader: &dyn CaseReader,
    ) -> Result<Self, Vec<LoadProblem>> {
        let (policies, mut problems) = Self::bind(sources, host);
        for policy in &policies {
            problems.extend(cases::check(policy, host, reader));
        }
        if problems.is_empty() { Ok(Self::of(policies)) } else { Err(problems) }
    }

    /// Compiles and configures, without running cases: the policies that are good so far, and what is wrong with the
    /// others.
    pub(crate) fn bind(sources: &Sources, host: &Host) -> (Vec<Arc<Policy>>, Vec<LoadProblem>) {
        let mut problems = sources.problems.clone();
        let mut files: BTreeMap<&str, &PathBuf> = BTreeMap::new();
        let mut policies = Vec::new();
        for source in &sources.documents {
            let Document { name, file, .. } = &source.document;
            if let Some(other) = files.insert(name, file) {
                let message = format!("the name `{name}` is used by {} too", other.display());
                problems.push(LoadProblem::new(file, None, message, "give each policy a name of its own"));
            }
            match Policy::bind(source, sources, host) {
                Ok(policy) => policies.push(Arc::new(policy)),
                Err(problem) => problems.push(problem),
            }
        }
        (policies, problems)
    }

    /// A set of these, whatever their order.
    pub(crate) fn of(mut policies: Vec<Arc<Policy>>) -> Self {
        policies.sort_by(|one, other| one.name.cmp(&other.name));
        let mut hash = Sha256::new();
        hash.update(CONTRACT_VERSION);
        for policy in &policies {
            hash.update((policy.name.len() as u64).to_be_bytes());
            hash.update(policy.name.as_bytes());
            hash.update(policy.digest.as_bytes());
            hash.update(policy.module.digest().as_bytes());
        }
        let digest = Digest::new(hash.finalize().into());
        Self { version: SetVersion { number: 0, digest }, policies }
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.version.number = number;
    }

    /// Which set this is. Its number is 0 until it is active.
    pub fn version(&self) -> SetVersion {
        self.version
    }

    /// Its policies, in the order of their names.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = &Arc<Policy>> {
        self.policies.iter()
    }

    /// Groups that its documents call `reviewers` in their settings. Who may answer a request is said by the request;
    /// this is who may be asked some time.
    pub fn reviewers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.policies.iter().flat_map(|policy| &policy.document.reviewers)
    }

    /// The names that its documents match and a configuration can be asked for.
    pub fn match_names(&self) -> impl Iterator<Item = MatchName<'_>> {
        self.policies.iter().flat_map(|policy| policy.document.match_names())
    }
}

/// A folder of policy documents, as [`PolicySet::examine`] found it.
#[derive(Debug)]
pub struct Examined {
    /// What [`PolicySet::load`] gives.
    pub set: Result<PolicySet, Vec<LoadProblem>>,
    /// Those that could be read.
    documents: Vec<Document>,
}

impl Examined {
    /// The names that the documents match and a configuration can be asked for. Those of documents whose module or
    /// cases are wrong are among them.
    pub fn match_names(&self) -> impl Iterator<Item = MatchName<'_>> {
        self.documents.iter().flat_map(Document::match_names)
    }
}

impl Policy {
    fn bind(source: &Source, sources: &Sources, host: &Host) -> Result<Self, LoadProblem> {
        let document = &source.document;
        let problem = |message: String, remedy: &str| {
            LoadProblem::new(&document.file, Some(document.module_line), message, remedy)
        };
        let path = document.module.display();
        let bytes = sources.module(&document.module).map_err(|error| {
            problem(format!("the module `{path}` {error}"), "build it, or mend the path in `module`")
        })?;
        let module = host
            .module(&bytes)
            .map_err(|error| problem(format!("the module `{path}` is refused: {error}"), error.remedy()))?;
        if let Some(pin) = &document.pin
            && *pin != module.digest().to_string()
        {
            let message = format!("the module `{path}` has the SHA-256 {}", module.digest());
            return Err(problem(message, "restore the module that `sha256` names, or review the new one"));
        }
        let policy = Self {
            name: document.name.as_str().into(),
            mode: document.mode,
            module,
            digest: source.digest,
            document: Arc::new(document.clone()),
        };
        policy.configure()?;
        Ok(policy)
    }

    fn configure(&self) -> Result<(), LoadProblem> {
        let document = &self.document;
        match block_on(Instance::start(&self.module, &document.settings)) {
            Ok(_) => Ok(()),
            Err(StartError::Settings(reason)) => Err(LoadProblem::new(
                &document.file,
                document.settings_line,
                format!("the module refuses its settings: {reason}"),
                "`gatewright policy inspect` prints which settings there are",
            )
            .in_brief("the module refuses its settings")),
            Err(StartError::Failed(failure)) => Err(LoadProblem::new(
                &document.file,
                Some(document.module_line),
                format!("the module does not start: it {failure}"),
                "",
            )),
        }
    }
}
