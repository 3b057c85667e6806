//! Mistakes in `[sink.config]`, by the schema that a plugin describes it with.

use expect_test::expect;
use serde_json::{Value, json};

use crate::site::{CONNECTION, Site};

/// As schemars makes it of a plugin's types.
fn schema() -> Value {
    json!({
        "title": "Config",
        "type": "object",
        "properties": {
            "server": { "type": "string", "description": "The mail server, by name or address. As `\"smtp.example.com\"`." },
            "port": { "type": "integer", "format": "uint16", "minimum": 0, "maximum": 65535, "description": "Its port." },
            "security": { "$ref": "#/$defs/Security", "default": "starttls", "description": "How the connection is encrypted." },
            "login": { "anyOf": [{ "$ref": "#/$defs/Mechanism" }, { "type": "null" }], "description": "How to log in." },
            "to": { "type": "array", "items": { "type": "string" }, "default": [], "description": "Who the mail is for." },
            "password": { "type": ["string", "null"] },
            "timeout": { "type": ["string", "null"], "description": "How long the server may take, for instance `\"10s\"`." },
            "line": { "anyOf": [{ "type": "integer", "format": "uint32", "minimum": 0 }, { "type": "string" }], "description": "By number or name." },
            "pattern": { "type": "string", "pattern": "^on .+$", "description": "What it does: `\"on 10s\"`." },
            "command": { "type": "array", "items": { "type": "string" }, "minItems": 1, "description": "The program." },
            "codes": { "type": "array", "items": { "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255 } },
            "volume": { "type": "number", "format": "float", "minimum": 0.0, "maximum": 1.0 },
            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
            "home": { "anyOf": [{ "$ref": "#/$defs/Home" }, { "type": "null" }] },
            "debug": { "type": "boolean", "default": false }
        },
        "required": ["server", "port"],
        "additionalProperties": false,
        "$defs": {
            "Security": { "oneOf": [
                { "type": "string", "const": "starttls", "description": "It begins in the clear." },
                { "type": "string", "const": "tls", "description": "Encrypted from the first byte." },
                { "type": "string", "const": "none", "description": "Not at all." }
            ] },
            "Mechanism": { "type": "string", "enum": ["plain", "login"] },
            "Home": {
                "type": "object",
                "properties": { "prefix": { "type": "string" }, "site": { "type": "string" } },
                "required": ["site"],
                "additionalProperties": false
            }
        }
    })
}

#[test]
fn a_plugins_keys_and_values() {
    let right = "server = \"s\"\nport = 25\n";
    let cases = [
        "server = \"s\"\nport = 25\n",
        "",
        "server = \"s\"\n",
        "servr = \"s\"\nport = 25\n",
        "host = \"s\"\nport = 25\n",
        "server = \"s\"\nport = \"587\"\n",
        "server = \"s\"\nport = 70000\n",
        "server = \"s\"\nport = 25.5\n",
        "server = 5\nport = 25\n",
    ];
    let more = [
        "security = \"startls\"\n",
        "security = \"ssl\"\n",
        "security = true\n",
        "login = \"xoauth\"\n",
        "to = \"a@b.example\"\n",
        "to = \"a@b.example, c@d.example\"\n",
        "to = [5]\n",
        "password = 12345\n",
        "password = [\"s3cret\"]\n",
        "timeout = 10\n",
        "in_flight = 5\n",
        "max_age = \"5m\"\n",
        "prefix = \"x\"\n",
        "line = true\n",
        "pattern = \"10s\"\n",
        "command = []\n",
        "codes = [0, 300]\n",
        "codes = \"0\"\n",
        "volume = 2\n",
        "volume = \"0.5\"\n",
        "headers = { a = 1 }\n",
        "home = { prefx = \"x\" }\n",
        "home = \"x\"\n",
        "debug = \"yes\"\n",
        "[sink.config.hom]\nsite = \"x\"\n",
        "count = 99999999999999999999\n",
    ];
    let all = cases.iter().map(|case| (*case).to_owned());
    let all = all.chain(more.iter().map(|case| format!("{right}{case}")));
    let mut shown = String::new();
    for case in all {
        let text =
            format!("{CONNECTION}[[sink]]\nname = \"mail\"\nplugin = \"email\"\n[sink.config]\n{case}");
        let site = Site::new(&text);
        let found = match site.load() {
            Ok(loaded) => site.brief(&loaded.check_sink_config(0, &schema())),
            Err(errors) => site.brief(errors.errors()),
        };
        assert!(!found.contains("s3cret"), "a secret is shown:\n{found}");
        let case = case.replace(right, "").trim_end().replace('\n', "\n> ");
        shown += &format!("> {case}\n{found}");
    }
    expect![[r#"
        > 
        > 
        watchpost.toml:9:1: [sink.config] of `mail` lacks `port` and `server`
          | [sink.config] | in here
          `port`: Its port
          `server`: The mail server, by name or address
        > server = "s"
        watchpost.toml:9:1: [sink.config] of `mail` lacks `port`
          | [sink.config] | in here
          `port`: Its port
        > servr = "s"
        > port = 25
        watchpost.toml:10:1: unknown key `servr` in [sink.config] of `mail`
          | servr | not a key here
          did you mean `server`?
        > host = "s"
        > port = 25
        watchpost.toml:10:1: unknown key `host` in [sink.config] of `mail`
          | host | not a key here
          did you mean `server`?
        > server = "s"
        > port = "587"
        watchpost.toml:11:8: `port` in [sink.config] of `mail` must be a whole number, and is a string
          | "587" | a string
          write it without quotes
        > server = "s"
        > port = 70000
        watchpost.toml:11:8: `port` in [sink.config] of `mail` cannot be 70000
          | 70000 | out of range
          expected 0 to 65535
        > server = "s"
        > port = 25.5
        watchpost.toml:11:8: `port` in [sink.config] of `mail` must be a whole number, and is a number with a fraction
          | 25.5 | a number with a fraction
        > server = 5
        > port = 25
        watchpost.toml:10:10: `server` in [sink.config] of `mail` must be a string in quotes, and is an integer
          | 5 | an integer
          write "5"; The mail server, by name or address
        > security = "startls"
        watchpost.toml:12:12: `security` in [sink.config] of `mail` cannot be `startls`
          | "startls" | not one of its words
          did you mean "starttls"? It is `starttls`, `tls` or `none`
        > security = "ssl"
        watchpost.toml:12:12: `security` in [sink.config] of `mail` cannot be `ssl`
          | "ssl" | not one of its words
          expected `starttls`, `tls` or `none`
        > security = true
        watchpost.toml:12:12: `security` in [sink.config] of `mail` must be `starttls`, `tls` or `none`, and is a boolean
          | true | a boolean
        > login = "xoauth"
        watchpost.toml:12:9: `login` in [sink.config] of `mail` cannot be `xoauth`
          | "xoauth" | not one of its words
          expected `plain` or `login`
        > to = "a@b.example"
        watchpost.toml:12:6: `to` in [sink.config] of `mail` must be an array, such as ["a", "b"], and is a string
          | "a@b.example" | a string
          write ["a@b.example"]
        > to = "a@b.example, c@d.example"
        watchpost.toml:12:6: `to` in [sink.config] of `mail` must be an array, such as ["a", "b"], and is a string
          | "a@b.example, c@d.example" | a string
          write ["a@b.example", "c@d.example"]
        > to = [5]
        watchpost.toml:12:7: `to` in [sink.config] of `mail` must be a string in quotes, and is an integer
          | 5 | an integer
          write "5"
        > password = 12345
        watchpost.toml:12:12: `password` in [sink.config] of `mail` must be a string in quotes, and is an integer
          | *** | an integer
          write it in quotes
        > password = ["s3cret"]
        watchpost.toml:12:12: `password` in [sink.config] of `mail` must be a string in quotes, and is an array
          | *** | an array
          write it without `[ ]`: there is only one
        > timeout = 10
        watchpost.toml:12:11: `timeout` in [sink.config] of `mail` must be a string in quotes, and is an integer
          | 10 | an integer
          write "10"; How long the server may take, for instance `"10s"`
        > in_flight = 5
        watchpost.toml:12:1: unknown key `in_flight` in [sink.config] of `mail`
          | in_flight | not a key here
          `in_flight` belongs in [[sink]]: write it above the line `[sink.config]`
        > max_age = "5m"
        watchpost.toml:12:1: unknown key `max_age` in [sink.config] of `mail`
          | max_age | not a key here
          `max_age` belongs in [[sink]]: write it above the line `[sink.config]`
        > prefix = "x"
        watchpost.toml:12:1: unknown key `prefix` in [sink.config] of `mail`
          | prefix | not a key here
          `prefix` belongs in [sink.config.home]: write it below a line `[sink.config.home]`
        > line = true
        watchpost.toml:12:8: `line` in [sink.config] of `mail` must be a whole number or a string in quotes, and is a boolean
          | true | a boolean
        > pattern = "10s"
        > command = []
        > codes = [0, 300]
        watchpost.toml:12:13: `codes` in [sink.config] of `mail` cannot be 300
          | 300 | out of range
          expected 0 to 255
        > codes = "0"
        watchpost.toml:12:9: `codes` in [sink.config] of `mail` must be an array of numbers, such as [1, 2], and is a string
          | "0" | a string
          write [0]
        > volume = 2
        watchpost.toml:12:10: `volume` in [sink.config] of `mail` cannot be 2
          | 2 | out of range
          expected 0 to 1
        > volume = "0.5"
        watchpost.toml:12:10: `volume` in [sink.config] of `mail` must be a number, and is a string
          | "0.5" | a string
          write it without quotes
        > headers = { a = 1 }
        watchpost.toml:12:17: `a` in [sink.config.headers] of `mail` must be a string in quotes, and is an integer
          | 1 | an integer
          write "1"
        > home = { prefx = "x" }
        watchpost.toml:12:8: [sink.config.home] of `mail` lacks `site`
          | { prefx = "x" } | in here
          write `site = …`
        watchpost.toml:12:10: unknown key `prefx` in [sink.config.home] of `mail`
          | prefx | not a key here
          did you mean `prefix`?
        > home = "x"
        watchpost.toml:12:8: `home` in [sink.config] of `mail` must be a table, and is a string
          | "x" | a string
          write a line `[sink.config.home]`, and its keys below it
        > debug = "yes"
        watchpost.toml:12:9: `debug` in [sink.config] of `mail` must be `true` or `false`, and is a string
          | "yes" | a string
          write `true`
        > [sink.config.hom]
        > site = "x"
        watchpost.toml:12:14: unknown key `hom` in [sink.config] of `mail`
          | hom | not a key here
          did you mean `home`?
        > count = 99999999999999999999
        watchpost.toml:12:9: this number cannot be handed to a plugin
          | 99999999999999999999 | here
          expected a finite number, if whole of at most 64 bits
    "#]].assert_eq(&shown);
}

#[test]
fn without_a_config_table_the_sink_is_underlined() {
    let site = Site::new(&format!(
        "{CONNECTION}[[sink]]\nname = \"mail\"\nplugin = \"email\"\n"
    ));
    expect![[r#"
            watchpost.toml:6:1: [sink.config] of `mail` lacks `port` and `server`
              | [[sink]] | in here
              `port`: Its port
              `server`: The mail server, by name or address
    "#]]
    .assert_eq(&site.brief(&site.loaded().check_sink_config(0, &schema())));
}

#[test]
fn what_a_validator_finds_is_said_at_its_place() {
    let site = Site::new(&format!(
        "{CONNECTION}[[sink]]\nname = \"mail\"\nplugin = \"email\"\n[sink.config]\nserver = \"s\"\nport = 25\n\
         pattern = \"10s\"\npassword = \"s3cret\"\n"
    ));
    let loaded = site.loaded();
    let found = [
        loaded.schema_violation(0, &schema(), "/pattern", "cannot be `10s`"),
        loaded.schema_violation(0, &schema(), "/password", "cannot be `s3cret`"),
        loaded.schema_violation(0, &schema(), "", "has s3cret in it"),
    ];
    expect![[r#"
        watchpost.toml:12:11: `pattern` in [sink.config] of `mail` cannot be `10s`
          | "10s" | here
          What it does: `"on 10s"`.
        watchpost.toml:13:12: `password` in [sink.config] of `mail` is not as the plugin wants it
          | *** | here
        watchpost.toml:9:1: [sink.config] of `mail` has *** in it
          | [sink.config] | here
    "#]]
    .assert_eq(&site.brief(&found));
}
