//! Rules in any weather: a site on which people arm, disarm and silence while its cameras see something and the hub is killed, as
//! a seed says, in the language of the tables. Whatever happens, some sentences must hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;
use watchpost_core::{
    Alert, AlertId, AlertKind, AreaState, ArmingCommand, DeliveryState, RouteReason, UnixMillis,
};
use watchpost_scenarios::Table;

use super::played::{Pace, Played};
use super::stage;
use crate::play::in_virtual_time;
use crate::story::Story;
use crate::wanted_seeds;

/// Seeds that are played.
const SEEDS: std::ops::Range<u64> = 0..24;

/// Acts of a seed, in half an hour. Half an hour later all must have come to its end.
const ACTS: u64 = 60;
const ACTS_WITHIN_S: u64 = 1_800;

/// A shop. An alarm takes three minutes, which is shorter than an act after the last may be.
const SITE: &str = r#"# In any weather

## A shop

```toml
[[camera]]
name = "Gate"
match = { stream = "gate" }

[[camera]]
name = "Back door"
match = { stream = "back-door" }

[[camera]]
name = "Till"
match = { stream = "till" }

[[camera]]
name = "Street"
match = { stream = "street" }

[[area]]
name = "Yard"
camera = ["Gate", "Back door"]
delayed = "Gate"

[[area]]
name = "Shop"
camera = "Till"
modes = "away"
exit_delay = "0s"

[[sink]]
name = "siren"
plugin = "gpio"
[sink.config]
chip = "/dev/gpiochip0"
line = 1

[[sink]]
name = "mail"
plugin = "email"

[[sink]]
name = "sms"
plugin = "exec"
rate_limit = "3 per 5m"

[[route]]
name = "all"
match = { kind = ["anomaly", "hub"] }
sinks = "mail"
cooldown = "2m"

[[route]]
name = "street"
match = { camera = "Street" }
sinks = "sms"

[[route]]
name = "noise"
match = { area = "*" }
sinks = "siren"

[[sink]]
name = "phone"
plugin = "webhook"

[[policy]]
name = "people"
wait = "90s"
step = [{ sinks = "phone" }, { after = "1m", sinks = ["phone", "mail"], repeat = "30s", max = 2 }]

[[route]]
name = "people"
policy = "people"
group_by = ["area", "camera"]
```

```text
"#;

/// So many messages `sms` may get, in such a time.
const SMS_COUNT: usize = 3;
const SMS_PER: Duration = Duration::from_secs(300);

/// The alarm of an area takes so long.
const TRIGGER_TIME: Duration = Duration::from_secs(180);

/// What makes noise has fallen silent so long after it was disarmed.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// What happens on it, as a table.
fn table(seed: u64) -> Table {
    let mut dice = Rng::with_seed(seed);
    let mut seconds: Vec<u64> = (0..ACTS).map(|_| dice.u64(..ACTS_WITHIN_S)).collect();
    seconds.sort_unstable();
    let (mut text, mut runs) = (SITE.to_owned(), true);
    for second in seconds {
        let act = match (runs, dice.u8(..27)) {
            (true, 0..=11) => ["Gate", "Back door", "Till", "Street", "Street", "Street"][dice.usize(..6)],
            (true, 12..=15) => [
                "arm away, force",
                "arm night, force",
                "arm away, area Yard, force",
            ][dice.usize(..3)],
            (true, 16..=18) => ["disarm", "disarm, area Yard"][dice.usize(..2)],
            (true, 19) => "silence camera=*t*, for 5m",
            (true, 20) => "silence area=Shop, for 10m, sink=siren",
            (true, 21) => "clear",
            (true, 22..=25) => "power off",
            (true, _) => "forget",
            (false, 0..=11) => "power on",
            (false, _) => continue,
        };
        runs = match act {
            "power off" => false,
            "power on" => true,
            _ => runs,
        };
        let (minute, second) = (second / 60, second % 60);
        let _ = writeln!(text, "Fri 12:{minute:02}:{second:02}  {act}");
    }
    if !runs {
        text += "Fri 12:30     power on\n";
    }
    text += "Fri 13:00     nothing\n```\n";
    Table::of(text)
}

/// The sentences that do not hold.
fn broken(played: &Played) -> Vec<String> {
    let mut broken = Vec::new();
    nothing_is_sent_before_it_is_stored(played, &mut broken);
    no_noise_while_disarmed(played, &mut broken);
    no_alarm_without_its_message(played, &mut broken);
    nothing_is_held_for_ever(played, &mut broken);
    what_is_held_is_summed_up_once(played, &mut broken);
    no_more_messages_than_there_may_be(played, &mut broken);
    all_comes_to_an_end(played, &mut broken);
    each_escalation_ends_once_and_says_so(played, &mut broken);
    broken
}

