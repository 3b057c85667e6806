//! What a message of the backend means to the hub: turns its words into the domain's [`Alert`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, warn};
use watchpost_config::ConnectionSettings;
use watchpost_core::{
    Alert, AlertIds, AlertKind, Camera, Confidence, Details, MonotonicTime, Picture, Severity, UnixMillis,
    VisionGuard,
};
use watchpost_visionguard as wire;
use watchpost_visionguard::{Message, ParseError, ParseOptions, Parser, PictureLimits};

use super::super::{IncomingAlert, LinkCounters};
use super::notification::{Notices, NotificationEffect};
use crate::clock::Clock;

/// Unreadable messages are logged no more often than this. The counter has them all.
const UNREADABLE_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A message of the server, free of its text.
pub(super) enum ServerMessage {
    /// It asks for a sign of life.
    Ping,
    /// Our ping is answered.
    Pong,
    /// An alert, to be stored, and to get its receipt then.
    Alert(Box<IncomingAlert<String>>),
    /// What a notification is good for.
    Notification(NotificationEffect),
    /// One that is counted only: of an unknown type, or unreadable.
    Ignored,
}

/// Reads the messages of one connection.
pub(super) struct Inbox {
    connection: String,
    notices: Notices,
    parser: Parser,
    limits: PictureLimits,
    ids: Arc<AlertIds>,
    unreadable_logged: Option<MonotonicTime>,
}

impl Inbox {
    pub(super) fn new(settings: &ConnectionSettings, limits: PictureLimits, ids: Arc<AlertIds>) -> Self {
        Self {
            connection: settings.name.clone(),
            notices: Notices::new(settings, Arc::clone(&ids)),
            parser: Parser::new(ParseOptions {
                keep_pose: settings.keep_pose,
            }),
            limits,
            ids,
            unreadable_logged: None,
        }
    }

    /// Reads one message and counts it.
    pub(super) fn read(&mut self, text: &Bytes, clock: Clock, counters: &mut LinkCounters) -> ServerMessage {
        match self.parser.parse(text) {
            Ok(Message::Ping { .. }) => ServerMessage::Ping,
            Ok(Message::Pong { .. }) => ServerMessage::Pong,
            Ok(Message::Alert(alert)) => {
                let now = clock.unix();
                let incoming = incoming(&alert, &self.connection, self.limits, &self.ids, now);
                ServerMessage::Alert(Box::new(incoming))
            }
            Ok(Message::Notification(notification)) => {
                counters.notifications += 1;
                ServerMessage::Notification(self.notices.read(&notification, clock.unix()))
            }
            Ok(Message::Unknown { kind }) => {
                debug!(connection = %self.connection, %kind, "ignored a message of unknown type");
                counters.ignored += 1;
                ServerMessage::Ignored
            }
            Err(error) => {
                counters.unparseable += 1;
                self.log_unreadable(text, &error, clock.now(), counters.unparseable);
                ServerMessage::Ignored
            }
        }
    }

    fn log_unreadable(&mut self, text: &[u8], error: &ParseError, now: MonotonicTime, so_far: u64) {
        if self
            .unreadable_logged
            .is_some_and(|last| now.since(last) < UNREADABLE_LOG_INTERVAL)
        {
            return;
        }
        self.unreadable_logged = Some(now);
        let excerpt = wire::excerpt(text);
        warn!(connection = %self.connection, so_far, "ignored an unreadable message: {error}. It begins: {excerpt}");
    }
}

fn incoming(
    alert: &wire::Alert<'_>,
    connection: &str,
    limits: PictureLimits,
    ids: &AlertIds,
    now: UnixMillis,
) -> IncomingAlert<String> {
    if !alert.defects.is_empty() {
        debug!(%connection, defects = ?alert.defects, "left fields of an alert out");
    }
    let (picture, frame) = match alert
        .picture
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|p| p.decode(limits))
    {
        Ok(jpeg) => {
            let bytes = u32::try_from(jpeg.bytes.len()).unwrap_or(u32::MAX);
            (
                Picture::Jpeg {
                    bytes,
                    width: jpeg.width,
                    height: jpeg.height,
                },
                Some(jpeg.bytes),
            )
        }
        Err(problem) => (Picture::Missing(problem.to_string()), None),
    };
    let ack = wire::outgoing::ack(&alert.stream_id, alert.source_id.as_ref());
    let pose_bytes = alert.pose_bytes();
    let camera = Camera::unnamed(alert.stream_id.clone());
    let alert = Alert {
        source_id: alert.source_id.as_ref().map(|id| id.as_str().to_owned()),
        occurred_at: alert.happened().map(UnixMillis::from),
        severity: severity(alert),
        title: format!("Anomaly at camera {}", camera.label()),
        camera: Some(camera),
        text: text(alert),
        details: details(alert),
        picture,
        visionguard: Some(VisionGuard {
            person_id: alert.person_id,
            frame_number: alert.frame_number,
            start_frame: alert.start_frame,
            pose: alert.poses(),
            ..VisionGuard::default()
        }),
        ..Alert::new(ids.next(now), AlertKind::Anomaly, connection, now)
    };
    IncomingAlert::pushed(alert, frame, ack, pose_bytes)
}

