//! What names mean in the middle of a script: the tables of the last snapshot, and what the script made of them.

use std::collections::{HashMap, HashSet};

use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::query::QueryError;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::tables::unsupported;
use super::{Done, Run, lake_fault, write_fault};
use crate::commit::same_shape;
use crate::commit::structure::Contents;
use crate::gate::write::Name;
use crate::gate::{CATALOG, NameError, Names, ResolvedTable, Visible};
use crate::names::{VisibleTables, full_name, named};
use crate::structure::{ViewDocument, Views, told};
use crate::{sql, structure};

/// What a script has made, dropped and changed so far.
pub(super) struct Overlay {
    /// Tables that are changed, with their keys and lengths.
    known: HashMap<TableRef, TableSchema>,
    /// Tables that the script made.
    created: HashSet<TableRef>,
    dropped: HashSet<TableRef>,
    /// Tables whose shape the script changed.
    reshaped: HashSet<TableRef>,
    views_made: HashMap<TableRef, ViewDocument>,
    views_dropped: HashSet<TableRef>,
    buckets_made: HashSet<BucketName>,
    buckets_dropped: HashSet<BucketName>,
    /// Temporary tables: their names in lower case, and what they are called in truth.
    temporary: HashMap<String, String>,
}

impl Overlay {
    pub(super) fn new(known: HashMap<TableRef, TableSchema>) -> Self {
        Self {
            known,
            created: HashSet::new(),
            dropped: HashSet::new(),
            reshaped: HashSet::new(),
            views_made: HashMap::new(),
            views_dropped: HashSet::new(),
            buckets_made: HashSet::new(),
            buckets_dropped: HashSet::new(),
            temporary: HashMap::new(),
        }
    }

    /// Whether there are tables, columns or buckets now that the last snapshot doesn't have, or the other way round.
    fn changes_structure(&self) -> bool {
        let tables = [&self.created, &self.dropped, &self.reshaped].iter().any(|tables| !tables.is_empty());
        tables || !self.buckets_made.is_empty() || !self.buckets_dropped.is_empty()
    }

    pub(super) fn make_bucket(&mut self, bucket: BucketName) {
        self.buckets_dropped.remove(&bucket);
        self.buckets_made.insert(bucket);
    }

    /// What was in it is gone by itself too, should a bucket of that name be made again.
    pub(super) fn drop_bucket(&mut self, bucket: BucketName, contents: Contents) {
        for table in contents.tables {
            self.drop(table);
        }
        for view in contents.views {
            self.drop_view(view);
        }
        self.buckets_made.remove(&bucket);
        self.buckets_dropped.insert(bucket);
    }

    pub(super) fn make(&mut self, table: TableRef, schema: TableSchema) {
        self.known.insert(table.clone(), schema);
        self.created.insert(table);
    }

    pub(super) fn drop(&mut self, table: TableRef) {
        self.created.remove(&table);
        self.dropped.insert(table);
    }

    pub(super) fn make_view(&mut self, view: TableRef, document: ViewDocument) {
        self.views_made.remove(&view);
        self.views_made.insert(view, document);
    }

    pub(super) fn drop_view(&mut self, view: TableRef) {
        self.views_made.remove(&view);
        self.views_dropped.insert(view);
    }

    /// Makes of the views that were there those that are there now.
    pub(super) fn change_views(&self, views: &mut Views) {
        for view in &self.views_dropped {
            views.remove(view);
        }
        views.forget_buckets(&self.buckets_dropped);
        for (view, document) in &self.views_made {
            views.remove(view);
            views.put(view.clone(), document.clone());
        }
    }

    pub(super) fn reshape(&mut self, table: TableRef, schema: TableSchema) {
        self.known.insert(table.clone(), schema);
        self.reshaped.insert(table);
    }

    pub(super) fn was_reshaped(&self, table: &TableRef) -> bool {
        self.reshaped.contains(table) || self.created.contains(table) || self.dropped.contains(table)
    }

    pub(super) fn made(&self, table: &TableRef) -> bool {
        self.created.contains(table)
    }

    pub(super) fn name_temporary(&mut self, name: &str, truth: String) -> Option<String> {
        self.temporary.insert(name.to_ascii_lowercase(), truth)
    }

    pub(super) fn temporary(&self, name: &str) -> Option<&String> {
        self.temporary.get(&name.to_ascii_lowercase())
    }

    pub(super) fn forget_temporary(&mut self, name: &str) -> Option<String> {
        self.temporary.remove(&name.to_ascii_lowercase())
    }
}

/// A table that a statement changes.
pub(super) struct Target {
    /// Its name; that of a temporary one means nothing to others.
    pub(super) name: TableRef,
    /// Its name in full, for the engine.
    pub(super) sql: String,
    /// As users name it, for the query that finds its rows.
    pub(super) written: String,
    /// What its rows must fit; none for a temporary one.
    pub(super) schema: Option<TableSchema>,
}

