//! What notifications are good for: they name the backend's record of an alert that came before, report an Owl Eye
//! detection that no alert comes for, or are notices for people.

use std::sync::Arc;

use watchpost_config::ConnectionSettings;
use watchpost_core::{
    Alert, AlertId, AlertIds, AlertKind, Camera, Details, Picture, Severity, UNKNOWN, UnixMillis, VisionGuard,
};
use watchpost_store::Annotation;
use watchpost_visionguard::{NamedRecord, Notification, NotificationKind};

/// What a notification is good for, free of its message.
pub(super) enum NotificationEffect {
    /// The record of an alert that came before it.
    Record(NamedRecord),
    /// A detection of the night watch, as the notification has it.
    OwlEye { record: NamedRecord, alert: Box<Alert> },
    /// A notice for people that is wanted.
    Notice(Box<Alert>),
    /// Nothing that is wanted.
    Nothing,
}

/// What a record says of its alert. `ours` makes of a time that the backend gave one of this machine's clock.
pub(super) fn annotation(
    record: &NamedRecord,
    alert: AlertId,
    ours: impl Fn(UnixMillis) -> UnixMillis,
) -> Annotation {
    Annotation {
        alert,
        anomaly_id: record.anomaly_id.clone(),
        shop_id: record.shop_id.clone(),
        occurred_at: record.happened.map(|at| ours(at.into())),
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
        let Some(record) = notification.record() else {
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
            alert.occurred_at = record.happened.map(UnixMillis::from);
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
                status: or(notification.kind.word(), UNKNOWN),
                ..Details::default()
            },
            picture: Picture::Missing("notices have none".to_owned()),
            ..Alert::new(self.ids.next(now), kind, self.connection.as_str(), now)
        }
    }
}
