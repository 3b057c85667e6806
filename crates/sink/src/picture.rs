//! Pictures that a receiver takes: as they are, or smaller, or not at all.
//!
//! A picture that is not wanted must not cost the alert. [`Ladder::send`] sends an alert with its pictures, with smaller
//! ones where the receiver says that it is too much, and at last without, which the message then says. Every plugin climbs
//! down the same ladder.

use std::borrow::Cow;
use std::io::Cursor;
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits as DecoderLimits, RgbImage, imageops};

use crate::{Alert, Fail, Frame, words};

/// The quality of a JPEG that was made smaller, out of 100.
const QUALITY: u8 = 80;

/// No picture is made narrower than this, in pixels: it would show nothing.
const MIN_SIDE: u32 = 32;

/// How much memory a picture may take while it is decoded, in bytes: enough for 8K.
const MAX_DECODED_BYTES: u64 = 100 << 20;

/// How long what a receiver took last is where the next alert begins. Limits are raised, so it is tried again.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// What a receiver takes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its bytes; 0 where none is wanted.
    pub bytes: usize,
    /// Its longer side in pixels.
    pub side: u32,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self {
        bytes: usize::MAX,
        side: u32::MAX,
    };

    /// A limit on the bytes alone.
    pub const fn bytes(bytes: usize) -> Self {
        Self { bytes, ..Self::NONE }
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.min(other.bytes),
            side: self.side.min(other.side),
        }
    }
}

/// A picture to send.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// Media type.
    pub mime: Cow<'a, str>,
    /// A file name without directory.
    pub name: Cow<'a, str>,
    /// The file.
    pub bytes: Cow<'a, [u8]>,
}

/// The pictures of an alert as they are sent.
#[derive(Clone, Debug, Default)]
pub struct Pictures<'a> {
    /// Those that go along.
    pub list: Vec<Picture<'a>>,
    /// Why one does not, as a sentence for the message.
    pub left_out: Option<String>,
}

/// Why an alert with its pictures was not taken.
#[derive(Debug)]
pub enum Refused {
    /// It is too large; with smaller pictures it may be taken.
    TooLarge(Fail),
    /// Something about the pictures is not wanted; without them it may be taken.
    Unwanted(Fail),
    /// Something that has nothing to do with pictures.
    Otherwise(Fail),
}

impl From<Fail> for Refused {
    fn from(fail: Fail) -> Self {
        Self::Otherwise(fail)
    }
}

/// How much of its pictures an alert is sent with, from all to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    #[default]
    Full,
    Smaller,
    Small,
    Without,
}

/// Sends alerts with as much of their pictures as one receiver takes, and remembers how much that is.
#[derive(Debug, Default)]
pub struct Ladder {
    start: Rung,
    /// When that was found out.
    since: Option<Instant>,
}

impl Ladder {
    /// Sends an alert by `send`, which is called with less of its pictures as long as it says that they are the matter.
    /// `limits` are those that are known beforehand.
    ///
    /// # Errors
    /// What `send` says of the last try.
    pub fn send<'a, T>(
        &mut self,
        alert: &'a Alert<'_>,
        limits: Limits,
        mut send: impl FnMut(Pictures<'a>) -> Result<T, Refused>,
    ) -> Result<T, Fail> {
        let mut rung = self.first();
        let mut sent_bytes = usize::MAX;
        loop {
            let pictures = rung.pictures(alert, limits);
            let bytes = pictures.list.iter().map(|picture| picture.bytes.len()).sum();
            // Nothing to leave out: there is one try only.
            let last = alert.frames().is_empty() || limits.bytes == 0 || rung == Rung::Without;
            if bytes >= sent_bytes && !last {
                rung = rung.below();
                continue;
            }
            sent_bytes = bytes;
            match send(pictures) {
                Ok(sent) => {
                    self.remember(rung);
                    return Ok(sent);
                }
                Err(Refused::Otherwise(fail)) => return Err(fail),
                Err(Refused::TooLarge(fail) | Refused::Unwanted(fail)) if last => return Err(fail),
                Err(Refused::TooLarge(_)) => rung = rung.below(),
                Err(Refused::Unwanted(_)) => rung = Rung::Without,
            }
        }
    }

    fn first(&mut self) -> Rung {
        if self.since.is_some_and(|since| since.elapsed() > REMEMBERED) {
            *self = Self::default();
        }
        self.start
    }

