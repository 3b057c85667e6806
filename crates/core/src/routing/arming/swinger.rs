//! Swinger shutdown: a camera that raises one alarm after the other in one armed period, as a branch in the wind does, is not
//! sounded for any more. It counts alarms and not alerts, by siren and camera, until the area is armed or disarmed, or the camera
//! was quiet for two days.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AlertId, UnixMillis};

/// A camera that has raised nothing for so long begins again.
const QUIET: Duration = Duration::from_secs(48 * 3_600);

/// That a camera is not quiet is noted to this, so that not each of its alerts is a write.
const NOTED_TO: Duration = Duration::from_secs(600);

/// Sirens and cameras that are counted of an area. Beyond it that which was quiet for longest is forgotten.
const MAX_COUNTED: usize = 256;

/// The greatest number of alarms that may be set.
pub const MAX_SWINGER: u8 = 6;

/// What is counted of an area.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Swingers(Vec<Swinger>);

/// A siren and a camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Swinger {
    sink: String,
    camera: String,
    /// How many alarms the camera had a part in.
    alarms: u8,
    /// The last of them, by its first alert.
    last: AlertId,
    /// When the camera last raised anything, roughly.
    seen: UnixMillis,
}

impl Swinger {
    fn is_quiet(&self, now: UnixMillis) -> bool {
        self.seen + QUIET <= now
    }

    fn is_shut(&self, now: UnixMillis, limit: u8) -> bool {
        self.alarms >= limit && !self.is_quiet(now)
    }
}

impl Swingers {
    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The area is armed or disarmed: it begins again.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Cameras that a siren is not sounded for, each once.
    pub(super) fn shut(&self, now: UnixMillis, limit: u8) -> Vec<String> {
        let shut = self.0.iter().filter(|swinger| swinger.is_shut(now, limit));
        let mut cameras: Vec<String> = shut.map(|swinger| swinger.camera.clone()).collect();
        cameras.sort_unstable();
        cameras.dedup();
        cameras
    }

    /// Whether a siren is not to sound for a camera. What belongs to the last alarm that it sounds for does.
    pub(super) fn holds(
        &self,
        now: UnixMillis,
        limit: u8,
        (sink, camera): (&str, &str),
        alarm: Option<AlertId>,
    ) -> bool {
        let of = |swinger: &&Swinger| swinger.sink == sink && swinger.camera == camera;
        let found = self.0.iter().find(of);
        found.is_some_and(|swinger| swinger.is_shut(now, limit) && alarm != Some(swinger.last))
    }

    /// A camera has raised an alert while its area is armed. Where that belongs to an alarm which sounds at these sinks it is
    /// counted, once. Returns whether a siren is not to sound for the camera any more after this.
    pub(super) fn note<'a>(
        &mut self,
        now: UnixMillis,
        limit: u8,
        camera: &str,
        sounding: Option<(AlertId, impl Iterator<Item = &'a str>)>,
    ) -> bool {
        self.0.retain(|swinger| !swinger.is_quiet(now));
        let of_camera = self.0.iter_mut().filter(|swinger| swinger.camera == camera);
        for swinger in of_camera.filter(|swinger| swinger.seen + NOTED_TO <= now || swinger.seen > now) {
            swinger.seen = now;
        }
        let Some((alarm, sinks)) = sounding else {
            return false;
        };
        let mut shut = false;
        for sink in sinks {
            let of = |swinger: &Swinger| swinger.sink == sink && swinger.camera == camera;
            let place = self.0.iter().position(of).unwrap_or_else(|| {
                self.make_room();
                self.0.push(Swinger {
                    sink: sink.to_owned(),
                    camera: camera.to_owned(),
                    alarms: 0,
                    last: AlertId(0),
                    seen: now,
                });
                self.0.len() - 1
            });
            let swinger = &mut self.0[place];
            if swinger.last != alarm {
                (swinger.last, swinger.alarms) = (alarm, swinger.alarms.saturating_add(1));
                shut |= swinger.alarms == limit;
            }
        }
        shut
    }

    /// The clock was set by so much.
    pub(super) fn shift(&mut self, millis: i64) {
        for swinger in &mut self.0 {
            swinger.seen.0 = swinger.seen.0.saturating_add(millis);
        }
    }

