//! A plugin that means it, in the real hub as it is installed: all that a sink must not be able to do, with each grant, and
//! every way to keep others from their work, beside an archive under load. What happened is looked at from outside.
//!
//! The deeds are in `tests/plugins/hostile/redteam_*.h`, and listed in `docs/security.md`.

mod aims;
mod deeds;
mod threads;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, Hub, HubSetup, PATIENCE, Toml, eventually, hostile_plugin, is_root, skip_because, toml,
};

use aims::Aims;

/// Alerts of one run, and how many come a second.
const ALERTS: u64 = 100;
const RATE: &str = "20";
/// What hostile sinks may cost the hub at its peak, beside as many that do their work, in KiB.
const MAX_COST_KIB: u64 = 16 << 10;
/// The user of the runs that are not root's, and that of the sink which gets one. No process has it.
const PLAIN_USER: u32 = 61_301;
const USER_OF_SINK: u32 = 61_302;

/// What the sinks do after the deeds, each in one of its own of this name, and what it is granted for that.
const WAYS: &[(&str, &str)] = &[
    ("hang", ""),
    ("hang_deaf", ""),
    ("stop_itself", ""),
    ("close_all", ""),
    ("talk_nonsense", ""),
    ("talk_at_length", ""),
    ("keep_files_on_their_way", ""),
    ("send_files_to_host", ""),
    ("make_threads", ""),
    ("spin", ""),
    ("open_files", ""),
    ("take_memory", ""),
    ("fill_disk", "state_quota = \"16MiB\""),
    ("hide_on_the_way", "state_quota = \"16MiB\""),
    ("hide_in_memory", "state_quota = \"16MiB\""),
    ("hide_in_program", "state_quota = \"16MiB\"\nexec = true"),
    ("hide_in_closed_folder", "state_quota = \"16MiB\"\nexec = true"),
    ("leave_traps", ""),
    ("log_forgeries", ""),
    ("acknowledge_all", "acknowledge = true"),
    ("leave_orphans", "exec = true"),
    ("call_in_32_bits", ""),
    ("swap_sockets", ""),
    ("exhaust_stack", ""),
    ("storm_signals", ""),
    ("make_timers", ""),
    ("splice_rounds", ""),
    ("thrash_cache", ""),
    ("take_locks", ""),
    ("fill_sockets", ""),
    ("start_and_end", "exec = true"),
];

/// Who the hub runs as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum As {
    /// Whoever runs the test.
    Caller,
    /// A user without any rights, which takes root to become.
    Plain,
}

/// What runs beside the archive.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    RedTeam,
    /// As many sinks that do their work: what they cost is not the red team's doing.
    Good,
}

#[test]
fn what_is_not_granted_is_held() -> Result<()> {
    if let Some(gaps) = sandbox_gaps()?
        && skip_because(&format!("the sandbox of this machine lacks {gaps}"))
    {
        return Ok(());
    }
    let good_kib = run(As::Caller, Beside::Good)?;
    let mut costs = vec![("who runs the test", run(As::Caller, Beside::RedTeam)?)];
    if is_root() {
        costs.push(("a plain user", run(As::Plain, Beside::RedTeam)?));
    }
    for (user, kib) in costs {
        ensure!(
            kib < good_kib + MAX_COST_KIB,
            "as {user} the hub took {kib} KiB beside the red team, {good_kib} KiB beside as many good sinks"
        );
    }
    Ok(())
}

