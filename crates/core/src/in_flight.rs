//! How much a source may have in flight: received, and not yet confirmed by the store.

/// Bounds what waits in memory to be stored, by size. A source never stops reading because of it: what does not fit is
/// dropped without a receipt, and counted.
#[derive(Debug)]
pub struct InFlightBudget {
    limit_bytes: usize,
    bytes: usize,
    alerts: usize,
}

impl InFlightBudget {
    /// Nothing is in flight, and at most `limit_bytes` may be.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            bytes: 0,
            alerts: 0,
        }
    }

    /// Whether an alert of this size fits. Alone, one of any size does, or it could never be stored.
    pub fn admits(&self, bytes: usize) -> bool {
        self.alerts == 0 || self.bytes.saturating_add(bytes) <= self.limit_bytes
    }

    /// An alert of this size is in flight from now on.
    pub fn take(&mut self, bytes: usize) {
        self.alerts += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The store has dealt with an alert of this size.
    pub fn release(&mut self, bytes: usize) {
        self.alerts = self.alerts.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.alerts == 0
    }

    /// Size of what is in flight, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_alert_always_fits_and_the_rest_by_size() {
        let mut budget = InFlightBudget::new(100);
        assert!(budget.admits(1_000));
        budget.take(1_000);
        assert!(!budget.admits(1));
        budget.release(1_000);
        assert!(budget.is_idle());
        budget.take(60);
        assert!(budget.admits(40) && !budget.admits(41));
    }

    proptest! {
        /// Whatever comes and goes, no more than the limit is in flight, but for a single alert.
        #[test]
        fn the_limit_holds(steps in prop::collection::vec((any::<bool>(), 0_usize..300), 0..200)) {
            let mut budget = InFlightBudget::new(500);
            let mut held = Vec::new();
            for (arrives, bytes) in steps {
                if arrives && budget.admits(bytes) {
                    budget.take(bytes);
                    held.push(bytes);
                } else if let Some(bytes) = held.pop() {
                    budget.release(bytes);
                }
                prop_assert_eq!(budget.bytes(), held.iter().sum::<usize>());
                prop_assert!(budget.bytes() <= 500 || held.len() == 1);
                prop_assert_eq!(budget.is_idle(), held.is_empty());
            }
        }
    }
}
