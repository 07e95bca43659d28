//! OpenSSH's own client through the gateway to OpenSSH's own server.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
    thread,
};

use gatewright_e2e::{Mint, approvals, eventually, ssh::Jump};
use gatewright_testbed::{Stage, free_port, make_key, public_key};

const RULES: &str = r#"
[[settings.rules]]
name = "sessions"
requests = ["session", "pty", "signal"]
decision = "allow"

[[settings.rules]]
name = "greeting"
requests = ["env"]
variables = ["GREETING"]
decision = "allow"

[[settings.rules]]
name = "no-removals"
requests = ["exec"]
commands = ["rm **", "touch **"]
decision = "block"
reason = "nothing is removed here"
remedy = "ask for a ticket"

[[settings.rules]]
name = "restarts"
requests = ["exec"]
commands = ["echo restarted"]
decision = "escalate"
reason = "somebody else has to look"
reviewers = ["reviewers"]

[[settings.rules]]
name = "commands"
requests = ["exec", "shell"]
decision = "allow"

[[settings.rules]]
name = "files"
requests = ["subsystem", "file"]
subsystems = ["sftp"]
operations = ["read", "stat", "realpath"]
decision = "allow"
"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(output: &Output) -> (i32, String, String) {
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_command_that_is_allowed_runs_with_its_input_its_output_and_its_status() {
    let jump = Jump::new(RULES).unwrap();
    let (status, out, err) = said(&jump.run("echo out; echo err >&2; exit 3").unwrap());
    assert_eq!((status, &*out, &*err), (3, "out\n", "err\n"));
    let mut client = jump.client("alice", &[]).unwrap();
    let mut client =
        client.args(["127.0.0.1", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // More than all windows together, so that both directions have to wait for each other.
    let megabytes = std::env::var("GATEWRIGHT_MEGABYTES").ok().and_then(|text| text.parse().ok());
    let size = megabytes.unwrap_or(20_u32) * 1_000_000;
    let sent: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
    let mut input = client.stdin.take().unwrap();
    let writer = thread::spawn({
        let sent = sent.clone();
        move || input.write_all(&sent).unwrap()
    });
    let mut back = Vec::new();
    client.stdout.take().unwrap().read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert!(client.wait().unwrap().success());
    assert!(back == sent, "{} of {} bytes came back, or others", back.len(), sent.len());
    eventually("the outcomes are recorded", || {
        let evidence = jump.evidence().unwrap();
        let results: Vec<_> =
            evidence.of("outcome").iter().map(|record| record["result"].clone()).collect();
        // A session and its command, twice.
        results == ["ok", "error", "ok", "ok"]
    });
    let evidence = jump.evidence().unwrap();
    let commands: Vec<_> = evidence.of("decision").iter().map(|record| record["command"].clone()).collect();
    assert_eq!(commands, ["session", "exec a command of a shell", "session", "exec cat"]);
    assert_eq!(evidence.of("outcome")[1]["code"], "exit.3");
    assert!(jump.gateway.verify(&jump.gateway.evidence()).unwrap().status.success());
}

#[test]
fn a_command_that_is_blocked_says_why_and_reaches_nobody() {
    let jump = Jump::new(RULES).unwrap();
    let left = jump.sshd.home().join("left-behind");
    let (status, out, err) = said(&jump.run(&format!("touch {}", left.display())).unwrap());
    assert_eq!((status, &*out), (126, ""));
    assert!(
        err.contains("gatewright: blocked by ssh/no-removals: nothing is removed here; ask for a ticket"),
        "{err}"
    );
    assert!(err.contains("[ssh.denied "), "{err}");
    assert!(!left.exists());
    // Nothing is asked about that no rule names.
    let mut tunnel = jump.client("alice", &[]).unwrap();
    let (status, _, err) = said(&tunnel.args(["-W", "127.0.0.1:22", "127.0.0.1"]).output().unwrap());
    assert!(status != 0 && err.contains("forwarding failed"), "{status} {err}");
    let evidence = jump.evidence().unwrap();
    let decisions = evidence.of("decision");
    let last = decisions.last().unwrap();
    assert_eq!(
        (&last["command"], &last["decision"]),
        (&"direct-tcpip 127.0.0.1:22".into(), &"block".into())
    );
}

#[test]
fn a_command_that_is_escalated_waits_for_a_reviewer_and_its_neighbours_go_on() {
    let jump = Jump::new(RULES).unwrap();
    let socket = jump.stage.directory().join("master");
    let control = format!("ControlPath={}", socket.display());
    let mut master = jump.client("alice", &[]).unwrap();
    let mut master =
        master.args(["-M", "-N", "-o", &control, "127.0.0.1"]).stdout(Stdio::null()).spawn().unwrap();
    eventually("the master is there", || socket.exists());
    let run = |command: &str| {
        let mut client = jump.client("alice", &[]).unwrap();
        client.args(["-o", &control, "127.0.0.1", command]).output().unwrap()
    };
    thread::scope(|scope| {
        let held = scope.spawn(|| run("echo restarted"));
        let id = approvals::wait(&jump.gateway).unwrap();
        for _ in 0..5 {
            assert_eq!(said(&run("echo beside")).1, "beside\n");
        }
        let bob = Mint::person("bob", &["reviewers"]);
        let shown = jump.gateway.approvals(&bob, &["show", &id]).unwrap();
        assert!(text(&shown.stdout).contains("echo restarted"), "{}", text(&shown.stdout));
        let approved = jump.gateway.approvals(&bob, &["approve", &id, "--comment", "ok"]).unwrap();
        assert!(approved.status.success(), "{approved:?}");
        let (status, out, err) = said(&held.join().unwrap());
        assert_eq!((status, &*out), (0, "restarted\n"));
        assert!(err.contains("waiting for a reviewer: somebody else has to look"), "{err}");
    });
    master.kill().unwrap();
    master.wait().unwrap();
}

/// Row A43: each request is one of its own.
#[test]
fn a043_a_variable_a_terminal_and_a_subsystem_are_asked_about_each() {
    let jump = Jump::new(RULES).unwrap();
    let mut client = jump.client("alice", &[]).unwrap();
    client.env("GREETING", "hello").env("LD_PRELOAD_X", "no");
    let output = client
        .args(["-tt", "-o", "SendEnv=GREETING LD_PRELOAD_X", "127.0.0.1"])
        .arg("tty && echo $GREETING ${LD_PRELOAD_X-unset} && stty size")
        .output()
        .unwrap();
    let (status, out, err) = said(&output);
    assert_eq!(status, 0, "{out} {err}");
    assert!(out.contains("/dev/pts/") && out.contains("hello unset"), "{out}");
    let evidence = jump.evidence().unwrap();
    let decided: Vec<_> = evidence
        .of("decision")
        .iter()
        .map(|record| {
            format!("{} {}", record["command"].as_str().unwrap(), record["decision"].as_str().unwrap())
        })
        .collect();
    let terminal = std::env::var("TERM").unwrap_or_default();
    for expected in ["env GREETING allow", "env LD_PRELOAD_X block", "exec a command of a shell allow"] {
        assert!(decided.iter().any(|own| own == expected), "{decided:?}");
    }
    assert!(
        decided.iter().any(|own| own.starts_with("pty ") && own.ends_with(" allow")),
        "{terminal} {decided:?}"
    );
    assert!(!decided.iter().any(|own| own.contains("hello")));
    // sftp works, and another subsystem does not.
    let file = jump.sshd.home().join("file");
    fs::write(&file, "through sftp").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let mut sftp = jump.client_with("sftp", &token).unwrap();
    let copy = jump.stage.directory().join("copy");
    let from = format!("{}@127.0.0.1:{}", jump.sshd.account(), file.display());
    let output = sftp.arg(from).arg(&copy).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(copy).unwrap(), "through sftp");
    let mut other = jump.client("alice", &[]).unwrap();
    let (status, _, err) = said(&other.args(["-s", "127.0.0.1", "netconf"]).output().unwrap());
    assert!(status != 0 && err.contains("blocked by ssh/no-rule"), "{status} {err}");
}

/// Row A42: a way to somewhere else is opened where a rule names the place, and nowhere else.
#[test]
fn a042_a_tunnel_leads_where_a_rule_says() {
    let port = free_port().unwrap();
    let inside = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || {
        for mut stream in inside.incoming().flatten() {
            let _ = stream.write_all(b"inside");
        }
    });
    let rules = format!(
        "{RULES}\n[[settings.rules]]\nname = \"inside\"\nrequests = [\"direct-tcpip\"]\n\
         destinations = [\"127.0.0.1:{port}\"]\ndecision = \"allow\"\n"
    );
    let jump = Jump::new(&rules).unwrap();
    let through = |place: &str| {
        let mut client = jump.client("alice", &[]).unwrap();
        said(&client.args(["-W", place, "127.0.0.1"]).output().unwrap())
    };
    assert_eq!(through(&format!("127.0.0.1:{port}")).1, "inside");
    for other in [format!("localhost:{port}"), format!("127.0.0.1:{}", jump.sshd.port())] {
        let (status, out, err) = through(&other);
        assert!(
            status != 0 && out.is_empty() && err.contains("forwarding failed"),
            "{other}: {status} {out} {err}"
        );
    }
    // Ports of the server, the agent and the display are not passed on, whatever a rule says.
    let mut reverse = jump.client("alice", &[]).unwrap();
    reverse.args(["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "127.0.0.1"]);
    assert!(!reverse.output().unwrap().status.success());
}

/// Row A44: what a name leads to is looked up by the gateway, judged, and what the target is told.
#[test]
fn a044_a_name_leads_to_what_the_gateway_finds() {
    let port = free_port().unwrap();
    let inside = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || {
        for mut stream in inside.incoming().flatten() {
            let _ = stream.write_all(b"inside");
        }
    });
    let tunnels = |more: &str| {
        format!(
            "[[settings.rules]]\nname = \"names\"\nrequests = [\"direct-tcpip\"]\n\
             destinations = [\"localhost:*\", \"*.invalid:*\"]\n{more}\n"
        )
    };
    let jump = Jump::new(&tunnels("decision = \"allow\"")).unwrap();
    let through = |place: &str| {
        let mut client = jump.client("alice", &[]).unwrap();
        said(&client.args(["-W", place, "127.0.0.1"]).output().unwrap())
    };
    let asked = || {
        let evidence = jump.evidence().unwrap();
        let all = evidence.of("decision");
        let shown = |record: &&serde_json::Value| {
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            (text("command"), text("decision"))
        };
        all.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(through(&format!("localhost:{port}")).1, "inside");
    let (by_name, found) = (asked()[0].clone(), asked()[1].clone());
    assert_eq!(by_name, (format!("direct-tcpip localhost:{port}"), "allow".to_owned()));
    assert!(
        found.0.starts_with(&format!("{} at ", by_name.0)) && found.0.contains("127.0.0.1"),
        "{found:?}"
    );
    // A name that nobody has, and what is told about it.
    let (status, out, err) = through(&format!("no-such-name.invalid:{port}"));
    assert!(status != 0 && out.is_empty() && err.contains("forwarding failed"), "{status} {out} {err}");
    eventually("it is on record", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("outcome").iter().any(|record| record["code"] == "net.name_unknown")
    });
    // A rule about the network that it leads to.
    let blocked = "[[settings.rules]]\nname = \"not-here\"\nrequests = [\"direct-tcpip\"]\n\
                   networks = [\"127.0.0.0/8\"]\ndecision = \"block\"\n";
    jump.swap(&format!("{blocked}{}", tunnels("decision = \"allow\""))).unwrap();
    let (status, out, _) = through(&format!("localhost:{port}"));
    assert!(status != 0 && out.is_empty(), "{status} {out}");
    let last: Vec<_> = asked().into_iter().rev().take(2).map(|(_, decision)| decision).collect();
    assert_eq!(last, ["block", "allow"]);
    // Whoever approved of the name has approved of it.
    jump.swap(&tunnels("decision = \"escalate\"\nreviewers = [\"reviewers\"]")).unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| through(&format!("localhost:{port}")));
        let waiting = approvals::wait(&jump.gateway).unwrap();
        let bob = Mint::person("bob", &["reviewers"]);
        approvals::answer(&jump.gateway, "approve", &waiting, &bob).unwrap();
        assert_eq!(client.join().unwrap().1, "inside");
    });
}

