//! Against a real PostgreSQL, where one is installed: the table of functions, and what its lexer says.
//!
//! Without `initdb` these tests say so in one line and compare nothing.
//!
//! The table `src/functions/postgres.txt` is made here: `UPDATE_EXPECT=1 cargo test --test sql live` with
//! PostgreSQL 15 installed writes it anew from `pg_proc` and `src/functions/reviewed.txt`.

use std::{collections::BTreeMap, fmt::Write as _};

use expect_test::expect_file;
use gatewright_model::sql::{Grade, Output};

use crate::{
    corpus,
    render::analyse,
    server::{Client, Server, TABLE_VERSION, fields, values},
};

/// They take a row, and tell nothing of what is in it, or can not be called as `row.name`.
const ROW_TELLS_NOTHING: &str = "count cume_dist dense_rank mode num_nonnulls num_nulls percent_rank pg_collation_for \
     pg_column_compression pg_column_size pg_typeof rank";

const FUNCTIONS: &str = "
    select proname || ' ' || bool_or(provolatile = 'v') || ' ' || bool_or(
        (pronargs - pronargdefaults <= 1 and pronargs >= 1 or provariadic <> 0) and proargtypes[0] in (
            'record'::regtype, '\"any\"'::regtype, 'anyelement'::regtype, 'anynonarray'::regtype,
            'anycompatible'::regtype, 'anycompatiblenonarray'::regtype))
    from pg_proc where pronamespace = 'pg_catalog'::regnamespace
    group by proname order by proname collate \"C\"";

#[test]
fn a016_the_table_of_functions_is_that_of_a_real_server() {
    let Some(server) = Server::start() else { return };
    let reviewed = reviewed();
    let mut rows = server.connect().rows(FUNCTIONS);
    rows.sort();
    let is_table_version = server.version.split('.').next() == Some(TABLE_VERSION);
    let mut table =
        String::from("# Made by tests/sql/live.rs from pg_proc and reviewed.txt: do not edit.\n");
    let mut names = Vec::new();
    for row in &rows {
        let [name, is_volatile, takes_a_row] = row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let default = if is_volatile == "true" { "changing" } else { "harmless" };
        let class = reviewed.get(name).map_or(default, String::as_str);
        let tells =
            takes_a_row == "true" && !ROW_TELLS_NOTHING.split_whitespace().any(|other| other == name);
        let _ = writeln!(table, "{name} {class}{}", if tells { " row" } else { "" });
        names.push(name);
        // One of its overloads reads the clock: until 15 it was called volatile for that.
        let only_computes = reviewed.contains_key(name) || name == "timezone";
        if !is_table_version && is_volatile == "true" && !only_computes {
            // Of another version: what is volatile there must not pass for harmless here.
            let said = analyse(&format!("select {name}()"));
            assert!(said.effects().write, "{name} of PostgreSQL {} passes for harmless", server.version);
        }
    }
    if is_table_version {
        expect_file!["../../src/functions/postgres.txt"].assert_eq(&table);
        for name in reviewed.keys() {
            assert!(
                names.contains(&name.as_str()),
                "reviewed.txt: PostgreSQL {TABLE_VERSION} has no `{name}`"
            );
        }
    }
}

const OPERATORS: &str =
    "select distinct oprname from pg_operator where oprnamespace = 'pg_catalog'::regnamespace";

/// Rows of catalogs are types too: nobody converts to those.
const TYPES: &str = "
    select typname from pg_type t where typnamespace = 'pg_catalog'::regnamespace and typtype <> 'c'
        and not exists (select from pg_type e where e.oid = t.typelem and e.typtype = 'c')";

#[test]
fn a016_the_tables_of_operators_and_types_are_those_of_a_real_server() {
    let Some(server) = Server::start() else { return };
    let is_table_version = server.version.split('.').next() == Some(TABLE_VERSION);
    for (query, catalog, file) in [
        (OPERATORS, "pg_operator", expect_file!["../../src/functions/operators.txt"]),
        (TYPES, "pg_type", expect_file!["../../src/functions/types.txt"]),
    ] {
        let mut rows = server.connect().rows(query);
        rows.sort();
        let head = format!(
            "# Made by tests/sql/live.rs from {catalog}: do not edit. PostgreSQL 14 to 18 have the same names.\n"
        );
        // A name that another version does not have could be somebody's there.
        let table = rows.iter().fold(head, |table, row| table + row + "\n");
        if is_table_version {
            file.assert_eq(&table);
        } else {
            assert_eq!(
                table.lines().skip(1).collect::<Vec<_>>(),
                file.data().lines().skip(1).collect::<Vec<_>>()
            );
        }
    }
}

