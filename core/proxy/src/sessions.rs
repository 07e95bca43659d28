//! The sessions that are open, so that one can be ended from outside of it.
//!
//! Ending is a fact before it is an act: from the moment in which [`Ending::tell`] returns, the enforcement
//! point gives no permit to that session any more, whatever it is waiting for; its driver says goodbye to the
//! client when it gets there. The lock here is taken when sessions begin and end, never for an event.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use gatewright_model::{event::SessionContext, id::SessionId, session::Rejection};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Every session whose principal was authenticated.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<SessionId, Open>>,
}

#[derive(Debug)]
struct Open {
    context: Arc<SessionContext>,
    ending: Arc<Ending>,
}

impl Sessions {
    /// A session begins. It ends when what is returned is dropped.
    pub fn enter(self: &Arc<Self>, context: &Arc<SessionContext>, ending: &Arc<Ending>) -> Entered {
        let open = Open { context: Arc::clone(context), ending: Arc::clone(ending) };
        self.open.lock().insert(context.id, open);
        Entered { sessions: Arc::clone(self), id: context.id }
    }

    /// Those that are open, the oldest first.
    pub fn list(&self) -> Vec<Arc<SessionContext>> {
        let mut list: Vec<_> = self.open.lock().values().map(|open| Arc::clone(&open.context)).collect();
        list.sort_by_key(|context| context.opened_at);
        list
    }

    /// Ends all that are `meant`, and says how many these are.
    pub fn end(&self, why: End, meant: impl Fn(&SessionContext) -> bool) -> usize {
        let open = self.open.lock();
        open.values().filter(|open| meant(&open.context)).filter(|open| open.ending.tell(why)).count()
    }
}

/// A session's place among those that are open.
#[derive(Debug)]
pub struct Entered {
    sessions: Arc<Sessions>,
    id: SessionId,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.sessions.open.lock().remove(&self.id);
    }
}

/// Where a session learns that it is to end. Told once, never taken back.
#[derive(Debug, Default)]
pub struct Ending {
    why: OnceLock<End>,
    told: Notify,
}

impl Ending {
    /// Ends the session. `false`: it was to end already.
    pub fn tell(&self, why: End) -> bool {
        let first = self.why.set(why).is_ok();
        self.told.notify_waiters();
        first
    }

    /// Is it to end, and why? One atomic load.
    pub fn why(&self) -> Option<End> {
        self.why.get().copied()
    }

    /// Waits until it is to end.
    pub async fn told(&self) -> End {
        loop {
            // Before the look: what is told after it is heard.
            let told = self.told.notified();
            if let Some(why) = self.why() {
                return why;
            }
            told.await;
        }
    }
}

/// Why a session is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What proved its principal was revoked.
    Revoked,
    /// An operator ended it.
    Operator,
}

impl End {
    /// The stable code, for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Revoked => "auth.revoked",
            Self::Operator => "session.ended",
        }
    }

    /// What the client is told.
    pub fn rejection(self) -> Rejection {
        let (message, remedy) = match self {
            Self::Revoked => {
                ("the credential of this session was revoked", "ask the gateway's operator why")
            }
            Self::Operator => {
                ("an operator ended this session", "ask the gateway's operator before you connect again")
            }
        };
        Rejection { code: self.code(), message: Arc::from(message), remedy: Arc::from(remedy) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use gatewright_model::principal::{Principal, PrincipalKind};

    use super::*;

    fn context(number: u8, subject: &str) -> Arc<SessionContext> {
        let principal = Principal {
            subject: subject.into(),
            issuer: "gatewright:builtin".into(),
            kind: PrincipalKind::Human,
            groups: Vec::new(),
            actors: Vec::new(),
            claims: Vec::new(),
            credential: "t1".into(),
            issued_at: None,
            expires_at: None,
        };
        Arc::new(SessionContext {
            id: SessionId::from_random([number; 16]),
            protocol: "postgres",
            listener: "postgres".into(),
            target: "demo".into(),
            account: "app".into(),
            attributes: Vec::new(),
            client: ([127, 0, 0, 1], 1).into(),
            principal: Arc::new(principal),
            opened_at: SystemTime::now(),
        })
    }

    #[tokio::test]
    async fn a009_a_session_learns_of_its_end_before_or_while_it_waits() {
        let sessions = Arc::new(Sessions::default());
        let (early, late) = (Arc::new(Ending::default()), Arc::new(Ending::default()));
        let _alice = sessions.enter(&context(1, "alice"), &early);
        let _too = sessions.enter(&context(2, "alice"), &late);
        let waiting = tokio::spawn({
            let late = Arc::clone(&late);
            async move { late.told().await }
        });
        tokio::task::yield_now().await;
        assert_eq!(sessions.end(End::Revoked, |session| *session.principal.subject == *"alice"), 2);
        assert_eq!(early.why(), Some(End::Revoked));
        assert_eq!(early.told().await, End::Revoked);
        assert_eq!(waiting.await.unwrap(), End::Revoked);
        assert_eq!(sessions.end(End::Operator, |_| true), 0, "they have their reason");
        assert_eq!(early.why(), Some(End::Revoked));
    }

    #[test]
    fn others_go_on_and_what_ended_is_gone() {
        let sessions = Arc::new(Sessions::default());
        let (alice, bob) = (Arc::new(Ending::default()), Arc::new(Ending::default()));
        let alices = sessions.enter(&context(1, "alice"), &alice);
        let _bobs = sessions.enter(&context(2, "bob"), &bob);
        assert_eq!(sessions.end(End::Revoked, |session| *session.principal.subject == *"alice"), 1);
        assert_eq!(bob.why(), None);
        drop(alices);
        assert_eq!(sessions.list().len(), 1);
    }
}
