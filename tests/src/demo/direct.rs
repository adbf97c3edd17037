//! DuckDB itself, on the same files: what the answers should be.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow::ipc::reader::FileReader;
use duckdb::Connection;
use serde_json::Value;

use super::datasets::{DATASETS, Dataset, FLIGHTS, Format};

/// An answer, and how long it took.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) elapsed: Duration,
}

/// DuckDB in memory, with a view of each file.
pub(super) struct Direct {
    connection: Mutex<Connection>,
    /// The cut file of flights, where it is cut.
    cut: Option<PathBuf>,
}

impl Direct {
    /// Opens DuckDB on the files. With `flights`, cuts the largest one to that many rows first.
    pub(super) fn open(files: &Path, scratch: &Path, flights: Option<u64>) -> Result<Self> {
        let connection = Connection::open_in_memory().context("DuckDB cannot be opened")?;
        // Everything these files need is built in; nothing may be fetched.
        connection.execute_batch("SET autoinstall_known_extensions = false")?;
        let mut direct = Self { connection: Mutex::new(connection), cut: None };
        for dataset in &DATASETS {
            if let Some(rows) = flights.filter(|_| dataset.table == FLIGHTS) {
                let cut = scratch.join(dataset.file);
                let copy = format!(
                    "COPY (SELECT * FROM read_parquet({}) LIMIT {rows}) TO {} (FORMAT parquet)",
                    quoted(&files.join(dataset.file)),
                    quoted(&cut)
                );
                direct.connection().execute_batch(&copy)?;
                direct.cut = Some(cut);
            }
            let file = direct.file(files, dataset);
            direct.show(dataset, &file).with_context(|| format!("DuckDB cannot read {}", dataset.file))?;
        }
        Ok(direct)
    }

    /// The file of a dataset: as packed, or as cut.
    pub(super) fn file(&self, files: &Path, dataset: &Dataset) -> PathBuf {
        let cut = self.cut.clone().filter(|_| dataset.table == FLIGHTS);
        cut.unwrap_or_else(|| files.join(dataset.file))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `bucket.table` a view of the file with the types the table has; DuckDB reads the file its own way.
    fn show(&self, dataset: &Dataset, file: &Path) -> Result<()> {
        let connection = self.connection();
        connection.execute_batch(&format!("CREATE SCHEMA IF NOT EXISTS {}", dataset.bucket))?;
        let file_text = quoted(file);
        let from = match dataset.format {
            Format::Parquet => format!("read_parquet({file_text})"),
            Format::Csv => format!("read_csv({file_text})"),
            Format::Json => format!("read_json({file_text}, columns = {{{}}})", typed(dataset, ": ", quote_text)),
            Format::GeoJson => format!(
                "(SELECT unnest(features, max_depth := 2) FROM read_json({file_text}, \
                 columns = {{features: 'STRUCT({})[]'}}))",
                typed(dataset, " ", str::to_owned)
            ),
            Format::ArrowFile => return append(&connection, dataset, file),
        };
        let cast = |(name, data_type): &(&str, &str)| format!("CAST(\"{name}\" AS {data_type}) AS \"{name}\"");
        let columns: Vec<String> = dataset.columns.iter().map(cast).collect();
        let view = format!("CREATE VIEW {} AS SELECT {} FROM {from}", dataset.qualified(), columns.join(", "));
        Ok(connection.execute_batch(&view)?)
    }

    /// How many rows a file holds.
    pub(super) fn count(&self, table: &str) -> Result<u64> {
        let count = format!("SELECT count(*) FROM {table}");
        Ok(self.connection().query_row(&count, [], |row| row.get(0))?)
    }

    /// Runs a query.
    pub(super) fn answer(&self, sql: &str) -> Result<Answer> {
        let connection = self.connection();
        let begun = Instant::now();
        let mut statement = connection.prepare(sql)?;
        let columns: Vec<String> = {
            let batches = statement.query_arrow([])?;
            batches.get_schema().fields().iter().map(|field| field.name().clone()).collect()
        };
        let elapsed = begun.elapsed();
        // Once more for the values: DuckDB writes each row as JSON itself.
        let mut statement =
            connection.prepare(&format!("SELECT CAST(to_json(answer) AS VARCHAR) FROM ({sql}) AS answer"))?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let row = |text: &String| -> Result<Vec<Value>> {
            let mut object: Value = serde_json::from_str(text)?;
            Ok(columns.iter().map(|column| object.get_mut(column).map_or(Value::Null, Value::take)).collect())
        };
        let rows = texts.iter().map(row).collect::<Result<Vec<_>>>()?;
        Ok(Answer { columns, rows, elapsed })
    }
}

/// DuckDB reads no Arrow files by itself: the batches are appended to a table.
fn append(connection: &Connection, dataset: &Dataset, file: &Path) -> Result<()> {
    let columns = typed(dataset, " ", str::to_owned);
    connection.execute_batch(&format!("CREATE TABLE {} ({columns})", dataset.qualified()))?;
    let reader = FileReader::try_new(File::open(file)?, None)?;
    let mut appender = connection.appender_to_db(dataset.table, dataset.bucket)?;
    for batch in reader {
        appender.append_record_batch(batch?)?;
    }
    appender.flush()?;
    Ok(())
}

/// The columns as `"name"<between>type, …`.
fn typed(dataset: &Dataset, between: &str, data_type: impl Fn(&str) -> String) -> String {
    let column = |(name, spelled): &(&str, &str)| format!("\"{name}\"{between}{}", data_type(spelled));
    dataset.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(path: &Path) -> String {
    quote_text(&path.to_string_lossy())
}
