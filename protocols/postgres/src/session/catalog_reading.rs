//! The catalog that masks by column need: how a session reads it, and for how long it believes what it has read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gatewright_model::{
    mask::MaskPlan,
    session::{Output, ProtocolError},
    sql::Grade,
};

use super::{
    catalog_errand::CatalogErrand,
    objection::{Objection, failed_objection},
    pipeline::{Expect, Pipeline},
    relay::{Desk, Held, Relay, Request, Skipping},
};
use crate::{
    backend::ready_for_query::Transaction,
    catalog::{self, Catalog, CatalogBuilder, Catalogs},
    changes::{Author, ChangeLog, Changes, OpenChange, Scope},
    mask::ResolvedPlan,
    reply,
};

/// The session's view of the catalog.
#[derive(Debug, Default)]
pub(super) struct CatalogReading {
    /// With the moment of its reading, and the changes that had ended by then.
    current: Option<(Arc<Catalog>, Instant, Changes)>,
    log: Option<(History, Author)>,
    outdated: bool,
    /// It is being read on a connection of the gateway's own.
    beside: bool,
    building: Option<CatalogBuilder>,
    failed: bool,
    /// The target's words of a reading that was cancelled.
    cancelled: Option<Bytes>,
    /// When a reading on the session's connection began, and after which changes.
    began: Option<(Instant, Changes)>,
    /// The transaction that it is read in has changed no definition: others may use it too.
    shareable: bool,
    /// `current` is what only this transaction sees, or sees any more.
    private: bool,
    /// Definitions that this transaction has changed, for as long as nobody knows whether that is committed.
    open: Option<OpenChange>,
    /// The changes that had ended when the session was in no transaction for the last time.
    idle_at: Changes,
    /// The transaction of `open` may have ended before what comes now, and another one have begun.
    open_may_have_ended: bool,
    /// The plan of the last statement, found in `current`: policies give the same plan again and again.
    resolved: Option<Arc<ResolvedPlan>>,
}

/// The definitions that a statement was judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis {
    /// Those that had ended before they were read.
    changes: Changes,
    pub(super) read_at: Instant,
}

/// The changes of a database since a session has first asked.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) log: ChangeLog,
    pub(super) since: Changes,
}

/// What has become of a [`Basis`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing that matters was changed.
    True,
    /// It was read so long ago that somebody may have changed something past the gateway.
    Old,
    /// A change that matters was seen, or one is under way.
    Changed,
}

impl CatalogReading {
    /// Definitions are about to be changed: what was read is not true any more, here at once, and for others when it is committed.
    /// `is_several`: in more than one transaction, for all that is known.
    pub(super) fn outdate(&mut self, scope: Scope, is_several: bool, database: &Arc<str>, desk: &Desk<'_>) {
        self.outdated = true;
        let (open, is_several) = match self.open.take() {
            Some(open) => (open, is_several || self.open_may_have_ended),
            None => {
                self.open_may_have_ended = false;
                let (history, author) = self.log(database, desk);
                (history.log.open(*author, scope.clone()), is_several)
            }
        };
        open.widen(scope, is_several);
        self.open = Some(open);
    }

    /// What is sent now ends the transaction, or is sent before the target has said whether that has ended.
    pub(super) const fn may_end_transaction(&mut self) {
        self.open_may_have_ended = true;
    }

    /// What only this transaction has seen may be rolled back by now.
    pub(super) const fn outdate_private(&mut self) {
        self.outdated |= self.private;
    }

    /// Is it being read on a connection of the gateway's own?
    pub(super) const fn is_read_beside(&self) -> bool {
        self.beside
    }

    /// It is asked for now. `shareable`: nothing in this transaction may have changed a definition.
    fn begin(&mut self, shareable: bool, changes: Changes, now: Instant) {
        self.shareable = shareable;
        self.began = Some((now, changes));
    }

    /// The session is in no transaction: what it begins now sees nothing that is older.
    pub(super) fn note_idle(&mut self, database: &Arc<str>, desk: &Desk<'_>) {
        self.idle_at = self.changes(database, desk);
    }

    /// The transaction is over, and with it what only it has seen.
    pub(super) fn leave_transaction(&mut self) {
        if self.private || self.outdated {
            self.current = None;
            self.resolved = None;
        }
        (self.private, self.outdated) = (false, false);
        self.open = None;
        self.open_may_have_ended = false;
    }

