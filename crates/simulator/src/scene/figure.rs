//! A person walking across a scene. It knows where limbs go and nothing of the place around.

use image::Rgb;

use super::canvas::{Canvas, Ink, mix};

/// Steps from one side to the other; then the person turns round.
const CROSSING_STEPS: u32 = 48;
/// Jackets by person.
const JACKETS: [Ink; 6] = [
    Rgb([46, 64, 108]),
    Rgb([132, 44, 40]),
    Rgb([58, 84, 58]),
    Rgb([150, 116, 60]),
    Rgb([92, 60, 110]),
    Rgb([70, 74, 80]),
];

/// One person at one moment; lengths are parts of the picture's height.
pub(super) struct Walker {
    /// Middle of the feet.
    x: f32,
    feet: f32,
    height: f32,
    /// Where in a stride, in radians.
    stride: f32,
    facing: f32,
    jacket: Ink,
}

impl Walker {
    /// The person's way follows from the seed; `ground` is where the floor begins, from the top.
    pub(super) fn new(seed: u64, ground: f32, moment: u32, person: u32) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ (u64::from(person) + 1).wrapping_mul(0x9e37_79b9));
        let start = rng.u32(..CROSSING_STEPS * 2);
        let depth = 0.35 + rng.f32() * 0.5;
        let phase = moment.wrapping_add(start) % (CROSSING_STEPS * 2);
        let there = phase < CROSSING_STEPS;
        let along = if there { phase } else { CROSSING_STEPS * 2 - phase } as f32 / CROSSING_STEPS as f32;
        Self {
            x: 0.14 + along * 0.72,
            feet: ground + (0.97 - ground) * depth,
            height: 0.34 + 0.24 * depth,
            stride: phase as f32 * 1.1,
            facing: if there { 1.0 } else { -1.0 },
            jacket: JACKETS[rng.usize(..JACKETS.len())],
        }
    }

    /// Left, top, right, bottom, in parts of the picture.
    pub(super) fn outline(&self, aspect: f32) -> (f32, f32, f32, f32) {
        let half = self.height * 0.27 / aspect;
        (
            self.x - half,
            self.feet - self.height * 1.02,
            self.x + half,
            self.feet + self.height * 0.04,
        )
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        let aspect = canvas.aspect();
        let tall = self.height;
        // A place on the body: sideways (forward is positive) and up from the feet, in body heights.
        let at = |forward: f32, up: f32| {
            (
                self.x + forward * self.facing * tall / aspect,
                self.feet - up * tall,
            )
        };
        let dark = mix(self.jacket, Rgb([0, 0, 0]), 0.4);
        let (trousers, far_trousers) = (Rgb([38, 40, 48]), Rgb([26, 27, 33]));
        let (skin, hair) = (Rgb([196, 152, 124]), Rgb([44, 34, 28]));
        let swing = self.stride.sin() * 0.16;

        canvas.shadow(self.x, self.feet, tall * 0.30, tall * 0.055);
        self.leg(canvas, &at, -swing, far_trousers);
        self.arm(canvas, &at, swing, dark, skin);
        self.leg(canvas, &at, swing, trousers);
        canvas.limb(at(0.0, 0.54), at(0.015, 0.74), tall * 0.085, self.jacket);
        canvas.limb(at(0.0, 0.50), at(0.0, 0.54), tall * 0.075, self.jacket);
        self.arm(
            canvas,
            &at,
            -swing,
            mix(self.jacket, Rgb([255, 255, 255]), 0.08),
            skin,
        );
        canvas.limb(at(0.015, 0.80), at(0.02, 0.85), tall * 0.03, skin);
        let (x, y) = at(0.03, 0.915);
        canvas.ellipse(x, y, tall * 0.055, tall * 0.07, skin);
        let (x, y) = at(0.012, 0.945);
        canvas.ellipse(x, y, tall * 0.058, tall * 0.05, hair);
    }

    fn leg(&self, canvas: &mut Canvas, at: &impl Fn(f32, f32) -> (f32, f32), swing: f32, ink: Ink) {
        let tall = self.height;
        let bend = if swing < 0.0 { 0.03 } else { 0.0 };
        let (hip, knee, foot) = (
            at(0.0, 0.49),
            at(swing * 0.55 + 0.02, 0.26),
            at(swing - bend, 0.025 + bend),
        );
        canvas.limb(hip, knee, tall * 0.050, ink);
        canvas.limb(knee, foot, tall * 0.038, ink);
        canvas.limb(
            foot,
            at(swing - bend + 0.065, 0.02 + bend),
            tall * 0.024,
            Rgb([22, 20, 20]),
        );
    }

    fn arm(
        &self,
        canvas: &mut Canvas,
        at: &impl Fn(f32, f32) -> (f32, f32),
        swing: f32,
        ink: Ink,
        skin: Ink,
    ) {
        let tall = self.height;
        let (shoulder, elbow) = (at(0.01, 0.77), at(swing * 0.5 - 0.01, 0.61));
        let hand = at(swing + 0.03, 0.47);
        canvas.limb(shoulder, elbow, tall * 0.036, ink);
        canvas.limb(elbow, hand, tall * 0.030, ink);
        canvas.ellipse(hand.0, hand.1, tall * 0.028, tall * 0.028, skin);
    }
}
