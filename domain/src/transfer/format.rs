//! The formats of files, with what can be said about each.

use thiserror::Error;

use crate::dataset::ObjectName;
use crate::error::{Classify, ErrorKind};

/// Longest text that may stand for NULL, in bytes.
const MAX_NULL: usize = 64;
/// Rows of a Parquet row group: fewer make large footers, more need much memory.
const ROW_GROUP: std::ops::RangeInclusive<u64> = 2_048..=10_000_000;

/// Why files can't be read or written so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// No such format, or a file's name doesn't tell.
    #[error("{given:?} is not a format that files are {verb} in; use parquet, csv or ndjson")]
    Unknown {
        /// The word or name.
        given: String,
        /// `read` or `written`.
        verb: &'static str,
    },
    /// Files of different formats.
    #[error("the files are of different formats; take them one format at a time, or say which one with format")]
    Mixed,
    /// An option that can't be.
    #[error("{0}")]
    Option(String),
}

impl Classify for FormatError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unprocessable
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Mixed => "unsupported_format",
            Self::Option(_) => "invalid_option",
        }
    }
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// LZ4.
    Lz4,
    /// Brotli.
    Brotli,
}

impl Codec {
    const ALL: [Self; 6] = [Self::None, Self::Snappy, Self::Gzip, Self::Zstd, Self::Lz4, Self::Brotli];

    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Brotli => "brotli",
        }
    }

    /// The codec of that word.
    pub fn parse(word: &str) -> Result<Self, FormatError> {
        Self::ALL.into_iter().find(|codec| codec.as_str() == word).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            FormatError::Option(format!("compression is one of {known}"))
        })
    }
}

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    delimiter: char,
    quote: Option<char>,
    escape: Option<char>,
    header: bool,
    null: String,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: ',', quote: Some('"'), escape: Some('"'), header: true, null: String::new() }
    }
}

impl CsvOptions {
    /// Checks options against each other; what isn't given is as RFC 4180 has it, with a header.
    pub fn new(
        delimiter: Option<&str>,
        quote: Option<&str>,
        escape: Option<&str>,
        header: Option<bool>,
        null: Option<&str>,
    ) -> Result<Self, FormatError> {
        let usual = Self::default();
        let refuse = |text: &str| Err(FormatError::Option(text.to_owned()));
        let delimiter = match delimiter {
            None => usual.delimiter,
            Some(text) => {
                one("delimiter", text)?.ok_or_else(|| FormatError::Option("delimiter is empty".to_owned()))?
            }
        };
        let quote = quote.map_or(Ok(usual.quote), |text| one("quote", text))?;
        let escape = escape.map_or(Ok(quote), |text| one("escape", text))?;
        let null = null.unwrap_or(&usual.null);
        if quote == Some(delimiter) || escape == Some(delimiter) {
            return refuse("delimiter, quote and escape must differ (escape may be the quote)");
        }
        let reserved = |c: char| c.is_control() || c == delimiter || Some(c) == quote || Some(c) == escape;
        if null.len() > MAX_NULL || null.chars().any(reserved) {
            return refuse("null_string has at most 64 bytes, and no delimiter, quote, escape or control character");
        }
        Ok(Self { delimiter, quote, escape, header: header.unwrap_or(usual.header), null: null.to_owned() })
    }

    /// With another delimiter than the comma, as the names of some files tell.
    pub fn tabs() -> Self {
        Self { delimiter: '\t', ..Self::default() }
    }

    /// What stands between two values.
    pub fn delimiter(&self) -> char {
        self.delimiter
    }

    /// What stands around a value.
    pub fn quote(&self) -> Option<char> {
        self.quote
    }

    /// What stands before a quote within a value.
    pub fn escape(&self) -> Option<char> {
        self.escape
    }

    /// Whether the first line names the columns.
    pub fn header(&self) -> bool {
        self.header
    }

    /// The text that stands for NULL where it isn't quoted.
    pub fn null(&self) -> &str {
        &self.null
    }
}

fn one(name: &str, text: &str) -> Result<Option<char>, FormatError> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (None, _) => Ok(None),
        (Some(letter), None) if letter == '\t' || (letter.is_ascii() && !letter.is_ascii_control()) => Ok(Some(letter)),
        _ => Err(FormatError::Option(format!("{name} is one printable ASCII character, or a tab"))),
    }
}

/// How Parquet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParquetOptions {
    codec: Codec,
    row_group_size: Option<u64>,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self { codec: Codec::Snappy, row_group_size: None }
    }
}

