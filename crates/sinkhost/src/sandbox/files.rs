//! Files and TCP ports, by Landlock. Knows which of the system's files no program can do without.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope, make_bitflags,
};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use watchpost_sinkhost_protocol::sandbox::{COMMON, Enforced, Grants, LIBRARIES, PROGRAMS, Part};

use super::SandboxError;

/// The newest rules asked for. Later ones exist; these are the ones this was tried with.
const NEWEST: ABI = ABI::V6;

/// Variables of the environment that name further files of this kind, and which the hub passes on.
const COMMON_VARIABLES: &[&str] = &["LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where what `/etc/resolv.conf` points to is replaced, not rewritten, when the network changes: the directory is
/// granted with it, so that names resolve afterwards too.
const RUNTIME: &str = "/run";

/// Puts the rules in force. Answers with what the kernel can do.
pub(super) fn restrict(grants: &Grants) -> Result<ABI, SandboxError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    for (ports, access) in tcp(grants) {
        if ports.is_some() {
            rules = rules.handle_access(access)?;
        }
    }
    let mut rules = rules.create()?;
    let (read, run) = (AccessFs::ReadFile | AccessFs::ReadDir, execute(grants));
    for path in LIBRARIES.iter().chain(PROGRAMS.iter().filter(|_| grants.exec)) {
        rules = allow_if_there(rules, Path::new(path), read | run)?;
    }
    for path in common() {
        rules = allow_if_there(rules, &path, read)?;
    }
    rules = allow_if_there(rules, Path::new("/dev/null"), read | writing())?;
    for path in &grants.read {
        rules = allow(rules, path, &grants.write, "read", read | run)?;
    }
    for path in &grants.write {
        rules = allow(rules, path, &grants.write, "write", read | writing())?;
    }
    for (ports, access) in tcp(grants) {
        let rule = |port| Ok::<_, landlock::RulesetError>(NetPort::new(port, access));
        rules = rules.add_rules(ports.into_iter().flatten().map(rule))?;
    }
    Ok(match rules.restrict_self()?.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => ABI::Unsupported,
    })
}

/// Notes what a kernel with these abilities enforces of these grants. `filtered`: the filter of system calls holds.
pub(super) fn account(kernel: ABI, grants: &Grants, filtered: bool, enforced: &mut Enforced) {
    let mut note = |part, since, linux: &str| {
        enforced.note(
            part,
            if kernel >= since {
                Ok(())
            } else {
                Err(needs(kernel, linux))
            },
        );
    };
    note(Part::Files, ABI::V1, "5.13");
    note(Part::Truncation, ABI::V3, "6.2");
    note(Part::DeviceControl, ABI::V5, "6.10");
    // Without any grant the filter allows no socket; with `Any` in both and none closed there is nothing to limit.
    let limited = tcp(grants).iter().any(|(ports, _)| ports.is_some());
    if limited && (grants.network() || !filtered) {
        note(Part::TcpPorts, ABI::V4, "6.7");
    }
    if grants.unix_sockets || !filtered {
        note(Part::AbstractSockets, ABI::V6, "6.12");
    }
    // The filter knows this process by its number, but not those it may start.
    if grants.exec || !filtered {
        note(Part::Signals, ABI::V6, "6.12");
    } else {
        enforced.holds(Part::Signals);
    }
}

fn needs(kernel: ABI, linux: &str) -> String {
    match kernel {
        ABI::Unsupported => {
            format!("needs Linux {linux} with Landlock; this kernel has none, or `lsm=` leaves it out")
        }
        _ => format!("needs Linux {linux}"),
    }
}

/// The ports that can be used in each way, `None` for all.
fn tcp(grants: &Grants) -> [(Option<Vec<u16>>, AccessNet); 2] {
    [
        (&grants.connect_tcp, AccessNet::ConnectTcp),
        (&grants.bind_tcp, AccessNet::BindTcp),
    ]
    .map(|(ports, access)| (ports.without(&grants.closed_tcp), access))
}

fn execute(grants: &Grants) -> BitFlags<AccessFs> {
    if grants.exec {
        AccessFs::Execute.into()
    } else {
        BitFlags::EMPTY
    }
}

/// All of writing but the making of devices.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::from_write(NEWEST) & !make_bitflags!(AccessFs::{MakeChar | MakeBlock})
}

/// The common files, those the environment names, this program (for the names in a panic's backtrace).
fn common() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = COMMON.iter().map(PathBuf::from).collect();
    for value in COMMON_VARIABLES.iter().filter_map(std::env::var_os) {
        paths.extend(std::env::split_paths(&value).filter(|path| path.is_absolute()));
    }
    paths.extend(std::env::current_exe());
    let resolver = std::fs::canonicalize("/etc/resolv.conf").ok();
    let beside = resolver.as_deref().and_then(Path::parent);
    paths.extend(
        beside
            .filter(|dir| dir.starts_with(RUNTIME) && *dir != Path::new(RUNTIME))
            .map(PathBuf::from),
    );
    paths
}

