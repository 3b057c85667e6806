//! Routes are tried without a hub: one alert by `watchpost explain`, a table of them by `watchpost routes test`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use expect_test::expect;
use serde_json::Value;
use watchpost_testkit::{HubSetup, artefacts};

const SITE: &str = r#"
[hub]
timezone = "Europe/Berlin"

[[connection]]
name = "shop"
url = "http://127.0.0.1:1"
user_id = "u"
token = "t"

[[camera]]
name = "Back door"
area = "Yard"
match = { stream = "3544c7ab*" }

[[camera]]
name = "Till"
match = { connection = "shop" }

[[schedule]]
name = "night"
open = "22:00-06:00"

[[sink]]
name = "siren"
plugin = "gpio"

[[sink]]
name = "mail"
plugin = "email"

[[route]]
name = "burglar"
match = { camera = "Back*", severity = "medium", schedule = "night" }
sinks = "siren"

[[route]]
name = "all"
sinks = "mail"
delay = "30s"
"#;

const CASES: &str = r#"# What this site expects.
[[case]]
name = "a burglar"
alert = { camera = "Back door", score = -2.5, at = "2026-12-24 23:10" }
sinks = ["mail", "siren"]

[[case]]
name = "a delivery at noon"
alert = { camera = "Back door", score = -2.5, at = "2026-12-24 12:10" }
sinks = ["mail"]

[[case]]
alert = { kind = "hub", status = "disk_low" }
sinks = ["mail"]
"#;

/// The sites that the documentation shows go where their tables say.
#[test]
fn the_sites_in_the_documentation_pass_their_tables() -> Result<()> {
    let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/sites");
    for (name, cases) in [("shop", 8), ("warehouse", 7), ("home", 6)] {
        let output = Command::new(artefacts()?.watchpost()?)
            .arg("--config")
            .arg(sites.join(format!("{name}.toml")))
            .args(["routes", "test"])
            .arg(sites.join(format!("{name}.cases.toml")))
            .output()?;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        let passed = format!("ok ({cases} cases)");
        ensure!(
            output.status.success() && said.contains(&passed),
            "{name}:\n{said}"
        );
    }
    Ok(())
}

/// The exit code and what was said on standard output and standard error. Places are those in the folder.
fn say(setup: &HubSetup, args: &[&str]) -> Result<(Option<i32>, String)> {
    fs::write(setup.config_path(), SITE)?;
    let output = Command::new(artefacts()?.watchpost()?)
        .arg("--config")
        .arg(setup.config_path())
        .args(args)
        .output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    let folder = format!("{}/", setup.dir().display());
    Ok((output.status.code(), said.replace(&folder, "")))
}

/// Tries a table; returns what `say` does.
fn try_cases(setup: &HubSetup, cases: &str) -> Result<(Option<i32>, String)> {
    let file = setup.dir().join("cases.toml");
    fs::write(&file, cases)?;
    say(setup, &["routes", "test", &file.display().to_string()])
}

#[test]
fn an_alert_that_has_not_happened_is_explained() -> Result<()> {
    let setup = HubSetup::new()?;
    let (code, said) = say(
        &setup,
        &[
            "explain",
            "--camera",
            "Back door",
            "--score",
            "-2.5",
            "--at",
            "2026-12-24 21:59:59",
        ],
    )?;
    assert_eq!(code, Some(0), "{said}");
    expect![[r#"
        Anomaly at Back door, severity medium, at 2026-12-24 21:59:59

        mail: would be sent, at 2026-12-24 22:00:29
          because route all takes it

        siren: would not be sent
          because route burglar asks for another time
    "#]]
    .assert_eq(&said);
    let json = [
        "explain",
        "--camera",
        "Back door",
        "--score",
        "-2.5",
        "--at",
        "2026-12-24 22:00",
        "--json",
    ];
    let (_, said) = say(&setup, &json)?;
    let decision: Value = serde_json::from_str(&said)?;
    assert_eq!(decision["sinks"][0]["sink"], "siren");
    assert_eq!(decision["sinks"][0]["reason"]["code"], "matched");
    assert_eq!(decision["alert"]["occurred_at"], "2026-12-24T21:00:00.000Z");
    let (code, said) = say(&setup, &["explain", "--camera", "Back dor"])?;
    assert_eq!(
        (code, said.trim()),
        (
            Some(1),
            "watchpost: there is no camera `Back dor`; did you mean `Back door`?"
        )
    );
    // Which alert, or what it would be like: one of the two.
    assert_eq!(say(&setup, &["explain"])?.0, Some(2));
    assert_eq!(say(&setup, &["explain", "7", "--score", "-1"])?.0, Some(2));
    Ok(())
}

#[test]
fn a_table_of_cases_is_tried_and_what_goes_elsewhere_is_shown_with_the_reason() -> Result<()> {
    let setup = HubSetup::new()?;
    let (code, said) = try_cases(&setup, CASES)?;
    assert_eq!((code, said.trim()), (Some(0), "cases.toml: ok (3 cases)"));

    let wrong = CASES
        .replace("23:10", "21:10")
        .replace("[\"mail\"]", "[\"siren\"]");
    let (code, said) = try_cases(&setup, &wrong)?;
    assert_eq!(code, Some(1), "{said}");
    expect![[r#"
        cases.toml:2: a burglar
          expected  mail, siren
          actual    mail
          - siren does not get it: route burglar asks for another time
        cases.toml:7: a delivery at noon
          expected  siren
          actual    mail
          + mail gets it: route all takes it
          - siren does not get it: route burglar asks for another time
        cases.toml:12: case 3
          expected  siren
          actual    mail
          + mail gets it: it is an internal event, and the sink has `events = true`
          - siren does not get it: route burglar asks for another kind
        watchpost: 3 of 3 cases went elsewhere
    "#]]
    .assert_eq(&said);
    for (from, to, expected) in [
        (
            "Back door",
            "Back dor",
            "watchpost: cases.toml:2: there is no camera `Back dor`; did you mean `Back door`?",
        ),
        (
            "\"siren\"",
            "\"sirens\"",
            "watchpost: cases.toml:2: there is no sink `sirens`; did you mean `siren`?",
        ),
        ("score", "scor", "watchpost: cases.toml:4: unknown field `scor`"),
        (
            "23:10",
            "25:10",
            "watchpost: cases.toml:2: `2026-12-24 25:10` is not a time such as `2026-12-24 23:10`",
        ),
    ] {
        let (code, said) = try_cases(&setup, &CASES.replacen(from, to, 1))?;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.starts_with(expected), "{said}");
    }
    Ok(())
}
