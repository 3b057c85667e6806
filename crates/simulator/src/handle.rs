//! Carries out commands on the running simulator. The control routes, the server and the owner hold it; it knows none
//! of them.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    CloseMode, Command, Error,
    backend::{Backend, Outgoing},
    owl,
    produce::Job,
    rows::Picture,
    wire,
};

/// Commands that wait for the thread.
const MAX_WAITING_COMMANDS: usize = 64;

type Done = oneshot::Sender<Result<(), Error>>;

/// What the server's own loop is commanded.
pub(crate) enum Switch {
    /// End all sockets and stop listening; listen again after the time, if there is one.
    Down(CloseMode, Option<Duration>, Done),
    /// Listen again.
    Up(Done),
    /// End.
    Stop(Option<oneshot::Sender<()>>),
}

/// Commands the running simulator: makes alerts, plays faults, stops the server and starts it again.
#[derive(Clone)]
pub(crate) struct Handle {
    backend: Arc<Backend>,
    jobs: mpsc::Sender<Job>,
    switches: mpsc::Sender<Switch>,
}

impl Handle {
    /// The handle, and the two queues it fills: alerts to make, and commands to the server.
    pub(crate) fn new(backend: Arc<Backend>) -> (Self, mpsc::Receiver<Job>, mpsc::Receiver<Switch>) {
        let (jobs, job_queue) = mpsc::channel(MAX_WAITING_COMMANDS);
        let (switches, switch_queue) = mpsc::channel(MAX_WAITING_COMMANDS);
        let handle = Self {
            backend,
            jobs,
            switches,
        };
        (handle, job_queue, switch_queue)
    }

    /// Has the server stop; `false` when it has stopped already.
    pub(crate) async fn stop(&self, done: oneshot::Sender<()>) -> bool {
        self.switches.send(Switch::Stop(Some(done))).await.is_ok()
    }

    /// Has the server stop at its next opportunity.
    pub(crate) fn stop_without_waiting(&self) {
        // Full only if the thread hangs, and then nothing can be done here.
        let _ = self.switches.try_send(Switch::Stop(None));
    }

    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    pub(crate) fn picture(&self, anomaly_id: Uuid) -> Option<Bytes> {
        let picture = self.backend.state().rows.get(anomaly_id)?.picture.clone();
        match picture {
            Picture::Drawn(recipe) => self.backend.painter.alert_picture(&recipe).ok(),
            Picture::Given(bytes) => Some(bytes),
        }
    }

    pub(crate) async fn order(&self, command: Command) -> Result<(), Error> {
        let backend = &self.backend;
        match command {
            Command::Send { count, camera } => {
                let (done, made) = oneshot::channel();
                self.jobs
                    .send(Job { count, camera, done })
                    .await
                    .map_err(|_| Error::Stopped)?;
                return made.await.map_err(|_| Error::Stopped)?;
            }
            Command::Notify { title, message } => {
                let (now, offset) = (backend.now(), backend.options.local_offset);
                let text = wire::rest_notification(fastrand::u64(..), &title, &message, now, offset);
                self.send(Outgoing::Notification(text.into())).await;
            }
            Command::Takeover { for_seconds } => {
                backend.take_over();
                let backend = Arc::clone(backend);
                actix_rt::spawn(async move {
                    tokio::time::sleep(for_seconds).await;
                    backend.end_takeover();
                });
            }
            Command::OwlEye { persons } => {
                let text = owl::seen(backend, persons)?;
                self.send(Outgoing::Notification(text.into())).await;
            }
            Command::SendText { text } => self.send(Outgoing::Text(text.into())).await,
            Command::Ping => backend.ping_now.send_modify(|count| *count += 1),
            Command::Freeze => drop(backend.frozen.send_replace(true)),
            Command::Thaw => drop(backend.frozen.send_replace(false)),
            Command::Kill { how } => backend.end_sockets(how),
            Command::Handshakes { mode } => backend.state().handshakes = mode,
            Command::Pictures { mode } => backend.state().pictures = mode,
            Command::Answer(instead) => backend.state().answers.add(instead),
            Command::AnswerAsEver => backend.state().answers.clear(),
            Command::Clock { ahead_seconds } => backend.set_clock((ahead_seconds * 1_000.0) as i64),
            Command::Faults { are } => backend.state().faults = are.parse()?,
            Command::Database { up } => backend.state().database_down = !up,
            Command::Judge { rows, status } => judge(backend, rows, &status)?,
            Command::RevokeTokens => backend.revoke_tokens(),
            Command::ShowShops { count } => backend.state().shown_shops = count,
            Command::Pings { on } => backend.pings.store(on, Relaxed),
            Command::Pongs { on } => backend.pongs.store(on, Relaxed),
            Command::Alerts { on } => drop(backend.alerts.send_replace(on)),
            Command::DropRegistration => backend.drop_registrations(false),
            Command::Blackhole => backend.drop_registrations(true),
            Command::RemakeUser => backend.remake_user(),
            Command::Hang => drop(backend.hanging.send_replace(true)),
            Command::Unhang => drop(backend.hanging.send_replace(false)),
            Command::Down { how, restart_after } => {
                self.switch(|done| Switch::Down(how, restart_after, done)).await?
            }
            Command::Up => self.switch(Switch::Up).await?,
        }
        Ok(())
    }

    async fn send(&self, message: Outgoing) {
        if let Some(outbox) = self.backend.registered_outbox() {
            // A socket that has just ended hears nothing any more.
            let _ = outbox.send(message).await;
        }
    }

    async fn switch(
        &self,
        switch: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Switch,
    ) -> Result<(), Error> {
        let (done, carried_out) = oneshot::channel();
        self.switches
            .send(switch(done))
            .await
            .map_err(|_| Error::Stopped)?;
        carried_out.await.map_err(|_| Error::Stopped)?
    }
}

/// What a person does at the backend's own page.
fn judge(backend: &Backend, rows: usize, status: &str) -> Result<(), Error> {
    let status = status.parse().map_err(|()| Error::Option {
        option: "status",
        found: status.to_owned(),
        expected: "acknowledged, resolved, false_positive or pending".to_owned(),
    })?;
    let (by, now) = (backend.second().user_id, backend.now());
    backend.state().rows.judge(rows, status, by, now);
    Ok(())
}
