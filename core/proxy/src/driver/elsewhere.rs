//! The place of a session that is on another thread.

use std::{marker::PhantomData, time::Instant};

use gatewright_model::session::{Input, Output, ProtocolError, Session, Side};

/// In the place of a session that is being told something on another thread. It wants nothing.
pub(super) struct Elsewhere<U>(PhantomData<fn() -> U>);

impl<U> Default for Elsewhere<U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<U: Send> Session for Elsewhere<U> {
    type Unit = U;

    fn handle_input(&mut self, _now: Instant, _input: Input<U>) -> Result<(), ProtocolError> {
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output<U>> {
        None
    }

    fn holds_locks(&self) -> bool {
        false
    }

    fn wants_input(&self, _side: Side) -> bool {
        false
    }
}
