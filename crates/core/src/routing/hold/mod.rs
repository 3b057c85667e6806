//! What is held back and summed up: alerts that a sink is to get as one message. This is the one place for that, whatever the
//! reason ([`HoldCause`]).
//!
//! Who is to get an alert as one of many gets none of it by itself: it joins a [`HoldWindow`], which is committed with it. When the
//! window is due the hub makes one alert of kind `digest` of it (`digest.rs`), whose commit sends it and says how the window goes
//! on. So a hub that was away meanwhile finds the window overdue, and does it once. What is acknowledged, silenced or not to be
//! sent any more is let go while it waits, in the commit of that.
//!
//! It knows no routes but by their names.

mod digest;
mod group;
mod held;
mod rate;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::digest::{DueDigest, LatePolicy};
pub use self::group::{GroupKey, GroupLabel, Grouping};
pub use self::held::{HeldAlert, HeldAlerts};
pub use self::rate::{MAX_RATE_COUNT, RateLimit};
use self::window::Offer;
pub(super) use self::window::Offered;
pub use self::window::{HoldWindow, Pace};
use super::{Cancellation, CancelledAlerts, Unsent};
use crate::{Alert, AlertId, Severity, UnixMillis};

/// Groups of one route at one sink. A site has fewer cameras, but programs that post alerts may name any: what has no group of its
/// own any more shares one.
pub const MAX_GROUPS: usize = 64;

/// Why alerts are held.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum HoldCause {
    /// They came late, all at once.
    #[default]
    Late,
    /// They are of one group.
    Group {
        /// The route that groups them.
        route: String,
        /// What they have in common.
        group: GroupKey,
    },
    /// There were more than the rate limit of their sink allows.
    RateLimit,
}

/// By which a window is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HoldKey {
    /// Name of the sink that the message is for.
    pub sink: String,
    /// Why alerts are held.
    pub cause: HoldCause,
}

/// An alert that is not held for a sink any more, nor sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetGo {
    /// Name of the sink.
    pub sink: String,
    /// Which.
    pub alert: AlertId,
}

/// All windows that are not idle. It is a part of what routing remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(HoldKey, HoldWindow)>", into = "Vec<(HoldKey, HoldWindow)>")]
pub struct Holds(BTreeMap<HoldKey, HoldWindow>);

impl From<Vec<(HoldKey, HoldWindow)>> for Holds {
    fn from(windows: Vec<(HoldKey, HoldWindow)>) -> Self {
        Self(windows.into_iter().collect())
    }
}

impl From<Holds> for Vec<(HoldKey, HoldWindow)> {
    fn from(holds: Holds) -> Self {
        holds.0.into_iter().collect()
    }
}

impl HoldCause {
    /// Alerts that a digest names one by one, the newest.
    fn most_named(&self) -> usize {
        match self {
            // A sink has one such window.
            Self::Late | Self::RateLimit => 100,
            // There may be one for each camera, and all are stored with each alert that joins one.
            Self::Group { .. } => 20,
        }
    }
}

impl Holds {
    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All windows.
    pub fn windows(&self) -> impl Iterator<Item = (&HoldKey, &HoldWindow)> {
        self.0.iter()
    }

    /// What is held for sinks, as far as each alert is known.
    pub fn alerts(&self) -> impl Iterator<Item = (&str, AlertId)> {
        self.0.iter().flat_map(|(key, window)| {
            let held = window.held().into_iter().flat_map(HeldAlerts::newest);
            held.map(|held| (key.sink.as_str(), held.id))
        })
    }

    /// Has a late alert wait for this sink.
    pub(super) fn hold_late(&mut self, now: UnixMillis, sink: &str, alert: &Alert) {
        let key = HoldKey {
            sink: sink.to_owned(),
            cause: HoldCause::Late,
        };
        let most = key.cause.most_named();
        match self.0.get_mut(&key) {
            Some(window) => window.offer_late(now, alert, most),
            None => drop(self.0.insert(key, HoldWindow::begin_late(now, alert))),
        }
    }

