//! Rewriting of rows: what each column of an answer becomes.
//!
//! A column is masked by where it comes from (relation oid and attribute number), never by its name in
//! the answer, which a client chooses. A column of which nobody can say where it comes from is withheld:
//! it becomes null.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_masking::{MaskKey, Masker, TextMasker};
use gatewright_model::{
    mask::MaskPlan,
    session::{ProtocolError, Side},
};

use crate::{
    backend::{row_description::Field, tag},
    catalog::Catalog,
    reader::{Malformed, Reader},
};

/// A plan whose columns were found in the catalog.
#[derive(Debug)]
pub struct ResolvedPlan {
    /// The plan.
    pub plan: Arc<MaskPlan>,
    /// Index into the plan's columns, by relation oid and attribute number.
    columns: HashMap<(u32, i16), usize>,
    /// Relations with a masked column.
    pub relations: HashSet<u32>,
    /// Those of them that do not have a column that the plan names, with that column as
    /// `schema.relation.column`. What was called so may have any name now: nothing of them is shown.
    pub stale: HashMap<u32, String>,
    catalog: Arc<Catalog>,
}

impl ResolvedPlan {
    /// Finds the plan's columns. A relation that this database does not have is no error: policies are
    /// written for many databases.
    pub fn new(plan: Arc<MaskPlan>, catalog: Arc<Catalog>) -> Self {
        let mut columns = HashMap::new();
        let mut relations = HashSet::new();
        let mut stale = HashMap::new();
        for (index, mask) in plan.columns.iter().enumerate() {
            let Some(oid) = catalog.find(&mask.schema, &mask.relation) else { continue };
            relations.insert(oid);
            match catalog.relation(oid).and_then(|relation| relation.attribute(&mask.column)) {
                Some(attribute) => {
                    columns.insert((oid, attribute), index);
                }
                None => {
                    stale.insert(oid, format!("{}.{}.{}", mask.schema, mask.relation, mask.column));
                }
            }
        }
        Self { plan, columns, relations, stale, catalog }
    }

    /// The catalog in which the columns were found.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Is a column of this name masked in a relation with which this one shares rows?
    fn is_masked_in_kin(&self, oid: u32, attribute: i16) -> bool {
        let name = self.catalog.relation(oid).and_then(|relation| relation.column(attribute));
        let Some(name) = name.filter(|_| self.relations.contains(&oid)) else { return false };
        self.catalog.kin(oid, &self.relations).any(|kin| {
            let masked = self.catalog.relation(kin).and_then(|relation| relation.attribute(name));
            masked.is_some_and(|attribute| self.columns.contains_key(&(kin, attribute)))
        })
    }

    /// What becomes of one column of an answer.
    fn fate(&self, field: &Field, trust_computed: bool) -> Fate {
        if let Some(index) = self.columns.get(&(field.relation, field.attribute)) {
            return Fate::Mask(*index);
        }
        if self.relations.is_empty() {
            return Fate::Keep;
        }
        match (field.relation, field.attribute) {
            (0, _) if trust_computed => Fate::Keep,
            (0, _) => Fate::Withhold,
            // A whole row of a relation that has, or reads, masked columns.
            (oid, 0) if self.catalog.reaches(oid, &self.relations) => Fate::Withhold,
            // A column of a masked relation that no rule names is what the policy leaves open. A column of a
            // view over one, or of a child table, may be any of its columns.
            (oid, _) if self.catalog.shows_others(oid, &self.relations) => Fate::Withhold,
            // A child or parent of another masked relation has its masked columns under the same names.
            (oid, attribute) if self.is_masked_in_kin(oid, attribute) => Fate::Withhold,
            (oid, _) if self.relations.contains(&oid) && !self.stale.contains_key(&oid) => Fate::Keep,
            (oid, _) if self.catalog.reaches(oid, &self.relations) => Fate::Withhold,
            // A relation that was made after the catalog was read could be a view over anything.
            (oid, _) if self.catalog.relation(oid).is_none() => Fate::Withhold,
            _ => Fate::Keep,
        }
    }
}

