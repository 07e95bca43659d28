//! Modules that were built for an earlier 1.x load and answer. A core module is made here that imports every
//! function of the WIT it is built for, so that what the host links is held against each name and type of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::{fmt::Write as _, path::Path};

use gatewright_model::decision::Decision;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{
    Resolve, WorldItem,
    abi::{AbiVariant, WasmType},
};

use support::*;

/// The contract as it was when it was published first.
const FIRST: &str = "core/policy/tests/contract-1.0.0";
/// The contract as it is.
const NOW: &str = "plugin-sdk/wit";

/// A module as an author's compiler would have made it when the contract was the one in `contract`. It asks for
/// all kinds of events, allows what has a SQL facet, and blocks all else with the rule `no-sql`.
fn built_for(contract: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join(contract)).unwrap();
    let world = resolve.select_world(&[package], Some("policy")).unwrap();
    let version = resolve.packages[package].name.version.clone().unwrap();
    let text =
        BODY.replace("{imports}", &imports(&resolve, world)).replace("{version}", &version.to_string());
    let mut module = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// An import for each function of the world, named `$event.sql` for `[method]event.sql`.
fn imports(resolve: &Resolve, world: wit_parser::WorldId) -> String {
    let mut text = String::new();
    for (_, item) in &resolve.worlds[world].imports {
        let WorldItem::Interface { id, .. } = item else { continue };
        let interface = resolve.id_of(*id).unwrap();
        for (name, function) in &resolve.interfaces[*id].functions {
            let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
            let id = name.rsplit(']').next().unwrap();
            let params: String =
                signature.params.iter().map(|ty| format!(" (param {})", core(*ty))).collect();
            let results: String =
                signature.results.iter().map(|ty| format!(" (result {})", core(*ty))).collect();
            writeln!(text, "(import \"{interface}\" \"{name}\" (func ${id}{params}{results}))").unwrap();
        }
    }
    text
}

fn core(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// Memory: texts at 0, what `configure` returns at 48 (ok), what `event.sql` returns at 64.
const BODY: &str = r#"(module
    {imports}
    (import "gatewright:policy/event@{version}" "[resource-drop]event" (func $drop (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "built-for-1sql.*http.*no-sql")
    (global $free (mut i32) (i32.const 1024))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get 3))))
    (func (export "gatewright:policy/module@{version}#describe") (result i32) (local $manifest i32)
        (local.set $manifest (call $manifest (i32.const 0) (i32.const 11) (i32.const 10) (i32.const 1)))
        (call $manifest.add-kind (local.get $manifest) (i32.const 11) (i32.const 5))
        (call $manifest.add-kind (local.get $manifest) (i32.const 16) (i32.const 6))
        (local.get $manifest))
    (func (export "gatewright:policy/module@{version}#configure") (param i32 i32) (result i32)
        (i32.const 48))
    (func (export "gatewright:policy/module@{version}#evaluate") (param $event i32) (result i32)
        (call $event.sql (local.get $event) (i32.const 64))
        (call $drop (local.get $event))
        (if (result i32) (i32.load8_u (i32.const 64))
            (then (call $verdict.allow))
            (else (call $verdict.block
                (i32.const 22) (i32.const 6) (i32.const 22) (i32.const 6) (i32.const 0) (i32.const 0))))))"#;

/// A folder with this module in it.
fn folder(module: &[u8]) -> Folder {
    let folder = Folder::new();
    std::fs::write(folder.path().join("module.wasm"), module).unwrap();
    folder.write("p.toml", &document("p", Path::new("module.wasm"), ""));
    folder
}

#[tokio::test]
async fn a_module_that_was_built_for_1_0_0_loads_and_answers() {
    let module = built_for(FIRST);
    let imports = |name: &[u8]| module.windows(name.len()).any(|bytes| bytes == name);
    assert!(imports(b"gatewright:policy/sql@1.0.0") && !imports(b"@1.1.0"), "it is an old one");
    let set = folder(&module).set(&host());
    assert_eq!(judge(&set, &query("select 1")).await.decision, Decision::Allow);
}

#[tokio::test]
async fn a_module_that_knows_no_http_gets_no_facet_of_it_and_blocks() {
    let set = folder(&built_for(FIRST)).set(&host());
    let evaluation = judge(&set, &http("GET", "/people")).await;
    assert_eq!(evaluation.diagnostics[0].rule.as_deref(), Some("no-sql"));
    assert_eq!((blocked(&evaluation), reason(&evaluation)), ("http.denied", "no-sql"));
}

#[tokio::test]
async fn everything_that_the_contract_says_is_linked_as_it_says() {
    let set = folder(&built_for(NOW)).set(&host());
    assert_eq!(judge(&set, &query("select 1")).await.decision, Decision::Allow);
}

/// What is not so is found when the module is loaded.
#[test]
fn a_module_of_a_later_version_says_what_is_missing() {
    let module = r#"(component
        (import "gatewright:policy/http@1.9.0" (instance
            (export "http" (type $http (sub resource)))
            (export "[method]http.tomorrow" (func (param "self" (borrow $http)) (result bool))))))"#;
    let error = host().module(&wat::parse_str(module).unwrap()).unwrap_err();
    assert!(error.to_string().contains("tomorrow"), "{error}");
}
