//! What operators and load balancers ask.

use std::sync::Arc;

use gatewright_model::audit::SetVersionRecord;
use serde::Serialize;

/// Where the admin listener learns how the gateway is. Implemented by whoever puts it together.
pub trait StatusProvider: Send + Sync {
    /// How it is now.
    fn status(&self) -> Status;

    /// Groups that the policies in use name as reviewers of their own.
    fn reviewers(&self) -> Vec<Arc<str>>;
}

/// How the gateway is: versions and counts, and nothing that a client chose.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Version of the program.
    pub version: &'static str,
    /// Are new sessions served?
    pub ready: bool,
    /// Has the end begun?
    pub draining: bool,
    /// Why the gateway serves with less than was promised, in words for people. Empty: it does not.
    pub degraded: Vec<String>,
    /// The policy set in use.
    pub policies: Option<SetVersionRecord>,
    /// Each listener.
    pub listeners: Vec<ListenerStatus>,
    /// Approval requests that wait.
    pub approvals_pending: usize,
    /// The evidence log.
    pub evidence: EvidenceStatus,
}

/// How one listener is.
#[derive(Debug, Clone, Serialize)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: std::net::SocketAddr,
    /// Connections that are open.
    pub open: i64,
}

/// How the evidence log is.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceStatus {
    /// Can it take records?
    pub healthy: bool,
    /// Why not, or what an operator has to look at. Empty: nothing.
    pub problem: String,
    /// The last record of the chain.
    pub last: u64,
    /// The last record that survives a power cut.
    pub synced: u64,
    /// The last record that a signed checkpoint covers.
    pub signed: u64,
}
