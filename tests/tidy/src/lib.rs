//! Rules about the repository, as tests: see `tests/`. Here is what they look at.
//!
//! A rule that only people know is broken by the next person. Each rule here says in its message why it is a
//! rule, and what to do instead.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A file that git knows, or would know: ignored files are not ours.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its path from the root, with `/`.
    pub path: String,
    /// Its content; empty where it is not text.
    pub text: String,
}

/// Every file of the repository that is its own: what others wrote (`third-party`) has rules of its own.
///
/// # Panics
/// Where git can not list them: then no rule can be checked.
#[expect(clippy::expect_used, reason = "a tidy that can not look must not pass")]
pub fn files() -> Vec<SourceFile> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(repository())
        .output()
        .expect("git is needed to list the files of the repository");
    assert!(listed.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let mut files: Vec<SourceFile> = names
        .split('\0')
        .filter(|name| !name.is_empty() && repository().join(name).is_file())
        .filter(|name| !name.starts_with("third-party/russh/"))
        .map(|name| SourceFile {
            path: name.to_owned(),
            text: fs::read_to_string(repository().join(name)).unwrap_or_default(),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

impl SourceFile {
    /// Its last part.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Is it Rust?
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Does it lie in this directory?
    pub fn is_in(&self, directory: &str) -> bool {
        self.path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The part of it that is not tests: everything before `#[cfg(test)]` on a module, and nothing of a file
    /// that is a test module or an example.
    pub fn without_tests(&self) -> &str {
        if self.name() == "tests.rs" || self.path.contains("/tests/") || self.path.contains("/examples/") {
            return "";
        }
        self.text.split("#[cfg(test)]\nmod ").next().unwrap_or(&self.text)
    }

    /// Did a program write it?
    pub fn is_generated(&self) -> bool {
        self.name() == "bindings.rs" || self.name() == "Cargo.lock"
    }
}
