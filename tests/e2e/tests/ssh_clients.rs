//! Other clients than OpenSSH's, and programs that use it.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use gatewright_e2e::{Mint, driver::python, ssh::Jump};
use gatewright_testbed::{make_key, public_key};

const RULES: &str = r#"
[[settings.rules]]
name = "sessions"
requests = ["session", "subsystem", "file", "pty"]
decision = "allow"

[[settings.rules]]
name = "fetching"
requests = ["exec"]
commands = ["git-upload-pack **", "id", "cat"]
decision = "allow"

[[settings.rules]]
name = "machines"
requests = ["exec"]
groups = ["automation"]
decision = "allow"
"#;

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The command line of OpenSSH's client, and what it needs around it.
fn as_shell(client: &Command) -> String {
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy());
    let environment = client.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let environment =
        environment.map(|(name, value)| format!("{}={}", name.to_string_lossy(), quoted(value)));
    let words = std::iter::once(client.get_program()).chain(client.get_args()).map(quoted);
    format!("env {}", environment.chain(words).collect::<Vec<_>>().join(" "))
}

#[test]
fn git_fetches_where_it_may_and_pushes_where_it_may_not() {
    let jump = Jump::new(RULES).unwrap();
    let repository = jump.sshd.home().join("repository");
    let work = jump.stage.directory().join("work");
    let setup = format!(
        "git init -q -b main {0} && cd {0} && git config user.email a@example.com && git config user.name A && \
         echo one > file && git add file && git commit -qm one && cd / && chown -R {1} {0}",
        repository.display(),
        jump.sshd.account()
    );
    let made = Command::new("sh").args(["-c", &setup]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let ssh = as_shell(&jump.client("alice", &[]).unwrap());
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.email=a@example.com", "-c", "user.name=A"]).args(words);
        git.env("GIT_SSH_COMMAND", &ssh).env("GIT_SSH_VARIANT", "simple").stdin(Stdio::null());
        said(&git.output().unwrap())
    };
    let at = format!("127.0.0.1:{}", repository.display());
    let (status, _, err) = git(&["clone", "-q", &at, &work.display().to_string()]);
    assert_eq!((status, fs::read_to_string(work.join("file")).unwrap()), (0, "one\n".to_owned()), "{err}");
    let work = work.display().to_string();
    assert_eq!(git(&["-C", &work, "commit", "-q", "--allow-empty", "-m", "two"]).0, 0);
    let (status, _, err) = git(&["-C", &work, "push", "-q", "origin", "HEAD:other"]);
    assert!(status != 0 && err.contains("blocked by"), "{status} {err}");
    let mut branches = Command::new("git");
    branches.args(["-c", "safe.directory=*", "-C"]).arg(&repository).arg("branch");
    assert_eq!(said(&branches.output().unwrap()).1.trim(), "* main");
}

#[test]
fn curl_speaks_sftp_by_libssh2() {
    let version = Command::new("curl").arg("--version").output().unwrap();
    if !said(&version).1.contains("libssh2") {
        return;
    }
    let jump = Jump::new(RULES).unwrap();
    let file = jump.sshd.home().join("file");
    fs::write(&file, "content").unwrap();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let url = format!("sftp://127.0.0.1:{}{}", jump.port(), file.display());
    let user = format!("{}:{token}", jump.sshd.account());
    let mut curl = Command::new("curl");
    let curl = curl.args(["-sS", "--insecure", "--user", &user, &url]).stdin(Stdio::null());
    assert_eq!(said(&curl.output().unwrap()), (0, "content".to_owned(), String::new()));
}

#[test]
fn ansible_works_through_the_gateway() {
    // A machine has a key: it answers no questions.
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    make_key(&key).unwrap();
    let public = public_key(&key).unwrap();
    let jump = Jump::with(RULES, |_, lines| {
        lines.identity = format!(
            "[[identity.ssh_key]]\nkey = \"{public}\"\nsubject = \"ansible\"\nkind = \"service\"\ngroups = [\"automation\"]\n"
        );
        Ok(())
    })
    .unwrap();
    let folder = jump.stage.directory();
    let program = python().unwrap().with_file_name("ansible");
    let client = jump.client_with_key(&key);
    let arguments: Vec<String> =
        client.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let inventory = folder.join("inventory");
    fs::write(
        &inventory,
        format!(
            "host ansible_host=127.0.0.1 ansible_user={} ansible_remote_tmp={}/ansible ansible_python_interpreter=/usr/bin/python3\n",
            jump.sshd.account(),
            jump.sshd.home().display()
        ),
    )
    .unwrap();
    let mut ansible = Command::new(&program);
    ansible.args(["-i", &inventory.display().to_string(), "all", "-m"]);
    ansible.args(["copy", "-a"]).arg(format!("content=made dest={}/made", jump.sshd.home().display()));
    ansible.env("ANSIBLE_SSH_ARGS", arguments.join(" ")).env("ANSIBLE_LOCAL_TEMP", folder.join("ansible"));
    ansible.env("HOME", folder).env("ANSIBLE_NOCOLOR", "1").stdin(Stdio::null());
    let output = ansible.output();
    let (status, out, err) = said(&output.unwrap());
    assert_eq!(status, 0, "{out} {err}");
    assert_eq!(fs::read_to_string(jump.sshd.home().join("made")).unwrap(), "made");
}

