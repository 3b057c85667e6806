//! A machine with systemd as its first process, for what no test may do to the machine that it runs on: install a
//! service.
//!
//! It is the machine that the test runs on, seen through an overlay: the same system, and what is written stays in
//! memory. systemd-nspawn boots it, with the loopback interface of the machine outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::artefacts::{target_dir, workspace_root};
use crate::process::Process;
use crate::wait::{PATIENCE, eventually};

/// Sets up the overlay in a mount namespace of its own and boots it. Arguments: a directory for it, the machine's name,
/// the unit to start, and what else goes to systemd-nspawn.
const BOOT: &str = r#"
set -eu
dir=$1 name=$2 unit=$3
shift 3
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
# The machine outside has this number already, and its journal is not this one's.
rm -f "$dir/root/etc/machine-id"
echo 5eed5eed5eed5eed5eed5eed5eed5eed >"$dir/root/etc/machine-id"
cp "$unit" "$dir/root/etc/systemd/system/script.service"
cd /
exec systemd-nspawn --quiet --directory="$dir/root" --machine="$name" --register=no --keep-unit --boot --console=pipe \
    "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self" "$@" \
    systemd.unit=script.service
"#;

/// Runs the script when the machine is up, and turns the machine off afterwards.
const UNIT: &str = "[Unit]
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
WorkingDirectory=/srv/watchpost
ExecStart=/bin/bash /srv/test/script
ExecStopPost=/bin/systemctl --no-block exit
StandardOutput=append:/srv/test/output
StandardError=inherit
";

/// A machine that runs a script. Dropping it turns it off.
#[derive(Debug)]
pub struct ServiceMachine {
    process: Process,
    dir: TempDir,
}

impl ServiceMachine {
    /// Where the repository lies in the machine, and is the script's working directory.
    pub const REPOSITORY: &str = "/srv/watchpost";

    /// Where cargo's target directory lies in the machine.
    pub const TARGET: &str = "/srv/target";

    /// Boots one and runs a script of bash in it, as root.
    pub fn boot(script: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = TempDir::new().context("no temporary directory")?;
        let shared = dir.path().join("shared");
        fs::create_dir(&shared)?;
        fs::write(shared.join("script"), script)?;
        fs::write(shared.join("output"), "")?;
        let unit = dir.path().join("script.service");
        fs::write(&unit, UNIT)?;
        let overlay = dir.path().join("overlay");
        fs::create_dir(&overlay)?;
        let bind = |option: &str, from: &Path, to: &str| format!("--{option}={}:{to}", from.display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "bash", "-c", BOOT, "boot"]);
        command
            .arg(&overlay)
            .arg(format!("watchpost-{}-{number}", std::process::id()))
            .arg(unit);
        command.arg(bind("bind-ro", workspace_root(), Self::REPOSITORY));
        command.arg(bind("bind-ro", &target_dir()?, Self::TARGET));
        command.arg(bind("bind", &shared, "/srv/test"));
        let process = Process::spawn("systemd-nspawn", &mut command)?;
        Ok(Self { process, dir })
    }

    /// What the script has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read(self.shared().join("output"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until the script has printed this line. Ends early when the machine is off.
    pub fn until(&mut self, line: &str) -> Result<()> {
        let seen = eventually(line, PATIENCE * 4, || {
            let off = self.process.exit_status().map_err(|e| e.to_string())?.is_some();
            let output = self.output();
            if output.lines().any(|printed| printed == line) {
                return Ok(true);
            }
            if off { Ok(false) } else { Err(output) }
        })?;
        ensure!(
            seen,
            "the machine went off without `{line}`:\n{}\n{}",
            self.output(),
            self.process.log()
        );
        Ok(())
    }

    /// Makes a file of this name in `/srv/test` of the machine, which a script may wait for.
    pub fn signal(&self, name: &str) -> Result<()> {
        let file = self.shared().join(name);
        fs::write(&file, "").with_context(|| format!("{} was not written", file.display()))
    }

    /// Waits until the script has ended and the machine is off. The script's last line has to be `done`.
    pub fn end(mut self) -> Result<()> {
        self.process.wait(PATIENCE * 4)?;
        let output = self.output();
        if output.lines().last() != Some("done") {
            bail!("the script ended early:\n{output}\n{}", self.process.log());
        }
        Ok(())
    }

    fn shared(&self) -> PathBuf {
        self.dir.path().join("shared")
    }
}
