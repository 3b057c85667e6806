//! `watchpost simulate`: a VisionGuard backend that makes up alerts.

use std::net::SocketAddr;
use std::time::Duration;

use actix_rt::System;
use clap::Args;
use time::UtcOffset;
use tokio::signal::unix::{SignalKind, signal};
use watchpost_config::TimeSpan;
use watchpost_simulator::{Faults, FrameSize, Options, PictureSize, Running};

use crate::out;

/// What `simulate --help` says of faults.
const FAULTS_HELP: &str = "\
What goes wrong, and how often: name=chance, separated by commas, each chance 0 to 1.

Of each alert:
  drop       it is recorded but not sent
  duplicate  it is sent twice
  garbage    a message that cannot be understood comes before it
  badframe   its picture is broken
  infinity   its score is -Infinity, which is not JSON
  fragment   it comes in several WebSocket frames
  cut        the TCP connection is reset after it
  close      the socket is closed with code 1012 after it
  freeze     nothing is read or written after it, for a time: freeze=30s@0.001
  deaf       its receiver gets pings after it, but no alerts
  dead       its receiver gets nothing more, and the socket stays open
Of each notification:
  mute       it is not sent
  tardy      it comes after that of the next alert
Of each handshake:
  reject     refused with 403
  error      refused with 500
  bounce     accepted and closed at once

For instance: drop=0.01,garbage=0.05,freeze=30s@0.001";

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    #[command(flatten)]
    pub(crate) scene: SceneArgs,
    /// Stop making alerts after this many.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Make alerts only while a client is connected.
    #[arg(long)]
    wait_for_client: bool,
    /// Behave well, without the real backend's quirks: no slot taken away by a second client, no socket left open and dead.
    #[arg(long)]
    no_faithful: bool,
    /// Give every alert an id, which the real backend does not.
    #[arg(long)]
    ids: bool,
    /// Time between the server's pings.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    heartbeat: TimeSpan,
    /// How long a token is good for.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    token_life: TimeSpan,
    /// How far the server's local time is from UTC, in whole hours.
    #[arg(long, value_name = "HOURS", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i8).range(-23..=23))]
    utc_offset: i8,
    /// What goes wrong, and how often, for instance `drop=0.01,garbage=0.05`.
    #[arg(long, value_name = "FAULTS", default_value = "", long_help = FAULTS_HELP)]
    fault: Faults,
    /// Print one JSON document with everything needed to connect instead of a configuration to paste.
    #[arg(long)]
    json: bool,
}

/// What the cameras show.
#[derive(Clone, Debug, Args)]
pub(crate) struct SceneArgs {
    /// Number of cameras.
    #[arg(long, default_value_t = 4)]
    cameras: u32,
    /// Alerts a second, of all cameras together.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Alerts that come at once.
    #[arg(long, default_value_t = 1)]
    burst: u32,
    /// Size of the pictures in pixels.
    #[arg(long, value_name = "WxH", default_value = "1280x720")]
    frame: FrameSize,
    /// Make the picture files about this large, for load tests.
    #[arg(long, value_name = "SIZE")]
    picture_size: Option<PictureSize>,
    /// Leave out the body poses, which make up 30 KB of each real message and person.
    #[arg(long)]
    no_pose: bool,
    /// Decides everything random: the same seed makes the same alerts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl SceneArgs {
    pub(crate) fn options(&self) -> Options {
        Options {
            cameras: self.cameras,
            rate: self.rate,
            burst: self.burst,
            frame: self.frame,
            picture_size: self.picture_size,
            pose: !self.no_pose,
            seed: self.seed,
            ..Options::default()
        }
    }
}

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    System::new().block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let running = watchpost_simulator::start(Options {
            listen: args.listen,
            limit: args.count,
            wait_for_client: args.wait_for_client,
            faithful: !args.no_faithful,
            ids: args.ids,
            heartbeat: Duration::from(args.heartbeat),
            token_life: Duration::from(args.token_life),
            local_offset: UtcOffset::from_hms(args.utc_offset, 0, 0)?,
            faults: args.fault.clone(),
            ..args.scene.options()
        })
        .await?;
        announce(&running, args.json)?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.stop().await;
        Ok(())
    })
}

fn announce(running: &Running, json: bool) -> anyhow::Result<()> {
    let url = running.url();
    let (user_id, token, account) = (running.user_id(), running.token()?, running.account());
    if json {
        return out::json(&serde_json::json!({
            "url": url,
            "user_id": user_id,
            "token": token,
            "email": account.email,
            "password": account.password,
        }));
    }
    out::line(format_args!(
        "# A simulated backend listens. This is the connection to it:\n\n\
         [[connection]]\nname = \"simulator\"\nurl = \"{url}\"\nuser_id = \"{user_id}\"\ntoken = \"{token}\"\n\n\
         # Ctrl-C ends it."
    ))?;
    Ok(())
}
