//! What the running hub says of a connection: whether it is open, how the alerts come, what is still to be fetched.

use watchpost_core::Feed;
use watchpost_hub::{ConnectionReport, ConnectionState};

use super::Report;
use crate::out;

pub(super) fn of_the_running(report: &mut Report, running: &ConnectionReport) {
    fetching(report, running);
    if running.state == ConnectionState::Connected {
        feed(report, running);
        let rtt = running
            .link
            .as_ref()
            .and_then(|link| link.round_trip_ms)
            .map(|ms| format!(", ping {ms:.1} ms"));
        return report.pass(
            "WebSocket",
            format!("open in the running hub{}", rtt.unwrap_or_default()),
        );
    }
    let (what, hint) = match &running.last_failure {
        Some(failure) => (failure.what.clone(), failure.hint.clone()),
        None => ("it is not open yet".to_owned(), None),
    };
    report.fail(
        "WebSocket",
        format!("not open in the running hub: {what}"),
        hint.unwrap_or_else(|| "Look again in a moment.".to_owned()),
    );
}

/// Whether what does not come live is fetched, with its pictures.
fn fetching(report: &mut Report, running: &ConnectionReport) {
    let Some(link) = &running.link else { return };
    if let Some(failure) = &link.list_failure {
        let text = format!(
            "at {} in the running hub: {}",
            report.time(failure.at),
            failure.what
        );
        let hint = failure.hint.clone().unwrap_or_default();
        match link.feed {
            // Nothing else brings its alerts.
            Feed::List => report.fail("list", text, hint),
            _ => report.warn("list", text, hint),
        }
    }
    let missing = link.pictures_missing;
    let Some(failure) = &link.picture_failure else {
        if missing > 0 {
            let pictures = out::count(missing, "picture");
            report.skip(
                "pictures",
                format!("{pictures} of fetched alerts are being fetched"),
            );
        }
        return;
    };
    report.warn(
        "pictures",
        format!(
            "{} of fetched alerts could not be fetched yet, the last at {}: {}",
            out::count(missing, "picture"),
            report.time(failure.at),
            failure.what
        ),
        failure.hint.clone().unwrap_or_default(),
    );
}

/// Whether alerts come as they happen.
fn feed(report: &mut Report, running: &ConnectionReport) {
    let Some(link) = &running.link else { return };
    let every = link.list_interval_ms.map_or(0, |millis| millis / 1_000);
    match link.feed {
        Feed::Live => report.pass("live alerts", "come as they happen"),
        Feed::Unknown => report.skip("live alerts", "none has come yet"),
        Feed::Mixed => report.warn(
            "live alerts",
            format!(
                "of some streams go to another user, who opened those: the hub fetches them from the list every {every} s"
            ),
            "To hear them at once, open all streams as the user whom the hub logs in as.",
        ),
        Feed::List => report.warn(
            "live alerts",
            format!("go to another user: the hub fetches them from the list every {every} s"),
            "To hear them at once, log the hub in as the user who opens the cameras' streams.",
        ),
    }
}
