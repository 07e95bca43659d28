//! Keeping a mask's word: what must be refused because its answer could not be masked, and the catalog
//! that masks by column need.

use std::{collections::HashSet, sync::Arc, time::Instant};

use bytes::Bytes;
use gatewright_model::{
    mask::MaskPlan,
    session::{ProtocolError, Side},
    sql::{Access, Analysis, Column, FunctionClass, Grade, Output, Prepared, Relation, Statement},
};

use super::{
    budget::Charge,
    pipeline::Expect,
    relay::{Desk, Relay},
};
use crate::{
    backend::{ready_for_query::Transaction, row_description::Field},
    catalog::{self, Catalog, Catalogs},
    mask::{Counts, ResolvedPlan, RowMask, rewrite_text},
    reader::Reader,
    reply::{self, Report},
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
    /// [`objection`] has refused every statement that computes from a masked column. What is left to check
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

/// Does the statement run code that can not be seen in its text?
pub(super) fn hidden_code(statement: &Statement) -> bool {
    statement.effects.dynamic
        || statement.functions.iter().any(|function| function.class == FunctionClass::Unknown)
}

/// How a statement reaches masked columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Not at all.
    Nothing,
    /// By relations that have masked columns, under the columns' own names.
    Direct,
    /// By views over them, children of them, or relations that the catalog does not have (yet): a masked
    /// column may go by any name.
    Indirect,
}

fn reach(statement: &Statement, plan: &ResolvedPlan) -> Reach {
    let reaches = statement.relations.iter().map(|relation| reach_of(relation, plan));
    reaches.max().unwrap_or(Reach::Nothing)
}

fn reach_of(relation: &Relation, plan: &ResolvedPlan) -> Reach {
    reach_among(relation, &plan.relations, plan.catalog())
}

fn reach_among(relation: &Relation, masked: &HashSet<u32>, catalog: &Catalog) -> Reach {
    if masked.is_empty() {
        return Reach::Nothing;
    }
    let in_schema = |oid: &u32| {
        relation
            .schema
            .as_deref()
            .is_none_or(|schema| catalog.relation(*oid).is_some_and(|known| &*known.schema == schema))
    };
    let of_oid = |oid| match catalog.reaches(oid, masked) {
        true if masked.contains(&oid) => Reach::Direct,
        true => Reach::Indirect,
        false => Reach::Nothing,
    };
    // A relation that the catalog does not have may be a view over anything.
    catalog.named(&relation.name).filter(in_schema).map(of_oid).max().unwrap_or(Reach::Indirect)
}

/// The masked columns by which rows are chosen, of which a policy limits how often, as `schema.relation.column`, with that number. Once for each
/// statement of the text.
pub(super) fn guesses(analysis: &Analysis, plan: &ResolvedPlan) -> Vec<(Arc<str>, u32)> {
    let mut all = Vec::new();
    let limited = || plan.plan.columns.iter().filter_map(|mask| Some((mask, mask.conditions?)));
    if limited().next().is_none() {
        return all;
    }
    for statement in analysis.statements.iter().filter(|statement| !statement.conditions.is_empty()) {
        for (mask, most) in limited() {
            let Some(oid) = plan.catalog().find(&mask.schema, &mask.relation) else { continue };
            let only = HashSet::from([oid]);
            let reached = |relation: &Relation| reach_among(relation, &only, plan.catalog());
            let reach = statement.relations.iter().map(reached).max().unwrap_or(Reach::Nothing);
            let is_of = |column: &Column| match &column.relation {
                Some(name) => {
                    let mut named = statement.relations.iter().filter(|relation| relation.name == *name);
                    named.any(|relation| reached(relation) != Reach::Nothing)
                }
                None => true,
            };
            let is_meant = |column: &Column| {
                let named = reach == Reach::Indirect || column.name == mask.column || *column.name == *"*";
                named && is_of(column)
            };
            if reach != Reach::Nothing && statement.conditions.iter().any(is_meant) {
                all.push((format!("{}.{}.{}", mask.schema, mask.relation, mask.column).into(), most));
            }
        }
    }
    all
}

