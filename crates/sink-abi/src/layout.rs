//! The layout asserts of the header, held by this compiler too.
//!
//! No struct has padding, inside or at the tail, so a field added later never lands in bytes an older writer
//! left undefined.

use core::mem::{offset_of, size_of};

use crate::{Acknowledge, Alert, Arm, ArmListener, ArmRequest, Call, Frame, Host, Plugin, Reply, Str};

/// Bytes of `fixed` fields and of `words` pointers or sizes.
const fn at(fixed: usize, words: usize) -> usize {
    fixed + words * size_of::<usize>()
}

const _: () = {
    assert!(size_of::<Str>() == at(0, 2));
    assert!(offset_of!(Str, len) == at(0, 1));

    assert!(size_of::<Reply>() == at(16, 2));
    assert!(offset_of!(Reply, retry_after_ms) == 8);
    assert!(offset_of!(Reply, note) == at(16, 1));

    assert!(size_of::<Call>() == 24);
    assert!(offset_of!(Call, call_id) == 8);
    assert!(offset_of!(Call, deadline_ns) == 16);

    assert!(size_of::<Frame>() == at(8, 6));
    assert!(offset_of!(Frame, data) == at(0, 4));
    assert!(offset_of!(Frame, height) == at(4, 6));

    assert!(size_of::<Alert>() == at(16, 12));
    assert!(offset_of!(Alert, unix_ms) == 8);
    assert!(offset_of!(Alert, json) == at(16, 6));
    assert!(offset_of!(Alert, frames) == at(16, 8));

    assert!(size_of::<Host>() == at(8, 10));
    assert!(offset_of!(Host, state_dir) == at(8, 5));
    assert!(offset_of!(Host, log) == at(8, 7));

    assert!(offset_of!(Acknowledge, acknowledge) == at(8, 0));

    assert!(size_of::<ArmRequest>() == at(16, 4));
    assert!(offset_of!(ArmRequest, code) == at(16, 2));
    assert!(size_of::<ArmListener>() == at(8, 3));
    assert!(offset_of!(ArmListener, answer) == at(8, 2));
    assert!(size_of::<Arm>() == at(8, 2));
    assert!(offset_of!(Arm, listen) == at(8, 1));

    assert!(size_of::<Plugin>() == at(24, 14));
    assert!(offset_of!(Plugin, caps) == 16);
    assert!(offset_of!(Plugin, id) == 24);
    assert!(offset_of!(Plugin, describe) == at(24, 5));
    assert!(offset_of!(Plugin, extension) == at(24, 13));
};
