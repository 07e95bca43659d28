//! One walk over the tree that PostgreSQL's grammar made, finding everything a policy may ask about.
//!
//! Two rules make it complete. The dispatch in [`Walk::node`] lists every kind of node without a
//! wildcard, and every handler takes its node apart without `..`: a kind or a field that a later
//! `pg_query` adds does not compile until somebody has decided what it means. Kinds that only the
//! server's analyser and planner make can not come out of the grammar; meeting one means that this
//! crate no longer understands the tree, and [`Walk::doubt`] grades the text opaque.
//!
//! The tree is at most 100 messages deep (`prost` refuses deeper ones while decoding), so plain
//! recursion is safe on any thread.

mod access;
mod alter;
mod change;
mod condition;
mod create;
mod expression;
mod from;
mod hidden;
mod object;
mod query;
mod session;

use std::{collections::HashSet, hash::Hash, sync::Arc};

use gatewright_model::sql::{Access, Column, Effects, Function, FunctionClass, Relation, Statement};
use pg_query::{
    NodeEnum,
    protobuf::{self, RangeVar},
};

use crate::{
    functions::{self, Harmless},
    kind,
    lineage::{Lineage, OutColumn, OutName},
    scope::{Cte, Scope},
};

/// One statement, read.
pub(crate) struct Reading {
    pub(crate) statement: Statement,
    /// The kind of its node alone; the statement's own may say more.
    pub(crate) kind: Option<&'static str>,
    /// Every name that a CTE has in it.
    pub(crate) ctes: Vec<Arc<str>>,
    /// Where its constants are, in bytes of the text: those on whose values nothing here depends.
    pub(crate) passed: Vec<usize>,
    /// Why it is not understood.
    pub(crate) doubt: Option<&'static str>,
}

/// What one statement does and names.
pub(crate) fn statement(node: &NodeEnum, harmless: &Harmless) -> Reading {
    let mut reading = read(node, Walk::new(harmless));
    reading.statement.prepared = session::prepared(node, harmless);
    reading.statement.fetches = session::fetches(node);
    reading.statement.declares = session::declares(node, harmless);
    reading
}

/// The same, behind what was walked before it.
fn read(node: &NodeEnum, mut walk: Walk) -> Reading {
    let outputs = walk.query_like(node);
    let kind = kind::of(node);
    if kind.is_none() {
        walk.doubt("a statement of an unknown kind");
    }
    if let Some(doubt) = session::doubt(node) {
        walk.doubt(doubt);
    }
    let is_star = |column: &OutColumn| matches!(column.name, OutName::Star | OutName::RenamedStar);
    let has_star = outputs.iter().flatten().any(is_star);
    let (own, further_kinds) = kinds(kind.unwrap_or(kind::UNKNOWN), walk.kinds_found.list);
    let statement = Statement {
        kind: own,
        further_kinds,
        effects: walk.effects,
        relations: walk.relations.list,
        passive: walk.passive.only(&walk.used),
        columns: walk.columns.list,
        conditions: walk.conditions.list,
        fields: walk.fields.list,
        functions: walk.functions.list,
        has_where: walk.has_where,
        outputs: outputs
            .map(|columns| columns.into_iter().map(|column| column.origin.into_output()).collect()),
        copies: None,
        has_star,
        renames_to: walk.renames_to,
        prepared: None,
        fetches: None,
        declares: None,
    };
    let passed = if walk.values_count { Vec::new() } else { walk.passed };
    Reading { statement, kind, ctes: walk.cte_names, passed, doubt: walk.doubt }
}

/// What a statement is, and what else it is: a SELECT that changes a setting is no SELECT first of all, and whatever else does is that too.
fn kinds(own: &'static str, mut found: Vec<&'static str>) -> (&'static str, Vec<&'static str>) {
    let strictest = [kind::SET_LEXING, kind::SET_ROLE];
    let place = strictest.iter().find_map(|strict| found.iter().position(|kind| kind == strict));
    if own != "select" || found.is_empty() {
        found.retain(|kind| *kind != own);
        return (own, found);
    }
    let first = found.remove(place.unwrap_or_default());
    found.push(own);
    (first, found)
}

