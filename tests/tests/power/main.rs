//! The power fails again and again while alerts come in: what the backend saw acknowledged is in the store afterwards, with
//! its picture, and the store opens as if nothing had been. What a person has armed and silenced meanwhile, and was answered, holds,
//! and an entry delay and a silence end when they were to end.
//!
//! `WATCHPOST_POWER_CUTS` sets how often, `WATCHPOST_SEED` repeats the choices of a run.

mod disk;
#[path = "../env_params/mod.rs"]
mod env_params;
#[path = "../guard/mod.rs"]
mod guard;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use watchpost_store::{Filter, Reader};
use watchpost_testkit::{Backend, HubSetup, PATIENCE, hostile_plugin, toml};

use self::disk::{Disk, Unsynced};
use self::env_params::{from_environment, say};
use self::guard::Guard;

/// Power cuts in a run that does not say how many.
const DEFAULT_CUTS: u64 = 24;
/// The power fails when up to so many more alerts have been acknowledged.
const MAX_MORE_ALERTS: u64 = 150;
/// A command is cut short within so many steps of the disk after it was begun: a program has to start for it first.
const MAX_STEPS: usize = 40;
/// Most alerts that are read from the store at once.
const PAGE: u32 = 1_000;

#[test]
fn no_acknowledged_alert_is_lost_when_the_power_fails() -> Result<()> {
    let cuts = from_environment("WATCHPOST_POWER_CUTS")?.unwrap_or(DEFAULT_CUTS);
    let seed = from_environment("WATCHPOST_SEED")?.unwrap_or_else(|| fastrand::u64(..));
    say(&format!("WATCHPOST_POWER_CUTS={cuts} WATCHPOST_SEED={seed}"));
    let mut dice = fastrand::Rng::with_seed(seed);
    let backend = Backend::start(&[
        "--rate",
        "400",
        "--burst",
        "20",
        "--no-pose",
        "--frame",
        "320x240",
        "--ids",
        "--wait-for-client",
        "--no-faithful",
        "--seed",
        &seed.to_string(),
    ])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let place = tempfile::tempdir()?;
    let disk = Disk::new(&setup.data_dir(), place.path())?;
    let mut hub = site(setup)?.environment(disk.environment()).start()?;
    let mut guard = Guard::default();
    for cut in 0..cuts {
        let acknowledged = backend.stats()?["acknowledged"].as_u64().context("a count")?;
        let enough = acknowledged + dice.u64(1..=MAX_MORE_ALERTS);
        backend.until("more acknowledged", PATIENCE, |stats| {
            stats["acknowledged"].as_u64() >= Some(enough)
        })?;
        guard
            .check(&hub)
            .with_context(|| format!("before power cut {cut}"))?;
        if dice.bool() {
            guard.act(&hub, &mut dice)?;
            hub.kill()?;
        } else {
            guard.begin(&hub, &mut dice)?;
            disk.light_fuse(dice.usize(..MAX_STEPS))?;
            // Alerts are synced all the while.
            hub.process().wait(PATIENCE)?;
        }
        let unsynced = if cut % 2 == 0 {
            Unsynced::Lost
        } else {
            Unsynced::Torn
        };
        disk.cut(unsynced, &mut dice)?;
        hub.restart()?;
        let after = || format!("after power cut {cut}, unsynced blocks {unsynced:?}");
        guard.check(&hub).with_context(after)?;
        check(&hub.setup().data_dir(), &backend.alerts()?).with_context(after)?;
    }
    let stats = backend.stats()?;
    say(&format!(
        "{cuts} power cuts: sent {}, acknowledged {}, lost 0; {}",
        stats["sent"],
        stats["acknowledged"],
        guard.figures(),
    ));
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    Ok(())
}

