//! Many channels, much data, and ends of every kind on connections of SSH.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use gatewright_e2e::{Mint, approvals, eventually, ssh::Jump};

const RULES: &str = r#"
[[settings.rules]]
requests = ["session", "exec", "signal"]
decision = "allow"
"#;

/// A connection on which others open channels.
struct Master {
    process: Child,
    control: String,
}

impl Master {
    fn open(jump: &Jump) -> Self {
        let socket = jump.stage.directory().join("master");
        let control = format!("ControlPath={}", socket.display());
        let mut command = jump.client("alice", &[]).unwrap();
        let process = command
            .args(["-M", "-N", "-o", &control, "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the master is there", || socket.exists());
        Self { process, control }
    }

    /// A channel of it.
    fn channel(&self, command: &str) -> Command {
        let mut client = Command::new("ssh");
        client.args(["-F", "none", "-o", &self.control, "127.0.0.1", command]).stdin(Stdio::null());
        client
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Is a process there that was started with this in its command line?
fn runs(mark: &str) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        fs::read(process.path().join("cmdline"))
            .is_ok_and(|line| line.starts_with(b"sleep\0") && String::from_utf8_lossy(&line).contains(mark))
    })
}

#[test]
fn a048_a_hundred_channels_share_a_connection() {
    let jump = Jump::new(RULES).unwrap();
    let master = Master::open(&jump);
    let channels: Vec<_> = (0..100)
        .map(|number| {
            master.channel(&format!("sleep 1; echo {number}")).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (number, channel) in channels.into_iter().enumerate() {
        let output = channel.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{number}\n"));
    }
    assert_eq!(jump.evidence().unwrap().of("session_opened").len(), 1, "all are one session");
}

/// Fault F20: whoever does not read holds up nobody but itself.
#[test]
fn f020_a_channel_that_nobody_reads_holds_up_no_other() {
    let jump = Jump::new(RULES).unwrap();
    let master = Master::open(&jump);
    let mut stalled: Vec<Child> = (0..3)
        .map(|_| master.channel("yes no more than windows hold").stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    // What is written and not read fills every window on the way.
    thread::sleep(Duration::from_secs(2));
    let status = fs::read_to_string(format!("/proc/{}/status", jump.gateway.pid())).unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
    let kilobytes: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kilobytes < 512 << 10, "{memory}");
    for round in 0..20 {
        let output = master.channel(&format!("echo {round}")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{round}\n"));
    }
    // And it goes on where it stopped.
    let mut some = vec![0; 10 << 20];
    stalled[0].stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
    assert!(some.starts_with(b"no more than windows hold\nno more"));
    for mut child in stalled {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// New keys each megabyte, in both directions at once: nothing is lost, and nobody waits for ever.
#[test]
fn a041_new_keys_in_the_middle_of_a_transfer_lose_nothing() {
    let jump = Jump::new(RULES).unwrap();
    let mut client = jump.client("alice", &[]).unwrap();
    client.args(["-o", "RekeyLimit=1M", "127.0.0.1", "cat"]);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    let block: Vec<u8> = (0..1 << 20_u32).map(|number| (number % 253) as u8).collect();
    let blocks = megabytes(60);
    let writer = thread::spawn({
        let block = block.clone();
        move || (0..blocks).for_each(|_| input.write_all(&block).unwrap())
    });
    let (mut output, mut back) = (client.stdout.take().unwrap(), vec![0; block.len()]);
    for number in 0..blocks {
        output.read_exact(&mut back).unwrap();
        assert!(back == block, "block {number}");
    }
    writer.join().unwrap();
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
    assert!(client.wait().unwrap().success());
}

/// How much a test transfers, unless `GATEWRIGHT_MEGABYTES` says more.
fn megabytes(usual: usize) -> usize {
    std::env::var("GATEWRIGHT_MEGABYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// What runs ends when the policies do not permit it any more, and its neighbour goes on.
#[test]
fn what_runs_is_judged_again_when_the_policies_change() {
    let rules = |words: &str| {
        format!(
            "[[settings.rules]]\nrequests = [\"session\", \"direct-tcpip\"]\ndecision = \"allow\"\n\
             [[settings.rules]]\nrequests = [\"exec\"]\ntexts = [{words}]\ndecision = \"allow\"\n"
        )
    };
    let (stays, goes) = ("\"echo in; cat\"", "\"echo in; sleep 1000\"");
    let jump = Jump::new(&rules(&format!("{stays}, {goes}"))).unwrap();
    let start = |command: &str| {
        let mut client = jump.client("alice", &[]).unwrap();
        let client = client.args(["127.0.0.1", command]).stdin(Stdio::piped());
        let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 3];
        client.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        client
    };
    let (mut stays_open, ends) = (start("echo in; cat"), start("echo in; sleep 1000"));
    jump.swap(&rules(stays)).unwrap();
    let ended = ends.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && complaint.contains("blocked by ssh/no-rule"), "{complaint}");
    stays_open.stdin.take().unwrap().write_all(b"still here").unwrap();
    let output = stays_open.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"still here"[..]));
    eventually("it is recorded", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("outcome").iter().any(|record| record["code"] == "policy.changed")
    });
}

/// Whenever a client's process is killed, nothing of it is left: no program at the target, no session, and its record is closed.
#[test]
fn f025_a_client_that_is_killed_at_any_moment_leaves_nothing() {
    let jump = Jump::new(RULES).unwrap();
    // Found again among the processes of the target by its number of seconds.
    let seconds = 1_000_000 + u64::from(std::process::id());
    for moment in 0..24_u64 {
        let command = format!("head -c 3000000 /dev/zero; : {moment}; sleep {seconds}");
        let mut client = jump.client("alice", &[]).unwrap();
        let client = client.args(["127.0.0.1", &command]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut client = client.spawn().unwrap();
        thread::sleep(std::time::Duration::from_millis(moment * 25));
        client.kill().unwrap();
        client.wait().unwrap();
    }
    eventually("nothing runs at the target", || {
        let marker = seconds.to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        !commands.any(|command| String::from_utf8_lossy(&command).contains(&marker))
    });
    eventually("every session that was opened is closed", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("session_opened").len() == evidence.of("session_closed").len()
    });
    let olga = gatewright_e2e::Mint::person("olga", &["operators"]);
    let open = jump.gateway.ask(&olga, &["sessions", "list", "--json"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&open.stdout).trim(), "[]");
    assert_eq!(jump.gateway.metric("gatewright_connections_open{listener=\"ssh\"}").unwrap(), 0.0);
}

/// Both directions full at once, again and again: opening a window must not wait behind what waits for one.
#[test]
fn f020_transfers_in_both_directions_do_not_wait_for_each_other() {
    let jump = Jump::new(RULES).unwrap();
    let master = Master::open(&jump);
    let sent: Vec<u8> = (0..12_000_000_u32).map(|number| (number % 241) as u8).collect();
    for round in 0..12 {
        let mut client = master.channel("cat");
        let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        let writer = thread::spawn({
            let sent = sent.clone();
            move || input.write_all(&sent).unwrap()
        });
        let mut back = Vec::new();
        client.stdout.take().unwrap().read_to_end(&mut back).unwrap();
        writer.join().unwrap();
        assert!(back == sent, "round {round}: {} bytes came back", back.len());
        assert!(client.wait().unwrap().success());
    }
}

/// Fault F25: a channel that is closed while its request waits takes it along, whatever was sent behind it.
#[test]
fn f025_a_channel_that_is_closed_while_it_waits_runs_nothing_later() {
    let held = "[[settings.rules]]\nrequests = [\"exec\"]\ndecision = \"escalate\"\nreason = \"look\"\n\
                reviewers = [\"reviewers\"]\n[[settings.rules]]\nrequests = [\"session\"]\ndecision = \"allow\"\n";
    let jump = Jump::new(held).unwrap();
    let master = Master::open(&jump);
    let left = jump.sshd.home().join("left-behind");
    let mut client = master.channel(&format!("touch {}", left.display()));
    let mut client = client.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(b"sent behind it").unwrap();
    let id = approvals::wait(&jump.gateway).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("it is withdrawn", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("approval_settled").iter().any(|record| record["state"] == "withdrawn")
    });
    let bob = Mint::person("bob", &["reviewers"]);
    let approved = jump.gateway.approvals(&bob, &["approve", &id, "--comment", "late"]).unwrap();
    assert!(!approved.status.success(), "{approved:?}");
    assert!(!left.exists());
}

/// Fault F3: a client that is gone leaves nothing behind at the target, and its record is closed.
#[test]
fn f003_a_client_that_is_killed_takes_what_runs_along() {
    let jump = Jump::new(RULES).unwrap();
    let mark = format!("3{}", jump.port());
    let mut client = jump.client("alice", &[]).unwrap();
    client.args(["127.0.0.1", &format!("exec sleep {mark}")]).stdin(Stdio::piped());
    let mut client = client.spawn().unwrap();
    eventually("it runs", || runs(&mark));
    // More than anybody takes: what ends it must not wait behind that.
    let mut input = client.stdin.take().unwrap();
    let stuffing = thread::spawn(move || while input.write_all(&[7; 65536]).is_ok() {});
    thread::sleep(Duration::from_secs(2));
    client.kill().unwrap();
    stuffing.join().unwrap();
    client.wait().unwrap();
    eventually("it does not run any more", || !runs(&mark));
    eventually("its session is closed", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("session_closed").len() == 1
            && evidence.of("outcome").last().is_some_and(|outcome| outcome["result"] == "unknown")
    });
    eventually("the connection is gone", || {
        jump.gateway.metric("gatewright_sessions_open{listener=\"ssh\"}").unwrap() < 1.0
    });
}

