//! The `[[camera]]` that names a camera: one that `watchpost check` takes beside those that there are, whatever a source
//! calls its cameras. It knows no hub.

use std::collections::BTreeSet;

use watchpost_config::{CameraSettings, Settings, camera_book};
use watchpost_core::{CameraBook, CameraEntry};
use watchpost_hub::SeenCameraReport;

use crate::out;

/// An entry, and the cameras that it names.
struct Proposal {
    entry: CameraEntry,
    /// As they were given.
    cameras: Vec<usize>,
}

/// What to write for each of these cameras, which have no name. One that is seen over several connections, and a place that has
/// had several streams, has one entry. `None` where none can be written: the camera's connection is gone, or its source says
/// nothing of it.
pub(super) fn pastes(unnamed: &[&SeenCameraReport], settings: Option<&Settings>) -> Vec<Option<String>> {
    let mut proposals: Vec<Proposal> = Vec::new();
    for (i, camera) in unnamed.iter().enumerate() {
        let gone = |settings: &Settings| settings.connection.iter().all(|c| c.name != camera.connection);
        if settings.is_some_and(gone) {
            continue;
        }
        let Some(mut entry) = entry(camera) else { continue };
        match proposals
            .iter_mut()
            .find(|known| same_camera(&known.entry, &entry))
        {
            Some(known) => {
                if !known.entry.connections.contains(&camera.connection) {
                    known.entry.connections.append(&mut entry.connections);
                }
                known.cameras.push(i);
            }
            None => proposals.push(Proposal {
                entry,
                cameras: vec![i],
            }),
        }
    }
    let existing: &[CameraSettings] = settings.map_or(&[], |settings| &settings.camera);
    // Of several that match, the first counts: the narrower ones come first.
    proposals.sort_by_key(|proposal| proposal.entry.shops.is_empty());
    drop_shadowed(&mut proposals, existing);
    name(&mut proposals, existing);
    let mut pastes = vec![None; unnamed.len()];
    for Proposal { entry, cameras } in proposals {
        let lines = lines(&entry);
        cameras.into_iter().for_each(|i| pastes[i] = Some(lines.clone()));
    }
    pastes
}

/// The entry for a camera. A place lasts longer than the id of a stream.
fn entry(camera: &SeenCameraReport) -> Option<CameraEntry> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let mut entry = CameraEntry {
        name: String::new(),
        area: None,
        connections: vec![camera.connection.clone()],
        streams: Vec::new(),
        shops: Vec::new(),
        locations: Vec::new(),
    };
    if let Some(location) = said(&camera.location) {
        entry.locations = vec![as_pattern(&location)];
        entry.shops.extend(said(&camera.shop));
        entry.name = location;
    } else if !camera.id.trim().is_empty() {
        let any = if camera.short_id.len() < camera.id.len() {
            "*"
        } else {
            ""
        };
        entry.streams = vec![as_pattern(&camera.short_id) + any];
        entry.name = format!("Camera {}", camera.short_id);
    } else {
        return None;
    }
    Some(entry)
}

/// A text as a pattern that matches it. A pattern can say no asterisk as such, but any one character.
fn as_pattern(text: &str) -> String {
    text.replace('*', "?")
}

/// Whether two entries say the same but for the connections.
fn same_camera(one: &CameraEntry, other: &CameraEntry) -> bool {
    let said = |entry: &CameraEntry| {
        (
            entry.streams.clone(),
            entry.shops.clone(),
            entry.locations.clone(),
        )
    };
    said(one) == said(other)
}

/// Without those that would never count: an earlier one names their cameras.
fn drop_shadowed(proposals: &mut Vec<Proposal>, existing: &[CameraSettings]) {
    loop {
        let mut entries: Vec<CameraEntry> = camera_book(existing).into_entries();
        let first = entries.len();
        entries.extend(proposals.iter().map(|proposal| proposal.entry.clone()));
        let shadowed = CameraBook::new(entries).shadowed();
        let Some(&(shadowed, by)) = shadowed.iter().find(|(i, _)| *i >= first) else {
            return;
        };
        let mut cameras = proposals.remove(shadowed - first).cameras;
        if let Some(by) = by.checked_sub(first) {
            proposals[by].cameras.append(&mut cameras);
        }
    }
}

/// Gives each a name that no other has.
fn name(proposals: &mut [Proposal], existing: &[CameraSettings]) {
    let mut taken: BTreeSet<String> = existing.iter().map(|camera| camera.name.clone()).collect();
    for Proposal { entry, .. } in proposals {
        let mut name = entry.name.clone();
        for number in 2.. {
            if taken.insert(name.clone()) {
                break;
            }
            name = format!("{} {number}", entry.name);
        }
        entry.name = name;
    }
}

fn lines(entry: &CameraEntry) -> String {
    let keys = [
        ("connection", &entry.connections),
        ("stream", &entry.streams),
        ("shop", &entry.shops),
        ("location", &entry.locations),
    ];
    let keys = keys.into_iter().filter(|(_, values)| !values.is_empty());
    let keys: Vec<String> = keys
        .map(|(key, values)| format!("{key} = {}", one_or_several(values)))
        .collect();
    format!(
        "[[camera]]\nname = {}\nmatch = {{ {} }}\n",
        quoted(&entry.name),
        keys.join(", ")
    )
}