/// The state of one walk.
#[derive(Default)]
pub(crate) struct Walk {
    /// Functions of somebody's own that are known to be harmless.
    harmless: Harmless,
    effects: Effects,
    relations: Distinct<Relation>,
    columns: Distinct<Column>,
    /// Those that get a value, or are returned as they stand.
    passive: Distinct<Column>,
    /// Those that are named in another place. Kept from the first one on that is passive.
    used: Distinct<Column>,
    /// Those of a part of which it is not known yet whether they are returned as they stand.
    held: Option<Vec<Column>>,
    conditions: Distinct<Column>,
    fields: Distinct<Column>,
    functions: Distinct<Function>,
    has_where: Option<bool>,
    renames_to: Option<Arc<str>>,
    /// What parts of the statement say about it that its node does not: which settings they change.
    kinds_found: Distinct<&'static str>,
    doubt: Option<&'static str>,
    /// Where the constants are that were passed without a look at their values.
    passed: Vec<usize>,
    /// Did anything look at the value of a constant? Whatever does must say so: texts that differ in
    /// values only are taken to mean the same if nothing did.
    values_count: bool,
    /// The CTEs that can be seen here, innermost last.
    ctes: Vec<Cte>,
    /// How many CTEs are around what is walked.
    cte_depth: usize,
    /// The names of all CTEs there were.
    cte_names: Vec<Arc<str>>,
    /// The FROM items that can be seen here, innermost query last.
    scopes: Vec<Scope>,
    /// Names of the answer's columns, where these may be used: a plain ORDER BY, GROUP BY or DISTINCT ON.
    outputs: Vec<Arc<str>>,
    /// What the expression that is being walked is made of.
    lineage: Lineage,
    /// How often a name was compared with another, or a column handed on.
    steps: usize,
    /// What the RETURNING of a MERGE gives is being walked.
    returns_of_merge: bool,
    /// The rows that the condition being walked should choose among.
    aim: Option<condition::Aim>,
}

/// Following names costs about the product of how many there are and how many can be seen: `select a, a, ..
/// from t, t, ..`. A text that needs more than this is not followed further. Some milliseconds.
const MAX_STEPS: usize = 500_000;

/// PostgreSQL's limit on the columns of a target list (`MaxTupleAttributeNumber`). Held to here because
/// `select q.*, q.* from (select q.*, q.* from (..` doubles them at each level.
const MAX_COLUMNS: usize = 1_664;

impl Walk {
    fn new(harmless: &Harmless) -> Self {
        Self { harmless: harmless.clone(), ..Self::default() }
    }

    /// Notes that something here is not modelled: the first reason is kept.
    fn doubt(&mut self, reason: &'static str) {
        self.doubt.get_or_insert(reason);
    }

    /// May this many more steps be taken to find out what names mean?
    fn may_follow(&mut self, steps: usize) -> bool {
        self.steps = self.steps.saturating_add(steps);
        let may = self.steps <= MAX_STEPS;
        if !may {
            self.doubt("it has more names than the gateway follows");
        }
        may
    }

    /// Walks each part.
    fn all(&mut self, parts: &[&dyn Visit]) {
        for part in parts {
            part.visit(self);
        }
    }

    /// Notes a relation named by a range variable that can not be a CTE.
    fn relation(&mut self, relation: &RangeVar, access: Access) {
        // The database of a three-part name can only be the current one, and an alias changes no
        // relation: scopes deal with it.
        let RangeVar {
            catalogname: _,
            schemaname,
            relname,
            inh: _,
            relpersistence: _,
            alias: _,
            location: _,
        } = relation;
        self.relation_named(name(schemaname), Arc::from(relname.as_str()), access);
    }

    fn relation_named(&mut self, schema: Option<Arc<str>>, name: Arc<str>, access: Access) {
        match access {
            Access::Read => self.effects.read = true,
            Access::Write => self.effects.write = true,
            Access::Define => self.effects.ddl = true,
        }
        // Its update rule calls set_config for each row: any setting, the role included.
        if access == Access::Write && &*name == "pg_settings" {
            self.effects.session = true;
            self.finds_any_setting();
        }
        self.relations.insert(Relation { schema, name, access });
    }

    fn relation_opt(&mut self, relation: &Option<RangeVar>, access: Access) {
        if let Some(relation) = relation {
            self.relation(relation, access);
        }
    }

    /// Notes each range variable of a list; anything else in it is walked as it is.
    fn relations(&mut self, list: &[protobuf::Node], access: Access) {
        for node in list {
            match &node.node {
                Some(NodeEnum::RangeVar(relation)) => self.relation(relation, access),
                _ => node.visit(self),
            }
        }
    }

