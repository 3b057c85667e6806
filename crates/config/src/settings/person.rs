//! `[[person]]`: who may arm and disarm with a code.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{CodeHash, forms};

/// `[[person]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonSettings {
    /// What people call them, such as `Anna`: unique. It is in the events of what they arm and disarm.
    #[schemars(with = "forms::Text")]
    pub name: String,
    /// The hash of their code, which `watchpost code hash` prints: the code itself stands nowhere. It counts at every sink with `arm`
    /// in its `[sink.sandbox]`. After five wrong codes in a row a sink takes none for 15 minutes, which is an event (`codes_locked`).
    #[schemars(with = "forms::CodeHash")]
    pub code: CodeHash,
}

impl PersonSettings {
    /// The name of the one of these persons whose code this is, if it is anyone's. Each code is tried, whichever is right: how long that takes says
    /// nothing. It takes a while for each, and memory.
    pub fn of_code<'a>(persons: &'a [Self], code: &str) -> Option<&'a str> {
        let mut found = None;
        for person in persons {
            if person.code.is_of(code) {
                found = Some(person.name.as_str());
            }
        }
        found
    }
}
