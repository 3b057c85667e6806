//! The runtime of each arbiter, and its threads that may block: for reading the store and certificates, and looking up names.
//!
//! A sink may use up all the threads that the user or the service may have (`TasksMax=`). Tokio panics when it can make no
//! thread to block on, unless there is one already: what is to be done waits for that one then. So each runtime makes one
//! at its start, which stays.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Threads that may block, of one runtime: name look-ups may hang for half a minute, and must not hold up the rest.
const MAX_BLOCKING: usize = 8;
/// How long such a thread stays without work: for as long as a hub runs.
const BLOCKING_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Makes a runtime that goes on where no more threads can be made.
///
/// # Errors
/// When it cannot be made, or not its first thread.
pub fn runtime() -> io::Result<Runtime> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING)
        .thread_keep_alive(BLOCKING_LIFE)
        .build()?;
    match catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(|| ()))) {
        Ok(_) => Ok(runtime),
        Err(_) => Err(io::Error::other("no thread can be made for what may block")),
    }
}
