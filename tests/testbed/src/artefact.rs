//! What was built: the gateway's program and the policy modules, and whether they are older than their sources.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::error::{Error, Result};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo's target directory, told from where this program lies.
pub fn target_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let profile = program.ancestors().find(|path| path.ends_with("debug") || path.ends_with("release"));
    match profile.and_then(Path::parent) {
        Some(target) => target.to_owned(),
        None => repository().join("target"),
    }
}

/// The gateway's program of this profile: beside the program that asks.
///
/// `GATEWRIGHT_PROGRAM` names another.
///
/// # Errors
/// Where it was not built, or is older than a file that it was built from: a test of an old program proves
/// nothing.
pub fn gateway_program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("GATEWRIGHT_PROGRAM") {
        return Ok(named.into());
    }
    built_program("gatewright")
}

/// A program of this repository, of this profile.
///
/// # Errors
/// As [`gateway_program`].
pub(crate) fn built_program(name: &str) -> Result<PathBuf> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let program = target_directory().join(profile).join(name);
    fresh(&program, "cargo build --workspace")?;
    Ok(program)
}

/// The directory that the policy modules of `plugins/` are built into.
///
/// # Errors
/// Where `module` (a file name like `statement_rules.wasm`) is not there, or is older than its sources.
pub fn modules_directory(modules: &[&str]) -> Result<PathBuf> {
    let directory = repository().join("plugins/target/wasm32-unknown-unknown/release");
    for module in modules {
        fresh(&directory.join(module), "cargo xtask modules")?;
    }
    Ok(directory)
}

/// Cargo writes beside each product which files it was made of: none of them may be newer.
fn fresh(product: &Path, command: &str) -> Result<()> {
    let built = modified(product).ok_or_else(|| {
        Error::new(format!("{} is not there", product.display())).remedy(format!("run `{command}`"))
    })?;
    let list = fs::read_to_string(product.with_extension("d")).unwrap_or_default();
    let newer = sources(&list).into_iter().find(|source| modified(source).is_some_and(|time| time > built));
    match newer {
        None => Ok(()),
        Some(source) => {
            let (product, source) = (product.display(), source.display());
            Err(Error::new(format!("{product} is older than {source}")).remedy(format!("run `{command}`")))
        }
    }
}

/// The prerequisites of a one-rule makefile, which is what cargo's `.d` files are.
fn sources(list: &str) -> Vec<PathBuf> {
    let Some((_, right)) = list.split_once(": ") else { return Vec::new() };
    let unescaped = right.trim().replace("\\ ", "\0");
    unescaped.split_whitespace().map(|path| PathBuf::from(path.replace('\0', " "))).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list_of_prerequisites() {
        let list = "/t/debug/gatewright: /w/core/a.rs /w/with\\ space/b.rs\n";
        assert_eq!(sources(list), [PathBuf::from("/w/core/a.rs"), PathBuf::from("/w/with space/b.rs")]);
    }

    #[test]
    fn an_old_product_is_refused() {
        let directory = std::env::temp_dir().join(format!("gatewright-artefact-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (product, source) = (directory.join("program"), directory.join("main.rs"));
        assert!(fresh(&product, "make it").unwrap_err().to_string().contains("run `make it`"));
        fs::write(&product, "").unwrap();
        fs::write(product.with_extension("d"), format!("{}: {}\n", product.display(), source.display()))
            .unwrap();
        fs::write(&source, "").unwrap();
        let tomorrow = SystemTime::now() + std::time::Duration::from_secs(86_400);
        fs::File::options().append(true).open(&source).unwrap().set_modified(tomorrow).unwrap();
        assert!(fresh(&product, "make it").unwrap_err().what().contains("is older than"));
        fs::remove_dir_all(&directory).unwrap();
    }
}
