//! Recordings of what OpenSSH's own client is shown.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Child, Stdio},
};

use gatewright_e2e::{
    asciicast::{self, shown},
    disk::Disk,
    eventually,
    ssh::Jump,
};
use serde_json::Value;

const RULES: &str = r#"
[[settings.rules]]
name = "sessions"
requests = ["session", "pty", "signal"]
decision = "allow"

[[settings.rules]]
name = "commands"
requests = ["exec", "shell"]
decision = "allow"
record = true
hide = [{ detector = "card_number", method = { partial = 4 } }]
"#;

fn recordings(jump: &Jump) -> Vec<PathBuf> {
    asciicast::files(&jump.gateway)
}

#[test]
fn a_shell_is_recorded_as_it_is_shown_and_the_log_covers_it() {
    let jump = Jump::new(RULES).unwrap();
    let mut client = jump.client("alice", &[]).unwrap();
    client.args(["-tt", "127.0.0.1"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = client.spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    let mut output = client.stdout.take().unwrap();
    let line = "stty -echo; echo rea''dy; read secret; stty echo; printf 'card 4111 1111 '; printf '1111 1111\\n'; exit\n";
    input.write_all(line.as_bytes()).unwrap();
    let (mut out, mut piece) = (String::new(), [0; 4096]);
    while !out.contains("ready") {
        let length = output.read(&mut piece).unwrap();
        assert!(length > 0, "{out}");
        out += std::str::from_utf8(&piece[..length]).unwrap();
    }
    // Typed where nothing is shown.
    input.write_all(b"hunter2\n").unwrap();
    output.read_to_string(&mut out).unwrap();
    client.wait().unwrap();
    assert!(out.contains("card ***************1111"), "{out}");
    eventually("the recording has ended", || !jump.evidence().unwrap().of("recording_ended").is_empty());
    let files = recordings(&jump);
    let text = fs::read_to_string(&files[0]).unwrap();
    let (header, events) = asciicast::events(&text).unwrap();
    assert_eq!(header["title"], "shell");
    // The client saw what is in it, and nothing else.
    assert_eq!(shown(&events), out);
    assert!(!text.contains("4111 1111 1111") && !text.contains("hunter2") && header["width"].is_u64());
    let typed = asciicast::typed(&events);
    assert!(typed > 60, "{typed}");

    let evidence = jump.evidence().unwrap();
    let (started, ended) = (evidence.of("recording_started")[0], evidence.of("recording_ended")[0]);
    assert_eq!(started["subject"], "alice");
    assert_eq!((&ended["complete"], &ended["bytes"]), (&true.into(), &text.len().into()));
    assert_eq!(evidence.of("decision").last().unwrap()["recorded"], true);
    let folder = jump.gateway.evidence();
    let verified = jump.gateway.verify(&folder).unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let listed: Value =
        serde_json::from_str(&jump.gateway.run(&["evidence", "recordings", "--json"]).unwrap()).unwrap();
    assert_eq!((&listed[0]["state"], &listed[0]["subject"]), (&"intact".into(), &"alice".into()));

    // One byte less harmless than it was, and one recording less.
    fs::write(&files[0], text.replace("card", "cart")).unwrap();
    let changed = jump.gateway.verify(&folder).unwrap();
    assert!(!changed.status.success());
    assert!(String::from_utf8_lossy(&changed.stdout).contains("CHANGED"), "{changed:?}");
    fs::write(&files[0], format!("{text}\n")).unwrap();
    assert!(!jump.gateway.verify(&folder).unwrap().status.success());
    fs::remove_file(&files[0]).unwrap();
    let missing = jump.gateway.verify(&folder).unwrap();
    assert!(String::from_utf8_lossy(&missing.stdout).contains("MISSING"), "{missing:?}");
}

#[test]
fn both_streams_and_bytes_that_are_no_text_are_recorded() {
    let jump = Jump::new(RULES).unwrap();
    let output =
        jump.run("printf 'a\\377b\\303'; printf '\\251'; sleep 1; printf 'err' >&2; exit 3").unwrap();
    assert_eq!(output.status.code(), Some(3));
    eventually("the recording has ended", || !jump.evidence().unwrap().of("recording_ended").is_empty());
    let text = fs::read_to_string(&recordings(&jump)[0]).unwrap();
    let (header, events) = asciicast::events(&text).unwrap();
    assert_eq!(header["title"], "a command of a shell");
    assert_eq!(shown(&events), "abéerr");
    assert!(events.contains(&("b".to_owned(), "/w==".to_owned())), "{events:?}");
}

/// Row A50: without a place to record, nothing runs.
#[test]
fn a050_what_can_not_be_recorded_does_not_run() {
    let nowhere = "[recordings]\ndirectory = \"/proc/nowhere\"\n";
    let jump = Jump::shaped(RULES, |_, setup| Ok(setup.more(nowhere))).unwrap();
    let left = jump.sshd.home().join("left-behind");
    let output = jump.run(&format!("touch {}", left.display())).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255));
    assert!(err.contains("[record.failed]"), "{err}");
    assert!(!left.exists());
    eventually("it is on record", || {
        let evidence = jump.evidence().unwrap();
        evidence
            .of("outcome")
            .iter()
            .any(|outcome| outcome["result"] == "refused" && outcome["code"] == "record.failed")
    });
}

