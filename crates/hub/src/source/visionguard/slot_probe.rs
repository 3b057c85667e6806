//! Asks the backend whether it still sends the alerts to this socket. How the answers are judged is
//! [`watchpost_core::SlotWatch`]'s to say.

use std::rc::Rc;

use tracing::{debug, info};
use watchpost_config::SlotSettings;
use watchpost_core::{ConnectFailure, MonotonicTime, SlotStatus, SlotVerdict, SlotWatch};

use super::api::Slot;
use super::context::ConnectionContext;

/// Watches the slot of a connection's user.
#[derive(Debug)]
pub(super) struct SlotProbe {
    watch: SlotWatch,
    enabled: bool,
    /// Whether a question is in flight.
    asking: bool,
    /// Number of the socket that is open, or was last.
    socket: u64,
    user_id: String,
}

/// What the backend answered.
#[derive(Debug)]
pub(super) struct SlotAnswer {
    /// For which socket it was asked.
    socket: u64,
    asked: MonotonicTime,
    outcome: Result<Slot, ConnectFailure>,
}

impl SlotProbe {
    pub(super) fn new(settings: &SlotSettings) -> Self {
        Self {
            watch: SlotWatch::new(settings.interval.into()),
            enabled: settings.watch,
            asking: false,
            socket: 0,
            user_id: String::new(),
        }
    }

    /// The socket of this number was opened as this user.
    pub(super) fn opened(&mut self, now: MonotonicTime, socket: u64, user_id: String) {
        self.watch.opened(now);
        (self.socket, self.user_id) = (socket, user_id);
    }

    /// The socket is gone.
    pub(super) fn closed(&mut self) {
        self.watch.closed();
    }

    /// As whom the socket was opened that is open, or was last.
    pub(super) fn user_id(&self) -> &str {
        &self.user_id
    }

    /// What the server called the socket before the next one.
    pub(super) fn previous(&self) -> Option<&str> {
        self.watch.previous()
    }

    /// Whether the backend sends the alerts of this user here, as far as it can tell.
    pub(super) fn is_trusted(&self) -> bool {
        !self.enabled || self.watch.is_off() || self.watch.verified()
    }

    /// When to ask next.
    pub(super) fn deadline(&self) -> Option<MonotonicTime> {
        self.watch.deadline().filter(|_| self.enabled && !self.asking)
    }

    /// Asks, if it is time to. The answer goes to [`Self::judge`].
    pub(super) fn ask(
        &mut self,
        context: &Rc<ConnectionContext>,
    ) -> Option<impl Future<Output = SlotAnswer> + use<>> {
        let asked = context.clock.now();
        self.deadline().filter(|due| asked >= *due)?;
        self.asking = true;
        let (context, socket, user_id) = (Rc::clone(context), self.socket, self.user_id.clone());
        Some(async move {
            let outcome = context.api.slot(&user_id).await;
            SlotAnswer {
                socket,
                asked,
                outcome,
            }
        })
    }

    /// Judges an answer; `None` when it was about an earlier socket, of which it says nothing about this one.
    pub(super) fn judge(&mut self, answer: SlotAnswer, context: &ConnectionContext) -> Option<SlotVerdict> {
        self.asking = false;
        if answer.socket != self.socket {
            return None;
        }
        let status = answer.outcome.map_or_else(
            |e| {
                debug!(connection = %context.name(), "cannot tell whether alerts come here: {e}");
                SlotStatus::Unclear
            },
            status,
        );
        let verdict = self.watch.seen(answer.asked, context.clock.now(), status);
        if verdict == SlotVerdict::Off {
            info!(
                connection = %context.name(),
                "this backend cannot tell to whom it sends alerts: it is asked again every ten minutes"
            );
        }
        Some(verdict)
    }
}

fn status(slot: Slot) -> SlotStatus {
    match slot {
        Slot::Held(socket) => SlotStatus::Held {
            age: socket.age(),
            connected_at: socket.connected_at,
        },
        Slot::Free => SlotStatus::Free,
        Slot::Unknowable => SlotStatus::Unknowable,
    }
}
