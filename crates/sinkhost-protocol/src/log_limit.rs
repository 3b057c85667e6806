//! Thins out a flood of log lines: some pass, the rest are counted. Knows no clock.

use std::time::Instant;

use crate::limits::{LOG_BURST_BYTES, LOG_BURST_LINES, LOG_BYTES_PER_SECOND, LOG_LINES_PER_SECOND};

/// Two token buckets, for lines and for bytes, and the count of what did not pass.
#[derive(Debug)]
pub struct LogLimit {
    lines: f64,
    bytes: f64,
    refilled: Instant,
    suppressed: u64,
}

impl LogLimit {
    /// Full buckets.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            lines: LOG_BURST_LINES.into(),
            bytes: LOG_BURST_BYTES.into(),
            refilled: now,
            suppressed: 0,
        }
    }

    /// Whether a line of this length may pass. With the first that does after some that did not comes their
    /// number, to be logged before it.
    pub fn admit(&mut self, now: Instant, len: usize) -> Option<u64> {
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        let refill =
            |level: f64, rate: u32, burst: u32| (level + seconds * f64::from(rate)).min(burst.into());
        self.lines = refill(self.lines, LOG_LINES_PER_SECOND, LOG_BURST_LINES);
        self.bytes = refill(self.bytes, LOG_BYTES_PER_SECOND, LOG_BURST_BYTES);
        let len = len as f64;
        if self.lines < 1.0 || self.bytes < len {
            self.suppressed += 1;
            return None;
        }
        self.lines -= 1.0;
        self.bytes -= len;
        Some(self.take_suppressed())
    }

    /// The number of lines that did not pass and were not reported yet.
    pub fn take_suppressed(&mut self) -> u64 {
        std::mem::take(&mut self.suppressed)
    }

    /// The sentence that stands for suppressed lines.
    pub fn sentence(suppressed: u64) -> String {
        format!("{suppressed} lines were left out: at most {LOG_LINES_PER_SECOND} a second are kept")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What one line takes to be refilled.
    const PAUSE: Duration = Duration::from_millis(1000 / LOG_LINES_PER_SECOND as u64);

    #[test]
    fn a_flood_is_cut_and_its_length_reported() {
        let start = Instant::now();
        let mut limit = LogLimit::new(start);
        let passed = (0..10_000).filter(|_| limit.admit(start, 10).is_some()).count();
        assert_eq!(passed, LOG_BURST_LINES as usize);
        assert_eq!(limit.admit(start + PAUSE, 10), Some(10_000 - passed as u64));
        assert_eq!(limit.admit(start + PAUSE * 2, 10), Some(0));
    }

    #[test]
    fn long_lines_are_limited_by_their_bytes() {
        let start = Instant::now();
        let mut limit = LogLimit::new(start);
        let line = crate::limits::MAX_LINE_BYTES;
        let passed = (0..1000).filter(|_| limit.admit(start, line).is_some()).count();
        assert_eq!(passed, LOG_BURST_BYTES as usize / line);
    }
}
