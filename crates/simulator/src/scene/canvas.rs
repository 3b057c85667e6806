//! Shapes in parts of the picture (0 to 1 across and down), so that a scene fits any extent.
//! It knows nothing of what the shapes mean.

use image::{Rgb, RgbImage};

use super::fill::{self, LETTER_PIXELS};
use crate::{FrameSize, wire::Bbox};

/// A colour.
pub(super) type Ink = Rgb<u8>;

/// A picture being drawn.
pub(super) struct Canvas {
    image: RgbImage,
}

impl Canvas {
    pub(super) fn new(frame: FrameSize) -> Self {
        Self {
            image: RgbImage::new(frame.width, frame.height),
        }
    }

    pub(super) fn from_image(image: RgbImage) -> Self {
        Self { image }
    }

    pub(super) fn into_image(self) -> RgbImage {
        self.image
    }

    /// Width over height.
    pub(super) fn aspect(&self) -> f32 {
        self.image.width() as f32 / self.image.height() as f32
    }

    pub(super) fn rect(&mut self, x: f32, y: f32, w: f32, h: f32, ink: Ink) {
        let ((left, top), (right, bottom)) = (self.pixel(x, y), self.pixel(x + w, y + h));
        let extent = ((right - left).max(1), (bottom - top).max(1));
        fill::rect(&mut self.image, (left, top), extent, ink);
    }

    /// A rectangle that runs from one colour at its top to another at its bottom.
    pub(super) fn gradient(&mut self, y: f32, h: f32, top: Ink, bottom: Ink) {
        let (first, last) = (
            self.pixel(0.0, y).1.max(0) as u32,
            self.pixel(0.0, y + h).1.max(0) as u32,
        );
        let last = last.min(self.image.height());
        for row in first..last {
            let part = (row - first) as f32 / (last - first).max(1) as f32;
            let ink = mix(top, bottom, part);
            let width = self.image.width() as i32;
            fill::rect(&mut self.image, (0, row as i32), (width, 1), ink);
        }
    }

    pub(super) fn polygon(&mut self, corners: &[(f32, f32)], ink: Ink) {
        let corners: Vec<_> = corners.iter().map(|&(x, y)| self.pixel(x, y)).collect();
        fill::polygon(&mut self.image, &corners, ink);
    }

    /// An ellipse around a centre; both radii are parts of the height, so that a circle stays round.
    pub(super) fn ellipse(&mut self, x: f32, y: f32, rx: f32, ry: f32, ink: Ink) {
        let height = self.image.height() as f32;
        let (rx, ry) = ((rx * height).max(1.0) as i32, (ry * height).max(1.0) as i32);
        let centre = self.pixel(x, y);
        fill::ellipse(&mut self.image, centre, (rx, ry), ink);
    }

    /// A limb: a thick line with round ends, its radius a part of the height.
    pub(super) fn limb(&mut self, from: (f32, f32), to: (f32, f32), radius: f32, ink: Ink) {
        let aspect = self.aspect();
        let (dx, dy) = ((to.0 - from.0) * aspect, to.1 - from.1);
        let length = dx.hypot(dy).max(1e-6);
        let (nx, ny) = (-dy / length * radius / aspect, dx / length * radius);
        let corners = [
            (from.0 + nx, from.1 + ny),
            (to.0 + nx, to.1 + ny),
            (to.0 - nx, to.1 - ny),
            (from.0 - nx, from.1 - ny),
        ];
        self.polygon(&corners, ink);
        self.ellipse(from.0, from.1, radius, radius, ink);
        self.ellipse(to.0, to.1, radius, radius, ink);
    }

    /// A shadow: darkens an ellipse, most in its middle.
    pub(super) fn shadow(&mut self, x: f32, y: f32, rx: f32, ry: f32) {
        let (width, height) = self.image.dimensions();
        let (cx, cy) = (x * width as f32, y * height as f32);
        let (rx, ry) = ((rx * height as f32).max(1.0), (ry * height as f32).max(1.0));
        let span = |centre: f32, radius: f32, end: u32| {
            ((centre - radius).max(0.0) as u32).min(end)..((centre + radius + 1.0).max(0.0) as u32).min(end)
        };
        for py in span(cy, ry, height) {
            for px in span(cx, rx, width) {
                let away = ((px as f32 - cx) / rx).hypot((py as f32 - cy) / ry);
                if away < 1.0 {
                    let pixel = self.image.get_pixel_mut(px, py);
                    *pixel = mix(*pixel, Rgb([8, 8, 12]), (1.0 - away) * 0.75);
                }
            }
        }
    }

    /// A box of two pixels' width.
    pub(super) fn outline(&mut self, Bbox { x, y, w, h }: Bbox, ink: Ink) {
        for inset in 0..2 {
            if w > 2 * inset && h > 2 * inset {
                let corner = ((x + inset) as i32, (y + inset) as i32);
                let extent = ((w - 2 * inset) as i32, (h - 2 * inset) as i32);
                fill::outline(&mut self.image, corner, extent, ink);
            }
        }
    }

    /// Changes every pixel by its place, in parts of the picture.
    pub(super) fn each(&mut self, mut change: impl FnMut(f32, f32, &mut Ink)) {
        let (width, height) = (self.image.width() as f32, self.image.height() as f32);
        for (x, y, pixel) in self.image.enumerate_pixels_mut() {
            change(x as f32 / width, y as f32 / height, pixel);
        }
    }

    /// Burns in a name (top left) and a clock (bottom right), each on a darkened strip.
    pub(super) fn caption(&mut self, name: &str, clock: &str) {
        let (width, height) = self.image.dimensions();
        let scale = (height / (28 * LETTER_PIXELS)).max(1);
        let (size, margin) = (scale * LETTER_PIXELS, scale * LETTER_PIXELS / 2);
        let strip = size + margin;
        let white = Rgb([240, 240, 236]);
        for (text, right, y) in [(name, false, 0), (clock, true, height.saturating_sub(strip))] {
            let text_width = size * text.chars().count() as u32;
            let x = if right {
                width.saturating_sub(text_width + 2 * margin)
            } else {
                0
            };
            self.darken(x, y, text_width + 2 * margin, strip);
            let place = ((x + margin) as i32, (y + margin / 2) as i32);
            fill::text(&mut self.image, place, scale, text, white);
        }
        let dot = (size * 3 / 10) as i32;
        let place = (width as i32 - strip as i32, strip as i32 / 2);
        fill::ellipse(&mut self.image, place, (dot, dot), Rgb([214, 40, 40]));
    }

    fn darken(&mut self, x: u32, y: u32, w: u32, h: u32) {
        let (width, height) = self.image.dimensions();
        for py in y..(y + h).min(height) {
            for px in x..(x + w).min(width) {
                let pixel = self.image.get_pixel_mut(px, py);
                *pixel = mix(*pixel, Rgb([0, 0, 0]), 0.55);
            }
        }
    }

    fn pixel(&self, x: f32, y: f32) -> (i32, i32) {
        (
            (x * self.image.width() as f32).round() as i32,
            (y * self.image.height() as f32).round() as i32,
        )
    }
}

/// A colour between two, 0 the first and 1 the second.
pub(super) fn mix(from: Ink, to: Ink, part: f32) -> Ink {
    let channel = |i: usize| {
        let (from, to) = (f32::from(from.0[i]), f32::from(to.0[i]));
        (from + (to - from) * part.clamp(0.0, 1.0)).round() as u8
    };
    Rgb([channel(0), channel(1), channel(2)])
}
