//! Holds a table to its contract while a write's transaction is open: what doesn't keep it is not committed.
//!
//! Rules that tell rows apart are measured on the rows that the write brings; all others on the table as it would be. See
//! `docs/decisions/0012-contracts-are-held-in-the-commit.md`.

use std::time::Duration;

use gadwall_domain::contract::{Breach, HeldContract, Measure, Metric, QualityRule, Severity};
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::{LakeWrite, WriteError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::Commit;
use crate::error::{Failure, classify, lake_error, message};
use crate::measure::{Looked, count_rows, measure_query, rules_of_rows, staged_value, within};
use crate::sql;
use crate::stage::{REQUEST, ROW, Staged};

/// How long the rules of one write may take to measure: others wait for the writer.
const LIMIT: Duration = Duration::from_mins(1);

/// True for rows that a transaction adds: until it commits they are numbered from here.
const ADDED: &str = "rowid >= 1000000000000000000";

/// What requests are warned of, by their numbers.
pub(super) type Warned = Vec<(usize, Vec<Measure>)>;

/// What a write brings to a table.
#[derive(Clone, Copy)]
pub(super) enum Brought<'a> {
    /// These rows, which were looked at already.
    Batches(&'a [&'a Staged]),
    /// Rows that were added in this transaction.
    Added,
    /// Any rows may be others.
    Any,
    /// Nothing: rows only went away.
    Nothing,
}

