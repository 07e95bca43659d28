//! Rewriting of rows: what each column of an answer becomes.
//!
//! A column is masked by where it comes from (relation oid and attribute number), never by its name in
//! the answer, which a client chooses. A column of which nobody can say where it comes from is withheld:
//! it becomes null.

mod form;
mod resolved;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_masking::{MaskKey, Masker, TextMasker};
use gatewright_model::{
    mask::MaskPlan,
    session::{ProtocolError, Side},
};

use self::form::{Form, holds_text};
pub(crate) use self::resolved::name_of;
pub use self::resolved::{Fate, Reach, ResolvedPlan};
use crate::{
    backend::{row_description::Field, tag},
    reader::{Malformed, Reader, length},
};

/// How the rows of one answer are rewritten.
#[derive(Debug)]
pub struct RowMask {
    columns: Vec<ColumnAction>,
    detectors: Option<TextMasker>,
}

#[derive(Debug)]
enum ColumnAction {
    Keep,
    /// Null in place of the value.
    Withhold,
    /// The rule, and how to write what stands for the value; null where the type has no form for it.
    Mask {
        rule: Arc<str>,
        form: Option<Form>,
        binary: bool,
        masker: Masker,
    },
    /// Search the value. `text`: it can be rewritten; otherwise a find makes it null.
    Search {
        text: bool,
    },
}

/// Values that were hidden, by rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(Vec<(Arc<str>, u64)>);

impl Counts {
    /// Adds `more` values under `rule`.
    pub fn add(&mut self, rule: &Arc<str>, more: u64) {
        if more == 0 {
            return;
        }
        match self.0.iter_mut().find(|(own, _)| own == rule) {
            Some((_, count)) => *count += more,
            None => self.0.push((Arc::clone(rule), more)),
        }
    }

    /// Was anything withheld?
    pub fn has_withheld(&self) -> bool {
        self.0.iter().any(|(rule, _)| **rule == *WITHHELD)
    }

    /// The counts, in the order of their first value.
    pub fn into_inner(self) -> Vec<(Arc<str>, u64)> {
        self.0
    }
}

/// The rule under which withheld columns are counted.
const WITHHELD: &str = "gatewright/unknown-origin";

impl RowMask {
    /// How to rewrite rows of `fields`. `None`: nothing is to be hidden, rows pass as they are.
    ///
    /// `fates`: what becomes of each of them. One of which that is not said is withheld.
    pub fn new(plan: &MaskPlan, fields: &[Field], fates: &[Fate], key: &MaskKey) -> Option<Self> {
        let searches = !plan.detectors.is_empty();
        let columns: Vec<ColumnAction> = fields
            .iter()
            .enumerate()
            .map(|(at, field)| match fates.get(at).copied().unwrap_or(Fate::Withhold) {
                Fate::Mask(index) => match plan.columns.get(index) {
                    Some(mask) => ColumnAction::Mask {
                        rule: Arc::clone(&mask.rule),
                        form: Form::of(field.type_oid, mask.method),
                        binary: field.binary,
                        masker: Masker::new(mask.method, key),
                    },
                    None => ColumnAction::Withhold,
                },
                Fate::Withhold => ColumnAction::Withhold,
                Fate::Keep if searches => ColumnAction::Search { text: holds_text(field.type_oid) },
                Fate::Keep => ColumnAction::Keep,
            })
            .collect();
        let idle = columns.iter().all(|action| matches!(action, ColumnAction::Keep));
        let rules = plan.detectors.iter().map(|mask| (mask.detector, mask.method));
        let detectors = searches.then(|| TextMasker::new(rules, key));
        (!idle).then_some(Self { columns, detectors })
    }

    /// Rewrites the body of a DataRow into a whole DataRow frame.
    ///
    /// # Errors
    ///
    /// The row is malformed, or has another number of columns than its description (threats A10).
    pub fn rewrite(
        &self,
        body: &[u8],
        plan: &MaskPlan,
        counts: &mut Counts,
    ) -> Result<Bytes, ProtocolError> {
        self.rewritten(body, plan, counts).map_err(|cause| cause.in_message(Side::Upstream, "DataRow"))
    }

