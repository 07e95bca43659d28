//! Masks where the server's description of an answer says nothing: set operations and COPY, with the clients that people use.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails here has failed")]

use std::process::Command;

use gatewright_e2e::{Mint, Psql, Scene, driver, policies};
use gatewright_testbed::is_older;

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };

fn masked() -> Scene {
    Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap()
}

fn direct(scene: &Scene) -> Psql {
    let postgres = &scene.postgres;
    let authority = postgres.certificates().authority();
    Psql::new(postgres.port(), &authority, postgres.account(), postgres.password()).options(&["-A", "-t"])
}

#[test]
fn a027_set_operations_are_masked() {
    let scene = masked();
    scene
        .postgres
        .sql(
            "postgres",
            "create table archive (id int, email varchar(80), ssn text); alter table archive owner to app;
             insert into archive values (9, 'old@example.com', '000')",
        )
        .unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    let mut shows = |statement: &str, expected: &str| {
        let answer = psql.say(&format!("{statement};")).unwrap();
        // Where values are null for it, that is said before, once.
        let (said, rows) = answer.split_at(answer.len().saturating_sub(expected.len()));
        assert!(
            rows == expected && (said.is_empty() || said.starts_with("NOTICE")),
            "{statement}: {answer}"
        );
    };
    // Types that the server has to join: bigint and int, text and varchar.
    shows(
        "select id, email from people where id = 1 union all select id, email from archive",
        "1|[redacted]\n9|[redacted]\n",
    );
    shows(
        "select name, card from people where id = 1 union all select 'x', null order by name",
        "Ada Lovelace|***************1111\nx|\n",
    );
    shows(
        "select b from (select id, card from people union all select 2, 'y') q (a, b) where a = 1",
        "***************1111\n",
    );
    shows(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 3) select i from n",
        "1\n2\n3\n",
    );
    shows("select card from people where id = 1 union all select email from people where id = 1", "\n\n");
    shows("select ssn from people where id = 1 union all select '536-22-8726'", "\n\n");
    let hashed = psql.say("select ssn from people where id = 1;").unwrap();
    let twice =
        psql.say("select ssn from people where id = 1 union select ssn from people where id = 1;").unwrap();
    assert_eq!(hashed, twice, "the same hash as without a set operation");
}

/// A COPY of a table has no generated columns, unlike a `select *` of it.
#[test]
fn a033_a_table_with_a_generated_column_is_copied() {
    let scene = masked();
    let define = "alter table people add column shout text generated always as (upper(name)) stored; \
                  alter table people add column last int default 7";
    scene.postgres.sql("postgres", define).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    let copied = psql.say("copy people to stdout;").unwrap();
    assert!(copied.contains("Ada Lovelace") && copied.lines().all(|row| row.ends_with("\t7")), "{copied}");
    assert!(!copied.contains("536-22-8726") && !copied.contains("ADA LOVELACE"), "{copied}");
    assert_eq!(psql.say("select 1;").unwrap(), "1\n");
}

#[test]
fn a033_psql_copies_masked_rows_in_every_format() {
    let scene = masked();
    scene
        .postgres
        .sql("postgres", "update people set city = E'a\\tb\\\\c\\n\"d\",;' where id = 2")
        .unwrap();
    for format in [
        "text",
        "csv",
        "csv, header, delimiter ';', null 'nil'",
        "text, delimiter '|'",
        "csv, force_quote *",
    ] {
        for source in ["people (id, name, city)", "(select id, name, city from people order by id)"] {
            let script = format!("copy {source} to stdout with (format {format});");
            let through = scene.psql(&ALICE).unwrap().run(&script).unwrap();
            assert_eq!(through, direct(&scene).run(&script).unwrap(), "{script}");
        }
    }
    let say = |script: &str| scene.psql(&ALICE).unwrap().run(script).unwrap();
    assert_eq!(
        say("\\copy (select id, email, card from people where id < 3 order by id) to stdout csv header\n"),
        "id,email,card\n1,\"[redacted]\",\"***************1111\"\n2,\"[redacted]\",\"***************0004\"\n"
    );
    assert_eq!(
        say(
            "begin; copy people (id, card) to stdout (format csv); select 1; commit; copy (select card from people where id = 1) to stdout;"
        ),
        "1,\"***************1111\"\n3,\"************** 009\"\n4,\"***************0004\"\n2,\"***************0004\"\n1\n***************1111\n"
    );
    let whole = say("copy people to stdout;");
    assert_eq!(whole.lines().count(), 4, "{whole}");
    let secrets = scene.postgres.sql("postgres", "select email, card, ssn from people").unwrap();
    for secret in secrets.lines().flat_map(|line| line.split('|')) {
        assert!(secret.len() > 10 && !whole.contains(secret), "{secret}: {whole}");
    }
    let record = scene.evidence().unwrap().text();
    let counted = record.matches(r#""masked":[["masks/column",4]]"#).count();
    assert!(counted >= 2, "of four rows with one masked column, and of two with two: {record}");
}

#[test]
fn a033_psycopg_copies_masked_rows_in_text_and_binary() {
    let scene = masked();
    let script = r#"
import psycopg
with psycopg.connect() as conn, conn.cursor() as cur:
    for n in range(2):
        with cur.copy("copy people (id, card, name) to stdout (format binary)") as copy:
            copy.set_types(["int8", "text", "text"])
            print(list(copy.rows())[0])
        with cur.copy("copy (select id, card, email from people where id = 1) to stdout") as copy:
            copy.set_types(["int8", "text", "text"])
            print(list(copy.rows()))
    with cur.copy("copy (select card from people where id = %s) to stdout", [1]) as copy:
        print(b"".join(copy))
    try:
        with cur.copy("copy (select card from people, nothing) to stdout") as copy:
            list(copy)
    except psycopg.errors.UndefinedTable:
        print("undefined table")
    conn.rollback()
    try:
        with cur.copy("copy people to stdout (null '536-22-8726')") as copy:
            list(copy)
    except psycopg.errors.InsufficientPrivilege:
        print("refused")
    conn.rollback()
    print(conn.execute("select 'session goes on'").fetchone()[0])
"#;
    let answer = driver::psycopg(&scene.gateway.psql(&ALICE).unwrap(), script).unwrap();
    let pair = "(1, '***************1111', 'Ada Lovelace')\n[(1, '***************1111', '[redacted]')]\n";
    let rest = "b'***************1111\\n'\nundefined table\nrefused\nsession goes on\n";
    assert_eq!(answer, format!("{pair}{pair}{rest}"));
}

#[test]
fn a033_what_pg_dump_writes_is_masked() {
    let scene = masked();
    if is_older("pg_dump", &scene.postgres).unwrap() {
        println!("not tried: this pg_dump refuses a server that is newer");
        return;
    }
    let child = "create table people_abroad (country text) inherits (people);
        insert into people_abroad select p.*, 'Malta' from only people p where id = 1;
        grant select on people_abroad to public";
    scene.postgres.sql("postgres", child).unwrap();
    let connection = scene.gateway.psql(&ALICE).unwrap();
    for arguments in [&["-t", "people"][..], &[], &["--inserts"], &["--column-inserts", "-t", "people"]] {
        let dump = Command::new("pg_dump").args(arguments).envs(connection.environment()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&dump.stdout), String::from_utf8_lossy(&dump.stderr));
        assert!(dump.status.success(), "{arguments:?}: {err}");
        assert!(out.contains("Ada Lovelace") && out.contains("[redacted]"), "{arguments:?}: {out}");
        assert_eq!(out.contains("Malta"), !arguments.contains(&"people"), "{arguments:?}: {out}");
        assert!(!out.contains("ada@example.com") && !out.contains("536-22-8726"), "{arguments:?}: {out}");
    }
}

