//! What notifications are good for: they name the backend's record of an alert that came before, report an Owl Eye
//! detection that no alert comes for, or are notices for people.

use std::sync::Arc;

use watchpost_config::ConnectionSettings;
use watchpost_core::{
    Alert, AlertId, AlertIds, AlertKind, Camera, Details, Picture, Severity, UNKNOWN, UnixMillis, VisionGuard,
};
use watchpost_store::Annotation;
use watchpost_visionguard as wire;
use watchpost_visionguard::{Notification, NotificationKind};

/// What a notification is good for, free of its message.
pub(super) enum NotificationEffect {
    /// The record of an alert that came before it.
    Record(Record),
    /// A detection of the night watch, as the notification has it.
    OwlEye { record: Record, alert: Box<Alert> },
    /// A notice for people that is wanted.
    Notice(Box<Alert>),
    /// Nothing that is wanted.
    Nothing,
}

/// The backend's record that a notification refers to.
pub(super) struct Record {
    pub(super) anomaly_id: String,
    shop_id: Option<String>,
    stream_id: Option<String>,
    person_id: Option<i64>,
    at: Option<wire::Timestamp>,
}

impl Record {
    /// The stream and the person it has in common with its alert.
    pub(super) fn subject(&self) -> (&str, i64) {
        let stream_id = self.stream_id.as_deref().unwrap_or(UNKNOWN);
        (stream_id, self.person_id.unwrap_or(0))
    }

    /// What it says of this alert. The backend writes the time of such a notification in UTC.
    pub(super) fn annotation(&self, alert: AlertId) -> Annotation {
        Annotation {
            alert,
            anomaly_id: self.anomaly_id.clone(),
            shop_id: self.shop_id.clone(),
            occurred_at: self.at.map(|at| at.at(time::UtcOffset::UTC).into()),
        }
    }
}

/// Reads the notifications of one connection.
pub(super) struct Notices {
    connection: String,
    accept: bool,
    ids: Arc<AlertIds>,
}

impl Notices {
    pub(super) fn new(settings: &ConnectionSettings, ids: Arc<AlertIds>) -> Self {
        Self {
            connection: settings.name.clone(),
            accept: settings.accept_notices,
            ids,
        }
    }

    /// Reads a notification.
    pub(super) fn read(&self, notification: &Notification<'_>, now: UnixMillis) -> NotificationEffect {
        let Some(record) = record(notification) else {
            return if self.accept {
                NotificationEffect::Notice(Box::new(self.notice(notification, AlertKind::Notice, now)))
            } else {
                NotificationEffect::Nothing
            };
        };
        if notification.kind == NotificationKind::OwlEye {
            let mut alert = self.notice(notification, AlertKind::OwlEye, now);
            alert.source_id = None;
            alert.visionguard = Some(VisionGuard {
                anomaly_id: Some(record.anomaly_id.clone()),
                shop_id: record.shop_id.clone(),
                ..VisionGuard::default()
            });
            alert.camera = record.stream_id.clone().map(Camera::unnamed);
            alert.occurred_at = record.at.map(|at| at.at(time::UtcOffset::UTC).into());
            return NotificationEffect::OwlEye {
                record,
                alert: Box::new(alert),
            };
        }
        NotificationEffect::Record(record)
    }

    fn notice(&self, notification: &Notification<'_>, kind: AlertKind, now: UnixMillis) -> Alert {
        let or = |text: &str, otherwise: &str| {
            if text.is_empty() {
                otherwise.to_owned()
            } else {
                text.to_owned()
            }
        };
        let status = match &notification.kind {
            NotificationKind::Alert => "alert",
            NotificationKind::OwlEye => "owl_eye",
            NotificationKind::Other(word) => word,
        };
        // Those made over REST carry the server's local time, without saying which that is: `occurred_at` stays open.
        Alert {
            source_id: notification.notification_id.clone().map(Into::into),
            severity: notification
                .priority
                .as_deref()
                .and_then(|word| word.parse().ok())
                .unwrap_or(Severity::Low),
            title: or(&notification.title, "Notice"),
            text: or(&notification.message, "The backend sent a notice without a text."),
            details: Details {
                status: or(status, UNKNOWN),
                ..Details::default()
            },
            picture: Picture::Missing("notices have none".to_owned()),
            ..Alert::new(self.ids.next(now), kind, self.connection.as_str(), now)
        }
    }
}

/// The record of a notification that the backend made itself: its own id is the record's. Those that any client can
/// make over REST are numbered otherwise.
fn record(notification: &Notification<'_>) -> Option<Record> {
    let metadata = notification.metadata.as_ref()?;
    let anomaly_id = metadata.anomaly_id.as_deref()?;
    if notification.notification_id.as_deref() != Some(anomaly_id) {
        return None;
    }
    if let NotificationKind::Other(_) = notification.kind {
        return None;
    }
    Some(Record {
        anomaly_id: anomaly_id.to_owned(),
        shop_id: metadata.shop_id.as_deref().map(str::to_owned),
        stream_id: metadata.stream_id.as_deref().map(str::to_owned),
        person_id: metadata.person_id,
        at: notification
            .timestamp
            .as_ref()
            .and_then(wire::TimestampText::parse),
    })
}
