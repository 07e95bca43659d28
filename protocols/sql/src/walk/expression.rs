//! Expressions: columns, calls, and everything that only passes on what is within.

use std::sync::Arc;

use gatewright_model::sql::Column;
use pg_query::{
    NodeEnum,
    protobuf::{
        self, AArrayExpr, AIndices, AIndirection, BoolExpr, BooleanTest, CaseExpr, CaseWhen, CoalesceExpr,
        CollateClause, ColumnRef, FuncCall, GroupingFunc, GroupingSet, JsonAggConstructor, JsonArgument,
        JsonArrayAgg, JsonArrayConstructor, JsonArrayQueryConstructor, JsonBehavior, JsonFuncExpr,
        JsonIsPredicate, JsonKeyValue, JsonObjectAgg, JsonObjectConstructor, JsonParseExpr, JsonReturning,
        JsonScalarExpr, JsonSerializeExpr, JsonValueExpr, MinMaxExpr, MultiAssignRef, NamedArgExpr,
        NullTest, ResTarget, RowExpr, SqlValueFunction, SubLink, TypeName, WindowDef, XmlExpr,
    },
};

use super::{Visit, Walk, condition::Search, strings};
use crate::{
    functions,
    lineage::{Origin, OutColumn, OutName},
    scope::{Range, Source},
};

impl Walk {
    /// A column in an expression.
    pub(super) fn column(&mut self, column: &ColumnRef) {
        if is_star(column) {
            // In an expression `p.*` is the row as one value.
            for column in self.star(column) {
                self.lineage.add_origin(&column.origin);
            }
            self.lineage.doubtful = true;
        } else {
            let origin = self.column_origin(column);
            self.lineage.add_origin(&origin);
        }
    }

    /// Notes a column. Returns where it comes from.
    pub(super) fn column_origin(&mut self, column: &ColumnRef) -> Origin {
        let ColumnRef { fields, location: _ } = column;
        let origin = match strings(fields).as_slice() {
            [name] => self.unqualified(&Arc::from(*name)),
            [.., qualifier, name] => {
                let schema = strings(fields).iter().rev().nth(2).map(|schema| Arc::from(*schema));
                self.qualified(schema.as_ref(), qualifier, &Arc::from(*name))
            }
            [] => {
                self.doubt("a column without a name");
                Origin::Unknown
            }
        };
        if let Origin::Unknown = origin {
            self.lineage.doubtful = true;
        }
        origin
    }

    fn unqualified(&mut self, name: &Arc<str>) -> Origin {
        if !self.may_follow(self.visible()) {
            return Origin::Unknown;
        }
        let mut candidates: Option<Origin> = None;
        let mut open = false;
        let mut whole_rows = Vec::new();
        let mut aimed = self.aim.as_ref().map(Search::new);
        let mut hit = false;
        for (depth, scope) in self.scopes.iter().enumerate().rev() {
            for (position, range) in scope.ranges.iter().enumerate() {
                hit |= aimed.as_mut().is_some_and(|aimed| aimed.finds(depth, position, range));
                if range.alias.as_ref() == Some(name) && !matches!(range.source, Source::Function(_)) {
                    whole_rows.push(range.clone());
                }
                match &range.source {
                    // Its columns are in the catalog: it may have this one, and so may any other.
                    Source::Base { .. } => {
                        let column = Column { relation: None, name: renamed_or(range, name) };
                        let origin = Origin::Direct(vec![column]);
                        candidates = Some(candidates.map_or(origin.clone(), |so_far| so_far.or(origin)));
                        open = true;
                    }
                    // A function's alias may be the name of its column; if not, a column further out of that name comes first.
                    Source::Function(origin) => {
                        candidates =
                            Some(candidates.map_or(origin.clone(), |so_far| so_far.or(origin.clone())));
                        open = true;
                    }
                    Source::Derived(_) => {
                        if let Some(origin) = range.column(name) {
                            candidates =
                                Some(candidates.map_or(origin.clone(), |so_far| so_far.or(origin)));
                            open |= range.is_open();
                        }
                    }
                }
            }
            if scope.has_full_merge {
                candidates = candidates.map(|origin| Origin::Computed(vec![]).or(origin));
            }
            // The innermost query that surely has it wins; where it only may, look further out too.
            if candidates.is_some() && !open {
                break;
            }
        }
        if let Some(aim) = &mut self.aim {
            aim.hit |= hit;
        }
        self.note_origin(candidates.as_ref(), name);
        if !whole_rows.is_empty() {
            // `select p from people p`: the server prefers a column of that name, else it is the row.
            for column in whole_rows.iter().flat_map(Range::star) {
                self.note_origin(Some(&column.origin), name);
                self.lineage.add_origin(&column.origin);
            }
            return Origin::Unknown;
        }
        // A name of nothing that is known here may be of anything, unless the answer has a column of that name and this is where it may be used.
        let is_output = self.outputs.iter().any(|output| output == name);
        candidates.unwrap_or_else(|| if is_output { Origin::Computed(Vec::new()) } else { Origin::Unknown })
    }

