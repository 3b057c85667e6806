//! Cameras as the outside asks for them: which were seen, and how each is shown where it has no name.

use serde::{Deserialize, Serialize};
use watchpost_core::{CameraIds, UnixMillis};
use watchpost_store::{Reader, SeenCamera, StoreError};

/// Alerts looked at. A camera without one among them is not listed.
pub(crate) const MAX_EXAMINED_ALERTS: u32 = 100_000;

/// A camera of which there are alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCameraReport {
    /// The connection that its alerts came over.
    pub connection: String,
    /// What its source calls it.
    pub id: String,
    /// As much of that as tells it from all others.
    pub short_id: String,
    /// What its newest alert calls it, where a `[[camera]]` said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The area that it watches, where a `[[camera]]` said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// The shop, where an alert says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop: Option<String>,
    /// The place in the source's words, where an alert says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How many of the newest alerts are of it.
    pub alerts: u64,
    /// When the newest of them was received.
    pub last_seen: UnixMillis,
}

/// The cameras of the newest alerts, the one with the newest alert first.
pub(crate) fn seen(reader: &mut Reader) -> Result<Vec<SeenCameraReport>, StoreError> {
    let cameras = reader.cameras(MAX_EXAMINED_ALERTS)?;
    let mut ids = CameraIds::default();
    for camera in &cameras {
        ids.add(&camera.camera.id);
    }
    Ok(cameras.into_iter().map(|seen| report(seen, &ids)).collect())
}

fn report(seen: SeenCamera, ids: &CameraIds) -> SeenCameraReport {
    SeenCameraReport {
        connection: seen.connection,
        short_id: ids.short(&seen.camera.id).to_owned(),
        id: seen.camera.id,
        name: seen.camera.name,
        area: seen.camera.area,
        shop: seen.shop,
        location: seen.location,
        alerts: seen.alerts,
        last_seen: seen.newest.received_at(),
    }
}
