//! The configuration of Watchpost: one typed, documented TOML file whose errors point at line and column.
//!
//! Three sources are merged, each over the one before it: the main file, the files `conf.d/*.toml`
//! beside it in the order of their names, and environment variables such as `WATCHPOST__HUB__LOG=debug`.
//! Tables are merged key by key, `[[connection]]`, `[[sink]]` and `[[route]]` add up, and any other value
//! replaces the earlier one. Every value remembers where it was written, so an error found late (by a
//! plugin, say) still names file, line and column.
//!
//! The crate `config` reads the environment variables and nothing else: it merges files as well, but keeps no place of a
//! value, and an error without file, line and column would teach nothing.
//!
//! Nothing here opens a connection, loads a plugin or knows what a plugin's `[sink.config]` means.

#![forbid(unsafe_code)]

mod accounts;
mod code;
mod error;
mod file_identity;
mod loaded;
mod location;
mod nearest;
mod pace;
mod secret;
mod settings;
mod time_zone;

mod load;
mod reference;

mod address;
mod bounded;
mod check;
mod environment;
mod files;
mod formats;
mod forms;
mod inspect;
mod log_filter;
mod mask;
mod names;
mod plugin;
mod privileges;
mod rules;
mod schema;
mod source;
mod syntax;
mod text;
mod tree;

pub use accounts::{Account, Accounts};
pub use code::{BadCode, BadCodeHash, CodeHash};
pub use error::{ConfigError, ConfigErrors, Finding};
pub use file_identity::{ConfigFiles, KnownFile};
pub use load::{Variables, likely_data_dir, load, load_with};
pub use loaded::Loaded;
pub use location::Location;
pub use nearest::{nearest, not_there};
pub use pace::Pace;
pub use privileges::missing_privileges;
pub use reference::reference;
pub use secret::SecretSource;
pub use settings::{
    AnyPort, AreaSettings, AutoArmSettings, BackfillSettings, CameraMatch, CameraSettings, ConfirmSettings,
    ConnectionKind, ConnectionSettings, ExpectSettings, HeaderSettings, HeartbeatSettings, HubSettings,
    InhibitSettings, InhibitSource, InhibitTarget, LogFormat, LoginSettings, PersonSettings, PolicySettings,
    PolicyStepSettings, Ports, ReconnectSettings, RetrySettings, RouteMatch, RouteSettings, SandboxSettings,
    ScheduleSettings, Settings, SeveritySettings, SinkSettings, SinkUser, SlotSettings, StoreSettings,
    VisionGuardMatch, VisionGuardSettings, WatchdogSettings, WebSettings, WhenFull, camera_book, router,
};
pub use time_zone::TimeZone;
pub use watchpost_units::{ByteSize, Rate, TimeSpan};
