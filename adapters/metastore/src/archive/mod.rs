//! What is kept of a project beside its rows, copied out and in: table by table, as it is. Both databases have the same tables and
//! columns, so that what was read from the one can be put into the other.

mod tables;
mod values;

use async_trait::async_trait;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::backup::{ArchiveReader, ArchivedRows, Arrival, MetadataArchive, Told};
use gadwall_domain::ports::metadata::{MetadataTx as _, StoreError};
use serde_json::Value as Json;
use sqlx::AssertSqlSafe;

use crate::migrations;
use crate::postgres::PostgresMetadata;
use crate::sqlite::SqliteMetadata;
use crate::statement::sql;
use crate::tx::SqlTx;

use tables::{Archived, Arrives, OTHERS, PROJECTS, TABLES};
use values::{columns_of, fault, insert, row_of, value_of};

/// Rows that are read at once.
const PAGE: usize = 500;

/// Both databases are copied alike: they differ in how their transactions begin.
macro_rules! archives {
    ($($store:ty),+) => {$(
        #[async_trait]
        impl MetadataArchive for $store {
            fn version(&self) -> i64 {
                version()
            }

            async fn export(&self, project: &ProjectId) -> Result<Box<dyn ArchiveReader>, StoreError> {
                Ok(Reader::open(self.read_tx().await?, project))
            }

            async fn import(&self, arrival: &Arrival, rows: &[ArchivedRows], told: &Told) -> Result<(), StoreError> {
                import(self.write_tx().await?, arrival, rows, told).await
            }

            async fn relate(&self, arrival: &Arrival, rows: &[ArchivedRows]) -> Result<(), StoreError> {
                relate(self.write_tx().await?, arrival, rows).await
            }
        }
    )+};
}

archives!(SqliteMetadata, PostgresMetadata);

fn version() -> i64 {
    migrations::SQLITE.last().map_or(0, |(number, ..)| *number)
}

/// A project's rows, page by page, out of one transaction.
struct Reader {
    tx: SqlTx,
    project: String,
    /// The table that is read, counted from the first.
    at: usize,
    /// What tells the last row that was read from others.
    last: Option<Vec<Json>>,
}

impl Reader {
    fn open(tx: SqlTx, project: &ProjectId) -> Box<dyn ArchiveReader> {
        Box::new(Self { tx, project: project.folded(), at: 0, last: None })
    }
}