/// What this machine's kernel cannot put in force, with every grant that there is. The red team would find just that.
fn sandbox_gaps() -> Result<Option<String>> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let dir = text(setup.dir());
    let dir = dir.as_str();
    let sandbox = toml! {
        write = [dir]
        connect = [25]
        unix_sockets = true
        exec = true
    };
    let hub = setup
        .sink_within("archive", "archive", sandbox, toml! { dir = dir })
        .start()?;
    let status = hub.until("the sink running", PATIENCE, |status| {
        status["sinks"][0]["state"] == "running"
    })?;
    let gaps = status["sinks"][0]["sandbox_gaps"]
        .as_array()
        .into_iter()
        .flatten();
    let gaps: Vec<&str> = gaps.filter_map(Value::as_str).collect();
    // Cgroups are tried elsewhere.
    let of_the_kernel = |gap: &&str| !gap.starts_with("limits on all its processes");
    let gaps: Vec<&str> = gaps.into_iter().filter(of_the_kernel).collect();
    Ok((!gaps.is_empty()).then(|| gaps.join(", ")))
}

/// Runs a hub until all is done that shall be done, and gives the most memory that it took, in KiB.
fn run(user: As, beside: Beside) -> Result<u64> {
    let backend = Backend::start(&[
        "--count",
        &ALERTS.to_string(),
        "--rate",
        RATE,
        "--wait-for-client",
    ])?;
    backend.order(&json!({"do": "alerts", "on": false}))?;
    let setup = HubSetup::new()?.installed(&["watchpost-archive"])?;
    let setup = setup.connection("shop", &backend)?;
    // A sink with a user of its own has to find its way to what is its own.
    for dir in [
        setup.dir().to_owned(),
        setup.data_dir(),
        setup.data_dir().join("sinks"),
    ] {
        fs::create_dir_all(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o711))?;
    }
    let aims = Aims::put_up(setup.dir())?;
    let (setup, sinks) = with_sinks(setup, &aims, user, beside)?;
    let setup = if user == As::Plain {
        setup.run_as(PLAIN_USER)
    } else {
        setup
    };
    let mut hub = setup.start()?;
    aims.remember(&hub)?;
    backend.order(&json!({"do": "alerts", "on": true}))?;
    let setup_dir = hub.setup().dir().to_owned();
    // It gets internal events too, which have no picture.
    eventually("all alerts in the archive", PATIENCE * 3, || {
        let files = pictures_in(&setup_dir.join("archive")).map_err(|error| error.to_string())?;
        if files == ALERTS {
            Ok(())
        } else {
            Err(format!("{files} pictures of {ALERTS}"))
        }
    })?;
    if beside == Beside::RedTeam {
        for sink in &sinks {
            deeds::check(&report(&hub, &sink.name)?, &sink.grants)
                .with_context(|| format!("{user:?}, sink {}", sink.name))?;
        }
        check_ways(&hub)?;
    }
    check_archive(&hub)?;
    aims.check(&hub)?;
    let peak_kib = hub.peak_memory_kib()?;
    end(&mut hub, user)?;
    Ok(peak_kib)
}

/// A sink of the red team.
struct Sink {
    name: String,
    grants: Vec<&'static str>,
}

