//! `Accept-Encoding`: answers with data are compressed for who can read that (RFC 9110, 8.4 and 12.5.3).

use std::io;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Body as _;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::web::{Compress, CompressionAlgo, CompressionLevel};
use poem::{IntoResponse as _, Request, Response};

/// Answers below this size gain nothing.
const MIN_BYTES: u64 = 1024;

/// Codings by name, those first that take least time for what they save.
const CODINGS: [(&str, CompressionAlgo); 4] = [
    ("zstd", CompressionAlgo::ZSTD),
    ("gzip", CompressionAlgo::GZIP),
    ("br", CompressionAlgo::BR),
    ("deflate", CompressionAlgo::DEFLATE),
];

/// Marks an answer whose parts must go out as they come: a coder would wait for more.
#[derive(Clone, Copy)]
pub(crate) struct AsItComes;

/// A coding that a client can read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coding(&'static str, CompressionAlgo);

/// The coding to answer with; none if the client wants things as they are. Its validators lose the coding's name, so
/// that what is behind this layer compares its own.
pub(crate) fn settle(request: &mut Request) -> Option<Coding> {
    let coding = wanted(request.headers());
    for name in [header::IF_NONE_MATCH, header::IF_MATCH] {
        let Some(given) = request.headers().get(&name).and_then(|value| value.to_str().ok()) else { continue };
        let mut plain = given.to_owned();
        for (coding, _) in CODINGS {
            plain = plain.replace(&format!("-{coding}\""), "\"");
        }
        if plain != given
            && let Ok(value) = HeaderValue::from_str(&plain)
        {
            request.headers_mut().insert(name, value);
        }
    }
    coding
}

/// The best of what the client lists. Of the same quality, ours is the choice.
fn wanted(headers: &HeaderMap) -> Option<Coding> {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, u32)> = given.flat_map(|text| text.split(',')).take(32).filter_map(range).collect();
    let quality = |name: &str| {
        let named = ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(name));
        named.or_else(|| ranges.iter().find(|(range, _)| *range == "*")).map_or(0, |(_, quality)| *quality)
    };
    let identity = ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case("identity")).map_or(0, |(_, q)| *q);
    let mut best: Option<(u32, Coding)> = None;
    for (name, algorithm) in CODINGS {
        let quality = quality(name);
        if quality > 0 && quality >= identity && best.is_none_or(|(known, _)| quality > known) {
            best = Some((quality, Coding(name, algorithm)));
        }
    }
    best.map(|(_, coding)| coding)
}

/// `gzip;q=0.8`, with the quality in thousandths.
fn range(text: &str) -> Option<(&str, u32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = weight.map_or(Some(1.0_f32), |weight| weight.parse().ok())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    let thousandths = (quality.clamp(0.0, 1.0) * 1000.0) as u32;
    Some((name, thousandths))
}

/// Compresses an answer, if that is worth it.
pub(crate) fn encode(coding: Option<Coding>, mut response: Response) -> Response {
    if !is_data(response.headers()) {
        return response;
    }
    let vary = response.headers().get(header::VARY).and_then(|vary| vary.to_str().ok());
    let vary = vary.map_or_else(|| "Accept-Encoding".to_owned(), |vary| format!("{vary}, Accept-Encoding"));
    if let Ok(vary) = HeaderValue::from_str(&vary) {
        response.headers_mut().insert(header::VARY, vary);
    }
    let Some(Coding(name, algorithm)) = coding else { return response };
    if response.status() == StatusCode::NOT_MODIFIED {
        mark(&mut response, name);
        return response;
    }
    let plain = response.status() == StatusCode::OK
        && response.extensions().get::<AsItComes>().is_none()
        && !response.headers().contains_key(header::CONTENT_ENCODING)
        && !response.headers().contains_key(header::CONTENT_RANGE);
    if !plain || is_small(&mut response) {
        return response;
    }
    mark(&mut response, name);
    Compress::new(response, algorithm).with_quality(CompressionLevel::Fastest).into_response()
}

/// A body whose size isn't known is streamed, and may become large.
fn is_small(response: &mut Response) -> bool {
    let body = BoxBody::<Bytes, io::Error>::from(response.take_body());
    let most = body.size_hint().upper();
    response.set_body(body);
    most.is_some_and(|bytes| bytes < MIN_BYTES)
}

/// Documents and rows. Parquet is compressed in itself; files go out as they came in.
fn is_data(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let data = [
        "application/json",
        "application/openmetrics-text",
        "application/x-ndjson",
        "text/csv",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.arrow.file",
    ];
    data.contains(&kind)
}

/// A strong validator is of one coding; a weak one says so, too.
fn mark(response: &mut Response, coding: &str) {
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let weak = if tag.is_some_and(|tag| tag.starts_with("W/")) { "W/" } else { "" };
    let Some(inner) =
        tag.and_then(|tag| tag.trim_start_matches("W/").strip_prefix('"')).and_then(|tag| tag.strip_suffix('"'))
    else {
        return;
    };
    if let Ok(marked) = HeaderValue::from_str(&format!("{weak}\"{inner}-{coding}\"")) {
        response.headers_mut().insert(header::ETAG, marked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        wanted(&headers).map(|coding| coding.0)
    }

    #[test]
    fn the_best_coding_that_is_accepted_is_chosen() {
        for (accept, coding) in [
            ("gzip", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip;q=1.0, zstd;q=0.5", Some("gzip")),
            ("*", Some("zstd")),
            ("*;q=0.1, br", Some("br")),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("gzip;q=0", None),
            ("", None),
            ("compress", None),
            ("GZIP", Some("gzip")),
        ] {
            assert_eq!(chosen(accept), coding, "{accept}");
        }
    }

    #[test]
    fn a_tag_of_a_coding_is_known_again() {
        let mut request = Request::builder().header("If-None-Match", "\"1.2-gzip\", \"a-b\"").finish();
        assert!(settle(&mut request).is_none());
        assert_eq!(request.header("If-None-Match"), Some("\"1.2\", \"a-b\""));
    }
}
