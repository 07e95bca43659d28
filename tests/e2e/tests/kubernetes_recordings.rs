//! Recordings of what kubectl's users are shown in containers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use gatewright_e2e::{
    Disk, Mint, Setup, Stage, asciicast,
    cluster::{Cluster, rules},
    eventually,
};
use gatewright_testbed::{Kubectl, Kubernetes, has_recent_kubectl};
use serde_json::Value;

const SUE: Mint<'static> = Mint { subject: "sue", groups: &["sre"], actors: &[], kind: "human", ttl: "1h" };

const RULES: &str = r#"
[[settings.rules]]
name = "discover"
paths = ["/api", "/api/*", "/apis", "/apis/**", "/version", "/openapi/**"]
decision = "allow"

[[settings.rules]]
name = "into-containers"
streams = ["exec", "attach"]
decision = "allow"
record = true

[[settings.rules]]
name = "look"
verbs = ["get"]
resources = ["pods"]
decision = "allow"
"#;

/// What kubectl says of a stream that could not be recorded.
const WHY: &str = "the gateway can not record it";

fn open(transcripts: &[&str], further: impl FnOnce(Setup) -> Setup) -> (Cluster, Kubectl) {
    let stage = Stage::new("e2e-cluster").unwrap();
    let server = Kubernetes::replaying(&stage, transcripts).unwrap();
    let policies = [("cluster", &*rules(RULES).unwrap())];
    let cluster = Cluster::shaped(server, &policies, further).unwrap();
    let kubectl = cluster.kubectl(&SUE).unwrap();
    (cluster, kubectl)
}

fn of(cluster: &Cluster, kind: &str) -> Vec<Value> {
    cluster.scene.evidence().unwrap().of(kind).into_iter().cloned().collect()
}

/// Every recording, in the order in which they began, once so many have ended.
fn recordings(cluster: &Cluster, count: usize) -> Vec<(Value, Vec<(String, String)>)> {
    eventually("the recordings have ended", || of(cluster, "recording_ended").len() == count);
    let folder = cluster.scene.gateway.evidence().join("recordings");
    let started = of(cluster, "recording_started");
    let files = started.iter().map(|record| folder.join(record["file"].as_str().unwrap()));
    files.map(|file| asciicast::events(&fs::read_to_string(file).unwrap()).unwrap()).collect()
}

/// Ways into containers that reached the API server.
fn ways_in(cluster: &Cluster) -> usize {
    let requests = cluster.requests().unwrap();
    requests.iter().filter(|request| request.contains("/exec?") || request.contains("/attach?")).count()
}

#[test]
fn what_kubectl_is_shown_is_recorded_and_the_log_covers_it() {
    if !has_recent_kubectl() {
        return;
    }
    let transcripts = ["80-exec-websocket", "81-exec-websocket-stdin", "83-exec-spdy"];
    let (cluster, kubectl) = open(&transcripts, |setup| setup);
    let said = kubectl.run(&["exec", "web", "--", "echo", "hi"]).unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "hi\n"), "{said:?}");
    let failing = ["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7"];
    for websockets in ["true", "false"] {
        let mut command = kubectl.command(&failing);
        let output = command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets).output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
    }
    let said = kubectl.run_with(&["exec", "-i", "web", "--", "cat"], b"one\ntwo\n").unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "one\ntwo\n"), "{said:?}");

    let all = recordings(&cluster, 4);
    let titles: Vec<_> = all.iter().map(|(header, _)| header["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["echo", "sh", "sh", "cat"]);
    let shown: Vec<_> = all.iter().map(|(_, events)| asciicast::shown(events)).collect();
    assert_eq!((&*shown[0], &*shown[3]), ("hi\n", "one\ntwo\n"));
    for both in &shown[1..3] {
        assert!(["out\nerr\n", "err\nout\n"].contains(&&**both), "{both}");
    }
    let typed: Vec<_> = all.iter().map(|(_, events)| asciicast::typed(events)).collect();
    assert_eq!(typed, [0, 0, 0, 8]);

    for (started, ended) in of(&cluster, "recording_started").iter().zip(of(&cluster, "recording_ended")) {
        assert_eq!((&started["subject"], &started["target"]), (&"sue".into(), &"cluster".into()));
        assert_eq!(ended["complete"], true);
    }
    let decided = of(&cluster, "decision");
    let is_recorded = |record: &&Value| record["recorded"] == true;
    assert_eq!(decided.iter().filter(is_recorded).count(), 4);
    assert!(decided.len() > 4, "kubectl looks at the pod first, and that has no recording");
    let folder = cluster.scene.gateway.evidence();
    assert!(cluster.scene.gateway.verify(&folder).unwrap().status.success());
    let listed = cluster.scene.gateway.run(&["evidence", "recordings", "--json"]).unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["state"]), (4, &"intact".into()));
    let file = &asciicast::files(&cluster.scene.gateway)[0];
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, format!("{text}\n")).unwrap();
    assert!(!cluster.scene.gateway.verify(&folder).unwrap().status.success());
}

