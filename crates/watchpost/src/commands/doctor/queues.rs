//! What waits for sinks, and what went to none.

use watchpost_config::Settings;
use watchpost_core::DeliveryState;
use watchpost_hub::{HubStatus, SinkReport};

use super::Report;
use crate::commands::status::retiring;
use crate::out;

/// What went to no sink, and what waits for one that is not there.
pub(super) fn check(report: &mut Report, settings: &Settings, status: &HubStatus) {
    report.begin("deliveries");
    match status.store.unmatched {
        0 => report.pass("routes", "no alert was left over by all of them"),
        left => report.warn(
            "routes",
            format!(
                "none of them took {}, which went to no sink",
                out::count(left, "alert")
            ),
            "`watchpost explain ID` says why. A last `[[route]]` without `match` takes what the others leave.",
        ),
    }
    let removed = |sink: &&SinkReport| settings.sink.iter().all(|wanted| wanted.name != sink.name);
    for sink in status.sinks.iter().filter(|sink| sink.retiring).filter(removed) {
        let retiring = retiring(sink, &report.zone);
        report.warn(
            "removed sink",
            format!("{} still runs{retiring}", sink.name),
            "Look again then. What waits for it is kept.",
        );
    }
    for queue in &status.queues {
        report.warn(
            "queues",
            format!(
                "{} to sink {}, which is not configured",
                out::count(queue.pending, "delivery"),
                queue.sink
            ),
            format!(
                "They are made when there is a sink of this name; `watchpost deliveries drop --sink {}` drops them.",
                queue.sink
            ),
        );
    }
}

/// What waits for a sink, and whether it `works`.
pub(super) fn of_sink(report: &mut Report, sink: &SinkReport, works: bool) {
    let pending = sink.deliveries.get(&DeliveryState::Pending).copied().unwrap_or(0);
    let waits = match pending {
        0 => "nothing waits".to_owned(),
        pending => format!("{} pending", out::count(pending, "delivery")),
    };
    if works || pending == 0 {
        return report.pass("queue", waits);
    }
    report.warn(
        "queue",
        waits,
        format!(
            "They are made when the sink works; `watchpost deliveries list --sink {}` shows them.",
            sink.name
        ),
    );
}
