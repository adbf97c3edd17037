//! What a table's name in a query may mean for its caller.

use duckdb::Connection;
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::query::ReadScope;

use crate::gate::{CATALOG, NameError, Names, ResolvedTable, Visible};
use crate::{query, sql, structure};

/// Names offered when one is not found.
const MAX_CANDIDATES: usize = 5;

/// The tables that a caller may read, looked up in the version that is read.
pub(crate) struct VisibleTables<'a> {
    connection: &'a Connection,
    scope: &'a ReadScope,
    default_bucket: BucketName,
}

impl<'a> VisibleTables<'a> {
    pub(crate) fn new(connection: &'a Connection, scope: &'a ReadScope, default_bucket: Option<&BucketName>) -> Self {
        Self { connection, scope, default_bucket: default_bucket.cloned().unwrap_or_else(BucketName::main) }
    }

    pub(crate) fn visible(&self, bucket: &BucketName) -> bool {
        self.scope.only_bucket.as_ref().is_none_or(|only| only == bucket)
    }

    fn candidates(&self, table: &str) -> Vec<String> {
        let all = structure::table_names(self.connection, self.scope.lake, self.scope.at).unwrap_or_default();
        let wanted = table.to_ascii_lowercase();
        let mut near: Vec<(usize, String)> = all
            .into_iter()
            .filter(|name| self.visible(&name.bucket))
            .map(|name| (strsim::damerau_levenshtein(&name.table.folded(), &wanted), name.short()))
            .filter(|(distance, _)| *distance <= 1 + wanted.len() / 3)
            .collect();
        near.sort();
        near.into_iter().take(MAX_CANDIDATES).map(|(_, name)| name).collect()
    }
}

impl Names for VisibleTables<'_> {
    fn version(&self) -> Option<u64> {
        match self.scope.at {
            ReadAt::Head => None,
            ReadAt::Snapshot(snapshot) => Some(snapshot.get()),
        }
    }

    fn table(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        let unknown = || NameError::Unknown { candidates: self.candidates(table) };
        if catalog.is_some_and(|catalog| !catalog.eq_ignore_ascii_case(CATALOG)) {
            // A project has one catalog, and its name in the engine is nobody's business.
            return Err(unknown());
        }
        let bucket = match schema {
            Some(schema) => BucketName::parse(schema).map_err(|_| unknown())?,
            None => self.default_bucket.clone(),
        };
        let name = TableName::parse(table).map_err(|_| unknown())?;
        if !self.visible(&bucket) {
            return Err(unknown());
        }
        match structure::stored_name(self.connection, self.scope.lake, &bucket, &name, self.scope.at) {
            Ok(Some((schema, table))) => Ok(ResolvedTable { catalog: sql::catalog(self.scope.lake), schema, table }),
            Ok(None) => Err(unknown()),
            Err(error) => Err(NameError::Unavailable(error.to_string())),
        }
    }

    fn files(&self, path: &str) -> Result<Vec<String>, NameError> {
        let files = self.scope.files.get(path).ok_or(NameError::Unknown { candidates: Vec::new() })?;
        Ok(files.iter().map(|file| sql::file(&file.location)).collect())
    }

    fn listing(&self) -> Result<Visible, NameError> {
        let buckets =
            structure::listing(self.connection, self.scope.lake, self.scope.only_bucket.as_ref(), self.scope.at);
        let buckets = buckets.map_err(|error| NameError::Unavailable(error.to_string()))?;
        Ok(Visible { buckets, default_bucket: self.default_bucket.to_string() })
    }

    fn serialize(&self, sql: &str) -> Result<String, NameError> {
        query::parse(self.connection, sql).map_err(|error| NameError::Unavailable(error.to_string()))
    }
}
