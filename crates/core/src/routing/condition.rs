//! Conditions: something is wrong on a site for a while, and other events follow from it. Each begins with an event and ends with one,
//! and is committed with them. That a connection is away is remembered here; that something is quiet which is expected is remembered
//! with what is expected. It knows no rule.
//!
//! What was away when the hub ended may be back since. So after a start that is not known, until the connection has said that it is
//! up, or is away for as long as is reported. What would follow from it is withheld meanwhile, and decided about once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RouteReason;
use crate::about::{LINK_LOST, QUIET};
use crate::{AlertId, UnixMillis};

/// So long after an outage was to be reported it is known that there is none.
const MARGIN: Duration = Duration::from_secs(60);

/// Events that are withheld because of one connection. What comes beyond is not withheld.
const MAX_WITHHELD: usize = 100;

/// A condition, by the word for the event with which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKind {
    /// A connection is away.
    LinkLost,
    /// What is expected to raise an alert now and then does not.
    Quiet,
}

impl ConditionKind {
    /// The word for the event with which it begins.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::LinkLost => LINK_LOST,
            Self::Quiet => QUIET,
        }
    }

    /// That it holds of this.
    pub(super) fn of(self, name: &str) -> String {
        match self {
            Self::LinkLost => format!("connection {name} is disconnected (`link_lost`)"),
            Self::Quiet => format!("nothing comes from {name} (`quiet`)"),
        }
    }
}

/// The connections that are away, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LostLinks(BTreeMap<String, LostLink>);

/// A connection that is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LostLink {
    /// Since when that is known.
    pub since: UnixMillis,
    /// The hub was started since, and it is not known whether it still is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<Unknown>,
}

/// It is not known whether a condition still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Unknown {
    /// Then it is over, if nothing has said otherwise. `None` where no one has looked yet.
    until: Option<UnixMillis>,
    /// What waits for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    withheld: Vec<Withheld>,
}

/// An event that is withheld from some sinks until it is known whether a connection is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// Which.
    pub alert: AlertId,
    /// From whom.
    pub sinks: Vec<String>,
    /// By which rule.
    pub rule: String,
    /// Because of which connection.
    pub connection: String,
    /// What it says is quiet, if it says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

impl Withheld {
    /// Why it is not delivered, once the connection is known to be away.
    pub fn inhibited(&self) -> RouteReason {
        RouteReason::Inhibited {
            rule: self.rule.clone(),
            condition: ConditionKind::LinkLost,
            name: self.connection.clone(),
        }
    }
}

impl LostLinks {
    /// These connections are away, since then.
    pub fn away(since: UnixMillis, connections: impl IntoIterator<Item = String>) -> Self {
        let lost = LostLink { since, unknown: None };
        let connections = connections.into_iter();
        Self(connections.map(|name| (name, lost.clone())).collect())
    }

    /// Whether no connection is away.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that are away, or were when the hub ended, and whether that is known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, bool)> {
        let lost = self.0.iter();
        lost.map(|(name, lost)| (name.as_str(), lost.unknown.is_none()))
    }

    /// A connection is away. Returns what was withheld until that was known.
    pub(super) fn lost(&mut self, now: UnixMillis, connection: &str) -> Vec<Withheld> {
        let known = self.0.entry(connection.to_owned());
        let lost = known.or_insert(LostLink {
            since: now,
            unknown: None,
        });
        lost.unknown.take().unwrap_or_default().withheld
    }

    /// A connection is up. Returns what was withheld until that was known.
    pub(super) fn back(&mut self, connection: &str) -> Vec<Withheld> {
        let lost = self.0.remove(connection);
        lost.and_then(|lost| lost.unknown).unwrap_or_default().withheld
    }

    /// The hub was started: what was away may be back.
    pub(super) fn set_unknown(&mut self) {
        for lost in self.0.values_mut() {
            lost.unknown.get_or_insert_default().until = None;
        }
    }

    /// When [`Self::look`] has something to do.
    pub(super) fn next_look(&self) -> Option<UnixMillis> {
        let unknown = self.0.values().filter_map(|lost| lost.unknown.as_ref());
        unknown
            .map(|unknown| unknown.until.unwrap_or(UnixMillis(0)))
            .min()
    }

    /// Forgets connections that there are no more and those of which nothing is known for too long: one that is away says so after
    /// `grace`. Returns what was withheld because of them.
    pub(super) fn look(
        &mut self,
        now: UnixMillis,
        grace: Duration,
        is_there: impl Fn(&str) -> bool,
    ) -> Vec<Withheld> {
        for unknown in self.0.values_mut().filter_map(|lost| lost.unknown.as_mut()) {
            unknown.until.get_or_insert(now + grace + MARGIN);
        }
        let is_over = |name: &str, lost: &LostLink| {
            let until = lost.unknown.as_ref().and_then(|unknown| unknown.until);
            !is_there(name) || until.is_some_and(|until| until <= now)
        };
        let mut withheld = Vec::new();
        self.0.retain(|name, lost| {
            let over = is_over(name, lost);
            if over {
                withheld.extend(lost.unknown.take().unwrap_or_default().withheld);
            }
            !over
        });
        withheld
    }

    /// Until when it is not known whether a connection is away that was, if so and if an event can be withheld as long.
    pub(super) fn unknown_until(&self, connection: &str) -> Option<UnixMillis> {
        let unknown = self.0.get(connection)?.unknown.as_ref()?;
        unknown.until.filter(|_| unknown.withheld.len() < MAX_WITHHELD)
    }

    /// Withholds an event.
    pub(super) fn withhold(&mut self, event: Withheld) {
        let lost = self.0.get_mut(&event.connection);
        if let Some(unknown) = lost.and_then(|lost| lost.unknown.as_mut()) {
            unknown.withheld.push(event);
        }
    }

    /// The clock was set, and is at `now` since.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        for lost in self.0.values_mut().filter(|lost| lost.since <= before) {
            let until = lost
                .unknown
                .iter_mut()
                .filter_map(|unknown| unknown.until.as_mut());
            for at in until.chain([&mut lost.since]) {
                at.0 = at.0.saturating_add(millis);
            }
        }
    }
}
