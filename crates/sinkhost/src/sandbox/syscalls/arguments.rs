//! The system calls whose arguments decide: which values a sink may pass. Knows what the grants mean for them.

use std::collections::BTreeMap;

use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use watchpost_sinkhost_protocol::sandbox::Grants;

use super::Circumstances;

/// By name: rules of which one must match.
pub(super) type Rules = BTreeMap<&'static str, Vec<SeccompRule>>;

/// Low bits of a socket's type; the others are `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
const SOCKET_TYPE: u64 = 0xf;
/// Flags of what is sent: one connects past the rules for `connect`, with a TCP socket's first packet; the other takes a
/// way through the kernel that no one else takes.
const SEND_REFUSED: u64 = flags(&[0x2000_0000 /* MSG_FASTOPEN */, libc::MSG_OOB]);
/// Options of any socket by which the kernel keeps more for it than it does by itself, which no limit of a process counts.
const WIDER_BUFFERS: &[i32] = &[
    libc::SO_SNDBUF,
    libc::SO_RCVBUF,
    libc::SO_SNDBUFFORCE,
    libc::SO_RCVBUFFORCE,
];
/// The option by which whoever closes a socket last waits for its other end: the hub, where it was sent there.
const WAITING_CLOSE: i32 = libc::SO_LINGER;
/// Ways of `fallocate` for which the limit on the size of a file holds: it grows to what it takes up, or gives room back.
const FALLOCATE: &[i32] = &[0, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE];
/// Flags of `clone` that make a new view of the machine, and those that give the new process another parent or tracer.
/// `CLONE_NEWTIME` is not among them: it shares its bit with the signal number, and only `clone3` and `unshare` know it.
const CLONE_REFUSED: u64 = flags(&[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_PARENT,
    libc::CLONE_PTRACE,
]);
/// Flags of `clone` that make a thread which has the same open files as all others: they are measured.
const CLONE_THREAD: u64 = flags(&[libc::CLONE_THREAD, libc::CLONE_FILES]);
/// Of `close_range`: it gives the thread open files of its own.
const CLOSE_RANGE_UNSHARE: u64 = flags(&[libc::CLOSE_RANGE_UNSHARE as i32]);
/// `fcntl` without owners, signals, leases and notices, by which a process disturbs others.
const FCNTL: &[i32] = &[
    libc::F_DUPFD,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GET_SEALS,
];
/// `prctl` on the calling thread alone; not what keeps it from ending with its parent, nor what hides its files from who
/// measures them.
const PRCTL: &[i32] = &[
    libc::PR_GET_PDEATHSIG,
    libc::PR_GET_DUMPABLE,
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_GET_SECCOMP,
    libc::PR_CAPBSET_READ,
    libc::PR_SET_TIMERSLACK,
    libc::PR_GET_TIMERSLACK,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_SET_THP_DISABLE,
    libc::PR_GET_THP_DISABLE,
    libc::PR_SET_VMA,
];
/// `ioctl` on what any sink has: whether it is a terminal, how much there is to read, whether it blocks.
const IOCTL: &[u64] = &[0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451, 0x802c_542a];
/// `ioctl` on sockets that reads what network interfaces there are.
const IOCTL_INTERFACES: &[u64] = &[
    0x8910, 0x8912, 0x8913, 0x8915, 0x8919, 0x891b, 0x8921, 0x8927, 0x8933,
];
/// `ioctl` on a serial line: its settings, its wires, its buffers. Not what types for the user or takes terminals over.
const IOCTL_SERIAL: &[u64] = &[
    0x5402,
    0x5403,
    0x5404,
    0x5405,
    0x5406,
    0x5407,
    0x5408,
    0x5409,
    0x540a,
    0x540b,
    0x540c,
    0x540d,
    0x5411,
    0x5415,
    0x5416,
    0x5417,
    0x5418,
    0x541e,
    0x541f,
    0x5425,
    0x5427,
    0x5428,
    0x542e,
    0x542f,
    0x545c,
    0x545d,
    0x402c_542b,
    0x402c_542c,
    0x402c_542d,
];
/// Second byte of an `ioctl` on a device: I2C, sound (`A`, `H`, `M`, `P`, `Q`, `S`, `U`, `W`), input (`E`), USB (`U`),
/// video (`V`), watchdog (`W`), SPI (`k`), clock and pulse (`p`), GPIO.
const IOCTL_DEVICES: &[u64] = &[
    0x07, 0x41, 0x45, 0x48, 0x4d, 0x50, 0x51, 0x53, 0x55, 0x56, 0x57, 0x6b, 0x70, 0xb4,
];
/// `personality` that only asks.
const PERSONALITY_ASK: u64 = 0xffff_ffff;