/// A shell whose input arrives in a file at the target.
fn typing(jump: &Jump) -> (Child, PathBuf) {
    let file = jump.sshd.home().join("typed");
    let mut client = jump.client("alice", &[]).unwrap();
    let command = format!("while read line; do echo $line >> {}; echo got $line; done", file.display());
    client.args(["127.0.0.1", &command]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().unwrap();
    client.stdin.as_mut().unwrap().write_all(b"first\n").unwrap();
    eventually("the first line has arrived", || {
        fs::read_to_string(&file).is_ok_and(|text| text == "first\n")
    });
    (client, file)
}

/// Rows A50 and F38: a recording that fails, and one that hangs, end the session; what is typed after its last byte reaches nobody.
#[test]
fn f038_nothing_is_typed_behind_the_end_of_a_recording() {
    for hang in [false, true] {
        let mut disk = None;
        let jump = Jump::shaped(RULES, |stage, setup| {
            let disk = disk.insert(Disk::new(stage)?);
            Ok(disk.under(setup))
        })
        .unwrap();
        let disk = disk.unwrap();
        let (mut client, file) = typing(&jump);
        if hang { disk.hang_recordings() } else { disk.fill_recordings() }.unwrap();
        let mut input = client.stdin.take().unwrap();
        let _ = input.write_all(b"second\n");
        let output = client.wait_with_output().unwrap();
        drop(input);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && err.contains("[record.failed]"), "{err}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "first\n");
        disk.work().unwrap();
        eventually("the end of the recording is on record", || {
            let evidence = jump.evidence().unwrap();
            evidence.of("recording_ended").iter().any(|record| record["complete"] == false)
        });
        assert_eq!(recordings(&jump).len(), 1);
        if !hang {
            // What there is of it is what was recorded.
            assert!(jump.gateway.verify(&jump.gateway.evidence()).unwrap().status.success());
        }
        // Where recordings can be written again, others go on.
        assert!(jump.run("true").unwrap().status.success());
    }
}

/// Row A50: a recording may be so long, and no longer.
#[test]
fn a050_a_session_ends_when_its_recording_is_full() {
    let short = "[recordings]\nmax_bytes = 100000\n";
    let jump = Jump::shaped(RULES, |_, setup| Ok(setup.more(short))).unwrap();
    let output = jump.run("head -c 1000000 /dev/zero | tr '\\0' x").unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("[record.failed]"), "{output:?}");
    eventually("the end of the recording is on record", || {
        !jump.evidence().unwrap().of("recording_ended").is_empty()
    });
    let text = fs::read_to_string(&recordings(&jump)[0]).unwrap();
    assert!(text.len() <= 100_000);
    // Nothing was shown that is not in it.
    assert_eq!(shown(&asciicast::events(&text).unwrap().1), String::from_utf8_lossy(&output.stdout));
}
