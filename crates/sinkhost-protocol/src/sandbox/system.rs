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

/// Whether a program of this path is of the system: `exec` is all it takes to start it.
#[must_use]
pub fn is_of_the_system(program: &Path) -> bool {
    PROGRAMS
        .iter()
        .chain(LIBRARIES)
        .any(|folder| program.starts_with(folder))
}
