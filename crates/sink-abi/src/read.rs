//! Reading a struct that was written by a build of another age.
//!
//! The header's rule: take `min(struct_size, sizeof)` bytes and treat the rest as zero. Zero is a valid value
//! of every field here: null pointers, absent functions, numbers.

use core::mem::MaybeUninit;
use core::ptr;

use crate::{Alert, Arm, ArmListener, ArmRequest, Call, Host, Plugin, Reply};

/// A struct of the ABI whose first field is its `struct_size`.
///
/// # Safety
/// `Self` is `repr(C)`, begins with a `u32` that holds the writer's size in bytes, and all-zero bytes are a
/// valid value of it.
pub unsafe trait Prefixed: Copy {}

// SAFETY: `repr(C)`, begins with `struct_size`, made of integers, raw pointers and optional functions.
unsafe impl Prefixed for Alert {}
// SAFETY: as above.
unsafe impl Prefixed for Call {}
// SAFETY: as above.
unsafe impl Prefixed for Host {}
// SAFETY: as above.
unsafe impl Prefixed for Reply {}
// SAFETY: as above.
unsafe impl Prefixed for ArmRequest {}
// SAFETY: as above.
unsafe impl Prefixed for ArmListener {}
// SAFETY: as above.
unsafe impl Prefixed for Arm {}

/// Copies the part both sides know and leaves the rest zero.
///
/// # Safety
/// `source` is aligned and valid for reads of as many bytes as its `struct_size` says.
pub unsafe fn read<T: Prefixed>(source: *const T) -> T {
    // SAFETY: `T` begins with its size, as `Prefixed` says, and the caller vouches for the memory.
    unsafe { copy_prefix(source, source.cast::<u32>().read()) }
}

/// The same for a [`Plugin`], whose size stands behind its magic. Check the magic first.
///
/// # Safety
/// `source` is aligned and valid for reads of as many bytes as its `struct_size` says.
pub unsafe fn read_plugin(source: *const Plugin) -> Plugin {
    // SAFETY: `Plugin` is integers, raw pointers and optional functions; the caller vouches for the memory.
    unsafe { copy_prefix(source, (*source).struct_size) }
}

/// # Safety
/// `source` is valid for reads of `size` bytes, and all-zero bytes are a valid `T`.
unsafe fn copy_prefix<T: Copy>(source: *const T, size: u32) -> T {
    let mut copy = MaybeUninit::<T>::zeroed();
    let known = (size as usize).min(size_of::<T>());
    // SAFETY: both sides hold `known` bytes and cannot overlap; zeroed bytes are valid, as the caller says.
    unsafe {
        ptr::copy_nonoverlapping(source.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), known);
        copy.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Later {
        call: Call,
        added: u64,
    }

    #[test]
    fn an_older_writers_missing_tail_is_zero() {
        let older = Call {
            struct_size: 16,
            attempt: 3,
            call_id: 7,
            deadline_ns: 99,
        };
        // SAFETY: 16 of its 24 bytes are read.
        let read = unsafe { read(&raw const older) };
        assert_eq!((read.attempt, read.call_id, read.deadline_ns), (3, 7, 0));
    }

    #[test]
    fn a_later_writers_tail_is_left_alone() {
        let later = Later {
            call: Call {
                struct_size: 32,
                attempt: 1,
                call_id: 2,
                deadline_ns: 3,
            },
            added: 4,
        };
        // SAFETY: the struct is 32 bytes long, as its size says.
        let read = unsafe { read((&raw const later).cast::<Call>()) };
        assert_eq!((read.attempt, read.call_id, read.deadline_ns), (1, 2, 3));
        assert_eq!(later.added, 4);
    }

    #[test]
    fn a_plugin_of_an_older_minor_has_no_functions_past_its_end() {
        let mut plugin = Plugin {
            name: c"x".as_ptr(),
            ..Plugin::EMPTY
        };
        plugin.struct_size = 40;
        // SAFETY: 40 of its bytes are read.
        let read = unsafe { read_plugin(&raw const plugin) };
        assert_eq!(read.name, plugin.name);
        assert!(read.version.is_null() && read.create.is_none());
    }

    #[test]
    fn text_of_a_null_pointer_is_empty() {
        let absent = crate::Str {
            ptr: ptr::null(),
            len: 0,
        };
        // SAFETY: null is allowed.
        assert!(unsafe { absent.bytes() }.is_empty());
        // SAFETY: a static text.
        assert_eq!(unsafe { crate::Str::new("wörld").bytes() }, "wörld".as_bytes());
    }
}
