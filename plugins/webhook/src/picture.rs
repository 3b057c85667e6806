//! Pictures that are too large are made smaller.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageDecoder as _, ImageReader, Limits as DecoderLimits, RgbImage, imageops};
use watchpost_sink::Frame;

use crate::message::{Limits, Shot};

/// The quality of a JPEG that was made smaller, out of 100.
const QUALITY: u8 = 80;

/// A picture is given up rather than made narrower than this, in pixels.
const MIN_SIDE: u32 = 32;

/// How much memory a picture may take while it is decoded, in bytes: enough for 8K.
const MAX_DECODED_BYTES: u64 = 100 << 20;

/// The picture as it is if it fits, and else a smaller one.
///
/// # Errors
/// Why it cannot be sent, in a sentence for the message.
pub(crate) fn fit<'a>(frame: &'a Frame<'_>, limits: Limits) -> Result<Shot<'a>, String> {
    let longer = frame.width().max(frame.height()).unwrap_or_default();
    if frame.bytes().len() <= limits.bytes && longer <= limits.side {
        return Ok(Shot {
            mime: Cow::Borrowed(frame.mime()),
            name: frame.name(),
            bytes: Cow::Borrowed(frame.bytes()),
        });
    }
    let decoded =
        decode(frame.bytes()).map_err(|e| format!("the picture is too large and cannot be scaled: {e}"))?;
    let bytes = shrink(&decoded, frame.bytes().len(), limits)?;
    Ok(Shot {
        mime: Cow::Borrowed("image/jpeg"),
        name: frame.name(),
        bytes: Cow::Owned(bytes),
    })
}

fn decode(bytes: &[u8]) -> Result<RgbImage, image::ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = DecoderLimits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits.clone());
    let decoder = reader.into_decoder()?;
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        let kind = image::error::LimitErrorKind::InsufficientMemory;
        return Err(image::ImageError::Limits(image::error::LimitError::from_kind(
            kind,
        )));
    }
    Ok(image::DynamicImage::from_decoder(decoder)?.into_rgb8())
}

/// Takes the size at which the bytes should do, and goes down from there.
fn shrink(picture: &RgbImage, bytes: usize, limits: Limits) -> Result<Vec<u8>, String> {
    let (width, height) = picture.dimensions();
    let by_side = f64::from(limits.side) / f64::from(width.max(height).max(1));
    let by_bytes = (limits.bytes as f64 / bytes.max(1) as f64).sqrt();
    let mut scale = by_side.min(by_bytes).min(1.0);
    loop {
        let side = |side: u32| ((f64::from(side) * scale) as u32).max(1);
        let (width, height) = (side(width), side(height));
        if width.max(height) < MIN_SIDE {
            return Err("the picture is too large, however small it is made".to_owned());
        }
        let smaller = imageops::thumbnail(picture, width, height);
        let mut encoded = Vec::new();
        JpegEncoder::new_with_quality(&mut encoded, QUALITY)
            .encode_image(&smaller)
            .map_err(|e| format!("the picture is too large and cannot be written smaller: {e}"))?;
        if encoded.len() <= limits.bytes {
            return Ok(encoded);
        }
        let ratio = limits.bytes as f64 / encoded.len() as f64;
        scale *= ratio.sqrt().clamp(0.3, 0.9);
    }
}
