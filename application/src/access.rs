//! Who may do what: the one place where keys are checked and projects opened.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use gadwall_domain::access::{ApiKey, KeyDigest, Principal, Scope, Standing};
use gadwall_domain::error::Classify as _;
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::ports::tokens::TokenError;
use gadwall_domain::project::{Project, ProjectStatus};
use gadwall_domain::sharing::{KnownLink, SourceBucket};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::access_cache::AccessCache;
use crate::audit::{Refusals, Refused};
use crate::caller::{Caller, Identity, Origin};
use crate::error::UseCaseError;
use crate::failures::Failures;
use crate::keys::KeyError;
use crate::noted::Noted;
use crate::sharing::{LinkReads, Place, Readers, Reads, readerships};
use crate::tokens::{Tokens, is_token};

/// The digest under which a key is kept.
pub fn digest(key: &str) -> KeyDigest {
    KeyDigest(Sha256::digest(key.as_bytes()).into())
}

/// Whether two digests are the same, in constant time.
fn same(known: &KeyDigest, presented: &KeyDigest) -> bool {
    known.0.ct_eq(&presented.0).into()
}

/// What a key turned out to be.
enum Examined {
    Good(Principal),
    /// The key of who presents it, once.
    Ended(Box<ApiKey>, KeyError),
    /// A token that was one once, or never.
    BadToken(TokenError),
    Unknown,
}

impl Examined {
    fn into_identity(self) -> Result<Identity, UseCaseError> {
        match self {
            Self::Good(principal) => Ok(Identity::Known(principal)),
            Self::Ended(_, error) => Err(error.into()),
            Self::BadToken(error) => Err(error.into()),
            Self::Unknown => Ok(Identity::Unknown),
        }
    }
}

/// For how long a request goes by what it saw at its beginning.
const SEEN_FOR: Duration = Duration::from_secs(1);

/// The version of keys, projects and links that was seen at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    version: u64,
    at: Instant,
    /// What this process had changed of them by then.
    changes: u64,
}

/// Who counts as an admin.
#[derive(Debug, Clone)]
pub enum AdminPolicy {
    /// Whoever presents one of these keys.
    Keys(Vec<KeyDigest>),
    /// Everyone: authentication is switched off.
    Everyone,
}

/// Authenticates callers and opens projects for them.
pub struct Access {
    store: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    /// Replaced as a whole, while requests are looked at.
    admins: RwLock<Arc<AdminPolicy>>,
    cache: AccessCache,
    failures: Failures,
    refusals: Refusals,
    /// When keys were used.
    uses: Noted<ApiKeyId, DateTime<Utc>>,
    readers: Readers,
    /// Tokens of identity providers, where there are any.
    tokens: Option<Tokens>,
    link_reads: Arc<LinkReads>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// Authenticates against the store's keys and the admins' policy.
    pub fn new(store: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>, admins: AdminPolicy) -> Self {
        let (cache, uses, readers) = (AccessCache::default(), Noted::default(), Noted::default());
        let (failures, refusals, link_reads) = (Failures::new(0), Refusals::default(), Arc::default());
        let admins = RwLock::new(Arc::new(admins));
        Self { store, clock, admins, cache, failures, refusals, uses, readers, tokens: None, link_reads }
    }

    /// Has others count as admins from the next request on.
    pub fn set_admins(&self, admins: AdminPolicy) {
        *self.admins.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(admins);
    }

    /// The same, with an end to guessing: after so many refused keys in a minute an address has to wait.
    #[must_use]
    pub fn with_max_failures(self, max_failures: u32) -> Self {
        Self { failures: Failures::new(max_failures), ..self }
    }

    /// The same, for whom tokens of identity providers are as good as keys.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// Finds out who presents a key or a token. No key at all is an error, unless authentication is switched off; so is one that
    /// has ended.
    pub async fn authenticate(&self, key: Option<&str>) -> Result<Identity, UseCaseError> {
        self.examine(key, None).await?.into_identity()
    }

