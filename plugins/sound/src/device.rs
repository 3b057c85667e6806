//! ALSA's outputs: found, opened, played on. Knows nothing of alerts.

use std::ffi::CString;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use alsa::device_name::HintIter;
use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, Error, ValueOr};

use watchpost_sink::Grant;

use crate::source::Source;

/// How far the samples that were handed over may be ahead of what sounds. A stop is heard after this at the latest,
/// however much the device or a sound server would take at once.
const LEAD: Duration = Duration::from_millis(200);

/// How often is looked whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// A device that takes nothing for so long never will.
const STALL: Duration = Duration::from_secs(2);

/// A device that is there wherever there is sound, with the permissions of all the others.
const DEVICE: &str = "/dev/snd/timer";

/// Devices that are named in an error.
const MAX_NAMED: usize = 12;

/// Numbers of errors, from Linux' `errno-base.h` and `errno.h`.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const ENXIO: i32 = 6;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const ENODEV: i32 = 19;
    /// The device ran out of samples.
    pub(super) const EPIPE: i32 = 32;
    /// The device was suspended.
    pub(super) const ESTRPIPE: i32 = 86;
}

/// An output that is open.
pub(crate) struct Output {
    name: String,
    pcm: PCM,
}

/// How playing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All of it sounded.
    Whole,
    /// It was stopped after so long.
    Stopped(Duration),
}

/// Why nothing sounds.
#[derive(Debug)]
pub(crate) enum Mute {
    /// The device.
    Device(String),
    /// What was to be played.
    Source(crate::file::Undecodable),
}

/// Samples handed over since the rate was last set.
#[derive(Debug)]
struct Progress {
    rate: u32,
    begun: Instant,
    frames: u64,
}

impl Output {
    /// Opens an output.
    pub(crate) fn open(name: &str) -> Result<Self, Mute> {
        // ALSA reads its configuration once, and would not see what was changed since. Freeing what was not read fails.
        let _ = alsa::config::update_free_global();
        // Takes what the library would print; its errors say enough. A new handler forgets what the last one has taken.
        let _ = alsa::Output::local_error_handler();
        let pcm = PCM::new(name, Direction::Playback, true).map_err(|error| unusable(name, error))?;
        let name = name.to_owned();
        Ok(Self { name, pcm })
    }

    /// Plays to the end, or until `stop` says so. What is handed over already is thrown away then.
    pub(crate) fn play(&self, source: &mut Source<'_>, stop: impl Fn() -> bool) -> Result<Ending, Mute> {
        let begun = Instant::now();
        let mut progress = Progress::new(0);
        while let Some((rate, mut samples)) = source.next().map_err(Mute::Source)? {
            if rate != progress.rate {
                self.drain(&progress, &stop)?;
                self.set(rate)?;
                progress = Progress::new(rate);
            }
            while !samples.is_empty() {
                if stop() {
                    return self.silence(begun);
                }
                let taken = self.write(samples, &stop)?;
                samples = &samples[2 * taken..];
                progress.frames += taken as u64;
                progress.wait_for(LEAD, &stop);
            }
        }
        self.drain(&progress, &stop)?;
        if stop() {
            return self.silence(begun);
        }
        Ok(Ending::Whole)
    }

    /// Makes it ready for `rate` frames a second.
    pub(crate) fn set(&self, rate: u32) -> Result<(), Mute> {
        let set = || {
            let wanted = HwParams::any(&self.pcm)?;
            wanted.set_access(Access::RWInterleaved)?;
            wanted.set_format(Format::s16())?;
            wanted.set_channels(2)?;
            wanted.set_rate(rate, ValueOr::Nearest)?;
            // Both as near as the device can: what is handed over is bounded by `LEAD` anyway.
            wanted.set_buffer_time_near(500_000, ValueOr::Nearest)?;
            wanted.set_period_time_near(50_000, ValueOr::Nearest)?;
            self.pcm.hw_params(&wanted)
        };
        set().map_err(|error: Error| {
            Mute::Device(format!(
                "the output `{}` does not take stereo of 16 bits at {rate} Hz ({}); an output that begins with `plughw:` \
                 converts",
                self.name,
                words(error)
            ))
        })
    }

