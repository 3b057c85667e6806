//! Internal events, and how they become alerts: silence must never be ambiguous.

mod away;

use crate::{
    About, Actor, Alert, AlertId, AlertKind, AreaEvent, CodeChannels, Details, EscalationEvent, HeldBack,
    Picture, Severity, SilenceId, SubscriptionLoss, UnixMillis,
};

/// Name that stands for the connection of an internal event.
pub const HUB: &str = "hub";

/// Something about the hub that the operator should know.
///
/// It is stored and routed like an alert of a camera, as one of kind [`AlertKind::Hub`]. The word for it, which a
/// script can rely on, is `details.status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent {
    /// A sink's plugin cannot be run: it keeps crashing or does not start. Its alerts are kept.
    SinkFailed {
        /// The sink.
        sink: String,
        /// How it last ended, or why it did not start.
        why: String,
    },
    /// A sink that had failed delivers again.
    SinkRecovered {
        /// The sink.
        sink: String,
    },
    /// A delivery to a sink has been due for longer than is usual.
    SinkOverdue {
        /// The sink.
        sink: String,
        /// For how long, in whole seconds.
        seconds: u64,
        /// What went wrong last, if anything did.
        why: Option<String>,
    },
    /// Nothing is overdue any more at a sink of which that was reported.
    SinkCaughtUp {
        /// The sink.
        sink: String,
        /// How long its oldest delivery had waited in the end, in whole seconds.
        seconds: u64,
    },
    /// A sink did not get some alerts and will not, unless the operator has them delivered again.
    DeadLetters {
        /// The sink.
        sink: String,
        /// How many, since this was last reported.
        count: u64,
        /// The last of them.
        last: AlertId,
        /// Why that one was dead-lettered.
        why: String,
    },
    /// Alerts came faster than the store took them, and some were dropped without a receipt.
    AlertsDropped {
        /// The connection.
        connection: String,
        /// How many, since this was last reported.
        count: u64,
    },
    /// A connection has been down for longer than is usual.
    LinkLost {
        /// The connection.
        connection: String,
        /// Why it is not open.
        why: String,
        /// For how long, in whole seconds.
        seconds: u64,
    },
    /// A connection of which that was reported is open again.
    LinkBack {
        /// The connection.
        connection: String,
        /// How long it was down, in whole seconds.
        seconds: u64,
    },
    /// A connection of which that was reported is still down.
    StillLost {
        /// The connection.
        connection: String,
        /// How long ago that was reported, in whole seconds.
        seconds: u64,
        /// Name of the route that says it again.
        route: String,
    },
    /// The backend's list has not been readable for longer than is usual, while the connection is open.
    ListLost {
        /// The connection.
        connection: String,
        /// Why it cannot be read.
        why: String,
        /// For how long, in whole seconds.
        seconds: u64,
        /// Whether the connection's alerts come through it only.
        only: bool,
    },
    /// A list of which that was reported can be read again.
    ListBack {
        /// The connection.
        connection: String,
        /// How long it could not, in whole seconds.
        seconds: u64,
    },
    /// A connection looked well but got no alerts. It is reconnected.
    SubscriptionLost {
        /// The connection.
        connection: String,
        /// Why.
        why: SubscriptionLoss,
    },
    /// The backend does not accept the login or the token.
    LoginRefused {
        /// The connection.
        connection: String,
        /// What it said.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// There is little room left on the disk that everything is stored on.
    DiskLow {
        /// The data directory.
        dir: String,
        /// What is free, in bytes.
        free: u64,
    },
    /// The machine's clock was set.
    ClockJumped {
        /// By how much, in milliseconds; negative when it was set back.
        millis: i64,
    },
    /// The machine's clock shows a time before this program was built.
    ClockWrong {
        /// What it shows.
        shown: UnixMillis,
    },
    /// The machine's clock is far from a backend's.
    ClockDiffers {
        /// The connection's name.
        connection: String,
        /// By how many milliseconds the machine's is ahead; negative when it is behind.
        ahead_ms: i64,
    },
    /// The store could not be written for a while, and can be now.
    StoreRecovered {
        /// What had kept it.
        error: String,
        /// For how long, in whole seconds.
        seconds: u64,
    },
    /// What is expected to raise an alert now and then has not for too long.
    Quiet {
        /// What people call it.
        name: String,
        /// For how long it has been quiet, or was waited for, in whole seconds.
        seconds: u64,
        /// Whether it was ever heard.
        ever: bool,
        /// What it is about.
        about: About,
    },
    /// What is quiet is so still.
    StillQuiet {
        /// What people call it.
        name: String,
        /// How long ago that was reported, in whole seconds.
        seconds: u64,
        /// What it is about.
        about: About,
        /// Name of the route that says it again.
        route: String,
    },
    /// What was quiet has raised an alert.
    QuietOver {
        /// What people call it.
        name: String,
        /// What it is about.
        about: About,
        /// How long it was quiet, in whole seconds.
        seconds: u64,
    },
    /// A silence is over.
    SilenceOver {
        /// Which.
        id: SilenceId,
        /// Why there was one.
        why: String,
        /// Who has ended it before its time.
        ended_by: Option<Actor>,
        /// What it has held back.
        held: Option<HeldBack>,
    },
    /// A sink takes no codes for a while, as too many were wrong.
    CodesLocked {
        /// Its name.
        sink: String,
    },
    /// Something has become of an area.
    Area(AreaEvent),
    /// An escalation has ended.
    Escalation(EscalationEvent),
    /// The store was damaged. It was quarantined and recreated.
    StoreReplaced {
        /// What was wrong, and where the old one is.
        what: String,
    },
}

