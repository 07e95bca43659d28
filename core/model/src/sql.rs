//! What a SQL message means, as far as it could be proved.
//!
//! An [`Analysis`] depends on the text alone and is shared by everything that sends the same text; a
//! [`SqlEvent`] adds what belongs to one message: its phase and its parameters.

use std::{fmt, mem, sync::Arc};

use serde::{Serialize, Serializer};

/// One message that carries or runs SQL.
#[derive(Debug, Clone)]
pub struct SqlEvent {
    /// Which message it was.
    pub phase: SqlPhase,
    /// What its text means.
    pub analysis: Arc<Analysis>,
    /// The values bound to `$1`, `$2`, ...: on [`SqlPhase::Execute`] only.
    pub parameters: Vec<Parameter>,
}

/// Which message carries the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlPhase {
    /// A simple `Query`: all its statements at once, text in and answer out.
    Query,
    /// `Parse`: a statement is prepared and not yet run; its parameters are unknown.
    Parse,
    /// `Execute` of a portal: the statement runs, with the values of its `Bind`.
    Execute,
}

impl SqlPhase {
    /// The event kind that policies ask for and records carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "sql.query",
            Self::Parse => "sql.parse",
            Self::Execute => "sql.execute",
        }
    }
}

/// One bound parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// SQL null.
    Null,
    /// Sent in text format.
    Text(Arc<str>),
    /// Sent in binary format, or not UTF-8: policies see that it is there, not what it says.
    Binary(Arc<[u8]>),
}

impl fmt::Display for Parameter {
    /// As a SQL literal: for reviewers, never for a server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Binary(bytes) => {
                f.write_str("'\\x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

/// How well a text was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grade {
    /// PostgreSQL's grammar read it, every node is known, and the second reader does not contradict.
    Verified,
    /// Both readers understood it and they disagree about what it does.
    Disputed,
    /// PostgreSQL's grammar did not read it, or it holds something this version does not model.
    Opaque,
}

impl Grade {
    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Disputed => "disputed",
            Self::Opaque => "opaque",
        }
    }
}

/// What one SQL text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// The text as it was sent. Where it runs with SQL's EXECUTE what was prepared before, the text that
    /// prepared it follows behind a line that says so.
    pub text: Arc<str>,
    /// The text with every literal replaced by `$n`: safe to record. For a text that could not be read
    /// it says only that, and how long it is.
    pub normalised: Arc<str>,
    /// Equal for texts that differ in literals and white space only: 16 hex digits. Empty when opaque.
    pub fingerprint: Arc<str>,
    /// How well it was understood.
    pub grade: Grade,
    /// Why the grade is not `verified`: for people, without values from the text.
    pub grade_reason: Option<Arc<str>>,
    /// Its statements, in order. None for an empty text. Texts that differ in the values of literals only
    /// may share them.
    pub statements: Arc<[Statement]>,
}

impl Analysis {
    /// About how many bytes of memory it takes, if nothing of it is shared.
    pub fn footprint(&self) -> usize {
        let texts = [&self.text, &self.normalised, &self.fingerprint];
        mem::size_of::<Self>()
            + texts.into_iter().map(|text| NAME + text.len()).sum::<usize>()
            + self.statements.iter().map(Statement::footprint).sum::<usize>()
    }

    /// The union of what all statements do.
    pub fn effects(&self) -> Effects {
        self.statements.iter().fold(Effects::default(), |all, statement| all.union(statement.effects))
    }
}

/// Bytes that an `Arc<str>` of a short name takes: two counts, the text, what the allocator adds.
const NAME: usize = 48;

