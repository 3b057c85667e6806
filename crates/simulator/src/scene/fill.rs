//! Shapes in pixels, each filled with one colour and cut at the edges of the picture.
//! It knows nothing of scenes.

use font8x8::{BASIC_FONTS, UnicodeFonts as _};
use image::RgbImage;

use super::canvas::Ink;

/// Pixels of a letter across and down, before it is enlarged.
pub(super) const LETTER_PIXELS: u32 = 8;

/// A rectangle by its corner and extent; there is nothing in it if either is 0 or less.
pub(super) fn rect(image: &mut RgbImage, (left, top): (i32, i32), (width, height): (i32, i32), ink: Ink) {
    for y in top..top.saturating_add(height) {
        row(image, y, left, left.saturating_add(width), ink);
    }
}

/// The edges of a rectangle, one pixel wide.
pub(super) fn outline(image: &mut RgbImage, (left, top): (i32, i32), (width, height): (i32, i32), ink: Ink) {
    rect(image, (left, top), (width, 1), ink);
    rect(image, (left, top + height - 1), (width, 1), ink);
    rect(image, (left, top), (1, height), ink);
    rect(image, (left + width - 1, top), (1, height), ink);
}

/// An ellipse around a centre, with the radii across and down.
pub(super) fn ellipse(image: &mut RgbImage, (x, y): (i32, i32), (rx, ry): (i32, i32), ink: Ink) {
    for dy in -ry..=ry {
        let part = f64::from(dy) / f64::from(ry.max(1));
        let half = (f64::from(rx) * (1.0 - part * part).max(0.0).sqrt()).round() as i32;
        row(image, y + dy, x - half, x + half + 1, ink);
    }
}

/// A polygon, also one that is not convex.
pub(super) fn polygon(image: &mut RgbImage, corners: &[(i32, i32)], ink: Ink) {
    let rows = || corners.iter().map(|&(_, y)| y);
    let (Some(top), Some(bottom)) = (rows().min(), rows().max()) else {
        return;
    };
    let bottom = bottom.min(i32::try_from(image.height()).unwrap_or(i32::MAX));
    for y in top.max(0)..=bottom {
        let mut crossings = crossings(corners, y);
        crossings.sort_unstable();
        for pair in crossings.chunks_exact(2) {
            row(image, y, pair[0], pair[1] + 1, ink);
        }
    }
}

/// Where the edges of a polygon cross a row. Each edge has its upper end and not its lower, so that there are always two.
fn crossings(corners: &[(i32, i32)], y: i32) -> Vec<i32> {
    let next = corners.iter().cycle().skip(1);
    let edges = corners
        .iter()
        .zip(next)
        .map(|(from, to)| if from.1 <= to.1 { (from, to) } else { (to, from) });
    edges
        .filter(|(upper, lower)| (upper.1..lower.1).contains(&y))
        .map(|(upper, lower)| {
            let part = f64::from(y - upper.1) / f64::from(lower.1 - upper.1);
            (f64::from(upper.0) + f64::from(lower.0 - upper.0) * part).round() as i32
        })
        .collect()
}

/// A text in letters of [`LETTER_PIXELS`] times `scale`. What the font does not have is left blank.
pub(super) fn text(image: &mut RgbImage, (x, y): (i32, i32), scale: u32, text: &str, ink: Ink) {
    let scale = scale as i32;
    let mut left = x;
    for letter in text.chars() {
        let rows = BASIC_FONTS.get(letter).unwrap_or_default();
        for (line, bits) in (0..).zip(rows) {
            for column in (0..LETTER_PIXELS as i32).filter(|column| bits >> column & 1 == 1) {
                let place = (left + column * scale, y + line * scale);
                rect(image, place, (scale, scale), ink);
            }
        }
        left += LETTER_PIXELS as i32 * scale;
    }
}

/// The pixels of one row from one column up to another.
fn row(image: &mut RgbImage, y: i32, from: i32, to: i32, ink: Ink) {
    let Ok(y) = u32::try_from(y) else { return };
    if y >= image.height() {
        return;
    }
    let end = u32::try_from(to).unwrap_or(0).min(image.width());
    for x in u32::try_from(from).unwrap_or(0)..end {
        image.put_pixel(x, y, ink);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use image::Rgb;

    use super::*;

    fn check(draw: impl FnOnce(&mut RgbImage, Ink), expected: Expect) {
        let mut image = RgbImage::new(12, 8);
        draw(&mut image, Rgb([255; 3]));
        let lines: Vec<String> = image
            .rows()
            .map(|row| row.map(|pixel| if pixel.0[0] > 0 { '#' } else { '.' }).collect())
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn shapes_are_filled_and_cut_at_the_edges() {
        check(
            |image, ink| {
                rect(image, (-2, -2), (4, 4), ink);
                outline(image, (7, 1), (4, 4), ink);
                polygon(image, &[(0, 4), (6, 7), (0, 12)], ink);
            },
            expect![[r#"
                ##..........
                ##.....####.
                .......#..#.
                .......#..#.
                #......####.
                ###.........
                #####.......
                #######....."#]],
        );
    }

    #[test]
    fn an_ellipse_is_round_and_a_letter_can_be_read() {
        check(
            |image, ink| {
                ellipse(image, (2, 3), (2, 3), ink);
                text(image, (5, 0), 1, "L", ink);
            },
            expect![[r#"
                ..#..####...
                .###..##....
                #####.##....
                #####.##....
                #####.##...#
                .###..##..##
                ..#..#######
                ............"#]],
        );
    }
}
