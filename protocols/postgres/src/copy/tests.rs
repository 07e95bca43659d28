use std::sync::Arc;

use gatewright_masking::MaskKey;
use gatewright_model::mask::{ColumnMask, Detector, DetectorMask, MaskMethod};

use super::*;
use crate::{
    backend::row_description::Field as Described,
    catalog::Catalog,
    mask::{Fate, ResolvedPlan},
};

/// Column 1 of relation 10 is masked, and keeps its last four characters.
fn plan() -> MaskPlan {
    let mask = ColumnMask {
        schema: "public".into(),
        relation: "people".into(),
        column: "ssn".into(),
        method: MaskMethod::Partial { keep: 4 },
        conditions: None,
        rule: "ssn".into(),
    };
    MaskPlan { columns: vec![mask], ..MaskPlan::default() }
}

fn rows(plan: &MaskPlan, attributes: &[i16]) -> RowMask {
    let mut catalog = Catalog::default();
    catalog.take_in(&[["10", "public", "people", "1", "ssn"], ["10", "public", "people", "2", "name"]]);
    let resolved = ResolvedPlan::new(Arc::new(plan.clone()), Arc::new(catalog));
    let fields: Vec<Described> = attributes
        .iter()
        .map(|attribute| match attribute {
            // Withheld.
            0 => Described { relation: 0, attribute: 0, type_oid: 25, binary: false },
            attribute => Described { relation: 10, attribute: *attribute, type_oid: 25, binary: false },
        })
        .collect();
    let fate = |field: &Described| match field.relation {
        0 => Fate::Withhold,
        relation => resolved.fate(relation, field.attribute),
    };
    let fates: Vec<Fate> = fields.iter().map(fate).collect();
    RowMask::new(plan, &fields, &fates, &MaskKey::new([7; 32])).unwrap()
}

/// What becomes of data that comes in these pieces.
fn pieces(form: &CopyForm, attributes: &[i16], pieces: &[&[u8]]) -> Result<(Vec<u8>, u64), ProtocolError> {
    let (plan, mut counts) = (plan(), Counts::default());
    let rows = rows(&plan, attributes);
    let mut copy = CopyMask::new(form);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(copy.rewrite(piece, &rows, &plan, &mut counts, 1 << 20)?);
    }
    copy.finish()?;
    let count = counts.into_inner().into_iter().map(|(_, count)| count).sum();
    Ok((out, count))
}

/// The same whole, in two pieces cut at every byte, and byte by byte: always the same.
fn rewritten(form: &CopyForm, attributes: &[i16], data: &[u8]) -> Result<(Vec<u8>, u64), ()> {
    let whole = pieces(form, attributes, &[data]).map_err(drop);
    for at in 0..=data.len() {
        let (left, right) = data.split_at(at);
        assert_eq!(pieces(form, attributes, &[left, right]).map_err(drop), whole, "cut at {at}");
    }
    let bytes: Vec<&[u8]> = data.chunks(1).collect();
    assert_eq!(pieces(form, attributes, &bytes).map_err(drop), whole, "byte by byte");
    whole
}

fn becomes(form: &CopyForm, attributes: &[i16], data: &[u8], expected: &[u8], hidden: u64) {
    let (out, count) = rewritten(form, attributes, data).unwrap();
    assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(count, hidden);
}

fn fails(form: &CopyForm, attributes: &[i16], data: &[u8]) {
    let written = rewritten(form, attributes, data);
    assert_eq!(written, Err(()), "{}", data.escape_ascii());
}

const TEXT: CopyForm = CopyForm::Text { delimiter: b'\t', header: false };

fn csv() -> CopyForm {
    CopyForm::Csv { delimiter: b',', quote: b'"', escape: b'"', null: "".into(), header: false }
}

