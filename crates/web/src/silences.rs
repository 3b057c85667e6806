//! Silences over the control socket.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use watchpost_core::{Actor, Silence, SilenceCommand, SilenceId, SilenceMatch};
use watchpost_hub::{DEFERRED, HubHandle, Recording};

use crate::Problem;

/// Longest reason, in characters.
const MAX_WHY_CHARS: usize = 500;

/// Most names in one silence.
const MAX_NAMES: usize = 100;

/// The body of `POST /v1/silences`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginSilence {
    /// What it is about.
    #[serde(rename = "match")]
    pub matches: SilenceMatch,
    /// How long it lasts, in milliseconds.
    pub millis: u64,
    /// Why.
    pub why: String,
}

/// The body of `POST /v1/silences/{id}/extend`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendSilence {
    /// How long it lasts from now on, in milliseconds.
    pub millis: u64,
}

/// What became of a command about silences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceAnswer {
    /// Why there is nothing to see yet, while the store cannot be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<String>,
    /// The silences that are not over; of a new one this alone.
    pub silences: Vec<Silence>,
}

pub(crate) fn configure(routes: &mut web::ServiceConfig) {
    routes
        .route("/v1/silences", web::get().to(list))
        .route("/v1/silences", web::post().to(begin))
        .route("/v1/silences/{id}/extend", web::post().to(extend))
        .route("/v1/silences/{id}/end", web::post().to(end));
}

type Hub = web::Data<HubHandle>;

async fn list(hub: Hub) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(hub.silences().await?))
}

async fn begin(hub: Hub, body: web::Json<BeginSilence>) -> Result<HttpResponse, Problem> {
    let BeginSilence { matches, millis, why } = body.into_inner();
    if why.trim().is_empty() || why.chars().count() > MAX_WHY_CHARS {
        let problem = format_args!("`why` must say why, in at most {MAX_WHY_CHARS} characters");
        return Err(Problem::bad_request(problem));
    }
    if matches.names() > MAX_NAMES {
        let problem = format_args!("a silence has at most {MAX_NAMES} names");
        return Err(Problem::bad_request(problem));
    }
    let command = SilenceCommand::Begin {
        matches: Box::new(matches),
        lasts: Duration::from_millis(millis),
        why,
        by: Actor::Operator,
    };
    carry_out(&hub, command).await
}

async fn extend(
    hub: Hub,
    id: web::Path<SilenceId>,
    body: web::Json<ExtendSilence>,
) -> Result<HttpResponse, Problem> {
    let (id, lasts) = (id.into_inner(), Duration::from_millis(body.millis));
    carry_out(&hub, SilenceCommand::Extend { id, lasts }).await
}

async fn end(hub: Hub, id: web::Path<SilenceId>) -> Result<HttpResponse, Problem> {
    let (id, by) = (id.into_inner(), Actor::Operator);
    carry_out(&hub, SilenceCommand::End { id, by }).await
}

async fn carry_out(hub: &HubHandle, command: SilenceCommand) -> Result<HttpResponse, Problem> {
    let begins = matches!(command, SilenceCommand::Begin { .. });
    Ok(match hub.silence(command).await? {
        Recording::Done(_) => {
            let mut silences = hub.silences().await?;
            if begins {
                silences = silences.pop().into_iter().collect();
            }
            HttpResponse::Ok().json(SilenceAnswer {
                deferred: None,
                silences,
            })
        }
        Recording::Deferred => HttpResponse::Accepted().json(SilenceAnswer {
            deferred: Some(DEFERRED.to_owned()),
            silences: Vec::new(),
        }),
    })
}
