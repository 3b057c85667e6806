//! What the caller gets: events, and among them the log, thinned out.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::time::Instant;
use watchpost_sinkhost_protocol::limits::{MAX_LINE_BYTES, TAIL_LINES};
use watchpost_sinkhost_protocol::{LogLevel, LogLimit};

use crate::Event;
use crate::text::one_line;

/// The way to the caller.
#[derive(Debug)]
pub(crate) struct Journal {
    events: mpsc::UnboundedSender<Event>,
    limit: LogLimit,
    /// The last lines of the log until the start is over: the error of a failed one quotes them.
    tail: Option<VecDeque<String>>,
}

impl Journal {
    pub(crate) fn new(events: mpsc::UnboundedSender<Event>, now: Instant) -> Self {
        Self {
            events,
            limit: LogLimit::new(now.into_std()),
            tail: Some(VecDeque::new()),
        }
    }

    pub(crate) fn emit(&self, event: Event) {
        // A reader that has gone misses nothing it wants.
        let _ = self.events.send(event);
    }

    pub(crate) fn log(&mut self, now: Instant, level: LogLevel, text: &str) {
        let text = one_line(text, MAX_LINE_BYTES);
        if let Some(tail) = &mut self.tail {
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(text.clone());
        }
        if let Some(suppressed) = self.limit.admit(now.into_std(), text.len()) {
            self.report_suppressed(suppressed);
            self.emit(Event::Log { level, text });
        }
    }

    pub(crate) fn log_all(&mut self, now: Instant, level: LogLevel, lines: &[String]) {
        lines.iter().for_each(|line| self.log(now, level, line));
    }

    /// The start is over, and with it the need for its last lines.
    pub(crate) fn take_tail(&mut self) -> Vec<String> {
        self.tail.take().unwrap_or_default().into()
    }

    /// No more lines will come.
    pub(crate) fn end_log(&mut self) {
        let suppressed = self.limit.take_suppressed();
        self.report_suppressed(suppressed);
    }

    fn report_suppressed(&self, count: u64) {
        if count > 0 {
            self.emit(Event::Log {
                level: LogLevel::Warn,
                text: LogLimit::sentence(count),
            });
        }
    }
}
