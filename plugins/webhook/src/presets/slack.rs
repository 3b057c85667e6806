//! Slack: a bot that uploads the picture (<https://docs.slack.dev/messaging/working-with-files>), or an incoming webhook
//! (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>), which takes text alone.

use serde_json::{Value, json};
use url::Url;
use watchpost_sink::{Call, Fail};

use super::{Service, one, reachable, refused};
use crate::Errand;
use crate::body::{urlencode, urlencoded};
use crate::message::{Limits, Message, Shot, cut};
use crate::send::{Answer, Courier, Request};

/// A file may have a gigabyte; what nobody looks at in that size is made smaller.
pub(super) const PICTURE: Limits = Limits::bytes(20_000_000);

/// Messages are cut at 40,000 characters; up to 4,000 are recommended.
const TEXT_CHARS: usize = 4000;

/// Errors that pass, of those in the reference of `chat.postMessage` and `files.completeUploadExternal`.
const PASSING: [&str; 6] = [
    "fatal_error",
    "internal_error",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
];

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let whole = escape(&message.whole());
    let text = cut(&whole, TEXT_CHARS, one);
    if service.token.is_none() {
        let mut document = json!({ "text": text });
        message.extend(&mut document);
        return errand
            .deliver(Request::post_json(service.url.clone(), &document))
            .map(drop);
    }
    let Some(shot) = message.pictures.first() else {
        let mut document = json!({ "channel": service.to, "text": text });
        message.extend(&mut document);
        let request = Request::post_json(service.at(&["api", "chat.postMessage"]), &document);
        return understood(&errand.deliver(request)?).map(drop);
    };
    let file = upload(service, shot, errand)?;
    let title = cut(&message.title, 250, one);
    let document = json!({
        "channel_id": service.to,
        "initial_comment": text,
        "files": [{ "id": file, "title": title }],
    });
    let request = Request::post_json(service.at(&["api", "files.completeUploadExternal"]), &document);
    understood(&errand.deliver(request)?).map(drop)
}

pub(super) fn probe(service: &Service, courier: &Courier, call: &Call<'_>) -> Result<(), Fail> {
    if service.token.is_none() {
        return reachable(service, courier, call);
    }
    let request = Request::post(service.at(&["api", "auth.test"]), urlencoded(), Vec::new());
    understood(&courier.deliver(&request, call)?).map(drop)
}

/// Asks where to, and uploads the picture to there.
fn upload(service: &Service, shot: &Shot<'_>, errand: &Errand<'_>) -> Result<String, Fail> {
    let form = [
        ("filename", shot.name.to_owned()),
        ("length", shot.bytes.len().to_string()),
    ];
    let ask = service.at(&["api", "files.getUploadURLExternal"]);
    let place = understood(&errand.deliver(Request::post(ask, urlencoded(), urlencode(&form)))?)?;
    let (file, url) = (place["file_id"].as_str(), place["upload_url"].as_str());
    let (Some(file), Some(Ok(url))) = (file, url.map(Url::parse)) else {
        return Err(Fail::retry("the service did not say where the picture goes"));
    };
    let request = Request {
        bare: true,
        ..Request::post(url, &shot.mime, shot.bytes.to_vec())
    };
    errand.deliver(request)?;
    Ok(file.to_owned())
}

fn understood(answer: &Answer) -> Result<Value, Fail> {
    let document = answer.json();
    if document["ok"] == true {
        return Ok(document);
    }
    Err(refused(answer, &document["error"], &PASSING))
}

/// Three characters are written otherwise ("Escaping text"); so nobody is called by an `<!everyone>` in a text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
