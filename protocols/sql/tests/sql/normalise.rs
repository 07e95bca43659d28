//! What may be recorded: no literal and no comment survives, in any statement.

use gatewright_model::sql::Grade;

use crate::{corpus, render::analyse};

fn normalised(text: &str) -> String {
    let analysis = analyse(text);
    assert_ne!(analysis.grade, Grade::Opaque, "{text}");
    analysis.normalised.as_ref().to_owned()
}

#[test]
fn literals_become_parameters() {
    for (text, expected) in [
        ("select 1", "select $1"),
        ("select  *\nfrom people\twhere ssn = '123-45-6789'", "select * from people where ssn = $1"),
        ("select a,b from t where c=$2 and d=5", "select a,b from t where c=$2 and d=$3"),
        ("select E'\\'x', U&'\\0061' uescape '!', x'1f', b'01', $$x$$, $t$x$t$, 1.5e3, 0x1f, 1_000", {
            "select $1, $2 uescape $3, $4, $5, $6, $7, $8, $9, $10"
        }),
        ("select 'a'\n'b'", "select $1"),
        ("select \"Odd \"\"name\", U&\"\\0061\"", "select \"Odd \"\"name\", U&\"\\0061\""),
        ("select 1 -- secret\n, /* secret /* nested */ */ 2", "select $1 , $2"),
        ("select/*secret*/1", "select $1"),
        ("select -1,+ 2", "select -$1,+ $2"),
        (
            "select interval '1' day, date '2020-01-01', true, null",
            "select interval $1 day, date $2, true, null",
        ),
        ("select a::varchar(10)", "select a::varchar($1)"),
    ] {
        assert_eq!(normalised(text), expected);
    }
}

#[test]
fn no_secret_survives_in_utility_statements() {
    for text in [
        "alter role bob password 'S3CRET'",
        "create role bob login password 'S3CRET' valid until 'S3CRET'",
        "create user bob encrypted password 'S3CRET'",
        "create user mapping for bob server s options (user 'S3CRET', password 'S3CRET')",
        "alter user mapping for bob server s options (set password 'S3CRET')",
        "create server s foreign data wrapper w options (host 'S3CRET')",
        "create subscription s connection 'host=x password=S3CRET' publication p",
        "alter subscription s connection 'password=S3CRET'",
        "copy t from '/S3CRET' with (format csv, delimiter 'S3CRET', null 'S3CRET')",
        "copy t to program 'curl S3CRET'",
        "set x.y = 'S3CRET'",
        "set local x.y to 'S3CRET', 'S3CRET'",
        "alter role bob set x.y = 'S3CRET'",
        "alter system set x = 'S3CRET'",
        "comment on table t is 'S3CRET'",
        "security label on table t is 'S3CRET'",
        "do $$ begin perform 'S3CRET'; end $$",
        "do $S3CRET$ x $S3CRET$",
        "do language plpgsql 'S3CRET'",
        "create function f() returns int language sql as 'select ''S3CRET'''",
        "create function f() returns int language sql as $body$ S3CRET $body$",
        "notify c, 'S3CRET'",
        "load 'S3CRET'",
        "prepare transaction 'S3CRET'",
        "prepare p as select 'S3CRET'",
        "execute p('S3CRET', E'S3CRET', 0)",
        "declare c cursor for select 'S3CRET'",
        "explain (analyze 'S3CRET') select 'S3CRET'",
        "create type t as enum ('S3CRET')",
        "alter type t add value 'S3CRET'",
        "create table t (a text default 'S3CRET', check (a <> 'S3CRET'))",
        "create table t partition of p for values in ('S3CRET')",
        "create policy p on t using (a = 'S3CRET')",
        "create trigger t after insert on t execute function f('S3CRET')",
        "create view v as select 'S3CRET'",
        "create tablespace t location 'S3CRET'",
        "create database d encoding 'S3CRET'",
        "create extension e version 'S3CRET'",
        "set time zone 'S3CRET'",
        "set session authorization 'S3CRET'",
        "set role 'S3CRET'",
        "select 1 /* S3CRET */ -- S3CRET",
        "select 1 --S3CRET",
        "reindex (tablespace 'S3CRET') table t",
        "create collation c (locale = 'S3CRET')",
        "create publication p with (publish = 'S3CRET')",
        "call p('S3CRET')",
        "insert into t values ('S3CRET'), (E'S3CRET\\n'), (U&'S3CRET'), ($$S3CRET$$)",
        "select U&'S3CRET' uescape '!', N'S3CRET', json 'S3CRET', interval(3) 'S3CRET'",
    ] {
        let normalised = normalised(text);
        assert!(!normalised.contains("S3CRET"), "{normalised}");
        assert!(!normalised.contains('\''), "{normalised}");
    }
}

#[test]
fn no_literal_survives_anywhere_in_the_corpus() {
    let is_name = |character: char| character.is_alphanumeric() || character == '_' || character == '$';
    for text in corpus::statements().iter().chain(&corpus::lexer::cases()) {
        let normalised = &analyse(text).normalised;
        if normalised.starts_with("(unreadable") {
            continue;
        }
        // Quoted names may hold anything.
        let unquoted: String = normalised.split('"').step_by(2).collect::<Vec<_>>().join("q");
        assert!(!unquoted.contains('\''), "{text:?}: {normalised}");
        let mut before = ' ';
        for character in unquoted.chars() {
            assert!(!character.is_ascii_digit() || is_name(before), "{text:?}: {normalised}");
            before = character;
        }
    }
}

#[test]
fn what_was_normalised_is_the_same_statement() {
    let mut compared = 0;
    for text in corpus::statements() {
        let first = analyse(&text);
        let again = analyse(&first.normalised);
        // Not everywhere that a literal stands may a parameter stand.
        if first.grade != Grade::Opaque && again.grade != Grade::Opaque {
            assert_eq!(first.statements.len(), again.statements.len(), "{text}");
            for (one, other) in first.statements.iter().zip(again.statements.iter()) {
                assert_eq!(
                    (one.relations.as_slice(), one.has_where),
                    (other.relations.as_slice(), other.has_where),
                    "{text}"
                );
            }
            compared += 1;
        }
    }
    assert!(compared > 150, "{compared}");
}

#[test]
fn fingerprints_differ_with_everything_but_literals_and_spaces() {
    let fingerprint = |text: &str| analyse(text).fingerprint.as_ref().to_owned();
    let one = fingerprint("select a from t where b = 1");
    assert_eq!(one.len(), 16);
    assert!(one.chars().all(|digit| digit.is_ascii_hexdigit()));
    for same in [
        "select a from t where b = 2",
        "SELECT a\nFROM T WHERE b='x' -- c",
        "select a from t where b=$$x$$",
    ] {
        assert_eq!(fingerprint(same), one, "{same}");
    }
    for other in [
        "select a from t where c = 1",
        "select a from \"T\" where b = 1",
        "select a from t where b = $1",
        "select a from t where b <> 1",
        "select a from t",
        "select a from t where b = 1; select 1",
        "select a from u where b = 1",
        "select a from s.t where b = 1",
    ] {
        assert_ne!(fingerprint(other), one, "{other}");
    }
    assert_ne!(fingerprint("select \"a b\""), fingerprint("select \"A B\""));
    assert_ne!(fingerprint("select a b"), fingerprint("select ab"));
    assert_eq!(fingerprint("select a,b"), fingerprint("select a , b"));
}
