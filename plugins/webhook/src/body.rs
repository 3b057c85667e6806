//! The bodies that a site can choose from, and how they are written.

use serde_json::Value;
use ureq::http;
use url::form_urlencoded;
use watchpost_sink::picture::Picture;
use watchpost_sink::{Alert, Fail};

use crate::config::{Body, Config, Method};
use crate::message::{Message, base64};
use crate::send::Request;

/// The request for an alert, without a preset.
pub(crate) fn request(message: &Message<'_>, alert: &Alert<'_>, config: &Config) -> Result<Request, Fail> {
    let method = match config.method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Get => http::Method::GET,
    };
    let (content_type, body) = match config.body {
        Body::Json => (
            "application/json".to_owned(),
            message.document().to_string().into_bytes(),
        ),
        Body::Form => {
            let mut form = message.form();
            form.extend(
                message
                    .pictures
                    .first()
                    .map(|picture| ("picture", base64(picture))),
            );
            (urlencoded().to_owned(), urlencode(&form))
        }
        Body::Multipart => {
            let files: Vec<_> = message
                .pictures
                .iter()
                .map(|picture| ("picture", picture))
                .collect();
            multipart(&message.form(), &files)
        }
        Body::Template => templated(alert, config)?,
        Body::None => return Ok(Request::new(method, config.url.clone())),
    };
    let request = Request::post(config.url.clone(), &content_type, body);
    Ok(Request { method, ..request })
}

/// The media type of [`urlencode`].
pub(crate) fn urlencoded() -> &'static str {
    "application/x-www-form-urlencoded"
}

/// Writes a form as one line.
pub(crate) fn urlencode(form: &[(&str, String)]) -> Vec<u8> {
    let mut writer = form_urlencoded::Serializer::new(String::new());
    writer.extend_pairs(form);
    writer.finish().into_bytes()
}

/// Writes a form with files as `multipart/form-data` (RFC 7578). Returns its media type too.
pub(crate) fn multipart(form: &[(&str, String)], files: &[(&str, &Picture<'_>)]) -> (String, Vec<u8>) {
    let contents = || {
        let texts = form.iter().map(|(_, text)| text.as_bytes());
        texts.chain(files.iter().map(|(_, picture)| &*picture.bytes))
    };
    // A boundary is a line that no part holds.
    let mut number = 0u32;
    let boundary = loop {
        let boundary = format!("watchpost-{number:08x}");
        if !contents().any(|content| holds(content, boundary.as_bytes())) {
            break boundary;
        }
        number += 1;
    };
    let mut body = Vec::with_capacity(contents().map(|content| content.len() + 200).sum());
    for (name, text) in form {
        let name = quoted(name);
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(text.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    for (name, picture) in files {
        let (name, file, mime) = (quoted(name), quoted(&picture.name), quoted(&picture.mime));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
             Content-Type: {mime}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&picture.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

fn templated(alert: &Alert<'_>, config: &Config) -> Result<(String, Vec<u8>), Fail> {
    let Some(template) = &config.template else {
        return Err(Fail::bad_config("/template", "it is missing"));
    };
    let body = template.render(alert)?;
    let Some(content_type) = &config.content_type else {
        if let Err(e) = serde_json::from_str::<Value>(&body) {
            return Err(Fail::permanent(format_args!(
                "what the template made is no JSON ({e}); quote texts with `| tojson`, or set `content_type`"
            )));
        }
        return Ok(("application/json".to_owned(), body.into_bytes()));
    };
    Ok((content_type.clone(), body.into_bytes()))
}

/// As browsers quote names (RFC 7578, section 2, and the form rules of the HTML standard).
fn quoted(text: &str) -> String {
    let text = text.replace('"', "%22").replace('\r', "%0D");
    text.replace('\n', "%0A")
}

fn holds(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
