//! `gatewright:policy/verdict`: answers under construction, and their bounds.
//!
//! Whatever a module says here reaches records, logs and the client's screen, so each text has a length and
//! an alphabet, and each word must be known. The first thing that does not fit ends the evaluation.

use std::{sync::Arc, time::Duration};

use gatewright_model::{
    json_path::{JsonPath, MAX_PATHS},
    mask::{Detector, MaskMethod},
};
use wasmtime::{
    StoreContextMut,
    component::{Resource, WasmStr},
};

use super::{Interface, text};
use crate::guest::{Guest, Stop};

/// Type of the handle to a verdict.
pub(crate) struct VerdictHandle;

type H = VerdictHandle;

/// Bytes of the name of a rule.
const RULE: usize = 64;
/// Bytes of a reason or remedy.
const SENTENCE: usize = 512;
/// Bytes of the name of a schema, relation, column or group.
const NAME: usize = 256;
/// Columns and detectors of one mask.
const COLUMNS: usize = 512;
const DETECTORS: usize = 16;
/// Pairs of namespace and name of one mask.
const OBJECTS: usize = 512;
/// Groups of one escalation.
const REVIEWERS: usize = 16;
const QUORUM: u32 = 16;
const TTL: u64 = 7 * 24 * 3600;
const PARTIAL: u8 = 64;
/// Verdicts that exist at the same time.
const DRAFTS: usize = 8;

/// A verdict as the module made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Draft {
    Allow,
    Block { rule: String, reason: String, remedy: String },
    Mask(MaskDraft),
    Escalate { rule: String, reason: String, reviewers: Vec<Arc<str>>, quorum: u8, ttl: Duration },
}

/// What a module said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) draft: Draft,
    /// What it lets go on goes on only while it is recorded.
    pub(crate) recorded: bool,
}

/// A mask as the module made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MaskDraft {
    pub(crate) columns: Vec<ColumnDraft>,
    pub(crate) json: Vec<JsonDraft>,
    pub(crate) objects: Vec<ObjectDraft>,
    pub(crate) detectors: Vec<DetectorDraft>,
}

impl MaskDraft {
    fn is_empty(&self) -> bool {
        self.columns.is_empty()
            && self.json.is_empty()
            && self.objects.is_empty()
            && self.detectors.is_empty()
    }

