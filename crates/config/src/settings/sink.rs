//! `[[sink]]`: a plugin and how deliveries to it are made.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watchpost_core::{LatePolicy, RateLimit};

use super::sandbox::SandboxSettings;
use crate::{ByteSize, Rate, TimeSpan, forms};

/// `[[sink]]`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkSettings {
    /// What it is called in logs, deliveries and routes: letters, digits, `-`, `_` and `.`, unique.
    #[schemars(with = "forms::Name")]
    pub name: String,
    /// The plugin: its name, such as `archive`, which is looked for in `plugin_dirs`; or the path of its file,
    /// which ends in `.so`.
    #[schemars(with = "forms::Plugin")]
    pub plugin: String,
    /// How long one delivery may take. After it the plugin is stopped and the delivery tried again. Without it, `12m` for
    /// `email`, as a mail server may take ten minutes for its last answer, and a mail that is not waited for is sent
    /// twice; and `30s` for every other plugin.
    pub timeout: Option<TimeSpan>,
    /// Alerts older than this expire undelivered: a siren need not sound for last night. Without
    /// it, age does not matter.
    pub max_age: Option<TimeSpan>,
    /// Whether a delivery is cancelled once its alert is acknowledged or dismissed, also in flight: a siren stops. The
    /// delivery is listed as dropped then. It disarms nothing: an area whose entry delay runs goes on to its alarm, and what is seen
    /// next sounds. Without it, that is so for `gpio` and `sound`.
    pub cancel_on_acknowledge: Option<bool>,
    /// Whether it gets internal events, alerts of kind `hub`, with or without routes: a sink that is overdue, a
    /// connection that is lost, a disk that fills up. Without it, `true` for the plugins `archive`, `email`, `mqtt` and
    /// `webhook`, else `false`: no siren sounds for a full disk. A route that names the kind sends them as well.
    pub events: Option<bool>,
    /// Whether it sounds only while the area of an alert is armed, for as long as the alarm lasts, and never for what came late.
    /// Without any `[[area]]` that makes no difference. Without it, `true` for `gpio` and `sound`; a chime that is to sound while
    /// disarmed is a sink with `only_armed = false` and a route with `armed = "disarmed"`.
    pub only_armed: Option<bool>,
    /// Whether it calls people who are elsewhere: an alarm is held back from it for the `abort_window` of its area. Without it, `false`
    /// for `archive`, `gpio` and `sound`, else `true`.
    pub remote: Option<bool>,
    /// What becomes of alerts that come late, which are many when a connection is back: `each` is delivered, all that come
    /// together make one message (`digest`) with how many there are, of which time, and the picture of the worst, or they are
    /// not delivered (`drop`). Without it, `digest` for `email`, `exec`, `mqtt` and `webhook`, `drop` for `gpio` and `sound`,
    /// and `each` for `archive` and every other plugin. What is late is said by `late_after` in `[hub]`.
    pub late: Option<Late>,
    /// How many messages it gets, such as `"20 per 1h"`: never more within any hour. What is over that is held, and sent as one message
    /// as soon as there may be another: with how many alerts there were, when, and the picture of the worst. It is the last rule that is
    /// asked, after `group_by` and `cooldown` of routes; the message that sums up a group counts as one, and is held as the others
    /// are. What is more severe than all that was sent within that time is sent all the same, and so is what begins an alarm; both
    /// count. Neither held nor counted are a panic, a tamper and what the hub says of itself. It is not for what makes noise, nor for an
    /// archive, which get each alert. Without it, there is no limit.
    pub rate_limit: Option<Rate>,
    /// How long a delivery waits for a picture that is still being fetched, as those of alerts from the backend's list are.
    /// It is made as soon as the picture is there, or is known never to be. Without it, `10s` for `email`, `mqtt` and
    /// `webhook`, as a message without its picture is worth less than one that comes ten seconds later; `1d` for
    /// `archive`, where an alert without its picture would be a gap for ever; and `0s` for every other plugin: a siren
    /// does not wait.
    pub wait_picture: Option<TimeSpan>,
    /// What becomes of a delivery while the store can take nothing, because the disk is full for instance: `wait` until it
    /// can, or `deliver` from memory, at most 16 times until then. Without it, `deliver` for `gpio` and `sound`, so that a
    /// siren sounds all the same, else `wait`.
    pub when_full: Option<WhenFull>,
    /// How many deliveries may be in flight at the same time.
    #[serde(default = "in_flight")]
    #[schemars(range(min = 1, max = 1024))]
    pub in_flight: usize,
    /// When the plugin's process holds more memory of its own than this, it is restarted between two deliveries: a
    /// slow leak then never becomes a crash.
    #[serde(default = "recycle_over")]
    pub recycle_over: ByteSize,
    /// When a failed delivery is tried again. Newer alerts do not wait for it.
    #[serde(default)]
    pub retry: RetrySettings,
    /// What the plugin may do besides reading its own file and keeping files of its own in the data directory. It
    /// gets what stands here and nothing because it asks for it: `watchpost sink grant NAME` prints what it asks for,
    /// to be read and pasted.
    #[serde(default)]
    pub sandbox: SandboxSettings,
    /// What the plugin wants to know. It is checked by the plugin, and relative paths in it are the
    /// plugin's to interpret: write absolute ones.
    #[serde(default = "no_config")]
    #[schemars(with = "forms::FreeTable")]
    pub config: serde_json::Value,
}

