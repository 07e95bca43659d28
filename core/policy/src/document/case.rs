//! The cases of a document: what is sent, by whom, and what is expected of it.

use std::{net::IpAddr, sync::Arc};

use gatewright_model::{
    http::{HttpBody, HttpResponse},
    json::Document,
    principal::PrincipalKind,
};
use toml::de::DeValue;

use super::{
    Case, Expect,
    fields::{Fields, Found, Source},
    parse::KINDS,
};
use crate::cases::{CaseRequest, HttpCase, SqlCase, SshCase};

pub(super) fn cases(source: &mut Source, fields: &mut Fields) -> Vec<Case> {
    let Some(found) = fields.any(source, "case") else { return Vec::new() };
    let Some(items) = found.value.as_array() else {
        source.report(found.line, "`case` has the wrong type", "write `[[case]]` before each case");
        return Vec::new();
    };
    let mut cases = Vec::new();
    for item in items {
        let line = source.line(item.span().start);
        match item.get_ref().as_table() {
            Some(table) => cases.extend(case(source, Fields::new(table, "[[case]]: ", line))),
            None => source.report(line, "`case` has the wrong type", "write `[[case]]` before each case"),
        }
    }
    cases
}

fn case(source: &mut Source, mut fields: Fields) -> Option<Case> {
    let words = Expect::ALL.map(|expect| (expect.as_str(), expect));
    let name = fields.required_text(source, "name");
    let request = request(source, &mut fields);
    let principal =
        fields.table(source, "principal", "principal: ").map(|fields| principal(source, fields));
    let (subject, groups, kind, actors) = principal.unwrap_or_else(default_principal);
    let listener = fields.text(source, "listener").map(|found| found.value);
    let target = fields.text(source, "target").map(|found| found.value);
    let account = fields.text(source, "account").map(|found| found.value);
    let database = fields.text(source, "database");
    if let (Some(found), Some(request)) = (&database, &request)
        && request.protocol() != "postgres"
    {
        source.report(
            found.line,
            "[[case]]: only sessions of PostgreSQL have a `database`",
            "leave it out",
        );
    }
    let line = fields.line;
    let expect = match fields.any(source, "expect") {
        Some(_) => fields.word(source, "expect", &words),
        None => {
            source.report(line, "[[case]]: `expect` is missing", "add `expect = \"block\"`");
            None
        }
    };
    let rule = fields.text(source, "rule").map(|found| found.value);
    fields.finish(source);
    let (name, request, expect) = (name?.value, request?, expect?);
    Some(Case {
        line,
        name,
        request,
        subject,
        groups,
        kind,
        actors,
        listener,
        target,
        account,
        database: database.map(|found| found.value),
        expect,
        rule,
    })
}

/// What the case sends: one key for each protocol, and one of them.
fn request(source: &mut Source, fields: &mut Fields) -> Option<CaseRequest> {
    let line = fields.line;
    let sql = fields.text(source, "sql");
    let parameters = fields.texts(source, "parameters");
    let asked = [("http", "http: "), ("kubernetes", "kubernetes: "), ("ssh", "ssh: ")]
        .map(|(key, place)| (fields.any(source, key).is_some(), fields.table(source, key, place)));
    let [(has_http, http), (has_kubernetes, kubernetes), (has_ssh, ssh)] = asked;
    let keys =
        [(sql.is_some(), "sql"), (has_http, "http"), (has_kubernetes, "kubernetes"), (has_ssh, "ssh")];
    let given: Vec<_> =
        keys.iter().filter(|(given, _)| *given).map(|(_, key)| format!("`{key}`")).collect();
    if given.len() > 1 {
        let message = format!("[[case]]: {} are {} requests", given.join(" and "), given.len());
        source.report(line, message, "write a case for each");
        return None;
    }
    if let (None, Some(found)) = (&sql, &parameters) {
        source.report(found.line, "[[case]]: `parameters` belong to `sql`", "write the query into `url`");
    }
    if let Some(sql) = sql {
        let parameters = parameters.map(|found| found.value);
        return Some(CaseRequest::Sql(SqlCase { text: sql.value, parameters }));
    }
    // What is there and of the wrong type was reported as that.
    if given.is_empty() && !fields.has("sql") {
        let remedy = "add `sql = \"...\"`, or `http = { method = \"GET\", url = \"https://...\" }`, or `kubernetes = ...`, or `ssh = { request = \"exec\", command = \"uptime\" }`";
        source.report(line, "[[case]]: the request is missing", remedy);
    }
    match (http, kubernetes, ssh) {
        (Some(fields), ..) => self::http(source, fields).map(CaseRequest::Http),
        (_, Some(fields), _) => self::http(source, fields).map(CaseRequest::Kubernetes),
        (.., Some(fields)) => self::ssh(source, fields).map(CaseRequest::Ssh),
        (None, None, None) => None,
    }
}