/// One statement of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// What it is, as PostgreSQL's command tag in lower case with `_`: `select`, `insert`, `update`,
    /// `delete`, `merge`, `create_table`, `drop_table`, `alter_table`, `truncate`, `copy_to`, `copy_from`,
    /// `begin`, `commit`, `rollback`, `savepoint`, `set`, `show`, `explain`, `prepare`, `execute`,
    /// `declare_cursor`, `fetch`, `do`, `call`, `grant`, `listen`, `notify`, `vacuum`, ... `unknown` only
    /// where the grade is not `verified`.
    pub kind: &'static str,
    /// What else it is: of a statement that changes a setting while it does something else, `set_role`, `set_search_path` and their like. Of a
    /// `select` that does, `kind` is such a one, and `select` is here.
    pub further_kinds: Vec<&'static str>,
    /// Everything it does, the strongest effect of any part included (a CTE that deletes makes a select
    /// a write).
    pub effects: Effects,
    /// Every relation it names, wherever in the statement. One entry for each name and access.
    pub relations: Vec<Relation>,
    /// Every column it names.
    pub columns: Vec<Column>,
    /// Those of them that it only gives a value, or returns as they stand: nothing is computed from them.
    pub passive: Vec<Column>,
    /// Those of them by whose values rows are chosen, joined, grouped or sorted, or on which it depends how many there are; `*` where it can not be
    /// told which. A name without a relation may belong to any.
    pub conditions: Vec<Column>,
    /// Names behind a dot (`p.f`, `(c).f`) that the text alone does not tell to be columns: `f` may be a function over the row before it. With the
    /// relation whose columns they are, if there is one.
    pub fields: Vec<Column>,
    /// Every function that it calls or binds by name, and every operator, type and operator class that is
    /// not PostgreSQL's own, by its name and as [`FunctionClass::Unknown`]: there is a function behind each.
    pub functions: Vec<Function>,
    /// For `update` and `delete`, wherever in the statement: do all of them have a WHERE clause? One that
    /// lets every row through or none (`where true`, `where 1 = 1`, `where id = 7 or true`, `where id = id`)
    /// counts as none. In a `merge` it is the ON clause together with the condition of WHEN; for rows that
    /// are NOT MATCHED BY SOURCE it is that condition alone. None when there is no update or delete.
    pub has_where: Option<bool>,
    /// Where each column of the answer comes from, or of what a COPY sends. None when the statement gives no rows, or the shape
    /// of its answer is not known from the text (`execute`, `fetch`, `show`, `call`, `explain`).
    pub outputs: Option<Vec<Output>>,
    /// What a COPY sends to the client. None where it is no such COPY, or its form is not understood.
    pub copies: Option<Arc<CopyOut>>,
    /// Is one of `outputs` a `*` of a relation? It stands for any number of columns then, and no place behind it is known.
    pub has_star: bool,
    /// The name that it gives to a relation that is there.
    pub renames_to: Option<Arc<str>>,
    /// The cursor or portal that `FETCH` or `MOVE` reads, by its name.
    pub fetches: Option<Arc<str>>,
    /// The cursor that `DECLARE` makes.
    pub declares: Option<Declared>,
    /// What it does with a statement that is prepared under a name.
    pub prepared: Option<Prepared>,
}

impl Statement {
    /// About how many bytes of memory it takes, if nothing of it is shared.
    pub fn footprint(&self) -> usize {
        let Self {
            relations,
            columns,
            passive,
            conditions,
            fields,
            functions,
            outputs,
            copies,
            prepared,
            ..
        } = self;
        let computed = outputs.iter().flatten().map(|output| match output {
            Output::Computed(columns) => columns.len(),
            Output::United { plain, computed } => plain.len() + computed.iter().flatten().count(),
            Output::Direct | Output::Unknown => 0,
        });
        let columns =
            columns.len() + passive.len() + conditions.len() + fields.len() + computed.sum::<usize>();
        let names = relations.len() + functions.len() + columns;
        let body = match prepared {
            Some(Prepared::Prepare { body, .. }) => body.footprint(),
            _ => 0,
        };
        let declared = self.declares.as_ref().map_or(0, |declared| declared.query.footprint());
        let outputs = outputs.iter().flatten().count() * mem::size_of::<Output>();
        let copies = copies.as_ref().map_or(0, |copies| copies.footprint());
        mem::size_of::<Self>() + names * 3 * NAME + outputs + body + declared + copies
    }

    /// All that it is.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        std::iter::once(self.kind).chain(self.further_kinds.iter().copied())
    }

    /// The statement that it prepares.
    pub fn body(&self) -> Option<&Self> {
        match &self.prepared {
            Some(Prepared::Prepare { body, .. }) => Some(body),
            _ => None,
        }
    }
}

