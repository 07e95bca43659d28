//! Keeping a mask's word: what must be refused because its answer could not be masked, or because what it does would be read in another way than it
//! was judged.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use gatewright_model::{
    mask::MaskMethod,
    sql::{
        Access, Analysis, Column, CopySource, Function, FunctionClass, Grade, Output, Prepared, Relation,
        Statement,
    },
};

use super::masking::Masks;
use crate::{
    catalog::{Catalog, MISSING_VALUE},
    mask::{Fate, Reach, ResolvedPlan, name_of},
    reply::Report,
};

/// Does the statement run code that can not be seen in its text?
pub(super) fn hidden_code(statement: &Statement) -> bool {
    statement.effects.dynamic
        || statement.functions.iter().any(|function| function.class == FunctionClass::Unknown)
}

/// The same, with what the catalog knows: a function that has the name of one of PostgreSQL's may be somebody else's, and so may what stands
/// behind a dot be. What a function reads of the target's files and changes is not seen either: masked columns are in there.
pub(super) fn runs_unseen(statement: &Statement, catalog: &Catalog) -> bool {
    let is_unseen = |function: &Function| {
        (function.schema.is_none() && catalog.is_double(&function.name))
            || (function.class == FunctionClass::Host && !TELL_STATES.contains(&&*function.name))
    };
    let is_call = |field: &Column| catalog.is_of_row(&field.name, field.relation.as_deref());
    hidden_code(statement)
        || statement.functions.iter().any(is_unseen)
        || statement.fields.iter().any(is_call)
}

/// Functions of the host that tell how it is or change that, and nothing of what is stored. An extension's are not among them: anybody may have made
/// one of that name.
const TELL_STATES: [&str; 28] = [
    "pg_backup_start",
    "pg_backup_stop",
    "pg_cancel_backend",
    "pg_config",
    "pg_control_checkpoint",
    "pg_control_init",
    "pg_control_recovery",
    "pg_control_system",
    "pg_create_restore_point",
    "pg_current_logfile",
    "pg_export_snapshot",
    "pg_get_replication_slots",
    "pg_get_shmem_allocations",
    "pg_lock_status",
    "pg_log_backend_memory_contexts",
    "pg_prepared_xact",
    "pg_promote",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_stat_get_backend_client_addr",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_get_subscription",
    "pg_stat_get_wal_receiver",
    "pg_stat_get_wal_senders",
    "pg_switch_wal",
    "pg_tablespace_location",
    "pg_terminate_backend",
    "pg_walfile_name",
];

/// How a statement reaches masked columns.
pub(super) fn reach(statement: &Statement, plan: &ResolvedPlan) -> Reach {
    let reaches = statement.relations.iter().map(|relation| reach_of(relation, plan));
    reaches.max().unwrap_or(Reach::Nothing)
}

/// Could what the target says of the statement quote a masked value? Of a row that it changes, and of those that change with it in other relations, a
/// constraint that is broken quotes everything.
pub(super) fn could_quote(statement: &Statement, plan: &ResolvedPlan) -> bool {
    let catalog = plan.catalog();
    let changed = || statement.relations.iter().filter(|relation| relation.access != Access::Read);
    let changes_masked = |oid| catalog.changed_with(oid).any(|oid| plan.reach(oid) != Reach::Nothing);
    reach(statement, plan) != Reach::Nothing
        || (!plan.relations.is_empty()
            && (names_missing_values(statement)
                || MAINTENANCE.contains(&statement.kind) && statement.relations.is_empty()
                || changed().any(|relation| meant(relation, catalog).any(changes_masked))))
}

/// What goes through all tables of a schema or a database where it names none, and computes what statistics and indexes are about.
const MAINTENANCE: [&str; 4] = ["analyze", "cluster", "reindex", "vacuum"];

