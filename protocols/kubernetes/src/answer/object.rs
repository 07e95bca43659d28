//! One object, row or event: what of it is shown.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gatewright_http::{content::Masker, refusal::Refusal};
use gatewright_masking::MaskKey;
use gatewright_model::{
    kubernetes::RequestInfo,
    mask::{MaskPlan, ObjectFilter},
};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::malformed;

/// Shows objects of one kind of resource.
#[derive(Debug)]
pub(super) struct Objects {
    filters: Vec<ObjectFilter>,
    /// None: nothing of an object is hidden.
    masker: Option<Masker>,
    /// Detectors alone: for cells. None: there are none.
    cells: Option<Masker>,
    has_paths: bool,
    /// The member whose values are base64.
    encoded: Option<&'static str>,
    is_secret: bool,
    /// Cells besides the first are shown.
    shows_cells: bool,
    /// What a masker made of the last document.
    made: Vec<u8>,
}

/// What an object says about itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    annotations: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow, default)]
    managed_fields: Option<&'a RawValue>,
}

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Objects {
    /// `filters`: which objects are shown.
    pub(super) fn new(
        info: &RequestInfo,
        filters: Vec<ObjectFilter>,
        plan: &MaskPlan,
        key: &MaskKey,
    ) -> Result<Self, Refusal> {
        if !plan.columns.is_empty() {
            return Err(COLUMNS);
        }
        let masks = MaskPlan { objects: Vec::new(), ..plan.clone() };
        let detectors = MaskPlan { json: Vec::new(), ..masks.clone() };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let masker =
            |plan: &MaskPlan| (!plan.is_empty()).then(|| Masker::new(plan, key, &headers)).transpose();
        let is_core = info.api_group.is_empty();
        let resource = if is_core { &*info.resource } else { "" };
        Ok(Self {
            filters,
            masker: masker(&masks)?,
            cells: masker(&detectors)?,
            has_paths: !plan.json.is_empty(),
            encoded: match resource {
                "secrets" => Some("data"),
                "configmaps" => Some("binaryData"),
                _ => None,
            },
            is_secret: resource == "secrets",
            shows_cells: matches!(resource, "secrets" | "configmaps"),
            made: Vec::new(),
        })
    }

    /// How many values were hidden, by rule.
    pub(super) fn masked(&self) -> Vec<(Arc<str>, u64)> {
        let mut sums: Vec<(Arc<str>, u64)> = Vec::new();
        for (rule, count) in [&self.masker, &self.cells].into_iter().flatten().flat_map(Masker::counts) {
            match sums.iter_mut().find(|(own, _)| *own == rule) {
                Some((_, sum)) => *sum += count,
                None => sums.push((rule, count)),
            }
        }
        sums
    }

    /// Puts an object behind `out`, as it is to be shown. False: it is not.
    pub(super) fn show(&mut self, object: &[u8], out: &mut Vec<u8>) -> Result<bool, Refusal> {
        let about: About<'_> = read(object)?;
        // Others may have kinds of the same names.
        let (kind, version) = (about.kind.as_deref(), about.api_version.as_deref().unwrap_or_default());
        if kind == Some("Table") && version.starts_with("meta.k8s.io/") {
            return self.show_table(object, out);
        }
        if kind.is_some_and(|kind| kind.ends_with("List")) && about.items.is_some() {
            return Err(malformed("a list stands where one object is expected"));
        }
        let is_status = kind == Some("Status") && version == "v1";
        if is_status && self.has_paths {
            out.extend_from_slice(&status(object)?);
            return Ok(true);
        }
        let metadata = about.metadata.unwrap_or_default();
        if !is_status && !self.is_shown(&metadata)? {
            return Ok(false);
        }
        self.show_fields(object, &metadata, out)?;
        Ok(true)
    }

    /// Puts the metadata of a list behind `out`: without how many more there are, where not all of them are shown.
    pub(super) fn show_list_metadata(&self, metadata: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.filters.is_empty() {
            out.extend_from_slice(metadata);
            return Ok(());
        }
        let members: Option<Members<'_>> = read(metadata)?;
        let mut members = members.unwrap_or_default();
        members.remove("remainingItemCount");
        out.extend_from_slice(&write(&members)?);
        Ok(())
    }

    /// The same for what only says how far a watch has come.
    pub(super) fn show_bookmark(&mut self, object: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let filters = std::mem::take(&mut self.filters);
        let shown = self.show(object, out);
        self.filters = filters;
        shown.map(drop)
    }

    /// Puts a row of a table behind `out`.
    pub(super) fn show_row(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Refusal> {
        let row: Members<'_> = read(row)?;
        let object = row.get("object").filter(|object| object.get() != "null");
        let mut shown = Vec::new();
        match object {
            Some(object) => {
                if !self.show(object.get().as_bytes(), &mut shown)? {
                    return Ok(false);
                }
            }
            None if self.filters.is_empty() => shown.extend_from_slice(b"null"),
            None => return Err(NO_OBJECT),
        }
        out.push(b'{');
        for (at, (name, value)) in row.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            put_name(name, out);
            match &**name {
                "object" => out.extend_from_slice(&shown),
                "cells" => self.show_cells(value, out)?,
                "conditions" => out.extend_from_slice(value.get().as_bytes()),
                _ => return Err(malformed("a row of a table has a member that is not known")),
            }
        }
        out.push(b'}');
        Ok(true)
    }

    fn show_table(&mut self, table: &[u8], out: &mut Vec<u8>) -> Result<bool, Refusal> {
        let members: Members<'_> = read(table)?;
        let mut shown = 0;
        let mut has_columns = false;
        let start = out.len();
        out.push(b'{');
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            put_name(name, out);
            match &**name {
                "rows" => {
                    let rows: Option<Vec<&RawValue>> = read(value.get().as_bytes())?;
                    out.push(b'[');
                    for row in rows.unwrap_or_default() {
                        let before = out.len();
                        if shown > 0 {
                            out.push(b',');
                        }
                        if self.show_row(row.get().as_bytes(), out)? {
                            shown += 1;
                        } else {
                            out.truncate(before);
                        }
                    }
                    out.push(b']');
                }
                "metadata" => self.show_list_metadata(value.get().as_bytes(), out)?,
                "kind" | "apiVersion" => out.extend_from_slice(value.get().as_bytes()),
                "columnDefinitions" => {
                    has_columns = value.get() != "null";
                    out.extend_from_slice(value.get().as_bytes());
                }
                _ => return Err(malformed("a table has a member that is not known")),
            }
        }
        out.push(b'}');
        // The first table of a watch says what the columns of all others are.
        let is_shown = shown > 0 || has_columns;
        if !is_shown {
            out.truncate(start);
        }
        Ok(is_shown)
    }

    fn show_cells(&mut self, cells: &RawValue, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut shown = Vec::new();
        if self.has_paths && !self.shows_cells {
            let cells: Vec<&RawValue> = read(cells.get().as_bytes())?;
            shown.push(b'[');
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    shown.push(b',');
                }
                shown.extend_from_slice(if at == 0 { cell.get().as_bytes() } else { b"null" });
            }
            shown.push(b']');
        } else {
            shown.extend_from_slice(cells.get().as_bytes());
        }
        match &mut self.cells {
            Some(masker) => {
                mask(masker, &shown, &mut self.made)?;
                out.extend_from_slice(&self.made);
            }
            None => out.extend_from_slice(&shown),
        }
        Ok(())
    }

    fn is_shown(&self, metadata: &Metadata<'_>) -> Result<bool, Refusal> {
        if self.filters.is_empty() {
            return Ok(true);
        }
        let Some(name) = metadata.name.as_deref().filter(|name| !name.is_empty()) else {
            return Err(NO_OBJECT);
        };
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        Ok(self.filters.iter().all(|filter| filter.shows(namespace, name)))
    }

    fn show_fields(
        &mut self,
        object: &[u8],
        metadata: &Metadata<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let Some(masker) = &mut self.masker else {
            out.extend_from_slice(object);
            return Ok(());
        };
        let annotated = metadata.annotations.as_ref().is_some_and(|all| all.contains_key(LAST_APPLIED));
        let takes_annotation = annotated && (self.has_paths || self.is_secret);
        let takes_fields = self.has_paths && metadata.managed_fields.is_some();
        let has_encoded = self.encoded.is_some();
        if !takes_annotation && !takes_fields && !has_encoded {
            mask(masker, object, &mut self.made)?;
            out.extend_from_slice(&self.made);
            return Ok(());
        }
        let mut members: Members<'_> = read(object)?;
        let shorter = match members.get("metadata") {
            Some(metadata) if takes_annotation || takes_fields => Some(shorten(metadata, takes_fields)?),
            _ => None,
        };
        if let Some(shorter) = &shorter {
            members.insert(Cow::Borrowed("metadata"), shorter);
        }
        let mut binary = BTreeSet::new();
        let decoded = match self.encoded.and_then(|name| members.get(name)) {
            Some(values) => Some(decode(values, &mut binary)?),
            None => None,
        };
        if let (Some(name), Some(decoded)) = (self.encoded, &decoded) {
            members.insert(Cow::Borrowed(name), decoded);
        }
        mask(masker, &write(&members)?, &mut self.made)?;
        let Some(name) = self.encoded.filter(|_| decoded.is_some()) else {
            out.extend_from_slice(&self.made);
            return Ok(());
        };
        let mut members: Members<'_> = read(&self.made)?;
        let encoded = match members.get(name) {
            Some(values) => encode(values, &binary)?,
            None => return Err(malformed("a Secret's data was hidden with its name")),
        };
        members.insert(Cow::Borrowed(name), &encoded);
        out.extend_from_slice(&write(&members)?);
        Ok(())
    }
}

