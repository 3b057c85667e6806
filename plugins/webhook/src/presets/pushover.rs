//! Pushover (<https://pushover.net/api>).

use serde_json::Value;
use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail};

use super::{Service, Site, Wanted, Wants, one};
use crate::answer::Answer;
use crate::body::{multipart, urlencode, urlencoded};
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, NoAnswer, Request};

pub(super) struct Pushover;

/// An attachment has at most 5,242,880 bytes.
const PICTURE: Limits = Limits::bytes(5_242_880);

/// A message has at most 1024 characters, its title 250.
const TEXT_CHARS: usize = 1024;
const TITLE_CHARS: usize = 250;

/// A link has at most 512 characters.
const LINK_CHARS: usize = 512;

impl Service for Pushover {
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
        let text = if message.text.trim().is_empty() {
            &message.title
        } else {
            &message.text
        };
        let mut form = vec![
            ("token", site.token().to_owned()),
            ("user", site.to.clone()),
            ("title", cut(&message.title, TITLE_CHARS, one).into_owned()),
            ("message", cut(text, TEXT_CHARS, one).into_owned()),
            // Not 2, which rings until it is answered; a site may set it, with `retry` and `expire`, in `fields`.
            ("priority", message.rank([-1, 0, 1, 1]).to_string()),
            ("timestamp", (message.unix_ms / 1000).to_string()),
        ];
        if let Some(link) = message
            .link
            .as_ref()
            .filter(|link| link.chars().count() <= LINK_CHARS)
        {
            form.push(("url", link.clone()));
        }
        let files: Vec<_> = message
            .pictures
            .iter()
            .take(1)
            .map(|picture| ("attachment", picture))
            .collect();
        let (content_type, body) = multipart(&message.overlay(form), &files);
        let url = site.at(&["1", "messages.json"]);
        let answer = context.send(Request::post(url, &content_type, body).body_decides())?;
        blame(&answer)?;
        answer.accept()?;
        match answer.json()["status"] {
            ref status if *status == 1 => Ok(()),
            Value::Null => Err(context.unanswered("the service gave no proper answer").into()),
            _ => Err(Refused::Unwanted(Fail::permanent(
                "the service refused the message",
            ))),
        }
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        let form = [("token", site.token().to_owned()), ("user", site.to.clone())];
        let url = site.at(&["1", "users", "validate.json"]);
        let request = Request::post(url, urlencoded(), urlencode(&form));
        let answer = http.send(&request, call).map_err(NoAnswer::into_fail)?;
        blame(&answer)?;
        answer.judge()?;
        match answer.json()["status"] {
            ref status if *status == 1 => Ok(()),
            _ => Err(Fail::retry("the service gave no proper answer")),
        }
    }
}

/// Wrong input is answered with 4xx and a document that names the parameter: `{"token": "invalid", "status": 0}`.
fn blame(answer: &Answer) -> Result<(), Fail> {
    if !(400..500).contains(&answer.status) {
        return Ok(());
    }
    let document = answer.json();
    if document["token"] == "invalid" {
        return Err(answer.credentials_refused("the service does not know this token"));
    }
    if document["user"] == "invalid" {
        return Err(Fail::misconfigured(
            "/to",
            "the service does not know this user or group",
        ));
    }
    Ok(())
}
