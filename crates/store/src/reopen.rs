//! Opening the store once more while it is in use, because what is read from it makes no sense.

use std::fs;

use rusqlite::Connection;

use crate::{OpenReport, Store, StoreError, open};

impl Store {
    /// Closes the store, looks through all of it and opens it again, or sets it aside and begins a new one when it is
    /// damaged. Readers opened before then read what was set aside: open new ones.
    ///
    /// # Errors
    /// When it can neither be opened nor set aside. The store is closed then, and nothing works but another call of
    /// this or of [`Self::begin_anew`].
    pub fn reopen(&mut self) -> Result<OpenReport, StoreError> {
        // The mark asks for the look. Without it damage is met again, and marked then.
        let _ = fs::write(self.place.suspicion(), "the hub had reason to look through it");
        self.renew(None)
    }

    /// Sets the store aside because of `ruin`, even if it looks sound, and begins a new one.
    ///
    /// # Errors
    /// As for [`Self::reopen`].
    pub fn begin_anew(&mut self, ruin: &StoreError) -> Result<OpenReport, StoreError> {
        self.renew(Some(ruin))
    }

    fn renew(&mut self, ruin: Option<&StoreError>) -> Result<OpenReport, StoreError> {
        let path = self.place.database();
        let lock = self
            ._lock
            .try_clone()
            .map_err(|e| StoreError::io("keep the lock of", &self.place.dir, e))?;
        // SQLite removes its log by name when it closes, so the old one is closed before a new one has that name.
        self.db = Connection::open_in_memory().map_err(|e| StoreError::database("close", &path, e))?;
        let (store, report) = open::open_locked(self.options.clone(), self.place.clone(), lock, ruin)?;
        *self = store;
        Ok(report)
    }
}
