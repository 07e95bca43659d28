//! Every setting of `gatewright.toml`, in one table.
//!
//! The reader takes names, kinds and defaults from here, `gatewright config reference` prints it, and an
//! unknown key is whatever is not in it: the documentation can not disagree with the program.

pub(super) mod identity;

use identity::IDENTITY;

/// One setting, or a table of settings.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its key.
    pub(super) key: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether it has to be there.
    pub(super) need: Need,
    /// What it is for, as one or two sentences without a full stop at the end.
    pub(super) about: &'static str,
}

/// What a setting holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A name made of letters, digits, `-`, `_` and `.`, as it appears in policies, records and metrics.
    Name,
    /// A list of texts.
    Texts,
    /// A list of words out of these.
    Choices(&'static [&'static str]),
    /// One word out of these.
    Choice(&'static [&'static str]),
    /// A path; a relative one starts at the folder of the configuration file.
    Path,
    /// A length of time: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
    Duration,
    /// An IP address and a port to listen on.
    Listen,
    /// A host name or IP address, and a port, to connect to.
    Address,
    /// An `https` URL.
    Url,
    /// `true` or `false`.
    Flag,
    /// A whole number in a range, both ends included.
    Number(i64, i64),
    /// Where a secret is found: `{ file = "…" }` or `{ env = "…" }`.
    Secret,
    /// A table of settings.
    Table(&'static [Setting]),
    /// A list of tables: `[[key]]`, each with these settings.
    Tables(&'static [Setting]),
}

/// Whether a setting has to be there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// It has to be there.
    Required,
    /// It may be left out; then this holds.
    Optional(&'static str),
    /// It may be left out; then this TOML value is used.
    Default(&'static str),
}

/// The whole file.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "gateway",
        kind: Kind::Table(GATEWAY),
        need: Need::Optional("every setting has its default"),
        about: "The process itself",
    },
    Setting {
        key: "evidence",
        kind: Kind::Table(EVIDENCE),
        need: Need::Required,
        about: "Where the record of every decision is kept",
    },
    Setting {
        key: "recordings",
        kind: Kind::Table(RECORDINGS),
        need: Need::Optional("every setting has its default"),
        about: "Where it is kept what programs show, where a policy wants that recorded",
    },
    Setting {
        key: "policies",
        kind: Kind::Table(POLICIES),
        need: Need::Optional("every setting has its default"),
        about: "Where the rules are",
    },
    Setting {
        key: "identity",
        kind: Kind::Table(IDENTITY),
        need: Need::Optional("only tokens of `gatewright token mint` are accepted"),
        about: "Whose tokens are accepted",
    },
    Setting {
        key: "approvals",
        kind: Kind::Table(APPROVALS),
        need: Need::Optional("every setting has its default"),
        about: "Who decides what a policy holds back for a person",
    },
    Setting {
        key: "admin",
        kind: Kind::Table(ADMIN),
        need: Need::Optional("every setting has its default"),
        about: "The HTTP listener for health, metrics and reviewers",
    },
    Setting {
        key: "target",
        kind: Kind::Tables(TARGET),
        need: Need::Required,
        about: "Something that is reached through the gateway",
    },
    Setting {
        key: "listener",
        kind: Kind::Tables(LISTENER),
        need: Need::Required,
        about: "An address on which clients are served",
    },
];

const GATEWAY: &[Setting] = &[
    Setting {
        key: "state",
        kind: Kind::Path,
        need: Need::Default("\"state\""),
        about: "Folder of the gateway's own keys; made on first use, readable by the gateway only",
    },
    Setting {
        key: "drain",
        kind: Kind::Duration,
        need: Need::Default("\"30s\""),
        about: "How long sessions may go on after SIGTERM before they are ended",
    },
    Setting {
        key: "workers",
        kind: Kind::Number(1, 256),
        need: Need::Optional("one for each processor"),
        about: "Threads that serve clients; a connection stays on one of them",
    },
];

const EVIDENCE: &[Setting] = &[
    Setting {
        key: "directory",
        kind: Kind::Path,
        need: Need::Default("\"evidence\""),
        about: "Folder of the log; on a disk that survives a power cut",
    },
    Setting {
        key: "origin",
        kind: Kind::Text,
        need: Need::Required,
        about: "Name of this log in its signed checkpoints, unique among your logs (C2SP tlog-checkpoint)",
    },
    Setting {
        key: "sync_deadline",
        kind: Kind::Duration,
        need: Need::Default("\"2s\""),
        about: "How long the disk may take to make records safe; then every request is refused until it answers",
    },
];

