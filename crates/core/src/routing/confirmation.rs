//! Confirmation, which installers call cross zoning: a route may take an alert only once several cameras have seen something
//! shortly one after the other. What has been seen is remembered for each route and area, so that it is durable and bounded, and
//! is forgotten once it is too old to confirm anything, or its area is disarmed. It knows no sinks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Alert, AlertId, UnixMillis, name_matches};

/// Cameras that are remembered of an area: the newest. More are never asked for.
pub const MAX_CONFIRM_COUNT: usize = 10;

/// Areas that are remembered of a route: those of the newest alerts. A site arms no more than this, but programs that post alerts
/// may name any.
const MAX_AREAS_A_ROUTE: usize = 64;

/// That a route takes an alert only once several cameras have seen something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// How many, this one among them.
    pub count: usize,
    /// How far the others may be from it in time.
    pub within: Duration,
    /// Names of cameras with `*` and `?`: those that match the same one see the same, and count as one camera.
    pub overlapping: Vec<String>,
}

/// What cameras have seen that may confirm another alert: by route, area and camera.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sightings(BTreeMap<String, BTreeMap<String, BTreeMap<String, Sighted>>>);

/// The last alert of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sighted {
    alert: AlertId,
    at: UnixMillis,
}

impl Confirm {
    /// What an alert was seen by, where cameras that see the same are one.
    fn source(&self, alert: &Alert) -> String {
        let Some(camera) = &alert.camera else {
            return alert.connection.clone();
        };
        let name = camera.name.as_deref().unwrap_or(&camera.id);
        let mut patterns = self.overlapping.iter();
        let pattern = patterns.find(|pattern| name_matches(pattern, name));
        pattern.map_or(name, String::as_str).to_owned()
    }

    /// Whether alerts at two times may confirm each other.
    fn is_near(&self, one: UnixMillis, other: UnixMillis) -> bool {
        one.until(other) <= self.within && other.until(one) <= self.within
    }
}

impl Sightings {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers an alert that a route would take. Returns the alerts of other cameras that confirm it, each the last of its
    /// camera.
    pub(super) fn note(
        &mut self,
        now: UnixMillis,
        (route, confirm): (&str, &Confirm),
        alert: &Alert,
    ) -> Vec<AlertId> {
        let (source, at) = (confirm.source(alert), alert.happened_at());
        let area = alert.area().map(str::to_owned);
        let areas = self.0.entry(route.to_owned()).or_default();
        // What is too old confirms nothing any more, and what lies ahead is of a clock that was wrong.
        let is_fresh = |seen: &Sighted| {
            seen.at + confirm.within >= now.min(at) && seen.at <= now.max(at) + confirm.within
        };
        areas.retain(|_, cameras| {
            cameras.retain(|_, seen| is_fresh(seen));
            !cameras.is_empty()
        });
        let cameras = areas.entry(area.unwrap_or_default()).or_default();
        let others = cameras.iter().filter(|(camera, _)| **camera != source);
        let near = others.filter(|(_, seen)| confirm.is_near(seen.at, at));
        let near = near.map(|(_, seen)| seen.alert).collect();
        let own = Sighted { alert: alert.id, at };
        let known = cameras.entry(source).or_insert(own);
        if known.at <= at {
            *known = own;
        }
        drop_oldest(cameras, MAX_CONFIRM_COUNT, |seen| seen.at);
        drop_oldest(areas, MAX_AREAS_A_ROUTE, |cameras| {
            cameras.values().map(|seen| seen.at).max().unwrap_or_default()
        });
        near
    }

    /// Forgets what was seen in an area, which is disarmed.
    pub(super) fn forget(&mut self, area: &str) {
        self.0.retain(|_, areas| {
            areas.remove(area);
            !areas.is_empty()
        });
    }

    /// Forgets what was seen for routes that are no longer there, or ask for no confirmation.
    pub(super) fn keep_routes(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|route, _| is_there(route));
    }

    /// The clock was set, and is at `now` since: what lay in the past lies as long ago as it did.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        let cameras = self.0.values_mut().flat_map(BTreeMap::values_mut);
        for seen in cameras.flat_map(BTreeMap::values_mut) {
            if seen.at <= before {
                seen.at.0 = seen.at.0.saturating_add(millis);
            }
        }
    }
}

