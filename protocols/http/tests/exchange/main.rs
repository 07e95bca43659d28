//! Scripted exchanges, without a network.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a script that does what can not be done is a broken test"
)]

mod answers;
mod attacks;
mod judged;
mod life;
mod masked;
mod schedule;
mod stage;
mod upgrades;
