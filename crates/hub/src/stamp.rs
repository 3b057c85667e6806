//! What every alert gets from the hub before it is routed and stored, whatever it came from.

use std::time::Duration;

use watchpost_config::{Settings, camera_book};
use watchpost_core::{Alert, CameraBook};

/// What this hub says of every alert.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamp {
    site: Option<String>,
    late_after: Duration,
    cameras: CameraBook,
}

impl Stamp {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            site: settings.hub.site.clone(),
            late_after: settings.hub.late_after.into(),
            cameras: camera_book(&settings.camera),
        }
    }

    /// Names the site and the camera, and marks the alert if it is late.
    pub(crate) fn apply(&self, alert: &mut Alert) {
        alert.site.clone_from(&self.site);
        alert.mark_late(self.late_after);
        self.cameras.name(alert);
    }
}
