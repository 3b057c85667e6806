//! A sink at which people arm and disarm: what its plugin asks for is held against what the site lets it, and against the codes of
//! persons; and it gets to know how the areas are armed. The plugin is believed nothing but what a person has typed.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::Mutex;
use tracing::{info, warn};
use watchpost_config::{SandboxSettings, SinkSettings};
use watchpost_core::{
    Actor, Area, AreaPolicy, AreaState, Areas, ArmingCommand, ArmingRefused, CodeRefused, CommandRefused,
    MAX_WRONG_CODES, Mode, Panic, UnixMillis,
};
use watchpost_sinkhost_client::{ArmAct, ArmMode, ArmOutcome, ArmRequest};

use crate::arming::Arming;
use crate::handle::{AskError, Recording, STOPPED_DEFERRED};

/// What is to be said of a wrong code that is not recorded yet.
const WRONG: &str = "the code is wrong";

/// How the areas are armed has changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct AreasChanged;

/// What came of what a plugin has asked for, and why.
pub(super) type Answer = (ArmOutcome, String);

/// The part of a sink in arming.
pub(crate) struct Panel {
    settings: Arc<SinkSettings>,
    arming: Arming,
    /// Wrong codes since the store cannot be written, which count too. What is asked for takes turns.
    unrecorded: Mutex<u8>,
}

impl Panel {
    /// That of this sink, if the site lets it have one.
    pub(crate) fn new(settings: &Arc<SinkSettings>, arming: Arming) -> Option<Arc<Self>> {
        let panel = || Self {
            settings: Arc::clone(settings),
            arming,
            unrecorded: Mutex::new(0),
        };
        settings.sandbox.arm.then(|| Arc::new(panel()))
    }

    /// Says whenever the areas change.
    pub(super) fn changes(&self) -> impl Stream<Item = AreasChanged> + use<> {
        stream::unfold(self.arming.live.subscribe(), |mut live| async move {
            live.changed().await.ok()?;
            Some((AreasChanged, live))
        })
    }

    /// How the areas are armed, as the plugin gets to know it.
    pub(super) fn document(&self) -> String {
        let policies = self.arming.settings.get().area_policies();
        let areas = document(&policies, &self.arming.live.subscribe().borrow());
        serde_json::json!({ "areas": areas }).to_string()
    }

    /// Does what a person wants at the plugin, if they may.
    pub(super) async fn ask(&self, request: ArmRequest) -> Answer {
        let mut unrecorded = self.unrecorded.lock().await;
        let by = match self.who(&request, &mut unrecorded).await {
            Ok(by) => by,
            Err(refused) => return refused,
        };
        let (sink, who) = (&self.settings.name, by.to_string());
        let answer = match act(&request, by) {
            Act::Arming(command) => answer(self.arming.carry_out(command).await),
            Act::Panic(panic) => answer(self.arming.panic(panic).await.map(|(_, recording)| recording)),
        };
        info!(%sink, by = %who, outcome = ?answer.0, "asked to arm or disarm: {:?}", request.act);
        answer
    }

    /// Who it is, or why it does not matter.
    async fn who(&self, request: &ArmRequest, unrecorded: &mut u8) -> Result<Actor, Answer> {
        let (sink, code) = (&self.settings.name, &request.code.0);
        // Who needs help is not asked for a code, nor kept by a wrong one.
        if code.is_empty() || matches!(request.act, ArmAct::Panic { .. }) {
            return match takes_no_code(&self.settings.sandbox, request.act) {
                true => Ok(Actor::Sink(sink.clone())),
                false => Err((ArmOutcome::NeedsCode, "it takes a code".to_owned())),
            };
        }
        if let Some(locked) = self.arming.locked(sink).await {
            return Err((ArmOutcome::Locked, locked.to_string()));
        }
        if *unrecorded >= MAX_WRONG_CODES {
            let why = "too many codes were wrong, and the store cannot be written";
            return Err((ArmOutcome::Locked, why.to_owned()));
        }
        let sink = sink.clone();
        if let Some(name) = self.arming.person_of_code(code.clone()).await {
            return Ok(Actor::Person { name, sink });
        }
        warn!(%sink, "a wrong code was given");
        let noted = self.arming.wrong_code(&sink).await;
        *unrecorded = match noted {
            Ok(Recording::Deferred) | Err(AskError::Busy) => unrecorded.saturating_add(1),
            Ok(Recording::Done(_)) | Err(_) => 0,
        };
        match answer(noted) {
            (ArmOutcome::Done | ArmOutcome::Noted | ArmOutcome::Refused, _) => {
                Err((ArmOutcome::WrongCode, WRONG.to_owned()))
            }
            refused => Err(refused),
        }
    }
}

/// Whether the site lets the sink do that for anyone.
fn takes_no_code(sandbox: &SandboxSettings, act: ArmAct) -> bool {
    match act {
        ArmAct::Arm { .. } => sandbox.arm_without_code,
        ArmAct::Disarm => sandbox.disarm_without_code,
        ArmAct::Panic { .. } => true,
    }
}

/// What a request comes to.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    Arming(ArmingCommand),
    Panic(Panic),
}