    fn qualified(&mut self, schema: Option<&Arc<str>>, qualifier: &str, name: &Arc<str>) -> Origin {
        if !self.may_follow(self.visible()) {
            return Origin::Unknown;
        }
        let Some(range) = self.range_named(schema, qualifier) else {
            self.note_column(&Column { relation: Some(Arc::from(qualifier)), name: Arc::clone(name) });
            self.fields.insert(Column { relation: None, name: Arc::clone(name) });
            return Origin::Unknown;
        };
        self.note_field(&range, name);
        let origin = range.column(name);
        self.note_origin(origin.as_ref(), name);
        if functions::takes_a_row(name) {
            // `p.row_to_json` is a call of that function with the row, unless a column has that name.
            for column in range.star() {
                self.note_origin(Some(&column.origin), name);
            }
            return Origin::Unknown;
        }
        origin.unwrap_or(Origin::Unknown)
    }

    /// Notes a name behind a row's, unless that row surely has such a column.
    fn note_field(&mut self, range: &Range, name: &Arc<str>) {
        let relation = match &range.source {
            Source::Base { name, renamed: false, .. } => Some(Arc::clone(name)),
            Source::Derived(Some(columns))
                if columns
                    .iter()
                    .any(|column| matches!(&column.name, OutName::Known(own) if own == name)) =>
            {
                return;
            }
            Source::Base { .. } | Source::Derived(_) | Source::Function(_) => None,
        };
        self.fields.insert(Column { relation, name: Arc::clone(name) });
    }

    /// `*` or `p.*` where it stands for columns.
    pub(super) fn star(&mut self, column: &ColumnRef) -> Vec<OutColumn> {
        let ColumnRef { fields, location: _ } = column;
        let names = strings(fields);
        if !self.may_follow(self.visible()) {
            return vec![OutColumn { name: OutName::RenamedStar, origin: Origin::Unknown }];
        }
        let (columns, whole) = match names.as_slice() {
            [] => match self.scopes.last() {
                Some(scope) => (scope.star(), !scope.has_full_merge),
                None => (Vec::new(), false),
            },
            [.., qualifier] => {
                let schema = names.iter().rev().nth(1).map(|schema| Arc::from(*schema));
                match self.range_named(schema.as_ref(), qualifier) {
                    Some(range) => (range.star(), true),
                    None => {
                        self.columns
                            .insert(Column { relation: Some(Arc::from(*qualifier)), name: Arc::from("*") });
                        (Vec::new(), false)
                    }
                }
            }
        };
        let star = Arc::from("*");
        for column in columns.iter().filter(|column| !column.origin.is_nothing()) {
            self.note_origin(Some(&column.origin), &star);
        }
        if whole {
            columns
        } else {
            vec![OutColumn { name: OutName::RenamedStar, origin: Origin::Unknown }]
        }
    }

    /// How many names can be seen from here: FROM items and columns of subqueries.
    fn visible(&self) -> usize {
        self.scopes.iter().map(|scope| scope.names).sum()
    }

