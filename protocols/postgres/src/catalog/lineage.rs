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
/// A query or a side of a join, as what makes its rows.
const ROWS: i16 = -2;
/// A query, as what an aggregate of it is fed by.
const FED: i16 = -3;
/// A side of an outer join, as what decides whether its columns are null.
const NULLED: i16 = -4;

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
        self.nulled(scope.query.field("jointree")?, entry, scope)?;
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
        let side = match kind {
            join::LEFT | join::FULL if is_right => right,
            join::RIGHT | join::FULL if is_left => left,
            join::INNER | join::LEFT | join::FULL | join::RIGHT => return Some(is_left || is_right),
            _ => return None,
        };
        self.enter(side, NULLED, Use::Computed, |walk| {
            walk.all(part.field("quals")?, scope)?;
            walk.side(side, scope)
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
    fn side(&mut self, side: &Node<'_>, scope: &Scope<'_>) -> Found {
        self.enter(side, ROWS, Use::Computed, |walk| {
            if side.is("RANGETBLREF") {
                let entry = scope.range_entry(side.number("rtindex")?)?;
                return walk.item_of_from(entry, scope, Self::rows);
            }
            walk.all(side.field("quals")?, scope)?;
            walk.side(side.field("larg")?, scope)?;
            walk.side(side.field("rarg")?, scope)
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
mod tests;
