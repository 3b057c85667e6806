//! `watchpost status`: is it connected, does it store, does it deliver?

use std::time::Duration;

use actix_rt::System;
use clap::Args;
use watchpost_config::TimeZone;
use watchpost_core::{DeliveryState, Feed, Heard, HoldCause};
use watchpost_hub::{
    ConnectionReport, ConnectionState, HoldReport, HubStatus, LinkReport, QueueReport, SinkReport, SinkState,
};
use watchpost_web::{ConfigurationStatus, RefusedReload, Status};

use crate::client::HubClient;
use crate::commands::{areas, silence};
use crate::out;
use crate::target::{RunningHub, Target};

/// Clocks that differ by more are worth a word, in milliseconds.
const CLOCKS_DIFFER_MS: u64 = 5_000;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(target: &Target, args: &StatusArgs) -> anyhow::Result<()> {
    let RunningHub { data_dir, zone, .. } = target.running_hub()?;
    let status: Status = System::new().block_on(HubClient::new(&data_dir).get("/v1/status"))?;
    if args.json {
        return out::json(&status);
    }
    let Status { hub: status, program } = status;
    out::line(format_args!(
        "watchpost {}, process {}, since {}",
        status.version,
        status.pid,
        zone.show(status.started_at.0)
    ))?;
    if program.lost_log_lines > 0 {
        let lines = out::count(program.lost_log_lines, "line");
        out::line(format_args!(
            "{lines} of the log lost: standard error did not take them"
        ))?;
    }
    for file in &program.replaced {
        out::line(format_args!(
            "{file} was replaced, and the old one runs: restart the hub"
        ))?;
    }
    show_configuration(&program.configuration, &zone)?;
    if let Some(error) = &status.watchdog_error {
        out::line(format_args!("the watchdog could not be called: {error}"))?;
    }
    if let Some(problem) = &status.clock_problem {
        out::line(problem)?;
    }
    for connection in &status.connections {
        show_connection(connection, &zone)?;
    }
    let store = &status.store;
    out::line("")?;
    out::line(format_args!(
        "store: {}, {}, {} of pictures",
        store.error.as_deref().unwrap_or("ok"),
        out::count(store.alerts, "alert"),
        watchpost_config::ByteSize(store.picture_bytes),
    ))?;
    if store.unmatched > 0 {
        let alerts = out::count(store.unmatched, "alert");
        out::line(format_args!("  no route took {alerts}, which went to no sink"))?;
    }
    if let Some(opened) = &store.opened {
        out::line(format_args!("  {opened}"))?;
    }
    for sink in &status.sinks {
        show_sink(sink, &zone)?;
    }
    if !status.cgroup_gaps.is_empty() {
        out::line("")?;
    }
    for gap in &status.cgroup_gaps {
        out::line(format_args!("no cgroup limits {gap}"))?;
    }
    show_rules(&status, &zone)?;
    show_queues(&status.queues)
}

/// What is silenced, and what is armed.
fn show_rules(status: &HubStatus, zone: &TimeZone) -> anyhow::Result<()> {
    for (i, silence) in status.silences.iter().enumerate() {
        if i == 0 {
            out::line("")?;
        }
        silence::show(silence, zone)?;
    }
    for (i, area) in status.areas.iter().enumerate() {
        if i == 0 {
            out::line("")?;
        }
        areas::show(area, zone)?;
    }
    for (i, held) in status.held.iter().enumerate() {
        if i == 0 {
            out::line("")?;
        }
        show_held(held, zone)?;
    }
    show_quiet(&status.expected, zone)
}

/// What is to be sent to a sink as one message.
fn show_held(held: &HoldReport, zone: &TimeZone) -> anyhow::Result<()> {
    let why = match &held.cause {
        HoldCause::Late => "came late".to_owned(),
        HoldCause::Group { route, group } => format!("by route {route}{group}"),
        HoldCause::RateLimit => "over its `rate_limit`".to_owned(),
    };
    let (alerts, until) = (out::count(held.count, "alert"), zone.show(held.until.0));
    let sink = &held.sink;
    out::line(format_args!(
        "{sink}: {alerts} held for one message until {until}: {why}"
    ))?;
    Ok(())
}

