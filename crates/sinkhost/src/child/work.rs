//! The main thread's loop: deliveries in runs, each run with one flush.

use std::time::{Duration, Instant};

use watchpost_sinkhost_protocol::limits::{FLUSH_AFTER, FLUSH_CALLS};
use watchpost_sinkhost_protocol::{FIRST_OWN_CALL, Note, Outcome, ToParent};

use super::current::Current;
use super::inbox::{Inbox, What, Work};
use super::instance::{CallInfo, Instance, MappedFrame};
use super::port::Port;

/// Works until it is time to leave.
pub(super) fn work(port: &Port, inbox: &Inbox, current: &Current, instance: &mut Instance) {
    let mut worker = Worker {
        port,
        current,
        instance,
        run: Vec::new(),
        flush_timeout: Duration::ZERO,
        flushes: 0,
    };
    while let Some(work) = inbox.wait() {
        match work.what {
            What::Probe => worker.probe(work.info),
            What::Deliver { .. } => {
                worker.deliver(work);
                worker.deliver_on(inbox);
                worker.flush();
            }
        }
    }
}

struct Worker<'a> {
    port: &'a Port,
    current: &'a Current,
    instance: &'a mut Instance,
    /// Deliveries that wait for the flush, oldest first.
    run: Vec<u64>,
    /// The longest timeout of the run, which its flush has too.
    flush_timeout: Duration,
    flushes: u64,
}

impl Worker<'_> {
    /// Goes on with what has come in meanwhile, while that is worth sharing a flush.
    fn deliver_on(&mut self, inbox: &Inbox) {
        let begun = Instant::now();
        while !self.run.is_empty() && self.run.len() < FLUSH_CALLS && begun.elapsed() < FLUSH_AFTER {
            match inbox.take_delivery() {
                Some(work) => self.deliver(work),
                None => return,
            }
        }
    }

    fn deliver(&mut self, work: Work) {
        let What::Deliver { alert, frames, fds } = work.what else {
            return;
        };
        let CallInfo { call_id, timeout, .. } = work.info;
        self.port.send(&ToParent::Begun { call_id });
        let mapped: Result<Vec<_>, _> = frames
            .into_iter()
            .zip(fds)
            .map(|((meta, len), fd)| MappedFrame::new(meta, len, fd))
            .collect();
        let (outcome, notes) = match mapped {
            Ok(frames) => self.instance.deliver(work.info, &alert, &frames),
            Err(error) => (
                Outcome::Retry { after: None },
                vec![Note::new(format!("cannot map the picture: {error}"))],
            ),
        };
        if outcome == Outcome::Ok && self.instance.flushes() {
            self.run.push(call_id);
            self.flush_timeout = self.flush_timeout.max(timeout);
        } else {
            self.done(vec![call_id], outcome, notes);
        }
    }

    fn flush(&mut self) {
        if self.run.is_empty() {
            return;
        }
        self.flushes += 1;
        let call_id = FIRST_OWN_CALL + self.flushes;
        let timeout = std::mem::take(&mut self.flush_timeout);
        self.current.set_pending(call_id);
        self.port.send(&ToParent::Begun { call_id });
        let (outcome, notes) = self.instance.flush(CallInfo {
            call_id,
            attempt: 0,
            timeout,
        });
        let run = std::mem::take(&mut self.run);
        self.done(run, outcome, notes);
    }

    fn probe(&mut self, info: CallInfo) {
        self.port.send(&ToParent::Begun {
            call_id: info.call_id,
        });
        let (outcome, notes) = self.instance.probe(info);
        self.done(vec![info.call_id], outcome, notes);
    }

    fn done(&self, call_ids: Vec<u64>, outcome: Outcome, notes: Vec<Note>) {
        self.port.send(&ToParent::Done {
            call_ids,
            outcome,
            notes,
        });
    }
}
