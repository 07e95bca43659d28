//! The files of a policy folder, read once: what is parsed, compiled and hashed is the same bytes, whatever
//! happens to the files meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use gatewright_model::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::{
    document::{self, Document},
    host::sha256,
    problem::LoadProblem,
};

/// Bytes of a document.
const DOCUMENT_LIMIT: u64 = 1 << 20;

/// Everything that a set is made of.
pub(crate) struct Sources {
    pub(crate) documents: Vec<Source>,
    pub(crate) problems: Vec<LoadProblem>,
    modules: BTreeMap<PathBuf, Result<Arc<[u8]>, String>>,
    digest: Digest,
}

/// One document, with the digest of its text.
pub(crate) struct Source {
    pub(crate) document: Document,
    pub(crate) digest: Digest,
}

impl Sources {
    /// Reads every `*.toml` of a folder, and the modules that they name, `module_limit` bytes each at most.
    pub(crate) fn folder(folder: &Path, module_limit: usize) -> Self {
        match list(folder) {
            Ok(files) => Self::files(&files, module_limit),
            Err(error) => {
                let message = format!("the policy folder can not be read: {error}");
                let remedy = "name a folder of policy documents in `policies.directory`";
                let problem = LoadProblem::new(folder, None, message, remedy);
                Self { problems: vec![problem], ..Self::files(&[], module_limit) }
            }
        }
    }

    /// Reads these documents, and the modules that they name.
    pub(crate) fn files(files: &[PathBuf], module_limit: usize) -> Self {
        let mut hash = Sha256::new();
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        let mut modules = BTreeMap::new();
        for file in files {
            let text = read(file, DOCUMENT_LIMIT);
            hash_file(&mut hash, file, text.as_deref().ok());
            let text = text.and_then(|bytes| {
                String::from_utf8(bytes).map_err(|_| "the document is not UTF-8".to_owned())
            });
            match text.map(|text| (document::parse(file, &text), sha256(text.as_bytes()))) {
                Ok((Ok(document), digest)) => {
                    modules
                        .entry(document.module.clone())
                        .or_insert_with_key(|path| read(path, module_limit as u64).map(Arc::from));
                    documents.push(Source { document, digest });
                }
                Ok((Err(wrong), _)) => problems.extend(wrong),
                Err(message) => problems.push(LoadProblem::new(file, None, message, "")),
            }
        }
        for (path, bytes) in &modules {
            hash_file(&mut hash, path, bytes.as_deref().ok());
        }
        let digest = Digest::new(hash.finalize().into());
        Self { documents, problems, modules, digest }
    }

    /// The bytes of a module, or why there are none.
    pub(crate) fn module(&self, path: &Path) -> Result<Arc<[u8]>, String> {
        let unknown = || Err("the module was not read".to_owned());
        self.modules.get(path).cloned().unwrap_or_else(unknown)
    }

    /// Changes when any byte of any of the files does.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The folders in which a change can matter, beside the policy folder.
    pub(crate) fn module_folders(&self) -> BTreeSet<PathBuf> {
        self.modules.keys().filter_map(|path| path.parent()).map(Path::to_owned).collect()
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path, limit: u64) -> Result<Vec<u8>, String> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(|error| format!("can not be opened: {error}"))?;
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(|error| format!("can not be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("has more than the {limit} bytes that are allowed"));
    }
    Ok(bytes)
}

fn hash_file(hash: &mut Sha256, path: &Path, bytes: Option<&[u8]>) {
    let name = path.as_os_str().as_encoded_bytes();
    hash.update((name.len() as u64).to_be_bytes());
    hash.update(name);
    hash.update([u8::from(bytes.is_some())]);
    hash.update(sha256(bytes.unwrap_or_default()).as_bytes());
}
