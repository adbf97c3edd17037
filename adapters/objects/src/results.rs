//! Results of queries, in local files.
//!
//! A result lies at `{root}/{lake}/{query}.arrow`, its note beside it as `{query}.json`. Both are written under
//! another name and renamed when they are whole.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use gadwall_domain::ids::{LakeId, QueryId};
use gadwall_domain::ports::results::{ResultError, ResultNote, ResultStore};
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_formats::spool::{SpoolError, SpoolReader, SpoolWriter};

use crate::error::OpenError;
use crate::folder::bytes_below;
use crate::lake_name;
use crate::room::Room;

/// Extensions of results, of notes, and of either while it is written.
const ROWS: &str = "arrow";
const NOTE: &str = "json";
const PART: &str = "part";
/// Bytes gathered before they are written, and read at once.
const BUFFER: usize = 256 * 1024;

/// Results in a folder.
pub struct LocalResults {
    inner: Arc<Inner>,
}

/// What the blocking half needs.
struct Inner {
    root: PathBuf,
    room: Room,
}

impl fmt::Debug for LocalResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalResults")
    }
}

impl LocalResults {
    /// Opens a folder that nobody else writes to, and removes what an earlier life of the process left unfinished.
    /// Blocks.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        let inner = Inner { root: root.to_owned(), room: Room::default() };
        inner.take_stock().map_err(|source| OpenError { path: root.to_owned(), source })?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Does what blocks on a thread that may.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, ResultError> + Send + 'static,
    ) -> Result<T, ResultError> {
        let inner = Arc::clone(&self.inner);
        aside(move || work(&inner)).await
    }
}

pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ResultError> + Send + 'static,
) -> Result<T, ResultError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ResultError::Fault(error.into()))?
}

fn failed(error: io::Error) -> ResultError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ResultError::StorageFull,
        _ => ResultError::Fault(error.into()),
    }
}

/// `None` where nothing is there.
fn if_there<T>(result: io::Result<T>) -> Result<Option<T>, ResultError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn read_note(path: &Path) -> Result<Option<ResultNote>, ResultError> {
    let Some(text) = if_there(fs::read(path))? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| ResultError::Fault(error.into()))
}

impl Inner {
    fn path(&self, lake: LakeId, query: QueryId, extension: &str) -> PathBuf {
        self.root.join(lake_name(lake)).join(format!("{query}.{extension}"))
    }

    /// Counts what is there, and removes what nobody will ask for.
    fn take_stock(&self) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        for (folder, files) in self.files()? {
            for file in files {
                let is = |wanted: &str| file.extension() == Some(OsStr::new(wanted));
                if is(PART) || (is(ROWS) && !file.with_extension(NOTE).exists()) {
                    fs::remove_file(&file)?;
                } else if is(ROWS) {
                    self.room.take(&folder, fs::metadata(&file)?.len(), u64::MAX);
                }
            }
        }
        Ok(())
    }

    /// All files, by the names of their folders.
    fn files(&self) -> io::Result<Vec<(String, Vec<PathBuf>)>> {
        let mut found = Vec::new();
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            let Ok(name) = folder.file_name().into_string() else { continue };
            let files = match fs::read_dir(folder.path()) {
                Ok(files) => files.map(|file| Ok(file?.path())).collect::<io::Result<_>>()?,
                // Its project was deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.push((name, files));
        }
        Ok(found)
    }

    /// Every note that can be read; one that can't is removed, since nobody can be told of it.
    fn notes(&self) -> Result<Vec<ResultNote>, ResultError> {
        let mut notes = Vec::new();
        for (_, files) in self.files().map_err(failed)? {
            for file in files.iter().filter(|file| file.extension() == Some(OsStr::new(NOTE))) {
                match read_note(file) {
                    Ok(note) => notes.extend(note),
                    Err(error) => {
                        tracing::warn!(error = ?error, file = %file.display(), "a result's note was unreadable");
                        if_there(fs::remove_file(file))?;
                    }
                }
            }
        }
        Ok(notes)
    }

    fn keep_note(&self, note: &ResultNote) -> Result<(), ResultError> {
        let path = self.path(note.lake, note.query.id, NOTE);
        let text = serde_json::to_vec(note).map_err(|error| ResultError::Fault(error.into()))?;
        let part = path.with_extension(format!("{NOTE}.{PART}"));
        let written = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = File::create(&part)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        written().map_err(failed)
    }

    fn delete(&self, lake: LakeId, query: QueryId) -> Result<bool, ResultError> {
        // The rows first: rows without a note would be found only at the next start.
        let rows = self.path(lake, query, ROWS);
        if let Some(about) = if_there(fs::metadata(&rows))?
            && if_there(fs::remove_file(&rows))?.is_some()
        {
            self.room.give_back(&lake_name(lake), about.len());
        }
        Ok(if_there(fs::remove_file(self.path(lake, query, NOTE)))?.is_some())
    }
}

/// A file that grows within the room of its lake. Removed when dropped before it is in its place.
struct Part {
    inner: Arc<Inner>,
    folder: String,
    path: PathBuf,
    file: File,
    limit: u64,
    written: u64,
    full: bool,
    placed: bool,
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = bytes.len() as u64;
        if !self.inner.room.take(&self.folder, more, self.limit) {
            self.full = true;
            return Err(io::Error::other("the room of the project's results is used up"));
        }
        self.written += more;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        self.inner.room.give_back(&self.folder, self.written);
        if let Err(error) = if_there(fs::remove_file(&self.path)) {
            tracing::warn!(error = ?error, "an unfinished result was not removed");
        }
    }
}

