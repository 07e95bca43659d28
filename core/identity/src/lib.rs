//! Proofs of identity turned into principals.
//!
//! A [`Verifier`] takes what a client presented, a JWT access token, and gives back the
//! [`Principal`](gatewright_model::principal::Principal) that it proves, with groups, kind and delegation
//! chain. A [`BuiltinIssuer`] makes tokens of our own, for trials and for machines without an identity
//! provider; they are verified like any other.
//!
//! No sockets and no clock: time is an argument, and key sets of OpenID providers are fetched by the caller
//! ([`Verifier::poll_fetch`], [`Verifier::handle_fetched`]). The files of the built-in issuer are the only I/O.
//!
//! # Why no JWT library
//!
//! Nearly every published failure here (threats.md section 6.6) is a check that was optional, or a malformed
//! claim that counted as an absent one. The libraries read the clock themselves, accept JSON with duplicate
//! names, and leave audience, type and the chain to the caller; what would be left of them is one call of
//! aws-lc-rs, which we make ourselves. So a token is parsed once, strictly, in `token` and `json`, and
//! judged in `claims`, in an order that can be read from top to bottom in [`Verifier::verify`].
//!
//! # What is decided here
//!
//! - **Algorithms** are pinned for each issuer. HMAC and `none` have no name in [`Algorithm`], so nothing can
//!   ask for them.
//! - **Audience** is required, and equal byte for byte to the one configured. `azp` never stands in for it.
//! - **Access tokens only.** ID tokens, refresh and logout tokens are refused where they can be told, and
//!   so are tokens bound to a key (`cnf`), because the proof of possession is not checked here.
//! - **Nothing malformed is absent.** A claim that is read and has the wrong type refuses the token.
//! - **Duplicate names** in any JSON object refuse the document: two readers would see two documents.
//! - **`act`** (RFC 8693 section 4.1) becomes the principal's actors. `may_act` gives a right at a token
//!   exchange and none here: it is ignored.
//! - **A principal is a person only if someone says so**: the kind claim, or the issuer's `default_kind`.
//! - **A token can be taken back** before it expires, by its id, by a name in its chain, by its issuer or by
//!   when it was issued ([`Revocation`]). In doubt, it is covered.

mod algorithm;
mod builtin;
mod chain;
mod claims;
mod discovery;
mod error;
mod issuer;
mod json;
mod keys;
mod name;
mod revocation;
pub mod ssh;
mod token;
mod url;
mod verifier;

pub use algorithm::Algorithm;
pub use builtin::{BUILTIN_ISSUER, BuiltinError, BuiltinIssuer, MAX_TTL, MintRequest};
pub use chain::MAX_ACTORS;
pub use claims::LEEWAY;
pub use discovery::{
    FETCH_TIMEOUT, Fetch, FetchError, FetchProblem, Fetched, KEYS_MAX_AGE, MAX_DOCUMENT, REFRESH_AFTER,
    REFRESH_INTERVAL,
};
pub use error::IdentityError;
pub use issuer::{Issuer, IssuerSettings, SetupError};
pub use keys::KeySetError;
pub use name::MAX_NAME;
pub use revocation::{
    ListError, MAX_REVOCATIONS, Revocation, RevocationScope, ScopeError, encode as encode_revocations,
    parse as parse_revocations,
};
pub use token::MAX_TOKEN;
pub use verifier::{Verifier, credential_name};