enum Fate {
    Keep,
    Withhold,
    Mask(usize),
}

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
    /// The rule, and how to write what stands for the value; null where the type can not hold text.
    Mask {
        rule: Arc<str>,
        masker: Option<Masker>,
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
    /// `trust_computed`: the text of the statement proved that no computed column is made from a masked
    /// one.
    pub fn new(
        plan: &MaskPlan,
        resolved: Option<&ResolvedPlan>,
        fields: &[Field],
        trust_computed: bool,
        key: &MaskKey,
    ) -> Option<Self> {
        let searches = !plan.detectors.is_empty();
        let columns: Vec<ColumnAction> = fields
            .iter()
            .map(|field| match resolved.map_or(Fate::Keep, |plan| plan.fate(field, trust_computed)) {
                Fate::Mask(index) => match plan.columns.get(index) {
                    Some(mask) => ColumnAction::Mask {
                        rule: Arc::clone(&mask.rule),
                        masker: holds_text(field.type_oid).then(|| Masker::new(mask.method, key)),
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
        for action in &self.columns {
            let Some(value) = reader.value()? else {
                row.put_i32(-1);
                continue;
            };
            scratch.clear();
            let written = match action {
                ColumnAction::Keep => Some(value),
                ColumnAction::Withhold => {
                    counts.add(&Arc::from(WITHHELD), 1);
                    None
                }
                ColumnAction::Mask { rule, masker } => {
                    counts.add(rule, 1);
                    masker.as_ref().map(|masker| {
                        masker.apply(value, &mut scratch);
                        &*scratch
                    })
                }
                ColumnAction::Search { text } => {
                    match self.detectors.as_ref().and_then(|detectors| detectors.mask(value)) {
                        None => Some(value),
                        Some(masked) => {
                            for mask in &plan.detectors {
                                counts.add(&mask.rule, masked.finds.of(mask.detector));
                            }
                            scratch = masked.text;
                            text.then_some(&*scratch)
                        }
                    }
                }
            };
            put_value(&mut row, written)?;
        }
        reader.finish()?;
        let length = i32::try_from(row.len() - 1).map_err(|_| Malformed::OutOfRange)?;
        if let Some(slot) = row.get_mut(1..5) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
        Ok(row.freeze())
    }
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
            row.put_i32(i32::try_from(value.len()).map_err(|_| Malformed::OutOfRange)?);
            row.put_slice(value);
        }
    }
    Ok(())
}

/// Types whose text and binary forms are both the text itself, so that a masked text is a value of the
/// type: `name`, `text`, `bpchar`, `varchar`, `unknown` (oids of `pg_type.dat`).
fn holds_text(type_oid: u32) -> bool {
    matches!(type_oid, 19 | 25 | 1042 | 1043 | 705)
}

#[cfg(test)]
mod tests {
    use gatewright_model::mask::{ColumnMask, Detector, DetectorMask, MaskMethod};

    use super::*;

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
        for row in [
            ["10", "public", "people", "1", "id"],
            ["10", "public", "people", "3", "ssn"],
            ["20", "public", "v", "1", "x"],
            ["20", "", "", "0", "10"],
            ["50", "public", "orders", "1", "id"],
        ] {
            catalog.add_row(&row.map(|text| Some(text.as_bytes()))).unwrap();
        }
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

    fn rewrite(fields: &[Field], trust: bool, values: &[Option<&str>]) -> Option<Vec<Option<String>>> {
        let resolved = ResolvedPlan::new(plan(), catalog());
        let key = MaskKey::new([7; 32]);
        let mask = RowMask::new(&resolved.plan, Some(&resolved), fields, trust, &key)?;
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
            rewrite(&fields, false, &[Some("1"), Some("123-45-6789")]),
            Some(vec![Some("1".into()), Some("*******6789".into())])
        );
    }

    #[test]
    fn a026_an_answer_of_unknown_origin_is_withheld() {
        assert_eq!(rewrite(&[field(0, 0, 25)], false, &[Some("123")]), Some(vec![None]));
        assert_eq!(rewrite(&[field(0, 0, 25)], true, &[Some("123")]), None, "proved harmless");
        assert_eq!(rewrite(&[field(10, 0, 25)], true, &[Some("(1,123)")]), Some(vec![None]), "whole row");
        assert_eq!(rewrite(&[field(20, 1, 25)], true, &[Some("123")]), Some(vec![None]), "a view");
        assert_eq!(rewrite(&[field(99, 1, 25)], true, &[Some("123")]), Some(vec![None]), "unheard of");
        assert_eq!(rewrite(&[field(50, 1, 23)], false, &[Some("1")]), None, "another table");
    }

    #[test]
    fn a034_a_type_that_holds_no_text_becomes_null() {
        assert_eq!(rewrite(&[field(10, 3, 1700)], false, &[Some("123")]), Some(vec![None]));
    }

    #[test]
    fn a010_a_row_of_another_width_is_refused() {
        let resolved = ResolvedPlan::new(plan(), catalog());
        let key = MaskKey::new([7; 32]);
        let mask = RowMask::new(&resolved.plan, Some(&resolved), &[field(10, 3, 25)], false, &key).unwrap();
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
        let mask = RowMask::new(&resolved.plan, Some(&resolved), &fields, true, &key).unwrap();
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
        let mask = RowMask::new(&plan, None, &fields, true, &key).unwrap();
        let mut counts = Counts::default();
        let body = row(&[Some("mail a@example.org now"), Some("a@example.org")]);
        let frame = mask.rewrite(&body, &plan, &mut counts).unwrap();
        let mut reader = Reader::new(&frame[7..]);
        assert_eq!(reader.value(), Ok(Some(&b"mail [redacted] now"[..])));
        assert_eq!(reader.value(), Ok(None), "a find in a type that can not be rewritten");
        assert_eq!(counts.into_inner(), [(Arc::from("r"), 2)]);
    }
}