    /// The FROM item that a qualifier means: the innermost of that name.
    fn range_named(&mut self, schema: Option<&Arc<str>>, qualifier: &str) -> Option<Range> {
        let is_meant = |range: &Range| {
            range.alias.as_deref() == Some(qualifier)
                && match (schema, &range.source) {
                    (None, _) => true,
                    // Its schema may have been left out in FROM.
                    (Some(wanted), Source::Base { schema, .. }) => {
                        schema.as_ref().is_none_or(|own| own == wanted)
                    }
                    (Some(_), _) => false,
                }
        };
        let (depth, position, range) =
            self.scopes.iter().enumerate().rev().find_map(|(depth, scope)| {
                let mut ranges = scope.ranges.iter().enumerate();
                ranges.find(|(_, range)| is_meant(range)).map(|(position, range)| (depth, position, range))
            })?;
        if let Some(aim) = &mut self.aim {
            aim.hit |= aim.is_at(depth, position);
        }
        Some(range.clone())
    }

    pub(super) fn func_call(&mut self, call: &FuncCall) {
        let FuncCall {
            funcname,
            args,
            agg_order,
            agg_filter,
            over,
            agg_within_group: _,
            agg_star: _,
            agg_distinct: _,
            func_variadic: _,
            funcformat: _,
            location: _,
        } = call;
        self.call(funcname);
        if let ["pg_catalog", name @ "system_user"] = strings(funcname).as_slice() {
            // A keyword since PostgreSQL 16, and before that a name like any other.
            let column = self.unqualified(&Arc::from(*name));
            self.lineage.add_origin(&column);
        }
        if functions::is_set_config(&strings(funcname)) {
            self.set_config(args);
        }
        if let Some(window) = over
            && !(window.name.is_empty() && window.refname.is_empty())
        {
            // A window of the WINDOW clause: which one does not matter.
            let windows = self.scopes.last().map(|scope| scope.windows.clone()).unwrap_or_default();
            self.lineage.merge(&windows);
        }
        self.all(&[args, agg_order, agg_filter, over]);
    }

    /// A sub-select in an expression is made of everything that is named within.
    pub(super) fn sub_link(&mut self, link: &SubLink) {
        let SubLink { xpr, sub_link_type: _, sub_link_id: _, testexpr, oper_name, subselect, location: _ } =
            link;
        if !oper_name.is_empty() {
            self.operator(oper_name);
        }
        self.all(&[xpr, testexpr]);
        self.sub_select(subselect);
    }

    fn sub_select(&mut self, query: &Option<Box<protobuf::Node>>) {
        let columns = self.query_node(query);
        for column in columns.unwrap_or_default() {
            self.lineage.add_origin(&column.origin);
        }
    }

    pub(super) fn json_array_query(&mut self, expr: &JsonArrayQueryConstructor) {
        let JsonArrayQueryConstructor { query, output, format: _, absent_on_null: _, location: _ } = expr;
        self.sub_select(query);
        output.visit(self);
    }

    /// `(p).ssn`, `a[1]`, `(f(x)).*`.
    pub(super) fn indirection(&mut self, expr: &AIndirection) {
        let AIndirection { arg, indirection } = expr;
        self.all(&[arg, indirection]);
        // A field of a row can also be the call of a function with that row.
        for field in strings(indirection) {
            self.fields.insert(Column { relation: None, name: Arc::from(field) });
            if functions::takes_a_row(field) {
                self.lineage.doubtful = true;
            }
        }
        if indirection.iter().any(|step| matches!(step.node, Some(NodeEnum::AStar(_)))) {
            self.lineage.doubtful = true;
        }
    }
}

/// Is it `(p).*`, or `f(x).*`: as many columns as that row has?
pub(super) fn is_row_star(value: &NodeEnum) -> bool {
    let NodeEnum::AIndirection(expr) = value else { return false };
    expr.indirection.iter().any(|step| matches!(step.node, Some(NodeEnum::AStar(_))))
}

