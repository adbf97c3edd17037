//! Which pages' scripts may read answers (the Fetch standard's CORS protocol). Keys travel in a header that only a
//! script can set, so there are no credentials here that a browser would add by itself.

use poem::http::{HeaderMap, HeaderValue, header};
use poem::{Response, http::StatusCode};

use super::vary;
use crate::problem::{ApiError, ApiResult};

/// What scripts may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, QUERY");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Accept, Content-Type, Idempotency-Key, X-Idempotency-Key, If-Match, If-None-Match, \
     If-Modified-Since, If-Unmodified-Since, If-Range, Range, X-Project, X-Request-Id, X-Run-Id, traceparent",
);
/// What scripts may read, beside what they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Location, Link, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, X-Query-Id, Content-Range, \
     Accept-Ranges, Content-Disposition, Idempotency-Replayed, Allow, WWW-Authenticate",
);

/// Origins of pages.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    any: bool,
    named: Vec<String>,
}

/// Whose pages may read answers.
#[derive(Debug, Clone, Default)]
pub struct CorsConfig {
    /// Their origins.
    pub origins: Origins,
    /// How long a browser may remember what it was told, in seconds.
    pub max_age: u64,
}

impl Origins {
    /// Origins as browsers send them (`https://app.example.org`, `http://localhost:3000`), or `*` for all. None if a
    /// text is neither, or both are given.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut origins = Self::default();
        for text in texts {
            if text == "*" {
                origins.any = true;
            } else {
                origins.named.push(Self::origin(text)?);
            }
        }
        (!origins.any || origins.named.is_empty()).then_some(origins)
    }

    /// A scheme, a host, and a port unless it is the usual one.
    fn origin(text: &str) -> Option<String> {
        let (scheme, rest) = text.split_once("://")?;
        let usual = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let named = !rest.is_empty() && rest.bytes().all(legal) && !rest.ends_with(usual);
        named.then(|| text.to_ascii_lowercase())
    }

    fn are_none(&self) -> bool {
        !self.any && self.named.is_empty()
    }
}

/// Answers browsers that ask for their pages.
pub(crate) struct Cors {
    origins: Origins,
    max_age: HeaderValue,
}

impl Cors {
    pub(crate) fn new(config: &CorsConfig) -> Self {
        Self { origins: config.origins.clone(), max_age: HeaderValue::from(config.max_age) }
    }

    /// What to name as the reader of an answer, if its page may read it.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let given = headers.get(header::ORIGIN)?;
        if self.origins.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.named.iter().any(|known| known.as_bytes() == given.as_bytes()).then(|| given.clone())
    }

    /// The answer to a browser that asks whether its page may. Other requests by OPTIONS are left to the routes.
    pub(super) fn preflight(&self, headers: &HeaderMap) -> ApiResult<Option<Response>> {
        let asks = headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if self.origins.are_none() || !asks {
            return Ok(None);
        }
        if self.origin(headers).is_none() {
            return Err(ApiError::origin_not_allowed());
        }
        let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
        let told = response.headers_mut();
        told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        told.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        Ok(Some(response))
    }

    /// Names who may read an answer.
    pub(super) fn tell(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.are_none() {
            return;
        }
        if !self.origins.any {
            vary(headers, "Origin");
        }
        let Some(origin) = origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for right in ["https://app.example.org", "http://localhost:3000", "https://[::1]:8443", "*"] {
            assert!(Origins::parse([right]).is_some(), "{right}");
        }
        for wrong in
            ["", "app.example.org", "https://", "https://a/", "https://a:443", "ftp://a", "https://*.a", "null"]
        {
            assert!(Origins::parse([wrong]).is_none(), "{wrong}");
        }
        assert!(Origins::parse(["*", "https://a"]).is_none(), "all and some");
    }

    #[test]
    fn only_the_origin_itself_is_known() {
        let cors = Cors::new(&CorsConfig { origins: Origins::parse(["https://app.example.org"]).unwrap(), max_age: 1 });
        let known = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            cors.origin(&headers).is_some()
        };
        assert!(known("https://app.example.org"));
        for other in
            ["http://app.example.org", "https://app.example.org.evil", "https://app.example.org:444", "null", "*"]
        {
            assert!(!known(other), "{other}");
        }
    }
}
