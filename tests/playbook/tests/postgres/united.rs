//! Masked columns behind set operations, of which the target says nothing: the text and the catalog are all there is.

use gatewright_model::mask::{ColumnMask, MaskMethod, MaskPlan};
use gatewright_playbook::messages::{self, *};

use super::masks::{PEOPLE, masking, plan, refused};

const SSN: &str = "123-45-6789";

/// What the client sees of one row of unnamed columns under `statement`, where `plan` is in force.
fn under(plan: &MaskPlan, statement: &str, values: &[&str]) -> String {
    let columns: Vec<(&str, u32, i16)> = values.iter().map(|_| ("x", 0, 0)).collect();
    described(plan, statement, &columns, values)
}

fn described(plan: &MaskPlan, statement: &str, columns: &[(&str, u32, i16)], values: &[&str]) -> String {
    let mut play = masking();
    play.client(query(statement));
    play.permit_masked(plan.clone());
    play.target([row_description(columns), data_row(values), complete("SELECT 1"), ready(b'I')].concat());
    super::masks::without_notice(&play)
}

fn shown(statement: &str, values: &[&str], expected: &str) {
    let answer = under(&plan(), statement, values);
    assert_eq!(answer, format!("T D({expected}) C(SELECT 1) Z(I)"), "{statement}");
}

#[test]
fn a027_a_set_operation_does_not_unmask() {
    for statement in [
        "select ssn from people union all select ssn from people",
        "select ssn from people union select name from people",
        "select note from (select id as note from orders union all select ssn from people) q",
        "select 'x' union all select ssn as harmless from people",
        "select null except select ssn from people",
        "(select ssn from people order by 1 limit 1) union all (select 'x' limit 1)",
        "select upper(name) from people intersect select ssn from people",
        "select q.b from (select id, ssn from people union all select 1, 'x') q (a, b)",
        "with q (a) as (select ssn from people union all select 'x') select a from q",
        "with q as materialized (select ssn from people) select ssn from q union all select ssn from q",
        "(select ssn from people for update) union all select 'x'",
        "select * from (select ssn from people union all select name from people) q",
        "(select ssn from people union select 'x') union all (values ('y') except select 'z')",
        "select p.ssn from people p union all select p.id from orders p",
        "select o.id from orders o union all select ssn from people, orders",
    ] {
        shown(statement, &[SSN], "*******6789");
    }
}

#[test]
fn a027_the_place_decides_in_a_set_operation_and_not_the_name() {
    shown("select ssn, id from people union all select id, name from people", &[SSN, "1"], "*******6789,1");
    shown(
        "select name, ssn from people union all select ssn, name from people",
        &["ann", SSN],
        "***,*******6789",
    );
    shown(
        "select x.ssn, x.name from (select id, ssn from people union all select 1, 'x') x (ssn, name)",
        &["1", SSN],
        "1,*******6789",
    );
    shown("select name as ssn from people union all select 'x'", &["ann"], "ann");
}

#[test]
fn a027_what_is_computed_from_masked_columns_is_refused_in_each_arm() {
    for statement in [
        "select ssn from people union all select substr(ssn, 1, 3) from people",
        "select 'x' union all select md5(ssn) from people",
        "select upper(x) from (select ssn as x from people union all select 'x') q",
        "select q from (select ssn from people union all select 'x') q",
        "select (select ssn from people union all select 'x' limit 1)",
        "select p from people p union all select p from people p",
        "select * from people union all select * from people",
        "select ssn, * from people union all select 1, 2, 3, 4",
        "with recursive c as (select ssn from people union all select ssn from c) select * from c",
        "select array(select ssn from people union all select 'x')",
        "values ((select ssn from people)) union all select 'x'",
        "select name from people_view union all select substr(whatever, 1) from people_view",
    ] {
        refused(statement, "mask.lineage_unknown");
    }
    refused("insert into orders (note) select ssn from people union all select 'x'", "mask.sink_denied");
    refused("create table t as select ssn from people union all select 'x'", "mask.sink_denied");
}

