//! A virtual machine with simulated GPIO lines, for what no test machine has: a siren.
//!
//! It boots the kernel that `cargo xtask test` has made, with busybox, the binaries under test and nothing else. A test
//! talks to its shell over a serial line.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::artefacts::{self, artefacts};
use crate::process::Process;
use crate::wait::{PATIENCE, eventually};

/// Where the kernel shows the level of a line, and where a test sets that of an input.
const LINES: &str = "/sys/devices/platform/gpio-sim.0/gpiochip0";

/// As much of a file goes over the serial line at once, well below its buffer.
const PIECE_BYTES: usize = 512;

/// The first process: brings up the machine, then has what comes over the second serial line done, a command a line.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp NO_COLOR=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /mnt; cp -R /tmp/. /mnt; mount --move /mnt /tmp
insmod /lib/e1000.ko; insmod /lib/configfs.ko; insmod /lib/gpio-sim.ko; mount -t configfs config /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/siren
mkdir -p $chip/bank0/line3 $chip/bank0/line4 $chip/bank0/line5
echo 8 >$chip/bank0/num_lines; echo sirens >$chip/bank0/label
echo SIREN >$chip/bank0/line3/name; echo HORN >$chip/bank0/line4/name; echo BUTTON >$chip/bank0/line5/name
echo 1 >$chip/live
ifconfig lo up; ifconfig eth0 10.0.2.15; route add default gw 10.0.2.2
echo '10.0.2.2 localhost' >/etc/hosts
stty -F /dev/ttyS1 raw -echo
# Not the first process, which is signalled at every orphan's end: a signal loses what has been read of a line.
sh /loop </dev/ttyS1 >/dev/ttyS1 &
while true; do wait; sleep 1; done
"#;

/// Does what comes over the serial line.
const LOOP: &str = r#"echo ready
while read -r line; do
    eval "$line" >/tmp/.said 2>&1 </dev/null
    code=$?
    cat /tmp/.said
    echo
    echo "== $code"
done
"#;

/// A machine that is running. Dropping it turns it off.
///
/// Its chip `/dev/gpiochip0` has eight lines, of which 3 is named `SIREN`, 4 `HORN` and 5 `BUTTON`. What it knows as
/// `localhost` is the loopback interface of the machine that the test runs on; its own is `127.0.0.1`.
#[derive(Debug)]
pub struct GpioMachine {
    shell: BufReader<UnixStream>,
    machine: Process,
    _dir: TempDir,
}

impl GpioMachine {
    /// Boots one with `watchpost`, its sibling programs and these plugins in `/bin`, and with these files and directories,
    /// which it gets at the same place.
    pub fn boot(plugins: &[&str], files: &[&Path]) -> Result<Self> {
        let made = artefacts::target_dir()?.join("gpio-machine");
        ensure!(
            made.join("made").exists(),
            "{} is missing; `cargo xtask test` makes it",
            made.display()
        );
        let dir = TempDir::new().context("no temporary directory")?;
        let root = dir.path().join("root");
        fill(&root, &made, plugins)?;
        for file in files {
            copy_all(file, &root)?;
        }
        let archive = dir.path().join("initrd");
        pack(&root, &archive)?;
        let socket = dir.path().join("shell");
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args("-machine pc,accel=tcg -cpu max -m 768 -nodefaults -display none -no-reboot".split(' '));
        qemu.args("-netdev user,id=net -device e1000,netdev=net".split(' '));
        qemu.arg("-kernel").arg(made.join("vmlinuz"));
        qemu.arg("-initrd").arg(&archive);
        qemu.args([
            "-append",
            "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check",
        ]);
        qemu.args(["-serial", "stdio"]);
        // It waits for us before it starts.
        qemu.args(["-serial", &format!("unix:{},server=on,wait=on", socket.display())]);
        qemu.stdin(Stdio::null());
        let machine = Process::spawn("qemu", &mut qemu)?;
        let shell = eventually("qemu's socket", PATIENCE, || UnixStream::connect(&socket))?;
        shell.set_read_timeout(Some(PATIENCE * 4))?;
        let mut guest = Self {
            shell: BufReader::new(shell),
            machine,
            _dir: dir,
        };
        let line = guest.line()?;
        ensure!(line == "ready", "the machine said {line:?} instead of `ready`");
        Ok(guest)
    }

