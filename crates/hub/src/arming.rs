//! The way by which people arm and disarm, wherever they are: what sounds is stopped before that is recorded. What arming does is
//! decided by the routing step.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tracing::warn;
use watchpost_config::PersonSettings;
use watchpost_core::{
    AlertId, AlertIds, AreaPolicy, Areas, ArmingCommand, CodeRefused, CommandRefused, Panic,
};

use crate::areas;
use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::handle::{AskError, Recording, recording};
use crate::platform::Threads;
use crate::store::{Readers, StoreHandle};

/// What arms and disarms. Clones are the same.
#[derive(Clone)]
pub(crate) struct Arming {
    pub(crate) store: StoreHandle,
    pub(crate) readers: Readers,
    pub(crate) settings: CurrentSettings,
    pub(crate) clock: Clock,
    pub(crate) ids: Arc<AlertIds>,
    pub(crate) threads: Threads,
    pub(crate) live: LiveAreas,
    /// To try a code takes memory: one at a time.
    pub(crate) codes: Arc<Semaphore>,
}

impl Arming {
    /// Arms or disarms areas. What makes noise for those that are disarmed stops at once, also while the store cannot be
    /// written.
    pub(crate) async fn carry_out(&self, command: ArmingCommand) -> Result<Recording<u64>, AskError> {
        let hush = areas::hush(&self.settings.get(), &self.live.now(), &command);
        let sounding = match hush.clone() {
            // A store that cannot be read is no reason to let a siren sound: what it does not know is stopped when it can.
            Some(hush) => match self.readers.read(move |reader| reader.noise(&hush)).await {
                Ok(sounding) => sounding,
                Err(why) => {
                    self.store.suspect_read(&why);
                    BTreeSet::new()
                }
            },
            None => BTreeSet::new(),
        };
        recording(self.store.arming(command, hush, sounding).await)
    }

    /// Raises a panic. It does not wait for a store that cannot be written. Returns the alert's id, and whether it is recorded.
    pub(crate) async fn panic(&self, panic: Panic) -> Result<(AlertId, Recording<u64>), AskError> {
        if !panic.areas.is_empty() {
            let policies = self.settings.get().area_policies();
            AreaPolicy::named(&policies, &panic.areas).map_err(CommandRefused::from)?;
        }
        let now = self.clock.unix();
        let id = self.ids.next(now);
        let alert = panic.into_alert(id, now);
        warn!("{}: {}", alert.title, alert.text);
        Ok((id, recording(self.store.panic(alert).await)?))
    }

    /// Records that a code was given at a sink that is no one's. It is refused, with what that means.
    pub(crate) async fn wrong_code(&self, sink: &str) -> Result<Recording<u64>, AskError> {
        recording(self.store.wrong_code(sink).await)
    }

    /// Why a sink takes no code now, if it takes none and that is known.
    pub(crate) async fn locked(&self, sink: &str) -> Option<CodeRefused> {
        let now = self.clock.unix();
        let read = self.readers.read(|reader| reader.routing_state()).await;
        read.inspect_err(|why| self.store.suspect_read(why))
            .ok()?
            .codes
            .locked(now, sink)
    }

    /// The name of the person whose code this is, if it is anyone's. It does not hold up the thread that asks.
    pub(crate) async fn person_of_code(&self, code: String) -> Option<String> {
        // The semaphore is never closed.
        let _turn = self.codes.acquire().await;
        let settings = self.settings.get();
        let find = move || PersonSettings::of_code(&settings.person, &code).map(str::to_owned);
        self.threads.run(find).await.ok().flatten()
    }
}

/// What is remembered of areas, as it was last committed. Clones are the same.
#[derive(Clone)]
pub(crate) struct LiveAreas(watch::Sender<Areas>);

impl LiveAreas {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Areas::default()))
    }

    /// It is this now.
    pub(crate) fn publish(&self, areas: &Areas) {
        self.0.send_if_modified(|known| {
            let changes = known != areas;
            if changes {
                known.clone_from(areas);
            }
            changes
        });
    }

    /// What it is now.
    pub(crate) fn now(&self) -> Areas {
        self.0.borrow().clone()
    }

    /// What it is now, and wakes whenever that changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Areas> {
        self.0.subscribe()
    }
}
