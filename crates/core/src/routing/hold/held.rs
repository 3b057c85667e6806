//! Alerts that are held, and what is known of them together. It knows neither why they are held nor until when.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{Alert, AlertId, Camera, Severity, UnixMillis, Via};

/// Alerts that wait for being delivered as one message, at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldAlerts {
    /// The newest, each of which can still be let go.
    newest: VecDeque<HeldAlert>,
    /// Those before them, which are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<Earlier>,
    /// The connections that they came over.
    connections: BTreeSet<String>,
    /// Whether all of them were fetched from a backend's list.
    listed: bool,
    /// The camera that saw all of them, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    camera: Option<Camera>,
}

/// An alert that is held, as far as its digest needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldAlert {
    /// Which.
    pub id: AlertId,
    /// When it happened.
    pub at: UnixMillis,
    /// How much it matters.
    pub severity: Severity,
    /// Its score; the lower the worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Its title.
    pub title: String,
    /// The area of its camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
}

/// Alerts that are only counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Earlier {
    count: u64,
    from: UnixMillis,
    to: UnixMillis,
    /// The greatest id among them.
    through: AlertId,
    worst: HeldAlert,
}

impl HeldAlert {
    fn of(alert: &Alert) -> Self {
        Self {
            id: alert.id,
            at: alert.happened_at(),
            severity: alert.severity,
            score: alert.details.score,
            title: alert.title.clone(),
            area: alert.area().map(str::to_owned),
        }
    }

    /// Whether this one matters more than another.
    fn is_worse_than(&self, other: &Self) -> bool {
        let score = |held: &Self| held.score.unwrap_or(f64::INFINITY);
        (self.severity > other.severity) || (self.severity == other.severity && score(self) < score(other))
    }
}

impl HeldAlerts {
    /// Holds the first one.
    pub(super) fn of(alert: &Alert) -> Self {
        Self {
            newest: VecDeque::from([HeldAlert::of(alert)]),
            earlier: None,
            connections: BTreeSet::from([alert.connection.clone()]),
            listed: alert.via == Via::List,
            camera: alert.camera.clone(),
        }
    }

    /// Holds another one. Beyond `most` the oldest are only counted.
    pub(super) fn hold(&mut self, alert: &Alert, most: usize) {
        self.newest.push_back(HeldAlert::of(alert));
        self.connections.insert(alert.connection.clone());
        self.listed &= alert.via == Via::List;
        self.see(alert.camera.as_ref());
        self.shorten(most);
    }

    /// Holds others as well, which were held apart. Beyond `most` the oldest are only counted.
    pub(super) fn join(&mut self, others: Self, most: usize) {
        self.newest.extend(others.newest);
        self.newest.make_contiguous().sort_by_key(|held| held.id);
        self.earlier = match (self.earlier.take(), others.earlier) {
            (Some(mut earlier), Some(other)) => {
                earlier.join(other);
                Some(earlier)
            }
            (earlier, other) => earlier.or(other),
        };
        self.connections.extend(others.connections);
        self.listed &= others.listed;
        self.see(others.camera.as_ref());
        self.shorten(most);
    }

    fn see(&mut self, camera: Option<&Camera>) {
        // A session of the backend gives the same camera another id.
        let label = |camera: &Camera| camera.label().to_owned();
        if self.camera.as_ref().map(label) != camera.map(label) {
            self.camera = None;
        }
    }

    fn shorten(&mut self, most: usize) {
        while self.newest.len() > most {
            let Some(oldest) = self.newest.pop_front() else {
                return;
            };
            match &mut self.earlier {
                Some(earlier) => earlier.add(oldest),
                None => self.earlier = Some(Earlier::of(oldest)),
            }
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        let earlier = self.earlier.as_ref().map_or(0, |earlier| earlier.count);
        earlier + self.newest.len() as u64
    }

    /// When the first of them happened, and when the last.
    pub fn times(&self) -> (UnixMillis, UnixMillis) {
        let newest = self.newest.iter().map(|held| (held.at, held.at));
        let earlier = self.earlier.iter().map(|earlier| (earlier.from, earlier.to));
        let times = earlier.chain(newest);
        times
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
            .unwrap_or_default()
    }

    /// The one that matters most: the severest, then that with the lowest score, then the first.
    pub fn worst(&self) -> Option<&HeldAlert> {
        let earlier = self.earlier.iter().map(|earlier| &earlier.worst);
        earlier.chain(&self.newest).reduce(
            |worst, other| {
                if other.is_worse_than(worst) { other } else { worst }
            },
        )
    }

    /// The newest of them.
    pub fn newest(&self) -> impl Iterator<Item = &HeldAlert> {
        self.newest.iter()
    }

    /// The connections that they came over.
    pub(super) fn connections(&self) -> &BTreeSet<String> {
        &self.connections
    }

    /// Whether all of them were fetched from a backend's list.
    pub(super) fn are_listed(&self) -> bool {
        self.listed
    }

    /// The camera that saw all of them, if it was one.
    pub(super) fn camera(&self) -> Option<&Camera> {
        self.camera.as_ref()
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_empty() && self.earlier.is_none()
    }

    /// Lets go of those that are not to be delivered any more. Returns them.
    pub(super) fn let_go(&mut self, which: impl Fn(&HeldAlert) -> bool) -> Vec<AlertId> {
        let (gone, kept): (VecDeque<HeldAlert>, _) = self.newest.drain(..).partition(which);
        self.newest = kept;
        gone.into_iter().map(|held| held.id).collect()
    }

    /// Lets go of those that are only counted, if all of them are as old as this alert or older.
    pub(super) fn let_go_through(&mut self, alert: AlertId) {
        self.earlier.take_if(|earlier| earlier.through <= alert);
    }

    /// Lets go of those that are only counted where no newer one is left: what became of the newer ones becomes of them. Returns
    /// how many.
    pub(super) fn follow(&mut self) -> u64 {
        let alone = self.newest.is_empty();
        let earlier = self.earlier.take_if(|_| alone);
        earlier.map_or(0, |earlier| earlier.count)
    }
}

impl Earlier {
    fn of(held: HeldAlert) -> Self {
        Self {
            count: 1,
            from: held.at,
            to: held.at,
            through: held.id,
            worst: held,
        }
    }

    fn add(&mut self, held: HeldAlert) {
        self.join(Self::of(held));
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        (self.from, self.to) = (self.from.min(other.from), self.to.max(other.to));
        self.through = self.through.max(other.through);
        if other.worst.is_worse_than(&self.worst) {
            self.worst = other.worst;
        }
    }
}
