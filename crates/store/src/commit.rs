//! What a transaction does that keeps a batch.
//!
//! The order on disk is pictures, then rows: a row that can be read never refers to a picture that may
//! not be there.

use rusqlite::Transaction;

use crate::alerts::{self, SegmentCounts};
use crate::codec::{document, key};
use crate::deliveries::{self, CountDelta};
use crate::error::Failed;
use crate::frames::FrameLog;
use crate::names::Names;
use crate::{Arrival, Batch, Receipt, StoreError, records, write_back};

/// Ids that have a meaning beyond their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermarks {
    /// Greatest id stored; a smaller one may be a repetition.
    pub(crate) last_id: i64,
    /// The live list shows what is newer.
    pub(crate) cleared_through: i64,
}

/// Writes a batch. The pictures are on their way to the disk then, and not synced.
pub(crate) fn write(
    tx: &Transaction<'_>,
    names: &mut Names,
    frames: &mut FrameLog,
    marks: Watermarks,
    batch: &Batch,
) -> Result<(Vec<Receipt>, Watermarks), Failed> {
    let receipts = alerts::receipts(tx, &mut names.connections, &batch.arrivals, marks.last_id)?;
    let stored = receipts.iter().map(|receipt| *receipt == Receipt::Stored);
    let new: Vec<(&Arrival, String)> = batch
        .arrivals
        .iter()
        .zip(stored)
        .filter_map(|(arrival, stored)| stored.then_some(arrival))
        .map(|arrival| Ok((arrival, document(&arrival.alert)?)))
        .collect::<Result<_, StoreError>>()?;
    let marks = write_new(tx, names, frames, marks, &new)?;
    for annotation in &batch.annotations {
        records::annotate(tx, annotation, batch.late_after)?;
    }
    for (connection, at) in &batch.checkpoints {
        records::set_checkpoint(tx, &mut names.connections, connection, *at)?;
    }
    for result in &batch.write_backs {
        write_back::record(tx, result)?;
    }
    let mut counts = CountDelta::default();
    for (arrival, _) in &new {
        for planned in &arrival.deliveries {
            deliveries::insert(tx, &mut names.sinks, arrival.alert.id, planned, &mut counts)?;
        }
    }
    for update in &batch.updates {
        deliveries::apply(tx, &names.sinks, update, &mut counts)?;
    }
    for sink in &batch.release {
        deliveries::release(tx, &names.sinks, sink)?;
    }
    counts.write(tx)?;
    Ok((receipts, marks))
}

/// Writes alerts and their pictures.
fn write_new(
    tx: &Transaction<'_>,
    names: &mut Names,
    frames: &mut FrameLog,
    marks: Watermarks,
    new: &[(&Arrival, String)],
) -> Result<Watermarks, Failed> {
    // The pictures are on their way to the disk while SQLite works.
    let pictures: Vec<&[u8]> = new
        .iter()
        .filter_map(|(arrival, _)| arrival.frame.as_deref())
        .collect();
    let mut frame_refs = frames.append(&pictures)?.into_iter();
    let keys = || new.iter().map(|(arrival, _)| key(arrival.alert.id));
    let cleared_through = alerts::rewind_clear_watermark(tx, keys().min(), marks.cleared_through)?;
    let mut segments = SegmentCounts::default();
    for (arrival, body) in new {
        let frame = arrival.frame.as_ref().and_then(|_| frame_refs.next());
        segments.add(frame);
        alerts::insert(tx, &mut names.connections, &arrival.alert, body, frame)?;
    }
    segments.write(tx, frames)?;
    Ok(Watermarks {
        last_id: keys().fold(marks.last_id, i64::max),
        cleared_through,
    })
}
