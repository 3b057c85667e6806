//! The configuration is reloaded while alerts come in: only what is changed restarts, nothing is lost and nothing comes
//! twice. A configuration with a mistake changes nothing.

mod load;
mod rig;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, Hub, HubSetup, PATIENCE, Signal, Toml, artefacts, count, eventually, hostile_plugin, toml,
};

use self::rig::{check_one_connection, config, once, pid, recorded, recorder, running, send, setup, sink};

/// Runs a command for the hub of the configuration file, whatever stands in that.
fn by_file(hub: &Hub, command: &[&str]) -> Result<Output> {
    let mut program = Command::new(artefacts()?.watchpost()?);
    let config = hub.setup().config_path();
    Ok(program.args(command).arg("--config").arg(config).output()?)
}

/// Runs `watchpost reload`.
fn reload(hub: &Hub) -> Result<Output> {
    let mut program = Command::new(artefacts()?.watchpost()?);
    program.args(["reload", "--data-dir"]).arg(hub.setup().data_dir());
    Ok(program.output()?)
}

/// Whether a process has the file loaded that lies at the path now.
fn has_loaded(pid: u64, path: &Path) -> Result<bool> {
    let inode = fs::metadata(path)?.ino().to_string();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let loaded = |line: &str| line.split_whitespace().nth(4) == Some(inode.as_str());
    Ok(maps.lines().any(loaded))
}

#[test]
fn a_plugin_that_was_replaced_restarts_its_sink_and_nothing_else() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let setup = setup(&backend)?;
    let plugin = hostile_plugin("recorder")?;
    let [one, two] = ["one", "two"].map(|name| setup.dir().join(format!("{name}.so")));
    for file in [&one, &two] {
        fs::copy(&plugin, file)?;
    }
    let sinks = vec![
        recorder(&setup, "one", &one, 16),
        recorder(&setup, "two", &two, 16),
    ];
    let config = config(&setup, "info", sinks, &["one", "two"]);
    let hub = setup.configured(config).start()?;
    let mut before = running(&hub, &["one", "two"])?;
    send(&backend, 20)?;
    for how in ["renamed", "written over"] {
        match how {
            "renamed" => {
                let new = hub.setup().dir().join("new.so");
                fs::copy(&plugin, &new)?;
                fs::rename(&new, &one)?;
            }
            _ => {
                // Not truncated: a process that has it loaded would end of that.
                let bytes = fs::read(&plugin)?;
                fs::OpenOptions::new().write(true).open(&one)?.write_all(&bytes)?;
            }
        }
        let said = hub.ask("reload", &[])?;
        ensure!(
            said.starts_with("sink one: starts again, once") && said.lines().count() == 2,
            "{how}: {said}"
        );
        let after = hub.until("the sink with another process", PATIENCE, |status| {
            pid(status, "one").is_some() && pid(status, "one") != pid(&before, "one")
        })?;
        assert_eq!(pid(&after, "two"), pid(&before, "two"), "{how}");
        ensure!(
            has_loaded(pid(&after, "one").context("a process")?, &one)?,
            "{how}"
        );
        send(&backend, 20)?;
        before = after;
    }
    let said = hub.ask("reload", &[])?;
    ensure!(said.starts_with("nothing is changed\n"), "{said}");
    hub.until("everything delivered", PATIENCE, |status| {
        ["one", "two"]
            .iter()
            .all(|name| sink(status, name).is_some_and(|sink| count(&sink["deliveries"], "delivered") == 60))
    })?;
    assert_eq!((once(&hub, "one")?.len(), once(&hub, "two")?.len()), (60, 60));
    check_one_connection(&backend)
}

