//! Events about connections that are away, and what is quiet, in words.

use super::Description;
use crate::about::{LINK_BACK, LINK_LOST, QUIET};
use crate::time::span;
use crate::{Severity, SubscriptionLoss};

pub(super) fn quiet(name: &str, seconds: u64, ever: bool) -> Description {
    let never = if ever { "" } else { "It has never raised one. " };
    (
        QUIET,
        Severity::High,
        format!("Nothing from {name} for {}", span(seconds)),
        format!(
            "{never}It is expected to raise an alert more often: look whether its camera sees, its analysis runs and its streams are open."
        ),
    )
}

pub(super) fn quiet_over(name: &str, seconds: u64) -> Description {
    (
        "quiet_over",
        Severity::Low,
        format!("{name} was quiet for {}", span(seconds)),
        "It has raised an alert again.".to_owned(),
    )
}

pub(super) fn list_lost(connection: &str, why: &str, seconds: u64, only: bool) -> Description {
    let (severity, means) = match only {
        true => (
            Severity::High,
            "Its alerts come through that list only, because live they go to another user: none comes until it can be read",
        ),
        false => (
            Severity::Medium,
            "Alerts come live as ever; one that is missed cannot be fetched until it can be read",
        ),
    };
    (
        "list_lost",
        severity,
        format!("The list of connection {connection} cannot be read for {seconds} s"),
        format!("{why}. {means}. The hub keeps trying."),
    )
}

pub(super) fn list_back(connection: &str, seconds: u64) -> Description {
    (
        "list_back",
        Severity::Low,
        format!("The list of connection {connection} can be read again after {seconds} s"),
        "What was missed meanwhile is being fetched.".to_owned(),
    )
}

pub(super) fn link_lost(connection: &str, why: &str, seconds: u64) -> Description {
    (
        LINK_LOST,
        Severity::High,
        format!("Connection {connection} has been disconnected for {seconds} s"),
        format!("{why}. No alert comes meanwhile; it keeps trying."),
    )
}

pub(super) fn still_lost(connection: &str, seconds: u64) -> Description {
    (
        LINK_LOST,
        Severity::High,
        format!("Connection {connection} is still disconnected"),
        format!(
            "That was said {} ago. No alert comes meanwhile; `watchpost status` says why.",
            span(seconds)
        ),
    )
}

pub(super) fn still_quiet(name: &str, seconds: u64) -> Description {
    (
        QUIET,
        Severity::High,
        format!("Still nothing from {name}"),
        format!(
            "That was said {} ago. Look whether its camera sees, its analysis runs and its streams are open.",
            span(seconds)
        ),
    )
}

pub(super) fn link_back(connection: &str, seconds: u64) -> Description {
    (
        LINK_BACK,
        Severity::Low,
        format!("Connection {connection} has reconnected after {seconds} s"),
        "What was missed is fetched from the backend, where it can be.".to_owned(),
    )
}

pub(super) fn subscription_lost(connection: &str, why: SubscriptionLoss) -> Description {
    let severity = match why {
        SubscriptionLoss::Contested => Severity::Critical,
        SubscriptionLoss::Forgotten | SubscriptionLoss::TakenOver => Severity::High,
    };
    let title = format!("Connection {connection} lost its subscription and reconnects");
    ("subscription_lost", severity, title, format!("{why}."))
}

pub(super) fn login_refused(connection: &str, why: &str, hint: &str) -> Description {
    (
        "login_refused",
        Severity::High,
        format!("The backend of connection {connection} rejected the credentials"),
        format!("{why}. {hint}"),
    )
}
