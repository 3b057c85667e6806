//! A bounded queue of lines before standard error, with a thread that alone waits for it.
//!
//! A closed pipe, a full disk or a reader that has stopped cost lines, which are counted, and nothing else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::style::Style;

/// Lines that wait for standard error at most.
const MAX_QUEUED_LINES: usize = 2_048;

/// Longest line, in bytes; the rest is cut off.
const MAX_LINE_BYTES: usize = 16 << 10;

/// How long [`LineQueue::flush`] waits.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

/// The sending side. Writing to it never waits and never fails.
#[derive(Clone)]
pub(super) struct LineQueue {
    items: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

enum Item {
    Line(Vec<u8>),
    /// Answered when all before it is written.
    Flush(SyncSender<()>),
}

impl LineQueue {
    /// Starts the thread that writes to standard error.
    pub(super) fn start(style: Style) -> io::Result<Self> {
        // A handle of its own: while this one waits, the rest of the process can still use standard error's lock.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::start_with(style, stderr)
    }

    fn start_with(style: Style, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (items, queued) = sync_channel(MAX_QUEUED_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            out,
            style,
            lost: Arc::clone(&lost),
            reported: 0,
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || worker.run(&queued))?;
        Ok(Self { items, lost })
    }

    /// Queues a line, which ends with a newline, or counts it as lost.
    pub(super) fn push(&self, mut line: Vec<u8>) {
        if line.len() > MAX_LINE_BYTES {
            line.truncate(MAX_LINE_BYTES);
            line.extend_from_slice("…\n".as_bytes());
        }
        if self.items.try_send(Item::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what is queued is written, or a moment at most.
    pub(super) fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.items.try_send(Item::Flush(written)).is_ok() {
            let _ = done.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    pub(super) fn lost_lines(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Write for LineQueue {
    /// The subscriber writes each event with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The writing side.
struct Worker<W> {
    out: W,
    style: Style,
    lost: Arc<AtomicU64>,
    /// How many lost lines the log itself has mentioned.
    reported: u64,
}

impl<W: Write> Worker<W> {
    fn run(mut self, queued: &Receiver<Item>) {
        while let Ok(item) = queued.recv() {
            match item {
                Item::Line(line) => self.write(&line),
                Item::Flush(written) => {
                    let _ = written.try_send(());
                }
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > self.reported {
            let noun = if lost - self.reported == 1 {
                "line"
            } else {
                "lines"
            };
            let text = format!(
                "{} log {noun} lost: standard error did not take them",
                lost - self.reported
            );
            if self.out.write_all(&self.style.line(Level::WARN, &text)).is_ok() {
                self.reported = lost;
            }
        }
        if self.out.write_all(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// Takes writes when it is open, waits when it is shut and fails when it is broken.
    #[derive(Default)]
    struct Gate {
        state: Mutex<(GateState, Vec<u8>)>,
        changed: Condvar,
    }

    #[derive(Clone, Copy, Default, PartialEq)]
    enum GateState {
        #[default]
        Open,
        Shut,
        Broken,
    }

    impl Gate {
        fn set(&self, state: GateState) {
            self.state.lock().unwrap().0 = state;
            self.changed.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.state.lock().unwrap().1.clone()).unwrap()
        }
    }

    struct Out(Arc<Gate>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().unwrap();
            let mut state = self
                .0
                .changed
                .wait_while(state, |(state, _)| *state == GateState::Shut)
                .unwrap();
            if state.0 == GateState::Broken {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (Arc<Gate>, LineQueue) {
        let gate = Arc::new(Gate::default());
        let queue = LineQueue::start_with(Style::Journal, Out(Arc::clone(&gate))).unwrap();
        (gate, queue)
    }

    #[test]
    fn a_reader_that_has_stopped_costs_lines_and_no_time() {
        let (gate, queue) = queue();
        gate.set(GateState::Shut);
        for _ in 0..MAX_QUEUED_LINES + 10 {
            queue.push(b"x\n".to_vec());
        }
        let lost = queue.lost_lines();
        assert!(
            (9..=10).contains(&lost),
            "one may be in the thread's hands: {lost}"
        );
        gate.set(GateState::Open);
        let (written, done) = sync_channel(1);
        queue.items.send(Item::Flush(written)).unwrap();
        done.recv().unwrap();
        queue.push(b"after\n".to_vec());
        queue.flush();
        let note = format!("<4> WARN {lost} log lines lost");
        assert!(gate.text().contains(&note), "{}", gate.text());
        assert!(gate.text().ends_with("after\n"));
    }

    #[test]
    fn a_broken_output_costs_lines_and_is_mentioned_once() {
        let (gate, queue) = queue();
        gate.set(GateState::Broken);
        queue.push(b"one\n".to_vec());
        queue.flush();
        assert_eq!(queue.lost_lines(), 1);
        gate.set(GateState::Open);
        queue.push(b"two\n".to_vec());
        queue.push(b"three\n".to_vec());
        queue.flush();
        assert_eq!(
            gate.text(),
            "<4> WARN 1 log line lost: standard error did not take them\ntwo\nthree\n"
        );
    }
}
