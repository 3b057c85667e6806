//! Errors as HTTP answers.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use watchpost_core::{ArmingRefused, CommandRefused, SilenceRefused};
use watchpost_hub::AskError;

use crate::NotReloaded;

/// An error as a problem document (RFC 9457), sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem, the same each time.
    pub title: String,
    /// What was wrong this time, and what to do.
    pub detail: String,
    /// Where in the request's document, as a JSON pointer (RFC 6901).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// When it may be tried again, in seconds; also sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// Each mistake with its place, for people to read, where there may be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<String>,
}

impl Problem {
    pub(crate) fn new(status: u16, title: &str, detail: impl fmt::Display) -> Self {
        Self {
            status,
            title: title.into(),
            detail: detail.to_string(),
            pointer: None,
            retry_after: None,
            reports: Vec::new(),
        }
    }

    pub(crate) fn not_found(detail: impl fmt::Display) -> Self {
        Self::new(404, "Not found", detail)
    }

    pub(crate) fn bad_request(detail: impl fmt::Display) -> Self {
        Self::new(400, "Bad request", detail)
    }

    /// Says where in the document.
    pub(crate) fn at(mut self, pointer: String) -> Self {
        self.pointer = Some(pointer);
        self
    }

    /// Says when it may be tried again, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<NotReloaded> for Problem {
    fn from(NotReloaded { why, reports }: NotReloaded) -> Self {
        Self {
            reports,
            ..Self::new(422, "Not reloaded", why)
        }
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let (status, title) = match &error {
            AskError::Store(_) => (500, "The store failed"),
            AskError::Gone => (503, "The hub is stopping"),
            AskError::Refused(
                CommandRefused::Silence(SilenceRefused::Unknown(_))
                | CommandRefused::Arming(ArmingRefused::Unknown { .. }),
            ) => (404, "Not found"),
            AskError::Refused(CommandRefused::Arming(ArmingRefused::NotReady(_))) => (409, "Not ready"),
            AskError::NotThere(_) | AskError::Refused(_) => (422, "Not done"),
            AskError::Busy => (503, "The store cannot be written"),
        };
        Self::new(status, title, error)
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
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if self.status == 401 {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(self)
    }
}
