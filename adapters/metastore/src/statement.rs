//! Statements with their values, for any of the databases. Both take the same text.

use std::borrow::Cow;
use std::fmt::Write as _;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Encode, Postgres, SqlSafeStr, SqlStr, Sqlite, Type};

/// A value of a statement. NULL has a type, too: PostgreSQL wants to know.
#[derive(Debug)]
pub(crate) enum Value<'q> {
    Text(Option<Cow<'q, str>>),
    Integer(Option<i64>),
    Real(Option<f64>),
    Bytes(Option<&'q [u8]>),
    OwnBytes(Vec<u8>),
}

/// A statement with its values.
pub(crate) struct Statement<'q> {
    text: Text,
    values: Vec<Value<'q>>,
}

enum Text {
    Whole(SqlStr),
    /// Whether something is one of these keys, between two parts.
    Keys {
        before: String,
        keys: usize,
        after: String,
    },
    /// With a list of rows between two parts.
    Rows {
        before: String,
        rows: usize,
        columns: usize,
        after: String,
    },
}

impl Text {
    /// How many rows are listed in it, and of how many columns.
    fn listed(&self) -> (usize, usize) {
        match self {
            Self::Whole(_) => (0, 0),
            Self::Keys { keys, .. } => (*keys, 1),
            Self::Rows { rows, columns, .. } => (*rows, *columns),
        }
    }

    /// With a mark for each value of each row. SQLite looks for each numbered mark among all others, by its text, which takes
    /// seconds where there are thousands; without numbers it takes the values in their order.
    fn of_values(self) -> SqlStr {
        let (before, rows, columns, after) = match self {
            Self::Whole(text) => return text,
            Self::Keys { before, keys, after } => (before + " IN (", keys, 1, format!("){after}")),
            Self::Rows { before, rows, columns, after } => (before, rows, columns, after),
        };
        let mut text = before;
        for row in 0..rows {
            text.push_str(if row == 0 { " VALUES (" } else { ", (" });
            for column in 0..columns {
                text.push_str(if column == 0 { "?" } else { ", ?" });
            }
            text.push(')');
        }
        text.push_str(&counted_on(&after, rows * columns));
        AssertSqlSafe(text).into_sql_str()
    }

    /// With an array for each column, of these types: the text is the same for any number of rows, so that PostgreSQL reads
    /// and plans it once.
    fn of_arrays(self, types: &[&str]) -> SqlStr {
        let (before, columns, after) = match self {
            Self::Whole(text) => return text,
            Self::Keys { before, after, .. } => {
                let (of, after) = (types.first().unwrap_or(&"text"), counted_on(&after, 1));
                return AssertSqlSafe(format!("{before} = ANY ($1::{of}[]){after}")).into_sql_str();
            }
            Self::Rows { before, columns, after, .. } => (before, columns, after),
        };
        let list = |of: &dyn Fn(usize) -> String| (1..=columns).map(of).collect::<Vec<_>>().join(", ");
        let arrays = list(&|column| format!("${column}::{}[]", types.get(column - 1).unwrap_or(&"text")));
        let names = list(&|column| format!("column{column}"));
        let after = counted_on(&after, columns);
        AssertSqlSafe(format!("{before} SELECT * FROM unnest({arrays}) AS listed ({names}){after}")).into_sql_str()
    }
}

/// The text with its marks' numbers, `$1` and on, grown by so much.
fn counted_on(text: &str, by: usize) -> String {
    let mut parts = text.split('$');
    let mut grown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let _ = match number.parse::<usize>() {
            Ok(number) => write!(grown, "${}{rest}", number + by),
            Err(_) => write!(grown, "${part}"),
        };
    }
    grown
}