const RECORDINGS: &[Setting] = &[
    Setting {
        key: "directory",
        kind: Kind::Path,
        need: Need::Optional("`recordings` in the folder of the evidence log"),
        about: "Folder of the recordings; made with the first one, readable by the gateway only",
    },
    Setting {
        key: "max_bytes",
        kind: Kind::Number(4_096, 1 << 40),
        need: Need::Default("268435456"),
        about: "How long one recording may be; what goes on ends when its recording is full",
    },
];

const POLICIES: &[Setting] = &[Setting {
    key: "directory",
    kind: Kind::Path,
    need: Need::Default("\"policies\""),
    about: "Folder of the policy documents (`*.toml`); it is watched, and a change is used at once",
}];

const APPROVALS: &[Setting] = &[
    Setting {
        key: "reviewers",
        kind: Kind::Texts,
        need: Need::Default("[\"reviewers\"]"),
        about: "Groups whose members may decide where a policy names no group of its own",
    },
    Setting {
        key: "hold_in_transaction",
        kind: Kind::Duration,
        need: Need::Default("\"2m\""),
        about: "How long at most a statement waits for them inside of a transaction, which keeps its locks; `0s` refuses it",
    },
];

const ADMIN: &[Setting] = &[
    Setting {
        key: "listen",
        kind: Kind::Listen,
        need: Need::Default("\"127.0.0.1:9901\""),
        about: "Address of the admin listener; beyond loopback it needs `tls`",
    },
    Setting {
        key: "operators",
        kind: Kind::Texts,
        need: Need::Default("[\"operators\"]"),
        about: "Groups whose members may see and end sessions, and revoke tokens",
    },
    Setting {
        key: "tls",
        kind: Kind::Table(ADMIN_TLS),
        need: Need::Optional("plain HTTP, which is allowed on loopback only"),
        about: "Serve HTTPS",
    },
];

const ADMIN_TLS: &[Setting] = &[CERTIFICATE, KEY];

const CERTIFICATE: Setting = Setting {
    key: "certificate",
    kind: Kind::Path,
    need: Need::Required,
    about: "Certificate chain (PEM), own certificate first; read again when it changes",
};

const KEY: Setting = Setting {
    key: "key",
    kind: Kind::Path,
    need: Need::Required,
    about: "Private key (PEM), readable by the gateway only; read again when it changes",
};

/// Protocols that this version speaks.
pub(crate) const PROTOCOLS: &[&str] = &["postgres", "http", "kubernetes", "ssh"];

/// Does this one sit on HTTP, with its routes, headers and credentials?
pub(super) fn is_on_http(protocol: &str) -> bool {
    matches!(protocol, "http" | "kubernetes")
}

const TARGET: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Name,
        need: Need::Required,
        about: "Its name in listeners, policies and records",
    },
    Setting {
        key: "protocol",
        kind: Kind::Choice(PROTOCOLS),
        need: Need::Required,
        about: "What it speaks",
    },
    Setting { key: "address", kind: Kind::Address, need: Need::Required, about: "Where it is" },
    Setting {
        key: "account",
        kind: Kind::Text,
        need: Need::Required,
        about: "The account under which the gateway acts there (a database role)",
    },
    Setting {
        key: "password",
        kind: Kind::Secret,
        need: Need::Optional("the target has to accept the account without one, or by client certificate"),
        about: "Where the account's password is found; clients never see it",
    },
    Setting {
        key: "credential",
        kind: Kind::Choice(&["none", "bearer", "basic", "header"]),
        need: Need::Optional("`bearer` where there is a password, else `none`"),
        about: "HTTP: how the password proves the account to the target",
    },
    Setting {
        key: "credential_header",
        kind: Kind::Text,
        need: Need::Optional("`credential` is not `header`"),
        about: "HTTP: the header that carries the password, like `X-Api-Key`",
    },
    Setting {
        key: "private_key",
        kind: Kind::Secret,
        need: Need::Optional("`password` proves the account, or nothing does"),
        about: "SSH: where the account's private key is found (OpenSSH's format, without a passphrase); clients never see it",
    },
    Setting {
        key: "harmless_functions",
        kind: Kind::Texts,
        need: Need::Default("[]"),
        about: "PostgreSQL: functions of your own, as `schema.name`, that change nothing and give nothing but what they compute from their arguments: calls that name the schema count as reads. It holds for every function of that name in that schema, so nobody else may create functions there",
    },
    Setting {
        key: "host_keys",
        kind: Kind::Texts,
        need: Need::Optional("the target does not speak SSH"),
        about: "SSH: the target's public host keys, as `ssh-keyscan` prints them behind the name (`ssh-ed25519 AAAA…`); any other one is refused",
    },
    Setting {
        key: "host_authorities",
        kind: Kind::Texts,
        need: Need::Default("[]"),
        about: "SSH: public keys of authorities whose host certificates are believed, where they name the host of `address`",
    },
    Setting {
        key: "known_hosts",
        kind: Kind::Path,
        need: Need::Optional("`host_keys` or `host_authorities` say who the target is"),
        about: "SSH: a file in the format of OpenSSH's `known_hosts`; what it says of `address` counts beside the two others",
    },
    Setting {
        key: "certificate",
        kind: Kind::Flag,
        need: Need::Default("false"),
        about: "SSH: the gateway proves the account with a certificate of its own authority, made for each connection; the target trusts what `gatewright ssh-authority` prints",
    },
    Setting {
        key: "connect_timeout",
        kind: Kind::Duration,
        need: Need::Default("\"10s\""),
        about: "How long connecting may take, TLS included",
    },
    Setting {
        key: "tls",
        kind: Kind::Table(TARGET_TLS),
        need: Need::Optional("`{ mode = \"verify\" }`"),
        about: "How the connection to the target is protected",
    },
];

