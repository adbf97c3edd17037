//! The API's document: what the framework says of it, and what it leaves out.

use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::{Endpoint, Response};
use serde_json::{Map, Value};

/// Numbers of query parameters, and the least that they may be wherever they are taken.
const LEAST: [(&str, u8); 6] =
    [("limit", 1), ("depth", 0), ("offset", 0), ("replay", 0), ("days", 1), ("timeout_seconds", 1)];

/// The framework's document, with what it can't say put right. A property that may be missing may be null, as
/// every such property is taken and most are answered. And a reference with a description beside it has that once.
pub(crate) fn complete(document: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(document) else { return document.to_owned() };
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (_, schema) in schemas.into_iter().flatten() {
        allow_null(schema);
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    let operations = paths.filter_map(|(_, path)| path.as_object_mut()).flatten();
    let parameters = operations.filter_map(|(_, operation)| operation.get_mut("parameters")?.as_array_mut()).flatten();
    parameters.for_each(limit);
    format!("{document:#}")
}

fn allow_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let required: Vec<Value> = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        allow_null(property);
        tidy(property);
        if !required.iter().any(|required| required == name) {
            mark(property);
        }
    }
    for (name, part) in schema {
        match part {
            Value::Object(_) if name == "items" || name == "additionalProperties" => allow_null(part),
            Value::Array(parts) if matches!(name.as_str(), "allOf" | "anyOf" | "oneOf") => {
                parts.iter_mut().for_each(allow_null);
            }
            _ => {}
        }
    }
}

fn limit(parameter: &mut Value) {
    let least = LEAST.iter().find(|(name, _)| parameter["in"] == "query" && parameter["name"] == *name);
    if let (Some((_, least)), Some(schema)) = (least, parameter.get_mut("schema").and_then(Value::as_object_mut))
        && schema.get("type").is_some_and(|kind| kind == "integer")
    {
        schema.insert("minimum".to_owned(), (*least).into());
    }
}

/// The framework says the description of a reference twice, the second time as if it were a schema to be met as well:
/// generators of clients make a type of that, or give up.
fn tidy(property: &mut Value) {
    if let Some(Value::Array(parts)) = property.get_mut("allOf") {
        parts.retain(|part| {
            part.as_object().is_none_or(|part| part.keys().any(|key| key != "description" && key != "default"))
        });
    }
}

/// Beside a reference nothing counts, so the reference moves inwards. What has no type takes null already.
fn mark(property: &mut Value) {
    let Some(found) = property.as_object_mut() else { return };
    if let Some(reference) = found.remove("$ref") {
        let inner = Value::Object(Map::from_iter([("$ref".to_owned(), reference)]));
        found.insert("allOf".to_owned(), Value::Array(vec![inner]));
    }
    if ["type", "allOf", "anyOf", "oneOf"].iter().any(|key| found.contains_key(*key)) {
        found.insert("nullable".to_owned(), Value::Bool(true));
        if let Some(Value::Array(values)) = found.get_mut("enum") {
            values.push(Value::Null);
        }
    }
}

/// Answers the document.
pub(crate) fn endpoint(document: String) -> impl Endpoint + 'static {
    always("application/json", document)
}

/// The framework's page about its own document, about this one.
pub(crate) fn page(page: &str, own: &str, document: &str) -> impl Endpoint + 'static {
    always("text/html; charset=utf-8", page.replacen(own, document, 1))
}

/// Megabytes, that anybody may ask for: all answers share them.
fn always(content_type: &'static str, body: String) -> impl Endpoint + 'static {
    let body = Bytes::from(body);
    make_sync(move |_| Response::builder().content_type(content_type).body(body.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_be_missing_may_be_null() {
        let list =
            json!({ "type": "array", "items": { "type": "object", "properties": { "x": { "type": "string" } } } });
        let limits = json!([{ "in": "query", "name": "limit", "schema": { "type": "integer" } }]);
        let document = json!({ "paths": { "/a": { "get": { "parameters": limits } } }, "components": { "schemas": { "A": {
            "type": "object",
            "required": ["needed", "list"],
            "properties": {
                "needed": { "type": "string" },
                "text": { "type": "string" },
                "word": { "type": "string", "enum": ["a"] },
                "other": { "$ref": "#/components/schemas/B" },
                "described": { "description": "d", "allOf": [{ "$ref": "#/components/schemas/B" }, { "description": "d" }] },
                "anything": {},
                "list": list,
            },
        } } } });
        let complete: Value = serde_json::from_str(&complete(&document.to_string())).unwrap();
        assert_eq!(complete["paths"]["/a"]["get"]["parameters"][0]["schema"]["minimum"], json!(1));
        let properties = &complete["components"]["schemas"]["A"]["properties"];
        assert_eq!(properties["needed"], json!({ "type": "string" }));
        assert_eq!(properties["text"]["nullable"], json!(true));
        assert_eq!(properties["word"]["enum"], json!(["a", null]));
        let reference = json!({ "allOf": [{ "$ref": "#/components/schemas/B" }], "nullable": true });
        assert_eq!(properties["other"], reference);
        assert_eq!(properties["described"]["allOf"], json!([{ "$ref": "#/components/schemas/B" }]));
        assert_eq!(properties["anything"], json!({}));
        assert_eq!(properties["list"]["items"]["properties"]["x"]["nullable"], json!(true));
        assert!(properties["list"]["nullable"].is_null());
    }
}
