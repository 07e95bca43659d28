//! Requests and answers as an exchange would ask about them.

use gatewright_http::dialect::Dialect as _;
use gatewright_model::{
    http::HttpBody,
    kubernetes::StreamKind,
    mask::{JsonMask, MaskMethod, ObjectFilter},
    sql::Grade,
};
use http::{HeaderName, Uri};

use super::*;
use crate::transcripts;

fn dialect(act_as: ActAs) -> Kubernetes {
    Kubernetes::new(act_as, MaskKey::new([7; 32]))
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    lines.iter().map(pair).collect()
}

fn facet(method: &str, target: &str, lines: &[(&str, &str)]) -> Facet {
    let request = Arc::new(transcripts::request(method, target, lines));
    let http = HttpEvent { request, body: HttpBody::Empty, response: None };
    dialect(ActAs::Client).facet(http).unwrap()
}

fn event(facet: &Facet) -> &KubernetesEvent {
    let Facet::Kubernetes(event) = facet else { panic!("another facet") };
    event
}

fn secrets() -> MaskPlan {
    let path = "$.data".parse().unwrap();
    let mask = JsonMask { path, method: MaskMethod::Redact, rule: "secrets/data".into() };
    MaskPlan { json: vec![mask], ..MaskPlan::default() }
}

fn only(namespace: &str, name: &str) -> MaskPlan {
    let filter = ObjectFilter { shown: vec![(namespace.into(), name.into())], rule: "shown".into() };
    MaskPlan { objects: vec![filter], ..MaskPlan::default() }
}

/// The headers that are sent.
fn prepared(act_as: ActAs, facet: &Facet, masks: Option<&MaskPlan>) -> Result<HeaderMap, Refusal> {
    head(act_as, facet, masks).map(|(headers, _)| headers)
}

/// The headers that are sent, and the address.
fn head(act_as: ActAs, facet: &Facet, masks: Option<&MaskPlan>) -> Result<(HeaderMap, Uri), Refusal> {
    let mut principal = transcripts::principal("alice");
    principal.groups = vec!["devs".into()];
    let request = &facet.http().unwrap().request;
    let listed: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut sent = headers(&listed);
    let mut uri = Uri::from_static("/as/it/was");
    let outgoing = Outgoing { facet, principal: &principal, masks, uri: &mut uri, headers: &mut sent };
    dialect(act_as).prepare(outgoing).map(|()| (sent, uri))
}

const SECRETS: &str = "/api/v1/namespaces/demo/secrets";
const EXEC: &str = "/api/v1/namespaces/demo/pods/web/exec?command=sh&stdin=true";

#[test]
fn a053_an_event_says_what_is_opened_and_by_what() {
    let websocket = [("upgrade", "websocket"), ("sec-websocket-protocol", "v5.channel.k8s.io")];
    let facet = facet("GET", EXEC, &websocket);
    let event = event(&facet);
    assert_eq!(event.stream.as_ref().unwrap().kind, StreamKind::Exec);
    assert_eq!(event.upgrade.as_ref().unwrap().transport, Transport::WebSocket);
    assert_eq!((&*event.info.verb, event.grade()), ("connect", Grade::Verified));
    assert!(event.leaves_a_trace());
}

#[test]
fn a060_a_switch_for_nothing_is_marked() {
    let websocket = [("upgrade", "websocket")];
    assert_eq!(event(&facet("GET", SECRETS, &websocket)).grade(), Grade::Opaque);
    let watch = format!("{SECRETS}?watch=1");
    assert_eq!(event(&facet("GET", &watch, &websocket)).grade(), Grade::Verified);
    let log = "/api/v1/namespaces/demo/pods/web/log";
    assert_eq!(event(&facet("GET", log, &websocket)).grade(), Grade::Verified);
}

#[test]
fn a055_clients_do_not_impersonate_unless_the_operator_lets_them() {
    for line in [
        ("impersonate-user", "root"),
        ("Impersonate-Group", "system:masters"),
        ("impersonate_user", "root"),
        ("impersonate-extra-scopes", "a"),
    ] {
        for act_as in [ActAs::Account, ActAs::Principal] {
            let refusal = dialect(act_as).admit(&mut headers(&[line])).unwrap_err();
            assert_eq!((refusal.status, refusal.code), (StatusCode::BAD_REQUEST, "k8s.impersonate"));
        }
    }
    let mut said =
        headers(&[("impersonate-user", "bob"), ("impersonate-group", "a"), ("impersonate-group", "b")]);
    assert!(dialect(ActAs::Client).admit(&mut said).is_ok());
    let facet = facet("GET", SECRETS, &[("impersonate-user", "bob"), ("impersonate-group", "a")]);
    let event = event(&facet);
    assert_eq!(&*event.impersonation.as_ref().unwrap().user, "bob");
    assert!(event.leaves_a_trace() && event.summary().ends_with(" as bob"), "{}", event.summary());
}

