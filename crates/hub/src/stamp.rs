//! What every alert gets from the hub before it is routed and stored, whatever it came from.

use std::time::Duration;

use watchpost_config::HubSettings;
use watchpost_core::Alert;

/// What this hub says of every alert.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamp {
    site: Option<String>,
    late_after: Duration,
}

impl Stamp {
    pub(crate) fn new(settings: &HubSettings) -> Self {
        Self {
            site: settings.site.clone(),
            late_after: settings.late_after.into(),
        }
    }

    /// Names the site, and marks the alert if it is late.
    pub(crate) fn apply(&self, alert: &mut Alert) {
        alert.site.clone_from(&self.site);
        alert.mark_late(self.late_after);
    }
}
