//! Which names can be seen from a place in a statement, and what they mean there.
//!
//! Names decide what a mask covers, so the rules are the server's: a CTE hides a table of its name
//! only inside its scope, a subquery in FROM does not see its neighbours unless LATERAL, the condition
//! of a JOIN sees that join only.

use std::sync::Arc;

use gatewright_model::sql::Column;

use crate::lineage::{Origin, OutColumn, OutName};

/// A CTE that can be seen.
pub(crate) struct Cte {
    pub(crate) name: Arc<str>,
    /// None while its own body is being read, and for one that is defined further on (WITH RECURSIVE).
    pub(crate) columns: Option<Vec<OutColumn>>,
}

/// The FROM items of one query.
#[derive(Default, Clone)]
pub(crate) struct Scope {
    pub(crate) ranges: Vec<Range>,
    /// How many names these are, with the columns of subqueries.
    pub(crate) names: usize,
    /// Columns that a join merges (USING, NATURAL): `*` gives them once, and first.
    pub(crate) has_merge: bool,
    /// Columns that a FULL JOIN merges (USING, NATURAL) are computed from both sides.
    pub(crate) has_full_merge: bool,
    /// What the windows of the WINDOW clause are made of.
    pub(crate) windows: crate::lineage::Lineage,
}

impl Scope {
    /// A scope of these FROM items.
    pub(crate) fn of(ranges: Vec<Range>) -> Self {
        let names = ranges.iter().map(Range::names).sum();
        Self { ranges, names, ..Self::default() }
    }

    /// Adds what another scope shows.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.ranges.extend(other.ranges);
        self.names += other.names;
        self.has_merge |= other.has_merge;
        self.has_full_merge |= other.has_full_merge;
    }
}

impl Scope {
    /// All its columns, as `*` gives them: where a join merges some, nobody can count them.
    pub(crate) fn star(&self) -> Vec<OutColumn> {
        let uncounted = OutColumn { name: OutName::Star, origin: Origin::Direct(Vec::new()) };
        let uncounted = self.has_merge.then_some(uncounted);
        uncounted.into_iter().chain(self.ranges.iter().flat_map(Range::star)).collect()
    }
}

/// One FROM item.
#[derive(Clone)]
pub(crate) struct Range {
    /// The name it goes by here: its alias, else the relation's name. None: can not be referred to.
    pub(crate) alias: Option<Arc<str>>,
    pub(crate) source: Source,
}

#[derive(Clone)]
pub(crate) enum Source {
    /// A relation, whose columns are in the catalog and not in the text.
    Base {
        schema: Option<Arc<str>>,
        name: Arc<str>,
        /// It has a list of column aliases: what a name means is not in the text.
        renamed: bool,
    },
    /// A subquery, CTE or VALUES list. None: its columns are not known.
    Derived(Option<Vec<OutColumn>>),
    /// A function's rows, or an XML or JSON table: every column has this origin.
    Function(Origin),
}

impl Range {
    /// Where its column `name` comes from. None: it has no such column.
    pub(crate) fn column(&self, name: &Arc<str>) -> Option<Origin> {
        match &self.source {
            Source::Base { name: relation, renamed, .. } => {
                let column = if *renamed { Arc::from("*") } else { Arc::clone(name) };
                Some(Origin::Direct(vec![Column { relation: Some(Arc::clone(relation)), name: column }]))
            }
            Source::Derived(None) => Some(Origin::Unknown),
            Source::Derived(Some(columns)) => derived_column(columns, name),
            Source::Function(origin) => Some(origin.clone()),
        }
    }

    /// May the columns of this range have any name?
    pub(crate) fn is_open(&self) -> bool {
        match &self.source {
            Source::Base { .. } | Source::Function(_) | Source::Derived(None) => true,
            Source::Derived(Some(columns)) => {
                columns.iter().any(|column| !matches!(column.name, OutName::Known(_)))
            }
        }
    }

    /// How many names it brings.
    pub(crate) fn names(&self) -> usize {
        match &self.source {
            Source::Derived(Some(columns)) => 1 + columns.len(),
            Source::Base { .. } | Source::Derived(None) | Source::Function(_) => 1,
        }
    }

    /// All its columns.
    pub(crate) fn star(&self) -> Vec<OutColumn> {
        match &self.source {
            Source::Base { name, renamed, .. } => vec![OutColumn {
                name: if *renamed { OutName::RenamedStar } else { OutName::Star },
                origin: Origin::Direct(vec![Column {
                    relation: Some(Arc::clone(name)),
                    name: Arc::from("*"),
                }]),
            }],
            Source::Derived(Some(columns)) => columns.clone(),
            // How many columns there are is not known: one entry for all of them, and no promise.
            Source::Derived(None) | Source::Function(_) => {
                vec![OutColumn { name: OutName::RenamedStar, origin: Origin::Unknown }]
            }
        }
    }
}

fn derived_column(columns: &[OutColumn], name: &Arc<str>) -> Option<Origin> {
    let named = columns.iter().filter(|column| matches!(&column.name, OutName::Known(own) if own == name));
    let may_be = columns.iter().filter_map(|column| match (&column.name, &column.origin) {
        (OutName::Known(_), _) => None,
        (OutName::Any | OutName::RenamedStar, origin) => Some(origin.clone()),
        (OutName::Star, Origin::Direct(stars)) => Some(Origin::Direct(
            stars
                .iter()
                .map(|star| Column { relation: star.relation.clone(), name: Arc::clone(name) })
                .collect(),
        )),
        (OutName::Star, origin) => Some(origin.clone()),
    });
    // A known name wins: were there a second column of that name, the server would refuse.
    named.map(|column| column.origin.clone()).reduce(Origin::or).or_else(|| may_be.reduce(Origin::or))
}
