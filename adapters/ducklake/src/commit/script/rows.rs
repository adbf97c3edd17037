//! Rows that statements add, change and delete.

use std::fmt::Write as _;

use gadwall_domain::commit::Change;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::query::{Parameters, QueryError};
use gadwall_domain::rows::{MAX_VIOLATIONS, Violation, Violations};
use gadwall_domain::schema::{Column, TableSchema};

use super::names::Target;
use super::read::Aside;
use super::{Done, Run, origins, write_fault};
use crate::gate::write::{Conflict, Delete, Insert, Name, Part, Update};
use crate::sql;
use crate::stage::duplicates;

/// The number of a row that is changed, among the columns of rows put aside.
pub(super) const ROW: &str = "__gadwall_row";

/// What rows that were to be inserted are called beside those that are there.
const NEW: &str = "__gadwall_new";

/// The name of the value for the column of that place.
pub(super) fn value(place: usize) -> String {
    sql::ident(&format!("__gadwall_{place}"))
}

impl Run<'_> {
    pub(super) fn insert(&self, insert: &Insert, parameters: &Parameters) -> Done<u64> {
        let target = self.target(&insert.name)?;
        let Some(rows) = &insert.rows else {
            return self.insert_defaults(&target);
        };
        let (checked, lineage) = self.followed(&rows.0, parameters)?;
        self.trace_insert(&target, insert, &lineage, &checked.tables);
        let (text, values) = (&checked.text, &checked.values);
        let Some(schema) = &target.schema else {
            if insert.conflict != Conflict::Refuse {
                let (what, hint) = ("ON CONFLICT for a temporary table".to_owned(), "it has no key".to_owned());
                return Err(QueryError::Unsupported { what, hint }.into());
            }
            let (by_name, columns) = (if insert.by_name { "BY NAME " } else { "" }, list(&insert.columns));
            return self.rows_with(&format!("INSERT INTO {} {by_name}{columns} {text}", target.sql), values);
        };
        let held = !schema.key_columns().is_empty() || have_rules(schema.columns());
        if !held && insert.conflict == Conflict::Refuse {
            let by_name = if insert.by_name { "BY NAME " } else { "" };
            let columns = list(&insert.columns);
            let rows = self.rows_with(&format!("INSERT INTO {} {by_name}{columns} {text}", target.sql), values)?;
            self.appended(&target, rows);
            return Ok(rows);
        }
        let aside = self.put_aside(&checked)?;
        let given: Vec<String> = self.described(&aside.sql)?.into_iter().map(|(name, _)| name).collect();
        let wanted = wanted_columns(insert, schema, &given)?;
        let staged = self.staged_as(&aside, &given, &wanted, schema)?;
        self.put_away(&aside)?;
        self.stage_followed(&staged, schema, &wanted, &lineage);
        let rows = self.insert_staged(&target, schema, &staged, insert, parameters)?;
        self.put_away(&staged)?;
        Ok(rows)
    }

    fn insert_defaults(&self, target: &Target) -> Done<u64> {
        let rows = self.rows_of(&format!("INSERT INTO {} DEFAULT VALUES", target.sql))?;
        if let Some(schema) = &target.schema {
            self.refuse_twins(target, schema)?;
            self.appended(target, rows);
        }
        Ok(rows)
    }

    /// Rows as their table has them: all columns, of its types.
    fn staged_as(&self, aside: &Aside, given: &[String], wanted: &[ColumnName], schema: &TableSchema) -> Done<Aside> {
        let select = |column: &Column| {
            let place = wanted.iter().position(|name| *name == column.name);
            let name = sql::ident(column.name.as_str());
            let Some(source) = place.and_then(|place| given.get(place)) else {
                return format!("{} AS {name}", sql::default_of(column));
            };
            let source = sql::ident(source);
            format!("CAST({source} AS {}) AS {name}", column.data_type.without_lengths())
        };
        let columns: Vec<String> = schema.columns().iter().map(select).collect();
        let staged = self.put_aside_of(&format!("SELECT {} FROM {}", columns.join(", "), aside.sql))?;
        Ok(staged)
    }

    fn insert_staged(
        &self,
        target: &Target,
        schema: &TableSchema,
        staged: &Aside,
        insertion: &Insert,
        parameters: &Parameters,
    ) -> Done<u64> {
        let conflict = &insertion.conflict;
        self.refuse_misfits(target, schema.columns(), |column| sql::ident(column.name.as_str()), &staged.sql)?;
        let key = schema.key_columns();
        if let Conflict::Ignore { key: named } | Conflict::Update { key: named, .. } = conflict
            && !named.is_empty()
            && !same_names(named, key)
        {
            let text = format!("ON CONFLICT ({}) names another key than {}'s", named.join(", "), target.name);
            return Err(QueryError::Sql(text).into());
        }
        if key.is_empty() && *conflict != Conflict::Refuse {
            return Err(refused(target, WriteError::NoKey));
        }
        let (names, all) = (sql::columns(key), sql::columns(schema.columns().iter().map(|column| &column.name)));
        let (table, rows) = (&target.sql, &staged.sql);
        let within = format!("SELECT {names} FROM {rows} GROUP BY ALL HAVING count(*) > 1");
        let insert = |from: &str| self.rows_of(&format!("INSERT INTO {table} ({all}) {from}"));
        match conflict {
            Conflict::Refuse => {
                if !key.is_empty() {
                    self.refuse_duplicates(target, &within, key)?;
                    let known = format!("SELECT {names} FROM {rows} SEMI JOIN {table} USING ({names})");
                    self.refuse_duplicates(target, &known, key)?;
                }
                let rows = insert(&format!("SELECT {all} FROM {rows}"))?;
                self.appended(target, rows);
                Ok(rows)
            }
            Conflict::Ignore { .. } => {
                let new = format!("SELECT DISTINCT ON ({names}) {all} FROM {rows} ANTI JOIN {table} USING ({names})");
                let rows = insert(&new)?;
                self.appended(target, rows);
                Ok(rows)
            }
            Conflict::Replace => {
                self.refuse_duplicates(target, &within, key)?;
                let old = format!("SELECT t.rowid FROM {table} AS t SEMI JOIN {rows} USING ({names})");
                let updated = self.rows_of(&format!("DELETE FROM {table} WHERE rowid IN ({old})"))?;
                let rows = insert(&format!("SELECT {all} FROM {rows}"))?;
                self.upserted(target, rows.saturating_sub(updated), updated);
                Ok(rows)
            }
            Conflict::Update { set, filter, .. } => {
                self.refuse_duplicates(target, &within, key)?;
                let own = sql::ident(insertion.alias.as_deref().unwrap_or(&insertion.name.table));
                let changed = self.resolve(target, &own, staged, set, filter.as_ref(), parameters)?;
                let new = insert(&format!("SELECT {all} FROM {rows} ANTI JOIN {table} USING ({names})"))?;
                let updated = self.apply_update(target, schema, &changed, &columns(set))?;
                self.put_away(&changed)?;
                self.upserted(target, new, updated);
                Ok(new + updated)
            }
        }
    }

    /// The new values of rows whose key is among the staged ones. As in DuckDB, `excluded` is what was to be inserted.
    fn resolve(
        &self,
        target: &Target,
        own: &str,
        staged: &Aside,
        set: &[(String, Part)],
        filter: Option<&Part>,
        parameters: &Parameters,
    ) -> Done<Aside> {
        let truth = origins::truth(&staged.sql).to_owned();
        let before = self.overlay.borrow_mut().name_temporary("excluded", truth);
        let same: Vec<String> = target
            .schema
            .iter()
            .flat_map(TableSchema::key_columns)
            .map(|name| sql::ident(name.as_str()))
            .map(|name| format!("{own}.{name} = excluded.{name}"))
            .collect();
        // As a struct, so that only `excluded.x` means its columns: `x` alone is the table's.
        let query = format!(
            "FROM {} AS {own} JOIN (FROM excluded AS {NEW} SELECT {NEW} AS excluded) AS {NEW} ON ({})
             SELECT {own}.rowid AS {ROW}{}{}",
            target.written,
            same.join(" AND "),
            selected(set),
            filtered(filter)
        );
        let checked = self.followed(&query, parameters);
        let mut overlay = self.overlay.borrow_mut();
        match before {
            Some(before) => drop(overlay.name_temporary("excluded", before)),
            None => drop(overlay.forget_temporary("excluded")),
        }
        drop(overlay);
        let (checked, lineage) = checked?;
        self.trace(target, &columns(set), &lineage, 1, &checked.tables);
        self.put_aside(&checked)
    }

    pub(super) fn update(&self, update: &Update, parameters: &Parameters) -> Done<u64> {
        let target = self.target(&update.name)?;
        let alias = sql::ident(update.alias.as_deref().unwrap_or(&update.name.table));
        let from = update.from.as_ref().map_or_else(String::new, |from| format!(", {}", from.0));
        let query = format!(
            "{} SELECT {alias}.rowid AS {ROW}{} FROM {} AS {alias}{from}{}",
            update.with.0,
            selected(&update.set),
            target.written,
            filtered(update.filter.as_ref())
        );
        let (checked, lineage) = self.followed(&query, parameters)?;
        let changed = self.put_aside(&checked)?;
        self.expect_columns(&changed, update.set.len() + 1)?;
        let names = columns(&update.set);
        self.trace(&target, &names, &lineage, 1, &checked.tables);
        let rows = match &target.schema {
            Some(schema) => self.apply_update(&target, schema, &changed, &names)?,
            None => self.rows_of(&update_from(&target, &changed, &names))?,
        };
        self.put_away(&changed)?;
        if target.schema.is_some() && rows > 0 {
            self.change(Change::RowsUpdated { table: target.name.clone(), rows });
        }
        Ok(rows)
    }

    /// Gives rows their new values, which were put aside by the rows' numbers.
    pub(super) fn apply_update(
        &self,
        target: &Target,
        schema: &TableSchema,
        changed: &Aside,
        names: &[&str],
    ) -> Done<u64> {
        let mut set = Vec::new();
        for name in names {
            let column = schema.columns().iter().find(|column| column.name.as_str().eq_ignore_ascii_case(name));
            let column =
                column.ok_or_else(|| QueryError::Sql(format!("table {} has no column {name}", target.name)))?;
            if set.iter().any(|known: &&Column| known.name == column.name) {
                return Err(QueryError::Sql(format!("column {name} is set twice")).into());
            }
            set.push(column);
        }
        let place = |column: &Column| set.iter().position(|other| other.name == column.name).unwrap_or_default();
        let owned: Vec<Column> = set.iter().map(|column| (*column).clone()).collect();
        let source = |column: &Column| value(place(column));
        self.refuse_misfits(target, &owned, source, &changed.sql)?;
        let rows = self.rows_of(&update_from(target, changed, names))?;
        if owned.iter().any(|column| schema.key_columns().contains(&column.name)) {
            self.refuse_twins(target, schema)?;
        }
        Ok(rows)
    }

    pub(super) fn delete(&self, delete: &Delete, parameters: &Parameters) -> Done<u64> {
        let target = self.target(&delete.name)?;
        if delete.using.is_none() && delete.filter.is_none() {
            return self.empty(&target);
        }
        let alias = sql::ident(delete.alias.as_deref().unwrap_or(&delete.name.table));
        let using = delete.using.as_ref().map_or_else(String::new, |using| format!(", {}", using.0));
        let query = format!(
            "{} SELECT {alias}.rowid AS {ROW} FROM {} AS {alias}{using}{}",
            delete.with.0,
            target.written,
            filtered(delete.filter.as_ref())
        );
        let (checked, lineage) = self.followed(&query, parameters)?;
        let meant = self.put_aside(&checked)?;
        self.expect_columns(&meant, 1)?;
        self.trace(&target, &[], &lineage, 1, &checked.tables);
        let rows = self.delete_numbered(&target, &format!("SELECT {ROW} FROM {}", meant.sql))?;
        self.put_away(&meant)?;
        if target.schema.is_some() && rows > 0 {
            self.change(Change::RowsDeleted { table: target.name.clone(), rows });
        }
        Ok(rows)
    }

    pub(super) fn delete_numbered(&self, target: &Target, numbers: &str) -> Done<u64> {
        self.rows_of(&format!("DELETE FROM {} WHERE rowid IN ({numbers})", target.sql))
    }

    pub(super) fn truncate(&self, name: &Name) -> Done<u64> {
        self.empty(&self.target(name)?)
    }

    fn empty(&self, target: &Target) -> Done<u64> {
        let rows = self.rows_of(&format!("DELETE FROM {}", target.sql))?;
        if target.schema.is_some() && rows > 0 {
            self.change(Change::TableTruncated { table: target.name.clone(), rows });
        }
        Ok(rows)
    }

    pub(super) fn appended(&self, target: &Target, rows: u64) {
        if rows > 0 {
            self.change(Change::RowsAppended { table: target.name.clone(), rows });
        }
    }

    pub(super) fn upserted(&self, target: &Target, inserted: u64, updated: u64) {
        if inserted + updated > 0 {
            self.change(Change::RowsUpserted { table: target.name.clone(), inserted, updated });
        }
    }

    fn refuse_duplicates(&self, target: &Target, statement: &str, key: &[ColumnName]) -> Done<()> {
        duplicates(self.commit.connection, statement, key).map_err(|error| refused(target, error))
    }

    /// Looks at the whole table: for changes that may have made any of its keys the same.
    pub(super) fn refuse_twins(&self, target: &Target, schema: &TableSchema) -> Done<()> {
        let key = schema.key_columns();
        if key.is_empty() {
            return Ok(());
        }
        let names = sql::columns(key);
        let twice = format!("SELECT {names} FROM {} GROUP BY ALL HAVING count(*) > 1", target.sql);
        self.refuse_duplicates(target, &twice, key)
    }

    /// Lengths and checks, which DuckLake doesn't know. `source` is where a column's values are found.
    pub(super) fn refuse_misfits(
        &self,
        target: &Target,
        columns: &[Column],
        source: impl Fn(&Column) -> String,
        rows: &str,
    ) -> Done<()> {
        let mut found = Violations::default();
        for column in columns {
            let typed = format!("CAST({} AS {})", source(column), column.data_type.without_lengths());
            for (broken, reason) in sql::rules(column, &typed) {
                let count = self.count(&format!("SELECT count(*) FROM {rows} WHERE {broken}"))?;
                if count > 0 {
                    let reason = format!("in {count} rows it {reason}");
                    found.push(Violation { row: 1, column: Some(column.name.to_string()), reason });
                    found.add_count(count.saturating_sub(1).min(MAX_VIOLATIONS as u64));
                }
            }
        }
        if found.is_empty() { Ok(()) } else { Err(refused(target, WriteError::Violations(found))) }
    }

    /// A part that was cut wrongly could give more or fewer values than are meant.
    pub(super) fn expect_columns(&self, aside: &Aside, count: usize) -> Done<()> {
        let found = self.described(&aside.sql)?.len();
        if found == count {
            return Ok(());
        }
        let what = "this way of writing the statement".to_owned();
        let hint = "put each expression into parentheses".to_owned();
        Err(QueryError::Unsupported { what, hint }.into())
    }
}

