//! The state machine of an area as a table, its sentences one by one, and all of it against a small model.

mod auto_arm;
mod test_mode;

use std::collections::BTreeSet;

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::alert::sample;
use crate::{
    Alert, AlertKind, Camera, ClockStep, Effects, HubEvent, RouteReason, Router, RoutingEvent, RoutingState,
    SilenceCommand, SilenceMatch, Target, UnixMillis,
};

/// Exit 60 s, entry 30 s, alarm 180 s. The gate and the drive are on the way.
fn yard() -> AreaPolicy {
    AreaPolicy {
        name: "Yard".into(),
        modes: vec![Mode::Away, Mode::Night],
        delayed: vec!["Gate".into(), "Drive*".into()],
        exit_delay: Duration::from_secs(60),
        entry_delay: Duration::from_secs(30),
        trigger_time: Duration::from_secs(180),
        connections: vec!["shop".into()],
        after_loss: AfterLoss::MessagesOnly,
        auto_arm: Vec::new(),
        abort_window: None,
        swinger: None,
    }
}

/// Immediate in all that it does.
fn till() -> AreaPolicy {
    AreaPolicy {
        name: "Till".into(),
        modes: vec![Mode::Away],
        delayed: Vec::new(),
        exit_delay: Duration::ZERO,
        ..yard()
    }
}

fn at(seconds: i64) -> UnixMillis {
    UnixMillis(seconds * 1_000)
}

/// A site with a siren, a mail and an archive, and what it remembers.
struct Site {
    router: Router,
    state: RoutingState,
    now: i64,
    faults: Vec<Blocker>,
}

impl Site {
    fn new(areas: Vec<AreaPolicy>) -> Self {
        let target = |name: &str, only_armed, keeps_record| Target {
            name: name.into(),
            events: name == "archive",
            only_armed,
            keeps_record,
            ..Target::default()
        };
        let targets = vec![
            target("siren", true, false),
            target("mail", false, false),
            target("archive", false, true),
        ];
        Self {
            router: Router::new(targets, Vec::new()).with_areas(areas),
            state: RoutingState::default(),
            now: 0,
            faults: Vec::new(),
        }
    }

    /// One whose yard is armed, mode away, since 0.
    fn armed() -> Self {
        let mut site = Self::new(vec![yard(), till()]);
        site.arm(Mode::Away).unwrap();
        site.pass(60);
        site.events();
        site
    }

    fn step(&mut self, event: RoutingEvent<'_>) -> Effects {
        let effects = self
            .router
            .step_amid(at(self.now), &self.faults, &self.state, event);
        if let Some(state) = &effects.state {
            // As it is stored.
            let json = serde_json::to_string(state).unwrap();
            self.state = serde_json::from_str(&json).unwrap();
            assert_eq!(self.state, *state);
        }
        effects
    }

    fn command(&mut self, command: &ArmingCommand) -> Result<Effects, String> {
        let effects = self.step(RoutingEvent::Arming(command));
        match effects.refused {
            Some(refused) => Err(refused.to_string()),
            None => Ok(effects),
        }
    }

    fn arm(&mut self, mode: Mode) -> Result<Effects, String> {
        self.command(&arm(mode, &[], false))
    }

    fn disarm(&mut self) -> Effects {
        self.command(&disarm(&[])).unwrap()
    }

