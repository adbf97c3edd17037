//! What changes of a table's shape do to it.

use crate::alteration::{Alteration, AlterationError, Compatibility};
use crate::error::Classify as _;
use crate::names::ColumnName;
use crate::schema::{Column, DefaultValue, TableSchema};
use crate::types::DataType;

fn name(text: &str) -> ColumnName {
    ColumnName::parse(text).unwrap()
}

fn column(text: &str, data_type: &str) -> Column {
    Column::new(name(text), DataType::parse(data_type).unwrap())
}

fn default(literal: &str) -> DefaultValue {
    DefaultValue::parse(literal).unwrap().unwrap()
}

/// `id INTEGER` (the key), `name VARCHAR(10)`, `amount DECIMAL(10,2)`.
fn schema() -> TableSchema {
    let columns = vec![column("id", "INTEGER"), column("name", "VARCHAR(10)"), column("amount", "DECIMAL(10,2)")];
    TableSchema::new(columns, vec![name("id")]).unwrap()
}

fn refused(alteration: &Alteration) -> &'static str {
    alteration.apply(&schema()).unwrap_err().code()
}

#[test]
fn a_column_is_added_at_the_end() {
    let after = Alteration::AddColumn { column: column("x", "DATE") }.apply(&schema()).unwrap();
    assert_eq!(after.columns().last().unwrap().name, name("x"));
    assert_eq!(after.key_columns(), schema().key_columns());
    assert_eq!(refused(&Alteration::AddColumn { column: column("ID", "DATE") }), "column_exists");
}

#[test]
fn a_column_is_dropped_unless_something_needs_it() {
    let after = Alteration::DropColumn { column: name("NAME") }.apply(&schema()).unwrap();
    assert_eq!(after.columns().len(), 2);
    assert_eq!(refused(&Alteration::DropColumn { column: name("id") }), "column_in_primary_key");
    assert_eq!(refused(&Alteration::DropColumn { column: name("no") }), "column_not_found");
    let lone = TableSchema::new(vec![column("a", "INTEGER")], Vec::new()).unwrap();
    let last = Alteration::DropColumn { column: name("a") }.apply(&lone).unwrap_err();
    assert_eq!((last.code(), last), ("cannot_drop_last_column", AlterationError::LastColumn(name("a"))));
}

#[test]
fn a_renamed_column_keeps_its_place_and_its_part_in_the_key() {
    let rename = |from: &str, to: &str| Alteration::RenameColumn { column: name(from), to: name(to) };
    let after = rename("ID", "number").apply(&schema()).unwrap();
    assert_eq!((after.columns()[0].name.as_str(), after.key_columns()[0].as_str()), ("number", "number"));
    assert!(!after.columns()[0].nullable);
    assert_eq!(rename("name", "Name").apply(&schema()).unwrap().columns()[1].name.as_str(), "Name");
    assert_eq!(refused(&rename("name", "AMOUNT")), "column_exists");
    assert_eq!(refused(&rename("no", "x")), "column_not_found");
}

#[test]
fn a_type_only_widens() {
    let set = |column: &str, data_type: &str| Alteration::SetType {
        column: name(column),
        data_type: DataType::parse(data_type).unwrap(),
    };
    let after = set("id", "BIGINT").apply(&schema()).unwrap();
    assert_eq!(after.columns()[0].data_type, DataType::BigInt);
    assert_eq!(after.key_columns(), schema().key_columns());
    for (column, data_type) in [("id", "SMALLINT"), ("id", "VARCHAR"), ("name", "VARCHAR(9)"), ("amount", "DOUBLE")] {
        assert_eq!(refused(&set(column, data_type)), "type_not_wider", "{column} {data_type}");
    }
    assert_eq!(refused(&set("no", "BIGINT")), "column_not_found");
}

#[test]
fn a_type_that_is_not_wider_is_a_retype_of_the_table() {
    let set = |text: &str| Alteration::SetType { column: name("id"), data_type: DataType::parse(text).unwrap() };
    assert_eq!(set("BIGINT").of_table(&schema()), set("BIGINT"));
    let other = set("VARCHAR").of_table(&schema());
    assert_eq!(other, Alteration::Retype { column: name("id"), data_type: DataType::Varchar(None) });
    assert!(matches!(other.compatibility(), Compatibility::Breaking { .. }));
    let after = other.apply(&schema()).unwrap();
    assert_eq!((&after.columns()[0].data_type, after.key_columns()), (&DataType::Varchar(None), &[name("id")][..]));
    assert_eq!(refused(&Alteration::Retype { column: name("id"), data_type: DataType::Json }), "invalid_primary_key");
    assert_eq!(refused(&Alteration::Retype { column: name("no"), data_type: DataType::Json }), "column_not_found");
}

