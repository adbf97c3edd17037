"""Checks of schemathesis, as Gadwall holds them."""

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

PROTECTED = "deletion_protection"


def told_otherwise(value, schema, known):
    """Whether somewhere in a body a number or a boolean stands where a text is wanted: it is taken as that text."""
    schema = schema or {}
    if "$ref" in schema:
        return told_otherwise(value, known[schema["$ref"].rsplit("/", 1)[1]], known)
    if isinstance(value, (bool, int, float)):
        return schema.get("type") == "string"
    if any(told_otherwise(value, part, known) for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())):
        return True
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return any(told_otherwise(part, properties.get(name), known) for name, part in value.items())
    if isinstance(value, list):
        return any(told_otherwise(part, schema.get("items"), known) for part in value)
    return False


@schemathesis.hook
def before_call(context, case, kwargs):
    """Keeps the project that everything else is in from being deleted: it stays protected."""
    if case.operation.path == "/projects/{project}" and isinstance(case.body, dict) and case.body.get(PROTECTED) is False:
        case.body[PROTECTED] = True


@schemathesis.check
def refuses_what_the_document_refuses(ctx, response, case):
    # To the JSON reader null is no body, which some operations do without.
    if case.body is None:
        return None
    document = case.operation.schema.raw_schema
    path = document["paths"][case.operation.path]
    content = path[case.operation.method.lower()].get("requestBody", {}).get("content", {})
    schemas = (media.get("schema") for media in content.values())
    if any(told_otherwise(case.body, schema, document["components"]["schemas"]) for schema in schemas):
        return None
    return negative_data_rejection(ctx, response, case)
