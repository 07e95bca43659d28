//! Who SSH clients are, and who targets are: keys, certificates, and several targets behind one listener.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use gatewright_e2e::{Mint, driver::python, eventually, ssh::Jump};
use gatewright_testbed::{free_port, gateway_program, make_key, public_key, sign};

const RULES: &str = r#"
[[settings.rules]]
requests = ["session", "pty", "exec", "direct-tcpip"]
decision = "allow"
"#;

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Keys of a client and of an authority that the gateway trusts.
struct Corp {
    jump: Jump,
    authority: PathBuf,
    key: PathBuf,
}

impl Corp {
    fn new() -> Self {
        let keys = tempfile::tempdir().unwrap().keep();
        let (authority, key) = (keys.join("authority"), keys.join("key"));
        make_key(&authority).unwrap();
        make_key(&key).unwrap();
        let trusted = public_key(&authority).unwrap();
        let jump = Jump::with(RULES, |_, lines| {
            lines.identity = format!(
                "[[identity.ssh_authority]]\nname = \"corp\"\nkeys = [\"{trusted}\"]\ndefault_kind = \"human\"\n"
            );
            Ok(())
        })
        .unwrap();
        Self { jump, authority, key }
    }

    /// Runs a command with a certificate that is made with these options of `ssh-keygen`.
    fn try_with(&self, options: &[&str], command: &[&str]) -> Output {
        let certificate = self.key.with_file_name("key-cert.pub");
        let _ = fs::remove_file(&certificate);
        sign(&self.authority, "alice", options, &self.key).unwrap();
        let mut client = self.jump.client_with_key(&self.key);
        client.args(["-l", self.jump.sshd.account(), "127.0.0.1"]).args(command).output().unwrap()
    }
}

