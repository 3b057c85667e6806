//! An alert as a mail: its headers, its texts and its pictures.
//!
//! It knows nothing of servers. Nothing that an alert says gets into the mail's structure: headers have one line, and
//! texts and pictures are encoded.

use lettre::address::Envelope;
use lettre::message::header::{
    ContentDisposition, ContentId, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Body, Message, MultiPart, SinglePart};
use watchpost_sink::picture::{Picture as Shown, Pictures};
use watchpost_sink::{Alert, Fail, Severity, words};

use crate::config::{Config, Mailbox, Picture};

/// Longest subject, in characters. What is longer is cut by most mail programs too.
const MAX_SUBJECT: usize = 200;

/// Where the pictures stand in the HTML.
const PICTURES: &str = "<!--pictures-->";

/// The mail for this alert as it goes over the wire after `DATA`, with the dot that ends it. It is the same on every try
/// but for the marks between its parts.
///
/// `pictures` and the `place` where they go may be less than the site wants, for a server that takes no mail so large; the
/// mail says so then.
///
/// # Errors
/// A permanent failure: a template does not work with this alert.
pub(crate) fn compose(
    config: &Config,
    pictures: &Pictures<'_>,
    place: Picture,
    instance: &str,
    alert: &Alert<'_>,
) -> Result<String, Fail> {
    let domain = config.from.0.email.domain();
    let instance = plain(instance);
    let envelope = Envelope::new(Some(config.from.0.email.clone()), config.recipients()).map_err(unfit)?;
    let mut builder = Message::builder()
        .envelope(envelope)
        .date(alert.time())
        .from(config.from.0.clone())
        .subject(one_line(&config.subject.render(alert)?))
        // The same for every try, so that whoever gets a mail twice can know.
        .message_id(Some(format!("<{}.{instance}@{domain}>", alert.id())))
        // RFC 3834: no holiday notice answers to this.
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        // RFC 2919: what a reader can sort by.
        .raw_header(header("List-Id", &format!("<{instance}.watchpost.{domain}>")));
    if alert.severity() >= Severity::High {
        builder = builder.raw_header(header("Importance", "high"));
    }
    for Mailbox(mailbox) in &config.to {
        builder = builder.to(mailbox.clone());
    }
    for Mailbox(mailbox) in &config.cc {
        builder = builder.cc(mailbox.clone());
    }
    if config.to.is_empty() && config.cc.is_empty() {
        builder = builder.raw_header(header("To", "undisclosed-recipients:;"));
    }
    if let Some(Mailbox(mailbox)) = &config.reply_to {
        builder = builder.reply_to(mailbox.clone());
    }
    let message = match body(config, pictures, place, alert)? {
        Content::Text(part) => builder.singlepart(part),
        Content::Parts(parts) => builder.multipart(parts),
    };
    on_the_wire(&message.map_err(unfit)?.formatted())
}

/// A line that begins with a dot gets a second one, so that the first line of a single dot is the end: RFC 5321, section
/// 4.5.2. It is one text, to be written at once: an end that is sent by itself waits for the server's delayed
/// acknowledgement of what came before it, which is 40 ms for every mail.
fn on_the_wire(mail: &[u8]) -> Result<String, Fail> {
    let mail = std::str::from_utf8(mail).ok().filter(|mail| mail.is_ascii());
    let mail = mail.ok_or_else(|| Fail::permanent("the mail has letters that not every server takes"))?;
    let mut wire = String::with_capacity(mail.len() + mail.len() / 64 + END.len());
    for line in mail.split_inclusive("\r\n") {
        if line.starts_with('.') {
            wire.push('.');
        }
        wire += line;
    }
    wire += if wire.ends_with("\r\n") { &END[2..] } else { END };
    Ok(wire)
}

/// How a picture is shown: as wide as what it stands in. Its text, for who sees none, is readable too.
const PICTURE: &str =
    "display: block; width: 100%; max-width: 100%; height: auto; border: 0; font-size: 14px";

/// How it is shown why there is no picture.
const NOTE: &str = "margin: 0; padding: 16px 24px 0; font-size: 14px";

/// What ends a mail: a line of a single dot.
const END: &str = "\r\n.\r\n";

/// What follows the headers.
enum Content {
    Text(SinglePart),
    Parts(MultiPart),
}

