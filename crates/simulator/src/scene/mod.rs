//! Draws what a camera sees: a place, persons walking through it, the stream's name and a clock.
//! The same camera, moment and clock give the same pixels. It knows nothing of files or messages.

mod canvas;
mod figure;
mod fill;
mod place;

pub(crate) use self::place::NAMES as PLACES;

use image::{Rgb, RgbImage};
use time::{OffsetDateTime, macros::format_description};

use self::canvas::Canvas;
use crate::{Error, FrameSize, wire::Bbox};

/// The place of one camera, drawn once; persons and text are drawn into copies of it.
pub(crate) struct Scene {
    background: RgbImage,
    caption: String,
    seed: u64,
    ground: f32,
}

/// One look at a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Look {
    /// How far the persons have walked, in steps.
    pub(crate) moment: u32,
    /// What the clock shows, in seconds since 1970, UTC.
    pub(crate) clock: i64,
    /// Persons in the picture.
    pub(crate) persons: u32,
    /// Whether boxes are drawn around them, as an annotated picture has.
    pub(crate) boxes: bool,
}

impl Scene {
    /// The place of a camera; cameras differ by number and seed.
    pub(crate) fn new(camera: u32, seed: u64, frame: FrameSize, caption: &str) -> Self {
        let mut canvas = Canvas::new(frame);
        let mut rng = fastrand::Rng::with_seed(seed);
        let ground = place::draw(&mut canvas, camera, &mut rng);
        Self {
            background: canvas.into_image(),
            caption: caption.to_owned(),
            seed,
            ground,
        }
    }

    /// The box around one person, in pixels, cut at the edges of the picture.
    pub(crate) fn person_box(&self, moment: u32, person: u32) -> Bbox {
        let (width, height) = (self.background.width() as f32, self.background.height() as f32);
        let (left, top, right, bottom) = self.walker(moment, person).outline(width / height);
        let pixel = |part: f32, whole: f32| (part.clamp(0.0, 1.0) * whole) as u32;
        let (x, y) = (pixel(left, width), pixel(top, height));
        Bbox {
            x,
            y,
            w: pixel(right, width).saturating_sub(x),
            h: pixel(bottom, height).saturating_sub(y),
        }
    }

    /// The whole picture.
    pub(crate) fn look(&self, look: Look) -> Result<RgbImage, Error> {
        let mut canvas = Canvas::from_image(self.background.clone());
        for person in 0..look.persons {
            self.walker(look.moment, person).draw(&mut canvas);
        }
        if look.boxes {
            for person in 0..look.persons {
                canvas.outline(self.person_box(look.moment, person), Rgb([235, 64, 52]));
            }
        }
        self.write(&mut canvas, look.clock)?;
        Ok(canvas.into_image())
    }

    fn walker(&self, moment: u32, person: u32) -> figure::Walker {
        figure::Walker::new(self.seed, self.ground, moment, person)
    }

    fn write(&self, canvas: &mut Canvas, clock: i64) -> Result<(), Error> {
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        let clock = OffsetDateTime::from_unix_timestamp(clock)
            .ok()
            .and_then(|moment| moment.format(format).ok())
            .ok_or_else(|| Error::Draw(format!("the clock cannot show {clock} seconds since 1970")))?;
        canvas.caption(&self.caption, &clock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: FrameSize = FrameSize {
        width: 320,
        height: 180,
    };
    const LOOK: Look = Look {
        moment: 3,
        clock: 1_800_000_000,
        persons: 1,
        boxes: false,
    };

    #[test]
    fn the_same_look_gives_the_same_pixels() {
        let scene = Scene::new(0, 7, FRAME, "CAM 01");
        assert_eq!(
            scene.look(LOOK).unwrap(),
            Scene::new(0, 7, FRAME, "CAM 01").look(LOOK).unwrap()
        );
    }

    #[test]
    fn cameras_moments_clocks_and_captions_can_be_told_apart() {
        let picture = Scene::new(0, 7, FRAME, "CAM 01").look(LOOK).unwrap();
        let scene = Scene::new(0, 7, FRAME, "CAM 01");
        assert_ne!(picture, scene.look(Look { moment: 4, ..LOOK }).unwrap());
        assert_ne!(
            picture,
            scene
                .look(Look {
                    clock: LOOK.clock + 1,
                    ..LOOK
                })
                .unwrap()
        );
        assert_ne!(picture, Scene::new(0, 7, FRAME, "CAM 02").look(LOOK).unwrap());
        assert_ne!(picture, Scene::new(1, 7, FRAME, "CAM 01").look(LOOK).unwrap());
    }

    #[test]
    fn the_person_stands_in_its_box_and_inside_the_picture() {
        for camera in 0..8 {
            let scene = Scene::new(camera, u64::from(camera), FRAME, "CAM");
            for moment in 0..64 {
                let Bbox { x, y, w, h } = scene.person_box(moment, 0);
                assert!(
                    w > 10 && h > 40 && x + w <= FRAME.width && y + h <= FRAME.height,
                    "{x} {y} {w} {h}"
                );
                let empty = scene
                    .look(Look {
                        moment,
                        persons: 0,
                        ..LOOK
                    })
                    .unwrap();
                let peopled = scene.look(Look { moment, ..LOOK }).unwrap();
                let differs = |x, y| empty.get_pixel(x, y) != peopled.get_pixel(x, y);
                assert!(
                    (y..y + h).any(|y| (x..x + w).any(|x| differs(x, y))),
                    "nobody at moment {moment}"
                );
            }
        }
    }

    #[test]
    fn the_smallest_frame_can_be_drawn() {
        let side = crate::options::MIN_FRAME_SIDE_PIXELS;
        for camera in 0..4 {
            let scene = Scene::new(
                camera,
                1,
                FrameSize {
                    width: side,
                    height: side,
                },
                "CAM 01",
            );
            scene
                .look(Look {
                    persons: 8,
                    boxes: true,
                    ..LOOK
                })
                .unwrap();
        }
    }
}
