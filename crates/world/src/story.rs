//! What happens in a world, line by line, with its time. Kept only where it is wanted.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The story of one run. Clones are the same one.
#[derive(Clone)]
pub struct Story {
    origin: Instant,
    lines: Option<Arc<Mutex<Vec<String>>>>,
}

impl Story {
    /// A story that begins now, and is kept if `wanted`.
    pub fn begin(wanted: bool) -> Self {
        Self {
            origin: Instant::now(),
            lines: wanted.then(Arc::default),
        }
    }

    /// Who did or saw what.
    pub fn tell(&self, who: &str, what: impl fmt::Display) {
        if let Some(lines) = &self.lines {
            let line = format!("{} {who:>8}  {what}", self.clock());
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// The time in the world.
    pub fn clock(&self) -> String {
        let passed = self.origin.elapsed();
        let (seconds, millis) = (passed.as_secs(), passed.subsec_millis());
        format!(
            "{:02}:{:02}:{:02}.{millis:03}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )
    }

    /// What has happened.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.as_ref();
        lines.map_or_else(Vec::new, |lines| {
            lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Whether anybody listens.
    pub fn is_wanted(&self) -> bool {
        self.lines.is_some()
    }
}

/// Tells what the hub logs.
pub struct HubLog(pub Story);

impl<S: Subscriber> Layer<S> for HubLog {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("watchpost") && *metadata.level() <= Level::DEBUG
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0
            .tell("hub", format_args!("{:<5}{}", event.metadata().level(), text.0));
    }
}

/// Tells nothing of what is logged where there is no story.
pub struct NoStory;

impl<S: Subscriber> Layer<S> for NoStory {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        false
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            // The directory of a run has another name each time.
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
