//! What leads from a target back to the client: ports, sockets, the agent. And one connection for several programs.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::{Child, Command, Output, Stdio},
    thread,
};

use gatewright_e2e::{Mint, approvals, eventually, ssh::Jump};
use gatewright_testbed::{free_port, make_key};

const RULES: &str = r#"
[[settings.rules]]
name = "commands"
requests = ["session", "exec", "signal"]
decision = "allow"

[[settings.rules]]
name = "ports"
requests = ["tcpip-forward"]
destinations = ["localhost:*"]
groups = ["devs"]
decision = "allow"

[[settings.rules]]
name = "asked"
requests = ["tcpip-forward"]
destinations = ["localhost:*"]
groups = ["careful"]
decision = "escalate"
reason = "the host gets a way to you"
reviewers = ["reviewers"]

[[settings.rules]]
name = "sockets-and-keys"
requests = ["streamlocal-forward", "agent-forwarding", "x11"]
groups = ["devs"]
decision = "allow"
"#;

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A client that goes on until it is ended.
struct Going(Child);

impl Going {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers each connection with what it sent, in capitals.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut said = Vec::new();
            client.read_to_end(&mut said).unwrap();
            let _ = client.write_all(&said.to_ascii_uppercase());
        }
    });
    port
}

fn through_port(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"hello").ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut back = String::new();
    stream.read_to_string(&mut back).ok()?;
    Some(back)
}

