//! Routes that better ones have replaced: every answer of theirs says so, in `Deprecation` (RFC 9745) and, once it is known when they
//! go, in `Sunset` (RFC 8594).

use chrono::DateTime;
use poem::Response;
use poem::http::{HeaderName, HeaderValue, header};

static DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
static SUNSET: HeaderName = HeaderName::from_static("sunset");
/// The page that says of each operation what to use instead.
static EXPLAINED: HeaderValue = HeaderValue::from_static(r#"</docs>; rel="deprecation"; type="text/html""#);

/// Times are Unix seconds, in UTC.
#[derive(Clone, Copy)]
struct Deprecated {
    /// As in the API's document, which marks its operations, too.
    route: &'static str,
    since: i64,
    /// When it goes, a year ahead at least; none while that is not settled.
    gone: Option<i64>,
}

const NOVEMBER_22_2026: i64 = 1_795_305_600;

const DEPRECATED: [Deprecated; 1] = [Deprecated { route: "/backend/remove", since: NOVEMBER_22_2026, gone: None }];

/// Marks an answer of a route that is deprecated.
pub(crate) fn mark(route: &str, response: &mut Response) {
    if let Some(deprecated) = DEPRECATED.iter().find(|deprecated| deprecated.route == route) {
        deprecated.mark(response);
    }
}

impl Deprecated {
    fn mark(self, response: &mut Response) {
        let headers = response.headers_mut();
        let mut say = |name: &HeaderName, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name.clone(), value);
            }
        };
        say(&DEPRECATION, format!("@{}", self.since));
        if let Some(gone) = self.gone.and_then(|gone| DateTime::from_timestamp(gone, 0)) {
            say(&SUNSET, gone.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        }
        headers.append(header::LINK, EXPLAINED.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn only_what_is_deprecated_says_so() {
        let mut response = Response::default();
        mark("/projects", &mut response);
        assert!(response.headers().is_empty());

        mark("/backend/remove", &mut response);
        assert_eq!(header(&response, "deprecation"), Some("@1795305600"));
        assert_eq!(header(&response, "sunset"), None);
        assert_eq!(DateTime::from_timestamp(NOVEMBER_22_2026, 0).unwrap().to_rfc3339(), "2026-11-22T00:00:00+00:00");
    }

    #[test]
    fn its_end_is_told_beside_other_links() {
        let mut response = Response::builder().header("link", r#"</next>; rel="next""#).finish();
        Deprecated { route: "/", since: NOVEMBER_22_2026, gone: Some(1_826_841_600) }.mark(&mut response);
        assert_eq!(header(&response, "sunset"), Some("Mon, 22 Nov 2027 00:00:00 GMT"));
        assert_eq!(response.headers().get_all("link").iter().count(), 2);
    }
}
