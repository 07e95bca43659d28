//! The engine: one configuration of wasmtime, the linked contract, the clock that bounds evaluations, and
//! the modules that are compiled.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
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

/// Milliseconds since the engine started, as a thread counts them. Reading is one load.
#[derive(Debug, Clone)]
pub(crate) struct Ticks(Arc<AtomicU64>);

/// Length of a tick: a running module is looked at, and lets others run, this often.
const TICK: Duration = Duration::from_millis(1);

impl Ticks {
    fn start(engine: &Engine) -> Result<Self, HostError> {
        let ticks = Arc::new(AtomicU64::new(0));
        let (engine, counter) = (engine.weak(), Arc::downgrade(&ticks));
        let started = Instant::now();
        let tick = move || {
            loop {
                thread::sleep(TICK);
                let (Some(engine), Some(counter)) = (engine.upgrade(), counter.upgrade()) else { return };
                let now = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                counter.store(now, Ordering::Relaxed);
                engine.increment_epoch();
            }
        };
        thread::Builder::new().name("policy-ticker".to_owned()).spawn(tick).map_err(HostError::new)?;
        Ok(Self(ticks))
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// What a call that may run for `span` is given: so many ticks of its own, and twenty times as long by
    /// the wall, which a machine that lets it wait for that long has used up for everybody.
    pub(crate) fn budget(&self, span: Duration) -> Budget {
        let ticks = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let deadline = self.now().saturating_add(ticks.saturating_mul(20)).saturating_add(1);
        Budget { ticks, deadline }
    }
}