/// What is expected to raise alerts and does not.
fn show_quiet(expected: &Heard, zone: &TimeZone) -> anyhow::Result<()> {
    for (name, last) in expected.iter() {
        let Some(since) = last.quiet_since else { continue };
        let since = zone.show(since.0);
        out::line("")?;
        match last.ever {
            true => out::line(format_args!("nothing from {name} since {since}"))?,
            false => out::line(format_args!("nothing from {name} at all, expected since {since}"))?,
        }
    }
    Ok(())
}

fn show_queues(queues: &[QueueReport]) -> anyhow::Result<()> {
    for queue in queues {
        let pending = out::count(queue.pending, "delivery");
        out::line("")?;
        out::line(format_args!(
            "{pending} to sink {}, which is no longer configured",
            queue.sink
        ))?;
        out::line(format_args!(
            "  made when it is again; `watchpost deliveries drop --sink {}` drops them",
            queue.sink
        ))?;
    }
    Ok(())
}

fn show_configuration(configuration: &ConfigurationStatus, zone: &TimeZone) -> anyhow::Result<()> {
    let ConfigurationStatus {
        file,
        read_at,
        outdated,
        refused,
    } = configuration;
    if *outdated {
        out::line(format_args!(
            "{file} was changed since it was read, {}: `watchpost reload` has the hub go by it",
            zone.show(read_at.0)
        ))?;
    }
    if let Some(RefusedReload { at, why }) = refused {
        out::line(format_args!(
            "the last reload, {}, was refused, and the hub goes by the configuration before: {why}",
            zone.show(at.0)
        ))?;
    }
    Ok(())
}

fn show_connection(connection: &ConnectionReport, zone: &TimeZone) -> anyhow::Result<()> {
    let ConnectionReport {
        name, url, counters, ..
    } = connection;
    let link = connection.link.clone().unwrap_or_default();
    let state = connection_state(connection.state, &link);
    out::line("")?;
    out::line(format_args!("connection {name}: {state}"))?;
    out::line(format_args!("  {url}"))?;
    if let Some(failure) = &connection.last_failure {
        out::line(format_args!("  {} {}", zone.show(failure.at.0), failure.what))?;
        if let Some(hint) = &failure.hint {
            out::line(format_args!("  {hint}"))?;
        }
    }
    if let Some(failure) = &link.list_failure {
        out::line(format_args!("  {} {}", zone.show(failure.at.0), failure.what))?;
        if let Some(hint) = &failure.hint {
            out::line(format_args!("  {hint}"))?;
        }
    }
    show_feed(&link, zone)?;
    if let Some(ahead) = link
        .clock_ahead_ms
        .filter(|ahead| ahead.unsigned_abs() >= CLOCKS_DIFFER_MS)
    {
        let which = if ahead < 0 { "behind" } else { "ahead of" };
        let by = duration(ahead.unsigned_abs());
        out::line(format_args!(
            "  this machine's clock is {by} {which} the backend's"
        ))?;
    }
    let happened = counters.link.clone().unwrap_or_default();
    out::line(format_args!(
        "  alerts: {} received, {} stored, {} fetched, {} receipts sent, {} dropped; {}",
        counters.received,
        counters.stored,
        counters.fetched,
        counters.receipts,
        counters.dropped,
        out::count(happened.unparseable, "unreadable message")
    ))?;
    if happened.subscription_lost > 0 {
        let times = out::count(happened.subscription_lost, "time");
        out::line(format_args!("  its alerts went to another client {times}"))?;
    }
    Ok(())
}

