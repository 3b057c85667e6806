//! Children that behave, those that do not, and those that do now and then.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::clock;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// What children do is simulated in steps as long as the kernel's own account of a process.
const STEP: Duration = Duration::from_millis(10);

/// A child, with the watch over it. It is looked at when that is due, as its driver does it.
struct Child {
    watch: ShareWatch,
    conduct: Conduct,
    start: Instant,
    now: Instant,
    seen: Seen,
    /// When it was busy for nothing with an equal share, since the first one's start, and for how long it was in starts.
    harm: Vec<Duration>,
    harm_of_starts: Duration,
    /// When it was reported.
    reports: Vec<Duration>,
}

impl Child {
    /// The first of its sink. Unless it `starts`, its start has taken no time.
    fn new() -> Self {
        let (now, conduct) = (clock::now(), Conduct::default());
        Self {
            watch: conduct.watch(now),
            conduct,
            start: now,
            now,
            seen: Seen {
                starting: false,
                ..Seen::NOTHING
            },
            harm: Vec::new(),
            harm_of_starts: Duration::ZERO,
            reports: Vec::new(),
        }
    }

    /// For this time it spends so much of each step, and answers so many calls in it.
    fn does(&mut self, time: Duration, does: impl Fn(Share) -> (Duration, u64)) -> &mut Self {
        let end = self.now + time;
        while self.now < end {
            let share = self.watch.share(self.seen.starting);
            let (spends, answers) = does(share);
            if share == Share::Equal && spends > COST_OF_CALL.saturating_mul(answers as u32) {
                if self.seen.starting {
                    self.harm_of_starts += STEP;
                } else {
                    self.harm.push(self.now - self.start);
                }
            }
            self.now += STEP;
            self.seen.used += spends;
            self.seen.answered += answers;
            // It has a call all the while.
            if self
                .watch
                .next(true, self.seen.answered)
                .is_some_and(|at| self.now >= at)
                && self.watch.look(self.now, self.seen)
            {
                self.reports.push(self.now - self.start);
            }
        }
        self
    }

    /// It spins, with more threads than there are processors if it can.
    fn spins(&mut self, time: Duration) -> &mut Self {
        self.does(time, |_| (2 * STEP, 0))
    }

    /// It spins, on a machine where others leave nothing.
    fn spins_in_vain(&mut self, time: Duration) -> &mut Self {
        self.does(time, |share| match share {
            Share::Equal => (STEP, 0),
            Share::Rest => (Duration::ZERO, 0),
        })
    }

    fn rests(&mut self, time: Duration) -> &mut Self {
        self.does(time, |_| (Duration::ZERO, 0))
    }

    /// It starts, which takes it this time.
    fn starts(&mut self, cost: Duration) -> &mut Self {
        self.seen.starting = true;
        self.does(cost, |_| (STEP, 0));
        self.seen.starting = false;
        self
    }

    /// Another takes its place, which starts then.
    fn is_replaced(&mut self, badly: bool) -> &mut Self {
        let next = Conduct::default().watch(self.now);
        self.conduct
            .keep(std::mem::replace(&mut self.watch, next), badly, self.now);
        self.watch = self.conduct.watch(self.now);
        self.seen = Seen::NOTHING;
        self
    }

    fn share(&self) -> Share {
        self.watch.share(self.seen.starting)
    }

    /// How long it did harm within this time.
    fn harm_within(&self, time: Range<Duration>) -> Duration {
        let steps = self.harm.iter().filter(|at| time.contains(at)).count();
        STEP * u32::try_from(steps).unwrap()
    }

    /// The most that it did within any 20 seconds from then on.
    fn worst_harm(&self, from: Duration) -> Duration {
        let begins = self.harm.iter().filter(|at| **at >= from);
        let within = begins.map(|at| self.harm_within(*at..*at + 20 * SECOND));
        within.max().unwrap_or_default()
    }
}

