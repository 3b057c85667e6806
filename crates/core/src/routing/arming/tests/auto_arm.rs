//! Areas that the clock arms: what is carried out, what is said of it, and what a person has to say in between.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::*;
use crate::{Actor, Calendar, Schedule};

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

/// Seconds since 1970 when the clocks of Berlin show this.
fn local(shown: &str) -> i64 {
    let shown: DateTime = shown.parse().unwrap();
    berlin().to_timestamp(shown).unwrap().as_second()
}

/// Armed in this mode in these windows of the week, ten minutes after it was said.
fn auto(name: &str, windows: &[&str], mode: Mode) -> AutoArm {
    let windows = windows.iter().map(|window| window.parse().unwrap()).collect();
    let calendar = Arc::new(Calendar::new(berlin(), Vec::new()));
    AutoArm {
        schedule: Arc::new(Schedule::new(name, windows, calendar)),
        mode,
        warn: Duration::from_secs(600),
        disarms: true,
        force: false,
    }
}

/// Armed at night, from Monday to Friday.
fn nightly() -> AutoArm {
    auto("night", &["mon-fri 22:00-06:00"], Mode::Away)
}

/// A site with a yard that these arm, which exists since Friday at noon.
fn site_of(auto_arm: Vec<AutoArm>) -> Site {
    let mut site = Site::new(vec![AreaPolicy { auto_arm, ..yard() }]);
    site.now = local("2026-11-27 12:00");
    site.step(RoutingEvent::Due);
    site
}

fn site() -> Site {
    site_of(vec![nightly()])
}

impl Site {
    /// Lets time pass until the clocks of Berlin show this. Returns what was said and when, and where the yard stands then.
    fn until(&mut self, shown: &str) -> String {
        let (end, mut said) = (local(shown), String::new());
        while let Some(due) = self.router.next_due(&self.state) {
            // A look that changes nothing would go on for ever.
            if due > at(end) {
                break;
            }
            self.now = self
                .now
                .max(due.0.div_euclid(1_000) + i64::from(due.0 % 1_000 > 0));
            let before = self.state.clone();
            let effects = self.step(RoutingEvent::Due);
            assert!(
                effects.state.is_some(),
                "due at {due} again and again: {before:?}"
            );
            for event in effects.events {
                let HubEvent::Area(event) = event else { continue };
                said += &format!("{} {}\n", self.clock(), event.describe().2);
            }
        }
        self.now = end;
        said + &format!("{} {}\n", self.clock(), show_short(self.area("Yard")))
    }

    fn clock(&self) -> String {
        let shown = berlin().to_datetime(jiff::Timestamp::from_second(self.now).unwrap());
        shown.strftime("%a %H:%M").to_string()
    }

    fn postpone(&mut self, minutes: u64) -> Result<Effects, String> {
        self.command(&ArmingCommand::Postpone {
            areas: Vec::new(),
            lasts: Duration::from_secs(minutes * 60),
            by: Actor::Operator,
        })
    }
}

/// Where an area stands, without times.
fn show_short(area: &Area) -> String {
    let shown = show(area);
    match shown.split_once(" until") {
        Some((state, _)) => state.to_owned(),
        None => shown,
    }
}

