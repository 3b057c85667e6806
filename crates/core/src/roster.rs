//! Which named parts of the hub are wanted, and which run: what follows from a new configuration.
//!
//! Two parts of one name never run at the same time: a changed one starts when its predecessor has ended, so that
//! nothing is delivered by both and no device or slot is fought for. What is new starts at once. What is changed or
//! wanted no more goes on until the hub acts by the new configuration ([`Roster::retire`]), so that nothing is meant for
//! a part that has ended already.

use serde::{Deserialize, Serialize};

/// A part that runs under a name of its own. Two that are equal do the same.
pub trait Part: Clone + PartialEq {
    /// Its name, which no other part of its roster has.
    fn name(&self) -> &str;
}

/// What is different between two lists of parts: names, in the order of the new list, then of the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// In the new list only.
    pub added: Vec<String>,
    /// In both, and not equal.
    pub changed: Vec<String>,
    /// In the old list only.
    pub removed: Vec<String>,
}

impl Changes {
    /// From `old` to `new`.
    pub fn between<P: Part>(old: &[P], new: &[P]) -> Self {
        let mut changes = Self::default();
        for part in new {
            match old.iter().find(|old| old.name() == part.name()) {
                None => changes.added.push(part.name().to_owned()),
                Some(old) if old != part => changes.changed.push(part.name().to_owned()),
                Some(_) => {}
            }
        }
        let gone = |old: &&P| !new.iter().any(|part| part.name() == old.name());
        let gone = old.iter().filter(gone);
        changes.removed = gone.map(|part| part.name().to_owned()).collect();
        changes
    }

    /// Whether nothing is different. Another order is no difference.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The parts of one kind.
#[derive(Debug)]
pub struct Roster<P> {
    /// In the order of the configuration; at the end those that are wanted no more.
    entries: Vec<Entry<P>>,
}

#[derive(Debug)]
struct Entry<P> {
    name: String,
    state: State<P>,
    wanted: Option<P>,
}

#[derive(Debug)]
enum State<P> {
    Running(P),
    /// Asked to end; it finishes what it has in hand.
    Stopping,
}

impl<P> Default for Roster<P> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<P: Part> Roster<P> {
    /// What is different between the parts that are wanted and these.
    pub fn changes(&self, parts: &[P]) -> Changes {
        let wanted: Vec<P> = self
            .entries
            .iter()
            .filter_map(|entry| entry.wanted.clone())
            .collect();
        Changes::between(&wanted, parts)
    }

    /// Takes the parts that are wanted from now on. Returns those that are to be started at once.
    #[must_use]
    pub fn want(&mut self, parts: Vec<P>) -> Vec<P> {
        let mut before = std::mem::take(&mut self.entries);
        let mut start = Vec::new();
        for part in parts {
            let entry = match before.iter().position(|entry| entry.name == part.name()) {
                Some(known) => Entry {
                    wanted: Some(part),
                    ..before.swap_remove(known)
                },
                None => {
                    start.push(part.clone());
                    Entry {
                        name: part.name().to_owned(),
                        state: State::Running(part.clone()),
                        wanted: Some(part),
                    }
                }
            };
            self.entries.push(entry);
        }
        let leaving = before.into_iter().map(|entry| Entry {
            wanted: None,
            ..entry
        });
        self.entries.extend(leaving);
        start
    }

    /// The hub acts by what is wanted. Returns the names of the parts that are to end now: [`Self::ended`] says when each
    /// has.
    #[must_use]
    pub fn retire(&mut self) -> Vec<String> {
        let mut stop = Vec::new();
        for Entry { name, state, wanted } in &mut self.entries {
            if let State::Running(part) = state
                && Some(&*part) != wanted.as_ref()
            {
                *state = State::Stopping;
                stop.push(name.clone());
            }
        }
        stop
    }

    /// A part has ended. Returns its successor, which is to be started now.
    #[must_use]
    pub fn ended(&mut self, name: &str) -> Option<P> {
        let ended = self.entries.iter().position(|entry| entry.name == name)?;
        match self.entries[ended].wanted.clone() {
            Some(next) => {
                self.entries[ended].state = State::Running(next.clone());
                Some(next)
            }
            None => {
                self.entries.remove(ended);
                None
            }
        }
    }

