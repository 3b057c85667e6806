//! Fetches the picture of a record.

use std::sync::Arc;

use watchpost_core::{Alert, AlertIds, FailureKind, UnixMillis, Via};
use watchpost_visionguard::PictureLimits;
use watchpost_visionguard::rest::Anomaly;

use super::super::credentials::Session;
use super::record;
use crate::backend::Api;

/// Tries before the alert is stored without it.
const PICTURE_TRIES: u32 = 3;

/// The alert of a record of which a notification told, and which no alert came before.
pub(in super::super) async fn told_of(
    api: &Api,
    session: &Session,
    anomaly: &Anomaly,
    connection: &str,
    limits: PictureLimits,
    ids: &Arc<AlertIds>,
    now: UnixMillis,
) -> (Alert, Option<Vec<u8>>) {
    let picture = picture(api, session, anomaly).await;
    record::alert(anomaly, connection, Via::Live, picture, limits, ids, now)
}

pub(super) async fn picture(api: &Api, session: &Session, anomaly: &Anomaly) -> Result<Vec<u8>, String> {
    let Some(url) = &anomaly.image_url else {
        return Err("the backend has no picture of it".to_owned());
    };
    let mut tries = 1;
    loop {
        match api.picture(&session.token, url).await {
            Ok(bytes) => return Ok(bytes.to_vec()),
            Err(e)
                if tries == PICTURE_TRIES
                    || matches!(e.kind, FailureKind::Http(404) | FailureKind::Address) =>
            {
                return Err(format!("the backend did not give the picture: {e}"));
            }
            Err(_) => tries += 1,
        }
    }
}
