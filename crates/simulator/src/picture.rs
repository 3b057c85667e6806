//! Pictures as files: JPEG of the length asked for, each marked as one alert's own.
//!
//! Drawing takes milliseconds and an alert microseconds. So a drawn scene is kept and used again,
//! and each alert's copy differs by a JPEG comment that names the alert: unique bytes at the price
//! of a copy. It knows nothing of messages.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, OnceLock},
};

use bytes::Bytes;
use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

use crate::{
    Error, Options,
    lock::lock,
    scene::{Look, PLACES, Scene},
    wire::Bbox,
};

/// Quality of the picture in an alert.
pub(crate) const ALERT_QUALITY: u8 = 85;
/// Quality of the same picture in the REST interface, which hence has other bytes.
pub(crate) const REST_QUALITY: u8 = 90;
/// Lowest quality tried when a picture has to fit a size.
const LOWEST_QUALITY: u8 = 1;
/// Step from one quality to the next that is tried.
const QUALITY_STEP: u8 = 12;
/// Looks tried of each camera before the first alert, to see whether the size can be met.
const CHECKED_LOOKS: u32 = 4;
/// Bytes of pictures kept; then all are let go and drawn again as needed.
const MAX_KEPT_BYTES: usize = 256 * 1024 * 1024;
/// Length of the comment that makes a picture one alert's own.
const MARK_BYTES: usize = "watchpost-simulator camera=0000 alert=000000000000".len();
/// Longest content of one JPEG comment: its 16-bit length counts itself.
const MAX_COMMENT_BYTES: usize = 65_533;
/// Marker and length before the content of a comment.
const COMMENT_HEAD_BYTES: usize = 4;

/// All that is needed to make a picture again, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) camera: u32,
    pub(crate) look: Look,
    /// Number of the first alert that carries it.
    pub(crate) seq: u64,
    /// Drawn for this alert alone, so that keeping it is of no use.
    pub(crate) fresh: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    camera: u32,
    look: Look,
    quality: u8,
}

/// Draws and keeps pictures.
pub(crate) struct Painter {
    options: Options,
    scenes: Vec<OnceLock<Scene>>,
    kept: Mutex<HashMap<Key, Arc<[u8]>>>,
}

impl Painter {
    pub(crate) fn new(options: &Options) -> Self {
        let scenes = (0..options.cameras).map(|_| OnceLock::new()).collect();
        Self {
            options: options.clone(),
            scenes,
            kept: Mutex::default(),
        }
    }

