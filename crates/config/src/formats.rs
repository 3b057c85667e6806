//! The forms that strings must have, each with the words that teach it. It reads no file and knows no key.

use watchpost_core::{Holiday, ParseScheduleError, Window};
use watchpost_units::UnitError;

use crate::{ByteSize, Pace, Rate, TimeSpan, address, code, log_filter};

/// Longest name, in bytes: names become parts of file names, which end at 255.
const MAX_NAME_BYTES: usize = 64;

/// Why a string has not the form it must have. `problem` goes on after "`key` ".
pub(crate) struct Violation {
    pub(crate) problem: String,
    pub(crate) help: String,
}

/// Checks a string against the form of this name.
pub(crate) fn check(format: &str, text: &str) -> Result<(), Violation> {
    match format {
        "duration" => quantity(text.parse::<TimeSpan>()),
        "pace" => quantity(text.parse::<Pace>()),
        "size" => quantity(text.parse::<ByteSize>()),
        "rate" => quantity(text.parse::<Rate>()),
        "name" => name(text),
        "plugin" if !is_plugin_path(text) => name(text),
        "address" => address::backend(text),
        "listen" => listen(text),
        "email" => email(text),
        "log filter" => log_filter::check(text).map_err(|(problem, help)| violation(problem, help)),
        "user-id" => user_id(text),
        "path" => path(text),
        "absolute path" => absolute_path(text),
        "variable" => variable(text),
        "window" => schedule(text.parse::<Window>()),
        "date" => schedule(text.parse::<Holiday>()),
        "code hash" => code::check(text).map_err(|bad| {
            violation(
                bad.to_string(),
                "paste what `watchpost code hash` prints: the code itself must not stand in the file",
            )
        }),
        "text" | "reference" if text.trim().is_empty() => {
            Err(violation("is empty", "write something, or leave the key out"))
        }
        _ => Ok(()),
    }
}

/// What a value of this form is, and an example, for errors about other types.
pub(crate) fn expected(format: &str) -> &'static str {
    match format {
        "duration" => "a duration in quotes, such as \"30s\"",
        "pace" => "a duration in quotes, such as \"5m\", or \"auto\"",
        "rate" => "a number and a duration in quotes, such as \"20 per 1h\"",
        "size" => "a size in quotes, such as \"64MiB\"",
        "path" => "a path in quotes",
        "absolute path" => "a path in quotes, such as \"/srv/alerts\"",
        "name" | "reference" => "a name in quotes",
        "address" => "an address in quotes, such as \"http://192.168.1.20:8000\"",
        "listen" => "an IP address and a port in quotes, such as \"127.0.0.1:8787\"",
        "email" => "an e-mail address in quotes",
        "window" => "days and times in quotes, such as \"mon-fri 22:00-06:00\"",
        "date" => "a date in quotes, such as \"2026-04-03\" or \"12-25\"",
        "code hash" => "what `watchpost code hash` prints, in quotes",
        "plugin" => "the name of a plugin in quotes, such as \"archive\"",
        _ => "a string in quotes",
    }
}

/// Whether the plugin is named by its file.
pub(crate) fn is_plugin_path(text: &str) -> bool {
    text.contains('/') || text.ends_with(".so")
}

fn quantity<T>(parsed: Result<T, UnitError>) -> Result<(), Violation> {
    match parsed {
        Ok(_) => Ok(()),
        Err(UnitError { what, text, hint }) => Err(violation(format!("is not {what}: `{text}`"), hint)),
    }
}

fn schedule<T>(parsed: Result<T, ParseScheduleError>) -> Result<(), Violation> {
    match parsed {
        Ok(_) => Ok(()),
        Err(ParseScheduleError { problem, help }) => Err(violation(problem, help)),
    }
}

fn name(text: &str) -> Result<(), Violation> {
    let help = "expected letters (a to z), digits, `-`, `_` and `.`, beginning with a letter or digit";
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() {
        Err(violation("is empty", help))
    } else if text.len() > MAX_NAME_BYTES {
        Err(violation(
            format!("is too long: {} bytes", text.len()),
            format!("expected at most {MAX_NAME_BYTES}"),
        ))
    } else if let Some(c) = text.chars().find(|c| !allowed(*c)) {
        Err(violation(format!("contains {c:?}"), help))
    } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Err(violation(format!("begins with {:?}", &text[..1]), help))
    } else {
        Ok(())
    }
}

fn listen(text: &str) -> Result<(), Violation> {
    let help = "expected such as `127.0.0.1:8787`, `0.0.0.0:8787` or `[::1]:8787`";
    match text.parse::<std::net::SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(violation(format!("is no IP address with a port: `{text}`"), help)),
    }
}

fn email(text: &str) -> Result<(), Violation> {
    let help = "expected an address such as `hub@example.com`";
    let bad = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | ':' | '"');
    match text.split_once('@') {
        None => Err(violation("has no `@`", help)),
        Some((user, host)) if user.is_empty() || host.is_empty() || host.contains('@') => {
            Err(violation("is not an e-mail address", help))
        }
        Some(_) => match text.chars().find(|c| bad(*c)) {
            Some(c) => Err(violation(format!("contains {c:?}"), help)),
            None => Ok(()),
        },
    }
}

