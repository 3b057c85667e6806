//! The queue of a sink, which is the store. Tests have their own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Recipient, ResponseFuture};
use watchpost_config::TimeZone;
use watchpost_core::{AlertId, DeliveryResult, DueDelivery, Fetched, HubEvent, UnixMillis};
use watchpost_store::DeliveryUpdate;

use super::fetch::{self, Payload};
use crate::notifier::{MemoryDelivery, Stops};
use crate::platform::Threads;
use crate::store::{CachedReader, Readers, RecordOutcomes, Recorded, Released, StoreHandle};

/// Where a sink's deliveries come from and where their outcomes go.
pub(crate) trait Backlog: Send + Sync {
    /// Takes due deliveries, oldest first. An error says why the store cannot be read.
    fn fetch(&self, wanted: Wanted) -> ResponseFuture<Result<Fetched<Payload>, String>>;
    /// What the child gets of a delivery that the store cannot take now; `None` when it cannot be made of it.
    fn load_offered(&self, delivery: MemoryDelivery, now: UnixMillis) -> Option<DueDelivery<Payload>>;
    /// Has outcomes recorded, and says when they are.
    fn record(&self, results: Vec<DeliveryResult>, reply: Recipient<Recorded>);
    /// Makes everything due that waits for a retry, and says when it is.
    fn release_retries(&self, reply: Recipient<Released>);
    /// A person has acknowledged an alert at the sink.
    fn acknowledge(&self, alert: AlertId);
    /// Raises an event.
    fn raise(&self, event: HubEvent);
}

/// What to take.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) now: UnixMillis,
    /// Most deliveries.
    pub(crate) limit: usize,
    /// Stop when their pictures have reached this size in bytes.
    pub(crate) max_bytes: u64,
    /// In flight already, or not recorded yet.
    pub(crate) skip: BTreeSet<AlertId>,
    /// What must not be started.
    pub(crate) stops: Stops,
}

/// The store, for one sink.
pub(crate) struct StoreBacklog {
    sink: Arc<str>,
    /// Of the site, for the times that people see.
    zone: TimeZone,
    store: StoreHandle,
    readers: Readers,
    threads: Threads,
    /// Kept from one fetch to the next.
    reader: Arc<Mutex<Option<CachedReader>>>,
}

impl StoreBacklog {
    pub(crate) fn new(
        sink: &str,
        zone: TimeZone,
        store: StoreHandle,
        readers: Readers,
        threads: Threads,
    ) -> Self {
        Self {
            threads,
            sink: sink.into(),
            zone,
            store,
            readers,
            reader: Arc::default(),
        }
    }
}

impl Backlog for StoreBacklog {
    fn fetch(&self, wanted: Wanted) -> ResponseFuture<Result<Fetched<Payload>, String>> {
        let (sink, readers, slot) = (
            Arc::clone(&self.sink),
            self.readers.clone(),
            Arc::clone(&self.reader),
        );
        let (store, zone) = (self.store.clone(), self.zone.clone());
        let fetch = self.threads.run(move || {
            let cached = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut reader = readers.current(cached)?;
            let fetched = fetch::fetch(&mut reader, &sink, &zone, &wanted)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
            Ok(fetched)
        });
        Box::pin(async move {
            match fetch.await {
                Ok(fetched) => fetched.map_err(|why| {
                    store.suspect(&why);
                    why.to_string()
                }),
                Err(died) => Err(died.to_string()),
            }
        })
    }

    fn load_offered(&self, delivery: MemoryDelivery, now: UnixMillis) -> Option<DueDelivery<Payload>> {
        fetch::from_memory(delivery, &self.zone, now)
    }

    fn record(&self, results: Vec<DeliveryResult>, reply: Recipient<Recorded>) {
        let update = |result: DeliveryResult| DeliveryUpdate {
            alert: result.alert,
            sink: self.sink.to_string(),
            state: result.state,
            attempts: result.attempts,
            due_at: result.due_at,
            error: result.error,
        };
        let updates = results.into_iter().map(update).collect();
        self.store.record_outcomes(RecordOutcomes { updates, reply });
    }

    fn release_retries(&self, reply: Recipient<Released>) {
        self.store.release_retries(&self.sink, reply);
    }

    fn acknowledge(&self, alert: AlertId) {
        self.store.acknowledge_at(alert, &self.sink);
    }

    fn raise(&self, event: HubEvent) {
        self.store.raise(event);
    }
}