/// The limit by which the parent knows this process and those it starts: that on message queues.
const MARK: u64 = libc::RLIMIT_MSGQUEUE as u64;

/// The rules for these grants.
pub(super) fn rules(grants: &Grants, here: &Circumstances) -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    rules.insert("fcntl", any_of(1, FCNTL.iter().map(|n| number(*n)))?);
    rules.insert("prctl", prctl()?);
    rules.insert("ioctl", ioctl(grants, here)?);
    rules.insert("personality", vec![rule([equal(0, PERSONALITY_ASK)])?]);
    rules.insert("socketpair", pairs(grants)?);
    rules.insert("socket", sockets(grants)?);
    for (call, argument) in [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)] {
        rules.insert(call, vec![rule([without(argument, SEND_REFUSED)])?]);
    }
    rules.insert("fallocate", any_of(1, FALLOCATE.iter().map(|n| number(*n)))?);
    rules.insert("setsockopt", own_options()?);
    rules.insert("setrlimit", vec![rule([unequal(0, MARK)])?]);
    rules.insert("prlimit64", own_limits(here.pid)?);
    rules.insert("setpriority", vec![rule([equal(0, 0), equal(1, 0)])?]);
    for call in [
        "sched_setaffinity",
        "sched_setattr",
        "sched_setparam",
        "sched_setscheduler",
    ] {
        rules.insert(call, vec![rule([equal(0, 0)])?]);
    }
    if grants.exec {
        rules.insert("clone", vec![rule([without(0, CLONE_REFUSED)])?]);
        rules.insert("mmap", vec![rule([without(3, number(libc::MAP_GROWSDOWN))])?]);
    } else {
        rules.insert("close_range", vec![rule([without(2, CLOSE_RANGE_UNSHARE)])?]);
        rules.insert(
            "clone",
            vec![rule([without(0, CLONE_REFUSED), with(0, CLONE_THREAD)])?],
        );
        rules.insert("mmap", private_or_of_a_file()?);
        for call in ["kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"] {
            rules.insert(call, vec![rule([equal(0, here.pid)])?]);
        }
    }
    Ok(rules)
}

/// Options of another level, and those of sockets but for some.
fn own_options() -> Result<Vec<SeccompRule>, BackendError> {
    let level = number(libc::SOL_SOCKET);
    let mut conditions = vec![equal(1, level)];
    let refused = WIDER_BUFFERS.iter().chain(&[WAITING_CLOSE]);
    conditions.extend(refused.map(|option| unequal(2, number(*option))));
    let conditions = conditions.into_iter().collect::<Result<_, _>>()?;
    Ok(vec![rule([unequal(1, level)])?, SeccompRule::new(conditions)?])
}

/// A program that a sink starts may be made to end with it, and nothing may be made to outlive its parent.
fn prctl() -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = any_of(0, PRCTL.iter().map(|n| number(*n)))?;
    let ends_with_parent = [
        equal(0, number(libc::PR_SET_PDEATHSIG)),
        equal(1, number(libc::SIGKILL)),
    ];
    rules.push(rule(ends_with_parent)?);
    Ok(rules)
}

/// Not those of another process of this user, the hub for one; and not the one that it is known by, which it may read.
fn own_limits(pid: u64) -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = Vec::new();
    for own in [0, pid] {
        rules.push(rule([equal(0, own), unequal(1, MARK)])?);
        let no_new_limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0);
        rules.push(rule([equal(0, own), no_new_limit])?);
    }
    Ok(rules)
}

