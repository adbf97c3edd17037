//! The JSON of a serialised statement as a tree that comes out exactly as it went in.
//!
//! Numbers are kept as the engine wrote them, so that a 64-bit location or a double never loses a digit, and strings
//! borrow from the text where they hold no escape. What a trusted engine would never write is refused: a duplicate
//! key (two readers could each see another one), a NUL (a C string ends there), and nesting beyond a limit (the walk
//! over the tree is recursive). It is no general JSON library: it reads one producer's output.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(Cow<'a, str>),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, members in the order of the text.
    Object(Members<'a>),
}

/// The members of an object.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// Why a text is not a tree the gate will look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not JSON, or JSON the engine doesn't write.
    Malformed,
    /// Nested deeper than allowed.
    TooDeep,
    /// A string with a NUL character in it.
    Nul,
}

impl<'a> Json<'a> {
    /// A string value.
    pub(crate) fn text(value: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(value.into())
    }

    /// The string, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => get(members, key),
            _ => None,
        }
    }

    /// Reads a whole text.
    ///
    /// # Errors
    /// What [`JsonError`] names.
    pub(crate) fn parse(text: &'a str, max_depth: usize) -> Result<Self, JsonError> {
        Reader { text, bytes: text.as_bytes(), at: 0 }.document(max_depth)
    }

    /// The tree without the text it was read from. Only for trees of our own, which are shallow.
    pub(crate) fn into_owned(self) -> Json<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Json::Null,
            Self::Bool(truth) => Json::Bool(truth),
            Self::Number(number) => Json::Number(owned(number)),
            Self::Text(text) => Json::Text(owned(text)),
            Self::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(members) => {
                Json::Object(members.into_iter().map(|(key, value)| (owned(key), value.into_owned())).collect())
            }
        }
    }

    /// Writes the tree as compact JSON.
    pub(crate) fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