/// The query with one more value.
fn bound<'q, D: Database>(query: Query<'q, D, D::Arguments>, value: Value<'q>) -> Query<'q, D, D::Arguments>
where
    Option<Cow<'q, str>>: Encode<'q, D> + Type<D>,
    Option<i64>: Encode<'q, D> + Type<D>,
    Option<f64>: Encode<'q, D> + Type<D>,
    Option<&'q [u8]>: Encode<'q, D> + Type<D>,
    Vec<u8>: Encode<'q, D> + Type<D>,
{
    match value {
        Value::Text(value) => query.bind(value),
        Value::Integer(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::OwnBytes(value) => query.bind(value),
    }
}

/// A column of many rows.
enum Column<'q> {
    Texts(Vec<Option<Cow<'q, str>>>),
    Integers(Vec<Option<i64>>),
    Reals(Vec<Option<f64>>),
    Bytes(Vec<Option<&'q [u8]>>),
    OwnBytes(Vec<Vec<u8>>),
}

impl<'q> Column<'q> {
    /// One of the type that a value has.
    fn of(value: &Value<'q>, rows: usize) -> Self {
        match value {
            Value::Text(_) => Self::Texts(Vec::with_capacity(rows)),
            Value::Integer(_) => Self::Integers(Vec::with_capacity(rows)),
            Value::Real(_) => Self::Reals(Vec::with_capacity(rows)),
            Value::Bytes(_) => Self::Bytes(Vec::with_capacity(rows)),
            Value::OwnBytes(_) => Self::OwnBytes(Vec::with_capacity(rows)),
        }
    }

    /// Adds a value of the same type. One of another is a mistake in a statement, which its test finds.
    fn push(&mut self, value: Value<'q>) {
        match (self, value) {
            (Self::Texts(all), Value::Text(value)) => all.push(value),
            (Self::Integers(all), Value::Integer(value)) => all.push(value),
            (Self::Reals(all), Value::Real(value)) => all.push(value),
            (Self::Bytes(all), Value::Bytes(value)) => all.push(value),
            (Self::OwnBytes(all), Value::OwnBytes(value)) => all.push(value),
            (_, value) => debug_assert!(false, "{value:?} is of another type than the row before"),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Texts(_) => "text",
            Self::Integers(_) => "bigint",
            Self::Reals(_) => "double precision",
            Self::Bytes(_) | Self::OwnBytes(_) => "bytea",
        }
    }
}

/// A statement. `$1` stands for the first value bound, `$2` for the second.
pub(crate) fn sql<'q>(text: impl SqlSafeStr) -> Statement<'q> {
    Statement { text: Text::Whole(text.into_sql_str()), values: Vec::new() }
}

/// Inserts many rows at once, `into` a table and its columns.
pub(crate) fn insert<'q, const COLUMNS: usize>(into: &str, rows: Vec<[Value<'q>; COLUMNS]>) -> Statement<'q> {
    with_rows(into, rows, "")
}

/// A statement with a list of rows in it, between two parts; in the one behind, `$1` stands for the first value bound after
/// them. Where rows stand for a table, its columns are called `column1`, `column2`.
pub(crate) fn with_rows<'q, const COLUMNS: usize>(
    before: &str,
    rows: Vec<[Value<'q>; COLUMNS]>,
    after: &str,
) -> Statement<'q> {
    let text = Text::Rows { before: before.to_owned(), rows: rows.len(), columns: COLUMNS, after: after.to_owned() };
    Statement { text, values: rows.into_iter().flatten().collect() }
}

/// A statement that asks whether what its first part ends with is one of these keys; in the part behind, `$1` stands for the
/// first value bound after them.
pub(crate) fn with_keys<'q>(before: &str, keys: Vec<Value<'q>>, after: &str) -> Statement<'q> {
    let text = Text::Keys { before: before.to_owned(), keys: keys.len(), after: after.to_owned() };
    Statement { text, values: keys }
}

