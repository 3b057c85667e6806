//! What an operator wants of the store, or a person at a device: each act is one transaction.

use rusqlite::Transaction;
use watchpost_core::{AlertId, UnixMillis};

use crate::codec::id;
use crate::commit::Watermarks;
use crate::deliveries::{Dropping, MAX_CHANGED_ROWS, drop_pending, retry};
use crate::{Selection, alerts, write_back};

/// Why a delivery was dropped by an operator.
const DROPPED: &str = "dropped by the operator";

/// Why a delivery was dropped whose alert was acknowledged.
const ACKNOWLEDGED: &str = "its alert was acknowledged";

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorAct {
    /// Take an alert off the live list, and cancel those of its deliveries that an acknowledgement cancels.
    Dismiss {
        /// Which.
        alert: AlertId,
        /// The sink where a person did that, whose own delivery goes on.
        by: Option<String>,
    },
    /// Take all alerts off the live list, and cancel those of their deliveries that an acknowledgement cancels.
    Clear,
    /// Cancel what is left of such deliveries of this alert and older ones.
    CancelAcknowledged {
        /// The newest alert.
        through: AlertId,
    },
    /// Make deliveries that have ended undelivered, or wait for a retry, due at once. Their age no longer matters:
    /// whoever asks for this wants them delivered. Of [`Selection::states`] none means all but delivered.
    Retry(Selection),
    /// Drop pending deliveries. One in flight may succeed all the same.
    Drop(Selection),
}

/// What an act has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// Alerts dismissed, or deliveries changed by the acts that are about deliveries.
    pub changed: u64,
    /// What is left to do, as an act of its own: no more than [`MAX_CHANGED_ROWS`] are changed at a time.
    pub rest: Option<OperatorAct>,
}

/// Performs an act. `write_back` names the connections whose backend learns of dismissals.
pub(crate) fn perform(
    tx: &Transaction<'_>,
    act: &OperatorAct,
    write_back: &[String],
    marks: &mut Watermarks,
    now: UnixMillis,
) -> rusqlite::Result<Performed> {
    let rest = |changed: u64, rest: OperatorAct| Performed {
        changed,
        rest: (changed == MAX_CHANGED_ROWS).then_some(rest),
    };
    Ok(match act {
        OperatorAct::Dismiss { alert, by } => {
            write_back::queue(tx, *alert, write_back)?;
            let known = alerts::dismiss(tx, *alert, now)?;
            let which = Dropping {
                selection: Selection {
                    alert: Some(*alert),
                    ..Selection::default()
                },
                cancelled: true,
                except: by.as_deref(),
                through: None,
            };
            drop_pending(tx, &which, ACKNOWLEDGED, now)?;
            Performed {
                changed: u64::from(known),
                rest: None,
            }
        }
        OperatorAct::Clear => {
            write_back::queue_all(tx, marks.cleared_through, write_back)?;
            alerts::clear(tx, marks.last_id, now)?;
            marks.cleared_through = marks.last_id;
            let through = id(marks.last_id);
            let cancelled = cancel_through(tx, through, now)?;
            Performed {
                changed: 0,
                ..rest(cancelled, OperatorAct::CancelAcknowledged { through })
            }
        }
        OperatorAct::CancelAcknowledged { through } => Performed {
            changed: 0,
            ..rest(cancel_through(tx, *through, now)?, act.clone())
        },
        OperatorAct::Retry(selection) => rest(retry(tx, selection)?, act.clone()),
        OperatorAct::Drop(selection) => {
            let which = Dropping {
                selection: selection.clone(),
                ..Dropping::default()
            };
            rest(drop_pending(tx, &which, DROPPED, now)?, act.clone())
        }
    })
}

fn cancel_through(tx: &Transaction<'_>, through: AlertId, now: UnixMillis) -> rusqlite::Result<u64> {
    let which = Dropping {
        cancelled: true,
        through: Some(through),
        ..Dropping::default()
    };
    drop_pending(tx, &which, ACKNOWLEDGED, now)
}
