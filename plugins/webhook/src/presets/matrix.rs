//! A Matrix room that is not encrypted (<https://spec.matrix.org/v1.11/client-server-api/>).

use std::time::Duration;

use serde_json::json;
use ureq::http::Method;
use watchpost_sink::picture::{Limits, Picture, Refused};
use watchpost_sink::{Call, Fail};

use super::{Service, Site, Uploaded, Wanted, Wants};
use crate::answer::Answer;
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, Request};

pub(super) struct Matrix;

/// What a server takes is its own affair; 10 MiB is the least that is usual (`max_upload_size` of Synapse is 50M).
const PICTURE: Limits = Limits::bytes(10 << 20);

/// A whole event has at most 65,536 bytes; escaped, a text may grow to six times its size.
const TEXT_BYTES: usize = 8 << 10;

impl Service for Matrix {
    fn wants(&self, _token: bool) -> Wants {
        Wants {
            token: Wanted::Yes,
            bearer: true,
            to: Wanted::Yes,
        }
    }

    fn limits(&self, _site: &Site) -> Limits {
        PICTURE
    }

    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
        let whole = message.whole();
        let text = cut(&whole, TEXT_BYTES, char::len_utf8);
        let mut document = match message.pictures.first() {
            Some(picture) => {
                let place = upload(site, message.id, picture, context)?;
                json!({
                    "msgtype": "m.image",
                    "body": text,
                    "filename": picture.name,
                    "url": place,
                    "info": { "mimetype": picture.mime, "size": picture.bytes.len() },
                })
            }
            None => json!({ "msgtype": "m.text", "body": text }),
        };
        message.extend(&mut document);
        // The same transaction again is done once ("Transaction identifiers").
        let transaction = format!("watchpost-{}-{}", site.instance, message.id);
        let path = [
            "_matrix",
            "client",
            "v3",
            "rooms",
            &site.to,
            "send",
            "m.room.message",
            &transaction,
        ];
        let request = Request {
            method: Method::PUT,
            ..Request::post_json(site.at(&path), &document)
        };
        accept(&context.send(request)?)?;
        site.uploaded.replace(None);
        Ok(())
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        let request = site.get(&["_matrix", "client", "v3", "account", "whoami"]);
        http.ask(&request, call).map(drop)
    }
}

fn upload(
    site: &Site,
    alert: &str,
    picture: &Picture<'_>,
    context: &DeliveryContext<'_>,
) -> Result<String, Refused> {
    let bytes = picture.bytes.len();
    if let Some(uploaded) = &*site.uploaded.borrow()
        && uploaded.alert == alert
        && uploaded.bytes == bytes
    {
        return Ok(uploaded.place.clone());
    }
    let mut url = site.at(&["_matrix", "media", "v3", "upload"]);
    url.query_pairs_mut().append_pair("filename", &picture.name);
    let request = Request::post(url, &picture.mime, picture.bytes.to_vec());
    let answer = context.send(request.body_decides().prepares())?;
    // A server that lets this user write but not upload says so with 403.
    if answer.status == 403 {
        return Err(answer
            .judge()
            .map_or_else(Refused::Unwanted, |()| unknown_place()));
    }
    accept(&answer)?;
    let document = answer.json();
    let Some(place) = document["content_uri"].as_str() else {
        return Err(unknown_place());
    };
    site.uploaded.replace(Some(Uploaded {
        alert: alert.to_owned(),
        bytes,
        place: place.to_owned(),
    }));
    Ok(place.to_owned())
}

fn unknown_place() -> Refused {
    Fail::retry("the server did not say where the picture is").into()
}

/// Servers older than version 1.10 say in the document how long to wait ("Rate limiting").
fn accept(answer: &Answer) -> Result<(), Refused> {
    answer.accept().map_err(
        |refused| match (refused, answer.json()["retry_after_ms"].as_u64()) {
            (Refused::Otherwise(fail), Some(ms)) if fail.retry_after().is_none() => {
                Refused::Otherwise(fail.after(Duration::from_millis(ms)))
            }
            (refused, _) => refused,
        },
    )
}
