//! `watchpost cameras`: what was seen, named or not, and what to write to name it.

use actix_rt::System;
use clap::Args;
use serde::Serialize;
use watchpost_config::{TimeZone, camera_book};
use watchpost_core::{CameraBook, Sighting};
use watchpost_hub::SeenCameraReport;

use crate::client::HubClient;
use crate::out;
use crate::target::{RunningHub, Target};

#[derive(Debug, Args)]
pub(crate) struct CamerasArgs {
    /// Print JSON: one document a camera and line. Those without a name have what to write in `paste`.
    #[arg(long)]
    json: bool,
}

/// A camera as it is printed.
#[derive(Debug, Serialize)]
struct Printed {
    #[serde(flatten)]
    camera: SeenCameraReport,
    /// The `[[camera]]` that would name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    paste: Option<String>,
}

pub(crate) fn run(target: &Target, args: &CamerasArgs) -> anyhow::Result<()> {
    let RunningHub {
        data_dir,
        zone,
        settings,
    } = target.running_hub()?;
    let seen: Vec<SeenCameraReport> =
        System::new().block_on(async { HubClient::new(&data_dir).get("/v1/cameras").await })?;
    let book = settings.map(|settings| camera_book(&settings.camera));
    let cameras = printed(seen, book.as_ref());
    if args.json {
        return cameras.iter().try_for_each(out::json);
    }
    table(&cameras, &zone)
}

/// Names the cameras as the configuration does now, and says of the others what to write.
fn printed(seen: Vec<SeenCameraReport>, book: Option<&CameraBook>) -> Vec<Printed> {
    let name = |mut camera: SeenCameraReport| {
        if let Some(book) = book {
            let entry = book.find(&Sighting {
                connection: &camera.connection,
                stream: &camera.id,
                shop: camera.shop.as_deref(),
                location: camera.location.as_deref(),
            });
            camera.name = entry.map(|entry| entry.name.clone());
            camera.area = entry.and_then(|entry| entry.area.clone());
        }
        let paste = camera.name.is_none().then(|| paste(&camera));
        Printed { camera, paste }
    };
    seen.into_iter().map(name).collect()
}

/// The `[[camera]]` for a camera. A place lasts longer than the id of a stream.
fn paste(camera: &SeenCameraReport) -> String {
    let mut keys = vec![("connection", quoted(&camera.connection))];
    let name = match &camera.location {
        Some(location) => {
            keys.extend(camera.shop.iter().map(|shop| ("shop", quoted(shop))));
            keys.push(("location", quoted(location)));
            location.clone()
        }
        None => {
            let any = if camera.short_id.len() < camera.id.len() {
                "*"
            } else {
                ""
            };
            keys.push(("stream", quoted(&format!("{}{any}", camera.short_id))));
            format!("Camera {}", camera.short_id)
        }
    };
    let keys: Vec<String> = keys
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!(
        "[[camera]]\nname = {}\nmatch = {{ {} }}\n",
        quoted(&name),
        keys.join(", ")
    )
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

fn table(cameras: &[Printed], zone: &TimeZone) -> anyhow::Result<()> {
    if cameras.is_empty() {
        return Ok(out::line("no camera was seen yet")?);
    }
    let width = cameras
        .iter()
        .map(|printed| printed.camera.short_id.chars().count());
    let width = width.max().unwrap_or(0).clamp(8, 36);
    out::fitted(format_args!(
        "{:width$}  {:19}  {:>7}  CONNECTION: NAME",
        "CAMERA", "LAST SEEN", "ALERTS"
    ))?;
    for Printed { camera, .. } in cameras {
        out::fitted(format_args!(
            "{:width$}  {}  {:>7}  {}: {}",
            camera.short_id,
            zone.show(camera.last_seen.0),
            camera.alerts,
            camera.connection,
            camera.name.as_deref().unwrap_or("(no name)")
        ))?;
    }
    let mut pasted: Vec<&str> = cameras
        .iter()
        .filter_map(|printed| printed.paste.as_deref())
        .collect();
    // A place has had several streams.
    let mut met = std::collections::HashSet::new();
    pasted.retain(|lines| met.insert(*lines));
    if pasted.is_empty() {
        return Ok(());
    }
    out::line("")?;
    out::line("To name those without a name, write this into the configuration, with names of your own:")?;
    for lines in pasted {
        out::line("")?;
        out::lines(lines)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use watchpost_core::{CameraEntry, UnixMillis};

    use super::*;

    fn camera(id: &str, location: Option<&str>) -> SeenCameraReport {
        SeenCameraReport {
            connection: "shop".to_owned(),
            id: id.to_owned(),
            short_id: id.chars().take(8).collect(),
            name: None,
            area: None,
            shop: Some("s-1".to_owned()),
            location: location.map(str::to_owned),
            alerts: 1,
            last_seen: UnixMillis(0),
        }
    }

    fn pasted(camera: &SeenCameraReport, expected: Expect) {
        let lines = paste(camera);
        expected.assert_eq(&lines);
        toml::from_str::<toml::Table>(&lines).unwrap();
    }

    #[test]
    fn a_camera_is_named_by_its_place_or_else_by_its_stream() {
        let id = "3544c7ab-a57f-478e-918e-bb579162847a";
        pasted(
            &camera(id, None),
            expect![[r#"
                [[camera]]
                name = "Camera 3544c7ab"
                match = { connection = "shop", stream = "3544c7ab*" }
            "#]],
        );
        pasted(
            &camera("door", None),
            expect![[r#"
                [[camera]]
                name = "Camera door"
                match = { connection = "shop", stream = "door" }
            "#]],
        );
        pasted(
            &camera(id, Some("Back \"door\"\u{1b}[2J")),
            expect![[r#"
                [[camera]]
                name = "Back \"door\"\U0000001B[2J"
                match = { connection = "shop", shop = "s-1", location = "Back \"door\"\U0000001B[2J" }
            "#]],
        );
    }

    #[test]
    fn the_configuration_of_the_moment_names_cameras() {
        let gate = CameraEntry {
            name: "Gate".to_owned(),
            area: None,
            connections: Vec::new(),
            streams: vec!["3544*".to_owned()],
            shops: Vec::new(),
            locations: Vec::new(),
        };
        let book = CameraBook::new(vec![gate]);
        let seen = vec![camera("3544c7ab", None), camera("8fe86860", None)];
        let printed = printed(seen, Some(&book));
        assert_eq!(printed[0].camera.name.as_deref(), Some("Gate"));
        assert_eq!(printed[0].paste, None);
        assert_eq!(printed[1].camera.name, None);
        assert!(printed[1].paste.is_some());
    }
}
