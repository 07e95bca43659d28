//! Events for tests, without a gateway: plain data behind the same typed [`Event`].
//!
//! ```
//! use gatewright_policy_sdk::{Access, Effect, testkit::{EventBuilder, StatementBuilder}};
//!
//! let held = EventBuilder::query("delete from people")
//!     .groups(["analysts"])
//!     .statement(
//!         StatementBuilder::new("delete")
//!             .effects([Effect::Write])
//!             .relation("people", Access::Write)
//!             .has_where(false),
//!     );
//! assert_eq!(held.event().sql().unwrap().statements().next().unwrap().kind(), "delete");
//! ```
//!
//! There is no SQL parser here: the builder says what the gateway's analyser would. Cases that start from
//! SQL text belong into the policy's document, where `gatewright policy test` runs them through the
//! gateway's own analyser and the compiled module.
//!
//! An HTTP request is [`EventBuilder::http`]: what is written into it is what the policy sees, so write paths in
//! their canonical form.

mod http;
mod kubernetes;
mod ssh;

use crate::{
    event::Event,
    settings::{self, Settings},
    sql::Parameter,
    words::{Access, Effect, Effects, FunctionClass, Grade, PrincipalKind},
};

/// Settings from JSON, read as the compiled module reads them.
///
/// # Errors
///
/// What an operator would be told.
pub fn settings<S: Settings>(json: &str) -> Result<S, String> {
    settings::read(json)
}

/// An event under construction, and then the data behind it: by default a verified `sql.query` of the
/// person `alice`, who is in no group, to the target `demo`.
#[derive(Debug, Clone)]
pub struct EventBuilder {
    raw: raw::Event,
}

impl EventBuilder {
    /// A simple query.
    pub fn query(text: &str) -> Self {
        Self::of_kind("sql.query", text)
    }

    /// A statement that is being prepared.
    pub fn parse(text: &str) -> Self {
        Self::of_kind("sql.parse", text)
    }

    /// A prepared statement that is being run.
    pub fn execute(text: &str) -> Self {
        Self::of_kind("sql.execute", text)
    }

    fn of_kind(kind: &str, text: &str) -> Self {
        let sql = raw::Sql { text: text.to_owned(), ..raw::Sql::default() };
        let session = raw::Session {
            protocol: "postgres",
            listener: "postgres".to_owned(),
            target: "demo".to_owned(),
            account: "app".to_owned(),
            attributes: vec![("database".to_owned(), "demo".to_owned())],
        };
        Self::of(kind, session, raw::Facet::Sql(sql))
    }

    fn of(kind: &str, session: raw::Session, facet: raw::Facet) -> Self {
        let principal = raw::Principal {
            subject: "alice".to_owned(),
            issuer: "test".to_owned(),
            kind: PrincipalKind::Human,
            groups: Vec::new(),
            actors: Vec::new(),
            claims: Vec::new(),
        };
        let raw =
            raw::Event { kind: kind.to_owned(), grade: Grade::Verified, now: 0, principal, session, facet };
        Self { raw }
    }

    /// How well the request was understood.
    #[must_use]
    pub fn grade(mut self, grade: Grade) -> Self {
        self.raw.grade = grade;
        self
    }

    /// Who asks.
    #[must_use]
    pub fn subject(mut self, subject: &str, kind: PrincipalKind) -> Self {
        subject.clone_into(&mut self.raw.principal.subject);
        self.raw.principal.kind = kind;
        self
    }