const TARGET_TLS: &[Setting] = &[
    Setting {
        key: "mode",
        kind: Kind::Choice(&["verify", "off"]),
        need: Need::Default("\"verify\""),
        about: "`verify`: TLS with a verified certificate and name, or no connection; `off`: plain text",
    },
    Setting {
        key: "ca",
        kind: Kind::Path,
        need: Need::Optional("the certificate authorities of the operating system are trusted"),
        about: "Certificate authorities (PEM) that the target is verified against",
    },
    Setting {
        key: "server_name",
        kind: Kind::Text,
        need: Need::Optional("the host of `address`"),
        about: "Name that the target's certificate must carry",
    },
    Setting {
        key: "client_certificate",
        kind: Kind::Path,
        need: Need::Optional("the gateway shows no certificate"),
        about: "Certificate chain (PEM) that the gateway shows to the target; needs `client_key`",
    },
    Setting {
        key: "client_key",
        kind: Kind::Path,
        need: Need::Optional("the gateway shows no certificate"),
        about: "Private key (PEM) of `client_certificate`, readable by the gateway only",
    },
];

const LISTENER: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Name,
        need: Need::Required,
        about: "Its name in policies, records and metrics",
    },
    Setting {
        key: "protocol",
        kind: Kind::Choice(PROTOCOLS),
        need: Need::Required,
        about: "What its clients speak",
    },
    Setting { key: "listen", kind: Kind::Listen, need: Need::Required, about: "Address and port" },
    Setting {
        key: "host_key",
        kind: Kind::Secret,
        need: Need::Optional("the listener does not speak SSH"),
        about: "SSH: where the listener's private host key is found (`ssh-keygen -t ed25519 -N '' -f FILE`)",
    },
    Setting {
        key: "target",
        kind: Kind::Name,
        need: Need::Optional("HTTP: its routes say where requests go; otherwise an error"),
        about: "Name of the `[[target]]` that its clients reach",
    },
    Setting {
        key: "targets",
        kind: Kind::Texts,
        need: Need::Optional("`target` is the only one"),
        about: "SSH: names of several targets, in place of `target`; a client chooses one by its user name (`ACCOUNT%TARGET`)",
    },
    Setting {
        key: "route",
        kind: Kind::Tables(ROUTE),
        need: Need::Optional("everything goes to `target`"),
        about: "HTTP: requests for this host and path go to this target; the most specific route wins",
    },
    Setting {
        key: "host_header",
        kind: Kind::Text,
        need: Need::Default("\"client\""),
        about: "HTTP: the `Host` that targets see: `client` (what the client named), `target` (the target's `address`), or a host",
    },
    Setting {
        key: "token_header",
        kind: Kind::Text,
        need: Need::Default("\"Authorization\""),
        about: "HTTP: the header with the client's token; `Authorization: Bearer TOKEN`, or `NAME: TOKEN` for any other",
    },
    Setting {
        key: "identity_headers",
        kind: Kind::Texts,
        need: Need::Default("[]"),
        about: "HTTP: further headers that no client may set, because targets believe them",
    },
    Setting {
        key: "stall_timeout",
        kind: Kind::Duration,
        need: Need::Default("\"60s\""),
        about: "HTTP: how long one side may keep the other waiting: for more of a request, for an answer to begin, for a client to take more of it. PostgreSQL, where the default is `\"10m\"`: how long a client may take nothing of an answer before it is left and its statement cancelled",
    },
    Setting {
        key: "idle_timeout",
        kind: Kind::Duration,
        need: Need::Default("\"1h\""),
        about: "HTTP: how long a connection that switched protocols (a WebSocket) may be silent",
    },
    Setting {
        key: "inspect_body",
        kind: Kind::Number(1 << 10, 64 << 20),
        need: Need::Default("3145728"),
        about: "HTTP: largest JSON body in bytes that is read whole to be judged; a larger one is refused. The default is what an API server of Kubernetes takes",
    },
    Setting {
        key: "hold",
        kind: Kind::Duration,
        need: Need::Default("\"50s\""),
        about: "HTTP: how long a client waits for a reviewer before it is told to send the same request again later; less than its own timeout",
    },
    Setting {
        key: "act_as",
        kind: Kind::Choice(&["account", "principal", "client"]),
        need: Need::Default("\"account\""),
        about: "Kubernetes: whom the cluster takes a request for. `account`: the target's account; `principal`: whoever asks, whom the account impersonates; `client`: whomever the client names with `Impersonate-User`, which policies then decide about",
    },
    Setting {
        key: "max_connections",
        kind: Kind::Number(1, 100_000),
        need: Need::Default("1000"),
        about: "Connections at one time; further ones are turned away, the open ones go on. So are those for which there are no file descriptors: of PostgreSQL and SSH each takes two, and 128 are for the gateway itself",
    },
    Setting {
        key: "login_timeout",
        kind: Kind::Duration,
        need: Need::Default("\"30s\""),
        about: "How long a client may take from connecting to being authenticated",
    },
    Setting {
        key: "tls",
        kind: Kind::Table(LISTENER_TLS),
        need: Need::Optional(
            "plain text, which is allowed on loopback only: tokens travel on this connection",
        ),
        about: "TLS towards clients",
    },
];

