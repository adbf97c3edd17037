//! Lists and objects in the place of parameters.

use gadwall_domain::query::Parameters;
use serde_json::{Value, json};

use super::super::{check, confirm, refuse_surplus};
use super::engine::{Caller, Engine};

fn placed(engine: &Engine, sql: &str, given: &Parameters) -> (String, Vec<(String, Value)>) {
    let checked = check(sql, &engine.serialize(sql), &Caller(engine), Some(given)).unwrap();
    let text = engine.print(&checked.statement_json);
    confirm(&text, &engine.serialize(&text), &checked).unwrap();
    (text, checked.values)
}

#[test]
fn only_the_shape_of_a_value_becomes_text() {
    let engine = Engine::open();
    let hostile = json!(["'); DROP TABLE x; --", {"k\" := 1); --": ["$2", "?"]}]);
    let (text, values) = placed(&engine, "SELECT ?, ?", &Parameters::Positional(vec![hostile, json!(7)]));
    assert_eq!(
        text,
        "SELECT list_value($gw0_0, struct_pack(\"k\"\" := 1); --\" := list_value($gw0_1, $gw0_2))) AS \"$1\", $gw1_3 AS \"$2\""
    );
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["gw0_0", "gw0_1", "gw0_2", "gw1_3"]);
    assert_eq!(values[3].1, json!(7));
}

#[test]
fn names_stay_where_they_can_and_never_meet() {
    let engine = Engine::open();
    let given = Parameters::Named(vec![("GW0".into(), json!(1)), ("l".into(), json!([])), ("b".into(), json!([null]))]);
    let (text, _) = placed(&engine, "SELECT $gw0 AS a, $l AS l, $B AS b", &given);
    assert_eq!(text, "SELECT $gw0 AS a, list_value() AS l, list_value($gw_2_1) AS b");
    let part = Parameters::Positional(vec![json!(1), json!(2), json!(3), json!(4)]);
    let (text, values) = placed(&engine, "SELECT $4 AS v", &part);
    assert_eq!((text.as_str(), &values[0].1), ("SELECT $gw0_0 AS v", &json!(4)));
}

#[test]
fn values_too_many_are_refused_by_place() {
    let two = Parameters::Positional(vec![json!(1), json!(2)]);
    assert!(refuse_surplus("SELECT '?', ? -- ?", &two).is_err());
    assert!(refuse_surplus("SELECT $2", &two).is_ok());
    assert!(refuse_surplus("SELECT 1", &Parameters::Named(vec![("a".into(), json!(1))])).is_ok());
}
