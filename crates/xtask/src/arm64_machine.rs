//! What a long run boots to try the sandbox's filter on 64-bit ARM: an emulated Raspberry Pi 3 with Debian's kernel, below
//! the target directory.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cargo;

/// It fetches a Debian package of 60 MB the first time.
const MAKE: &str = include_str!("arm64-machine.sh");

/// Programs that the machine takes, and the packages that bring them on Debian.
const PROGRAMS: [(&str, &str); 3] = [
    ("qemu-system-aarch64", "qemu-system-arm"),
    (
        "aarch64-linux-gnu-gcc",
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    ),
    ("cpio", "cpio"),
];

/// Makes what is missing, and says where it is.
pub(crate) fn ensure_made() -> Result<PathBuf> {
    for (program, packages) in PROGRAMS {
        let found = Command::new(program).arg("--version").output();
        ensure!(
            found.is_ok_and(|output| output.status.success()),
            "{program} is missing: `apt-get install {packages}`"
        );
    }
    let home = cargo::target_dir()?.join("arm64-machine");
    let mut make = Command::new("bash");
    make.args(["-c", MAKE, "arm64-machine.sh"]).arg(&home);
    cargo::run(&mut make).context("the filter of 64-bit ARM is tried on a kernel of Debian's")?;
    Ok(home)
}
