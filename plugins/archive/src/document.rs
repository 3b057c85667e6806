//! The JSON document beside the picture: the alert's own, with a key that says who filed it.

use serde_json::{Value, json};
use watchpost_sink::Alert;

/// The key added. It tells retention that a file is the archive's own.
const KEY: &str = "archived";
/// Its `by`.
const BY: &str = "watchpost-archive";

/// The document of an alert with these pictures beside it.
pub(crate) fn document(alert: &Alert<'_>, pictures: &[String]) -> String {
    let mut document = match alert.json() {
        Value::Object(object) => object.clone(),
        // Nothing is lost of an alert whose document cannot be read.
        _ => json!({
            "id": alert.id(),
            "title": alert.title(),
            "text": alert.text(),
            "unreadable": alert.json_text(),
        })
        .as_object()
        .cloned()
        .unwrap_or_default(),
    };
    let mut archived = json!({ "by": BY, "pictures": pictures });
    if pictures.is_empty() {
        archived["why_no_picture"] = why_no_picture(&document).into();
    }
    document.insert(KEY.into(), archived);
    // A map with text keys can always be written.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

/// The pictures that a document names, if it was made by [`document`].
pub(crate) fn pictures_of(document: &[u8]) -> Option<Vec<String>> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let archived = document.get(KEY)?;
    if archived.get("by")?.as_str()? != BY {
        return None;
    }
    archived
        .get("pictures")?
        .as_array()?
        .iter()
        .map(|name| Some(name.as_str()?.to_owned()))
        .collect()
}

fn why_no_picture(document: &serde_json::Map<String, Value>) -> String {
    let picture = document.get("picture");
    let reason = picture
        .and_then(|picture| picture.get("missing"))
        .and_then(Value::as_str);
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None if picture.is_some_and(|picture| picture.get("jpeg").is_some()) => {
            "the alert has a picture, but it could not be read from the store".into()
        }
        None => "the alert came without a picture".into(),
    }
}
