//! The handle to the writer thread, which the hot path uses directly. It stays valid when the thread is restarted.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};

use actix::prelude::*;
use tokio::sync::{Notify, oneshot, watch};
use watchpost_core::{Actor, Alert, AlertId, ArmingCommand, ClockStep, HubEvent, Hush, SilenceCommand};
use watchpost_store::{
    Annotation, Hushed, OperatorAct, PictureResult, Selection, ShopCheckpoint, StoreError, WriteBackResult,
};

use super::command::{
    Accept, Answer, Asker, Command, Control, Join, OperatorCommand, PanicRaised, PolicyAnswer, PolicyChange,
    RecordOutcomes, Released, WriterPolicy,
};
use super::readers::ReadError;
use crate::notifier::{SinkNotifiers, StopHold, StopRequest, WriteBackNotifier};

/// A handle to the writer thread.
#[derive(Clone, Debug)]
pub(crate) struct StoreHandle {
    commands: mpsc::Sender<Command>,
    /// Wakes a writer that is a task; a thread is woken by the channel.
    wake: Option<Arc<Notify>>,
    notifiers: SinkNotifiers,
    write_backs: WriteBackNotifier,
}

impl StoreHandle {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        wake: Option<Arc<Notify>>,
        notifiers: SinkNotifiers,
        write_backs: WriteBackNotifier,
    ) -> Self {
        Self {
            commands,
            wake,
            notifiers,
            write_backs,
        }
    }

    /// Wakes when something to report to a backend may have become due in the store. What waits for a time is not
    /// announced: see [`watchpost_store::Reader::next_write_back`].
    pub(crate) fn write_backs(&self) -> watch::Receiver<()> {
        self.write_backs.subscribe()
    }

    /// Hands over an alert. The sender learns its fate from a [`super::Stored`].
    pub(crate) fn accept(&self, accept: Accept) {
        self.join(Join::Accept(Box::new(accept)));
    }

    /// Has something noted with an alert.
    pub(crate) fn annotate(&self, annotation: Annotation) {
        self.join(Join::Annotate(annotation));
    }

    /// See [`Join::Checkpoint`].
    pub(crate) fn checkpoint(&self, checkpoint: ShopCheckpoint) {
        self.join(Join::Checkpoint(checkpoint));
    }

    /// See [`Join::Picture`]. The answer comes when it is on disk.
    pub(crate) fn picture(&self, result: PictureResult) -> oneshot::Receiver<()> {
        let (done, recorded) = oneshot::channel();
        self.join(Join::Picture { result, done });
        recorded
    }

    /// See [`Join::WrittenBack`].
    pub(crate) fn written_back(&self, result: WriteBackResult) {
        self.join(Join::WrittenBack(result));
    }

    /// See [`Join::ClockStepped`].
    pub(crate) fn clock_stepped(&self, step: ClockStep) -> oneshot::Receiver<()> {
        let (done, moved) = oneshot::channel();
        self.join(Join::ClockStepped { step, done });
        moved
    }

    /// Has an internal event stored and routed, like an alert without a receipt.
    pub(crate) fn raise(&self, event: HubEvent) {
        self.join(Join::Raise(event));
    }

    /// Has it remembered that a connection is up of which no outage was reported since its source was started.
    pub(crate) fn link_up(&self, connection: &str) {
        self.join(Join::LinkUp(connection.to_owned()));
    }

    /// Records outcomes, without hurry: they piggyback on the next commit.
    pub(crate) fn record_outcomes(&self, outcomes: RecordOutcomes) {
        self.join(Join::RecordOutcomes(outcomes));
    }

    /// See [`Join::ReleaseRetries`].
    pub(crate) fn release_retries(&self, sink: &str, reply: Recipient<Released>) {
        let sink = sink.to_owned();
        self.join(Join::ReleaseRetries { sink, reply });
    }

    /// Has the store's integrity checked if this error of a reader speaks of damage.
    pub(crate) fn suspect(&self, error: &StoreError) {
        if error.is_corruption() {
            self.send(Command::Control(Control::CheckIntegrity));
        }
    }

    /// See [`Self::suspect`].
    pub(crate) fn suspect_read(&self, error: &ReadError) {
        if let ReadError::Store(error) = error {
            self.suspect(error);
        }
    }

    /// Acknowledges an alert and stops what is cancelled by that. Where a person is said to have done so at a sink, that is not stopped.
    /// `None` when the writer has ended.
    pub(crate) async fn acknowledge(&self, alert: AlertId, at: Option<&str>) -> Option<Answer> {
        let hold = self.notifiers.stop(&StopRequest::Acknowledged(alert), at);
        let by = at.map_or(Actor::Operator, |sink| Actor::Sink(sink.to_owned()));
        self.operate(OperatorAct::Acknowledge { alert, by }, Some(hold))
            .await
            .ok()
    }

    /// Acknowledges an alert, as a person has done that at this sink, which is not stopped.
    pub(crate) fn acknowledge_at(&self, alert: AlertId, sink: &str) {
        let hold = self.notifiers.stop(&StopRequest::Acknowledged(alert), Some(sink));
        let by = Actor::Sink(sink.to_owned());
        drop(self.operate(OperatorAct::Acknowledge { alert, by }, Some(hold)));
    }

    /// Acknowledges an alert, as a person has done that in the backend of this connection.
    pub(crate) fn acknowledge_from(&self, alert: AlertId, connection: &str) {
        let hold = self.notifiers.stop(&StopRequest::Acknowledged(alert), None);
        let by = Actor::Backend(connection.to_owned());
        drop(self.operate(OperatorAct::Acknowledge { alert, by }, Some(hold)));
    }

    /// Dismisses an alert and stops what is cancelled by that. `None` when the writer has ended.
    pub(crate) async fn dismiss(&self, alert: AlertId) -> Option<Answer> {
        let hold = self.notifiers.stop(&StopRequest::Acknowledged(alert), None);
        let by = Actor::Operator;
        self.operate(OperatorAct::Dismiss { alert, by }, Some(hold))
            .await
            .ok()
    }

    /// Empties the live list and stops what is cancelled by that. `None` when the writer has ended.
    pub(crate) async fn clear(&self) -> Option<Answer> {
        let hold = self.notifiers.stop(&StopRequest::Cleared, None);
        self.operate(OperatorAct::Clear, Some(hold)).await.ok()
    }

    /// Has deliveries made again, at once. `None` when the writer has ended.
    pub(crate) async fn retry_deliveries(&self, selection: Selection) -> Option<Answer> {
        self.operate(OperatorAct::Retry(selection), None).await.ok()
    }

    /// Drops deliveries, and stops those in flight. `None` when the writer has ended.
    pub(crate) async fn drop_deliveries(&self, selection: Selection) -> Option<Answer> {
        let hold = self
            .notifiers
            .stop(&StopRequest::Dropped(selection.clone()), None);
        self.operate(OperatorAct::Drop(selection), Some(hold)).await.ok()
    }

    /// Has a panic stored and routed. `None` when the writer has ended.
    pub(crate) async fn panic(&self, alert: Alert) -> Option<Answer> {
        let (done, answer) = oneshot::channel();
        self.join(Join::Panic(PanicRaised {
            alert: Box::new(alert),
            asker: Asker::new(done),
        }));
        answer.await.ok()
    }

    /// Begins, extends or ends a silence. `None` when the writer has ended.
    pub(crate) async fn silence(&self, command: SilenceCommand) -> Option<Answer> {
        self.operate(OperatorAct::Silence(command), None).await.ok()
    }

    /// Arms or disarms areas, and stops at once the noise that `hush` is about. `sounding` are the alerts in the store that make
    /// it. `None` when the writer has ended.
    pub(crate) async fn arming(
        &self,
        command: ArmingCommand,
        hush: Option<Hush>,
        sounding: BTreeSet<AlertId>,
    ) -> Option<Answer> {
        let hold = hush.map(|hush| {
            let mut alerts = sounding;
            alerts.extend(self.notifiers.offered_noise(&hush));
            let sinks = hush.sinks;
            self.notifiers
                .stop(&StopRequest::Hushed(Hushed { alerts, sinks }), None)
        });
        self.operate(OperatorAct::Arming(command), hold).await.ok()
    }

    /// Records that a code was given at a sink that is no one's. `None` when the writer has ended.
    pub(crate) async fn wrong_code(&self, sink: &str) -> Option<Answer> {
        let sink = sink.to_owned();
        self.operate(OperatorAct::WrongCode { sink }, None).await.ok()
    }

    /// Has the writer go by another policy, between two commits. What is handed over from now on is routed by it. There is
    /// no answer when the writer has ended.
    pub(crate) fn set_policy(&self, policy: WriterPolicy) -> oneshot::Receiver<PolicyAnswer> {
        let (change, answered) = PolicyChange::new(policy);
        self.send(Command::Control(Control::SetPolicy(change)));
        answered
    }

    /// Ends the writer when everything queued is on disk.
    pub(crate) async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        self.send(Command::Control(Control::Stop(done)));
        let _ = ended.await;
    }

    fn operate(&self, act: OperatorAct, hold: Option<StopHold>) -> oneshot::Receiver<Answer> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Operator(OperatorCommand {
            act,
            hold,
            asker: Asker::new(done),
            changed: 0,
            noted: None,
        }));
        answer
    }

    fn join(&self, join: Join) {
        self.send(Command::Join(join));
    }

    fn send(&self, command: Command) {
        // Fails only when the writer has ended, which it does last of all.
        let _ = self.commands.send(command);
        if let Some(wake) = &self.wake {
            wake.notify_one();
        }
    }
}

#[cfg(test)]
impl StoreHandle {
    /// A handle whose commands a test takes instead of a writer.
    pub(crate) fn detached() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel();
        let handle = Self::new(commands, None, SinkNotifiers::default(), WriteBackNotifier::new());
        (handle, receiver)
    }
}
