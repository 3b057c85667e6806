//! How a camera without a name is shown: by as much of its id as tells it from all others that were seen. It knows
//! only ids.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// Ids that are remembered; of more, those that were not seen for longest are forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// Characters of a UUID that are shown at least: enough for people to tell cameras apart as a rule, so that it does not
/// grow with the second camera.
pub(crate) const MIN_SHOWN_CHARS: usize = 8;

/// Length of a UUID in its usual form.
pub(crate) const UUID_CHARS: usize = 36;

/// Ids of cameras that were seen.
#[derive(Clone, Debug, Default)]
pub struct CameraIds {
    ids: BTreeSet<String>,
    /// In the order in which they were first seen.
    order: VecDeque<String>,
}

impl CameraIds {
    /// A camera was seen.
    pub fn add(&mut self, id: &str) {
        if self.ids.contains(id) {
            return;
        }
        if self.order.len() == MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.ids.insert(id.to_owned());
        self.order.push_back(id.to_owned());
    }

    /// The shortest beginning of a UUID that no other id has; any other id as it is.
    pub fn short<'a>(&self, id: &'a str) -> &'a str {
        if id.len() != UUID_CHARS || !id.is_ascii() {
            return id;
        }
        // What has most in common with it stands next to it.
        let before = self.ids.range::<str, _>((Unbounded, Excluded(id))).next_back();
        let after = self.ids.range::<str, _>((Excluded(id), Unbounded)).next();
        let common = |other: &String| id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let shared = before.into_iter().chain(after).map(common).max().unwrap_or(0);
        &id[..(shared + 1).clamp(MIN_SHOWN_CHARS, UUID_CHARS)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ids: &[&str]) -> CameraIds {
        let mut seen = CameraIds::default();
        ids.iter().for_each(|id| seen.add(id));
        seen
    }

    #[test]
    fn an_id_is_as_short_as_it_can_be() {
        const A: &str = "3544c7ab-a57f-478e-918e-bb579162847a";
        const TWIN: &str = "3544c7ab-a57f-0000-918e-bb579162847a";
        const OTHER: &str = "8fe86860-a57f-478e-918e-bb579162847a";
        for (seen, id, expected) in [
            (&[][..], A, "3544c7ab"),
            (&[A, OTHER], A, "3544c7ab"),
            (&[A, TWIN, OTHER], A, "3544c7ab-a57f-4"),
            (&[A, TWIN, OTHER], TWIN, "3544c7ab-a57f-0"),
            (&[A, TWIN, OTHER], OTHER, "8fe86860"),
            (&["front-door", "front-door-2"], "front-door", "front-door"),
        ] {
            assert_eq!(of(seen).short(id), expected, "{id} among {seen:?}");
        }
    }

    #[test]
    fn it_forgets_rather_than_grows() {
        let mut seen = CameraIds::default();
        (0..=MAX_REMEMBERED).for_each(|number| seen.add(&format!("{number:036}")));
        assert_eq!(
            (seen.ids.len(), seen.order.len()),
            (MAX_REMEMBERED, MAX_REMEMBERED)
        );
        assert!(!seen.ids.contains(&format!("{:036}", 0)));
    }

    proptest! {
        #[test]
        fn no_two_cameras_are_shown_alike(ids in prop::collection::btree_set("[ab]{36}", 1..40)) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let seen = of(&ids);
            let mut shown: Vec<&str> = ids.iter().map(|id| seen.short(id)).collect();
            for (id, short) in ids.iter().zip(&shown) {
                prop_assert!(id.starts_with(short));
                prop_assert_eq!(ids.iter().filter(|other| other.starts_with(short)).count(), 1);
            }
            shown.dedup();
            prop_assert_eq!(shown.len(), ids.len());
        }
    }
}
