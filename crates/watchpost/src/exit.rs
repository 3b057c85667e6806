//! Exit codes, the same for every command, and the last word on an error.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// It did not work; standard error says why.
const FAILED: u8 = 1;
/// The configuration or a plugin is not right. (2 is clap's, for a wrong command line.)
const CONFIG: u8 = 3;
/// There is no running hub to talk to.
const NOT_RUNNING: u8 = 4;

/// The table in `watchpost --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  it worked
  1  it did not; standard error says why
  2  wrong command line
  3  the configuration or a plugin is not right
  4  there is no running hub to talk to";

/// What ends a command early and has a code of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration is wrong. Everything has been said already, with places.
    #[error("{0}")]
    Config(String),
    /// Nobody answers.
    #[error("{0}")]
    NotRunning(String),
}

/// Says what went wrong, if anything did, and turns it into an exit code.
pub(crate) fn code(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    if is_broken_pipe(&error) {
        // The reader of our output had enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr(), "watchpost: {error:#}");
    ExitCode::from(match error.downcast_ref() {
        Some(Failure::Config(_)) => CONFIG,
        Some(Failure::NotRunning(_)) => NOT_RUNNING,
        None => FAILED,
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
