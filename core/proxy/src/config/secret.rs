//! Secrets come from a file or the environment, never from the configuration itself.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use gatewright_model::secret::Secret;
use zeroize::{Zeroize as _, Zeroizing};

use super::reader::{Context, Reader};

/// Reads `{ file = "…" }` or `{ env = "…" }`.
pub(super) fn read(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Secret> {
    match (reader.has("file"), reader.has("env")) {
        (true, false) => from_file(reader, context),
        (false, true) => from_environment(reader, context),
        _ => {
            context.problems.error(
                reader.span.clone(),
                "a secret needs exactly one place",
                "write `{ file = \"…\" }` or `{ env = \"…\" }`",
            );
            None
        }
    }
}

fn from_file(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Secret> {
    let path = reader.path("file", context)?;
    let bytes = match read_private(&path.value) {
        Ok(bytes) => bytes,
        Err(error) => {
            context.problems.error(path.span, error.to_string(), error.remedy(&path.value));
            return None;
        }
    };
    let text = std::str::from_utf8(&bytes).ok().map(|text| text.trim_end_matches(['\r', '\n']));
    match text {
        Some(text) if !text.is_empty() => Some(Secret::new(text)),
        _ => {
            context.problems.error(
                path.span,
                format!("`{}` holds no secret", path.value.display()),
                "write the secret into it as text, and nothing else",
            );
            None
        }
    }
}

fn from_environment(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Secret> {
    let name = reader.text("env", context)?;
    let good = name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !good {
        // Someone may have put the secret itself here.
        context.problems.hide(name.span.clone());
        context.problems.error(
            name.span,
            "this is not the name of an environment variable",
            "write the name of the variable, like `APP_PASSWORD`, not the secret itself",
        );
        return None;
    }
    match (context.machine.variable)(&name.value) {
        Some(mut value) if !value.is_empty() => {
            let secret = Secret::new(value.as_str());
            value.zeroize();
            Some(secret)
        }
        _ => {
            context.problems.error(
                name.span,
                format!("the environment variable `{}` is not set", name.value),
                "set it for this process, or use `{ file = \"…\" }`",
            );
            None
        }
    }
}

/// Reads a file that nobody but its owner may read.
///
/// Permissions are taken from the open file, so that what was checked is what is read.
///
/// # Errors
///
/// It can not be read, is not a regular file, is larger than a secret can be, or its permissions let
/// others read or change it.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Read { path: path.display().to_string(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotAFile { path: path.display().to_string() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Open { path: path.display().to_string(), mode });
    }
    if metadata.size() > LARGEST {
        return Err(PrivateFileError::TooLarge { path: path.display().to_string() });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 1));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A file that holds a secret can not be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system says no.
    #[error("can not read `{path}`: {source}")]
    Read {
        /// Which file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A folder, a socket, a device.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// Which file.
        path: String,
    },
    /// Others may read or change it.
    #[error("other users can get at `{path}`: its permissions are {mode:03o}")]
    Open {
        /// Which file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Much larger than any secret.
    #[error("`{path}` is larger than {LARGEST} bytes")]
    TooLarge {
        /// Which file.
        path: String,
    },
}

impl PrivateFileError {
    /// What to do about it.
    pub fn remedy(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                format!("let the gateway's user own it: `chown USER {path}`")
            }
            Self::Read { .. } | Self::NotAFile { .. } | Self::TooLarge { .. } => {
                "name the file that holds the secret and nothing else".to_owned()
            }
            Self::Open { .. } => {
                format!(
                    "let only its owner read it: `chmod 600 {path}`; change the secret if others have read it"
                )
            }
        }
    }
}

/// The largest secret that is read, in bytes: a key of 16,384 bits in PEM is 13 kB.
const LARGEST: u64 = 64 * 1024;