#[test]
fn what_computes_for_nothing_gets_the_rest_and_what_works_an_equal_share() {
    // What it spends of each second, and how many calls it answers in it.
    let cases = [
        (1_000 * MS, 0, Share::Rest),
        (2_000 * MS, 0, Share::Rest),
        (2_000 * MS, 100, Share::Rest),
        (300 * MS, 0, Share::Rest),
        (240 * MS, 0, Share::Equal),
        (Duration::ZERO, 0, Share::Equal),
        // An archive in a flood, and pictures that are scaled down for a few mails.
        (900 * MS, 2_000, Share::Equal),
        (240 * MS, 20, Share::Equal),
        (500 * MS, 20, Share::Rest),
    ];
    for (spends, calls, expected) in cases {
        let now = clock::now();
        let mut watch = Conduct::default().watch(now);
        let looks = 20;
        for look in 0..=looks {
            let seen = Seen {
                starting: false,
                used: spends / looks * look,
                answered: calls * u64::from(look) / u64::from(looks),
            };
            watch.look(now + LOOK * look, seen);
        }
        assert_eq!(watch.share(false), expected, "{spends:?} for {calls} calls");
    }
}

#[test]
fn a_loop_is_slowed_down_in_a_tenth_of_a_second_for_as_long_as_it_runs() {
    let mut child = Child::new();
    child.rests(SECOND).spins(600 * SECOND);
    assert_eq!(child.harm_within(Duration::ZERO..601 * SECOND), CREDIT);
    assert_eq!(child.reports, [SECOND + CREDIT + SLOW_LOOK], "once");
    child.rests(9 * SECOND);
    assert_eq!(child.share(), Share::Rest);
    child.rests(2 * SECOND);
    assert_eq!(child.share(), Share::Equal);
}

#[test]
fn one_that_is_calm_because_it_gets_nothing_is_let_go_ever_more_seldom() {
    let mut child = Child::new();
    child.rests(SECOND).spins_in_vain(700 * SECOND);
    let begins: Vec<u64> = child
        .harm
        .iter()
        .filter(|at| !child.harm.contains(&(**at - STEP)))
        .map(Duration::as_secs)
        .collect();
    assert_eq!(begins, [1, 11, 31, 71, 151, 311, 631]);
    assert!(
        child.worst_harm(Duration::ZERO) <= 2 * CREDIT,
        "one part of a hundred"
    );
    assert_eq!(child.worst_harm(2 * SECOND), CREDIT);
    let reports: Vec<u64> = child.reports.iter().map(Duration::as_secs).collect();
    assert_eq!(reports, begins[1..], "whenever it begins again");
    // It has learned.
    child.rests(1_300 * SECOND).spins(SECOND).rests(11 * SECOND);
    assert_eq!(child.share(), Share::Equal);
}

#[test]
fn a_dear_call_now_and_then_is_not_slowed_down_and_a_flood_of_them_not_for_long() {
    let mut child = Child::new();
    child.rests(SECOND);
    for _ in 0..20 {
        child.does(80 * MS, |_| (STEP, 0)).rests(8 * SECOND);
        assert_eq!(child.share(), Share::Equal);
    }
    child.does(300 * MS, |_| (STEP, 0)).rests(11 * SECOND);
    assert_eq!(child.share(), Share::Equal);
    assert_eq!(child.reports, [], "it is not worth a word");
}

#[test]
fn a_start_is_no_offence_and_no_way_out() {
    let mut child = Child::new();
    child.starts(400 * MS).rests(LOOK);
    assert_eq!(child.share(), Share::Equal);
    // What it has not taken for its start is not for later.
    let started = 400 * MS + LOOK;
    child.spins(2 * SECOND);
    assert_eq!(child.harm_within(started..3 * SECOND), CREDIT);
    assert_eq!(child.reports.len(), 1);

    for badly in [false, true] {
        child.is_replaced(badly);
        assert_eq!(child.share(), Share::Equal, "it starts");
        child.starts(START);
        assert_eq!(child.share(), Share::Rest, "it has started");
        let started = child.now - child.start;
        child.spins(2 * SECOND);
        assert_eq!(child.harm_within(started..20 * SECOND), Duration::ZERO);
    }
    assert_eq!(child.reports.len(), 1, "once");
    child.is_replaced(false).starts(80 * MS).rests(11 * SECOND);
    assert_eq!(child.share(), Share::Equal);
}