    fn log(&mut self, database: &Arc<str>, desk: &Desk<'_>) -> &(History, Author) {
        self.log.get_or_insert_with(|| {
            let log = desk.shared.catalogs.changes(database);
            let (since, author) = (log.now(), log.author());
            (History { log, since }, author)
        })
    }

    /// What has changed since the session has first asked.
    pub(super) fn history(&self) -> Option<History> {
        self.log.as_ref().map(|(history, _)| history.clone())
    }

    /// The changes of definitions that have ended by now.
    fn changes(&mut self, database: &Arc<str>, desk: &Desk<'_>) -> Changes {
        self.log(database, desk).0.log.now()
    }

    /// What a statement rests on that is judged by what was read.
    pub(super) fn basis(&self) -> Option<Basis> {
        let (_, read_at, changes) = self.current.as_ref()?;
        Some(Basis { changes: *changes, read_at: *read_at })
    }

    /// What has become of `basis` since, for what depends on this?
    pub(super) fn standing(
        &mut self,
        basis: Basis,
        dependence: impl FnOnce() -> Scope,
        database: &Arc<str>,
        desk: &Desk<'_>,
    ) -> Standing {
        let (history, author) = self.log(database, desk);
        if !history.log.is_settled_since(basis.changes, *author, dependence) {
            return Standing::Changed;
        }
        let age = desk.now.saturating_duration_since(basis.read_at);
        if age < Catalogs::FRESH { Standing::True } else { Standing::Old }
    }

    /// Was what this depends on at any time since as it was then, or as it is now?
    pub(super) fn is_one_of_two(
        &mut self,
        basis: Basis,
        dependence: &Scope,
        database: &Arc<str>,
        desk: &Desk<'_>,
    ) -> bool {
        let (history, author) = self.log(database, desk);
        history.log.is_one_since(basis.changes, *author, dependence)
    }

    /// Takes what was read after `since`, if there is that.
    pub(super) fn take_newer(&mut self, since: Instant, database: &Arc<str>, desk: &Desk<'_>) -> bool {
        let newer =
            desk.shared.catalogs.get(database, desk.now).filter(|(_, read_at, _)| *read_at >= since);
        let is_there = newer.is_some();
        if is_there {
            self.current = newer;
        }
        is_there
    }

    /// Is there a catalog that is young enough, and still true of what depends on this? `only_own`: one of another session does not do, because this one's
    /// transaction may have changed a definition.
    pub(super) fn is_ready(
        &mut self,
        dependence: impl Fn(&Catalog) -> Scope,
        database: &Arc<str>,
        only_own: bool,
        desk: &Desk<'_>,
    ) -> bool {
        if self.outdated {
            return false;
        }
        let log = self.log(database, desk).0.log.clone();
        let is_true = |(catalog, read_at, changes): &(Arc<Catalog>, Instant, Changes)| {
            desk.now.saturating_duration_since(*read_at) < Catalogs::FRESH
                && log.is_true_since(*changes, || dependence(catalog))
        };
        if !self.current.as_ref().is_some_and(is_true) {
            let known = (!only_own).then(|| desk.shared.catalogs.get(database, desk.now)).flatten();
            self.current = known.filter(is_true);
        }
        self.current.is_some()
    }

    /// Finds the plan's columns in the catalog.
    pub(super) fn resolve(&mut self, plan: &Arc<MaskPlan>) -> Result<Option<Arc<ResolvedPlan>>, Objection> {
        if plan.columns.is_empty() {
            return Ok(None);
        }
        let Some((catalog, _, _)) = &self.current else { return Err(Objection::no_catalog()) };
        if let Some(resolved) = &self.resolved
            && *resolved.plan == **plan
            && std::ptr::eq(resolved.catalog(), &**catalog)
        {
            return Ok(Some(Arc::clone(resolved)));
        }
        let resolved = Arc::new(ResolvedPlan::new(Arc::clone(plan), Arc::clone(catalog)));
        self.resolved = Some(Arc::clone(&resolved));
        Ok(Some(resolved))
    }

