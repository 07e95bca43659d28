//! Which relation and column an answer's column really is.
//!
//! A target says of each column of an answer: relation oid and attribute number (RowDescription). A
//! policy names a schema, a relation and a column. The catalog joins the two, and knows which views read
//! which tables. It is read from the target over the session's own connection, with the rights of the
//! session's account, and shared by all sessions of one database for a short time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// What the gateway knows of a database's relations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Catalog {
    relations: HashMap<u32, Relation>,
    by_name: HashMap<Arc<str>, Vec<u32>>,
    /// How old it was when it was read.
    age: Duration,
}

/// A table, view, materialized view, foreign table or partitioned table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its schema.
    pub schema: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Attribute numbers and names.
    columns: Vec<(i16, Arc<str>)>,
    /// Relations that it reads or inherits from, when it is a view or a child.
    reads: Vec<u32>,
}

impl Relation {
    /// The attribute number of a column.
    pub fn attribute(&self, column: &str) -> Option<i16> {
        self.columns.iter().find(|(_, name)| **name == *column).map(|(number, _)| *number)
    }

    /// The name of an attribute.
    pub fn column(&self, attribute: i16) -> Option<&str> {
        self.columns.iter().find(|(number, _)| *number == attribute).map(|(_, name)| &**name)
    }
}

/// One row per relation and column: oid, schema, name, attribute number, attribute name; then one row per
/// dependency of a view, a child table or its parent: oid, empty, empty, 0, oid whose rows it may show. And one row for how old it is at most, in
/// seconds, because a transaction above READ COMMITTED sees what was there when it began: 0, empty, empty, 0, age.
///
/// Only schema-qualified names are used, so that no `search_path` can put something else in their place.
pub const QUERY: &str = "\
select c.oid::pg_catalog.text, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, \
a.attnum::pg_catalog.text, a.attname::pg_catalog.text \
from pg_catalog.pg_class c \
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace \
join pg_catalog.pg_attribute a on a.attrelid operator(pg_catalog.=) c.oid \
where c.relkind operator(pg_catalog.=) any ('{r,v,m,f,p}'::pg_catalog.\"char\"[]) and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped \
and n.nspname operator(pg_catalog.<>) 'pg_toast' \
union all \
select distinct r.ev_class::pg_catalog.text, '', '', '0', d.refobjid::pg_catalog.text \
from pg_catalog.pg_rewrite r \
join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
and d.objid operator(pg_catalog.=) r.oid \
where d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
and d.refobjid operator(pg_catalog.<>) r.ev_class \
union all \
select i.inhrelid::pg_catalog.text, '', '', '0', i.inhparent::pg_catalog.text from pg_catalog.pg_inherits i \
union all \
select i.inhparent::pg_catalog.text, '', '', '0', i.inhrelid::pg_catalog.text from pg_catalog.pg_inherits i \
union all \
select '0', '', '', '0', case when pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) any ('{read committed,read uncommitted}'::pg_catalog.text[]) \
then '0' else pg_catalog.ceil(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.transaction_timestamp()))::pg_catalog.int8::pg_catalog.text end";

/// A row of [`QUERY`]'s answer is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRow;

impl Catalog {
    /// Takes in one row of [`QUERY`]'s answer.
    ///
    /// # Errors
    ///
    /// The row has another shape.
    pub fn add_row(&mut self, row: &[Option<&[u8]>]) -> Result<(), BadRow> {
        let text = |value: &Option<&[u8]>| -> Result<String, BadRow> {
            let bytes = value.ok_or(BadRow)?;
            String::from_utf8(bytes.to_vec()).map_err(|_| BadRow)
        };
        let [oid, schema, name, attribute, last] = row else { return Err(BadRow) };
        let oid: u32 = text(oid)?.parse().map_err(|_| BadRow)?;
        let attribute: i16 = text(attribute)?.parse().map_err(|_| BadRow)?;
        if oid == 0 {
            self.age = Duration::from_secs(text(last)?.parse().map_err(|_| BadRow)?);
            return Ok(());
        }
        let relation = self.relations.entry(oid).or_insert_with(|| Relation {
            schema: Arc::from(""),
            name: Arc::from(""),
            columns: Vec::new(),
            reads: Vec::new(),
        });
        if attribute == 0 {
            relation.reads.push(text(last)?.parse().map_err(|_| BadRow)?);
            return Ok(());
        }
        if relation.columns.is_empty() {
            relation.schema = Arc::from(text(schema)?);
            relation.name = Arc::from(text(name)?);
            self.by_name.entry(Arc::clone(&relation.name)).or_default().push(oid);
        }
        relation.columns.push((attribute, Arc::from(text(last)?)));
        Ok(())
    }

    /// Is there no relation in it?
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// How old it was when it was read: what changed since then is not in it.
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// The relation with this oid.
    pub fn relation(&self, oid: u32) -> Option<&Relation> {
        self.relations.get(&oid)
    }

    /// The oid of `schema.name`.
    pub fn find(&self, schema: &str, name: &str) -> Option<u32> {
        self.named(name).find(|oid| self.relation(*oid).is_some_and(|relation| *relation.schema == *schema))
    }