    /// The rule of any part of it, to blame.
    pub(crate) fn any_rule(&self) -> &str {
        let rules = self.columns.iter().map(|column| &column.rule);
        let rules = rules.chain(self.json.iter().map(|json| &json.rule));
        let rules = rules.chain(self.objects.iter().map(|object| &object.rule));
        let mut rules = rules.chain(self.detectors.iter().map(|detector| &detector.rule));
        rules.next().map_or("", |rule| rule)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonDraft {
    pub(crate) path: JsonPath,
    pub(crate) method: MaskMethod,
    pub(crate) rule: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectDraft {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) rule: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnDraft {
    pub(crate) schema: String,
    pub(crate) relation: String,
    pub(crate) column: String,
    pub(crate) method: MaskMethod,
    pub(crate) conditions: Option<u32>,
    pub(crate) rule: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetectorDraft {
    pub(crate) detector: Detector,
    pub(crate) method: MaskMethod,
    pub(crate) rule: String,
}

/// The verdicts of one evaluation, by the number of their handle. A number is never used twice in the life
/// of an instance (until it wraps), so a handle kept from an earlier call names nothing.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    open: Vec<(u32, Said)>,
    last: u32,
}

impl Drafts {
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }

    fn add(&mut self, draft: Draft) -> Result<Resource<H>, Stop> {
        if self.open.len() == DRAFTS {
            return Err(Stop::Invalid(format!("made more than {DRAFTS} verdicts for one event")));
        }
        self.last = self.last.wrapping_add(1);
        self.open.push((self.last, Said { draft, recorded: false }));
        Ok(Resource::new_own(self.last))
    }

    fn get(&mut self, handle: &Resource<H>) -> Result<&mut Draft, Stop> {
        self.said(handle).map(|said| &mut said.draft)
    }

    fn said(&mut self, handle: &Resource<H>) -> Result<&mut Said, Stop> {
        let open = self.open.iter_mut().find(|(number, _)| *number == handle.rep());
        open.map(|(_, said)| said).ok_or_else(stale)
    }

    fn mask(&mut self, handle: &Resource<H>) -> Result<&mut MaskDraft, Stop> {
        match self.get(handle)? {
            Draft::Mask(mask) => Ok(mask),
            _ => Err(not_a("mask")),
        }
    }

    /// Takes the verdict that the module returned.
    pub(crate) fn take(&mut self, handle: &Resource<H>) -> Result<Said, Stop> {
        let place = self.open.iter().position(|(number, _)| *number == handle.rep()).ok_or_else(stale)?;
        match self.open.swap_remove(place).1 {
            Said { draft: Draft::Mask(mask), .. } if mask.is_empty() => {
                Err(Stop::Invalid("returned a mask that hides nothing".to_owned()))
            }
            said => Ok(said),
        }
    }

    fn drop(&mut self, number: u32) {
        self.open.retain(|(own, _)| *own != number);
    }
}

fn stale() -> Stop {
    Stop::Invalid("used a verdict of an earlier event".to_owned())
}

type Cx<'a> = StoreContextMut<'a, Guest>;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    let Interface(instance) = interface;
    let verdict = wasmtime::component::ResourceType::host::<H>();
    instance.resource("verdict", verdict, |mut cx, number| {
        cx.data_mut().drafts.drop(number);
        Ok(())
    })?;
    instance.func_wrap("[static]verdict.allow", |cx: Cx, ()| construct(cx, |_| Ok(Draft::Allow)))?;
    instance.func_wrap(
        "[static]verdict.block",
        |cx: Cx, (rule, reason, remedy): (WasmStr, WasmStr, WasmStr)| {
            construct(cx, |cx| {
                let (rule, reason) = (rule_name(cx, &rule)?, sentence(cx, &reason)?);
                Ok(Draft::Block { rule, reason, remedy: sentence(cx, &remedy)? })
            })
        },
    )?;
    instance.func_wrap("[static]verdict.mask", |cx: Cx, ()| {
        construct(cx, |_| Ok(Draft::Mask(MaskDraft::default())))
    })?;
    instance.func_wrap("[static]verdict.escalate", |cx: Cx, (rule, reason): (WasmStr, WasmStr)| {
        construct(cx, |cx| {
            let (rule, reason) = (rule_name(cx, &rule)?, sentence(cx, &reason)?);
            let (reviewers, ttl) = (Vec::new(), Duration::from_secs(600));
            Ok(Draft::Escalate { rule, reason, reviewers, quorum: 1, ttl })
        })
    })?;
    instance.func_wrap("[method]verdict.require-recording", |mut cx: Cx, (verdict,): (Resource<H>,)| {
        cx.data_mut().count_call()?;
        let said = cx.data_mut().drafts.said(&verdict)?;
        if matches!(said.draft, Draft::Block { .. }) {
            Err(Stop::Invalid("wants a block recorded, which lets nothing go on".to_owned()))?;
        }
        said.recorded = true;
        Ok(())
    })?;
    link_mask(interface)?;
    link_escalation(interface)
}

fn construct(
    mut cx: Cx,
    make: impl FnOnce(&Cx) -> Result<Draft, Stop>,
) -> wasmtime::Result<(Resource<H>,)> {
    cx.data_mut().count_call()?;
    let draft = make(&cx)?;
    Ok((cx.data_mut().drafts.add(draft)?,))
}

fn link_mask(interface: &mut Interface) -> wasmtime::Result<()> {
    type Column = (Resource<H>, WasmStr, WasmStr, WasmStr, WasmStr, WasmStr);
    interface.0.func_wrap(
        "[method]verdict.add-column",
        |mut cx: Cx, (verdict, schema, relation, column, method, rule): Column| {
            cx.data_mut().count_call()?;
            let added = ColumnDraft {
                schema: name(&cx, &schema)?,
                relation: name(&cx, &relation)?,
                column: name(&cx, &column)?,
                method: mask_method(&text(&cx, &method)?)?,
                conditions: None,
                rule: rule_name(&cx, &rule)?,
            };
            let mask = cx.data_mut().drafts.mask(&verdict)?;
            Ok(put(&mut mask.columns, added, "columns", COLUMNS)?)
        },
    )?;
    type Limit = (Resource<H>, WasmStr, WasmStr, WasmStr, u32);
    interface.0.func_wrap(
        "[method]verdict.limit-conditions",
        |mut cx: Cx, (verdict, schema, relation, column, most): Limit| {
            cx.data_mut().count_call()?;
            let (schema, relation) = (name(&cx, &schema)?, name(&cx, &relation)?);
            let column = name(&cx, &column)?;
            let columns = &mut cx.data_mut().drafts.mask(&verdict)?.columns;
            let mut limited = columns
                .iter_mut()
                .filter(|own| own.schema == schema && own.relation == relation && own.column == column)
                .peekable();
            if limited.peek().is_none() {
                let reason = "limited conditions on a column that the mask does not hide";
                Err(Stop::Invalid(reason.to_owned()))?;
            }
            limited.for_each(|own| own.conditions = Some(most));
            Ok(())
        },
    )?;
    type Words = (Resource<H>, WasmStr, WasmStr, WasmStr);
    interface.0.func_wrap(
        "[method]verdict.add-json-path",
        |mut cx: Cx, (verdict, path, method, rule): Words| {
            cx.data_mut().count_call()?;
            let path = JsonPath::parse(&text(&cx, &path)?)
                .map_err(|error| Stop::Invalid(format!("named a path that is none: {error}")))?;
            let method = mask_method(&text(&cx, &method)?)?;
            let added = JsonDraft { path, method, rule: rule_name(&cx, &rule)? };
            let mask = cx.data_mut().drafts.mask(&verdict)?;
            Ok(put(&mut mask.json, added, "paths", MAX_PATHS)?)
        },
    )?;
    interface.0.func_wrap(
        "[method]verdict.show-object",
        |mut cx: Cx, (verdict, namespace, object, rule): Words| {
            cx.data_mut().count_call()?;
            // What has no namespace has an empty one.
            let namespace =
                if text(&cx, &namespace)?.is_empty() { String::new() } else { name(&cx, &namespace)? };
            let added = ObjectDraft { namespace, name: name(&cx, &object)?, rule: rule_name(&cx, &rule)? };
            let mask = cx.data_mut().drafts.mask(&verdict)?;
            Ok(put(&mut mask.objects, added, "objects", OBJECTS)?)
        },
    )?;
    interface.0.func_wrap(
        "[method]verdict.add-detector",
        |mut cx: Cx, (verdict, detector, method, rule): Words| {
            cx.data_mut().count_call()?;
            let added = DetectorDraft {
                detector: Detector::parse(&text(&cx, &detector)?).ok_or_else(|| unknown("detector"))?,
                method: mask_method(&text(&cx, &method)?)?,
                rule: rule_name(&cx, &rule)?,
            };
            let mask = cx.data_mut().drafts.mask(&verdict)?;
            Ok(put(&mut mask.detectors, added, "detectors", DETECTORS)?)
        },
    )
}

fn put<T>(parts: &mut Vec<T>, part: T, what: &str, most: usize) -> Result<(), Stop> {
    if parts.len() == most {
        return Err(too_many(what, most));
    }
    parts.push(part);
    Ok(())
}

fn link_escalation(interface: &mut Interface) -> wasmtime::Result<()> {
    let Interface(instance) = interface;
    instance.func_wrap(
        "[method]verdict.add-reviewers",
        |mut cx: Cx, (verdict, group): (Resource<H>, WasmStr)| {
            cx.data_mut().count_call()?;
            let group = name(&cx, &group)?.into();
            match cx.data_mut().drafts.get(&verdict)? {
                Draft::Escalate { reviewers, .. } if reviewers.len() < REVIEWERS => reviewers.push(group),
                Draft::Escalate { .. } => Err(too_many("groups of reviewers", REVIEWERS))?,
                _ => Err(not_a("escalation"))?,
            }
            Ok(())
        },
    )?;
    instance.func_wrap(
        "[method]verdict.set-quorum",
        |mut cx: Cx, (verdict, wanted): (Resource<H>, u32)| {
            cx.data_mut().count_call()?;
            match cx.data_mut().drafts.get(&verdict)? {
                Draft::Escalate { quorum, .. } if (1..=QUORUM).contains(&wanted) => *quorum = wanted as u8,
                Draft::Escalate { .. } => Err(out_of_range("quorum"))?,
                _ => Err(not_a("escalation"))?,
            }
            Ok(())
        },
    )?;
    instance.func_wrap("[method]verdict.set-ttl", |mut cx: Cx, (verdict, seconds): (Resource<H>, u64)| {
        cx.data_mut().count_call()?;
        match cx.data_mut().drafts.get(&verdict)? {
            Draft::Escalate { ttl, .. } if (1..=TTL).contains(&seconds) => {
                *ttl = Duration::from_secs(seconds);
            }
            Draft::Escalate { .. } => Err(out_of_range("time to wait"))?,
            _ => Err(not_a("escalation"))?,
        }
        Ok(())
    })
}

fn rule_name(cx: &Cx, string: &WasmStr) -> Result<String, Stop> {
    let rule = text(cx, string)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if rule.is_empty() || rule.len() > RULE || !rule.bytes().all(fits) {
        return Err(Stop::Invalid(format!(
            "named a rule that is not 1 to {RULE} letters, digits, `.`, `-` or `_`"
        )));
    }
    Ok(rule.into_owned())
}

fn sentence(cx: &Cx, string: &WasmStr) -> Result<String, Stop> {
    let sentence = text(cx, string)?;
    if sentence.len() > SENTENCE || sentence.contains(char::is_control) {
        return Err(Stop::Invalid(format!(
            "gave a reason or remedy of more than {SENTENCE} bytes or with control characters"
        )));
    }
    Ok(sentence.into_owned())
}

fn name(cx: &Cx, string: &WasmStr) -> Result<String, Stop> {
    let name = text(cx, string)?;
    if name.is_empty() || name.len() > NAME || name.contains(char::is_control) {
        return Err(Stop::Invalid(format!(
            "gave a name that is not 1 to {NAME} bytes without control characters"
        )));
    }
    Ok(name.into_owned())
}

fn mask_method(word: &str) -> Result<MaskMethod, Stop> {
    match word {
        "redact" => return Ok(MaskMethod::Redact),
        "hash" => return Ok(MaskMethod::Hash),
        _ => {}
    }
    let digits = word.strip_prefix("partial:").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(keep @ 0..=PARTIAL) => Ok(MaskMethod::Partial { keep }),
        _ => Err(unknown("method")),
    }
}

fn unknown(what: &str) -> Stop {
    Stop::Invalid(format!("named a {what} that there is not"))
}

fn too_many(what: &str, limit: usize) -> Stop {
    Stop::Invalid(format!("added more than {limit} {what}"))
}

fn not_a(what: &str) -> Stop {
    Stop::Invalid(format!("treated another verdict as {what}"))
}

fn out_of_range(what: &str) -> Stop {
    Stop::Invalid(format!("set a {what} that is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read_strictly() {
        assert_eq!(mask_method("partial:4"), Ok(MaskMethod::Partial { keep: 4 }));
        assert_eq!(mask_method("partial:64"), Ok(MaskMethod::Partial { keep: 64 }));
        for wrong in ["partial", "partial:", "partial:65", "partial:+4", "partial:-1", "Redact", ""] {
            assert_eq!(mask_method(wrong), Err(unknown("method")), "{wrong}");
        }
    }
}