fn reach_of(relation: &Relation, plan: &ResolvedPlan) -> Reach {
    if plan.relations.is_empty() {
        return Reach::Nothing;
    }
    let catalog = plan.catalog();
    let of_oid = |oid| match plan.reach(oid) {
        // What changes a row by way of a view is told of the whole row, where it breaks a constraint. A rule may do and return anything.
        Reach::Nothing if relation.access == Access::Read || !plan.is_view(oid) => Reach::Nothing,
        Reach::Nothing if catalog.reaches(oid, &plan.relations) => Reach::Indirect,
        Reach::Direct if relation.access != Access::Read && catalog.has_rules(oid) => Reach::Indirect,
        reach => reach,
    };
    // A relation that the catalog does not have may be a view over anything.
    meant(relation, catalog).map(of_oid).max().unwrap_or(Reach::Indirect)
}

/// The same for some of the masked relations only, and whatever reads them.
fn reach_among(relation: &Relation, masked: &HashSet<u32>, catalog: &Catalog) -> Reach {
    let of_oid = |oid| match catalog.reaches(oid, masked) {
        _ if catalog.shows_unseen(oid) => Reach::Indirect,
        true if masked.contains(&oid) && !catalog.shows_others(oid, masked) => Reach::Direct,
        true => Reach::Indirect,
        false => Reach::Nothing,
    };
    meant(relation, catalog).map(of_oid).max().unwrap_or(Reach::Indirect)
}

/// The relations that it may be.
fn meant<'a>(relation: &'a Relation, catalog: &'a Catalog) -> impl Iterator<Item = u32> + 'a {
    catalog.meant(relation.schema.as_deref(), &relation.name)
}

/// What becomes of a column of an answer of which the server does not say where it comes from, where
/// [`objection`] let the statement pass.
pub(super) fn fate_of_output(output: &Output, statement: &Statement, plan: &ResolvedPlan) -> Fate {
    match output {
        Output::Computed(_) => Fate::Keep,
        Output::United { plain, computed } => {
            let fates = plain.iter().flat_map(|column| fates(column, statement, plan));
            plan.fate_of_either(fates, computed.is_some())
        }
        Output::Direct | Output::Unknown => Fate::Withhold,
    }
}

/// What becomes of each column that a name may mean. Nobody but us reads it: what the catalog does not have
/// under that name is withheld.
fn fates(column: &Column, statement: &Statement, plan: &ResolvedPlan) -> Vec<Fate> {
    // Columns that an alias has renamed, and never one of that name.
    if *column.name == *"*" {
        return vec![Fate::Withhold];
    }
    let catalog = plan.catalog();
    let mut fates = Vec::new();
    let named = statement
        .relations
        .iter()
        .filter(|relation| column.relation.as_ref().is_none_or(|name| relation.name == *name));
    for relation in named {
        let oids: Vec<u32> = meant(relation, catalog).collect();
        if oids.is_empty() {
            return vec![Fate::Withhold];
        }
        for oid in oids {
            let attribute = catalog.relation(oid).and_then(|known| known.attribute(&column.name));
            match (attribute, &column.relation) {
                (Some(attribute), _) => fates.push(plan.fate(oid, attribute)),
                // It is of another relation then.
                (None, None) => {}
                // `p.f` may be a function over the row.
                (None, Some(_)) => return vec![Fate::Withhold],
            }
        }
    }
    if fates.is_empty() { vec![Fate::Withhold] } else { fates }
}

