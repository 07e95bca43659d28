//! What to hide in an answer, and how.

use std::sync::Arc;

use serde::Serialize;

use crate::json_path::JsonPath;

/// Everything that one answer must have hidden. The union of plans is a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaskPlan {
    /// Columns, by the name of their relation.
    pub columns: Vec<ColumnMask>,
    /// Values of JSON documents, by their path.
    pub json: Vec<JsonMask>,
    /// What objects of a list, a table or a watch are shown: those that fit every filter. None: all.
    pub objects: Vec<ObjectFilter>,
    /// Detectors that search every text value.
    pub detectors: Vec<DetectorMask>,
}

impl MaskPlan {
    /// Hides nothing?
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
            && self.json.is_empty()
            && self.objects.is_empty()
            && self.detectors.is_empty()
    }

    /// Adds all of `other`. Where both name a column, path or detector, the stronger method stays, so that
    /// combining does not depend on the order of policies.
    pub fn merge(&mut self, other: Self) {
        for theirs in other.columns {
            let same = self.columns.iter_mut().find(|ours| {
                ours.schema == theirs.schema
                    && ours.relation == theirs.relation
                    && ours.column == theirs.column
            });
            match same {
                Some(ours) => {
                    // The smaller number, where there are two.
                    let conditions = [ours.conditions, theirs.conditions].into_iter().flatten().min();
                    if ours.method.strength() < theirs.method.strength() {
                        *ours = theirs;
                    }
                    ours.conditions = conditions;
                }
                None => self.columns.push(theirs),
            }
        }
        for theirs in other.json {
            let same = self.json.iter_mut().find(|ours| ours.path == theirs.path);
            match same {
                Some(ours) if ours.method.strength() < theirs.method.strength() => *ours = theirs,
                Some(_) => {}
                None => self.json.push(theirs),
            }
        }
        for theirs in other.objects {
            if !self.objects.contains(&theirs) {
                self.objects.push(theirs);
            }
        }
        for theirs in other.detectors {
            let same = self.detectors.iter_mut().find(|ours| ours.detector == theirs.detector);
            match same {
                Some(ours) if ours.method.strength() < theirs.method.strength() => *ours = theirs,
                Some(_) => {}
                None => self.detectors.push(theirs),
            }
        }
    }
}

/// One column to hide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMask {
    /// Schema of the relation, as PostgreSQL stores the name.
    pub schema: Arc<str>,
    /// The relation.
    pub relation: Arc<str>,
    /// The column.
    pub column: Arc<str>,
    /// How to hide it.
    pub method: MaskMethod,
    /// How often in an hour one principal may choose, join, group or sort rows by it. None: as often as they like.
    pub conditions: Option<u32>,
    /// Which rule of which policy asked for it: for records.
    pub rule: Arc<str>,
}

/// Values of JSON documents to hide. What a path selects is hidden with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonMask {
    /// Which values.
    pub path: JsonPath,
    /// How to hide them.
    pub method: MaskMethod,
    /// Which rule of which policy asked for it: for records.
    pub rule: Arc<str>,
}

/// Objects that may be shown, as one policy says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFilter {
    /// Pairs of namespace and name; in each, `*` stands for any characters. What fits any of them is shown. Objects
    /// without a namespace have an empty one.
    pub shown: Vec<(Arc<str>, Arc<str>)>,
    /// Which rule of which policy asked for it: for records.
    pub rule: Arc<str>,
}

impl ObjectFilter {
    /// Is this object shown?
    pub fn shows(&self, namespace: &str, name: &str) -> bool {
        self.shown.iter().any(|(one, other)| fits(one, namespace) && fits(other, name))
    }
}

/// Does `text` fit a pattern in which `*` stands for any characters?
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// One detector to run over every text value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectorMask {
    /// What to look for.
    pub detector: Detector,
    /// How to hide what was found.
    pub method: MaskMethod,
    /// Which rule of which policy asked for it: for records.
    pub rule: Arc<str>,
}

/// How a value is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskMethod {
    /// Everything but the last `keep` characters becomes `*`; a value of `keep` or fewer characters
    /// is hidden whole.
    Partial {
        /// How many characters at the end stay readable.
        keep: u8,
    },
    /// A keyed hash (HMAC-SHA-256): equal values stay equal, nothing else can be learned without the key.
    Hash,
    /// A fixed text, or null where the type can not hold one.
    Redact,
}

