//! The PostgreSQL wire protocol (version 3.0) as a sans-I/O session.
//!
//! We cut frames ourselves and read bodies through one [`reader::Reader`] that can not see past its
//! frame. An existing codec was tried and found to read beyond a frame's declared length, so that it and
//! the server could disagree about what was sent; for a gateway that is the one bug that must not exist.
//!
//! Where to look:
//!
//! | file | part |
//! | --- | --- |
//! | [`frame`] | bytes into frames, under a limit for each message type |
//! | [`frontend`], [`backend`] | one message a file, named as chapter 55.7 of the manual names it |
//! | [`session`] | the state machine: greeting, login at the target, requests, answers |
//! | [`catalog`] | which table and column an answer's column really is |
//! | [`mask`] | rewriting of rows |
//! | [`copy`] | the same in the data of COPY |
//! | [`guesses`] | how often somebody has chosen rows by a masked column |
//! | [`question`] | what the server says of a text that is refused because it can not be read |
//! | [`cancel`] | our own cancel keys |
//! | [`reply`] | every message that the gateway itself writes |

pub mod backend;
pub mod cancel;
pub mod catalog;
pub mod changes;
pub mod copy;
pub mod frame;
pub mod frontend;
pub mod guesses;
pub mod mask;
pub mod question;
pub mod reader;
pub mod reply;
pub mod session;
