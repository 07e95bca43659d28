//! What a record costs: `cargo run --release --example append_cost -p gatewright-evidence [directory]`.
//!
//! Prints nanoseconds for an eager and a lazy append from one thread, from several, and how many records a
//! second are made durable while so many wait at the same time.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    env,
    error::Error,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Instant, SystemTime},
};

use gatewright_evidence::{AppendError, Endings, Log, LogOptions, SigningKey};
use gatewright_model::{
    audit::{DecisionRecord, Record},
    decision::{Decision, Diagnostic, Evaluation, Mode, SetVersion},
    digest::Digest,
    event::{Event, Facet, SessionContext},
    id::{EventId, SessionId},
    principal::{Principal, PrincipalKind},
    sql::{Analysis, Grade, SqlEvent, SqlPhase},
};

const RECORDS: u32 = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let directory = env::args_os().nth(1).map_or_else(|| scratch.path().join("evidence"), Into::into);
    let (log, _) =
        Log::open(&directory, LogOptions::new("gatewright.example/bench"), SigningKey::generate()?)?;
    let (session, event, evaluation) = (session(), event(), Arc::new(evaluation()));
    let record = DecisionRecord { session: &session, event: &event, evaluation: &evaluation };
    let (decision, record) = (record, Record::Decision(record));

    let per_record = |begin: Instant, records: u32| begin.elapsed().as_nanos() / u128::from(records);
    let begin = Instant::now();
    for _ in 0..RECORDS {
        log.append(SystemTime::now(), &record)?;
    }
    println!("append, 1 thread:         {:>8} ns", per_record(begin, RECORDS));

    let begin = Instant::now();
    for _ in 0..RECORDS {
        log.append_lazily(SystemTime::now(), &record)?;
    }
    println!("append_lazily, 1 thread:  {:>8} ns", per_record(begin, RECORDS));

    let (_kept, mut endings) = (Arc::clone(&evaluation), Endings::default());
    let begin = Instant::now();
    for _ in 0..RECORDS {
        let fields = endings.complete(&decision).ok_or("an ending that is not kept")?;
        log.append_lazily(SystemTime::now(), fields)?;
    }
    println!("the same, known ending:   {:>8} ns", per_record(begin, RECORDS));

    for threads in [2, 8] {
        let begin = Instant::now();
        in_threads(threads, RECORDS, || log.append(SystemTime::now(), &record).map(|_| ()))?;
        println!("append, {threads} threads:        {:>8} ns", per_record(begin, RECORDS));
    }
    for threads in [1, 8, 64] {
        let records = 500 * threads;
        let begin = Instant::now();
        in_threads(threads, records, || block_on(log.durable(log.append(SystemTime::now(), &record)?)))?;
        let per_second = f64::from(records) / begin.elapsed().as_secs_f64();
        println!("durable, {threads:>2} at a time:    {per_second:>8.0} a second");
    }
    log.close()?;
    Ok(())
}

fn in_threads(
    threads: u32,
    records: u32,
    work: impl Fn() -> Result<(), AppendError> + Sync,
) -> Result<(), AppendError> {
    thread::scope(|scope| {
        let each = || (0..records / threads).try_for_each(|_| work());
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(AppendError::Closed)))
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

fn session() -> SessionContext {
    SessionContext {
        id: SessionId::from_random([1; 16]),
        protocol: "postgres",
        listener: "postgres".into(),
        target: "demo".into(),
        account: "app".into(),
        attributes: vec![("database", "shop".into())],
        client: ([127, 0, 0, 1], 40_000).into(),
        principal: Arc::new(Principal {
            subject: "alice@example.com".into(),
            issuer: "https://id.example".into(),
            kind: PrincipalKind::Human,
            groups: vec!["analysts".into()],
            actors: vec!["agent-7".into()],
            claims: Vec::new(),
            credential: "c1".into(),
            issued_at: None,
            expires_at: None,
        }),
        opened_at: SystemTime::now(),
    }
}

fn event() -> Event {
    let text = "select abalance from pgbench_accounts where aid = $1";
    let analysis = Analysis {
        text: text.into(),
        normalised: text.into(),
        fingerprint: "0123456789abcdef".into(),
        grade: Grade::Verified,
        grade_reason: None,
        statements: Arc::default(),
    };
    let facet = Facet::Sql(SqlEvent {
        phase: SqlPhase::Query,
        analysis: Arc::new(analysis),
        parameters: Vec::new(),
    });
    Event { id: EventId::FIRST, payload: Digest::new([2; 32]), facet }
}

fn evaluation() -> Evaluation {
    Evaluation {
        recorded: false,
        decision: Decision::Allow,
        diagnostics: vec![Diagnostic {
            policy: "no-bare-delete".into(),
            module: Digest::new([3; 32]),
            mode: Mode::Protect,
            decision: "allow",
            rule: None,
            failure: None,
        }],
        set: SetVersion { number: 1, digest: Digest::new([4; 32]) },
    }
}
