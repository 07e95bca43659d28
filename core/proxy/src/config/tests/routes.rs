//! Listeners of HTTP: routes, and what goes with them.

use std::{collections::BTreeSet, fs, path::Path};

use expect_test::expect;
use gatewright_http::{headers::TokenHeader, inject::TargetCredential};

use super::{check_errors, folder, load};

const ROUTED: &str = r#"
[evidence]
origin = "gatewright.example/main"

[[target]]
name = "people"
protocol = "http"
address = "127.0.0.1:8080"
account = "gateway"
password = { file = "app.password" }
credential = "header"
credential_header = "X-Api-Key"
tls = { mode = "off" }

[[target]]
name = "files"
protocol = "http"
address = "files.example:443"
account = "gateway"
tls = { ca = "ca.pem" }

[[listener]]
name = "api"
protocol = "http"
listen = "127.0.0.1:8443"
token_header = "X-Token"
identity_headers = ["X-Badge"]
host_header = "target"

[[listener.route]]
name = "people"
path = "/people"
target = "people"

[[listener.route]]
name = "files"
host = "*.files.example"
path = "/{bucket}"
target = "files"
host_header = "files.internal:8443"

[[listener.route]]
name = "rest"
target = "files"
"#;

#[test]
fn a_listener_may_have_routes_to_several_targets() {
    let folder = folder();
    let config = load(&folder, ROUTED).unwrap();
    let [listener] = &config.listeners[..] else { panic!("one listener") };
    assert!(listener.only_target().is_none());
    let names: Vec<&str> = listener.targets.iter().map(|target| &*target.name).collect();
    assert_eq!(names, ["people", "files"]);
    assert_eq!(&*listener.target("files").unwrap().name, "files");
    assert!(listener.target("demo").is_none());
    let host = |host: &str, path: &str| {
        let route = listener.routes.find(host, path).unwrap().route;
        let sent = route.injection.host.as_ref().unwrap().to_str().unwrap().to_owned();
        format!("{} to {} as {sent}", route.name, route.target)
    };
    assert_eq!(host("x.example", "/people/7"), "people to people as 127.0.0.1:8080");
    assert_eq!(host("a.files.example", "/b"), "files to files as files.internal:8443");
    assert_eq!(host("x.example", "/b"), "rest to files as files.example");
    assert_eq!(listener.token_header, TokenHeader::Named("x-token".parse().unwrap()));
    assert_eq!(listener.identity_headers, ["x-badge"]);
    assert_eq!(config.targets[0].credential, TargetCredential::Header("x-api-key".parse().unwrap()));
}

