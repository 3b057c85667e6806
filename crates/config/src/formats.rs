//! The forms that strings must have, each with the words that teach it. It reads no file and knows no key.

use url::{ParseError, Url};
use watchpost_units::UnitError;

use crate::{ByteSize, Pace, TimeSpan};

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
        "name" => name(text),
        "plugin" if !is_plugin_path(text) => name(text),
        "address" => address(text),
        "listen" => listen(text),
        "user-id" => user_id(text),
        "path" => path(text),
        "absolute path" => absolute_path(text),
        "variable" => variable(text),
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
        "size" => "a size in quotes, such as \"64MiB\"",
        "path" => "a path in quotes",
        "absolute path" => "a path in quotes, such as \"/srv/alerts\"",
        "name" | "reference" => "a name in quotes",
        "address" => "an address in quotes, such as \"http://192.168.1.20:8000\"",
        "listen" => "an IP address and a port in quotes, such as \"127.0.0.1:8787\"",
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
    match text.parse::<std::net::SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(violation(
            format!("is no IP address with a port: `{text}`"),
            "expected such as `127.0.0.1:8787`, `0.0.0.0:8787` or `[::1]:8787`",
        )),
    }
}

fn address(text: &str) -> Result<(), Violation> {
    let help = "expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`";
    let url = Url::parse(text).map_err(|e| match e {
        ParseError::RelativeUrlWithoutBase => violation("does not begin with http:// or the like", help),
        e => violation(format!("is not an address: {e}"), help),
    })?;
    if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
        return Err(violation(format!("begins with `{}:`", url.scheme()), help));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(violation(
            "contains a user name or a password",
            "leave them out: `user_id` and the token say who you are",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(violation(
            "goes on after the path",
            "leave out everything from `?` or `#` on; the token is set apart",
        ));
    }
    if url.path().contains("/ws/alerts") {
        return Err(violation(
            "contains `/ws/alerts`",
            "leave it out: it is added by the hub",
        ));
    }
    Ok(())
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
    if text.is_empty() {
        return Err(violation("is empty", "expected a path"));
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

fn violation(problem: impl Into<String>, help: impl Into<String>) -> Violation {
    Violation {
        problem: problem.into(),
        help: help.into(),
    }
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
    fn addresses() {
        check(
            "address",
            &[
                "http://192.168.1.20:8000",
                "wss://guard.example.org/base/",
                "ftp://host",
                "192.168.1.20:8000",
                "guard.example.org",
                "https://u:p@host",
                "http://host/?token=x",
                "http://host/ws/alerts/",
                "http://",
                "",
            ],
            expect![[r#"
                "http://192.168.1.20:8000" ok
                "wss://guard.example.org/base/" ok
                "ftp://host" begins with `ftp:`
                "192.168.1.20:8000" does not begin with http:// or the like
                "guard.example.org" does not begin with http:// or the like
                "https://u:p@host" contains a user name or a password
                "http://host/?token=x" goes on after the path
                "http://host/ws/alerts/" contains `/ws/alerts`
                "http://" is not an address: empty host
                "" does not begin with http:// or the like
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
            &["/a", "a", "", "~/a", "$HOME/a"],
            expect![[r#"
            "/a" ok
            "a" ok
            "" is empty
            "~/a" is not expanded: there is no shell here
            "$HOME/a" is not expanded: there is no shell here
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
