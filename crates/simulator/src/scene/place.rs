//! The places cameras look at: a back door, a car park, a shop floor, a loading bay.
//! Each draws its ground and its things; light, lens and sensor noise come over all of them alike.

use image::Rgb;

use super::canvas::{Canvas, Ink, mix};

/// Names of the places, by camera number; they stand in captions.
pub(crate) const NAMES: [&str; 4] = ["Back door", "Car park", "Shop floor", "Loading bay"];

/// Largest change of a colour by sensor noise, in steps of 255.
const NOISE_STEPS: i32 = 5;

/// Draws the place of a camera and answers where its floor begins, from the top.
pub(super) fn draw(canvas: &mut Canvas, camera: u32, rng: &mut fastrand::Rng) -> f32 {
    let (ground, lamp) = match camera as usize % NAMES.len() {
        0 => back_door(canvas),
        1 => car_park(canvas, rng),
        2 => shop_floor(canvas, rng),
        _ => loading_bay(canvas, rng),
    };
    expose(canvas, lamp, rng);
    ground
}

/// Light falling off from a lamp (x, y, strength), darker corners, and noise.
fn expose(canvas: &mut Canvas, lamp: (f32, f32, f32), rng: &mut fastrand::Rng) {
    let (lamp_x, lamp_y, strength) = lamp;
    let aspect = canvas.aspect();
    canvas.each(|x, y, pixel| {
        let away = ((x - lamp_x) * aspect).hypot(y - lamp_y);
        let corner = ((x - 0.5).hypot(y - 0.5) * 1.25).powi(2);
        let light = (0.72 + strength / (1.0 + 5.0 * away * away) - 0.42 * corner).max(0.12);
        let noise = rng.i32(-NOISE_STEPS..=NOISE_STEPS) as f32;
        for channel in &mut pixel.0 {
            *channel = (f32::from(*channel) * light + noise).clamp(0.0, 255.0) as u8;
        }
    });
}

fn back_door(canvas: &mut Canvas) -> (f32, (f32, f32, f32)) {
    let ground = 0.60;
    canvas.rect(0.0, 0.0, 1.0, ground, Rgb([112, 72, 60]));
    let (rows, columns) = (18, 16);
    let (brick_w, brick_h) = (1.0 / columns as f32, ground / rows as f32);
    for row in 0..rows {
        for column in -1..columns {
            let shift = if row % 2 == 0 { 0.0 } else { brick_w / 2.0 };
            let shade = ((row * 7 + column * 13) % 5) as f32 * 0.045;
            let ink = mix(Rgb([132, 84, 66]), Rgb([92, 56, 48]), shade * 4.0);
            let (x, y) = (column as f32 * brick_w + shift, row as f32 * brick_h);
            canvas.rect(x + 0.002, y + 0.003, brick_w - 0.004, brick_h - 0.006, ink);
        }
    }
    canvas.gradient(ground, 1.0 - ground, Rgb([92, 92, 90]), Rgb([126, 124, 118]));
    paving(canvas, ground, Rgb([80, 80, 78]));
    canvas.rect(0.60, 0.17, 0.17, 0.45, Rgb([60, 62, 64]));
    canvas.rect(0.612, 0.19, 0.146, 0.43, Rgb([70, 98, 92]));
    canvas.rect(0.63, 0.23, 0.11, 0.13, Rgb([84, 114, 108]));
    canvas.rect(0.63, 0.41, 0.11, 0.17, Rgb([84, 114, 108]));
    canvas.ellipse(0.745, 0.41, 0.011, 0.011, Rgb([206, 190, 130]));
    canvas.rect(0.64, 0.10, 0.09, 0.035, Rgb([60, 60, 58]));
    canvas.ellipse(0.685, 0.137, 0.05, 0.018, Rgb([255, 246, 210]));
    bin(canvas, 0.08, 0.70, Rgb([52, 88, 60]));
    bin(canvas, 0.20, 0.68, Rgb([62, 66, 76]));
    (ground, (0.685, 0.2, 0.75))
}

fn bin(canvas: &mut Canvas, x: f32, bottom: f32, ink: Ink) {
    canvas.shadow(x + 0.05, bottom, 0.13, 0.03);
    canvas.polygon(
        &[
            (x, bottom - 0.24),
            (x + 0.1, bottom - 0.24),
            (x + 0.09, bottom),
            (x + 0.01, bottom),
        ],
        ink,
    );
    let lid = mix(ink, Rgb([255, 255, 255]), 0.12);
    canvas.polygon(
        &[
            (x - 0.005, bottom - 0.25),
            (x + 0.012, bottom - 0.29),
            (x + 0.092, bottom - 0.29),
            (x + 0.105, bottom - 0.25),
        ],
        lid,
    );
}

