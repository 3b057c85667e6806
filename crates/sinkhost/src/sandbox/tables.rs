//! The system calls no sink needs. Knows their numbers and why each is refused, not how.

use libc::c_long;
use seccompiler::{BpfProgram, TargetArch};

/// The machine this is built for, where its calls are known.
pub(super) const ARCH: Option<TargetArch> = if cfg!(target_arch = "x86_64") {
    Some(TargetArch::x86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(TargetArch::aarch64)
} else {
    None
};

/// Calls that are answered as if the kernel did not have them, so that libraries take their older way.
pub(super) const UNKNOWN: &[c_long] = &[libc::SYS_clone3];

/// Calls that are refused whatever is granted.
pub(super) const REFUSED: &[c_long] = &[
    // Looking into other processes, the hub for one, and changing them.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_perf_event_open,
    // Programs in the kernel, and its favourite ways to be broken into.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // A queue of system calls that no filter sees.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Another view of the file system or of the machine.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_unshare,
    libc::SYS_setns,
    // The machine itself.
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Calls that start programs or processes, besides `clone`.
pub(super) const STARTING_PROGRAMS: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Calls that signal a process, which is their first argument.
pub(super) const SIGNALLING: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
];

/// Calls that signal something of which the filter cannot tell the process.
pub(super) const SIGNALLING_ANY: &[c_long] = &[libc::SYS_tkill, libc::SYS_pidfd_send_signal];

/// Flags of `clone` that make a new view of the machine. `CLONE_NEWTIME` is none of them: it shares its bit with
/// the signal number, and only `clone3` and `unshare` know it.
pub(super) const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Filters against numbers that are not in these tables.
///
/// On x86-64 a kernel may offer every call a second time, under a number with this bit set (the x32 ABI). The i386
/// numbers need no filter of their own: the ones built from the tables end a process that uses another architecture.
#[cfg(target_arch = "x86_64")]
pub(super) fn other_numbering() -> Vec<BpfProgram> {
    use seccompiler::sock_filter;

    const X32_BIT: u32 = 0x4000_0000;
    let code = |code: u32| u16::try_from(code).unwrap_or_default();
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let answer = code(libc::BPF_RET | libc::BPF_K);
    vec![vec![
        // The number is the first field of what a filter sees.
        step(code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), 0, 0, 0),
        step(code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K), 0, 1, X32_BIT),
        step(
            answer,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        ),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]]
}

/// Other machines have one numbering.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn other_numbering() -> Vec<BpfProgram> {
    Vec::new()
}
