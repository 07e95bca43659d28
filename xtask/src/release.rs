//! `cargo xtask release`: the program as it is to be run, built with what a run of it has shown.
//!
//! A request touches much code once: most of what it costs in user space is fetching that code. Where the compiler knows
//! which parts run together and which hardly ever, it puts them so, and a request costs a seventh less. So the program
//! is built twice: once so that it counts what runs, while the benchmarks play requests of every protocol to it,
//! and once with what was counted.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use gatewright_testbed::{Error, Result, target_directory};

use crate::{modules, run, setup};

/// Benchmarks that the counting program goes through, each for a second.
const TRAINING: [&str; 3] = ["http", "postgres", "kubernetes"];

/// The counting program is thrown away, so it is built as quickly as it can be: what runs in it is counted before crates are put together.
const QUICKLY: &[(&str, &str)] =
    &[("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")];

/// Builds it, and says where it is.
///
/// # Errors
/// Where a step fails.
pub(crate) fn run(_: &[String]) -> Result<()> {
    setup::run(setup::Purpose::Bench)?;
    let profdata = profdata()?;
    modules::build()?;
    let folder = target_directory().join("trained");
    let counts = folder.join("counts");
    // What another program has counted says nothing of this one.
    let _ = fs::remove_dir_all(&counts);
    fs::create_dir_all(&counts)
        .map_err(|error| Error::new(format!("making {}: {error}", counts.display())))?;

    let counting = build(&folder.join("counting"), "-Cprofile-generate=", &counts, QUICKLY)?;
    let benches =
        ["build", "--release", "--package", "gatewright-apiserver", "--package", "gatewright-benches"];
    run::step(&mut run::cargo(&benches))?;
    for name in TRAINING {
        let mut training = run::program(target_directory().join("release/gatewright-benches"));
        run::step(training.args([name, "1", "1"]).env("GATEWRIGHT_PROGRAM", &counting))?;
    }
    let merged = folder.join("merged.profdata");
    run::step(run::program(profdata).arg("merge").arg("-o").arg(&merged).arg(&counts))?;

    let built = build(&folder.join("using"), "-Cprofile-use=", &merged, &[])?;
    let program = folder.join("gatewright");
    // Removed first: it may be running.
    let _ = fs::remove_file(&program);
    fs::copy(&built, &program)
        .map_err(|error| Error::new(format!("copying to {}: {error}", program.display())))?;
    println!(
        "the program is {0}; to measure it: GATEWRIGHT_PROGRAM={0} cargo xtask bench http",
        program.display()
    );
    Ok(())
}

/// Builds the program with a compiler flag about a profile. For a target by name, so that build scripts are built without.
fn build(folder: &Path, flag: &str, profile: &Path, settings: &[(&str, &str)]) -> Result<PathBuf> {
    let host = run::output(run::program("rustc").args(["--print", "host-tuple"]))?;
    let mut flags = OsString::from(flag);
    flags.push(profile);
    let mut cargo = run::cargo(&["build", "--release", "--package", "gatewright", "--target", &host]);
    cargo.env("CARGO_TARGET_DIR", folder).env("CARGO_ENCODED_RUSTFLAGS", flags);
    run::step(cargo.envs(settings.iter().copied()))?;
    Ok(folder.join(host).join("release/gatewright"))
}

/// The program that merges counts, of the compiler's own version.
fn profdata() -> Result<PathBuf> {
    let libraries = run::output(run::program("rustc").args(["--print", "target-libdir"]))?;
    let program = Path::new(&libraries).with_file_name("bin").join("llvm-profdata");
    if !program.exists() {
        run::step(run::program("rustup").args(["component", "add", "llvm-tools"]))?;
    }
    if program.exists() {
        return Ok(program);
    }
    Err(Error::new(format!("there is no {}", program.display()))
        .remedy("run `rustup component add llvm-tools`"))
}
