//! What is judged, and who asks. Each getter asks the gateway when it is called; keep what you use twice.

use std::{fmt, time::Duration};

use crate::{
    http::Http,
    kubernetes::Kubernetes,
    raw,
    sql::Sql,
    ssh::Ssh,
    words::{Grade, PrincipalKind},
};

/// One request, held until the policy answers.
pub struct Event<'a>(&'a raw::Event);

impl<'a> Event<'a> {
    #[doc(hidden)]
    pub fn new(raw: &'a raw::Event) -> Self {
        Self(raw)
    }

    /// What kind of request this is: `sql.query`, `sql.parse`, `sql.execute`, `http.request`, `http.response`,
    /// `kubernetes.request`, `kubernetes.response`, `ssh.request`.
    pub fn kind(&self) -> String {
        self.0.kind()
    }

    /// How well the request was understood.
    pub fn grade(&self) -> Grade {
        Grade::read(&self.0.grade())
    }

    /// Why the grade is not `verified`, without values from the request.
    pub fn grade_reason(&self) -> Option<String> {
        self.0.grade_reason()
    }

    /// The time of the request, since 1970-01-01 UTC. The policy must declare the input `clock`.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.0.now())
    }

    /// Who asks.
    pub fn principal(&self) -> Principal {
        Principal(self.0.principal())
    }

    /// The session in which it is asked.
    pub fn session(&self) -> Session {
        Session(self.0.session())
    }

    /// The SQL facet.
    pub fn sql(&self) -> Option<Sql> {
        self.0.sql().map(Sql::new)
    }

    /// The HTTP facet.
    pub fn http(&self) -> Option<Http> {
        self.0.http().map(Http::new)
    }

    /// The Kubernetes facet.
    pub fn kubernetes(&self) -> Option<Kubernetes> {
        self.0.kubernetes().map(Kubernetes::new)
    }

    /// The SSH facet.
    pub fn ssh(&self) -> Option<Ssh> {
        self.0.ssh().map(Ssh::new)
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// Who asks: a subject whose identity was proved, and everyone who acts for it.
pub struct Principal(raw::Principal);

impl Principal {
    /// Who started the chain, unique within its issuer.
    pub fn subject(&self) -> String {
        self.0.subject()
    }

    /// Who vouches for all of this.
    pub fn issuer(&self) -> String {
        self.0.issuer()
    }

    /// What kind of subject it is.
    pub fn kind(&self) -> PrincipalKind {
        PrincipalKind::read(&self.0.kind())
    }

    /// Is the subject a member of this group?
    pub fn in_group(&self, group: &str) -> bool {
        self.0.in_group(group)
    }

    /// Is the subject a member of any of these groups?
    pub fn in_any_group<G: AsRef<str>>(&self, groups: &[G]) -> bool {
        groups.iter().any(|group| self.in_group(group.as_ref()))
    }

    /// The subject's groups.
    pub fn groups(&self) -> impl Iterator<Item = String> {
        (0..self.0.group_count()).map(|index| self.0.group(index))
    }

    /// Everyone who acts for the subject, the current actor first.
    pub fn actors(&self) -> impl Iterator<Item = String> {
        (0..self.0.actor_count()).map(|index| self.0.actor(index))
    }

    /// Does this subject take part in the chain, as its start or as any actor?
    pub fn involves(&self, subject: &str) -> bool {
        self.0.involves(subject)
    }

    /// A further claim of the credential, as text.
    pub fn claim(&self, name: &str) -> Option<String> {
        self.0.claim(name)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("subject", &self.subject()).finish_non_exhaustive()
    }
}

/// What stays the same for all events of one connection.
pub struct Session(raw::Session);

impl Session {
    /// `postgres`, `http`, `kubernetes`.
    pub fn protocol(&self) -> String {
        self.0.protocol()
    }

    /// Name of the listener in the gateway's configuration.
    pub fn listener(&self) -> String {
        self.0.listener()
    }

    /// Name of the target in the gateway's configuration.
    pub fn target(&self) -> String {
        self.0.target()
    }

    /// The account at the target under which the gateway acts.
    pub fn account(&self) -> String {
        self.0.account()
    }

    /// What the protocol says about the session as a whole: `database`, `application_name`.
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.0.attribute(name)
    }

    /// Address of the client, without its port.
    pub fn client_address(&self) -> String {
        self.0.client_address()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("target", &self.target()).finish_non_exhaustive()
    }
}
