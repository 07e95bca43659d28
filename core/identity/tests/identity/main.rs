//! Identity from the outside: tokens made by hand, key sets, and the built-in issuer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod attacks;
mod builtin;
mod forge;
mod key_sets;
