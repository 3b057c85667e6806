//! The messages that are fired: valid JPEGs of an exact size in messages as the VisionGuard backend sends them.
//!
//! Everything is built before a measurement begins, so that making it costs the measured side nothing. It refuses
//! to know who receives the messages.

use anyhow::{Context as _, Result, ensure};
use base64_simd::STANDARD;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// The user whose alerts are fired.
pub(crate) const USER_ID: &str = "5d0c8f4e-1b7a-4c1e-9f60-2a7d3b9c4e11";

/// Sequence numbers begin here, so that all have the same number of digits and can be written in place.
const FIRST_SEQUENCE: u64 = 1_000_000_000;

/// Bytes of a UUID in text.
const UUID_BYTES: usize = 36;

/// Width of the drawn pictures in pixels; their height follows from the size wanted.
const PICTURE_WIDTH: u32 = 256;

/// What a JPEG comment segment takes beside its text, in bytes, and how much text it can hold.
const COMMENT_HEAD_BYTES: usize = 4;
const COMMENT_MAX_BYTES: usize = 65_533;

/// A picture as it stands in messages.
#[derive(Debug)]
pub(crate) struct PictureText {
    /// Size of the JPEG file in bytes.
    pub(crate) bytes: usize,
    base64: String,
}

impl PictureText {
    /// A noisy picture of exactly `bytes` bytes: noise, so that nothing on the way can compress it.
    pub(crate) fn of_size(bytes: usize) -> Result<Self> {
        let jpeg = jpeg_of_size(bytes)?;
        Ok(Self {
            bytes,
            base64: STANDARD.encode_to_string(jpeg),
        })
    }
}

/// One message in memory, with the places that change from one sending to the next.
#[derive(Debug)]
pub(crate) struct Message {
    text: Vec<u8>,
    sequence_at: usize,
}

impl Message {
    /// The message of one slot: its stream id names the slot, so that an acknowledgement can be matched.
    pub(crate) fn new(slot: usize, picture: &PictureText) -> Result<Self> {
        let stream = stream_id(slot);
        let text = format!(
            r#"{{"type":"anomaly_detected","user_id":"{USER_ID}","stream_id":"{stream}","result":{{"sequence_id":{slot},"person_id":1,"start_frame":7,"end_frame":18,"score":-4.125,"is_abnormal":true,"classification":"Abnormal","confidence":"Low","scene_id":"live","clip_id":"{stream}","frame_number":{FIRST_SEQUENCE},"stream_id":"{stream}","user_id":"{USER_ID}","bbox":{{"x":120,"y":64,"w":88,"h":190}}}},"annotated_frame":"{}","frame_format":"jpeg"}}"#,
            picture.base64
        );
        let number = text
            .find(&FIRST_SEQUENCE.to_string())
            .context("the message has no sequence number")?;
        Ok(Self {
            text: text.into_bytes(),
            sequence_at: number,
        })
    }

    /// The message with another sequence number, which it carries as its frame number.
    pub(crate) fn numbered(&mut self, sequence: u64) -> &[u8] {
        let digits = frame_number(sequence).to_string();
        let end = self.sequence_at + digits.len();
        if let Some(place) = self.text.get_mut(self.sequence_at..end) {
            place.copy_from_slice(digits.as_bytes());
        }
        &self.text
    }
}

/// The frame number that carries a sequence number.
pub(crate) fn frame_number(sequence: u64) -> u64 {
    FIRST_SEQUENCE + sequence
}

/// The sequence number behind a frame number.
pub(crate) fn sequence_of(frame_number: u64) -> Option<u64> {
    frame_number.checked_sub(FIRST_SEQUENCE)
}

