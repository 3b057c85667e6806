//! The built-in tones: sines, computed sample by sample. None imitates a fire or evacuation signal (ISO 8201, EN 54-3),
//! which a break-in must not be taken for.

use std::f32::consts::TAU;

use schemars::JsonSchema;
use serde::Deserialize;

/// Samples a second of a tone.
pub(crate) const RATE: u32 = 48_000;

/// Amplitude: -3 dB, so that nothing behind it clips.
const AMPLITUDE: f32 = 0.7;

/// How long a tone takes to swell and to fade, in seconds: a step would click.
const EDGE: f32 = 0.005;

/// A built-in tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tone {
    /// Rises from 600 to 1200 Hz and falls again, in two seconds.
    Siren,
    /// 800 Hz and 600 Hz in turn, half a second each.
    HiLo,
    /// 1000 Hz for half a second, and as long nothing.
    Pulse,
    /// 2000 Hz for 150 ms, then nothing until half a second is over.
    Beep,
}

/// A tone as it sounds once.
#[derive(Debug)]
pub(crate) struct Cycle {
    tone: Tone,
    /// Index of the next sample.
    next: u32,
    /// Of the sine, in turns.
    phase: f32,
}

impl Tone {
    /// Samples of one cycle.
    fn samples(self) -> u32 {
        match self {
            Self::Siren => 2 * RATE,
            Self::HiLo | Self::Pulse => RATE,
            Self::Beep => RATE / 2,
        }
    }

    /// Frequency in Hz and loudness at a time of the cycle, in seconds.
    fn at(self, time: f32) -> (f32, f32) {
        match self {
            Self::Siren => (600.0 + 600.0 * (1.0 - (time - 1.0).abs()), 1.0),
            Self::HiLo if time < 0.5 => (800.0, 1.0),
            Self::HiLo => (600.0, 1.0),
            Self::Pulse => (1000.0, swell(time, 0.5)),
            Self::Beep => (2000.0, swell(time, 0.15)),
        }
    }
}

/// Loudness of what sounds from 0 to `end`.
fn swell(time: f32, end: f32) -> f32 {
    (time.min(end - time) / EDGE).clamp(0.0, 1.0)
}

impl Cycle {
    pub(crate) fn new(tone: Tone) -> Self {
        Self {
            tone,
            next: 0,
            phase: 0.0,
        }
    }
}

impl Iterator for Cycle {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if self.next >= self.tone.samples() {
            return None;
        }
        let time = self.next as f32 / RATE as f32;
        let (frequency, loudness) = self.tone.at(time);
        let sample = AMPLITUDE * loudness * (TAU * self.phase).sin();
        self.next += 1;
        self.phase = (self.phase + frequency / RATE as f32).fract();
        Some(sample)
    }
}
