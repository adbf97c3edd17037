//! JSON and NDJSON bodies, good and bad.

use proptest::prelude::*;

use super::super::testing::{failure, rows, run, some, violations};
use super::*;
use crate::InputFormat::{Json, NdJson};

const SALES: &[&str] = &["id BIGINT!", "amount DECIMAL(38,2)", "note VARCHAR(5) = 'none'", "extra JSON"];

#[test]
fn rows_are_matched_by_name_and_numbers_keep_their_digits() {
    let body = r#"[{"amount": 12345678901234567890.12, "ID": 1, "extra": {"a": [1.0]}},
        {"id": "2", "note": null, "amount": "1e1"}]"#;
    let expected = [
        vec![
            Some("1".into()),
            Some("12345678901234567890.12".into()),
            Some("none".into()),
            Some("{\"a\": [1.0]}".into()),
        ],
        vec![Some("2".into()), Some("10.00".into()), None, None],
    ];
    assert_eq!(rows(Json, SALES, body).unwrap(), expected);
    assert_eq!(rows(Json, SALES, &format!("{{\"rows\":{body}}}")).unwrap(), expected);
}

#[test]
fn lines_are_rows() {
    let body = "{\"id\":1,\"extra\":\"x\"}\n\n{\"id\":2}\r\n{\"id\":3}";
    let ids: Vec<_> = rows(NdJson, SALES, body).unwrap().into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, some(&["1", "2", "3"]));
    assert!(rows(NdJson, SALES, "").unwrap().is_empty());
}

#[test]
fn bytes_are_a_binary_column() {
    assert_eq!(
        rows(Json, &["b BLOB = '\\xAA'"], r#"[{"b":"qgA="},{}]"#).unwrap(),
        [some(&["[aa, 0]"]), some(&["[aa]"])]
    );
}

#[test]
fn violations_name_row_column_and_value() {
    let body = r#"[{"id":1},{"id":1.5,"note":"too long"},{"note":1},{"id":null},{"id":4,"ID":5},{"id":6,"amount":[]}]"#;
    assert_eq!(
        violations(Json, SALES, body),
        [
            "2 id: 1.5 is not a whole number, but the column is BIGINT",
            "2 note: \"too long\" is 8 characters long, VARCHAR(5) holds 5",
            "3 id: it is missing, but the column is NOT NULL and has no default",
            "4 id: it is NULL, but the column is NOT NULL",
            "5 id: it appears twice in the row",
            "6 amount: an array, but the column is DECIMAL(38,2); use JSON or a list",
        ]
    );
}

#[test]
fn nested_violations_name_their_path() {
    let columns = &["address STRUCT(zip INTEGER, city VARCHAR)"];
    assert_eq!(
        rows(Json, columns, r#"[{"address":{"city":"Brno"}}]"#).unwrap(),
        [some(&["{\"zip\":null,\"city\":\"Brno\"}"])]
    );
    let found = violations(Json, columns, r#"[{"address":{"zip":"x"}},{"address":{"street":1}}]"#);
    assert_eq!(found, ["1 address.zip: \"x\" is not a number", "2 address.street: there is no such field"]);
}

#[test]
fn an_unknown_column_ends_the_stream_with_a_short_error() {
    let error = failure(Json, SALES, br#"[{"id":1,"nope":2}]"#);
    assert_eq!(error, "the table has no column \"nope\"; its columns are id, amount, note, extra");
    let long = format!("[{{\"{}\":1}}]", "x".repeat(100_000));
    assert!(failure(Json, SALES, long.as_bytes()).len() < 1_000);
}

#[test]
fn bytes_that_are_not_json_are_malformed_and_name_the_row() {
    let bad: &[&[u8]] = &[
        b"",
        b"[",
        b"[{\"id\":1}",
        b"[{\"id\":NaN}]",
        b"[{\"id\":Infinity}]",
        b"[{\"id\":01}]",
        b"[{\"id\":1,}]",
        b"[{id:1}]",
        b"[{'id':1}]",
        b"[{\"id\":\"\xff\"}]",
        b"[{\"id\":\"\x01\"}]",
        b"[{\"id\":\"\\x\"}]",
        b"[1]",
        b"[null]",
        b"[[1]]",
        b"[{\"id\":[}]",
        b"{\"id\":1}",
        b"[{}]x",
        b"[{\"id\":\"\\u12\"}]",
    ];
    for body in bad {
        let error = failure(Json, SALES, body);
        assert!(error.starts_with("the body is not valid JSON: "), "{error}");
    }
    assert!(failure(NdJson, SALES, b"{\"id\":1}\n{\"id\":").contains("row 2"));
    assert!(failure(NdJson, SALES, b"{} {}").contains("row 1"));
}

#[test]
fn bombs_are_refused_before_they_grow() {
    let deep = format!("[{{\"extra\":{}", "[".repeat(1 << 20));
    assert!(failure(Json, SALES, deep.as_bytes()).contains("levels deep"));
    let long = format!("[{{\"extra\":\"{}", "x".repeat(17 << 20));
    let error = run(Json, SALES, long.as_bytes(), 1 << 16, &DecodeOptions::default()).unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
    let digits = format!("[{{\"id\":{}}}]", "9".repeat(1 << 20));
    let (_, found) = run(Json, SALES, digits.as_bytes(), 1 << 16, &DecodeOptions::default()).unwrap();
    assert!(found.first()[0].reason.len() < 300);
}

#[test]
fn half_a_surrogate_pair_is_a_violation_where_the_engine_would_choke() {
    let found = violations(Json, SALES, r#"[{"id":1,"note":"\ud800","extra":{"a":"\ud800"}}]"#);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn batches_are_bounded_and_counting_ends() {
    let body = "{\"id\":1}\n".repeat(20_000);
    let (batches, _) = run(NdJson, SALES, body.as_bytes(), 1 << 20, &DecodeOptions::default()).unwrap();
    assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).collect::<Vec<_>>(), [8_192, 8_192, 3_616]);
    let bad = "{}\n".repeat(300_000);
    let (_, found) = run(NdJson, SALES, bad.as_bytes(), 1 << 20, &DecodeOptions::default()).unwrap();
    assert!((100_000..120_000).contains(&found.count()), "{}", found.count());
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(body: Vec<u8>) {
        let _ = run(Json, SALES, &body, 3, &DecodeOptions::default());
        let _ = run(NdJson, SALES, &body, 3, &DecodeOptions::default());
    }

    #[test]
    fn damaged_json_does_not_panic(at in 0_usize..90, byte: u8) {
        let mut body = br#"[{"id":1,"amount":1.5e3,"note":"a\u00e9","extra":{"a":[true,null]}},{"id":"2"}]"#.to_vec();
        if let Some(slot) = body.get_mut(at) {
            *slot = byte;
        }
        let _ = run(Json, SALES, &body, 11, &DecodeOptions::default());
    }
}
