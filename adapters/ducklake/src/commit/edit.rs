//! Rows that are deleted or changed where a filter means them.

use gadwall_domain::commit::Change;
use gadwall_domain::filter::{Assignment, Filter};
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::TableSchema;

use super::Commit;
use crate::stage::duplicates;
use crate::structure::told::Told;
use crate::{filter, sql, values};

impl Commit<'_> {
    pub(super) fn delete(
        &self,
        told: &Told,
        schema: &TableSchema,
        filter: Option<&Filter>,
    ) -> Result<Option<Change>, WriteError> {
        let condition = values::condition(self.connection, filter, schema.columns())?;
        let target = sql::table(self.lake, &told.name);
        let rows = self.count_of(&format!("DELETE FROM {target} WHERE {condition}"))?;
        let table = told.name.clone();
        Ok(match filter {
            _ if rows == 0 => None,
            Some(_) => Some(Change::RowsDeleted { table, rows }),
            None => Some(Change::TableTruncated { table, rows }),
        })
    }

    pub(super) fn update(
        &self,
        told: &Told,
        schema: &TableSchema,
        filter: Option<&Filter>,
        set: &[Assignment],
    ) -> Result<Option<Change>, WriteError> {
        let columns = schema.columns();
        let condition = values::condition(self.connection, filter, columns)?;
        values::assignments(self.connection, set, columns)?;
        let new = |assignment: &Assignment| {
            let value = filter::value(assignment, columns).map_err(WriteError::BadFilter)?;
            Ok((sql::ident(assignment.column.as_str()), value))
        };
        let new: Vec<(String, String)> = set.iter().map(new).collect::<Result<_, WriteError>>()?;
        let list: Vec<String> = new.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let target = sql::table(self.lake, &told.name);
        let rows = self.count_of(&format!("UPDATE {target} SET {} WHERE {condition}", list.join(", ")))?;
        if rows == 0 {
            return Ok(None);
        }
        let key = schema.key_columns();
        let in_key = set.iter().zip(&new).filter(|(assignment, _)| key.contains(&assignment.column));
        let same: Vec<String> = in_key.map(|(_, (name, value))| format!("{name} = {value}")).collect();
        if !same.is_empty() {
            // Only rows with the new values can have come to share a key.
            let names = sql::columns(key);
            let same = same.join(" AND ");
            let twice = format!("SELECT {names} FROM {target} WHERE {same} GROUP BY ALL HAVING count(*) > 1");
            duplicates(self.connection, &twice, key)?;
        }
        Ok(Some(Change::RowsUpdated { table: told.name.clone(), rows }))
    }
}