/// Row A9: what was revoked ends, while it runs.
#[test]
fn a009_a_revocation_ends_what_runs() {
    let jump = Jump::new(RULES).unwrap();
    let mark = format!("4{}", jump.port());
    let mut client = jump.client("alice", &[]).unwrap();
    let client = client
        .args(["127.0.0.1", &format!("exec sleep {mark}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it runs", || runs(&mark));
    let olga = Mint { subject: "olga", groups: &["operators"], ..Mint::default() };
    let revoked =
        jump.gateway.ask(&olga, &["revocations", "add", "--reason", "lost", "--subject", "alice"]).unwrap();
    assert!(revoked.status.success(), "{revoked:?}");
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("[auth.revoked]"), "{said}");
    eventually("it does not run any more", || !runs(&mark));
}

/// Fault F29: what runs at SIGTERM may end, and nothing new begins.
#[test]
fn f029_what_runs_at_sigterm_ends_whole() {
    let mut jump = Jump::new(RULES).unwrap();
    let mark = jump.sshd.home().join("begun");
    let command = format!("touch {}; sleep 2; head -c 3000000 /dev/zero; exit 4", mark.display());
    let mut client = jump.client("alice", &[]).unwrap();
    let client = client.args(["127.0.0.1", &command]).stdout(Stdio::piped()).spawn().unwrap();
    eventually("it runs", || mark.exists());
    jump.gateway.terminate().unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 3_000_000));
    let status = jump.gateway.wait(Duration::from_secs(60)).unwrap();
    assert!(status.success(), "{status}: {}", jump.gateway.log());
    assert_eq!(jump.evidence().unwrap().of("outcome").last().unwrap()["code"], "exit.4");
}
