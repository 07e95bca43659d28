use gatewright_policy_sdk::testkit::{self, EventBuilder};

use super::*;

const RULES: &str = r#"{"rules": [
    {"name": "sessions", "requests": ["session", "pty"], "decision": "allow"},
    {"name": "locale", "requests": ["env"], "variables": ["LANG", "LC_*"], "decision": "allow"},
    {"name": "reads", "requests": ["exec"], "commands": ["uptime", "systemctl status *", "cat /srv/public/*", "tail log*", "ls **"],
     "texts": ["df -h | sort"], "decision": "allow"},
    {"name": "restarts", "requests": ["exec"], "commands": ["systemctl restart nginx*"], "groups": ["sre"],
     "decision": "escalate"},
    {"name": "files", "requests": ["subsystem"], "subsystems": ["sftp"], "decision": "allow"},
    {"name": "database", "requests": ["direct-tcpip"], "destinations": ["db.internal:5432", "*.web.internal:443"],
     "decision": "allow"},
    {"name": "not-there", "requests": ["direct-tcpip"], "destinations": ["10.9.0.1:*"], "decision": "block"},
    {"name": "not-in", "requests": ["direct-tcpip"], "networks": ["10.8.0.0/16", "fd08::/16"], "decision": "block"},
    {"name": "inside", "requests": ["direct-tcpip"], "destinations": ["*.lan:80"], "networks": ["10.0.0.0/8", "fd00::/8"],
     "decision": "allow"},
    {"name": "reading", "requests": ["file"], "operations": ["read", "list", "stat", "realpath", "readlink"],
     "paths": ["/srv/**", "/users/*/notes", "/etc/motd"], "decision": "allow"},
    {"name": "no-loss", "requests": ["file"], "replaces": true, "decision": "block"},
    {"name": "filing", "requests": ["file"], "operations": ["write", "rename", "hardlink", "symlink"],
     "paths": ["/srv/in/**"], "decision": "allow"},
    {"name": "copies", "requests": ["exec"], "transfers": ["read"], "paths": ["/srv/out/**", "/srv/one"],
     "decision": "allow"},
    {"name": "shell", "requests": ["shell"], "terminal": true, "groups": ["sre"], "decision": "allow"},
    {"name": "psql", "requests": ["exec"], "commands": ["psql"], "decision": "escalate", "record": true},
    {"name": "orders", "requests": ["exec", "pty"], "commands": ["orders **"], "decision": "allow",
     "hide": [{"detector": "card_number", "method": {"partial": 4}}, {"detector": "email", "method": "hash"}]}
]}"#;

fn rule(request: &EventBuilder) -> Option<String> {
    shown(evaluate(&request.event(), &testkit::settings(RULES).unwrap()))
}

fn shown(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Record(verdict) => Some(format!("recorded, {}", shown(*verdict).unwrap_or_default())),
        Verdict::Allow => None,
        Verdict::Block(block) => Some(block.rule.into_owned()),
        Verdict::Escalate(escalation) => Some(format!("held: {}", escalation.rule)),
        Verdict::Mask(mask) => {
            let hidden = mask.detectors.iter().map(|mask| format!("{} {}", mask.rule, mask.method.word()));
            Some(format!("hidden: {}", hidden.collect::<Vec<_>>().join(", ")))
        }
    }
}

#[track_caller]
fn check(request: &EventBuilder, expected: Option<&str>) {
    assert_eq!(rule(request).as_deref(), expected);
}

fn exec(command: &str) -> EventBuilder {
    let words: Vec<&str> = command.split(' ').collect();
    EventBuilder::ssh_exec(command, Some(&words))
}

#[test]
fn the_first_rule_that_fits_decides() {
    check(&EventBuilder::ssh("session"), None);
    check(&EventBuilder::ssh("pty").named("xterm", ""), None);
    check(&EventBuilder::ssh("env").named("LC_ALL", "C"), None);
    check(&EventBuilder::ssh("env").named("LD_PRELOAD", "/tmp/x"), Some("no-rule"));
    check(&EventBuilder::ssh("subsystem").named("sftp", ""), None);
    check(&EventBuilder::ssh("subsystem").named("netconf", ""), Some("no-rule"));
    check(&EventBuilder::ssh("agent-forwarding"), Some("no-rule"));
    check(&EventBuilder::ssh("a-new-way"), Some("no-rule"));
}

