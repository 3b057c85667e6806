//! A Telegram bot (<https://core.telegram.org/bots/api#sendphoto>).

use std::time::Duration;

use serde_json::json;
use url::Url;
use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail, Outcome};

use super::{Service, Site, Wanted, Wants};
use crate::answer::Answer;
use crate::body::multipart;
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, NoAnswer, Request};

pub(super) struct Telegram;

/// A photo has at most 10 MB, and width and height together at most 10,000.
const PICTURE: Limits = Limits {
    bytes: 10_000_000,
    side: 5_000,
};

/// A caption has up to 1024 characters, which are units of UTF-16.
const CAPTION_UNITS: usize = 1024;

/// A message has up to 4096 characters.
const TEXT_UNITS: usize = 4096;

impl Service for Telegram {
    fn wants(&self, _token: bool) -> Wants {
        Wants {
            token: Wanted::Yes,
            bearer: false,
            to: Wanted::Yes,
        }
    }

    fn limits(&self, _site: &Site) -> Limits {
        PICTURE
    }

    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
        let quiet = message.rank([1, 0, 0, 0]) == 1;
        let whole = message.whole();
        let request = match message.pictures.first() {
            Some(picture) => {
                let mut form = vec![
                    ("chat_id", site.to.clone()),
                    (
                        "caption",
                        cut(&whole, CAPTION_UNITS, char::len_utf16).into_owned(),
                    ),
                ];
                if quiet {
                    form.push(("disable_notification", "true".to_owned()));
                }
                let (content_type, body) = multipart(&message.overlay(form), &[("photo", picture)]);
                Request::post(method(site, "sendPhoto"), &content_type, body)
            }
            None => {
                let text = cut(&whole, TEXT_UNITS, char::len_utf16);
                let mut document = json!({ "chat_id": site.to, "text": text, "disable_notification": quiet });
                message.extend(&mut document);
                Request::post_json(method(site, "sendMessage"), &document)
            }
        };
        accept(&context.send(request)?)
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        let request = Request::new(ureq::http::Method::GET, method(site, "getMe"));
        let answer = http.send(&request, call).map_err(NoAnswer::into_fail)?;
        answer.judge().map_err(|fail| later(&answer, fail))
    }
}

fn method(site: &Site, name: &str) -> Url {
    site.at(&[&format!("bot{}", site.token()), name])
}

fn accept(answer: &Answer) -> Result<(), Refused> {
    // "Bad Request: chat not found" and the like are about the chat, which is configured.
    let said = answer.json()["description"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if answer.status == 400 && said.contains("chat") {
        return Err(
            Fail::misconfigured("/to", format_args!("the service answered 400: {}", answer.said())).into(),
        );
    }
    // The token is part of the address, so a wrong one is not found.
    if answer.status == 404 {
        return Err(answer
            .credentials_refused("the service answered 404: it does not know this token")
            .into());
    }
    answer.accept().map_err(|refused| match refused {
        Refused::Otherwise(fail) => Refused::Otherwise(later(answer, fail)),
        other => other,
    })
}

/// How long to wait stands in the document, not in a header ("ResponseParameters").
fn later(answer: &Answer, fail: Fail) -> Fail {
    match answer.json()["parameters"]["retry_after"].as_u64() {
        Some(seconds) if fail.outcome() == Outcome::Retry => fail.after(Duration::from_secs(seconds)),
        _ => fail,
    }
}
