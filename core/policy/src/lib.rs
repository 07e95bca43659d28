//! The decision point: WebAssembly policy modules, policy documents, sets, combining, hot swap.

mod limits;
mod problem;

use std::{path::Path, sync::Arc, time::SystemTime};

use gatewright_model::{
    decision::{Evaluation, SetVersion},
    event::{Event, SessionContext},
};

pub use crate::{limits::Limits, problem::LoadProblem};

/// The engine that compiles and runs modules. Clones share it.
#[derive(Clone, Debug)]
pub struct Host {
    limits: Limits,
}

impl Host {
    /// Starts the engine and its ticker thread.
    ///
    /// # Errors
    ///
    /// The machine can not run it.
    pub fn new(limits: Limits) -> Result<Self, HostError> {
        Ok(Self { limits })
    }
}

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the policy engine could not be started: {0}")]
pub struct HostError(String);

/// The request of a document's test case, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRequest {
    /// The statement's text.
    pub sql: String,
    /// Values to bind: the case is then a Parse and an Execute, else a simple query.
    pub parameters: Option<Vec<Option<String>>>,
}

/// Turns a case's text into the events that a real client's messages would give.
///
/// The proxy implements it with the protocol crates; this crate must not know a protocol.
pub trait CaseReader: Send + Sync {
    /// The events, in order.
    ///
    /// # Errors
    ///
    /// The request can not be sent over the protocol at all: for people, as one sentence.
    fn read(&self, request: &CaseRequest) -> Result<Vec<Event>, String>;
}

/// An immutable set of policies, compiled and checked.
#[derive(Debug)]
pub struct PolicySet {
    version: SetVersion,
}

impl PolicySet {
    /// Reads, compiles and checks every document of a folder.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn load(folder: &Path, host: &Host, reader: &dyn CaseReader) -> Result<Self, Vec<LoadProblem>> {
        let _ = (host.limits, reader);
        Err(vec![LoadProblem::new(folder, None, "policies can not be loaded yet", "")])
    }

    /// Which set this is.
    pub fn version(&self) -> SetVersion {
        self.version
    }
}

/// The set that is active now. Clones share it.
#[derive(Debug, Clone)]
pub struct Policies(Arc<arc_swap::ArcSwap<PolicySet>>);

impl Policies {
    /// Makes `set` the first active set.
    pub fn new(set: PolicySet) -> Self {
        Self(Arc::new(arc_swap::ArcSwap::from_pointee(set)))
    }

    /// The active set: hold it for one event, from first byte to last (promise P5).
    pub fn current(&self) -> Arc<PolicySet> {
        self.0.load_full()
    }
}

/// The instances of one session.
#[derive(Debug, Default)]
pub struct SessionPolicies {}

impl SessionPolicies {
    /// Judges one event by `set`.
    pub async fn evaluate(
        &mut self,
        set: &Arc<PolicySet>,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Evaluation {
        let _ = (session, event, now);
        use gatewright_model::decision::{Block, Decision};
        let block = Block {
            code: "policy.no_match".into(),
            rule: "".into(),
            reason: "no policy covers this request".into(),
            remedy: "".into(),
        };
        Evaluation { decision: Decision::Block(block), diagnostics: Vec::new(), set: set.version() }
    }
}
