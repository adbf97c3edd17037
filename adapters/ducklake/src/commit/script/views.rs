//! Views: their queries are checked when they are made, and stored as they were checked.

use gadwall_domain::commit::Change as Committed;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::query::QueryError;
use gadwall_domain::script::ScriptFault;
use gadwall_domain::table::TableRef;
use gadwall_domain::view::{ViewColumn, ViewDefinition};

use super::names::ScriptNames;
use super::tables::unsupported;
use super::{Done, Run, lake_fault, write_fault};
use crate::gate::write::{CreateView, Name};
use crate::gate::{NameError, Names, ResolvedTable};
use crate::names::named;
use crate::query::checked_read;
use crate::sql;
use crate::structure::{OWN_CATALOG, ViewDocument, Views};

/// A view's query reads tables and views, and nothing that ends with the script or is only told.
struct LastingNames<'a>(ScriptNames<'a>);

impl Names for LastingNames<'_> {
    fn table(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        let found = self.0.table(catalog, schema, table)?;
        if found.catalog == "temp" { Err(NameError::Unknown { candidates: Vec::new() }) } else { Ok(found) }
    }

    /// Here a view counts like a table: what it is made of may change.
    fn view_cost(&self, table: &ResolvedTable) -> Result<Option<u64>, NameError> {
        Ok(self.0.view_cost(table)?.map(|_| 1))
    }

    fn full(&self, name: &ResolvedTable) -> Result<ResolvedTable, NameError> {
        self.0.full(name)
    }

    /// Any that somebody limited to a bucket reads: it may be made anew to show more than it does now.
    fn conceals(&self, _view: &ResolvedTable) -> Result<bool, NameError> {
        Ok(self.0.0.scope.only_bucket.is_some())
    }

    fn serialize(&self, sql: &str) -> Result<String, NameError> {
        self.0.serialize(sql)
    }
}

impl Run<'_> {
    /// The views there are by now.
    pub(super) fn views(&self) -> Done<Views> {
        let mut views = self.visible().views().map_err(lake_fault)?.clone();
        self.overlay.borrow().change_views(&mut views);
        Ok(views)
    }

    pub(super) fn is_view(&self, name: &TableRef) -> Done<bool> {
        Ok(self.views()?.name(name).is_some())
    }

    pub(super) fn refuse_view(&self, name: &TableRef) -> Done<()> {
        if self.is_view(name)? {
            return Err(write_fault(&name.to_string(), Some(name), WriteError::ViewExists));
        }
        Ok(())
    }

    pub(super) fn create_view(&self, create: CreateView) -> Done<()> {
        let name = self.table_ref(&create.name)?;
        if self.is_view(&name)? {
            if create.if_not_exists {
                return Ok(());
            }
            if !create.or_replace {
                return Err(write_fault(&name.to_string(), Some(&name), WriteError::ViewExists));
            }
        }
        self.define(ViewDefinition { name, query: create.query.0, comment: None }, &create.columns)
    }

    /// Makes a view, or makes it anew.
    pub(in crate::commit) fn define(&self, definition: ViewDefinition, columns: &[String]) -> Done<()> {
        let ViewDefinition { name, query, comment } = definition;
        let told = |error| write_fault(&name.to_string(), Some(&name), error);
        if !self.bucket_is_there(&name.bucket)? {
            return Err(told(WriteError::NoBucket));
        }
        if self.is_there(&name)? {
            return Err(told(WriteError::TableExists));
        }
        let failed = |error: &duckdb::Error| match self.engine(error) {
            ScriptFault::Query(error) => error,
            other => QueryError::Engine(other.to_string()),
        };
        if query.contains(OWN_CATALOG) {
            return Err(unsupported(
                &format!("{OWN_CATALOG} in a view"),
                "it has a meaning for the lake; write it otherwise",
            ));
        }
        let (checked, tree) =
            checked_read(self.commit.connection, &LastingNames(ScriptNames(self)), &query, None, &failed)?;
        if checked.parameters {
            return Err(unsupported("a parameter in a view", "write the value itself"));
        }
        if checked.tables.iter().any(|table| table.linked.is_some()) {
            return Err(unsupported(
                "a view over a linked bucket",
                "query the bucket, or make a table of what it shows",
            ));
        }
        let views = self.views()?;
        let read: Vec<TableRef> = checked.tables.iter().filter_map(|table| named(self.scope, table)).collect();
        let reaches_out = read.iter().any(|table| table.bucket != name.bucket);
        let all = read.clone();
        let reads: Vec<TableRef> = read.into_iter().filter(|table| views.name(table).is_some()).collect();
        let place = sql::table(self.scope.lake, &name);
        let named = columns.iter().map(|column| sql::ident(column)).collect::<Vec<_>>().join(", ");
        let named = if named.is_empty() { named } else { format!(" ({named})") };
        let mut document = ViewDocument {
            query: query.clone(),
            comment: comment.clone(),
            columns: Vec::new(),
            cost: checked.cost,
            times: checked.views,
            reads,
            reaches_out,
        };
        refuse_too_deep(views, &name, &document)?;
        self.execute(&format!("CREATE OR REPLACE VIEW {place}{named} AS {}", checked.text))?;
        let described = self.described(&place)?.into_iter();
        document.columns = described.map(|(name, data_type)| ViewColumn { name, data_type }).collect();
        let text = serde_json::to_string(&document)
            .map_err(|error| QueryError::Engine(format!("a view's document can't be written: {error}")))?;
        self.execute(&format!("COMMENT ON VIEW {place} IS {}", sql::text(&text)))?;
        let columns = document.columns.clone();
        let shown: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        self.view_followed(&name, &shown, &self.follow(&tree, &checked.tables));
        self.overlay.borrow_mut().make_view(name.clone(), document);
        self.change(Committed::ViewCreated { view: name, sql: query, columns, comment });
        if let Some(made) = self.changes.borrow_mut().last_mut() {
            made.reads.extend(all);
        }
        Ok(())
    }

    pub(super) fn drop_view_named(&self, name: &Name, if_exists: bool) -> Done<()> {
        let view = self.table_ref(name)?;
        if if_exists && !self.is_view(&view)? && !self.is_there(&view)? {
            return Ok(());
        }
        self.drop_view(&view)
    }

    pub(in crate::commit) fn drop_view(&self, view: &TableRef) -> Done<()> {
        let views = self.views()?;
        let Some(stored) = views.name(view) else {
            if self.is_there(view)? {
                return Err(unsupported("DROP VIEW of a table", "use DROP TABLE"));
            }
            return Err(write_fault(&view.to_string(), Some(view), WriteError::NoView));
        };
        self.execute(&format!("DROP VIEW {}", sql::table(self.scope.lake, stored)))?;
        self.overlay.borrow_mut().drop_view(view.clone());
        self.change(Committed::ViewDropped { view: view.clone() });
        Ok(())
    }
}

/// Refuses what nobody could read: views in themselves, or too many of them in each other.
fn refuse_too_deep(mut views: Views, name: &TableRef, document: &ViewDocument) -> Done<()> {
    views.put(name.clone(), document.clone());
    if views.readable(name) {
        return Ok(());
    }
    let what = "a view that reads itself, or so many views in each other";
    Err(unsupported(what, "let it read tables, and fewer views"))
}
