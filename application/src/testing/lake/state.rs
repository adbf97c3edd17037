//! What a lake holds in one snapshot: buckets and tables, and what is done to them as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use gadwall_domain::check::Checks;
use gadwall_domain::commit::Change;
use gadwall_domain::history::{Expected, TableVersion};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::Layout;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{StoredBucket, StoredTable, WriteError};
use gadwall_domain::schema::{Column, DefaultValue, MAX_COLUMNS, TableSchema};
use gadwall_domain::table::{Comments, TableRef, TableSize};
use gadwall_domain::view::View;
use serde_json::Value;

use super::alter;
use super::values::{Row, parse};

/// As if every row took as many bytes.
const BYTES_PER_ROW: u64 = 16;

type Tables = BTreeMap<TableName, Arc<Stored>>;

/// All buckets, `main` among them. A clone shares the tables.
#[derive(Clone)]
pub(super) struct State {
    buckets: BTreeMap<BucketName, Tables>,
    views: BTreeMap<TableRef, View>,
}

/// A table as the lake has it: types without lengths, no key.
#[derive(Clone)]
pub(super) struct Stored {
    /// Stays the same whatever the table is called.
    pub(super) id: u64,
    pub(super) columns: Vec<Column>,
    /// For each column what stays the same whatever it is called.
    pub(super) column_ids: Vec<u64>,
    /// Rows by their number, in the order of their coming.
    pub(super) rows: BTreeMap<u64, Arc<Row>>,
    /// The number of the next row. Never used twice.
    pub(super) next_row: u64,
    pub(super) layout: Layout,
    pub(super) comments: Comments,
    pub(super) version: TableVersion,
}

impl Default for State {
    fn default() -> Self {
        Self { buckets: BTreeMap::from([(BucketName::main(), BTreeMap::new())]), views: BTreeMap::new() }
    }
}

impl Stored {
    fn describe(&self, bucket: &BucketName, name: &TableName) -> StoredTable {
        let row_count = self.rows.len() as u64;
        StoredTable {
            name: TableRef { bucket: bucket.clone(), table: name.clone() },
            columns: self.columns.clone(),
            size: TableSize { row_count, size_bytes: row_count * BYTES_PER_ROW },
            layout: self.layout.clone(),
            comments: self.comments.clone(),
            version: self.version,
        }
    }

    /// Fails unless the table's columns are those that a write was made for.
    pub(super) fn expect_shape(&self, schema: &TableSchema) -> Result<(), WriteError> {
        let same = self.columns.len() == schema.columns().len()
            && self.columns.iter().zip(schema.columns()).all(|(stored, known)| {
                stored.name == known.name
                    && stored.data_type == known.data_type.without_lengths()
                    && stored.nullable == known.nullable
            });
        if same { Ok(()) } else { Err(WriteError::TableChanged) }
    }

    /// Changes of the shape build on all that the caller knows of it: the defaults, too.
    pub(super) fn expect_defaults(&self, schema: &TableSchema) -> Result<(), WriteError> {
        let defaults = |columns: &[Column]| columns.iter().map(|column| column.default.clone()).collect::<Vec<_>>();
        if defaults(&self.columns) == defaults(schema.columns()) { Ok(()) } else { Err(WriteError::TableChanged) }
    }

    /// Adds rows after all others.
    pub(super) fn add(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            self.rows.insert(self.next_row, Arc::new(row));
            self.next_row += 1;
        }
    }
}

/// An id for a column made in this snapshot.
pub(super) fn column_id(now: SnapshotId, index: u64) -> u64 {
    now.get() * (MAX_COLUMNS as u64 + 1) + index
}

/// A column as the lake keeps it.
pub(super) fn stored_column(column: &Column) -> Column {
    Column { data_type: column.data_type.without_lengths(), checks: Checks::default(), ..column.clone() }
}

/// What a row gets that doesn't mention the column.
pub(super) fn default_of(column: &Column) -> Value {
    let text = column.default.as_ref().map(DefaultValue::as_str);
    text.and_then(|text| parse(text, &column.data_type)).unwrap_or_default()
}

