//! The masks of what runs: how its answer is rewritten, and what of the target's own words is hidden.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use gatewright_model::{
    mask::MaskPlan,
    session::{ProtocolError, Side},
    sql::{Analysis, CopyForm, CopySource, Output, Prepared, Statement},
};

use super::{
    budget::Charge,
    catalog_reading::{Basis, CatalogReading, History},
    cursors::Cursors,
    definitions::dependence,
    objection::{
        could_quote, fate_of_output, hidden_code, holds_missing_values, is_ruled, names_missing_values,
        reach, runs_unseen, statement_objection,
    },
    relay::Desk,
};
use crate::{
    backend::{copy_out_response::CopyOutResponse, row_description::Field},
    catalog::Catalog,
    changes::Scope,
    copy::CopyMask,
    mask::{Counts, Fate, Reach, ResolvedPlan, RowMask, rewrite_text},
};

/// The masks of one running request.
#[derive(Debug, Default)]
pub(super) struct Masks {
    active: Option<Box<ActiveMasks>>,
    /// It was judged as something that gives no data, by a policy that would have masked data.
    gives_no_data: bool,
}

#[derive(Debug)]
struct ActiveMasks {
    plan: Arc<MaskPlan>,
    resolved: Option<Arc<ResolvedPlan>>,
    /// As `resolved` was before definitions changed, which the answer may have been made by all the same.
    earlier: Vec<Arc<ResolvedPlan>>,
    analysis: Arc<Analysis>,
    /// Queries of cursors, by the place of the FETCH in the text.
    fetched: Vec<(usize, Arc<Statement>)>,
    /// What the analysis takes, where it is this request's own.
    _charge: Option<Charge>,
    /// Which statement of the text is being answered.
    statement: usize,
    rows: Option<RowMask>,
    copy: Copying,
    counts: Counts,
    /// Could the target's words quote a value that the masks hide?
    hides_reports: bool,
    /// What `resolved` was found in.
    basis: Option<Basis>,
    history: Option<History>,
    looked_at: LookedAt,
    /// A portal runs what a name stands for: it plans that when it runs, and has told its columns before.
    is_by_name: bool,
    /// The columns that were told before the target has looked for what gives them.
    described: Vec<Field>,
    /// The catalog was read again since the request was sent: what is refused before it is sent may be running.
    is_judged_again: bool,
    /// Definitions have changed, and nobody knows how.
    is_distrusted: bool,
}

/// When the basis was looked at for the statement that is being answered.
#[derive(Debug, Default, Clone, Copy)]
struct LookedAt {
    /// When its columns were told.
    columns: bool,
    /// When its data began, or before that for what tells its columns no sooner.
    data: bool,
}

/// What of an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// Its columns are told, of which the gateway has asked before it has sent what gives them.
    Question,
    /// Its columns are told.
    Columns,
    /// Its rows, or the data of a COPY.
    Data,
}

/// What is known of the data of a COPY.
#[derive(Debug, Default)]
enum Copying {
    /// Nothing.
    #[default]
    Unknown,
    /// It has so many columns, of which it is known what becomes of them.
    Described(usize),
    /// No column of it is masked, and it is searched as it comes.
    Open,
    /// It is rewritten.
    Rewritten(CopyMask),
}

impl Masks {
    pub(super) fn new(
        plan: Option<Arc<MaskPlan>>,
        resolved: Option<Arc<ResolvedPlan>>,
        analysis: &Arc<Analysis>,
        charge: Option<Charge>,
        cursors: &Cursors,
    ) -> Self {
        let active = plan.map(|plan| {
            Box::new(ActiveMasks {
                hides_reports: may_quote(analysis, &plan, resolved.as_deref()),
                plan,
                resolved,
                earlier: Vec::new(),
                analysis: Arc::clone(analysis),
                fetched: cursors.fetched(analysis),
                _charge: charge,
                statement: 0,
                rows: None,
                copy: Copying::Unknown,
                counts: Counts::default(),
                basis: None,
                history: None,
                looked_at: LookedAt::default(),
                is_by_name: false,
                described: Vec::new(),
                is_judged_again: false,
                is_distrusted: false,
            })
        });
        Self { active, gives_no_data: false }
    }

    /// Of what gives no data, and needs no masks.
    pub(super) fn of_no_data() -> Self {
        Self { active: None, gives_no_data: true }
    }

    /// What they were found in, and what has changed since the session has first asked.
    pub(super) fn rest_on(&mut self, basis: Basis, history: Option<History>) {
        if let Some(active) = &mut self.active {
            active.basis = Some(basis).filter(|_| active.resolved.is_some());
            active.history = history;
        }
    }