#[async_trait]
impl ArchiveReader for Reader {
    async fn next(&mut self) -> Result<Option<ArchivedRows>, StoreError> {
        while let Some(table) = std::iter::once(&PROJECTS).chain(&TABLES).nth(self.at) {
            let page = page(&mut self.tx, table, &self.project, self.last.as_deref()).await?;
            if page.rows.len() < PAGE {
                self.at += 1;
                self.last = None;
            } else if let Some(row) = page.rows.last() {
                let of = |key: &&str| value_of(&page.columns, row, key).cloned();
                self.last = Some(table.key.iter().map(of).collect::<Result<_, _>>()?);
            }
            if !page.rows.is_empty() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }
}

async fn page(
    tx: &mut SqlTx,
    table: &Archived,
    project: &str,
    after: Option<&[Json]>,
) -> Result<ArchivedRows, StoreError> {
    let key = table.key.join(", ");
    let from = match after {
        Some(after) => {
            let places: Vec<String> = (2..after.len() + 2).map(|number| format!("${number}")).collect();
            format!(" AND ({key}) > ({})", places.join(", "))
        }
        None => String::new(),
    };
    let text = format!("SELECT * FROM {} WHERE {}{from} ORDER BY {key} LIMIT {PAGE}", table.name, table.of);
    let mut statement = sql(AssertSqlSafe(text)).bind(project);
    for value in after.unwrap_or_default() {
        statement = match value {
            Json::Number(number) => statement.bind(number.as_i64().unwrap_or_default()),
            value => statement.bind(value.as_str().unwrap_or_default().to_owned()),
        };
    }
    let found = tx.all(statement).await?;
    let columns = found.first().map(columns_of).unwrap_or_default();
    let rows = found.iter().map(row_of).collect::<Result<_, _>>()?;
    Ok(ArchivedRows { table: table.name.to_owned(), columns, rows })
}

/// Puts a project's rows. The whole of it is there, or nothing.
async fn import(mut tx: SqlTx, arrival: &Arrival, rows: &[ArchivedRows], told: &Told) -> Result<(), StoreError> {
    // Whoever remembers projects and keys looks again.
    let _ = tx.projects();
    let name = arrival.name.folded();
    let keeps_its_name = arrival.from.folded() == name;
    let has_past = !tx.all(sql("SELECT 1 AS one FROM audit WHERE project = $1 LIMIT 1").bind(&*name)).await?.is_empty();
    put_project(&mut tx, arrival, rows).await?;
    for table in &TABLES {
        if !matches!(table.arrives, Arrives::ItsPast | Arrives::Related) && !table.project.is_empty() {
            let text = format!("DELETE FROM {} WHERE {}", table.name, table.of);
            tx.run(sql(AssertSqlSafe(text)).bind(&*name)).await?;
        }
    }
    let position = last_position(&mut tx).await?;
    for table in &TABLES {
        let wanted = match table.arrives {
            Arrives::Always => true,
            Arrives::UnderItsName => keeps_its_name,
            Arrives::ItsPast => keeps_its_name && !has_past,
            Arrives::Related => false,
        };
        if wanted {
            let each = rows.iter().filter(|rows| rows.table == table.name);
            for some in each {
                put(&mut tx, table, some, &name, position).await?;
            }
        }
    }
    // The log of events is the installation's: who read on from an older position hears that there is a gap.
    let gap = "INSERT INTO events_forgotten (project, position) VALUES ($1, $2)
               ON CONFLICT (project) DO UPDATE SET position = excluded.position";
    tx.run(sql(gap).bind(&*name).bind(position)).await?;
    tx.append_event(told).await?;
    Box::new(tx).commit().await
}

impl SqlTx {
    async fn append_event(&mut self, told: &Told) -> Result<(), StoreError> {
        self.events().append(std::slice::from_ref(&told.event)).await?;
        self.audit().append(std::slice::from_ref(&told.entry)).await
    }
}

/// The last position of the log of events.
async fn last_position(tx: &mut SqlTx) -> Result<i64, StoreError> {
    let extent = tx.events().extent(None).await?;
    crate::rows::number("position", extent.last)
}

/// Adds the project, or takes the place of one whose data is gone.
async fn put_project(tx: &mut SqlTx, arrival: &Arrival, rows: &[ArchivedRows]) -> Result<(), StoreError> {
    let found = rows.iter().find(|rows| rows.table == PROJECTS.name).and_then(|rows| Some((rows, rows.rows.first()?)));
    let (ArchivedRows { columns, .. }, row) = found.ok_or_else(|| fault("the backup has no project"))?;
    let name = arrival.name.folded();
    let taken = sql("SELECT lake, status, purged_at FROM projects WHERE id_key = $1").bind(&*name);
    let there = match tx.find_row(taken).await? {
        None => false,
        Some(row) if row.get::<String>("status")? == "deleted" && row.get::<Option<i64>>("purged_at")?.is_some() => {
            true
        }
        Some(row)
            if arrival
                .replaces
                .is_some_and(|lake| row.get::<String>("lake").is_ok_and(|is| is == lake.to_string())) =>
        {
            true
        }
        Some(_) => return Err(StoreError::AlreadyExists),
    };
    let mut values = Vec::new();
    for (column, value) in columns.iter().zip(row) {
        let value = match column.as_str() {
            "id_key" => name.clone().into(),
            "id" => arrival.name.as_str().into(),
            "lake" => arrival.lake.uuid().to_string().into(),
            "status" => "active".into(),
            "deleted_at" | "purge_after" | "claimed_until" | "purged_at" => Json::Null,
            "freed_bytes" => 0.into(),
            _ => value.clone(),
        };
        values.push((column.as_str(), value));
    }
    if there {
        let sets: Vec<(&str, Json)> = values.into_iter().filter(|(column, _)| *column != "id_key").collect();
        tx.run(values::update("projects", &sets, "id_key", &name)?).await?;
        return Ok(());
    }
    let columns: Vec<&str> = values.iter().map(|(column, _)| *column).collect();
    let row: Vec<Json> = values.iter().map(|(_, value)| value.clone()).collect();
    tx.run(insert("projects", &columns, &[row], "")?).await.map(drop)
}

/// Puts rows of a table, as those of the project by its new name.
async fn put(
    tx: &mut SqlTx,
    table: &Archived,
    some: &ArchivedRows,
    name: &str,
    position: i64,
) -> Result<u64, StoreError> {
    let kept: Vec<usize> =
        (0..some.columns.len()).filter(|at| some.columns.get(*at).map(String::as_str) != table.counts).collect();
    let columns: Vec<&str> = kept.iter().filter_map(|at| some.columns.get(*at).map(String::as_str)).collect();
    let value = |column: &str, value: &Json| match (table.name, column) {
        (_, column) if column == table.project => name.into(),
        // Nothing was told of what happens from now on, and nobody is at it.
        ("webhooks", "position") => position.into(),
        ("webhooks", "attempts") => 0.into(),
        ("webhooks", "claimed_until" | "error") | ("maintenance", "next_at") => Json::Null,
        ("maintenance", "ending") => "[]".into(),
        _ => value.clone(),
    };
    let row = |row: &Vec<Json>| {
        let of =
            |at: &usize| value(some.columns.get(*at).map_or("", String::as_str), row.get(*at).unwrap_or(&Json::Null));
        kept.iter().map(of).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<Json>> = some.rows.iter().map(row).collect();
    let mut put = 0;
    for part in rows.chunks(values::rows_at_once(columns.len())) {
        put += tx.run(insert(table.name, &columns, part, " ON CONFLICT DO NOTHING")?).await?;
    }
    Ok(put)
}

/// Puts what ties a project to others, as far as these are there.
async fn relate(mut tx: SqlTx, arrival: &Arrival, rows: &[ArchivedRows]) -> Result<(), StoreError> {
    let _ = tx.sharing();
    let name = arrival.name.folded();
    if arrival.from.folded() != name {
        return Ok(());
    }
    for table in TABLES.iter().filter(|table| table.arrives == Arrives::Related) {
        let other = OTHERS.iter().find(|(of, _)| *of == table.name).map(|(_, column)| *column);
        for some in rows.iter().filter(|rows| rows.table == table.name) {
            let mut there = some.clone();
            if let Some(column) = other {
                there.rows.clear();
                for row in &some.rows {
                    let id = value_of(&some.columns, row, column)?.as_str().unwrap_or_default();
                    let look = sql("SELECT 1 AS one FROM projects WHERE id_key = $1 AND status = 'active'").bind(id);
                    if tx.find_row(look).await?.is_some() {
                        there.rows.push(row.clone());
                    }
                }
            }
            put(&mut tx, table, &there, &name, 0).await?;
        }
    }
    Box::new(tx).commit().await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::tables::LEFT_OUT;
    use super::*;
    use crate::SqliteConfig;

    #[tokio::test]
    async fn it_is_decided_of_each_table_whether_backups_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = SqliteConfig {
            path: folder.path().join("m.sqlite"),
            max_readers: 1,
            acquire_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
        };
        let store = SqliteMetadata::open(config).await.unwrap();
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'
                        AND substr(name, 1, 5) <> '_sqlx'";
        let mut tx = store.read_tx().await.unwrap();
        let there: BTreeSet<String> =
            tx.all(sql(names)).await.unwrap().iter().map(|row| row.get("name").unwrap()).collect();
        let decided: BTreeSet<String> =
            TABLES.iter().map(|table| table.name).chain(LEFT_OUT).map(str::to_owned).collect();
        assert_eq!(decided, there);
    }
}
