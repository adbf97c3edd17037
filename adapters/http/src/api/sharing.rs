//! Buckets that other projects read: `/projects/{id}/buckets/{b}/share`, `…/link`, `…/grant-readonly`, and their lists.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::buckets::Buckets;
use gadwall_application::sharing::{NewLink, Offer, Sharing};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::sharing::{Grant, KnownLink, Readership, Share, SourceBucket};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::buckets::BucketCreated;
use super::models::BucketBody;
use super::projects::Gone;
use super::{Area, bucket_name, project_id};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct SharingApi {
    pub(crate) sharing: Arc<Sharing>,
    pub(crate) buckets: Arc<Buckets>,
}

/// With whom a bucket is to be shared.
#[derive(Debug, Clone, Object)]
pub(crate) struct ShareBucket {
    /// A project.
    target_project_id: String,
}

/// With whom a bucket is shared.
#[derive(Debug, Clone, Object)]
pub(crate) struct BucketShared {
    /// The projects.
    shared_with: Vec<String>,
    /// Never: what is linked can't be shared on.
    is_linked: bool,
    /// None.
    source_project_id: Option<String>,
    /// None.
    source_bucket_name: Option<String>,
}

/// Which bucket is to be linked.
#[derive(Debug, Clone, Object)]
pub(crate) struct LinkBucket {
    /// The project that owns it.
    source_project_id: String,
    /// Its name there.
    source_bucket_name: String,
    /// Show it as of this snapshot of that project, for ever. The newest without.
    snapshot_id: Option<i64>,
}

/// That a bucket is open to all projects.
#[derive(Debug, Clone, Object)]
pub(crate) struct BucketGranted {
    /// `success`.
    status: String,
    /// In words.
    message: String,
    /// The bucket.
    bucket_name: String,
}

/// A bucket that a project shares.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Share")]
pub(crate) struct ShareBody {
    /// The bucket.
    bucket_name: String,
    /// With whom; none where it is open to all projects.
    target_project_id: Option<String>,
    /// Since when.
    created_at: DateTime<Utc>,
    /// By whom: `admin` or `key:<id>`.
    created_by: String,
}

/// What a project shares.
#[derive(Debug, Clone, Object)]
pub(crate) struct ShareList {
    /// By bucket; those open to all last.
    shares: Vec<ShareBody>,
    /// How many there are.
    total: u64,
}

/// A bucket that a project reads of another.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Link")]
pub(crate) struct LinkBody {
    /// Its name here.
    bucket_name: String,
    /// Whose it is.
    source_project_id: String,
    /// Its name there.
    source_bucket_name: String,
    /// The snapshot it shows; none where it is the newest.
    snapshot_id: Option<u64>,
    /// Whether it may be read: not once its owner has ended the share.
    is_active: bool,
    /// Since when.
    created_at: DateTime<Utc>,
    /// By whom: `admin` or `key:<id>`.
    created_by: String,
}

/// What a project links.
#[derive(Debug, Clone, Object)]
pub(crate) struct LinkList {
    /// By name.
    links: Vec<LinkBody>,
    /// How many there are.
    total: u64,
}

/// A bucket that a project may link.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Offer")]
pub(crate) struct OfferBody {
    /// Whose it is.
    source_project_id: String,
    /// Its name there.
    source_bucket_name: String,
    /// `share`, or `grant` if it is open to all projects.
    by: String,
}

/// What a project may link and doesn't yet.
#[derive(Debug, Clone, Object)]
pub(crate) struct OfferList {
    /// By project and bucket.
    offers: Vec<OfferBody>,
    /// How many there are.
    total: u64,
}

/// How often another project read a table.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Reader")]
pub(crate) struct ReaderBody {
    /// The bucket.
    bucket_name: String,
    /// The table or view.
    table_name: String,
    /// Who reads it.
    project_id: String,
    /// How often it did: a statement or request counts once, also when its answer was kept.
    reads: u64,
    /// When it last did.
    last_read_at: DateTime<Utc>,
}

