//! `policy new`: a module crate that builds, tests and loads as it is, ready to be changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What to make.
#[derive(Debug, Clone)]
pub struct NewModule<'a> {
    /// Where: a folder that does not exist yet. Its last part is the module's name.
    pub folder: &'a Path,
    /// The SDK's crate. None: it is looked for in the checkout that `folder` lies in, or that the current
    /// directory lies in.
    pub sdk: Option<&'a Path>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The module's name.
    pub name: String,
    /// The files, in the order in which to read them.
    pub files: Vec<PathBuf>,
}

/// Makes a module crate with a policy, its tests, and a document with a case.
///
/// # Errors
///
/// The name can not be used, the folder exists, the SDK is not found, or a file can not be written.
pub fn new(module: &NewModule) -> Result<Created, NewError> {
    let folder =
        std::path::absolute(module.folder).map_err(|error| NewError::write(module.folder, error))?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.starts_with(|first: char| first.is_ascii_lowercase())
        || name.len() > 64
        || !name.bytes().all(fits)
    {
        return Err(NewError::Name { name });
    }
    if folder.exists() {
        return Err(NewError::Exists { folder });
    }
    let sdk = find_sdk(module.sdk, &folder)?;
    let fill = |template: &str| {
        template
            .replace("{name}", &name)
            .replace("{file}", &name.replace('-', "_"))
            .replace("{sdk}", &sdk.display().to_string().replace('\\', "/"))
    };
    let mut files = Vec::new();
    for (path, template) in TEMPLATES {
        let file = folder.join(path);
        let written = fs::create_dir_all(file.parent().unwrap_or(&folder))
            .and_then(|()| fs::write(&file, fill(template)));
        written.map_err(|error| NewError::write(&file, error))?;
        files.push(file);
    }
    Ok(Created { name, files })
}

fn find_sdk(given: Option<&Path>, folder: &Path) -> Result<PathBuf, NewError> {
    let is_sdk = |path: &Path| path.join("src/testkit.rs").is_file() && path.join("Cargo.toml").is_file();
    if let Some(given) = given {
        let sdk = std::path::absolute(given).map_err(|error| NewError::write(given, error))?;
        return if is_sdk(&sdk) { Ok(sdk) } else { Err(NewError::NotTheSdk { path: sdk }) };
    }
    let here = std::env::current_dir().unwrap_or_default();
    let ancestors = folder.ancestors().chain(here.ancestors());
    let mut checkouts = ancestors.map(|ancestor| ancestor.join("plugin-sdk/rust"));
    checkouts.find(|sdk| is_sdk(sdk)).ok_or(NewError::NoSdk)
}

const TEMPLATES: [(&str, &str); 5] = [
    ("src/lib.rs", include_str!("templates/lib.rs.txt")),
    ("policy.toml", include_str!("templates/policy.toml.txt")),
    ("Cargo.toml", include_str!("templates/Cargo.toml.txt")),
    ("README.md", include_str!("templates/README.md.txt")),
    (".gitignore", "/target\n"),
];

/// Why no crate was made.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name is not one for a module.
    #[error("`{name}` can not be a module's name: use lower-case letters, digits and `-`, a letter first")]
    Name {
        /// The name.
        name: String,
    },
    /// There is something already.
    #[error("{folder} exists already: name a folder that does not")]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// The SDK was not found.
    #[error("the policy SDK was not found: say where it is with `--sdk CHECKOUT/plugin-sdk/rust`")]
    NoSdk,
    /// What was named is not the SDK.
    #[error("{path} is not the policy SDK: it is the folder `plugin-sdk/rust` of a Gatewright checkout")]
    NotTheSdk {
        /// What was named.
        path: PathBuf,
    },
    /// A file can not be written.
    #[error("{path} can not be written: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl NewError {
    fn write(path: &Path, error: io::Error) -> Self {
        Self::Write { path: path.to_owned(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdk() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk/rust")
    }

    #[test]
    fn a_name_that_cargo_or_the_gateway_would_refuse_is_refused_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Upper", "1st", "under_score", "-dash"] {
            let path = folder.path().join(name);
            let error = new(&NewModule { folder: &path, sdk: Some(&sdk()) }).unwrap_err();
            assert!(matches!(error, NewError::Name { .. }), "{name}: {error}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        let module = NewModule { folder: &path, sdk: Some(&sdk()) };
        assert_eq!(new(&module).unwrap().name, "mine");
        assert!(matches!(new(&module).unwrap_err(), NewError::Exists { .. }));
    }

    #[test]
    fn a_folder_that_is_not_the_sdk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let module = NewModule { folder: &folder.path().join("mine"), sdk: Some(folder.path()) };
        assert!(matches!(new(&module).unwrap_err(), NewError::NotTheSdk { .. }));
    }
}
