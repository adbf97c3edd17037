//! Columns of every type, as the engine hands them over, with random values and those at the edges.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, MapArray, RecordBatch,
    StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, IntervalMonthDayNano, Schema};
use proptest::prelude::*;

/// A column and its type in a table.
pub(super) type Column = (&'static str, Field, ArrayRef);

pub(super) fn extended(data_type: DataType, extension: &str, parameters: &str) -> Field {
    Field::new("x", data_type, true).with_metadata(HashMap::from([
        ("ARROW:extension:name".to_owned(), extension.to_owned()),
        // The engine always sends parameters, be they empty.
        ("ARROW:extension:metadata".to_owned(), parameters.to_owned()),
    ]))
}

pub(super) fn opaque(data_type: DataType, name: &str) -> Field {
    let parameters = format!("{{\"type_name\":\"{name}\",\"vendor_name\":\"DuckDB\"}}");
    extended(data_type, "arrow.opaque", &parameters)
}

pub(super) fn batch(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<_>, Vec<_>) =
        columns.into_iter().enumerate().map(|(at, (field, array))| (field.with_name(format!("c{at}")), array)).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn plain(name: &'static str, array: impl Array + 'static) -> Column {
    (name, Field::new("x", array.data_type().clone(), true), Arc::new(array))
}

fn cells<T: Strategy>(rows: usize, value: T) -> impl Strategy<Value = Vec<Option<T::Value>>>
where
    T::Value: Clone,
{
    prop::collection::vec(prop::option::weighted(0.8, value), rows)
}

macro_rules! number {
    ($rows:expr, $name:literal, $native:ty, $array:ty) => {
        cells($rows, prop_oneof![any::<$native>(), Just(<$native>::MIN), Just(<$native>::MAX)])
            .prop_map(|values| plain($name, <$array>::from(values)))
            .boxed()
    };
}

macro_rules! instants {
    ($rows:expr, $name:literal, $range:expr, $array:ty) => {
        cells($rows, prop_oneof![8 => $range, 1 => Just(i64::MAX), 1 => Just(-i64::MAX)])
            .prop_map(|values| plain($name, <$array>::from(values)))
            .boxed()
    };
}

fn text() -> impl Strategy<Value = String> {
    let sign = prop_oneof![
        4 => any::<char>().prop_filter("no NUL", |sign| *sign != '\0'),
        4 => prop::sample::select(vec!['"', ',', ';', '\r', '\n', '\\', '\'', ' ', '\u{feff}', '{', '1']),
    ];
    let words = prop::sample::select(vec!["", "NULL", "null", "NA", "true", "\u{feff}", " x ", "1e400"]);
    prop_oneof![
        3 => prop::collection::vec(sign, 0..8).prop_map(|signs| signs.into_iter().collect()),
        1 => words.prop_map(str::to_owned),
    ]
}

fn decimals(rows: usize, name: &'static str, precision: u8, scale: i8) -> BoxedStrategy<Column> {
    let limit = 10_i128.pow(precision.into()) - 1;
    cells(rows, prop_oneof![-limit..=limit, Just(limit), Just(-limit), Just(0)])
        .prop_map(move |values| {
            plain(name, Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
        })
        .boxed()
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        text().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            (text(), inner).prop_map(|(key, value)| format!("{{{}:\n{value}}}", serde_json::Value::from(key))),
        ]
    })
}

fn uuids(values: &[Option<[u8; 16]>]) -> FixedSizeBinaryArray {
    FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.iter().copied(), 16).unwrap()
}

fn lists(rows: usize) -> BoxedStrategy<Column> {
    cells(rows, prop::collection::vec(prop::option::of(any::<i32>()), 0..4))
        .prop_map(|rows| {
            plain("INTEGER[]", ListArray::from_iter_primitive::<arrow::array::types::Int32Type, _, _>(rows))
        })
        .boxed()
}

fn structs(rows: usize) -> BoxedStrategy<Column> {
    let parts = (cells(rows, text()), cells(rows, any::<[u8; 16]>()), prop::collection::vec(any::<bool>(), rows));
    parts
        .prop_map(|(texts, ids, present)| {
            let uuid = extended(DataType::FixedSizeBinary(16), "arrow.uuid", "").with_name("u");
            let fields = Fields::from(vec![Field::new("a b", DataType::Utf8, true), uuid]);
            // The engine has nothing below a NULL.
            let below = |index: usize| present[index];
            let texts: StringArray =
                texts.into_iter().enumerate().map(|(at, text)| text.filter(|_| below(at))).collect();
            let ids: Vec<_> = ids.into_iter().enumerate().map(|(at, id)| id.filter(|_| below(at))).collect();
            let columns: Vec<ArrayRef> = vec![Arc::new(texts), Arc::new(uuids(&ids))];
            plain("STRUCT(\"a b\" VARCHAR, u UUID)", StructArray::new(fields, columns, Some(present.into())))
        })
        .boxed()
}