/// The masked columns by which rows are chosen, of which a policy limits how often, as `schema.relation.column`, with that number. Once for each
/// statement of the text.
pub(super) fn guesses(analysis: &Analysis, plan: &ResolvedPlan) -> Vec<(Arc<str>, u32)> {
    let mut all = Vec::new();
    let limited = || plan.plan.columns.iter().filter_map(|mask| Some((mask, mask.conditions?)));
    if limited().next().is_none() {
        return all;
    }
    // Names of relations that the same text makes. What would flow into them from masked ones is looked at where they are made.
    let mut made: HashSet<&str> = HashSet::new();
    for statement in analysis.statements.iter() {
        let makes = |relation: &&Relation| makes(statement, relation, plan.catalog());
        made.extend(statement.relations.iter().filter(makes).map(|relation| &*relation.name));
        if statement.conditions.is_empty() {
            continue;
        }
        for (mask, most) in limited() {
            let Some(oid) = plan.catalog().find(&mask.schema, &mask.relation) else { continue };
            let only = std::iter::once(oid).chain(plan.catalog().kin(oid)).collect();
            let reached = |relation: &Relation| match reach_of(relation, plan) {
                Reach::Nothing => Reach::Nothing,
                _ if made.contains(&*relation.name) => Reach::Nothing,
                _ => reach_among(relation, &only, plan.catalog()),
            };
            let reach = statement.relations.iter().map(reached).max().unwrap_or(Reach::Nothing);
            let is_meant = |column: &Column| {
                let named = |relation: &&Relation| {
                    column.relation.as_ref().is_none_or(|name| relation.name == *name)
                };
                let mut named =
                    statement.relations.iter().filter(named).filter(|it| reached(it) != Reach::Nothing);
                let is_its_name = column.name == mask.column || *column.name == *"*";
                named.any(|relation| is_its_name || may_be_hidden(column, relation, plan))
            };
            if reach != Reach::Nothing && statement.conditions.iter().any(is_meant) {
                // A cursor chooses again with each FETCH and MOVE, by settings that may have changed.
                let most = if statement.declares.is_some() { 0 } else { most };
                all.push((name_of(mask).into(), most));
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
            "pg.own_name" => "42939",
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

/// Objects to names that the server may fold in another way: in a database that is not in UTF-8, capitals beyond ASCII are folded too.
pub(super) fn encoding_objection() -> Objection {
    Objection {
        code: "mask.encoding",
        message: "the database is not in UTF-8: only ASCII is read as the server reads it".to_owned(),
        hint: "bind values that are not ASCII as parameters",
    }
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

/// What the names begin with under which the gateway asks.
const OWN_NAMES: &str = "gatewright.";

/// Is it a name that the gateway may have given to something of its own?
pub(super) fn is_own_name(name: &str) -> bool {
    name.starts_with(OWN_NAMES)
}

/// Objects to SQL that gives or uses a name of the gateway's own: what is under it is not what was judged.
pub(super) fn own_name_objection(analysis: &Analysis) -> Option<Objection> {
    let prepared = |statement: &Statement| match &statement.prepared {
        Some(Prepared::Prepare { name, .. } | Prepared::Execute { name, .. }) => is_own_name(name),
        Some(Prepared::Deallocate { name }) => name.as_deref().is_some_and(is_own_name),
        None => false,
    };
    let declared = |statement: &Statement| {
        statement.declares.as_ref().is_some_and(|declared| is_own_name(&declared.name))
    };
    let mut statements = analysis.statements.iter();
    let is_own = |statement: &Statement| {
        prepared(statement) || declared(statement) || statement.fetches.as_deref().is_some_and(is_own_name)
    };
    statements.any(is_own).then(own_name)
}

/// Objects to a name of the gateway's own.
pub(super) fn own_name() -> Objection {
    Objection {
        code: "pg.own_name",
        message: format!("names that begin with `{OWN_NAMES}` are the gateway's own"),
        hint: "choose another name",
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
        // The rows of a COPY are described by its text alone.
        statement.kind == "copy_to"
            || statement
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
    // The target is asked about a COPY before it runs: nothing may run in between.
    let copies =
        |statement: &Statement| statement.kind == "copy_to" && reach(statement, plan) != Reach::Nothing;
    if analysis.statements.len() > 1 && analysis.statements.iter().any(copies) {
        return Some(Objection {
            code: "mask.copy",
            message: "a COPY of a relation with masked columns is not possible beside other statements"
                .to_owned(),
            hint: "send it by itself",
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
        runs_unseen(statement, catalog)
            || named.any(|relation| reach_among(relation, &only, catalog) != Reach::Nothing)
    })?;
    Some(Objection {
        code: "mask.stale",
        message: format!("a policy masks the column {column}, which does not exist"),
        hint: "ask the owner of the policy to name the column as it is called now",
    })
}

pub(super) fn statement_objection(statement: &Statement, plan: &ResolvedPlan) -> Option<Objection> {
    let reach = reach(statement, plan);
    if !plan.relations.is_empty() && statement.relations.iter().any(holds_statistics) {
        return Some(Objection {
            code: "mask.statistics",
            message: "the target's statistics hold values of masked columns".to_owned(),
            hint: "ask someone for whom nothing is masked",
        });
    }
    let object = |code, message: &str, hint| Some(Objection { code, message: message.to_owned(), hint });
    if !plan.relations.is_empty() {
        let shown = |function: &Function| SHOW_QUERIES.contains(&&*function.name);
        if statement.relations.iter().any(|relation| shows_queries(relation, statement))
            || statement.functions.iter().any(shown)
        {
            return object(
                "mask.statistics",
                "what others have sent holds values of masked columns",
                "leave the column `query` out",
            );
        }
        if uses_missing_values(statement) {
            return object(
                "mask.statistics",
                "the target keeps values of columns that were added later in `pg_attribute.attmissingval`",
                "leave that column out",
            );
        }
        match statement.kind {
            "explain" if runs_unseen(statement, plan.catalog()) => {
                return object(
                    "mask.statistics",
                    "EXPLAIN of code that can not be seen could tell about masked columns",
                    "its counters tell about values",
                );
            }
            // It sorts whatever was clustered before, by whatever column.
            "cluster" if statement.relations.is_empty() => {
                return object("mask.sink_denied", "CLUSTER has to name its table here", SINK_HINT);
            }
            // Its tables would not be found under the schema that the policy names.
            "alter_schema" => {
                return object("mask.sink_denied", "a schema can not be renamed here", SINK_HINT);
            }
            _ => {}
        }
        if let Some(message) = unseen_way_out(statement, plan.catalog()) {
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
            || hides(column, statement, plan)
            || is_no_column(column, statement, plan)
    };
    match statement.kind {
        "copy_to" if !can_be_cut(statement, reach) => {
            return object(
                "mask.copy",
                "this COPY of a relation with masked columns is not possible",
                "COPY a table or a query to STDOUT, without further options, or use SELECT",
            );
        }
        "explain" => {
            return object(
                "mask.statistics",
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
            Output::United { computed, .. } if !computed.iter().flatten().any(is_masked) => {}
            Output::Computed(_) | Output::United { .. } => {
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
    // What gets a value is not read by that, and what is returned is masked. A rule may do anything with it.
    let is_passive = |column: &Column| {
        reach == Reach::Direct && statement.passive.contains(column) && !is_hashed(column, statement, plan)
    };
    carries_away(statement, plan, is_masked, is_passive)
        .then(|| {
            object(
                "mask.sink_denied",
                "masked columns can not be copied into another place, or defined anew",
                SINK_HINT,
            )
        })
        .flatten()
}

/// Can the rows of a COPY be masked? Behind another name than its own, a table has no columns that are known.
fn can_be_cut(statement: &Statement, reach: Reach) -> bool {
    match statement.copies.as_ref().map(|copies| &copies.source) {
        Some(CopySource::Table { .. }) => reach == Reach::Direct,
        Some(CopySource::Query(_)) => true,
        None => false,
    }
}

/// Could code that can not be seen carry masked values out, or be made for that by somebody for whom they are masked? What it answers is withheld,
/// and what it writes is not.
fn unseen_way_out(statement: &Statement, catalog: &Catalog) -> Option<&'static str> {
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
    if statement.kind == "copy_from" && statement.effects.host_access {
        return Some("what the target's files hold could be masked columns, and is written nowhere");
    }
    let writes = statement.effects.ddl || statement.relations.iter().any(|it| it.access != Access::Read);
    // A setting, a large object, a sequence, a lock: whoever is told that keeps it, too.
    let keeps = |function: &Function| {
        matches!(function.class, FunctionClass::Changing | FunctionClass::Host | FunctionClass::Dynamic)
    };
    let carries = writes || statement.kind == "copy_to" || statement.functions.iter().any(keeps);
    (runs_unseen(statement, catalog) && carries)
        .then_some("what code that can not be seen gives could be masked columns, and is written nowhere")
}

/// What is code, or sends rows elsewhere by itself.
const CODE: [&str; 18] = [
    "access_method",
    "aggregate",
    "cast",
    "conversion",
    // Its checks are run with every value that is converted to it, written or not.
    "domain",
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

/// Is it the name of a masked column of a relation of the statement?
fn hides(column: &Column, statement: &Statement, plan: &ResolvedPlan) -> bool {
    let hidden =
        |relation: &Relation| meant(relation, plan.catalog()).any(|oid| plan.hides(oid, &column.name));
    statement.relations.iter().any(hidden)
}

/// May it be a column of which hashes are shown? Whoever could give one a value, and see its hash, finds out by comparison what others hold.
fn is_hashed(column: &Column, statement: &Statement, plan: &ResolvedPlan) -> bool {
    let is_hash = |fate| match fate {
        Fate::Mask(index) => {
            plan.plan.columns.get(index).is_some_and(|mask| mask.method == MaskMethod::Hash)
        }
        Fate::Keep | Fate::Withhold => false,
    };
    let meant = statement.relations.iter().flat_map(|relation| meant(relation, plan.catalog()));
    meant.into_iter().any(|oid| {
        let known = plan.catalog().relation(oid);
        let mut columns = known.into_iter().flat_map(|known| known.columns());
        columns.any(|(attribute, name)| {
            (*column.name == *"*" || *name == column.name) && is_hash(plan.fate(oid, attribute))
        })
    })
}

/// May it be a masked column of this relation, by whatever name?
fn may_be_hidden(column: &Column, relation: &Relation, plan: &ResolvedPlan) -> bool {
    let catalog = plan.catalog();
    let mut oids = meant(relation, catalog).peekable();
    let unheard_of = oids.peek().is_none();
    let of_oid = |oid| {
        let is_one = catalog.relation(oid).is_some_and(|known| known.attribute(&column.name).is_some());
        match plan.reach(oid) {
            Reach::Indirect => true,
            // `p.f` may be a function over the row.
            Reach::Direct => plan.hides(oid, &column.name) || (!is_one && column.relation.is_some()),
            Reach::Nothing => false,
        }
    };
    unheard_of || oids.any(of_oid)
}

/// Does the statement change a relation for which there are rules? These may return something else under the names of its columns.
pub(super) fn is_ruled(statement: &Statement, catalog: &Catalog) -> bool {
    let changes = |relation: &&Relation| relation.access == Access::Write;
    let mut changed = statement.relations.iter().filter(changes);
    changed.any(|relation| meant(relation, catalog).any(|oid| catalog.has_rules(oid)))
}

/// Is it a name that no relation of the statement has as a column?
fn is_no_column(column: &Column, statement: &Statement, plan: &ResolvedPlan) -> bool {
    const SYSTEM: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
    let Some(relation) = &column.relation else { return false };
    if SYSTEM.contains(&&*column.name) {
        return false;
    }
    let catalog = plan.catalog();
    let named = statement.relations.iter().filter(|named| named.name == *relation);
    let mut known = named.flat_map(|named| meant(named, catalog)).filter_map(|oid| catalog.relation(oid));
    known.any(|known| known.attribute(&column.name).is_none())
}

/// Functions that show what other sessions have sent.
const SHOW_QUERIES: [&str; 3] =
    ["pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_stat_statements"];

/// Does it show what other sessions have sent?
fn shows_queries(relation: &Relation, statement: &Statement) -> bool {
    let shows = |column: &Column| matches!(&*column.name, "query" | "*");
    relation.name.starts_with("pg_stat_statements")
        || (*relation.name == *"pg_stat_activity" && statement.columns.iter().any(shows))
}

/// Does it name what the target says all rows have that were there before a column was added?
pub(super) fn names_missing_values(statement: &Statement) -> bool {
    let is_attributes = |name: &str| name == "pg_attribute";
    let named = |column: &Column| {
        *column.name == *MISSING_VALUE
            || (*column.name == *"*" && column.relation.as_deref().is_none_or(is_attributes))
    };
    statement.relations.iter().any(|relation| is_attributes(&relation.name))
        && (statement.columns.iter().chain(&statement.fields).any(named) || statement.kind == "copy_to")
}

/// Of these, a query that shows them alone is answered, without them: pg_dump asks for them.
fn uses_missing_values(statement: &Statement) -> bool {
    let keeps = |function: &Function| function.class != FunctionClass::Harmless;
    names_missing_values(statement)
        && (!matches!(statement.kind, "select" | "declare_cursor" | "fetch")
            || statement.effects.write
            || statement.functions.iter().any(keeps))
}

/// May the output be made of such values?
pub(super) fn holds_missing_values(output: &Output) -> bool {
    let holds =
        |columns: &[Column]| columns.iter().any(|column| matches!(&*column.name, "*" | MISSING_VALUE));
    match output {
        Output::Direct => false,
        Output::Computed(columns) => holds(columns),
        Output::United { .. } | Output::Unknown => true,
    }
}

const SINK_HINT: &str = "leave the masked relation out, or change it without naming its masked columns";

/// PostgreSQL keeps samples of every column here (threats A35).
fn holds_statistics(relation: &Relation) -> bool {
    let name = &*relation.name;
    // What extended statistics are about, which psql's `\d` reads, and whose large objects are; their values are elsewhere.
    let definitions = ["pg_statistic_ext", "pg_largeobject_metadata"].contains(&name);
    !definitions
        && ["pg_stats", "pg_statistic", "pg_largeobject"].iter().any(|start| name.starts_with(start))
}

/// Changes of a definition that move no value to another place or name.
const HARMLESS_CHANGES: [&str; 12] = [
    "drop_table",
    "drop_view",
    "drop_materialized_view",
    "drop_foreign_table",
    "drop_sequence",
    "drop_index",
    "truncate",
    "vacuum",
    "analyze",
    "comment",
    "reindex",
    "lock",
];

/// Could the statement put masked values where no mask will find them again (threats A27)?
fn carries_away(
    statement: &Statement,
    plan: &ResolvedPlan,
    is_masked: impl Fn(&Column) -> bool,
    is_passive: impl Fn(&Column) -> bool,
) -> bool {
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
    let mut active = statement.columns.iter().filter(|column| !is_passive(column));
    let names_masked = active.any(|column| is_masked(column) || !is_attribute(column));
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
        "insert" if reads.is_empty() => false,
        // Rows of the target alone are changed in place or go away, and RETURNING reads what was written.
        "update" | "merge" | "delete" | "insert" => {
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
    let is_named_here = statement.renames_to.as_ref() == Some(&relation.name);
    relation.access == Access::Define
        && (MAKING.contains(&statement.kind) || is_named_here)
        && catalog.named(&relation.name).next().is_none()
}

/// What makes a relation. What flows into it is looked at like what flows into one that is there.
const MAKING: [&str; 6] = [
    "create_materialized_view",
    "create_sequence",
    "create_table",
    "create_table_as",
    "create_view",
    "select_into",
];
