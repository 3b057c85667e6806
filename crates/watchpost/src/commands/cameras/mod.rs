//! `watchpost cameras`: what was seen, named or not, and what to write to name it.

mod paste;

use actix_rt::System;
use clap::Args;
use serde::Serialize;
use watchpost_config::{Settings, TimeZone, camera_book};
use watchpost_core::{CameraBook, Sighting};
use watchpost_hub::SeenCameraReport;

use self::paste::pastes;
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
    let cameras = printed(seen, settings.as_ref());
    if args.json {
        return cameras.iter().try_for_each(out::json);
    }
    table(&cameras, &zone)
}

/// Names the cameras as the configuration does now, and says of the others what to write.
fn printed(mut seen: Vec<SeenCameraReport>, settings: Option<&Settings>) -> Vec<Printed> {
    if let Some(settings) = settings {
        let book = camera_book(&settings.camera);
        seen.iter_mut().for_each(|camera| name(camera, &book));
    }
    let unnamed: Vec<&SeenCameraReport> = seen.iter().filter(|camera| camera.name.is_none()).collect();
    let mut pastes = pastes(&unnamed, settings).into_iter();
    let printed = |camera: SeenCameraReport| {
        let paste = camera.name.is_none().then(|| pastes.next().flatten());
        Printed {
            camera,
            paste: paste.flatten(),
        }
    };
    seen.into_iter().map(printed).collect()
}

fn name(camera: &mut SeenCameraReport, book: &CameraBook) {
    let entry = book.find(&Sighting {
        connection: &camera.connection,
        stream: &camera.id,
        shop: camera.shop.as_deref(),
        location: camera.location.as_deref(),
    });
    camera.name = entry.map(|entry| entry.name.clone());
    camera.area = entry.and_then(|entry| entry.area.clone());
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
    use watchpost_core::UnixMillis;

    use super::*;

    #[test]
    fn the_configuration_of_the_moment_names_cameras() {
        let text = "[[connection]]\nname = 'shop'\nurl = 'http://a'\n\
                    [[camera]]\nname = 'Gate'\nmatch.stream = ['3544*']\n";
        let settings: Settings = toml::from_str(text).unwrap();
        let camera = |id: &str| SeenCameraReport {
            connection: "shop".to_owned(),
            id: id.to_owned(),
            short_id: id.to_owned(),
            name: None,
            area: None,
            shop: None,
            location: None,
            alerts: 1,
            last_seen: UnixMillis(0),
        };
        let seen = vec![camera("3544c7ab"), camera("8fe86860")];
        let printed = printed(seen, Some(&settings));
        assert_eq!(printed[0].camera.name.as_deref(), Some("Gate"));
        assert_eq!(printed[0].paste, None);
        assert_eq!(printed[1].camera.name, None);
        assert!(printed[1].paste.is_some());
    }
}
