//! Rows a second into each format: eight columns of the usual types, in batches as the engine gives them.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gadwall_formats::encode::csv::CsvStyle;
use gadwall_formats::encode::json::JsonOptions;
use gadwall_formats::encode::{ArrowCompression, ArrowOptions, Document, ParquetCompression, ParquetOptions};
use gadwall_formats::{Encoder, Output};

const ROWS: i64 = 2_048;
const BATCHES: i64 = 100;

fn batch(first: i64) -> RecordBatch {
    let ids = || first..first + ROWS;
    let narrow = |value: i64| i32::try_from(value % 10_000).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids()))),
        ("number", Arc::new(Int32Array::from_iter_values(ids().map(narrow)))),
        ("score", Arc::new(Float64Array::from_iter_values(ids().map(|id| f64::from(narrow(id)) / 7.0)))),
        (
            "amount",
            Arc::new(
                Decimal128Array::from_iter_values(ids().map(|id| i128::from(id) * 37 % 1_000_000))
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        ("name", Arc::new(StringArray::from_iter_values(ids().map(|id| format!("customer {}", id % 997))))),
        ("note", Arc::new(StringArray::from_iter_values(ids().map(|id| format!("note {id}, \"quoted\""))))),
        ("day", Arc::new(Date32Array::from_iter_values(ids().map(narrow)))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(ids().map(|id| id * 1_000_003)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

type Make = fn() -> Output;

fn formats() -> Vec<(&'static str, Make)> {
    vec![
        ("json", || {
            let tail = Box::new(|_| "]".to_owned());
            Output::Json(Document { rows: JsonOptions::default(), head: "[".to_owned(), tail })
        }),
        ("ndjson", || Output::NdJson(JsonOptions::default())),
        ("csv", || Output::Csv(CsvStyle::default())),
        ("arrow", || Output::ArrowStream(ArrowOptions::default())),
        ("arrow zstd", || Output::ArrowStream(ArrowOptions { compression: ArrowCompression::Zstd })),
        ("arrow file", || Output::ArrowFile(ArrowOptions::default())),
        ("parquet snappy", || Output::Parquet(ParquetOptions::default())),
        ("parquet zstd", || {
            Output::Parquet(ParquetOptions { compression: ParquetCompression::Zstd, ..ParquetOptions::default() })
        }),
    ]
}

fn encode(criterion: &mut Criterion) {
    let batches: Vec<RecordBatch> = (0..BATCHES).map(|at| batch(at * ROWS)).collect();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(u64::try_from(ROWS * BATCHES).unwrap()));
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for (name, output) in formats() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut out = Vec::new();
                let mut encoder = Encoder::begin(&batches[0].schema(), output(), &mut out).unwrap();
                for batch in &batches {
                    encoder.push(batch, &mut out).unwrap();
                    // Sent.
                    black_box(&out);
                    out.clear();
                }
                encoder.finish(&mut out).unwrap();
                black_box(out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