fn act(request: &ArmRequest, by: Actor) -> Act {
    let area = Some(request.area.clone()).filter(|area| !area.is_empty());
    let areas = area.into_iter().collect();
    let command = match request.act {
        ArmAct::Arm { mode, force } => ArmingCommand::Arm {
            mode: match mode {
                ArmMode::Home => Mode::Home,
                ArmMode::Away => Mode::Away,
                ArmMode::Night => Mode::Night,
            },
            areas,
            force,
            by,
        },
        ArmAct::Disarm => ArmingCommand::Disarm { areas, by },
        ArmAct::Panic { silent } => {
            return Act::Panic(Panic {
                areas,
                silent,
                by,
                why: None,
            });
        }
    };
    Act::Arming(command)
}

fn answer(outcome: Result<Recording<u64>, AskError>) -> Answer {
    let why = match outcome {
        Ok(Recording::Done(_)) => return (ArmOutcome::Done, String::new()),
        Ok(Recording::Deferred) => return (ArmOutcome::Noted, STOPPED_DEFERRED.to_owned()),
        Err(why) => why,
    };
    let outcome = match &why {
        AskError::Refused(CommandRefused::Arming(ArmingRefused::NotReady(_))) => ArmOutcome::NotReady,
        AskError::Refused(CommandRefused::Code(refused)) => match refused {
            CodeRefused::Wrong { .. } => ArmOutcome::WrongCode,
            CodeRefused::Locked { .. } => ArmOutcome::Locked,
        },
        _ => ArmOutcome::Refused,
    };
    (outcome, why.to_string())
}

/// An area as a plugin sees it. Keys are only ever added: `watchpost_sink.h` names them.
#[derive(Debug, PartialEq, Serialize)]
struct ShownArea {
    name: String,
    modes: Vec<Mode>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<UnixMillis>,
    since: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

fn document(policies: &[AreaPolicy], areas: &Areas) -> Vec<ShownArea> {
    let shown = |policy: &AreaPolicy| {
        let area = areas.get(&policy.name).cloned().unwrap_or_default();
        ShownArea::new(policy, &area)
    };
    policies.iter().map(shown).collect()
}

impl ShownArea {
    fn new(policy: &AreaPolicy, area: &Area) -> Self {
        let (state, mode, from, cause) = match &area.state {
            AreaState::Disarmed => ("disarmed", None, None, None),
            AreaState::Arming { mode, from, .. } => ("arming", Some(*mode), *from, None),
            AreaState::Armed { mode } => ("armed", Some(*mode), None, None),
            AreaState::Pending { mode, cause, .. } => ("pending", Some(*mode), None, Some(cause)),
            AreaState::Triggered { mode, causes, .. } => ("triggered", *mode, None, causes.first()),
        };
        Self {
            name: policy.name.clone(),
            modes: policy.modes.clone(),
            state,
            mode,
            from,
            until: area.until(),
            since: area.since,
            by: area.by.as_ref().map(Actor::to_string),
            cause: cause.map(|cause| cause.camera.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use watchpost_sinkhost_client::Code;

    use super::*;

    fn sandbox(arm: bool, disarm: bool) -> SandboxSettings {
        SandboxSettings {
            arm: true,
            arm_without_code: arm,
            disarm_without_code: disarm,
            ..SandboxSettings::default()
        }
    }

    #[test]
    fn what_takes_no_code_is_what_the_site_says() {
        let arm = ArmAct::Arm {
            mode: ArmMode::Away,
            force: false,
        };
        for (arms, disarms) in [(false, false), (true, false), (false, true), (true, true)] {
            let sandbox = sandbox(arms, disarms);
            assert_eq!(takes_no_code(&sandbox, arm), arms);
            assert_eq!(takes_no_code(&sandbox, ArmAct::Disarm), disarms);
            assert!(takes_no_code(&sandbox, ArmAct::Panic { silent: false }));
        }
    }

    #[test]
    fn what_is_asked_for_is_asked_of_the_area_that_is_named() {
        let request = |area: &str, act| ArmRequest {
            ticket: 1,
            act,
            area: area.to_owned(),
            code: Code(String::new()),
        };
        let arm = ArmAct::Arm {
            mode: ArmMode::Night,
            force: true,
        };
        let by = || Actor::Sink("panel".into());
        assert_eq!(
            act(&request("Yard", arm), by()),
            Act::Arming(ArmingCommand::Arm {
                mode: Mode::Night,
                areas: vec!["Yard".into()],
                force: true,
                by: by(),
            })
        );
        assert_eq!(
            act(&request("", ArmAct::Disarm), by()),
            Act::Arming(ArmingCommand::Disarm {
                areas: Vec::new(),
                by: by(),
            })
        );
        assert_eq!(
            act(&request("Yard", ArmAct::Panic { silent: true }), by()),
            Act::Panic(Panic {
                areas: vec!["Yard".into()],
                silent: true,
                by: by(),
                why: None,
            })
        );
    }

    #[test]
    fn each_refusal_has_its_word() {
        let refused = |why: CommandRefused| answer(Err(AskError::Refused(why))).0;
        for (why, expected) in [
            (ArmingRefused::NotReady(Vec::new()).into(), ArmOutcome::NotReady),
            (ArmingRefused::NoAreas.into(), ArmOutcome::Refused),
            (CodeRefused::Wrong { left: 4 }.into(), ArmOutcome::WrongCode),
            (CodeRefused::Wrong { left: 0 }.into(), ArmOutcome::WrongCode),
            (CodeRefused::Locked { seconds: 9 }.into(), ArmOutcome::Locked),
        ] {
            assert_eq!(refused(why), expected);
        }
        assert_eq!(answer(Ok(Recording::Deferred)).0, ArmOutcome::Noted);
        assert_eq!(answer(Err(AskError::Busy)).0, ArmOutcome::Refused);
    }
}