    fn remember(&mut self, taken: Rung) {
        // That one alert went without says little of the pictures of the next.
        if taken > self.start && taken < Rung::Without {
            self.start = taken;
            self.since = Some(Instant::now());
        }
    }
}

impl Rung {
    fn below(self) -> Self {
        match self {
            Self::Full => Self::Smaller,
            Self::Smaller => Self::Small,
            Self::Small | Self::Without => Self::Without,
        }
    }

    fn limits(self) -> Limits {
        match self {
            Self::Full => Limits::NONE,
            Self::Smaller => Limits {
                bytes: 100_000,
                side: 1280,
            },
            Self::Small => Limits {
                bytes: 30_000,
                side: 640,
            },
            Self::Without => Limits::bytes(0),
        }
    }

    fn pictures<'a>(self, alert: &'a Alert<'_>, limits: Limits) -> Pictures<'a> {
        match self {
            Self::Without if !alert.frames().is_empty() => Pictures {
                list: Vec::new(),
                left_out: Some(words::fill(
                    "picture.left_out",
                    &[("why", words::text("picture.not_taken"))],
                )),
            },
            rung => Pictures::within(alert, limits.and(rung.limits())),
        }
    }
}

impl<'a> Pictures<'a> {
    /// Those of an alert, made to fit.
    pub fn within(alert: &'a Alert<'_>, limits: Limits) -> Self {
        let mut pictures = Self::default();
        if limits.bytes == 0 {
            return pictures;
        }
        for frame in alert.frames() {
            match fit(frame, limits) {
                Ok(picture) => pictures.list.push(picture),
                Err(why) => {
                    pictures.left_out = Some(words::fill("picture.left_out", &[("why", &why.to_string())]));
                }
            }
        }
        pictures
    }
}

/// The picture as it is if it fits, and else a smaller one, which stands upright.
///
/// # Errors
/// Why it cannot be sent, in words.
pub fn fit<'a>(frame: &'a Frame<'_>, limits: Limits) -> Result<Picture<'a>, String> {
    let longer = frame.width().max(frame.height()).unwrap_or_default();
    if frame.bytes().len() <= limits.bytes && longer <= limits.side {
        return Ok(Picture {
            mime: Cow::Borrowed(frame.mime()),
            name: Cow::Borrowed(frame.name()),
            bytes: Cow::Borrowed(frame.bytes()),
        });
    }
    let decoded =
        upright(frame.bytes()).map_err(|error| format!("it is too large and cannot be scaled ({error})"))?;
    Ok(Picture {
        mime: Cow::Borrowed("image/jpeg"),
        name: Cow::Borrowed(frame.name()),
        bytes: Cow::Owned(shrink(&decoded, frame.bytes().len(), limits)?),
    })
}

