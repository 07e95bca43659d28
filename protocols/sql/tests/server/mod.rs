//! A throwaway PostgreSQL and a client of it, for the tests that hold this crate against a real server.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The version that the tables of functions, operators and types are made from.
pub const TABLE_VERSION: &str = "15";

/// A throwaway server that listens on a socket in its own folder. Gone when dropped.
pub struct Server {
    bin: PathBuf,
    folder: PathBuf,
    /// As `15.18`.
    pub version: String,
}

impl Server {
    pub fn start() -> Option<Self> {
        let Some(bin) = bin() else {
            println!("no PostgreSQL is installed here: nothing is compared");
            return None;
        };
        let version = output(Command::new(bin.join("postgres")).arg("--version"));
        let version = version.split_whitespace().nth(2).unwrap_or_default().to_owned();
        let folder =
            PathBuf::from(output(as_postgres("mktemp").args(["-d", "-t", "gatewright-sql-XXXXXX"])).trim());
        let server = Self { bin, folder, version };
        let data = server.folder.join("data");
        output(
            as_postgres(server.bin.join("initdb"))
                .args(["-U", "postgres", "-A", "trust", "-N", "-D"])
                .arg(&data),
        );
        let options = format!("-k {} -c listen_addresses= -c fsync=off", server.folder.display());
        output(
            as_postgres(server.bin.join("pg_ctl"))
                .args(["start", "-w", "-o", &options, "-l"])
                .arg(server.folder.join("log"))
                .arg("-D")
                .arg(&data),
        );
        Some(server)
    }

    pub fn connect(&self) -> Client {
        let mut stream = UnixStream::connect(self.folder.join(".s.PGSQL.5432")).unwrap();
        let startup = b"\0\x03\0\0user\0postgres\0database\0postgres\0client_encoding\0UTF8\0\0";
        stream.write_all(&u32::try_from(startup.len() + 4).unwrap().to_be_bytes()).unwrap();
        stream.write_all(startup).unwrap();
        let mut client = Client { stream };
        client.read_until_ready();
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = as_postgres(self.bin.join("pg_ctl"));
        let _ = stop.args(["stop", "-m", "immediate", "-D"]).arg(self.folder.join("data")).output();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A client of the simple protocol that believes the server.
pub struct Client {
    stream: UnixStream,
}

impl Client {
    /// How many statements of the text finished, and whether one failed.
    pub fn run(&mut self, text: &str) -> (usize, bool) {
        let messages = self.query(text);
        let finished = messages.iter().filter(|(tag, _)| *tag == b'C').count();
        (finished, messages.iter().any(|(tag, _)| *tag == b'E'))
    }

    /// The first column of each row.
    pub fn rows(&mut self, text: &str) -> Vec<String> {
        let messages = self.query(text);
        assert!(messages.iter().all(|(tag, _)| *tag != b'E'), "{messages:?}");
        let rows = messages.into_iter().filter(|(tag, _)| *tag == b'D');
        // Behind the number of columns and the length of the first.
        rows.map(|(_, body)| String::from_utf8(body[6..].to_vec()).unwrap()).collect()
    }

    pub fn query(&mut self, text: &str) -> Vec<(u8, Vec<u8>)> {
        let mut message = vec![b'Q'];
        message.extend(u32::try_from(text.len() + 5).unwrap().to_be_bytes());
        message.extend(text.as_bytes());
        message.push(0);
        self.stream.write_all(&message).unwrap();
        self.read_until_ready()
    }

    fn read_until_ready(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.stream.read_exact(&mut body).unwrap();
            if head[0] == b'Z' {
                return messages;
            }
            if head[0] == b'G' {
                // COPY FROM STDIN: there are no rows.
                self.stream.write_all(b"c\0\0\0\x04").unwrap();
            }
            messages.push((head[0], body));
        }
    }
}

/// The folder of PostgreSQL's server programs: the one that `GATEWRIGHT_POSTGRES` names, else of the table's version, else of any.
fn bin() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("GATEWRIGHT_POSTGRES") {
        return Some(named.into());
    }
    let debian = Path::new("/usr/lib/postgresql");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(debian).into_iter().flatten().flatten().map(|e| e.path()).collect();
    folders.sort_by_key(|folder| folder.file_name().is_some_and(|name| name == TABLE_VERSION));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    candidates.extend(folders.into_iter().map(|folder| folder.join("bin")));
    candidates.into_iter().rev().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// A command as a user that PostgreSQL runs as: it refuses root.
fn as_postgres(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let is_root = output(Command::new("id").arg("-u")).trim() == "0";
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn output(command: &mut Command) -> String {
    // pg_ctl leaves the server behind with its handles: they must not keep a pipe of ours open.
    let is_server = command.get_args().any(|argument| argument == "start");
    let stdout = if is_server { Stdio::null() } else { Stdio::piped() };
    let done = command.current_dir("/").stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", done.status);
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The table oid and attribute number of each field of a RowDescription.
pub fn fields(mut body: &[u8]) -> Vec<(u32, u16)> {
    let count = u16::from_be_bytes([body[0], body[1]]);
    body = &body[2..];
    let mut fields = Vec::new();
    for _ in 0..count {
        let name = body.iter().position(|byte| *byte == 0).unwrap();
        body = &body[name + 1..];
        let table = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        fields.push((table, u16::from_be_bytes([body[4], body[5]])));
        body = &body[18..];
    }
    fields
}

/// The values of a DataRow as text; null is empty.
pub fn values(mut body: &[u8]) -> Vec<String> {
    let fields = u16::from_be_bytes([body[0], body[1]]);
    body = &body[2..];
    let mut values = Vec::new();
    for _ in 0..fields {
        let length = i32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        body = &body[4..];
        let (value, rest) = body.split_at(usize::try_from(length).unwrap_or(0));
        values.push(String::from_utf8_lossy(value).into_owned());
        body = rest;
    }
    values
}
