//! What the tests need from the system, and how to get it from Debian.
//!
//! Only tools the tests run are listed; what the product needs to run belongs into the README.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::cargo;

/// Something Debian packages that a test cannot do without.
#[derive(Debug)]
struct Need {
    /// The Debian package that brings it.
    package: &'static str,
    /// What fails without it, in words for the person who has to install it by hand.
    needed_by: &'static str,
    /// How to see that it is there, from whatever package or source it came.
    sign: Sign,
}

/// Evidence that a need is met.
#[derive(Debug)]
enum Sign {
    /// The program starts and exits with 0 for these arguments.
    Runs(&'static str, &'static [&'static str]),
    /// The file exists.
    File(&'static str),
}

const NEEDS: &[Need] = &[
    Need {
        package: "gcc",
        needed_by: "the plugin header's C11 test, plugins written in C, and Rust's own linking",
        sign: Sign::Runs("cc", &["--version"]),
    },
    Need {
        package: "g++",
        needed_by: "the plugin header's C++17 test",
        sign: Sign::Runs("c++", &["--version"]),
    },
    Need {
        package: "libc6-dev",
        needed_by: "everything that is compiled from C: the header tests and the bundled SQLite",
        sign: Sign::File("/usr/include/stdio.h"),
    },
    Need {
        package: "libasound2-dev",
        needed_by: "the sound sink, to build it and to play",
        sign: Sign::File("/usr/include/alsa/asoundlib.h"),
    },
    Need {
        package: "pkg-config",
        needed_by: "building the sound sink",
        sign: Sign::Runs("pkg-config", &["--version"]),
    },
    Need {
        package: "qemu-system-x86",
        needed_by: "the machine with GPIO lines that the GPIO sink is tested in",
        sign: Sign::File("/usr/bin/qemu-system-x86_64"),
    },
    Need {
        package: "linux-headers-amd64",
        needed_by: "that machine's kernel",
        sign: Sign::Runs("sh", &["-c", "ls -d /usr/src/linux-headers-*-amd64"]),
    },
    Need {
        package: "busybox-static",
        needed_by: "that machine's programs",
        sign: Sign::Runs("/bin/busybox", &["true"]),
    },
    Need {
        package: "cpio",
        needed_by: "that machine's memory",
        sign: Sign::Runs("cpio", &["--version"]),
    },
    Need {
        package: "make",
        needed_by: "that machine's GPIO lines",
        sign: Sign::Runs("make", &["--version"]),
    },
    Need {
        package: "xz-utils",
        needed_by: "that machine's GPIO lines",
        sign: Sign::Runs("xz", &["--version"]),
    },
    Need {
        package: "python3-venv",
        needed_by: "the servers that some tests talk to, such as a mail server",
        sign: Sign::Runs("python3", &["-c", "import ensurepip, venv"]),
    },
    Need {
        package: "nginx-light",
        needed_by: "the reverse proxy that the connection to a backend goes through",
        sign: Sign::File("/usr/sbin/nginx"),
    },
    Need {
        package: "mosquitto",
        needed_by: "the broker that the MQTT sink publishes to",
        sign: Sign::File("/usr/sbin/mosquitto"),
    },
    Need {
        package: "mosquitto-clients",
        needed_by: "the subscriber that sees what the MQTT sink publishes",
        sign: Sign::File("/usr/bin/mosquitto_sub"),
    },
];

/// Makes sure every need is met: looks, installs what is missing where that is possible, looks again.
///
/// Fails with the list of what is missing, who needs it and the command that installs it.
pub(crate) fn ensure_installed() -> Result<()> {
    if missing(NEEDS, is_there).is_empty() {
        return Ok(());
    }
    let obstacle = install(&missing(NEEDS, is_there)).err();
    let still_missing = missing(NEEDS, is_there);
    if still_missing.is_empty() {
        return Ok(());
    }
    bail!(explain(&still_missing, obstacle.as_ref()))
}

fn is_there(sign: &Sign) -> bool {
    match sign {
        Sign::Runs(program, args) => {
            let status = Command::new(program)
                .args(*args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        }
        Sign::File(path) => Path::new(path).exists(),
    }
}

fn missing(needs: &[Need], is_there: impl Fn(&Sign) -> bool) -> Vec<&Need> {
    needs.iter().filter(|need| !is_there(&need.sign)).collect()
}

/// Installs with apt-get; a failure says why it was not possible.
fn install(needs: &[&Need]) -> Result<()> {
    let packages: Vec<&str> = needs.iter().map(|need| need.package).collect();
    println!("    installing {}", packages.join(", "));
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("this system has no apt-get");
    }
    let first = cargo::run(
        apt_get(&packages)?
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&packages),
    );
    if first.is_ok() {
        return Ok(());
    }
    // A fresh container has no package lists, a stale one points to versions that are gone.
    cargo::run(apt_get(&packages)?.arg("update"))?;
    cargo::run(
        apt_get(&packages)?
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&packages),
    )
}

/// `apt-get` as root, or through a sudo that asks no questions.
fn apt_get(packages: &[&str]) -> Result<Command> {
    let mut command = if effective_user_is_root() {
        Command::new("apt-get")
    } else if is_there(&Sign::Runs("sudo", &["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!(
            "installing {} takes root, or a sudo that works without a password",
            packages.join(", ")
        )
    };
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    Ok(command)
}

fn effective_user_is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn explain(missing: &[&Need], obstacle: Option<&anyhow::Error>) -> String {
    let mut text = String::from("the tests cannot run here; missing:\n");
    for need in missing {
        text += &format!("  {:<10} needed by {}\n", need.package, need.needed_by);
    }
    if let Some(obstacle) = obstacle {
        text += &format!("not installed by itself: {obstacle:#}\n");
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    text + &format!("install by hand: sudo apt-get install {}", packages.join(" "))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_reason_and_its_hint() {
        let lacking = missing(NEEDS, |sign| !matches!(sign, Sign::Runs("c++", _)));
        let obstacle = anyhow::anyhow!("this system has no apt-get");
        expect![[r#"
            the tests cannot run here; missing:
              g++        needed by the plugin header's C++17 test
            not installed by itself: this system has no apt-get
            install by hand: sudo apt-get install g++"#]]
        .assert_eq(&explain(&lacking, Some(&obstacle)));
    }

    #[test]
    fn nothing_is_missing_where_every_sign_is_seen() {
        assert!(missing(NEEDS, |_| true).is_empty());
    }

    #[test]
    fn signs_are_read_from_the_system() {
        assert!(is_there(&Sign::Runs("true", &[])));
        assert!(!is_there(&Sign::Runs("false", &[])));
        assert!(!is_there(&Sign::Runs("no-such-program-here", &[])));
        assert!(is_there(&Sign::File("/")));
        assert!(!is_there(&Sign::File("/no/such/file")));
    }
}
