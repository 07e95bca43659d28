//! Files that commands write and only their owner reads: tokens, kubeconfigs.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::Failure;

/// Writes a file that is not there yet, or with `force` puts it into the place of the one that is. Whoever reads that
/// one meanwhile finds all of the old or all of the new one.
pub(super) fn write(path: &Path, contents: &[u8], force: bool) -> Result<(), Failure> {
    let written = if force { replace(path, contents) } else { create(path, contents) };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(
            format_args!("`{}` is there already", path.display()),
            "name another file, or replace this one with `--force`",
        ),
        _ => Failure::new(
            format_args!("can not write `{}`: {error}", path.display()),
            "name a file in a folder that you may write to",
        ),
    })
}

/// Makes a folder that is not there yet, for its owner only.
pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    // The folder of a bare name is where one is.
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Failure::new(
            format_args!("can not make `{}`: {error}", path.display()),
            "name one in a folder that you may write to",
        )
    })
}

fn create(path: &Path, contents: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(contents)
}

/// A new file takes the place of the old one: its rights are its own, and a link is replaced and not followed.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut new = OsString::from(path);
    new.push(".new");
    let new = PathBuf::from(new);
    // What a run that was cut off has left.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => create(&new, contents)?,
    }
    fs::rename(&new, path)
}
