//! Slack: a bot that uploads the picture (<https://docs.slack.dev/messaging/working-with-files>), or an incoming webhook
//! (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>), which takes text alone.

use serde_json::{Value, json};
use url::Url;
use watchpost_sink::picture::{Limits, Picture, Refused};
use watchpost_sink::{Call, Fail};

use super::{NO_PICTURE, Service, Site, Wanted, Wants, one};
use crate::answer::Answer;
use crate::body::{urlencode, urlencoded};
use crate::context::DeliveryContext;
use crate::message::{Message, cut};
use crate::send::{HttpSender, NoAnswer, Request};

pub(super) struct Slack;

/// A file may have a gigabyte; what is not looked at in that size is made smaller.
const PICTURE: Limits = Limits::bytes(20_000_000);

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

/// Errors of the same references that are about the token.
const TOKEN: [&str; 10] = [
    "access_denied",
    "account_inactive",
    "ekm_access_denied",
    "invalid_auth",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "not_authed",
    "token_expired",
    "token_revoked",
];

/// Errors of the same references that are about the channel.
const CHANNEL: [&str; 6] = [
    "channel_not_found",
    "channel_is_limited_access",
    "is_archived",
    "not_in_channel",
    "restricted_action",
    "team_access_not_granted",
];

impl Service for Slack {
    fn wants(&self, token: bool) -> Wants {
        Wants {
            token: Wanted::Maybe,
            bearer: true,
            to: if token { Wanted::Yes } else { Wanted::No },
        }
    }

    fn limits(&self, site: &Site) -> Limits {
        match site.token {
            Some(_) => PICTURE,
            None => NO_PICTURE,
        }
    }

    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
        let whole = escape(&message.whole());
        let text = cut(&whole, TEXT_CHARS, one);
        if site.token.is_none() {
            let mut document = json!({ "text": text });
            message.extend(&mut document);
            return context
                .deliver(Request::post_json(site.url.clone(), &document))
                .map(drop);
        }
        let request = match message.pictures.first() {
            None => {
                let mut document = json!({ "channel": site.to, "text": text });
                message.extend(&mut document);
                Request::post_json(site.at(&["api", "chat.postMessage"]), &document)
            }
            Some(picture) => {
                let file = upload(site, picture, context)?;
                let title = cut(&message.title, 250, one);
                let document = json!({
                    "channel_id": site.to,
                    "initial_comment": text,
                    "files": [{ "id": file, "title": title }],
                });
                Request::post_json(site.at(&["api", "files.completeUploadExternal"]), &document)
            }
        };
        let answer = context.deliver(request.body_decides())?;
        match understood(&answer)? {
            Some(_) => Ok(()),
            None => Err(context.unanswered("the service gave no proper answer").into()),
        }
    }

    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        if site.token.is_none() {
            return site.reachable(http, call);
        }
        let request = Request::post(site.at(&["api", "auth.test"]), urlencoded(), Vec::new());
        let answer = http.send(&request, call).map_err(NoAnswer::into_fail)?;
        answer.judge()?;
        match understood(&answer) {
            Ok(_) => Ok(()),
            Err(Refused::TooLarge(fail) | Refused::Unwanted(fail) | Refused::Otherwise(fail)) => Err(fail),
        }
    }
}

/// Asks where to, and uploads the picture to there.
fn upload(site: &Site, picture: &Picture<'_>, context: &DeliveryContext<'_>) -> Result<String, Refused> {
    let form = [
        ("filename", picture.name.clone().into_owned()),
        ("length", picture.bytes.len().to_string()),
    ];
    let ask = Request::post(
        site.at(&["api", "files.getUploadURLExternal"]),
        urlencoded(),
        urlencode(&form),
    );
    let answer = context.deliver(ask.body_decides().prepares())?;
    let place = understood(&answer)?.unwrap_or_default();
    let (file, url) = (place["file_id"].as_str(), place["upload_url"].as_str());
    let (Some(file), Some(Ok(url))) = (file, url.map(Url::parse)) else {
        return Err(Fail::retry("the service did not say where the picture goes").into());
    };
    let request = Request {
        omit_credentials: true,
        ..Request::post(url, &picture.mime, picture.bytes.to_vec()).prepares()
    };
    context.deliver(request)?;
    Ok(file.to_owned())
}

/// The document of an answer that says that it is done; `None` where there is no document that says anything.
fn understood(answer: &Answer) -> Result<Option<Value>, Refused> {
    let document = answer.json();
    if document["ok"] == true {
        return Ok(Some(document));
    }
    let Some(error) = document["error"].as_str() else {
        return Ok(None);
    };
    let why = format!("the service answered {error}");
    Err(if PASSING.contains(&error) {
        answer.later(why).into()
    } else if TOKEN.contains(&error) {
        answer.credentials_refused(&why).into()
    } else if CHANNEL.contains(&error) {
        Fail::misconfigured("/to", why).into()
    } else {
        Refused::Unwanted(Fail::permanent(why))
    })
}

/// Three characters are written otherwise ("Escaping text"); so an `<!everyone>` in a text calls no one.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
