//! The text of an `exec`, and the words that any shell makes of it.
//!
//! A server hands the text to the account's shell: `sh -c TEXT`, and nobody outside knows which shell that is. So words are said only of what
//! sh, bash, dash, ksh, zsh, csh and fish all split alike, and do nothing else with. Everything else is left to the shell, and called
//! opaque: no rule about words fits it.
//!
//! | text | is left, because |
//! | --- | --- |
//! | `$ \` * ? [ ] { } ~ ! ^ # & ; | < > ( ) \` outside of quotes | some shell expands, joins, redirects or comments |
//! | `$`, `` ` ``, `\`, `!` inside of double quotes; `\` and `!` inside of single ones | some shell expands them there, too |
//! | a first word with `=`, or that begins with `@` or ends with `:`; any word that begins with `=` or `%` | assignments, arithmetic, labels; zsh's paths, fish's jobs |
//! | a first word that is a word of some shell's grammar (`if`, `time`, `not`, ...), quoted or not | it is no program |
//! | what is not ASCII outside of quotes, control and invisible characters anywhere | blanks of some locales; not what a reviewer sees |

use std::sync::Arc;

use gatewright_model::{hidden::is_hidden, ssh::Command};

use crate::transfer;

/// The longest text of which words are said, in bytes.
const LONGEST: usize = 8 << 10;

/// Reads the text of an `exec`. None: it is not UTF-8, and what a reviewer would see is not what a shell would read.
pub fn read(text: &[u8]) -> Option<Command> {
    let text = std::str::from_utf8(text).ok()?;
    let words = words(text);
    let transfer = words.as_deref().and_then(transfer::read);
    Some(Command { text: Arc::from(text), words, transfer })
}

/// The words of a plain command. None: it is more than that, or nothing.
fn words(text: &str) -> Option<Vec<Arc<str>>> {
    if text.len() > LONGEST || text.chars().any(|character| character != '\t' && is_hidden(character)) {
        return None;
    }
    let mut words = Vec::new();
    let mut rest = text.trim_matches(BLANKS);
    while !rest.is_empty() {
        let (word, after) = Word::read(rest)?;
        if word.begins_with('=') || word.begins_with('%') || (words.is_empty() && !word.is_a_program()) {
            return None;
        }
        words.push(Arc::from(word.text));
        rest = after.trim_start_matches(BLANKS);
    }
    (!words.is_empty()).then_some(words)
}

const BLANKS: [char; 2] = [' ', '\t'];

/// A word as it is written.
#[derive(Debug, Default)]
struct Word {
    /// Without quotes.
    text: String,
    /// The first character of its text, where that is not quoted: empty quotes before it make no difference to zsh.
    first: Option<char>,
}

impl Word {
    /// Reads one at the beginning of `text`, and what follows it.
    fn read(text: &str) -> Option<(Self, &str)> {
        let mut word = Self::default();
        let mut rest = text;
        while let Some(next) = rest.chars().next().filter(|next| !BLANKS.contains(next)) {
            let after = rest.get(next.len_utf8()..)?;
            if is_quote(next) {
                let (quoted, after) = after.split_once(next)?;
                let special = if next == '"' { &['$', '`', '\\', '!'][..] } else { &['\\', '!'] };
                if quoted.contains(special) {
                    return None;
                }
                word.text.push_str(quoted);
                rest = after;
            } else {
                if !is_ordinary(next) {
                    return None;
                }
                if word.text.is_empty() {
                    word.first = Some(next);
                }
                word.text.push(next);
                rest = after;
            }
        }
        Some((word, rest))
    }

    fn begins_with(&self, character: char) -> bool {
        self.first == Some(character)
    }

    /// Can it be the name of a program, and nothing else?
    fn is_a_program(&self) -> bool {
        !self.text.is_empty()
            && !self.text.contains('=')
            && !self.text.ends_with(':')
            && !self.begins_with('@')
            && !GRAMMAR.contains(&&*self.text)
    }
}

const fn is_quote(character: char) -> bool {
    matches!(character, '\'' | '"')
}

/// Outside of quotes, every shell takes it as it is.
const fn is_ordinary(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '_' | '@' | '%' | '+' | '=' | ':' | ',' | '.' | '/' | '-')
}