    /// Lets so many seconds pass, and does what is due meanwhile. Returns what was said, by its word.
    fn pass(&mut self, seconds: i64) -> Vec<&'static str> {
        let end = self.now + seconds;
        let mut said = Vec::new();
        while let Some(due) = self.router.next_due(&self.state).filter(|due| *due <= at(end)) {
            self.now = self.now.max(due.0 / 1_000);
            said.extend(self.events());
        }
        self.now = end;
        said
    }

    /// Does what is due now, once or until nothing is.
    fn events(&mut self) -> Vec<&'static str> {
        let mut said = Vec::new();
        while self
            .router
            .next_due(&self.state)
            .is_some_and(|due| due <= at(self.now))
        {
            for event in self.step(RoutingEvent::Due).events {
                let HubEvent::Area(event) = event else { continue };
                said.push(event.describe().0);
            }
        }
        said
    }

    /// The alert of a camera now: where it goes.
    fn see(&mut self, camera: &str) -> Vec<String> {
        let alert = alert(self.now, camera);
        self.send(&alert)
    }

    fn send(&mut self, alert: &Alert) -> Vec<String> {
        let effects = self.step(RoutingEvent::Alert(alert));
        let due = |due: Option<UnixMillis>| due.map_or(String::new(), |due| format!("@{}", due.0 / 1_000));
        let planned = effects.deliveries.iter();
        planned
            .map(|planned| format!("{}{}", planned.sink, due(planned.due_at)))
            .collect()
    }

    fn why_no_siren(&mut self, alert: &Alert) -> Option<RouteReason> {
        let effects = self.step(RoutingEvent::Alert(alert));
        let mut suppressed = effects.suppressions.into_iter();
        let siren = suppressed.find(|suppression| suppression.sink.as_deref() == Some("siren"))?;
        Some(siren.reason)
    }

    fn area(&self, name: &str) -> &Area {
        self.state.areas.get(name).unwrap()
    }

    /// Where the yard stands, in short.
    fn yard(&self) -> String {
        show(self.area("Yard"))
    }
}

fn show(area: &Area) -> String {
    let mode = |mode: Option<Mode>| mode.map_or("disarmed".into(), |mode| mode.to_string());
    match &area.state {
        AreaState::Disarmed => "disarmed".into(),
        AreaState::Arming {
            mode: to,
            until,
            from,
            ..
        } => format!("arming {to} until {} from {}", until.0 / 1_000, mode(*from)),
        AreaState::Armed { mode } => format!("armed {mode}"),
        AreaState::Pending { mode, until, .. } => format!("pending {mode} until {}", until.0 / 1_000),
        AreaState::Triggered {
            mode: then,
            until,
            causes,
            ..
        } => format!(
            "triggered until {} by {} then {}",
            until.0 / 1_000,
            causes.len(),
            mode(*then)
        ),
    }
}

fn alert(seconds: i64, camera: &str) -> Alert {
    let area = if camera.starts_with("Till") {
        "Till"
    } else {
        "Yard"
    };
    Alert {
        camera: Some(Camera {
            name: Some(camera.into()),
            area: (camera != "Street").then(|| area.into()),
            ..Camera::unnamed("a")
        }),
        ..sample(u64::try_from(seconds).unwrap() * 1_000_000)
    }
}

fn arm(mode: Mode, areas: &[&str], force: bool) -> ArmingCommand {
    ArmingCommand::Arm {
        mode,
        areas: areas.iter().map(|&area| area.into()).collect(),
        force,
        by: Actor::Operator,
    }
}

fn disarm(areas: &[&str]) -> ArmingCommand {
    ArmingCommand::Disarm {
        areas: areas.iter().map(|&area| area.into()).collect(),
        by: Actor::Operator,
    }
}

/// What is done to the yard.
#[derive(Clone, Copy, Debug)]
enum Do {
    Arm(Mode),
    Disarm,
    /// What a camera on the way sees.
    Delayed,
    Immediate,
    Pass(i64),
}

