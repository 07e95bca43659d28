//! The policy modules: a workspace of their own, built for wasm32.
//!
//! They go to `plugins/target` whatever `CARGO_TARGET_DIR` says, because the documents in `policies/` name them
//! there.

use std::process::Command;

use gatewright_testbed::{Result, repository};

use crate::run;

/// The workspace of the modules.
pub(crate) const MANIFEST: &str = "plugins/Cargo.toml";

/// The workspace of the SDK, with the program that generates its bindings.
pub(crate) const SDK_MANIFEST: &str = "plugin-sdk/rust/Cargo.toml";

/// Builds every module for wasm32.
///
/// # Errors
/// Where a module does not compile, or there is no toolchain for the target.
pub(crate) fn build() -> Result<()> {
    let compiler = run::output(&mut run::program(repository().join("tools/setup-wasm.sh")))?;
    let mut cargo = cargo(&["build", "--release", "--target", "wasm32-unknown-unknown"]);
    run::step(cargo.env("RUSTC", compiler))
}

/// Checks, without wasm, what authors get: lints and tests of SDK and modules, and that the bindings in the tree
/// are those that the contract gives.
///
/// # Errors
/// The first of them that fails.
pub(crate) fn test() -> Result<()> {
    run::step(&mut sdk(&["test", "--quiet", "--workspace"]))?;
    run::step(&mut cargo(&["test", "--quiet", "--workspace"]))?;
    bindings(&["--check"])
}

/// Lints of SDK and modules.
///
/// # Errors
/// Where there is a warning.
pub(crate) fn lint() -> Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets"];
    run::step(sdk(&clippy).args(["--", "-D", "warnings"]))?;
    run::step(cargo(&clippy).args(["--", "-D", "warnings"]))
}

/// Writes the SDK's bindings from the contract, or checks them with `--check`.
///
/// # Errors
/// Where they are not what the contract gives.
pub(crate) fn bindings(arguments: &[&str]) -> Result<()> {
    let mut generate = run::cargo(&["run", "--quiet", "--manifest-path", SDK_MANIFEST]);
    generate.env("CARGO_TARGET_DIR", repository().join("plugins/target"));
    run::step(generate.args(["--package", "gatewright-policy-generate", "--"]).args(arguments))
}

/// Cargo in the workspace of the modules, with their own target directory.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    in_workspace(MANIFEST, arguments)
}

/// Cargo in the workspace of the SDK, with the same target directory.
fn sdk(arguments: &[&str]) -> Command {
    in_workspace(SDK_MANIFEST, arguments)
}

fn in_workspace(manifest: &str, arguments: &[&str]) -> Command {
    let mut command = run::cargo(arguments);
    command
        .args(["--manifest-path", manifest])
        .env("CARGO_TARGET_DIR", repository().join("plugins/target"));
    command
}
