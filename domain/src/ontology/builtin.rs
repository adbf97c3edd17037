//! The schema that is there without an ontology server: financed projects.

use serde_json::json;

use super::{OntologySchema, SchemaId};

/// The id under which servers have it.
const PROJECT_SCHEMA: &str = "project_schema";

/// The built-in schema `projects`.
///
/// # Panics
/// Never: it is a constant that a test reads.
#[expect(clippy::expect_used, reason = "a constant that is read in a test")]
pub fn builtin() -> (SchemaId, OntologySchema) {
    let id = SchemaId::parse(PROJECT_SCHEMA).expect("a legal id");
    let schema = OntologySchema::parse(&id, &builtin_document()).expect("the built-in schema");
    (id, schema)
}

/// Its document.
pub fn builtin_document() -> serde_json::Value {
    json!({
        "name": "projects",
        "version": "builtin-1",
        "description": "Financed projects",
        "primary_key": ["project_id"],
        "columns": [
            { "name": "project_id", "type": "UUID", "fill": "uuid", "description": "Identifies the project" },
            { "name": "project_name", "type": "VARCHAR", "minLength": 1, "description": "Its name" },
            { "name": "description", "type": "TEXT", "required": false, "description": "What it is about" },
            { "name": "total_amount", "type": "DECIMAL(20,2)", "description": "Amount financed, in the currency" },
            { "name": "maturity_years", "type": "INTEGER", "description": "Years until the last repayment" },
            { "name": "expected_tri", "type": "DECIMAL(5,2)", "description": "Expected internal rate of return, percent" },
            { "name": "dscr", "type": "DECIMAL(5,2)", "description": "Debt service coverage ratio" },
            { "name": "status", "type": "VARCHAR", "default": "PROPOSED",
              "enum": ["PROPOSED", "ACTIVE", "COMPLETED"], "description": "Where it stands" },
            { "name": "creation_date", "type": "DATE", "fill": "today", "description": "When it was made" },
            { "name": "last_updated", "type": "TIMESTAMP", "fill": "written", "description": "When it was last written" },
            { "name": "currency_code", "type": "CHAR(3)", "default": "USD", "pattern": "^[A-Za-z]{3}$",
              "description": "ISO 4217" },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_columns_are_those_that_clients_know() {
        let (id, schema) = builtin();
        assert_eq!((id.as_str(), schema.name.as_str()), ("project_schema", "projects"));
        let columns: Vec<String> = schema
            .table()
            .columns()
            .iter()
            .map(|column| format!("{} {}{}", column.name, column.data_type, if column.nullable { "?" } else { "" }))
            .collect();
        let expected = [
            "project_id UUID",
            "project_name VARCHAR",
            "description VARCHAR?",
            "total_amount DECIMAL(20,2)",
            "maturity_years INTEGER",
            "expected_tri DECIMAL(5,2)",
            "dscr DECIMAL(5,2)",
            "status VARCHAR",
            "creation_date DATE",
            "last_updated TIMESTAMP",
            "currency_code CHAR(3)",
        ];
        assert_eq!(columns, expected);
        assert_eq!(schema.table().key_columns()[0].as_str(), "project_id");
    }
}
