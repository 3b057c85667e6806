//! How much later a sink gets an alert when every sink beside it misbehaves.

use std::time::Duration;

use anyhow::Result;
use watchpost_testkit::hostile_plugin;

use crate::firehose::Firehose;
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::quantile;
use crate::{hub, stopwatch};

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

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
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
        sinks.push(Sink::Hostile(way, hostile_plugin(way)?));
    }
    let hub = Hub::start(lab, dir.path(), &firehose, &sinks)?;
    let result = firehose.fire(&picture, lab.effort.paced_at(PER_SECOND, lab.effort.paced))?;
    hub.wait_delivered(result.tally.sent)?;
    hub.stop()?;
    stopwatch::read(&hub::data_dir(dir.path()), &result.sent_unix_ns)
}
