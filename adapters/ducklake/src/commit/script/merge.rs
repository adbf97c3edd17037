//! `MERGE INTO`: each row of the source, beside the one that it matches, is given the number of the first branch that
//! fits; then each branch is carried out.

use std::fmt::Write as _;

use gadwall_domain::commit::Change;
use gadwall_domain::query::{Parameters, QueryError};
use gadwall_domain::schema::TableSchema;

use super::names::Target;
use super::read::Aside;
use super::rows::ROW;
use super::{Done, Run, origins};
use crate::gate::lineage::BRANCH;
use crate::gate::write::{Action, Branch, Merge, MergeOn, When};
use crate::sql;

/// What the branches did.
#[derive(Default)]
struct Merged {
    inserted: u64,
    updated: u64,
    deleted: u64,
}

impl Run<'_> {
    pub(super) fn merge(&self, merge: &Merge, parameters: &Parameters) -> Done<u64> {
        let target = self.target(&merge.name)?;
        let alias = sql::ident(merge.alias.as_deref().unwrap_or(&merge.name.table));
        let (checked, mut lineage) = self.followed(&sorted(merge, &target, &alias)?, parameters)?;
        let sorted = self.put_aside(&checked)?;
        let values: usize = merge.branches.iter().map(|branch| expressions(branch).len()).sum();
        self.expect_columns(&sorted, values + 2)?;
        origins::sorted_by(&mut lineage, 1);
        self.trace(&target, &written(merge, &target), &lineage, 2, &checked.tables);
        self.refuse_ambiguous(&target, &sorted)?;
        let mut merged = Merged::default();
        for (number, branch) in merge.branches.iter().enumerate() {
            self.branch(&target, &sorted, number + 1, branch, &mut merged)?;
        }
        self.put_away(&sorted)?;
        if let Some(schema) = &target.schema {
            self.refuse_twins(&target, schema)?;
            self.upserted(&target, merged.inserted, merged.updated);
            if merged.deleted > 0 {
                self.change(Change::RowsDeleted { table: target.name.clone(), rows: merged.deleted });
            }
        }
        Ok(merged.inserted + merged.updated + merged.deleted)
    }

    fn refuse_ambiguous(&self, target: &Target, sorted: &Aside) -> Done<()> {
        let twice = format!(
            "SELECT count(*) FROM (SELECT {ROW} FROM {} WHERE {ROW} IS NOT NULL AND {BRANCH} IS NOT NULL
              GROUP BY ALL HAVING count(*) > 1)",
            sorted.sql
        );
        if self.count(&twice)? == 0 {
            return Ok(());
        }
        let text =
            format!("a row of {} is matched by several rows of the source; make the source's rows unique", target.name);
        Err(QueryError::Sql(text).into())
    }

    fn branch(&self, target: &Target, sorted: &Aside, number: usize, branch: &Branch, merged: &mut Merged) -> Done<()> {
        let meant = format!("{} WHERE {BRANCH} = {number}", sorted.sql);
        match &branch.action {
            Action::DoNothing => {}
            Action::Error => {
                if self.count(&format!("SELECT count(*) FROM {meant}"))? > 0 {
                    let text = "a row takes the branch of the MERGE that raises an error".to_owned();
                    return Err(QueryError::Sql(text).into());
                }
            }
            Action::Delete => {
                merged.deleted += self.delete_numbered(target, &format!("SELECT {ROW} FROM {meant}"))?;
            }
            Action::Update(set) => {
                let names: Vec<&str> = set.iter().map(|(name, _)| name.as_str()).collect();
                let changed = self.aside_of(number, names.len(), &meant, true)?;
                merged.updated += match &target.schema {
                    Some(schema) => self.apply_update(target, schema, &changed, &names)?,
                    None => return Err(unsupported("MERGE into a temporary table", "use UPDATE and INSERT").into()),
                };
                self.put_away(&changed)?;
            }
            Action::Insert { columns, values, .. } => {
                merged.inserted += self.insert_branch(target, number, columns, values.len(), &meant)?;
            }
        }
        Ok(())
    }

    fn insert_branch(
        &self,
        target: &Target,
        number: usize,
        columns: &[String],
        count: usize,
        meant: &str,
    ) -> Done<u64> {
        let Some(schema) = &target.schema else {
            return Err(unsupported("MERGE into a temporary table", "use UPDATE and INSERT").into());
        };
        let all = || schema.columns().iter().map(|column| column.name.to_string()).collect();
        let names: Vec<String> = if columns.is_empty() { all() } else { columns.to_vec() };
        if names.len() != count {
            let text = format!("{count} values are given for {} columns", names.len());
            return Err(QueryError::Sql(text).into());
        }
        let new = self.aside_of(number, count, meant, false)?;
        let list: Vec<String> = names.iter().map(|name| sql::ident(name)).collect();
        let given = |name: &str| names.iter().position(|other| other.eq_ignore_ascii_case(name));
        let limited: Vec<_> =
            schema.columns().iter().filter(|column| given(column.name.as_str()).is_some()).cloned().collect();
        let source = |column: &gadwall_domain::schema::Column| {
            let place = given(column.name.as_str()).unwrap_or_default();
            super::rows::value(place)
        };
        self.refuse_misfits(target, &limited, source, &new.sql)?;
        let values: Vec<String> = (0..count).map(super::rows::value).collect();
        let statement =
            format!("INSERT INTO {} ({}) SELECT {} FROM {}", target.sql, list.join(", "), values.join(", "), new.sql);
        let rows = self.rows_of(&statement)?;
        self.put_away(&new)?;
        Ok(rows)
    }

    /// The values of one branch, under the names that a statement of its own would give them.
    fn aside_of(&self, number: usize, count: usize, meant: &str, numbered: bool) -> Done<Aside> {
        let mut columns = if numbered { vec![ROW.to_owned()] } else { Vec::new() };
        columns.extend(
            (0..count).map(|place| format!("{} AS {}", branch_value(number, place), super::rows::value(place))),
        );
        self.put_aside_of(&format!("SELECT {} FROM {meant}", columns.join(", ")))
    }
}

