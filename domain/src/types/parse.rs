//! Reads a data type from text: DuckDB's grammar of types and their aliases.

use thiserror::Error;

use super::DataType;
use crate::error::{Classify, ErrorKind};
use crate::names::{ColumnName, NameError};

/// Deepest nesting of `STRUCT`, `MAP` and lists.
const MAX_DEPTH: usize = 16;
/// Longest text of a type.
const MAX_TEXT: usize = 8 * 1024;

/// Why a text is not a type that a table can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{given:?} is not a type a table can have: {problem}")]
pub struct TypeError {
    given: String,
    problem: TypeProblem,
}

/// What is wrong with the type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TypeProblem {
    /// No such type.
    #[error("{0:?} is unknown")]
    Unknown(String),
    /// The engine has it, but it can't be stored without loss.
    #[error("{name} can't be stored; use {instead} instead")]
    NotStorable {
        /// The type.
        name: String,
        /// What to use.
        instead: &'static str,
    },
    /// A number in parentheses is missing, superfluous or out of range.
    #[error("{0}")]
    Parameters(&'static str),
    /// A field name is not legal.
    #[error(transparent)]
    Field(#[from] NameError),
    /// Two fields of a struct share a name.
    #[error("field {0:?} appears twice")]
    DuplicateField(String),
    /// The text doesn't follow the grammar of types.
    #[error("expected {0}")]
    Syntax(&'static str),
    /// Too long or too deeply nested.
    #[error("it is too long or nested more than 16 levels deep")]
    TooComplex,
}

impl Classify for TypeError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_type"
    }
}

