//! What an operator wants of the store, or a person at a sink: each act is one transaction.

use std::collections::BTreeSet;

use rusqlite::Transaction;
use watchpost_core::{
    Actor, Alert, AlertAct, AlertCommand, AlertId, ArmingCommand, Cancellation, CommandRefused, Effects,
    LetGo, RouteReason, RoutingEvent, SilenceCommand, SilenceId, UnixMillis,
};

use crate::codec::id;
use crate::commit::Watermarks;
use crate::deliveries::{Dropping, MAX_CHANGED_ROWS, drop_muted, drop_pending, retry};
use crate::routing::{self, Routing};
use crate::{Hushed, Selection, alerts, write_back};

/// Why a delivery was dropped by an operator.
const DROPPED: &str = "dropped by the operator";

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorAct {
    /// Note that a person has taken an alert. It stays on the live list.
    Acknowledge {
        /// Which.
        alert: AlertId,
        /// Who.
        by: Actor,
    },
    /// Acknowledge an alert and take it off the live list.
    Dismiss {
        /// Which.
        alert: AlertId,
        /// Who wants that.
        by: Actor,
    },
    /// Dismiss all alerts that are on the live list.
    Clear,
    /// Cancel what is left of such deliveries.
    Cancel(Cancellation),
    /// Make deliveries that have ended undelivered, or wait for a retry, due at once. Their age no longer matters:
    /// whoever asks for this wants them delivered. Of [`Selection::states`] none means all but delivered.
    Retry(Selection),
    /// Drop pending deliveries. One in flight may succeed all the same.
    Drop(Selection),
    /// Begin, extend or end a silence. What is pending and is not to be heard of is dropped when one begins.
    Silence(SilenceCommand),
    /// Arm or disarm areas. What makes noise for those that are disarmed is dropped.
    Arming(ArmingCommand),
    /// Note that a code was given at a sink that is no one's, which is refused.
    WrongCode {
        /// Name of the sink.
        sink: String,
    },
}

/// What an act has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// Alerts acknowledged or dismissed, or deliveries changed by the acts that are about deliveries.
    pub changed: u64,
    /// What is left to do, as an act of its own: no more than [`MAX_CHANGED_ROWS`] are changed at a time.
    pub rest: Option<OperatorAct>,
    /// What is to make no noise any more.
    pub hushed: Option<Hushed>,
    /// Why nothing was done.
    pub refused: Option<CommandRefused>,
}

/// Performs an act. `write_back` names the connections whose backend learns of acknowledgements.
pub(crate) fn perform(
    tx: &Transaction<'_>,
    act: &OperatorAct,
    write_back: &[String],
    marks: &mut Watermarks,
    routing: &mut Routing<'_>,
    now: UnixMillis,
) -> rusqlite::Result<Performed> {
    match act {
        OperatorAct::Acknowledge { alert, by } => {
            let act = AlertAct::Acknowledge;
            acknowledge(tx, (*alert, by, &act), write_back, routing, now)
        }
        OperatorAct::Dismiss { alert, by } => {
            let act = AlertAct::Dismiss;
            acknowledge(tx, (*alert, by, &act), write_back, routing, now)
        }
        OperatorAct::Clear => {
            write_back::queue_all(tx, marks.cleared_through, write_back)?;
            alerts::clear(tx, marks.last_id, now)?;
            marks.cleared_through = marks.last_id;
            let through = id(marks.last_id);
            let command = AlertCommand {
                act: AlertAct::Clear { through },
                by: Actor::Operator,
            };
            let effects = routing.ask(RoutingEvent::Command(&command));
            carry_out(tx, effects, 0, now)
        }
        OperatorAct::Cancel(cancellation) => cancel_some(tx, cancellation, 0, now),
        OperatorAct::Retry(selection) => Ok(performed(retry(tx, selection)?, act)),
        OperatorAct::Drop(selection) => {
            let which = Dropping {
                selection: selection.clone(),
                ..Dropping::default()
            };
            Ok(performed(drop_pending(tx, &which, DROPPED, now)?, act))
        }
        OperatorAct::Silence(command) => silence(tx, command, routing, now),
        OperatorAct::Arming(command) => arming(tx, command, routing, now),
        OperatorAct::WrongCode { sink } => Ok(Performed {
            refused: routing.ask(RoutingEvent::WrongCode(sink)).refused,
            ..Performed::default()
        }),
    }
}

/// What an act has changed that goes on as long as there is something to change.
fn performed(changed: u64, act: &OperatorAct) -> Performed {
    let rest = (changed == MAX_CHANGED_ROWS).then(|| act.clone());
    Performed {
        changed,
        rest,
        ..Performed::default()
    }
}

/// Acknowledges or dismisses an alert, and what belongs to it: what a digest names, and the alerts and messages of an escalation.
fn acknowledge(
    tx: &Transaction<'_>,
    (alert, by, act): (AlertId, &Actor, &dyn Fn(AlertId) -> AlertAct),
    write_back: &[String],
    routing: &mut Routing<'_>,
    now: UnixMillis,
) -> rusqlite::Result<Performed> {
    let mut performed = Performed::default();
    let (mut with, mut sinks) = (BTreeSet::new(), BTreeSet::new());
    let (mut to_do, mut done) = (vec![alert], BTreeSet::new());
    while let Some(id) = to_do.pop() {
        if !done.insert(id) {
            continue;
        }
        let known = take(tx, id, by, write_back, now)?;
        if matches!(act(id), AlertAct::Dismiss(_)) {
            alerts::dismiss(tx, id, now)?;
        }
        let digest = alerts::load(tx, id)?.and_then(|alert| alert.digest);
        to_do.extend(digest.into_iter().flat_map(|digest| digest.ids));
        let (act, by) = (act(id), by.clone());
        let effects = routing.ask(RoutingEvent::Command(&AlertCommand { act, by }));
        to_do.extend(&effects.acknowledged_with);
        with.extend(&effects.acknowledged_with);
        // Where it was acknowledged what is on its way goes on.
        let except = effects.cancellation.as_ref().and_then(|it| it.except.as_ref());
        let escalated_to = effects.escalated_to.iter();
        sinks.extend(escalated_to.filter(|sink| except != Some(sink)).cloned());
        let part = carry_out(tx, effects, known, now)?;
        if id == alert {
            (performed.changed, performed.rest) = (part.changed, part.rest);
        }
    }
    let sinks = sinks.into_iter().collect();
    performed.hushed = (!with.is_empty()).then_some(Hushed { alerts: with, sinks });
    Ok(performed)
}

