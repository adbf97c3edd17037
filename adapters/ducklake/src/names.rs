//! What a table's name in a query may mean for its caller.

use std::cell::OnceCell;

use duckdb::Connection;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::query::{Linked, LinkedSource, ReadScope};
use gadwall_domain::table::TableRef;

use crate::gate::{CATALOG, LinkedAt, NameError, Names, ResolvedTable, Visible, VisibleBucket};
use crate::settled::Version;
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
    ResolvedTable { catalog: sql::catalog(scope.lake), schema, table, linked: None }
}

/// What a full name means, if it is in the project's own lake.
pub(crate) fn named(scope: &ReadScope, full: &ResolvedTable) -> Option<TableRef> {
    if full.catalog == sql::catalog(scope.lake) { parsed(full) } else { None }
}

/// What a full name means to who wrote the statement, also of a table that is linked.
pub(crate) fn as_written(scope: &ReadScope, full: &ResolvedTable) -> Option<TableRef> {
    let Some(linked) = full.linked else { return named(scope, full) };
    let table = parsed(full)?;
    let is_meant = |link: &&Linked| {
        link.source.as_ref().is_some_and(|source| {
            sql::catalog(source.lake) == full.catalog
                && source.bucket == table.bucket
                && source.at.get() == linked.version
        })
    };
    let link = scope.links.iter().find(is_meant)?;
    Some(TableRef { bucket: link.name.clone(), ..table })
}

/// What of it is read through links, by the names that they have there.
pub(crate) fn linked(scope: &ReadScope, tables: &[ResolvedTable]) -> Vec<TableRef> {
    tables.iter().filter(|table| table.linked.is_some()).filter_map(|table| as_written(scope, table)).collect()
}

fn parsed(full: &ResolvedTable) -> Option<TableRef> {
    let (bucket, table) = (BucketName::parse(&full.schema).ok()?, TableName::parse(&full.table).ok()?);
    Some(TableRef { bucket, table })
}

/// The tables that a caller may read, looked up in the version that is read.
pub(crate) struct VisibleTables<'a> {
    connection: &'a Connection,
    scope: &'a ReadScope,
    default_bucket: BucketName,
    views: OnceCell<Views>,
    /// The views of each link's lake.
    linked_views: Vec<OnceCell<Views>>,
    /// What was settled for the version of the own lake.
    version: Option<Version<'a>>,
}

/// A lake in the version that is read.
#[derive(Clone, Copy)]
struct Home<'s> {
    lake: LakeId,
    at: ReadAt,
    views: &'s OnceCell<Views>,
    linked: Option<LinkedAt>,
}

impl<'a> VisibleTables<'a> {
    pub(crate) fn new(connection: &'a Connection, scope: &'a ReadScope, default_bucket: Option<&BucketName>) -> Self {
        Self {
            connection,
            scope,
            default_bucket: default_bucket.cloned().unwrap_or_else(BucketName::main),
            views: OnceCell::new(),
            linked_views: scope.links.iter().map(|_| OnceCell::new()).collect(),
            version: None,
        }
    }

    /// Looks names up among those that were settled for the version that is read.
    pub(crate) fn settled(self, version: Version<'a>) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The version of the own lake that is read. A newer one may be there by now.
    fn at(&self) -> ReadAt {
        self.version.map_or(self.scope.at, |version| ReadAt::Snapshot(version.of))
    }

    /// The project's own lake.
    fn own(&self) -> Home<'_> {
        Home { lake: self.scope.lake, at: self.at(), views: &self.views, linked: None }
    }

    fn linked(&self) -> impl Iterator<Item = (&'a Linked, &'a LinkedSource, Home<'_>)> {
        let home = |source: &LinkedSource, views| Home {
            lake: source.lake,
            at: ReadAt::Snapshot(source.at),
            views,
            linked: Some(LinkedAt { version: source.at.get(), pinned: source.pinned }),
        };
        let all = self.scope.links.iter().zip(&self.linked_views);
        all.filter_map(move |(link, views)| link.source.as_ref().map(|source| (link, source, home(source, views))))
    }

