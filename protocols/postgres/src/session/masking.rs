//! The masks of what runs: how its answer is rewritten, and what of the target's own words is hidden.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::{
    mask::MaskPlan,
    session::ProtocolError,
    sql::{Analysis, Output},
};

use super::{
    budget::Charge,
    objection::{Reach, hidden_code, reach},
    relay::Desk,
};
use crate::{
    backend::row_description::Field,
    mask::{Counts, ResolvedPlan, RowMask, rewrite_text},
    reply,
};

/// The masks of one running request.
#[derive(Debug, Default)]
pub(super) struct Masks(Option<Box<ActiveMasks>>);

#[derive(Debug)]
struct ActiveMasks {
    plan: Arc<MaskPlan>,
    resolved: Option<Arc<ResolvedPlan>>,
    analysis: Arc<Analysis>,
    /// What the analysis takes, where it is this request's own.
    _charge: Option<Charge>,
    /// Which statement of the text is being answered.
    statement: usize,
    rows: Option<RowMask>,
    counts: Counts,
    /// Could the target's words quote a value that the masks hide?
    hides_reports: bool,
}

impl Masks {
    pub(super) fn new(
        plan: Option<Arc<MaskPlan>>,
        resolved: Option<Arc<ResolvedPlan>>,
        analysis: &Arc<Analysis>,
        charge: Option<Charge>,
    ) -> Self {
        let hides_reports = analysis.statements.iter().any(|statement| {
            let reached = resolved.as_ref().is_some_and(|plan| reach(statement, plan) != Reach::Nothing);
            let searched = plan.as_ref().is_some_and(|plan| !plan.detectors.is_empty());
            // What a cursor computes was judged when it was declared, perhaps by other policies.
            let unseen = hidden_code(statement) || statement.fetches.is_some();
            reached || unseen || (searched && statement.effects.read)
        });
        Self(plan.map(|plan| {
            Box::new(ActiveMasks {
                hides_reports,
                plan,
                resolved,
                analysis: Arc::clone(analysis),
                _charge: charge,
                statement: 0,
                rows: None,
                counts: Counts::default(),
            })
        }))
    }

    /// Must the gateway know the columns before it lets a row pass?
    pub(super) const fn wants_description(&self) -> bool {
        self.0.is_some()
    }

    /// The columns of the rows that follow.
    pub(super) fn describe(&mut self, fields: &[Field], desk: &Desk<'_>) {
        let Some(active) = &mut self.0 else { return };
        let key = &desk.shared.mask_key;
        let trust = active.trusts_computed(fields);
        active.rows = RowMask::new(&active.plan, active.resolved.as_deref(), fields, trust, key);
    }

    /// The next statement of a text is answered now.
    pub(super) fn next_statement(&mut self) {
        if let Some(active) = &mut self.0 {
            active.statement += 1;
            active.rows = None;
        }
    }

    /// Do rows pass as they are?
    pub(super) fn rows_pass(&self) -> bool {
        self.0.as_ref().is_none_or(|active| active.rows.is_none())
    }

    /// Does COPY data pass as it is?
    pub(super) fn copy_passes(&self) -> bool {
        self.0.as_ref().is_none_or(|active| active.plan.detectors.is_empty())
    }

    /// Rewrites a row.
    pub(super) fn row(&mut self, body: &[u8]) -> Result<Option<Bytes>, ProtocolError> {
        let Some(active) = self.0.as_deref_mut() else { return Ok(None) };
        match &active.rows {
            Some(rows) => rows.rewrite(body, &active.plan, &mut active.counts).map(Some),
            None => Ok(None),
        }
    }

    /// Rewrites a part of COPY data, which is one row in text or CSV format.
    pub(super) fn copy_data(&mut self, body: &[u8], desk: &Desk<'_>) -> Option<Bytes> {
        let active = self.0.as_deref_mut()?;
        let text = rewrite_text(body, &active.plan, &desk.shared.mask_key, &mut active.counts)?;
        Some(reply::message(crate::backend::tag::COPY_DATA, |out| out.extend_from_slice(&text)))
    }

    /// Are columns masked?
    pub(super) fn by_column(&self) -> bool {
        self.0.as_ref().is_some_and(|active| !active.plan.columns.is_empty())
    }

    /// Must the words of errors and notices be hidden? They may quote values (threats A31).
    pub(super) fn hides_reports(&self) -> bool {
        self.0.as_ref().is_some_and(|active| active.hides_reports)
    }

    /// What was hidden.
    pub(super) fn take_counts(&mut self) -> Vec<(Arc<str>, u64)> {
        self.0.take().map(|active| active.counts.into_inner()).unwrap_or_default()
    }
}

impl ActiveMasks {
    /// Did the text prove that the computed columns of this answer hold nothing masked?
    ///
    /// [`objection`](super::objection::objection) has refused every statement that computes from a masked column. What is left to check
    /// is that the server's description agrees with our reading, column by column: it reports no origin
    /// only where we saw something computed. A `*` hides the positions, and then nothing is trusted.
    fn trusts_computed(&self, fields: &[Field]) -> bool {
        let Some(statement) = self.analysis.statements.get(self.statement) else { return false };
        match &statement.outputs {
            Some(outputs) => {
                let agrees = outputs.len() == fields.len()
                    && outputs.iter().zip(fields).all(|(output, field)| {
                        field.relation != 0 || matches!(output, Output::Computed(_))
                    });
                let reach = self.resolved.as_ref().map_or(Reach::Nothing, |plan| reach(statement, plan));
                // Where nothing masked is in reach, an output that we could not follow is harmless.
                !hidden_code(statement) && (agrees || reach == Reach::Nothing)
            }
            // SHOW and EXPLAIN answer with words of the server; objection() has refused an EXPLAIN of a
            // masked relation.
            None => matches!(statement.kind, "show" | "explain"),
        }
    }
}
