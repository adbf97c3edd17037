//! Which columns a statement's changes come from.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use gadwall_domain::commit::Change;
use gadwall_domain::lineage::{Means, Origin, Origins};
use gadwall_domain::names::ColumnName;
use gadwall_domain::query::Parameters;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::names::Target;
use super::read::Aside;
use super::{Done, Run};
use crate::gate::lineage::{Column, Flow, Lineage, Relations, Rows, Shape, Source, Step, Value, lineage};
use crate::gate::write::Insert;
use crate::gate::{Names as _, ResolvedTable};
use crate::names::{as_written, named};
use crate::query::{Read, Statement as Checked};
use crate::sql;
use crate::structure::Views;

/// A result that was followed, with whether that is only a part.
pub(super) type Followed = (Rc<Rows>, bool);

/// What was followed so far.
#[derive(Default)]
pub(super) struct Trail {
    /// Of the statement that runs: what its changes come from.
    told: Origins,
    /// Temporary tables by their true names.
    temporary: HashMap<String, Followed>,
    /// Views that the script made.
    views: HashMap<TableRef, Followed>,
}

impl Trail {
    /// What the statement that ran told.
    pub(super) fn take(&mut self) -> Origins {
        std::mem::take(&mut self.told)
    }
}

/// What the followed query's tables are.
struct Known<'k> {
    run: &'k Run<'k>,
    tables: &'k [ResolvedTable],
    /// The views there are; looked up once.
    views: OnceCell<Option<Views>>,
}

impl Relations for Known<'_> {
    fn shape(&self, [catalog, schema, table]: &[String; 3], version: Option<u64>) -> Option<Shape> {
        let run = self.run;
        if catalog == "temp" {
            let (rows, partial) = run.trail.borrow().temporary.get(table)?.clone();
            return Some(Shape::Known(rows, partial));
        }
        let linked = self.tables.iter().find(|known| known.catalog == *catalog && known.schema == *schema);
        let full = ResolvedTable {
            catalog: catalog.clone(),
            schema: schema.clone(),
            table: table.clone(),
            linked: linked.and_then(|known| known.linked),
        };
        if let Some(name) = named(run.scope, &full) {
            if let Some((rows, partial)) = run.trail.borrow().views.get(&name) {
                return Some(Shape::Known(Rc::clone(rows), *partial));
            }
            let views = self.views.get_or_init(|| run.views().ok()).as_ref()?;
            if views.name(&name).is_some() {
                return run.visible().serialize(views.stored_query(&name)?).ok().map(Shape::View);
            }
        }
        let name = [catalog, schema, table].map(|part| sql::ident(part)).join(".");
        let at = version.map_or_else(String::new, |version| format!(" AT (VERSION => {version})"));
        let columns = run.described(&format!("SELECT * FROM {name}{at}")).ok()?;
        Some(Shape::Table(columns.into_iter().map(|(name, _)| name).collect()))
    }
}

