//! The sessions of one connection of a client, and what was proved on it.
//!
//! A session is one principal at one target. Where a protocol has one for each connection, there is one here. Requests of
//! HTTP name both each time, and most name the same: what was proved is not proved again for each of them, and what was
//! opened is not opened again. A gateway in front of this one may send requests of many people on one connection; each
//! gets a session of its own, and no instance of a policy serves two of them.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use gatewright_identity::IdentityError;
use gatewright_model::{
    audit::Record,
    event::SessionContext,
    id::{EventIds, SessionId},
    principal::Principal,
    secret::Secret,
    session::{Credential, Rejection},
};
use parking_lot::Mutex;

use crate::{config::Target, enforce::Enforcer, give_back, listener::Door, sessions::Ending};

/// The sessions of one connection. Closed with it, or when their last request is over, whichever is later.
pub struct ClientSessions {
    door: Arc<Door>,
    id: SessionId,
    client: SocketAddr,
    events: Arc<EventIds>,
    /// What the connection itself proved, where its protocol can do that.
    connection: OnceLock<Arc<Principal>>,
    /// Those that were used last come first.
    proved: Mutex<Vec<Proved>>,
    open: Mutex<Open>,
    /// What it was refused for, on record, and when that was last. There are only so many reasons.
    refused: Mutex<Vec<(&'static str, Instant)>>,
}

#[derive(Default)]
struct Open {
    /// Those that were used last come first.
    sessions: Vec<Arc<Enforcer>>,
    /// The connection's own name was given to a session.
    is_named: bool,
}

/// A credential that proved something.
struct Proved {
    /// It is kept, and not its digest: a digest for each request costs a hundredth of the whole request.
    credential: Secret,
    principal: Arc<Principal>,
    at: Instant,
}

/// Credentials, and sessions, that one connection keeps. Whoever needs more of them proves who they are more often.
const MOST: usize = 16;

/// How long a credential is taken for proved. A key that its issuer has withdrawn is good for no longer than this.
const PROVED: Duration = Duration::from_secs(60);

/// A connection that is refused for the same reason again and again is recorded so often.
const REFUSED: Duration = Duration::from_secs(10);

/// Why there is no session.
#[derive(Debug)]
pub enum NotAdmitted {
    /// The principal may not have one.
    Rejected(Rejection),
    /// It could not be recorded.
    Unrecorded,
}

impl ClientSessions {
    /// For a client that was just accepted. `id` is random, and nobody else's.
    pub fn new(door: Arc<Door>, id: SessionId, client: SocketAddr) -> Self {
        Self {
            door,
            id,
            client,
            events: Arc::default(),
            connection: OnceLock::new(),
            proved: Mutex::default(),
            open: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Where the client came in.
    pub const fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// The name of the connection, and of its first session.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The client's address.
    pub const fn client(&self) -> SocketAddr {
        self.client
    }

    /// The numbers of its events.
    pub const fn events(&self) -> &Arc<EventIds> {
        &self.events
    }

    /// Who this credential proves its bearer to be. It may have been revoked since: [`admit`](Self::admit) looks.
    ///
    /// # Errors
    ///
    /// It proves nothing.
    pub fn authenticate(&self, credential: &Credential) -> Result<Arc<Principal>, IdentityError> {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let token = match credential {
            Credential::Bearer(token) => token,
            Credential::Connection => return self.of_connection(clock),
        };
        let mut former = None;
        // Held while it is verified: of many streams that begin at once, the first one proves it for all.
        let mut proved = self.proved.lock();
        if let Some(known) = to_front(&mut proved, |known| is_same(&known.credential, token)) {
            let is_valid = known.principal.expires_at.is_none_or(|end| clock < end);
            if is_valid && now.saturating_duration_since(known.at) < PROVED {
                return Ok(Arc::clone(&known.principal));
            }
            former = Some(proved.remove(0).principal);
        }
        let principal = self.door.verifier.verify(token, clock)?;
        // The same one, so that its sessions go on.
        let principal =
            former.filter(|former| **former == principal).unwrap_or_else(|| Arc::new(principal));
        proved.truncate(MOST - 1);
        proved.insert(0, Proved { credential: token.clone(), principal: Arc::clone(&principal), at: now });
        Ok(principal)
    }

    /// Remembers what the connection itself proved. The first proof stays.
    ///
    /// # Errors
    ///
    /// It was taken back.
    pub fn prove(&self, principal: Principal) -> Result<Arc<Principal>, IdentityError> {
        self.door.verifier.check_revocations(&principal)?;
        Ok(Arc::clone(self.connection.get_or_init(|| Arc::new(principal))))
    }

    fn of_connection(&self, clock: SystemTime) -> Result<Arc<Principal>, IdentityError> {
        let principal = self.connection.get().ok_or(IdentityError::Malformed("there is none"))?;
        match principal.expires_at {
            Some(end) if end <= clock => {
                Err(IdentityError::Expired { ago: clock.duration_since(end).unwrap_or_default() })
            }
            _ => Ok(Arc::clone(principal)),
        }
    }

    /// Has somebody proved on this connection who they are?
    pub fn has_proved(&self) -> bool {
        self.connection.get().is_some() || !self.proved.lock().is_empty()
    }

    /// Counts that the client was turned away before it had a session, and records it: not each time, who is nobody fills no log.
    pub fn refuse(&self, code: &'static str) {
        self.door.metrics.refuse(code);
        if !self.records_refusal(code, Instant::now()) {
            return;
        }
        let (session, client) = (self.id, self.client);
        let record = Record::Refused { session, listener: &self.door.listener.name, client, code };
        if let Err(error) = self.door.enforcement.log.append_lazily(SystemTime::now(), &record) {
            tracing::error!(%error, %session, "that a client was turned away could not be recorded");
        }
    }

    fn records_refusal(&self, code: &'static str, now: Instant) -> bool {
        let mut refused = self.refused.lock();
        match refused.iter_mut().find(|(own, _)| *own == code) {
            Some((_, at)) if now.saturating_duration_since(*at) < REFUSED => return false,
            Some((_, at)) => *at = now,
            None => refused.push((code, now)),
        }
        true
    }

    /// The session of a principal at a target: the one that is open, or another one, which is recorded.
    ///
    /// # Errors
    ///
    /// There is none, and nothing may be done in this principal's name.
    pub fn admit(
        &self,
        principal: &Arc<Principal>,
        target: &Target,
        attributes: Vec<(&'static str, Arc<str>)>,
    ) -> Result<Arc<Enforcer>, NotAdmitted> {
        let mut open = self.open.lock();
        // Whose session was ended is let in again where they still may be, as on a connection of their own.
        open.sessions.retain(|enforcer| enforcer.why_ended().is_none());
        let known = to_front(&mut open.sessions, |enforcer| {
            let session = enforcer.session();
            Arc::ptr_eq(&session.principal, principal)
                && session.target == target.name
                && session.attributes == attributes
        });
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        let id = if std::mem::replace(&mut open.is_named, true) { another_id()? } else { self.id };
        let context = Arc::new(SessionContext {
            id,
            protocol: self.door.listener.protocol,
            listener: Arc::clone(&self.door.listener.name),
            target: Arc::clone(&target.name),
            account: Arc::clone(&target.account),
            attributes,
            client: self.client,
            principal: Arc::clone(principal),
            opened_at: SystemTime::now(),
        });
        // In this order: whoever is revoked meanwhile is found among those who entered, or is in the list.
        let ending = Arc::new(Ending::default());
        let entered = self.door.enforcement.sessions.enter(&context, &ending);
        self.door
            .verifier
            .check_revocations(&context.principal)
            .map_err(|error| NotAdmitted::Rejected(error.rejection()))?;
        let record = Record::SessionOpened(&context);
        if let Err(error) = self.door.enforcement.log.append(SystemTime::now(), &record) {
            tracing::error!(%error, "a session is refused because it could not be recorded");
            return Err(NotAdmitted::Unrecorded);
        }
        let shared = Arc::clone(&self.door.enforcement);
        let enforcer = Arc::new(Enforcer::new(shared, context, ending, entered));
        open.sessions.truncate(MOST - 1);
        open.sessions.insert(0, Arc::clone(&enforcer));
        Ok(enforcer)
    }

    /// The connection is idle: its sessions give back what they need least.
    pub fn rest(&self) {
        for enforcer in &self.open.lock().sessions {
            enforcer.rest();
        }
        give_back::soon();
    }
}

/// All of it is looked at: how long it takes says nothing about where two of one length differ.
fn is_same(known: &Secret, presented: &Secret) -> bool {
    let (known, presented) = (known.expose().as_bytes(), presented.expose().as_bytes());
    let differ = known.iter().zip(presented).fold(0, |differ, (one, other)| differ | (one ^ other));
    known.len() == presented.len() && differ == 0
}

/// The one that fits, as the first of them.
fn to_front<T>(list: &mut [T], fits: impl Fn(&T) -> bool) -> Option<&T> {
    let place = list.iter().position(fits)?;
    list.get_mut(..=place)?.rotate_right(1);
    list.first()
}

fn another_id() -> Result<SessionId, NotAdmitted> {
    let mut random = [0; 16];
    match getrandom::fill(&mut random) {
        Ok(()) => Ok(SessionId::from_random(random)),
        Err(error) => {
            tracing::error!(%error, "the operating system gives no random bytes: a session is refused");
            Err(NotAdmitted::Unrecorded)
        }
    }
}
