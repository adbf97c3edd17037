//! The engine's own types, and layouts that not everyone reads.

use std::sync::Arc;

use arrow::array::types::Int32Type;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Int8Array, Int32Array, IntervalMonthDayNanoArray, ListArray, NullArray, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampSecondArray, UnionArray,
};
use arrow::datatypes::{DataType, Field, Fields, IntervalMonthDayNano, UnionFields, UnionMode};

use super::super::testing::{batch, extended, opaque};
use super::*;

fn becomes(field: Field, array: impl Array + 'static, target: Target) -> Result<(Field, ArrayRef), EncodeError> {
    let batch = batch(vec![(field, Arc::new(array))]);
    let columnar = Columnar::new(&batch.schema(), target)?;
    let converted = columnar.convert(&batch)?;
    Ok((columnar.schema().field(0).clone(), Arc::clone(converted.column(0))))
}

fn both(field: &Field, array: &(impl Array + Clone + 'static), expected: &dyn Array) {
    for target in [Target::Arrow, Target::Parquet] {
        let (becoming, found) = becomes(field.clone(), array.clone(), target).unwrap();
        assert_eq!(found.as_ref(), expected, "{target:?}");
        assert!(becoming.metadata().get("ARROW:extension:name").is_none_or(|name| name != "arrow.opaque"));
    }
}

fn wide(values: &[Option<i128>]) -> FixedSizeBinaryArray {
    let bytes = values.iter().map(|value| value.map(i128::to_le_bytes));
    FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, 16).unwrap()
}

const LARGEST: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

#[test]
fn booleans_become_bits_and_wide_integers_decimals() {
    let field = extended(DataType::Int8, "arrow.bool8", "");
    let bits = BooleanArray::from(vec![Some(true), None, Some(false)]);
    both(&field, &Int8Array::from(vec![Some(1), None, Some(0)]), &bits);
    let decimals = |values: Vec<Option<i128>>| Decimal128Array::from(values).with_precision_and_scale(38, 0).unwrap();
    let field = opaque(DataType::FixedSizeBinary(16), "hugeint");
    let values = vec![Some(LARGEST), Some(-LARGEST), None, Some(-1)];
    both(&field, &wide(&values), &decimals(values));
    let unsigned = opaque(DataType::FixedSizeBinary(16), "uhugeint");
    both(&unsigned, &wide(&[Some(LARGEST)]), &decimals(vec![Some(LARGEST)]));
    for (field, value) in [(&field, LARGEST + 1), (&field, i128::MIN), (&unsigned, -1)] {
        let error = becomes(field.clone(), wide(&[Some(value)]), Target::Arrow).unwrap_err().to_string();
        assert!(error.contains("\"c0\"") && error.contains("DECIMAL(38,0)") && error.contains("VARCHAR"), "{error}");
    }
}

#[test]
fn bytes_that_only_the_engine_reads_become_text() {
    // The bytes are what DuckDB 1.5.5 gave for these values.
    let bits = BinaryArray::from(vec![Some(&[4_u8, 245][..]), None]);
    both(&opaque(DataType::Binary, "bit"), &bits, &StringArray::from(vec![Some("0101"), None]));
    let bignum = BinaryArray::from(vec![&[127_u8, 255, 254, 250][..]]);
    both(&opaque(DataType::Binary, "bignum"), &bignum, &StringArray::from(vec!["-5"]));
    let times = FixedSizeBinaryArray::try_from_iter([[167_u8, 147, 0, 0, 104, 196, 97, 8]].into_iter()).unwrap();
    both(&opaque(DataType::FixedSizeBinary(8), "time_tz"), &times, &StringArray::from(vec!["10:00:00+05:30"]));
}

#[test]
fn dictionaries_and_views_become_their_values() {
    let words: DictionaryArray<Int32Type> = [Some("x"), None, Some("x")].into_iter().collect();
    let expected = StringArray::from(vec![Some("x"), None, Some("x")]);
    both(&Field::new("x", words.data_type().clone(), true), &words, &expected);
    both(
        &Field::new("x", DataType::Utf8View, true),
        &StringViewArray::from(vec![Some("x"), None, Some("x")]),
        &expected,
    );
}