/// What pg_dump does is reading, for whom nothing else is allowed.
#[test]
fn a_dump_is_a_read() {
    let rules = policies::rules("rules", "read_only = true").unwrap();
    let masks = policies::masks().unwrap();
    let scene = Scene::with(&[("rules", &rules), ("masks", &masks)]).unwrap();
    if is_older("pg_dump", &scene.postgres).unwrap() {
        println!("not tried: this pg_dump refuses a server that is newer");
        return;
    }
    let connection = scene.gateway.psql(&ALICE).unwrap();
    let dump =
        Command::new("pg_dump").args(["-t", "people"]).envs(connection.environment()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&dump.stdout), String::from_utf8_lossy(&dump.stderr));
    assert!(dump.status.success(), "{err}");
    assert!(out.contains("Ada Lovelace") && out.contains("[redacted]") && !out.contains("536-22"), "{out}");
    let mut psql = connection.open().unwrap();
    for stronger in ["lock table people in row share mode;", "lock table people;"] {
        assert!(psql.say(&format!("begin; {stronger} rollback;")).unwrap().contains("ERROR"), "{stronger}");
    }
}

#[test]
fn a034_a_mask_is_a_value_of_the_type_where_the_type_has_a_form_for_it() {
    let columns = [
        ("doc", "\"hash\""),
        ("binary_doc", "\"redact\""),
        ("key", "\"hash\""),
        ("bytes", "\"redact\""),
        ("names", "{ partial = 2 }"),
        ("amount", "\"hash\""),
    ];
    let columns: Vec<String> = columns
        .iter()
        .map(|(column, method)| {
            format!("{{ relation = \"public.typed\", column = \"{column}\", method = {method} }}")
        })
        .collect();
    let settings = format!("exempt_groups = []\ncolumns = [{}]", columns.join(", "));
    let document = policies::document("masks", "mask_columns", &settings).unwrap();
    let scene = Scene::with(&[("masks", &document)]).unwrap();
    scene
        .postgres
        .sql(
            "postgres",
            "create table typed (doc json, binary_doc jsonb, key uuid, bytes bytea, names text[], amount numeric);
             alter table typed owner to app;
             insert into typed values ('{\"a\": \"secret\"}', '[1]', '0f0e0d0c-0b0a-4908-8706-050403020100', 'secret',
                 '{abc,\"d,\\\"e\",null}', 12.5)",
        )
        .unwrap();
    let script = r#"
import psycopg
names = "doc, binary_doc, key, bytes, names, amount"
seen = set()
with psycopg.connect(autocommit=True) as conn, conn.cursor() as cur:
    for binary in (False, True):
        row = conn.execute(f"select {names} from typed", binary=binary).fetchone()
        seen.add(repr(row))
    for format in ("text", "binary"):
        with cur.copy(f"copy typed ({names}) to stdout (format {format})") as copy:
            copy.set_types(["json", "jsonb", "uuid", "bytea", "text[]", "numeric"])
            seen.add(repr(list(copy.rows())[0]))
assert len(seen) == 1, seen
doc, binary_doc, key, content, names, amount = row
assert len(doc) == 32 and key.version == 8, row
print(binary_doc, content, names, amount)
"#;
    let answer = driver::psycopg(&scene.gateway.psql(&ALICE).unwrap(), script).unwrap();
    // Four characters, of which two stay.
    assert_eq!(answer, "[redacted] b'[redacted]' ['*bc', '**\"e', None] None\n");
}
