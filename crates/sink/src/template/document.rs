//! The document of an alert as a template sees it: what an alert lacks is empty, and what no alert has is a mistake.
//!
//! A template that is true to the names of a document can so never fail for want of a detail, and a mistyped name is found
//! before the alert comes.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use serde_json::Value as Json;

use crate::{Alert, words};

/// What is known of the keys of a value whose own are not known.
static NOTHING: Json = Json::Null;

/// What the clocks say of an alert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// Seconds that the clocks at the site are ahead of UTC.
    pub(super) utc_offset_s: i32,
    /// When the hub received it.
    pub(super) received: SystemTime,
}

/// A table of the document, or all of it.
#[derive(Debug)]
pub(super) struct Table {
    values: Value,
    /// A table of the keys that it can have.
    known: &'static Json,
    pub(super) clocks: Clocks,
}

/// What this alert does not have, though others do.
#[derive(Debug)]
pub(super) struct Missing {
    known: &'static Json,
}

impl Table {
    /// The whole document.
    pub(super) fn of(alert: &Alert<'_>, known: &'static Json) -> Value {
        let clocks = Clocks {
            utc_offset_s: alert.utc_offset_s(),
            received: alert.received(),
        };
        Value::from_object(Self {
            values: Value::from_serialize(alert.json()),
            known,
            clocks,
        })
    }
}

impl Object for Table {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let known = key.as_str().and_then(|key| below(self.known, key));
        let value = self.values.get_item(key).unwrap_or_default();
        if value.is_undefined() || value.is_none() {
            return known.map(|known| Value::from_object(Missing { known }));
        }
        if value.kind() != ValueKind::Map {
            return Some(value);
        }
        Some(Value::from_object(Self {
            values: value,
            known: known.unwrap_or(&NOTHING),
            clocks: self.clocks,
        }))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.values.try_iter() {
            Ok(keys) => Enumerator::Values(keys.collect()),
            Err(_) => Enumerator::Empty,
        }
    }
}

impl Object for Missing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let known = match (key.as_str(), self.known) {
            (Some(key), known) => below(known, key)?,
            (None, Json::Array(_)) => &NOTHING,
            (None, _) => return None,
        };
        Some(Value::from_object(Self { known }))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// The default texts, made once.
pub(super) fn texts() -> Value {
    static TEXTS: LazyLock<Value> = LazyLock::new(|| Value::from_serialize(words::all()));
    TEXTS.clone()
}

/// Whether a value is there at all.
pub(super) fn is_missing(value: &Value) -> bool {
    value.is_undefined() || value.is_none() || value.downcast_object_ref::<Missing>().is_some()
}

/// What is known below a key. A table without keys, such as that of the poses, can have any.
pub(super) fn below(known: &'static Json, key: &str) -> Option<&'static Json> {
    match known {
        Json::Object(keys) if keys.is_empty() => Some(known),
        Json::Object(keys) => keys.get(key),
        _ => None,
    }
}