/// Allows what not every system has. What this user cannot reach needs no rule.
fn allow_if_there(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, SandboxError> {
    match open(path, &[]) {
        Ok(fd) => add(rules, fd, access),
        Err(_) => Ok(rules),
    }
}

/// Allows what the site has named.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    writable: &[PathBuf],
    list: &'static str,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, SandboxError> {
    match open(path, writable) {
        Ok(fd) => add(rules, fd, access),
        Err(source) => Err(SandboxError::Path {
            path: path.into(),
            list,
            source: source.into(),
        }),
    }
}

/// Opens a path to make a rule of it. What lies within a directory that the plugin may write to is reached from that
/// directory without following links: the plugin may have put one there, to have its next start grant it the target. It goes
/// step by step, for `openat2` is what systemd's `RestrictSUIDSGID=` takes away.
fn open(path: &Path, writable: &[PathBuf]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let within = writable
        .iter()
        .filter_map(|dir| Some((dir, path.strip_prefix(dir).ok()?)))
        .filter(|(_, rest)| !rest.as_os_str().is_empty())
        .min_by_key(|(dir, _)| dir.as_os_str().len());
    let Some((dir, rest)) = within else {
        return rustix::fs::open(path, flags, Mode::empty());
    };
    let mut reached = rustix::fs::open(dir, flags, Mode::empty())?;
    for part in rest.components() {
        let Component::Normal(name) = part else {
            return Err(Errno::XDEV);
        };
        reached = rustix::fs::openat(&reached, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        // Then it is the link itself that was opened.
        if FileType::from_raw_mode(fstat(&reached)?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
    }
    Ok(reached)
}

fn add(
    rules: RulesetCreated,
    fd: OwnedFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, SandboxError> {
    // A rule on a file may hold only what one can do to a file.
    let is_dir = fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    let access = if is_dir {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    Ok(rules.add_rule(PathBeneath::new(fd, access))?)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use watchpost_sinkhost_protocol::sandbox::Ports;

    use super::*;

    /// The parts a kernel lacks for these grants, by their names.
    fn check(kernel: ABI, grants: &Grants, filtered: bool, expected: &Expect) {
        let mut enforced = Enforced::default();
        account(kernel, grants, filtered, &mut enforced);
        let gaps: Vec<String> = enforced
            .gaps
            .iter()
            .map(|gap| format!("{:?} {}", gap.part, gap.reason))
            .collect();
        expected.assert_eq(&gaps.join("\n"));
    }

    fn some_ports() -> Grants {
        Grants {
            connect_tcp: Ports::Only(vec![25]),
            ..Grants::default()
        }
    }

    #[test]
    fn a_new_kernel_lacks_nothing() {
        for grants in [
            Grants::default(),
            some_ports(),
            Grants {
                exec: true,
                unix_sockets: true,
                ..some_ports()
            },
        ] {
            check(ABI::V6, &grants, true, &expect![""]);
        }
    }

    #[test]
    fn without_grants_the_filter_stands_in_on_an_older_kernel() {
        check(
            ABI::V2,
            &Grants::default(),
            true,
            &expect![[r#"
            Truncation needs Linux 6.2
            DeviceControl needs Linux 6.10"#]],
        );
        check(
            ABI::V2,
            &Grants::default(),
            false,
            &expect![[r#"
            Truncation needs Linux 6.2
            DeviceControl needs Linux 6.10
            TcpPorts needs Linux 6.7
            AbstractSockets needs Linux 6.12
            Signals needs Linux 6.12"#]],
        );
    }

    #[test]
    fn what_is_granted_in_part_takes_the_kernel() {
        check(
            ABI::V3,
            &some_ports(),
            true,
            &expect![[r#"
            DeviceControl needs Linux 6.10
            TcpPorts needs Linux 6.7"#]],
        );
        check(
            ABI::V5,
            &Grants {
                exec: true,
                unix_sockets: true,
                ..some_ports()
            },
            true,
            &expect![[r#"
            AbstractSockets needs Linux 6.12
            Signals needs Linux 6.12"#]],
        );
    }

    #[test]
    fn what_is_granted_in_full_needs_no_limit() {
        let any = Grants {
            connect_tcp: Ports::Any,
            bind_tcp: Ports::Any,
            ..Grants::default()
        };
        check(ABI::V3, &any, true, &expect!["DeviceControl needs Linux 6.10"]);
        let any_but_one = Grants {
            closed_tcp: vec![8787],
            ..any
        };
        check(
            ABI::V3,
            &any_but_one,
            true,
            &expect![[r#"
            DeviceControl needs Linux 6.10
            TcpPorts needs Linux 6.7"#]],
        );
    }
}