#[test]
fn a033_text_is_masked_by_its_columns() {
    becomes(
        &TEXT,
        &[1, 2],
        b"123-45-6789\tann\\\\\\t\\n\n\\N\t\\N\n\t\n",
        b"*******6789\tann\\\\\\t\\n\n\\N\t\\N\n\t\n",
        2,
    );
    // What has a meaning in the form, as characters of the value.
    becomes(&TEXT, &[2, 1], b"x\t12a\\tb\\\\\n", b"x\t**a\\tb\\\\\n", 1);
    becomes(&TEXT, &[1], b"12\\n\\r\\b\\f\n", b"**\\n\\r\\b\\f\n", 1);
    becomes(&TEXT, &[0, 1], b"12345\t12345\n", b"\\N\t*2345\n", 2);
    becomes(&TEXT, &[1], b"", b"", 0);
    let semicolon = CopyForm::Text { delimiter: b';', header: false };
    becomes(&semicolon, &[1, 2], b"12a\\;b\\\\\\;\\;;x\n", b"****b\\\\\\;\\;;x\n", 1);
}

#[test]
fn a033_a_header_is_no_row() {
    let text = CopyForm::Text { delimiter: b'\t', header: true };
    becomes(&text, &[1, 2], b"ssn\tname\n12345\tann\n", b"ssn\tname\n*2345\tann\n", 1);
    fails(&text, &[1, 2], b"ssn\n12345\tann\n");
    let csv =
        CopyForm::Csv { delimiter: b';', quote: b'\'', escape: b'\\', null: "-".into(), header: true };
    becomes(&csv, &[1, 2], b"'s\n\\'n';name\n12345;ann\n", b"'s\n\\'n';name\n'*2345';ann\n", 1);
}

#[test]
fn a033_csv_is_masked_by_its_columns() {
    becomes(
        &csv(),
        &[1, 2],
        b"123-45-6789,ann\n,\n\"\",\"\"\n\"12,\n\"\"3\",\"a\n\"\"b,\"\n\"\\.\",x\n",
        b"\"*******6789\",ann\n,\n\"\",\"\"\n\"**,\n\"\"3\",\"a\n\"\"b,\"\n\"**\",x\n",
        4,
    );
    becomes(&csv(), &[0, 1], b"\"a\nb\",12345\n", b",\"*2345\"\n", 2);
    let other =
        CopyForm::Csv { delimiter: b'\t', quote: b'\'', escape: b'\\', null: "nil".into(), header: false };
    becomes(
        &other,
        &[1, 2],
        b"'12\\'3\\\\4'\tnil\nnil\t'nil'\n'nil'\tx\n",
        b"'**\\'3\\\\4'\tnil\nnil\t'nil'\n'***'\tx\n",
        2,
    );
    becomes(&other, &[0, 2], b"'12\\'3'\tnil\n", b"nil\tnil\n", 1);
}

#[test]
fn a033_what_is_no_row_of_the_form_is_not_guessed_at() {
    for data in [
        // Too few, too many, no end, nothing that the server writes.
        &b"12345\n"[..],
        b"12345\tann\tx\n",
        b"12345\tann",
        b"12345\tann\n\n",
        b"12345\\\tann\n",
        b"12345\tann\\\n",
        b"\\.\tann\n",
        b"\\x41\tann\n",
        b"12345\ra\tann\n",
        b"\\NN\tann\n",
    ] {
        fails(&TEXT, &[1, 2], data);
    }
    for data in [
        &b"12345\n"[..],
        b"12345,ann,x\n",
        b"12345,ann",
        b"12345,\"ann\n",
        b"12\"345,ann\n",
        b"\"12345\"x,ann\n",
        b"\"12345\" ,ann\n",
        b"12345\r,ann\n",
        b"\"12345\"\",ann\n",
    ] {
        fails(&csv(), &[1, 2], data);
    }
}

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

