//! The hub killed with SIGKILL again and again while more alerts come in than it can archive: what the backend saw acknowledged
//! is in the store, in the archive byte for byte, and reached a recording sink. What a person has armed and silenced meanwhile, and
//! was answered, holds.
//!
//! `WATCHPOST_KILLS` sets the number of kills, `WATCHPOST_SEED` repeats the choices of a run.

#[path = "../env_params/mod.rs"]
mod env_params;
mod found;
#[path = "../guard/mod.rs"]
mod guard;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use watchpost_testkit::{
    Backend, Hub, HubSetup, PATIENCE, Process, artefacts, count, eventually, hostile_plugin_dir, toml,
};

use self::env_params::{from_environment, say};
use self::found::{Acknowledged, Found, Kill};
use self::guard::Guard;

/// Kills in a run that does not say how many.
const DEFAULT_KILLS: u64 = 100;
/// Alerts come as fast as the backend can make them, so many at once.
const RATE: &str = "inf";
const BURST: &str = "20";
/// Of so many kills one meets a hub that is still starting.
const STARTING_ONE_IN: u64 = 4;
/// A starting hub is killed when it has written up to so many lines: it writes more until it has connected.
const MAX_LINES: u64 = 3;
/// A running hub is killed when up to so many more alerts have been acknowledged.
const MAX_MORE_ALERTS: u64 = 40;
/// How long the sinks may take for what the kills have left to them.
const DRAIN_DEADLINE: Duration = Duration::from_secs(300);
/// Pictures that are taken out of the hub again.
const PICTURES_ASKED_FOR: usize = 20;

#[test]
fn no_acknowledged_alert_is_lost_however_often_the_hub_is_killed() -> Result<()> {
    let kills = from_environment("WATCHPOST_KILLS")?.unwrap_or(DEFAULT_KILLS);
    let seed = from_environment("WATCHPOST_SEED")?.unwrap_or_else(|| fastrand::u64(..));
    say(&format!("WATCHPOST_KILLS={kills} WATCHPOST_SEED={seed}"));
    let backend = backend(seed)?;
    let mut hub = setup(&backend)?.start()?;
    let begun = Instant::now();
    let mut guard = Guard::default();
    let mut dice = fastrand::Rng::with_seed(seed);
    let killed = torture(&mut hub, &backend, kills, &mut guard, &mut dice)?;
    let tortured = begun.elapsed();

    // Nothing new from here on: what the hub has acknowledged when it has stopped is all it ever will.
    backend.order(&json!({"do": "alerts", "on": false}))?;
    hub.restart()?;
    guard.check(&hub)?;
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    let sent = backend.alerts()?;
    hub.restart()?;
    drain(&hub)?;
    let found = Found::look(
        &hub.setup().data_dir(),
        &archive_dir(hub.setup()),
        &record_file(hub.setup()),
    )?;
    let acknowledged = Acknowledged::among(&sent)?;
    let ids = found.check_nothing_lost(&acknowledged)?;
    check_pictures(&hub, &backend, &acknowledged, &ids)?;
    found.check_same_ids()?;
    let again = found.check_again_only_after(&killed)?;
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    say(&format!(
        "{kills} kills in {tortured:.1?}, drained and checked after {:.1?}: sent {}, acknowledged {}, stored {}, \
         archived {}, recorded {}, of those again {again}, lost 0; {}",
        begun.elapsed(),
        sent.iter().filter(|alert| !alert["sent_at_ms"].is_null()).count(),
        ids.len(),
        found.stored.len(),
        found.archived.len(),
        found.recorded.len(),
        guard.figures(),
    ));
    Ok(())
}

/// Alerts as fast as they are taken, each with an id, some of them twice.
fn backend(seed: u64) -> Result<Backend> {
    Backend::start(&[
        "--rate",
        RATE,
        "--burst",
        BURST,
        "--no-pose",
        "--picture-size",
        "10KB",
        "--frame",
        "320x240",
        "--ids",
        "--wait-for-client",
        // A replaced socket is closed and not left without its subscription: here it is the hub that breaks, not the link.
        "--no-faithful",
        "--fault",
        "duplicate=0.05",
        "--seed",
        &seed.to_string(),
    ])
}

