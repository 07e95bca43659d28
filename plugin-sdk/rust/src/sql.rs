//! SQL as far as it could be proved: statements, and what each reads, changes and calls.

use std::fmt;

use crate::{
    raw,
    words::{Access, Effect, Effects, FunctionClass},
};

/// What a message of SQL does. Its statements run together and are judged together.
pub struct Sql(raw::Sql);

impl Sql {
    pub(crate) fn new(raw: raw::Sql) -> Self {
        Self(raw)
    }

    /// The complete text as it was sent, literals included. Where it runs with SQL's EXECUTE what was
    /// prepared before, the text that prepared it follows.
    pub fn text(&self) -> String {
        self.0.text()
    }

    /// The text with every literal replaced by `$n`.
    pub fn normalised(&self) -> String {
        self.0.normalised()
    }

    /// Equal for texts that differ in literals and white space only. Empty when opaque.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    /// Has any statement this effect?
    pub fn has_effect(&self, effect: Effect) -> bool {
        self.0.has_effect(effect.as_str())
    }

    /// Might any statement do this to the relation? None: anything at all. A name that is written without
    /// a schema may be in any.
    pub fn touches(&self, schema: &str, relation: &str, access: Option<Access>) -> bool {
        self.0.touches(schema, relation, access.map_or("any", Access::as_str))
    }

    /// Does any statement call a function of this name, in whatever schema?
    pub fn calls(&self, function: &str) -> bool {
        self.0.calls(function)
    }

    /// The statements, in order.
    pub fn statements(&self) -> impl Iterator<Item = Statement<'_>> {
        (0..self.0.statement_count()).map(|index| Statement { sql: self, index })
    }

    /// The values bound to `$1`, `$2`, ...: on `sql.execute` only. The policy must declare the input
    /// `parameters`.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        (0..self.0.parameter_count()).map(|index| match self.0.parameter_text(index) {
            Some(text) => Parameter::Text(text),
            None if self.0.parameter_kind(index) == "null" => Parameter::Null,
            None => Parameter::Binary,
        })
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").field("normalised", &self.normalised()).finish_non_exhaustive()
    }
}

/// One bound value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// SQL null.
    Null,
    /// Sent as text.
    Text(String),
    /// Sent in binary: that it is there can be seen, not what it says.
    Binary,
}

/// One statement.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'s> {
    sql: &'s Sql,
    index: u32,
}

impl<'s> Statement<'s> {
    /// What it is: PostgreSQL's command tag in lower case with `_`: `select`, `drop_table`. `unknown` only
    /// where the grade is not `verified`.
    pub fn kind(&self) -> String {
        self.raw().statement_kind(self.index)
    }

    /// All that it is: beside its kind, what it changes by a function while it does something else (`set_role`, `set_search_path`). A rule
    /// about kinds has to look at all of them.
    pub fn kinds(&self) -> Vec<String> {
        let further = (0..self.raw().further_kind_count(self.index))
            .map(|index| self.raw().further_kind(self.index, index));
        std::iter::once(self.kind()).chain(further).collect()
    }

    /// Everything it does.
    pub fn effects(&self) -> Effects {
        Effects::from_bits(self.raw().statement_effects(self.index))
    }

    /// Do all its UPDATEs and DELETEs, wherever in it, have a WHERE clause? None: there are none.
    pub fn has_where(&self) -> Option<bool> {
        self.raw().has_where(self.index)
    }

    /// Every relation it names, one for each name and access.
    pub fn relations(&self) -> impl Iterator<Item = Relation<'s>> {
        let Self { sql, index: statement } = *self;
        (0..sql.0.relation_count(statement)).map(move |index| Relation { sql, statement, index })
    }

    /// Every column it names.
    pub fn columns(&self) -> impl Iterator<Item = Column<'s>> {
        let Self { sql, index: statement } = *self;
        (0..sql.0.column_count(statement)).map(move |index| Column { sql, statement, index })
    }

    /// Every function it calls or binds by name. An operator or a type that is not the server's own is one of
    /// class [`FunctionClass::Unknown`], by its own name.
    pub fn functions(&self) -> impl Iterator<Item = Function<'s>> {
        let Self { sql, index: statement } = *self;
        (0..sql.0.function_count(statement)).map(move |index| Function { sql, statement, index })
    }

    fn raw(&self) -> &'s raw::Sql {
        &self.sql.0
    }
}

/// A relation that a statement names.
#[derive(Debug, Clone, Copy)]
pub struct Relation<'s> {
    sql: &'s Sql,
    statement: u32,
    index: u32,
}

impl Relation<'_> {
    /// The schema, where the text names one.
    pub fn schema(&self) -> Option<String> {
        self.sql.0.relation_schema(self.statement, self.index)
    }

    /// The name, folded and unquoted as PostgreSQL stores it.
    pub fn name(&self) -> String {
        self.sql.0.relation_name(self.statement, self.index)
    }

    /// What is done to it.
    pub fn access(&self) -> Access {
        Access::read(&self.sql.0.relation_access(self.statement, self.index))
    }

    /// Could this be `schema.name`? A name that is written without a schema could be in any.
    pub fn may_be(&self, schema: &str, name: &str) -> bool {
        self.name() == name && self.schema().is_none_or(|own| own == schema)
    }
}

/// A column that a statement names.
#[derive(Debug, Clone, Copy)]
pub struct Column<'s> {
    sql: &'s Sql,
    statement: u32,
    index: u32,
}

impl Column<'_> {
    /// Its relation, where the text alone tells it.
    pub fn relation(&self) -> Option<String> {
        self.sql.0.column_relation(self.statement, self.index)
    }

    /// Its name; `*` for all.
    pub fn name(&self) -> String {
        self.sql.0.column_name(self.statement, self.index)
    }
}

/// A function that a statement calls.
#[derive(Debug, Clone, Copy)]
pub struct Function<'s> {
    sql: &'s Sql,
    statement: u32,
    index: u32,
}

impl Function<'_> {
    /// The schema, where the text names one.
    pub fn schema(&self) -> Option<String> {
        self.sql.0.function_schema(self.statement, self.index)
    }

    /// The name.
    pub fn name(&self) -> String {
        self.sql.0.function_name(self.statement, self.index)
    }

    /// What calling it can do.
    pub fn class(&self) -> FunctionClass {
        FunctionClass::read(&self.sql.0.function_class(self.statement, self.index))
    }
}
