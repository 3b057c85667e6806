//! What a transaction does that keeps a batch.
//!
//! The order on disk is pictures, then rows: a row that can be read never refers to a picture that may
//! not be there.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rusqlite::Transaction;
use watchpost_core::{Alert, DeliveryState, RoutingEvent, UnixMillis};

use crate::alerts::{self, SegmentCounts};
use crate::codec::{document, key};
use crate::deliveries::{self, CountDelta};
use crate::error::Failed;
use crate::frames::{FrameLog, FrameRef};
use crate::names::{NameTable, Names};
use crate::routing::{self, Routing};
use crate::{
    Arrival, Batch, Committed, DeliveryUpdate, Hushed, Receipt, clock, pictures, records, twins, write_back,
};

/// Ids that have a meaning beyond their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermarks {
    /// Greatest id stored; a smaller one may be a repetition.
    pub(crate) last_id: i64,
    /// The live list shows what is newer.
    pub(crate) cleared_through: i64,
}

/// Writes a batch, and what follows from its new alerts. The pictures are on their way to the disk then, and not synced.
pub(crate) fn write(
    tx: &Transaction<'_>,
    names: &mut Names,
    frames: &mut FrameLog,
    marks: Watermarks,
    batch: &Batch,
    routing: &mut Routing<'_>,
) -> Result<(Committed, Watermarks), Failed> {
    let receipts = alerts::receipts(tx, &mut names.connections, &batch.arrivals, marks.last_id)?;
    let stored = receipts.iter().map(|receipt| *receipt == Receipt::Stored);
    let new: Vec<New<'_>> = batch
        .arrivals
        .iter()
        .zip(stored)
        .filter_map(|(arrival, stored)| stored.then_some(arrival))
        .map(|arrival| New::of(tx, arrival))
        .collect::<Result<_, _>>()?;
    let marks = write_new(tx, names, frames, marks, &new)?;
    for annotation in &batch.annotations {
        records::annotate(tx, annotation, batch.late_after)?;
    }
    for checkpoint in &batch.checkpoints {
        records::set_checkpoint(tx, &mut names.connections, checkpoint)?;
    }
    for result in &batch.write_backs {
        write_back::record(tx, result)?;
    }
    let (mut counts, mut sinks) = (CountDelta::default(), BTreeSet::new());
    let hushed = follow_up(tx, &names.sinks, batch, routing, &mut sinks)?;
    for New { alert, .. } in &new {
        let effects = routing.ask(RoutingEvent::Alert(alert));
        let unheld = effects.unheld.as_ref();
        routing::unhold(tx, &names.sinks, unheld, alert.received_at, &mut sinks)?;
        routing::apply(tx, &mut names.sinks, alert.id, &effects, &mut counts)?;
        if let Some(digest) = &alert.digest {
            routing::summed_up(tx, (digest, alert.id), alert.received_at)?;
        }
        sinks.extend(effects.deliveries.into_iter().map(|planned| planned.sink));
    }
    note_duplicates(tx, frames, batch, &receipts, &mut sinks)?;
    for result in &batch.pictures {
        pictures::record(tx, frames, result, &mut sinks)?;
    }
    for update in &batch.updates {
        deliveries::apply(tx, &names.sinks, update, &mut counts)?;
        note_undelivered(update, routing);
    }
    if let Some(step) = &batch.clock_step
        && clock::apply(tx, step, marks.last_id)?
    {
        routing.ask(RoutingEvent::ClockStepped(*step));
    }
    for sink in &batch.release {
        deliveries::release(tx, &names.sinks, sink)?;
    }
    counts.write(tx)?;
    Ok((
        Committed {
            receipts,
            sinks,
            hushed,
        },
        marks,
    ))
}

