//! What follows in a scenario as single facts, in words: those of a table, and how they are compared with what was seen.

use std::collections::BTreeMap;

use watchpost_core::{AlertId, UnixMillis};

use crate::{Act, Line, Scenario, brief};

/// A time may be off by so many seconds: a clock that is set is noticed with the next look at it, and a child needs its time.
const TOLERANCE: i64 = 3;

/// Begins what is said where an area was disarmed before its alarm was sent.
const UNSENT: &str = "Nothing was sent";

/// Facts, in no order.
#[derive(Default)]
pub struct Facts(Vec<String>);

impl Facts {
    /// A delivery took effect.
    pub fn delivered(&mut self, time: &str, sink: &str, alert: &str) {
        self.0.push(format!("{time} {sink} gets {alert}"));
    }

    /// Why a sink gets what a camera or a person has raised, or does not. Alerts of these are numbered.
    pub fn explained(&mut self, number: usize, alert: &str, sink: &str, reason: &str) {
        self.0.push(format!("{alert} ({number}), {sink}: {reason}"));
    }

    /// The hub has raised an event.
    pub fn raised(&mut self, time: &str, title: &str) {
        self.0.push(format!("{time} the hub says: {title}"));
    }

    /// What an event says of what was not sent.
    pub fn unsent(&mut self, text: &str) {
        if let Some((_, sinks)) = text.split_once(UNSENT) {
            self.0.push(format!("{UNSENT}{sinks}"));
        }
    }

    /// Such an event is for this sink.
    pub fn planned(&mut self, title: &str, sink: &str) {
        self.0.push(format!("{sink} is to get: {title}"));
    }

    /// Such an event is not for this sink, because of a condition from which it follows.
    pub fn inhibited(&mut self, title: &str, sink: &str, why: &str) {
        self.0.push(format!("{sink} is not to get: {title}: {why}"));
    }

    /// What was to be delivered is not, for this reason.
    pub fn dropped(&mut self, time: &str, sink: &str, alert: &str, reason: &str) {
        self.0
            .push(format!("{time} {sink} does not get {alert}: {reason}"));
    }

    /// An area stands so from then on.
    pub fn area(&mut self, time: &str, name: &str, state: &str) {
        self.0.push(format!("{time} {name} is {state}"));
    }

    /// What a person wanted is not done.
    pub fn refused(&mut self, time: &str, why: &str) {
        self.0.push(format!("{time} it is refused: {why}"));
    }

    /// Those of the table.
    pub fn expected(scenario: &Scenario<'_>) -> Self {
        let mut reading = Reading::default();
        for (time, line) in scenario.lines() {
            if let Some(time) = time.filter(|time| *time != reading.time) {
                reading.end_time();
                reading.time = time;
            }
            match line {
                Line::Act(Act::Seen(seen), _) => {
                    reading.seen += 1;
                    reading.subject = Some((seen.camera, false));
                }
                Line::Act(Act::Panic(panic), _) => {
                    let alert = panic.into_alert(AlertId(0), UnixMillis(0));
                    reading.seen += 1;
                    reading.subject = Some((brief(&alert), false));
                }
                Line::Act(..) => {}
                Line::Follows(text) => reading.follows(text),
            }
        }
        reading.end_time();
        reading.facts
    }

    /// What is only in one of both.
    pub fn differences(&self, seen: &Self) -> Vec<String> {
        let mut unexpected: Vec<&String> = seen.0.iter().collect();
        let mut differences = Vec::new();
        for fact in &self.0 {
            match unexpected.iter().position(|other| is_same(fact, other)) {
                Some(place) => drop(unexpected.remove(place)),
                None => differences.push(format!("missing: {fact}")),
            }
        }
        differences.extend(
            unexpected
                .into_iter()
                .map(|fact| format!("not in the table: {fact}")),
        );
        differences
    }
}

/// A table while it is read.
#[derive(Default)]
struct Reading<'a> {
    facts: Facts,
    time: &'a str,
    /// How many alerts of cameras and persons there were.
    seen: usize,
    /// What the lines are about, and whether that is an event.
    subject: Option<(String, bool)>,
    /// How areas stand, and how they stood at the time before.
    areas: BTreeMap<&'a str, &'a str>,
    before: BTreeMap<&'a str, &'a str>,
}

