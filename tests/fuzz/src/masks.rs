//! Masks of JSON: the reader that streams against a tree.
//!
//! The first byte of an input chooses a plan, the second how the rest is cut. The rest is the body.

#![expect(clippy::expect_used, clippy::panic, reason = "a property that does not hold is a panic")]

use std::{fmt, sync::Arc};

use gatewright_http::content::Masker as Body;
use gatewright_masking::{MaskKey, Masker, TextMasker};
use gatewright_model::{
    json_path::{JsonPath, Selector},
    mask::{Detector, DetectorMask, JsonMask, MaskMethod, MaskPlan},
};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target =
    Target { name: "masks", seeds, words: WORDS, shape: Shape::Binary, check };

/// Properties: the same however a body is cut; what serde_json reads is read; and what comes out is the tree of what went
/// in, with the values hidden that the paths select in it.
fn check(input: &[u8]) {
    let [plan, size, body @ ..] = input else { return };
    let plan = plan_of(*plan);
    let whole = play(&plan, body, body.len().max(1));
    let cut = play(&plan, body, usize::from(*size % 16) + 1);
    assert_eq!(whole.1, cut.1, "the end depends on the cut");
    if whole.1.is_none() {
        assert_eq!(whole.0, cut.0, "what is shown depends on the cut");
    }
    let Some(given) = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str(text).ok())
    else {
        return;
    };
    match whole.1 {
        // Deeper than we read, or a longer number.
        Some("mask.limit") => {}
        Some(code) => panic!("serde_json reads it: {code}"),
        None => {
            let shown = std::str::from_utf8(&whole.0).expect("UTF-8");
            let shown: &RawValue = serde_json::from_str(shown).expect("JSON");
            let Some(expected) = Oracle::new(&plan, given).mask(given, &mut Vec::new(), None) else {
                return;
            };
            assert_eq!(Some(expected), tree(shown));
        }
    }
}

/// What is shown, and the code of what it was refused with.
fn play(plan: &MaskPlan, body: &[u8], size: usize) -> (Vec<u8>, Option<&'static str>) {
    let headers: HeaderMap =
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))].into_iter().collect();
    let mut out = Vec::new();
    let mut masker = Body::new(plan, &key(), &headers).expect("JSON is masked");
    for mut piece in body.chunks(size) {
        loop {
            match masker.push(&mut piece, &mut out) {
                Ok(true) => {}
                Ok(false) => break,
                Err(refusal) => return (out, Some(refusal.code)),
            }
        }
    }
    let end = masker.finish(&mut out).err().map(|refusal| refusal.code);
    (out, end)
}

/// A value as it is compared: numbers and words as they are written, strings decoded.
#[derive(Debug, PartialEq, Eq)]
enum Tree {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Text(String),
    Plain(String),
}

/// Members in their order, those with one name each on their own.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(All).map(Members)
    }
}

/// `None`: serde_json does not read a string in it, like half of a surrogate pair.
fn tree(raw: &RawValue) -> Option<Tree> {
    Some(match children(raw)? {
        Children::Object(members) => Tree::Object(
            members.into_iter().map(|(name, value)| Some((name, tree(value)?))).collect::<Option<_>>()?,
        ),
        Children::Array(elements) => Tree::Array(elements.into_iter().map(tree).collect::<Option<_>>()?),
        Children::Text(text) => Tree::Text(text),
        Children::Plain => Tree::Plain(raw.get().to_owned()),
    })
}