impl<'q> Statement<'q> {
    /// Adds the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The statement as SQLite takes it.
    pub(crate) fn for_sqlite(self) -> Query<'q, Sqlite, <Sqlite as Database>::Arguments> {
        self.values.into_iter().fold(sqlx::query(self.text.of_values()), bound)
    }

    /// The statement as PostgreSQL takes it.
    pub(crate) fn for_postgres(self) -> Query<'q, Postgres, PgArguments> {
        let (rows, columns) = self.text.listed();
        let mut values = self.values.into_iter();
        let mut arrays: Vec<Column<'q>> =
            values.as_slice().iter().take(columns).map(|value| Column::of(value, rows)).collect();
        for _ in 0..rows {
            for (array, value) in arrays.iter_mut().zip(values.by_ref()) {
                array.push(value);
            }
        }
        let types: Vec<&str> = arrays.iter().map(Column::type_name).collect();
        let query = sqlx::query(self.text.of_arrays(&types));
        let query = arrays.into_iter().fold(query, |query, array| match array {
            Column::Texts(all) => query.bind(all),
            Column::Integers(all) => query.bind(all),
            Column::Reals(all) => query.bind(all),
            Column::Bytes(all) => query.bind(all),
            Column::OwnBytes(all) => query.bind(all),
        });
        values.fold(query, bound)
    }

    /// The same with each text changed.
    pub(crate) fn map_text(mut self, change: impl Fn(Cow<'q, str>) -> Cow<'q, str>) -> Self {
        for value in &mut self.values {
            if let Value::Text(text) = value {
                *text = text.take().map(&change);
            }
        }
        self
    }
}

impl<'q> From<&'q str> for Value<'q> {
    fn from(text: &'q str) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'q> From<Option<&'q str>> for Value<'q> {
    fn from(text: Option<&'q str>) -> Self {
        Self::Text(text.map(Cow::from))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Cow::from))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<f64>> for Value<'_> {
    fn from(number: Option<f64>) -> Self {
        Self::Real(number)
    }
}

impl<'q> From<&'q [u8]> for Value<'q> {
    fn from(bytes: &'q [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::OwnBytes(bytes)
    }
}

impl<'q> From<Option<&'q [u8]>> for Value<'q> {
    fn from(bytes: Option<&'q [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Statement<'static> {
        let rows = vec![[1.into(), "x".into()], [2.into(), "y".into()], [3.into(), None::<String>.into()]];
        with_rows("INSERT INTO t (a, b)", rows, " ON CONFLICT DO UPDATE SET b = $2 || $1").bind("z").bind("$9")
    }

    #[test]
    fn sqlite_takes_the_values_of_rows_in_their_order() {
        let text = listed().text.of_values();
        let expected = "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?) ON CONFLICT DO UPDATE SET b = $8 || $7";
        assert_eq!(text.as_str(), expected);
        assert_eq!(listed().values.len(), 8);
    }

    #[test]
    fn postgresql_takes_a_text_that_does_not_depend_on_the_number_of_rows() {
        let text = listed().text.of_arrays(&["bigint", "text"]);
        let expected = "INSERT INTO t (a, b) SELECT * FROM unnest($1::bigint[], $2::text[]) AS listed (column1, column2) \
                        ON CONFLICT DO UPDATE SET b = $4 || $3";
        assert_eq!(text.as_str(), expected);
        let _ = listed().for_postgres();
    }

    #[test]
    fn a_key_is_looked_for_among_values_or_in_an_array() {
        let keys = || with_keys("DELETE FROM t WHERE a", vec![1.into(), 2.into()], " AND b = $1").bind("z");
        assert_eq!(keys().text.of_values().as_str(), "DELETE FROM t WHERE a IN ( VALUES (?), (?)) AND b = $3");
        let text = keys().text.of_arrays(&["bigint"]);
        assert_eq!(text.as_str(), "DELETE FROM t WHERE a = ANY ($1::bigint[]) AND b = $2");
    }

    #[test]
    #[should_panic(expected = "of another type")]
    fn a_column_is_of_one_type() {
        let _ = with_rows("INSERT INTO t (a)", vec![[1.into()], ["x".into()]], "").for_postgres();
    }
}
