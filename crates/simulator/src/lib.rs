//! A VisionGuard backend to try, test and load Watchpost with, its quirks included.
//!
//! It speaks the backend's protocol on its own reading of it and shares no code with the hub:
//! shared code would share mistakes. It knows nothing of the hub.
//!
//! [`start`] brings one up from [`Options`]; [`Running`] steers and questions it. A simulator in
//! another process is steered over HTTP:
//!
//! | route | what |
//! |---|---|
//! | `POST /simulator/command` | a [`Command`] as JSON; answers the [`Stats`] after it |
//! | `GET /simulator/about` | user, password, token, the same of the second user, shops, streams |
//! | `GET /simulator/stats` | [`Stats`] |
//! | `GET /simulator/alerts` | the list of [`SentAlert`]s |
//! | `GET /simulator/attempts` | the list of [`Attempt`]s |
//! | `GET /simulator/pictures/{anomaly_id}` | the very bytes that an alert carried |
//!
//! The sockets are `actix-web-actors`', which upstream no longer develops: its context frames and masks what the simulator's
//! faults break on purpose, an actor a socket is what the rest of this crate talks to, and none of it is in the hub.
//!
//! Everything random follows from the seed: a simulator started again with the same seed has the
//! same users, streams and anomaly ids. Give it another seed if it is to be another backend.

mod account;
mod backend;
mod clock;
mod command;
mod error;
mod faults;
mod handle;
mod instead;
mod jwt;
mod ledger;
mod lock;
mod options;
mod owl;
mod picture;
mod pose;
mod produce;
mod rest;
mod rows;
mod running;
mod scene;
mod server;
mod slots;
mod socket;
mod tcp;
mod wire;

pub use account::Account;
pub use command::{CloseMode, Command, Handshakes, PictureMode};
pub use error::Error;
pub use faults::{Faults, Freeze};
pub use instead::Instead;
pub use ledger::{
    Attempt, MAX_LISTED_ALERTS, MAX_LISTED_ATTEMPTS, MAX_LISTED_PONGS, Outcome, SentAlert, Stats,
};
pub use options::{
    FrameSize, MAX_CAMERAS, MAX_FRAME_SIDE_PIXELS, MAX_PERSONS, MAX_PICTURE_BYTES, MAX_SHOPS,
    MIN_FRAME_SIDE_PIXELS, Options, PictureSize, Tls,
};
pub use rows::MAX_ROWS;
pub use running::{Running, start};
