//! ntfy (<https://docs.ntfy.sh/publish/>): the picture is the body, all else goes into the address.

use ureq::http::Method;
use watchpost_sink::Fail;

use super::Service;
use crate::Errand;
use crate::message::{Limits, Message, cut};
use crate::send::Request;

/// ntfy.sh takes 2 MB from whoever does not pay; a server of one's own 15 MB (`attachment-file-size-limit`).
pub(super) const PICTURE: Limits = Limits::bytes(2_000_000);

/// A longer message becomes an attachment ("Limitations": message length, in bytes).
const MESSAGE_BYTES: usize = 4096;

/// A title is shown in one line; the service names no limit.
const TITLE_BYTES: usize = 256;

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let mut url = service.at(&[&service.to]);
    let text = message.body();
    let mut form = vec![
        (
            "title",
            cut(&message.title, TITLE_BYTES, char::len_utf8).into_owned(),
        ),
        ("priority", message.rank([2, 3, 4, 5]).to_string()),
    ];
    form.extend(message.link.clone().map(|link| ("click", link)));
    let text = cut(&text, MESSAGE_BYTES, char::len_utf8).into_owned();
    let request = match message.pictures.first() {
        Some(shot) => {
            form.push(("message", text));
            form.push(("filename", shot.name.to_owned()));
            let body = shot.bytes.to_vec();
            url.query_pairs_mut().extend_pairs(message.overlay(form));
            Request::post(url, &shot.mime, body)
        }
        None => {
            url.query_pairs_mut().extend_pairs(message.overlay(form));
            Request::post(url, "text/plain; charset=utf-8", text.into_bytes())
        }
    };
    let request = Request {
        method: Method::PUT,
        ..request
    };
    errand.deliver(request).map(drop)
}
