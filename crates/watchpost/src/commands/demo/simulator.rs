//! The simulated backend of the demo: a process of its own, commanded over its own HTTP routes.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, ensure};
use awc::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::child::ChildProcess;
use crate::siblings;

/// A running `watchpost-simulator`.
pub(super) struct Simulator {
    process: ChildProcess,
    http: Client,
    /// How to connect to it.
    pub(super) ready: Ready,
}

/// The line it prints once it listens.
#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) url: String,
    pub(super) email: String,
    pub(super) password: String,
}

/// Its counters, as far as the demo shows them.
#[derive(Debug, Deserialize)]
pub(super) struct Stats {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
}

impl Simulator {
    /// Starts it on a free port, with options of `watchpost simulate`.
    pub(super) fn start(options: &[OsString]) -> anyhow::Result<Self> {
        let mut command = Command::new(siblings::simulator_binary()?);
        command
            .args(["--json", "--listen", "127.0.0.1:0", "--wait-for-client"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = ChildProcess::start("the simulated backend", &mut command)?;
        let stdout = process.child().stdout.take().context("it is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(
            !line.is_empty(),
            "the simulated backend did not start; it has said why"
        );
        Ok(Self {
            process,
            http: Client::default(),
            ready: serde_json::from_str(&line).with_context(|| format!("the simulator wrote: {line}"))?,
        })
    }

    /// Its counters.
    pub(super) async fn stats(&self) -> anyhow::Result<Stats> {
        let url = self.at("/simulator/stats");
        let mut answer = self.http.get(url).send().await.map_err(failed)?;
        answer.json().await.map_err(failed)
    }

    /// Has it make no more alerts.
    pub(super) async fn stop_alerts(&self) -> anyhow::Result<()> {
        let command: Value = json!({"do": "alerts", "on": false});
        let url = self.at("/simulator/command");
        let answer = self.http.post(url).send_json(&command).await.map_err(failed)?;
        ensure!(
            answer.status().is_success(),
            "the simulated backend answered {}",
            answer.status()
        );
        Ok(())
    }

    /// Ends it.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }

    /// The same address for plain HTTP: its WebSockets and its control routes share a port.
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.ready.url.replacen("ws", "http", 1))
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the simulated backend does not answer: {error}")
}