enum Children<'t> {
    Object(Vec<(String, &'t RawValue)>),
    Array(Vec<&'t RawValue>),
    Text(String),
    Plain,
}

fn children(raw: &RawValue) -> Option<Children<'_>> {
    Some(match raw.get().as_bytes().first()? {
        b'{' => Children::Object(serde_json::from_str::<Members<'_>>(raw.get()).ok()?.0),
        b'[' => Children::Array(serde_json::from_str(raw.get()).ok()?),
        b'"' => Children::Text(serde_json::from_str(raw.get()).ok()?),
        _ => Children::Plain,
    })
}

/// Masks a tree: first every path is followed from the root and yields places, then the tree is walked once.
struct Oracle<'p> {
    plan: &'p MaskPlan,
    detectors: TextMasker,
    /// Of each path, the places that it selects: which child of which child.
    selected: Vec<Vec<Vec<usize>>>,
}

impl<'p> Oracle<'p> {
    fn new(plan: &'p MaskPlan, root: &RawValue) -> Self {
        let selected = plan.json.iter().map(|mask| select(&mask.path, root)).collect();
        let rules = plan.detectors.iter().map(|mask| (mask.detector, mask.method));
        Self { plan, detectors: TextMasker::new(rules, &key()), selected }
    }

    fn mask(&self, raw: &RawValue, place: &mut Vec<usize>, outer: Option<MaskMethod>) -> Option<Tree> {
        let own = self.plan.json.iter().zip(&self.selected).filter(|(_, places)| places.contains(place));
        let methods = own.map(|(mask, _)| mask.method).chain(outer);
        let hidden = methods.max_by_key(|method| method.strength());
        let mut child = |index: usize, value| {
            place.push(index);
            let masked = self.mask(value, place, hidden);
            place.pop();
            masked
        };
        Some(match children(raw)? {
            Children::Object(members) => {
                let members = members.into_iter().enumerate();
                let masked = members.map(|(index, (name, value))| {
                    Some((self.search(&name).unwrap_or(name), child(index, value)?))
                });
                Tree::Object(masked.collect::<Option<_>>()?)
            }
            Children::Array(elements) => {
                let masked = elements.into_iter().enumerate().map(|(index, value)| child(index, value));
                Tree::Array(masked.collect::<Option<_>>()?)
            }
            Children::Text(text) => {
                let found = self.search(&text);
                Tree::Text(match hidden {
                    Some(method @ MaskMethod::Partial { .. }) => apply(method, &found.unwrap_or(text)),
                    Some(method) => apply(method, &text),
                    None => found.unwrap_or(text),
                })
            }
            Children::Plain => {
                let is_number = raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
                let found = if is_number { self.search(raw.get()) } else { None };
                let redacted = self.plan.detectors.iter().any(|mask| mask.method == MaskMethod::Redact);
                match (hidden, found) {
                    (Some(method @ MaskMethod::Partial { .. }), found) if is_number => {
                        Tree::Text(apply(method, &found.unwrap_or_else(|| raw.get().to_owned())))
                    }
                    (Some(MaskMethod::Hash), _) if is_number => {
                        Tree::Text(apply(MaskMethod::Hash, raw.get()))
                    }
                    (Some(_), _) => Tree::Plain("null".to_owned()),
                    (None, Some(_)) if redacted => Tree::Plain("null".to_owned()),
                    (None, Some(found)) => Tree::Text(found),
                    (None, None) => Tree::Plain(raw.get().to_owned()),
                }
            }
        })
    }

    fn search(&self, text: &str) -> Option<String> {
        let masked = self.detectors.mask(text.as_bytes())?;
        Some(String::from_utf8(masked.text).expect("UTF-8"))
    }
}

fn apply(method: MaskMethod, text: &str) -> String {
    let mut out = Vec::new();
    Masker::new(method, &key()).apply(text.as_bytes(), &mut out);
    String::from_utf8(out).expect("UTF-8")
}

/// RFC 9535 sections 2.5.1 and 2.5.2, step by step over all places.
fn select(path: &JsonPath, root: &RawValue) -> Vec<Vec<usize>> {
    let mut nodes = vec![(Vec::new(), root)];
    for segment in path.segments() {
        if segment.descend {
            let mut all: Vec<Node<'_>> = Vec::new();
            while let Some((place, value)) = nodes.pop() {
                nodes.extend(of(&place, value).into_iter().map(|(_, node)| node));
                if !all.iter().any(|(own, _)| *own == place) {
                    all.push((place, value));
                }
            }
            nodes = all;
        }
        nodes = nodes
            .iter()
            .flat_map(|(place, value)| of(place, value))
            .filter(|(name, (place, _))| match (&segment.selector, name) {
                (Selector::All, _) => true,
                (Selector::Name(wanted), Some(name)) => **wanted == **name,
                (Selector::Index(wanted), None) => place.last() == Some(&(*wanted as usize)),
                _ => false,
            })
            .map(|(_, node)| node)
            .collect();
    }
    nodes.into_iter().map(|(place, _)| place).collect()
}

/// A value and its place: which child of which child.
type Node<'t> = (Vec<usize>, &'t RawValue);

