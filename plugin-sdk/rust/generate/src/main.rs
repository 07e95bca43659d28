//! Writes `src/bindings.rs` of the SDK from the contract in `plugin-sdk/wit`.
//!
//! The bindings are checked in because generating them in a macro costs every clean build of a policy 40
//! seconds and more (wit-parser and syn), and because a diff shows what a change of the contract means.
//!
//! `cargo run -p gatewright-policy-generate` writes the file; with `--check` it compares and fails if the
//! file is out of date.

use std::{error::Error, fs, path::Path, process::ExitCode};

use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_bindgen_rust::Opts;

fn main() -> ExitCode {
    match run(std::env::args().any(|argument| argument == "--check")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), Box<dyn Error>> {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = sdk.join("src/bindings.rs");
    let generated = bindings(&sdk.join("../wit"))?;
    if !check {
        fs::write(&file, generated)?;
        return Ok(());
    }
    if fs::read_to_string(&file)? != generated {
        return Err("src/bindings.rs is not what the contract generates: run \
                    `cargo run -p gatewright-policy-generate` and look at the difference"
            .into());
    }
    Ok(())
}

fn bindings(contract: &Path) -> Result<String, Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract)?;
    let world = resolve.select_world(&[package], Some("policy"))?;
    let options = Opts {
        format: true,
        runtime_path: Some("::wit_bindgen::rt".into()),
        pub_export_macro: true,
        default_bindings_module: Some("gatewright_policy_sdk::bindings".into()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_, contents) = files.iter().next().ok_or("nothing was generated")?;
    Ok(String::from_utf8(contents.to_vec())?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn bindings_are_what_the_contract_generates() {
        super::run(true).unwrap();
    }
}
