//! Files that are not TOML.

use expect_test::expect;

use super::{check, table};

#[test]
fn syntax() {
    check(
        r#"[[connection]]
name = "main
url "http://h"
token = "s3cret
"#,
        expect![[r#"
            watchpost.toml:2:8
              × the quotation mark that opens the value of `name` is not closed
               ╭─[watchpost.toml:2:8]
             1 │ [[connection]]
             2 │ name = "main
               ·        ──┬──
               ·          ╰── opened with `"`, never closed
             3 │ url "http://h"
               ╰────
              help: write `name = "main"`
            watchpost.toml:3:1
              × `=` is missing after `url`
               ╭─[watchpost.toml:3:1]
             2 │ name = "main
             3 │ url "http://h"
               · ───────┬──────
               ·        ╰── `=` is missing
             4 │ token = ***
               ╰────
              help: write `url = "http://h"`
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
              × `log` is given twice here, first on line 2
               ╭─[watchpost.toml:3:1]
             1 │ [hub]
             2 │ log = "info"
               · ─┬─
               ·  ╰── first here
             3 │ log = "debug"
               · ─┬─
               ·  ╰── again here
               ╰────
              help: remove one of the two: which was meant cannot be known
        "#]],
    );
}

#[test]
fn quotation_marks() {
    table(
        &[
            "[hub]\nlog = “info”\n",
            "[hub]\nlog = ‘info’\n",
            "[hub]\nlog = „info“\n",
            "[hub]\nlog = `info`\n",
            "[hub]\nlog = \"info”\n",
            "token = “s3cret”\n",
            "[hub]\nplugin_dirs = [“/a”, \"/b\"]\n",
            "[hub]\nlog = \"info\nlog_format = \"json\"\n",
            "[hub]\nlog = info\"\n",
            "[hub]\nlog = 'info\n",
            "[hub]\nlog = \"the \"info\" level\"\n",
            "[hub]\nlog = \"\"\"info\nx = 1\n",
            "token = \"s3cret\n",
        ],
        expect![[r#"
            > [hub]
            > log = “info”
            watchpost.toml:2:7: `“` (U+201C) is not the quotation mark that a string needs
              | “ | not a plain quotation mark
              write plain quotation marks: `log = "info"`
            > [hub]
            > log = ‘info’
            watchpost.toml:2:7: `‘` (U+2018) is not the quotation mark that a string needs
              | ‘ | not a plain quotation mark
              write plain quotation marks: `log = "info"`
            > [hub]
            > log = „info“
            watchpost.toml:2:7: `„` (U+201E) is not the quotation mark that a string needs
              | „ | not a plain quotation mark
              write plain quotation marks: `log = "info"`
            > [hub]
            > log = `info`
            watchpost.toml:2:7: ``` (U+0060) is not the quotation mark that a string needs
              | ` | not a plain quotation mark
              write plain quotation marks: `log = "info"`
            > [hub]
            > log = "info”
            watchpost.toml:2:7: the quotation mark that opens the value of `log` is not closed
              | "info” | opened with `"`, never closed
              write `log = "info"`
            > token = “s3cret”
            watchpost.toml:1:9: `“` (U+201C) is not the quotation mark that a string needs
              | *** | not a plain quotation mark
              write plain quotation marks, `"`, on both sides
            > [hub]
            > plugin_dirs = [“/a”, "/b"]
            watchpost.toml:2:16: `“` (U+201C) is not the quotation mark that a string needs
              | “ | not a plain quotation mark
              write plain quotation marks: `plugin_dirs = ["/a", "/b"]`
            > [hub]
            > log = "info
            > log_format = "json"
            watchpost.toml:2:7: the quotation mark that opens the value of `log` is not closed
              | "info | opened with `"`, never closed
              write `log = "info"`
            > [hub]
            > log = info"
            watchpost.toml:2:7: the value of `log` is text, and text stands in quotes
              | info" | not in quotes
              write `log = "info"`
            > [hub]
            > log = 'info
            watchpost.toml:2:7: the quotation mark that opens the value of `log` is not closed
              | 'info | opened with `'`, never closed
              write `log = 'info'`
            > [hub]
            > log = "the "info" level"
            watchpost.toml:2:13: the line goes on after the value of `log`
              | info" level" | this is too much
              a quotation mark within a value is written `\"`; or write single quotes around the value
            > [hub]
            > log = """info
            > x = 1
            watchpost.toml:2:7: the text that begins here is not closed by `"""`
              | """ | opened here
              write `"""` where the text ends
            > token = "s3cret
            watchpost.toml:1:9: the quotation mark that opens the value of `token` is not closed
              | *** | opened with `"`, never closed
              write `"` at its end
        "#]],
    );
}

#[test]
fn other_languages() {
    table(
        &[
            "{\n  \"hub\": { \"log\": \"info\" }\n}\n",
            "{ \"login\": { \"password\": \"s3cret\" } }\n",
            "---\nhub:\n  log: info\nsink:\n  - name: a\n",
            "hub:\n  log: info\n",
            "<config>\n</config>\n",
            "name: main\n[hub]\nlog = \"info\"\n",
            "[[connection]]\nname: main\nurl = \"http://h\"\n",
            "[[connection]]\nname: \"main\",\n",
            "password: s3cret\n[hub]\nlog = \"info\"\n",
            "; a comment\n[hub]\nlog = \"info\"\n",
            "// a comment\n[hub]\nlog = \"info\"\n",
            "[hub]\nlog = \"info\" // a comment\n",
            "[hub]\nlog = \"info\";\n",
            "[hub]\nlog = \"info\",\n",
            "[hub]\nexport log = \"info\"\n",
            "[hub]\nlog := \"info\"\n",
            "[hub]\nlog == \"info\"\n",
            "[hub]\nlog => \"info\"\n",
            "<<<<<<< HEAD\n[hub]\nlog = \"info\"\n=======\n[hub]\nlog = \"warn\"\n>>>>>>> b\n",
        ],
        expect![[r#"
            > {
            >   "hub": { "log": "info" }
            > }
            watchpost.toml:1:1: this file is JSON, and the configuration is TOML
              | { | JSON begins here
              write `key = "value"`, a line each, below a table such as `[hub]`; the example watchpost.toml shows how
            > { "login": { "password": "s3cret" } }
            watchpost.toml:1:1: this file is JSON, and the configuration is TOML
              | { "login": { "password": ***      } } | JSON begins here
              write `key = "value"`, a line each, below a table such as `[hub]`; the example watchpost.toml shows how
            > ---
            > hub:
            >   log: info
            > sink:
            >   - name: a
            watchpost.toml:1:1: this file is YAML, and the configuration is TOML
              | --- | YAML begins here
              write `key = "value"` instead of `key: value`, and `[[sink]]` instead of a list of tables; the example watchpost.toml shows how
            > hub:
            >   log: info
            watchpost.toml:1:1: this file is YAML, and the configuration is TOML
              | hub: | YAML begins here
              write `key = "value"` instead of `key: value`, and `[[sink]]` instead of a list of tables; the example watchpost.toml shows how
            > <config>
            > </config>
            watchpost.toml:1:1: this file is XML or HTML, and the configuration is TOML
              | <config> | XML or HTML begins here
              write `key = "value"`, a line each, below a table such as `[hub]`; the example watchpost.toml shows how
            > name: main
            > [hub]
            > log = "info"
            watchpost.toml:1:1: between `name` and its value stands `:` and not `=`
              | name: main | `:` is not `=`
              write `name = "main"`
            > [[connection]]
            > name: main
            > url = "http://h"
            watchpost.toml:2:1: between `name` and its value stands `:` and not `=`
              | name: main | `:` is not `=`
              write `name = "main"`
            > [[connection]]
            > name: "main",
            watchpost.toml:2:1: between `name` and its value stands `:` and not `=`
              | name: "main", | `:` is not `=`
              write `name = "main"`
            > password: s3cret
            > [hub]
            > log = "info"
            watchpost.toml:1:1: between `password` and its value stands `:` and not `=`
              | password*** | `:` is not `=`
              write `password = …`
            > ; a comment
            > [hub]
            > log = "info"
            watchpost.toml:1:1: this is not a comment here
              | ; a comment | begins with `;`
              comments begin with `#`
            > // a comment
            > [hub]
            > log = "info"
            watchpost.toml:1:1: this is not a comment here
              | // a comment | begins with `//`
              comments begin with `#`
            > [hub]
            > log = "info" // a comment
            watchpost.toml:2:14: the line goes on after the value of `log`
              | // a comment | this is too much
              comments begin with `#`
            > [hub]
            > log = "info";
            watchpost.toml:2:13: `;` does not belong at the end of a line
              | ; | remove this
              write `log = "info"`
            > [hub]
            > log = "info",
            watchpost.toml:2:13: `,` does not belong at the end of a line
              | , | remove this
              write `log = "info"`
            > [hub]
            > export log = "info"
            watchpost.toml:2:1: `export` is a shell's word, and no shell reads this file
              | export log | here
              write `log = …`
            > [hub]
            > log := "info"
            watchpost.toml:2:1: between `log` and its value stands `:=`
              | log : | here
              write `=`
            > [hub]
            > log == "info"
            watchpost.toml:2:5: between `log` and its value stands `==`
              | == | here
              write `=`
            > [hub]
            > log => "info"
            watchpost.toml:2:5: between `log` and its value stands `=>`
              | => | here
              write `=`
            > <<<<<<< HEAD
            > [hub]
            > log = "info"
            > =======
            > [hub]
            > log = "warn"
            > >>>>>>> b
            watchpost.toml:1:1: this marks a conflict between two versions of the file
              | <<<<<<< HEAD | a conflict marker
              choose one of the versions and remove the lines with `<<<<`, `====` and `>>>>`
        "#]],
    );
}

#[test]
fn values_without_quotes() {
    table(
        &[
            "[hub]\nlog = info\n",
            "[[connection]]\nurl = http://192.168.1.20:8000\n",
            "[[connection]]\ntoken = s3cret\n",
            "[[connection]]\nwrite_back = yes\n",
            "[[connection]]\nwrite_back = True\n",
            "[[connection]]\nwrite_back = off\n",
            "[[connection]]\nuser_id = null\n",
            "[[connection]]\nuser_id = None\n",
            "[hub]\nlink_grace = 30s\n",
            "[store]\nmax_size = 10GiB\n",
            "[store]\nrecent = 1,000\n",
            "[store]\nrecent = 007\n",
            "[connection.reconnect]\njitter = .5\n",
            "[connection.reconnect]\njitter = 20%\n",
            "[hub]\ndata_dir = /var/lib/watchpost\n",
            "[hub]\ndata_dir = C:\\data\n",
            "[hub]\ndata_dir = $HOME/data\n",
            "[hub]\nlog =\nlog_format = \"json\"\n",
            "[hub]\nlog = # later\n",
            "[[route]]\nsinks = [archive, mail]\n",
            "[[route]]\nsinks = (\"archive\")\n",
            "[[sink]]\nmatch = { severity = high }\n",
            "[hub]\nlog = \"info\" log_format = \"json\"\n",
            "[[connection]]\nurl = 192.168.1.20\n",
        ],
        expect![[r#"
            > [hub]
            > log = info
            watchpost.toml:2:7: the value of `log` is text, and text stands in quotes
              | info | not in quotes
              write `log = "info"`
            > [[connection]]
            > url = http://192.168.1.20:8000
            watchpost.toml:2:7: the value of `url` is text, and text stands in quotes
              | http://192.168.1.20:8000 | not in quotes
              write `url = "http://192.168.1.20:8000"`
            > [[connection]]
            > token = s3cret
            watchpost.toml:2:9: the value of `token` is not in quotes
              | *** | not in quotes
              write it in quotes: `"…"`
            > [[connection]]
            > write_back = yes
            watchpost.toml:2:14: `yes` is neither `true` nor `false`
              | yes | not a value
              write `write_back = true`, or "yes" in quotes where text is meant
            > [[connection]]
            > write_back = True
            watchpost.toml:2:14: `True` is neither `true` nor `false`
              | True | not a value
              write `write_back = true`, or "True" in quotes where text is meant
            > [[connection]]
            > write_back = off
            watchpost.toml:2:14: `off` is neither `true` nor `false`
              | off | not a value
              write `write_back = false`, or "off" in quotes where text is meant
            > [[connection]]
            > user_id = null
            watchpost.toml:2:11: `null` is not a value
              | null | not a value
              remove the line: `user_id` then has its default
            > [[connection]]
            > user_id = None
            watchpost.toml:2:11: `None` is not a value
              | None | not a value
              remove the line: `user_id` then has its default
            > [hub]
            > link_grace = 30s
            watchpost.toml:2:14: the value of `link_grace` is text, and text stands in quotes
              | 30s | not in quotes
              write `link_grace = "30s"`
            > [store]
            > max_size = 10GiB
            watchpost.toml:2:12: the value of `max_size` is text, and text stands in quotes
              | 10GiB | not in quotes
              write `max_size = "10GiB"`
            > [store]
            > recent = 1,000
            watchpost.toml:2:10: `1,000` is not a number as it is written here
              | 1,000 | not a number
              write `recent = 1000`
            > [store]
            > recent = 007
            watchpost.toml:2:10: `007` is not a number as it is written here
              | 007 | not a number
              write `recent = 7`
            > [connection.reconnect]
            > jitter = .5
            watchpost.toml:2:10: `.5` is not a number as it is written here
              | .5 | not a number
              write `jitter = 0.5`
            > [connection.reconnect]
            > jitter = 20%
            watchpost.toml:2:10: `20%` is not a number as it is written here
              | 20% | not a number
              write `jitter = 0.2`
            > [hub]
            > data_dir = /var/lib/watchpost
            watchpost.toml:2:12: the value of `data_dir` is text, and text stands in quotes
              | /var/lib/watchpost | not in quotes
              write `data_dir = "/var/lib/watchpost"`
            > [hub]
            > data_dir = C:\data
            watchpost.toml:2:12: the value of `data_dir` is text, and text stands in quotes
              | C:\data | not in quotes
              write `data_dir = 'C:\data'`
            > [hub]
            > data_dir = $HOME/data
            watchpost.toml:2:12: `$HOME/data` is not expanded: no shell reads this file
              | $HOME/data | a variable
              write the value itself; a secret may be named by its variable, as in `password_env = "NAME"`
            > [hub]
            > log =
            > log_format = "json"
            watchpost.toml:2:1: `log` has no value
              | log = | a value is missing
              write a value, or remove the line for the default
            > [hub]
            > log = # later
            watchpost.toml:2:1: `log` has no value
              | log = # later | a value is missing
              write a value, or remove the line for the default
            > [[route]]
            > sinks = [archive, mail]
            watchpost.toml:2:10: the value of `sinks` is text, and text stands in quotes
              | archive | not in quotes
              write `"archive"`
            > [[route]]
            > sinks = ("archive")
            watchpost.toml:2:9: `("archive")` is not a value
              | ("archive") | not a value
              a list stands in `[ ]`, its elements separated by commas
            > [[sink]]
            > match = { severity = high }
            watchpost.toml:2:22: the value of `match` is text, and text stands in quotes
              | high | not in quotes
              write `"high"`
            > [hub]
            > log = "info" log_format = "json"
            watchpost.toml:2:14: the line goes on after the value of `log`
              | log_format = "json" | this is too much
              write one setting a line
            > [[connection]]
            > url = 192.168.1.20
            watchpost.toml:2:7: the value of `url` is text, and text stands in quotes
              | 192.168.1.20 | not in quotes
              write `url = "192.168.1.20"`
        "#]],
    );
}

#[test]
fn backslashes() {
    table(
        &[
            "[hub]\ndata_dir = \"C:\\Users\\x\"\n",
            "[hub]\ndata_dir = \"C:\\data\"\n",
            "[hub]\nplugin_dirs = [\"C:\\Users\\x\", \"b\"]\n",
            "[[connection]]\ntoken = \"s3cret\\d\"\n",
        ],
        expect![[r#"
            > [hub]
            > data_dir = "C:\Users\x"
            watchpost.toml:2:15: in double quotes a backslash begins an escape, and `\U` here is none
              | \U | not an escape
              write single quotes, in which it is an ordinary character: `data_dir = 'C:\Users\x'`
            > [hub]
            > data_dir = "C:\data"
            watchpost.toml:2:15: in double quotes a backslash begins an escape, and `\d` here is none
              | \d | not an escape
              write single quotes, in which it is an ordinary character: `data_dir = 'C:\data'`
            > [hub]
            > plugin_dirs = ["C:\Users\x", "b"]
            watchpost.toml:2:19: in double quotes a backslash begins an escape, and `\U` here is none
              | \U | not an escape
              write single quotes, in which it is an ordinary character
            > [[connection]]
            > token = "s3cret\d"
            watchpost.toml:2:16: in double quotes a backslash begins an escape, and `\d` here is none
              |  | not an escape
              write single quotes, in which it is an ordinary character, or `\\`
        "#]],
    );
}

#[test]
fn brackets() {
    table(
        &[
            "[[route]]\nsinks = [\"a\", \"b\"\nname = \"x\"\n[hub]\nlog = \"info\"\n",
            "[[route]]\nsinks = [\n  \"a\",\n  \"b\"\n\n[[route]]\nsinks = \"c\"\n",
            "[[route]]\nsinks = [\"a\" \"b\"]\n",
            "[[route]]\nsinks = [\n  \"a\"\n  \"b\"\n]\n",
            "[[route]]\nsinks = [\"a\"\n",
            "[[route]]\nmatch = { severity = \"high\"\nsinks = \"a\"\n",
            "[[route]]\nmatch = { severity = \"high\" kind = \"hub\" }\n",
            "[[route]]\nmatch = { severity: \"high\" }\n",
            "[[sink]\nname = \"a\"\n",
            "[sink]]\nname = \"a\"\n",
            "[hub\nlog = \"info\"\n",
            "[[[sink]]]\nname = \"a\"\n",
            "[hub] log = \"info\"\n",
            "[sink config]\ndir = \"/a\"\n",
            "[]\nlog = \"info\"\n",
        ],
        expect![[r#"
            > [[route]]
            > sinks = ["a", "b"
            > name = "x"
            > [hub]
            > log = "info"
            watchpost.toml:3:1: a comma is missing before this: elements of an array are separated by commas
              | name | a comma is missing before it
              write `, name`
            > [[route]]
            > sinks = [
            >   "a",
            >   "b"
            > 
            > [[route]]
            > sinks = "c"
            watchpost.toml:6:1: a comma is missing before this: elements of an array are separated by commas
              | [[route | a comma is missing before it
              write `, [[route`
            > [[route]]
            > sinks = ["a" "b"]
            watchpost.toml:2:14: a comma is missing before this: elements of an array are separated by commas
              | "b" | a comma is missing before it
              write `, "b"`
            > [[route]]
            > sinks = [
            >   "a"
            >   "b"
            > ]
            watchpost.toml:4:3: a comma is missing before this: elements of an array are separated by commas
              | "b" | a comma is missing before it
              write `, "b"`
            > [[route]]
            > sinks = ["a"
            watchpost.toml:2:9: the array that is opened with `[` is not closed
              | [ | opened here
              write `]` after its last element
            > [[route]]
            > match = { severity = "high"
            > sinks = "a"
            watchpost.toml:3:1: a comma is missing before this: pairs in `{ }` are separated by commas
              | sinks | a comma is missing before it
              write `, sinks`
            > [[route]]
            > match = { severity = "high" kind = "hub" }
            watchpost.toml:2:29: a comma is missing before this: pairs in `{ }` are separated by commas
              | kind | a comma is missing before it
              write `, kind`
            > [[route]]
            > match = { severity: "high" }
            watchpost.toml:2:19: within `{ }` too, `=` stands between a key and its value
              | : | `:` is not `=`
              write `=`
            > [[sink]
            > name = "a"
            watchpost.toml:1:1: 2 opening and 1 closing brackets
              | [[sink] | the brackets do not match
              write `[[sink]]`
            > [sink]]
            > name = "a"
            watchpost.toml:1:1: 1 opening and 2 closing brackets
              | [sink]] | the brackets do not match
              write `[sink]`, or `[[sink]]` for one of several
            > [hub
            > log = "info"
            watchpost.toml:1:1: 1 opening and 0 closing brackets
              | [hub | the brackets do not match
              write `[hub]`
            > [[[sink]]]
            > name = "a"
            watchpost.toml:1:1: a table's name stands in one or two brackets
              | [[[sink]]] | too many
              write `[sink]` or `[[sink]]`
            > [hub] log = "info"
            watchpost.toml:1:7: after `[hub]` its line must end
              | log = "info" | this follows it
              write what follows on lines of its own
            > [sink config]
            > dir = "/a"
            watchpost.toml:1:1: the name of a table is one word, and `config]` follows it
              | [sink config] | here
              write `[sink]`
            > []
            > log = "info"
            watchpost.toml:1:1: this table has no name
              | [] | a name is missing
              write for instance `[hub]` or `[[sink]]`
        "#]],
    );
}

#[test]
fn the_same_twice() {
    table(
        &[
            "[hub]\nlog = \"info\"\n\nlog = \"debug\"\n",
            "[hub]\nlog = \"info\"\n[store]\nrecent = 5\n[hub]\nlink_grace = \"5s\"\n",
            "[[sink]]\nname = \"a\"\n[[sink]]\nname = \"b\"\nplugin = \"x\"\nname = \"c\"\n",
            "[[route]]\nmatch = { kind = \"hub\", kind = \"notice\" }\n",
            "[sink.config]\ndir = \"/a\"\n[[sink]]\nname = \"a\"\n",
            "[[sink]]\nname = \"a\"\n[sink]\nname = \"b\"\n",
            "[sink]\nname = \"a\"\n[[sink]]\nname = \"b\"\n",
            "[[hub]]\nlog = \"info\"\n[hub]\nlog = \"warn\"\n",
            "[[sink]]\nretry.max = \"5m\"\nretry.max = \"6m\"\n",
            "[[sink]]\n[sink.config]\ndir = \"/a\"\n[sink.config]\nkeep_for = \"1d\"\n",
            "[[sink]]\nretry = 5\n[sink.retry]\nmax = \"5m\"\n",
            "[[connection]]\ntoken = \"s3cret\"\ntoken = \"s3cret2\"\n",
        ],
        expect![[r#"
            > [hub]
            > log = "info"
            > 
            > log = "debug"
            watchpost.toml:4:1: `log` is given twice here, first on line 2
              | log | again here
              | log | first here
              remove one of the two: which was meant cannot be known
            > [hub]
            > log = "info"
            > [store]
            > recent = 5
            > [hub]
            > link_grace = "5s"
            watchpost.toml:5:1: the table `[hub]` is given twice, first on line 1
              | [hub] | again here
              | [hub] | first here
              put the keys of both under one `[hub]`
            > [[sink]]
            > name = "a"
            > [[sink]]
            > name = "b"
            > plugin = "x"
            > name = "c"
            watchpost.toml:6:1: `name` is given twice here, first on line 4
              | name | again here
              | name | first here
              remove one of the two: which was meant cannot be known
            > [[route]]
            > match = { kind = "hub", kind = "notice" }
            watchpost.toml:2:25: `kind` is given twice here, first on line 2
              | kind | again here
              | kind | first here
              remove one of the two: which was meant cannot be known
            > [sink.config]
            > dir = "/a"
            > [[sink]]
            > name = "a"
            watchpost.toml:3:1: `[sink.config]` on line 1 stands before the `[[sink]]` that it belongs to
              | [[sink]] | again here
              | sink | first here
              move `[sink.config]` and what is below it behind its `[[sink]]`
            > [[sink]]
            > name = "a"
            > [sink]
            > name = "b"
            watchpost.toml:3:1: `[sink]` here and `[[sink]]` on line 1 are the same table
              | [sink] | again here
              | [[sink]] | first here
              write `[[sink]]` each time: there can be several
            > [sink]
            > name = "a"
            > [[sink]]
            > name = "b"
            watchpost.toml:3:1: `[[sink]]` here and `[sink]` on line 1 are the same table
              | [[sink]] | again here
              | [sink] | first here
              write `[[sink]]` each time if there are several, and `[sink]` once if there is one
            > [[hub]]
            > log = "info"
            > [hub]
            > log = "warn"
            watchpost.toml:3:1: `[hub]` here and `[[hub]]` on line 1 are the same table
              | [hub] | again here
              | [[hub]] | first here
              write `[[hub]]` each time: there can be several
            > [[sink]]
            > retry.max = "5m"
            > retry.max = "6m"
            watchpost.toml:3:7: `max` is given twice here, first on line 2
              | max | again here
              | max | first here
              remove one of the two: which was meant cannot be known
            > [[sink]]
            > [sink.config]
            > dir = "/a"
            > [sink.config]
            > keep_for = "1d"
            watchpost.toml:4:1: the table `[sink.config]` is given twice, first on line 2
              | [sink.config] | again here
              | [sink.config] | first here
              put the keys of both under one `[sink.config]`
            > [[sink]]
            > retry = 5
            > [sink.retry]
            > max = "5m"
            watchpost.toml:3:1: `sink.retry` is given as a value on line 2, and as a table here
              | [sink.retry] | again here
              | 5 | first here
              remove one of the two
            > [[connection]]
            > token = "s3cret"
            > token = "s3cret2"
            watchpost.toml:3:1: `token` is given twice here, first on line 2
              | token | again here
              | token | first here
              remove one of the two: which was meant cannot be known
        "#]],
    );
}

#[test]
fn keys_and_characters() {
    table(
        &[
            "[hub]\nlog\u{a0}= \"info\"\n",
            "[hub]\n\u{200b}log = \"info\"\n",
            "[hub]\nlink grace = \"5s\"\n",
            "[hub]\nlog \"info\"\n",
            "[hub]\nlog\n",
            "[hub]\n= \"info\"\n",
            "[hub]\nl\u{43e}g = \"info\"\n",
            "[hub]\n$log = \"info\"\n",
            "[hub]\n- log = \"info\"\n",
            "log info\n[store]\nrecent = many\n",
        ],
        expect![[r#"
            > [hub]
            > log<U+00A0>= "info"
            watchpost.toml:2:4: there is a no-break space (U+00A0) here, which cannot be seen
              |  | here
              delete it and write a plain space: it often comes from copying out of a web page
            > [hub]
            > <U+200B>log = "info"
            watchpost.toml:2:1: there is a zero-width space (U+200B) here, which cannot be seen
              | <U+200B> | here
              delete it and write a plain space: it often comes from copying out of a web page
            > [hub]
            > link grace = "5s"
            watchpost.toml:2:1: a key is one word, and `link grace` is not
              | link grace | more than one word
              write `link_grace = …`, or put two settings on two lines
            > [hub]
            > log "info"
            watchpost.toml:2:1: `=` is missing after `log`
              | log "info" | `=` is missing
              write `log = "info"`
            > [hub]
            > log
            watchpost.toml:2:1: `log` has no value
              | log | a value is missing
              write `log = …`, or `[log]` for a table
            > [hub]
            > = "info"
            watchpost.toml:2:1: before `=` stands no key
              | = "info" | a key is missing
              write `key = value`
            > [hub]
            > lоg = "info"
            watchpost.toml:2:1: the key `lоg` contains 'о' (U+043E)
              | lоg | not a key
              keys are made of the letters a to z, digits, `_` and `-`
            > [hub]
            > $log = "info"
            watchpost.toml:2:1: the key `$log` contains '$' (U+0024)
              | $log | not a key
              keys are made of the letters a to z, digits, `_` and `-`
            > [hub]
            > - log = "info"
            watchpost.toml:2:1: `-` begins an element of a list in YAML, and not in TOML
              | - log | here
              write `log = …`, and a line `[[…]]` before each element
            > log info
            > [store]
            > recent = many
            watchpost.toml:1:1: `=` is missing after `log`
              | log info | `=` is missing
              write `log = "info"`
        "#]],
    );
}
