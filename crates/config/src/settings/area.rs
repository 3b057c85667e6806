//! `[[area]]`: what is armed and disarmed.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watchpost_core::{AfterLoss, AreaBook, AreaPolicy, AutoArm, Mode, Schedule, name_matches};

use super::{ConnectionKind, Settings, SinkSettings};
use crate::{CameraSettings, TimeSpan, forms};

/// `[[area]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AreaSettings {
    /// What people call it, such as `Yard`: unique.
    #[schemars(with = "forms::Text")]
    pub name: String,
    /// The name of a camera that belongs to it, or several, with `*` for any characters and `?` for one. A `[[camera]]` whose
    /// `area` is this name belongs to it too. A camera belongs to one area at most.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub camera: Vec<String>,
    /// The modes in which it is armed: `home`, `away` and `night`. `watchpost arm night` arms all areas that name `night`, and
    /// disarms the others. Without it, all three.
    #[serde(default = "all_modes")]
    #[schemars(with = "Vec<forms::ModeWord>", extend("x-one" = true))]
    pub modes: Vec<Mode>,
    /// The cameras on the way in and out, by name, with `*` and `?`: what they see while people leave is no alarm, and what they
    /// see afterwards is one when `entry_delay` is over. All others are immediate.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub delayed: Vec<String>,
    /// How long people have to leave after it was armed. To arm it once more meanwhile begins that time again, once.
    #[serde(default = "exit_delay")]
    pub exit_delay: TimeSpan,
    /// How long people who are back have to disarm it, from what the first `delayed` camera has seen.
    #[serde(default = "entry_delay")]
    pub entry_delay: TimeSpan,
    /// How long an alarm lasts. It is armed again then, whatever keeps it from being ready, and what sounds is silenced.
    #[serde(default = "trigger_time")]
    pub trigger_time: TimeSpan,
    /// How long an alarm that a camera raises is held back from `remote` sinks, 15 to 45 seconds, `30s` for instance. Who disarms within
    /// it ends it before anything is sent. Sirens do not wait for it, nor does a panic. With the `entry_delay` it makes a minute at
    /// most. Without it, an alarm is sent at once.
    pub abort_window: Option<TimeSpan>,
    /// After how many alarms that one camera has raised since the area was armed sirens do not sound for it any more (swinger
    /// shutdown): a branch in the wind then does not sound all night. Messages go on, and an event says so (`swinger_shutdown`). It ends
    /// when the area is armed or disarmed, or after 48 hours without an alert of the camera. Without it, never.
    #[schemars(range(min = 1, max = 6))]
    pub swinger: Option<u8>,
    /// A schedule that arms it, or several, of which the first that is open counts: `arm = { schedule = "night", mode = "away" }`.
    /// What a person wants meanwhile, with `watchpost arm` or `watchpost disarm`, holds until a schedule opens or closes next. One
    /// that has opened or closed while the hub did not run counts once it does.
    #[serde(default)]
    #[schemars(extend("x-one" = true))]
    pub arm: Vec<AutoArmSettings>,
    /// What it is when the database is lost and with it the file beside it (`armed.json`), if no schedule arms it: `armed`, in the first of its `modes`, but
    /// for messages only, so that nothing sounds until it is armed; or `disarmed`.
    #[serde(default = "after_loss")]
    pub after_loss: AfterLossSetting,
}

/// `[[area.arm]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoArmSettings {
    /// The `[[schedule]]`. The area is armed when it opens, with its `exit_delay`.
    #[schemars(with = "forms::Reference")]
    pub schedule: String,
    /// How it is armed: one of the `modes` of the area.
    #[serde(default = "away")]
    #[schemars(with = "forms::ModeWord")]
    pub mode: Mode,
    /// How long before it is armed the hub says so (`arming_soon`), so that who is there leaves, or has it armed later with `watchpost
    /// arm --postpone 30m`. `0s` for not at all.
    #[serde(default = "warn")]
    pub warn: TimeSpan,
    /// Whether it is disarmed when the schedule closes, unless there is an alarm. Otherwise it is a person who disarms it.
    #[serde(default = "disarm")]
    pub disarm: bool,
    /// Whether it is armed also when it is not ready, and what keeps it from that is bypassed until it is disarmed. Otherwise it is
    /// not armed, which is an event (`failed_to_arm`), and tried again every five minutes.
    #[serde(default)]
    pub force: bool,
}

/// What an area is when what was armed is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AfterLossSetting {
    /// Armed, for messages only.
    Armed,
    /// Disarmed.
    Disarmed,
}