/// Notes that an alert is acknowledged, for its backend too; how many alerts there are of this id.
fn take(
    tx: &Transaction<'_>,
    alert: AlertId,
    by: &Actor,
    write_back: &[String],
    now: UnixMillis,
) -> rusqlite::Result<u64> {
    // The backend knows what a person has said there.
    if alerts::acknowledge(tx, alert, by, now)? && !matches!(by, Actor::Backend(_)) {
        write_back::queue(tx, alert, write_back)?;
    }
    alerts::is_stored(tx, alert).map(u64::from)
}

/// Carries out what a person wants of silences.
fn silence(
    tx: &Transaction<'_>,
    command: &SilenceCommand,
    routing: &mut Routing<'_>,
    now: UnixMillis,
) -> rusqlite::Result<Performed> {
    let effects = routing.ask(RoutingEvent::Silence(command));
    if effects.refused.is_some() {
        return Ok(Performed {
            refused: effects.refused,
            ..Performed::default()
        });
    }
    let begun = routing.state().silences.active().iter();
    let begun = begun.filter(|silence| Some(silence.id) == effects.silenced);
    for silence in begun.cloned().collect::<Vec<_>>() {
        let reason = RouteReason::Silenced {
            silence: silence.id,
            why: silence.why.clone(),
        };
        let spared = |sink: &str| effects.spared.iter().any(|spared| spared == sink);
        let muting = silence.muting();
        let mutes = |alert: &Alert, sink: &str| !spared(sink) && muting(alert, sink);
        // Of one sink it may wait, and be held for another: it goes from both at once.
        let held = routing.state().holds.alerts();
        let held: Vec<(String, AlertId)> = held.map(|(sink, id)| (sink.to_owned(), id)).collect();
        for alert in drop_muted(tx, mutes, &reason.to_string(), now)? {
            let (silence, alert) = (silence.id, &alert);
            routing.ask(RoutingEvent::HeldBack { silence, alert });
        }
        let_go_muted(tx, (held, mutes), (&reason, silence.id), routing, now)?;
    }
    Ok(Performed {
        changed: 1,
        ..Performed::default()
    })
}

/// Lets go of what is held for digests and is not to be heard of any more.
fn let_go_muted(
    tx: &Transaction<'_>,
    (held, mutes): (Vec<(String, AlertId)>, impl Fn(&Alert, &str) -> bool),
    (reason, silence): (&RouteReason, SilenceId),
    routing: &mut Routing<'_>,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    for (sink, id) in held {
        let Some(alert) = alerts::load(tx, id)?.filter(|alert| mutes(alert, &sink)) else {
            continue;
        };
        let still = routing
            .state()
            .holds
            .alerts()
            .any(|known| known == (sink.as_str(), id));
        if still {
            let alert = &alert;
            routing.ask(RoutingEvent::HeldBack { silence, alert });
        }
        let gone = [LetGo { sink, alert: id }];
        routing::let_go(tx, &gone, &reason.to_string(), now)?;
    }
    Ok(())
}

/// Carries out what a person wants of areas.
fn arming(
    tx: &Transaction<'_>,
    command: &ArmingCommand,
    routing: &mut Routing<'_>,
    now: UnixMillis,
) -> rusqlite::Result<Performed> {
    let effects = routing.ask(RoutingEvent::Arming(command));
    let hush = effects.hush.as_ref();
    if let Some(hush) = hush {
        routing::let_go(tx, &effects.let_go, &hush.reason.to_string(), now)?;
    }
    Ok(Performed {
        changed: u64::from(effects.refused.is_none()),
        hushed: hush.map(|hush| routing::hush(tx, hush, now)).transpose()?,
        refused: effects.refused,
        rest: None,
    })
}

/// Cancels what is cancelled by an act that has changed so many alerts.
fn carry_out(
    tx: &Transaction<'_>,
    effects: Effects,
    changed: u64,
    now: UnixMillis,
) -> rusqlite::Result<Performed> {
    match effects.cancellation {
        Some(cancellation) => {
            routing::let_go(tx, &effects.let_go, &cancellation.reason.to_string(), now)?;
            cancel_some(tx, &cancellation, changed, now)
        }
        None => Ok(Performed {
            changed,
            ..Performed::default()
        }),
    }
}

fn cancel_some(
    tx: &Transaction<'_>,
    cancellation: &Cancellation,
    changed: u64,
    now: UnixMillis,
) -> rusqlite::Result<Performed> {
    let cancelled = routing::cancel(tx, cancellation, now)?;
    let rest = (cancelled == MAX_CHANGED_ROWS).then(|| OperatorAct::Cancel(cancellation.clone()));
    Ok(Performed {
        changed,
        rest,
        ..Performed::default()
    })
}
