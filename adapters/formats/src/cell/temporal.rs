//! Dates, times, timestamps and intervals.

use std::borrow::Cow;

use arrow::array::timezone::Tz;
use gadwall_domain::types::DataType;

use super::Scalar;

type Checked<'a> = Result<Cow<'a, str>, String>;

/// The text of a scalar that should be a date or time. A number would have no unit.
fn literal<'a>(data_type: &DataType, scalar: Scalar<'a>) -> Result<&'a str, String> {
    match scalar {
        Scalar::Text(text) => Ok(text.trim_ascii()),
        other => Err(format!("{}, but the column is {data_type}; write it as text", other.shown())),
    }
}

fn special(text: &str) -> bool {
    ["infinity", "-infinity", "epoch"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Splits off digits: their value and the rest.
fn number(text: &str, longest: usize) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 || length > longest {
        return None;
    }
    Some((text[..length].parse().ok()?, &text[length..]))
}

/// Splits a date from what follows it. `None` if there is none, or no such day.
fn split_date(text: &str) -> Option<(&str, &str)> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (year, rest) = number(digits, 7)?;
    let separator = rest.chars().next().filter(|c| matches!(c, '-' | '/'))?;
    let (month, rest) = number(&rest[1..], 2)?;
    let (day, rest) = number(rest.strip_prefix(separator)?, 2)?;
    let before = rest.strip_prefix(" (BC)");
    let year = i64::from(year);
    let year = if negative {
        -year
    } else if before.is_some() {
        1 - year
    } else {
        year
    };
    let rest = before.unwrap_or(rest);
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    let real = (1..=12).contains(&month) && (1..=days).contains(&day);
    real.then(|| (&text[..text.len() - rest.len()], rest))
}

/// A time of day.
struct TimeOfDay<'a> {
    text: &'a str,
    midnight: bool,
    /// Whether it ends with the minutes.
    short: bool,
}

/// Splits a time from what follows it. Seconds and their fraction may be missing.
fn split_time(text: &str) -> Option<(TimeOfDay<'_>, &str)> {
    let (hour, rest) = number(text, 2)?;
    let (minute, mut rest) = number(rest.strip_prefix(':')?, 2)?;
    let (mut second, mut zero, mut short) = (0, true, true);
    if let Some(after) = rest.strip_prefix(':') {
        (second, rest) = number(after, 2)?;
        short = false;
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            zero = fraction[..length].bytes().all(|byte| byte == b'0');
            rest = &fraction[length..];
        }
    }
    let last = hour == 24 && minute == 0 && second == 0 && zero;
    let midnight = hour == 0 && minute == 0 && second == 0 && zero;
    let real = last || (hour < 24 && minute < 60 && second < 60);
    real.then(|| (TimeOfDay { text: &text[..text.len() - rest.len()], midnight, short }, rest))
}

/// What stands after a time.
#[derive(PartialEq)]
enum Zone<'a> {
    Utc,
    /// Its sign and value, as `+05:30`.
    Offset(String),
    /// A name of the tz database.
    Named(&'a str),
}

fn parse_zone(text: &str) -> Option<Zone<'_>> {
    let text = text.trim_ascii();
    if ["z", "utc", "gmt"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(Zone::Utc);
    }
    let Some(sign) = text.chars().next().filter(|c| matches!(c, '+' | '-')) else {
        return text.parse::<Tz>().is_ok().then_some(Zone::Named(text));
    };
    let digits: String = text[1..].chars().filter(|&c| c != ':').collect();
    let shape: Vec<usize> = text[1..].split(':').map(str::len).collect();
    let known = matches!(shape.as_slice(), [1 | 2 | 4] | [2, 2] | [2, 2, 2]);
    if !known || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte == b'0') {
        return Some(Zone::Utc);
    }
    let part = |at: usize| digits.get(at..at + 2).unwrap_or("00");
    let hours = if digits.len() == 1 { format!("0{digits}") } else { part(0).to_owned() };
    let (minutes, seconds) = (part(2), part(4));
    let real = hours.as_str() < "16" && minutes < "60" && seconds < "60";
    let seconds = if seconds == "00" { String::new() } else { format!(":{seconds}") };
    real.then(|| Zone::Offset(format!("{sign}{hours}:{minutes}{seconds}")))
}