fn setup(backend: &Backend) -> Result<HubSetup> {
    // What the list brings afterwards is another matter, and would go on for minutes.
    let without_list = toml! { backfill = { enabled = false } };
    let setup = HubSetup::new()?.connection_with("shop", backend, without_list)?;
    let (archive, record) = (display(&archive_dir(&setup)), display(&record_file(&setup)));
    let plugins = display(hostile_plugin_dir()?);
    // All that is stored goes to both sinks: a busy hub may have to say that it took no more alerts.
    let all = toml! { events = true };
    Ok(Guard::vault(setup)
        .with(toml! {
            [hub]
            plugin_dirs = [plugins]
        })
        .sink("archive", "archive", toml! { dir = archive })
        .sink_with("recorder", "recorder", toml! { file = record }, all))
}

/// Kills the hub at instants of the seed's choosing, and returns these. It is dead afterwards.
fn torture(
    hub: &mut Hub,
    backend: &Backend,
    kills: u64,
    guard: &mut Guard,
    rng: &mut fastrand::Rng,
) -> Result<Vec<Kill>> {
    let mut times = Vec::new();
    for kill in 1..=kills {
        if rng.u64(..STARTING_ONE_IN) == 0 {
            let mut lines = rng.u64(..=MAX_LINES);
            if lines > 0 {
                hub.process().line("line of a starting hub", PATIENCE, |_| {
                    lines -= 1;
                    (lines == 0).then_some(())
                })?;
            }
        } else {
            let before = acknowledged(backend)?;
            let wanted = before + rng.u64(1..=MAX_MORE_ALERTS);
            eventually(
                &format!("alerts before kill {kill}"),
                PATIENCE,
                || match acknowledged(backend) {
                    Ok(now) if now >= wanted => Ok(()),
                    Ok(now) => Err(format!(
                        "{} of {} acknowledged; the hub wrote:\n{}",
                        now - before,
                        wanted - before,
                        hub.process().log()
                    )),
                    Err(error) => Err(format!("{error:#}")),
                },
            )?;
            guard.check(hub).with_context(|| format!("before kill {kill}"))?;
            if rng.bool() {
                guard.act(hub, rng)?;
            } else {
                guard.begin(hub, rng)?;
            }
        }
        let start = unix_ms()?;
        hub.kill().with_context(|| format!("kill {kill}"))?;
        times.push(start..=unix_ms()?);
        if kill < kills {
            start_without_waiting(hub)?;
        }
    }
    Ok(times)
}

fn unix_ms() -> Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}

/// The next kill may come before the hub answers anybody.
fn start_without_waiting(hub: &mut Hub) -> Result<()> {
    let mut command = Command::new(artefacts()?.watchpost()?);
    command.arg("run").arg("--config").arg(hub.setup().config_path());
    *hub.process() = Process::spawn("watchpost run", &mut command)?;
    Ok(())
}

fn acknowledged(backend: &Backend) -> Result<u64> {
    backend.stats()?["acknowledged"].as_u64().context("a number")
}

/// Waits until both sinks have been given everything that is stored.
fn drain(hub: &Hub) -> Result<()> {
    let drained = hub.until("everything delivered", DRAIN_DEADLINE, |status| {
        let sinks = status["sinks"].as_array().map_or(&[][..], Vec::as_slice);
        sinks.len() == 2
            && sinks.iter().all(|sink| {
                let finished =
                    ["delivered", "dead", "expired"].map(|state| count(&sink["deliveries"], state));
                count(&sink["deliveries"], "pending") == 0
                    && finished.iter().sum::<u64>() >= count(&status["store"], "alerts")
            })
    })?;
    for sink in 0..2 {
        let sink = &drained["sinks"][sink];
        for state in ["dead", "expired"] {
            let given_up = count(&sink["deliveries"], state);
            ensure!(given_up == 0, "{given_up} deliveries are {state}: {sink:#}");
        }
    }
    Ok(())
}

/// What comes out of the hub is what went in, for pictures from all over the frame log.
fn check_pictures(hub: &Hub, backend: &Backend, sent: &[Acknowledged], ids: &[u64]) -> Result<()> {
    let file = hub.setup().dir().join("shown.jpg");
    // The newest, for the backend forgets old ones.
    for (alert, id) in sent.iter().zip(ids).rev().take(PICTURES_ASKED_FOR) {
        hub.ask("alerts", &["show", &id.to_string(), "--picture", &display(&file)])?;
        let original = backend.picture(&alert.anomaly_id)?;
        ensure!(
            fs::read(&file)? == original,
            "the picture of alert {id} is another one"
        );
    }
    Ok(())
}

fn archive_dir(setup: &HubSetup) -> PathBuf {
    setup.dir().join("archive")
}

fn record_file(setup: &HubSetup) -> PathBuf {
    setup.dir().join("record")
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
