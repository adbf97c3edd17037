//! Integers, decimals and floats, by their digits: no value goes through a double that isn't one.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use gadwall_domain::types::DataType;

use super::Scalar;

type Checked<'a> = Result<Cow<'a, str>, String>;

/// A number's digits: `int.frac × 10^exponent`.
struct Parts<'a> {
    negative: bool,
    int: &'a str,
    frac: &'a str,
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (int, frac) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let some = !(int.is_empty() && frac.is_empty());
        (some && digits(int) && digits(frac)).then_some(Self { negative, int, frac, exponent })
    }

    /// The digits before the point when the number is multiplied by `10^shift`, without leading zeros,
    /// and the first digit after it. `None` if there are more than 40.
    fn shifted(&self, shift: u8) -> Option<(String, u8, bool)> {
        let total = self.int.len() + self.frac.len();
        let digit = |at: usize| match at.checked_sub(self.int.len()) {
            None => self.int.as_bytes()[at],
            Some(at) => self.frac.as_bytes()[at],
        };
        let first = (0..total).find(|&at| digit(at) != b'0');
        let Some(first) = first else { return Some((String::new(), b'0', false)) };
        let at = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let point = at(self.int.len()).saturating_add(self.exponent).saturating_add(shift.into());
        if point.saturating_sub(at(first)) > 40 {
            return None;
        }
        let whole: String = (at(first)..point)
            .map(|place| {
                usize::try_from(place).ok().filter(|&place| place < total).map_or('0', |place| digit(place).into())
            })
            .collect();
        let next = usize::try_from(point).ok().filter(|&place| place < total).map_or(b'0', digit);
        let rest =
            usize::try_from(point.max(at(first))).is_ok_and(|from| (from..total).any(|place| digit(place) != b'0'));
        Some((whole, next, rest))
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Beyond this, a number is zero or out of every range.
    let size = digits.trim_start_matches('0');
    let size = if size.len() > 9 { 1_000_000_000 } else { size.parse().unwrap_or(0) };
    Some(if text.starts_with('-') { -size } else { size })
}

/// The text of a scalar that should be a number.
fn literal<'a>(data_type: &DataType, scalar: Scalar<'a>) -> Result<&'a str, String> {
    match scalar {
        Scalar::Number(literal) => Ok(literal),
        Scalar::Text(text) => Ok(text.trim_ascii()),
        Scalar::Bool(value) => Err(format!("{value}, but the column is {data_type}")),
    }
}

/// A whole number within the type's range. `1.0` and `1e3` are whole.
pub(super) fn integer<'a>(data_type: &DataType, scalar: Scalar<'a>) -> Checked<'a> {
    let text = literal(data_type, scalar)?;
    let (least, most) = range(data_type);
    let outside = || format!("{} is out of range for {data_type} ({least} to {most})", scalar.shown());
    if let Ok(value) = i64::from_str(text) {
        if !(least..=most).contains(&value.into()) {
            return Err(outside());
        }
        let unusual = text.len() > 1 && matches!(text.as_bytes(), [b'+' | b'0', ..] | [b'-', b'0', ..]);
        return Ok(if unusual { Cow::Owned(value.to_string()) } else { Cow::Borrowed(text) });
    }
    let parts = Parts::parse(text).ok_or_else(|| format!("{} is not a number", scalar.shown()))?;
    let (whole, _, rest) = parts.shifted(0).ok_or_else(outside)?;
    if rest {
        return Err(format!("{} is not a whole number, but the column is {data_type}", scalar.shown()));
    }
    let size = if whole.is_empty() { 0 } else { i128::from_str(&whole).map_err(|_| outside())? };
    let value = if parts.negative { -size } else { size };
    if (least..=most).contains(&value) { Ok(Cow::Owned(value.to_string())) } else { Err(outside()) }
}

