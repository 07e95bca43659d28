//! SELECT, VALUES, set operations, WITH, and what wraps a query.

use std::sync::Arc;

use gatewright_model::sql::{Access, FunctionClass};
use pg_query::{
    NodeEnum,
    protobuf::{
        self, CommonTableExpr, CteCycleClause, ExplainStmt, IntoClause, LockingClause, ReturnStmt,
        ReturningClause, SelectStmt, SetOperation, WithClause,
    },
};

use super::{
    Distinct, MAX_COLUMNS, Visit, Walk,
    expression::{implied_name, is_row_star, is_star},
    strings,
};
use crate::{
    lineage::{Origin, OutColumn, OutName},
    scope::Cte,
};

impl Walk {
    /// Walks what can stand where a query can. Returns its columns; none when it gives no rows, or when
    /// the text does not tell which.
    pub(super) fn query_like(&mut self, node: &NodeEnum) -> Option<Vec<OutColumn>> {
        match node {
            NodeEnum::SelectStmt(select) => self.select(select),
            NodeEnum::InsertStmt(insert) => self.insert(insert),
            NodeEnum::UpdateStmt(update) => self.update(update),
            NodeEnum::DeleteStmt(delete) => self.delete(delete),
            NodeEnum::MergeStmt(merge) => self.merge(merge),
            NodeEnum::CopyStmt(copy) => self.copy(copy),
            NodeEnum::ExplainStmt(explain) => {
                self.explain(explain);
                None
            }
            NodeEnum::ReturnStmt(stmt) => {
                let ReturnStmt { returnval } = &**stmt;
                returnval.visit(self);
                None
            }
            _ => {
                self.node(node);
                None
            }
        }
    }

    pub(super) fn query_node(&mut self, node: &Option<Box<protobuf::Node>>) -> Option<Vec<OutColumn>> {
        node.as_ref().and_then(|node| node.node.as_ref()).and_then(|node| self.query_like(node))
    }

    /// Walks a SELECT, which is also VALUES, TABLE and each set operation.
    pub(super) fn select(&mut self, select: &SelectStmt) -> Option<Vec<OutColumn>> {
        let SelectStmt {
            distinct_clause,
            into_clause,
            target_list,
            from_clause,
            where_clause,
            group_clause,
            group_distinct: _,
            having_clause,
            window_clause,
            values_lists,
            sort_clause,
            limit_offset,
            limit_count,
            limit_option: _,
            locking_clause,
            with_clause,
            op,
            all,
            larg,
            rarg,
        } = select;
        self.with(with_clause, |walk| {
            into_clause.visit(walk);
            let scope = walk.walk_from(from_clause);
            walk.within(scope, |walk| {
                let ((), windows) = walk.condition(|walk| walk.traced(|walk| window_clause.visit(walk)));
                if let Some(scope) = walk.scopes.last_mut() {
                    scope.windows = windows;
                }
                let columns = if SetOperation::try_from(*op) == Ok(SetOperation::SetopNone) {
                    let mut columns = walk.targets(target_list);
                    columns.extend(walk.values(values_lists));
                    columns
                } else {
                    let left = larg.as_deref().and_then(|arm| walk.select(arm));
                    let right = rarg.as_deref().and_then(|arm| walk.select(arm));
                    // Rows of both arms are compared, unless all of them are taken.
                    if !(*all && SetOperation::try_from(*op) == Ok(SetOperation::SetopUnion)) {
                        for column in left.iter().chain(&right).flatten() {
                            walk.note_compared(Some(&column.origin));
                        }
                    }
                    combined(left, right)
                };
                // The server takes a plain name here for a column of the answer first.
                walk.condition(|walk| {
                    for clause in [distinct_clause, group_clause, sort_clause] {
                        walk.outputs_named(clause, &columns);
                    }
                    let names = columns.iter().filter_map(|column| match &column.name {
                        OutName::Known(name) => Some(Arc::clone(name)),
                        _ => None,
                    });
                    let outer = std::mem::replace(&mut walk.outputs, names.collect());
                    walk.all(&[distinct_clause, group_clause, sort_clause]);
                    walk.outputs = outer;
                    walk.all(&[where_clause, having_clause, limit_offset, limit_count, locking_clause]);
                });
                into_clause.is_none().then_some(columns)
            })
        })
    }

