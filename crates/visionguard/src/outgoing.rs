//! What the hub says over the alert socket. The backend answers a ping and only logs an acknowledgement.
//!
//! Always a JSON object in a text frame: anything else makes the backend drop the subscription without closing.

use serde::Serialize;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::SourceId;

/// As Python's `datetime.isoformat()` writes it.
const NAIVE_ISO: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");

#[derive(Serialize)]
struct Heartbeat<'a> {
    r#type: &'a str,
    timestamp: String,
}

#[derive(Serialize)]
struct Ack<'a> {
    r#type: &'a str,
    stream_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a SourceId>,
}

/// `{"type":"ping","timestamp":…}` with the time in UTC, without zone as all of the backend's are.
pub fn ping(now: OffsetDateTime) -> String {
    encode(&Heartbeat {
        r#type: "ping",
        timestamp: naive_utc(now),
    })
}

/// `{"type":"pong","timestamp":…}`, the answer to the backend's ping.
pub fn pong(now: OffsetDateTime) -> String {
    encode(&Heartbeat {
        r#type: "pong",
        timestamp: naive_utc(now),
    })
}

/// `{"type":"ack","stream_id":…}`, with the `id` of the message where it had one, in the same JSON type.
pub fn ack(stream_id: &str, id: Option<&SourceId>) -> String {
    encode(&Ack {
        r#type: "ack",
        stream_id,
        id,
    })
}

fn naive_utc(now: OffsetDateTime) -> String {
    now.to_offset(UtcOffset::UTC)
        .format(NAIVE_ISO)
        .unwrap_or_default()
}

/// Strings and numbers always encode.
fn encode(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn heartbeats_carry_naive_utc() {
        let now = datetime!(2026-11-23 06:17:00.4787304 +5);
        expect![[r#"{"type":"ping","timestamp":"2026-11-23T01:17:00.478730"}"#]].assert_eq(&ping(now));
        expect![[r#"{"type":"pong","timestamp":"2026-11-23T01:17:00.478730"}"#]].assert_eq(&pong(now));
    }

    #[test]
    fn an_acknowledgement_says_the_id_in_its_own_type() {
        expect![[r#"{"type":"ack","stream_id":"a\"b"}"#]].assert_eq(&ack("a\"b", None));
        expect![[r#"{"type":"ack","stream_id":"s","id":7}"#]].assert_eq(&ack("s", Some(&7.into())));
        let text = SourceId::from_text("7");
        expect![[r#"{"type":"ack","stream_id":"s","id":"7"}"#]].assert_eq(&ack("s", Some(&text)));
    }
}
