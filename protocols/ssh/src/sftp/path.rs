//! Paths: what is none, which part of one names a thing, and what one is where the target can not say.

use std::sync::Arc;

/// The longest path, in bytes: Linux's `PATH_MAX`.
const LONGEST: usize = 4096;

/// Reads a path. None: it is not UTF-8, has a NUL, at which systems end it, or a `\`, which some take for a `/`; or it is too long.
pub(super) fn read(bytes: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= LONGEST && !text.contains(['\0', '\\'])).then(|| Arc::from(text))
}

/// Reads a path that is canonical: absolute, and without what a target resolves. None: it is not.
pub fn canonical(bytes: &[u8]) -> Option<Arc<str>> {
    let path = read(bytes)?;
    (lexical("/", &path) == *path && path.starts_with('/')).then_some(path)
}

/// Where a thing stands and what it is called there. None: the path does not end in a name.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let (parent, name) = match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => (".", path),
    };
    (!matches!(name, "" | "." | "..")).then_some((parent, name))
}

/// The thing of this name in a directory. None: that is too long for a path.
pub(super) fn join(directory: &str, name: &str) -> Option<Arc<str>> {
    let path = lexical(directory, name);
    (path.len() <= LONGEST).then(|| Arc::from(path))
}

/// What a path from a directory is where no part of it is a link. Not what a target makes of it: for what a target says is not there.
pub(super) fn lexical(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let from = if path.starts_with('/') { "" } else { directory };
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threats A46.
    #[test]
    fn a046_what_two_systems_read_in_two_ways_is_no_path() {
        for bytes in [&b"/a\0b"[..], b"/a\\..\\b", b"/\xff", b"\xc0\xae\xc0\xae/x"] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        assert_eq!(read(&[b'a'; LONGEST + 1]), None);
        assert!(read("/caf\u{e9}".as_bytes()) != read("/cafe\u{301}".as_bytes()));
    }

    #[test]
    fn what_is_canonical_has_one_spelling() {
        for path in ["/", "/a", "/a/b c", "/...", "/C:/x"] {
            assert_eq!(canonical(path.as_bytes()).as_deref(), Some(path));
        }
        for path in ["", "a", ".", "/a/", "//a", "/a/../b", "/a/.", "/a//b", "/.."] {
            assert_eq!(canonical(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn a_name_is_the_last_part() {
        for (path, expected) in [
            ("/a/b", Some(("/a", "b"))),
            ("/a", Some(("/", "a"))),
            ("a", Some((".", "a"))),
            ("../a//", Some(("..", "a"))),
            ("/a/..", None),
            ("/a/.", None),
            (".", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_there_has_a_place_all_the_same() {
        for (directory, path, expected) in [
            ("/users/x", "a/../../b", "/users/b"),
            ("/users/x", "/../../etc//passwd/.", "/etc/passwd"),
            ("/", "..", "/"),
            ("/users/x", "", "/users/x"),
        ] {
            assert_eq!(lexical(directory, path), expected);
        }
    }
}
