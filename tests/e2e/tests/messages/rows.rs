//! Rows of every shape.

use gatewright_e2e::{
    comparison::ready,
    wire::{bind, bind_format, describe, execute, message, parse, sync, tags},
};

use super::super::{comparison, completed, outline, queries, run};

#[test]
fn rows_without_columns_and_rows_of_very_many() {
    let comparison = comparison();
    let messages = comparison.same(&[queries(&["select", "select from generate_series(1,3)"])]).unwrap();
    assert_eq!(tags(&messages), "TDCZTDDDCZ");
    assert_eq!(messages[1].body, [0, 0]);
    let messages =
        comparison.same(&[ready(1, &[run("select from generate_series(1,3)"), sync()])]).unwrap();
    assert_eq!(tags(&messages), "12TDDDCZ");
    let columns: Vec<String> = (1..=1_600).map(|n| format!("{n} c{n}")).collect();
    let messages = comparison.same(&[queries(&[&format!("select {}", columns.join(","))])]).unwrap();
    assert_eq!(messages[0].body[..2], [0x06, 0x40]);
    assert_eq!(messages[1].row().len(), 1_600);
}

#[test]
fn long_values_and_many_rows() {
    let comparison = comparison();
    let texts = [
        "select repeat('é', 2000000), 1, repeat('x', 70000)",
        "select n, repeat('x', n % 100), nullif(n % 3, 0) from generate_series(1, 20000) n",
        "select repeat('x', n) from generate_series(65500, 65560) n",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(completed(&messages), ["SELECT 1", "SELECT 20000", "SELECT 61"]);
    assert!(messages[1].body.len() > 4_000_000);
}

#[test]
fn values_there_and_back() {
    let comparison = comparison();
    let text = "select $1::text, length($1::text), $1::text is null, ''::text, null::text";
    for value in ["", "'", "\\", "é😀", "a\nb\tc", &"long ".repeat(8_000)] {
        let batch = [parse("", text), bind("", "", &[value]), describe('P', ""), execute("", 0), sync()];
        let messages = comparison.same(&[ready(1, &batch)]).unwrap();
        assert_eq!(messages[3].row()[0].as_deref(), Some(value));
        assert_eq!(messages[3].row()[4], None);
    }
    let null = message('B', b"\0\0\0\0\0\x01\xff\xff\xff\xff\0\0");
    let messages = comparison.same(&[ready(1, &[parse("", text), null, execute("", 0), sync()])]).unwrap();
    assert_eq!(messages[2].row()[0], None);
    assert_eq!(messages[2].row()[2].as_deref(), Some("t"));
}

#[test]
fn values_in_binary() {
    let comparison = comparison();
    let text = "select 1::int2, 2::int4, 3::int8, 1.5::float8, 12.34::numeric, true, 'é'::text, '\\x00ff'::bytea, null::text,
        date '2026-12-01', timestamptz '2026-12-01 00:00Z', interval '1 day', array[1, null, 3], '{\"a\": 1}'::jsonb,
        '5b1b7c1e-4ef4-4d6c-8b14-b9a1e0e1b0a3'::uuid, point(1, 2), int4range(1, 5), row(1, 'x'), inet '10.0.0.1'";
    for format in [0, 1] {
        let bound = bind_format("", "", &[], format);
        let batch = [parse("", text), describe('S', ""), bound, describe('P', ""), execute("", 0), sync()];
        let messages = comparison.same(&[ready(1, &batch)]).unwrap();
        assert_eq!(tags(&messages), "1tT2TDCZ");
        assert_eq!(messages[5].row()[0].as_deref(), Some(if format == 0 { "1" } else { "\0\x01" }));
    }
}

#[test]
fn what_writes_says_what_it_has_written() {
    let comparison = comparison();
    let texts = [
        "begin",
        "insert into things values (6, 'six'), (7, null) returning *",
        "update things set note = upper(note) where id > 3 returning id, note",
        "delete from things where id > 5",
        "insert into things values (1, 'one') on conflict do nothing",
        "insert into things values (1, 'one') on conflict (id) do update set note = excluded.note returning note",
        "truncate scratch",
        "create temp table kept on commit drop as select 1",
        "select 1 into temp other",
        "create temp view seen as select 1 one",
        "prepare p (int) as select $1 + 1",
        "execute p (2)",
        "deallocate p",
        "lock table things",
        "comment on table things is 'things'",
        "rollback",
    ];
    let messages = comparison.same_unmasked(&[queries(&texts)]).unwrap();
    assert!(!tags(&messages).contains('E'), "{messages:?}");
    let tags: Vec<String> = completed(&messages);
    assert_eq!(tags[1..6], ["INSERT 0 2", "UPDATE 4", "DELETE 2", "INSERT 0 0", "INSERT 0 1"]);
    // It came with version 15.
    if comparison.scene.postgres.version().unwrap() >= 15 {
        let merge = "merge into things t using (values (1), (9)) v (id) on t.id = v.id when matched then delete when not matched then insert values (v.id, 'new')";
        let messages = comparison.same_unmasked(&[queries(&["begin", merge, "rollback"])]).unwrap();
        assert_eq!(completed(&messages)[1], "MERGE 2");
    }
}

#[test]
fn errors_name_the_table_the_column_and_the_constraint() {
    let comparison = comparison();
    super::super::define(
        &comparison,
        "create domain small as int check (value < 10);
        create table strict (id int not null, size small, check (id > 0), unique (id));
        alter table strict owner to app",
    );
    for (text, state) in [
        ("insert into strict values (null)", "23502"),
        ("insert into strict values (-1)", "23514"),
        ("insert into strict values (1, 11)", "23514"),
        ("insert into strict values (1), (1)", "23505"),
        ("select * from pg_authid", "42501"),
        ("select 1 + 'x'", "22P02"),
        ("select length(1)", "42883"),
        ("select 'é', nothing from things", "42703"),
        ("insert into things (nothing) values (1)", "42703"),
        ("select 10000000000::int4", "22003"),
        ("select count(*) from things group by note having", "42601"),
        ("delete from nothing", "42P01"),
    ] {
        let messages = comparison.same(&[queries(&[text]), ready(1, &[run(text), sync()])]).unwrap();
        assert_eq!(outline(&messages).1, [state, state], "{text}");
    }
}