    /// The oids of every relation with this name, in whatever schema.
    pub fn named(&self, name: &str) -> impl Iterator<Item = u32> + '_ {
        self.by_name.get(name).into_iter().flatten().copied()
    }

    /// Does `oid` read, through however many views, any of `bases`? (It also counts if it is one of them.)
    pub fn reaches(&self, oid: u32, bases: &HashSet<u32>) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![oid];
        while let Some(next) = open.pop() {
            if bases.contains(&next) {
                return true;
            }
            if seen.insert(next)
                && let Some(relation) = self.relation(next)
            {
                open.extend(&relation.reads);
            }
        }
        false
    }

    /// Does it read others of `bases`, as a view does, and not only share rows with them, as a child and its parent do with each other? Its columns may be
    /// any of theirs then.
    pub fn shows_others(&self, oid: u32, bases: &HashSet<u32>) -> bool {
        let others = bases.iter().filter(|base| **base != oid);
        others.into_iter().any(|base| {
            self.reaches(oid, &HashSet::from([*base])) && !self.reaches(*base, &HashSet::from([oid]))
        })
    }

    /// Those of `bases` with which it shares rows, and so columns of the same name.
    pub fn kin<'a>(&'a self, oid: u32, bases: &'a HashSet<u32>) -> impl Iterator<Item = u32> + 'a {
        let others = bases.iter().copied().filter(move |base| *base != oid);
        others.filter(move |base| self.reaches(oid, &HashSet::from([*base])))
    }
}

/// The catalogs of one target's databases, each used for [`Catalogs::FRESH`].
#[derive(Debug, Clone, Default)]
pub struct Catalogs {
    // Touched when a session first masks, and then once in `FRESH`: never by an unmasked statement.
    known: Arc<Mutex<HashMap<Arc<str>, CatalogReading>>>,
}

/// A catalog and when it was read.
type CatalogReading = (Arc<Catalog>, Instant);

impl Catalogs {
    /// How long another session's reading of the catalog may be used. Definitions that this session
    /// changed are read again at once.
    pub const FRESH: Duration = Duration::from_secs(10);

    /// The catalog of `database`, if it was read less than [`Self::FRESH`] ago.
    pub fn get(&self, database: &str, now: Instant) -> Option<CatalogReading> {
        let known = self.known.lock();
        let (catalog, read_at) = known.get(database)?;
        (now.saturating_duration_since(*read_at) < Self::FRESH).then(|| (Arc::clone(catalog), *read_at))
    }

    /// Forgets what was read: a definition has changed.
    pub fn forget(&self, database: &str) {
        self.known.lock().remove(database);
    }

    /// Keeps what a session has read.
    pub fn put(&self, database: &Arc<str>, catalog: Arc<Catalog>, read_at: Instant) {
        self.known.lock().insert(Arc::clone(database), (catalog, read_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for row in [
            ["10", "public", "people", "1", "id"],
            ["10", "public", "people", "3", "ssn"],
            ["20", "public", "v", "1", "x"],
            ["20", "", "", "0", "10"],
            ["30", "hr", "w", "1", "x"],
            ["30", "", "", "0", "20"],
            ["40", "hr", "people", "1", "id"],
        ] {
            catalog.add_row(&row.map(|text| Some(text.as_bytes()))).unwrap();
        }
        catalog
    }

    #[test]
    fn names_and_numbers_join() {
        let catalog = catalog();
        assert_eq!(catalog.find("public", "people"), Some(10));
        assert_eq!(catalog.find("hr", "people"), Some(40));
        assert_eq!(catalog.find("other", "people"), None);
        let people = catalog.relation(10).unwrap();
        assert_eq!(people.attribute("ssn"), Some(3));
        assert_eq!(people.column(3), Some("ssn"));
        assert_eq!(people.column(2), None);
    }

    #[test]
    fn a025_a_view_of_a_view_reaches_its_table() {
        let catalog = catalog();
        let people = HashSet::from([10]);
        assert!(catalog.reaches(10, &people));
        assert!(catalog.reaches(20, &people));
        assert!(catalog.reaches(30, &people));
        assert!(!catalog.reaches(40, &people));
        assert!(!catalog.reaches(99, &people), "an unknown oid reads nothing that is known");
    }

    #[test]
    fn a_row_of_another_shape_is_refused() {
        let mut catalog = Catalog::default();
        assert_eq!(catalog.add_row(&[None]), Err(BadRow));
        assert_eq!(
            catalog.add_row(&[Some(b"x"), Some(b""), Some(b""), Some(b"1"), Some(b"a")]),
            Err(BadRow)
        );
    }

    #[test]
    fn what_was_read_goes_stale() {
        let (catalogs, now) = (Catalogs::default(), Instant::now());
        catalogs.put(&Arc::from("demo"), Arc::new(catalog()), now);
        assert!(catalogs.get("demo", now).is_some());
        assert!(catalogs.get("other", now).is_none());
        assert!(catalogs.get("demo", now + Catalogs::FRESH).is_none());
    }
}
