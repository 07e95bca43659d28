//! From what each policy said to what is done. The order of policies does not matter: any block; else any
//! escalation; else the union of masks; else allow.
//!
//! A policy that failed says block. Mode `monitor` is recorded and does not count. Nothing here runs a
//! module; this is where to look for why something was let through.

use std::sync::Arc;

use gatewright_model::{
    decision::{Block, Decision, Diagnostic, Escalation, Evaluation, Mode, SetVersion},
    event::{Event, Facet},
    mask::{ColumnMask, DetectorMask, JsonMask, MaskPlan, ObjectFilter},
    sql::Grade,
};

use crate::{
    contract::verdict::{Draft, MaskDraft, Said},
    instance::Failure,
    set::Policy,
};

/// What one policy said.
pub(crate) struct Answer<'p> {
    pub(crate) policy: &'p Policy,
    pub(crate) said: Result<Said, Failure>,
}

/// Why no policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unjudged {
    /// No policy in mode `protect` is for this event.
    NoMatch,
    /// It was not understood, and no policy takes that upon itself.
    Grade(Grade),
}

impl Unjudged {
    pub(crate) fn evaluation(self, event: &Event, set: SetVersion) -> Evaluation {
        let reason: Arc<str>;
        let (code, remedy) = match self {
            Self::NoMatch => {
                reason = "no policy allows requests of this kind in this session".into();
                ("policy.no_match", "ask the operator of the gateway for a policy that covers it")
            }
            Self::Grade(grade) => {
                let why = event.grade_reason();
                let why = why.as_deref().unwrap_or("its grade says so");
                reason = format!("the request could not be judged safely: {why}").into();
                let code = match (&event.facet, grade) {
                    (Facet::Sql(_), Grade::Disputed) => "sql.disputed",
                    (Facet::Sql(_), _) => Block::UNPARSED,
                    (Facet::Http(_), _) => "http.unknown",
                    (Facet::Kubernetes(_), _) => "k8s.unknown",
                    (Facet::Ssh(_), _) => "ssh.unknown",
                };
                (code, "write it in a plainer form")
            }
        };
        let block = Block { code: code.into(), rule: "".into(), reason, remedy: remedy.into() };
        Evaluation { decision: Decision::Block(block), recorded: false, diagnostics: Vec::new(), set }
    }
}

/// Combines the answers of all policies that were asked: at least one of them in mode `protect`, unless the event is
/// about the answer to a request that was permitted.
pub(crate) fn combine(event: &Event, set: SetVersion, answers: Vec<Answer>) -> Evaluation {
    let diagnostics = answers.iter().map(diagnostic).collect();
    let mut blocks = Vec::new();
    let mut escalations = Vec::new();
    let mut masks = MaskPlan::default();
    let mut recorded = false;
    for Answer { policy, said } in answers {
        if policy.mode == Mode::Monitor {
            continue;
        }
        if said.as_ref().is_ok_and(|said| said.recorded) {
            recorded = true;
            if !can_record(event) {
                blocks.push(unrecordable(policy));
            }
        }
        match said.map(|said| said.draft) {
            Ok(Draft::Allow) => {}
            Ok(Draft::Block { rule, reason, remedy }) => blocks.push(Block {
                code: denied(event).into(),
                rule: full_rule(policy, &rule),
                reason: reason.into(),
                remedy: remedy.into(),
            }),
            Ok(Draft::Mask(mask)) if !can_hide(event, &mask) => {
                blocks.push(unmaskable(policy, mask.any_rule()));
            }
            Ok(Draft::Mask(mask)) => masks.merge(plan(policy, mask)),
            Ok(Draft::Escalate { rule, reason, reviewers, quorum, ttl }) => escalations.push(Escalation {
                rule: full_rule(policy, &rule),
                reason: reason.into(),
                reviewers,
                quorum,
                ttl,
            }),
            Err(failure) => blocks.push(failed(policy, &failure)),
        }
    }
    let decision = strongest(blocks, escalations, masks);
    let recorded = recorded && !matches!(decision, Decision::Block(_));
    Evaluation { decision, recorded, diagnostics, set }
}

