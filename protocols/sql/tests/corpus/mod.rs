//! SQL to try things on. Other crates' tests may take it in by `#[path]`.

pub mod lexer;
pub mod lineage;

/// Every statement of `statements.sql`: one on each line.
pub fn statements() -> Vec<String> {
    include_str!("statements.sql")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .map(str::to_owned)
        .collect()
}
