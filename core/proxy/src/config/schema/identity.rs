//! `[identity]`

use super::{Kind, Need, Setting};

pub(super) const IDENTITY: &[Setting] = &[
    Setting {
        key: "audience",
        kind: Kind::Text,
        need: Need::Default("\"gatewright\""),
        about: "The `aud` of tokens that `gatewright token mint` makes and this gateway accepts",
    },
    Setting {
        key: "issuer",
        kind: Kind::Tables(ISSUER),
        need: Need::Optional("only tokens of `gatewright token mint` are accepted"),
        about: "An external OpenID Connect issuer whose tokens are accepted",
    },
    Setting {
        key: "ssh_authority",
        kind: Kind::Tables(SSH_AUTHORITY),
        need: Need::Optional("only certificates of `gatewright login` are accepted"),
        about: "SSH: an authority whose user certificates are accepted",
    },
    Setting {
        key: "ssh_key",
        kind: Kind::Tables(SSH_KEY),
        need: Need::Optional("clients show certificates or tokens"),
        about: "SSH: somebody's key",
    },
];

const SSH_AUTHORITY: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Name,
        need: Need::Required,
        about: "Its name; `ssh:NAME` is the issuer of its principals in policies and records",
    },
    Setting {
        key: "keys",
        kind: Kind::Texts,
        need: Need::Required,
        about: "Its public keys (`ssh-ed25519 AAAA…`)",
    },
    Setting {
        key: "principals",
        kind: Kind::Choice(&["accounts", "subject"]),
        need: Need::Default("\"accounts\""),
        about: "What the principals of its certificates are: accounts at targets, of which one must be the account that a client asks for; or names of the holder, of which one must be the key id. The key id is the subject",
    },
    Setting {
        key: "default_kind",
        kind: Kind::Choice(KINDS),
        need: Need::Default("\"service\""),
        about: "What its holders are, where a certificate does not say it: only a `human` can approve",
    },
    Setting {
        key: "max_lifetime",
        kind: Kind::Duration,
        need: Need::Default("\"24h\""),
        about: "Certificates that are valid for longer are refused: nobody can take them back in time",
    },
];

const SSH_KEY: &[Setting] = &[
    Setting {
        key: "key",
        kind: Kind::Text,
        need: Need::Required,
        about: "The public key (`ssh-ed25519 AAAA…`)",
    },
    Setting { key: "subject", kind: Kind::Text, need: Need::Required, about: "Whose it is" },
    Setting {
        key: "kind",
        kind: Kind::Choice(KINDS),
        need: Need::Required,
        about: "What kind of subject it is",
    },
    Setting { key: "groups", kind: Kind::Texts, need: Need::Default("[]"), about: "Groups of the subject" },
    Setting {
        key: "actors",
        kind: Kind::Texts,
        need: Need::Default("[]"),
        about: "Who acts for the subject with it, the current actor first",
    },
];

/// Kinds of subjects.
const KINDS: &[&str] = &["human", "agent", "service"];

/// Signature algorithms that an issuer may be pinned to: asymmetric ones only, so that a public key can
/// never be mistaken for a shared secret.
pub(in crate::config) const ALGORITHMS: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

const ISSUER: &[Setting] = &[
    Setting {
        key: "issuer",
        kind: Kind::Url,
        need: Need::Required,
        about: "The `iss` of its tokens, exactly as they carry it",
    },
    Setting {
        key: "audience",
        kind: Kind::Text,
        need: Need::Required,
        about: "The `aud` that its tokens must carry to be meant for this gateway",
    },
    Setting {
        key: "algorithms",
        kind: Kind::Choices(ALGORITHMS),
        need: Need::Default("[\"RS256\"]"),
        about: "Signature algorithms that it uses; anything else is refused",
    },
    Setting {
        key: "jwks_file",
        kind: Kind::Path,
        need: Need::Optional("`discovery` must be true"),
        about: "File with its public keys (a JSON Web Key Set)",
    },
    Setting {
        key: "discovery",
        kind: Kind::Flag,
        need: Need::Default("false"),
        about: "Fetch its public keys over HTTPS, through its discovery document",
    },
    Setting {
        key: "ca",
        kind: Kind::Path,
        need: Need::Optional("the certificate authorities of the operating system are trusted"),
        about: "Certificate authorities (PEM) that its HTTPS server is verified against",
    },
    Setting {
        key: "groups_claim",
        kind: Kind::Text,
        need: Need::Default("\"groups\""),
        about: "Claim that lists the groups of the subject",
    },
    Setting {
        key: "kind_claim",
        kind: Kind::Text,
        need: Need::Default("\"principal_kind\""),
        about: "Claim that says `human`, `agent` or `service`",
    },
    Setting {
        key: "default_kind",
        kind: Kind::Choice(&["human", "agent", "service"]),
        need: Need::Default("\"service\""),
        about: "What a subject is whose token does not say",
    },
    Setting {
        key: "claims",
        kind: Kind::Texts,
        need: Need::Default("[]"),
        about: "Further claims that policies may read",
    },
    Setting {
        key: "key_hosts",
        kind: Kind::Texts,
        need: Need::Default("[]"),
        about: "Hosts beside the issuer's own that its discovery document may name for its keys",
    },
];
