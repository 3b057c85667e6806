//! All areas of a site: what persons want of them, which alert is of which, and what is due.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::follow::Look;
use super::{
    Area, AreaEvent, AreaPolicy, AreaState, ArmingCommand, ArmingRefused, Blocker, MAX_POSTPONED, Mode,
    TestMode,
};
use crate::UnixMillis;
use crate::routing::{Actor, CancelReason};

/// Shortest time by which arming by a schedule is postponed.
const SHORTEST_POSTPONED: Duration = Duration::from_secs(60);

/// What is remembered of all areas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Areas {
    /// By their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) areas: BTreeMap<String, Area>,
    /// What is still to be said of them, oldest first. It is committed with what has happened, and becomes alerts at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) news: Vec<AreaEvent>,
    /// What was armed is not known any more, which is for the next step to deal with.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
}

impl Areas {
    /// The same without what is said and seen in passing.
    pub(in crate::routing) fn to_keep(&self) -> Self {
        let mut kept = self.clone();
        kept.news.clear();
        kept.areas.values_mut().for_each(|area| area.last = None);
        kept
    }

    /// The same without what another alert of an alarm adds to it.
    pub(in crate::routing) fn outline(&self) -> Self {
        let mut outline = self.to_keep();
        for area in outline.areas.values_mut() {
            area.recipients.clear();
            area.held.clear();
            if let Some(test) = &mut area.test {
                test.count = 0;
            }
            area.memory.truncate(1);
            if let AreaState::Triggered { causes, .. } = &mut area.state {
                causes.truncate(1);
            }
        }
        outline
    }

    /// What was armed is not known any more.
    pub(in crate::routing) fn set_lost(&mut self) {
        self.lost = true;
    }

    /// The area of this name, if anything is known of it.
    pub fn get(&self, name: &str) -> Option<&Area> {
        self.areas.get(name)
    }

