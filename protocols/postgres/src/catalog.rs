//! Which relation and column an answer's column really is.
//!
//! A target says of each column of an answer: relation oid and attribute number (RowDescription). A
//! policy names a schema, a relation and a column. The catalog joins the two, and knows which views read
//! which tables. It is read from the target with the rights of the sessions' account, over a connection of the gateway's own,
//! and shared by all sessions of one database for a short time. A transaction that may have changed definitions reads it
//! over its session's connection: nobody else sees what it sees.

mod catalogs;
mod lineage;
mod node_tree;
mod query;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use gatewright_model::session::{ProtocolError, Side};

use self::lineage::LONGEST_OF_ALL;
pub use self::{catalogs::Catalogs, lineage::Sources, query::QUERY};
use crate::{
    reader::{Malformed, Reader},
    reply,
};

/// What the gateway knows of a database's relations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Catalog {
    relations: HashMap<u32, Relation>,
    by_name: HashMap<Arc<str>, Vec<u32>>,
    /// Views that show what somebody's code gives, or what the target keeps of values.
    unseen: HashSet<u32>,
    /// Views, which can be given another query. What a materialized one shows stays what it is.
    views: HashSet<u32>,
    /// Relations that show what a query gives, materialized ones too.
    queries: HashMap<u32, Query>,
    /// Columns that are computed from others of their row.
    generated: HashSet<(u32, i16)>,
    /// Of which ones they are computed: the relation, they themselves, and one of those.
    computed_from: Vec<(u32, i16, i16)>,
    /// Names of functions that PostgreSQL has, and somebody else too.
    doubles: HashSet<Arc<str>>,
    /// Names of somebody's functions that can be called with a row: `p.f` for `f(p)`.
    of_rows: HashSet<Arc<str>>,
    /// Relations whose rows a change of another one may change, or check anew, by a foreign key: those of the other one.
    referrers: HashMap<u32, Vec<u32>>,
    /// Functions that are called by number.
    numbered: Arc<HashSet<Numbered>>,
    /// Relations that had another name in a reading before this one, by that: schema and name.
    former: HashMap<(Arc<str>, Arc<str>), Vec<u32>>,
    /// Columns that had another name in a reading before this one, by their relation and that name.
    former_columns: HashMap<(u32, Arc<str>), Vec<i16>>,
    /// Relations for which somebody has written rules: what a change of them does, and returns, may be anything.
    ruled: HashSet<u32>,
    /// How old it was when it was read.
    age: Duration,
    /// How many parts of trees were looked at.
    walked: usize,
}

/// What the query of a view uses of what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses<'a> {
    /// These columns: relation and number.
    Columns(&'a [(u32, i16)]),
    /// Whole rows.
    Rows,
}

/// The query of a view.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Query {
    /// Columns that it uses in any way.
    uses: Vec<(u32, i16)>,
    /// It uses whole rows: any column of what it reads.
    uses_rows: bool,
    /// What each of its own columns is made of, where that is known.
    sources: HashMap<i16, Sources>,
}

/// A function of PostgreSQL's own that clients call by its number: that, its name, and the numbers of its arguments' types.
pub type Numbered = (u32, Arc<str>, Vec<u32>);

/// A table, view, materialized view, foreign table, partitioned table or sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its schema.
    pub schema: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Attribute numbers and names.
    columns: Vec<(i16, Arc<str>)>,
    /// Relations whose rows it may show, by a view's query or because it shares them.
    reads: Vec<u32>,
    /// Those of them that are its children and parents. They share rows, and so columns of the same name.
    kin: Vec<u32>,
}

impl Relation {
    /// The attribute number of a column.
    pub fn attribute(&self, column: &str) -> Option<i16> {
        self.columns.iter().find(|(_, name)| **name == *column).map(|(number, _)| *number)
    }

    /// Its columns: numbers and names.
    pub fn columns(&self) -> impl Iterator<Item = (i16, &Arc<str>)> {
        self.columns.iter().map(|(number, name)| (*number, name))
    }