impl<'a> Reading<'a> {
    fn follows(&mut self, text: &'a str) {
        let (mark, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (who, why) = rest.split_once(": ").unwrap_or((rest, ""));
        match mark {
            "!" => self.raised(rest),
            ">" if why.is_empty() || later(rest).is_some() => {
                let (sink, alert) = rest.split_once(", ").expect("a sink and an alert");
                self.facts.delivered(self.time, sink, alert);
            }
            ">" => who.split(", ").for_each(|sink| {
                let (alert, _) = self.subject.clone().expect("an alert");
                self.facts.delivered(self.time, sink, &alert);
                self.facts.explained(self.seen, &alert, sink, why);
            }),
            "~" => {
                let (sink, _) = who.split_once(' ').expect("a sink and a time");
                match self.subject.clone().expect("an alert") {
                    (title, true) => self.facts.planned(&title, sink),
                    (alert, false) => self.facts.explained(self.seen, &alert, sink, why),
                }
            }
            "x" => who
                .split(", ")
                .for_each(|sink| match self.subject.clone().expect("an alert") {
                    (title, true) => self.facts.inhibited(&title, sink, why),
                    (alert, false) => self.facts.explained(self.seen, &alert, sink, why),
                }),
            "-" => {
                let (sink, alert) = who.split_once(", ").expect("a sink and an alert");
                self.facts.dropped(self.time, sink, alert, why);
            }
            // To whom it is said is not to be seen, only that it ends.
            "stop" => {}
            "Nothing" => self.facts.unsent(text),
            "refused:" => self.facts.refused(self.time, rest),
            _ => {
                let (area, state) = text.split_once(": ").expect("an area and how it stands");
                self.areas.insert(area, state);
            }
        }
    }

    fn raised(&mut self, text: &str) {
        let (title, sinks) = text.rsplit_once(" > ").expect("an event and who gets it");
        self.facts.raised(self.time, title);
        for sink in sinks.split(", ").filter(|sink| *sink != "no one") {
            self.facts.delivered(self.time, sink, title);
            self.facts.planned(title, sink);
        }
        self.subject = Some((title.to_owned(), true));
    }

    /// How areas stand is looked at when a time is over.
    fn end_time(&mut self) {
        for (area, state) in &self.areas {
            if self.before.insert(area, state) != Some(*state) {
                self.facts.area(self.time, area, state);
            }
        }
    }
}

/// The sink and the title of what is delivered later than it was raised, and whose title has a colon as a reason has. Names of sinks
/// begin with a small letter.
fn later(text: &str) -> Option<(&str, &str)> {
    let (sink, alert) = text.split_once(", ")?;
    (!sink.contains(": ") && alert.starts_with(char::is_uppercase)).then_some((sink, alert))
}

/// Whether two facts are the same, but for times that are off by a little.
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (without_causes(one), without_causes(other));
    let (mut ones, mut others) = (one.split(' '), other.split(' '));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) => {
                let is_same = match (seconds(one), seconds(other)) {
                    (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE,
                    _ => one == other,
                };
                if !is_same {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Why a connection gets no alerts stands in other words on the wire than in a table. What came late has come over the socket here.
fn without_causes(text: &str) -> String {
    let text = text.replace("while the connection was away", "that came late");
    let mut parts = text.split("gets no alerts (");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        format!(
            "{text}gets no alerts{}",
            part.split_once(')').map_or("", |(_, rest)| rest)
        )
    })
}

/// The seconds of a day at which clocks show this, if it is a time.
fn seconds(word: &str) -> Option<i64> {
    let parts: Option<Vec<i64>> = word
        .trim_end_matches([',', ';', ':'])
        .split(':')
        .map(|part| part.parse().ok().filter(|_| part.len() == 2))
        .collect();
    match parts?.as_slice() {
        [hours, minutes] => Some((hours * 60 + minutes) * 60),
        [hours, minutes, seconds] => Some((hours * 60 + minutes) * 60 + seconds),
        _ => None,
    }
}
