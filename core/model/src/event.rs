//! A request as data: what a policy judges.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::SystemTime};

use crate::{
    digest::Digest,
    http::HttpEvent,
    id::{EventId, SessionId},
    principal::Principal,
    sql::{Grade, SqlEvent},
};

/// One request, completely parsed, waiting for a decision.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number in its session.
    pub id: EventId,
    /// SHA-256 over the exact bytes that will be sent if it is allowed. An approval is bound to it, and
    /// an auditor who holds the bytes can prove which request a record means.
    pub payload: Digest,
    /// What the request is, in the words of its protocol.
    pub facet: Facet,
}

/// The protocol's part of an event. A new protocol adds one variant here and one file beside `sql.rs`.
#[derive(Debug, Clone)]
pub enum Facet {
    /// PostgreSQL.
    Sql(SqlEvent),
    /// HTTP.
    Http(HttpEvent),
}

impl Event {
    /// The event kind: what a module's manifest asks for and what a record carries.
    pub const fn kind(&self) -> &'static str {
        match &self.facet {
            Facet::Sql(sql) => sql.phase.as_str(),
            Facet::Http(_) => HttpEvent::KIND,
        }
    }

    /// Why the grade is not `verified`: for people, without values from the request.
    pub fn grade_reason(&self) -> Option<&Arc<str>> {
        match &self.facet {
            Facet::Sql(sql) => sql.analysis.grade_reason.as_ref(),
            Facet::Http(_) => None,
        }
    }

    /// How well the request was understood.
    pub fn grade(&self) -> Grade {
        match &self.facet {
            Facet::Sql(sql) => sql.analysis.grade,
            Facet::Http(http) => http.grade(),
        }
    }

    /// The request in one line that is safe to record: no literal, no parameter.
    pub fn summary(&self) -> Cow<'_, str> {
        match &self.facet {
            Facet::Sql(sql) => Cow::Borrowed(&sql.analysis.normalised),
            Facet::Http(http) => Cow::Owned(http.request.summary()),
        }
    }

    /// The request as a reviewer must see it: complete, exactly what will run.
    pub fn full_text(&self) -> Cow<'_, str> {
        match &self.facet {
            Facet::Sql(sql) => Cow::Borrowed(&sql.analysis.text),
            Facet::Http(http) => Cow::Owned(http.request.full_text()),
        }
    }

    /// The values that belong to [`Event::full_text`], as literals of the protocol's language.
    pub fn parameters(&self) -> impl Iterator<Item = String> + '_ {
        let values = match &self.facet {
            Facet::Sql(sql) => sql.parameters.as_slice(),
            Facet::Http(_) => &[],
        };
        values.iter().map(ToString::to_string)
    }

    /// Must its record be on disk before it is forwarded (promise P1)?
    pub fn leaves_a_trace(&self) -> bool {
        match &self.facet {
            Facet::Sql(sql) => {
                sql.analysis.grade != Grade::Verified || sql.analysis.effects().leaves_a_trace()
            }
            Facet::Http(http) => !http.request.is_safe(),
        }
    }
}

/// What stays the same for all events of one session. Made once, when identity is proved.
#[derive(Debug, Clone)]
pub struct SessionContext {
    /// The session.
    pub id: SessionId,
    /// `postgres`, ...
    pub protocol: &'static str,
    /// Name of the listener in the configuration.
    pub listener: Arc<str>,
    /// Name of the target in the configuration.
    pub target: Arc<str>,
    /// The account at the target under which the gateway acts (a database role).
    pub account: Arc<str>,
    /// What the protocol says about the session as a whole, like `database`.
    pub attributes: Vec<(&'static str, Arc<str>)>,
    /// Address of the client.
    pub client: SocketAddr,
    /// Who is asking.
    pub principal: Arc<Principal>,
    /// When the session began.
    pub opened_at: SystemTime,
}

impl SessionContext {
    /// An attribute of the session, by name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| *own == name).map(|(_, value)| &**value)
    }
}
