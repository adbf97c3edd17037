//! Tables that change their shape.
//!
//! DuckLake takes one change of a table in a transaction, and some not at all; then the table is built anew with the
//! rows that it has.

use gadwall_domain::alteration::{Alteration, AlterationError};
use gadwall_domain::commit::Change;
use gadwall_domain::history::ReadAt;
use gadwall_domain::layout::{Layout, Partition, Transform};
use gadwall_domain::names::{ColumnName, TableName};
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::{Column, DefaultValue, SchemaError, TableSchema};
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;

use super::Commit;
use super::build::{Plan, added, sort_keys};
use crate::error::{Failure, classify, lake_error};
use crate::stage::duplicates;
use crate::structure::told::{self, Told};
use crate::version::{name_with_rows_of, version};
use crate::{sql, structure, values};

impl Commit<'_> {
    pub(super) fn rename_table(&self, told: &Told, table: &TableRef, to: &TableName) -> Result<Change, WriteError> {
        let renamed = TableRef { bucket: told.name.bucket.clone(), table: to.clone() };
        if told::named(self.connection, self.lake, &renamed, ReadAt::Head)?.is_some() {
            return Err(WriteError::TableExists);
        }
        self.no_view(&renamed)?;
        let target = sql::table(self.lake, &told.name);
        self.execute(&format!("ALTER TABLE {target} RENAME TO {}", sql::ident(to.as_str())))?;
        Ok(Change::TableRenamed { table: table.clone(), to: renamed })
    }

    pub(super) fn alter(
        &self,
        told: &Told,
        table: &TableRef,
        schema: &TableSchema,
        alteration: &Alteration,
    ) -> Result<Change, WriteError> {
        // The commit's document tells the whole shape: what the caller doesn't know would be told wrongly.
        if !same_defaults(&told.columns, schema) {
            return Err(WriteError::TableChanged);
        }
        let after = alteration.apply(schema)?;
        self.carry_out(told, schema, alteration, &after)?;
        Ok(Change::TableAltered {
            table: table.clone(),
            alteration: alteration.clone(),
            columns: after.columns().to_vec(),
            primary_key: after.key_columns().to_vec(),
        })
    }

    fn carry_out(
        &self,
        told: &Told,
        schema: &TableSchema,
        alteration: &Alteration,
        after: &TableSchema,
    ) -> Result<(), WriteError> {
        let target = sql::table(self.lake, &told.name);
        let change = |what: String| self.execute(&format!("ALTER TABLE {target} {what}"));
        match alteration {
            Alteration::AddColumn { column } => self.add_column(told, after, column)?,
            Alteration::DropColumn { column } => {
                told.layout.require_without(column)?;
                change(format!("DROP COLUMN {}", sql::ident(column.as_str())))?;
            }
            Alteration::RenameColumn { column, to } => self.rename_column(told, column, to)?,
            Alteration::SetType { column, data_type } => self.set_type(told, column, data_type)?,
            Alteration::Retype { column, .. } => {
                find(after.columns(), column).map_or(Ok(()), |column| self.retype(told, column, after))?;
            }
            Alteration::SetNotNull { column } => {
                self.refuse_nulls(told, column)?;
                self.set_not_null(told, std::slice::from_ref(column), after)?;
            }
            Alteration::DropNotNull { column } if find(&told.columns, column).is_some_and(|column| column.nullable) => {
                self.touch(told)?;
            }
            Alteration::DropNotNull { column } => {
                change(format!("ALTER COLUMN {} DROP NOT NULL", sql::ident(column.as_str())))?;
            }
            Alteration::SetDefault { column, default } => {
                find(after.columns(), column).map_or(Ok(()), |column| self.check_default(column))?;
                let (name, value) = (sql::ident(column.as_str()), sql::text(default.as_str()));
                change(format!("ALTER COLUMN {name} SET DEFAULT {value}"))?;
            }
            Alteration::DropDefault { column } => {
                change(format!("ALTER COLUMN {} DROP DEFAULT", sql::ident(column.as_str())))?;
            }
            Alteration::SetChecks { column, .. } => {
                find(after.columns(), column).map_or(Ok(()), |column| self.hold_rows(told, column))?;
                self.touch(told)?;
            }
            Alteration::SetPrimaryKey { columns } => self.set_key(told, columns, after)?,
            Alteration::DropPrimaryKey | Alteration::Contract { .. } => self.touch(told)?,
            Alteration::Comment { column: None, comment } => {
                self.execute(&self.comment_on_table(&target, comment.as_deref()))?;
            }
            Alteration::Comment { column: Some(column), comment } => {
                self.execute(&self.comment_on_column(&target, column, comment.as_deref()))?;
            }
            Alteration::PartitionBy { partition_by } => {
                self.refuse_late_buckets(told, partition_by)?;
                let layout = Layout { partition_by: partition_by.clone(), sort_by: Vec::new() };
                self.set_layout(told, schema, &layout, "PARTITIONED", told.layout.partition_by.is_empty())?;
            }
            Alteration::SortBy { sort_by } => {
                let layout = Layout { partition_by: Vec::new(), sort_by: sort_by.clone() };
                self.set_layout(told, schema, &layout, "SORTED", told.layout.sort_by.is_empty())?;
            }
            Alteration::Together { steps } => self.alter_together(told, schema, steps)?,
        }
        Ok(())
    }

    /// What only the commit tells of changes nothing here: its rows must fit. The last one makes the snapshot.
    fn alter_together(&self, told: &Told, schema: &TableSchema, steps: &[Alteration]) -> Result<(), WriteError> {
        let Some((last, before)) = steps.split_last() else { return self.touch(told) };
        let mut shape = schema.clone();
        for step in before {
            shape = step.apply(&shape)?;
            match step {
                Alteration::SetChecks { column, .. } => {
                    find(shape.columns(), column).map_or(Ok(()), |column| self.hold_rows(told, column))?;
                }
                Alteration::SetPrimaryKey { columns } => self.refuse_duplicates(told, columns)?,
                Alteration::Retype { column, .. } => {
                    let (now, then) = (find(&told.columns, column), find(shape.columns(), column));
                    now.zip(then).map_or(Ok(()), |(now, then)| self.refuse_loss(told, now, then))?;
                }
                _ => {}
            }
        }
        let after = last.apply(&shape)?;
        self.carry_out(told, &shape, last, &after)
    }

    /// Once a table is partitioned by buckets, DuckLake looks for a value only in files of its bucket, and finds nothing
    /// in files from before: rows would be missing from answers and escape deletion. So such a table must be empty.
    fn refuse_late_buckets(&self, told: &Told, partition_by: &[Partition]) -> Result<(), WriteError> {
        let by_bucket = partition_by.iter().any(|part| matches!(part.transform, Transform::Bucket(_)));
        if by_bucket && structure::has_files(self.connection, self.lake, told.id)? {
            let reason = "a table can be partitioned by buckets only while it has never held rows; \
                          make another table with this partitioning and import the rows there";
            return Err(AlterationError::Layout(reason.to_owned()).into());
        }
        Ok(())
    }

    fn add_column(&self, told: &Told, after: &TableSchema, column: &Column) -> Result<(), WriteError> {
        self.check_default(column)?;
        if column.nullable {
            let target = sql::table(self.lake, &told.name);
            return Ok(self.execute(&format!("ALTER TABLE {target} ADD COLUMN {}", added(column)))?);
        }
        let target = sql::table(self.lake, &told.name);
        if column.default.is_none() && self.count(&format!("SELECT count(*) FROM {target}"))? > 0 {
            return Err(AlterationError::NeedsDefault(column.name.clone()).into());
        }
        let old = sql::columns(told.columns.iter().map(|column| &column.name));
        self.rebuild(told, after, &format!("{old}, {}", sql::default_of(column)))
    }

    /// A column in the sort order is renamed there, too: DuckLake keeps the order as text.
    fn rename_column(&self, told: &Told, column: &ColumnName, to: &ColumnName) -> Result<(), WriteError> {
        let target = sql::table(self.lake, &told.name);
        let (old, new) = (sql::ident(column.as_str()), sql::ident(to.as_str()));
        self.execute(&format!("ALTER TABLE {target} RENAME COLUMN {old} TO {new}"))?;
        let mut keys = told.layout.sort_by.clone();
        if !keys.iter().any(|key| key.column == *column) {
            return Ok(());
        }
        keys.iter_mut().filter(|key| key.column == *column).for_each(|key| key.column = to.clone());
        Ok(self.execute(&format!("ALTER TABLE {target} SET SORTED BY ({})", sort_keys(&keys)))?)
    }

    fn set_type(&self, told: &Told, column: &ColumnName, data_type: &DataType) -> Result<(), WriteError> {
        let wanted = data_type.without_lengths();
        let Some(now) = find(&told.columns, column) else {
            return Err(AlterationError::NoColumn(column.clone()).into());
        };
        if now.data_type == wanted {
            return self.touch(told);
        }
        // The same number of another type has another hash.
        let hashed = |transform| matches!(transform, Transform::Bucket(_));
        if told.layout.partition_by.iter().any(|part| part.column == *column && hashed(part.transform)) {
            return Err(AlterationError::ColumnInUse { column: column.clone(), part: "partitioning" }.into());
        }
        let target = sql::table(self.lake, &told.name);
        let statement =
            format!("ALTER TABLE {target} ALTER COLUMN {} SET DATA TYPE {wanted}", sql::ident(column.as_str()));
        self.connection.execute_batch(&statement).map_err(|error| match classify(&error) {
            Failure::Statement => {
                let (from, to) = (now.data_type.spelling(), wanted.spelling());
                AlterationError::NotWider { from, to, why: "the files that are there can't be read as it" }.into()
            }
            _ => lake_error(&error).into(),
        })
    }

    /// Every value that is there must come back as it was when it is turned into the new type and back.
    fn retype(&self, told: &Told, column: &Column, after: &TableSchema) -> Result<(), WriteError> {
        told.layout.require_without(&column.name)?;
        let Some(now) = find(&told.columns, &column.name) else {
            return Err(AlterationError::NoColumn(column.name.clone()).into());
        };
        self.refuse_loss(told, now, column)?;
        self.check_default(column)?;
        let wanted = column.data_type.without_lengths();
        if now.data_type == wanted {
            return self.touch(told);
        }
        let select = told.columns.iter().map(|each| {
            let name = sql::ident(each.name.as_str());
            if each.name == column.name { format!("CAST({name} AS {wanted})") } else { name }
        });
        self.rebuild(told, after, &select.collect::<Vec<_>>().join(", "))
    }

    fn refuse_loss(&self, told: &Told, now: &Column, column: &Column) -> Result<(), WriteError> {
        let (target, name) = (sql::table(self.lake, &told.name), sql::ident(column.name.as_str()));
        let there = format!("TRY_CAST({name} AS {})", column.data_type.without_lengths());
        let back = format!("TRY_CAST({there} AS {})", now.data_type);
        let lost = format!("{back} IS DISTINCT FROM {name}");
        let broken = sql::rules(column, &there).map(|(broken, _)| format!("({broken})"));
        let any = std::iter::once(lost).chain(broken).collect::<Vec<_>>().join(" OR ");
        let statement = format!("SELECT count(*) FROM {target} WHERE {any}");
        let lost = self.connection.query_row(&statement, [], |row| row.get::<_, i64>(0));
        let lost = lost.map_err(|error| match classify(&error) {
            Failure::Statement => {
                let (from, to) = (now.data_type.spelling(), column.data_type.spelling());
                AlterationError::NotWider { from, to, why: "there is no way from the one to the other" }.into()
            }
            _ => WriteError::from(lake_error(&error)),
        })?;
        match lost.unsigned_abs() {
            0 => Ok(()),
            rows => {
                let (column, to) = (column.name.clone(), column.data_type.spelling());
                Err(AlterationError::WouldLose { column, to, rows }.into())
            }
        }
    }

    fn set_key(&self, told: &Told, key: &[ColumnName], after: &TableSchema) -> Result<(), WriteError> {
        self.refuse_duplicates(told, key)?;
        self.set_not_null(told, key, after)
    }

    /// Rows that are there must be told apart by a key.
    fn refuse_duplicates(&self, told: &Told, key: &[ColumnName]) -> Result<(), WriteError> {
        key.iter().try_for_each(|column| self.refuse_nulls(told, column))?;
        let (names, target) = (sql::columns(key), sql::table(self.lake, &told.name));
        let twice = format!("SELECT {names} FROM {target} GROUP BY ALL HAVING count(*) > 1");
        duplicates(self.connection, &twice, key)
    }

    fn refuse_nulls(&self, told: &Told, column: &ColumnName) -> Result<(), WriteError> {
        let (target, name) = (sql::table(self.lake, &told.name), sql::ident(column.as_str()));
        match self.count(&format!("SELECT count(*) FROM {target} WHERE {name} IS NULL"))? {
            0 => Ok(()),
            rows => Err(AlterationError::HasNulls { column: column.clone(), rows }.into()),
        }
    }

    /// Columns without NULLs may not be NULL from now on. DuckLake wants statistics for it that it doesn't always have
    /// (of added columns, nested ones, and empty tables there are none), and takes one column at a time.
    fn set_not_null(&self, told: &Told, columns: &[ColumnName], after: &TableSchema) -> Result<(), WriteError> {
        let nullable = |name: &&ColumnName| find(&told.columns, name).is_some_and(|column| column.nullable);
        let wanted: Vec<&ColumnName> = columns.iter().filter(nullable).collect();
        if wanted.is_empty() {
            return self.touch(told);
        }
        if let [column] = wanted.as_slice() {
            let target = sql::table(self.lake, &told.name);
            let statement = format!("ALTER TABLE {target} ALTER COLUMN {} SET NOT NULL", sql::ident(column.as_str()));
            match self.connection.execute_batch(&statement) {
                Ok(()) => return Ok(()),
                Err(error) if classify(&error) == Failure::Statement => {}
                Err(error) => return Err(lake_error(&error).into()),
            }
        }
        self.rebuild(told, after, &sql::columns(told.columns.iter().map(|column| &column.name)))
    }

    /// Builds the table anew with the rows that it has.
    fn rebuild(&self, told: &Told, after: &TableSchema, select: &str) -> Result<(), WriteError> {
        let rows = version(self.connection, self.lake, told.id)?.rows;
        let head = structure::head(self.connection, self.lake)?;
        let plan = Plan {
            columns: after.columns(),
            layout: &told.layout,
            comments: &told.comments,
            rows: Some(format!("SELECT {select} FROM {}", sql::table(self.lake, &told.name))),
        };
        self.build(&told.name, Some(told), &name_with_rows_of(rows, head, told.root), &plan).map(drop)
    }

    fn set_layout(
        &self,
        told: &Told,
        schema: &TableSchema,
        layout: &Layout,
        word: &str,
        is_plain: bool,
    ) -> Result<(), WriteError> {
        check_layout(layout, schema)?;
        if !layout.is_plain() {
            return self.lay_out(&sql::table(self.lake, &told.name), layout);
        }
        if is_plain {
            return self.touch(told);
        }
        Ok(self.execute(&format!("ALTER TABLE {} RESET {word} BY", sql::table(self.lake, &told.name)))?)
    }

    /// Rows that are there must pass a column's checks.
    fn hold_rows(&self, told: &Told, column: &Column) -> Result<(), WriteError> {
        values::checks_fit(self.connection, column)?;
        let (target, name) = (sql::table(self.lake, &told.name), sql::ident(column.name.as_str()));
        let broken: Vec<String> =
            column.checks.each().map(|check| format!("({})", sql::breaks(check, &name, &column.data_type))).collect();
        if broken.is_empty() {
            return Ok(());
        }
        match self.count(&format!("SELECT count(*) FROM {target} WHERE {}", broken.join(" OR ")))? {
            0 => Ok(()),
            rows => Err(AlterationError::BreaksChecks { column: column.name.clone(), rows }.into()),
        }
    }

    /// A default must be a value of its column: DuckLake takes any text.
    pub(super) fn check_default(&self, column: &Column) -> Result<(), WriteError> {
        if values::default_fits(self.connection, column)? {
            return values::checks_fit(self.connection, column);
        }
        let text = column.default.as_ref().map_or("", DefaultValue::as_str);
        Err(AlterationError::Schema(SchemaError::Default(text.chars().take(60).collect())).into())
    }
}

/// A layout is of columns that are there, and can be had of their types.
pub(super) fn check_layout(layout: &Layout, schema: &TableSchema) -> Result<(), WriteError> {
    if let Some(part) = layout.partition_by.iter().find(|part| part.transform == Transform::Bucket(0)) {
        return Err(AlterationError::Layout(format!("{part} has no bucket; use at least one")).into());
    }
    layout.check(schema).map_err(|error| AlterationError::Layout(error.to_string()).into())
}

fn same_defaults(stored: &[Column], schema: &TableSchema) -> bool {
    stored.iter().zip(schema.columns()).all(|(stored, known)| stored.default == known.default)
}

fn find<'a>(columns: &'a [Column], name: &ColumnName) -> Option<&'a Column> {
    columns.iter().find(|column| column.name == *name)
}
