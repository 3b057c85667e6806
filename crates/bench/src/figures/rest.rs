//! What the hub takes while little happens: memory when idle, processor time at a trickle.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::firehose::Firehose;
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::procfs;
use crate::report::Figure;

use super::mib;

const PER_SECOND: f64 = 10.0;
const KB: usize = 60;

/// How long a hub is left alone before its memory counts as idle.
const SETTLE: Duration = Duration::from_secs(2);

/// Wanted of hub and archive child together.
const IDLE_MIB: f64 = 20.0;
/// Wanted of hub and archive child together, in percent of one core.
const CPU_PERCENT: f64 = 2.0;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let picture = lab.picture(KB)?;
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let hub = Hub::start(lab, dir.path(), &firehose, &[Sink::Archive])?;
    thread::sleep(SETTLE);
    let idle = [
        hub.family_sum(procfs::resident_bytes)?,
        hub.family_sum(procfs::proportional_bytes)?,
    ];
    let idle_alone = procfs::resident_bytes(hub.pid())?;

    let (alone, family) = (procfs::cpu_time(hub.pid())?, hub.family_sum(procfs::cpu_time)?);
    let began = Instant::now();
    firehose.fire(&picture, lab.effort.paced_at(PER_SECOND, lab.effort.cpu))?;
    let elapsed = began.elapsed().as_secs_f64();
    let percent = |now: Duration, before: Duration| (now - before).as_secs_f64() / elapsed * 100.0;
    let alone = percent(procfs::cpu_time(hub.pid())?, alone);
    let family = percent(hub.family_sum(procfs::cpu_time)?, family);

    thread::sleep(SETTLE);
    let after = hub.family_sum(procfs::resident_bytes)?;
    hub.stop()?;
    Ok(vec![
        Figure::at_most("memory_idle", mib(idle[0]), "MiB", IDLE_MIB)
            .with("hub_alone_mib", mib(idle_alone))
            .with("proportional_mib", mib(idle[1]))
            .with("after_trickle_mib", mib(after)),
        Figure::at_most("cpu_at_10_per_s", family, "%", CPU_PERCENT)
            .with("hub_alone_percent", alone)
            .with("seconds", elapsed),
    ])
}
