//! JSON text that the engine will parse: what its parser refuses is refused here, with a reason.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::decode::shorten;

/// Deepest nesting of a value, so that nothing behind us recurses too deep.
pub(crate) const MAX_DEPTH: usize = 64;

/// The text of a JSON string literal.
pub(super) fn string(literal: &str) -> Result<Cow<'_, str>, String> {
    let inner = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let decoded: Result<String, _> = serde_json::from_str(literal);
    decoded.map(Cow::Owned).map_err(|_| format!("{} holds half of a surrogate pair", shorten(literal)))
}

/// Checks text that may not be JSON at all.
pub(super) fn check_untrusted(text: &str) -> Result<&RawValue, String> {
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| format!("{:?} is not JSON: {error}", shorten(text)))?;
    check(raw.get())?;
    Ok(raw)
}

/// Checks text that is known to follow JSON's grammar: depth, surrogates, sizes of numbers.
pub(super) fn check(json: &str) -> Result<(), String> {
    let bytes = json.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("it is nested more than {MAX_DEPTH} levels deep"));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(&inner) = bytes.get(at) {
                    at += if inner == b'\\' { 2 } else { 1 };
                    if inner == b'"' {
                        break;
                    }
                }
                let literal = json.get(start..at).unwrap_or_default();
                if literal.contains("\\u") {
                    string(literal)?;
                }
            }
            b'-' | b'0'..=b'9' => {
                at += bytes[at..].iter().take_while(|byte| byte.is_ascii_digit() || b".eE+-".contains(byte)).count();
                let literal = &json[start..at];
                // Only an exponent or hundreds of digits can exceed a double.
                let suspect = literal.len() > 300 || literal.contains(['e', 'E']);
                if suspect && !literal.parse::<f64>().is_ok_and(f64::is_finite) {
                    return Err(format!("the number {} is too large", shorten(literal)));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_engine_could_not_parse_is_refused() {
        assert!(check(r#"{"a":[1,-2.5e3,"\u00e9\ud83e\udd86"],"b":null}"#).is_ok());
        for bad in [r#""\ud800""#, "[1e999]", r#"{"a":"\udc00x"}"#] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&"[".repeat(65)).is_err());
        assert!(check(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
        assert!(check_untrusted("{a}").is_err() && check_untrusted("NaN").is_err() && check_untrusted("").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = check_untrusted(&text);
            let _ = check(&text);
        }
    }
}