/// A terminal of its own for kubectl.
fn at_a_terminal(kubectl: &Kubectl, line: &str) -> Command {
    let bare = kubectl.command(&[]);
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("stty rows 31 cols 101; {line}"), "/dev/null"]);
    command.current_dir(kubectl.home());
    for (name, value) in bare.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn at_a_terminal_sizes_are_recorded_and_of_what_is_typed_its_length() {
    if !has_recent_kubectl() {
        return;
    }
    let (cluster, kubectl) = open(&[], |setup| setup);
    let mut command =
        at_a_terminal(&kubectl, "kubectl exec -it -n synthetic echo -- begin --password=hunter2");
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    let mut output = client.stdout.take().unwrap();
    let (mut out, mut piece) = (String::new(), [0; 4096]);
    let mut until = |text: &str| {
        while !out.contains(text) {
            let length = output.read(&mut piece).unwrap();
            assert!(length > 0, "{out}");
            out += std::str::from_utf8(&piece[..length]).unwrap();
        }
    };
    until("begin");
    input.write_all(b"typed").unwrap();
    until("typed");
    client.kill().unwrap();
    client.wait().unwrap();
    let all = recordings(&cluster, 1);
    let (header, events) = &all[0];
    // Arguments may be secrets. The server here shows its command, and what it is told.
    assert_eq!(header["title"], "begin");
    assert_eq!(asciicast::shown(events), "begin --password=hunter2\ntyped");
    assert!(events.contains(&("r".to_owned(), "101x31".to_owned())), "{events:?}");
    assert_eq!(asciicast::typed(events), 5);
    assert!(!events.iter().any(|(code, data)| code == "i" || code == "t" && data.contains("typed")));
}