/// Decodes a picture and turns it as its EXIF says, which a scaled one does not carry any more.
fn upright(bytes: &[u8]) -> Result<RgbImage, image::ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = DecoderLimits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        let kind = image::error::LimitErrorKind::InsufficientMemory;
        return Err(image::ImageError::Limits(image::error::LimitError::from_kind(
            kind,
        )));
    }
    // A picture whose EXIF is damaged is shown as it lies.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
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
            return Err("it is too large, however small it is made".to_owned());
        }
        let smaller = imageops::thumbnail(picture, width, height);
        let mut encoded = Vec::new();
        JpegEncoder::new_with_quality(&mut encoded, QUALITY)
            .encode_image(&smaller)
            .map_err(|error| format!("it is too large and cannot be written smaller ({error})"))?;
        if encoded.len() <= limits.bytes {
            return Ok(encoded);
        }
        let ratio = limits.bytes as f64 / encoded.len() as f64;
        scale *= ratio.sqrt().clamp(0.3, 0.9);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::testing::{TestAlert, TestFrame, alert};

    /// A JPEG that compresses badly, red on its left half.
    fn noise(width: u32, height: u32) -> Vec<u8> {
        let mut state = 1u32;
        let picture = RgbImage::from_fn(width, height, |x, _| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let [a, b, ..] = state.to_le_bytes();
            image::Rgb(if x < width / 2 {
                [255, a / 4, b / 4]
            } else {
                [0, a / 4, b]
            })
        });
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 95)
            .encode_image(&picture)
            .unwrap();
        bytes
    }

    /// Puts an EXIF segment with this orientation behind the beginning of a JPEG.
    fn oriented(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let tiff = [
            &b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01"[..],
            &[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let length = u16::try_from(tiff.len() + 2).unwrap().to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &tiff, &jpeg[2..]].concat()
    }

    fn pictured(bytes: Vec<u8>) -> TestAlert {
        let frame = TestFrame {
            mime: "image/jpeg".into(),
            name: "frame.jpg".into(),
            bytes,
            width: 640,
            height: 480,
        };
        TestAlert {
            frames: vec![frame],
            ..alert("7")
        }
    }

    #[test]
    fn a_picture_that_is_made_smaller_stands_upright() {
        let lying = oriented(&noise(640, 480), 6);
        pictured(lying).with(|alert| {
            let fitted = fit(&alert.frames()[0], Limits::bytes(40_000)).unwrap();
            assert!(fitted.bytes.len() <= 40_000);
            let picture = image::load_from_memory(&fitted.bytes).unwrap().into_rgb8();
            let (width, height) = picture.dimensions();
            assert!(height > width, "{width}x{height}");
            // Turned to the right, what was left is on top.
            let red = |y: u32| picture.get_pixel(width / 2, y)[0];
            assert!(red(height / 8) > 180 && red(height * 7 / 8) < 80);
        });
    }

    #[test]
    fn each_rung_carries_less_and_the_last_says_so() {
        let mut ladder = Ladder::default();
        let mut sizes = Vec::new();
        let said = pictured(noise(640, 480)).with(|alert| {
            ladder.send(alert, Limits::NONE, |pictures| {
                let size = pictures.list.first().map_or(0, |picture| picture.bytes.len());
                sizes.push(size);
                match pictures.left_out {
                    Some(words) => Ok(words),
                    None => Err(Refused::TooLarge(Fail::permanent("too large"))),
                }
            })
        });
        assert_eq!(
            said.unwrap(),
            "The picture was left out: the receiver did not take it."
        );
        assert!(
            sizes.len() == 4 && sizes.is_sorted_by(|a, b| a > b) && sizes[3] == 0,
            "{sizes:?}"
        );
    }

    #[test]
    fn what_was_taken_is_where_the_next_alert_begins() {
        let mut ladder = Ladder::default();
        let alert = pictured(noise(640, 480));
        for again in [false, true, true] {
            let mut tries = 0;
            alert.with(|alert| {
                ladder
                    .send(alert, Limits::NONE, |pictures| {
                        tries += 1;
                        match pictures.list[0].bytes.len() {
                            ..30_001 => Ok(()),
                            _ => Err(Refused::TooLarge(Fail::permanent("too large"))),
                        }
                    })
                    .unwrap();
            });
            assert_eq!(tries == 1, again, "{tries}");
        }
    }

    #[test]
    fn a_rung_that_changes_nothing_is_left_out() {
        let mut tries = 0;
        pictured(noise(64, 48)).with(|alert| {
            let sent: Result<(), Fail> = Ladder::default().send(alert, Limits::NONE, |_| {
                tries += 1;
                Err(Refused::TooLarge(Fail::permanent("no")))
            });
            sent.unwrap_err();
        });
        assert_eq!(tries, 2);
    }

    #[test]
    fn without_pictures_or_for_another_reason_there_is_one_try() {
        let try_all = |alert: &TestAlert, refused: fn(Fail) -> Refused| {
            let mut tries = 0;
            let fail = alert.with(|alert| {
                let sent: Result<(), Fail> = Ladder::default().send(alert, Limits::NONE, |_| {
                    tries += 1;
                    Err(refused(Fail::permanent("no")))
                });
                sent.unwrap_err()
            });
            assert_eq!(fail.outcome(), Outcome::Permanent);
            tries
        };
        let picture = pictured(noise(640, 480));
        assert_eq!(try_all(&alert("7"), Refused::TooLarge), 1);
        assert_eq!(try_all(&picture, Refused::Otherwise), 1);
        assert_eq!(try_all(&picture, Refused::Unwanted), 2);
        assert_eq!(try_all(&picture, Refused::TooLarge), 4);
    }

    #[test]
    fn what_is_no_picture_is_left_out_where_it_does_not_fit() {
        pictured(vec![0xff; 30_000]).with(|alert| {
            assert_eq!(Pictures::within(alert, Limits::NONE).list.len(), 1);
            let pictures = Pictures::within(alert, Limits::bytes(20_000));
            assert!(pictures.list.is_empty());
            assert!(pictures.left_out.unwrap().contains("cannot be scaled"));
        });
    }
}
