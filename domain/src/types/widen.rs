//! Which types hold every value of which others.

use super::DataType;
use crate::alteration::AlterationError;

/// Bits of an integer type, and whether it is signed.
fn integer(of: &DataType) -> Option<(u8, bool)> {
    Some(match of {
        DataType::TinyInt => (8, true),
        DataType::SmallInt => (16, true),
        DataType::Integer => (32, true),
        DataType::BigInt => (64, true),
        DataType::UTinyInt => (8, false),
        DataType::USmallInt => (16, false),
        DataType::UInteger => (32, false),
        DataType::UBigInt => (64, false),
        _ => return None,
    })
}

/// Digits before and after the point that a number may have; none for what isn't exact.
fn whole_and_scale(of: &DataType) -> Option<(u8, u8)> {
    Some(match of {
        DataType::TinyInt | DataType::UTinyInt => (3, 0),
        DataType::SmallInt | DataType::USmallInt => (5, 0),
        DataType::Integer | DataType::UInteger => (10, 0),
        DataType::BigInt => (19, 0),
        DataType::UBigInt => (20, 0),
        DataType::Decimal { precision, scale } => (precision.saturating_sub(*scale), *scale),
        _ => return None,
    })
}

impl DataType {
    /// Fails unless `wider` holds every value of this type unchanged, and files written before stay readable.
    pub fn widens_to(&self, wider: &Self) -> Result<(), AlterationError> {
        let refuse = |why| Err(AlterationError::NotWider { from: self.spelling(), to: wider.spelling(), why });
        if self == wider {
            return Ok(());
        }
        if self.without_lengths() == wider.without_lengths() {
            return match (self.max_chars(), wider.max_chars()) {
                (None, Some(_)) => refuse("longer text may be there"),
                (Some(now), Some(then)) if then < now => refuse("longer text may be there"),
                (None, None) => refuse("lengths within nested types can't be changed"),
                _ => Ok(()),
            };
        }
        match (integer(self), integer(wider)) {
            (Some((bits, signed)), Some((wider_bits, wider_signed))) => {
                let holds = if signed == wider_signed { bits < wider_bits } else { wider_signed && bits < wider_bits };
                return if holds { Ok(()) } else { refuse("some of its values don't fit") };
            }
            _ if matches!((self, wider), (Self::Float, Self::Double)) => return Ok(()),
            _ if whole_and_scale(self).zip(whole_and_scale(wider)).is_some() => {
                let holds = matches!(wider, Self::Decimal { .. })
                    && whole_and_scale(self)
                        .zip(whole_and_scale(wider))
                        .is_some_and(|(now, then)| now.0 <= then.0 && now.1 <= then.1);
                return if holds { Ok(()) } else { refuse("some of its values don't fit") };
            }
            _ => {}
        }
        refuse("the types differ in kind")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widens(from: &str, to: &str) -> bool {
        DataType::parse(from).unwrap().widens_to(&DataType::parse(to).unwrap()).is_ok()
    }

    #[test]
    fn only_what_holds_every_value_is_wider() {
        for (from, to) in [
            ("TINYINT", "BIGINT"),
            ("UTINYINT", "USMALLINT"),
            ("UINTEGER", "BIGINT"),
            ("FLOAT", "DOUBLE"),
            ("VARCHAR(3)", "VARCHAR(4)"),
            ("CHAR(3)", "VARCHAR"),
            ("INTEGER", "INTEGER"),
            ("DECIMAL(4,2)", "DECIMAL(10,2)"),
            ("DECIMAL(4,2)", "DECIMAL(6,4)"),
            ("INTEGER", "DECIMAL(12,2)"),
            ("UBIGINT", "DECIMAL(38,2)"),
        ] {
            assert!(widens(from, to), "{from} to {to}");
        }
        for (from, to) in [
            ("BIGINT", "INTEGER"),
            ("INTEGER", "UBIGINT"),
            ("UBIGINT", "BIGINT"),
            ("DOUBLE", "FLOAT"),
            ("VARCHAR", "VARCHAR(4)"),
            ("VARCHAR(4)", "VARCHAR(3)"),
            ("INTEGER", "VARCHAR"),
            ("INTEGER", "DOUBLE"),
            ("TIMESTAMP", "DATE"),
            ("DECIMAL(4,2)", "DECIMAL(4,3)"),
            ("DECIMAL(4,2)", "DECIMAL(5,1)"),
            ("BIGINT", "DECIMAL(18,0)"),
            ("DECIMAL(4,0)", "BIGINT"),
        ] {
            assert!(!widens(from, to), "{from} to {to}");
        }
    }
}
