//! What is kept of shares, grants and links, and of who read through them.

use async_trait::async_trait;

use crate::names::{BucketName, ProjectId};
use crate::ports::metadata::StoreError;
use crate::sharing::{Grant, KnownLink, Link, Readership, Share, SourceBucket};

/// Shares, grants and links. Lists come by name.
#[async_trait]
pub trait SharingRepository: Send {
    /// Adds a share. `AlreadyExists` when that bucket is shared with that project.
    async fn insert_share(&mut self, share: &Share) -> Result<(), StoreError>;
    /// Removes a share; `false` when there is none.
    async fn remove_share(&mut self, source: &SourceBucket, target: &ProjectId) -> Result<bool, StoreError>;
    /// What a project shares.
    async fn shares_by(&mut self, source: &ProjectId) -> Result<Vec<Share>, StoreError>;
    /// What is shared with a project.
    async fn shares_with(&mut self, target: &ProjectId) -> Result<Vec<Share>, StoreError>;

    /// Opens a bucket to all. `AlreadyExists` when it is.
    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError>;
    /// Removes a grant; `false` when there is none.
    async fn remove_grant(&mut self, source: &SourceBucket) -> Result<bool, StoreError>;
    /// Buckets that are open to all, of one project or of any; at most so many.
    async fn grants(&mut self, of: Option<&ProjectId>, limit: u32) -> Result<Vec<Grant>, StoreError>;

    /// Adds a link. `AlreadyExists` when the project has one of that name.
    async fn insert_link(&mut self, link: &Link) -> Result<(), StoreError>;
    /// Removes a link; `false` when there is none.
    async fn remove_link(&mut self, project: &ProjectId, name: &BucketName) -> Result<bool, StoreError>;
    /// A project's links.
    async fn links_of(&mut self, project: &ProjectId) -> Result<Vec<KnownLink>, StoreError>;
    /// Links of all projects, to one bucket or to any.
    async fn links_to(&mut self, source: Option<&SourceBucket>) -> Result<Vec<KnownLink>, StoreError>;
    /// Lets no link of that project to that bucket be read without a share or grant.
    async fn end_unconditional(&mut self, source: &SourceBucket, target: &ProjectId) -> Result<(), StoreError>;

    /// Adds reads to those known of the same bucket, table and reader. Reads of projects that are gone are left out.
    async fn add_reads(&mut self, reads: &[Readership]) -> Result<(), StoreError>;
    /// Who read a project's buckets, at most so many: by bucket, table and reader.
    async fn readers(&mut self, owner: &ProjectId, limit: u32) -> Result<Vec<Readership>, StoreError>;

    /// Forgets all shares, grants, links and reads of a bucket that is gone.
    async fn forget_bucket(&mut self, source: &SourceBucket) -> Result<(), StoreError>;
    /// Forgets all shares, grants, links and reads by and to a project that is gone.
    async fn forget_project(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}
