//! The Apprise API (<https://github.com/caronc/apprise-api>), which hands on to a hundred other services.

use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail};

use super::{Service, Site, Wanted, Wants};
use crate::body::multipart;
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, Request};

pub(super) struct Apprise;

/// Its own limit is 200 MB (`APPRISE_ATTACH_SIZE`), but those behind it take less.
const PICTURE: Limits = Limits::bytes(10_000_000);

/// It cuts or splits texts as the services behind it need; this is only to keep them sane.
const TEXT_BYTES: usize = 32 << 10;

impl Service for Apprise {
    fn wants(&self, _token: bool) -> Wants {
        Wants {
            token: Wanted::Maybe,
            bearer: true,
            to: Wanted::Maybe,
        }
    }

    fn limits(&self, _site: &Site) -> Limits {
        PICTURE
    }

    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
        let kind = ["info", "warning", "failure", "failure"][message.rank([0, 1, 2, 3]) as usize];
        let form = vec![
            ("title", message.title.clone()),
            (
                "body",
                cut(&message.body(), TEXT_BYTES, char::len_utf8).into_owned(),
            ),
            ("type", kind.to_owned()),
        ];
        let files: Vec<_> = message
            .pictures
            .iter()
            .map(|picture| ("attach", picture))
            .collect();
        let (content_type, body) = multipart(&message.overlay(form), &files);
        let url = match site.to.as_str() {
            "" => site.at(&["notify"]),
            key => site.at(&["notify", key]),
        };
        let answer = context.send(Request::post(url, &content_type, body))?;
        match answer.status {
            204 => Err(Fail::misconfigured(
                "/to",
                "the service has no recipients; look at its configuration under the key in `to`",
            )
            .into()),
            // One of those behind it failed, and it does not say which: the others have it.
            424 => Err(context
                .unanswered("the service could not hand it to all of those behind it; look at its log")
                .into()),
            _ => answer.accept(),
        }
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        http.ask(&site.get(&["status"]), call).map(drop)
    }
}
