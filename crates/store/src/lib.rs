//! Durable storage for Watchpost: alerts and deliveries in SQLite, pictures in a frame log beside it.
//!
//! One [`Store`] writes, from one thread and in batches; any number of [`Reader`]s read beside it. A batch
//! is on disk as a whole before [`Store::commit`] returns, or not there at all. Everything here blocks.
//!
//! It knows nothing of sockets, plugins or runtimes, asks the routing step where new alerts go without knowing any route,
//! and reads no clock but to name a file that has to be quarantined: the time comes in as an argument.
//!
//! # Files in the data directory
//!
//! | name | what |
//! |---|---|
//! | `watchpost.db`, `-wal`, `-shm` | the database |
//! | `frames/*.seg` | the pictures, one after the other, without any framing |
//! | `armed.json` | what is armed and silenced, should the database be lost |
//! | `store.lock` | held by the one process that may write |
//! | `*.corrupt-<time>` | what could not be read, kept for whoever wants to rescue something |

#![forbid(unsafe_code)]

mod alerts;
mod batch;
mod clock;
mod codec;
mod commit;
mod deliveries;
mod error;
mod frames;
mod names;
mod open;
mod operator;
mod options;
mod paths;
mod pictures;
mod quarantine;
mod reader;
mod records;
mod retention;
mod routing;
mod schema;
mod selection;
mod standby;
mod store;
mod twins;
mod write_back;

pub use batch::{
    Annotation, Arrival, Batch, Committed, DeliveryUpdate, Hushed, PictureOutcome, PictureResult, Receipt,
    ShopCheckpoint, WriteBackResult,
};
pub use deliveries::MAX_CHANGED_ROWS;
pub use error::StoreError;
pub use frames::{FrameError, FrameRef};
pub use open::{Armed, OpenKind, OpenReport};
pub use operator::{OperatorAct, Performed};
pub use options::{DEFAULT_SEGMENT_SIZE, Retention, StoreOptions, StorePolicy};
pub use pictures::PictureDue;
pub use quarantine::Quarantined;
pub use reader::{
    Acknowledgement, Counts, Delivery, DeliveryRow, DueDelivery, Filter, Reader, ReaderFactory, SeenCamera,
    StoredAlert,
};
pub use records::{PLACE_PREFIX, Unmatched};
pub use retention::{Held, RetentionReport};
pub use routing::{HoldEnd, RoutingStep, StoredSuppression};
pub use selection::Selection;
pub use store::Store;
pub use write_back::WriteBack;