/// All alerts are recorded. Beside the vault there is a hall, which is armed with it and whose cameras are all that send; what they
/// see is an alarm when the entry delay is over, which a siren waits for.
fn site(setup: HubSetup) -> Result<HubSetup> {
    let recorder = hostile_plugin("recorder")?.display().to_string();
    let file = |name: &str| setup.dir().join(name).display().to_string();
    let (record, siren) = (file("record"), file("siren"));
    Ok(Guard::vault(setup)
        .with(toml! {
            [store]
            segment_size = "1MiB"
            [[camera]]
            name = "Hall"
            match = { connection = "shop" }
            [[area]]
            name = "Hall"
            camera = "Hall"
            delayed = "Hall"
            exit_delay = "0s"
            entry_delay = "2h"
        })
        .sink("record", &recorder, toml! { file = record })
        .sink_with(
            "siren",
            &recorder,
            toml! { file = siren },
            toml! { only_armed = true },
        ))
}

/// Every alert that was acknowledged is in the store, its picture byte for byte.
fn check(data_dir: &Path, sent: &[Value]) -> Result<()> {
    for entry in fs::read_dir(data_dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        ensure!(
            !name.contains("corrupt") && !name.contains("orphaned"),
            "the store was set aside: {name}"
        );
    }
    let mut reader = Reader::open(data_dir)?;
    let mut stored = BTreeMap::new();
    let mut filter = Filter {
        limit: PAGE,
        ..Filter::default()
    };
    loop {
        let page = reader.list(&filter)?;
        filter.before = page.last().map(|last| last.alert.id);
        let ended = page.len() < PAGE as usize;
        for found in page {
            // What the list brought gets its picture later. None of that was acknowledged.
            let Some(frame) = found.frame else { continue };
            let person = found
                .alert
                .visionguard
                .as_ref()
                .map_or(0, |fields| fields.person_id);
            let key = (found.alert.camera_id().to_owned(), person);
            stored.insert(key, frame);
        }
        if ended {
            break;
        }
    }
    for alert in sent.iter().filter(|alert| !alert["acknowledged_at_ms"].is_null()) {
        let stream = alert["stream_id"].as_str().context("a stream")?.to_owned();
        let person = alert["person_id"].as_i64().context("a person")?;
        let frame = stored
            .get(&(stream, person))
            .with_context(|| format!("an acknowledged alert is lost: {alert}"))?;
        let picture = reader.read_frame(frame)?;
        let (length, crc) = (picture.len(), crc32c::crc32c(&picture));
        ensure!(
            alert["picture_len"] == length && alert["picture_crc32c"] == crc,
            "a picture of {length} bytes and checksum {crc} is in the place of {alert}"
        );
    }
    Ok(())
}

/// The disk does forget: otherwise the test above could not fail.
#[test]
fn what_is_not_synced_is_gone_after_a_power_cut() -> Result<()> {
    let place = tempfile::tempdir()?;
    let dir = place.path().join("data");
    let disk = Disk::new(&dir, place.path())?;
    let write = |name: &str, options: &[&str]| -> Result<()> {
        let output = Command::new("dd")
            .arg("if=/dev/urandom")
            .arg(format!("of={}", dir.join(name).display()))
            .args(["bs=10000", "count=1"])
            .args(options)
            .envs(disk.environment())
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    write("synced", &["conv=fsync"])?;
    write("unsynced", &[])?;
    let sync_names = || -> Result<()> {
        let status = Command::new("sync").arg(&dir).envs(disk.environment()).status()?;
        ensure!(status.success(), "sync failed");
        Ok(())
    };
    sync_names()?;
    let before = fs::read(dir.join("synced"))?;
    write("synced", &["conv=notrunc"])?;
    write("unnamed", &["conv=fsync"])?;
    ensure!(fs::read(dir.join("synced"))? != before, "dd wrote nothing");
    disk.cut(Unsynced::Lost, &mut fastrand::Rng::with_seed(1))?;
    assert_eq!(fs::read(dir.join("synced"))?, before, "as it was synced");
    assert_eq!(fs::read(dir.join("unsynced"))?, b"", "a name and nothing in it");
    ensure!(!dir.join("unnamed").exists(), "its directory was never synced");
    Ok(())
}
