//! What a COPY sends to the client, and in which form (A33).

use expect_test::{Expect, expect};
use gatewright_model::sql::{CopyForm, CopySource};

use crate::render::analyse;

fn check(text: &str, expected: Expect) {
    let analysis = analyse(text);
    let lines = analysis.statements.iter().map(|statement| {
        let Some(copies) = &statement.copies else { return "unknown".to_owned() };
        let source = match &copies.source {
            CopySource::Query(query) => format!("[{query}]"),
            CopySource::Table { schema, name, columns } => {
                let schema = schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
                format!("{schema}{name}({})", columns.join(" "))
            }
        };
        let form = match &copies.form {
            CopyForm::Text { delimiter, header } => {
                format!("text {} {header}", char::from(*delimiter).escape_default())
            }
            CopyForm::Csv { delimiter, quote, escape, null, header } => {
                let signs: String =
                    [delimiter, quote, escape].map(|sign| char::from(*sign)).iter().collect();
                format!("csv {} `{null}` {header}", signs.escape_default())
            }
            CopyForm::Binary => "binary".to_owned(),
        };
        format!("{source} {form}")
    });
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_is_sent() {
    check(r#"copy people to stdout"#, expect![[r#"people() text \t false"#]]);
    check(r#"copy hr."Pe op" (a, "B") to stdout;"#, expect![[r#"hr.Pe op(a B) text \t false"#]]);
    check(r#"copy (select 1) to stdout"#, expect![[r#"[select 1] text \t false"#]]);
    check(
        r#"copy (select ')' /* ) */ -- )
 as "(") to stdout"#,
        expect![[r#"
            [select ')' /* ) */ -- )
             as "("] text \t false"#]],
    );
    check(
        r#"select 'é'; /* ( */ copy /* ( */ (values ((1)), (2)) to stdout; select 2"#,
        expect![[r#"
        unknown
        [values ((1)), (2)] text \t false
        unknown"#]],
    );
    check(
        r#"copy (with x as (delete from people returning id) select id from x) to stdout"#,
        expect![[r#"[with x as (delete from people returning id) select id from x] text \t false"#]],
    );
    check(r#"copy people from stdin"#, expect!["unknown"]);
    check(r#"copy people to '/tmp/x'"#, expect!["unknown"]);
    check(r#"copy people to program 'cat'"#, expect!["unknown"]);
    check(r#"copy (select 1) to program 'cat'"#, expect!["unknown"]);
    check(r#"select 1"#, expect!["unknown"]);
}

#[test]
fn every_spelling_of_the_form() {
    check(r#"copy binary people to stdout"#, expect!["people() binary"]);
    check(r#"copy people to stdout binary"#, expect!["people() binary"]);
    check(r#"copy people to stdout (format binary)"#, expect!["people() binary"]);
    check(
        r#"copy people to stdout (format 'text', delimiter '|', header)"#,
        expect!["people() text | true"],
    );
    check(r#"copy people to stdout using delimiters ';'"#, expect!["people() text ; false"]);
    check(r#"copy people to stdout delimiter ';' null '\N'"#, expect!["people() text ; false"]);
    check(
        r#"copy people to stdout csv header quote '''' escape '\' null 'n' force quote *"#,
        expect![[r#"people() csv ,\'\\ `n` true"#]],
    );
    check(
        r#"copy people to stdout (format csv, header off, delimiter E'\t', force_quote (a, b))"#,
        expect![[r#"people() csv \t\"\" `` false"#]],
    );
    check(
        r#"copy people to stdout (format csv, header 1, encoding 'UTF8')"#,
        expect![[r#"people() csv ,\"\" `` true"#]],
    );
    check(r#"copy people to stdout (format csv, quote '|')"#, expect!["people() csv ,|| `` false"]);
}

#[test]
fn a033_what_leaves_it_open_where_a_value_ends_is_not_known() {
    // A value can look like these words for null.
    check(r#"copy people to stdout (null '')"#, expect!["unknown"]);
    check(r#"copy people to stdout (null '123-45-6789')"#, expect!["unknown"]);
    check(r#"copy people to stdout (delimiter 'N')"#, expect!["unknown"]);
    check(r#"copy people to stdout (delimiter '\')"#, expect!["unknown"]);
    check(r#"copy people to stdout (delimiter '||')"#, expect!["unknown"]);
    check(r#"copy people to stdout (delimiter '§')"#, expect!["unknown"]);
    check(r#"copy people to stdout (format csv, delimiter '"')"#, expect!["unknown"]);
    check(r#"copy people to stdout (format csv, escape ',')"#, expect!["unknown"]);
    check(r#"copy people to stdout (format csv, null 'a"b')"#, expect!["unknown"]);
    check(r#"copy people to stdout (format csv, quote E'\n')"#, expect!["unknown"]);
    check(r#"copy people to stdout (quote '"')"#, expect!["unknown"]);
    check(r#"copy people to stdout (format binary, header)"#, expect!["unknown"]);
    check(r#"copy people to stdout (format binary, null 'x')"#, expect!["unknown"]);
    check(r#"copy people to stdout (format csv, format csv)"#, expect!["unknown"]);
    check(r#"copy people to stdout (format parquet)"#, expect!["unknown"]);
    check(r#"copy people to stdout (format "CSV")"#, expect!["unknown"]);
    check(r#"copy people to stdout (header match)"#, expect!["unknown"]);
    check(r#"copy people to stdout (header 'maybe')"#, expect!["unknown"]);
    check(r#"copy people to stdout (encoding latin1)"#, expect!["unknown"]);
    check(r#"copy people to stdout (freeze)"#, expect!["unknown"]);
    check(r#"copy people to stdout (default 'x')"#, expect!["unknown"]);
}