fn decisions(jump: &Jump, command: &str) -> Vec<String> {
    let evidence = jump.evidence().unwrap();
    let all = evidence.of("decision");
    let of = all.iter().filter(|record| record["command"].as_str().unwrap().starts_with(command));
    of.map(|record| record["decision"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a042_a_port_of_the_target_leads_to_the_client_where_a_policy_allows_it() {
    let jump = Jump::new(RULES).unwrap();
    let (listening, behind) = (free_port().unwrap(), echo());
    let way = format!("{listening}:127.0.0.1:{behind}");
    let mut refused = jump.client("alice", &["others"]).unwrap();
    let output = refused.args(["-o", "ExitOnForwardFailure=yes", "-R", &way, "127.0.0.1", "true"]).output();
    let (status, _, err) = said(&output.unwrap());
    assert!(status == 255 && err.contains("remote port forwarding failed"), "{status} {err}");
    assert_eq!(decisions(&jump, "tcpip-forward"), ["block"]);
    assert!(through_port(listening).is_none());

    let mut client = jump.client("alice", &["devs"]).unwrap();
    let client =
        Going::start(client.args(["-o", "ExitOnForwardFailure=yes", "-N", "-R", &way, "127.0.0.1"]));
    eventually("the target listens", || through_port(listening).as_deref() == Some("HELLO"));
    assert_eq!(through_port(listening).as_deref(), Some("HELLO"));
    assert_eq!(decisions(&jump, &format!("tcpip-forward localhost:{listening}")), ["block", "allow"]);
    // It listens for as long as somebody is there to answer.
    drop(client);
    eventually("the target listens no more", || through_port(listening).is_none());
}

#[test]
fn a_port_waits_for_a_reviewer_while_the_connection_goes_on() {
    let jump = Jump::new(RULES).unwrap();
    let (listening, behind) = (free_port().unwrap(), echo());
    let control = jump.stage.directory().join("master");
    let mut master = jump.client("alice", &["careful"]).unwrap();
    master.args(["-M", "-N", "-S"]).arg(&control).args(["-o", "ServerAliveInterval=1"]);
    let _master = Going::start(master.arg("127.0.0.1"));
    let of_master = |more: &[&str]| {
        let mut client = Command::new("ssh");
        client.args(["-F", "none", "-S"]).arg(&control).args(more).stdin(Stdio::null());
        client
    };
    eventually("the connection is open", || {
        of_master(&["-O", "check", "127.0.0.1"]).output().unwrap().status.success()
    });
    let way = format!("{listening}:127.0.0.1:{behind}");
    let asking = of_master(&["-O", "forward", "-R", &way, "127.0.0.1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let waiting = approvals::wait(&jump.gateway).unwrap();
    // Keepalives are answered behind it, and other programs run.
    for _ in 0..3 {
        let output = of_master(&["127.0.0.1", "echo in; sleep 1"]).output().unwrap();
        assert_eq!(said(&output).1, "in\n");
    }
    let bob = Mint::person("bob", &["reviewers"]);
    let answered = approvals::answer(&jump.gateway, "approve", &waiting, &bob).unwrap();
    assert!(answered.status.success(), "{answered:?}");
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    eventually("the target listens", || through_port(listening).as_deref() == Some("HELLO"));
    assert!(of_master(&["-O", "cancel", "-R", &way, "127.0.0.1"]).output().unwrap().status.success());
    eventually("the target listens no more", || through_port(listening).is_none());
    let output = of_master(&["127.0.0.1", "echo in"]).output().unwrap();
    assert_eq!(said(&output).1, "in\n", "the connection goes on");
}

#[test]
fn a_socket_of_the_target_leads_to_the_client() {
    let jump = Jump::new(RULES).unwrap();
    let (socket, behind) = (jump.sshd.home().join("socket"), echo());
    let way = format!("{}:127.0.0.1:{behind}", socket.display());
    let mut client = jump.client("alice", &["devs"]).unwrap();
    let _client = Going::start(client.args(["-N", "-R", &way, "127.0.0.1"]));
    eventually("the target listens", || UnixStream::connect(&socket).is_ok());
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "HELLO");
    assert_eq!(decisions(&jump, "streamlocal-forward"), ["allow"]);
}

#[test]
fn a042_an_agent_is_for_those_who_may_forward_it() {
    let jump = Jump::new(RULES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (key, socket) = (folder.path().join("key"), folder.path().join("agent"));
    make_key(&key).unwrap();
    let mut agent = Command::new("ssh-agent");
    let _agent = Going::start(agent.arg("-D").arg("-a").arg(&socket));
    eventually("the agent listens", || UnixStream::connect(&socket).is_ok());
    let added = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    assert!(added.status.success(), "{added:?}");
    let ask = |group: &str| {
        // Of options that are given twice, the first counts.
        let base = jump.client("alice", &[group]).unwrap();
        let mut client = Command::new("ssh");
        let agent = format!("IdentityAgent={}", socket.display());
        client.args(["-A", "-o", &agent]).args(base.get_args()).stdin(Stdio::null());
        client.envs(base.get_envs().filter_map(|(name, value)| Some((name, value?))));
        said(&client.args(["127.0.0.1", "ssh-add -l; echo $?"]).output().unwrap())
    };
    let (status, out, err) = ask("devs");
    assert!(status == 0 && out.contains("ED25519"), "{out} {err}");
    let (_, out, err) = ask("others");
    assert!(out.ends_with("2\n") && !out.contains("ED25519"), "{out} {err}");
    assert_eq!(decisions(&jump, "agent-forwarding"), ["allow", "block"]);
    let _ = fs::remove_file(&socket);
}

/// What OpenSSH's server tells a program about its display is what reaches the client's own: with the cookie that was agreed on.
#[test]
fn a042_a_display_is_for_those_who_may_forward_it() {
    let jump = Jump::new(RULES).unwrap();
    let (display, number) = (6100..6400)
        .find_map(|port| Some((TcpListener::bind(("127.0.0.1", port)).ok()?, port - 6000)))
        .unwrap();
    // A display that greets whoever was let in by the client, with how much of a greeting it had of them.
    thread::spawn(move || {
        for client in display.incoming() {
            let mut client = client.unwrap();
            let mut setup = [0; 12 + 20 + 16];
            let greeting = client.read_exact(&mut setup).map(|()| u8::from(setup.ends_with(&[0; 16])));
            let _ = client.write_all(format!("display {greeting:?}").as_bytes());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let show = |group: &str, cookie: &str| {
        let base = jump.client("alice", &[group]).unwrap();
        let mut client = Command::new("ssh");
        client.args(["-Y"]).args(base.get_args()).stdin(Stdio::null());
        client.envs(base.get_envs().filter_map(|(name, value)| Some((name, value?))));
        client.env("DISPLAY", format!("127.0.0.1:{number}"));
        client.env("XAUTHORITY", folder.path().join("xauthority"));
        // The message that opens a connection to a display: the X protocol 11, section 8.
        let program = format!(
            "test -n \"$DISPLAY\" || {{ echo no display; exit 3; }}; cookie={cookie}; \
             python3 -c 'import os, socket, struct, sys; number = os.environ[\"DISPLAY\"].split(\":\")[1].split(\".\")[0]; \
             display = socket.create_connection((\"127.0.0.1\", 6000 + int(number))); name = b\"MIT-MAGIC-COOKIE-1\"; \
             display.sendall(struct.pack(\"<BxHHHHxx\", 0x6c, 11, 0, len(name), 16) + name + b\"\\0\\0\" + bytes.fromhex(sys.argv[1])); \
             print(display.recv(100))' $cookie"
        );
        said(&client.args(["127.0.0.1", &program]).output().unwrap())
    };
    let agreed = "$(xauth list \"$DISPLAY\" | sed -n \"1s/.* //p\")";
    let (status, out, err) = show("devs", agreed);
    assert!(status == 0 && out.contains("display Ok(0)"), "{status} {out} {err}");
    // Another cookie is refused by the client itself, which is how it knows its display's guests.
    let (_, out, err) = show("devs", "00000000000000000000000000000000");
    assert!(!out.contains("display Ok"), "{out} {err}");
    let (status, out, err) = show("others", agreed);
    assert_eq!((status, &*out), (3, "no display\n"), "{err}");
    assert_eq!(decisions(&jump, "x11"), ["allow", "allow", "block"]);
}