/// A `Status` about an object of which parts are hidden. A server that finds a value wrong quotes it, so its words are shown for
/// reasons only that are about the object as a whole.
fn status(object: &[u8]) -> Result<Vec<u8>, Refusal> {
    const WHOLE: [&str; 11] = [
        "Unauthorized",
        "Forbidden",
        "NotFound",
        "AlreadyExists",
        "Conflict",
        "Gone",
        "Expired",
        "TooManyRequests",
        "MethodNotAllowed",
        "NotAcceptable",
        "UnsupportedMediaType",
    ];
    let mut members: Members<'_> = read(object)?;
    let reason =
        members.get("reason").and_then(|reason| serde_json::from_str::<Cow<'_, str>>(reason.get()).ok());
    let is_whole = reason.is_some_and(|reason| WHOLE.contains(&&*reason));
    let succeeded = members.get("status").is_some_and(|status| status.get() == "\"Success\"");
    if is_whole || succeeded {
        return Ok(object.to_vec());
    }
    members.remove("details");
    let words = raw(br#""the request failed, and a policy hides parts of what it is about""#.to_vec())?;
    if members.contains_key("message") {
        members.insert(Cow::Borrowed("message"), &words);
    }
    write(&members)
}

/// Metadata without what repeats the object.
fn shorten(metadata: &RawValue, takes_fields: bool) -> Result<Box<RawValue>, Refusal> {
    let mut members: Members<'_> = read(metadata.get().as_bytes())?;
    if takes_fields {
        members.remove("managedFields");
    }
    let mut annotations: Option<Members<'_>> = match members.get("annotations") {
        Some(annotations) => read(annotations.get().as_bytes())?,
        None => None,
    };
    let shorter = match &mut annotations {
        Some(annotations) => {
            annotations.remove(LAST_APPLIED);
            Some(raw(write(annotations)?)?)
        }
        None => None,
    };
    if let Some(shorter) = &shorter {
        members.insert(Cow::Borrowed("annotations"), shorter);
    }
    raw(write(&members)?)
}

/// Values as text. What is no text stays base64, and its name is noted.
fn decode(values: &RawValue, binary: &mut BTreeSet<String>) -> Result<Box<RawValue>, Refusal> {
    let values: Option<BTreeMap<String, Option<Cow<'_, str>>>> = read(values.get().as_bytes())?;
    let Some(values) = values else { return raw(b"null".to_vec()) };
    let mut texts = BTreeMap::new();
    for (name, value) in values {
        let value = value.unwrap_or_default();
        let text = BASE64_STANDARD.decode(&*value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.unwrap_or_else(|| {
            binary.insert(name.clone());
            value.into_owned()
        });
        texts.insert(name, text);
    }
    raw(serde_json::to_vec(&texts).map_err(|_| UNREADABLE)?)
}

/// The reverse. What stayed base64 and was hidden is base64 of what stands for it.
fn encode(values: &RawValue, binary: &BTreeSet<String>) -> Result<Box<RawValue>, Refusal> {
    let values: Option<BTreeMap<String, Option<String>>> = read(values.get().as_bytes())?;
    let Some(values) = values else { return raw(b"null".to_vec()) };
    let encoded: BTreeMap<String, String> = values
        .into_iter()
        .map(|(name, value)| {
            let value = value.unwrap_or_default();
            let stays = binary.contains(&name) && BASE64_STANDARD.decode(&value).is_ok();
            let value = if stays { value } else { BASE64_STANDARD.encode(value) };
            (name, value)
        })
        .collect();
    raw(serde_json::to_vec(&encoded).map_err(|_| UNREADABLE)?)
}

/// Masks one document.
fn mask(masker: &mut Masker, document: &[u8], made: &mut Vec<u8>) -> Result<(), Refusal> {
    made.clear();
    // A line's end: nothing of the document can be held back behind it.
    for mut piece in [document, b"\n"] {
        while masker.push(&mut piece, made)? {}
    }
    match made.pop() {
        Some(b'\n') => Ok(()),
        _ => Err(UNREADABLE),
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(json).map_err(|_| UNREADABLE)
}

fn write(members: &Members<'_>) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(members).map_err(|_| UNREADABLE)
}

fn raw(json: Vec<u8>) -> Result<Box<RawValue>, Refusal> {
    let text = String::from_utf8(json).map_err(|_| UNREADABLE)?;
    RawValue::from_string(text).map_err(|_| UNREADABLE)
}

/// A name and a colon.
pub(super) fn put_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    out.push(b':');
}

const UNREADABLE: Refusal = malformed("an object of the target's answer can not be read in one way");

const NO_OBJECT: Refusal = Refusal {
    status: StatusCode::BAD_GATEWAY,
    code: "mask.unsupported",
    detail: "a policy shows some objects only, and something in the answer does not say which object it is",
};

const COLUMNS: Refusal = Refusal {
    status: StatusCode::BAD_GATEWAY,
    code: "mask.unsupported",
    detail: "a policy hides columns of tables, and this answer has none",
};