/// A target that can't be changed as a statement wants.
pub(super) fn refused(target: &Target, error: WriteError) -> super::ScriptFault {
    write_fault(&target.name.to_string(), Some(&target.name), error)
}

fn update_from(target: &Target, changed: &Aside, names: &[&str]) -> String {
    let set: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(place, name)| format!("{} = __gadwall_new.{}", sql::ident(name), value(place)))
        .collect();
    // Where several rows of the source mean one of the table, any of them counts.
    format!(
        "UPDATE {} AS __gadwall_old SET {} FROM (SELECT DISTINCT ON ({ROW}) * FROM {}) AS __gadwall_new
          WHERE __gadwall_old.rowid = __gadwall_new.{ROW}",
        target.sql,
        set.join(", "),
        changed.sql
    )
}

/// The values that are set, each under a name of its own.
pub(super) fn selected(set: &[(String, Part)]) -> String {
    let mut text = String::new();
    for (place, (_, part)) in set.iter().enumerate() {
        let _ = write!(text, ", ({}) AS {}", part.0, value(place));
    }
    text
}

pub(super) fn filtered(filter: Option<&Part>) -> String {
    filter.map_or_else(String::new, |filter| format!(" WHERE ({})", filter.0))
}

pub(super) fn columns(set: &[(String, Part)]) -> Vec<&str> {
    set.iter().map(|(name, _)| name.as_str()).collect()
}