fn nothing_is_sent_before_it_is_stored(played: &Played, broken: &mut Vec<String>) {
    for (at, sink, id) in &played.effects {
        if !played.alerts.contains_key(id) {
            broken.push(format!("{sink} got {id} at {at}, which is not stored"));
        }
    }
}

/// The area of what a camera has seen.
fn area(alert: &Alert) -> Option<&str> {
    let camera = alert.camera.as_ref().filter(|_| alert.kind == AlertKind::Anomaly);
    camera?.area.as_deref()
}

fn is_about(areas: &[String], area: &str) -> bool {
    areas.is_empty() || areas.iter().any(|name| name == area)
}

/// Whether the area is disarmed at that time for certain: a person has, and was answered, and no one has wanted it to be armed since.
fn is_disarmed(played: &Played, area: &str, at: UnixMillis) -> bool {
    let mut disarmed = false;
    for command in &played.commands {
        match &command.what {
            ArmingCommand::Disarm { areas, .. } if is_about(areas, area) => {
                disarmed |= command.done && command.until + STOPS_WITHIN < at;
            }
            // Also one that changes the mode: it may disarm another area, but arms this one perhaps.
            ArmingCommand::Arm { .. } if command.from <= at => disarmed = false,
            _ => {}
        }
    }
    disarmed
}

fn no_noise_while_disarmed(played: &Played, broken: &mut Vec<String>) {
    for (at, sink, id) in &played.effects {
        let Some((alert, _)) = played.alerts.get(id).filter(|_| sink == "siren") else {
            continue;
        };
        if area(alert).is_some_and(|area| is_disarmed(played, area, *at)) {
            broken.push(format!(
                "the siren sounds for {id} at {at} while its area is disarmed"
            ));
        }
    }
}

fn no_alarm_without_its_message(played: &Played, broken: &mut Vec<String>) {
    let got = |id| {
        let mut effects = played.effects.iter();
        effects.any(|(_, sink, alert)| sink == "mail" && alert == id)
    };
    let alarms = |area: &str, after: UnixMillis| {
        let title = format!("Alarm in {area}: ");
        let mut events = played.alerts.iter();
        events
            .any(|(id, (alert, _))| alert.title.starts_with(&title) && alert.received_at >= after && got(id))
    };
    for (at, sink, id) in &played.effects {
        let Some((alert, _)) = played.alerts.get(id).filter(|_| sink == "siren") else {
            continue;
        };
        if area(alert).is_some_and(|area| !alarms(area, *at - TRIGGER_TIME - STOPS_WITHIN)) {
            broken.push(format!(
                "the siren sounds for {id} at {at}, and no one gets a message of that"
            ));
        }
    }
}

fn nothing_is_held_for_ever(played: &Played, broken: &mut Vec<String>) {
    for (id, (alert, explanation)) in &played.alerts {
        for sink in &explanation.sinks {
            let state = sink.delivery.as_ref().map(|delivery| delivery.state);
            if state == Some(DeliveryState::Pending) {
                broken.push(format!(
                    "{id}, {}, still waits for {}: {}",
                    alert.title, sink.sink, sink.why
                ));
            }
        }
    }
}

fn what_is_held_is_summed_up_once(played: &Played, broken: &mut Vec<String>) {
    let digests = played.alerts.iter();
    let digests: Vec<_> = digests
        .filter_map(|(id, (alert, _))| Some((id, alert.digest.as_ref()?)))
        .collect();
    for (id, (alert, explanation)) in &played.alerts {
        let held = explanation.sinks.iter();
        let held = held.filter_map(|sink| Some((&sink.sink, sink.hold.as_ref()?)));
        for (sink, hold) in held.filter(|(_, hold)| hold.let_go.is_none()) {
            let naming = digests.iter();
            let naming = naming.filter(|(_, digest)| digest.sink == *sink && digest.ids.contains(id));
            let naming: Vec<_> = naming.map(|(digest, _)| **digest).collect();
            let mut effects = played.effects.iter();
            let delivered = effects.any(|(_, at, digest)| at == sink && Some(*digest) == hold.digest);
            if naming.as_slice() != hold.digest.as_slice() || !delivered {
                broken.push(format!(
                    "{id}, {}, was held for {sink}, and is in {naming:?}: {hold:?}",
                    alert.title
                ));
            }
        }
    }
}

/// How the escalation of an alert has ended, in the words of the hub.
fn ends(played: &Played, alert: AlertId) -> Vec<&str> {
    let events = played.alerts.values().map(|(event, _)| event);
    let ended = events.filter(|event| {
        let note = event.escalation.as_ref();
        note.is_some_and(|note| note.alert == alert && note.step.is_none())
    });
    ended.map(|event| event.details.status.as_str()).collect()
}

