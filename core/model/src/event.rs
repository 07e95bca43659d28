//! A request as data: what a policy judges.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::SystemTime};

use crate::{
    digest::Digest,
    http::{HttpEvent, HttpResponse},
    id::{EventId, SessionId},
    kubernetes::KubernetesEvent,
    principal::Principal,
    sql::{Grade, SqlEvent},
    ssh::SshEvent,
};

/// One request, completely parsed, waiting for a decision.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number in its session.
    pub id: EventId,
    /// SHA-256 over the exact bytes that will be sent if it is allowed; of HTTP, without headers that are new with each attempt
    /// (`protocols/http/src/digest.rs` lists them). An approval is bound to it, and
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
    /// The Kubernetes API.
    Kubernetes(KubernetesEvent),
    /// SSH.
    Ssh(SshEvent),
}

impl Facet {
    /// The request in the words of HTTP, where the protocol is on top of it.
    pub const fn http(&self) -> Option<&HttpEvent> {
        match self {
            Self::Sql(_) | Self::Ssh(_) => None,
            Self::Http(http) => Some(http),
            Self::Kubernetes(kubernetes) => Some(&kubernetes.http),
        }
    }

    /// The same, about the answer. None: of this protocol, answers are no events.
    pub fn with_answer(&self, response: Arc<HttpResponse>) -> Option<Self> {
        let mut answer = self.clone();
        match &mut answer {
            Self::Sql(_) | Self::Ssh(_) => return None,
            Self::Http(http) => http.response = Some(response),
            Self::Kubernetes(kubernetes) => kubernetes.http.response = Some(response),
        }
        Some(answer)
    }
}

impl Event {
    /// The event kind: what a module's manifest asks for and what a record carries.
    pub const fn kind(&self) -> &'static str {
        match &self.facet {
            Facet::Sql(sql) => sql.phase.as_str(),
            Facet::Http(http) => http.kind(),
            Facet::Kubernetes(kubernetes) => kubernetes.kind(),
            Facet::Ssh(_) => SshEvent::KIND,
        }
    }

    /// The kind of the event that its answer would be. None: it is about an answer itself, or answers are no events.
    pub const fn answer_kind(&self) -> Option<&'static str> {
        match &self.facet {
            Facet::Http(http) if http.response.is_none() => Some(HttpEvent::ANSWER_KIND),
            Facet::Kubernetes(kubernetes) if kubernetes.http.response.is_none() => {
                Some(KubernetesEvent::ANSWER_KIND)
            }
            Facet::Sql(_) | Facet::Http(_) | Facet::Kubernetes(_) | Facet::Ssh(_) => None,
        }
    }

    /// Is it about the answer to a request that was permitted?
    pub const fn is_answer(&self) -> bool {
        match &self.facet {
            Facet::Sql(_) | Facet::Ssh(_) => false,
            Facet::Http(http) => http.response.is_some(),
            Facet::Kubernetes(kubernetes) => kubernetes.http.response.is_some(),
        }
    }

    /// Why the grade is not `verified`: for people, without values from the request.
    pub fn grade_reason(&self) -> Option<Arc<str>> {
        match &self.facet {
            Facet::Sql(sql) => sql.analysis.grade_reason.clone(),
            Facet::Http(_) => None,
            Facet::Kubernetes(kubernetes) => kubernetes.grade_reason(),
            Facet::Ssh(ssh) => ssh.grade_reason(),
        }
    }

    /// How well the request was understood.
    pub fn grade(&self) -> Grade {
        match &self.facet {
            Facet::Sql(sql) => sql.analysis.grade,
            Facet::Http(http) => http.grade(),
            Facet::Kubernetes(kubernetes) => kubernetes.grade(),
            Facet::Ssh(ssh) => ssh.grade(),
        }
    }

    /// The request in one line that is safe to record: no literal, no parameter.
    pub fn summary(&self) -> Cow<'_, str> {
        match &self.facet {
            Facet::Sql(sql) => Cow::Borrowed(&sql.analysis.normalised),
            Facet::Http(http) => Cow::Owned(http.summary()),
            Facet::Kubernetes(kubernetes) => Cow::Owned(kubernetes.summary()),
            Facet::Ssh(ssh) => Cow::Owned(ssh.summary()),
        }
    }

    /// The request as a reviewer must see it: complete, exactly what will run.
    pub fn full_text(&self) -> Cow<'_, str> {
        match &self.facet {
            Facet::Sql(sql) => Cow::Borrowed(&sql.analysis.text),
            Facet::Http(http) => Cow::Owned(http.full_text()),
            Facet::Kubernetes(kubernetes) => Cow::Owned(kubernetes.full_text()),
            Facet::Ssh(ssh) => Cow::Owned(ssh.full_text()),
        }
    }

    /// Is [`Event::full_text`] all that is sent? If not, nobody can approve it.
    pub fn is_shown_whole(&self) -> bool {
        self.facet.http().is_none_or(HttpEvent::is_shown_whole)
    }

    /// The values that belong to [`Event::full_text`], as literals of the protocol's language.
    pub fn parameters(&self) -> impl Iterator<Item = String> + '_ {
        let values = match &self.facet {
            Facet::Sql(sql) => sql.parameters.as_slice(),
            Facet::Http(_) | Facet::Kubernetes(_) | Facet::Ssh(_) => &[],
        };
        values.iter().map(ToString::to_string)
    }

    /// Must its record be on disk before it is forwarded (promise P1)?
    pub fn leaves_a_trace(&self) -> bool {
        match &self.facet {
            Facet::Sql(sql) => {
                sql.analysis.grade != Grade::Verified || sql.analysis.effects().leaves_a_trace()
            }
            // What it is an answer to was recorded, and on disk, before.
            _ if self.is_answer() => false,
            Facet::Http(http) => !http.request.is_safe(),
            Facet::Kubernetes(kubernetes) => kubernetes.leaves_a_trace(),
            Facet::Ssh(ssh) => ssh.leaves_a_trace(),
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
