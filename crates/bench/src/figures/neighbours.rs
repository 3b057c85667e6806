//! How much later a sink gets an alert when every sink beside it misbehaves, and how much later the archive has filed one
//! when they mean to keep it from that.

use std::time::Duration;

use anyhow::Result;
use watchpost_testkit::hostile_plugin;

use crate::firehose::Firehose;
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::quantile;
use crate::{deliveries, hub, stopwatch};

use super::ms;

const PER_SECOND: f64 = 25.0;
const KB: usize = 60;

/// What the neighbours do, by the names of their plugins.
const WAYS: [&str; 9] = [
    "abort", "crash", "exit0", "fdleak", "flood", "forkbomb", "hang", "hog", "stdin",
];

/// Wanted: so many times as long as alone. What a machine with two cores adds by itself while it starts and ends
/// processes, in milliseconds, is forgiven.
const MOST_TIMES: f64 = 2.0;
const NOISE_MS: f64 = 15.0;

/// The worst of what the red team does to others, by the names of its ways.
const RED_TEAM: [&str; 8] = [
    "log_forgeries",
    "make_threads",
    "open_files",
    "send_files_to_host",
    "spin",
    "take_memory",
    "talk_at_length",
    "talk_nonsense",
];

/// As many that do nothing wrong. What they take is the price of eight more deliveries an alert, and no one's fault.
const GOOD: [&str; RED_TEAM.len()] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Wanted of the archive beside the red team: so many percent of what it takes beside the good ones, in the same run and in turns.
const MOST_OF_GOOD_PERCENT: f64 = 150.0;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let mut figures = deliveries_beside_all(lab)?;
    figures.push(archive_beside_red_team(lab)?);
    Ok(figures)
}

/// Alone, beside as many good sinks and beside them in turns, so that what else the machine does falls on all.
fn archive_beside_red_team(lab: &mut Lab) -> Result<Figure> {
    let good = lab.stopwatch()?;
    let good: Vec<_> = GOOD.map(|name| Sink::Neighbour(name, good.clone())).into();
    let red_team = hostile_plugin("redteam")?;
    let red_team: Vec<_> = RED_TEAM.map(|way| Sink::RedTeam(way, red_team.clone())).into();
    let (mut alone, mut beside_good, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..lab.effort.rounds {
        alone.extend(wire_to_archived(lab, &[])?);
        beside_good.extend(wire_to_archived(lab, &good)?);
        beside.extend(wire_to_archived(lab, &red_team)?);
    }
    let [alone_p50, alone_p99] = [0.5, 0.99].map(|share| ms(quantile(&mut alone, share)));
    let [good_p50, good_p99] = [0.5, 0.99].map(|share| ms(quantile(&mut beside_good, share)));
    let [beside_p50, beside_p99] = [0.5, 0.99].map(|share| ms(quantile(&mut beside, share)));
    let percent = 100.0 * beside_p99 / good_p99;
    Ok(
        Figure::at_most("archive_p99_beside_red_team", percent, "%", MOST_OF_GOOD_PERCENT)
            .with("alone_p50_ms", alone_p50)
            .with("alone_p99_ms", alone_p99)
            .with("beside_good_p50_ms", good_p50)
            .with("beside_good_p99_ms", good_p99)
            .with("beside_p50_ms", beside_p50)
            .with("beside_p99_ms", beside_p99),
    )
}

/// From the wire to the recorded outcome of the archive.
fn wire_to_archived(lab: &mut Lab, others: &[Sink]) -> Result<Vec<Duration>> {
    let picture = lab.picture(KB)?;
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let mut sinks = vec![Sink::Archive];
    sinks.extend_from_slice(others);
    let hub = Hub::start(lab, dir.path(), &firehose, &sinks)?;
    let result = firehose.fire(&picture, lab.effort.paced_at(PER_SECOND, lab.effort.paced))?;
    hub.wait_delivered(result.tally.sent)?;
    hub.stop()?;
    deliveries::read(&hub::data_dir(dir.path()), "archive", &result.sent_unix_ns)
}

fn deliveries_beside_all(lab: &mut Lab) -> Result<Vec<Figure>> {
    let mut alone = wire_to_call(lab, &[])?;
    let mut beside = wire_to_call(lab, &WAYS)?;
    let (alone, worst) = (ms(quantile(&mut alone, 0.99)), ms(quantile(&mut beside, 1.0)));
    let beside = ms(quantile(&mut beside, 0.99));
    let wanted = MOST_TIMES * alone.max(NOISE_MS);
    Ok(vec![
        Figure::at_most("deliver_p99_beside_hostile", beside, "ms", wanted)
            .with("alone_ms", alone)
            .with("worst_ms", worst),
    ])
}

/// From the wire to the call of the plugin that does its work.
fn wire_to_call(lab: &mut Lab, hostile: &[&'static str]) -> Result<Vec<Duration>> {
    let picture = lab.picture(KB)?;
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let mut sinks = vec![Sink::Plugin(lab.stopwatch()?)];
    for way in hostile {
        sinks.push(Sink::Neighbour(way, hostile_plugin(way)?));
    }
    let hub = Hub::start(lab, dir.path(), &firehose, &sinks)?;
    let result = firehose.fire(&picture, lab.effort.paced_at(PER_SECOND, lab.effort.paced))?;
    hub.wait_delivered(result.tally.sent)?;
    hub.stop()?;
    stopwatch::read(&hub::data_dir(dir.path()), &result.sent_unix_ns)
}
