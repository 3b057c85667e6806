//! Loading the library and reading its table.

use std::ffi::{CStr, c_char, c_void};
use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use watchpost_sink_abi as abi;
use watchpost_sinkhost_protocol::limits::MAX_DESCRIPTION_BYTES;
use watchpost_sinkhost_protocol::{LoadFault, Note, Outcome, PluginInfo};

use super::reply::{ask, ask_for};

/// Size of the table in version 1.0, which no plugin can be below.
const FIRST_TABLE_BYTES: u32 = size_of::<abi::Plugin>() as u32;
/// Texts of the table longer than this are cut.
const MAX_TEXT_BYTES: usize = 1024;

/// A loaded plugin. Its library is never closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plugin {
    pub(super) table: abi::Plugin,
}

impl Plugin {
    /// Loads the library, which runs its constructors, and checks its table.
    pub(super) fn load(path: &Path) -> Result<Self, LoadFault> {
        // SAFETY: this runs foreign code, which is what this process is for.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
            LoadFault::Unlinkable {
                reason: linker_words(&error),
            }
        })?;
        // SAFETY: the symbol is data; only its address is taken here.
        let address = unsafe { library.get::<*const abi::Plugin>(abi::SYMBOL.to_bytes_with_nul()) }
            .map_err(|_| LoadFault::NoSymbol)?
            .into_raw()
            .cast::<abi::Plugin>()
            .cast_const();
        std::mem::forget(library);
        if address.is_null() {
            return Err(LoadFault::NoSymbol);
        }
        // SAFETY: a symbol has at least the four bytes of the magic number in any plugin; in a library that is
        // none a crash here is contained like every other.
        let magic = unsafe { address.cast::<u32>().read_unaligned() };
        if magic != abi::MAGIC || !address.is_aligned() {
            return Err(LoadFault::BadMagic { found: magic });
        }
        // SAFETY: it has the magic number, so it is a table and tells its size.
        let table = unsafe { abi::read_plugin(address) };
        check(&table)?;
        Ok(Self { table })
    }

    /// What the table says.
    pub(super) fn info(&self) -> PluginInfo {
        let table = &self.table;
        // SAFETY: the header says that these are null or static zero-terminated texts.
        let text = |text: *const c_char| unsafe { text_of(text) };
        PluginInfo {
            id: text(table.id),
            name: text(table.name),
            version: text(table.version),
            summary: text(table.summary),
            sdk: text(table.sdk),
            abi: (table.abi_major, table.abi_minor),
            flushes: table.flush.is_some(),
            probes: table.probe.is_some(),
            cancels: table.cancel.is_some(),
            validates: table.validate.is_some(),
            description: None,
        }
    }

    /// The JSON text of its description, if it gives one.
    pub(super) fn describe(&self) -> Option<String> {
        let describe = self.table.describe?;
        // SAFETY: the reply is valid for the call.
        let (outcome, notes) = ask_for(MAX_DESCRIPTION_BYTES, |reply| unsafe { describe(reply) });
        let note = notes.into_iter().find(|note| note.pointer.is_empty())?;
        (outcome == Outcome::Ok).then_some(note.text)
    }

    /// Its verdict over a configuration.
    pub(super) fn validate(&self, config: &str) -> (Outcome, Vec<Note>) {
        let Some(validate) = self.table.validate else {
            return (Outcome::Unsupported, Vec::new());
        };
        // SAFETY: text and reply are valid for the call.
        ask(|reply| unsafe { validate(abi::Str::new(config), reply) })
    }

    /// Its function for giving a call up.
    pub(super) fn cancel(&self) -> Option<unsafe extern "C" fn(instance: *mut c_void, call_id: u64)> {
        self.table.cancel
    }
}

fn check(table: &abi::Plugin) -> Result<(), LoadFault> {
    if table.abi_major != abi::ABI_MAJOR {
        return Err(LoadFault::OtherMajor {
            plugin: table.abi_major,
            host: abi::ABI_MAJOR,
        });
    }
    if table.min_host_minor > abi::ABI_MINOR {
        return Err(LoadFault::NeedsNewerHost {
            plugin: table.min_host_minor,
            host: abi::ABI_MINOR,
        });
    }
    let missing = [
        ("struct_size", table.struct_size < FIRST_TABLE_BYTES),
        ("id", table.id.is_null()),
        ("name", table.name.is_null()),
        ("version", table.version.is_null()),
        ("create", table.create.is_none()),
        ("deliver", table.deliver.is_none()),
        ("destroy", table.destroy.is_none()),
    ];
    match missing.into_iter().find(|(_, missing)| *missing) {
        Some((field, _)) => Err(LoadFault::Incomplete {
            missing: field.into(),
        }),
        None => Ok(()),
    }
}

/// The dynamic linker's sentence without the library's own wrapping of it.
fn linker_words(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// # Safety
/// `text` is null or points to a zero-terminated text that lives as long as the process.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT_BYTES)]).into_owned()
}
