//! The catalogs that the sessions of a target share.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::Catalog;
use crate::changes::{ChangeLog, Changes};

/// The catalogs of one target's databases, each used for [`Catalogs::FRESH`].
#[derive(Debug, Clone, Default)]
pub struct Catalogs {
    // Touched when a session first masks, and then once in `FRESH`. Whether a definition has changed meanwhile is asked for each masked statement,
    // of a log that the session keeps ([`Catalogs::changes`]). An unmasked statement asks nothing.
    known: Arc<Mutex<HashMap<Arc<str>, Known>>>,
}

/// What is known of one database.
#[derive(Debug, Default)]
struct Known {
    catalog: Option<CatalogReading>,
    changes: ChangeLog,
}

/// A catalog, when its reading began, and the changes that had ended by then.
type CatalogReading = (Arc<Catalog>, Instant, Changes);

impl Catalogs {
    /// How long another session's reading of the catalog may be used. Definitions that this session
    /// changed are read again at once.
    pub const FRESH: Duration = Duration::from_secs(10);

    /// The catalog of `database`, if it was read less than [`Self::FRESH`] ago. Whether what has changed since matters, its user has to ask.
    pub fn get(&self, database: &str, now: Instant) -> Option<CatalogReading> {
        let known = self.known.lock();
        let reading = known.get(database)?.catalog.as_ref()?;
        (now.saturating_duration_since(reading.1) < Self::FRESH).then(|| reading.clone())
    }

    /// The changes of `database`, for whoever asks often.
    pub fn changes(&self, database: &Arc<str>) -> ChangeLog {
        self.known.lock().entry(Arc::clone(database)).or_default().changes.clone()
    }

    /// Keeps what was read by a reading that began at `read_at`, after `changes`, unless there is a younger one. Gives it back, with the names that its
    /// relations had before.
    pub fn put(
        &self,
        database: &Arc<str>,
        changes: Changes,
        mut catalog: Arc<Catalog>,
        read_at: Instant,
    ) -> Arc<Catalog> {
        let mut known = self.known.lock();
        let known = known.entry(Arc::clone(database)).or_default();
        if let Some((before, ..)) = &known.catalog {
            Arc::make_mut(&mut catalog).remember(before);
        }
        if known.catalog.as_ref().is_none_or(|(_, before, _)| *before <= read_at) {
            known.catalog = Some((Arc::clone(&catalog), read_at, changes));
        }
        catalog
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        catalog.take_in(&[["10", "public", "people", "1", "id"]]);
        catalog
    }

    #[test]
    fn what_was_read_goes_stale() {
        let (catalogs, now) = (Catalogs::default(), Instant::now());
        let demo = Arc::from("demo");
        let changes = catalogs.changes(&demo).now();
        catalogs.put(&demo, changes, Arc::new(catalog()), now);
        assert!(catalogs.get("demo", now).is_some());
        assert!(catalogs.get("other", now).is_none());
        assert!(catalogs.get("demo", now + Catalogs::FRESH).is_none());
        let earlier = Arc::new(Catalog::default());
        catalogs.put(&demo, changes, earlier, now.checked_sub(Duration::from_secs(1)).unwrap());
        assert!(!catalogs.get("demo", now).unwrap().0.is_empty(), "the younger one stays");
    }

    #[test]
    fn a025_a_relation_that_is_renamed_is_known_by_its_former_names() {
        let named = |rows: &[[&str; 5]]| {
            let mut catalog = Catalog::default();
            catalog.take_in(rows);
            Arc::new(catalog)
        };
        let (catalogs, now, demo) = (Catalogs::default(), Instant::now(), Arc::from("demo"));
        let put = |rows: &[[&str; 5]]| catalogs.put(&demo, Changes::default(), named(rows), now);
        put(&[["10", "public", "people", "1", "id"]]);
        put(&[["10", "public", "folk", "1", "id"]]);
        let last = put(&[["10", "hr", "folk", "1", "id"], ["20", "public", "people", "1", "id"]]);
        assert_eq!(last.former("public", "people"), [10]);
        assert_eq!(last.former("public", "folk"), [10]);
        assert_eq!(last.former("hr", "folk"), [] as [u32; 0]);
        let again = put(&[["10", "public", "people", "1", "id"]]);
        assert_eq!(again.former("public", "people"), [] as [u32; 0], "it is called so again");
        assert_eq!(again.former("hr", "folk"), [10]);
    }
}