pub(super) fn parse(text: &str) -> Result<DataType, TypeError> {
    let fail = |problem| TypeError { given: text.chars().take(60).collect(), problem };
    if text.len() > MAX_TEXT {
        return Err(fail(TypeProblem::TooComplex));
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let parsed = parser.data_type().map_err(fail)?;
    parser.skip_space();
    if parser.rest.is_empty() { Ok(parsed) } else { Err(fail(TypeProblem::Syntax("the end of the type"))) }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

type Parsed<T> = Result<T, TypeProblem>;

impl<'a> Parser<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Eats the given words (any case) if they all follow.
    fn eat_words(&mut self, words: &[&str]) -> bool {
        let before = self.rest;
        for expected in words {
            if !self.word().is_some_and(|word| word.eq_ignore_ascii_case(expected)) {
                self.rest = before;
                return false;
            }
        }
        true
    }

    fn data_type(&mut self) -> Parsed<DataType> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(TypeProblem::TooComplex);
        }
        let word = self.word().ok_or(TypeProblem::Syntax("the name of a type"))?.to_ascii_uppercase();
        let mut parsed = match word.as_str() {
            "STRUCT" | "ROW" => self.fields()?,
            "MAP" => self.map()?,
            "DECIMAL" | "NUMERIC" | "DEC" => self.decimal()?,
            "VARCHAR" | "TEXT" | "STRING" | "NVARCHAR" | "BPCHAR" => DataType::Varchar(self.length()?),
            "CHAR" | "CHARACTER" => self.char()?,
            "TIMESTAMP" | "DATETIME" => self.timestamp()?,
            "TIME" => self.time()?,
            "DOUBLE" => {
                self.eat_words(&["PRECISION"]);
                DataType::Double
            }
            other => plain(other)?,
        };
        while self.eat('[') {
            if !self.eat(']') {
                let name = format!("{parsed}[n]");
                return Err(TypeProblem::NotStorable { name, instead: "a list, T[]," });
            }
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(TypeProblem::TooComplex);
            }
            parsed = DataType::List(Box::new(parsed));
        }
        self.depth -= 1;
        Ok(parsed)
    }

    fn fields(&mut self) -> Parsed<DataType> {
        if !self.eat('(') {
            return Err(TypeProblem::Syntax("the fields of the STRUCT in parentheses"));
        }
        let mut fields: Vec<(ColumnName, DataType)> = Vec::new();
        loop {
            let name = self.field_name()?;
            if fields.iter().any(|(taken, _)| *taken == name) {
                return Err(TypeProblem::DuplicateField(name.as_str().to_owned()));
            }
            let inner = self.nested()?;
            fields.push((name, inner));
            if self.eat(')') {
                return Ok(DataType::Struct(fields));
            }
            if !self.eat(',') {
                return Err(TypeProblem::Syntax("',' or ')' after a field"));
            }
        }
    }

    fn field_name(&mut self) -> Parsed<ColumnName> {
        if self.eat('"') {
            let end = self.rest.find('"').ok_or(TypeProblem::Syntax("a closing double quote"))?;
            let (name, rest) = self.rest.split_at(end);
            self.rest = &rest[1..];
            return Ok(ColumnName::parse(name)?);
        }
        let name = self.word().ok_or(TypeProblem::Syntax("the name of a field"))?;
        Ok(ColumnName::parse(name)?)
    }

    /// A type inside another; lengths inside nested types are not enforced, so they are refused.
    fn nested(&mut self) -> Parsed<DataType> {
        let inner = self.data_type()?;
        if inner.max_chars().is_some() {
            return Err(TypeProblem::Parameters("a length is only kept for a whole column; use VARCHAR inside"));
        }
        Ok(inner)
    }

    fn map(&mut self) -> Parsed<DataType> {
        if !self.eat('(') {
            return Err(TypeProblem::Syntax("MAP(key type, value type)"));
        }
        let key = self.nested()?;
        if !self.eat(',') {
            return Err(TypeProblem::Syntax("',' between the key and value types"));
        }
        let value = self.nested()?;
        if !self.eat(')') {
            return Err(TypeProblem::Syntax("')' after the value type"));
        }
        Ok(DataType::Map(Box::new(key), Box::new(value)))
    }

    fn numbers(&mut self) -> Parsed<Vec<u32>> {
        let mut numbers = Vec::new();
        if !self.eat('(') {
            return Ok(numbers);
        }
        loop {
            let word = self.word().ok_or(TypeProblem::Syntax("a number in the parentheses"))?;
            numbers.push(word.parse().map_err(|_| TypeProblem::Syntax("a number in the parentheses"))?);
            if self.eat(')') {
                return Ok(numbers);
            }
            if !self.eat(',') {
                return Err(TypeProblem::Syntax("',' or ')' after a number"));
            }
        }
    }

    fn decimal(&mut self) -> Parsed<DataType> {
        const RANGE: TypeProblem =
            TypeProblem::Parameters("DECIMAL takes a precision of 1 to 38 and a scale of at most the precision");
        let (precision, scale) = match self.numbers()?[..] {
            [] => (18, 3), // DuckDB's default
            [precision] => (precision, 0),
            [precision, scale] => (precision, scale),
            _ => return Err(RANGE),
        };
        if !(1..=38).contains(&precision) || scale > precision {
            return Err(RANGE);
        }
        let narrow = |number: u32| u8::try_from(number).map_err(|_| RANGE);
        Ok(DataType::Decimal { precision: narrow(precision)?, scale: narrow(scale)? })
    }

    fn length(&mut self) -> Parsed<Option<u32>> {
        match self.numbers()?[..] {
            [] => Ok(None),
            [limit] if limit > 0 => Ok(Some(limit)),
            _ => Err(TypeProblem::Parameters("a length is one whole number from 1")),
        }
    }

    fn char(&mut self) -> Parsed<DataType> {
        if self.eat_words(&["VARYING"]) {
            return Ok(DataType::Varchar(self.length()?));
        }
        // As in DuckDB, CHAR without a length is VARCHAR.
        Ok(self.length()?.map_or(DataType::Varchar(None), DataType::Char))
    }

    fn zone(&mut self) -> bool {
        let with = self.eat_words(&["WITH", "TIME", "ZONE"]);
        if !with {
            self.eat_words(&["WITHOUT", "TIME", "ZONE"]);
        }
        with
    }

    fn timestamp(&mut self) -> Parsed<DataType> {
        let digits = self.numbers()?;
        let with_zone = self.zone();
        match (&digits[..], with_zone) {
            ([] | [6], true) => Ok(DataType::TimestampTz),
            ([] | [6], false) => Ok(DataType::Timestamp),
            ([0], false) => Ok(DataType::TimestampS),
            ([3], false) => Ok(DataType::TimestampMs),
            ([9], false) => Ok(DataType::TimestampNs),
            _ => Err(TypeProblem::Parameters("TIMESTAMP takes 0, 3, 6 or 9 digits of a second; with a zone, 6")),
        }
    }

    fn time(&mut self) -> Parsed<DataType> {
        if self.zone() { plain("TIMETZ") } else { Ok(DataType::Time) }
    }
}

