//! Results of queries, in a bucket.
//!
//! A result has the key `{prefix}/.results/{lake}/{query}.arrow`, its note the same with `.json`. A result becomes
//! visible when all of it is there.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::dataset::ObjectName;
use gadwall_domain::ids::{LakeId, QueryId};
use gadwall_domain::ports::objects::{Content, ContentError, ObjectError, OpenObject as _};
use gadwall_domain::ports::results::{ResultError, ResultNote, ResultStore};
use gadwall_domain::rows::RowStream;
use gadwall_formats::spool::{SpoolReader, SpoolWriter};
use object_store::path::Path;
use object_store::{Attributes, ObjectMeta, ObjectStoreExt as _, PutMode};
use tokio::sync::Semaphore;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::error::{if_there, result_failed};
use super::keys::key;
use super::read::OpenVersion;
use super::store::{S3Store, Store, to_the_end};
use super::upload::Received;
use crate::lake_name;
use crate::results::aside;
use crate::room::Room;

/// Endings of results and of notes.
const ROWS: &str = ".arrow";
const NOTE: &str = ".json";
/// Notes that are read at once.
const LOOKS: usize = 16;

/// Results in a bucket.
pub struct S3Results {
    store: Arc<Store>,
    room: Arc<Room>,
    /// One deletes at a time: room is given back once.
    deleting: Arc<Semaphore>,
}

impl fmt::Debug for S3Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Results")
    }
}