/// Which slot an acknowledgement names; `None` when the text is no acknowledgement of one of our alerts.
pub(crate) fn acknowledged_slot(text: &[u8]) -> Option<usize> {
    const KEY: &[u8] = br#""stream_id":""#;
    memchr::memmem::find(text, br#""ack""#)?;
    let at = memchr::memmem::find(text, KEY)? + KEY.len();
    let id = std::str::from_utf8(text.get(at..at + UUID_BYTES)?).ok()?;
    usize::from_str_radix(id.rsplit('-').next()?, 16).ok()
}

/// A UUID that ends in the slot's number.
fn stream_id(slot: usize) -> String {
    format!("b3f1a2c4-77d0-4e5b-8a9c-{slot:012x}")
}

/// A valid JPEG of exactly this size: as much noise as fits, the rest in comment segments.
fn jpeg_of_size(bytes: usize) -> Result<Vec<u8>> {
    const PROBE_HEIGHT: u32 = 64;
    let overhead = encode(PICTURE_WIDTH, 8)?.len();
    let probe = encode(PICTURE_WIDTH, PROBE_HEIGHT)?.len();
    let per_row = probe.div_ceil(PROBE_HEIGHT as usize).max(1);
    let rows = (bytes.saturating_sub(overhead) / per_row).max(8);
    let mut jpeg = encode(PICTURE_WIDTH, u32::try_from(rows)?)?;
    ensure!(
        jpeg.len() + COMMENT_HEAD_BYTES <= bytes,
        "no JPEG of {bytes} bytes can be drawn here, the smallest has {}",
        jpeg.len() + COMMENT_HEAD_BYTES
    );
    while jpeg.len() < bytes {
        let missing = bytes - jpeg.len();
        let mut text = (missing - COMMENT_HEAD_BYTES).min(COMMENT_MAX_BYTES);
        // What is left must hold a segment's head, or nothing.
        let left = missing - COMMENT_HEAD_BYTES - text;
        if (1..COMMENT_HEAD_BYTES).contains(&left) {
            text -= COMMENT_HEAD_BYTES;
        }
        let length = u16::try_from(text + 2)?.to_be_bytes();
        let noise = std::iter::repeat_with(|| fastrand::u8(0x20..0x7f)).take(text);
        let segment: Vec<u8> = [0xff, 0xfe].into_iter().chain(length).chain(noise).collect();
        // Behind the start marker a comment may stand anywhere before the picture's data.
        jpeg.splice(2..2, segment);
    }
    Ok(jpeg)
}

/// Grey-coloured noise at the quality the backend uses.
fn encode(width: u32, height: u32) -> Result<Vec<u8>> {
    const QUALITY: u8 = 85;
    let mut noise = fastrand::Rng::with_seed(u64::from(height));
    let pixels: Vec<u8> = std::iter::repeat_with(|| noise.u8(96..160))
        .take((width * height * 3) as usize)
        .collect();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(&pixels, width, height, ExtendedColorType::Rgb8)
        .context("a picture of noise could not be encoded")?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_the_size_asked_for_and_decode() {
        for bytes in [10_000, 60_000, 200_000] {
            let jpeg = jpeg_of_size(bytes).unwrap();
            assert_eq!(jpeg.len(), bytes);
            let picture = image::load_from_memory(&jpeg).unwrap();
            assert_eq!(picture.width(), PICTURE_WIDTH);
        }
    }

    #[test]
    fn the_smallest_picture_has_a_limit() {
        assert!(
            jpeg_of_size(500)
                .unwrap_err()
                .to_string()
                .contains("no JPEG of 500 bytes")
        );
    }

    #[test]
    fn messages_carry_slot_sequence_and_picture() {
        let picture = PictureText::of_size(10_000).unwrap();
        let mut message = Message::new(255, &picture).unwrap();
        let value: serde_json::Value = serde_json::from_slice(message.numbered(41)).unwrap();
        assert_eq!(
            sequence_of(value["result"]["frame_number"].as_u64().unwrap()),
            Some(41)
        );
        let stream = value["stream_id"].as_str().unwrap();
        let ack = format!(r#"{{"type":"ack","stream_id":"{stream}"}}"#);
        assert_eq!(acknowledged_slot(ack.as_bytes()), Some(255));
        let jpeg = STANDARD
            .decode_to_vec(value["annotated_frame"].as_str().unwrap())
            .unwrap();
        assert_eq!(jpeg.len(), picture.bytes);
    }

    #[test]
    fn other_messages_acknowledge_nothing() {
        assert_eq!(acknowledged_slot(br#"{"type":"ping","timestamp":"x"}"#), None);
        assert_eq!(acknowledged_slot(br#"{"type":"ack","stream_id":"short"}"#), None);
    }
}