    /// Refuses a picture size that the scenes cannot meet, with the least they can. Looks that were not tried may take
    /// some bytes more.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.options.picture_size.is_none() {
            return Ok(());
        }
        let cameras = 0..self.options.cameras.min(PLACES.len() as u32);
        let mut needed_bytes = 0;
        for (camera, step) in cameras.flat_map(|camera| (0..CHECKED_LOOKS).map(move |step| (camera, step))) {
            let look = Look {
                moment: step * 5,
                clock: 0,
                persons: self.options.persons,
                boxes: self.options.bbox,
            };
            let smallest = encode(&self.pixels(camera, look)?, LOWEST_QUALITY)?;
            needed_bytes = needed_bytes.max(with_room(&smallest));
        }
        self.fits(needed_bytes)
    }

    /// Whether a picture of so many bytes has the size asked for, at most.
    fn fits(&self, needed_bytes: usize) -> Result<(), Error> {
        match self.options.picture_size {
            Some(size) if needed_bytes > size.0 => Err(Error::PictureTooSmall {
                frame: self.options.frame.to_string(),
                needed_bytes,
                asked_bytes: size.0,
            }),
            _ => Ok(()),
        }
    }

    /// What is written into the picture of a camera.
    pub(crate) fn caption(camera: u32) -> String {
        format!(
            "CAM {:02}  {}",
            camera + 1,
            PLACES[camera as usize % PLACES.len()]
        )
    }

    pub(crate) fn person_box(&self, camera: u32, moment: u32, person: u32) -> Option<Bbox> {
        Some(self.scene(camera)?.person_box(moment, person))
    }

    /// The picture of an alert, the same bytes whenever it is asked for.
    pub(crate) fn alert_picture(&self, recipe: &Recipe) -> Result<Bytes, Error> {
        self.picture(recipe, ALERT_QUALITY)
    }

    /// The picture of a row in the REST interface: the same scene at another quality.
    pub(crate) fn rest_picture(&self, recipe: &Recipe) -> Result<Bytes, Error> {
        self.picture(recipe, REST_QUALITY)
    }

    fn picture(&self, recipe: &Recipe, quality: u8) -> Result<Bytes, Error> {
        let key = Key {
            camera: recipe.camera,
            look: recipe.look,
            quality,
        };
        let keep = !recipe.fresh && quality == ALERT_QUALITY;
        let drawn = self.drawn(key, keep)?;
        let mut mark = String::with_capacity(MARK_BYTES);
        let _ = write!(
            mark,
            "watchpost-simulator camera={:04} alert={:012}",
            recipe.camera, recipe.seq
        );
        Ok(Bytes::from(with_comment(&drawn, mark.as_bytes())))
    }

    fn scene(&self, camera: u32) -> Option<&Scene> {
        let seed = self
            .options
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(u64::from(camera));
        let slot = self.scenes.get(camera as usize)?;
        Some(slot.get_or_init(|| Scene::new(camera, seed, self.options.frame, &Self::caption(camera))))
    }

    fn drawn(&self, key: Key, keep: bool) -> Result<Arc<[u8]>, Error> {
        if let Some(kept) = lock(&self.kept).get(&key) {
            return Ok(kept.clone());
        }
        let pixels = self.pixels(key.camera, key.look)?;
        let mut jpeg = self.encode(&pixels, key.quality)?;
        if let Some(size) = self.options.picture_size {
            jpeg = padded(
                &jpeg,
                size.0.saturating_sub(COMMENT_HEAD_BYTES + MARK_BYTES),
                self.options.seed,
            );
        }
        let drawn: Arc<[u8]> = jpeg.into();
        if keep {
            let mut kept = lock(&self.kept);
            if kept.len() * drawn.len() >= MAX_KEPT_BYTES {
                kept.clear();
            }
            kept.insert(key, drawn.clone());
        }
        Ok(drawn)
    }

    fn pixels(&self, camera: u32, look: Look) -> Result<image::RgbImage, Error> {
        let scene = self
            .scene(camera)
            .ok_or_else(|| Error::Draw(format!("no camera {camera}")))?;
        scene.look(look)
    }

    /// JPEG that leaves room for the mark and the padding, at a lower quality if it must.
    fn encode(&self, pixels: &image::RgbImage, quality: u8) -> Result<Vec<u8>, Error> {
        let mut quality = quality;
        loop {
            let out = encode(pixels, quality)?;
            match self.fits(with_room(&out)) {
                Ok(()) => return Ok(out),
                Err(error) if quality <= LOWEST_QUALITY => return Err(error),
                Err(_) => quality = quality.saturating_sub(QUALITY_STEP).max(LOWEST_QUALITY),
            }
        }
    }
}

fn encode(pixels: &image::RgbImage, quality: u8) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let (width, height) = pixels.dimensions();
    JpegEncoder::new_with_quality(&mut out, quality)
        .encode(pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|e| Error::Draw(e.to_string()))?;
    Ok(out)
}

/// The length of a picture with its mark and the least padding.
fn with_room(jpeg: &[u8]) -> usize {
    jpeg.len() + 2 * COMMENT_HEAD_BYTES + MARK_BYTES
}

/// A JPEG with a comment behind its first marker.
fn with_comment(jpeg: &[u8], content: &[u8]) -> Vec<u8> {
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    let mut out = Vec::with_capacity(jpeg.len() + COMMENT_HEAD_BYTES + content.len());
    out.extend_from_slice(start);
    push_comment(&mut out, content.len(), |out| out.extend_from_slice(content));
    out.extend_from_slice(rest);
    out
}

