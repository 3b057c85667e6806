//! Panic over the control socket: a person needs help.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use watchpost_core::{Actor, AlertId, Panic};
use watchpost_hub::{HubHandle, Recording};

use crate::Problem;

/// Longest text that is taken, in bytes.
const MAX_WHY_BYTES: usize = 1_024;

/// What a panic that waits for the disk means.
const DEFERRED: &str =
    "raised; recorded when the disk can. What makes noise sounds meanwhile, and messages wait for the disk";

/// The body of `POST /v1/panic`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RaisePanic {
    /// Names of the areas where; the whole site without any.
    pub areas: Vec<String>,
    /// Whether no siren sounds: messages only.
    pub silent: bool,
    /// What the person says of it, in 1,024 bytes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicAnswer {
    /// The alert that it is.
    pub alert: AlertId,
    /// Why it is not on disk yet, while the store cannot be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<String>,
}

pub(crate) async fn panic(
    hub: web::Data<HubHandle>,
    body: web::Json<RaisePanic>,
) -> Result<HttpResponse, Problem> {
    let RaisePanic { areas, silent, why } = body.into_inner();
    if why.as_ref().is_some_and(|why| why.len() > MAX_WHY_BYTES) {
        let detail = format!("`why` has more than {MAX_WHY_BYTES} bytes");
        return Err(Problem::bad_request(detail));
    }
    let by = Actor::Operator;
    let (alert, recording) = hub
        .panic(Panic {
            areas,
            silent,
            by,
            why,
        })
        .await?;
    Ok(match recording {
        Recording::Done(_) => HttpResponse::Ok().json(PanicAnswer {
            alert,
            deferred: None,
        }),
        Recording::Deferred => HttpResponse::Accepted().json(PanicAnswer {
            alert,
            deferred: Some(DEFERRED.to_owned()),
        }),
    })
}