    /// The name of an attribute.
    pub fn column(&self, attribute: i16) -> Option<&str> {
        self.columns.iter().find(|(number, _)| *number == attribute).map(|(_, name)| &**name)
    }
}

/// The column of `pg_attribute` in which the target keeps what rows have that are older than a column of theirs.
pub const MISSING_VALUE: &str = "attmissingval";

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
        match (oid, attribute) {
            (0, 0) => {
                self.age = Duration::from_secs(text(last)?.parse().map_err(|_| BadRow)?);
                return Ok(());
            }
            (0, 2) => {
                let numbers = text(last)?;
                let mut numbers = numbers.split(' ').map(|number| number.parse().map_err(|_| BadRow));
                let oid = numbers.next().ok_or(BadRow)??;
                let numbered = (oid, Arc::from(text(name)?), numbers.collect::<Result<_, _>>()?);
                Arc::make_mut(&mut self.numbered).insert(numbered);
                return Ok(());
            }
            (0, 3) => {
                self.of_rows.insert(Arc::from(text(name)?));
                return Ok(());
            }
            (0, _) => {
                self.doubles.insert(Arc::from(text(name)?));
                return Ok(());
            }
            (_, -1) => {
                self.unseen.insert(oid);
                return Ok(());
            }
            (_, -8..=-5) => {
                let numbers = text(last)?;
                let mut numbers = numbers.split(' ').map(str::parse::<u32>);
                let mut number = || numbers.next().ok_or(BadRow)?.map_err(|_| BadRow);
                let attribute_of = |number: u32| i16::try_from(number).map_err(|_| BadRow);
                let query = self.queries.entry(oid).or_default();
                match attribute {
                    -6 => query.uses.push((number()?, attribute_of(number()?)?)),
                    -7 => query.uses_rows = true,
                    -8 => {
                        let own = attribute_of(number()?)?;
                        let origin = (number()?, attribute_of(number()?)?);
                        query.sources.insert(own, Sources::of(origin));
                    }
                    _ => {}
                }
                return Ok(());
            }
            (_, -11) => {
                let tree = last.ok_or(BadRow)?;
                let mut left = LONGEST_OF_ALL.saturating_sub(self.walked);
                let before = left;
                let sources = lineage::of_view(tree, &mut left);
                self.walked += before - left;
                self.queries.entry(oid).or_default().sources.extend(sources);
                return Ok(());
            }
            (_, -12) => {
                let referrer = text(last)?.parse().map_err(|_| BadRow)?;
                self.referrers.entry(oid).or_default().push(referrer);
                return Ok(());
            }
            (_, -10) => {
                self.ruled.insert(oid);
                return Ok(());
            }
            (_, -9) => {
                let numbers = text(last)?;
                let (own, from) = numbers.split_once(' ').ok_or(BadRow)?;
                let number = |text: &str| text.parse().map_err(|_| BadRow);
                self.computed_from.push((oid, number(own)?, number(from)?));
                return Ok(());
            }
            (_, -3) => {
                self.views.insert(oid);
                return Ok(());
            }
            (_, -2) => {
                self.generated.insert((oid, text(last)?.parse().map_err(|_| BadRow)?));
                return Ok(());
            }
            _ => {}
        }
        let relation = self.relations.entry(oid).or_insert_with(|| Relation {
            schema: Arc::from(""),
            name: Arc::from(""),
            columns: Vec::new(),
            reads: Vec::new(),
            kin: Vec::new(),
        });
        if matches!(attribute, 0 | -4) {
            let other = text(last)?.parse().map_err(|_| BadRow)?;
            relation.reads.push(other);
            relation.kin.extend((attribute == -4).then_some(other));
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

    /// Takes in rows of texts.
    #[cfg(test)]
    pub(crate) fn take_in(&mut self, rows: &[[&str; 5]]) {
        for row in rows {
            self.add_row(&row.map(|text| Some(text.as_bytes()))).unwrap();
        }
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

    /// The columns that a COPY of the relation has, in their order: generated ones are not among them.
    pub fn copied(&self, oid: u32) -> Vec<Arc<str>> {
        let mut columns = self.relation(oid).map(|relation| relation.columns.clone()).unwrap_or_default();
        columns.retain(|(number, _)| !self.generated.contains(&(oid, *number)));
        columns.sort_unstable();
        columns.into_iter().map(|(_, name)| name).collect()
    }

    /// The oid of `schema.name`.
    pub fn find(&self, schema: &str, name: &str) -> Option<u32> {
        self.meant(Some(schema), name).next()
    }

    /// The relations that have had this name, and have another one now.
    pub fn former(&self, schema: &str, name: &str) -> &[u32] {
        let name = (Arc::from(schema), Arc::from(name));
        self.former.get(&name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The columns of a relation that have had this name, and have another one now.
    pub fn former_columns(&self, oid: u32, name: &str) -> &[i16] {
        self.former_columns.get(&(oid, Arc::from(name))).map(Vec::as_slice).unwrap_or_default()
    }

    /// The column of this relation that has values of columns that were added later.
    pub fn missing_value(&self, oid: u32) -> Option<i16> {
        let relation =
            self.relation(oid).filter(|it| *it.name == *"pg_attribute" && *it.schema == *"pg_catalog")?;
        relation.attribute(MISSING_VALUE)
    }

    /// Are there rules for changes of the relation?
    pub fn has_rules(&self, oid: u32) -> bool {
        self.ruled.contains(&oid)
    }

    /// Remembers the names that relations and columns had in `before`.
    fn remember(&mut self, before: &Self) {
        let own = before.relations.iter();
        let own =
            own.flat_map(|(oid, relation)| relation.columns().map(|(number, name)| (*oid, number, name)));
        let older = before.former_columns.iter();
        let older = older
            .flat_map(|((oid, name), numbers)| numbers.iter().map(move |number| (*oid, *number, name)));
        for (oid, number, name) in own.chain(older) {
            let now = self.relations.get(&oid).and_then(|relation| relation.column(number));
            if now.is_some_and(|now| *now != **name) {
                let former = self.former_columns.entry((oid, Arc::clone(name))).or_default();
                if !former.contains(&number) {
                    former.push(number);
                }
            }
        }
        let own = before.relations.iter().filter(|(_, relation)| !relation.name.is_empty());
        let own = own.map(|(oid, relation)| ((&relation.schema, &relation.name), *oid));
        let older = before
            .former
            .iter()
            .flat_map(|((schema, name), oids)| oids.iter().map(move |oid| ((schema, name), *oid)));
        for ((schema, name), oid) in own.chain(older) {
            let is_called_otherwise = |now: &Relation| now.schema != *schema || now.name != *name;
            if self.relation(oid).is_some_and(is_called_otherwise) {
                let former = self.former.entry((Arc::clone(schema), Arc::clone(name))).or_default();
                if !former.contains(&oid) {
                    former.push(oid);
                }
            }
        }
    }

    /// The oids of the relations that a name may mean: with a schema the one in it, and without one all that there are. Which of these it does, only the
    /// server knows.
    pub fn meant<'a>(&'a self, schema: Option<&'a str>, name: &str) -> impl Iterator<Item = u32> + 'a {
        let is_in = move |oid: &u32, schema: &str| {
            self.relation(*oid).is_some_and(|relation| *relation.schema == *schema)
        };
        self.named(name).filter(move |oid| schema.is_none_or(|schema| is_in(oid, schema)))
    }

    /// The oids of every relation with this name, in whatever schema.
    pub fn named(&self, name: &str) -> impl Iterator<Item = u32> + '_ {
        self.by_name.get(name).into_iter().flatten().copied()
    }

    /// The names of all that a relation of this name may show, its own among them.
    pub fn names_behind(&self, name: &str) -> impl Iterator<Item = Arc<str>> {
        let mut open: Vec<u32> = self.named(name).collect();
        let mut seen: HashSet<u32> = open.iter().copied().collect();
        let mut names = HashSet::new();
        while let Some(relation) = open.pop().and_then(|oid| self.relation(oid)) {
            names.insert(Arc::clone(&relation.name));
            open.extend(
                relation.reads.iter().filter(|oid| self.relations.contains_key(oid) && seen.insert(**oid)),
            );
        }
        names.into_iter()
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

    /// Does it show, through however many views, what somebody's code gives? Then what it shows may come from anywhere.
    pub fn shows_unseen(&self, oid: u32) -> bool {
        !self.unseen.is_empty() && self.reaches(oid, &self.unseen)
    }

    /// Columns that are computed from others: their relation, they themselves, and one of those.
    pub fn computed_from(&self) -> impl Iterator<Item = (u32, i16, i16)> + '_ {
        self.computed_from.iter().copied()
    }

    /// The relations that show what a query gives.
    pub fn queries(&self) -> impl Iterator<Item = u32> + '_ {
        self.queries.keys().copied()
    }

    /// The columns that the query of a view uses. None: it is no view. It may use any column of what it reads.
    pub fn uses(&self, view: u32) -> Option<Uses<'_>> {
        let query = self.queries.get(&view)?;
        Some(if query.uses_rows { Uses::Rows } else { Uses::Columns(&query.uses) })
    }

    /// The relations that it reads, or shares rows with.
    pub fn reads(&self, oid: u32) -> &[u32] {
        self.relation(oid).map(|relation| &*relation.reads).unwrap_or_default()
    }

    /// What a column of a view is made of, where that is known.
    pub fn sources(&self, view: u32, attribute: i16) -> Option<&Sources> {
        self.queries.get(&view)?.sources.get(&attribute)
    }

    /// Is it a view, which can be given another query?
    pub fn is_view(&self, oid: u32) -> bool {
        self.views.contains(&oid)
    }

    /// The functions that it has under the numbers by which clients call some.
    pub const fn numbered(&self) -> &Arc<HashSet<Numbered>> {
        &self.numbered
    }

    /// May this name, without a schema, mean a function that is not PostgreSQL's own? Which of them it does depends on the types
    /// of its arguments.
    pub fn is_double(&self, function: &str) -> bool {
        self.doubles.contains(function)
    }

    /// May this name behind a dot be a function over the row before it? `relation`: whose columns are before the dot, if that is known.
    pub fn is_of_row(&self, name: &str, relation: Option<&str>) -> bool {
        let is_column = |relation: &str| {
            let mut named = self.named(relation).filter_map(|oid| self.relation(oid)).peekable();
            named.peek().is_some() && named.all(|known| known.attribute(name).is_some())
        };
        self.of_rows.contains(name) && !relation.is_some_and(is_column)
    }

    /// All relations whose rows may change, or be checked, where rows of `oid` do: through views and foreign keys. Itself is among them.
    pub fn changed_with(&self, oid: u32) -> impl Iterator<Item = u32> {
        let (mut seen, mut open) = (HashSet::from([oid]), vec![oid]);
        while let Some(next) = open.pop() {
            let referrers = self.referrers.get(&next).map(Vec::as_slice).unwrap_or_default();
            open.extend(self.reads(next).iter().chain(referrers).filter(|other| seen.insert(**other)));
        }
        seen.into_iter()
    }

    /// Does it read others of `bases`, as a view does, and not only share rows with them, as a child and its parent do with each other? Its columns may be
    /// any of theirs then.
    pub fn shows_others(&self, oid: u32, bases: &HashSet<u32>) -> bool {
        let others = bases.iter().filter(|base| **base != oid);
        others.into_iter().any(|base| {
            self.reaches(oid, &HashSet::from([*base])) && !self.reaches(*base, &HashSet::from([oid]))
        })
    }

    /// All that share rows with it, and so have columns of the same name: children and partitions, parents, and theirs.
    pub fn kin(&self, oid: u32) -> impl Iterator<Item = u32> {
        let (mut seen, mut open) = (HashSet::from([oid]), vec![oid]);
        while let Some(next) = open.pop() {
            let kin = self.relation(next).map(|relation| &*relation.kin).unwrap_or_default();
            open.extend(kin.iter().filter(|kin| seen.insert(**kin)));
        }
        seen.remove(&oid);
        seen.into_iter()
    }
}

