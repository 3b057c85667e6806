//! The door to the alert socket: every refusal looks the same, a bare 403.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde::Deserialize;
use uuid::Uuid;

use super::errors;
use crate::{Handshakes, Outcome, backend::Backend, socket, tcp::Tcp};

#[derive(Deserialize)]
struct Query {
    token: Option<String>,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(super::resource("/ws/alerts/{user_id}").route(web::get().to(alerts)));
}

/// Whether a request wants to become a WebSocket.
pub(super) fn wants_socket(req: &HttpRequest) -> bool {
    let upgrade = req
        .headers()
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The refusal of a WebSocket, whatever the reason.
pub(super) fn forbidden() -> HttpResponse {
    HttpResponse::Forbidden().force_close().finish()
}

async fn alerts(
    backend: web::Data<Backend>,
    req: HttpRequest,
    user: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    if !wants_socket(&req) {
        return errors::not_found(&req);
    }
    let token = web::Query::<Query>::from_query(req.query_string())
        .ok()
        .and_then(|query| query.into_inner().token);
    let outcome = judge(&backend, &user, token.as_deref());
    backend.attempt(&user, outcome);
    match outcome {
        Outcome::Forbidden => forbidden(),
        Outcome::Failed => HttpResponse::InternalServerError()
            .force_close()
            .content_type("text/plain; charset=utf-8")
            .body("Internal Server Error"),
        Outcome::Accepted | Outcome::Bounced => {
            let tcp = req.conn_data::<Arc<Tcp>>().cloned();
            socket::upgrade(&backend, &user, outcome == Outcome::Bounced, tcp, &req, body)
        }
        // Only the gate leaves requests without an answer, and this one has passed it.
        Outcome::Unanswered => forbidden(),
    }
}

fn judge(backend: &Backend, user: &str, token: Option<&str>) -> Outcome {
    let claims = token.and_then(|token| backend.verify(token));
    // A plain comparison of text: the same UUID in capitals is refused.
    if claims.is_none_or(|claims| claims.sub != user) {
        return Outcome::Forbidden;
    }
    match Uuid::try_parse(user) {
        Err(_) => Outcome::Failed,
        Ok(id) if backend.account_of(id).is_none() => Outcome::Forbidden,
        Ok(_) => match backend.handshake() {
            Handshakes::Accept => Outcome::Accepted,
            Handshakes::Forbid => Outcome::Forbidden,
            Handshakes::Fail => Outcome::Failed,
            Handshakes::Bounce => Outcome::Bounced,
        },
    }
}
