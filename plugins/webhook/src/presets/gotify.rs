//! Gotify (<https://gotify.net/api-docs#/message/createMessage>). A message is text; a picture can be linked to
//! (<https://gotify.net/docs/msgextras>).

use serde_json::json;
use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail};

use super::{NO_PICTURE, Service, Site, Wanted, Wants};
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, Request};

pub(super) struct Gotify;

/// The service names no limit, but one of its databases does: `TEXT` of MySQL has 65,535 bytes.
const TEXT_BYTES: usize = 65_535;

/// A title is shown in one line; the service names no limit.
const TITLE_BYTES: usize = 256;

impl Service for Gotify {
    fn wants(&self, _token: bool) -> Wants {
        Wants {
            token: Wanted::Yes,
            bearer: false,
            to: Wanted::No,
        }
    }

    fn limits(&self, _site: &Site) -> Limits {
        NO_PICTURE
    }

    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
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
        let request = Request::post_json(site.at(&["message"]), &document);
        context
            .deliver(request.header("X-Gotify-Key", site.token()))
            .map(drop)
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        http.ask(&site.get(&["health"]), call).map(drop)
    }
}
