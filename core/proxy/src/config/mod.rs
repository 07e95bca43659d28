//! `gatewright.toml`: read once, checked completely, and from then on only typed values.
//!
//! [`Config::load`] either gives a configuration in which every path, address, certificate, key, secret
//! and reference was found good, or every error that it found, each with its place and its remedy. What
//! it read (keys, passwords) is in the configuration, so that nothing is read a second time and found
//! different.

mod admin;
mod duration;
mod identity;
mod listener;
mod names;
mod nearest;
mod problem;
mod reader;
mod reference;
mod route;
mod schema;
mod secret;
mod ssh;
mod storage;
mod target;

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use gatewright_model::digest::Digest;
use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

pub use self::{
    admin::Admin,
    duration::{DurationError, parse_duration},
    identity::{Identity, IssuerKeys, OidcIssuer},
    listener::{Listener, ListenerTls},
    names::Names,
    problem::{ConfigErrors, Found, Problem, Problems as ConfigProblems, Severity},
    reference::reference,
    secret::{PrivateFileError, read_private},
    ssh::{SshLogin, SshTarget},
    target::{Target, TargetAddress, TargetTls},
};
pub(crate) use self::{nearest::nearest, schema::PROTOCOLS};
use self::{
    problem::Problems,
    reader::{Context, Located, Reader},
    schema::SETTINGS,
};
use crate::tls::{CertificateError, Reloadable};

/// A configuration in which everything was found good.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// SHA-256 of that file.
    pub digest: Digest,
    /// Folder of the gateway's own keys. May not exist yet.
    pub state: PathBuf,
    /// How long sessions may go on after SIGTERM.
    pub drain: Duration,
    /// Threads that serve clients.
    pub workers: NonZeroUsize,
    /// Folder of the evidence log. May not exist yet.
    pub evidence: PathBuf,
    /// Name of the log in its checkpoints.
    pub origin: Arc<str>,
    /// How long the log's disk may take for a sync until requests are refused.
    pub sync_deadline: Duration,
    /// Folder of the recordings. May not exist yet.
    pub recordings: PathBuf,
    /// Bytes of one recording at most.
    pub recording_bytes: u64,
    /// Folder of the policy documents. It exists.
    pub policies: PathBuf,
    /// Whose tokens are accepted.
    pub identity: Identity,
    /// Groups that may decide where a policy names none.
    pub reviewers: Vec<Arc<str>>,
    /// How long at most a statement inside of a transaction waits for them. Zero: it is refused.
    pub hold_in_transaction: Duration,
    /// The admin listener.
    pub admin: Admin,
    /// What can be reached.
    pub targets: Vec<Arc<Target>>,
    /// Where clients are served.
    pub listeners: Vec<Arc<Listener>>,
    /// What policies can speak of.
    pub names: Names,
    /// What someone should know of, though the gateway starts.
    pub warnings: ConfigProblems,
}

impl Config {
    /// Reads and checks the file, and everything that it names.
    ///
    /// # Errors
    ///
    /// All errors at once.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        let machine = Machine {
            now: SystemTime::now(),
            variable: &|name| std::env::var(name).ok(),
            is_volatile: &storage::is_volatile,
        };
        Self::load_on(file, &machine)
    }

    fn load_on(file: &Path, machine: &Machine<'_>) -> Result<Self, ConfigErrors> {
        let source = match read_source(file) {
            Ok(source) => source,
            Err(error) => {
                let mut problems = Problems::new(file.to_owned(), "");
                problems.error(
                    None,
                    format!("can not read the configuration: {error}"),
                    "name a file that exists and is UTF-8 text, with `--config FILE`",
                );
                return Err(ConfigErrors { problems, found: Box::default() });
            }
        };
        let problems = Problems::new(file.to_owned(), &source);
        let base = file.parent().unwrap_or(Path::new(""));
        let mut context = Context { problems, base, machine };

        let (table, errors) = DeTable::parse_recoverable(&source);
        for error in &errors {
            context.problems.error(
                error.span(),
                error.message(),
                "correct the TOML syntax here (https://toml.io)",
            );
        }
        // A table with holes would yield errors about what is missing that are not the operator's.
        let (config, found) = if errors.is_empty() {
            read(table.get_ref(), file, &source, &mut context)
        } else {
            (None, Found::default())
        };
        let mut problems = context.problems;
        problems.sort();
        match config {
            Some(config) if !problems.has_errors() => Ok(Self { warnings: problems, ..config }),
            _ => Err(ConfigErrors { problems, found: Box::new(found) }),
        }
    }

    /// Everything that [`crate::tls::watch`] is to keep fresh.
    pub fn reloadable(&self) -> Vec<Arc<dyn Reloadable>> {
        let mut all: Vec<Arc<dyn Reloadable>> = Vec::new();
        all.extend(self.admin.tls.iter().map(|tls| tls.clone() as Arc<dyn Reloadable>));
        for listener in &self.listeners {
            all.extend(listener.tls.iter().map(|tls| tls.server.clone() as Arc<dyn Reloadable>));
        }
        for target in &self.targets {
            if let TargetTls::Verify { client, .. } = &target.tls {
                all.push(client.clone());
            }
        }
        all
    }
}

