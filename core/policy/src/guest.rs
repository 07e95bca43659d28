//! What the host knows about one instance while it runs: the event it may see, what it answered, what it
//! has used up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use gatewright_model::{
    event::{Event, Facet, SessionContext},
    http::HttpEvent,
    kubernetes::KubernetesEvent,
    sql::{SqlEvent, Statement},
    ssh::SshEvent,
};
use wasmtime::ResourceLimiter;

use crate::{
    contract::verdict::Drafts,
    limits::Limits,
    manifest::{Inputs, ManifestDraft},
};

/// The data of one store. An instance serves one session; the event is there during one call only.
pub(crate) struct Guest {
    pub(crate) limits: Limits,
    pub(crate) inputs: Inputs,
    pub(crate) now: SystemTime,
    pub(crate) drafts: Drafts,
    pub(crate) manifest: Option<ManifestDraft>,
    pub(crate) memory: Memory,
    /// Ticks that the call that is under way may still run through. Only ticks at which it runs count: on a
    /// busy machine the time that others take is not a module's fault.
    ticks_left: u64,
    /// The tick at which the call must be over, whoever ran meanwhile.
    deadline: u64,
    request: Option<Request>,
    /// Did the module read the text of the statement that it is shown?
    text_read: AtomicBool,
    calls_left: u32,
}

/// How long one call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Ticks that it may run through.
    pub(crate) ticks: u64,
    /// The tick at which it must be over in any case.
    pub(crate) deadline: u64,
}

/// What a module has looked at while it judged an event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// The text itself, and not only what it means.
    pub(crate) text: bool,
}

struct Request {
    session: Arc<SessionContext>,
    event: Arc<Event>,
}

impl Guest {
    pub(crate) fn new(limits: Limits, inputs: Inputs) -> Self {
        Self {
            limits,
            inputs,
            now: SystemTime::UNIX_EPOCH,
            drafts: Drafts::default(),
            manifest: None,
            memory: Memory {
                limit: limits.memory,
                table_elements: limits.table_elements,
                used: 0,
                refused: false,
            },
            ticks_left: 0,
            deadline: 0,
            request: None,
            text_read: AtomicBool::new(false),
            calls_left: 0,
        }
    }

    /// Before each call into the module.
    pub(crate) fn begin(&mut self, budget: Budget) {
        self.ticks_left = budget.ticks;
        self.deadline = budget.deadline;
        self.calls_left = self.limits.host_calls;
        self.drafts.clear();
    }

    /// A tick has passed while the module ran. May it go on at `now`?
    pub(crate) fn tick(&mut self, now: u64) -> bool {
        let left = self.ticks_left > 0 && now < self.deadline;
        self.ticks_left = self.ticks_left.saturating_sub(1);
        left
    }

    /// Shows the module an event, for the next call.
    pub(crate) fn show(&mut self, session: Arc<SessionContext>, event: Arc<Event>, now: SystemTime) {
        self.request = Some(Request { session, event });
        *self.text_read.get_mut() = false;
        self.now = now;
    }

    /// After each call: nothing of the event stays within reach.
    pub(crate) fn hide(&mut self) -> Seen {
        self.request = None;
        Seen { text: *self.text_read.get_mut() }
    }

    /// Counts one call from the module to the host.
    pub(crate) fn count_call(&mut self) -> Result<(), Stop> {
        self.calls_left = self.calls_left.checked_sub(1).ok_or(Stop::Calls)?;
        Ok(())
    }

    pub(crate) fn event(&self) -> Result<&Event, Stop> {
        self.request.as_ref().map(|request| &*request.event).ok_or_else(no_event)
    }

    pub(crate) fn session(&self) -> Result<&SessionContext, Stop> {
        self.request.as_ref().map(|request| &*request.session).ok_or_else(no_event)
    }

    pub(crate) fn sql(&self) -> Result<&SqlEvent, Stop> {
        match &self.event()?.facet {
            Facet::Sql(sql) => Ok(sql),
            Facet::Http(_) | Facet::Kubernetes(_) | Facet::Ssh(_) => Err(no_facet()),
        }
    }

    pub(crate) fn http(&self) -> Result<&HttpEvent, Stop> {
        match &self.event()?.facet {
            Facet::Http(http) => Ok(http),
            Facet::Kubernetes(kubernetes) => Ok(&kubernetes.http),
            Facet::Sql(_) | Facet::Ssh(_) => Err(no_facet()),
        }
    }

    pub(crate) fn kubernetes(&self) -> Result<&KubernetesEvent, Stop> {
        match &self.event()?.facet {
            Facet::Kubernetes(kubernetes) => Ok(kubernetes),
            Facet::Sql(_) | Facet::Http(_) | Facet::Ssh(_) => Err(no_facet()),
        }
    }

    pub(crate) fn ssh(&self) -> Result<&SshEvent, Stop> {
        match &self.event()?.facet {
            Facet::Ssh(ssh) => Ok(ssh),
            Facet::Sql(_) | Facet::Http(_) | Facet::Kubernetes(_) => Err(no_facet()),
        }
    }

    /// The text of the statement, and with it the values of its literals.
    pub(crate) fn text(&self) -> Result<Arc<str>, Stop> {
        self.text_read.store(true, Ordering::Relaxed);
        Ok(Arc::clone(&self.sql()?.analysis.text))
    }

    pub(crate) fn statement(&self, index: u32) -> Result<&Statement, Stop> {
        item(&self.sql()?.analysis.statements, index)
    }
}

/// A part by its number.
pub(crate) fn item<T>(items: &[T], index: u32) -> Result<&T, Stop> {
    items
        .get(index as usize)
        .ok_or_else(|| Stop::Invalid(format!("asked for part {index} of {}", items.len())))
}

fn no_facet() -> Stop {
    Stop::Invalid("asked about a facet that this event does not have".to_owned())
}

fn no_event() -> Stop {
    Stop::Invalid("asked about an event outside of `evaluate`".to_owned())
}

/// Why the host stops a module. A trap of the module's own making is wasmtime's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// The deadline passed.
    #[error("took longer than it may")]
    Deadline,
    /// Too many calls to the host.
    #[error("called the gateway more often than it may")]
    Calls,
    /// A word, a name, an index or a handle that can not be.
    #[error("{0}")]
    Invalid(String),
}

/// Bounds the linear memory and the tables of one store.
pub(crate) struct Memory {
    limit: usize,
    table_elements: usize,
    used: usize,
    /// Was more asked for than there is? A trap after that is blamed on it.
    pub(crate) refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            self.refused = true;
            return Ok(false);
        }
        Ok(true)
    }

    // What wit-component makes of a core module is the module, its shim and its fixup, with one memory
    // and two tables.
    fn instances(&self) -> usize {
        8
    }

    fn tables(&self) -> usize {
        4
    }

    fn memories(&self) -> usize {
        1
    }
}
