//! What the tests need from the system: how to see that it is there, and which packages bring it.
//!
//! Only what the tests run is listed; what the product needs to run belongs into the README. It installs nothing.

use std::path::Path;
use std::process::{Command, Stdio};

/// Distributions whose packages are named, with the command that installs them, in the order of [`Need::packages`].
pub(crate) const DISTRIBUTIONS: [(&str, &str); 3] = [
    ("Debian", "apt-get install"),
    ("Fedora", "dnf install"),
    ("Arch", "pacman -S --needed"),
];

/// Without these nothing is built; they are no reason to skip a test but one to stop.
pub(crate) const COMPILER: &str = "a C compiler";

/// ALSA's headers, without which the sound sink is left out of what is built.
pub(crate) const ALSA: &str = "alsa";

/// The environment with packages from PyPI, see `python.rs`.
pub(crate) const PYTHON: &str = "python";

/// The virtual machine with GPIO lines, see `gpio_machine.rs`.
pub(crate) const GPIO_MACHINE: &str = "gpio-machine";

/// Something a test cannot do without.
#[derive(Debug)]
pub(crate) struct Need {
    /// By this name tests ask for it. What has the same name is needed together.
    pub(crate) name: &'static str,
    /// The package that brings it, one for each of [`DISTRIBUTIONS`]; empty where there is none.
    pub(crate) packages: [&'static str; 3],
    /// What cannot run without it, in words for the person who has to install it by hand.
    pub(crate) needed_by: &'static str,
    /// How to see that it is there, from whatever package or source it came.
    pub(crate) sign: Sign,
}

/// Evidence that a need is met.
#[derive(Debug)]
pub(crate) enum Sign {
    /// The program starts and exits with 0 for these arguments.
    Runs(&'static str, &'static [&'static str]),
    /// A program of this name lies where root or a user looks for programs.
    Program(&'static str),
    /// The file exists.
    File(&'static str),
    /// This is root's process.
    Root,
}

/// Everything the tests ask for.
pub(crate) const NEEDS: &[Need] = &[
    Need {
        name: COMPILER,
        packages: ["gcc", "gcc", "gcc"],
        needed_by: "the plugin header's C11 test, plugins written in C, and Rust's own linking",
        sign: Sign::Runs("cc", &["--version"]),
    },
    Need {
        name: COMPILER,
        packages: ["g++", "gcc-c++", "gcc"],
        needed_by: "the plugin header's C++17 test",
        sign: Sign::Runs("c++", &["--version"]),
    },
    Need {
        name: COMPILER,
        packages: ["libc6-dev", "glibc-devel", "glibc"],
        needed_by: "everything that is compiled from C: the header tests and the bundled SQLite",
        sign: Sign::File("/usr/include/stdio.h"),
    },
    Need {
        name: ALSA,
        packages: ["libasound2-dev", "alsa-lib-devel", "alsa-lib"],
        needed_by: "the sound sink, to build it and to play",
        sign: Sign::File("/usr/include/alsa/asoundlib.h"),
    },
    Need {
        name: ALSA,
        packages: ["pkg-config", "pkgconf-pkg-config", "pkgconf"],
        needed_by: "building the sound sink",
        sign: Sign::Runs("pkg-config", &["--version"]),
    },
    Need {
        name: GPIO_MACHINE,
        packages: ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"],
        needed_by: "the machine with GPIO lines that the GPIO sink is tested in",
        sign: Sign::Program("qemu-system-x86_64"),
    },
    Need {
        name: GPIO_MACHINE,
        packages: ["linux-headers-amd64", "", ""],
        needed_by: "that machine's kernel, which is the one of Debian 12",
        sign: Sign::Runs("sh", &["-c", "ls -d /usr/src/linux-headers-6.1.*-amd64"]),
    },
    Need {
        name: GPIO_MACHINE,
        packages: ["busybox-static", "busybox", "busybox"],
        needed_by: "that machine's programs",
        sign: Sign::Runs("/bin/busybox", &["true"]),
    },
    Need {
        name: GPIO_MACHINE,
        packages: ["cpio", "cpio", "cpio"],
        needed_by: "that machine's memory",
        sign: Sign::Program("cpio"),
    },
    Need {
        name: GPIO_MACHINE,
        packages: ["make", "make", "make"],
        needed_by: "that machine's GPIO lines",
        sign: Sign::Program("make"),
    },
    Need {
        name: GPIO_MACHINE,
        packages: ["xz-utils", "xz", "xz"],
        needed_by: "that machine's GPIO lines",
        sign: Sign::Program("xz"),
    },
    Need {
        name: PYTHON,
        packages: ["python3-venv", "python3", "python"],
        needed_by: "the servers that some tests talk to, such as a mail server",
        sign: Sign::Runs("python3", &["-c", "import ensurepip, venv"]),
    },
    Need {
        name: "faketime",
        packages: ["faketime", "libfaketime", "libfaketime"],
        needed_by: "hubs whose clock is set while they run",
        sign: Sign::Program("faketime"),
    },
    Need {
        name: "nginx",
        packages: ["nginx-light", "nginx", "nginx"],
        needed_by: "the reverse proxy that the connection to a backend goes through",
        sign: Sign::Program("nginx"),
    },
    Need {
        name: "mosquitto",
        packages: ["mosquitto", "mosquitto", "mosquitto"],
        needed_by: "the broker that the MQTT sink publishes to",
        sign: Sign::Program("mosquitto"),
    },
    Need {
        name: "mosquitto",
        packages: ["mosquitto-clients", "mosquitto", "mosquitto"],
        needed_by: "the subscriber that sees what the MQTT sink publishes",
        sign: Sign::Program("mosquitto_sub"),
    },
    Need {
        name: "systemd",
        packages: ["systemd-container", "systemd-container", "systemd"],
        needed_by: "the machine that the README's installation is tried in",
        sign: Sign::Program("systemd-nspawn"),
    },
    Need {
        name: "systemd",
        packages: ["util-linux", "util-linux", "util-linux"],
        needed_by: "that machine, which is set up apart from this one",
        sign: Sign::Program("unshare"),
    },
    Need {
        name: "systemd",
        packages: ["", "", ""],
        needed_by: "that machine, which takes root",
        sign: Sign::Root,
    },
];

/// Where programs lie, also those that only root has on its path.
const PROGRAM_DIRS: [&str; 5] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"];

/// What is not there now.
pub(crate) fn missing() -> Vec<&'static Need> {
    missing_of(NEEDS, is_there)
}

fn missing_of(needs: &[Need], is_there: impl Fn(&Sign) -> bool) -> Vec<&Need> {
    needs.iter().filter(|need| !is_there(&need.sign)).collect()
}

pub(crate) fn is_there(sign: &Sign) -> bool {
    match sign {
        Sign::Runs(program, args) => runs(program, args),
        Sign::Program(name) => PROGRAM_DIRS.iter().any(|dir| Path::new(dir).join(name).exists()),
        Sign::File(path) => Path::new(path).exists(),
        Sign::Root => effective_user_is_root(),
    }
}

/// Whether the program starts and exits with 0.
pub(crate) fn runs(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

pub(crate) fn effective_user_is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The packages of these needs in one of [`DISTRIBUTIONS`], each once.
pub(crate) fn packages(needs: &[&Need], distribution: usize) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for package in needs
        .iter()
        .filter_map(|need| need.packages.get(distribution).copied())
    {
        if !package.is_empty() && !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

/// What is missing, who needs it, and the command that installs it, for each distribution: which one this is can be
/// told by nothing that a derived distribution would not have too.
pub(crate) fn explain(missing: &[&Need]) -> String {
    let mut text = String::from("missing:\n");
    for need in missing {
        let sign = match need.sign {
            Sign::Runs(program, _) | Sign::Program(program) | Sign::File(program) => program,
            Sign::Root => "root",
        };
        text += &format!("  {sign:<20} needed by {}\n", need.needed_by);
    }
    text += "what brings it:\n";
    for (index, (distribution, command)) in DISTRIBUTIONS.iter().enumerate() {
        let packages = packages(missing, index);
        if !packages.is_empty() {
            text += &format!("  {distribution:<6}  sudo {command} {}\n", packages.join(" "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_reason_and_its_packages() {
        let absent = ["c++", "mosquitto_sub", "mosquitto"];
        let lacking = missing_of(
            NEEDS,
            |sign| !matches!(sign, Sign::Runs(name, _) | Sign::Program(name) if absent.contains(name)),
        );
        expect![[r#"
            missing:
              c++                  needed by the plugin header's C++17 test
              mosquitto            needed by the broker that the MQTT sink publishes to
              mosquitto_sub        needed by the subscriber that sees what the MQTT sink publishes
            what brings it:
              Debian  sudo apt-get install g++ mosquitto mosquitto-clients
              Fedora  sudo dnf install gcc-c++ mosquitto
              Arch    sudo pacman -S --needed gcc mosquitto
        "#]]
        .assert_eq(&explain(&lacking));
    }

    #[test]
    fn nothing_is_missing_where_every_sign_is_seen() {
        assert!(missing_of(NEEDS, |_| true).is_empty());
    }

    #[test]
    fn signs_are_read_from_the_system() {
        assert!(is_there(&Sign::Runs("true", &[])));
        assert!(!is_there(&Sign::Runs("false", &[])));
        assert!(!is_there(&Sign::Runs("no-such-program-here", &[])));
        assert!(is_there(&Sign::Program("sh")));
        assert!(!is_there(&Sign::Program("no-such-program-here")));
        assert!(is_there(&Sign::File("/")));
        assert!(!is_there(&Sign::File("/no/such/file")));
    }
}
