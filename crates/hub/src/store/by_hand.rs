//! What an operator has the writer do: dismiss alerts, make deliveries again, give them up.

use watchpost_core::AlertId;
use watchpost_store::{MAX_CHANGED_ROWS, Selection, StoreError};

use super::Change;
use super::writer::Writer;

/// Why a delivery was given up that an operator dropped.
const DROPPED_BY_HAND: &str = "dropped by hand";

/// Why a delivery was given up whose alert was dismissed.
const DISMISSED: &str = "the alert was dismissed";

impl Writer {
    /// The backend is to be told first, so that it is told whatever happens in between.
    pub(super) fn dismiss(&mut self, id: AlertId, by: Option<&str>) -> Result<bool, StoreError> {
        self.parts.store.queue_write_back(id, &self.parts.write_back)?;
        let known = self.parts.store.dismiss(id, self.parts.clock.unix())?;
        let its_deliveries = Selection {
            alert: Some(id),
            ..Selection::default()
        };
        self.give_up_dismissed(&its_deliveries, by)?;
        Ok(known)
    }

    pub(super) fn clear(&mut self) -> Result<(), StoreError> {
        self.parts.store.queue_all_write_backs(&self.parts.write_back)?;
        self.parts.store.clear(self.parts.clock.unix())?;
        self.give_up_dismissed(&Selection::default(), None)
    }

    fn give_up_dismissed(&mut self, selection: &Selection, but_of: Option<&str>) -> Result<(), StoreError> {
        let mut sinks = self.parts.until_dismissed.clone();
        sinks.retain(|sink| Some(sink.as_str()) != but_of);
        for sink in sinks {
            let selection = Selection {
                sink: Some(sink),
                ..selection.clone()
            };
            while self.give_up(&selection, DISMISSED)? == MAX_CHANGED_ROWS {}
        }
        Ok(())
    }

    /// What has been delivered is recorded first, so that it is not taken for given up.
    fn give_up(&mut self, selection: &Selection, why: &str) -> Result<u64, StoreError> {
        self.commit();
        let now = self.parts.clock.unix();
        let count = self.parts.store.drop_deliveries(selection, why, now)?;
        Ok(count)
    }

    pub(super) fn change(&mut self, change: Change, selection: &Selection) -> Result<u64, StoreError> {
        match change {
            Change::Retry => {
                let changed = self.parts.store.retry_deliveries(selection)?;
                self.parts.notifiers.notify_all();
                Ok(changed)
            }
            Change::Drop => self.give_up(selection, DROPPED_BY_HAND),
        }
    }
}
