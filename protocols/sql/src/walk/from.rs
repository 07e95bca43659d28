//! FROM items: what each makes visible, and to whom.

use std::sync::Arc;

use gatewright_model::sql::{Access, Column};
use pg_query::{
    NodeEnum,
    protobuf::{
        self, Alias, JoinExpr, JoinType, JsonTable, JsonTableColumn, JsonTablePathSpec, RangeFunction,
        RangeSubselect, RangeTableFunc, RangeTableFuncCol, RangeTableSample, RangeVar,
    },
};

use super::{Visit, Walk, name, strings};
use crate::{
    lineage::{Lineage, Origin, OutColumn, OutName},
    scope::{Range, Scope, Source},
};

impl Walk {
    /// Walks a FROM clause. Returns what can be seen by the query it belongs to.
    pub(super) fn walk_from(&mut self, items: &[protobuf::Node]) -> Scope {
        let mut seen = vec![Scope::default()];
        for item in items {
            if let Some(item) = &item.node {
                let made = self.walk_from_item(item, &mut seen);
                if let Some(scope) = seen.first_mut() {
                    scope.absorb(made);
                }
            }
        }
        seen.pop().unwrap_or_default()
    }

    /// Runs `walk` where the FROM items to the left can be seen.
    fn lateral<R>(&mut self, left: &mut Vec<Scope>, walk: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.scopes.len();
        self.scopes.append(left);
        let result = walk(self);
        *left = self.scopes.split_off(outer);
        result
    }

    /// Walks one FROM item, to the right of `left` (which LATERAL can see).
    pub(super) fn walk_from_item(&mut self, item: &NodeEnum, left: &mut Vec<Scope>) -> Scope {
        match item {
            NodeEnum::RangeVar(relation) => Scope::of(vec![self.range_var(relation)]),
            NodeEnum::RangeSubselect(subselect) => Scope::of(vec![self.range_subselect(subselect, left)]),
            NodeEnum::RangeFunction(function) => Scope::of(vec![self.range_function(function, left)]),
            NodeEnum::RangeTableFunc(table) => Scope::of(vec![self.range_table_func(table, left)]),
            NodeEnum::JsonTable(table) => Scope::of(vec![self.json_table(table, left)]),
            NodeEnum::RangeTableSample(sample) => self.range_table_sample(sample, left),
            NodeEnum::JoinExpr(join) => self.join(join, left),
            _ => {
                self.doubt("a FROM item of an unknown kind");
                self.node(item);
                Scope::default()
            }
        }
    }

    /// What gives rows decides how many there are.
    fn rows_of<R>(&mut self, walk: impl FnOnce(&mut Self) -> R) -> (R, Lineage) {
        self.condition(|inner| inner.traced(walk))
    }

    /// A relation or a CTE.
    fn range_var(&mut self, relation: &RangeVar) -> Range {
        if !self.may_follow(self.ctes.len()) {
            self.relation(relation, Access::Read);
            return derived(Some(Arc::from(relation.relname.as_str())), None, &relation.alias);
        }
        let columns = if relation.schemaname.is_empty() && relation.catalogname.is_empty() {
            self.ctes.iter().rev().find(|cte| *cte.name == relation.relname).map(|cte| cte.columns.clone())
        } else {
            None
        };
        match columns {
            Some(columns) => {
                let columns = columns.filter(|columns| self.may_follow(columns.len()));
                derived(Some(Arc::from(relation.relname.as_str())), columns, &relation.alias)
            }
            None => {
                self.relation(relation, Access::Read);
                base(relation)
            }
        }
    }

    fn range_subselect(&mut self, subselect: &RangeSubselect, left: &mut Vec<Scope>) -> Range {
        let RangeSubselect { lateral, subquery, alias } = subselect;
        let columns = if *lateral {
            self.lateral(left, |walk| walk.query_node(subquery))
        } else {
            self.query_node(subquery)
        };
        derived(None, columns, alias)
    }