    /// They are of a portal, with this statement.
    pub(super) fn of_portal(&mut self, analysis: &Analysis) {
        if let Some(active) = &mut self.active {
            active.is_by_name = analysis.statements.iter().any(|statement| {
                let executes = matches!(statement.prepared, Some(Prepared::Execute { .. }));
                executes || statement.fetches.is_some()
            });
        }
    }

    /// What they rest on.
    pub(super) fn basis(&self) -> Option<Basis> {
        self.active.as_ref()?.basis
    }

    /// What they rest on, where that has to be looked at when this begins: once for each statement, and twice where its columns are told first.
    pub(super) fn look(&mut self, begins: Begins) -> Option<Basis> {
        let active = self.active.as_deref_mut()?;
        let before = match begins {
            Begins::Question | Begins::Columns => active.looked_at.columns,
            Begins::Data => active.looked_at.data,
        };
        if before {
            return None;
        }
        let data = match begins {
            Begins::Question => false,
            Begins::Columns => !active.is_told_first(),
            Begins::Data => true,
        };
        active.looked_at = LookedAt { columns: true, data };
        active.basis
    }

    /// What is asked for.
    pub(super) fn analysis(&self) -> Option<Arc<Analysis>> {
        self.active.as_ref().map(|active| Arc::clone(&active.analysis))
    }

    /// What they depend on.
    pub(super) fn dependence(&self) -> Scope {
        self.active.as_ref().map_or(Scope::ALL, |active| match &active.resolved {
            Some(plan) => dependence(&active.analysis, &active.fetched, plan.catalog()),
            None => Scope::ALL,
        })
    }

    /// The catalog was read again since the request was sent.
    pub(super) fn judge_again(&mut self, catalog: &mut CatalogReading, desk: &Desk<'_>) {
        let Some(active) = self.active.as_deref_mut() else { return };
        let Ok(Some(resolved)) = catalog.resolve(&active.plan) else { return self.distrust(desk) };
        active.hides_reports |= may_quote(&active.analysis, &active.plan, Some(&resolved));
        active.earlier.extend(active.resolved.take().filter(|earlier| !Arc::ptr_eq(earlier, &resolved)));
        active.resolved = Some(resolved);
        // Each of them keeps a catalog. Whom nobody believes, nothing is shown by what was read first.
        if active.earlier.len() > MOST_EARLIER {
            active.earlier.remove(0);
            active.is_distrusted = true;
        }
        active.basis = catalog.basis();
        active.is_judged_again = true;
        self.describe_again(desk);
    }

    /// The catalog has changed since the request was sent, and could not be read again: nobody knows what is shown.
    pub(super) fn distrust(&mut self, desk: &Desk<'_>) {
        if let Some(active) = &mut self.active {
            active.is_distrusted = true;
        }
        self.describe_again(desk);
    }

    fn describe_again(&mut self, desk: &Desk<'_>) {
        let described = self.active.as_mut().map(|active| std::mem::take(&mut active.described));
        if let Some(fields) = described.filter(|fields| !fields.is_empty()) {
            self.describe(&fields, desk);
        }
    }

    /// Must the gateway know the columns before it lets a row pass?
    pub(super) const fn wants_description(&self) -> bool {
        self.active.is_some()
    }

    /// The columns of the rows that follow.
    pub(super) fn describe(&mut self, fields: &[Field], desk: &Desk<'_>) {
        let Some(active) = &mut self.active else { return };
        let key = &desk.shared.mask_key;
        if active.is_told_first() {
            active.described = fields.to_vec();
        }
        active.rows = RowMask::new(&active.plan, fields, &active.fates(fields), key);
    }

    /// The next statement of a text is answered now.
    pub(super) fn next_statement(&mut self) {
        if let Some(active) = &mut self.active {
            active.statement += 1;
            active.rows = None;
            active.copy = Copying::Unknown;
            active.looked_at = LookedAt::default();
            active.described.clear();
        }
    }

    /// Do rows pass as they are?
    pub(super) fn rows_pass(&self) -> bool {
        self.active
            .as_ref()
            .is_none_or(|active| active.rows.is_none() && (active.looked_at.data || active.basis.is_none()))
    }

    /// Does COPY data pass as it is?
    pub(super) fn copy_passes(&self) -> bool {
        self.active.as_ref().is_none_or(|active| match &active.copy {
            Copying::Rewritten(_) => active.rows.is_none(),
            Copying::Open => active.plan.detectors.is_empty(),
            Copying::Unknown | Copying::Described(_) => false,
        })
    }