/// What becomes of a delivery while the store can take nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// It waits until the store works.
    Wait,
    /// It is made from memory.
    Deliver,
}

/// What becomes of alerts that come late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Late {
    /// Each is delivered.
    Each,
    /// All that come together are delivered as one.
    Digest,
    /// They are not delivered.
    Drop,
}

/// `[sink.retry]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySettings {
    /// How long to wait after the first failure. The wait doubles with each further one, and is longer where
    /// the plugin asks for it.
    pub initial: TimeSpan,
    /// The longest wait.
    pub max: TimeSpan,
    /// How long after its alert was received a delivery that still fails is dead-lettered. Without it, never.
    pub give_up_after: Option<TimeSpan>,
}

impl SinkSettings {
    /// How long one delivery may take: what is set, or what is usual for the plugin.
    pub fn timeout(&self) -> TimeSpan {
        let usual = match self.plugin_name() {
            "email" => 12 * 60,
            _ => 30,
        };
        self.timeout.unwrap_or(TimeSpan::from_secs(usual))
    }

    /// Whether its deliveries are cancelled once their alert is acknowledged: as configured, or because it makes noise.
    pub fn cancels_on_acknowledge(&self) -> bool {
        self.cancel_on_acknowledge
            .unwrap_or_else(|| NOISY.contains(&self.plugin_name()))
    }

