//! Against a real PostgreSQL, where one is installed: the table of functions, and what its lexer says.
//!
//! Without `initdb` these tests say so in one line and compare nothing.
//!
//! The table `src/functions/postgres.txt` is made here: `UPDATE_EXPECT=1 cargo test --test sql live` with
//! PostgreSQL 15 installed writes it anew from `pg_proc` and `src/functions/reviewed.txt`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use expect_test::expect_file;
use gatewright_model::sql::{Grade, Output};

use crate::{corpus, render::analyse};

/// The version that the table is made from.
const TABLE_VERSION: &str = "15";

/// They take a row, and tell nothing of what is in it, or can not be called as `row.name`.
const ROW_TELLS_NOTHING: &str = "count cume_dist dense_rank mode num_nonnulls num_nulls percent_rank pg_collation_for \
     pg_column_compression pg_column_size pg_typeof rank";

const FUNCTIONS: &str = "
    select proname || ' ' || bool_or(provolatile = 'v') || ' ' || bool_or(
        (pronargs - pronargdefaults <= 1 and pronargs >= 1 or provariadic <> 0) and proargtypes[0] in (
            'record'::regtype, '\"any\"'::regtype, 'anyelement'::regtype, 'anynonarray'::regtype,
            'anycompatible'::regtype, 'anycompatiblenonarray'::regtype))
    from pg_proc where pronamespace = 'pg_catalog'::regnamespace
    group by proname order by proname collate \"C\"";

#[test]
fn a016_the_table_of_functions_is_that_of_a_real_server() {
    let Some(server) = Server::start() else { return };
    let reviewed = reviewed();
    let mut rows = server.connect().rows(FUNCTIONS);
    rows.sort();
    let is_table_version = server.version.split('.').next() == Some(TABLE_VERSION);
    let mut table =
        String::from("# Made by tests/sql/live.rs from pg_proc and reviewed.txt: do not edit.\n");
    let mut names = Vec::new();
    for row in &rows {
        let [name, is_volatile, takes_a_row] = row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let default = if is_volatile == "true" { "changing" } else { "harmless" };
        let class = reviewed.get(name).map_or(default, String::as_str);
        let tells =
            takes_a_row == "true" && !ROW_TELLS_NOTHING.split_whitespace().any(|other| other == name);
        let _ = writeln!(table, "{name} {class}{}", if tells { " row" } else { "" });
        names.push(name);
        if !is_table_version && is_volatile == "true" && !reviewed.contains_key(name) {
            // Of another version: what is volatile there must not pass for harmless here.
            let said = analyse(&format!("select {name}()"));
            assert!(said.effects().write, "{name} of PostgreSQL {} passes for harmless", server.version);
        }
    }
    if is_table_version {
        expect_file!["../../src/functions/postgres.txt"].assert_eq(&table);
        for name in reviewed.keys() {
            assert!(
                names.contains(&name.as_str()),
                "reviewed.txt: PostgreSQL {TABLE_VERSION} has no `{name}`"
            );
        }
    }
}

const OPERATORS: &str =
    "select distinct oprname from pg_operator where oprnamespace = 'pg_catalog'::regnamespace";

/// Rows of catalogs are types too: nobody converts to those.
const TYPES: &str = "
    select typname from pg_type t where typnamespace = 'pg_catalog'::regnamespace and typtype <> 'c'
        and not exists (select from pg_type e where e.oid = t.typelem and e.typtype = 'c')";

#[test]
fn a016_the_tables_of_operators_and_types_are_those_of_a_real_server() {
    let Some(server) = Server::start() else { return };
    let is_table_version = server.version.split('.').next() == Some(TABLE_VERSION);
    for (query, catalog, file) in [
        (OPERATORS, "pg_operator", expect_file!["../../src/functions/operators.txt"]),
        (TYPES, "pg_type", expect_file!["../../src/functions/types.txt"]),
    ] {
        let mut rows = server.connect().rows(query);
        rows.sort();
        let head = format!(
            "# Made by tests/sql/live.rs from {catalog}: do not edit. PostgreSQL 14 to 18 have the same names.\n"
        );
        // A name that another version does not have could be somebody's there.
        let table = rows.iter().fold(head, |table, row| table + row + "\n");
        if is_table_version {
            file.assert_eq(&table);
        } else {
            assert_eq!(
                table.lines().skip(1).collect::<Vec<_>>(),
                file.data().lines().skip(1).collect::<Vec<_>>()
            );
        }
    }
}

/// No text that is verified may be more statements to the server than to us.
#[test]
fn a012_a_real_server_counts_the_statements_of_the_lexer_corpus_the_same() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    client.run("set default_transaction_read_only = on");
    let mut compared = 0;
    for text in corpus::lexer::cases() {
        let analysis = analyse(&text);
        if analysis.grade != Grade::Verified {
            continue;
        }
        let ours = analysis.statements.len();
        let (finished, failed) = client.run(&text);
        // A failed statement ends the text: those after it are not seen.
        let fits = if failed { finished <= ours } else { finished == ours };
        assert!(fits, "{text:?}: {ours} statements, and the server finished {finished} (failed: {failed})");
        compared += usize::from(!failed);
    }
    assert!(compared > 300, "{compared}");
}