impl State {
    pub(super) fn list(&self) -> Vec<StoredBucket> {
        let listed =
            self.buckets.iter().filter(|(name, tables)| !name.is_main() || !tables.is_empty() || self.has_views(name));
        let bucket = |(name, tables): (&BucketName, &Tables)| StoredBucket {
            name: name.clone(),
            table_count: tables.len() as u64,
            size_bytes: tables.values().map(|table| table.rows.len() as u64 * BYTES_PER_ROW).sum(),
        };
        listed.map(bucket).collect()
    }

    pub(super) fn tables(&self, bucket: &BucketName) -> Option<Vec<StoredTable>> {
        let (bucket, tables) = self.buckets.get_key_value(bucket)?;
        Some(tables.iter().map(|(name, table)| table.describe(bucket, name)).collect())
    }

    pub(super) fn table(&self, bucket: &BucketName, table: &TableName) -> Option<StoredTable> {
        let (bucket, tables) = self.buckets.get_key_value(bucket)?;
        let (name, table) = tables.get_key_value(table)?;
        Some(table.describe(bucket, name))
    }

    /// Each table with its name.
    pub(super) fn all(&self) -> impl Iterator<Item = (TableRef, &Arc<Stored>)> {
        self.buckets.iter().flat_map(|(bucket, tables)| {
            let named = |table: &TableName| TableRef { bucket: bucket.clone(), table: table.clone() };
            tables.iter().map(move |(name, table)| (named(name), table))
        })
    }

    pub(super) fn find(&self, table: &TableRef) -> Option<&Arc<Stored>> {
        self.buckets.get(&table.bucket)?.get(&table.table)
    }

    /// The table of that identity, whatever it is called.
    pub(super) fn find_id(&self, id: u64) -> Option<&Arc<Stored>> {
        self.buckets.values().flat_map(BTreeMap::values).find(|table| table.id == id)
    }

    /// The table, to be changed; as the caller expects it.
    pub(super) fn change(&mut self, table: &TableRef, expected: Expected) -> Result<&mut Stored, WriteError> {
        let found = self.buckets.get_mut(&table.bucket).and_then(|tables| tables.get_mut(&table.table));
        let found = found.ok_or(WriteError::NoTable)?;
        expect(found, expected)?;
        Ok(Arc::make_mut(found))
    }

    /// The place of a table that is to be.
    fn place(&mut self, table: &TableRef) -> Result<&mut Tables, WriteError> {
        let tables = self.buckets.get_mut(&table.bucket).ok_or(WriteError::NoBucket)?;
        if self.views.contains_key(table) {
            return Err(WriteError::ViewExists);
        }
        if tables.contains_key(&table.table) { Err(WriteError::TableExists) } else { Ok(tables) }
    }

    pub(super) fn create(&mut self, bucket: BucketName, description: Option<String>) -> Result<Change, WriteError> {
        if self.buckets.contains_key(&bucket) {
            return Err(WriteError::BucketExists);
        }
        self.buckets.insert(bucket.clone(), BTreeMap::new());
        Ok(Change::BucketCreated { bucket, description })
    }

    pub(super) fn drop_bucket(&mut self, bucket: BucketName, cascade: bool) -> Result<Change, WriteError> {
        let empty = self.buckets.get(&bucket).ok_or(WriteError::NoBucket)?.is_empty() && !self.has_views(&bucket);
        if bucket.is_main() && empty {
            return Err(WriteError::NoBucket);
        }
        if !empty && !cascade {
            return Err(WriteError::BucketNotEmpty);
        }
        self.buckets.remove(&bucket);
        self.views.retain(|view, _| view.bucket != bucket);
        // `main` is part of every lake; without tables it just isn't listed.
        self.buckets.entry(BucketName::main()).or_default();
        Ok(Change::BucketDropped { bucket })
    }

