//! Ways around a mask or a rule that were found by attacking it, each with what closes it. The masked column is `people.ssn`.

use std::collections::BTreeSet;

use expect_test::expect;

use crate::render::{analyse, check, check_outputs};
use gatewright_model::sql::{Column, FunctionClass, Grade};

/// Columns that a join merges are given once and first, so an alias behind them is not the one that counting would say.
#[test]
fn a025_nobody_counts_columns_behind_a_merged_join() {
    for text in [
        "select c3||'' from ((select 1 k, 'x' h) a join (select 1 k, ssn s from people) b using (k)) j(c1, c2, c3)",
        "with c(c1, c2, c3) as (select * from (select 1 k, 'x' h) a natural join (select 1 k, ssn s from people) b) select c3||'' from c",
        "select c2||'' from (select * from (select 1 k, 'x' h) a natural join (select 1 k, ssn s from people) b) j(c1, c2, c3)",
    ] {
        check_outputs(text, expect!["computed(?.ssn)"]);
    }
    // By its own name a column is still what it is.
    check_outputs(
        "select h||'' from (select * from (select 1 k, 'x' h) a join (select 1 k, ssn s from people) b using (k)) j",
        expect!["computed()"],
    );
}

/// `(row).*` is as many columns as the row has.
#[test]
fn a025_nobody_counts_columns_behind_a_row() {
    for text in [
        "select c||'!' from (select (z.r).*, ssn, 'h' h from people, (select n r from pg_am n) z) q(a1, a2, a3, a4, c, h)",
        "select column5||'!' from people p, (select n r from pg_am n) z, lateral (values ((z.r).*, p.ssn, 'h', 'i')) v",
        "select c||'!' from (select (z.r).*, ssn from people, (select n r from pg_am n) z) q(a1, a2, a3, a4, c)",
    ] {
        check_outputs(text, expect!["unknown"]);
    }
}

/// A name that is found nowhere may be of anything.
#[test]
fn a025_what_is_found_nowhere_is_unknown() {
    check_outputs("select nobody||'' from (select ssn from people) q", expect!["unknown"]);
    check_outputs(
        "select unnest.unnest||'!' from rows from (unnest(array(select ssn from people)), generate_series(1, 2))",
        expect!["computed(?.ssn)"],
    );
    check_outputs("select q.x||'' from people p", expect!["unknown"]);
}

/// The name that a function goes by is that of a column further out, where there is one.
#[test]
fn a025_a_functions_name_hides_no_column_further_out() {
    check_outputs(
        r#"select (select e||'!' from json_each('{"a":1}') e limit 1) from (select ssn as e from people) o"#,
        expect!["computed(?.ssn)"],
    );
    // A word of the grammar since PostgreSQL 16.
    check_outputs(
        "select system_user||'!' from (select ssn as system_user from people) q",
        expect!["computed(?.ssn)"],
    );
    check_outputs("select system_user", expect!["unknown"]);
}