fn ssh(source: &mut Source, mut fields: Fields) -> Option<SshCase> {
    let request = fields.required_text(source, "request");
    let [command, name, value, host, path, operation, other_path] =
        ["command", "name", "value", "host", "path", "operation", "other_path"]
            .map(|key| fields.text(source, key).map(|found| found.value).unwrap_or_default());
    let port = match fields.any(source, "port") {
        None => Some(0),
        Some(found) => {
            let port = match found.value {
                DeValue::Integer(number) => u16::from_str_radix(number.as_str(), number.radix()).ok(),
                _ => None,
            };
            if port.is_none() {
                source.report(found.line, "`port` is not a port", "write a number from 0 to 65535");
            }
            port
        }
    };
    let addresses = addresses(source, &mut fields);
    let [creates, replaces] = ["creates", "replaces"].map(|key| fields.is_so(source, key));
    let terminal = fields.text(source, "terminal").map(|found| found.value);
    let variables = fields.pairs(source, "variables").unwrap_or_default();
    fields.finish(source);
    let (request, port, addresses) = (request?.value, port?, addresses?);
    Some(SshCase {
        request,
        command,
        name,
        value,
        host,
        port,
        addresses,
        path,
        operation,
        other_path,
        creates,
        replaces,
        terminal,
        variables,
    })
}

fn addresses(source: &mut Source, fields: &mut Fields) -> Option<Vec<IpAddr>> {
    let Some(found) = fields.texts(source, "addresses") else { return Some(Vec::new()) };
    let read: Result<Vec<_>, _> = found.value.iter().map(|text| text.parse()).collect();
    if read.is_err() {
        let remedy = "write addresses of IPv4 or IPv6: [\"10.0.0.7\", \"2001:db8::7\"]";
        source.report(found.line, "`addresses` has something else than addresses", remedy);
    }
    read.ok()
}

fn http(source: &mut Source, mut fields: Fields) -> Option<HttpCase> {
    let method = fields.required_text(source, "method");
    let url = fields.required_text(source, "url");
    let headers = fields.pairs(source, "headers").unwrap_or_default();
    let body = body(source, &mut fields);
    let route = fields.text(source, "route").map(|found| found.value).unwrap_or_default();
    let route_parameters = fields.pairs(source, "route_parameters").unwrap_or_default();
    let has_response = fields.any(source, "response").is_some();
    let response = fields.table(source, "response", "response: ");
    let response = response.and_then(|fields| response_head(source, fields));
    fields.finish(source);
    if has_response && response.is_none() {
        return None;
    }
    let (method, url, body) = (method?.value, url?.value, body?);
    Some(HttpCase { method, url, headers, body, route, route_parameters, response })
}

/// `body` is JSON that is read; `body_length` is a body that is streamed.
fn body(source: &mut Source, fields: &mut Fields) -> Option<HttpBody> {
    let text = fields.text(source, "body");
    let length = fields.any(source, "body_length");
    match (text, length) {
        (None, None) => Some(HttpBody::Empty),
        (None, Some(length)) => streamed(source, &length),
        (Some(text), None) => match Document::read(text.value) {
            Ok(json) => Some(HttpBody::Read { bytes: json.text().clone(), json: Some(Arc::new(json)) }),
            Err(error) => {
                let message = format!("`body` would be refused: {error}");
                source.report(text.line, message, "write JSON that has one meaning, or `body_length`");
                None
            }
        },
        (Some(text), Some(_)) => {
            let remedy = "leave out one: `body` for JSON that is read, `body_length` for what is streamed";
            source.report(text.line, "`body` and `body_length` are two bodies", remedy);
            None
        }
    }
}