/// The member with this key.
pub(crate) fn get<'j, 'a>(members: &'j Members<'a>, key: &str) -> Option<&'j Json<'a>> {
    members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The member with this key as a string; a missing one is empty, as the engine reads it.
pub(crate) fn text_of<'j>(members: &'j Members<'_>, key: &str) -> &'j str {
    get(members, key).and_then(Json::as_str).unwrap_or_default()
}

/// Sets a member, adding it if it is missing.
pub(crate) fn set<'a>(members: &mut Members<'a>, key: &'static str, value: Json<'a>) {
    match members.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => *old = value,
        None => members.push((Cow::Borrowed(key), value)),
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A container that is still being read.
enum Open<'a> {
    Array(Vec<Json<'a>>),
    Object(Members<'a>, Cow<'a, str>),
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads without recursion: what is open stands on a stack of our own.
    fn document(mut self, max_depth: usize) -> Result<Json<'a>, JsonError> {
        let mut open: Vec<Open<'a>> = Vec::new();
        'value: loop {
            if open.len() > max_depth {
                return Err(JsonError::TooDeep);
            }
            let mut done = match self.peek()? {
                b'{' => {
                    self.at += 1;
                    if self.peek()? == b'}' {
                        self.at += 1;
                        Json::Object(Vec::new())
                    } else {
                        let key = self.key()?;
                        open.push(Open::Object(Vec::new(), key));
                        continue 'value;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if self.peek()? == b']' {
                        self.at += 1;
                        Json::Array(Vec::new())
                    } else {
                        open.push(Open::Array(Vec::new()));
                        continue 'value;
                    }
                }
                _ => self.scalar()?,
            };
            // A value is complete: put it into what is open, and close what it completes.
            loop {
                match open.pop() {
                    None => {
                        self.skip_space();
                        return if self.at == self.bytes.len() { Ok(done) } else { Err(JsonError::Malformed) };
                    }
                    Some(Open::Array(mut items)) => {
                        items.push(done);
                        match self.next()? {
                            b',' => {
                                open.push(Open::Array(items));
                                continue 'value;
                            }
                            b']' => done = Json::Array(items),
                            _ => return Err(JsonError::Malformed),
                        }
                    }
                    Some(Open::Object(mut members, key)) => {
                        if get(&members, &key).is_some() {
                            return Err(JsonError::Malformed);
                        }
                        members.push((key, done));
                        match self.next()? {
                            b',' => {
                                let key = self.key()?;
                                open.push(Open::Object(members, key));
                                continue 'value;
                            }
                            b'}' => done = Json::Object(members),
                            _ => return Err(JsonError::Malformed),
                        }
                    }
                }
            }
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Result<u8, JsonError> {
        self.skip_space();
        self.bytes.get(self.at).copied().ok_or(JsonError::Malformed)
    }

    fn next(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn key(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek()? != b'"' {
            return Err(JsonError::Malformed);
        }
        let key = self.string()?;
        if self.next()? == b':' { Ok(key) } else { Err(JsonError::Malformed) }
    }

    fn scalar(&mut self) -> Result<Json<'a>, JsonError> {
        if self.peek()? == b'"' {
            return Ok(Json::Text(self.string()?));
        }
        let start = self.at;
        while self
            .bytes
            .get(self.at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'))
        {
            self.at += 1;
        }
        match self.text.get(start..self.at) {
            Some("null") => Ok(Json::Null),
            Some("true") => Ok(Json::Bool(true)),
            Some("false") => Ok(Json::Bool(false)),
            // The engine writes an infinite double as `Infinity`, and cannot read it back.
            Some(number) if is_number(number) => Ok(Json::Number(Cow::Borrowed(number))),
            _ => Err(JsonError::Malformed),
        }
    }

    /// Reads a string from its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut run = start;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(JsonError::Malformed),
                Some(b'"') => {
                    let rest = self.slice(run)?;
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(rest),
                        Some(text) => Cow::Owned(text + rest),
                    });
                }
                Some(b'\\') => {
                    let rest = self.slice(run)?;
                    let text = owned.get_or_insert_default();
                    text.push_str(rest);
                    self.at += 1;
                    let character = self.escape()?;
                    text.push(character);
                    run = self.at;
                }
                Some(0) => return Err(JsonError::Nul),
                Some(_) => self.at += 1,
            }
        }
    }

    fn slice(&self, from: usize) -> Result<&'a str, JsonError> {
        self.text.get(from..self.at).ok_or(JsonError::Malformed)
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let byte = self.bytes.get(self.at).copied().ok_or(JsonError::Malformed)?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                let code = if (0xD800..0xDC00).contains(&first) {
                    if self.text.get(self.at..self.at + 2) != Some("\\u") {
                        return Err(JsonError::Malformed);
                    }
                    self.at += 2;
                    let second = self.hex()?;
                    if !(0xDC00..0xE000).contains(&second) {
                        return Err(JsonError::Malformed);
                    }
                    0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                } else {
                    first
                };
                if code == 0 {
                    return Err(JsonError::Nul);
                }
                char::from_u32(code).ok_or(JsonError::Malformed)?
            }
            _ => return Err(JsonError::Malformed),
        })
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(JsonError::Malformed)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(JsonError::Malformed);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| JsonError::Malformed)
    }
}

/// A number in JSON's grammar: no other word may pass for one, since it is written out as it is.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|part| digits(part.strip_prefix(['-', '+']).unwrap_or(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_comes_out_as_it_went_in() {
        for text in [
            r#"{"a":[1,-2.5e+10,18446744073709551615,null,true,false],"b":{"c":"x\"\\\n\u0001ü😀"},"d":[],"e":{}}"#,
            "[]",
            r#""a""#,
            "1e+41",
        ] {
            let tree = Json::parse(text, 10).unwrap();
            assert_eq!(tree.write(), text);
        }
        assert_eq!(Json::parse(r#" [ "\ud83d\ude00\/" ] "#, 10).unwrap().write(), r#"["😀/"]"#);
    }

    #[test]
    fn what_the_engine_never_writes_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\":1,\"a\":2}",
            "{\"a\" 1}",
            "{a:1}",
            "Infinity",
            "-",
            "1.",
            ".5",
            "nul",
            "1 2",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u00\"",
            "\"\\u+041\"",
        ] {
            assert_eq!(Json::parse(text, 10), Err(JsonError::Malformed), "{text}");
        }
        assert_eq!(Json::parse("\"a\\u0000b\"", 10), Err(JsonError::Nul));
        assert_eq!(Json::parse("\"a\0b\"", 10), Err(JsonError::Nul));
    }

    #[test]
    fn depth_is_counted_without_recursion() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(Json::parse(&deep, 100), Err(JsonError::TooDeep));
        let honest = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(Json::parse(&honest, 100).is_ok());
    }
}
