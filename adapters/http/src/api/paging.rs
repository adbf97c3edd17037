//! Pages of lists: where the next one begins, and how a client is told.

use std::fmt::Write as _;

use crate::problem::{ApiError, ApiResult};

/// What names the next page: the last of a full one.
pub(super) fn next_cursor<T>(page: &[T], limit: u32, cursor: impl Fn(&T) -> String) -> Option<String> {
    let is_full = page.len() >= limit as usize;
    page.last().filter(|_| is_full).map(cursor)
}

/// Where a page begins, out of a cursor that a client sent back.
pub(super) fn read_cursor<T>(cursor: Option<&str>, read: impl FnOnce(&str) -> Option<T>) -> ApiResult<Option<T>> {
    let refused = || ApiError::out_of_range("after is the next_cursor of the page before");
    cursor.map(|text| read(text).ok_or_else(refused)).transpose()
}

/// A position in a list that the database numbers: its numbers have a sign.
pub(super) fn position(text: &str) -> Option<u64> {
    text.parse::<i64>().ok().and_then(|position| u64::try_from(position).ok())
}

/// The address of the next page (RFC 8288): the same list after that cursor.
pub(super) fn next_link(
    path: &str,
    asked: &[(&str, Option<&str>)],
    limit: u32,
    cursor: Option<&str>,
) -> Option<String> {
    let cursor = cursor?;
    let mut link = format!("<{path}?limit={limit}&after={}", percent_encoded(cursor));
    for (name, value) in asked {
        if let Some(value) = value {
            let _ = write!(link, "&{name}={}", percent_encoded(value));
        }
    }
    link.push_str(">; rel=\"next\"");
    Some(link)
}

/// Text as it may stand in a URL or an extended header parameter: all but letters, digits and `-._~` encoded.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_page_has_a_next_one() {
        let cursor = |number: &u32| number.to_string();
        assert_eq!(next_cursor(&[1, 2], 2, cursor).as_deref(), Some("2"));
        assert_eq!(next_cursor(&[1], 2, cursor), None);
        assert_eq!(next_cursor(&[], 2, cursor), None);
    }

    #[test]
    fn a_link_asks_for_the_same_again() {
        let asked = [("actor", Some("key:1&")), ("since", None)];
        let link = next_link("/audit", &asked, 2, Some("7"));
        assert_eq!(link.as_deref(), Some("</audit?limit=2&after=7&actor=key%3A1%26>; rel=\"next\""));
        assert_eq!(next_link("/audit", &asked, 2, None), None);
    }
}
