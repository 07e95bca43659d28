//! A temporary directory and the processes that live in it.
//!
//! Who clears up when a test is killed, or a person presses Ctrl-C? Not the process that is being killed. So
//! each stage has a janitor: a small shell that reads from a pipe which only the stage's process holds open.
//! It is told of every process and ends them when the pipe closes, which the kernel does whatever happened.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::error::{Error, Result, about};

/// A temporary directory and the processes that live in it. All of it goes when the last handle goes.
#[derive(Debug, Clone)]
pub struct Stage {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    janitor: Mutex<Child>,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Stage {
    /// Makes the directory, `gatewright-NAME-...` below the system's temporary one, and its janitor.
    ///
    /// # Errors
    /// Where the directory can not be made, or there is no `sh`.
    pub fn new(name: &str) -> Result<Self> {
        let directory = fresh_directory(name)?;
        // The server runs as a user of its own: it may pass through here, and list nothing.
        about(fs::set_permissions(&directory, Permissions::from_mode(0o711)), "opening", &directory)?;
        let mut janitor = about(
            Command::new("sh")
                .args(["-c", JANITOR, "janitor"])
                .arg(&directory)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn(),
            "running",
            "sh",
        )?;
        let pipe = janitor.stdin.take();
        let shared = Shared { directory, janitor: Mutex::new(janitor), pipe: Mutex::new(pipe) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// Makes a directory in it that only this user can read.
    ///
    /// # Errors
    /// Where it can not be made.
    pub fn private_directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory().join(name);
        about(fs::create_dir_all(&path), "creating", &path)?;
        about(fs::set_permissions(&path, Permissions::from_mode(0o700)), "closing", &path)?;
        Ok(path)
    }

    /// Starts a program whose output goes to `NAME.log` in the directory.
    ///
    /// # Errors
    /// Where the program can not be started.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Result<Service> {
        let log = self.directory().join(format!("{name}.log"));
        let file = about(File::options().create(true).append(true).open(&log), "creating", &log)?;
        let errors = about(file.try_clone(), "opening", &log)?;
        let child = about(
            command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn(),
            "running",
            command.get_program(),
        )?;
        self.tell(&format!("pid {}", child.id()));
        Ok(Service { name: name.to_owned(), child, log, stage: self.clone() })
    }

    fn tell(&self, line: &str) {
        let mut pipe = self.shared.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            // A janitor that is gone has done its work already.
            let _ = writeln!(pipe, "{line}");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.janitor.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// A process on a stage.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
    stage: Stage,
}

impl Service {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it wrote.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal by name, like `TERM`.
    ///
    /// # Errors
    /// Where there is no such process any more.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = about(
            Command::new("kill").args(["-s", name, &self.pid().to_string()]).stderr(Stdio::null()).status(),
            "running",
            "kill",
        )?;
        if status.success() {
            return Ok(());
        }
        Err(Error::new(format!("{} (pid {}) does not run", self.name, self.pid())))
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// Where it has not ended in time.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                self.stage.tell(&format!("gone {}", self.pid()));
                return Ok(status);
            }
            if start.elapsed() > limit {
                return Err(Error::new(format!("{} did not end in {limit:?}", self.name)));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it at once, without a chance to do anything.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.stage.tell(&format!("gone {}", self.pid()));
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// Where the process ends first, or is not ready in time; with the last lines of its log.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !ready() {
            if let Some(status) = self.ended() {
                return Err(self.complaint(&format!("ended with {status}")));
            }
            if start.elapsed() > limit {
                return Err(self.complaint(&format!("was not ready in {limit:?}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn complaint(&self, what: &str) -> Error {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
        Error::new(format!("{} {what}; its last words:\n{tail}", self.name))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads `pid N`, `gone N`; when the pipe closes, ends what is left and removes the directory `$1`.
const JANITOR: &str = r#"
trap '' INT TERM HUP QUIT
pids=
while IFS=' ' read -r word pid; do
  case $word in
    pid) pids="$pids $pid" ;;
    gone) kept=; for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done; pids=$kept ;;
  esac
done
for signal in INT INT INT KILL; do
  [ -n "$pids" ] || break
  for p in $pids; do kill -s "$signal" "$p" 2>/dev/null; done
  for pause in 1 2 3 4 5 6 7 8 9 10; do
    kept=; for p in $pids; do [ -e "/proc/$p/exe" ] && kept="$kept $p"; done; pids=$kept
    [ -n "$pids" ] || break
    sleep 0.1
  done
done
rm -rf "$1"
"#;

/// A directory that was not there before: one that an ended process of the same number left behind would
/// still hold its server's data.
fn fresh_directory(name: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = format!("gatewright-{name}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(own);
        match fs::create_dir(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return about(Err(error), "creating", &directory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_behind() {
        let stage = Stage::new("stage").unwrap();
        let directory = stage.directory().to_owned();
        let service = stage.spawn("sleeper", Command::new("sleep").arg("600")).unwrap();
        let process = PathBuf::from(format!("/proc/{}", service.pid()));
        assert!(process.exists());
        // A process that is not dropped in order, as when its owner is killed: the janitor ends it.
        std::mem::forget(service);
        assert!(directory.exists());
        drop_the_last_handle(stage);
        assert!(!directory.exists());
    }

    /// A forgotten service keeps a handle; closing the pipe is what the death of the owner would do.
    fn drop_the_last_handle(stage: Stage) {
        drop(stage.shared.pipe.lock().unwrap().take());
        stage.shared.janitor.lock().unwrap().wait().unwrap();
    }

    #[test]
    fn a_service_that_ends_says_its_last_words() {
        let stage = Stage::new("stage").unwrap();
        let mut service =
            stage.spawn("sh", Command::new("sh").args(["-c", "echo no disk; exit 3"])).unwrap();
        let error = service.wait_until(Duration::from_secs(10), || false).unwrap_err();
        assert!(error.what().contains("exit status: 3"), "{error}");
        assert!(error.what().contains("no disk"), "{error}");
    }
}
