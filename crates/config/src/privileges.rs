//! Whether this process can start others that run as another user. Knows capabilities by their numbers: see
//! capabilities(7).

use std::fs;

use rustix::process::geteuid;

/// What it takes: to become another user with its groups, to give it its directory and look into that, and to end its
/// processes.
const NEEDED: [(u32, &str); 5] = [
    (0, "CAP_CHOWN"),
    (1, "CAP_DAC_OVERRIDE"),
    (5, "CAP_KILL"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
];

/// The capabilities that this process lacks to start others that run as another user.
#[must_use]
pub fn missing_privileges() -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    missing(&status, geteuid().is_root())
}

/// What is missing by `/proc/self/status`. What the processes have that it starts is what is effective for root, and for
/// others what is ambient.
fn missing(status: &str, root: bool) -> Vec<&'static str> {
    let set = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
            .unwrap_or(0)
    };
    let has = if root {
        set("CapEff:") & set("CapBnd:")
    } else {
        set("CapEff:") & set("CapAmb:")
    };
    let lacks = |(number, _): &(u32, &str)| has >> number & 1 == 0;
    NEEDED.into_iter().filter(lacks).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(effective: u64, bounding: u64, ambient: u64, root: bool, expected: &[&str]) {
        let status = format!(
            "Uid:\t0\nCapInh:\t0\nCapPrm:\t{effective:016x}\nCapEff:\t{effective:016x}\nCapBnd:\t{bounding:016x}\nCapAmb:\t{ambient:016x}\n"
        );
        assert_eq!(missing(&status, root), expected, "{status}");
    }

    #[test]
    fn what_children_would_have_decides() {
        let (all, none) = (u64::MAX, 0);
        check(all, all, none, true, &[]);
        // Docker's usual set.
        check(0xa804_25fb, 0xa804_25fb, none, true, &[]);
        check(all & !(1 << 7), all, none, true, &["CAP_SETUID"]);
        check(all, all & !1, none, true, &["CAP_CHOWN"]);
        // The packaged service.
        let names = [
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_KILL",
            "CAP_SETGID",
            "CAP_SETUID",
        ];
        check(none, none, none, false, &names);
        check(0xe3, all, none, false, &names);
        check(0xe3, 0xe3, 0xe3, false, &[]);
    }
}
