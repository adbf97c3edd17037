//! What a request expects a table to be: `If-Match` and `If-None-Match`.

use gadwall_domain::history::Expected;
use gadwall_domain::ids::SnapshotId;

use crate::problem::{ApiError, ApiResult};

/// For changes of rows, and of the table as a whole: its shape and its rows must be of the version named.
pub(crate) fn if_match_rows(header: Option<&str>) -> ApiResult<Expected> {
    parse(header)
}

/// For changes of shape: rows that came in between don't count.
pub(crate) fn if_match_shape(header: Option<&str>) -> ApiResult<Expected> {
    Ok(Expected { rows: None, ..parse(header)? })
}

fn parse(header: Option<&str>) -> ApiResult<Expected> {
    let Some(given) = header.map(str::trim).filter(|given| *given != "*") else { return Ok(Expected::ANY) };
    let inner = given.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let (schema, rows) = inner.and_then(|text| text.split_once('.')).ok_or_else(malformed)?;
    let number = |text: &str| text.parse::<i64>().ok().and_then(|number| SnapshotId::new(number).ok());
    let (schema, rows) = (number(schema).ok_or_else(malformed)?, number(rows).ok_or_else(malformed)?);
    Ok(Expected { schema: Some(schema), rows: Some(rows) })
}

fn malformed() -> ApiError {
    ApiError::malformed_header("If-Match is * or one ETag of the table, such as \"12.15\" with its quotes")
}

/// Whether a client that sent `If-None-Match` has this version already.
pub(crate) fn is_known(header: Option<&str>, etag: &str) -> bool {
    let given = header.unwrap_or_default();
    given.trim() == "*" || given.split(',').any(|one| one.trim().trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_shape_and_rows() {
        let number = |number| SnapshotId::new(number).ok();
        assert_eq!(if_match_rows(Some("\"3.7\"")).unwrap(), Expected { schema: number(3), rows: number(7) });
        assert_eq!(if_match_shape(Some("\"3.7\"")).unwrap(), Expected { schema: number(3), rows: None });
        for any in [None, Some("*"), Some(" * ")] {
            assert_eq!(if_match_rows(any).unwrap(), Expected::ANY);
        }
        for bad in ["", "3.7", "\"3\"", "W/\"3.7\"", "\"a.b\"", "\"1.2\", \"3.4\"", "\"-1.2\""] {
            assert!(if_match_rows(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_known_version_is_one_of_those_listed() {
        assert!(is_known(Some("\"1.1\", W/\"3.7\""), "\"3.7\"") && is_known(Some("*"), "\"3.7\""));
        assert!(!is_known(None, "\"3.7\"") && !is_known(Some("\"3.8\""), "\"3.7\""));
    }
}
