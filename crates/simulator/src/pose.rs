//! Joint positions of persons as the backend's pose estimator gives them: 30 frames of 17 joints,
//! about 30 KB of text a person. They are invented from the seed; no client looks at them.

use std::fmt::Write as _;

/// Frames of one person's track.
const FRAMES: u32 = 30;
/// Joints of the COCO skeleton; each is x, y and a confidence.
const JOINTS: u32 = 17;
/// Tracks invented per seed; persons share them, since building one takes longer than sending it.
const TRACKS: usize = 16;

/// Ready JSON of some tracks.
pub(crate) struct Poses {
    tracks: Vec<String>,
}

impl Poses {
    pub(crate) fn new(rng: &mut fastrand::Rng, width: u32, height: u32) -> Self {
        let tracks = (0..TRACKS)
            .map(|_| track(rng, width as f32, height as f32))
            .collect();
        Self { tracks }
    }

    /// Appends the `pose_dict` of these persons.
    pub(crate) fn write(&self, out: &mut String, persons: &[u32]) {
        out.push('{');
        for (index, person) in persons.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(out, "{comma}\"{person}\":");
            let track = *person as usize % self.tracks.len().max(1);
            out.push_str(self.tracks.get(track).map_or("{}", String::as_str));
        }
        out.push('}');
    }

    /// Bytes that [`Poses::write`] needs at most per person.
    pub(crate) fn bytes_per_person(&self) -> usize {
        self.tracks.iter().map(String::len).max().unwrap_or(0) + 16
    }
}

/// One track. The real ones are 32-bit numbers widened to 64 bits, hence their many digits.
fn track(rng: &mut fastrand::Rng, width: f32, height: f32) -> String {
    let mut out = String::with_capacity(32 * 1024);
    let (centre_x, centre_y) = (width * (0.25 + rng.f32() * 0.5), height * (0.4 + rng.f32() * 0.2));
    out.push('{');
    for frame in 1..=FRAMES {
        let comma = if frame == 1 { "" } else { "," };
        let _ = write!(out, "{comma}\"{frame:04}\":{{\"keypoints\":[");
        for joint in 0..JOINTS {
            let comma = if joint == 0 { "" } else { "," };
            let x = f64::from(centre_x + (rng.f32() - 0.5) * width * 0.3);
            let y = f64::from(centre_y + (rng.f32() - 0.5) * height * 0.6);
            let sure = f64::from(0.3 + rng.f32() * 0.69);
            let _ = write!(out, "{comma}{x:?},{y:?},{sure:?}");
        }
        let score = f64::from(0.55 + rng.f32() * 0.2);
        let _ = write!(out, "],\"score\":{score:?}}}");
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_persons_have_thirty_frames_of_fifty_one_numbers() {
        let poses = Poses::new(&mut fastrand::Rng::with_seed(1), 1280, 720);
        let mut text = String::new();
        poses.write(&mut text, &[7, 8]);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        for person in ["7", "8"] {
            assert_eq!(read[person].as_object().unwrap().len(), 30);
            assert_eq!(read[person]["0030"]["keypoints"].as_array().unwrap().len(), 51);
        }
        assert!((50_000..70_000).contains(&text.len()), "{} bytes", text.len());
        assert!(poses.bytes_per_person() * 2 >= text.len());
    }
}