    /// How many messages it gets, in the words of the domain.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        let Rate { count, per } = self.rate_limit?;
        let per = per.into();
        Some(RateLimit { count, per })
    }

    /// Whether its deliveries are made from memory while the store can take nothing: as configured, or because it makes
    /// noise.
    pub fn delivers_when_full(&self) -> bool {
        let usual = match NOISY.contains(&self.plugin_name()) {
            true => WhenFull::Deliver,
            false => WhenFull::Wait,
        };
        self.when_full.unwrap_or(usual) == WhenFull::Deliver
    }

    /// What becomes of alerts that come late: as configured, or what is usual for the plugin.
    pub fn late(&self) -> LatePolicy {
        let usual = match self.plugin_name() {
            "email" | "exec" | "mqtt" | "webhook" => Late::Digest,
            name if NOISY.contains(&name) => Late::Drop,
            _ => Late::Each,
        };
        match self.late.unwrap_or(usual) {
            Late::Each => LatePolicy::Each,
            Late::Digest => LatePolicy::Digest,
            Late::Drop => LatePolicy::Drop,
        }
    }

    /// Whether it sounds only while the area of an alert is armed, once there is one: as configured, or because it makes noise.
    pub(crate) fn sounds_only_armed(&self) -> bool {
        self.only_armed
            .unwrap_or_else(|| NOISY.contains(&self.plugin_name()))
    }

    /// Whether it makes noise, whatever is armed: a silent panic is not for it.
    pub(crate) fn makes_noise(&self) -> bool {
        self.only_armed == Some(true) || NOISY.contains(&self.plugin_name())
    }

    /// Whether an alarm is held back from it for the abort window: as configured, or because it sends messages.
    pub(crate) fn is_remote(&self) -> bool {
        self.remote
            .unwrap_or_else(|| !self.keeps_record() && !NOISY.contains(&self.plugin_name()))
    }

    /// Whether it keeps the record and is no message: silences spare it.
    pub fn keeps_record(&self) -> bool {
        self.plugin_name() == "archive"
    }

    /// Whether routes send it one message for many alerts: not where each is to be heard at once, nor where all are recorded.
    pub(crate) fn is_grouped(&self) -> bool {
        !self.keeps_record() && !self.makes_noise() && !self.sounds_only_armed()
    }

    /// How long a delivery waits for a picture that is being fetched: as configured, or what is usual for the plugin.
    pub fn wait_picture(&self) -> TimeSpan {
        let usual = match self.plugin_name() {
            "archive" => 24 * 3_600,
            "email" | "mqtt" | "webhook" => 10,
            _ => 0,
        };
        self.wait_picture.unwrap_or(TimeSpan::from_secs(usual))
    }

    /// Whether it gets internal events.
    pub fn gets_events(&self) -> bool {
        self.events
            .unwrap_or_else(|| MESSENGERS.contains(&self.plugin_name()))
    }

    /// The name of its plugin, also where the configuration gives the path of its file.
    fn plugin_name(&self) -> &str {
        let file = self.plugin.rsplit('/').next().unwrap_or_default();
        let name = file.strip_prefix("libwatchpost_").unwrap_or(file);
        name.strip_suffix(".so").unwrap_or(name)
    }
}

impl fmt::Debug for SinkSettings {
    /// Without `config`, which may hold the plugin's passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            plugin,
            timeout,
            max_age,
            cancel_on_acknowledge,
            events,
            only_armed,
            remote,
            late,
            rate_limit,
            wait_picture,
            when_full,
            in_flight,
            recycle_over,
            retry,
            sandbox,
            config: _,
        } = self;
        f.debug_struct("SinkSettings")
            .field("name", name)
            .field("plugin", plugin)
            .field("timeout", timeout)
            .field("max_age", max_age)
            .field("cancel_on_acknowledge", cancel_on_acknowledge)
            .field("events", events)
            .field("only_armed", only_armed)
            .field("remote", remote)
            .field("late", late)
            .field("rate_limit", rate_limit)
            .field("wait_picture", wait_picture)
            .field("when_full", when_full)
            .field("in_flight", in_flight)
            .field("recycle_over", recycle_over)
            .field("retry", retry)
            .field("sandbox", sandbox)
            .finish_non_exhaustive()
    }
}

/// Plugins that make noise, which an acknowledgement ends, which does not wait for a full disk, and which is for what is armed,
/// unless the site says otherwise.
const NOISY: [&str; 2] = ["gpio", "sound"];

/// Plugins that write or tell, and so get internal events unless the site says otherwise.
const MESSENGERS: [&str; 4] = ["archive", "email", "mqtt", "webhook"];

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            initial: TimeSpan::from_secs(1),
            max: TimeSpan::from_secs(300),
            give_up_after: None,
        }
    }
}

fn in_flight() -> usize {
    128
}

fn recycle_over() -> ByteSize {
    ByteSize(128 << 20)
}

