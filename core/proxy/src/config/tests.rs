use std::{fs, os::unix::fs::PermissionsExt as _};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::dev_certificates::{CertificateRequest, write_certificates};

mod routes;
mod ssh;

/// A folder with everything that [`GOOD`] names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path(), &CertificateRequest::localhost(SystemTime::now())).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    let password = folder.path().join("app.password");
    fs::write(&password, "canary-4711\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

fn load(folder: &TempDir, source: &str) -> Result<Config, ConfigErrors> {
    let file = folder.path().join("gatewright.toml");
    fs::write(&file, source).unwrap();
    load_at(&file, SystemTime::now(), &|_| false)
}

fn load_at(
    file: &Path,
    now: SystemTime,
    is_volatile: &dyn Fn(&Path) -> bool,
) -> Result<Config, ConfigErrors> {
    let variable = |name: &str| (name == "APP_PASSWORD").then(|| "canary-0815".to_owned());
    Config::load_on(file, &Machine { now, variable: &variable, is_volatile })
}

/// Compares what people see, with the folder's random name taken out.
fn check_errors(source: &str, expected: Expect) {
    let folder = folder();
    let errors = load(&folder, source).unwrap_err();
    check_shown(&folder, errors.problems(), expected);
}

fn check_shown(folder: &TempDir, problems: &ConfigProblems, expected: Expect) {
    let shown = problems.render(false).replace(&format!("{}/", folder.path().display()), "");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!problems.to_json().to_string().contains("canary"));
    expected.assert_eq(&shown);
}

const GOOD: &str = r#"
[gateway]
drain = "5s"
workers = 3

[evidence]
origin = "gatewright.example/main"

[identity]
audience = "gatewright"

[admin]
listen = "127.0.0.1:9901"

[[target]]
name = "demo"
protocol = "postgres"
address = "127.0.0.1:5432"
account = "app"
password = { file = "app.password" }
tls = { mode = "verify", ca = "ca.pem", server_name = "localhost", client_certificate = "client.pem", client_key = "client.key" }

[[listener]]
name = "postgres"
protocol = "postgres"
listen = "0.0.0.0:6432"
target = "demo"
tls = { certificate = "server.pem", key = "server.key" }
"#;

#[test]
fn a_good_file_is_taken_whole() {
    let folder = folder();
    let config = load(&folder, GOOD).unwrap();
    assert_eq!(config.drain, Duration::from_secs(5));
    assert_eq!(config.workers.get(), 3);
    assert_eq!(config.state, folder.path().join("state"));
    assert_eq!(&*config.origin, "gatewright.example/main");
    assert_eq!(config.reviewers, [Arc::from("reviewers")]);
    assert_eq!(config.hold_in_transaction, Duration::from_secs(120));
    let [listener] = &config.listeners[..] else { panic!("one listener") };
    assert_eq!(&*listener.only_target().unwrap().name, "demo");
    assert_eq!(listener.max_connections, 1_000);
    assert_eq!(listener.stall_timeout, Duration::from_secs(600), "of HTTP a minute");
    assert!(listener.tls.as_ref().unwrap().required);
    let target = &config.targets[0];
    assert_eq!(target.password.as_ref().unwrap().expose(), "canary-4711");
    assert!(
        matches!(&target.tls, TargetTls::Verify { server_name, .. } if server_name.to_str() == "localhost")
    );
    assert_eq!(config.reloadable().len(), 2);
}

#[test]
fn p7_nothing_secret_is_in_the_debug_form() {
    let folder = folder();
    let shown = format!("{:?}", load(&folder, GOOD).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("Secret(..)"), "{shown}");
}

#[test]
fn the_password_can_come_from_the_environment() {
    let folder = folder();
    let config = load(&folder, &GOOD.replace("file = \"app.password\"", "env = \"APP_PASSWORD\"")).unwrap();
    assert_eq!(config.targets[0].password.as_ref().unwrap().expose(), "canary-0815");
}

#[test]
fn the_digest_is_of_the_file() {
    let folder = folder();
    let one = load(&folder, GOOD).unwrap().digest;
    assert_eq!(one, load(&folder, GOOD).unwrap().digest);
    assert_ne!(one, load(&folder, &format!("{GOOD}\n# changed")).unwrap().digest);
}

