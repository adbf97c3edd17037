//! The formats that rows may arrive in, and how requests name them.

/// A format of rows in a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// An array of objects, or an object `{"rows": […]}`.
    Json,
    /// One object a line.
    NdJson,
    /// RFC 4180 with a header.
    Csv,
    /// An Arrow IPC stream.
    ArrowStream,
    /// An Arrow IPC file.
    ArrowFile,
    /// A Parquet file. It is staged as a file, not decoded here.
    Parquet,
}

impl InputFormat {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Json, Self::NdJson, Self::Csv, Self::ArrowStream, Self::ArrowFile, Self::Parquet];

    /// The format of a `Content-Type` header's value; parameters and case don't matter.
    pub fn from_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Self::NdJson
            }
            "text/csv" | "application/csv" => Self::Csv,
            "application/vnd.apache.arrow.stream" => Self::ArrowStream,
            // The decoder tells stream from file by the first bytes, so the old, vague name is no problem.
            "application/vnd.apache.arrow.file" | "application/vnd.apache.arrow" => Self::ArrowFile,
            "application/vnd.apache.parquet" | "application/parquet" | "application/x-parquet" => Self::Parquet,
            _ => return None,
        })
    }

    /// The format that a file's extension stands for.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::NdJson,
            "csv" => Self::Csv,
            "arrow" | "arrows" | "ipc" | "feather" => Self::ArrowFile,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }

    /// The media type that the format is announced with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::ArrowStream => "application/vnd.apache.arrow.stream",
            Self::ArrowFile => "application/vnd.apache.arrow.file",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The name that error messages use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::NdJson => "NDJSON",
            Self::Csv => "CSV",
            Self::ArrowStream | Self::ArrowFile => "Arrow",
            Self::Parquet => "Parquet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_the_media_type_it_announces() {
        for format in InputFormat::ALL {
            assert_eq!(InputFormat::from_content_type(format.content_type()), Some(format));
        }
    }

    #[test]
    fn parameters_and_case_do_not_matter() {
        assert_eq!(InputFormat::from_content_type("Text/CSV; charset=utf-8"), Some(InputFormat::Csv));
        assert_eq!(InputFormat::from_content_type(" application/jsonl "), Some(InputFormat::NdJson));
        assert_eq!(InputFormat::from_content_type("application/octet-stream"), None);
        assert_eq!(InputFormat::from_content_type(""), None);
    }

    #[test]
    fn files_are_known_by_their_extension() {
        assert_eq!(InputFormat::from_file_name("data/flights.ARROW"), Some(InputFormat::ArrowFile));
        assert_eq!(InputFormat::from_file_name("a.parquet"), Some(InputFormat::Parquet));
        assert_eq!(InputFormat::from_file_name("csv"), None);
    }
}