/// Row A38: a credential is proved, or there is no session.
#[test]
fn a038_who_proves_nothing_gets_no_channel() {
    let jump = Jump::new(RULES).unwrap();
    let own = jump.stage.directory().join("own");
    make_key(&own).unwrap();
    let mut by_key = jump.client_with("ssh", "none").unwrap();
    let by_key = by_key
        .args(["-o", "PreferredAuthentications=publickey", "-i"])
        .arg(&own)
        .args(["127.0.0.1", "echo in"])
        .output()
        .unwrap();
    let mut by_token = jump.client_with("ssh", "not.a.token").unwrap();
    let by_token = by_token.args(["127.0.0.1", "echo in"]).output().unwrap();
    for output in [by_key, by_token] {
        let (status, out, _) = said(&output);
        assert_eq!((status, &*out), (255, ""));
    }
    // Another account than the gateway's own is none.
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let mut other = jump.client_with("ssh", &token).unwrap();
    let (status, out, err) =
        said(&other.args(["-l", "nobody-else", "127.0.0.1", "echo in"]).output().unwrap());
    assert!(out.is_empty() && status != 0 && err.contains("auth.account_denied"), "{status} {out} {err}");
    eventually("it is on record", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("refused").iter().any(|record| record["code"] == "auth.jwt_malformed")
    });
}

