//! The most memory hub and archive child ever take, each at its own worst moment.

use anyhow::{Result, ensure};

use crate::firehose::{Firehose, Load, Pace, Tally};
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::payload::PictureText;
use crate::procfs;
use crate::report::Figure;
use crate::subject;

use super::mib;

const KB: usize = 200;
const PEAK_MIB: f64 = 96.0;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let picture = lab.picture(KB)?;
    let load = lab.effort.flood_of(&picture);
    let load = Load {
        most: lab.effort.archived,
        ..load
    };
    let alone = subject::hub(lab, &picture, load, &[])?;
    let archive = subject::hub(lab, &picture, load, &[Sink::Archive])?;
    let (overrun, tally) = overrun(
        lab,
        &picture,
        Load {
            pace: Pace::OpenLoop,
            ..load
        },
    )?;
    Ok(vec![
        Figure::at_most(
            "memory_peak_200kb",
            mib(archive.peak_bytes.max(overrun)),
            "MiB",
            PEAK_MIB,
        )
        .with("without_sink_mib", mib(alone.peak_bytes))
        .with("keeping_up_mib", mib(archive.peak_bytes))
        .with("overrun_mib", mib(overrun))
        .with("overrun_sent", tally.sent as f64)
        .with("overrun_stored", (tally.acknowledged + tally.unmatched) as f64),
    ])
}

/// More comes in than can be stored, for as long as the load lasts: the hub must drop what it cannot hold, and keep
/// what it acknowledged.
fn overrun(lab: &Lab, picture: &PictureText, load: Load) -> Result<(u64, Tally)> {
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let hub = Hub::start(lab, dir.path(), &firehose, &[Sink::Archive])?;
    let tally = firehose.fire(picture, load)?.tally;
    let acknowledged = tally.acknowledged + tally.unmatched;
    let status = hub.status()?;
    let stored = status.stored();
    ensure!(
        stored == acknowledged,
        "{acknowledged} alerts were acknowledged, {stored} are in the store"
    );
    hub.wait_delivered(status.store.alerts)?;
    let peak = hub.family_sum(procfs::peak_resident_bytes)?;
    hub.stop()?;
    Ok((peak, tally))
}