fn each_escalation_ends_once_and_says_so(played: &Played, broken: &mut Vec<String>) {
    for (id, (alert, explanation)) in &played.alerts {
        let reasons = explanation.sinks.iter().map(|sink| &sink.reason);
        let mut reasons = reasons.filter(|reason| matches!(reason, Some(RouteReason::Escalated { .. })));
        let ends = ends(played, *id);
        if ends.len() != usize::from(reasons.next().is_some()) {
            broken.push(format!(
                "{id}, {}, is escalated, and ends with {ends:?}",
                alert.title
            ));
        }
        let steps = played
            .alerts
            .values()
            .filter_map(|(message, _)| message.escalation.as_ref());
        let steps = steps
            .filter(|note| note.alert == *id)
            .filter_map(|note| note.step.as_ref());
        let mut steps: Vec<_> = steps
            .map(|step| (step.round, step.number, step.sending))
            .collect();
        let sent = steps.len();
        steps.dedup();
        if steps.len() != sent || !steps.is_sorted() {
            broken.push(format!("{id}, {}, has the messages {steps:?}", alert.title));
        }
    }
}

/// By the times at which that was decided: what waits while the hub is away comes when it is back.
fn no_more_messages_than_there_may_be(played: &Played, broken: &mut Vec<String>) {
    let alerts = played.alerts.values();
    let sent = alerts.filter(|(_, explanation)| {
        let mut sinks = explanation.sinks.iter();
        sinks.any(|sink| {
            let state = sink.delivery.as_ref().map(|delivery| delivery.state);
            sink.sink == "sms" && state == Some(DeliveryState::Delivered)
        })
    });
    let mut sent: Vec<UnixMillis> = sent.map(|(alert, _)| alert.received_at).collect();
    sent.sort_unstable();
    for some in sent.windows(SMS_COUNT + 1) {
        let within = some[0].until(some[SMS_COUNT]);
        if within + STOPS_WITHIN < SMS_PER {
            broken.push(format!(
                "sms got {} messages within {within:?}: {some:?}",
                some.len()
            ));
        }
    }
}

fn all_comes_to_an_end(played: &Played, broken: &mut Vec<String>) {
    for report in &played.areas {
        let (name, state) = (&report.name, &report.area.state);
        if !matches!(state, AreaState::Armed { .. } | AreaState::Disarmed) {
            broken.push(format!("half an hour after all {name} is still {state:?}"));
        }
        let end = UnixMillis(i64::MAX);
        if is_disarmed(played, name, end) && *state != AreaState::Disarmed {
            broken.push(format!("{name} was disarmed, and the status says {state:?}"));
        }
    }
}

/// Plays what a seed says. Returns its story too, if that is wanted.
fn play(seed: u64, wanted: bool) -> (Played, Vec<String>) {
    let table = table(seed);
    let scenarios = table.scenarios();
    let ((played, story), panics) = in_virtual_time(wanted, async |story: Story| {
        let played = stage::play(&scenarios[0], story.clone(), Pace::Hurried { seed }).await;
        (played, story.lines())
    });
    assert_eq!(panics, 0, "the hub has panicked in seed {seed}");
    (played, story)
}

#[test]
fn rules_keep_their_word_however_often_the_hub_is_killed() {
    let mut failures = Vec::new();
    let (mut noises, mut alarms, mut digests, mut steps) = (0, 0, 0, 0);
    let mut ended = BTreeSet::new();
    for seed in wanted_seeds("WATCHPOST_RULES_SEEDS", SEEDS) {
        let (played, _) = play(seed, false);
        let effects = played.effects.iter();
        noises += effects.filter(|(_, sink, _)| sink == "siren").count();
        let titles = played.alerts.values().map(|(alert, _)| &alert.title);
        alarms += titles.filter(|title| title.starts_with("Alarm in")).count();
        let kinds = played.alerts.values().map(|(alert, _)| alert.kind);
        digests += kinds.clone().filter(|kind| *kind == AlertKind::Digest).count();
        steps += kinds.filter(|kind| *kind == AlertKind::Escalation).count();
        let ids = played.alerts.keys();
        ended.extend(ids.flat_map(|id| ends(&played, *id)).map(str::to_owned));
        let broken = broken(&played);
        if !broken.is_empty() {
            let (_, story) = play(seed, true);
            let (broken, story) = (broken.join("\n  "), story.join("\n"));
            failures.push(format!("seed {seed}:\n  {broken}\nits story:\n{story}"));
        }
    }
    println!("{noises} times a siren sounded, {alarms} alarms, {digests} digests, {steps} steps");
    assert!(
        noises > 0 && alarms > 0 && digests > 0 && steps > 0,
        "nothing was tried"
    );
    // Acknowledged, disarmed, exhausted.
    assert_eq!(ended.len(), 3, "{ended:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