/// Why a permitted statement is refused after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

impl Objection {
    pub(super) fn encode(&self) -> Bytes {
        let detail = format!("code: {}", self.code);
        let sqlstate = match self.code {
            "mask.catalog" => "58000",
            "pg.fastpath" => "0A000",
            "pg.failed_transaction" => "25P02",
            // Drivers that keep statements prepare them again.
            "pg.name_unsure" => "26000",
            _ => "42501",
        };
        Report { severity: "ERROR", sqlstate, message: &self.message, detail: &detail, hint: self.hint }
            .encode()
    }

    pub(super) fn guess(column: &str, most: u32) -> Self {
        let message = match most {
            0 => format!("rows can not be chosen, joined, grouped or sorted by the masked column {column}"),
            most => format!(
                "rows were chosen by the masked column {column} {most} times in an hour, which is as often as a policy lets you"
            ),
        };
        let hint = if most == 0 {
            "choose them by another column"
        } else {
            "choose them by another column, or wait"
        };
        Self { code: "mask.condition", message, hint }
    }

    pub(super) fn no_catalog() -> Self {
        Self {
            code: "mask.catalog",
            message: "the catalog that masking needs could not be read".to_owned(),
            hint: "end the transaction and try again",
        }
    }
}

/// Does it change how the target reads what follows?
pub(super) fn changes_lexing(analysis: &Analysis) -> bool {
    let switches = |statement: &Statement| statement.kinds().any(|kind| kind == "set_lexing");
    analysis.statements.iter().any(switches)
}

/// Is nothing known of what it does?
pub(super) fn is_unread(analysis: &Analysis) -> bool {
    analysis.grade == Grade::Opaque && analysis.statements.is_empty()
}

/// Objects to a statement that would change how the target reads text: our reading of what follows would
/// no longer be the target's (threats A13). Where it was permitted as something that is not understood, what
/// follows is not understood either, and needs no objection; but nothing of it could be masked.
pub(super) fn mode_objection(analysis: &Analysis, masked: bool) -> Option<Objection> {
    (changes_lexing(analysis) && (masked || analysis.grade != Grade::Opaque)).then(|| Objection {
        code: "sql.mode_change",
        message: "the gateway reads SQL in UTF-8 and with standard_conforming_strings on".to_owned(),
        hint: "leave client_encoding and standard_conforming_strings as they are",
    })
}

/// What the server says to everything but the end of a transaction that has failed.
pub(super) fn failed_objection() -> Objection {
    Objection {
        code: "pg.failed_transaction",
        message: "current transaction is aborted, commands ignored until end of transaction block"
            .to_owned(),
        hint: "",
    }
}

/// Objects to FETCH and MOVE from a portal that a Bind has made: they run it, and it was never judged as that.
pub(super) fn fetch_objection() -> Objection {
    Objection {
        code: "pg.fetch_portal",
        message: "FETCH and MOVE can not use the name of a portal that the protocol has made".to_owned(),
        hint: "use Execute for portals, and DECLARE for cursors",
    }
}

/// Objects to a computed answer of what was prepared before code that can not be seen has run: that code may
/// have prepared something else under the name, and nothing in the answer would tell.
pub(super) fn unsure_objection(analysis: &Analysis, masks: &Masks) -> Option<Objection> {
    let computes = |statement: &Statement| {
        statement
            .outputs
            .as_ref()
            .is_none_or(|outputs| outputs.iter().any(|output| *output != Output::Direct))
    };
    (masks.by_column() && analysis.statements.iter().any(computes)).then(|| Objection {
        code: "pg.name_unsure",
        message: "code that can not be seen has run since this statement was prepared".to_owned(),
        hint: "prepare it again",
    })
}

