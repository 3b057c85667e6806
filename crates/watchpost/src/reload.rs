//! Has the hub that runs in this process go by its configuration as that is now. All of it is checked first, as
//! `watchpost check` does: one mistake, and nothing is changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_rt::task::spawn_blocking;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};
use watchpost_config::{ConfigError, ConfigFiles, Loaded, Settings};
use watchpost_core::UnixMillis;
use watchpost_hub::{Applied, Changes, HubHandle};
use watchpost_web::{ConfigurationStatus, InboundServer, NotReloaded, RefusedReload, Reloaded};

use crate::commands::check::check;
use crate::diagnostics;
use crate::logging::Log;
use crate::siblings::Programs;

/// Reloads that may wait for the one that is being made. Another one would find what they will.
const MAX_WAITING: usize = 8;

/// Whoever waits for a reload; `None` for a signal.
type Request = Option<oneshot::Sender<Result<Reloaded, NotReloaded>>>;

/// The configuration that the hub goes by, for its status. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Configuration(Arc<Mutex<State>>);

struct State {
    file: PathBuf,
    read_from: ConfigFiles,
    read_at: UnixMillis,
    refused: Option<RefusedReload>,
}

/// Asks for reloads, one after the other.
#[derive(Clone)]
pub(crate) struct Reloads(mpsc::Sender<Request>);

/// All that a reload changes.
pub(crate) struct Reloader {
    pub(crate) hub: HubHandle,
    pub(crate) inbound: InboundServer,
    pub(crate) log: Log,
    pub(crate) programs: Programs,
    pub(crate) configuration: Configuration,
    /// The program that runs plugins.
    pub(crate) host_binary: PathBuf,
}

impl Configuration {
    /// What was loaded from this file.
    pub(crate) fn new(file: PathBuf, loaded: &Loaded) -> Self {
        Self(Arc::new(Mutex::new(State {
            file,
            read_from: loaded.read_from().clone(),
            read_at: now(),
            refused: None,
        })))
    }

    /// How it is, compared with its files.
    pub(crate) fn status(&self) -> ConfigurationStatus {
        let state = self.lock();
        ConfigurationStatus {
            file: state.file.display().to_string(),
            read_at: state.read_at,
            outdated: ConfigFiles::now(&state.file) != state.read_from,
            refused: state.refused.clone(),
        }
    }

    fn file(&self) -> PathBuf {
        self.lock().file.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reloads {
    /// Has a reload made, without waiting for it.
    pub(crate) fn request(&self) {
        // If too many wait, one of them does what this one would.
        let _ = self.0.try_send(None);
    }

    /// Has a reload made.
    pub(crate) async fn reload(self) -> Result<Reloaded, NotReloaded> {
        let (done, reloaded) = oneshot::channel();
        // Fails when the hub is stopping, and then there is no answer.
        let _ = self.0.send(Some(done)).await;
        let stopping = |_| NotReloaded {
            why: "the hub is stopping".to_owned(),
            reports: Vec::new(),
        };
        reloaded.await.map_err(stopping)?
    }
}

impl Reloader {
    /// Makes reloads until the process ends, in the running actix system.
    pub(crate) fn start(mut self) -> Reloads {
        let (requests, mut asked) = mpsc::channel::<Request>(MAX_WAITING);
        actix_rt::spawn(async move {
            while let Some(request) = asked.recv().await {
                let outcome = self.reload().await;
                self.note(&outcome);
                if let Some(done) = request {
                    // Who asked may have gone.
                    let _ = done.send(outcome);
                }
            }
        });
        Reloads(requests)
    }

    async fn reload(&mut self) -> Result<Reloaded, NotReloaded> {
        let file = self.configuration.file();
        let read = file.clone();
        let loaded = match spawn_blocking(move || watchpost_config::load(&read)).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(errors)) => return Err(refused(errors.to_string(), &errors.into_errors())),
            Err(died) => return Err(failed(died)),
        };
        let fixed = needing_restart(&self.hub.settings(), &loaded);
        if !fixed.is_empty() {
            let why = "the hub has to be restarted for this";
            return Err(refused(why.to_owned(), &fixed));
        }
        let checked = check(&loaded, &self.host_binary).await;
        if checked.errors() > 0 {
            return Err(refused(checked.summary(), &checked.findings));
        }
        let tables = self.hub.settings().changed_tables(&loaded.settings);
        let prepared = self.inbound.prepare(loaded.settings.listen()).map_err(failed)?;
        let applied = self.hub.apply(loaded.settings.clone()).await.map_err(failed)?;
        let settings = &loaded.settings.hub;
        self.log
            .change(&settings.log, settings.time_zone())
            .map_err(failed)?;
        self.inbound.switch(prepared).await.map_err(failed)?;
        let mut state = self.configuration.lock();
        (state.read_from, state.read_at) = (loaded.read_from().clone(), now());
        for warning in &checked.findings {
            warn!("{}", warning.line());
        }
        let mut warnings: Vec<String> = checked
            .findings
            .iter()
            .map(|found| diagnostics::report(found))
            .collect();
        for program in self.programs.replaced() {
            let warning = format!("{program} was replaced, and the old one runs: restart the hub");
            warn!("{warning}");
            warnings.push(warning);
        }
        Ok(Reloaded {
            file: file.display().to_string(),
            applied,
            tables: tables.into_iter().map(str::to_owned).collect(),
            warnings,
        })
    }