/// A JPEG made as long as wanted by comments behind its first marker.
/// They hold noise, since real pictures do not compress either.
fn padded(jpeg: &[u8], target: usize, seed: u64) -> Vec<u8> {
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    let mut out = Vec::with_capacity(target.max(jpeg.len()));
    out.extend_from_slice(start);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut missing = target.saturating_sub(jpeg.len());
    while missing >= COMMENT_HEAD_BYTES {
        let mut content = (missing - COMMENT_HEAD_BYTES).min(MAX_COMMENT_BYTES);
        // What is left over must be nothing or hold another comment.
        let left = missing - COMMENT_HEAD_BYTES - content;
        if (1..COMMENT_HEAD_BYTES).contains(&left) {
            content -= COMMENT_HEAD_BYTES;
        }
        push_comment(&mut out, content, |out| {
            let from = out.len();
            out.resize(from + content, 0);
            if let Some(noise) = out.get_mut(from..) {
                rng.fill(noise);
            }
        });
        missing -= content + COMMENT_HEAD_BYTES;
    }
    out.extend_from_slice(rest);
    out
}

fn push_comment(out: &mut Vec<u8>, content_len: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    let length = u16::try_from(content_len + 2).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0xff, 0xfe]);
    out.extend_from_slice(&length.to_be_bytes());
    fill(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FrameSize, PictureSize};

    fn painter(picture_size: Option<usize>) -> Painter {
        Painter::new(&Options {
            frame: FrameSize {
                width: 160,
                height: 90,
            },
            picture_size: picture_size.map(PictureSize),
            ..Options::default()
        })
    }

    fn recipe(camera: u32, seq: u64) -> Recipe {
        let look = Look {
            moment: 5,
            clock: 1_800_000_000,
            persons: 1,
            boxes: false,
        };
        Recipe {
            camera,
            look,
            seq,
            fresh: false,
        }
    }

    fn pixels(jpeg: &[u8]) -> Vec<u8> {
        image::load_from_memory(jpeg).unwrap().to_rgb8().into_raw()
    }

    #[test]
    fn pictures_decode_and_differ_by_camera() {
        let painter = painter(None);
        let [one, two] = [0, 1].map(|camera| painter.alert_picture(&recipe(camera, 1)).unwrap());
        assert_eq!(pixels(&one).len(), 160 * 90 * 3);
        assert_ne!(pixels(&one), pixels(&two));
    }

    #[test]
    fn every_alert_has_bytes_of_its_own_and_gets_them_again() {
        let painter = painter(None);
        let [one, two] = [1, 2].map(|seq| painter.alert_picture(&recipe(0, seq)).unwrap());
        assert_ne!(one, two);
        assert_eq!(pixels(&one), pixels(&two), "the scene itself is the same");
        assert_eq!(one, painter.alert_picture(&recipe(0, 1)).unwrap());
        assert_eq!(
            one,
            super::tests::painter(None).alert_picture(&recipe(0, 1)).unwrap()
        );
        assert_ne!(one, painter.rest_picture(&recipe(0, 1)).unwrap());
    }

    #[test]
    fn padding_hits_every_length_and_leaves_a_valid_picture() {
        let sizes = (10_000..10_010).chain([60_000, 65_533, 75_000, 140_001, 200_000]);
        for size in sizes {
            let picture = painter(Some(size)).alert_picture(&recipe(0, 1)).unwrap();
            assert_eq!(picture.len(), size);
            assert_eq!(pixels(&picture).len(), 160 * 90 * 3);
        }
    }

    #[test]
    fn lengths_around_a_full_comment_are_hit() {
        let jpeg = [0xff, 0xd8, 0xff, 0xd9];
        for target in MAX_COMMENT_BYTES..MAX_COMMENT_BYTES + 40 {
            assert_eq!(padded(&jpeg, target, 1).len(), target);
        }
    }

    #[test]
    fn a_size_that_cannot_be_reached_is_refused() {
        let refused = painter(Some(500))
            .alert_picture(&recipe(0, 1))
            .unwrap_err()
            .to_string();
        assert!(
            refused.starts_with("a picture of 160x90 pixels takes at least "),
            "{refused}"
        );
    }
}
