//! `cargo xtask oracle`: the SQL analyser against everything that it can be held against (`docs/oracle.md`).
//!
//! The statements of PostgreSQL's own tests are in the source package of `pg_parse`, which nothing here is built
//! with. Cargo fetches it for a crate of nothing that is made below the target directory.

use std::fs;

use gatewright_testbed::{Error, Result, target_directory};

use crate::run::{cargo, step};

const MANIFEST: &str = r#"[package]
name = "statements"
version = "0.0.0"
edition = "2024"
publish = false

[lib]
path = "nothing.rs"

[dependencies]
pg_parse = "=0.15.0"

[workspace]
"#;

/// Fetches the statements, and compares all of them in all ways.
///
/// # Errors
/// Where they can not be fetched, or something is missed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        return Err(Error::new("`cargo xtask oracle` takes nothing"));
    }
    fetch()?;
    // Of the workspace: another set of crates would build the grammar a second time.
    let tests = ["test", "--workspace", "--test", "oracle", "--", "--nocapture", "--test-threads", "1"];
    step(cargo(&tests).env("GATEWRIGHT_ORACLE", "full"))
}

/// Has the package unpacked in cargo's registry.
///
/// # Errors
/// Where it is not there and can not be fetched.
pub(crate) fn fetch() -> Result<()> {
    let folder = target_directory().join("oracle");
    let failed = |error: std::io::Error| Error::new(format!("{}: {error}", folder.display()));
    fs::create_dir_all(&folder).map_err(failed)?;
    fs::write(folder.join("Cargo.toml"), MANIFEST).map_err(failed)?;
    fs::write(folder.join("nothing.rs"), "").map_err(failed)?;
    let manifest = folder.join("Cargo.toml").display().to_string();
    step(&mut cargo(&["fetch", "--quiet", "--manifest-path", &manifest])).map_err(|error| {
        error.remedy("the source of the crate pg_parse 0.15.0 has to be had from a registry")
    })
}