    fn make_room(&mut self) {
        if self.0.len() < MAX_COUNTED {
            return;
        }
        let quietest = self.0.iter().enumerate().min_by_key(|(_, swinger)| swinger.seen);
        if let Some((place, _)) = quietest {
            self.0.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const LIMIT: u8 = 2;

    fn hour(hours: i64) -> UnixMillis {
        UnixMillis(hours * 3_600_000)
    }

    /// An alert of a camera that belongs to this alarm: whether the siren sounds, and whether it is for the last time.
    fn seen(swingers: &mut Swingers, now: UnixMillis, camera: &str, alarm: u64) -> (bool, bool) {
        let sounds = !swingers.holds(now, LIMIT, ("siren", camera), Some(AlertId(alarm)));
        let sinks = sounds.then_some("siren");
        let shut = swingers.note(now, LIMIT, camera, Some((AlertId(alarm), sinks.into_iter())));
        (sounds, shut)
    }

    #[test]
    fn it_counts_alarms_by_siren_and_camera_and_ends_by_arming_or_two_days_of_quiet() {
        let mut swingers = Swingers::default();
        let mut cases = |hours, camera: &str, alarm, expected: (bool, bool)| {
            let found = seen(&mut swingers, hour(hours), camera, alarm);
            assert_eq!(found, expected, "{camera} at {hours} h, alarm {alarm}");
        };
        cases(0, "Gate", 1, (true, false));
        // Of one alarm each alert sounds, and counts once.
        cases(0, "Gate", 1, (true, false));
        cases(1, "Gate", 2, (true, true));
        cases(1, "Gate", 2, (true, false));
        cases(2, "Gate", 3, (false, false));
        cases(2, "Hall", 3, (true, false));
        cases(49, "Gate", 4, (false, false));
        // It has raised one a day before that: that is no quiet.
        cases(96, "Gate", 5, (false, false));
        cases(144, "Gate", 6, (true, false));
        assert!(!swingers.holds(hour(144), LIMIT, ("lamp", "Gate"), None));
        swingers.clear();
        assert!(swingers.is_empty());
    }

    #[test]
    fn what_is_counted_is_bounded_and_moves_with_the_clock() {
        let mut swingers = Swingers::default();
        for alarm in 0..1_000 {
            seen(&mut swingers, hour(1), &format!("Camera {alarm}"), alarm);
        }
        assert_eq!(swingers.0.len(), MAX_COUNTED);
        let mut swingers = Swingers::default();
        seen(&mut swingers, hour(0), "Gate", 1);
        seen(&mut swingers, hour(0), "Gate", 2);
        swingers.shift(100 * 3_600_000);
        assert!(swingers.holds(hour(101), LIMIT, ("siren", "Gate"), None));
    }

    /// What happens to an area of three cameras.
    #[derive(Clone, Debug)]
    enum Happens {
        /// A camera sees something, in an alarm of its own or in the last one.
        Seen { camera: usize, is_new: bool },
        /// So many hours go by.
        Hours(i64),
        /// The area is armed or disarmed.
        Armed,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            4 => (0..3_usize, any::<bool>()).prop_map(|(camera, is_new)| Happens::Seen { camera, is_new }),
            2 => (1..60_i64).prop_map(Happens::Hours),
            1 => Just(Happens::Armed),
        ]
    }

    proptest! {
        /// A siren sounds for a camera unless that has had a part in so many other alarms since the area was armed and since it was
        /// quiet for two days.
        #[test]
        fn it_sounds_for_no_more_alarms_of_a_camera(all in proptest::collection::vec(happens(), 0..80)) {
            let names = ["Gate", "Hall", "Stairs"];
            let (mut swingers, mut now, mut alarm) = (Swingers::default(), 0, 0_u64);
            // Of each camera the alarms that it has sounded in, and when it was last seen.
            let mut model: BTreeMap<usize, (Vec<u64>, i64)> = BTreeMap::new();
            for happens in all {
                match happens {
                    Happens::Hours(hours) => now += hours,
                    Happens::Armed => {
                        swingers.clear();
                        model.clear();
                    }
                    Happens::Seen { camera, is_new } => {
                        alarm += u64::from(is_new || alarm == 0);
                        let (alarms, last) = model.entry(camera).or_insert((Vec::new(), now));
                        if *last + 48 <= now {
                            alarms.clear();
                        }
                        *last = now;
                        let expected = alarms.len() < usize::from(LIMIT) || alarms.last() == Some(&alarm);
                        if expected && alarms.last() != Some(&alarm) {
                            alarms.push(alarm);
                        }
                        let (sounds, _) = seen(&mut swingers, hour(now), names[camera], alarm);
                        prop_assert_eq!(sounds, expected);
                    }
                }
            }
        }
    }
}
