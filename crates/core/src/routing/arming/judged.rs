//! What an alert means for areas: whether it is an alarm, what is held back, and what is counted of it.

use std::collections::BTreeSet;

use super::{AlertMark, Area, AreaEvent, AreaNews, AreaPolicy, Areas, Protection, Sounding};
use crate::routing::Panic;
use crate::{Alert, AlertId, AlertKind, UnixMillis};

impl Areas {
    /// What was said of it when an alert happened.
    pub(in crate::routing) fn protection(&self, policies: &[AreaPolicy], alert: &Alert) -> Protection {
        let Some(policy) = policy_of(policies, alert) else {
            return Protection::Always;
        };
        let area = self.areas.get(&policy.name);
        let armed = area.and_then(|area| area.protected_at(alert.happened_at()));
        armed.map_or(Protection::Disarmed, Protection::Armed)
    }

    /// Whether what makes noise does so for an alert; `None` where it is of no area. Returns the area as it is then.
    pub(in crate::routing) fn judge(
        &self,
        now: UnixMillis,
        policies: &[AreaPolicy],
        mark: AlertMark<'_>,
    ) -> Option<Judged> {
        let tamper = mark.alert.kind == AlertKind::Tamper;
        let policy = match tamper {
            true => watched_by(policies, mark.alert)?,
            false => policy_of(policies, mark.alert)?,
        };
        let known = self.areas.get(&policy.name).cloned();
        let was_alarmed = known.as_ref().is_some_and(Area::is_alarmed);
        let mut area = known.unwrap_or_else(|| Area::new(now));
        let (sounding, news) = match tamper {
            true => area.tamper(now, policy, mark),
            false => area.alert(now, policy, mark),
        };
        let event = news.map(|news| AreaEvent {
            area: policy.name.clone(),
            news,
        });
        Some(Judged {
            name: policy.name.clone(),
            area,
            sounding,
            event,
            swinger: policy.swinger,
            shutdown: None,
            qualifies: mark.qualifies,
            was_alarmed,
        })
    }

    /// Whether a siren is not to sound for an alert, as its camera has raised too many alarms: the area and the camera.
    pub(in crate::routing) fn is_swinging<'a>(
        &self,
        now: UnixMillis,
        policies: &'a [AreaPolicy],
        alert: &'a Alert,
        sink: &str,
    ) -> Option<(&'a str, &'a str)> {
        let policy = policy_of(policies, alert)?;
        let (limit, area) = (policy.swinger?, self.areas.get(&policy.name)?);
        let camera = alert.camera.as_ref()?.label();
        let holds = area.swingers.holds(now, limit, (sink, camera), area.alarm_id());
        holds.then_some((&policy.name, camera))
    }

    /// Until when what is said of an area's alarm is held back from remote sinks, if it is.
    pub(in crate::routing) fn held_until(&self, now: UnixMillis, area: &str) -> Option<UnixMillis> {
        self.areas.get(area)?.held_until(now)
    }

    /// The first alert of an alarm that is held back from remote sinks.
    pub(in crate::routing) fn held_from(&self, now: UnixMillis, area: &str) -> Option<AlertId> {
        let area = self.areas.get(area)?;
        area.alarm_id().filter(|_| area.held_until(now).is_some())
    }

    /// Whether an alert has changed its area.
    pub(in crate::routing) fn are_changed_by(&self, judged: &Judged) -> bool {
        self.areas.get(&judged.name) != Some(&judged.area)
    }

    /// Remembers what an alert has changed. `recipients` are the sinks that get it, `held` those that it is held back from.
    pub(in crate::routing) fn settle<'a>(
        &mut self,
        judged: Judged,
        recipients: impl Iterator<Item = &'a str>,
        held: impl Iterator<Item = &'a str>,
    ) {
        let Judged {
            name,
            mut area,
            event,
            shutdown,
            ..
        } = judged;
        if area.is_alarmed() {
            area.recipients.extend(recipients.map(str::to_owned));
            area.held.extend(held.map(str::to_owned));
        }
        self.areas.insert(name, area);
        self.news.extend(event.into_iter().chain(shutdown));
    }

    /// Alarm in the areas of a panic. `recipients` are the sinks that get it, and hear how it goes on.
    pub(in crate::routing) fn panic(
        &mut self,
        now: UnixMillis,
        policies: &[AreaPolicy],
        (alert, panic): (&Alert, &Panic),
        recipients: &[&str],
    ) {
        for policy in policies.iter().filter(|policy| panic.is_of(&policy.name)) {
            let area = self.areas.entry(policy.name.clone());
            let area = area.or_insert_with(|| Area::new(now));
            let news = area.panic(now, policy, (alert, panic));
            let sinks = recipients.iter().copied();
            area.recipients.extend(sinks.map(str::to_owned));
            news.into_iter().for_each(|news| self.say(&policy.name, news));
        }
    }

    /// The causes of all alarms but those of these areas.
    pub fn causes_besides(&self, areas: &[String]) -> BTreeSet<AlertId> {
        let others = self.areas.iter().filter(|(name, _)| !areas.contains(name));
        let causes = others.flat_map(|(_, area)| area.causes());
        causes.map(|cause| cause.alert).collect()
    }

    /// The area whose test an alert belongs to, if there is one.
    pub(in crate::routing) fn testing<'p>(
        &self,
        now: UnixMillis,
        policies: &'p [AreaPolicy],
        alert: &Alert,
    ) -> Option<&'p str> {
        let policy = policy_of(policies, alert)?;
        let test = self.areas.get(&policy.name)?.test.as_ref()?;
        (now < test.until).then_some(&policy.name)
    }
}

