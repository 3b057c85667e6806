//! One run of one subject under a flood, bare loop or hub, with the checks that make its figures count.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::firehose::{Firehose, Load, RunResult};
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::payload::PictureText;
use crate::process::Process;
use crate::procfs;

/// How long the bare loop may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// What a hub's run came to.
#[derive(Debug)]
pub(crate) struct HubRun {
    /// What was sent and acknowledged.
    pub(crate) result: RunResult,
    /// What the hub and its children had in memory at most, each at its own worst moment, in bytes.
    pub(crate) peak_bytes: u64,
    /// What the hub wrote to the disk from the first alert to the last acknowledgement, without its children, in bytes.
    pub(crate) written_bytes: u64,
    /// Alerts a second from the first byte until every sink had delivered the last.
    pub(crate) delivered_rate: f64,
    /// What the hub wrote with its children until all was delivered, in bytes.
    pub(crate) family_written_bytes: u64,
}

/// The bare loop under a load; it starts empty.
pub(crate) fn bare(lab: &Lab, picture: &PictureText, load: Load) -> Result<RunResult> {
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["bare", "--url", &firehose.url(), "--dir"])
        .arg(dir.path());
    let process = Process::start(&mut command, &dir.path().join("bare.log"))?;
    firehose
        .wait_connected(CONNECT)
        .with_context(|| format!("the bare loop's log ends with:\n{}", process.log_tail()))?;
    let result = firehose.fire(picture, load).with_context(|| process.log_tail())?;
    check(&result)?;
    drop(firehose);
    process.wait()?;
    Ok(result)
}

/// The hub under a load, starting empty.
pub(crate) fn hub(lab: &Lab, picture: &PictureText, load: Load, sinks: &[Sink]) -> Result<HubRun> {
    let dir = lab.scratch()?;
    hub_in(lab, dir.path(), picture, load, sinks)
}

/// The hub under a load, starting with what is in the directory.
pub(crate) fn hub_in(
    lab: &Lab,
    dir: &Path,
    picture: &PictureText,
    load: Load,
    sinks: &[Sink],
) -> Result<HubRun> {
    let firehose = Firehose::start()?;
    let hub = Hub::start(lab, dir, &firehose, sinks)?;
    let before = hub.status()?.stored();
    let (written, family_written) = (
        procfs::written_bytes(hub.pid())?,
        hub.family_sum(procfs::written_bytes)?,
    );
    let result = firehose.fire(picture, load)?;
    let written_bytes = procfs::written_bytes(hub.pid())? - written;
    check(&result)?;
    hub.wait_delivered(result.tally.sent)?;
    let delivered_rate = result.tally.sent as f64 / result.began.elapsed().as_secs_f64();
    let family_written_bytes = hub.family_sum(procfs::written_bytes)? - family_written;
    let stored = hub.status()?.stored() - before;
    ensure!(
        stored == result.tally.sent,
        "{} alerts were acknowledged, {stored} are in the store",
        result.tally.sent
    );
    if sinks.iter().any(|sink| matches!(sink, Sink::Archive)) {
        let archived = count_pictures(&hub.archive_dir())?;
        ensure!(
            archived == result.tally.sent,
            "{} alerts were sent, {archived} are archived",
            result.tally.sent
        );
    }
    let peak_bytes = hub.family_sum(procfs::peak_resident_bytes)?;
    hub.stop()?;
    Ok(HubRun {
        result,
        peak_bytes,
        written_bytes,
        delivered_rate,
        family_written_bytes,
    })
}

/// A run in which an alert got lost has no figure.
fn check(result: &RunResult) -> Result<()> {
    let tally = &result.tally;
    ensure!(tally.sent > 0, "nothing was sent");
    ensure!(
        tally.sent == tally.acknowledged && tally.unmatched == 0,
        "{} alerts were sent, {} acknowledged, and {} acknowledgements were of no alert in flight",
        tally.sent,
        tally.acknowledged,
        tally.unmatched
    );
    Ok(())
}

/// How many `.jpg` files there are below a directory.
fn count_pictures(dir: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            count += count_pictures(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "jpg") {
            count += 1;
        }
    }
    Ok(count)
}
