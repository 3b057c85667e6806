//! Whether processes are at rest: no thread of theirs runs, or is about to, and nothing is on its way to one.
//!
//! A thread that waits is woken by the kernel within the call of whoever writes to its socket, or ends, or lets go of a lock; so
//! when none has run while each was seen to wait, they all wait for time to go by, or for what comes from outside. Only what goes
//! over TCP may lie in a queue of the kernel's in between.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use watchpost_testkit::PATIENCE;

/// Between two looks: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(30);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// Packets that wait for a processor, of each: the column of this number in `/proc/net/softnet_stat`.
const BACKLOG_COLUMN: usize = 11;

/// Longer than what is read of a thread.
const MAX_LINE: usize = 1_024;

/// The processes that are watched.
pub(crate) struct Rest {
    /// This process, and what it starts.
    own: u32,
    /// A thread of this process that is not looked at, as it is the one that looks.
    except: Option<u32>,
    /// A further one.
    other: Option<u32>,
    processes: BTreeMap<u32, BTreeMap<u32, Thread>>,
    /// How many threads this process has, and what it has started, when that was looked at last.
    family: Option<(u64, String)>,
}

/// The calling thread.
pub(crate) fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
}

/// A thread, and what is known of it.
struct Thread {
    stat: File,
    schedstat: File,
    /// The time that it has run and how often it was put on a processor, as they stood there.
    ran: Vec<u8>,
}

impl Rest {
    /// Of this process and what it starts.
    pub(crate) fn new() -> Self {
        Self {
            own: std::process::id(),
            except: None,
            other: None,
            processes: BTreeMap::new(),
            family: None,
        }
    }

    /// Leaves out this thread.
    pub(crate) fn leave_out(&mut self, thread: u32) {
        self.except = Some(thread);
    }

    /// Watches this process beside, and no other.
    pub(crate) fn watch(&mut self, other: u32) {
        self.other = Some(other);
        self.processes.clear();
    }

    /// Whether since they were at rest no thread has run but the calling one of this number, and none is about to. If so, that
    /// is all that has to be waited for.
    pub(crate) fn is_undisturbed_by(&mut self, own: u32) -> bool {
        let family = self.family(own);
        let is_same = family.is_some() && self.family == family;
        self.family = family;
        let threads = self.processes.values_mut().flatten();
        let mut others = threads.filter(|(id, _)| **id != own);
        let are_at_rest = others.all(|(_, thread)| thread.waits() && !thread.has_run());
        if is_same && are_at_rest && !has_packets() {
            return true;
        }
        // What has run may have started others.
        self.processes.clear();
        false
    }

    /// How many threads this process has, and which processes that thread of it has started.
    fn family(&self, thread: u32) -> Option<(u64, String)> {
        let threads = fs::metadata("/proc/self/task").ok()?.nlink();
        let children = fs::read_to_string(format!("/proc/self/task/{thread}/children")).ok()?;
        Some((threads, children))
    }

    /// Waits until all are at rest.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        while !self.is_reached() {
            // It may return early, which does no harm.
            park_timeout(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            ensure!(
                begun.elapsed() < PATIENCE * 20,
                "the processes come to no rest: {:?}",
                self.processes.keys()
            );
        }
        Ok(())
    }

    fn is_reached(&mut self) -> bool {
        // What ran before this was looked at last has done with it, unless it is seen to have run since.
        let all_wait = self.threads().all(Thread::waits);
        let ran = self.note_what_ran();
        ran.is_empty() && all_wait && !has_packets()
    }

    fn threads(&self) -> impl Iterator<Item = &Thread> {
        self.processes.values().flat_map(BTreeMap::values)
    }

    /// The processes of which a thread has run since this was asked last. They may have other threads by now.
    fn note_what_ran(&mut self) -> Vec<u32> {
        if self.processes.is_empty() {
            let all: Vec<u32> = self.other.into_iter().chain([self.own]).collect();
            all.iter().for_each(|process| self.list(*process));
            return all;
        }
        let ran = self.processes.iter_mut().filter_map(|(process, threads)| {
            let ran = threads
                .values_mut()
                .filter_map(|thread| thread.has_run().then_some(()));
            (ran.count() > 0).then_some(*process)
        });
        let ran: Vec<u32> = ran.collect();
        ran.iter().for_each(|process| self.list(*process));
        ran
    }

    /// Finds the threads of a process, and the processes that it has started.
    fn list(&mut self, process: u32) {
        let Some(found) = numbers(&format!("/proc/{process}/task")) else {
            self.processes.remove(&process);
            return;
        };
        let except = self.except.filter(|_| process == self.own);
        let found: Vec<u32> = found.into_iter().filter(|id| Some(*id) != except).collect();
        let threads = self.processes.entry(process).or_default();
        threads.retain(|id, _| found.contains(id));
        for id in &found {
            if !threads.contains_key(id)
                && let Ok(thread) = Thread::open(process, *id)
            {
                threads.insert(*id, thread);
            }
        }
        for id in found.into_iter().chain(except) {
            let children = fs::read_to_string(format!("/proc/{process}/task/{id}/children"));
            let children = children.unwrap_or_default();
            for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
                if !self.processes.contains_key(&child) {
                    self.list(child);
                }
            }
        }
    }
}

/// Whether packets wait for a processor.
fn has_packets() -> bool {
    let text = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    let lines = text.lines();
    let mut waiting = lines.filter_map(|line| line.split_whitespace().nth(BACKLOG_COLUMN));
    waiting.any(|packets| packets.bytes().any(|digit| digit != b'0'))
}

impl Thread {
    fn open(process: u32, id: u32) -> io::Result<Self> {
        let open = |name: &str| File::open(format!("/proc/{process}/task/{id}/{name}"));
        Ok(Self {
            stat: open("stat")?,
            schedstat: open("schedstat")?,
            ran: Vec::new(),
        })
    }

    /// Whether it waits for something that is not the disk, or has ended.
    fn waits(&self) -> bool {
        let mut buffer = [0; MAX_LINE];
        let Ok(read) = self.stat.read_at(&mut buffer, 0) else {
            // It has ended, so that the number of threads is another.
            return false;
        };
        let text = &buffer[..read];
        // Its name stands in brackets before it, and may have some itself.
        let name_ends = text.iter().rposition(|byte| *byte == b')');
        let state = name_ends.and_then(|end| text.get(end + 2));
        matches!(state, Some(b'S' | b'Z' | b'X'))
    }

    /// Whether it has run since this was asked last.
    fn has_run(&mut self) -> bool {
        let mut buffer = [0; MAX_LINE];
        let read = self.schedstat.read_at(&mut buffer, 0).unwrap_or_default();
        let has_run = read == 0 || self.ran != buffer[..read];
        self.ran.clear();
        self.ran.extend_from_slice(&buffer[..read]);
        has_run
    }
}

/// The numbers by which things in a directory are called, if it is there and has any.
fn numbers(dir: &str) -> Option<Vec<u32>> {
    let entries = fs::read_dir(dir).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    (!numbers.is_empty()).then_some(numbers)
}
