//! Why a token proves nothing, and what the client is told.

use std::{sync::Arc, time::Duration};

use gatewright_model::session::Rejection;

/// Why a token was refused. Holds nothing that came from the token but the age of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not looked at any further.
    #[error("the token is longer than {} bytes", crate::MAX_TOKEN)]
    TooLong,
    /// Not a signed JWT.
    #[error("the credential is not a signed JWT: {0}")]
    Malformed(&'static str),
    /// The algorithm is not one of those that the issuer is pinned to.
    #[error("the token's signature algorithm is not accepted")]
    Algorithm,
    /// A header parameter that changes the meaning of the signature or brings its own key.
    #[error("the token's header has `{0}`, which is not accepted")]
    Header(&'static str),
    /// No issuer of this name is configured.
    #[error("the token's issuer is not one that this gateway trusts")]
    Issuer,
    /// The keys of the issuer were not fetched yet.
    #[error("the keys of the token's issuer are not known yet")]
    KeysMissing,
    /// The keys of the issuer could not be refreshed for too long.
    #[error("the keys of the token's issuer are older than {} hours", crate::KEYS_MAX_AGE.as_secs() / 3_600)]
    KeysStale,
    /// The issuer has no key that fits `kid` and algorithm.
    #[error("the token's issuer has no key that fits it")]
    KeyUnknown,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// The token is for somebody else.
    #[error("the token is not made for this gateway: its audience is another")]
    Audience,
    /// The token is of another type.
    #[error("the token is not an access token: {0}")]
    Type(&'static str),
    /// The token is only good together with a proof that is not checked here.
    #[error("the token is bound to a key (`cnf`), and possession of that key can not be proved here")]
    Bound,
    /// A claim is missing or wrong.
    #[error("the token's claim `{claim}` {problem}")]
    Claim {
        /// Which: a name of the standard or of the configuration.
        claim: Arc<str>,
        /// What it must or must not be.
        problem: &'static str,
    },
    /// The token was good.
    #[error("the token expired {} ago", spoken(*ago))]
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// The token was good, and somebody took it back.
    #[error("the token was revoked")]
    Revoked,
    /// The token will be good.
    #[error("the token is not valid yet, for another {}", spoken(*ahead))]
    NotYet {
        /// For how long.
        ahead: Duration,
    },
    /// The gateway's clock can not be right.
    #[error("the gateway's clock is before 1970")]
    Clock,
    /// The token names nobody.
    #[error("the token {0}")]
    EmptyIdentity(&'static str),
    /// The delegation chain can not be followed.
    #[error("the token's delegation chain (`act`) is not accepted: {0}")]
    Chain(&'static str),
}

impl IdentityError {
    /// What the client is told.
    pub fn rejection(&self) -> Rejection {
        Rejection { code: self.code(), message: self.to_string().into(), remedy: self.remedy().into() }
    }

    /// The stable code, for records and programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong | Self::Malformed(_) => "auth.jwt_malformed",
            Self::Algorithm | Self::Header(_) => "auth.jwt_alg",
            Self::Signature => "auth.jwt_signature",
            Self::Issuer | Self::Audience | Self::Type(_) => "auth.jwt_aud",
            Self::KeysMissing | Self::KeysStale | Self::KeyUnknown => "auth.jwks",
            Self::Bound => "auth.replay",
            Self::Claim { .. } | Self::NotYet { .. } => "auth.jwt_claim",
            Self::Expired { .. } => "auth.jwt_expired",
            Self::Revoked => "auth.revoked",
            Self::Clock => "auth.clock",
            Self::EmptyIdentity(_) => "auth.empty_identity",
            Self::Chain(_) => "auth.jwt_act",
        }
    }

    const fn remedy(&self) -> &'static str {
        match self {
            Self::TooLong => "fetch a token with fewer claims",
            Self::Malformed(_) => {
                "send the access token itself, whole and unchanged, in place of a password"
            }
            Self::Algorithm | Self::Header(_) => {
                "have the issuer sign with an algorithm that the gateway's configuration lists for it"
            }
            Self::Signature => "fetch a new token from the issuer and send it unchanged",
            Self::Issuer => "use a token of an issuer that the gateway's configuration lists",
            Self::Audience => "request a token whose audience is the one in the gateway's configuration",
            Self::Type(_) => "send the access token, not the ID or refresh token that came with it",
            Self::KeysMissing | Self::KeyUnknown => {
                "try again in a minute; the gateway then asks the issuer anew"
            }
            Self::KeysStale => "have an operator check that the gateway reaches the issuer",
            Self::Bound => "request a bearer token, without DPoP or certificate binding",
            Self::Claim { .. } | Self::EmptyIdentity(_) | Self::Chain(_) => {
                "have the issuer correct the claim, then fetch a new token"
            }
            Self::Expired { .. } => "mint or fetch a new token",
            Self::Revoked => "ask the gateway's operator why; a new token helps only if they say so",
            Self::NotYet { .. } => "wait, or have an operator compare the clocks of issuer and gateway",
            Self::Clock => "have an operator set the gateway's clock",
        }
    }
}

/// A length of time as people say it, in one unit, rounded down.
fn spoken(time: Duration) -> String {
    let (count, unit) = match time.as_secs() {
        seconds @ ..120 => (seconds, "second"),
        seconds @ ..7_200 => (seconds / 60, "minute"),
        seconds @ ..172_800 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_clients_are_told() {
        let errors = [
            IdentityError::Malformed("it must have three parts"),
            IdentityError::Algorithm,
            IdentityError::Audience,
            IdentityError::Claim { claim: "exp".into(), problem: "must be there" },
            IdentityError::Expired { ago: Duration::from_secs(190) },
            IdentityError::NotYet { ahead: Duration::from_secs(61) },
            IdentityError::EmptyIdentity("has no `sub`"),
            IdentityError::KeysStale,
        ];
        let lines: String = errors
            .iter()
            .map(IdentityError::rejection)
            .map(|Rejection { code, message, remedy }| format!("{code}: {message}; {remedy}\n"))
            .collect();
        expect![[r#"
            auth.jwt_malformed: the credential is not a signed JWT: it must have three parts; send the access token itself, whole and unchanged, in place of a password
            auth.jwt_alg: the token's signature algorithm is not accepted; have the issuer sign with an algorithm that the gateway's configuration lists for it
            auth.jwt_aud: the token is not made for this gateway: its audience is another; request a token whose audience is the one in the gateway's configuration
            auth.jwt_claim: the token's claim `exp` must be there; have the issuer correct the claim, then fetch a new token
            auth.jwt_expired: the token expired 3 minutes ago; mint or fetch a new token
            auth.jwt_claim: the token is not valid yet, for another 61 seconds; wait, or have an operator compare the clocks of issuer and gateway
            auth.empty_identity: the token has no `sub`; have the issuer correct the claim, then fetch a new token
            auth.jwks: the keys of the token's issuer are older than 24 hours; have an operator check that the gateway reaches the issuer
        "#]].assert_eq(&lines);
    }

    #[test]
    fn times_are_said_in_one_unit() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (180, "3 minutes"),
            (7_200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), text);
        }
    }
}
