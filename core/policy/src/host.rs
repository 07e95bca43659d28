//! The engine: one configuration of wasmtime, the linked contract, the clock that bounds evaluations, and
//! the modules that are compiled.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use gatewright_model::digest::Digest;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use wasmtime::{Config, Engine, component::Linker};

use crate::{
    contract,
    guest::{Budget, Guest},
    limits::Limits,
    module::{Module, ModuleError},
};

/// The engine that compiles and runs modules. Clones share it.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    engine: Engine,
    linker: Linker<Guest>,
    limits: Limits,
    ticks: Ticks,
    /// Modules that some set still uses, by the digest of their bytes: loading a folder again compiles only
    /// what changed.
    compiled: Mutex<HashMap<Digest, Weak<Module>>>,
}

impl Host {
    /// Starts the engine and its ticker thread, which ends with the last clone.
    ///
    /// # Errors
    ///
    /// The machine can not run it.
    pub fn new(limits: Limits) -> Result<Self, HostError> {
        let engine = Engine::new(&config()).map_err(HostError::new)?;
        let mut linker = Linker::new(&engine);
        contract::link(&mut linker).map_err(HostError::new)?;
        let ticks = Ticks::start(&engine)?;
        Ok(Self(Arc::new(Shared { engine, linker, limits, ticks, compiled: Mutex::default() })))
    }

    /// The limits that modules are held to.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Compiles a module, or finds it compiled, and asks it for its manifest. Takes about a millisecond a
    /// kilobyte: not for a thread that serves sessions.
    ///
    /// # Errors
    ///
    /// The bytes are no module that this gateway can use.
    pub fn module(&self, bytes: &[u8]) -> Result<Arc<Module>, ModuleError> {
        let digest = sha256(bytes);
        if let Some(known) = self.0.compiled.lock().get(&digest).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let module = Arc::new(Module::compile(self, digest, bytes)?);
        let mut compiled = self.0.compiled.lock();
        compiled.retain(|_, module| module.strong_count() > 0);
        compiled.insert(digest, Arc::downgrade(&module));
        Ok(module)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.0.linker
    }

    pub(crate) fn ticks(&self) -> &Ticks {
        &self.0.ticks
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Cranelift only, and no proposal that policies do not need: what is off is not there to be attacked.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Policies are plain calls; without this the store keeps no task bookkeeping.
        .concurrency_support(false)
        .epoch_interruption(true)
        // The same event gives the same answer on every machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        // An evaluation runs on a stack of its own, so that it can yield; recursion in a module ends in a
        // trap well before that stack does.
        .max_wasm_stack(256 << 10)
        .async_stack_size(512 << 10)
        .wasm_backtrace_max_frames(None);
    config
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the policy engine could not be started: {0}")]
pub struct HostError(String);

impl HostError {
    fn new(error: impl fmt::Display) -> Self {
        Self(format!("{error:#}"))
    }
}

/// The clock of evaluations. A thread makes the engine look at it once a [`TICK`] for as long as any module
/// runs, and rests while none does: an idle gateway wakes nobody.
#[derive(Debug, Clone)]
pub(crate) struct Ticks(Arc<Ticker>);

#[derive(Debug)]
struct Ticker {
    started: Instant,
    /// Calls that are under way.
    running: AtomicUsize,
    resting: AtomicBool,
    thread: OnceLock<Thread>,
}

/// Length of a tick: a running module is looked at, and lets others run, this often.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call after which the thread rests: longer than what lies between the calls of a busy
/// gateway, for which waking it each time would cost more than the ticks.
const PATIENCE: u32 = 50;

impl Ticks {
    fn start(engine: &Engine) -> Result<Self, HostError> {
        let ticker = Arc::new(Ticker {
            started: Instant::now(),
            running: AtomicUsize::new(0),
            resting: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let (engine, weak) = (engine.weak(), Arc::downgrade(&ticker));
        let tick = move || {
            let mut idle = 0;
            loop {
                thread::sleep(TICK);
                let (Some(engine), Some(ticker)) = (engine.upgrade(), weak.upgrade()) else { return };
                engine.increment_epoch();
                idle = if ticker.is_idle() { idle + 1 } else { 0 };
                if idle < PATIENCE {
                    continue;
                }
                ticker.resting.store(true, Ordering::SeqCst);
                // A call that began before it could see that we rest, we see.
                let rests = ticker.is_idle();
                // The clock ends with its last user, who is not to be kept by a thread that sleeps.
                drop((engine, ticker));
                if rests {
                    thread::park();
                }
                let Some(ticker) = weak.upgrade() else { return };
                ticker.resting.store(false, Ordering::SeqCst);
                idle = 0;
            }
        };
        let thread = thread::Builder::new().name("policy-ticker".to_owned()).spawn(tick);
        let thread = thread.map_err(HostError::new)?.thread().clone();
        // It is set here only.
        let _ = ticker.thread.set(thread);
        Ok(Self(ticker))
    }

    /// Milliseconds since the engine started.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What a call that may run for `span` is given: so many ticks of its own, and twenty times as long by
    /// the wall, which a machine that lets it wait for that long has used up for everybody.
    pub(crate) fn budget(&self, span: Duration) -> Budget {
        let ticks = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let deadline = self.now().saturating_add(ticks.saturating_mul(20)).saturating_add(1);
        Budget { ticks, deadline }
    }

    /// Keeps the clock ticking for as long as a call is under way.
    pub(crate) fn run(&self) -> Running<'_> {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        if self.0.resting.load(Ordering::SeqCst)
            && let Some(thread) = self.0.thread.get()
        {
            thread.unpark();
        }
        Running(&self.0)
    }
}

/// A call is under way.
#[must_use = "without it nobody stops a module that does not end"]
pub(crate) struct Running<'t>(&'t Ticker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    fn is_idle(&self) -> bool {
        self.running.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