    /// Notes a call of the function of that name. Returns what is known of it.
    fn call(&mut self, names: &[protobuf::Node]) -> FunctionClass {
        let Some((schema, name)) = schema_and_name(names) else {
            self.doubt("a function without a name");
            return FunctionClass::Unknown;
        };
        let known = self.harmless.classify(schema, name);
        self.effects = self.effects.union(known.effects);
        if known.class != FunctionClass::Harmless && !functions::gives_a_number_only(schema, name) {
            self.lineage.doubtful = true;
        }
        self.functions.insert(Function {
            schema: schema.map(Arc::from),
            name: Arc::from(name),
            class: known.class,
        });
        known.class
    }

    /// Notes that an update or delete has a WHERE clause, or has none.
    fn note_where(&mut self, present: bool) {
        self.has_where = Some(self.has_where.unwrap_or(true) && present);
    }

    /// Runs `walk` and returns what the expressions in it are made of, which also counts for the
    /// expression that is being walked around it.
    fn traced<R>(&mut self, walk: impl FnOnce(&mut Self) -> R) -> (R, Lineage) {
        let outer = std::mem::take(&mut self.lineage);
        let result = walk(self);
        let own = std::mem::replace(&mut self.lineage, outer);
        self.lineage.merge(&own);
        (result, own)
    }

    /// The same for something on which it depends which rows there are, how many, or in which order.
    fn condition<R>(&mut self, walk: impl FnOnce(&mut Self) -> R) -> R {
        let (result, own) = self.traced(walk);
        self.note_condition(&own);
        result
    }

    /// Notes a column that is named.
    fn note_column(&mut self, column: &Column) {
        if let Some(held) = &mut self.held {
            held.push(column.clone());
            return;
        }
        if !self.passive.list.is_empty() {
            self.used.insert(column.clone());
        }
        self.columns.insert(column.clone());
    }

    /// Notes a column that gets a value, or is returned as it stands.
    fn note_passive(&mut self, column: &Column) {
        if self.passive.list.is_empty() {
            self.used = self.columns.clone();
        }
        self.passive.insert(column.clone());
        self.columns.insert(column.clone());
    }

    /// Runs `walk`, and gives the columns that it names, which are not noted.
    fn holding<R>(&mut self, walk: impl FnOnce(&mut Self) -> R) -> (R, Vec<Column>) {
        let outer = self.held.replace(Vec::new());
        let result = walk(self);
        (result, std::mem::replace(&mut self.held, outer).unwrap_or_default())
    }

    fn note_condition(&mut self, of: &Lineage) {
        for column in &of.columns {
            self.conditions.insert(column.clone());
        }
        if of.doubtful {
            self.conditions.insert(Column { relation: None, name: Arc::from("*") });
        }
    }

    /// Runs `walk` where the FROM items of `scope` can be seen.
    fn within<R>(&mut self, scope: Scope, walk: impl FnOnce(&mut Self) -> R) -> R {
        self.lending(scope, walk).0
    }

    /// The same, and gives the scope back.
    fn lending<R>(&mut self, scope: Scope, walk: impl FnOnce(&mut Self) -> R) -> (R, Scope) {
        self.scopes.push(scope);
        let result = walk(self);
        (result, self.scopes.pop().unwrap_or_default())
    }

