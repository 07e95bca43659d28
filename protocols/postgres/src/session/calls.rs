//! FunctionCall, which libpq's and other drivers' interfaces for large objects still use.
//!
//! It names a function by number. Which function that is, only the target could say, and it is not asked: the numbers of
//! PostgreSQL's own functions for large objects have never changed, and all others are refused. Because nothing proves that
//! the target has that function under the number, a call is opaque: it is judged as a query that calls the function, and
//! refused unless a policy takes that upon itself. Its answer can not be masked.

use std::sync::Arc;

use gatewright_model::{
    session::ProtocolError,
    sql::{Analysis, Grade, Parameter, SqlPhase},
};

use super::{
    objection::Objection,
    prepared::Judged,
    relay::{Desk, Relay, Request, digest_of},
};
use crate::{
    frame::Frame,
    frontend::function_call::{self, FunctionCall},
};

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    Oid,
    Int4,
    Int8,
    Bytea,
}

/// Number, name and arguments (`pg_proc.dat` of PostgreSQL's sources). Those that reach files of the server are left
/// out: nobody calls them in this way.
const FUNCTIONS: [(u32, &str, &[Argument]); 13] = [
    (715, "lo_create", &[Argument::Oid]),
    (952, "lo_open", &[Argument::Oid, Argument::Int4]),
    (953, "lo_close", &[Argument::Int4]),
    (954, "loread", &[Argument::Int4, Argument::Int4]),
    (955, "lowrite", &[Argument::Int4, Argument::Bytea]),
    (956, "lo_lseek", &[Argument::Int4, Argument::Int4, Argument::Int4]),
    (957, "lo_creat", &[Argument::Int4]),
    (958, "lo_tell", &[Argument::Int4]),
    (964, "lo_unlink", &[Argument::Oid]),
    (1004, "lo_truncate", &[Argument::Int4, Argument::Int4]),
    (3170, "lo_lseek64", &[Argument::Int4, Argument::Int8, Argument::Int4]),
    (3171, "lo_tell64", &[Argument::Int4]),
    (3172, "lo_truncate64", &[Argument::Int4, Argument::Int8]),
];

impl Relay {
    /// Asks for a decision on a call, or refuses it.
    pub(super) fn call(&mut self, frame: Frame, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        let Some(query) = query_like(&function_call::decode(frame.body())?) else {
            self.refuse_query(refusal().encode(), desk);
            return Ok(());
        };
        let read = desk.shared.analyser.analyse(&query);
        let analysis = Analysis {
            fingerprint: Arc::from(""),
            grade: Grade::Opaque,
            grade_reason: Some(Arc::from("it calls a function by its number")),
            ..Analysis::clone(&read)
        };
        let judged = Judged { analysis: Arc::new(analysis), charge: None };
        let payload = digest_of(&[&frame.bytes]);
        self.decide(Request::Call { frame }, SqlPhase::Query, judged, Vec::new(), payload, desk);
        Ok(())
    }
}

/// The query that does the same, without the bytes that a call writes. None: it is no function of large objects, or not
/// called like one.
fn query_like(call: &FunctionCall) -> Option<String> {
    let (_, name, types) = FUNCTIONS
        .iter()
        .find(|(number, _, types)| *number == call.function && types.len() == call.arguments.len())?;
    let values = (1..).zip(types.iter().zip(&call.arguments));
    let values: Option<Vec<String>> =
        values.map(|(number, (argument, value))| literal(*argument, value, number)).collect();
    Some(format!("select pg_catalog.{name}({})", values?.join(", ")))
}

/// How SQL writes the value of an argument.
fn literal(argument: Argument, value: &Parameter, number: usize) -> Option<String> {
    let integer = match (argument, value) {
        (_, Parameter::Null) => return Some("null".to_owned()),
        (Argument::Bytea, _) => return Some(format!("${number}")),
        (Argument::Oid, Parameter::Binary(bytes)) => u32::from_be_bytes((**bytes).try_into().ok()?).into(),
        (Argument::Int4, Parameter::Binary(bytes)) => i32::from_be_bytes((**bytes).try_into().ok()?).into(),
        (Argument::Int8, Parameter::Binary(bytes)) => i64::from_be_bytes((**bytes).try_into().ok()?),
        (_, Parameter::Text(text)) => text.parse().ok()?,
    };
    Some(integer.to_string())
}

/// Objects to a call by somebody for whom anything is masked.
pub(super) fn call_objection(request: &Request, masked: bool) -> Option<Objection> {
    (masked && matches!(request, Request::Call { .. })).then(refusal)
}

fn refusal() -> Objection {
    Objection {
        code: "pg.fastpath",
        message: "function calls by number are not supported through the gateway".to_owned(),
        hint: "call the function in a SELECT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(function: u32, arguments: &[Parameter], query: Option<&str>) {
        let call = FunctionCall { function, arguments: arguments.to_vec() };
        assert_eq!(query_like(&call).as_deref(), query);
    }

    fn binary(bytes: &[u8]) -> Parameter {
        Parameter::Binary(bytes.into())
    }

    #[test]
    fn a019_a_call_is_shown_as_the_query_that_does_the_same() {
        check(964, &[binary(&[0xff; 4])], Some("select pg_catalog.lo_unlink(4294967295)"));
        check(957, &[binary(&[0xff; 4])], Some("select pg_catalog.lo_creat(-1)"));
        check(953, &[Parameter::Text("7".into())], Some("select pg_catalog.lo_close(7)"));
        check(953, &[Parameter::Null], Some("select pg_catalog.lo_close(null)"));
        check(
            3172,
            &[binary(&[0, 0, 0, 1]), binary(&[0, 0, 0, 1, 0, 0, 0, 0])],
            Some("select pg_catalog.lo_truncate64(1, 4294967296)"),
        );
        check(955, &[binary(&[0, 0, 0, 1]), binary(b"'; drop")], Some("select pg_catalog.lowrite(1, $2)"));
    }

    #[test]
    fn a019_what_is_not_called_like_its_function_is_none_of_them() {
        check(764, &[Parameter::Text("/etc/passwd".into())], None);
        check(964, &[], None);
        check(964, &[binary(&[0; 8])], None);
        check(964, &[binary(&[0; 3])], None);
        check(953, &[Parameter::Text("1); drop table people".into())], None);
        check(953, &[binary(&[0; 4]), binary(&[0; 4])], None);
    }
}