    /// What is computed may give several rows, fail, or number them, and so tell of what it is computed from without showing it.
    fn note_computed(&mut self, origin: &Origin) {
        if !matches!(origin, Origin::Direct(_) | Origin::United { .. }) {
            self.note_compared(Some(origin));
        }
    }

    /// Notes the columns of the answer by which a DISTINCT, GROUP BY or ORDER BY goes: by their names or numbers, or, with a plain DISTINCT, all of
    /// them.
    fn outputs_named(&mut self, clause: &[protobuf::Node], columns: &[OutColumn]) {
        for item in clause {
            let item = match &item.node {
                Some(NodeEnum::SortBy(sort)) => sort.node.as_ref().and_then(|node| node.node.as_ref()),
                other => other.as_ref(),
            };
            let meant: Vec<&OutColumn> = match item {
                // `rollup (a, b)`, `grouping sets ((a), (b, c))`.
                Some(NodeEnum::GroupingSet(set)) => {
                    self.outputs_named(&set.content, columns);
                    Vec::new()
                }
                Some(NodeEnum::RowExpr(row)) => {
                    self.outputs_named(&row.args, columns);
                    Vec::new()
                }
                // A null in the server's tree: `distinct` without `on`.
                None => columns.iter().collect(),
                // Its number: which one is not looked at, so that texts that differ in it share one reading.
                Some(NodeEnum::AConst(_)) => columns.iter().collect(),
                Some(NodeEnum::ColumnRef(column)) => {
                    let name = strings(&column.fields);
                    let is_meant = |column: &&OutColumn| match &column.name {
                        OutName::Known(own) => name == [&**own],
                        OutName::Any => true,
                        OutName::Star | OutName::RenamedStar => false,
                    };
                    columns.iter().filter(is_meant).collect()
                }
                Some(_) => Vec::new(),
            };
            for column in meant {
                self.lineage.add_origin(&column.origin);
            }
        }
    }

    /// Walks a target list. Returns the columns it makes.
    pub(super) fn targets(&mut self, targets: &[protobuf::Node]) -> Vec<OutColumn> {
        let mut columns = Vec::with_capacity(targets.len());
        for target in targets {
            match &target.node {
                Some(NodeEnum::ResTarget(target)) => {
                    let protobuf::ResTarget { name, indirection, val, location: _ } = &**target;
                    indirection.visit(self);
                    match val.as_ref().and_then(|val| val.node.as_ref()) {
                        Some(NodeEnum::ColumnRef(column)) if is_star(column) => {
                            columns.extend(self.star(column));
                        }
                        Some(value) if is_row_star(value) => {
                            self.node(value);
                            columns.push(OutColumn { name: OutName::RenamedStar, origin: Origin::Unknown });
                        }
                        Some(value) => {
                            let origin = self.origin(value);
                            self.note_computed(&origin);
                            let name = if name.is_empty() {
                                implied_name(value)
                            } else {
                                OutName::Known(Arc::from(name.as_str()))
                            };
                            columns.push(OutColumn { name, origin });
                        }
                        None => self.doubt("a target without a value"),
                    }
                }
                _ => {
                    target.visit(self);
                    columns.push(OutColumn { name: OutName::Any, origin: Origin::Unknown });
                }
            }
            if columns.len() > MAX_COLUMNS {
                self.doubt("it has more columns than PostgreSQL allows");
                columns.truncate(MAX_COLUMNS);
            }
        }
        columns
    }

    /// Where the value of an expression comes from.
    pub(super) fn origin(&mut self, value: &NodeEnum) -> Origin {
        if let NodeEnum::ColumnRef(column) = value {
            return self.column_origin(column);
        }
        let ((), lineage) = self.traced(|walk| walk.node(value));
        lineage.into_origin()
    }