#[test]
fn a_command_is_fitted_by_all_of_its_words() {
    check(&exec("uptime"), None);
    check(&exec("uptime -p"), Some("no-rule"));
    check(&exec("/tmp/uptime"), Some("no-rule"));
    check(&exec("systemctl status nginx"), None);
    check(&exec("systemctl status nginx --full"), Some("no-rule"));
    check(&exec("systemctl stop nginx"), Some("no-rule"));
    // `*` is no option, which may lead elsewhere, and no way out of a folder.
    check(&exec("systemctl status -Hother"), Some("no-rule"));
    check(&exec("cat /srv/public/index"), None);
    check(&exec("cat /srv/public/../secret"), Some("no-rule"));
    check(&exec("cat /srv/public/a/.."), Some("no-rule"));
    check(&exec("cat /srv/public/a..b"), None);
    check(&exec("tail log1"), None);
    check(&exec("tail log/../../etc/passwd"), Some("no-rule"));
    check(&exec("ls"), None);
    check(&exec("ls -l /var/log"), None);
    check(&exec("lsof"), Some("no-rule"));
    check(&exec("systemctl restart nginx.service").groups(["sre"]), Some("held: restarts"));
    check(&exec("systemctl restart nginx.service"), Some("no-rule"));
}

#[test]
fn what_is_more_than_a_plain_command_is_fitted_as_a_whole_only() {
    check(&EventBuilder::ssh_exec("ls; id", None), Some("no-rule"));
    check(&EventBuilder::ssh_exec("df -h | sort", None), None);
    check(&EventBuilder::ssh_exec("df -h | sort ", None), Some("no-rule"));
}

#[test]
fn a_destination_is_a_place_and_not_the_end_of_a_name() {
    let tunnel = |host: &str, port| EventBuilder::ssh("direct-tcpip").destination(host, port);
    check(&tunnel("db.internal", 5432), None);
    check(&tunnel("DB.internal", 5432), None);
    check(&tunnel("db.internal", 22), Some("no-rule"));
    check(&tunnel("a.b.web.internal", 443), None);
    check(&tunnel("web.internal", 443), Some("no-rule"));
    check(&tunnel("evilweb.internal", 443), Some("no-rule"));
    check(&tunnel(".web.internal", 443), Some("no-rule"));
    // Nothing is said about the other direction.
    check(&EventBuilder::ssh("tcpip-forward").destination("db.internal", 5432), Some("no-rule"));
}

/// Row A44: a name is permitted as a name, and then with what it leads to.
#[test]
fn a044_a_tunnel_is_fitted_by_all_of_its_addresses_and_refused_for_one() {
    let address = |text: &str| text.parse().unwrap();
    let tunnel = || EventBuilder::ssh("direct-tcpip").destination("a.lan", 80);
    // Not looked up yet.
    check(&tunnel(), None);
    check(&tunnel().addresses([address("10.1.2.3"), address("fd12::1")]), None);
    check(&tunnel().addresses([address("10.1.2.3"), address("11.0.0.1")]), Some("no-rule"));
    check(&tunnel().addresses([address("::ffff:10.1.2.3")]), Some("no-rule"));
    check(&tunnel().addresses([address("10.1.2.3"), address("10.8.0.1")]), Some("not-in"));
    check(&tunnel().addresses([address("10.1.2.3"), address("fd08::1")]), Some("not-in"));
    check(&tunnel().addresses([address("10.1.2.3"), address("10.9.0.1")]), Some("not-there"));
    check(&tunnel().addresses([address("10.7.255.255"), address("10.10.0.0")]), None);
}

#[test]
fn a_network_is_written_by_its_first_address() {
    let read = |text: &str| {
        let rule =
            format!(r#"{{"requests": ["direct-tcpip"], "networks": ["{text}"], "decision": "allow"}}"#);
        testkit::settings::<Settings>(&format!("{{\"rules\": [{rule}]}}")).map(|_| ())
    };
    for network in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "10.0.0.7", "10.0.0.7/32", "2001:db8::/32"] {
        assert_eq!(read(network), Ok(()), "{network}");
    }
    for text in ["10.0.0.7/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "db", "", "::1/127", "10.0.0.0/"] {
        assert!(read(text).unwrap_err().contains("is not a network"), "{text}");
    }
}

#[test]
fn what_a_rule_hides_it_hides_in_what_is_written() {
    check(&exec("orders list"), Some("hidden: orders partial:4, orders hash"));
    check(&exec("psql"), Some("recorded, held: psql"));
    // Nothing is written by a terminal itself.
    check(&EventBuilder::ssh("pty").named("xterm", ""), None);
}

#[test]
fn a_shell_needs_a_terminal_where_the_rule_says_so() {
    let shell = || EventBuilder::ssh("shell").groups(["sre"]);
    check(&shell().terminal("xterm"), None);
    check(&shell(), Some("no-rule"));
}

