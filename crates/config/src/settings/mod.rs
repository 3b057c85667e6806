//! The settings as the hub uses them. What stands in the doc comments here is the reference page. A key is
//! added only together with what it does: nothing that is accepted is ignored.

mod area;
mod camera;
mod connection;
mod expect;
mod inhibit;
mod person;
mod policy;
mod restart;
mod route;
mod router;
mod sandbox;
mod schedule;
mod sink;
mod visionguard;
mod watchdog;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watchpost_core::{Calendar, Holiday, Schedule};

pub use self::area::{AreaSettings, AutoArmSettings};
pub use self::camera::{CameraMatch, CameraSettings, camera_book};
pub use self::connection::{
    BackfillSettings, ConnectionKind, ConnectionSettings, HeaderSettings, HeartbeatSettings, LoginSettings,
    ReconnectSettings, SlotSettings,
};
pub use self::expect::ExpectSettings;
pub use self::inhibit::{InhibitSettings, InhibitSource, InhibitTarget};
pub use self::person::PersonSettings;
pub use self::policy::{PolicySettings, PolicyStepSettings};
pub use self::route::{ConfirmSettings, RouteMatch, RouteSettings, VisionGuardMatch};
pub use self::router::router;
pub use self::sandbox::{AnyPort, Ports, SandboxSettings, SinkUser};
pub use self::schedule::ScheduleSettings;
pub use self::sink::{RetrySettings, SinkSettings, WhenFull};
pub use self::visionguard::{SeveritySettings, VisionGuardSettings};
pub use self::watchdog::WatchdogSettings;
pub use self::web::WebSettings;
use crate::{ByteSize, TimeSpan, TimeZone, forms};

/// All that can be configured.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The hub itself.
    #[serde(default)]
    pub hub: HubSettings,
    /// A backend to listen to; at least one. Two that see the same shop, such as those of two accounts, give each alert once,
    /// with the names of both. There is no key to turn that off: only what has the same stream, person and video frames within a
    /// day is one alert, and two sirens or mails for it would say nothing more.
    pub connection: Vec<ConnectionSettings>,
    /// A name for a camera, which alerts show instead of a part of its id.
    #[serde(default)]
    pub camera: Vec<CameraSettings>,
    /// What is armed and disarmed, by `watchpost arm` and `watchpost disarm` or by schedules: some cameras. With one area at least, what makes
    /// noise (`only_armed` of `[[sink]]`) sounds only for cameras whose area is armed, and for those that are of no area.
    #[serde(default)]
    pub area: Vec<AreaSettings>,
    /// Who may arm and disarm with a code, at a key pad such as that of Home Assistant.
    #[serde(default)]
    pub person: Vec<PersonSettings>,
    /// What holds of VisionGuard backends, whichever connection they are at.
    #[serde(default)]
    pub visionguard: VisionGuardSettings,
    /// How alerts and their pictures are kept. The first of `keep_for`, `keep_max` and `max_size` that is
    /// exceeded has the oldest alerts removed.
    #[serde(default)]
    pub store: StoreSettings,
    /// A monitor elsewhere that is called while all is well.
    pub watchdog: Option<WatchdogSettings>,
    /// Where the hub serves HTTP, for programs that post alerts.
    #[serde(default)]
    pub web: WebSettings,
    /// A plugin that is handed alerts. Without any, alerts are stored and their receipts sent, and that is all.
    #[serde(default)]
    pub sink: Vec<SinkSettings>,
    /// When rules hold, by the clocks of `timezone` in `[hub]`.
    #[serde(default)]
    pub schedule: Vec<ScheduleSettings>,
    /// What raises an alert now and then: a camera, a night watch, a whole connection. When it has not for too long the hub raises an
    /// event (`quiet`), for it may be broken, and another one when it does again.
    #[serde(default)]
    pub expect: Vec<ExpectSettings>,
    /// What is not sent while a condition holds from which it follows: that nothing comes from a camera (`quiet`) while its connection is
    /// away, for instance. When the condition is over, what is still quiet is said within an hour. After a start of the hub it is not
    /// known whether a connection that was away still is; what follows from that is withheld until the connection is up, for as long
    /// as `link_grace` and a minute at most.
    #[serde(default)]
    pub inhibit: Vec<InhibitSettings>,
    /// Who is to hear of an alert after whom, until a person acknowledges it: an escalation. A `[[route]]` with `policy` has one. There is
    /// one escalation for each group of the route (`group_by`, and without it those of one area): what comes of the group while it goes on
    /// is a part of it, and so is what comes within an hour after it was acknowledged. Another camera or a greater severity begins it again
    /// then. An acknowledgement is of the alert, and ends all policies that are about it: `watchpost alerts acknowledge`, a button at a
    /// sink, a judgement in the backend. Who had a message hears who has acknowledged it. A person who disarms the area of
    /// the alert by `watchpost disarm` or with a code ends it too; a schedule does not. A `cooldown`, a digest of what came late and `max_age` hold no
    /// message of a policy back; silences do.
    #[serde(default)]
    pub policy: Vec<PolicySettings>,
    /// Which alerts go to which sinks. Routes are asked in their order, and each that matches applies: an alert goes to every
    /// sink that one of them names, once. What none matches goes to no sink. Without any route, every sink gets every alert.
    #[serde(default)]
    pub route: Vec<RouteSettings>,
}

