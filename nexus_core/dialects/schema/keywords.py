"""The keywords of JSON Schema, grouped by the form of their values."""

from __future__ import annotations

VALUE = "value"  # the property that wraps arguments which are no object

# How each keyword's value is read. What is not here is no keyword and stays as it is.
SCHEMA, SCHEMAS, MEMBERS = "schema", "schemas", "members"
LATER = "later"  # in a step of its own
KINDS = {
    **dict.fromkeys(
        (
            "additionalProperties",
            "unevaluatedProperties",
            "unevaluatedItems",
            "propertyNames",
            "contains",
            "contentSchema",
            "not",
            "if",
            "then",
            "else",
        ),
        SCHEMA,
    ),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), SCHEMAS),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), MEMBERS),
    **dict.fromkeys(
        ("title", "description", "format", "pattern", "contentMediaType", "contentEncoding"), "text"
    ),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), "number"),
    **dict.fromkeys(
        (
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "minContains",
            "maxContains",
        ),
        "count",
    ),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), "flag"),
    **dict.fromkeys(("default", "const"), "any"),
    "examples": "list",
    **dict.fromkeys(
        (
            "type",
            "nullable",
            "enum",
            "required",
            "dependentRequired",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "items",
            "additionalItems",
            "dependencies",
            "definitions",
            "id",
            "example",
        ),
        LATER,
    ),
}
TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
)