/// Does what is due, and what follows from connections that are up. `woken` gets the names of the sinks that have something to do.
fn follow_up(
    tx: &Transaction<'_>,
    names: &NameTable,
    batch: &Batch,
    routing: &mut Routing<'_>,
    woken: &mut BTreeSet<String>,
) -> Result<Option<Hushed>, Failed> {
    let mut hushed = None;
    if let Some(now) = batch.due {
        let effects = routing.ask(RoutingEvent::Due);
        hushed = effects
            .hush
            .map(|hush| routing::hush(tx, &hush, now))
            .transpose()?;
        routing::unhold(tx, names, effects.unheld.as_ref(), now, woken)?;
    }
    for connection in &batch.links_up {
        let unheld = routing.ask(RoutingEvent::LinkUp(connection)).unheld;
        // It drops nothing, and so has no time.
        routing::unhold(tx, names, unheld.as_ref(), UnixMillis(0), woken)?;
    }
    Ok(hushed)
}

/// A policy goes on at once where a sink does not get its message.
fn note_undelivered(update: &DeliveryUpdate, routing: &mut Routing<'_>) {
    let DeliveryUpdate {
        alert, sink, state, ..
    } = update;
    let ended = matches!(state, DeliveryState::Dead | DeliveryState::Expired);
    if ended && routing.state().escalations.awaits(*alert, sink) {
        routing.ask(RoutingEvent::Undelivered { alert: *alert, sink });
    }
}

/// Notes what alerts that were stored before have brought.
fn note_duplicates(
    tx: &Transaction<'_>,
    frames: &mut FrameLog,
    batch: &Batch,
    receipts: &[Receipt],
    sinks: &mut BTreeSet<String>,
) -> Result<(), Failed> {
    for (arrival, receipt) in batch.arrivals.iter().zip(receipts) {
        let Receipt::Duplicate { of } = receipt else {
            continue;
        };
        let Arrival { alert, frame } = arrival;
        if *of != alert.id {
            twins::seen_again(tx, *of, alert)?;
        }
        // It may bring the picture that the stored one lacks.
        if frame.is_some() {
            pictures::settle(tx, frames, *of, &alert.picture, frame.as_deref(), sinks)?;
        }
    }
    Ok(())
}

/// An alert that is new.
struct New<'a> {
    alert: Cow<'a, Alert>,
    /// Its document.
    body: String,
    /// Its picture.
    frame: Option<&'a [u8]>,
    /// The picture of another alert, which it has too.
    shared: Option<FrameRef>,
}

impl<'a> New<'a> {
    /// A digest has the picture of its worst alert, and a message of a policy that of the alert that it is about.
    fn of(tx: &Transaction<'_>, arrival: &'a Arrival) -> Result<Self, Failed> {
        let mut alert = Cow::Borrowed(&arrival.alert);
        let mut shared = None;
        if let Some(shown) = arrival.alert.shows()
            && let Some((picture, frame)) = alerts::picture_of(tx, shown)?
        {
            alert.to_mut().picture = picture;
            shared = frame;
        }
        Ok(Self {
            body: document(&alert)?,
            alert,
            frame: arrival.frame.as_deref(),
            shared,
        })
    }
}

/// Writes alerts and their pictures.
fn write_new(
    tx: &Transaction<'_>,
    names: &mut Names,
    frames: &mut FrameLog,
    marks: Watermarks,
    new: &[New<'_>],
) -> Result<Watermarks, Failed> {
    // The pictures are on their way to the disk while SQLite works.
    let pictures: Vec<&[u8]> = new.iter().filter_map(|new| new.frame).collect();
    let mut frame_refs = frames.append(&pictures)?.into_iter();
    let keys = || new.iter().map(|new| key(new.alert.id));
    let cleared_through = alerts::rewind_clear_watermark(tx, keys().min(), marks.cleared_through)?;
    let mut segments = SegmentCounts::default();
    for new in new {
        let frame = match new.frame {
            Some(_) => frame_refs.next(),
            None => new.shared,
        };
        segments.add(frame);
        alerts::insert(tx, &mut names.connections, &new.alert, &new.body, frame)?;
    }
    segments.write(tx, frames)?;
    Ok(Watermarks {
        last_id: keys().fold(marks.last_id, i64::max),
        cleared_through,
    })
}
