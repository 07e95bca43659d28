//! Turns the request of a policy's test case into the events that a client's messages would give.
//!
//! It is here because the decision point must not know a protocol, and it uses what live requests go through, so
//! that a case proves what will happen.

mod http;
mod kubernetes;
mod sql;
mod ssh;

use std::sync::Arc;

use gatewright_model::event::Event;
use gatewright_policy::{CaseReader, CaseRequest};
use gatewright_sql::{Analyser, AnalyserLimits};

/// Reads the cases of every protocol.
#[derive(Debug)]
pub struct ProtocolCaseReader {
    analyser: Arc<Analyser>,
}

impl ProtocolCaseReader {
    /// Reads SQL with this analyser: live traffic's, so that what it remembers serves both.
    pub fn new(analyser: Arc<Analyser>) -> Self {
        Self { analyser }
    }
}

impl Default for ProtocolCaseReader {
    fn default() -> Self {
        Self::new(Arc::new(Analyser::new(AnalyserLimits::default())))
    }
}

impl CaseReader for ProtocolCaseReader {
    fn read(&self, request: &CaseRequest) -> Result<Vec<Event>, String> {
        match request {
            CaseRequest::Sql(case) => sql::read(&self.analyser, case),
            CaseRequest::Http(case) => Ok(vec![http::read(case)?]),
            CaseRequest::Kubernetes(case) => Ok(vec![kubernetes::read(case)?]),
            CaseRequest::Ssh(case) => Ok(vec![ssh::read(case)?]),
        }
    }
}
