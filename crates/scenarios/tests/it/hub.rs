//! A hub as far as rules go: the routing step with its state as it is stored, the deliveries that wait, and a clock of its own. It
//! does what the store and the writer do with the effects of a step, and writes it down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchpost_config::{Settings, camera_book, router};
use watchpost_core::{
    Actor, Alert, AlertAct, AlertCommand, AlertId, AlertKind, Blocker, Camera, CancelledAlerts, ClockStep,
    Details, Effects, HubEvent, LetGo, PlannedDelivery, RouteReason, Router, RoutingEvent, RoutingState,
    Severity, Unheld, UnixMillis, Via, VisionGuard,
};

use watchpost_scenarios::{Act, FIRST_DAY, InHand, Seen, SiteClock, brief, settings, show_area, write};

/// What every site has: a connection, and a way in for what is posted.
const CONNECTION: &str = r#"[[connection]]
name = "main"
url = "http://192.168.1.20:8000"
user_id = "550e8400-e29b-41d4-a716-446655440000"
token_file = "token"

[[connection]]
name = "posts"
kind = "inbound"
token = "a token that no one guesses"
"#;

/// More steps than this without an act would go on for ever.
const MAX_STEPS: usize = 10_000;

/// The connection of every site, by its name.
const MAIN: &str = "main";

/// What is said of connections is not written down, and has ids of its own.
const LINK_EVENTS: u64 = 1 << 40;

/// How the connection is.
#[derive(Clone, Copy)]
enum Link {
    Up,
    /// Since when it is away, and whether that was said.
    Away(UnixMillis, bool),
}

/// A delivery that waits for its time.
struct Waiting {
    alert: Alert,
    planned: PlannedDelivery,
}

pub(super) struct Hub {
    settings: Settings,
    router: Router,
    clock: SiteClock,
    state: RoutingState,
    now: UnixMillis,
    runs: bool,
    faults: BTreeMap<String, Blocker>,
    /// The sinks that make no delivery.
    refusing: BTreeSet<String>,
    link: Link,
    /// Whether it was up since the hub was started.
    was_up: bool,
    waiting: Vec<Waiting>,
    /// What cameras have seen, the last one last.
    seen: Vec<Alert>,
    last_id: u64,
    /// What was last written of each area.
    shown: BTreeMap<String, String>,
    written: String,
    /// The time that was written last.
    written_at: Option<UnixMillis>,
}

impl Hub {
    /// Of this site, at the beginning of the first day.
    pub(super) fn new(toml: &str) -> Self {
        let settings = settings(toml, CONNECTION, Vec::new());
        let clock = SiteClock::new(&settings);
        let mut hub = Self {
            router: router(&settings),
            now: clock.begins(FIRST_DAY),
            settings,
            clock,
            state: RoutingState::default(),
            runs: true,
            faults: BTreeMap::new(),
            refusing: BTreeSet::new(),
            link: Link::Up,
            was_up: true,
            waiting: Vec::new(),
            seen: Vec::new(),
            last_id: 0,
            shown: BTreeMap::new(),
            written: String::new(),
            written_at: None,
        };
        hub.look();
        hub.shown = hub.areas();
        hub.written.clear();
        hub
    }

    /// The line of an act, at its time.
    pub(super) fn write(&mut self, time: &str, text: &str) {
        self.until(time);
        self.written_at = Some(self.now);
        self.written += &write(time, false, text);
    }

    pub(super) fn written(self) -> String {
        self.written
    }

    /// A line of what follows.
    fn say(&mut self, text: &str) {
        let time = match self.written_at == Some(self.now) {
            true => String::new(),
            false => self.clock.show(self.now, "%a "),
        };
        self.written_at = Some(self.now);
        self.written += &write(&time, true, text);
    }

    /// Lets time go by until the clocks show this.
    fn until(&mut self, time: &str) {
        let end = self.clock.parse(self.now, time);
        assert!(end >= self.now, "{time} has passed");
        self.pass(end);
        self.now = end;
    }

