//! Which relation and column an answer's column really is.
//!
//! A target says of each column of an answer: relation oid and attribute number (RowDescription). A
//! policy names a schema, a relation and a column. The catalog joins the two, and knows which views read
//! which tables. It is read from the target with the rights of the sessions' account, over a connection of the gateway's own,
//! and shared by all sessions of one database for a short time. A transaction that may have changed definitions reads it
//! over its session's connection: nobody else sees what it sees.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use gatewright_model::session::{ProtocolError, Side};
use parking_lot::Mutex;

use crate::{
    changes::{ChangeLog, Changes},
    reader::{Malformed, Reader},
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
    /// The column that each of its own is, where it is one as it stands.
    origins: HashMap<i16, (u32, i16)>,
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

/// What the gateway asks for, in rows of five texts:
///
/// | oid | schema | name | attribute | last | |
/// | --- | --- | --- | --- | --- | --- |
/// | of a relation | its schema | its name | number, from 1 | name | a column |
/// | of a relation | | | 0 | oid | a view reads that relation |
/// | of a table | | | -2 | number | that column is generated |
/// | of a view | | | -3 | | it is one, and no materialized one |
/// | of a view or materialized view | | | -5 | | it shows what its query gives |
/// | of the same | | | -6 | oid and number | its query uses that column |
/// | of the same | | | -7 | | its query uses whole rows |
/// | of the same | | | -8 | number, oid and number | that column of its own is that one, as it stands |
/// | of a table | | | -9 | two numbers | the first column is computed from the second |
/// | of any | | | -10 | | there are rules for changes of it |
/// | of a table | | | -4 | oid | that is a child or partition of it, or its parent |
/// | of a view | | | -1 | | it shows what somebody's code gives, or what the target keeps of values |
/// | 0 | | a name | 2 | numbers | of one of PostgreSQL's functions for large objects: its own, and those of its arguments' types |
/// | 0 | a schema | a name | 1 | | a function with the name of one of PostgreSQL's |
/// | 0 | | | 0 | seconds | how old all this is at most: a transaction above READ COMMITTED sees what was there when it began |
///
/// Somebody's code is a function or operator that came neither with the server nor with an extension of which it is known that
/// its functions compute from their arguments only. What a view calls of PostgreSQL's own stands in its rule alone, as the
/// number of a function or relation.
///
/// The entries of a rule's tree begin with ` :resno `. A name in it can hold no blank without a backslash (`outToken` of the server's `nodes/outfuncs.c`), so
/// what stands between blanks is what it seems to be, or else its entry says nothing. Splitting takes a fiftieth of what a regular expression does.
///
/// Before version 15, what a generated column is computed from stands as a dependence of the column, and since then as one of its expression.
///
/// Only schema-qualified names are used, so that no `search_path` can put something else in their place. Objects with a number
/// below 16384 came with the server (`FirstNormalObjectId`).
pub const QUERY: &str = "/* gatewright: catalog */ \
with telling as (\
select pg_catalog.concat(':(funcid|aggfnoid|winfnoid|opfuncid) (', pg_catalog.string_agg(p.oid::pg_catalog.text, '|'), ') |:relid (2613|2619|3429) ') as words \
from pg_catalog.pg_proc p where p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace \
and (p.proname operator(pg_catalog.~) '_to_xml(schema|_and_xmlschema)?$' \
or p.proname operator(pg_catalog.~) '^pg_logical_slot_(get|peek)_' \
or p.proname operator(pg_catalog.=) any ('{ts_stat,ts_rewrite,lo_get,loread,pg_read_file,pg_read_binary_file,pg_stat_get_activity,pg_stat_get_backend_activity}'::pg_catalog.name[]))\
), told as (\
select r.ev_class from pg_catalog.pg_rewrite r, telling t \
where r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid and r.ev_action::pg_catalog.text operator(pg_catalog.~) t.words\
), shown as (\
select r.ev_class as view, r.oid as rule, r.ev_action::pg_catalog.text as tree \
from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) r.ev_class \
where r.ev_type operator(pg_catalog.=) '1'::pg_catalog.\"char\" and r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid \
and c.relkind operator(pg_catalog.=) any ('{v,m}'::pg_catalog.\"char\"[])\
), vouched as (\
select m.classid, m.objid from pg_catalog.pg_depend m \
join pg_catalog.pg_extension e on m.refclassid operator(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass and m.refobjid operator(pg_catalog.=) e.oid \
where m.deptype operator(pg_catalog.=) 'e'::pg_catalog.\"char\" \
and e.extname operator(pg_catalog.=) any ('{btree_gin,btree_gist,citext,cube,earthdistance,fuzzystrmatch,hstore,intarray,isn,ltree,pg_trgm,pgcrypto,seg,unaccent,uuid-ossp}'::pg_catalog.name[])\
) \
select c.oid::pg_catalog.text, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, \
a.attnum::pg_catalog.text, a.attname::pg_catalog.text \
from pg_catalog.pg_class c \
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace \
join pg_catalog.pg_attribute a on a.attrelid operator(pg_catalog.=) c.oid \
where c.relkind operator(pg_catalog.=) any ('{r,v,m,f,p,S}'::pg_catalog.\"char\"[]) and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped \
and n.nspname operator(pg_catalog.<>) 'pg_toast' \
union all \
select distinct r.ev_class::pg_catalog.text, '', '', '0', d.refobjid::pg_catalog.text \
from pg_catalog.pg_rewrite r \
join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
and d.objid operator(pg_catalog.=) r.oid \
where d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
and d.refobjid operator(pg_catalog.<>) r.ev_class \
union all \
select i.inhrelid::pg_catalog.text, '', '', '-4', i.inhparent::pg_catalog.text from pg_catalog.pg_inherits i \
union all \
select i.inhparent::pg_catalog.text, '', '', '-4', i.inhrelid::pg_catalog.text from pg_catalog.pg_inherits i \
union all \
select a.attrelid::pg_catalog.text, '', '', '-2', a.attnum::pg_catalog.text from pg_catalog.pg_attribute a \
where a.attgenerated operator(pg_catalog.<>) ''::pg_catalog.\"char\" and not a.attisdropped \
union all \
select c.oid::pg_catalog.text, '', '', '-3', '' from pg_catalog.pg_class c where c.relkind operator(pg_catalog.=) 'v'::pg_catalog.\"char\" \
union all \
select s.view::pg_catalog.text, '', '', k.kind, k.last from shown s, lateral (\
select '-5', '' \
union all select '-7', '' where pg_catalog.strpos(s.tree, ':varattno 0 ') operator(pg_catalog.>) 0 \
union all select distinct '-6', pg_catalog.concat_ws(' ', d.refobjid, d.refobjsubid) from pg_catalog.pg_depend d \
where d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid operator(pg_catalog.=) s.rule \
and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid operator(pg_catalog.>) 0 \
union all select '-8', pg_catalog.concat_ws(' ', e.own, pg_catalog.min(e.relation), pg_catalog.min(e.number)) from (\
select pg_catalog.split_part(t.entry, ' ', 1), pg_catalog.split_part(t.entry, ' ', 9), \
case when pg_catalog.split_part(t.entry, ' ', 2) operator(pg_catalog.=) ':resname' and pg_catalog.split_part(t.entry, ' ', 4) operator(pg_catalog.=) ':ressortgroupref' \
and pg_catalog.split_part(t.entry, ' ', 6) operator(pg_catalog.=) ':resorigtbl' and pg_catalog.split_part(t.entry, ' ', 8) operator(pg_catalog.=) ':resorigcol' \
then pg_catalog.split_part(t.entry, ' ', 7) else '0' end \
from pg_catalog.unnest(pg_catalog.string_to_array(s.tree, ' :resno ')) with ordinality t(entry, place) where t.place operator(pg_catalog.>) 1\
) e(own, number, relation) \
group by e.own having pg_catalog.count(distinct array[e.relation, e.number]) operator(pg_catalog.=) 1 \
and pg_catalog.min(e.relation) operator(pg_catalog.<>) '0' and pg_catalog.min(e.number) operator(pg_catalog.~) '^[1-9]'\
) k(kind, last) \
union all \
select distinct r.ev_class::pg_catalog.text, '', '', '-10', '' from pg_catalog.pg_rewrite r \
where r.ev_type operator(pg_catalog.<>) '1'::pg_catalog.\"char\" and r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid \
union all \
select t.attrelid::pg_catalog.text, '', '', '-9', pg_catalog.concat_ws(' ', t.attnum, d.refobjsubid) from pg_catalog.pg_attribute t \
join pg_catalog.pg_attrdef a on a.adrelid operator(pg_catalog.=) t.attrelid and a.adnum operator(pg_catalog.=) t.attnum \
join pg_catalog.pg_depend d on (d.classid operator(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid operator(pg_catalog.=) a.oid \
or d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid operator(pg_catalog.=) t.attrelid and d.objsubid operator(pg_catalog.=) t.attnum) \
and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid operator(pg_catalog.=) t.attrelid \
and d.refobjsubid operator(pg_catalog.>) 0 and d.refobjsubid operator(pg_catalog.<>) t.attnum \
where t.attgenerated operator(pg_catalog.<>) ''::pg_catalog.\"char\" and not t.attisdropped \
union all \
select distinct r.ev_class::pg_catalog.text, '', '', '-1', '' \
from pg_catalog.pg_rewrite r \
join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
and d.objid operator(pg_catalog.=) r.oid \
where r.ev_class operator(pg_catalog.>=) 16384::pg_catalog.oid and (\
d.refclassid operator(pg_catalog.=) any ('{pg_catalog.pg_proc,pg_catalog.pg_operator}'::pg_catalog.regclass[]) \
and d.refobjid operator(pg_catalog.>=) 16384::pg_catalog.oid \
and not exists (select from vouched v where v.classid operator(pg_catalog.=) d.refclassid and v.objid operator(pg_catalog.=) d.refobjid) \
or d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
and exists (select from pg_catalog.pg_class s where s.oid operator(pg_catalog.=) d.refobjid and s.relnamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace \
and s.relname operator(pg_catalog.=) any ('{pg_stats,pg_stats_ext,pg_stats_ext_exprs,pg_stat_activity}'::pg_catalog.name[]))) \
union all \
select told.ev_class::pg_catalog.text, '', '', '-1', '' from told \
union all \
select distinct '0', n.nspname::pg_catalog.text, p.proname::pg_catalog.text, '1', '' \
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace \
where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid \
and exists (select from pg_catalog.pg_proc b where b.proname operator(pg_catalog.=) p.proname \
and b.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace and b.oid operator(pg_catalog.<) 16384::pg_catalog.oid) \
and not exists (select from vouched v where v.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass and v.objid operator(pg_catalog.=) p.oid) \
union all \
select '0', '', p.proname::pg_catalog.text, '2', pg_catalog.concat_ws(' ', p.oid, nullif(p.proargtypes::pg_catalog.text, '')) from pg_catalog.pg_proc p \
where p.oid operator(pg_catalog.=) any ('{715,952,953,954,955,956,957,958,964,1004,3170,3171,3172}'::pg_catalog.oid[]) \
and p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace \
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
                        query.origins.insert(own, (number()?, attribute_of(number()?)?));
                    }
                    _ => {}
                }
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

    /// The column that a column of a view is, where it is one as it stands.
    pub fn origin(&self, view: u32, attribute: i16) -> Option<(u32, i16)> {
        self.queries.get(&view)?.origins.get(&attribute).copied()
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
        self.size = self.size.saturating_add(body.len());
        if self.size > limit {
            return Err(ProtocolError {
                fault: side,
                code: "upstream.too_large",
                detail: Arc::from(format!("the catalog takes more than {limit} bytes")),
            });
        }
        let mut reader = Reader::new(body);
        let mut row = Vec::with_capacity(5);
        let mut read = || -> Result<(), Malformed> {
            for _ in 0..reader.count()? {
                row.push(reader.value()?);
            }
            Ok(())
        };
        read().map_err(|cause| cause.in_message(side, "DataRow"))?;
        self.catalog.add_row(&row).map_err(|_| Malformed::OutOfRange.in_message(side, "DataRow"))
    }

    /// The whole catalog. None: it has not a single relation, and is none; nothing would be masked by it.
    pub fn build(self) -> Option<Arc<Catalog>> {
        (!self.catalog.is_empty()).then(|| Arc::new(self.catalog))
    }
}

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