fn with_sinks(setup: HubSetup, aims: &Aims, user: As, beside: Beside) -> Result<(HubSetup, Vec<Sink>)> {
    let archive = setup.dir().join("archive");
    fs::create_dir(&archive)?;
    let dir = text(&archive);
    let dir = dir.as_str();
    let web = format!("127.0.0.1:{}", aims.hub_port());
    let mut setup = setup
        .sink_within("archive", "archive", toml! { write = [dir] }, toml! { dir = dir })
        .with(toml! {
            [hub]
            shutdown_grace = "5s"
            log = "debug"
            [web]
            listen = web
            [[connection]]
            name = "yard"
            kind = "inbound"
            token = "0123456789abcdef"
        });
    let plugin = copy_plugin(
        &setup,
        if beside == Beside::Good {
            "recorder"
        } else {
            "redteam"
        },
    )?;
    let listen = i64::from(aims.other_port());
    let granted = [
        ("bare", vec![], String::new()),
        ("network", vec!["connect"], format!("connect = [{listen}]")),
        (
            "listener",
            vec!["connect", "listen"],
            format!("connect = [{listen}]\nlisten = [{listen}]"),
        ),
        (
            "anywhere",
            vec!["any"],
            "connect = \"any\"\nlisten = \"any\"".to_owned(),
        ),
        ("local", vec!["unix_sockets"], "unix_sockets = true".to_owned()),
        ("programs", vec!["exec"], "exec = true".to_owned()),
        ("button", vec![], "acknowledge = true".to_owned()),
        ("user", vec!["user"], format!("user = \"{USER_OF_SINK}\"")),
        ("dynamic", vec!["user"], "user = \"dynamic\"".to_owned()),
    ];
    let ways = WAYS.iter().map(|(way, sandbox)| {
        let grants = if sandbox.contains("exec") {
            vec!["exec"]
        } else {
            vec![]
        };
        (*way, grants, (*sandbox).to_owned())
    });
    let mut sinks = Vec::new();
    for (name, grants, sandbox) in granted.into_iter().chain(ways) {
        if ["user", "dynamic"].contains(&name) && !(user == As::Caller && is_root()) {
            continue;
        }
        let sandbox: toml::Table = format!("memory = \"64MiB\"\n{sandbox}").parse()?;
        let config = match beside {
            Beside::RedTeam => aims.config(&setup.data_dir(), name, deeds::spared(&grants)),
            Beside::Good => {
                let file = text(&setup.data_dir().join("sinks").join(name).join("record"));
                toml! { file = file }
            }
        };
        let (plugin, table) = (text(&plugin), Toml::from(config));
        setup = setup.with(toml! {
            [[sink]]
            name = name
            plugin = plugin
            timeout = "1s"
            retry = { initial = "100ms", max = "2s" }
            sandbox = sandbox
            config = table
        });
        sinks.push(Sink {
            name: name.to_owned(),
            grants,
        });
    }
    Ok((setup, sinks))
}

/// The plugin where the hub of each user may read it.
fn copy_plugin(setup: &HubSetup, id: &str) -> Result<PathBuf> {
    let to = setup.dir().join(format!("libwatchpost_{id}.so"));
    fs::copy(hostile_plugin(id)?, &to)?;
    Ok(to)
}

/// What a sink has written down of its deeds, once it has come to the end of them.
fn report(hub: &Hub, sink: &str) -> Result<BTreeMap<String, String>> {
    let file = hub.setup().data_dir().join("sinks").join(sink).join("report");
    let text = eventually(&format!("the report of {sink}"), PATIENCE * 2, || {
        fs::read_to_string(&file).map_err(|error| match hub.status() {
            Ok(status) => format!("{error}; {:#}", sink_of(&status, sink)),
            Err(status) => format!("{error}; {status:#}"),
        })
    })?;
    let pair = |line: &str| {
        line.split_once(' ')
            .map(|(deed, answer)| (deed.to_owned(), answer.to_owned()))
    };
    text.lines()
        .map(|line| pair(line).context("a deed and its answer"))
        .collect()
}

fn sink_of<'a>(status: &'a Value, name: &str) -> &'a Value {
    let mut sinks = status["sinks"].as_array().into_iter().flatten();
    sinks.find(|sink| sink["name"] == name).unwrap_or(&Value::Null)
}

