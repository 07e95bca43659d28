//! Against what a real API server said: `64-request-attributes.tsv`.

use gatewright_http::{path, query};

use super::*;
use crate::transcripts;

/// `%41` to `A`, as Go's `net/url` does it with a whole path; what can not be decoded is 400 there.
fn unescape(path: &str) -> Option<String> {
    let mut bytes = path.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let two = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&two).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// A query as Go's `url.ParseQuery` reads it: pieces with a semicolon or a bad escape are dropped.
fn pairs(query: &str) -> Vec<(Arc<str>, Arc<str>)> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty() && !piece.contains(';'));
    let pair = |piece: &str| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        Some((Arc::from(unescape(name)?), Arc::from(unescape(value)?)))
    };
    pieces.filter_map(pair).collect()
}

fn read_raw(method: &str, target: &str) -> Option<RequestInfo> {
    let target = target.strip_prefix("http://other.example").unwrap_or(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = unescape(path)?;
    let parts: Vec<&str> = path.split('/').collect();
    Some(of(method, &parts, &pairs(query), None))
}

/// What the server said of a request: verb, group, resource with subresource, namespace, name.
fn said(info: &RequestInfo) -> [String; 5] {
    let resource = match (&*info.resource, &*info.subresource) {
        (resource, "") => resource.to_owned(),
        (resource, subresource) => format!("{resource}/{subresource}"),
    };
    let text = |text: &Arc<str>| text.replace('\0', "\\x00");
    let [verb, group] = [&info.authorized_verb, &info.api_group].map(text);
    [verb, group, resource, text(&info.namespace), text(&info.name)]
}

/// Rows of requests that the server described when it refused them.
fn rows() -> Vec<(String, String, [String; 5])> {
    let table = transcripts::text("64-request-attributes.tsv");
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 165);
    rows.into_iter()
        .filter(|row| row[3] == "403")
        .map(|row| {
            let [method, target, _, _, verb, group, resource, namespace, name, ..] = row[..] else {
                panic!("{row:?}")
            };
            let said = [verb, group, resource, namespace, name].map(str::to_owned);
            (method.to_owned(), target.to_owned(), said)
        })
        .collect()
}

#[test]
fn a_request_means_what_the_api_server_says_it_means() {
    for (method, target, said_by_server) in rows() {
        let info = read_raw(&method, &target).unwrap_or_else(|| panic!("{target}"));
        // The answer to HEAD has no body to say it in.
        if method != "HEAD" {
            assert_eq!(said(&info), said_by_server, "{method} {target}");
        }
    }
}

#[test]
fn what_was_answered_otherwise_is_a_path_or_is_refused_before() {
    let table = transcripts::text("64-request-attributes.tsv");
    let mut paths = Vec::new();
    for line in table.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        if row[3] == "200" || row[3] == "404" {
            paths.push(row[1]);
            assert!(!read_raw(row[0], row[1]).unwrap().is_resource_request, "{line}");
        }
    }
    assert_eq!(
        paths,
        [
            "/apis/nothing.example",
            "/apis",
            "/api",
            "/version",
            "/api/v1",
            "/apis/apps",
            "/healthz",
            "/livez"
        ]
    );
}