#[test]
fn what_narrows_nothing_down_is_an_error() {
    let refused = |rule: &str| {
        testkit::settings::<Settings>(&format!("{{\"rules\": [{rule}]}}")).map(|_| ()).unwrap_err()
    };
    assert_eq!(
        refused(r#"{"requests": ["shell"], "commands": ["ls"], "decision": "allow"}"#),
        "`commands` belongs to rules about `exec`"
    );
    let hide = r#""hide": [{"detector": "ssn", "method": "redact"}]"#;
    assert_eq!(
        refused(&format!(r#"{{"requests": ["pty"], {hide}, "decision": "allow"}}"#)),
        "`hide` belongs to rules about `exec` or `shell` or `subsystem`"
    );
    assert_eq!(
        refused(&format!(r#"{{"requests": ["exec"], {hide}, "decision": "escalate"}}"#)),
        "`hide` belongs to rules that allow"
    );
    assert_eq!(
        refused(r#"{"requests": ["exec"], "decision": "block", "record": true}"#),
        "`record` belongs to rules that allow or escalate"
    );
    assert_eq!(
        refused(r#"{"requests": [], "decision": "allow"}"#),
        "an empty `requests` fits nothing: leave it out for any"
    );
    for (key, value) in
        [("commands", "l*s"), ("commands", ""), ("destinations", "db"), ("destinations", "d*b:1")]
    {
        let request = if key == "commands" { "exec" } else { "direct-tcpip" };
        let rule = format!(r#"{{"requests": ["{request}"], "{key}": ["{value}"], "decision": "allow"}}"#);
        assert!(refused(&rule).contains("write") || value.is_empty(), "{rule}");
    }
}

/// Row A46: a path is one place, and a rule is about whole parts of it.
#[test]
fn a046_a_file_is_fitted_by_what_is_done_and_by_all_of_its_paths() {
    let file = |operation: &str, path: &str| EventBuilder::ssh_file(operation, path, None);
    for path in ["/srv", "/srv/a/b", "/users/alice/notes", "/etc/motd"] {
        check(&file("read", path), None);
    }
    for path in [
        "/",
        "/srvx",
        "/etc/passwd",
        "/users/notes",
        "/users/a/b/notes",
        "/users/alice/notes/x",
        "/etc/motd/x",
    ] {
        check(&file("read", path), Some("no-rule"));
    }
    // What is no canonical path is none, whoever lets it get here.
    for path in ["srv/a", "", "/etc/../srv/a"] {
        check(&file("read", path), Some("no-rule"));
    }
    check(&file("write", "/srv/in/a"), None);
    check(&file("write", "/srv/in/a").replacing(), Some("no-loss"));
    check(&file("read-write", "/srv/in/a"), Some("no-rule"));
    check(&file("a-new-way", "/srv/in/a"), Some("no-rule"));
    let two =
        |operation: &str, path: &str, other: &str| EventBuilder::ssh_file(operation, path, Some(other));
    check(&two("rename", "/srv/in/a", "/srv/in/b"), None);
    check(&two("rename", "/srv/in/a", "/etc/b"), Some("no-rule"));
    check(&two("hardlink", "/etc/shadow", "/srv/in/b"), Some("no-rule"));
    check(&two("symlink", "/srv/in/b", "/etc/shadow"), Some("no-rule"));
}

#[test]
fn a_copy_is_fitted_by_everything_below_its_paths() {
    let copy = |direction: &str, paths: &[&str]| exec("scp -f x").transfer(direction, paths);
    check(&copy("read", &["/srv/out/a"]), None);
    check(&copy("read", &["/srv/out/a", "/srv/out"]), None);
    check(&copy("write", &["/srv/out/a"]), Some("no-rule"));
    check(&copy("read", &["/srv/out/a", "/etc/passwd"]), Some("no-rule"));
    // It may be a directory.
    check(&copy("read", &["/srv/one"]), Some("no-rule"));
    check(&copy("read", &["srv/out/a"]), Some("no-rule"));
    check(&exec("scp -f /srv/out/a"), Some("no-rule"));
}

#[test]
fn a_path_that_fits_nothing_is_an_error() {
    for path in ["srv", "/srv/", "/srv/../x", "/srv/a*", "/srv**", "//", "/a\\\\b"] {
        let rule =
            format!(r#"{{"rules": [{{"requests": ["file"], "paths": ["{path}"], "decision": "allow"}}]}}"#);
        let refused = testkit::settings::<Settings>(&rule).map(|_| ()).unwrap_err();
        assert!(refused.contains("is not a pattern of paths"), "{path}: {refused}");
    }
    let commands = r#"{"rules": [{"requests": ["exec"], "paths": ["/srv/**"], "decision": "allow"}]}"#;
    let refused = testkit::settings::<Settings>(commands).map(|_| ()).unwrap_err();
    assert_eq!(refused, "`paths` belongs to rules about `file`");
}
