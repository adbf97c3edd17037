//! The files: where they go, as what, and with which columns.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    ArrowFile,
    Csv,
    Json,
    /// Its `features` are sent as JSON rows.
    GeoJson,
}

impl Format {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::ArrowFile => "Arrow file",
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::GeoJson => "GeoJSON",
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Parquet => "application/vnd.apache.parquet",
            Self::ArrowFile => "application/vnd.apache.arrow.file",
            Self::Csv => "text/csv",
            Self::Json | Self::GeoJson => "application/json",
        }
    }
}

/// A file and the table it becomes.
#[derive(Debug)]
pub(super) struct Dataset {
    pub(super) bucket: &'static str,
    pub(super) table: &'static str,
    pub(super) file: &'static str,
    pub(super) format: Format,
    /// Name and type, in order.
    pub(super) columns: &'static [(&'static str, &'static str)],
    pub(super) primary_key: &'static [&'static str],
}

impl Dataset {
    /// `bucket.table`, as SQL names it.
    pub(super) fn qualified(&self) -> String {
        format!("{}.{}", self.bucket, self.table)
    }

    /// The body of the request that makes the table.
    pub(super) fn definition(&self) -> Value {
        let column = |(name, data_type): &(&str, &str)| json!({ "name": name, "type": data_type, "nullable": !self.primary_key.contains(name) });
        let columns: Vec<Value> = self.columns.iter().map(column).collect();
        let mut definition = json!({ "name": self.table, "columns": columns });
        if !self.primary_key.is_empty() {
            definition["primary_key"] = json!(self.primary_key);
        }
        definition
    }

    /// The body of the request that fills it: the file, or of GeoJSON its features just as they stand there.
    pub(super) fn body(&self, file: &Path) -> Result<Vec<u8>> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        if self.format != Format::GeoJson {
            return Ok(bytes);
        }
        let mut document: HashMap<String, Box<RawValue>> = serde_json::from_slice(&bytes)?;
        let features = document.remove("features").with_context(|| format!("{} has no features", self.file))?;
        Ok(Box::<str>::from(features).into_string().into_bytes())
    }
}

/// The table whose file may be cut for speed.
pub(super) const FLIGHTS: &str = "flights";

pub(super) const BUCKETS: [&str; 3] = ["air", "earth", "film"];

pub(super) static DATASETS: [Dataset; 8] = [
    Dataset {
        bucket: "air",
        table: FLIGHTS,
        file: "flights-3m.parquet",
        format: Format::Parquet,
        columns: &[
            ("date", "TIMESTAMP"),
            ("delay", "INTEGER"),
            ("distance", "INTEGER"),
            ("origin", "VARCHAR"),
            ("destination", "VARCHAR"),
        ],
        primary_key: &[],
    },
    Dataset {
        bucket: "air",
        table: "flights_200k",
        file: "flights-200k.arrow",
        format: Format::ArrowFile,
        columns: &[("delay", "SMALLINT"), ("distance", "SMALLINT"), ("time", "FLOAT")],
        primary_key: &[],
    },
    Dataset {
        bucket: "air",
        table: "airports",
        file: "airports.csv",
        format: Format::Csv,
        columns: &[
            ("iata", "VARCHAR"),
            ("name", "VARCHAR"),
            ("city", "VARCHAR"),
            ("state", "VARCHAR"),
            ("country", "VARCHAR"),
            ("latitude", "DOUBLE"),
            ("longitude", "DOUBLE"),
        ],
        primary_key: &["iata"],
    },
    Dataset {
        bucket: "air",
        table: "birdstrikes",
        file: "birdstrikes.csv",
        format: Format::Csv,
        columns: &[
            ("Airport Name", "VARCHAR"),
            ("Aircraft Make Model", "VARCHAR"),
            ("Effect Amount of damage", "VARCHAR"),
            ("Flight Date", "DATE"),
            ("Aircraft Airline Operator", "VARCHAR"),
            ("Origin State", "VARCHAR"),
            ("Phase of flight", "VARCHAR"),
            ("Wildlife Size", "VARCHAR"),
            ("Wildlife Species", "VARCHAR"),
            ("Time of day", "VARCHAR"),
            ("Cost Other", "DECIMAL(12,2)"),
            ("Cost Repair", "DECIMAL(12,2)"),
            ("Cost Total $", "DECIMAL(12,2)"),
            ("Speed IAS in knots", "USMALLINT"),
        ],
        primary_key: &[],
    },
    Dataset {
        bucket: "earth",
        table: "zipcodes",
        file: "zipcodes.csv",
        format: Format::Csv,
        columns: &[
            ("zip_code", "CHAR(5)"),
            ("latitude", "DOUBLE"),
            ("longitude", "DOUBLE"),
            ("city", "VARCHAR"),
            ("state", "CHAR(2)"),
            ("county", "VARCHAR"),
        ],
        primary_key: &["zip_code"],
    },
    Dataset {
        bucket: "earth",
        table: "earthquakes",
        file: "earthquakes.json",
        format: Format::GeoJson,
        columns: &[
            ("type", "VARCHAR"),
            (
                "properties",
                "STRUCT(mag DOUBLE, place VARCHAR, \"time\" BIGINT, updated BIGINT, tz SMALLINT, url VARCHAR, \
                 detail VARCHAR, felt INTEGER, cdi DOUBLE, mmi DOUBLE, alert VARCHAR, status VARCHAR, tsunami UTINYINT, \
                 sig INTEGER, net VARCHAR, code VARCHAR, ids VARCHAR, sources VARCHAR, \"types\" VARCHAR, nst INTEGER, \
                 dmin DOUBLE, rms DOUBLE, gap DOUBLE, magType VARCHAR, \"type\" VARCHAR, title VARCHAR)",
            ),
            ("geometry", "STRUCT(\"type\" VARCHAR, coordinates DOUBLE[])"),
            ("id", "VARCHAR"),
        ],
        primary_key: &["id"],
    },
    Dataset {
        bucket: "earth",
        table: "weather",
        file: "seattle-weather.csv",
        format: Format::Csv,
        columns: &[
            ("date", "DATE"),
            ("precipitation", "DOUBLE"),
            ("temp_max", "DOUBLE"),
            ("temp_min", "DOUBLE"),
            ("wind", "DOUBLE"),
            ("weather", "VARCHAR"),
        ],
        primary_key: &["date"],
    },
    Dataset {
        bucket: "film",
        table: "movies",
        file: "movies.json",
        format: Format::Json,
        columns: &[
            // Some titles are numbers in the file; as text they are what they look like.
            ("Title", "VARCHAR"),
            ("US Gross", "BIGINT"),
            ("Worldwide Gross", "BIGINT"),
            ("US DVD Sales", "BIGINT"),
            ("Production Budget", "BIGINT"),
            ("Release Date", "VARCHAR"),
            ("MPAA Rating", "VARCHAR"),
            ("Running Time min", "SMALLINT"),
            ("Distributor", "VARCHAR"),
            ("Source", "VARCHAR"),
            ("Major Genre", "VARCHAR"),
            ("Creative Type", "VARCHAR"),
            ("Director", "VARCHAR"),
            ("Rotten Tomatoes Rating", "UTINYINT"),
            ("IMDB Rating", "DECIMAL(3,1)"),
            ("IMDB Votes", "INTEGER"),
        ],
        primary_key: &[],
    },
];
