//! The catalog that masks by column need: how a session reads it, and for how long it believes what it has read.

use std::{sync::Arc, time::Instant};

use gatewright_model::{
    mask::MaskPlan,
    session::{ProtocolError, Side},
};

use super::{
    objection::Objection,
    pipeline::Expect,
    relay::{Desk, Relay},
};
use crate::{
    backend::ready_for_query::Transaction,
    catalog::{self, Catalog, Catalogs},
    mask::ResolvedPlan,
    reader::Reader,
    reply,
};

/// The session's view of the catalog.
#[derive(Debug, Default)]
pub(super) struct CatalogReading {
    current: Option<(Arc<Catalog>, Instant)>,
    outdated: bool,
    building: Option<Catalog>,
    /// Bytes of the rows that `building` was built from.
    size: usize,
    failed: bool,
    /// The transaction that it is read in has changed no definition: others may use it too.
    shareable: bool,
    /// `current` is what only this transaction sees, or sees any more.
    private: bool,
    /// The plan of the last statement, found in `current`: policies give the same plan again and again.
    resolved: Option<Arc<ResolvedPlan>>,
}

impl CatalogReading {
    /// A definition was changed: what was read is not true any more.
    pub(super) const fn outdate(&mut self) {
        self.outdated = true;
    }

    /// What only this transaction has seen may be rolled back by now.
    pub(super) const fn outdate_private(&mut self) {
        self.outdated |= self.private;
    }

    /// It is asked for now. `shareable`: nothing in this transaction may have changed a definition.
    pub(super) const fn begin(&mut self, shareable: bool) {
        self.shareable = shareable;
    }

    /// The transaction is over, and with it what only it has seen. Was a definition changed since the last reading?
    pub(super) fn leave_transaction(&mut self) -> bool {
        if self.private || self.outdated {
            self.current = None;
            self.resolved = None;
        }
        self.private = false;
        std::mem::take(&mut self.outdated)
    }

    /// Is there a catalog that is young enough?
    pub(super) fn is_ready(&mut self, database: &str, desk: &Desk<'_>) -> bool {
        if self.outdated {
            return false;
        }
        let young = |read_at: Instant| desk.now.saturating_duration_since(read_at) < Catalogs::FRESH;
        if !self.current.as_ref().is_some_and(|(_, read_at)| young(*read_at)) {
            self.current = desk.shared.catalogs.get(database, desk.now);
        }
        self.current.is_some()
    }

    /// Finds the plan's columns in the catalog.
    pub(super) fn resolve(&mut self, plan: &Arc<MaskPlan>) -> Result<Option<Arc<ResolvedPlan>>, Objection> {
        if plan.columns.is_empty() {
            return Ok(None);
        }
        let Some((catalog, _)) = &self.current else { return Err(Objection::no_catalog()) };
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
        self.size = self.size.saturating_add(body.len());
        if self.size > limit {
            return Err(ProtocolError {
                fault: Side::Upstream,
                code: "upstream.too_large",
                detail: Arc::from(format!("the catalog takes more than {limit} bytes")),
            });
        }
        let mut reader = Reader::new(body);
        let mut row = Vec::with_capacity(5);
        let mut read = || -> Result<(), crate::reader::Malformed> {
            for _ in 0..reader.count()? {
                row.push(reader.value()?);
            }
            Ok(())
        };
        let side = Side::Upstream;
        read().map_err(|cause| cause.in_message(side, "DataRow"))?;
        let building = self.building.get_or_insert_default();
        building.add_row(&row).map_err(|_| crate::reader::Malformed::OutOfRange.in_message(side, "DataRow"))
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self, database: &Arc<str>, desk: &Desk<'_>) {
        let building = self.building.take();
        self.size = 0;
        if std::mem::take(&mut self.failed) {
            return;
        }
        // One without a single relation is none: nothing would be masked by it.
        let Some(catalog) = building.filter(|catalog| !catalog.is_empty()).map(Arc::new) else { return };
        // What a transaction sees may never be committed, and what it saw first it sees to its end: it is this session's and nobody else's.
        let shared = self.shareable && catalog.age().is_zero();
        if shared {
            desk.shared.catalogs.put(database, Arc::clone(&catalog), desk.now);
        }
        self.private = !shared;
        let Some(read_at) = desk.now.checked_sub(catalog.age()) else { return };
        self.current = Some((catalog, read_at));
        self.outdated = false;
        self.resolved = None;
    }

    /// The answer was an error.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// A reading inside a batch ended with its error: no ReadyForQuery of its own follows.
    pub(super) fn abort(&mut self) {
        self.building = None;
        self.size = 0;
        self.failed = false;
    }
}

impl Relay {
    /// Asks the target for its catalog, in a way that leaves its transaction and the client's statements
    /// as they are.
    pub(super) fn read_catalog(&mut self, desk: &mut Desk<'_>) {
        let is_quiet = self.pipeline.is_empty() && !self.batch_open;
        self.catalog.begin(!self.defines);
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

/// The statement and portal under which the catalog is read inside a client's batch.
const CATALOG_NAME: &str = "gatewright.catalog";
