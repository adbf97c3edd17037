//! What is written is read back, in every format.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field};
use arrow::ipc::reader::{FileReader, StreamReader};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::Value;

use super::super::json::{Decimals, Shape};
use super::super::testing::{Column, batch, columns};
use super::super::{ArrowCompression, ParquetCompression, Values, write_text};
use super::*;
use crate::decode::testing::run;
use crate::{CsvOptions, DecodeOptions, InputFormat};

const NUMBERS: JsonOptions = JsonOptions {
    decimals: Decimals::AsNumber,
    wide: super::super::json::WideIntegers::AsNumber,
    json: super::super::json::JsonColumns::Embed,
    shape: Shape::Object,
};

fn document() -> Document {
    Document { rows: NUMBERS, head: "[".to_owned(), tail: Box::new(|_| "]".to_owned()) }
}

/// Writes batches, sending on what is ready after each.
fn encode(batches: &[RecordBatch], output: Output) -> Vec<u8> {
    let (mut sent, mut out) = (Vec::new(), Vec::new());
    let mut encoder = Encoder::begin(&batches[0].schema(), output, &mut out).unwrap();
    for batch in batches {
        encoder.push(batch, &mut out).unwrap();
        sent.append(&mut out);
    }
    let rows = encoder.finish(&mut sent).unwrap();
    assert_eq!(rows, batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    sent
}

fn read_parquet(body: Vec<u8>) -> (SchemaRef, Vec<RecordBatch>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(body)).unwrap();
    (reader.schema().clone(), reader.build().unwrap().map(Result::unwrap).collect())
}

/// A column of all batches as texts.
fn texts(batches: &[RecordBatch], at: usize) -> Vec<Option<String>> {
    let mut found = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        let values = Values::bind(schema.field(at), batch.column(at).as_ref()).unwrap();
        for row in 0..batch.num_rows() {
            let mut out = Vec::new();
            write_text(&values, row, usize::MAX, &mut out);
            found.push((!values.is_null(row)).then(|| String::from_utf8(out).unwrap()));
        }
    }
    found
}

/// A text so that equal values are equal: `1`, `"1"` and `1.0` within nested values, `1e3` and `1000` of floats.
fn canonical(data_type: &str, text: String) -> Value {
    fn words(value: Value) -> Value {
        match value {
            Value::Number(number) => Value::from(number.to_string()),
            Value::Array(items) => items.into_iter().map(words).collect(),
            Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, words(value))).collect(),
            other => other,
        }
    }
    match data_type {
        // Two shortest texts may stand for one value.
        "FLOAT" => Value::from(format!("{:?}", text.parse::<f32>().unwrap())),
        "DOUBLE" => Value::from(format!("{:?}", text.parse::<f64>().unwrap())),
        instant if instant.starts_with("TIMESTAMP") => Value::from(text.replace('T', " ")),
        "JSON" => serde_json::from_str(&text).unwrap(),
        nested if nested.contains('[') || nested.starts_with("STRUCT") || nested.starts_with("MAP") => {
            words(serde_json::from_str(&text).unwrap())
        }
        _ => Value::from(text),
    }
}

fn same(columns: &[Column], sent: &[RecordBatch], found: &[RecordBatch], what: &str) {
    for (at, (data_type, ..)) in columns.iter().enumerate() {
        let canonical = |texts: Vec<Option<String>>| -> Vec<Option<Value>> {
            texts.into_iter().map(|text| text.map(|text| canonical(data_type, text))).collect()
        };
        assert_eq!(canonical(texts(sent, at)), canonical(texts(found, at)), "{what} {data_type}");
    }
}

/// The batch in two parts.
fn parts(columns: &[Column], cut: usize) -> [RecordBatch; 2] {
    let whole = batch(columns.iter().map(|(_, field, array)| (field.clone(), Arc::clone(array))).collect());
    let cut = cut % (whole.num_rows() + 1);
    [whole.slice(0, cut), whole.slice(cut, whole.num_rows() - cut)]
}

fn goes_round(columns: &[Column], cut: usize, output: Output, input: InputFormat, options: &DecodeOptions) {
    let sent = parts(columns, cut);
    let what = format!("{output:?}");
    let body = encode(&sent, output);
    let table: Vec<String> = columns.iter().enumerate().map(|(at, (name, ..))| format!("c{at} {name}")).collect();
    let table: Vec<&str> = table.iter().map(String::as_str).collect();
    let (found, violations) = run(input, &table, &body, 50, options).unwrap();
    assert!(violations.is_empty(), "{what}: {violations:?}");
    same(columns, &sent, &found, &what);
}

