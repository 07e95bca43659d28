//! Rules about what has to be there.

use gatewright_tidy::{files, repository};

#[test]
fn every_crate_inherits_the_lints_and_the_edition() {
    for file in files().iter().filter(|file| file.name() == "Cargo.toml") {
        let manifest: toml::Table = file.text.parse().unwrap();
        let Some(package) = manifest.get("package").and_then(toml::Value::as_table) else { continue };
        // What a test builds (a module to attack the host with, the programme of a driver) is a workspace of its own, and no crate of ours.
        if file.path.contains("/tests/") || manifest.contains_key("workspace") {
            continue;
        }
        let inherited = |value: Option<&toml::Value>| {
            value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        assert!(inherited(manifest.get("lints")), "{} has to say `[lints] workspace = true`", file.path);
        for key in ["edition", "license", "version", "publish"] {
            assert!(inherited(package.get(key)), "{} has to say `{key}.workspace = true`", file.path);
        }
        assert!(package.contains_key("description"), "{} has to say what the crate is for", file.path);
    }
}

#[test]
fn the_pages_that_people_look_for_are_there() {
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE",
        "docs/threats.md",
        "docs/drivers.md",
    ];
    for page in pages {
        assert!(repository().join(page).is_file(), "{page} is missing");
    }
}

/// A command in a page that does not exist is worse than none.
#[test]
fn every_command_in_the_pages_exists() {
    let files = files();
    let xtask = files.iter().find(|file| file.path == "xtask/src/main.rs").unwrap();
    let pages = files.iter().filter(|file| file.path.ends_with(".md"));
    for page in pages {
        for (_, rest) in
            page.text.match_indices("cargo xtask ").map(|(at, word)| (at, &page.text[at + word.len()..]))
        {
            let is_own = |c: &char| c.is_ascii_lowercase() || *c == '-';
            let name: String = rest.chars().take_while(is_own).collect();
            let known = name.is_empty() || xtask.text.contains(&format!("name: \"{name}\""));
            assert!(
                known,
                "{} names `cargo xtask {name}`, which xtask/src/main.rs does not have",
                page.path
            );
        }
    }
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let files = files();
    for page in files.iter().filter(|file| file.path.ends_with(".md")) {
        let directory = page.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or(link);
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = repository().join(directory).join(target);
            assert!(path.exists(), "{} links to {link}, which is not there", page.path);
        }
    }
}

#[test]
fn every_code_of_a_refusal_by_postgresql_is_explained() {
    let files = files();
    let page = files.iter().find(|file| file.path == "docs/postgresql.md").unwrap();
    let sources =
        files.iter().filter(|file| file.is_rust() && file.path.starts_with("protocols/postgres/src/"));
    let mut unexplained = Vec::new();
    for source in sources {
        let literals = source.text.split('"').skip(1).step_by(2);
        unexplained.extend(literals.filter_map(|literal| {
            let name = literal.strip_prefix("mask.").or_else(|| literal.strip_prefix("pg."))?;
            let is_code = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let is_missing = is_code && !page.text.contains(&format!("`{literal}`"));
            is_missing.then(|| format!("{}: {literal}", source.path))
        }));
    }
    assert!(
        unexplained.is_empty(),
        "{unexplained:#?}\nwhoever is refused looks the code up: explain it in docs/postgresql.md"
    );
}
