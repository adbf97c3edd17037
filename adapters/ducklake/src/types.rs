//! DuckLake's spelling of types, as the domain's.

use gadwall_domain::names::ColumnName;
use gadwall_domain::types::DataType;

/// A column as DuckLake's own tables list it; nested types are rows of their own below their parent.
#[derive(Debug, Clone)]
pub(crate) struct RawColumn {
    pub(crate) id: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) name: String,
    pub(crate) type_word: String,
    pub(crate) nullable: bool,
    pub(crate) default: Option<String>,
}

/// The type of a column, put together from its row and those below it.
pub(crate) fn data_type(column: &RawColumn, all: &[RawColumn]) -> Result<DataType, String> {
    let mut children = all.iter().filter(|child| child.parent == Some(column.id));
    let mut child = |what: &str| {
        let child = children.next().ok_or_else(|| format!("column {} lacks its {what}", column.name))?;
        data_type(child, all).map(|inner| (child.name.clone(), inner))
    };
    match column.type_word.as_str() {
        "list" => Ok(DataType::List(Box::new(child("element")?.1))),
        "map" => Ok(DataType::Map(Box::new(child("key")?.1), Box::new(child("value")?.1))),
        "struct" => {
            let fields = all.iter().filter(|child| child.parent == Some(column.id)).map(|child| {
                let name = ColumnName::parse(&child.name).map_err(|error| error.to_string())?;
                Ok::<_, String>((name, data_type(child, all)?))
            });
            Ok(DataType::Struct(fields.collect::<Result<_, _>>()?))
        }
        word => plain(word),
    }
}

fn plain(word: &str) -> Result<DataType, String> {
    Ok(match word {
        "boolean" => DataType::Boolean,
        "int8" => DataType::TinyInt,
        "int16" => DataType::SmallInt,
        "int32" => DataType::Integer,
        "int64" => DataType::BigInt,
        "uint8" => DataType::UTinyInt,
        "uint16" => DataType::USmallInt,
        "uint32" => DataType::UInteger,
        "uint64" => DataType::UBigInt,
        "float32" => DataType::Float,
        "float64" => DataType::Double,
        // The rest is spelled as DuckDB spells it, in lower case.
        other => return DataType::parse(other).map_err(|error| error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(id: i64, parent: Option<i64>, name: &str, type_word: &str) -> RawColumn {
        RawColumn { id, parent, name: name.to_owned(), type_word: type_word.to_owned(), nullable: true, default: None }
    }

    #[test]
    fn nested_types_are_put_together_from_their_parts() {
        let all = [
            raw(1, None, "place", "struct"),
            raw(2, Some(1), "name", "varchar"),
            raw(3, Some(1), "tags", "list"),
            raw(4, Some(3), "element", "map"),
            raw(5, Some(4), "key", "varchar"),
            raw(6, Some(4), "value", "decimal(10,2)"),
        ];
        let text = data_type(&all[0], &all).unwrap().to_string();
        assert_eq!(text, "STRUCT(\"name\" VARCHAR, \"tags\" MAP(VARCHAR, DECIMAL(10,2))[])");
    }

    #[test]
    fn integers_are_counted_in_bits_there_and_in_bytes_here() {
        assert_eq!(plain("int8").unwrap(), DataType::TinyInt);
        assert_eq!(plain("int64").unwrap(), DataType::BigInt);
        assert_eq!(plain("timestamptz").unwrap(), DataType::TimestampTz);
        assert!(plain("int128").is_err());
    }
}
