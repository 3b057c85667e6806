//! The log: to standard error, which a service manager collects. Logging never panics and never waits: what standard
//! error does not take is dropped and counted.

mod queue;
mod style;

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{Format, Full};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};
use watchpost_config::{LogFormat, TimeZone};

use self::queue::LineQueue;
use self::style::{LogZone, OneLine, Prefixed, Style};

/// What libraries say that is of no use to an operator. The site's own filter may ask for it again.
const QUIETER: &str = "actix_server=warn";

/// The running log.
#[derive(Clone)]
pub(crate) struct Log {
    queue: LineQueue,
    filter: reload::Handle<EnvFilter, Registry>,
    zone: LogZone,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The filter is not understood.
    #[error(
        "`{filter}` is no log filter: {source}. Write a level, error to trace, or one a crate, such as `warn,watchpost_hub=debug`."
    )]
    Filter {
        /// The filter as written.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Standard error cannot be used, or no thread started.
    #[error("cannot log to standard error: {0}")]
    Start(#[from] io::Error),
}

impl Log {
    /// Starts logging with a filter such as `info` or `warn,watchpost_hub=debug`. Lines for people show the time in
    /// `zone`, those for programs in UTC.
    ///
    /// # Errors
    /// When the filter cannot be understood or the writing thread not started.
    pub(crate) fn start(filter: &str, format: LogFormat, zone: TimeZone) -> Result<Self, LogError> {
        let zone = LogZone::new(zone);
        let style = Style::of_stderr(format, &zone);
        let queue = LineQueue::start(style.clone())?;
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(queue.clone())
            .with_target(false)
            .log_internal_errors(false);
        let layer: Box<dyn Layer<_> + Send + Sync> = match &style {
            Style::Text(zone) => {
                let colours = io::stderr().is_terminal();
                let one_line = |format: Format<Full, LogZone>| OneLine {
                    format: format.with_ansi(colours),
                    colours,
                };
                let layer = layer.with_ansi(colours).with_timer(zone.clone());
                layer.map_event_format(one_line).boxed()
            }
            Style::Json => layer.json().boxed(),
            Style::Journal => layer
                .with_ansi(false)
                .without_time()
                .map_event_format(|format| {
                    Prefixed(OneLine {
                        format,
                        colours: false,
                    })
                })
                .boxed(),
            Style::JournalJson => layer.json().map_event_format(Prefixed).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(layer).init();
        log_panics(queue.clone(), style);
        Ok(Self {
            queue,
            filter: handle,
            zone,
        })
    }

    /// Logs by another filter and in another zone from now on.
    ///
    /// # Errors
    /// When the filter cannot be understood; all stays as it was.
    pub(crate) fn change(&self, filter: &str, zone: TimeZone) -> Result<(), LogError> {
        let filter = parse(filter)?;
        // Fails only when there is no log any more.
        let _ = self.filter.reload(filter);
        self.zone.set(zone);
        Ok(())
    }

    /// Lines dropped since the start.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.queue.lost_lines()
    }

    /// Gives what is queued a moment to be written: before the process ends.
    pub(crate) fn flush(&self) {
        self.queue.flush();
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(format!("{QUIETER},{filter}"))
        .map_err(|source| LogError::Filter {
            filter: filter.to_owned(),
            source,
        })
}

/// A panic is a bug that ends one actor. It must be in the log, and not only on an unattended terminal.
///
/// The line goes to the queue directly: the panic may have come from inside the subscriber.
fn log_panics(queue: LineQueue, style: Style) {
    std::panic::set_hook(Box::new(move |panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        let text = format!("bug: {panic}. Please report it.\n{backtrace}");
        queue.push(style.line(Level::ERROR, &text));
        // The process may be about to end with this panic.
        queue.flush();
    }));
}
