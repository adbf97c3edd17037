//! `Range`: which bytes of an object are wanted.

use std::ops::Range;

/// What a `Range` header comes to for an object of some size.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: there is no range, or none that is understood. Several at once are not: all of it is a right answer.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that aren't there.
    Nothing,
}

/// Reads the header.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    parse(header, size).unwrap_or(Wanted::All)
}

fn parse(header: Option<&str>, size: u64) -> Option<Wanted> {
    let (unit, spec) = header?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let range = if first.is_empty() {
        size.saturating_sub(number(last)?)..size
    } else {
        let first = number(first)?;
        let last = if last.is_empty() { u64::MAX } else { number(last)? };
        if last < first {
            return None;
        }
        first..last.saturating_add(1).min(size)
    };
    Some(if range.start < range.end { Wanted::Part(range) } else { Wanted::Nothing })
}

/// Digits only: neither a sign nor nothing. More than fits is as good as the largest that does.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_anything_else_is_all() {
        let of_ten = |header: &str| wanted(Some(header), 10);
        for (header, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=5-", 5..10),
            ("bytes=5-99999999999999999999", 5..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("Bytes = 9-9", 9..10),
        ] {
            assert_eq!(of_ten(header), Wanted::Part(range), "{header}");
        }
        for header in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(of_ten(header), Wanted::Nothing, "{header}");
        }
        for header in
            ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=+1-2", "rows=0-1", "bytes=0-1,3-4"]
        {
            assert_eq!(of_ten(header), Wanted::All, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }
}