const ROUTE: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Name,
        need: Need::Required,
        about: "Its name in policies and records",
    },
    Setting {
        key: "host",
        kind: Kind::Text,
        need: Need::Default("\"*\""),
        about: "The host that clients name, without a port: `api.example`, `*.example` for all below it, `*` for any",
    },
    Setting {
        key: "path",
        kind: Kind::Text,
        need: Need::Default("\"/\""),
        about: "Beginning of the path, by whole segments: `/v1`, or `/tenants/{tenant}`, which binds one for policies to see",
    },
    Setting {
        key: "target",
        kind: Kind::Name,
        need: Need::Required,
        about: "Name of the `[[target]]` that its requests go to",
    },
    Setting {
        key: "host_header",
        kind: Kind::Text,
        need: Need::Optional("the listener's"),
        about: "As the listener's `host_header`, for this route",
    },
];

const LISTENER_TLS: &[Setting] = &[
    CERTIFICATE,
    KEY,
    Setting {
        key: "required",
        kind: Kind::Flag,
        need: Need::Default("true"),
        about: "Turn away clients that do not use TLS",
    },
];

/// Where a secret can be found.
pub(super) const SECRET: &[Setting] = &[
    Setting {
        key: "file",
        kind: Kind::Path,
        need: Need::Optional("`env` must be there"),
        about: "File that holds the secret and nothing else, readable by the gateway only",
    },
    Setting {
        key: "env",
        kind: Kind::Text,
        need: Need::Optional("`file` must be there"),
        about: "Environment variable that holds the secret",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn each(settings: &'static [Setting], check: &mut dyn FnMut(&'static Setting)) {
        for setting in settings {
            check(setting);
            if let Kind::Table(inner) | Kind::Tables(inner) = setting.kind {
                each(inner, check);
            }
        }
    }

    #[test]
    fn defaults_are_toml() {
        let mut defaults = 0;
        each(SETTINGS, &mut |setting| {
            if let Need::Default(text) = setting.need {
                toml::de::DeValue::parse(text).unwrap();
                defaults += 1;
            }
        });
        assert!(defaults > 10);
    }

    #[test]
    fn every_setting_is_described() {
        each(SETTINGS, &mut |setting| {
            assert!(!setting.about.is_empty() && !setting.about.ends_with('.'), "{}", setting.key);
        });
    }
}
