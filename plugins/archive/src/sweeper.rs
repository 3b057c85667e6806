//! The thread that applies retention now and then, beside the deliveries.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watchpost_sink::{Host, Level};

use crate::retention::{self, Limits, Swept};

/// How often to look for what has grown too old.
const INTERVAL: Duration = Duration::from_secs(600);
/// The share of `max_size` that may be written before looking sooner.
const SHARE: u64 = 50;

/// The handle; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Sweeper {
    written: Option<Sender<u64>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    pub(crate) fn start(archive: PathBuf, limits: Limits, host: Host) -> io::Result<Self> {
        let (written, heard) = mpsc::channel::<u64>();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let sweep = move || {
            let share = limits.max_bytes.map_or(u64::MAX, |max_bytes| max_bytes / SHARE);
            loop {
                let stopping = || stopping.load(Ordering::Relaxed);
                report(
                    &host,
                    retention::sweep(&archive, limits, now_unix_ms(), &stopping),
                );
                let mut bytes = 0;
                while bytes < share {
                    match heard.recv_timeout(INTERVAL) {
                        Ok(more) => bytes += more,
                        Err(RecvTimeoutError::Timeout) => break,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("sweep".into()).spawn(sweep)?;
        Ok(Self {
            written: Some(written),
            stop,
            thread: Some(thread),
        })
    }

    /// So many bytes have been added to the archive.
    pub(crate) fn written(&self, bytes: u64) {
        if let Some(written) = &self.written {
            // A thread that has ended by a panic is told of on stderr; alerts go on being filed.
            let _ = written.send(bytes);
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.written = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn report(host: &Host, swept: Swept) {
    if swept.alerts > 0 {
        let Swept { alerts, bytes, left } = swept;
        host.log(
            Level::Info,
            format_args!("removed {alerts} old alerts ({bytes} bytes); {left} bytes are left"),
        );
    }
}

fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
