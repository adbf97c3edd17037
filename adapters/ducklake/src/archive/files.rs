//! Bytes of files, read and written as they come.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::ports::backup::ArchiveError;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::ports::objects::{Content, ContentError};
use object_store::ObjectStoreExt as _;
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Spooled;
use crate::config::S3Place;
use crate::error::{fault, io_error};

/// Parts in which files are read and sent.
const PART: usize = 8 << 20;
/// Bytes of a local file that are read at once.
const CHUNK: usize = 1 << 20;
/// Longest wait for the next part to go or come.
const LIMIT: Duration = Duration::from_mins(2);

/// A local file's bytes; what keeps it there is let go at their end.
pub(super) async fn read(path: &Path, keeps: Option<Arc<Spooled>>) -> Result<Content, ArchiveError> {
    let file = File::open(path).await.map_err(io_error)?;
    let next = |(mut file, keeps): (File, Option<Arc<Spooled>>)| async move {
        let mut chunk = vec![0; CHUNK];
        let mut filled = 0;
        while let Some(rest) = chunk.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest).await.map_err(|error| ContentError::Fault(Box::new(error)))? {
                0 => break,
                read => filled += read,
            }
        }
        chunk.truncate(filled);
        Ok((filled > 0).then(|| (Bytes::from(chunk), (file, keeps))))
    };
    Ok(Box::pin(futures_util::stream::try_unfold((file, keeps), next)))
}

/// Writes a local file, to stay. Until it is whole it has another name.
pub(super) async fn write(path: &Path, mut content: Content) -> Result<(), ArchiveError> {
    let folder = path.parent().ok_or_else(|| fault("a file without a folder"))?;
    tokio::fs::create_dir_all(folder).await.map_err(io_error)?;
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(".unfinished");
    let mut file = File::create(&unfinished).await.map_err(io_error)?;
    while let Some(part) = content.next().await {
        file.write_all(&part?).await.map_err(io_error)?;
    }
    file.sync_all().await.map_err(io_error)?;
    Ok(tokio::fs::rename(&unfinished, path).await.map_err(io_error)?)
}

/// An object's bytes.
pub(super) async fn get(place: &S3Place, path: &Path) -> Result<Content, ArchiveError> {
    let key = key(place, path)?;
    let got = within(async { Ok(place.store.get(&key).await?) }).await.map_err(away)?;
    let broke = |error: object_store::Error| ContentError::Fault(Box::new(error));
    Ok(Box::pin(got.into_stream().map_err(broke)))
}

/// Puts an object.
pub(super) async fn send(place: &S3Place, path: &Path, mut content: Content) -> Result<(), ArchiveError> {
    let mut object = BufWriter::with_capacity(Arc::clone(&place.store), key(place, path)?, PART);
    let sent = async {
        while let Some(part) = content.next().await {
            within(object.write_all(&part?)).await.map_err(away)?;
        }
        within(object.shutdown()).await.map_err(away)
    };
    let sent: Result<(), ArchiveError> = sent.await;
    if sent.is_err() {
        // Nothing of it shows, but what was sent would lie there for good.
        let _ = within(async { Ok(object.abort().await?) }).await;
    }
    sent
}

fn key(place: &S3Place, path: &Path) -> Result<Key, ArchiveError> {
    let inside = path.strip_prefix(Path::new("s3://").join(&place.bucket)).map_err(|_| ArchiveError::Elsewhere)?;
    Ok(Key::parse(inside.to_string_lossy()).map_err(|_| fault("a file has a name that no object can have"))?)
}

fn away(error: io::Error) -> ArchiveError {
    LakeError::Unavailable(Box::new(error)).into()
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(LIMIT, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