    /// Takes in a row of [`catalog::QUERY`]'s answer, if all of them together do not exceed `limit` bytes.
    pub(super) fn row(&mut self, body: &[u8], limit: usize) -> Result<(), ProtocolError> {
        self.building.get_or_insert_default().row(body, limit)
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self, database: &Arc<str>, desk: &Desk<'_>) {
        let building = self.building.take();
        if std::mem::take(&mut self.failed) {
            return;
        }
        let Some(catalog) = building.and_then(CatalogBuilder::build) else { return };
        let Some((began, changes)) = self.began.take() else { return };
        // What a transaction sees may never be committed, and what it saw first it sees to its end: it is this session's and nobody else's.
        let shared = self.shareable && catalog.age().is_zero();
        let catalog =
            if shared { desk.shared.catalogs.put(database, changes, catalog, began) } else { catalog };
        self.private = !shared;
        // An old snapshot: who knows which changes it has seen.
        let changes = if catalog.age().is_zero() { changes } else { changes.min(self.idle_at) };
        let Some(read_at) = began.checked_sub(catalog.age()) else { return };
        self.current = Some((catalog, read_at, changes));
        self.outdated = false;
        self.resolved = None;
    }

    /// The answer was an error. `cancelled`: the client has cancelled it, or it took too long, and these are the target's words.
    pub(super) fn fail(&mut self, cancelled: Option<Bytes>) {
        self.failed = true;
        self.cancelled = cancelled;
    }

    /// What the target has said of a reading that was cancelled.
    pub(super) const fn take_cancelled(&mut self) -> Option<Bytes> {
        self.cancelled.take()
    }

    /// A reading inside a batch ended with its error: no ReadyForQuery of its own follows.
    pub(super) fn abort(&mut self) {
        self.building = None;
        self.failed = false;
    }
}

impl Relay {
    /// Has the catalog read for a request that is held: beside the session, unless only the session sees what its transaction may
    /// have defined.
    pub(super) fn fetch_catalog(&mut self, desk: &mut Desk<'_>) {
        if self.defines {
            return self.read_catalog(desk);
        }
        if self.catalog.beside {
            // For an answer. What was asked for before something changed comes to nothing, and is asked for again.
            return;
        }
        self.read_beside(desk);
    }

    /// Has the catalog read beside the session.
    pub(super) fn read_beside(&mut self, desk: &mut Desk<'_>) {
        self.catalog.beside = true;
        let (catalogs, limit) = (&desk.shared.catalogs, desk.shared.limits.catalog);
        let errand = CatalogErrand::send(&self.database, catalogs, limit);
        desk.outputs.push_back(Output::Errand(errand));
        desk.outputs.push_back(Output::Wake(desk.now + CANCELLED_WITHIN));
    }

    /// A request that waits for a reading beside the session goes no further once its client has cancelled it.
    pub(super) fn look_for_cancel(&mut self, desk: &mut Desk<'_>) {
        if !self.catalog.beside {
            return;
        }
        let is_cancelled = self.is_cancelled();
        match self.held.take_if(|held| is_cancelled && held.waiting_for_catalog.is_some()) {
            Some(held) => {
                desk.not_sent(held.event, "pg.cancelled");
                self.refuse(&held.request, reply::cancelled("pg.cancelled", None), desk);
            }
            None => desk.outputs.push_back(Output::Wake(desk.now + CANCELLED_WITHIN)),
        }
    }

    /// The reading beside the session is over. Where it came to nothing (an account may have only so many connections), the
    /// catalog is read here.
    pub(super) fn returned(&mut self, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        self.catalog.beside = false;
        self.call_returned(desk)?;
        if self.definitions_returned(desk) {
            return Ok(());
        }
        let needed = self.held.as_ref().filter(|held| held.waiting_for_catalog.is_some());
        if let Some(analysis) = needed.map(|held| Arc::clone(&held.analysis))
            && self.skipping == Skipping::No
            && !self.is_catalog_ready(&analysis, desk)
        {
            if let Some(held) = self.held.take_if(|held| is_ignored(held, self.transaction, &self.pipeline))
            {
                self.object(held.event, &failed_objection(), true, desk);
                return Ok(());
            }
            self.read_catalog(desk);
            return Ok(());
        }
        self.after_catalog(desk);
        Ok(())
    }