/// The children of a value, with the names of members.
fn of<'t>(place: &[usize], value: &'t RawValue) -> Vec<(Option<String>, Node<'t>)> {
    let at = |index: usize| place.iter().copied().chain([index]).collect();
    match children(value) {
        Some(Children::Object(members)) => members
            .into_iter()
            .enumerate()
            .map(|(index, (name, value))| (Some(name), (at(index), value)))
            .collect(),
        Some(Children::Array(elements)) => {
            elements.into_iter().enumerate().map(|(index, value)| (None, (at(index), value))).collect()
        }
        _ => Vec::new(),
    }
}

const fn key() -> MaskKey {
    MaskKey::new([7; 32])
}

fn plan_of(choice: u8) -> MaskPlan {
    const METHODS: [MaskMethod; 3] =
        [MaskMethod::Redact, MaskMethod::Hash, MaskMethod::Partial { keep: 4 }];
    const PATHS: &[&[(&str, usize)]] = &[
        &[],
        &[("$.a", 0)],
        &[("$..a", 2), ("$..b", 0)],
        &[("$.a[*].b", 1), ("$..[1]", 2)],
        &[("$..a..b", 0)],
        &[("$.*", 2), ("$.a.b", 1)],
        &[("$", 2)],
        &[("$..*", 1), ("$['a']['b'][0]", 0)],
    ];
    let paths = PATHS.get(usize::from(choice) % PATHS.len()).copied().unwrap_or_default();
    let method = |index: usize| METHODS.get(index).copied().unwrap_or(MaskMethod::Redact);
    let json = paths.iter().map(|(path, index)| JsonMask {
        path: JsonPath::parse(path).expect("a good path"),
        method: method(*index),
        rule: Arc::from("path"),
    });
    let detectors = match choice >> 3 & 3 {
        3 => Vec::new(),
        index => Detector::ALL
            .map(|detector| DetectorMask {
                detector,
                method: method(usize::from(index)),
                rule: Arc::from("detector"),
            })
            .to_vec(),
    };
    MaskPlan { json: json.collect(), detectors, ..MaskPlan::default() }
}

fn seeds() -> Vec<Vec<u8>> {
    let bodies = [
        r#"{"a":{"b":"secret","c":[1,2.5e3,true,null]},"b":[{"a":1},{"b":"x"}]}"#,
        r#"{"a":[{"b":"bob@example.com"},{"\u0062":"4111 1111 1111 1111"}],"4111111111111111":4111111111111111}"#,
        r#" [ [ "\ud83d\ude00" , "\"\\\/\b\f\n\r\t" , -0.0 ] , { } , [ ] , "123-45-6789" ] "#,
        "{\"a\":1}\n{\"a\":\"x\"}\n[3]",
        r#"{"a":{"a":{"b":{"a":[[["b"]]]}}},"a":2,"b":{"b":false}}"#,
    ];
    let plans = (0..32u8).step_by(3);
    plans.flat_map(|plan| bodies.map(|body| [&[plan, 2], body.as_bytes()].concat())).collect()
}

const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"\\",
    b"\\u0061",
    b"\\ud83d",
    b"\\ude00",
    b"\"a\":",
    b"\"b\":",
    b"\"\\u0061\":",
    b"null",
    b"true",
    b"-1.5e+3",
    b"0",
    b"4111111111111111",
    b"bob@example.com",
    b"bob\\u0040example.com",
    b"123-45-6789",
    b" ",
    b"\n",
    b"\xc3\xa9",
    b"\xff",
];
