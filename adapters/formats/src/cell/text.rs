//! Text, booleans, bytes, UUIDs and geometries.

use std::borrow::Cow;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use gadwall_domain::types::DataType;

use super::Scalar;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Text of at most the declared length, in characters. Numbers and booleans keep their spelling.
pub(super) fn varchar<'a>(data_type: &DataType, scalar: Scalar<'a>) -> Result<Cow<'a, str>, String> {
    let text = match scalar {
        Scalar::Text(text) | Scalar::Number(text) => text,
        Scalar::Bool(true) => "true",
        Scalar::Bool(false) => "false",
    };
    if let Some(limit) = data_type.max_chars() {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // Bytes are never fewer than characters.
        if text.len() > limit {
            let length = text.chars().count();
            if length > limit {
                return Err(format!("{} is {length} characters long, {data_type} holds {limit}", scalar.shown()));
            }
        }
    }
    Ok(Cow::Borrowed(text))
}

pub(super) fn boolean(scalar: Scalar<'_>) -> Result<&'static str, String> {
    let text = match scalar {
        Scalar::Bool(true) => return Ok("true"),
        Scalar::Bool(false) => return Ok("false"),
        Scalar::Number(text) => text,
        Scalar::Text(text) => text.trim_ascii(),
    };
    let any_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if any_of(&["true", "t", "yes", "y", "1"]) {
        Ok("true")
    } else if any_of(&["false", "f", "no", "n", "0"]) {
        Ok("false")
    } else {
        Err(format!("{} is neither true nor false", scalar.shown()))
    }
}

/// Base64, of either alphabet, padded or not.
pub(super) fn blob(scalar: Scalar<'_>) -> Result<Cow<'static, [u8]>, String> {
    let Scalar::Text(text) = scalar else {
        return Err(format!("{}, but the column is BLOB; send base64 text", scalar.shown()));
    };
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    decoded.map(Cow::Owned).map_err(|error| format!("{} is not base64: {error}", scalar.shown()))
}

/// A `BLOB` as SQL writes it: `\xAA` for a byte, ASCII for itself.
pub(super) fn blob_literal(text: &str) -> Result<Vec<u8>, String> {
    let refuse = || format!("{:?} is not a BLOB literal", crate::decode::shorten(text));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'\\' {
            let ([b'x', high, low], after) = after.split_first_chunk::<3>().ok_or_else(refuse)? else {
                return Err(refuse());
            };
            let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or_else(refuse);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| refuse())?);
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    Ok(bytes)
}

/// 32 hexadecimal digits, with or without hyphens or braces.
pub(super) fn uuid(scalar: Scalar<'_>) -> Result<Cow<'_, str>, String> {
    let refuse = || format!("{} is not a UUID", scalar.shown());
    let Scalar::Text(text) = scalar else { return Err(refuse()) };
    let text = text.trim_ascii();
    let bare = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
    let hyphen = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits = match bare.len() {
        32 => bare.bytes().all(|byte| byte.is_ascii_hexdigit()),
        36 => {
            bare.bytes().enumerate().all(|(at, byte)| if hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
        }
        _ => false,
    };
    if fits { Ok(Cow::Borrowed(bare)) } else { Err(refuse()) }
}

/// Well-known text; the engine reads it.
pub(super) fn geometry(scalar: Scalar<'_>) -> Result<Cow<'_, str>, String> {
    match scalar {
        Scalar::Text(text) if !text.trim_ascii().is_empty() => Ok(Cow::Borrowed(text)),
        _ => Err(format!("{} is not a geometry; write it as well-known text, such as POINT (1 2)", scalar.shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_characters_not_bytes() {
        let limit = DataType::Varchar(Some(3));
        assert!(varchar(&limit, Scalar::Text("äöü")).is_ok());
        let reason = varchar(&limit, Scalar::Text("abcd")).unwrap_err();
        assert_eq!(reason, "\"abcd\" is 4 characters long, VARCHAR(3) holds 3");
        assert!(varchar(&DataType::Char(2), Scalar::Number("123")).is_err());
        assert_eq!(varchar(&DataType::Varchar(None), Scalar::Number("1.10")).unwrap(), "1.10");
    }

    #[test]
    fn booleans_have_several_spellings() {
        assert_eq!(boolean(Scalar::Text("Yes")), Ok("true"));
        assert_eq!(boolean(Scalar::Number("0")), Ok("false"));
        assert!(boolean(Scalar::Text("maybe")).is_err() && boolean(Scalar::Number("2")).is_err());
    }

    #[test]
    fn bytes_are_base64() {
        for text in ["qgA=", "qgA"] {
            assert_eq!(blob(Scalar::Text(text)).unwrap().as_ref(), b"\xAA\x00");
        }
        assert_eq!(blob(Scalar::Text("-_8")).unwrap().as_ref(), b"\xFB\xFF");
        assert!(blob(Scalar::Text("\\xAA")).is_err() && blob(Scalar::Number("12")).is_err());
        assert_eq!(blob_literal("\\xAAb").unwrap(), b"\xAAb");
        assert!(blob_literal("\\xA").is_err() && blob_literal("\\xZZ").is_err());
    }

    #[test]
    fn uuids_are_checked() {
        for text in [
            "6ccd780c-baba-1026-9564-5b8c656024db",
            "6ccd780cbaba102695645b8c656024db",
            "{6CCD780C-BABA-1026-9564-5B8C656024DB}",
        ] {
            assert!(uuid(Scalar::Text(text)).is_ok(), "{text}");
        }
        for text in ["", "6ccd780c", "6ccd780c-baba-1026-9564-5b8c656024dg", "6ccd780c0baba-1026-9564-5b8c656024db"] {
            assert!(uuid(Scalar::Text(text)).is_err(), "{text}");
        }
    }
}
