//! Statements that change what there is: tables and buckets.

use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::Change as Committed;
use gadwall_domain::history::ReadAt;
use gadwall_domain::layout::{Layout, Partition, SortKey};
use gadwall_domain::names::{ColumnName, TableName};
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::query::{Parameters, QueryError};
use gadwall_domain::schema::{Column, DefaultValue, TableSchema};
use gadwall_domain::script::ScriptFault;
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;

use super::names::{Target, no_table};
use super::rows::refused;
use super::{Done, Run, lake_fault, write_fault};
use crate::commit::alter::check_layout;
use crate::commit::build::definitions;
use crate::commit::structure::created;
use crate::gate::lineage::Lineage;
use crate::gate::write::{Change, ColumnDefinition, CreateTable, Name, Statement};
use crate::structure::told;
use crate::{sql, structure};

fn wrong(error: impl std::fmt::Display) -> QueryError {
    QueryError::Sql(error.to_string())
}

impl Run<'_> {
    pub(super) fn structure(&self, statement: Statement) -> Done<()> {
        match statement {
            Statement::CreateBucket { name, or_ignore } => self.create_bucket(&name, or_ignore),
            Statement::DropBucket { name, if_exists, cascade } => self.drop_bucket(&name, if_exists, cascade),
            Statement::DropTable { name, if_exists } => self.drop_table(&name, if_exists),
            Statement::Alter { name, if_exists, change } => self.alter(&name, if_exists, change),
            Statement::CommentOnTable { name, comment } => {
                self.reshape(&name, |_| Ok(Some(Alteration::Comment { column: None, comment })))
            }
            Statement::CommentOnColumn { name, column, comment } => {
                let column = ColumnName::parse(&column).map_err(wrong)?;
                self.reshape(&name, |_| Ok(Some(Alteration::Comment { column: Some(column), comment })))
            }
            Statement::CopyTo { .. } | Statement::CopyFrom { .. } => {
                Err(unsupported("COPY among other statements", "send it alone, or use the import and export endpoints"))
            }
            Statement::CreateView(create) => self.create_view(create),
            Statement::DropView { name, if_exists } => self.drop_view_named(&name, if_exists),
            _ => Err(unsupported("this statement", "send it as a query of its own")),
        }
    }

    fn create_bucket(&self, name: &str, or_ignore: bool) -> Done<()> {
        let bucket = self.bucket_ref(name)?;
        if self.bucket_is_there(&bucket)? {
            if or_ignore {
                return Ok(());
            }
            return Err(write_fault(name, None, WriteError::BucketExists));
        }
        self.execute(&format!("CREATE SCHEMA {}.{}", sql::catalog(self.scope.lake), sql::ident(bucket.as_str())))?;
        self.overlay.borrow_mut().make_bucket(bucket.clone());
        self.change(Committed::BucketCreated { bucket, description: None });
        Ok(())
    }

    fn drop_bucket(&self, name: &str, if_exists: bool, cascade: bool) -> Done<()> {
        let bucket = self.bucket_ref(name)?;
        if !self.bucket_is_there(&bucket)? {
            return if if_exists { Ok(()) } else { Err(write_fault(name, None, WriteError::NoBucket)) };
        }
        let contents = self.contents(&bucket)?;
        let stored = structure::bucket(self.commit.connection, self.scope.lake, &bucket, ReadAt::Head);
        let stored = stored.map_err(lake_fault)?.unwrap_or_else(|| bucket.to_string());
        let dropped = self.commit.drop_bucket_of(&bucket, &stored, &contents, cascade);
        let change = dropped.map_err(|error| write_fault(name, None, error))?;
        self.overlay.borrow_mut().drop_bucket(bucket, contents);
        self.change(change);
        Ok(())
    }

    /// Makes a table; answers how many rows a query filled it with.
    pub(super) fn create_table(&self, create: &CreateTable, parameters: &Parameters) -> Done<Option<u64>> {
        if create.temporary {
            return self.create_temporary(create, parameters);
        }
        let table = self.table_ref(&create.name)?;
        if self.is_there(&table)? {
            if create.if_not_exists {
                return Ok(create.query.as_ref().map(|_| 0));
            }
            if !create.or_replace {
                return Err(write_fault(&table.to_string(), Some(&table), WriteError::TableExists));
            }
        }
        self.refuse_view(&table)?;
        if !self.bucket_is_there(&table.bucket)? {
            return Err(write_fault(&table.bucket.to_string(), None, WriteError::NoBucket));
        }
        let query = match &create.query {
            Some(query) => Some(self.followed(&query.0, parameters)?),
            None => None,
        };
        let aside = query.as_ref().map(|(checked, _)| self.put_aside(checked)).transpose()?;
        let given = match &aside {
            Some(aside) => self.columns_of(&aside.sql)?,
            None => Vec::new(),
        };
        let schema = schema_of(create, given)?;
        if create.or_replace && self.is_there(&table)? {
            self.drop_table(&create.name, true)?;
        }
        self.make(&table, &schema, &layout_of(create)?)?;
        if let Some((checked, lineage)) = &query {
            let names: Vec<&str> = schema.columns().iter().map(|column| column.name.as_str()).collect();
            self.trace(&self.made_target(&table, &schema), &names, lineage, 0, &checked.tables);
        }
        let Some(aside) = aside else { return Ok(None) };
        let rows = if create.no_data { 0 } else { self.fill(&table, &schema, &aside.sql)? };
        self.put_away(&aside)?;
        Ok(Some(rows))
    }

    fn make(&self, table: &TableRef, schema: &TableSchema, layout: &Layout) -> Done<()> {
        let told = |error| write_fault(&table.to_string(), Some(table), error);
        check_layout(layout, schema).map_err(told)?;
        let target = sql::table(self.scope.lake, table);
        self.execute(&format!("CREATE TABLE {target} ({})", definitions(schema.columns())))?;
        self.commit.lay_out(&target, layout).map_err(told)?;
        self.overlay.borrow_mut().make(table.clone(), schema.clone());
        self.change(created(table, schema, layout));
        Ok(())
    }

    /// A table that the script made.
    fn made_target(&self, table: &TableRef, schema: &TableSchema) -> Target {
        let sql = sql::table(self.scope.lake, table);
        Target { name: table.clone(), sql, written: String::new(), schema: Some(schema.clone()) }
    }

    fn fill(&self, table: &TableRef, schema: &TableSchema, source: &str) -> Done<u64> {
        let target = sql::table(self.scope.lake, table);
        let rows = self.rows_of(&format!("INSERT INTO {target} SELECT * FROM {source}"))?;
        let filled = self.made_target(table, schema);
        self.refuse_twins(&filled, schema)?;
        self.appended(&filled, rows);
        Ok(rows)
    }

    /// A temporary table may hide one of a bucket, as in DuckDB.
    fn create_temporary(&self, create: &CreateTable, parameters: &Parameters) -> Done<Option<u64>> {
        if create.name.schema.is_some() || create.name.catalog.is_some() {
            return Err(unsupported("a bucket before a temporary table's name", "leave it out"));
        }
        if !create.primary_key.is_empty() {
            return Err(unsupported("a key of a temporary table", "leave it out, and select distinct rows"));
        }
        let name = TableName::parse(&create.name.table).map_err(wrong)?;
        if self.overlay.borrow().temporary(name.as_str()).is_some() {
            if create.if_not_exists {
                return Ok(None);
            }
            if !create.or_replace {
                return Err(QueryError::Sql(format!("a temporary table {name} is there already")).into());
            }
        }
        let truth = self.next_name();
        let full = format!("temp.main.{}", sql::ident(&truth));
        let rows = if let Some(query) = &create.query {
            let empty = if create.no_data { " WITH NO DATA" } else { "" };
            let (checked, lineage) = self.followed(&query.0, parameters)?;
            let renamed = create.columns.iter().map(|column| sql::ident(&column.name)).collect::<Vec<_>>().join(", ");
            let rows = match &*renamed {
                "" => checked.text,
                names => format!("SELECT * FROM ({}) AS named({names})", checked.text),
            };
            self.rows_with(&format!("CREATE TEMP TABLE {full} AS {rows}{empty}"), &checked.values)?;
            let names: Vec<String> = self.described(&full)?.into_iter().map(|(name, _)| name).collect();
            refuse_other_count(create, names.len())?;
            self.keep_followed(&full, &names, &lineage);
            Some(self.count(&format!("SELECT count(*) FROM {full}"))?)
        } else {
            let schema = schema_of(create, Vec::new())?;
            self.execute(&format!("CREATE TEMP TABLE {full} ({})", definitions(schema.columns())))?;
            let names: Vec<String> = schema.columns().iter().map(|column| column.name.to_string()).collect();
            self.keep_followed(&full, &names, &Lineage::default());
            None
        };
        if let Some(before) = self.overlay.borrow_mut().name_temporary(name.as_str(), truth) {
            self.execute(&format!("DROP TABLE temp.main.{}", sql::ident(&before)))?;
        }
        Ok(rows)
    }

    fn drop_table(&self, name: &Name, if_exists: bool) -> Done<()> {
        let plain = name.catalog.is_none() && name.schema.is_none();
        if plain && let Some(truth) = self.overlay.borrow_mut().forget_temporary(&name.table) {
            return self.execute(&format!("DROP TABLE temp.main.{}", sql::ident(&truth)));
        }
        let table = self.table_ref(name)?;
        if !self.is_there(&table)? {
            if self.is_view(&table)? {
                return Err(unsupported("DROP TABLE of a view", "use DROP VIEW"));
            }
            return if if_exists { Ok(()) } else { Err(no_table(name).into()) };
        }
        let made = self.overlay.borrow().made(&table);
        if made {
            self.execute(&format!("DROP TABLE {}", sql::table(self.scope.lake, &table)))?;
        } else {
            let told =
                told::named(self.commit.connection, self.scope.lake, &table, ReadAt::Head).map_err(lake_fault)?;
            let told = told.ok_or_else(|| no_table(name))?;
            self.execute(&format!("DROP TABLE {}", sql::table(self.scope.lake, &told.name)))?;
        }
        self.overlay.borrow_mut().drop(table.clone());
        self.change(Committed::TableDropped { table });
        Ok(())
    }

    fn alter(&self, name: &Name, if_exists: bool, change: Change) -> Done<()> {
        let table = self.table_ref(name)?;
        if if_exists && !self.is_there(&table)? {
            return Ok(());
        }
        if let Change::RenameTable { to } = &change {
            return self.rename(&table, name, to);
        }
        self.reshape(name, |schema| alteration(change, schema))
    }

    fn rename(&self, table: &TableRef, name: &Name, to: &str) -> Done<()> {
        let to = TableRef { bucket: table.bucket.clone(), table: TableName::parse(to).map_err(wrong)? };
        if self.overlay.borrow().was_reshaped(table) {
            return Err(ScriptFault::MultipleDdl(Box::new(table.clone())));
        }
        let told = told::named(self.commit.connection, self.scope.lake, table, ReadAt::Head).map_err(lake_fault)?;
        let Some(told) = told else {
            let view = self.is_view(table)?;
            return Err(if view { unsupported("renaming a view", "make it anew") } else { no_table(name).into() });
        };
        if self.is_there(&to)? {
            return Err(write_fault(&to.to_string(), Some(&to), WriteError::TableExists));
        }
        self.refuse_view(&to)?;
        let (from, new) = (sql::table(self.scope.lake, &told.name), sql::ident(to.table.as_str()));
        self.execute(&format!("ALTER TABLE {from} RENAME TO {new}"))?;
        let schema = self.known(table);
        let mut overlay = self.overlay.borrow_mut();
        overlay.drop(table.clone());
        if let Some(schema) = schema {
            overlay.make(to.clone(), schema);
        }
        drop(overlay);
        self.change(Committed::TableRenamed { table: table.clone(), to });
        Ok(())
    }

    /// Changes a table's shape, once at most.
    fn reshape(
        &self,
        name: &Name,
        read: impl FnOnce(&TableSchema) -> Result<Option<Alteration>, QueryError>,
    ) -> Done<()> {
        let target = self.target(name)?;
        let Some(schema) = &target.schema else {
            return Err(unsupported("changing a temporary table", "make it anew with CREATE OR REPLACE TEMP TABLE"));
        };
        let Some(alteration) = read(schema)? else { return Ok(()) };
        if self.overlay.borrow().was_reshaped(&target.name) {
            return Err(ScriptFault::MultipleDdl(Box::new(target.name)));
        }
        let told =
            told::named(self.commit.connection, self.scope.lake, &target.name, ReadAt::Head).map_err(lake_fault)?;
        let told = told.ok_or_else(|| no_table(name))?;
        let change = self.commit.alter(&told, &target.name, schema, &alteration);
        let change = change.map_err(|error| refused(&target, error))?;
        let after = alteration.apply(schema).map_err(|error| refused(&target, error.into()))?;
        self.overlay.borrow_mut().reshape(target.name.clone(), after);
        self.change(change);
        Ok(())
    }
}