#[test]
fn a_401_is_about_the_gateways_account_whoever_it_acts_as() {
    for act_as in [ActAs::Account, ActAs::Principal, ActAs::Client] {
        let dialect = dialect(act_as);
        for path in [SECRETS, EXEC] {
            let asked = facet("GET", path, &[]);
            // A certificate is a credential too, and is in no request.
            assert!(dialect.refuses_gateway(&asked, true) && dialect.refuses_gateway(&asked, false));
        }
        // What answers there is a service of the cluster's users.
        let proxied = facet("GET", "/api/v1/namespaces/demo/services/web/proxy/login", &[]);
        assert!(!dialect.refuses_gateway(&proxied, true));
    }
    let problem = Problem::new(StatusCode::BAD_GATEWAY, "upstream.credential", "it is not accepted");
    let (parts, body) = dialect(ActAs::Principal).tell(problem, None);
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&*status["kind"].to_string(), &*status["code"].to_string()), ("\"Status\"", "502"));
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("tell the operator of the gateway to check the target's"), "{message}");
    assert!(!parts.headers.contains_key("www-authenticate"), "{parts:?}");
}

#[test]
fn a055_exactly_one_identity_is_sent_and_it_is_ours() {
    let list = facet("GET", SECRETS, &[]);
    assert!(prepared(ActAs::Account, &list, None).unwrap().is_empty());
    let sent = prepared(ActAs::Principal, &list, None).unwrap();
    let lines: Vec<String> =
        sent.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(
        lines,
        [
            "impersonate-user: alice",
            "impersonate-group: devs",
            "impersonate-extra-gatewright.dev%2fissuer: test",
            "impersonate-extra-gatewright.dev%2factor: agent-7",
        ]
    );
}

#[test]
fn a058_an_answer_that_is_masked_is_asked_for_in_json() {
    let accept = [
        ("accept", "application/vnd.kubernetes.protobuf,application/json"),
        ("accept-encoding", "gzip"),
        ("if-none-match", "\"x\""),
    ];
    let list = facet("GET", SECRETS, &accept);
    let sent = prepared(ActAs::Account, &list, Some(&secrets())).unwrap();
    assert_eq!(sent.get(ACCEPT).unwrap(), "application/json");
    assert_eq!(sent.get(ACCEPT_ENCODING).unwrap(), "identity");
    assert!(!sent.contains_key("if-none-match"));
    // Where nothing is masked, clients get what they asked for.
    let sent = prepared(ActAs::Account, &list, None).unwrap();
    assert_eq!(sent.get(ACCEPT).unwrap(), accept[0].1);
}

#[test]
fn a058_only_json_is_read_and_the_rest_is_said_not_to_be() {
    let dialect = dialect(ActAs::Account);
    let request = |target, content_type: &str| {
        let lines = [("content-type", content_type)];
        let lines = if content_type.is_empty() { &[][..] } else { &lines };
        transcripts::request("POST", target, lines)
    };
    for (content_type, body, reads, is_json) in [
        ("application/json", "[", true, true),
        ("", "{", true, true),
        ("application/apply-patch+yaml", " {\"kind\":1}", true, true),
        ("application/apply-patch+yaml", "kind: Secret", true, false),
        ("application/vnd.kubernetes.protobuf", "k8s\0", false, false),
        ("application/cbor", "\u{1}", false, false),
        ("text/plain", "{", false, false),
    ] {
        let request = request(SECRETS, content_type);
        assert_eq!(dialect.reads_body(&request), reads, "{content_type}");
        assert_eq!(dialect.is_json(&request, body.as_bytes()), is_json, "{content_type} {body}");
    }
    let behind_a_proxy = request("/api/v1/namespaces/demo/pods/web:80/proxy/upload", "");
    assert!(!dialect.reads_body(&behind_a_proxy));
}

#[test]
fn what_is_not_shown_is_neither_read_nor_changed() {
    let plan = only("demo", "app-*");
    let refused =
        |method, target: &str| prepared(ActAs::Account, &facet(method, target, &[]), Some(&plan)).is_err();
    assert!(!refused("GET", "/api/v1/namespaces/demo/secrets/app-1"));
    assert!(refused("GET", "/api/v1/namespaces/demo/secrets/db"));
    assert!(refused("GET", "/api/v1/namespaces/other/secrets/app-1"));
    assert!(refused("DELETE", "/api/v1/namespaces/demo/secrets/db"));
    assert!(refused("DELETE", SECRETS), "all of them");
    assert!(!refused("GET", SECRETS), "a list is filtered when it comes");
    assert!(!refused("POST", SECRETS));
}