    /// Where a full name is. Those without a version are in a view's query.
    fn home(&self, full: &ResolvedTable) -> Option<Home<'_>> {
        if full.catalog == sql::catalog(self.scope.lake) {
            return Some(self.own());
        }
        let mut homes = self.linked().map(|(_, _, home)| home);
        homes.find(|home| {
            sql::catalog(home.lake) == full.catalog && (full.linked.is_none() || full.linked == home.linked)
        })
    }

    /// The own views there are; looked up when a name is none of a table.
    pub(crate) fn views(&self) -> Result<&Views, LakeError> {
        self.views_in(self.own())
    }

    fn views_in<'s>(&'s self, home: Home<'s>) -> Result<&'s Views, LakeError> {
        if let Some(known) = home.views.get() {
            return Ok(known);
        }
        let found = structure::all_views(self.connection, home.lake, home.at)?;
        Ok(home.views.get_or_init(|| found))
    }

    fn stored(&self, home: Home<'_>, name: &TableRef) -> Result<Option<ResolvedTable>, LakeError> {
        let version = self.version.filter(|_| home.linked.is_none());
        let known = version.and_then(|version| version.name(name));
        let found = if let Some(known) = known {
            Some(known)
        } else {
            let found = structure::stored_name(self.connection, home.lake, &name.bucket, &name.table, home.at)?;
            if let (Some(version), Some(stored)) = (version, &found) {
                version.keep_name(name, stored);
            }
            found
        };
        let found = if found.is_some() {
            found
        } else {
            let view = self.views_in(home)?.name(name);
            view.map(|view| (view.bucket.to_string(), view.table.to_string()))
        };
        let (catalog, linked) = (sql::catalog(home.lake), home.linked);
        Ok(found.map(|(schema, table)| ResolvedTable { catalog, schema, table, linked }))
    }

    pub(crate) fn visible(&self, bucket: &BucketName) -> bool {
        self.scope.only_bucket.as_ref().is_none_or(|only| only == bucket)
    }

    fn candidates(&self, table: &str) -> Vec<String> {
        let all = structure::table_names(self.connection, self.scope.lake, self.at()).unwrap_or_default();
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

    /// What the engine has to bind for a view of another project's; none for a table.
    pub(crate) fn linked_view_cost(&self, table: &ResolvedTable) -> Result<Option<u64>, NameError> {
        let Some((home, name)) = self.home(table).zip(parsed(table)) else { return Ok(None) };
        let views = self.views_in(home).map_err(|error| unavailable(&error))?;
        Ok(views.cost(&name))
    }

    /// What a link shows, as a bucket of the project's. A view's query is its owner's business.
    fn listed(
        &self,
        place: i64,
        link: &Linked,
        source: &LinkedSource,
        home: Home<'_>,
    ) -> Result<VisibleBucket, LakeError> {
        let found = structure::listing(self.connection, home.lake, Some(&source.bucket), home.at)?.pop();
        // Another lake counts from the beginning, too.
        let apart = |id: i64| id.saturating_add(place.saturating_mul(LINK_IDS));
        let Some(mut bucket) = found else {
            return Ok(VisibleBucket { id: apart(0), name: link.name.to_string(), tables: Vec::new() });
        };
        bucket.id = apart(bucket.id);
        bucket.name = link.name.to_string();
        for table in &mut bucket.tables {
            table.id = apart(table.id);
            if let Some(query) = &mut table.query {
                OWNERS.clone_into(query);
            }
        }
        Ok(bucket)
    }
}

/// Ids of a link's tables in lists begin here, those of the next one as much later.
const LINK_IDS: i64 = 1 << 40;

/// What lists show in the place of another project's query.
const OWNERS: &str = "/* its owner's */";

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
        let found = match self.scope.link(&bucket) {
            None => self.stored(self.own(), &TableRef { bucket, table: name }),
            Some(link) => {
                let found = self.linked().find(|(other, _, _)| std::ptr::eq(*other, link));
                let (_, source, home) = found.ok_or_else(|| NameError::Unknown { candidates: Vec::new() })?;
                self.stored(home, &TableRef { bucket: source.bucket.clone(), table: name })
            }
        };
        found.map_err(|error| unavailable(&error))?.ok_or_else(unknown)
    }

    fn full(&self, name: &ResolvedTable) -> Result<ResolvedTable, NameError> {
        let unknown = || NameError::Unknown { candidates: Vec::new() };
        let (home, table) = (self.home(name).ok_or_else(unknown)?, parsed(name).ok_or_else(unknown)?);
        self.stored(home, &table).map_err(|error| unavailable(&error))?.ok_or_else(unknown)
    }

    fn conceals(&self, view: &ResolvedTable) -> Result<bool, NameError> {
        // Who may read the whole project reads nothing in a view that they couldn't read without it.
        if view.linked.is_none() && self.scope.only_bucket.is_none() {
            return Ok(false);
        }
        let views = self.home(view).and_then(|home| home.views.get());
        let reaches_out = |name| views.is_none_or(|views| views.reaches_out(&name));
        Ok(parsed(view).is_none_or(reaches_out))
    }

    fn view_query(&self, view: &ResolvedTable) -> Result<String, NameError> {
        let unknown = || NameError::Unknown { candidates: Vec::new() };
        let (home, name) = (self.home(view).ok_or_else(unknown)?, parsed(view).ok_or_else(unknown)?);
        let views = self.views_in(home).map_err(|error| unavailable(&error))?;
        views.stored_query(&name).map(str::to_owned).ok_or_else(unknown)
    }

    fn view_cost(&self, table: &ResolvedTable) -> Result<Option<u64>, NameError> {
        // A name that was answered for a table looked for no view.
        let views = self.home(table).and_then(|home| home.views.get());
        Ok(views.and_then(|views| views.cost(&parsed(table)?)))
    }

    fn files(&self, path: &str) -> Result<Vec<String>, NameError> {
        let files = self.scope.files.get(path).ok_or(NameError::Unknown { candidates: Vec::new() })?;
        Ok(files.iter().map(|file| sql::file(&file.location)).collect())
    }

    fn listing(&self) -> Result<Visible, NameError> {
        let buckets = structure::listing(self.connection, self.scope.lake, self.scope.only_bucket.as_ref(), self.at());
        let mut buckets = buckets.map_err(|error| unavailable(&error))?;
        let is_link = |name: &str| BucketName::parse(name).is_ok_and(|name| self.scope.link(&name).is_some());
        buckets.retain(|bucket| !is_link(&bucket.name));
        for (place, (link, source, home)) in (1..).zip(self.linked()) {
            if self.visible(&link.name) {
                buckets.push(self.listed(place, link, source, home).map_err(|error| unavailable(&error))?);
            }
        }
        buckets.sort_by_cached_key(|bucket| bucket.name.to_lowercase());
        Ok(Visible { buckets, default_bucket: self.default_bucket.to_string() })
    }

    fn serialize(&self, sql: &str) -> Result<String, NameError> {
        query::parse(self.connection, sql).map_err(|error| NameError::Unavailable(error.to_string()))
    }
}
