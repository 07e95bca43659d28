//! Definitions that change while a statement waits.
//!
//! A statement is judged, and its masks are chosen, by the catalog as it is when the statement is sent. The target may let it wait, for a
//! lock on a view say, and reads the view as it is by then. So what it depends on is looked at once more when an answer begins: what comes
//! later can not change it any more. If any of that may have changed, the answer waits until the catalog has been read again, beside the session.
//!
//! Which of the two it was made by, nobody can tell: the answer may have waited in a buffer, while its transaction and its locks were gone and
//! the definition changed. So it is masked as strictly as either of the two asks for. Where there were more changes than one, there was something
//! between them that nobody has read; then, and where the catalog can not be read again, what is not surely harmless is withheld.

use std::{sync::Arc, time::Instant};

use gatewright_model::sql::{Access, Analysis, Relation, Statement};

use super::{
    catalog_reading::{Basis, Standing},
    masking::{Begins, Masks},
    pipeline::{Expect, Pipeline},
    relay::{Desk, Relay},
};
use crate::{
    backend::{ready_for_query::Transaction, tag},
    catalog::Catalog,
    changes::Scope,
};

/// An answer that waits for the catalog.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What is read after this will do.
    since: Instant,
    /// How often the catalog may still be asked for: an errand that others have sent may have begun too early.
    errands_left: u8,
    standing: Standing,
    basis: Basis,
}

impl Relay {
    /// Is there a catalog that this can be judged by?
    pub(super) fn is_catalog_ready(&mut self, analysis: &Analysis, desk: &Desk<'_>) -> bool {
        let (catalog, cursors) = (&mut self.catalog, &self.cursors);
        if self.transaction == Transaction::Idle && self.pipeline.is_empty() && !self.batch_open {
            catalog.note_idle(&self.database, desk);
        }
        let dependence = |catalog: &Catalog| dependence(analysis, &cursors.fetched(analysis), catalog);
        catalog.is_ready(dependence, &self.database, self.defines, desk)
    }

    /// Must an answer that begins with this message wait for the catalog?
    pub(super) fn awaits_definitions(&mut self, tag: u8, desk: &mut Desk<'_>) -> bool {
        let Some((begins, masks)) = beginning(&mut self.pipeline, tag) else { return false };
        let Some(basis) = masks.look(begins) else { return false };
        let standing = self.catalog.standing(basis, || masks.dependence(), &self.database, desk);
        if standing == Standing::True {
            return false;
        }
        // Somebody may have read it meanwhile.
        if standing == Standing::Old
            && let Some(analysis) = masks.analysis()
            && self.is_catalog_ready(&analysis, desk)
        {
            self.judge_again(desk);
            return false;
        }
        // What this transaction has defined, nobody sees beside the session, and the session is busy.
        if self.defines {
            self.distrust(standing, desk);
            return false;
        }
        self.definitions = Some(Waiting { since: desk.now, errands_left: 2, standing, basis });
        // Whatever is being read already began before.
        if !self.catalog.is_read_beside() {
            self.ask_beside(desk);
        }
        true
    }

    /// The target says something beside rows. If what it depends on may have changed since it was judged, it may speak of what is masked.
    pub(super) fn look_at_reports(&mut self, desk: &Desk<'_>) {
        if let Some(masks) = answered(&mut self.pipeline)
            && let Some(basis) = masks.basis()
        {
            let standing = self.catalog.standing(basis, || masks.dependence(), &self.database, desk);
            self.touched_masked |= standing == Standing::Changed;
        }
    }

    /// A reading beside the session is over. Must an answer wait for another one?
    pub(super) fn definitions_returned(&mut self, desk: &mut Desk<'_>) -> bool {
        let Some(waiting) = &self.definitions else { return false };
        let (since, standing, basis) = (waiting.since, waiting.standing, waiting.basis);
        if self.catalog.take_newer(since, &self.database, desk) {
            self.definitions = None;
            // What it depends on now counts too: it may do so since the first of two changes.
            let mut dependence = self.answers_dependence();
            self.judge_again(desk);
            dependence.widen(self.answers_dependence());
            if !self.catalog.is_one_of_two(basis, &dependence, &self.database, desk) {
                self.distrust(Standing::Changed, desk);
            }
            return false;
        }
        if waiting.errands_left > 0 {
            self.ask_beside(desk);
            return true;
        }
        self.definitions = None;
        self.distrust(standing, desk);
        false
    }

    /// What the answer depends on, by the catalog that it was judged by.
    fn answers_dependence(&mut self) -> Scope {
        answered(&mut self.pipeline).map_or(Scope::ALL, |masks| masks.dependence())
    }

    fn judge_again(&mut self, desk: &Desk<'_>) {
        if let Some(masks) = answered(&mut self.pipeline) {
            masks.judge_again(&mut self.catalog, desk);
            self.touched_masked |= masks.hides_reports();
        }
    }

    fn ask_beside(&mut self, desk: &mut Desk<'_>) {
        if let Some(waiting) = &mut self.definitions {
            waiting.errands_left = waiting.errands_left.saturating_sub(1);
        }
        self.read_beside(desk);
    }

