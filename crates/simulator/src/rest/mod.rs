//! The routes of the backend, and those that control the simulator itself.

mod alerts;
mod anomalies;
mod auth;
mod control;
mod errors;
mod monitor;
mod query;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix_web::{
    Error, HttpRequest, HttpResponse, Resource,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web,
};

use crate::{Outcome, backend::Backend, tcp::Tcp};

/// Where the routes of the simulator's own begin; they answer while everything else is frozen.
const CONTROL_PREFIX: &str = "/simulator/";
/// Where alert sockets are asked for; the user's id follows.
const ALERTS_PREFIX: &str = "/ws/alerts/";
/// What cannot be answered without the database.
const NEED_DATABASE: [&str; 3] = ["/api/anomalies", "/auth", "/shops"];
/// Longest body of a request.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Time an answer has to reach the client before a connection is ended under it.
const ANSWER_TIME: Duration = Duration::from_millis(20);

/// All routes.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
        .configure(alerts::routes)
        .configure(auth::routes)
        .configure(monitor::routes)
        .configure(anomalies::routes)
        .configure(control::routes)
        .default_service(web::to(nothing_here));
}

/// Keeps requests waiting while the server is frozen or hangs, counts those of the backend's own interface, and answers
/// some in another way than the backend.
pub(crate) async fn gate(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let backend = request.app_data::<web::Data<Backend>>().cloned();
    let Some(backend) = backend.filter(|_| !request.path().starts_with(CONTROL_PREFIX)) else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let (mut frozen, mut hanging) = (backend.frozen.subscribe(), backend.hanging.subscribe());
    match request.path().strip_prefix(ALERTS_PREFIX) {
        Some(user) if *frozen.borrow() || *hanging.borrow() => backend.attempt(user, Outcome::Unanswered),
        Some(_) => {}
        None => backend.state().ledger.stats.rest_requests += 1,
    }
    // The senders live as long as the backend, so neither can fail.
    let _ = hanging.wait_for(|hanging| !hanging).await;
    let _ = frozen.wait_for(|frozen| !frozen).await;
    let mut answer = match instead(&backend, &request) {
        Some(answer) => request.into_response(answer).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    let date = header::HttpDate::from(SystemTime::from(backend.now()));
    if let Ok(date) = header::HeaderValue::from_str(&date.to_string()) {
        answer.headers_mut().insert(header::DATE, date);
    }
    Ok(answer)
}

/// What is answered to a request in place of what the backend says, if that is so.
fn instead(backend: &Backend, request: &ServiceRequest) -> Option<HttpResponse> {
    let asked = format!("{} {}", request.method(), request.uri());
    let (instead, database_down) = {
        let mut state = backend.state();
        (state.answers.take(&asked), state.database_down)
    };
    if let Some(instead) = instead {
        let status = StatusCode::from_u16(instead.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponse::build(status);
        if let Some(location) = instead.location {
            answer.insert_header((header::LOCATION, location));
        }
        let json = instead.body.starts_with(['{', '[']);
        let kind = if json { "application/json" } else { "text/html" };
        return Some(answer.content_type(kind).body(instead.body));
    }
    let reads = NEED_DATABASE.iter().any(|path| request.path().starts_with(path));
    (database_down && reads).then(errors::caught)
}

/// A resource that answers a wrong method as the backend does.
fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|| async {
        errors::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    }))
}

/// A WebSocket to a wrong path is refused like any other one.
async fn nothing_here(req: HttpRequest) -> HttpResponse {
    if alerts::wants_socket(&req) {
        alerts::forbidden()
    } else {
        errors::not_found(&req)
    }
}

/// Ends the connection a moment after the answer, without having said so in it.
fn end_after(req: &HttpRequest, answer: HttpResponse) -> HttpResponse {
    if let Some(tcp) = req.conn_data::<Arc<Tcp>>().cloned() {
        actix_rt::spawn(async move {
            tokio::time::sleep(ANSWER_TIME).await;
            tcp.end();
        });
    }
    answer
}
