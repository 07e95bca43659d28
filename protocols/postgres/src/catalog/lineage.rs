//! What each column of a view is made of, by the tree of its query.
//!
//! Followed are the columns of subqueries, CTEs (recursive ones too), joins and set operations. What a function, `VALUES` or `LATERAL` source gives is made of
//! all that goes in. A value that a subquery computes for one row is made of everything the subquery uses, its conditions too; whatever chooses the rows of
//! the view itself makes no column. Whether what an outer join adds is there or null tells of its condition, and of what makes the rows of that side. For
//! anything else, and for what takes too long, the answer is that it is not known.

use std::collections::{HashMap, HashSet};

use super::node_tree::Node;

/// A column of a relation: its oid and the column's number.
pub(crate) type ColumnId = (u32, i16);

/// What a column is made of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Columns whose values stand in it as they are.
    pub plain: Vec<ColumnId>,
    /// Columns that others of its values are computed from, or that decide whether one is there.
    pub computed: Vec<ColumnId>,
    /// Some of its values are computed, or come from no column.
    pub others: bool,
}

impl Sources {
    /// Those of a column that is another one, as it stands.
    pub fn of(column: ColumnId) -> Self {
        Self { plain: vec![column], ..Self::default() }
    }
}

/// What each column of the view is made of, by number, as far as it is known. `tree`: of the rule by which the view shows rows. `left`: how many parts of
/// trees may be looked at, of which it takes those that it looks at.
pub(super) fn of_view(tree: &[u8], left: &mut usize) -> HashMap<i16, Sources> {
    let Some(Node::List(queries)) = Node::read(tree) else { return HashMap::new() };
    let [query] = &*queries else { return HashMap::new() };
    let scope = Scope { query, outer: None };
    let own = (*left).min(LONGEST);
    let mut walk = Walk { left: own, ..Walk::default() };
    let columns = query.list("targetList").unwrap_or_default().iter();
    let columns = columns.filter_map(|entry| entry.number("resno"));
    let sources = columns.filter_map(|number| Some((number, walk.sources(&scope, number)?))).collect();
    *left -= own - walk.left;
    sources
}

/// A query, and those around it.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    query: &'a Node<'a>,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// The scope that a reference means which goes up so many levels.
    fn up(&self, levels: u32) -> Option<Scope<'a>> {
        let mut scope = *self;
        for _ in 0..levels {
            scope = *scope.outer?;
        }
        Some(scope)
    }

    fn range_entry(&self, number: usize) -> Option<&'a Node<'a>> {
        self.query.list("rtable")?.get(number.checked_sub(1)?)
    }
}

/// The server's `RTEKind`, of version 10 and later.
mod range_kind {
    pub(super) const RELATION: u8 = 0;
    pub(super) const SUBQUERY: u8 = 1;
    pub(super) const JOIN: u8 = 2;
    pub(super) const FUNCTION: u8 = 3;
    pub(super) const TABLE_FUNCTION: u8 = 4;
    pub(super) const VALUES: u8 = 5;
    pub(super) const CTE: u8 = 6;
    pub(super) const RESULT: u8 = 8;
    pub(super) const GROUP: u8 = 9;
}

/// The server's `JoinType`, as far as a view can hold it.
mod join {
    pub(super) const INNER: u8 = 0;
    pub(super) const LEFT: u8 = 1;
    pub(super) const FULL: u8 = 2;
    pub(super) const RIGHT: u8 = 3;
}

/// How what is reached shows in the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Use {
    Plain,
    Computed,
}

/// The query of the CTE that an entry of a range table means, and what is around it.
fn cte<'a>(entry: &Node<'a>, scope: &Scope<'a>) -> Option<(&'a Node<'a>, Scope<'a>)> {
    let scope = scope.up(entry.number("ctelevelsup")?)?;
    let name = entry.token("ctename")?;
    let mut ctes = scope.query.list("cteList")?.iter();
    let query = ctes.find(|cte| cte.token("ctename") == Some(name))?.field("ctequery");
    Some((query.filter(|query| query.is("QUERY"))?, scope))
}