/// Row A50: without a place to record, nothing runs, and kubectl says why.
#[test]
fn a050_what_can_not_be_recorded_does_not_run_in_a_container() {
    if !has_recent_kubectl() {
        return;
    }
    let nowhere = "[recordings]\ndirectory = \"/proc/nowhere\"\n";
    let transcripts = ["80-exec-websocket", "83-exec-spdy", "87-attach"];
    let (cluster, kubectl) = open(&transcripts, |setup| setup.more(nowhere));
    for (ask, websockets) in [
        (&["exec", "web", "--", "echo", "hi"][..], "true"),
        (&["exec", "web", "--", "echo", "hi"], "false"),
        (&["attach", "web"], "true"),
        (&["attach", "web"], "false"),
    ] {
        let mut command = kubectl.command(ask);
        let output = command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && err.contains(WHY), "{ask:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    assert_eq!(ways_in(&cluster), 0);
    eventually("it is on record", || {
        let outcomes = of(&cluster, "outcome");
        let failed =
            |outcome: &&Value| outcome["code"] == "record.failed" && outcome["result"] == "refused";
        outcomes.iter().filter(failed).count() >= 4
    });
    assert!(of(&cluster, "recording_started").is_empty());
}

/// Rows A50 and F38: a recording that fails, and one that hangs, end the stream; what is typed after its last byte reaches no container.
#[test]
fn f038_nothing_is_typed_into_a_container_behind_the_end_of_a_recording() {
    if !has_recent_kubectl() {
        return;
    }
    for hang in [false, true] {
        let stage = Stage::new("disk").unwrap();
        let disk = Disk::new(&stage).unwrap();
        let (cluster, kubectl) = open(&[], |setup| disk.under(setup));
        let mut command = kubectl.command(&["exec", "-n", "synthetic", "-i", "echo", "--", "begin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = command.spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        let mut output = BufReader::new(client.stdout.take().unwrap()).lines();
        let begun = output.next().transpose().unwrap();
        if begun.as_deref() != Some("begin") {
            let ended = client.wait_with_output().unwrap();
            panic!(
                "it has not begun: {begun:?} {}\n{}",
                String::from_utf8_lossy(&ended.stderr),
                cluster.scene.gateway.log()
            );
        }
        input.write_all(b"first\n").unwrap();
        assert_eq!(output.next().unwrap().unwrap(), "first");
        if hang { disk.hang_recordings() } else { disk.fill_recordings() }.unwrap();
        input.write_all(b"second\n").unwrap();
        let left: Vec<String> = output.map(Result::unwrap).collect();
        // Whoever goes on typing is not heard.
        let _ = input.write_all(b"third\n");
        let ended = client.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && err.contains(WHY), "{ended:?}");
        assert!(left.is_empty(), "{left:?}");
        let told = cluster.seen().unwrap().into_iter().filter(|seen| seen.event == "frame");
        let told: Vec<u8> = told.flat_map(|seen| seen.data).collect();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("first") && !told.contains("second") && !told.contains("third"), "{told}");
        disk.work().unwrap();
        eventually("the end of the recording is on record", || {
            of(&cluster, "recording_ended").iter().any(|record| record["complete"] == false)
        });
        if !hang {
            // What there is of it is what was recorded.
            let folder = cluster.scene.gateway.evidence();
            assert!(cluster.scene.gateway.verify(&folder).unwrap().status.success());
        }
        // Where recordings can be written again, others go on.
        let again = kubectl.run(&["exec", "-n", "synthetic", "echo", "--", "again"]).unwrap();
        assert_eq!((again.code, &*again.out), (Some(0), "again\n"), "{again:?}");
    }
}

/// Row A50: a recording may be so long, and no longer.
#[test]
fn a050_a_stream_ends_when_its_recording_is_full() {
    if !has_recent_kubectl() {
        return;
    }
    let short = "[recordings]\nmax_bytes = 100000\n";
    let (cluster, kubectl) = open(&[], |setup| setup.more(short));
    let input = vec![b'x'; 1_000_000];
    let said = kubectl.run_with(&["exec", "-n", "synthetic", "-i", "echo", "--", "begin"], &input).unwrap();
    // It is still sending: its connection may be cut before it has read why.
    let is_told = said.err.contains(WHY) || said.err.contains("read message");
    assert!(said.code != Some(0) && is_told, "{}", said.err);
    let all = recordings(&cluster, 1);
    let text = fs::read_to_string(&asciicast::files(&cluster.scene.gateway)[0]).unwrap();
    assert!(text.len() <= 100_000);
    // Nothing was shown that is not in it.
    assert!(said.out.starts_with("begin\n") && asciicast::shown(&all[0].1).starts_with(&said.out));
}

/// Rows A50 and F38, over SPDY: what is typed when nothing can be recorded any more reaches no container.
#[test]
fn f038_nothing_is_typed_over_spdy_behind_the_end_of_a_recording() {
    if !has_recent_kubectl() {
        return;
    }
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let (cluster, kubectl) = open(&["83-exec-spdy"], |setup| disk.under(setup));
    let mut command = kubectl.command(&["exec", "-i", "web", "--", "cat"]);
    command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    let told = || {
        let told: Vec<u8> = cluster.seen().unwrap().into_iter().flat_map(|seen| seen.data).collect();
        String::from_utf8_lossy(&told).into_owned()
    };
    input.write_all(b"one\n").unwrap();
    eventually("the first line has arrived", || told().contains("one\n"));
    disk.fill_recordings().unwrap();
    input.write_all(b"two\n").unwrap();
    let output = client.wait_with_output().unwrap();
    drop(input);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains(WHY), "{output:?}");
    assert!(!told().contains("two"), "{}", told());
    assert_eq!(recordings(&cluster, 1).len(), 1);
    assert_eq!(of(&cluster, "recording_ended")[0]["complete"], false);
}