#[test]
fn an_area_is_armed_and_disarmed_at_the_edges_of_its_schedule_and_that_is_said_before() {
    expect![[r#"
        Fri 21:50 Yard will be armed in 10 min, mode away, by schedule night
        Fri 22:01 Yard is armed, mode away, by schedule night
        Sat 06:00 Yard is disarmed by schedule night
        Mon 21:50 Yard will be armed in 10 min, mode away, by schedule night
        Mon 22:00 arming away
    "#]]
    .assert_eq(&site().until("2026-11-30 22:00"));
}

#[test]
fn what_a_person_wants_holds_until_the_next_edge() {
    let mut site = site();
    site.until("2026-11-27 23:00");
    site.disarm();
    expect![[r#"
        Fri 23:00 Yard is disarmed by the operator
        Mon 21:50 Yard will be armed in 10 min, mode away, by schedule night
        Mon 21:55 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-30 21:55"));
    // Who arms before the schedule does hears no more of that, and who disarms in time is warned.
    site.arm(Mode::Away).unwrap();
    expect![[r#"
        Mon 21:56 Yard is armed, mode away, by the operator
        Tue 06:00 Yard is disarmed by schedule night
        Tue 12:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-12-01 12:00"));
    site.arm(Mode::Night).unwrap();
    expect![[r#"
        Tue 12:01 Yard is armed, mode night, by the operator
        Tue 21:50 Yard will be armed in 10 min, mode away, by schedule night
        Tue 22:01 Yard is armed, mode away, by schedule night
        Tue 23:00 armed away
    "#]]
    .assert_eq(&site.until("2026-12-01 23:00"));
}

#[test]
fn who_was_warned_postpones_it_also_while_people_are_leaving_and_more_than_once() {
    let mut site = site();
    site.until("2026-11-27 21:51");
    site.postpone(30).unwrap();
    expect![[r#"
        Fri 21:51 Yard will be armed later, in 39 min, mode away
        Fri 22:20 Yard will be armed in 10 min, mode away, by schedule night
        Fri 22:30 arming away
    "#]]
    .assert_eq(&site.until("2026-11-27 22:30"));
    site.postpone(15).unwrap();
    expect![[r#"
        Fri 22:30 Yard will be armed later, in 15 min, mode away
        Fri 22:35 Yard will be armed in 10 min, mode away, by schedule night
        Fri 22:46 Yard is armed, mode away, by schedule night
        Fri 23:00 armed away
    "#]]
    .assert_eq(&site.until("2026-11-27 23:00"));
    let refused = site.command(&ArmingCommand::Postpone {
        areas: vec!["Yard".into()],
        lasts: Duration::from_secs(1_800),
        by: Actor::Operator,
    });
    expect!["no schedule is about to arm area Yard. `watchpost disarm` disarms what is armed, until its schedules want something else."]
        .assert_eq(&refused.unwrap_err());
}

#[test]
fn what_is_postponed_beyond_the_end_of_the_schedule_is_not_done() {
    let mut site = site();
    site.until("2026-11-27 21:51");
    site.postpone(12 * 60).unwrap();
    assert_eq!(
        site.postpone(12 * 60 + 1).unwrap_err(),
        "arming is postponed by 1 minute to 12 hours"
    );
    expect![[r#"
        Fri 21:51 Yard will be armed later, in 12 h, mode away
        Sat 12:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 12:00"));
}

#[test]
fn an_edge_that_was_missed_is_carried_out_once_and_only_what_holds_now() {
    // The hub does not run from 21:00 on.
    for (start, expected) in [
        (
            "2026-11-27 23:00",
            expect![[r#"
                Fri 23:00 Yard will be armed in 60 s, mode away, by schedule night
                Fri 23:01 Yard is armed, mode away, by schedule night
                Fri 23:30 armed away
            "#]],
        ),
        (
            "2026-11-28 07:00",
            expect![[r#"
            Sat 12:30 disarmed
        "#]],
        ),
        (
            "2026-12-01 02:00",
            expect![[r#"
            Tue 02:00 Yard will be armed in 60 s, mode away, by schedule night
            Tue 02:01 Yard is armed, mode away, by schedule night
            Tue 06:00 Yard is disarmed by schedule night
            Tue 12:30 disarmed
        "#]],
        ),
    ] {
        let mut site = site();
        site.until("2026-11-27 21:00");
        site.now = local(start);
        expected.assert_eq(
            &site.until(
                &format!("{} {}", &start[..10], "12:30").replace("2026-11-27 12:30", "2026-11-27 23:30"),
            ),
        );
    }
    // A person has armed it before: the schedule has disarmed it since.
    let mut site = site();
    site.until("2026-11-27 20:00");
    site.arm(Mode::Night).unwrap();
    site.until("2026-11-27 21:00");
    site.now = local("2026-11-28 07:00");
    expect![[r#"
        Sat 07:00 Yard is disarmed by schedule night
        Sat 07:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 07:00"));
}

#[test]
fn a_schedule_disarms_neither_what_is_pending_nor_what_is_triggered() {
    let mut site = site();
    site.until("2026-11-28 05:59");
    site.now = local("2026-11-28 05:59:50");
    site.see("Gate");
    assert_eq!(show_short(site.area("Yard")), "pending away");
    expect![[r#"
        Sat 06:00 Yard is not disarmed by schedule night, because of an alarm
        Sat 06:00 pending away
    "#]]
    .assert_eq(&site.until("2026-11-28 06:00"));
    expect![[r#"
        Sat 06:00 Alarm in Yard: Gate
        Sat 06:03 The time of the alarm in Yard is over
        Sat 06:10 armed away
    "#]]
    .assert_eq(&site.until("2026-11-28 06:10"));
    site.disarm();
    expect![[r#"
        Sat 06:10 Yard is disarmed by the operator
        Sat 06:11 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 06:11"));
}

#[test]
fn an_alarm_goes_on_when_the_schedule_wants_another_mode() {
    let auto_arms = vec![
        auto("night", &["daily 22:00-06:00"], Mode::Night),
        auto("closed", &["daily 18:00-08:00"], Mode::Away),
    ];
    let mut site = site_of(auto_arms);
    expect![[r#"
        Fri 17:50 Yard will be armed in 10 min, mode away, by schedule closed
        Fri 18:01 Yard is armed, mode away, by schedule closed
        Fri 21:50 Yard will be armed in 10 min, mode night, by schedule night
        Fri 21:59 armed away
    "#]]
    .assert_eq(&site.until("2026-11-27 21:59"));
    site.now = local("2026-11-27 21:59:59");
    site.see("Back door");
    expect![[r#"
        Fri 21:59 Alarm in Yard: Back door
        Fri 22:02 The time of the alarm in Yard is over
        Sat 05:50 Yard will be armed in 10 min, mode away, by schedule closed
        Sat 06:01 Yard is armed, mode away, by schedule closed
        Sat 08:00 Yard is disarmed by schedule closed
        Sat 09:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 09:00"));
}

#[test]
fn what_is_not_ready_is_said_once_and_armed_as_soon_as_it_is() {
    let mut site = site();
    site.until("2026-11-27 21:59");
    site.faults.push(Blocker::Connection {
        name: "shop".into(),
        why: "connection refused".into(),
    });
    expect![[r#"
        Fri 22:00 Yard could not be armed, mode away, by schedule night
        Fri 23:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-27 23:00"));
    let fault = site.faults.pop();
    expect![[r#"
        Fri 23:05 arming away
    "#]]
    .assert_eq(&site.until("2026-11-27 23:05"));
    // It fails once more when people have had the time to leave, which is the same failure.
    site.faults.extend(fault);
    expect![[r#"
        Fri 23:30 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-27 23:30"));
    site.faults.clear();
    expect![[r#"
        Fri 23:32 Yard is armed, mode away, by schedule night
        Sat 06:00 Yard is disarmed by schedule night
        Sat 06:30 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 06:30"));
    // By force it is armed without that.
    let mut forced = site_of(vec![AutoArm {
        force: true,
        ..nightly()
    }]);
    forced.faults.push(Blocker::Connection {
        name: "shop".into(),
        why: "connection refused".into(),
    });
    expect![[r#"
        Fri 21:50 Yard will be armed in 10 min, mode away, by schedule night
        Fri 22:01 Yard is armed by force, mode away, by schedule night
        Fri 23:00 armed away
    "#]]
    .assert_eq(&forced.until("2026-11-27 23:00"));
}

#[test]
fn one_that_only_arms_leaves_it_to_persons_to_disarm() {
    let mut site = site_of(vec![AutoArm {
        disarms: false,
        warn: Duration::ZERO,
        ..nightly()
    }]);
    expect![[r#"
        Fri 22:00 Yard will be armed in 60 s, mode away, by schedule night
        Fri 22:01 Yard is armed, mode away, by schedule night
        Mon 23:00 armed away
    "#]]
    .assert_eq(&site.until("2026-11-30 23:00"));
}

#[test]
fn edges_are_times_that_clocks_show_when_they_are_changed() {
    // Clocks go back from 03:00 to 02:00 on 2026-10-25, and forward from 02:00 to 03:00 on 2027-03-28.
    for (windows, from, until, expected) in [
        (
            "sat 22:00-02:30",
            "2026-10-24 12:00",
            "2026-10-25 12:00",
            expect![[r#"
            Sat 21:50 Yard will be armed in 10 min, mode away, by schedule night
            Sat 22:01 Yard is armed, mode away, by schedule night
            Sun 02:30 Yard is disarmed by schedule night
            Sun 12:00 disarmed
        "#]],
        ),
        (
            "sun 02:30-06:00",
            "2026-10-24 12:00",
            "2026-10-25 12:00",
            expect![[r#"
            Sun 02:20 Yard will be armed in 10 min, mode away, by schedule night
            Sun 02:31 Yard is armed, mode away, by schedule night
            Sun 06:00 Yard is disarmed by schedule night
            Sun 12:00 disarmed
        "#]],
        ),
        (
            "sat 22:00-02:30",
            "2027-03-27 12:00",
            "2027-03-28 12:00",
            expect![[r#"
            Sat 21:50 Yard will be armed in 10 min, mode away, by schedule night
            Sat 22:01 Yard is armed, mode away, by schedule night
            Sun 03:00 Yard is disarmed by schedule night
            Sun 12:00 disarmed
        "#]],
        ),
        (
            "sun 02:30-06:00",
            "2027-03-27 12:00",
            "2027-03-28 12:00",
            expect![[r#"
            Sun 01:50 Yard will be armed in 10 min, mode away, by schedule night
            Sun 03:01 Yard is armed, mode away, by schedule night
            Sun 06:00 Yard is disarmed by schedule night
            Sun 12:00 disarmed
        "#]],
        ),
    ] {
        let mut site = site_of(vec![auto("night", &[windows], Mode::Away)]);
        site.now = local(from);
        site.step(RoutingEvent::Due);
        expected.assert_eq(&site.until(until));
    }
}

#[test]
fn a_clock_that_was_days_ahead_has_schedules_followed_as_soon_as_it_is_right() {
    let mut site = site();
    site.now = local("2026-12-04 12:00");
    site.step(RoutingEvent::Due);
    set_clock(&mut site, "2026-11-30 12:00");
    expect![[r#"
        Mon 21:50 Yard will be armed in 10 min, mode away, by schedule night
        Mon 22:01 Yard is armed, mode away, by schedule night
        Mon 23:00 armed away
    "#]]
    .assert_eq(&site.until("2026-11-30 23:00"));
}

/// The clock is set to what Berlin's clocks show then.
fn set_clock(site: &mut Site, shown: &str) {
    let by = local(shown) - site.now;
    site.now = local(shown);
    site.step(set_to(site.now, by));
}

#[test]
fn a_clock_that_is_set_forward_over_an_edge_has_it_carried_out_and_one_that_is_set_back_not_twice() {
    let mut site = site();
    site.until("2026-11-27 21:00");
    set_clock(&mut site, "2026-11-27 22:30");
    expect![[r#"
        Fri 22:30 Yard will be armed in 60 s, mode away, by schedule night
        Fri 22:31 Yard is armed, mode away, by schedule night
        Fri 22:40 armed away
    "#]]
    .assert_eq(&site.until("2026-11-27 22:40"));
    set_clock(&mut site, "2026-11-27 21:30");
    expect![[r#"
        Sat 06:00 Yard is disarmed by schedule night
        Sat 07:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 07:00"));
    // What a person wanted since the edge holds over a clock that is set forward, but not over another edge.
    site.until("2026-11-30 23:00");
    site.disarm();
    set_clock(&mut site, "2026-12-01 05:00");
    expect![[r#"
        Tue 05:00 Yard is disarmed by the operator
        Tue 07:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-12-01 07:00"));
}

#[test]
fn a_clock_that_is_not_set_yet_arms_and_disarms_nothing() {
    let mut site = site();
    site.until("2026-11-27 23:00");
    site.disarm();
    site.until("2026-11-27 23:05");
    // The machine has no clock of its own: it starts in 1970, and the network tells it the time.
    site.now = 30;
    assert_eq!(site.step(RoutingEvent::Due).events, []);
    set_clock(&mut site, "2026-11-27 23:10");
    expect![[r#"
        Sat 07:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 07:00"));
    // A clock that was years ahead does not keep schedules from being followed.
    site.now = local("2040-01-01 00:00");
    site.until("2040-01-01 12:00");
    site.now = local("2026-11-30 12:00");
    site.step(RoutingEvent::Due);
    expect![[r#"
        Mon 21:50 Yard will be armed in 10 min, mode away, by schedule night
        Mon 22:01 Yard is armed, mode away, by schedule night
        Mon 23:00 armed away
    "#]]
    .assert_eq(&site.until("2026-11-30 23:00"));
}

#[test]
fn what_was_lost_is_what_its_schedules_say() {
    for (found, expected) in [
        (
            "2026-11-27 23:00",
            expect![[r#"
        Fri 23:00 Yard is armed, mode away, as its schedules say: what it was is lost
        Fri 23:01 armed away
    "#]],
        ),
        (
            "2026-11-27 12:00",
            expect![[r#"
        Fri 12:00 Yard is disarmed, as its schedules say: what it was is lost
        Fri 12:01 disarmed
    "#]],
        ),
    ] {
        let mut site = Site::new(vec![AreaPolicy {
            auto_arm: vec![nightly()],
            ..yard()
        }]);
        site.state.set_lost();
        site.now = local(found);
        site.step(RoutingEvent::Due);
        expected.assert_eq(&site.until(&found.replace(":00", ":01")));
        assert!(!site.area("Yard").messages_only);
    }
    let mut unset = Site::new(vec![AreaPolicy {
        auto_arm: vec![nightly()],
        ..yard()
    }]);
    unset.state.set_lost();
    unset.now = 60;
    unset.step(RoutingEvent::Due);
    assert!(unset.area("Yard").messages_only, "no one knows what time it is");
}

#[test]
fn a_schedule_that_is_new_begins_with_its_next_edge_and_one_that_is_gone_is_forgotten() {
    let mut site = Site::new(vec![AreaPolicy {
        auto_arm: vec![nightly()],
        ..yard()
    }]);
    site.now = local("2026-11-27 23:00");
    site.step(RoutingEvent::Due);
    expect![[r#"
        Sat 12:00 disarmed
    "#]]
    .assert_eq(&site.until("2026-11-28 12:00"));
    site.router = site.router.with_areas(vec![yard()]);
    site.step(RoutingEvent::Due);
    assert_eq!(site.area("Yard").followed, None);
    assert_eq!(site.router.next_due(&site.state), None);
}

/// Something that happens to the yard.
#[derive(Clone, Copy, Debug)]
enum Act {
    Arm,
    Disarm,
    /// The hub does not run for so many minutes.
    Away(i64),
    Pass(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Arm),
        Just(Act::Disarm),
        (1..3_000_i64).prop_map(Act::Away),
        (1..600_i64).prop_map(Act::Pass),
    ];
    proptest::collection::vec(act, 0..40)
}

proptest! {
    /// Whatever happens, the area is what the last of these wanted: the last edge, or the last person after it.
    #[test]
    fn the_last_edge_or_person_counts(acts in acts()) {
        let mut site = site_of(vec![AutoArm { warn: Duration::ZERO, ..auto("night", &["daily 22:00-06:00"], Mode::Away) }]);
        site.router = site.router.with_areas(vec![AreaPolicy {
            auto_arm: vec![auto("night", &["daily 22:00-06:00"], Mode::Away)],
            exit_delay: Duration::ZERO,
            ..yard()
        }]);
        let schedule = auto("night", &["daily 22:00-06:00"], Mode::Away).schedule;
        let (mut armed, mut since) = (false, site.now);
        for act in acts {
            // A reference that looks at every minute.
            let passes = match act { Act::Away(minutes) | Act::Pass(minutes) => minutes, _ => 0 };
            for minute in 1..=passes {
                let [before, after] = [minute - 1, minute].map(|minute| schedule.is_open(at(since + minute * 60)));
                if before != after {
                    armed = after;
                }
            }
            since += passes * 60;
            match act {
                Act::Arm => { armed = true; site.arm(Mode::Away).unwrap(); }
                Act::Disarm => { armed = false; site.disarm(); }
                Act::Away(_) => { site.now = since; site.events(); }
                Act::Pass(_) => { site.pass(since - site.now); }
            }
            prop_assert_eq!(site.area("Yard").protects().is_some(), armed, "{} {:?}", site.clock(), act);
        }
    }
}
