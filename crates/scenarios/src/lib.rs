//! What rules do, as a specification that is run: sites, what happens on them and when, and what follows from that, each with its
//! reason. The tables (`tables/*.md`) are read here, as they stand. What is done to a site is written there by hand; what follows
//! is what the routing step says (`tests/it`, where `UPDATE_EXPECT=1` writes it down again). The whole hub is played by the same
//! tables in the simulated world, and so are the real processes.
//!
//! A line with a time, two spaces and a text is an act; what stands deeper follows from it, or from time that goes by:
//!
//! ```text
//! Fri 22:00     arm away                    an act (see [`Act`] for all of them)
//!                 Yard: arming away         how an area stands from then on
//! Fri 22:01       ! Yard is armed > mail    an internal event, and who gets it
//! Fri 23:10     Gate                        what a camera has seen
//!                 > mail: why               who gets it
//!                 ~ siren 23:10:30: why     who gets it later
//!                 x archive: why            who does not
//!                 > siren, Gate             who gets what was to be delivered later
//!                 - siren, Gate: why        what was to be delivered and is not
//! ```
//!
//! It knows neither a store nor a runtime.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "only tests use it, and what is wrong in a table ends them"
)]

mod account;
mod act;
mod around;
mod facts;
mod shown;
mod site;
mod table;

pub use account::Explained;
pub use act::{Act, InHand, Seen};
pub use around::{BESIDE, NOT_PLAYED, is_of_its_parts, message, posted, stream};
pub use facts::Facts;
pub use shown::{brief, show_area};
pub use site::{SiteClock, settings};
pub use table::{Line, Scenario, TEXT_AT, Table, write};

/// The day on which scenarios begin: a Friday, years after this was built. A hub follows no schedule while its clock shows a time
/// before that.
pub const FIRST_DAY: &str = "2037-11-27";