    fn pass(&mut self, end: UnixMillis) {
        for _ in 0..MAX_STEPS {
            let Some(next) = self.next().filter(|next| *next <= end && self.runs) else {
                return;
            };
            self.now = self.now.max(next);
            self.step_once();
        }
        panic!("there is always something to do at {}", self.now);
    }

    /// When there is something to do by itself.
    fn next(&self) -> Option<UnixMillis> {
        let waiting = self.waiting.iter().filter_map(|waiting| waiting.planned.due_at);
        let due = [
            self.router.next_due(&self.state),
            self.state.next_digest(),
            self.link_due(),
        ];
        due.into_iter().flatten().chain(waiting).min()
    }

    /// When it is to be said that the connection is away.
    fn link_due(&self) -> Option<UnixMillis> {
        match self.link {
            Link::Away(since, false) => Some(since + self.settings.hub.link_grace.into()),
            Link::Away(_, true) | Link::Up => None,
        }
    }

    /// The connection is away, or is up again.
    fn set_link(&mut self, up: bool) {
        let connection = MAIN.to_owned();
        match (self.link, up) {
            (Link::Up, false) => self.link = Link::Away(self.now, false),
            (Link::Away(since, said), true) => {
                self.link = Link::Up;
                let seconds = since.until(self.now).as_secs();
                if said {
                    self.say_of_link(HubEvent::LinkBack { connection, seconds });
                } else if !self.was_up {
                    self.link_up();
                }
                self.was_up = true;
            }
            (Link::Up, true) | (Link::Away(..), false) => {}
        }
    }

    fn link_up(&mut self) {
        let effects = self.step(RoutingEvent::LinkUp(MAIN));
        self.unhold(effects.unheld);
    }

    /// Takes what is said of the connection.
    fn say_of_link(&mut self, event: HubEvent) {
        let alert = event.into_alert(AlertId(LINK_EVENTS), self.now);
        let effects = self.step(RoutingEvent::Alert(&alert));
        self.unhold(effects.unheld);
    }

    /// What becomes of events that were withheld.
    fn unhold(&mut self, unheld: Option<Unheld>) {
        let Some(Unheld { events, drops }) = unheld else {
            return;
        };
        for event in events {
            let is_meant = |waiting: &Waiting| {
                waiting.alert.id == event.alert && event.sinks.contains(&waiting.planned.sink)
            };
            if drops {
                self.drop_waiting(is_meant, &event.inhibited().to_string());
                continue;
            }
            let now = self.now;
            for waiting in self.waiting.iter_mut().filter(|waiting| is_meant(waiting)) {
                waiting.planned.due_at = Some(now);
            }
        }
    }

    fn step_once(&mut self) {
        if self.link_due().is_some_and(|due| due <= self.now) {
            if let Link::Away(_, said) = &mut self.link {
                *said = true;
            }
            let (why, seconds) = ("refused".to_owned(), self.settings.hub.link_grace);
            let (connection, seconds) = (MAIN.to_owned(), Duration::from(seconds).as_secs());
            return self.say_of_link(HubEvent::LinkLost {
                connection,
                why,
                seconds,
            });
        }
        if let Some(due) = self.state.due_digest(self.now) {
            self.last_id += 1;
            let clock = self.clock.clone();
            let alert = due.into_alert(AlertId(self.last_id), self.now, |at| clock.full(at));
            return self.take(alert);
        }
        if let Some(due) = self.router.due_step(self.now, &self.state) {
            self.last_id += 1;
            let clock = self.clock.clone();
            let alert = due.into_alert(AlertId(self.last_id), self.now, |at| clock.full(at));
            return self.take(alert);
        }
        let now = self.now;
        let is_due = |waiting: &mut Waiting| waiting.planned.due_at.is_some_and(|due| due <= now);
        let due: Vec<Waiting> = self.waiting.extract_if(.., is_due).collect();
        for Waiting { alert, planned } in due {
            match planned.expires_at.is_some_and(|end| end <= now) {
                true => {
                    self.say(&format!("- {}, {}: expired", planned.sink, brief(&alert)));
                    self.undelivered(&alert, &planned.sink);
                }
                false if self.refusing.contains(&planned.sink) => self.refuse(&alert, &planned.sink),
                false => self.say(&format!("> {}, {}", planned.sink, brief(&alert))),
            }
        }
        if self.router.next_due(&self.state).is_some_and(|due| due <= now) {
            self.look();
        }
    }

