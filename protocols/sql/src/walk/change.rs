//! INSERT, UPDATE, DELETE, MERGE, COPY, and what locks, empties or rebuilds a table.

use gatewright_model::sql::{Access, Column};
use pg_query::{
    NodeEnum,
    protobuf::{
        self, ClusterStmt, CmdType, CopyStmt, DeleteStmt, InferClause, InsertStmt, LockStmt,
        MergeMatchKind, MergeStmt, MergeWhenClause, OnConflictClause, RangeVar, RefreshMatViewStmt,
        ReindexStmt, ReturningClause, TruncateStmt, UpdateStmt, VacuumRelation, VacuumStmt,
    },
};

use super::{Visit, Walk, from};
use crate::{
    lineage::{Lineage, OutColumn},
    scope::{Range, Scope, Source},
};

/// `AccessShareLock` of PostgreSQL's `storage/lockdefs.h`.
const ACCESS_SHARE: i32 = 1;

impl Walk {
    pub(super) fn insert(&mut self, insert: &InsertStmt) -> Option<Vec<OutColumn>> {
        let InsertStmt {
            relation,
            cols,
            select_stmt,
            on_conflict_clause,
            returning_clause,
            with_clause,
            r#override: _,
        } = insert;
        self.with(with_clause, |walk| {
            let target = walk.target(relation, Access::Write);
            walk.within(target.clone(), |walk| {
                walk.assigned_columns(cols);
                if cols.is_empty() && select_stmt.is_some() {
                    walk.all_assigned(0);
                }
            });
            let ((), assigned) = walk.traced(|walk| {
                for column in walk.query_node(select_stmt).unwrap_or_default() {
                    walk.lineage.add_origin(&column.origin);
                }
                if let Some(on_conflict) = on_conflict_clause {
                    walk.on_conflict(on_conflict, relation, target.clone());
                }
            });
            walk.returning_from(returning_clause, relation, target, &assigned)
        })
    }

    fn on_conflict(&mut self, clause: &OnConflictClause, relation: &Option<RangeVar>, mut scope: Scope) {
        let OnConflictClause { action: _, infer, target_list, where_clause, location: _ } = clause;
        if !target_list.is_empty() {
            // The row that is there is found, and may be looked at.
            self.relation_opt(relation, Access::Read);
        }
        scope.absorb(Scope::of(also_known_as(&scope, &["excluded"])));
        self.within(scope, |walk| {
            // Whether a row is there with these values is told by what becomes of it.
            walk.condition(|walk| infer.visit(walk));
            walk.assigned_columns(target_list);
            walk.condition(|walk| where_clause.visit(walk));
        });
    }

    pub(super) fn update(&mut self, update: &UpdateStmt) -> Option<Vec<OutColumn>> {
        let UpdateStmt { relation, target_list, where_clause, from_clause, returning_clause, with_clause } =
            update;
        self.with(with_clause, |walk| {
            let target = walk.target(relation, Access::Write);
            let mut scope = target;
            let from = walk.walk_from(from_clause);
            scope.absorb(from);
            let (filtered, assigned) = walk.within(scope.clone(), |walk| {
                let ((), assigned) = walk.traced(|walk| walk.assigned_columns(target_list));
                (walk.filter(where_clause, 0), assigned)
            });
            walk.note_where(filtered);
            let reads = assigned.doubtful || !assigned.columns.is_empty();
            if reads || where_clause.is_some() || !from_clause.is_empty() {
                walk.relation_opt(relation, Access::Read);
            }
            walk.returning_from(returning_clause, relation, scope, &assigned)
        })
    }

    pub(super) fn delete(&mut self, delete: &DeleteStmt) -> Option<Vec<OutColumn>> {
        let DeleteStmt { relation, using_clause, where_clause, returning_clause, with_clause } = delete;
        self.with(with_clause, |walk| {
            let mut scope = walk.target(relation, Access::Write);
            let using = walk.walk_from(using_clause);
            scope.absorb(using);
            let filtered = walk.within(scope.clone(), |walk| walk.filter(where_clause, 0));
            walk.note_where(filtered);
            if where_clause.is_some() || !using_clause.is_empty() {
                walk.relation_opt(relation, Access::Read);
            }
            walk.returning_from(returning_clause, relation, scope, &Lineage::default())
        })
    }

