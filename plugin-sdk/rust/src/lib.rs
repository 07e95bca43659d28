//! Write Gatewright policies in Rust.
//!
//! A policy is a plain function over a typed event and a typed settings struct, exported by one macro:
//!
//! ```
//! use gatewright_policy_sdk::{Event, Verdict};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// Members of these groups may delete.
//!     may_delete: Vec<String>,
//! }
//!
//! fn evaluate(event: &Event, settings: &Settings) -> Verdict {
//!     let Some(sql) = event.sql() else {
//!         return Verdict::block("sql-only", "this policy judges SQL only", "");
//!     };
//!     let deletes = sql.statements().any(|statement| statement.kind() == "delete");
//!     if deletes && !event.principal().in_any_group(&settings.may_delete) {
//!         return Verdict::block("no-delete", "you may not delete", "ask for a group that may");
//!     }
//!     Verdict::Allow
//! }
//!
//! gatewright_policy_sdk::policy! {
//!     name: "no-delete",
//!     kinds: ["sql.*"],
//!     settings: Settings,
//!     evaluate: evaluate,
//! }
//! ```
//!
//! Build it with `cargo build --release --target wasm32-unknown-unknown` (crate type `cdylib`); nothing
//! else is needed. Test it with `cargo test`: [`testkit`] builds events on your own machine, without a
//! server and without wasm.
//!
//! The crate is [`bindings`](https://github.com/bytecodealliance/wit-bindgen) of the contract in
//! `plugin-sdk/wit`, which are checked in, and types over them that can not be held wrong.

#[cfg(target_family = "wasm")]
#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
#[doc(hidden)]
pub mod bindings;
mod event;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod host;
pub mod http;
pub mod kubernetes;
pub mod settings;
mod sql;
pub mod ssh;
#[cfg(not(target_family = "wasm"))]
pub mod testkit;
mod verdict;
mod words;

/// What the typed event is a view of: handles of the gateway, or in tests plain data with the same methods.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod raw {
    pub use crate::bindings::gatewright::policy::{
        event::{Event, Principal, Session},
        http::{Http, Response},
        kubernetes::Kubernetes,
        sql::Sql,
        ssh::Ssh,
    };
}
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
pub use testkit::raw;

pub use crate::{
    event::{Event, Principal, Session},
    http::{Body, Http, Json, Response},
    kubernetes::Kubernetes,
    sql::{Column, Function, Parameter, Relation, Sql, Statement},
    ssh::Ssh,
    verdict::{
        Block, ColumnMask, ConditionLimit, DetectorMask, Escalation, JsonMask, Mask, Method, ShownObject,
        Text, Verdict,
    },
    words::{Access, Detector, Effect, Effects, FunctionClass, Grade, PrincipalKind},
};

/// Exports a policy. Once in a crate.
///
/// - `name`: the module's name: lower-case letters, digits and `-`. Its version is the crate's.
/// - `kinds`: the event kinds it judges: `"sql.query"`, `"http.request"`, or `"sql.*"` for all requests of a protocol.
///   Answers have to be named: `"http.response"`.
/// - `inputs`: what its answers depend on beyond session, statement and settings: `"parameters"`,
///   `"body"`, `"clock"`. May be left out. The gateway never reuses an answer that depends on any.
/// - `settings`: the type of its settings, see [`settings::Settings`].
/// - `evaluate`: a `fn(&Event, &Settings) -> Verdict`.
#[macro_export]
macro_rules! policy {
    (
        name: $name:literal,
        kinds: [$($kind:literal),+ $(,)?],
        $(inputs: [$($input:literal),* $(,)?],)?
        settings: $settings:ty,
        evaluate: $evaluate:path $(,)?
    ) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::bindings::{
                self,
                exports::gatewright::policy::module::{Event, Guest, Manifest, Verdict},
            };

            static SETTINGS: ::std::sync::OnceLock<$settings> = ::std::sync::OnceLock::new();

            struct Module;

            impl Guest for Module {
                fn describe() -> Manifest {
                    let version = ::std::env!("CARGO_PKG_VERSION");
                    $crate::host::describe::<$settings>($name, version, &[$($kind),+], &[$($($input),*)?])
                }

                fn configure(settings: ::std::string::String) -> Result<(), ::std::string::String> {
                    let settings = $crate::settings::read(&settings)?;
                    SETTINGS.set(settings).map_err(|_| "configured twice".into())
                }

                fn evaluate(event: &Event) -> Verdict {
                    // The host configures first; without settings there is no answer, which blocks.
                    let settings = SETTINGS.get().unwrap();
                    let verdict: $crate::Verdict = $evaluate(&$crate::Event::new(event), settings);
                    $crate::host::answer(verdict)
                }
            }

            bindings::export!(Module with_types_in bindings);
        };

        // The same shape is asked of the function on the machine where it is tested.
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&$crate::Event<'_>, &$settings) -> $crate::Verdict = $evaluate;
    };
}
