//! What a sink and its plugin have to say in the log.

use tracing::{debug, error, info, warn};
use watchpost_config::ByteSize;
use watchpost_core::SinkNotice;
use watchpost_sinkhost_client::LogLevel;

/// Logs what the sink's machine has noticed.
pub(super) fn log(sink: &str, notice: &SinkNotice) {
    match notice {
        SinkNotice::Restarting { why, wait } => error!(
            sink,
            "{why}. Its alerts are kept; restarting it in {:.1} s",
            wait.as_secs_f64()
        ),
        SinkNotice::TooLarge { held } => warn!(
            sink,
            "the plugin holds {} of memory, more than recycle_over: it is restarted when nothing is in flight",
            ByteSize(*held)
        ),
        SinkNotice::Replaced { file } => info!(
            sink,
            "{file} was replaced, and the plugin has no access to the new one: it is restarted when nothing is in flight"
        ),
        SinkNotice::Recycling => info!(sink, "ending the plugin, to restart it"),
        SinkNotice::NotDelivered {
            alert,
            attempt,
            error,
        } => warn!(sink, %alert, attempt, "not delivered: {error}"),
        SinkNotice::Down { error } => {
            error!(sink, "does not deliver, and is probed until it does: {error}");
        }
        SinkNotice::ProbeFailed { error } => debug!(sink, "probed, and still down: {error}"),
        SinkNotice::DeliversAgain => info!(sink, "delivers again"),
        SinkNotice::DeadLettered { alert, why } => error!(sink, %alert, "dead-lettered: {why}"),
        SinkNotice::Expired(count) => {
            warn!(
                sink,
                "{count} alerts grew older than max_age and are not delivered"
            );
        }
        SinkNotice::Cancelled(alert) => {
            info!(sink, %alert, "cancelled: acknowledged, or dropped by the operator");
        }
        SinkNotice::FromMemory(alert) => {
            warn!(sink, %alert, "delivered from memory: the store cannot take it now")
        }
        SinkNotice::Acknowledged(alert) => info!(sink, %alert, "acknowledged by the sink"),
        SinkNotice::FetchFailed { why } => error!(sink, "cannot read the store, trying again: {why}"),
    }
}

/// Logs that the plugin that runs is not the one that is installed.
pub(super) fn plugin_replaced(sink: &str) {
    warn!(
        sink,
        "the file of the plugin was replaced, and the old one runs: `watchpost reload` has the sink run the new one"
    );
}

/// Passes on what the plugin has to say.
pub(super) fn plugin(sink: &str, level: LogLevel, text: &str) {
    match level {
        LogLevel::Error => error!(sink, "{text}"),
        LogLevel::Warn => warn!(sink, "{text}"),
        LogLevel::Info => info!(sink, "{text}"),
        LogLevel::Debug => debug!(sink, "{text}"),
    }
}