    /// A sink refuses an alert for good.
    fn refuse(&mut self, alert: &Alert, sink: &str) {
        self.say(&format!("- {sink}, {}: refused", brief(alert)));
        self.undelivered(alert, sink);
    }

    fn undelivered(&mut self, alert: &Alert, sink: &str) {
        if self.state.escalations.awaits(alert.id, sink) {
            let alert = alert.id;
            self.step(RoutingEvent::Undelivered { alert, sink });
        }
    }

    /// Does what the rules have to do by now.
    fn look(&mut self) {
        let effects = self.step(RoutingEvent::Due);
        self.unhold(effects.unheld);
        for event in effects.events {
            self.raise(event);
        }
        self.show_areas();
    }

    fn step(&mut self, event: RoutingEvent<'_>) -> Effects {
        let faults: Vec<Blocker> = self.faults.values().cloned().collect();
        let effects = self.router.step_amid(self.now, &faults, &self.state, event);
        if let Some(state) = &effects.state {
            // As it is stored.
            let json = serde_json::to_string(state).unwrap();
            self.state = serde_json::from_str(&json).unwrap();
            assert_eq!(self.state, *state, "it does not come back as it was stored");
        }
        if let Some(hush) = &effects.hush {
            let is_hushed = |waiting: &Waiting| hush.covers(&waiting.alert, &waiting.planned.sink);
            let reason = hush.reason.to_string();
            if !hush.sinks.is_empty() {
                self.say(&format!(
                    "stop {} for {}: {reason}",
                    hush.sinks.join(", "),
                    hush.areas.join(", ")
                ));
            }
            self.drop_waiting(is_hushed, &reason);
            self.say_let_go(&effects.let_go, &reason);
        }
        effects
    }

    /// What was held for a digest and is not delivered any more.
    fn say_let_go(&mut self, gone: &[LetGo], reason: &str) {
        for LetGo { sink, alert } in gone {
            let name = brief(self.alert(*alert));
            self.say(&format!("- {sink}, {name}: {reason}"));
        }
    }

    fn alert(&self, id: AlertId) -> &Alert {
        let mut seen = self.seen.iter();
        seen.find(|alert| alert.id == id).unwrap()
    }

    /// Drops what waits, and returns the alerts.
    fn drop_waiting(&mut self, which: impl Fn(&Waiting) -> bool, reason: &str) -> Vec<Alert> {
        let dropped: Vec<Waiting> = self.waiting.extract_if(.., |waiting| which(waiting)).collect();
        for Waiting { alert, planned } in &dropped {
            self.say(&format!("- {}, {}: {reason}", planned.sink, brief(alert)));
        }
        dropped.into_iter().map(|waiting| waiting.alert).collect()
    }

    fn raise(&mut self, event: HubEvent) {
        self.last_id += 1;
        let alert = event.into_alert(AlertId(self.last_id), self.now);
        self.take(alert);
    }