fn body(
    config: &Config,
    pictures: &Pictures<'_>,
    place: Picture,
    alert: &Alert<'_>,
) -> Result<Content, Fail> {
    let html = config.html.0.as_ref();
    let mut html = html.map(|html| html.render(alert)).transpose()?;
    let mut words = config.text.render(alert)?;
    if let (Some(why), false) = (&pictures.left_out, config.picture == Picture::None) {
        words += &format!("\n\n{why}\n");
        html = html.map(|html| put(html, &format!("<p style=\"{NOTE}\">{}</p>\n", escaped(why))));
    }
    let (shown, attached) = match (place, &html) {
        (Picture::None, _) => (false, false),
        (Picture::Attached, _) | (_, None) => (false, true),
        (Picture::Inline, Some(_)) => (true, false),
        (Picture::Both, Some(_)) => (true, true),
    };
    let list = &pictures.list;
    let words = text_part(ContentType::TEXT_PLAIN, words);
    let words = match html {
        None => Content::Text(words),
        Some(html) => {
            let both = MultiPart::alternative().singlepart(words);
            Content::Parts(if shown && !list.is_empty() {
                both.multipart(with_pictures(html, alert, list)?)
            } else {
                both.singlepart(text_part(ContentType::TEXT_HTML, html))
            })
        }
    };
    if !attached || list.is_empty() {
        return Ok(words);
    }
    let mut parts = match words {
        Content::Text(words) => MultiPart::mixed().singlepart(words),
        Content::Parts(words) => MultiPart::mixed().multipart(words),
    };
    for (index, picture) in list.iter().enumerate() {
        let disposition = ContentDisposition::attachment(&file_name(alert, list, index));
        parts = parts.singlepart(
            SinglePart::builder()
                .header(media_type(picture))
                .header(disposition)
                .body(encoded(picture)?),
        );
    }
    Ok(Content::Parts(parts))
}

/// HTML with its pictures, each shown by its Content-ID.
fn with_pictures(html: String, alert: &Alert<'_>, list: &[Shown<'_>]) -> Result<MultiPart, Fail> {
    let mut shown = String::new();
    let mut pictures = Vec::new();
    for (index, picture) in list.iter().enumerate() {
        let id = format!("picture-{}@{}", index + 1, alert.id());
        shown += &format!(
            "<p style=\"margin: 0\"><img src=\"cid:{id}\" alt=\"{}\" width=\"100%\" style=\"{PICTURE}\"></p>\n",
            escaped(&described(alert))
        );
        let part = SinglePart::builder()
            .header(media_type(picture))
            .header(ContentDisposition::inline_with_name(&file_name(
                alert, list, index,
            )))
            .header(ContentId::from(format!("<{id}>")));
        pictures.push(part.body(encoded(picture)?));
    }
    let mut related = MultiPart::related().singlepart(text_part(ContentType::TEXT_HTML, put(html, &shown)));
    for picture in pictures {
        related = related.singlepart(picture);
    }
    Ok(related)
}

/// What a picture shows, for who cannot see it.
fn described(alert: &Alert<'_>) -> String {
    let of = alert.camera().unwrap_or(alert.title());
    words::fill("mail.picture_of", &[("camera", of), ("time", &alert.when())])
}

/// Puts the pictures where they belong: at their mark, or else at the end of the page.
fn put(mut html: String, pictures: &str) -> String {
    match html.find(PICTURES).or_else(|| html.rfind("</body>")) {
        Some(at) => html.insert_str(at, pictures),
        None => html += pictures,
    }
    html
}

/// A text in quoted-printable, which no server alters. Control characters other than line breaks and tabulators have
/// no meaning in a mail.
fn text_part(kind: ContentType, text: String) -> SinglePart {
    let text: String = text
        .chars()
        .filter(|c| !c.is_control() || "\n\t".contains(*c))
        .collect();
    let body = Body::new_with_encoding(text.clone(), ContentTransferEncoding::QuotedPrintable);
    // Every text can be written so; if not, the library knows another way.
    SinglePart::builder()
        .header(kind)
        .body(body.unwrap_or_else(|_| Body::new(text)))
}

fn encoded(picture: &Shown<'_>) -> Result<Body, Fail> {
    let body = Body::new_with_encoding(picture.bytes.to_vec(), ContentTransferEncoding::Base64);
    body.map_err(|_| Fail::permanent("the picture cannot be encoded"))
}

fn media_type(picture: &Shown<'_>) -> ContentType {
    let unknown = || ContentType::parse("application/octet-stream");
    ContentType::parse(&picture.mime)
        .or_else(|_| unknown())
        .unwrap_or(ContentType::TEXT_PLAIN)
}

/// The one name of an alert's picture, which tells files of several mails apart in one folder.
fn file_name(alert: &Alert<'_>, list: &[Shown<'_>], index: usize) -> String {
    let (id, count) = (plain(alert.id()), list.len());
    let ending = match &*list[index].mime {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        _ => "bin",
    };
    match count {
        1 => format!("alert-{id}.{ending}"),
        _ => format!("alert-{id}-{}.{ending}", index + 1),
    }
}

/// As it has to stand in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Letters, digits, `.`, `-` and `_`; everything else as `_`.
fn plain(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

/// A subject is one line: line breaks would end the header.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    line.chars().take(MAX_SUBJECT).collect()
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn unfit(error: lettre::error::Error) -> Fail {
    Fail::permanent(format_args!("no mail can be made of it: {error}"))
}
