//! Versions of objects: what is kept with their bytes in the bucket.
//!
//! The server's own tag is of the bytes, and its times are of seconds: the same bytes again are not another version to
//! it. So each put has a tag of ours, in the object's metadata, and the time is part of it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use gadwall_domain::dataset::{ContentType, EntityTag, ObjectInfo, ObjectName};
use gadwall_domain::ports::objects::ObjectError;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use object_store::{Attribute, Attributes, ObjectMeta};

use crate::error::fault;

/// Under which our tag is kept.
const TAG: Attribute = Attribute::Metadata(Cow::Borrowed("gadwall-version"));
/// Under which the type is kept, beside the header for it: servers put a type they think better of in place of
/// `application/octet-stream`.
const TYPE: Attribute = Attribute::Metadata(Cow::Borrowed("gadwall-type"));
/// What servers call that of which they know nothing.
const UNKNOWN_TYPES: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

/// What a listing doesn't tell of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) etag: EntityTag,
    pub(super) modified: DateTime<Utc>,
    pub(super) content_type: ContentType,
}

impl Version {
    /// A version that no other put has.
    pub(super) fn new(
        clock: &dyn Clock,
        ids: &dyn IdGenerator,
        content_type: ContentType,
    ) -> Result<Self, ObjectError> {
        let modified = clock.now();
        let tag = modified.timestamp_nanos_opt().map(|nanos| format!("{nanos:x}-{}", ids.next_id().simple()));
        let etag = tag.and_then(|tag| EntityTag::parse(&tag)).ok_or_else(|| fault("a time out of range"))?;
        Ok(Self { etag, modified, content_type })
    }

    /// What the server keeps with the bytes.
    pub(super) fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::new();
        for place in [Attribute::ContentType, TYPE] {
            attributes.insert(place, self.content_type.as_str().to_owned().into());
        }
        attributes.insert(TAG, self.etag.as_str().to_owned().into());
        attributes
    }

    /// What the server kept. Objects that others put there have what can be known of them.
    pub(super) fn of(name: &ObjectName, meta: &ObjectMeta, attributes: &Attributes) -> Result<Self, ObjectError> {
        let told = |place| attributes.get(place).and_then(|told| ContentType::parse(told).ok());
        if let Some(etag) = attributes.get(&TAG).and_then(|tag| EntityTag::parse(tag))
            && let Some(modified) = stamp(&etag)
        {
            let content_type = told(&TYPE).unwrap_or_else(|| ContentType::guess(name));
            return Ok(Self { etag, modified, content_type });
        }
        let theirs = meta.e_tag.as_deref().unwrap_or_default().trim_matches('"');
        let ours = format!("{:x}-{:x}", meta.last_modified.timestamp(), meta.size);
        let etag = EntityTag::parse(&format!("{theirs}-{ours}")).or_else(|| EntityTag::parse(&ours));
        let told = told(&Attribute::ContentType).filter(|told| !UNKNOWN_TYPES.contains(&told.as_str()));
        Ok(Self {
            etag: etag.ok_or_else(|| fault("a version without a tag"))?,
            modified: meta.last_modified,
            content_type: told.unwrap_or_else(|| ContentType::guess(name)),
        })
    }

    pub(super) fn info(self, name: ObjectName, size: u64) -> ObjectInfo {
        let Self { etag, modified, content_type } = self;
        ObjectInfo { name, size, content_type, etag, last_modified: modified }
    }
}

/// The time that is part of a tag of ours.
fn stamp(tag: &EntityTag) -> Option<DateTime<Utc>> {
    let (nanos, _) = tag.as_str().split_once('-')?;
    Some(DateTime::from_timestamp_nanos(i64::from_str_radix(nanos, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use gadwall_application::testing::{FixedClock, SeqIds};
    use object_store::path::Path;

    use super::*;

    fn meta(e_tag: Option<&str>) -> ObjectMeta {
        let last_modified = DateTime::from_timestamp_nanos(1_000_000_000);
        let e_tag = e_tag.map(str::to_owned);
        ObjectMeta { location: Path::from("a"), last_modified, size: 16, e_tag, version: None }
    }

    #[test]
    fn a_version_is_read_as_it_was_kept() {
        let (clock, ids) = (FixedClock::default(), SeqIds::default());
        let name = ObjectName::parse("a.csv").unwrap();
        let [one, two] =
            ["a/b", "text/csv"].map(|kind| Version::new(&clock, &ids, ContentType::parse(kind).unwrap()).unwrap());
        assert_ne!(one.etag, two.etag);
        for version in [one, two] {
            assert_eq!(Version::of(&name, &meta(Some("\"x\"")), &version.attributes()).unwrap(), version);
        }
    }

    #[test]
    fn an_object_of_others_has_what_is_known_of_it() {
        let name = ObjectName::parse("a.csv").unwrap();
        let of = |tag: Option<&str>, kind: &'static str| {
            let attributes = Attributes::from_iter([(Attribute::ContentType, kind)]);
            Version::of(&name, &meta(tag), &attributes).unwrap()
        };
        let version = of(Some("\"x\""), "binary/octet-stream");
        assert_eq!((version.etag.as_str(), version.content_type.as_str()), ("x-1-10", "text/csv"));
        assert_eq!(of(None, "text/plain").content_type.as_str(), "text/plain");
        assert_eq!(of(Some("no tag \n"), "text/plain").etag.as_str(), "1-10");
    }
}
