//! What was forwarded and is not answered yet, in order.
//!
//! A server answers in order, so the front of this queue says what the next message of the target must
//! be about. It is also what makes a refusal take its right place: the gateway sends a text that can not
//! be parsed instead of the refused statement, the server fails exactly there and enters exactly the
//! state that it would enter after an error of its own, and its error is replaced by ours on the way
//! back. Where nothing is running and no transaction is open there is no state to keep, and the gateway
//! answers by itself.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use gatewright_model::id::EventId;

use super::{
    masking::Masks,
    relay::{Named, Undo},
};
use crate::backend::row_description::Field;

/// Sent in place of a refused statement. It says what it is, for whoever reads the server's log.
pub(super) const REFUSED_TEXT: &str = "gatewright refused a statement here";

/// The name under which [`REFUSED_TEXT`] is prepared: it never is, because it can not be parsed.
pub(super) const REFUSED_NAME: &str = "gatewright.refused";

/// One request at the target.
#[derive(Debug)]
pub(super) enum Expect {
    /// A Query, or a FunctionCall; ends with ReadyForQuery.
    Query(RunningQuery),
    /// [`REFUSED_TEXT`] as a Query; its error becomes `error`.
    RefusedQuery { error: Bytes },
    /// [`REFUSED_TEXT`] as a Parse; its error becomes `error`.
    RefusedBatch { error: Bytes },
    /// A question about a refused text, see [`question`](crate::question): its error becomes `error`, unless it says what is wrong with the text.
    Question { error: Bytes },
    /// The catalog, read by a Query of our own. Nothing of it reaches the client. `complete`: all of it has come.
    CatalogQuery { complete: bool },
    /// The catalog, read inside a batch: ends with the second CloseComplete.
    CatalogBatch { closed: u8 },
    /// A Parse.
    Parse { event: EventId, undo: Undo },
    /// A Bind.
    Bind { undo: Undo },
    /// A Close.
    Close { undo: Undo },
    /// A Describe of a statement: its parameters, then its columns.
    DescribeStatement,
    /// A Describe of a portal.
    DescribePortal,
    /// A Describe of a portal that the gateway added, to learn what the Execute behind it will send.
    OwnDescribe,
    /// A COPY of the client's is prepared and bound under the gateway's own names: ends with BindComplete.
    OwnCopy,
    /// What a COPY will send is asked for, to mask it: its query is prepared, described and closed, which ends with the second CloseComplete.
    CopyQuestion { closed: u8, fields: Option<Vec<Field>> },
    /// The gateway closes what it has made for a COPY: ends with the second CloseComplete.
    OwnClose { closed: u8 },
    /// An Execute.
    Execute { event: EventId, masks: Masks },
    /// A Sync. One of the gateway's own ends a reading of the catalog, and nothing of it reaches the client.
    Sync { is_own: bool },
}

/// A simple Query at the target: several statements, several answers, one ReadyForQuery. Or a FunctionCall: one answer.
#[derive(Debug)]
pub(super) struct RunningQuery {
    pub(super) event: EventId,
    /// Rows of all its statements, once one has reported some.
    pub(super) rows: Option<u64>,
    /// The target has said something of one of its statements.
    pub(super) answered: bool,
    /// The SQLSTATE of its error.
    pub(super) failed: Option<Arc<str>>,
    pub(super) masks: Masks,
    /// It is a FunctionCall, whose answer is one value.
    pub(super) calls: bool,
    /// Once it has run, SQL has freed every name of a prepared statement.
    pub(super) frees_names: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    expected: VecDeque<Expect>,
    /// How many of them execute something. Asked for with every event, whatever waits.
    executing: usize,
}

impl Expect {
    /// Does the target run a statement for it, or end a transaction? What only prepares one is soon done.
    const fn executes(&self) -> bool {
        matches!(
            self,
            Self::Query(_)
                | Self::Execute { .. }
                | Self::Sync { .. }
                | Self::CatalogQuery { .. }
                | Self::CatalogBatch { .. }
        )
    }
}

