//! A disk that hangs, fails or is full, for one process and without root: a library that stands before libc's fdatasync and
//! write.

use std::{fs, path::PathBuf, process::Command};

use gatewright_testbed::{Error, Result, Setup, Stage};

/// What the disk of a gateway does when it is to take something, or to make it safe.
#[derive(Debug)]
pub struct Disk {
    library: PathBuf,
    switch: PathBuf,
}

impl Disk {
    /// A disk that works.
    ///
    /// # Errors
    /// Where there is no C compiler.
    pub fn new(stage: &Stage) -> Result<Self> {
        let directory = stage.private_directory("disk")?;
        let (source, library) = (directory.join("disk.c"), directory.join("disk.so"));
        let problem = |what: &str, error: String| Error::new(format!("{what}: {error}"));
        fs::write(&source, SOURCE).map_err(|error| problem("writing disk.c", error.to_string()))?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = cc.output().map_err(|error| problem("running cc", error.to_string()))?;
        if !output.status.success() {
            return Err(problem("cc", String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(Self { library, switch: directory.join("switch") })
    }

    /// Puts it under a gateway.
    #[must_use]
    pub fn under(&self, setup: Setup) -> Setup {
        setup.environment("LD_PRELOAD", &self.library).environment("GATEWRIGHT_TEST_DISK", &self.switch)
    }

    /// From now on it does not answer.
    ///
    /// # Errors
    /// Where the switch can not be written.
    pub fn hang(&self) -> Result<()> {
        self.switch_to("hang")
    }

    /// From now on it fails.
    ///
    /// # Errors
    /// Where the switch can not be written.
    pub fn fail(&self) -> Result<()> {
        self.switch_to("fail")
    }

    /// From now on it is full: no record is written to it.
    ///
    /// # Errors
    /// Where the switch can not be written.
    pub fn fill(&self) -> Result<()> {
        self.switch_to("write nothing")
    }

    /// From now on there is no room for recordings.
    ///
    /// # Errors
    /// Where the switch can not be written.
    pub fn fill_recordings(&self) -> Result<()> {
        self.switch_to("recordings are not written")
    }

    /// From now on, whoever writes a recording waits.
    ///
    /// # Errors
    /// Where the switch can not be written.
    pub fn hang_recordings(&self) -> Result<()> {
        self.switch_to("stuck recordings")
    }

    /// It works again, and answers what it owes.
    ///
    /// # Errors
    /// Where it works already.
    pub fn work(&self) -> Result<()> {
        fs::remove_file(&self.switch).map_err(|error| Error::new(format!("switching the disk: {error}")))
    }

    fn switch_to(&self, word: &str) -> Result<()> {
        // At once, so that nobody reads half a word.
        let new = self.switch.with_extension("new");
        fs::write(&new, word)
            .and_then(|()| fs::rename(&new, &self.switch))
            .map_err(|error| Error::new(format!("switching the disk: {error}")))
    }
}

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first letter of the switch: 'h' hangs, 'f' fails, 'w' is full, 'r' has no room for recordings, 's' hangs with them;
   without a switch the disk works. */
static char position(const char *path) {
    char letter = 0;
    int file = path ? open(path, O_RDONLY) : -1;
    if (file >= 0) {
        if (read(file, &letter, 1) != 1) letter = 0;
        close(file);
    }
    return letter;
}

int fdatasync(int fd) {
    int (*next)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("GATEWRIGHT_TEST_DISK");
    while (position(path) == 'h') usleep(5000);
    if (position(path) == 'f') {
        errno = EIO;
        return -1;
    }
    return next(fd);
}

/* Is it a file in this folder? */
static int is_in(int fd, const char *folder) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, folder) != NULL;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t (*next)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t)) dlsym(RTLD_NEXT, "write");
    const char *path = getenv("GATEWRIGHT_TEST_DISK");
    while (position(path) == 's' && is_in(fd, "/recordings/")) usleep(5000);
    char letter = position(path);
    if ((letter == 'w' && is_in(fd, "/evidence/")) || (letter == 'r' && is_in(fd, "/recordings/"))) {
        errno = ENOSPC;
        return -1;
    }
    return next(fd, bytes, count);
}
"#;