    /// Rewrites a row.
    pub(super) fn row(&mut self, body: &[u8]) -> Result<Option<Bytes>, ProtocolError> {
        let Some(active) = self.active.as_deref_mut() else { return Ok(None) };
        match &active.rows {
            Some(rows) => rows.rewrite(body, &active.plan, &mut active.counts).map(Some),
            None => Ok(None),
        }
    }

    /// The query whose answer the COPY of this text sends, where that must be described to be masked.
    pub(super) fn copied_query(&self) -> Option<String> {
        let active = self.active.as_deref()?;
        let [statement] = &active.analysis.statements[..] else { return None };
        let (copies, plan) = (statement.copies.as_ref()?, active.resolved.as_deref()?);
        let reaches = reach(statement, plan) != Reach::Nothing;
        reaches.then(|| query_of(&copies.source, plan.catalog()))
    }

    /// The columns of the COPY that follows.
    pub(super) fn describe_copy(&mut self, fields: &[Field], desk: &Desk<'_>) {
        let Some(active) = &self.active else { return };
        let copies = active.analysis.statements.first().and_then(|statement| statement.copies.as_ref());
        let binary = copies.is_some_and(|copies| copies.form == CopyForm::Binary);
        let fields: Vec<Field> = fields.iter().map(|field| Field { binary, ..field.clone() }).collect();
        if let Some(active) = &mut self.active {
            active.copy = Copying::Described(fields.len());
        }
        self.describe(&fields, desk);
    }

    /// The target begins to send COPY data.
    pub(super) fn begin_copy(&mut self, response: CopyOutResponse) -> Result<(), ProtocolError> {
        let Some(active) = &mut self.active else {
            return if self.gives_no_data { Err(unjudged_copy()) } else { Ok(()) };
        };
        let Some(statement) = active.analysis.statements.get(active.statement) else {
            return Err(unjudged_copy());
        };
        if let Copying::Described(columns) = active.copy {
            let form = statement.copies.as_ref().map(|copies| &copies.form);
            let binary = matches!(form, Some(CopyForm::Binary));
            let Some(form) = form.filter(|_| columns == response.columns && binary == response.binary)
            else {
                return Err(unjudged_copy());
            };
            active.copy = Copying::Rewritten(CopyMask::new(form));
            return Ok(());
        }
        // What runs under a name that was not known may be the COPY of anything.
        let is_judged = |plan: &ResolvedPlan| {
            statement.kind == "copy_to"
                && !active.is_distrusted
                && !runs_unseen(statement, plan.catalog())
                && reach(statement, plan) == Reach::Nothing
        };
        if !active.readings().all(|plan| plan.relations.is_empty() || is_judged(plan)) {
            return Err(unjudged_copy());
        }
        // Detectors read text; a binary COPY of a statement that they watch can not be searched.
        if response.binary && !active.plan.detectors.is_empty() {
            return Err(binary_copy());
        }
        active.copy = Copying::Open;
        Ok(())
    }

    /// Rewrites a part of COPY data. None: it passes as it is.
    pub(super) fn copy_data(
        &mut self,
        body: &[u8],
        desk: &Desk<'_>,
    ) -> Result<Option<Vec<u8>>, ProtocolError> {
        let Some(active) = self.active.as_deref_mut() else { return Ok(None) };
        let ActiveMasks { plan, rows, copy, counts, .. } = active;
        match (copy, rows) {
            (Copying::Rewritten(copy), Some(rows)) => {
                copy.rewrite(body, rows, plan, counts, desk.shared.limits.answer).map(Some)
            }
            (Copying::Rewritten(_), None) => Ok(None),
            // One message is one row in text or CSV format.
            (Copying::Open, _) => Ok(rewrite_text(body, plan, &desk.shared.mask_key, counts)),
            (Copying::Unknown | Copying::Described(_), _) => Err(unjudged_copy()),
        }
    }

    /// The COPY data is complete.
    pub(super) fn end_copy(&self) -> Result<(), ProtocolError> {
        match self.active.as_deref() {
            Some(ActiveMasks { copy: Copying::Rewritten(copy), rows: Some(_), .. }) => copy.finish(),
            _ => Ok(()),
        }
    }