    /// The groups of who asks.
    #[must_use]
    pub fn groups<'a>(mut self, groups: impl IntoIterator<Item = &'a str>) -> Self {
        self.raw.principal.groups = groups.into_iter().map(str::to_owned).collect();
        self
    }

    /// Who acts for the subject, the current actor first.
    #[must_use]
    pub fn actors<'a>(mut self, actors: impl IntoIterator<Item = &'a str>) -> Self {
        self.raw.principal.actors = actors.into_iter().map(str::to_owned).collect();
        self
    }

    /// A further claim of the credential.
    #[must_use]
    pub fn claim(mut self, name: &str, value: &str) -> Self {
        self.raw.principal.claims.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The target.
    #[must_use]
    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.raw.session.target);
        self
    }

    /// The time, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now(mut self, milliseconds: u64) -> Self {
        self.raw.now = milliseconds;
        self
    }

    /// One more statement.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn statement(mut self, statement: StatementBuilder) -> Self {
        self.sql().statements.push(statement.raw);
        self
    }

    /// One more bound value.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.sql().parameters.push(parameter);
        self
    }

    fn sql(&mut self) -> &mut raw::Sql {
        match &mut self.raw.facet {
            raw::Facet::Sql(sql) => sql,
            raw::Facet::Http(_) | raw::Facet::Kubernetes(_) | raw::Facet::Ssh(_) => {
                panic!("statements and parameters are parts of SQL events")
            }
        }
    }

    /// The event, to hand to the policy.
    pub fn event(&self) -> Event<'_> {
        Event::new(&self.raw)
    }
}

/// A statement under construction.
#[derive(Debug, Clone)]
pub struct StatementBuilder {
    raw: raw::Statement,
}

impl StatementBuilder {
    /// A statement that has no effect and names nothing.
    pub fn new(kind: &str) -> Self {
        Self { raw: raw::Statement { kind: kind.to_owned(), ..raw::Statement::default() } }
    }

    /// What else it is, like `set_role`.
    #[must_use]
    pub fn further_kind(mut self, kind: &str) -> Self {
        self.raw.further_kinds.push(kind.to_owned());
        self
    }

    /// What it does.
    #[must_use]
    pub fn effects(mut self, effects: impl IntoIterator<Item = Effect>) -> Self {
        self.raw.effects = effects.into_iter().collect::<Effects>();
        self
    }

    /// One more relation: `name`, or `schema.name`.
    #[must_use]
    pub fn relation(mut self, name: &str, access: Access) -> Self {
        let (schema, name) = qualified(name);
        self.raw.relations.push((schema, name, access));
        self
    }

    /// One more column: `name`, or `relation.name`.
    #[must_use]
    pub fn column(mut self, name: &str) -> Self {
        self.raw.columns.push(qualified(name));
        self
    }

    /// One more function: `name`, or `schema.name`.
    #[must_use]
    pub fn function(mut self, name: &str, class: FunctionClass) -> Self {
        let (schema, name) = qualified(name);
        self.raw.functions.push((schema, name, class));
        self
    }

    /// Whether all its UPDATEs and DELETEs have a WHERE clause.
    #[must_use]
    pub fn has_where(mut self, has: bool) -> Self {
        self.raw.has_where = Some(has);
        self
    }
}

fn qualified(name: &str) -> (Option<String>, String) {
    match name.split_once('.') {
        Some((qualifier, name)) => (Some(qualifier.to_owned()), name.to_owned()),
        None => (None, name.to_owned()),
    }
}

/// Data with the methods of the contract's handles.
#[doc(hidden)]
#[allow(missing_docs)]
pub mod raw {
    use super::{Access, Effect, Effects, FunctionClass, Grade, Parameter, PrincipalKind};
    pub use super::{
        http::raw::{Http, Response},
        kubernetes::raw::Kubernetes,
        ssh::raw::Ssh,
    };

    #[derive(Debug, Clone)]
    pub struct Event {
        pub(super) kind: String,
        pub(super) grade: Grade,
        pub(super) now: u64,
        pub(super) principal: Principal,
        pub(super) session: Session,
        pub(super) facet: Facet,
    }

    #[derive(Debug, Clone)]
    pub enum Facet {
        Sql(Sql),
        Http(Http),
        Kubernetes(Box<Kubernetes>),
        Ssh(Box<Ssh>),
    }

    impl Event {
        pub(crate) fn kind(&self) -> String {
            self.kind.clone()
        }

        pub(crate) fn grade(&self) -> String {
            self.grade.as_str().to_owned()
        }

        pub(crate) fn grade_reason(&self) -> Option<String> {
            (self.grade != Grade::Verified).then(|| "as the test says".to_owned())
        }

        pub(crate) fn now(&self) -> u64 {
            self.now
        }

        pub(crate) fn principal(&self) -> Principal {
            self.principal.clone()
        }

