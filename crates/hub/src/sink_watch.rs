//! Looks whether a sink does not get rid of its deliveries, whatever the reason, and has that reported to the others.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::sleep;
use tracing::warn;
use watchpost_core::{BacklogAlarm, UnixMillis};
use watchpost_store::Reader;

use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::store::{Readers, StoreHandle};
use crate::supervisor::{Report, Supervisor};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// What it works with.
pub(crate) struct SinkWatch {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) store: StoreHandle,
    pub(crate) readers: Readers,
    /// Which sinks there are, and how long a delivery may be due.
    pub(crate) settings: CurrentSettings,
    pub(crate) clock: Clock,
}

impl SinkWatch {
    /// Watches until the hub has stopped.
    pub(crate) async fn run(self) {
        let mut alarms = BTreeMap::new();
        while self.supervisor.connected() {
            match self.readers.read(Reader::waiting_since).await {
                Ok(waiting) => self.check(&mut alarms, &waiting).await,
                // The store's own failures are reported by the writer.
                Err(why) => {
                    warn!("cannot read what waits for the sinks: {why}");
                    self.store.suspect_read(&why);
                }
            }
            sleep(INTERVAL).await;
        }
    }

    async fn check(
        &self,
        alarms: &mut BTreeMap<String, BacklogAlarm>,
        waiting: &BTreeMap<String, UnixMillis>,
    ) {
        let Ok(reports) = self.supervisor.send(Report).await else {
            return;
        };
        let (now, settings) = (self.clock.unix(), self.settings.get());
        let is_there = |name: &String| settings.sink.iter().any(|sink| sink.name == *name);
        alarms.retain(|name, _| is_there(name));
        for name in settings.sink.iter().map(|sink| &sink.name) {
            let alarm = alarms
                .entry(name.clone())
                .or_insert_with(|| BacklogAlarm::new(name.clone()));
            let report = reports.sinks.iter().find(|report| report.name == *name);
            let why = report.and_then(|report| report.last_error.as_deref());
            let grace = settings.hub.sink_grace.into();
            if let Some(event) = alarm.check(now, grace, waiting.get(name).copied(), why) {
                self.store.raise(event);
            }
        }
    }
}