pub(super) fn unsupported(what: &str, hint: &str) -> ScriptFault {
    QueryError::Unsupported { what: what.to_owned(), hint: hint.to_owned() }.into()
}

fn column(definition: &ColumnDefinition) -> Result<Column, QueryError> {
    let default = match &definition.default {
        Some(text) => DefaultValue::parse(text).map_err(wrong)?,
        None => None,
    };
    let name = ColumnName::parse(&definition.name).map_err(wrong)?;
    let data_type = DataType::parse(&definition.data_type).map_err(wrong)?;
    Ok(Column { nullable: !definition.not_null, default, ..Column::new(name, data_type) })
}

/// Where a query's columns are named, all of them are.
fn refuse_other_count(create: &CreateTable, given: usize) -> Result<(), QueryError> {
    let named = create.columns.len();
    if named == 0 || named == given {
        return Ok(());
    }
    Err(QueryError::Sql(format!("the query gives {given} columns, {named} are named")))
}

/// A table's columns: as defined, or those of a query, perhaps under other names.
fn schema_of(create: &CreateTable, mut given: Vec<Column>) -> Result<TableSchema, QueryError> {
    let mut columns = if create.query.is_some() {
        refuse_other_count(create, given.len())?;
        for (column, named) in given.iter_mut().zip(&create.columns) {
            column.name = ColumnName::parse(&named.name).map_err(wrong)?;
        }
        given
    } else {
        create.columns.iter().map(column).collect::<Result<_, _>>()?
    };
    let key = create.primary_key.iter().map(|name| ColumnName::parse(name).map_err(wrong));
    let key = key.collect::<Result<Vec<_>, _>>()?;
    for column in columns.iter_mut().filter(|column| key.contains(&column.name)) {
        column.nullable = false;
    }
    TableSchema::new(columns, key).map_err(wrong)
}