    /// Hands over what the device takes; gives the number of frames.
    fn write(&self, samples: &[i16], stop: &impl Fn() -> bool) -> Result<usize, Mute> {
        let asked = Instant::now();
        let io = self.pcm.io_i16().map_err(|error| self.lost(error))?;
        // A piece of a file may be long; what is handed over at once is not.
        let most = samples.len().min(2 * 1024);
        loop {
            match io.writei(&samples[..most]) {
                Ok(taken) if taken > 0 => return Ok(taken),
                Ok(_) => {}
                Err(error) if error.errno() == errno::EAGAIN => {}
                Err(error) if [errno::EPIPE, errno::ESTRPIPE].contains(&error.errno()) => {
                    self.pcm
                        .try_recover(error, true)
                        .map_err(|error| self.lost(error))?;
                }
                Err(error) => return Err(self.lost(error)),
            }
            if stop() {
                return Ok(0);
            }
            if asked.elapsed() > STALL {
                let name = &self.name;
                return Err(Mute::Device(format!("the output `{name}` takes no more sound")));
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until everything has sounded.
    fn drain(&self, progress: &Progress, stop: &impl Fn() -> bool) -> Result<(), Mute> {
        if progress.frames == 0 {
            return Ok(());
        }
        progress.wait_for(Duration::ZERO, stop);
        let asked = Instant::now();
        while !stop() && asked.elapsed() < STALL {
            match self.pcm.drain() {
                Err(error) if error.errno() == errno::EAGAIN => thread::sleep(LOOK),
                Err(error) if error.errno() == errno::EPIPE => break,
                other => return other.map_err(|error| self.lost(error)),
            }
        }
        Ok(())
    }

    fn silence(&self, begun: Instant) -> Result<Ending, Mute> {
        self.pcm.drop().map_err(|error| self.lost(error))?;
        Ok(Ending::Stopped(begun.elapsed()))
    }

    /// A device that was there is not any more.
    fn lost(&self, error: Error) -> Mute {
        Mute::Device(format!("the output `{}` was lost: {}", self.name, words(error)))
    }
}

impl Progress {
    fn new(rate: u32) -> Self {
        Self {
            rate,
            begun: Instant::now(),
            frames: 0,
        }
    }

    /// Waits until what was handed over is no more than `lead` ahead of the clock.
    fn wait_for(&self, lead: Duration, stop: &impl Fn() -> bool) {
        let sounding = Duration::from_secs_f64(self.frames as f64 / f64::from(self.rate.max(1)));
        loop {
            let ahead = sounding.saturating_sub(self.begun.elapsed() + lead);
            if ahead.is_zero() || stop() {
                return;
            }
            thread::sleep(ahead.min(LOOK));
        }
    }
}

/// Why an output could not be opened, with those that are there.
fn unusable(name: &str, error: Error) -> Mute {
    let hint = match error.errno() {
        errno::EBUSY => "; another program has it to itself".to_owned(),
        errno::EACCES | errno::EPERM => {
            if Grant::Write.is_missing(Path::new(DEVICE), &ErrorKind::PermissionDenied.into()) {
                "; /dev/snd is not granted under `[sink.sandbox]`; add `write = [\"/dev/snd\"]`".to_owned()
            } else {
                "; the user that Watchpost runs as has to be in the group `audio`".to_owned()
            }
        }
        errno::ENOENT | errno::ENODEV | errno::ENXIO => {
            let found = outputs();
            if found.is_empty() {
                "; there is no other".to_owned()
            } else {
                format!("; there are {}", found.join(", "))
            }
        }
        _ => String::new(),
    };
    Mute::Device(format!(
        "the output `{name}` cannot be opened: {}{hint}",
        words(error)
    ))
}

/// Outputs by their names, with what the card calls itself.
fn outputs() -> Vec<String> {
    let Ok(hints) = CString::new("pcm")
        .map_err(drop)
        .and_then(|pcm| HintIter::new(None, &pcm).map_err(drop))
    else {
        return Vec::new();
    };
    let named = hints.filter_map(|hint| {
        let name = hint.name.filter(|name| name != "null")?;
        let what = hint.desc.unwrap_or_default().replace('\n', ", ");
        (hint.direction != Some(Direction::Capture)).then(|| format!("`{name}` ({what})"))
    });
    named.take(MAX_NAMED).collect()
}

/// The error without the name of the function that met it.
fn words(error: Error) -> String {
    std::io::Error::from_raw_os_error(error.errno()).to_string()
}

impl fmt::Display for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(why) => f.write_str(why),
            Self::Source(why) => why.fmt(f),
        }
    }
}