/// A search for what one column is made of.
#[derive(Debug, Default)]
struct Walk {
    plain: HashSet<ColumnId>,
    computed: HashSet<ColumnId>,
    others: bool,
    /// Parts that were looked at, by their place in memory. A recursive CTE comes back to itself; and what was looked at once adds nothing more.
    seen: HashSet<(*const (), i16, Use)>,
    depth: usize,
    /// How many parts may still be looked at.
    left: usize,
}

/// How deep the walk goes, down the tree and along references.
const DEEPEST: usize = 300;
/// How many parts are looked at for all columns of one view.
const LONGEST: usize = 200_000;
/// The same for all views of a catalog.
pub(super) const LONGEST_OF_ALL: usize = 4_000_000;

/// In the place of a column's number: a part as a whole, with everything below it.
const WHOLE: i16 = 0;
/// The same: a part as the value that a reference leads to.
const ENTRY: i16 = -1;
/// A query, as what makes its rows.
const ROWS: i16 = -2;
/// A query, as what an aggregate of it is fed by.
const FED: i16 = -3;
/// An outer join, as what decides whether the columns that it adds are null.
const NULLED: i16 = -4;
/// The same, of a full one, for the columns of its left side.
const NULLED_LEFT: i16 = -5;

/// None: it is not known.
type Found = Option<()>;

