//! What attack tests have in common: an attacker with a raw connection, and three observers.
//!
//! A test sends what the row of `docs/threats.md` says and looks at what the client sees, at the bytes that
//! reached the server (mostly: none), and at the record.

use std::{
    thread,
    time::{Duration, Instant},
};

use gatewright_e2e::{Error, Mint, Result, Scene, evidence, policies, wire};

/// A gateway with usual rules and masks, in front of a server whose every byte is kept.
#[derive(Debug)]
pub struct Attack {
    /// Server, gateway and recorder.
    pub scene: Scene,
}

/// Who attacks: somebody with a good token and no more rights than an analyst.
pub const MALLORY: Mint<'static> =
    Mint { subject: "mallory", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };

impl Attack {
    /// The gateway as the documents of the tests configure it.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn prepare() -> Result<Self> {
        let rules = policies::rules("rules", "require_where = [\"update\", \"delete\"]")?;
        Ok(Self { scene: Scene::recorded(&[("rules", &rules), ("masks", &policies::masks()?)])? })
    }

    /// A connection on which nothing was sent.
    ///
    /// # Errors
    /// Where the gateway does not listen.
    pub fn connect(&self) -> Result<wire::Client> {
        wire::Client::connect(self.scene.gateway.port())
    }

    /// A connection with TLS.
    ///
    /// # Errors
    /// Where the handshake fails.
    pub fn connect_tls(&self) -> Result<wire::Client> {
        wire::Client::connect_tls(self.scene.gateway.port(), &self.scene.gateway.authority())
    }

    /// A session with a good token. What login and a first statement sent to the server is forgotten: with the
    /// first statement, the gateway asks the server for the catalog that its masks need.
    ///
    /// # Errors
    /// Where the login fails.
    pub fn session(&self) -> Result<wire::Client> {
        let token = self.token()?;
        let gateway = &self.scene.gateway;
        let mut session = wire::Client::session(gateway.port(), &gateway.authority(), &token)?;
        session.query("select 1")?;
        self.forget();
        Ok(session)
    }

    /// A good token.
    ///
    /// # Errors
    /// Where it can not be made.
    pub fn token(&self) -> Result<String> {
        self.scene.gateway.token(&MALLORY)
    }

    /// Forgets what reached the server so far.
    pub fn forget(&self) {
        if let Some(recorder) = &self.scene.recorder {
            recorder.forget();
        }
    }

    /// Did this text reach the server?
    pub fn reached(&self, text: &str) -> bool {
        self.scene.recorder.as_ref().is_some_and(|recorder| recorder.saw(text))
    }

    /// How many bytes reached the server since they were forgotten.
    pub fn upstream_bytes(&self) -> usize {
        self.scene.recorder.as_ref().map_or(0, |recorder| recorder.bytes().len())
    }

    /// Is there a record with this code? Waits for it: a connection may be closed before its record is read.
    ///
    /// # Errors
    /// Where there is none after some seconds, with what there is.
    pub fn recorded(&self, code: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let records = self.scene.evidence()?;
            let kinds = ["refused", "session_closed", "decision"];
            let found = kinds
                .iter()
                .flat_map(|kind| records.of(kind))
                .any(|record| evidence::text(record, "code") == code);
            if found {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(5) {
                return Err(Error::new(format!("no record has the code {code}: {}", records.text())));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