fn user_id(text: &str) -> Result<(), Violation> {
    let help = "expected the UUID that the backend gives at login";
    if text.is_empty() || text == "." || text == ".." {
        return Err(violation("is not a valid user id", help));
    }
    match text
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | '?' | '#'))
    {
        Some(c) => Err(violation(format!("contains {c:?}"), help)),
        None => Ok(()),
    }
}

fn path(text: &str) -> Result<(), Violation> {
    if text.trim().is_empty() {
        return Err(violation("is empty", "expected a path"));
    }
    if text.trim() != text {
        return Err(violation("begins or ends with a space", "remove it"));
    }
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(violation(
            format!("contains {c:?}"),
            "expected a path without control characters",
        ));
    }
    let windows = |text: &str| {
        text.as_bytes().get(1) == Some(&b':') && text.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    if windows(text) || text.starts_with("\\\\") {
        return Err(violation(
            "is a path of Windows",
            "expected a path of this machine, such as `/srv/alerts`",
        ));
    }
    if let Some(path) = text.strip_prefix("file://") {
        return Err(violation(
            "is an address and not a path",
            format!("write `{path}`"),
        ));
    }
    if text.starts_with('~') || text.contains("$") {
        return Err(violation(
            "is not expanded: there is no shell here",
            "write the whole path, without `~` and `$`",
        ));
    }
    Ok(())
}

fn absolute_path(text: &str) -> Result<(), Violation> {
    path(text)?;
    if !text.starts_with('/') {
        return Err(violation(
            "is relative",
            "write the whole path, from `/` on: what is granted must be plain to see",
        ));
    }
    Ok(())
}

fn variable(text: &str) -> Result<(), Violation> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(allowed) {
        // Not shown: it may be the secret itself, put behind the wrong key.
        return Err(violation(
            "is not the name of an environment variable",
            "expected a name such as `WATCHPOST_TOKEN`, without `$`",
        ));
    }
    Ok(())
}

impl Violation {
    pub(crate) fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            help: help.into(),
        }
    }
}

fn violation(problem: impl Into<String>, help: impl Into<String>) -> Violation {
    Violation::new(problem, help)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    fn check(format: &str, texts: &[&str], expected: Expect) {
        let lines = texts.iter().map(|text| match super::check(format, text) {
            Ok(()) => format!("{text:?} ok\n"),
            Err(violation) => format!("{text:?} {}\n", violation.problem),
        });
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn names() {
        let long = "x".repeat(65);
        check(
            "name",
            &["main", "a.b-c_1", "", "..", "a/b", "é", "-a", &long],
            expect![[r#"
            "main" ok
            "a.b-c_1" ok
            "" is empty
            ".." begins with "."
            "a/b" contains '/'
            "é" contains 'é'
            "-a" begins with "-"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is too long: 65 bytes
        "#]],
        );
        check(
            "plugin",
            &["archive", "./my plugin.so", "/opt/x.so", "x.so", "my plugin"],
            expect![[r#"
            "archive" ok
            "./my plugin.so" ok
            "/opt/x.so" ok
            "x.so" ok
            "my plugin" contains ' '
        "#]],
        );
    }

    #[test]
    fn email_addresses() {
        check(
            "email",
            &[
                "hub@example.com",
                "hub",
                "hub@",
                "@host",
                "a@b@c",
                "Hub <hub@example.com>",
                "mailto:a@b",
                "a@b c",
                "",
            ],
            expect![[r#"
                "hub@example.com" ok
                "hub" has no `@`
                "hub@" is not an e-mail address
                "@host" is not an e-mail address
                "a@b@c" is not an e-mail address
                "Hub <hub@example.com>" contains ' '
                "mailto:a@b" contains ':'
                "a@b c" contains ' '
                "" has no `@`
            "#]],
        );
    }

    #[test]
    fn other_forms() {
        check(
            "user-id",
            &["550e8400-e29b", "a/b", "a b", "", ".."],
            expect![[r#"
            "550e8400-e29b" ok
            "a/b" contains '/'
            "a b" contains ' '
            "" is not a valid user id
            ".." is not a valid user id
        "#]],
        );
        check(
            "path",
            &[
                "/a",
                "a",
                "",
                "~/a",
                "$HOME/a",
                "/a ",
                r"C:\Users\x",
                r"\\server\share",
                "file:///a",
                "/a\tb",
            ],
            expect![[r#"
                "/a" ok
                "a" ok
                "" is empty
                "~/a" is not expanded: there is no shell here
                "$HOME/a" is not expanded: there is no shell here
                "/a " begins or ends with a space
                "C:\\Users\\x" is a path of Windows
                "\\\\server\\share" is a path of Windows
                "file:///a" is an address and not a path
                "/a\tb" contains '\t'
            "#]],
        );
        check(
            "absolute path",
            &["/a", "a", "./a", "", "~/a"],
            expect![[r#"
            "/a" ok
            "a" is relative
            "./a" is relative
            "" is empty
            "~/a" is not expanded: there is no shell here
        "#]],
        );
        check(
            "variable",
            &["WATCHPOST_TOKEN", "$TOKEN", "1A", "", "eyJ.x"],
            expect![[r#"
            "WATCHPOST_TOKEN" ok
            "$TOKEN" is not the name of an environment variable
            "1A" is not the name of an environment variable
            "" is not the name of an environment variable
            "eyJ.x" is not the name of an environment variable
        "#]],
        );
        check(
            "text",
            &["x", " "],
            expect![[r#"
            "x" ok
            " " is empty
        "#]],
        );
    }
}
