//! On a kernel that lacks parts of the sandbox each of these is named, what it holds is held all the same, and a sink that
//! requires all of it is not started.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::json;
use watchpost_testkit::{Need, sink, skip_without};

use crate::site::{Sink, Site};

/// Answers that refuse, as in the red team's own test.
const REFUSALS: [&str; 5] = ["EPERM", "EACCES", "ENOSYS", "EXDEV", "absent"];

#[test]
fn what_an_older_kernel_cannot_hold_is_named_and_the_rest_is_held() -> Result<()> {
    if skip_without(&[Need::GpioMachine]) {
        return Ok(());
    }
    let sink_with = |name, sandbox, tries| Sink {
        name,
        way: "none",
        sandbox,
        tries,
    };
    let mut site = Site::boot(&[
        sink_with("bare", "", true),
        sink_with("network", "connect = [9]", false),
        sink_with("programs", "exec = true", false),
        sink_with("local", "unix_sockets = true", false),
        sink_with("strict", "require = true", false),
    ])?;
    site.start("true")?;
    let status = site.until("the sinks run, but for the one that requires more", |status| {
        let runs = |name: &&str| sink(status, name)["state"] == "running";
        ["bare", "network", "programs", "local"].iter().all(runs)
            && sink(status, "strict")["last_error"].is_string()
    })?;
    let truncation = "limits on truncating files (needs Linux 6.2)";
    let devices = "limits on controlling devices (needs Linux 6.10)";
    let gaps = |name: &str| sink(&status, name)["sandbox_gaps"].clone();
    assert_eq!(gaps("bare"), json!([truncation, devices]));
    assert_eq!(
        gaps("network"),
        json!([truncation, devices, "limits on TCP ports (needs Linux 6.7)"])
    );
    let sockets = "limits on abstract local sockets (needs Linux 6.12)";
    assert_eq!(gaps("local"), json!([truncation, devices, sockets]));
    let signals = "limits on signals to other processes (needs Linux 6.12)";
    let programs = gaps("programs").to_string();
    ensure!(programs.contains(signals), "{programs}");
    ensure!(
        programs.contains("limits on all its processes together"),
        "{programs}"
    );
    ensure!(
        status["cgroup_gaps"]
            .to_string()
            .contains("no unified cgroup tree"),
        "{status:#}"
    );
    let refusal = sink(&status, "strict")["last_error"].to_string();
    ensure!(
        refusal.contains(truncation) && refusal.contains("`require`"),
        "{refusal}"
    );

    site.alert()?;
    site.until_it_says("test -e /tmp/watchpost/sinks/bare/report && echo there", "there")?;
    let report = site.run("cat /tmp/watchpost/sinks/bare/report")?;
    let report: BTreeMap<&str, &str> = report.lines().filter_map(|line| line.split_once(' ')).collect();
    ensure!(report.len() > 200, "{report:?}");
    for deed in [
        "own_socket_by_hub",
        "own_socket_by_any",
        "choose_signal",
        "signal_hub",
        "own_by_ioctl",
    ] {
        ensure!(
            report.get(deed).is_some_and(|answer| REFUSALS.contains(answer)),
            "{deed}: {report:?}"
        );
    }
    let done = report.iter().filter(|(_, answer)| **answer == "done");
    let done: Vec<_> = done.map(|(deed, _)| *deed).collect();
    // What the status names.
    assert_eq!(done, ["truncate_victim"]);
    Ok(())
}
