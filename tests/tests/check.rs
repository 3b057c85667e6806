//! `watchpost check` with the bundled plugins: mistakes in `[sink.config]`, and what keeps a sink from its work.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use watchpost_testkit::{HubSetup, artefacts, hostile_plugin};

/// Checks a configuration of these sinks. Returns the exit code and what was said, in one line.
fn check(setup: &HubSetup, sinks: &str) -> Result<(Option<i32>, String)> {
    let data = setup.data_dir();
    let config = format!(
        "[hub]\ndata_dir = {data:?}\nplugin_dirs = [{:?}]\n[[connection]]\nname = \"shop\"\n\
         url = \"http://127.0.0.1:1\"\nuser_id = \"u\"\ntoken = \"t\"\n{sinks}",
        artefacts()?.plugin_dir()?,
    );
    fs::write(setup.config_path(), config)?;
    fs::set_permissions(setup.config_path(), fs::Permissions::from_mode(0o600))?;
    let output = Command::new(artefacts()?.watchpost()?)
        .args(["check", "--config"])
        .arg(setup.config_path())
        .output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    let words: Vec<&str> = said.split_whitespace().filter(|word| *word != "│").collect();
    Ok((output.status.code(), words.join(" ")))
}

fn sink(name: &str, plugin: &str, more: &str) -> String {
    format!("[[sink]]\nname = \"{name}\"\nplugin = \"{plugin}\"\n{more}")
}

const EMAIL: &str = "[sink.sandbox]\nconnect = [587, 465]\n[sink.config]\nserver = \"mail.example\"\nport = 587\nfrom = \"a@b.example\"\n";
const GPIO: &str =
    "[sink.sandbox]\nwrite = [\"/dev/null\"]\n[sink.config]\nchip = \"/dev/null\"\nline = 17\n";

/// Each mistake with what is said of it.
fn mistakes(dir: &Path) -> Vec<(String, Vec<String>)> {
    let at = |name: &str| dir.join(name).display().to_string();
    let email = |more: &str| sink("mail", "email", &format!("{EMAIL}{more}"));
    let gpio = |more: &str| sink("siren", "gpio", &format!("{GPIO}{more}"));
    let exec = |command: &str| {
        let more = format!(
            "[sink.sandbox]\nexec = true\nread = [{dir:?}]\n[sink.config]\ncommand = [\"{command}\"]\n"
        );
        sink("lamp", "exec", &more)
    };
    let archive = |name: &str, dir: &str| {
        sink(
            name,
            "archive",
            &format!("[sink.sandbox]\nwrite = [{dir:?}]\n[sink.config]\ndir = \"{dir}\"\n"),
        )
    };
    let hook = |more: &str| {
        let more =
            format!("[sink.sandbox]\nconnect = [443]\n[sink.config]\nurl = \"https://h.example\"\n{more}");
        sink("hook", "webhook", &more)
    };
    let to = "to = [\"c@d.example\"]\n";
    let (common, dotted) = (at("common"), at("x/../common/"));
    let rows: Vec<(String, &[&str])> = vec![
        (
            email("tto = [\"c@d.example\"]\n"),
            &[
                "unknown key `tto` in [sink.config] of `mail`",
                "did you mean `to`?",
            ],
        ),
        (
            email("to = \"c@d.example\"\n"),
            &[
                "`to` in [sink.config] of `mail` must be an array",
                "write [\"c@d.example\"]",
            ],
        ),
        (
            email(&format!("{to}security = \"startls\"\n")),
            &[
                "`security` in [sink.config] of `mail` cannot be `startls`",
                "did you mean \"starttls\"?",
            ],
        ),
        (
            email(&format!("{to}login = \"md5\"\n")),
            &["cannot be `md5`", "expected `plain`, `login` or `xoauth2`"],
        ),
        (
            email(&format!("{to}security = \"tls\"\n")),
            &["`security` in [sink.config] of `mail`: servers begin in the clear on port 587"],
        ),
        (
            email(to).replace("port = 587", "port = \"587\""),
            &[
                "`port` in [sink.config] of `mail` must be a whole number",
                "write it without quotes",
            ],
        ),
        (
            email(to).replace("port = 587\n", ""),
            &["[sink.config] of `mail` lacks `port`", "`port`: Its port"],
        ),
        (
            email(to).replace("mail.example\"", "mail.example:587\""),
            &["has the port in it; write server = \"mail.example\" and port = 587"],
        ),
        (
            email(&format!("{to}subject = \"{{{{ place }}}}\"\n")),
            &["there is no `place` in it", "(line 1, column 4)"],
        ),
        (
            email(&format!(
                "{to}html = \"\"\"<p>\n{{{{ alert.camrea.id }}}}</p>\"\"\"\n"
            )),
            &[
                "there is no `alert.camrea.id`; `alert` can have about, also_over, area, camera, ",
                "(line 2, column 10)",
            ],
        ),
        (
            email(&format!("{to}text = \"{{{{ alert.details.score | round }}}}\"\n")),
            &["it fails with an anomaly without a score"],
        ),
        (
            hook("body = \"template\"\ntemplate = '{\"text\": \"{{ title }}\"}'\n"),
            &["of an alert of hostile texts it makes no JSON"],
        ),
        (
            email(&format!("{to}max_age = \"5m\"\n")),
            &[
                "unknown key `max_age`",
                "belongs in [[sink]]: write it above the line `[sink.config]`",
            ],
        ),
        (gpio("pattern = \"10s\"\n"), &["`10s` is neither like `on 10s`"]),
        (
            gpio("pattern = \"on 40s\"\n"),
            &[
                "`pattern` in [sink.config] of `siren` takes 40s",
                "write `timeout = \"42s\"`",
            ],
        ),
        (
            gpio("pattern = \"on 1s\"\nbias = \"up\"\n"),
            &["`bias` in [sink.config] of `siren` cannot be `up`", "`pull_up`"],
        ),
        (
            gpio("pattern = \"on 1s\"\n").replace("17", "true"),
            &["`line` in [sink.config] of `siren` must be a whole number or a string"],
        ),
        (
            exec(&at("missing")),
            &["sink lamp: the program", "cannot be started: No such file"],
        ),
        (exec(&at("plain")), &["is not executable", "run `chmod +x"]),
        (exec(&at("common")), &["is a folder and no program"]),
        (
            archive("one", &common) + &archive("two", &dotted),
            &[
                "`dir` in [sink.config] of `two` is that of sink `one` too",
                "watchpost.toml:",
            ],
        ),
        (
            hook("preset = \"ntyf\"\n"),
            &[
                "`preset` in [sink.config] of `hook` cannot be `ntyf`",
                "did you mean \"ntfy\"?",
            ],
        ),
        (
            hook("token_file = \"/nonexistent/token\"\n"),
            &["`token_file` in [sink.config] of `hook` names /nonexistent/token, which does not exist"],
        ),
        (
            hook("url2 = 5\n").replace("connect = [443]", ""),
            &["unknown key `url2`"],
        ),
        (
            hook("").replace("connect = [443]", ""),
            &[
                "needs to connect to port 443, which is not granted",
                "`watchpost sink grant hook`",
            ],
        ),
        (
            sink("x", "libwatchpost_archive.so", ""),
            &["write `plugin = \"archive\"`"],
        ),
        (
            sink("x", "siren", ""),
            &["there is no plugin `siren`", "There are archive"],
        ),
    ];
    rows.into_iter()
        .map(|(config, said)| (config, said.iter().map(|words| (*words).to_owned()).collect()))
        .collect()
}