    /// Functions in FROM see what is to their left without LATERAL.
    fn range_function(&mut self, function: &RangeFunction, left: &mut Vec<Scope>) -> Range {
        // Without an alias it goes by the name of its first function.
        let RangeFunction { lateral: _, ordinality: _, is_rowsfrom: _, functions, alias, coldeflist } =
            function;
        let mut implied = None;
        let ((), lineage) = self.rows_of(|walk| {
            walk.lateral(left, |walk| {
                for function in functions {
                    // Each is a list: the call, and its column definitions.
                    function.visit(walk);
                    if let (None, Some(NodeEnum::List(list))) = (&implied, &function.node)
                        && let Some(NodeEnum::FuncCall(call)) =
                            list.items.first().and_then(|call| call.node.as_ref())
                    {
                        implied = strings(&call.funcname).last().map(|name| Arc::from(*name));
                    }
                }
                coldeflist.visit(walk);
                // `f() as t (a our_type)`.
                walk.conversions(functions);
                walk.conversions(coldeflist);
            });
        });
        function_range(implied, alias, lineage)
    }

    /// `XMLTABLE`.
    fn range_table_func(&mut self, table: &RangeTableFunc, left: &mut Vec<Scope>) -> Range {
        let RangeTableFunc { lateral: _, docexpr, rowexpr, namespaces, columns, alias, location: _ } =
            table;
        let ((), lineage) = self.rows_of(|walk| {
            walk.lateral(left, |walk| walk.all(&[docexpr, rowexpr, namespaces, columns]));
        });
        function_range(Some(Arc::from("xmltable")), alias, lineage)
    }

    fn json_table(&mut self, table: &JsonTable, left: &mut Vec<Scope>) -> Range {
        let JsonTable {
            context_item,
            pathspec,
            passing,
            columns,
            on_error,
            alias,
            lateral: _,
            location: _,
        } = table;
        let ((), lineage) = self.rows_of(|walk| {
            walk.lateral(left, |walk| walk.all(&[context_item, pathspec, passing, columns, on_error]));
        });
        function_range(Some(Arc::from("json_table")), alias, lineage)
    }

    fn range_table_sample(&mut self, sample: &RangeTableSample, left: &mut Vec<Scope>) -> Scope {
        let RangeTableSample { relation, method, args, repeatable, location: _ } = sample;
        self.call(method);
        self.condition(|walk| walk.lateral(left, |walk| walk.all(&[args, repeatable])));
        match relation.as_ref().and_then(|relation| relation.node.as_ref()) {
            Some(relation) => self.walk_from_item(relation, left),
            None => Scope::default(),
        }
    }

    fn join(&mut self, join: &JoinExpr, left: &mut Vec<Scope>) -> Scope {
        let JoinExpr {
            jointype,
            is_natural,
            larg,
            rarg,
            using_clause,
            join_using_alias,
            quals,
            alias,
            rtindex: _,
        } = join;
        let left_arm = self.arm(larg, left);
        left.push(left_arm);
        let right_arm = self.arm(rarg, left);
        let mut both = left.pop().unwrap_or_default();
        both.absorb(right_arm);
        if !using_clause.is_empty() || *is_natural {
            both.has_merge = true;
            both.has_full_merge |= JoinType::try_from(*jointype) == Ok(JoinType::JoinFull);
        }
        for column in strings(using_clause) {
            let column = Arc::from(column);
            for range in &both.ranges {
                let origin = range.column(&column);
                self.note_origin(origin.as_ref(), &column);
                self.note_compared(origin.as_ref());
            }
        }
        if *is_natural {
            // Compares every column that both sides have.
            let star = Arc::from("*");
            for column in both.ranges.iter().flat_map(Range::star) {
                self.note_origin(Some(&column.origin), &star);
                self.note_compared(Some(&column.origin));
            }
        }
        let ((), both) = self.lending(both, |walk| walk.condition(|walk| quals.visit(walk)));
        match (alias, join_using_alias) {
            // The alias of a whole join hides the names within it.
            (Some(alias), _) => {
                let columns = if both.has_full_merge || !self.may_follow(both.names) {
                    None
                } else {
                    Some(both.star())
                };
                Scope::of(vec![derived(None, columns, &Some(alias.clone()))])
            }
            // `using (..) as x` adds a name for the merged columns.
            (None, Some(using)) => {
                let mut scope = both;
                let merged = Range { alias: name(&using.aliasname), source: Source::Derived(None) };
                scope.absorb(Scope::of(vec![merged]));
                scope
            }
            (None, None) => both,
        }
    }
}

impl Walk {
    /// One side of a join.
    fn arm(&mut self, arm: &Option<Box<protobuf::Node>>, left: &mut Vec<Scope>) -> Scope {
        match arm.as_ref().and_then(|arm| arm.node.as_ref()) {
            Some(item) => self.walk_from_item(item, left),
            None => {
                self.doubt("a join with one side");
                Scope::default()
            }
        }
    }
}