/// The word, the severity, the title and the text.
type Description = (&'static str, Severity, String, String);

impl HubEvent {
    /// The alert that reports it.
    pub fn into_alert(self, id: AlertId, now: UnixMillis) -> Alert {
        let (area, escalation) = match &self {
            Self::Area(event) => (Some(event.note()), None),
            Self::Escalation(event) => (None, Some(event.note())),
            _ => (None, None),
        };
        let repeat = match &self {
            Self::StillLost { route, .. } | Self::StillQuiet { route, .. } => Some(route.clone()),
            _ => None,
        };
        let about = self.about();
        let (word, severity, title, text) = self.describe();
        Alert {
            about,
            area,
            escalation,
            repeat,
            severity,
            title,
            text,
            details: Details {
                status: word.to_owned(),
                ..Details::default()
            },
            picture: Picture::Missing("internal events have none".to_owned()),
            ..Alert::new(id, AlertKind::Hub, HUB, now)
        }
    }

    fn describe(self) -> Description {
        match self {
            Self::SinkFailed { sink, why } => sink_failed(&sink, &why),
            Self::SinkRecovered { sink } => sink_recovered(&sink),
            Self::SinkOverdue { sink, seconds, why } => sink_overdue(&sink, seconds, why.as_deref()),
            Self::SinkCaughtUp { sink, seconds } => sink_caught_up(&sink, seconds),
            Self::DeadLetters {
                sink,
                count,
                last,
                why,
            } => dead_letters(&sink, count, last, &why),
            Self::AlertsDropped { connection, count } => (
                "alerts_dropped",
                Severity::Critical,
                format!("{} of connection {connection} could not be stored", alerts(count)),
                "They came faster than the store could take them, and got no receipt.".to_owned(),
            ),
            Self::StoreRecovered { error, seconds } => (
                "store_recovered",
                Severity::High,
                format!("The store works again after {seconds} s"),
                format!("Until now: {error}"),
            ),
            Self::StoreReplaced { what } => store_replaced(what),
            Self::Quiet {
                name, seconds, ever, ..
            } => away::quiet(&name, seconds, ever),
            Self::QuietOver { name, seconds, .. } => away::quiet_over(&name, seconds),
            Self::SilenceOver {
                id,
                why,
                ended_by,
                held,
            } => silence_over(id, &why, ended_by.as_ref(), held.as_ref()),
            Self::CodesLocked { sink } => CodeChannels::describe_locked(&sink),
            Self::Area(event) => event.describe(),
            Self::Escalation(event) => event.describe(),
            Self::LinkLost {
                connection,
                why,
                seconds,
            } => away::link_lost(&connection, &why, seconds),
            Self::StillLost {
                connection, seconds, ..
            } => away::still_lost(&connection, seconds),
            Self::StillQuiet { name, seconds, .. } => away::still_quiet(&name, seconds),
            Self::LinkBack { connection, seconds } => away::link_back(&connection, seconds),
            Self::ListLost {
                connection,
                why,
                seconds,
                only,
            } => away::list_lost(&connection, &why, seconds, only),
            Self::ListBack { connection, seconds } => away::list_back(&connection, seconds),
            Self::SubscriptionLost { connection, why } => away::subscription_lost(&connection, why),
            Self::LoginRefused {
                connection,
                why,
                hint,
            } => away::login_refused(&connection, &why, hint),
            Self::DiskLow { dir, free } => disk_low(&dir, free),
            Self::ClockJumped { millis } => clock_jumped(millis),
            Self::ClockWrong { shown } => clock_wrong(shown),
            Self::ClockDiffers { connection, ahead_ms } => clock_differs(&connection, ahead_ms),
        }
    }
}

fn sink_failed(sink: &str, why: &str) -> Description {
    (
        "sink_failed",
        Severity::High,
        format!("Sink {sink} has failed"),
        format!("{why}. Its alerts are kept, and it is tried again about once a minute."),
    )
}

fn sink_recovered(sink: &str) -> Description {
    (
        "sink_recovered",
        Severity::Low,
        format!("Sink {sink} delivers again"),
        "What waited for it is being delivered.".to_owned(),
    )
}

fn sink_overdue(sink: &str, seconds: u64, why: Option<&str>) -> Description {
    let why = why.map_or_else(String::new, |why| format!("What went wrong last: {why}. "));
    (
        "sink_overdue",
        Severity::High,
        format!("Sink {sink} has not got its alerts for {seconds} s"),
        format!("{why}Its alerts are kept, and delivered as soon as it works again."),
    )
}

fn sink_caught_up(sink: &str, seconds: u64) -> Description {
    (
        "sink_caught_up",
        Severity::Low,
        format!("Sink {sink} has caught up"),
        format!("Its oldest delivery had waited for {seconds} s; nothing is overdue any more."),
    )
}

fn dead_letters(sink: &str, count: u64, last: AlertId, why: &str) -> Description {
    (
        "dead_letters",
        Severity::High,
        format!("Sink {sink} did not get {}", alerts(count)),
        format!("The last one is {last}: {why}. `watchpost deliveries retry` tries again."),
    )
}

fn silence_over(id: SilenceId, why: &str, ended_by: Option<&Actor>, held: Option<&HeldBack>) -> Description {
    let by = ended_by.map_or_else(String::new, |by| format!(", ended by {by}"));
    let count = held.map_or(0, |held| held.count);
    let held_back = match count {
        0 => "held nothing back".to_owned(),
        count => format!("held back {}", alerts(count)),
    };
    let text = match held {
        None => format!("There was one because of: {why}."),
        Some(held) => format!(
            "There was one because of: {why}. The last was {}; `watchpost alerts list --since {}` lists what came meanwhile.",
            held.ids.last().map_or_else(String::new, ToString::to_string),
            held.from
        ),
    };
    (
        "silence_over",
        Severity::Low,
        format!("Silence {id} is over{by}: it {held_back}"),
        text,
    )
}

fn store_replaced(what: String) -> Description {
    (
        "store_replaced",
        Severity::Critical,
        "The store was damaged and a new one was created".to_owned(),
        what,
    )
}

fn disk_low(dir: &str, free: u64) -> Description {
    (
        "disk_low",
        Severity::High,
        format!("Only {} MiB are free for the store", free >> 20),
        format!(
            "On the disk of {dir}. When it is full, no alert can be stored: make room, or lower `max_size`."
        ),
    )
}

fn clock_jumped(millis: i64) -> Description {
    (
        "clock_jumped",
        Severity::Medium,
        format!("The clock jumped by {} s", millis / 1_000),
        "It was set. Times before and after do not fit together; no alert expires or is deleted by it."
            .to_owned(),
    )
}

/// What to do about a clock that is not right.
const SET_CLOCK: &str = "Let the machine set its clock from the network (NTP): `timedatectl set-ntp true`.";

fn clock_wrong(shown: UnixMillis) -> Description {
    (
        "clock_wrong",
        Severity::Medium,
        "This machine's clock cannot be right".to_owned(),
        format!(
            "It shows {shown}, which is before this program was built. Times of alerts are wrong until it is set. {SET_CLOCK}"
        ),
    )
}

fn clock_differs(connection: &str, ahead_ms: i64) -> Description {
    let seconds = ahead_ms.unsigned_abs() / 1_000;
    let which = if ahead_ms < 0 { "behind" } else { "ahead of" };
    (
        "clock_differs",
        Severity::Medium,
        format!("This machine's clock is {seconds} s {which} that of connection {connection}"),
        format!("One of the two is wrong. {SET_CLOCK}"),
    )
}

fn alerts(count: u64) -> String {
    match count {
        1 => "1 alert".to_owned(),
        _ => format!("{count} alerts"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(event: HubEvent, expected: Expect) {
        let alert = event.into_alert(AlertId(7_000), UnixMillis(7));
        assert_eq!(
            (alert.kind, alert.connection.as_str(), alert.camera_id()),
            (AlertKind::Hub, HUB, "")
        );
        let Alert {
            severity,
            title,
            text,
            details,
            ..
        } = alert;
        expected.assert_eq(&format!("{} ({severity}): {title}\n{text}\n", details.status));
    }

    #[test]
    fn every_event_says_what_happened_and_what_follows() {
        check(
            HubEvent::SinkFailed {
                sink: "siren".into(),
                why: "the plugin was killed by SIGSEGV (segmentation fault)".into(),
            },
            expect![[r#"
                sink_failed (high): Sink siren has failed
                the plugin was killed by SIGSEGV (segmentation fault). Its alerts are kept, and it is tried again about once a minute.
            "#]],
        );
        check(
            HubEvent::DeadLetters {
                sink: "mail".into(),
                count: 1,
                last: AlertId(5),
                why: "550 no such user".into(),
            },
            expect![[r#"
                dead_letters (high): Sink mail did not get 1 alert
                The last one is 5: 550 no such user. `watchpost deliveries retry` tries again.
            "#]],
        );
        check(
            HubEvent::CodesLocked { sink: "panel".into() },
            expect![[r#"
                codes_locked (high): 5 wrong codes at sink panel
                It takes no code for 15 minutes. Who has forgotten a code, or who tries codes there?
            "#]],
        );
        check(
            HubEvent::SubscriptionLost {
                connection: "shop".into(),
                why: SubscriptionLoss::TakenOver,
            },
            expect![[r#"
                subscription_lost (high): Connection shop lost its subscription and reconnects
                another client, probably a browser, connected as the same user and gets the alerts: the backend sends them to one client a user.
            "#]],
        );
        check(
            HubEvent::LinkLost {
                connection: "shop".into(),
                why: "connection refused: port 1".into(),
                seconds: 60,
            },
            expect![[r#"
                link_lost (high): Connection shop has been disconnected for 60 s
                connection refused: port 1. No alert comes meanwhile; it keeps trying.
            "#]],
        );
        check(
            HubEvent::ClockWrong {
                shown: UnixMillis(1_000),
            },
            expect![[r#"
                clock_wrong (medium): This machine's clock cannot be right
                It shows 1970-01-01T00:00:01.000Z, which is before this program was built. Times of alerts are wrong until it is set. Let the machine set its clock from the network (NTP): `timedatectl set-ntp true`.
            "#]],
        );
        check(
            HubEvent::ClockDiffers {
                connection: "shop".into(),
                ahead_ms: -61_500,
            },
            expect![[r#"
                clock_differs (medium): This machine's clock is 61 s behind that of connection shop
                One of the two is wrong. Let the machine set its clock from the network (NTP): `timedatectl set-ntp true`.
            "#]],
        );
        check(
            HubEvent::AlertsDropped {
                connection: "shop".into(),
                count: 3,
            },
            expect![[r#"
                alerts_dropped (critical): 3 alerts of connection shop could not be stored
                They came faster than the store could take them, and got no receipt.
            "#]],
        );
    }
}
