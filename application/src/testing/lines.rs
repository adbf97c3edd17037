//! Rows as text, to be compared and read.
#![expect(clippy::panic, reason = "rows of another type are a mistake in the test")]

use arrow_array::{
    Array, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};

/// One line for each row: its values with `|` between them.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let line = |batch: &RecordBatch, row| batch.columns().iter().map(|values| cell(values, row)).collect::<Vec<_>>();
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| line(batch, row).join("|"))).collect()
}

/// A value of a plain type as text.
fn cell(values: &dyn Array, row: usize) -> String {
    if values.is_null(row) {
        return "NULL".to_owned();
    }
    macro_rules! try_types {
        ($($kind:ty),+) => {
            $(if let Some(values) = values.as_any().downcast_ref::<$kind>() {
                return values.value(row).to_string();
            })+
        };
    }
    try_types!(StringArray, LargeStringArray, BooleanArray, Int32Array, Int64Array, Float64Array, Float32Array);
    try_types!(Int8Array, Int16Array, UInt8Array, UInt16Array, UInt32Array, UInt64Array);
    panic!("no line is written of {}", values.data_type())
}
