//! Rules about what may stand in which file.

use gatewright_tidy::{SourceFile, files};

/// Lines from which a file is to be split, and from which it is worth a look.
const TOO_LONG: usize = 800;
const LONG: usize = 600;

fn assert_none(found: &[String], why: &str) {
    assert!(found.is_empty(), "{why}:\n  {}", found.join("\n  "));
}

/// Every line of the files that `wanted` chooses in which one of the words stands.
fn lines_with(
    words: &[&str],
    text: fn(&SourceFile) -> &str,
    wanted: impl Fn(&SourceFile) -> bool,
) -> Vec<String> {
    let files = files();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| wanted(file)) {
        for (number, line) in text(file).lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn a_permit_is_minted_in_one_file() {
    let found = lines_with(&["Permit::mint"], SourceFile::without_tests, |file| {
        file.is_rust() && file.path != "core/proxy/src/enforce.rs" && !file.is_in("tests")
    });
    assert_none(
        &found,
        "permission is given in core/proxy/src/enforce.rs, after the record was accepted, and nowhere else",
    );
}

#[test]
fn only_the_proxy_has_sockets() {
    let words = [
        "std::net::Tcp",
        "std::net::Udp",
        "tokio::net",
        "TcpStream",
        "TcpListener",
        "UnixStream",
        "UdpSocket",
    ];
    let found = lines_with(&words, SourceFile::without_tests, |file| {
        let outside = ["core/proxy", "xtask", "tests", "benches"].iter().any(|part| file.is_in(part));
        file.is_rust() && !outside
    });
    assert_none(&found, "sockets live in core/proxy");
}

#[test]
fn only_the_proxy_has_a_clock_and_tasks() {
    let words = ["SystemTime::now", "Instant::now", "tokio::spawn", "thread::sleep"];
    let found = lines_with(&words, SourceFile::without_tests, |file| {
        file.is_rust()
            && (file.is_in("protocols") || file.is_in("core/model") || file.is_in("core/masking"))
    });
    assert_none(
        &found,
        "time is an argument and tasks are the driver's, so that tests can play any schedule",
    );
}

#[test]
fn no_file_is_named_for_nothing() {
    let nothing = ["utils", "util", "common", "helpers", "helper", "misc", "shared"];
    let found: Vec<String> = files()
        .iter()
        .flat_map(|file| file.path.split('/').map(move |part| (part, &file.path)))
        .filter(|(part, _)| nothing.contains(&part.split('.').next().unwrap_or(part)))
        .map(|(_, path)| path.clone())
        .collect();
    assert_none(&found, "a helper lives with its first user, and a file's name says its part");
}

#[test]
fn no_file_takes_more_than_one_sitting() {
    let files = files();
    let lengths = files.iter().filter(|file| file.is_rust() && !file.is_generated());
    let lengths: Vec<(usize, &str)> =
        lengths.map(|file| (file.text.lines().count(), file.path.as_str())).collect();
    for (lines, path) in lengths.iter().filter(|(lines, _)| (LONG..=TOO_LONG).contains(lines)) {
        println!("worth a look: {path} has {lines} lines");
    }
    let found: Vec<String> = lengths
        .iter()
        .filter(|(lines, _)| *lines > TOO_LONG)
        .map(|(lines, path)| format!("{path} has {lines} lines"))
        .collect();
    assert_none(&found, "a file that takes more than one sitting to read is asking to be split by concern");
}

#[test]
fn nothing_is_left_for_later() {
    // Spelled so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("unimplement", "ed!"),
        concat!("to", "do!("),
    ];
    let found = lines_with(&words, |file| &file.text, |file| !file.is_generated());
    assert_none(&found, "what is not done is said in CHANGELOG.md or the threat table, not in a comment");
}

#[test]
fn no_path_of_one_machine_is_in_the_repository() {
    let words = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home", "/")];
    let found = lines_with(&words, |file| &file.text, |_| true);
    assert_none(&found, "the repository works on any machine");
}

#[test]
fn no_test_is_switched_off() {
    let found = lines_with(&[concat!("#[ign", "ore")], |file| &file.text, SourceFile::is_rust);
    assert_none(&found, "assert what happens today and say so: a test that does not run proves nothing");
}

#[test]
fn every_module_file_says_why_it_is_there() {
    let files = files();
    let found: Vec<String> = files
        .iter()
        .filter(|file| file.is_rust() && !file.is_generated())
        .filter(|file| !file.text.trim_start().starts_with("//!") && !file.text.starts_with("use super::*"))
        .filter(|file| file.name() != "tests.rs")
        .map(|file| file.path.clone())
        .collect();
    assert_none(&found, "a file begins with `//!` and why it is there");
}
