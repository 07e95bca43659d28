//! The side towards the gateway: what the exported functions do. Compiled for wasm only.

use crate::{
    bindings::gatewright::policy::{manifest::Manifest, verdict::Verdict as Handle},
    settings::{self, Settings},
    verdict::{Escalation, Mask, Verdict},
};

/// Builds the manifest.
pub fn describe<S: Settings>(name: &str, version: &str, kinds: &[&str], inputs: &[&str]) -> Manifest {
    let manifest = Manifest::new(name, version);
    kinds.iter().for_each(|kind| manifest.add_kind(kind));
    inputs.iter().for_each(|input| manifest.add_input(input));
    manifest.set_settings_schema(&settings::schema::<S>());
    manifest
}

/// Hands a verdict to the host.
pub fn answer(verdict: Verdict) -> Handle {
    match verdict {
        Verdict::Allow => Handle::allow(),
        Verdict::Block(block) => Handle::block(&block.rule, &block.reason, &block.remedy),
        Verdict::Mask(mask) => answer_mask(&mask),
        Verdict::Escalate(escalation) => answer_escalation(&escalation),
        Verdict::Record(verdict) => {
            let handle = answer(*verdict);
            handle.require_recording();
            handle
        }
    }
}

fn answer_mask(mask: &Mask) -> Handle {
    let handle = Handle::mask();
    for column in &mask.columns {
        let method = column.method.word();
        handle.add_column(&column.schema, &column.relation, &column.column, &method, &column.rule);
    }
    for limit in &mask.conditions {
        handle.limit_conditions(&limit.schema, &limit.relation, &limit.column, limit.most);
    }
    for json in &mask.json {
        handle.add_json_path(&json.path, &json.method.word(), &json.rule);
    }
    for object in &mask.objects {
        handle.show_object(&object.namespace, &object.name, &object.rule);
    }
    for detector in &mask.detectors {
        handle.add_detector(detector.detector.as_str(), &detector.method.word(), &detector.rule);
    }
    handle
}

fn answer_escalation(escalation: &Escalation) -> Handle {
    let handle = Handle::escalate(&escalation.rule, &escalation.reason);
    escalation.reviewers.iter().for_each(|group| handle.add_reviewers(group));
    handle.set_quorum(escalation.quorum.into());
    handle.set_ttl(escalation.ttl.as_secs());
    handle
}
