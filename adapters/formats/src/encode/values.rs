//! A column's values, with the Arrow type settled once per batch instead of once per value.

use arrow::array::{Array, ArrowPrimitiveType};
use arrow::datatypes::{Field, Float16Type, IntervalMonthDayNano, TimeUnit};

use super::EncodeError;
use super::bind::bind;

/// The values of a column or of a part of one.
pub(crate) struct Values<'a> {
    pub(super) array: &'a dyn Array,
    pub(super) kind: Kind<'a>,
}

/// How the values are to be read.
pub(super) enum Kind<'a> {
    Null,
    Boolean(&'a arrow::array::BooleanArray),
    /// DuckDB's booleans, losslessly: a byte each.
    Bool8(&'a [i8]),
    Integer(Integers<'a>),
    Half(&'a [Half]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Decimal32(&'a [i32], i8),
    Decimal64(&'a [i64], i8),
    Decimal128(&'a [i128], i8),
    Decimal256(&'a arrow::array::Decimal256Array, i8),
    HugeInt(&'a arrow::array::FixedSizeBinaryArray),
    UHugeInt(&'a arrow::array::FixedSizeBinaryArray),
    TimeTz(&'a arrow::array::FixedSizeBinaryArray),
    Uuid(&'a arrow::array::FixedSizeBinaryArray),
    Text(Texts<'a>),
    Json(Texts<'a>),
    Blob(Blobs<'a>),
    Bit(Blobs<'a>),
    BigNum(Blobs<'a>),
    Geometry(Blobs<'a>),
    Date(&'a [i32]),
    Date64(&'a [i64]),
    Timestamp {
        values: &'a [i64],
        unit: TimeUnit,
        zoned: bool,
    },
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Interval(&'a [IntervalMonthDayNano]),
    Months(&'a [i32]),
    DayTime(&'a [arrow::datatypes::IntervalDayTime]),
    Duration(&'a [i64], TimeUnit),
    Dictionary {
        keys: Box<dyn Fn(usize) -> Option<usize> + Send + Sync + 'a>,
        values: Box<Values<'a>>,
    },
    List {
        offsets: Offsets<'a>,
        items: Box<Values<'a>>,
    },
    Map {
        offsets: &'a [i32],
        keys: Box<Values<'a>>,
        values: Box<Values<'a>>,
        text_keys: bool,
    },
    Struct(Vec<(Vec<u8>, Values<'a>)>),
    Union {
        types: &'a [i8],
        offsets: Option<&'a [i32]>,
        members: Vec<(i8, Values<'a>)>,
    },
}

type Half = <Float16Type as ArrowPrimitiveType>::Native;

pub(super) enum Integers<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}

pub(super) enum Texts<'a> {
    Small(&'a arrow::array::StringArray),
    Large(&'a arrow::array::LargeStringArray),
    View(&'a arrow::array::StringViewArray),
}

impl<'a> Texts<'a> {
    pub(super) fn value(&self, row: usize) -> &'a str {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
        }
    }
}

pub(super) enum Blobs<'a> {
    Small(&'a arrow::array::BinaryArray),
    Large(&'a arrow::array::LargeBinaryArray),
    View(&'a arrow::array::BinaryViewArray),
    Fixed(&'a arrow::array::FixedSizeBinaryArray),
}

impl<'a> Blobs<'a> {
    pub(super) fn value(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
            Self::Fixed(array) => array.value(row),
        }
    }
}

pub(super) enum Offsets<'a> {
    Small(&'a [i32]),
    Large(&'a [i64]),
    /// All of the same length.
    Fixed(usize),
}

impl Offsets<'_> {
    /// Where the row's items begin and end.
    pub(super) fn range(&self, row: usize) -> std::ops::Range<usize> {
        // Arrow has checked that offsets are not negative.
        let at = |offset: i64| usize::try_from(offset).unwrap_or_default();
        match self {
            Self::Small(offsets) => at(offsets[row].into())..at(offsets[row + 1].into()),
            Self::Large(offsets) => at(offsets[row])..at(offsets[row + 1]),
            Self::Fixed(length) => row * length..(row + 1) * length,
        }
    }
}

impl<'a> Values<'a> {
    /// The values of `array`, which `field` describes.
    pub(crate) fn bind(field: &Field, array: &'a dyn Array) -> Result<Self, EncodeError> {
        bind(field, array, 0)
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Dictionary { keys, values } => keys(row).is_none_or(|key| values.is_null(key)),
            Kind::Union { .. } => self.member(row).is_none_or(|(member, at)| member.is_null(at)),
            _ => self.array.is_null(row),
        }
    }

    /// The text, if these are texts.
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        match &self.kind {
            Kind::Text(texts) | Kind::Json(texts) => Some(texts.value(row)),
            Kind::Dictionary { keys, values } => values.text(keys(row)?),
            _ => None,
        }
    }

    /// The bytes, if these are bytes.
    pub(crate) fn bytes(&self, row: usize) -> Option<&'a [u8]> {
        match &self.kind {
            Kind::Blob(blobs) | Kind::Geometry(blobs) => Some(blobs.value(row)),
            Kind::Uuid(array) => Some(array.value(row)),
            Kind::Dictionary { keys, values } => values.bytes(keys(row)?),
            _ => None,
        }
    }

    /// The member of a union that the row has, and where it stands there.
    pub(super) fn member(&self, row: usize) -> Option<(&Values<'a>, usize)> {
        let Kind::Union { types, offsets, members } = &self.kind else { return None };
        let tag = *types.get(row)?;
        let (_, member) = members.iter().find(|(id, _)| *id == tag)?;
        let at = match offsets {
            Some(offsets) => usize::try_from(*offsets.get(row)?).ok()?,
            None => row,
        };
        Some((member, at))
    }
}
