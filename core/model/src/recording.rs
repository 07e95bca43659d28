//! What passes between people and programs, piece by piece, for whoever records it.
//!
//! What is shown is recorded as it is shown: after it was masked. What is typed is not, because passwords are typed where
//! nothing is shown; that something was typed is.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::EventId;

/// A piece of a recording, in its order.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// A recording begins, before anything reaches the target. Answered with
    /// [`Input::Recording`](crate::session::Input::Recording).
    Start {
        /// The event that starts what is recorded.
        event: EventId,
        /// What it is, without arguments.
        title: Arc<str>,
        /// The kind of terminal that it has.
        terminal: Option<Arc<str>>,
        /// The size of that, or of none.
        size: Size,
    },
    /// This is shown.
    Output(Bytes),
    /// So many bytes are typed.
    Typed(usize),
    /// The terminal has another size.
    Resize(Size),
    /// What is recorded has ended.
    End,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
}

/// Where there is no terminal, or one without a size.
impl Default for Size {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// Of what is shown, its length.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start { event, title, terminal, size } => f
                .debug_struct("Start")
                .field("event", event)
                .field("title", title)
                .field("terminal", terminal)
                .field("size", size)
                .finish(),
            Self::Output(bytes) => f.debug_tuple("Output").field(&bytes.len()).finish(),
            Self::Typed(bytes) => f.debug_tuple("Typed").field(bytes).finish(),
            Self::Resize(size) => f.debug_tuple("Resize").field(size).finish(),
            Self::End => f.write_str("End"),
        }
    }
}