#[test]
fn every_transition_of_an_area() {
    use Do::*;
    use Mode::{Away, Night};
    let cases: &[(&[Do], &str, &[&str])] = &[
        (&[], "disarmed", &[]),
        (&[Disarm], "disarmed", &[]),
        (&[Delayed, Immediate], "disarmed", &[]),
        (&[Arm(Away)], "arming away until 60 from disarmed", &[]),
        (&[Arm(Away), Disarm], "disarmed", &["disarmed"]),
        // To arm once more begins the time again, once.
        (
            &[Arm(Away), Pass(20), Arm(Away), Pass(20), Arm(Away)],
            "arming away until 80 from disarmed",
            &[],
        ),
        (
            &[Arm(Away), Pass(20), Arm(Night)],
            "arming night until 80 from disarmed",
            &[],
        ),
        // What is seen while people leave is recorded and no alarm.
        (
            &[Arm(Away), Delayed, Immediate],
            "arming away until 60 from disarmed",
            &[],
        ),
        (&[Arm(Away), Pass(59)], "arming away until 60 from disarmed", &[]),
        (&[Arm(Away), Pass(60)], "armed away", &["armed"]),
        // Who is still there at the end of the delay keeps it from being armed, and on the way he does not.
        (
            &[Arm(Away), Pass(57), Immediate, Pass(3)],
            "disarmed",
            &["failed_to_arm"],
        ),
        (&[Arm(Away), Pass(57), Delayed, Pass(3)], "armed away", &["armed"]),
        (&[Arm(Away), Pass(60), Arm(Away)], "armed away", &["armed"]),
        (&[Arm(Away), Pass(60), Disarm], "disarmed", &["armed", "disarmed"]),
        (
            &[Arm(Away), Pass(60), Delayed],
            "pending away until 90",
            &["armed"],
        ),
        // A later one never gives more time.
        (
            &[Arm(Away), Pass(60), Delayed, Pass(10), Delayed],
            "pending away until 90",
            &["armed"],
        ),
        (
            &[Arm(Away), Pass(60), Delayed, Pass(29), Disarm],
            "disarmed",
            &["armed", "alarm_cancelled"],
        ),
        (
            &[Arm(Away), Pass(60), Delayed, Pass(30)],
            "triggered until 270 by 1 then away",
            &["armed", "alarm"],
        ),
        (
            &[Arm(Away), Pass(60), Delayed, Pass(5), Immediate],
            "triggered until 245 by 2 then away",
            &["armed", "alarm"],
        ),
        (
            &[Arm(Away), Pass(60), Immediate],
            "triggered until 240 by 1 then away",
            &["armed", "alarm"],
        ),
        // The time of an alarm is as it was.
        (
            &[Arm(Away), Pass(60), Immediate, Pass(100), Immediate, Delayed],
            "triggered until 240 by 3 then away",
            &["armed", "alarm"],
        ),
        (
            &[Arm(Away), Pass(60), Immediate, Pass(180)],
            "armed away",
            &["armed", "alarm", "alarm_over"],
        ),
        (
            &[Arm(Away), Pass(60), Immediate, Pass(180), Delayed],
            "pending away until 270",
            &["armed", "alarm", "alarm_over"],
        ),
        (
            &[Arm(Away), Pass(60), Immediate, Disarm],
            "disarmed",
            &["armed", "alarm", "alarm_cancelled"],
        ),
        // Another mode while the old one protects.
        (
            &[Arm(Away), Pass(60), Arm(Night)],
            "arming night until 120 from away",
            &["armed"],
        ),
        (
            &[Arm(Away), Pass(60), Arm(Night), Delayed],
            "arming night until 120 from away",
            &["armed"],
        ),
        (
            &[Arm(Away), Pass(60), Arm(Night), Immediate],
            "triggered until 240 by 1 then night",
            &["armed", "alarm"],
        ),
        (
            &[Arm(Away), Pass(60), Arm(Night), Pass(60)],
            "armed night",
            &["armed", "armed"],
        ),
        (
            &[Arm(Away), Pass(60), Arm(Night), Disarm],
            "disarmed",
            &["armed", "disarmed"],
        ),
        // To arm does not end an alarm.
        (
            &[Arm(Away), Pass(60), Delayed, Arm(Night)],
            "pending night until 90",
            &["armed"],
        ),
        (
            &[Arm(Away), Pass(60), Immediate, Arm(Night), Pass(180)],
            "armed night",
            &["armed", "alarm", "alarm_over"],
        ),
    ];
    for (acts, expected, said) in cases {
        let mut site = Site::new(vec![yard()]);
        site.pass(0);
        site.step(RoutingEvent::Due);
        let mut heard = Vec::new();
        for act in *acts {
            match act {
                Arm(mode) => drop(site.arm(*mode).unwrap()),
                Disarm => drop(site.disarm()),
                Delayed => drop(site.see("Gate")),
                Immediate => drop(site.see("Back door")),
                Pass(seconds) => heard.extend(site.pass(*seconds)),
            }
            heard.extend(site.events());
        }
        assert_eq!(site.yard(), *expected, "{acts:?}");
        assert_eq!(heard, *said, "{acts:?}");
    }
}

