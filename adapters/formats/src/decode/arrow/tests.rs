//! Arrow bodies: streams and files, whole and damaged.

use arrow::array::types::Int32Type;
use arrow::array::{
    Array, AsArray, BinaryArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float64Array,
    Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeStringArray, ListArray, NullArray, StringArray,
    StringViewArray, StructArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType as ArrowType, IntervalMonthDayNano};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use gadwall_domain::rows::Violation;
use proptest::prelude::*;

use super::super::testing::run;
use super::*;
use crate::InputFormat::{ArrowFile, ArrowStream};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn file(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn decoded(columns: &[&str], body: &[u8]) -> (Vec<RecordBatch>, Vec<Violation>) {
    let (batches, violations) = run(ArrowStream, columns, body, 100, &DecodeOptions::default()).unwrap();
    (batches, violations.first().to_vec())
}

fn failure(columns: &[&str], body: &[u8]) -> String {
    run(ArrowFile, columns, body, 100, &DecodeOptions::default()).unwrap_err().to_string()
}

/// A column's only batch as texts.
fn texts(data_type: &str, array: ArrayRef) -> Result<Vec<Option<String>>, String> {
    let column = format!("x {data_type}");
    let (batches, violations) = decoded(&[&column], &stream(&[batch(vec![("x", array)])]));
    if let Some(violation) = violations.first() {
        return Err(format!("{} {}", violation.row, violation.reason));
    }
    let array = batches[0].column(0).clone();
    Ok(array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
}

fn ids(values: Vec<i32>) -> ArrayRef {
    Arc::new(Int32Array::from(values))
}

#[test]
fn a_type_that_fits_is_kept() {
    let body = stream(&[batch(vec![("ID", ids(vec![1, 2]))]), batch(vec![("ID", ids(vec![3]))])]);
    let (batches, violations) = decoded(&["id BIGINT!", "note VARCHAR = 'x'"], &body);
    assert!(violations.is_empty());
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(batches[0].schema().field(0).name(), "id");
    assert_eq!(batches[0].column(0).data_type(), &ArrowType::Int32);
}

#[test]
fn files_are_read_like_streams_compressed_or_not() {
    let batches = [batch(vec![("id", ids((0..20_000).collect()))]), batch(vec![("id", ids(vec![3]))])];
    for compression in [None, Some(CompressionType::ZSTD), Some(CompressionType::LZ4_FRAME)] {
        let body = file(&batches, compression);
        let rows: usize = decoded(&["id INTEGER"], &body).0.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 20_001);
        assert!(failure(&["id INTEGER"], &body[..body.len() - 20]).contains("footer"));
    }
}

#[test]
fn every_kind_of_text_becomes_plain_text() {
    let expected = vec![Some("a".to_owned()), None];
    let dictionary: DictionaryArray<Int32Type> = [Some("a"), None].into_iter().collect();
    let arrays: [ArrayRef; 4] = [
        Arc::new(StringArray::from(vec![Some("a"), None])),
        Arc::new(LargeStringArray::from(vec![Some("a"), None])),
        Arc::new(StringViewArray::from(vec![Some("a"), None])),
        Arc::new(dictionary),
    ];
    for array in arrays {
        assert_eq!(texts("VARCHAR(1)", array.clone()).unwrap(), expected);
        assert!(texts("VARCHAR(1)!", array).unwrap_err().contains("NOT NULL"));
    }
    assert_eq!(texts("INTEGER", Arc::new(NullArray::new(2))).unwrap(), [None, None]);
}

#[test]
fn what_the_engine_would_round_is_refused() {
    assert_eq!(texts("INTEGER", Arc::new(Float64Array::from(vec![1.0]))).unwrap(), [Some("1".to_owned())]);
    assert!(texts("INTEGER", Arc::new(Float64Array::from(vec![1.5]))).is_err());
    assert!(texts("TINYINT", Arc::new(Int64Array::from(vec![300]))).is_err());
    assert!(texts("DATE", Arc::new(TimestampNanosecondArray::from(vec![1]))).is_err());
    assert!(texts("VARCHAR(2)", Arc::new(StringArray::from(vec!["abc"]))).is_err());
    assert!(texts("INTEGER", Arc::new(StringArray::from(vec!["1.5"]))).is_err());
    let fine = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 0, 1)]);
    assert!(texts("INTERVAL", Arc::new(fine)).is_err());
    let coarse = IntervalMonthDayNanoArray::from(vec![Some(IntervalMonthDayNano::new(1, 2, 3_000_000)), None]);
    let expected = [Some("1 month 2 days 00:00:00.003".to_owned()), None];
    assert_eq!(texts("INTERVAL", Arc::new(coarse)).unwrap(), expected);
}

#[test]
fn values_outside_their_own_type_are_violations() {
    let decimals = Decimal128Array::from(vec![12_345]).with_precision_and_scale(5, 2).unwrap();
    assert!(texts("DECIMAL(4,2)", Arc::new(decimals)).is_err());
    assert!(texts("DATE", Arc::new(Date32Array::from(vec![i32::MIN]))).is_err());
    let (batches, violations) = decoded(
        &["x TIMESTAMP WITH TIME ZONE"],
        &stream(&[batch(vec![(
            "x",
            Arc::new(TimestampNanosecondArray::from(vec![1_500, i64::MAX]).with_timezone("Europe/Prague")),
        )])]),
    );
    assert!(violations.is_empty(), "{violations:?}");
    let array = batches[0].column(0).as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!(array.values().as_ref(), &[1, i64::MAX]);
}

