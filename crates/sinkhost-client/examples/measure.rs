//! What a child costs: time from spawn to ready, time a delivery without and with a picture, memory.
//!
//!     cargo build --release -p watchpost-sinkhost --bins
//!     cargo run --release -p watchpost-sinkhost --example measure -- target/release/watchpost-sinkhost PLUGIN.so
//!
//! The plugin should do nothing in `deliver`, or its own time is measured too.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that measures and prints figures"
)]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchpost_sinkhost_client::sandbox::Grants;
use watchpost_sinkhost_client::{
    AlertDoc, Cgroups, Conduct, Event, EventStream, FrameFd, FrameMeta, Host, Job, Launch, Severity,
};

const ROUNDS: u64 = 20_000;
const STARTS: u32 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(host_binary), Some(plugin)) = (arguments.next(), arguments.next()) else {
        return Err("give the path of watchpost-sinkhost and that of a plugin".into());
    };
    let launch = Launch {
        host_binary,
        grants: Grants::for_sink(&plugin, &std::env::temp_dir()),
        plugin,
        instance: "measure".into(),
        state_dir: std::env::temp_dir(),
        config_json: "{}".into(),
        hub_version: env!("CARGO_PKG_VERSION").into(),
        create_timeout: Duration::from_secs(10),
        cgroups: Cgroups::none("a test"),
        conduct: Conduct::default(),
    };

    let begun = Instant::now();
    for _ in 0..STARTS {
        Host::start(launch.clone())
            .await?
            .0
            .stop(Duration::from_secs(5))
            .await;
    }
    println!("spawn to ready to gone: {:?}", begun.elapsed() / STARTS);
    let begun = Instant::now();
    let (host, mut events) = Host::start(launch).await?;
    println!("spawn to ready: {:?}", begun.elapsed());

    let mut next_call = 0;
    for (what, frame_bytes, in_flight) in [
        ("one at a time", 0, 1),
        ("64 at a time", 0, 64),
        ("one at a time", 300_000, 1),
        ("64 at a time", 300_000, 64),
    ] {
        let rounds = if frame_bytes == 0 { ROUNDS } else { ROUNDS / 5 };
        let begun = Instant::now();
        deliver(&host, &mut events, &mut next_call, rounds, in_flight, frame_bytes).await?;
        let micros = begun.elapsed().as_secs_f64() * 1e6 / rounds as f64;
        println!("a delivery with {frame_bytes} bytes of picture, {what}: {micros:.1} µs");
    }
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", host.pid()))?;
    for line in rollup
        .lines()
        .filter(|line| line.starts_with("Rss:") || line.starts_with("Pss:"))
    {
        println!("{line}");
    }
    host.stop(Duration::from_secs(5)).await;
    Ok(())
}

/// Makes `rounds` deliveries, with so many in flight, and waits for them.
async fn deliver(
    host: &Host,
    events: &mut EventStream,
    next_call: &mut u64,
    rounds: u64,
    in_flight: u64,
    frame_bytes: usize,
) -> Result<(), Box<dyn Error>> {
    let alert = Arc::new(AlertDoc {
        id: "1".into(),
        severity: Severity::High,
        title: "ok".into(),
        text: "A person climbs the fence.".into(),
        json: "{}".into(),
        unix_ms: 0,
        utc_offset_s: 0,
    });
    let picture = vec![0; frame_bytes];
    let (mut sent, mut done) = (0, 0);
    while done < rounds {
        while sent < rounds && sent - done < in_flight {
            let mut frames = Vec::new();
            if frame_bytes > 0 {
                let meta = FrameMeta {
                    mime: "image/jpeg".into(),
                    name: "a.jpg".into(),
                    width: 0,
                    height: 0,
                };
                frames.push(FrameFd::from_bytes(meta, &picture)?);
            }
            let alert = Arc::clone(&alert);
            host.deliver(Job {
                call_id: *next_call,
                attempt: 1,
                timeout: Duration::from_secs(10),
                alert,
                frames,
            })?;
            *next_call += 1;
            sent += 1;
        }
        match events.next().await {
            Some(Event::Done { .. }) => done += 1,
            Some(Event::Begun { .. } | Event::Log { .. }) => {}
            other => return Err(format!("{other:?} instead of an outcome").into()),
        }
    }
    Ok(())
}