impl Expect {
    /// Did the gateway ask for it, before something that the client asks for?
    pub(super) const fn comes_before(&self) -> bool {
        matches!(self, Self::OwnCopy | Self::CopyQuestion { .. })
    }

    const fn undo(&self) -> Option<&Undo> {
        match self {
            Self::Parse { undo, .. } | Self::Bind { undo } | Self::Close { undo } => Some(undo),
            _ => None,
        }
    }

    const fn undo_mut(&mut self) -> Option<&mut Undo> {
        match self {
            Self::Parse { undo, .. } | Self::Bind { undo } | Self::Close { undo } => Some(undo),
            _ => None,
        }
    }
}

impl Pipeline {
    pub(super) fn push(&mut self, expect: Expect) {
        self.executing += usize::from(expect.executes());
        self.expected.push_back(expect);
    }

    pub(super) fn front(&mut self) -> Option<&mut Expect> {
        self.expected.front_mut()
    }

    /// What is not answered yet, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Expect> {
        self.expected.iter_mut()
    }

    /// May a transaction end before what is sent now runs?
    pub(super) fn may_end_transaction(&self) -> bool {
        let ends = |expect: &Expect| matches!(expect, Expect::Query(_) | Expect::Sync { .. });
        self.expected.iter().any(ends)
    }

    /// Is the catalog being read?
    pub(super) fn reads_catalog(&self) -> bool {
        let reads =
            |expect: &Expect| matches!(expect, Expect::CatalogQuery { .. } | Expect::CatalogBatch { .. });
        self.expected.iter().any(reads)
    }

    /// Is the batch that is answered now one of the gateway's own?
    pub(super) fn is_in_own_batch(&self) -> bool {
        let mut syncs = self.expected.iter().filter_map(|expect| match expect {
            Expect::Sync { is_own } => Some(*is_own),
            _ => None,
        });
        syncs.next() == Some(true)
    }

    pub(super) fn pop(&mut self) -> Option<Expect> {
        let expect = self.expected.pop_front()?;
        self.executing -= usize::from(expect.executes());
        Some(expect)
    }

    /// Is a Parse, Bind or Close of a name not answered yet?
    pub(super) fn names_something(&self) -> bool {
        self.expected.iter().filter_map(Expect::undo).any(Undo::is_of_a_name)
    }

    /// For each name that is to be changed, the first change that is not answered yet.
    pub(super) fn first_changes(&mut self) -> HashMap<Named, &mut Undo> {
        let mut first = HashMap::new();
        for undo in self.expected.iter_mut().filter_map(Expect::undo_mut) {
            first.entry(undo.named()).or_insert(undo);
        }
        first
    }

    /// What names stood for is not known any more: nothing that is undone brings it back.
    pub(super) fn forget(&mut self, which: impl Fn(&Named) -> bool) {
        for undo in self.expected.iter_mut().filter_map(Expect::undo_mut) {
            if which(&undo.named()) {
                undo.forget();
            }
        }
    }

    /// Does the target run a statement, or end a transaction?
    pub(super) const fn executes(&self) -> bool {
        self.executing > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.expected.len()
    }

    /// Takes everything up to the next Sync, which stays: what a server skips after an error in a batch.
    /// Also says whether there is such a Sync.
    pub(super) fn take_batch(&mut self) -> (Vec<Expect>, bool) {
        let sync = self.expected.iter().position(|expect| matches!(expect, Expect::Sync { .. }));
        let skipped: Vec<Expect> = self.expected.drain(..sync.unwrap_or(self.expected.len())).collect();
        self.executing -= skipped.iter().filter(|expect| expect.executes()).count();
        (skipped, sync.is_some())
    }

    /// Forgets the Syncs behind the front: a server that begins to take in COPY data ignores those that
    /// it has not read yet (manual, section 55.2.6).
    pub(super) fn forget_syncs(&mut self) {
        let (mut index, before) = (0, self.expected.len());
        self.expected.retain(|expect| {
            index += 1;
            index == 1 || !matches!(expect, Expect::Sync { .. })
        });
        self.executing -= before - self.expected.len();
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Expect> + '_ {
        self.executing = 0;
        self.expected.drain(..)
    }
}
