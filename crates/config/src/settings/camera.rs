//! `[[camera]]`: names for cameras.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::{CameraBook, CameraEntry};

use crate::forms;

/// `[[camera]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraSettings {
    /// What people call it, such as `Back gate`: unique. It stands in the titles of alerts, in lists and in messages.
    #[schemars(with = "forms::Text")]
    pub name: String,
    /// The area that it watches, such as `Yard`.
    #[schemars(with = "Option<forms::Text>")]
    pub area: Option<String>,
    /// Which camera it is: the one that meets every condition given here, of which there is at least one. Of several
    /// `[[camera]]` that match, the first counts.
    #[serde(rename = "match")]
    pub matches: CameraMatch,
}

/// `[camera.match]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CameraMatch {
    /// The name of the connection that its alerts come over, or several.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub connection: Vec<String>,
    /// The id of its stream, or several, with `*` for any characters and `?` for one: `3544c7ab*`. The backend makes a
    /// new id at each start of a stream, so a shop and a location last longer.
    #[schemars(with = "Vec<forms::Text>", extend("x-one" = true))]
    pub stream: Vec<String>,
    /// The id of its shop, or several. Known of alerts that were fetched from the backend's list only.
    #[schemars(with = "Vec<forms::Text>", extend("x-one" = true))]
    pub shop: Vec<String>,
    /// Where it is in the backend's words, or several, with `*` and `?`. Known of alerts that were fetched from the
    /// backend's list only.
    #[schemars(with = "Vec<forms::Text>", extend("x-one" = true))]
    pub location: Vec<String>,
}

impl CameraMatch {
    /// Whether it says nothing, and so matches every camera.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The names of all cameras.
pub fn camera_book(cameras: &[CameraSettings]) -> CameraBook {
    let entry = |camera: &CameraSettings| CameraEntry {
        name: camera.name.clone(),
        area: camera.area.clone(),
        connections: camera.matches.connection.clone(),
        streams: camera.matches.stream.clone(),
        shops: camera.matches.shop.clone(),
        locations: camera.matches.location.clone(),
    };
    CameraBook::new(cameras.iter().map(entry).collect())
}
