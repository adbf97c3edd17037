//! Sizes and times as people write them: `100MB`, `1.5 GiB`, `30s`, `5m`.

use std::time::Duration;

/// Larger units first, so that the first one that divides a size is the best to show it in.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

const SECOND: u64 = 1_000_000_000;

const TIMES: [(&str, u64); 7] = [
    ("ms", SECOND / 1_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("min", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
    ("", SECOND),
];

/// Bytes of a size. As with DuckDB, `MB` is a million and `MiB` is 2^20; without a unit it is bytes.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let bare = unit.is_empty().then_some(1);
    let bytes = bare.or_else(|| SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, size)| *size));
    scaled(number, bytes?)?.try_into().ok()
}

/// The shortest spelling that `parse_bytes` reads as the same size.
pub(super) fn show_bytes(bytes: u64) -> String {
    let fits = |(_, size): &&(&str, u64)| bytes >= *size && bytes.is_multiple_of(*size);
    SIZES.iter().find(fits).map_or_else(|| "0B".to_owned(), |(name, size)| format!("{}{name}", bytes / size))
}

/// A time; without a unit it is seconds.
pub fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let (_, nanos) = TIMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let nanos = scaled(number, *nanos)?;
    let second = u128::from(SECOND);
    Some(Duration::new((nanos / second).try_into().ok()?, (nanos % second).try_into().ok()?))
}

/// A spelling that `parse_span` reads as the same time.
pub(super) fn show_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match span.subsec_nanos() {
        0 if seconds > 0 && seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        0 if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        0 => format!("{seconds}s"),
        nanos => format!("{}s", format!("{seconds}.{nanos:09}").trim_end_matches('0')),
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// A decimal number times a whole one, exactly; what is smaller than one is cut off.
fn scaled(number: &str, unit: u64) -> Option<u128> {
    let digits = number.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    // More digits than these mean nothing, and could overflow.
    let fraction = fraction.get(..fraction.len().min(12))?;
    let whole: u128 = whole.parse::<u64>().ok()?.into();
    let unit = u128::from(unit);
    let part = if fraction.is_empty() {
        0
    } else {
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        u128::from(fraction.parse::<u64>().ok()?) * unit / scale
    };
    whole.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_any_usual_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("100MB", 100_000_000),
            ("100 mb", 100_000_000),
            ("100MiB", 100 << 20),
            ("1.5GiB", 3 << 29),
            ("4GB", 4_000_000_000),
            ("1_000KB", 1_000_000),
            ("7B", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MB", "-1", "4 GiB x", "1e3", "1..2", ".", ".5GB", "99999999TB", "18446744073709551616", "80%"]
        {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_with_any_usual_unit() {
        for (text, millis) in
            [("30", 30_000), ("30.0", 30_000), ("0.25", 250), ("250ms", 250), ("5m", 300_000), ("2 h", 7_200_000)]
        {
            assert_eq!(parse_span(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "NaN", "inf", "1w", "1 2"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same() {
        for bytes in [0, 1, 999, 1_000, 1_024, 4_000_000_000, 100 << 20, 10 << 30, u64::MAX] {
            assert_eq!(parse_bytes(&show_bytes(bytes)), Some(bytes), "{}", show_bytes(bytes));
        }
        for millis in [0, 1, 1_500, 30_000, 90_000, 300_000, 86_400_000] {
            let span = Duration::from_millis(millis);
            assert_eq!(parse_span(&show_span(span)), Some(span), "{}", show_span(span));
        }
        assert_eq!(show_bytes(100 << 20), "100MiB");
        assert_eq!(show_bytes(4_000_000_000), "4GB");
        assert_eq!(show_span(Duration::from_mins(5)), "5m");
        assert_eq!(show_span(Duration::from_millis(1_500)), "1.5s");
    }
}
