//! The sink on the bench. ALSA's `file` output writes down what would sound, and that is measured.

use std::cell::Cell;
use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sink::testing::{Bench, TestAlert, alert};
use watchpost_sink::{Fail, Outcome, Severity};

use crate::Sound;
use crate::config::Config;
use crate::device::{Ending, Output};
use crate::source::Source;

/// What sounded: one channel's samples, -1 to 1.
struct Recording {
    left: Vec<f64>,
    right: Vec<f64>,
    rate: f64,
}

impl Recording {
    /// Reads stereo of 16 bits in the machine's order, without the silence that fills the last period.
    fn read(path: &Path, rate: u32) -> Self {
        let samples: Vec<f64> = fs::read(path)
            .unwrap()
            .chunks_exact(2)
            .map(|bytes| f64::from(i16::from_ne_bytes([bytes[0], bytes[1]])) / f64::from(i16::MAX))
            .collect();
        let channel = |index: usize| -> Vec<f64> {
            let mut channel: Vec<f64> = samples.iter().skip(index).step_by(2).copied().collect();
            let end = channel
                .iter()
                .rposition(|sample| *sample != 0.0)
                .map_or(0, |last| last + 1);
            channel.truncate(end);
            channel
        };
        Self {
            left: channel(0),
            right: channel(1),
            rate: f64::from(rate),
        }
    }

    fn seconds(&self) -> f64 {
        self.left.len() as f64 / self.rate
    }

    fn rms(&self) -> f64 {
        let sum: f64 = self.left.iter().map(|sample| sample * sample).sum();
        (sum / self.left.len() as f64).sqrt()
    }

    /// The strongest of the frequencies from 200 to 3000 Hz, in steps of 10.
    fn frequency(&self) -> f64 {
        let power = |frequency: f64| {
            let turn = |index: usize| TAU * frequency * index as f64 / self.rate;
            let samples = self.left.iter().enumerate();
            let (re, im) = samples.fold((0.0, 0.0), |(re, im), (index, sample)| {
                (re + sample * turn(index).cos(), im + sample * turn(index).sin())
            });
            re.hypot(im)
        };
        let frequencies = (20..=300).map(|tens| f64::from(tens) * 10.0);
        frequencies
            .max_by(|a, b| power(*a).total_cmp(&power(*b)))
            .unwrap()
    }
}

/// The `file` output that writes to `path`.
fn recorder(path: &Path) -> String {
    format!("file:'{}',raw", path.display())
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A sink that records to `out.raw` in the directory, with `more` in its configuration.
fn recording(dir: &TempDir, more: Value) -> Bench<Sound> {
    let mut config = json!({ "device": recorder(&dir.path().join("out.raw")) });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Bench::create(&config.to_string(), dir.path()).unwrap()
}

fn sounded(more: Value, alert: &TestAlert, rate: u32) -> Recording {
    let dir = TempDir::new().unwrap();
    recording(&dir, more).deliver(alert).unwrap();
    Recording::read(&dir.path().join("out.raw"), rate)
}

#[track_caller]
fn near(found: f64, wanted: f64, tolerance: f64) {
    assert!(
        (found - wanted).abs() <= tolerance,
        "{found} is not {wanted} ± {tolerance}"
    );
}

fn refused(config: Value) -> String {
    let error = Bench::<Sound>::check(&config.to_string()).unwrap_err();
    assert_eq!(error.outcome(), Outcome::BadConfig);
    error.to_string()
}

#[test]
fn every_format_sounds_as_it_should() {
    for name in ["880hz.wav", "880hz.ogg", "880hz.mp3", "880hz.flac"] {
        let heard = sounded(json!({ "file": fixture(name) }), &alert("1"), 44_100);
        // MP3 adds the silence of its coder at both ends.
        near(heard.seconds(), 0.5, 0.06);
        near(heard.frequency(), 880.0, 0.1);
        // A sine at half of the range, less the silence of MP3.
        near(heard.rms(), 0.3544, 0.035);
        assert!(heard.left == heard.right, "{name}: one channel belongs into both");
    }
}

#[test]
fn tones_sound_at_their_pitch_and_for_their_time() {
    let tone = |name: &str| {
        let config = json!({ "tone": name, "repeat": 1 });
        sounded(config, &alert("1"), 48_000)
    };
    let (pulse, beep) = (tone("pulse"), tone("beep"));
    near(pulse.seconds(), 0.5, 0.01);
    near(pulse.frequency(), 1000.0, 0.1);
    near(beep.seconds(), 0.15, 0.01);
    near(beep.frequency(), 2000.0, 0.1);
    let turns = tone("hi_lo");
    near(turns.seconds(), 1.0, 0.01);
    near(turns.rms(), 0.7 / 2_f64.sqrt(), 0.01);
    let half = |samples: &[f64]| Recording {
        left: samples.to_vec(),
        right: Vec::new(),
        rate: turns.rate,
    };
    near(half(&turns.left[..24_000]).frequency(), 800.0, 0.1);
    near(half(&turns.left[24_000..]).frequency(), 600.0, 0.1);
}

#[test]
fn volume_repetition_and_the_longest_time_hold() {
    let config = json!({ "tone": "hi_lo", "repeat": 2, "volume": 0.1 });
    let heard = sounded(config, &alert("1"), 48_000);
    near(heard.seconds(), 2.0, 0.01);
    near(heard.rms(), 0.07 / 2_f64.sqrt(), 0.001);
    let config = json!({ "file": fixture("880hz.wav"), "repeat": 1000, "max_duration": "1200ms" });
    let heard = sounded(config, &alert("1"), 44_100);
    near(heard.seconds(), 1.2, 0.01);
    near(heard.frequency(), 880.0, 0.1);
    assert!(
        sounded(json!({ "tone": "beep", "volume": 0 }), &alert("1"), 48_000)
            .left
            .is_empty()
    );
}

#[test]
fn a_severity_may_sound_otherwise() {
    let config = json!({
        "tone": "pulse",
        "repeat": 1,
        "severity": { "critical": { "file": fixture("880hz.flac") }, "low": { "tone": "beep" } },
    });
    for (severity, rate, frequency) in [
        (Severity::Critical, 44_100, 880.0),
        (Severity::High, 48_000, 1000.0),
        (Severity::Low, 48_000, 2000.0),
    ] {
        let heard = sounded(
            config.clone(),
            &TestAlert {
                severity,
                ..alert("1")
            },
            rate,
        );
        near(heard.frequency(), frequency, 0.1);
    }
}

#[test]
fn one_sound_is_for_all_that_came_before_its_end() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out.raw");
    let mut sink = recording(&dir, json!({ "tone": "beep", "repeat": 1 }));
    let mut sounds = |alert: &TestAlert| {
        let _absent = fs::remove_file(&out);
        sink.deliver(alert).unwrap();
        out.exists()
    };
    let of = |severity, unix_ms| TestAlert {
        severity,
        unix_ms,
        ..alert("1")
    };
    // A year that the tests are not run in.
    let later = 4_000_000_000_000;
    assert!(sounds(&of(Severity::Medium, 1_767_225_600_000)));
    assert!(!sounds(&of(Severity::Medium, 1_767_225_601_000)));
    assert!(!sounds(&of(Severity::Low, 1_767_225_602_000)));
    assert!(
        sounds(&of(Severity::High, 1_767_225_603_000)),
        "it is more severe"
    );
    assert!(
        sounds(&of(Severity::Low, later)),
        "it was received after that sound"
    );
}