#[test]
fn nested_values_become_the_json_of_nested_columns() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    assert_eq!(texts("BIGINT[]", Arc::new(list.clone())).unwrap(), [Some("[\"1\",null]".to_owned()), None]);
    assert_eq!(texts("JSON", Arc::new(list)).unwrap(), [Some("[1,null]".to_owned()), None]);
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let strukt = StructArray::from(vec![(Arc::new(Field::new("A", ArrowType::Int32, true)), inner)]);
    assert_eq!(
        texts("STRUCT(a INTEGER, b DATE)", Arc::new(strukt.clone())).unwrap(),
        [Some("{\"a\":7,\"b\":null}".to_owned())]
    );
    assert!(texts("STRUCT(b DATE)", Arc::new(strukt)).unwrap_err().contains("no such field"));
}

#[test]
fn bytes_enter_blobs_and_uuids() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"\xAA"[..]]));
    let (batches, _) = decoded(&["x BLOB"], &stream(&[batch(vec![("x", bytes.clone())])]));
    assert_eq!(batches[0].column(0).as_binary::<i32>().value(0), b"\xAA");
    let uuid = FixedSizeBinaryArray::try_from_iter([vec![0xAB; 16]].into_iter()).unwrap();
    assert_eq!(texts("UUID", Arc::new(uuid)).unwrap(), [Some("abababab-abab-abab-abab-abababababab".to_owned())]);
    assert!(failure(&["x VARCHAR"], &stream(&[batch(vec![("x", bytes)])])).contains("doesn't fit VARCHAR"));
}

#[test]
fn schemas_that_do_not_match_the_table_are_refused() {
    let body = stream(&[batch(vec![("id", ids(vec![1])), ("x", ids(vec![1]))])]);
    assert!(failure(&["id INTEGER"], &body).contains("no column \"x\""));
    assert!(failure(&["id INTEGER", "x INTEGER[]"], &body).contains("doesn't fit"));
    assert!(failure(&["id INTEGER", "x INTEGER", "y INTEGER!"], &body).contains("lacks the column y"));
    let zoned = TimestampNanosecondArray::from(vec![1]).with_timezone("Europe/Prague");
    let body = stream(&[batch(vec![("x", Arc::new(zoned))])]);
    assert!(failure(&["x TIMESTAMP"], &body).contains("TIMESTAMP WITH TIME ZONE"));
}

#[test]
fn an_empty_stream_has_no_rows_and_nothing_at_all_is_malformed() {
    let empty = RecordBatch::new_empty(batch(vec![("id", ids(vec![]))]).schema());
    assert!(decoded(&["id INTEGER"], &stream(&[empty])).0.is_empty());
    assert!(failure(&["id INTEGER"], b"").contains("it is empty"));
    assert!(failure(&["id INTEGER"], b"ARROW1").contains("ends in the middle"));
    assert!(failure(&["id INTEGER"], b"id\n1\n2\n").contains("neither an Arrow IPC stream"));
    let body = stream(&[batch(vec![("id", ids(vec![1]))])]);
    assert!(failure(&["id INTEGER"], &[body.clone(), body].concat()).contains("one stream"));
}

#[test]
fn a_claim_of_a_terabyte_is_refused_before_it_is_allocated() {
    let mut body = file(&[batch(vec![("id", ids((0..50_000).collect()))])], Some(CompressionType::ZSTD));
    // The length of the unpacked data, before the frame's magic number.
    let frame = body.windows(4).position(|four| four == [0x28, 0xB5, 0x2F, 0xFD]).unwrap();
    body[frame - 8..frame].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    assert!(failure(&["id INTEGER"], &body).contains("unpacked"));
}

#[test]
fn a_dictionary_is_not_unpacked_at_once() {
    let values = StringArray::from(vec!["x".repeat(1 << 20)]);
    let keys = Int32Array::from(vec![0; 64]);
    let dictionary = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).unwrap();
    let (batches, _) = decoded(&["x VARCHAR"], &stream(&[batch(vec![("x", Arc::new(dictionary))])]));
    assert!(batches.len() >= 7 && batches.iter().all(|batch| batch.num_rows() <= 9), "{}", batches.len());
}

fn sample() -> Vec<u8> {
    let words: DictionaryArray<Int32Type> = [Some("a"), None, Some("b")].into_iter().collect();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", ids(vec![1, 2, 3])),
        ("word", Arc::new(words)),
        ("list", Arc::new(list)),
        ("text", Arc::new(StringArray::from(vec![Some("é"), None, Some("")]))),
    ];
    stream(&[batch(columns.clone()), batch(columns)])
}

const SAMPLE: &[&str] = &["id INTEGER", "word VARCHAR", "list INTEGER[]", "text VARCHAR"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_bodies_do_not_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), compressed: bool) {
        let mut body = sample();
        if compressed {
            body = file(&[batch(vec![("id", ids((0..300).collect()))])], Some(CompressionType::ZSTD));
        }
        for (at, byte) in flips {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = run(ArrowStream, SAMPLE, &body, 50, &DecodeOptions::default());
    }

    #[test]
    fn truncated_bodies_are_malformed(cut in any::<prop::sample::Index>(), chunk in 1_usize..200) {
        let body = sample();
        let cut = cut.index(body.len());
        let found = run(ArrowStream, SAMPLE, &body[..cut], chunk, &DecodeOptions::default());
        // Where a message ends, a stream may end.
        let complete = found.as_ref().is_ok_and(|(batches, _)| batches.iter().all(|batch| batch.num_rows() == 3));
        prop_assert!(found.is_err() || complete);
    }

    #[test]
    fn random_bytes_do_not_panic(body: Vec<u8>) {
        let _ = run(ArrowStream, SAMPLE, &body, 7, &DecodeOptions::default());
    }
}
