//! The simulator over real sockets, with a client that shares no code with it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod client;
mod control;
mod faults;
mod handshake;
mod produce;
mod quirks;
mod rest;
mod shapes;