/// What is left of a request in its canonical form means the same, and what the gateway and the server could read in two ways
/// is not left (threats A52).
#[test]
fn a052_the_canonical_form_means_the_same_or_is_refused() {
    let mut refused = Vec::new();
    for (method, target, _) in rows() {
        let bare = target.strip_prefix("http://other.example").unwrap_or(&target);
        let (given, asked) = bare.split_once('?').unwrap_or((bare, ""));
        let (Ok(path), Ok(query)) = (path::canonical(given), query::canonical(asked)) else {
            refused.push(target);
            continue;
        };
        let segments: Vec<_> =
            path::segments(&path).map(|segment| path::decoded(segment).unwrap()).collect();
        let parts: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let canonical = of(&method, &parts, &query.pairs, None);
        assert_eq!(said(&canonical), said(&read_raw(&method, &target).unwrap()), "{method} {target}");
    }
    expect_test::expect![[r#"
        /api/v1/namespaces/demo//secrets
        //api/v1/namespaces/demo/secrets
        /api//v1/namespaces/demo/secrets
        /api/v1/namespaces//secrets
        /api/v1/namespaces/demo/./secrets
        /api/v1/namespaces/demo/pods/../secrets
        /api/v1/namespaces/demo/pods/%2e%2e/secrets
        /api/v1/namespaces/demo/pods%2f..%2fsecrets
        /api/v1/namespaces/demo/secrets/a%2Fb
        /api/v1/namespaces/demo/secrets/x%00
        /api/v1/namespaces/demo/secrets;v=1
        /api/v1/namespaces/demo/secrets/x;v=1
        /api/v1/namespaces/demo/secrets?a;watch=1
        /api/v1/namespaces/demo/secrets?watch=1;b=2
        /api/v1/namespaces/demo/secrets?%zz
        /api/v1/namespaces/demo/services/web/proxy/../../secrets
        /api/v1/namespaces/demo/services/web/proxy/%2e%2e/x
    "#]]
    .assert_eq(&(refused.join("\n") + "\n"));
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> HttpRequest {
    transcripts::request(method, target, headers)
}

fn unknown(method: &str, target: &str) -> Option<&'static str> {
    read(&request(method, target, &[("content-type", "application/merge-patch+json")])).unknown
}

#[test]
fn a060_what_is_not_known_is_described_and_marked() {
    for (method, target) in [
        ("GET", "/api/v2/namespaces/demo/secrets"),
        ("GET", "/api/v1/namespaces/demo/nothings"),
        ("GET", "/api/v1/namespaces/demo/Secrets"),
        ("GET", "/api/v1/namespaces/demo/pods/web/newthing"),
        ("GET", "/api/v1/namespaces/demo/pods/web/log/further"),
        ("GET", "/api/v1/redirect/namespaces/demo/pods/web"),
        ("GET", "/api/v1/proxy/namespaces/demo/pods/web"),
        ("GET", "/api/v1/watch"),
        ("GET", "/apis/apps/vNext/namespaces/demo/deployments"),
        ("GET", "/apis/apps/v1/namespaces/demo/novelties"),
        ("GET", "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/console"),
        ("PURGE", "/api/v1/namespaces/demo/secrets"),
        ("OPTIONS", "/api/v1/namespaces/demo/secrets"),
        ("GET", "/debug/pprof/"),
        ("GET", "/logs/kube-apiserver.log"),
        ("POST", "/version"),
        ("POST", "/api"),
        ("GET", "/graphql"),
        ("GET", "/api/v1/namespaces/demo/secrets?limit=all"),
        ("GET", "/api/v1/namespaces/demo/secrets?fieldSelector=broken%3D%3D%3D"),
    ] {
        assert!(unknown(method, target).is_some(), "{method} {target}");
    }
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/apis/nothing.example"),
        ("GET", "/openapi/v3/apis/apps/v1?hash=00"),
        ("GET", "/api/v1/namespaces"),
        ("GET", "/api/v1/namespaces/demo/status"),
        ("GET", "/api/v1/watch/namespaces/demo/secrets/x"),
        ("GET", "/apis/apps/v2beta1/namespaces/demo/deployments/shop/scale"),
        ("GET", "/apis/example.com/v1/namespaces/demo/widgets/w/status"),
        ("PATCH", "/apis/example.com/v1/namespaces/demo/widgets/w"),
        ("GET", "/api/v1/nodes/node1/proxy/pods"),
    ] {
        assert_eq!(unknown(method, target), None, "{method} {target}");
    }
}

#[test]
fn a060_a_patch_of_a_kind_that_is_not_known_is_marked() {
    let target = "/api/v1/namespaces/demo/configmaps/x";
    let patch = |media_type| read(&request("PATCH", target, &[("content-type", media_type)]));
    assert_eq!(patch("application/apply-patch+yaml").patch_type, Some(PatchType::Apply));
    assert_eq!(patch("application/json-patch+json; charset=utf-8").patch_type, Some(PatchType::Json));
    assert!(patch("application/new-patch").unknown.is_some());
    assert!(read(&request("PATCH", target, &[])).unknown.is_some());
}

#[test]
fn a057_a_name_of_a_field_selector_is_the_one_that_the_server_takes() {
    let name = |selector: &str| {
        let target = format!("/api/v1/namespaces/demo/secrets?fieldSelector={selector}");
        read(&request("GET", &target, &[])).name.to_string()
    };
    assert_eq!(name("metadata.name%3Dx"), "x");
    assert_eq!(name("metadata.name%3D%3Dx"), "x");
    // Sorted, then the first: not what stands first.
    assert_eq!(name("metadata.name%3Db,metadata.name%3Da"), "a");
    assert_eq!(name("metadata.name%3Da%5C%2Cb"), "a,b");
    for none in [
        "metadata.name%21%3Dx",
        "metadata.name%3D",
        "metadata.name%3D..",
        "metadata.name%3Da%2Fb",
        "metadata.name",
        "metadata.name%3Dx,broken",
        "metadata.name%3Dx%5C",
        "metadata.name%3Dx%3Dy",
        "metadata.name%3Dx&limit=many",
        "type%3DOpaque&fieldSelector=metadata.name%3Dx",
    ] {
        assert_eq!(name(none), "", "{none}");
    }
}

#[test]
fn a053_ways_into_a_container_have_a_verb_of_their_own() {
    for (method, target, verb) in [
        ("GET", "/api/v1/namespaces/demo/pods/web/exec", "connect"),
        ("POST", "/api/v1/namespaces/demo/pods/web/exec", "connect"),
        ("GET", "/api/v1/namespaces/demo/pods/web/attach", "connect"),
        ("POST", "/api/v1/namespaces/demo/pods/web/portforward", "connect"),
        (
            "GET",
            "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/portforward/22",
            "connect",
        ),
        ("GET", "/api/v1/namespaces/demo/pods/web/log", "get"),
    ] {
        assert_eq!(&*read(&request(method, target, &[])).verb, verb, "{method} {target}");
    }
}

#[test]
fn a054_a_proxy_has_a_verb_of_its_own_with_every_method() {
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for target in [
            "/api/v1/namespaces/demo/pods/web/proxy",
            "/api/v1/namespaces/demo/pods/https:web:443/proxy/a/b",
            "/api/v1/namespaces/demo/services/http:web:80/proxy/",
            "/api/v1/nodes/node1:10250/proxy/run/demo/web/c",
            "/api/v1/proxy/nodes/node1/run/demo/web/c",
        ] {
            assert_eq!(&*read(&request(method, target, &[])).verb, "proxy", "{method} {target}");
        }
    }
}

#[test]
fn what_a_query_asks_for_is_read_as_the_server_converts_it() {
    let target = "/api/v1/namespaces/demo/configmaps?dryRun=All&limit=500&continue=abc&labelSelector=a%3Db\
                  &fieldManager=me&force";
    let info = read(&request("POST", target, &[]));
    assert!(info.dry_run && info.is_continued && info.force);
    assert_eq!((info.limit, &*info.label_selector, &*info.field_manager), (Some(500), "a=b", "me"));
    let info =
        read(&request("POST", "/api/v1/namespaces/demo/configmaps?dryRun=&force=False&limit=0", &[]));
    assert!(!info.dry_run && !info.force && info.limit.is_none());
    // Refused by the server, and no dry run as long as it does not say so.
    let info = read(&request("POST", "/api/v1/namespaces/demo/configmaps?dryRun=All&dryRun=None", &[]));
    assert!(!info.dry_run);
}
