//! What clients do, in random order: small numbers that stand for tables, columns and values.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use gadwall_application::testing::builders::{assign, column, column_name, compare, defaulted, schema, source, table};
use gadwall_domain::alteration::Alteration;
use gadwall_domain::filter::{Assignment, Comparison, Filter};
use gadwall_domain::history::Expected;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::{LakeWrite, LoadMode};
use gadwall_domain::rows::{RowBatch, Violations};
use gadwall_domain::schema::{DefaultValue, TableSchema};
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;
use proptest::prelude::*;

/// Tables that steps are about.
pub(crate) const TABLES: [&str; 3] = ["a", "b", "c"];
/// Clients, each with its own idea of the tables.
pub(crate) const CLIENTS: usize = 3;
/// Names of columns that come later.
const LATER: [&str; 3] = ["p", "q", "r"];
/// Most columns that rows are given for.
const WIDTH: usize = 6;

/// One client's step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) client: usize,
    /// Whether it looks at the table first, or goes by what it knows.
    pub(crate) looks: bool,
    /// Whether it insists on the version that it knows.
    pub(crate) insists: bool,
    pub(crate) table: usize,
    pub(crate) act: Act,
}

/// What is done.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Create { keyed: bool },
    Drop,
    Rename { to: usize },
    Load { mode: LoadMode, mentioned: u8, rows: Vec<[Option<u8>; WIDTH]> },
    Delete { which: Which },
    Update { which: Which, column: usize, value: Option<u8> },
    Truncate,
    Alter { how: How, column: usize, other: usize },
    Restore { back: u64 },
    Undelete { back: u64 },
}

/// How a table's shape changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    Add,
    AddWithDefault,
    Drop,
    Rename,
    Widen,
    NotNull,
    Nullable,
    Default,
    NoDefault,
    Key,
    NoKey,
}

/// Which rows.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    Is(usize, Comparison, u8),
    Null(usize),
    Not(Box<Which>),
    Both(Box<Which>, Box<Which>),
    Either(Box<Which>, Box<Which>),
}

/// A value as text; the last one is none that a column takes.
fn text(value: u8) -> &'static str {
    ["0", "1", "2", "3", "far too long"][usize::from(value) % 5]
}

/// A table as it is made at first.
pub(crate) fn first_shape(keyed: bool) -> TableSchema {
    let columns = vec![column("id", "INTEGER"), column("v", "INTEGER"), column("s", "VARCHAR(3)")];
    schema(columns, if keyed { &["id"] } else { &[] })
}

fn name(shape: &TableSchema, column: usize) -> ColumnName {
    shape.columns()[column % shape.columns().len()].name.clone()
}

pub(crate) fn name_of(index: usize) -> TableRef {
    table(TABLES[index % TABLES.len()])
}

impl Which {
    fn filter(&self, shape: &TableSchema) -> Filter {
        match self {
            Self::Is(column, operator, value) => compare(name(shape, *column).as_str(), *operator, text(*value)),
            Self::Null(column) => Filter::IsNull { column: name(shape, *column) },
            Self::Not(which) => Filter::Not(Box::new(which.filter(shape))),
            Self::Both(left, right) => Filter::All(vec![left.filter(shape), right.filter(shape)]),
            Self::Either(left, right) => Filter::Any(vec![left.filter(shape), right.filter(shape)]),
        }
    }
}

impl How {
    fn alteration(self, shape: &TableSchema, column: usize, other: usize) -> Alteration {
        let at = &shape.columns()[column % shape.columns().len()];
        let (column, later) = (at.name.clone(), LATER[other % LATER.len()]);
        let is_text = at.data_type.without_lengths() == DataType::Varchar(None);
        match self {
            Self::Add => Alteration::AddColumn { column: self::column(later, "INTEGER") },
            Self::AddWithDefault => Alteration::AddColumn { column: defaulted(later, "INTEGER", "3") },
            Self::Drop => Alteration::DropColumn { column },
            Self::Rename => Alteration::RenameColumn { column, to: column_name(later) },
            Self::Widen if is_text => Alteration::SetType { column, data_type: DataType::Varchar(Some(4)) },
            Self::Widen => Alteration::SetType { column, data_type: DataType::BigInt },
            Self::NotNull => Alteration::SetNotNull { column },
            Self::Nullable => Alteration::DropNotNull { column },
            Self::Default => Alteration::SetDefault { column, default: DefaultValue::stored("2".to_owned()) },
            Self::NoDefault => Alteration::DropDefault { column },
            Self::Key => Alteration::SetPrimaryKey { columns: vec![column] },
            Self::NoKey => Alteration::DropPrimaryKey,
        }
    }
}

/// Rows of text for the columns that are mentioned, the first of them always.
fn batch(shape: &TableSchema, mentioned: u8, rows: &[[Option<u8>; WIDTH]]) -> RowBatch {
    let is_mentioned = |index: &usize| *index == 0 || (*index < WIDTH && mentioned & (1 << index) != 0);
    let wanted: Vec<usize> = (0..shape.columns().len()).filter(is_mentioned).collect();
    let fields: Vec<Field> =
        wanted.iter().map(|index| Field::new(shape.columns()[*index].name.as_str(), ArrowType::Utf8, true)).collect();
    let values =
        |index: &usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[*index].map(text)).collect::<StringArray>()) };
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), wanted.iter().map(values).collect()).unwrap();
    RowBatch { rows, violations: Violations::default() }
}

/// What a client knows of a table when it acts.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) shape: TableSchema,
    pub(crate) expected: Expected,
}

