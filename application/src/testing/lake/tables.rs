//! Buckets and tables of a lake, and what may be done to them.

use std::collections::{BTreeMap, HashSet};

use arrow_array::RecordBatch;
use gadwall_domain::commit::Change;
use gadwall_domain::history::TableVersion;
use gadwall_domain::layout::Layout;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{StoredBucket, StoredTable, WriteError};
use gadwall_domain::query::QueryError;
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::{Comments, TableRef, TableSize};

use super::rows::{self, Row};

/// As if every row took as many bytes.
const BYTES_PER_ROW: u64 = 16;

/// All buckets, `main` among them.
pub(super) struct Buckets(BTreeMap<BucketName, BTreeMap<TableName, Stored>>);

/// A table as the lake has it: types without lengths, no key.
struct Stored {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self(BTreeMap::from([(BucketName::main(), BTreeMap::new())]))
    }
}

impl Stored {
    fn describe(&self, bucket: &BucketName, name: &TableName) -> StoredTable {
        let row_count = self.rows.len() as u64;
        StoredTable {
            name: TableRef { bucket: bucket.clone(), table: name.clone() },
            columns: self.columns.clone(),
            size: TableSize { row_count, size_bytes: row_count * BYTES_PER_ROW },
            layout: Layout::default(),
            comments: Comments::default(),
            version: TableVersion::default(),
        }
    }

    fn has_shape(&self, schema: &TableSchema) -> bool {
        self.columns.len() == schema.columns().len()
            && self.columns.iter().zip(schema.columns()).all(|(stored, known)| {
                stored.name == known.name
                    && stored.data_type == known.data_type.without_lengths()
                    && stored.nullable == known.nullable
            })
    }
}

impl Buckets {
    pub(super) fn list(&self) -> Vec<StoredBucket> {
        let listed = self.0.iter().filter(|(name, tables)| !name.is_main() || !tables.is_empty());
        let bucket = |(name, tables): (&BucketName, &BTreeMap<TableName, Stored>)| StoredBucket {
            name: name.clone(),
            table_count: tables.len() as u64,
            size_bytes: tables.values().map(|table| table.rows.len() as u64 * BYTES_PER_ROW).sum(),
        };
        listed.map(bucket).collect()
    }

    pub(super) fn tables(&self, bucket: &BucketName) -> Option<Vec<StoredTable>> {
        let (bucket, tables) = self.0.get_key_value(bucket)?;
        Some(tables.iter().map(|(name, table)| table.describe(bucket, name)).collect())
    }

    pub(super) fn table(&self, bucket: &BucketName, table: &TableName) -> Option<StoredTable> {
        let (bucket, tables) = self.0.get_key_value(bucket)?;
        let (name, table) = tables.get_key_value(table)?;
        Some(table.describe(bucket, name))
    }

    pub(super) fn preview(&self, table: &TableRef, limit: usize) -> Result<RecordBatch, QueryError> {
        let unknown = || QueryError::UnknownTable { name: table.to_string(), candidates: Vec::new() };
        let found = self.0.get(&table.bucket).and_then(|tables| tables.get(&table.table)).ok_or_else(unknown)?;
        let first = &found.rows[..limit.min(found.rows.len())];
        rows::to_batch(&found.columns, first).map_err(|error| QueryError::Engine(error.to_string()))
    }

    pub(super) fn create(&mut self, bucket: BucketName, description: Option<String>) -> Result<Change, WriteError> {
        if self.0.contains_key(&bucket) {
            return Err(WriteError::BucketExists);
        }
        self.0.insert(bucket.clone(), BTreeMap::new());
        Ok(Change::BucketCreated { bucket, description })
    }

    pub(super) fn drop_bucket(&mut self, bucket: BucketName, cascade: bool) -> Result<Change, WriteError> {
        let empty = self.0.get(&bucket).ok_or(WriteError::NoBucket)?.is_empty();
        if bucket.is_main() && empty {
            return Err(WriteError::NoBucket);
        }
        if !empty && !cascade {
            return Err(WriteError::BucketNotEmpty);
        }
        self.0.remove(&bucket);
        // `main` is part of every lake; without tables it just isn't listed.
        self.0.entry(BucketName::main()).or_default();
        Ok(Change::BucketDropped { bucket })
    }

    pub(super) fn create_table(&mut self, table: TableRef, schema: &TableSchema) -> Result<Change, WriteError> {
        let tables = self.0.get_mut(&table.bucket).ok_or(WriteError::NoBucket)?;
        if tables.contains_key(&table.table) {
            return Err(WriteError::TableExists);
        }
        let stored = |column: &Column| Column { data_type: column.data_type.without_lengths(), ..column.clone() };
        let columns = schema.columns().iter().map(stored).collect();
        tables.insert(table.table.clone(), Stored { columns, rows: Vec::new() });
        let primary_key = schema.key_columns().to_vec();
        let columns = schema.columns().to_vec();
        Ok(Change::TableCreated { table, columns, primary_key, layout: Layout::default() })
    }

    pub(super) fn drop_table(&mut self, table: TableRef) -> Result<Change, WriteError> {
        let tables = self.0.get_mut(&table.bucket).ok_or(WriteError::NoTable)?;
        tables.remove(&table.table).ok_or(WriteError::NoTable)?;
        Ok(Change::TableDropped { table })
    }

    pub(super) fn append(
        &mut self,
        table: TableRef,
        schema: &TableSchema,
        rows: Vec<Row>,
    ) -> Result<Change, WriteError> {
        let stored = self.0.get_mut(&table.bucket).and_then(|tables| tables.get_mut(&table.table));
        let stored = stored.ok_or(WriteError::NoTable)?;
        if !stored.has_shape(schema) {
            return Err(WriteError::TableChanged);
        }
        refuse_known_keys(schema, &stored.rows, &rows)?;
        let added = rows.len() as u64;
        stored.rows.extend(rows);
        Ok(Change::RowsAppended { table, rows: added })
    }
}

fn refuse_known_keys(schema: &TableSchema, stored: &[Row], rows: &[Row]) -> Result<(), WriteError> {
    if schema.key_columns().is_empty() {
        return Ok(());
    }
    let key_of = |row: &Row| rows::key_of(schema, row);
    let known: HashSet<String> = stored.iter().map(|row| key_of(row).to_string()).collect();
    rows::refuse_duplicates(rows.iter().map(key_of).filter(|key| known.contains(&key.to_string())).collect())
}
