//! `gatewright serve`: puts the parts together, serves, and takes them apart again in good order.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use gatewright_approval::Approvals;
use gatewright_evidence::{AppendError, Health, Log, LogOptions, OpenError, Recordings, Recovery};
use gatewright_identity::SetupError;
use gatewright_model::audit::{Record, SetVersionRecord};
use gatewright_policy::{
    CaseReader, Change, Host, HostError, Limits, LoadProblem, Policies, PolicySet, Watch, WatchTimes,
};
use gatewright_sql::{Analyser, AnalyserLimits};
use tokio::net::TcpListener;

use crate::{
    admin::{self, AdminState, EvidenceStatus, ListenerStatus, Status, StatusProvider},
    case_reader::ProtocolCaseReader,
    config::{Config, Names},
    enforce::Enforcement,
    identity_fetch,
    keys::{Keys, KeysError},
    listener::{self, Door, Parts, Servers},
    match_names::{self, Unmatched},
    metrics::Metrics,
    refused_policies::RefusedPolicies,
    revocations::{Revocations, RevocationsError},
    sessions::Sessions,
    shutdown::{Drain, Signals},
    tls,
    wire::ssh,
    workers::Workers,
};

/// Serves until SIGTERM, then drains.
///
/// # Errors
///
/// The gateway can not start: nothing was served.
pub async fn run(config: Arc<Config>) -> Result<(), ServeError> {
    let mut signals = Signals::listen().map_err(ServeError::Signals)?;
    let keys = Keys::load_or_create(&config.state)?;
    let options = LogOptions { sync_deadline: config.sync_deadline, ..LogOptions::new(&*config.origin) };
    let (log, recovery) = Log::open(&config.evidence, options, keys.evidence.clone())?;
    report(&recovery);
    let analyser = Arc::new(Analyser::new(AnalyserLimits::default()));
    let host = Host::new(Limits::default())?;
    let cases: Arc<dyn CaseReader> = Arc::new(ProtocolCaseReader::new(Arc::clone(&analyser)));
    let set = load(&config.policies, &host, &*cases)?;
    let policies = Policies::new(set);
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let verifier = Arc::new(config.identity.verifier(&keys.issuer)?);
    let sessions = Arc::new(Sessions::default());
    let revocations =
        Revocations::open(&config.state, Arc::clone(&verifier), Arc::clone(&sessions), log.clone())?;
    let enforcement = Arc::new(Enforcement {
        set_number: tokio::sync::watch::Sender::new(policies.current().version().number),
        policies: policies.clone(),
        log: log.clone(),
        recordings: Recordings::new(config.recordings.clone(), config.recording_bytes),
        approvals: Approvals::new(),
        reviewers: config.reviewers.clone(),
        hold_with_locks: config.hold_in_transaction,
        metrics: Arc::clone(&metrics),
        sessions: Arc::clone(&sessions),
    });
    record_start(&config, &enforcement)?;
    warn_of_unmatched(&policies.current(), &config.names);
    let refused = Arc::new(RefusedPolicies::default());
    let watch = watch_policies(&config, &enforcement, &refused, host, cases)?;
    let drain = Arc::new(Drain::default());
    let ssh_trust = config.identity.ssh_trust(&keys.ssh_login)?;
    let ssh = Arc::new(ssh::Access { trust: ssh_trust, login: keys.ssh_login, targets: keys.ssh_targets });
    let parts = Parts { analyser, mask_key: keys.mask.clone(), ssh, servers: Servers::default() };

    let workers = Arc::new(Workers::start(config.workers, STACK_BYTES).map_err(ServeError::Workers)?);
    let mut doors = Vec::new();
    for listener in &config.listeners {
        let socket = open(Some(&listener.name), listener.listen).await?;
        let door = Door::new(
            Arc::clone(listener),
            Arc::clone(&verifier),
            Arc::clone(&enforcement),
            &parts,
            workers.count(),
        );
        doors.push((Arc::new(door), socket));
    }
    let admin = open(None, config.admin.listen).await?;
    let status = Gateway {
        enforcement: Arc::clone(&enforcement),
        drain: Arc::clone(&drain),
        doors: doors.iter().map(|(door, _)| Arc::clone(door)).collect(),
        names: config.names.clone(),
        refused,
        alarm: recovery.alarm,
    };
    for (door, socket) in doors {
        tracing::info!(listener = %door.listener.name, address = %door.listener.listen, "listening");
        tokio::spawn(listener::accept(door, socket, Arc::clone(&workers), Arc::clone(&drain)));
    }
    let state = AdminState {
        approvals: enforcement.approvals.clone(),
        verifier: Arc::clone(&verifier),
        reviewers: config.reviewers.clone(),
        operators: config.admin.operators.clone(),
        sessions: Arc::clone(&sessions),
        revocations: Arc::new(revocations),
        log: log.clone(),
        metrics,
        status: Arc::new(status),
    };
    tokio::spawn(admin::serve(admin, config.admin.tls.clone(), Arc::new(state)));
    tokio::spawn(identity_fetch::run(verifier, config.identity.clients()));
    tokio::spawn(expire_approvals(Arc::clone(&enforcement)));
    tokio::spawn(tls::watch(config.reloadable(), RELOAD_INTERVAL, signals.hangups()));
    tracing::info!(set = %policies.current().version().digest.short(), "ready");

    signals.stop().await;
    tracing::info!(sessions = sessions.list().len(), "draining");
    let left = drain.finish(config.drain, signals.stop(), LAST_CALL).await;
    if left > 0 {
        tracing::warn!(left, "sessions did not end in time and were cut");
    }
    drop(watch);
    log.append(SystemTime::now(), &Record::GatewayStopped)?;
    log.close()?;
    tracing::info!("stopped");
    Ok(())
}

