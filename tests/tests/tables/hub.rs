//! The process of a hub whose clock is steered: the product's hub with its control socket, its store on the disk, its children and
//! its network, on a [`Platform`] where time stands still. All of it is on one thread, but for the servers.
//!
//! It is this test program once more, which is asked for the one test below with a directory in its environment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::time::Duration;

use actix_rt::System;
use actix_tls::connect::ConnectInfo;
use anyhow::{Context as _, Result, bail};
use awc::http::Uri;
use tokio::sync::mpsc;
use watchpost_config::{Loaded, SinkSettings, load};
use watchpost_core::UnixMillis;
use watchpost_hub::{Connecting, Hub, HubHandle, Launcher, Machine, Platform, Storage, Threads, WallClock};
use watchpost_store::Store;
use watchpost_web::{
    ConfigurationStatus, InboundServer, NotReloaded, Program, ProgramStatus, Reloaded, Reloading,
    serve_control,
};

use super::clock::SteeredClock;
use super::rest::{Rest, thread_id};

/// The variable with the directory of the hub: its configuration, its data, its clock, and the socket by which it is steered.
pub(crate) const DIR: &str = "WATCHPOST_STEERED_HUB";

/// Since 1970 and since the machine was started: the time at which it begins, in milliseconds.
pub(crate) const NOW: &str = "WATCHPOST_STEERED_NOW";
pub(crate) const STEADY: &str = "WATCHPOST_STEERED_STEADY";

/// The program that runs plugins.
pub(crate) const SINKHOST: &str = "WATCHPOST_STEERED_SINKHOST";

/// The name of the test that is the hub.
pub(crate) const TEST: &str = "hub::a_hub_whose_clock_is_steered";

/// Time goes by in steps of this: what is due within one happens at its end.
const STEP: Duration = Duration::from_secs(1);

/// In so many turns the hub's thread has done with what is due in a step, unless others are to do something too. What takes more
/// of them is done while the next step goes by, as on a machine that is busy.
const TURNS: usize = 16;

pub(crate) fn steering_socket(dir: &Path) -> PathBuf {
    dir.join("steer.sock")
}

pub(crate) fn config_file(dir: &Path) -> PathBuf {
    dir.join("watchpost.toml")
}