/// How the alerts come, where that is not as they happen, and what is still to be fetched.
fn show_feed(link: &LinkReport, zone: &TimeZone) -> anyhow::Result<()> {
    let every = duration(link.list_interval_ms.unwrap_or(0));
    let which = match link.feed {
        Feed::Unknown | Feed::Live => None,
        Feed::List => Some("live alerts go to another user"),
        Feed::Mixed => Some("live alerts of some streams go to another user, who opened them"),
    };
    if let Some(which) = which {
        out::line(format_args!(
            "  {which}; fetched from the backend's list every {every}"
        ))?;
    }
    if link.pictures_missing > 0 {
        let pictures = out::count(link.pictures_missing, "picture");
        out::line(format_args!("  {pictures} still to be fetched"))?;
    }
    if let Some(failure) = &link.picture_failure {
        out::line(format_args!("  {} {}", zone.show(failure.at.0), failure.what))?;
    }
    Ok(())
}

/// Where a connection stands, in words.
fn connection_state(state: ConnectionState, link: &LinkReport) -> String {
    match state {
        ConnectionState::Listening => "listening".to_owned(),
        ConnectionState::Connected => {
            let open = duration(link.open_for_ms.unwrap_or(0));
            let rtt = link
                .round_trip_ms
                .map(|ms| format!(", ping {ms:.1} ms"))
                .unwrap_or_default();
            format!("connected for {open}{rtt}")
        }
        ConnectionState::Waiting => {
            let wait = duration(link.next_attempt_ms.unwrap_or(0));
            format!("not connected, attempt {} in {wait}", link.attempts + 1)
        }
        ConnectionState::Connecting => format!("connecting, attempt {}", link.attempts),
        ConnectionState::Closing => "closing".to_owned(),
        ConnectionState::Stopped => "stopped".to_owned(),
    }
}

/// What a sink that is to end is still at, and for how long.
pub(crate) fn retiring(sink: &SinkReport, zone: &TimeZone) -> String {
    if !sink.retiring {
        return String::new();
    }
    let ends_by = sink
        .ends_by
        .map(|at| format!(", until {} at the latest", zone.show(at.0)));
    let ends_by = ends_by.unwrap_or_default();
    format!("; it is changed or removed, and finishes what its plugin has begun{ends_by}")
}

fn show_sink(sink: &SinkReport, zone: &TimeZone) -> anyhow::Result<()> {
    let state = match sink.state {
        SinkState::Starting => "starting",
        SinkState::Running => "running",
        SinkState::Down => "down: what it delivers to does not answer",
        SinkState::Failed => "failed",
        SinkState::Stopping => "stopping",
        SinkState::Stopped => "stopped",
    };
    let count = |state| sink.deliveries.get(&state).copied().unwrap_or(0);
    out::line("")?;
    let retiring = retiring(sink, zone);
    out::line(format_args!(
        "sink {} ({}): {state}{retiring}",
        sink.name, sink.plugin
    ))?;
    if sink.plugin_replaced {
        out::line(
            "  its plugin was replaced, and the old one runs: `watchpost reload` has it run the new one",
        )?;
    }
    for gap in &sink.sandbox_gaps {
        out::line(format_args!("  its sandbox lacks {gap}"))?;
    }
    if let Some(error) = &sink.last_error {
        out::line(format_args!("  {error}"))?;
    }
    if let Some(since) = sink.down_since {
        let next = sink
            .next_try_at
            .map_or_else(|| "now".to_owned(), |at| format!("at {}", zone.show(at.0)));
        out::line(format_args!(
            "  cannot deliver since {}; tried next {next}",
            zone.show(since.0)
        ))?;
    }
    out::line(format_args!(
        "  {} delivered, {} pending, {} dead, {} expired, {} dropped; {}",
        count(DeliveryState::Delivered),
        count(DeliveryState::Pending),
        count(DeliveryState::Dead),
        count(DeliveryState::Expired),
        count(DeliveryState::Dropped),
        out::count(sink.crashes, "crash")
    ))?;
    Ok(())
}

/// Whole units, largest first: `3d 4h`, `12m 5s`, `0.8s`.
fn duration(millis: u64) -> String {
    let time = Duration::from_millis(millis);
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let texts = [800, 12_000, 725_000, 7_260_000, 273_600_000].map(duration);
        assert_eq!(texts, ["0.8s", "12s", "12m 5s", "2h 1m", "3d 4h"]);
    }
}