/// Is it `*`, or `p.*`?
pub(super) fn is_star(column: &ColumnRef) -> bool {
    column.fields.iter().any(|field| matches!(field.node, Some(NodeEnum::AStar(_))))
}

/// The name that the server gives to a column without an alias (`FigureColname`), as far as it is
/// followed here.
pub(super) fn implied_name(value: &NodeEnum) -> OutName {
    let last = |names: &[protobuf::Node]| {
        strings(names).last().map_or(OutName::Any, |name| OutName::Known(Arc::from(*name)))
    };
    match value {
        NodeEnum::ColumnRef(column) => last(&column.fields),
        NodeEnum::FuncCall(call) => last(&call.funcname),
        _ => OutName::Any,
    }
}

fn renamed_or(range: &Range, name: &Arc<str>) -> Arc<str> {
    match range.source {
        Source::Base { renamed: true, .. } => Arc::from("*"),
        _ => Arc::clone(name),
    }
}

/// Declares what of a node is walked: every field is either named as a part or as nothing to walk.
macro_rules! passes_on {
    ($($node:ident { $($part:ident),* ; $($rest:ident),* })*) => {
        $(impl Visit for $node {
            fn visit(&self, walk: &mut Walk) {
                let Self { $($part,)* $($rest: _,)* } = self;
                walk.all(&[$($part),*]);
            }
        })*
    };
}
pub(super) use passes_on;

passes_on! {
    BoolExpr { xpr, args; boolop, location }
    NullTest { xpr, arg; nulltesttype, argisrow, location }
    BooleanTest { xpr, arg; booltesttype, location }
    CaseExpr { xpr, arg, args, defresult; casetype, casecollid, location }
    CaseWhen { xpr, expr, result; location }
    CoalesceExpr { xpr, args; coalescetype, coalescecollid, location }
    MinMaxExpr { xpr, args; minmaxtype, minmaxcollid, inputcollid, op, location }
    NamedArgExpr { xpr, arg; name, argnumber, location }
    RowExpr { xpr, args; row_typeid, row_format, colnames, location }
    AArrayExpr { elements; list_start, list_end, location }
    AIndices { lidx, uidx; is_slice }
    CollateClause { arg; collname, location }
    GroupingFunc { xpr, args, refs; agglevelsup, location }
    GroupingSet { content; kind, location }
    SqlValueFunction { xpr; op, r#type, typmod, location }
    XmlExpr { xpr, named_args, args; op, name, arg_names, xmloption, indent, r#type, typmod, location }
    MultiAssignRef { source; colno, ncolumns }
    ResTarget { indirection, val; name, location }
    WindowDef { partition_clause, order_clause, start_offset, end_offset; name, refname, frame_options, location }
    JsonReturning {; format, typid, typmod }
    JsonValueExpr { raw_expr, formatted_expr; format }
    JsonIsPredicate { expr; format, item_type, unique_keys, location }
    JsonBehavior { expr; btype, coerce, location }
    JsonArgument { val; name }
    JsonFuncExpr { context_item, pathspec, passing, output, on_empty, on_error; op, column_name, wrapper, quotes, location }
    JsonKeyValue { key, value; }
    JsonParseExpr { expr, output; unique_keys, location }
    JsonScalarExpr { expr, output; location }
    JsonSerializeExpr { expr, output; location }
    JsonObjectConstructor { exprs, output; absent_on_null, unique, location }
    JsonArrayConstructor { exprs, output; absent_on_null, location }
    JsonAggConstructor { output, agg_filter, agg_order, over; location }
    JsonObjectAgg { constructor, arg; absent_on_null, unique }
    JsonArrayAgg { constructor, arg; absent_on_null }
}

impl Visit for TypeName {
    fn visit(&self, walk: &mut Walk) {
        let Self { names, type_oid: _, setof: _, pct_type, typmods, typemod: _, array_bounds, location: _ } =
            self;
        if *pct_type {
            // `people.ssn%type` reads the catalog about the relation.
            super::object::qualified(walk, names, gatewright_model::sql::Access::Read, 1);
        }
        walk.all(&[typmods, array_bounds]);
    }
}