/// SQL is parsed on the threads of workers, and PostgreSQL's grammar recurses with the depth of the text. It is
/// address space: memory is taken only where a stack grows.
const STACK_BYTES: usize = 32 << 20;

/// How long sessions that were told to end at once may take for it.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How often certificates are looked at without a SIGHUP.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// How often it is looked for approval requests whose time is over.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(500);

/// Opens the socket of a listener. None: of the admin listener.
async fn open(listener: Option<&Arc<str>>, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = listener::bind(address).await;
    bound.map_err(|source| ServeError::Bind { listener: listener.cloned(), address, source })
}

fn load(folder: &Path, host: &Host, cases: &dyn CaseReader) -> Result<PolicySet, ServeError> {
    let started = Instant::now();
    let set = PolicySet::load(folder, host, cases).map_err(ServeError::Policies)?;
    tracing::info!(policies = set.policies().len(), elapsed = ?started.elapsed(), "policies loaded");
    Ok(set)
}

fn record_start(config: &Config, enforcement: &Enforcement) -> Result<(), AppendError> {
    let set = enforcement.policies.current();
    let started = Record::GatewayStarted {
        version: env!("CARGO_PKG_VERSION"),
        config: config.digest,
        set: set.version().digest,
    };
    enforcement.log.append(SystemTime::now(), &started)?;
    enforcement.log.append(SystemTime::now(), &swapped(None, &set))?;
    enforcement.metrics.policy_set.set(number(&set));
    Ok(())
}

fn number(set: &PolicySet) -> i64 {
    i64::try_from(set.version().number).unwrap_or(i64::MAX)
}

fn swapped(old: Option<SetVersionRecord>, set: &PolicySet) -> Record<'static> {
    let policies =
        set.policies().map(|policy| (Arc::clone(policy.name()), policy.module().digest())).collect();
    Record::PolicySwapped { old, new: set.version().into(), policies }
}