    /// Takes an alert, as the hub does with every one.
    fn take(&mut self, mut alert: Alert) {
        alert.site.clone_from(&self.settings.hub.site);
        alert.mark_late(self.settings.hub.late_after.into());
        camera_book(&self.settings.camera).name(&mut alert);
        self.settings.area_book().place(&mut alert);
        self.settings.visionguard.severity.table().apply(&mut alert);
        let effects = self.step(RoutingEvent::Alert(&alert));
        let internal = matches!(
            alert.kind,
            AlertKind::Hub | AlertKind::Digest | AlertKind::Escalation
        );
        let (later, now): (Vec<PlannedDelivery>, Vec<PlannedDelivery>) =
            effects.deliveries.into_iter().partition(|planned| {
                planned.due_at.is_some_and(|due| due > self.now) || self.refusing.contains(&planned.sink)
            });
        let to = |deliveries: &[PlannedDelivery]| {
            Vec::from_iter(deliveries.iter().map(|planned| planned.sink.clone())).join(", ")
        };
        if internal {
            let none = if now.is_empty() { "no one" } else { "" };
            self.say(&format!("! {} > {}{none}", alert.title, to(&now)));
            let unsent = alert.text.split_once("Nothing was sent");
            if let Some((_, sinks)) = unsent {
                self.say(&format!("Nothing was sent{sinks}"));
            }
            let suppressions = effects.suppressions.iter();
            let inhibited = suppressions.filter(|one| matches!(one.reason, RouteReason::Inhibited { .. }));
            let reasons = inhibited.map(|one| (one.sink.as_deref().unwrap_or("all"), &one.reason));
            for (sinks, reason) in grouped(reasons) {
                self.say(&format!("x {sinks}: {reason}"));
            }
        } else {
            let reasons = now.iter().map(|planned| (planned.sink.as_str(), &planned.reason));
            for (sinks, reason) in grouped(reasons) {
                self.say(&format!("> {sinks}: {reason}"));
            }
            let suppressions = effects.suppressions.iter();
            let reasons = suppressions.map(|one| (one.sink.as_deref().unwrap_or("all"), &one.reason));
            for (sinks, reason) in grouped(reasons) {
                self.say(&format!("x {sinks}: {reason}"));
            }
        }
        let mut refused = Vec::new();
        for planned in later {
            let due_at = planned.due_at.unwrap_or(self.now);
            let due = self.clock.show(due_at, "");
            self.say(&format!("~ {} {due}: {}", planned.sink, planned.reason));
            if due_at <= self.now {
                refused.push(planned.sink);
                continue;
            }
            let alert = alert.clone();
            self.waiting.push(Waiting { alert, planned });
        }
        self.seen.push(alert.clone());
        refused.iter().for_each(|sink| self.refuse(&alert, sink));
        self.show_areas();
    }

    fn show_areas(&mut self) {
        for (name, shown) in self.areas() {
            if self.shown.get(&name) != Some(&shown) {
                self.say(&format!("{name}: {shown}"));
                self.shown.insert(name, shown);
            }
        }
    }

    /// Where each area stands.
    fn areas(&self) -> BTreeMap<String, String> {
        let areas = self.settings.area.iter();
        let known = areas.filter_map(|area| Some((area.name.clone(), self.state.areas.get(&area.name)?)));
        let until = |at: UnixMillis| self.clock.show(at, "");
        known.map(|(name, area)| (name, show_area(area, until))).collect()
    }