fn branch_value(number: usize, place: usize) -> String {
    sql::ident(&format!("__gadwall_{number}_{place}"))
}

fn expressions(branch: &Branch) -> Vec<&str> {
    match &branch.action {
        Action::Update(set) => set.iter().map(|(_, part)| part.0.as_str()).collect(),
        Action::Insert { values, .. } => values.iter().map(|part| part.0.as_str()).collect(),
        Action::Delete | Action::DoNothing | Action::Error => Vec::new(),
    }
}

/// The columns that all branches' values are for, in the values' order.
fn written<'m>(merge: &'m Merge, target: &'m Target) -> Vec<&'m str> {
    let all = || target.schema.iter().flat_map(TableSchema::columns).map(|column| column.name.as_str());
    let of = |branch: &'m Branch| -> Vec<&'m str> {
        match &branch.action {
            Action::Update(set) => set.iter().map(|(name, _)| name.as_str()).collect(),
            Action::Insert { columns, values, .. } if columns.is_empty() => all().take(values.len()).collect(),
            Action::Insert { columns, .. } => columns.iter().map(String::as_str).collect(),
            Action::Delete | Action::DoNothing | Action::Error => Vec::new(),
        }
    };
    merge.branches.iter().flat_map(of).collect()
}

/// The query that sorts the source's rows to the branches. FROM comes first, so that placeholders keep their order.
fn sorted(merge: &Merge, target: &Target, alias: &str) -> Result<String, QueryError> {
    let on = match &merge.on {
        MergeOn::Condition(condition) => format!("ON ({})", condition.0),
        MergeOn::Columns(columns) => {
            format!("USING ({})", columns.iter().map(|name| sql::ident(name)).collect::<Vec<_>>().join(", "))
        }
    };
    let (mut choice, mut values) = (String::new(), String::new());
    for (number, branch) in (1..).zip(&merge.branches) {
        let there = match branch.when {
            When::Matched => "IS NOT NULL",
            When::NotMatched => "IS NULL",
            When::NotMatchedBySource => {
                let hint = "use DELETE … WHERE NOT EXISTS (…) or UPDATE … in a batch with the MERGE";
                return Err(unsupported("WHEN NOT MATCHED BY SOURCE", hint));
            }
        };
        let lists = match &branch.action {
            Action::Update(set) => !set.is_empty(),
            Action::Insert { values, .. } => !values.is_empty(),
            _ => true,
        };
        if !lists {
            return Err(unsupported(
                "an action of a MERGE without a list of values",
                "name the columns and their values",
            ));
        }
        let and = branch.condition.as_ref().map_or_else(String::new, |part| format!(" AND ({})", part.0));
        let _ = write!(choice, " WHEN {alias}.rowid {there}{and} THEN {number}");
        for (place, part) in expressions(branch).into_iter().enumerate() {
            // A value may fail for rows that take another branch.
            let value = branch_value(number, place);
            let _ = write!(values, ", CASE WHEN {BRANCH} = {number} THEN ({part}) END AS {value}");
        }
    }
    let (with, source, table) = (&merge.with.0, &merge.source.0, &target.written);
    Ok(format!(
        "{with} FROM {source} LEFT JOIN {table} AS {alias} {on}
         SELECT {alias}.rowid AS {ROW}, CASE{choice} END AS {BRANCH}{values}"
    ))
}

fn unsupported(what: &str, hint: &str) -> QueryError {
    QueryError::Unsupported { what: what.to_owned(), hint: hint.to_owned() }
}
