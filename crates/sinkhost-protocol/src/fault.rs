//! What can be wrong with a plugin's file, and how far a start has come. Every text says what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong with a plugin's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum LoadFault {
    /// There is no such file.
    #[error("there is no such file; install it there, or correct `plugin` or `plugin_dirs`")]
    Missing,
    /// It cannot be opened or read.
    #[error("it cannot be read: {reason}; the user that runs Watchpost needs read access to it")]
    Unreadable {
        /// The system's words.
        reason: String,
    },
    /// It is something else.
    #[error(
        "it is {what}, not a shared library; a plugin is an ELF file made with -shared (Rust: crate-type cdylib)"
    )]
    NotALibrary {
        /// What it seems to be, with its article.
        what: String,
    },
    /// It is larger than any plugin should be.
    #[error("it has {bytes} bytes, and a plugin has {max} at most; link large libraries dynamically", max = crate::limits::MAX_PLUGIN_BYTES)]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
    },
    /// It is for another kind of machine.
    #[error("it is built for {found}, and this Watchpost runs on {here}; install the build for {here}")]
    OtherMachine {
        /// The machine in its header.
        found: String,
        /// This machine.
        here: String,
    },
    /// The dynamic linker refuses it.
    #[error(
        "the dynamic linker refuses it: {reason}; install what it is linked with (see `ldd`) in a directory of the \
             system; others it cannot read"
    )]
    Unlinkable {
        /// The linker's words.
        reason: String,
    },
    /// It does not export the plugin symbol.
    #[error("it does not export `watchpost_sink_v1`, so it is a library but not a sink plugin of version 1")]
    NoSymbol,
    /// It exports something else under that name.
    #[error("its `watchpost_sink_v1` begins with {found:#010x} instead of {expected:#010x}: the symbol must be the \
             wp_plugin itself (not a pointer or a function), with .magic = WP_MAGIC", expected = watchpost_sink_abi::MAGIC)]
    BadMagic {
        /// The four bytes found.
        found: u32,
    },
    /// It was made for another major version of the contract.
    #[error(
        "it is made for version {plugin} of the plugin contract and this Watchpost speaks version {host}; \
             install the plugin's build for version {host}"
    )]
    OtherMajor {
        /// The plugin's.
        plugin: u16,
        /// The host's.
        host: u16,
    },
    /// It needs what only a later minor version of the contract has.
    #[error(
        "it needs version 1.{plugin} of the plugin contract and this Watchpost has 1.{host}; update Watchpost"
    )]
    NeedsNewerHost {
        /// The minor version it needs.
        plugin: u16,
        /// The minor version there is.
        host: u16,
    },
    /// Its table lacks what every plugin must have.
    #[error(
        "its wp_plugin has no `{missing}`, which every plugin must have; ask its author for a complete build"
    )]
    Incomplete {
        /// The field's name in the header.
        missing: String,
    },
    /// Its description of itself is not what the contract asks for.
    #[error("its `describe` gives no valid description: {reason}; ask its author for a correct build")]
    BadDescription {
        /// What is wrong with it.
        reason: String,
    },
}

impl LoadFault {
    /// The same fault with these words in the place of those that come from elsewhere.
    #[must_use]
    pub fn map_texts(self, map: impl Fn(String) -> String) -> Self {
        match self {
            Self::Unreadable { reason } => Self::Unreadable { reason: map(reason) },
            Self::NotALibrary { what } => Self::NotALibrary { what: map(what) },
            Self::OtherMachine { found, here } => Self::OtherMachine {
                found: map(found),
                here: map(here),
            },
            Self::Unlinkable { reason } => Self::Unlinkable { reason: map(reason) },
            Self::Incomplete { missing } => Self::Incomplete {
                missing: map(missing),
            },
            Self::BadDescription { reason } => Self::BadDescription { reason: map(reason) },
            Self::Missing
            | Self::TooLarge { .. }
            | Self::NoSymbol
            | Self::BadMagic { .. }
            | Self::OtherMajor { .. }
            | Self::NeedsNewerHost { .. } => self,
        }
    }
}

/// How far a child has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The process comes up.
    Starting,
    /// `dlopen`, which runs the constructors of the library, and the checks of its table.
    Loading,
    /// `describe`
    Describing,
    /// `validate`
    Validating,
    /// `create`
    Creating,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Loading => "loading",
            Self::Describing => "describing itself",
            Self::Validating => "checking its configuration",
            Self::Creating => "creating the instance",
        })
    }
}