#[test]
fn a_configuration_with_a_mistake_changes_nothing_and_says_why() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let setup = setup(&backend)?;
    let plugin = hostile_plugin("recorder")?;
    let good = config(
        &setup,
        "info",
        vec![recorder(&setup, "file", &plugin, 16)],
        &["file"],
    );
    let mut hub = setup.configured(good.clone()).start()?;
    let before = running(&hub, &["file"])?;
    let text = good.to_string();
    let elsewhere = hub.setup().dir().join("elsewhere").display().to_string();
    let data_dir = hub.setup().data_dir().display().to_string();
    // A second change, which would be seen, stands in each.
    let wrong = [
        (text.replace("[hub]", "[hub"), "brackets"),
        (text.replace("sinks = [\"file\"]", "sinks = [\"fiel\"]"), "fiel"),
        (text.replace("in_flight = 16", "in_flight = 0"), "in_flight"),
        (
            text.replace("recorder.so", "recorded.so"),
            "there is no such file",
        ),
        (text.replace("log = \"info\"", "log = \"loud\""), "loud"),
        (
            text.replace(
                &format!("data_dir = \"{data_dir}\""),
                &format!("data_dir = \"{elsewhere}\""),
            ),
            "cannot be changed while the hub runs",
        ),
    ];
    let path = hub.setup().config_path();
    for (text, expected) in wrong {
        let text = text.replace("name = \"file\"", "name = \"file\"\nmax_age = \"1ms\"");
        fs::write(&path, &text)?;
        // A hub of another data directory is not this one.
        let said = if expected.contains("while the hub runs") {
            reload(&hub)?
        } else {
            by_file(&hub, &["reload"])?
        };
        let words = String::from_utf8_lossy(&said.stderr).replace("\n  │ ", " ");
        assert_eq!(said.status.code(), Some(3), "{expected}: {words}");
        ensure!(words.contains(expected), "nothing like `{expected}`: {words}");
        ensure!(words.contains("watchpost.toml:"), "no place: {words}");
        let status = hub.status()?;
        ensure!(
            status["configuration"]["refused"]["why"].is_string(),
            "{status:#}"
        );
        ensure!(status["configuration"]["outdated"] == true, "{status:#}");
        assert_eq!(pid(&status, "file"), pid(&before, "file"));
        send(&backend, 1)?;
    }
    // A signal has no answer: the log says it.
    fs::write(&path, text.replace("[hub]", "[hub"))?;
    hub.process().signal(Signal::HUP)?;
    hub.process().line("refusal in the log", PATIENCE, |line| {
        (line.contains("got SIGHUP")).then_some(())
    })?;
    let refusal = "the configuration was not reloaded, and the hub goes on with the one it has";
    eventually("the refusal in the log", PATIENCE, || {
        let log = hub.process().log();
        let refusals = log.lines().filter(|line| line.contains(refusal)).count();
        if refusals == 7 { Ok(()) } else { Err(log) }
    })?;
    // Who has only the file reaches the hub all the same, and learns how.
    let status = by_file(&hub, &["status"])?;
    let (out, said) = (
        String::from_utf8(status.stdout)?,
        String::from_utf8(status.stderr)?,
    );
    ensure!(out.contains("was refused"), "the status says so: {out}{said}");
    ensure!(said.contains("asking the hub that runs by it in"), "{said}");
    let refused = by_file(&hub, &["reload", "--json"])?;
    let problem: Value = serde_json::from_slice(&refused.stdout)?;
    ensure!(problem["reports"][0].is_string(), "{problem:#}");
    send(&backend, 1)?;

    hub.rewrite(&good)?;
    hub.process().signal(Signal::HUP)?;
    let status = hub.until("the reload by a signal", PATIENCE, |status| {
        let configuration = &status["configuration"];
        configuration["refused"].is_null() && configuration["outdated"] == false
    })?;
    assert_eq!(pid(&status, "file"), pid(&before, "file"));
    hub.until("everything delivered", PATIENCE, |status| {
        sink(status, "file").is_some_and(|sink| count(&sink["deliveries"], "delivered") == 7)
    })?;
    assert_eq!(once(&hub, "file")?.len(), 7);
    check_one_connection(&backend)
}

