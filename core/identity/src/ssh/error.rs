//! Why a key or a certificate proves nothing.

/// Why a key or a certificate was refused: for records and logs. SSH has no words for it that a client could be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Nobody's key.
    #[error(
        "the key is bound to nobody: add it to `[[identity.ssh_key]]`, or use a certificate or a token"
    )]
    KeyUnknown,
    /// A key of another kind.
    #[error("keys of this type are not accepted: use Ed25519, ECDSA or RSA")]
    KeyType,
    /// A short one.
    #[error("the RSA key has fewer than 2048 bits")]
    KeyWeak,
    /// Nobody's authority.
    #[error("the certificate's authority is not one that this gateway trusts")]
    Authority,
    /// The authority has not signed it.
    #[error("the certificate's signature is wrong")]
    Signature,
    /// SHA-1.
    #[error("the certificate is signed with SHA-1")]
    SignatureAlgorithm,
    /// A host certificate.
    #[error("the certificate is for a host and not for a user")]
    Type,
    /// It was good.
    #[error("the certificate has expired")]
    Expired,
    /// It will be good.
    #[error("the certificate is not valid yet")]
    NotYet,
    /// It is good for too long.
    #[error("the certificate is valid for longer than its authority's `max_lifetime`")]
    Lifetime,
    /// Nobody is named.
    #[error("the certificate names no principal: it would be good for everybody")]
    NoPrincipals,
    /// Somebody else is named.
    #[error("the certificate's principals do not name the account that is asked for")]
    Account,
    /// Not a person's name.
    #[error("the certificate's key id is no name, or not one of its principals")]
    KeyId,
    /// Something must be done that can not be.
    #[error("the certificate has a critical option that is not understood")]
    CriticalOption,
    /// From elsewhere.
    #[error("the certificate is not good for the address that the client comes from")]
    SourceAddress,
    /// What is said about its holder can not be followed.
    #[error("the certificate's `{}` extension is not accepted", super::chain::EXTENSION)]
    Chain,
    /// The gateway's clock can not be right.
    #[error("the gateway's clock is before 1970")]
    Clock,
}

impl SshError {
    /// The stable code, for records and programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyUnknown | Self::KeyType | Self::KeyWeak => "auth.key_unknown",
            Self::Authority => "auth.cert_authority",
            Self::Signature | Self::SignatureAlgorithm => "auth.cert_signature",
            Self::Type => "auth.cert_type",
            Self::Expired | Self::NotYet | Self::Lifetime => "auth.cert_validity",
            Self::NoPrincipals | Self::Account | Self::KeyId => "auth.cert_principals",
            Self::CriticalOption | Self::SourceAddress => "auth.cert_options",
            Self::Chain => "auth.cert_chain",
            Self::Clock => "auth.clock",
        }
    }
}
