//! The wall clock in the machine's time zone, as log lines show it.

use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in the local time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year, in full.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// How far the zone is ahead of UTC, in minutes.
    pub offset_minutes: i32,
}

/// The local time of a moment. The zone is what `TZ` and `/etc/localtime` said when the process first asked.
#[must_use]
pub fn local_time(moment: SystemTime) -> LocalTime {
    let seconds = moment
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let seconds = libc::time_t::try_from(seconds).unwrap_or(0);
    let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to live values of the right type; localtime_r writes only its result and takes glibc's
    // own lock round the zone data, so other threads may call it too. It reads TZ from the environment
    // only where the process has never asked for a local time before, and an interpreter has when it started.
    let result = unsafe { libc::localtime_r(&raw const seconds, broken_down.as_mut_ptr()) };
    debug_assert!(
        !result.is_null(),
        "localtime_r fails only for years beyond an int"
    );
    // SAFETY: `tm` is plain integers and one pointer, for all of which zero is a value; so it is initialised also where
    // localtime_r left it alone.
    let tm = unsafe { broken_down.assume_init() };
    let small = |value: libc::c_int| u8::try_from(value).unwrap_or(0);
    LocalTime {
        year: tm.tm_year + 1900,
        month: small(tm.tm_mon + 1),
        day: small(tm.tm_mday),
        hour: small(tm.tm_hour),
        minute: small(tm.tm_min),
        second: small(tm.tm_sec),
        offset_minutes: i32::try_from(tm.tm_gmtoff / 60).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_known_moment_is_broken_down_in_its_zone() {
        let moment = UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let local = local_time(moment);
        let minutes = i32::from(local.hour) * 60 + i32::from(local.minute) - local.offset_minutes;
        assert_eq!((local.year, local.month, local.second), (1994, 11, 37));
        assert_eq!(minutes.rem_euclid(24 * 60), 8 * 60 + 49);
    }
}