    fn values(&mut self, rows: &[protobuf::Node]) -> Vec<OutColumn> {
        let mut columns: Vec<OutColumn> = Vec::new();
        for row in rows {
            let Some(NodeEnum::List(list)) = &row.node else {
                self.doubt("a VALUES row that is no list");
                continue;
            };
            if list.items.iter().any(|item| match &item.node {
                Some(NodeEnum::ColumnRef(column)) => is_star(column),
                Some(item) => is_row_star(item),
                None => false,
            }) {
                // `values (p.*)` has as many columns as the row.
                list.items.visit(self);
                return vec![OutColumn { name: OutName::RenamedStar, origin: Origin::Unknown }];
            }
            for (at, item) in list.items.iter().enumerate() {
                let origin = item.node.as_ref().map_or(Origin::Unknown, |node| self.origin(node));
                match columns.get_mut(at) {
                    // `values (a), (b)` is computed: the server names no column for it.
                    Some(column) => column.origin = column.origin.clone().or(origin).computed(),
                    None => columns.push(OutColumn {
                        name: OutName::Known(Arc::from(format!("column{}", at + 1))),
                        origin: origin.computed(),
                    }),
                }
            }
        }
        columns
    }

    /// Runs `walk` where the CTEs of `with` can be seen.
    pub(super) fn with<R>(&mut self, with: &Option<WithClause>, walk: impl FnOnce(&mut Self) -> R) -> R {
        let visible = self.ctes.len();
        if let Some(WithClause { ctes, recursive, location: _ }) = with {
            if *recursive {
                for cte in ctes {
                    if let Some(NodeEnum::CommonTableExpr(cte)) = &cte.node {
                        self.ctes.push(Cte { name: Arc::from(cte.ctename.as_str()), columns: None });
                    }
                }
            }
            for cte in ctes {
                match &cte.node {
                    Some(NodeEnum::CommonTableExpr(cte)) => {
                        self.cte_depth += 1;
                        self.cte(cte);
                        self.cte_depth -= 1;
                    }
                    _ => self.doubt("a WITH item that is no CTE"),
                }
            }
        }
        let result = walk(self);
        self.ctes.truncate(visible);
        result
    }

    /// Walks a WITH clause whose statement is not known here.
    pub(super) fn unscoped_with(&mut self, with: &WithClause) {
        self.doubt("a WITH clause outside a statement");
        with.ctes.visit(self);
    }

    fn cte(&mut self, cte: &CommonTableExpr) {
        let CommonTableExpr {
            ctename,
            aliascolnames,
            ctematerialized: _,
            ctequery,
            search_clause,
            cycle_clause,
            location: _,
            // What follows is filled by the server's analyser.
            cterecursive: _,
            cterefcount: _,
            ctecolnames: _,
            ctecoltypes: _,
            ctecoltypmods: _,
            ctecolcollations: _,
        } = cte;
        // A CTE sees no FROM item of the statement it belongs to, only those further out; the scope of
        // that statement is not pushed yet.
        let columns = self.query_node(ctequery);
        let mut columns = columns.map(|columns| super::from::renamed(columns, aliascolnames));
        cycle_clause.visit(self);
        if search_clause.is_some() || cycle_clause.is_some() {
            // They add columns.
            columns = None;
        }
        let name: Arc<str> = Arc::from(ctename.as_str());
        self.cte_names.push(Arc::clone(&name));
        self.ctes.push(Cte { name, columns });
    }

    /// Walks `RETURNING`. Returns its columns.
    pub(super) fn returning(&mut self, returning: &Option<ReturningClause>) -> Option<Vec<OutColumn>> {
        let ReturningClause { options: _, exprs } = returning.as_ref()?;
        if self.cte_depth > 0 {
            // Whoever reads the CTE may compute something from it.
            return Some(self.targets(exprs));
        }
        let mut returned = Vec::new();
        for expression in exprs {
            let (columns, named) = self.holding(|walk| walk.targets(std::slice::from_ref(expression)));
            // The server says of them what they are.
            let as_they_stand = columns.iter().all(|column| matches!(column.origin, Origin::Direct(_)));
            for column in &named {
                if as_they_stand { self.note_passive(column) } else { self.note_column(column) }
            }
            returned.extend(columns);
        }
        Some(returned)
    }

    /// `SELECT INTO`, and the target of `CREATE TABLE AS`.
    pub(super) fn into(&mut self, into: &IntoClause) {
        let IntoClause {
            rel,
            col_names: _,
            access_method: _,
            options,
            on_commit: _,
            table_space_name: _,
            view_query,
            skip_data: _,
        } = into;
        self.relation_opt(rel, Access::Define);
        self.relation_opt(rel, Access::Write);
        options.visit(self);
        if view_query.is_some() {
            self.doubt("an analysed query in a parse tree");
        }
    }