#[test]
fn known_extensions_keep_their_names() {
    let field = extended(DataType::FixedSizeBinary(16), "arrow.uuid", "");
    let (field, _) = becomes(field, wide(&[Some(1)]), Target::Parquet).unwrap();
    // No parameters: not even empty ones.
    assert_eq!(field.metadata().len(), 1);
    assert_eq!(field.metadata()["ARROW:extension:name"], "arrow.uuid");
    for (name, field) in [
        ("arrow.json", extended(DataType::Utf8, "arrow.json", "")),
        ("arrow.json", extended(DataType::Utf8View, "arrow.json", "")),
        ("geoarrow.wkb", extended(DataType::Binary, "geoarrow.wkb", "{}")),
    ] {
        let array = arrow::array::new_null_array(field.data_type(), 1);
        let columnar = Columnar::new(&batch(vec![(field, array)]).schema(), Target::Arrow).unwrap();
        assert_eq!(columnar.schema().field(0).metadata()["ARROW:extension:name"], name);
    }
}

#[test]
fn what_is_within_is_changed_and_the_rest_kept() {
    let inner = opaque(DataType::Binary, "bit").with_name("b");
    let fields = Fields::from(vec![Field::new("n", DataType::Int32, true), inner]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![Some(1), None])),
        Arc::new(BinaryArray::from(vec![Some(&[4_u8, 245][..]), None])),
    ];
    let structs = StructArray::new(fields.clone(), columns, Some(vec![true, false].into()));
    let item = Arc::new(Field::new("l", DataType::Struct(fields), true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0, 0]);
    let lists = ListArray::new(item, offsets, Arc::new(structs), Some(vec![true, true, false].into()));
    let (field, found) = becomes(Field::new("x", lists.data_type().clone(), true), lists, Target::Parquet).unwrap();
    assert_eq!(crate::encode::describe_type(&field), "STRUCT(\"n\" INTEGER, \"b\" VARCHAR)[]");
    let list = found.as_list::<i32>();
    assert_eq!((list.len(), list.null_count(), list.value_length(0)), (3, 1, 2));
    let structs = list.values().as_struct();
    assert_eq!((structs.is_null(1), structs.column(1).as_string::<i32>().value(0)), (true, "0101"));
    // A slice is what it shows, not what it is cut from.
    let (_, cut) = becomes(field, found.slice(1, 1), Target::Parquet).unwrap();
    assert_eq!(cut.as_list::<i32>().value_length(0), 0);
}

#[test]
fn parquet_gets_what_it_has_types_for() {
    let seconds = TimestampSecondArray::from(vec![Some(1), None, Some(i64::MAX), Some(-i64::MAX)]);
    let field = Field::new("x", seconds.data_type().clone(), true);
    let micros = TimestampMicrosecondArray::from(vec![Some(1_000_000), None, Some(i64::MAX), Some(-i64::MAX)]);
    assert_eq!(becomes(field.clone(), seconds.clone(), Target::Parquet).unwrap().1.as_ref(), &micros as &dyn Array);
    assert_eq!(becomes(field.clone(), seconds.clone(), Target::Arrow).unwrap().1.as_ref(), &seconds as &dyn Array);
    assert!(becomes(field, TimestampSecondArray::from(vec![i64::MAX / 2]), Target::Parquet).is_err());
    let intervals = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(-1, 2, 1_000)]);
    let field = Field::new("x", intervals.data_type().clone(), true);
    let (_, found) = becomes(field, intervals, Target::Parquet).unwrap();
    assert_eq!(found.as_string::<i32>().value(0), "-1 month 2 days 00:00:00.000001");
    let (field, found) = becomes(Field::new("x", DataType::Null, true), NullArray::new(2), Target::Parquet).unwrap();
    assert_eq!((field.data_type(), found.null_count()), (&DataType::Int32, 2));
}

#[test]
fn unions_go_to_arrow_only() {
    let member = Field::new("a", DataType::Int32, true);
    let fields = UnionFields::try_new([0], [member]).unwrap();
    let children: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1]))];
    let union = UnionArray::try_new(fields.clone(), vec![0_i8].into(), None, children).unwrap();
    let field = Field::new("x", DataType::Union(fields, UnionMode::Sparse), false);
    assert!(becomes(field.clone(), union.clone(), Target::Arrow).is_ok());
    let error = becomes(field, union, Target::Parquet).unwrap_err();
    let EncodeError::Type { column, data_type, format, instead } = error else { panic!("{error}") };
    assert_eq!((column.as_str(), data_type.as_str()), ("c0", "UNION(\"a\" INTEGER)"));
    assert_eq!((format, instead), ("Parquet", "VARCHAR or JSON"));
}
