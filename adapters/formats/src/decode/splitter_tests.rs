//! The splitter against a whole parse.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn split(layout: Layout, body: &[u8], cuts: &[usize]) -> Result<Vec<String>, String> {
    let mut rows = Vec::new();
    let mut each = |row: &[u8]| {
        rows.push(String::from_utf8_lossy(row).into_owned());
        Ok::<_, String>(())
    };
    let mut splitter = Splitter::new(layout, 1_000);
    let mut rest = body;
    for &cut in cuts {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        splitter.push(piece, &mut each)?;
        rest = after;
    }
    splitter.push(rest, &mut each)?;
    splitter.finish(&mut each)?;
    Ok(rows)
}

fn document(body: &str) -> Result<Vec<String>, String> {
    split(Layout::Document, body.as_bytes(), &[])
}

#[test]
fn rows_are_cut_out_of_an_array_or_a_wrapper() {
    assert_eq!(document(" [ ] ").unwrap(), [""; 0]);
    assert_eq!(document("[{\"a\":\"]}\\\"\"} , 1,\"x\",[2] ]").unwrap(), ["{\"a\":\"]}\\\"\"}", "1", "\"x\"", "[2]"]);
    assert_eq!(document("\u{feff}{ \"rows\" : [{}, {}] }").unwrap(), ["{}", "{}"]);
}

#[test]
fn what_stands_around_the_rows_must_be_right() {
    for bad in [
        "",
        " ",
        "1",
        "{}",
        "{\"a\":1}",
        "{\"rows\":1}",
        "{\"rows\":[]",
        "{\"rows\":[],\"x\":1}",
        "[",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1]x",
        "[1]]",
        "[{]",
        "[\"a",
    ] {
        assert!(document(bad).is_err(), "{bad}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    assert!(document(&"[".repeat(100)).unwrap_err().contains("levels deep"));
    assert!(document(&format!("[\"{}", "x".repeat(2_000))).unwrap_err().contains("longer than"));
    assert!(split(Layout::Lines, "[".repeat(100).as_bytes(), &[]).is_err());
    assert!(split(Layout::Lines, "x".repeat(2_000).as_bytes(), &[]).is_err());
}

#[test]
fn lines_may_be_blank_and_the_last_needs_no_end() {
    assert_eq!(split(Layout::Lines, b"{}\r\n\n {\"a\":1}", &[]).unwrap(), ["{}", "{\"a\":1}"]);
    assert_eq!(split(Layout::Lines, b"", &[]).unwrap(), [""; 0]);
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\\\[\\]{},é\n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z\"]{0,3}", inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn the_rows_are_those_that_a_whole_parse_finds(
        values in prop::collection::vec(json(), 0..6),
        cuts in prop::collection::vec(0_usize..20, 0..20),
        pretty: bool,
    ) {
        let array = Value::from(values.clone());
        let body = if pretty { serde_json::to_string_pretty(&array) } else { serde_json::to_string(&array) }.unwrap();
        let rows = split(Layout::Document, body.as_bytes(), &cuts).unwrap();
        let parsed: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        prop_assert_eq!(&parsed, &values);
        let lines = values.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let rows = split(Layout::Lines, lines.as_bytes(), &cuts).unwrap();
        let parsed: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        prop_assert_eq!(parsed, values);
    }

    #[test]
    fn random_bytes_do_not_panic(body: Vec<u8>, cuts in prop::collection::vec(0_usize..20, 0..5)) {
        let _ = split(Layout::Document, &body, &cuts);
        let _ = split(Layout::Lines, &body, &cuts);
    }
}