    /// Was anything withheld, because nobody can say where it comes from?
    pub(super) fn has_withheld(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.counts.has_withheld())
    }

    /// Are columns masked?
    pub(super) fn by_column(&self) -> bool {
        self.active.as_ref().is_some_and(|active| !active.plan.columns.is_empty())
    }

    /// Must the words of errors and notices be hidden? They may quote values (threats A31).
    pub(super) fn hides_reports(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.hides_reports)
    }

    /// What was hidden.
    pub(super) fn take_counts(&mut self) -> Vec<(Arc<str>, u64)> {
        self.active.take().map(|active| active.counts.into_inner()).unwrap_or_default()
    }
}

impl ActiveMasks {
    /// Are its columns told before the target has looked for what gives them? Then that may change in between.
    const fn is_told_first(&self) -> bool {
        self.is_by_name || matches!(self.copy, Copying::Described(_))
    }

    /// The plan as it was found in each catalog that the answer may have been made by.
    fn readings(&self) -> impl Iterator<Item = &ResolvedPlan> {
        self.earlier.iter().chain(&self.resolved).map(|plan| &**plan)
    }

    /// Would what is being answered be refused, as definitions are by now? What a change returns is a column for the target, whatever was put there.
    fn is_refused_by_now(&self) -> bool {
        let statement = self.analysis.statements.get(self.statement);
        let statement = self.fetched().map_or(statement, |query| Some(&**query));
        let is_refused = |statement, plan: &ResolvedPlan| {
            !plan.relations.is_empty() && statement_objection(statement, plan).is_some()
        };
        (self.is_judged_again || self.is_distrusted)
            && statement.is_some_and(|statement| self.readings().any(|plan| is_refused(statement, plan)))
    }

    /// What becomes of the columns.
    fn fates(&self, fields: &[Field]) -> Vec<Fate> {
        let mut all = vec![Fate::Keep; fields.len()];
        if self.is_refused_by_now() {
            all.fill(Fate::Withhold);
            return all;
        }
        for plan in self.readings().filter(|plan| !plan.relations.is_empty()) {
            let fields = &*self.believed(fields, plan);
            let unnamed = self.unnamed(fields, plan).into_iter().chain(std::iter::repeat(Fate::Withhold));
            for ((fate, field), unnamed) in all.iter_mut().zip(fields).zip(unnamed) {
                let own = match field.relation {
                    0 => unnamed,
                    relation => plan.fate(relation, field.attribute),
                };
                *fate = plan.stricter(*fate, own);
            }
        }
        all
    }

    /// The columns, without the origin where that says nothing: a relation that nobody knows, or a view that may have been another one when the rows
    /// were made.
    fn believed<'a>(&self, fields: &'a [Field], plan: &ResolvedPlan) -> Cow<'a, [Field]> {
        // A cursor that outlives its transaction outlives the query of its view, and its table's children.
        let statement = self.analysis.statements.get(self.statement);
        let is_of_any_time =
            statement.is_none_or(|statement| statement.fetches.is_some()) && self.fetched().is_none();
        // What was told of columns before the target has looked for what gives them may be of something else.
        let is_told_too_early = self.is_told_first() && self.is_judged_again;
        let is_distrusted = self.is_distrusted
            || is_told_too_early
            || statement.is_some_and(|statement| is_ruled(statement, plan.catalog()));
        let is_doubtful = |field: &Field| {
            let is_view = plan.catalog().is_view(field.relation);
            match is_distrusted {
                // A column of a table is what it is, whatever it is called.
                true => is_view || !matches!(plan.fate(field.relation, field.attribute), Fate::Mask(_)),
                false => is_view || !self.is_as_ever(field.relation, plan.catalog()),
            }
        };
        if !is_distrusted && !is_of_any_time {
            return Cow::Borrowed(fields);
        }
        let known = |field: &Field| match is_doubtful(field) {
            true => Field { relation: 0, attribute: 0, ..field.clone() },
            false => field.clone(),
        };
        Cow::Owned(fields.iter().map(known).collect())
    }

    /// Has nothing changed of what this relation shows since the session has first asked, as far as is known?
    fn is_as_ever(&self, oid: u32, catalog: &Catalog) -> bool {
        let behind = || {
            catalog
                .relation(oid)
                .map_or(Scope::ALL, |relation| Scope::of(catalog.names_behind(&relation.name)))
        };
        self.history.as_ref().is_some_and(|history| history.log.is_true_since(history.since, behind))
    }

    /// The query of the cursor from which the statement fetches that is being answered.
    fn fetched(&self) -> Option<&Arc<Statement>> {
        self.fetched.iter().find(|(at, _)| *at == self.statement).map(|(_, query)| query)
    }

    /// What becomes of the columns of which the target does not say where they come from.
    fn unnamed(&self, fields: &[Field], plan: &ResolvedPlan) -> Vec<Fate> {
        let all = |fate| vec![fate; fields.len()];
        let Some(statement) = self.analysis.statements.get(self.statement) else {
            return all(Fate::Withhold);
        };
        let fetched = self.fetched();
        let statement = fetched.map_or(statement, |query| query);
        // A cursor was judged when it was declared, perhaps by other policies.
        let is_judged_before = fetched.is_some() || self.is_judged_again;
        if self.is_distrusted
            || runs_unseen(statement, plan.catalog())
            || (is_judged_before && statement_objection(statement, plan).is_some())
        {
            return all(Fate::Withhold);
        }
        let Some(outputs) = &statement.outputs else {
            // SHOW and EXPLAIN answer with words of the server; objection() has refused an EXPLAIN of a
            // masked relation.
            let own_words = matches!(statement.kind, "show" | "explain");
            return all(if own_words { Fate::Keep } else { Fate::Withhold });
        };
        // Where nothing masked is in reach, an output that we could not follow is harmless.
        if reach(statement, plan) == Reach::Nothing {
            if plan.relations.is_empty()
                || !names_missing_values(statement)
                || !outputs.iter().any(holds_missing_values)
            {
                return all(Fate::Keep);
            }
            if statement.has_star || !agrees(outputs, fields) {
                return all(Fate::Withhold);
            }
            let fate = |output| if holds_missing_values(output) { Fate::Withhold } else { Fate::Keep };
            return outputs.iter().map(fate).collect();
        }
        if statement.has_star || !agrees(outputs, fields) {
            return all(Fate::Withhold);
        }
        let fate = |(output, field): (&Output, &Field)| match fate_of_output(output, statement, plan) {
            // Other types are cut to names: a mask that keeps the end of a value would keep another part of it.
            Fate::Mask(_) if matches!(field.type_oid, NAME | NAMES) => Fate::Withhold,
            fate => fate,
        };
        outputs.iter().zip(fields).map(fate).collect()
    }
}

