//! How many alerts a second are on disk and acknowledged, hub and bare loop in turns.

use anyhow::Result;

use crate::firehose::Load;
use crate::hub::Sink;
use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::median;
use crate::subject::{self, HubRun};

/// Picture sizes in KB, the figure's name, and the share of the bare loop's rate that is wanted, in percent.
const SIZES: [(usize, &str, f64); 3] = [
    (10, "ingest_10kb_of_bare", 80.0),
    (60, "ingest_60kb_of_bare", 130.0),
    (200, "ingest_200kb_of_bare", 200.0),
];

/// The size at which the archive keeps up and the disk's bytes are counted, in KB.
const TYPICAL_KB: usize = 60;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut others = Vec::new();
    for (kb, name, target) in SIZES {
        let rates = in_turns(lab, kb)?;
        let (bare, hub) = (
            median(rates.bare),
            median(rates.hub.iter().map(|run| run.result.rate())),
        );
        figures.push(
            Figure::at_least(name, hub / bare * 100.0, "%", target)
                .with("hub_per_s", hub.round())
                .with("bare_per_s", bare.round()),
        );
        if kb == TYPICAL_KB {
            others = typical(&rates.hub, &rates.archive, bare, kb);
        }
    }
    figures.append(&mut others);
    Ok(figures)
}

struct Rates {
    bare: Vec<f64>,
    hub: Vec<HubRun>,
    archive: Vec<HubRun>,
}

/// The sides in turns, so that a slow minute of the machine falls on all of them.
fn in_turns(lab: &mut Lab, kb: usize) -> Result<Rates> {
    let picture = lab.picture(kb)?;
    let load = lab.effort.flood_of(&picture);
    let archive = Load {
        most: lab.effort.archived,
        ..load
    };
    let mut rates = Rates {
        bare: Vec::new(),
        hub: Vec::new(),
        archive: Vec::new(),
    };
    for _ in 0..lab.effort.rounds {
        rates.bare.push(subject::bare(lab, &picture, load)?.rate());
        rates.hub.push(subject::hub(lab, &picture, load, &[])?);
        if kb == TYPICAL_KB {
            rates
                .archive
                .push(subject::hub(lab, &picture, archive, &[Sink::Archive])?);
        }
    }
    Ok(rates)
}

fn typical(alone: &[HubRun], archive: &[HubRun], bare: f64, kb: usize) -> Vec<Figure> {
    let archived = median(archive.iter().map(|run| run.delivered_rate));
    let acknowledged = median(
        archive
            .iter()
            .map(|run| run.result.tally.sent as f64 / run.result.took.as_secs_f64()),
    );
    let picture_bytes = (kb * 1_000) as f64;
    let written = |run: &HubRun, bytes: u64| bytes as f64 / run.result.tally.sent as f64;
    let store = median(alone.iter().map(|run| written(run, run.written_bytes)));
    let with_archive = median(archive.iter().map(|run| written(run, run.family_written_bytes)));
    vec![
        Figure::at_least("archived_60kb_of_bare", archived / bare * 100.0, "%", 50.0)
            .with("archived_per_s", archived.round())
            .with("acknowledged_per_s", acknowledged.round())
            .with("bare_per_s", bare.round()),
        Figure::at_most("disk_bytes_60kb", store / picture_bytes, "x picture", 1.3)
            .with("store_bytes", store.round())
            .with("with_archive_bytes", with_archive.round()),
    ]
}
