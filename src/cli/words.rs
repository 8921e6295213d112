//! Numbers as people read them.

pub(super) use crate::storage::counted;

/// A number of bytes, and behind it the same in larger units: "1536 (1.5 KiB)".
pub(super) fn bytes(number: u64) -> String {
    if number < 1024 {
        return number.to_string();
    }
    format!("{number} ({})", size(number))
}

/// A number of bytes in the unit that fits: "1.5 KiB".
pub(super) fn size(number: u64) -> String {
    let (mut tenths, mut unit) = (u128::from(number) * 10, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10 * 1024 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    if unit == "B" {
        return format!("{number} B");
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Microseconds in the unit that fits: "870 us", "7.3 ms", "1.2 s".
pub(super) fn duration_us(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} us"),
        1_000..1_000_000 => format!("{}.{} ms", number / 1000, number % 1000 / 100),
        _ => format!("{}.{} s", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}

/// Seconds in the two largest units: "2 h 2 min".
pub(super) fn duration_s(number: u64) -> String {
    let (days, hours) = (number / 86_400, number / 3600 % 24);
    let (minutes, seconds) = (number / 60 % 60, number % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

/// A number for figures, which need no more digits than a floating-point number has.
pub(super) fn float(number: u64) -> f64 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "the lost digits are noise"
    )]
    let float = number as f64;
    float
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1, "entry"), "1 entry");
        assert_eq!(counted(0, "entry"), "0 entries");
        assert_eq!(counted(2, "table"), "2 tables");
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!(bytes(0), "0");
        assert_eq!(bytes(1023), "1023");
        assert_eq!(bytes(1024), "1024 (1.0 KiB)");
        assert_eq!(bytes(64 << 20), "67108864 (64.0 MiB)");
        assert_eq!(bytes(u64::MAX), "18446744073709551615 (16777215.9 TiB)");
        assert_eq!(size(1023), "1023 B");
    }

    #[test]
    fn durations_are_shown_in_the_unit_that_fits() {
        assert_eq!(duration_us(999), "999 us");
        assert_eq!(duration_us(1_950), "1.9 ms");
        assert_eq!(duration_us(61_250_000), "61.2 s");
        assert_eq!(duration_s(59), "59 s");
        assert_eq!(duration_s(61), "1 min 1 s");
        assert_eq!(duration_s(90_000), "1 d 1 h");
    }
}