/// Catalogs that one answer is masked by beside the newest.
const MOST_EARLIER: usize = 4;

/// Could what the target says of the statements quote a value that the masks hide?
fn may_quote(analysis: &Analysis, plan: &MaskPlan, resolved: Option<&ResolvedPlan>) -> bool {
    analysis.statements.iter().any(|statement| {
        let reached = resolved.is_some_and(|plan| could_quote(statement, plan));
        let searched = !plan.detectors.is_empty();
        // What a cursor computes was judged when it was declared, perhaps by other policies.
        let unseen = match resolved {
            Some(plan) => runs_unseen(statement, plan.catalog()),
            None => hidden_code(statement),
        } || statement.fetches.is_some();
        reached || unseen || (searched && statement.effects.read)
    })
}

/// `name` and `name[]` (oids of `pg_type.dat`).
const NAME: u32 = 19;
const NAMES: u32 = 1003;

/// A query that has the rows of the COPY, column by column.
fn query_of(source: &CopySource, catalog: &Catalog) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    match source {
        CopySource::Query(text) => text.to_string(),
        CopySource::Table { schema, name, columns } => {
            // Of several relations of that name, the target takes its own, and a COPY of other columns is noticed.
            let mut named = catalog.meant(schema.as_deref(), name);
            let columns = match named.next() {
                Some(oid) if columns.is_empty() && named.next().is_none() => catalog.copied(oid),
                _ => columns.clone(),
            };
            let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
            let schema = schema.as_ref().map(|schema| format!("{}.", quoted(schema))).unwrap_or_default();
            format!("select {columns} from only {schema}{}", quoted(name))
        }
    }
}

fn unjudged_copy() -> ProtocolError {
    ProtocolError {
        fault: Side::Upstream,
        code: "mask.copy",
        detail: Arc::from("COPY data of which it is not known what it holds"),
    }
}

fn binary_copy() -> ProtocolError {
    ProtocolError {
        fault: Side::Downstream,
        code: "mask.copy",
        detail: Arc::from("a COPY in binary format can not be searched for what must be masked"),
    }
}

/// Does the server's description of an answer agree with our reading, column by column? It reports no origin
/// only where we saw something computed. A `*` hides the positions, and then nothing is trusted.
fn agrees(outputs: &[Output], fields: &[Field]) -> bool {
    let explained = |(output, field): (&Output, &Field)| {
        field.relation != 0 || matches!(output, Output::Computed(_) | Output::United { .. })
    };
    outputs.len() == fields.len() && outputs.iter().zip(fields).all(explained)
}