        pub(crate) fn session(&self) -> Session {
            self.session.clone()
        }

        pub(crate) fn sql(&self) -> Option<Sql> {
            match &self.facet {
                Facet::Sql(sql) => Some(sql.clone()),
                Facet::Http(_) | Facet::Kubernetes(_) | Facet::Ssh(_) => None,
            }
        }

        pub(crate) fn http(&self) -> Option<Http> {
            match &self.facet {
                Facet::Http(http) => Some(http.clone()),
                Facet::Sql(_) | Facet::Kubernetes(_) | Facet::Ssh(_) => None,
            }
        }

        pub(crate) fn kubernetes(&self) -> Option<Kubernetes> {
            match &self.facet {
                Facet::Kubernetes(kubernetes) => Some(Kubernetes::clone(kubernetes)),
                Facet::Sql(_) | Facet::Http(_) | Facet::Ssh(_) => None,
            }
        }

        pub(crate) fn ssh(&self) -> Option<Ssh> {
            match &self.facet {
                Facet::Ssh(ssh) => Some(Ssh::clone(ssh)),
                Facet::Sql(_) | Facet::Http(_) | Facet::Kubernetes(_) => None,
            }
        }
    }

    #[derive(Debug, Clone)]
    pub struct Principal {
        pub(super) subject: String,
        pub(super) issuer: String,
        pub(super) kind: PrincipalKind,
        pub(super) groups: Vec<String>,
        pub(super) actors: Vec<String>,
        pub(super) claims: Vec<(String, String)>,
    }

    impl Principal {
        pub(crate) fn subject(&self) -> String {
            self.subject.clone()
        }

        pub(crate) fn issuer(&self) -> String {
            self.issuer.clone()
        }

        pub(crate) fn kind(&self) -> String {
            self.kind.as_str().to_owned()
        }

        pub(crate) fn in_group(&self, group: &str) -> bool {
            self.groups.iter().any(|own| own == group)
        }

        pub(crate) fn group_count(&self) -> u32 {
            self.groups.len() as u32
        }

        pub(crate) fn group(&self, index: u32) -> String {
            self.groups[index as usize].clone()
        }

        pub(crate) fn actor_count(&self) -> u32 {
            self.actors.len() as u32
        }

        pub(crate) fn actor(&self, index: u32) -> String {
            self.actors[index as usize].clone()
        }

        pub(crate) fn involves(&self, subject: &str) -> bool {
            self.subject == subject || self.actors.iter().any(|actor| actor == subject)
        }

        pub(crate) fn claim(&self, name: &str) -> Option<String> {
            self.claims.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
        }
    }

    #[derive(Debug, Clone)]
    pub struct Session {
        pub(super) protocol: &'static str,
        pub(super) listener: String,
        pub(super) target: String,
        pub(super) account: String,
        pub(super) attributes: Vec<(String, String)>,
    }

    impl Session {
        pub(crate) fn protocol(&self) -> String {
            self.protocol.to_owned()
        }

        pub(crate) fn listener(&self) -> String {
            self.listener.clone()
        }

        pub(crate) fn target(&self) -> String {
            self.target.clone()
        }

        pub(crate) fn account(&self) -> String {
            self.account.clone()
        }

        pub(crate) fn attribute(&self, name: &str) -> Option<String> {
            self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
        }

        pub(crate) fn client_address(&self) -> String {
            "127.0.0.1".to_owned()
        }
    }

    #[derive(Debug, Clone, Default)]
    pub struct Sql {
        pub(super) text: String,
        pub(super) statements: Vec<Statement>,
        pub(super) parameters: Vec<Parameter>,
    }

    #[derive(Debug, Clone, Default)]
    pub struct Statement {
        pub(super) kind: String,
        pub(super) further_kinds: Vec<String>,
        pub(super) effects: Effects,
        pub(super) has_where: Option<bool>,
        pub(super) relations: Vec<(Option<String>, String, Access)>,
        pub(super) columns: Vec<(Option<String>, String)>,
        pub(super) functions: Vec<(Option<String>, String, FunctionClass)>,
    }

    impl Sql {
        pub(crate) fn text(&self) -> String {
            self.text.clone()
        }

