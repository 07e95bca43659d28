//! The policy modules: a workspace of their own, built for wasm32.
//!
//! They go to `plugins/target` whatever `CARGO_TARGET_DIR` says, because the documents in `policies/` name them
//! there.

use std::process::Command;

use gatewright_testbed::{Result, repository};

use crate::run;

/// The workspace of the modules and of the SDK.
pub(crate) const MANIFEST: &str = "plugins/Cargo.toml";

/// Builds every module for wasm32.
///
/// # Errors
/// Where a module does not compile, or there is no toolchain for the target.
pub(crate) fn build() -> Result<()> {
    let compiler = run::output(&mut run::program(repository().join("tools/setup-wasm.sh")))?;
    let mut cargo = cargo(&["build", "--release", "--target", "wasm32-unknown-unknown"]);
    run::step(cargo.env("RUSTC", compiler))
}

/// Cargo in the workspace of the modules, with its own target directory.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = run::cargo(arguments);
    command
        .args(["--manifest-path", MANIFEST])
        .env("CARGO_TARGET_DIR", repository().join("plugins/target"));
    command
}
