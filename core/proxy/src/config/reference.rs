//! The reference of every setting, as Markdown.

use std::fmt::Write as _;

use super::schema::{Kind, Need, SECRET, SETTINGS, Setting};

/// Every setting with its kind, its default and its purpose, in Markdown.
///
/// It is made from the table that the program reads files with.
pub fn reference() -> String {
    let mut page = String::from(
        "# Settings of `gatewright.toml`\n\nMade by `gatewright config reference`. Relative paths start at the \
         folder of the file. Any key that is not listed here is an error. The file and its secrets are read when the gateway \
         starts, certificates again when they change (see \"Running it\" in the README).\n",
    );
    for setting in SETTINGS {
        section(&mut page, "", setting);
    }
    page.push_str("\n## A secret\n\nNever written into the file itself; found in one of these places.\n");
    table(&mut page, SECRET);
    page
}

fn section(page: &mut String, parent: &str, setting: &'static Setting) {
    let name = format!("{parent}{}", setting.key);
    let (title, settings) = match setting.kind {
        Kind::Table(settings) => (format!("[{name}]"), settings),
        Kind::Tables(settings) => (format!("[[{name}]]"), settings),
        _ => return,
    };
    // Writing to a String can not fail.
    let _ = writeln!(page, "\n## `{title}`\n\n{}. {}.", setting.about, presence(setting));
    table(page, settings);
    for inner in settings {
        section(page, &format!("{name}."), inner);
    }
}

fn presence(setting: &Setting) -> String {
    match setting.need {
        Need::Required => "Required".to_owned(),
        Need::Optional(absent) => format!("Without it: {absent}"),
        Need::Default(value) => format!("Default: `{value}`"),
    }
}

fn table(page: &mut String, settings: &[Setting]) {
    page.push_str("\n| Setting | Holds | Without it | What it is for |\n| --- | --- | --- | --- |\n");
    for setting in settings {
        let absent = match setting.need {
            Need::Required => "an error".to_owned(),
            Need::Optional(absent) => absent.to_owned(),
            Need::Default(value) => format!("`{value}`"),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {absent} | {} |",
            setting.key,
            holds(setting.kind),
            setting.about
        );
    }
}

fn holds(kind: Kind) -> String {
    let words =
        |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Name => "a name: letters, digits, `-`, `_`, `.`".to_owned(),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::Choices(known) => format!("a list out of {}", words(known)),
        Kind::Choice(known) => format!("one of {}", words(known)),
        Kind::Path => "a path".to_owned(),
        Kind::Duration => "a duration: `\"250ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"`, `\"1d\"`".to_owned(),
        Kind::Listen => "an IP address and port".to_owned(),
        Kind::Address => "a host and port".to_owned(),
        Kind::Url => "an `https` URL".to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Number(low, high) => format!("a whole number from {low} to {high}"),
        Kind::Secret => "a secret: `{ file = \"…\" }` or `{ env = \"…\" }`".to_owned(),
        Kind::Table(_) => "a table, below".to_owned(),
        Kind::Tables(_) => "a list of tables, below".to_owned(),
    }
}
