//! How large a request's head may be.

use poem::Request;

use crate::problem::{ApiError, ApiResult};

/// What a header has beside its name and value: a colon, a space, and the line's end.
const AROUND: usize = 4;

/// Limits of a request's head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Longest path with its query, in bytes.
    pub max_uri_bytes: usize,
    /// Most headers.
    pub max_headers: usize,
    /// Most bytes of all headers.
    pub max_header_bytes: usize,
}

impl HeadLimits {
    pub(super) fn check(&self, request: &Request) -> ApiResult<()> {
        let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        if uri > self.max_uri_bytes {
            return Err(ApiError::uri_too_long(self.max_uri_bytes));
        }
        let headers = request.headers();
        if headers.len() > self.max_headers {
            return Err(ApiError::headers_too_large(&format!(
                "the request has more than {} headers",
                self.max_headers
            )));
        }
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + AROUND).sum();
        if bytes > self.max_header_bytes {
            let limit = self.max_header_bytes;
            return Err(ApiError::headers_too_large(&format!("the request's headers have more than {limit} bytes")));
        }
        Ok(())
    }
}
