//! What a site can set.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_sink::units::{TimeSpan, duration};
use watchpost_sink::{Fail, Severity};

use crate::file::File;
use crate::tone::Tone;

/// A sound that never ends is no alarm any more.
const MAX_DURATION: Duration = Duration::from_secs(600);

/// Sounds a file or a built-in alarm tone for every alert.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The output by its ALSA name, for instance `"plughw:CARD=Device"`; `aplay -L` lists them.
    #[serde(default = "default_device")]
    #[schemars(length(min = 1))]
    pub(crate) device: String,
    /// A built-in tone. Without it and without `file`, the siren.
    tone: Option<Tone>,
    /// A WAV, OGG (Vorbis), MP3 or FLAC file by its absolute path, instead of a tone.
    file: Option<PathBuf>,
    /// From 0, which is silent, to 1, which is as loud as the tone or file is.
    #[serde(default = "full")]
    #[schemars(range(min = 0.0, max = 1.0))]
    volume: f32,
    /// How often it sounds for one alert. Unless this says otherwise, a tone five times, a file once.
    #[schemars(range(min = 1, max = 1000))]
    repeat: Option<u16>,
    /// After this it stops, however often it was to sound. `"10m"` at most; the sink's own `timeout` has to be two
    /// seconds longer.
    #[serde(default = "ten_seconds", deserialize_with = "duration::read")]
    #[schemars(with = "TimeSpan", extend("x-lasts" = "2s"))]
    max_duration: Duration,
    /// What is different for alerts of one severity.
    #[serde(default)]
    severity: Severities,
}

/// What is different for alerts of one severity.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Severities {
    /// For those of severity `low`.
    low: Option<Choice>,
    /// For those of severity `medium`.
    medium: Option<Choice>,
    /// For those of severity `high`.
    high: Option<Choice>,
    /// For those of severity `critical`.
    critical: Option<Choice>,
}

/// What is different. What is left out is as it is for the others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// A built-in tone.
    tone: Option<Tone>,
    /// A file by its absolute path.
    file: Option<PathBuf>,
    /// From 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    volume: Option<f32>,
    /// How often it sounds for one alert.
    #[schemars(range(min = 1, max = 1000))]
    repeat: Option<u16>,
    /// After this it stops.
    #[serde(default, deserialize_with = "duration::read_optional")]
    #[schemars(with = "Option<TimeSpan>")]
    max_duration: Option<Duration>,
}

/// What is played for one alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Programme<'a> {
    pub(crate) what: What<'a>,
    /// 0 to 1.
    pub(crate) volume: f32,
    pub(crate) repeat: u16,
    pub(crate) max_duration: Duration,
}

/// A tone or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What<'a> {
    Tone(Tone),
    File(&'a PathBuf),
}

impl Config {
    /// What the types cannot say: every file is opened and decoded.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        if self.device.is_empty() || self.device.contains('\0') {
            return Err(Fail::bad_config(
                "/device",
                "name an output as `aplay -L` lists it",
            ));
        }
        let usual = Choice {
            tone: self.tone,
            file: self.file.clone(),
            volume: Some(self.volume),
            repeat: self.repeat,
            max_duration: Some(self.max_duration),
        };
        usual.check("", self.max_duration)?;
        for (name, choice) in self.severity.all() {
            if let Some(choice) = choice {
                choice.check(&format!("/severity/{name}"), self.max_duration)?;
            }
        }
        Ok(())
    }

    /// What is played for an alert of this severity.
    pub(crate) fn programme(&self, severity: Severity) -> Programme<'_> {
        let own = self.severity.of(severity);
        let what = own
            .and_then(|own| What::of(own.tone, own.file.as_ref()))
            .or_else(|| What::of(self.tone, self.file.as_ref()))
            .unwrap_or(What::Tone(Tone::Siren));
        let often = match what {
            What::Tone(_) => 5,
            What::File(_) => 1,
        };
        Programme {
            what,
            volume: own.and_then(|own| own.volume).unwrap_or(self.volume),
            repeat: own.and_then(|own| own.repeat).or(self.repeat).unwrap_or(often),
            max_duration: own.and_then(|own| own.max_duration).unwrap_or(self.max_duration),
        }
    }
}

impl<'a> What<'a> {
    fn of(tone: Option<Tone>, file: Option<&'a PathBuf>) -> Option<Self> {
        file.map(What::File).or(tone.map(What::Tone))
    }
}

impl Severities {
    fn of(&self, severity: Severity) -> Option<&Choice> {
        match severity {
            Severity::Low => self.low.as_ref(),
            Severity::Medium => self.medium.as_ref(),
            Severity::High => self.high.as_ref(),
            Severity::Critical => self.critical.as_ref(),
        }
    }

    fn all(&self) -> [(&'static str, Option<&Choice>); 4] {
        [
            ("low", self.low.as_ref()),
            ("medium", self.medium.as_ref()),
            ("high", self.high.as_ref()),
            ("critical", self.critical.as_ref()),
        ]
    }
}

impl Choice {
    /// `usual` is the longest that others sound.
    fn check(&self, at: &str, usual: Duration) -> Result<(), Fail> {
        let bad = |key: &str, why: &str| Err(Fail::bad_config(&format!("{at}/{key}"), why));
        if self.tone.is_some() && self.file.is_some() {
            return bad("file", "there is a `tone` too; only one of the two can sound");
        }
        if self.volume.is_some_and(|volume| !(0.0..=1.0).contains(&volume)) {
            return bad("volume", "goes from 0 (silent) to 1 (as loud as the file)");
        }
        if self.repeat.is_some_and(|times| !(1..=1000).contains(&times)) {
            return bad("repeat", "goes from 1 to 1000");
        }
        if self.max_duration.is_some_and(|time| time > MAX_DURATION) {
            return bad("max_duration", "ten minutes are the most");
        }
        let Some(path) = &self.file else { return Ok(()) };
        if !path.is_absolute() {
            return bad("file", "has to be an absolute path");
        }
        let limit = self.max_duration.unwrap_or(usual);
        File::decode(path, limit).map_err(|error| Fail::bad_config(&format!("{at}/file"), error))
    }
}

fn default_device() -> String {
    "default".to_owned()
}

fn full() -> f32 {
    1.0
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