/// Row A47: another host key than the one that is configured gets no credential.
#[test]
fn a047_a_target_with_another_host_key_is_no_target() {
    let stage = Stage::new("keys").unwrap();
    let other = stage.directory().join("other");
    make_key(&other).unwrap();
    let other = public_key(&other).unwrap();
    let jump = Jump::with(RULES, |_, lines| {
        lines.host = format!("host_keys = [\"{other}\"]");
        Ok(())
    })
    .unwrap();
    let (status, out, err) = said(&jump.run("echo in").unwrap());
    assert!(status != 0 && out.is_empty() && err.contains("can not be reached"), "{status} {out} {err}");
    assert!(jump.gateway.log().contains("upstream.hostkey"), "{}", jump.gateway.log());
    eventually("the outcome is recorded", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("outcome").last().is_some_and(|outcome| outcome["result"] == "refused")
    });
}

/// Row A37: what comes before authentication is not heard.
#[test]
fn a037_messages_before_authentication_open_nothing() {
    let jump = Jump::new(RULES).unwrap();
    for garbage in [
        &b"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x5a\x00\x00\x00\x07session"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 4096],
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", jump.port())).unwrap();
        stream.write_all(garbage).unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert!(heard.starts_with(b"SSH-2.0-Gatewright"), "{heard:?}");
    }
    assert_eq!(said(&jump.run("echo still").unwrap()).1, "still\n");
    assert!(jump.evidence().unwrap().of("decision").len() == 2);
}
