//! The files of a policy folder, read once: what is parsed, compiled and hashed is the same bytes, whatever
//! happens to the files meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
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

    /// Where the modules are, in order.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Path> {
        self.modules.keys().map(|path| &**path)
    }

    /// The folders in which a change can matter, beside the policy folder.
    pub(crate) fn module_folders(&self) -> BTreeSet<PathBuf> {
        self.modules().filter_map(Path::parent).map(Path::to_owned).collect()
    }
}

/// The documents of a folder, in order.
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

/// What the system says of a file: something else after each change, unless the clock of the file system stood still between the two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    path: PathBuf,
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Stamps of all documents of a folder, and of these modules. None: one of them is not there, or was changed so lately that it may
/// change again without another stamp.
pub(crate) fn stamps(folder: &Path, modules: &[PathBuf], now: SystemTime) -> Option<Vec<Stamp>> {
    let lately = now.checked_sub(SAME_STAMP)?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let files = list(folder).ok()?.into_iter().chain(modules.iter().cloned());
    let stamp = |path: PathBuf| {
        // Opened, so that a client of NFS asks its server.
        let file = fs::File::open(&path).and_then(|file| file.metadata()).ok()?;
        let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
        let settled = u64::try_from(modified.0.max(changed.0)).is_ok_and(|at| at < lately);
        settled.then(|| Stamp {
            path,
            inode: (file.dev(), file.ino()),
            bytes: file.len(),
            modified,
            changed,
        })
    };
    files.map(stamp).collect()
}

/// Two changes of a file within this time may have one stamp: some file systems count in steps of two seconds, and clocks differ.
const SAME_STAMP: Duration = Duration::from_secs(10);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_changes_the_stamps_whatever_it_leaves_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (document, module) = (folder.path().join("p.toml"), folder.path().join("m.wasm"));
        fs::write(&document, "one").unwrap();
        fs::write(&module, "one").unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        let modules = [module.clone()];
        let stamps = || stamps(folder.path(), &modules, later);
        let first = stamps();
        assert_eq!(first.as_ref().map(Vec::len), Some(2));
        assert_eq!(first, stamps());

        // In its place, of the same length and with the same time.
        let modified = fs::metadata(&module).unwrap().modified().unwrap();
        let another = |_| {
            fs::write(&module, "two").unwrap();
            fs::File::options().write(true).open(&module).unwrap().set_modified(modified).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            stamps() != first
        };
        assert!((0..1000).any(another), "the clock of the file system stands still");

        let second = stamps();
        fs::write(folder.path().join("new"), "two").unwrap();
        fs::rename(folder.path().join("new"), &document).unwrap();
        assert_ne!(second, stamps());
        let third = stamps();
        fs::write(folder.path().join("q.toml"), "").unwrap();
        assert_ne!(third, stamps());
        fs::remove_file(&module).unwrap();
        assert_eq!(stamps(), None);
    }

    #[test]
    fn what_was_changed_a_moment_ago_has_no_stamp_yet() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("p.toml"), "one").unwrap();
        assert_eq!(stamps(folder.path(), &[], SystemTime::now()), None);
        assert_eq!(stamps(&folder.path().join("none"), &[], SystemTime::now()), None);
    }
}
