//! Where the log goes: standard error, which a service manager collects.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use watchpost_config::LogFormat;

/// What libraries say that is of no use to an operator. The site's own filter may ask for it again.
const QUIETER: &str = "actix_server=warn";

/// Starts logging with a filter such as `info` or `warn,watchpost_hub=debug`.
///
/// # Errors
/// When the filter cannot be understood.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(format!("{QUIETER},{filter}"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
    log_panics();
    Ok(())
}

/// A panic is a bug that ends one actor. It must be in the log, and not only on an unattended terminal.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!("bug: {panic}. Please report it.\n{backtrace}");
    }));
}