fn one_or_several(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    match &quoted[..] {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// A string of TOML. All that a terminal would obey is escaped in the way of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if out::is_unsafe(c) => quoted += &format!("\\U{:08X}", u32::from(c)),
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use std::fs;

    use expect_test::{Expect, expect};
    use watchpost_config::{Variables, load_with};
    use watchpost_core::{Sighting, UnixMillis};

    use super::*;

    const SITE: &str = "[[connection]]\nname = \"shop\"\nkind = \"inbound\"\ntoken = \"t\"\n\
                        [[connection]]\nname = \"yard\"\nkind = \"inbound\"\ntoken = \"u\"\n\
                        [web]\nlisten = \"127.0.0.1:8001\"\n\
                        [[camera]]\nname = \"Hall\"\nmatch = { stream = \"hall\" }\n";

    const ID: &str = "3544c7ab-a57f-478e-918e-bb579162847a";

    fn camera(connection: &str, id: &str, shop: Option<&str>, location: Option<&str>) -> SeenCameraReport {
        SeenCameraReport {
            connection: connection.to_owned(),
            id: id.to_owned(),
            short_id: id.chars().take(8).collect(),
            name: None,
            area: None,
            shop: shop.map(str::to_owned),
            location: location.map(str::to_owned),
            alerts: 1,
            last_seen: UnixMillis(0),
        }
    }

    /// What is printed for these cameras, which the configuration takes, and by which each of them has a name.
    fn check(cameras: &[SeenCameraReport], expected: Expect) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("watchpost.toml");
        let load = |text: &str| {
            fs::write(&file, text).unwrap();
            load_with(&file, Variables::new()).map(|loaded| loaded.settings)
        };
        let settings = load(SITE).unwrap();
        let unnamed: Vec<&SeenCameraReport> = cameras.iter().collect();
        let pastes = pastes(&unnamed, Some(&settings));
        let mut lines: Vec<&str> = pastes.iter().flatten().map(String::as_str).collect();
        let mut met = BTreeSet::new();
        lines.retain(|lines| met.insert(*lines));
        let lines = lines.concat();
        expected.assert_eq(&lines);
        let settings =
            load(&format!("{SITE}{lines}")).unwrap_or_else(|e| panic!("{:?}:\n{lines}", e.errors()));
        let book = camera_book(&settings.camera);
        for (camera, paste) in cameras.iter().zip(pastes) {
            let entry = book.find(&Sighting {
                connection: &camera.connection,
                stream: &camera.id,
                shop: camera.shop.as_deref(),
                location: camera.location.as_deref(),
            });
            assert_eq!(entry.is_some(), paste.is_some(), "{camera:?}");
        }
    }

    #[test]
    fn a_camera_is_named_by_its_place_or_else_by_its_stream() {
        check(
            &[
                camera("shop", ID, None, None),
                camera("shop", "door", Some("s-1"), None),
                camera("shop", "x", Some("s-1"), Some("Back \"door\"\u{1b}[2J")),
            ],
            expect![[r#"
                [[camera]]
                name = "Camera 3544c7ab"
                match = { connection = "shop", stream = "3544c7ab*" }
                [[camera]]
                name = "Camera door"
                match = { connection = "shop", stream = "door" }
                [[camera]]
                name = "Back \"door\"\U0000001B[2J"
                match = { connection = "shop", shop = "s-1", location = "Back \"door\"\U0000001B[2J" }
            "#]],
        );
    }

    #[test]
    fn a_camera_that_is_seen_over_two_connections_has_one_entry() {
        check(
            &[
                camera("shop", ID, None, None),
                camera("yard", ID, None, None),
                camera("shop", "a", Some("s-1"), Some("Till")),
                camera("yard", "b", Some("s-1"), Some("Till")),
                camera("shop", "c", Some("s-1"), Some("Till")),
            ],
            expect![[r#"
                [[camera]]
                name = "Camera 3544c7ab"
                match = { connection = ["shop", "yard"], stream = "3544c7ab*" }
                [[camera]]
                name = "Till"
                match = { connection = ["shop", "yard"], shop = "s-1", location = "Till" }
            "#]],
        );
    }

    #[test]
    fn of_what_is_gone_or_says_nothing_no_entry_is_made() {
        check(
            &[
                camera("removed", ID, None, None),
                camera("shop", "", None, Some(" ")),
                camera("shop", " ", Some("s-1"), None),
            ],
            expect![""],
        );
    }

    #[test]
    fn names_do_not_clash_and_patterns_stand_for_themselves() {
        check(
            &[
                camera("shop", "1", Some("s-1"), Some("Hall")),
                camera("shop", "2", Some("s-2"), Some("Hall")),
                camera("shop", "3", None, Some("Hall")),
                camera("shop", "*", None, None),
                camera("shop", "?", None, None),
                camera("yard", "4", None, Some("Gate *?")),
            ],
            expect![[r#"
                [[camera]]
                name = "Hall 2"
                match = { connection = "shop", shop = "s-1", location = "Hall" }
                [[camera]]
                name = "Hall 3"
                match = { connection = "shop", shop = "s-2", location = "Hall" }
                [[camera]]
                name = "Hall 4"
                match = { connection = "shop", location = "Hall" }
                [[camera]]
                name = "Camera *"
                match = { connection = "shop", stream = "?" }
                [[camera]]
                name = "Gate *?"
                match = { connection = "yard", location = "Gate ??" }
            "#]],
        );
    }
}
