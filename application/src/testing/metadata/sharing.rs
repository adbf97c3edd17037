//! Shares, grants, links and reads as maps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::sharing::SharingRepository;
use gadwall_domain::sharing::{Grant, KnownLink, Link, Readership, Share, SourceBucket};

use super::{MemoryTx, State};

/// Who reads whose buckets.
#[derive(Debug, Clone, Default)]
pub(super) struct Sharing {
    shares: BTreeMap<(SourceBucket, ProjectId), Share>,
    grants: BTreeMap<SourceBucket, Grant>,
    links: BTreeMap<(ProjectId, BucketName), Link>,
    reads: BTreeMap<(SourceBucket, TableName, ProjectId), Readership>,
}

impl Sharing {
    fn known(&self, wanted: impl Fn(&Link) -> bool) -> Vec<KnownLink> {
        let Self { shares, grants, links, .. } = self;
        let known = |link: &Link| {
            let open = link.unconditional
                || shares.contains_key(&(link.source.clone(), link.project.clone()))
                || grants.contains_key(&link.source);
            KnownLink { link: link.clone(), open }
        };
        links.values().filter(|link| wanted(link)).map(known).collect()
    }
}

impl State {
    /// The bucket, its project spelled as it was made.
    fn spelled(&self, source: &SourceBucket) -> Result<SourceBucket, StoreError> {
        Ok(SourceBucket { project: self.project(&source.project)?.id.clone(), bucket: source.bucket.clone() })
    }
}

#[async_trait]
impl SharingRepository for MemoryTx {
    async fn insert_share(&mut self, share: &Share) -> Result<(), StoreError> {
        let state = self.change()?;
        let (source, target) = (state.spelled(&share.source)?, state.project(&share.target)?.id.clone());
        let place = (source.clone(), target.clone());
        if state.sharing.shares.contains_key(&place) {
            return Err(StoreError::AlreadyExists);
        }
        state.sharing.shares.insert(place, Share { source, target, ..share.clone() });
        Ok(())
    }

    async fn remove_share(&mut self, source: &SourceBucket, target: &ProjectId) -> Result<bool, StoreError> {
        Ok(self.change()?.sharing.shares.remove(&(source.clone(), target.clone())).is_some())
    }

    async fn shares_by(&mut self, source: &ProjectId) -> Result<Vec<Share>, StoreError> {
        let shares = self.state.sharing.shares.values();
        Ok(shares.filter(|share| share.source.project == *source).cloned().collect())
    }

    async fn shares_with(&mut self, target: &ProjectId) -> Result<Vec<Share>, StoreError> {
        Ok(self.state.sharing.shares.values().filter(|share| share.target == *target).cloned().collect())
    }

    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        let state = self.change()?;
        let source = state.spelled(&grant.source)?;
        if state.sharing.grants.contains_key(&source) {
            return Err(StoreError::AlreadyExists);
        }
        state.sharing.grants.insert(source.clone(), Grant { source, ..grant.clone() });
        Ok(())
    }

    async fn remove_grant(&mut self, source: &SourceBucket) -> Result<bool, StoreError> {
        Ok(self.change()?.sharing.grants.remove(source).is_some())
    }

    async fn grants(&mut self, of: Option<&ProjectId>, limit: u32) -> Result<Vec<Grant>, StoreError> {
        let grants = self.state.sharing.grants.values();
        let wanted = grants.filter(|grant| of.is_none_or(|of| grant.source.project == *of));
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn insert_link(&mut self, link: &Link) -> Result<(), StoreError> {
        let state = self.change()?;
        let (project, source) = (state.project(&link.project)?.id.clone(), state.spelled(&link.source)?);
        let place = (project.clone(), link.name.clone());
        if state.sharing.links.contains_key(&place) {
            return Err(StoreError::AlreadyExists);
        }
        state.sharing.links.insert(place, Link { project, source, ..link.clone() });
        Ok(())
    }

    async fn remove_link(&mut self, project: &ProjectId, name: &BucketName) -> Result<bool, StoreError> {
        Ok(self.change()?.sharing.links.remove(&(project.clone(), name.clone())).is_some())
    }

    async fn links_of(&mut self, project: &ProjectId) -> Result<Vec<KnownLink>, StoreError> {
        Ok(self.state.sharing.known(|link| link.project == *project))
    }

    async fn links_to(&mut self, source: Option<&SourceBucket>) -> Result<Vec<KnownLink>, StoreError> {
        Ok(self.state.sharing.known(|link| source.is_none_or(|source| link.source == *source)))
    }

    async fn end_unconditional(&mut self, source: &SourceBucket, target: &ProjectId) -> Result<(), StoreError> {
        let links = self.change()?.sharing.links.values_mut();
        for link in links.filter(|link| link.source == *source && link.project == *target) {
            link.unconditional = false;
        }
        Ok(())
    }

    async fn add_reads(&mut self, reads: &[Readership]) -> Result<(), StoreError> {
        let state = self.change()?;
        for read in reads {
            let (Ok(source), Ok(reader)) = (state.spelled(&read.source), state.project(&read.reader)) else { continue };
            let new = Readership { source, reader: reader.id.clone(), ..read.clone() };
            let place = (new.source.clone(), new.table.clone(), new.reader.clone());
            let none = Readership { reads: 0, ..new.clone() };
            let known = state.sharing.reads.entry(place).or_insert(none);
            known.reads += new.reads;
            known.last_read_at = known.last_read_at.max(new.last_read_at);
        }
        Ok(())
    }

    async fn readers(&mut self, owner: &ProjectId, limit: u32) -> Result<Vec<Readership>, StoreError> {
        let reads = self.state.sharing.reads.values().filter(|read| read.source.project == *owner);
        Ok(reads.take(limit as usize).cloned().collect())
    }

    async fn forget_bucket(&mut self, source: &SourceBucket) -> Result<(), StoreError> {
        let sharing = &mut self.change()?.sharing;
        sharing.shares.retain(|(of, _), _| of != source);
        sharing.grants.remove(source);
        sharing.links.retain(|_, link| link.source != *source);
        sharing.reads.retain(|_, read| read.source != *source);
        Ok(())
    }

    async fn forget_project(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        let sharing = &mut self.change()?.sharing;
        sharing.shares.retain(|(of, target), _| of.project != *project && target != project);
        sharing.grants.retain(|of, _| of.project != *project);
        sharing.links.retain(|(of, _), link| of != project && link.source.project != *project);
        sharing.reads.retain(|_, read| read.reader != *project && read.source.project != *project);
        Ok(())
    }
}