    /// As [`Self::authenticate`], for a request that may be a guess: who guessed too often waits before anything is
    /// looked at, and a refusal is counted and audited.
    pub async fn authenticate_from(
        &self,
        origin: &Origin,
        key: Option<&str>,
    ) -> Result<(Identity, Option<Seen>), UseCaseError> {
        self.admit(origin)?;
        let seen = if key.is_some() { self.look().await? } else { None };
        let examined = self.examine(key, seen).await?;
        match &examined {
            // Who has a token that was good once doesn't guess. Pages left open over night would lock out an office.
            Examined::Good(_) | Examined::BadToken(TokenError::Expired) => {}
            Examined::Ended(key, error) => self.refused(origin, Some(key), error.code()),
            Examined::Unknown => self.refused(origin, None, UseCaseError::Unauthenticated.code()),
            Examined::BadToken(error) => self.refused(origin, None, error.code()),
        }
        Ok((examined.into_identity()?, seen))
    }

    /// Refuses an address that has to wait.
    pub fn admit(&self, origin: &Origin) -> Result<(), UseCaseError> {
        let wait = origin.address.and_then(|address| self.failures.wait(address, self.clock.now()));
        let Some(wait) = wait else { return Ok(()) };
        let error = KeyError::TooManyFailures { wait };
        self.note_refusal(Refused::credentials(origin.address, error.code(), origin.request_id.clone()));
        Err(error.into())
    }

    /// Requests that were refused and are in no audit entry yet.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Counts a refused request, for the audit log.
    pub fn note_refusal(&self, refused: Refused) {
        self.refusals.note(refused, self.clock.now());
    }

    /// Counts a refused key. It concerns the project of the key, if somebody knows the key.
    fn refused(&self, origin: &Origin, key: Option<&ApiKey>, code: &str) {
        if let Some(address) = origin.address {
            self.failures.note(address, self.clock.now());
        }
        self.note_refusal(Refused {
            principal: key.map(|key| format!("key:{}", key.id)),
            project: key.map(|key| key.project.clone()),
            ..Refused::credentials(origin.address, code, origin.request_id.clone())
        });
    }

    async fn examine(&self, key: Option<&str>, seen: Option<Seen>) -> Result<Examined, UseCaseError> {
        let admins = Arc::clone(&self.admins.read().unwrap_or_else(PoisonError::into_inner));
        let admin_keys = match &*admins {
            AdminPolicy::Everyone => return Ok(Examined::Good(Principal::Admin)),
            AdminPolicy::Keys(keys) => keys,
        };
        let key = key.filter(|key| !key.is_empty()).ok_or(UseCaseError::Unauthenticated)?;
        if let Some(tokens) = self.tokens.as_ref().filter(|_| is_token(key)) {
            return match tokens.identify(key).await {
                Ok(access) => Ok(Examined::Good(Principal::Token(access))),
                Err(away @ TokenError::IssuerAway { .. }) => Err(away.into()),
                Err(bad) => Ok(Examined::BadToken(bad)),
            };
        }
        let presented = digest(key);
        // All are compared, each in constant time, so that timing tells neither content nor position.
        let is_admin = admin_keys.iter().fold(false, |found, known| found | same(known, &presented));
        if is_admin {
            return Ok(Examined::Good(Principal::Admin));
        }
        let Some(key) = self.find_key(&presented, seen).await? else { return Ok(Examined::Unknown) };
        let now = self.clock.now();
        let is_present = same(&key.digest, &presented);
        let replaced = key.replaced.as_ref().filter(|replaced| same(&replaced.digest, &presented));
        let ended = match (key.standing_at(now), replaced) {
            (Standing::Revoked, _) => KeyError::Revoked,
            (Standing::Expired, _) => KeyError::Expired,
            (Standing::Usable, Some(replaced)) if replaced.until <= now => KeyError::Revoked,
            (Standing::Usable, None) if !is_present => return Ok(Examined::Unknown),
            (Standing::Usable, _) => {
                self.uses.note(key.id, now);
                let ApiKey { id, project, scopes, bucket, .. } = key;
                return Ok(Examined::Good(Principal::Key { id, project, scopes, bucket }));
            }
        };
        Ok(Examined::Ended(Box::new(key), ended))
    }