    /// `FOR UPDATE` and its kin lock rows against others: a write, of no rows.
    ///
    /// The relation's access stays `read`: nothing of it changes.
    pub(super) fn locking(&mut self, clause: &LockingClause) {
        // The names are those of FROM items.
        let LockingClause { locked_rels: _, strength: _, wait_policy: _ } = clause;
        self.effects.write = true;
    }

    /// `EXPLAIN ANALYZE` runs its statement; plain `EXPLAIN` plans it.
    ///
    /// Planning reads statistics of the rows and runs functions declared immutable or stable. So the
    /// effects of functions stay, and every relation is read.
    fn explain(&mut self, explain: &ExplainStmt) {
        let ExplainStmt { query, options } = explain;
        if runs(options) {
            self.all(&[query, options]);
            return;
        }
        let mut planned = Self::new(&self.harmless);
        planned.all(&[query, options]);
        for relation in planned.relations.list {
            self.relation_named(relation.schema, relation.name, Access::Read);
        }
        merge(&mut self.columns, planned.columns.list);
        merge(&mut self.conditions, planned.conditions.list);
        for function in planned.functions.list {
            let effects = self.harmless.classify(function.schema.as_deref(), &function.name).effects;
            self.effects = self.effects.union(effects);
            self.effects.write |= function.class == FunctionClass::Unknown;
            self.functions.insert(function);
        }
        self.cte_names = planned.cte_names;
        self.effects.dynamic |= planned.effects.dynamic;
        self.effects.session |= planned.effects.session;
        merge(&mut self.kinds_found, planned.kinds_found.list);
        if let Some(doubt) = planned.doubt {
            self.doubt(doubt);
        }
    }
}

impl Visit for CteCycleClause {
    fn visit(&self, walk: &mut Walk) {
        let Self {
            cycle_col_list: _,
            cycle_mark_column: _,
            cycle_mark_value,
            cycle_mark_default,
            cycle_path_column: _,
            location: _,
            cycle_mark_type: _,
            cycle_mark_typmod: _,
            cycle_mark_collation: _,
            cycle_mark_neop: _,
        } = self;
        walk.all(&[cycle_mark_value, cycle_mark_default]);
    }
}

impl Visit for IntoClause {
    fn visit(&self, walk: &mut Walk) {
        walk.into(self);
    }
}

/// The columns of a set operation: by their places, under the names of the first arm.
fn combined(left: Option<Vec<OutColumn>>, right: Option<Vec<OutColumn>>) -> Vec<OutColumn> {
    let is_counted = |columns: &[OutColumn]| !columns.iter().any(|column| column.name.stands_for_many());
    match (left, right) {
        (Some(left), Some(right))
            if left.len() == right.len() && is_counted(&left) && is_counted(&right) =>
        {
            left.into_iter()
                .zip(right)
                .map(|(left, right)| OutColumn {
                    origin: left.origin.united(&right.origin),
                    name: left.name,
                })
                .collect()
        }
        // Behind a `*` nobody can count.
        (left, right) => left
            .or(right)
            .unwrap_or_default()
            .into_iter()
            .map(|column| {
                let name = match column.name {
                    OutName::Star => OutName::RenamedStar,
                    other => other,
                };
                OutColumn { name, origin: Origin::Unknown }
            })
            .collect(),
    }
}

fn merge<T: Clone + Eq + std::hash::Hash>(into: &mut Distinct<T>, items: Vec<T>) {
    for item in items {
        into.insert(item);
    }
}

/// Does any option of this EXPLAIN make it run the statement? The server takes the last of several;
/// here one that is not plainly off is enough.
fn runs(options: &[protobuf::Node]) -> bool {
    options.iter().any(|option| match &option.node {
        Some(NodeEnum::DefElem(option)) if option.defname.eq_ignore_ascii_case("analyze") => {
            !super::object::is_plainly_off(option)
        }
        Some(NodeEnum::DefElem(_)) => false,
        _ => true,
    })
}