/// What an alert means for its area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::routing) struct Judged {
    name: String,
    area: Area,
    /// Whether what makes noise does so.
    pub(in crate::routing) sounding: Sounding,
    event: Option<AreaEvent>,
    /// After how many alarms sirens do not sound for a camera any more.
    swinger: Option<u8>,
    /// Whether the alert may raise an alarm.
    qualifies: bool,
    /// Whether there was one before.
    was_alarmed: bool,
    /// That they do not, if that is new.
    shutdown: Option<AreaEvent>,
}

impl Judged {
    /// Counts an alert as a test, and the alarms of its camera. `sirens` are the sinks that sound for its alert.
    pub(in crate::routing) fn count<'a>(
        &mut self,
        now: UnixMillis,
        alert: &Alert,
        sirens: impl Iterator<Item = &'a str>,
    ) {
        // What is no detection is no part of a test, and sounds however often it comes.
        if !AlertKind::OF_CAMERAS.contains(&alert.kind) {
            return;
        }
        if let Some(test) = self.area.test.as_mut().filter(|test| now < test.until) {
            test.count += 1;
        }
        let (Some(limit), Some(camera)) = (self.swinger, &alert.camera) else {
            return;
        };
        let sounding = self.area.alarm_id().map(|alarm| (alarm, sirens));
        if self.area.swingers.note(now, limit, camera.label(), sounding) {
            let (camera, alarms) = (camera.label().to_owned(), limit);
            self.shutdown = Some(AreaEvent {
                area: self.name.clone(),
                news: AreaNews::Swinger { camera, alarms },
            });
        }
    }

    /// The name of the area.
    pub(in crate::routing) fn area_name(&self) -> &str {
        &self.name
    }

    /// Until when the alert is held back from remote sinks, if it has a part in an alarm which is.
    pub(in crate::routing) fn held_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        let has_part = self.qualifies && self.is_alarm() && !matches!(self.sounding, Sounding::No(_));
        self.area.held_until(now).filter(|_| has_part)
    }

    /// Whether an alarm begins with it, or may soon.
    pub(in crate::routing) fn begins_alarm(&self) -> bool {
        self.is_alarm() && !self.was_alarmed
    }

    /// Whether it belongs to an alarm.
    pub(in crate::routing) fn is_alarm(&self) -> bool {
        self.area.is_alarmed()
    }
}

/// The area of an alert, if what is armed matters to it: what is no detection of a camera is heard whatever is armed.
fn policy_of<'p>(policies: &'p [AreaPolicy], alert: &Alert) -> Option<&'p AreaPolicy> {
    let is_detection = AlertKind::OF_CAMERAS.contains(&alert.kind);
    watched_by(policies, alert).filter(|_| is_detection)
}

/// The area that the camera of an alert watches, if it is one that is armed and disarmed.
fn watched_by<'p>(policies: &'p [AreaPolicy], alert: &Alert) -> Option<&'p AreaPolicy> {
    let area = alert.area()?;
    policies.iter().find(|policy| policy.name == area)
}
