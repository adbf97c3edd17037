//! Many rows, written as Parquet files beside the table's own: nothing that grows with them stays in memory, and the
//! commit only has to put the files in their place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;
use uuid::Uuid;

use super::{Keys, Relation, Staged, engine_refused};
use crate::area::Area;
use crate::error::io_error;
use crate::root::Lent;
use crate::writer::Shared;
use crate::{sql, structure};

/// From how many rows on files are better than a table in memory.
pub(super) const MANY_ROWS: u64 = 100_000;

/// Where the files of a request's rows are written.
#[derive(Clone)]
pub(crate) struct Spool {
    pub(super) shared: Arc<Shared>,
    lake: LakeId,
    table: TableRef,
    usable: bool,
}

impl Spool {
    /// For rows of this table. Rows of an upsert are read once more, in their order, so they stay where they are; and
    /// the files of an encrypted lake are written by the lake alone.
    pub(crate) fn new(shared: Arc<Shared>, lake: LakeId, table: TableRef, schema: &TableSchema, keys: Keys) -> Self {
        let types = schema.columns().iter().all(|column| can_be_registered(&column.data_type));
        let usable = keys == Keys::Once && types && !shared.catalogs.encrypts();
        Self { shared, lake, table, usable }
    }

    /// Whether so many rows should go into files.
    pub(super) fn takes(&self, rows: u64) -> bool {
        self.usable && rows >= MANY_ROWS
    }

    /// Writes rows that were checked into a file of their own, with all columns of the table. It is on disk when this
    /// returns.
    pub(super) fn write(
        &self,
        connection: &Lent,
        schema: &TableSchema,
        staged: &Staged,
    ) -> Result<SpooledFile, WriteError> {
        let area = &self.shared.area;
        area.require_room()?;
        // The first look at the lake clears away what an earlier life of the process left in the folder.
        let _lease = self.shared.catalogs.lease(connection, self.lake)?;
        let table = structure::table_folder(connection, self.lake, &self.table)?.ok_or(WriteError::NoTable)?;
        let folder = area.incoming(self.lake, &table).map_err(io_error)?;
        #[expect(clippy::disallowed_methods, reason = "the file's name tells when it was made, as DuckLake's own do")]
        let path = folder.join(format!("ducklake-{}.parquet", Uuid::now_v7()));
        let file = SpooledFile { area: Arc::clone(area), at: Mutex::new(At { path: path.clone(), placed: false }) };
        let columns = schema.columns().iter();
        let values: Vec<String> =
            columns.map(|column| format!("{} AS {}", staged.value(column), sql::ident(column.name.as_str()))).collect();
        let copy = format!(
            "COPY (SELECT {} FROM {}) TO {} (FORMAT parquet)",
            values.join(", "),
            staged.relation(),
            sql::text(&path.to_string_lossy())
        );
        connection.execute_batch(&copy).map_err(|error| engine_refused("the rows", &error))?;
        area.sync(&path).map_err(io_error)?;
        Ok(file)
    }

    /// Rows that are all in files.
    pub(super) fn staged(
        &self,
        schema: &TableSchema,
        files: Vec<SpooledFile>,
        rows: u64,
        counted: Option<Vec<i64>>,
    ) -> Staged {
        let columns = schema.columns().iter();
        Staged {
            engine: Arc::clone(&self.shared.engine),
            relation: Relation::Spooled(files),
            columns: columns.map(|column| (column.name.clone(), sql::ident(column.name.as_str()))).collect(),
            rows,
            counted,
        }
    }
}

/// Types that a file holds just as the lake would write them.
fn can_be_registered(data_type: &DataType) -> bool {
    // DuckLake keeps statistics of a variant's parts that it doesn't take from a file.
    !data_type.to_string().contains("VARIANT")
}

/// A file with rows of a request. Unless it was put in its place, it goes with this.
pub(crate) struct SpooledFile {
    area: Arc<dyn Area>,
    at: Mutex<At>,
}

struct At {
    path: PathBuf,
    placed: bool,
}

impl SpooledFile {
    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.at().path.clone()
    }

    /// Puts the file into its table's folder; answers where it is by then.
    pub(crate) fn move_to(&self, folder: &Path) -> io::Result<PathBuf> {
        let mut at = self.at();
        at.path = self.area.place(&at.path, folder)?;
        at.placed = true;
        Ok(at.path.clone())
    }
}

impl Drop for SpooledFile {
    fn drop(&mut self) {
        let At { path, placed } = &*self.at();
        if !placed
            && let Err(error) = self.area.remove(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(error = %error, "a file with staged rows was not removed");
        }
    }
}
