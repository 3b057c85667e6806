//! A person who arms and silences while the hub is killed again and again: what was answered holds afterwards, and what a kill has
//! cut short was carried out or was not.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use watchpost_testkit::{Hub, HubSetup, artefacts, toml};

/// What is armed and silenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    armed: bool,
    silenced: bool,
}

/// The person.
#[derive(Default)]
pub(crate) struct Guard {
    known: State,
    /// What it would be by a command that got no answer, and who waits for that.
    cut_short: Option<(State, Child)>,
    /// Number of the last silence.
    silence: u64,
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

    /// A command that is answered.
    pub(crate) fn act(&mut self, hub: &Hub, dice: &mut Rng) -> Result<()> {
        let (command, after) = self.choose(dice);
        let (name, args) = command.split_first().context("a command")?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        hub.ask(name, &args)?;
        self.known = after;
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
        self.cut_short = Some((after, child));
        Ok(())
    }

    /// What the hub says after it was ended and started again is what was answered.
    pub(crate) fn check(&mut self, hub: &Hub) -> Result<()> {
        let status = hub.status()?;
        let silence = &status["silences"][0];
        let found = State {
            armed: status["areas"][0]["state"] == "armed",
            silenced: silence.is_object(),
        };
        let mut allowed = vec![self.known];
        if let Some((after, mut child)) = self.cut_short.take() {
            child.wait()?;
            allowed.push(after);
        }
        ensure!(
            allowed.contains(&found),
            "{found:?}, and not one of {allowed:?}: {:#}\n{:#}",
            status["areas"],
            status["silences"]
        );
        self.known = found;
        self.silence = silence["id"].as_u64().unwrap_or(self.silence);
        Ok(())
    }

    /// A command, and what is armed and silenced after it.
    fn choose(&self, dice: &mut Rng) -> (Vec<String>, State) {
        let State { armed, silenced } = self.known;
        let number = self.silence.to_string();
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