fn streamed(source: &mut Source, found: &Found<&DeValue>) -> Option<HttpBody> {
    let length = match found.value {
        DeValue::String(text) if **text == *"unknown" => return Some(HttpBody::Streamed { length: None }),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    match length {
        Some(0) => Some(HttpBody::Empty),
        Some(length) => Some(HttpBody::Streamed { length: Some(length) }),
        None => {
            let remedy = "write the number of bytes, or \"unknown\" where the client does not say it";
            source.report(found.line, "`body_length` is not a length", remedy);
            None
        }
    }
}

fn response_head(source: &mut Source, mut fields: Fields) -> Option<HttpResponse> {
    let line = fields.line;
    let status = match fields.any(source, "status").map(|found| found.value) {
        Some(DeValue::Integer(number)) => u16::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    let status = status.filter(|status| (200..600).contains(status));
    if status.is_none() {
        source.report(
            line,
            "response: `status` is missing or not a status",
            "write a number from 200 to 599",
        );
    }
    let headers = fields.pairs(source, "headers").unwrap_or_default();
    fields.finish(source);
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase().into(), value.into()));
    Some(HttpResponse { status: status?, headers: headers.collect() })
}

type PrincipalFields = (String, Vec<String>, PrincipalKind, Vec<String>);

fn principal(source: &mut Source, mut fields: Fields) -> PrincipalFields {
    let (subject, groups, kind, actors) = default_principal();
    let read = (
        fields.text(source, "subject").map_or(subject, |found| found.value),
        fields.texts(source, "groups").map_or(groups, |found| found.value),
        fields.word(source, "kind", &KINDS).unwrap_or(kind),
        fields.texts(source, "actors").map_or(actors, |found| found.value),
    );
    fields.finish(source);
    read
}