impl MaskMethod {
    /// Orders methods by how much they hide: the greater number hides more.
    pub const fn strength(self) -> u16 {
        match self {
            Self::Partial { keep } => u8::MAX as u16 - keep as u16,
            Self::Hash => 256,
            Self::Redact => 257,
        }
    }

    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Partial { .. } => "partial",
            Self::Hash => "hash",
            Self::Redact => "redact",
        }
    }
}

/// What a detector finds. Each has a checksum or a structure that keeps false finds rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// A payment card number: 13 to 19 digits with a right Luhn check digit.
    CardNumber,
    /// A United States social security number.
    Ssn,
    /// An e-mail address.
    Email,
}

impl Detector {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::CardNumber, Self::Ssn, Self::Email];

    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CardNumber => "card_number",
            Self::Ssn => "ssn",
            Self::Email => "email",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detector| detector.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(method: MaskMethod) -> MaskPlan {
        MaskPlan {
            columns: vec![ColumnMask {
                schema: "public".into(),
                relation: "people".into(),
                column: "ssn".into(),
                method,
                conditions: None,
                rule: "r".into(),
            }],
            json: vec![JsonMask { path: JsonPath::parse("$..ssn").unwrap(), method, rule: "r".into() }],
            objects: Vec::new(),
            detectors: vec![DetectorMask { detector: Detector::Ssn, method, rule: "r".into() }],
        }
    }

    #[test]
    fn merging_keeps_the_smaller_number_of_conditions_in_either_order() {
        let redact = MaskMethod::Redact;
        let limited = |method, conditions| {
            let mut plan = plan(method);
            plan.columns[0].conditions = conditions;
            plan
        };
        for (first, second, merged) in [
            (limited(redact, Some(3)), limited(MaskMethod::Hash, Some(0)), Some(0)),
            (limited(MaskMethod::Hash, Some(3)), limited(redact, None), Some(3)),
            (limited(redact, None), limited(redact, None), None),
        ] {
            for (mut one, other) in [(first.clone(), second.clone()), (second.clone(), first.clone())] {
                one.merge(other);
                assert_eq!((one.columns[0].conditions, one.columns[0].method), (merged, redact));
            }
        }
    }

    #[test]
    fn merging_keeps_the_stronger_method_in_either_order() {
        for (first, second) in [
            (MaskMethod::Partial { keep: 4 }, MaskMethod::Redact),
            (MaskMethod::Redact, MaskMethod::Partial { keep: 4 }),
            (MaskMethod::Redact, MaskMethod::Hash),
        ] {
            let mut merged = plan(first);
            merged.merge(plan(second));
            assert_eq!(merged, plan(MaskMethod::Redact));
        }
    }

    #[test]
    fn a_star_is_any_characters_and_nothing_else_is() {
        for (pattern, text) in
            [("*", ""), ("*", "x"), ("a*", "a"), ("a*c", "abbc"), ("*b*", "abc"), ("a", "a"), ("", "")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "x"), ("a", "ab"), ("a*a", "a"), ("a*c", "abcd"), ("*b", "bc"), ("a*b*a", "aba2")]
        {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_two_policies_show_is_what_both_show() {
        let shown = |namespace: &str, name: &str| MaskPlan {
            objects: vec![ObjectFilter { shown: vec![(namespace.into(), name.into())], rule: "r".into() }],
            ..MaskPlan::default()
        };
        let mut plan = shown("demo", "*");
        plan.merge(shown("*", "web-*"));
        assert_eq!(plan.objects.len(), 2);
        let both = |namespace, name| plan.objects.iter().all(|filter| filter.shows(namespace, name));
        assert!(both("demo", "web-1"));
        assert!(!both("demo", "db") && !both("prod", "web-1"));
    }

    #[test]
    fn a_plan_of_paths_hides_something() {
        let mut paths = plan(MaskMethod::Redact);
        paths.columns.clear();
        paths.detectors.clear();
        assert!(!paths.is_empty());
        paths.json.clear();
        assert!(paths.is_empty());
    }

    #[test]
    fn two_spellings_of_a_path_are_one_mask() {
        let mut merged = plan(MaskMethod::Hash);
        let mut other = plan(MaskMethod::Hash);
        other.json[0].path = JsonPath::parse("$..['ssn']").unwrap();
        merged.merge(other);
        assert_eq!(merged.json.len(), 1);
    }

    #[test]
    fn a_partial_that_keeps_less_hides_more() {
        let mut merged = plan(MaskMethod::Partial { keep: 4 });
        merged.merge(plan(MaskMethod::Partial { keep: 2 }));
        assert_eq!(merged, plan(MaskMethod::Partial { keep: 2 }));
    }
}
