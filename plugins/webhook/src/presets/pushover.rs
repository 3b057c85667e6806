//! Pushover (<https://pushover.net/api>).

use serde_json::Value;
use watchpost_sink::{Call, Fail};

use super::{Service, one};
use crate::Errand;
use crate::body::{multipart, urlencode, urlencoded};
use crate::message::{Limits, Message, cut};
use crate::send::{Answer, Courier, Request};

/// An attachment has at most 5,242,880 bytes.
pub(super) const PICTURE: Limits = Limits::bytes(5_242_880);

/// A message has at most 1024 characters, its title 250.
const TEXT_CHARS: usize = 1024;
const TITLE_CHARS: usize = 250;

/// A link has at most 512 characters.
const LINK_CHARS: usize = 512;

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let text = if message.text.trim().is_empty() {
        &message.title
    } else {
        &message.text
    };
    let mut form = vec![
        ("token", service.token().to_owned()),
        ("user", service.to.clone()),
        ("title", cut(&message.title, TITLE_CHARS, one).into_owned()),
        ("message", cut(text, TEXT_CHARS, one).into_owned()),
        // Not 2, which rings until somebody answers; a site may set it, with `retry` and `expire`, in `fields`.
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
        .map(|shot| ("attachment", shot))
        .collect();
    let (content_type, body) = multipart(&message.overlay(form), &files);
    let url = service.at(&["1", "messages.json"]);
    let answer = errand.deliver(Request::post(url, &content_type, body))?;
    understood(&answer)
}

pub(super) fn probe(service: &Service, courier: &Courier, call: &Call<'_>) -> Result<(), Fail> {
    let form = [
        ("token", service.token().to_owned()),
        ("user", service.to.clone()),
    ];
    let url = service.at(&["1", "users", "validate.json"]);
    let request = Request::post(url, urlencoded(), urlencode(&form));
    understood(&courier.deliver(&request, call)?)
}

/// A request that was taken is answered with status 200 and a document whose `status` is 1; wrong input with 4xx.
fn understood(answer: &Answer) -> Result<(), Fail> {
    match answer.json()["status"] {
        Value::Null => Err(Fail::retry("the service gave no proper answer")),
        ref status if *status == 1 => Ok(()),
        _ => Err(Fail::permanent("the service refused the message")),
    }
}
