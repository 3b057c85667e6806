//! Kernels that lack a part: what is said, and what is refused.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use watchpost_sinkhost_protocol::sandbox::{Grants, Ports};

use crate::support::{child, on_kernel_without, ports, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("kernel::this_one_has_it_all", this_one_has_it_all),
        trial(
            "kernel::a_gap_is_reported_and_the_rest_holds",
            a_gap_is_reported_and_the_rest_holds,
        ),
        trial("kernel::an_old_one_is_told_apart", an_old_one_is_told_apart),
        trial("kernel::require_refuses_a_gap", require_refuses_a_gap),
    ]
}

/// Makes this kernel one that has never heard of these system calls: a filter answers for it.
pub(crate) fn forget(calls: &str) {
    let number = |name: &str| match name {
        "landlock" => libc::SYS_landlock_create_ruleset,
        "seccomp" => libc::SYS_seccomp,
        "close_range" => libc::SYS_close_range,
        _ => panic!("no call is known as {name}"),
    };
    let rules: BTreeMap<_, _> = calls
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| (number(name), Vec::new()))
        .collect();
    if rules.is_empty() {
        return;
    }
    let answer = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().expect("a machine with filters");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).expect("a good filter");
    apply_filter(&BpfProgram::try_from(filter).expect("a small filter")).expect("a kernel with filters");
}

fn all_kinds() -> [Grants; 3] {
    let network = Grants {
        connect_tcp: ports(&[25]),
        unix_sockets: true,
        ..Grants::default()
    };
    let all = Grants {
        exec: true,
        connect_tcp: Ports::Any,
        bind_tcp: Ports::Any,
        ..network.clone()
    };
    [Grants::default(), network, all]
}

fn this_one_has_it_all() {
    for grants in all_kinds() {
        assert_eq!(
            child(
                &Grants {
                    require: true,
                    ..grants
                },
                "nothing"
            )
            .report,
            "the sandbox holds"
        );
    }
}

fn a_gap_is_reported_and_the_rest_holds() {
    let said = on_kernel_without("landlock", &Grants::default(), "read /etc/passwd");
    assert_eq!(said.deed, "ok");
    assert_eq!(
        said.report,
        "the sandbox lacks limits on files (needs Linux 5.13 with Landlock; this kernel has none, or `lsm=` leaves it \
         out), limits on truncating files (needs Linux 6.2 with Landlock; this kernel has none, or `lsm=` leaves it \
         out), limits on controlling devices (needs Linux 6.10 with Landlock; this kernel has none, or `lsm=` leaves \
         it out)"
    );
    // The filter stands in where it can.
    for act in ["fork", "udp", "signal 1"] {
        assert_eq!(
            on_kernel_without("landlock", &Grants::default(), act).deed,
            "EPERM",
            "{act}"
        );
    }
}

fn an_old_one_is_told_apart() {
    let said = on_kernel_without("seccomp", &Grants::default(), "fork");
    assert_eq!(
        said.report,
        "the sandbox lacks limits on sockets (the kernel takes no filter of system calls: Function not implemented \
         (os error 38)), limits on system calls (the kernel takes no filter of system calls: Function not implemented \
         (os error 38))"
    );
    assert_eq!(said.deed, "ok");
    assert_eq!(
        on_kernel_without("seccomp", &Grants::default(), "read /etc/passwd").deed,
        "EACCES"
    );
    let said = on_kernel_without("close_range", &Grants::default(), "nothing");
    assert_eq!(
        said.report,
        "the sandbox lacks closing inherited descriptors (needs Linux 5.9)"
    );
}

fn require_refuses_a_gap() {
    let strict = Grants {
        require: true,
        ..Grants::default()
    };
    let said = on_kernel_without("close_range", &strict, "nothing");
    assert_eq!(
        said.report,
        "the sandbox lacks closing inherited descriptors (needs Linux 5.9); update the kernel, or take back `require` (or `require_sandbox`) to run without"
    );
    assert_eq!(said.deed, "");
}
