//! CSV: the header names the columns, a record is a row.
//!
//! An unquoted empty field is NULL, a quoted one is empty text. Columns that the header doesn't name
//! are not in the batches; the engine gives them their defaults. Nested types and `JSON` take JSON text.

mod machine;

use std::collections::VecDeque;
use std::sync::Arc;

use gadwall_domain::rows::{RowBatch, RowsError};
use gadwall_domain::schema::TableSchema;

use self::machine::{Machine, Record};
use super::columns::{Lookup, Rows};
use super::{DecodeOptions, Decoder, shorten};
use crate::cell::from_text;

pub(super) struct CsvDecoder {
    machine: Machine,
    reader: Reader,
    /// What may still turn out to be a byte order mark.
    start: Option<Vec<u8>>,
}

struct Reader {
    lookup: Lookup,
    /// Once the header is read.
    rows: Option<Rows>,
    columns: usize,
    null_text: Option<String>,
    ready: VecDeque<RowBatch>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

enum Stop {
    Malformed(String),
    Other(RowsError),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Malformed(reason)
    }
}

impl From<Stop> for RowsError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Malformed(reason) => Self::Malformed { format: "CSV", reason },
            Stop::Other(error) => error,
        }
    }
}

impl CsvDecoder {
    pub(super) fn new(schema: Arc<TableSchema>, options: &DecodeOptions) -> Self {
        let reader = Reader {
            lookup: Lookup::new(schema),
            rows: None,
            columns: 0,
            null_text: options.csv.null_text.clone(),
            ready: VecDeque::new(),
        };
        Self { machine: Machine::new(&options.csv, options.max_row_bytes), reader, start: Some(Vec::new()) }
    }

    fn read(&mut self, piece: &[u8]) -> Result<(), Stop> {
        let Self { machine, reader, .. } = self;
        machine.push(piece, &mut |record| reader.record(&record))
    }
}

impl Decoder for CsvDecoder {
    fn push(&mut self, piece: &[u8]) -> Result<(), RowsError> {
        let Some(mut start) = self.start.take() else { return Ok(self.read(piece)?) };
        start.extend_from_slice(piece);
        if start.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&start) {
            self.start = Some(start);
            return Ok(());
        }
        Ok(self.read(start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&start))?)
    }

    fn finish(&mut self) -> Result<(), RowsError> {
        let start = self.start.take().unwrap_or_default();
        self.read(&start)?;
        let Self { machine, reader, .. } = self;
        machine.finish(&mut |record| reader.record(&record))?;
        match reader.rows.as_mut() {
            None => Err(Stop::Malformed("it is empty; the first line must name the columns".to_owned()).into()),
            Some(rows) => {
                reader.ready.extend(rows.take()?);
                Ok(())
            }
        }
    }

    fn next_batch(&mut self) -> Result<Option<RowBatch>, RowsError> {
        Ok(self.reader.ready.pop_front())
    }
}

impl Reader {
    fn record(&mut self, record: &Record<'_>) -> Result<(), Stop> {
        let Some(rows) = self.rows.as_mut() else { return self.header(record) };
        // With one column, a blank line is a row with NULL.
        if record.is_blank() && self.columns > 1 {
            return Ok(());
        }
        if record.len() != self.columns {
            let (line, found, expected) = (record.line, record.len(), self.columns);
            return Err(format!("line {line} has {found} fields, the header has {expected}").into());
        }
        for (slot, (text, quoted)) in record.fields().enumerate() {
            let null = !quoted && (text.is_empty() || self.null_text.as_deref() == Some(text));
            let checked = if null { Ok(None) } else { from_text(&rows.column(slot).data_type, text).map(Some) };
            rows.set(slot, checked);
        }
        rows.end_row();
        if rows.is_full() {
            self.ready.extend(rows.take().map_err(Stop::Other)?);
        }
        Ok(())
    }