/// Watches the policy folder. No set becomes active without its record.
fn watch_policies(
    config: &Config,
    enforcement: &Arc<Enforcement>,
    refused: &Arc<RefusedPolicies>,
    host: Host,
    cases: Arc<dyn CaseReader>,
) -> Result<Watch, ServeError> {
    let (shared, refused) = (Arc::clone(enforcement), Arc::clone(refused));
    let names = config.names.clone();
    let on_change = move |change: Change<'_>| {
        let now = SystemTime::now();
        match change {
            Change::Swap { old, new } => {
                let appended = shared.log.append(now, &swapped(Some(old.into()), new));
                appended.map_err(|error| error.to_string())?;
                shared.metrics.policy_swap(true);
                shared.metrics.policy_set.set(number(new));
                tracing::info!(set = new.version().number, digest = %new.version().digest.short(), "policies swapped");
                warn_of_none(new);
                warn_of_unmatched(new, &names);
            }
            Change::Active { version } => {
                refused.accept();
                shared.set_number.send_replace(version.number);
            }
            Change::Keep { .. } => {
                if refused.notice().is_some() {
                    tracing::info!("the policy folder is again what is in use");
                }
                refused.accept();
            }
            Change::Refuse { kept, problems } => {
                refused.refuse(problems);
                shared.metrics.policy_swap(false);
                for LoadProblem { file, line, message, remedy, .. } in problems {
                    let file = file.display();
                    let remedy = (!remedy.is_empty()).then_some(remedy.as_str());
                    tracing::error!(%file, line, message, remedy, "policies refused, the old set stays");
                }
                let reasons = problems
                    .iter()
                    .map(|problem| {
                        (Arc::from(problem.file.display().to_string()), Arc::from(problem.message.as_str()))
                    })
                    .collect();
                let record = Record::PolicyRefused { kept: Some(kept.into()), reasons };
                shared.log.append(now, &record).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    };
    let policies = enforcement.policies.clone();
    let (folder, times) = (&config.policies, WatchTimes::default());
    gatewright_policy::watch(folder, policies, host, cases, times, Box::new(on_change))
        .map_err(ServeError::Watch)
}

/// A folder that was emptied by mistake refuses everybody everything.
fn warn_of_none(set: &PolicySet) {
    if set.policies().next().is_none() {
        tracing::warn!("there is no policy, so every request is refused: put some into the folder");
    }
}

/// A set is used with names that match nothing: see [`match_names`].
fn warn_of_unmatched(set: &PolicySet, names: &Names) {
    for Unmatched { problem, .. } in match_names::unmatched(set.match_names(), names) {
        let LoadProblem { file, line, message, remedy, .. } = problem;
        tracing::warn!(file = %file.display(), line, message, remedy, "a policy matches less than it says");
    }
}

async fn expire_approvals(enforcement: Arc<Enforcement>) {
    let mut interval = tokio::time::interval(EXPIRY_INTERVAL);
    loop {
        interval.tick().await;
        enforcement.approvals.expire(SystemTime::now());
        let pending = enforcement.approvals.pending();
        enforcement.metrics.approvals_pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
    }
}

fn report(recovery: &Recovery) {
    if let Some(cut) = &recovery.cut {
        let kept_in = cut.kept_in.display();
        tracing::warn!(bytes = cut.bytes, %kept_in, "a torn record was cut off the end of the evidence log");
    }
    if let Some(alarm) = &recovery.alarm {
        tracing::error!(alarm, "the evidence log is not as the gateway left it");
    }
}

/// What the admin listener shows of the gateway.
struct Gateway {
    enforcement: Arc<Enforcement>,
    drain: Arc<Drain>,
    doors: Vec<Arc<Door>>,
    /// What policies can speak of.
    names: Names,
    /// What is in the policy folder and can not be used.
    refused: Arc<RefusedPolicies>,
    /// What was wrong with the evidence log at start.
    alarm: Option<String>,
}

impl StatusProvider for Gateway {
    fn reviewers(&self) -> Vec<Arc<str>> {
        self.enforcement.policies.current().reviewers().cloned().collect()
    }

    fn status(&self) -> Status {
        let evidence = self.enforcement.log.status();
        let problem = match &evidence.health {
            Health::Healthy => self.alarm.clone().unwrap_or_default(),
            Health::Full => "the disk is full".to_owned(),
            Health::Broken(fault) => format!("the disk failed: {fault}"),
            Health::Slow => "the disk hangs".to_owned(),
            Health::Closed => "the log is closed".to_owned(),
        };
        let healthy = evidence.health == Health::Healthy;
        let draining = self.drain.is_draining();
        let set = self.enforcement.policies.current();
        let unmatched = match_names::unmatched(set.match_names(), &self.names).len();
        let unmatched = (unmatched > 0).then(|| {
            format!("names in policies' `[match]` that match nothing: {unmatched}; see the log, or `gatewright check`")
        });
        let problems = (!problem.is_empty()).then(|| problem.clone());
        let listeners = self.doors.iter().map(|door| ListenerStatus {
            name: door.listener.name.to_string(),
            listen: door.listener.listen,
            open: door.metrics.open(),
        });
        Status {
            version: env!("CARGO_PKG_VERSION"),
            ready: healthy && !draining,
            draining,
            degraded: problems.into_iter().chain(self.refused.notice()).chain(unmatched).collect(),
            policies: Some(set.version().into()),
            listeners: listeners.collect(),
            approvals_pending: self.enforcement.approvals.pending(),
            evidence: EvidenceStatus {
                healthy,
                problem,
                last: evidence.last,
                synced: evidence.synced,
                signed: evidence.signed,
            },
        }
    }
}

/// The gateway can not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Signals can not be taken.
    #[error("can not listen to signals: {0}")]
    Signals(io::Error),
    /// A key can not be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The evidence log can not be used.
    #[error("the evidence log can not be used: {0}")]
    Evidence(#[from] OpenError),
    /// A record can not be written.
    #[error("the evidence log can not be written: {0}")]
    Record(#[from] AppendError),
    /// The policy engine can not be started.
    #[error(transparent)]
    Engine(#[from] HostError),
    /// Policies can not be used.
    #[error("the policies can not be used:{}", list(.0))]
    Policies(Vec<LoadProblem>),
    /// The policy folder can not be watched.
    #[error("the policy folder can not be watched: {0}")]
    Watch(io::Error),
    /// Identity is not set up right.
    #[error(transparent)]
    Identity(#[from] SetupError),
    /// The list of revocations can not be used.
    #[error(transparent)]
    Revocations(#[from] RevocationsError),
    /// There are no threads to serve clients on.
    #[error("can not start threads: {0}")]
    Workers(io::Error),
    /// An address can not be listened on.
    #[error("{} can not listen on {address}: {source}", who(.listener.as_deref()))]
    Bind {
        /// Which listener. None: the admin listener.
        listener: Option<Arc<str>>,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl ServeError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> String {
        let Self::Bind { listener, source, .. } = self else {
            return "see the log above; `gatewright check` tells more about keys and policies".to_owned();
        };
        let setting = if listener.is_some() { "its `listen`" } else { "`[admin] listen`" };
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "end what listens there (`ss -ltnp` names it; is it another gateway?), or change {setting}"
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("change {setting} to an address of this machine (`ip address` lists them)")
            }
            io::ErrorKind::PermissionDenied => {
                format!("change {setting} to a port above 1023, or give the gateway CAP_NET_BIND_SERVICE")
            }
            _ => format!("change {setting}"),
        }
    }
}

fn who(listener: Option<&str>) -> String {
    listener.map_or_else(|| "the admin listener".to_owned(), |name| format!("the listener `{name}`"))
}

fn list(problems: &[LoadProblem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