fn plain(word: &str) -> Parsed<DataType> {
    let not_storable = |instead| Err(TypeProblem::NotStorable { name: word.to_owned(), instead });
    Ok(match word {
        "BOOLEAN" | "BOOL" | "LOGICAL" => DataType::Boolean,
        "TINYINT" | "INT1" => DataType::TinyInt,
        "SMALLINT" | "INT2" | "INT16" | "SHORT" => DataType::SmallInt,
        "INTEGER" | "INT" | "INT4" | "INT32" | "SIGNED" => DataType::Integer,
        "BIGINT" | "INT8" | "INT64" | "LONG" => DataType::BigInt,
        "UTINYINT" | "UINT8" => DataType::UTinyInt,
        "USMALLINT" | "UINT16" => DataType::USmallInt,
        "UINTEGER" | "UINT32" => DataType::UInteger,
        "UBIGINT" | "UINT64" => DataType::UBigInt,
        "FLOAT" | "FLOAT4" | "REAL" => DataType::Float,
        "FLOAT8" => DataType::Double,
        "BLOB" | "BYTEA" | "BINARY" | "VARBINARY" => DataType::Blob,
        "DATE" => DataType::Date,
        "TIMESTAMPTZ" => DataType::TimestampTz,
        "TIMESTAMP_US" => DataType::Timestamp,
        "TIMESTAMP_S" => DataType::TimestampS,
        "TIMESTAMP_MS" => DataType::TimestampMs,
        "TIMESTAMP_NS" => DataType::TimestampNs,
        "INTERVAL" => DataType::Interval,
        "UUID" | "GUID" => DataType::Uuid,
        "JSON" => DataType::Json,
        "GEOMETRY" => DataType::Geometry,
        "VARIANT" => DataType::Variant,
        "HUGEINT" | "INT128" | "UHUGEINT" | "UINT128" => {
            return not_storable("DECIMAL(38,0), or VARCHAR for more than 38 digits,");
        }
        "BIGNUM" | "VARINT" => return not_storable("DECIMAL(38,0) or VARCHAR"),
        "TIMETZ" => return not_storable("TIMESTAMP WITH TIME ZONE, or TIME and the offset in a column of its own,"),
        "TIME_NS" => return not_storable("TIME (microseconds) or BIGINT"),
        "ENUM" => return not_storable("VARCHAR"),
        "UNION" => return not_storable("a STRUCT with a field per kind, or JSON,"),
        "BIT" | "BITSTRING" => return not_storable("BLOB, or VARCHAR of 0 and 1,"),
        "NULL" => return not_storable("the type of the values to come"),
        other => return Err(TypeProblem::Unknown(other.chars().take(40).collect())),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        parse(text).unwrap().to_string()
    }

    #[test]
    fn aliases_are_printed_in_the_engines_spelling() {
        let cases = [
            ("int", "INTEGER"),
            (" Text ", "VARCHAR"),
            ("varchar(10)", "VARCHAR(10)"),
            ("char(3)", "CHAR(3)"),
            ("CHAR", "VARCHAR"),
            ("character varying ( 5 )", "VARCHAR(5)"),
            ("numeric(10, 2)", "DECIMAL(10,2)"),
            ("DECIMAL", "DECIMAL(18,3)"),
            ("double precision", "DOUBLE"),
            ("timestamptz", "TIMESTAMP WITH TIME ZONE"),
            ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
            ("timestamp without time zone", "TIMESTAMP"),
            ("datetime(3)", "TIMESTAMP_MS"),
            ("STRUCT(a INT, b VARCHAR[])", "STRUCT(\"a\" INTEGER, \"b\" VARCHAR[])"),
            ("map(varchar, struct(\"x y\" int[][]))", "MAP(VARCHAR, STRUCT(\"x y\" INTEGER[][]))"),
        ];
        for (given, expected) in cases {
            assert_eq!(canonical(given), expected);
            assert_eq!(canonical(expected), expected, "the canonical form parses to itself");
        }
    }

    #[test]
    fn the_spelling_quotes_only_what_must_be() {
        let spelled = parse("struct(a int, \"x y\" map(varchar, struct(b int)[]))").unwrap().spelling();
        assert_eq!(spelled, "STRUCT(a INTEGER, \"x y\" MAP(VARCHAR, STRUCT(b INTEGER)[]))");
    }

    #[test]
    fn what_cannot_be_stored_names_what_to_use_instead() {
        for text in
            ["ENUM('a')", "UNION(a INT)", "INTEGER[3]", "BIT", "HUGEINT", "TIMETZ", "TIME WITH TIME ZONE", "TIME_NS"]
        {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains("use "), "{message}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = format!("{}INT{}", "STRUCT(a ".repeat(40), ")".repeat(40));
        for text in [
            "",
            "INTT",
            "INT; DROP",
            "DECIMAL(39,0)",
            "DECIMAL(2,3)",
            "VARCHAR(0)",
            "VARCHAR(1",
            "STRUCT()",
            "STRUCT(a INT, A INT)",
            "INT)",
            "MAP(INT)",
            "STRUCT(a VARCHAR(3))",
            "INT[",
            deep.as_str(),
            "🦆",
            "DECIMAL(99999999999)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_to_something_stable_or_is_refused(text in "[A-Za-z0-9_()\\[\\], \"]{0,60}") {
            if let Ok(parsed) = parse(&text) {
                let printed = parsed.to_string();
                prop_assert_eq!(parse(&printed).unwrap(), parsed);
            }
        }
    }
}
