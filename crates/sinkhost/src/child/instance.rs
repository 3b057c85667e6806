//! The plugin's instance and the calls to it. One thread makes them all, one after the other.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::ptr;
use std::time::Duration;

use memmap2::Mmap;
use rustix::time::{ClockId, clock_gettime};
use watchpost_sink_abi as abi;
use watchpost_sinkhost_protocol::{AlertDoc, FIRST_OWN_CALL, FrameMeta, Note, Outcome, Severity};

use super::current::Current;
use super::load::Plugin;
use super::reply::ask;

/// A created instance.
#[derive(Debug)]
pub(super) struct Instance {
    table: abi::Plugin,
    pointer: *mut c_void,
    current: &'static Current,
    /// Not to leave its thread.
    _thread: PhantomData<*const ()>,
}

/// About one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallInfo {
    pub(super) call_id: u64,
    pub(super) attempt: u32,
    pub(super) timeout: Duration,
}

impl Instance {
    pub(super) fn create(
        plugin: Plugin,
        host: &'static abi::Host,
        current: &'static Current,
        config: &str,
        timeout: Duration,
    ) -> Result<Self, (Outcome, Vec<Note>)> {
        let table = plugin.table;
        let Some(create) = table.create else {
            return Err((Outcome::Unsupported, Vec::new()));
        };
        let mut instance = Self {
            table,
            pointer: ptr::null_mut(),
            current,
            _thread: PhantomData,
        };
        let mut pointer = ptr::null_mut();
        let info = CallInfo {
            call_id: FIRST_OWN_CALL,
            attempt: 0,
            timeout,
        };
        current.set_pending(info.call_id);
        let answer = instance.call(info, |_, call, reply| {
            // SAFETY: the host lives for ever, the rest for the call.
            unsafe { create(host, abi::Str::new(config), call, &raw mut pointer, reply) }
        });
        match answer {
            (Outcome::Ok, _) => {
                instance.pointer = pointer;
                Ok(instance)
            }
            refused => Err(refused),
        }
    }

    /// Delivers an alert with its pictures.
    pub(super) fn deliver(
        &mut self,
        info: CallInfo,
        alert: &AlertDoc,
        frames: &[MappedFrame],
    ) -> (Outcome, Vec<Note>) {
        let Some(deliver) = self.table.deliver else {
            return (Outcome::Unsupported, Vec::new());
        };
        let frames: Vec<abi::Frame> = frames.iter().map(MappedFrame::as_abi).collect();
        let alert = abi::Alert {
            struct_size: size_of::<abi::Alert>() as u32,
            severity: severity(alert.severity) as u32,
            unix_ms: alert.unix_ms,
            id: abi::Str::new(&alert.id),
            title: abi::Str::new(&alert.title),
            text: abi::Str::new(&alert.text),
            json: abi::Str::new(&alert.json),
            frames: if frames.is_empty() {
                ptr::null()
            } else {
                frames.as_ptr()
            },
            frame_count: frames.len(),
            frame_stride: size_of::<abi::Frame>(),
            utc_offset_s: isize::try_from(alert.utc_offset_s).unwrap_or(0),
        };
        self.call(info, |pointer, call, reply| {
            // SAFETY: the instance is created and not destroyed; alert, call and reply are valid for the call.
            unsafe { deliver(pointer, &raw const alert, call, reply) }
        })
    }

    /// Whether deliveries count only after [`Self::flush`].
    pub(super) fn flushes(&self) -> bool {
        self.table.flush.is_some()
    }

    /// Commits the deliveries since the last flush.
    pub(super) fn flush(&mut self, info: CallInfo) -> (Outcome, Vec<Note>) {
        let Some(flush) = self.table.flush else {
            return (Outcome::Ok, Vec::new());
        };
        // SAFETY: the instance is created and not destroyed; call and reply are valid for the call.
        self.call(info, |pointer, call, reply| unsafe {
            flush(pointer, call, reply)
        })
    }

    /// Tries whether a delivery would work.
    pub(super) fn probe(&mut self, info: CallInfo) -> (Outcome, Vec<Note>) {
        let Some(probe) = self.table.probe else {
            return (Outcome::Unsupported, Vec::new());
        };
        // SAFETY: the instance is created and not destroyed; call and reply are valid for the call.
        self.call(info, |pointer, call, reply| unsafe {
            probe(pointer, call, reply)
        })
    }

    /// Ends it.
    pub(super) fn destroy(self) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: no call is in flight, none will follow, and cancels come during calls only.
            unsafe { destroy(self.pointer) }
        }
    }

    /// Makes a call that [`Current::set_pending`] has been given.
    fn call(
        &mut self,
        info: CallInfo,
        make: impl FnOnce(*mut c_void, *const abi::Call, *mut abi::Reply) -> i32,
    ) -> (Outcome, Vec<Note>) {
        let call = abi::Call {
            struct_size: size_of::<abi::Call>() as u32,
            attempt: info.attempt,
            call_id: info.call_id,
            deadline_ns: monotonic_ns().saturating_add(nanos(info.timeout)),
        };
        let answer = if self.current.begin(info.call_id, self.pointer) {
            ask(|reply| make(self.pointer, &raw const call, reply))
        } else {
            (
                Outcome::Retry { after: None },
                vec![Note::new("cancelled before it began")],
            )
        };
        self.current.end();
        answer
    }
}

/// A picture mapped into this process, read-only.
#[derive(Debug)]
pub(super) struct MappedFrame {
    meta: FrameMeta,
    /// `None` for a picture of no bytes, which cannot be mapped.
    map: Option<Mmap>,
}

impl MappedFrame {
    pub(super) fn new(meta: FrameMeta, len: u64, memfd: OwnedFd) -> io::Result<Self> {
        let file = File::from(memfd);
        let there = file.metadata()?.len();
        if there != len {
            return Err(io::Error::other(format!(
                "the picture has {there} bytes instead of {len}"
            )));
        }
        // SAFETY: the parent has sealed the memfd, so neither its length nor its bytes change.
        let map = if len == 0 {
            None
        } else {
            Some(unsafe { Mmap::map(&file)? })
        };
        Ok(Self { meta, map })
    }

    fn as_abi(&self) -> abi::Frame {
        let bytes = self.map.as_deref().unwrap_or_default();
        abi::Frame {
            mime: abi::Str::new(&self.meta.mime),
            name: abi::Str::new(&self.meta.name),
            data: bytes.as_ptr(),
            len: bytes.len(),
            width: self.meta.width,
            height: self.meta.height,
        }
    }
}

fn severity(severity: Severity) -> abi::Severity {
    match severity {
        Severity::Low => abi::Severity::Low,
        Severity::Medium => abi::Severity::Medium,
        Severity::High => abi::Severity::High,
        Severity::Critical => abi::Severity::Critical,
    }
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
