//! What programs write, and what becomes of it.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::panic)]

mod again;
mod masks;
mod play;
mod recordings;