    /// The names of all that run, in the order of the configuration, and whether each has been asked to end.
    pub fn running(&self) -> impl Iterator<Item = (&str, bool)> {
        let stopping = |entry: &Entry<P>| matches!(entry.state, State::Stopping);
        self.entries
            .iter()
            .map(move |entry| (entry.name.as_str(), stopping(entry)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A name, and all else that a part is made of.
    #[derive(Clone, Debug, PartialEq)]
    struct Sample(&'static str, u8);

    impl Part for Sample {
        fn name(&self) -> &str {
            self.0
        }
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn changes_are_found_by_name() {
        let old = [Sample("mail", 1), Sample("siren", 1), Sample("hook", 1)];
        let new = [Sample("hook", 1), Sample("archive", 1), Sample("mail", 2)];
        let changes = Changes {
            added: names(&["archive"]),
            changed: names(&["mail"]),
            removed: names(&["siren"]),
        };
        assert_eq!(Changes::between(&old, &new), changes);
        assert!(Changes::between(&old, &old).is_empty());
    }

    #[test]
    fn what_is_new_starts_before_what_is_old_ends_and_what_is_changed_after() {
        let mut roster = Roster::default();
        assert_eq!(
            roster.want(vec![Sample("mail", 1), Sample("siren", 1)]),
            [Sample("mail", 1), Sample("siren", 1)]
        );
        assert_eq!(roster.retire(), names(&[]));
        assert_eq!(
            roster.want(vec![Sample("hook", 1), Sample("mail", 2)]),
            [Sample("hook", 1)]
        );
        let running = |roster: &Roster<Sample>| -> Vec<String> {
            let shown = |(name, stopping): (&str, bool)| format!("{name}{}", if stopping { "!" } else { "" });
            roster.running().map(shown).collect()
        };
        assert_eq!(running(&roster), ["hook", "mail", "siren"]);
        assert_eq!(roster.retire(), names(&["mail", "siren"]));
        assert_eq!(roster.retire(), names(&[]), "once");
        assert_eq!(running(&roster), ["hook", "mail!", "siren!"]);
        assert_eq!(roster.ended("siren"), None);
        assert_eq!(roster.ended("mail"), Some(Sample("mail", 2)));
        assert_eq!(running(&roster), ["hook", "mail"]);
    }

    #[test]
    fn what_comes_back_while_it_ends_starts_again() {
        let mut roster = Roster::default();
        assert_eq!(roster.want(vec![Sample("mail", 1)]).len(), 1);
        assert_eq!(roster.want(Vec::new()), []);
        assert_eq!(roster.retire(), names(&["mail"]));
        assert_eq!(roster.want(vec![Sample("mail", 1)]), [], "it still runs");
        assert_eq!(roster.retire(), names(&[]));
        assert_eq!(roster.ended("mail"), Some(Sample("mail", 1)));
    }

    #[test]
    fn what_comes_back_before_it_was_told_to_end_goes_on() {
        let mut roster = Roster::default();
        assert_eq!(roster.want(vec![Sample("mail", 1)]).len(), 1);
        assert_eq!(roster.want(Vec::new()), []);
        assert_eq!(roster.want(vec![Sample("mail", 1)]), []);
        assert_eq!(roster.retire(), names(&[]));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Want(Vec<Sample>),
        Retire,
        /// Of those that were asked to end, the one with this number.
        End(usize),
    }

    fn parts() -> impl Strategy<Value = Vec<Sample>> {
        let some = prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4);
        let made = some.prop_flat_map(|names| {
            let kinds = prop::collection::vec(0u8..3, names.len());
            (Just(names), kinds)
        });
        made.prop_map(|(names, kinds)| names.into_iter().zip(kinds).map(|(n, k)| Sample(n, k)).collect())
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            parts().prop_map(Act::Want),
            Just(Act::Retire),
            (0usize..4).prop_map(Act::End),
        ]
    }

    /// What really runs, by name, and whether it was asked to end.
    #[derive(Default)]
    struct World {
        roster: Roster<Sample>,
        running: BTreeMap<&'static str, (Sample, bool)>,
    }

    impl World {
        fn start(&mut self, part: Sample) {
            let before = self.running.insert(part.0, (part.clone(), false));
            assert!(before.is_none(), "two of {part:?} run");
        }

        fn act(&mut self, act: Act) {
            match act {
                Act::Want(parts) => {
                    for part in self.roster.want(parts) {
                        self.start(part);
                    }
                }
                Act::Retire => {
                    for name in self.roster.retire() {
                        let running = self.running.get_mut(name.as_str());
                        let (_, stopping) = running.expect("only what runs is asked to end");
                        assert!(!std::mem::replace(stopping, true), "{name} was asked twice");
                    }
                }
                Act::End(number) => {
                    let mut stopping = self.running.values().filter(|(_, stopping)| *stopping);
                    let Some((part, _)) = stopping.nth(number).cloned() else {
                        return;
                    };
                    self.running.remove(part.0);
                    if let Some(next) = self.roster.ended(part.0) {
                        self.start(next);
                    }
                }
            }
        }

        fn settle(&mut self, wanted: Vec<Sample>) {
            self.act(Act::Want(wanted));
            self.act(Act::Retire);
            for _ in 0..4 {
                self.act(Act::End(0));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happened_before_in_the_end_exactly_what_is_wanted_runs(
            acts in prop::collection::vec(act(), 0..40),
            wanted in parts(),
        ) {
            let mut world = World::default();
            for act in acts {
                world.act(act);
            }
            world.settle(wanted.clone());
            let mut running: Vec<Sample> = world.running.into_values().map(|(part, _)| part).collect();
            running.sort_by_key(|part| part.0);
            prop_assert_eq!(running, wanted);
        }

        #[test]
        fn the_same_once_more_starts_and_ends_nothing(wanted in parts()) {
            let mut roster = Roster::default();
            let started = roster.want(wanted.clone());
            prop_assert_eq!(&started, &wanted);
            prop_assert!(Changes::between(&wanted, &wanted).is_empty());
            prop_assert!(roster.want(wanted).is_empty());
            prop_assert!(roster.retire().is_empty());
        }

        #[test]
        fn changes_say_what_becomes_of_each_name(old in parts(), new in parts()) {
            let changes = Changes::between(&old, &new);
            let mut world = World::default();
            world.settle(old);
            let start = world.roster.want(new);
            let start: Vec<String> = start.into_iter().map(|part| part.0.to_owned()).collect();
            prop_assert_eq!(start, changes.added);
            let mut stop = world.roster.retire();
            let mut ends = [changes.changed, changes.removed].concat();
            stop.sort();
            ends.sort();
            prop_assert_eq!(stop, ends);
        }
    }
}
