//! Errors as HTTP answers.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use watchpost_hub::AskError;

/// An error as a problem document (RFC 9457), sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem, the same each time.
    pub title: String,
    /// What was wrong this time, and what to do.
    pub detail: String,
}

impl Problem {
    pub(crate) fn not_found(detail: impl fmt::Display) -> Self {
        Self {
            status: 404,
            title: "Not found".into(),
            detail: detail.to_string(),
        }
    }

    pub(crate) fn bad_request(detail: impl fmt::Display) -> Self {
        Self {
            status: 400,
            title: "Bad request".into(),
            detail: detail.to_string(),
        }
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let (status, title) = match &error {
            AskError::Store(_) => (500, "The store failed"),
            AskError::Gone => (503, "The hub is stopping"),
        };
        Self {
            status,
            title: title.into(),
            detail: error.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code())
            .insert_header((CONTENT_TYPE, "application/problem+json"))
            .json(self)
    }
}