/// Keeps the newest of these.
fn drop_oldest<T>(all: &mut BTreeMap<String, T>, most: usize, at: impl Fn(&T) -> UnixMillis) {
    while all.len() > most {
        let oldest = all.iter().min_by_key(|(_, one)| at(one));
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        all.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Camera;
    use crate::alert::sample;

    fn confirm() -> Confirm {
        Confirm {
            count: 2,
            within: Duration::from_secs(20),
            overlapping: vec!["Gate*".into()],
        }
    }

    fn alert(id: u64, seconds: i64, camera: &str, area: &str) -> Alert {
        Alert {
            id: AlertId(id),
            occurred_at: Some(UnixMillis(seconds * 1_000)),
            received_at: UnixMillis(10_000_000),
            camera: Some(Camera {
                name: Some(camera.into()),
                area: Some(area.into()),
                ..Camera::unnamed(camera)
            }),
            ..sample(1)
        }
    }

    /// What confirms each of these alerts, given as second, camera and area; the ids count from 1.
    fn confirmed_by(alerts: &[(i64, &str, &str)]) -> Vec<Vec<u64>> {
        let mut sightings = Sightings::default();
        let mut note = |(number, (seconds, camera, area)): (usize, &(i64, &str, &str))| {
            let alert = alert(number as u64 + 1, *seconds, camera, area);
            let by = sightings.note(UnixMillis(seconds * 1_000), ("alarm", &confirm()), &alert);
            by.into_iter().map(|id| id.0).collect()
        };
        alerts.iter().enumerate().map(&mut note).collect()
    }

    #[test]
    fn another_camera_of_the_same_area_within_the_time_confirms_an_alert() {
        let none = Vec::new;
        for (alerts, expected) in [
            (
                &[(0, "Hall", "House"), (20, "Stairs", "House")][..],
                vec![none(), vec![1]],
            ),
            (
                &[(0, "Hall", "House"), (21, "Stairs", "House")],
                vec![none(), none()],
            ),
            // The same camera, and one that sees the same.
            (
                &[(0, "Hall", "House"), (5, "Hall", "House")],
                vec![none(), none()],
            ),
            (
                &[(0, "Gate 1", "House"), (5, "Gate 2", "House")],
                vec![none(), none()],
            ),
            (
                &[(0, "Gate 1", "House"), (5, "Hall", "House")],
                vec![none(), vec![1]],
            ),
            (&[(0, "Hall", "House"), (5, "Till", "Shop")], vec![none(), none()]),
            // The last of a camera counts, also one that happened before it and came later.
            (
                &[
                    (0, "Hall", "House"),
                    (15, "Hall", "House"),
                    (30, "Stairs", "House"),
                ],
                vec![none(), none(), vec![2]],
            ),
            (
                &[(30, "Hall", "House"), (15, "Stairs", "House")],
                vec![none(), vec![1]],
            ),
        ] {
            assert_eq!(confirmed_by(alerts), expected, "{alerts:?}");
        }
    }

    #[test]
    fn what_was_seen_is_forgotten_with_its_area_and_its_route_and_moves_with_the_clock() {
        let (mut sightings, confirm) = (Sightings::default(), confirm());
        let second = |seconds: i64| UnixMillis(seconds * 1_000);
        let hall = alert(1, 100, "Hall", "House");
        sightings.note(second(100), ("alarm", &confirm), &hall);
        let mut disarmed = sightings.clone();
        disarmed.forget("Shop");
        assert_eq!(disarmed, sightings);
        disarmed.forget("House");
        assert!(disarmed.is_empty());
        let mut gone = sightings.clone();
        gone.keep_routes(|route| route != "alarm");
        assert!(gone.is_empty());
        sightings.shift(second(1_110), 1_000_000);
        let stairs = alert(2, 1_115, "Stairs", "House");
        assert_eq!(
            sightings.note(second(1_115), ("alarm", &confirm), &stairs),
            [AlertId(1)]
        );
        // A clock that is set back without a word leaves nothing behind that confirms for ever.
        let later = alert(3, 500, "Hall", "House");
        assert_eq!(sightings.note(second(500), ("alarm", &confirm), &later), []);
        assert_eq!(sightings.0["alarm"]["House"].len(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut sightings, confirm) = (Sightings::default(), confirm());
        for number in 0..200 {
            let (camera, area) = (
                format!("Camera {number}"),
                format!("Area {}", number / 20 * number),
            );
            sightings.note(
                UnixMillis(0),
                ("alarm", &confirm),
                &alert(number, 0, &camera, &area),
            );
        }
        assert_eq!(sightings.0["alarm"].len(), MAX_AREAS_A_ROUTE);
        let mut cameras = sightings.0["alarm"].values();
        assert!(cameras.all(|cameras| cameras.len() <= MAX_CONFIRM_COUNT));
    }

    proptest! {
        /// Whatever is seen, an alert is confirmed by exactly the cameras whose last alert is near.
        #[test]
        fn it_is_confirmed_by_the_cameras_whose_last_alert_is_near(seen in proptest::collection::vec((0..10_i64, 0..4_usize), 0..40)) {
            let names = ["Hall", "Stairs", "Gate 1", "Gate 2"];
            let (mut now, mut alerts) = (0, Vec::new());
            for (wait, camera) in seen {
                now += wait;
                alerts.push((now, names[camera], "House"));
            }
            let source = |camera: &str| if camera.starts_with("Gate") { "Gate".to_owned() } else { camera.to_owned() };
            let confirmed = confirmed_by(&alerts);
            for (number, (at, camera, _)) in alerts.iter().enumerate() {
                let mut last: BTreeMap<String, (u64, i64)> = BTreeMap::new();
                for (earlier, (at, camera, _)) in alerts[..number].iter().enumerate() {
                    last.insert(source(camera), (earlier as u64 + 1, *at));
                }
                let near = last.into_iter().filter(|(name, (_, seen))| *name != source(camera) && at - seen <= 20);
                let mut near: Vec<u64> = near.map(|(_, (id, _))| id).collect();
                let mut by = confirmed[number].clone();
                near.sort_unstable();
                by.sort_unstable();
                prop_assert_eq!(by, near);
            }
        }
    }
}
