//! The machine itself: who can read secrets, how much room there is, how long a sync takes, whether the service runs.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use miette::Diagnostic as _;
use rustix::fs::statvfs;
use watchpost_config::Loaded;
use watchpost_web::{ConfigurationStatus, Status};

use super::{OLDER_CONFIGURATION, Report};

/// Writes that are timed.
const SYNCS: usize = 20;

/// A disk that takes longer for half of them delays every receipt: an SD card at its end, or a share.
const MAX_SYNC: Duration = Duration::from_millis(50);

/// Bits of a mode that let others in.
const OTHERS: u32 = 0o007;
/// The part of it that shows nothing.
const PASS: u32 = 0o001;

pub(super) fn check(report: &mut Report, loaded: &Loaded, status: Option<&Status>) {
    report.begin("this machine");
    let findings = loaded.inspect();
    for finding in &findings {
        let hint = finding.help().map(|help| help.to_string()).unwrap_or_default();
        if finding.is_warning() {
            report.warn("configuration", finding.to_string(), hint);
        } else {
            report.fail("configuration", finding.to_string(), hint);
        }
    }
    if findings.is_empty() {
        report.pass(
            "configuration",
            "the files and folders it names are there, its secrets are readable for their owner only",
        );
    }
    match status {
        Some(status) => {
            let hub = &status.hub;
            report.pass(
                "hub",
                format!(
                    "runs as process {}, since {}",
                    hub.pid,
                    report.time(hub.started_at)
                ),
            );
            for file in &status.program.replaced {
                report.warn(
                    "hub",
                    format!("{file} was replaced, and the old one runs"),
                    "Restart the hub: `systemctl restart watchpost`.",
                );
            }
            running_configuration(report, &status.program.configuration);
        }
        None => service(report),
    }
    if let Some(error) = status.and_then(|status| status.hub.store.error.as_deref()) {
        report.fail(
            "store",
            error,
            "Make room, or see whether the disk is well: `dmesg`.",
        );
    }
    disk(report, loaded);
}

fn running_configuration(report: &mut Report, running: &ConfigurationStatus) {
    let check = "running configuration";
    let (file, read_at) = (&running.file, report.time(running.read_at));
    match (&running.refused, running.outdated) {
        (Some(refused), _) => report.fail(
            check,
            format!(
                "the reload at {} was refused: {}",
                report.time(refused.at),
                refused.why
            ),
            "Mend it and run `watchpost reload`: until then the hub goes by the configuration before. `watchpost check` \
             shows what is wrong in the file.",
        ),
        (None, true) => report.warn(
            check,
            format!("{file} was changed since the hub read it, {read_at}"),
            OLDER_CONFIGURATION,
        ),
        (None, false) => report.pass(check, format!("{file} as it is, read {read_at}")),
    }
}

fn service(report: &mut Report) {
    let hint = "`systemctl enable --now watchpost` starts it now and with the machine.";
    if !Path::new("/run/systemd/system").exists() {
        return report.warn("hub", "does not run", "Start it: `watchpost run`.");
    }
    let asked = Command::new("systemctl")
        .args(["is-active", "watchpost"])
        .output();
    let word = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    report.warn(
        "hub",
        format!("does not run; its service is {}", word.unwrap_or_default()),
        hint,
    );
}

fn disk(report: &mut Report, loaded: &Loaded) {
    let dir = &loaded.settings.hub.data_dir;
    let metadata = match dir.metadata() {
        Ok(metadata) => metadata,
        Err(e) => {
            return report.skip(
                "disk",
                format!("{}: {e}; the hub makes it at its first start", dir.display()),
            );
        }
    };
    let has_users = loaded
        .settings
        .sink
        .iter()
        .any(|sink| sink.sandbox.user.is_some());
    // The hub itself lets the users of its sinks pass through.
    let others = if has_users { OTHERS & !PASS } else { OTHERS };
    if metadata.mode() & others != 0 {
        report.warn(
            "data directory",
            format!(
                "every user of this machine can look into {}, where pictures of people are",
                dir.display()
            ),
            format!("Run `chmod o-rwx {}`.", dir.display()),
        );
    }
    if let Ok(disk) = statvfs(dir) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let least = loaded.settings.store.min_free;
        let text = format!("{} MiB are free in {}", free >> 20, dir.display());
        if free < least.0 {
            report.fail(
                "disk",
                text,
                format!("Make room, or lower `max_size`: `min_free` is {least}."),
            );
        } else {
            report.pass("disk", text);
        }
    }
    match sync_time(dir) {
        Ok(time) if time > MAX_SYNC => report.warn(
            "sync",
            format!(
                "takes {:.1} ms, by which every receipt waits",
                time.as_secs_f64() * 1_000.0
            ),
            "Put `data_dir` on a local SSD.",
        ),
        Ok(time) => report.pass("sync", format!("takes {:.2} ms", time.as_secs_f64() * 1_000.0)),
        Err(e) => report.fail(
            "sync",
            format!("cannot write in {}: {e}", dir.display()),
            "Make it writable for the hub's user, and run this as that user.",
        ),
    }
}

/// The median time to get 4 KiB onto the disk.
fn sync_time(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join(format!("doctor-{}.tmp", std::process::id()));
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    let outcome = (0..SYNCS).try_for_each(|_| {
        let started = Instant::now();
        file.write_all(&[0x57; 4_096])?;
        file.sync_data()?;
        times.push(started.elapsed());
        Ok(())
    });
    std::fs::remove_file(&path)?;
    outcome.map(|()| {
        times.sort_unstable();
        times[SYNCS / 2]
    })
}
