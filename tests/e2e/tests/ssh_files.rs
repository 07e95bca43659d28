//! Files through the gateway: OpenSSH's clients, rsync, paramiko and AsyncSSH, to OpenSSH's own server.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use gatewright_e2e::{Mint, approvals, driver::python, eventually, evidence::Evidence, ssh::Jump};
use serde_json::Value;

/// A gateway, and folders of the account's: `in`, which may be changed, and `secret`, which may not even be read.
struct Files {
    jump: Jump,
    home: PathBuf,
    /// The client's own.
    local: PathBuf,
}

impl Files {
    fn new() -> Self {
        let jump = Jump::with_rules_for(|home| rules(&home.display().to_string())).unwrap();
        let home = jump.sshd.home().to_owned();
        let local = jump.stage.directory().join("local");
        fs::create_dir(&local).unwrap();
        for name in ["in", "secret", "kept"] {
            let folder = home.join(name);
            fs::create_dir(&folder).unwrap();
            // The account is somebody else's.
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::write(home.join("secret/key"), "hunter2").unwrap();
        fs::write(home.join("kept/file"), "kept").unwrap();
        symlink(home.join("secret"), home.join("in/link")).unwrap();
        Self { jump, home, local }
    }

    fn token(&self) -> String {
        self.jump.gateway.token(&Mint::person("alice", &["analysts"])).unwrap()
    }

    fn client(&self, program: &str) -> Command {
        self.jump.client_with(program, &self.token()).unwrap()
    }

    /// Runs a batch of `sftp`'s, each line of which may fail.
    fn sftp(&self, batch: &str) -> Output {
        let mut client = self.client("sftp");
        client
            .args(["-o", "BatchMode=no", "-b", "-"])
            .arg(format!("{}@127.0.0.1", self.jump.sshd.account()));
        let batch: String = batch.lines().map(|line| format!("-{}\n", line.trim())).collect();
        let batch = batch.replace("HOME", &self.home.display().to_string());
        let batch = batch.replace("LOCAL", &self.local.display().to_string());
        let spawned = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap();
        child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Where `scp` and `rsync` find a file of the account's.
    fn remote(&self, name: &str) -> String {
        format!("{}@127.0.0.1:{}", self.jump.sshd.account(), self.home.join(name).display())
    }

    /// Decisions about files and commands, with what became of them, without the folder that all is in.
    fn decided(&self) -> Vec<String> {
        let evidence = self.jump.evidence().unwrap();
        let home = format!("{}/", self.home.display());
        evidence
            .of("decision")
            .iter()
            .map(|record| {
                let command = record["command"].as_str().unwrap().replace(&home, "");
                format!("{command}: {}", record["decision"].as_str().unwrap())
            })
            .filter(|line| line.starts_with("file") || line.starts_with("exec"))
            .collect()
    }

    /// The outcome of the last event about this.
    fn outcome(&self, command: &str) -> Value {
        let command = command.replace("HOME", &self.home.display().to_string());
        let mut found = Value::Null;
        eventually("the outcome is recorded", || {
            let evidence = self.jump.evidence().unwrap();
            found = outcome_of(&evidence, &command).unwrap_or_default();
            found != Value::Null
        });
        found
    }
}

fn outcome_of(evidence: &Evidence, command: &str) -> Option<Value> {
    let decisions = evidence.of("decision");
    let decision = decisions.iter().rev().find(|record| record["command"] == command)?;
    let outcomes = evidence.of("outcome");
    let own =
        |record: &&&Value| record["event"] == decision["event"] && record["session"] == decision["session"];
    outcomes.iter().find(own).map(|outcome| (*outcome).clone())
}

fn rules(home: &str) -> String {
    format!(
        r#"
[[settings.rules]]
name = "sessions"
requests = ["session", "subsystem", "signal", "env"]
decision = "allow"

[[settings.rules]]
name = "looking"
requests = ["file"]
operations = ["realpath", "stat", "statvfs"]
decision = "allow"

[[settings.rules]]
name = "kept"
requests = ["file"]
operations = ["remove"]
paths = ["{home}/kept/**"]
decision = "escalate"
reason = "somebody else has to look"
reviewers = ["reviewers"]

[[settings.rules]]
name = "no-secrets"
requests = ["file"]
paths = ["{home}/secret/**"]
decision = "block"
reason = "nothing is done with secrets"
remedy = "ask for a ticket"

[[settings.rules]]
name = "files"
requests = ["file"]
paths = ["{home}/in/**"]
decision = "allow"

[[settings.rules]]
name = "copies"
requests = ["exec"]
transfers = ["read", "write"]
paths = ["{home}/in/**"]
decision = "allow"
"#
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).split(' ').next().unwrap().to_owned()
}

/// More than all windows together, and not the same everywhere.
fn large(file: &Path) {
    let content: Vec<u8> =
        (0..24_000_011_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(file, content).unwrap();
}

#[test]
fn each_operation_is_decided_and_recorded() {
    let files = Files::new();
    fs::write(files.local.join("a"), "hello").unwrap();
    let output = files.sftp(
        "put LOCAL/a HOME/in/a
        ls HOME/in
        rename HOME/in/a HOME/in/b
        mkdir HOME/in/d
        chmod 600 HOME/in/b
        ln -s b HOME/in/s
        ln HOME/in/b HOME/in/h
        get HOME/in/b LOCAL/b
        rm HOME/in/h
        rmdir HOME/in/d
        df HOME/in",
    );
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("/in/link"), "{out} {err}");
    assert_eq!(err, "", "{out}");
    assert_eq!(fs::read_to_string(files.local.join("b")).unwrap(), "hello");
    assert_eq!(fs::read_link(files.home.join("in/s")).unwrap(), Path::new("b"));
    assert!(!files.home.join("in/h").exists() && !files.home.join("in/d").exists());
    let decided = files.decided();
    for expected in [
        "file write in/a: allow",
        "file list in: allow",
        "file rename in/a to in/b: allow",
        "file mkdir in/d: allow",
        "file setstat in/b: allow",
        "file symlink in/s to in/b: allow",
        "file hardlink in/b to in/h: allow",
        "file read in/b: allow",
        "file remove in/h: allow",
        "file rmdir in/d: allow",
        "file statvfs in: allow",
    ] {
        assert!(decided.iter().any(|own| own == expected), "{expected}: {decided:#?}");
    }
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let written = files.outcome("file write HOME/in/a");
    assert_eq!((&written["result"], &written["bytes_written"]), (&"ok".into(), &5.into()));
    assert_eq!(written["written_sha256"], hello);
    let read = files.outcome("file read HOME/in/b");
    assert_eq!((&read["bytes_read"], &read["read_sha256"]), (&5.into(), &hello.into()));
    let verified = files.jump.gateway.verify(&files.jump.gateway.evidence()).unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

/// Row A46: there is no spelling of a path, and no second name, that gets around its rule.
#[test]
fn a046_what_is_blocked_is_blocked_however_it_is_written() {
    let files = Files::new();
    fs::write(files.local.join("a"), "mine").unwrap();
    let output = files.sftp(
        "get HOME/secret/key LOCAL/0
        get HOME/in/../secret/key LOCAL/1
        get HOME/in/link/key LOCAL/2
        get HOME/in/link/../secret/key LOCAL/3
        get HOME//secret/./key LOCAL/4
        cd HOME/in
        get ../secret/key LOCAL/5
        get link/key LOCAL/6
        put LOCAL/a HOME/in/link/new
        put LOCAL/a HOME/secret/key
        put LOCAL/a /tmp/gatewright-was-here
        rm HOME/in/link/key
        rename HOME/secret/key HOME/in/key
        ln HOME/secret/key HOME/in/key
        ln -s HOME/secret/key HOME/in/key
        ln -s ../secret/key HOME/in/key
        chmod 777 HOME/in/link/key
        ls HOME/secret
        ls HOME/in/link/
        get HOME/kept/file LOCAL/7",
    );
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    for name in 0..8 {
        let got = fs::read_to_string(files.local.join(name.to_string())).unwrap_or_default();
        assert_eq!(got, "", "{name}: {out} {err}");
    }
    assert_eq!(fs::read_to_string(files.home.join("secret/key")).unwrap(), "hunter2");
    assert_eq!(fs::read_dir(files.home.join("secret")).unwrap().count(), 1);
    let left: Vec<_> =
        fs::read_dir(files.home.join("in")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["link"]);
    assert!(!Path::new("/tmp/gatewright-was-here").exists());
    assert!(
        err.contains("blocked by ssh/no-secrets: nothing is done with secrets; ask for a ticket"),
        "{err}"
    );
    let listed = out.lines().filter(|line| !line.starts_with("sftp>") && line.contains("key"));
    assert_eq!(listed.count(), 0, "{out}");
    let wrong: Vec<_> = files
        .decided()
        .into_iter()
        .filter(|line| {
            line.ends_with(": allow")
                && !line.starts_with("file realpath")
                && !line.starts_with("file stat")
        })
        .collect();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn scp_is_sftp_and_its_old_protocol_is_a_command_with_paths() {
    let files = Files::new();
    let (own, back) = (files.local.join("own"), files.local.join("back"));
    fs::write(&own, "content of mine").unwrap();
    for old in [false, true] {
        let scp = || {
            let mut client = files.client("scp");
            if old {
                client.arg("-O");
            }
            client
        };
        let there = scp().arg(&own).arg(files.remote("in/x")).output().unwrap();
        assert!(there.status.success(), "{there:?}");
        let here = scp().arg(files.remote("in/x")).arg(&back).output().unwrap();
        assert!(here.status.success(), "{here:?}");
        assert_eq!(fs::read_to_string(&back).unwrap(), "content of mine");
        let secret = scp().arg(files.remote("secret/key")).arg(files.local.join("key")).output().unwrap();
        assert!(!secret.status.success() && !files.local.join("key").exists(), "{secret:?}");
        fs::remove_file(&back).unwrap();
        fs::remove_file(files.home.join("in/x")).unwrap();
    }
    let decided = files.decided();
    for expected in [
        "file write in/x: allow",
        "file read in/x: allow",
        "exec scp write in/x: allow",
        "exec scp read in/x: allow",
        "exec scp read secret/key: block",
    ] {
        assert!(decided.iter().any(|own| own == expected), "{expected}: {decided:#?}");
    }
    let written = files.outcome("file write HOME/in/x");
    assert_eq!(written["written_sha256"], sha256(&own));
}

#[test]
fn rsync_is_a_command_with_paths() {
    let files = Files::new();
    let own = files.local.join("own");
    fs::create_dir_all(own.join("below")).unwrap();
    fs::write(own.join("below/a"), "content of mine").unwrap();
    let ssh = files.client("ssh");
    let words: Vec<_> = ssh.get_args().map(|word| word.to_str().unwrap()).collect();
    let rsync = || {
        let mut client = Command::new("rsync");
        client.envs(ssh.get_envs().map(|(name, value)| (name, value.unwrap())));
        client.args(["-rt", "-e", &format!("ssh {}", words.join(" "))]).stdin(Stdio::null());
        client
    };
    let there = rsync().arg(&own).arg(files.remote("in/")).output().unwrap();
    assert!(there.status.success(), "{there:?}");
    assert_eq!(fs::read_to_string(files.home.join("in/own/below/a")).unwrap(), "content of mine");
    let here = rsync().arg(files.remote("in/own/")).arg(files.local.join("back")).output().unwrap();
    assert!(here.status.success(), "{here:?}");
    assert_eq!(fs::read_to_string(files.local.join("back/below/a")).unwrap(), "content of mine");
    let secret = rsync().arg(files.remote("secret")).arg(files.local.join("stolen")).output().unwrap();
    assert!(!secret.status.success() && !files.local.join("stolen").exists(), "{secret:?}");
    let removing = rsync()
        .arg("--remove-source-files")
        .arg(files.remote("in/own/"))
        .arg(files.local.join("moved"))
        .output();
    assert!(!removing.unwrap().status.success());
    assert_eq!(
        files.decided(),
        [
            "exec rsync write in: allow",
            "exec rsync read in/own: allow",
            "exec rsync read secret: block",
            "exec rsync and 6 more words: block",
        ]
    );
}

/// Clients that ask for much at once are not slowed down to one thing after the other, and what they copied is on record.
#[test]
fn pipelines_of_other_clients_arrive_whole() {
    let files = Files::new();
    let own = files.local.join("own");
    large(&own);
    let sum = sha256(&own);
    let run = |script: &str, name: &str| {
        let back = files.local.join(name);
        let output = Command::new(python().unwrap())
            .args(["-c", script])
            .arg(files.jump.port().to_string())
            .args([files.jump.sshd.account(), &files.token()])
            .args([&own, &files.home.join("in").join(name), &back])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(sha256(&back), sum, "{name}");
        for (verb, word) in [("write", "written"), ("read", "read")] {
            let outcome = files.outcome(&format!("file {verb} HOME/in/{name}"));
            assert_eq!(outcome["result"], "ok", "{outcome}");
            assert_eq!(outcome[format!("bytes_{word}")], fs::metadata(&own).unwrap().len(), "{outcome}");
            assert_eq!(outcome[format!("{word}_sha256")], *sum, "{outcome}");
        }
    };
    run(PARAMIKO, "paramiko");
    run(ASYNCSSH, "asyncssh");
    assert!(files.jump.gateway.verify(&files.jump.gateway.evidence()).unwrap().status.success());
}

const PARAMIKO: &str = r#"
import sys, paramiko
port, user, token, own, there, back = sys.argv[1:]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", int(port), user, token, allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()
sftp.put(own, there)
sftp.get(there, back)
client.close()
"#;

const ASYNCSSH: &str = r#"
import sys, asyncio, asyncssh
port, user, token, own, there, back = sys.argv[1:]
async def run():
    options = dict(port=int(port), username=user, password=token, known_hosts=None, client_keys=None, config=None, agent_path=None)
    async with asyncssh.connect("127.0.0.1", **options) as client, client.start_sftp_client() as sftp:
        await sftp.put(own, there)
        await sftp.get(there, back)
asyncio.run(run())
"#;

/// Row A46: what a reviewer has approved is not something else by then.
#[test]
fn a046_a_link_that_is_put_there_while_a_reviewer_looks_leads_nowhere() {
    let files = Files::new();
    let folder = files.home.join("kept/folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("key"), "nothing").unwrap();
    fs::set_permissions(files.home.join("secret"), fs::Permissions::from_mode(0o777)).unwrap();
    thread::scope(|scope| {
        let held = scope.spawn(|| files.sftp("rm HOME/kept/folder/key"));
        let id = approvals::wait(&files.jump.gateway).unwrap();
        fs::rename(&folder, files.home.join("kept/other")).unwrap();
        symlink(files.home.join("secret"), &folder).unwrap();
        let bob = Mint::person("bob", &["reviewers"]);
        let approved = approvals::answer(&files.jump.gateway, "approve", &id, &bob).unwrap();
        assert!(approved.status.success(), "{approved:?}");
        held.join().unwrap();
    });
    assert_eq!(fs::read_to_string(files.home.join("secret/key")).unwrap(), "hunter2");
    let outcome = files.outcome("file remove HOME/kept/folder/key");
    assert_eq!((&outcome["result"], &outcome["code"]), (&"refused".into(), &"sftp.changed".into()));
}

#[test]
fn a_removal_that_is_escalated_waits_for_a_reviewer() {
    let files = Files::new();
    let kept = files.home.join("kept/file");
    thread::scope(|scope| {
        let held = scope.spawn(|| files.sftp("rm HOME/kept/file\nls HOME/in"));
        let id = approvals::wait(&files.jump.gateway).unwrap();
        assert!(kept.exists());
        let bob = Mint::person("bob", &["reviewers"]);
        let shown = files.jump.gateway.approvals(&bob, &["show", &id]).unwrap();
        let expected = format!("file remove {}", kept.display());
        assert!(text(&shown.stdout).contains(&expected), "{}", text(&shown.stdout));
        let approved = files.jump.gateway.approvals(&bob, &["approve", &id, "--comment", "ok"]).unwrap();
        assert!(approved.status.success(), "{approved:?}");
        let output = held.join().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(err.contains("waiting for a reviewer: somebody else has to look"), "{err}");
        // What was behind it is done after it.
        assert!(output.status.success() && out.contains("/in/link"), "{out} {err}");
    });
    assert!(!kept.exists());
    assert_eq!(files.outcome("file remove HOME/kept/file")["result"], "ok");
}
