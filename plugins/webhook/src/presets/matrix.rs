//! A Matrix room that is not encrypted (<https://spec.matrix.org/v1.11/client-server-api/>).

use std::time::Duration;

use serde_json::json;
use ureq::http::Method;
use watchpost_sink::Fail;

use super::Service;
use crate::Errand;
use crate::message::{Limits, Message, Shot, cut};
use crate::send::{Answer, Request};

/// What a server takes is its own affair; 10 MiB is the least that is usual (`max_upload_size` of Synapse is 50M).
pub(super) const PICTURE: Limits = Limits::bytes(10 << 20);

/// A whole event has at most 65,536 bytes; escaped, a text may grow to six times its size.
const TEXT_BYTES: usize = 8 << 10;

pub(super) fn tell(service: &mut Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let whole = message.whole();
    let text = cut(&whole, TEXT_BYTES, char::len_utf8);
    let mut document = match message.pictures.first() {
        Some(shot) => {
            let place = upload(service, message.id, shot, errand)?;
            json!({
                "msgtype": "m.image",
                "body": text,
                "filename": shot.name,
                "url": place,
                "info": { "mimetype": shot.mime, "size": shot.bytes.len() },
            })
        }
        None => json!({ "msgtype": "m.text", "body": text }),
    };
    message.extend(&mut document);
    // The same transaction again is done once ("Transaction identifiers").
    let transaction = format!("watchpost-{}-{}", service.instance, message.id);
    let path = [
        "_matrix",
        "client",
        "v3",
        "rooms",
        &service.to,
        "send",
        "m.room.message",
        &transaction,
    ];
    let request = Request {
        method: Method::PUT,
        ..Request::post_json(service.at(&path), &document)
    };
    understood(&errand.send(request)?)?;
    service.uploaded = None;
    Ok(())
}

fn upload(service: &mut Service, id: &str, shot: &Shot<'_>, errand: &Errand<'_>) -> Result<String, Fail> {
    if let Some((_, place)) = service.uploaded.as_ref().filter(|(of, _)| of == id) {
        return Ok(place.clone());
    }
    let mut url = service.at(&["_matrix", "media", "v3", "upload"]);
    url.query_pairs_mut().append_pair("filename", shot.name);
    let answer = errand.send(Request::post(url, &shot.mime, shot.bytes.to_vec()))?;
    understood(&answer)?;
    let document = answer.json();
    let Some(place) = document["content_uri"].as_str() else {
        return Err(Fail::retry("the server did not say where the picture is"));
    };
    service.uploaded = Some((id.to_owned(), place.to_owned()));
    Ok(place.to_owned())
}

/// Servers older than version 1.10 say in the document how long to wait ("Rate limiting").
fn understood(answer: &Answer) -> Result<(), Fail> {
    let document = answer.json();
    match (answer.judge(), document["retry_after_ms"].as_u64()) {
        (Err(fail), Some(ms)) if fail.retry_after().is_none() => Err(fail.after(Duration::from_millis(ms))),
        (judged, _) => judged,
    }
}