/// Objects to what EXECUTE and FETCH give, unless it is asked for once and right after its Bind: the target
/// describes it by what their name stood for then, and gives what it stands for now.
pub(super) fn again_objection(analysis: &Analysis, masks: &Masks) -> Option<Objection> {
    let by_name = |statement: &Statement| match statement.kind {
        "fetch" => masks.wants_description(),
        _ => matches!(statement.prepared, Some(Prepared::Execute { .. })),
    };
    analysis.statements.iter().any(by_name).then(|| Objection {
        code: "pg.portal_by_name",
        message: "what EXECUTE or FETCH gives can be asked for once, right after its Bind".to_owned(),
        hint: "bind it again, and ask for all rows at once",
    })
}

/// Objects to a statement whose answer could not be masked, before anything of it is sent.
pub(super) fn objection(analysis: &Analysis, plan: Option<&ResolvedPlan>) -> Option<Objection> {
    let plan = plan?;
    if analysis.grade == Grade::Opaque && !plan.relations.is_empty() {
        return Some(Objection {
            code: "mask.lineage_unknown",
            message: "the statement was not understood: it could reach masked columns in any form"
                .to_owned(),
            hint: "write it in a plainer form",
        });
    }
    let stale = || analysis.statements.iter().find_map(|statement| stale_objection(statement, plan));
    stale()
        .or_else(|| analysis.statements.iter().find_map(|statement| statement_objection(statement, plan)))
}

/// Objects to a statement that reaches a relation of which a masked column is gone: what was called so may
/// have any name now. Code that can not be seen may reach any relation.
///
/// A FETCH names none. Its rows are withheld by their origin, like everything that comes from there.
fn stale_objection(statement: &Statement, plan: &ResolvedPlan) -> Option<Objection> {
    let catalog = plan.catalog();
    let (_, column) = plan.stale.iter().find(|(oid, _)| {
        let only = HashSet::from([**oid]);
        let mut named = statement.relations.iter().filter(|relation| !makes(statement, relation, catalog));
        hidden_code(statement)
            || named.any(|relation| reach_among(relation, &only, catalog) != Reach::Nothing)
    })?;
    Some(Objection {
        code: "mask.stale",
        message: format!("a policy masks the column {column}, which does not exist"),
        hint: "ask the owner of the policy to name the column as it is called now",
    })
}

fn statement_objection(statement: &Statement, plan: &ResolvedPlan) -> Option<Objection> {
    let reach = reach(statement, plan);
    if !plan.relations.is_empty() && statement.relations.iter().any(holds_statistics) {
        return Some(Objection {
            code: "mask.catalog",
            message: "the target's statistics hold values of masked columns".to_owned(),
            hint: "ask someone for whom nothing is masked",
        });
    }
    let object = |code, message: &str, hint| Some(Objection { code, message: message.to_owned(), hint });
    if !plan.relations.is_empty() {
        if statement.relations.iter().any(|relation| shows_queries(relation, statement)) {
            return object(
                "mask.catalog",
                "what others have sent holds values of masked columns",
                "leave the column `query` out",
            );
        }
        match statement.kind {
            "explain" if hidden_code(statement) => {
                return object(
                    "mask.catalog",
                    "EXPLAIN of code that can not be seen could tell about masked columns",
                    "its counters tell about values",
                );
            }
            // Its tables would not be found under the schema that the policy names.
            "alter_schema" => {
                return object("mask.sink_denied", "a schema can not be renamed here", SINK_HINT);
            }
            _ => {}
        }
        if let Some(message) = unseen_way_out(statement) {
            return object("mask.hidden_code", message, "ask someone for whom nothing is masked");
        }
    }
    if reach == Reach::Nothing {
        return None;
    }
    // Behind a view, any column may be a masked one; and what is no column may be a function over the row (`p.f` for `f(p)`).
    let is_masked = |column: &Column| {
        reach == Reach::Indirect
            || *column.name == *"*"
            || plan.plan.columns.iter().any(|mask| mask.column == column.name)
            || is_no_column(column, statement, plan)
    };
    match statement.kind {
        "copy_to" => {
            return object(
                "mask.copy",
                "COPY of a relation with masked columns is not possible",
                "use SELECT, which is masked",
            );
        }
        "explain" => {
            return object(
                "mask.catalog",
                "EXPLAIN of a relation with masked columns is not possible",
                "its counters tell about values",
            );
        }
        _ => {}
    }
    for output in statement.outputs.iter().flatten() {
        match output {
            Output::Direct => {}
            Output::Computed(columns) if !columns.iter().any(is_masked) => {}
            Output::Computed(_) => {
                return object(
                    "mask.lineage_unknown",
                    "an expression over a masked column can not be masked",
                    "select the column itself",
                );
            }
            Output::Unknown => {
                return object(
                    "mask.lineage_unknown",
                    "a column of the answer could hold masked values in a form that can not be masked",
                    "select plain columns of the relation",
                );
            }
        }
    }
    carries_away(statement, plan, is_masked)
        .then(|| {
            object(
                "mask.sink_denied",
                "masked columns can not be copied into another place, or defined anew",
                SINK_HINT,
            )
        })
        .flatten()
}

