//! FunctionCall, which libpq's and other drivers' interfaces for large objects still use.
//!
//! It names a function by number. Which function that is, only the target could say, and it is not asked: the numbers of
//! PostgreSQL's own functions for large objects have never changed, and all others are refused. Because nothing proves that
//! the target has that function under the number, a call is opaque: it is judged as a query that calls the function, and
//! refused unless a policy takes that upon itself. Its answer can not be masked.

use std::sync::Arc;

use gatewright_model::{
    session::ProtocolError,
    sql::{Analysis, Grade, SqlPhase},
};

use super::{
    masking::Objection,
    prepared::Judged,
    relay::{Desk, Relay, Request, digest_of},
};
use crate::{frame::Frame, frontend::function_call};

/// Number, name and arguments (`pg_proc.dat` of PostgreSQL's sources). Those that reach files of the server are left
/// out: nobody calls them in this way.
const FUNCTIONS: [(u32, &str, usize); 13] = [
    (715, "lo_create", 1),
    (952, "lo_open", 2),
    (953, "lo_close", 1),
    (954, "loread", 2),
    (955, "lowrite", 2),
    (956, "lo_lseek", 3),
    (957, "lo_creat", 1),
    (958, "lo_tell", 1),
    (964, "lo_unlink", 1),
    (1004, "lo_truncate", 2),
    (3170, "lo_lseek64", 3),
    (3171, "lo_tell64", 1),
    (3172, "lo_truncate64", 2),
];

impl Relay {
    /// Asks for a decision on a call, or refuses it.
    pub(super) fn call(&mut self, frame: Frame, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        let call = function_call::decode(frame.body())?;
        let known = FUNCTIONS
            .iter()
            .find(|(number, _, count)| *number == call.function && *count == call.arguments.len());
        let Some((_, name, count)) = known else {
            self.refuse_query(refusal().encode(), desk);
            return Ok(());
        };
        let read = desk.shared.analyser.analyse(&query_like(name, *count));
        let analysis = Analysis {
            fingerprint: Arc::from(""),
            grade: Grade::Opaque,
            grade_reason: Some(Arc::from("it calls a function by its number")),
            ..Analysis::clone(&read)
        };
        let judged = Judged { analysis: Arc::new(analysis), charge: None };
        let payload = digest_of(&[&frame.bytes]);
        self.decide(Request::Call { frame }, SqlPhase::Query, judged, call.arguments, payload, desk);
        Ok(())
    }
}

/// Objects to a call by somebody for whom anything is masked.
pub(super) fn call_objection(request: &Request, masked: bool) -> Option<Objection> {
    (masked && matches!(request, Request::Call { .. })).then(refusal)
}

/// The query that does the same.
fn query_like(name: &str, arguments: usize) -> String {
    let arguments: Vec<String> = (1..=arguments).map(|number| format!("${number}")).collect();
    format!("select pg_catalog.{name}({})", arguments.join(", "))
}

fn refusal() -> Objection {
    Objection {
        code: "pg.fastpath",
        message: "function calls by number are not supported through the gateway".to_owned(),
        hint: "call the function in a SELECT",
    }
}
