//! ntfy (<https://docs.ntfy.sh/publish/>): the picture is the body, all else goes into the address.

use ureq::http::Method;
use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail};

use super::{Service, Site, Wanted, Wants};
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, Request};

pub(super) struct Ntfy;

/// ntfy.sh takes 2 MB from whoever does not pay; a server of one's own 15 MB (`attachment-file-size-limit`), or none at all
/// (error 40014), which it says with status 400.
const PICTURE: Limits = Limits::bytes(2_000_000);

/// A longer message becomes an attachment ("Limitations": message length, in bytes).
const MESSAGE_BYTES: usize = 4096;

/// A title is shown in one line; the service names no limit.
const TITLE_BYTES: usize = 256;

impl Service for Ntfy {
    fn wants(&self, _token: bool) -> Wants {
        Wants {
            token: Wanted::Maybe,
            bearer: true,
            to: Wanted::Yes,
        }
    }

    fn limits(&self, _site: &Site) -> Limits {
        PICTURE
    }

    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
        let mut url = site.at(&[&site.to]);
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
            Some(picture) => {
                form.push(("message", text));
                form.push(("filename", picture.name.clone().into_owned()));
                let body = picture.bytes.to_vec();
                url.query_pairs_mut().extend_pairs(message.overlay(form));
                Request::post(url, &picture.mime, body)
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
        context.deliver(request).map(drop)
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        http.ask(&site.get(&["v1", "health"]), call).map(drop)
    }
}
