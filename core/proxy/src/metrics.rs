//! What operators watch, in Prometheus' text format.
//!
//! Labels are names from the configuration and words from closed lists: never a statement, a user, a
//! table or anything else that a peer chose (threats A99), so the number of series is known beforehand.
//! Sessions take their handles once; counting is then one atomic addition, timing two.

mod histogram;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

pub use self::histogram::AtomicHistogram;

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sessions_open: Family<Listener, Gauge>,
    sessions: Family<Listener, Counter>,
    refused: Family<Refused, Counter>,
    bytes: Family<Bytes, Counter>,
    decisions: Family<DecisionLabels, Counter>,
    connect_failures: Family<ConnectFailure, Counter>,
    /// Time that one evaluation by the whole policy set took.
    pub policy_evaluation: AtomicHistogram,
    /// Time until a record survived the death of the process.
    pub evidence_append: AtomicHistogram,
    /// Time until a record survived a power cut, for those that had to.
    pub evidence_sync: AtomicHistogram,
    /// Approval requests that wait for a reviewer.
    pub approvals_pending: Gauge,
    /// Number of the policy set in use.
    pub policy_set: Gauge,
    swaps: Family<Swap, Counter>,
}

impl Metrics {
    /// All at zero. `version` is the program's.
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("gatewright");
        let metrics = Self {
            sessions_open: Family::default(),
            sessions: Family::default(),
            refused: Family::default(),
            bytes: Family::default(),
            decisions: Family::default(),
            connect_failures: Family::default(),
            policy_evaluation: AtomicHistogram::default(),
            evidence_append: AtomicHistogram::default(),
            evidence_sync: AtomicHistogram::default(),
            approvals_pending: Gauge::default(),
            policy_set: Gauge::default(),
            swaps: Family::default(),
            registry: Registry::default(),
        };
        let build = Info::new(vec![("version".to_owned(), version.to_owned())]);
        registry.register("build", "Version of the program", build);
        registry.register(
            "sessions_open",
            "Client connections that are open",
            metrics.sessions_open.clone(),
        );
        registry.register("sessions", "Client connections that were accepted", metrics.sessions.clone());
        registry.register(
            "refused",
            "Client connections that were turned away before they had a session, by stable code",
            metrics.refused.clone(),
        );
        registry.register(
            "bytes",
            "Bytes received from clients (to_target) and from targets (to_client)",
            metrics.bytes.clone(),
        );
        registry.register("decisions", "Events that were judged", metrics.decisions.clone());
        registry.register(
            "connect_failures",
            "Connections to targets that could not be made, by stable code",
            metrics.connect_failures.clone(),
        );
        registry.register(
            "policy_evaluation_seconds",
            "Time that one evaluation by the whole policy set took",
            metrics.policy_evaluation.clone(),
        );
        registry.register(
            "evidence_append_seconds",
            "Time until a record survived the death of the process",
            metrics.evidence_append.clone(),
        );
        registry.register(
            "evidence_sync_seconds",
            "Time until a record survived a power cut, for those that had to",
            metrics.evidence_sync.clone(),
        );
        registry.register(
            "approvals_pending",
            "Approval requests that wait for a reviewer",
            metrics.approvals_pending.clone(),
        );
        registry.register("policy_set", "Number of the policy set in use", metrics.policy_set.clone());
        registry.register(
            "policy_swaps",
            "Policy sets that were offered, by result",
            metrics.swaps.clone(),
        );
        Self { registry, ..metrics }
    }

    /// The handles that connections of one listener count with.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let label = Listener { listener: name.to_owned() };
        let bytes =
            |direction| self.bytes.get_or_create_owned(&Bytes { listener: name.to_owned(), direction });
        ListenerMetrics {
            open: self.sessions_open.get_or_create_owned(&label),
            total: self.sessions.get_or_create_owned(&label),
            to_target: bytes("to_target"),
            to_client: bytes("to_client"),
            refused: self.refused.clone(),
            label,
        }
    }

    /// The handles that decisions about one kind of event (`sql.query`, ...) are counted with.
    pub fn decisions(&self, kind: &'static str) -> DecisionMetrics {
        let counter = |decision| self.decisions.get_or_create_owned(&DecisionLabels { decision, kind });
        DecisionMetrics {
            allow: counter("allow"),
            block: counter("block"),
            mask: counter("mask"),
            escalate: counter("escalate"),
        }
    }

    /// Counts a connection to a target that could not be made, by its stable code.
    pub fn connect_failed(&self, target: &str, code: &'static str) {
        self.connect_failures.get_or_create(&ConnectFailure { target: target.to_owned(), code }).inc();
    }

    /// Counts a policy set that was offered: was it taken?
    pub fn policy_swap(&self, taken: bool) {
        let result = if taken { "taken" } else { "refused" };
        self.swaps.get_or_create(&Swap { result }).inc();
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// Never with the metrics of this file: the encoder writes to memory.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

/// Handles of one listener. Clone one for each connection.
#[derive(Debug, Clone)]
pub struct ListenerMetrics {
    open: Gauge,
    total: Counter,
    /// Bytes received from clients.
    pub to_target: Counter,
    /// Bytes received from targets.
    pub to_client: Counter,
    refused: Family<Refused, Counter>,
    label: Listener,
}

impl ListenerMetrics {
    /// Counts a connection for as long as the guard lives.
    pub fn connection(&self) -> ConnectionGuard {
        self.total.inc();
        self.open.inc();
        ConnectionGuard(self.open.clone())
    }

    /// Counts a connection that was turned away, by its stable code.
    pub fn refuse(&self, code: &'static str) {
        self.refused.get_or_create(&Refused { listener: self.label.listener.clone(), code }).inc();
    }

    /// Connections that are open.
    pub fn open(&self) -> i64 {
        self.open.get()
    }
}

/// A connection that is open.
#[derive(Debug)]
pub struct ConnectionGuard(Gauge);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counters of decisions about one kind of event.
#[derive(Debug, Clone)]
pub struct DecisionMetrics {
    allow: Counter,
    block: Counter,
    mask: Counter,
    escalate: Counter,
}

impl DecisionMetrics {
    /// Counts a decision.
    pub fn count(&self, decision: &gatewright_model::decision::Decision) {
        use gatewright_model::decision::Decision;
        match decision {
            Decision::Allow => self.allow.inc(),
            Decision::Block(_) => self.block.inc(),
            Decision::Mask(_) => self.mask.inc(),
            Decision::Escalate { .. } => self.escalate.inc(),
        };
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Listener {
    listener: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    listener: String,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bytes {
    listener: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    decision: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectFailure {
    target: String,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Swap {
    result: &'static str,
}

/// Runs `act` and notes how long it took.
pub async fn timed<T>(histogram: &AtomicHistogram, act: impl Future<Output = T>) -> T {
    let start = std::time::Instant::now();
    let result = act.await;
    histogram.observe(start.elapsed());
    result
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gatewright_model::decision::Decision;

    use super::*;

    #[test]
    fn the_page_names_everything_that_was_counted() {
        let metrics = Metrics::new("1.2.3");
        let listener = metrics.listener("postgres");
        let guard = listener.connection();
        drop(listener.connection());
        listener.refuse("auth.jwt_expired");
        listener.to_target.inc_by(5);
        metrics.decisions("sql.query").count(&Decision::Allow);
        metrics.connect_failed("demo", "upstream.refused");
        metrics.policy_swap(false);
        metrics.policy_evaluation.observe(Duration::from_micros(3));
        let page = metrics.encode().unwrap();
        for line in [
            r#"gatewright_build_info{version="1.2.3"} 1"#,
            r#"gatewright_sessions_open{listener="postgres"} 1"#,
            r#"gatewright_sessions_total{listener="postgres"} 2"#,
            r#"gatewright_refused_total{listener="postgres",code="auth.jwt_expired"} 1"#,
            r#"gatewright_bytes_total{listener="postgres",direction="to_target"} 5"#,
            r#"gatewright_decisions_total{decision="allow",kind="sql.query"} 1"#,
            r#"gatewright_connect_failures_total{target="demo",code="upstream.refused"} 1"#,
            r#"gatewright_policy_swaps_total{result="refused"} 1"#,
            r#"gatewright_policy_evaluation_seconds_count 1"#,
        ] {
            assert!(page.lines().any(|own| own == line), "{line} is not in\n{page}");
        }
        assert_eq!(listener.open(), 1);
        drop(guard);
        assert_eq!(listener.open(), 0);
    }
}
