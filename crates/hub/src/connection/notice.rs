//! What notifications are good for: they name the backend's record of an alert that came before, tell of an Owl Eye
//! detection that no alert comes for, or are notices for people.

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use tracing::debug;
use watchpost_config::ConnectionSettings;
use watchpost_core::{
    Alert, AlertIds, AlertKind, Camera, ConnectFailure, Correlation, Details, Picture, Severity, UNKNOWN,
    UnixMillis, VisionGuard,
};
use watchpost_visionguard as wire;
use watchpost_visionguard::{Notification, NotificationKind};

use super::Connection;
use super::backfill::{SETTLE, annotation_of, session, told_of};
use super::intake::Arrived;

/// Owl Eye detections whose records are fetched at once; what comes beyond is found in the backend's list.
const MAX_FETCHES: usize = 64;

/// What a notification says, free of its message.
pub(super) enum Told {
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
    anomaly_id: String,
    shop_id: Option<String>,
    stream_id: Option<String>,
    person_id: Option<i64>,
    at: Option<wire::Timestamp>,
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
    pub(super) fn told(&self, notification: &Notification<'_>, now: UnixMillis) -> Told {
        let Some(record) = record(notification) else {
            return if self.accept {
                Told::Notice(Box::new(self.noticed(notification, AlertKind::Notice, now)))
            } else {
                Told::Nothing
            };
        };
        if notification.kind == NotificationKind::OwlEye {
            let mut alert = self.noticed(notification, AlertKind::OwlEye, now);
            alert.source_id = None;
            alert.visionguard = Some(VisionGuard {
                anomaly_id: Some(record.anomaly_id.clone()),
                shop_id: record.shop_id.clone(),
                ..VisionGuard::default()
            });
            alert.camera = record.stream_id.clone().map(Camera::unnamed);
            alert.occurred_at = record.at.map(|at| at.at(time::UtcOffset::UTC).into());
            return Told::OwlEye {
                record,
                alert: Box::new(alert),
            };
        }
        Told::Record(record)
    }

    fn noticed(&self, notification: &Notification<'_>, kind: AlertKind, now: UnixMillis) -> Alert {
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

/// The record of a notification that the backend made itself: its own id is the record's. Those that anybody can make
/// over REST are numbered otherwise.
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

impl Connection {
    pub(super) fn notified(&mut self, told: Told, ctx: &mut Context<Self>) {
        match told {
            Told::Nothing => {}
            Told::Notice(alert) => self.accept(Arrived::fetched(*alert, None), ctx),
            Told::OwlEye { record, alert } => self.owl_eye(record, *alert, ctx),
            Told::Record(record) => {
                let stream_id = record.stream_id.as_deref().unwrap_or(UNKNOWN);
                match self
                    .pairing
                    .notification(stream_id, record.person_id.unwrap_or(0))
                {
                    Correlation::With(alert) => self.store.annotate(annotation_of(
                        alert,
                        &record.anomaly_id,
                        record.shop_id.as_deref(),
                        record.at,
                    )),
                    // The backend's list has the number of the video frame too.
                    Correlation::Unclear => self.backfill_in(SETTLE, ctx),
                }
            }
        }
    }

    /// Fetches the record with its picture, and makes do with the notification where that fails.
    fn owl_eye(&mut self, record: Record, notified: Alert, ctx: &mut Context<Self>) {
        if self.fetching >= MAX_FETCHES {
            return self.backfill_in(SETTLE, ctx);
        }
        self.fetching += 1;
        let (api, credentials) = (Rc::clone(&self.api), Rc::clone(&self.credentials));
        let (name, limits) = (self.settings.name.clone(), self.intake.limits());
        let (ids, clock) = (self.ids.clone(), self.clock);
        let fetch = async move {
            let refused = ConnectFailure {
                kind: watchpost_core::FailureKind::Login,
                detail: "there is no session".to_owned(),
            };
            let session = session(&api, &credentials, true).await.ok_or(refused)?;
            let anomaly = api.anomaly(&session.token, &record.anomaly_id).await?;
            Ok(told_of(&api, &session, &anomaly, &name, limits, &ids, clock.unix()).await)
        };
        ctx.spawn(fetch.into_actor(self).map(move |fetched, this, ctx| {
            this.fetching -= 1;
            let (alert, frame) = fetched.unwrap_or_else(|e: ConnectFailure| {
                debug!(connection = %this.settings.name, "an Owl Eye detection stays without its picture: {e}");
                let mut alert = notified;
                alert.picture = Picture::Missing(format!("the backend did not give it: {e}"));
                (alert, None)
            });
            this.accept(Arrived::fetched(alert, frame), ctx);
        }));
    }
}
