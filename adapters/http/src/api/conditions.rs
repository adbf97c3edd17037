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
    // Weak tags are never the same for changes, and others' tags are none of ours: well-formed, but of no version.
    let (weak, quoted) = given.strip_prefix("W/").map_or((false, given), |quoted| (true, quoted));
    let tag = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(malformed)?;
    if tag.bytes().any(|byte| byte == b'"' || byte <= b' ' || byte == 0x7f) {
        return Err(malformed());
    }
    Ok(version(tag).filter(|_| !weak).unwrap_or(NO_VERSION))
}

/// No table is of this version: the first snapshot that can hold one is 1.
const NO_VERSION: Expected = Expected { schema: Some(SnapshotId::ZERO), rows: Some(SnapshotId::ZERO) };

/// `12.15`, with or without the size that [`etag_of`](super::models::etag_of) puts behind it: files may be merged, and
/// neither shape nor rows are others for it.
fn version(tag: &str) -> Option<Expected> {
    let mut parts = tag.splitn(3, '.').map(|part| {
        let number = part.parse::<i64>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
        number.and_then(|number| SnapshotId::new(number).ok())
    });
    let (schema, rows) = (parts.next()??, parts.next()??);
    Some(Expected { schema: Some(schema), rows: Some(rows) })
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
        assert_eq!(if_match_rows(Some("\"3.7.1f0\"")).unwrap(), if_match_rows(Some("\"3.7\"")).unwrap());
        for foreign in ["\"3\"", "W/\"3.7\"", "\"a.b\"", "\"\"", "\"-1.2\"", "\"+1.2\"", "\"99999999999999999999.1\""] {
            assert_eq!(if_match_rows(Some(foreign)).unwrap(), NO_VERSION, "{foreign}");
        }
        for bad in ["", "3.7", "\"", "\"3.7", "\"1.2\", \"3.4\"", "'3.7'", "w/\"1.2\"", "**"] {
            assert!(if_match_rows(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_known_version_is_one_of_those_listed() {
        assert!(is_known(Some("\"1.1\", W/\"3.7\""), "\"3.7\"") && is_known(Some("*"), "\"3.7\""));
        assert!(!is_known(None, "\"3.7\"") && !is_known(Some("\"3.8\""), "\"3.7\""));
    }
}
