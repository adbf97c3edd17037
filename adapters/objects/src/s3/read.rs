//! What reads objects.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::dataset::{ObjectInfo, ObjectName};
use gadwall_domain::ports::objects::{Content, ContentError, ObjectError, OpenObject};
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use super::error::{broke_off, failed, if_there};
use super::keys::too_long;
use super::store::Store;
use super::version::Version;
use crate::error::fault;

/// Up to how many bytes an object is held in memory from when it is opened.
const SMALL: u64 = 256 * 1024;

/// An object that is open. What is read of it is of the version that was opened, or fails: the server keeps no version
/// that was replaced. A small one is read at once and stays; of a larger one the answer is on its way already.
pub(super) struct OpenVersion {
    store: Arc<Store>,
    key: Path,
    info: ObjectInfo,
    /// The server's own tag of these bytes.
    their_tag: Option<String>,
    bytes: Opened,
}

enum Opened {
    Held(Bytes),
    Coming(BoxStream<'static, object_store::Result<Bytes>>),
}

impl OpenVersion {
    /// Opens what is under the key, if anything is.
    pub(super) async fn open(store: Arc<Store>, key: Path, name: ObjectName) -> Result<Option<Self>, ObjectError> {
        if too_long(&key) {
            return Ok(None);
        }
        let got = if_there(store.objects.get_opts(&key, GetOptions::default()).await);
        let Some(got) = got.map_err(|error| failed(&error))? else { return Ok(None) };
        let version = Version::of(&name, &got.meta, &got.attributes)?;
        let info = version.info(name, got.meta.size);
        let their_tag = got.meta.e_tag.clone();
        let bytes = if info.size <= SMALL {
            Opened::Held(got.bytes().await.map_err(|error| failed(&error))?)
        } else {
            Opened::Coming(got.into_stream())
        };
        Ok(Some(Self { store, key, info, their_tag, bytes }))
    }
}

#[async_trait]
impl OpenObject for OpenVersion {
    fn info(&self) -> &ObjectInfo {
        &self.info
    }

    async fn read(self: Box<Self>, range: Range<u64>) -> Result<Content, ObjectError> {
        if range.start > range.end || range.end > self.info.size {
            return Err(fault("a range outside of the object"));
        }
        let length = range.end - range.start;
        let stream = match self.bytes {
            Opened::Held(bytes) => {
                let index = |at: u64| usize::try_from(at).map_err(fault);
                let bytes = bytes.slice(index(range.start)?..index(range.end)?);
                futures_util::stream::iter([Ok(bytes)]).boxed()
            }
            _ if length == 0 => futures_util::stream::empty().boxed(),
            Opened::Coming(stream) if length == self.info.size => stream,
            Opened::Coming(answer) => {
                drop(answer);
                let options = GetOptions {
                    range: Some(GetRange::Bounded(range)),
                    if_match: self.their_tag,
                    ..GetOptions::default()
                };
                let got = self.store.objects.get_opts(&self.key, options).await;
                got.map_err(|error| gone(&error))?.into_stream()
            }
        };
        Ok(exactly(length, stream))
    }
}

/// A version that was replaced or deleted can't be read any more.
fn gone(error: &object_store::Error) -> ObjectError {
    match error {
        object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. } => {
            fault("the object was replaced or deleted while it was read")
        }
        error => failed(error),
    }
}

/// So many bytes, or an error at the end.
fn exactly(length: u64, stream: BoxStream<'static, object_store::Result<Bytes>>) -> Content {
    let pieces = stream.map_err(|error| broke_off(&error));
    let state = Some((pieces, length));
    Box::pin(futures_util::stream::unfold(state, |state| async move {
        let (mut pieces, left) = state?;
        let odd = |text: &'static str| Some((Err(ContentError::Fault(text.into())), None));
        match pieces.next().await {
            None if left == 0 => None,
            None => odd("the server's answer is too short"),
            Some(Err(error)) => Some((Err(error), None)),
            Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
                Some(left) => Some((Ok(piece), Some((pieces, left)))),
                None => odd("the server's answer is too long"),
            },
        }
    }))
}
