//! Dates and times of day as text, for any year DuckDB can hold. No clock, no time zones.

use arrow::datatypes::TimeUnit;

/// Days from 1970-01-01 to year, month and day of the (proleptic) Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counting from 0000-03-01 puts the leap day at the end of a year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Appends `YYYY-MM-DD`; years before 1 as DuckDB writes them, `0044-03-15 (BC)`.
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    let (shown, suffix) = if year > 0 { (year, "") } else { (1 - year, " (BC)") };
    write_padded(shown, 4, out);
    out.push(b'-');
    write_padded(month, 2, out);
    out.push(b'-');
    write_padded(day, 2, out);
    out.extend_from_slice(suffix.as_bytes());
}

/// Appends `HH:MM:SS`, and a fraction if there is any, without trailing zeros.
pub(super) fn write_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let per_second = units_per_second(unit);
    let seconds = value.div_euclid(per_second);
    write_padded(seconds / 3_600, 2, out);
    out.push(b':');
    write_padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    write_padded(seconds % 60, 2, out);
    let fraction = value.rem_euclid(per_second);
    if fraction != 0 {
        out.push(b'.');
        let digits = match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        };
        write_padded(fraction, digits, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Appends `YYYY-MM-DDTHH:MM:SS[.fraction][+00:00]`.
pub(super) fn write_timestamp(value: i64, unit: TimeUnit, zoned: bool, out: &mut Vec<u8>) {
    let per_day = units_per_second(unit) * 86_400;
    write_date(value.div_euclid(per_day), out);
    out.push(b'T');
    write_time(value.rem_euclid(per_day), unit, out);
    if zoned {
        out.extend_from_slice(b"+00:00");
    }
}

pub(super) fn units_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Appends a number that is not negative, with leading zeros to `width`.
pub(super) fn write_padded(value: i64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut rest = value.unsigned_abs();
    let mut start = digits.len();
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn date(days: i64) -> String {
        let mut out = Vec::new();
        write_date(days, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn timestamp(value: i64, unit: TimeUnit, zoned: bool) -> String {
        let mut out = Vec::new();
        write_timestamp(value, unit, zoned, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn years_outside_the_usual_are_written_as_duckdb_reads_them() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(-719_163), "0001-12-31 (BC)");
        assert_eq!(date(2_147_483_646), "5881580-07-10");
    }

    #[test]
    fn fractions_are_as_long_as_needed() {
        assert_eq!(timestamp(1_577_872_800, TimeUnit::Second, false), "2020-01-01T10:00:00");
        assert_eq!(timestamp(1_577_872_800_500_000, TimeUnit::Microsecond, true), "2020-01-01T10:00:00.5+00:00");
        assert_eq!(timestamp(-1, TimeUnit::Nanosecond, false), "1969-12-31T23:59:59.999999999");
    }

    proptest! {
        #[test]
        fn dates_agree_with_chrono(days in -700_000_i32..2_900_000) {
            let expected = NaiveDate::from_num_days_from_ce_opt(days + 719_163).unwrap();
            prop_assume!(expected.year() > 0 && expected.year() < 10_000);
            prop_assert_eq!(date(days.into()), expected.to_string());
        }

        #[test]
        fn timestamps_agree_with_chrono(micros in -60_000_000_000_000_000_i64..200_000_000_000_000_000) {
            let expected = DateTime::from_timestamp_micros(micros).unwrap().naive_utc();
            let ours: chrono::NaiveDateTime = timestamp(micros, TimeUnit::Microsecond, false).parse().unwrap();
            prop_assert_eq!(ours, expected);
        }

        #[test]
        fn no_value_panics(value: i64, zoned: bool) {
            for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
                timestamp(value, unit, zoned);
            }
        }
    }
}