#[test]
fn what_waits_for_a_removed_sink_is_kept_until_it_is_there_again_or_dropped() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let setup = setup(&backend)?;
    let plugin = hostile_plugin("recorder")?;
    let work = |setup: &HubSetup| {
        ["mail", "siren"]
            .map(|name| recorder(setup, name, &plugin, 16))
            .to_vec()
    };
    // Neither can work yet: the files would be in a folder that is not there.
    let broken = work(&setup).into_iter().map(|mut sink| {
        sink["config"]["file"] = Toml::from("/nowhere/record");
        sink
    });
    let config_of = |setup: &HubSetup, sinks: Vec<Toml>, route: &[&str]| config(setup, "info", sinks, route);
    let first = config_of(&setup, broken.collect(), &["mail", "siren"]);
    let without = config_of(&setup, Vec::new(), &[]);
    let mut without = without;
    without.remove("route");
    let mut hub = setup.configured(first).start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    send(&backend, 5)?;
    hub.rewrite(&without)?;
    let said = hub.ask("reload", &[])?;
    ensure!(
        said.contains("sink siren: ends, once it has finished what it has begun; what waits for it is kept"),
        "{said}"
    );
    let queues = json!([{"sink": "mail", "pending": 5}, {"sink": "siren", "pending": 5}]);
    let kept = |status: &Value| status["queues"] == queues && status["sinks"] == json!([]);
    hub.until("the queues of both", PATIENCE, kept)?;
    // Also over a restart.
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    hub.restart()?;
    let status = hub.status()?;
    ensure!(kept(&status), "{status:#}");
    let text = hub.ask("status", &[])?;
    ensure!(
        text.contains("5 deliveries to sink siren, which is no longer configured"),
        "{text}"
    );
    hub.ask("deliveries", &["drop", "--sink", "mail"])?;
    hub.rewrite(&config_of(hub.setup(), work(hub.setup()), &["mail", "siren"]))?;
    hub.ask("reload", &[])?;
    let status = hub.until("what was kept delivered", PATIENCE, |status| {
        sink(status, "siren").is_some_and(|sink| count(&sink["deliveries"], "delivered") == 5)
    })?;
    ensure!(status["queues"].is_null(), "{status:#}");
    let mail = sink(&status, "mail").context("a sink")?;
    assert_eq!(count(&mail["deliveries"], "dropped"), 5);
    assert_eq!(
        (once(&hub, "siren")?.len(), recorded(&hub, "mail")?.len()),
        (5, 0)
    );
    Ok(())
}

/// Stays in flight until there is the file `open`, and then writes down that it was made.
const SLOW: &str = r#"while [ ! -e "$DIR/open" ]; do sleep 0.05; done; echo made >>"$DIR/made""#;

#[test]
fn what_is_in_flight_is_finished_before_its_sink_starts_again() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let setup = setup(&backend)?;
    let dir = setup.dir().join("siren");
    fs::create_dir(&dir)?;
    let slow = |in_flight: i64| {
        let dir = dir.display().to_string();
        let dir = dir.as_str();
        Toml::Table(toml! {
            name = "siren"
            plugin = "exec"
            timeout = "10m"
            in_flight = in_flight
            sandbox = { exec = true, write = [dir] }
            config = { command = ["/bin/sh", "-c", SLOW], env = { DIR = dir } }
        })
    };
    let first = config(&setup, "info", vec![slow(4)], &["siren"]);
    let hub = setup.configured(first).start()?;
    let before = running(&hub, &["siren"])?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    send(&backend, 1)?;
    let in_flight = |status: &Value| sink(status, "siren").map(|sink| count(sink, "in_flight"));
    hub.until("the first in flight", PATIENCE, |status| {
        in_flight(status) == Some(1)
    })?;

    hub.rewrite(&config(hub.setup(), "info", vec![slow(5)], &["siren"]))?;
    let check = "this machine: running configuration";
    check_doctor(&hub, check, "warn", "was changed since the hub read it")?;
    hub.ask("reload", &[])?;
    check_doctor(&hub, check, "pass", "as it is")?;
    send(&backend, 1)?;
    let status = hub.until("the second stored", PATIENCE, |status| {
        sink(status, "siren").is_some_and(|sink| count(&sink["deliveries"], "pending") == 2)
    })?;
    let siren = sink(&status, "siren").context("a sink")?;
    assert_eq!(
        (&siren["retiring"], in_flight(&status)),
        (&json!(true), Some(1)),
        "{siren:#}"
    );
    assert_eq!(pid(&status, "siren"), pid(&before, "siren"));
    ensure!(siren["ends_by"].is_string(), "{siren:#}");
    let words = "finishes what its plugin has begun, until ";
    ensure!(hub.ask("status", &[])?.contains(words), "the status says so");
    check_doctor(&hub, "sink siren: delivery", "warn", words)?;
    check_doctor(&hub, "sink siren: queue", "warn", "2 deliveries pending")?;
    check_doctor(&hub, "deliveries: routes", "pass", "left over")?;

    fs::write(dir.join("open"), "")?;
    let status = hub.until("both made", PATIENCE, |status| {
        sink(status, "siren").is_some_and(|sink| count(&sink["deliveries"], "delivered") == 2)
    })?;
    ensure!(pid(&status, "siren") != pid(&before, "siren"), "{status:#}");
    assert_eq!(fs::read_to_string(dir.join("made"))?, "made\nmade\n");
    Ok(())
}

