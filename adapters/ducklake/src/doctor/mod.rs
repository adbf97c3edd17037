//! What is wrong with a catalog, told and mended.
//!
//! Rules of the catalog's own tables are statements (`checks`). Beside them, files are compared with what the catalog says of them:
//! whether they are there, how large they are, and how many rows their own footers count.

mod checks;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::Connection;
use gadwall_domain::commit::RowCounts;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::doctor::{Finding, LakeDoctor, Severity};
use gadwall_domain::ports::lake::{Committed, LakeError, WriteError};

use crate::area::{self, Area, DataFile};
use crate::cloud::CloudLakes;
use crate::error::{io_error, lake_error};
use crate::sql;
use crate::store::EmbeddedLakes;
use crate::structure::{on, rows};
use crate::writer::Ready;

use checks::CHECKS;

/// What one finding names at most.
const TOLD: usize = 10;
/// Files whose footers are read in one statement.
const AT_ONCE: usize = 500;

/// A file that the catalog names.
struct Named {
    name: String,
    bytes: u64,
    /// Rows in it; none of a file of deletions, or of one that is encrypted.
    rows: Option<u64>,
}

#[async_trait]
impl LakeDoctor for EmbeddedLakes {
    async fn examine(&self, lake: LakeId) -> Result<Vec<Finding>, LakeError> {
        let area = Arc::clone(&self.shared.area);
        self.read(lake, move |connection: &Connection| examine(connection, lake, &*area)).await
    }

    async fn repair(&self, lake: LakeId) -> Result<(), WriteError> {
        let work = move |commit: &crate::commit::Commit<'_>| {
            mend(commit.connection(), lake)?;
            Ok(Committed { snapshot: SnapshotId::ZERO, rows: RowCounts::default() })
        };
        self.submit(lake, Ready::Alone(Box::new(work))).await?;
        // The engine knows the catalog as it was.
        self.catalogs.reopen(lake);
        Ok(())
    }
}

#[async_trait]
impl LakeDoctor for CloudLakes {
    async fn examine(&self, lake: LakeId) -> Result<Vec<Finding>, LakeError> {
        self.of(lake).await?.examine(lake).await
    }

    async fn repair(&self, lake: LakeId) -> Result<(), WriteError> {
        self.of(lake).await?.repair(lake).await?;
        self.reopen(lake);
        Ok(())
    }
}

fn examine(connection: &Connection, lake: LakeId, area: &dyn Area) -> Result<Vec<Finding>, LakeError> {
    let mut findings = Vec::new();
    for check in &CHECKS {
        let found = rows(connection, &on(lake, check.find), &[], |row| row.get::<_, String>(0))?;
        findings.extend(finding(check.code, check.severity, check.means, !check.mend.is_empty(), found));
    }
    // First what is named, then what is there: what is named by then isn't removed for a while.
    let named = named(connection, lake)?;
    let there = area::by_name(area.list(&area.data(lake)).map_err(io_error)?);
    let missing = named.iter().filter(|file| !there.contains_key(&file.name)).map(|file| file.name.clone());
    findings.extend(finding(
        "file_missing",
        Severity::Error,
        "the catalog names files that aren't in storage: versions that have them can't be read. Put the files back, or restore the \
         project from a backup",
        false,
        missing.collect(),
    ));
    let different = named.iter().filter_map(|file| {
        let found = there.get(&file.name).filter(|found| found.bytes != file.bytes)?;
        Some(format!("{} has {} bytes instead of {}", file.name, found.bytes, file.bytes))
    });
    findings.extend(finding(
        "file_size_differs",
        Severity::Error,
        "files in storage are not those that were written: put them back, or restore the project from a backup",
        false,
        different.collect(),
    ));
    findings.extend(finding(
        "row_count_differs",
        Severity::Error,
        "the catalog counts other rows than files hold, so that counts lie. Restore the project from a backup, or write the table anew",
        false,
        miscounted(connection, &named, &there)?,
    ));
    Ok(findings)
}

fn finding(
    code: &'static str,
    severity: Severity,
    means: &'static str,
    repairable: bool,
    mut subjects: Vec<String>,
) -> Option<Finding> {
    let count = subjects.len() as u64;
    subjects.truncate(TOLD);
    (count > 0).then_some(Finding { code, severity, count, subjects, means, repairable })
}

/// All files that any snapshot shows.
fn named(connection: &Connection, lake: LakeId) -> Result<Vec<Named>, LakeError> {
    let statement = on(
        lake,
        "SELECT path, file_size_bytes, CASE WHEN encryption_key IS NULL THEN record_count END FROM {md}.ducklake_data_file
          UNION ALL SELECT path, file_size_bytes, NULL FROM {md}.ducklake_delete_file ORDER BY 1",
    );
    rows(connection, &statement, &[], |row| {
        let path: String = row.get(0)?;
        Ok(Named {
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            bytes: row.get::<_, i64>(1)?.unsigned_abs(),
            rows: row.get::<_, Option<i64>>(2)?.map(i64::unsigned_abs),
        })
    })
}

/// Files whose own footers count other rows. Those that aren't as they were written are told already.
fn miscounted(
    connection: &Connection,
    named: &[Named],
    there: &HashMap<String, DataFile>,
) -> Result<Vec<String>, LakeError> {
    let counted: Vec<(&Named, u64, &Path)> = named
        .iter()
        .filter_map(|file| {
            let found = there.get(&file.name).filter(|found| found.bytes == file.bytes)?;
            Some((file, file.rows?, &*found.path))
        })
        .collect();
    let mut found = Vec::new();
    for some in counted.chunks(AT_ONCE) {
        let paths = some.iter().map(|(_, _, path)| sql::text(&sql::file(&path.to_string_lossy())));
        let paths = paths.collect::<Vec<_>>().join(", ");
        let statement = format!("SELECT file_name, num_rows FROM parquet_file_metadata([{paths}])");
        let read = |row: &duckdb::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
        let footers: HashMap<String, u64> = rows(connection, &statement, &[], read)?.into_iter().collect();
        for (file, wanted, path) in some {
            let is = footers.get(&*path.to_string_lossy()).copied();
            if is.is_some_and(|is| is != *wanted) {
                found.push(format!("{} holds {} rows instead of {wanted}", file.name, is.unwrap_or_default()));
            }
        }
    }
    Ok(found)
}

/// Mends what is broken and can be mended, in one transaction.
fn mend(connection: &Connection, lake: LakeId) -> Result<(), LakeError> {
    let run = |statement: &str| connection.execute_batch(statement).map_err(|error| lake_error(&error));
    run("BEGIN TRANSACTION")?;
    let mended = || {
        for check in CHECKS.iter().filter(|check| !check.mend.is_empty()) {
            if rows(connection, &on(lake, check.find), &[], |row| row.get::<_, String>(0))?.is_empty() {
                continue;
            }
            tracing::warn!(lake = %lake.uuid().simple(), check = check.code, "the lake's catalog is mended");
            for statement in check.mend {
                run(&on(lake, statement))?;
            }
        }
        Ok(())
    };
    let done: Result<(), LakeError> = mended();
    run(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}