/// A catalog that is being read.
#[derive(Debug, Default)]
pub struct CatalogBuilder {
    catalog: Catalog,
    /// Bytes of the rows that it was built from.
    size: usize,
}

impl CatalogBuilder {
    /// Takes in the body of a DataRow of [`QUERY`]'s answer.
    ///
    /// # Errors
    ///
    /// It is malformed, or all of them together exceed `limit` bytes.
    pub fn row(&mut self, body: &[u8], limit: usize) -> Result<(), ProtocolError> {
        let side = Side::Upstream;
        let mut reader = Reader::new(body);
        let mut row = Vec::with_capacity(5);
        let mut read = || -> Result<(), Malformed> {
            for _ in 0..reader.count()? {
                row.push(reader.value()?);
            }
            Ok(())
        };
        read().map_err(|cause| cause.in_message(side, "DataRow"))?;
        // Of a tree only is kept what it says.
        let is_tree = matches!(row.get(3), Some(Some(b"-11")));
        self.size = self.size.saturating_add(if is_tree { 0 } else { body.len() });
        if self.size > limit {
            return Err(ProtocolError {
                fault: side,
                code: reply::TOO_LARGE,
                detail: Arc::from(format!("the catalog takes more than {limit} bytes")),
            });
        }
        self.catalog.add_row(&row).map_err(|_| Malformed::OutOfRange.in_message(side, "DataRow"))
    }

