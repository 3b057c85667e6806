//! How a sink is fed: due deliveries out of the store, into the child.

use std::time::Duration;

use actix::prelude::*;
use tracing::{error, warn};
use watchpost_core::Outcome;
use watchpost_sinkhost::{Job, NotQueued};

use super::fetch::{self, Fetched, Wanted};
use super::{Child, MAX_IN_FLIGHT_BYTES, Sink, UnderWay};

/// Deliveries that have ended and are not recorded yet, which even a sink that takes one at a time may have: they wait
/// for a commit to ride on.
const MIN_UNRECORDED: usize = 32;

/// How long to wait after the store could not be read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Sink {
    pub(super) fn fetch(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.clock.now();
        let full = if self.careful > 0 {
            1
        } else {
            self.parts.settings.in_flight
        };
        let window = self.pace.window(now, full);
        let bytes: u64 = self.under_way.values().map(|call| call.frame_bytes).sum();
        // What has ended but is not recorded comes again after a crash, so it is bounded like what is under way.
        let unrecorded = self.settling.len() >= self.parts.settings.in_flight.max(MIN_UNRECORDED);
        if self.under_way.len() >= window || unrecorded || bytes >= MAX_IN_FLIGHT_BYTES {
            if let Some(at) = self.pace.opens_at().filter(|_| window == 0) {
                self.wake_at(at, ctx);
            }
            return;
        }
        let wanted = Wanted {
            sink: self.name().to_owned(),
            now: self.parts.clock.unix(),
            limit: window - self.under_way.len(),
            max_bytes: MAX_IN_FLIGHT_BYTES - bytes,
            skip: self
                .under_way
                .values()
                .map(|call| call.alert)
                .chain(self.settling.iter().copied())
                .collect(),
            stops: self.parts.notifier.begin_fetch(),
            cancel_on_acknowledge: self.parts.settings.until_dismissed,
        };
        let (reader, readers) = (self.reader.take(), self.parts.readers.clone());
        self.fetching = true;
        let fetch = tokio::task::spawn_blocking(move || fetch::fetch(reader, &readers, &wanted));
        ctx.spawn(fetch.into_actor(self).map(|outcome, this, ctx| {
            this.fetching = false;
            match outcome {
                Ok(Ok((reader, fetched))) => {
                    this.reader = Some(reader);
                    this.deliver(fetched, ctx);
                }
                Ok(Err(why)) => {
                    this.parts.store.suspect(&why);
                    this.fetch_failed(&why.to_string(), ctx);
                }
                Err(panic) => this.fetch_failed(&panic.to_string(), ctx),
            }
        }));
    }

    fn fetch_failed(&mut self, why: &str, ctx: &mut Context<Self>) {
        error!(sink = %self.name(), "cannot read the store, trying again: {why}");
        self.last_error = Some(format!("cannot read the store: {why}"));
        self.wake_at(self.parts.clock.now() + READ_AGAIN_AFTER, ctx);
    }

    fn deliver(&mut self, fetched: Fetched, ctx: &mut Context<Self>) {
        let Fetched {
            jobs,
            expired,
            next_due,
            more,
        } = fetched;
        if !expired.is_empty() {
            warn!(sink = %self.name(), "{} alerts grew older than max_age and are not delivered", expired.len());
            self.settle(expired, ctx);
        }
        // Some may have come while the fetch ran.
        let stops = self.parts.notifier.stops();
        let cancel_on_acknowledge = self.parts.settings.until_dismissed;
        let wanted = |job: &fetch::Job| !stops.cover(job.alert, cancel_on_acknowledge);
        for fetch::Job {
            alert,
            kind,
            received_at,
            attempts,
            frame_bytes,
            document,
            frames,
        } in jobs.into_iter().filter(wanted)
        {
            let Child::Running(host) = &self.child else { break };
            self.last_call += 1;
            let attempt = attempts.saturating_add(1);
            self.under_way.insert(
                self.last_call,
                UnderWay {
                    alert,
                    kind,
                    received_at,
                    attempt,
                    frame_bytes,
                    cancelled: false,
                },
            );
            let timeout = self.parts.settings.timeout.into();
            let call_id = self.last_call;
            let job = Job {
                call_id,
                attempt,
                timeout,
                alert: document,
                frames,
            };
            match host.deliver(job) {
                Ok(()) => {}
                // Not tried, so not counted: it stays due.
                Err(NotQueued::Gone | NotQueued::Full) => drop(self.under_way.remove(&call_id)),
                Err(never) => self.ended(
                    call_id,
                    &Outcome::Refused {
                        note: never.to_string(),
                    },
                    ctx,
                ),
            }
        }
        if std::mem::take(&mut self.stale) || more {
            self.pump(ctx);
        } else if let Some(due) = next_due {
            let wait = u64::try_from(due.0 - self.parts.clock.unix().0).unwrap_or(0);
            self.wake_at(self.parts.clock.now() + Duration::from_millis(wait), ctx);
        }
    }
}
