//! What the gateway adds to a request: the target's credential, and who asked.
//!
//! It is set after the client's headers were read, and takes the place of whatever has that name. None of it is in the
//! event: policies judge what the client asked for.

use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gatewright_model::{http::HttpRequest, session::Account};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, HOST},
};

use crate::refusal::Refusal;

/// What a target gets from the gateway, by its route.
#[derive(Debug, Clone, Default)]
pub struct Injection {
    /// How the target wants the account of the gateway to be proved.
    pub credential: TargetCredential,
    /// `Host`, where it is not to be the one that the client named.
    pub host: Option<HeaderValue>,
    /// Headers with fixed values.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Say who asked, in `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`?
    pub forwarded: bool,
}

/// How an account is proved to a target. The secret comes with [`Account`], when there is a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TargetCredential {
    /// Not in the request (a client certificate), or not at all.
    #[default]
    None,
    /// `Authorization: Bearer PASSWORD`.
    Bearer,
    /// `Authorization: Basic`, of the account's name and password (RFC 7617).
    Basic,
    /// `NAME: PASSWORD`.
    Header(HeaderName),
}

impl Injection {
    /// Names that only the gateway may use on this route.
    pub fn names(&self) -> impl Iterator<Item = HeaderName> + '_ {
        let credential = match &self.credential {
            TargetCredential::None => None,
            TargetCredential::Bearer | TargetCredential::Basic => Some(AUTHORIZATION),
            TargetCredential::Header(name) => Some(name.clone()),
        };
        self.headers.iter().map(|(name, _)| name.clone()).chain(credential)
    }

    /// Does a request on this route carry a credential of the gateway's?
    pub(crate) fn has_credential(&self) -> bool {
        self.credential != TargetCredential::None
    }

    /// Adds everything to the headers of a request.
    ///
    /// # Errors
    ///
    /// 502 `upstream.credential`, where the target wants a credential that there is not, or that no header can carry.
    pub(crate) fn apply(
        &self,
        headers: &mut HeaderMap,
        request: &HttpRequest,
        client: &HeaderValue,
        account: &Account,
    ) -> Result<(), Refusal> {
        let authority = value(&request.authority)?;
        headers.insert(HOST, self.host.as_ref().unwrap_or(&authority).clone());
        if self.forwarded {
            headers.insert(FORWARDED_FOR, client.clone());
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(request.scheme));
            headers.insert(FORWARDED_HOST, authority);
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let secret = || account.password.as_ref().map(|password| password.expose()).ok_or(MISSING);
        let (name, text) = match &self.credential {
            TargetCredential::None => return Ok(()),
            TargetCredential::Bearer => (AUTHORIZATION, format!("Bearer {}", secret()?)),
            TargetCredential::Basic => {
                let pair = format!("{}:{}", account.name, secret()?);
                (AUTHORIZATION, format!("Basic {}", BASE64_STANDARD.encode(pair)))
            }
            TargetCredential::Header(name) => (name.clone(), secret()?.to_owned()),
        };
        let mut credential = value(&text)?;
        // Not in HTTP/2's table of what was sent before, and not in anybody's `Debug`.
        credential.set_sensitive(true);
        headers.insert(name, credential);
        Ok(())
    }
}

/// A client's address as `X-Forwarded-For` says it. It is the same for all requests of a connection.
pub fn forwarded_for(client: SocketAddr) -> HeaderValue {
    let address = client.ip().to_canonical().to_string();
    HeaderValue::try_from(address).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| MISSING)
}

const MISSING: Refusal =
    Refusal::bad_answer("upstream.credential", "the gateway has no usable credential for the target");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gatewright_model::secret::Secret;

    use super::*;

    fn account(password: Option<&str>) -> Account {
        Account { name: Arc::from("app"), password: password.map(Secret::new), require_tls: false }
    }

    fn request() -> HttpRequest {
        HttpRequest {
            method: Arc::from("GET"),
            scheme: "https",
            authority: Arc::from("api.example:8443"),
            path: Arc::from("/"),
            query: Vec::new(),
            query_text: Arc::from(""),
            headers: Vec::new(),
            route: Arc::from("all"),
            route_parameters: Vec::new(),
        }
    }

    fn applied(injection: &Injection, password: Option<&str>) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer of-the-client"));
        injection.apply(
            &mut headers,
            &request(),
            &forwarded_for("[::ffff:10.0.0.9]:5".parse().unwrap()),
            &account(password),
        )?;
        Ok(headers)
    }

    #[test]
    fn credentials_take_the_place_of_what_was_there_and_are_not_shown() {
        for (credential, sent) in [
            (TargetCredential::Bearer, "Bearer s3cret"),
            (TargetCredential::Basic, "Basic YXBwOnMzY3JldA=="),
        ] {
            let headers =
                applied(&Injection { credential, ..Injection::default() }, Some("s3cret")).unwrap();
            assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
            assert_eq!(headers[AUTHORIZATION], sent);
            assert!(!format!("{headers:?}").contains(sent));
        }
        let name = HeaderName::from_static("x-api-key");
        let credential = TargetCredential::Header(name.clone());
        let headers = applied(&Injection { credential, ..Injection::default() }, Some("k")).unwrap();
        assert_eq!(headers[name], "k");
    }

    #[test]
    fn a_credential_that_is_not_there_is_no_request_without_one() {
        let bearer = Injection { credential: TargetCredential::Bearer, ..Injection::default() };
        assert_eq!(applied(&bearer, None), Err(MISSING));
        assert_eq!(applied(&bearer, Some("a\r\nx: y")), Err(MISSING));
    }

    #[test]
    fn who_asked_is_said_where_the_route_wants_it() {
        let headers = applied(&Injection { forwarded: true, ..Injection::default() }, None).unwrap();
        assert_eq!(headers[FORWARDED_FOR], "10.0.0.9");
        assert_eq!(headers[FORWARDED_PROTO], "https");
        assert_eq!(headers[FORWARDED_HOST], "api.example:8443");
        assert_eq!(headers[HOST], "api.example:8443");
        let host = Some(HeaderValue::from_static("internal"));
        let headers = applied(&Injection { host, ..Injection::default() }, None).unwrap();
        assert_eq!(headers[HOST], "internal");
        assert!(!headers.contains_key(FORWARDED_FOR));
    }
}
