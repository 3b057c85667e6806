//! From an alert to a run, and from its ending to what becomes of the alert.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Access, access};
use watchpost_sink::units::TimeSpan;
use watchpost_sink::{Alert, Call, Fail, Grant, Severity};

use crate::Exec;
use crate::config::Config;
use crate::output::Output;
use crate::run::{self, Ending, GRACE};

/// What the program finds its own programs by. The hub's may lead anywhere.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is left of the call's time for all that is not the program, besides its grace.
const RESERVE: Duration = Duration::from_millis(300);

/// How much of a text goes into a variable, in bytes. The kernel takes 128 KiB; all of it is on the standard input.
const MAX_VARIABLE_BYTES: usize = 32 << 10;

/// Runs the program for an alert.
pub(crate) fn deliver(sink: &Exec, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
    let Exec { config, host, .. } = sink;
    let limit = limit(config, call)?;
    let files = sink
        .pictures
        .write(alert.frames())
        .map_err(|error| Fail::retry(format_args!("the picture cannot be written: {error}")))?;
    let command = command(sink, alert, call, files.paths());
    let mut output = Output::new(host);
    let input = alert.json_text().as_bytes();
    let ending = run::run(command, input, limit, || call.cancelled(), &mut output);
    let said = output.end();
    judge(
        ending.map_err(|error| not_started(config, &error))?,
        &said,
        config,
    )
}

/// Whether there is a program that could be started.
pub(crate) fn look_for(program: &str) -> Result<(), Fail> {
    access(program, Access::EXEC_OK).map_err(|error| cannot_start(program, &error.into()))
}

/// How long the program may run: nothing is begun that could not be ended in time.
fn limit(config: &Config, call: &Call<'_>) -> Result<Option<Duration>, Fail> {
    let Some(remaining) = call.remaining() else {
        return Ok(config.timeout);
    };
    let allowed = remaining.saturating_sub(GRACE + RESERVE);
    if allowed.is_zero() {
        return Err(Fail::retry(
            "there is no time left to run the program; raise the sink's timeout",
        ));
    }
    Ok(Some(config.timeout.map_or(allowed, |own| own.min(allowed))))
}

fn command(sink: &Exec, alert: &Alert<'_>, call: &Call<'_>, pictures: &[impl AsRef<Path>]) -> Command {
    let Exec { config, home, .. } = sink;
    let picture = pictures.first().map(|path| path.as_ref().to_string_lossy());
    let mut command = Command::new(&config.command[0]);
    for word in &config.command[1..] {
        let word = word.replace("{id}", alert.id());
        command.arg(word.replace("{picture}", picture.as_deref().unwrap_or_default()));
    }
    command
        .current_dir(config.directory.as_ref().unwrap_or(home))
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .env("HOME", home)
        .env("TMPDIR", home)
        .envs(&config.env)
        .env("WATCHPOST_SINK", sink.host.instance())
        .env("WATCHPOST_ATTEMPT", call.attempt().to_string())
        .env("WATCHPOST_ID", alert.id())
        .env("WATCHPOST_UNIX_MS", alert.unix_ms().to_string())
        .env("WATCHPOST_WHEN", alert.when())
        .env("WATCHPOST_LATE", if alert.is_late() { "1" } else { "0" })
        .env("WATCHPOST_CAMERA", variable(alert.camera().unwrap_or_default()))
        .env("WATCHPOST_SEVERITY", severity(alert.severity()))
        .env("WATCHPOST_TITLE", variable(alert.title()))
        .env("WATCHPOST_TEXT", variable(alert.text()));
    if let Some(first) = pictures.first() {
        command.env("WATCHPOST_PICTURE", first.as_ref());
        let all: Vec<_> = pictures.iter().map(|path| path.as_ref().as_os_str()).collect();
        command.env("WATCHPOST_PICTURES", all.join(&OsString::from("\n")));
    }
    command
}

/// A text as a variable can hold it.
fn variable(text: &str) -> String {
    let most = text.len().min(MAX_VARIABLE_BYTES);
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or_default()].replace('\0', "\u{fffd}")
}

fn severity(severity: Severity) -> String {
    format!("{severity:?}").to_lowercase()
}

fn judge(ending: Ending, said: &str, config: &Config) -> Result<(), Fail> {
    let colon = if said.is_empty() { "" } else { ": " };
    match ending {
        Ending::Exited(code) if config.done.contains(&code) => Ok(()),
        Ending::Exited(code) => {
            let why = format!("the program ended with exit code {code}{colon}{said}");
            Err(if config.retry.contains(&code) {
                Fail::retry(why)
            } else {
                Fail::permanent(why)
            })
        }
        Ending::Killed(signal) => Err(Fail::retry(format_args!(
            "the program was killed by signal {signal}{colon}{said}"
        ))),
        Ending::TooLong(limit) => Err(Fail::retry(format_args!(
            "the program did not end within {} and was ended{colon}{said}",
            TimeSpan(limit)
        ))),
        Ending::Cancelled => Err(Fail::retry(format_args!(
            "the program was ended, as the sink is to stop{colon}{said}"
        ))),
    }
}

fn not_started(config: &Config, error: &io::Error) -> Fail {
    if let Some(directory) = config.directory.as_deref()
        && error.kind() == ErrorKind::NotFound
        && !directory.is_dir()
    {
        let directory = directory.display();
        return Fail::retry(format_args!(
            "{directory}, where the program is to start, is no directory"
        ));
    }
    cannot_start(&config.command[0], error)
}

fn cannot_start(program: &str, error: &io::Error) -> Fail {
    let path = Path::new(program);
    if Grant::Exec.is_missing(path, error) {
        let why = Grant::Exec.explain(path, error);
        return Fail::misconfigured("", format_args!("{program} cannot be started: {why}"));
    }
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "; it has to be executable for the user that Watchpost runs as",
        ErrorKind::NotFound => "; correct `command`, or the first line of the script",
        _ => "",
    };
    Fail::retry(format_args!("{program} cannot be started: {error}{hint}"))
}
