//! Gotify (<https://gotify.net/api-docs#/message/createMessage>). A message is text; a picture can be linked to
//! (<https://gotify.net/docs/msgextras>).

use serde_json::json;
use watchpost_sink::Fail;

use super::Service;
use crate::Errand;
use crate::message::{Message, cut};
use crate::send::Request;

/// The service names no limit, but one of its databases does: `TEXT` of MySQL has 65,535 bytes.
const TEXT_BYTES: usize = 65_535;

/// A title is shown in one line; the service names no limit.
const TITLE_BYTES: usize = 256;

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let mut document = json!({
        "title": cut(&message.title, TITLE_BYTES, char::len_utf8),
        "message": cut(&message.body(), TEXT_BYTES, char::len_utf8),
        "priority": message.rank([2, 5, 8, 10]),
    });
    if let Some(link) = &message.link {
        document["extras"] = json!({
            "client::notification": { "click": { "url": link }, "bigImageUrl": link },
        });
    }
    message.extend(&mut document);
    let request = Request::post_json(service.at(&["message"]), &document);
    errand
        .deliver(request.header("X-Gotify-Key", service.token()))
        .map(drop)
}