/// A result while it is written.
struct Writing(SpoolWriter<BufWriter<Shared>>, Shared);

/// The file, for its writer and for who wants to know how it fares.
#[derive(Clone)]
struct Shared(Arc<Mutex<Part>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Part> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, error: SpoolError) -> ResultError {
        let part = self.lock();
        match error {
            _ if part.full => ResultError::LimitReached { limit: part.limit },
            SpoolError::IoError(_, error) => failed(error),
            error => ResultError::Fault(error.into()),
        }
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

impl Writing {
    fn begin(
        inner: &Arc<Inner>,
        lake: LakeId,
        query: QueryId,
        limit: u64,
        schema: &SchemaRef,
    ) -> Result<Self, ResultError> {
        let path = inner.path(lake, query, ROWS).with_extension(format!("{ROWS}.{PART}"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::create(&path).map_err(failed)?;
        let (inner, folder) = (Arc::clone(inner), lake_name(lake));
        let part = Part { inner, folder, path, file, limit, written: 0, full: false, placed: false };
        let shared = Shared(Arc::new(Mutex::new(part)));
        let out = BufWriter::with_capacity(BUFFER, shared.clone());
        let writer = SpoolWriter::new(out, schema).map_err(|error| shared.told(error))?;
        Ok(Self(writer, shared))
    }

    fn push(mut self, batch: &RecordBatch) -> Result<Self, ResultError> {
        self.0.push(batch).map_err(|error| self.1.told(error))?;
        Ok(self)
    }

    fn place(self, path: &Path) -> Result<(), ResultError> {
        let Self(writer, shared) = self;
        let mut out = writer.finish().map_err(|error| shared.told(error))?;
        out.flush().map_err(|error| shared.told(SpoolError::from(error)))?;
        let mut part = shared.lock();
        part.file.sync_all().and_then(|()| fs::rename(&part.path, path)).map_err(failed)?;
        part.placed = true;
        Ok(())
    }
}

/// The rows of a result, each batch read on a thread that may block.
pub(crate) fn rows<R: Read + Send + 'static>(reader: SpoolReader<R>) -> RowStream {
    let schema = reader.schema();
    let batches = futures_util::stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let broken = |reason: String| Some((Err(QueryError::Engine(reason)), None));
        match tokio::task::spawn_blocking(move || (reader.next(), reader)).await {
            Ok((Some(Ok(batch)), reader)) => Some((Ok(batch), Some(reader))),
            Ok((Some(Err(error)), _)) => broken(error.to_string()),
            Ok((None, _)) => None,
            Err(error) => broken(error.to_string()),
        }
    });
    RowStream { schema, batches: Box::pin(batches) }
}

#[async_trait]
impl ResultStore for LocalResults {
    async fn keep_note(&self, note: &ResultNote) -> Result<(), ResultError> {
        let note = note.clone();
        self.run(move |inner| inner.keep_note(&note)).await
    }

    async fn note(&self, lake: LakeId, query: QueryId) -> Result<Option<ResultNote>, ResultError> {
        self.run(move |inner| read_note(&inner.path(lake, query, NOTE))).await
    }

    async fn put(&self, lake: LakeId, query: QueryId, mut rows: RowStream, limit: u64) -> Result<(), ResultError> {
        let schema = Arc::clone(&rows.schema);
        let mut writing = self.run(move |inner| Writing::begin(inner, lake, query, limit, &schema)).await?;
        while let Some(batch) = rows.batches.next().await {
            let batch = batch?;
            writing = aside(move || writing.push(&batch)).await?;
        }
        let path = self.inner.path(lake, query, ROWS);
        aside(move || writing.place(&path)).await
    }

    async fn open(&self, lake: LakeId, query: QueryId) -> Result<Option<RowStream>, ResultError> {
        let opened = self.run(move |inner| {
            let Some(file) = if_there(File::open(inner.path(lake, query, ROWS)))? else { return Ok(None) };
            let reader = SpoolReader::new(BufReader::with_capacity(BUFFER, file));
            reader.map(Some).map_err(|error| ResultError::Fault(error.into()))
        });
        let Some(reader) = opened.await? else { return Ok(None) };
        Ok(Some(rows(reader)))
    }

    async fn delete(&self, lake: LakeId, query: QueryId) -> Result<bool, ResultError> {
        self.run(move |inner| inner.delete(lake, query)).await
    }

    async fn size(&self, lake: LakeId) -> Result<Option<u64>, ResultError> {
        Ok(Some(self.inner.room.of(&lake_name(lake))))
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ResultError> {
        self.run(move |inner| {
            let folder = inner.root.join(lake_name(lake));
            let bytes = bytes_below(&folder);
            if_there(fs::remove_dir_all(folder))?;
            inner.room.clear(&lake_name(lake));
            Ok(bytes)
        })
        .await
    }

    async fn unfinished(&self) -> Result<Vec<ResultNote>, ResultError> {
        let notes = self.run(|inner| inner.notes()).await?;
        Ok(notes.into_iter().filter(|note| !note.query.state.is_final()).collect())
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, ResultError> {
        self.run(move |inner| {
            let mut swept = 0;
            for note in inner.notes()? {
                if note.query.finished_at.is_some_and(|ended| ended < before) {
                    swept += u64::from(inner.delete(note.lake, note.query.id)?);
                }
            }
            Ok(swept)
        })
        .await
    }
}
