//! The child's side: sandboxed, do one deed, say what came of it.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::Command;

use watchpost_sinkhost::sandbox;

use crate::kernel;

/// Environment: the deed and its arguments, separated by blanks. Its presence makes this process a child.
pub(crate) const DEED: &str = "SANDBOX_TEST_DEED";
/// Environment: the grants as JSON.
pub(crate) const GRANTS: &str = "SANDBOX_TEST_GRANTS";
/// Environment: system calls this kernel shall not have.
pub(crate) const KERNEL_LACKS: &str = "SANDBOX_TEST_KERNEL_LACKS";

pub(crate) fn is_child() -> bool {
    std::env::var_os(DEED).is_some()
}

/// Never comes back.
pub(crate) fn run() -> ! {
    let var = |name| std::env::var(name).unwrap_or_default();
    let grants = serde_json::from_str(&var(GRANTS)).expect("the test passes grants");
    let deed = var(DEED);
    let words: Vec<&str> = deed.split(' ').collect();
    kernel::forget(&var(KERNEL_LACKS));
    prepare(&words);
    match sandbox::apply(&grants, &[]) {
        Ok(enforced) => say(&enforced.to_string()),
        Err(error) => {
            say(&error.to_string());
            std::process::exit(1);
        }
    }
    match perform(&words) {
        Ok(None) => say("ok"),
        Ok(Some(text)) => say(&format!("ok: {text}")),
        Err(error) => say(&name(&error)),
    }
    std::process::exit(0)
}

/// What some deeds need from before the sandbox.
fn prepare(words: &[&str]) {
    match *words {
        ["have-thread"] => drop(std::thread::spawn(std::thread::park)),
        ["descriptors", path] => std::mem::forget(File::open(path)),
        _ => {}
    }
}

fn perform(words: &[&str]) -> io::Result<Option<String>> {
    let done = |()| None;
    match *words {
        ["nothing" | "have-thread"] => Ok(None),
        ["read", path] => fs::read(path).map(|_| None),
        ["list", path] => fs::read_dir(path).map(|_| None),
        ["write", path] => fs::write(path, "x").map(done),
        ["truncate", path] => truncate(path).map(done),
        ["delete", path] => fs::remove_file(path).map(done),
        ["rename", from, to] => fs::rename(from, to).map(done),
        ["mkdir", path] => fs::create_dir(path).map(done),
        ["device", path] => device(path).map(done),
        ["null"] => OpenOptions::new()
            .write(true)
            .open("/dev/null")?
            .write_all(b"x")
            .map(done),
        ["connect", port] => TcpStream::connect(("127.0.0.1", number(port))).map(|_| None),
        ["connect6", port] => TcpStream::connect(("::1", number(port))).map(|_| None),
        ["listen", port] => TcpListener::bind(("127.0.0.1", number(port))).map(|_| None),
        ["udp"] => UdpSocket::bind("127.0.0.1:0").map(|_| None),
        ["packet-socket"] => call(libc::SYS_socket, [17, 3, 0]),
        ["unix", path] => UnixStream::connect(path).map(|_| None),
        ["abstract", name] => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(|_| None),
        ["pair"] => UnixStream::pair().map(|_| None),
        ["resolve", name] => resolve(name),
        ["thread"] => std::thread::Builder::new()
            .spawn(|| ())?
            .join()
            .map(|()| None)
            .map_err(|_| io::Error::other("?")),
        ["run", program] => Command::new(program)
            .status()
            .map(|status| Some(status.to_string())),
        ["fork"] => fork().map(done),
        ["ptrace"] => call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0]),
        ["peek", pid] => call(libc::SYS_process_vm_readv, [number::<i64>(pid), 0, 0]),
        ["mount"] => call(libc::SYS_mount, [0, 0, 0]),
        ["namespace"] => call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0]),
        ["clone-namespace"] => call(
            libc::SYS_clone,
            [(libc::CLONE_NEWUSER | libc::SIGCHLD).into(), 0, 0],
        ),
        ["clone3"] => call(libc::SYS_clone3, [0, 0, 0]),
        ["uring"] => call(libc::SYS_io_uring_setup, [1, 0, 0]),
        ["set-clock"] => call(libc::SYS_clock_settime, [0, 0, 0]),
        ["x32"] => call(0x4000_0000 | libc::SYS_getpid, [0, 0, 0]),
        ["signal", pid] => call(libc::SYS_kill, [number(pid), 0, 0]),
        ["signal-self"] => call(libc::SYS_kill, [std::process::id().into(), 0, 0]),
        ["limit-other", pid] => call(libc::SYS_prlimit64, [number(pid), 7, 0]),
        ["abort"] => std::process::abort(),
        ["allocate", bytes] => allocate(number(bytes)).map(done),
        ["insist-on", bytes] => Ok(Some(vec![1_u8; number(bytes)].len().to_string())),
        ["map-shared", bytes] => map_shared(number(bytes)).map(done),
        ["open-many"] => open_many(),
        ["limit-of", resource] => Ok(Some(limit_of(number(resource)))),
        ["raise-limit", resource] => raise_limit(number(resource)).map(done),
        ["descriptors", _] => descriptors(),
        ["stdin"] => io::read_to_string(io::stdin()).map(|text| Some(format!("{} bytes", text.len()))),
        ["status", field] => status(field),
        _ => panic!("no deed is called {words:?}"),
    }
}