    /// Says in log and status how it went.
    fn note(&self, outcome: &Result<Reloaded, NotReloaded>) {
        let mut state = self.configuration.lock();
        state.refused = match outcome {
            Ok(reloaded) => {
                info!("the configuration was reloaded: {}", summary(reloaded).join("; "));
                None
            }
            Err(NotReloaded { why, reports }) => {
                for report in reports {
                    error!("{report}");
                }
                error!("the configuration was not reloaded, and the hub goes on with the one it has: {why}");
                Some(RefusedReload {
                    at: now(),
                    why: why.clone(),
                })
            }
        };
    }
}

/// What cannot be changed while the hub runs.
fn needing_restart(running: &Settings, loaded: &Loaded) -> Vec<ConfigError> {
    let error = |pointer| {
        let message = format!(
            "{} cannot be changed while the hub runs",
            loaded.describe(pointer)
        );
        let help = "restart the hub to have it changed: `systemctl restart watchpost`";
        loaded.error_at(pointer, message, Some(help.to_owned()))
    };
    running
        .needs_restart(&loaded.settings)
        .into_iter()
        .map(error)
        .collect()
}

fn refused(why: String, findings: &[ConfigError]) -> NotReloaded {
    NotReloaded {
        why,
        reports: findings.iter().map(|found| diagnostics::report(found)).collect(),
    }
}

fn failed(why: impl std::fmt::Display) -> NotReloaded {
    NotReloaded {
        why: why.to_string(),
        reports: Vec::new(),
    }
}

/// What a reload has changed, a line for each connection and sink that it touches.
pub(crate) fn summary(reloaded: &Reloaded) -> Vec<String> {
    let Applied {
        connections,
        sinks,
        deferred,
    } = &reloaded.applied;
    let mut lines = changes("connection", connections, *deferred, "");
    lines.extend(changes("sink", sinks, *deferred, "; what waits for it is kept"));
    let is_said = |table: &str| match table {
        "[[connection]]" => !connections.is_empty(),
        "[[sink]]" => !sinks.is_empty(),
        _ => false,
    };
    let others = reloaded.tables.iter().map(String::as_str);
    let others: Vec<&str> = others.filter(|table| !is_said(table)).collect();
    if !others.is_empty() {
        lines.push(format!("{}: changed", others.join(", ")));
    }
    if lines.is_empty() {
        lines.push("nothing is changed".to_owned());
    }
    if *deferred {
        lines.push("the store cannot be written: until it can, alerts are routed as before".to_owned());
    }
    lines
}

/// What becomes of the connections or sinks. What is changed or removed finishes first what it has begun, and waits for that
/// until alerts are routed by the new configuration.
fn changes(what: &str, changes: &Changes, deferred: bool, kept: &str) -> Vec<String> {
    let Changes {
        added,
        changed,
        removed,
    } = changes;
    let when = match deferred {
        true => "once the store can be written and it has finished what it has begun",
        false => "once it has finished what it has begun",
    };
    let added = added.iter().map(|name| format!("{what} {name}: starts"));
    let changed = changed
        .iter()
        .map(|name| format!("{what} {name}: starts again, {when}"));
    let removed = removed
        .iter()
        .map(|name| format!("{what} {name}: ends, {when}{kept}"));
    added.chain(changed).chain(removed).collect()
}

fn now() -> UnixMillis {
    time::OffsetDateTime::now_utc().into()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(applied: Applied, tables: &[&str], expected: Expect) {
        let reloaded = Reloaded {
            applied,
            tables: tables.iter().map(|&table| table.to_owned()).collect(),
            ..Reloaded::default()
        };
        expected.assert_eq(&summary(&reloaded).join("\n"));
    }

    fn applied(deferred: bool) -> Applied {
        let names = |name: &str| vec![name.to_owned()];
        Applied {
            connections: Changes::default(),
            sinks: Changes {
                added: names("mail"),
                changed: names("siren"),
                removed: names("hook"),
            },
            deferred,
        }
    }

    #[test]
    fn what_has_not_happened_yet_is_not_said_to_have_happened() {
        check(
            applied(false),
            &["[[sink]]", "[[route]]"],
            expect![[r#"
                sink mail: starts
                sink siren: starts again, once it has finished what it has begun
                sink hook: ends, once it has finished what it has begun; what waits for it is kept
                [[route]]: changed"#]],
        );
        check(
            applied(true),
            &["[[sink]]"],
            expect![[r#"
                sink mail: starts
                sink siren: starts again, once the store can be written and it has finished what it has begun
                sink hook: ends, once the store can be written and it has finished what it has begun; what waits for it is kept
                the store cannot be written: until it can, alerts are routed as before"#]],
        );
    }

    #[test]
    fn what_is_no_connection_and_no_sink_is_named_by_its_table() {
        check(Applied::default(), &[], expect!["nothing is changed"]);
        check(
            Applied::default(),
            &["[web]", "[[sink]]", "[[route]]"],
            expect!["[web], [[sink]], [[route]]: changed"],
        );
    }
}
