//! A simulated VisionGuard backend as a process, controlled over its own HTTP routes.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::artefacts;
use crate::process::{Process, Signal};
use crate::wait::{PATIENCE, eventually};

/// How long a control request may take. The simulator answers at once unless it is frozen.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 256 << 20;

/// A running `watchpost-simulator`. Dropping it kills it.
#[derive(Debug)]
pub struct Backend {
    options: Vec<String>,
    process: Process,
    ready: Ready,
    agent: ureq::Agent,
}

/// What the simulator says of itself once it listens.
#[derive(Debug)]
struct Ready {
    url: String,
    fields: Value,
}

impl Backend {
    /// Starts a backend on a free port of the loopback interface; `options` are those of `watchpost simulate`.
    pub fn start(options: &[&str]) -> Result<Self> {
        let options: Vec<String> = options.iter().map(|option| String::from(*option)).collect();
        let (process, ready) = launch("127.0.0.1:0", &options)?;
        // A refusal is an answer: tests look at it.
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(CONTROL_TIMEOUT)).build().new_agent();
        Ok(Self {
            options,
            process,
            ready,
            agent,
        })
    }

    /// Its base address as it belongs into `connection.url`, such as `ws://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.ready.url
    }

    /// A field of the line it printed when it was ready: `user_id`, `token`, `email` or `password`, and the same with
    /// `second_` for the user who opens no stream.
    pub fn ready(&self, field: &str) -> Result<&str> {
        let value = self.ready.fields.get(field).and_then(Value::as_str);
        value.with_context(|| format!("the simulator's ready line has no `{field}`"))
    }

    /// Tells it to do something, such as `json!({"do": "send", "count": 3})`, and returns its figures afterwards.
    pub fn order(&self, command: &Value) -> Result<Value> {
        self.post("/simulator/command", command)
    }

    /// Its figures: attempts, alerts sent and acknowledged, and more.
    pub fn stats(&self) -> Result<Value> {
        self.get("/simulator/stats")
    }

    /// Waits for figures that satisfy `holds` and returns them.
    pub fn until(&self, what: &str, deadline: Duration, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, deadline, || match self.stats() {
            Ok(stats) if holds(&stats) => Ok(stats),
            Ok(stats) => Err(format!("{stats:#}")),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    /// What it knows of every alert it sent, oldest first: ids, checksum of the picture, acknowledged or not.
    pub fn alerts(&self) -> Result<Vec<Value>> {
        list(self.get("/simulator/alerts")?)
    }

    /// Every attempt to connect, oldest first.
    pub fn attempts(&self) -> Result<Vec<Value>> {
        list(self.get("/simulator/attempts")?)
    }

    /// A row of its list of anomalies, as `GET /api/anomalies/{id}` shows it.
    pub fn row(&self, anomaly_id: &str) -> Result<Value> {
        let path = format!("/api/anomalies/{anomaly_id}");
        let token = format!("Bearer {}", self.token()?);
        let answer = self
            .agent
            .get(self.at(&path))
            .header("Authorization", token)
            .call();
        read(answer.with_context(|| format!("GET {path}"))?, &path)
    }

    /// Sets the state of a row, such as `false_positive`, as a person does in the backend.
    pub fn set_status(&self, anomaly_id: &str, status: &str) -> Result<()> {
        let path = format!("/api/anomalies/{anomaly_id}");
        let token = format!("Bearer {}", self.token()?);
        let answer = self
            .agent
            .patch(self.at(&path))
            .header("Authorization", token)
            .send_json(serde_json::json!({ "status": status }));
        read(answer.with_context(|| format!("PATCH {path}"))?, &path).map(drop)
    }

    /// What it says of its accounts and shops.
    pub fn about(&self) -> Result<Value> {
        self.get("/simulator/about")
    }

    /// A token that is good now, unlike that of the ready line.
    fn token(&self) -> Result<String> {
        let about = self.about()?;
        let token = about["token"].as_str().context("the simulator gives no token")?;
        Ok(token.to_owned())
    }

    /// The very bytes of the picture that an alert carried.
    pub fn picture(&self, anomaly_id: &str) -> Result<Vec<u8>> {
        self.bytes(&format!("/simulator/pictures/{anomaly_id}"))
    }

    /// GET of a path such as `/simulator/stats`; the status has to be 2xx and the body JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        let answer = self.agent.get(self.at(path)).call();
        read(answer.with_context(|| format!("GET {path}"))?, path)
    }

    /// GET of a path whose answer is bytes, such as a picture; the status has to be 2xx.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let mut answer = self
            .agent
            .get(self.at(path))
            .call()
            .with_context(|| format!("GET {path}"))?;
        ensure!(
            answer.status().is_success(),
            "{path} answered {}",
            answer.status()
        );
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .read_to_vec();
        body.with_context(|| format!("the answer to {path}"))
    }

    /// POST of a JSON document; the status has to be 2xx, and an empty answer reads as `null`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.agent.post(self.at(path)).send_json(body);
        read(answer.with_context(|| format!("POST {path}"))?, path)
    }

    /// The process, to read its log or send it a signal.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE).map(drop)
    }

    /// Starts it again at the same address, after [`Self::kill`] or an end of its own.
    pub fn restart(&mut self) -> Result<()> {
        let status = self.process.exit_status()?;
        ensure!(
            status.is_some(),
            "the simulator still runs; end it before it is started again"
        );
        let (process, ready) = launch(&self.address()?.to_string(), &self.options)?;
        self.process = process;
        self.ready = ready;
        Ok(())
    }

    /// The address it listens at.
    pub fn address(&self) -> Result<SocketAddr> {
        let url = self.url();
        let authority = authority(url).with_context(|| format!("{url} has no scheme"))?;
        authority
            .parse()
            .with_context(|| format!("{url} has no address and port"))
    }

    /// The same address for plain HTTP: its WebSockets and its control routes share a port.
    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", authority(self.url()).unwrap_or(self.url()))
    }
}

/// What follows the scheme of an address.
fn authority(url: &str) -> Option<&str> {
    url.split_once("://").map(|(_scheme, authority)| authority)
}

fn launch(listen: &str, options: &[String]) -> Result<(Process, Ready)> {
    let mut command = Command::new(artefacts()?.binary("watchpost-simulator")?);
    command.args(["--json", "--listen", listen]).args(options);
    let process = Process::spawn("watchpost-simulator", &mut command)?;
    let ready = process.line("ready line", PATIENCE, parse_ready)?;
    Ok((process, ready))
}

/// The ready line is the first that is a JSON object with a `url`; anything else is log.
fn parse_ready(line: &str) -> Option<Ready> {
    let fields: Value = serde_json::from_str(line).ok()?;
    let url = fields.get("url")?.as_str()?.to_owned();
    Some(Ready { url, fields })
}

fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        other => bail!("expected a JSON list, got {other}"),
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>, path: &str) -> Result<Value> {
    let status = answer.status();
    let text = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER_BYTES)
        .read_to_string();
    let text = text.with_context(|| format!("the answer to {path}"))?;
    ensure!(status.is_success(), "{path} answered {status}: {text}");
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{path} answered no JSON: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_told_from_log_lines() {
        assert!(parse_ready("INFO listening on http://127.0.0.1:1").is_none());
        assert!(parse_ready(r#"{"level":"INFO","message":"listening"}"#).is_none());
        let ready = parse_ready(r#"{"url":"http://127.0.0.1:4711","user_id":"u","token":"t"}"#).unwrap();
        assert_eq!(ready.url, "http://127.0.0.1:4711");
        assert_eq!(ready.fields["token"], "t");
    }
}
