//! Takes a column's values the way that was found.

use std::sync::Arc;

use arrow::array::types::{Int8Type, TimestampMicrosecondType, TimestampSecondType};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, FixedSizeListArray, LargeListArray, ListArray, MapArray,
    PrimitiveArray, StringBuilder, StructArray, UnionArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::Target;
use super::plan::{Column, Step};
use crate::encode::{EncodeError, Values, write_text};

/// Digits of the largest decimal.
const DIGITS: u32 = 38;
/// How the engine writes `-infinity`; `infinity` is the largest number.
const PAST: i64 = -i64::MAX;
const MICROS: i64 = 1_000_000;

impl Column {
    pub(super) fn apply(&self, array: &ArrayRef, target: Target) -> Result<ArrayRef, EncodeError> {
        let failed = |error: ArrowError| EncodeError::writer(target.name(), &error);
        let shape = || failed(ArrowError::SchemaError(format!("{} has another type than its column", self.path)));
        let misfit = |data_type| EncodeError::Value {
            column: crate::decode::shorten(&self.path),
            data_type,
            format: target.name(),
        };
        Ok(match &self.step {
            Step::Keep => Arc::clone(array),
            Step::Bits => {
                let bytes = array.as_primitive_opt::<Int8Type>().ok_or_else(shape)?;
                Arc::new(BooleanArray::from_unary(bytes, |byte| byte != 0))
            }
            Step::Decimal { signed } => decimals(array, *signed).ok_or_else(|| misfit("DECIMAL(38,0)"))?,
            Step::Micros => micros(array, self.field.data_type()).ok_or_else(|| misfit("TIMESTAMP"))?,
            Step::Text(field) => texts(field, array)?,
            Step::Unpack(layout, inner) => {
                let options = CastOptions { safe: false, ..CastOptions::default() };
                let unpacked = cast_with_options(array, layout, &options).map_err(failed)?;
                inner.apply(&unpacked, target)?
            }
            Step::List(item) => list(array, item, target)?.map_err(failed)?,
            Step::Map(key, value) => {
                let map = array.as_map_opt().ok_or_else(shape)?;
                let columns = vec![key.apply(map.keys(), target)?, value.apply(map.values(), target)?];
                self.map(map, columns).map_err(failed)?
            }
            Step::Struct(parts) => {
                let whole = array.as_struct_opt().ok_or_else(shape)?;
                let DataType::Struct(fields) = self.field.data_type() else { return Err(shape()) };
                let columns = parts
                    .iter()
                    .zip(whole.columns())
                    .map(|(part, values)| part.apply(values, target))
                    .collect::<Result<Vec<_>, _>>()?;
                let nulls = whole.nulls().cloned();
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, whole.len()).map_err(failed)?)
            }
            Step::Union(members) => {
                let union = array.as_union_opt().ok_or_else(shape)?;
                let DataType::Union(fields, _) = self.field.data_type() else { return Err(shape()) };
                let children = members.iter().map(|(id, part)| part.apply(union.child(*id), target)).collect::<Result<
                    Vec<_>,
                    _,
                >>(
                )?;
                let (types, offsets) = (union.type_ids().clone(), union.offsets().cloned());
                Arc::new(UnionArray::try_new(fields.clone(), types, offsets, children).map_err(failed)?)
            }
        })
    }

    fn map(&self, map: &MapArray, columns: Vec<ArrayRef>) -> Result<ArrayRef, ArrowError> {
        let DataType::Map(entries, sorted) = self.field.data_type() else {
            return Err(ArrowError::SchemaError("a map became something else".to_owned()));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(ArrowError::SchemaError("a map has no entries".to_owned()));
        };
        let pairs = StructArray::try_new(fields.clone(), columns, None)?;
        let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?))
    }
}

/// A list of any layout, with its items changed.
fn list(array: &ArrayRef, item: &Column, target: Target) -> Result<Result<ArrayRef, ArrowError>, EncodeError> {
    let field = Arc::clone(&item.field);
    if let Some(list) = array.as_list_opt::<i32>() {
        let values = item.apply(list.values(), target)?;
        let made = ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned());
        return Ok(made.map(|list| Arc::new(list) as ArrayRef));
    }
    if let Some(list) = array.as_list_opt::<i64>() {
        let values = item.apply(list.values(), target)?;
        let made = LargeListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned());
        return Ok(made.map(|list| Arc::new(list) as ArrayRef));
    }
    if let Some(list) = array.as_fixed_size_list_opt() {
        let values = item.apply(list.values(), target)?;
        let made = FixedSizeListArray::try_new(field, list.value_length(), values, list.nulls().cloned());
        return Ok(made.map(|list| Arc::new(list) as ArrayRef));
    }
    Ok(Err(ArrowError::SchemaError(format!("{} is not in a list", item.path))))
}

/// `None` if there is a value of more than 38 digits.
fn decimals(array: &ArrayRef, signed: bool) -> Option<ArrayRef> {
    let limit = 10_u128.pow(DIGITS);
    let value = |bytes: &[u8]| {
        let raw: [u8; 16] = bytes.try_into().ok()?;
        let value = if signed { i128::from_le_bytes(raw) } else { i128::try_from(u128::from_le_bytes(raw)).ok()? };
        (value.unsigned_abs() < limit).then_some(value)
    };
    let values: Vec<Option<i128>> = array
        .as_fixed_size_binary_opt()?
        .iter()
        .map(|bytes| bytes.map_or(Some(None), |bytes| value(bytes).map(Some)))
        .collect::<Option<_>>()?;
    let decimals = Decimal128Array::from(values).with_precision_and_scale(38, 0).ok()?;
    Some(Arc::new(decimals))
}

/// `None` if a value is out of range. Infinities stay infinite.
fn micros(array: &ArrayRef, becomes: &DataType) -> Option<ArrayRef> {
    let seconds: &PrimitiveArray<TimestampSecondType> = array.as_primitive_opt()?;
    let values: PrimitiveArray<TimestampMicrosecondType> = seconds
        .iter()
        .map(|value| match value {
            None => Some(None),
            Some(i64::MAX | i64::MIN..=PAST) => Some(value),
            Some(seconds) => seconds.checked_mul(MICROS).map(Some),
        })
        .collect::<Option<_>>()?;
    Some(Arc::new(values.with_data_type(becomes.clone())))
}

fn texts(field: &Field, array: &ArrayRef) -> Result<ArrayRef, EncodeError> {
    let values = Values::bind(field, array.as_ref())?;
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut scratch = Vec::new();
    for row in 0..array.len() {
        if values.is_null(row) {
            builder.append_null();
            continue;
        }
        scratch.clear();
        write_text(&values, row, usize::MAX, &mut scratch);
        // Only types without text of a user's come here; what is written of them is ASCII.
        builder.append_value(std::str::from_utf8(&scratch).unwrap_or_default());
    }
    Ok(Arc::new(builder.finish()))
}
