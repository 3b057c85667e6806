//! The filter of 64-bit ARM on a kernel of that machine: a Raspberry Pi 3 that qemu emulates. qemu's emulation of single
//! programs takes no filters, so this is where the interpreter's answers are held against a kernel's.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;

/// Names the directory that `crates/xtask/src/arm64-machine.sh` has made. Without it no machine is started.
const MACHINE: &str = "WATCHPOST_ARM64_MACHINE";
/// The last number that the machine's kernel knows: it is Debian's of Linux 6.1.
const LAST_KNOWN: i64 = 450;
/// What it does not know, or not with such arguments, though the number is older.
const NOT_KNOWN: [&str; 4] = ["futex", "pkey_alloc", "pkey_free", "pkey_mprotect"];
/// Beyond all that are known.
const NUMBERS_TRIED: i64 = 480;
/// What no pointer, descriptor or process can be, so that a call that is let through ends at once and changes nothing.
const NOTHING: u64 = u64::MAX;

/// One call behind one of the filters, and what the interpreter makes of it.
struct Case {
    grants: usize,
    number: i64,
    arguments: [u64; 6],
    expected: Answer,
}

#[test]
fn a_kernel_answers_as_the_interpreter() {
    let Some(machine) = std::env::var_os(MACHINE).map(PathBuf::from) else {
        let _ = watchpost_testkit::skip_because("`cargo xtask test --long` makes the machine that it needs");
        return;
    };
    let unix = Grants {
        unix_sockets: true,
        ..Grants::default()
    };
    let grants = [Grants::default(), network(), unix, exec(), own_user()];
    let filters = grants.map(|grants| filter(&grants, &here(), TargetArch::aarch64).unwrap());
    let cases: Vec<Case> = (0..filters.len())
        .flat_map(|grants| cases(grants, &filters[grants]))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cases.h"), in_c(&filters, &cases)).unwrap();
    fs::write(dir.path().join("guest.c"), include_str!("guest.c")).unwrap();
    let answers = boot(&machine, dir.path());
    assert_eq!(answers.len(), cases.len());
    let not_known = NOT_KNOWN.map(|name| numbers::number(name, TargetArch::aarch64).unwrap());
    let mut differ = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let is_lacking = case.number > LAST_KNOWN || not_known.contains(&case.number);
        let by_kernel = is_lacking && case.expected == Done && *answer == Unknown;
        if *answer != case.expected && !by_kernel {
            differ.push(format!(
                "call {} {:x?} with grants {}: {answer:?}, expected {:?}",
                case.number, case.arguments, case.grants, case.expected
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    println!("{} calls were answered as expected", cases.len());
}

/// Each number, and the calls whose arguments decide with such as decide.
fn cases(grants: usize, filter: &[sock_filter]) -> Vec<Case> {
    let arch = TargetArch::aarch64;
    let mut calls: Vec<(i64, [u64; 6])> = (0..NUMBERS_TRIED).map(|number| (number, [NOTHING; 6])).collect();
    let named = |name: &str| numbers::number(name, arch).unwrap();
    let mut add = |name: &str, given: &[u64]| {
        let mut arguments = [0; 6];
        arguments[..given.len()].copy_from_slice(given);
        calls.push((named(name), arguments));
    };
    for family in [1, 2, 10, 15, 16, 17, 30, 31, 38, 40, 43, 44] {
        for (kind, protocol) in [
            (1, 0),
            (1, 6),
            (1, 132),
            (1, 262),
            (2, 0),
            (2, 17),
            (2, 136),
            (3, 0),
            (3, 255),
            (5, 0),
        ] {
            add("socket", &[family, kind, protocol]);
            add("socketpair", &[family, kind, protocol, NOTHING]);
        }
    }
    for command in 0..20 {
        add("fcntl", &[NOTHING, command]);
        add("fcntl", &[NOTHING, 1024 + command]);
    }
    for option in 0..80 {
        // Of one that is let through nothing is changed: the other arguments cannot be. But any slack of timers can be, and
        // the largest is given back as an error is.
        let value = if option == libc::PR_SET_TIMERSLACK as u64 {
            1
        } else {
            NOTHING
        };
        add("prctl", &[option, value, NOTHING, NOTHING, NOTHING]);
    }
    for request in [
        0x5401,
        0x5402,
        0x540e,
        0x5412,
        0x5413,
        0x541b,
        0x541c,
        0x8901,
        0x8902,
        0x8912,
        0x8914,
        0x8933,
        0x4008_6602,
        0x401c_5820,
        0xc250_b407,
    ] {
        add("ioctl", &[NOTHING, request]);
    }
    for bit in 0..32 {
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_FILES) as u64;
        // A thread without what it shares is refused by the kernel too, with another answer.
        add("clone", &[(thread & !(libc::CLONE_SIGHAND as u64)) | 1 << bit]);
        add("mmap", &[0, 0, 3, 1 << bit, NOTHING]);
        add("sendto", &[NOTHING, 0, 0, 1 << bit]);
    }
    for call in [
        "kill",
        "tgkill",
        "prlimit64",
        "sched_setaffinity",
        "sched_setscheduler",
        "setpriority",
    ] {
        for target in [0, 1, OWN, OTHER, NOTHING] {
            add(call, &[target, NOTHING, NOTHING, NOTHING]);
        }
    }
    calls
        .into_iter()
        .map(|(number, arguments)| Case {
            grants,
            number,
            arguments,
            expected: ask(filter, &seccomp_data(arch, number, arguments)),
        })
        .collect()
}

/// The very programs, and the calls.
fn in_c(filters: &[Vec<sock_filter>], cases: &[Case]) -> String {
    let mut text = String::new();
    for (index, filter) in filters.iter().enumerate() {
        write!(text, "static const struct sock_filter steps_{index}[] = {{").unwrap();
        for step in filter {
            write!(text, "{{{}, {}, {}, {}u}}, ", step.code, step.jt, step.jf, step.k).unwrap();
        }
        text.push_str("};\n");
    }
    text.push_str("static const struct program programs[] = {");
    for (index, filter) in filters.iter().enumerate() {
        write!(text, "{{steps_{index}, {}}}, ", filter.len()).unwrap();
    }
    text.push_str("};\nstatic const struct call calls[] = {\n");
    for case in cases {
        let arguments: Vec<String> = case.arguments.iter().map(|value| format!("{value}ul")).collect();
        writeln!(
            text,
            "{{{}, {}, {{{}}}}},",
            case.grants,
            case.number,
            arguments.join(", ")
        )
        .unwrap();
    }
    text.push_str("};\n");
    text
}

/// Starts the machine with this program and gives what it says of each call.
fn boot(machine: &Path, dir: &Path) -> Vec<Answer> {
    let make = "aarch64-linux-gnu-gcc -static -O1 -Wall -Werror -o init guest.c \
                && echo init | cpio --quiet -o -H newc | gzip -1 >initrd";
    let made = Command::new("sh")
        .args(["-c", make])
        .current_dir(dir)
        .status()
        .unwrap();
    assert!(made.success(), "the machine's program was not made");
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.args([
        "-M",
        "raspi3b",
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
    ])
    // The second of its serial lines is the console.
    .args(["-serial", "null", "-serial", "stdio"])
    .args(["-append", "console=ttyS1,115200 quiet panic=-1 rdinit=/init"])
    .arg("-kernel")
    .arg(machine.join("vmlinuz"))
    .arg("-dtb")
    .arg(machine.join("raspberry-pi-3b.dtb"))
    .arg("-initrd")
    .arg(dir.join("initrd"));
    let mut qemu = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    // Where the firmware's console becomes the kernel's, bytes are lost.
    let lines = BufReader::new(qemu.stdout.take().unwrap()).split(b'\n');
    let mut answers = Vec::new();
    let mut is_whole = false;
    for line in lines.map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["call", _, answer] => answers.push(match answer {
                "killed" => Answer::Killed,
                "1" => NotPermitted,
                "38" => Unknown,
                _ => Done,
            }),
            ["that", "was", "all"] => {
                is_whole = true;
                break;
            }
            _ => println!("{line}"),
        }
    }
    qemu.kill().unwrap();
    qemu.wait().unwrap();
    assert!(is_whole, "the machine ended early");
    answers
}
