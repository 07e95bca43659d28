//! Evidence: the append-only log of the gateway, and the verifier that needs nothing of the gateway.
//!
//! # What is on the disk
//!
//! A log is a directory. Its records are JSON lines in segments, files that are named by the sequence of
//! their first line and followed by another when they are full:
//!
//! ```text
//! evidence/
//!   00000000000000000001.jsonl     {"seq":1,"time":"…","prev":"0000…","kind":"segment_opened",…}
//!                                  {"seq":2,"time":"…","prev":"a3f1…","kind":"gateway_started",…}
//!   00000000000000081920.jsonl     …
//!   checkpoints                    every signed checkpoint, oldest first
//!   checkpoint                     the latest one
//!   *.cut-*                        what a crash tore, kept
//!   recordings/*.cast              what programs showed, where policies want that; see `recording`
//!   lock                           held by the process that writes
//! ```
//!
//! * `prev` is the RFC 6962 leaf hash of the line before, `SHA-256(0x00 || line)`, without the newline: a
//!   chain, in which each line accuses a changed predecessor. It is what holds the newest records.
//! * All leaf hashes are the leaves of one Merkle tree (RFC 6962), over all segments. Its root is signed
//!   with Ed25519 in a checkpoint (<https://c2sp.org/tlog-checkpoint>) every so many records or seconds,
//!   and when the log is closed. Any tool that reads this format can check a signature, and
//!   `sha256(0x00 || line)` is all that is needed to compute the tree again.
//! * Only what is on the disk is signed; so a power cut can not make the log end before its checkpoint.
//!
//! # What is promised (P6)
//!
//! A record that [`Log::append`] has accepted survives the death of the process, and one that
//! [`Log::durable`] has resolved survives that of the machine. Whatever is changed, removed, added or
//! reordered up to a checkpoint is found by [`verify()`]; after it, whatever breaks the chain. Somebody who
//! has the key, or who rolls the whole directory back with its checkpoints, is found out by a checkpoint that
//! was kept elsewhere ([`Verifier::against`]).
//!
//! # What is not here
//!
//! Nothing is ever deleted or rewritten; there is no index and no database, because a file of lines can be
//! read by everybody in twenty years. Witness signatures and inclusion proofs can be added to this format
//! without changing it.

mod checkpoint;
mod disk;
mod endings;
mod key;
mod line;
mod log;
mod note;
mod recording;
mod recover;
mod segment;
mod show;
mod sync;
mod time;
mod tree;
mod verify;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{
    checkpoint::Checkpoint,
    endings::{Ending, Endings, Fields},
    key::{KeyError, SigningKey, VerifyingKey, VerifyingKeys},
    log::{AppendError, Durable, Fault, Health, Log, LogOptions, Receipt, Status},
    note::NoteError,
    recording::{Listed, Recording, Recordings, State, Subject, Written, check},
    recover::{Cut, OpenError, Recovery},
    show::{Entry, Filter, ReadError, Records, kinds},
    verify::{Progress, Report, Verifier, VerifyError, verify},
    walk::{Place, Problem, ProblemKind},
};
