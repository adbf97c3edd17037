//! What a statement may read through links, settled for each request anew.

use gadwall_domain::access::Principal;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::LakeStore;
use gadwall_domain::project::Project;
use gadwall_domain::query::{Linked, LinkedSource};
use gadwall_domain::sharing::SourceBucket;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Words of statements that list buckets: all links count then.
const LISTS: [&str; 6] = ["information_schema", "duckdb_", "pragma_", "sqlite_", "pg_", "show"];

/// Links as a statement may read them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// What is read, under which names.
    pub(crate) links: Vec<Linked>,
    /// Whose that is.
    pub(crate) sources: Vec<SourceBucket>,
}

/// The links that statements may mean: those whose names stand in their texts. A name that is written otherwise means
/// nothing.
pub(crate) async fn reading<'s>(
    access: &Access,
    lakes: &dyn LakeStore,
    caller: &Caller,
    project: &Project,
    texts: impl IntoIterator<Item = &'s str>,
    default_bucket: Option<&BucketName>,
) -> Result<Reading, UseCaseError> {
    let all = access.links(&project.id, caller.seen).await?;
    let mut reading = Reading::default();
    if all.is_empty() {
        return Ok(reading);
    }
    let texts: Vec<String> = texts.into_iter().map(str::to_lowercase).collect();
    let stands = |word: &str| texts.iter().any(|text| text.contains(word));
    let lists = LISTS.iter().any(|word| stands(word));
    for known in all.iter() {
        let (link, name) = (&known.link, &known.link.name);
        let meant = lists || stands(&name.folded()) || default_bucket == Some(name);
        if !meant || !caller.principal().is_some_and(|principal: &Principal| principal.may_touch(name)) {
            continue;
        }
        let source = match access.source(known, caller.seen).await? {
            None => None,
            Some(owner) => {
                let at = match (link.snapshot, lakes.known_head(owner.lake)) {
                    (Some(pinned), _) => pinned,
                    (None, Some(head)) => head,
                    (None, None) => lakes.head(owner.lake).await?,
                };
                reading.sources.push(link.source.clone());
                let (lake, bucket) = (owner.lake, link.source.bucket.clone());
                Some(LinkedSource { lake, bucket, at, pinned: link.snapshot.is_some() })
            }
        };
        reading.links.push(Linked { name: name.clone(), source });
    }
    Ok(reading)
}

/// Whether all that was opened may be read still.
pub(crate) async fn is_open(
    access: &Access,
    project: &ProjectId,
    sources: &[SourceBucket],
) -> Result<bool, UseCaseError> {
    if sources.is_empty() {
        return Ok(true);
    }
    let now = access.links(project, None).await?;
    let open = |source: &SourceBucket| now.iter().any(|known| known.open && known.link.source == *source);
    Ok(sources.iter().all(open))
}
