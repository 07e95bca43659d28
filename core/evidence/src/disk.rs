//! What the writer asks of a disk, and nothing more: so that tests can put one in its place that is full,
//! broken, slow, or loses what was not synced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

/// A place for files.
pub(crate) trait Disk: Send + Sync {
    /// Opens a file for appending; with `new`, one that must not be there yet.
    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Replaces a file's contents at once: whoever reads it sees the old or the new, also after a crash.
    fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes names of new files in a directory outlive a crash.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file that is appended to.
pub(crate) trait DiskFile: Send + Sync {
    /// Appends all of `bytes` by write(2): they outlive the process, not yet the machine. On an error a part
    /// of them may have been written.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes what was appended outlive the machine: fdatasync(2).
    fn sync(&self) -> io::Result<()>;
}

/// The operating system's.
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>> {
        // Names of people and statements stand in it: nobody but the gateway's own account reads it.
        let mut options = OpenOptions::new();
        options.append(true).mode(0o600);
        if new {
            options.create_new(true)
        } else {
            options.create(true)
        };
        Ok(Arc::new(options.open(path)?))
    }

    fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(contents)?;
        file.sync_data()?;
        fs::rename(&temporary, path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
