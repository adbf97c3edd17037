//! Rows that were checked, on their way into their tables.

use std::collections::HashMap;
use std::time::SystemTime;

use gadwall_domain::commit::{Change, RowCounts, WriteOrigin, WriteRecord};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Committed, WriteError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::{Commit, same_shape};
use crate::stage::{Staged, duplicates};
use crate::{sql, structure};

/// Rows that are ready for their table.
pub(crate) struct Append {
    pub(crate) table: TableRef,
    pub(crate) schema: TableSchema,
    pub(crate) staged: Staged,
    pub(crate) origin: WriteOrigin,
}

impl Commit<'_> {
    /// Commits appends: all in one snapshot where they don't get in each other's way, else one by one, so that each
    /// caller hears of its own rows only.
    pub(crate) fn appends(&self, appends: &[Append]) -> Vec<Result<Committed, WriteError>> {
        let filled: Vec<&Append> = appends.iter().filter(|append| append.staged.rows > 0).collect();
        let together = if filled.len() > 1 { self.together(&filled) } else { Err(WriteError::NoTable) };
        let one = |append: &Append| match (&together, append.staged.rows) {
            (_, 0) => {
                Ok(Committed { snapshot: structure::head(self.connection, self.lake)?, rows: RowCounts::default() })
            }
            (Ok(snapshot), rows) => Ok(Committed { snapshot: *snapshot, rows: inserted(rows) }),
            (Err(_), rows) => Ok(Committed { snapshot: self.together(&[append])?, rows: inserted(rows) }),
        };
        appends.iter().map(one).collect()
    }

    /// Appends in one transaction; fails as a whole.
    fn together(&self, appends: &[&Append]) -> Result<SnapshotId, WriteError> {
        let mut tables: Vec<(&TableRef, Vec<&Append>)> = Vec::new();
        for append in appends {
            match tables.iter_mut().find(|(table, _)| **table == append.table) {
                Some((_, same)) => same.push(append),
                None => tables.push((&append.table, vec![append])),
            }
        }
        let started = SystemTime::now();
        self.transaction(|| {
            tables.iter().try_for_each(|(table, appends)| self.insert(table, appends))?;
            let record = |append: &&Append| WriteRecord {
                origin: append.origin.clone(),
                change: Change::RowsAppended { table: append.table.clone(), rows: append.staged.rows },
            };
            self.say(appends.iter().map(record).collect())?;
            tables.iter().try_for_each(|(table, _)| self.make_files_last(table, started))
        })
    }

    /// Inserts appends of one table: DuckLake writes a file for each statement, so rows with the same columns go into
    /// one.
    fn insert(&self, table: &TableRef, appends: &[&Append]) -> Result<(), WriteError> {
        let stored = self.stored_columns(table)?.ok_or(WriteError::NoTable)?;
        if !appends.iter().all(|append| same_shape(&stored, &append.schema)) {
            return Err(WriteError::TableChanged);
        }
        let target = sql::table(self.lake, table);
        self.refuse_known_keys(&target, appends)?;
        let mut selects: HashMap<String, Vec<String>> = HashMap::new();
        for append in appends {
            let names = sql::columns(append.staged.columns.iter().map(|(name, _)| name));
            let select = format!("SELECT {} FROM {}", append.staged.values(), append.staged.relation());
            selects.entry(names).or_default().push(select);
        }
        for (names, selects) in selects {
            self.execute(&format!("INSERT INTO {target} ({names}) {}", selects.join(" UNION ALL ")))?;
        }
        Ok(())
    }

    /// A primary key holds because the writer is alone: what it finds absent stays absent until it commits.
    fn refuse_known_keys(&self, target: &str, appends: &[&Append]) -> Result<(), WriteError> {
        let Some(key) = appends.first().map(|append| append.schema.key_columns()).filter(|key| !key.is_empty()) else {
            return Ok(());
        };
        let names = sql::columns(key);
        let given: Vec<String> = appends.iter().map(|append| append.staged.key_values(key)).collect();
        let given = given.join(" UNION ALL ");
        let known = format!("SELECT {names} FROM ({given}) SEMI JOIN {target} USING ({names})");
        duplicates(self.connection, &known, key)?;
        if appends.len() > 1 {
            // Within one request it was looked for when its rows were staged.
            let twice = format!("SELECT {names} FROM ({given}) GROUP BY ALL HAVING count(*) > 1");
            duplicates(self.connection, &twice, key)?;
        }
        Ok(())
    }
}

fn inserted(rows: u64) -> RowCounts {
    RowCounts { inserted: rows, ..RowCounts::default() }
}
