//! Contracts, good and bad.

use serde_json::{Value, json};

use super::*;

fn contract(objects: &Value) -> Value {
    json!({ "apiVersion": "v3.1.0", "kind": "DataContract", "id": "c1", "version": "1.0.0", "status": "active", "schema": objects })
}

/// A table with one column `a` that has a rule.
fn with_rule(rule: &Value) -> Value {
    contract(&json!([{ "name": "t", "properties": [{ "name": "a", "logicalType": "string", "quality": [rule] }] }]))
}

fn refusal(document: &Value) -> String {
    DataContract::parse("t", document).unwrap_err().to_string()
}

#[test]
fn rules_are_read_with_what_they_stand_at() {
    let document = contract(&json!([{
        "name": "t", "physicalName": "s.orders",
        "properties": [
            { "name": "id", "logicalType": "integer", "required": true, "unique": true },
            { "name": "unit", "logicalType": "string", "quality": [
                { "id": "known", "metric": "invalidValues", "mustBeLessThan": 5, "unit": "percent", "severity": "warning",
                  "dimension": "cf", "arguments": { "validValues": ["kg", null, 1] } },
                { "type": "text", "description": "looks nice" },
                { "metric": "missingValues", "mustBe": 0, "arguments": { "missingValues": [null, "", "n/a"] } },
                { "metric": "nullValues", "mustNotBe": 3 },
            ] },
        ],
        "quality": [
            { "metric": "rowCount", "mustBeBetween": [0, 100] },
            { "metric": "duplicateValues", "mustBe": 0, "arguments": { "properties": ["id", "unit"] } },
            { "type": "sql", "query": "SELECT count(*) FROM {object}", "mustBeGreaterThan": 0 },
            { "type": "custom", "engine": "soda", "implementation": "x" },
        ],
    }]));
    let read = DataContract::parse("orders", &document).unwrap();
    assert_eq!((read.id.as_str(), read.version.as_str()), ("c1", "1.0.0"));
    let told: Vec<String> = read
        .terms
        .rules
        .iter()
        .map(|rule| format!("{} {} {:?} {:?}", rule.metric.as_str(), rule.expected.told(), rule.unit, rule.severity))
        .collect();
    let expected = [
        "rowCount must be between 0 and 100 Rows Error",
        "duplicateValues must be 0 Rows Error",
        "sql must be greater than 0 Rows Error",
        "nullValues must be 0 Rows Error",
        "duplicateValues must be 0 Rows Error",
        "invalidValues must be less than 5 Percent Warning",
        "missingValues must be 0 Rows Error",
        "nullValues must not be 3 Rows Error",
    ];
    assert_eq!(told, expected);
    assert_eq!(read.terms.rules[5].name, "known");
    assert_eq!(read.terms.rules[0].name, "/schema/0/quality/0", "without a name it is its place");
    assert_eq!(read.terms.schema.table().columns().len(), 2);
}

#[test]
fn what_the_standard_does_not_have_is_named_by_its_place() {
    let mut extra = contract(&json!([]));
    extra["extra"] = json!(1);
    let mut old = contract(&json!([{ "name": "t" }]));
    old["apiVersion"] = json!("v2.2.2");
    let mut team = contract(&json!([{ "name": "t" }]));
    team["support"] = json!([{ "url": "x" }]);
    for (document, told) in [
        (json!([]), "a contract is an object"),
        (json!({}), "missing field `version`"),
        (extra, "extra: unknown field `extra`"),
        (old, "/apiVersion"),
        (team, "/support/0: missing field `channel`"),
        (contract(&json!([])), "/schema: holds no object"),
        (contract(&json!([{ "name": "x" }, { "name": "y" }])), "/schema: holds several objects, none named t"),
        (
            contract(&json!([{ "name": "t", "properties": [{ "name": "a", "kind": 1 }] }])),
            "/schema/0/properties/0/kind",
        ),
        (with_rule(&json!({ "metric": "nullValues" })), "/schema/0/properties/0/quality/0: says nothing"),
        (with_rule(&json!({ "metric": "nullValues", "mustBe": 0, "mustNotBe": 1 })), "says several things"),
        (with_rule(&json!({ "metric": "rowCount", "mustBe": 0 })), "rowCount stands at the object"),
        (with_rule(&json!({ "metric": "strange", "mustBe": 0 })), "quality/0/metric: must be nullValues"),
        (with_rule(&json!({ "metric": "invalidValues", "mustBe": 0 })), "needs validValues or a pattern"),
        (with_rule(&json!({ "metric": "nullValues", "mustBe": "no" })), "quality/0/mustBe: must be a number"),
        (with_rule(&json!({ "metric": "nullValues", "mustBeBetween": [2, 1] })), "names the smaller number first"),
        (with_rule(&json!({ "metric": "nullValues", "mustBe": 0, "arguments": { "x": 1 } })), "arguments/x"),
        (with_rule(&json!({ "type": "sql", "mustBe": 0 })), "quality/0/query: is missing"),
        (with_rule(&json!({ "mustBe": 0 })), "quality/0/metric: is missing"),
        (
            with_rule(&json!({ "metric": "duplicateValues", "mustBe": 0, "arguments": { "properties": ["none"] } })),
            "names none, which is not a property",
        ),
    ] {
        let refused = refusal(&document);
        assert!(refused.contains(told), "{document}: {refused}");
    }
}

#[test]
fn a_measure_is_compared_as_the_operators_say() {
    for (expected, met, missed) in [
        (Expectation::Equal(3.0), 3.0, 4.0),
        (Expectation::NotEqual(3.0), 4.0, 3.0),
        (Expectation::Greater(3.0), 4.0, 3.0),
        (Expectation::GreaterOrEqual(3.0), 3.0, 2.0),
        (Expectation::Less(3.0), 2.0, 3.0),
        (Expectation::LessOrEqual(3.0), 3.0, 4.0),
        (Expectation::Between(1.0, 3.0), 2.0, 3.0),
        (Expectation::NotBetween(1.0, 3.0), 1.0, 2.0),
    ] {
        assert!(expected.is_met(met) && !expected.is_met(missed), "{expected:?}");
    }
}