impl Run<'_> {
    /// A query as it may run, and what its columns come from.
    pub(super) fn followed(&self, text: &str, parameters: &Parameters) -> Done<(Checked, Lineage)> {
        let (checked, read) = self.gated_read(text, parameters)?;
        let lineage = self.follow(&read, &checked.tables);
        Ok((checked, lineage))
    }

    /// What a checked query's columns come from.
    pub(super) fn follow(&self, read: &Read, tables: &[ResolvedTable]) -> Lineage {
        // What nothing is read from isn't looked at: it may be a long list of values.
        if tables.is_empty() && !read.files {
            return Lineage::default();
        }
        lineage(&read.tree, &Known { run: self, tables, views: OnceCell::new() })
    }

    /// Notes where the columns of these names come from: those of a result behind the first few.
    pub(super) fn trace(
        &self,
        target: &Target,
        names: &[&str],
        lineage: &Lineage,
        skipped: usize,
        read: &[ResolvedTable],
    ) {
        let rows = &lineage.rows;
        let fits = !rows.open && rows.columns.len() == names.len() + skipped;
        // A list of values was not followed.
        let partial = lineage.partial || (!fits && *lineage != Lineage::default());
        let columns = if fits { rows.columns.get(skipped..).unwrap_or_default() } else { &[] };
        let columns = names.iter().zip(columns).map(|(name, column)| Column::named(name, column.value.clone()));
        let traced = Rows { columns: columns.collect(), kept_by: rows.kept_by.clone(), open: false };
        self.absorb(target, &traced, partial, read);
    }

    /// Notes what came into a table, beside what is noted of it.
    pub(super) fn absorb(&self, target: &Target, traced: &Rows, partial: bool, read: &[ResolvedTable]) {
        if let Some(schema) = &target.schema {
            let mut origins = self.origins(traced, partial, read);
            // As the table calls them.
            origins.columns = std::mem::take(&mut origins.columns)
                .into_iter()
                .map(|(name, told)| {
                    let own = schema.columns().iter().find(|column| column.name.as_str().eq_ignore_ascii_case(&name));
                    (own.map_or(name, |column| column.name.to_string()), told)
                })
                .collect();
            self.trail.borrow_mut().told.absorb(origins);
            return;
        }
        let mut trail = self.trail.borrow_mut();
        let Some((known, before)) = trail.temporary.get_mut(truth(&target.sql)) else { return };
        let mut all = (**known).clone();
        all.take(traced);
        (*known, *before) = (Rc::new(all), *before || partial);
    }

    /// What is known of a new temporary table, by its full name.
    pub(super) fn keep_followed(&self, full: &str, names: &[String], lineage: &Lineage) {
        let rows = &lineage.rows;
        let fits = !rows.open && rows.columns.len() == names.len();
        let value = |place: usize| match rows.columns.get(place) {
            Some(column) if fits => column.value.clone(),
            _ => Value::default(),
        };
        let columns = names.iter().enumerate().map(|(place, name)| Column::named(name, value(place))).collect();
        let kept = Rows { columns, kept_by: rows.kept_by.clone(), open: false };
        let partial = lineage.partial || (!fits && *lineage != Lineage::default());
        self.trail.borrow_mut().temporary.insert(truth(full).to_owned(), (Rc::new(kept), partial));
    }

    /// What is known of a view that was made.
    pub(super) fn view_followed(&self, view: &TableRef, names: &[String], lineage: &Lineage) {
        let fits = !lineage.rows.open && lineage.rows.columns.len() == names.len();
        let columns = names.iter().zip(&lineage.rows.columns).filter(|_| fits);
        let columns = columns.map(|(name, column)| Column::named(name, column.value.clone())).collect();
        let rows = Rows { columns, kept_by: lineage.rows.kept_by.clone(), open: !fits };
        let partial = lineage.partial || !fits;
        let mut trail = self.trail.borrow_mut();
        trail.views.insert(view.clone(), (Rc::new(rows.clone()), partial));
        drop(trail);
        let origins = self.origins(&rows, partial, &[]);
        self.trail.borrow_mut().told.absorb(origins);
    }

    fn origins(&self, traced: &Rows, partial: bool, read: &[ResolvedTable]) -> Origins {
        let mut origins = Origins { partial, ..Origins::default() };
        for column in &traced.columns {
            let (Some(name), flow) = (&column.name, &column.value.flow) else { continue };
            let from = self.named_origins(flow, read, &mut origins.partial);
            if !from.is_empty() {
                origins.columns.entry(name.to_string()).or_default().extend(from);
            }
        }
        origins.rows = self.named_origins(&traced.kept_by, read, &mut origins.partial).into_iter().collect();
        origins
    }

    /// Columns as the statement's author names their tables; what has no such name makes the rest a part.
    fn named_origins(&self, flow: &Flow, read: &[ResolvedTable], partial: &mut bool) -> Vec<Origin> {
        let origin = |(source, step): &(Source, Step)| {
            let [catalog, schema, table] = &*source.table;
            let full = ResolvedTable {
                catalog: catalog.clone(),
                schema: schema.clone(),
                table: table.clone(),
                linked: read
                    .iter()
                    .find(|known| (&known.catalog, &known.schema, &known.table) == (catalog, schema, table))
                    .and_then(|known| known.linked),
            };
            let table = as_written(self.scope, &full)?;
            Some(Origin { table, column: source.column.to_string(), means: step.means, masking: step.masking })
        };
        let found: Vec<Origin> = flow.0.iter().filter_map(origin).collect();
        *partial |= found.len() < flow.0.len();
        found
    }

    /// Notes where the rows of an INSERT come from.
    pub(super) fn trace_insert(&self, target: &Target, insert: &Insert, lineage: &Lineage, read: &[ResolvedTable]) {
        let given: Vec<&str> = lineage.rows.columns.iter().filter_map(|column| column.name.as_deref()).collect();
        let all: Vec<String> = match &target.schema {
            Some(schema) => schema.columns().iter().map(|column| column.name.to_string()).collect(),
            None => self.temporary_columns(&target.sql),
        };
        let names: Vec<&str> = if insert.by_name {
            given
        } else if insert.columns.is_empty() {
            all.iter().map(String::as_str).collect()
        } else {
            insert.columns.iter().map(String::as_str).collect()
        };
        self.trace(target, &names, lineage, 0, read);
    }

    /// What is known of rows that were put into the shape of their table.
    pub(super) fn stage_followed(
        &self,
        staged: &Aside,
        schema: &TableSchema,
        wanted: &[ColumnName],
        lineage: &Lineage,
    ) {
        let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        self.keep_followed(&staged.sql, &names, lineage);
        let mut trail = self.trail.borrow_mut();
        let Some((rows, _)) = trail.temporary.get_mut(truth(&staged.sql)) else { return };
        // The others have their defaults.
        let others = schema.columns().iter().filter(|column| !wanted.contains(&column.name));
        let others = others.map(|column| Column::named(column.name.as_str(), Value::default()));
        Rc::make_mut(rows).columns.extend(others);
    }

    fn temporary_columns(&self, full: &str) -> Vec<String> {
        let trail = self.trail.borrow();
        let columns = trail.temporary.get(truth(full)).map(|(rows, _)| rows.columns.as_slice()).unwrap_or_default();
        columns.iter().filter_map(|column| column.name.as_deref().map(str::to_owned)).collect()
    }

    /// Gives what was told to the last change that it is about: where rows came and went, those that came.
    pub(super) fn attribute(&self, from: usize) {
        let told = self.trail.borrow_mut().take();
        let mut changes = self.changes.borrow_mut();
        let made = changes.get_mut(from..).unwrap_or_default();
        let goes = |change: &Change| {
            matches!(change, Change::RowsDeleted { .. } | Change::TableTruncated { .. } | Change::TableDropped { .. })
        };
        let place = made.iter().rposition(|made| !goes(&made.change)).or(made.len().checked_sub(1));
        if let Some(made) = place.and_then(|place| made.get_mut(place)) {
            made.origins = told;
        }
    }
}

/// The rows that a branch of a MERGE takes depend on what sorts them.
pub(super) fn sorted_by(lineage: &mut Lineage, place: usize) {
    if let Some(branch) = lineage.rows.columns.get(place) {
        let by = branch.value.flow.only(Means::Conditional);
        lineage.rows.kept_by.add(&by);
    }
}

/// The name in the full name of a temporary table.
pub(super) fn truth(full: &str) -> &str {
    full.trim_start_matches("temp.main.").trim_matches('"')
}
