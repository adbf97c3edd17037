//! Changes of a table's shape: what each does to it, and whether others can go on as before.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::check::Checks;
use crate::error::{Classify, ErrorKind};
use crate::layout::{Partition, SortKey};
use crate::names::ColumnName;
use crate::schema::{Column, DefaultValue, SchemaError, TableSchema};
use crate::types::DataType;

/// One change of a table's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Alteration {
    /// A column is added at the end. Rows that are there get its default.
    AddColumn {
        /// The column.
        column: Column,
    },
    /// A column is dropped.
    DropColumn {
        /// Which.
        column: ColumnName,
    },
    /// A column gets another name.
    RenameColumn {
        /// Which.
        column: ColumnName,
        /// Its new name.
        to: ColumnName,
    },
    /// A column gets a type that holds every value of the old one.
    SetType {
        /// Which.
        column: ColumnName,
        /// Its new type.
        data_type: DataType,
    },
    /// A column gets a type that doesn't hold every value of the old one, but those that are there.
    Retype {
        /// Which.
        column: ColumnName,
        /// Its new type.
        data_type: DataType,
    },
    /// A column may not be NULL any more.
    SetNotNull {
        /// Which.
        column: ColumnName,
    },
    /// A column may be NULL.
    DropNotNull {
        /// Which.
        column: ColumnName,
    },
    /// A column gets a default for rows to come.
    SetDefault {
        /// Which.
        column: ColumnName,
        /// The default.
        default: DefaultValue,
    },
    /// A column loses its default.
    DropDefault {
        /// Which.
        column: ColumnName,
    },
    /// A column's values are held to other rules, which its rows must fit. Empty ones end it.
    SetChecks {
        /// Which.
        column: ColumnName,
        /// The rules.
        checks: Checks,
    },
    /// The table gets a primary key, which its rows must fit.
    SetPrimaryKey {
        /// The key's columns.
        columns: Vec<ColumnName>,
    },
    /// The table loses its primary key.
    DropPrimaryKey,
    /// What the table, or one of its columns, is for.
    Comment {
        /// Which column; the table itself without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<ColumnName>,
        /// The text; none removes it.
        comment: Option<String>,
    },
    /// What the table's producer promises of it: other rows are refused from then on.
    Contract {
        /// The contract; none ends it.
        document: Option<Value>,
    },
    /// How files to come are kept apart; empty ends it.
    PartitionBy {
        /// The parts.
        partition_by: Vec<Partition>,
    },
    /// How rows are ordered in files to come; empty ends it.
    SortBy {
        /// The parts.
        sort_by: Vec<SortKey>,
    },
    /// Several in one snapshot: any that only the commit tells of, and then one of any kind.
    Together {
        /// In their order.
        steps: Vec<Alteration>,
    },
}

/// Whether those who read and write the table can go on as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    /// They can.
    Compatible,
    /// Some can't.
    Breaking {
        /// Who, and why.
        why: &'static str,
    },
}

/// Why a table can't be changed so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlterationError {
    /// No such column.
    #[error("there is no column {0}")]
    NoColumn(ColumnName),
    /// The name is taken.
    #[error("column {0} exists already")]
    ColumnExists(ColumnName),
    /// A table keeps at least one column.
    #[error("column {0} is the last one; delete the table instead")]
    LastColumn(ColumnName),
    /// The primary key or the layout needs the column as it is.
    #[error("column {column} is part of the table's {part}; change that first")]
    ColumnInUse {
        /// Which column.
        column: ColumnName,
        /// Where: `primary key`, `partitioning` or `sort order`.
        part: &'static str,
    },
    /// The new type doesn't hold every value of the old one.
    #[error("{from} can't become {to} without loss: {why}; add a column of the new type and fill it instead")]
    NotWider {
        /// The type now.
        from: String,
        /// The type wanted.
        to: String,
        /// What would be lost.
        why: &'static str,
    },
    /// Values that are there would be lost.
    #[error("{rows} rows have values of column {column} that {to} doesn't hold without loss; update them first")]
    WouldLose {
        /// Which column.
        column: ColumnName,
        /// The type wanted.
        to: String,
        /// In how many rows.
        rows: u64,
    },
    /// The column is NULL in rows that are there.
    #[error("column {column} is NULL in {rows} rows; update them first")]
    HasNulls {
        /// Which column.
        column: ColumnName,
        /// In how many rows.
        rows: u64,
    },
    /// Values of the column break the rules.
    #[error("{rows} rows break the checks of column {column}; update them first")]
    BreaksChecks {
        /// Which column.
        column: ColumnName,
        /// How many rows.
        rows: u64,
    },
    /// Rows that are there would have no value.
    #[error("column {0} is NOT NULL and has no default, but the table holds rows; give it a default")]
    NeedsDefault(ColumnName),
    /// Only what the commit alone tells of goes with another change.
    #[error("these changes can't be made in one snapshot")]
    NotTogether,
    /// The table has a key already.
    #[error("the table has a primary key already; drop it first")]
    HasKey,
    /// The table has no key.
    #[error("the table has no primary key")]
    NoKey,
    /// The table's contract promises other columns.
    #[error("the table's contract doesn't allow it: {}", .0.join("; "))]
    AgainstContract(Vec<String>),
    /// The columns and the key don't make a table.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The partitioning or the order doesn't fit the columns.
    #[error("{0}")]
    Layout(String),
}