    /// When a key was last used, as far as that isn't written down yet.
    pub(crate) fn used_at(&self, key: ApiKeyId) -> Option<DateTime<Utc>> {
        self.uses.of(&key)
    }

    /// Notes that a project reads another's table now.
    pub(crate) fn note_read(&self, source: &SourceBucket, table: &TableName, reader: &ProjectId) {
        self.readers.read(source, table, reader, self.clock.now());
    }

    /// Reads through links that are not written down yet.
    pub(crate) fn unwritten_reads(&self) -> Vec<((SourceBucket, TableName, ProjectId), Reads)> {
        self.readers.all()
    }

    /// Writes down when keys were last used, and who read through links; answers of how many.
    pub async fn write_uses(&self) -> Result<usize, UseCaseError> {
        let (uses, reads) = (self.uses.take(), self.readers.take());
        if uses.is_empty() && reads.is_empty() {
            return Ok(0);
        }
        let written = async {
            let mut tx = self.store.write().await?;
            tx.keys().record_uses(&uses).await?;
            tx.sharing().add_reads(&readerships(&reads)).await?;
            tx.commit().await
        };
        let result = written.await;
        let count = uses.len() + reads.len();
        if let Err(error) = result {
            self.uses.put_back(uses);
            self.readers.put_back(reads);
            return Err(error.into());
        }
        Ok(count)
    }

    /// Looks at what holds from now on, for a request that begins: what it asks of keys, projects and links is answered as of then, or
    /// later. Nothing where that costs nothing to find out anew.
    async fn look(&self) -> Result<Option<Seen>, UseCaseError> {
        if self.store.access_version().is_some() {
            return Ok(None);
        }
        let changes = self.store.access_changes();
        let version = self.store.shared_access_version().await?;
        Ok(version.map(|version| Seen { version, at: Instant::now(), changes }))
    }

    /// The version of keys, projects and links that a request goes by.
    async fn version(&self, seen: Option<Seen>) -> Result<Option<u64>, UseCaseError> {
        if let Some(version) = self.store.access_version() {
            return Ok(Some(version));
        }
        match seen {
            // A request that changed something has to see it.
            Some(seen) if seen.at.elapsed() < SEEN_FOR && seen.changes == self.store.access_changes() => {
                Ok(Some(seen.version))
            }
            _ => Ok(self.store.shared_access_version().await?),
        }
    }

    async fn find_key(&self, presented: &KeyDigest, seen: Option<Seen>) -> Result<Option<ApiKey>, UseCaseError> {
        let version = self.version(seen).await?;
        if let Some(known) = version.and_then(|version| self.cache.key(version, presented)) {
            return Ok(Some(known));
        }
        let found = self.store.read().await?.keys().find_by_digest(presented).await?;
        if let (Some(version), Some(key)) = (version, &found) {
            self.cache.keep_key(version, *presented, key.clone());
        }
        Ok(found)
    }

    /// A project's links.
    pub(crate) async fn links(
        &self,
        project: &ProjectId,
        seen: Option<Seen>,
    ) -> Result<Arc<[KnownLink]>, UseCaseError> {
        let version = self.version(seen).await?;
        if let Some(known) = version.and_then(|version| self.cache.links(version, project)) {
            return Ok(known);
        }
        let found: Arc<[KnownLink]> = self.store.read().await?.sharing().links_of(project).await?.into();
        if let Some(version) = version {
            self.cache.keep_links(version, project, &found);
        }
        Ok(found)
    }

    /// What reads linked buckets now, beside the queries.
    pub(crate) fn link_reads(&self) -> &Arc<LinkReads> {
        &self.link_reads
    }