#[test]
fn null_and_defaults_come_and_go() {
    let apply = |alteration: Alteration| alteration.apply(&schema()).unwrap().columns()[1].clone();
    assert!(!apply(Alteration::SetNotNull { column: name("name") }).nullable);
    assert!(apply(Alteration::DropNotNull { column: name("name") }).nullable);
    let set = Alteration::SetDefault { column: name("name"), default: default("'x'") };
    assert_eq!(apply(set).default, Some(default("'x'")));
    assert_eq!(apply(Alteration::DropDefault { column: name("name") }).default, None);
    assert_eq!(refused(&Alteration::DropNotNull { column: name("id") }), "column_in_primary_key");
    for alteration in [
        Alteration::SetNotNull { column: name("no") },
        Alteration::DropNotNull { column: name("no") },
        Alteration::SetDefault { column: name("no"), default: default("1") },
        Alteration::DropDefault { column: name("no") },
        Alteration::Comment { column: Some(name("no")), comment: None },
    ] {
        assert_eq!(refused(&alteration), "column_not_found");
    }
}

#[test]
fn a_table_has_one_key_or_none() {
    let key = |columns: &[&str]| Alteration::SetPrimaryKey { columns: columns.iter().copied().map(name).collect() };
    assert_eq!(refused(&key(&["name"])), "primary_key_exists");
    let keyless = Alteration::DropPrimaryKey.apply(&schema()).unwrap();
    assert_eq!(keyless.key_columns(), []);
    // What had to be NOT NULL for the key stays so: a key that goes loosens nothing by itself.
    assert!(!keyless.columns()[0].nullable);
    assert_eq!(Alteration::DropPrimaryKey.apply(&keyless).unwrap_err().code(), "no_primary_key");
    let keyed = key(&["name", "amount"]).apply(&keyless).unwrap();
    assert_eq!(keyed.key_columns(), [name("name"), name("amount")]);
    assert!(keyed.columns().iter().all(|column| !column.nullable));
    for bad in [key(&[]), key(&["no"]), key(&["name", "NAME"])] {
        assert_eq!(bad.apply(&keyless).unwrap_err().code(), "invalid_primary_key");
    }
}

#[test]
fn what_breaks_others_says_so() {
    let not_null = |default| Column { nullable: false, default, ..column("x", "INTEGER") };
    let breaking = [
        Alteration::AddColumn { column: not_null(None) },
        Alteration::DropColumn { column: name("name") },
        Alteration::RenameColumn { column: name("name"), to: name("x") },
        Alteration::SetNotNull { column: name("name") },
        Alteration::SetPrimaryKey { columns: vec![name("id")] },
        Alteration::DropPrimaryKey,
    ];
    for alteration in breaking {
        assert!(matches!(alteration.compatibility(), Compatibility::Breaking { .. }), "{alteration:?}");
    }
    let compatible = [
        Alteration::AddColumn { column: column("x", "INTEGER") },
        Alteration::AddColumn { column: not_null(Some(default("1"))) },
        Alteration::SetType { column: name("id"), data_type: DataType::BigInt },
        Alteration::DropNotNull { column: name("name") },
        Alteration::SetDefault { column: name("name"), default: default("'x'") },
        Alteration::Comment { column: None, comment: Some("x".to_owned()) },
        Alteration::PartitionBy { partition_by: Vec::new() },
        Alteration::SortBy { sort_by: Vec::new() },
    ];
    for alteration in compatible {
        assert_eq!(alteration.compatibility(), Compatibility::Compatible, "{alteration:?}");
    }
}

#[test]
fn what_only_the_commit_tells_goes_with_another_change() {
    let longer = Alteration::SetType { column: name("name"), data_type: DataType::parse("VARCHAR(20)").unwrap() };
    let wider = Alteration::SetType { column: name("id"), data_type: DataType::parse("BIGINT").unwrap() };
    let rules = Alteration::SetChecks { column: name("name"), checks: crate::check::Checks::default() };
    let add = |text: &str| Alteration::AddColumn { column: column(text, "DATE") };
    let all = vec![longer.clone(), rules.clone(), add("x"), wider.clone(), add("y"), rules.clone()];
    let grouped = Alteration::together(all.clone(), &schema()).unwrap();
    let expected =
        [Alteration::Together { steps: vec![longer.clone(), rules.clone(), add("x")] }, wider, add("y"), rules.clone()];
    assert_eq!(grouped, expected);
    let one_by_one = all.iter().fold(schema(), |table, step| step.apply(&table).unwrap());
    assert_eq!(grouped.iter().fold(schema(), |table, step| step.apply(&table).unwrap()), one_by_one);
    assert_eq!(grouped[0].compatibility(), Compatibility::Compatible);
    for steps in [vec![add("x"), rules], vec![Alteration::Together { steps: vec![longer] }]] {
        assert_eq!(refused(&Alteration::Together { steps }), "multiple_changes");
    }
    assert_eq!(Alteration::together(Vec::new(), &schema()), Ok(Vec::new()));
}
