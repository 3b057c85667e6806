//! Addresses of servers: what a backend's and a monitor's must look like. Nothing here looks up a name.

use url::{ParseError, Url};

use crate::formats::Violation;
use crate::nearest::nearest;

/// Schemes of a backend's address.
const BACKEND: [&str; 4] = ["http", "https", "ws", "wss"];

/// Checks the address of a backend.
pub(crate) fn backend(text: &str) -> Result<(), Violation> {
    let help = "expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`";
    let url = web(text, &BACKEND, help)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Violation::new(
            "contains a user name or a password",
            "leave them out: an account is given in [connection.login], with `email` and `password_file`",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Violation::new(
            "goes on after the path",
            "leave out everything from `?` or `#` on; the token is set apart",
        ));
    }
    if url.path().contains("/ws/alerts") {
        return Err(Violation::new(
            "contains `/ws/alerts`",
            "leave it out: it is added by the hub",
        ));
    }
    Ok(())
}

/// Checks the address of a monitor, which is a secret: nothing of it is in the error.
pub(crate) fn monitor(text: &str) -> Result<(), Violation> {
    let help = "expected the whole address, such as `https://hc-ping.com/…`";
    web(text, &["http", "https"], help)
        .map(drop)
        .map_err(|violation| match violation {
            // What stands before the first colon may be part of the secret.
            Violation { problem, .. } if problem.starts_with("begins with") => {
                Violation::new("begins neither with http:// nor with https://", help)
            }
            Violation { problem, .. } => Violation::new(problem, help),
        })
}

fn web(text: &str, schemes: &[&str], help: &str) -> Result<Url, Violation> {
    if text.trim() != text {
        return Err(Violation::new("begins or ends with a space", "remove it"));
    }
    if text.contains(['<', '>', '{', '}']) {
        return Err(Violation::new("still has a placeholder in it", help));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(without_scheme(text, schemes, help));
    };
    let small = scheme.to_lowercase();
    if !schemes.contains(&small.as_str()) {
        let help = match nearest(&small, schemes.iter().copied()) {
            Some(near) => format!("did you mean `{near}://`? {help}"),
            None => help.to_owned(),
        };
        return Err(Violation::new(format!("begins with `{scheme}:`"), help));
    }
    let url = Url::parse(text).map_err(|e| match e {
        ParseError::InvalidPort => Violation::new(
            "has no valid port",
            "expected a number from 1 to 65535 after the host",
        ),
        e => Violation::new(format!("is not an address: {e}"), help),
    })?;
    if url.port() == Some(0) {
        return Err(Violation::new(
            "has the port 0, to which nothing can connect",
            "expected 1 to 65535",
        ));
    }
    // `http://192.168.1:8000` is read as 192.168.0.1.
    let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
    let numbers = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numbers && host.split('.').count() != 4 {
        let help = "expected four numbers, such as 192.168.1.20, or a name";
        return Err(Violation::new(format!("has the incomplete address {host}"), help));
    }
    if matches!(host, "0.0.0.0" | "255.255.255.255") {
        let help = "write the address of the server; 127.0.0.1 is this machine";
        return Err(Violation::new(
            format!("has {host} for a host, which is no machine's address"),
            help,
        ));
    }
    Ok(url)
}

fn without_scheme(text: &str, schemes: &[&str], help: &str) -> Violation {
    let scheme = schemes.iter().find(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && text[scheme.len()..].starts_with([':', '/'])
    });
    match scheme {
        Some(scheme) if text.len() > scheme.len() + 1 => Violation::new(
            format!("has not `://` after `{scheme}`"),
            format!(
                "write `{scheme}://{}`",
                text[scheme.len()..].trim_start_matches([':', '/'])
            ),
        ),
        _ => Violation::new("does not begin with http:// or the like", help),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(of: fn(&str) -> Result<(), Violation>, texts: &[&str], expected: Expect) {
        let lines = texts.iter().map(|text| match of(text) {
            Ok(()) => format!("{text:?} ok\n"),
            Err(violation) => format!("{text:?} {} | {}\n", violation.problem, violation.help),
        });
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn of_backends() {
        check(
            backend,
            &[
                "http://192.168.1.20:8000",
                "wss://guard.example.org/base/",
                "HTTP://host",
                "http://[fd00::1]:8000",
                "ftp://host",
                "htps://host",
                "192.168.1.20:8000",
                "guard.example.org",
                "http:/host",
                "http:host:8000",
                "http//host",
                "https:",
                "https://u:p@host",
                "http://host/?token=x",
                "http://host/ws/alerts/",
                "http://",
                "",
                " http://host",
                "http://<host>:8000",
                "http://host:0",
                "http://host:99999",
                "http://host:80a",
                "http://192.168.1:8000",
                "http://192.168.1.300",
                "http://0.0.0.0:8000",
                "http://ho st",
            ],
            expect![[r#"
                "http://192.168.1.20:8000" ok
                "wss://guard.example.org/base/" ok
                "HTTP://host" ok
                "http://[fd00::1]:8000" ok
                "ftp://host" begins with `ftp:` | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "htps://host" begins with `htps:` | did you mean `https://`? expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "192.168.1.20:8000" does not begin with http:// or the like | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "guard.example.org" does not begin with http:// or the like | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "http:/host" has not `://` after `http` | write `http://host`
                "http:host:8000" has not `://` after `http` | write `http://host:8000`
                "http//host" has not `://` after `http` | write `http://host`
                "https:" does not begin with http:// or the like | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "https://u:p@host" contains a user name or a password | leave them out: an account is given in [connection.login], with `email` and `password_file`
                "http://host/?token=x" goes on after the path | leave out everything from `?` or `#` on; the token is set apart
                "http://host/ws/alerts/" contains `/ws/alerts` | leave it out: it is added by the hub
                "http://" is not an address: empty host | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "" does not begin with http:// or the like | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                " http://host" begins or ends with a space | remove it
                "http://<host>:8000" still has a placeholder in it | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "http://host:0" has the port 0, to which nothing can connect | expected 1 to 65535
                "http://host:99999" has no valid port | expected a number from 1 to 65535 after the host
                "http://host:80a" has no valid port | expected a number from 1 to 65535 after the host
                "http://192.168.1:8000" has the incomplete address 192.168.1 | expected four numbers, such as 192.168.1.20, or a name
                "http://192.168.1.300" is not an address: invalid IPv4 address | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
                "http://0.0.0.0:8000" has 0.0.0.0 for a host, which is no machine's address | write the address of the server; 127.0.0.1 is this machine
                "http://ho st" is not an address: invalid international domain name | expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
            "#]],
        );
    }

    #[test]
    fn of_monitors() {
        check(
            monitor,
            &[
                "https://hc-ping.com/00000000",
                "hc-ping.com/00000000",
                "secret:x://host",
                "wss://host",
                "https://",
                "http://host:0/x",
            ],
            expect![[r#"
                "https://hc-ping.com/00000000" ok
                "hc-ping.com/00000000" does not begin with http:// or the like | expected the whole address, such as `https://hc-ping.com/…`
                "secret:x://host" begins neither with http:// nor with https:// | expected the whole address, such as `https://hc-ping.com/…`
                "wss://host" begins neither with http:// nor with https:// | expected the whole address, such as `https://hc-ping.com/…`
                "https://" is not an address: empty host | expected the whole address, such as `https://hc-ping.com/…`
                "http://host:0/x" has the port 0, to which nothing can connect | expected the whole address, such as `https://hc-ping.com/…`
            "#]],
        );
    }
}
