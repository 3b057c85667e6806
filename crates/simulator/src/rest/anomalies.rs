//! The anomalies over REST: list, one, change, picture, summary. Whoever is logged in may see and
//! change everything, as in the real backend.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, Header as _},
    },
    web,
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    auth,
    errors::{self, Invalid},
    query::Query,
};
use crate::{
    PictureMode,
    backend::Backend,
    rows::{Filter, Picture, RowView},
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(super::resource("/api/anomalies").route(web::get().to(list)))
        .service(web::resource("/api/anomalies/").to(redirect))
        .service(super::resource("/api/anomalies/stats/summary").route(web::get().to(summary)))
        .service(super::resource("/api/anomalies/frames/{shop}/{name}").route(web::get().to(picture)))
        .service(
            super::resource("/api/anomalies/{id}")
                .route(web::get().to(one))
                .route(web::patch().to(change)),
        );
}

async fn redirect(req: HttpRequest) -> HttpResponse {
    let query = req.query_string();
    let mark = if query.is_empty() { "" } else { "?" };
    let target = format!("/api/anomalies{mark}{query}");
    HttpResponse::TemporaryRedirect()
        .insert_header((header::LOCATION, target))
        .finish()
}

#[derive(Serialize)]
struct List<'a> {
    total: usize,
    anomalies: Vec<RowView<'a>>,
}

async fn list(backend: web::Data<Backend>, req: HttpRequest) -> HttpResponse {
    if let Some(refusal) = auth::refusal(&backend, &req) {
        return refusal;
    }
    let query = match Query::read(&req) {
        Ok(query) => query,
        Err(details) => return errors::unprocessable(details, Value::Null),
    };
    let filter = match filter(&query) {
        Ok(filter) => filter,
        Err(text) => return errors::detail(StatusCode::BAD_REQUEST, &text),
    };
    let state = backend.state();
    let (total, rows) = state.rows.page(&filter, query.offset, query.limit);
    if backend.options.faithful && rows.iter().any(|row| row.confidence_score.is_infinite()) {
        return super::end_after(&req, errors::uncaught());
    }
    let anomalies = rows.into_iter().map(|row| row.view()).collect();
    HttpResponse::Ok().json(List { total, anomalies })
}

fn filter(query: &Query) -> Result<Filter, String> {
    let parse = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
    let status = parse(&query.status)
        .map_err(|()| format!("Invalid status: {}", query.status.as_deref().unwrap_or_default()))?;
    let severity = query
        .severity
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|()| {
            format!(
                "Invalid severity: {}",
                query.severity.as_deref().unwrap_or_default()
            )
        })?;
    Ok(Filter {
        shop: query.shop_id,
        status,
        severity,
    })
}

async fn one(backend: web::Data<Backend>, req: HttpRequest, id: web::Path<String>) -> HttpResponse {
    if let Some(refusal) = auth::refusal(&backend, &req) {
        return refusal;
    }
    let id = match anomaly_id(&id) {
        Ok(id) => id,
        Err(details) => return errors::unprocessable(details, Value::Null),
    };
    let state = backend.state();
    match state.rows.get(id) {
        None => errors::not_found(&req),
        Some(row) if backend.options.faithful && row.confidence_score.is_infinite() => {
            super::end_after(&req, errors::uncaught())
        }
        Some(row) => HttpResponse::Ok().json(row.view()),
    }
}

