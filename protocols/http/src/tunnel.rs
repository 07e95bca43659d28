//! A connection that has switched protocols (RFC 9110 section 7.8): bytes in both directions.
//!
//! Nothing passes by itself: a tunnel is told what came, and says what goes on. What it wants judged before it goes on
//! (the port of a stream that is opened later than the connection) it asks about, and takes in nothing more until it is
//! answered.

use std::{fmt, sync::Arc, time::Instant};

use bytes::BytesMut;
use gatewright_model::{event::Facet, permit::Denial, recording::Frame, session::Side};

use crate::{problem::Problem, refusal::Refusal};

/// A connection that has switched protocols.
pub trait Tunnel: fmt::Debug + Send {
    /// Takes in bytes of one side, which came at `now`.
    ///
    /// # Errors
    ///
    /// A peer broke the protocol: both sides are cut.
    fn push(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        passing: &mut Passing,
    ) -> Result<(), Refusal>;

    /// A side sends no more. The other one is told so, after what passes, if this returns `Ok`.
    ///
    /// # Errors
    ///
    /// The side ended in the middle of something: both sides are cut.
    fn end(&mut self, now: Instant, from: Side, passing: &mut Passing) -> Result<(), Refusal>;

    /// What was asked about may go on, or not.
    ///
    /// # Errors
    ///
    /// As with [`Tunnel::push`], for what had come meanwhile.
    fn answer(
        &mut self,
        now: Instant,
        answer: Result<(), &Denial>,
        passing: &mut Passing,
    ) -> Result<(), Refusal>;

    /// The gateway ends it: the client is told why, where its protocol has a place for that. What is held back is not shown any
    /// more, and the target is told nothing.
    ///
    /// What passed last may not have arrived: what could not be recorded was not sent.
    fn terminate(&mut self, _problem: &Problem, _passing: &mut Passing) {}

    /// How many values were hidden, by rule.
    fn masked(&self) -> Vec<(Arc<str>, u64)>;
}

/// What a tunnel lets through.
#[derive(Debug, Default)]
pub struct Passing {
    /// Bytes for the target.
    pub upstream: BytesMut,
    /// Bytes for the client.
    pub downstream: BytesMut,
    /// What a recording has of these bytes. Recorded before any of them is sent.
    pub record: Vec<Frame>,
    /// Something to be judged. While there is no answer, nothing more is handed in.
    pub ask: Option<Box<Facet>>,
    /// The tunnel is over: both sides are closed, after what passes.
    pub over: bool,
}

impl Passing {
    /// What goes to a side.
    pub fn towards(&mut self, side: Side) -> &mut BytesMut {
        match side {
            Side::Downstream => &mut self.downstream,
            Side::Upstream => &mut self.upstream,
        }
    }
}
