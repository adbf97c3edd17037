//! From the table that is there to the one that an ontology wants.

use crate::alteration::{Alteration, AlterationError, Compatibility};
use crate::check::Checks;
use crate::names::ColumnName;
use crate::schema::{Column, TableSchema};

use super::{Field, OntologySchema};

/// What has to change for a table to be what its ontology wants, in the order in which it is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The changes.
    pub steps: Vec<Step>,
    /// What can't be done to a table that is there.
    pub obstacles: Vec<Obstacle>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The change.
    pub alteration: Alteration,
    /// Whether others can go on as before.
    pub compatibility: Compatibility,
}

/// A difference that no change of the table removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The column; none for the key.
    pub column: Option<ColumnName>,
    /// What stands in the way, and what to do.
    pub reason: String,
}

/// What becomes of columns that the ontology doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surplus {
    /// They stay. One that records must give, and none can any more, may be NULL from then on.
    Keep,
    /// They are dropped.
    Drop,
}

impl Plan {
    /// Compares a table with what its ontology wants.
    pub fn between(table: &TableSchema, wanted: &OntologySchema, surplus: Surplus) -> Self {
        let mut planner = Planner { now: table.clone(), plan: Self::default() };
        planner.rename(wanted);
        planner.drop_key(wanted);
        wanted.fields().iter().for_each(|field| planner.column(field));
        planner.surplus(wanted, surplus);
        planner.set_key(wanted);
        planner.plan
    }

    /// Whether nothing has to change.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.obstacles.is_empty()
    }

    /// Whether some can't go on as before.
    pub fn is_breaking(&self) -> bool {
        self.steps.iter().any(|step| step.compatibility != Compatibility::Compatible)
    }
}

/// Keeps the table as it is after the steps so far.
struct Planner {
    now: TableSchema,
    plan: Plan,
}

impl Planner {
    fn step(&mut self, column: &ColumnName, alteration: Alteration) {
        match alteration.apply(&self.now) {
            Ok(after) => {
                self.now = after;
                self.plan.steps.push(Step { compatibility: alteration.compatibility(), alteration });
            }
            Err(error) => self.obstacle(column, &error),
        }
    }

    fn obstacle(&mut self, column: &ColumnName, error: &AlterationError) {
        self.plan.obstacles.push(Obstacle { column: Some(column.clone()), reason: error.to_string() });
    }

    /// A column that is there under an earlier name of a field, and not under its own.
    fn rename(&mut self, wanted: &OntologySchema) {
        for field in wanted.fields() {
            let to = &field.column.name;
            if self.now.column(to).is_some() {
                continue;
            }
            let earlier =
                field.aliases.iter().find(|name| self.now.column(name).is_some() && wanted.field(name).is_none());
            if let Some(column) = earlier.cloned() {
                self.step(to, Alteration::RenameColumn { column, to: to.clone() });
            }
        }
    }

    fn drop_key(&mut self, wanted: &OntologySchema) {
        let (now, then) = (self.now.key_columns(), wanted.table().key_columns());
        if let [first, ..] = now
            && now != then
        {
            let first = first.clone();
            self.step(&first, Alteration::DropPrimaryKey);
        }
    }

    fn set_key(&mut self, wanted: &OntologySchema) {
        let columns = wanted.table().key_columns().to_vec();
        if let [first, ..] = columns.as_slice()
            && self.now.key_columns().is_empty()
        {
            let first = first.clone();
            self.step(&first, Alteration::SetPrimaryKey { columns });
        }
    }

    fn column(&mut self, field: &Field) {
        let wanted = &field.column;
        let name = &wanted.name;
        let Some(now) = self.now.column(name).cloned() else {
            let column = wanted.clone();
            return self.step(name, Alteration::AddColumn { column });
        };
        // Looser before others, stricter after: a value that was legal in between never is refused twice.
        let loosened = now.nullable || !wanted.nullable || self.now.key_columns().contains(name);
        if !loosened {
            self.step(name, Alteration::DropNotNull { column: name.clone() });
        }
        if now.data_type != wanted.data_type {
            self.data_type(&now, wanted);
        }
        if self.now.column(name).is_some_and(|now| now.default != wanted.default) {
            let column = name.clone();
            self.step(
                name,
                match wanted.default.clone() {
                    Some(default) => Alteration::SetDefault { column, default },
                    None => Alteration::DropDefault { column },
                },
            );
        }
        if self.now.column(name).is_some_and(|now| now.checks != wanted.checks) {
            self.step(name, Alteration::SetChecks { column: name.clone(), checks: wanted.checks.clone() });
        }
        if now.nullable && !wanted.nullable {
            self.step(name, Alteration::SetNotNull { column: name.clone() });
        }
    }

    fn data_type(&mut self, now: &Column, wanted: &Column) {
        let column = wanted.name.clone();
        let change = Alteration::SetType { column: column.clone(), data_type: wanted.data_type.clone() };
        let change = change.of_table(&self.now);
        if matches!(change, Alteration::Retype { .. }) {
            // A default and rules are of the old type; those of the new one come after it.
            if now.default.is_some() && now.default != wanted.default {
                self.step(&column, Alteration::DropDefault { column: column.clone() });
            }
            if !now.checks.is_empty() && now.checks != wanted.checks {
                self.step(&column, Alteration::SetChecks { column: column.clone(), checks: Checks::default() });
            }
        }
        self.step(&column, change);
    }

