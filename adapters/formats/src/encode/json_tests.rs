//! Rows as JSON: every type, every option.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::types::Int32Type;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float64Array, Int8Array, Int32Array, Int64Array, ListArray, MapBuilder, StringArray, StringBuilder, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};

use super::*;

fn extended(name: &str, data_type: DataType, extension: &str) -> Field {
    let metadata = HashMap::from([("ARROW:extension:name".to_owned(), extension.to_owned())]);
    Field::new(name, data_type, true).with_metadata(metadata)
}

fn one(field: Field, array: ArrayRef, options: JsonOptions) -> Vec<String> {
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
    let rows = Rows::new(&batch.schema(), JsonOptions { shape: Shape::Array, ..options }).unwrap();
    let ready = rows.batch(&batch).unwrap();
    let write = |row| {
        let mut out = Vec::new();
        ready.write(row, &mut out);
        let text = String::from_utf8(out).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).expect(&text);
        text[1..text.len() - 1].to_owned()
    };
    (0..ready.len()).map(write).collect()
}

fn column(array: impl Array + 'static) -> Vec<String> {
    let field = Field::new("x", array.data_type().clone(), true);
    one(field, Arc::new(array), JsonOptions::default())
}

fn wide(array: impl Array + 'static, options: JsonOptions) -> Vec<String> {
    let field = Field::new("x", array.data_type().clone(), true);
    one(field, Arc::new(array), options)
}

#[test]
fn wide_integers_are_text_where_no_digit_may_be_lost() {
    let options = JsonOptions { wide: WideIntegers::AsString, ..JsonOptions::default() };
    let array = Int64Array::from(vec![Some(i64::MAX), None]);
    assert_eq!(wide(array, options), ["\"9223372036854775807\"", "null"]);
    assert_eq!(wide(Int32Array::from(vec![7]), options), ["7"]);
}

#[test]
fn numbers_are_numbers_where_no_reader_loses_a_digit() {
    assert_eq!(column(Int64Array::from(vec![Some(i64::MIN), None])), ["-9223372036854775808", "null"]);
    assert_eq!(column(Float64Array::from(vec![0.1, f64::NAN, f64::INFINITY])), ["0.1", "\"NaN\"", "\"Infinity\""]);
    let decimal = || Decimal128Array::from(vec![110]).with_precision_and_scale(4, 2).unwrap();
    assert_eq!(column(decimal()), ["\"1.10\""]);
    let field = Field::new("x", DataType::Decimal128(4, 2), true);
    let options = JsonOptions { decimals: Decimals::AsNumber, ..JsonOptions::default() };
    assert_eq!(one(field, Arc::new(decimal()), options), ["1.10"]);
}

#[test]
fn booleans_come_as_bits_or_as_bytes() {
    assert_eq!(column(BooleanArray::from(vec![true, false])), ["true", "false"]);
    let field = extended("x", DataType::Int8, "arrow.bool8");
    assert_eq!(one(field, Arc::new(Int8Array::from(vec![1, 0])), JsonOptions::default()), ["true", "false"]);
}

#[test]
fn dates_and_times_are_iso_8601() {
    assert_eq!(
        column(Date32Array::from(vec![0, i32::MAX, -i32::MAX])),
        ["\"1970-01-01\"", "\"infinity\"", "\"-infinity\""]
    );
    let micros = TimestampMicrosecondArray::from(vec![1_577_872_800_000_000, i64::MAX]);
    assert_eq!(column(micros.clone()), ["\"2020-01-01T10:00:00\"", "\"infinity\""]);
    assert_eq!(column(micros.with_timezone("Europe/Prague"))[0], "\"2020-01-01T10:00:00+00:00\"");
}

#[test]
fn text_is_escaped_and_bytes_are_base64() {
    assert_eq!(column(StringArray::from(vec!["a\"\n\u{1}é"])), ["\"a\\\"\\n\\u0001é\""]);
    assert_eq!(column(BinaryArray::from(vec![&b"\xAA\x00"[..]])), ["\"qgA=\""]);
    let uuid = FixedSizeBinaryArray::try_from_iter([vec![0xAB; 16]].into_iter()).unwrap();
    let field = extended("x", DataType::FixedSizeBinary(16), "arrow.uuid");
    assert_eq!(one(field, Arc::new(uuid), JsonOptions::default()), ["\"abababab-abab-abab-abab-abababababab\""]);
}

#[test]
fn json_is_embedded_on_one_line_or_kept_as_text() {
    let texts = || Arc::new(StringArray::from(vec![Some("{\"a\":\n[1]}"), Some("not json"), None]));
    let field = extended("x", DataType::Utf8, "arrow.json");
    assert_eq!(one(field.clone(), texts(), JsonOptions::default()), ["{\"a\": [1]}", "\"not json\"", "null"]);
    let options = JsonOptions { json: JsonColumns::Text, ..JsonOptions::default() };
    assert_eq!(one(field, texts(), options)[0], "\"{\\\"a\\\":\\n[1]}\"");
}

#[test]
fn nested_values_are_nested() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    assert_eq!(column(list.clone()), ["[1,null]", "null", "[]"]);
    assert_eq!(column(list.slice(2, 1)), ["[]"]);
    let strukt = StructArray::from(vec![(
        Arc::new(Field::new("a\"b", DataType::Int32, true)),
        Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
    )]);
    assert_eq!(column(strukt.clone()), ["{\"a\\\"b\":1}", "{\"a\\\"b\":null}"]);
    assert_eq!(column(strukt.slice(1, 1)), ["{\"a\\\"b\":null}"]);
    let words: DictionaryArray<Int32Type> = [Some("x"), None, Some("x")].into_iter().collect();
    assert_eq!(column(words), ["\"x\"", "null", "\"x\""]);
}

#[test]
fn a_map_is_an_object_if_its_keys_are_text() {
    let mut texts = MapBuilder::new(None, StringBuilder::new(), arrow::array::Int32Builder::new());
    texts.keys().append_value("k");
    texts.values().append_value(1);
    texts.append(true).unwrap();
    assert_eq!(column(texts.finish()), ["{\"k\":1}"]);
    let mut numbers = MapBuilder::new(None, arrow::array::Int32Builder::new(), StringBuilder::new());
    numbers.keys().append_value(1);
    numbers.values().append_null();
    numbers.append(true).unwrap();
    assert_eq!(column(numbers.finish()), ["[{\"key\":1,\"value\":null}]"]);
}

#[test]
fn columns_of_the_same_name_are_told_apart() {
    let ids = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let fields: Vec<_> = ["a", "a", "a_1", "a"].map(|name| Field::new(name, DataType::Int32, true)).into();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ids(), ids(), ids(), ids()]).unwrap();
    let rows = Rows::new(&batch.schema(), JsonOptions::default()).unwrap();
    let mut out = Vec::new();
    rows.batch(&batch).unwrap().write_lines(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "{\"a\":1,\"a_2\":1,\"a_1\":1,\"a_3\":1}\n");
}

#[test]
fn a_type_that_cannot_be_written_is_named() {
    let field = Field::new("x", DataType::ListView(Arc::new(Field::new("l", DataType::Int32, true))), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let error = Rows::new(&schema, JsonOptions::default()).unwrap_err().to_string();
    assert!(error.contains("\"x\"") && error.contains("ListView"), "{error}");
}
