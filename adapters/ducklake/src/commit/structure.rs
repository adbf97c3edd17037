//! What there is: buckets and tables made and dropped.

use gadwall_domain::commit::Change;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::layout::Layout;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::Commit;
use super::alter::check_layout;
use super::build::definitions;
use crate::{sql, structure};

/// What is in a bucket.
pub(super) struct Contents {
    pub(super) tables: Vec<TableRef>,
    pub(super) views: Vec<TableRef>,
}

impl Commit<'_> {
    fn schema_name(&self, bucket: &str) -> String {
        format!("{}.{}", sql::catalog(self.lake), sql::ident(bucket))
    }

    pub(super) fn create_bucket(&self, bucket: &BucketName, description: Option<String>) -> Result<Change, WriteError> {
        if structure::bucket(self.connection, self.lake, bucket, ReadAt::Head)?.is_some() {
            return Err(WriteError::BucketExists);
        }
        self.execute(&format!("CREATE SCHEMA {}", self.schema_name(bucket.as_str())))?;
        Ok(Change::BucketCreated { bucket: bucket.clone(), description })
    }

    pub(super) fn drop_bucket(&self, bucket: &BucketName, cascade: bool) -> Result<Change, WriteError> {
        let Some(stored) = structure::bucket(self.connection, self.lake, bucket, ReadAt::Head)? else {
            return Err(WriteError::NoBucket);
        };
        let tables = structure::tables(self.connection, self.lake, bucket, None, ReadAt::Head)?;
        let views = structure::views(self.connection, self.lake, bucket, None, ReadAt::Head)?;
        let tables: Vec<TableRef> = tables.into_iter().map(|table| table.name).collect();
        let views: Vec<TableRef> = views.into_iter().map(|view| view.name).collect();
        self.drop_bucket_of(bucket, &stored, &Contents { tables, views }, cascade)
    }

    /// Drops a bucket, by its name as it is stored, with all that is in it.
    pub(super) fn drop_bucket_of(
        &self,
        bucket: &BucketName,
        stored: &str,
        contents: &Contents,
        cascade: bool,
    ) -> Result<Change, WriteError> {
        let empty = contents.tables.is_empty() && contents.views.is_empty();
        if bucket.is_main() && empty {
            return Err(WriteError::NoBucket);
        }
        if !(cascade || empty) {
            return Err(WriteError::BucketNotEmpty);
        }
        for view in &contents.views {
            self.execute(&format!("DROP VIEW {}", sql::table(self.lake, view)))?;
        }
        for table in &contents.tables {
            self.execute(&format!("DROP TABLE {}", sql::table(self.lake, table)))?;
        }
        // `main` is part of every lake; without tables it just isn't listed.
        if !bucket.is_main() {
            self.execute(&format!("DROP SCHEMA {}", self.schema_name(stored)))?;
        }
        Ok(Change::BucketDropped { bucket: bucket.clone() })
    }

    /// Tables and views share their names.
    pub(super) fn no_view(&self, table: &TableRef) -> Result<(), WriteError> {
        let found = structure::views(self.connection, self.lake, &table.bucket, Some(&table.table), ReadAt::Head)?;
        if found.is_empty() { Ok(()) } else { Err(WriteError::ViewExists) }
    }

    pub(super) fn create_table(
        &self,
        table: &TableRef,
        schema: &TableSchema,
        layout: &Layout,
    ) -> Result<Change, WriteError> {
        if structure::bucket(self.connection, self.lake, &table.bucket, ReadAt::Head)?.is_none() {
            return Err(WriteError::NoBucket);
        }
        if self.stored_columns(table)?.is_some() {
            return Err(WriteError::TableExists);
        }
        self.no_view(table)?;
        check_layout(layout, schema)?;
        for column in schema.columns().iter().filter(|column| !column.checks.is_empty()) {
            self.check_default(column)?;
        }
        let target = sql::table(self.lake, table);
        self.execute(&format!("CREATE TABLE {target} ({})", definitions(schema.columns())))?;
        self.lay_out(&target, layout)?;
        Ok(created(table, schema, layout))
    }

    pub(super) fn drop_table(&self, table: &TableRef, expected: Expected) -> Result<Change, WriteError> {
        let told = self.found(table, expected)?;
        self.execute(&format!("DROP TABLE {}", sql::table(self.lake, &told.name)))?;
        Ok(Change::TableDropped { table: table.clone() })
    }
}

/// What is said of a table that was made.
pub(super) fn created(table: &TableRef, schema: &TableSchema, layout: &Layout) -> Change {
    Change::TableCreated {
        table: table.clone(),
        columns: schema.columns().to_vec(),
        primary_key: schema.key_columns().to_vec(),
        layout: layout.clone(),
    }
}