#[test]
fn a_mask_that_a_stream_can_not_keep_is_refused_before_anything_is_sent() {
    let websocket = [("upgrade", "websocket"), ("sec-websocket-protocol", "v5.channel.k8s.io")];
    let refusal = prepared(ActAs::Account, &facet("GET", EXEC, &websocket), Some(&secrets())).unwrap_err();
    assert_eq!((refusal.status, refusal.code), (StatusCode::FORBIDDEN, "mask.unsupported"));
}

#[test]
fn a053_older_servers_read_one_protocol_a_line() {
    let spdy =
        [("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io, channel.k8s.io")];
    let sent = prepared(ActAs::Account, &facet("POST", EXEC, &spdy), None).unwrap();
    let lines: Vec<_> = sent.get_all(upgrade::STREAM_PROTOCOL).iter().collect();
    assert_eq!(lines, ["v4.channel.k8s.io", "channel.k8s.io"]);
}

/// An answer with a type and a body, as the client would get it.
fn shown(facet: &Facet, plan: &MaskPlan, lines: &[(&str, &str)], body: &[u8]) -> Result<String, Refusal> {
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.headers = headers(lines);
    let answer = Incoming { facet, masks: Some(plan), head: &mut head, has_body: true, recorded: false };
    let mut filter = dialect(ActAs::Account).filter(answer)?.unwrap();
    let mut out = BytesMut::new();
    filter.push(body, &mut out)?;
    filter.finish(&mut out)?;
    assert!(!head.headers.contains_key("etag"));
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

#[test]
fn a058_what_was_not_asked_for_is_not_shown() {
    let list = facet("GET", SECRETS, &[]);
    let body = br#"{"kind":"SecretList","items":[{"metadata":{"name":"a","namespace":"demo"},"data":{"x":"eA=="}}]}"#;
    let json = ("content-type", "application/json");
    let text = shown(&list, &secrets(), &[json, ("etag", "\"x\"")], body).unwrap();
    assert!(!text.contains("eA==") && text.contains("\"name\":\"a\""), "{text}");
    for lines in [
        &[("content-type", "application/vnd.kubernetes.protobuf")][..],
        &[("content-type", "application/cbor")],
        &[("content-type", "application/yaml")],
        &[json, ("content-encoding", "gzip")],
        &[],
    ] {
        let refusal = shown(&list, &secrets(), lines, body).unwrap_err();
        assert_eq!(refusal.code, "mask.unsupported", "{lines:?}");
    }
    // A list of which some objects are shown is no text either.
    let refusal = shown(&list, &only("demo", "a"), &[("content-type", "text/plain")], body).unwrap_err();
    assert_eq!(refusal.code, "mask.unsupported");
}

/// A page ends with a token in which the name of an object stands, perhaps of one that is not shown.
#[test]
fn a057_of_a_list_that_shows_a_part_no_page_is_asked_for() {
    let sent = |query: &str, masks: &MaskPlan| {
        let facet = facet("GET", &format!("{SECRETS}{query}"), &[]);
        head(ActAs::Account, &facet, Some(masks)).map(|(_, uri)| uri.to_string())
    };
    let part = only("demo", "a");
    assert_eq!(sent("?limit=500", &part).unwrap(), SECRETS);
    assert_eq!(sent("?limit=1&limit=2&continue=", &part).unwrap(), SECRETS);
    let labelled = format!("{SECRETS}?labelSelector=a%3Db%26limit%3D3&resourceVersion=0");
    let query = "?labelSelector=a%3Db%26limit%3D3&limit=500&resourceVersion=0";
    assert_eq!(sent(query, &part).unwrap(), labelled);
    for token in ["?continue=eyJ2IjoibWV0YSJ9", "?limit=500&%63ontinue=x"] {
        let refusal = sent(token, &part).unwrap_err();
        assert_eq!((refusal.status.as_u16(), refusal.code), (410, "k8s.continue"), "{token}");
    }
    // Where all of it is shown, or nothing is to be undone, nothing is changed.
    assert_eq!(sent("?limit=500&continue=x", &secrets()).unwrap(), "/as/it/was");
    assert_eq!(sent("?labelSelector=a", &part).unwrap(), "/as/it/was");
}

#[test]
fn a_watch_and_a_log_that_is_followed_go_on() {
    let goes_on = |target: &str| dialect(ActAs::Account).is_stream(&facet("GET", target, &[]));
    assert!(goes_on("/api/v1/namespaces/demo/secrets?watch=true"));
    assert!(goes_on("/api/v1/watch/secrets"));
    assert!(goes_on("/api/v1/namespaces/demo/pods/web/log?follow=true"));
    assert!(!goes_on("/api/v1/namespaces/demo/pods/web/log?follow=false"));
    assert!(!goes_on(SECRETS));
}

#[test]
fn a_problem_is_told_as_a_status_in_the_form_that_was_asked_for() {
    let request = transcripts::request(
        "GET",
        "/api/v1/namespaces/demo/secrets/x",
        &[("accept", "application/vnd.kubernetes.protobuf,application/json")],
    );
    let problem = || Problem::new(StatusCode::FORBIDDEN, "policy.blocked", "not for you");
    let (parts, body) = dialect(ActAs::Account).tell(problem(), Some(&request));
    assert_eq!(parts.headers.get(CONTENT_TYPE).unwrap(), "application/vnd.kubernetes.protobuf");
    assert_eq!(crate::protobuf::open(&body).unwrap().kind, "Status");
    let (parts, body) = dialect(ActAs::Account).tell(problem(), None);
    assert_eq!(parts.headers.get(CONTENT_TYPE).unwrap(), "application/json");
    assert_eq!(parts.headers.get(CONTENT_LENGTH).unwrap(), &body.len().to_string());
    let (parts, _) = dialect(ActAs::Account)
        .tell(Problem::new(StatusCode::UNAUTHORIZED, "auth.missing", "no token"), None);
    assert!(parts.headers.contains_key("www-authenticate"));
}

/// With a body of JSON.
fn facet_with(method: &str, target: &str, media_type: &str, body: &'static str) -> Facet {
    let request = Arc::new(transcripts::request(method, target, &[("content-type", media_type)]));
    let json = gatewright_model::json::Document::read(body.as_bytes()).ok().map(Arc::new);
    let body = HttpBody::Read { bytes: body.into(), json };
    dialect(ActAs::Client).facet(HttpEvent { request, body, response: None }).unwrap()
}

#[test]
fn a058_a_patch_that_copies_what_is_hidden_is_refused() {
    let target = format!("{SECRETS}/db?dryRun=All");
    let patch = |body| facet_with("PATCH", &target, "application/json-patch+json", body);
    let refused = |facet: &Facet| prepared(ActAs::Account, facet, Some(&secrets())).is_err();
    for body in [
        r#"[{"op":"copy","from":"/data/password","path":"/metadata/annotations/x"}]"#,
        r#"[{"op":"add","path":"/x","value":1},{"op":"move","from":"/data","path":"/type"}]"#,
        r#"[{"op":"test","path":"/data/password","value":"YQ=="}]"#,
        r#"[{"path":"/x"}]"#,
        "no JSON",
    ] {
        assert!(refused(&patch(body)), "{body}");
        assert!(prepared(ActAs::Account, &patch(body), None).is_ok(), "nothing is hidden");
    }
    assert!(!refused(&patch(r#"[{"op":"replace","path":"/metadata/labels/a","value":"b"}]"#)));
}

#[test]
fn a057_a_part_of_an_object_that_is_not_shown_is_not_made() {
    let shown = only("demo", "*");
    let asked = |target: &str| prepared(ActAs::Account, &facet("POST", target, &[]), Some(&shown));
    assert!(asked("/api/v1/namespaces/demo/serviceaccounts/bot/token").is_ok());
    for part in ["serviceaccounts/admin/token", "pods/coredns/eviction", "pods/coredns/binding"] {
        assert!(asked(&format!("/api/v1/namespaces/kube-system/{part}")).is_err(), "{part}");
    }
}

#[test]
fn a053_what_is_run_is_said_once() {
    let run = "/api/v1/nodes/n1/proxy/run/demo/web/c?cmd=ls";
    assert_eq!(event(&facet("POST", run, &[])).grade(), Grade::Verified);
    let both = facet_with("POST", run, "application/x-www-form-urlencoded", "cmd=rm");
    assert_eq!(event(&both).grade(), Grade::Opaque);
    let ports = facet("POST", "/api/v1/nodes/n1/proxy/portForward/demo/web?port=22,80&port=8080", &[]);
    assert_eq!(event(&ports).stream.as_ref().unwrap().ports, [22, 80, 8080]);
    let wrong = facet("POST", "/api/v1/namespaces/demo/pods/web/portforward?ports=80,x", &[]);
    assert_eq!(event(&wrong).grade(), Grade::Opaque);
}

#[test]
fn a_delete_is_no_dry_run_where_its_body_says_what_it_is() {
    let target = format!("{SECRETS}/db?dryRun=All");
    assert!(event(&facet("DELETE", &target, &[])).info.dry_run);
    let options = facet_with("DELETE", &target, "application/json", r#"{"kind":"DeleteOptions"}"#);
    assert!(!event(&options).info.dry_run);
}
