//! Codes that people give at a sink: how many were wrong in a row, and for how long the sink takes none because of that. It
//! knows neither codes nor persons.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{HubEvent, Severity, UnixMillis};

/// Wrong codes in a row after which a sink takes no code for [`CODE_LOCK`].
pub const MAX_WRONG_CODES: u8 = 5;

/// For how long it takes none.
pub const CODE_LOCK: Duration = Duration::from_secs(15 * 60);

/// One place at which codes are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeChannel {
    /// It takes codes, and so many were wrong since the last that was right.
    Open(u8),
    /// It takes none until then.
    Locked(UnixMillis),
}

/// Why a code does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefused {
    /// It is no one's.
    #[error("the code is wrong; {}", more_wrong(*left))]
    Wrong {
        /// How many more may be wrong before the sink takes none.
        left: u8,
    },
    /// Too many were wrong.
    #[error("codes are refused for {} more, as {MAX_WRONG_CODES} were wrong", minutes(*seconds))]
    Locked {
        /// For how many more seconds.
        seconds: u64,
    },
}

impl CodeChannel {
    /// What comes of a code that is given now: `right`, or no one's.
    ///
    /// # Errors
    /// When it does nothing.
    pub fn give(&mut self, now: UnixMillis, right: bool) -> Result<(), CodeRefused> {
        if let Some(locked) = self.locked(now) {
            return Err(locked);
        }
        let wrong = match *self {
            Self::Open(wrong) => wrong,
            Self::Locked(_) => 0,
        };
        if right {
            *self = Self::Open(0);
            return Ok(());
        }
        let wrong = wrong.saturating_add(1);
        let left = MAX_WRONG_CODES.saturating_sub(wrong);
        *self = match left {
            0 => Self::Locked(now + CODE_LOCK),
            _ => Self::Open(wrong),
        };
        Err(CodeRefused::Wrong { left })
    }

    /// Why it takes no code now, if it takes none. A clock that is further back than that lasts has lost what it was about.
    fn locked(self, now: UnixMillis) -> Option<CodeRefused> {
        let Self::Locked(until) = self else { return None };
        let rest = now.until(until);
        let seconds = rest.as_millis().div_ceil(1_000) as u64;
        (!rest.is_zero() && rest <= CODE_LOCK).then_some(CodeRefused::Locked { seconds })
    }
}

/// What is remembered of codes, by sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeChannels {
    /// Those at which a code was wrong.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sinks: BTreeMap<String, CodeChannel>,
    /// The sinks of which it is still to be said that they take none. It becomes alerts at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    news: Vec<String>,
}

impl CodeChannels {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.sinks.is_empty() && self.news.is_empty()
    }

    /// Why a sink takes no code now, if it takes none.
    pub fn locked(&self, now: UnixMillis, sink: &str) -> Option<CodeRefused> {
        self.sinks.get(sink)?.locked(now)
    }

    /// What comes of a code that is given at a sink now: see [`CodeChannel::give`].
    pub(super) fn give(&mut self, now: UnixMillis, sink: &str, right: bool) -> Result<(), CodeRefused> {
        let mut channel = self.sinks.remove(sink).unwrap_or(CodeChannel::Open(0));
        let given = channel.give(now, right);
        if channel != CodeChannel::Open(0) {
            self.sinks.insert(sink.to_owned(), channel);
        }
        if given == Err(CodeRefused::Wrong { left: 0 }) {
            self.news.push(sink.to_owned());
        }
        given
    }

    /// When there is something to say of it.
    pub(super) fn next_due(&self) -> Option<UnixMillis> {
        (!self.news.is_empty()).then_some(UnixMillis(0))
    }

    /// Takes what is to be said, and forgets what is over or of a sink that there is not.
    pub(super) fn look(&mut self, now: UnixMillis, is_there: impl Fn(&str) -> bool) -> Vec<HubEvent> {
        let lasts =
            |channel: CodeChannel| matches!(channel, CodeChannel::Open(_)) || channel.locked(now).is_some();
        self.sinks
            .retain(|sink, channel| is_there(sink) && lasts(*channel));
        let news = std::mem::take(&mut self.news).into_iter();
        news.map(|sink| HubEvent::CodesLocked { sink }).collect()
    }

    /// What is said of a sink that takes none: a word, how much it matters, a title and a text.
    pub(crate) fn describe_locked(sink: &str) -> (&'static str, Severity, String, String) {
        (
            "codes_locked",
            Severity::High,
            format!("{MAX_WRONG_CODES} wrong codes at sink {sink}"),
            format!(
                "It takes no code for {}. Who has forgotten a code, or who tries codes there?",
                minutes(CODE_LOCK.as_secs())
            ),
        )
    }

    /// The clock was set, and is at `now` since.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        for channel in self.sinks.values_mut() {
            let runs = channel.locked(before).is_some();
            if let (CodeChannel::Locked(until), true) = (channel, runs) {
                until.0 = until.0.saturating_add(millis);
            }
        }
    }
}

fn more_wrong(left: u8) -> String {
    match left {
        0 => format!("no code is taken for {}", minutes(CODE_LOCK.as_secs())),
        1 => "the next wrong one locks this sink".to_owned(),
        left => format!("{left} more may be"),
    }
}

