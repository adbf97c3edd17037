//! The formats that results may leave in, and how requests name them.

/// A format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// A document with the rows as objects or arrays.
    Json,
    /// One object a line.
    NdJson,
    /// RFC 4180 with a header.
    Csv,
    /// An Arrow IPC stream.
    ArrowStream,
    /// An Arrow IPC file.
    ArrowFile,
    /// A Parquet file.
    Parquet,
}

impl OutputFormat {
    /// Every format, the one that suits most readers first.
    pub const ALL: [Self; 6] = [Self::Json, Self::NdJson, Self::Csv, Self::ArrowStream, Self::ArrowFile, Self::Parquet];

    /// The media types that stand for the format. The first one is the registered or best known name.
    pub fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::NdJson => {
                &["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
            }
            Self::Csv => &["text/csv", "application/csv"],
            Self::ArrowStream => &["application/vnd.apache.arrow.stream", "application/vnd.apache.arrow"],
            Self::ArrowFile => &["application/vnd.apache.arrow.file"],
            Self::Parquet => &[
                "application/vnd.apache.parquet",
                "application/parquet",
                "application/x-parquet",
                "application/octet-stream",
            ],
        }
    }

    /// The media type that the format is announced with.
    pub fn content_type(self) -> &'static str {
        self.media_types()[0]
    }

    /// The short name, as in `?format=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::NdJson => "ndjson",
            Self::Csv => "csv",
            Self::ArrowStream => "arrow",
            Self::ArrowFile => "arrow_file",
            Self::Parquet => "parquet",
        }
    }

    /// The format of a short name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// The extension of files in the format.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::NdJson => "ndjson",
            Self::Csv => "csv",
            Self::ArrowStream => "arrows",
            Self::ArrowFile => "arrow",
            Self::Parquet => "parquet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputFormat;

    #[test]
    fn names_and_media_types_belong_to_one_format_each() {
        let mut seen = std::collections::HashSet::new();
        for format in OutputFormat::ALL {
            assert_eq!(OutputFormat::from_name(format.name()), Some(format));
            assert_eq!(OutputFormat::from_name(&format.name().to_uppercase()), Some(format));
            assert!(format.media_types().iter().all(|name| seen.insert(*name)), "{format:?}");
        }
        assert_eq!(OutputFormat::from_name("xml"), None);
    }

    #[test]
    fn what_leaves_may_come_back_under_the_same_name() {
        for format in OutputFormat::ALL {
            assert!(InputFormat::from_content_type(format.content_type()).is_some(), "{format:?}");
        }
    }
}