impl ParquetOptions {
    /// Checks the options.
    pub fn new(codec: Option<Codec>, row_group_size: Option<u64>) -> Result<Self, FormatError> {
        if row_group_size.is_some_and(|rows| !ROW_GROUP.contains(&rows)) {
            let (least, most) = (ROW_GROUP.start(), ROW_GROUP.end());
            return Err(FormatError::Option(format!("row_group_size is a number of rows from {least} to {most}")));
        }
        Ok(Self { codec: codec.unwrap_or(Self::default().codec), row_group_size })
    }

    /// How pages are packed.
    pub fn codec(self) -> Codec {
        self.codec
    }

    /// Rows of a row group; the engine's choice without.
    pub fn row_group_size(self) -> Option<u64> {
        self.row_group_size
    }
}

/// A format with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet.
    Parquet(ParquetOptions),
    /// CSV and its kin.
    Csv(CsvOptions),
    /// One JSON object a line.
    Ndjson,
}

impl FileFormat {
    /// The format's name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Parquet(_) => "Parquet",
            Self::Csv(_) => "CSV",
            Self::Ndjson => "NDJSON",
        }
    }

    /// The format that a word means, or that a file's last extension tells.
    pub fn by_word(word: &str, verb: &'static str) -> Result<Self, FormatError> {
        match word.to_ascii_lowercase().as_str() {
            "parquet" => Ok(Self::Parquet(ParquetOptions::default())),
            "csv" => Ok(Self::Csv(CsvOptions::default())),
            "tsv" => Ok(Self::Csv(CsvOptions::tabs())),
            "ndjson" | "jsonl" | "json" => Ok(Self::Ndjson),
            _ => Err(FormatError::Unknown { given: word.chars().take(60).collect(), verb }),
        }
    }

    /// The format of a file by its name.
    pub fn by_name(name: &ObjectName, verb: &'static str) -> Result<Self, FormatError> {
        let (_, file) = name.split();
        match file.rsplit_once('.') {
            Some((_, extension)) => Self::by_word(extension, verb),
            None => Err(FormatError::Unknown { given: file.chars().take(60).collect(), verb }),
        }
    }

    /// The format of several files, which must be one.
    pub fn by_names<'a>(
        names: impl IntoIterator<Item = &'a ObjectName>,
        verb: &'static str,
    ) -> Result<Option<Self>, FormatError> {
        let mut found = None;
        for name in names {
            let format = Self::by_name(name, verb)?;
            if found.get_or_insert_with(|| format.clone()) != &format {
                return Err(FormatError::Mixed);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats_and_mixtures_are_refused() {
        let of = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| ObjectName::parse(name).unwrap()).collect();
            FileFormat::by_names(&names, "read").map(|format| format.map(|format| format.name()))
        };
        assert_eq!(of(&["a/x.CSV", "y.csv"]), Ok(Some("CSV")));
        assert_eq!(of(&["x.jsonl"]), Ok(Some("NDJSON")));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["x.csv", "x.tsv"]), Err(FormatError::Mixed));
        for unknown in ["x.csv.gz", "x", "a.csv/x", "x.arrow"] {
            assert_eq!(of(&[unknown]).unwrap_err().code(), "unsupported_format", "{unknown}");
        }
    }

    #[test]
    fn options_that_would_make_unreadable_files_are_refused() {
        let csv =
            |d: Option<&str>, q: Option<&str>, e: Option<&str>, n: Option<&str>| CsvOptions::new(d, q, e, None, n);
        assert_eq!(csv(None, None, None, None), Ok(CsvOptions::default()));
        assert_eq!(csv(Some("\t"), None, None, None), Ok(CsvOptions::tabs()));
        assert_eq!(csv(None, Some(""), None, None).unwrap().escape(), None);
        assert!(csv(Some(";"), Some("'"), Some("\\"), Some("NULL")).is_ok());
        let long = "x".repeat(65);
        for (d, q, e, n) in [
            (Some(""), None, None, None),
            (Some("||"), None, None, None),
            (Some("é"), None, None, None),
            (Some("\n"), None, None, None),
            (Some("\""), None, None, None),
            (None, None, Some(","), None),
            (None, None, None, Some("a,b")),
            (None, None, None, Some("a\nb")),
            (None, None, None, Some(&*long)),
        ] {
            assert!(csv(d, q, e, n).is_err(), "{d:?} {q:?} {e:?} {n:?}");
        }
        assert!(ParquetOptions::new(None, Some(1)).is_err() && ParquetOptions::new(None, Some(1 << 40)).is_err());
        assert!(Codec::parse("lzo").is_err());
    }
}
