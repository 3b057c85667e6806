//! A person who arms and silences while the hub is ended again and again: what was answered holds afterwards, and what an end has
//! cut short was carried out or was not. How the hub is ended it does not know.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use serde_json::Value;
use watchpost_testkit::{Hub, HubSetup, artefacts, toml};

/// How the program ends that no hub has answered.
const NO_ANSWER: i32 = 4;

/// What is armed and silenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    armed: bool,
    silenced: bool,
}

/// Until when what runs out by itself lasts, as far as that has been seen. Once seen it does not change but by a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Deadlines {
    /// The entry delay of the hall, where there is one.
    entry: Option<String>,
    /// The silence, after its number.
    silence: Option<(u64, String)>,
}

/// The person.
#[derive(Default)]
pub(crate) struct Guard {
    known: State,
    deadlines: Deadlines,
    /// What it would be by a command that was begun, and who waits for its answer.
    begun: Option<(State, Child)>,
    /// Commands that were answered, those that were not, and how many of these were carried out all the same.
    answered: u64,
    unanswered: u64,
    carried_out: u64,
    /// How often a silence and an entry delay were found to end when they were to end before.
    silences_held: u64,
    entries_held: u64,
}

impl Guard {
    /// The same site with an area whose camera sees nothing.
    pub(crate) fn vault(setup: HubSetup) -> HubSetup {
        setup.with(toml! {
            [[camera]]
            name = "Vault"
            match = { stream = "vault" }
            [[area]]
            name = "Vault"
            camera = "Vault"
            exit_delay = "0s"
        })
    }

    /// A command that is waited for. Of a hub that is too busy to answer in time it is not known what it will do.
    pub(crate) fn act(&mut self, hub: &Hub, dice: &mut Rng) -> Result<()> {
        self.begin(hub, dice)?;
        let (after, mut child) = self.begun.take().context("a command")?;
        match child.wait()?.code() {
            Some(0) => {
                self.answered += 1;
                self.goes(after);
            }
            Some(NO_ANSWER) => self.begun = Some((after, child)),
            code => bail!("the command for {after:?} ended with {code:?}"),
        }
        Ok(())
    }

    /// A command during which the hub is to be ended.
    pub(crate) fn begin(&mut self, hub: &Hub, dice: &mut Rng) -> Result<()> {
        let (command, after) = self.choose(dice);
        let child = Command::new(artefacts()?.watchpost()?)
            .args(&command)
            .arg("--config")
            .arg(hub.setup().config_path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.begun = Some((after, child));
        Ok(())
    }

    /// What the hub says, after it was ended and started again too, is what was answered.
    pub(crate) fn check(&mut self, hub: &Hub) -> Result<()> {
        let status = hub.status()?;
        let (areas, silence) = (&status["areas"], &status["silences"][0]);
        let area = |name: &str| {
            areas
                .as_array()
                .and_then(|all| all.iter().find(|area| area["name"] == name))
        };
        let found = State {
            armed: area("Vault").is_some_and(|vault| vault["state"] == "armed"),
            silenced: silence.is_object(),
        };
        let allowed = self.allowed()?;
        ensure!(
            allowed.contains(&found),
            "{found:?}, and not one of {allowed:?}: {areas:#}\n{silence:#}"
        );
        let hall = area("Hall").map(|hall| hall["state"] != "disarmed");
        ensure!(
            hall.is_none_or(|armed| armed == found.armed),
            "one area is armed and the other one is not: {areas:#}"
        );
        self.carried_out += u64::from(found != self.known);
        self.goes(found);
        let seen = Deadlines {
            entry: area("Hall").and_then(entry_until),
            silence: silence["id"].as_u64().zip(text(&silence["until"])),
        };
        let known = &self.deadlines;
        ensure!(
            (known.entry.is_none() || known.entry == seen.entry)
                && (known.silence.is_none() || known.silence == seen.silence),
            "{seen:?}, and it was {known:?}: {areas:#}\n{silence:#}"
        );
        self.entries_held += u64::from(known.entry.is_some());
        self.silences_held += u64::from(known.silence.is_some());
        self.deadlines = seen;
        Ok(())
    }

    /// Of what there was how much.
    pub(crate) fn figures(&self) -> String {
        format!(
            "{} commands answered, {} cut short of which {} were carried out; found as before: {} silences, {} entry delays",
            self.answered, self.unanswered, self.carried_out, self.silences_held, self.entries_held
        )
    }

    /// What may be found: what is known, or what a command has made of it that was begun. One that was answered has.
    fn allowed(&mut self) -> Result<Vec<State>> {
        let Some((after, mut child)) = self.begun.take() else {
            return Ok(vec![self.known]);
        };
        if child.wait()?.success() {
            self.answered += 1;
            self.goes(after);
            return Ok(vec![after]);
        }
        self.unanswered += 1;
        Ok(vec![self.known, after])
    }

    /// This is known now. What runs out by itself is another one where a command has begun or ended it.
    fn goes(&mut self, state: State) {
        if state.armed != self.known.armed {
            self.deadlines.entry = None;
        }
        if state.silenced != self.known.silenced {
            self.deadlines.silence = None;
        }
        self.known = state;
    }

    /// A command, and what is armed and silenced after it.
    fn choose(&self, dice: &mut Rng) -> (Vec<String>, State) {
        let State { armed, silenced } = self.known;
        let number = self.deadlines.silence.as_ref().map_or(0, |(number, _)| *number);
        let number = number.to_string();
        let words: Vec<&str> = match (dice.bool(), armed, silenced) {
            (true, false, _) => vec!["arm", "away", "--force"],
            (true, true, _) => vec!["disarm"],
            (false, _, false) => vec![
                "silence",
                "--match",
                "camera=Vault",
                "--for",
                "2h",
                "--why",
                "cleaning",
            ],
            (false, _, true) => vec!["silence", "end", &number],
        };
        let after = match words[0] {
            "silence" => State {
                silenced: !silenced,
                ..self.known
            },
            _ => State {
                armed: !armed,
                ..self.known
            },
        };
        (words.into_iter().map(str::to_owned).collect(), after)
    }
}

/// When the entry delay of an area is over, while it runs.
fn entry_until(area: &Value) -> Option<String> {
    let until = (area["state"] == "pending").then_some(&area["until"])?;
    text(until)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