async fn change(
    backend: web::Data<Backend>,
    req: HttpRequest,
    id: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    if let Some(refusal) = auth::refusal(&backend, &req) {
        return refusal;
    }
    let id = match anomaly_id(&id) {
        Ok(id) => id,
        Err(details) => return errors::unprocessable(details, Value::Null),
    };
    if body.is_empty() {
        return errors::caught();
    }
    let Ok(received) = serde_json::from_slice::<Value>(&body) else {
        return errors::unprocessable(
            vec![Invalid::new("body", "JSON decode error", "json_invalid")],
            Value::Null,
        );
    };
    let wanted = match received.get("status") {
        None => return errors::unprocessable(vec![Invalid::missing("body -> status")], received),
        Some(Value::String(status)) => status,
        Some(_) => {
            let invalid = Invalid::new("body -> status", "Input should be a valid string", "string_type");
            return errors::unprocessable(vec![invalid], received);
        }
    };
    let Ok(status) = wanted.parse() else {
        return errors::detail(StatusCode::BAD_REQUEST, &format!("Invalid status: {wanted}"));
    };
    let notes = received.get("notes").and_then(Value::as_str).map(str::to_owned);
    let by = auth::user(&backend, &req).map_or_else(|| backend.user_id(), |user| user.user_id);
    let now = backend.now();
    let mut state = backend.state();
    match state.rows.change(id, status, notes, by, now) {
        None => errors::not_found(&req),
        // It took effect, and yet cannot be shown.
        Some(row) if backend.options.faithful && row.confidence_score.is_infinite() => {
            super::end_after(&req, errors::uncaught())
        }
        Some(row) => HttpResponse::Ok().json(row.view()),
    }
}

fn anomaly_id(text: &str) -> Result<Uuid, Vec<Invalid>> {
    Uuid::try_parse(text).map_err(|e| {
        vec![Invalid::new(
            "path -> anomaly_id",
            &format!("Input should be a valid UUID, {e}"),
            "uuid_parsing",
        )]
    })
}

async fn summary(backend: web::Data<Backend>, req: HttpRequest) -> HttpResponse {
    if let Some(refusal) = auth::refusal(&backend, &req) {
        return refusal;
    }
    let query = match Query::read(&req) {
        Ok(query) => query,
        Err(details) => return errors::unprocessable(details, Value::Null),
    };
    let now = backend.now();
    HttpResponse::Ok().json(backend.state().rows.summary(query.shop_id, now))
}

async fn picture(
    backend: web::Data<Backend>,
    req: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    if let Some(refusal) = auth::refusal(&backend, &req) {
        return refusal;
    }
    let mode = backend.state().pictures;
    match mode {
        PictureMode::Serve => {}
        PictureMode::Fail => return errors::caught(),
        PictureMode::Gone => return errors::not_found(&req),
    }
    let (shop, name) = path.into_inner();
    let shop = Uuid::try_parse(&shop).ok();
    let found = backend
        .state()
        .rows
        .by_picture(&name)
        .filter(|row| shop == Some(row.shop_id))
        .map(|row| row.picture.clone());
    let bytes = match found {
        None => return errors::not_found(&req),
        Some(Picture::Given(bytes)) => bytes,
        Some(Picture::Drawn(recipe)) => {
            let backend: Arc<Backend> = backend.clone().into_inner();
            match web::block(move || backend.painter.rest_picture(&recipe)).await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(_)) | Err(_) => return errors::caught(),
            }
        }
    };
    serve(&req, &name, bytes)
}

/// The file, or the part of it that a Range header asks for. If-None-Match is not looked at.
fn serve(req: &HttpRequest, name: &str, bytes: Bytes) -> HttpResponse {
    let mut whole = HttpResponse::Ok();
    let answer = whole
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .insert_header((header::ETAG, format!("\"{:08x}-{name}\"", crc32c::crc32c(&bytes))))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .content_type("image/jpeg");
    let total = bytes.len() as u64;
    let range = match header::Range::parse(req) {
        Ok(header::Range::Bytes(ranges)) => {
            ranges.first().and_then(|range| range.to_satisfiable_range(total))
        }
        _ => None,
    };
    let Some((first, last)) = range else {
        return answer.body(bytes);
    };
    answer
        .status(StatusCode::PARTIAL_CONTENT)
        .insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{total}")))
        .body(bytes.slice(first as usize..=last as usize))
}