/// A step into a subquery or CTE.
type OfQuery = fn(&mut Walk, &Scope<'_>) -> Found;

impl Walk {
    fn sources(&mut self, scope: &Scope<'_>, column: i16) -> Option<Sources> {
        *self = Self { left: self.left, ..Self::default() };
        self.output(scope, column, Use::Plain)?;
        let sorted = |columns: &HashSet<ColumnId>| {
            let mut columns = Vec::from_iter(columns.iter().copied());
            columns.sort_unstable();
            columns
        };
        Some(Sources { plain: sorted(&self.plain), computed: sorted(&self.computed), others: self.others })
    }

    /// Goes one step deeper, unless it has been there.
    fn enter(
        &mut self,
        part: &Node<'_>,
        column: i16,
        how: Use,
        step: impl FnOnce(&mut Self) -> Found,
    ) -> Found {
        self.left = self.left.checked_sub(1)?;
        if !self.seen.insert((std::ptr::from_ref(part).cast(), column, how)) {
            return Some(());
        }
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let found = step(self);
        self.depth -= 1;
        found
    }

    /// A column of a query's answer.
    fn output(&mut self, scope: &Scope<'_>, column: i16, how: Use) -> Found {
        self.enter(scope.query, column, how, |walk| match scope.query.field("setOperations")? {
            Node::Token(b"<>") => {
                let mut entries = scope.query.list("targetList")?.iter();
                let entry = entries.find(|entry| {
                    entry.number("resno") == Some(column) && entry.token("resjunk") == Some(b"false")
                })?;
                walk.value(entry.field("expr")?, scope, how)
            }
            operation => walk.arms(operation, scope, column, how),
        })
    }

    /// A column of every arm of a set operation.
    fn arms(&mut self, operation: &Node<'_>, scope: &Scope<'_>, column: i16, how: Use) -> Found {
        self.enter(operation, column, how, |walk| {
            if operation.is("RANGETBLREF") {
                return walk.reference(scope, operation.number("rtindex")?, column, how);
            }
            for side in ["larg", "rarg"] {
                walk.arms(operation.field(side)?, scope, column, how)?;
            }
            Some(())
        })
    }

    /// A value as it stands, or as something that is computed from it.
    fn value(&mut self, value: &Node<'_>, scope: &Scope<'_>, how: Use) -> Found {
        if value.is("VAR") {
            let scope = scope.up(value.number("varlevelsup")?)?;
            return self.reference(&scope, value.number("varno")?, value.number("varattno")?, how);
        }
        self.others = true;
        self.all(value, scope)
    }

    /// A column of an entry of a query's range table.
    fn reference(&mut self, scope: &Scope<'_>, entry: usize, column: i16, how: Use) -> Found {
        if let Some(tables) = scope.query.field("jointree") {
            self.nulled(tables, entry, scope)?;
        }
        let entry = scope.range_entry(entry)?;
        // Neither a whole row nor a system column.
        let index = usize::try_from(column).ok()?.checked_sub(1)?;
        match entry.number::<u8>("rtekind")? {
            range_kind::RELATION => {
                let columns = match how {
                    Use::Plain => &mut self.plain,
                    Use::Computed => &mut self.computed,
                };
                columns.insert((entry.number("relid")?, column));
                Some(())
            }
            range_kind::SUBQUERY => {
                let query = entry.field("subquery").filter(|query| query.is("QUERY"))?;
                let scope = Scope { query, outer: Some(scope) };
                if entry.token("lateral") != Some(b"false") {
                    // It is asked anew for each row beside it: what it gives depends on all that it uses.
                    self.others = true;
                    self.query(&scope)?;
                }
                self.output(&scope, column, how)
            }
            range_kind::JOIN => self.entry_of(entry, "joinaliasvars", index, scope, how),
            range_kind::GROUP => self.entry_of(entry, "groupexprs", index, scope, how),
            range_kind::FUNCTION => self.given_by(entry, "functions", scope),
            range_kind::TABLE_FUNCTION => self.given_by(entry, "tablefunc", scope),
            range_kind::VALUES => self.given_by(entry, "values_lists", scope),
            range_kind::CTE => {
                let (query, scope) = cte(entry, scope)?;
                self.output(&Scope { query, outer: Some(&scope) }, column, how)
            }
            _ => None,
        }
    }

    /// If there is something in this part of FROM by which the entry's columns may be null: what decides that. Says whether the entry is in this part.
    fn nulled(&mut self, part: &Node<'_>, entry: usize, scope: &Scope<'_>) -> Option<bool> {
        self.left = self.left.checked_sub(1)?;
        if part.is("RANGETBLREF") {
            return Some(part.number::<usize>("rtindex")? == entry);
        }
        if part.is("FROMEXPR") {
            for item in part.list("fromlist")? {
                if self.nested(item, entry, scope)? {
                    return Some(true);
                }
            }
            return Some(false);
        }
        if !part.is("JOINEXPR") {
            // A query without FROM.
            return matches!(part, Node::Token(b"<>")).then_some(false);
        }
        let kind = part.number::<u8>("jointype")?;
        let (left, right) = (part.field("larg")?, part.field("rarg")?);
        let (is_left, is_right) = (self.nested(left, entry, scope)?, self.nested(right, entry, scope)?);
        let (side, place) = match kind {
            join::INNER => return Some(is_left || is_right),
            join::LEFT | join::FULL if is_right => (right, NULLED),
            join::RIGHT | join::FULL if is_left => (left, NULLED_LEFT),
            join::LEFT | join::FULL | join::RIGHT => return Some(is_left || is_right),
            _ => return None,
        };
        self.enter(part, place, Use::Computed, |walk| {
            walk.all(part.field("quals")?, scope)?;
            walk.made_by(side, scope)
        })?;
        Some(true)
    }

    /// The same, one step deeper.
    fn nested(&mut self, part: &Node<'_>, entry: usize, scope: &Scope<'_>) -> Option<bool> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let found = self.nulled(part, entry, scope);
        self.depth -= 1;
        found
    }

    /// What makes the rows of one side of a join.
    fn made_by(&mut self, side: &Node<'_>, scope: &Scope<'_>) -> Found {
        self.enter(side, ROWS, Use::Computed, |walk| {
            if side.is("RANGETBLREF") {
                return walk.item_of_from(scope.range_entry(side.number("rtindex")?)?, scope, Self::rows);
            }
            walk.all(side.field("quals")?, scope)?;
            walk.made_by(side.field("larg")?, scope)?;
            walk.made_by(side.field("rarg")?, scope)
        })
    }

    fn entry_of(
        &mut self,
        entry: &Node<'_>,
        list: &str,
        index: usize,
        scope: &Scope<'_>,
        how: Use,
    ) -> Found {
        let value = entry.list(list)?.get(index)?;
        self.enter(value, ENTRY, how, |walk| walk.value(value, scope, how))
    }

    fn given_by(&mut self, entry: &Node<'_>, field: &str, scope: &Scope<'_>) -> Found {
        self.others = true;
        self.all(entry.field(field)?, scope)
    }

    /// Everything that is used in a part of a query.
    fn all(&mut self, part: &Node<'_>, scope: &Scope<'_>) -> Found {
        self.enter(part, WHOLE, Use::Computed, |walk| {
            if part.is("VAR") {
                return walk.value(part, scope, Use::Computed);
            }
            if part.is("QUERY") {
                return walk.whole_query(&Scope { query: part, outer: Some(scope) });
            }
            if part.is("WINDOWFUNC") {
                walk.fed(scope)?;
            } else if part.is("AGGREF") {
                walk.fed(&scope.up(part.number("agglevelsup")?)?)?;
            }
            part.parts().try_for_each(|part| walk.all(part, scope))
        })
    }

    /// What a window function or an aggregate gives depends on which rows it gets, how many, and in which order: on what makes them, where that is not the view's
    /// own choice of rows, and on windows, groups and orders, which are entries of the target list that are referred to.
    fn fed(&mut self, scope: &Scope<'_>) -> Found {
        self.enter(scope.query, FED, Use::Computed, |walk| {
            if scope.outer.is_some() {
                return walk.rows(scope);
            }
            walk.referred(scope)?;
            walk.items_of_from(scope, Self::rows)
        })
    }

    /// All by which a query's rows are made, chosen, multiplied and sorted.
    fn rows(&mut self, scope: &Scope<'_>) -> Found {
        self.enter(scope.query, ROWS, Use::Computed, |walk| {
            let Node::Struct { fields, .. } = scope.query else { return None };
            // The arms of a set operation are compared with each other, and may ask for their own rows.
            if scope.query.token("setOperations") != Some(b"<>") {
                return walk.query(scope);
            }
            if scope.query.token("hasTargetSRFs") != Some(b"false") {
                walk.all(scope.query.field("targetList")?, scope)?;
            }
            walk.referred(scope)?;
            for (_, part) in fields
                .iter()
                .filter(|(name, _)| ![&b"rtable"[..], b"targetList", b"cteList"].contains(name))
            {
                walk.all(part, scope)?;
            }
            walk.items_of_from(scope, Self::rows)
        })
    }

    /// What is in FROM, but for relations. `of_query`: what is wanted of a subquery or CTE.
    fn items_of_from(&mut self, scope: &Scope<'_>, of_query: OfQuery) -> Found {
        scope.query.list("rtable")?.iter().try_for_each(|entry| self.item_of_from(entry, scope, of_query))
    }

    fn item_of_from(&mut self, entry: &Node<'_>, scope: &Scope<'_>, of_query: OfQuery) -> Found {
        match entry.number::<u8>("rtekind")? {
            range_kind::SUBQUERY => {
                let query = entry.field("subquery").filter(|query| query.is("QUERY"))?;
                of_query(self, &Scope { query, outer: Some(scope) })
            }
            range_kind::CTE => {
                let (query, scope) = cte(entry, scope)?;
                of_query(self, &Scope { query, outer: Some(&scope) })
            }
            range_kind::FUNCTION => self.all(entry.field("functions")?, scope),
            range_kind::TABLE_FUNCTION => self.all(entry.field("tablefunc")?, scope),
            range_kind::VALUES => self.all(entry.field("values_lists")?, scope),
            range_kind::RELATION => match entry.field("tablesample") {
                Some(sample) => self.all(sample, scope),
                None => Some(()),
            },
            // They list columns, of which those that are used are referred to.
            range_kind::JOIN | range_kind::GROUP | range_kind::RESULT => Some(()),
            _ => None,
        }
    }

    /// Entries of the target list by which a query is sorted, grouped, divided or made distinct.
    fn referred(&mut self, scope: &Scope<'_>) -> Found {
        for entry in scope.query.list("targetList")? {
            if entry.token("ressortgroupref") != Some(b"0") {
                self.all(entry, scope)?;
            }
        }
        self.all(scope.query.field("windowClause")?, scope)
    }

    /// Everything that a query uses, unless it has been looked at.
    fn query(&mut self, scope: &Scope<'_>) -> Found {
        self.enter(scope.query, WHOLE, Use::Computed, |walk| walk.whole_query(scope))
    }

    /// Everything that a query uses, in whatever place. How many rows a CTE has, and which, tells of all that it uses.
    fn whole_query(&mut self, scope: &Scope<'_>) -> Found {
        let Node::Struct { fields, .. } = scope.query else { return None };
        for (_, part) in fields.iter().filter(|(name, _)| *name != b"rtable") {
            self.all(part, scope)?;
        }
        self.items_of_from(scope, Self::query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A relation in a range table.
    fn table(oid: u32) -> String {
        format!("{{RTE :rtekind 0 :relid {oid}}}")
    }

    fn var(entry: usize, column: i16, levels: usize) -> String {
        format!("{{VAR :varno {entry} :varattno {column} :varlevelsup {levels}}}")
    }

    fn call(arguments: &[String]) -> String {
        format!("{{FUNCEXPR :funcid 871 :args ({})}}", arguments.join(" "))
    }

    fn query(range: &[String], values: &[String]) -> String {
        query_with("", range, values)
    }

    /// A query with further fields, which go before the usual ones.
    fn query_with(fields: &str, range: &[String], values: &[String]) -> String {
        let entries: Vec<String> = (1..)
            .zip(values)
            .map(|(number, value)| {
                format!("{{TARGETENTRY :expr {value} :resno {number} :resname :resno :ressortgroupref {number} :resjunk false}}")
            })
            .collect();
        format!(
            "{{QUERY {fields} :hasTargetSRFs false :cteList <> :rtable ({}) :jointree <> :targetList ({}) :windowClause <> :setOperations <>}}",
            range.join(" "),
            entries.join(" ")
        )
    }

    fn subquery(query: &str) -> String {
        format!("{{RTE :rtekind 1 :lateral false :subquery {query}}}")
    }

    /// What the columns are made of: as they stand, computed, and does anything come from elsewhere?
    fn made_of(query: &str) -> Vec<(i16, Vec<ColumnId>, Vec<ColumnId>, bool)> {
        let mut all: Vec<_> = of_view(format!("({query})").as_bytes(), &mut { LONGEST_OF_ALL })
            .into_iter()
            .map(|(number, sources)| (number, sources.plain, sources.computed, sources.others))
            .collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a025_columns_of_subqueries_are_followed() {
        let inner = query(&[table(10)], &[var(1, 3, 0), call(&[var(1, 4, 0)])]);
        let outer = query(&[subquery(&inner)], &[var(1, 2, 0), var(1, 1, 0), call(&[var(1, 1, 0)])]);
        assert_eq!(
            made_of(&outer),
            [
                (1, vec![], vec![(10, 4)], true),
                (2, vec![(10, 3)], vec![], false),
                (3, vec![], vec![(10, 3)], true)
            ]
        );
    }

    #[test]
    fn a025_each_arm_of_a_set_operation_counts() {
        let arms = [10, 20, 30].map(|oid| subquery(&query(&[table(oid)], &[var(1, 1, 0)])));
        let operations = ":setOperations {SETOPERATIONSTMT :larg {SETOPERATIONSTMT :larg {RANGETBLREF :rtindex 1} :rarg {RANGETBLREF :rtindex 2}} \
                          :rarg {RANGETBLREF :rtindex 3}}";
        assert_eq!(
            made_of(&query_with(operations, &arms, &[var(1, 1, 0)])),
            [(1, vec![(10, 1), (20, 1), (30, 1)], vec![], false)]
        );
    }

    #[test]
    fn a025_a_recursive_query_comes_to_an_end() {
        let first = subquery(&query(&[table(10)], &[var(1, 1, 0), var(1, 2, 0)]));
        // Its second column is the first one of the row before.
        let again = query(
            &["{RTE :rtekind 6 :ctename r :ctelevelsup 2}".to_owned()],
            &[var(1, 1, 0), call(&[var(1, 1, 0)])],
        );
        let operation = ":setOperations {SETOPERATIONSTMT :larg {RANGETBLREF :rtindex 1} :rarg {RANGETBLREF :rtindex 2}}";
        let both = query_with(operation, &[first, subquery(&again)], &[var(1, 1, 0), var(1, 2, 0)]);
        let with = format!(
            ":cteList ({{COMMONTABLEEXPR :ctename q :ctequery <>}} {{COMMONTABLEEXPR :ctename r :ctequery {both}}})"
        );
        let view = query_with(
            &with,
            &["{RTE :rtekind 6 :ctename r :ctelevelsup 0}".to_owned()],
            &[var(1, 1, 0), var(1, 2, 0)],
        );
        assert_eq!(
            made_of(&view),
            [(1, vec![(10, 1)], vec![], false), (2, vec![(10, 2)], vec![(10, 1)], true)]
        );
    }

    #[test]
    fn a025_a_value_of_a_subquery_is_made_of_all_that_it_uses() {
        let inner = query_with(
            &format!(":havingQual {}", call(&[var(1, 3, 0), var(1, 2, 1)])),
            &[
                table(20),
                subquery(&query_with(
                    &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 9, 2)),
                    &[table(30)],
                    &[var(1, 1, 0)],
                )),
            ],
            &[var(1, 1, 0)],
        );
        let link = format!("{{SUBLINK :subLinkType 4 :testexpr <> :subselect {inner}}}");
        assert_eq!(
            made_of(&query(&[table(10)], &[link, var(1, 1, 0)])),
            [
                (1, vec![], vec![(10, 2), (10, 9), (20, 1), (20, 3), (30, 1)], true),
                (2, vec![(10, 1)], vec![], false)
            ]
        );
    }

    #[test]
    fn a025_a_window_function_or_aggregate_depends_on_the_order_of_rows() {
        let window = "{WINDOWFUNC :winfnoid 3100 :args <> :winref 1}".to_owned();
        let sorted = subquery(&query(&[table(20)], &[var(1, 7, 0)]));
        for function in [window, "{AGGREF :args <> :agglevelsup 0}".to_owned()] {
            assert_eq!(
                made_of(&query(&[table(10), sorted.clone()], &[function, var(1, 3, 0)])),
                [(1, vec![], vec![(10, 3), (20, 7)], true), (2, vec![(10, 3)], vec![], false)]
            );
        }
        let framed =
            ":windowClause ({WINDOWCLAUSE :endOffset {VAR :varno 1 :varattno 9 :varlevelsup 0} :winref 1})";
        assert_eq!(
            made_of(&query_with(framed, &[table(10)], &["{WINDOWFUNC :args <> :winref 1}".to_owned()])),
            [(1, vec![], vec![(10, 9)], true)]
        );
    }

    #[test]
    fn a025_an_aggregate_depends_on_what_makes_the_rows_that_it_gets() {
        let count = || "{AGGREF :args <> :agglevelsup 0}".to_owned();
        let counted = |entry: String| made_of(&query(&[entry], &[count()]));
        let chosen = query_with(
            &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
            &[table(10)],
            &[],
        );
        let copied = query(&[table(10)], &[call(&[var(1, 4, 0)])]).replace("SRFs false", "SRFs true");
        let plain = query(&[table(10)], &[var(1, 3, 0)]).replace("ressortgroupref 1", "ressortgroupref 0");
        assert_eq!(counted(subquery(&chosen)), [(1, vec![], vec![(10, 3)], true)]);
        assert_eq!(counted(subquery(&copied)), [(1, vec![], vec![(10, 4)], true)]);
        assert_eq!(counted(subquery(&plain)), [(1, vec![], vec![], true)]);
        assert_eq!(
            counted(subquery(&query(&[subquery(&chosen)], &[]))),
            [(1, vec![], vec![(10, 3)], true)]
        );
        let function = format!("{{RTE :rtekind 3 :functions ({})}}", call(&[var(1, 5, 1)]));
        let inner = query(&[function], &[count()]);
        let link = format!("{{SUBLINK :subselect {inner}}}");
        assert_eq!(made_of(&query(&[table(10)], &[link])), [(1, vec![], vec![(10, 5)], true)]);
        // Of the query around it.
        let inner = query(&[], &[count().replace("levelsup 0", "levelsup 1")]);
        let link = format!("{{SUBLINK :subselect {inner}}}");
        assert_eq!(made_of(&query(&[subquery(&chosen)], &[link])), [(1, vec![], vec![(10, 3)], true)]);
        // Of what is not known, nobody can say how many rows it has.
        for unknown in ["{RTE :rtekind 7}", "{RTE :rtekind 77}", "{RTE :relid 10}"] {
            assert_eq!(counted(unknown.to_owned()), [], "{unknown}");
        }
        // What the view itself chooses its rows by is its own affair.
        let own = query_with(
            &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
            &[table(10)],
            &[count()],
        );
        assert_eq!(made_of(&own), [(1, vec![], vec![], true)]);
    }

    #[test]
    fn a025_what_is_asked_anew_for_each_row_is_made_of_all_that_it_uses() {
        let inner = query_with(&format!(":limitCount {}", var(1, 3, 1)), &[table(20)], &[var(1, 1, 0)]);
        let lateral = |word: &str| format!("{{RTE :rtekind 1 :lateral {word} :subquery {inner}}}");
        let made_with = |entry: String| made_of(&query(&[table(10), entry], &[var(2, 1, 0)]));
        assert_eq!(made_with(lateral("true")), [(1, vec![(20, 1)], vec![(10, 3), (20, 1)], true)]);
        assert_eq!(made_with(lateral("false")), [(1, vec![(20, 1)], vec![], false)]);
    }

    /// A subquery that asks a CTE beside it tells how many rows that has, and which.
    #[test]
    fn a025_a_value_of_a_subquery_is_made_of_what_the_ctes_use_that_it_reads() {
        let with = query_with(
            &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
            &[table(10)],
            &[var(1, 1, 0)],
        );
        let with = format!(":cteList ({{COMMONTABLEEXPR :ctename r :ctequery {with}}})");
        let inner = query(&["{RTE :rtekind 6 :ctename r :ctelevelsup 1}".to_owned()], &[]);
        let link = format!("{{SUBLINK :subselect {inner}}}");
        assert_eq!(
            made_of(&query_with(&with, &[table(20)], &[link, var(1, 1, 0)])),
            [(1, vec![], vec![(10, 1), (10, 3)], true), (2, vec![(20, 1)], vec![], false)]
        );
    }

    #[test]
    fn so_much_is_looked_at_and_no_more() {
        let view = format!("({})", query(&[table(10)], &[call(&[var(1, 1, 0)]), call(&[var(1, 2, 0)])]));
        let mut left = 1_000;
        assert_eq!(of_view(view.as_bytes(), &mut left).len(), 2);
        let taken = 1_000 - left;
        for given in 0..taken {
            let mut left = given;
            assert!(of_view(view.as_bytes(), &mut left).len() < 2 && left == 0, "{given}");
        }
    }

    #[test]
    fn a025_columns_of_joins_and_of_what_is_given_row_by_row_are_followed() {
        let join = format!(
            "{{RTE :rtekind 2 :joinaliasvars ({} {} <>)}}",
            call(&[var(1, 1, 0), var(2, 1, 0)]),
            var(1, 2, 0)
        );
        let values = format!("{{RTE :rtekind 5 :values_lists (({}) ({}))}}", var(1, 7, 0), call(&[]));
        let function =
            format!("{{RTE :rtekind 3 :functions ({{RANGETBLFUNCTION :funcexpr {}}})}}", var(2, 5, 0));
        let range = [table(10), table(20), join, values, function];
        let columns = [var(3, 1, 0), var(3, 2, 0), var(4, 1, 0), var(5, 1, 0), call(&[var(3, 1, 0)])];
        assert_eq!(
            made_of(&query(&range, &columns)),
            [
                (1, vec![], vec![(10, 1), (20, 1)], true),
                (2, vec![(10, 2)], vec![], false),
                (3, vec![], vec![(10, 7)], true),
                (4, vec![], vec![(20, 5)], true),
                (5, vec![], vec![(10, 1), (20, 1)], true)
            ]
        );
    }

    #[test]
    fn a025_what_an_outer_join_adds_depends_on_its_condition_and_on_what_makes_its_rows() {
        let chosen = query_with(
            &format!(":jointree {{FROMEXPR :fromlist <> :quals {}}}", var(1, 3, 0)),
            &[table(30)],
            &[var(1, 1, 0), "{CONST}".to_owned()],
        )
        .replace(":ressortgroupref ", ":ressortgroupref 0 :was ");
        let range = [table(10), table(20), subquery(&chosen)];
        let made_by = |tables: String| {
            let from = format!(":jointree {{FROMEXPR :fromlist ({tables}) :quals <>}}");
            let columns = [var(1, 2, 0), var(2, 2, 0), var(3, 2, 0)];
            made_of(&query_with(&from, &range, &columns))
        };
        let entry = |number: usize| format!("{{RANGETBLREF :rtindex {number}}}");
        let join = |kind: usize, left: &str, right: &str, quals: &str| {
            format!("{{JOINEXPR :jointype {kind} :larg {left} :rarg {right} :quals {quals}}}")
        };
        let columns = |each: [&[ColumnId]; 3]| {
            let [first, second, third] = each.map(<[_]>::to_vec);
            [(1, vec![(10, 2)], first, false), (2, vec![(20, 2)], second, false), (3, vec![], third, true)]
        };
        let condition = var(1, 7, 0);
        let inner = join(0, &entry(1), &entry(2), &condition);
        // Rows of the view itself.
        assert_eq!(made_by(join(0, &inner, &entry(3), "<>")), columns([&[], &[], &[]]));
        // In the subquery's rows there is what chooses them.
        let left = join(1, &inner, &entry(3), &var(2, 8, 0));
        assert_eq!(made_by(left), columns([&[], &[], &[(20, 8), (30, 3)]]));
        let right = join(3, &inner, &entry(3), &var(2, 8, 0));
        assert_eq!(made_by(right), columns([&[(10, 7), (20, 8)], &[(10, 7), (20, 8)], &[]]));
        let full = join(2, &entry(3), &inner, "<>");
        assert_eq!(made_by(full), columns([&[(10, 7)], &[(10, 7)], &[(30, 3)]]));
        // Where that is in a chain of joins makes no difference.
        let nested = join(1, &entry(1), &join(1, &entry(2), &entry(3), "<>"), &condition);
        assert_eq!(made_by(nested), columns([&[], &[(10, 7), (30, 3)], &[(10, 7), (30, 3)]]));
        // Of a kind that no view can have, nobody knows what it does.
        assert_eq!(made_by(join(4, &inner, &entry(3), "<>")), []);
        assert_eq!(made_by("{NEWEXPR}".to_owned()), []);
    }

    #[test]
    fn a025_what_is_not_followed_is_not_known() {
        let is_known = |range: &[String], value: String| !made_of(&query(range, &[value])).is_empty();
        let join = "{RTE :rtekind 2 :joinaliasvars (<>)}".to_owned();
        assert!(is_known(&[table(10)], var(1, 1, 0)));
        for (range, value) in [
            (table(10), var(1, 0, 0)),
            (table(10), var(1, -1, 0)),
            (table(10), var(2, 1, 0)),
            (table(10), var(0, 1, 0)),
            (table(10), var(1, 1, 1)),
            (table(10), call(&[var(1, 0, 0)])),
            ("{RTE :rtekind 7}".to_owned(), var(1, 1, 0)),
            ("{RTE :rtekind 77}".to_owned(), var(1, 1, 0)),
            ("{RTE :relid 10}".to_owned(), var(1, 1, 0)),
            ("{RTE :rtekind 6 :ctename r :ctelevelsup 0}".to_owned(), var(1, 1, 0)),
            ("{RTE :rtekind 1 :subquery <>}".to_owned(), var(1, 1, 0)),
            ("{RTE :rtekind 5}".to_owned(), var(1, 1, 0)),
            (join, var(1, 2, 0)),
        ] {
            assert!(!is_known(std::slice::from_ref(&range), value.clone()), "{range} {value}");
        }
        for tree in ["", "<>", "()", "({QUERY", "(1)", "({QUERY} {QUERY})"] {
            assert!(of_view(tree.as_bytes(), &mut { LONGEST_OF_ALL }).is_empty(), "{tree}");
        }
    }

    /// Each column of a level is made of two of the level below: twice as many ways with each.
    #[test]
    fn a025_many_ways_to_one_column_are_walked_once() {
        let pair = |range: String| {
            let both = call(&[var(1, 1, 0), var(1, 2, 0)]);
            query(&[range], &[both.clone(), both])
        };
        let nested = (0..40).fold(pair(table(10)), |inner, _| pair(subquery(&inner)));
        assert_eq!(made_of(&nested).len(), 2);
        let deeper = (0..400).fold(pair(table(10)), |inner, _| pair(subquery(&inner)));
        assert_eq!(made_of(&deeper), []);
    }
}
