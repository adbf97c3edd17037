//! Structured conditions as SQL text. Values are cast to their column's type, never pasted.

use gadwall_domain::filter::{Assignment, Comparison, Filter, Literal};
use gadwall_domain::names::ColumnName;
use gadwall_domain::schema::Column;
use gadwall_domain::types::DataType;

use crate::sql;

/// Why a condition or a value doesn't fit its column; fit for its author.
pub(crate) type Misfit = String;

/// A condition as a boolean expression over a table's columns.
pub(crate) fn condition(filter: &Filter, columns: &[Column]) -> Result<String, Misfit> {
    let joined = |parts: &[Filter], word: &str| -> Result<String, Misfit> {
        let parts: Vec<String> = parts.iter().map(|part| condition(part, columns)).collect::<Result<_, _>>()?;
        Ok(format!("({})", parts.join(word)))
    };
    Ok(match filter {
        Filter::All(parts) => joined(parts, " AND ")?,
        Filter::Any(parts) => joined(parts, " OR ")?,
        Filter::Not(part) => format!("(NOT {})", condition(part, columns)?),
        Filter::Compare { column, operator, value } => {
            let column = comparable(find(column, columns)?)?;
            format!("({} {} {})", sql::ident(column.name.as_str()), symbol(*operator), typed(value, &column.data_type))
        }
        Filter::In { column, values } => {
            let column = comparable(find(column, columns)?)?;
            let values: Vec<String> = values.iter().map(|value| typed(value, &column.data_type)).collect();
            format!("({} IN ({}))", sql::ident(column.name.as_str()), values.join(", "))
        }
        Filter::Like { column, pattern } => {
            let column = find(column, columns)?;
            if column.data_type.without_lengths() != DataType::Varchar(None) {
                return Err(format!("column {} is not text; like is for VARCHAR columns", column.name));
            }
            format!("({} LIKE {} ESCAPE '\\')", sql::ident(column.name.as_str()), sql::text(pattern))
        }
        Filter::IsNull { column } => format!("({} IS NULL)", sql::ident(find(column, columns)?.name.as_str())),
    })
}

/// A new value as an expression of its column's type.
pub(crate) fn value(assignment: &Assignment, columns: &[Column]) -> Result<String, Misfit> {
    let column = find(&assignment.column, columns)?;
    Ok(match &assignment.value {
        None => "NULL".to_owned(),
        Some(value) => typed(value, &column.data_type),
    })
}

fn find<'a>(name: &ColumnName, columns: &'a [Column]) -> Result<&'a Column, Misfit> {
    let known = || columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    columns
        .iter()
        .find(|column| column.name == *name)
        .ok_or_else(|| format!("the table has no column {name}; its columns are {}", known()))
}

fn comparable(column: &Column) -> Result<&Column, Misfit> {
    let opaque = matches!(column.data_type, DataType::Json | DataType::Variant | DataType::Geometry);
    if opaque || column.data_type.is_nested() {
        let of_type = column.data_type.spelling();
        return Err(format!("column {} is of type {of_type}, which can only be tested for null", column.name));
    }
    Ok(column)
}

fn symbol(operator: Comparison) -> &'static str {
    match operator {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}

pub(crate) fn typed(value: &Literal, data_type: &DataType) -> String {
    let text = sql::text(value.as_str());
    match data_type.without_lengths() {
        DataType::Varchar(_) => text,
        nested if nested.is_nested() || nested == DataType::Variant => {
            format!("CAST(CAST({text} AS JSON) AS {nested})")
        }
        plain => format!("CAST({text} AS {plain})"),
    }
}