/// What a configuration is checked against, beside the files that it names.
struct Machine<'a> {
    now: SystemTime,
    /// The value of an environment variable.
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// Is a folder lost when the machine restarts?
    is_volatile: &'a dyn Fn(&Path) -> bool,
}

fn read_source(file: &Path) -> io::Result<String> {
    if fs::metadata(file)?.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    fs::read_to_string(file)
}

/// The largest configuration that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

fn read(
    table: &DeTable<'_>,
    file: &Path,
    source: &str,
    context: &mut Context<'_>,
) -> (Option<Config>, Found) {
    let root = Reader::root(table, SETTINGS, context);

    // Every section is read before any is required, so that all errors are found.
    let gateway = root.table("gateway", context);
    let state = gateway.as_ref().and_then(|gateway| gateway.path("state", context));
    let drain = gateway.as_ref().and_then(|gateway| gateway.duration("drain", context));
    let workers = gateway.as_ref().and_then(|gateway| gateway.number("workers", context));

    let evidence = root.table("evidence", context);
    let directory = evidence.as_ref().and_then(|evidence| evidence.path("directory", context));
    let origin = evidence.as_ref().and_then(|evidence| read_origin(evidence, context));
    let sync_deadline = evidence.as_ref().and_then(|evidence| evidence.duration("sync_deadline", context));
    if let Some(directory) = &directory {
        check_evidence(directory, context);
    }

    let recordings = root.table("recordings", context);
    let recorded = recordings.as_ref().and_then(|recordings| recordings.path("directory", context));
    let recording_bytes =
        recordings.as_ref().and_then(|recordings| recordings.number("max_bytes", context));

    let policies = root.table("policies", context).and_then(|policies| policies.path("directory", context));
    if let Some(policies) = &policies {
        check_policies(policies, context);
    }

    let identity = root.table("identity", context).and_then(|identity| identity::read(&identity, context));
    let approvals = root.table("approvals", context);
    let reviewers = approvals.as_ref().and_then(|approvals| approvals.texts("reviewers", context));
    let hold = approvals.as_ref().and_then(|approvals| approvals.duration("hold_in_transaction", context));
    let admin = root.table("admin", context).and_then(|admin| admin::read(&admin, context));
    let targets: Vec<_> =
        root.tables("target", context).iter().map(|target| target::read(target, context)).collect();
    let listeners: Vec<_> =
        root.tables("listener", context).iter().map(|listener| listener::read(listener, context)).collect();

    check_names("target", targets.iter().filter_map(|target| target.name.as_ref()), context);
    check_names("listener", listeners.iter().filter_map(|listener| listener.name.as_ref()), context);
    let admin_listen = admin.iter().map(|admin| ("admin", &admin.listen));
    let listens = listeners.iter().filter_map(|listener| {
        let name = listener.name.as_ref().map_or("another listener", |name| &*name.value);
        Some((name, listener.listen.as_ref()?))
    });
    check_listens(admin_listen.chain(listens), context);
    let found = Found {
        state: state.as_ref().map(|state| state.value.clone()),
        policies: policies.as_ref().map(|policies| policies.value.clone()).filter(|folder| folder.is_dir()),
        names: Names::read(&listeners, &targets),
    };
    let connected: Vec<_> =
        listeners.into_iter().map(|listener| listener.connect(&targets, context)).collect();
    let listeners: Option<Vec<_>> = connected.into_iter().map(|listener| listener.map(Arc::new)).collect();
    let targets: Option<Vec<_>> = targets.into_iter().map(|target| target.value).collect();

    let names = found.names.clone();
    let config = || {
        Some(Config {
            file: file.to_owned(),
            digest: Digest::new(Sha256::digest(source).into()),
            state: state?.value,
            drain: drain?.value,
            workers: workers.and_then(|workers| count(workers.value)).unwrap_or_else(processors),
            recordings: match (recorded, &directory) {
                (Some(recorded), _) => recorded.value,
                (None, directory) => directory.as_ref()?.value.join("recordings"),
            },
            recording_bytes: u64::try_from(recording_bytes?.value).ok()?,
            evidence: directory?.value,
            origin: origin?,
            sync_deadline: sync_deadline?.value,
            policies: policies?.value,
            identity: identity?,
            reviewers: reviewers?.value,
            hold_in_transaction: hold?.value,
            admin: admin?.value?,
            targets: targets?,
            listeners: listeners?,
            names: names?,
            warnings: Problems::new(PathBuf::new(), ""),
        })
    };
    (config(), found)
}

