//! Which failures are worth a line in the log: the first of its kind in a row.

use crate::FailureKind;

/// Tells the first failure of a kind from its repetitions.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailureLog {
    last: Option<FailureKind>,
}

impl FailureLog {
    /// It failed. Whether the failure before it, if any, was of another kind.
    pub fn is_new(&mut self, kind: FailureKind) -> bool {
        self.last.replace(kind) != Some(kind)
    }

    /// It succeeded: the next failure is news.
    pub fn clear(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_failure_is_no_news_until_it_changes_or_ends() {
        let mut log = FailureLog::default();
        let kinds = [
            FailureKind::Refused,
            FailureKind::Refused,
            FailureKind::Dns,
            FailureKind::Refused,
        ];
        assert_eq!(kinds.map(|kind| log.is_new(kind)), [true, false, true, true]);
        log.clear();
        assert!(log.is_new(FailureKind::Refused));
    }
}
