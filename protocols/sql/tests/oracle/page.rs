//! `docs/oracle.md`: what was compared, in figures that these tests hold current.

use std::{fs, path::PathBuf};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/oracle.md")
}

/// Are all statements and all ways to change them tried? It takes minutes.
pub(crate) fn is_full() -> bool {
    std::env::var_os("GATEWRIGHT_ORACLE").is_some_and(|word| word == "full")
}

/// Holds a part of the page to these rows, or writes them with `UPDATE_EXPECT=1`. The whole and the part that each
/// run compares have their own.
pub(crate) fn hold(part: &str, rows: &[(String, usize)]) {
    compare(part, rows, |text| text.to_owned());
}

/// The same for what a server answered, of which only what was missed is held: how many statements it finishes in time depends on the machine, what it
/// refuses on its version, and which reasons come up on how it plans.
pub(crate) fn hold_missed(part: &str, rows: &[(String, usize)]) {
    compare(part, rows, |text| text.lines().filter(|line| line.starts_with("| missed")).collect());
}

fn compare(part: &str, rows: &[(String, usize)], of: impl Fn(&str) -> String) {
    let part = if is_full() { format!("{part}, full") } else { part.to_owned() };
    let rows: String = rows.iter().map(|(what, count)| format!("| {what} | {count} |\n")).collect();
    print!("{part}\n{rows}");
    let (open, close) = (format!("<!-- {part} -->\n"), "<!-- end -->\n");
    let page = fs::read_to_string(path()).unwrap();
    let (before, rest) =
        page.split_once(&open).unwrap_or_else(|| panic!("docs/oracle.md has no part `{part}`"));
    let (there, after) = rest.split_once(close).unwrap();
    let head = "| What | Count |\n| --- | --- |\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path(), format!("{before}{open}{head}{rows}{close}{after}")).unwrap();
    } else {
        let there = there.strip_prefix(head).unwrap_or(there);
        assert_eq!(
            of(there),
            of(&rows),
            "docs/oracle.md is out of date: run `UPDATE_EXPECT=1 cargo xtask oracle`"
        );
    }
}
