//! When two alerts are one: fetched from the list and come over the socket, in either order, or come over two connections that see
//! the same shop. To take two for one loses an alert, so all that distinguishes them must be known.

use std::time::Duration;

use crate::{Alert, UNKNOWN};

/// Two alerts are one only if they were received within this time.
pub const TWIN_WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// What distinguishes an alert of a camera: its stream, which has a new id each time, the person, and the video frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwinKey<'a> {
    stream_id: &'a str,
    person_id: i64,
    frame_number: i64,
    start_frame: i64,
}

impl<'a> TwinKey<'a> {
    /// That of an alert, if all of it is known.
    pub fn of(alert: &'a Alert) -> Option<Self> {
        let fields = alert.visionguard.as_ref()?;
        let stream_id = alert.camera.as_ref()?.id.as_str();
        let known = !stream_id.is_empty() && stream_id != UNKNOWN && fields.person_id != 0;
        known.then_some(Self {
            stream_id,
            person_id: fields.person_id,
            frame_number: fields.frame_number?,
            start_frame: fields.start_frame?,
        })
    }

    /// A number by which it is looked up, the same for ever (FNV-1a, 64 bits). Two keys may have the same one.
    pub fn hash(&self) -> i64 {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let numbers = [self.person_id, self.frame_number, self.start_frame];
        let numbers = numbers.into_iter().flat_map(i64::to_le_bytes);
        let hash = self
            .stream_id
            .bytes()
            .chain(numbers)
            .fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        i64::from_le_bytes(hash.to_le_bytes())
    }
}

/// Whether two alerts are one.
pub fn are_twins(one: &Alert, other: &Alert) -> bool {
    let (Some(key), Some(other_key)) = (TwinKey::of(one), TwinKey::of(other)) else {
        return false;
    };
    let apart = (one.received_at.0 - other.received_at.0).unsigned_abs();
    if key != other_key || u128::from(apart) > TWIN_WINDOW.as_millis() {
        return false;
    }
    match (one.anomaly_id(), other.anomaly_id()) {
        (Some(record), Some(other_record)) => record == other_record,
        // What comes twice in the same way was sent twice.
        _ => one.connection != other.connection || one.via != other.via,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlertId, AlertKind, Camera, UnixMillis, Via, VisionGuard};

    /// An alert of this connection and record, which came over the socket where there is no record.
    fn alert(connection: &str, record: Option<&str>) -> Alert {
        Alert {
            camera: Some(Camera::unnamed("3544c7ab")),
            via: if record.is_some() { Via::List } else { Via::Live },
            visionguard: Some(VisionGuard {
                person_id: 1,
                frame_number: Some(30),
                start_frame: Some(1),
                anomaly_id: record.map(str::to_owned),
                ..VisionGuard::default()
            }),
            ..Alert::new(AlertId(1), AlertKind::Anomaly, connection, UnixMillis(0))
        }
    }

    #[test]
    fn the_same_alert_is_recognised_in_both_orders_and_over_two_connections() {
        for (one, other, twins) in [
            (alert("shop", None), alert("shop", Some("r-1")), true),
            (alert("shop", None), alert("yard", None), true),
            (alert("shop", None), alert("yard", Some("r-1")), true),
            (alert("shop", Some("r-1")), alert("yard", Some("r-1")), true),
            (alert("shop", Some("r-1")), alert("yard", Some("r-2")), false),
            (alert("shop", Some("r-1")), alert("shop", Some("r-2")), false),
            (alert("shop", None), alert("shop", None), false),
        ] {
            assert_eq!(are_twins(&one, &other), twins, "{one:?} {other:?}");
            assert_eq!(are_twins(&other, &one), twins, "{other:?} {one:?}");
        }
    }

    #[test]
    fn what_is_not_known_whole_or_is_another_or_is_long_ago_is_no_twin() {
        type Change = fn(&mut Alert);
        let changes: [Change; 7] = [
            |alert| alert.received_at = UnixMillis(24 * 3_600_000 + 1),
            |alert| alert.camera = Some(Camera::unnamed("3544c7ac")),
            |alert| alert.camera = Some(Camera::unnamed(UNKNOWN)),
            |alert| alert.visionguard.as_mut().unwrap().person_id = 0,
            |alert| alert.visionguard.as_mut().unwrap().frame_number = Some(31),
            |alert| alert.visionguard.as_mut().unwrap().frame_number = None,
            |alert| alert.visionguard.as_mut().unwrap().start_frame = None,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = alert("yard", None);
            change(&mut changed);
            assert!(!are_twins(&alert("shop", None), &changed), "change {number}");
        }
    }

    #[test]
    fn two_of_which_the_same_is_unknown_are_no_twins() {
        type Change = fn(&mut Alert);
        let changes: [Change; 6] = [
            |alert| alert.camera = None,
            |alert| alert.camera = Some(Camera::unnamed(UNKNOWN)),
            |alert| alert.camera = Some(Camera::unnamed("")),
            |alert| alert.visionguard.as_mut().unwrap().person_id = 0,
            |alert| alert.visionguard.as_mut().unwrap().frame_number = None,
            |alert| alert.visionguard.as_mut().unwrap().start_frame = None,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut alerts = ["shop", "yard"].map(|connection| alert(connection, None));
            alerts.iter_mut().for_each(change);
            assert!(!are_twins(&alerts[0], &alerts[1]), "change {number}");
        }
    }

    #[test]
    fn keys_have_numbers_that_stay() {
        assert_eq!(
            TwinKey::of(&alert("shop", None)).unwrap().hash(),
            TwinKey::of(&alert("yard", Some("r-1"))).unwrap().hash()
        );
    }
}
