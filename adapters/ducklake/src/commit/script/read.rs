//! What a script reads: its queries, and the queries in its other statements.

use arrow::array::{Array as _, RecordBatch};
use gadwall_domain::names::ColumnName;
use gadwall_domain::query::{Parameters, QueryError};
use gadwall_domain::schema::Column;
use gadwall_domain::types::DataType;

use super::names::ScriptNames;
use super::{Done, Rows, Run};
use crate::gate::NamedValue;
use crate::names::as_written;
use crate::query::{Read, Statement as Checked, checked_read, values};
use crate::sql;

/// Most bytes that the results of one statement may take: they are held until the script ends.
const MAX_BYTES: usize = 64 << 20;

/// Rows that were put aside. The table goes with its connection.
pub(super) struct Aside {
    /// Its full name.
    pub(super) sql: String,
}

impl Run<'_> {
    /// A query as it may run, with the values that it takes of those for the whole statement.
    pub(super) fn gated(&self, text: &str, parameters: &Parameters) -> Done<Checked> {
        Ok(self.gated_read(text, parameters)?.0)
    }

    /// The same, with what it reads.
    pub(super) fn gated_read(&self, text: &str, parameters: &Parameters) -> Done<(Checked, Read)> {
        let connection = self.commit.connection;
        let failed = |error: &duckdb::Error| match self.engine(error) {
            super::ScriptFault::Query(error) => error,
            other => QueryError::Engine(other.to_string()),
        };
        let (checked, tree) = checked_read(connection, &ScriptNames(self), text, Some(parameters), &failed)?;
        let read = checked.tables.iter().filter_map(|table| as_written(self.scope, table));
        self.touched.borrow_mut().reads.extend(read);
        Ok((checked, tree))
    }

    /// Runs a query and keeps its rows.
    pub(super) fn select(&self, text: &str, parameters: &Parameters) -> Done<Rows> {
        let checked = self.gated(text, parameters)?;
        let mut prepared = self.commit.connection.prepare(&checked.text).map_err(|error| self.engine(&error))?;
        let given = values(&prepared, &checked.values)?;
        drop(prepared.stream_arrow(duckdb::params_from_iter(given)).map_err(|error| self.engine(&error))?);
        let schema = prepared.schema();
        // It could run; that is all that was asked.
        if self.script.dry_run {
            return Ok((schema, Vec::new()));
        }
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0_u64, 0_usize);
        while let Some(step) = prepared.step().map_err(|error| self.engine(&error))? {
            if step.is_empty() {
                continue;
            }
            let batch = RecordBatch::from(&step);
            rows += batch.num_rows() as u64;
            bytes += batch.get_array_memory_size();
            if rows > self.script.max_rows || bytes > MAX_BYTES {
                let most = self.script.max_rows;
                let text = format!("its result has more than {most} rows or {} MiB; select less", MAX_BYTES >> 20);
                return Err(QueryError::TooLarge(text).into());
            }
            batches.push(batch);
        }
        Ok((schema, batches))
    }

    /// Puts a checked query's rows aside.
    pub(super) fn put_aside(&self, checked: &Checked) -> Done<Aside> {
        self.aside(&checked.text, &checked.values)
    }

    /// The same for a query of our own.
    pub(super) fn put_aside_of(&self, query: &str) -> Done<Aside> {
        self.aside(query, &[])
    }

    fn aside(&self, query: &str, values: &[NamedValue]) -> Done<Aside> {
        let name = format!("temp.main.{}", sql::ident(&self.next_name()));
        self.rows_with(&format!("CREATE TEMP TABLE {name} AS {query}"), values)?;
        Ok(Aside { sql: name })
    }

    pub(super) fn put_away(&self, aside: &Aside) -> Done<()> {
        self.execute(&format!("DROP TABLE {}", aside.sql))
    }

    /// The names and types of the columns of something that can be selected from, or of a query in parentheses.
    pub(super) fn described(&self, what: &str) -> Done<Vec<(String, String)>> {
        let described = || -> duckdb::Result<Vec<(String, String)>> {
            let mut prepared = self.commit.connection.prepare(&format!("DESCRIBE {what}"))?;
            prepared.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        described().map_err(|error| self.engine(&error))
    }

    /// The columns of a table that would hold a query's rows.
    pub(super) fn columns_of(&self, what: &str) -> Done<Vec<Column>> {
        let column = |(name, type_text): (String, String)| {
            let named = ColumnName::parse(&name).map_err(|error| QueryError::Sql(error.to_string()))?;
            let data_type = DataType::parse(&type_text).map_err(|_| QueryError::Unsupported {
                what: format!("column {named} of type {type_text} in a table"),
                hint: "cast it to a type that tables can hold".to_owned(),
            })?;
            Ok(Column::new(named, data_type))
        };
        self.described(what)?.into_iter().map(column).collect()
    }
}
