//! Files that are not TOML.

use expect_test::expect;

use super::check;

#[test]
fn syntax() {
    check(
        r#"[[connection]]
name = "main
url "http://h"
token = "s3cret
"#,
        expect![[r#"
            watchpost.toml:2:13
              × this is not TOML: invalid basic string
               ╭─[watchpost.toml:2:13]
             1 │ [[connection]]
             2 │ name = "main
               ·             ▲
               ·             ╰── here
             3 │ url "http://h"
               ╰────
              help: expected `"`
            watchpost.toml:3:5
              × this is not TOML: key with no value
               ╭─[watchpost.toml:3:5]
             2 │ name = "main
             3 │ url "http://h"
               ·     ▲
               ·     ╰── here
             4 │ token = ***
               ╰────
              help: expected `=`
        "#]],
    );
}

#[test]
fn duplicate_key() {
    check(
        r#"[hub]
log = "info"
log = "debug"
"#,
        expect![[r#"
            watchpost.toml:3:1
              × this is not TOML: duplicate key
               ╭─[watchpost.toml:3:1]
             2 │ log = "info"
             3 │ log = "debug"
               · ─┬─
               ·  ╰── here
               ╰────
        "#]],
    );
}
