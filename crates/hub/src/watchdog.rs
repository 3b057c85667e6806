//! Checks the machine the hub runs on, and calls a watchdog elsewhere: only while all is well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use rustix::fs::statvfs;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{debug, info, warn};
use watchpost_config::{Settings, WatchdogSettings};
use watchpost_core::{
    ClockLook, ClockStep, ClockWatch, Feed, HubEvent, LowDiskAlarm, MonotonicTime, SinkState, UnixMillis,
};

use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::platform::Platform;
use crate::source::ConnectionState;
use crate::store::{StoreHandle, StoreState};
use crate::supervisor::{Report, Reports, Supervisor};
use crate::watchdog_call::call;

/// How often disk and clock are looked at, and, when a call of the watchdog is due, whether all is well.
const TICK: Duration = Duration::from_secs(1);

/// How long a call of the watchdog may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A clock that was set by less is no news, in milliseconds.
const JUMP_MS: u64 = 30_000;

/// When this program was built: a clock that shows an earlier time cannot be right.
const BUILT: UnixMillis = match i64::from_str_radix(env!("WATCHPOST_BUILT"), 10) {
    Ok(seconds) => UnixMillis(seconds * 1_000),
    Err(_) => panic!("the build script gives seconds since 1970"),
};

/// What is wrong with the clock, if it cannot be right.
pub(crate) fn clock_problem(shown: UnixMillis) -> Option<String> {
    (shown < BUILT)
        .then(|| format!("this machine's clock shows {shown}, which is before this program was built"))
}

/// What is known of the machine's clock.
#[derive(Default)]
struct WallClock {
    watch: ClockWatch,
    /// It was set, and what is stored is being moved along.
    moving: Option<oneshot::Receiver<()>>,
    /// It shows a time before this program was built.
    wrong: bool,
}

/// What the watch works with.
pub(crate) struct Watch {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) store: StoreHandle,
    pub(crate) store_state: StoreState,
    pub(crate) watchdog_state: WatchdogState,
    /// Where the data are, how much room there has to be, and which watchdog is called.
    pub(crate) settings: CurrentSettings,
    pub(crate) clock: Clock,
    pub(crate) platform: Arc<dyn Platform>,
}

impl Watch {
    /// Watches from now on. Returns where it says how calling the watchdog goes.
    pub(crate) fn start(self) -> WatchdogState {
        let state = self.watchdog_state.clone();
        actix::spawn(self.run());
        state
    }

    /// Watches until the hub has stopped.
    async fn run(self) {
        let (mut water, mut wall) = (LowDiskAlarm::new(), WallClock::default());
        let mut due = self.clock.now();
        let mut logged = None;
        while self.supervisor.connected() {
            let settings = self.settings.get();
            if settings.watchdog.is_none() {
                self.watchdog_state.set(None);
            }
            self.check_disk(&settings, &mut water);
            self.check_clock(&mut wall);
            if let Some(watchdog) = &settings.watchdog
                && self.clock.now() >= due
            {
                self.call(watchdog, &mut due, &mut logged).await;
            }
            sleep(TICK).await;
        }
    }

    fn check_disk(&self, settings: &Settings, water: &mut LowDiskAlarm) {
        let data_dir = &settings.hub.data_dir;
        if let Ok(disk) = statvfs(data_dir) {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if water.check(settings.store.min_free.0, free) {
                let dir = data_dir.display().to_string();
                self.store.raise(HubEvent::DiskLow { dir, free });
            }
        }
    }

    /// Follows the wall clock. When it was set, what is stored is moved along: forward the hub goes by the new time once
    /// that is done, back before it is, so that meanwhile nothing looks older than it is.
    fn check_clock(&self, wall: &mut WallClock) {
        if let Some(moving) = &mut wall.moving
            && !matches!(moving.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        {
            wall.moving = None;
            wall.watch.moved();
        }
        let ours = self.clock.unix();
        if !std::mem::replace(&mut wall.wrong, ours < BUILT) && wall.wrong {
            self.store.raise(HubEvent::ClockWrong { shown: ours });
        }
        match wall.watch.look(ours, self.clock.wall()) {
            ClockLook::Moving => {}
            ClockLook::Adjusted(millis) => self.clock.follow(millis),
            ClockLook::Stepped(millis) => {
                info!(millis, "the clock was set: moving what is stored along");
                if millis < 0 {
                    self.clock.follow(millis);
                }
                wall.moving = Some(self.store.clock_stepped(ClockStep { millis, at: ours }));
                if millis.unsigned_abs() >= JUMP_MS {
                    self.store.raise(HubEvent::ClockJumped { millis });
                }
            }
        }
    }

    /// Calls the watchdog if all is well. Otherwise it is tried again with the next tick: a connection that is just
    /// being reconnected should not cost a call.
    async fn call(&self, watchdog: &WatchdogSettings, due: &mut MonotonicTime, logged: &mut Option<String>) {
        let Ok(reports) = self.supervisor.send(Report).await else {
            return;
        };
        let problem = self.store_state.error().or_else(|| problem(&reports));
        if *logged != problem {
            match &problem {
                Some(problem) => info!("the watchdog is not called: {problem}"),
                None => debug!("all is well: the watchdog is called"),
            }
            logged.clone_from(&problem);
        }
        if problem.is_some() {
            return;
        }
        *due = self.clock.now() + watchdog.interval.into();
        let outcome = match watchdog.ping_url.read() {
            Ok(url) => call(&self.platform, &url, PING_TIMEOUT).await,
            Err(e) => Err(e.to_string()),
        };
        self.called(outcome);
    }

    /// A call has ended.
    fn called(&self, outcome: Result<(), String>) {
        let error = outcome.err();
        if !self.watchdog_state.set(error.clone()) {
            return;
        }
        match error {
            Some(error) => warn!("the watchdog could not be called: {error}"),
            None => info!("the watchdog can be called again"),
        }
    }
}

/// Why the watchdog could not be called the last time, if it could not. Shared with who asks for the status.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchdogState(Arc<Mutex<Option<String>>>);

impl WatchdogState {
    /// What was wrong.
    pub(crate) fn error(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how a call ended. Whether that is news.
    fn set(&self, error: Option<String>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *known != error;
        *known = error;
        news
    }
}

/// The first thing that is wrong.
fn problem(reports: &Reports) -> Option<String> {
    let connection = reports.connections.iter().find(|connection| {
        !matches!(
            connection.state,
            ConnectionState::Connected | ConnectionState::Listening
        )
    });
    let sink = reports.sinks.iter().find(|sink| {
        matches!(
            sink.state,
            SinkState::Down | SinkState::Failed | SinkState::Stopped
        )
    });
    let deaf = reports.connections.iter().find(|connection| {
        let link = connection.link.as_ref();
        link.is_some_and(|link| link.feed == Feed::List && link.list_failure.is_some())
    });
    connection
        .map(|connection| format!("connection {} is not open", connection.name))
        .or_else(|| {
            deaf.map(|connection| {
                format!(
                    "the list cannot be read that the alerts of connection {} come through",
                    connection.name
                )
            })
        })
        .or_else(|| sink.map(|sink| format!("sink {} does not deliver", sink.name)))
}