    /// Asks the target for its catalog over the session's connection, in a way that leaves its transaction and the client's
    /// statements as they are.
    fn read_catalog(&mut self, desk: &mut Desk<'_>) {
        let is_quiet = self.pipeline.is_empty() && !self.batch_open;
        let changes = self.catalog.changes(&self.database, desk);
        self.catalog.begin(!self.defines, changes, desk.now);
        // A Query would end the unnamed portal of a transaction.
        if is_quiet && self.transaction == Transaction::Idle {
            self.pipeline.push(Expect::CatalogQuery { complete: false });
            desk.upstream(reply::query(catalog::QUERY));
            return;
        }
        self.pipeline.push(Expect::CatalogBatch { closed: 0 });
        desk.upstream(reply::parse(CATALOG_NAME, catalog::QUERY));
        desk.upstream(reply::bind(CATALOG_NAME, CATALOG_NAME));
        desk.upstream(reply::execute(CATALOG_NAME));
        desk.upstream(reply::close_portal(CATALOG_NAME));
        desk.upstream(reply::close_statement(CATALOG_NAME));
        if self.batch_open {
            desk.upstream(reply::flush());
        } else {
            self.pipeline.push(Expect::Sync { is_own: true });
            desk.upstream(reply::sync());
        }
    }
}

/// How soon a cancel request is noticed.
const CANCELLED_WITHIN: Duration = Duration::from_millis(250);

/// The statement and portal under which the catalog is read inside a client's batch.
const CATALOG_NAME: &str = "gatewright.catalog";

/// Will the target ignore this, because its transaction has failed? Then the catalog can not be read either.
pub(super) fn is_ignored(held: &Held, transaction: Transaction, pipeline: &Pipeline) -> bool {
    transaction == Transaction::Failed
        && pipeline.is_empty()
        && matches!(held.request, Request::Query { .. })
        && held.analysis.grade != Grade::Opaque
        && !held.analysis.effects().transaction
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use gatewright_masking::MaskKey;
    use gatewright_sql::{Analyser, AnalyserLimits};

    use super::*;
    use crate::session::{DownstreamTls, Limits, Shared};

    fn shared() -> Arc<Shared> {
        Arc::new(Shared {
            analyser: Arc::new(Analyser::new(AnalyserLimits::default())),
            cancel_keys: crate::cancel::CancelKeys::default(),
            catalogs: Catalogs::default(),
            guesses: crate::guesses::Guesses::default(),
            mask_key: MaskKey::new([7; 32]),
            tls: DownstreamTls::Off,
            limits: Limits::default(),
        })
    }

    fn catalog() -> Arc<Catalog> {
        let mut catalog = Catalog::default();
        catalog.take_in(&[["10", "public", "people", "1", "id"]]);
        Arc::new(catalog)
    }

    /// What another session changes counts at once where it matters, and what only this one has defined is in no other session's reading.
    #[test]
    fn a025_a_reading_is_as_good_as_the_last_change() {
        let (shared, database, mut outputs) = (shared(), Arc::from("demo"), VecDeque::new());
        let now = Instant::now();
        let desk = Desk { now, shared: &shared, outputs: &mut outputs };
        let log = shared.catalogs.changes(&database);
        let read = || drop(shared.catalogs.put(&database, log.now(), catalog(), now));
        let change = |name: &str| drop(log.open(log.author(), Scope::of([Arc::from(name)])));
        let dependence = |_: &Catalog| Scope::of([Arc::from("people")]);
        read();
        let mut reading = CatalogReading::default();
        assert!(reading.is_ready(dependence, &database, false, &desk));
        change("orders");
        assert!(reading.is_ready(dependence, &database, false, &desk), "it does not depend on that");
        change("people");
        assert!(!reading.is_ready(dependence, &database, false, &desk), "it is older than the change");
        read();
        assert!(!reading.is_ready(dependence, &database, true, &desk), "it is another session's");
        assert!(reading.is_ready(dependence, &database, false, &desk));
        assert!(
            reading.is_ready(dependence, &database, true, &desk),
            "nothing has changed since it was taken over"
        );
        let later =
            Desk { now: now + Duration::from_secs(60), shared: &shared, outputs: &mut VecDeque::new() };
        assert!(!reading.is_ready(dependence, &database, false, &later));
    }
}
