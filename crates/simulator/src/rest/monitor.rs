//! Health, shops and the list of registered users; the last needs no token.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{auth, errors};
use crate::{backend::Backend, clock, slots::Slot};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(super::resource("/health").route(web::get().to(health)))
        .service(super::resource("/api/health").route(web::get().to(api_health)))
        .service(super::resource("/shops").route(web::get().to(shops)))
        .service(super::resource("/ws/connections").route(web::get().to(connections)))
        .service(super::resource("/ws/connections/{user_id}").route(web::get().to(connection)));
}

/// The real server calls itself degraded because a sample video is missing, and nothing else.
async fn health() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "degraded" }))
}

#[derive(Serialize)]
struct ApiHealth {
    status: &'static str,
    active_connections: usize,
    service: &'static str,
}

async fn api_health() -> HttpResponse {
    // WebRTC connections are meant, and cameras do not connect here.
    let (status, service) = ("healthy", "WebRTC Signaling");
    HttpResponse::Ok().json(ApiHealth {
        status,
        active_connections: 0,
        service,
    })
}

#[derive(Serialize)]
struct Shop {
    id: Uuid,
    owner_id: Uuid,
    name: String,
    address: Option<&'static str>,
    cameras: Vec<String>,
    telegram_chat_id: Option<String>,
    managers: Vec<String>,
    created_at: String,
    updated_at: String,
}

async fn shops(backend: web::Data<Backend>, req: HttpRequest) -> HttpResponse {
    if let Some(refusal) = auth::refusal(&backend, &req) {
        return refusal;
    }
    let since = clock::naive_utc(backend.started_at);
    let shown = backend.state().shown_shops;
    let shop = |(index, id): (usize, &Uuid)| Shop {
        id: *id,
        owner_id: backend.user_id(),
        name: match index {
            0 => "Simulated Shop".to_owned(),
            more => format!("Simulated Shop {}", more + 1),
        },
        address: None,
        cameras: Vec::new(),
        telegram_chat_id: None,
        managers: Vec::new(),
        created_at: since.clone(),
        updated_at: since.clone(),
    };
    let shops: Vec<_> = backend.shops.iter().take(shown).enumerate().map(shop).collect();
    HttpResponse::Ok().json(shops)
}

#[derive(Serialize)]
struct Connection<'a> {
    user_id: &'a str,
    connected: bool,
    connected_at: String,
    uptime_seconds: f64,
    last_heartbeat: String,
    seconds_since_heartbeat: f64,
}

impl<'a> Connection<'a> {
    fn new(backend: &Backend, user_id: &'a str, slot: &Slot) -> Self {
        let now = backend.now();
        let seconds = |since: OffsetDateTime| (now - since).as_seconds_f64().max(0.0);
        Self {
            user_id,
            connected: true,
            connected_at: backend.local(slot.connected_at),
            uptime_seconds: seconds(slot.connected_at),
            last_heartbeat: backend.local(slot.last_heartbeat),
            seconds_since_heartbeat: seconds(slot.last_heartbeat),
        }
    }
}

#[derive(Serialize)]
struct Connections<'a> {
    total_connections: usize,
    connections: Vec<Connection<'a>>,
}

async fn connections(backend: web::Data<Backend>) -> HttpResponse {
    let state = backend.state();
    let connections: Vec<_> = state
        .slots
        .iter()
        .map(|(user, slot)| Connection::new(&backend, user, slot))
        .collect();
    HttpResponse::Ok().json(Connections {
        total_connections: connections.len(),
        connections,
    })
}

async fn connection(backend: web::Data<Backend>, req: HttpRequest, user: web::Path<String>) -> HttpResponse {
    match backend.state().slots.get(&user) {
        Some(slot) => HttpResponse::Ok().json(Connection::new(&backend, &user, slot)),
        None => errors::not_found(&req),
    }
}