impl Commit<'_> {
    /// Fails with [`WriteError::TableChanged`] if the contract was changed since the caller looked, as far as this process
    /// knows: others may have changed it again.
    pub(super) fn require_contract(&self, table: &TableRef, schema: &TableSchema) -> Result<(), WriteError> {
        let alone = self.shared.turns.is_none();
        let is_late = match (self.known.contract(table), schema.contract()) {
            (Some(change), Some(held)) => held.since < change.at,
            (Some(change), None) => change.put && alone,
            (None, _) => false,
        };
        if is_late { Err(WriteError::TableChanged) } else { Ok(()) }
    }

    /// Holds rows that came to the rules of rows; answers broken ones that only warn.
    pub(super) fn hold_batch(&self, schema: &TableSchema, staged: &Staged) -> Result<Vec<Measure>, WriteError> {
        let rules = rules_of_rows(schema);
        if rules.is_empty() || staged.rows == 0 {
            return Ok(Vec::new());
        }
        let value = |name: &ColumnName| staged_value(schema, staged, name);
        let looked = Looked {
            connection: self.connection,
            relation: staged.relation(),
            value: &value,
            schema,
            row: staged.is_numbered().then_some(ROW),
        };
        let found = within(self.connection, LIMIT, || {
            let counts = match &staged.counted {
                Some(counted) => counted.clone(),
                None => count_rows(self.connection, schema, staged)?,
            };
            Ok(looked.breaches(&rules, &counts))
        });
        self.judged(found, &rules)
    }

    /// The same for rows of several requests: answers which requests break a rule, and what the others are warned of.
    pub(super) fn hold_requests(
        &self,
        schema: &TableSchema,
        staged: &Staged,
    ) -> Result<(Vec<usize>, Warned), WriteError> {
        let rules = rules_of_rows(schema);
        if rules.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let value = |name: &ColumnName| staged_value(schema, staged, name);
        let (connection, relation) = (self.connection, staged.relation());
        let looked = Looked { connection, relation, value: &value, schema, row: None };
        let counts = within(self.connection, LIMIT, || looked.counts(&rules, Some(REQUEST)));
        let (mut broken, mut warned) = (Vec::new(), Vec::new());
        for counts in counts.map_err(|error| lake_error(&error))? {
            let number = counts.first().and_then(|number| usize::try_from(*number).ok()).unwrap_or(usize::MAX);
            let unmet: Vec<Measure> =
                Looked::measures(&rules, &counts).into_iter().filter(|measure| !measure.met).collect();
            if unmet.iter().any(refuses) {
                broken.push(number);
            } else if !unmet.is_empty() {
                warned.push((number, unmet));
            }
        }
        Ok((broken, warned))
    }

    /// Holds a table to its contract as it stands in the open transaction; answers broken rules that only warn.
    pub(super) fn hold_table(
        &self,
        table: &TableRef,
        schema: &TableSchema,
        brought: Brought<'_>,
    ) -> Result<Vec<Measure>, WriteError> {
        let Some(held) = schema.contract() else { return Ok(Vec::new()) };
        let found = within(self.connection, LIMIT, || self.look(table, schema, held, brought));
        let rules: Vec<&QualityRule> = held.contract.terms.rules.iter().collect();
        self.judged(found, &rules)
    }

    fn look(
        &self,
        table: &TableRef,
        schema: &TableSchema,
        held: &HeldContract,
        brought: Brought<'_>,
    ) -> duckdb::Result<Vec<Breach>> {
        let target = sql::table(self.lake, table);
        let value = |name: &ColumnName| sql::ident(name.as_str());
        let over =
            |relation: String| Looked { connection: self.connection, relation, value: &value, schema, row: None };
        let mut found = Vec::new();
        let of_rows = rules_of_rows(schema);
        let rows = match brought {
            Brought::Added => Some(over(format!("(FROM {target} WHERE {ADDED})"))),
            Brought::Any => Some(over(target.clone())),
            Brought::Batches(_) | Brought::Nothing => None,
        };
        if let Some(rows) = rows.filter(|_| !of_rows.is_empty()) {
            let counts = rows.counts(&of_rows, None)?.pop().unwrap_or_default();
            found.extend(rows.breaches(&of_rows, &counts));
        }
        let whole: Vec<&QualityRule> = held
            .contract
            .terms
            .rules
            .iter()
            .filter(|rule| match rule.metric {
                Metric::RowCount => true,
                Metric::DuplicateValues(ref columns) => {
                    let sure = holds_key(schema, columns) && rule.expected.is_met(0.0);
                    !sure && !matches!(brought, Brought::Nothing)
                }
                _ => false,
            })
            .collect();
        if !whole.is_empty() {
            let beside = |columns: &[ColumnName]| brought_values(&target, schema, brought, columns);
            found.extend(over(target.clone()).whole(&whole, beside)?);
        }
        let scrub = &self.shared.engine.scrub;
        for rule in held.contract.terms.rules.iter().filter(|rule| matches!(rule.metric, Metric::Sql { .. })) {
            let measured = measure_query(self.connection, scrub, self.lake, table, None, rule);
            // The engine may have given the transaction up: nothing more can be asked, and nothing is committed.
            let failed = measured.measure.problem.is_some() && measured.measure.measured.is_none();
            found.push(measured);
            if failed {
                break;
            }
        }
        Ok(found)
    }

    /// Holds the table of a change that isn't a load.
    pub(super) fn hold_change(&self, write: &LakeWrite) -> Result<Vec<Measure>, WriteError> {
        match write {
            LakeWrite::Delete { table, schema, .. } => self.hold_table(table, schema, Brought::Nothing),
            LakeWrite::Update { table, schema, .. } | LakeWrite::RegisterFiles { table, schema, .. } => {
                self.hold_table(table, schema, Brought::Any)
            }
            LakeWrite::Restore { table, schema, .. } => {
                self.hold_shape(schema)?;
                self.hold_table(table, schema, Brought::Any)
            }
            // The rest changes no rows; what an alteration may do, it knows by itself.
            _ => Ok(Vec::new()),
        }
    }

    /// Fails unless the columns are what is promised.
    #[expect(clippy::unused_self, reason = "reads like the others")]
    pub(super) fn hold_shape(&self, schema: &TableSchema) -> Result<(), WriteError> {
        let misfits = schema.contract().map(|held| held.contract.misfits(schema)).unwrap_or_default();
        if misfits.is_empty() {
            return Ok(());
        }
        Err(WriteError::Contract(misfits.into_iter().map(Breach::of_shape).collect()))
    }

    /// Refuses a write whose rules are broken; answers broken ones that only warn.
    fn judged(&self, found: duckdb::Result<Vec<Breach>>, rules: &[&QualityRule]) -> Result<Vec<Measure>, WriteError> {
        let found = match found {
            Ok(found) => found,
            Err(error) if matches!(classify(&error), Failure::Statement | Failure::Interrupted) => {
                let problem = self.shared.engine.scrub.apply(&message(&error), &sql::catalog(self.lake));
                let failed = |rule: &&QualityRule| Breach {
                    measure: Measure::failed(rule, problem.clone()),
                    samples: Vec::new(),
                };
                rules.iter().map(failed).collect()
            }
            Err(error) => return Err(lake_error(&error).into()),
        };
        let unmet = found.into_iter().filter(|breach| !breach.measure.met);
        let (refusing, warnings): (Vec<Breach>, Vec<Breach>) = unmet.partition(|breach| refuses(&breach.measure));
        if refusing.is_empty() {
            return Ok(warnings.into_iter().map(|breach| breach.measure).collect());
        }
        Err(WriteError::Contract(refusing.into_iter().chain(warnings).collect()))
    }
}

/// Selects the values that a write brings to some columns, where that is known.
fn brought_values(target: &str, schema: &TableSchema, brought: Brought<'_>, columns: &[ColumnName]) -> Option<String> {
    match brought {
        Brought::Batches(batches) => {
            let of = |staged: &&Staged| {
                let named = |name: &ColumnName| {
                    format!("{} AS {}", staged_value(schema, staged, name), sql::ident(name.as_str()))
                };
                let list: Vec<String> = columns.iter().map(named).collect();
                format!("SELECT {} FROM {}", list.join(", "), staged.relation())
            };
            Some(batches.iter().map(of).collect::<Vec<_>>().join(" UNION ALL "))
        }
        Brought::Added => Some(format!("SELECT {} FROM {target} WHERE {ADDED}", sql::columns(columns))),
        Brought::Any | Brought::Nothing => None,
    }
}

/// Whether columns hold the primary key: then no two rows share their values, as every write sees to.
fn holds_key(schema: &TableSchema, columns: &[ColumnName]) -> bool {
    let key = schema.key_columns();
    !key.is_empty() && key.iter().all(|name| columns.contains(name))
}

/// What can't be measured refuses, too: nobody knows whether it is kept.
fn refuses(measure: &Measure) -> bool {
    !measure.met && (measure.severity == Severity::Error || measure.problem.is_some())
}
