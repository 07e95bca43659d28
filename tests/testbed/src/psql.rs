//! The real psql, for one script or for a conversation.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::error::{Error, Result, about};

/// How long a statement may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where and as whom psql connects: TLS with the name `localhost` verified.
#[derive(Debug, Clone)]
pub struct Psql {
    port: u16,
    user: String,
    password: String,
    database: String,
    authority: PathBuf,
    tls: bool,
    options: Vec<String>,
}

impl Psql {
    /// Connects to `localhost:port` with a password, which for the gateway is a token.
    pub fn new(port: u16, authority: &Path, user: &str, password: &str) -> Self {
        Self {
            port,
            user: user.to_owned(),
            password: password.to_owned(),
            database: "postgres".to_owned(),
            authority: authority.to_owned(),
            tls: true,
            options: Vec::new(),
        }
    }

    /// Another database than `postgres`.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        name.clone_into(&mut self.database);
        self
    }

    /// More arguments for psql.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// Without TLS.
    #[must_use]
    pub fn without_tls(mut self) -> Self {
        self.tls = false;
        self
    }

    /// The connection as libpq's environment, for any program that uses libpq.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", "localhost".to_owned()),
            ("PGHOSTADDR", "127.0.0.1".to_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
            ("PGPASSWORD", self.password.clone()),
            ("PGSSLMODE", if self.tls { "verify-full" } else { "disable" }.to_owned()),
            ("PGSSLROOTCERT", self.authority.display().to_string()),
            ("PGCONNECT_TIMEOUT", "20".to_owned()),
        ]
    }

    /// Runs a script to its end and gives all that psql wrote, errors and notices in their places.
    ///
    /// # Errors
    /// Where psql can not be run or hangs. An SQL error is no error here: it is in the text.
    pub fn run(&self, script: &str) -> Result<String> {
        let mut conversation = self.open()?;
        let text = conversation.say(script)?;
        conversation.close()?;
        Ok(text)
    }

    /// Opens a conversation.
    ///
    /// # Errors
    /// Where psql can not be run. Whether it could connect shows at the first [`Conversation::say`].
    pub fn open(&self) -> Result<Conversation> {
        // One pipe for both, so that errors and rows stay in order.
        let mut command = Command::new("sh");
        command.args(["-c", "exec psql -X -q \"$@\" 2>&1", "psql"]).args(&self.options);
        command.envs(self.environment()).env("LC_ALL", "C.UTF-8").env_remove("PSQLRC");
        let mut child = about(
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn(),
            "running",
            "psql",
        )?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| Error::new("psql has no output"))?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Ok(Conversation { child, stdin, lines, said: 0 })
    }
}

/// One psql process that stays open.
#[derive(Debug)]
pub struct Conversation {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: u32,
}

impl Conversation {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends lines and gives what psql wrote until it had done them all.
    ///
    /// # Errors
    /// Where psql has ended or hangs.
    pub fn say(&mut self, text: &str) -> Result<String> {
        self.begin(text)?;
        self.end()
    }

    /// Sends lines and does not wait.
    ///
    /// # Errors
    /// Where psql has ended.
    pub fn begin(&mut self, text: &str) -> Result<()> {
        self.said += 1;
        let end = self.mark();
        // What psql can not take because it has ended shows as an early end of its output.
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{text}\n\\echo {end}").and_then(|()| stdin.flush());
        }
        Ok(())
    }

    /// The next line of what was begun. None when it is done.
    ///
    /// # Errors
    /// Where psql hangs.
    pub fn line(&mut self) -> Result<Option<String>> {
        let end = self.mark();
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) if line == end => Ok(None),
            Ok(line) => Ok(Some(line)),
            // It ended: what it wrote before says why.
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(None),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(Error::new(format!("psql wrote nothing for {PATIENCE:?} and is not done")))
            }
        }
    }

    /// The rest of what was begun.
    ///
    /// # Errors
    /// Where psql hangs.
    pub fn end(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(line) = self.line()? {
            text.push_str(&line);
            text.push('\n');
        }
        Ok(text)
    }

    /// Lets psql end, and gives what it still had to say.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn close(mut self) -> Result<String> {
        self.stdin = None;
        let start = Instant::now();
        let mut text = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => text.push_str(&(line + "\n")),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => return Err(Error::new("psql does not end")),
            }
            if start.elapsed() > PATIENCE {
                return Err(Error::new("psql does not end"));
            }
        }
        Ok(text)
    }

    fn mark(&self) -> String {
        format!("--- end of part {} ---", self.said)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
