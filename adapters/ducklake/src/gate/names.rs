//! What a table's name in a query means: asked of the caller's [`Names`], after the names nobody may write.

use super::error::GateError;
use super::listing::Visible;

/// Resolves what a name in a query may mean for one caller.
///
/// This is the authorisation of reads in SQL: what it doesn't answer cannot be read. Names compare without regard to
/// case, as in SQL.
pub(crate) trait Names {
    /// The table meant by a reference as written.
    ///
    /// # Errors
    /// [`NameError`], which must not tell a table that exists elsewhere from one that doesn't.
    fn table(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError>;

    /// Whether a full name is one that was answered before, and not what somebody wrote: the engine's own catalogs are
    /// closed to everybody else.
    fn answered(&self, _catalog: &str, _schema: &str, _table: &str) -> bool {
        false
    }

    /// How much the engine has to bind for a view that was answered, in columns and tables; none for a table.
    fn view_cost(&self, _table: &ResolvedTable) -> Result<Option<u64>, NameError> {
        Ok(None)
    }

    /// What a full name means in a query that isn't its reader's: a view's, which reads with its author's right.
    ///
    /// # Errors
    /// [`NameError`] if it means nothing any more.
    fn full(&self, _name: &ResolvedTable) -> Result<ResolvedTable, NameError> {
        Err(NameError::Unknown { candidates: Vec::new() })
    }

    /// Whether a view shows a part of what its reader may not read as a whole.
    ///
    /// # Errors
    /// [`NameError`]: it isn't known.
    fn conceals(&self, _view: &ResolvedTable) -> Result<bool, NameError> {
        Ok(false)
    }

    /// A view's query, with full names.
    ///
    /// # Errors
    /// [`NameError`]: nobody knows it, or not yet.
    fn view_query(&self, _view: &ResolvedTable) -> Result<String, NameError> {
        Err(NameError::Unknown { candidates: Vec::new() })
    }

    /// Where the files lie that a path means, as the engine names each of them alone.
    ///
    /// # Errors
    /// [`NameError`] if it means none of the caller's.
    fn files(&self, _path: &str) -> Result<Vec<String>, NameError> {
        Err(NameError::Unknown { candidates: Vec::new() })
    }

    /// Whether a file was answered before, and not what somebody wrote.
    fn located(&self, _location: &str) -> bool {
        false
    }

    /// The version at which tables are read whose reference names none; the newest without.
    fn version(&self) -> Option<u64> {
        None
    }

    /// All that the caller may read, at that version.
    ///
    /// # Errors
    /// [`NameError`]: nothing is listed.
    fn listing(&self) -> Result<Visible, NameError> {
        Err(NameError::Unknown { candidates: Vec::new() })
    }

    /// The tree of a query that the gate wrote itself, as the engine serialises it.
    ///
    /// # Errors
    /// [`NameError`]: there is no tree.
    fn serialize(&self, _sql: &str) -> Result<String, NameError> {
        Err(NameError::Unknown { candidates: Vec::new() })
    }
}

/// Why a name means nothing to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameError {
    /// No such table, or none the caller may read.
    Unknown {
        /// Names the caller may have meant, out of those it may read.
        candidates: Vec<String>,
    },
    /// The names cannot be looked up now; the text is for the log.
    Unavailable(String),
}

/// A table's full name in the engine.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedTable {
    /// The attached catalog.
    pub(crate) catalog: String,
    /// The schema in it.
    pub(crate) schema: String,
    /// The table or view.
    pub(crate) table: String,
    /// How it is read if it is another project's. No part of its name.
    pub(crate) linked: Option<LinkedAt>,
}

/// The version at which another project's table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkedAt {
    /// Where the statement names none.
    pub(crate) version: u64,
    /// Whether the statement may name no other.
    pub(crate) pinned: bool,
}

impl PartialEq for ResolvedTable {
    fn eq(&self, other: &Self) -> bool {
        (&self.catalog, &self.schema, &self.table) == (&other.catalog, &other.schema, &other.table)
    }
}

impl Eq for ResolvedTable {}

/// The engine's own catalogs, which no caller reads.
const CATALOGS: [&str; 4] = ["memory", "system", "temp", "pg_temp"];

/// The engine's own schemas.
const SCHEMAS: [&str; 2] = ["information_schema", "pg_catalog"];

/// How the engine's own views begin, and the names under which its lists are known elsewhere.
const VIEWS: [&str; 4] = ["duckdb_", "pragma_", "sqlite_", "pg_"];

const HINT: &str = "information_schema and duckdb_tables(), duckdb_columns() list what you may read; what else there is, is in the API";

/// Refuses the names that mean the engine's insides, then asks the caller's names.
pub(crate) fn resolve(names: &dyn Names, catalog: &str, schema: &str, table: &str) -> Result<ResolvedTable, GateError> {
    let written = written(catalog, schema, table);
    let answered = names.answered(catalog, schema, table);
    if !answered && (is_internal_catalog(catalog) || is_internal_schema(schema) || is_metadata(table)) {
        return Err(GateError::forbidden(format!("reading {written}"), HINT));
    }
    match names.table(some(catalog), some(schema), table) {
        Ok(resolved) if is_complete(&resolved) => Ok(resolved),
        // With a part missing the engine would look the name up itself.
        Ok(_) => Err(unknown(catalog, schema, table, written, Vec::new())),
        Err(NameError::Unavailable(cause)) => Err(GateError::Unavailable(cause)),
        Err(NameError::Unknown { candidates }) => Err(unknown(catalog, schema, table, written, candidates)),
    }
}

/// A bucket may be called `temp` or `memory`; if the caller has none, the engine's catalog was meant.
fn unknown(catalog: &str, schema: &str, table: &str, name: String, candidates: Vec<String>) -> GateError {
    let engine_view = catalog.is_empty() && schema.is_empty() && VIEWS.iter().any(|start| starts_with(table, start));
    if (catalog.is_empty() && is_internal_catalog(schema)) || engine_view {
        return GateError::forbidden(format!("reading {name}"), HINT);
    }
    GateError::UnknownTable { name, candidates }
}

fn is_complete(table: &ResolvedTable) -> bool {
    !table.catalog.is_empty() && !table.schema.is_empty() && !table.table.is_empty()
}

fn is_internal_catalog(name: &str) -> bool {
    CATALOGS.iter().any(|internal| internal.eq_ignore_ascii_case(name)) || is_metadata(name)
}

fn is_internal_schema(name: &str) -> bool {
    SCHEMAS.iter().any(|internal| internal.eq_ignore_ascii_case(name)) || is_metadata(name)
}

/// A lake's bookkeeping is attached as a catalog of this name, and its tables are called `ducklake_…`.
fn is_metadata(name: &str) -> bool {
    starts_with(name, "__ducklake_")
}

fn starts_with(name: &str, start: &str) -> bool {
    name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

fn some(part: &str) -> Option<&str> {
    (!part.is_empty()).then_some(part)
}

/// The name as its author wrote it.
pub(crate) fn written(catalog: &str, schema: &str, table: &str) -> String {
    [catalog, schema, table].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}