fn strongest(blocks: Vec<Block>, escalations: Vec<Escalation>, masks: MaskPlan) -> Decision {
    if let Some(block) = blocks.into_iter().next() {
        return Decision::Block(block);
    }
    if let Some(joined) = escalations.into_iter().map(Ok).reduce(|one, other| join(one?, other?)) {
        return match joined {
            Ok(escalation) => Decision::Escalate { escalation, masks },
            Err(block) => Decision::Block(block),
        };
    }
    if masks.is_empty() { Decision::Allow } else { Decision::Mask(masks) }
}

/// One request to reviewers that satisfies both: reviewers that both name, the higher quorum, the shorter
/// wait. Where no group may decide for both, nobody can.
fn join(one: Escalation, other: Escalation) -> Result<Escalation, Block> {
    let reviewers = if one.reviewers.is_empty() {
        other.reviewers
    } else if other.reviewers.is_empty() {
        one.reviewers
    } else {
        let shared: Vec<_> =
            one.reviewers.into_iter().filter(|group| other.reviewers.contains(group)).collect();
        if shared.is_empty() {
            return Err(Block {
                code: "policy.conflict".into(),
                rule: one.rule,
                reason: format!("needs approvals that no group may give: `{}` asks too", other.rule).into(),
                remedy: "ask the operator of the gateway for reviewers that both policies name".into(),
            });
        }
        shared
    };
    let reason = if one.reason == other.reason {
        one.reason
    } else {
        format!("{}; {}", one.reason, other.reason).into()
    };
    let (quorum, ttl) = (one.quorum.max(other.quorum), one.ttl.min(other.ttl));
    Ok(Escalation { rule: one.rule, reason, reviewers, quorum, ttl })
}

fn diagnostic(answer: &Answer) -> Diagnostic {
    let Answer { policy, said } = answer;
    let (decision, rule, failure) = match said.as_ref().map(|said| &said.draft) {
        Ok(Draft::Allow) => ("allow", None, None),
        Ok(Draft::Block { rule, .. }) => ("block", Some(rule), None),
        Ok(Draft::Mask(_)) => ("mask", None, None),
        Ok(Draft::Escalate { rule, .. }) => ("escalate", Some(rule), None),
        Err(failure) => ("block", None, Some(failure.code())),
    };
    Diagnostic {
        policy: Arc::clone(&policy.name),
        module: policy.module.digest(),
        mode: policy.mode,
        decision,
        rule: rule.map(|rule| rule.as_str().into()),
        failure,
    }
}

fn failed(policy: &Policy, failure: &Failure) -> Block {
    Block {
        code: failure.code().into(),
        rule: Arc::clone(&policy.name),
        reason: format!("the policy `{}` gave no answer", policy.name).into(),
        remedy: "tell the operator of the gateway; the log says why".into(),
    }
}

fn full_rule(policy: &Policy, rule: &str) -> Arc<str> {
    format!("{}/{rule}", policy.name).into()
}

/// Can all of it be hidden in the answer? A mask that nobody applies would let through what a policy wants hidden.
fn can_hide(event: &Event, mask: &MaskDraft) -> bool {
    match event.facet {
        Facet::Sql(_) => mask.json.is_empty() && mask.objects.is_empty(),
        Facet::Http(_) => mask.columns.is_empty() && mask.objects.is_empty(),
        Facet::Kubernetes(_) => mask.columns.is_empty(),
        Facet::Ssh(_) => mask.columns.is_empty() && mask.json.is_empty() && mask.objects.is_empty(),
    }
}

/// Is there something that a recording could hold?
fn can_record(event: &Event) -> bool {
    match &event.facet {
        Facet::Ssh(ssh) => ssh.request.starts(),
        Facet::Kubernetes(kubernetes) => kubernetes.opens_a_process(),
        Facet::Sql(_) | Facet::Http(_) => false,
    }
}

