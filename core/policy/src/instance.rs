//! One instance of a module: made, configured, asked, and thrown away at the first sign of trouble.

use std::{fmt, sync::Arc, time::SystemTime};

use gatewright_model::event::{Event, SessionContext};
use wasmtime::{
    Store, Trap, UpdateDeadline,
    component::{Resource, TypedFunc},
};

use crate::{
    contract::{EventHandle, ManifestHandle, VerdictHandle, verdict::Said},
    guest::{Guest, Seen, Stop},
    manifest::{Inputs, ManifestDraft},
    module::{Module, ModuleError, Plan},
};

/// An instance that was configured and has never failed. Whoever gets an error from it, or gives up
/// waiting, must drop it: it may have stopped anywhere.
pub(crate) struct Instance {
    store: Store<Guest>,
    evaluate: TypedFunc<(Resource<EventHandle>,), (Resource<VerdictHandle>,)>,
    deadline: std::time::Duration,
    ticks: crate::host::Ticks,
}

impl Instance {
    /// Makes an instance and gives it its settings.
    pub(crate) async fn start(module: &Module, settings: &str) -> Result<Self, StartError> {
        let plan = &module.plan;
        let _running = plan.ticks.run();
        let mut store = store(plan, module.manifest().inputs);
        let started = async {
            let instance = plan.pre.instantiate_async(&mut store).await?;
            let configure = instance
                .get_typed_func::<(&str,), (Result<(), String>,)>(&mut store, &plan.exports.configure)?;
            let evaluate = instance.get_typed_func(&mut store, plan.exports.evaluate)?;
            let (configured,) = configure.call_async(&mut store, (settings,)).await?;
            Ok((evaluate, configured))
        };
        let (evaluate, configured) =
            started.await.map_err(|error| StartError::Failed(Failure::of(&error, store.data())))?;
        configured.map_err(|reason| StartError::Settings(printable(&reason)))?;
        let (deadline, ticks) = (plan.limits.deadline, plan.ticks.clone());
        Ok(Self { store, evaluate, deadline, ticks })
    }

    /// Asks for a verdict. Says too what it rests on.
    pub(crate) async fn evaluate(
        &mut self,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Result<(Said, Seen), Failure> {
        let _running = self.ticks.run();
        let guest = self.store.data_mut();
        guest.begin(self.ticks.budget(self.deadline));
        guest.show(Arc::clone(session), Arc::clone(event), now);
        self.store.set_epoch_deadline(1);
        let answer = self.evaluate.call_async(&mut self.store, (Resource::new_borrow(0),)).await;
        let guest = self.store.data_mut();
        let seen = guest.hide();
        let draft = match answer {
            Ok((verdict,)) => guest.drafts.take(&verdict).map_err(|stop| Failure::stopped(&stop)),
            Err(error) => Err(Failure::of(&error, guest)),
        }?;
        // The verdicts that it did not return are gone too, and with them what they hold.
        guest.drafts.clear();
        Ok((draft, seen))
    }
}

/// Asks a module what it is, in an instance that lives for this only.
pub(crate) async fn describe(plan: &Plan) -> Result<ManifestDraft, ModuleError> {
    let _running = plan.ticks.run();
    let mut store = store(plan, Inputs::default());
    let failed = |error: wasmtime::Error, store: &Store<Guest>| {
        ModuleError::Describe(Failure::of(&error, store.data()))
    };
    let instance = match plan.pre.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => return Err(failed(error, &store)),
    };
    // All three are looked at now, so that a signature that does not fit is found when the module is loaded.
    let exports = &plan.exports;
    type Configured = (Result<(), String>,);
    type Answer = (Resource<VerdictHandle>,);
    let typed = instance
        .get_typed_func::<(&str,), Configured>(&mut store, &exports.configure)
        .and_then(|_| {
            instance.get_typed_func::<(Resource<EventHandle>,), Answer>(&mut store, &exports.evaluate)
        })
        .and_then(|_| {
            instance.get_typed_func::<(), (Resource<ManifestHandle>,)>(&mut store, &exports.describe)
        });
    let describe = typed.map_err(ModuleError::contract)?;
    if let Err(error) = describe.call_async(&mut store, ()).await {
        return Err(failed(error, &store));
    }
    let manifest = store.data_mut().manifest.take();
    let missing = || Failure::stopped(&Stop::Invalid("returned no manifest".to_owned()));
    manifest.ok_or_else(|| ModuleError::Describe(missing()))
}

/// A store with every bound set, ready for its first call.
fn store(plan: &Plan, inputs: Inputs) -> Store<Guest> {
    let mut guest = Guest::new(plan.limits, inputs);
    guest.begin(plan.ticks.budget(plan.limits.start));
    let mut store = Store::new(plan.pre.engine(), guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(plan.limits.string);
    let ticks = plan.ticks.clone();
    store.epoch_deadline_callback(move |mut cx| {
        if cx.data_mut().tick(ticks.now()) {
            Ok(UpdateDeadline::Yield(1))
        } else {
            Err(Stop::Deadline.into())
        }
    });
    store.set_epoch_deadline(1);
    store
}

/// Why there is no instance.
#[derive(Debug, Clone)]
pub(crate) enum StartError {
    /// It does not run.
    Failed(Failure),
    /// It refuses its settings, and says why.
    Settings(String),
}

impl StartError {
    /// As a failure of an event. The settings were taken when the policy was loaded, so a module that refuses
    /// them later does not do the same twice.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Settings(_) => {
                let detail = "refuses settings that it took when it was loaded".to_owned();
                Failure { code: "policy.invalid", detail }
            }
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: &'static str,
    detail: String,
}

impl Failure {
    /// The stable code for records: `policy.timeout`, `policy.trap`, `policy.memory` or `policy.invalid`.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    fn of(error: &wasmtime::Error, guest: &Guest) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return Self::stopped(stop);
        }
        if guest.memory.refused {
            let detail = "needs more memory than it may have".to_owned();
            return Self { code: "policy.memory", detail };
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => Self { code: "policy.trap", detail: trap.to_string() },
            None => {
                let detail = "gave an answer that does not fit the contract".to_owned();
                Self { code: "policy.invalid", detail }
            }
        }
    }

    fn stopped(stop: &Stop) -> Self {
        let code = match stop {
            Stop::Deadline | Stop::Calls => "policy.timeout",
            Stop::Invalid(_) => "policy.invalid",
        };
        Self { code, detail: stop.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

/// Text of a module for an operator's terminal: bounded, and without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(500).collect()
}