/// A cursor that a `DECLARE` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: Arc<str>,
    /// What it reads, as a statement by itself.
    pub query: Arc<Statement>,
}

/// What a COPY sends to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOut {
    /// Where its rows come from.
    pub source: CopySource,
    /// How they are written.
    pub form: CopyForm,
}

impl CopyOut {
    fn footprint(&self) -> usize {
        mem::size_of::<Self>()
            + match &self.source {
                CopySource::Table { columns, .. } => (columns.len() + 2) * NAME,
                CopySource::Query(text) => NAME + text.len(),
            }
    }
}

/// Where the rows of a COPY come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A table itself, without its children.
    Table {
        /// The schema, where the text names one.
        schema: Option<Arc<str>>,
        /// The name.
        name: Arc<str>,
        /// Its columns; none where all of them are meant.
        columns: Vec<Arc<str>>,
    },
    /// A query, as it stands in the text.
    Query(Arc<str>),
}

/// How the rows of a COPY are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyForm {
    /// A line for each row, with backslashes before what has a meaning. Null is `\N`.
    Text {
        /// Between two values.
        delimiter: u8,
        /// The first line names the columns.
        header: bool,
    },
    /// Values that may be quoted.
    Csv {
        /// Between two values.
        delimiter: u8,
        /// Around a value.
        quote: u8,
        /// Within quotes, before a quote and before itself.
        escape: u8,
        /// What stands for null, without quotes.
        null: Arc<str>,
        /// The first line names the columns.
        header: bool,
    },
    /// Values with their lengths.
    Binary,
}

/// What SQL does with the names of prepared statements, which are also those of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// `PREPARE`: from now on the name stands for the body.
    Prepare {
        /// The name.
        name: Arc<str>,
        /// What `EXECUTE` of it does.
        body: Arc<Statement>,
    },
    /// `EXECUTE` by itself; inside of other statements what it runs is unseen.
    Execute {
        /// The name.
        name: Arc<str>,
        /// What its arguments do.
        arguments: Effects,
    },
    /// `DEALLOCATE`, and what does the same.
    Deallocate {
        /// The name. None: all there are.
        name: Option<Arc<str>>,
    },
}

/// What a statement does. Several may hold at once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Effects {
    /// Reads rows of relations.
    pub read: bool,
    /// Changes rows, sequences or large objects, takes locks that block others, or may do so through a
    /// function that is not known to be harmless.
    pub write: bool,
    /// Changes the catalog: tables, roles, rights, functions, settings that outlive the session.
    pub ddl: bool,
    /// Changes the session: settings, role, search path, prepared statements, cursors, listening.
    pub session: bool,
    /// Reaches outside the database: files, programs, other servers, libraries of the server's host.
    pub host_access: bool,
    /// Begins, ends or marks a transaction.
    pub transaction: bool,
    /// Runs SQL that is built at run time and can not be seen here: `DO`, `CALL`, `EXECUTE` of an unknown
    /// name, functions that take SQL as text.
    pub dynamic: bool,
}

impl Effects {
    /// Each effect with the word that policies and records use.
    pub fn each(self) -> [(&'static str, bool); 7] {
        [
            ("read", self.read),
            ("write", self.write),
            ("ddl", self.ddl),
            ("session", self.session),
            ("host_access", self.host_access),
            ("transaction", self.transaction),
            ("dynamic", self.dynamic),
        ]
    }

    /// What either does.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            read: self.read | other.read,
            write: self.write | other.write,
            ddl: self.ddl | other.ddl,
            session: self.session | other.session,
            host_access: self.host_access | other.host_access,
            transaction: self.transaction | other.transaction,
            dynamic: self.dynamic | other.dynamic,
        }
    }

    /// Can anything outlive the statement, or reach beyond the session?
    ///
    /// The record of such a statement is on disk before the statement is forwarded (promise P1).
    pub const fn leaves_a_trace(self) -> bool {
        self.write | self.ddl | self.host_access | self.dynamic
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.each().into_iter().filter(|(_, on)| *on).map(|(word, _)| word);
        f.debug_set().entries(words).finish()
    }
}