fn plan(policy: &Policy, mask: MaskDraft) -> MaskPlan {
    let MaskDraft { columns, json, objects, detectors } = mask;
    let rule = objects.first().map(|object| full_rule(policy, &object.rule));
    let shown = objects.into_iter().map(|object| (object.namespace.into(), object.name.into()));
    MaskPlan {
        columns: columns
            .into_iter()
            .map(|column| ColumnMask {
                schema: column.schema.into(),
                relation: column.relation.into(),
                column: column.column.into(),
                method: column.method,
                conditions: column.conditions,
                rule: full_rule(policy, &column.rule),
            })
            .collect(),
        json: json
            .into_iter()
            .map(|json| JsonMask {
                path: json.path,
                method: json.method,
                rule: full_rule(policy, &json.rule),
            })
            .collect(),
        // One for all of a policy's pairs: what fits any of them is shown.
        objects: rule.map(|rule| ObjectFilter { shown: shown.collect(), rule }).into_iter().collect(),
        detectors: detectors
            .into_iter()
            .map(|detector| DetectorMask {
                detector: detector.detector,
                method: detector.method,
                rule: full_rule(policy, &detector.rule),
            })
            .collect(),
    }
}

fn unmaskable(policy: &Policy, rule: &str) -> Block {
    Block {
        code: "mask.unsupported".into(),
        rule: full_rule(policy, rule),
        reason:
            "a policy wants parts of the answer hidden, which can not be done for requests of this kind"
                .into(),
        remedy: "ask the operator of the gateway for a policy that allows or blocks it".into(),
    }
}

fn unrecordable(policy: &Policy) -> Block {
    Block {
        code: "record.unsupported".into(),
        rule: Arc::clone(&policy.name),
        reason: "a policy wants it recorded, which can not be done for requests of this kind".into(),
        remedy: "ask the operator of the gateway for a policy that allows or blocks it".into(),
    }
}

fn denied(event: &Event) -> &'static str {
    match event.facet {
        Facet::Sql(_) => "sql.denied",
        Facet::Http(_) => "http.denied",
        Facet::Kubernetes(_) => "k8s.denied",
        Facet::Ssh(_) => "ssh.denied",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn escalation(rule: &str, reviewers: &[&str], quorum: u8, seconds: u64) -> Escalation {
        Escalation {
            rule: rule.into(),
            reason: "why".into(),
            reviewers: reviewers.iter().map(|group| Arc::from(*group)).collect(),
            quorum,
            ttl: Duration::from_secs(seconds),
        }
    }

    fn block(rule: &str) -> Block {
        Block { code: "sql.denied".into(), rule: rule.into(), reason: "".into(), remedy: "".into() }
    }

    #[test]
    fn a_block_beats_an_escalation() {
        let decision = strongest(vec![block("b")], vec![escalation("e", &[], 1, 60)], MaskPlan::default());
        assert_eq!(decision, Decision::Block(block("b")));
    }

    #[test]
    fn two_escalations_ask_for_what_satisfies_both() {
        for swap in [false, true] {
            let mut two = [escalation("a", &["dba", "sec"], 1, 600), escalation("a", &["sec"], 2, 60)];
            if swap {
                two.reverse();
            }
            let Decision::Escalate { escalation: joined, .. } =
                strongest(Vec::new(), two.to_vec(), MaskPlan::default())
            else {
                panic!("not an escalation")
            };
            assert_eq!(joined, escalation("a", &["sec"], 2, 60));
        }
    }

    #[test]
    fn reviewers_that_have_nobody_in_common_can_not_approve() {
        let two = vec![escalation("a", &["dba"], 1, 60), escalation("b", &["sec"], 1, 60)];
        let Decision::Block(block) = strongest(Vec::new(), two, MaskPlan::default()) else {
            panic!("not a block")
        };
        assert_eq!(&*block.code, "policy.conflict");
    }
}
