//! Who reads what of other projects: counted where it is read, told to its owner.

use chrono::{DateTime, Utc};
use gadwall_domain::access::Scope;
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::query::Linked;
use gadwall_domain::sharing::{Readership, SourceBucket};
use gadwall_domain::table::TableRef;

use super::{Sharing, may_see};
use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::noted::{Merge, Noted};

/// The most readers that are told.
const MAX_READERS: u32 = 10_000;

/// Reads that are not written down yet: of a bucket's table, by a project.
pub(crate) type Readers = Noted<(SourceBucket, TableName, ProjectId), Reads>;

/// How often, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reads {
    count: u64,
    last: DateTime<Utc>,
}

impl Merge for Reads {
    fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.last.merge(other.last);
    }
}

impl Readers {
    /// Notes that a table is read now.
    pub(crate) fn read(&self, source: &SourceBucket, table: &TableName, reader: &ProjectId, now: DateTime<Utc>) {
        self.note((source.clone(), table.clone(), reader.clone()), Reads { count: 1, last: now });
    }
}

/// Notes as they are kept.
pub(crate) fn readerships(notes: &[((SourceBucket, TableName, ProjectId), Reads)]) -> Vec<Readership> {
    let readership = |((source, table, reader), reads): &((SourceBucket, TableName, ProjectId), Reads)| Readership {
        source: source.clone(),
        table: table.clone(),
        reader: reader.clone(),
        reads: reads.count,
        last_read_at: reads.last,
    };
    notes.iter().map(readership).collect()
}

/// Notes what a statement read through links. `sources` are those of the links that show something, in their order.
pub(crate) fn note_linked(
    access: &Access,
    reader: &ProjectId,
    links: &[Linked],
    sources: &[SourceBucket],
    read: &[TableRef],
) {
    let open = links.iter().filter(|link| link.source.is_some()).zip(sources);
    for (link, source) in open {
        for table in read.iter().filter(|table| table.bucket == link.name) {
            access.note_read(source, &table.table, reader);
        }
    }
}

impl Sharing {
    /// Who read a project's buckets, or one of them, and how often: by bucket, table and reader.
    pub async fn readers(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: Option<&BucketName>,
    ) -> Result<Vec<Readership>, UseCaseError> {
        let owner = self.access.open(caller, project, Scope::Read).await?;
        let mut readers = self.store.read().await?.sharing().readers(&owner.id, MAX_READERS).await?;
        let unwritten = readerships(&self.access.unwritten_reads());
        for new in unwritten.into_iter().filter(|new| new.source.project == owner.id) {
            let same = |known: &&mut Readership| {
                (&known.source, &known.table, &known.reader) == (&new.source, &new.table, &new.reader)
            };
            if let Some(known) = readers.iter_mut().find(same) {
                known.reads = known.reads.saturating_add(new.reads);
                known.last_read_at.merge(new.last_read_at);
            } else {
                readers.push(new);
            }
        }
        // What was read shortly before its bucket went may be written down after it.
        let buckets = self.lakes.buckets(owner.lake, ReadAt::Head).await?;
        let is_there = |name: &BucketName| name.is_main() || buckets.iter().any(|known| known.name == *name);
        let wanted =
            |source: &SourceBucket| bucket.is_none_or(|bucket| source.bucket == *bucket) && is_there(&source.bucket);
        readers.retain(|known| wanted(&known.source) && may_see(caller, &known.source.bucket));
        readers.sort_by(|a, b| (&a.source, &a.table, &a.reader).cmp(&(&b.source, &b.table, &b.reader)));
        Ok(readers)
    }
}