#[test]
fn a_hub_whose_clock_is_steered() -> Result<()> {
    let Some(dir) = std::env::var_os(DIR) else {
        return Ok(());
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let dir = PathBuf::from(dir);
    let clock = SteeredClock::new(
        &dir,
        UnixMillis(millis(NOW)?.cast_signed()),
        Duration::from_millis(millis(STEADY)?),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?;
    // It lives as long as the process.
    let clock: &'static SteeredClock = Box::leak(Box::new(clock));
    System::with_tokio_rt(|| runtime).block_on(serve(dir, clock))
}

fn millis(variable: &str) -> Result<u64> {
    let text = std::env::var(variable).with_context(|| variable.to_owned())?;
    text.parse().with_context(|| format!("{variable}={text}"))
}

/// What it stands on: this machine, but for its time and that there is one thread.
#[derive(Debug)]
struct Ground(&'static SteeredClock);

impl Platform for Ground {
    fn wall_clock(&self) -> &'static dyn WallClock {
        self.0
    }

    fn connect(&self, request: ConnectInfo<Uri>) -> Connecting {
        Machine.connect(request)
    }

    fn threads(&self) -> Threads {
        Threads::Shared
    }

    fn storage(&self, store: Store) -> Box<dyn Storage> {
        Machine.storage(store)
    }

    fn launcher(&self, sink: &SinkSettings) -> Option<Arc<dyn Launcher>> {
        Machine.launcher(sink)
    }
}

/// As `watchpost run` does it.
async fn serve(dir: PathBuf, clock: &'static SteeredClock) -> Result<()> {
    // While something blocks, a clock that was stopped does not go by itself. This lasts as long as the process.
    tokio::task::spawn_blocking(|| {
        loop {
            std::thread::park();
        }
    });
    let settings = loaded(&dir).map_err(anyhow::Error::msg)?.settings;
    let (data_dir, listen) = (settings.hub.data_dir.clone(), settings.listen());
    let host_binary = PathBuf::from(std::env::var_os(SINKHOST).context(SINKHOST)?);
    let hub = Hub::start_on(Arc::new(Ground(clock)), settings, host_binary).await?;
    let mut inbound = InboundServer::new(hub.clone());
    inbound.switch(inbound.prepare(listen)?).await?;
    let service = Service {
        hub: hub.clone(),
        dir: dir.clone(),
    };
    actix_rt::spawn(serve_control(hub, Arc::new(service), &data_dir)?);
    let (steps, mut stepped) = mpsc::unbounded_channel();
    let rest = Arc::new(Mutex::new(Rest::new()));
    let (of_steering, own) = (Arc::clone(&rest), thread_id());
    std::thread::spawn(move || {
        let steered = steer(&dir, clock, &of_steering, &steps);
        tracing::info!("it is steered no more: {steered:?}");
    });
    while let Some(Steps { time, done }) = stepped.recv().await {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(STEP);
            clock.advance(step).await?;
            left -= step;
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            if !locked(&rest).is_undisturbed_by(own) {
                break;
            }
        }
        // Who asked waits for it.
        let _ = done.send(left);
    }
    bail!("no one steers the hub any more")
}

fn locked(rest: &Mutex<Rest>) -> MutexGuard<'_, Rest> {
    rest.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loaded(dir: &Path) -> std::result::Result<Loaded, String> {
    load(&config_file(dir)).map_err(|errors| {
        let errors = errors.errors().iter().map(ToString::to_string);
        errors.collect::<Vec<_>>().join("\n")
    })
}

/// What the control socket is shown of this program.
struct Service {
    hub: HubHandle,
    dir: PathBuf,
}

impl Program for Service {
    fn status(&self) -> ProgramStatus {
        ProgramStatus {
            configuration: ConfigurationStatus {
                file: config_file(&self.dir).display().to_string(),
                ..ConfigurationStatus::default()
            },
            ..ProgramStatus::default()
        }
    }

    fn reload(&self) -> Reloading {
        let (hub, dir) = (self.hub.clone(), self.dir.clone());
        let refused = |why| NotReloaded {
            why,
            reports: Vec::new(),
        };
        Box::pin(async move {
            let settings = loaded(&dir).map_err(refused)?.settings;
            let applied = hub.apply(settings).await;
            Ok(Reloaded {
                file: config_file(&dir).display().to_string(),
                applied: applied.map_err(|error| refused(error.to_string()))?,
                ..Reloaded::default()
            })
        })
    }
}

/// So much time is to go by. It does until a step of it has consequences outside of the hub's thread; what is left then is
/// answered.
struct Steps {
    time: Duration,
    done: std_mpsc::Sender<Duration>,
}

/// Does what it is asked over the socket, a line each: `watch PID`, a process that belongs to it; `set MS`, the clock is set by
/// so much; `go MS`, time goes by, and each step of it once all are at rest, as they are in the end.
fn steer(
    dir: &Path,
    clock: &SteeredClock,
    rest: &Mutex<Rest>,
    steps: &mpsc::UnboundedSender<Steps>,
) -> Result<()> {
    locked(rest).leave_out(thread_id());
    let mut answers = UnixStream::connect(steering_socket(dir))?;
    for line in BufReader::new(answers.try_clone()?).lines() {
        let line = line?;
        let (word, number) = line.split_once(' ').context("a word and a number")?;
        match word {
            "watch" => locked(rest).watch(number.parse()?),
            "set" => clock.set_by(number.parse()?)?,
            "go" => {
                let mut left = Duration::from_millis(number.parse()?);
                locked(rest).wait()?;
                while !left.is_zero() {
                    let (done, is_done) = std_mpsc::channel();
                    let asked = steps.send(Steps { time: left, done });
                    asked.ok().context("the hub has ended")?;
                    left = is_done.recv()?;
                    locked(rest).wait()?;
                }
            }
            _ => bail!("{line}"),
        }
        writeln!(answers, "done")?;
    }
    Ok(())
}
