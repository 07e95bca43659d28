//! Does a condition choose among the rows of the table that is changed?
//!
//! A condition that lets every row through is worth no more than none: `where true`, `where 1 = 1`,
//! `where id = id`, `where id = 7 or true`, `where exists (select 1 from people p where p.id = 7)`. So a part
//! counts when it names a column of that table, of an AND one part is enough, and of an OR it has to be all.
//!
//! What is true of every row for other reasons is not seen through (`id is not null`, `id = id + 0`), and a
//! name without its table counts as the table's own where it could be.

use std::sync::Arc;

use gatewright_model::sql::Column;
use pg_query::{
    NodeEnum,
    protobuf::{self, AExpr, BoolExpr, BoolExprType, ColumnRef},
};

use super::{Visit, Walk, strings};
use crate::{
    lineage::OutName,
    scope::{Range, Source},
};

/// The rows that a condition should choose among.
pub(super) struct Aim {
    /// The FROM item that they are of: its scope, and its place therein.
    depth: usize,
    position: usize,
    /// Its relation's name.
    name: Option<Arc<str>>,
    /// Was a column of it named?
    pub(super) hit: bool,
}

impl Aim {
    pub(super) const fn is_at(&self, depth: usize, position: usize) -> bool {
        self.depth == depth && self.position == position
    }
}

/// Looks for the aim behind a name without a table, from the innermost query outwards.
pub(super) struct Search<'a> {
    aim: &'a Aim,
    /// A query further in has the columns of the same relation: the name is of that one.
    shadowed: bool,
}

impl<'a> Search<'a> {
    pub(super) const fn new(aim: &'a Aim) -> Self {
        Self { aim, shadowed: false }
    }

    /// Is it this FROM item?
    pub(super) fn finds(&mut self, depth: usize, position: usize, range: &Range) -> bool {
        if depth > self.aim.depth {
            self.shadowed |= match &range.source {
                Source::Base { name, renamed, .. } => !renamed && self.aim.name.as_ref() == Some(name),
                Source::Derived(columns) => columns.iter().flatten().any(|column| {
                    let of_aim = |star: &Column| star.relation == self.aim.name;
                    column.name == OutName::Star && column.origin.columns().any(of_aim)
                }),
                Source::Function(_) => false,
            };
        }
        !self.shadowed && self.aim.is_at(depth, position)
    }
}

impl Walk {
    /// Walks a WHERE, ON or WHEN condition. Returns whether it chooses among the rows of the FROM item at
    /// `position` of the innermost query.
    pub(super) fn filter(&mut self, clause: &Option<Box<protobuf::Node>>, position: usize) -> bool {
        let Some(condition) = clause.as_ref().and_then(|condition| condition.node.as_ref()) else {
            return false;
        };
        let depth = self.scopes.len().saturating_sub(1);
        let range = self.scopes.last().and_then(|scope| scope.ranges.get(position));
        let name = range.and_then(|range| match &range.source {
            Source::Base { name, .. } => Some(name.clone()),
            Source::Derived(_) | Source::Function(_) => None,
        });
        let outer = self.aim.replace(Aim { depth, position, name, hit: false });
        let chooses = self.condition(|walk| walk.chooses(condition, false));
        self.aim = outer;
        chooses
    }

    fn chooses(&mut self, condition: &NodeEnum, negated: bool) -> bool {
        match condition {
            NodeEnum::CurrentOfExpr(_) => true,
            NodeEnum::BoolExpr(expr) => {
                let BoolExpr { xpr, boolop, args, location: _ } = &**expr;
                xpr.visit(self);
                let operator = BoolExprType::try_from(*boolop);
                let negated = negated ^ (operator == Ok(BoolExprType::NotExpr));
                let (mut any, mut all) = (false, true);
                for part in args {
                    let chooses = part.node.as_ref().is_some_and(|part| self.chooses(part, negated));
                    any |= chooses;
                    all &= chooses;
                }
                match operator {
                    Ok(BoolExprType::AndExpr) if !negated => any,
                    Ok(BoolExprType::OrExpr) if negated => any,
                    _ => any && all,
                }
            }
            _ => {
                if let Some(aim) = &mut self.aim {
                    aim.hit = false;
                }
                self.node(condition);
                !compares_with_itself(condition) && self.aim.as_ref().is_some_and(|aim| aim.hit)
            }
        }
    }
}

/// `id = id`, `t.id = id`, `id = id::bigint`: nearly every row has what it has.
fn compares_with_itself(condition: &NodeEnum) -> bool {
    let NodeEnum::AExpr(expr) = condition else { return false };
    let AExpr { lexpr, rexpr, .. } = &**expr;
    let (Some(left), Some(right)) = (column(lexpr), column(rexpr)) else { return false };
    let (Some((name, table)), Some((other, other_table))) = (left.split_last(), right.split_last()) else {
        return false;
    };
    // A name without its table may be of either.
    name == other && (table.is_empty() || other_table.is_empty() || table == other_table)
}

/// The parts of the name, where it is a column and nothing more.
fn column(side: &Option<Box<protobuf::Node>>) -> Option<Vec<&str>> {
    match side.as_ref()?.node.as_ref()? {
        NodeEnum::ColumnRef(ColumnRef { fields, .. }) => Some(strings(fields)),
        NodeEnum::TypeCast(cast) => column(&cast.arg),
        _ => None,
    }
}