    pub(super) fn merge(&mut self, merge: &MergeStmt) -> Option<Vec<OutColumn>> {
        let MergeStmt {
            relation,
            source_relation,
            join_condition,
            merge_when_clauses,
            returning_clause,
            with_clause,
        } = merge;
        self.with(with_clause, |walk| {
            let target = walk.target(relation, Access::Write);
            walk.relation_opt(relation, Access::Read);
            let source = match source_relation.as_ref().and_then(|source| source.node.as_ref()) {
                Some(source) => walk.walk_from_item(source, &mut Vec::new()),
                None => Scope::default(),
            };
            // `returning *` gives the source's columns before the target's.
            let mut scope = source;
            let own = scope.ranges.len();
            scope.absorb(target);
            let ((), assigned) = walk.within(scope.clone(), |walk| {
                let joined = walk.filter(join_condition, own);
                walk.traced(|walk| {
                    for clause in merge_when_clauses {
                        match &clause.node {
                            Some(NodeEnum::MergeWhenClause(clause)) => walk.merge_when(clause, own, joined),
                            _ => walk.doubt("a MERGE clause of an unknown kind"),
                        }
                    }
                })
            });
            let outer = std::mem::replace(&mut walk.returns_of_merge, true);
            let returned = walk.returning_from(returning_clause, relation, scope, &assigned);
            walk.returns_of_merge = outer;
            returned
        })
    }

