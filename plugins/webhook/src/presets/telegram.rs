//! A Telegram bot (<https://core.telegram.org/bots/api#sendphoto>).

use std::time::Duration;

use serde_json::json;
use ureq::http::Method;
use url::Url;
use watchpost_sink::{Call, Fail};

use super::Service;
use crate::Errand;
use crate::body::multipart;
use crate::message::{Limits, Message, cut};
use crate::send::{Answer, Courier, Request};

/// A photo has at most 10 MB, and width and height together at most 10,000.
pub(super) const PICTURE: Limits = Limits {
    bytes: 10_000_000,
    side: 5_000,
};

/// A caption has up to 1024 characters, which are units of UTF-16.
const CAPTION_UNITS: usize = 1024;

/// A message has up to 4096 characters.
const TEXT_UNITS: usize = 4096;

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let quiet = message.rank([1, 0, 0, 0]) == 1;
    let whole = message.whole();
    let request = match message.pictures.first() {
        Some(shot) => {
            let mut form = vec![
                ("chat_id", service.to.clone()),
                (
                    "caption",
                    cut(&whole, CAPTION_UNITS, char::len_utf16).into_owned(),
                ),
            ];
            if quiet {
                form.push(("disable_notification", "true".to_owned()));
            }
            let (content_type, body) = multipart(&message.overlay(form), &[("photo", shot)]);
            Request::post(method(service, "sendPhoto"), &content_type, body)
        }
        None => {
            let text = cut(&whole, TEXT_UNITS, char::len_utf16);
            let mut document = json!({ "chat_id": service.to, "text": text, "disable_notification": quiet });
            message.extend(&mut document);
            Request::post_json(method(service, "sendMessage"), &document)
        }
    };
    understood(&errand.send(request)?)
}

pub(super) fn probe(service: &Service, courier: &Courier, call: &Call<'_>) -> Result<(), Fail> {
    understood(&courier.send(&Request::new(Method::GET, method(service, "getMe")), call)?)
}

fn method(service: &Service, name: &str) -> Url {
    service.at(&[&format!("bot{}", service.token()), name])
}

/// How long to wait stands in the document, not in a header ("ResponseParameters").
fn understood(answer: &Answer) -> Result<(), Fail> {
    let document = answer.json();
    match (answer.judge(), document["parameters"]["retry_after"].as_u64()) {
        (Err(fail), Some(seconds)) => Err(fail.after(Duration::from_secs(seconds))),
        (judged, _) => judged,
    }
}