/// Could code that can not be seen carry masked values out, or be made for that by somebody for whom they are masked? What it answers is withheld,
/// and what it writes is not.
fn unseen_way_out(statement: &Statement) -> Option<&'static str> {
    let text = "SQL that is built at run time could carry masked columns anywhere";
    // A procedure is code that somebody else has made, as a function is.
    if statement.effects.dynamic && !matches!(statement.kind, "execute" | "fetch" | "move" | "call") {
        return Some(text);
    }
    let makes_code = |kind: &str| {
        let made = kind.strip_prefix("create_").or_else(|| kind.strip_prefix("alter_"));
        made.is_some_and(|made| CODE.contains(&made))
    };
    if statement.kinds().any(makes_code) {
        return Some("who is not shown masked columns makes no code that could read them");
    }
    let writes = statement.effects.ddl || statement.relations.iter().any(|it| it.access != Access::Read);
    let carries = writes || statement.kind == "copy_to";
    (hidden_code(statement) && carries)
        .then_some("what code that can not be seen gives could be masked columns, and is written nowhere")
}

/// What is code, or sends rows elsewhere by itself.
const CODE: [&str; 17] = [
    "access_method",
    "aggregate",
    "cast",
    "conversion",
    "event_trigger",
    "extension",
    "function",
    "language",
    "operator",
    "operator_class",
    "operator_family",
    "procedure",
    "publication",
    "routine",
    "subscription",
    "transform",
    "trigger",
];

/// Is it a name that no relation of the statement has as a column?
fn is_no_column(column: &Column, statement: &Statement, plan: &ResolvedPlan) -> bool {
    const SYSTEM: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
    let Some(relation) = &column.relation else { return false };
    if !statement.relations.iter().any(|named| named.name == *relation) || SYSTEM.contains(&&*column.name) {
        return false;
    }
    let catalog = plan.catalog();
    let mut known = catalog.named(relation).filter_map(|oid| catalog.relation(oid));
    !known.any(|known| known.attribute(&column.name).is_some())
}

/// Does it show what other sessions have sent?
fn shows_queries(relation: &Relation, statement: &Statement) -> bool {
    let shows = |column: &Column| matches!(&*column.name, "query" | "*");
    relation.name.starts_with("pg_stat_statements")
        || (*relation.name == *"pg_stat_activity" && statement.columns.iter().any(shows))
}

const SINK_HINT: &str = "leave the masked relation out, or change it without naming its masked columns";

/// PostgreSQL keeps samples of every column here (threats A35).
fn holds_statistics(relation: &Relation) -> bool {
    let name = &*relation.name;
    // What extended statistics are about is in `pg_statistic_ext`, which psql's `\d` reads; their values are not.
    let definitions = name == "pg_statistic_ext";
    !definitions
        && ["pg_stats", "pg_statistic", "pg_largeobject"].iter().any(|start| name.starts_with(start))
}

/// Changes of a definition that move no value to another place or name.
const HARMLESS_CHANGES: [&str; 8] =
    ["drop_table", "truncate", "vacuum", "analyze", "comment", "reindex", "cluster", "lock"];

