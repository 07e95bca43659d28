//! `policy build`: cargo, for the one target that a policy is built for.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

const TARGET: &str = "wasm32-unknown-unknown";

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The modules: one for each crate of type `cdylib`.
    pub modules: Vec<PathBuf>,
}

/// Builds the module crate (or workspace of module crates) in `folder`. The compiler's own messages go to
/// this process's standard error.
///
/// # Errors
///
/// There is no compiler for the target, the crate does not compile, or it makes no module.
pub fn build(folder: &Path) -> Result<Built, BuildError> {
    if !folder.join("Cargo.toml").is_file() {
        return Err(BuildError::NoCrate { folder: folder.to_owned() });
    }
    if !has_target(folder)? {
        return Err(BuildError::NoTarget);
    }
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(BuildError::Cargo)?;
    if !output.status.success() {
        return Err(BuildError::Compile);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let modules: Vec<_> = messages.lines().flat_map(modules).collect();
    if modules.is_empty() { Err(BuildError::NoModule) } else { Ok(Built { modules }) }
}

/// Is the standard library of the target there? Asked first, because what the compiler says without it
/// ("can't find crate for `std`") does not help.
fn has_target(folder: &Path) -> Result<bool, BuildError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .output()
        .map_err(BuildError::Cargo)?;
    let library = String::from_utf8_lossy(&output.stdout);
    let files = std::fs::read_dir(library.trim()).into_iter().flatten().flatten();
    Ok(files.into_iter().any(|file| file.file_name().as_encoded_bytes().starts_with(b"libstd-")))
}

/// One line of cargo's JSON (The Cargo Book, External tools, JSON messages).
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

fn modules(line: &str) -> Vec<PathBuf> {
    match serde_json::from_str::<Message>(line) {
        Ok(message) if message.reason == "compiler-artifact" => {
            let mut files = message.filenames;
            files.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
            files
        }
        _ => Vec::new(),
    }
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no crate.
    #[error(
        "there is no `Cargo.toml` in {folder}: name the folder of a module crate, or make one with `gatewright policy new`"
    )]
    NoCrate {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The target is not installed.
    #[error("the target {TARGET} is not installed: run `rustup target add {TARGET}`")]
    NoTarget,
    /// Cargo or rustc can not be run.
    #[error("cargo or rustc can not be run: {0}: install Rust from https://rustup.rs")]
    Cargo(io::Error),
    /// It does not compile; the compiler said why.
    #[error("the module does not compile")]
    Compile,
    /// It compiles and gives no module.
    #[error("the crate gives no module: add `crate-type = [\"cdylib\"]` under `[lib]` in its Cargo.toml")]
    NoModule,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_in_cargos_messages() {
        let line =
            r#"{"reason":"compiler-artifact","filenames":["/t/a.wasm","/t/liba.rlib"],"fresh":true}"#;
        assert_eq!(modules(line), [PathBuf::from("/t/a.wasm")]);
        assert!(modules(r#"{"reason":"build-finished","success":true}"#).is_empty());
        assert!(modules("warning: something").is_empty());
    }

    #[test]
    fn a_folder_without_a_crate_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = build(folder.path()).unwrap_err();
        assert!(matches!(error, BuildError::NoCrate { .. }));
    }
}