fn maps(rows: usize) -> BoxedStrategy<Column> {
    prop::collection::vec(prop::collection::btree_map(text(), prop::option::of(any::<i64>()), 0..3), rows)
        .prop_map(|rows| {
            let offsets = OffsetBuffer::from_lengths(rows.iter().map(std::collections::BTreeMap::len));
            let (keys, values): (Vec<String>, Vec<Option<i64>>) = rows.into_iter().flatten().unzip();
            let fields = Fields::from(vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Int64, true),
            ]);
            let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys)), Arc::new(Int64Array::from(values))];
            let entries = StructArray::new(fields.clone(), columns, None);
            let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
            plain("MAP(VARCHAR, BIGINT)", MapArray::new(field, offsets, entries, None, false))
        })
        .boxed()
}

fn point((x, y): (f64, f64)) -> Vec<u8> {
    [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
}

/// A column of any type that a table can have.
pub(super) fn column(rows: usize) -> BoxedStrategy<Column> {
    let coordinate = || -1e6..1e6_f64;
    prop_oneof![
        cells(rows, any::<bool>()).prop_map(|values| {
            let bytes: Int8Array = values.into_iter().map(|value| value.map(i8::from)).collect();
            ("BOOLEAN", extended(DataType::Int8, "arrow.bool8", ""), Arc::new(bytes) as ArrayRef)
        }),
        number!(rows, "TINYINT", i8, Int8Array),
        number!(rows, "SMALLINT", i16, Int16Array),
        number!(rows, "INTEGER", i32, Int32Array),
        number!(rows, "BIGINT", i64, Int64Array),
        number!(rows, "UTINYINT", u8, UInt8Array),
        number!(rows, "USMALLINT", u16, UInt16Array),
        number!(rows, "UINTEGER", u32, UInt32Array),
        number!(rows, "UBIGINT", u64, UInt64Array),
        cells(rows, any::<f32>()).prop_map(|values| plain("FLOAT", Float32Array::from(values))),
        cells(rows, prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::MIN_POSITIVE)])
            .prop_map(|values| plain("DOUBLE", Float64Array::from(values))),
        decimals(rows, "DECIMAL(9,2)", 9, 2),
        decimals(rows, "DECIMAL(38,10)", 38, 10),
        decimals(rows, "DECIMAL(38,0)", 38, 0),
        cells(rows, text()).prop_map(|values| plain("VARCHAR", StringArray::from(values))),
        cells(rows, any::<Vec<u8>>())
            .prop_map(|values| { plain("BLOB", values.iter().map(|value| value.as_deref()).collect::<BinaryArray>()) }),
        cells(rows, prop_oneof![8 => -700_000..2_900_000, 1 => Just(i32::MAX), 1 => Just(-i32::MAX)])
            .prop_map(|values| plain("DATE", Date32Array::from(values))),
        cells(rows, 0..86_400_000_000_i64).prop_map(|values| plain("TIME", Time64MicrosecondArray::from(values))),
        instants!(rows, "TIMESTAMP", -60_000_000_000_000_000..250_000_000_000_000_000_i64, TimestampMicrosecondArray),
        instants!(rows, "TIMESTAMP_S", -60_000_000_000..250_000_000_000_i64, TimestampSecondArray),
        instants!(rows, "TIMESTAMP_MS", -60_000_000_000_000..250_000_000_000_000_i64, TimestampMillisecondArray),
        instants!(
            rows,
            "TIMESTAMP_NS",
            -9_223_286_400_000_000_000..9_223_372_036_854_775_800_i64,
            TimestampNanosecondArray
        ),
        cells(rows, -60_000_000_000_000_000..250_000_000_000_000_000_i64).prop_map(|values| {
            plain("TIMESTAMP WITH TIME ZONE", TimestampMicrosecondArray::from(values).with_timezone("Etc/UTC"))
        }),
        cells(rows, (-100_000..100_000_i32, -100_000..100_000_i32, -1_000_000_000..1_000_000_000_i64)).prop_map(
            |values| {
                let interval = |(months, days, millis)| IntervalMonthDayNano::new(months, days, millis * 1_000_000);
                let values: Vec<_> = values.into_iter().map(|value| value.map(interval)).collect();
                plain("INTERVAL", IntervalMonthDayNanoArray::from(values))
            }
        ),
        cells(rows, any::<[u8; 16]>()).prop_map(|values| {
            let field = extended(DataType::FixedSizeBinary(16), "arrow.uuid", "");
            ("UUID", field, Arc::new(uuids(&values)) as ArrayRef)
        }),
        // Embedded in JSON, a lone `null` and NULL are the same.
        cells(rows, json().prop_filter("not NULL", |text| text != "null")).prop_map(|values| {
            ("JSON", extended(DataType::Utf8, "arrow.json", ""), Arc::new(StringArray::from(values)) as ArrayRef)
        }),
        cells(rows, (coordinate(), coordinate()).prop_map(point)).prop_map(|values| {
            let bytes: BinaryArray = values.iter().map(|value| value.as_deref()).collect();
            ("GEOMETRY", extended(DataType::Binary, "geoarrow.wkb", "{}"), Arc::new(bytes) as ArrayRef)
        }),
        lists(rows),
        structs(rows),
        maps(rows),
    ]
    .boxed()
}

/// Up to five columns of up to 20 rows.
pub(super) fn columns() -> impl Strategy<Value = Vec<Column>> {
    (0_usize..20).prop_flat_map(|rows| prop::collection::vec(column(rows), 1..5))
}
