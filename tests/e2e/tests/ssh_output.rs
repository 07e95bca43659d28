//! What programs write, through the gateway to OpenSSH's own client: what detectors find in it is hidden.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
};

use gatewright_e2e::{eventually, ssh::Jump};

const RULES: &str = r#"
[[settings.rules]]
name = "sessions"
requests = ["session", "pty", "signal"]
decision = "allow"

[[settings.rules]]
name = "commands"
requests = ["exec", "shell"]
decision = "allow"
hide = [{ detector = "card_number", method = { partial = 4 } }, { detector = "ssn", method = "redact" }]

[[settings.rules]]
name = "files"
requests = ["subsystem"]
decision = "allow"
hide = [{ detector = "ssn", method = "redact" }]
"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(output: &Output) -> (i32, String, String) {
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Row A73 for a channel: in pieces, with colours, on both streams.
#[test]
fn a073_numbers_in_output_are_hidden_however_they_are_written() {
    let jump = Jump::new(RULES).unwrap();
    let script = r"
        printf 'a 4111 1111'; printf ' 1111 '; printf '1111\n'
        printf 'b \033[31m4111\033[0m1111111\033[1m11111\033[0m\n'
        printf '4111-1111-' >&2; printf '1111-1111 123-45-6789\n' >&2
        printf 'c 4111111111111111'
        exit 3";
    let (status, out, err) = said(&jump.run(script).unwrap());
    assert_eq!(status, 3);
    assert_eq!(
        out,
        "a ***************1111\nb \x1b[31m****\x1b[0m*******\x1b[1m*1111\x1b[0m\nc ************1111"
    );
    assert_eq!(err, "***************1111 [redacted]\n");
    eventually("the counts are recorded", || {
        let evidence = jump.evidence().unwrap();
        evidence.of("outcome").iter().any(|outcome| outcome["code"] == "exit.3")
    });
    let evidence = jump.evidence().unwrap();
    let outcomes = evidence.of("outcome");
    let outcome = outcomes.iter().find(|outcome| outcome["code"] == "exit.3").unwrap();
    assert_eq!(outcome["masked"], serde_json::json!([["ssh/commands", 4], ["ssh/commands", 1]]));
    let decisions = evidence.of("decision");
    assert_eq!(decisions.last().unwrap()["decision"], "mask");
    assert!(!evidence.text().contains("4111"));
}

#[test]
fn what_stands_for_a_number_is_as_wide_at_a_terminal() {
    let jump = Jump::new(RULES).unwrap();
    let mut client = jump.client("alice", &[]).unwrap();
    let script = r"printf '|\033[1m123-45-6789\033[0m|\n|4111 1111 1111 1111|\n'";
    let (status, out, _) = said(&client.args(["-tt", "127.0.0.1", script]).output().unwrap());
    assert_eq!(status, 0);
    assert_eq!(out, "|\x1b[1m[redacted]*\x1b[0m|\r\n|***************1111|\r\n");
}