fn car_park(canvas: &mut Canvas, rng: &mut fastrand::Rng) -> (f32, (f32, f32, f32)) {
    let ground = 0.46;
    canvas.gradient(0.0, ground, Rgb([46, 56, 82]), Rgb([112, 118, 132]));
    let mut x = 0.0;
    while x < 1.0 {
        let (w, h) = (0.06 + rng.f32() * 0.1, 0.08 + rng.f32() * 0.18);
        canvas.rect(x, ground - h, w, h, Rgb([54, 58, 68]));
        for window in 0..((w / 0.022) as u32) {
            let lit = rng.u32(..3) == 0;
            let ink = if lit {
                Rgb([222, 196, 128])
            } else {
                Rgb([40, 44, 54])
            };
            canvas.rect(
                x + 0.008 + window as f32 * 0.022,
                ground - h + 0.02,
                0.010,
                0.022,
                ink,
            );
            canvas.rect(
                x + 0.008 + window as f32 * 0.022,
                ground - h + 0.06,
                0.010,
                0.022,
                Rgb([40, 44, 54]),
            );
        }
        x += w + 0.004;
    }
    canvas.gradient(ground, 1.0 - ground, Rgb([74, 76, 80]), Rgb([104, 104, 106]));
    for line in 0..9 {
        let x = line as f32 / 8.0;
        let near = 0.5 + (x - 0.5) * 1.7;
        let corners = [
            (x - 0.002, ground + 0.03),
            (x + 0.002, ground + 0.03),
            (near + 0.006, 0.74),
            (near - 0.006, 0.74),
        ];
        canvas.polygon(&corners, Rgb([206, 204, 196]));
    }
    for slot in [0, 2, 3, 6] {
        let inks = [
            Rgb([140, 34, 36]),
            Rgb([186, 190, 196]),
            Rgb([44, 60, 104]),
            Rgb([60, 62, 60]),
        ];
        car(
            canvas,
            (slot as f32 + 0.5) / 8.0,
            ground + 0.13,
            inks[rng.usize(..inks.len())],
        );
    }
    canvas.rect(0.90, 0.08, 0.008, 0.48, Rgb([44, 46, 50]));
    canvas.ellipse(0.888, 0.085, 0.05, 0.014, Rgb([255, 244, 208]));
    (ground, (0.888, 0.1, 0.7))
}

fn car(canvas: &mut Canvas, x: f32, bottom: f32, ink: Ink) {
    canvas.shadow(x, bottom + 0.005, 0.13, 0.03);
    canvas.polygon(
        &[
            (x - 0.034, bottom - 0.14),
            (x + 0.034, bottom - 0.14),
            (x + 0.048, bottom - 0.085),
            (x - 0.048, bottom - 0.085),
        ],
        mix(ink, Rgb([0, 0, 0]), 0.15),
    );
    canvas.polygon(
        &[
            (x - 0.029, bottom - 0.132),
            (x + 0.029, bottom - 0.132),
            (x + 0.040, bottom - 0.088),
            (x - 0.040, bottom - 0.088),
        ],
        Rgb([34, 42, 52]),
    );
    canvas.rect(x - 0.053, bottom - 0.088, 0.106, 0.072, ink);
    for side in [-1.0, 1.0] {
        canvas.ellipse(
            x + side * 0.043,
            bottom - 0.058,
            0.014,
            0.010,
            Rgb([236, 230, 200]),
        );
        canvas.rect(
            x + side * 0.038 - 0.010,
            bottom - 0.024,
            0.020,
            0.026,
            Rgb([20, 20, 22]),
        );
    }
    canvas.rect(x - 0.016, bottom - 0.040, 0.032, 0.016, Rgb([222, 222, 214]));
}

