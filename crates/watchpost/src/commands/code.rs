//! `watchpost code hash`: the hash of a person's code, for the configuration. The code itself is on no command line, which every
//! user of the machine could read, and is not shown.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::os::fd::AsFd;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use watchpost_config::CodeHash;

use crate::out;

#[derive(Debug, Subcommand)]
pub(crate) enum CodeCommand {
    /// Ask for a code, twice at a terminal, and print the line for `[[person]]` with its hash.
    Hash,
}

pub(crate) fn run(command: &CodeCommand) -> anyhow::Result<()> {
    match command {
        CodeCommand::Hash => hash(),
    }
}

fn hash() -> anyhow::Result<()> {
    let stdin = io::stdin();
    let code = if stdin.is_terminal() {
        let code = ask("Code: ")?;
        if ask("The same again: ")? != code {
            bail!("the two are different: try again");
        }
        code
    } else {
        read_line()?
    };
    out::line(format_args!("code = \"{}\"", CodeHash::of(&code)?.as_str()))?;
    Ok(())
}

/// Asks at the terminal, which does not show the answer.
fn ask(question: &str) -> anyhow::Result<String> {
    let stdin = io::stdin();
    let _hidden =
        Hidden::new(&stdin).context("the terminal shows what is typed, and that cannot be turned off")?;
    out::prompt(question)?;
    let answer = read_line();
    out::prompt("\n")?;
    answer
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the code")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden<T: AsFd> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> Hidden<T> {
    fn new(terminal: T) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl<T: AsFd> Drop for Hidden<T> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing any more.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}
