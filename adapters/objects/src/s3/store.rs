//! A bucket that is open, as objects and results use it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::ports::system::IdGenerator;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion,
};

use super::config::S3Config;
use super::error::{S3OpenError, if_there};
use super::keys::{Keys, too_long};

/// Keys in one answer of a listing: as many as servers give.
const PAGE: usize = 1_000;

/// A bucket, open. It was written to and read from.
#[derive(Clone)]
pub struct S3Store(pub(super) Arc<Store>);

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Store")
    }
}

/// What is known of the bucket.
pub(crate) struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(super) pages: Arc<dyn PaginatedListStore>,
    /// Makes addresses that need no key; none where that isn't a server of its own.
    pub(super) signer: Option<Arc<dyn Signer>>,
    pub(super) bucket: String,
    pub(super) keys: Keys,
    /// Whether keys are listed by their bytes, and from a key on. S3 does, not every server that speaks like it.
    pub(super) ordered: bool,
    /// Whether a key is put on the condition that nobody else did meanwhile. S3 does, not every server that speaks like
    /// it; without it, only one of our servers may change objects.
    pub(super) conditional: bool,
}

impl S3Store {
    /// Opens the bucket and proves it: writes, lists, reads and deletes objects in it.
    pub async fn open(config: &S3Config, ids: &dyn IdGenerator) -> Result<Self, S3OpenError> {
        let client = Arc::new(config.client().map_err(|_| S3OpenError::Settings)?);
        let mut store = Store {
            objects: Arc::clone(&client) as _,
            pages: Arc::clone(&client) as _,
            signer: Some(client),
            bucket: config.bucket.clone(),
            keys: Keys::new(&config.prefix),
            ordered: false,
            conditional: false,
        };
        store.prove(&ids.next_id().simple().to_string()).await?;
        Ok(Self(Arc::new(store)))
    }

    /// A bucket that is only used once something is kept in it. Nothing depends on what such a server can't do.
    pub(crate) fn unproven(config: &S3Config) -> Result<Arc<Store>, S3OpenError> {
        let client = Arc::new(config.client().map_err(|_| S3OpenError::Settings)?);
        Ok(Arc::new(Store {
            objects: Arc::clone(&client) as _,
            pages: client,
            signer: None,
            bucket: config.bucket.clone(),
            keys: Keys::new(&config.prefix),
            ordered: false,
            conditional: false,
        }))
    }

    /// The bucket itself.
    pub fn client(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.0.objects)
    }
}

/// One key of a listing, and its beginning with slashes where keys are taken together.
pub(super) struct Page {
    pub(super) objects: Vec<ObjectMeta>,
    pub(super) next: Option<String>,
}

/// How a key was found.
pub(super) enum Found {
    Absent,
    /// With this tag of the server.
    Tagged(String),
    /// With nothing to tell it by.
    Untagged,
}

impl Store {
    async fn prove(&mut self, id: &str) -> Result<(), S3OpenError> {
        let folder = self.keys.probe(id);
        // By their bytes they come in this order; walked by folders, in the other.
        let keys = ["a-b", "a/c"].map(|name| Path::parse(format!("{folder}{name}")));
        let [Ok(first), Ok(second)] = keys else { return Err(S3OpenError::Settings) };
        let told = |error| S3OpenError::of(&error, &self.bucket);
        for key in [&first, &second] {
            self.objects.put(key, id.to_owned().into()).await.map_err(told)?;
        }
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let again = self.objects.put_opts(&second, Vec::new().into(), create).await;
        self.conditional = matches!(again, Err(object_store::Error::AlreadyExists { .. }));
        if again.is_ok() {
            self.objects.put(&second, id.to_owned().into()).await.map_err(told)?;
        }
        if !self.conditional {
            tracing::warn!("the S3 storage doesn't know conditional puts: only one server may change what is in it");
        }
        let read = self.objects.get(&second).await.map_err(told)?.bytes().await.map_err(told)?;
        let all = self.page(&folder, None, None).await.map_err(told)?.objects;
        let rest = self.page(&folder, Some(first.as_ref()), None).await.map_err(told)?.objects;
        for key in [&first, &second] {
            self.objects.delete(key).await.map_err(told)?;
        }
        let is = |listed: &[ObjectMeta], keys: &[&Path]| listed.iter().map(|object| &object.location).eq(keys.to_vec());
        if read != id.as_bytes() || all.len() != 2 {
            return Err(S3OpenError::Forgetful);
        }
        self.ordered = is(&all, &[&first, &second]) && is(&rest, &[&second]);
        Ok(())
    }

    /// Some of the keys that begin so: after this one, if that is told, or from where the page before ended.
    pub(super) async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        token: Option<String>,
    ) -> object_store::Result<Page> {
        let options = PaginatedListOptions {
            offset: after.map(str::to_owned),
            max_keys: Some(PAGE),
            page_token: token,
            ..PaginatedListOptions::default()
        };
        let found = self.pages.list_paginated(Some(prefix), options).await?;
        Ok(Page { objects: found.result.objects, next: found.page_token })
    }

    /// How a key is put on the condition that it is as it was found.
    pub(super) fn as_found(&self, found: Found) -> PutMode {
        match found {
            Found::Absent if self.conditional => PutMode::Create,
            Found::Tagged(tag) if self.conditional => {
                PutMode::Update(UpdateVersion { e_tag: Some(tag), version: None })
            }
            _ => PutMode::Overwrite,
        }
    }

    /// Shows all keys that begin so, in no order.
    pub(crate) async fn each(&self, prefix: &str, mut show: impl FnMut(ObjectMeta)) -> object_store::Result<()> {
        let mut token = None;
        loop {
            let page = self.page(prefix, None, token).await?;
            page.objects.into_iter().for_each(&mut show);
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether any key begins so.
    pub(super) async fn any(&self, prefix: &str) -> object_store::Result<bool> {
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let found = self.pages.list_paginated(Some(prefix), options).await?;
        Ok(!found.result.objects.is_empty())
    }

    /// Deletes all keys that begin so; answers how many bytes were under them.
    pub(super) async fn delete_all(&self, prefix: &str) -> object_store::Result<u64> {
        let mut bytes = 0;
        loop {
            let found = self.page(prefix, None, None).await?.objects;
            if found.is_empty() {
                return Ok(bytes);
            }
            bytes += found.iter().map(|object| object.size).sum::<u64>();
            let keys: Vec<_> = found.into_iter().map(|object| Ok(object.location)).collect();
            let deleted = self.objects.delete_stream(futures_util::stream::iter(keys).boxed());
            deleted.try_for_each(|_| std::future::ready(Ok(()))).await?;
        }
    }

    /// Deletes a key that may not be there.
    pub(crate) async fn delete(&self, key: &Path) -> object_store::Result<()> {
        if_there(self.objects.delete(key).await).map(drop)
    }

    /// What is under a key, without its bytes.
    pub(super) async fn head(&self, key: &Path) -> object_store::Result<Option<GetResult>> {
        if too_long(key) {
            return Ok(None);
        }
        if_there(self.objects.get_opts(key, GetOptions { head: true, ..GetOptions::default() }).await)
    }
}

/// Does something to its end, also when nobody waits for it any more: what is asked of the server half-way would be done
/// at some later time, in the turn of someone else.
pub(super) async fn to_the_end<T: Send + 'static, E: Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
    failed: impl FnOnce(tokio::task::JoinError) -> E,
) -> Result<T, E> {
    tokio::spawn(work).await.map_err(failed)?
}
