//! What is measured, one file a group of figures.

mod growth;
mod ingest;
mod latency;
mod neighbours;
mod peak;
mod rest;
mod routing;
mod sinks;
mod start;

use anyhow::Result;
use clap::ValueEnum;

use crate::lab::Lab;
use crate::report::Figure;

/// A group of figures that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Durable ingest against the bare loop, with and without the archive sink, and the bytes it writes.
    Ingest,
    /// Acknowledgement and delivery at 100 alerts a second.
    Latency,
    /// Delivery by each bundled sink at 20 alerts a second.
    Sinks,
    /// Delivery beside sinks that crash, hang and flood.
    Neighbours,
    /// Memory at rest, and processor time at 10 alerts a second.
    Rest,
    /// Memory under the heaviest load.
    Peak,
    /// From start to connected.
    Start,
    /// Ingest with a full store.
    Growth,
    /// The routing step with very many routes and cameras.
    Routing,
}

impl Group {
    /// All of them, in the order in which they are measured and shown.
    pub(crate) const ALL: [Self; 9] = [
        Self::Ingest,
        Self::Latency,
        Self::Sinks,
        Self::Neighbours,
        Self::Rest,
        Self::Peak,
        Self::Start,
        Self::Growth,
        Self::Routing,
    ];

    /// Measures the group.
    pub(crate) fn measure(self, lab: &mut Lab) -> Result<Vec<Figure>> {
        match self {
            Self::Ingest => ingest::measure(lab),
            Self::Latency => latency::measure(lab),
            Self::Sinks => sinks::measure(lab),
            Self::Neighbours => neighbours::measure(lab),
            Self::Rest => rest::measure(lab),
            Self::Peak => peak::measure(lab),
            Self::Start => start::measure(lab),
            Self::Growth => growth::measure(lab),
            Self::Routing => routing::measure(lab),
        }
    }
}

/// A size in MiB.
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A time in milliseconds.
fn ms(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
