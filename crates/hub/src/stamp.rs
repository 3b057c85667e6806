//! What every alert gets from the hub before it is routed and stored, whatever it came from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watchpost_config::{Settings, TimeZone, camera_book};
use watchpost_core::{
    Alert, AlertId, AreaBook, CameraBook, CameraIds, DueDigest, DueStep, SeverityTable, UnixMillis,
};

/// What this hub says of every alert.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamp {
    policy: StampPolicy,
    /// The cameras that were seen.
    ids: Arc<Mutex<CameraIds>>,
}

/// What of that stands in the settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct StampPolicy {
    site: Option<String>,
    late_after: Duration,
    cameras: CameraBook,
    areas: AreaBook,
    severity: SeverityTable,
    zone: Option<TimeZone>,
}

impl StampPolicy {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            site: settings.hub.site.clone(),
            late_after: settings.hub.late_after.into(),
            cameras: camera_book(&settings.camera),
            areas: settings.area_book(),
            severity: settings.visionguard.severity.table(),
            zone: Some(settings.hub.time_zone()),
        }
    }
}

impl Stamp {
    /// Says nothing until it has a policy. `seen` are ids of cameras of which there are alerts.
    pub(crate) fn new<'a>(seen: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ids = CameraIds::default();
        seen.into_iter().for_each(|id| ids.add(id));
        Self {
            policy: StampPolicy::default(),
            ids: Arc::new(Mutex::new(ids)),
        }
    }

    /// Goes by another policy from now on, and knows the cameras that it knew.
    pub(crate) fn set_policy(&mut self, policy: StampPolicy) {
        self.policy = policy;
    }

    /// How long after it happened an alert may be received without being late.
    pub(crate) fn late_after(&self) -> Duration {
        self.policy.late_after
    }

    /// The alert of a digest, in the times that the site's clocks show.
    pub(crate) fn digest(&self, due: DueDigest, id: AlertId, now: UnixMillis) -> Alert {
        let zone = self.policy.zone.clone().unwrap_or_else(TimeZone::system);
        Alert {
            site: self.policy.site.clone(),
            ..due.into_alert(id, now, |at| zone.show(at.0))
        }
    }

    /// The alert of a message of a policy, likewise.
    pub(crate) fn step(&self, due: DueStep, id: AlertId, now: UnixMillis) -> Alert {
        let zone = self.policy.zone.clone().unwrap_or_else(TimeZone::system);
        Alert {
            site: self.policy.site.clone(),
            ..due.into_alert(id, now, |at| zone.show(at.0))
        }
    }

    /// Names the site and the camera, marks the alert if it is late, and gives it the severity of its score.
    pub(crate) fn apply(&self, alert: &mut Alert) {
        alert.site.clone_from(&self.policy.site);
        alert.mark_late(self.policy.late_after);
        self.policy.cameras.name(alert);
        self.policy.areas.place(alert);
        self.policy.severity.apply(alert);
        self.tell_apart(alert);
    }

    /// Has the title show as much of the id of a camera without a name as tells it from all others.
    fn tell_apart(&self, alert: &mut Alert) {
        let Some(camera) = alert.camera.as_ref().filter(|camera| camera.name.is_none()) else {
            return;
        };
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.add(&camera.id);
        let (usual, short) = (camera.label(), ids.short(&camera.id));
        if usual != short {
            alert.title = alert
                .title
                .replace(&format!("camera {usual}"), &format!("camera {short}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use watchpost_core::{AlertId, AlertKind, Camera, Details, Severity, UnixMillis, VisionGuard};

    use super::*;

    #[test]
    fn cameras_whose_ids_begin_alike_are_told_apart() {
        let seen = "3544c7ab-a57f-478e-918e-bb579162847a";
        let stamp = Stamp::default();
        stamp.ids.lock().unwrap().add(seen);
        let title = |id: &str| {
            let camera = Camera::unnamed(id);
            let mut alert = Alert {
                title: format!("Anomaly at camera {}", camera.label()),
                camera: Some(camera),
                ..Alert::new(AlertId(1), AlertKind::Anomaly, "shop", UnixMillis(1))
            };
            stamp.apply(&mut alert);
            alert.title
        };
        assert_eq!(
            title("8fe86860-a57f-478e-918e-bb579162847a"),
            "Anomaly at camera 8fe86860"
        );
        assert_eq!(
            title("3544c7ab-a57f-0000-918e-bb579162847a"),
            "Anomaly at camera 3544c7ab-a57f-0"
        );
        assert_eq!(title(seen), "Anomaly at camera 3544c7ab-a57f-4");
    }

    #[test]
    fn an_anomaly_is_as_severe_as_its_score() {
        let mut settings: Settings = toml::from_str("connection = []").unwrap();
        settings.visionguard.severity.high_below = -1.0;
        let mut stamp = Stamp::default();
        stamp.set_policy(StampPolicy::new(&settings));
        let mut alert = Alert {
            details: Details {
                score: Some(-1.5),
                ..Details::default()
            },
            visionguard: Some(VisionGuard::default()),
            ..Alert::new(AlertId(1), AlertKind::Anomaly, "shop", UnixMillis(1))
        };
        stamp.apply(&mut alert);
        assert_eq!(alert.severity, Severity::High);
    }
}
