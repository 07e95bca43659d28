//! FunctionCall, which libpq's and other drivers' interfaces for large objects still use.
//!
//! It names a function by number. The numbers of PostgreSQL's own functions for large objects have never changed; where the target's catalog says
//! that it has them too, a call is judged as the query that does the same. Where the catalog could not be read, or says otherwise, a call is opaque:
//! refused, unless a policy takes that upon itself. All other functions are refused. Its answer can not be masked.

use std::{collections::HashSet, sync::Arc};

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
    catalog::Numbered,
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

impl Argument {
    /// The number of its type (`pg_type.dat` of PostgreSQL's sources).
    const fn type_oid(self) -> u32 {
        match self {
            Self::Bytea => 17,
            Self::Int8 => 20,
            Self::Int4 => 23,
            Self::Oid => 26,
        }
    }
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

/// Calls by number, as far as a session has made some.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// A call that waits for the catalog.
    waiting: Option<Frame>,
    /// The catalog was asked for. What comes of it is true as long as the session lasts.
    is_asked: bool,
    /// The functions that the target has under their numbers.
    numbered: Arc<HashSet<Numbered>>,
}

impl Calls {
    /// Does a call wait for the catalog? What the client sends behind it waits too.
    pub(super) const fn waits(&self) -> bool {
        self.waiting.is_some()
    }
}

impl Relay {
    /// Asks for a decision on a call, or refuses it.
    pub(super) fn call(&mut self, frame: Frame, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        let Some(Call { numbered, query, parameters }) = read(&function_call::decode(frame.body())?) else {
            self.refuse_query(refusal().encode(), desk);
            return Ok(());
        };
        if !self.calls.is_asked {
            self.calls.is_asked = true;
            self.calls.waiting = Some(frame);
            if !self.catalog.is_read_beside() {
                self.read_beside(desk);
            }
            return Ok(());
        }
        let read = desk.shared.analyser.analyse(&query);
        let analysis = if self.calls.numbered.contains(&numbered) {
            read
        } else {
            Arc::new(Analysis {
                fingerprint: Arc::from(""),
                grade: Grade::Opaque,
                grade_reason: Some(Arc::from("it calls a function by its number")),
                ..Analysis::clone(&read)
            })
        };
        let judged = Judged { analysis, charge: None };
        let payload = digest_of(&[&frame.bytes]);
        self.decide(Request::Call { frame }, SqlPhase::Query, judged, parameters, payload, desk);
        Ok(())
    }

    /// A reading of the catalog beside the session is over: a call that waited for it goes on, whatever came of it.
    pub(super) fn call_returned(&mut self, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        let Some(frame) = self.calls.waiting.take() else { return Ok(()) };
        if let Some((catalog, ..)) = desk.shared.catalogs.get(&self.database, desk.now) {
            self.calls.numbered = Arc::clone(catalog.numbered());
        }
        self.call(frame, desk)
    }
}

/// A call for a large object.
struct Call {
    numbered: Numbered,
    /// The query that does the same, without the bytes that a call writes.
    query: String,
    /// Those bytes.
    parameters: Vec<Parameter>,
}

/// What a call does. None: it is no function of large objects, or not called like one.
fn read(call: &FunctionCall) -> Option<Call> {
    let (number, name, types) = FUNCTIONS
        .iter()
        .find(|(number, _, types)| *number == call.function && types.len() == call.arguments.len())?;
    let mut parameters = Vec::new();
    let values = types.iter().zip(&call.arguments);
    let values: Option<Vec<String>> =
        values.map(|(argument, value)| literal(*argument, value, &mut parameters)).collect();
    Some(Call {
        numbered: (*number, Arc::from(*name), types.iter().map(|argument| argument.type_oid()).collect()),
        query: format!("select pg_catalog.{name}({})", values?.join(", ")),
        parameters,
    })
}

/// How SQL writes the value of an argument.
fn literal(argument: Argument, value: &Parameter, parameters: &mut Vec<Parameter>) -> Option<String> {
    let integer = match (argument, value) {
        (_, Parameter::Null) => return Some("null".to_owned()),
        (Argument::Bytea, _) => {
            parameters.push(value.clone());
            return Some(format!("${}", parameters.len()));
        }
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
    use crate::catalog;

    #[track_caller]
    fn check(function: u32, arguments: &[Parameter], query: Option<&str>) {
        let call = FunctionCall { function, arguments: arguments.to_vec() };
        assert_eq!(read(&call).map(|call| call.query).as_deref(), query);
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
        check(955, &[binary(&[0, 0, 0, 1]), binary(b"'; drop")], Some("select pg_catalog.lowrite(1, $1)"));
    }

    #[test]
    fn a019_the_catalog_is_asked_about_each_function() {
        for (number, ..) in FUNCTIONS {
            let asked = |end| catalog::QUERY.contains(&format!("{number}{end}"));
            assert!(asked(",") || asked("}"), "{number}");
        }
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