/// Could the statement put masked values where no mask will find them again (threats A27)?
fn carries_away(statement: &Statement, plan: &ResolvedPlan, is_masked: impl Fn(&Column) -> bool) -> bool {
    let masked = |relation: &Relation| reach_of(relation, plan) != Reach::Nothing;
    let target = |relation: &Relation| relation.access != Access::Read;
    let reads: Vec<&Relation> =
        statement.relations.iter().filter(|relation| !target(relation) && masked(relation)).collect();
    // A name that is no attribute of any relation may be a whole row under its alias.
    let is_attribute = |column: &Column| {
        statement.relations.iter().any(|relation| {
            let mut known = plan.catalog().named(&relation.name);
            known.any(|oid| {
                plan.catalog().relation(oid).is_some_and(|r| r.attribute(&column.name).is_some())
            })
        })
    };
    let names_masked = statement.columns.iter().any(|column| is_masked(column) || !is_attribute(column));
    let calls = statement.functions.iter().any(|function| function.class != FunctionClass::Harmless);
    let redefines = |relation: &Relation| {
        relation.access == Access::Define && masked(relation) && !makes(statement, relation, plan.catalog())
    };
    if !HARMLESS_CHANGES.contains(&statement.kind) && statement.relations.iter().any(redefines) {
        // A new name, type, parent, rule, generated column: masks go by what the definition was.
        return true;
    }
    let writes = statement.effects.ddl || statement.relations.iter().any(target);
    match statement.kind {
        // Rows of the target alone are changed in place or go away.
        "update" | "merge" | "delete" => {
            let own = |read: &&&Relation| {
                let same = |other: &Relation| other.name == read.name && other.schema == read.schema;
                statement.relations.iter().any(|other| target(other) && same(other))
            };
            let others = reads.iter().any(|read| !own(&read));
            let named = names_masked && (statement.kind != "delete" || calls);
            others || named
        }
        _ => !reads.is_empty() && (writes || (calls && names_masked)),
    }
}

/// Does the statement make this relation? It is not there yet then, and none of the masked ones.
fn makes(statement: &Statement, relation: &Relation, catalog: &Catalog) -> bool {
    relation.access == Access::Define
        && matches!(statement.kind, "create_table" | "create_sequence")
        && catalog.named(&relation.name).next().is_none()
}

/// The session's view of the catalog.
#[derive(Debug, Default)]
pub(super) struct CatalogReading {
    current: Option<(Arc<Catalog>, Instant)>,
    outdated: bool,
    building: Option<Catalog>,
    /// Bytes of the rows that `building` was built from.
    size: usize,
    failed: bool,
    /// It is read outside of any transaction: others may use it too.
    outside: bool,
    /// `current` was read inside of a transaction, which may see what never will be for others.
    private: bool,
    /// The plan of the last statement, found in `current`: policies give the same plan again and again.
    resolved: Option<Arc<ResolvedPlan>>,
}

impl CatalogReading {
    /// A definition was changed: what was read is not true any more.
    pub(super) const fn outdate(&mut self) {
        self.outdated = true;
    }

    /// It is asked for now. `outside`: outside of any transaction.
    pub(super) const fn begin(&mut self, outside: bool) {
        self.outside = outside;
    }

    /// The transaction is over, and with it what only it has seen.
    pub(super) fn leave_transaction(&mut self) {
        if self.private || self.outdated {
            self.current = None;
            self.resolved = None;
        }
        (self.private, self.outdated) = (false, false);
    }

    /// Is there a catalog that is young enough?
    pub(super) fn is_ready(&mut self, database: &str, desk: &Desk<'_>) -> bool {
        if self.outdated {
            return false;
        }
        let young = |read_at: Instant| desk.now.saturating_duration_since(read_at) < Catalogs::FRESH;
        if !self.current.as_ref().is_some_and(|(_, read_at)| young(*read_at)) {
            self.current = desk.shared.catalogs.get(database, desk.now);
        }
        self.current.is_some()
    }

