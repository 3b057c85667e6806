//! The simulator's own routes, by which a test or a person steers a simulator in another process.
//! No token is asked for: whoever reaches the address may steer it.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use uuid::Uuid;

use crate::{Command, backend::Backend, handle::Handle};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(super::resource("/simulator/command").route(web::post().to(command)))
        .service(super::resource("/simulator/about").route(web::get().to(about)))
        .service(super::resource("/simulator/stats").route(web::get().to(stats)))
        .service(super::resource("/simulator/alerts").route(web::get().to(alerts)))
        .service(super::resource("/simulator/attempts").route(web::get().to(attempts)))
        .service(super::resource("/simulator/pictures/{anomaly_id}").route(web::get().to(picture)));
}

async fn command(handle: web::Data<Handle>, body: web::Bytes) -> HttpResponse {
    let refuse = |reason: String| HttpResponse::BadRequest().json(serde_json::json!({ "error": reason }));
    let command: Command = match serde_json::from_slice(&body) {
        Ok(command) => command,
        Err(e) => {
            return refuse(format!(
                "{e}; expected a command, like {{\"do\":\"send\",\"count\":3}}"
            ));
        }
    };
    match handle.order(command).await {
        Ok(()) => HttpResponse::Ok().json(handle.backend().stats()),
        Err(e) => refuse(e.to_string()),
    }
}

#[derive(Serialize)]
struct About<'a> {
    user_id: Uuid,
    email: &'a str,
    password: &'a str,
    token: String,
    second_user_id: Uuid,
    second_email: &'a str,
    second_password: &'a str,
    second_token: String,
    shop_id: Uuid,
    shops: &'a [Uuid],
    streams: Vec<Uuid>,
}

async fn about(backend: web::Data<Backend>) -> HttpResponse {
    let (account, second) = (backend.account(), backend.second());
    match (backend.token(&account), backend.token(second)) {
        (Ok(token), Ok(second_token)) => HttpResponse::Ok().json(About {
            user_id: account.user_id,
            email: &account.email,
            password: &account.password,
            token,
            second_user_id: second.user_id,
            second_email: &second.email,
            second_password: &second.password,
            second_token,
            shop_id: backend.shops[0],
            shops: &backend.shops,
            streams: backend.cameras.iter().map(|camera| camera.stream_id).collect(),
        }),
        (Err(e), _) | (_, Err(e)) => HttpResponse::InternalServerError().body(e.to_string()),
    }
}

async fn stats(backend: web::Data<Backend>) -> HttpResponse {
    HttpResponse::Ok().json(backend.stats())
}

async fn alerts(backend: web::Data<Backend>) -> HttpResponse {
    let alerts = backend.state().ledger.alerts();
    HttpResponse::Ok().json(alerts)
}

async fn attempts(backend: web::Data<Backend>) -> HttpResponse {
    let attempts = backend.state().ledger.attempts();
    HttpResponse::Ok().json(attempts)
}

/// The very bytes that an alert carried.
async fn picture(handle: web::Data<Handle>, id: web::Path<Uuid>) -> HttpResponse {
    match handle.picture(*id) {
        Some(bytes) => HttpResponse::Ok().content_type("image/jpeg").body(bytes),
        None => HttpResponse::NotFound().json(serde_json::json!({ "error": format!("no alert {id}") })),
    }
}
