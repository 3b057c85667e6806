//! What a site can set.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_sink::Fail;
use watchpost_sink::units::{TimeSpan, duration};

use crate::input::Wiring;
use crate::pattern::Pattern;

/// What is left on for longer is forgotten on.
const MAX_ON: Duration = Duration::from_secs(3600);

/// Switches a siren or a relay on for every alert.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-exclusive" = ["chip", "line"]))]
pub(crate) struct Config {
    /// The chip by its path, its name or its label: `"/dev/gpiochip0"`, `"gpiochip0"`, `"pinctrl-bcm2711"`. `gpiodetect`
    /// lists them.
    #[schemars(length(min = 1))]
    pub(crate) chip: String,
    /// The line by its number on the chip or by its name: `17`, `"GPIO17"`. `gpioinfo` lists them.
    pub(crate) line: LineId,
    /// Whether the siren is on when the line is low.
    #[serde(default)]
    pub(crate) active_low: bool,
    /// What pulls at the line inside the chip.
    #[serde(default)]
    pub(crate) bias: Bias,
    /// What it does for one alert: `"on 10s"`, or `"pulse 500ms/500ms x 20"`, which is on for the first time, off for
    /// the second, twenty times. The sink's own `timeout` has to be two seconds longer than that.
    pub(crate) pattern: Pattern,
    /// The longest that it sounds without a pause, however many alerts come: `"3m"` unless set, `"1h"` at most.
    #[serde(default = "three_minutes", deserialize_with = "duration::read")]
    #[schemars(with = "TimeSpan")]
    pub(crate) max_on: Duration,
    /// What happened longer ago does not switch it on: `"60s"` unless set.
    #[serde(default = "a_minute", deserialize_with = "duration::read")]
    #[schemars(with = "TimeSpan")]
    pub(crate) max_age: Duration,
    /// Whether an alert whose document says `"drill": true` stays silent.
    #[serde(default)]
    pub(crate) silent_drill: bool,
    /// A button that silences it, and acknowledges what it sounds for.
    pub(crate) button: Option<ButtonConfig>,
    /// A key switch that arms and disarms.
    pub(crate) key_switch: Option<KeySwitchConfig>,
}

/// A button that silences the siren, on the same chip. What the siren sounds for when it is pressed is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ButtonConfig {
    /// Its line by number or name.
    pub(crate) line: LineId,
    /// Whether the line is low while it is pressed, as with a button to ground.
    #[serde(default)]
    pub(crate) active_low: bool,
    /// What pulls at the line inside the chip; a button to ground needs `pull_up`.
    #[serde(default)]
    pub(crate) bias: Bias,
    /// A press that bounces for this long is one press: `"50ms"` unless set.
    #[serde(default = "fifty_milliseconds", deserialize_with = "duration::read")]
    #[schemars(with = "TimeSpan")]
    pub(crate) debounce: Duration,
}

/// A key switch that arms and disarms, on the same chip. What it is turned to when the sink starts does neither: it counts when it is
/// turned. It takes `arm`, `arm_without_code` and `disarm_without_code` in `[sink.sandbox]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySwitchConfig {
    /// Its line by number or name.
    pub(crate) line: LineId,
    /// `"level"`: armed as long as it is turned on. `"pulse"`: it springs back, and arms or disarms each time.
    #[serde(default)]
    pub(crate) kind: KeySwitchKind,
    /// How it arms: `"home"`, `"away"` or `"night"`.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// The area that it arms and disarms, by name. Without it, all of the mode, and all.
    #[serde(default)]
    pub(crate) area: String,
    /// Whether the line is low while it is turned on, as with a switch to ground.
    #[serde(default)]
    pub(crate) active_low: bool,
    /// What pulls at the line inside the chip; a switch to ground needs `pull_up`.
    #[serde(default)]
    pub(crate) bias: Bias,
    /// What bounces for this long is turned once: `"50ms"` unless set.
    #[serde(default = "fifty_milliseconds", deserialize_with = "duration::read")]
    #[schemars(with = "TimeSpan")]
    pub(crate) debounce: Duration,
}

/// What a key switch does when it is turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeySwitchKind {
    /// It stays where it is turned to.
    #[default]
    Level,
    /// It springs back.
    Pulse,
}

/// How a key switch arms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// People are there and awake.
    Home,
    /// The site is empty.
    #[default]
    Away,
    /// People are there and asleep.
    Night,
}

/// A line of a chip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a line's number, such as 17, or its name, such as \"GPIO17\""
)]
pub(crate) enum LineId {
    /// By its number.
    Offset(u32),
    /// By its name.
    Name(String),
}

/// What pulls at a line inside the chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bias {
    /// Whatever pulls now.
    #[default]
    AsIs,
    /// Nothing.
    Disabled,
    /// Up.
    PullUp,
    /// Down.
    PullDown,
}

impl Config {
    /// What the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        if self.chip.is_empty() {
            return Err(Fail::bad_config(
                "/chip",
                "name a chip as `gpiodetect` lists it, for instance /dev/gpiochip0",
            ));
        }
        if self.max_on > MAX_ON {
            return Err(Fail::bad_config("/max_on", "an hour is the most"));
        }
        if self.pattern.total() > self.max_on {
            let total = TimeSpan(self.pattern.total());
            let why = format_args!("it takes {total}, which is longer than max_on");
            return Err(Fail::bad_config("/pattern", why));
        }
        if self
            .button
            .as_ref()
            .is_some_and(|button| button.line == self.line)
        {
            return Err(Fail::bad_config("/button/line", "this is the siren's line"));
        }
        let button = self.button.as_ref().map(|button| &button.line);
        match self.key_switch.as_ref().map(|key| &key.line) {
            Some(key) if *key == self.line => {
                Err(Fail::bad_config("/key_switch/line", "this is the siren's line"))
            }
            Some(key) if Some(key) == button => {
                Err(Fail::bad_config("/key_switch/line", "this is the button's line"))
            }
            _ => Ok(()),
        }
    }
}

impl ButtonConfig {
    /// How it is connected.
    pub(crate) fn wiring(&self) -> Wiring<'_> {
        Wiring {
            line: &self.line,
            active_low: self.active_low,
            bias: self.bias,
            debounce: self.debounce,
        }
    }
}

impl KeySwitchConfig {
    /// How it is connected.
    pub(crate) fn wiring(&self) -> Wiring<'_> {
        Wiring {
            line: &self.line,
            active_low: self.active_low,
            bias: self.bias,
            debounce: self.debounce,
        }
    }
}

fn three_minutes() -> Duration {
    Duration::from_secs(180)
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

fn fifty_milliseconds() -> Duration {
    Duration::from_millis(50)
}