impl Classify for AlterationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoColumn(_) => ErrorKind::NotFound,
            Self::Schema(error) => error.kind(),
            Self::AgainstContract(_) => ErrorKind::Unprocessable,
            Self::NoKey | Self::NotTogether | Self::Layout(_) | Self::LastColumn(_) | Self::ColumnInUse { .. } => {
                ErrorKind::Invalid
            }
            _ => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoColumn(_) => "column_not_found",
            Self::ColumnExists(_) => "column_exists",
            Self::LastColumn(_) => "cannot_drop_last_column",
            Self::ColumnInUse { part: "primary key", .. } => "column_in_primary_key",
            Self::ColumnInUse { .. } => "column_in_layout",
            Self::NotWider { .. } => "type_not_wider",
            Self::WouldLose { .. } => "values_would_be_lost",
            Self::HasNulls { .. } => "column_has_nulls",
            Self::BreaksChecks { .. } => "rows_break_checks",
            Self::NeedsDefault(_) => "default_required",
            Self::AgainstContract(_) => "contract_violated",
            Self::NotTogether => "multiple_changes",
            Self::HasKey => "primary_key_exists",
            Self::NoKey => "no_primary_key",
            Self::Schema(error) => error.code(),
            Self::Layout(_) => "invalid_layout",
        }
    }
}

impl Alteration {
    /// Whether those who read and write the table can go on as before.
    pub fn compatibility(&self) -> Compatibility {
        let why = match self {
            Self::AddColumn { column } if !column.nullable && column.default.is_none() => {
                "those who write must give the new column"
            }
            Self::DropColumn { .. } => "those who read or write the column no longer can",
            Self::RenameColumn { .. } => "those who know the column by its old name no longer find it",
            Self::Retype { .. } => {
                "those who read the column get another type, and values that it doesn't hold are refused"
            }
            Self::SetNotNull { .. } => "those who leave the column out or NULL are refused",
            Self::SetChecks { checks, .. } if !checks.is_empty() => {
                "those who write values that break them are refused"
            }
            Self::SetPrimaryKey { .. } => "those who write rows with a key that is there are refused",
            Self::DropPrimaryKey => "those who rely on unique rows may meet duplicates, and nobody can upsert",
            Self::Together { steps } => {
                let breaks = steps.iter().map(Self::compatibility).find(|step| *step != Compatibility::Compatible);
                return breaks.unwrap_or(Compatibility::Compatible);
            }
            _ => return Compatibility::Compatible,
        };
        Compatibility::Breaking { why }
    }

    /// Whether a table's columns, as the lake stores them, stay as they are: only the commit tells of it.
    pub fn is_only_told(&self, schema: &TableSchema) -> bool {
        let now = |name: &ColumnName| schema.column(name);
        match self {
            Self::SetChecks { .. } | Self::DropPrimaryKey => true,
            Self::SetType { column, data_type } | Self::Retype { column, data_type } => {
                now(column).is_some_and(|column| column.data_type.without_lengths() == data_type.without_lengths())
            }
            Self::SetPrimaryKey { columns } => {
                columns.iter().all(|name| now(name).is_some_and(|column| !column.nullable))
            }
            _ => false,
        }
    }

    /// The same for a table as it is: where a type isn't wider than the column's, the column is retyped.
    #[must_use]
    pub fn of_table(self, schema: &TableSchema) -> Self {
        match self {
            Self::SetType { column, data_type }
                if schema.column(&column).is_some_and(|now| now.data_type.widens_to(&data_type).is_err()) =>
            {
                Self::Retype { column, data_type }
            }
            other => other,
        }
    }

