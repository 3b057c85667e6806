//! The command line of the simulator. Its help texts are its documentation.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use time::UtcOffset;
use watchpost_simulator::{Faults, FrameSize, Options, PictureSize};

/// What `--help` says of faults.
const FAULTS_HELP: &str = "\
What goes wrong, and how often: name=chance, separated by commas, each chance 0 to 1.

Of each alert:
  drop               it is recorded but not sent
  duplicate          it is sent twice
  garbage            a message that cannot be understood comes before it
  badframe           its picture is broken
  infinity           its score is -Infinity, which is not JSON
  fragment           it comes in several WebSocket frames
  cut                the TCP connection is reset after it
  close              the socket is closed with code 1012 after it
  freeze             nothing is read or written after it, for a time: freeze=30s@0.001
  drop_registration  its receiver gets pings after it, but no alerts
  blackhole          its receiver gets nothing more, and the socket stays open
Of each notification:
  mute               it is not sent
  tardy              it comes after that of the next alert
Of each handshake:
  reject             refused with 403
  error              refused with 500
  bounce             accepted and closed at once

For instance: drop=0.01,garbage=0.05,freeze=30s@0.001";

/// A VisionGuard backend that makes up alerts, to try and test Watchpost with.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Number of cameras.
    #[arg(long, default_value_t = 4)]
    cameras: u32,
    /// Number of shops, among which the cameras are dealt out.
    #[arg(long, default_value_t = 1)]
    shops: u32,
    /// Alerts a second, of all cameras together.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Alerts that come at once.
    #[arg(long, default_value_t = 1)]
    burst: u32,
    /// Size of the pictures in pixels.
    #[arg(long, value_name = "WxH", default_value = "1280x720")]
    frame: FrameSize,
    /// Make the picture files exactly this large, for load tests.
    #[arg(long, value_name = "SIZE")]
    picture_size: Option<PictureSize>,
    /// Leave out the body poses, which make up 30 KB of each real message and person.
    #[arg(long)]
    no_pose: bool,
    /// Decides everything random: the same seed makes the same alerts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop making alerts after this many.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Make alerts only while a client is connected.
    #[arg(long)]
    wait_for_client: bool,
    /// Behave well, without the real backend's quirks: no slot taken by a second client, no socket left open and silent.
    #[arg(long)]
    no_faithful: bool,
    /// Give every alert an id, which the real backend does not.
    #[arg(long)]
    ids: bool,
    /// Time between the server's pings.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    heartbeat: Duration,
    /// How long a token is good for.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    token_life: Duration,
    /// How far the server's local time is from UTC, in whole hours.
    #[arg(long, value_name = "HOURS", default_value = "0", allow_negative_numbers = true, value_parser = utc_offset)]
    utc_offset: UtcOffset,
    /// Go by the time that stands in this file, in milliseconds since 1970. A login takes no time then.
    #[arg(long, value_name = "FILE")]
    clock: Option<PathBuf>,
    /// What goes wrong, and how often, for instance `drop=0.01,garbage=0.05`.
    #[arg(long, value_name = "FAULTS", default_value = "", long_help = FAULTS_HELP)]
    fault: Faults,
    /// Print one JSON document with everything needed to connect instead of a configuration to paste.
    #[arg(long)]
    pub(crate) json: bool,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        let usual = Self::default();
        Self {
            login_time: match args.clock {
                Some(_) => Duration::ZERO,
                None => usual.login_time,
            },
            clock: args.clock,
            listen: args.listen,
            cameras: args.cameras,
            shops: args.shops,
            rate: args.rate,
            burst: args.burst,
            frame: args.frame,
            picture_size: args.picture_size,
            pose: !args.no_pose,
            seed: args.seed,
            limit: args.count,
            wait_for_client: args.wait_for_client,
            faithful: !args.no_faithful,
            ids: args.ids,
            heartbeat: args.heartbeat,
            token_life: args.token_life,
            local_offset: args.utc_offset,
            faults: args.fault,
            ..usual
        }
    }
}

fn utc_offset(text: &str) -> Result<UtcOffset, String> {
    let hours = text.parse::<i8>().ok().filter(|hours| (-23..=23).contains(hours));
    hours
        .and_then(|hours| UtcOffset::from_hms(hours, 0, 0).ok())
        .ok_or_else(|| "expected whole hours from -23 to 23".to_owned())
}
