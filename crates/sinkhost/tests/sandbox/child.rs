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
/// `fcntl`: which signal an owner gets.
const F_SETSIG: i32 = 10;
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
    match sandbox::apply(&grants, None, &[]) {
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
        ["write-much", path, bytes] => fs::write(path, vec![1; bytes.parse().unwrap()]).map(done),
        ["reserve", path, mode, bytes] => reserve(path, number(mode), number(bytes)).map(done),
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
        ["chmod", path] => path_call(libc::SYS_fchmodat, path, 0o777),
        ["fchmod", path] => call(libc::SYS_fchmod, [open(path)?, 0o777, 0]),
        ["chown", path] => path_call(libc::SYS_fchownat, path, 0),
        ["touch", path] => path_call(libc::SYS_utimensat, path, 0),
        ["set-attribute", path] => set_attribute(path),
        ["set-flags", path] => call(libc::SYS_ioctl, [open(path)?, 0x4008_6602, 0]),
        ["lease", path] => call(
            libc::SYS_fcntl,
            [open(path)?, libc::F_SETLEASE.into(), libc::F_RDLCK.into()],
        ),
        ["join-group", group] => call(libc::SYS_setpgid, [0, number(group), 0]),
        ["new-session"] => call(libc::SYS_setsid, [0, 0, 0]),
        ["shared-segment"] => call(libc::SYS_shmget, [0, 4096, 0o600]),
        ["message-queue"] => call(libc::SYS_msgget, [0, 0o600, 0]),
        ["semaphores"] => call(libc::SYS_semget, [0, 1, 0o600]),
        ["posix-queue"] => call(libc::SYS_mq_open, [c"q".as_ptr() as i64, 0, 0]),
        ["nice", pid] => call(libc::SYS_setpriority, [0, number(pid), 19]),
        ["nice-all"] => call(libc::SYS_setpriority, [2, 0, 19]),
        ["idle", pid] => call(
            libc::SYS_sched_setscheduler,
            [number(pid), libc::SCHED_IDLE.into(), 0],
        ),
        ["pin", pid] => call(libc::SYS_sched_setaffinity, [number(pid), 8, 0]),
        ["io-idle", pid] => call(libc::SYS_ioprio_set, [1, number(pid), 3 << 13]),
        ["own-by", pid] => own_socket(libc::F_SETOWN, number(pid)),
        ["signal-by", signal] => own_socket(F_SETSIG, number(signal)),
        ["mptcp"] => call(
            libc::SYS_socket,
            [libc::AF_INET.into(), libc::SOCK_STREAM.into(), 262],
        ),
        ["fast-open", port] => fast_open(number(port)),
        ["listen-unbound"] => listen_unbound(),
        ["watch", path] => watch(path),
        ["memfd"] => call(libc::SYS_memfd_create, [c"m".as_ptr() as i64, 0, 0]),
        ["share-memory"] => share_memory().map(done),
        ["newer-call"] => call(0x7fff, [0, 0, 0]),
        ["script", ..] => script(&words[1..].join(" ")),
        ["abort"] => std::process::abort(),
        ["allocate", bytes] => allocate(number(bytes)).map(done),
        ["reserve-room", bytes] => reserve_room(number(bytes)).map(done),
        ["insist-on", bytes] => Ok(Some(vec![1_u8; number(bytes)].len().to_string())),
        ["map-shared", path, bytes] => map_shared(path, number(bytes)).map(done),
        ["open-many"] => open_many(),
        ["limit-of", resource] => Ok(Some(limit_of(number(resource)))),
        ["raise-limit", resource] => raise_limit(number(resource)).map(done),
        ["descriptors", _] => descriptors(),
        ["stdin"] => io::read_to_string(io::stdin()).map(|text| Some(format!("{} bytes", text.len()))),
        ["status", field] => status(field),
        _ => panic!("no deed is called {words:?}"),
    }
}

fn open(path: &str) -> io::Result<i64> {
    use std::os::fd::IntoRawFd;
    Ok(File::open(path)?.into_raw_fd().into())
}

/// A call on a path relative to nothing, with one number behind it.
fn path_call(number: i64, path: &str, last: i64) -> io::Result<Option<String>> {
    let path = CString::new(path)?;
    let at = i64::from(libc::AT_FDCWD);
    call(number, [at, path.as_ptr() as i64, last])
}

fn set_attribute(path: &str) -> io::Result<Option<String>> {
    let path = CString::new(path)?;
    let arguments = [
        path.as_ptr() as i64,
        c"user.x".as_ptr() as i64,
        c"y".as_ptr() as i64,
    ];
    // SAFETY: the strings are terminated and outlive the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_setxattr,
            arguments[0],
            arguments[1],
            arguments[2],
            1_i64,
            0_i64,
        )
    };
    check(answer).map(|_| None)
}

fn watch(path: &str) -> io::Result<Option<String>> {
    let path = CString::new(path)?;
    // SAFETY: no memory is passed.
    let queue = check(unsafe { libc::syscall(libc::SYS_inotify_init1, 0) })?;
    call(libc::SYS_inotify_add_watch, [queue, path.as_ptr() as i64, 2])
}

/// Makes another process the owner of a socket, or its signal another one.
fn own_socket(command: i32, value: i64) -> io::Result<Option<String>> {
    use std::os::fd::AsRawFd;
    let (socket, _peer) = UnixStream::pair()?;
    call(
        libc::SYS_fcntl,
        [socket.as_raw_fd().into(), command.into(), value],
    )
}

/// Sends before it connects, which connects.
fn fast_open(port: u16) -> io::Result<Option<String>> {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: the address is valid for the call, the socket is this function's.
    let answer = unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let (data, len) = (c"x".as_ptr().cast(), size_of_val(&address) as u32);
        libc::sendto(
            socket,
            data,
            1,
            libc::MSG_FASTOPEN,
            (&raw const address).cast(),
            len,
        )
    };
    check(answer as i64).map(|_| None)
}

fn listen_unbound() -> io::Result<Option<String>> {
    // SAFETY: no memory is passed.
    let socket = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }.into())?;
    call(libc::SYS_listen, [socket, 1, 0])
}

fn share_memory() -> io::Result<()> {
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    // SAFETY: the kernel chooses a place for new memory, which nothing refers to.
    let answer = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
    check(if answer == libc::MAP_FAILED { -1 } else { 0 }).map(|_| ())
}

/// Runs a shell script and says what it printed last, or how it failed.
fn script(script: &str) -> io::Result<Option<String>> {
    let output = Command::new("/bin/bash")
        .args(["-c", script])
        .env("PATH", "/usr/bin:/bin")
        .output()?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let last = out
        .lines()
        .last()
        .or_else(|| err.lines().last())
        .unwrap_or_default();
    Ok(Some(format!("{} {last}", output.status.code().unwrap_or(-1))))
}

fn reserve(path: &str, mode: u32, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mode = rustix::fs::FallocateFlags::from_bits_retain(mode);
    Ok(rustix::fs::fallocate(file, mode, 0, bytes)?)
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

/// Room that is only looked at.
fn reserve_room(bytes: usize) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a mapping of its own, which nothing uses.
    match unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, flags, -1, 0) } {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// As the hub's pictures are mapped.
fn map_shared(path: &str, bytes: u64) -> io::Result<()> {
    let picture = File::create_new(path)?;
    picture.set_len(bytes)?;
    let map = memmap2::MmapOptions::new().map_raw_read_only(&File::open(path)?)?;
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
        (libc::EBADF, "EBADF"),
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
