//! Conditional requests, as RFC 9110 section 13 has them.

use chrono::{DateTime, Utc};
use gadwall_domain::dataset::{EntityTag, ObjectInfo, Precondition, Tags};
use poem::Request;

/// What a request presumes of an object, and what it wants of it.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    if_modified_since: Option<DateTime<Utc>>,
    if_unmodified_since: Option<DateTime<Utc>>,
    if_range: Option<String>,
    range: Option<String>,
}

/// How a conditional read is to be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// With the object.
    Go,
    /// The client has it already.
    NotModified,
    /// It isn't what the client presumes.
    Failed,
}

impl Conditions {
    pub(super) fn of(request: &Request) -> Self {
        let time = |name: &str| request.header(name).and_then(http_date);
        Self {
            if_match: tags(request, "If-Match", false),
            if_none_match: tags(request, "If-None-Match", true),
            if_modified_since: time("If-Modified-Since"),
            if_unmodified_since: time("If-Unmodified-Since"),
            if_range: request.header("If-Range").map(str::to_owned),
            range: request.header("Range").map(str::to_owned),
        }
    }

    /// For a write: what must hold when it is done.
    pub(super) fn precondition(self) -> Precondition {
        Precondition { if_match: self.if_match, if_none_match: self.if_none_match }
    }

    /// For a read: tags win over times.
    pub(super) fn judge(&self, info: &ObjectInfo) -> Verdict {
        let tag = Some(&info.etag);
        let changed_since = |time: &DateTime<Utc>| info.last_modified.timestamp() > time.timestamp();
        let failed = match (&self.if_match, &self.if_unmodified_since) {
            (Some(tags), _) => !tags.include(tag),
            (None, Some(time)) => changed_since(time),
            (None, None) => false,
        };
        if failed {
            return Verdict::Failed;
        }
        let known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(tags), _) => tags.include(tag),
            (None, Some(time)) => !changed_since(time),
            (None, None) => false,
        };
        if known { Verdict::NotModified } else { Verdict::Go }
    }

    /// The range to answer with. With `If-Range`, only of that very version; a time doesn't name one, as there may
    /// be two within its second.
    pub(super) fn range(&self, info: &ObjectInfo) -> Option<&str> {
        let same = self.if_range.as_deref().is_none_or(|tag| tag.trim() == quoted(&info.etag));
        self.range.as_deref().filter(|_| same)
    }
}

/// A tag as it stands in headers.
pub(super) fn quoted(tag: &EntityTag) -> String {
    format!("\"{}\"", tag.as_str())
}

/// A time as it stands in headers.
pub(super) fn http_time(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text.trim()).ok().map(Into::into)
}

/// The tags of a header, all of its lines together. Ours are strong: one marked weak is none of ours, but for
/// `If-None-Match` it is compared as if it were.
fn tags(request: &Request, name: &str, weak: bool) -> Option<Tags> {
    let mut values = request.headers().get_all(name).iter().peekable();
    values.peek()?;
    let mut found = Vec::new();
    for value in values.filter_map(|value| value.to_str().ok()) {
        if value.trim() == "*" {
            return Some(Tags::Any);
        }
        found.extend(parse_tags(value, weak));
    }
    Some(Tags::OneOf(found))
}

fn parse_tags(value: &str, weak: bool) -> Vec<EntityTag> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((before, from)) = rest.split_once('"') {
        let Some((tag, after)) = from.split_once('"') else { break };
        let is_weak = before.trim_end().ends_with("W/");
        if weak || !is_weak {
            found.extend(EntityTag::parse(tag));
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use gadwall_domain::dataset::{ContentType, ObjectName};

    use super::*;

    fn info() -> ObjectInfo {
        let name = ObjectName::parse("a").unwrap();
        ObjectInfo {
            content_type: ContentType::guess(&name),
            name,
            size: 1,
            etag: EntityTag::parse("1-a").unwrap(),
            last_modified: DateTime::from_timestamp(1_767_268_800, 500).unwrap(),
        }
    }

    fn judge(headers: &[(&str, &str)]) -> Verdict {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Conditions::of(&request.finish()).judge(&info())
    }

    #[test]
    fn tags_win_over_times() {
        let (then, before) = ("Thu, 01 Jan 2026 12:00:00 GMT", "Thu, 01 Jan 2026 11:59:59 GMT");
        assert_eq!(http_time(info().last_modified), then);
        for (headers, expected) in [
            (&[][..], Verdict::Go),
            (&[("If-None-Match", "\"1-a\"")], Verdict::NotModified),
            (&[("If-None-Match", "\"x\", W/\"1-a\"")], Verdict::NotModified),
            (&[("If-None-Match", "*")], Verdict::NotModified),
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", then)], Verdict::Go),
            (&[("If-None-Match", "\"x\""), ("If-None-Match", "\"1-a\"")], Verdict::NotModified),
            (&[("If-Modified-Since", then)], Verdict::NotModified),
            (&[("If-Modified-Since", before)], Verdict::Go),
            (&[("If-Modified-Since", "yesterday")], Verdict::Go),
            (&[("If-Match", "\"1-a\"")], Verdict::Go),
            (&[("If-Match", "*")], Verdict::Go),
            (&[("If-Match", "W/\"1-a\"")], Verdict::Failed),
            (&[("If-Match", "nonsense")], Verdict::Failed),
            (&[("If-Match", "\"x\""), ("If-None-Match", "\"1-a\"")], Verdict::Failed),
            (&[("If-Unmodified-Since", before)], Verdict::Failed),
            (&[("If-Unmodified-Since", then)], Verdict::Go),
        ] {
            assert_eq!(judge(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_range_is_of_the_version_that_it_names() {
        let range = |if_range: &str| {
            let request = Request::builder().header("Range", "bytes=0-0").header("If-Range", if_range).finish();
            Conditions::of(&request).range(&info()).map(str::to_owned)
        };
        assert_eq!(range("\"1-a\"").as_deref(), Some("bytes=0-0"));
        for other in ["\"x\"", "W/\"1-a\"", "Thu, 01 Jan 2026 12:00:00 GMT"] {
            assert_eq!(range(other), None, "{other}");
        }
    }
}
