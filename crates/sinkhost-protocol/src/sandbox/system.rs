//! Where a Linux system keeps its libraries and programs.

use std::path::Path;

/// Where libraries lie, and programs that others start for themselves.
pub const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/nix/store",
    "/gnu/store",
];

/// Where programs lie.
pub const PROGRAMS: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// What the C library and every TLS library read: linking, names, time, certificates, numbers of processors.
/// Keys (`/etc/ssl/private`) and the rest of `/etc`, where passwords stand, are not among them. Every sink
/// may read them, as far as they are there when it starts.
pub const COMMON: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
];

/// Whether a program of this path is of the system: `exec` is all it takes to start it.
#[must_use]
pub fn is_of_the_system(program: &Path) -> bool {
    PROGRAMS
        .iter()
        .chain(LIBRARIES)
        .any(|folder| program.starts_with(folder))
}
