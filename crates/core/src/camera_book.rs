//! Which camera an alert is of, for people: names and areas by what a source says of its cameras. It knows neither files
//! nor what the hub does with a name.

use wildmatch::WildMatch;

use crate::{Alert, name_matches};

/// What a `[[camera]]` says.
#[derive(Clone, Debug)]
pub struct CameraEntry {
    /// What people call the camera.
    pub name: String,
    /// The area that it watches.
    pub area: Option<String>,
    /// Names of connections; any when empty.
    pub connections: Vec<String>,
    /// Patterns (`*`, `?`) of ids of streams; any when empty.
    pub streams: Vec<String>,
    /// Ids of shops; any when empty.
    pub shops: Vec<String>,
    /// Patterns of what the source says the place is; any when empty.
    pub locations: Vec<String>,
}

/// The cameras that areas name.
#[derive(Clone, Debug, Default)]
pub struct AreaBook(Vec<(String, Vec<String>)>);

impl AreaBook {
    /// Of names of areas, each with the names of its cameras, which may have `*` and `?`.
    pub fn new(entries: Vec<(String, Vec<String>)>) -> Self {
        Self(entries)
    }

    /// The first area that names this camera.
    pub fn find(&self, camera: &str) -> Option<&str> {
        let names = |cameras: &[String]| cameras.iter().any(|name| name_matches(name, camera));
        let found = self.0.iter().find(|(_, cameras)| names(cameras));
        found.map(|(area, _)| area.as_str())
    }

    /// Gives the camera of an alert its area, if it has a name and no area.
    pub fn place(&self, alert: &mut Alert) {
        if let Some(camera) = &mut alert.camera
            && camera.area.is_none()
            && let Some(name) = &camera.name
        {
            camera.area = self.find(name).map(str::to_owned);
        }
    }
}

/// What a source says of the camera of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// The name of the connection.
    pub connection: &'a str,
    /// The id of the stream.
    pub stream: &'a str,
    /// The id of the shop, as soon as that is known.
    pub shop: Option<&'a str>,
    /// Where it is, in the source's words.
    pub location: Option<&'a str>,
}

/// All `[[camera]]`, in their order.
#[derive(Clone, Debug, Default)]
pub struct CameraBook(Vec<CameraEntry>);

impl CameraBook {
    /// Of these entries. Of several that match, the first counts.
    pub fn new(entries: Vec<CameraEntry>) -> Self {
        Self(entries)
    }

    /// Its entries, in their order.
    pub fn into_entries(self) -> Vec<CameraEntry> {
        self.0
    }

    /// The entry for a camera, if one matches.
    pub fn find(&self, sighting: &Sighting<'_>) -> Option<&CameraEntry> {
        self.0.iter().find(|entry| entry.matches(sighting))
    }

    /// Gives the camera of an alert the name and the area that the book has for it, and its title the name.
    pub fn name(&self, alert: &mut Alert) {
        let Some(camera) = &mut alert.camera else { return };
        let visionguard = alert.visionguard.as_ref();
        let entry = self.find(&Sighting {
            connection: &alert.connection,
            stream: &camera.id,
            shop: visionguard.and_then(|own| own.shop_id.as_deref()),
            location: visionguard.and_then(|own| own.location.as_deref()),
        });
        let Some(entry) = entry else { return };
        let unnamed = format!("camera {}", camera.label());
        camera.name = Some(entry.name.clone());
        camera.area.clone_from(&entry.area);
        alert.title = alert.title.replace(&unnamed, &entry.name);
    }

    /// Entries that never count, because an earlier one matches whatever they do: the index of each and of the
    /// earlier one.
    pub fn shadowed(&self) -> Vec<(usize, usize)> {
        let earlier = |i: usize| self.0[..i].iter().position(|earlier| earlier.covers(&self.0[i]));
        (0..self.0.len()).filter_map(|i| Some((i, earlier(i)?))).collect()
    }
}

impl CameraEntry {
    fn matches(&self, sighting: &Sighting<'_>) -> bool {
        let one_of = |allowed: &[String], value: Option<&str>| {
            allowed.is_empty() || value.is_some_and(|value| allowed.iter().any(|allowed| allowed == value))
        };
        let like = |patterns: &[String], value: Option<&str>| {
            patterns.is_empty()
                || value.is_some_and(|value| {
                    patterns
                        .iter()
                        .any(|pattern| WildMatch::new(pattern).matches(value))
                })
        };
        one_of(&self.connections, Some(sighting.connection))
            && like(&self.streams, Some(sighting.stream))
            && one_of(&self.shops, sighting.shop)
            && like(&self.locations, sighting.location)
    }

