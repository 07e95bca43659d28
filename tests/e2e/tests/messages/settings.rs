//! Settings that are reported, from the login on.

use gatewright_e2e::{
    comparison::ready,
    wire::{Message, bind, execute, parse, query, sync, tags},
};

use super::super::{comparison, define, outline, queries, run};

/// The settings that were reported, and their values.
fn reported(messages: &[Message]) -> Vec<(String, String)> {
    let statuses = messages.iter().filter(|message| message.tag == 'S');
    let texts = statuses.map(|message| String::from_utf8_lossy(&message.body).into_owned());
    texts
        .map(|text| {
            let (name, value) = text.trim_end_matches('\0').split_once('\0').unwrap_or((&text, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn a_login_reports_the_settings_in_the_order_of_the_server() {
    let comparison = comparison();
    let messages = comparison.same_from_the_start(&[], &[queries(&["select 1"])]).unwrap();
    let names: Vec<_> = reported(&messages).into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 10, "{names:?}");
    assert!(tags(&messages).starts_with('R') && tags(&messages).ends_with("SKZTDCZ"), "{names:?}");
}

#[test]
fn settings_of_the_startup_packet_are_reported_at_once() {
    let comparison = comparison();
    let settings = [
        ("application_name", "a programme"),
        ("DateStyle", "German, DMY"),
        ("TimeZone", "Asia/Tokyo"),
        ("IntervalStyle", "iso_8601"),
        ("client_encoding", "UTF8"),
        ("extra_float_digits", "0"),
    ];
    let texts = [
        "show timezone",
        "reset timezone",
        "set datestyle = 'ISO'",
        "reset datestyle",
        "discard all",
        "show application_name",
    ];
    let messages = comparison.same_from_the_start(&settings, &[queries(&texts)]).unwrap();
    let reported = reported(&messages);
    for (name, value) in &settings[..5] {
        assert!(reported.contains(&((*name).to_owned(), (*value).to_owned())), "{name}: {reported:?}");
    }
}

#[test]
fn what_a_role_is_set_to_is_seen_by_its_next_session() {
    let comparison = comparison();
    define(
        &comparison,
        "alter role app set datestyle = 'German'; alter role app set intervalstyle = 'sql_standard'",
    );
    let texts =
        ["select date '2026-12-01', interval '1 day 2 hours'", "set datestyle = 'ISO'", "reset datestyle"];
    let messages = comparison.same_from_the_start(&[], &[queries(&texts)]).unwrap();
    assert!(
        reported(&messages).contains(&("DateStyle".to_owned(), "German, DMY".to_owned())),
        "{messages:?}"
    );
}

#[test]
fn a_setting_that_changes_is_reported_in_its_place() {
    let comparison = comparison();
    for (set, name) in [
        ("set datestyle = 'SQL, DMY'", "DateStyle"),
        ("set intervalstyle = 'postgres_verbose'", "IntervalStyle"),
        ("set default_transaction_read_only = on", "default_transaction_read_only"),
    ] {
        let within = format!("begin; {set}; select 1; commit");
        let texts = [set, set, "select 1", &format!("reset {name}"), &within, "reset all"];
        let messages = comparison.same(&[queries(&texts)]).unwrap();
        assert_eq!(reported(&messages).len(), 4, "{set}: {messages:?}");
        assert!(reported(&messages).iter().all(|(reported, _)| reported == name));
    }
}

#[test]
fn a_setting_of_any_text_is_reported_in_its_place() {
    let comparison = comparison();
    for (set, name) in [
        ("set timezone = 'Asia/Tokyo'", "TimeZone"),
        ("set timezone = '<+03>-3'", "TimeZone"),
        ("set application_name = 'ä programme'", "application_name"),
    ] {
        let texts = [set, set, "select 1", &format!("reset {name}")];
        let messages = comparison.same_unmasked(&[queries(&texts)]).unwrap();
        assert_eq!(reported(&messages).len(), 2, "{set}: {messages:?}");
        let batch = [run("select 1"), run(set), run("select 2"), sync(), query("discard all")];
        let messages = comparison.same_unmasked(&[ready(2, &batch)]).unwrap();
        assert_eq!(reported(&messages)[0].0, name);
    }
}

#[test]
fn a_rollback_reports_what_it_brings_back() {
    let comparison = comparison();
    let texts = [
        "begin",
        "set datestyle = 'German'",
        "select 1",
        "savepoint s",
        "set local datestyle = 'SQL'",
        "rollback to s",
        "rollback",
        "select date '2026-12-01'",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(reported(&messages).len(), 4, "{messages:?}");
    assert_eq!(reported(&messages)[3].1, "ISO, MDY");
    let texts = ["begin", "set local intervalstyle = 'iso_8601'", "select 1/0", "commit"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(reported(&messages).len(), 2);
    let texts = ["begin", "set local intervalstyle = 'iso_8601'", "commit", "select interval '1 day'"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(reported(&messages).len(), 2);
}

#[test]
fn a_setting_that_can_not_be_is_refused_as_by_the_server() {
    let comparison = comparison();
    let texts = [
        "set timezone = 'Nowhere/Nothing'",
        "set nothing = 1",
        "set work_mem = '1 parsec'",
        "set shared_buffers = '1MB'",
        "show nothing",
        "set transaction isolation level serializable",
        "set log_min_messages = debug5",
        "set client_encoding = 'UTF8'",
        "set standard_conforming_strings = on",
        "set names 'UTF8'",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(outline(&messages).1, ["22023", "42704", "22023", "55P02", "42704", "42501"]);
}

#[test]
fn a_database_in_another_encoding_gives_and_takes_the_same_texts() {
    let comparison = comparison();
    define(&comparison, "create database latin encoding 'LATIN1' locale 'C' template template0");
    let settings = [("database", "latin"), ("client_encoding", "UTF8")];
    let value = |text: &str| {
        [parse("", "select $1::text, length($1)"), bind("", "", &[text]), execute("", 0)].concat()
    };
    let texts =
        queries(&["select chr(233), length(chr(233)), chr(233)::text::bytea", "show server_encoding"]);
    // What the server has no letter for is an error there.
    let values = ready(2, &[value("café"), sync(), value("€"), sync()]);
    let messages = comparison.same_from_the_start(&settings, &[texts, values]).unwrap();
    assert_eq!(outline(&messages).1, ["22P05"]);
    assert!(
        messages.iter().any(|message| message.tag == 'D' && message.row()[0].as_deref() == Some("café"))
    );
    assert!(reported(&messages).contains(&("server_encoding".to_owned(), "LATIN1".to_owned())));
}