fn list(columns: &[String]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    format!("({})", columns.iter().map(|name| sql::ident(name)).collect::<Vec<_>>().join(", "))
}

/// Whether the columns have rules that DuckLake doesn't know.
fn have_rules(columns: &[Column]) -> bool {
    columns.iter().any(|column| column.data_type.max_chars().is_some() || !column.checks.is_empty())
}

fn same_names(named: &[String], key: &[ColumnName]) -> bool {
    named.len() == key.len()
        && named.iter().all(|name| key.iter().any(|column| column.as_str().eq_ignore_ascii_case(name)))
}

/// The columns that the rows' values are for, in the values' order.
fn wanted_columns(insert: &Insert, schema: &TableSchema, given: &[String]) -> Result<Vec<ColumnName>, QueryError> {
    let find = |name: &str| {
        let found = schema.columns().iter().find(|column| column.name.as_str().eq_ignore_ascii_case(name));
        found
            .map(|column| column.name.clone())
            .ok_or_else(|| QueryError::Sql(format!("the table has no column {name}")))
    };
    let names: Vec<ColumnName> = if insert.by_name {
        given.iter().map(|name| find(name)).collect::<Result<_, _>>()?
    } else if insert.columns.is_empty() {
        schema.columns().iter().map(|column| column.name.clone()).collect()
    } else {
        insert.columns.iter().map(|name| find(name)).collect::<Result<_, _>>()?
    };
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(QueryError::Sql(format!("column {} is given twice", twice.1)));
    }
    if names.len() != given.len() {
        let text = format!("{} values are given for {} columns", given.len(), names.len());
        return Err(QueryError::Sql(text));
    }
    Ok(names)
}
