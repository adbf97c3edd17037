//! Bytes on their way into the bucket: few in one request, many in parts. Whatever their number, few are in memory.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use gadwall_domain::ports::objects::{Content, ContentError, ObjectError};
use object_store::path::Path;
use object_store::{Attributes, MultipartUpload, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload};
use tokio::task::JoinSet;

use super::error::failed;
use super::store::Store;
use crate::error::fault;

/// Bytes in a part, which are all but the last equally long, and in one request.
pub(super) const PART: usize = 8 * 1024 * 1024;
/// Parts that are sent at once, beside the one that is gathered.
const IN_FLIGHT: usize = 2;
/// Most parts of an object: what S3 allows.
const MAX_PARTS: usize = 10_000;

/// Bytes that are there, but not under their key yet.
pub(crate) enum Received {
    /// All of them, in memory.
    Whole(Bytes),
    /// At the server.
    Parts(Parts),
}

/// An upload in parts. Given up when dropped before it is completed.
pub(crate) struct Parts {
    upload: Option<Box<dyn MultipartUpload>>,
    sending: JoinSet<object_store::Result<()>>,
    count: usize,
    size: u64,
}

impl Received {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Parts(parts) => parts.size,
        }
    }

    /// Takes content to its end.
    pub(crate) async fn take(
        store: &Store,
        key: &Path,
        attributes: &Attributes,
        mut content: Content,
    ) -> Result<Self, ObjectError> {
        let mut gathered = BytesMut::new();
        let mut parts = None;
        while let Some(chunk) = content.next().await {
            let mut chunk = chunk?;
            // A part goes when there is more than it holds, so that what fits into one is sent as a whole.
            while gathered.len() + chunk.len() > PART {
                let fits = chunk.split_to(PART - gathered.len());
                gathered.extend_from_slice(&fits);
                let part = std::mem::replace(&mut gathered, BytesMut::with_capacity(PART)).freeze();
                let begun = match parts.take() {
                    Some(parts) => parts,
                    None => Parts::begin(&*store.objects, key, attributes.clone()).await?,
                };
                parts.insert(begun).send(part).await?;
            }
            gathered.extend_from_slice(&chunk);
        }
        let Some(mut parts) = parts else { return Ok(Self::Whole(gathered.freeze())) };
        parts.send(gathered.freeze()).await?;
        parts.all_sent().await?;
        Ok(Self::Parts(parts))
    }

    /// Puts the bytes under their key, in place of what is there. What was sent in parts knows no condition.
    pub(crate) async fn place(
        self,
        store: &Store,
        key: &Path,
        attributes: Attributes,
        mode: PutMode,
    ) -> Result<(), ObjectError> {
        let placed = match self {
            Self::Whole(bytes) => {
                let options = PutOptions { attributes, mode, ..PutOptions::default() };
                store.objects.put_opts(key, bytes.into(), options).await
            }
            Self::Parts(mut parts) => {
                let Some(upload) = &mut parts.upload else { return Err(fault("an upload that is over")) };
                let completed = upload.complete().await;
                if completed.is_ok() {
                    parts.upload = None;
                }
                completed
            }
        };
        placed.map(drop).map_err(|error| match error {
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
                ObjectError::PreconditionFailed
            }
            error => failed(&error),
        })
    }
}

impl Parts {
    async fn begin(store: &dyn ObjectStore, key: &Path, attributes: Attributes) -> Result<Self, ObjectError> {
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let upload = store.put_multipart_opts(key, options).await.map_err(|error| failed(&error))?;
        Ok(Self { upload: Some(upload), sending: JoinSet::new(), count: 0, size: 0 })
    }

    /// Sends a part once there is room among those on their way.
    async fn send(&mut self, part: Bytes) -> Result<(), ObjectError> {
        if self.count == MAX_PARTS {
            return Err(ContentError::TooLarge { limit: (MAX_PARTS * PART) as u64 }.into());
        }
        while self.sending.len() >= IN_FLIGHT {
            self.one_sent().await?;
        }
        let Some(upload) = &mut self.upload else { return Err(fault("an upload that is over")) };
        self.count += 1;
        self.size += part.len() as u64;
        self.sending.spawn(upload.put_part(PutPayload::from(part)));
        Ok(())
    }

    async fn one_sent(&mut self) -> Result<(), ObjectError> {
        match self.sending.join_next().await {
            Some(sent) => sent.map_err(fault)?.map_err(|error| failed(&error)),
            None => Ok(()),
        }
    }

    async fn all_sent(&mut self) -> Result<(), ObjectError> {
        while !self.sending.is_empty() {
            self.one_sent().await?;
        }
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let mut sending = std::mem::take(&mut self.sending);
        let give_up = async move {
            // A part that arrives later would stay behind.
            sending.shutdown().await;
            if let Err(error) = upload.abort().await {
                tracing::warn!(error = %super::error::Fault::of(&error), "an unfinished upload was not given up");
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(give_up);
        }
    }
}