/// Memory that is shared and of no file is bounded by no limit of a process; threads share what is private. What grows
/// downwards counts as a stack and not as memory, for everybody.
fn private_or_of_a_file() -> Result<Vec<SeccompRule>, BackendError> {
    Ok(vec![
        rule([without(3, number(libc::MAP_ANONYMOUS))])?,
        rule([
            without(3, flags(&[libc::MAP_SHARED, libc::MAP_GROWSDOWN])),
            with(3, number(libc::MAP_PRIVATE)),
        ])?,
    ])
}

/// A pair is connected, but for one of datagrams, which takes an address with each: whoever listens for datagrams on this
/// machine, such as the log, would be reached without a grant. Raw ones are datagrams to the kernel.
fn pairs(grants: &Grants) -> Result<Vec<SeccompRule>, BackendError> {
    let mut kinds = vec![libc::SOCK_STREAM, libc::SOCK_SEQPACKET];
    kinds.extend(grants.unix_sockets.then_some(libc::SOCK_DGRAM));
    let of = |kind| {
        let kind = condition(1, SeccompCmpOp::MaskedEq(SOCKET_TYPE), number(kind));
        rule([equal(0, number(libc::AF_UNIX)), kind])
    };
    kinds.into_iter().map(of).collect()
}

/// A family, a type and a protocol: `MPTCP` and `SCTP` have rules of their own in no kernel's Landlock.
fn sockets(grants: &Grants) -> Result<Vec<SeccompRule>, BackendError> {
    let mut allowed: Vec<(i32, i32, i32)> = Vec::new();
    if grants.unix_sockets {
        allowed.extend(
            [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET].map(|kind| (libc::AF_UNIX, kind, 0)),
        );
    }
    if grants.network() {
        for family in [libc::AF_INET, libc::AF_INET6] {
            allowed.extend([0, libc::IPPROTO_TCP].map(|protocol| (family, libc::SOCK_STREAM, protocol)));
            allowed.extend([0, libc::IPPROTO_UDP].map(|protocol| (family, libc::SOCK_DGRAM, protocol)));
        }
        // How the C library asks for this machine's addresses when it looks up a name.
        allowed.extend(
            [libc::SOCK_RAW, libc::SOCK_DGRAM].map(|kind| (libc::AF_NETLINK, kind, libc::NETLINK_ROUTE)),
        );
    }
    let of = |(family, kind, protocol): (i32, i32, i32)| {
        let kind = condition(1, SeccompCmpOp::MaskedEq(SOCKET_TYPE), number(kind));
        rule([equal(0, number(family)), kind, equal(2, number(protocol))])
    };
    allowed.into_iter().map(of).collect()
}

fn ioctl(grants: &Grants, here: &Circumstances) -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = any_of(1, IOCTL.iter().copied())?;
    if grants.network() {
        rules.extend(any_of(1, IOCTL_INTERFACES.iter().copied())?);
    }
    if here.devices {
        rules.extend(any_of(1, IOCTL_SERIAL.iter().copied())?);
        for kind in IOCTL_DEVICES {
            rules.push(rule([condition(1, SeccompCmpOp::MaskedEq(0xff00), kind << 8)])?);
        }
    }
    Ok(rules)
}

/// One rule for each value of the argument.
fn any_of(argument: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>, BackendError> {
    values
        .into_iter()
        .map(|value| rule([equal(argument, value)]))
        .collect()
}

type Condition = Result<SeccompCondition, BackendError>;

fn rule<const N: usize>(conditions: [Condition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

fn equal(argument: u8, value: u64) -> Condition {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn unequal(argument: u8, value: u64) -> Condition {
    condition(argument, SeccompCmpOp::Ne, value)
}

/// All of these bits.
fn with(argument: u8, bits: u64) -> Condition {
    condition(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

/// None of these bits.
fn without(argument: u8, bits: u64) -> Condition {
    condition(argument, SeccompCmpOp::MaskedEq(bits), 0)
}

/// On 32 bits: the kernel takes these arguments for ints, and the rest of the register may hold anything.
fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)
}

fn number(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

const fn flags(flags: &[i32]) -> u64 {
    let mut all = 0;
    let mut index = 0;
    while index < flags.len() {
        all |= flags[index].cast_unsigned() as u64;
        index += 1;
    }
    all
}
