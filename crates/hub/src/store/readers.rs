//! Readers of the store, which may be replaced by a new one while the hub runs.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use watchpost_store::{Reader, ReaderFactory, StoreError};

use crate::platform::Threads;

/// Questions that are answered at the same time, each by a connection to the database of its own. More wait.
const MAX_POOLED: usize = 4;

/// Where readers come from, and a pool of them for whoever has a question now and then.
#[derive(Clone)]
pub(crate) struct Readers {
    open: ReaderFactory,
    /// Counts the stores that replaced a damaged one.
    generation: Arc<AtomicU64>,
    pool: Arc<Pool>,
    /// Where it may block: the hub's own runtime, for others may have no thread for that, and be unable to make one.
    runtime: Handle,
    threads: Threads,
}

/// Readers between two questions.
struct Pool {
    idle: Mutex<Vec<CachedReader>>,
    permits: Semaphore,
}

/// A reader kept for the next time, which knows the store it belongs to.
#[derive(Debug)]
pub(crate) struct CachedReader {
    reader: Reader,
    generation: u64,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that looked for the answer died.
    #[error("the thread that reads the store died")]
    Died,
}

impl Readers {
    pub(crate) fn new(open: ReaderFactory, threads: Threads) -> Self {
        Self {
            open,
            generation: Arc::default(),
            pool: Arc::new(Pool {
                idle: Mutex::new(Vec::with_capacity(MAX_POOLED)),
                permits: Semaphore::new(MAX_POOLED),
            }),
            runtime: Handle::current(),
            threads,
        }
    }

    /// Answers a question with a reader of the pool, on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        // The semaphore is never closed.
        let permit = self.pool.permits.acquire().await;
        let readers = self.clone();
        let answer = self.threads.run_on(&self.runtime, move || {
            let cached = readers.idle().pop();
            let mut reader = readers.current(cached)?;
            let answer = question(&mut reader);
            readers.idle().push(reader);
            answer
        });
        let answer = answer.await;
        drop(permit);
        Ok(answer.map_err(|_| ReadError::Died)??)
    }

    /// This reader, or a new one if there is none or it reads a store that was quarantined.
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

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<CachedReader>> {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
