//! Statements with their values, for any of the databases. Both take the same text.

use std::borrow::Cow;
use std::fmt::Write as _;

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

/// How a database is told where the values of many rows go.
pub(crate) trait Marks {
    /// Whether by number. SQLite looks for each numbered mark among all others, by its text, which takes seconds where
    /// there are thousands; without numbers it takes the values in their order.
    const NUMBERED: bool;
}

impl Marks for Sqlite {
    const NUMBERED: bool = false;
}

impl Marks for Postgres {
    const NUMBERED: bool = true;
}

/// What a statement may be given: all that every database takes.
pub(crate) trait Takes<'q>: Database + Marks {
    /// Adds a value to a query.
    fn add(query: Query<'q, Self, Self::Arguments>, value: Value<'q>) -> Query<'q, Self, Self::Arguments>;
}

impl<'q, D: Database + Marks> Takes<'q> for D
where
    Option<Cow<'q, str>>: Encode<'q, D> + Type<D>,
    Option<i64>: Encode<'q, D> + Type<D>,
    Option<f64>: Encode<'q, D> + Type<D>,
    Option<&'q [u8]>: Encode<'q, D> + Type<D>,
    Vec<u8>: Encode<'q, D> + Type<D>,
{
    fn add(query: Query<'q, D, D::Arguments>, value: Value<'q>) -> Query<'q, D, D::Arguments> {
        match value {
            Value::Text(value) => query.bind(value),
            Value::Integer(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::OwnBytes(value) => query.bind(value),
        }
    }
}

/// A statement with its values.
pub(crate) struct Statement<'q> {
    text: Text,
    values: Vec<Value<'q>>,
}

enum Text {
    Whole(SqlStr),
    /// With a list of rows between two parts.
    Rows {
        before: String,
        rows: usize,
        columns: usize,
        after: String,
    },
}

impl Text {
    fn marked(self, numbered: bool) -> SqlStr {
        let (before, rows, columns, after) = match self {
            Self::Whole(text) => return text,
            Self::Rows { before, rows, columns, after } => (before, rows, columns, after),
        };
        let mut text = before;
        for row in 0..rows {
            text.push_str(if row == 0 { " VALUES (" } else { ", (" });
            for column in 1..=columns {
                text.push_str(if column == 1 { "" } else { ", " });
                if numbered {
                    let _ = write!(text, "${}", row * columns + column);
                } else {
                    text.push('?');
                }
            }
            text.push(')');
        }
        text.push_str(&after);
        AssertSqlSafe(text).into_sql_str()
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

/// A statement with a list of rows in it, whose values are the first ones. Where rows stand for a table, both databases
/// call its columns `column1`, `column2`.
pub(crate) fn with_rows<'q, const COLUMNS: usize>(
    before: &str,
    rows: Vec<[Value<'q>; COLUMNS]>,
    after: &str,
) -> Statement<'q> {
    let text = Text::Rows { before: before.to_owned(), rows: rows.len(), columns: COLUMNS, after: after.to_owned() };
    Statement { text, values: rows.into_iter().flatten().collect() }
}

impl<'q> Statement<'q> {
    /// Adds the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The statement for one of the databases.
    pub(crate) fn query<D: Takes<'q>>(self) -> Query<'q, D, D::Arguments> {
        self.values.into_iter().fold(sqlx::query(self.text.marked(D::NUMBERED)), D::add)
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

    #[test]
    fn rows_are_inserted_by_number_or_in_order() {
        let statement = || insert("INSERT INTO t (a, b)", vec![[1.into(), "x".into()], [2.into(), "y".into()]]);
        let text = |numbered| statement().text.marked(numbered).as_str().to_owned();
        assert_eq!(text(true), "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)");
        assert_eq!(text(false), "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)");
        assert_eq!(statement().values.len(), 4);
    }
}