    pub(super) fn perform(&mut self, act: Act, sites: &BTreeMap<&str, &str>) {
        match act {
            Act::Nothing => {}
            Act::Seen(seen) => self.see(seen),
            Act::Arming(command) => {
                let effects = self.step(RoutingEvent::Arming(&command));
                self.answer(&effects);
            }
            Act::Panic(panic) => {
                self.last_id += 1;
                self.take(panic.into_alert(AlertId(self.last_id), self.now));
            }
            Act::Silence(command) => {
                let effects = self.step(RoutingEvent::Silence(&command));
                self.answer(&effects);
                self.begin_silence(&effects);
            }
            Act::Acknowledge(what) => self.acknowledge(&what),
            Act::Fault(part, why) => self.fault(part, why),
            Act::Refuses(sink, true) => drop(self.refusing.insert(sink)),
            Act::Refuses(sink, false) => drop(self.refusing.remove(&sink)),
            Act::Power(on) => {
                self.runs = on;
                // What was due meanwhile has waited for a hub that looks at it once.
                if on {
                    self.state.set_restored();
                    self.look();
                    self.start_link();
                }
            }
            Act::Clock(shown) => {
                let day = UnixMillis(self.now.0 - 24 * 3_600_000);
                let to = self.clock.parse(day, &shown);
                let (millis, at) = (to.0 - self.now.0, self.now);
                self.now = to;
                for waiting in &mut self.waiting {
                    for at in [&mut waiting.planned.due_at, &mut waiting.planned.expires_at]
                        .into_iter()
                        .flatten()
                    {
                        at.0 += millis;
                    }
                }
                self.step(RoutingEvent::ClockStepped(ClockStep { millis, at }));
            }
            Act::Reload(site) => {
                self.settings = settings(sites[site.as_str()], CONNECTION, Vec::new());
                self.router = router(&self.settings);
                self.look();
            }
            Act::Lose => {
                self.state = RoutingState::default();
                self.state.set_lost();
                self.look();
            }
        }
        self.show_areas();
        if self.runs {
            self.pass(self.now);
        }
    }

    /// The hub was started, and connects.
    fn start_link(&mut self) {
        self.was_up = !self.faults.contains_key(MAIN);
        if self.was_up {
            self.link = Link::Up;
            return self.link_up();
        }
        self.link = Link::Away(self.now, false);
    }

    fn answer(&mut self, effects: &Effects) {
        if let Some(refused) = &effects.refused {
            self.say(&format!("refused: {refused}"));
        }
    }

    fn see(&mut self, seen: Seen) {
        self.last_id += 1;
        let kind = seen.kind.unwrap_or(AlertKind::Anomaly);
        let connection = seen.over.as_deref().unwrap_or("main");
        let happened = seen.happened.map(|shown| {
            let week_ago = UnixMillis(self.now.0 - 6 * 24 * 3_600_000);
            self.clock.parse(week_ago, &shown)
        });
        let id = seen.camera.to_lowercase().replace(' ', "-");
        let alert = Alert {
            camera: Some(Camera::unnamed(id)),
            occurred_at: happened,
            via: if seen.listed { Via::List } else { Via::Live },
            severity: Severity::Low,
            title: match kind {
                AlertKind::Tamper => format!("Tamper at {}", seen.camera),
                _ => format!("Anomaly at {}", seen.camera),
            },
            details: Details {
                score: seen.score,
                ..Details::default()
            },
            visionguard: Some(VisionGuard {
                person_id: seen.person,
                ..VisionGuard::default()
            }),
            ..Alert::new(AlertId(self.last_id), kind, connection, self.now)
        };
        self.take(alert);
    }

    /// What waits when a silence begins is held back by it.
    fn begin_silence(&mut self, effects: &Effects) {
        let begun = self.state.silences.active().iter();
        let begun = begun.filter(|silence| Some(silence.id) == effects.silenced);
        for silence in begun.cloned().collect::<Vec<_>>() {
            let reason = RouteReason::Silenced {
                silence: silence.id,
                why: silence.why.clone(),
            };
            let (spared, muting) = (&effects.spared, silence.muting());
            let mutes = |waiting: &Waiting| {
                !spared.contains(&waiting.planned.sink) && muting(&waiting.alert, &waiting.planned.sink)
            };
            let held = self.state.holds.alerts();
            let held: Vec<(String, AlertId)> = held.map(|(sink, id)| (sink.to_owned(), id)).collect();
            for alert in self.drop_waiting(mutes, &reason.to_string()) {
                let (silence, alert) = (silence.id, &alert);
                self.step(RoutingEvent::HeldBack { silence, alert });
            }
            for (sink, id) in held {
                let alert = self.alert(id).clone();
                if !spared.contains(&sink) && muting(&alert, &sink) {
                    let still = self
                        .state
                        .holds
                        .alerts()
                        .any(|known| known == (sink.as_str(), id));
                    let gone = LetGo { sink, alert: id };
                    self.say_let_go(&[gone], &reason.to_string());
                    let (silence, alert) = (silence.id, &alert);
                    if still {
                        self.step(RoutingEvent::HeldBack { silence, alert });
                    }
                }
            }
        }
    }

