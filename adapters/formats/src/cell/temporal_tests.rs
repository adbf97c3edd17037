//! What dates, times, timestamps and intervals may look like.

use proptest::prelude::*;

use super::*;

fn text(checked: Checked<'_>) -> Result<String, String> {
    checked.map(Cow::into_owned)
}

fn at(data_type: &DataType, value: &str) -> Result<String, String> {
    text(timestamp(data_type, Scalar::Text(value), *data_type == DataType::TimestampTz))
}

#[test]
fn dates_are_days_that_exist() {
    for (value, expected) in [
        ("2020-02-29", "2020-02-29"),
        ("2020/1/1", "2020/1/1"),
        (" 2020-01-01T00:00:00.000Z ", "2020-01-01"),
        ("2020-01-01 00:00", "2020-01-01"),
        ("0044-03-15 (BC)", "0044-03-15 (BC)"),
        ("-0044-03-15", "-0044-03-15"),
        ("Infinity", "Infinity"),
    ] {
        assert_eq!(text(date(Scalar::Text(value))).as_deref(), Ok(expected), "{value}");
    }
    for value in
        ["2019-02-29", "2020-13-01", "2020-00-10", "2020-01-32", "01.02.2020", "2020-01", "", "20200101", "2020-1/1"]
    {
        assert!(date(Scalar::Text(value)).is_err(), "{value}");
    }
    assert!(date(Scalar::Number("20200101")).is_err());
}

#[test]
fn a_date_does_not_drop_a_time() {
    for value in ["2020-01-01T10:00:00", "2020-01-01 00:00:00+02:00", "2020-01-01T00:00:00.001"] {
        assert!(date(Scalar::Text(value)).unwrap_err().contains("would drop"), "{value}");
    }
}

#[test]
fn timestamps_without_zone_take_only_utc() {
    for (value, expected) in [
        ("2020-01-01T10:00:00Z", "2020-01-01 10:00:00"),
        ("2020-01-01 10:00:00.123456789+00:00", "2020-01-01 10:00:00.123456789"),
        ("2020-01-01 10:00 utc", "2020-01-01 10:00:00"),
        ("2020-01-01", "2020-01-01"),
        ("-infinity", "-infinity"),
    ] {
        assert_eq!(at(&DataType::Timestamp, value).as_deref(), Ok(expected), "{value}");
    }
    for value in ["2020-01-01T10:00:00+02:00", "2020-01-01 10:00 Europe/Prague", "2020-01-01T10:00:00-0530"] {
        assert!(at(&DataType::TimestampMs, value).unwrap_err().contains("TIMESTAMP WITH TIME ZONE"), "{value}");
    }
}

#[test]
fn timestamps_with_zone_keep_it() {
    for (value, expected) in [
        ("2020-01-01T10:00:00Z", "2020-01-01 10:00:00+00:00"),
        ("2020-01-01T10:00:00 +2", "2020-01-01 10:00:00+02:00"),
        ("2020-01-01T10:00:00-0530", "2020-01-01 10:00:00-05:30"),
        ("2020-01-01 10:00:00 Europe/Prague", "2020-01-01 10:00:00 Europe/Prague"),
        ("2020-01-01 10:00:00", "2020-01-01 10:00:00"),
        ("2020-01-01 10:00 America/New_York", "2020-01-01 10:00:00 America/New_York"),
    ] {
        assert_eq!(at(&DataType::TimestampTz, value).as_deref(), Ok(expected), "{value}");
    }
    for value in [
        "2020-01-01T25:00:00",
        "2020-01-01T10:60:00",
        "2020-01-01T10",
        "2020-01-01T10:00:00+1:2:3",
        "noon",
        "2020-01-01T10:00:00+",
        "2020-01-01T10:00:00 'x'",
        "2020-01-01 10:00 Mars/Olympus",
    ] {
        assert!(at(&DataType::TimestampTz, value).is_err(), "{value}");
    }
}

#[test]
fn times_have_no_offset() {
    assert_eq!(text(time(Scalar::Text("10:00"))).as_deref(), Ok("10:00"));
    assert_eq!(text(time(Scalar::Text("10:00:00.5Z"))).as_deref(), Ok("10:00:00.5"));
    assert_eq!(text(time(Scalar::Text("24:00:00"))).as_deref(), Ok("24:00:00"));
    for value in ["10", "24:00:01", "10:00:00+02", "10:61", "1000"] {
        assert!(time(Scalar::Text(value)).is_err(), "{value}");
    }
}

#[test]
fn intervals_are_no_finer_than_milliseconds() {
    for value in ["1 month 2 days", "04:05:06.789", "1.25 days", "5", "2000 microseconds", "1.123 seconds", "1.5"] {
        assert!(interval(Scalar::Text(value)).is_ok(), "{value}");
    }
    for value in ["04:05:06.7891", "1 microsecond", "1.0001 s", "0.5 ms", "", "soon"] {
        assert!(interval(Scalar::Text(value)).is_err(), "{value}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(value in "[-0-9T:./ +Zeé]{0,30}") {
        let _ = date(Scalar::Text(&value));
        let _ = time(Scalar::Text(&value));
        let _ = at(&DataType::TimestampTz, &value);
        let _ = interval(Scalar::Text(&value));
    }
}
