//! What a plugin tells of itself before it is configured.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Sink;

/// What [`Sink::description`] gives.
///
/// The schema of the configuration goes with it. Two keywords of it mean something to `watchpost check`, which schemars
/// writes with `#[schemars(extend(...))]`:
///
/// - `x-exclusive`, of the whole: a list of keys whose values together no two sinks of the plugin may share, such as
///   `["dir"]`.
/// - `x-lasts`, of a key: what stands behind it says how long a delivery takes, as a duration or as `on 10s` or `pulse
///   500ms/500ms x 20`. The sink's `timeout` has to be longer by the keyword's value, such as `"2s"`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    example: Option<Value>,
    needs: Needs,
}

/// What a sink needs of the machine. It is shown to the operator, who grants it, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Paths it reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Paths it writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Where it connects to, as `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect: Vec<String>,
    /// Devices it opens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Programs it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<String>,
    /// Local (Unix) sockets it connects to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unix_sockets: Vec<String>,
    /// What it acknowledges alerts by, such as a button.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acknowledge: Vec<String>,
    /// What people arm and disarm by at it, such as a key switch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arm: Vec<String>,
}

impl Description {
    /// A configuration that works.
    #[must_use]
    pub fn example(mut self, config: Value) -> Self {
        self.example = Some(config);
        self
    }

    /// What it needs. An entry may name a key of the configuration instead of a fixed value, as `config.dir`; of
    /// where it connects to either part may be one, as `config.host:config.port`, and a key may hold a URL or a list,
    /// of which `config.command.0` is the first.
    /// What the configuration leaves out is not needed.
    #[must_use]
    pub fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }
}

/// The description as the contract wants it.
pub(crate) fn describe<S: Sink>() -> Value {
    let Description { example, needs } = S::description();
    let mut description = json!({ "schema": schema::<S::Config>(), "needs": needs });
    if let Some(example) = example {
        description["example"] = example;
    }
    description
}

fn schema<C: JsonSchema>() -> Value {
    schemars::schema_for!(C).to_value()
}
