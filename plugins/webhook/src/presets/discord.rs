//! A webhook of a Discord channel (<https://discord.com/developers/docs/resources/webhook#execute-webhook>).

use serde_json::json;
use watchpost_sink::Fail;

use super::{Service, one};
use crate::Errand;
use crate::body::multipart;
use crate::message::{Limits, Message, cut};
use crate::send::Request;

/// Files of up to 10 MiB are taken for servers that are not boosted (section "Uploading Files").
pub(super) const PICTURE: Limits = Limits::bytes((10 << 20) - TEXT_ROOM);

/// `content` has up to 2000 characters.
const TEXT_CHARS: usize = 2000;

/// The limit on a file is kept with the rest of the request beside it.
const TEXT_ROOM: usize = 16 << 10;

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let mut url = service.url.clone();
    // Without it the answer comes before the message is kept, and says nothing of it.
    url.query_pairs_mut().append_pair("wait", "true");
    let whole = message.whole();
    let text = cut(&whole, TEXT_CHARS, one);
    // An `@everyone` in a text calls nobody.
    let mut document = json!({ "content": text, "allowed_mentions": { "parse": [] } });
    message.extend(&mut document);
    let request = match message.pictures.first() {
        Some(shot) => {
            let form = [("payload_json", document.to_string())];
            let (content_type, body) = multipart(&form, &[("files[0]", shot)]);
            Request::post(url, &content_type, body)
        }
        None => Request::post_json(url, &document),
    };
    errand.deliver(request).map(drop)
}
