//! A thread that switches the siren off when whoever switched it on does not. It shares nothing with that but the line
//! and one number.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use watchpost_sink::Fail;

use crate::line::Switch;

/// How often it looks while something is on.
const LOOK: Duration = Duration::from_millis(100);

/// How often switching off is tried before the process ends, which gives the line back to the kernel.
const TRIES: u32 = 5;

/// Nothing is on.
const IDLE: u64 = u64::MAX;

/// The thread is to end.
const OVER: u64 = u64::MAX - 1;

/// The thread. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// What the deadline is counted from.
    start: Instant,
    /// When everything has to be off, in milliseconds.
    deadline: AtomicU64,
}

/// Something that is on until this is dropped, which a panic does too.
pub(crate) struct On<'a> {
    line: &'a dyn Switch,
    watchdog: &'a Watchdog,
}

impl Watchdog {
    /// `report` is called when it had to do something.
    pub(crate) fn start(line: Arc<dyn Switch>, report: impl Fn(&str) + Send + 'static) -> Result<Self, Fail> {
        let shared = Arc::new(Shared {
            start: Instant::now(),
            deadline: AtomicU64::new(IDLE),
        });
        let looked_at = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("siren watchdog".to_owned())
            .spawn(move || watch(&looked_at, &*line, report))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Takes charge of a line that may be switched from now on, until `deadline` at the latest.
    pub(crate) fn guard<'a>(&'a self, line: &'a dyn Switch, deadline: Instant) -> On<'a> {
        let deadline = deadline.saturating_duration_since(self.shared.start);
        self.tell(u64::try_from(deadline.as_millis()).unwrap_or(OVER - 1));
        On { line, watchdog: self }
    }

    fn tell(&self, deadline: u64) {
        self.shared.deadline.store(deadline, Ordering::SeqCst);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl On<'_> {
    /// Switches what it has charge of.
    pub(crate) fn set(&self, on: bool) -> Result<(), Fail> {
        self.line.set(on)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.tell(OVER);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for On<'_> {
    fn drop(&mut self) {
        switch_off(self.line);
        self.watchdog.tell(IDLE);
    }
}

fn watch(shared: &Shared, line: &dyn Switch, report: impl Fn(&str)) {
    let mut bitten = IDLE;
    loop {
        match shared.deadline.load(Ordering::SeqCst) {
            OVER => return,
            IDLE => thread::park(),
            deadline => {
                let is_over = shared.start.elapsed() >= Duration::from_millis(deadline);
                // It may have been ended properly since it was read, and something else begun.
                if is_over && shared.deadline.load(Ordering::SeqCst) == deadline {
                    // Again and again, for whoever has charge of it may switch it on once more.
                    switch_off(line);
                    if bitten != deadline {
                        report("the siren was not switched off in time; the watchdog does it");
                    }
                    bitten = deadline;
                }
                thread::park_timeout(LOOK);
            }
        }
    }
}

/// Switches off whatever it takes: a siren that cannot be stopped is worse than a plugin that dies.
fn switch_off(line: &dyn Switch) {
    for _ in 0..TRIES {
        if line.set(false).is_ok() {
            return;
        }
    }
    process::abort();
}
