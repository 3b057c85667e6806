//! Areas over the control socket: where they stand, arm and disarm.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use watchpost_core::{Actor, ArmingCommand, Mode};
use watchpost_hub::{AreaReport, DEFERRED, HubHandle, Recording, STOPPED_DEFERRED};

use crate::Problem;

/// The body of `POST /v1/areas/arm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmAreas {
    /// How.
    pub mode: Mode,
    /// Names of areas. Without any, those of the mode are armed and the others disarmed.
    #[serde(default)]
    pub areas: Vec<String>,
    /// Whether what keeps them from being ready is bypassed until they are disarmed.
    #[serde(default)]
    pub force: bool,
}

/// The body of `POST /v1/areas/disarm` and `POST /v1/areas/seen`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamedAreas {
    /// Names of areas; all without any.
    pub areas: Vec<String>,
}

/// The body of `POST /v1/areas/postpone`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostponeAreas {
    /// Names of areas; all that a schedule arms without any.
    #[serde(default)]
    pub areas: Vec<String>,
    /// By how much, in milliseconds.
    pub millis: u64,
}

/// The body of `POST /v1/areas/test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestAreas {
    /// Names of areas; all without any.
    #[serde(default)]
    pub areas: Vec<String>,
    /// How long, in milliseconds; without it the test ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

/// What became of a command about areas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreasAnswer {
    /// Why there is nothing to see yet, while the store cannot be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<String>,
    /// All areas as they are now.
    pub areas: Vec<AreaReport>,
}

pub(crate) fn configure(routes: &mut web::ServiceConfig) {
    routes
        .route("/v1/areas", web::get().to(list))
        .route("/v1/areas/arm", web::post().to(arm))
        .route("/v1/areas/disarm", web::post().to(disarm))
        .route("/v1/areas/postpone", web::post().to(postpone))
        .route("/v1/areas/test", web::post().to(test))
        .route("/v1/areas/seen", web::post().to(seen));
}

type Hub = web::Data<HubHandle>;

async fn list(hub: Hub) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(hub.areas().await?))
}

async fn arm(hub: Hub, body: web::Json<ArmAreas>) -> Result<HttpResponse, Problem> {
    let ArmAreas { mode, areas, force } = body.into_inner();
    let by = Actor::Operator;
    let command = ArmingCommand::Arm {
        mode,
        areas,
        force,
        by,
    };
    carry_out(&hub, command, DEFERRED).await
}

async fn disarm(hub: Hub, body: web::Json<NamedAreas>) -> Result<HttpResponse, Problem> {
    let (areas, by) = (body.into_inner().areas, Actor::Operator);
    carry_out(&hub, ArmingCommand::Disarm { areas, by }, STOPPED_DEFERRED).await
}

async fn postpone(hub: Hub, body: web::Json<PostponeAreas>) -> Result<HttpResponse, Problem> {
    let PostponeAreas { areas, millis } = body.into_inner();
    let (lasts, by) = (Duration::from_millis(millis), Actor::Operator);
    carry_out(&hub, ArmingCommand::Postpone { areas, lasts, by }, DEFERRED).await
}

async fn test(hub: Hub, body: web::Json<TestAreas>) -> Result<HttpResponse, Problem> {
    let TestAreas { areas, millis } = body.into_inner();
    let (lasts, by) = (millis.map(Duration::from_millis), Actor::Operator);
    carry_out(&hub, ArmingCommand::Test { areas, lasts, by }, DEFERRED).await
}

async fn seen(hub: Hub, body: web::Json<NamedAreas>) -> Result<HttpResponse, Problem> {
    let areas = body.into_inner().areas;
    carry_out(&hub, ArmingCommand::Seen { areas }, DEFERRED).await
}

async fn carry_out(hub: &HubHandle, command: ArmingCommand, deferred: &str) -> Result<HttpResponse, Problem> {
    Ok(match hub.arming(command).await? {
        Recording::Done(_) => HttpResponse::Ok().json(AreasAnswer {
            deferred: None,
            areas: hub.areas().await?,
        }),
        Recording::Deferred => HttpResponse::Accepted().json(AreasAnswer {
            deferred: Some(deferred.to_owned()),
            areas: Vec::new(),
        }),
    })
}
