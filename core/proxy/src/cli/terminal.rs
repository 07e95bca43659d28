//! The one place that prints.
//!
//! Results go to standard output, everything about them to standard error. Text that came from elsewhere
//! is shown with its invisible characters written out: a statement under review must not be able to hide a
//! part of itself, or steer the reviewer's terminal (threats A95, A99).

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write},
};

use comfy_table::{ContentArrangement, Table, presets};
pub(super) use gatewright_approval::visible;
use serde::Serialize;

/// Where a command prints.
pub struct Terminal {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// May errors be coloured?
    pub(super) colour: bool,
}

impl Terminal {
    /// Standard output and standard error of this process.
    pub fn standard() -> Self {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { out: Box::new(io::stdout()), err: Box::new(io::stderr()), colour }
    }

    /// Any two writers, without colour.
    pub fn new(out: impl Write + 'static, err: impl Write + 'static) -> Self {
        Self { out: Box::new(out), err: Box::new(err), colour: false }
    }

    /// A line of the result.
    pub(super) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// The result, for programs: one JSON value on one line.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// A table with a title for each column. Every cell is made visible.
    pub(super) fn table(&mut self, titles: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(titles.iter().copied());
        for row in rows {
            table.add_row(row.iter().map(|cell| visible(cell)));
        }
        writeln!(self.out, "{table}")
    }

    /// A line about the result, for people.
    pub(super) fn note(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.err, "{text}")
    }
}
