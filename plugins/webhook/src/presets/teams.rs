//! A webhook of a Microsoft Teams workflow
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>).

use serde_json::json;
use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail, words};

use super::{Service, Site, Wanted, Wants};
use crate::context::DeliveryContext;
use crate::message::{Message, base64, cut};
use crate::send::{HttpSender, Request};

pub(super) struct Teams;

/// The picture has to be in the message, in base64: three quarters of what is left.
const PICTURE: Limits = Limits {
    bytes: (MESSAGE_BYTES - TEXT_ROOM) / 4 * 3,
    side: 1024,
};

/// A message has at most 28 KB.
const MESSAGE_BYTES: usize = 28_000;

/// For the card and its texts.
const TEXT_ROOM: usize = 7_000;

const TITLE_BYTES: usize = 500;
const TEXT_BYTES: usize = 4_000;
const LINK_BYTES: usize = 1_000;

impl Service for Teams {
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
        let title = cut(&message.title, TITLE_BYTES, written);
        let text = cut(&message.text, TEXT_BYTES, written);
        let mut body = vec![
            json!({ "type": "TextBlock", "text": title, "weight": "bolder", "size": "large", "wrap": true }),
            json!({ "type": "TextBlock", "text": text, "wrap": true }),
        ];
        if let Some(picture) = message.pictures.first() {
            let url = format!("data:{};base64,{}", picture.mime, base64(picture));
            body.push(json!({ "type": "Image", "url": url, "msTeams": { "allowExpand": true } }));
        }
        let mut actions = Vec::new();
        if let Some(link) = message.link.as_ref().filter(|link| link.len() <= LINK_BYTES) {
            actions
                .push(json!({ "type": "Action.OpenUrl", "title": words::text("webhook.open"), "url": link }));
        }
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": { "width": "Full" },
            "body": body,
            "actions": actions,
        });
        let attachment = json!({ "contentType": "application/vnd.microsoft.card.adaptive", "content": card });
        let mut document = json!({ "type": "message", "attachments": [attachment] });
        message.extend(&mut document);
        let answer = context.deliver(Request::post_json(site.url.clone(), &document))?;
        // Old connectors say in a 200 that they are throttled ("Rate limiting for connectors").
        if answer.text.contains("HTTP error 429") {
            return Err(answer
                .later("the service gets too much at a time".to_owned())
                .into());
        }
        Ok(())
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        site.reachable(http, call)
    }
}

/// How many bytes a character takes in JSON.
fn written(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}
