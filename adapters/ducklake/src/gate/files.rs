//! Functions that read files: which there are, which of their options may be given, and the paths that a text names.
//!
//! A path is a literal and means files of the caller's datasets, or nothing. Options are literals, too, and of a list:
//! none of them opens another file, tells where a file lies, or sets a buffer's size.

use super::json::{Json, Members, get, text_of};
use super::tokens::{Kind, Token, Tokens};
use super::write::decoded;
use crate::sql;

/// What a function reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Parquet,
    Csv,
    Json,
}

impl Reader {
    /// The reader of this name.
    pub(super) fn find(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "read_parquet" | "parquet_scan" => Some(Self::Parquet),
            "read_csv" | "read_csv_auto" => Some(Self::Csv),
            "read_json" | "read_json_auto" | "read_ndjson" => Some(Self::Json),
            _ => None,
        }
    }

    /// An option as it is handed on; empty where what is asked for is done anyway.
    ///
    /// `None` if it may not be given.
    pub(super) fn option(self, name: &str, value: &Literal) -> Option<String> {
        const OFF: [&str; 2] = ["filename", "hive_partitioning"];
        let name = name.to_ascii_lowercase();
        if OFF.contains(&name.as_str()) {
            return (*value == Literal::Bool(false)).then(String::new);
        }
        if name == "compression" && self != Self::Parquet {
            let Literal::Text(word) = value else { return None };
            let word = match word.to_ascii_lowercase().as_str() {
                "none" | "uncompressed" if self == Self::Csv => "none",
                "none" | "uncompressed" => "uncompressed",
                "auto" => "auto",
                "gzip" => "gzip",
                _ => return None,
            };
            return Some(format!("compression={}", sql::text(word)));
        }
        let wanted = OPTIONS.iter().find(|(reader, known, _)| (*reader == self) && *known == name)?.2;
        wanted.iter().any(|shape| shape.fits(value)).then(|| format!("{name}={}", value.sql()))
    }
}

/// What an option's value may be.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Bool,
    Number,
    Text,
    Texts,
    /// A list of types.
    Types,
    /// Types by columns' names.
    TypesOf,
}

use Reader::{Csv, Json as Ndjson, Parquet};
use Shape::{Bool, Number, Text, Texts, Types, TypesOf};

const OPTIONS: [(Reader, &str, &[Shape]); 45] = [
    (Parquet, "binary_as_string", &[Bool]),
    (Parquet, "file_row_number", &[Bool]),
    (Parquet, "union_by_name", &[Bool]),
    (Csv, "all_varchar", &[Bool]),
    (Csv, "allow_quoted_nulls", &[Bool]),
    (Csv, "auto_detect", &[Bool]),
    (Csv, "column_names", &[Texts]),
    (Csv, "column_types", &[Types, TypesOf]),
    (Csv, "columns", &[TypesOf]),
    (Csv, "comment", &[Text]),
    (Csv, "dateformat", &[Text]),
    (Csv, "date_format", &[Text]),
    (Csv, "decimal_separator", &[Text]),
    (Csv, "delim", &[Text]),
    (Csv, "delimiter", &[Text]),
    (Csv, "dtypes", &[Types, TypesOf]),
    (Csv, "escape", &[Text]),
    (Csv, "force_not_null", &[Texts]),
    (Csv, "header", &[Bool]),
    (Csv, "ignore_errors", &[Bool]),
    (Csv, "names", &[Texts]),
    (Csv, "normalize_names", &[Bool]),
    (Csv, "null_padding", &[Bool]),
    (Csv, "nullstr", &[Text, Texts]),
    (Csv, "quote", &[Text]),
    (Csv, "sample_size", &[Number]),
    (Csv, "sep", &[Text]),
    (Csv, "skip", &[Number]),
    (Csv, "strict_mode", &[Bool]),
    (Csv, "timestampformat", &[Text]),
    (Csv, "timestamp_format", &[Text]),
    (Csv, "types", &[Types, TypesOf]),
    (Csv, "union_by_name", &[Bool]),
    (Ndjson, "auto_detect", &[Bool]),
    (Ndjson, "columns", &[TypesOf]),
    (Ndjson, "convert_strings_to_integers", &[Bool]),
    (Ndjson, "dateformat", &[Text]),
    (Ndjson, "format", &[Text]),
    (Ndjson, "ignore_errors", &[Bool]),
    (Ndjson, "map_inference_threshold", &[Number]),
    (Ndjson, "maximum_depth", &[Number]),
    (Ndjson, "records", &[Bool, Text]),
    (Ndjson, "sample_size", &[Number]),
    (Ndjson, "timestampformat", &[Text]),
    (Ndjson, "union_by_name", &[Bool]),
];

impl Shape {
    fn fits(self, value: &Literal) -> bool {
        let is_text = |value: &Literal| matches!(value, Literal::Text(_));
        match (self, value) {
            (Bool, Literal::Bool(_)) | (Number, Literal::Number(_)) | (Text, Literal::Text(_)) => true,
            (Texts, Literal::List(items)) => items.iter().all(is_text),
            (Types, Literal::List(items)) => items.iter().all(is_type),
            (TypesOf, Literal::Struct(items)) => items.iter().all(|(_, value)| is_type(value)),
            _ => false,
        }
    }
}

/// Letters that types are spelled with; the engine reads the text as SQL.
fn is_type(value: &Literal) -> bool {
    let spelled = |letter: char| letter.is_ascii_alphanumeric() || " _,()[]".contains(letter);
    matches!(value, Literal::Text(text) if text.len() <= 1000 && text.chars().all(spelled))
}

/// A value that needs no computing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Bool(bool),
    /// A whole number's digits.
    Number(String),
    Text(String),
    List(Vec<Literal>),
    Struct(Vec<(String, Literal)>),
}