fn range(data_type: &DataType) -> (i128, i128) {
    match data_type {
        DataType::TinyInt => (i8::MIN.into(), i8::MAX.into()),
        DataType::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        DataType::Integer => (i32::MIN.into(), i32::MAX.into()),
        DataType::UTinyInt => (0, u8::MAX.into()),
        DataType::USmallInt => (0, u16::MAX.into()),
        DataType::UInteger => (0, u32::MAX.into()),
        DataType::UBigInt => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

/// A number that fits the precision once it is rounded (half away from zero) to the scale.
pub(super) fn decimal(precision: u8, scale: u8, scalar: Scalar<'_>) -> Checked<'_> {
    let data_type = DataType::Decimal { precision, scale };
    let text = literal(&data_type, scalar)?;
    let parts = Parts::parse(text).ok_or_else(|| format!("{} is not a number", scalar.shown()))?;
    let outside = || {
        let places = precision.saturating_sub(scale);
        format!("{} does not fit {data_type}: at most {places} digits before the point", scalar.shown())
    };
    let (digits, next, _) = parts.shifted(scale).ok_or_else(outside)?;
    let digits = if next >= b'5' { increment(&digits) } else { digits };
    if digits.len() > usize::from(precision) {
        return Err(outside());
    }
    let plain = !text.contains(['e', 'E']) && parts.frac.len() <= usize::from(scale) && !parts.int.is_empty();
    if plain && text.as_bytes()[0] != b'+' && !text.ends_with('.') {
        return Ok(Cow::Borrowed(text));
    }
    let padded = format!("{digits:0>width$}", width = usize::from(scale) + 1);
    let (int, frac) = padded.split_at(padded.len() - usize::from(scale));
    let sign = if parts.negative { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    Ok(Cow::Owned(format!("{sign}{int}{point}{frac}")))
}

/// One more than a number without leading zeros (zero is empty).
fn increment(digits: &str) -> String {
    let nines = digits.len() - digits.trim_end_matches('9').len();
    let kept = &digits[..digits.len() - nines];
    let (head, last) = kept.split_at(kept.len().saturating_sub(1));
    let raised = last.chars().next().map_or('1', |digit| char::from(u8::try_from(digit).unwrap_or(b'0') + 1));
    format!("{head}{raised}{:0<nines$}", "")
}

/// A float that is finite, unless infinity or NaN is spelled out as text.
pub(super) fn float<'a, F>(data_type: &DataType, scalar: Scalar<'a>) -> Checked<'a>
where
    F: FromStr + Into<f64> + Copy + Debug + Display,
{
    let text = literal(data_type, scalar)?;
    let value: F = text.parse().map_err(|_| format!("{} is not a number", scalar.shown()))?;
    let wide: f64 = value.into();
    let spelled = text.bytes().all(|byte| !byte.is_ascii_digit());
    if !wide.is_finite() && !spelled {
        return Err(format!("{} is too large for {data_type}", scalar.shown()));
    }
    Ok(match wide {
        wide if wide.is_nan() => Cow::Borrowed("nan"),
        f64::INFINITY => Cow::Borrowed("inf"),
        f64::NEG_INFINITY => Cow::Borrowed("-inf"),
        // The shortest text of the number, which the engine reads back as the same number.
        _ => Cow::Owned(format!("{value:?}")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn int(data_type: &DataType, text: &str) -> Result<String, String> {
        integer(data_type, Scalar::Number(text)).map(Cow::into_owned)
    }

    fn dec(precision: u8, scale: u8, text: &str) -> Result<String, String> {
        decimal(precision, scale, Scalar::Number(text)).map(Cow::into_owned)
    }

    #[test]
    fn integers_are_whole_and_in_range() {
        for (text, expected) in [("1", "1"), ("1.0", "1"), ("1e3", "1000"), ("-0", "0"), ("+07", "7"), ("10E-1", "1")] {
            assert_eq!(int(&DataType::Integer, text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(int(&DataType::UBigInt, "18446744073709551615").as_deref(), Ok("18446744073709551615"));
        for text in ["1.5", "1e-1", "2147483648", "1e10", "1e999999999999", "abc", "", "0x1F", "1_000", "NaN", "."] {
            assert!(int(&DataType::Integer, text).is_err(), "{text}");
        }
        let reason = int(&DataType::TinyInt, "300").unwrap_err();
        assert_eq!(reason, "300 is out of range for TINYINT (-128 to 127)");
        assert!(int(&DataType::UTinyInt, "-1").is_err());
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(dec(38, 2, "12345678901234567890.12").as_deref(), Ok("12345678901234567890.12"));
        for (text, expected) in
            [("1.005", "1.01"), ("-1.005", "-1.01"), ("1e1", "10.00"), (".5", "0.50"), ("1e-9", "0.00")]
        {
            assert_eq!(dec(6, 2, text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(dec(2, 0, "9.5").as_deref(), Ok("10"));
        assert_eq!(dec(4, 4, "0.99994").as_deref(), Ok("0.9999"));
    }

    #[test]
    fn decimals_that_overflow_are_refused_also_by_rounding() {
        for text in ["100", "99.995", "1e40", "1e999999999", "-100", "abc", "1e", "inf"] {
            assert!(dec(4, 2, text).is_err(), "{text}");
        }
        assert!(dec(2, 0, "99.5").is_err());
        assert!(dec(4, 2, &"9".repeat(1_000_000)).unwrap_err().len() < 200);
    }

    #[test]
    fn floats_do_not_become_infinite_by_accident() {
        let double = |text| float::<f64>(&DataType::Double, Scalar::Text(text)).map(Cow::into_owned);
        assert_eq!(double("0.1").as_deref(), Ok("0.1"));
        assert_eq!(double(" -Infinity ").as_deref(), Ok("-inf"));
        assert_eq!(double("NaN").as_deref(), Ok("nan"));
        assert!(double("1e400").is_err() && double("").is_err() && double("1,5").is_err());
        assert!(float::<f32>(&DataType::Float, Scalar::Number("1e39")).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+]?[0-9]{0,5}[.]?[0-9]{0,5}([eE][-+]?[0-9]{0,12})?", p in 1_u8..=38, s in 0_u8..=38) {
            let _ = dec(p, s.min(p), &text);
            let _ = int(&DataType::BigInt, &text);
        }

        #[test]
        fn scaled_decimals_are_exact(value in -99_999_999_i64..99_999_999, exponent in -4_i32..4) {
            let text = format!("{value}e{exponent}");
            let exact = format!("{:.4}", rounded(value, exponent));
            let exact = if value < 0 && !exact.starts_with('-') { format!("-{exact}") } else { exact };
            prop_assert_eq!(dec(20, 4, &text).unwrap(), exact);
        }
    }

    /// Small enough numbers that a double holds them exactly at four places.
    fn rounded(value: i64, exponent: i32) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "eight digits")]
        let wide = value as f64;
        if exponent < 0 { wide / 10_f64.powi(-exponent) } else { wide * 10_f64.powi(exponent) }
    }
}
