//! What the backend writes: times, tokens, pictures, messages.

use std::fmt::Write as _;

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::{Row, TOKEN_LIFE};

const NAIVE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");

/// As in the header `Date`.
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A time without its zone.
pub fn naive(at: OffsetDateTime) -> String {
    at.format(NAIVE).unwrap_or_default()
}

/// A time as a row has it: in UTC without saying so, or in a zone that is so many hours ahead of it.
pub fn of_row(at: OffsetDateTime, zone_hours: i8) -> String {
    if zone_hours == 0 {
        return naive(at);
    }
    format!("{}{zone_hours:+03}:00", naive(at.to_offset(zone(zone_hours))))
}

/// The zone that is so many hours ahead of UTC.
pub fn zone(hours: i8) -> UtcOffset {
    UtcOffset::from_hms(hours, 0, 0).unwrap_or(UtcOffset::UTC)
}

/// The value of the header `Date`.
pub fn date(at: OffsetDateTime) -> String {
    at.format(DATE).unwrap_or_default()
}

/// A token for this user. No signature is checked in this world.
pub fn token(user: &str, now: OffsetDateTime) -> String {
    let iat = now.unix_timestamp();
    let exp = iat + TOKEN_LIFE.as_secs() as i64;
    let claims = json!({"sub": user, "role": "OWNER", "iat": iat, "exp": exp}).to_string();
    let part = |text: &str| URL_SAFE_NO_PAD.encode_to_string(text);
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(r#"{"alg":"HS256","typ":"JWT"}"#),
        part(&claims)
    )
}

/// Whose a token is and when it was made, unless it has expired.
pub fn read_token(token: &str, now: OffsetDateTime) -> Option<(String, i64)> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    let user = claims["sub"].as_str()?.to_owned();
    (claims["exp"].as_i64()? > now.unix_timestamp()).then_some((user, claims["iat"].as_i64()?))
}

/// The head of a JPEG of 64 by 48 pixels, a comment that names the row, and its end: no reader here decodes pixels.
pub fn picture(row: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xfe];
    bytes.extend((row.len() as u16 + 2).to_be_bytes());
    bytes.extend(row.as_bytes());
    bytes.extend([0xff, 0xc0, 0, 11, 8, 0, 48, 0, 64, 1, 1, 0x11, 0]);
    bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x55, 0xff, 0xd9]);
    bytes
}

/// An alert as it goes over the socket.
pub fn alert(row: &Row, user: &str, has_id: bool) -> String {
    let id = if has_id {
        format!(r#""id":{},"#, row.number)
    } else {
        String::new()
    };
    let score = if row.infinite { "-Infinity" } else { "-1.5" };
    let mut text = String::new();
    let _ = write!(
        text,
        r#"{{"type":"anomaly_detected",{id}"user_id":"{user}","stream_id":"{stream}","result":{{"sequence_id":{frame},"person_id":{person},"start_frame":{start},"end_frame":{end},"score":{score},"is_abnormal":true,"classification":"Abnormal","confidence":"Low","scene_id":"live","clip_id":"{stream}","frame_number":{frame},"stream_id":"{stream}","user_id":"{user}","pose_dict":{{}}}},"annotated_frame":"{picture}","frame_format":"jpeg"}}"#,
        stream = row.stream_id,
        frame = row.frame,
        person = row.person,
        start = row.frame - 29,
        end = row.frame - 18,
        picture = STANDARD.encode_to_string(&row.picture),
    );
    text
}

/// The notification that follows an alert.
pub fn notification(row: &Row) -> String {
    json!({"type": "notification", "data": {
        "notification_id": row.id, "title": "Alert", "message": "Suspicious activity", "priority": "low", "type": "alert",
        "timestamp": row.at_text,
        "metadata": {"anomaly_id": row.id, "shop_id": row.shop_id, "stream_id": row.stream_id, "person_id": row.person},
        "action_url": format!("/suspicious-activity?anomaly_id={}", row.id),
    }})
    .to_string()
}

/// A ping or a pong.
pub fn beat(kind: &str, now: OffsetDateTime) -> String {
    json!({"type": kind, "timestamp": naive(now)}).to_string()
}