/// A date. A time after it must be midnight: it would be dropped.
pub(super) fn date(scalar: Scalar<'_>) -> Checked<'_> {
    let text = literal(&DataType::Date, scalar)?;
    let refuse = || format!("{} is not a date; write YYYY-MM-DD", scalar.shown());
    if special(text) {
        return Ok(Cow::Borrowed(text));
    }
    let (date, rest) = split_date(text).ok_or_else(refuse)?;
    if !rest.is_empty() {
        let (time, rest) = rest.strip_prefix([' ', 'T', 't']).and_then(split_time).ok_or_else(refuse)?;
        let at_utc = rest.is_empty() || parse_zone(rest).ok_or_else(refuse)? == Zone::Utc;
        if !time.midnight || !at_utc {
            return Err(format!("{} has a time of day, which a DATE would drop", scalar.shown()));
        }
    }
    Ok(Cow::Borrowed(date))
}

/// A time of day, without an offset.
pub(super) fn time(scalar: Scalar<'_>) -> Checked<'_> {
    let text = literal(&DataType::Time, scalar)?;
    let refuse = || format!("{} is not a time; write HH:MM:SS", scalar.shown());
    let (time, rest) = split_time(text).ok_or_else(refuse)?;
    if !rest.is_empty() && parse_zone(rest).ok_or_else(refuse)? != Zone::Utc {
        return Err(format!("{} has an offset, which a TIME would drop", scalar.shown()));
    }
    Ok(Cow::Borrowed(time.text))
}

/// A date with or without a time. Without a zone in the type, an offset would be dropped: it must be zero.
pub(super) fn timestamp<'a>(data_type: &DataType, scalar: Scalar<'a>, zoned: bool) -> Checked<'a> {
    let text = literal(data_type, scalar)?;
    let refuse = || format!("{} is not a timestamp; write YYYY-MM-DDTHH:MM:SS", scalar.shown());
    if special(text) {
        return Ok(Cow::Borrowed(text));
    }
    let (date, rest) = split_date(text).ok_or_else(refuse)?;
    if rest.is_empty() {
        return Ok(Cow::Borrowed(date));
    }
    let (time, rest) = rest.strip_prefix([' ', 'T', 't']).and_then(split_time).ok_or_else(refuse)?;
    let zone = if rest.is_empty() { None } else { Some(parse_zone(rest).ok_or_else(refuse)?) };
    let suffix = match (zone, zoned) {
        (None, _) | (Some(Zone::Utc), false) => Cow::Borrowed(""),
        (Some(Zone::Utc), true) => Cow::Borrowed("+00:00"),
        (Some(Zone::Offset(offset)), true) => Cow::Owned(offset),
        (Some(Zone::Named(name)), true) => Cow::Owned(format!(" {name}")),
        (Some(_), false) => {
            let shown = scalar.shown();
            return Err(format!("{shown} has a time zone, which {data_type} would drop; use TIMESTAMP WITH TIME ZONE"));
        }
    };
    // The engine doesn't read the name of a zone after minutes.
    let seconds = if time.short { ":00" } else { "" };
    Ok(Cow::Owned(format!("{date} {}{seconds}{suffix}", time.text)))
}

/// An interval in the engine's own words. Nothing finer than milliseconds: that is how they are stored.
pub(super) fn interval(scalar: Scalar<'_>) -> Checked<'_> {
    let text = literal(&DataType::Interval, scalar)?;
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(format!("{} is not an interval; write it as 3 days 04:05:06", scalar.shown()));
    }
    if finer_than_millis(text) {
        return Err(format!("{} has parts finer than milliseconds, which an INTERVAL can't store", scalar.shown()));
    }
    Ok(Cow::Borrowed(text))
}

/// Whether a fraction of a second has digits past the third, or microseconds don't make milliseconds.
fn finer_than_millis(text: &str) -> bool {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let clock = rest[..start].ends_with(':');
        let length = rest[start..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (digits, after) = rest[start..].split_at(length);
        let unit: String = after.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let beyond = |places: usize| fraction.bytes().skip(places).any(|byte| byte != b'0');
        let fine = match unit.to_ascii_lowercase().as_str() {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => {
                beyond(0) || !(whole.ends_with("000") || whole.bytes().all(|byte| byte == b'0'))
            }
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => beyond(0),
            "s" | "sec" | "secs" | "second" | "seconds" => beyond(3),
            _ => clock && beyond(3),
        };
        if fine {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
#[path = "temporal_tests.rs"]
mod tests;