impl Step {
    /// The write, made anew for each lake. `past` is the snapshot gone back to, and the table's shape in it.
    pub(crate) fn write(&self, known: &Known, past: &dyn Fn(u64, &TableRef) -> (u64, TableSchema)) -> LakeWrite {
        let (table, schema, expected) = (name_of(self.table), known.shape.clone(), known.expected);
        let from = |back: u64| {
            let (number, then) = past(back, &table);
            (gadwall_domain::ids::SnapshotId::new(number.cast_signed()).unwrap(), then)
        };
        match &self.act {
            Act::Create { keyed } => LakeWrite::create_table(table, first_shape(*keyed)),
            Act::Drop => LakeWrite::DropTable { table, expected },
            Act::Rename { to } => LakeWrite::RenameTable { table, to: name_of(*to).table, expected },
            Act::Load { mode, mentioned, rows } => {
                let rows = source(vec![batch(&schema, *mentioned, rows)]);
                LakeWrite::Load { table, schema, mode: *mode, rows, expected }
            }
            Act::Delete { which } => {
                let filter = Some(which.filter(&schema));
                LakeWrite::Delete { table, schema, filter, expected }
            }
            Act::Truncate => LakeWrite::Delete { table, schema, filter: None, expected },
            Act::Update { which, column, value } => {
                let set: Vec<Assignment> = vec![assign(name(&schema, *column).as_str(), value.map(text))];
                LakeWrite::Update { table, filter: Some(which.filter(&schema)), set, schema, expected }
            }
            Act::Alter { how, column, other } => {
                let alteration = how.alteration(&schema, *column, *other);
                LakeWrite::Alter { table, schema, alteration, expected }
            }
            Act::Restore { back } => {
                let (from, schema) = from(*back);
                LakeWrite::Restore { table, from, schema, expected }
            }
            Act::Undelete { back } => {
                let (from, schema) = from(*back);
                LakeWrite::Undelete { table, from, schema }
            }
        }
    }
}

/// Mostly small values, sometimes NULL, seldom one that doesn't fit.
fn value() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![1 => Just(None), 12 => (0_u8..4).prop_map(Some), 1 => Just(Some(4))]
}

fn which() -> impl Strategy<Value = Which> {
    let operator = prop_oneof![
        Just(Comparison::Eq),
        Just(Comparison::Ne),
        Just(Comparison::Lt),
        Just(Comparison::Le),
        Just(Comparison::Gt),
        Just(Comparison::Ge)
    ];
    let leaf = prop_oneof![
        4 => (0_usize..4, operator, 0_u8..4).prop_map(|(column, operator, value)| Which::Is(column, operator, value)),
        1 => (0_usize..4).prop_map(Which::Null),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|which| Which::Not(Box::new(which))),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Which::Both(Box::new(left), Box::new(right))),
            (inner.clone(), inner).prop_map(|(left, right)| Which::Either(Box::new(left), Box::new(right))),
        ]
    })
}

/// Writes of rows.
fn rows_act() -> impl Strategy<Value = Act> {
    let mode = prop_oneof![1 => Just(LoadMode::Append), 2 => Just(LoadMode::Upsert), 1 => Just(LoadMode::Replace)];
    let rows = prop::collection::vec(prop::array::uniform6(value()), 0..4);
    prop_oneof![
        6 => (mode, any::<u8>(), rows).prop_map(|(mode, mentioned, rows)| Act::Load { mode, mentioned, rows }),
        2 => which().prop_map(|which| Act::Delete { which }),
        3 => (which(), 0_usize..4, value()).prop_map(|(which, column, value)| Act::Update { which, column, value }),
        1 => Just(Act::Truncate),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    use How::{Add, AddWithDefault, Default, Drop, Key, NoDefault, NoKey, NotNull, Nullable, Rename, Widen};
    let hows = [Add, AddWithDefault, Drop, Rename, Widen, NotNull, Nullable, Default, NoDefault, Key, NoKey];
    let alter = (prop::sample::select(hows.to_vec()), 0_usize..5, 0_usize..3);
    prop_oneof![
        2 => any::<bool>().prop_map(|keyed| Act::Create { keyed }),
        1 => Just(Act::Drop),
        1 => (0_usize..3).prop_map(|to| Act::Rename { to }),
        12 => rows_act(),
        5 => alter.prop_map(|(how, column, other)| Act::Alter { how, column, other }),
        2 => (0_u64..12).prop_map(|back| Act::Restore { back }),
        1 => (0_u64..12).prop_map(|back| Act::Undelete { back }),
    ]
}

fn step(act: impl Strategy<Value = Act>) -> impl Strategy<Value = Step> {
    let flags = (prop::bool::weighted(0.8), prop::bool::weighted(0.2));
    (0..CLIENTS, flags, prop_oneof![3 => Just(0_usize), 2 => Just(1), 1 => Just(2)], act)
        .prop_map(|(client, (looks, insists), table, act)| Step { client, looks, insists, table, act })
}

/// Steps of all kinds, the first of which makes a table.
pub(crate) fn script(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let made = Step { client: 0, looks: true, insists: false, table: 0, act: Act::Create { keyed: true } };
    prop::collection::vec(step(act()), 1..longest).prop_map(move |steps| [vec![made.clone()], steps].concat())
}

/// Writes to come all at once, to tables that are there: mostly of rows.
pub(crate) fn crowd(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(prop_oneof![6 => rows_act(), 1 => act()]), 2..most)
}
