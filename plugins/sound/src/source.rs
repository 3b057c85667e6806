//! What is to sound, as one stream of samples: repeated, at its volume, in stereo, cut at its end.

use std::time::Duration;

use crate::config::{Programme, What};
use crate::file::{File, Undecodable};
use crate::tone::{self, Cycle, Tone};

/// Samples of a tone that are computed at a time, 20 ms of them.
const TONE_PIECE: usize = tone::RATE as usize / 50;

/// Some samples as they come out of a file or a tone.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    /// Frames a second.
    pub(crate) rate: u32,
    pub(crate) channels: usize,
    /// Interleaved, -1 to 1.
    pub(crate) samples: &'a [f32],
}

/// A programme that is being played.
pub(crate) struct Source<'a> {
    programme: Programme<'a>,
    playing: Playing,
    /// Cycles that are still to come after this one.
    left: u16,
    /// Seconds that are still to come.
    time_left: f64,
    stereo: Vec<i16>,
}

enum Playing {
    File(Box<File>),
    Tone { cycle: Cycle, samples: Vec<f32> },
}

impl Piece<'_> {
    /// How long it sounds.
    pub(crate) fn seconds(&self) -> f64 {
        self.frames() as f64 / f64::from(self.rate.max(1))
    }

    fn frames(&self) -> usize {
        self.samples.len() / self.channels.max(1)
    }

    /// Its first `frames` for left and right: what has one channel goes to both, what has more than two loses the
    /// others.
    fn stereo(&self, frames: usize, volume: f32, into: &mut Vec<i16>) {
        into.clear();
        for frame in self.samples.chunks_exact(self.channels.max(1)).take(frames) {
            for sample in [frame[0], *frame.get(1).unwrap_or(&frame[0])] {
                // The cast saturates.
                into.push((sample * volume * f32::from(i16::MAX)) as i16);
            }
        }
    }
}

impl<'a> Source<'a> {
    /// Plays no longer than `limit`.
    pub(crate) fn new(programme: Programme<'a>, limit: Duration) -> Result<Self, Undecodable> {
        Ok(Self {
            playing: Playing::begin(programme.what)?,
            left: programme.repeat.saturating_sub(1),
            time_left: limit.min(programme.max_duration).as_secs_f64(),
            programme,
            stereo: Vec::new(),
        })
    }

    /// The next samples for left and right in turn, and how many of each a second. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, &[i16])>, Undecodable> {
        loop {
            if self.time_left <= 0.0 {
                return Ok(None);
            }
            let Some(piece) = self.playing.next()? else {
                if self.left == 0 {
                    return Ok(None);
                }
                self.left -= 1;
                self.playing = Playing::begin(self.programme.what)?;
                continue;
            };
            let rate = piece.rate;
            let most = (self.time_left * f64::from(rate)).ceil() as usize;
            self.time_left -= piece.seconds();
            piece.stereo(piece.frames().min(most), self.programme.volume, &mut self.stereo);
            return Ok(Some((rate, &self.stereo)));
        }
    }
}

impl Playing {
    fn begin(what: What<'_>) -> Result<Self, Undecodable> {
        Ok(match what {
            What::File(path) => Self::File(Box::new(File::open(path)?)),
            What::Tone(tone) => Self::tone(tone),
        })
    }

    fn tone(tone: Tone) -> Self {
        Self::Tone {
            cycle: Cycle::new(tone),
            samples: Vec::with_capacity(TONE_PIECE),
        }
    }

    fn next(&mut self) -> Result<Option<Piece<'_>>, Undecodable> {
        match self {
            Self::File(file) => file.next(),
            Self::Tone { cycle, samples } => {
                samples.clear();
                samples.extend(cycle.take(TONE_PIECE));
                Ok((!samples.is_empty()).then_some(Piece {
                    rate: tone::RATE,
                    channels: 1,
                    samples,
                }))
            }
        }
    }
}