    fn rewritten(&self, body: &[u8], plan: &MaskPlan, counts: &mut Counts) -> Result<Bytes, Malformed> {
        let mut reader = Reader::new(body);
        let count = reader.count()?;
        if count != self.columns.len() {
            return Err(Malformed::OutOfRange);
        }
        let mut row = BytesMut::with_capacity(body.len() + 64);
        row.put_u8(tag::DATA_ROW);
        row.put_u32(0);
        row.put_i16(i16::try_from(count).map_err(|_| Malformed::OutOfRange)?);
        let mut scratch = Vec::new();
        for at in 0..count {
            let Some(value) = reader.value()? else {
                row.put_i32(-1);
                continue;
            };
            let written = match self.value(at, value, plan, counts, &mut scratch) {
                Written::Same => Some(value),
                Written::Null => None,
                Written::Other => Some(&*scratch),
            };
            put_value(&mut row, written)?;
        }
        reader.finish()?;
        let length = length(row.len() - 1)?;
        if let Some(slot) = row.get_mut(1..5) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
        Ok(row.freeze())
    }

    /// How many columns the rows have.
    pub(crate) const fn width(&self) -> usize {
        self.columns.len()
    }

    /// What stands for the value of the column at this place. Where it is another one, `scratch` is that.
    pub(crate) fn value(
        &self,
        at: usize,
        value: &[u8],
        plan: &MaskPlan,
        counts: &mut Counts,
        scratch: &mut Vec<u8>,
    ) -> Written {
        scratch.clear();
        match self.columns.get(at) {
            Some(ColumnAction::Keep) => Written::Same,
            Some(ColumnAction::Withhold) | None => {
                counts.add(&Arc::from(WITHHELD), 1);
                Written::Null
            }
            Some(ColumnAction::Mask { rule, form, binary, masker }) => {
                counts.add(rule, 1);
                let is_written = form.is_some_and(|form| form.write(masker, value, *binary, scratch));
                if is_written { Written::Other } else { Written::Null }
            }
            Some(ColumnAction::Search { text }) => {
                let Some(masked) = self.detectors.as_ref().and_then(|detectors| detectors.mask(value))
                else {
                    return Written::Same;
                };
                for mask in &plan.detectors {
                    counts.add(&mask.rule, masked.finds.of(mask.detector));
                }
                *scratch = masked.text;
                if *text { Written::Other } else { Written::Null }
            }
        }
    }
}

/// What stands for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The value itself.
    Same,
    /// Null.
    Null,
    /// Another value.
    Other,
}

/// Rewrites text that is not a row (COPY data) by the plan's detectors. `None`: nothing was found.
pub fn rewrite_text(text: &[u8], plan: &MaskPlan, key: &MaskKey, counts: &mut Counts) -> Option<Vec<u8>> {
    let rules = plan.detectors.iter().map(|mask| (mask.detector, mask.method));
    let masked = TextMasker::new(rules, key).mask(text)?;
    for mask in &plan.detectors {
        counts.add(&mask.rule, masked.finds.of(mask.detector));
    }
    Some(masked.text)
}

