//! The delegation chain of a token: who acts for the subject.

use std::sync::Arc;

use crate::{
    IdentityError,
    json::{Object, Value},
    name,
};

/// Reads nested `act` claims (RFC 8693 section 4.1), the current actor first.
///
/// An actor that is in the chain twice, or is the subject, closes a circle and is refused. So is an actor of
/// another issuer than the token's: a principal names its actors within its one issuer, and a policy that
/// knows `agent-7` must not meet somebody else's. Other members of `act` are not read; RFC 8693 gives them
/// no meaning.
pub(crate) fn actors(claims: &Object, subject: &str, issuer: &str) -> Result<Vec<Arc<str>>, IdentityError> {
    let mut actors: Vec<Arc<str>> = Vec::new();
    let mut next = claims.get("act");
    while let Some(act) = next {
        let Value::Object(act) = act else {
            return Err(IdentityError::Chain("`act` must be an object"));
        };
        let Some(Value::Text(actor)) = act.get("sub") else {
            return Err(IdentityError::Chain("each `act` must have a `sub` that is a string"));
        };
        let actor =
            name::parse(actor).map_err(|_| IdentityError::Chain("an actor's `sub` is not a name"))?;
        match act.get("iss") {
            None => {}
            Some(Value::Text(own)) if own == issuer => {}
            Some(_) => return Err(IdentityError::Chain("an actor is of another issuer")),
        }
        if *actor == *subject || actors.contains(&actor) {
            return Err(IdentityError::Chain("the same name takes part in it twice"));
        }
        if actors.len() == MAX_ACTORS {
            return Err(IdentityError::Chain("it has more than 8 actors"));
        }
        actors.push(actor);
        next = act.get("act");
    }
    Ok(actors)
}

/// Actors in a chain. More than a reviewer can judge; the known uses need two or three.
pub const MAX_ACTORS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_object;

    fn read(claims: &str) -> Result<Vec<Arc<str>>, IdentityError> {
        actors(&parse_object(claims.as_bytes()).unwrap(), "alice", "https://id.example")
    }

    fn nested(depth: usize) -> String {
        (0..depth).fold("{}".to_owned(), |inner, index| match inner.as_str() {
            "{}" => format!(r#"{{"act":{{"sub":"agent-{index}"}}}}"#),
            _ => format!(r#"{{"act":{{"sub":"agent-{index}",{}}}}}"#, &inner[1..inner.len() - 1]),
        })
    }

    #[test]
    fn a087_the_current_actor_comes_first() {
        assert_eq!(read("{}").unwrap(), Vec::<Arc<str>>::new());
        assert_eq!(
            read(r#"{"act":{"sub":"b","iss":"https://id.example","act":{"sub":"a"}}}"#).unwrap(),
            ["b".into(), "a".into()]
        );
    }

    #[test]
    fn a087_chains_are_bounded() {
        assert_eq!(read(&nested(6)).unwrap().len(), 6);
        assert_eq!(read(&nested(8)).unwrap().len(), 8);
        assert!(read(&nested(9)).is_err());
        assert!(
            IdentityError::Chain("it has more than 8 actors").to_string().contains(&MAX_ACTORS.to_string())
        );
    }

    #[test]
    fn a087_circles_and_wrong_types_are_refused() {
        for claims in [
            r#"{"act":{"sub":"alice"}}"#,
            r#"{"act":{"sub":"b","act":{"sub":"b"}}}"#,
            r#"{"act":{"sub":"b","act":{"sub":"c","act":{"sub":"b"}}}}"#,
            r#"{"act":null}"#,
            r#"{"act":"b"}"#,
            r#"{"act":[{"sub":"b"}]}"#,
            r#"{"act":{}}"#,
            r#"{"act":{"sub":""}}"#,
            r#"{"act":{"sub":7}}"#,
            r#"{"act":{"sub":["b"]}}"#,
            r#"{"act":{"sub":"b","act":null}}"#,
            r#"{"act":{"sub":"b","iss":"https://evil.example"}}"#,
            r#"{"act":{"sub":"b","iss":7}}"#,
        ] {
            assert!(matches!(read(claims), Err(IdentityError::Chain(_))), "{claims}");
        }
    }
}