        pub(crate) fn normalised(&self) -> String {
            self.text.clone()
        }

        pub(crate) fn fingerprint(&self) -> String {
            "0123456789abcdef".to_owned()
        }

        pub(crate) fn has_effect(&self, word: &str) -> bool {
            let effect = Effect::ALL.into_iter().find(|effect| effect.as_str() == word).unwrap();
            self.statements.iter().any(|statement| statement.effects.contains(effect))
        }

        pub(crate) fn touches(&self, schema: &str, relation: &str, access: &str) -> bool {
            self.statements.iter().flat_map(|statement| &statement.relations).any(|(own, name, does)| {
                name == relation
                    && own.as_deref().is_none_or(|own| own == schema)
                    && (access == "any" || does.as_str() == access)
            })
        }

        pub(crate) fn calls(&self, function: &str) -> bool {
            self.statements
                .iter()
                .flat_map(|statement| &statement.functions)
                .any(|(_, name, _)| name == function)
        }

        pub(crate) fn statement_count(&self) -> u32 {
            self.statements.len() as u32
        }

        fn statement(&self, index: u32) -> &Statement {
            &self.statements[index as usize]
        }

        pub(crate) fn statement_kind(&self, statement: u32) -> String {
            self.statement(statement).kind.clone()
        }

        pub(crate) fn further_kind_count(&self, statement: u32) -> u32 {
            self.statement(statement).further_kinds.len() as u32
        }

        pub(crate) fn further_kind(&self, statement: u32, index: u32) -> String {
            self.statement(statement).further_kinds[index as usize].clone()
        }

        pub(crate) fn statement_effects(&self, statement: u32) -> u64 {
            self.statement(statement).effects.bits()
        }

        pub(crate) fn has_where(&self, statement: u32) -> Option<bool> {
            self.statement(statement).has_where
        }

        pub(crate) fn relation_count(&self, statement: u32) -> u32 {
            self.statement(statement).relations.len() as u32
        }

        pub(crate) fn relation_schema(&self, statement: u32, relation: u32) -> Option<String> {
            self.statement(statement).relations[relation as usize].0.clone()
        }

        pub(crate) fn relation_name(&self, statement: u32, relation: u32) -> String {
            self.statement(statement).relations[relation as usize].1.clone()
        }

        pub(crate) fn relation_access(&self, statement: u32, relation: u32) -> String {
            self.statement(statement).relations[relation as usize].2.as_str().to_owned()
        }

        pub(crate) fn column_count(&self, statement: u32) -> u32 {
            self.statement(statement).columns.len() as u32
        }

        pub(crate) fn column_relation(&self, statement: u32, column: u32) -> Option<String> {
            self.statement(statement).columns[column as usize].0.clone()
        }

        pub(crate) fn column_name(&self, statement: u32, column: u32) -> String {
            self.statement(statement).columns[column as usize].1.clone()
        }

        pub(crate) fn function_count(&self, statement: u32) -> u32 {
            self.statement(statement).functions.len() as u32
        }

        pub(crate) fn function_schema(&self, statement: u32, function: u32) -> Option<String> {
            self.statement(statement).functions[function as usize].0.clone()
        }

        pub(crate) fn function_name(&self, statement: u32, function: u32) -> String {
            self.statement(statement).functions[function as usize].1.clone()
        }

        pub(crate) fn function_class(&self, statement: u32, function: u32) -> String {
            self.statement(statement).functions[function as usize].2.as_str().to_owned()
        }

        pub(crate) fn parameter_count(&self) -> u32 {
            self.parameters.len() as u32
        }

        pub(crate) fn parameter_kind(&self, parameter: u32) -> String {
            match self.parameters[parameter as usize] {
                Parameter::Null => "null",
                Parameter::Text(_) => "text",
                Parameter::Binary => "binary",
            }
            .to_owned()
        }

        pub(crate) fn parameter_text(&self, parameter: u32) -> Option<String> {
            match &self.parameters[parameter as usize] {
                Parameter::Text(text) => Some(text.clone()),
                Parameter::Null | Parameter::Binary => None,
            }
        }
    }
}