    /// Runs a command of the shell, one line, and gives what it printed; it has to succeed. What is to go on is
    /// started in a subshell, `(command >file &)`.
    pub fn run(&mut self, command: &str) -> Result<String> {
        ensure!(!command.contains('\n'), "a command has one line");
        writeln!(self.shell.get_mut(), "{command}").context("the machine does not listen")?;
        let mut said = String::new();
        loop {
            let line = self.line()?;
            match line.strip_prefix("== ") {
                Some("0") => return Ok(said.trim_end().to_owned()),
                Some(code) => bail!("`{command}` ended with {code}: {}", said.trim_end()),
                None => {
                    said += &line;
                    said.push('\n');
                }
            }
        }
    }

    /// Writes a file.
    pub fn write(&mut self, path: &str, text: &str) -> Result<()> {
        self.run(&format!(": > {path}"))?;
        for piece in text.as_bytes().chunks(PIECE_BYTES) {
            let octal: String = piece.iter().map(|byte| format!("\\{byte:03o}")).collect();
            self.run(&format!("printf '{octal}' >> {path}"))?;
        }
        Ok(())
    }

    /// Whether a line is high.
    pub fn is_high(&mut self, line: u32) -> Result<bool> {
        Ok(self.run(&format!("cat {LINES}/sim_gpio{line}/value"))? == "1")
    }

    /// Pulls an input up or down.
    pub fn pull(&mut self, line: u32, up: bool) -> Result<()> {
        let word = if up { "pull-up" } else { "pull-down" };
        self.run(&format!("echo {word} > {LINES}/sim_gpio{line}/pull"))?;
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.shell.read_line(&mut line);
        if !matches!(read, Ok(bytes) if bytes > 0) {
            bail!(
                "the machine is silent ({read:?}); its console:\n{}",
                self.machine.log()
            );
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Puts together what the machine's memory holds.
fn fill(root: &Path, made: &Path, plugins: &[&str]) -> Result<()> {
    for dir in [
        "bin", "lib", "lib64", "proc", "sys", "dev", "mnt", "tmp", "etc", "usr/sbin", "sbin", "usr/bin",
    ] {
        fs::create_dir_all(root.join(dir))?;
    }
    copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
    for module in ["configfs.ko", "e1000.ko", "gpio-sim.ko"] {
        copy(&made.join(module), &root.join("lib").join(module))?;
    }
    let built = artefacts()?;
    let mut files = vec![
        built.watchpost()?,
        built.binary("watchpost-sinkhost")?,
        built.binary("watchpost-simulator")?,
    ];
    for plugin in plugins {
        files.push(built.plugin(plugin)?);
    }
    let mut libraries = BTreeSet::new();
    for file in files {
        let name = file.file_name().context("a file has a name")?;
        // Without the debug information they are a third as large.
        let strip = Command::new("strip")
            .arg("-o")
            .arg(root.join("bin").join(name))
            .arg(file)
            .status();
        ensure!(
            strip.context("strip")?.success(),
            "strip failed on {}",
            file.display()
        );
        libraries.extend(libraries_of(file)?);
    }
    for library in libraries {
        copy(&library, &root.join(library.strip_prefix("/")?))?;
    }
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::write(root.join("loop"), LOOP)?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&init, executable)?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file lies somewhere")?)?;
    fs::copy(from, to).with_context(|| format!("{} is missing", from.display()))?;
    Ok(())
}

/// Copies a file or directory, or what is linked to there, to the same place below `root`.
fn copy_all(path: &Path, root: &Path) -> Result<()> {
    let parent = path.parent().context("it lies somewhere")?;
    let to = root.join(parent.strip_prefix("/")?);
    fs::create_dir_all(&to)?;
    let status = Command::new("cp").arg("-RL").arg(path).arg(&to).status();
    ensure!(status.context("cp")?.success(), "cp failed on {}", path.display());
    Ok(())
}

pub(crate) fn libraries_of(file: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(file).output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(PathBuf::from).collect())
}

fn pack(root: &Path, archive: &Path) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", "find . | cpio --create --format=newc --quiet > \"$0\""])
        .arg(archive)
        .current_dir(root)
        .status();
    ensure!(status.context("sh")?.success(), "cpio failed");
    Ok(())
}