    /// As few changes as these can be made in, each in a snapshot of its own.
    pub fn together(steps: Vec<Self>, schema: &TableSchema) -> Result<Vec<Self>, AlterationError> {
        let (mut shape, mut all, mut open) = (schema.clone(), Vec::new(), Vec::new());
        let close = |open: &mut Vec<Self>| match open.len() {
            1 => open.pop(),
            0 => None,
            _ => Some(Self::Together { steps: std::mem::take(open) }),
        };
        for step in steps {
            let goes_on = step.is_only_told(&shape);
            shape = step.apply(&shape)?;
            open.push(step);
            if !goes_on {
                all.extend(close(&mut open));
            }
        }
        all.extend(close(&mut open));
        Ok(all)
    }

    /// What the table's columns and key are after it. What depends on the rows is for the lake to check.
    pub fn apply(&self, schema: &TableSchema) -> Result<TableSchema, AlterationError> {
        let mut columns = schema.columns().to_vec();
        let mut key = schema.key_columns().to_vec();
        match self {
            Self::AddColumn { column } => {
                if schema.column(&column.name).is_some() {
                    return Err(AlterationError::ColumnExists(column.name.clone()));
                }
                columns.push(column.clone());
            }
            Self::DropColumn { column } => {
                let at = position(&columns, column)?;
                refuse_key_column(&key, column)?;
                if columns.len() == 1 {
                    return Err(AlterationError::LastColumn(column.clone()));
                }
                columns.remove(at);
            }
            Self::RenameColumn { column, to } => {
                let at = position(&columns, column)?;
                if column != to && schema.column(to).is_some() {
                    return Err(AlterationError::ColumnExists(to.clone()));
                }
                columns[at].name = to.clone();
                key.iter_mut().filter(|name| *name == column).for_each(|name| *name = to.clone());
            }
            Self::SetType { column, data_type } => {
                let at = position(&columns, column)?;
                columns[at].data_type.widens_to(data_type)?;
                columns[at].data_type = data_type.clone();
            }
            Self::Retype { column, data_type } => {
                let at = position(&columns, column)?;
                columns[at].data_type = data_type.clone();
            }
            Self::SetNotNull { column } => {
                let at = position(&columns, column)?;
                columns[at].nullable = false;
            }
            Self::DropNotNull { column } => {
                let at = position(&columns, column)?;
                refuse_key_column(&key, column)?;
                columns[at].nullable = true;
            }
            Self::SetDefault { column, default } => {
                let at = position(&columns, column)?;
                columns[at].default = Some(default.clone());
            }
            Self::DropDefault { column } => {
                let at = position(&columns, column)?;
                columns[at].default = None;
            }
            Self::SetChecks { column, checks } => {
                let at = position(&columns, column)?;
                columns[at].checks = checks.clone();
            }
            Self::SetPrimaryKey { .. } if !key.is_empty() => return Err(AlterationError::HasKey),
            Self::SetPrimaryKey { columns: wanted } if wanted.is_empty() => {
                let columns = columns.iter().map(|column| column.name.to_string()).collect();
                let reason = "has no column; name at least one".to_owned();
                return Err(SchemaError::PrimaryKey { reason, key: Vec::new(), columns }.into());
            }
            Self::SetPrimaryKey { columns: wanted } => key.clone_from(wanted),
            Self::DropPrimaryKey if key.is_empty() => return Err(AlterationError::NoKey),
            Self::DropPrimaryKey => key.clear(),
            Self::Comment { column, .. } => {
                if let Some(column) = column {
                    position(&columns, column)?;
                }
            }
            Self::PartitionBy { .. } | Self::SortBy { .. } | Self::Contract { .. } => {}
            Self::Together { steps } => {
                let mut shape = schema.clone();
                for (index, step) in steps.iter().enumerate() {
                    let is_last = index + 1 == steps.len();
                    if matches!(step, Self::Together { .. }) || !(is_last || step.is_only_told(&shape)) {
                        return Err(AlterationError::NotTogether);
                    }
                    shape = step.apply(&shape)?;
                }
                return Ok(shape);
            }
        }
        let after = TableSchema::new(columns, key)?.held_to(schema.contract().cloned());
        // Who puts another contract isn't held to the one before.
        let held = after.contract().filter(|_| !matches!(self, Self::Contract { .. }));
        let misfits = held.map(|held| held.contract.misfits(&after)).unwrap_or_default();
        if misfits.is_empty() { Ok(after) } else { Err(AlterationError::AgainstContract(misfits)) }
    }
}

fn position(columns: &[Column], name: &ColumnName) -> Result<usize, AlterationError> {
    columns.iter().position(|column| column.name == *name).ok_or_else(|| AlterationError::NoColumn(name.clone()))
}

fn refuse_key_column(key: &[ColumnName], column: &ColumnName) -> Result<(), AlterationError> {
    if key.contains(column) {
        return Err(AlterationError::ColumnInUse { column: column.clone(), part: "primary key" });
    }
    Ok(())
}
