//! The order of what a child reports: each step of its start once and in turn, calls only once it runs. Knows no call.

use watchpost_sinkhost_protocol::{Outcome, Stage, Task, ToParent};

use crate::violation::Violation;

/// How far a child has come.
#[derive(Debug)]
pub(crate) struct Phase {
    purpose: Purpose,
    at: At,
}

/// What the child was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Inspect,
    Validate,
    Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nothing was heard yet.
    Fresh,
    Started,
    Sandboxed,
    Loading,
    /// The plugin's table was read.
    Loaded,
    /// The plugin was asked what the child was started for.
    Asked,
    Running,
    /// It has answered and leaves.
    Over,
}

impl Phase {
    /// A child that was started for this.
    pub(crate) fn new(task: &Task) -> Self {
        let purpose = match task {
            Task::Inspect => Purpose::Inspect,
            Task::Validate { .. } | Task::CheckSchema { .. } => Purpose::Validate,
            Task::Run { .. } => Purpose::Run,
        };
        Self {
            purpose,
            at: At::Fresh,
        }
    }

    /// Whether calls can be made.
    pub(crate) fn is_running(&self) -> bool {
        self.at == At::Running
    }

    /// Takes a message, if it is its turn.
    pub(crate) fn advance(&mut self, message: &ToParent) -> Result<(), Violation> {
        use ToParent as Said;
        let next = match (self.at, message) {
            (At::Fresh, Said::Reached(Stage::Starting)) => At::Started,
            (At::Started, Said::Confined(_)) => At::Sandboxed,
            (At::Started, Said::Unconfined(_)) | (At::Loading, Said::Unloadable(_)) => At::Over,
            (At::Sandboxed, Said::Reached(Stage::Loading)) => At::Loading,
            (At::Loading, Said::Reached(Stage::Describing)) if self.purpose == Purpose::Inspect => At::Asked,
            (At::Asked, Said::Loaded(..)) if self.purpose == Purpose::Inspect => At::Over,
            // Only what was asked to describe itself does.
            (At::Loading, Said::Loaded(_, None)) if self.purpose != Purpose::Inspect => At::Loaded,
            (At::Loaded, Said::Reached(Stage::Validating)) if self.purpose == Purpose::Validate => At::Asked,
            (At::Loaded, Said::Reached(Stage::Creating)) if self.purpose == Purpose::Run => At::Asked,
            (At::Asked, Said::Answer(Outcome::Ok, _)) if self.purpose == Purpose::Run => At::Running,
            (At::Asked, Said::Answer(..)) if self.purpose != Purpose::Inspect => At::Over,
            (at @ (At::Asked | At::Running | At::Over), Said::Log(..)) if self.purpose == Purpose::Run => at,
            (
                At::Running,
                Said::Begun { .. }
                | Said::Done { .. }
                | Said::Acknowledged { .. }
                | Said::Asked(_)
                | Said::Pong,
            ) => At::Running,
            _ => return Err(Violation::OutOfOrder(message.subject())),
        };
        self.at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use watchpost_sinkhost_protocol::sandbox::Enforced;
    use watchpost_sinkhost_protocol::{ArmAct, ArmRequest, Code, LogLevel, PluginInfo};

    use super::*;

    fn run() -> Task {
        Task::Run {
            config: String::new(),
            instance: String::new(),
            state_dir: String::new(),
            hub_version: String::new(),
            timeout: std::time::Duration::ZERO,
        }
    }

    fn info() -> Box<PluginInfo> {
        Box::new(PluginInfo {
            id: "x".into(),
            name: String::new(),
            version: String::new(),
            summary: String::new(),
            sdk: String::new(),
            abi: (1, 0),
            flushes: false,
            probes: false,
            cancels: false,
            validates: false,
            description: None,
        })
    }

    fn start() -> Vec<ToParent> {
        vec![
            ToParent::Reached(Stage::Starting),
            ToParent::Confined(Enforced::default()),
            ToParent::Reached(Stage::Loading),
            ToParent::Loaded(info(), None),
            ToParent::Reached(Stage::Creating),
            ToParent::Answer(Outcome::Ok, Vec::new()),
        ]
    }

    fn calls() -> Vec<ToParent> {
        vec![
            ToParent::Begun { call_id: 1 },
            ToParent::Acknowledged { call_id: 1 },
            ToParent::Asked(ArmRequest {
                ticket: 1,
                act: ArmAct::Disarm,
                area: String::new(),
                code: Code(String::new()),
            }),
            ToParent::Done {
                call_ids: vec![1],
                outcome: Outcome::Ok,
                notes: Vec::new(),
            },
            ToParent::Pong,
        ]
    }

    #[test]
    fn an_honest_child_is_in_order() {
        let mut phase = Phase::new(&run());
        for message in start().iter().chain(&calls()).chain(&calls()) {
            phase.advance(message).unwrap();
        }
        let log = ToParent::Log(LogLevel::Info, String::new());
        phase.advance(&log).unwrap();

        let mut phase = Phase::new(&Task::Inspect);
        for message in &start()[..3] {
            phase.advance(message).unwrap();
        }
        phase.advance(&ToParent::Reached(Stage::Describing)).unwrap();
        phase.advance(&ToParent::Loaded(info(), None)).unwrap();
    }

    #[test]
    fn no_step_comes_twice_or_early() {
        let start = start();
        for came in 0..=start.len() {
            for (index, message) in start.iter().enumerate() {
                let mut phase = Phase::new(&run());
                start[..came]
                    .iter()
                    .for_each(|message| phase.advance(message).unwrap());
                assert_eq!(
                    phase.advance(message).is_ok(),
                    index == came,
                    "{message:?} after {came}"
                );
            }
        }
    }

    #[test]
    fn calls_are_for_a_child_that_runs() {
        for came in 0..start().len() {
            for message in calls() {
                let mut phase = Phase::new(&run());
                start()[..came]
                    .iter()
                    .for_each(|message| phase.advance(message).unwrap());
                assert!(phase.advance(&message).is_err(), "{message:?} after {came}");
            }
        }
    }

    #[test]
    fn what_runs_before_the_host_exists_cannot_log() {
        let log = ToParent::Log(LogLevel::Info, String::new());
        for came in 0..5 {
            let mut phase = Phase::new(&run());
            start()[..came]
                .iter()
                .for_each(|message| phase.advance(message).unwrap());
            assert!(phase.advance(&log).is_err(), "after {came}");
        }
    }
}
