//! What end-to-end and attack tests are written with.
//!
//! A [`Scene`] is a real PostgreSQL with sample data and the gateway's own program in front of it. Clients are
//! real (psql, psycopg, tokio-postgres and others: see [`conformance`]), or [`wire::Client`], which sends exactly the bytes that it is told to
//! and never repairs them. Between gateway and server may stand a [`Recorder`], which keeps every byte that
//! reached the server: an attack that was refused has to have left none there.

pub mod approvals;
pub mod asciicast;
pub mod cluster;
pub mod comparison;
pub mod conformance;
pub mod disk;
pub mod driver;
pub mod eventually;
pub mod evidence;
pub mod fake;
pub mod h2;
pub mod http;
pub mod oidc;
pub mod policies;
pub mod real_cluster;
pub mod recorder;
pub mod scene;
pub mod ssh;
pub mod tls;
pub mod tokio_programme;
pub mod wire;

pub use disk::Disk;
pub use eventually::eventually;
pub use fake::FakeUpstream;
pub use gatewright_testbed::{
    Certificates, Clients, Conversation, Error, Gateway, Mint, Postgres, Psql, Result, SAMPLE, Setup,
    Stage, free_port, gateway_program,
};
pub use http::Front;
pub use recorder::Recorder;
pub use scene::Scene;
