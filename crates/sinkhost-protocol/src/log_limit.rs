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
    /// A multiple of the child's own limit.
    slack: u32,
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
            slack: 1,
        }
    }

    /// The limit that no child breaks that keeps its own: what was admitted by then may arrive late and at once, and with
    /// each line may come another about those left out.
    #[must_use]
    pub fn of_parent(now: Instant) -> Self {
        Self {
            lines: f64::from(LOG_BURST_LINES) * 3.0,
            bytes: f64::from(LOG_BURST_BYTES) * 3.0,
            slack: 3,
            ..Self::new(now)
        }
    }

    /// Whether a line of this length may pass. With the first that does after some that did not comes their
    /// number, to be logged before it.
    pub fn admit(&mut self, now: Instant, len: usize) -> Option<u64> {
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        let slack = f64::from(self.slack);
        let refill = |level: f64, rate: u32, burst: u32| {
            (level + seconds * f64::from(rate) * slack).min(f64::from(burst) * slack)
        };
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

    /// A flood that the child cuts, with a sentence about what it left out before each line, and the parent stalled.
    #[test]
    fn the_parent_never_refuses_what_the_child_has_admitted() {
        let start = Instant::now();
        let (mut child, mut parent) = (LogLimit::new(start), LogLimit::of_parent(start));
        for tick in 0..3_000 {
            let now = start + Duration::from_millis(100) * tick;
            for _ in 0..20 {
                let Some(suppressed) = child.admit(now, 100) else {
                    continue;
                };
                // What was sent in a second arrives at its end.
                let arrived = start + Duration::from_secs(1) * (tick / 10 + 1);
                if suppressed > 0 {
                    assert!(
                        parent
                            .admit(arrived, LogLimit::sentence(suppressed).len())
                            .is_some()
                    );
                }
                assert!(parent.admit(arrived, 100).is_some());
            }
        }
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
