//! Throwaway servers, gateways and clients, for the tests, the demo and the bench.
//!
//! Everything here is the real program: Debian's PostgreSQL and psql, nginx, kubectl, openssl, the gateway's own binary. What
//! it adds is that nothing stays behind. A [`Stage`] owns one temporary directory and the processes that live
//! in it; when it is dropped, or when the process that holds it dies for whatever reason, they end and the
//! directory goes.
//!
//! Only the standard library is used, because xtask depends on this and xtask is built first.

mod artefact;
mod certificates;
mod error;
mod gateway;
mod kubectl;
mod kubernetes;
mod nginx;
mod port;
mod postgres;
mod psql;
mod sample;
mod ssh;
mod stage;
mod user;

pub use artefact::{gateway_program, modules_directory, repository, target_directory};
pub use certificates::{Certificates, Pair};
pub use error::{Error, Result};
pub use gateway::{Answer, Gateway, Mint, Setup};
pub use kubectl::{Kubectl, Running, Said, has_recent_kubectl};
pub use kubernetes::{ADMIN_TOKEN, Kubernetes, manifest};
pub use nginx::Nginx;
pub use port::free_port;
pub use postgres::{Clients, Postgres, is_older, postgres_programs};
pub use psql::{Conversation, Psql};
pub use sample::SAMPLE;
pub use ssh::{Sshd, make_key, public_key, sign};
pub use stage::{Service, Stage};
pub use user::User;