/// A prompt has no end of a line, and a person waits for it.
#[test]
fn a_prompt_is_seen_before_it_is_answered_and_what_is_typed_is_hidden_too() {
    let jump = Jump::new(RULES).unwrap();
    for terminal in [false, true] {
        let mut client = jump.client("alice", &[]).unwrap();
        if terminal {
            client.arg("-tt");
        }
        let script = "printf 'code 42 '; read answer; echo \"[$answer]\"";
        client.args(["127.0.0.1", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = client.spawn().unwrap();
        let (mut input, mut output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
        let mut prompt = [0; 8];
        output.read_exact(&mut prompt).unwrap();
        assert_eq!(&prompt, b"code 42 ");
        input.write_all(b"4111 1111 1111 1111\n").unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert!(client.wait().unwrap().success());
        // A terminal shows what is typed.
        let expected = if terminal {
            "***************1111\r\n[***************1111]\r\n"
        } else {
            "[***************1111]\n"
        };
        assert_eq!(rest, expected);
    }
}

/// Twenty megabytes, in whatever packets they come, by a client that pauses.
#[test]
fn a073_much_output_is_hidden_and_nothing_of_it_is_lost() {
    let jump = Jump::new(RULES).unwrap();
    let (mut written, mut expected) = (String::new(), String::new());
    let mut line = 0_u64;
    while written.len() < 20_000_000 {
        line += 1;
        let colour = line % 8;
        write!(written, "{line} \x1b[3{colour}mof ").unwrap();
        write!(expected, "{line} \x1b[3{colour}mof ").unwrap();
        match line % 3 {
            0 => {
                written += "4111\x1b[0m 1111 1111 1111, rest\n";
                expected += "****\x1b[0m***********1111, rest\n";
            }
            1 => {
                written += "123-45-\x1b[0m6789 rest\n";
                expected += "[redact\x1b[0med] rest\n";
            }
            _ => {
                written += "no number\x1b[0m 4111 1111 1111 1112\n";
                expected += "no number\x1b[0m 4111 1111 1111 1112\n";
            }
        }
    }
    let file = jump.sshd.home().join("much");
    fs::write(&file, &written).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut client = jump.client("alice", &[]).unwrap();
    let mut client = client
        .args(["127.0.0.1", &format!("cat {}", file.display())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = client.stdout.take().unwrap();
    let (mut back, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        let length = output.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        back.extend_from_slice(&buffer[..length]);
        // Longer than anything is held back, now and then: what the client does not take is not silence.
        if back.len() / 5_000_000 != (back.len() - length) / 5_000_000 {
            std::thread::sleep(std::time::Duration::from_millis(400));
        }
    }
    assert!(client.wait().unwrap().success());
    let differs = back.iter().zip(expected.as_bytes()).position(|(one, other)| one != other);
    let context = differs.map(|at| text(&back[at.saturating_sub(60)..(at + 60).min(back.len())]));
    assert!(
        back == expected.as_bytes(),
        "{} of {} bytes, differs at {context:?}",
        back.len(),
        expected.len()
    );
}

/// What can not be searched is not carried where something is to be hidden.
#[test]
fn files_are_not_carried_where_something_is_to_be_hidden() {
    let jump = Jump::new(RULES).unwrap();
    let mut client = jump.client("alice", &[]).unwrap();
    let (status, out, err) = said(&client.args(["-s", "127.0.0.1", "sftp"]).output().unwrap());
    assert_eq!((status, &*out), (126, ""));
    assert!(err.contains("[mask.unsupported]"), "{err}");
}

/// Row A45: where each command is to be judged, there is neither a terminal nor a shell, and a command has to be plain.
#[test]
fn a045_a_policy_of_commands_gives_no_terminal_and_no_shell() {
    let rules = "[[settings.rules]]\nname = \"commands\"\nrequests = [\"session\", \"exec\"]\nterminal = false\n\
                 commands = [\"echo *\"]\ndecision = \"allow\"\n";
    let jump = Jump::new(rules).unwrap();
    assert_eq!(said(&jump.run("echo plain").unwrap()).1, "plain\n");
    for command in ["echo aWQ= | base64 -d | sh", "echo `id`", "echo a; id", "$(echo echo) a"] {
        let (status, out, err) = said(&jump.run(command).unwrap());
        assert_eq!((status, &*out), (126, ""), "{command}: {err}");
    }
    // Of a terminal that it insists on, OpenSSH says that there is none, and ends.
    let mut client = jump.client("alice", &[]).unwrap();
    let output = client.args(["-tt", "127.0.0.1", "echo plain"]).output().unwrap();
    let (status, out, err) = said(&output);
    assert!(status != 0 && out.is_empty() && err.contains("PTY allocation"), "{status} {out} {err}");
    let mut shell = jump.client("alice", &[]).unwrap();
    let mut shell = shell
        .args(["-T", "127.0.0.1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Typed before there is an answer.
    let _ = shell.stdin.take().unwrap().write_all(b"id > typed\n");
    let (status, out, err) = said(&shell.wait_with_output().unwrap());
    assert_eq!((status, &*out), (126, ""));
    assert!(err.contains("blocked by ssh/no-rule"), "{err}");
    let evidence = jump.evidence().unwrap();
    let decided = evidence.of("decision");
    let refused = |command: &str| {
        decided.iter().any(|record| {
            record["command"].as_str().unwrap().starts_with(command) && record["decision"] == "block"
        })
    };
    assert!(refused("pty ") && refused("shell"), "{decided:?}");
    assert!(!jump.sshd.home().join("typed").exists());
}
