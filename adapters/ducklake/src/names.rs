//! What a table's name in a query may mean for its caller.

use std::cell::OnceCell;

use duckdb::Connection;
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::query::ReadScope;
use gadwall_domain::table::TableRef;

use crate::gate::{CATALOG, NameError, Names, ResolvedTable, Visible};
use crate::structure::Views;
use crate::{query, sql, structure};

/// Names offered when one is not found.
const MAX_CANDIDATES: usize = 5;

fn unavailable(error: &LakeError) -> NameError {
    NameError::Unavailable(error.to_string())
}

/// The full name of something in a lake.
pub(crate) fn full_name(scope: &ReadScope, name: &TableRef) -> ResolvedTable {
    let (schema, table) = (name.bucket.to_string(), name.table.to_string());
    ResolvedTable { catalog: sql::catalog(scope.lake), schema, table }
}

/// What a full name means, if it is in a lake.
pub(crate) fn named(scope: &ReadScope, full: &ResolvedTable) -> Option<TableRef> {
    let ours = full.catalog == sql::catalog(scope.lake);
    let (bucket, table) = (BucketName::parse(&full.schema).ok()?, TableName::parse(&full.table).ok()?);
    ours.then_some(TableRef { bucket, table })
}

/// The tables that a caller may read, looked up in the version that is read.
pub(crate) struct VisibleTables<'a> {
    connection: &'a Connection,
    scope: &'a ReadScope,
    default_bucket: BucketName,
    views: OnceCell<Views>,
}

impl<'a> VisibleTables<'a> {
    pub(crate) fn new(connection: &'a Connection, scope: &'a ReadScope, default_bucket: Option<&BucketName>) -> Self {
        Self {
            connection,
            scope,
            default_bucket: default_bucket.cloned().unwrap_or_else(BucketName::main),
            views: OnceCell::new(),
        }
    }

    /// The views there are; looked up when a name is none of a table.
    pub(crate) fn views(&self) -> Result<&Views, LakeError> {
        if let Some(known) = self.views.get() {
            return Ok(known);
        }
        let found = structure::all_views(self.connection, self.scope.lake, self.scope.at)?;
        Ok(self.views.get_or_init(|| found))
    }

    fn view(&self, bucket: BucketName, table: TableName) -> Result<Option<ResolvedTable>, LakeError> {
        let found = self.views()?.name(&TableRef { bucket, table }).cloned();
        Ok(found.map(|found| full_name(self.scope, &found)))
    }

    /// Whether a view shows what isn't in its bucket, directly or through another view.
    fn reaches_out(&self, view: &ResolvedTable) -> bool {
        let name = named(self.scope, view);
        name.is_none_or(|name| self.views.get().is_none_or(|views| views.reaches_out(&name)))
    }

    fn stored(&self, bucket: BucketName, name: TableName) -> Result<Option<ResolvedTable>, LakeError> {
        let found = structure::stored_name(self.connection, self.scope.lake, &bucket, &name, self.scope.at)?;
        match found {
            Some((schema, table)) => Ok(Some(ResolvedTable { catalog: sql::catalog(self.scope.lake), schema, table })),
            None => self.view(bucket, name),
        }
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
        self.stored(bucket, name).map_err(|error| unavailable(&error))?.ok_or_else(unknown)
    }

    fn full(&self, name: &ResolvedTable) -> Result<ResolvedTable, NameError> {
        let unknown = || NameError::Unknown { candidates: Vec::new() };
        let TableRef { bucket, table } = named(self.scope, name).ok_or_else(unknown)?;
        self.stored(bucket, table).map_err(|error| unavailable(&error))?.ok_or_else(unknown)
    }

    fn conceals(&self, view: &ResolvedTable) -> Result<bool, NameError> {
        // Who may read the whole project reads nothing in a view that they couldn't read without it.
        Ok(self.scope.only_bucket.is_some() && self.reaches_out(view))
    }

    fn view_query(&self, view: &ResolvedTable) -> Result<String, NameError> {
        let unknown = || NameError::Unknown { candidates: Vec::new() };
        let name = named(self.scope, view).ok_or_else(unknown)?;
        let views = self.views().map_err(|error| unavailable(&error))?;
        views.stored_query(&name).map(str::to_owned).ok_or_else(unknown)
    }

    fn view_cost(&self, table: &ResolvedTable) -> Result<Option<u64>, NameError> {
        // A name that was answered for a table looked for no view.
        let Some(views) = self.views.get() else { return Ok(None) };
        Ok(named(self.scope, table).and_then(|name| views.cost(&name)))
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