    /// All areas of this mode as if they had been armed long ago, and none of the others.
    pub fn armed_in(mode: Option<Mode>, policies: &[AreaPolicy]) -> Self {
        let area = |policy: &AreaPolicy| {
            let mut area = Area::new(UnixMillis(0));
            if let Some(mode) = mode.filter(|mode| policy.modes.contains(mode)) {
                area.set_armed(UnixMillis(0), mode);
            }
            (policy.name.clone(), area)
        };
        Self {
            areas: policies.iter().map(area).collect(),
            news: Vec::new(),
            lost: false,
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty() && self.news.is_empty() && !self.lost
    }

    /// When the next thing is due.
    pub(in crate::routing) fn next_due(&self) -> Option<UnixMillis> {
        match self.news.is_empty() {
            true => self.areas.values().filter_map(Area::due).min(),
            false => Some(UnixMillis(0)),
        }
    }

    /// Takes what is to be said.
    pub(in crate::routing) fn take_news(&mut self) -> Vec<AreaEvent> {
        std::mem::take(&mut self.news)
    }

    /// Carries out what a person wants. Returns the names of the areas that are disarmed by it.
    pub(in crate::routing) fn carry_out(
        &mut self,
        now: UnixMillis,
        policies: &[AreaPolicy],
        faults: &[Blocker],
        command: &ArmingCommand,
    ) -> Result<Vec<String>, ArmingRefused> {
        match command {
            ArmingCommand::Arm {
                mode,
                areas,
                force,
                by,
            } => {
                let wanted = to_arm(policies, *mode, areas)?;
                self.arm(now, &wanted, faults, (*mode, *force, by))?;
                let others = policies.iter().filter(|policy| !policy.modes.contains(mode));
                let others = others.filter(|policy| {
                    let area = self.areas.get(&policy.name);
                    areas.is_empty() && area.is_some_and(|area| !area.is_alarmed())
                });
                let others: Vec<&AreaPolicy> = others.collect();
                Ok(self.disarm(now, &others, by))
            }
            ArmingCommand::Disarm { areas, by } => {
                let named = AreaPolicy::named(policies, areas)?;
                Ok(self.disarm(now, &named, by))
            }
            ArmingCommand::Postpone { areas, lasts, by } => {
                self.postpone(now, policies, areas, (*lasts, by))?;
                Ok(Vec::new())
            }
            ArmingCommand::Test { areas, lasts, by } => {
                self.test(now, policies, areas, (*lasts, by))?;
                Ok(Vec::new())
            }
            ArmingCommand::Seen { areas } => {
                for policy in AreaPolicy::named(policies, areas)? {
                    if let Some(area) = self.areas.get_mut(&policy.name) {
                        area.memory.clear();
                    }
                }
                Ok(Vec::new())
            }
        }
    }

    /// Arms all of these or none.
    fn arm(
        &mut self,
        now: UnixMillis,
        wanted: &[&AreaPolicy],
        faults: &[Blocker],
        (mode, force, by): (Mode, bool, &Actor),
    ) -> Result<(), ArmingRefused> {
        let mut blocked: Vec<(&AreaPolicy, Vec<Blocker>)> = Vec::new();
        for policy in wanted {
            let area = self
                .areas
                .entry(policy.name.clone())
                .or_insert_with(|| Area::new(now));
            // What is armed already does not become less so by being armed again.
            let blockers = match area.is_alarmed() {
                true => Vec::new(),
                false => area.keeps_from(now, policy, faults),
            };
            blocked.push((policy, blockers));
        }
        let not_ready = blocked.iter().any(|(_, blockers)| !blockers.is_empty());
        if not_ready && !force {
            let mut all = Vec::new();
            for (policy, blockers) in blocked.into_iter().filter(|(_, blockers)| !blockers.is_empty()) {
                all.extend(
                    blockers
                        .iter()
                        .map(|blocker| (policy.name.clone(), blocker.clone())),
                );
                let by = Some(by.clone());
                let news = super::AreaNews::NotArmed { mode, by, blockers };
                self.say(&policy.name, news);
            }
            return Err(ArmingRefused::NotReady(all));
        }
        for (policy, blockers) in blocked {
            let area = self.areas.get_mut(&policy.name);
            let news = area.and_then(|area| {
                area.overrule(now);
                area.arm(now, policy, (mode, by), blockers)
            });
            news.into_iter().for_each(|news| self.say(&policy.name, news));
        }
        Ok(())
    }

    fn disarm(&mut self, now: UnixMillis, which: &[&AreaPolicy], by: &Actor) -> Vec<String> {
        let mut disarmed = Vec::new();
        for policy in which {
            let area = self.areas.get_mut(&policy.name);
            let news = area.and_then(|area| {
                area.overrule(now);
                area.disarm(now, by)
            });
            if let Some(news) = news {
                self.say(&policy.name, news);
                disarmed.push(policy.name.clone());
            }
        }
        disarmed
    }

    /// Has schedules arm all of these later, or none.
    fn postpone(
        &mut self,
        now: UnixMillis,
        policies: &[AreaPolicy],
        names: &[String],
        (lasts, by): (Duration, &Actor),
    ) -> Result<(), ArmingRefused> {
        if !(SHORTEST_POSTPONED..=MAX_POSTPONED).contains(&lasts) {
            return Err(ArmingRefused::NotPostponed);
        }
        let (named, mut after, mut postponed) = (AreaPolicy::named(policies, names)?, self.clone(), false);
        for policy in named {
            let area = after.areas.get_mut(&policy.name);
            match area.and_then(|area| area.postpone(now, lasts, by)) {
                Some(news) => {
                    after.say(&policy.name, news);
                    postponed = true;
                }
                None if names.is_empty() => {}
                None => return Err(ArmingRefused::NotScheduled(format!("area {}", policy.name))),
            }
        }
        if !postponed {
            return Err(ArmingRefused::NotScheduled("any area".to_owned()));
        }
        *self = after;
        Ok(())
    }

    /// Begins a test in all of these, or ends it.
    fn test(
        &mut self,
        now: UnixMillis,
        policies: &[AreaPolicy],
        names: &[String],
        (lasts, by): (Option<Duration>, &Actor),
    ) -> Result<(), ArmingRefused> {
        if lasts.is_some_and(|lasts| !TestMode::may_last(lasts)) {
            return Err(ArmingRefused::NotTested);
        }
        let mut changed = false;
        for policy in AreaPolicy::named(policies, names)? {
            let area = self.areas.entry(policy.name.clone());
            let area = area.or_insert_with(|| Area::new(now));
            let news = match lasts {
                Some(lasts) => Some(TestMode::begin(area, now, lasts, by)),
                None => TestMode::end(area, Some(by)),
            };
            changed |= news.is_some();
            news.into_iter().for_each(|news| self.say(&policy.name, news));
        }
        match changed {
            true => Ok(()),
            false if names.is_empty() => Err(ArmingRefused::NoTest("no area".to_owned())),
            false => Err(ArmingRefused::NoTest(format!("none of {}", names.join(", ")))),
        }
    }

    pub(super) fn say(&mut self, area: &str, news: super::AreaNews) {
        self.news.push(AreaEvent {
            area: area.to_owned(),
            news,
        });
    }

    /// Does what is due, and forgets areas that are no longer configured. Returns the names of those whose noise is to stop, and
    /// why. What is then still due is so at once.
    pub(in crate::routing) fn advance(
        &mut self,
        now: UnixMillis,
        policies: &[AreaPolicy],
        faults: &[Blocker],
    ) -> Option<(Vec<String>, CancelReason)> {
        let is_there = |name: &String| policies.iter().any(|policy| policy.name == *name);
        self.areas.retain(|name, _| is_there(name));
        let (mut hushed, lost) = (Vec::new(), std::mem::take(&mut self.lost));
        for policy in policies.iter().filter(|_| lost) {
            let mut area = Area::new(now);
            let news = area.lost(now, policy);
            self.areas.insert(policy.name.clone(), area);
            self.say(&policy.name, news);
        }
        for policy in policies {
            let area = self
                .areas
                .entry(policy.name.clone())
                .or_insert_with(|| Area::new(now));
            while let Some((news, hush)) = area.expire(now, policy, faults) {
                self.news.extend(news.map(|news| AreaEvent {
                    area: policy.name.clone(),
                    news,
                }));
                if hush {
                    hushed.push(policy.name.clone());
                }
            }
        }
        if !hushed.is_empty() {
            return Some((hushed, CancelReason::AlarmOver));
        }
        policies
            .iter()
            .find_map(|policy| self.follow(now, policy, faults))
    }

    /// Has an area do what its schedules want. Returns its name if it is disarmed by that, and why.
    fn follow(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        faults: &[Blocker],
    ) -> Option<(Vec<String>, CancelReason)> {
        let Look { news, disarmed } = self.areas.get_mut(&policy.name)?.follow(now, policy, faults);
        news.into_iter().for_each(|news| self.say(&policy.name, news));
        disarmed.map(|by| (vec![policy.name.clone()], CancelReason::Disarmed(by)))
    }

    /// The clock was set, and is at `now` since.
    pub(in crate::routing) fn shift(&mut self, now: UnixMillis, millis: i64) {
        self.areas.values_mut().for_each(|area| area.shift(now, millis));
    }

    /// What keeps an area from being ready to arm.
    pub fn blockers(&self, now: UnixMillis, policy: &AreaPolicy, faults: &[Blocker]) -> Vec<Blocker> {
        let area = self.areas.get(&policy.name);
        let unknown = Area::default();
        area.unwrap_or(&unknown).keeps_from(now, policy, faults)
    }
}

impl AreaPolicy {
    /// Those of these names, in their order; all of them without any.
    ///
    /// # Errors
    /// When there is none of a name, or none at all.
    pub fn named<'p>(policies: &'p [Self], names: &[String]) -> Result<Vec<&'p Self>, ArmingRefused> {
        if policies.is_empty() {
            return Err(ArmingRefused::NoAreas);
        }
        if names.is_empty() {
            return Ok(policies.iter().collect());
        }
        let find = |name: &String| {
            let found = policies.iter().find(|policy| policy.name == *name);
            found.ok_or_else(|| ArmingRefused::Unknown {
                name: name.clone(),
                there: policies.iter().map(|policy| policy.name.clone()).collect(),
            })
        };
        names.iter().map(find).collect()
    }
}

/// The areas that are to be armed.
fn to_arm<'p>(
    policies: &'p [AreaPolicy],
    mode: Mode,
    names: &[String],
) -> Result<Vec<&'p AreaPolicy>, ArmingRefused> {
    let mut named = AreaPolicy::named(policies, names)?;
    if names.is_empty() {
        named.retain(|policy| policy.modes.contains(&mode));
        return match named.is_empty() {
            true => Err(ArmingRefused::NoneInMode(mode)),
            false => Ok(named),
        };
    }
    match named.iter().find(|policy| !policy.modes.contains(&mode)) {
        Some(policy) => Err(ArmingRefused::NotInMode {
            area: policy.name.clone(),
            mode,
            modes: policy.modes.clone(),
        }),
        None => Ok(named),
    }
}
