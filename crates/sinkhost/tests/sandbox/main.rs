//! The sandbox in real processes: each grant allows, each missing grant refuses, each limit is hit.
//!
//! This program is both sides. Started by a person it runs the tests; each test starts it again with a deed to do, as
//! a child that sandboxes itself first. The harness is not the built-in one since that runs threads from the start,
//! and the sandbox is for a process that has none yet.
//!
//! It takes Linux 6.12 or later, the first where every part of the sandbox holds.
#![allow(
    unsafe_code,
    reason = "a deed is a bare system call where no safe wrapper would make it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what went wrong by panicking"
)]

mod changes;
mod child;
mod files;
mod kernel;
mod limits;
mod network;
mod processes;
mod support;

use libtest_mimic::{Arguments, Trial};

fn main() {
    if child::is_child() {
        child::run();
    }
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        files::trials(),
        network::trials(),
        processes::trials(),
        changes::trials(),
        limits::trials(),
        kernel::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
