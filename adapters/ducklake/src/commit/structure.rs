//! What there is: buckets and tables made and dropped.

use gadwall_domain::commit::Change;
use gadwall_domain::history::ReadAt;
use gadwall_domain::layout::Layout;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;

use super::Commit;
use crate::writer::Structure;
use crate::{sql, structure};

impl Commit<'_> {
    pub(super) fn apply(&self, write: &Structure) -> Result<Change, WriteError> {
        match write {
            Structure::CreateBucket { bucket, description } => self.create_bucket(bucket, description.clone()),
            Structure::DropBucket { bucket, cascade } => self.drop_bucket(bucket, *cascade),
            Structure::CreateTable { table, schema } => self.create_table(table, schema),
            Structure::DropTable { table } => self.drop_table(table),
        }
    }

    fn schema_name(&self, bucket: &str) -> String {
        format!("{}.{}", sql::catalog(self.lake), sql::ident(bucket))
    }

    fn create_bucket(&self, bucket: &BucketName, description: Option<String>) -> Result<Change, WriteError> {
        if structure::bucket(self.connection, self.lake, bucket, ReadAt::Head)?.is_some() {
            return Err(WriteError::BucketExists);
        }
        self.execute(&format!("CREATE SCHEMA {}", self.schema_name(bucket.as_str())))?;
        Ok(Change::BucketCreated { bucket: bucket.clone(), description })
    }

    fn drop_bucket(&self, bucket: &BucketName, cascade: bool) -> Result<Change, WriteError> {
        let Some(stored) = structure::bucket(self.connection, self.lake, bucket, ReadAt::Head)? else {
            return Err(WriteError::NoBucket);
        };
        let tables = structure::tables(self.connection, self.lake, bucket, None, ReadAt::Head)?;
        if bucket.is_main() && tables.is_empty() {
            return Err(WriteError::NoBucket);
        }
        if !tables.is_empty() && !cascade {
            return Err(WriteError::BucketNotEmpty);
        }
        for table in &tables {
            self.execute(&format!("DROP TABLE {}", sql::table(self.lake, &table.name)))?;
        }
        // `main` is part of every lake; without tables it just isn't listed.
        if !bucket.is_main() {
            self.execute(&format!("DROP SCHEMA {}", self.schema_name(&stored)))?;
        }
        Ok(Change::BucketDropped { bucket: bucket.clone() })
    }

    fn create_table(&self, table: &TableRef, schema: &TableSchema) -> Result<Change, WriteError> {
        if structure::bucket(self.connection, self.lake, &table.bucket, ReadAt::Head)?.is_none() {
            return Err(WriteError::NoBucket);
        }
        if self.stored_columns(table)?.is_some() {
            return Err(WriteError::TableExists);
        }
        let definitions: Vec<String> = schema.columns().iter().map(definition).collect();
        let statement = format!("CREATE TABLE {} ({})", sql::table(self.lake, table), definitions.join(", "));
        self.execute(&statement)?;
        Ok(Change::TableCreated {
            table: table.clone(),
            columns: schema.columns().to_vec(),
            primary_key: schema.key_columns().to_vec(),
            layout: Layout::default(),
        })
    }

    fn drop_table(&self, table: &TableRef) -> Result<Change, WriteError> {
        if self.stored_columns(table)?.is_none() {
            return Err(WriteError::NoTable);
        }
        self.execute(&format!("DROP TABLE {}", sql::table(self.lake, table)))?;
        Ok(Change::TableDropped { table: table.clone() })
    }
}

fn definition(column: &Column) -> String {
    let mut text = format!("{} {}", sql::ident(column.name.as_str()), column.data_type.without_lengths());
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        text.push_str(" DEFAULT ");
        text.push_str(&sql::text(default.as_str()));
    }
    text
}
