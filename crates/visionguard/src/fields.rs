//! An object of the wire as its known fields, each still raw JSON text. It judges no value.
//!
//! The backend puts the same field at the top, in `result` or in `details`, so one table serves all
//! objects. Values stay raw so that one of the wrong type can neither fail the message nor cost a copy.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

macro_rules! fields {
    ($($field:ident $name:literal,)*) => {
        /// A field of some message, by the name it has on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Field { $($field,)* }

        const NAMES: &[&str] = &[$($name,)*];
        const FIELDS: &[Field] = &[$(Field::$field,)*];
    };
}

fields! {
    Type "type", Id "id", UserId "user_id", StreamId "stream_id", ShopId "shop_id", AnomalyId "anomaly_id",
    NotificationId "notification_id", Timestamp "timestamp",
    SequenceId "sequence_id", PersonId "person_id", StartFrame "start_frame", EndFrame "end_frame",
    FrameNumber "frame_number", Score "score", Classification "classification", Confidence "confidence",
    Status "status", Bbox "bbox", PoseDict "pose_dict",
    AnnotatedFrame "annotated_frame", Frame "frame", FrameFormat "frame_format",
    Title "title", Message "message", Priority "priority", ActionUrl "action_url",
    NumPersons "num_persons", Detections "detections",
    Result "result", Details "details", Data "data", Metadata "metadata",
}

/// How many of the fields hold objects to look into; they stand last.
const NESTED: usize = 4;
const VALUES: usize = NAMES.len() - NESTED;

impl Field {
    /// Its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

/// Any JSON value, seen as an object of known fields or as something else.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    /// An object.
    Object(Box<Object<'a>>),
    /// What else it is, in words.
    Other(&'static str),
}

/// The known fields of an object. Of a field given twice the last counts, as in Python and JavaScript.
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    values: [Option<&'a RawValue>; VALUES],
    nested: [Option<Node<'a>>; NESTED],
}

impl<'a> Object<'a> {
    /// The raw JSON of a plain field.
    pub(crate) fn value(&self, field: Field) -> Option<&'a RawValue> {
        self.values.get(field as usize).copied().flatten()
    }

    /// One of the fields that hold objects.
    pub(crate) fn node(&self, field: Field) -> Option<&Node<'a>> {
        self.nested.get((field as usize).checked_sub(VALUES)?)?.as_ref()
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Box::<Object<'de>>::default();
        while let Some(Key(field)) = map.next_key()? {
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let index = field as usize;
            if let Some(value) = object.values.get_mut(index) {
                *value = Some(map.next_value()?);
            } else if let Some(node) = object.nested.get_mut(index - VALUES) {
                *node = Some(map.next_value()?);
            }
        }
        Ok(Node::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::Other("an array"))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Node::Other("null"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Node::Other("true or false"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Node::Other("text"))
    }
}

/// The name of a field, if it is one we know.
struct Key(Option<Field>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        let index = NAMES.iter().position(|known| *known == name);
        Ok(Key(index.and_then(|index| FIELDS.get(index).copied())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_at_its_index_and_the_objects_last() {
        for (index, field) in FIELDS.iter().enumerate() {
            assert_eq!(*field as usize, index);
            assert_eq!(field.name(), NAMES[index]);
        }
        assert_eq!(
            FIELDS[VALUES..],
            [Field::Result, Field::Details, Field::Data, Field::Metadata]
        );
    }

    #[test]
    fn a_field_given_twice_counts_once_and_strangers_are_skipped() {
        let node: Node<'_> =
            serde_json::from_str(r#"{"id":1,"x":{"id":9},"\u0069d": 2 ,"result":[{}]}"#).unwrap();
        let Node::Object(object) = node else {
            panic!("{node:?}")
        };
        assert_eq!(object.value(Field::Id).unwrap().get(), "2");
        assert!(matches!(
            object.node(Field::Result),
            Some(Node::Other("an array"))
        ));
        assert!(object.node(Field::Details).is_none() && object.node(Field::Id).is_none());
    }
}
