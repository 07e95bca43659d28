//! Colours, on a terminal only.

use std::io::{IsTerminal, stderr, stdout};

use gatewright_testbed::Error;

/// A way to print text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
    Cyan,
}

/// The text, in the style if standard output is a terminal.
pub(crate) fn paint(style: Style, text: &str) -> String {
    painted(style, text, stdout().is_terminal())
}

/// Says on standard error what failed and what to do.
pub(crate) fn failure(error: &Error) {
    let terminal = stderr().is_terminal();
    eprintln!("{} {}", painted(Style::Red, "error:", terminal), error.what());
    if let Some(advice) = error.advice() {
        eprintln!("{} {advice}", painted(Style::Bold, "what to do:", terminal));
    }
}

fn painted(style: Style, text: &str, terminal: bool) -> String {
    if !terminal || std::env::var_os("NO_COLOR").is_some() {
        return text.to_owned();
    }
    let code = match style {
        Style::Bold => 1,
        Style::Dim => 2,
        Style::Red => 31,
        Style::Green => 32,
        Style::Yellow => 33,
        Style::Cyan => 36,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
