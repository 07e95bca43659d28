//! A server, sample data, and the gateway in front of it.

use gatewright_testbed::{Gateway, Mint, Postgres, Psql, Result, SAMPLE, Setup, Stage, gateway_program};

use crate::{Recorder, evidence::Evidence, policies};

/// A server with the sample data, and the gateway in front of it.
#[derive(Debug)]
pub struct Scene {
    /// The gateway.
    pub gateway: Gateway,
    /// What stands between gateway and server, if the scene was made with one.
    pub recorder: Option<Recorder>,
    /// The server.
    pub postgres: Postgres,
    /// Where all of it lives.
    pub stage: Stage,
}

impl Scene {
    /// A scene with one policy, which allows everything that is understood.
    ///
    /// # Errors
    /// Where the server or the gateway does not start.
    pub fn open() -> Result<Self> {
        Self::with(&[("allow", &policies::allow()?)])
    }

    /// A scene with these policy documents, by name.
    ///
    /// # Errors
    /// As [`Scene::open`].
    pub fn with(documents: &[(&str, &str)]) -> Result<Self> {
        Self::build(documents, false, |setup| setup)
    }

    /// A scene in which every byte that reaches the server is kept.
    ///
    /// # Errors
    /// As [`Scene::open`].
    pub fn recorded(documents: &[(&str, &str)]) -> Result<Self> {
        Self::build(documents, true, |setup| setup)
    }

    /// A scene whose gateway is set up further.
    ///
    /// # Errors
    /// As [`Scene::open`].
    pub fn build(
        documents: &[(&str, &str)],
        recorded: bool,
        further: impl FnOnce(Setup) -> Setup,
    ) -> Result<Self> {
        let stage = Stage::new("e2e")?;
        let postgres = Postgres::start(&stage)?;
        postgres.sql("postgres", SAMPLE)?;
        let mut setup = Setup::new(&stage, "gateway", &gateway_program()?)?.in_front_of(&postgres)?;
        let recorder = if recorded { Some(Recorder::in_front_of(&postgres)?) } else { None };
        if let Some(recorder) = &recorder {
            setup = setup.at_port(recorder.port());
        }
        for (name, document) in documents {
            setup = setup.policy(name, document)?;
        }
        Ok(Self { gateway: further(setup).start()?, recorder, postgres, stage })
    }

    /// psql as `alice`, an analyst, printing bare values.
    ///
    /// # Errors
    /// Where no token can be made.
    pub fn alice(&self) -> Result<Psql> {
        self.psql(&Mint::person("alice", &["analysts"]))
    }

    /// psql as somebody, printing bare values.
    ///
    /// # Errors
    /// Where no token can be made.
    pub fn psql(&self, mint: &Mint<'_>) -> Result<Psql> {
        Ok(self.gateway.psql(mint)?.options(&["-A", "-t"]))
    }

    /// What the gateway has recorded so far.
    ///
    /// # Errors
    /// Where its own command can not read it.
    pub fn evidence(&self) -> Result<Evidence> {
        Evidence::read(&self.gateway)
    }
}