fn put_value(row: &mut BytesMut, value: Option<&[u8]>) -> Result<(), Malformed> {
    match value {
        None => row.put_i32(-1),
        Some(value) => {
            row.put_i32(length(value.len())?);
            row.put_slice(value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use gatewright_model::mask::{ColumnMask, Detector, DetectorMask, MaskMethod};

    use super::*;
    use crate::catalog::Catalog;

    fn plan() -> Arc<MaskPlan> {
        Arc::new(MaskPlan {
            columns: vec![ColumnMask {
                schema: "public".into(),
                relation: "people".into(),
                column: "ssn".into(),
                method: MaskMethod::Partial { keep: 4 },
                conditions: None,
                rule: "mask-people/ssn".into(),
            }],
            ..MaskPlan::default()
        })
    }

    fn catalog() -> Arc<Catalog> {
        let mut catalog = Catalog::default();
        catalog.take_in(&[
            ["10", "public", "people", "1", "id"],
            ["10", "public", "people", "3", "ssn"],
            ["20", "public", "v", "1", "x"],
            ["20", "", "", "0", "10"],
            ["50", "public", "orders", "1", "id"],
        ]);
        Arc::new(catalog)
    }

    fn field(relation: u32, attribute: i16, type_oid: u32) -> Field {
        Field { relation, attribute, type_oid, binary: false }
    }

    fn row(values: &[Option<&str>]) -> Vec<u8> {
        let mut body = BytesMut::new();
        body.put_i16(values.len() as i16);
        for value in values {
            put_value(&mut body, value.map(str::as_bytes)).unwrap();
        }
        body.to_vec()
    }

    /// What becomes of the fields. `unnamed`: of those that come from no relation.
    fn fates(resolved: &ResolvedPlan, fields: &[Field], unnamed: Fate) -> Vec<Fate> {
        let fate = |field: &Field| match field.relation {
            0 => unnamed,
            relation => resolved.fate(relation, field.attribute),
        };
        fields.iter().map(fate).collect()
    }

    fn rewrite(fields: &[Field], fate: Fate, values: &[Option<&str>]) -> Option<Vec<Option<String>>> {
        let resolved = ResolvedPlan::new(plan(), catalog());
        let key = MaskKey::new([7; 32]);
        let mask = RowMask::new(&resolved.plan, fields, &fates(&resolved, fields, fate), &key)?;
        let frame = mask.rewrite(&row(values), &resolved.plan, &mut Counts::default()).unwrap();
        let mut reader = Reader::new(&frame[5..]);
        let count = reader.count().unwrap();
        Some(
            (0..count)
                .map(|_| reader.value().unwrap().map(|v| String::from_utf8(v.to_vec()).unwrap()))
                .collect(),
        )
    }

    #[test]
    fn a025_a_column_is_masked_by_its_origin() {
        let fields = [field(10, 1, 23), field(10, 3, 25)];
        assert_eq!(
            rewrite(&fields, Fate::Withhold, &[Some("1"), Some("123-45-6789")]),
            Some(vec![Some("1".into()), Some("*******6789".into())])
        );
    }

    /// `people` has a partition, and that one has another.
    #[test]
    fn a025_kin_is_masked_by_name_and_by_its_own_rule_first() {
        let mut catalog = (*catalog()).clone();
        catalog.take_in(&[
            ["60", "public", "old", "1", "ssn"],
            ["60", "public", "old", "2", "id"],
            ["70", "public", "oldest", "5", "ssn"],
            ["10", "", "", "-4", "60"],
            ["60", "", "", "-4", "10"],
            ["60", "", "", "-4", "70"],
            ["70", "", "", "-4", "60"],
        ]);
        let catalog = Arc::new(catalog);
        let fates = |more: &[(&str, &str, MaskMethod)]| {
            let mut plan = (*plan()).clone();
            let people = plan.columns[0].clone();
            plan.columns.extend(more.iter().map(|(relation, column, method)| ColumnMask {
                relation: (*relation).into(),
                column: (*column).into(),
                method: *method,
                ..people.clone()
            }));
            let plan = ResolvedPlan::new(Arc::new(plan), Arc::clone(&catalog));
            let fate = |oid, attribute| plan.fate(oid, attribute);
            ([fate(10, 3), fate(60, 1), fate(70, 5)], fate(60, 2), plan.stale.len())
        };
        let (all, none) = ([Fate::Mask(0); 3], Fate::Keep);
        assert_eq!(fates(&[]), (all, none, 0));
        let hash = MaskMethod::Hash;
        let (people, old, oldest) = (Fate::Mask(0), Fate::Mask(1), Fate::Withhold);
        assert_eq!(
            fates(&[("old", "ssn", hash)]),
            ([people, old, oldest], none, 0),
            "two rules, two methods"
        );
        let same = MaskMethod::Partial { keep: 4 };
        assert_eq!(fates(&[("old", "ssn", same)]), ([people, old, Fate::Mask(0)], none, 0));
        // A column that is gone may have any name now, in all of them.
        let (masks, hidden, stale) = fates(&[("old", "gone", hash)]);
        assert_eq!((masks, hidden, stale), (all, Fate::Withhold, 3));
    }

    #[test]
    fn a026_an_answer_of_unknown_origin_is_withheld() {
        assert_eq!(rewrite(&[field(0, 0, 25)], Fate::Withhold, &[Some("123")]), Some(vec![None]));
        assert_eq!(rewrite(&[field(0, 0, 25)], Fate::Keep, &[Some("123")]), None, "proved harmless");
        assert_eq!(
            rewrite(&[field(10, 0, 25)], Fate::Keep, &[Some("(1,123)")]),
            Some(vec![None]),
            "whole row"
        );
        assert_eq!(rewrite(&[field(20, 1, 25)], Fate::Keep, &[Some("123")]), Some(vec![None]), "a view");
        assert_eq!(
            rewrite(&[field(99, 1, 25)], Fate::Keep, &[Some("123")]),
            Some(vec![None]),
            "unheard of"
        );
        assert_eq!(rewrite(&[field(50, 1, 23)], Fate::Withhold, &[Some("1")]), None, "another table");
    }

    #[test]
    fn a034_a_type_with_no_form_for_a_mask_becomes_null() {
        assert_eq!(rewrite(&[field(10, 3, 1700)], Fate::Withhold, &[Some("123")]), Some(vec![None]));
    }

    #[test]
    fn a010_a_row_of_another_width_is_refused() {
        let resolved = ResolvedPlan::new(plan(), catalog());
        let key = MaskKey::new([7; 32]);
        let mask = RowMask::new(&resolved.plan, &[field(10, 3, 25)], &[Fate::Mask(0)], &key).unwrap();
        let body = row(&[Some("a"), Some("b")]);
        assert!(mask.rewrite(&body, &resolved.plan, &mut Counts::default()).is_err());
    }

    #[test]
    fn a025_of_a_relation_whose_masked_column_is_gone_nothing_is_shown() {
        let mut plan = (*plan()).clone();
        plan.columns[0].column = "social".into();
        let resolved = ResolvedPlan::new(Arc::new(plan), catalog());
        assert_eq!(resolved.stale, HashMap::from([(10, "public.people.social".to_owned())]));
        let key = MaskKey::new([7; 32]);
        let fields = [field(10, 1, 23), field(10, 3, 25), field(50, 1, 25)];
        let fates = fates(&resolved, &fields, Fate::Keep);
        let mask = RowMask::new(&resolved.plan, &fields, &fates, &key).unwrap();
        let body = row(&[Some("1"), Some("123-45-6789"), Some("other")]);
        let frame = mask.rewrite(&body, &resolved.plan, &mut Counts::default()).unwrap();
        let mut reader = Reader::new(&frame[7..]);
        assert_eq!((reader.value(), reader.value()), (Ok(None), Ok(None)));
        assert_eq!(reader.value(), Ok(Some(&b"other"[..])));
    }

    #[test]
    fn detectors_search_every_text_value() {
        let plan = MaskPlan {
            detectors: vec![DetectorMask {
                detector: Detector::Email,
                method: MaskMethod::Redact,
                rule: "r".into(),
            }],
            ..MaskPlan::default()
        };
        let key = MaskKey::new([7; 32]);
        let fields = [field(50, 1, 25), field(50, 1, 3802)];
        let mask = RowMask::new(&plan, &fields, &[Fate::Keep; 2], &key).unwrap();
        let mut counts = Counts::default();
        let body = row(&[Some("mail a@example.org now"), Some("a@example.org")]);
        let frame = mask.rewrite(&body, &plan, &mut counts).unwrap();
        let mut reader = Reader::new(&frame[7..]);
        assert_eq!(reader.value(), Ok(Some(&b"mail [redacted] now"[..])));
        assert_eq!(reader.value(), Ok(None), "a find in a type that can not be rewritten");
        assert_eq!(counts.into_inner(), [(Arc::from("r"), 2)]);
    }

    #[test]
    fn a027_what_is_one_of_several_columns_is_hidden_like_each_of_them() {
        let of = |methods: [MaskMethod; 2]| {
            let mut plan = (*plan()).clone();
            plan.columns.push(ColumnMask { column: "id".into(), ..plan.columns[0].clone() });
            for (column, method) in plan.columns.iter_mut().zip(methods) {
                column.method = method;
            }
            ResolvedPlan::new(Arc::new(plan), catalog())
        };
        use MaskMethod::{Hash, Redact};
        let (ssn, id, other) = ((10, 3), (10, 1), (50, 1));
        let fate = |plan: &ResolvedPlan, columns: &[(u32, i16)], mixed| {
            plan.fate_of_either(columns.iter().map(|(oid, attribute)| plan.fate(*oid, *attribute)), mixed)
        };
        let redacted = of([Redact, Redact]);
        assert_eq!(fate(&redacted, &[other], true), Fate::Keep);
        assert_eq!(fate(&redacted, &[other, ssn], true), Fate::Mask(0));
        assert_eq!(fate(&redacted, &[id, other, ssn], false), Fate::Mask(1));
        assert_eq!(fate(&redacted, &[ssn, (20, 1)], false), Fate::Withhold, "a view");
        assert_eq!(fate(&of([Redact, Hash]), &[ssn, id], false), Fate::Withhold, "two methods");
        let hashed = of([Hash, Hash]);
        assert_eq!(fate(&hashed, &[ssn, id], false), Fate::Mask(0));
        assert_eq!(fate(&hashed, &[ssn], true), Fate::Withhold, "a guess hashed beside it");
        assert_eq!(fate(&hashed, &[ssn, other], false), Fate::Withhold, "a known value hashed beside it");
    }
}
