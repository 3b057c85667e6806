//! The plugin's process as a sink sees it, and what starts one. Tests have their own.

use std::pin::Pin;
use std::time::Duration;

use actix::ResponseFuture;
use futures_util::Stream;
use watchpost_core::CallId;
use watchpost_sinkhost_client::{ArmOutcome, ChildProcesses, Event, Host, Job, NotQueued};

use super::granted::GrantedFiles;
use super::memory;

/// A running child. Dropping it stops it.
pub trait Child {
    /// Its process id.
    fn pid(&self) -> u32;
    /// Whether its plugin can be probed.
    fn probes(&self) -> bool;
    /// The parts of its sandbox that this machine cannot put in force.
    fn sandbox_gaps(&self) -> Vec<String>;
    /// The memory that it holds, in bytes; `None` when that cannot be known.
    fn memory(&self) -> Option<u64>;
    /// Its process and those that it has started.
    fn processes(&self) -> Processes {
        Processes {
            ids: vec![self.pid()],
            socket: 0,
        }
    }
    /// Queues a delivery, which ends with an event.
    fn deliver(&self, job: Job) -> Result<(), NotQueued>;
    /// Queues a probe, which ends with an event.
    fn probe(&self, call: CallId, timeout: Duration) -> Result<(), NotQueued>;
    /// Answers what its plugin has asked for of areas. One that may not ask waits for nothing.
    fn answer(&self, _ticket: u64, _outcome: ArmOutcome, _text: String) {}
    /// Shows its plugin how the areas are armed, if it may know.
    fn show_areas(&self, _json: String) {}
    /// Kills it, which is a crash for this reason. Its last event is its exit.
    fn kill(&self, why: String);
    /// Asks for a call to return soon.
    fn cancel(&self, call: CallId);
    /// Has it begin no other call and end, and kills it after `grace`. Its last event is its exit.
    fn end(&self, grace: Duration);
}

/// The processes of a sink.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// Their numbers.
    pub ids: Vec<u32>,
    /// The number of the socket over which the first of them gets its pictures.
    pub socket: u64,
}

impl From<&ChildProcesses> for Processes {
    fn from(processes: &ChildProcesses) -> Self {
        let mut ids = processes.started();
        ids.push(processes.pid());
        Self {
            ids,
            socket: processes.child_socket(),
        }
    }
}

/// What happens in a child, in order. The last is its exit, which always comes.
pub type Events = Pin<Box<dyn Stream<Item = Event>>>;

/// A child that has come up.
pub struct Launched {
    pub(crate) child: Box<dyn Child>,
    pub(crate) events: Events,
    /// What it has access to.
    pub(crate) granted: GrantedFiles,
}

impl Launched {
    /// A child that was granted no files.
    pub fn new(child: Box<dyn Child>, events: Events) -> Self {
        Self {
            child,
            events,
            granted: GrantedFiles::default(),
        }
    }
}

/// Starts children.
pub trait Launcher: Send + Sync {
    /// Starts one and waits until its plugin is ready. An error says why it is not.
    fn launch(&self) -> ResponseFuture<Result<Launched, String>>;
    /// What the sink keeps on the disk that is too much, with files that only these processes of its still have.
    fn over_quota(&self, processes: &Processes) -> Option<String>;
}

impl Child for Host {
    fn pid(&self) -> u32 {
        Self::pid(self)
    }

    fn probes(&self) -> bool {
        self.info().probes
    }

    fn sandbox_gaps(&self) -> Vec<String> {
        self.enforced().gaps.iter().map(ToString::to_string).collect()
    }

    fn memory(&self) -> Option<u64> {
        let processes = Self::processes(self);
        memory::held_by(processes.pid(), processes.starts_others(), &processes.started())
    }

    fn processes(&self) -> Processes {
        Self::processes(self).into()
    }

    fn deliver(&self, job: Job) -> Result<(), NotQueued> {
        Self::deliver(self, job)
    }

    fn probe(&self, call: CallId, timeout: Duration) -> Result<(), NotQueued> {
        Self::probe(self, call, timeout)
    }

    fn answer(&self, ticket: u64, outcome: ArmOutcome, text: String) {
        Self::answer(self, ticket, outcome, text);
    }

    fn show_areas(&self, json: String) {
        Self::show_areas(self, json);
    }

    fn kill(&self, why: String) {
        Self::kill(self, why);
    }

    fn cancel(&self, call: CallId) {
        Self::cancel(self, call);
    }

    fn end(&self, grace: Duration) {
        Self::end(self, grace);
    }
}