    /// The whole catalog. None: it has not a single relation, and is none; nothing would be masked by it.
    pub fn build(self) -> Option<Arc<Catalog>> {
        (!self.catalog.is_empty()).then(|| Arc::new(self.catalog))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        catalog.take_in(&[
            ["10", "public", "people", "1", "id"],
            ["10", "public", "people", "3", "ssn"],
            ["20", "public", "v", "1", "x"],
            ["20", "", "", "0", "10"],
            ["30", "hr", "w", "1", "x"],
            ["30", "", "", "0", "20"],
            ["40", "hr", "people", "1", "id"],
        ]);
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
    fn a025_a_view_over_code_may_show_anything() {
        let mut catalog = catalog();
        assert!(!catalog.shows_unseen(30) && !catalog.is_double("lower"));
        catalog.take_in(&[["20", "", "", "-1", ""]]);
        catalog.take_in(&[["0", "public", "lower", "1", ""]]);
        assert!(catalog.shows_unseen(20) && catalog.shows_unseen(30));
        assert!(!catalog.shows_unseen(10) && !catalog.shows_unseen(40));
        assert!(catalog.is_double("lower") && !catalog.is_double("upper"));
    }

    #[test]
    fn a_copy_has_no_generated_columns() {
        let mut catalog = catalog();
        catalog.take_in(&[["10", "public", "people", "2", "twice"]]);
        catalog.take_in(&[["10", "", "", "-2", "2"]]);
        assert_eq!(catalog.copied(10), ["id".into(), "ssn".into()]);
        assert_eq!(catalog.copied(99), []);
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
    fn a025_what_a_name_stands_for_goes_by_other_names() {
        let catalog = catalog();
        let behind = |name: &str| {
            let mut names: Vec<Arc<str>> = catalog.names_behind(name).collect();
            names.sort();
            names
        };
        assert_eq!(behind("w"), ["people".into(), "v".into(), "w".into()]);
        assert_eq!(behind("people"), ["people".into()]);
        assert_eq!(behind("unheard_of"), []);
    }
}