    /// An alert comes that a route groups, and that may be sent at once or not, as far as other rules go. Returns the group that
    /// holds it, and until when; `None` where no group does.
    pub(super) fn offer(
        &mut self,
        now: UnixMillis,
        sink: &str,
        (route, grouping): (&str, &Grouping),
        (offered, may_send): (Offered<'_>, bool),
    ) -> Option<(GroupKey, UnixMillis)> {
        let key = |group: GroupKey| HoldKey {
            sink: sink.to_owned(),
            cause: HoldCause::Group {
                route: route.to_owned(),
                group,
            },
        };
        let mut group = grouping.key(offered.alert);
        self.0.retain(|_, window| !window.is_idle(now));
        if !self.0.contains_key(&key(group.clone())) && self.groups(sink, route) >= MAX_GROUPS {
            group = GroupKey::default();
        }
        let key = key(group.clone());
        let most = key.cause.most_named();
        let (offer, until) = match self.0.get_mut(&key) {
            Some(window) => (window.offer(offered, may_send, most), window.until()),
            None => {
                let (window, offer) = HoldWindow::begin(now, grouping.pace, offered, may_send)?;
                let until = window.until();
                self.0.insert(key, window);
                (offer, until)
            }
        };
        (offer == Offer::Held).then_some((group, until))
    }

    /// How many groups a route has at a sink.
    fn groups(&self, sink: &str, route: &str) -> usize {
        let is_of = |key: &&HoldKey| {
            let of_route = matches!(&key.cause, HoldCause::Group { route: name, .. } if name == route);
            key.sink == sink && of_route
        };
        self.0.keys().filter(is_of).count()
    }

    /// What a window has held is sent as a digest. With a pace it is open from now on.
    pub(super) fn sent(&mut self, now: UnixMillis, key: &HoldKey, pace: Option<Pace>, severity: Severity) {
        if key.cause == HoldCause::RateLimit {
            // What the sink got lately goes on counting.
            return self.0.get_mut(key).into_iter().for_each(HoldWindow::let_all_go);
        }
        let known = self.0.remove(key);
        if let (Some(_), Some(pace)) = (known, pace) {
            let window = HoldWindow::begin_after(now, pace, severity);
            self.0.insert(key.clone(), window);
        }
    }

    /// When the first window is due whose alerts are to be sent.
    pub(super) fn next_digest(&self) -> Option<UnixMillis> {
        let holding = self.0.values().filter(|window| window.held().is_some());
        holding.map(HoldWindow::until).min()
    }

    /// What is due of that.
    pub(super) fn due_digest(&self, now: UnixMillis) -> Option<DueDigest> {
        let due = self.0.iter().filter(|(_, window)| window.until() <= now);
        let mut due = due.filter(|(key, window)| !self.has_to_wait(now, key, window));
        due.find_map(|(key, window)| {
            Some(DueDigest {
                key: key.clone(),
                held: window.held()?.clone(),
                more: window.is_open(),
            })
        })
    }

    /// When there is something to do that makes no message: the first window is over that holds nothing, or what one holds may not
    /// be sent yet.
    pub(super) fn next_change(&self) -> Option<UnixMillis> {
        let empty = self.0.values().filter(|window| window.held().is_none());
        empty.map(HoldWindow::until).chain(self.next_join()).min()
    }

    /// Forgets windows that are over. What is held for no reason any more, as the configuration is another one, is due.
    pub(super) fn advance(
        &mut self,
        now: UnixMillis,
        is_wanted: impl Fn(&HoldKey) -> bool,
        limit: impl Fn(&str) -> Option<RateLimit>,
    ) {
        for (key, window) in &mut self.0 {
            window.begin_by(now);
            if !is_wanted(key) {
                window.end(now);
            }
        }
        self.set_limits(now, limit);
        self.join_what_is_over(now);
        self.0.retain(|_, window| !window.is_idle(now));
    }

    /// Alerts were acknowledged. They are not sent any more to sinks that are not to get such.
    pub(super) fn acknowledge(
        &mut self,
        cancellation: &Cancellation,
        cancels: impl Fn(&str) -> bool,
    ) -> Vec<LetGo> {
        let concerns = |sink: &str| cancels(sink) && cancellation.except.as_deref() != Some(sink);
        let gone = self.let_go(|sink, held| {
            let covered = match cancellation.alerts {
                CancelledAlerts::One(alert) => held.id == alert,
                CancelledAlerts::Through(alert) => held.id <= alert,
            };
            covered && concerns(sink)
        });
        if let CancelledAlerts::Through(alert) = cancellation.alerts {
            for (_, window) in self.0.iter_mut().filter(|(key, _)| concerns(&key.sink)) {
                window.let_go_through(alert);
            }
        }
        self.tidy();
        gone
    }

    /// A silence has begun that keeps this alert from some sinks, whether it was held for them or on its way. Returns how many
    /// others go with it, which are only counted.
    pub(super) fn silence(&mut self, now: UnixMillis, alert: AlertId, mutes: impl Fn(&str) -> bool) -> u64 {
        let gone = self.let_go(|sink, held| held.id == alert && mutes(sink));
        let mut more = 0;
        for (key, window) in self.0.iter_mut().filter(|(key, _)| mutes(&key.sink)) {
            if gone.iter().any(|gone| gone.sink == key.sink) {
                more += window.follow();
            }
            window.take_back(now, |opened, _| opened == alert);
        }
        self.tidy();
        more
    }

    /// An alarm was held back from some sinks, and is not sent any more.
    pub(super) fn take_back(&mut self, now: UnixMillis, unsent: &[Unsent]) -> Vec<LetGo> {
        let covers = |sink: &str, alert: AlertId, area: Option<&str>| {
            let mut unsent = unsent.iter();
            unsent.any(|unsent| {
                let of_alarm = area == Some(&unsent.area) && alert >= unsent.from;
                of_alarm && unsent.sinks.iter().any(|name| name == sink)
            })
        };
        let gone = self.let_go(|sink, held| covers(sink, held.id, held.area.as_deref()));
        for (key, window) in &mut self.0 {
            window.take_back(now, |alert, area| covers(&key.sink, alert, area));
        }
        self.tidy();
        gone
    }

    fn let_go(&mut self, which: impl Fn(&str, &HeldAlert) -> bool) -> Vec<LetGo> {
        let mut all = Vec::new();
        for (key, window) in &mut self.0 {
            let gone = window.let_go(|held| which(&key.sink, held));
            all.extend(gone.into_iter().map(|alert| LetGo {
                sink: key.sink.clone(),
                alert,
            }));
        }
        all
    }

    fn tidy(&mut self) {
        self.0.retain(|_, window| window.goes_on());
    }

    /// The clock was set, and is at `now` since: each window lasts as long as it would have.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        self.0
            .values_mut()
            .for_each(|window| window.shift(before, millis));
    }
}