#[test]
fn f037_all_errors_are_listed_at_once() {
    check_errors(
        r#"
[gateway]
drian = "30s"

[evidence]
directory = "evidence"

[policies]
directory = "rules"

[[identity.issuer]]
issuer = "http://id.example"
audience = "gatewright"
algorithms = ["HS256"]

[admin]
listen = "0.0.0.0:9901"

[[target]]
name = "demo"
protocol = "mysql"
address = "127.0.0.1"
account = "app"
password = "canary-1"
tls = { mode = "verify", ca = "missing.pem" }

[[target]]
name = "demo two"
protocol = "postgres"
address = "127.0.0.1:5432"
account = 5
password = { file = "server.pem" }

[[listener]]
name = "postgres"
protocol = "postgres"
listen = "localhost:6432"
target = "elsewhere"
login_timeout = "soon"
tls = { certificate = "server.pem", key = "target.key" }
"#,
        expect![[r#"
            error: unknown setting `drian` in `[gateway]`
             --> gatewright.toml:3:1
              |
            3 | drian = *****
              | ^^^^^
              |
              = help: did you mean `drain`?

            error: `[evidence]` has no `origin`
             --> gatewright.toml:5:1
              |
            5 | [evidence]
              | ^^^^^^^^^^
              |
              = help: add `origin = …`: name of this log in its signed checkpoints, unique among your logs (C2SP tlog-checkpoint)

            error: there is no folder `rules`
             --> gatewright.toml:9:13
              |
            9 | directory = "rules"
              |             ^^^^^^^
              |
              = help: make it and put policy documents in it; with none, every request is refused

            error: an issuer's keys need exactly one source
              --> gatewright.toml:11:1
               |
            11 | [[identity.issuer]]
               | ^^^^^^^^^^^^^^^^^^^
               |
               = help: write `discovery = true` or `jwks_file = "…"`, not both

            error: `issuer` is not an https URL
              --> gatewright.toml:12:10
               |
            12 | issuer = *******************
               |          ^^^^^^^^^^^^^^^^^^^
               |
               = help: write it like `https://id.example`, with no user, query or fragment

            error: `HS256` is not known as `algorithms`
              --> gatewright.toml:14:15
               |
            14 | algorithms = ["HS256"]
               |               ^^^^^^^
               |
               = help: it can be: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA

            error: `0.0.0.0:9901` can be reached by other machines, and reviewers' tokens would travel in plain text
              --> gatewright.toml:17:10
               |
            17 | listen = "0.0.0.0:9901"
               |          ^^^^^^^^^^^^^^
               |
               = help: listen on `127.0.0.1` or `[::1]`, or add `tls = { certificate = "…", key = "…" }`

            error: `mysql` is not known as `protocol`
              --> gatewright.toml:21:12
               |
            21 | protocol = "mysql"
               |            ^^^^^^^
               |
               = help: it can be: postgres, http, kubernetes, ssh

            error: `127.0.0.1` is not an address
              --> gatewright.toml:22:11
               |
            22 | address = "127.0.0.1"
               |           ^^^^^^^^^^^
               |
               = help: write a host and a port, like `db.example:5432`, `127.0.0.1:5432` or `[::1]:5432`

            error: `password` is written into the file, where every reader, backup and review would see it
              --> gatewright.toml:24:12
               |
            24 | password = **********
               |            ^^^^^^^^^^
               |
               = help: write `password = { file = "…" }` or `password = { env = "…" }`, and change the secret

            error: can not read `missing.pem`: No such file or directory (os error 2)
              --> gatewright.toml:25:31
               |
            25 | tls = { mode = "verify", ca = "missing.pem" }
               |                               ^^^^^^^^^^^^^
               |
               = help: name a file that exists and that the gateway's user can read

            error: `demo two` is not a name
              --> gatewright.toml:28:8
               |
            28 | name = "demo two"
               |        ^^^^^^^^^^
               |
               = help: use up to 63 letters, digits, `-`, `_` and `.`

            error: `account` is of the wrong type: integer
              --> gatewright.toml:31:11
               |
            31 | account = 5
               |           ^
               |
               = help: write text in quotes

            error: other users can get at `server.pem`: its permissions are 644
              --> gatewright.toml:32:21
               |
            32 | password = { file = "server.pem" }
               |                     ^^^^^^^^^^^^
               |
               = help: let only its owner read it: `chmod 600 server.pem`; change the secret if others have read it

            error: `localhost:6432` is not an address to listen on
              --> gatewright.toml:37:10
               |
            37 | listen = "localhost:6432"
               |          ^^^^^^^^^^^^^^^^
               |
               = help: write an IP address and a port, like `127.0.0.1:6432` or `[::1]:6432`

            error: `soon` is not a duration
              --> gatewright.toml:39:17
               |
            39 | login_timeout = "soon"
               |                 ^^^^^^
               |
               = help: expected a whole number and a unit, like `30s`, `5m`, `2h` or `250ms`

            error: the key `target.key` does not belong to the certificate `server.pem`
              --> gatewright.toml:40:43
               |
            40 | tls = { certificate = "server.pem", key = "target.key" }
               |                                           ^^^^^^^^^^^^
               |
               = help: name the key that this certificate was made for

        "#]],
    );
}

#[test]
fn references_names_and_addresses_are_checked() {
    let second = r#"
[[listener]]
name = "postgres"
protocol = "postgres"
listen = "127.0.0.1:6432"
target = "dmeo"
max_connections = 0

[[listener]]
name = "third"
protocol = "postgres"
listen = "127.0.0.1:9901"
target = "dmeo"
"#;
    check_errors(
        &format!("{GOOD}{second}"),
        expect![[r#"
            error: there is another listener named `postgres`
              --> gatewright.toml:31:8
               |
            31 | name = "postgres"
               |        ^^^^^^^^^^
               |
               = help: give each its own name: records and policies speak of them by name

            error: `127.0.0.1:6432` is taken by `postgres`
              --> gatewright.toml:33:10
               |
            33 | listen = "127.0.0.1:6432"
               |          ^^^^^^^^^^^^^^^^
               |
               = help: give each listener an address of its own

            error: there is no target named `dmeo`
              --> gatewright.toml:34:10
               |
            34 | target = "dmeo"
               |          ^^^^^^
               |
               = help: add a `[[target]]` of that name, or use one of: `demo`

            error: `max_connections` is out of range
              --> gatewright.toml:35:19
               |
            35 | max_connections = 0
               |                   ^
               |
               = help: write a number from 1 to 100000

            error: `127.0.0.1:9901` is taken by `admin`
              --> gatewright.toml:40:10
               |
            40 | listen = "127.0.0.1:9901"
               |          ^^^^^^^^^^^^^^^^
               |
               = help: give each listener an address of its own

            error: there is no target named `dmeo`
              --> gatewright.toml:41:10
               |
            41 | target = "dmeo"
               |          ^^^^^^
               |
               = help: add a `[[target]]` of that name, or use one of: `demo`

        "#]],
    );
}

#[test]
fn an_empty_file_says_what_is_missing() {
    check_errors(
        "",
        expect![[r#"
        error: the section `[evidence]` is missing
        --> gatewright.toml
         = help: add `[evidence]`: where the record of every decision is kept

        error: there is no `[[target]]`
        --> gatewright.toml
         = help: add at least one `[[target]]`: something that is reached through the gateway

        error: there is no `[[listener]]`
        --> gatewright.toml
         = help: add at least one `[[listener]]`: an address on which clients are served

    "#]],
    );
}

#[test]
fn broken_syntax_is_shown_where_it_is() {
    check_errors(
        "[gateway\ndrain = \"30s\"\n[evidence]\norigin = main\npassword = \"canary-3\n",
        expect![[r#"
            error: unclosed table, expected `]`
             --> gatewright.toml:1:9
              |
            1 | [gateway
              |         ^
              |
              = help: correct the TOML syntax here (https://toml.io)

            error: string values must be quoted, expected literal string
             --> gatewright.toml:4:10
              |
            4 | origin = main
              |          ^^^^
              |
              = help: correct the TOML syntax here (https://toml.io)

            error: invalid basic string, expected `"`
             --> gatewright.toml:5:21
              |
            5 | password = *********
              |                     ^
              |
              = help: correct the TOML syntax here (https://toml.io)

        "#]],
    );
}

#[test]
fn a099_a_mistyped_password_is_not_shown() {
    check_errors(
        &GOOD
            .replace("password = { file = \"app.password\" }", "pasword = \"canary-5\"")
            .replace("[identity]", "[identity]\nclient_secrt = [\n  \"canary-6\",\n]"),
        expect![[r#"
            error: unknown setting `client_secrt` in `[identity]`
              --> gatewright.toml:10:1
               |
            10 | client_secrt = *
               | ^^^^^^^^^^^^
               |
               = help: the settings here are: audience, issuer, ssh_authority, ssh_key

            error: unknown setting `pasword` in `[[target]]`
              --> gatewright.toml:23:1
               |
            23 | pasword = **********
               | ^^^^^^^
               |
               = help: did you mean `password`?

        "#]],
    );
    check_errors(
        &GOOD.replace("{ file = \"app.password\" }", "{ value = \"canary-7\", env = \"canary-8 x\" }"),
        expect![[r#"
            error: unknown setting `value` in `password`
              --> gatewright.toml:20:14
               |
            20 | password = { value = **********, env = ********* ** }
               |              ^^^^^
               |
               = help: the settings here are: file, env

            error: this is not the name of an environment variable
              --> gatewright.toml:20:40
               |
            20 | password = { value = **********, env = ********* ** }
               |                                        ^^^^^^^^^^^^
               |
               = help: write the name of the variable, like `APP_PASSWORD`, not the secret itself

        "#]],
    );
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    let folder = folder();
    let password = folder.path().join("app.password");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let errors = load(&folder, GOOD).unwrap_err();
    check_shown(
        &folder,
        errors.problems(),
        expect![[r#"
            error: other users can get at `app.password`: its permissions are 644
              --> gatewright.toml:20:21
               |
            20 | password = { file = "app.password" }
               |                     ^^^^^^^^^^^^^^
               |
               = help: let only its owner read it: `chmod 600 app.password`; change the secret if others have read it

        "#]],
    );
}

#[test]
fn what_is_allowed_and_unwise_is_a_warning() {
    let folder = folder();
    let source = GOOD
        .replace("key = \"server.key\"", "key = \"server.key\", required = false")
        .replace("\"127.0.0.1:5432\"", "\"db.example:5432\"")
        .replace("tls = { mode = \"verify\", ca = \"ca.pem\", server_name = \"localhost\", client_certificate = \"client.pem\", client_key = \"client.key\" }", "tls = { mode = \"off\" }");
    let config = load(&folder, &source).unwrap();
    check_shown(
        &folder,
        &config.warnings,
        expect![[r#"
            warning: the connection to the target is plain text, and nothing proves that it is the target
              --> gatewright.toml:21:16
               |
            21 | tls = { mode = "off" }
               |                ^^^^^
               |
               = help: set `mode = "verify"` and name its `ca`

            warning: clients of other machines may send their tokens in plain text
              --> gatewright.toml:28:68
               |
            28 | tls = { certificate = "server.pem", key = "server.key", required = false }
               |                                                                    ^^^^^
               |
               = help: set `required = true`

        "#]],
    );
}

#[test]
fn f040_evidence_in_memory_and_certificates_near_their_end_are_warnings() {
    let folder = folder();
    load(&folder, GOOD).unwrap();
    let later = SystemTime::now() + Duration::from_secs(80 * 24 * 60 * 60);
    let file = folder.path().join("gatewright.toml");
    let config = load_at(&file, later, &|path| path.ends_with("evidence")).unwrap();
    check_shown(
        &folder,
        &config.warnings,
        expect![[r#"
            warning: `evidence` is in memory: evidence is lost when this machine restarts
             --> gatewright.toml:6:1
              |
            6 | [evidence]
              | ^^^^^^^^^^
              |
              = help: name a folder on a disk

            warning: `client.pem` expires in 9 days
              --> gatewright.toml:21:89
               |
            21 | tls = { mode = "verify", ca = "ca.pem", server_name = "localhost", client_certificate = "client.pem", client_key = "client.key" }
               |                                                                                         ^^^^^^^^^^^^
               |
               = help: renew it; the gateway takes the new one without a restart

            warning: `server.pem` expires in 9 days
              --> gatewright.toml:28:23
               |
            28 | tls = { certificate = "server.pem", key = "server.key" }
               |                       ^^^^^^^^^^^^
               |
               = help: renew it; the gateway takes the new one without a restart

        "#]],
    );
}

#[test]
fn a_credential_that_could_not_be_used_is_an_error() {
    let folder = folder();
    let http = GOOD.replace("protocol = \"postgres\"", "protocol = \"http\"");
    let password = GOOD.lines().find(|line| line.starts_with("password = ")).unwrap();
    let said = |text: &str, from: &str, to: &str| {
        let errors = load(&folder, &text.replacen(from, to, 1)).unwrap_err();
        serde_json::to_string(&errors.problems().to_json()).unwrap()
    };
    let with = |credential: &str| format!("{password}\ncredential = \"{credential}\"");
    assert!(said(GOOD, password, &with("bearer")).contains("for HTTP targets only"));
    assert!(said(&http, password, &with("none")).contains("has no effect"));
    assert!(said(&http, password, "credential = \"basic\"").contains("has no `password` to send"));
    load(&folder, &http.replacen(password, &with("basic"), 1)).unwrap();
}

#[test]
fn harmless_functions_have_a_schema_and_a_postgresql_target() {
    let folder = folder();
    let http = GOOD.replace("protocol = \"postgres\"", "protocol = \"http\"");
    let password = GOOD.lines().find(|line| line.starts_with("password = ")).unwrap();
    let with = |text: &str, functions: &str| {
        let line = format!("{password}\nharmless_functions = {functions}");
        load(&folder, &text.replacen(password, &line, 1))
    };
    let said = |text: &str, functions: &str| {
        serde_json::to_string(&with(text, functions).unwrap_err().problems().to_json()).unwrap()
    };
    let wrong = said(GOOD, r#"["full_name", "app.full_name", "a.b.c"]"#);
    assert!(wrong.contains("`full_name` is not the name") && wrong.contains("`a.b.c` is not"), "{wrong}");
    assert!(said(&http, r#"["app.full_name"]"#).contains("for PostgreSQL targets only"));
    let config = with(GOOD, r#"["app.full_name"]"#).unwrap();
    assert!(config.targets.iter().any(|target| !target.harmless_functions.is_empty()));
}

#[test]
fn errors_are_for_programs_too() {
    let folder = folder();
    let errors = load(&folder, &GOOD.replace("drain = \"5s\"", "drain = 5")).unwrap_err();
    let shown = serde_json::to_string_pretty(&errors.problems().to_json()).unwrap();
    expect![[r#"
        [
          {
            "column": 9,
            "file": "gatewright.toml",
            "line": 3,
            "message": "`drain` is of the wrong type: integer",
            "remedy": "write a duration in quotes, like `\"30s\"`",
            "severity": "error",
            "text": "5"
          }
        ]"#]]
    .assert_eq(&shown.replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn a_file_that_is_not_there() {
    let errors = load_at(Path::new("missing.toml"), SystemTime::now(), &|_| false).unwrap_err();
    expect![[r#"
        error: can not read the configuration: No such file or directory (os error 2)
        --> missing.toml
         = help: name a file that exists and is UTF-8 text, with `--config FILE`

    "#]]
    .assert_eq(&errors.to_string());
}

#[test]
fn the_reference_lists_every_setting() {
    let page = reference();
    for name in ["`[gateway]`", "`[[identity.issuer]]`", "`[listener.tls]`", "| `drain` |", "`\"30s\"`"] {
        assert!(page.contains(name), "{name} is not in\n{page}");
    }
}

/// Every line of the reference's tables is accepted by the reader, and nothing that the reader asks for
/// is missing from the table: a file with every setting loads.
#[test]
fn every_setting_can_be_given() {
    let folder = folder();
    let issuer = gatewright_identity::BuiltinIssuer::create(folder.path()).unwrap();
    fs::write(folder.path().join("jwks.json"), issuer.jwks()).unwrap();
    let config = load(
        &folder,
        r#"
[gateway]
state = "state"
drain = "30s"
[evidence]
directory = "evidence"
origin = "gatewright.example/main"
[policies]
directory = "policies"
[identity]
audience = "gatewright"
[[identity.issuer]]
issuer = "https://id.example"
audience = "gatewright"
algorithms = ["RS256", "EdDSA"]
jwks_file = "jwks.json"
groups_claim = "groups"
kind_claim = "principal_kind"
default_kind = "human"
claims = ["email"]
key_hosts = ["keys.id.example"]
[[identity.issuer]]
issuer = "https://other.example/tenant"
audience = "gatewright"
discovery = true
ca = "ca.pem"
[approvals]
reviewers = ["reviewers"]
[admin]
listen = "0.0.0.0:9901"
tls = { certificate = "server.pem", key = "server.key" }
[[target]]
name = "demo"
protocol = "postgres"
address = "127.0.0.1:5432"
account = "app"
password = { env = "APP_PASSWORD" }
connect_timeout = "10s"
tls = { mode = "verify", ca = "ca.pem", server_name = "localhost", client_certificate = "client.pem", client_key = "client.key" }
[[listener]]
name = "postgres"
protocol = "postgres"
listen = "127.0.0.1:6432"
target = "demo"
max_connections = 1000
login_timeout = "30s"
stall_timeout = "5m"
tls = { certificate = "server.pem", key = "server.key", required = true }
"#,
    )
    .unwrap();
    assert_eq!(config.listeners[0].stall_timeout, Duration::from_secs(300));
    config.identity.verifier(&issuer).unwrap();
    assert_eq!(config.identity.clients().len(), 1);
}
