//! Policy documents for tests, bound to the modules of `plugins/`.

use std::path::Path;

use gatewright_testbed::{Result, modules_directory};

/// Allows what is understood: `statement-rules` with every rule off.
///
/// # Errors
/// Where the module was not built.
pub fn allow() -> Result<String> {
    rules("allow", "require_where = []\ndeny_effects = []\nallow_role_switch = true")
}

/// A document that binds `statement-rules` to settings.
///
/// # Errors
/// Where the module was not built.
pub fn rules(name: &str, settings: &str) -> Result<String> {
    document(name, "statement_rules", settings)
}

/// Blocks UPDATE and DELETE without WHERE.
///
/// # Errors
/// Where the module was not built.
pub fn where_required() -> Result<String> {
    rules(
        "where-required",
        "require_where = [\"update\", \"delete\"]\ndeny_effects = []\nallow_role_switch = true",
    )
}

/// Hides three columns of `people` from everyone but `privacy`.
///
/// # Errors
/// Where the module was not built.
pub fn masks() -> Result<String> {
    let settings = r#"exempt_groups = ["privacy"]
columns = [
    { relation = "public.people", column = "email", method = "redact" },
    { relation = "public.people", column = "card", method = { partial = 4 } },
    { relation = "public.people", column = "ssn", method = "hash" },
]"#;
    document("masks", "mask_columns", settings)
}

/// Holds DROP until somebody of `reviewers` approves.
///
/// # Errors
/// Where the module was not built.
pub fn escalate_drop(ttl: &str) -> Result<String> {
    let settings = format!("kinds = [\"drop_*\"]\nreviewers = [\"reviewers\"]\nttl = \"{ttl}\"");
    document("escalate-drop", "escalate_changes", &settings)
}

/// A document for one of our modules.
///
/// # Errors
/// Where the module was not built.
pub fn document(name: &str, module: &str, settings: &str) -> Result<String> {
    let file = format!("{module}.wasm");
    let path = modules_directory(&[&file])?.join(file);
    Ok(document_of(name, &path, settings))
}

/// A document for any module.
pub fn document_of(name: &str, module: &Path, settings: &str) -> String {
    let module = module.display();
    format!("name = \"{name}\"\nmodule = \"{module}\"\nmode = \"protect\"\n[settings]\n{settings}\n")
}
