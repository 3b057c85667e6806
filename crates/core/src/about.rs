//! What internal events are about, by the names in the configuration: rules ask it of them as they ask of a camera's alert where that
//! came from.

use serde::{Deserialize, Serialize};

use crate::HubEvent;

/// The words for a connection that is away, and for its end.
pub(crate) const LINK_LOST: &str = "link_lost";
/// See [`LINK_LOST`].
pub(crate) const LINK_BACK: &str = "link_back";

/// The word for what is expected to raise alerts and does not.
pub(crate) const QUIET: &str = "quiet";

/// What an internal event is about. A name is given where there is exactly one that it concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Name of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Name of the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// Name of the area.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// Name of the sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Name of what is expected to raise alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

impl About {
    /// A connection.
    pub(crate) fn connection(name: &str) -> Self {
        Self {
            connection: Some(name.to_owned()),
            ..Self::default()
        }
    }

    fn sink(name: &str) -> Self {
        Self {
            sink: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// The same, of what is expected.
    pub(crate) fn of_expected(&self, name: &str) -> Self {
        Self {
            expect: Some(name.to_owned()),
            ..self.clone()
        }
    }
}

impl HubEvent {
    /// What it is about, if it is not the hub as a whole.
    pub(crate) fn about(&self) -> Option<About> {
        Some(match self {
            Self::AlertsDropped { connection, .. }
            | Self::LinkLost { connection, .. }
            | Self::LinkBack { connection, .. }
            | Self::StillLost { connection, .. }
            | Self::ListLost { connection, .. }
            | Self::ListBack { connection, .. }
            | Self::SubscriptionLost { connection, .. }
            | Self::LoginRefused { connection, .. }
            | Self::ClockDiffers { connection, .. } => About::connection(connection),
            Self::SinkFailed { sink, .. }
            | Self::SinkRecovered { sink }
            | Self::SinkOverdue { sink, .. }
            | Self::SinkCaughtUp { sink, .. }
            | Self::DeadLetters { sink, .. }
            | Self::CodesLocked { sink } => About::sink(sink),
            Self::Quiet { name, about, .. }
            | Self::QuietOver { name, about, .. }
            | Self::StillQuiet { name, about, .. } => about.of_expected(name),
            Self::Area(event) => About {
                area: Some(event.area.clone()),
                ..About::default()
            },
            Self::DiskLow { .. }
            | Self::ClockJumped { .. }
            | Self::ClockWrong { .. }
            | Self::StoreRecovered { .. }
            | Self::StoreReplaced { .. }
            | Self::Escalation(_)
            | Self::SilenceOver { .. } => return None,
        })
    }
}