fn truncate(path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path is a terminated string that outlives the call.
    check(unsafe { libc::truncate(path.as_ptr(), 0) }.into()).map(|_| ())
}

/// The terminal's window size: of no matter which device, the refusal comes first.
fn device(path: &str) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let device = File::open(path)?;
    let mut size = [0_u16; 4];
    // SAFETY: the request fills four shorts.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) }.into()).map(|_| ())
}

fn resolve(name: &str) -> io::Result<Option<String>> {
    use std::net::ToSocketAddrs;
    let found = (name, 80)
        .to_socket_addrs()?
        .any(|address| address.ip().is_loopback());
    Ok(Some(if found { "loopback" } else { "elsewhere" }.into()))
}

fn fork() -> io::Result<()> {
    // SAFETY: the child does nothing but leave.
    match unsafe { libc::fork() } {
        0 => unsafe { libc::_exit(0) },
        pid => check(pid.into()).map(|_| ()),
    }
}

fn allocate(bytes: usize) -> io::Result<()> {
    let mut memory: Vec<u8> = Vec::new();
    memory
        .try_reserve_exact(bytes)
        .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    memory.resize(bytes, 1);
    std::hint::black_box(&memory);
    Ok(())
}

/// As the hub's pictures are mapped.
fn map_shared(bytes: u64) -> io::Result<()> {
    let picture = File::from(rustix::fs::memfd_create(
        "picture",
        rustix::fs::MemfdFlags::CLOEXEC,
    )?);
    picture.set_len(bytes)?;
    let map = memmap2::MmapOptions::new().map_raw_read_only(&picture)?;
    std::hint::black_box(map.as_ptr());
    Ok(())
}

fn open_many() -> io::Result<Option<String>> {
    let mut open = Vec::new();
    let error = loop {
        match File::open("/dev/null") {
            Ok(file) if open.len() < 10_000 => open.push(file),
            Ok(_) => return Ok(Some("no end".into())),
            Err(error) => break error,
        }
    };
    Ok(Some(format!("{} and then {}", open.len(), name(&error))))
}

fn limit_of(resource: libc::__rlimit_resource_t) -> String {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call fills the struct.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    format!("{} of {}", limit.rlim_cur, limit.rlim_max)
}

fn raise_limit(resource: libc::__rlimit_resource_t) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: 1 << 20,
    };
    // SAFETY: the call reads the struct.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }.into()).map(|_| ())
}

fn descriptors() -> io::Result<Option<String>> {
    let open: Vec<i32> = (0..1024).filter(|fd| is_open(*fd)).collect();
    Ok(Some(format!("{open:?}")))
}

fn is_open(fd: i32) -> bool {
    // SAFETY: asking for flags touches nothing.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// A field of `/proc/self/status`, or the whole of another small file there.
fn status(field: &str) -> io::Result<Option<String>> {
    if field == "oom_score_adj" {
        return Ok(Some(
            fs::read_to_string("/proc/self/oom_score_adj")?.trim().into(),
        ));
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(line.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn call(number: i64, arguments: [i64; 3]) -> io::Result<Option<String>> {
    let [first, second, third] = arguments;
    // SAFETY: the pointers among the arguments are null, which the kernel refuses if it comes so far.
    check(unsafe { libc::syscall(number, first, second, third, 0_i64, 0_i64) }).map(|_| None)
}

fn check(answer: i64) -> io::Result<i64> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

fn name(error: &io::Error) -> String {
    let errors = [
        (libc::EPERM, "EPERM"),
        (libc::EACCES, "EACCES"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOENT, "ENOENT"),
        (libc::ENOTTY, "ENOTTY"),
        (libc::EXDEV, "EXDEV"),
        (libc::EINVAL, "EINVAL"),
        (libc::EFAULT, "EFAULT"),
    ];
    let known = errors
        .iter()
        .find(|(number, _)| error.raw_os_error() == Some(*number));
    known.map_or_else(|| error.to_string(), |(_, name)| (*name).into())
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word} is not a number"))
}

fn say(line: &str) {
    // Straight to the descriptor: the process may be killed next.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
