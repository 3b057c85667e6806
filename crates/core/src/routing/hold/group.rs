//! What makes a group of alerts: the labels that they share. It does not know what becomes of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Pace;
use crate::Alert;

/// Letters of a label's value that tell groups apart. Programs that post alerts may give longer ones.
const MAX_LABEL_CHARS: usize = 80;

/// What alerts of one group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the keys in `[route.match]`")]
pub enum GroupLabel {
    Connection,
    Camera,
    Area,
    Stream,
    Kind,
    Status,
    Severity,
}

/// That a route sends one message for all alerts of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// What they have in common; nothing where all that the route takes is one group.
    pub by: Vec<GroupLabel>,
    /// How often there is one.
    pub pace: Pace,
}

/// By which a group is known: the values of its labels. Without any it is of all alerts, or of all that have no group of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupKey(BTreeMap<GroupLabel, String>);

impl GroupLabel {
    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Camera => "camera",
            Self::Area => "area",
            Self::Stream => "stream",
            Self::Kind => "kind",
            Self::Status => "status",
            Self::Severity => "severity",
        }
    }

    /// Its value in an alert. One that has none is of the same group as all others that have none.
    fn value(self, alert: &Alert) -> String {
        let camera = alert.camera.as_ref();
        let value = match self {
            Self::Connection => alert.connection.clone(),
            Self::Camera => camera.map_or_else(String::new, |camera| camera.label().to_owned()),
            Self::Area => alert.area().unwrap_or_default().to_owned(),
            Self::Stream => camera.map_or_else(String::new, |camera| camera.id.clone()),
            Self::Kind => alert.kind.to_string(),
            Self::Status => alert.details.status.clone(),
            Self::Severity => alert.severity.to_string(),
        };
        match value.char_indices().nth(MAX_LABEL_CHARS) {
            Some((end, _)) => value[..end].to_owned(),
            None => value,
        }
    }
}

impl Grouping {
    /// The group of an alert.
    pub(in crate::routing) fn key(&self, alert: &Alert) -> GroupKey {
        GroupKey::of(&self.by, alert)
    }
}

impl GroupKey {
    /// The group of an alert by these labels.
    pub(in crate::routing) fn of(by: &[GroupLabel], alert: &Alert) -> Self {
        Self(by.iter().map(|label| (*label, label.value(alert))).collect())
    }
}

impl fmt::Display for GroupKey {
    /// `of camera Back door, kind anomaly`, and nothing where it is of all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.0.iter().map(|(label, value)| match value.as_str() {
            "" => format!("no {}", label.word()),
            value => format!("{} {value}", label.word()),
        });
        let labels: Vec<String> = labels.collect();
        match labels.as_slice() {
            [] => Ok(()),
            labels => write!(f, " of {}", labels.join(", ")),
        }
    }
}