proptest! {
    #[test]
    fn text_formats_lose_nothing(columns in columns(), cut: usize) {
        let options = DecodeOptions::default();
        goes_round(&columns, cut, Output::Json(document()), InputFormat::Json, &options);
        goes_round(&columns, cut, Output::NdJson(NUMBERS), InputFormat::NdJson, &options);
        goes_round(&columns, cut, Output::NdJson(JsonOptions::default()), InputFormat::NdJson, &options);
        goes_round(&columns, cut, Output::Csv(CsvStyle::default()), InputFormat::Csv, &options);
    }

    #[test]
    fn csv_loses_nothing_in_any_style(columns in columns(), cut: usize, quote_all: bool, delimiter in prop::sample::select(vec![';', '\t', '|', '1', ' '])) {
        let style = CsvStyle::new(delimiter, "NA").unwrap().with_quote_all(quote_all);
        let csv = CsvOptions { delimiter: u8::try_from(delimiter).unwrap(), null_text: Some("NA".to_owned()), ..CsvOptions::default() };
        goes_round(&columns, cut, Output::Csv(style), InputFormat::Csv, &DecodeOptions { csv, ..DecodeOptions::default() });
    }

    #[test]
    fn arrow_loses_nothing(columns in columns(), cut: usize, compression in prop::sample::select(vec![ArrowCompression::None, ArrowCompression::Lz4, ArrowCompression::Zstd])) {
        let options = DecodeOptions::default();
        let arrow = ArrowOptions { compression };
        goes_round(&columns, cut, Output::ArrowStream(arrow), InputFormat::ArrowStream, &options);
        goes_round(&columns, cut, Output::ArrowFile(arrow), InputFormat::ArrowFile, &options);
    }

    #[test]
    fn parquet_loses_nothing(columns in columns(), cut: usize, row_group_rows in 1_usize..10, compression in prop::sample::select(vec![ParquetCompression::None, ParquetCompression::Snappy, ParquetCompression::Zstd])) {
        let sent = parts(&columns, cut);
        let (schema, found) = read_parquet(encode(&sent, Output::Parquet(ParquetOptions { compression, row_group_rows })));
        prop_assert_eq!(schema.fields().len(), columns.len());
        // Seconds become microseconds, and are written the same.
        same(&columns, &sent, &found, "Parquet");
    }
}

fn outputs() -> Vec<Output> {
    vec![
        Output::Json(document()),
        Output::NdJson(NUMBERS),
        Output::Csv(CsvStyle::default()),
        Output::ArrowStream(ArrowOptions::default()),
        Output::ArrowFile(ArrowOptions::default()),
        Output::Parquet(ParquetOptions::default()),
    ]
}

fn ids(rows: i32) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..rows));
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

#[test]
fn a_result_of_nothing_has_its_columns() {
    for output in outputs() {
        let format = output.format();
        let body = encode(&[ids(0)], output);
        match format {
            OutputFormat::Json => assert_eq!(body, b"[]"),
            OutputFormat::NdJson => assert_eq!(body, b""),
            OutputFormat::Csv => assert_eq!(body, b"id\r\n"),
            OutputFormat::ArrowStream => {
                let mut reader = StreamReader::try_new(body.as_slice(), None).unwrap();
                assert_eq!(reader.schema().field(0).name(), "id");
                assert!(reader.next().is_none());
            }
            OutputFormat::ArrowFile => {
                let reader = FileReader::try_new(std::io::Cursor::new(body), None).unwrap();
                assert_eq!((reader.schema().field(0).name().as_str(), reader.num_batches()), ("id", 0));
            }
            OutputFormat::Parquet => {
                let (schema, batches) = read_parquet(body);
                assert_eq!((schema.field(0).name().as_str(), batches.len()), ("id", 0));
            }
        }
    }
}

#[test]
fn what_is_ready_is_handed_out_and_not_held() {
    let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..2_048).map(|row| format!("{row:0500}"))));
    let batch = RecordBatch::try_from_iter([("w", words)]).unwrap();
    for output in outputs() {
        let format = output.format();
        let parquet = format == OutputFormat::Parquet;
        let output = if parquet {
            Output::Parquet(ParquetOptions { row_group_rows: 4_096, compression: ParquetCompression::None })
        } else {
            output
        };
        let mut out = Vec::new();
        let mut encoder = Encoder::begin(&batch.schema(), output, &mut out).unwrap();
        let mut longest_wait = 0;
        let mut waited = 0;
        for _ in 0..40 {
            encoder.push(&batch, &mut out).unwrap();
            waited = if out.is_empty() { waited + 1 } else { 0 };
            longest_wait = longest_wait.max(waited);
            out.clear();
        }
        assert!(longest_wait <= 8, "{format:?}: {longest_wait}");
        encoder.finish(&mut out).unwrap();
        assert!(parquet || out.len() < 6 << 20, "{format:?}: {}", out.len());
    }
}

#[test]
fn columns_of_the_same_name_are_told_apart_everywhere() {
    let fields: Vec<_> = ["a", "a"].map(|name| Field::new(name, DataType::Int32, true)).into();
    let ids = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let batch = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), vec![ids(), ids()]).unwrap();
    let (schema, _) = read_parquet(encode(std::slice::from_ref(&batch), Output::Parquet(ParquetOptions::default())));
    assert_eq!((schema.field(0).name().as_str(), schema.field(1).name().as_str()), ("a", "a_1"));
    assert_eq!(encode(&[batch], Output::Csv(CsvStyle::default())), b"a,a_1\r\n1,1\r\n");
}

#[test]
fn a_type_that_a_format_lacks_is_refused_before_the_first_byte() {
    let item = Arc::new(Field::new("l", DataType::Int32, true));
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![Field::new("x", DataType::ListView(item), true)]));
    for output in outputs() {
        let mut out = Vec::new();
        let error = Encoder::begin(&schema, output, &mut out).unwrap_err().to_string();
        assert!(error.contains("\"x\"") && error.contains("ListView") && error.contains("VARCHAR"), "{error}");
        assert!(out.is_empty());
    }
}

#[test]
fn a_batch_of_another_shape_is_an_error() {
    for output in outputs() {
        let mut out = Vec::new();
        let mut encoder = Encoder::begin(&ids(0).schema(), output, &mut out).unwrap();
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let two = RecordBatch::try_from_iter([("id", Arc::clone(&column)), ("x", column)]).unwrap();
        assert!(matches!(encoder.push(&two, &mut out), Err(EncodeError::Columns { found: 2, expected: 1 })));
    }
}