/// Who reads what a project shares.
#[derive(Debug, Clone, Object)]
pub(crate) struct ReaderList {
    /// By bucket, table and project.
    readers: Vec<ReaderBody>,
    /// How many there are.
    total: u64,
}

#[derive(ApiResponse)]
pub(crate) enum Shared {
    /// It is shared.
    #[oai(status = 200)]
    Shared(Json<BucketShared>),
}

#[OpenApi(tag = "Area::Sharing")]
impl SharingApi {
    /// Share a bucket with a project
    ///
    /// That project can link it under a name of its own then, and reads it as it is at that moment. Nothing is copied.
    #[oai(path = "/projects/:project/buckets/:bucket/share", method = "post", operation_id = "share_bucket")]
    async fn share(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        body: Json<ShareBucket>,
    ) -> ApiResult<Shared> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        let target = project_id(&body.0.target_project_id)?;
        let shared = self.sharing.share(auth.caller(), &project, &bucket, &target).await?;
        Ok(Shared::Shared(Json(BucketShared {
            shared_with: shared.iter().map(ToString::to_string).collect(),
            is_linked: false,
            source_project_id: None,
            source_bucket_name: None,
        })))
    }

    /// End a share
    ///
    /// From now on the other project reads nothing of the bucket, and its queries that do are stopped. Its link stays, and
    /// shows nothing until the bucket is shared again.
    #[oai(path = "/projects/:project/buckets/:bucket/share", method = "delete", operation_id = "unshare_bucket")]
    async fn unshare(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        /// The project it was shared with.
        target_project_id: Query<String>,
    ) -> ApiResult<Gone> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        self.sharing.unshare(auth.caller(), &project, &bucket, &project_id(&target_project_id.0)?).await?;
        Ok(Gone::NoContent)
    }

    /// Link another project's bucket
    ///
    /// It must be shared with this project, or open to all; an admin links any. The link is a bucket that can only be read.
    #[oai(path = "/projects/:project/buckets/:bucket/link", method = "post", operation_id = "link_bucket")]
    async fn link(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        body: Json<LinkBucket>,
    ) -> ApiResult<BucketCreated> {
        let (project, name) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        let source = SourceBucket {
            project: project_id(&body.0.source_project_id)?,
            bucket: bucket_name(&body.0.source_bucket_name)?,
        };
        let snapshot = body.0.snapshot_id.map(SnapshotId::new).transpose();
        let snapshot = snapshot.map_err(|_| ApiError::out_of_range("snapshot_id is a snapshot's number"))?;
        self.sharing.link(auth.caller(), &project, &name, NewLink { source, snapshot }).await?;
        let bucket = self.buckets.get(auth.caller(), &project, &name).await?;
        Ok(BucketCreated::Created(Json(BucketBody::from(bucket))))
    }

    /// End a link
    #[oai(path = "/projects/:project/buckets/:bucket/link", method = "delete", operation_id = "unlink_bucket")]
    async fn unlink(&self, auth: Auth, project: Path<String>, bucket: Path<String>) -> ApiResult<Gone> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        self.sharing.unlink(auth.caller(), &project, &bucket).await?;
        Ok(Gone::NoContent)
    }

    /// Open a bucket to all projects
    ///
    /// Any project can link it then, and only read it.
    #[oai(path = "/projects/:project/buckets/:bucket/grant-readonly", method = "post", operation_id = "grant_bucket")]
    async fn grant(&self, auth: Auth, project: Path<String>, bucket: Path<String>) -> ApiResult<Json<BucketGranted>> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        self.sharing.grant(auth.caller(), &project, &bucket).await?;
        Ok(Json(BucketGranted {
            status: "success".to_owned(),
            message: format!("Every project may link bucket {bucket} and read it"),
            bucket_name: bucket.to_string(),
        }))
    }

    /// Open a bucket to all projects no more
    #[oai(
        path = "/projects/:project/buckets/:bucket/grant-readonly",
        method = "delete",
        operation_id = "revoke_bucket"
    )]
    async fn revoke(&self, auth: Auth, project: Path<String>, bucket: Path<String>) -> ApiResult<Gone> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        self.sharing.revoke(auth.caller(), &project, &bucket).await?;
        Ok(Gone::NoContent)
    }

    /// List what a project shares
    #[oai(path = "/projects/:project/shares", method = "get", operation_id = "list_shares")]
    async fn shares(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<ShareList>> {
        let (shares, grants) = self.sharing.shares(auth.caller(), &project_id(&project.0)?).await?;
        let shares = shares.into_iter().map(ShareBody::from).chain(grants.into_iter().map(ShareBody::from));
        let shares: Vec<ShareBody> = shares.collect();
        Ok(Json(ShareList { total: shares.len() as u64, shares }))
    }

    /// List who reads what a project shares
    ///
    /// Each table that another project read through a link, how often, and when last; also by links that have ended. In SQL a view
    /// counts as the bucket's tables that it reads. Another server's reads of the last minute may be missing.
    #[oai(path = "/projects/:project/readers", method = "get", operation_id = "list_readers")]
    async fn readers(
        &self,
        auth: Auth,
        project: Path<String>,
        /// Only of this bucket.
        bucket: Query<Option<String>>,
    ) -> ApiResult<Json<ReaderList>> {
        let bucket = bucket.0.as_deref().map(bucket_name).transpose()?;
        let readers = self.sharing.readers(auth.caller(), &project_id(&project.0)?, bucket.as_ref()).await?;
        let readers: Vec<ReaderBody> = readers.into_iter().map(ReaderBody::from).collect();
        Ok(Json(ReaderList { total: readers.len() as u64, readers }))
    }

    /// List what a project links
    #[oai(path = "/projects/:project/links", method = "get", operation_id = "list_links")]
    async fn links(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<LinkList>> {
        let links = self.sharing.links(auth.caller(), &project_id(&project.0)?).await?;
        Ok(Json(LinkList { total: links.len() as u64, links: links.into_iter().map(Into::into).collect() }))
    }

    /// List what a project may link
    ///
    /// Buckets that are shared with it or open to all, and that it doesn't link yet.
    #[oai(path = "/projects/:project/offers", method = "get", operation_id = "list_offers")]
    async fn offers(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<OfferList>> {
        let offers = self.sharing.offers(auth.caller(), &project_id(&project.0)?).await?;
        Ok(Json(OfferList { total: offers.len() as u64, offers: offers.into_iter().map(Into::into).collect() }))
    }
}

impl From<Share> for ShareBody {
    fn from(share: Share) -> Self {
        Self {
            bucket_name: share.source.bucket.to_string(),
            target_project_id: Some(share.target.to_string()),
            created_at: share.created_at,
            created_by: share.created_by,
        }
    }
}

impl From<Grant> for ShareBody {
    fn from(grant: Grant) -> Self {
        Self {
            bucket_name: grant.source.bucket.to_string(),
            target_project_id: None,
            created_at: grant.created_at,
            created_by: grant.created_by,
        }
    }
}

impl From<Readership> for ReaderBody {
    fn from(known: Readership) -> Self {
        Self {
            bucket_name: known.source.bucket.to_string(),
            table_name: known.table.to_string(),
            project_id: known.reader.to_string(),
            reads: known.reads,
            last_read_at: known.last_read_at,
        }
    }
}

impl From<KnownLink> for LinkBody {
    fn from(KnownLink { link, open }: KnownLink) -> Self {
        Self {
            bucket_name: link.name.to_string(),
            source_project_id: link.source.project.to_string(),
            source_bucket_name: link.source.bucket.to_string(),
            snapshot_id: link.snapshot.map(SnapshotId::get),
            is_active: open,
            created_at: link.created_at,
            created_by: link.created_by,
        }
    }
}

impl From<Offer> for OfferBody {
    fn from(offer: Offer) -> Self {
        Self {
            source_project_id: offer.source.project.to_string(),
            source_bucket_name: offer.source.bucket.to_string(),
            by: if offer.to_all { "grant" } else { "share" }.to_owned(),
        }
    }
}