/// The range of a relation of the catalog.
pub(super) fn base(relation: &RangeVar) -> Range {
    let alias = relation.alias.as_ref();
    Range {
        alias: Some(Arc::from(alias.map_or(relation.relname.as_str(), |alias| alias.aliasname.as_str()))),
        source: Source::Base {
            // Under an alias the schema can no longer be used to refer to it.
            schema: if alias.is_none() { name(&relation.schemaname) } else { None },
            name: Arc::from(relation.relname.as_str()),
            renamed: alias.is_some_and(|alias| !alias.colnames.is_empty()),
        },
    }
}

fn derived(own_name: Option<Arc<str>>, columns: Option<Vec<OutColumn>>, alias: &Option<Alias>) -> Range {
    let columns = match alias {
        Some(alias) => columns.map(|columns| renamed(columns, &alias.colnames)),
        None => columns,
    };
    Range {
        alias: alias.as_ref().map(|alias| Arc::from(alias.aliasname.as_str())).or(own_name),
        source: Source::Derived(columns),
    }
}

fn function_range(implied: Option<Arc<str>>, alias: &Option<Alias>, lineage: Lineage) -> Range {
    Range {
        alias: alias.as_ref().map(|alias| Arc::from(alias.aliasname.as_str())).or(implied),
        source: Source::Function(lineage.into_origin()),
    }
}

/// The columns under the names of a list of column aliases, as in `with c (a, b) as`.
pub(super) fn renamed(mut columns: Vec<OutColumn>, aliases: &[protobuf::Node]) -> Vec<OutColumn> {
    let aliases = strings(aliases);
    if aliases.is_empty() {
        return columns;
    }
    let countable = columns
        .iter()
        .take(aliases.len())
        .all(|column| matches!(column.name, OutName::Known(_) | OutName::Any));
    if countable {
        for (column, alias) in columns.iter_mut().zip(aliases) {
            column.name = OutName::Known(Arc::from(alias));
        }
    } else {
        // Behind a `*` nobody can count: each name may be each column.
        for column in &mut columns {
            column.name = match column.name {
                OutName::Star | OutName::RenamedStar => OutName::RenamedStar,
                OutName::Known(_) | OutName::Any => OutName::Any,
            };
        }
    }
    columns
}

impl Visit for RangeTableFuncCol {
    fn visit(&self, walk: &mut Walk) {
        let Self {
            colname: _,
            type_name,
            for_ordinality: _,
            is_not_null: _,
            colexpr,
            coldefexpr,
            location: _,
        } = self;
        walk.all(&[type_name, colexpr, coldefexpr]);
        if let Some(target) = type_name {
            walk.conversion(target);
        }
    }
}

impl Visit for JsonTableColumn {
    fn visit(&self, walk: &mut Walk) {
        let Self {
            coltype: _,
            name: _,
            type_name,
            pathspec,
            format: _,
            wrapper: _,
            quotes: _,
            columns,
            on_empty,
            on_error,
            location: _,
        } = self;
        walk.all(&[type_name, pathspec, columns, on_empty, on_error]);
        if let Some(target) = type_name {
            walk.conversion(target);
        }
    }
}

impl Visit for JsonTablePathSpec {
    fn visit(&self, walk: &mut Walk) {
        let Self { string, name: _, name_location: _, location: _ } = self;
        string.visit(walk);
    }
}

impl Walk {
    /// Notes that rows are compared by these.
    pub(super) fn note_compared(&mut self, origin: Option<&Origin>) {
        let mut lineage = Lineage::default();
        if let Some(origin) = origin {
            lineage.add_origin(origin);
        }
        self.note_condition(&lineage);
    }

    /// Notes the columns that a name stands for.
    pub(super) fn note_origin(&mut self, origin: Option<&Origin>, as_named: &Arc<str>) {
        for column in meant(origin, as_named) {
            self.note_column(&column);
        }
    }

    /// The same, of a name that gets a value.
    pub(super) fn note_target(&mut self, origin: Option<&Origin>, as_named: &Arc<str>) {
        for column in meant(origin, as_named) {
            self.note_passive(&column);
        }
    }
}

/// The columns that a name stands for. One of nothing that is known may be of anything.
fn meant(origin: Option<&Origin>, as_named: &Arc<str>) -> Vec<Column> {
    let columns: Vec<Column> = origin.into_iter().flat_map(Origin::columns).cloned().collect();
    if columns.is_empty() { vec![Column { relation: None, name: Arc::clone(as_named) }] } else { columns }
}