fn count(number: i64) -> Option<NonZeroUsize> {
    usize::try_from(number).ok().and_then(NonZeroUsize::new)
}

/// Those that this process may use.
fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The origin is the first line of each checkpoint: it can hold no line break (C2SP tlog-checkpoint), and
/// as the name of the signing key no `+` and no white space (C2SP signed-note).
fn read_origin(evidence: &Reader<'_>, context: &mut Context<'_>) -> Option<Arc<str>> {
    let origin = evidence.text("origin", context)?;
    if origin.value.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '+')
    {
        context.problems.error(
            origin.span,
            "`origin` holds white space or `+`",
            "write it like a URL without its scheme: `gatewright.example/main`",
        );
        return None;
    }
    Some(origin.value)
}

fn check_evidence(directory: &Located<PathBuf>, context: &mut Context<'_>) {
    let path = &directory.value;
    if path.exists() && !path.is_dir() {
        context.problems.error(
            directory.span.clone(),
            format!("`{}` is not a folder", path.display()),
            "name a folder; it is made when the gateway starts",
        );
    }
    if (context.machine.is_volatile)(path) {
        context.problems.warning(
            directory.span.clone(),
            format!("`{}` is in memory: evidence is lost when this machine restarts", path.display()),
            "name a folder on a disk",
        );
    }
}

fn check_policies(directory: &Located<PathBuf>, context: &mut Context<'_>) {
    if !directory.value.is_dir() {
        context.problems.error(
            directory.span.clone(),
            format!("there is no folder `{}`", directory.value.display()),
            "make it and put policy documents in it; with none, every request is refused",
        );
    }
}

fn check_names<'n>(
    what: &str,
    names: impl Iterator<Item = &'n Located<Arc<str>>>,
    context: &mut Context<'_>,
) {
    let mut seen = BTreeMap::new();
    for name in names {
        if seen.insert(name.value.clone(), ()).is_some() {
            context.problems.error(
                name.span.clone(),
                format!("there is another {what} named `{}`", name.value),
                "give each its own name: records and policies speak of them by name",
            );
        }
    }
}

fn check_listens<'l>(
    listens: impl Iterator<Item = (&'l str, &'l Located<SocketAddr>)>,
    context: &mut Context<'_>,
) {
    let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
    for (name, listen) in listens {
        if let Some((other, _)) = seen.iter().find(|(_, taken)| collide(*taken, listen.value)) {
            context.problems.error(
                listen.span.clone(),
                format!("`{}` is taken by `{other}`", listen.value),
                "give each listener an address of its own",
            );
        }
        seen.push((name, listen.value));
    }
}

/// Would the operating system refuse one of them? Port 0 is any free port.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let any = |address: SocketAddr| address.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || any(one) || any(other))
}

/// Is it an address that other machines can not reach?
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Notes a certificate's error at the setting that is to blame.
fn report_certificate(
    error: &CertificateError,
    certificate: &Range<usize>,
    key: &Range<usize>,
    context: &mut Context<'_>,
) {
    let span = if error.is_about_key() { key } else { certificate };
    context.problems.error(span.clone(), error.to_string(), error.remedy());
}

#[cfg(test)]
mod tests;
