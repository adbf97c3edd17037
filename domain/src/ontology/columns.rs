//! The plain form: `{"name", "description"?, "version"?, "columns": [{"name", "type", "description"?, "required"}]}`.
//!
//! Beyond it a column may have `default`, `enum`, `pattern`, `minLength`, `minimum`, `maximum`, `exclusiveMinimum`,
//! `exclusiveMaximum`, `aliases` (earlier names) and `fill` (`uuid`, `today`, `created`, `written`), and the document a
//! `primary_key`.

use serde_json::{Map, Value};

use super::node::{Node, join};
use super::{DocumentError, Field, Fill, OntologySchema};
use crate::schema::Column;

/// The table of a document that doesn't name it.
const UNNAMED: &str = "projects";

pub(super) fn parse(members: &Map<String, Value>) -> Result<OntologySchema, DocumentError> {
    let root = Node::root(members);
    let name = root.table_name("name", root.text("name")?.unwrap_or(UNNAMED))?;
    let place = root.place("columns");
    let mut fields = Vec::new();
    for (index, value) in root.list("columns")?.iter().enumerate() {
        fields.push(field(Node::at(value, &join(&place, &index.to_string()))?)?);
    }
    let key = root.column_names("primary_key")?;
    let schema = OntologySchema::new(name, fields, key).map_err(|error| root.schema_error("columns", &error))?;
    Ok(OntologySchema { description: root.description("description")?, version: root.version("version")?, ..schema })
}

fn field(node: Node<'_>) -> Result<Field, DocumentError> {
    let data_type = node.data_type("type", node.required_text("type")?)?;
    let mut checks = node.checks()?;
    (checks.one_of, _) = node.values("enum")?;
    let fill = node.text("fill")?.map(|word| Fill::parse(word).ok_or_else(|| node.error("fill", Fill::WORDS)));
    let fill = fill.transpose()?;
    let column = Column {
        nullable: !node.truth("required")?.unwrap_or(true),
        default: node.default("default")?,
        checks,
        ..Column::new(node.column_name("name")?, data_type)
    };
    let field = Field::new(column);
    Ok(Field { description: node.description("description")?, aliases: node.column_names("aliases")?, fill, ..field })
}
