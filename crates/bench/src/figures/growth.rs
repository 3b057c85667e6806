//! Whether a store that has been filling for years takes alerts as fast as an empty one.

use anyhow::Result;

use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::median;
use crate::{hub, prefill, subject};

/// Small pictures, for which the rows matter most.
const KB: usize = 10;
const OF_EMPTY_PERCENT: f64 = 90.0;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let picture = lab.picture(KB)?;
    let load = lab.effort.flood_of(&picture);
    let full_dir = lab.scratch()?;
    prefill::fill(&hub::data_dir(full_dir.path()), lab.effort.rows)?;
    let (mut empty, mut full) = (Vec::new(), Vec::new());
    for _ in 0..lab.effort.rounds {
        empty.push(subject::hub(lab, &picture, load, &[])?.result.rate());
        full.push(
            subject::hub_in(lab, full_dir.path(), &picture, load, &[])?
                .result
                .rate(),
        );
    }
    let (empty, full) = (median(empty), median(full));
    Ok(vec![
        Figure::at_least("growth_of_empty", full / empty * 100.0, "%", OF_EMPTY_PERCENT)
            .with("rows", lab.effort.rows as f64)
            .with("full_per_s", full.round())
            .with("empty_per_s", empty.round()),
    ])
}
