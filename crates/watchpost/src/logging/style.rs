//! How a line of the log looks: for people, for programs, or for systemd's journal.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use watchpost_config::{LogFormat, TimeZone};
use watchpost_core::UnixMillis;

use crate::out;

/// The looks.
#[derive(Clone, Debug)]
pub(super) enum Style {
    /// Time in the zone as that is now, level and text.
    Text(LogZone),
    /// One JSON document a line, its time in UTC.
    Json,
    /// As [`Style::Text`], with the priority that sd-daemon(3) defines and without the time, which the journal has itself.
    Journal,
    /// As [`Style::Json`], with the priority.
    JournalJson,
}

impl Style {
    /// What standard error wants. The journal is recognised as systemd.exec(5) says: `JOURNAL_STREAM` names the device and
    /// inode of the stream that leads to it.
    pub(super) fn of_stderr(format: LogFormat, zone: &LogZone) -> Self {
        let stream = std::env::var("JOURNAL_STREAM").ok();
        let journal = stream.is_some_and(|stream| {
            rustix::fs::fstat(io::stderr())
                .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
        });
        match (format, journal) {
            (LogFormat::Text, false) => Self::Text(zone.clone()),
            (LogFormat::Json, false) => Self::Json,
            (LogFormat::Text, true) => Self::Journal,
            (LogFormat::Json, true) => Self::JournalJson,
        }
    }

    /// A line that does not come from the subscriber, with its newline.
    pub(super) fn line(&self, level: Level, text: &str) -> Vec<u8> {
        let now = now();
        let json = || {
            serde_json::json!({
                "timestamp": now.to_string(),
                "level": level.as_str(),
                "fields": {"message": text},
            })
        };
        match self {
            Self::Text(zone) => format!("{} {level:>5} {text}\n", zone.get().stamp(now.0)),
            Self::Json => format!("{}\n", json()),
            Self::Journal => prefixed(level, &format!("{level:>5} {text}")),
            Self::JournalJson => prefixed(level, &json().to_string()),
        }
        .into_bytes()
    }
}

/// The zone in which lines for people show the time. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct LogZone(Arc<RwLock<TimeZone>>);

impl LogZone {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self(Arc::new(RwLock::new(zone)))
    }

    pub(super) fn set(&self, zone: TimeZone) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    fn get(&self) -> TimeZone {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FormatTime for LogZone {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&self.get().stamp(now().0))
    }
}

fn now() -> UnixMillis {
    UnixMillis::from(time::OffsetDateTime::now_utc())
}

/// Each line with its priority; systemd reads them line by line.
fn prefixed(level: Level, text: &str) -> String {
    // syslog(3): 3 error, 4 warning, 6 informational, 7 debug.
    let priority = match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    };
    text.lines().map(|line| format!("<{priority}>{line}\n")).collect()
}

/// A format each of whose events is one line that reads as it was written, whatever a server or a plugin has put into it.
pub(super) struct OneLine<F> {
    pub(super) format: F,
    /// Whether the format colours its lines. It leaves no escape of others as it is.
    pub(super) colours: bool,
}

impl<S, N, F> FormatEvent<S, N> for OneLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.format.format_event(context, Writer::new(&mut text), event)?;
        writer.write_str(&one_line(&text, self.colours))
    }
}

fn one_line(text: &str, colours: bool) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if out::is_unsafe(c) && !(colours && c == '\u{1b}') {
            line.push_str(&out::escaped(c.encode_utf8(&mut [0; 4])));
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

/// A format whose lines carry their priority.
pub(super) struct Prefixed<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Prefixed<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        writer.write_str(&prefixed(*event.metadata().level(), &text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_for_the_journal_has_its_priority() {
        let line = Style::Journal.line(Level::ERROR, "bug\nsecond");
        assert_eq!(String::from_utf8(line).unwrap(), "<3>ERROR bug\n<3>second\n");
        let line = String::from_utf8(Style::JournalJson.line(Level::INFO, "a\nb")).unwrap();
        assert!(line.starts_with("<6>{") && line.lines().count() == 1, "{line}");
    }

    #[test]
    fn an_event_is_one_line() {
        let ugly = "closed: \u{1b}[31mred\nFORGED \u{202e}x\u{200b}\n";
        assert_eq!(
            one_line(ugly, false),
            "closed: \\u{1b}[31mred\\nFORGED \\u{202e}x\\u{200b}\n"
        );
        assert_eq!(
            one_line("\u{1b}[33m WARN\u{1b}[0m x\n", true),
            "\u{1b}[33m WARN\u{1b}[0m x\n"
        );
    }

    #[test]
    fn a_line_for_people_has_the_sites_time_and_one_for_programs_utc() {
        let zone: TimeZone = serde_json::from_str(r#""Asia/Karachi""#).unwrap();
        let line = String::from_utf8(Style::Text(LogZone::new(zone)).line(Level::WARN, "x")).unwrap();
        assert!(line.ends_with("+05:00  WARN x\n"), "{line}");
        let line = String::from_utf8(Style::Json.line(Level::WARN, "x")).unwrap();
        assert!(line.contains(r#"Z""#), "{line}");
    }

    #[test]
    fn a_line_for_programs_is_json() {
        let line = String::from_utf8(Style::Json.line(Level::WARN, "x")).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["fields"]["message"], "x");
        assert_eq!(line["level"], "WARN");
    }
}