fn no_config() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(text: &str) -> String {
        let settings: SinkSettings = toml::from_str(text).unwrap();
        settings.timeout().to_string()
    }

    #[test]
    fn a_mail_server_gets_the_time_that_its_standard_wants() {
        assert_eq!(timeout("name = 'a'\nplugin = 'archive'"), "30s");
        // RFC 5321, section 4.5.3.2.6: ten minutes for the answer after the mail.
        assert_eq!(timeout("name = 'a'\nplugin = 'email'"), "12m");
        assert_eq!(
            timeout("name = 'a'\nplugin = '/opt/libwatchpost_email.so'"),
            "12m"
        );
        assert_eq!(timeout("name = 'a'\nplugin = 'email'\ntimeout = '20s'"), "20s");
    }

    #[test]
    fn what_makes_noise_does_not_wait_for_a_full_disk_unless_the_site_says_otherwise() {
        let delivers = |text: &str| {
            let settings: SinkSettings = toml::from_str(text).unwrap();
            settings.delivers_when_full()
        };
        assert!(delivers("name = 'a'\nplugin = '/opt/libwatchpost_gpio.so'"));
        assert!(delivers("name = 'a'\nplugin = 'exec'\nwhen_full = 'deliver'"));
        assert!(!delivers("name = 'a'\nplugin = 'email'"));
        assert!(!delivers("name = 'a'\nplugin = 'sound'\nwhen_full = 'wait'"));
    }

    #[test]
    fn what_people_see_waits_for_its_picture_and_what_makes_noise_does_not() {
        let waits = |text: &str| {
            let settings: SinkSettings = toml::from_str(text).unwrap();
            settings.wait_picture().to_string()
        };
        assert_eq!(waits("name = 'a'\nplugin = '/opt/libwatchpost_archive.so'"), "1d");
        assert_eq!(waits("name = 'a'\nplugin = 'webhook'"), "10s");
        assert_eq!(waits("name = 'a'\nplugin = 'gpio'"), "0s");
        assert_eq!(waits("name = 'a'\nplugin = 'email'\nwait_picture = '0s'"), "0s");
    }

    #[test]
    fn an_archive_keeps_the_record() {
        let keeps = |text: &str| toml::from_str::<SinkSettings>(text).unwrap().keeps_record();
        assert!(keeps("name = 'a'\nplugin = 'archive'"));
        assert!(keeps("name = 'a'\nplugin = '/opt/libwatchpost_archive.so'"));
        assert!(!keeps("name = 'archive'\nplugin = 'email'"));
    }

    #[test]
    fn what_comes_late_is_one_message_and_makes_no_noise() {
        let late = |text: &str| {
            let settings: SinkSettings = toml::from_str(text).unwrap();
            settings.late()
        };
        assert_eq!(late("name = 'a'\nplugin = 'email'"), LatePolicy::Digest);
        assert_eq!(late("name = 'a'\nplugin = 'gpio'"), LatePolicy::Drop);
        assert_eq!(late("name = 'a'\nplugin = 'archive'"), LatePolicy::Each);
        assert_eq!(late("name = 'a'\nplugin = '/opt/libours.so'"), LatePolicy::Each);
        assert_eq!(
            late("name = 'a'\nplugin = 'email'\nlate = 'each'"),
            LatePolicy::Each
        );
    }

    #[test]
    fn sinks_that_write_get_internal_events_unless_the_site_says_otherwise() {
        let gets = |plugin: &str, events: Option<bool>| {
            let mut sink = serde_json::json!({ "name": "a", "plugin": plugin });
            sink["events"] = events.into();
            serde_json::from_value::<SinkSettings>(sink)
                .unwrap()
                .gets_events()
        };
        assert!(gets("email", None) && gets("/opt/libwatchpost_mqtt.so", None) && gets("gpio", Some(true)));
        assert!(!gets("gpio", None) && !gets("/opt/libours.so", None) && !gets("email", Some(false)));
    }
}
