//! Patterns, the plan, the watchdog and the configuration. The line itself is tested in a machine that has one.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sink::testing::{Bench, TestAlert, alert};
use watchpost_sink::{Fail, Outcome};

use crate::Gpio;
use crate::line::Switch;
use crate::pattern::Pattern;
use crate::send;
use crate::siren::{Siren, Sounding};
use crate::sounded::SoundedLog;
use crate::watchdog::Watchdog;

const SECOND: Duration = Duration::from_secs(1);

fn refused(config: &Value) -> String {
    let error = Bench::<Gpio>::check(&config.to_string()).unwrap_err();
    assert_eq!(error.outcome(), Outcome::BadConfig);
    error.to_string()
}

#[test]
fn a_pattern_says_when_the_line_is_on() {
    let on: Pattern = "on 10s".parse().unwrap();
    assert_eq!(on.total(), 10 * SECOND);
    assert_eq!(on.at(Duration::ZERO), (true, 10 * SECOND));
    assert_eq!(on.at(30 * SECOND), (true, 10 * SECOND), "when it is extended");
    let pulse: Pattern = "pulse 500ms/1500ms x 20".parse().unwrap();
    assert_eq!(pulse.total(), Duration::from_millis(20 * 2000 - 1500));
    for (at, is_on, until) in [
        (0, true, 500),
        (499, true, 500),
        (500, false, 2000),
        (1999, false, 2000),
        (2000, true, 2500),
        (60_000, true, 60_500),
    ] {
        let expected = (is_on, Duration::from_millis(until));
        assert_eq!(pulse.at(Duration::from_millis(at)), expected, "after {at} ms");
    }
    for (text, expected) in [
        ("", "is neither like `on 10s`"),
        ("blink 1s", "is neither like `on 10s`"),
        ("on forever", "`forever` is not a duration"),
        ("on 0s", "`0s` is not a duration"),
        ("pulse 1s x 3", "is neither like `on 10s`"),
        ("pulse 1s/1s", "is neither like `on 10s`"),
        ("pulse 1s/1s x many", "is neither like `on 10s`"),
        ("pulse 1s/1s x 0", "never switches on"),
        ("pulse 1s/1ms x 5", "`1ms` is shorter than 20ms"),
    ] {
        let error = text.parse::<Pattern>().unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn alerts_extend_the_siren_and_do_not_stack_up() {
    let start = Instant::now();
    let at = |seconds: u32| start + seconds * SECOND;
    let sounding = |began: u32, until: u32| Sounding {
        began: at(began),
        until: at(until),
    };
    let mut siren = Siren::new(10 * SECOND, 25 * SECOND);
    // Received long ago, but nothing has sounded for it: the whole pattern.
    assert_eq!(siren.plan(at(0), at(5)), Some(sounding(5, 15)));
    siren.ended(sounding(5, 15), at(15), false);

    // Received while it sounded: ten seconds from then, and not twice as long for two.
    assert_eq!(siren.plan(at(8), at(15)), Some(sounding(5, 18)));
    siren.ended(sounding(5, 18), at(18), false);
    assert_eq!(siren.plan(at(8), at(18)), None, "covered");
    assert_eq!(siren.plan(at(3), at(18)), None, "covered");

    assert!(siren.was_on(at(18)) && !siren.was_on(at(19)));

    // No longer than may be without a pause.
    assert_eq!(siren.plan(at(17), at(18)), Some(sounding(5, 27)));
    siren.ended(sounding(5, 27), at(27), false);
    assert_eq!(siren.plan(at(26), at(27)), Some(sounding(5, 30)));
    siren.ended(sounding(5, 30), at(30), false);
    assert_eq!(siren.plan(at(29), at(30)), None);

    // After its end it begins again.
    assert_eq!(siren.plan(at(31), at(31)), Some(sounding(31, 41)));
    siren.ended(sounding(31, 41), at(33), true);
    assert_eq!(siren.plan(at(32), at(33)), None, "it was silenced after that");
    assert_eq!(siren.plan(at(34), at(34)), Some(sounding(34, 44)));
}

#[test]
fn what_has_sounded_is_remembered_in_bounds() {
    let dir = TempDir::new().unwrap();
    let load = || SoundedLog::load(dir.path(), |error| panic!("{error}")).unwrap();
    let mut remembered = load();
    for id in 0..300 {
        remembered.add(&format!("alert-{id}"));
    }
    drop(remembered);
    let again = load();
    assert!(again.contains("alert-299") && again.contains("alert-44"));
    assert!(!again.contains("alert-43") && !again.contains("alert-300"));
    fs::write(dir.path().join("sounded"), [0xff; 10]).unwrap();
    assert!(!load().contains("alert-299"));
}

/// A line that tells when it changes.
#[derive(Debug, Default)]
struct Lamp {
    on: Mutex<bool>,
    changed: Condvar,
}

impl Switch for Lamp {
    fn set(&self, on: bool) -> Result<(), Fail> {
        *self.on.lock().unwrap() = on;
        self.changed.notify_all();
        Ok(())
    }
}

impl Lamp {
    fn is_on(&self) -> bool {
        *self.on.lock().unwrap()
    }

    fn wait_until_off(&self) {
        let on = self.on.lock().unwrap();
        drop(self.changed.wait_while(on, |on| *on).unwrap());
    }
}

#[test]
fn the_watchdog_switches_off_what_is_on_for_too_long() {
    let lamp = Arc::new(Lamp::default());
    let reported = Arc::new(AtomicBool::new(false));
    let counted = reported.clone();
    let watchdog = Watchdog::start(lamp.clone(), move |_| counted.store(true, Ordering::SeqCst)).unwrap();
    let on = watchdog.guard(&*lamp, Instant::now());
    for _ in 0..3 {
        on.set(true).unwrap();
        // Nobody else switches it off.
        lamp.wait_until_off();
    }
    drop(on);
    assert!(reported.load(Ordering::SeqCst));

    // What is in time is left alone, and a panic switches it off.
    let hour = Instant::now() + 3600 * SECOND;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let on = watchdog.guard(&*lamp, hour);
        on.set(true).unwrap();
        assert!(lamp.is_on());
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && !lamp.is_on());
}

#[test]
fn a_chip_that_is_missing_is_worth_another_try() {
    let dir = TempDir::new().unwrap();
    let config = json!({ "chip": "/dev/gpiochip99", "line": 1, "pattern": "on 1s" });
    let error = Bench::<Gpio>::create(&config.to_string(), dir.path()).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Retry);
    let text = error.to_string();
    assert!(
        text.starts_with("try again later: the chip `/dev/gpiochip99` cannot be opened: "),
        "{text}"
    );
    assert!(
        text.contains("; no chip can be seen") || text.contains("; there are"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_is_said_where_it_is_wrong() {
    let with = |more: Value| {
        let mut config = json!({ "chip": "gpiochip0", "line": 17, "pattern": "on 10s" });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        config
    };
    for (config, expected) in [
        (with(json!({ "chip": "" })), "/chip: name a chip"),
        (with(json!({ "line": -1 })), "/line: "),
        (with(json!({ "line": true })), "a line's number, such as 17"),
        (with(json!({ "bias": "up" })), "/bias: unknown variant `up`"),
        (
            with(json!({ "pattern": "often" })),
            "/pattern: `often` is neither like",
        ),
        (
            with(json!({ "max_on": "5s" })),
            "/pattern: it takes 10s, which is longer",
        ),
        (with(json!({ "max_on": "2h" })), "/max_on: an hour"),
        (
            with(json!({ "max_age": "0s" })),
            "/max_age: `0s` is not a duration",
        ),
        (
            with(json!({ "button": { "line": 17 } })),
            "/button/line: this is the siren's line",
        ),
        (with(json!({ "buton": {} })), "unknown field `buton`"),
    ] {
        let text = refused(&config);
        assert!(text.contains(expected), "{text}");
    }
    Bench::<Gpio>::check(&with(json!({})).to_string()).unwrap();
    let example = &Bench::<Gpio>::describe()["example"];
    Bench::<Gpio>::check(&example.to_string()).unwrap();
}

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "chip": "/dev/gpiochip99", "line": 1, "pattern": "on 1s" });
    let findings = watchpost_sink::testing::conformance::<Gpio>(&config, dir.path());
    assert_eq!(findings, [""; 0]);
}

#[test]
fn what_is_old_or_of_the_future_is_silent_and_late_is_as_old_as_what_happened() {
    let minute = Duration::from_secs(60);
    let now = SystemTime::now();
    let of = |happened: SystemTime| send::too_old(&now.duration_since(happened), minute);
    assert_eq!(of(now), None);
    assert_eq!(of(now - minute), None);
    assert_eq!(of(now - 2 * minute).unwrap(), "it is 2m old");
    assert_eq!(of(now + minute), None);
    let future = of(now + 120 * minute).unwrap();
    assert_eq!(future, "it is 2h in the future; is the clock right?");

    let received = UNIX_EPOCH + Duration::from_millis(alert("1").unix_ms);
    for (document, expected) in [
        (json!({ "occurred_at": "2026-01-01T00:00:00Z" }), received),
        (
            json!({ "late": true, "occurred_at": "2025-12-31T23:59:00.500Z" }),
            received - Duration::from_millis(59_500),
        ),
        (json!({ "late": true }), UNIX_EPOCH),
    ] {
        let json = document.to_string();
        let sent = TestAlert { json, ..alert("1") };
        assert_eq!(sent.with(send::happened), expected, "{document}");
    }
}
