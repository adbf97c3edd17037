//! Rows that come within a project's limits, or break off.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use gadwall_domain::history::Expected;
use gadwall_domain::ports::lake::{LakeWrite, LoadMode};
use gadwall_domain::project::Project;
use gadwall_domain::quota::{QuotaExceeded, QuotaKind};
use gadwall_domain::rows::{RowBatch, RowSource, RowsError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::Tables;
use crate::error::{UseCaseError, about_table};
use crate::quotas::Reservation;

/// About what a file takes beside its rows, and for each of its columns. Too much is better than too little: where it counts,
/// what is there is measured.
const FILE: u64 = 512;
const COLUMN: u64 = 256;

/// Rows on their way, and the room that they take.
pub(super) struct Bounded {
    pub(super) rows: RowSource,
    room: Arc<Mutex<Option<Reservation>>>,
}

/// The room of rows that are on their way.
pub(super) struct Room(Arc<Mutex<Option<Reservation>>>);

impl Bounded {
    pub(super) fn split(self) -> (RowSource, Room) {
        (self.rows, Room(self.room))
    }
}

impl Room {
    /// They are in the table, in files with so many columns.
    pub(super) fn keep(self, columns: usize) {
        let room = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(room) = room {
            room.keep_with(FILE.saturating_add(COLUMN.saturating_mul(columns as u64)));
        }
    }
}

/// What was seen of the rows so far.
struct Seen {
    rows: u64,
    bytes: u64,
    most_rows: Option<u64>,
}

impl Seen {
    fn add(&mut self, batch: &RowBatch, room: &Mutex<Option<Reservation>>) -> Result<(), QuotaExceeded> {
        self.rows = self.rows.saturating_add(batch.rows.num_rows() as u64);
        if let Some(limit) = self.most_rows.filter(|most| self.rows > *most) {
            let kind = QuotaKind::RowsPerAppend;
            return Err(QuotaExceeded { kind, limit, used: self.rows, retry_after: None });
        }
        // What the values take, not what room there was for them.
        let columns = batch.rows.columns().iter();
        let bytes: usize = columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum();
        self.bytes = self.bytes.saturating_add(bytes as u64);
        match &mut *room.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(room) => room.reach(self.bytes),
            None => Ok(()),
        }
    }
}

impl Tables {
    /// The same rows, which break off where the project may have no more.
    pub(super) async fn bounded(&self, project: &Project, rows: RowSource) -> Result<Bounded, UseCaseError> {
        if !self.is_bounded(project) {
            return Ok(Bounded { rows, room: Arc::default() });
        }
        let size = match &rows {
            RowSource::Parquet(file) => file.size(),
            RowSource::Batches(_) => None,
        };
        let room = self.projects.reserve(project, QuotaKind::TableBytes, size.unwrap_or(1)).await?;
        let room = Arc::new(Mutex::new(Some(room)));
        let mut seen = Seen { rows: 0, bytes: 0, most_rows: self.most_rows(project) };
        let rows = match rows {
            RowSource::Batches(batches) => {
                let of_rows = Arc::clone(&room);
                let bounded = batches.map(move |batch| {
                    let batch = batch?;
                    seen.add(&batch, &of_rows).map_err(RowsError::from)?;
                    Ok(batch)
                });
                RowSource::Batches(Box::pin(bounded))
            }
            file @ RowSource::Parquet(_) => file,
        };
        Ok(Bounded { rows, room })
    }

    /// Whether there are limits to rows.
    pub(super) fn is_bounded(&self, project: &Project) -> bool {
        self.most_rows(project).is_some() || self.projects.quotas().limit(project, QuotaKind::TableBytes).is_some()
    }

    /// Fails if a file has more rows than one request may bring. How many it has, only the lake can tell.
    pub(super) async fn require_few_rows(
        &self,
        project: &Project,
        (table, schema): (&TableRef, &TableSchema),
        mode: LoadMode,
        rows: RowSource,
    ) -> Result<(), UseCaseError> {
        let Some(limit) = self.most_rows(project) else { return Ok(()) };
        let (table, schema, expected) = (table.clone(), schema.clone(), Expected::ANY);
        let write = LakeWrite::Load { table: table.clone(), schema, mode, rows, expected };
        let counted = self.lakes.dry_run(project.lake, write).await.map_err(about_table(&project.id, &table))?;
        let used = counted.inserted.saturating_add(counted.updated);
        if used > limit {
            let kind = QuotaKind::RowsPerAppend;
            return Err(QuotaExceeded { kind, limit, used, retry_after: None }.into());
        }
        Ok(())
    }

    fn most_rows(&self, project: &Project) -> Option<u64> {
        self.projects.quotas().limit(project, QuotaKind::RowsPerAppend)
    }
}