impl Serialize for Effects {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.each().into_iter().filter(|(_, on)| *on).map(|(word, _)| word))
    }
}

/// A relation that a statement names: table, view, sequence, or a name that may be any of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Relation {
    /// The schema, where the text names one. None: the server's `search_path` decides.
    pub schema: Option<Arc<str>>,
    /// The name, folded and unquoted as PostgreSQL stores it.
    pub name: Arc<str>,
    /// What is done to it.
    pub access: Access,
}

impl Relation {
    /// Could this be the relation `schema.name`? A name without a schema could be in any.
    ///
    /// Policies that protect a relation ask this question, so that leaving the schema out is no bypass.
    pub fn may_be(&self, schema: &str, name: &str) -> bool {
        *self.name == *name && self.schema.as_deref().is_none_or(|own| own == schema)
    }
}

/// What is done to a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Rows are read.
    Read,
    /// Rows are changed.
    Write,
    /// Its definition is made, changed or dropped.
    Define,
}

impl Access {
    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Define => "define",
        }
    }
}

/// A column that a statement names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// The qualifier, where there is one, resolved through aliases to a relation's name where the text
    /// alone allows it.
    pub relation: Option<Arc<str>>,
    /// The column; `*` for all.
    pub name: Arc<str>,
}

/// A function that a statement calls, or an operator or type of somebody's own that stands for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// The schema, where the text names one.
    pub schema: Option<Arc<str>>,
    /// The name.
    pub name: Arc<str>,
    /// What calling it can do.
    pub class: FunctionClass,
}

/// What is known of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionClass {
    /// A function of PostgreSQL that computes and reads, and changes nothing.
    Harmless,
    /// A function of PostgreSQL that changes data, sequences, the session or the server.
    Changing,
    /// A function of PostgreSQL that reaches files, programs, other servers or other sessions.
    Host,
    /// A function of PostgreSQL that runs SQL given as text.
    Dynamic,
    /// Not a function of PostgreSQL: what it does is not known here.
    Unknown,
}

impl FunctionClass {
    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Changing => "changing",
            Self::Host => "host",
            Self::Dynamic => "dynamic",
            Self::Unknown => "unknown",
        }
    }
}

/// Where one column of an answer comes from, as far as the text tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A column, or all columns (`*`), of relations and nothing else: the server's own description of
    /// the answer will say which, by table oid and attribute number. Should it not say so (oid 0), the text
    /// was read wrongly somewhere, and it is as good as [`Output::Unknown`].
    Direct,
    /// Computed from these columns (and constants) only. Empty: from no column at all, like `count(*)`
    /// or `1 + 1`. A column without a relation may belong to any relation of the statement.
    Computed(Vec<Column>),
    /// One of several values, as UNION, INTERSECT and EXCEPT give it: the server's description says nothing of
    /// such a column, so the text is all there is. Or what RETURNING gives of a column: what stood there, or what was
    /// assigned; for the server that is the column.
    United {
        /// It may be one of these columns, untouched.
        plain: Vec<Column>,
        /// Or computed from these columns only, of which there may be none. None: it is a plain column in any case.
        computed: Option<Vec<Column>>,
    },
    /// Not understood: whole rows, functions over rows, sub-selects of other shapes.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_schema_may_be_in_any() {
        let relation = |schema: Option<&str>| Relation {
            schema: schema.map(Arc::from),
            name: "people".into(),
            access: Access::Read,
        };
        assert!(relation(None).may_be("public", "people"));
        assert!(relation(Some("public")).may_be("public", "people"));
        assert!(!relation(Some("hr")).may_be("public", "people"));
        assert!(!relation(None).may_be("public", "payments"));
    }

    #[test]
    fn effects_unite() {
        let read = Effects { read: true, ..Effects::default() };
        let write = Effects { write: true, ..Effects::default() };
        assert!(!read.leaves_a_trace());
        assert!(read.union(write).leaves_a_trace());
        assert_eq!(format!("{:?}", read.union(write)), r#"{"read", "write"}"#);
    }
}