#[test]
fn a027_what_the_catalog_does_not_know_is_withheld_in_a_set_operation() {
    for statement in [
        // A view, an unheard-of relation, a column that was renamed, a function over the row, aliases for columns.
        "select whatever from people_view union all select 'x'",
        "select ssn from fresh union all select 'x'",
        "select ssn from people, fresh union all select 'x'",
        "select social from people union all select 'x'",
        "select p.leak from people p union all select 'x'",
        "select s from people p (n, m, s) union all select 'x'",
        "select ssn from hr.people union all select name from people",
    ] {
        shown(statement, &[SSN], "null");
    }
    // The description has more columns than the text, or names none where the text announces one.
    shown("select ssn from people union all select 'x'", &[SSN, "y"], "null,null");
    shown(
        "select a.ssn, b.x from people a, (select id as x from orders union select 1) b",
        &[SSN, "1"],
        "null,null",
    );
}

#[test]
fn a026_what_the_target_says_counts_more_than_the_text() {
    let statement = "select ssn from people union all select 'x'";
    let answer = described(&plan(), statement, &[("ssn", PEOPLE, 1)], &["1"]);
    assert_eq!(answer, "T D(1) C(SELECT 1) Z(I)");
    let answer =
        described(&plan(), "select id from people union all select 1", &[("id", PEOPLE, 3)], &[SSN]);
    assert_eq!(answer, "T D(*******6789) C(SELECT 1) Z(I)");
}

#[test]
fn a028_nobody_has_a_guess_hashed_beside_the_column() {
    let mut hashed = plan();
    hashed.columns[0].method = MaskMethod::Hash;
    for statement in [
        "select ssn from people union all select '123-45-6789'",
        "select ssn from people union all select name from people",
        "select ssn from people union all select to_char(n, '000-00-0000') from generate_series(1, 9) n",
    ] {
        assert_eq!(under(&hashed, statement, &[SSN]), "T D(null) C(SELECT 1) Z(I)", "{statement}");
    }
    let alone = under(&hashed, "select ssn from people union all select ssn from people", &[SSN]);
    assert!(alone.starts_with("T D(") && !alone.contains("null") && !alone.contains(SSN), "{alone}");
    hashed.columns.push(ColumnMask {
        column: "name".into(),
        method: MaskMethod::Redact,
        ..hashed.columns[0].clone()
    });
    let both = under(&hashed, "select ssn from people union all select name from people", &[SSN]);
    assert_eq!(both, "T D(null) C(SELECT 1) Z(I)", "two methods");
}

#[test]
fn a028_a_set_operation_that_compares_masked_values_is_a_condition() {
    let mut limited = plan();
    limited.columns[0].conditions = Some(0);
    for statement in [
        "select ssn from people union select 'x'",
        "select ssn from people intersect select '123-45-6789'",
        "select '123-45-6789' except all select ssn from people",
        "select id, ssn from people union all select 1, 'x' order by ssn",
        "select id, ssn from people union all select 1, 'x' order by 2",
        "select distinct x from (select ssn as x from people union all select 'x') q",
        "select 1 from (select ssn as x from people union all select 'x') q where q.x like '1%'",
    ] {
        let mut play = masking();
        play.client(query(statement));
        play.permit_masked(limited.clone());
        let transcript = play.transcript().to_string();
        assert!(transcript.ends_with("error mask.condition\n"), "{statement}:\n{transcript}");
    }
}

#[test]
fn a034_an_united_column_of_a_type_that_holds_no_text_becomes_null() {
    let mut play = masking();
    play.client(query("select ssn from people union all select 1"));
    play.permit_masked(plan());
    let mut description = row_description(&[("x", 0, 0)]);
    // Its type is `int4`.
    let oid = description.windows(4).position(|bytes| bytes == 25u32.to_be_bytes()).unwrap();
    description[oid + 3] = 23;
    play.target([description, data_row(&["1"]), complete("SELECT 1"), ready(b'I')].concat());
    let answer = messages::render(play.transcript().client_bytes(), false);
    assert_eq!(answer, "T D(null) C(SELECT 1) Z(I)");
}