    /// The link of that name, if a project has one.
    pub(crate) async fn link(
        &self,
        project: &ProjectId,
        name: &BucketName,
        seen: Option<Seen>,
    ) -> Result<Option<KnownLink>, UseCaseError> {
        Ok(self.links(project, seen).await?.iter().find(|known| known.link.name == *name).cloned())
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Writes down what a caller did to something of a project that isn't kept with the metadata. In one that was deleted
    /// meanwhile nothing is done any more.
    pub(crate) async fn record(
        &self,
        caller: &Caller,
        project: &ProjectId,
        operation: &str,
        resource: String,
    ) -> Result<(), UseCaseError> {
        let mut tx = self.store.write().await?;
        if !tx.lake_index().is_in_use(project).await? {
            return Err(UseCaseError::NoProjectAround(project.clone()));
        }
        tx.audit().append(&[caller.entry(self.clock.now(), operation, project, resource)]).await?;
        Ok(tx.commit().await?)
    }

    /// Refuses what is asked of a project that is deleted, or isn't there.
    pub async fn require_in_use(&self, id: &ProjectId) -> Result<(), UseCaseError> {
        match self.find_project(id, None).await? {
            Some(project) if project.status == ProjectStatus::Active => Ok(()),
            _ => Err(UseCaseError::NoProjectAround(id.clone())),
        }
    }

    /// The project that a link reads; none if nothing may be read through it any more.
    pub(crate) async fn source(&self, known: &KnownLink, seen: Option<Seen>) -> Result<Option<Project>, UseCaseError> {
        if !known.open {
            return Ok(None);
        }
        let found = self.find_project(&known.link.source.project, seen).await?;
        Ok(found.filter(|project| project.status == ProjectStatus::Active))
    }

    async fn find_project(&self, id: &ProjectId, seen: Option<Seen>) -> Result<Option<Project>, UseCaseError> {
        let version = self.version(seen).await?;
        if let Some(known) = version.and_then(|version| self.cache.project(version, id)) {
            return Ok(Some(known));
        }
        let found = self.store.read().await?.projects().find(id).await?;
        if let (Some(version), Some(project)) = (version, &found) {
            self.cache.keep_project(version, project.clone());
        }
        Ok(found)
    }

    /// The project that routes without one act on: the caller's own, or for an admin the one named, else `default`.
    /// Whose token opens several has to name one.
    pub fn own_project(&self, caller: &Caller, named: Option<ProjectId>) -> Result<ProjectId, UseCaseError> {
        match caller.principal() {
            None => Err(UseCaseError::Unauthenticated),
            Some(principal) if principal.is_admin() => Ok(named.unwrap_or_else(ProjectId::default_project)),
            Some(principal) => own_project(principal, named),
        }
    }

    /// Opens a project, of any status, for something that needs the scope.
    pub(crate) async fn open_any(
        &self,
        caller: &Caller,
        id: &ProjectId,
        scope: Scope,
    ) -> Result<Project, UseCaseError> {
        let principal = caller.principal().ok_or(UseCaseError::Forbidden)?;
        if !principal.may(id, scope) {
            return Err(UseCaseError::Forbidden);
        }
        let found = self.find_project(id, caller.seen).await?;
        match (found, principal.is_admin()) {
            (Some(project), true) => Ok(project),
            (Some(project), false) if project.status == ProjectStatus::Active => Ok(project),
            (None, true) => Err(UseCaseError::NoProject(id.clone())),
            _ => Err(UseCaseError::Forbidden),
        }
    }

    /// Opens a project in use, for something within it that needs the scope.
    pub(crate) async fn open(&self, caller: &Caller, id: &ProjectId, scope: Scope) -> Result<Project, UseCaseError> {
        match self.open_any(caller, id, scope).await {
            Ok(project) if project.status == ProjectStatus::Active => Ok(project),
            Ok(_) | Err(UseCaseError::NoProject(_)) => Err(UseCaseError::NoProjectAround(id.clone())),
            Err(error) => Err(error),
        }
    }

    /// Opens a project in use, for something within one of its buckets. Not for what is linked.
    pub(crate) async fn open_bucket(
        &self,
        caller: &Caller,
        id: &ProjectId,
        bucket: &BucketName,
        scope: Scope,
    ) -> Result<Project, UseCaseError> {
        let project = self.open_named(caller, id, bucket, scope).await?;
        match self.link(&project.id, bucket, caller.seen).await? {
            None => Ok(project),
            Some(_) => Err(UseCaseError::LinkedBucket { bucket: bucket.clone() }),
        }
    }

    /// Opens a project in use, for something within a bucket of that name, whosever it is.
    pub(crate) async fn open_named(
        &self,
        caller: &Caller,
        id: &ProjectId,
        bucket: &BucketName,
        scope: Scope,
    ) -> Result<Project, UseCaseError> {
        let project = self.open(caller, id, scope).await?;
        if caller.principal().is_some_and(|principal| principal.may_touch(bucket)) {
            Ok(project)
        } else {
            Err(UseCaseError::Forbidden)
        }
    }

    /// Opens a bucket to be read: one of the project's own, or one that it links.
    pub(crate) async fn open_to_read(
        &self,
        caller: &Caller,
        id: &ProjectId,
        bucket: &BucketName,
    ) -> Result<Place, UseCaseError> {
        let reader = self.open_named(caller, id, bucket, Scope::Read).await?;
        let Some(known) = self.link(&reader.id, bucket, caller.seen).await? else {
            return Ok(Place { project: reader, bucket: bucket.clone(), link: None });
        };
        match self.source(&known, caller.seen).await? {
            Some(project) => Ok(Place { project, bucket: known.link.source.bucket.clone(), link: Some(known.link) }),
            None => Err(UseCaseError::LinkEnded { bucket: bucket.clone() }),
        }
    }
}

/// The project of one who isn't an admin.
fn own_project(principal: &Principal, named: Option<ProjectId>) -> Result<ProjectId, UseCaseError> {
    let mut own = principal.projects();
    match (named, own.next(), own.next()) {
        (Some(named), ..) if principal.projects().any(|own| *own == named) => Ok(named),
        (None, Some(only), None) => Ok(only.clone()),
        (None, Some(_), Some(_)) => {
            Err(UseCaseError::Invalid("the token opens several projects; name one in the header X-Project".to_owned()))
        }
        _ => Err(UseCaseError::Forbidden),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use gadwall_domain::audit::AuditOutcome;
    use gadwall_domain::ids::RequestId;
    use std::sync::atomic::{AtomicU64, Ordering};

    use gadwall_domain::ports::metadata::{MetadataStore as _, MetadataTx, StoreError};

    use super::*;
    use crate::testing::builders::{api_key, bucket, noon, project_id};
    use crate::world::{ADMIN_KEY, World, caller};

    async fn identity(world: &World, key: &str) -> Identity {
        world.access.authenticate(Some(key)).await.unwrap()
    }

    #[tokio::test]
    async fn keys_are_known_by_their_whole_text() {
        let world = World::new();
        let (key, _) = world.project("acme_dev_1").await;
        world.project("acme_dev_2").await;
        assert_eq!(identity(&world, ADMIN_KEY).await, Identity::Known(Principal::Admin));
        assert!(matches!(identity(&world, &key).await, Identity::Known(Principal::Key { .. })));
        assert_eq!(identity(&world, &key[..key.len() - 1]).await, Identity::Unknown);
        assert_eq!(identity(&world, &format!("{ADMIN_KEY} ")).await, Identity::Unknown);
        for missing in [None, Some("")] {
            assert!(matches!(world.access.authenticate(missing).await, Err(UseCaseError::Unauthenticated)));
        }
    }

    #[tokio::test]
    async fn a_key_ends_when_it_expires_and_when_it_is_revoked() {
        let world = World::new();
        world.project("p").await;
        let mut key = api_key("p", "short-lived");
        key.expires_at = Some(noon() + TimeDelta::hours(1));
        let mut tx = world.store.write().await.unwrap();
        tx.keys().insert(&key).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(identity(&world, "short-lived").await, Identity::Known(_)));
        world.clock.advance(TimeDelta::hours(1));
        let expired = world.access.authenticate(Some("short-lived")).await;
        assert!(matches!(expired, Err(UseCaseError::Key(KeyError::Expired))), "{expired:?}");
    }

    fn from(address: &str) -> Origin {
        Origin { address: address.parse().ok(), request_id: RequestId::parse("r1").unwrap() }
    }

    #[tokio::test]
    async fn guessing_makes_an_address_wait_and_is_audited() {
        let world = World::new();
        let (key, _) = world.project("p").await;
        world.projects.ensure_default(&world.admin()).await.unwrap();
        let access = Access::new(Arc::clone(&world.store) as _, Arc::clone(&world.clock) as _, {
            AdminPolicy::Keys(vec![digest(ADMIN_KEY)])
        })
        .with_max_failures(3);
        for _ in 0..3 {
            let refused = access.authenticate_from(&from("192.0.2.1"), Some("a guess")).await.unwrap();
            assert_eq!(refused, (Identity::Unknown, None));
        }
        for presented in [Some("a guess"), Some(ADMIN_KEY), Some(key.as_str()), None] {
            let waits = access.authenticate_from(&from("192.0.2.1"), presented).await;
            let Err(UseCaseError::Key(KeyError::TooManyFailures { wait })) = waits else { panic!("{waits:?}") };
            assert_eq!(wait.as_secs(), 60);
        }
        assert!(matches!(access.authenticate_from(&from("192.0.2.2"), Some(&key)).await, Ok((Identity::Known(_), _))));
        world.clock.advance(TimeDelta::minutes(1));
        let refused = access.refusals().take(world.clock.now(), true);
        let told: Vec<_> = refused.iter().map(|entry| (entry.address, entry.outcome.clone())).collect();
        let outcome = |code: &str, times| AuditOutcome::Refused { code: code.to_owned(), times };
        let address = "192.0.2.1".parse().ok();
        assert_eq!(told, [(address, outcome("too_many_failures", 4)), (address, outcome("unauthorized", 3))]);
        assert!(!format!("{refused:?}").contains("guess"));
        assert!(matches!(access.authenticate_from(&from("192.0.2.1"), Some(&key)).await, Ok((Identity::Known(_), _))));
    }

    #[tokio::test]
    async fn uses_are_written_down_together() {
        let world = World::new();
        let (key, _) = world.project("p").await;
        let stored = async || {
            let mut tx = world.store.read().await.unwrap();
            tx.keys().find_by_digest(&digest(&key)).await.unwrap().unwrap().last_used_at
        };
        world.clock.advance(TimeDelta::seconds(5));
        identity(&world, &key).await;
        assert_eq!(stored().await, None, "nothing is written for a request");
        assert_eq!(world.access.write_uses().await.unwrap(), 1);
        assert_eq!(stored().await, Some(noon() + TimeDelta::seconds(5)));
        assert_eq!(world.access.write_uses().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_another_project_has_looks_like_nothing() {
        let world = World::new();
        let (_, owner) = world.project("ours").await;
        let (_, stranger) = world.project("theirs").await;
        let open = async |caller: &Caller, id: &str| world.access.open(caller, &project_id(id), Scope::Read).await;
        assert!(open(&owner, "OURS").await.is_ok());
        for id in ["ours", "nobody"] {
            assert!(matches!(open(&stranger, id).await, Err(UseCaseError::Forbidden)), "{id}");
        }
        assert!(matches!(open(&world.admin(), "nobody").await, Err(UseCaseError::NoProjectAround(_))));
        let unknown = caller(Identity::Unknown);
        assert!(matches!(open(&unknown, "ours").await, Err(UseCaseError::Forbidden)));
    }

    #[tokio::test]
    async fn scopes_and_the_limit_to_a_bucket_hold() {
        let world = World::new();
        world.project("p").await;
        let limited = caller(Identity::Known(Principal::Key {
            id: api_key("p", "x").id,
            project: project_id("p"),
            scopes: [Scope::Read].into(),
            bucket: Some(bucket("sales")),
        }));
        let id = project_id("p");
        assert!(world.access.open_bucket(&limited, &id, &bucket("Sales"), Scope::Read).await.is_ok());
        for (name, scope) in [("other", Scope::Read), ("sales", Scope::Write), ("sales", Scope::Manage)] {
            let refused = world.access.open_bucket(&limited, &id, &bucket(name), scope).await;
            assert!(matches!(refused, Err(UseCaseError::Forbidden)), "{name} {scope:?}");
        }
    }

    #[tokio::test]
    async fn routes_without_a_project_find_ones_own() {
        let world = World::new();
        let (_, owner) = world.project("p").await;
        let own = |caller: &Caller, named: Option<&str>| world.access.own_project(caller, named.map(project_id));
        assert_eq!(own(&owner, None).unwrap(), project_id("p"));
        assert_eq!(own(&owner, Some("P")).unwrap(), project_id("p"));
        assert!(matches!(own(&owner, Some("q")), Err(UseCaseError::Forbidden)));
        assert_eq!(own(&world.admin(), None).unwrap(), ProjectId::default_project());
        assert_eq!(own(&world.admin(), Some("q")).unwrap(), project_id("q"));
        assert!(matches!(own(&caller(Identity::Unknown), None), Err(UseCaseError::Unauthenticated)));
    }

    /// A store that others change, too; it counts how often it is asked.
    struct Shared {
        store: Arc<dyn MetadataStore>,
        version: AtomicU64,
        reads: AtomicU64,
        looks: AtomicU64,
        changes: AtomicU64,
    }

    #[async_trait::async_trait]
    impl MetadataStore for Shared {
        async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.store.read().await
        }

        async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
            self.store.write().await
        }

        async fn shared_access_version(&self) -> Result<Option<u64>, StoreError> {
            self.looks.fetch_add(1, Ordering::Relaxed);
            Ok(Some(self.version.load(Ordering::Relaxed)))
        }

        fn access_changes(&self) -> u64 {
            self.changes.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn of_a_shared_store_a_request_asks_once_and_reads_what_has_changed() {
        let world = World::new();
        let (key, _) = world.project("p").await;
        let shared = Arc::new(Shared {
            store: Arc::clone(&world.store) as Arc<dyn MetadataStore>,
            version: AtomicU64::new(1),
            reads: AtomicU64::default(),
            looks: AtomicU64::default(),
            changes: AtomicU64::default(),
        });
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let access = Access::new(Arc::clone(&shared) as Arc<dyn MetadataStore>, clock, AdminPolicy::Keys(Vec::new()));
        let origin = Origin { address: None, request_id: RequestId::parse("r").unwrap() };
        let asked = async || {
            let (identity, seen) = access.authenticate_from(&origin, Some(&key)).await.unwrap();
            let caller = Caller { seen, ..caller(identity) };
            access.open_bucket(&caller, &project_id("p"), &bucket("b"), Scope::Read).await.unwrap();
            (shared.looks.swap(0, Ordering::Relaxed), shared.reads.swap(0, Ordering::Relaxed))
        };
        assert_eq!(asked().await, (1, 3), "the key, the project, and its links");
        assert_eq!(asked().await, (1, 0));
        shared.version.store(2, Ordering::Relaxed);
        assert_eq!(asked().await, (1, 3));
        assert_eq!(asked().await, (1, 0));
        // Who holds on to a request for long asks again.
        let old = Seen { version: 1, at: Instant::now().checked_sub(SEEN_FOR).unwrap(), changes: 0 };
        access.links(&project_id("p"), Some(old)).await.unwrap();
        assert_eq!((shared.looks.swap(0, Ordering::Relaxed), shared.reads.swap(0, Ordering::Relaxed)), (1, 0));
        // Who changes something while at it sees what is now.
        let (_, seen) = access.authenticate_from(&origin, Some(&key)).await.unwrap();
        shared.version.store(3, Ordering::Relaxed);
        shared.changes.store(1, Ordering::Relaxed);
        access.links(&project_id("p"), seen).await.unwrap();
        assert_eq!((shared.looks.load(Ordering::Relaxed), shared.reads.load(Ordering::Relaxed)), (2, 1));
    }
}