/// What `watchpost doctor` finds of the configuration that runs.
fn check_doctor(hub: &Hub, check: &str, finding: &str, words: &str) -> Result<()> {
    let mut program = Command::new(artefacts()?.watchpost()?);
    program
        .args(["doctor", "--json", "--data-dir"])
        .arg(hub.setup().data_dir());
    let lines: Vec<Value> = serde_json::from_slice(&program.output()?.stdout)?;
    let mut lines = lines.iter();
    let line = lines
        .find(|line| line["check"] == check)
        .context("a line about it")?;
    let text = line["text"].as_str().context("a text")?;
    ensure!(line["finding"] == finding && text.contains(words), "{line:#}");
    Ok(())
}

/// Becomes a hub that can write no file beyond so many blocks of 512 bytes, which is a disk that is full for it.
const LIMITED: &[&str] = &["sh", "-c", "trap '' XFSZ; ulimit -S -f 2200; exec \"$0\" \"$@\""];

#[test]
fn while_the_disk_is_full_a_reload_is_answered_at_once_and_waits() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240", "--no-pose"])?;
    let setup = setup(&backend)?.with(toml! { store = { segment_size = "1MiB" } });
    let plugin = hostile_plugin("recorder")?;
    let only = |setup: &HubSetup, name: &str| {
        let sinks = vec![recorder(setup, name, &plugin, 16)];
        config(setup, "info", sinks, &[name])
    };
    let first = only(&setup, "old");
    let mut hub = setup.configured(first).wrapper(LIMITED).start()?;
    running(&hub, &["old"])?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 1_000}))?;
    hub.until("a full disk", PATIENCE * 2, |status| {
        status["store"]["error"].is_string()
    })?;

    hub.rewrite(&only(hub.setup(), "new"))?;
    let said = hub.ask("reload", &[])?;
    ensure!(said.contains("sink new: starts\n"), "{said}");
    ensure!(
        said.contains("sink old: ends, once the store can be written"),
        "{said}"
    );
    ensure!(
        said.contains("the store cannot be written: until it can, alerts are routed as before"),
        "{said}"
    );
    let status = hub.until("the new sink", PATIENCE, |status| pid(status, "new").is_some())?;
    ensure!(pid(&status, "old").is_some(), "the old one goes on: {status:#}");

    // Room again, as somebody makes it who deletes files.
    let pid = hub.process().pid().to_string();
    let given = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited"])
        .status()?;
    ensure!(given.success(), "prlimit: {given}");
    let status = hub.until("the old sink gone", PATIENCE * 4, |status| {
        sink(status, "old").is_none() && status["store"]["error"].is_null()
    })?;
    eventually("an answer to all that was not dropped", PATIENCE, || {
        let (stats, status) = (backend.stats()?, hub.status()?);
        let dropped = count(&status["connections"][0]["counters"], "dropped");
        let left = count(&stats, "produced") - dropped - count(&stats, "acknowledged");
        ensure!(left == 0, "{left} are left: {stats:#}");
        Ok(())
    })?;
    // What had been routed before is the old one's; what came afterwards is the new one's.
    send(&backend, 20)?;
    hub.until("everything delivered to the new one", PATIENCE, |status| {
        sink(status, "new").is_some_and(|sink| count(&sink["deliveries"], "pending") == 0)
    })?;
    let (old, new) = (once(&hub, "old")?, once(&hub, "new")?);
    ensure!(
        !old.is_empty() && new.len() >= 20 && old.is_disjoint(&new),
        "{status:#}"
    );
    Ok(())
}