/// The backend derives its own severity from the word of confidence in the same way.
fn severity(alert: &wire::Alert<'_>) -> Severity {
    match &alert.confidence {
        Some(wire::Confidence::Word(word)) => word.parse().unwrap_or(Severity::Low),
        _ => Severity::Low,
    }
}

fn text(alert: &wire::Alert<'_>) -> String {
    let mut text = match &alert.classification {
        Some(class) => format!("{class} behaviour of person {}", alert.person_id),
        None => format!("Abnormal behaviour of person {}", alert.person_id),
    };
    if let Some(score) = alert.score {
        text += &format!(", score {score:.2}");
    }
    text
}

fn details(alert: &wire::Alert<'_>) -> Details {
    Details {
        status: alert.status.clone().into_owned(),
        classification: alert.classification.clone().map(Into::into),
        confidence: alert.confidence.as_ref().map(|confidence| match confidence {
            wire::Confidence::Number(number) => Confidence::Number(*number),
            wire::Confidence::Word(word) => Confidence::Word(word.clone().into_owned()),
        }),
        score: alert.score,
        bbox: alert.bbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Origin;

    fn arrived(message: &str) -> (Alert, String) {
        let mut parser = Parser::new(ParseOptions { keep_pose: true });
        let Ok(Message::Alert(alert)) = parser.parse(message.as_bytes()) else {
            panic!("not an alert")
        };
        let limits = PictureLimits::default();
        let incoming = incoming(&alert, "shop", limits, &AlertIds::after(None), UnixMillis(1_000));
        let Origin::Pushed(ack) = incoming.origin else {
            panic!("it came by itself")
        };
        (incoming.alert, ack)
    }

    #[test]
    fn a_wire_alert_becomes_an_alert_of_the_domain() {
        let (alert, ack) = arrived(
            r#"{"type":"anomaly_detected","user_id":"u","stream_id":"3544c7ab-a57f-478e-918e-bb579162847a",
                "result":{"person_id":2,"score":-1.2345,"classification":"Abnormal","confidence":"High",
                "frame_number":30,"bbox":{"x":1,"y":2,"w":3,"h":4}},"annotated_frame":"","frame_format":"jpeg"}"#,
        );
        expect_test::expect![[r#"
            {
              "id": 1000000,
              "kind": "anomaly",
              "connection": "shop",
              "camera": {
                "id": "3544c7ab-a57f-478e-918e-bb579162847a"
              },
              "received_at": "1970-01-01T00:00:01.000Z",
              "via": "live",
              "severity": "high",
              "title": "Anomaly at camera 3544c7ab",
              "text": "Abnormal behaviour of person 2, score -1.23",
              "details": {
                "status": "unknown",
                "classification": "Abnormal",
                "confidence": "High",
                "score": -1.2345,
                "bbox": {
                  "x": 1.0,
                  "y": 2.0,
                  "w": 3.0,
                  "h": 4.0
                }
              },
              "picture": {
                "missing": "the message's picture is empty"
              },
              "visionguard": {
                "person_id": 2,
                "frame_number": 30
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&alert).unwrap());
        assert_eq!(
            ack,
            r#"{"type":"ack","stream_id":"3544c7ab-a57f-478e-918e-bb579162847a"}"#
        );
    }

    #[test]
    fn a_documented_alert_is_acknowledged_by_its_id() {
        let (alert, ack) = arrived(
            r#"{"id":7,"stream_id":"door","person_id":1,"timestamp":"2026-11-23T01:00:00Z",
                "details":{"status":"new","confidence":0.9}}"#,
        );
        assert_eq!(ack, r#"{"type":"ack","stream_id":"door","id":7}"#);
        assert_eq!(alert.source_id.as_deref(), Some("7"));
        assert_eq!(alert.occurred_at.unwrap().to_string(), "2026-11-23T01:00:00.000Z");
        assert_eq!(alert.details.confidence, Some(Confidence::Number(0.9)));
    }
}