/// Each way was found out for what it is.
fn check_ways(hub: &Hub) -> Result<()> {
    let said: &[(&str, &[&str])] = &[
        ("hang", &["deadline"]),
        ("hang_deaf", &["deadline"]),
        ("stop_itself", &["deadline", "answer"]),
        ("close_all", &["deadline", "closed the socket", "left by exit"]),
        ("talk_nonsense", &["violated the protocol"]),
        ("talk_at_length", &["violated the protocol"]),
        // The kernel may have refused all: what others of this user have on its way counts.
        ("send_files_to_host", &["violated the protocol", "deadline"]),
        ("call_in_32_bits", &["SIGSYS", "SIGABRT"]),
        ("swap_sockets", &["closed the socket", "left by exit"]),
        ("exhaust_stack", &["SIGSEGV", "SIGABRT"]),
        ("fill_disk", &["raise `state_quota`"]),
        ("hide_on_the_way", &["open files in a socket"]),
        (
            "hide_in_memory",
            &["and may keep 16MiB", "which only its memory has"],
        ),
        ("hide_in_program", &["and may keep 16MiB"]),
        (
            "hide_in_closed_folder",
            &["and may keep 16MiB", "closed to the hub"],
        ),
        ("leave_traps", &["directories more than 32 deep"]),
    ];
    for (name, words) in said {
        eventually(&format!("{name} found out"), PATIENCE, || {
            let status = hub.status().map_err(|error| format!("{error:#}"))?;
            let sink = sink_of(&status, name);
            let why = sink["last_error"].as_str().unwrap_or_default();
            if words.iter().any(|word| why.contains(word)) {
                Ok(())
            } else {
                Err(format!("{sink:#}"))
            }
        })?;
    }
    Ok(())
}

/// The archive has lost nothing, and nobody has taken one off the list.
fn check_archive(hub: &Hub) -> Result<()> {
    let status = hub.status()?;
    let archive = sink_of(&status, "archive");
    let lost = ["dead", "expired", "dropped"].map(|state| &archive["deliveries"][state]);
    assert!(lost.iter().all(|count| **count == json!(0)), "{archive:#}");
    assert_eq!(archive["crashes"], json!(0), "{archive:#}");
    let shown = hub.alerts()?;
    ensure!(!shown.is_empty(), "somebody has cleared the list");
    Ok(())
}

fn pictures_in(dir: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            count += pictures_in(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "jpg") {
            count += 1;
        }
    }
    Ok(count)
}

/// The hub stops within its grace and leaves no process; killed, it takes those with it that may start no programs.
fn end(hub: &mut Hub, user: As) -> Result<()> {
    let place = text(hub.setup().dir());
    let before = hub.process().log();
    if user == As::Plain {
        hub.kill()?;
        let may_start_none = |command: &str| {
            let may = [
                " leave_orphans",
                " programs",
                " hide_in_program",
                " hide_in_closed_folder",
                " start_and_end",
            ];
            !may.iter().any(|name| command.contains(name))
        };
        eventually("no sink without its hub", PATIENCE, || {
            none_of(&processes(&place, may_start_none))
        })?;
        // What others have started nobody looks for then, outside of a service.
        eventually("the end of the others", PATIENCE, || {
            let left = processes(&place, |_| true);
            let numbers = left.iter().filter_map(|process| process.split(' ').next());
            let killed = Command::new("kill").arg("-KILL").args(numbers).output();
            killed.map_err(|error| error.to_string())?;
            none_of(&left)
        })?;
        hub.restart()?;
    }
    let stopped = hub.stop()?;
    let log = before + &hub.process().log();
    ensure!(stopped.success(), "the hub ended with {stopped}");
    ensure!(
        !log.contains("not everything was finished"),
        "it took longer than its grace"
    );
    none_of(&processes(&place, |_| true)).map_err(|left| anyhow!("left behind:\n{left}"))?;
    ensure!(
        !log.contains('\u{1b}') && !log.contains('\u{9b}'),
        "a plugin colours the log"
    );
    let forged = log.lines().find(|line| line.starts_with("FORGED"));
    ensure!(forged.is_none(), "a plugin forges lines");
    Ok(())
}

fn none_of(processes: &[String]) -> Result<(), String> {
    if processes.is_empty() {
        Ok(())
    } else {
        Err(processes.join("\n"))
    }
}

/// The processes that were started from below this directory.
fn processes(place: &str, which: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let commands = entries.filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(format!("{} {command}", entry.file_name().display()))
    });
    commands
        .filter(|command| command.contains(place) && which(command))
        .collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
