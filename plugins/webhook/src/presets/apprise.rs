//! The Apprise API (<https://github.com/caronc/apprise-api>), which hands on to a hundred other services.

use watchpost_sink::Fail;

use super::Service;
use crate::Errand;
use crate::body::multipart;
use crate::message::{Limits, Message, cut};
use crate::send::Request;

/// Its own limit is 200 MB (`APPRISE_ATTACH_SIZE`), but those behind it take less.
pub(super) const PICTURE: Limits = Limits::bytes(10_000_000);

/// It cuts or splits texts as the services behind it need; this is only to keep them sane.
const TEXT_BYTES: usize = 32 << 10;

pub(super) fn tell(service: &Service, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
    let kind = ["info", "warning", "failure", "failure"][message.rank([0, 1, 2, 3]) as usize];
    let form = vec![
        ("title", message.title.clone()),
        (
            "body",
            cut(&message.body(), TEXT_BYTES, char::len_utf8).into_owned(),
        ),
        ("type", kind.to_owned()),
    ];
    let files: Vec<_> = message.pictures.iter().map(|shot| ("attach", shot)).collect();
    let (content_type, body) = multipart(&message.overlay(form), &files);
    let url = match service.to.as_str() {
        "" => service.at(&["notify"]),
        key => service.at(&["notify", key]),
    };
    let answer = errand.send(Request::post(url, &content_type, body))?;
    match answer.status {
        204 => Err(Fail::permanent(
            "the service knows nobody to tell; look at the configuration under the key in `to`",
        )),
        // One of those behind it failed. Better told twice than not at all.
        424 => Err(Fail::retry(
            "the service could not tell all of those it should; look at its log",
        )),
        _ => answer.judge(),
    }
}
