//! Secrets, which are never shown.

use expect_test::expect;

use super::check;
use crate::site::CONNECTION;

#[test]
fn two_forms_of_one_secret() {
    check(
        &(CONNECTION.to_owned()
            + r#"token_env = "WATCHPOST_TOKEN"
"#),
        expect![[r#"
            watchpost.toml:6:1
              × both `token_file` and `token_env` are given in [[connection]] `main`
               ╭─[watchpost.toml:6:1]
             4 │ user_id = "550e8400-e29b-41d4-a716-446655440000"
             5 │ token_file = "token"
               · ─────┬────
               ·      ╰── this
             6 │ token_env = "WATCHPOST_TOKEN"
               · ────┬────
               ·     ╰── and this
               ╰────
              help: leave `token_env` out, or `token_file` (watchpost.toml:5:1)
        "#]],
    );
}

#[test]
fn secret_of_a_wrong_type() {
    check(
        r#"[[connection]]
name = "main"
url = "http://h"
token = 123454321
user_id = "u"
"#,
        expect![[r#"
            watchpost.toml:4:1
              × `token` in [[connection]] `main` must be a string in quotes, and is an integer
               ╭─[watchpost.toml:4:1]
             3 │ url = "http://h"
             4 │ token = ***
               · ──┬──
               ·   ╰── not a string
             5 │ user_id = "u"
               ╰────
        "#]],
    );
}

#[test]
fn secret_where_a_variable_is_named() {
    check(
        r#"[[connection]]
name = "main"
url = "http://h"
token_env = "eyJhbGciOi.s3cret"
user_id = "u"
"#,
        expect![[r#"
            watchpost.toml:4:1
              × `token_env` in [[connection]] `main` is not the name of an environment variable
               ╭─[watchpost.toml:4:1]
             3 │ url = "http://h"
             4 │ token_env = ***
               · ────┬────
               ·     ╰── here
             5 │ user_id = "u"
               ╰────
              help: expected a name such as `WATCHPOST_TOKEN`, without `$`
        "#]],
    );
}

#[test]
fn secret_where_a_file_is_named() {
    check(
        r#"[[connection]]
name = "main"
url = "http://h"
token_file = "eyJhbGciOi.s3cret"
user_id = "u"
"#,
        expect![[r#"
            watchpost.toml:4:1
              × `token_file` in [[connection]] `main` holds the secret itself
               ╭─[watchpost.toml:4:1]
             3 │ url = "http://h"
             4 │ token_file = ***
               · ─────┬────
               ·      ╰── here
             5 │ user_id = "u"
               ╰────
              help: put it into a file, and write the file's path here
        "#]],
    );
}

#[test]
fn password_in_the_address() {
    check(
        r#"[[connection]]
name = "main"
url = "http://admin:s3cret@192.168.1.20:8000"
user_id = "u"
token_file = "token"
"#,
        expect![[r#"
            watchpost.toml:3:7
              × `url` in [[connection]] `main` contains a user name or a password
               ╭─[watchpost.toml:3:7]
             2 │ name = "main"
             3 │ url = "http://***         @192.168.1.20:8000"
               ·       ───────────────────┬───────────────────
               ·                          ╰── here
             4 │ user_id = "u"
               ╰────
              help: leave them out: an account is given in [connection.login], with `email` and `password_file`
        "#]],
    );
}