    fn acknowledge(&mut self, what: &InHand) {
        let last = |camera: &str| {
            let mut seen = self.seen.iter().rev();
            let alert = seen.find(|alert| brief(alert) == camera);
            alert.unwrap_or_else(|| panic!("no alert of {camera}")).id
        };
        let (mut to_do, mut done) = (Vec::new(), BTreeSet::new());
        let through = AlertId(self.last_id);
        match what {
            InHand::Listed(camera, _) | InHand::Dismissed(camera) => to_do.push(last(camera)),
            InHand::Cleared => drop(self.take_in_hand(AlertAct::Clear { through }, Actor::Operator)),
        }
        while let Some(id) = to_do.pop() {
            if !done.insert(id) {
                continue;
            }
            let digest = self.alert(id).digest.clone();
            to_do.extend(digest.into_iter().flat_map(|digest| digest.ids));
            let with = match what {
                InHand::Listed(_, Some(sink)) => {
                    self.take_in_hand(AlertAct::Acknowledge(id), Actor::Sink(sink.clone()))
                }
                InHand::Listed(_, None) => self.take_in_hand(AlertAct::Acknowledge(id), Actor::Operator),
                InHand::Dismissed(_) | InHand::Cleared => {
                    self.take_in_hand(AlertAct::Dismiss(id), Actor::Operator)
                }
            };
            to_do.extend(with);
        }
    }

    /// Does what follows from an acknowledgement. Returns what is acknowledged with it.
    fn take_in_hand(&mut self, act: AlertAct, by: Actor) -> BTreeSet<AlertId> {
        let effects = self.step(RoutingEvent::Command(&AlertCommand { act, by }));
        let with = effects.acknowledged_with;
        let Some(cancellation) = effects.cancellation else {
            return with;
        };
        self.say_let_go(&effects.let_go, &cancellation.reason.to_string());
        let is_cancelled = |waiting: &Waiting| {
            let concerns = match cancellation.alerts {
                CancelledAlerts::One(alert) => waiting.alert.id == alert,
                CancelledAlerts::Through(alert) => waiting.alert.id <= alert,
            };
            let except = cancellation.except.as_ref() == Some(&waiting.planned.sink);
            concerns && !except && waiting.planned.cancel_on_acknowledge
        };
        self.drop_waiting(is_cancelled, &cancellation.reason.to_string());
        with
    }

    fn fault(&mut self, part: String, why: Option<String>) {
        let is_sink = self.settings.sink.iter().any(|sink| sink.name == part);
        if part == MAIN && self.runs {
            self.set_link(why.is_none());
        }
        let Some(why) = why else {
            self.faults.remove(&part);
            return;
        };
        let name = part.clone();
        let blocker = match is_sink {
            true => Blocker::Sink { name, why },
            false => Blocker::Connection { name, why },
        };
        self.faults.insert(part, blocker);
    }
}

/// Sinks with the same reason, in their order.
fn grouped<'a>(reasons: impl Iterator<Item = (&'a str, &'a RouteReason)>) -> Vec<(String, String)> {
    let mut groups: Vec<(String, String)> = Vec::new();
    for (sink, reason) in reasons {
        let reason = reason.to_string();
        match groups.iter_mut().find(|(_, known)| *known == reason) {
            Some((sinks, _)) => *sinks += &format!(", {sink}"),
            None => groups.push((sink.to_owned(), reason)),
        }
    }
    groups
}
