//! What a plugin's file says of itself without any of its code being run: that it is a plugin, and for which version of
//! the contract. Of the rest of the table it knows nothing, for that is filled in when the library is loaded.
#![allow(
    unsafe_code,
    reason = "the file is mapped: reading it may take more memory than the plugin has"
)]

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};
use object::{Object as _, ObjectSegment as _, ObjectSymbol as _};
use watchpost_sink_abi as abi;
use watchpost_sinkhost_protocol::LoadFault;
use watchpost_sinkhost_protocol::limits::MAX_PLUGIN_BYTES;

/// Bytes of the table that are read: up to the last of the numbers looked at.
const HEAD_BYTES: u64 = offset_of!(abi::Plugin, reserved) as u64;

/// Looks for the plugin's table in the file and at the numbers it begins with.
///
/// A file whose symbols cannot be read passes: the dynamic linker has the better words for what is wrong with it.
pub(crate) fn scan(path: &Path) -> Result<(), LoadFault> {
    let content = map(path).map_err(|error| LoadFault::Unreadable {
        reason: error.to_string(),
    })?;
    let Ok(file) = object::File::parse(&*content) else {
        return Ok(());
    };
    let mut symbols = file.dynamic_symbols().peekable();
    if symbols.peek().is_none() {
        return Ok(());
    }
    let wanted = abi::SYMBOL.to_bytes();
    let table = symbols
        .find(|symbol| symbol.is_definition() && symbol.name_bytes() == Ok(wanted))
        .ok_or(LoadFault::NoSymbol)?;
    let head = file
        .segments()
        .find_map(|segment| segment.data_range(table.address(), HEAD_BYTES).ok().flatten());
    // What has no bytes in the file is zero.
    check(head.unwrap_or(&[0; HEAD_BYTES as usize]))
}

/// The parent has checked that it is a regular file of at most this size, an instant ago.
fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    let len = file.metadata()?.len().min(MAX_PLUGIN_BYTES);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    // SAFETY: a file that changes while it is read gives a wrong answer or ends this process, which is here for that.
    unsafe { MmapOptions::new().len(len).map(&file) }
}

/// The parent has checked that the file is for this machine, so its numbers are in the order of this machine.
fn check(head: &[u8]) -> Result<(), LoadFault> {
    let short = |at: usize| {
        head.get(at..at + 2)
            .map_or(0, |b| u16::from_ne_bytes([b[0], b[1]]))
    };
    let magic = head
        .get(..4)
        .map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    let major = short(offset_of!(abi::Plugin, abi_major));
    let min_host_minor = short(offset_of!(abi::Plugin, min_host_minor));
    if magic != abi::MAGIC {
        Err(LoadFault::BadMagic { found: magic })
    } else if major != abi::ABI_MAJOR {
        Err(LoadFault::OtherMajor {
            plugin: major,
            host: abi::ABI_MAJOR,
        })
    } else if min_host_minor > abi::ABI_MINOR {
        Err(LoadFault::NeedsNewerHost {
            plugin: min_host_minor,
            host: abi::ABI_MINOR,
        })
    } else {
        Ok(())
    }
}
