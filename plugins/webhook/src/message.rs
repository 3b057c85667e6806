//! An alert as it is sent: texts from the site's templates, pictures that fit, a link.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use watchpost_sink::picture::Picture as Attachment;
use watchpost_sink::picture::Pictures;
use watchpost_sink::{Alert, Fail, Severity};

use crate::config::{Config, Picture};

/// Ends a text that was cut.
const CUT: char = '…';

/// What is sent.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) severity: Severity,
    pub(crate) unix_ms: u64,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) alert: &'a Value,
    pub(crate) pictures: Vec<Attachment<'a>>,
    pub(crate) link: Option<String>,
    pub(crate) fields: Vec<(&'a str, String)>,
}

impl<'a> Message<'a> {
    /// Fills the templates in. The text says which picture is left out.
    pub(crate) fn new(
        alert: &'a Alert<'_>,
        config: &'a Config,
        pictures: Pictures<'a>,
    ) -> Result<Self, Fail> {
        let left_out = pictures.left_out.filter(|_| config.picture == Picture::Carried);
        let link = match config.picture {
            Picture::None => None,
            _ => config.link.as_ref().map(|link| link.render(alert)).transpose()?,
        };
        let mut fields = Vec::new();
        for (name, value) in &config.fields {
            fields.push((name.as_str(), value.render(alert)?));
        }
        let mut text = config.text.render(alert)?;
        if let Some(why) = left_out {
            text.push_str(&format!("\n({why})"));
        }
        Ok(Self {
            id: alert.id(),
            severity: alert.severity(),
            unix_ms: alert.unix_ms(),
            title: config.title.render(alert)?,
            text,
            alert: alert.json(),
            pictures: pictures.list,
            link,
            fields,
        })
    }

    /// Title, text and link in one.
    pub(crate) fn whole(&self) -> String {
        let mut whole = self.title.clone();
        if !self.text.is_empty() && self.text != self.title {
            whole.push('\n');
            whole.push_str(&self.text);
        }
        self.with_link(whole)
    }

    /// The text and the link, or the title where there is neither.
    pub(crate) fn body(&self) -> String {
        let text = if self.text.trim().is_empty() {
            &self.title
        } else {
            &self.text
        };
        self.with_link(text.clone())
    }

    fn with_link(&self, mut text: String) -> String {
        if let Some(link) = &self.link {
            text.push('\n');
            text.push_str(link);
        }
        text
    }

    /// Its severity in a word.
    pub(crate) fn word(&self) -> &'static str {
        match self.severity {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The number for its severity out of four, from low to critical.
    pub(crate) fn rank(&self, of: [i64; 4]) -> i64 {
        match self.severity {
            Severity::Low => of[0],
            Severity::Medium => of[1],
            Severity::High => of[2],
            Severity::Critical => of[3],
        }
    }

    /// Puts the site's own fields over those of a document.
    pub(crate) fn extend(&self, document: &mut Value) {
        let Value::Object(map) = document else { return };
        for (name, text) in &self.fields {
            map.insert((*name).to_owned(), scalar(text));
        }
    }

    /// The document of `body = "json"`.
    pub(crate) fn document(&self) -> Value {
        let mut map = Map::new();
        let pictures = self
            .pictures
            .iter()
            .map(|picture| json!({ "name": picture.name, "type": picture.mime, "base64": base64(picture) }));
        map.insert("id".into(), self.id.into());
        map.insert("title".into(), self.title.as_str().into());
        map.insert("text".into(), self.text.as_str().into());
        map.insert("severity".into(), self.word().into());
        map.insert("unix_ms".into(), self.unix_ms.into());
        map.insert("alert".into(), self.alert.clone());
        map.insert("pictures".into(), pictures.collect());
        if let Some(link) = &self.link {
            map.insert("link".into(), link.as_str().into());
        }
        let mut document = Value::Object(map);
        self.extend(&mut document);
        document
    }

    /// The fields of a form, without the pictures.
    pub(crate) fn form(&self) -> Vec<(&str, String)> {
        let mut form = vec![
            ("id", self.id.to_owned()),
            ("title", self.title.clone()),
            ("text", self.text.clone()),
            ("severity", self.word().to_owned()),
            ("alert", self.alert.to_string()),
        ];
        form.extend(self.link.clone().map(|link| ("link", link)));
        self.overlay(form)
    }

    /// Puts the site's own fields over those of a form.
    pub(crate) fn overlay<'f>(&'f self, mut form: Vec<(&'f str, String)>) -> Vec<(&'f str, String)> {
        form.retain(|(name, _)| self.fields.iter().all(|(own, _)| own != name));
        form.extend(self.fields.iter().map(|(name, text)| (*name, text.clone())));
        form
    }
}

/// A picture in base64.
pub(crate) fn base64(picture: &Attachment<'_>) -> String {
    base64_simd::STANDARD.encode_to_string(&picture.bytes)
}

/// Cuts a text to `max` units at a character, where `units` says how many a character takes.
pub(crate) fn cut(text: &str, max: usize, units: fn(char) -> usize) -> Cow<'_, str> {
    if text.chars().map(units).sum::<usize>() <= max {
        return Cow::Borrowed(text);
    }
    let room = max.saturating_sub(units(CUT));
    let mut used = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += units(*c);
            used <= room
        })
        .collect();
    Cow::Owned(kept + CUT.encode_utf8(&mut [0; 4]))
}

/// A number or truth value where the text is one, and else the text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => text.into(),
    }
}
