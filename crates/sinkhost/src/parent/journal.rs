//! What the caller is told: events, and among them the log, thinned out.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::limit::LogLimit;
use crate::limits::TAIL_LINES;
use crate::{Event, LogLevel};

/// The way to the caller.
#[derive(Debug)]
pub(crate) struct Journal {
    events: mpsc::UnboundedSender<Event>,
    limit: LogLimit,
    /// The last lines of the log, while the start is under way: the error of a failed one tells them.
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

    pub(crate) fn tell(&self, event: Event) {
        // A reader that has gone misses nothing it wants.
        let _ = self.events.send(event);
    }

    pub(crate) fn log(&mut self, level: LogLevel, text: String) {
        if let Some(tail) = &mut self.tail {
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(text.clone());
        }
        if let Some(suppressed) = self.limit.admit(Instant::now().into_std(), text.len()) {
            self.tell_suppressed(suppressed);
            self.tell(Event::Log { level, text });
        }
    }

    pub(crate) fn log_all(&mut self, level: LogLevel, lines: Vec<String>) {
        lines.into_iter().for_each(|line| self.log(level, line));
    }

    /// The start is over, and with it the need for its last lines.
    pub(crate) fn take_tail(&mut self) -> Vec<String> {
        self.tail.take().unwrap_or_default().into()
    }

    /// No more lines will come.
    pub(crate) fn end_log(&mut self) {
        let suppressed = self.limit.take_suppressed();
        self.tell_suppressed(suppressed);
    }

    fn tell_suppressed(&self, count: u64) {
        if count > 0 {
            self.tell(Event::Log {
                level: LogLevel::Warn,
                text: LogLimit::sentence(count),
            });
        }
    }
}
