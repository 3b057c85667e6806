//! A hub to which a part of the cgroup tree is handed over, as systemd does it: what a hostile sink takes up with all that
//! it has started is limited, and all of it is ended.

use anyhow::{Result, ensure};
use serde_json::Value;
use watchpost_testkit::{Need, sink, skip_without};

use crate::site::{Sink, Site};

/// The cgroup that is handed over.
const SERVICE: &str = "/sys/fs/cgroup/watchpost.service";
/// Processes and threads that a sink may have.
const MAX_TASKS: u64 = 128;
const WAYS: [&str; 3] = ["fork_bomb", "share_memory", "leave_orphans"];

/// Each may start programs.
fn boot() -> Result<(Site, Value)> {
    let mut site = Site::boot(&WAYS.map(|way| Sink {
        name: way,
        way,
        sandbox: "exec = true",
        tries: false,
    }))?;
    // What systemd does for `Delegate=yes` with a `User=`.
    site.run("mkdir -p /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup")?;
    site.run("echo +memory +pids +cpu +io >/sys/fs/cgroup/cgroup.subtree_control")?;
    site.run(&format!(
        "mkdir {SERVICE} && cd {SERVICE} && chown watchpost . cgroup.procs cgroup.subtree_control cgroup.threads"
    ))?;
    site.start(&format!("echo 0 >{SERVICE}/cgroup.procs"))?;
    let status = site.until("all sinks run", |status| {
        WAYS.iter().all(|way| sink(status, way)["state"] == "running")
    })?;
    Ok((site, status))
}

#[test]
fn what_a_sink_starts_is_limited_and_ended_with_it() -> Result<()> {
    if skip_without(&[Need::GpioMachine]) {
        return Ok(());
    }
    let (mut site, status) = boot()?;
    assert_eq!(status["cgroup_gaps"], Value::Null);
    let gaps = status["sinks"].to_string();
    ensure!(!gaps.contains("all its processes together"), "{gaps}");
    assert_eq!(
        site.run(&format!("cat {SERVICE}/hub/cgroup.procs"))?,
        status["pid"].to_string()
    );
    let own = |name: &str| format!("{SERVICE}/sinks/*-{}", name.replace('_', "-"));
    for name in WAYS {
        let inside = site.run(&format!("cat {}/cgroup.procs", own(name)))?;
        assert_eq!(inside, sink(&status, name)["pid"].to_string());
    }
    for weight in ["cpu.weight", "io.weight"] {
        let [hub, sinks] =
            ["hub", "sinks"].map(|part| format!("sed 's/default //' {SERVICE}/{part}/{weight}"));
        ensure!(site.number(&sinks)? < site.number(&hub)?, "{weight}");
    }

    site.alert()?;
    let bomb = own("fork_bomb");
    site.until_it_says(&format!("cat {bomb}/pids.current"), &MAX_TASKS.to_string())?;
    site.until_it_says(&format!("grep -c -v 'max 0' {bomb}/pids.events"), "1")?;
    site.until("the end of the one that takes memory", |status| {
        let why = sink(status, "share_memory")["last_error"]
            .as_str()
            .unwrap_or_default();
        why.contains("its processes together held more than the `memory`")
    })?;
    site.until_it_says(
        &format!(
            "cat {}/cgroup.events | grep -c 'populated 1'",
            own("leave_orphans")
        ),
        "1",
    )?;
    ensure!(
        site.number(&format!("cat {}/cgroup.procs | wc -l", own("leave_orphans")))? > 1,
        "no orphans"
    );

    // Whatever they have started, it ends with them.
    site.run("kill $(pidof watchpost)")?;
    site.until_it_says("pidof watchpost || echo none", "none")?;
    // They are killed by then, though not all may have died yet.
    site.until_it_says(
        &format!("grep populated {SERVICE}/sinks/cgroup.events"),
        "populated 0",
    )?;
    ensure!(
        site.run("tail -n 1 /tmp/log")?.contains("stopped"),
        "{}",
        site.run("tail /tmp/log")?
    );
    Ok(())
}