#[test]
fn mistakes_with_the_bundled_plugins_are_explained() -> Result<()> {
    let setup = HubSetup::new()?;
    fs::create_dir(setup.dir().join("common"))?;
    fs::create_dir(setup.dir().join("x"))?;
    fs::write(setup.dir().join("plain"), "")?;
    for (config, expected) in mistakes(setup.dir()) {
        let (code, said) = check(&setup, &config)?;
        for words in expected {
            ensure!(
                said.contains(&words),
                "{config}\nshould say: {words}\nand says: {said}"
            );
        }
        ensure!(
            code == Some(3) && said.contains("watchpost.toml:"),
            "{config}\n{code:?} {said}"
        );
    }
    Ok(())
}

/// It is followed by nobody, in no process: there is not enough time in the world.
#[test]
fn a_schema_that_grows_without_end_is_the_plugins_fault() -> Result<()> {
    let plugin = hostile_plugin("bomb")?.display().to_string();
    let (code, said) = check(&HubSetup::new()?, &sink("bomb", &plugin, ""))?;
    ensure!(code == Some(3), "{code:?}: {said}");
    for words in [
        "plugin's own schema",
        "more than 100000 parts",
        "report it to its author",
    ] {
        ensure!(said.contains(words), "{said}");
    }
    Ok(())
}

#[test]
fn what_is_right_passes_in_one_line_a_sink() -> Result<()> {
    let setup = HubSetup::new()?;
    let dir = setup.data_dir().join("archive");
    let more = format!("[sink.sandbox]\nwrite = [{dir:?}]\n[sink.config]\ndir = {dir:?}\n");
    let (code, said) = check(&setup, &sink("archive", "archive", &more))?;
    ensure!(code == Some(0), "{said}");
    ensure!(
        said.starts_with("sink archive: Archive ") && said.ends_with("ok (1 connection, 1 sink)"),
        "{said}"
    );
    Ok(())
}
