//! How long an alert waits at an even load: for its acknowledgement, and for the plugin.

use std::time::Duration;

use anyhow::Result;

use crate::firehose::Firehose;
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::quantile;
use crate::{deliveries, disk, hub, stopwatch, subject};

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
    let mut acks = run.result.tally.latencies;
    let written = run.written_bytes as f64 / run.result.tally.sent as f64;
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| ms(quantile(&mut acks, share)));
    let wanted = |(floor, syncs): (f64, f64)| floor.max(syncs * sync);

    let (mut calls, mut stopwatch) = delivery_times(lab, Sink::Plugin(lab.stopwatch()?), "stopwatch")?;
    let (_, mut archive) = delivery_times(lab, Sink::Archive, "archive")?;
    let [call_p50, call_p99, call_worst] = [0.5, 0.99, 1.0].map(|share| ms(quantile(&mut calls, share)));
    Ok(vec![
        Figure::at_most("ack_p50_at_100_per_s", p50, "ms", wanted(ACK_P50))
            .with("fdatasync_ms", sync)
            .with("disk_bytes", written.round()),
        Figure::at_most("ack_p99_at_100_per_s", p99, "ms", wanted(ACK_P99)).with("worst_ms", worst),
        Figure::at_most("wire_to_deliver_p99_at_100_per_s", call_p99, "ms", DELIVER_P99_MS)
            .with("p50_ms", call_p50)
            .with("worst_ms", call_worst)
            .with("stopwatch_done_p50_ms", ms(quantile(&mut stopwatch, 0.5)))
            .with("stopwatch_done_p99_ms", ms(quantile(&mut stopwatch, 0.99)))
            .with("archive_done_p50_ms", ms(quantile(&mut archive, 0.5)))
            .with("archive_done_p99_ms", ms(quantile(&mut archive, 0.99))),
    ])
}

/// From the wire to the plugin's call (of the stopwatch only), and to the recorded outcome, for every alert of an even
/// load.
fn delivery_times(lab: &mut Lab, sink: Sink, name: &str) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let picture = lab.picture(KB)?;
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let is_stopwatch = matches!(sink, Sink::Plugin(_));
    let hub = Hub::start(lab, dir.path(), &firehose, &[sink])?;
    let result = firehose.fire(&picture, lab.effort.paced_at(PER_SECOND, lab.effort.paced))?;
    hub.wait_delivered(result.tally.sent)?;
    hub.stop()?;
    let data_dir = hub::data_dir(dir.path());
    let calls = if is_stopwatch {
        stopwatch::read(&data_dir, &result.sent_unix_ns)?
    } else {
        Vec::new()
    };
    Ok((calls, deliveries::read(&data_dir, name, &result.sent_unix_ns)?))
}