fn layout_of(create: &CreateTable) -> Result<Layout, QueryError> {
    let partition_by = create.partitioned_by.iter().map(|text| Partition::parse(text).map_err(wrong));
    let sort_by = create.sorted_by.iter().map(|text| SortKey::parse(text).map_err(wrong));
    Ok(Layout { partition_by: partition_by.collect::<Result<_, _>>()?, sort_by: sort_by.collect::<Result<_, _>>()? })
}

/// What is to be done to a table; nothing where it is so already and that was asked for.
fn alteration(change: Change, schema: &TableSchema) -> Result<Option<Alteration>, QueryError> {
    let name = |text: &str| ColumnName::parse(text).map_err(wrong);
    let has = |text: &str| schema.columns().iter().any(|column| column.name.as_str().eq_ignore_ascii_case(text));
    Ok(Some(match change {
        Change::AddColumn { column: added, if_not_exists } => {
            if if_not_exists && has(&added.name) {
                return Ok(None);
            }
            Alteration::AddColumn { column: column(&added)? }
        }
        Change::DropColumn { column, if_exists } => {
            if if_exists && !has(&column) {
                return Ok(None);
            }
            Alteration::DropColumn { column: name(&column)? }
        }
        Change::RenameColumn { column, to } => Alteration::RenameColumn { column: name(&column)?, to: name(&to)? },
        Change::RenameTable { .. } => return Ok(None),
        Change::SetType { column, data_type } => {
            let data_type = DataType::parse(&data_type).map_err(wrong)?;
            Alteration::SetType { column: name(&column)?, data_type }.of_table(schema)
        }
        Change::SetNotNull { column } => Alteration::SetNotNull { column: name(&column)? },
        Change::DropNotNull { column } => Alteration::DropNotNull { column: name(&column)? },
        Change::SetDefault { column, default } => match DefaultValue::parse(&default).map_err(wrong)? {
            Some(default) => Alteration::SetDefault { column: name(&column)?, default },
            None => Alteration::DropDefault { column: name(&column)? },
        },
        Change::DropDefault { column } => Alteration::DropDefault { column: name(&column)? },
        Change::AddPrimaryKey { columns } => {
            Alteration::SetPrimaryKey { columns: columns.iter().map(|text| name(text)).collect::<Result<_, _>>()? }
        }
        Change::DropPrimaryKey => Alteration::DropPrimaryKey,
        Change::PartitionBy { parts } => Alteration::PartitionBy {
            partition_by: parts.iter().map(|text| Partition::parse(text).map_err(wrong)).collect::<Result<_, _>>()?,
        },
        Change::SortBy { keys } => Alteration::SortBy {
            sort_by: keys.iter().map(|text| SortKey::parse(text).map_err(wrong)).collect::<Result<_, _>>()?,
        },
    }))
}