#[test]
fn f037_all_errors_of_routes_are_listed_at_once() {
    check_errors(
        r#"
[evidence]
origin = "gatewright.example/main"

[[target]]
name = "demo"
protocol = "postgres"
address = "127.0.0.1:5432"
account = "app"
credential_header = "X-Key"
tls = { mode = "off" }

[[target]]
name = "db"
protocol = "postgres"
address = "127.0.0.1:5433"
account = "app"
tls = { mode = "off" }

[[target]]
name = "people"
protocol = "http"
address = "127.0.0.1:8080"
account = "gateway"
password = { file = "app.password" }
credential = "header"
tls = { mode = "off" }

[[target]]
name = "files"
protocol = "http"
address = "127.0.0.1:8081"
account = "gateway"
password = { file = "app.password" }
credential = "header"
credential_header = "Host"
tls = { mode = "off" }

[[target]]
name = "api"
protocol = "http"
address = "127.0.0.1:8082"
account = "gateway"
tls = { mode = "off" }

[[listener]]
name = "routed"
protocol = "http"
listen = "127.0.0.1:8443"
token_header = "Content-Length"
identity_headers = ["X_Badge", "connection"]

[[listener.route]]
name = "one"
path = "/{a}/b"
target = "api"

[[listener.route]]
name = "two"
path = "/{b}/b"
target = "api"

[[listener.route]]
name = "one"
host = "api.example:80"
path = "/c"
target = "api"

[[listener.route]]
name = "one"
path = "/d//e"
target = "api"

[[listener.route]]
name = "one"
path = "/f"
host_header = "http://x"
target = "db"

[[listener.route]]
name = "three"
path = "/g"
target = "nowhere"

[[listener.route]]
name = "two"
path = "/h"
target = "api"

[[listener]]
name = "both"
protocol = "http"
listen = "127.0.0.1:8444"
target = "api"

[[listener.route]]
name = "one"
target = "api"

[[listener]]
name = "neither"
protocol = "http"
listen = "127.0.0.1:8445"

[[listener]]
name = "postgres"
protocol = "postgres"
listen = "127.0.0.1:6432"
token_header = "X-Token"
target = "demo"
"#,
        expect![[r#"
            error: `credential_header` has no effect without `credential = "header"`
              --> gatewright.toml:10:21
               |
            10 | credential_header = "X-Key"
               |                     ^^^^^^^
               |
               = help: add that, or remove it

            error: `credential = "header"` needs `credential_header`
              --> gatewright.toml:26:14
               |
            26 | credential = "header"
               |              ^^^^^^^^
               |
               = help: add `credential_header = "X-Api-Key"`

            error: `Host` can not be used as `credential_header`
              --> gatewright.toml:36:21
               |
            36 | credential_header = "Host"
               |                     ^^^^^^
               |
               = help: name a header of letters, digits and `-` that has no meaning to HTTP itself, like `X-Api-Key`

            error: `Content-Length` can not be used as `token_header`
              --> gatewright.toml:50:16
               |
            50 | token_header = ****************
               |                ^^^^^^^^^^^^^^^^
               |
               = help: name a header of letters, digits and `-` that has no meaning to HTTP itself, like `X-Api-Key`

            error: `X_Badge` can not be used as `identity_headers`
              --> gatewright.toml:51:20
               |
            51 | identity_headers = ["X_Badge", "connection"]
               |                    ^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = help: name a header of letters, digits and `-` that has no meaning to HTTP itself, like `X-Api-Key`

            error: `connection` can not be used as `identity_headers`
              --> gatewright.toml:51:20
               |
            51 | identity_headers = ["X_Badge", "connection"]
               |                    ^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = help: name a header of letters, digits and `-` that has no meaning to HTTP itself, like `X-Api-Key`

            error: routes `one` and `two` match the same requests
              --> gatewright.toml:58:1
               |
            58 | [[listener.route]]
               | ^^^^^^^^^^^^^^^^^^
               |
               = help: remove one, or make its `host` or `path` more specific

            error: the host of route `one` is neither `*`, `*.suffix` nor a host name without a port
              --> gatewright.toml:65:8
               |
            65 | host = "api.example:80"
               |        ^^^^^^^^^^^^^^^^
               |
               = help: write it like `api.example`, `*.example` or `*`

            error: the path of route `one` has to begin with `/`, without empty or dot segments; `{name}` is a whole segment
              --> gatewright.toml:71:8
               |
            71 | path = "/d//e"
               |        ^^^^^^^
               |
               = help: write it like `/v1` or `/tenants/{tenant}/items`

            error: `http://x` is not a host
              --> gatewright.toml:77:15
               |
            77 | host_header = "http://x"
               |               ^^^^^^^^^^
               |
               = help: write `client`, `target`, or a host like `api.example` or `api.example:8443`

            error: the target `db` speaks postgres, not http
              --> gatewright.toml:78:10
               |
            78 | target = "db"
               |          ^^^^
               |
               = help: give the listener the protocol of its target

            error: there is no target named `nowhere`
              --> gatewright.toml:83:10
               |
            83 | target = "nowhere"
               |          ^^^^^^^^^
               |
               = help: add a `[[target]]` of that name, or use one of: `demo`, `db`, `people`, `files`, `api`

            error: there are two routes named `two`
              --> gatewright.toml:86:8
               |
            86 | name = "two"
               |        ^^^^^
               |
               = help: give each its own name: policies see it

            error: a listener with routes has no `target` of its own
              --> gatewright.toml:94:10
               |
            94 | target = "api"
               |          ^^^^^
               |
               = help: remove it, or make it a `[[listener.route]]` without `host` and `path`: what no other route takes

            error: `[[listener]]` has no `target`
               --> gatewright.toml:100:1
                |
            100 | [[listener]]
                | ^^^^^^^^^^^^
                |
                = help: add `target = …`: name of the `[[target]]` that its clients reach

            error: `token_header` is for HTTP listeners only
               --> gatewright.toml:109:16
                |
            109 | token_header = *********
                |                ^^^^^^^^^
                |
                = help: remove it

        "#]],
    );
}

/// Its policies are for requests that it lets through to their targets, or they are for nothing.
#[test]
fn the_routes_of_the_example_lead_where_the_cases_of_its_policies_are() {
    let folder = folder();
    let policies = "policies/examples/http";
    fs::create_dir_all(folder.path().join(policies)).unwrap();
    let mut example = include_str!("../../../../../docs/http.toml").to_owned();
    for secret in ["people.key", "payments.token", "reports.token"] {
        example = example.replace(secret, "app.password");
    }
    let config = load(&folder, &example).unwrap();
    let mut reached = BTreeSet::new();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(policies)).unwrap() {
        let document: toml::Table = fs::read_to_string(file.unwrap().path()).unwrap().parse().unwrap();
        for case in document["case"].as_array().unwrap() {
            let Some(http) = case.get("http") else { continue };
            let url: hyper::Uri = http["url"].as_str().unwrap().parse().unwrap();
            let taken = config.listeners[0].routes.find(url.host().unwrap(), url.path()).unwrap();
            let target = case.get("target").and_then(toml::Value::as_str);
            assert!(target.is_none_or(|target| *target == *taken.route.target), "{url} is for {target:?}");
            reached.insert(taken.route.target.to_string());
        }
    }
    assert_eq!(reached, BTreeSet::from(["payments", "people", "reports"].map(str::to_owned)));
}