    /// Finds the plan's columns in the catalog.
    pub(super) fn resolve(&mut self, plan: &Arc<MaskPlan>) -> Result<Option<Arc<ResolvedPlan>>, Objection> {
        if plan.columns.is_empty() {
            return Ok(None);
        }
        let Some((catalog, _)) = &self.current else { return Err(Objection::no_catalog()) };
        if let Some(resolved) = &self.resolved
            && *resolved.plan == **plan
            && std::ptr::eq(resolved.catalog(), &**catalog)
        {
            return Ok(Some(Arc::clone(resolved)));
        }
        let resolved = Arc::new(ResolvedPlan::new(Arc::clone(plan), Arc::clone(catalog)));
        self.resolved = Some(Arc::clone(&resolved));
        Ok(Some(resolved))
    }

    /// Takes in a row of [`catalog::QUERY`]'s answer, if all of them together do not exceed `limit` bytes.
    pub(super) fn row(&mut self, body: &[u8], limit: usize) -> Result<(), ProtocolError> {
        self.size = self.size.saturating_add(body.len());
        if self.size > limit {
            return Err(ProtocolError {
                fault: Side::Upstream,
                code: "upstream.too_large",
                detail: Arc::from(format!("the catalog takes more than {limit} bytes")),
            });
        }
        let mut reader = Reader::new(body);
        let mut row = Vec::with_capacity(5);
        let mut read = || -> Result<(), crate::reader::Malformed> {
            for _ in 0..reader.count()? {
                row.push(reader.value()?);
            }
            Ok(())
        };
        let side = Side::Upstream;
        read().map_err(|cause| cause.in_message(side, "DataRow"))?;
        let building = self.building.get_or_insert_default();
        building.add_row(&row).map_err(|_| crate::reader::Malformed::OutOfRange.in_message(side, "DataRow"))
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self, database: &Arc<str>, desk: &Desk<'_>) {
        let building = self.building.take();
        self.size = 0;
        if std::mem::take(&mut self.failed) {
            return;
        }
        // One without a single relation is none: nothing would be masked by it.
        let Some(catalog) = building.filter(|catalog| !catalog.is_empty()).map(Arc::new) else { return };
        // What a transaction sees may never be committed, and what it saw first it sees to its end: it is this session's and nobody else's.
        if self.outside {
            desk.shared.catalogs.put(database, Arc::clone(&catalog), desk.now);
        }
        self.private = !self.outside;
        let Some(read_at) = desk.now.checked_sub(catalog.age()) else { return };
        self.current = Some((catalog, read_at));
        self.outdated = false;
        self.resolved = None;
    }

    /// The answer was an error.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// A reading inside a batch ended with its error: no ReadyForQuery of its own follows.
    pub(super) fn abort(&mut self) {
        self.building = None;
        self.size = 0;
        self.failed = false;
    }
}

impl Relay {
    /// Asks the target for its catalog, in a way that leaves its transaction and the client's statements
    /// as they are.
    pub(super) fn read_catalog(&mut self, desk: &mut Desk<'_>) {
        let is_quiet = self.pipeline.is_empty() && !self.batch_open;
        self.catalog.begin(is_quiet && self.transaction == Transaction::Idle && !self.defines);
        // A Query would end the unnamed portal of a transaction.
        if is_quiet && self.transaction == Transaction::Idle {
            self.pipeline.push(Expect::CatalogQuery { complete: false });
            desk.upstream(reply::query(catalog::QUERY));
            return;
        }
        self.pipeline.push(Expect::CatalogBatch { closed: 0 });
        desk.upstream(reply::parse(CATALOG_NAME, catalog::QUERY));
        desk.upstream(reply::bind(CATALOG_NAME, CATALOG_NAME));
        desk.upstream(reply::execute(CATALOG_NAME));
        desk.upstream(reply::close_portal(CATALOG_NAME));
        desk.upstream(reply::close_statement(CATALOG_NAME));
        if is_quiet {
            self.pipeline.push(Expect::Sync { is_own: true });
            desk.upstream(reply::sync());
        } else {
            self.batch_open = true;
            desk.upstream(reply::flush());
        }
    }
}

/// The statement and portal under which the catalog is read inside a client's batch.
const CATALOG_NAME: &str = "gatewright.catalog";
