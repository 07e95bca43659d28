//! What a command of SSH means. An input is the text of an `exec`.

use gatewright_ssh::command;

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target = Target { name: "ssh", seeds, words: WORDS, shape: Shape::Binary, check };

/// Properties: nothing panics; words are never more than the text; what has words has no character outside of quotes that a
/// shell does something with, and the words, quoted, are read as the same words.
fn check(input: &[u8]) {
    let Some(command) = command::read(input) else {
        assert!(std::str::from_utf8(input).is_err());
        return;
    };
    assert_eq!(command.text.as_bytes(), input);
    let Some(words) = command.words else { return };
    assert!(!words.is_empty());
    assert!(words.iter().map(|word| word.len()).sum::<usize>() <= input.len());
    let mut in_quotes = None;
    for byte in input {
        match (in_quotes, byte) {
            (None, b'\'' | b'"') => in_quotes = Some(*byte),
            (Some(quote), byte) if quote == *byte => in_quotes = None,
            (None, byte) => assert!(!b"$`*?[]{}~!^#&;|<>()\\\n\r\0".contains(byte), "{input:?}"),
            (Some(b'"'), byte) => assert!(!b"$`\\!".contains(byte), "{input:?}"),
            _ => {}
        }
    }
    assert_eq!(in_quotes, None);
    if words.iter().any(|word| word.contains(['\'', '\\'])) {
        return;
    }
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let again = command::read(quoted.join(" ").as_bytes()).and_then(|command| command.words);
    assert!(again.is_none_or(|again| again == words), "{input:?}");
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "ls -l /var/log",
        "git-upload-pack '/srv/a b.git'",
        "grep \"it's\" x",
        "a=1 b",
        "time ls",
        "a | b && c > d",
        "'' \"\"",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}

const WORDS: &[&[u8]] = &[
    b"'",
    b"\"",
    b"\\",
    b"$x",
    b"`id`",
    b"$(id)",
    b";",
    b"|",
    b"&&",
    b">",
    b"*",
    b"~",
    b"=",
    b"%1",
    b"@",
    b"#",
    b"\n",
    b"\t",
    b"if",
    b"time",
    b"\xff",
    "\u{202e}".as_bytes(),
    "\u{a0}".as_bytes(),
];