/// Words that some shell takes for a part of its grammar where a command is expected.
const GRAMMAR: [&str; 40] = [
    "and",
    "begin",
    "builtin",
    "case",
    "command",
    "coproc",
    "do",
    "done",
    "elif",
    "else",
    "end",
    "esac",
    "fi",
    "for",
    "foreach",
    "function",
    "if",
    "in",
    "nocorrect",
    "noglob",
    "not",
    "or",
    "repeat",
    "return",
    "select",
    "switch",
    "then",
    "time",
    "typeset",
    "until",
    "while",
    "local",
    "declare",
    "goto",
    "default",
    "breaksw",
    "endif",
    "endsw",
    "onintr",
    "break",
];

#[cfg(test)]
mod tests {
    use std::process::Command as Program;

    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> Option<Vec<String>> {
        words(text).map(|words| words.iter().map(|word| word.to_string()).collect())
    }

    #[test]
    fn plain_commands_have_words() {
        for (text, expected) in [
            ("uptime", &["uptime"][..]),
            ("  ls  -l\t/var/log ", &["ls", "-l", "/var/log"]),
            ("git-upload-pack '/srv/a b.git'", &["git-upload-pack", "/srv/a b.git"]),
            ("grep \"it's\" 'a\"b' x\"y\"'z'", &["grep", "it's", "a\"b", "xyz"]),
            ("date +%F", &["date", "+%F"]),
            ("make CC=gcc", &["make", "CC=gcc"]),
            ("'iff' x ''", &["iff", "x", ""]),
            ("echo '$HOME `id` ; | & ä'", &["echo", "$HOME `id` ; | & ä"]),
        ] {
            assert_eq!(plain(text).unwrap(), expected, "{text}");
        }
    }

    /// Threats A45: what a shell would make more of than words.
    #[test]
    fn a045_what_a_shell_would_do_more_with_has_no_words() {
        for text in [
            "",
            " ",
            "a;b",
            "a|b",
            "a&",
            "a && b",
            "a > f",
            "a < f",
            "a $x",
            "a `id`",
            "a $(id)",
            "a \"$x\"",
            "a \"`id`\"",
            "a \"x\\\"y\"",
            "a 'x\\'",
            "a \\b",
            "a *",
            "a ?",
            "a [x]",
            "a {x,y}",
            "a ~",
            "~/x",
            "a !x",
            "a \"!x\"",
            "a ^x",
            "a #x",
            "a (b)",
            "x=1 b",
            "x=1",
            "=ls",
            "a =ls",
            "a ''=ls",
            "a \"\"%self",
            "%1",
            "@ x",
            "if x",
            "time ls",
            "not ls",
            "a 'b",
            "a \"b",
            "a\nb",
            "a\r",
            "a 'b\nc'",
            "a\u{0}b",
            "a b\u{a0}c",
            "a ä",
            "a '\u{202e}x'",
            "\"\"",
            "'' a",
            "a '!x'",
            "'not' id",
            "'time' id",
            "x: id",
            "systemctl: id",
            "default: id",
            "goto x",
            "a %self",
        ] {
            assert_eq!(plain(text), None, "{text:?}");
        }
        assert_eq!(plain(&"a".repeat(LONGEST + 1)), None);
        assert!(read(b"a \xff").is_none());
    }

    fn split_by(shell: &str, text: &str) -> Option<Vec<String>> {
        let script = format!("set -- {text}\nfor word in \"$@\"; do printf '%s\\0' \"$word\"; done");
        let output = Program::new(shell).arg("-c").arg(script).output().ok()?;
        let said = String::from_utf8(output.stdout).unwrap();
        Some(said.split_terminator('\0').map(str::to_owned).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a045_a_real_shell_makes_the_same_words(text in "([a-zA-Z0-9_@%+=:,./ -]|'[ -&(-\\[\\]-~]{0,5}'|\"[ #%&(-\\[\\]-_a-~]{0,5}\"){1,20}") {
            let Some(words) = plain(&text) else { return Ok(()) };
            for shell in ["sh", "bash", "zsh", "ksh"] {
                // `set` has options of its own.
                if words[0].starts_with(['-', '+']) {
                    continue;
                }
                if let Some(split) = split_by(shell, &text) {
                    prop_assert_eq!(&split, &words, "{} {}", shell, text);
                }
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in any::<Vec<u8>>()) {
            let _ = read(&text);
        }
    }
}