/// A time in words, rounded up.
fn minutes(seconds: u64) -> String {
    match seconds.div_ceil(60) {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Actor, ArmingCommand, ArmingRefused, CommandRefused, Router, RoutingEvent, RoutingState, Target,
    };

    const MINUTE: i64 = 60_000;
    const LOCK: i64 = 15 * MINUTE;

    /// Codes at times in milliseconds, `+` right and `-` wrong: what comes of each.
    fn check(course: &[(i64, char)]) -> String {
        let mut channels = CodeChannels::default();
        let of = |channels: &mut CodeChannels, (at, code): (i64, char)| match channels.give(
            UnixMillis(at),
            "panel",
            code == '+',
        ) {
            Ok(()) => "ok".to_owned(),
            Err(CodeRefused::Wrong { left }) => left.to_string(),
            Err(CodeRefused::Locked { seconds }) => format!("{seconds}s"),
        };
        let came: Vec<String> = course.iter().map(|given| of(&mut channels, *given)).collect();
        came.join(" ")
    }

    #[test]
    fn the_fifth_wrong_code_in_a_row_locks_and_a_right_one_begins_again() {
        for (course, expected) in [
            (vec![(0, '-'), (0, '-'), (0, '+'), (0, '-')], "4 3 ok 4"),
            (vec![(0, '-'); 6], "4 3 2 1 0 900s"),
        ] {
            assert_eq!(check(&course), expected);
        }
        let wrong = |rest: &[(i64, char)]| [[(0, '-'); 5].as_slice(), rest].concat();
        // The right one does nothing either, up to the last moment.
        assert_eq!(
            check(&wrong(&[(1, '+'), (LOCK - 1, '+'), (LOCK, '-'), (LOCK, '+')])),
            "4 3 2 1 0 900s 1s 4 ok"
        );
        assert_eq!(check(&wrong(&[(-1, '+')])), "4 3 2 1 0 ok", "the clock was lost");
    }

    #[test]
    fn each_sink_has_its_own_and_is_named_once() {
        let (mut channels, now) = (CodeChannels::default(), UnixMillis(0));
        for _ in 0..5 {
            let _ = channels.give(now, "panel", false);
        }
        assert_eq!(channels.give(now, "keypad", true), Ok(()));
        assert_eq!(channels.next_due(), Some(UnixMillis(0)));
        let sink = "panel".to_owned();
        assert_eq!(channels.look(now, |_| true), [HubEvent::CodesLocked { sink }]);
        assert_eq!(
            (channels.next_due(), channels.look(now, |_| true)),
            (None, vec![])
        );
        assert!(channels.locked(now, "panel").is_some());
        channels.look(UnixMillis(LOCK), |_| true);
        assert!(channels.is_empty());
        let _ = channels.give(now, "panel", false);
        channels.look(now, |sink| sink != "panel");
        assert!(channels.is_empty(), "what is not configured is not remembered");
    }

    #[test]
    fn a_clock_that_is_set_moves_what_lasts() {
        for step in [3_600_000, -3_600_000] {
            let mut channels = CodeChannels::default();
            for _ in 0..5 {
                let _ = channels.give(UnixMillis(0), "panel", false);
            }
            let now = UnixMillis(MINUTE + step);
            channels.shift(now, step);
            assert_eq!(
                channels.locked(now, "panel"),
                Some(CodeRefused::Locked { seconds: 14 * 60 })
            );
        }
    }

    #[test]
    fn a_locked_sink_takes_no_code_and_a_key_all_the_same() {
        let router = Router::new(
            vec![Target {
                name: "panel".into(),
                ..Target::default()
            }],
            Vec::new(),
        )
        .with_areas(Vec::new());
        let (mut state, now) = (RoutingState::default(), UnixMillis(0));
        for _ in 0..5 {
            let effects = router.step(now, &state, RoutingEvent::WrongCode("panel"));
            assert!(matches!(effects.refused, Some(CommandRefused::Code(_))));
            state = effects.state.unwrap_or(state);
        }
        let effects = router.step(now, &state, RoutingEvent::Due);
        assert_eq!(effects.events.len(), 1, "it is said");
        state = effects.state.unwrap_or(state);
        let refused = |by, now| {
            let areas = Vec::new();
            let command = ArmingCommand::Disarm { areas, by };
            router.step(now, &state, RoutingEvent::Arming(&command)).refused
        };
        let person = || Actor::Person {
            name: "Anna".into(),
            sink: "panel".into(),
        };
        let there_are_none = Some(CommandRefused::Arming(ArmingRefused::NoAreas));
        assert!(matches!(refused(person(), now), Some(CommandRefused::Code(_))));
        assert_eq!(refused(Actor::Sink("panel".into()), now), there_are_none);
        assert_eq!(refused(person(), UnixMillis(LOCK)), there_are_none);
    }

    proptest! {
        /// Whatever is given: of six wrong codes without a right one between them the last comes 15 minutes after the first.
        #[test]
        fn no_more_than_five_are_tried_in_its_time(steps in proptest::collection::vec((0..LOCK / 3, any::<bool>()), 0..60)) {
            let (mut channels, mut now, mut wrong) = (CodeChannels::default(), 0, Vec::new());
            for (wait, right) in steps {
                now += wait;
                match channels.give(UnixMillis(now), "panel", right) {
                    Ok(()) => wrong.clear(),
                    Err(CodeRefused::Wrong { .. }) => wrong.push(now),
                    Err(CodeRefused::Locked { .. }) => prop_assert!(wrong.len() >= 5),
                }
                if let [.., first, _, _, _, _, last] = wrong.as_slice() {
                    prop_assert!(last - first >= LOCK);
                }
            }
        }
    }
}
