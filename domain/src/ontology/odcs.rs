//! The `schema` section of an Open Data Contract (ODCS 3.1.0): the properties of an object are columns.

use serde_json::{Map, Value};

use super::node::{Node, join};
use super::{DocumentError, Field, OntologySchema, SchemaId};
use crate::check::Checks;
use crate::names::ColumnName;
use crate::schema::Column;
use crate::types::DataType;

/// Deepest nesting of properties.
const MAX_DEPTH: usize = 12;

/// Reads the object that is named as the schema, or the only one.
pub(super) fn parse(id: &SchemaId, members: &Map<String, Value>) -> Result<OntologySchema, DocumentError> {
    let root = Node::root(members);
    let objects = root.list("schema")?;
    let named = |object: &&Value| {
        ["name", "physicalName", "id"].iter().any(|word| object.get(word).is_some_and(|name| name == id.as_str()))
    };
    let object = match (objects.iter().position(|object| named(&object)), objects) {
        (Some(index), _) => index,
        (None, [_]) => 0,
        (None, []) => return Err(root.error("schema", "holds no object")),
        (None, _) => return Err(root.error("schema", format!("holds several objects, none named {id}"))),
    };
    let path = join("/schema", &object.to_string());
    let schema = self::object(Node::at(&objects[object], &path)?)?;
    Ok(OntologySchema { version: root.version("version")?, ..schema })
}

/// Reads one object of the section.
pub(super) fn object(node: Node<'_>) -> Result<OntologySchema, DocumentError> {
    let word = if node.get("physicalName").is_some() { "physicalName" } else { "name" };
    // A physical name may be qualified by schema and database.
    let name = node.required_text(word)?;
    let name = node.table_name(word, name.rsplit('.').next().unwrap_or(name))?;
    let place = node.place("properties");
    let (mut fields, mut key) = (Vec::new(), Vec::new());
    for (index, value) in node.list("properties")?.iter().enumerate() {
        let path = join(&place, &index.to_string());
        let property = Node::at(value, &path)?;
        let field = field(property)?;
        if property.truth("primaryKey")? == Some(true) {
            let position = property.get("primaryKeyPosition").and_then(Value::as_i64).filter(|position| *position > 0);
            key.push((position.unwrap_or(i64::MAX), field.column.name.clone()));
        }
        fields.push(field);
    }
    key.sort_by_key(|(position, _)| *position);
    let key: Vec<ColumnName> = key.into_iter().map(|(_, name)| name).collect();
    let schema = OntologySchema::new(name, fields, key).map_err(|error| node.schema_error("properties", &error))?;
    Ok(OntologySchema { description: node.description("description")?, ..schema })
}

fn field(node: Node<'_>) -> Result<Field, DocumentError> {
    let data_type = data_type(node, 0)?;
    let options = options(&node)?;
    let checks = match &options {
        Some((members, path)) => Node::at(members, path)?.checks()?,
        None => Checks::default(),
    };
    let word = if node.get("physicalName").is_some() { "physicalName" } else { "name" };
    let column = Column {
        nullable: !node.truth("required")?.unwrap_or(false),
        // Where the type can't be held to them they are a promise that only people read.
        checks: if checks.fit(&data_type).is_ok() { checks } else { Checks::default() },
        ..Column::new(node.column_name(word)?, data_type)
    };
    Ok(Field { description: node.description("description")?, ..Field::new(column) })
}

fn options<'a>(node: &Node<'a>) -> Result<Option<(&'a Value, String)>, DocumentError> {
    let Some(options) = node.get("logicalTypeOptions") else { return Ok(None) };
    if options.is_object() {
        return Ok(Some((options, node.place("logicalTypeOptions"))));
    }
    Err(node.error("logicalTypeOptions", "must be an object"))
}

/// The physical type where it is one that a table can have, else what the logical type says.
fn data_type(node: Node<'_>, depth: usize) -> Result<DataType, DocumentError> {
    if depth > MAX_DEPTH {
        return Err(DocumentError::new(node.path(), format!("is nested more than {MAX_DEPTH} levels deep")));
    }
    if let Some(physical) = node.text("physicalType")?
        && let Ok(data_type) = DataType::parse(physical)
    {
        return Ok(data_type);
    }
    let options = options(&node)?;
    let option = |name: &str| options.as_ref().and_then(|(options, _)| options.get(name));
    let format = option("format").and_then(Value::as_str);
    Ok(match node.text("logicalType")? {
        Some("string") => match format {
            Some("uuid") => DataType::Uuid,
            Some("binary" | "byte") => DataType::Blob,
            _ => {
                let most = option("maxLength").and_then(Value::as_u64).and_then(|most| u32::try_from(most).ok());
                DataType::Varchar(most.filter(|most| *most > 0))
            }
        },
        Some("date") => DataType::Date,
        Some("time") => DataType::Time,
        Some("timestamp") if option("timezone") == Some(&Value::Bool(true)) => DataType::TimestampTz,
        Some("timestamp") => DataType::Timestamp,
        Some("integer") => match format {
            Some("i8") => DataType::TinyInt,
            Some("i16") => DataType::SmallInt,
            Some("i32") => DataType::Integer,
            Some("u8") => DataType::UTinyInt,
            Some("u16") => DataType::USmallInt,
            Some("u32") => DataType::UInteger,
            Some("u64") => DataType::UBigInt,
            _ => DataType::BigInt,
        },
        Some("number") if format == Some("f32") => DataType::Float,
        Some("number") => DataType::Double,
        Some("boolean") => DataType::Boolean,
        Some("array") => match node.get("items") {
            Some(items) => {
                let path = node.place("items");
                DataType::List(Box::new(data_type(Node::at(items, &path)?, depth + 1)?.without_lengths()))
            }
            None => DataType::Json,
        },
        Some("object") => structure(node, depth)?,
        Some(_) => {
            let words = "string, date, timestamp, time, number, integer, object, array or boolean";
            return Err(node.error("logicalType", format!("must be {words}")));
        }
        None if node.get("physicalType").is_some() => {
            return Err(node.error("physicalType", "is not a type a table can have, and there is no logicalType"));
        }
        None => return Err(node.error("logicalType", "is missing, and there is no physicalType")),
    })
}

fn structure(node: Node<'_>, depth: usize) -> Result<DataType, DocumentError> {
    let place = node.place("properties");
    let mut fields: Vec<(ColumnName, DataType)> = Vec::new();
    for (index, value) in node.list("properties")?.iter().enumerate() {
        let path = join(&place, &index.to_string());
        let property = Node::at(value, &path)?;
        let name = property.column_name("name")?;
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(property.error("name", "appears twice; names differ in more than case"));
        }
        fields.push((name, data_type(property, depth + 1)?.without_lengths()));
    }
    Ok(if fields.is_empty() { DataType::Json } else { DataType::Struct(fields) })
}
