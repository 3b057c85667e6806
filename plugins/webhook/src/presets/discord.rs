//! A webhook of a Discord channel (<https://discord.com/developers/docs/resources/webhook#execute-webhook>).

use serde_json::json;
use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail};

use super::{Service, Site, Wanted, Wants, one};
use crate::body::multipart;
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, Request};

pub(super) struct Discord;

/// Files of up to 10 MiB are taken for servers that are not boosted (section "Uploading Files").
const PICTURE: Limits = Limits::bytes((10 << 20) - TEXT_ROOM);

/// `content` has up to 2000 characters.
const TEXT_CHARS: usize = 2000;

/// The limit on a file is kept with the rest of the request beside it.
const TEXT_ROOM: usize = 16 << 10;

impl Service for Discord {
    fn wants(&self, _token: bool) -> Wants {
        Wants {
            token: Wanted::No,
            bearer: false,
            to: Wanted::No,
        }
    }

    fn limits(&self, _site: &Site) -> Limits {
        PICTURE
    }

    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
        let mut url = site.url.clone();
        // Without it the answer comes before the message is kept, and says nothing of it.
        url.query_pairs_mut().append_pair("wait", "true");
        let whole = message.whole();
        let text = cut(&whole, TEXT_CHARS, one);
        // An `@everyone` in a text calls no one.
        let mut document = json!({ "content": text, "allowed_mentions": { "parse": [] } });
        message.extend(&mut document);
        let request = match message.pictures.first() {
            Some(picture) => {
                let form = [("payload_json", document.to_string())];
                let (content_type, body) = multipart(&form, &[("files[0]", picture)]);
                Request::post(url, &content_type, body)
            }
            None => Request::post_json(url, &document),
        };
        context.deliver(request).map(drop)
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        http.ask(&site.get(&[]), call).map(drop)
    }
}
