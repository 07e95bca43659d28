//! What changes a body on its way to the client.

use std::{fmt, sync::Arc};

use bytes::BytesMut;

use crate::refusal::Refusal;

/// Changes a body, piece by piece, whatever its boundaries, in bounded memory.
pub trait Filter: fmt::Debug + Send {
    /// Takes in a piece, and puts what may go on behind `out`.
    ///
    /// # Errors
    ///
    /// The body can not be shown as it must be: what is left of it is not sent, and the client sees that it was cut.
    fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Refusal>;

    /// The body is complete: puts the rest behind `out`.
    ///
    /// # Errors
    ///
    /// As with [`Filter::push`]; a body that ends too early among them.
    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Refusal>;

    /// How many values were hidden, by rule.
    fn masked(&self) -> Vec<(Arc<str>, u64)>;
}
