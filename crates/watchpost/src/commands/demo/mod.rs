//! `watchpost demo`: the whole way of an alert, to watch. The simulated backend and the hub are processes of their own,
//! as they are in service.

mod child;
mod simulator;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use actix_rt::System;
use actix_rt::time::{Instant, sleep, sleep_until};
use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use watchpost_config::{TimeSpan, TimeZone};
use watchpost_core::{AlertId, DeliveryState, Picture};
use watchpost_hub::{AlertEntry, AlertPage, HubStatus};

use self::child::ChildProcess;
use self::simulator::Simulator;
use crate::client::HubClient;
use crate::out;

/// How often the hub is asked what is new.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How long the hub may take to start, to finish what is in hand, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Alerts asked for at once.
const LOOK_LIMIT: usize = 1_000;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End by itself after this time, for instance `15s`. Without it, Ctrl-C ends the demo.
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<TimeSpan>,
    /// Where to put everything, instead of a new temporary directory. It must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the archive plugin is, if not beside this program.
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Options of the simulated backend, last: for instance `--rate 20 --frame 640x480`. `watchpost simulate --help`
    /// lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    simulator: Vec<OsString>,
}

/// What the last line says.
struct Totals {
    sent: u64,
    acknowledged: u64,
    stored: u64,
    archived: u64,
}

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let totals = System::new().block_on(show(args))?;
    let Totals {
        sent,
        acknowledged,
        stored,
        archived,
    } = totals;
    out::line(format_args!(
        "sent={sent} acknowledged={acknowledged} stored={stored} archived={archived}"
    ))?;
    anyhow::ensure!(sent > 0, "the demo saw no alert");
    let all_equal = [acknowledged, stored, archived]
        .iter()
        .all(|&count| count == sent);
    anyhow::ensure!(
        all_equal,
        "some alerts did not make it all the way; the hub's log says why"
    );
    Ok(())
}

async fn show(args: &DemoArgs) -> anyhow::Result<Totals> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let backend = Simulator::start(&args.simulator)?;
    let dir = directory(args.dir.as_deref())?;
    let hub = HubProcess::start(&dir, &backend, args.plugin_dir.as_deref())?;
    out::line(format_args!("pictures: {}", hub.archive.display()))?;
    out::line(format_args!("log:      {}", hub.log.display()))?;
    out::line("")?;
    hub.wait_until_up().await?;

    let end = args.duration.map(|time| Instant::now() + Duration::from(time));
    let mut printer = Printer { last: AlertId(0) };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = until(end) => break,
            () = sleep(LOOK_INTERVAL) => printer.print_new(&hub).await?,
        }
    }

    backend.stop_alerts().await?;
    let deadline = Instant::now() + PATIENCE;
    while !hub.has_finished(&backend).await? && Instant::now() < deadline {
        sleep(LOOK_INTERVAL / 4).await;
    }
    printer.print_new(&hub).await?;
    let stored = hub.client.get::<HubStatus>("/v1/status").await?.store.alerts;
    let archive = hub.archive.clone();
    hub.stop().await?;
    let stats = backend.stats().await?;
    backend.stop().await?;
    let archived = count_pictures(&archive)?;
    Ok(Totals {
        sent: stats.sent,
        acknowledged: stats.acknowledged,
        stored,
        archived,
    })
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Prints each alert once.
struct Printer {
    last: AlertId,
}

impl Printer {
    async fn print_new(&mut self, hub: &HubProcess) -> anyhow::Result<()> {
        let page: AlertPage = hub
            .client
            .get(&format!("/v1/alerts?all=true&limit={LOOK_LIMIT}"))
            .await?;
        let mut entries = page.alerts;
        entries.retain(|entry| entry.alert.id > self.last);
        entries.reverse();
        for AlertEntry { alert, .. } in &entries {
            let picture = match &alert.picture {
                Picture::Jpeg { bytes, width, height } => format!("{width}x{height}, {} KB", bytes / 1_000),
                Picture::Pending { .. } => "picture being fetched".to_owned(),
                Picture::Missing(why) => format!("no picture: {why}"),
            };
            out::line(format_args!(
                "{}  {:32} {picture}",
                TimeZone::system().show(alert.happened_at().0),
                alert.title
            ))?;
            self.last = alert.id;
        }
        Ok(())
    }
}

/// The hub as a child process.
struct HubProcess {
    process: ChildProcess,
    client: HubClient,
    archive: PathBuf,
    log: PathBuf,
}

impl HubProcess {
    fn start(dir: &Path, backend: &Simulator, plugin_dir: Option<&Path>) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().unwrap_or(Path::new("."));
        let plugins = fs::canonicalize(plugin_dir.unwrap_or(beside)).context("--plugin-dir")?;
        let (data, archive) = (dir.join("data"), dir.join("archive"));
        let (config, log) = (dir.join("watchpost.toml"), dir.join("watchpost.log"));
        fs::create_dir(&archive)?;
        let text = format!(
            "[hub]\ndata_dir = {data:?}\nplugin_dirs = [{plugins:?}]\n\n\
             [[connection]]\nname = \"demo\"\nurl = {:?}\n\n\
             [connection.login]\nemail = {:?}\npassword = {:?}\n\n\
             [[sink]]\nname = \"archive\"\nplugin = \"archive\"\n\n\
             [sink.sandbox]\nwrite = [{archive:?}]\n\n[sink.config]\ndir = {archive:?}\n",
            backend.ready.url, backend.ready.email, backend.ready.password,
        );
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command
            .arg("run")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?);
        let process = ChildProcess::start("the hub", &mut command)?;
        Ok(Self {
            process,
            client: HubClient::new(&data),
            archive,
            log,
        })
    }

    async fn wait_until_up(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.client.get::<HubStatus>("/v1/status").await {
            if Instant::now() > deadline {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(error.context(format!("the hub did not start. Its log:\n{log}")));
            }
            sleep(LOOK_INTERVAL / 8).await;
        }
        Ok(())
    }

    /// Whether everything the backend sent has come to its end.
    async fn has_finished(&self, backend: &Simulator) -> anyhow::Result<bool> {
        let status: HubStatus = self.client.get("/v1/status").await?;
        let stats = backend.stats().await?;
        let delivered =
            |sink: &watchpost_hub::SinkReport| sink.deliveries.get(&DeliveryState::Delivered).copied();
        Ok(stats.acknowledged == stats.sent
            && status
                .sinks
                .iter()
                .all(|sink| delivered(sink).unwrap_or(0) >= stats.sent))
    }

    async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.process.stop().await;
        stopped.with_context(|| format!("see {}", self.log.display()))
    }
}

fn directory(wanted: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Some(dir) = wanted else {
        // Kept, so that the pictures can be looked at afterwards.
        return Ok(tempfile::Builder::new()
            .prefix("watchpost-demo-")
            .tempdir()?
            .keep());
    };
    fs::create_dir_all(dir)?;
    let empty = fs::read_dir(dir)?.next().is_none();
    anyhow::ensure!(empty, "{} is not empty", dir.display());
    Ok(fs::canonicalize(dir)?)
}

fn count_pictures(dir: &Path) -> std::io::Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count += count_pictures(&entry.path())?;
        } else if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "jpg")
        {
            count += 1;
        }
    }
    Ok(count)
}