    /// Walks a node of any kind.
    fn node(&mut self, node: &NodeEnum) {
        use NodeEnum as N;
        match node {
            N::AConst(constant) => self.passed.extend(usize::try_from(constant.location).ok()),
            // Names that stand for nothing by themselves.
            N::Integer(_)
            | N::Float(_)
            | N::Boolean(_)
            | N::String(_)
            | N::BitString(_)
            | N::ParamRef(_)
            | N::AStar(_)
            | N::SetToDefault(_)
            | N::CurrentOfExpr(_)
            | N::RoleSpec(_)
            | N::Alias(_)
            | N::JsonFormat(_)
            | N::TriggerTransition(_)
            | N::ReplicaIdentityStmt(_)
            | N::AtalterConstraint(_)
            | N::CtesearchClause(_)
            | N::ReturningOption(_)
            | N::CallContext(_) => {}
            N::List(list) => list.items.visit(self),
            N::RangeVar(relation) => self.relation(relation, Access::Read),

            // Expressions.
            N::ColumnRef(column) => self.column(column),
            N::FuncCall(call) => self.func_call(call),
            N::SubLink(link) => self.sub_link(link),
            N::AExpr(expr) => expr.visit(self),
            N::BoolExpr(expr) => expr.visit(self),
            N::NullTest(test) => test.visit(self),
            N::BooleanTest(test) => test.visit(self),
            N::CaseExpr(case) => case.visit(self),
            N::CaseWhen(when) => when.visit(self),
            N::CoalesceExpr(expr) => expr.visit(self),
            N::MinMaxExpr(expr) => expr.visit(self),
            N::NamedArgExpr(expr) => expr.visit(self),
            N::RowExpr(row) => row.visit(self),
            N::AArrayExpr(array) => array.visit(self),
            N::AIndices(indices) => indices.visit(self),
            N::AIndirection(indirection) => self.indirection(indirection),
            N::TypeCast(cast) => cast.visit(self),
            N::TypeName(name) => name.visit(self),
            N::CollateClause(clause) => clause.visit(self),
            N::GroupingFunc(grouping) => grouping.visit(self),
            N::GroupingSet(set) => set.visit(self),
            N::SqlvalueFunction(value) => value.visit(self),
            // PostgreSQL's own there since 17. Anywhere else, and before, it is a name like any other.
            N::MergeSupportFunc(_) if self.returns_of_merge => {}
            N::MergeSupportFunc(_) => self.unseen(None, "merge_action"),
            N::XmlExpr(xml) => xml.visit(self),
            N::XmlSerialize(xml) => xml.visit(self),
            N::MultiAssignRef(reference) => reference.visit(self),
            N::ResTarget(target) => target.visit(self),
            N::SortBy(sort) => sort.visit(self),
            N::WindowDef(window) => window.visit(self),
            N::JsonReturning(returning) => returning.visit(self),
            N::JsonValueExpr(value) => value.visit(self),
            N::JsonIsPredicate(predicate) => predicate.visit(self),
            N::JsonBehavior(behavior) => behavior.visit(self),
            N::JsonOutput(output) => output.visit(self),
            N::JsonArgument(argument) => argument.visit(self),
            N::JsonFuncExpr(expr) => expr.visit(self),
            N::JsonTablePathSpec(path) => path.visit(self),
            N::JsonTableColumn(column) => column.visit(self),
            N::JsonKeyValue(pair) => pair.visit(self),
            N::JsonParseExpr(expr) => expr.visit(self),
            N::JsonScalarExpr(expr) => expr.visit(self),
            N::JsonSerializeExpr(expr) => expr.visit(self),
            N::JsonObjectConstructor(expr) => expr.visit(self),
            N::JsonArrayConstructor(expr) => expr.visit(self),
            N::JsonArrayQueryConstructor(expr) => self.json_array_query(expr),
            N::JsonAggConstructor(expr) => expr.visit(self),
            N::JsonObjectAgg(expr) => expr.visit(self),
            N::JsonArrayAgg(expr) => expr.visit(self),

            // FROM items met outside a FROM clause.
            N::JoinExpr(_)
            | N::RangeSubselect(_)
            | N::RangeFunction(_)
            | N::RangeTableFunc(_)
            | N::RangeTableSample(_)
            | N::JsonTable(_) => {
                self.walk_from_item(node, &mut Vec::new());
            }
            N::RangeTableFuncCol(column) => column.visit(self),
            N::LockingClause(clause) => self.locking(clause),

            // Queries and changes of rows.
            N::RawStmt(raw) => raw.stmt.visit(self),
            N::SelectStmt(_)
            | N::InsertStmt(_)
            | N::UpdateStmt(_)
            | N::DeleteStmt(_)
            | N::MergeStmt(_)
            | N::ReturnStmt(_)
            | N::ExplainStmt(_) => {
                self.query_like(node);
            }
            N::WithClause(with) => self.unscoped_with(with),
            N::CommonTableExpr(_) => self.doubt("a CTE outside a WITH clause"),
            N::CtecycleClause(cycle) => cycle.visit(self),
            N::InferClause(infer) => infer.visit(self),
            N::OnConflictClause(_) => self.doubt("ON CONFLICT outside an INSERT"),
            N::MergeWhenClause(_) => self.doubt("WHEN outside a MERGE"),
            N::ReturningClause(_) => self.doubt("RETURNING outside a statement"),
            N::CopyStmt(copy) => {
                self.copy(copy);
            }
            N::TruncateStmt(truncate) => self.truncate(truncate),
            N::LockStmt(lock) => self.lock(lock),
            N::VacuumStmt(vacuum) => self.vacuum(vacuum),
            N::VacuumRelation(relation) => self.vacuum_relation(relation),
            N::ClusterStmt(cluster) => self.cluster(cluster),
            N::ReindexStmt(reindex) => self.reindex(reindex),
            N::RefreshMatViewStmt(refresh) => self.refresh(refresh),
            N::CallStmt(call) => self.call_statement(call),
            N::DoStmt(block) => self.do_block(block),

            // The session.
            N::TransactionStmt(transaction) => self.transaction(transaction),
            N::VariableSetStmt(set) => self.set(set),
            N::VariableShowStmt(_) => {}
            N::ConstraintsSetStmt(set) => self.set_constraints(set),
            N::DiscardStmt(_) | N::ClosePortalStmt(_) | N::DeallocateStmt(_) => self.effects.session = true,
            N::ListenStmt(_) | N::UnlistenStmt(_) => self.effects.session = true,
            N::NotifyStmt(_) => self.effects.write = true,
            N::PrepareStmt(prepare) => self.prepare(prepare),
            N::ExecuteStmt(execute) => self.execute(execute),
            N::DeclareCursorStmt(declare) => self.declare_cursor(declare),
            N::FetchStmt(_) => {
                self.effects.read = true;
                self.effects.session = true;
            }
            N::LoadStmt(_) => {
                self.effects.host_access = true;
                self.effects.session = true;
            }
            N::CheckPointStmt(_) => self.effects.host_access = true,

            // Definitions: create.
            N::CreateStmt(create) => self.create_table(create),
            N::CreateForeignTableStmt(create) => self.create_foreign_table(create),
            N::CreateTableAsStmt(create) => self.create_table_as(create),
            N::IntoClause(into) => self.into(into),
            N::ViewStmt(view) => self.create_view(view),
            N::IndexStmt(index) => self.create_index(index),
            N::CreateSeqStmt(create) => self.create_sequence(create),
            N::CreateSchemaStmt(create) => self.create_schema(create),
            N::CreateStatsStmt(create) => self.create_statistics(create),
            N::CreateTrigStmt(create) => self.create_trigger(create),
            N::CreateEventTrigStmt(create) => self.create_event_trigger(create),
            N::CreatePolicyStmt(create) => self.create_policy(create),
            N::RuleStmt(rule) => self.create_rule(rule),
            N::CreateFunctionStmt(create) => self.create_function(create),
            N::DefineStmt(define) => self.define(define),
            N::CreateDomainStmt(create) => self.create_domain(create),
            N::CompositeTypeStmt(create) => self.create_composite(create),
            N::CreateEnumStmt(_) => self.effects.ddl = true,
            N::CreateRangeStmt(create) => self.create_range(create),
            N::CreateCastStmt(create) => self.create_cast(create),
            N::CreateTransformStmt(create) => self.create_transform(create),
            N::CreateConversionStmt(create) => self.create_conversion(create),
            N::CreateOpClassStmt(create) => self.create_operator_class(create),
            N::CreateOpClassItem(item) => self.operator_class_item(item),
            N::CreateOpFamilyStmt(_) => self.effects.ddl = true,
            N::CreateAmStmt(create) => self.create_access_method(create),
            N::CreatePlangStmt(create) => self.create_language(create),
            N::CreatePublicationStmt(create) => self.create_publication(create),
            N::AlterPublicationStmt(alter) => self.alter_publication(alter),
            N::PublicationObjSpec(object) => self.publication_object(object),
            N::PublicationTable(table) => self.publication_table(table),

            // Parts of definitions.
            N::ColumnDef(column) => self.column_def(column),
            N::Constraint(constraint) => self.constraint(constraint),
            N::TableLikeClause(like) => self.table_like(like),
            N::IndexElem(element) => self.index_element(element),
            N::StatsElem(element) => self.statistics_element(element),
            N::PartitionElem(element) => self.partition_element(element),
            N::PartitionSpec(spec) => spec.visit(self),
            N::PartitionBoundSpec(bound) => bound.visit(self),
            N::PartitionRangeDatum(datum) => datum.visit(self),
            N::PartitionCmd(command) => self.partition_command(command),
            N::FunctionParameter(parameter) => parameter.visit(self),
            N::ObjectWithArgs(object) => object.visit(self),
            N::DefElem(element) => element.visit(self),

            // Definitions: alter, drop, describe.
            N::AlterTableStmt(alter) => self.alter_table(alter),
            N::AlterTableCmd(command) => self.alter_table_command(command),
            N::AlterSeqStmt(alter) => self.alter_sequence(alter),
            N::AlterDomainStmt(alter) => self.alter_domain(alter),
            N::AlterFunctionStmt(alter) => self.alter_function(alter),
            N::AlterPolicyStmt(alter) => self.alter_policy(alter),
            N::AlterStatsStmt(alter) => self.alter_statistics(alter),
            N::AlterOperatorStmt(alter) => self.alter_operator(alter),
            N::AlterTypeStmt(alter) => self.alter_type(alter),
            N::AlterOpFamilyStmt(alter) => self.alter_operator_family(alter),
            N::AlterObjectDependsStmt(alter) => self.alter_depends(alter),
            N::AlterObjectSchemaStmt(alter) => self.alter_schema_of(alter),
            N::AlterOwnerStmt(alter) => self.alter_owner(alter),
            N::RenameStmt(rename) => self.rename(rename),
            N::DropStmt(drop) => self.drop_objects(drop),
            N::CommentStmt(comment) => self.comment(comment),
            N::SecLabelStmt(label) => self.security_label(label),
            N::AlterEnumStmt(_)
            | N::AlterCollationStmt(_)
            | N::AlterTsdictionaryStmt(_)
            | N::AlterTsconfigurationStmt(_)
            | N::AlterEventTrigStmt(_)
            | N::AlterDatabaseRefreshCollStmt(_) => self.effects.ddl = true,

            // Rights, roles, databases and the host.
            N::GrantStmt(grant) => self.grant(grant),
            N::AccessPriv(privilege) => self.privilege(privilege),
            N::GrantRoleStmt(_) => self.effects.ddl = true,
            N::AlterDefaultPrivilegesStmt(alter) => self.alter_default_privileges(alter),
            N::CreateRoleStmt(_)
            | N::AlterRoleStmt(_)
            | N::DropRoleStmt(_)
            | N::ReassignOwnedStmt(_)
            | N::AlterDatabaseStmt(_) => self.effects.ddl = true,
            N::DropOwnedStmt(_) => {
                self.effects.ddl = true;
                self.effects.write = true;
            }
            N::AlterRoleSetStmt(alter) => self.alter_setting(&alter.setstmt),
            N::AlterDatabaseSetStmt(alter) => self.alter_setting(&alter.setstmt),
            N::AlterSystemStmt(alter) => {
                self.effects.host_access = true;
                self.alter_setting(&alter.setstmt);
            }
            N::CreatedbStmt(_)
            | N::DropdbStmt(_)
            | N::CreateTableSpaceStmt(_)
            | N::DropTableSpaceStmt(_)
            | N::AlterTableSpaceOptionsStmt(_)
            | N::AlterTableMoveAllStmt(_) => {
                self.effects.ddl = true;
                self.effects.host_access = true;
            }
            N::AlterExtensionContentsStmt(alter) => self.extension_contents(alter),
            N::ImportForeignSchemaStmt(import) => self.import_foreign_schema(import),
            N::CreateExtensionStmt(_)
            | N::AlterExtensionStmt(_)
            | N::CreateFdwStmt(_)
            | N::AlterFdwStmt(_)
            | N::CreateForeignServerStmt(_)
            | N::AlterForeignServerStmt(_)
            | N::CreateUserMappingStmt(_)
            | N::AlterUserMappingStmt(_)
            | N::DropUserMappingStmt(_)
            | N::CreateSubscriptionStmt(_)
            | N::AlterSubscriptionStmt(_)
            | N::DropSubscriptionStmt(_) => self.brings_unseen_code(),

            // Made by the analyser, the rewriter, the planner or PL/pgSQL: never by the grammar.
            N::TableFunc(_)
            | N::Var(_)
            | N::Param(_)
            | N::Aggref(_)
            | N::WindowFunc(_)
            | N::WindowFuncRunCondition(_)
            | N::SubscriptingRef(_)
            | N::FuncExpr(_)
            | N::OpExpr(_)
            | N::DistinctExpr(_)
            | N::NullIfExpr(_)
            | N::ScalarArrayOpExpr(_)
            | N::SubPlan(_)
            | N::AlternativeSubPlan(_)
            | N::FieldSelect(_)
            | N::FieldStore(_)
            | N::RelabelType(_)
            | N::CoerceViaIo(_)
            | N::ArrayCoerceExpr(_)
            | N::ConvertRowtypeExpr(_)
            | N::CollateExpr(_)
            | N::CaseTestExpr(_)
            | N::ArrayExpr(_)
            | N::RowCompareExpr(_)
            | N::JsonConstructorExpr(_)
            | N::JsonExpr(_)
            | N::JsonTablePath(_)
            | N::JsonTablePathScan(_)
            | N::JsonTableSiblingJoin(_)
            | N::MergeAction(_)
            | N::CoerceToDomain(_)
            | N::CoerceToDomainValue(_)
            | N::NextValueExpr(_)
            | N::InferenceElem(_)
            | N::ReturningExpr(_)
            | N::TargetEntry(_)
            | N::RangeTblRef(_)
            | N::FromExpr(_)
            | N::OnConflictExpr(_)
            | N::Query(_)
            | N::RangeTblEntry(_)
            | N::RtepermissionInfo(_)
            | N::RangeTblFunction(_)
            | N::TableSampleClause(_)
            | N::WithCheckOption(_)
            | N::SortGroupClause(_)
            | N::WindowClause(_)
            | N::RowMarkClause(_)
            | N::SetOperationStmt(_)
            | N::PlassignStmt(_)
            | N::InlineCodeBlock(_)
            | N::IntList(_)
            | N::OidList(_) => self.doubt("a node that the grammar should not make"),
        }
    }
}