    /// The catalog could not be read again. One that is only old is as good as it is for a statement that does not wait.
    fn distrust(&mut self, standing: Standing, desk: &Desk<'_>) {
        if standing == Standing::Changed
            && let Some(masks) = answered(&mut self.pipeline)
        {
            masks.distrust(desk);
            self.touched_masked = true;
        }
    }
}

/// What begins with this message, and the masks of it.
fn beginning(pipeline: &mut Pipeline, tag: u8) -> Option<(Begins, &mut Masks)> {
    let begins = match (pipeline.front()?, tag) {
        (Expect::CopyQuestion { .. }, tag::ROW_DESCRIPTION) => Begins::Question,
        (Expect::Query(_) | Expect::OwnDescribe, tag::ROW_DESCRIPTION) => Begins::Columns,
        (Expect::Query(_) | Expect::Execute { .. }, tag::DATA_ROW | tag::COPY_OUT_RESPONSE) => Begins::Data,
        _ => return None,
    };
    Some((begins, answered(pipeline)?))
}

/// The masks of what is answered now, or of what the gateway has asked something about.
fn answered(pipeline: &mut Pipeline) -> Option<&mut Masks> {
    pipeline.iter_mut().find_map(|expect| match expect {
        Expect::Query(query) => Some(&mut query.masks),
        Expect::Execute { masks, .. } => Some(masks),
        _ => None,
    })
}

/// The names of all that answers to these statements may show. `fetched`: the queries of cursors, by the place of the FETCH in the text.
pub(super) fn dependence(
    analysis: &Analysis,
    fetched: &[(usize, Arc<Statement>)],
    catalog: &Catalog,
) -> Scope {
    let mut names = Vec::new();
    for (at, statement) in analysis.statements.iter().enumerate() {
        let query = match &statement.fetches {
            None => statement,
            Some(_) => match fetched.iter().find(|(fetch, _)| *fetch == at) {
                Some((_, query)) => query,
                None => return Scope::ALL,
            },
        };
        for relation in &query.relations {
            names.push(Arc::clone(&relation.name));
            names.extend(catalog.names_behind(&relation.name));
        }
    }
    Scope::of(names)
}

/// What a statement changes of what answers show. None: nothing.
pub(super) fn scope_of(statement: &Statement) -> Option<Scope> {
    match statement.kind {
        // Whatever was prepared, perhaps by somebody else; and whatever the text does, which is built when it runs.
        "commit_prepared" | "do" => Some(Scope::ALL),
        _ if !statement.effects.ddl => None,
        kind if SHOW_NOTHING.contains(&kind) => None,
        kind if OF_RELATIONS.contains(&kind) => {
            let is_made = MADE_OF_QUERIES.contains(&kind);
            let is_changed = |relation: &&Relation| !is_made || relation.access == Access::Define;
            let changed = statement.relations.iter().filter(is_changed).map(|relation| &relation.name);
            let names: Vec<_> = changed.chain(&statement.renames_to).map(Arc::clone).collect();
            Some(if names.is_empty() { Scope::ALL } else { Scope::of(names) })
        }
        _ => Some(Scope::ALL),
    }
}

/// Kinds after which everything shows what it did.
const SHOW_NOTHING: [&str; 45] = [
    "alter_database",
    "alter_database_set",
    "alter_default_privileges",
    "alter_event_trigger",
    "alter_policy",
    "alter_publication",
    "alter_role",
    "alter_role_set",
    "alter_statistics",
    "alter_subscription",
    "alter_system",
    "alter_tablespace",
    "alter_trigger",
    "analyze",
    "cluster",
    "comment",
    "create_database",
    "create_event_trigger",
    "create_index",
    "create_policy",
    "create_publication",
    "create_role",
    "create_statistics",
    "create_subscription",
    "create_tablespace",
    "create_trigger",
    "drop_database",
    "drop_event_trigger",
    "drop_index",
    "drop_policy",
    "drop_publication",
    "drop_role",
    "drop_statistics",
    "drop_subscription",
    "drop_tablespace",
    "drop_trigger",
    "grant",
    "grant_role",
    "reassign_owned",
    "refresh_materialized_view",
    "reindex",
    "revoke",
    "revoke_role",
    "security_label",
    "vacuum",
];

/// Kinds that change what the relations show that they name: by another query, a child, another name.
const OF_RELATIONS: [&str; 19] = [
    // It renames whatever relation it names, and not only indexes.
    "alter_index",
    "alter_foreign_table",
    "alter_materialized_view",
    "alter_sequence",
    "alter_table",
    "alter_view",
    "create_foreign_table",
    "create_materialized_view",
    "create_rule",
    "create_sequence",
    "create_table",
    "create_table_as",
    "create_view",
    "drop_foreign_table",
    "drop_materialized_view",
    "drop_sequence",
    "drop_table",
    "drop_view",
    "select_into",
];

/// Those of them that change nothing about what they read.
const MADE_OF_QUERIES: [&str; 4] =
    ["create_materialized_view", "create_table_as", "create_view", "select_into"];