impl Settings {
    /// The areas in the words of the domain.
    pub fn area_policies(&self) -> Vec<AreaPolicy> {
        let schedules = match self.area.iter().all(|area| area.arm.is_empty()) {
            true => Vec::new(),
            false => self.schedules(),
        };
        let policy = |area: &AreaSettings| AreaPolicy {
            name: area.name.clone(),
            modes: area.modes.clone(),
            delayed: area.delayed.clone(),
            exit_delay: area.exit_delay.into(),
            entry_delay: area.entry_delay.into(),
            trigger_time: area.trigger_time.into(),
            connections: self.connections_of(area),
            after_loss: match area.after_loss {
                AfterLossSetting::Armed => AfterLoss::MessagesOnly,
                AfterLossSetting::Disarmed => AfterLoss::Disarmed,
            },
            auto_arm: area
                .arm
                .iter()
                .filter_map(|arm| arm.auto_arm(&schedules))
                .collect(),
            abort_window: area.abort_window.map(Into::into),
            swinger: area.swinger,
        };
        self.area.iter().map(policy).collect()
    }

    /// The cameras that the areas name.
    pub fn area_book(&self) -> AreaBook {
        let areas = self.area.iter();
        AreaBook::new(
            areas
                .map(|area| (area.name.clone(), area.camera.clone()))
                .collect(),
        )
    }

    /// The area of a `[[camera]]`, if it has one.
    pub fn area_of(&self, camera: &CameraSettings) -> Option<String> {
        let named = || self.area_book().find(&camera.name).map(str::to_owned);
        camera.area.clone().or_else(named)
    }

    /// The cameras that are of no area which can be armed, though there are areas, each with its place: they count as armed always.
    pub fn always_armed(&self) -> impl Iterator<Item = (usize, &CameraSettings)> {
        let cameras = self.camera.iter().enumerate().filter(|_| !self.area.is_empty());
        cameras.filter(|(_, camera)| {
            let area = self.area_of(camera);
            !area.is_some_and(|area| self.area.iter().any(|known| known.name == area))
        })
    }

    /// Whether a sink sounds only while the area of an alert is armed: as configured or because it makes noise, once there is
    /// an area.
    pub fn only_armed(&self, sink: &SinkSettings) -> bool {
        !self.area.is_empty() && sink.sounds_only_armed()
    }

    /// The connections that the cameras of an area are seen over. One that does not say so may be seen over any.
    fn connections_of(&self, area: &AreaSettings) -> Vec<String> {
        let cameras = self
            .camera
            .iter()
            .filter(|camera| self.area_of(camera).as_ref() == Some(&area.name));
        let named: Vec<&CameraSettings> = cameras.collect();
        let all = named.is_empty() || named.iter().any(|camera| camera.matches.connection.is_empty());
        let is_seen_over = |name: &str| {
            let mut connections = named.iter().flat_map(|camera| &camera.matches.connection);
            all || connections.any(|pattern| name_matches(pattern, name))
        };
        let connections = self.connection.iter();
        connections
            .filter(|connection| {
                connection.kind == ConnectionKind::VisionGuard && is_seen_over(&connection.name)
            })
            .map(|connection| connection.name.clone())
            .collect()
    }
}

impl AutoArmSettings {
    /// The same in the words of the domain. `schedules` are all that there are.
    fn auto_arm(&self, schedules: &[Arc<Schedule>]) -> Option<AutoArm> {
        let schedule = schedules.iter().find(|schedule| schedule.name == self.schedule)?;
        Some(AutoArm {
            schedule: Arc::clone(schedule),
            mode: self.mode,
            warn: self.warn.into(),
            disarms: self.disarm,
            force: self.force,
        })
    }
}

fn away() -> Mode {
    Mode::Away
}

/// Enough to finish what one is at, and to find out how to have it armed later.
fn warn() -> TimeSpan {
    TimeSpan::from_secs(600)
}

fn disarm() -> bool {
    true
}

fn all_modes() -> Vec<Mode> {
    Mode::ALL.to_vec()
}

/// The usual time of ANSI/SIA CP-01.
fn exit_delay() -> TimeSpan {
    TimeSpan::from_secs(60)
}

/// The usual time of ANSI/SIA CP-01.
fn entry_delay() -> TimeSpan {
    TimeSpan::from_secs(30)
}

fn after_loss() -> AfterLossSetting {
    AfterLossSetting::Armed
}

/// What a siren may sound for in most places.
fn trigger_time() -> TimeSpan {
    TimeSpan::from_secs(180)
}
