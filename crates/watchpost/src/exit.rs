//! Exit codes, the same for every command, and the last word on an error.

use std::io;
use std::process::ExitCode;

use crate::out;

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
    /// No hub answers.
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
    out::error(&format!("watchpost: {}", chain(&error)));
    ExitCode::from(match error.downcast_ref() {
        Some(Failure::Config(_)) => CONFIG,
        Some(Failure::NotRunning(_)) => NOT_RUNNING,
        None => FAILED,
    })
}

/// The error and its causes. Some errors repeat their cause in their own text; it is not said twice.
fn chain(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text.is_empty() {
            true => cause,
            false if text.contains(&cause) => text,
            false => format!("{text}: {cause}"),
        }
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::io;

    #[test]
    fn a_cause_is_not_said_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot listen: {source}")]
        struct Listen {
            source: io::Error,
        }
        let source = io::Error::other("no room");
        let error = anyhow::Error::from(Listen { source }).context("control socket");
        assert_eq!(super::chain(&error), "control socket: cannot listen: no room");
    }
}