impl Literal {
    /// The literal that an expression is, if it is one.
    pub(super) fn of(value: &Json<'_>) -> Option<Self> {
        let Json::Object(members) = value else { return None };
        match text_of(members, "class") {
            "CONSTANT" => Self::constant(get(members, "value")?),
            "CAST" => Self::boolean(members),
            "FUNCTION" => Self::nested(members),
            _ => None,
        }
    }

    fn constant(value: &Json<'_>) -> Option<Self> {
        match (value.get("type")?.get("id")?.as_str()?, value.get("value")?) {
            ("VARCHAR", text) => Some(Self::Text(text.as_str()?.to_owned())),
            ("BOOLEAN", Json::Bool(truth)) => Some(Self::Bool(*truth)),
            ("INTEGER" | "BIGINT", Json::Number(number)) => number.parse::<i64>().ok().map(Self::whole),
            _ => None,
        }
    }

    fn whole(number: i64) -> Self {
        Self::Number(number.to_string())
    }

    /// `true` is read as a cast of `t`.
    fn boolean(members: &Members<'_>) -> Option<Self> {
        let boolean = get(members, "cast_type")?.get("id")?.as_str()? == "BOOLEAN";
        match Self::of(get(members, "child")?)? {
            Self::Text(text) if boolean && text == "t" => Some(Self::Bool(true)),
            Self::Text(text) if boolean && text == "f" => Some(Self::Bool(false)),
            _ => None,
        }
    }

    /// Lists, structs and negative numbers are calls.
    fn nested(members: &Members<'_>) -> Option<Self> {
        let Json::Array(children) = get(members, "children")? else { return None };
        let plain = matches!(text_of(members, "schema"), "" | "main") && text_of(members, "catalog").is_empty();
        match (text_of(members, "function_name"), children.as_slice()) {
            ("list_value", items) if plain => items.iter().map(Self::of).collect::<Option<_>>().map(Self::List),
            ("struct_pack", items) if plain => {
                let member = |item: &Json<'_>| Some((item.get("alias")?.as_str()?.to_owned(), Self::of(item)?));
                items.iter().map(member).collect::<Option<_>>().map(Self::Struct)
            }
            ("-", [number]) => match Self::of(number)? {
                Self::Number(digits) => digits.parse::<i64>().ok()?.checked_neg().map(Self::whole),
                _ => None,
            },
            _ => None,
        }
    }

    /// The literal as SQL.
    fn sql(&self) -> String {
        let list = |items: Vec<String>| items.join(", ");
        match self {
            Self::Bool(truth) => truth.to_string(),
            Self::Number(digits) => digits.clone(),
            Self::Text(text) => sql::text(text),
            Self::List(items) => format!("[{}]", list(items.iter().map(Self::sql).collect())),
            Self::Struct(items) => {
                let member = |(name, value): &(String, Self)| format!("{}: {}", sql::text(name), value.sql());
                format!("{{{}}}", list(items.iter().map(member).collect()))
            }
        }
    }

    /// The texts of a text or a list of texts.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::List(items) if !items.is_empty() => {
                items.iter().map(|item| if let Self::Text(text) = item { Some(text.as_str()) } else { None }).collect()
            }
            _ => None,
        }
    }
}

/// The literal paths that a text hands to functions that read files, each once. What it overlooks doesn't run: the walk
/// asks for the meaning of each path.
pub(crate) fn paths(sql: &str) -> Vec<String> {
    let tokens: Vec<Token<'_>> = Tokens::new(sql).collect();
    let mut paths = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let name = match token.kind {
            Kind::Word => token.text,
            Kind::Quoted => token.text.trim_matches('"'),
            _ => continue,
        };
        if Reader::find(name).is_none() {
            continue;
        }
        let Some([open, arguments @ ..]) = tokens.get(at + 1..) else { continue };
        if open.text != "(" {
            continue;
        }
        let listed = arguments.first().is_some_and(|token| token.text == "[");
        let most = if listed { usize::MAX } else { 1 };
        let arguments = arguments.iter().skip(usize::from(listed));
        let texts = arguments.take_while(|token| matches!(token.kind, Kind::Text | Kind::Comma));
        let texts = texts.take(most).filter(|token| token.kind == Kind::Text);
        for path in texts.filter_map(|token| decoded(token.text)) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_where_functions_take_them() {
        let found = paths(
            "SELECT '/no/x' FROM READ_csv ( /* here */ '/d/it''s.csv', delim = '|') JOIN \"read_parquet\"(['/d/a', '/d/b'])
             JOIN read_text('/d/t') JOIN read_json('/d/' || 'x') JOIN read_csv('/d/it''s.csv')",
        );
        assert_eq!(found, ["/d/it's.csv", "/d/a", "/d/b", "/d/"]);
        assert_eq!(paths("SELECT read_csv FROM t -- read_csv('/d/x')"), Vec::<String>::new());
    }

    #[test]
    fn options_that_open_or_tell_more_are_not_taken() {
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!(Csv.option("DELIM", &text("'")), Some("delim=''''".to_owned()));
        assert_eq!(Csv.option("filename", &Literal::Bool(false)), Some(String::new()));
        assert_eq!(Csv.option("filename", &Literal::Bool(true)), None);
        assert_eq!(Csv.option("filename", &text("path")), None);
        assert_eq!(Csv.option("store_rejects", &Literal::Bool(true)), None);
        assert_eq!(Csv.option("buffer_size", &Literal::Number("1".to_owned())), None);
        assert_eq!(Csv.option("types", &Literal::List(vec![text("INT); SELECT '1'")])), None);
        assert_eq!(Parquet.option("encryption_config", &text("x")), None);
    }
}