/// Something that can be walked: a node, or a field that holds nodes.
pub(crate) trait Visit {
    fn visit(&self, walk: &mut Walk);
}

impl Visit for protobuf::Node {
    fn visit(&self, walk: &mut Walk) {
        // An empty node is a null in the server's tree, as in `distinct` without `on`.
        if let Some(node) = &self.node {
            walk.node(node);
        }
    }
}

impl<T: Visit + ?Sized> Visit for Box<T> {
    fn visit(&self, walk: &mut Walk) {
        (**self).visit(walk);
    }
}

impl<T: Visit> Visit for Option<T> {
    fn visit(&self, walk: &mut Walk) {
        if let Some(part) = self {
            part.visit(walk);
        }
    }
}

impl<T: Visit> Visit for Vec<T> {
    fn visit(&self, walk: &mut Walk) {
        for part in self {
            part.visit(walk);
        }
    }
}

/// A list without repetition, in the order of the text.
#[derive(Clone)]
struct Distinct<T> {
    list: Vec<T>,
    seen: HashSet<T>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { list: Vec::new(), seen: HashSet::new() }
    }
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    /// Up to this many a scan of the list is cheaper than hashing.
    const SHORT: usize = 16;

    fn insert(&mut self, item: T) {
        let is_new = if self.list.len() < Self::SHORT {
            !self.list.contains(&item)
        } else {
            if self.seen.is_empty() {
                self.seen.extend(self.list.iter().cloned());
            }
            self.seen.insert(item.clone())
        };
        if is_new {
            self.list.push(item);
        }
    }

    /// Those that are not among `others`.
    fn only(mut self, others: &Self) -> Vec<T> {
        self.list.retain(|item| !others.list.contains(item));
        self.list
    }
}

/// The strings of a list that names something: `[schema, name]`.
fn strings(names: &[protobuf::Node]) -> Vec<&str> {
    names
        .iter()
        .filter_map(|node| match &node.node {
            Some(NodeEnum::String(string)) => Some(string.sval.as_str()),
            _ => None,
        })
        .collect()
}

/// What a list names: `[name]`, `[schema, name]`. A database before that can only be the current one.
fn schema_and_name(names: &[protobuf::Node]) -> Option<(Option<&str>, &str)> {
    let mut parts = names.iter().rev().map(|node| match &node.node {
        Some(NodeEnum::String(string)) => Some(string.sval.as_str()),
        _ => None,
    });
    let name = parts.next()??;
    match parts.next() {
        Some(schema) => Some((Some(schema?), name)),
        None => Some((None, name)),
    }
}

/// A name, where the grammar says "none" with an empty string.
fn name(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| Arc::from(text))
}