fn shop_floor(canvas: &mut Canvas, rng: &mut fastrand::Rng) -> (f32, (f32, f32, f32)) {
    let ground = 0.52;
    canvas.gradient(0.0, ground, Rgb([206, 206, 198]), Rgb([184, 182, 172]));
    canvas.gradient(ground, 1.0 - ground, Rgb([150, 142, 128]), Rgb([192, 184, 168]));
    paving(canvas, ground, Rgb([134, 126, 112]));
    for strip in 0..3 {
        canvas.rect(
            0.16 + strip as f32 * 0.27,
            0.03,
            0.15,
            0.016,
            Rgb([255, 255, 246]),
        );
    }
    for (left, w) in [(0.02, 0.27), (0.34, 0.30), (0.70, 0.28)] {
        let (top, bottom) = (0.16, 0.56);
        canvas.shadow(left + w / 2.0, bottom, w * 0.95, 0.03);
        canvas.rect(left, top, w, bottom - top, Rgb([92, 82, 72]));
        for board in 0..4 {
            let floor = top + 0.095 + board as f32 * 0.097;
            let mut x = left + 0.008;
            while x < left + w - 0.018 {
                let (goods_w, goods_h) = (0.010 + rng.f32() * 0.012, 0.045 + rng.f32() * 0.032);
                let ink = Rgb([rng.u8(60..220), rng.u8(60..200), rng.u8(50..190)]);
                canvas.rect(x, floor - goods_h, goods_w, goods_h, ink);
                canvas.rect(
                    x,
                    floor - goods_h * 0.62,
                    goods_w,
                    goods_h * 0.22,
                    Rgb([228, 224, 212]),
                );
                x += goods_w + 0.003;
            }
            canvas.rect(left, floor, w, 0.012, Rgb([162, 150, 132]));
        }
    }
    (ground, (0.5, 0.05, 0.4))
}

fn loading_bay(canvas: &mut Canvas, rng: &mut fastrand::Rng) -> (f32, (f32, f32, f32)) {
    let ground = 0.57;
    canvas.gradient(0.0, ground, Rgb([138, 142, 144]), Rgb([120, 122, 124]));
    canvas.gradient(ground, 1.0 - ground, Rgb([104, 102, 98]), Rgb([136, 132, 124]));
    for (x, open) in [(0.10, false), (0.42, true), (0.74, false)] {
        canvas.rect(x - 0.012, 0.12, 0.234, ground - 0.12, Rgb([198, 162, 44]));
        canvas.rect(x, 0.14, 0.21, ground - 0.14, Rgb([30, 32, 36]));
        let slats = if open { 4 } else { 17 };
        for slat in 0..slats {
            let ink = if slat % 2 == 0 {
                Rgb([150, 154, 158])
            } else {
                Rgb([132, 136, 140])
            };
            canvas.rect(x, 0.14 + slat as f32 * 0.0253, 0.21, 0.0253, ink);
        }
    }
    for stripe in 0..26 {
        let x = stripe as f32 * 0.04;
        let corners = [
            (x, 0.64),
            (x + 0.02, 0.64),
            (x + 0.008, 0.665),
            (x - 0.012, 0.665),
        ];
        canvas.polygon(&corners, Rgb([212, 178, 40]));
    }
    for (x, bottom, w) in [(0.80, 0.78, 0.12), (0.815, 0.60, 0.10), (0.03, 0.72, 0.11)] {
        let (ink, h) = (Rgb([164 + rng.u8(..20), 126, 78]), w * 1.45);
        canvas.shadow(x + w / 2.0, bottom, w, 0.025);
        canvas.rect(x, bottom - h, w, h, ink);
        canvas.rect(x, bottom - h * 0.56, w, h * 0.1, mix(ink, Rgb([0, 0, 0]), 0.25));
        canvas.rect(
            x + w * 0.44,
            bottom - h,
            w * 0.12,
            h,
            mix(ink, Rgb([255, 255, 255]), 0.2),
        );
    }
    (ground, (0.5, 0.02, 0.5))
}

/// Slabs that run to a vanishing point.
fn paving(canvas: &mut Canvas, ground: f32, ink: Ink) {
    for line in -12..=24 {
        let (far, near) = (line as f32 / 12.0, 0.5 + (line as f32 / 12.0 - 0.5) * 2.6);
        canvas.polygon(
            &[
                (far, ground),
                (far + 0.0012, ground),
                (near + 0.003, 1.0),
                (near - 0.003, 1.0),
            ],
            ink,
        );
    }
    for line in 1..9 {
        let y = ground + (1.0 - ground) * (line as f32 / 9.0).powf(1.8);
        canvas.rect(0.0, y, 1.0, 0.002 + 0.002 * line as f32 / 9.0, ink);
    }
}