#[test]
fn a_stop_is_at_once() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out.raw");
    let config: Config = serde_json::from_value(json!({ "tone": "siren" })).unwrap();
    let mut source = Source::new(config.programme(Severity::High), Duration::MAX).unwrap();
    let output = Output::open(&recorder(&out)).unwrap();
    let looks = Cell::new(0);
    let ending = output.play(&mut source, || {
        looks.set(looks.get() + 1);
        looks.get() > 60
    });
    drop(output);
    assert!(matches!(ending, Ok(Ending::Stopped(_))), "{ending:?}");
    assert!(looks.get() < 65, "it was asked {} times", looks.get());
    let seconds = Recording::read(&out, 48_000).seconds();
    assert!(0.1 < seconds && seconds < 2.0, "{seconds} s of ten sounded");

    let mut sink = recording(&dir, json!({}));
    sink.cancel_next();
    let error = sink.deliver(&alert("1")).unwrap_err();
    assert_eq!(
        error,
        Fail::retry("it was stopped before anybody could have noticed")
    );
}

#[test]
fn a_device_that_is_missing_is_named_with_those_that_are_there() {
    let dir = TempDir::new().unwrap();
    let config = json!({ "device": "plughw:CARD=Nowhere" }).to_string();
    let mut sink = Bench::<Sound>::create(&config, dir.path()).unwrap();
    for error in [sink.probe().unwrap_err(), sink.deliver(&alert("1")).unwrap_err()] {
        assert_eq!(error.outcome(), Outcome::Retry);
        let text = error.to_string();
        let start = "try again later: the output `plughw:CARD=Nowhere` cannot be opened: ";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("; there "), "{text}");
    }
    recording(&dir, json!({})).probe().unwrap();
}

#[test]
fn what_is_wrong_is_said_where_it_is_wrong() {
    let dir = TempDir::new().unwrap();
    let noise = dir.path().join("noise.wav");
    fs::write(&noise, [7; 5000]).unwrap();
    let cut = dir.path().join("cut.flac");
    let mut bytes = fs::read(fixture("880hz.flac")).unwrap();
    bytes.truncate(100);
    fs::write(&cut, bytes).unwrap();
    for (config, expected) in [
        (json!({ "device": "" }), "/device: name an output"),
        (
            json!({ "tone": "moo" }),
            "/tone: unknown variant `moo`, expected one of",
        ),
        (json!({ "volume": 11 }), "/volume: goes from 0"),
        (json!({ "repeat": 0 }), "/repeat: goes from 1"),
        (
            json!({ "max_duration": "0s" }),
            "/max_duration: `0s` is not a duration",
        ),
        (json!({ "max_duration": "1h" }), "/max_duration: ten minutes"),
        (json!({ "file": "a.wav" }), "/file: has to be an absolute path"),
        (
            json!({ "file": "/no/such.wav" }),
            "/file: /no/such.wav: No such file",
        ),
        (json!({ "file": noise }), "is no WAV, OGG, MP3 or FLAC file"),
        (json!({ "file": cut }), "/cut.flac: "),
        (
            json!({ "severity": { "low": { "tone": "beep", "file": "/a.wav" } } }),
            "/severity/low/file: there is a `tone` too",
        ),
        (json!({ "severity": { "grave": {} } }), "unknown field `grave`"),
    ] {
        let text = refused(config);
        assert!(text.contains(expected), "{text}");
    }
    Bench::<Sound>::check("{}").unwrap();
    let example = &Bench::<Sound>::describe()["example"];
    Bench::<Sound>::check(&example.to_string()).unwrap();
}

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "device": recorder(&dir.path().join("out.raw")), "tone": "beep", "repeat": 1 });
    let findings = watchpost_sink::testing::conformance::<Sound>(&config, dir.path());
    assert_eq!(findings, [""; 0]);
}