/// The secret is put in the table and looked for in every answer: a column that the server does not describe
/// and that shows it must not pass for one that is made of something else (A25-A27).
#[test]
fn a026_no_column_that_shows_the_secret_passes_for_another() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    let (_, failed) = client.run(
        "set statement_timeout = '5s';
         create table people (id int, ssn text, name text, a int, b int);
         create table others (id int, name text, a int, c text);
         create view seen as select id, ssn from people;
         insert into people values (1, 'SECRET', 'bob', 1, 2); insert into others values (1, 'x', 1, 'y');
         create function our_own(int) returns text language sql as 'select ssn from people'",
    );
    assert!(!failed);
    // What the server describes as the column, it is left to mask by that description.
    let attributes = "select attrelid || ' ' || attnum from pg_attribute where attname = 'ssn'";
    let masked: Vec<(u32, u16)> = client
        .rows(attributes)
        .iter()
        .map(|row| row.split_once(' ').unwrap())
        .map(|(table, attribute)| (table.parse().unwrap(), attribute.parse().unwrap()))
        .collect();
    let mut shown = 0;
    // A fifth of them, which still has each part many times: all of them take a minute.
    for text in corpus::lineage::cases().into_iter().step_by(5) {
        let analysis = analyse(&text);
        let [statement] = &analysis.statements[..] else { continue };
        let Some(outputs) = &statement.outputs else { continue };
        let writes = analysis.effects().write;
        let undo = |client: &mut Client, word: &str| writes.then(|| client.run(word));
        undo(&mut client, "begin");
        let messages = client.query(&text);
        undo(&mut client, "rollback");
        let Some((_, description)) = messages.iter().find(|(tag, _)| *tag == b'T') else { continue };
        let fields = fields(description);
        for (_, row) in messages.iter().filter(|(tag, _)| *tag == b'D') {
            for (at, value) in values(row).into_iter().enumerate() {
                if masked.contains(&fields[at]) || !value.to_uppercase().contains("SECRET") {
                    continue;
                }
                shown += 1;
                let told = |output: &Output| match output {
                    Output::Unknown => true,
                    Output::Direct => false,
                    Output::Computed(columns) => {
                        columns.iter().any(|column| ["ssn", "*"].contains(&&*column.name))
                    }
                };
                // With a `*` among them nobody can count: then one of them has to tell.
                let is_told = match outputs.get(at) {
                    Some(output) if outputs.len() == fields.len() => told(output),
                    _ => outputs.iter().any(told),
                };
                assert!(is_told, "{text}: column {at} shows the secret, and is said to be {outputs:?}");
            }
        }
    }
    assert!(shown > 500, "{shown}");
}

/// The table oid and attribute number of each field of a RowDescription.
fn fields(mut body: &[u8]) -> Vec<(u32, u16)> {
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
fn values(mut body: &[u8]) -> Vec<String> {
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

fn reviewed() -> BTreeMap<String, String> {
    let text = include_str!("../../src/functions/reviewed.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .flat_map(|line| {
            let (class, names) = line.split_once(' ').unwrap();
            names.split_whitespace().map(|name| (name.to_owned(), class.to_owned()))
        })
        .collect()
}

/// A throwaway server that listens on a socket in its own folder. Gone when dropped.
struct Server {
    bin: PathBuf,
    folder: PathBuf,
    version: String,
}

impl Server {
    fn start() -> Option<Self> {
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

    fn connect(&self) -> Client {
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
struct Client {
    stream: UnixStream,
}

impl Client {
    /// How many statements of the text finished, and whether one failed.
    fn run(&mut self, text: &str) -> (usize, bool) {
        let messages = self.query(text);
        let finished = messages.iter().filter(|(tag, _)| *tag == b'C').count();
        (finished, messages.iter().any(|(tag, _)| *tag == b'E'))
    }

    /// The first column of each row.
    fn rows(&mut self, text: &str) -> Vec<String> {
        let messages = self.query(text);
        assert!(messages.iter().all(|(tag, _)| *tag != b'E'), "{messages:?}");
        let rows = messages.into_iter().filter(|(tag, _)| *tag == b'D');
        // Behind the number of columns and the length of the first.
        rows.map(|(_, body)| String::from_utf8(body[6..].to_vec()).unwrap()).collect()
    }

    fn query(&mut self, text: &str) -> Vec<(u8, Vec<u8>)> {
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
            messages.push((head[0], body));
        }
    }
}

/// The folder of PostgreSQL's server programs: of the table's version, else of any.
fn bin() -> Option<PathBuf> {
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