fn fault(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ResultError {
    ResultError::Fault(error.into())
}

fn told(error: ObjectError) -> ResultError {
    match error {
        ObjectError::StorageFull(_) => ResultError::StorageFull,
        ObjectError::Unavailable(cause) => ResultError::Unavailable(cause),
        other => fault(other),
    }
}

impl S3Results {
    /// Counts what is there, and removes what nobody will ask for. Nobody but servers of one
    /// deployment may write there.
    pub async fn open(store: &S3Store) -> Result<Self, ResultError> {
        let results = Self {
            store: Arc::clone(&store.0),
            room: Arc::new(Room::default()),
            deleting: Arc::new(Semaphore::new(1)),
        };
        let all = results.keys().await?;
        results.count(&all);
        let notes: HashSet<&str> =
            all.iter().filter_map(|object| object.location.as_ref().strip_suffix(NOTE)).collect();
        let folder = results.store.keys.results();
        for object in &all {
            let Some(rows) = object.location.as_ref().strip_suffix(ROWS) else { continue };
            if notes.contains(rows) {
                continue;
            }
            results.store.delete(&object.location).await.map_err(|error| result_failed(&error))?;
            if let Some((lake, _)) = rows.strip_prefix(&folder).and_then(|rows| rows.split_once('/')) {
                results.room.give_back(lake, object.size);
            }
        }
        Ok(results)
    }

    /// Takes the room of all results that are there, whoever put them. What is on its way to the bucket counts when it is
    /// looked at next.
    fn count(&self, all: &[ObjectMeta]) {
        let folder = self.store.keys.results();
        let mut used = HashMap::new();
        for object in all {
            let rows = object.location.as_ref().strip_prefix(&folder).filter(|key| key.ends_with(ROWS));
            if let Some((lake, _)) = rows.and_then(|rows| rows.split_once('/')) {
                *used.entry(lake.to_owned()).or_default() += object.size;
            }
        }
        self.room.count_again(used);
    }

    fn key(&self, lake: LakeId, query: QueryId, ending: &str) -> Result<Path, ResultError> {
        key(&format!("{}{query}{ending}", self.store.keys.results_of(lake))).map_err(told)
    }

    async fn keys(&self) -> Result<Vec<ObjectMeta>, ResultError> {
        let mut found = Vec::new();
        let listed = self.store.each(&self.store.keys.results(), |object| found.push(object)).await;
        listed.map(|()| found).map_err(|error| result_failed(&error))
    }

    async fn read_note(&self, key: &Path) -> Result<Option<Bytes>, ResultError> {
        let read = async {
            let Some(got) = if_there(self.store.objects.get(key).await)? else { return Ok(None) };
            got.bytes().await.map(Some)
        };
        read.await.map_err(|error| result_failed(&error))
    }

    /// Every note that can be read; one that can't is removed, since nobody can be told of it.
    async fn notes(&self) -> Result<Vec<ResultNote>, ResultError> {
        let keys = self.keys().await?.into_iter().map(|object| object.location);
        let keys = keys.filter(|key| key.as_ref().ends_with(NOTE));
        let notes = futures_util::stream::iter(keys).map(|key| async move {
            let Some(text) = self.read_note(&key).await? else { return Ok::<_, ResultError>(None) };
            match serde_json::from_slice::<ResultNote>(&text) {
                Ok(note) => Ok(Some(note)),
                Err(error) => {
                    tracing::warn!(error = %error, "a result's note was unreadable");
                    self.store.delete(&key).await.map_err(|error| result_failed(&error))?;
                    Ok(None)
                }
            }
        });
        let notes: Vec<_> = notes.buffer_unordered(LOOKS).try_collect().await?;
        Ok(notes.into_iter().flatten().collect())
    }
}

/// Room that was taken for a result. Given back when dropped before the result is there.
struct Held {
    room: Arc<Room>,
    folder: String,
    limit: u64,
    bytes: u64,
}

impl Held {
    fn more(&mut self, bytes: u64) -> Result<(), ResultError> {
        if !self.room.take(&self.folder, bytes, self.limit) {
            return Err(ResultError::LimitReached { limit: self.limit });
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.give_back(&self.folder, self.bytes);
    }
}

/// What is written and not sent yet, for the writer and for who sends it.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<u8>>>);

impl Outbox {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl io::Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A result on its way, a batch at a time.
struct Writing {
    rows: RowStream,
    /// None once its end is written.
    writer: Option<SpoolWriter<Outbox>>,
    outbox: Outbox,
    held: Arc<Mutex<Held>>,
}

impl Writing {
    fn begin(rows: RowStream, held: Arc<Mutex<Held>>) -> Result<Self, ResultError> {
        let outbox = Outbox::default();
        let writer = SpoolWriter::new(outbox.clone(), &rows.schema).map_err(fault)?;
        Ok(Self { rows, writer: Some(writer), outbox, held })
    }

    /// The bytes of the next batch; none after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, ResultError> {
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let batch: Option<RecordBatch> = self.rows.batches.next().await.transpose()?;
        self.writer = aside(move || write(writer, batch.as_ref())).await?;
        let bytes = self.outbox.take();
        self.held.lock().unwrap_or_else(PoisonError::into_inner).more(bytes.len() as u64)?;
        Ok(Some(bytes))
    }
}

/// Writes a batch, or the end.
fn write(
    mut writer: SpoolWriter<Outbox>,
    batch: Option<&RecordBatch>,
) -> Result<Option<SpoolWriter<Outbox>>, ResultError> {
    match batch {
        Some(batch) => writer.push(batch).map(|()| Some(writer)).map_err(fault),
        None => writer.finish().map(|_| None).map_err(fault),
    }
}

/// The bytes of a result as content; why they end early goes into the other half.
fn content(writing: Writing) -> (Content, Arc<Mutex<Option<ResultError>>>) {
    let why = Arc::new(Mutex::new(None));
    let failure = Arc::clone(&why);
    let bytes = futures_util::stream::unfold(Some(writing), move |writing| {
        let failure = Arc::clone(&failure);
        async move {
            let mut writing = writing?;
            match writing.next().await {
                Ok(None) => None,
                Ok(Some(bytes)) => Some((Ok(bytes), Some(writing))),
                Err(error) => {
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Some((Err(ContentError::Interrupted), None))
                }
            }
        }
    });
    (Box::pin(bytes), why)
}

#[async_trait]
impl ResultStore for S3Results {
    async fn keep_note(&self, note: &ResultNote) -> Result<(), ResultError> {
        let key = self.key(note.lake, note.query.id, NOTE)?;
        let text = serde_json::to_vec(note).map_err(fault)?;
        let store = Arc::clone(&self.store);
        let kept = async move { store.objects.put(&key, text.into()).await.map_err(|error| result_failed(&error)) };
        to_the_end(kept, fault).await.map(drop)
    }

    async fn note(&self, lake: LakeId, query: QueryId) -> Result<Option<ResultNote>, ResultError> {
        let text = self.read_note(&self.key(lake, query, NOTE)?).await?;
        text.map(|text| serde_json::from_slice(&text).map_err(fault)).transpose()
    }

    async fn put(&self, lake: LakeId, query: QueryId, rows: RowStream, limit: u64) -> Result<(), ResultError> {
        let key = self.key(lake, query, ROWS)?;
        let held = Held { room: Arc::clone(&self.room), folder: lake_name(lake), limit, bytes: 0 };
        let held = Arc::new(Mutex::new(held));
        let (content, why) = content(Writing::begin(rows, Arc::clone(&held))?);
        let received = match Received::take(&self.store, &key, &Attributes::new(), content).await {
            Ok(received) => received,
            Err(error) => {
                let failure = why.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(failure.unwrap_or_else(|| told(error)));
            }
        };
        let store = Arc::clone(&self.store);
        let placed = async move { received.place(&store, &key, Attributes::new(), PutMode::Overwrite).await };
        to_the_end(placed, crate::error::fault).await.map_err(told)?;
        // From here on the room is the result's.
        held.lock().unwrap_or_else(PoisonError::into_inner).bytes = 0;
        Ok(())
    }

    async fn open(&self, lake: LakeId, query: QueryId) -> Result<Option<RowStream>, ResultError> {
        let key = self.key(lake, query, ROWS)?;
        let name = ObjectName::parse(&format!("{query}{ROWS}")).map_err(fault)?;
        let opened = OpenVersion::open(Arc::clone(&self.store), key, name).await.map_err(told)?;
        let Some(opened) = opened else { return Ok(None) };
        let size = opened.info().size;
        let bytes = Box::new(opened).read(0..size).await.map_err(told)?;
        // Reads on threads that may block, which ask the runtime for more.
        let bridge = SyncIoBridge::new(StreamReader::new(bytes.map_err(io::Error::other)));
        let reader = aside(move || SpoolReader::new(bridge).map_err(fault)).await?;
        Ok(Some(crate::results::rows(reader)))
    }

    async fn delete(&self, lake: LakeId, query: QueryId) -> Result<bool, ResultError> {
        let (rows, note) = (self.key(lake, query, ROWS)?, self.key(lake, query, NOTE)?);
        let (store, room, deleting) = (Arc::clone(&self.store), Arc::clone(&self.room), Arc::clone(&self.deleting));
        let work = async move {
            let _turn = deleting.acquire_owned().await.map_err(fault)?;
            let delete = async {
                // The rows first: rows without a note would be found only at the next start.
                if let Some(found) = store.head(&rows).await? {
                    store.delete(&rows).await?;
                    room.give_back(&lake_name(lake), found.meta.size);
                }
                let there = store.head(&note).await?.is_some();
                if there {
                    store.delete(&note).await?;
                }
                Ok(there)
            };
            delete.await.map_err(|error: object_store::Error| result_failed(&error))
        };
        to_the_end(work, fault).await
    }

    async fn size(&self, lake: LakeId) -> Result<Option<u64>, ResultError> {
        Ok(Some(self.room.of(&lake_name(lake))))
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ResultError> {
        let removed = self.store.delete_all(&self.store.keys.results_of(lake)).await;
        let bytes = removed.map_err(|error| result_failed(&error))?;
        self.room.clear(&lake_name(lake));
        Ok(bytes)
    }

    async fn unfinished(&self) -> Result<Vec<ResultNote>, ResultError> {
        Ok(self.notes().await?.into_iter().filter(|note| !note.query.state.is_final()).collect())
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, ResultError> {
        let mut swept = 0;
        for note in self.notes().await? {
            if note.query.finished_at.is_some_and(|ended| ended < before) {
                swept += u64::from(self.delete(note.lake, note.query.id).await?);
            }
        }
        // Other servers put and delete results, too.
        self.count(&self.keys().await?);
        Ok(swept)
    }
}
