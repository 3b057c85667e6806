//! Readers of the store, which may be begun anew while the hub runs.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use watchpost_store::{Reader, ReaderFactory, StoreError};

/// Where readers come from.
#[derive(Clone)]
pub(crate) struct Readers {
    open: ReaderFactory,
    /// Counts the stores that were begun in place of a damaged one.
    generation: Arc<AtomicU64>,
}

/// A reader kept for the next time, which knows the store it belongs to.
#[derive(Debug)]
pub(crate) struct CachedReader {
    reader: Reader,
    generation: u64,
}

impl Readers {
    pub(crate) fn new(open: ReaderFactory) -> Self {
        Self {
            open,
            generation: Arc::default(),
        }
    }

    /// This reader, or a new one if there is none or it reads a store that has been set aside.
    pub(crate) fn current(&self, cached: Option<CachedReader>) -> Result<CachedReader, StoreError> {
        let generation = self.generation.load(Ordering::Acquire);
        match cached {
            Some(cached) if cached.generation == generation => Ok(cached),
            _ => Ok(CachedReader {
                reader: (self.open)()?,
                generation,
            }),
        }
    }

    /// All readers so far are outdated.
    pub(crate) fn outdate(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }
}

impl Deref for CachedReader {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for CachedReader {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}
