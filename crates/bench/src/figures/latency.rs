//! How long an alert waits at an even load: for its acknowledgement, and for the plugin.

use std::time::Duration;

use anyhow::Result;

use crate::firehose::Firehose;
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::quantile;
use crate::{disk, hub, stopwatch, subject};

use super::ms;

const PER_SECOND: f64 = 100.0;
const KB: usize = 60;

/// Wanted of an acknowledgement: so many milliseconds or so many syncs of this disk, whichever is more.
const ACK_P50: (f64, f64) = (1.0, 4.0);
const ACK_P99: (f64, f64) = (3.0, 12.0);
/// Wanted of the way from the wire to the plugin, in milliseconds.
const DELIVER_P99_MS: f64 = 6.0;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let picture = lab.picture(KB)?;
    let load = lab.effort.paced_at(PER_SECOND, lab.effort.paced);
    let sync_before = disk::median_fdatasync(lab.dir())?;
    let run = subject::hub(lab, &picture, load, &[])?;
    let sync_after = disk::median_fdatasync(lab.dir())?;
    let sync = ms((sync_before + sync_after) / 2);
    let mut acks = run.volley.tally.latencies;
    let written = run.written_bytes as f64 / run.volley.tally.sent as f64;
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| ms(quantile(&mut acks, share)));
    let wanted = |(floor, syncs): (f64, f64)| floor.max(syncs * sync);

    let mut calls = stopwatch_times(lab)?;
    let [call_p50, call_p99, call_worst] = [0.5, 0.99, 1.0].map(|share| ms(quantile(&mut calls, share)));
    Ok(vec![
        Figure::at_most("ack_p50_at_100_per_s", p50, "ms", wanted(ACK_P50))
            .with("fdatasync_ms", sync)
            .with("disk_bytes", written.round()),
        Figure::at_most("ack_p99_at_100_per_s", p99, "ms", wanted(ACK_P99)).with("worst_ms", worst),
        Figure::at_most("wire_to_deliver_p99_at_100_per_s", call_p99, "ms", DELIVER_P99_MS)
            .with("p50_ms", call_p50)
            .with("worst_ms", call_worst),
    ])
}

/// From the wire to the plugin's call, for every alert of an even load.
fn stopwatch_times(lab: &mut Lab) -> Result<Vec<Duration>> {
    let picture = lab.picture(KB)?;
    let plugin = lab.stopwatch()?;
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let hub = Hub::start(lab, dir.path(), &firehose, &[Sink::Plugin(plugin)])?;
    let volley = firehose.fire(&picture, lab.effort.paced_at(PER_SECOND, lab.effort.paced))?;
    hub.wait_delivered(volley.tally.sent)?;
    hub.stop()?;
    stopwatch::read(&hub::data_dir(dir.path()), &volley.sent_unix_ns)
}