fn binary(rows: &[&[Option<&[u8]>]]) -> Vec<u8> {
    let mut data = SIGNATURE.to_vec();
    for row in rows {
        data.extend((row.len() as i16).to_be_bytes());
        for value in *row {
            data.extend(value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            data.extend(value.unwrap_or_default());
        }
    }
    data.extend([0xff, 0xff]);
    data
}

#[test]
fn a033_binary_is_masked_by_its_columns() {
    let before =
        binary(&[&[Some(b"12345"), Some(b"\n\0\xff\xff")], &[None, None], &[Some(b""), Some(b"")]]);
    let after = binary(&[&[Some(b"*2345"), Some(b"\n\0\xff\xff")], &[None, None], &[Some(b""), Some(b"")]]);
    becomes(&CopyForm::Binary, &[1, 2], &before, &after, 2);
    let withheld = binary(&[&[None, Some(b"*2345")]]);
    becomes(&CopyForm::Binary, &[0, 1], &binary(&[&[Some(b"x"), Some(b"12345")]]), &withheld, 2);
    becomes(&CopyForm::Binary, &[1], &binary(&[]), &binary(&[]), 0);
}

#[test]
fn a033_binary_of_another_shape_is_not_guessed_at() {
    let row = binary(&[&[Some(b"12345"), Some(b"x")]]);
    let cut = |end: usize| row[..end].to_vec();
    for data in [
        binary(&[&[Some(b"12345")]]),
        binary(&[&[Some(b"12345"), Some(b"x"), None]]),
        binary(&[&[]]),
        // No trailer, an unfinished row, an unfinished header, nothing at all.
        cut(row.len() - 2),
        cut(row.len() - 5),
        cut(10),
        Vec::new(),
        // Something behind the trailer.
        [&row[..], b"x"].concat(),
        [&row[..], SIGNATURE].concat(),
        // Object ids, another signature, an extended header.
        [b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0", &row[SIGNATURE.len()..]].concat(),
        [b"PGCOPY\n\xff\r\x0b\0\0\0\0\0\0\0\0\0", &row[SIGNATURE.len()..]].concat(),
        [b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x02", &b"ab"[..], &row[SIGNATURE.len()..]].concat(),
        // Lengths and counts below zero.
        [SIGNATURE, b"\0\x02\xff\xff\xff\xfe\xff\xff"].concat(),
        [SIGNATURE, b"\xff\xfe\xff\xff"].concat(),
    ] {
        fails(&CopyForm::Binary, &[1, 2], &data);
    }
}

#[test]
fn a036_a_row_has_a_limit_and_rows_have_none() {
    let plan = plan();
    let rows = rows(&plan, &[1]);
    let mut copy = CopyMask::new(&TEXT);
    let mut counts = Counts::default();
    let mut put = |data: &[u8]| copy.rewrite(data, &rows, &plan, &mut counts, 100);
    for _ in 0..1_000 {
        assert_eq!(put(&[&[b'x'; 90][..], b"\n"].concat()).unwrap().len(), 91);
    }
    put(&[b'x'; 90]).unwrap();
    let error = put(&[b'x'; 90]).unwrap_err();
    assert_eq!((error.code, error.fault), ("upstream.too_large", Side::Upstream));
}

#[test]
fn a033_detectors_search_the_values_that_no_rule_names() {
    let detector =
        DetectorMask { detector: Detector::Email, method: MaskMethod::Redact, rule: "mail".into() };
    let plan = MaskPlan { detectors: vec![detector], ..plan() };
    let rows = rows(&plan, &[1, 2]);
    let mut counts = Counts::default();
    let mut copy = CopyMask::new(&csv());
    let data = b"a@example.org,\"to \"\"a@example.org\"\"\"\n";
    let out = copy.rewrite(data, &rows, &plan, &mut counts, 1_000).unwrap();
    assert_eq!(
        out.escape_ascii().to_string(),
        "\\\"*********.org\\\",\\\"to \\\"\\\"[redacted]\\\"\\\"\\\"\\n"
    );
    assert_eq!(counts.into_inner(), [(Arc::from("ssn"), 1), (Arc::from("mail"), 1)]);
}