/// A key, a certificate and a token; a command with its input, its output and its status; a refusal.
#[test]
fn programs_in_python_are_clients_like_others() {
    let jump = Jump::new(RULES).unwrap();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    for (name, script) in [("paramiko", PARAMIKO), ("asyncssh", ASYNCSSH)] {
        let output = Command::new(python().unwrap())
            .args(["-c", script])
            .args([&jump.port().to_string(), jump.sshd.account(), &token])
            .output()
            .unwrap();
        let (status, out, err) = said(&output);
        assert_eq!((status, &*out), (0, "all is well\n"), "{name}: {err}");
    }
}

const PARAMIKO: &str = r#"
import sys, paramiko
port, account, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", port, account, token, allow_agent=False, look_for_keys=False)
stdin, stdout, stderr = client.exec_command("cat")
sent = b"x" * 3_000_000
stdin.write(sent)
stdin.channel.shutdown_write()
assert stdout.read() == sent
assert stdout.channel.recv_exit_status() == 0
stdin, stdout, stderr = client.exec_command("rm -rf /")
assert b"blocked by" in stderr.read()
assert stdout.channel.recv_exit_status() == 126
try:
    client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1))
    sys.exit("a tunnel was opened")
except paramiko.ChannelException as error:
    assert error.code == 1, error
try:
    client.get_transport().open_channel("x11", None, ("127.0.0.1", 1))
    sys.exit("a display was opened")
except paramiko.ChannelException:
    pass
client.close()
print("all is well")
"#;

const ASYNCSSH: &str = r#"
import sys, asyncio, asyncssh
port, account, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
async def main():
    async with asyncssh.connect("127.0.0.1", port, username=account, password=token, known_hosts=None,
                                client_keys=None, agent_path=None) as client:
        many = await asyncio.gather(*(client.run("cat", input=str(number) * 100_000) for number in range(10)))
        assert [done.stdout[0] for done in many] == [str(number) for number in range(10)]
        assert all(len(done.stdout) == 100_000 for done in many)
        blocked = await client.run("rm -rf /")
        assert blocked.exit_status == 126 and "blocked by" in blocked.stderr, blocked
        try:
            await client.open_connection("127.0.0.1", 22)
            sys.exit("a tunnel was opened")
        except asyncssh.ChannelOpenError as error:
            assert error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, error
        # A listener is refused, too: nobody was asked for a port.
        try:
            listener = await client.forward_remote_port("localhost", 0, "127.0.0.1", 22)
            sys.exit("a port was opened")
        except asyncssh.ChannelListenError:
            pass
asyncio.run(main())
print("all is well")
"#;

/// Threats A48: what is refused leaves nothing behind, however often it is asked for.
#[test]
fn a048_forwards_that_are_refused_are_forgotten() {
    let jump = Jump::new(RULES).unwrap();
    let token = jump.gateway.token(&Mint::person("alice", &[])).unwrap();
    let resident = || {
        let statm = fs::read_to_string(format!("/proc/{}/statm", jump.gateway.pid())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    };
    let before = resident();
    let mut client = Command::new(python().unwrap())
        .args(["-c", FORWARDS])
        .args([&jump.port().to_string(), jump.sshd.account(), &token])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = std::io::BufReader::new(client.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut said).unwrap();
    assert_eq!(said, "asked\n");
    // Kept, the addresses alone would be 120 MB.
    let grown = resident().saturating_sub(before);
    assert!(grown < 60_000, "{grown} KiB");
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
}

const FORWARDS: &str = r#"
import sys, paramiko
port, account, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
transport = paramiko.Transport(("127.0.0.1", port))
transport.start_client()
transport.auth_password(account, token)
for number in range(4000):
    assert transport.global_request("tcpip-forward", ("x" * 30000, 1000 + number), wait=True) is None
print("asked", flush=True)
sys.stdin.read()
"#;