    pub(super) fn create_table(
        &mut self,
        table: TableRef,
        schema: &TableSchema,
        layout: Layout,
        now: SnapshotId,
    ) -> Result<Change, WriteError> {
        let tables = self.place(&table)?;
        schema.columns().iter().try_for_each(alter::check_default)?;
        alter::check_layout(&layout, schema.columns())?;
        let made = Stored {
            id: now.get(),
            columns: schema.columns().iter().map(stored_column).collect(),
            column_ids: (0..schema.columns().len() as u64).map(|index| column_id(now, index)).collect(),
            rows: BTreeMap::new(),
            next_row: 0,
            layout: layout.clone(),
            comments: Comments::default(),
            version: TableVersion { schema: now, rows: now },
        };
        tables.insert(table.table.clone(), Arc::new(made));
        let primary_key = schema.key_columns().to_vec();
        Ok(Change::TableCreated { table, columns: schema.columns().to_vec(), primary_key, layout })
    }

    pub(super) fn drop_table(&mut self, table: TableRef, expected: Expected) -> Result<Change, WriteError> {
        let tables = self.buckets.get_mut(&table.bucket).ok_or(WriteError::NoTable)?;
        expect(tables.get(&table.table).ok_or(WriteError::NoTable)?, expected)?;
        tables.remove(&table.table);
        Ok(Change::TableDropped { table })
    }

    pub(super) fn rename_table(
        &mut self,
        table: TableRef,
        to: TableName,
        expected: Expected,
        now: SnapshotId,
    ) -> Result<Change, WriteError> {
        let tables = self.buckets.get_mut(&table.bucket).ok_or(WriteError::NoTable)?;
        expect(tables.get(&table.table).ok_or(WriteError::NoTable)?, expected)?;
        if tables.contains_key(&to) {
            return Err(WriteError::TableExists);
        }
        if self.views.contains_key(&TableRef { bucket: table.bucket.clone(), table: to.clone() }) {
            return Err(WriteError::ViewExists);
        }
        let mut moved = tables.remove(&table.table).ok_or(WriteError::NoTable)?;
        Arc::make_mut(&mut moved).version.schema = now;
        tables.insert(to.clone(), moved);
        let to = TableRef { bucket: table.bucket.clone(), table: to };
        Ok(Change::TableRenamed { table, to })
    }

    fn has_views(&self, bucket: &BucketName) -> bool {
        self.views.keys().any(|view| view.bucket == *bucket)
    }

    /// A bucket's views, or the one of that name.
    pub(super) fn views(&self, bucket: &BucketName, view: Option<&TableName>) -> Vec<View> {
        let wanted = |name: &&TableRef| name.bucket == *bucket && view.is_none_or(|view| name.table == *view);
        self.views.iter().filter(|(name, _)| wanted(name)).map(|(_, view)| view.clone()).collect()
    }

    /// Makes a view, or makes it anew.
    pub(super) fn define_view(&mut self, view: View) -> Result<Change, WriteError> {
        let tables = self.buckets.get(&view.name.bucket).ok_or(WriteError::NoBucket)?;
        if tables.contains_key(&view.name.table) {
            return Err(WriteError::TableExists);
        }
        let View { name, query: sql, comment, columns, .. } = view.clone();
        self.views.remove(&name);
        self.views.insert(name.clone(), view);
        Ok(Change::ViewCreated { view: name, sql, columns, comment })
    }

    pub(super) fn drop_view(&mut self, view: TableRef) -> Result<Change, WriteError> {
        self.views.remove(&view).ok_or(WriteError::NoView)?;
        Ok(Change::ViewDropped { view })
    }

    /// Puts a table where none is.
    pub(super) fn bring_back(&mut self, table: &TableRef, stored: Stored) -> Result<(), WriteError> {
        self.place(table)?.insert(table.table.clone(), Arc::new(stored));
        Ok(())
    }

    /// Fails where `bring_back` would.
    pub(super) fn expect_place(&mut self, table: &TableRef) -> Result<(), WriteError> {
        self.place(table).map(|_| ())
    }
}

fn expect(stored: &Stored, expected: Expected) -> Result<(), WriteError> {
    if expected.fits(stored.version) { Ok(()) } else { Err(WriteError::NotExpected { found: stored.version }) }
}
