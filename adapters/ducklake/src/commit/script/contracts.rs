//! The contracts of tables that a script changed, before it commits.

use std::collections::HashMap;
use std::sync::Arc;

use gadwall_domain::commit::Change;
use gadwall_domain::contract::{HeldContract, Measure};
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::script::ScriptError;
use gadwall_domain::table::TableRef;

use super::{Run, write_fault};
use crate::commit::hold::Brought;

/// Contracts by their tables' names before the script; none for a table that has none.
pub(super) type Held = HashMap<TableRef, Option<Arc<HeldContract>>>;

pub(super) fn held(known: &HashMap<TableRef, TableSchema>) -> Held {
    known.iter().map(|(table, schema)| (table.clone(), schema.contract().cloned())).collect()
}

impl Run<'_> {
    /// Holds all tables with a contract to it; answers broken rules that only warn, by the last change of their table.
    pub(super) fn hold(&self, changes: &[Change], held: &Held) -> Result<HashMap<usize, Vec<Measure>>, ScriptError> {
        let mut warnings = HashMap::new();
        for (before, contract) in held {
            let (table, last, brought) = summed_up(changes, before);
            let (Some(last), Some(brought)) = (last, brought) else { continue };
            let told = |error| {
                let fault = self.tell(write_fault(&table.to_string(), Some(&table), error));
                ScriptError { statement: None, fault }
            };
            // A table of that name that wasn't there before has none.
            let Some(schema) = self.known(&table) else { continue };
            let schema = schema.held_to(contract.clone());
            self.commit.require_contract(before, &schema).map_err(told)?;
            if contract.is_none() || !self.is_there(&table).unwrap_or(true) {
                continue;
            }
            let found = self.commit.hold_shape(&schema).and_then(|()| self.commit.hold_table(&table, &schema, brought));
            warnings.insert(
                last,
                found.map_err(|error: WriteError| {
                    let fault = self.tell(write_fault(&table.to_string(), Some(&table), error));
                    ScriptError { statement: None, fault }
                })?,
            );
        }
        Ok(warnings)
    }
}

/// What a table is called after some changes, the last one of it, and what they bring.
fn summed_up(changes: &[Change], before: &TableRef) -> (TableRef, Option<usize>, Option<Brought<'static>>) {
    let (mut name, mut last) = (before.clone(), None);
    let (mut added, mut other, mut gone) = (false, false, false);
    for (number, change) in changes.iter().enumerate() {
        if change.table() != Some(&name) {
            continue;
        }
        last = Some(number);
        match change {
            Change::TableRenamed { to, .. } => name = to.clone(),
            Change::RowsAppended { .. } => added = true,
            Change::RowsDeleted { .. } | Change::TableTruncated { .. } => gone = true,
            Change::TableAltered { .. } => {}
            _ => other = true,
        }
    }
    let brought = match (other, added, gone) {
        (true, ..) => Some(Brought::Any),
        (_, true, _) => Some(Brought::Added),
        (_, _, true) => Some(Brought::Nothing),
        _ => None,
    };
    (name, last, brought)
}