/// The names of a running script.
pub(super) struct ScriptNames<'a>(pub(super) &'a Run<'a>);

impl Names for ScriptNames<'_> {
    /// What writes is on top of the newest version: only what reads has another one.
    fn version(&self) -> Option<u64> {
        self.0.visible().version()
    }

    fn table(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        let run = self.0;
        let overlay = run.overlay.borrow();
        if catalog.is_none()
            && schema.is_none()
            && let Some(truth) = overlay.temporary(table)
        {
            return Ok(ResolvedTable {
                catalog: "temp".to_owned(),
                schema: "main".to_owned(),
                table: truth.clone(),
                linked: None,
            });
        }
        let visible = run.visible();
        let Some(name) = run.place(catalog, schema, table).filter(|name| visible.visible(&name.bucket)) else {
            return visible.table(catalog, schema, table);
        };
        if overlay.created.contains(&name) {
            let (bucket, table) = (name.bucket.to_string(), name.table.to_string());
            return Ok(ResolvedTable { catalog: sql::catalog(run.scope.lake), schema: bucket, table, linked: None });
        }
        if overlay.views_made.contains_key(&name) {
            return Ok(full_name(run.scope, &name));
        }
        let gone = overlay.dropped.contains(&name) || overlay.views_dropped.contains(&name);
        if gone || overlay.buckets_dropped.contains(&name.bucket) {
            return Err(NameError::Unknown { candidates: Vec::new() });
        }
        visible.table(catalog, schema, table)
    }

    fn view_cost(&self, table: &ResolvedTable) -> Result<Option<u64>, NameError> {
        let run = self.0;
        if table.linked.is_some() {
            return run.visible().linked_view_cost(table);
        }
        let Some(name) = named(run.scope, table) else { return Ok(None) };
        let views = run.views().map_err(|fault| NameError::Unavailable(fault.to_string()))?;
        Ok(views.cost(&name))
    }

    fn full(&self, name: &ResolvedTable) -> Result<ResolvedTable, NameError> {
        let unknown = || NameError::Unknown { candidates: Vec::new() };
        let TableRef { bucket, table } = named(self.0.scope, name).ok_or_else(unknown)?;
        self.table(None, Some(bucket.as_str()), table.as_str())
    }

    fn conceals(&self, view: &ResolvedTable) -> Result<bool, NameError> {
        let run = self.0;
        let Some(name) = named(run.scope, view).filter(|_| run.scope.only_bucket.is_some()) else { return Ok(false) };
        let views = run.views().map_err(|fault| NameError::Unavailable(fault.to_string()))?;
        Ok(views.reaches_out(&name))
    }

    /// The lake's own tables show a change once it is committed: no list is better than one that isn't true.
    fn listing(&self) -> Result<Visible, NameError> {
        if self.0.overlay.borrow().changes_structure() {
            return Err(NameError::Unknown { candidates: Vec::new() });
        }
        self.0.visible().listing()
    }

    fn files(&self, path: &str) -> Result<Vec<String>, NameError> {
        self.0.visible().files(path)
    }

    fn serialize(&self, sql: &str) -> Result<String, NameError> {
        self.0.visible().serialize(sql)
    }
}

