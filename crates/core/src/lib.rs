//! The pure domain of Watchpost: alerts, deliveries, routing, retry, link state. No I/O and no clock.
