//! A webhook of a Microsoft Teams workflow
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>).

use serde_json::json;
use watchpost_sink::Fail;

use super::Service;
use crate::Errand;
use crate::message::{Limits, Message, cut};
use crate::send::Request;

/// The picture has to be in the message, in base64: three quarters of what is left.
pub(super) const PICTURE: Limits = Limits {
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

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let title = cut(&message.title, TITLE_BYTES, written);
    let text = cut(&message.text, TEXT_BYTES, written);
    let mut body = vec![
        json!({ "type": "TextBlock", "text": title, "weight": "bolder", "size": "large", "wrap": true }),
        json!({ "type": "TextBlock", "text": text, "wrap": true }),
    ];
    if let Some(shot) = message.pictures.first() {
        let url = format!("data:{};base64,{}", shot.mime, shot.base64());
        body.push(json!({ "type": "Image", "url": url, "msTeams": { "allowExpand": true } }));
    }
    let mut actions = Vec::new();
    if let Some(link) = message.link.as_ref().filter(|link| link.len() <= LINK_BYTES) {
        actions.push(json!({ "type": "Action.OpenUrl", "title": "Open", "url": link }));
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
    let answer = errand.deliver(Request::post_json(service.url.clone(), &document))?;
    // Old connectors tell in a 200 that they are throttled ("Rate limiting for connectors").
    if answer.text.contains("HTTP error 429") {
        return Err(answer.later("the service is told too much at a time".to_owned()));
    }
    Ok(())
}

/// How many bytes a character takes in JSON.
fn written(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}