impl Drop for Corp {
    fn drop(&mut self) {
        if let Some(folder) = self.key.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[test]
fn a038_a_key_lets_its_owner_in_and_nobody_else() {
    let keys = tempfile::tempdir().unwrap();
    let (own, other) = (keys.path().join("own"), keys.path().join("other"));
    make_key(&own).unwrap();
    make_key(&other).unwrap();
    let known = public_key(&own).unwrap();
    let jump = Jump::with(RULES, |_, lines| {
        lines.identity = format!(
            "[[identity.ssh_key]]\nkey = \"{known}\"\nsubject = \"ci\"\nkind = \"service\"\ngroups = [\"ci\"]\nactors = [\"runner-7\"]\n"
        );
        Ok(())
    })
    .unwrap();
    let account = jump.sshd.account().to_owned();
    let run = |key: &Path| {
        let mut client = jump.client_with_key(key);
        client.args(["-l", &account, "127.0.0.1", "echo in"]).output().unwrap()
    };
    assert_eq!(said(&run(&own)), (0, "in\n".to_owned(), String::new()));
    // Somebody's key that they do not have: the public half of one, and the private half of another.
    let mixed = keys.path().join("mixed");
    fs::copy(&other, &mixed).unwrap();
    fs::copy(own.with_extension("pub"), mixed.with_extension("pub")).unwrap();
    for key in [&other, &mixed] {
        let (status, out, err) = said(&run(key));
        assert_eq!((status, &*out), (255, ""), "{err}");
        assert!(err.contains("Permission denied"), "{err}");
    }
    eventually("refusals are recorded", || jump.evidence().unwrap().of("refused").len() >= 2);
    let evidence = jump.evidence().unwrap();
    let opened = evidence.of("session_opened");
    assert_eq!(opened.len(), 1);
    assert_eq!((&opened[0]["subject"], &opened[0]["issuer"]), (&"ci".into(), &"ssh:keys".into()));
    assert_eq!(opened[0]["actors"][0], "runner-7");
    assert!(evidence.of("refused").iter().any(|record| record["code"] == "auth.key_unknown"));
}

#[test]
fn a040_certificates_of_an_authority_are_looked_at_whole() {
    let corp = Corp::new();
    let account = corp.jump.sshd.account().to_owned();
    let now = ["-V", "-1m:+5m", "-n"];
    let with = |more: &[&str]| corp.try_with(&[&now[..], more].concat(), &["echo in"]);
    assert_eq!(said(&with(&[&account])), (0, "in\n".to_owned(), String::new()));
    let list = format!("{account},root");
    assert_eq!(said(&with(&[&list])).0, 0, "ssh-keygen makes two principals of it");
    let refused: [(&str, &[&str]); 9] = [
        ("another account", &["-V", "-1m:+5m", "-n", "root"]),
        ("no account", &["-V", "-1m:+5m"]),
        ("a host", &["-h", "-V", "-1m:+5m", "-n", &account]),
        ("expired", &["-V", "-2h:-1h", "-n", &account]),
        ("not yet", &["-V", "+1h:+2h", "-n", &account]),
        ("for ever", &["-n", &account]),
        ("a forced command", &["-V", "-1m:+5m", "-n", &account, "-O", "force-command=/bin/true"]),
        ("from elsewhere", &["-V", "-1m:+5m", "-n", &account, "-O", "source-address=192.0.2.0/24"]),
        ("an unknown option", &["-V", "-1m:+5m", "-n", &account, "-O", "critical:x@example.com=1"]),
    ];
    for (what, options) in refused {
        let (status, out, err) = said(&corp.try_with(options, &["echo in"]));
        assert_eq!((status, &*out), (255, ""), "{what}: {err}");
        assert!(err.contains("Permission denied"), "{what}: {err}");
    }
    let at_home = with(&[&account, "-O", "source-address=127.0.0.0/8"]);
    assert_eq!(said(&at_home).0, 0);
    // What the certificate does not permit, no policy gives.
    let bare = [&account, "-O", "clear", "-O", "no-pty"];
    let mut client = [&now[..], &bare].concat();
    let (_, _, err) = said(&corp.try_with(&client, &["-W", "127.0.0.1:22"]));
    assert!(err.contains("forwarding failed") || err.contains("prohibited"), "{err}");
    client.truncate(client.len() - 2);
    assert_eq!(said(&corp.try_with(&client, &["echo in"])), (0, "in\n".to_owned(), String::new()));
    eventually("refusals are recorded", || {
        let evidence = corp.jump.evidence().unwrap();
        let refused = evidence.of("refused");
        ["auth.cert_principals", "auth.cert_validity", "auth.cert_options"]
            .iter()
            .all(|code| refused.iter().any(|record| record["code"] == *code))
    });
    let evidence = corp.jump.evidence().unwrap();
    let opened = evidence.of("session_opened");
    assert!(opened.iter().all(|record| record["subject"] == "alice" && record["issuer"] == "ssh:corp"));
}

#[test]
fn a_token_becomes_a_certificate_that_is_taken_back_with_it() {
    let jump = Jump::new(RULES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let mint = Mint { actors: &["agent-7"], ..Mint::person("alice", &["sre"]) };
    let token = jump.gateway.token(&mint).unwrap();
    let at = format!("127.0.0.1:{}", jump.port());
    let login = |token: &str, known: &Path| {
        let mut command = Command::new(gateway_program().unwrap());
        command
            .args(["login", "--gateway", &at, "--json", "--key"])
            .arg(&key)
            .arg("--known-hosts")
            .arg(known)
            .env("GATEWRIGHT_TOKEN", token)
            .output()
            .unwrap()
    };
    let known = jump.known_hosts();
    // Nobody is believed the first time, and nobody else is given the token.
    let nowhere = folder.path().join("nowhere");
    let (status, _, err) = said(&login(&token, &nowhere));
    assert!(status == 3 && err.contains("does not say who"), "{err}");
    let stranger = folder.path().join("stranger");
    make_key(&stranger).unwrap();
    fs::write(&nowhere, format!("[127.0.0.1]:{} {}\n", jump.port(), public_key(&stranger).unwrap()))
        .unwrap();
    let (status, _, err) = said(&login(&token, &nowhere));
    assert!(status == 3 && err.contains("another host key"), "{err}");
    let (status, _, err) = said(&login("nonsense", &known));
    assert!(status == 3 && err.contains("does not accept the token"), "{err}");

    let (status, out, err) = said(&login(&token, &known));
    assert_eq!(status, 0, "{err}");
    let made: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(made["subject"], "alice");
    let account = jump.sshd.account().to_owned();
    let run = || {
        let mut client = jump.client_with_key(&key);
        client.args(["-l", &account, "127.0.0.1", "echo in"]).output().unwrap()
    };
    assert_eq!(said(&run()), (0, "in\n".to_owned(), String::new()));
    // With a certificate one does not get another one.
    let mut client = jump.client_with_key(&key);
    let again = client.args(["-l", "gatewright", "127.0.0.1", "certificate"]).output().unwrap();
    assert!(said(&again).2.contains("a certificate is made for a token"), "{again:?}");

    let evidence = jump.evidence().unwrap();
    let issued = evidence.of("certificate_issued");
    assert_eq!(issued.len(), 1);
    assert_eq!((&issued[0]["subject"], &issued[0]["serial"]), (&"alice".into(), &made["serial"]));
    let opened = evidence.of("session_opened");
    assert_eq!((&opened[0]["subject"], &opened[0]["actors"][0]), (&"alice".into(), &"agent-7".into()));
    assert_eq!(opened[0]["credential"], issued[0]["credential"]);
    let credential = issued[0]["credential"].as_str().unwrap().to_owned();
    let revoked = jump
        .gateway
        .ask(
            &Mint::person("olga", &["operators"]),
            &["revocations", "add", "--token", &credential, "--reason", "lost"],
        )
        .unwrap();
    assert!(revoked.status.success(), "{revoked:?}");
    let (status, out, _) = said(&run());
    assert_eq!((status, &*out), (255, ""));
}

#[test]
fn a_user_name_leads_to_one_of_several_targets() {
    let dead = free_port().unwrap();
    let jump = Jump::with(RULES, |sshd, lines| {
        lines.listener = "targets = [\"host\", \"other\"]".to_owned();
        lines.more = format!(
            "[[target]]\nname = \"other\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:{dead}\"\naccount = \"{}\"\n{}\n",
            sshd.account(),
            lines.host
        );
        Ok(())
    })
    .unwrap();
    let account = jump.sshd.account().to_owned();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let run = |user: &str, more: &[&str]| {
        let mut client = jump.client_with("ssh", &token).unwrap();
        said(&client.args(more).args(["-l", user, "127.0.0.1", "echo in"]).output().unwrap())
    };
    for separator in ["%", "+", "@"] {
        assert_eq!(run(&format!("{account}{separator}host"), &[]).1, "in\n", "{separator}");
    }
    let (status, _, err) = run(&format!("{account}%other"), &[]);
    assert!(status == 255 && err.contains("can not be reached"), "{status} {err}");
    for user in [&*account, "root%host", "nobody", &format!("{account}%nowhere")] {
        let (status, out, err) = run(user, &[]);
        assert!(status == 1 && out.is_empty(), "{user}: {status} {out} {err}");
        assert!(err.contains("leads to no target") && err.contains(&format!("{account}%host")), "{err}");
    }
    // Whoever comes without a command is told where one can go.
    let mut client = jump.client_with("ssh", &token).unwrap();
    let help = client.args(["-T", "-l", "gatewright", "127.0.0.1"]).output().unwrap();
    let (status, out, _) = said(&help);
    assert!(status == 0 && out.contains("You are alice (human)") && out.contains("%other"), "{out}");
}

#[test]
fn ssh_jumps_from_the_gateway_to_a_target_by_its_name() {
    let jump = Jump::with(RULES, |_, lines| {
        lines.listener = "targets = [\"host\"]".to_owned();
        Ok(())
    })
    .unwrap();
    let account = jump.sshd.account().to_owned();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let way = |host: &str| {
        let mut outer = jump.client_with("ssh", &token).unwrap();
        outer.args(["-l", "gatewright", "-W", &format!("{host}:22"), "127.0.0.1"]);
        let words: Vec<_> = std::iter::once(outer.get_program())
            .chain(outer.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        format!("ProxyCommand={}", words.join(" "))
    };
    let go = |host: &str, user: &str, command: &str| {
        // It has nothing more to show: who came to the gateway has proved who it is.
        let mut client = jump.client_with_key(Path::new("/nowhere"));
        // The outer one answers with the token, when it is asked.
        let outer = jump.client_with("ssh", &token).unwrap();
        client.envs(outer.get_envs().filter_map(|(name, value)| Some((name, value?))));
        client.args(["-o", &way(host), "-l", user, host, command]);
        client.output().unwrap()
    };
    let (status, out, err) = said(&go("host", &account, "head -c 20000000 /dev/zero | md5sum"));
    assert_eq!(status, 0, "{err}");
    let mut direct = Command::new("sh");
    let direct =
        direct.args(["-c", "head -c 20000000 /dev/zero | md5sum"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(out.as_bytes(), direct.stdout);
    let (status, _, err) = said(&go("host", "root", "id"));
    assert!(status == 255 && err.contains("Permission denied"), "{err}");
    let (status, _, err) = said(&go("127.0.0.1", &account, "id"));
    assert!(status == 255 && err.contains("stdio forwarding failed"), "{err}");
    let evidence = jump.evidence().unwrap();
    let opened = evidence.of("session_opened");
    assert_eq!(opened.len(), 1, "one session, of the inner connection: {opened:?}");
    assert_eq!((&opened[0]["subject"], &opened[0]["target"]), (&"alice".into(), &"host".into()));
}

#[test]
fn a_target_that_trusts_the_gateways_authority_sees_for_whom_it_acts() {
    let jump = Jump::with(RULES, |sshd, lines| {
        lines.login = "certificate = true".to_owned();
        lines.host = format!("host_authorities = [\"{}\"]", sshd.host_authority()?);
        Ok(())
    })
    .unwrap();
    let (status, _, err) = said(&jump.run("id").unwrap());
    assert!(status == 255 && err.contains("can not be reached"), "nobody trusts it yet: {err}");
    let authority = jump.gateway.run(&["ssh-authority"]).unwrap();
    jump.sshd.trust_only(authority.trim()).unwrap();
    assert_eq!(said(&jump.run("echo in").unwrap()), (0, "in\n".to_owned(), String::new()));
    let log = jump.sshd.log().unwrap();
    assert!(log.contains("alice (gatewright "), "{log}");
}

#[test]
fn a047_a_host_is_who_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    let stranger = folder.path().join("stranger");
    make_key(&stranger).unwrap();
    let stranger = public_key(&stranger).unwrap();
    let cases: [(&str, bool); 6] = [
        ("[127.0.0.1]:PORT KEY", true),
        ("@cert-authority [127.0.0.1]:* AUTHORITY", true),
        ("127.0.0.1 KEY\n[127.0.0.1]:PORT STRANGER", false),
        ("[127.0.0.1]:PORT KEY\n@revoked * KEY", false),
        ("@cert-authority * STRANGER", false),
        ("@cert-authority * AUTHORITY\n@revoked * AUTHORITY", false),
    ];
    for (text, is_known) in cases {
        let jump = Jump::with(RULES, |sshd, lines| {
            let text = text
                .replace("PORT", &sshd.port().to_string())
                .replace("KEY", &sshd.host_key()?)
                .replace("AUTHORITY", &sshd.host_authority()?)
                .replace("STRANGER", &stranger);
            fs::write(&file, text).unwrap();
            lines.host = format!("known_hosts = \"{}\"", file.display());
            Ok(())
        })
        .unwrap();
        let (status, out, err) = said(&jump.run("echo in").unwrap());
        assert_eq!((status == 0, out == "in\n"), (is_known, is_known), "{text}: {err}");
        // No credential was shown to a stranger.
        let log = jump.sshd.log().unwrap();
        assert_eq!(log.contains("Accepted publickey"), is_known, "{log}");
    }
}

#[test]
fn openssh_uses_what_ssh_config_writes() {
    let jump = Jump::new(RULES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("gw");
    let key = folder.path().join("key");
    let (output_text, key_text) = (output.display().to_string(), key.display().to_string());
    let written = jump
        .gateway
        .attempt(&["ssh-config", "--output", &output_text, "--key", &key_text, "--listener", "ssh"])
        .unwrap();
    assert!(written.status.success(), "{written:?}");
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let at = format!("127.0.0.1:{}", jump.port());
    let mut login = Command::new(gateway_program().unwrap());
    login.args(["login", "--gateway", &at, "--key", &key_text, "--known-hosts"]);
    let login = login.arg(output.join("known_hosts")).env("GATEWRIGHT_TOKEN", token).output().unwrap();
    assert!(login.status.success(), "{login:?}");
    let mut client = Command::new("ssh");
    client.arg("-F").arg(output.join("config")).args(["host", "echo in"]).stdin(Stdio::null());
    assert_eq!(said(&client.output().unwrap()), (0, "in\n".to_owned(), String::new()));
}

/// What one attempt proves counts for that attempt, and guesses are few.
#[test]
fn a039_nothing_is_carried_from_one_attempt_to_the_next() {
    let keys = tempfile::tempdir().unwrap();
    let own = keys.path().join("own");
    make_key(&own).unwrap();
    let known = public_key(&own).unwrap();
    let jump = Jump::with(RULES, |_, lines| {
        lines.identity =
            format!("[[identity.ssh_key]]\nkey = \"{known}\"\nsubject = \"ci\"\nkind = \"service\"\n");
        Ok(())
    })
    .unwrap();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let output = Command::new(python().unwrap())
        .args(["-c", ATTEMPTS])
        .args([&jump.port().to_string(), jump.sshd.account(), &token])
        .arg(&own)
        .output()
        .unwrap();
    let (status, out, err) = said(&output);
    assert_eq!((status, &*out), (0, "all is well\n"), "{err}");
    let evidence = jump.evidence().unwrap();
    let subjects: Vec<_> =
        evidence.of("session_opened").iter().map(|record| record["subject"].clone()).collect();
    assert_eq!(subjects, ["ci"], "alice has proved herself nowhere that a session was opened");
}

const ATTEMPTS: &str = r#"
import sys, paramiko
port, account, token, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
key = paramiko.Ed25519Key.from_private_key_file(path)
def connect():
    transport = paramiko.Transport(("127.0.0.1", port))
    transport.start_client()
    return transport
def refused(attempt):
    try:
        left = attempt()
        assert False, left
    except paramiko.AuthenticationException:
        pass
# A wrong token in one name, and a right key in another: the key counts, and so does its name.
client = connect()
refused(lambda: client.auth_password("root", "nonsense"))
assert client.auth_publickey(account, key) == []
channel = client.open_session()
channel.exec_command("echo in")
assert channel.recv(10) == b"in\n"
# Who is in does not become somebody else.
message = paramiko.Message()
message.add_byte(bytes([50]))
for text in ("root", "ssh-connection", "password"):
    message.add_string(text)
message.add_boolean(False)
message.add_string(token)
client._send_message(message)
other = client.open_session()
other.exec_command("echo in")
assert other.recv(10) == b"in\n"
client.close()
# In a name that leads nowhere, a right key lets in to nothing.
client = connect()
assert client.auth_publickey("root", key) == []
channel = client.open_session()
channel.exec_command("echo in")
assert channel.recv(10) == b"" and channel.recv_exit_status() == 1
client.close()
# Guesses are few.
client = connect()
tries = 0
try:
    while tries < 20 and client.is_active():
        tries += 1
        refused(lambda: client.auth_password(account, "guess %d" % tries))
except (paramiko.SSHException, EOFError):
    pass
# The one behind the last hears of the end.
assert 6 <= tries <= 8, tries
print("all is well")
"#;

/// What a client calls itself is a name and nothing else, and where it comes from is what the socket says.
#[test]
fn a049_names_are_no_options_and_addresses_are_no_claims() {
    let jump = Jump::new(RULES).unwrap();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let output = Command::new(python().unwrap())
        .args(["-c", NAMES])
        .args([&jump.port().to_string(), jump.sshd.account(), &token])
        .output()
        .unwrap();
    let (status, out, err) = said(&output);
    assert_eq!((status, &*out), (0, "all is well\n"), "{err}");
    // Somebody who pretends to be a load balancer in front of somebody else.
    let mut pretender = std::net::TcpStream::connect(("127.0.0.1", jump.port())).unwrap();
    std::io::Write::write_all(&mut pretender, b"PROXY TCP4 203.0.113.9 127.0.0.1 1 22\r\nSSH-2.0-x\r\n")
        .unwrap();
    drop(pretender);
    eventually("it is turned away", || !jump.evidence().unwrap().of("refused").is_empty());
    let evidence = jump.evidence().unwrap();
    for record in evidence.of("refused").iter().chain(&evidence.of("session_opened")) {
        assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
    }
    let opened = evidence.of("session_opened");
    assert!(opened.is_empty(), "no such name leads to a target: {opened:?}");
}

const NAMES: &str = r#"
import sys, paramiko
port, account, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
names = ["-oProxyCommand=id", "%h", account + "%", account + "%host%host", account + "\n", account + "\0", " " + account,
         account + "%host ", "root@" + account, account + "+HOST", "\u202e" + account, "x" * 5000, ""]
for name in names:
    transport = paramiko.Transport(("127.0.0.1", port))
    transport.start_client()
    assert transport.auth_password(name, token) == [], name
    channel = transport.open_session()
    channel.exec_command("echo in")
    assert channel.recv(10) == b"", name
    said = channel.makefile_stderr().read()
    assert b"leads to no target" in said and said.count(b"\n") == 1 and b"\0" not in said, (name, said)
    assert channel.recv_exit_status() == 1
    transport.close()
print("all is well")
"#;

/// Whoever is taken back gets no certificate, though their connection to the gateway itself is open.
#[test]
fn a009_nobody_is_certified_who_was_taken_back() {
    let jump = Jump::with(RULES, |_, lines| {
        lines.listener = "targets = [\"host\"]".to_owned();
        Ok(())
    })
    .unwrap();
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    make_key(&key).unwrap();
    let control = jump.stage.directory().join("gate");
    let token = jump.gateway.token(&Mint::person("nora", &[])).unwrap();
    let mut gate = jump.client_with("ssh", &token).unwrap();
    gate.args(["-M", "-N", "-l", "gatewright", "-S"]).arg(&control).arg("127.0.0.1");
    let mut gate = gate.stdin(Stdio::null()).spawn().unwrap();
    let certify = || {
        let mut client = Command::new("ssh");
        client.args(["-F", "none", "-S"]).arg(&control).args([
            "-l",
            "gatewright",
            "127.0.0.1",
            "certificate",
        ]);
        said(&client.stdin(fs::File::open(key.with_extension("pub")).unwrap()).output().unwrap())
    };
    eventually("the connection is open", || control.exists());
    let (status, out, err) = certify();
    assert!(status == 0 && out.starts_with("ssh-ed25519-cert"), "{err}");
    let olga = Mint::person("olga", &["operators"]);
    let revoke = ["revocations", "add", "--subject", "nora", "--reason", "left"];
    assert!(jump.gateway.ask(&olga, &revoke).unwrap().status.success());
    let (status, out, err) = certify();
    assert!(status == 1 && out.is_empty() && err.contains("[auth.revoked]"), "{out} {err}");
    gate.kill().unwrap();
    gate.wait().unwrap();
    assert_eq!(jump.evidence().unwrap().of("certificate_issued").len(), 1);
}