    /// Walks a WHEN clause. `own` is the target's place among the FROM items, `joined` says whether the ON
    /// clause chooses among its rows: it does for those that match, and what does not match may be all.
    fn merge_when(&mut self, clause: &MergeWhenClause, own: usize, joined: bool) {
        let MergeWhenClause { match_kind, command_type, r#override: _, condition, target_list, values } =
            clause;
        let chosen = self.filter(condition, own);
        let matched = MergeMatchKind::try_from(*match_kind) == Ok(MergeMatchKind::MergeWhenMatched);
        if !matches!(CmdType::try_from(*command_type), Ok(CmdType::CmdInsert | CmdType::CmdNothing)) {
            self.note_where(chosen || (joined && matched));
        }
        self.assigned_columns(target_list);
        if target_list.is_empty() && !values.is_empty() {
            self.all_assigned(own);
        }
        values.visit(self);
    }

    /// The table that a statement changes: always a relation of the catalog, whatever CTE has its name.
    fn target(&mut self, relation: &Option<RangeVar>, access: Access) -> Scope {
        let mut scope = Scope::default();
        match relation {
            Some(relation) => {
                self.relation(relation, access);
                scope.absorb(Scope::of(vec![from::base(relation)]));
            }
            None => self.doubt("a change of no relation"),
        }
        scope
    }

    /// Columns that get a value, with the value where it stands beside: `insert into t (a)`, `set a = 1`.
    fn assigned_columns(&mut self, columns: &[protobuf::Node]) {
        for column in columns {
            match &column.node {
                Some(NodeEnum::ResTarget(target)) => {
                    self.assigned(&target.name);
                    target.visit(self);
                }
                _ => column.visit(self),
            }
        }
    }

    /// All columns of the table that is changed get a value. `own`: its place among the FROM items.
    fn all_assigned(&mut self, own: usize) {
        let target = self.scopes.last().and_then(|scope| scope.ranges.get(own).cloned());
        let origin = target.and_then(|target| target.column(&std::sync::Arc::from("*")));
        self.note_compared(origin.as_ref());
    }

    fn assigned(&mut self, column: &str) {
        let name = std::sync::Arc::from(column);
        let target = self.scopes.last().and_then(|scope| {
            scope.ranges.iter().find(|range| matches!(range.source, Source::Base { .. })).cloned()
        });
        if let Some(target) = target {
            let origin = target.column(&name);
            self.note_target(origin.as_ref(), &name);
            // Whether a value is there already is told by what becomes of it.
            self.note_compared(origin.as_ref());
        }
    }

    /// Walks `RETURNING`, which shows the rows as they are after the change: what was assigned may show in
    /// every column of them, under the name and number of a column that is none of it.
    fn returning_from(
        &mut self,
        clause: &Option<ReturningClause>,
        relation: &Option<RangeVar>,
        scope: Scope,
        assigned: &Lineage,
    ) -> Option<Vec<OutColumn>> {
        let ReturningClause { options, exprs: _ } = clause.as_ref()?;
        self.relation_opt(relation, Access::Read);
        // PostgreSQL 18: the row before and after, under these names or those of `with (old as o)`.
        let mut names = vec!["old", "new"];
        for option in options {
            match &option.node {
                Some(NodeEnum::ReturningOption(option)) => names.push(&option.value),
                _ => self.doubt("a RETURNING option of an unknown kind"),
            }
        }
        let target: Vec<Range> = relation.iter().map(from::base).collect();
        let rows = also_known_as(&Scope::of(target), &names);
        // They can be referred to, and `*` does not give them.
        let columns =
            self.within(Scope::of(rows), |walk| walk.within(scope, |walk| walk.returning(clause)));
        columns.map(|mut columns| {
            for column in &mut columns {
                column.origin = column.origin.clone().or_assigned(assigned);
            }
            columns
        })
    }

    /// COPY: a table or a query, to or from the client, a file or a program. Returns the columns that it sends.
    pub(super) fn copy(&mut self, copy: &CopyStmt) -> Option<Vec<OutColumn>> {
        let CopyStmt { relation, query, attlist, is_from, is_program, filename, options, where_clause } =
            copy;
        let access = if *is_from { Access::Write } else { Access::Read };
        let scope = match relation {
            Some(_) => self.target(relation, access),
            None => Scope::default(),
        };
        let columns = match relation {
            Some(_) => scope.star(),
            None => self.query_node(query).unwrap_or_default(),
        };
        if *is_program || !filename.is_empty() {
            self.effects.host_access = true;
        }
        self.within(scope, |walk| {
            for column in super::strings(attlist) {
                walk.assigned(column);
            }
            if attlist.is_empty() && *is_from {
                walk.all_assigned(0);
            }
            options.visit(walk);
            walk.condition(|walk| where_clause.visit(walk));
        });
        (!*is_from).then_some(columns)
    }

    pub(super) fn truncate(&mut self, truncate: &TruncateStmt) {
        let TruncateStmt { relations, restart_seqs: _, behavior: _ } = truncate;
        self.relations(relations, Access::Write);
    }

    /// LOCK TABLE changes no row and can stop everybody else: a write.
    pub(super) fn lock(&mut self, lock: &LockStmt) {
        let LockStmt { relations, mode, nowait: _ } = lock;
        // Whoever reads a relation takes this lock as well; pg_dump takes it beforehand.
        let access = if *mode == ACCESS_SHARE { Access::Read } else { Access::Write };
        self.relations(relations, access);
    }

    /// VACUUM rewrites and locks; ANALYZE reads rows into `pg_statistic`.
    pub(super) fn vacuum(&mut self, vacuum: &VacuumStmt) {
        let VacuumStmt { options, rels, is_vacuumcmd } = vacuum;
        // Without a list it is every table.
        self.effects.read = true;
        self.effects.write = true;
        let access = if *is_vacuumcmd { Access::Write } else { Access::Read };
        for relation in rels {
            match &relation.node {
                Some(NodeEnum::VacuumRelation(relation)) => self.relation_opt(&relation.relation, access),
                _ => relation.visit(self),
            }
        }
        options.visit(self);
    }

    pub(super) fn vacuum_relation(&mut self, relation: &VacuumRelation) {
        let VacuumRelation { relation, oid: _, va_cols: _ } = relation;
        self.relation_opt(relation, Access::Write);
    }

    pub(super) fn cluster(&mut self, cluster: &ClusterStmt) {
        let ClusterStmt { relation, indexname: _, params } = cluster;
        self.rebuilds();
        self.relation_opt(relation, Access::Define);
        params.visit(self);
    }

    pub(super) fn reindex(&mut self, reindex: &ReindexStmt) {
        let ReindexStmt { kind: _, relation, name: _, params } = reindex;
        self.rebuilds();
        self.relation_opt(relation, Access::Define);
        params.visit(self);
    }

    pub(super) fn refresh(&mut self, refresh: &RefreshMatViewStmt) {
        let RefreshMatViewStmt { concurrent: _, skip_data: _, relation } = refresh;
        // Runs the query of its definition, which is not in the text.
        self.effects.dynamic = true;
        self.relation_opt(relation, Access::Write);
    }

    fn rebuilds(&mut self) {
        self.effects.ddl = true;
        self.effects.write = true;
    }
}

impl Visit for InferClause {
    fn visit(&self, walk: &mut Walk) {
        let Self { index_elems, where_clause, conname: _, location: _ } = self;
        for element in index_elems {
            if let Some(NodeEnum::IndexElem(element)) = &element.node
                && let Some(name) = super::name(&element.name)
            {
                walk.lineage.add(Column { relation: None, name });
            }
        }
        walk.all(&[index_elems, where_clause]);
    }
}

/// The first range of a scope under other names.
fn also_known_as(scope: &Scope, names: &[&str]) -> Vec<Range> {
    let Some(target) = scope.ranges.first() else { return Vec::new() };
    names
        .iter()
        .map(|name| Range { alias: Some(std::sync::Arc::from(*name)), source: target.source.clone() })
        .collect()
}
