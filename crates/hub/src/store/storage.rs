//! What the writer thread needs of a store. The real one is [`Store`]; tests put one in front of it that fails on demand.

use watchpost_core::{Alert, RoutingState, UnixMillis};
use watchpost_store::{
    Batch, Committed, OpenReport, OperatorAct, Performed, RetentionReport, RoutingStep, Store, StoreError,
    StorePolicy,
};

/// Where the writer thread writes. Each call is one transaction, kept as a whole or not at all.
pub trait Storage: Send {
    /// See [`Store::commit`].
    fn commit(&mut self, batch: &Batch, step: RoutingStep<'_>) -> Result<Committed, StoreError>;

    /// See [`Store::perform`].
    fn perform(
        &mut self,
        act: &OperatorAct,
        now: UnixMillis,
        step: RoutingStep<'_>,
    ) -> Result<Performed, StoreError>;

    /// See [`Store::knows`].
    fn knows(&self, alert: &Alert) -> Result<bool, StoreError>;

    /// See [`Store::routing_state`].
    fn routing_state(&self) -> &RoutingState;

    /// See [`Store::retain`].
    fn retain(&mut self, now: UnixMillis) -> Result<RetentionReport, StoreError>;

    /// See [`Store::set_policy`].
    fn set_policy(&mut self, policy: StorePolicy);

    /// See [`Store::reopen`].
    fn reopen(&mut self) -> Result<OpenReport, StoreError>;

    /// See [`Store::recreate`].
    fn recreate(&mut self, corruption: &StoreError) -> Result<OpenReport, StoreError>;
}

impl Storage for Store {
    fn commit(&mut self, batch: &Batch, step: RoutingStep<'_>) -> Result<Committed, StoreError> {
        self.commit(batch, step)
    }

    fn perform(
        &mut self,
        act: &OperatorAct,
        now: UnixMillis,
        step: RoutingStep<'_>,
    ) -> Result<Performed, StoreError> {
        self.perform(act, now, step)
    }

    fn knows(&self, alert: &Alert) -> Result<bool, StoreError> {
        self.knows(alert)
    }

    fn routing_state(&self) -> &RoutingState {
        self.routing_state()
    }

    fn retain(&mut self, now: UnixMillis) -> Result<RetentionReport, StoreError> {
        self.retain(now)
    }

    fn set_policy(&mut self, policy: StorePolicy) {
        self.set_policy(policy);
    }

    fn reopen(&mut self) -> Result<OpenReport, StoreError> {
        self.reopen()
    }

    fn recreate(&mut self, corruption: &StoreError) -> Result<OpenReport, StoreError> {
        self.recreate(corruption)
    }
}