#[test]
fn a_siren_sounds_only_for_what_is_armed_and_waits_for_the_entry_delay() {
    let mut site = Site::new(vec![yard(), till()]);
    assert_eq!(site.see("Back door"), ["mail", "archive"]);
    assert_eq!(site.see("Street"), ["siren", "mail", "archive"], "of no area");
    let notice = Alert {
        kind: AlertKind::Notice,
        ..alert(0, "Back door")
    };
    assert_eq!(
        site.send(&notice),
        ["siren", "mail", "archive"],
        "what is no detection"
    );
    site.arm(Mode::Night).unwrap();
    assert_eq!(site.see("Back door"), ["mail", "archive"], "while people leave");
    site.pass(60);
    assert_eq!(site.see("Till 1"), ["mail", "archive"], "not armed in this mode");
    assert_eq!(site.see("Gate"), ["siren@90", "mail", "archive"]);
    site.now += 10;
    assert_eq!(
        site.see("Drive in"),
        ["siren@90", "mail", "archive"],
        "the first one began it"
    );
    assert_eq!(site.see("Back door"), ["siren", "mail", "archive"]);
    let json = serde_json::to_string(&site.state.areas).unwrap();
    assert!(json.contains(r#""state":"triggered""#), "{json}");
}

#[test]
fn each_no_has_its_reason() {
    let mut site = Site::armed();
    let area = || "Yard".to_owned();
    assert_eq!(site.why_no_siren(&alert(60, "Street")), None);
    // It happened before it was armed.
    let early = Alert {
        occurred_at: Some(at(59)),
        ..alert(61, "Back door")
    };
    site.now = 61;
    assert_eq!(
        site.why_no_siren(&early),
        Some(RouteReason::NotArmed { area: area() })
    );
    assert_eq!(site.yard(), "armed away", "and raises no alarm");
    // Late is a message and no siren, and raises no alarm.
    let late = Alert {
        late: true,
        ..alert(61, "Back door")
    };
    assert_eq!(site.why_no_siren(&late), Some(RouteReason::TooLate));
    assert_eq!(site.yard(), "armed away");
    site.disarm();
    // It happened while it was armed, and comes when it is not any more.
    let passed = Alert {
        occurred_at: Some(at(60)),
        ..alert(62, "Back door")
    };
    site.now = 62;
    assert_eq!(
        site.why_no_siren(&passed),
        Some(RouteReason::NotArmed { area: area() })
    );
    site.arm(Mode::Away).unwrap();
    assert_eq!(
        site.why_no_siren(&alert(62, "Gate")),
        Some(RouteReason::ExitDelay { area: area() })
    );
    site.now = 65;
    let why = site.why_no_siren(&alert(65, "Gate")).unwrap().to_string();
    expect!["it sounds only while area Yard is armed, and people were leaving it (`exit_delay`)"]
        .assert_eq(&why);
}

#[test]
fn what_is_armed_is_judged_when_it_happened() {
    let mut site = Site::armed();
    site.now = 100;
    site.disarm();
    site.now = 200;
    let protection = |site: &Site, happened: i64, camera: &str| {
        let alert = Alert {
            occurred_at: Some(at(happened)),
            ..alert(200, camera)
        };
        site.state.areas.protection(&[yard(), till()], &alert)
    };
    for (happened, expected) in [
        (59, Protection::Disarmed),
        (60, Protection::Armed(Mode::Away)),
        (99, Protection::Armed(Mode::Away)),
        (100, Protection::Disarmed),
    ] {
        assert_eq!(protection(&site, happened, "Back door"), expected, "{happened}");
    }
    assert_eq!(protection(&site, 80, "Street"), Protection::Always);
    let words = [
        ArmedWord::Home,
        ArmedWord::Away,
        ArmedWord::Night,
        ArmedWord::Disarmed,
    ];
    for (protection, expected) in [
        (Protection::Always, [true, true, true, false]),
        (Protection::Armed(Mode::Away), [false, true, false, false]),
        (Protection::Disarmed, [false, false, false, true]),
    ] {
        assert_eq!(words.map(|word| word.holds(protection)), expected);
    }
}

#[test]
fn what_keeps_it_from_being_ready_is_named_and_bypassed_by_force_until_it_is_disarmed() {
    let mut site = Site::new(vec![yard(), till()]);
    let lost = |name: &str| Blocker::Connection {
        name: name.into(),
        why: "connection refused".into(),
    };
    // What is elsewhere, and a sink that is no siren, keep nothing from being ready.
    site.faults = vec![
        lost("barn"),
        Blocker::Sink {
            name: "mail".into(),
            why: "it is down".into(),
        },
    ];
    site.arm(Mode::Away).unwrap();
    site.disarm();
    site.events();
    site.faults.push(lost("shop"));
    site.faults.push(Blocker::Sink {
        name: "siren".into(),
        why: "its plugin cannot be run".into(),
    });
    expect!["not ready to arm: connection shop gets no alerts (connection refused); sink siren would not sound (its plugin cannot be run). `--force` arms all the same and bypasses what is named here until disarmed."]
        .assert_eq(&site.arm(Mode::Away).unwrap_err());
    assert_eq!(site.yard(), "disarmed");
    assert_eq!(
        site.events(),
        ["failed_to_arm", "failed_to_arm"],
        "it is said, and not only to who asked"
    );
    site.command(&arm(Mode::Away, &["Yard"], true)).unwrap();
    assert_eq!(site.area("Yard").bypassed.len(), 2);
    assert_eq!(site.pass(60), ["armed"]);
    assert_eq!(site.yard(), "armed away");
    site.disarm();
    assert_eq!(site.area("Yard").bypassed, []);
    // What is bypassed is so by name: another one is in the way when the delay is over.
    site.faults.truncate(3);
    site.command(&arm(Mode::Away, &["Yard"], true)).unwrap();
    site.faults.push(Blocker::Sink {
        name: "siren".into(),
        why: "it is down".into(),
    });
    site.events();
    assert_eq!(site.pass(60), ["failed_to_arm"]);
    assert_eq!(site.yard(), "disarmed");
}

#[test]
fn a_camera_that_sees_people_keeps_an_area_without_exit_delay_from_being_armed_and_is_bypassed_by_force() {
    let mut site = Site::new(vec![yard(), till()]);
    site.now = 10;
    site.see("Till 1");
    site.now = 14;
    let refused = site.command(&arm(Mode::Away, &["Till"], false)).unwrap_err();
    assert!(
        refused.contains("camera Till 1 has just seen something"),
        "{refused}"
    );
    site.command(&arm(Mode::Away, &["Till"], true)).unwrap();
    assert_eq!(show(site.area("Till")), "armed away");
    let why = site.why_no_siren(&alert(15, "Till 1"));
    assert_eq!(why, Some(RouteReason::Bypassed { area: "Till".into() }));
    assert_eq!(site.see("Till 2"), ["siren", "mail", "archive"]);
    site.disarm();
    site.now = 30;
    site.command(&arm(Mode::Away, &["Till"], false)).unwrap();
    assert_eq!(site.see("Till 1"), ["siren", "mail", "archive"]);
}

#[test]
fn disarming_silences_what_makes_noise_and_tells_those_who_got_the_alarm() {
    let mut site = Site::armed();
    site.see("Gate");
    let effects = site.disarm();
    let hush = effects.hush.unwrap();
    assert_eq!(
        (hush.areas, hush.sinks),
        (
            vec!["Yard".to_owned(), "Till".to_owned()],
            vec!["siren".to_owned()]
        )
    );
    assert_eq!(hush.reason.to_string(), "its area was disarmed by the operator");
    let said = site.step(RoutingEvent::Due).events;
    let said: Vec<Alert> = said
        .into_iter()
        .map(|event| event.into_alert(crate::AlertId(1), at(70)))
        .collect();
    expect![[r#"
        The alarm in Yard is cancelled by the operator
        It is disarmed. It was about Gate. The alert is 60000000."#]]
    .assert_eq(&format!("{}\n{}", said[0].title, said[0].text));
    let note = said[0].area.clone().unwrap();
    assert_eq!(note.to, BTreeSet::from(["mail".to_owned(), "archive".to_owned()]));
    // The mail gets no events otherwise.
    assert_eq!(site.send(&said[0]), ["mail", "archive"]);
    assert_eq!(said[1].details.status, "disarmed");
    assert_eq!(site.send(&said[1]), ["archive"]);
}

#[test]
fn an_alarm_is_remembered_until_it_is_seen() {
    let mut site = Site::armed();
    site.see("Back door");
    site.now += 1;
    site.see("Gate");
    let noise = site.step(RoutingEvent::Due).hush;
    assert_eq!(noise, None);
    site.pass(178);
    let over = site
        .router
        .step_amid(at(240), &[], &site.state, RoutingEvent::Due);
    assert_eq!(over.hush.unwrap().areas, ["Yard"], "what sounds is silenced");
    site.pass(1);
    assert_eq!(site.yard(), "armed away");
    site.disarm();
    site.arm(Mode::Away).unwrap();
    let memory = |site: &Site| {
        site.area("Yard")
            .memory
            .iter()
            .map(|cause| cause.camera.clone())
            .collect()
    };
    let remembered: Vec<String> = memory(&site);
    assert_eq!(remembered, ["Back door", "Gate"]);
    let areas = vec!["Yard".to_owned()];
    site.command(&ArmingCommand::Seen { areas }).unwrap();
    let remembered: Vec<String> = memory(&site);
    assert_eq!(remembered, [] as [&str; 0]);
}

#[test]
fn what_is_silenced_or_goes_to_no_siren_raises_no_alarm() {
    let mut site = Site::armed();
    let matches = Box::new(SilenceMatch {
        camera: vec!["Back door".into()],
        ..SilenceMatch::default()
    });
    let silence = SilenceCommand::Begin {
        matches,
        lasts: Duration::from_secs(3_600),
        why: "painters".into(),
        by: Actor::Operator,
    };
    site.step(RoutingEvent::Silence(&silence));
    assert_eq!(site.see("Back door"), ["archive"]);
    assert_eq!(site.yard(), "armed away");
    assert_eq!(site.see("Window"), ["siren", "mail", "archive"]);
}

#[test]
fn modes_are_sets_of_areas_and_one_changes_into_another_without_disarming() {
    let mut site = Site::armed();
    assert_eq!(show(site.area("Till")), "armed away");
    site.arm(Mode::Night).unwrap();
    assert_eq!(site.yard(), "arming night until 120 from away");
    assert_eq!(
        show(site.area("Till")),
        "disarmed",
        "it is not armed in this mode"
    );
    for (command, refused) in [
        (
            arm(Mode::Home, &[], false),
            "no area is armed in mode home: name it in the `modes` of an [[area]]",
        ),
        (
            arm(Mode::Night, &["Till"], false),
            "area Till is not armed in mode night: its `modes` are away",
        ),
        (
            arm(Mode::Night, &["Tlil"], false),
            "there is no area `Tlil`; there are Yard, Till",
        ),
        (disarm(&["Barn"]), "there is no area `Barn`; there are Yard, Till"),
    ] {
        let before = site.state.clone();
        assert_eq!(site.command(&command).unwrap_err(), refused);
        assert_eq!(site.state, before);
    }
    let mut none = Site::new(Vec::new());
    assert_eq!(
        none.arm(Mode::Away).unwrap_err(),
        "there is no area: add an [[area]] to the configuration, with its `camera`s"
    );
}

#[test]
fn deadlines_outlive_the_hub_and_a_siren_comes_no_later_than_two_minutes_after_its_time() {
    let mut site = Site::armed();
    let effects = site.step(RoutingEvent::Alert(&alert(60, "Gate")));
    let siren = &effects.deliveries[0];
    assert_eq!(
        (siren.due_at, siren.expires_at),
        (Some(at(90)), Some(at(90) + SIREN_WINDOW))
    );
    assert_eq!(siren.reason, RouteReason::EntryDelay { area: "Yard".into() });
    // The hub was away for an hour: what there was to say is said.
    site.now = 3_660;
    assert_eq!(site.events(), ["alarm", "alarm_over"]);
    assert_eq!(site.yard(), "armed away");
}

/// The clock was set by so much, to this, in seconds.
fn set_to(now: i64, by: i64) -> RoutingEvent<'static> {
    RoutingEvent::ClockStepped(ClockStep {
        millis: by * 1_000,
        at: UnixMillis((now - by) * 1_000),
    })
}

#[test]
fn a_clock_that_is_set_changes_no_deadline_and_one_that_lost_its_time_begins_it_again() {
    let mut site = Site::armed();
    site.see("Gate");
    // Set an hour ahead.
    site.now = 3_670;
    site.step(set_to(3_670, 3_600));
    assert_eq!(site.yard(), "pending away until 3690");
    // The power was lost, and the clock is at 5 until it is set.
    site.now = 5;
    site.step(RoutingEvent::Due);
    assert_eq!(site.yard(), "pending away until 35");
    assert_eq!(
        site.see("Back door"),
        ["siren", "mail", "archive"],
        "it was armed all the time"
    );
    site.now = 100_006;
    site.step(set_to(100_006, 100_000));
    assert_eq!(site.yard(), "triggered until 100185 by 2 then away");
}

#[test]
fn what_is_not_configured_any_more_is_forgotten_and_what_is_not_known_is_left_alone() {
    let mut site = Site::armed();
    let unknown = Router::default();
    assert_eq!(unknown.next_due(&site.state), None);
    assert_eq!(unknown.step(at(99), &site.state, RoutingEvent::Due).state, None);
    site.router = Router::default().with_areas(vec![till()]);
    site.step(RoutingEvent::Due);
    assert!(site.state.areas.get("Yard").is_none());
    assert_eq!(show(site.area("Till")), "armed away");
}

#[test]
fn what_was_armed_and_is_lost_is_armed_for_messages_only_until_a_person_says_what_it_is() {
    let disarmed = AreaPolicy {
        after_loss: AfterLoss::Disarmed,
        ..till()
    };
    let mut site = Site::new(vec![yard(), disarmed]);
    site.state.set_lost();
    site.step(RoutingEvent::Due);
    assert_eq!(site.events(), ["arming_lost", "arming_lost"]);
    assert_eq!(
        (site.yard().as_str(), show(site.area("Till")).as_str()),
        ("armed away", "disarmed")
    );
    assert_eq!(site.see("Back door"), ["mail", "archive"]);
    assert_eq!(site.yard(), "armed away");
    let why = site.why_no_siren(&alert(0, "Back door")).unwrap();
    assert_eq!(why, RouteReason::MessagesOnly { area: "Yard".into() });
    // It is armed with the time to leave, and not for messages only any more when that is over.
    site.now = 100;
    site.arm(Mode::Away).unwrap();
    assert_eq!(site.yard(), "arming away until 160 from away");
    assert_eq!(site.see("Back door"), ["mail", "archive"]);
    site.faults = vec![Blocker::Connection {
        name: "shop".into(),
        why: "connection refused".into(),
    }];
    site.now = 160;
    assert_eq!(
        site.events(),
        ["armed", "failed_to_arm"],
        "the till, and the yard"
    );
    assert_eq!(site.see("Back door"), ["mail", "archive"], "it is what it was");
    site.faults.clear();
    site.now = 200;
    site.arm(Mode::Away).unwrap();
    site.now = 260;
    assert_eq!(site.events(), ["armed"]);
    assert_eq!(site.see("Back door"), ["siren", "mail", "archive"]);
}

#[test]
fn where_there_is_no_area_nothing_is_said_of_what_is_lost() {
    let mut site = Site::new(Vec::new());
    site.state.set_lost();
    site.step(RoutingEvent::Due);
    assert_eq!(site.events(), [] as [&str; 0]);
    assert_eq!(site.state, RoutingState::default());
}

#[test]
fn what_is_kept_beside_the_database_is_no_other_with_each_alert() {
    let mut site = Site::new(vec![yard(), till()]);
    site.step(RoutingEvent::Due);
    let outline = site.state.outline();
    site.now = 10;
    site.see("Back door");
    assert_eq!(site.state.outline(), outline, "it was only seen");
    let mut site = Site::armed();
    let mut changes = 0;
    let mut outline = site.state.outline();
    let mut look = |site: &Site| {
        changes += u32::from(std::mem::replace(&mut outline, site.state.outline()) != outline);
        changes
    };
    site.now = 100;
    site.see("Gate");
    assert_eq!(look(&site), 1, "pending");
    for second in 101..125 {
        site.now = second;
        site.see("Back door");
        site.events();
        assert_eq!(look(&site), 2, "triggered, whatever else is seen");
    }
    site.disarm();
    site.events();
    assert_eq!(look(&site), 3, "disarmed");
    let json = serde_json::to_string(&site.state.to_keep()).unwrap();
    let kept: RoutingState = serde_json::from_str(&json).unwrap();
    assert_eq!(kept.areas, site.state.areas);
    assert_eq!(kept.areas.get("Yard").unwrap().memory.len(), 20);
    let areas = Vec::new();
    site.command(&ArmingCommand::Seen { areas }).unwrap();
    assert_eq!(look(&site), 4, "a person has seen it");
}

/// The model: one area as a person would describe it, with the seconds at which something ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Model {
    Disarmed,
    Leaving { until: i64, again: bool },
    Armed,
    Entering { until: i64 },
    Alarm { until: i64 },
}

impl Model {
    /// Time has come to `now`. An immediate camera saw something last at `seen` while nothing was armed. A hub that looks late
    /// sees whether people are there when it looks.
    fn pass(self, now: i64, seen: i64, late: bool) -> Self {
        match self {
            Self::Leaving { until, .. } if until <= now => {
                let looks = if late { now } else { until };
                if looks - seen < 5 {
                    Self::Disarmed
                } else {
                    Self::Armed
                }
            }
            Self::Entering { until } if until <= now => {
                let until = until + 180;
                Self::Alarm { until }.pass(now, seen, late)
            }
            Self::Alarm { until } if until <= now => Self::Armed,
            other => other,
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<(i64, Do)>> {
    let act = prop_oneof![
        3 => Just(Do::Arm(Mode::Away)),
        2 => Just(Do::Disarm),
        3 => Just(Do::Delayed),
        2 => Just(Do::Immediate),
        2 => Just(Do::Pass(0)),
    ];
    prop::collection::vec((0..45_i64, act), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(15), ..ProptestConfig::default() })]

    /// No siren while disarmed or leaving, and what the area is at is what the model says, also when the hub looks late.
    #[test]
    fn an_area_does_what_a_small_model_does(acts in acts(), late in any::<bool>()) {
        let mut site = Site::new(vec![yard()]);
        site.step(RoutingEvent::Due);
        let (mut model, mut seen) = (Model::Disarmed, i64::MIN / 2);
        for (seconds, act) in acts {
            if late {
                site.now += seconds;
                site.events();
            } else {
                site.pass(seconds);
            }
            let now = site.now;
            let leaving = matches!(model, Model::Leaving { .. });
            model = model.pass(now, seen, late);
            if leaving && !matches!(model, Model::Leaving { .. }) {
                seen = i64::MIN / 2;
            }
            match act {
                Do::Arm(mode) => {
                    site.arm(mode).unwrap();
                    model = match model {
                        Model::Disarmed => Model::Leaving { until: now + 60, again: false },
                        Model::Leaving { again: false, .. } => Model::Leaving { until: now + 60, again: true },
                        other => other,
                    };
                }
                Do::Disarm => {
                    site.disarm();
                    model = Model::Disarmed;
                    seen = i64::MIN / 2;
                }
                Do::Pass(_) => {}
                Do::Delayed | Do::Immediate => {
                    let immediate = matches!(act, Do::Immediate);
                    let heard = site.see(if immediate { "Back door" } else { "Gate" });
                    let siren = heard.iter().find(|sink| sink.starts_with("siren"));
                    let expected = match model {
                        Model::Disarmed | Model::Leaving { .. } => {
                            if immediate && now > seen {
                                seen = now;
                            }
                            None
                        }
                        Model::Alarm { .. } => Some("siren".to_owned()),
                        Model::Armed | Model::Entering { .. } if immediate => {
                            model = Model::Alarm { until: now + 180 };
                            Some("siren".to_owned())
                        }
                        Model::Armed => {
                            model = Model::Entering { until: now + 30 };
                            Some(format!("siren@{}", now + 30))
                        }
                        Model::Entering { until } => Some(format!("siren@{until}")),
                    };
                    prop_assert_eq!(siren, expected.as_ref());
                }
            }
            site.events();
            let shown = site.yard();
            let expected = match model {
                Model::Disarmed => "disarmed".to_owned(),
                Model::Leaving { until, .. } => format!("arming away until {until} from disarmed"),
                Model::Armed => "armed away".to_owned(),
                Model::Entering { until } => format!("pending away until {until}"),
                Model::Alarm { until } => format!("triggered until {until} "),
            };
            prop_assert!(shown.starts_with(&expected), "{} is not {}", shown, expected);
        }
    }
}