    fn header(&mut self, record: &Record<'_>) -> Result<(), Stop> {
        let mut places = Vec::with_capacity(record.len().min(self.lookup.columns().len()));
        for (name, _) in record.fields() {
            let name = name.trim_ascii();
            let place = self.lookup.find(name).map_err(Stop::Other)?;
            if places.contains(&place) {
                return Err(format!("the header names the column {:?} twice", shorten(name)).into());
            }
            places.push(place);
        }
        let missing = (0..self.lookup.columns().len()).filter(|place| !places.contains(place));
        let required = missing
            .map(|place| &self.lookup.columns()[place])
            .find(|column| !column.nullable && column.default.is_none());
        if let Some(column) = required {
            let name = &column.name;
            return Err(format!("the header lacks the column {name}, which is NOT NULL and has no default").into());
        }
        self.columns = places.len();
        self.rows = Some(Rows::new(&self.lookup, &places));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{failure, rows, run, some, violations};
    use super::*;
    use crate::InputFormat::Csv;

    const SALES: &[&str] = &["id BIGINT!", "amount DECIMAL(10,2)", "note VARCHAR(5) = 'none'", "tags VARCHAR[]"];

    #[test]
    fn columns_are_those_of_the_header() {
        let found = rows(Csv, SALES, "\u{feff}note,ID\r\na,1\r\n\"\",2\r\n,3\r\n\r\n").unwrap();
        assert_eq!(found, [some(&["a", "1"]), some(&["", "2"]), vec![None, Some("3".into())]]);
    }

    #[test]
    fn nested_columns_take_json() {
        let found = rows(Csv, SALES, "id,tags\n1,\"[\"\"a\"\",null]\"\n").unwrap();
        assert_eq!(found, [some(&["1", "[\"a\",null]"])]);
        assert_eq!(
            violations(Csv, SALES, "id,tags\n1,\"[1,[]]\"\n")[0],
            "1 tags[1]: an array, but the column is VARCHAR; use JSON or a list"
        );
    }

    #[test]
    fn violations_count_rows_without_the_header() {
        let found = violations(Csv, SALES, "id,amount\n1,x\n,2\n 3 ,123456789\n");
        assert_eq!(
            found,
            [
                "1 amount: \"x\" is not a number",
                "2 id: it is NULL, but the column is NOT NULL",
                "3 amount: \"123456789\" does not fit DECIMAL(10,2): at most 8 digits before the point",
            ]
        );
    }

    #[test]
    fn a_table_of_one_column_can_hold_nulls() {
        assert_eq!(rows(Csv, &["a INTEGER"], "a\n1\n\n2\n").unwrap(), [some(&["1"]), vec![None], some(&["2"])]);
    }

    #[test]
    fn options_change_the_signs() {
        let csv = super::super::CsvOptions { delimiter: b';', quote: b'\'', null_text: Some("NA".to_owned()) };
        let options = DecodeOptions { csv, ..DecodeOptions::default() };
        let (batches, found) = run(Csv, SALES, b"id;note\n1;NA\n2;'NA'\n", 4, &options).unwrap();
        assert!(found.is_empty());
        assert_eq!(arrow::array::Array::null_count(batches[0].column(1).as_ref()), 1);
    }

    #[test]
    fn what_is_not_csv_is_malformed() {
        for (body, expected) in [
            ("", "it is empty"),
            ("id,amount\n1\n", "line 2 has 1 fields, the header has 2"),
            ("id,ID\n", "twice"),
            ("amount\n1\n", "lacks the column id"),
            ("id\n\"1", "no closing quote"),
        ] {
            let error = failure(Csv, SALES, body.as_bytes());
            assert!(error.starts_with("the body is not valid CSV: ") && error.contains(expected), "{error}");
        }
        assert!(failure(Csv, SALES, b"id,nope\n").contains("no column \"nope\""));
    }

    proptest! {
        #[test]
        fn text_survives(values in prop::collection::vec("[a\",\r\n; é]{1,4}", 1..20), chunk in 1_usize..9) {
            let line = |text: &String| format!("1,\"{}\"\n", text.replace('"', "\"\""));
            let body = "id,note\n".to_owned() + &values.iter().map(line).collect::<String>();
            let (batches, found) = run(Csv, SALES, body.as_bytes(), chunk, &DecodeOptions::default()).unwrap();
            prop_assert!(found.is_empty());
            let array = arrow::array::AsArray::as_string::<i32>(batches[0].column(1).as_ref()).clone();
            let back: Vec<String> = array.iter().map(|text| text.unwrap().to_owned()).collect();
            prop_assert_eq!(back, values);
        }

        #[test]
        fn random_bytes_do_not_panic(body: Vec<u8>) {
            let _ = run(Csv, SALES, &[b"id,note\n", &body[..]].concat(), 3, &DecodeOptions::default());
            let _ = run(Csv, SALES, &body, 3, &DecodeOptions::default());
        }
    }
}
