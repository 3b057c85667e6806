//! Which cameras the stored alerts are of.

use rusqlite::Connection;
use watchpost_core::{AlertId, Camera};

use crate::codec::{count, id};

/// A camera of which there are alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCamera {
    /// The connection that its alerts came over.
    pub connection: String,
    /// What the newest of them says of it.
    pub camera: Camera,
    /// The shop, where an alert says it.
    pub shop: Option<String>,
    /// The place in the source's words, where an alert says it.
    pub location: Option<String>,
    /// How many alerts of it were looked at.
    pub alerts: u64,
    /// The newest of them.
    pub newest: AlertId,
}

/// The cameras of the newest `limit` alerts, the one with the newest alert first.
pub(super) fn cameras(db: &Connection, limit: u32) -> rusqlite::Result<Vec<SeenCamera>> {
    db.prepare_cached(
        "SELECT connection.name, seen.camera,
           json_extract(newest.body, '$.camera.name'), json_extract(newest.body, '$.camera.area'),
           seen.shop, seen.location, seen.alerts, seen.newest
         FROM (SELECT connection, camera, max(shop) AS shop, max(location) AS location,
                 count(*) AS alerts, max(id) AS newest
               FROM (SELECT id, connection,
                       json_extract(body, '$.camera.id') AS camera,
                       json_extract(body, '$.visionguard.shop_id') AS shop,
                       json_extract(body, '$.visionguard.location') AS location
                     FROM alert ORDER BY id DESC LIMIT ?1)
               WHERE camera IS NOT NULL GROUP BY connection, camera) AS seen
         JOIN connection ON connection.id = seen.connection
         JOIN alert AS newest ON newest.id = seen.newest
         ORDER BY seen.newest DESC",
    )?
    .query_map([limit], |row| {
        Ok(SeenCamera {
            connection: row.get(0)?,
            camera: Camera {
                id: row.get(1)?,
                name: row.get(2)?,
                area: row.get(3)?,
            },
            shop: row.get(4)?,
            location: row.get(5)?,
            alerts: count(row, 6)?,
            newest: row.get(7).map(id)?,
        })
    })?
    .collect()
}
