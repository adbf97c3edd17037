//! Result columns in the types that readers of Arrow and Parquet have.
//!
//! The engine hands over a few types that only it knows, as bytes with a name beside them, and a few layouts
//! that not every reader has. What has a like in Arrow becomes that: booleans bits, `HUGEINT` a
//! `DECIMAL(38,0)`, an `ENUM` or a view its values. What has none becomes the text that the engine reads back.
//! UUID, JSON and geometries keep their extension names, which are common ones.

mod apply;
mod plan;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};

use self::plan::{Column, plan};
use super::EncodeError;
use super::json::unique_names;

/// Whose types the columns should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Arrow,
    /// Fewer: no intervals that most readers understand, no seconds, no unions.
    Parquet,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Arrow => "Arrow",
            Self::Parquet => "Parquet",
        }
    }
}

/// Turns batches of one schema into batches of another.
#[derive(Debug)]
pub(super) struct Columnar {
    columns: Vec<Column>,
    schema: SchemaRef,
    target: Target,
}

impl Columnar {
    /// # Errors
    /// If there is no like for a type.
    pub(super) fn new(schema: &SchemaRef, target: Target) -> Result<Self, EncodeError> {
        let columns: Vec<Column> = schema
            .fields()
            .iter()
            .zip(unique_names(schema))
            .map(|(field, name)| plan(&field.as_ref().clone().with_name(name), target))
            .collect::<Result<_, _>>()?;
        let fields: Vec<_> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        Ok(Self { columns, schema: Arc::new(Schema::new(fields)), target })
    }

    /// The columns as they are handed on.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// # Errors
    /// If a value doesn't fit, or the columns aren't those of the schema.
    pub(super) fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch, EncodeError> {
        if batch.num_columns() != self.columns.len() {
            return Err(EncodeError::Columns { found: batch.num_columns(), expected: self.columns.len() });
        }
        let arrays = self.columns.iter().zip(batch.columns()).map(|(column, array)| column.apply(array, self.target));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema(), arrays.collect::<Result<_, _>>()?, &options)
            .map_err(|error| EncodeError::writer(self.target.name(), &error))
    }
}

#[cfg(test)]
#[path = "../columnar_tests.rs"]
mod tests;