    fn surplus(&mut self, wanted: &OntologySchema, surplus: Surplus) {
        let others: Vec<Column> =
            self.now.columns().iter().filter(|column| wanted.field(&column.name).is_none()).cloned().collect();
        for Column { name: column, nullable, default, .. } in others {
            match surplus {
                Surplus::Drop => self.step(&column.clone(), Alteration::DropColumn { column }),
                Surplus::Keep if nullable || default.is_some() => {}
                Surplus::Keep => self.step(&column.clone(), Alteration::DropNotNull { column }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::contract::{DataContract, HeldContract};
    use crate::ids::SnapshotId;
    use crate::ontology::SchemaId;

    fn schema(document: &Value) -> OntologySchema {
        OntologySchema::parse(&SchemaId::parse("t").unwrap(), document).unwrap()
    }

    fn plan(now: &Value, wanted: &Value, surplus: Surplus) -> Plan {
        Plan::between(schema(now).table(), &schema(wanted), surplus)
    }

    /// Steps by their words, those that break others with a `!`.
    fn steps(plan: &Plan) -> Vec<String> {
        let told = |step: &Step| {
            let op = serde_json::to_value(&step.alteration).unwrap()["op"].as_str().unwrap().to_owned();
            if step.compatibility == Compatibility::Compatible { op } else { format!("{op}!") }
        };
        plan.steps.iter().map(told).collect()
    }

    fn columns(columns: &Value) -> Value {
        json!({ "columns": columns })
    }

    #[test]
    fn a_table_that_fits_needs_nothing() {
        let (_, projects) = crate::ontology::builtin();
        assert!(Plan::between(projects.table(), &projects, Surplus::Drop).is_empty());
    }

    #[test]
    fn columns_are_added_widened_renamed_and_loosened() {
        let now = columns(&json!([
            { "name": "id", "type": "INTEGER" },
            { "name": "old", "type": "VARCHAR(5)" },
            { "name": "more", "type": "VARCHAR" },
        ]));
        let wanted = columns(&json!([
            { "name": "id", "type": "BIGINT" },
            { "name": "new", "type": "VARCHAR(9)", "aliases": ["older", "old"], "required": false },
            { "name": "added", "type": "DATE", "required": false },
        ]));
        let kept = plan(&now, &wanted, Surplus::Keep);
        assert_eq!(
            steps(&kept),
            ["rename_column!", "set_type", "drop_not_null", "set_type", "add_column", "drop_not_null"]
        );
        assert!(kept.is_breaking() && kept.obstacles.is_empty());
        let dropped = plan(&now, &wanted, Surplus::Drop);
        assert_eq!(steps(&dropped).last().map(String::as_str), Some("drop_column!"));
        // What a plan leads to needs no plan.
        let after = dropped
            .steps
            .iter()
            .fold(schema(&now).table().clone(), |table, step| step.alteration.apply(&table).unwrap());
        assert!(Plan::between(&after, &schema(&wanted), Surplus::Drop).is_empty());
    }

    #[test]
    fn rules_and_keys_follow() {
        let now = columns(&json!([{ "name": "a", "type": "INT", "required": false }, { "name": "b", "type": "INT" }]));
        let wanted = json!({ "primary_key": ["b"], "columns": [
            { "name": "a", "type": "INT", "minimum": 0, "default": 1 }, { "name": "b", "type": "INT" },
        ] });
        let found = plan(&now, &wanted, Surplus::Keep);
        assert_eq!(steps(&found), ["set_default", "set_checks!", "set_not_null!", "set_primary_key!"]);
        let back = plan(&wanted, &now, Surplus::Keep);
        assert_eq!(steps(&back), ["drop_primary_key!", "drop_not_null", "drop_default", "set_checks"]);
    }

    #[test]
    fn a_column_gets_another_type_without_what_was_of_the_old_one() {
        let now = columns(&json!([
            { "name": "a", "type": "VARCHAR", "enum": ["1", "2"], "default": "1" },
            { "name": "b", "type": "BIGINT", "default": 3 },
        ]));
        let wanted = columns(&json!([
            { "name": "a", "type": "INT", "minimum": 1, "default": 2 },
            { "name": "b", "type": "SMALLINT", "default": 3 },
        ]));
        let found = plan(&now, &wanted, Surplus::Keep);
        assert!(found.obstacles.is_empty(), "{:?}", found.obstacles);
        let told = ["drop_default", "set_checks", "retype!", "set_default", "set_checks!", "retype!"];
        assert_eq!(steps(&found), told);
        let change = |table: TableSchema, step: &Step| step.alteration.apply(&table).unwrap();
        let after = found.steps.iter().fold(schema(&now).table().clone(), change);
        assert!(Plan::between(&after, &schema(&wanted), Surplus::Keep).is_empty());
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let now = schema(&columns(&json!([{ "name": "a", "type": "VARCHAR" }]))).table().clone();
        let promise = json!({ "apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "version": "1", "status": "active",
            "schema": [{ "name": "t", "properties": [{ "name": "a", "logicalType": "string" }] }] });
        let contract = DataContract::parse("t", &promise).unwrap();
        let now = now.held_to(Some(Arc::new(HeldContract { since: SnapshotId::ZERO, contract })));
        let wanted = schema(&columns(&json!([{ "name": "a", "type": "INT" }])));
        let found = Plan::between(&now, &wanted, Surplus::Keep);
        assert!(found.steps.is_empty());
        assert_eq!(found.obstacles[0].column.as_ref().map(ColumnName::as_str), Some("a"));
        assert!(found.obstacles[0].reason.contains("column a is INTEGER, and VARCHAR is promised"), "{found:?}");
    }
}
