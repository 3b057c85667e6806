//! The bodies of the backend's refusals. It knows their shapes and not their reasons.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use serde_json::{Value, json};

/// `{"detail": …}`: 400, 401, 403, 405, and the 500 that the backend catches.
pub(super) fn detail(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "detail": text }))
}

/// Any 404, an anomaly that is not there too.
pub(super) fn not_found(req: &HttpRequest) -> HttpResponse {
    #[derive(serde::Serialize)]
    struct NotFound<'a> {
        error: &'a str,
        message: &'a str,
        path: &'a str,
        suggestion: &'a str,
    }
    HttpResponse::NotFound().json(NotFound {
        error: "Not Found",
        message: "The requested endpoint does not exist",
        path: req.path(),
        suggestion: "Visit /docs for API documentation",
    })
}

/// An unhandled 500; the real server then ends the connection without having said so.
pub(super) fn uncaught() -> HttpResponse {
    HttpResponse::InternalServerError().body(
        r#"{"error":"Internal Server Error","message":"An unexpected error occurred","suggestion":"Please try again later or contact support"}"#,
    )
}

/// A 500 that the backend catches.
pub(super) fn caught() -> HttpResponse {
    detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
}

/// One reason of a 422.
#[derive(serde::Serialize)]
pub(super) struct Invalid {
    field: String,
    message: String,
    r#type: &'static str,
}

impl Invalid {
    pub(super) fn new(field: &str, message: &str, kind: &'static str) -> Self {
        Self {
            field: field.to_owned(),
            message: message.to_owned(),
            r#type: kind,
        }
    }

    pub(super) fn missing(field: &str) -> Self {
        Self::new(field, "Field required", "missing")
    }
}

/// A 422; the body that was sent comes back in it, a password too.
pub(super) fn unprocessable(details: Vec<Invalid>, body_received: Value) -> HttpResponse {
    #[derive(serde::Serialize)]
    struct Unprocessable {
        error: &'static str,
        message: &'static str,
        details: Vec<Invalid>,
        body_received: Value,
    }
    HttpResponse::UnprocessableEntity().json(Unprocessable {
        error: "Validation Error",
        message: "Request validation failed",
        details,
        body_received,
    })
}