/// A setting that is changed on the way does not hide what the statement is, nor another setting.
#[test]
fn a020_one_kind_hides_no_other() {
    check(
        "delete from notes where set_config('search_path', 'public', false) is not null",
        expect![
            "delete+set_search_path [read write session] notes:w notes:r set_config()=changing no-where"
        ],
    );
    check(
        "copy (select set_config('search_path', 'x', false)) to stdout",
        expect!["copy_to+set_search_path [session] set_config()=changing"],
    );
    check(
        "select set_config('role', 'guest', false), set_config('search_path', 'public', false)",
        expect!["set_role+set_search_path+select [session] set_config()=changing"],
    );
    check(
        "select set_config('standard_conforming_strings', 'off', false), set_config('search_path', 'x', false)",
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            set_lexing+set_search_path+select [session] set_config()=changing"#]],
    );
    check(
        "select set_config(name, 'off', false) from t",
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            set_lexing+set_role+select [read session] t:r set_config()=changing"#]],
    );
    // What pg_dump does; no setting of another meaning takes such a value, whatever its name turns out to be.
    check(
        "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings \
         WHERE name = 'restrict_nonsystem_relation_kind'",
        expect!["set_search_path+select [read session] pg_settings:r set_config()=changing"],
    );
    for value in ["'view'", "'View, foreign-table'", "$1", "name", "'view, foreign-table' || ''", "null"] {
        let analysis = analyse(&format!("select set_config(name, {value}, false) from pg_settings"));
        assert_eq!(analysis.grade, Grade::Opaque, "{value}");
    }
    check(
        "update pg_settings set setting = 'off' where name = 'x'",
        expect![[r#"
            opaque: it changes how the strings in all that follows are read
            update+set_role+set_lexing [read write session] pg_settings:w pg_settings:r where"#]],
    );
    check(
        "explain select set_config('role', 'x', false), set_config('search_path', 'x', false)",
        expect!["explain+set_role+set_search_path [session] set_config()=changing"],
    );
}

/// Whoever reads a column to change another one reads.
#[test]
fn a027_an_update_without_a_condition_reads_too() {
    check(
        "with x as (update people set name = ssn) select 1",
        expect!["select [read write] people:w people:r no-where"],
    );
    check("update people set name = 'x'", expect!["update [write] people:w no-where"]);
}

/// What is prepared for a commit by somebody is ended by whoever may.
#[test]
fn a015_the_end_of_what_was_prepared_is_a_write() {
    check("commit prepared 'x'", expect!["commit_prepared [write transaction]"]);
    check("rollback prepared 'x'", expect!["rollback_prepared [write transaction]"]);
}

/// A database in another encoding cuts names in another place.
#[test]
fn a012_names_that_the_server_may_cut_elsewhere_are_not_read() {
    let long = "é".repeat(40);
    for text in [
        format!("with {long}a as (select 1), {long}b as (select ssn from people) select * from {long}a"),
        format!("select \"{long}\" from people"),
        format!("select U&\"{}\" from people", "\\00e9".repeat(20)),
    ] {
        assert_eq!(analyse(&text).grade, Grade::Opaque, "{text}");
    }
    assert_eq!(analyse(&format!("select '{long}' from people")).grade, Grade::Verified);
    assert_eq!(analyse(&format!("select {} from people", "a".repeat(80))).grade, Grade::Verified);
}

/// The tree takes thousands of times the room of a text like this.
#[test]
fn f020_a_text_of_very_many_words_is_not_read() {
    assert_eq!(analyse(&format!("select a{}", ",a".repeat(200_000))).grade, Grade::Opaque);
}

/// `p.f` may be a call of `f` with the row, and so may a field of any value be.
#[test]
fn a016_what_stands_behind_a_dot_may_be_a_call() {
    let fields = |text: &str| {
        let analysis = analyse(text);
        let fields = analysis.statements.iter().flat_map(|statement| &statement.fields);
        let name =
            |column: &Column| format!("{}.{}", column.relation.as_deref().unwrap_or("?"), column.name);
        fields.map(name).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    for (text, expected) in [
        ("select a, b from t", ""),
        ("select p.f from t p where p.g = 1 order by p.h", "t.f t.g t.h"),
        ("select s.t.f from s.t", "t.f"),
        ("select (t).f, (t.c).g, (t.d[1]).h from t", "?.f ?.g ?.h t.c t.d"),
        // A column that the text gives is one.
        ("select q.f, q.g from (select a as f from t) q", "?.g"),
        ("with w(f) as (select a from t) select w.f, w.g from w", "?.g"),
        ("select v.f from (values (1)) v(f)", ""),
        ("select p.f from t p(a, b)", "?.f"),
        ("select u.f from unnest(array[1]) u", "?.f"),
        ("update t set a = p.f from u p returning t.g", "t.g u.f"),
    ] {
        assert_eq!(fields(text), expected, "{text}");
    }
}

/// Before version 17 it is a name like any other, and after it PostgreSQL's own where a MERGE returns.
#[test]
fn a016_merge_action_is_unknown_elsewhere_than_where_a_merge_returns() {
    let is_unknown = |text: &str| {
        let analysis = analyse(text);
        let mut functions = analysis.statements.iter().flat_map(|statement| &statement.functions);
        functions.any(|function| function.class == FunctionClass::Unknown)
    };
    let merge = "merge into t using u on t.a = u.a when matched then update set b = 1 returning";
    assert!(is_unknown("select merge_action()"));
    assert!(is_unknown("merge into t using u on merge_action() = 'x' when matched then delete"));
    assert!(is_unknown("with w as (select merge_action()) select * from w"));
    assert!(!is_unknown(&format!("{merge} merge_action(), t.b")));
    assert!(is_unknown(&format!("with w as ({merge} 1) select merge_action() from w")));
}

/// What reads a value of a type by its number runs the checks of a domain.
#[test]
fn a016_input_functions_of_any_type_change_what_they_like() {
    for call in [
        "array_in('{x}', 16400, -1)",
        "record_in('(x)', 16400, -1)",
        "range_in('[x,y]', 16400, -1)",
        "domain_in('x', 16400, -1)",
    ] {
        assert!(analyse(&format!("select {call}")).effects().write, "{call}");
    }
    assert!(analyse("select pg_catalog.pg_input_is_valid('x', 'd')").effects().write);
    assert!(!analyse("select int4in('1')").effects().write);
}
