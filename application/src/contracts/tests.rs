//! Service levels and proposals, over what is known of a table.

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::check::Checks;
use gadwall_domain::contract::{DataContract, ServiceLevel};
use gadwall_domain::history::TableVersion;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::Layout;
use gadwall_domain::ports::lake::{ColumnProfile, TableProfile};
use gadwall_domain::schema::Column;
use gadwall_domain::table::{Comments, Table, TableSize};
use serde_json::{Value, json};

use super::derive;
use super::levels::{Facts, report};
use crate::testing::builders::{column, column_name, names, noon, project_id, required, schema, table};

fn level(property: &str, value: Value, unit: Option<&str>, element: Option<&str>) -> ServiceLevel {
    ServiceLevel {
        property: property.to_owned(),
        value,
        unit: unit.map(str::to_owned),
        element: element.map(str::to_owned),
    }
}

/// Whether a promise is kept by a table that changed an hour ago, with times from ten days ago until two hours ago.
fn met(level: &ServiceLevel) -> Option<bool> {
    let ago = |hours| -> DateTime<Utc> { noon() - TimeDelta::hours(hours) };
    let (elements, times) = (names(&["at"]), [Some((ago(240), ago(2)))]);
    report(level, &Facts { now: noon(), changed_at: Some(ago(1)), elements: &elements, times: &times }).met
}

#[test]
fn service_levels_are_judged_by_what_the_table_tells() {
    for (property, value, unit, element, expected) in [
        ("freshness", json!(61), Some("min"), None, Some(true)),
        ("freshness", json!(59), Some("m"), None, Some(false)),
        ("latency", json!("2"), Some("hours"), Some("orders.at"), Some(true)),
        ("ly", json!(1.9), Some("h"), Some("at"), Some(false)),
        ("latency", json!(1), None, Some("at, other"), Some(true)),
        ("latency", json!(1), Some("d"), Some("orders.unknown"), None),
        ("latency", json!(1), Some("parsec"), Some("at"), None),
        ("latency", json!(1e300), Some("y"), Some("at"), None),
        ("frequency", json!(1), Some("h"), None, Some(true)),
        ("retention", json!(3), Some("y"), Some("at"), None),
        ("generalAvailability", json!("2025-01-01"), None, None, Some(true)),
        ("endOfSupport", json!("2025-01-01T00:00:00+02:00"), None, None, Some(false)),
        ("endOfLife", json!("someday"), None, None, None),
        ("availability", json!(99.9), Some("percent"), None, None),
    ] {
        let level = level(property, value, unit, element);
        assert_eq!(met(&level), expected, "{level:?}");
    }
}

fn profiled(name: &str, nulls: u64, top: Vec<(Value, u64)>) -> ColumnProfile {
    ColumnProfile {
        column: column_name(name),
        data_type: "VARCHAR".to_owned(),
        count: 100 - nulls,
        nulls,
        distinct: None,
        min: None,
        max: None,
        mean: None,
        std_dev: None,
        quantiles: None,
        top,
    }
}

#[test]
fn a_proposed_contract_says_what_the_table_keeps() {
    let checks: Checks = serde_json::from_value(json!({ "minimum": { "value": "0" } })).unwrap();
    let columns = vec![
        required("id", "BIGINT"),
        column("code", "VARCHAR(4)"),
        Column { checks, ..column("price", "DECIMAL(9,2)") },
        column("state", "VARCHAR"),
        column("tags", "VARCHAR[]"),
    ];
    let zero = SnapshotId::ZERO;
    let table = Table {
        name: table("b.t"),
        schema: schema(columns, &["id"]),
        created_at: None,
        size: TableSize::default(),
        layout: Layout::default(),
        comments: Comments { table: Some("what it is".to_owned()), ..Comments::default() },
        version: TableVersion { schema: zero, rows: zero },
    };
    let states = vec![(json!("open"), 60), (json!("shut"), 40)];
    let columns = vec![profiled("id", 0, Vec::new()), profiled("code", 3, Vec::new()), profiled("state", 0, states)];
    let proposed = derive::contract(&project_id("p"), &table, &TableProfile { snapshot: zero, rows: 100, columns });
    let read = DataContract::parse("t", &proposed).unwrap();
    assert!(read.misfits(&table.schema).is_empty());
    let told: Vec<&str> = read.terms.rules.iter().map(|rule| rule.name.as_str()).collect();
    let expected = [
        "not_empty",
        "id is required",
        "id is unique",
        "code keeps its logicalTypeOptions",
        "price keeps its logicalTypeOptions",
        "state_known",
        "state is required",
    ];
    assert_eq!(told, expected, "{proposed}");
    assert_eq!((&read.id[..], proposed["schema"][0]["description"].as_str()), ("p.b.t", Some("what it is")));
}
