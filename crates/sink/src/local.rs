//! Times as people at the site read them: in the time zone of the machine. What happened is not known here.

use std::ffi::CStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time as `2026-11-23 02:16:30 CET`, or in UTC where the machine knows no zone.
pub(crate) fn local(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Ok(seconds) = libc::time_t::try_from(seconds) else {
        return humantime::format_rfc3339_seconds(time).to_string();
    };
    // SAFETY: all zeros is a valid `tm`, whose only pointer may be null.
    let mut broken: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and the C library locks what it shares.
    if unsafe { libc::localtime_r(&raw const seconds, &raw mut broken) }.is_null() {
        return humantime::format_rfc3339_seconds(time).to_string();
    }
    let zone = if broken.tm_zone.is_null() {
        "".into()
    } else {
        // SAFETY: not null, and the C library keeps the names of zones for the life of the process.
        unsafe { CStr::from_ptr(broken.tm_zone) }.to_string_lossy()
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} {zone}",
        broken.tm_year + 1900,
        broken.tm_mon + 1,
        broken.tm_mday,
        broken.tm_hour,
        broken.tm_min,
        broken.tm_sec
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_has_its_date_and_its_zone() {
        let text = local(UNIX_EPOCH + Duration::from_secs(1_795_396_590));
        // Whatever zone the machine is in, it is the day before or after at the most.
        assert!(text.starts_with("2026-11-2") && text.contains(":30 "), "{text}");
    }
}