fn default_principal() -> PrincipalFields {
    ("case".to_owned(), Vec::new(), PrincipalKind::Human, Vec::new())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use crate::document::parse;

    #[track_caller]
    fn check(case: &str, expected: Expect) {
        let text = format!(
            "name = \"a\"\nmodule = \"a.wasm\"\n[[case]]\nname = \"c\"\nexpect = \"allow\"\n{case}\n"
        );
        let read = match parse(Path::new("p.toml"), &text) {
            Ok(document) => {
                document.cases.iter().map(|case| format!("{:?}\n", case.request)).collect::<String>()
            }
            Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
        };
        expected.assert_eq(&read);
    }

    #[test]
    fn a_request_is_one_of_the_protocols() {
        check(
            r#"sql = "select 1""#,
            expect![[r#"
            Sql(SqlCase { text: "select 1", parameters: None })
        "#]],
        );
        check(
            r#"http = { method = "GET", url = "https://api.example/" }"#,
            expect![[r#"
            Http(HttpCase { method: "GET", url: "https://api.example/", headers: [], body: Empty, route: "", route_parameters: [], response: None })
        "#]],
        );
        check(
            r#"http = { method = "PUT", url = "https://api.example/", body_length = 0x10, headers = { a = ["1", "2"], b = "3" }, route = "people", route_parameters = { id = "7" } }"#,
            expect![[r#"
                Http(HttpCase { method: "PUT", url: "https://api.example/", headers: [("a", "1"), ("a", "2"), ("b", "3")], body: Streamed { length: Some(16) }, route: "people", route_parameters: [("id", "7")], response: None })
            "#]],
        );
    }

    #[test]
    fn a_request_of_ssh_says_what_its_kind_has() {
        check(
            r#"ssh = { request = "exec", command = "uptime", terminal = "xterm", variables = { A = "1" } }"#,
            expect![[r#"
                Ssh(SshCase { request: "exec", command: "uptime", name: "", value: "", host: "", port: 0, addresses: [], path: "", operation: "", other_path: "", creates: false, replaces: false, terminal: Some("xterm"), variables: [("A", "1")] })
            "#]],
        );
        check(
            r#"ssh = { request = "file", operation = "write", path = "/etc/passwd", creates = true, replaces = "yes" }"#,
            expect![[r#"
                p.toml:6: ssh: `replaces` has the wrong type; write `true` or `false`
            "#]],
        );
        check(
            r#"ssh = { request = "direct-tcpip", host = "db", port = 70000 }"#,
            expect![[r#"
            p.toml:6: `port` is not a port; write a number from 0 to 65535
        "#]],
        );
        check(
            r#"ssh = { request = "direct-tcpip", host = "db", port = 22, addresses = ["10.0.0.7", "db.internal"] }"#,
            expect![[r#"
                p.toml:6: `addresses` has something else than addresses; write addresses of IPv4 or IPv6: ["10.0.0.7", "2001:db8::7"]
            "#]],
        );
        check(
            r#"ssh = { command = "uptime", comand = "x" }"#,
            expect![[r#"
            p.toml:6: ssh: `request` is missing; add `request = "..."`
            p.toml:6: ssh: `comand` is not a known key; use one of `request`, `command`, `name`, `value`, `host`, `path`, `operation`, `other_path`, `port`, `addresses`, `creates`, `replaces`, `terminal`, `variables`
        "#]],
        );
    }

    #[test]
    fn a_length_is_a_number_or_unknown() {
        check(
            r#"http = { method = "PUT", url = "u", body_length = "unknown" }"#,
            expect![[r#"
            Http(HttpCase { method: "PUT", url: "u", headers: [], body: Streamed { length: None }, route: "", route_parameters: [], response: None })
        "#]],
        );
        check(
            r#"http = { method = "PUT", url = "u", body_length = 0 }"#,
            expect![[r#"
            Http(HttpCase { method: "PUT", url: "u", headers: [], body: Empty, route: "", route_parameters: [], response: None })
        "#]],
        );
        check(
            r#"http = { method = "PUT", url = "u", body_length = -1 }"#,
            expect![[r#"
            p.toml:6: `body_length` is not a length; write the number of bytes, or "unknown" where the client does not say it
        "#]],
        );
        check(
            r#"http = { method = "PUT", url = "u", body_length = "7" }"#,
            expect![[r#"
            p.toml:6: `body_length` is not a length; write the number of bytes, or "unknown" where the client does not say it
        "#]],
        );
    }

    #[test]
    fn what_is_no_request_says_why() {
        check(
            "",
            expect![[r#"
                p.toml:3: [[case]]: the request is missing; add `sql = "..."`, or `http = { method = "GET", url = "https://..." }`, or `kubernetes = ...`, or `ssh = { request = "exec", command = "uptime" }`
            "#]],
        );
        check(
            "sql = 7",
            expect![[r#"
            p.toml:6: [[case]]: `sql` has the wrong type; write text in quotes
        "#]],
        );
        check(
            "http = \"GET /\"",
            expect![[r#"
            p.toml:6: [[case]]: `http` has the wrong type; write a table
        "#]],
        );
        check(
            "sql = \"select 1\"\nhttp = { method = \"GET\", url = \"u\" }",
            expect![[r#"
            p.toml:3: [[case]]: `sql` and `http` are 2 requests; write a case for each
        "#]],
        );
        check(
            "parameters = [\"7\"]\nhttp = { method = \"GET\", url = \"u\" }",
            expect![[r#"
            p.toml:6: [[case]]: `parameters` belong to `sql`; write the query into `url`
        "#]],
        );
        check(
            r#"http = { methods = "GET", headers = { a = 7 } }"#,
            expect![[r#"
            p.toml:6: http: `method` is missing; add `method = "..."`
            p.toml:6: http: `url` is missing; add `url = "..."`
            p.toml:6: http: `headers` has the wrong type; write texts in quotes as its values
            p.toml:6: http: `methods` is not a known key; use one of `method`, `url`, `headers`, `body`, `body_length`, `route`, `route_parameters`, `response`
        "#]],
        );
    }
}