#[test]
fn a_start_that_takes_long_goes_on_with_what_others_leave() {
    let mut child = Child::new();
    child.starts(20 * SECOND);
    assert_eq!(child.harm_of_starts, START);
    child.rests(11 * SECOND).is_replaced(false).starts(20 * SECOND);
    assert_eq!(child.harm_of_starts, 2 * START);
    assert_eq!(child.reports, []);
}

#[test]
fn one_that_takes_the_place_of_one_that_ended_badly_is_slowed_down_at_first() {
    let mut child = Child::new();
    child
        .starts(50 * MS)
        .rests(SECOND)
        .is_replaced(false)
        .starts(50 * MS);
    assert_eq!(child.share(), Share::Equal);
    child
        .rests(SECOND)
        .is_replaced(true)
        .starts(50 * MS)
        .rests(9 * SECOND);
    assert_eq!(child.share(), Share::Rest);
    child.rests(2 * SECOND);
    assert_eq!((child.share(), child.reports.len()), (Share::Equal, 0));
    // One that dies again and again does so with what others leave, but for its starts.
    for _ in 0..20 {
        child.is_replaced(true).starts(50 * MS).spins(SECOND);
    }
    assert_eq!(child.worst_harm(12 * SECOND), Duration::ZERO);
}

#[test]
fn a_child_that_rests_is_no_reason_to_wake_up() {
    let now = clock::now();
    let mut watch = Conduct::default().watch(now);
    let started = Seen {
        starting: false,
        ..Seen::NOTHING
    };
    watch.look(now, started);
    let seen = |used, answered| Seen {
        starting: false,
        used,
        answered,
    };
    assert_eq!(watch.next(false, 0), None);
    assert_eq!(watch.next(true, 0), Some(now + LOOK));
    assert_eq!(
        watch.next(false, 1),
        Some(now + LOOK),
        "it may do more than it says"
    );
    assert!(!watch.is_due(now + LOOK / 2) && watch.is_due(now + LOOK));
    watch.look(now + LOOK, seen(Duration::ZERO, 1));
    assert_eq!(watch.next(false, 1), None);
    watch.look(now + LOOK * 2, seen(LOOK, 1));
    assert_eq!(watch.next(false, 1), Some(now + LOOK * 3));
    watch.look(now + LOOK * 3, seen(LOOK * 3, 1));
    assert_eq!(watch.share(false), Share::Rest);
    assert_eq!(watch.next(false, 1), Some(now + LOOK * 3 + SLOW_LOOK));
    watch.look(now + LOOK * 3 + FIRST_CALM, seen(LOOK * 3, 1));
    assert_eq!((watch.share(false), watch.next(false, 1)), (Share::Equal, None));
}

proptest! {
    #[test]
    fn none_harms_others_for_long_and_none_that_behaves_is_slowed_down_for_long(
        turns in proptest::collection::vec((0..6_u8, 1..60_u32), 1..30)
    ) {
        let mut child = Child::new();
        child.rests(SECOND).spins(SECOND);
        for (turn, halves) in turns {
            let time = SECOND / 2 * halves;
            match turn {
                0 => child.spins(time),
                1 | 2 => child.spins_in_vain(time),
                3 => child.does(time, |_| (STEP, 10)),
                4 => child.is_replaced(halves > 30).starts(50 * MS),
                _ => child.rests(time),
            };
        }
        let worst = child.worst_harm(2 * SECOND);
        prop_assert!(worst <= 4 * CREDIT, "{worst:?} of 20 seconds");
        child.does(LONGEST_CALM + 2 * SECOND, |_| (STEP, 10));
        prop_assert_eq!(child.share(), Share::Equal);
    }
}