/// `[hub]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HubSettings {
    /// The folder that everything is stored in. Made when it is missing; one hub only can use it. To change it takes a
    /// restart of the hub, not a reload.
    #[schemars(with = "forms::Path")]
    pub data_dir: PathBuf,
    /// Folders that are searched for plugins, in this order.
    #[schemars(with = "Vec<forms::Path>")]
    pub plugin_dirs: Vec<PathBuf>,
    /// Whether no sink starts where the kernel is too old for a part of its sandbox, as `require` has it for one.
    pub require_sandbox: bool,
    /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, also for one part only, as in
    /// `info,watchpost_hub=debug`.
    #[schemars(with = "forms::LogFilter")]
    pub log: String,
    /// The form of the log. To change it takes a restart of the hub, not a reload.
    pub log_format: LogFormat,
    /// Name of the site, which every alert carries, for whoever gets the alerts of several.
    #[schemars(with = "Option<forms::Text>")]
    pub site: Option<String>,
    /// The time zone in which lists, mails, messages and the log show times, such as `Europe/Berlin`. Without it, the
    /// machine's. What is stored and what programs read is UTC.
    pub timezone: Option<TimeZone>,
    /// Days that count as `holiday` in schedules, and not as the day of the week that they are: `2026-04-03` once, `12-25` every
    /// year.
    #[schemars(with = "Vec<forms::Holiday>")]
    pub holidays: Vec<Holiday>,
    /// An alert that is received more than this after it happened is marked as late: it is news, not an alarm.
    pub late_after: TimeSpan,
    /// How long a connection may be disconnected before the hub raises an event, an alert of kind `hub`.
    pub link_grace: TimeSpan,
    /// How long a delivery may be due before the hub raises an event about its sink, whatever keeps the sink.
    pub sink_grace: TimeSpan,
    /// How long a hub that is stopping may take to finish what is in flight. The rest is finished after the next
    /// start.
    pub shutdown_grace: TimeSpan,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// How many of the newest undismissed alerts the live list shows.
    #[schemars(range(min = 1, max = 1000))]
    pub recent: u32,
    /// How long alerts are kept. Without it, age does not matter.
    pub keep_for: Option<TimeSpan>,
    /// How many alerts are kept at most. Without it, their number does not matter.
    #[schemars(range(min = 1))]
    pub keep_max: Option<u64>,
    /// How much room the pictures may take on disk.
    pub max_size: Option<ByteSize>,
    /// With less room than this on its disk, the hub raises an event, an alert of kind `hub`.
    pub min_free: ByteSize,
    /// Size of one file of pictures. Old pictures are removed a whole file at a time, so it should be a
    /// small part of `max_size`. To change it takes a restart of the hub, not a reload.
    pub segment_size: ByteSize,
    /// How many alerts are written to disk together at most. More is faster in a flood of alerts; a lone alert
    /// never waits for others.
    #[schemars(range(min = 1, max = 1024))]
    pub group_commit: usize,
}

impl Settings {
    /// Where the hub listens for posted alerts, if it has a connection for them.
    pub fn listen(&self) -> Option<SocketAddr> {
        let mut connections = self.connection.iter();
        let inbound = connections.any(|connection| connection.kind == ConnectionKind::Inbound);
        inbound.then_some(self.web.listen)
    }

    /// All schedules, by the clocks and holidays of the site.
    pub fn schedules(&self) -> Vec<Arc<Schedule>> {
        let calendar = Calendar::new(self.hub.time_zone().jiff(), self.hub.holidays.clone());
        let calendar = Arc::new(calendar);
        let schedules = self.schedule.iter().map(|settings| {
            let calendar = Arc::clone(&calendar);
            Arc::new(Schedule::new(
                settings.name.clone(),
                settings.open.clone(),
                calendar,
            ))
        });
        schedules.collect()
    }

    /// The TCP port that the hub serves, if it serves one that is known: 0 is any that is free. Sinks never reach it.
    #[must_use]
    pub fn own_port(&self) -> Option<u16> {
        self.listen()
            .map(|address| address.port())
            .filter(|port| *port != 0)
    }
}

impl HubSettings {
    /// The time zone of the site.
    pub fn time_zone(&self) -> TimeZone {
        self.timezone.clone().unwrap_or_else(TimeZone::system)
    }
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            data_dir: "/var/lib/watchpost".into(),
            plugin_dirs: vec![
                "/usr/local/lib/watchpost/plugins".into(),
                "/usr/lib/watchpost/plugins".into(),
            ],
            require_sandbox: false,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            site: None,
            timezone: None,
            holidays: Vec::new(),
            late_after: TimeSpan::from_secs(120),
            link_grace: TimeSpan::from_secs(60),
            sink_grace: TimeSpan::from_secs(300),
            shutdown_grace: TimeSpan::from_secs(10),
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            recent: 50,
            keep_for: None,
            keep_max: None,
            max_size: Some(ByteSize(10 << 30)),
            min_free: ByteSize(512 << 20),
            segment_size: ByteSize(64 << 20),
            group_commit: 64,
        }
    }
}
