//! Hiding values: what to look for in text, and what to put in its place.
//!
//! Four parts, none of which knows a protocol:
//!
//! - [`Masker`] applies one [`MaskMethod`](gatewright_model::mask::MaskMethod) to one value. Columns that a
//!   policy masks by lineage go through it, whatever they hold.
//! - [`TextMasker`] searches a value for what its detectors find and hides only that.
//! - [`StreamMasker`] does the same to text that arrives in pieces, with bounded memory, and with the same
//!   result however the text was cut.
//! - [`TerminalMasker`] does the same to what programs write for terminals, and sees through colours.
//!
//! # What detectors are
//!
//! A second net behind lineage, not a security boundary. They read text as it stands: whoever can run an
//! expression over a value can spell it so that no detector knows it (`reverse`, `encode`, a dot instead of
//! a hyphen). Columns that must be hidden are named in a policy; detectors catch what is where nobody
//! expected it. What each detector does not find is listed in its module and held by a test.
//!
//! Everything works on bytes. Text that is not UTF-8 is searched like any other, and text that is UTF-8
//! stays UTF-8. A hidden value is not always a value of the surrounding format: a card number that stands
//! as a bare number in JSON text is replaced by something that is not a number, and the reader of that
//! JSON sees an error instead of the card.
//!
//! Hand-written scanners and not a regex set: a find must be decided by a bounded number of bytes to
//! both sides, which is what makes streaming exact, and check digits are no regular language.

mod email;
mod escape;
mod find;
mod key;
mod masker;
mod number;
mod search;
mod stream;
mod terminal;
mod text;

pub use key::{BadKey, MaskKey};
pub use masker::{HASH_DIGITS, Masker, REDACTED};
pub use stream::{MAX_HELD, StreamMasker};
pub use terminal::{MAX_SPENT, MAX_TERMINAL_HELD, TerminalMasker, Width};
pub use text::{Finds, Masked, TextMasker};
