//! Deliveries that have to stop while the child has them: the alert was acknowledged, or the operator drops them.

use tracing::info;

use super::{Child, Sink};

impl Sink {
    /// Cancels what is in flight and has to stop. How such a call ends is not recorded.
    pub(super) fn stop_covered(&mut self) {
        let Child::Running(host) = &self.child else { return };
        let (sink, stops) = (&self.parts.settings.name, self.parts.notifier.stops());
        let cancel_on_acknowledge = self.parts.settings.until_dismissed;
        for (&call_id, call) in &mut self.under_way {
            if !call.cancelled && stops.cover(call.alert, cancel_on_acknowledge) {
                info!(%sink, alert = %call.alert, "cancelled: acknowledged, or dropped by the operator");
                call.cancelled = true;
                host.cancel(call_id);
            }
        }
    }
}
