//! A sink that panics, in Rust and through the SDK: what most mistakes of an author come to.
//!
//! The hub must see an outcome and no crash: the SDK catches the panic, the instance ends, another is made, and the
//! alert is tried again. An alert that does this each time is dead-lettered in the end; the others are delivered.

use std::panic::panic_any;

use watchpost_sink::{Alert, Call, Fail, Host, Sink, export_sink};

/// Panics as its configuration says.
#[derive(Debug)]
struct Panicking {
    config: Config,
}

/// Which alerts are too much, and what is thrown.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Alerts whose title contains this are answered with a panic; all, if it is empty.
    #[serde(default)]
    marker: String,
    /// What the panic carries.
    #[serde(default)]
    payload: Payload,
}

/// What a panic carries.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Payload {
    /// A sentence, as most do.
    #[default]
    Text,
    /// A value that panics again when it is dropped: who catches the panic must not drop what it caught.
    PanicsWhenDropped,
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("the payload was dropped");
    }
}

impl Sink for Panicking {
    type Config = Config;

    fn create(config: Config, _host: &Host) -> Result<Self, Fail> {
        Ok(Self { config })
    }

    fn deliver(&mut self, alert: &Alert<'_>, _call: &Call<'_>) -> Result<(), Fail> {
        if !alert.title().contains(&self.config.marker) {
            return Ok(());
        }
        match self.config.payload {
            Payload::Text => panic!("cannot bear `{}`", alert.title()),
            Payload::PanicsWhenDropped => panic_any(PanicsWhenDropped),
        }
    }
}

export_sink!(Panicking, id: "panicking", name: "Panicking", summary: "Panics.");
