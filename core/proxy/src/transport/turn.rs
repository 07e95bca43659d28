//! The turn of a worker: everything that is ready is done, then everything that was written leaves.
//!
//! A peer that waits is woken by each write, and waking costs more than writing. Where the writes of a turn leave
//! together, a peer that serves several connections is woken once for all of them, and finds the rest when it looks. It costs
//! nobody time where there is nothing else to do: the turn ends at once then.
//!
//! Records go before what they are about: those of a turn are written to the log in one piece, and only then anything is sent
//! to a target. If they can not be written, nothing is.
//!
//! Only threads of [`Workers`](crate::workers::Workers) have turns. Their runtimes run tasks in the order in which they became
//! ready, so the task that ends a turn runs behind all that were ready when it was woken, and not behind those that come later.

use std::{
    cell::RefCell,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};

use gatewright_evidence::{AppendError, Log};
use tokio::task::yield_now;

use super::socket::Outbox;

thread_local! {
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

struct Turn {
    /// Those that have something to send.
    outboxes: Vec<Arc<Outbox>>,
    /// Empty buffers, with the room that they had.
    spare: Vec<Vec<u8>>,
    /// The log that has records which are not written yet.
    unwritten: Option<Log>,
    /// Wakes the task that ends the turn.
    end: Waker,
}

impl Turn {
    const fn new(end: Waker) -> Self {
        Self { outboxes: Vec::new(), spare: Vec::new(), unwritten: None, end }
    }
}

/// Buffers that a thread keeps.
const MOST_SPARE: usize = 64;

/// Has this thread turns? If so, what `outbox` holds is sent at the end of this one.
pub(super) fn enlist(outbox: &Arc<Outbox>) -> bool {
    TURN.with_borrow_mut(|turn| {
        let Some(turn) = turn else { return false };
        if turn.outboxes.is_empty() {
            turn.end.wake_by_ref();
        }
        turn.outboxes.push(Arc::clone(outbox));
        true
    })
}

/// Has this thread turns? If so, nothing is sent to a target from now on before what was appended to `log` is written.
pub(crate) fn write_first(log: &Log) -> bool {
    TURN.with_borrow_mut(|turn| {
        let Some(turn) = turn else { return false };
        if turn.unwritten.is_none() {
            turn.unwritten = Some(log.clone());
        }
        true
    })
}

/// Writes the records that are to be written before anything is sent to a target.
pub(super) fn write_records() -> Result<(), AppendError> {
    let unwritten = TURN.with_borrow_mut(|turn| turn.as_mut().and_then(|turn| turn.unwritten.take()));
    let Some(log) = unwritten else { return Ok(()) };
    let written = log.write();
    if written.is_err() {
        // They are as little written as before, for whoever sends next.
        TURN.with_borrow_mut(|turn| {
            if let Some(turn) = turn {
                turn.unwritten = Some(log);
            }
        });
    }
    written
}

/// A buffer that was used before, or a new one.
pub(super) fn buffer() -> Vec<u8> {
    TURN.with_borrow_mut(|turn| turn.as_mut().and_then(|turn| turn.spare.pop()).unwrap_or_default())
}

/// Ends the turns of this thread for as long as the thread lives. To be spawned on its runtime.
pub(crate) async fn end_turns() {
    loop {
        begun().await;
        // Whatever has become ready meanwhile still belongs to this turn.
        yield_now().await;
        end_turn();
    }
}

/// Waits until somebody has something to send.
async fn begun() {
    poll_fn(|context| {
        TURN.with_borrow_mut(|turn| {
            let turn = turn.get_or_insert_with(|| Turn::new(context.waker().clone()));
            if turn.outboxes.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
    })
    .await;
}

fn end_turn() {
    let written = write_records();
    if let Err(error) = &written {
        tracing::error!(%error, "what could not be recorded is not sent");
    }
    let outboxes =
        TURN.with_borrow_mut(|turn| turn.as_mut().map(|turn| std::mem::take(&mut turn.outboxes)));
    let mut outboxes = outboxes.unwrap_or_default();
    let mut spare: Vec<Vec<u8>> =
        outboxes.drain(..).filter_map(|outbox| outbox.send(written.is_ok())).collect();
    TURN.with_borrow_mut(|turn| {
        if let Some(turn) = turn {
            spare.truncate(MOST_SPARE.saturating_sub(turn.spare.len()));
            turn.spare.append(&mut spare);
            // The list keeps its room, unless somebody has begun another one meanwhile.
            if turn.outboxes.is_empty() {
                turn.outboxes = outboxes;
            }
        }
    });
}