/// Posts an alert. The answer, if anything listens there.
fn post(address: &str) -> Result<String> {
    finish_post(begin_post(address)?)
}

/// Begins to post an alert, up to where the server asks for the alert itself.
fn begin_post(address: &str) -> Result<(TcpStream, String)> {
    let alert = json!({"title": "Gate open", "occurred_at": "2026-11-23T01:16:30Z"}).to_string();
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /api/v1/alerts HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nAuthorization: Bearer secret\r\n\
         Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        alert.len()
    )?;
    let mut asked = *b"HTTP/1.1 100 Continue\r\n\r\n";
    stream.read_exact(&mut asked)?;
    Ok((stream, alert))
}

/// Sends what was begun. The answer.
fn finish_post((mut stream, alert): (TcpStream, String)) -> Result<String> {
    stream.write_all(alert.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn connections_are_added_and_removed_and_the_web_server_follows() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let setup = setup(&backend)?;
    let mut hub = setup.start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    let base = hub.setup().config().clone();
    let with_inbound = |listen: &str| {
        let mut config = base.clone();
        let yard = Toml::Table(toml! { name = "yard" kind = "inbound" token = "secret" });
        let Toml::Array(connections) = &mut config["connection"] else {
            panic!("no list: {config}");
        };
        connections.push(yard);
        config.insert("web".into(), Toml::Table(toml! { listen = listen }));
        config
    };
    let listening = |hub: &mut Hub, times: usize| {
        eventually("the address it listens on", PATIENCE, || {
            let log = hub.process().log();
            let lines = log
                .lines()
                .filter(|line| line.contains("listening for posted alerts"));
            let mut addresses =
                lines.filter_map(|line| line.rsplit_once("address=").map(|(_, at)| at.to_owned()));
            addresses.nth(times - 1).ok_or(log.clone())
        })
    };
    hub.rewrite(&with_inbound("127.0.0.1:0"))?;
    let said = hub.ask("reload", &[])?;
    ensure!(
        said.contains("connection yard: starts\n[web]: changed") && !said.contains("shop"),
        "{said}"
    );
    let address = listening(&mut hub, 1)?;
    ensure!(post(&address)?.starts_with("HTTP/1.1 202"));
    // A client that takes its time, at the address before.
    let slow = begin_post(&address)?;
    // Its own port at other addresses of the machine, which is not free before it has left it.
    let port = address.rsplit_once(':').context("a port")?.1.to_owned();
    hub.rewrite(&with_inbound(&format!("0.0.0.0:{port}")))?;
    hub.ask("reload", &[])?;
    assert_eq!(listening(&mut hub, 2)?, format!("0.0.0.0:{port}"));
    ensure!(
        post(&address)?.starts_with("HTTP/1.1 202"),
        "the same alert once more, while the slow client still sends"
    );
    ensure!(
        finish_post(slow)?.starts_with("HTTP/1.1 202"),
        "it is served to its end"
    );
    hub.rewrite(&base)?;
    let said = hub.ask("reload", &[])?;
    ensure!(said.contains("connection yard: ends, once"), "{said}");
    ensure!(post(&address).is_err(), "nobody listens there");
    hub.until("one connection", PATIENCE, |status| {
        status["connections"].as_array().map_or(0, Vec::len) == 1
    })?;
    check_one_connection(&backend)
}
