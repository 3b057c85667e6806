//! The forms that values have in the schema besides their types: paths, names, words. What must hold for each is in
//! `formats`.

use std::borrow::Cow;

use schemars::{JsonSchema, SchemaGenerator, json_schema};

/// Types that stand in a schema for a string of a certain form.
macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)*) => { $(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
                json_schema!($schema)
            }
        }
    )* };
}

forms! {
    /// A path, made absolute against the folder of the file that it stands in.
    Path = { "type": "string", "format": "path" };
    /// A path that begins with `/`: what is granted must not depend on where the file lies.
    AbsolutePath = { "type": "string", "format": "absolute path" };
    /// TCP ports, or the word for all of them.
    Ports = { "type": "array", "x-word": "any", "items": { "type": "integer", "minimum": 1, "maximum": 65535 } };
    /// A name that can stand in file names, logs and addresses.
    Name = { "type": "string", "format": "name" };
    /// A name that exists elsewhere in the configuration.
    Reference = { "type": "string", "format": "reference" };
    /// The address of a backend.
    Address = { "type": "string", "format": "address" };
    /// An IP address and a port to listen on.
    Listen = { "type": "string", "format": "listen" };
    /// An e-mail address.
    Email = { "type": "string", "format": "email" };
    /// Levels of the log, also for one part of the program.
    LogFilter = { "type": "string", "format": "log filter" };
    /// A user's id, which stands in an address.
    UserId = { "type": "string", "format": "user-id" };
    /// The name of a plugin or the path of its file.
    Plugin = { "type": "string", "format": "plugin" };
    /// A text that is not empty.
    Text = { "type": "string", "format": "text" };
    /// The words of `watchpost_core::AlertKind`.
    KindWord = { "type": "string", "enum": ["anomaly", "owl_eye", "notice", "hub", "panic", "tamper"] };
    /// The words of `watchpost_core::Require`.
    RequireWord = { "type": "string", "enum": ["any", "all"] };
    /// The words of `watchpost_core::ConditionKind`.
    ConditionWord = { "type": "string", "enum": ["link_lost", "quiet"] };
    /// The words of `watchpost_core::FollowUp`.
    FollowUpWord = { "type": "string", "enum": ["quiet", "login_refused"] };
    /// The words of `watchpost_core::Label`.
    LabelWord = { "type": "string", "enum": ["connection", "camera", "area"] };
    /// The words of `watchpost_core::Severity`.
    SeverityWord = { "type": "string", "enum": ["low", "medium", "high", "critical"] };
    /// The words of `watchpost_core::GroupLabel`.
    GroupWord = { "type": "string", "enum": ["camera", "area", "connection", "stream", "kind", "status", "severity"] };
    /// The words of `watchpost_core::Mode`.
    ModeWord = { "type": "string", "enum": ["home", "away", "night"] };
    /// The words of `watchpost_core::ArmedWord`.
    ArmedWordForm = { "type": "string", "enum": ["home", "away", "night", "disarmed"] };
    /// The hash of a code.
    CodeHash = { "type": "string", "format": "code hash" };
    /// A window of a schedule.
    Window = { "type": "string", "format": "window" };
    /// A date, once or every year.
    Holiday = { "type": "string", "format": "date" };
    /// A table that someone else checks.
    FreeTable = { "type": "object" };
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchpost_core::{AlertKind, ArmedWord, Mode, Severity};

    use super::*;

    #[test]
    fn the_words_are_those_of_the_domain() {
        let mut generator = SchemaGenerator::default();
        let severities = [
            Severity::Low,
            Severity::Medium,
            Severity::High,
            Severity::Critical,
        ];
        let words = SeverityWord::json_schema(&mut generator).to_value();
        assert_eq!(words["enum"], json!(severities));
        assert_eq!(
            ModeWord::json_schema(&mut generator).to_value()["enum"],
            json!(Mode::ALL)
        );
        assert_eq!(
            ArmedWordForm::json_schema(&mut generator).to_value()["enum"],
            json!([
                ArmedWord::Home,
                ArmedWord::Away,
                ArmedWord::Night,
                ArmedWord::Disarmed
            ])
        );
        assert_eq!(
            KindWord::json_schema(&mut generator).to_value()["enum"],
            json!([
                AlertKind::Anomaly,
                AlertKind::OwlEye,
                AlertKind::Notice,
                AlertKind::Hub,
                AlertKind::Panic,
                AlertKind::Tamper
            ])
        );
    }
}