    /// Whether it matches whatever the other does. It may miss that it does.
    fn covers(&self, other: &Self) -> bool {
        let lists = |own: &[String], other: &[String], covers: fn(&str, &str) -> bool| {
            own.is_empty()
                || !other.is_empty() && other.iter().all(|other| own.iter().any(|own| covers(own, other)))
        };
        let same: fn(&str, &str) -> bool = |own, other| own == other;
        lists(&self.connections, &other.connections, same)
            && lists(&self.streams, &other.streams, pattern_covers)
            && lists(&self.shops, &other.shops, same)
            && lists(&self.locations, &other.locations, pattern_covers)
    }
}

/// Whether a pattern matches whatever another does. `?` stands for one character only, so it covers no `*`.
fn pattern_covers(own: &str, other: &str) -> bool {
    own == other || !own.contains('?') && WildMatch::new(own).matches(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Camera;
    use crate::alert::sample;

    fn entry(name: &str, [connection, stream, shop, location]: [&str; 4]) -> CameraEntry {
        let list = |text: &str| text.split_terminator(',').map(str::to_owned).collect();
        CameraEntry {
            name: name.to_owned(),
            area: None,
            connections: list(connection),
            streams: list(stream),
            shops: list(shop),
            locations: list(location),
        }
    }

    #[test]
    fn the_first_that_matches_counts() {
        let book = CameraBook::new(vec![
            entry("gate", ["", "3544c7ab*", "", ""]),
            entry("till", ["yard", "", "shop-1", "Till*,Kasse ?"]),
            entry("yard", ["yard,back", "", "", ""]),
        ]);
        for (connection, stream, shop, location, name) in [
            ("front", "3544c7ab-1", None, None, Some("gate")),
            ("yard", "3544c7ab-1", Some("shop-1"), Some("Till 1"), Some("gate")),
            ("yard", "x", Some("shop-1"), Some("Till 1"), Some("till")),
            ("yard", "x", Some("shop-1"), Some("Kasse 2"), Some("till")),
            ("yard", "x", Some("shop-1"), Some("Kasse 22"), Some("yard")),
            ("yard", "x", Some("shop-1"), None, Some("yard")),
            ("yard", "x", None, Some("Till 1"), Some("yard")),
            ("back", "x", None, None, Some("yard")),
            ("front", "x", None, None, None),
        ] {
            let sighting = Sighting {
                connection,
                stream,
                shop,
                location,
            };
            assert_eq!(
                book.find(&sighting).map(|entry| entry.name.as_str()),
                name,
                "{sighting:?}"
            );
        }
    }

    #[test]
    fn an_entry_behind_a_wider_one_never_counts() {
        for (earlier, later, shadowed) in [
            (["", "", "", ""], ["yard", "", "", ""], true),
            (["yard", "", "", ""], ["", "", "", ""], false),
            (["yard", "", "", ""], ["yard", "a", "", ""], true),
            (["", "a*", "", ""], ["", "ab*", "", ""], true),
            (["", "a*", "", ""], ["", "ab,b", "", ""], false),
            (["", "a?", "", ""], ["", "a*", "", ""], false),
            (["", "a?", "", ""], ["", "a?", "", ""], true),
            (["", "", "s", "x*"], ["", "", "s", "x"], true),
            (["", "", "s", "x*"], ["", "", "t", "x"], false),
        ] {
            let book = CameraBook::new(vec![entry("a", earlier), entry("b", later)]);
            assert_eq!(!book.shadowed().is_empty(), shadowed, "{earlier:?} {later:?}");
        }
    }

    #[test]
    fn a_camera_in_the_book_is_called_by_its_name() {
        let entry = CameraEntry {
            area: Some("Yard".to_owned()),
            ..entry("Back gate", ["", "3544c7ab-*", "", ""])
        };
        let book = CameraBook::new(vec![entry]);
        let of = |id: &str| {
            let mut alert = sample(1);
            let camera = Camera::unnamed(id);
            alert.title = format!("Anomaly at camera {}", camera.label());
            alert.camera = Some(camera);
            book.name(&mut alert);
            (alert.title, alert.camera.and_then(|camera| camera.area))
        };
        assert_eq!(
            of("3544c7ab-0000-4000-8000-000000000000"),
            ("Anomaly at Back gate".to_owned(), Some("Yard".to_owned()))
        );
        assert_eq!(of("other"), ("Anomaly at camera other".to_owned(), None));
    }
}