impl Run<'_> {
    pub(super) fn visible(&self) -> VisibleTables<'_> {
        VisibleTables::new(self.commit.connection, self.scope, self.script.default_bucket.as_ref())
    }

    fn place(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Option<TableRef> {
        if catalog.is_some_and(|catalog| !catalog.eq_ignore_ascii_case(CATALOG)) {
            return None;
        }
        let bucket = match schema {
            Some(schema) => BucketName::parse(schema).ok()?,
            None => self.script.default_bucket.clone().unwrap_or_else(BucketName::main),
        };
        Some(TableRef { bucket, table: TableName::parse(table).ok()? })
    }

    /// The place that a name means, for a table that is to be made there or changed.
    pub(super) fn table_ref(&self, name: &Name) -> Done<TableRef> {
        if name.catalog.as_ref().is_some_and(|catalog| !catalog.eq_ignore_ascii_case(CATALOG)) {
            return Err(no_table(name).into());
        }
        let bucket = match &name.schema {
            Some(schema) => BucketName::parse(schema).map_err(bad_name)?,
            None => self.script.default_bucket.clone().unwrap_or_else(BucketName::main),
        };
        let table = TableRef { bucket, table: TableName::parse(&name.table).map_err(bad_name)? };
        self.refuse_link(&table.bucket)?;
        if self.visible().visible(&table.bucket) { Ok(table) } else { Err(no_table(name).into()) }
    }

    /// What is another project's is only read.
    fn refuse_link(&self, bucket: &BucketName) -> Done<()> {
        if self.scope.link(bucket).is_none() {
            return Ok(());
        }
        let (what, hint) = (format!("changing the linked bucket {bucket}"), "it is another project's".to_owned());
        Err(QueryError::Forbidden { what, hint }.into())
    }

    /// A bucket that the caller may touch.
    pub(super) fn bucket_ref(&self, name: &str) -> Done<BucketName> {
        let bucket = BucketName::parse(name).map_err(|error| QueryError::Sql(error.to_string()))?;
        self.refuse_link(&bucket)?;
        if self.visible().visible(&bucket) {
            return Ok(bucket);
        }
        let (what, hint) = (format!("bucket {name}"), "the key is limited to another bucket".to_owned());
        Err(QueryError::Forbidden { what, hint }.into())
    }

    pub(super) fn bucket_is_there(&self, bucket: &BucketName) -> Done<bool> {
        let overlay = self.overlay.borrow();
        if overlay.buckets_made.contains(bucket) {
            return Ok(true);
        }
        let stored = structure::bucket(self.commit.connection, self.scope.lake, bucket, ReadAt::Head);
        Ok(stored.map_err(lake_fault)?.is_some() && !overlay.buckets_dropped.contains(bucket))
    }

    /// The tables and views that are in a bucket now.
    pub(super) fn contents(&self, bucket: &BucketName) -> Done<Contents> {
        let (connection, lake) = (self.commit.connection, self.scope.lake);
        let stored = structure::tables(connection, lake, bucket, None, ReadAt::Head).map_err(lake_fault)?;
        let overlay = self.overlay.borrow();
        let left = stored.into_iter().map(|table| table.name).filter(|table| !overlay.dropped.contains(table));
        let mut tables: Vec<TableRef> = left.filter(|table| !overlay.created.contains(table)).collect();
        tables.extend(overlay.created.iter().filter(|table| table.bucket == *bucket).cloned());
        Ok(Contents { tables, views: self.views()?.of_bucket(bucket) })
    }

    /// Whether there is a table of that name now.
    pub(super) fn is_there(&self, table: &TableRef) -> Done<bool> {
        let overlay = self.overlay.borrow();
        if overlay.created.contains(table) {
            return Ok(true);
        }
        if overlay.dropped.contains(table) || overlay.buckets_dropped.contains(&table.bucket) {
            return Ok(false);
        }
        let told = told::named(self.commit.connection, self.scope.lake, table, ReadAt::Head).map_err(lake_fault)?;
        Ok(told.is_some())
    }

    /// The table whose rows a statement changes.
    pub(super) fn target(&self, name: &Name) -> Done<Target> {
        let plain = name.catalog.is_none() && name.schema.is_none();
        if let Some(truth) = self.overlay.borrow().temporary(&name.table).filter(|_| plain) {
            let full = format!("temp.main.{}", sql::ident(truth));
            let written = sql::ident(&name.table);
            let table = TableName::parse(&name.table).map_err(bad_name)?;
            let place = TableRef { bucket: BucketName::main(), table };
            return Ok(Target { name: place, sql: full, written, schema: None });
        }
        let table = self.table_ref(name)?;
        if !self.is_there(&table)? {
            if self.is_view(&table)? {
                return Err(unsupported("writing to a view, or changing it", "change the tables that it reads"));
            }
            return Err(no_table(name).into());
        }
        let overlay = self.overlay.borrow();
        let changed = || write_fault(&table.to_string(), Some(&table), WriteError::TableChanged);
        // Its key is the caller's to know; without, the table came after the caller looked.
        let schema = overlay.known.get(&table).cloned().ok_or_else(changed)?;
        let ours = overlay.created.contains(&table) || overlay.reshaped.contains(&table);
        let stored = if ours {
            table.clone()
        } else {
            let told =
                told::named(self.commit.connection, self.scope.lake, &table, ReadAt::Head).map_err(lake_fault)?;
            let told = told.ok_or_else(|| no_table(name))?;
            if !same_shape(&told.columns, &schema) {
                return Err(changed());
            }
            told.name
        };
        self.touched.borrow_mut().writes.insert(stored.clone());
        let written = format!("{}.{}", sql::ident(stored.bucket.as_str()), sql::ident(stored.table.as_str()));
        Ok(Target { sql: sql::table(self.scope.lake, &stored), name: stored, written, schema: Some(schema) })
    }

    /// What is known of a table whose shape is to be changed.
    pub(super) fn known(&self, table: &TableRef) -> Option<TableSchema> {
        self.overlay.borrow().known.get(table).cloned()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn bad_name(error: gadwall_domain::names::NameError) -> QueryError {
    QueryError::Sql(error.to_string())
}

pub(super) fn no_table(name: &Name) -> QueryError {
    let parts = [name.catalog.as_deref(), name.schema.as_deref(), Some(&*name.table)];
    let name = parts.into_iter().flatten().collect::<Vec<_>>().join(".");
    QueryError::UnknownTable { name, candidates: Vec::new() }
}