/// No text that is verified may be more statements to the server than to us.
#[test]
fn a012_a_real_server_counts_the_statements_of_the_lexer_corpus_the_same() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    client.run("set default_transaction_read_only = on");
    let mut compared = 0;
    for text in corpus::lexer::cases() {
        let analysis = analyse(&text);
        if analysis.grade != Grade::Verified {
            continue;
        }
        let ours = analysis.statements.len();
        let (finished, failed) = client.run(&text);
        // A failed statement ends the text: those after it are not seen.
        let fits = if failed { finished <= ours } else { finished == ours };
        assert!(fits, "{text:?}: {ours} statements, and the server finished {finished} (failed: {failed})");
        compared += usize::from(!failed);
    }
    assert!(compared > 300, "{compared}");
}

/// The secret is put in the table and looked for in every answer: a column that the server does not describe
/// and that shows it must not pass for one that is made of something else (A25-A27).
#[test]
fn a026_no_column_that_shows_the_secret_passes_for_another() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    let (_, failed) = client.run(
        "set statement_timeout = '5s';
         create table people (id int, ssn text, name text, a int, b int);
         create table others (id int, name text, a int, c text);
         create view seen as select id, ssn from people;
         insert into people values (1, 'SECRET', 'bob', 1, 2); insert into others values (1, 'x', 1, 'y');
         create function our_own(int) returns text language sql as 'select ssn from people'",
    );
    assert!(!failed);
    // What the server describes as the column, it is left to mask by that description.
    let attributes = "select attrelid || ' ' || attnum from pg_attribute where attname = 'ssn'";
    let masked: Vec<(u32, u16)> = client
        .rows(attributes)
        .iter()
        .map(|row| row.split_once(' ').unwrap())
        .map(|(table, attribute)| (table.parse().unwrap(), attribute.parse().unwrap()))
        .collect();
    let mut shown = 0;
    // A fifth of them, which still has each part many times: all of them take a minute.
    for text in corpus::lineage::cases().into_iter().step_by(5) {
        let analysis = analyse(&text);
        let [statement] = &analysis.statements[..] else { continue };
        let Some(outputs) = &statement.outputs else { continue };
        let writes = analysis.effects().write;
        let undo = |client: &mut Client, word: &str| writes.then(|| client.run(word));
        undo(&mut client, "begin");
        let messages = client.query(&text);
        undo(&mut client, "rollback");
        let Some((_, description)) = messages.iter().find(|(tag, _)| *tag == b'T') else { continue };
        let fields = fields(description);
        for (_, row) in messages.iter().filter(|(tag, _)| *tag == b'D') {
            for (at, value) in values(row).into_iter().enumerate() {
                if masked.contains(&fields[at]) || !value.to_uppercase().contains("SECRET") {
                    continue;
                }
                shown += 1;
                let told = |output: &Output| match output {
                    Output::Unknown => true,
                    Output::Direct => false,
                    Output::Computed(columns) => {
                        columns.iter().any(|column| ["ssn", "*"].contains(&&*column.name))
                    }
                    Output::United { plain, computed } => {
                        let mut columns = plain.iter().chain(computed.iter().flatten());
                        columns.any(|column| ["ssn", "*"].contains(&&*column.name))
                    }
                };
                // With a `*` among them nobody can count: then one of them has to tell.
                let is_told = match outputs.get(at) {
                    Some(output) if outputs.len() == fields.len() => told(output),
                    _ => outputs.iter().any(told),
                };
                assert!(is_told, "{text}: column {at} shows the secret, and is said to be {outputs:?}");
            }
        }
    }
    assert!(shown > 500, "{shown}");
}

fn reviewed() -> BTreeMap<String, String> {
    let text = include_str!("../../src/functions/reviewed.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .flat_map(|line| {
            let (class, names) = line.split_once(' ').unwrap();
            names.split_whitespace().map(|name| (name.to_owned(), class.to_owned()))
        })
        .collect()
}
